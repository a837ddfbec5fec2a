//! What keeps a session alive when its memory is used up: a reserve for small allocations, and the core's host.
//!
//! Rust ends the process when an allocation fails, unless the caller used `try_reserve`, and PostgreSQL then ends all other
//! sessions. Stable Rust has no hook that could raise an error instead (`std::alloc::set_alloc_error_hook` is unstable), and
//! an allocator must not unwind: that is undefined behavior. So what can become large is allocated with `try_reserve`
//! ([`crate::memory`]), and for the rest the allocator has a reserve, which it gives back to the system when an allocation
//! fails, and tries again. Every call of a function takes the reserve anew before it allocates anything, or is an error;
//! long loops do the same ([`crate::host`]). A crash needs more small allocations between two such places than the reserve is
//! large.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::error::raise;
use crate::error::{Error, ErrorKind};
use crate::host::{self, Host};

/// Never touched, so it takes address space and no memory.
const RESERVE: Layout = match Layout::from_size_align(8 << 20, 16) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// Allocations larger than this come from `try_reserve`: for them the reserve stays.
const LARGEST_SAVED: usize = 2 << 20;

static TAKEN: AtomicPtr<u8> = AtomicPtr::new(null_mut());

/// The system's allocator with a reserve.
struct WithReserve;

#[global_allocator]
static ALLOCATOR: WithReserve = WithReserve;

// SAFETY: all memory is the system's or the last resort's, each freed where it came from; nothing unwinds.
unsafe impl GlobalAlloc for WithReserve {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a layout with a size.
        let allocate = || unsafe { System.alloc(layout) };
        saved(allocate(), layout.size(), allocate, || LAST_RESORT.alloc(layout))
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if LAST_RESORT.owns(pointer) {
            LAST_RESORT.dealloc();
        } else {
            // SAFETY: what does not come from the last resort comes from the system.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a pointer from here with this layout, and a size that fits one; the copy fits both.
        let moved = |target: *mut u8| unsafe {
            if !target.is_null() {
                std::ptr::copy_nonoverlapping(pointer, target, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            target
        };
        // SAFETY: as above.
        let resized = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if LAST_RESORT.owns(pointer) {
            // SAFETY: as above.
            return moved(unsafe { self.alloc(resized) });
        }
        // SAFETY: a pointer of the system's, as above.
        let reallocate = || unsafe { System.realloc(pointer, layout, size) };
        saved(reallocate(), size, reallocate, || moved(LAST_RESORT.alloc(resized)))
    }
}

/// What was allocated; where that failed, what can be allocated without the reserve, or from the last resort.
#[inline]
fn saved(
    allocated: *mut u8,
    size: usize,
    again: impl FnOnce() -> *mut u8,
    at_last: impl FnOnce() -> *mut u8,
) -> *mut u8 {
    if !allocated.is_null() || size > LARGEST_SAVED {
        return allocated;
    }
    give_back();
    let allocated = again();
    if allocated.is_null() { at_last() } else { allocated }
}

fn give_back() {
    let taken = TAKEN.swap(null_mut(), Relaxed);
    if !taken.is_null() {
        // SAFETY: it was allocated with this layout, and whoever swaps it out is the only one who has it.
        unsafe { System.dealloc(taken, RESERVE) };
    }
}

fn take() -> bool {
    // SAFETY: the layout has a size.
    let fresh = unsafe { System.alloc(RESERVE) };
    if !fresh.is_null() && TAKEN.compare_exchange(null_mut(), fresh, Relaxed, Relaxed).is_err() {
        // SAFETY: just allocated, and nobody else has it.
        unsafe { System.dealloc(fresh, RESERVE) };
    }
    !fresh.is_null()
}

/// Enough to raise an error when not even the reserve is left: PostgreSQL's own allocations may have taken it since.
struct LastResort {
    memory: UnsafeCell<[u8; LastResort::BYTES]>,
    /// Bytes handed out, in the lower half; how many pieces of them are in use, above. Without any it is whole again.
    state: AtomicU64,
}

static LAST_RESORT: LastResort =
    LastResort { memory: UnsafeCell::new([0; LastResort::BYTES]), state: AtomicU64::new(0) };

// SAFETY: every byte is handed out to one piece at a time, by an atomic.
unsafe impl Sync for LastResort {}

impl LastResort {
    const BYTES: usize = 65_536;
    const PIECE: u64 = 1 << 32;

    fn start(&self) -> usize {
        self.memory.get() as usize
    }

    fn owns(&self, pointer: *mut u8) -> bool {
        (pointer as usize).wrapping_sub(self.start()) < Self::BYTES
    }

    fn alloc(&self, layout: Layout) -> *mut u8 {
        let place = |state: u64| {
            let used = self.start() + state as u32 as usize;
            used.next_multiple_of(layout.align()) - self.start()
        };
        let taken = self.state.fetch_update(Relaxed, Relaxed, |state| {
            let end = place(state).checked_add(layout.size()).filter(|&end| end <= Self::BYTES)?;
            Some((state & !(Self::PIECE - 1)) + Self::PIECE + end as u64)
        });
        // SAFETY: the piece lies within the memory.
        taken.map_or(null_mut(), |state| unsafe { self.memory.get().cast::<u8>().add(place(state)) })
    }

    fn dealloc(&self) {
        let freed = |state: u64| Some(if state < 2 * Self::PIECE { 0 } else { state - Self::PIECE });
        let _ = self.state.fetch_update(Relaxed, Relaxed, freed);
    }
}

/// Gives the reserve back while PostgreSQL reports that its own allocator found no memory: pgrx copies every error of a
/// PostgreSQL function that Rust called into fresh memory, and where there is none for that either, PostgreSQL ends all sessions
/// ("ERRORDATA_STACK_SIZE exceeded").
unsafe extern "C-unwind" fn make_room_for_an_error(_: *mut c_void) {
    unsafe extern "C-unwind" {
        fn geterrcode() -> c_int;
    }
    // SAFETY: PostgreSQL calls this only while it reports an error. Not pgrx's guarded form, which would copy it.
    if unsafe { geterrcode() } == PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY as c_int {
        give_back();
    }
}

/// An entry of PostgreSQL's list of those who have something to say about an error.
struct Entry(UnsafeCell<pg_sys::ErrorContextCallback>);

// SAFETY: the list is for PostgreSQL's one thread, and the entry is changed by nobody else.
unsafe impl Sync for Entry {}

static ENTRY: Entry = Entry(UnsafeCell::new(pg_sys::ErrorContextCallback {
    previous: null_mut(),
    callback: Some(make_room_for_an_error),
    arg: null_mut(),
}));

/// Puts the entry at the end of the list unless it is there. It stays. At the front, or anywhere else before an entry of
/// PostgreSQL's, it would be taken out in place of that one: some owners take out whatever is first.
fn enter() {
    let entry = ENTRY.0.get();
    // SAFETY: entries in the list are live until their owners take them out, and every one knows the next by this field only.
    unsafe {
        let mut end = &raw mut pg_sys::error_context_stack;
        while !(*end).is_null() && *end != entry {
            end = &raw mut (**end).previous;
        }
        *end = entry;
    }
}

/// Takes the reserve where it was given back, or ends the statement. Called before anything is allocated.
#[inline]
pub fn ensure_reserve() {
    enter();
    if TAKEN.load(Relaxed).is_null() && !take() {
        no_reserve();
    }
}

#[cold]
fn no_reserve() -> ! {
    raise(
        Error::new(ErrorKind::OutOfMemory, "out of memory: the session has used up what it may have")
            .hint("Work on smaller values, or allow the server process more memory."),
    )
}

/// Ends the statement where it was cancelled, or has no memory left. PostgreSQL's error unwinds from here.
fn check() {
    ensure_reserve();
    check_for_interrupts!();
}

/// PostgreSQL calls this when it loads the library.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    host::set(Host { check, fail: raise });
    // Where there is no memory even now, the first call says so.
    take();
}
