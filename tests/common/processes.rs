//! The server's processes: whose session one is, whether it waits, how much memory it has.

use super::queries::one;
use postgres::Client;
use std::fs;
use std::thread;
use std::time::Duration;

/// The process of a session.
pub fn backend(client: &mut Client) -> i32 {
    one(client, "SELECT pg_backend_pid()")
}

/// Waits until a session waits for a lock.
pub fn wait_until_blocked(client: &mut Client, backend: i32) {
    for _ in 0..3000 {
        let waits = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND wait_event_type = 'Lock'");
        if one::<i64>(client, &waits) == 1 {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing blocks backend {backend}");
}

/// A figure that Linux has of a process (`VmSize`, `VmHWM`) in kB; `None` elsewhere.
pub fn memory(process: &str, figure: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
