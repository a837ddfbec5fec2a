//! Limiting the memory of a session.

use crate::common::*;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What a statement may answer besides a result: an error that says what is wrong. 57014 is the test's own timeout.
pub const ANSWERS: &[&str] =
    &["53200", "54000", "22P02", "22P03", "22023", "22003", "22008", "0A000", "57014", "21000"];

/// Lets a process take so many kilobytes more than it has, or as many as it likes; `false` where that cannot be done here.
pub fn limit(process: i32, kilobytes: Option<u64>) -> bool {
    let (Some(size), Ok(owner)) = (memory(&process.to_string(), "VmSize"), fs::metadata(format!("/proc/{process}")))
    else {
        return false;
    };
    let bytes = kilobytes.map_or("unlimited".to_owned(), |kilobytes| ((size + kilobytes) << 10).to_string());
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &process.to_string(), &format!("--as={bytes}:unlimited")]);
    // Root without all its rights may become the server's user, who may.
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != owner.uid()) {
        prlimit.uid(owner.uid()).gid(owner.gid()).current_dir("/");
    }
    prlimit.status().is_ok_and(|status| status.success())
}

/// Limits the memory of a session once its library is loaded: to so many kilobytes more than it has. Its process; `None`,
/// said in words, where that cannot be done here.
pub fn limited(client: &mut Client, kilobytes: u64) -> Option<i32> {
    batch(
        client,
        "SET statement_timeout = '10s'; SET max_parallel_workers_per_gather = 0; SET client_min_messages = error;
         SELECT recency_days('{}'::purchase_history, '2024-01-01')",
    );
    let process = backend(client);
    if limit(process, Some(kilobytes)) {
        return Some(process);
    }
    eprintln!(
        "skipped: the memory of a server process cannot be limited here (needs Linux, prlimit and the server's user)"
    );
    None
}

/// The SQLSTATE of an answer, empty for a result. Anything but an answer fails the test.
#[track_caller]
pub fn state_of<T>(outcome: Result<T, postgres::Error>, what: &str, megabytes: u64) -> String {
    let Err(error) = outcome else { return String::new() };
    let Some(error) = error.as_db_error() else {
        panic!("with {megabytes} MB the server died: {error}: {what}");
    };
    let state = error.code().code();
    assert!(ANSWERS.contains(&state), "with {megabytes} MB: {state} {}: {what}", error.message());
    state.to_owned()
}

/// What the other tests ask at the end: a session that was there before still is.
pub fn assert_alive(watcher: &mut Client) {
    assert_eq!(one::<i32>(watcher, "SELECT 1"), 1);
}
