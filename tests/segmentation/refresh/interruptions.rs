//! A refresh that is rolled back, prepared, fails, or is stopped at any of its steps loses nothing.

use super::shops::*;
use super::*;
use postgres::NoTls;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_refresh_that_is_rolled_back_changes_nothing() {
    let database = Database::new("refresh_rollback");
    let mut client = quiet(&database);
    small_shop(&mut client);
    let (before, noted) = (contents(&mut client), notes(&mut client));
    assert_ne!(noted, "");
    for sql in [
        "BEGIN; SELECT refresh_segmentation('shop'); ROLLBACK",
        "BEGIN; SAVEPOINT s; SELECT refresh_segmentation('shop'); ROLLBACK TO s; SELECT refresh_segmentation('shop'); ROLLBACK",
        "BEGIN; SELECT alter_segmentation('shop', time_zone => 'Asia/Tokyo'); SELECT drop_segmentation('shop'); ROLLBACK",
    ] {
        batch(&mut client, sql);
        assert_eq!(contents(&mut client), before, "{sql}");
        assert_eq!(notes(&mut client), noted, "{sql}");
    }
    batch(&mut client, "SET statement_timeout = 30");
    let (sqlstate, ..) = expect_error(&mut client, "BEGIN; SELECT refresh_segmentation('shop'); SELECT pg_sleep(1)");
    batch(&mut client, "RESET statement_timeout");
    assert_eq!(sqlstate, "57014");
    assert_eq!((contents(&mut client), notes(&mut client)), (before, noted));
    refresh(&mut client);
    SIMPLE.assert_rebuilt(&mut client, "in the end");
}

/// A refresh is a part of a prepared transaction like any other change: nothing of it is temporary.
#[test]
fn a_refresh_is_prepared_and_committed_later() {
    let database = Database::new("refresh_prepared");
    let mut client = quiet(&database);
    small_shop(&mut client);
    let name = &database.name;
    let before = contents(&mut client);
    batch(&mut client, &format!("BEGIN; SELECT refresh_segmentation('shop'); PREPARE TRANSACTION '{name}'"));
    assert_eq!(contents(&mut client), before);
    // Its locks stay: writers go on, another refresh does not.
    batch(&mut client, "INSERT INTO orders VALUES (9101, 's1', 3, '2026-06-02', 100)");
    assert_eq!(expect_error(&mut client, "SELECT refresh_segmentation('shop', wait => false)").0, "55P03");
    batch(&mut client, &format!("COMMIT PREPARED '{name}'"));
    assert_ne!(contents(&mut client), before);
    refresh(&mut client);
    assert!(!one::<bool>(&mut client, "SELECT rebuilt FROM shop_status"));
    SIMPLE.assert_rebuilt(&mut client, "after a prepared one");
    batch(
        &mut client,
        &format!(
            "BEGIN; DELETE FROM orders WHERE id = 9101; SELECT refresh_segmentation('shop'); PREPARE TRANSACTION '{name}'"
        ),
    );
    batch(&mut client, &format!("ROLLBACK PREPARED '{name}'"));
    SIMPLE.assert_rebuilt(&mut client, "after one that was rolled back");
}

/// What cannot be refreshed says why; the views stay as they were and readable, and the notes wait for the next refresh.
#[test]
fn a_step_that_fails_leaves_everything_as_it_was() {
    let database = Database::new("refresh_fails");
    let mut client = quiet(&database);
    small_shop(&mut client);
    batch(&mut client, "DROP TRIGGER add_person ON orders");
    for (sql, back, sqlstate, part) in [
        (
            "UPDATE orders SET amount = 'NaN' WHERE id = 9001",
            "UPDATE orders SET amount = 5 WHERE id = 9001",
            "22003",
            "NaN",
        ),
        (
            "ALTER TABLE orders ALTER ordered_at TYPE timestamptz; INSERT INTO orders VALUES (9009, 's', 9, 'infinity', 1)",
            "DELETE FROM orders WHERE id = 9009",
            "22008",
            "finite",
        ),
        (
            "INSERT INTO orders VALUES (9009, 's', 9, '2025-01-01', 1e40)",
            "DELETE FROM orders WHERE id = 9009",
            "22003",
            "38 digits",
        ),
        (
            "ALTER TABLE orders RENAME amount TO amounts; INSERT INTO orders (id, customer_id, ordered_at) VALUES (9010, 5, '2025-05-05')",
            "ALTER TABLE orders RENAME amounts TO amount",
            "42703",
            "amount",
        ),
        (
            "ALTER TABLE orders RENAME customer_id TO customer; UPDATE orders SET amount = 8 WHERE id = 9010",
            "ALTER TABLE orders RENAME customer TO customer_id",
            "42703",
            "customer_id",
        ),
        (
            "ALTER TABLE orders RENAME TO sales; DELETE FROM sales WHERE id = 9010",
            "ALTER TABLE sales RENAME TO orders",
            "42P01",
            "orders",
        ),
        (
            "UPDATE orders SET amount = 99 WHERE id = 9001; ALTER TABLE shop_histories ADD CHECK (orders(history, '2026-06-30') < 1) NOT VALID",
            "ALTER TABLE shop_histories DROP CONSTRAINT shop_histories_history_check",
            "23514",
            "shop_histories",
        ),
    ] {
        batch(&mut client, sql);
        let (before, noted) = (contents(&mut client), notes(&mut client));
        let (found, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
        assert_eq!(found, sqlstate, "{message}: {sql}");
        assert!(message.starts_with("segmentation \"shop\": ") && message.contains(part), "{message}: {sql}");
        assert_ne!(hint, "", "{message}");
        assert_eq!((contents(&mut client), notes(&mut client)), (before, noted), "{sql}");
        batch(&mut client, back);
        refresh(&mut client);
        SIMPLE.assert_rebuilt(&mut client, back);
    }
}

/// Where a refresh can be stopped: what another session does so that the step has to wait.
const STEPS: [(&str, &str); 16] = [
    ("settings", "LOCK TABLE shop_settings IN ROW SHARE MODE"),
    ("notes", "LOCK TABLE shop_noted IN SHARE MODE"),
    ("customers' table", "LOCK TABLE members IN ACCESS EXCLUSIVE MODE"),
    ("orders", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"),
    ("histories", "LOCK TABLE shop_histories IN SHARE MODE"),
    ("events", "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"),
    ("engagement", "LOCK TABLE shop_engagement IN SHARE MODE"),
    ("profiles", "LOCK TABLE shop_profiles IN SHARE MODE"),
    ("policies", "LOCK TABLE shop_policies IN SHARE MODE"),
    ("status", "LOCK TABLE shop_status IN SHARE MODE"),
    ("customers", "COMMENT ON MATERIALIZED VIEW shop_customers IS 'x'"),
    ("segments", "COMMENT ON MATERIALIZED VIEW shop_segments IS 'x'"),
    ("movement", "COMMENT ON MATERIALIZED VIEW shop_movement IS 'x'"),
    ("cohorts", "COMMENT ON MATERIALIZED VIEW shop_cohorts IS 'x'"),
    ("actions", "COMMENT ON MATERIALIZED VIEW shop_actions IS 'x'"),
    ("triggers", "LOCK TABLE p_next IN ROW EXCLUSIVE MODE"),
];

/// Stops a refresh at a step, lets `meanwhile` do something to its backend, and returns how the refresh ended.
fn stopped_at(
    connect: &dyn Fn() -> Client,
    block: &str,
    meanwhile: impl FnOnce(&mut Client, &mut Client, i32),
) -> Result<(), postgres::Error> {
    let [mut blocker, mut watcher, mut refresher] = [connect(), connect(), connect()];
    batch(&mut blocker, &format!("BEGIN; {block}"));
    let backend = backend(&mut refresher);
    let refreshing = thread::spawn(move || refresher.batch_execute("SELECT rfm.refresh_segmentation('shop')"));
    wait_until_blocked(&mut watcher, backend);
    meanwhile(&mut watcher, &mut blocker, backend);
    refreshing.join().expect("the refresher does not panic")
}

/// At every step readers read, what they read is of before, and their open transactions do not stop the refresh.
#[test]
fn readers_wait_at_no_step() {
    let database = Database::new("refresh_readers");
    let mut client = quiet(&database);
    large_shop(&mut client);
    let mut random = Random::new(12);
    for (step, block) in STEPS {
        more_of_everything(&mut client, &mut random, step);
        let before = contents(&mut client);
        let mut reader = quiet(&database);
        stopped_at(&|| quiet(&database), block, |_, blocker, _| {
            batch(&mut reader, "SET lock_timeout = 1; BEGIN ISOLATION LEVEL REPEATABLE READ");
            assert_eq!(contents(&mut reader), before, "{step}");
            batch(
                &mut reader,
                "SELECT count(*) FROM shop_facts; SELECT count(*) FROM shop_customers_today; TABLE segmentations",
            );
            batch(blocker, "ROLLBACK");
        })
        .unwrap_or_else(|error| panic!("{step}: {error:?}"));
        // Still the same for the reader, whose transaction goes on; others see the new rows.
        assert_eq!(contents(&mut reader), before, "{step}");
        assert_ne!(contents(&mut client), before, "{step}");
        EVERYTHING.assert_histories(&mut client, step);
    }
    EVERYTHING.assert_rebuilt(&mut client, "in the end");
}

/// Ends a backend and waits until it has ended; up to PostgreSQL 13 no function does both.
fn terminate(watcher: &mut Client, backend: i32) {
    assert!(one::<bool>(watcher, &format!("SELECT pg_terminate_backend({backend})")));
    let is_there = format!("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {backend})");
    let start = Instant::now();
    while one::<bool>(watcher, &is_there) {
        assert!(start.elapsed() < Duration::from_secs(10), "{backend} goes on");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn terminated_at_every_step() {
    let database = Database::new("refresh_terminated");
    let mut client = quiet(&database);
    large_shop(&mut client);
    let mut random = Random::new(13);
    for (step, block) in STEPS {
        more_of_everything(&mut client, &mut random, step);
        let (before, noted) = (contents(&mut client), notes(&mut client));
        let ended = stopped_at(&|| quiet(&database), block, |watcher, blocker, backend| {
            terminate(watcher, backend);
            batch(blocker, "ROLLBACK");
        });
        assert!(ended.is_err(), "{step}: the refresh was terminated");
        assert_eq!((contents(&mut client), notes(&mut client)), (before, noted), "{step}");
        refresh(&mut client);
        EVERYTHING.assert_histories(&mut client, step);
    }
    EVERYTHING.assert_rebuilt(&mut client, "in the end");
}

/// A server of its own, because all sessions of a server end with a backend that is killed. It goes when its standard input ends.
struct Server {
    process: Child,
    host: String,
}

impl Server {
    fn start() -> Server {
        let mut process = Command::new(file("tests/support/cluster.sh"))
            // A commit that was not waited for may be lost with the backend: that is not what is tested.
            .env("PG_RFM_SETTINGS", "synchronous_commit=on")
            .args(["run", "kill", "bash", "-c", "echo \"$PGHOST\"; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cluster.sh starts");
        let mut host = String::new();
        BufReader::new(process.stdout.as_mut().expect("a pipe")).read_line(&mut host).expect("cluster.sh says where");
        assert!(!host.is_empty(), "the server did not start");
        Server { process, host: host.trim_end().to_owned() }
    }

    /// A connection, as soon as the server takes one.
    fn connect(&self) -> Client {
        let connection = format!("host='{}' port=5432 user=postgres dbname=postgres", self.host);
        for _ in 0..600 {
            if let Ok(mut client) = Client::connect(&connection, NoTls)
                && client.batch_execute("SET search_path = public, rfm; SET client_min_messages = warning").is_ok()
            {
                return client;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not come back");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Returns when the server has noticed, and ended the other sessions.
fn kill(backend: i32, other: &mut Client) {
    let status = Command::new("kill").args(["-KILL", &backend.to_string()]).status().expect("kill starts");
    assert!(status.success());
    while other.batch_execute("SELECT pg_sleep(0.01)").is_ok() {}
}

#[test]
fn killed_at_every_step() {
    let server = Server::start();
    let mut client = server.connect();
    batch(&mut client, "CREATE SCHEMA rfm; CREATE EXTENSION pg_rfm SCHEMA rfm");
    large_shop(&mut client);
    let mut random = Random::new(14);
    for (step, block) in STEPS {
        more_of_everything(&mut client, &mut random, step);
        let (before, noted) = (contents(&mut client), notes(&mut client));
        let ended = stopped_at(&|| server.connect(), block, |watcher, _, backend| kill(backend, watcher));
        assert!(ended.is_err(), "{step}: the refresh was killed");
        client = server.connect();
        assert_eq!((contents(&mut client), notes(&mut client)), (before, noted), "{step}");
        refresh(&mut client);
        EVERYTHING.assert_rebuilt(&mut client, step);
    }
    // Everything done, but not committed.
    more_of_everything(&mut client, &mut random, "commit");
    let (before, noted) = (contents(&mut client), notes(&mut client));
    let mut refresher = server.connect();
    batch(&mut refresher, "BEGIN; SELECT refresh_segmentation('shop')");
    let backend = backend(&mut refresher);
    kill(backend, &mut client);
    assert!(refresher.batch_execute("COMMIT").is_err());
    client = server.connect();
    assert_eq!((contents(&mut client), notes(&mut client)), (before, noted));
    refresh(&mut client);
    EVERYTHING.assert_rebuilt(&mut client, "commit");
    assert_nothing_left(&mut client, "in the end");
}
