//! A refresh beside writers and beside another refresh.

use super::shops::*;
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// One less is busy, whatever happened.
struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Writers and a refresher, with transactions that last and some that are rolled back.
#[test]
fn writers_and_a_refresher_at_the_same_time() {
    let database = Database::new("refresh_concurrent");
    let mut client = quiet(&database);
    batch(&mut client, &orders(""));
    SIMPLE.create(&mut client);
    let busy = AtomicUsize::new(4);
    let refreshes = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (database, busy, refreshes) = (&database, &busy, &refreshes);
            scope.spawn(move || {
                let _leaving = Leaving(busy);
                let mut client = quiet(database);
                let mut random = Random::new(100 + seed);
                for number in 0..900 {
                    // On a slow machine they go on until there were refreshes beside them.
                    if number >= 60 && refreshes.load(Ordering::SeqCst) > 2 {
                        break;
                    }
                    let [a, b] = [random.change(), random.change()];
                    let end = random.of(&["COMMIT", "COMMIT", "ROLLBACK"]);
                    let isolation = random.of(&["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]);
                    // A customer of whom nothing else is ever noted: what is lost stays lost.
                    let once = format!(
                        "INSERT INTO orders VALUES ({key}, 's', {key}, '2026-01-01', 1)",
                        key = 10_000 + 1000 * seed + number
                    );
                    let sql =
                        format!("BEGIN ISOLATION LEVEL {isolation}; {a}; {once}; SELECT pg_sleep(0.005); {b}; {end}");
                    if let Err(error) = client.batch_execute(&sql) {
                        // Deadlocks between the writers, and what keys and isolation levels refuse.
                        let code = error.code().map(|code| code.code().to_owned());
                        assert!(
                            matches!(code.as_deref(), Some("40P01" | "40001" | "23505" | "23503")),
                            "{error:?}: {sql}"
                        );
                        batch(&mut client, "ROLLBACK");
                    }
                }
            });
        }
        let (database, busy, refreshes) = (&database, &busy, &refreshes);
        scope.spawn(move || {
            let mut client = quiet(database);
            while busy.load(Ordering::SeqCst) > 0 {
                refresh(&mut client);
                refreshes.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    assert!(refreshes.load(Ordering::SeqCst) > 2);
    refresh(&mut client);
    SIMPLE.assert_rebuilt(&mut client, "after all writers");
    assert_eq!(notes(&mut client), "");
    assert_nothing_left(&mut client, "after all writers");
}

/// A row of long ago is committed after a refresh took the notes and before it reads the orders. Its customer is noted
/// by a row of this month, so it is read although its own note waits for the next refresh.
#[test]
fn rows_that_come_while_a_refresh_runs_count_once() {
    let database = Database::new("refresh_meanwhile");
    let [mut client, mut writer, mut blocker] = [quiet(&database), quiet(&database), quiet(&database)];
    small_shop(&mut client);
    refresh(&mut client);
    let refresher = backend(&mut client);
    for (number, meanwhile) in [
        "INSERT INTO orders VALUES (9011, 's1', 3, '2019-05-05', 100)",
        "UPDATE orders SET ordered_at = '2020-02-02' WHERE id = 9011",
        "DELETE FROM orders WHERE id = 9011",
        "TRUNCATE orders",
    ]
    .into_iter()
    .enumerate()
    {
        batch(&mut writer, &format!("INSERT INTO orders VALUES ({}, 's1', 3, '2026-06-02', 100)", 9100 + number));
        batch(&mut blocker, "BEGIN; LOCK TABLE shop_histories IN SHARE MODE");
        thread::scope(|scope| {
            let refreshing = scope.spawn(|| refresh(&mut client));
            wait_until_blocked(&mut writer, refresher);
            batch(&mut writer, meanwhile);
            batch(&mut blocker, "COMMIT");
            refreshing.join().unwrap();
        });
        assert_ne!(notes(&mut client), "", "{meanwhile}");
        refresh(&mut client);
        SIMPLE.assert_rebuilt(&mut client, meanwhile);
    }
}

#[test]
fn a_second_refresh_waits_or_is_told_so() {
    let database = Database::new("refresh_twice");
    let [mut first, mut second, mut watcher] = [quiet(&database), quiet(&database), quiet(&database)];
    small_shop(&mut first);
    batch(&mut first, "BEGIN; SELECT refresh_segmentation('shop')");
    for call in
        ["refresh_segmentation('shop', wait => false)", "refresh_segmentation('shop', wait => false, \"full\" => true)"]
    {
        let (sqlstate, message, hint) = expect_error(&mut second, &format!("SELECT {call}"));
        assert_eq!(
            (sqlstate.as_str(), message.as_str(), hint.as_str()),
            (
                "55P03",
                "segmentation \"shop\" is being refreshed or changed by another session",
                "Wait for it (wait => true), or try again later."
            )
        );
    }
    let backend = backend(&mut second);
    batch(&mut watcher, "INSERT INTO orders VALUES (9003, 's1', 3, '2026-06-02', 100)"); // writers wait for nobody
    thread::scope(|scope| {
        let waiting = scope.spawn(|| refresh(&mut second));
        wait_until_blocked(&mut watcher, backend);
        batch(&mut first, "COMMIT");
        waiting.join().unwrap();
    });
    SIMPLE.assert_rebuilt(&mut watcher, "after both");
    // alter and drop wait as well.
    for call in ["alter_segmentation('shop', time_zone => 'Asia/Tokyo')", "drop_segmentation('shop')"] {
        batch(&mut first, "BEGIN; SELECT refresh_segmentation('shop')");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| batch(&mut second, &format!("SELECT {call}")));
            wait_until_blocked(&mut watcher, backend);
            batch(&mut first, "COMMIT");
            waiting.join().unwrap();
        });
    }
    assert_eq!(expect_error(&mut first, "SELECT refresh_segmentation('shop')").0, "42704");
}

/// A transaction that sees the orders as they were leaves the notes of what it does not see.
#[test]
fn isolation_levels_lose_nothing() {
    for isolation in ["REPEATABLE READ", "SERIALIZABLE"] {
        let database = Database::new("refresh_isolation");
        let [mut client, mut other] = [quiet(&database), quiet(&database)];
        small_shop(&mut client);
        batch(&mut client, &format!("BEGIN ISOLATION LEVEL {isolation}; CREATE TEMP TABLE seen AS TABLE orders"));
        batch(
            &mut other,
            "UPDATE orders SET customer_id = 3 WHERE id = 9001; INSERT INTO orders VALUES (9003, 's1', 4, '2026-06-02', 100)",
        );
        refresh(&mut client);
        let seen = SIMPLE.by_hand.replace("FROM orders", "FROM seen");
        batch(&mut client, "COMMIT");
        assert_same(&mut client, "shop_histories", &format!("({seen})"), isolation);
        assert_ne!(notes(&mut client), "", "{isolation}: the notes of what it did not see stay");
        refresh(&mut client);
        SIMPLE.assert_rebuilt(&mut client, isolation);

        // A refresh in between: the older transaction is refused, and does not undo it.
        batch(&mut client, &format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM orders"));
        batch(&mut other, "DELETE FROM orders WHERE id = 9001");
        refresh(&mut other);
        let (sqlstate, message, _) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
        assert_eq!(sqlstate, "40001", "{isolation}: {message}");
        SIMPLE.assert_rebuilt(&mut client, isolation);
        assert_nothing_left(&mut client, isolation);
    }
}
