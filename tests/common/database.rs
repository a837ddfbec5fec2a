//! A database of its own for each test, in the throwaway PostgreSQL that `make test` starts.

use super::files::file;
use super::programs::{fed, program};
use super::queries::batch;
use super::server::{connect, connection};
use postgres::{Client, NoTls};
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::path::Path;
use std::process;
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
        let mut server = connect("postgres");
        let template = template(&mut server);
        let database = Self::create(&mut server, name, &format!("TEMPLATE {template}"));
        // Settings of a database are not copied with it. Compiling the queries of the tests takes longer than running them.
        let name = &database.name;
        batch(
            &mut server,
            &format!("ALTER DATABASE {name} SET search_path = public, rfm; ALTER DATABASE {name} SET jit = off"),
        );
        database
    }

    /// A database without the extension, as CREATE DATABASE makes it.
    pub fn empty(name: &str) -> Self {
        Self::create(&mut connect("postgres"), name, "")
    }

    fn create(server: &mut Client, name: &str, options: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        batch(server, &format!("CREATE DATABASE {name} {options}"));
        Database { name }
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        connect(&self.name)
    }

    /// What psql prints for `sql` (unaligned, tuples only). It may hold several statements and psql's own commands.
    pub fn psql(&self, sql: &str) -> String {
        let mut psql = program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", &self.name]);
        let output = fed(&mut psql, sql);
        assert!(output.status.success(), "psql failed: {}\n{sql}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("psql prints UTF-8")
    }

    /// What the server says beside the result of `sql`: notices, warnings, an error.
    pub fn said(&self, sql: &str) -> String {
        let psql = program("psql").args(["-X", "-q", "-d", &self.name, "-c", sql]).output().expect("psql starts");
        String::from_utf8_lossy(&psql.stderr).into_owned()
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

/// A connection that hears no notices.
pub fn quiet(database: &Database) -> Client {
    let mut client = database.client();
    batch(&mut client, "SET client_min_messages = warning");
    client
}

/// The database with the extension that all others are copied from, made once per install script: CREATE EXTENSION is slow.
fn template(server: &mut Client) -> String {
    let script = file(concat!("sql/pg_rfm--", env!("CARGO_PKG_VERSION"), ".sql"));
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
