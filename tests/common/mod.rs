//! What the tests share: a database of their own in the throwaway PostgreSQL that `make test` starts.
#![allow(dead_code)] // every test file uses another part of it

mod random;
mod roles;

pub use postgres::Client;
pub use random::Random;
pub use roles::Roles;

use postgres::NoTls;
use postgres::types::FromSqlOwned;
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Taken while the template database is made; any number nobody else uses.
const TEMPLATE_LOCK: i64 = 7_236_001;

/// A database with pg_rfm in schema `rfm` and `search_path = public, rfm`. Dropped with the value.
pub struct Database {
    pub name: String,
}

impl Database {
    /// `name` is a part of the database's name: say what is tested.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut server = connect("postgres");
        let template = template(&mut server);
        batch(&mut server, &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        // Settings of a database are not copied with it.
        batch(&mut server, &format!("ALTER DATABASE {name} SET search_path = public, rfm"));
        Database { name }
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        connect(&self.name)
    }

    /// What psql prints for `sql` (unaligned, tuples only). It may hold several statements and psql's own commands.
    pub fn psql(&self, sql: &str) -> String {
        let mut psql = program("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", &self.name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql starts");
        // Written by a thread of its own: psql may answer before it has read everything.
        let mut stdin = psql.stdin.take().expect("psql has a stdin");
        let input = sql.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = psql.wait_with_output().expect("psql ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql failed: {errors}\n{sql}");
        writer.join().expect("the writer ends").expect("psql reads everything");
        String::from_utf8(output.stdout).expect("psql prints UTF-8")
    }

    /// Loads a CSV file with a header (`.gz` or not) into `target`: a table, or a table and its columns.
    pub fn copy_csv(&self, target: &str, csv: &Path) -> u64 {
        let file = File::open(csv).unwrap_or_else(|error| panic!("{}: {error}", csv.display()));
        let mut reader: Box<dyn Read> = match csv.extension() {
            Some(extension) if extension == "gz" => Box::new(flate2::read::MultiGzDecoder::new(file)),
            _ => Box::new(file),
        };
        let mut client = self.client();
        let mut copy = client
            .copy_in(&format!("COPY {target} FROM STDIN (FORMAT csv, HEADER)"))
            .unwrap_or_else(|error| panic!("COPY {target}: {error}"));
        io::copy(&mut reader, &mut copy).unwrap_or_else(|error| panic!("{}: {error}", csv.display()));
        copy.finish().unwrap_or_else(|error| panic!("{}: {error}", csv.display()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = Client::connect(&connection("postgres"), NoTls)
            .and_then(|mut server| server.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)));
        if let Err(error) = dropped {
            eprintln!("database {} stays: {error}", self.name);
        }
    }
}

/// A program of the tested PostgreSQL: psql, pg_dump, pg_restore, pgbench.
pub fn program(name: &str) -> Command {
    Command::new(Path::new(&variable("PG_RFM_BINDIR")).join(name))
}

/// The folder with the large data sets, or None: say then plainly that the test was skipped.
pub fn shared() -> Option<PathBuf> {
    let folder = env::var_os("PG_RFM_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

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

/// SQLSTATE, message and hint (empty where there is none) of the error that `sql` must give.
/// Also checks that the session goes on after it.
#[track_caller]
pub fn expect_error(client: &mut Client, sql: &str) -> (String, String, String) {
    let error = match client.batch_execute(sql) {
        Ok(()) => panic!("no error: {sql}"),
        Err(error) => error,
    };
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {sql}"));
    batch(client, "ROLLBACK"); // a warning only, outside a transaction
    assert_eq!(1_i32, client.query_one("SELECT 1", &[]).expect("the session goes on").get::<_, i32>(0));
    (error.code().code().to_owned(), error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

/// Executes `sql` and panics with the server's whole error.
#[track_caller]
pub fn batch(client: &mut Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql) {
        match error.as_db_error() {
            Some(error) => panic!("{error:#?}\n{sql}"),
            None => panic!("{error}\n{sql}"),
        }
    }
}

/// A connection that hears no notices.
pub fn quiet(database: &Database) -> Client {
    let mut client = database.client();
    batch(&mut client, "SET client_min_messages = warning");
    client
}

/// The first column of the only row.
#[track_caller]
pub fn one<T: FromSqlOwned>(client: &mut Client, sql: &str) -> T {
    client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{error:?}: {sql}")).get(0)
}

/// A text, empty where it is NULL.
#[track_caller]
pub fn text(client: &mut Client, sql: &str) -> String {
    one::<Option<String>>(client, sql).unwrap_or_default()
}

#[track_caller]
pub fn count(client: &mut Client, sql: &str) -> i64 {
    one(client, sql)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: this test needs a PostgreSQL, run `make test`"))
}

fn connection(database: &str) -> String {
    let [host, port, user] = ["PGHOST", "PGPORT", "PGUSER"].map(variable);
    format!("host='{host}' port={port} user={user} dbname={database}")
}

fn connect(database: &str) -> Client {
    Client::connect(&connection(database), NoTls)
        .unwrap_or_else(|error| panic!("cannot connect to {database}: {error}"))
}

/// The database with the extension that all others are copied from, made once per install script: CREATE EXTENSION is slow.
fn template(server: &mut Client) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(concat!("sql/pg_rfm--", env!("CARGO_PKG_VERSION"), ".sql"));
    let mut hash = DefaultHasher::new();
    fs::read(&script).unwrap_or_else(|error| panic!("{}: {error}", script.display())).hash(&mut hash);
    let name = format!("pg_rfm_template_{:016x}", hash.finish());

    // Many tests, in threads and processes, come here at the same time.
    batch(server, &format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})"));
    // Ready when it lets nobody in any more, which is the last step: whoever is connected to it blocks its copying.
    let ready = "SELECT NOT datallowconn FROM pg_database WHERE datname = $1";
    let ready = server.query_opt(ready, &[&name]).expect("pg_database can be read").is_some_and(|row| row.get(0));
    if !ready {
        batch(server, &format!("DROP DATABASE IF EXISTS {name}"));
        batch(server, &format!("CREATE DATABASE {name} TEMPLATE template0"));
        batch(&mut connect(&name), "CREATE SCHEMA rfm; CREATE EXTENSION pg_rfm SCHEMA rfm");
        batch(server, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    }
    batch(server, &format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})"));
    name
}
