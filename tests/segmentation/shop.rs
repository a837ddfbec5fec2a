//! The shop that most tests of a segmentation use, with the company that runs it.

use crate::common::*;

pub const VIEWS: [&str; 6] = ["customers", "segments", "movement", "transitions", "cohorts", "actions"];

pub const ORDERS: &str = "
    CREATE SCHEMA sales;
    CREATE TABLE sales.orders (order_no int PRIMARY KEY, customer_id int, ordered_at date, amount numeric);
    CREATE INDEX ON sales.orders (customer_id);
    INSERT INTO sales.orders
    SELECT i, i % 37, date '2023-01-01' + i * 53 % 1200, i * 7919 % 400 + 0.25 FROM generate_series(1, 400) AS i;";

pub const CREATE: &str =
    "SELECT create_segmentation('shop', orders => 'sales.orders', as_of => '2026-06-30', track => 'trigger')";

pub const CREATE_REPORTS: &str = "SELECT rfm.create_segmentation('shop', 'sales.orders', schema => 'reports', as_of => '2026-06-30', track => 'trigger')";

/// With orders, and the segmentation `shop` in public.
pub fn shop(name: &str) -> (Database, Client) {
    let (database, mut client) = with_orders(name);
    batch(&mut client, CREATE);
    (database, client)
}

pub fn with_orders(name: &str) -> (Database, Client) {
    let database = Database::new(name);
    let mut client = quiet(&database);
    batch(&mut client, ORDERS);
    (database, client)
}

pub fn refresh(client: &mut Client) {
    batch(client, "SELECT rfm.refresh_segmentation('shop')");
}

/// The relations of which `segmentation_sql` says that they read something else than they do: views by what the catalog says
/// that they stand on, tables by the number of them: one table of the shop's, first orders also the histories.
pub fn wrong_reads(name: &str) -> String {
    format!(
        r#"SELECT string_agg(format('%s reads %s', q.relation, q.reads), '; ')
         FROM segmentation_sql({name}) AS q
         CROSS JOIN LATERAL (
             SELECT array_agg(DISTINCT d.refobjid::regclass::text ORDER BY d.refobjid::regclass::text) AS relations
             FROM pg_rewrite AS r
             JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
             JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid AND c.relkind <> 'c'
             WHERE r.ev_class = q.relation::regclass AND c.oid <> r.ev_class
         ) AS known
         WHERE (SELECT array_agg(n::regclass::text ORDER BY n::regclass::text) FROM unnest(q.reads) AS n)
               IS DISTINCT FROM known.relations
               AND NOT (q.kind = 'TABLE' AND cardinality(q.reads) = CASE substring(q.relation FROM '_(first_orders|status)"?$')
                                                                         WHEN 'first_orders' THEN 2 WHEN 'status' THEN 0 ELSE 1 END)"#
    )
}

/// The histories are those of the orders, by hand.
#[track_caller]
pub fn assert_histories(client: &mut Client) {
    let by_hand =
        "SELECT customer_id, rfm.purchase_history(ordered_at, amount) AS history FROM sales.orders GROUP BY 1";
    let differences = format!(
        "SELECT count(*) FROM ((SELECT t::text FROM public.shop_histories AS t EXCEPT ALL SELECT t::text FROM ({by_hand}) AS t)
         UNION ALL (SELECT t::text FROM ({by_hand}) AS t EXCEPT ALL SELECT t::text FROM public.shop_histories AS t)) AS d"
    );
    assert_eq!(count(client, &differences), 0);
}

/// What the feed tells of, by its name in NAME_customers.
const WATCHED: [&str; 4] = ["lifecycle_state", "rfm_segment", "vip_tier", "next_action"];

/// Keeps a copy of the customers of `shop`, from which its feed must lead to the present ones.
pub fn copy_customers(client: &mut Client, keys: &str) {
    let sql = format!(
        "DROP TABLE IF EXISTS copied; CREATE TABLE copied AS
         SELECT {keys}, {}, (SELECT coalesce(max(change_id), 0) FROM shop_changes) AS last_change FROM shop_customers",
        WATCHED.join(", ")
    );
    batch(client, &sql);
}

/// The copy with all that was told since is what the customers are now, and each change begins where the one before ended.
#[track_caller]
pub fn assert_replays(client: &mut Client, keys: &str, context: &str) {
    let values = WATCHED.map(|what| format!("('{what}', c.{what})")).join(", ");
    let of = |relation: &str| {
        format!(
            "SELECT {keys}, v.what, v.value FROM {relation} AS c CROSS JOIN LATERAL (VALUES {values}) AS v (what, value)"
        )
    };
    let sql = format!(
        "WITH chain AS (
             SELECT {keys}, what, 0 AS change_id, NULL AS from_value, value AS to_value FROM ({}) AS copy
             UNION ALL
             SELECT {keys}, what, change_id, from_value, to_value FROM shop_changes
             WHERE change_id > (SELECT coalesce(max(last_change), 0) FROM copied)
         ), linked AS MATERIALIZED (
             SELECT *, lag(to_value) OVER w AS before, lead(change_id) OVER w AS next
             FROM chain WINDOW w AS (PARTITION BY {keys}, what ORDER BY change_id)
         ), replayed AS MATERIALIZED (
             SELECT {keys}, what, to_value AS value FROM linked WHERE next IS NULL AND to_value IS NOT NULL
         ), present AS MATERIALIZED (
             SELECT * FROM ({}) AS now WHERE value IS NOT NULL
         ), wrong AS (
             SELECT 'broken ' || l::text AS w FROM linked AS l
             WHERE change_id > 0 AND (from_value IS DISTINCT FROM before OR from_value IS NOT DISTINCT FROM to_value)
             UNION ALL SELECT 'replayed ' || r::text FROM (TABLE replayed EXCEPT ALL TABLE present) AS r
             UNION ALL SELECT 'present ' || p::text FROM (TABLE present EXCEPT ALL TABLE replayed) AS p
         )
         SELECT string_agg(w, E'\\n') FROM (SELECT w FROM wrong LIMIT 10) AS w",
        of("copied"),
        of("shop_customers")
    );
    let wrong = text(client, &sql);
    assert!(wrong.is_empty(), "{context}:\n{wrong}");
}

/// What is in the database, so that nothing half-done is left behind.
pub fn objects(client: &mut Client) -> String {
    text(
        client,
        "SELECT string_agg(o, E'\\n' ORDER BY o) FROM (
             SELECT pg_describe_object('pg_class'::regclass, oid, 0) AS o FROM pg_class WHERE oid >= 16384
             UNION ALL SELECT pg_describe_object('pg_proc'::regclass, oid, 0) FROM pg_proc WHERE oid >= 16384
             UNION ALL SELECT pg_describe_object('pg_trigger'::regclass, oid, 0) FROM pg_trigger WHERE NOT tgisinternal) AS t",
    )
}

/// The shop's: @owner. Who segments: @analyst. Who writes orders: @app. Who reads: @reader. Anybody else: @other.
pub fn company(database: &Database) -> Roles<'_> {
    let roles = Roles::create(database, &["owner", "analyst", "app", "reader", "other"]);
    let mut client = quiet(database);
    batch(&mut client, ORDERS);
    batch(
        &mut client,
        &roles.say(&format!(
            "GRANT TEMPORARY ON DATABASE {} TO @analyst;
             GRANT USAGE ON SCHEMA rfm TO @analyst, @other, @owner;
             ALTER SCHEMA sales OWNER TO @owner; ALTER TABLE sales.orders OWNER TO @owner;
             CREATE SCHEMA reports; REVOKE ALL ON SCHEMA public FROM PUBLIC;
             GRANT USAGE ON SCHEMA sales TO @analyst, @app;
             GRANT SELECT, TRIGGER ON sales.orders TO @analyst;
             GRANT USAGE, CREATE ON SCHEMA reports TO @analyst;
             GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON sales.orders TO @app",
            database.name
        )),
    );
    roles
}
