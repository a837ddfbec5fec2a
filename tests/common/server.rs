//! The tested PostgreSQL: how to reach it, and what it has.

use postgres::{Client, NoTls};
use std::env;

/// Whether the server has what a part of a test needs, which the SQL expression `condition` asks it; where it has not, says in
/// words what is left out. Never ask for its version: what is there may come from an extension, or be left out of a build.
pub fn server_has(condition: &str, left_out: &str) -> bool {
    let answer = connect("postgres").query_one(&format!("SELECT {condition}"), &[]);
    let has: bool = answer.unwrap_or_else(|error| panic!("{error}: {condition}")).get(0);
    if !has {
        eprintln!("SKIPPED: {left_out}: this server has not {condition}");
    }
    has
}

/// Whether an extension that comes with PostgreSQL, in a package of its own at times, is installed there.
pub fn server_has_extension(name: &str, left_out: &str) -> bool {
    server_has(&format!("EXISTS (SELECT FROM pg_available_extensions WHERE name = '{name}')"), left_out)
}

pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: this test needs a PostgreSQL, run `make test`"))
}

pub fn connection(database: &str) -> String {
    let [host, port, user] = ["PGHOST", "PGPORT", "PGUSER"].map(variable);
    format!("host='{host}' port={port} user={user} dbname={database}")
}

pub fn connect(database: &str) -> Client {
    Client::connect(&connection(database), NoTls)
        .unwrap_or_else(|error| panic!("cannot connect to {database}: {error}"))
}
