//! What the core asks of the process it runs in: whether to go on. Loops over large values ask every so many steps, so that a
//! cancelled statement ends soon, and before small allocations have eaten the memory that is kept for them.
//!
//! Both answers come by unwinding. In the server every error of PostgreSQL passes through Rust that way, and a cancellation can
//! only be told from an interrupt that ends nothing by handling it: the work done so far must not be lost for the latter.

use std::sync::OnceLock;

use crate::error::Error;

/// What a process offers the core.
pub struct Host {
    /// Returns, or unwinds where the work must end.
    pub check: fn(),
    /// Unwinds with this error.
    pub fail: fn(Error) -> !,
}

static HOST: OnceLock<Host> = OnceLock::new();

/// Registers the process; the first one stays.
pub fn set(host: Host) {
    let _ = HOST.set(host);
}

/// Returns, or unwinds where the work must end. Without a host nobody ends it.
pub fn check() {
    if let Some(host) = HOST.get() {
        (host.check)();
    }
}

/// Unwinds with an error that its function has no other way to return, which is want of memory; a panic without a host.
pub fn fail(error: Error) -> ! {
    match HOST.get() {
        Some(host) => (host.fail)(error),
        None => panic!("{error}"),
    }
}

/// Counts the steps of a loop, and [`check`]s every thousand or so.
#[derive(Default)]
pub struct Steps(u32);

impl Steps {
    /// Few enough that their small allocations, some hundred bytes each, are a fraction of what is kept for them.
    const BETWEEN_CHECKS: u32 = 1024;

    /// One step more.
    #[inline]
    pub fn step(&mut self) {
        self.0 = self.0.wrapping_add(1);
        if self.0.is_multiple_of(Self::BETWEEN_CHECKS) {
            check();
        }
    }
}
