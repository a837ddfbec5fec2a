//! A refresh does as little as possible: without changes it writes nothing, and others need not wait for it.

use super::shops::*;
use super::*;
use postgres::SimpleQueryMessage;
use std::thread;

/// Bytes of write-ahead log that a statement writes.
fn wal(client: &mut Client, sql: &str) -> i64 {
    let rows = client.simple_query(&format!("EXPLAIN (ANALYZE, WAL, FORMAT JSON) {sql}")).unwrap();
    let plan = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let plan: serde_json::Value = serde_json::from_str(plan.expect("a plan")).unwrap();
    plan[0]["Plan"]["WAL Bytes"].as_i64().expect("the plan counts WAL")
}

/// Which row stands where, since when.
fn places(client: &mut Client) -> String {
    let mut sql = String::from("SELECT concat_ws(';'");
    for relation in VIEWS.iter().chain(&["shop_histories", "shop_profiles", "shop_engagement"]) {
        write!(sql, ", (SELECT string_agg(concat(ctid, xmin), ',' ORDER BY ctid) FROM {relation})").unwrap();
    }
    one(client, &(sql + ")"))
}

#[test]
fn a_refresh_without_changes_writes_no_row() {
    let database = Database::new("refresh_quiet");
    let mut client = quiet(&database);
    large_shop(&mut client);
    // Enough customers that writing them again would be seen.
    batch(
        &mut client,
        "INSERT INTO orders SELECT 10000 + i, 's', 100 + i, '2025-01-01'::date + i % 500, i % 97 FROM generate_series(1, 3000) AS i;
         INSERT INTO events SELECT 100 + i, 'visit', '2026-01-01'::date + i % 100 FROM generate_series(1, 3000) AS i;
         INSERT INTO members SELECT 100 + i, NULL, 'b@example.com' FROM generate_series(1, 3000) AS i",
    );
    refresh(&mut client);
    let before = places(&mut client);
    let plain: i64 = VIEWS
        .iter()
        .map(|view| {
            // What a plain refresh of the views alone writes; rolled back.
            batch(&mut client, "BEGIN");
            let written = wal_of_refresh(&mut client, view);
            batch(&mut client, "ROLLBACK");
            written
        })
        .sum();
    for call in ["refresh_segmentation('shop')", "refresh_segmentation('shop', \"full\" => true)"] {
        let written = wal(&mut client, &format!("SELECT {call}"));
        assert_eq!(places(&mut client), before, "{call}");
        assert!(written * 5 < plain, "{call} writes {written} bytes of WAL, plain refreshes {plain}");
    }
    assert_eq!(one::<i64>(&mut client, "SELECT histories_written FROM shop_status"), 0);

    // The next day: only rows that say something else are written, which are few; what changes every day stands elsewhere.
    for relation in VIEWS {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE was_{relation} AS SELECT t::text AS r, ctid::text || xmin::text AS place FROM {relation} AS t"
            ),
        );
    }
    let recency = "SELECT sum(recency_days)::bigint FROM shop_customers_today";
    let recency_before = one::<i64>(&mut client, recency);
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => '2026-07-01')");
    for relation in VIEWS {
        let moved = format!(
            "SELECT count(*) FROM {relation} AS t JOIN was_{relation} AS w ON w.r = t::text WHERE w.place <> t.ctid::text || t.xmin::text"
        );
        assert_eq!(one::<i64>(&mut client, &moved), 0, "{relation}: a row that says the same was written");
    }
    let kept = "SELECT count(*) FROM shop_customers AS t JOIN was_shop_customers AS w ON w.r = t::text";
    let (kept, all) = (one::<i64>(&mut client, kept), one::<i64>(&mut client, "SELECT count(*) FROM shop_customers"));
    assert!(kept * 10 > all * 9 && kept < all, "{kept} of {all} customers are as the day before");
    let bought = one::<i64>(&mut client, "SELECT count(last_purchase_on) FROM shop_customers");
    let newly_visible = "SELECT count(*) FROM shop_customers WHERE last_purchase_on = '2026-07-01'";
    if one::<i64>(&mut client, newly_visible) == 0 {
        assert_eq!(one::<i64>(&mut client, recency), recency_before + bought);
    }
}

/// A plain REFRESH is no statement that EXPLAIN takes: a function runs it.
fn wal_of_refresh(client: &mut Client, view: &str) -> i64 {
    batch(
        client,
        "CREATE FUNCTION pg_temp.plain(view regclass) RETURNS void LANGUAGE plpgsql AS
         'BEGIN EXECUTE format(''REFRESH MATERIALIZED VIEW %s'', view); END'",
    );
    wal(client, &format!("SELECT pg_temp.plain('{view}')"))
}

/// Where views are made anew, the shop goes on reading and writing its orders: only the last moment before the commit locks them.
#[test]
fn the_shop_goes_on_while_views_are_made_anew() {
    let database = Database::new("refresh_alter_locks");
    let (mut client, mut gate, mut shop) = (quiet(&database), quiet(&database), quiet(&database));
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric);
         INSERT INTO orders VALUES (1, '2026-01-01', 10);
         SELECT rfm.create_segmentation('shop', 'orders', track => 'trigger', as_of => '2026-06-30')",
    );
    // Reading the orders stops at a lock that we hold.
    batch(&mut gate, "SELECT pg_advisory_lock(7)");
    let mut other = quiet(&database);
    let other_pid = backend(&mut other);
    let altered = thread::spawn(move || {
        let filter = "pg_catalog.pg_advisory_xact_lock_shared(7) IS NOT NULL";
        batch(
            &mut other,
            &format!("SELECT rfm.alter_segmentation('shop', time_zone => 'Asia/Tokyo', order_filter => '{filter}')"),
        );
    });
    wait_until_blocked(&mut gate, other_pid);
    batch(&mut shop, "SET lock_timeout = '2s'; INSERT INTO orders VALUES (1, '2026-02-01', 10), (2, '2026-02-01', 10)");
    assert_eq!(one::<i64>(&mut shop, "SELECT count(*) FROM orders"), 3);
    batch(&mut gate, "SELECT pg_advisory_unlock(7)");
    altered.join().expect("altered");
    batch(
        &mut client,
        "SELECT rfm.alter_segmentation('shop', reset => '{order_filter}'); SELECT rfm.refresh_segmentation('shop')",
    );
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM shop_customers"), 2);
    assert_eq!(one::<i64>(&mut client, "SELECT sum(orders)::bigint FROM shop_customers"), 3);
    // Nor does it wait for those who use the orders, with everybody else behind it.
    batch(&mut gate, "BEGIN; INSERT INTO orders VALUES (3, '2026-02-01', 10)");
    batch(&mut client, "SET lock_timeout = '2s'; SELECT rfm.alter_segmentation('shop', lang => 'en')");
    batch(&mut gate, "COMMIT");
    batch(&mut client, "SELECT rfm.refresh_segmentation('shop'); SELECT rfm.refresh_segmentation('shop')");
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM shop_customers"), 3);
    // Other orders get triggers of their own, and those of before lose theirs.
    batch(
        &mut client,
        "CREATE TABLE others AS TABLE orders; SELECT rfm.alter_segmentation('shop', orders => 'others')",
    );
    let tracked =
        "SELECT string_agg(DISTINCT tgrelid::regclass::text, ' ') FROM pg_trigger WHERE tgname LIKE 'pg_rfm_shop_%'";
    assert_eq!(one::<String>(&mut client, tracked), "others");
    batch(&mut client, "SELECT rfm.alter_segmentation('shop', track => 'none')");
    assert_eq!(one::<Option<String>>(&mut client, tracked), None);
}
