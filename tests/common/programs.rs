//! The programs of the tested PostgreSQL.

use super::server::variable;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

/// psql, pg_dump, pg_restore, pgbench.
pub fn program(name: &str) -> Command {
    Command::new(Path::new(&variable("PG_RFM_BINDIR")).join(name))
}

/// Runs a program that must succeed; what it prints.
#[track_caller]
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    succeeded(command, output)
}

/// The same with something to read.
#[track_caller]
pub fn run_with_input(command: &mut Command, input: impl Into<Vec<u8>>) -> Vec<u8> {
    let output = fed(command, input);
    succeeded(command, output)
}

/// Runs a program that reads `input`, whatever comes of it.
pub fn fed(command: &mut Command, input: impl Into<Vec<u8>>) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().expect("the program starts");
    // Written by a thread of its own: the program may answer before it has read everything.
    let (mut stdin, input) = (program.stdin.take().expect("it has a stdin"), input.into());
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = program.wait_with_output().expect("the program ends");
    // One that failed does not read to the end, and says why itself.
    let written = writer.join().expect("the writer ends");
    assert!(written.is_ok() || !output.status.success(), "{command:?} has not read everything: {written:?}");
    output
}

#[track_caller]
fn succeeded(command: &Command, output: Output) -> Vec<u8> {
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
