//! What becomes of a segmentation when what it stands on, or what stands on it, is dropped, renamed or changed.

use crate::common::*;
use crate::shop::*;

#[test]
fn the_extension_is_not_dropped_under_a_segmentation() {
    let (_database, mut client) = shop("segmentation_extension");
    let error = client.batch_execute("DROP EXTENSION pg_rfm").expect_err("something depends on it");
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "2BP01");
    for relation in ["table shop_settings", "table shop_histories", "materialized view shop_customers"] {
        assert!(error.detail().unwrap().contains(relation), "{relation}: {error:?}");
    }
    refresh(&mut client);
    batch(&mut client, "SELECT drop_segmentation('shop')");
    batch(&mut client, "DROP EXTENSION pg_rfm");
}

/// A view that somebody has put on ours is neither lost nor left hanging.
#[test]
fn what_stands_on_a_segmentation_is_not_dropped_by_the_way() {
    let (_database, mut client) = shop("segmentation_standing");
    batch(
        &mut client,
        "CREATE VIEW report AS SELECT customer_id FROM shop_customers; CREATE VIEW \"Her report\" AS SELECT count(*) FROM report",
    );
    for call in ["drop_segmentation('shop')", "alter_segmentation('shop', time_zone => 'Asia/Tokyo')"] {
        let before = objects(&mut client);
        let (sqlstate, message, hint) = expect_error(&mut client, &format!("SELECT {call}"));
        assert_eq!(sqlstate, "2BP01", "{call}");
        assert!(message.starts_with("segmentation \"shop\": cannot drop materialized view"), "{message}");
        // How to keep it, and not how to lose it.
        assert_eq!(
            hint,
            "Keep what stands on it, then drop it, call this again, and make it again: \
             SELECT pg_get_viewdef('public.\"Her report\"'::regclass); SELECT pg_get_viewdef('public.report'::regclass)."
        );
        assert_eq!(objects(&mut client), before);
    }
    refresh(&mut client);
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', policy => 'occasional'); DROP VIEW \"Her report\", report; SELECT drop_segmentation('shop')",
    );
}

/// A renamed or dropped column stops no writer; the next refresh says which one is missing, and changes nothing.
#[test]
fn source_columns_that_go() {
    let (_database, mut client) = shop("segmentation_columns");
    refresh(&mut client);
    let rows = "SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM shop_customers AS t";
    for (sql, write, missing, again) in [
        (
            "RENAME customer_id TO buyer",
            "INSERT INTO sales.orders (order_no, buyer, ordered_at, amount) VALUES (1001, 1, '2026-01-01', 10)",
            "sales.orders has no column customer_id, which is named as customer",
            "customer => 'buyer'",
        ),
        (
            "RENAME amount TO price",
            "UPDATE sales.orders SET price = 11 WHERE order_no = 1001",
            "sales.orders has no column amount, which is named as amount",
            "amount => 'price'",
        ),
        (
            "DROP ordered_at",
            "UPDATE sales.orders SET buyer = 2 WHERE order_no = 1001",
            "sales.orders has no column ordered_at, which is named as ordered_at",
            "ordered_at => 'day'",
        ),
    ] {
        let before = text(&mut client, rows);
        batch(&mut client, &format!("ALTER TABLE sales.orders {sql}"));
        batch(&mut client, write);
        let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
        assert_eq!((sqlstate.as_str(), message), ("42703", format!("segmentation \"shop\": {missing}")));
        assert!(hint.starts_with("Its columns: order_no, "), "{hint}");
        assert_eq!(text(&mut client, rows), before);
        if sql == "DROP ordered_at" {
            batch(
                &mut client,
                "ALTER TABLE sales.orders ADD day date DEFAULT '2026-02-02'; DELETE FROM sales.orders WHERE order_no = 3",
            );
        }
        batch(
            &mut client,
            &format!("SELECT alter_segmentation('shop', {again}); DELETE FROM sales.orders WHERE order_no = 2"),
        );
        refresh(&mut client);
        let orders = count(&mut client, "SELECT sum(orders)::bigint FROM shop_customers");
        assert_eq!(orders, count(&mut client, "SELECT count(*) FROM sales.orders"), "{sql}");
    }

    // The table itself.
    batch(&mut client, "ALTER TABLE sales.orders RENAME TO invoices; INSERT INTO sales.invoices VALUES (3001, 1, 1)");
    let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("42P01", "segmentation \"shop\": there is no relation sales.orders (orders)")
    );
    assert_eq!(hint, "Was it renamed or dropped? alter_segmentation('shop', orders => ...) names another one.");
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', orders => 'sales.invoices', customer => 'buyer', ordered_at => 'day', amount => 'price')",
    );
    refresh(&mut client);
    batch(&mut client, "DROP TABLE sales.invoices");
    assert_eq!(expect_error(&mut client, "SELECT refresh_segmentation('shop')").0, "42P01");
    batch(&mut client, "SELECT count(*) FROM shop_customers; SELECT drop_segmentation('shop')");
}

/// The type of the key, renamed or moved: the shop goes on writing.
#[test]
fn key_types_that_are_renamed() {
    let database = Database::new("segmentation_types");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE SCHEMA kinds; CREATE TYPE kinds.k AS ENUM ('a', 'b', 'c'); CREATE SCHEMA sales;
         CREATE TABLE sales.orders (customer_id kinds.k, ordered_at date, amount numeric);
         INSERT INTO sales.orders VALUES ('a', '2026-01-01', 1)",
    );
    batch(&mut client, CREATE);
    refresh(&mut client);
    for sql in [
        "ALTER TYPE kinds.k RENAME TO key",
        "ALTER SCHEMA kinds RENAME TO sorts",
        "ALTER TYPE sorts.key SET SCHEMA public",
    ] {
        batch(&mut client, sql);
        let mut app = quiet(&database);
        batch(
            &mut app,
            "INSERT INTO sales.orders VALUES ('b', '2026-01-01', 1); UPDATE sales.orders SET customer_id = 'c' WHERE customer_id = 'b'",
        );
        refresh(&mut client);
        assert_histories(&mut client);
    }
}

#[test]
fn a_key_that_gets_another_type_is_told_and_mended() {
    let (database, mut client) = shop("segmentation_key_type");
    refresh(&mut client);
    batch(&mut client, "ALTER TABLE sales.orders ALTER customer_id TYPE text USING 'C' || customer_id");
    let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(sqlstate, "42804", "{message}");
    assert!(message.contains("customer_id") && hint.contains("alter_segmentation('shop')"), "{message} / {hint}");
    batch(&mut client, "SELECT alter_segmentation('shop')");
    assert_histories(&mut client);
    batch(&mut client, "INSERT INTO sales.orders VALUES (9001, 'C1', '2026-06-01', 10)");
    refresh(&mut client);
    assert_histories(&mut client);
    drop(database);
}

/// Whoever renames the schema does not stop the shop from writing, and the next refresh finds what was not noted.
#[test]
fn the_shop_writes_on_when_the_schema_is_renamed() {
    let (database, mut client) = with_orders("segmentation_renamed");
    batch(
        &mut client,
        "SET client_min_messages = error; CREATE SCHEMA before;
         SELECT create_segmentation('shop', 'sales.orders', schema => 'before', as_of => '2026-06-30', track => 'trigger');
         SELECT refresh_segmentation('shop');
         ALTER SCHEMA before RENAME TO after;
         INSERT INTO sales.orders VALUES (9001, 1000, '2026-06-01', 10)",
    );
    for (order, customers) in [(9002, 39), (9003, 40)] {
        refresh(&mut client);
        assert_eq!(count(&mut client, "SELECT count(*) FROM after.shop_customers"), customers - 1);
        batch(&mut client, &format!("INSERT INTO sales.orders VALUES ({order}, {order}, '2026-06-01', 10)"));
        refresh(&mut client);
        assert_eq!(count(&mut client, "SELECT count(*) FROM after.shop_customers"), customers);
    }
    batch(
        &mut client,
        "INSERT INTO sales.orders VALUES (9004, 1, '2026-06-01', 10); SELECT refresh_segmentation('shop')",
    );
    assert_eq!(text(&mut client, "SELECT rebuilt || ' ' || histories_written FROM after.shop_status"), "false 1");
    // Where the notes are gone the shop writes on too, and the next refresh reads all orders and takes notes again.
    for (order, rebuilt) in [(9005, "true"), (9006, "true"), (9007, "false")] {
        if order == 9005 {
            batch(&mut client, "DROP TABLE after.shop_noted");
        }
        batch(&mut client, &format!("INSERT INTO sales.orders VALUES ({order}, {order}, '2026-06-01', 10)"));
        refresh(&mut client);
        assert_eq!(text(&mut client, "SELECT rebuilt::text FROM after.shop_status"), rebuilt);
        let found = format!("SELECT count(*) FROM after.shop_customers WHERE customer_id = {order}");
        assert_eq!(count(&mut client, &found), 1);
    }
    batch(&mut client, "SELECT alter_segmentation('shop', track => 'none')");
    drop(database);
}
