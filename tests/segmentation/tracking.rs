//! Tracking by triggers: what they do not see is noticed, and what cannot be tracked is refused.

use crate::common::*;
use crate::shop::*;

/// Whatever a trigger did not see, the next refresh reads all orders; one that is gone comes back.
#[test]
fn a_trigger_that_does_not_see_is_noticed() {
    let (_database, mut client) = shop("segmentation_triggers");
    batch(&mut client, "SELECT alter_segmentation('shop', track => 'trigger')");
    let triggers =
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.orders'::regclass AND tgname LIKE 'pg\\_rfm\\_%'";
    assert_eq!(count(&mut client, triggers), 4);
    for (blind, seeing) in [
        ("ALTER TABLE sales.orders DISABLE TRIGGER pg_rfm_shop_insert", "ENABLE TRIGGER pg_rfm_shop_insert"),
        ("ALTER TABLE sales.orders ENABLE REPLICA TRIGGER pg_rfm_shop_insert", "ENABLE TRIGGER pg_rfm_shop_insert"),
        ("DROP TRIGGER pg_rfm_shop_insert ON sales.orders", "ENABLE TRIGGER pg_rfm_shop_insert"),
    ] {
        refresh(&mut client);
        refresh(&mut client);
        assert_eq!(text(&mut client, "SELECT rebuilt::text FROM shop_status"), "false", "{blind}");
        batch(&mut client, blind);
        batch(&mut client, "INSERT INTO sales.orders SELECT max(order_no) + 1, 2, '2026-06-03', 77 FROM sales.orders");
        refresh(&mut client);
        assert_eq!(text(&mut client, "SELECT rebuilt::text FROM shop_status"), "true", "{blind}");
        assert_histories(&mut client);
        assert_eq!(count(&mut client, triggers), 4, "{blind}");
        batch(&mut client, &format!("ALTER TABLE sales.orders {seeing}"));
    }
}

#[test]
fn notes_are_taken_where_all_tables_are_published() {
    let (database, mut client) = shop("segmentation_published");
    refresh(&mut client);
    batch(&mut client, "SET client_min_messages = error; CREATE PUBLICATION everything FOR ALL TABLES");
    batch(&mut client, "INSERT INTO sales.orders VALUES (9001, 1, '2026-06-01', 10)");
    refresh(&mut client);
    assert_histories(&mut client);
    drop(database);
}

#[test]
fn orders_that_cannot_be_tracked_are_refused_early() {
    let (database, mut client) = shop("segmentation_untracked");
    let role = format!("{}_ana", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {role}; CREATE SCHEMA hers AUTHORIZATION {role}; GRANT USAGE ON SCHEMA rfm, sales TO {role};
             GRANT SELECT, TRIGGER ON sales.orders TO {role};
             CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
             CREATE TABLE parts (customer_id int, ordered_on date, amount numeric) PARTITION BY LIST (customer_id);
             CREATE FOREIGN TABLE archive PARTITION OF parts FOR VALUES IN (1) SERVER nowhere"
        ),
    );
    let (sqlstate, message, hint) =
        expect_error(&mut client, "SELECT create_segmentation('s', 'parts', track => 'trigger')");
    assert_eq!(sqlstate, "22023", "{message}");
    assert!(message.contains("archive is a foreign table") && hint.contains("track => 'none'"), "{message} / {hint}");
    batch(&mut client, &format!("SET ROLE {role}"));
    let again = "SELECT create_segmentation('shop', 'sales.orders', schema => 'hers', track => 'trigger')";
    let (sqlstate, message, _) = expect_error(&mut client, again);
    assert_eq!(sqlstate, "22023", "{message}");
    assert!(message.contains("another segmentation of this name"), "{message}");
    batch(&mut client, "SELECT create_segmentation('other', 'sales.orders', schema => 'hers', track => 'trigger')");
    drop(client);
    database.psql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}
