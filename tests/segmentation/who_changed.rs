//! `NAME_changes` tells who changed: from a copy of the customers of any moment it replays to the present ones.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::*;
use crate::shop::*;
use postgres::fallible_iterator::FallibleIterator;

/// Refreshes, and the feed leads from the copy to the customers.
#[track_caller]
fn refresh_and_replay(client: &mut Client, call: &str) {
    batch(client, &format!("SELECT {call}"));
    assert_replays(client, "customer_id", call);
}

#[test]
fn the_feed_replays_whatever_the_refresh_is() {
    let (_database, mut client) = shop("changes_replay");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_changes"), 0, "making it tells of nobody");
    copy_customers(&mut client, "customer_id");
    let told = |client: &mut Client| count(client, "SELECT coalesce(max(change_id), 0) FROM shop_changes");
    let mut last = 0;
    for (change, call) in [
        (
            "INSERT INTO sales.orders VALUES (1001, 3, '2026-06-20', 500), (1002, 777, '2026-06-21', 9)",
            "refresh_segmentation('shop')",
        ),
        ("DELETE FROM sales.orders WHERE customer_id = 5", "refresh_segmentation('shop')"),
        ("SELECT", "refresh_segmentation('shop', as_of => '2026-08-15')"),
        ("SELECT", "refresh_segmentation('shop', as_of => '2025-02-01')"),
        (
            "DELETE FROM sales.orders WHERE customer_id = 6",
            "refresh_segmentation('shop', as_of => '2026-06-30', \"full\" => true)",
        ),
        ("SELECT", "alter_segmentation('shop', policy => 'occasional')"),
        ("SELECT", "alter_segmentation('shop', reset => '{policy}')"),
        ("SELECT", "alter_segmentation('shop', order_filter => 'customer_id <> 8')"),
        // These make NAME_customers anew.
        ("DELETE FROM sales.orders WHERE customer_id = 9", "alter_segmentation('shop', time_zone => 'Asia/Tokyo')"),
        (
            "DELETE FROM sales.orders WHERE customer_id = 10",
            "alter_segmentation('shop', track => 'none', order_filter => 'amount > 30')",
        ),
        ("DELETE FROM sales.orders WHERE customer_id = 11", "refresh_segmentation('shop')"),
        ("DELETE FROM sales.orders WHERE customer_id = 12", "alter_segmentation('shop', track => 'trigger')"),
        // A restored NAME_customers without its rows.
        (
            "REFRESH MATERIALIZED VIEW shop_customers WITH NO DATA; DELETE FROM sales.orders WHERE customer_id = 13",
            "refresh_segmentation('shop')",
        ),
        (
            "REFRESH MATERIALIZED VIEW shop_customers WITH NO DATA; DELETE FROM sales.orders WHERE customer_id = 14",
            "alter_segmentation('shop', order_id => 'order_no')",
        ),
    ] {
        batch(&mut client, change);
        refresh_and_replay(&mut client, call);
        let now = told(&mut client);
        assert!(now > last, "{change}; {call}: {now} after {last}");
        last = now;
        batch(
            &mut client,
            "SELECT refresh_segmentation('shop', as_of => (SELECT as_of FROM shop_status));
             SELECT refresh_segmentation('shop', as_of => (SELECT as_of FROM shop_status), \"full\" => true)",
        );
        assert_eq!(told(&mut client), last, "{change}; {call}: nothing has changed since");
    }
    // Labels are no values.
    batch(&mut client, "SELECT alter_segmentation('shop', lang => 'ja')");
    assert_eq!(told(&mut client), last);
    // The day, and one moment for all that a refresh found.
    batch(
        &mut client,
        "DELETE FROM sales.orders WHERE customer_id < 4; SELECT refresh_segmentation('shop', as_of => '2026-07-01')",
    );
    let days = format!(
        "SELECT string_agg(DISTINCT concat(as_of, changed_at <= clock_timestamp()), ',') FROM shop_changes WHERE change_id > {last}"
    );
    assert_eq!(text(&mut client, &days), "2026-07-01t");
    assert_eq!(
        count(&mut client, &format!("SELECT count(DISTINCT changed_at) FROM shop_changes WHERE change_id > {last}")),
        1
    );
    let whats = "SELECT string_agg(DISTINCT what, ',' ORDER BY what) FROM shop_changes";
    assert_eq!(text(&mut client, whats), "lifecycle_state,next_action,rfm_segment,vip_tier");
    // Who came and who went.
    batch(
        &mut client,
        "SELECT refresh_segmentation('shop', as_of => '2026-07-01'); INSERT INTO sales.orders VALUES (5001, 5000, '2026-06-30', 99); SELECT refresh_segmentation('shop', as_of => '2026-07-01')",
    );
    let new = "SELECT string_agg(concat_ws(' ', what, from_value, '>', to_value), ', ' ORDER BY change_id) FROM shop_changes WHERE customer_id = 5000";
    assert_eq!(
        text(&mut client, new),
        "lifecycle_state > new, rfm_segment > first_timers, vip_tier > regular, next_action > onboard"
    );
    batch(
        &mut client,
        "DELETE FROM sales.orders WHERE customer_id = 5000; SELECT refresh_segmentation('shop', as_of => '2026-07-01')",
    );
    let gone = "SELECT count(*) FROM shop_changes WHERE customer_id = 5000 AND to_value IS NULL";
    assert_eq!(count(&mut client, gone), 4);
}

/// Another key is another table: changes of before were of other customers.
#[test]
fn the_feed_begins_anew_with_another_key() {
    let (_database, mut client) = shop("changes_key");
    batch(&mut client, "DELETE FROM sales.orders WHERE customer_id < 9");
    refresh(&mut client);
    let columns = "SELECT string_agg(format('%s %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
                   FROM pg_attribute WHERE attrelid = 'shop_changes'::regclass AND attnum > 0";
    let rest = "what text, from_value text, to_value text";
    let head = "change_id bigint, changed_at timestamp with time zone, as_of date";
    assert_eq!(text(&mut client, columns), format!("{head}, customer_id integer, {rest}"));
    assert!(count(&mut client, "SELECT count(*) FROM shop_changes") > 0);
    batch(&mut client, "SELECT alter_segmentation('shop', tenant => 'order_no')");
    assert_eq!(text(&mut client, columns), format!("{head}, order_no integer, customer_id integer, {rest}"));
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_changes"), 0);
    copy_customers(&mut client, "order_no, customer_id");
    batch(&mut client, "DELETE FROM sales.orders WHERE customer_id = 20; SELECT refresh_segmentation('shop')");
    assert_replays(&mut client, "order_no, customer_id", "with a tenant");
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', reset => '{tenant}');
         ALTER TABLE sales.orders ALTER customer_id TYPE text; SELECT alter_segmentation('shop')",
    );
    assert_eq!(text(&mut client, columns), format!("{head}, customer_id text, {rest}"));
    let silent = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'shop_changes'::regclass AND attnum > 0 AND col_description(attrelid, attnum) IS NULL";
    assert_eq!(count(&mut client, silent), 0);
}

/// What the feed told every few days of a month is what the reports say of the month by hand.
#[test]
fn the_feed_agrees_with_movement_and_transitions() {
    let (_database, mut client) = with_orders("changes_movement");
    batch(&mut client, &CREATE.replace("2026-06-30", "2025-05-31"));
    batch(&mut client, "SELECT refresh_segmentation('shop')");
    copy_customers(&mut client, "customer_id");
    for day in (3..=30).step_by(3) {
        batch(&mut client, &format!("SELECT refresh_segmentation('shop', as_of => '2025-06-{day:02}')"));
    }
    assert_replays(&mut client, "customer_id", "after a month");
    let told = "SELECT what, coalesce(c.from_value, 'prospect') AS from_value, coalesce(c.to_value, 'prospect') AS to_value, count(*) FROM (
                    SELECT what, (array_agg(from_value ORDER BY change_id))[1] AS from_value,
                           (array_agg(to_value ORDER BY change_id DESC))[1] AS to_value
                    FROM shop_changes WHERE what <> 'next_action' GROUP BY customer_id, what) AS c
                WHERE c.from_value IS DISTINCT FROM c.to_value GROUP BY 1, 2, 3";
    let reported = "SELECT dimension, from_value, to_value, customers FROM shop_transitions
                    WHERE to_day = '2025-06-30' AND from_value <> to_value";
    assert_same_rows(&mut client, "transitions", told, reported, 5);
    let of_states = format!("SELECT from_value, to_value, count FROM ({told}) AS t WHERE what = 'lifecycle_state'");
    let moved = "SELECT from_state, to_state, customers FROM shop_movement
                 WHERE to_day = '2025-06-30' AND from_state <> to_state";
    assert_same_rows(&mut client, "movement", &of_states, moved, 3);
}

/// Two sessions refresh at once, with transactions that last and some that are rolled back: whoever asks for what came since the
/// last change seen gets each of them once.
#[test]
fn a_reader_of_what_came_since_misses_nothing() {
    let (database, mut client) = shop("changes_reader");
    batch(&mut client, "CREATE TABLE seen (change_id bigint PRIMARY KEY)");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut client = quiet(&database);
            loop {
                let was_over = is_over.load(Ordering::SeqCst);
                batch(
                    &mut client,
                    "INSERT INTO seen SELECT change_id FROM shop_changes
                     WHERE change_id > (SELECT coalesce(max(change_id), 0) FROM seen)",
                );
                if was_over {
                    break;
                }
            }
        });
        let refreshers = [0, 1].map(|seed| {
            let database = &database;
            scope.spawn(move || {
                let mut client = quiet(database);
                let mut random = Random::new(seed);
                for _ in 0..25 {
                    let day = random.of(&["2026-06-30", "2026-08-31", "2025-12-31"]);
                    let end = random.of(&["COMMIT", "COMMIT", "ROLLBACK"]);
                    batch(
                        &mut client,
                        &format!("BEGIN; SELECT refresh_segmentation('shop', as_of => '{day}'); SELECT pg_sleep(0.005); {end}"),
                    );
                }
            })
        });
        for refresher in refreshers {
            refresher.join().unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        reader.join().unwrap();
    });
    assert_same_rows(&mut client, "seen", "TABLE seen", "SELECT change_id FROM shop_changes", 50);

    // The same, step by step: the second one waits for the first, and comes after it.
    let [mut first, mut second] = [quiet(&database), quiet(&database)];
    let last = count(&mut client, "SELECT max(change_id) FROM shop_changes");
    batch(&mut first, "BEGIN; SELECT refresh_segmentation('shop', as_of => '2024-06-30')");
    let backend = backend(&mut second);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| batch(&mut second, "SELECT refresh_segmentation('shop', as_of => '2025-06-30')"));
        wait_until_blocked(&mut client, backend);
        assert_eq!(count(&mut client, "SELECT max(change_id) FROM shop_changes"), last, "nobody sees any of either");
        batch(&mut first, "COMMIT");
        waiting.join().unwrap();
    });
    let order = format!(
        "SELECT (max(change_id) FILTER (WHERE as_of = '2024-06-30') < min(change_id) FILTER (WHERE as_of = '2025-06-30'))::text
         FROM shop_changes WHERE change_id > {last}"
    );
    assert_eq!(text(&mut client, &order), "true");
}

#[test]
fn changes_are_kept_for_the_days_asked_for() {
    let (_database, mut client) = shop("changes_kept");
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => '2024-06-30')");
    let rows = count(&mut client, "SELECT count(*) FROM shop_changes");
    assert!(rows > 20, "{rows}");
    let age = |client: &mut Client, ids: &str, days: u32| {
        batch(
            client,
            &format!("UPDATE shop_changes SET changed_at = changed_at - interval '{days} days' WHERE change_id {ids}"),
        );
    };
    age(&mut client, "<= 10", 401);
    age(&mut client, "BETWEEN 11 AND 15", 399);
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => '2024-06-30')");
    assert_eq!(count(&mut client, "SELECT min(change_id) FROM shop_changes"), 11);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_changes"), rows - 10);
    batch(&mut client, "SELECT alter_segmentation('shop', keep_changes => 30, as_of => '2024-06-30')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_changes"), rows - 15);
    // Numbers go on where all rows are gone.
    age(&mut client, "> 0", 31);
    batch(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_changes"), 0);
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => '2026-06-30')");
    assert_eq!(count(&mut client, "SELECT min(change_id) FROM shop_changes"), rows + 1);

    for (argument, message) in [
        ("keep_changes => -1", "keep_changes is -1"),
        ("keep_changes => 36501", "keep_changes is 36501"),
        ("notify => ''", "notify is ''"),
        ("keep_changes => 0, notify => 'shop'", "notify is given without NAME_changes, whose rows it counts"),
    ] {
        for call in ["alter_segmentation('shop'", "create_segmentation('s', 'sales.orders'"] {
            let (sqlstate, said, hint) = expect_error(&mut client, &format!("SELECT {call}, {argument})"));
            assert_eq!((sqlstate.as_str(), said.as_str()), ("22023", message), "{call}");
            assert_ne!(hint, "", "{call}, {argument}");
        }
    }
}

#[test]
fn the_feed_is_turned_off_and_on() {
    let (_database, mut client) = with_orders("changes_off");
    let is_there = |client: &mut Client| !text(client, "SELECT to_regclass('public.shop_changes')::text").is_empty();
    let place = "SELECT string_agg(c.oid::text, ',' ORDER BY relname) FROM pg_class AS c WHERE relname LIKE 'shop\\_%' AND relkind = 'm'";
    batch(&mut client, &CREATE.replace("as_of", "keep_changes => 0, as_of"));
    assert!(!is_there(&mut client));
    batch(&mut client, "DELETE FROM sales.orders WHERE customer_id = 1; SELECT refresh_segmentation('shop')");
    let stands = text(&mut client, place);
    batch(&mut client, "SELECT alter_segmentation('shop', keep_changes => 400)");
    assert!(is_there(&mut client));
    copy_customers(&mut client, "customer_id");
    batch(&mut client, "DELETE FROM sales.orders WHERE customer_id = 2");
    refresh_and_replay(&mut client, "refresh_segmentation('shop')");
    // A view of somebody's on it is not lost unnoticed.
    batch(&mut client, "CREATE VIEW mine AS SELECT * FROM shop_changes");
    let (sqlstate, _, hint) = expect_error(&mut client, "SELECT alter_segmentation('shop', keep_changes => 0)");
    assert!(sqlstate == "2BP01" && hint.contains("pg_get_viewdef('public.mine'::regclass)"), "{sqlstate} {hint}");
    batch(&mut client, "SELECT alter_segmentation('shop', time_zone => 'Asia/Tokyo')");
    assert_replays(&mut client, "customer_id", "made anew under a view");
    let stands_anew = text(&mut client, place);
    assert_ne!(stands_anew, stands);
    batch(&mut client, "DROP VIEW mine; SELECT alter_segmentation('shop', keep_changes => 0)");
    assert!(!is_there(&mut client));
    assert_eq!(text(&mut client, place), stands_anew, "the views stay in their place");
    // Off and on together with what makes the views anew.
    batch(&mut client, "SELECT alter_segmentation('shop', keep_changes => 9, time_zone => 'UTC')");
    assert!(is_there(&mut client));
    batch(&mut client, "SELECT alter_segmentation('shop', keep_changes => 0, time_zone => 'Asia/Tokyo')");
    assert!(!is_there(&mut client));
    // One that somebody has dropped or bent is made again.
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', keep_changes => 9); DROP TABLE shop_changes; SELECT refresh_segmentation('shop')",
    );
    assert!(is_there(&mut client));
    batch(
        &mut client,
        "ALTER TABLE shop_changes ADD note text; DELETE FROM sales.orders WHERE customer_id = 3; SELECT refresh_segmentation('shop')",
    );
    assert!(count(&mut client, "SELECT count(*) FROM shop_changes WHERE customer_id = 3 AND note IS NULL") > 0);
    batch(&mut client, "ALTER TABLE shop_changes DROP what; DELETE FROM sales.orders WHERE customer_id = 4");
    let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(sqlstate, "55000");
    assert_eq!(message, "segmentation \"shop\": \"shop_changes\" is no table of who changed in \"shop_customers\"");
    assert_eq!(hint, "Drop it: the next refresh_segmentation makes it anew.");
    batch(
        &mut client,
        "DROP TABLE shop_changes; SELECT refresh_segmentation('shop'); SELECT drop_segmentation('shop')",
    );
    assert_eq!(count(&mut client, "SELECT count(*) FROM pg_class WHERE relname LIKE 'shop\\_%'"), 0);
}

/// Counts and nothing else, once a refresh that changed something, when it is committed.
#[test]
fn a_channel_is_told_how_many_changed() {
    let (database, mut client) = with_orders("changes_notify");
    let mut listener = quiet(&database);
    batch(&mut client, &CREATE.replace("as_of", "notify => 'Shop changes', as_of"));
    batch(&mut listener, "LISTEN \"Shop changes\"");
    let mut heard = |client: &mut Client| {
        batch(client, "NOTIFY \"Shop changes\", 'end'");
        let mut notifications = listener.notifications();
        let mut heard = notifications.timeout_iter(Duration::from_secs(60));
        let mut payloads = Vec::new();
        while let Some(notification) = heard.next().unwrap() {
            if notification.payload() == "end" {
                return payloads;
            }
            payloads.push(notification.payload().to_owned());
        }
        panic!("the end of {payloads:?} was not heard");
    };
    refresh(&mut client);
    batch(&mut client, "SELECT refresh_segmentation('shop', \"full\" => true)");
    assert_eq!(heard(&mut client), [""; 0], "nothing has changed");
    for call in
        ["refresh_segmentation('shop', as_of => '2026-08-31')", "alter_segmentation('shop', time_zone => 'Asia/Tokyo')"]
    {
        let last = count(&mut client, "SELECT coalesce(max(change_id), 0) FROM shop_changes");
        batch(&mut client, &format!("BEGIN; SELECT {call}; ROLLBACK; SELECT {call}"));
        let counts = format!(
            "SELECT json_build_object('segmentation', 'shop', 'as_of', min(as_of), 'changes', (
                 SELECT json_object_agg(c.what, c.n ORDER BY c.what)
                 FROM (SELECT what, count(*) AS n FROM shop_changes WHERE change_id > {last} GROUP BY what) AS c))::text
             FROM shop_changes WHERE change_id > {last}"
        );
        assert_eq!(heard(&mut client), [text(&mut client, &counts)], "{call}");
    }
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', reset => '{notify}'); SELECT refresh_segmentation('shop', as_of => '2025-08-31')",
    );
    assert_eq!(heard(&mut client), [""; 0], "nobody is told any more");
    let (sqlstate, message, _) =
        expect_error(&mut client, &format!("SELECT alter_segmentation('shop', notify => '{}')", "x".repeat(64)));
    assert!(sqlstate == "22023" && message.starts_with("notify is 'xxx"), "{message}");
    batch(&mut client, &format!("SELECT alter_segmentation('shop', notify => '{}')", "x".repeat(63)));
}

#[test]
fn readers_read_the_feed_and_do_not_write_it() {
    let database = Database::new("changes_readers");
    let roles = company(&database);
    let [mut analyst, mut reader] = [roles.client("analyst"), roles.client("reader")];
    batch(
        &mut analyst,
        &CREATE_REPORTS.replace(", as_of", &format!(", readers => ARRAY['{}'], as_of", roles.name("reader"))),
    );
    batch(&mut quiet(&database), &roles.say("GRANT USAGE ON SCHEMA reports TO @reader"));
    let read = "SELECT count(*) FROM reports.shop_changes";
    for call in [
        "refresh_segmentation('shop', as_of => '2026-08-31')",
        "alter_segmentation('shop', time_zone => 'Asia/Tokyo')",
        "alter_segmentation('shop', keep_changes => 0)",
        "alter_segmentation('shop', keep_changes => 10)",
    ] {
        batch(&mut analyst, &format!("SELECT rfm.{call}"));
        if !call.ends_with("0)") || call.ends_with("10)") {
            count(&mut reader, read);
            assert_eq!(expect_error(&mut reader, "DELETE FROM reports.shop_changes").0, "42501", "{call}");
        }
    }
    // Made anew for nobody, it is read by nobody.
    batch(&mut analyst, "SELECT rfm.alter_segmentation('shop', time_zone => 'UTC', reset => '{readers}')");
    assert_eq!(expect_error(&mut reader, read).0, "42501");
    batch(&mut analyst, "SELECT rfm.alter_segmentation('shop', readers => '{public}')");
    count(&mut reader, read);
    batch(&mut analyst, "DROP TABLE reports.shop_changes; SELECT rfm.refresh_segmentation('shop')");
    count(&mut reader, read);
}

/// How far a segmentation is behind: the oldest note that waits, and who is due.
#[test]
fn the_lag_is_that_of_the_oldest_note_and_of_who_is_due() {
    let (_database, mut client) = shop("changes_lag");
    let lag = |client: &mut Client| {
        text(
            client,
            "SELECT concat_ws(' ', notes_waiting, round(extract(epoch FROM segmentation_lag) / 3600)) FROM segmentations",
        )
    };
    refresh(&mut client);
    assert_eq!(lag(&mut client), "0");
    batch(&mut client, "INSERT INTO sales.orders VALUES (1001, 3, '2026-06-20', 500), (1002, 4, '2026-06-20', 500)");
    assert_eq!(lag(&mut client), "2 0");
    let times = "SELECT count(*) FROM shop_noted WHERE noted_at BETWEEN now() - interval '1 hour' AND now()";
    assert_eq!(count(&mut client, times), 2);
    batch(&mut client, "UPDATE shop_noted SET noted_at = noted_at - interval '5 hours' WHERE customer_id = 3");
    assert_eq!(lag(&mut client), "2 5");
    batch(&mut client, "TRUNCATE sales.orders");
    assert_eq!(lag(&mut client), "3 5", "a note of everybody has its time too");
    batch(&mut client, "ROLLBACK; SELECT refresh_segmentation('shop')");
    assert_eq!(lag(&mut client), "0");
    batch(&mut client, "SELECT alter_segmentation('shop', track => 'none')");
    assert_eq!(lag(&mut client), "");

    let due = "SELECT customers_due FROM segmentations";
    batch(&mut client, "INSERT INTO sales.orders SELECT i, i % 37, date '2023-01-01' + i * 53 % 1200, 10 FROM generate_series(1, 400) AS i;
                        SELECT refresh_segmentation('shop')");
    assert_eq!(count(&mut client, due), 0);
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => '2026-05-31')");
    let by_hand = "SELECT count(*) FROM shop_customers WHERE next_change_on <= '2026-06-30'";
    let expected = count(&mut client, by_hand);
    assert!(expected > 0);
    assert_eq!(count(&mut client, due), expected);
    batch(&mut client, "REFRESH MATERIALIZED VIEW shop_customers WITH NO DATA");
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', name, customers_due) FROM segmentations"), "shop");
}
