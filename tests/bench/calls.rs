//! Calls of the functions of segmentations, timed step by step.

use std::process::Stdio;
use std::time::Instant;

use postgres::Client;

use crate::common::{Database, program};

/// Rows and seconds of each step as its NOTICE tells, WAL in MB, seconds of everything.
pub struct Run {
    pub steps: Vec<(String, String, f64)>,
    pub megabytes: f64,
    pub seconds: f64,
}

/// Calls a function of segmentations in a session of its own, as a nightly job does.
pub fn run(database: &Database, client: &mut Client, call: &str) -> Run {
    let before = wal(client);
    let start = Instant::now();
    let output = program("psql")
        .args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            "SHOW_CONTEXT=never",
            "-c",
            &format!("SELECT {call}"),
            &database.name,
        ])
        .stdout(Stdio::null())
        .output()
        .expect("psql runs");
    let seconds = start.elapsed().as_secs_f64();
    let notices = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{notices}");
    // NOTICE:  shop: histories: 499750 rows, 4.84 s
    let steps = notices.lines().filter_map(|line| {
        let (step, figures) = line.strip_prefix("NOTICE:  shop: ")?.split_once(": ")?;
        let (rows, time) = figures.strip_suffix(" s")?.rsplit_once(", ")?;
        Some((step.to_owned(), rows.to_owned(), time.parse().ok()?))
    });
    Run { steps: steps.collect(), megabytes: (wal(client) - before) / 1e6, seconds }
}

fn wal(client: &mut Client) -> f64 {
    let sql = "SELECT (pg_current_wal_lsn() - '0/0')::float8";
    client.query_one(sql, &[]).expect("a position in the WAL").get(0)
}
