//! The histories of everybody, collected without GROUP BY: the same as with it.

use crate::common::{Database, assert_same_rows, batch, count, expect_error, quiet};

/// Orders of all kinds, so many that they do not fit into the least memory: of a few customers nearly all, amounts of other
/// decimals, too large for eight bytes, unknown, negative; days of all centuries and none; lines that only correct an amount.
const ORDERS: &str = "CREATE TABLE lines AS
    SELECT (300000 * power((g * 7919 % 99991) / 99991.0, 3))::int AS customer,
           CASE WHEN g % 1000 <> 7 THEN DATE '2020-01-01' + (g % 1500)::int WHEN g % 3000 <> 7 THEN DATE '1066-10-14' END AS day,
           CASE WHEN g % 101 = 0 THEN NULL WHEN g % 103 = 0 THEN -5.5 WHEN g % 10007 = 0 THEN 1e20 + g
                WHEN g % 211 = 0 THEN g / 1000.0 ELSE g % 5000 END::numeric AS amount,
           CASE g % 3 WHEN 0 THEN true WHEN 1 THEN false END AS discounted,
           g % 17 <> 3 AS is_purchase
    FROM generate_series(1::bigint, 400000) AS g";

/// The key, and the columns that it makes, as the orders of a segmentation have them.
const KEYS: [(&str, &str, &str); 5] = [
    ("bigint", "l.customer::bigint AS a", "a bigint"),
    ("text", "repeat('k', l.customer % 40) || l.customer AS a", "a text"),
    ("long text", "repeat(md5(l.customer::text), 1 + l.customer % 2 * (l.customer % 400)) AS a", "a text"),
    ("uuid", "md5(l.customer::text)::uuid AS a", "a uuid"),
    ("two columns", "'shop ' || l.customer % 3 AS a, l.customer::smallint AS b", "a text, b smallint"),
];

#[test]
fn they_are_those_of_group_by() {
    let database = Database::new("collected");
    let mut client = quiet(&database);
    batch(&mut client, ORDERS);
    for work_mem in ["64kB", "256MB"] {
        for (name, key, columns) in KEYS {
            let most = if name == "long text" || name == "two columns" { 30_000 } else { i32::MAX };
            let orders = format!(
                "SELECT {key}, l.day, l.amount, l.discounted, l.is_purchase FROM lines AS l WHERE l.customer <= {most}"
            );
            let names = if columns.contains(',') { "a, b" } else { "a" };
            batch(
                &mut client,
                &format!(
                    "DROP TABLE IF EXISTS collected, grouped; SET work_mem = '{work_mem}';
                     CREATE TABLE collected AS
                     SELECT * FROM _collect_histories($orders${orders}$orders$) AS r ({columns}, history purchase_history);
                     SET work_mem = '256MB';
                     CREATE TABLE grouped AS
                     SELECT {names}, purchase_history(day, amount, discounted, is_purchase) AS history
                     FROM ({orders}) AS o GROUP BY {names}"
                ),
            );
            let what = format!("{name}, work_mem {work_mem}");
            assert_same_rows(&mut client, &what, "SELECT * FROM collected", "SELECT * FROM grouped", 10_000);
        }
    }
}

/// A segmentation takes them wherever equal keys have equal bytes.
#[test]
fn a_segmentation_collects_where_keys_can_be_told_apart() {
    let database = Database::new("collected_keys");
    let mut client = quiet(&database);
    for (of_type, is_collected) in
        [("bigint", true), ("text", true), ("uuid", true), ("date", true), ("numeric", false)]
    {
        batch(
            &mut client,
            &format!(
                "DROP TABLE IF EXISTS orders;
                 CREATE TABLE orders (customer_id {of_type}, ordered_at date, amount numeric, discounted boolean)"
            ),
        );
        let collected = count(
            &mut client,
            "SELECT count(*) FROM (
                 SELECT jsonb_populate_record(NULL::segmentation_settings, '{\"orders\": \"public.orders\",
                     \"customer\": \"customer_id\", \"ordered_at\": \"ordered_at\", \"amount\": \"amount\"}') AS s OFFSET 0
             ) AS q
             WHERE _filling_query(q.s, 'histories') LIKE '%\\_collect\\_histories(%'",
        );
        assert_eq!(collected == 1, is_collected, "{of_type}");
    }
}

#[test]
fn what_cannot_be_collected_is_refused() {
    let database = Database::new("collected_refused");
    let mut client = quiet(&database);
    let order = "DATE ''2025-01-01'', 2::numeric, true";
    for (query, columns, code) in [
        (format!("SELECT 1, {order}"), "a int, history text", "22023"),
        (format!("SELECT 1, {order}"), "a text, history purchase_history", "22023"),
        (format!("SELECT 1, {order}, true, true"), "a int, history purchase_history", "22023"),
        ("SELECT 1, 2, 3, 4".to_owned(), "a int, history purchase_history", "22023"),
        (format!("SELECT {order}"), "history int", "22023"),
        (format!("SELECT NULL::int, {order}"), "a int, history purchase_history", "22023"),
        (format!("SELECT 1, {order}; SELECT 2"), "a int, history purchase_history", "42P11"),
        ("DROP TABLE orders".to_owned(), "a int, history purchase_history", "42P11"),
        ("SELECT".to_owned(), "a int, history purchase_history", "22023"),
        ("SELECT 1, DATE ''infinity'', 1::numeric, true".to_owned(), "a int, history purchase_history", "22008"),
        ("SELECT 1, CURRENT_DATE, ''NaN''::numeric, true".to_owned(), "a int, history purchase_history", "22003"),
    ] {
        let call = format!("SELECT * FROM _collect_histories('{query}') AS r ({columns})");
        let (found, message, _) = expect_error(&mut client, &call);
        assert_eq!(found, code, "{call}: {message}");
    }
    let (code, ..) = expect_error(&mut client, &format!("SELECT _collect_histories('SELECT 1, {order}')"));
    assert_eq!(code, "22023");
}
