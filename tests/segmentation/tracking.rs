//! Tracking by triggers: what they do not see is noticed, and what cannot be tracked is refused.

use crate::common::*;
use crate::shop::*;
use std::thread::sleep;
use std::time::{Duration, Instant};

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

/// A shop with a table for each source of rows of customers, tracked, and its first refresh over.
fn shop_with_all_sources(name: &str) -> (Database, Client) {
    let (database, mut client) = with_orders(name);
    batch(
        &mut client,
        "CREATE TABLE sales.events (customer_id int, kind text, happened_at date);
         CREATE INDEX ON sales.events (customer_id);
         INSERT INTO sales.events SELECT i % 30, 'review', date '2026-01-01' + i FROM generate_series(1, 60) AS i;
         CREATE TABLE sales.contacts (customer_id int, channel text, contacted_at date);
         INSERT INTO sales.contacts SELECT i % 20, 'email', date '2026-01-01' + i FROM generate_series(1, 40) AS i;
         CREATE TABLE sales.log (customer_id int, membership text, since date);
         INSERT INTO sales.log SELECT i, 'continuing', date '2026-01-01' + i FROM generate_series(1, 15) AS i;
         CREATE TABLE sales.members (customer_id int PRIMARY KEY, email text);
         INSERT INTO sales.members SELECT i, 'a@example.com' FROM generate_series(1, 35) AS i;
         SELECT create_segmentation('shop', orders => 'sales.orders', engagement => 'sales.events',
             contacts => 'sales.contacts', membership_log => 'sales.log', customers => 'sales.members',
             as_of => '2026-06-30', track => 'trigger')",
    );
    refresh(&mut client);
    refresh(&mut client);
    (database, client)
}

/// What the tables by customer and the views hold.
fn everything(client: &mut Client) -> String {
    ["histories", "engagement", "contacts", "memberships", "profiles", "customers", "segments", "actions", "movement"]
        .map(|suffix| {
            let sql = format!("SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM shop_{suffix} AS t");
            format!("{suffix} {}\n", text(client, &sql))
        })
        .concat()
}

/// A refresh that read only what was noted leaves what a refresh that reads everything would.
#[track_caller]
fn assert_as_read_anew(client: &mut Client, what: &str) {
    refresh(client);
    assert_eq!(text(client, "SELECT rebuilt::text FROM shop_status"), "false", "{what}");
    let found = everything(client);
    batch(client, "SELECT refresh_segmentation('shop', \"full\" => true)");
    assert_eq!(found, everything(client), "{what}");
}

#[test]
fn every_source_of_customers_is_noted() {
    let (_database, mut client) = shop_with_all_sources("segmentation_all_sources");
    for (source, change, customers) in [
        ("engagement", "INSERT INTO sales.events VALUES (3, 'complaint', '2026-06-20')", "3"),
        ("engagement", "UPDATE sales.events SET customer_id = 5 WHERE customer_id = 4", "4,5"),
        ("contacts", "DELETE FROM sales.contacts WHERE customer_id = 6", "6"),
        (
            "contacts",
            "INSERT INTO sales.contacts VALUES (NULL, 'email', '2026-06-20'), (900, 'email', '2026-06-20')",
            "900",
        ),
        ("membership_log", "INSERT INTO sales.log VALUES (7, 'withdrawn', '2026-06-01')", "7"),
        ("customers", "UPDATE sales.members SET email = NULL WHERE customer_id IN (8, 9)", "8,9"),
        ("customers", "INSERT INTO sales.members VALUES (901, 'b@example.com')", "901"),
        ("customers", "DELETE FROM sales.members WHERE customer_id = 10", "10"),
        ("engagement", "TRUNCATE sales.events", "everybody"),
        ("membership_log", "TRUNCATE sales.log", "everybody"),
        ("orders", "UPDATE sales.orders SET amount = amount + 1 WHERE customer_id = 11", "11"),
    ] {
        batch(&mut client, change);
        let noted = text(
            &mut client,
            "SELECT string_agg(DISTINCT changed_source, ',') || ' '
                    || coalesce(string_agg(customer_id::text, ',' ORDER BY customer_id), 'everybody') FROM shop_noted",
        );
        assert_eq!(noted, format!("{source} {customers}"), "{change}");
        assert_as_read_anew(&mut client, change);
        assert_eq!(count(&mut client, "SELECT count(*) FROM shop_noted"), 0, "{change}");
    }
}

/// What no trigger saw is not read: a refresh does not look at the rows of the others.
#[test]
fn rows_of_those_who_are_not_noted_are_not_read() {
    let (_database, mut client) = shop_with_all_sources("segmentation_unread");
    let before = everything(&mut client);
    batch(
        &mut client,
        "SET session_replication_role = replica;
         INSERT INTO sales.events VALUES (3, 'complaint', '2026-06-20');
         DELETE FROM sales.contacts WHERE customer_id = 6;
         INSERT INTO sales.log VALUES (7, 'withdrawn', '2026-06-01');
         UPDATE sales.members SET email = NULL WHERE customer_id = 8;
         RESET session_replication_role;
         INSERT INTO sales.orders VALUES (9001, 36, '1999-01-01', 0)",
    );
    refresh(&mut client);
    let changed = |before: &str, after: &str| -> Vec<String> {
        let lines = before.lines().zip(after.lines()).filter(|(one, other)| one != other);
        lines.map(|(line, _)| line.split(' ').next().expect("a relation").to_owned()).collect()
    };
    let after = everything(&mut client);
    assert_eq!(changed(&before, &after)[0], "histories");
    assert!(
        !changed(&before, &after).iter().any(|t| ["engagement", "contacts", "memberships", "profiles"].contains(&&**t))
    );
    batch(&mut client, "SELECT refresh_segmentation('shop', \"full\" => true)");
    let found = changed(&after, &everything(&mut client));
    for table in ["engagement", "contacts", "memberships", "profiles", "customers"] {
        assert!(found.iter().any(|relation| relation == table), "{table}: {found:?}");
    }
}

/// A table that is loaded anew, by whichever statements, is compared: only those who differ are written, and evaluated.
#[test]
fn a_table_that_is_loaded_anew_is_compared() {
    let (database, mut client) = shop_with_all_sources("segmentation_reloaded");
    batch(
        &mut client,
        "INSERT INTO sales.members SELECT i, 'a@example.com' FROM generate_series(1000, 3000) AS i;
         CREATE TABLE sales.export AS SELECT * FROM sales.members;
         UPDATE sales.export SET email = NULL WHERE customer_id = 1500",
    );
    refresh(&mut client);
    for emptied in ["TRUNCATE sales.members", "DELETE FROM sales.members"] {
        batch(
            &mut client,
            &format!(
                "{emptied}; INSERT INTO sales.members TABLE sales.export;
                 UPDATE sales.export SET email = CASE WHEN email IS NULL THEN 'b@example.com' END WHERE customer_id = 1500"
            ),
        );
        let said = database.said("SET search_path = public, rfm; SELECT refresh_segmentation('shop')");
        assert!(
            said.contains("profiles of noted customers: 1 rows") && said.contains("changes of customers: 1 rows"),
            "{said}"
        );
        assert_as_read_anew(&mut client, emptied);
    }
}

/// A source without triggers is compared at each refresh, and a NOTICE says why.
#[test]
fn sources_that_cannot_be_tracked_are_compared() {
    let (database, mut client) = with_orders("segmentation_compared");
    let role = format!("{}_ana", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE TABLE sales.all_events (customer_id int, kind text, happened_at date);
             CREATE VIEW sales.events AS SELECT * FROM sales.all_events WHERE kind <> 'secret';
             CREATE TABLE sales.contacts (customer_id text, channel text, contacted_at date);
             CREATE TABLE sales.members (customer_id int, email text);
             CREATE TABLE sales.log (customer_id smallint, membership text, since date);
             CREATE ROLE {role}; CREATE SCHEMA hers AUTHORIZATION {role}; GRANT USAGE ON SCHEMA rfm, sales TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA sales TO {role}; GRANT TRIGGER ON sales.orders, sales.log TO {role}"
        ),
    );
    let said = database.said(&format!(
        "SET ROLE {role}; SET search_path = hers, rfm;
         SELECT create_segmentation('shop', orders => 'sales.orders', engagement => 'sales.events',
             contacts => 'sales.contacts', membership_log => 'sales.log', customers => 'sales.members',
             schema => 'hers', as_of => '2026-06-30', track => 'trigger')"
    ));
    for notice in [
        "sales.events cannot be tracked: it is no table; every refresh compares all engagement",
        "sales.contacts cannot be tracked: customer_id is text, and in the orders integer; every refresh compares all contacts",
        &format!(
            "sales.members cannot be tracked: {role} may not put triggers on it; every refresh compares all customers"
        ),
    ] {
        assert!(said.contains(notice), "{notice}: {said}");
    }
    assert!(!said.contains("sales.log cannot"), "{said}");
    batch(&mut client, &format!("SET ROLE {role}; SET search_path = hers, rfm"));
    refresh(&mut client);
    for change in [
        "INSERT INTO sales.all_events VALUES (3, 'review', '2026-06-20')",
        "INSERT INTO sales.contacts VALUES ('4', 'email', '2026-06-20')",
        "INSERT INTO sales.members VALUES (5, 'a@example.com')",
        "INSERT INTO sales.log VALUES (6, 'withdrawn', '2026-06-01')",
    ] {
        batch(&mut client, &format!("RESET ROLE; {change}; SET ROLE {role}"));
        assert_as_read_anew(&mut client, change);
    }
    // A writer who fills in a key that is none of the orders' type is not kept from it.
    batch(&mut client, "RESET ROLE; INSERT INTO sales.contacts VALUES ('not a number', 'email', '2026-06-20')");
    drop(client);
    database.psql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

/// One statement notes each customer once with her first day, and more often only where work_mem does not hold them all.
#[test]
fn a_statement_notes_each_customer_once() {
    let database = Database::new("track_many_rows");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (shop integer, customer_id text, ordered_on date, amount numeric);
         INSERT INTO orders VALUES (-1, 'one', '2026-01-01', 1);
         SELECT create_segmentation('shop', 'orders', tenant => 'shop', as_of => '2026-06-30', track => 'trigger');
         SELECT refresh_segmentation('shop');
         CREATE TABLE came AS
         SELECT g % 7 - 3 AS shop, repeat('customer ', g % 40) || g % 3001 AS customer_id,
                CASE WHEN g % 5 > 0 THEN date '2026-01-01' + g * 31 % 181 END AS ordered_on, 1 AS amount
         FROM generate_series(1, 60000) AS g",
    );
    // So many customers at once would be everybody in a small shop.
    batch(&mut client, "UPDATE pg_class SET reltuples = 10000000 WHERE oid = 'shop_histories'::regclass");
    let first_days = "SELECT shop, customer_id, min(ordered_on) FROM came GROUP BY 1, 2";
    let noted =
        "SELECT shop, customer_id, min(changed_from) FROM shop_noted WHERE changed_source = 'orders' GROUP BY 1, 2";
    let customers = count(&mut client, &format!("SELECT count(*) FROM ({first_days}) AS c"));
    for (work_mem, write) in [
        ("64MB", "INSERT INTO orders SELECT * FROM came"),
        ("64kB", "UPDATE orders SET amount = 2 WHERE shop <> -1 OR customer_id <> 'one'"),
        ("64MB", "DELETE FROM orders WHERE customer_id <> 'one'"),
    ] {
        batch(&mut client, &format!("TRUNCATE shop_noted; SET work_mem = '{work_mem}'; {write}"));
        assert_same_rows(&mut client, write, noted, first_days, 0);
        let notes = count(&mut client, "SELECT count(*) FROM shop_noted");
        assert!(
            if work_mem == "64MB" { notes == customers } else { notes > customers },
            "{write}: {notes} of {customers}"
        );
    }
}

/// Of more customers than a refresh evaluates by themselves, a statement notes everybody by one row.
#[test]
fn many_customers_at_once_are_noted_as_everybody() {
    let (_database, mut client) = shop_with_all_sources("segmentation_many_at_once");
    let customers = count(&mut client, "SELECT count(*) FROM shop_histories");
    let few = 1000 + customers / 10;
    for (source, table, values) in [
        (
            "orders",
            "sales.orders (order_no, customer_id, ordered_at, amount)",
            "(SELECT max(order_no) FROM sales.orders) + row_number() OVER (), g, date '2026-06-20', 7",
        ),
        ("engagement", "sales.events (customer_id, kind, happened_at)", "g, 'review', date '2026-06-21'"),
    ] {
        for (new, notes) in [(few, few), (few + 1, 1)] {
            // Each twice, and the last ones first.
            let write = format!(
                "INSERT INTO {table} SELECT {values}
                 FROM (SELECT g FROM generate_series(5001, 5000 + {new}) AS g, generate_series(1, 2) ORDER BY g DESC) AS g"
            );
            batch(
                &mut client,
                &format!("UPDATE pg_class SET reltuples = {customers} WHERE oid = 'shop_histories'::regclass; {write}"),
            );
            let noted = "SELECT count(*) || ' ' || count(customer_id) || string_agg(DISTINCT changed_source, ',') FROM shop_noted";
            let known = if notes == 1 { 0 } else { notes };
            assert_eq!(text(&mut client, noted), format!("{notes} {known}{source}"), "{write}");
            refresh(&mut client);
            let found = everything(&mut client);
            batch(&mut client, "SELECT refresh_segmentation('shop', \"full\" => true)");
            assert_eq!(found, everything(&mut client), "{write}");
        }
    }
}

/// One table can be two sources: its rows are noted for both.
#[test]
fn one_table_can_be_two_sources() {
    let (_database, mut client) = with_orders("segmentation_two_sources");
    batch(
        &mut client,
        "CREATE TABLE sales.crm (customer_id int, kind text, happened_at date, channel text, contacted_at date);
         SELECT create_segmentation('shop', orders => 'sales.orders', engagement => 'sales.crm',
             contacts => 'sales.crm', as_of => '2026-06-30', track => 'trigger')",
    );
    refresh(&mut client);
    batch(&mut client, "INSERT INTO sales.crm VALUES (3, 'review', '2026-06-20', 'email', '2026-06-21')");
    let noted = "SELECT string_agg(changed_source || ' ' || customer_id, ',' ORDER BY changed_source) FROM shop_noted";
    assert_eq!(text(&mut client, noted), "contacts 3,engagement 3");
    refresh(&mut client);
    assert_eq!(
        text(&mut client, "SELECT concat(engagement, contacts) FROM shop_facts WHERE customer_id = 3")
            .matches("2026-06-2")
            .count(),
        2
    );
    // One of the two is another table now: the triggers say so.
    batch(
        &mut client,
        "CREATE TABLE sales.sent AS SELECT customer_id, channel, contacted_at FROM sales.crm;
         SELECT alter_segmentation('shop', contacts => 'sales.sent')",
    );
    refresh(&mut client);
    batch(&mut client, "UPDATE sales.crm SET kind = 'survey'; UPDATE sales.sent SET channel = 'line'");
    assert_eq!(text(&mut client, noted), "contacts 3,engagement 3");
    refresh(&mut client);
    assert_eq!(text(&mut client, "SELECT rebuilt::text FROM shop_status"), "false");
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{engagement}')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.crm'::regclass"), 0);
}

/// Where the shop's words mean something else, rows that no trigger saw are read again.
#[test]
fn other_words_are_read_by_everybody() {
    let (_database, mut client) = shop_with_all_sources("segmentation_other_words");
    let reviews = "SELECT count(*) FROM shop_engagement WHERE engagement::text LIKE '%review%'";
    assert!(count(&mut client, reviews) > 0);
    batch(&mut client, "SELECT alter_segmentation('shop', engagement_kinds => '{\"review\": \"visit\"}')");
    assert_eq!(count(&mut client, reviews), 0);
}

/// Orders that a logical subscription fills, from a database beside: its first copy and what it applies fire no triggers of
/// statements. Nothing is missed while it runs, nor what it wrote before it was dropped.
#[test]
fn a_logical_replica_is_read_whole() {
    if !server_has("current_setting('wal_level') = 'logical'", "orders that are a logical replica") {
        return;
    }
    let (_publisher, mut there) = with_orders("segmentation_publisher");
    let (database, mut client) = shop("segmentation_subscriber");
    batch(&mut there, "CREATE PUBLICATION outgoing FOR TABLE sales.orders");
    batch(
        &mut client,
        "DELETE FROM sales.orders; SELECT refresh_segmentation('shop'); SELECT refresh_segmentation('shop')",
    );
    let rebuilt = "SELECT rebuilt::text FROM shop_status";
    assert_eq!(text(&mut client, rebuilt), "false");

    // A subscription to a database of the same server waits for itself where it makes its slot.
    let slot = &database.name;
    batch(&mut there, &format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
    let publisher = text(&mut there, "SELECT current_database()::text");
    let connection = format!(
        "host={} port={} user={} dbname={publisher}",
        text(&mut there, "SELECT split_part(current_setting('unix_socket_directories'), ',', 1)"),
        text(&mut there, "SELECT current_setting('port')"),
        text(&mut there, "SELECT current_user::text"),
    );
    batch(
        &mut client,
        &format!(
            "CREATE SUBSCRIPTION {slot} CONNECTION '{connection}' PUBLICATION outgoing
             WITH (create_slot = false, slot_name = '{slot}')"
        ),
    );
    let arrived = |client: &mut Client, rows: i64| {
        let deadline = Instant::now() + Duration::from_secs(900); // a slot waits for all transactions of the server
        while count(client, "SELECT count(*) FROM sales.orders") != rows {
            assert!(Instant::now() < deadline, "{rows} rows do not arrive");
            sleep(Duration::from_millis(50));
        }
    };
    arrived(&mut client, 400);
    let said = database.said("SELECT rfm.refresh_segmentation('shop')");
    let expected = "shop: sales.orders cannot be tracked: a logical subscription fills it, which fires no triggers of statements; every refresh reads all orders";
    assert!(said.contains(expected), "{said}");
    assert_histories(&mut client);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_histories"), 37);

    for number in [8001, 8002] {
        batch(&mut there, &format!("INSERT INTO sales.orders VALUES ({number}, {number}, '2026-06-01', 10)"));
        arrived(&mut client, i64::from(number) - 7600);
        refresh(&mut client);
        assert_histories(&mut client);
        assert_eq!(text(&mut client, rebuilt), "true");
    }
    batch(&mut there, "INSERT INTO sales.orders VALUES (8003, 8003, '2026-06-01', 10)");
    arrived(&mut client, 403);
    batch(&mut client, &format!("DROP SUBSCRIPTION {slot}"));
    refresh(&mut client);
    assert_histories(&mut client);
    assert_eq!(text(&mut client, rebuilt), "true");
    batch(&mut client, "INSERT INTO sales.orders VALUES (8004, 8004, '2026-06-01', 10)");
    refresh(&mut client);
    assert_histories(&mut client);
    assert_eq!(text(&mut client, rebuilt), "false");
}
