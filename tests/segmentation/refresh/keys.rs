//! Customers' keys of any type, collation and length.

use super::*;

/// Keys of every kind: read from the orders, noted, joined with customers and events.
#[test]
fn keys_of_any_type_with_an_order() {
    let database = Database::new("refresh_keys");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE SCHEMA other;
         CREATE TYPE rank AS ENUM ('a1', 'b2', 'c3');
         CREATE DOMAIN code AS varchar(12);
         CREATE DOMAIN number AS int DEFAULT 7 NOT NULL;
         CREATE DOMAIN even_number AS number CHECK (VALUE % 2 = 0)",
    );
    let has_citext = server_has_extension("citext", "keys of type citext");
    if has_citext {
        batch(&mut client, "CREATE EXTENSION citext SCHEMA other");
    }
    let numbers = ["11", "22", "33"];
    let words = ["a1", "b2", "c3"];
    for (type_name, keys) in [
        ("bigint", numbers),
        ("int", numbers),
        ("smallint", numbers),
        ("numeric", numbers),
        ("text", words),
        ("varchar(12)", words),
        ("char(4)", words),
        ("name", words),
        ("rank", words),
        ("code", words),
        ("other.citext", words),
        ("number", ["11", "22", "33"]),
        ("even_number", ["2", "4", "6"]),
        ("bytea", words),
        ("int[]", ["{1}", "{2,3}", "{4}"]),
        ("date", ["2024-01-01", "2024-01-02", "2024-01-03"]),
        (
            "uuid",
            [
                "11111111-1111-1111-1111-111111111111",
                "22222222-2222-2222-2222-222222222222",
                "33333333-3333-3333-3333-333333333333",
            ],
        ),
    ] {
        if type_name == "other.citext" && !has_citext {
            continue;
        }
        let shop = Shop {
            arguments: "orders => 'orders', as_of => '2026-06-30', customers => 'people', engagement => 'events'",
            by_hand: "SELECT customer_id, purchase_history(ordered_at, amount) AS history FROM orders GROUP BY customer_id",
        };
        let [a, b, c] = keys;
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders (customer_id {type_name}, ordered_at date, amount numeric);
                 CREATE TABLE people (customer_id {type_name} PRIMARY KEY, membership text, email text);
                 CREATE TABLE events (customer_id {type_name}, kind text, happened_at date);
                 INSERT INTO orders VALUES ('{a}', '2025-01-01', 10), ('{b}', '2025-02-01', 20);
                 INSERT INTO people VALUES ('{a}', 'continuing', 'a@example.com'), ('{c}', NULL, NULL);
                 INSERT INTO events VALUES ('{a}', 'line_friend', '2025-01-01'), ('{c}', 'line_friend', '2025-01-01')"
            ),
        );
        shop.create(&mut client);
        refresh(&mut client);
        batch(
            &mut client,
            &format!(
                "INSERT INTO orders VALUES ('{a}', '2025-03-01', 30); UPDATE orders SET customer_id = '{c}' WHERE customer_id = '{b}'"
            ),
        );
        refresh(&mut client);
        assert!(!one::<bool>(&mut client, "SELECT rebuilt FROM shop_status"), "{type_name}");
        shop.assert_histories(&mut client, type_name);
        let customers: String = one(
            &mut client,
            "SELECT string_agg(concat_ws('/', customer_id, orders, membership, reachable_by), ' ' ORDER BY customer_id) FROM shop_customers",
        );
        // char(4) is padded where it is printed by concat_ws.
        let expected = match type_name {
            "char(4)" => "a1  /2/continuing/email c3  /1/".to_owned(),
            "bytea" => "\\x6131/2/continuing/email \\x6333/1/".to_owned(),
            _ => format!("{a}/2/continuing/email {c}/1/"),
        };
        assert_eq!(customers, expected, "{type_name}");
        batch(&mut client, "TRUNCATE orders");
        refresh(&mut client);
        assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM shop_histories"), 0, "{type_name}");
        batch(&mut client, "SELECT drop_segmentation('shop'); DROP TABLE orders, people, events");
    }
    batch(&mut client, "CREATE TABLE orders (customer_id json, ordered_at date, amount numeric)");
    let (sqlstate, message, _) = expect_error(&mut client, "SELECT create_segmentation('shop', 'orders')");
    assert_eq!((sqlstate.as_str(), message.as_str()), ("42804", "a key of type json has no btree order"));
}

/// Two spellings that are the same key are one customer, and a refresh does not lose either.
#[test]
fn keys_that_are_equal_but_not_the_same() {
    if !server_has_extension("citext", "keys that are equal but not the same") {
        return;
    }
    let database = Database::new("refresh_equal");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE EXTENSION citext;
         CREATE TABLE orders (customer_id citext, ordered_at date, amount numeric);
         INSERT INTO orders VALUES ('Ann', '2025-01-01', 1), ('ANN', '2025-01-02', 2), ('bob', '2025-01-03', 3);
         SELECT create_segmentation('shop', 'orders', track => 'trigger', as_of => '2026-06-30');
         SELECT refresh_segmentation('shop')",
    );
    for sql in [
        "INSERT INTO orders VALUES ('ann', '2025-01-04', 4), ('BOB', '2025-01-04', 5)",
        "UPDATE orders SET customer_id = 'Bob' WHERE customer_id = 'ANN' AND amount = 2",
        "DELETE FROM orders WHERE customer_id = 'aNN'",
    ] {
        batch(&mut client, sql);
        refresh(&mut client);
        assert_same(
            &mut client,
            "(SELECT lower(customer_id::text) AS customer_id, history FROM shop_histories)",
            "(SELECT lower(customer_id::text) AS customer_id, purchase_history(ordered_at, amount) AS history FROM orders GROUP BY 1)",
            sql,
        );
    }
}

/// The customers' key sorts by other rules than that of the orders: the orders' hold.
#[test]
fn keys_of_another_collation() {
    let database = Database::new("refresh_collation");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id text COLLATE \"C\", ordered_at date, amount numeric);
         CREATE TABLE people (customer_id varchar(9) COLLATE \"POSIX\", email text);
         CREATE TABLE events (customer_id text, kind text, happened_at date);
         INSERT INTO orders VALUES ('a', '2025-01-01', 1), ('B', '2025-01-01', 1);
         INSERT INTO people VALUES ('a', 'a@example.com'), ('c', NULL);
         INSERT INTO events VALUES ('B', 'visit', '2025-01-01');
         SELECT create_segmentation('shop', 'orders', customers => 'people', engagement => 'events', track => 'trigger', as_of => '2026-06-30');
         SELECT refresh_segmentation('shop'); INSERT INTO orders VALUES ('c', '2025-01-01', 1); SELECT refresh_segmentation('shop')",
    );
    let customers = "SELECT string_agg(concat_ws(':', customer_id, orders, reachable_by), ' ' ORDER BY customer_id) FROM shop_customers";
    assert_eq!(one::<String>(&mut client, customers), "B:1 a:1:email c:1:");
}

/// A key that is longer than those of the orders is that of somebody else.
#[test]
fn keys_are_not_cut() {
    let database = Database::new("refresh_cut");
    let mut client = quiet(&database);
    for (type_name, longer_type, key, longer) in [
        ("varchar(3)", "varchar(9)", "abc", "abcd"),
        ("char(3)", "text", "abc", "abcd"),
        ("numeric(5,0)", "numeric", "12", "12.4"),
    ] {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders (customer_id {type_name}, ordered_at date, amount numeric);
                 CREATE TABLE people (customer_id {longer_type}, email text);
                 INSERT INTO orders VALUES ('{key}', '2025-01-01', 1);
                 INSERT INTO people VALUES ('{longer}', 'a@example.com');
                 SELECT create_segmentation('shop', 'orders', customers => 'people', as_of => '2026-06-30');
                 SELECT refresh_segmentation('shop')"
            ),
        );
        let customers = "SELECT string_agg(concat_ws(':', customer_id, orders, reachable_by), ' ' ORDER BY customer_id) FROM shop_customers";
        assert_eq!(one::<String>(&mut client, customers), format!("{key}:1 {longer}:0:email"), "{type_name}");
        batch(&mut client, "SELECT drop_segmentation('shop'); DROP TABLE orders, people");
    }
}

/// Names that the SQL of a refresh uses itself.
#[test]
fn key_columns_with_short_names() {
    for name in [
        "a", "c", "e", "f", "g", "h", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "x", "fresh", "gone", "put",
        "touched",
    ] {
        static DATABASE: std::sync::OnceLock<Database> = std::sync::OnceLock::new();
        let mut client = quiet(DATABASE.get_or_init(|| Database::new("refresh_names")));
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders ({name} int, ordered_at date, amount numeric);
                 CREATE TABLE people ({name} int, email text);
                 CREATE TABLE events ({name} int, kind text, happened_at date);
                 INSERT INTO orders VALUES (1, '2025-01-01', 10), (2, '2025-02-01', 20);
                 INSERT INTO people VALUES (1, 'a@example.com'), (4, NULL);
                 SELECT create_segmentation('shop', 'orders', customer => '{name}', track => 'trigger', as_of => '2026-06-30',
                                            customers => 'people', engagement => 'events');
                 SELECT refresh_segmentation('shop');
                 INSERT INTO orders VALUES (1, '2025-03-01', 30), (3, '2025-03-01', 30);
                 INSERT INTO events VALUES (1, 'line_friend', '2025-03-01');
                 SELECT refresh_segmentation('shop')"
            ),
        );
        let customers: String = one(
            &mut client,
            &format!("SELECT string_agg(concat({name}, ':', orders), ' ' ORDER BY {name}) FROM shop_customers"),
        );
        assert_eq!(customers, "1:2 2:1 3:1 4:0", "{name}");
        let audit = format!(
            "SELECT string_agg(finding, ', ' ORDER BY finding COLLATE \"C\")
             FROM audit_orders('orders', customer => '{name}', customers => 'people', engagement => 'events', as_of => '2025-03-01')"
        );
        let findings = "customer without contact address, customers: customer without orders, engagement: unknown kind, \
                        no index leads with the customer";
        assert_eq!(text(&mut client, &audit), findings, "{name}");
        batch(&mut client, "SELECT drop_segmentation('shop'); DROP TABLE orders, people, events");
    }
}
