//! The machine that a bench runs on.

use std::{fs, thread};

use postgres::Client;

/// Which server on which machine, as a heading.
pub fn describe_machine(client: &mut Client) {
    let first = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let version: String = client.query_one("SHOW server_version", &[]).expect("a version").get(0);
    let cores = thread::available_parallelism().map_or(0, |cores| cores.get());
    let (model, memory) = (first("/proc/cpuinfo", "model name"), first("/proc/meminfo", "MemTotal"));
    println!("# pg_rfm {}, PostgreSQL {version}, {model}, {cores} cores, {memory}", env!("CARGO_PKG_VERSION"));
}
