//! Stored values: round trips through text and COPY, and the types in joins, sorts and indexes.

use super::*;
use std::io::Read;

/// The columns of the types in the table `customers`.
const STORED: [(&str, &str); 7] = [
    ("purchase_history", "h"),
    ("engagement_history", "e"),
    ("contact_history", "c"),
    ("membership_history", "m"),
    ("segment_policy", "policy"),
    ("purchase_model", "model"),
    ("scenario", "scenario"),
];

#[test]
fn the_text_of_a_value_reads_back_as_the_same_bytes() {
    let shop = Shop::new("plans_text");
    for (type_name, column) in STORED {
        shop.holds(&format!(
            "SELECT {column}::text::{type_name} = {column} AND {column}::text::{type_name}::text = {column}::text
                    AND {type_name}_send({column}::text::{type_name}) = {type_name}_send({column})
             FROM customers WHERE {column} IS NOT NULL"
        ));
    }
}

#[test]
fn a_policy_goes_through_jsonb_without_changing_what_it_says() {
    let shop = Shop::new("plans_jsonb");
    shop.holds(
        "SELECT effective_policy(policy::jsonb::segment_policy) = effective_policy(policy)
                AND policy::jsonb::segment_policy::jsonb = policy::jsonb
         FROM customers WHERE policy IS NOT NULL",
    );
}

/// In both formats of COPY, as pg_dump and replication tools use them: every value and every answer stays.
#[test]
fn copy_out_and_in_again_changes_neither_a_value_nor_an_answer() {
    let shop = Shop::new("plans_copy");
    let answer = |table: &str| {
        shop.answer(
            SERIAL,
            &format!(
                "SELECT c.*, s.* FROM {table} AS c
                 CROSS JOIN LATERAL segment_customer(c.h, '2025-06-30', c.policy, c.e, c.membership, c.channels,
                                                     c.last_contacted_on, c.c, c.m) AS s"
            ),
        )
    };
    let expected = answer("customers");
    for format in ["binary", "text", "csv"] {
        let mut client = shop.database.client();
        batch(&mut client, "DROP TABLE IF EXISTS copied; CREATE TABLE copied (LIKE customers)");
        let mut bytes = Vec::new();
        let mut out = client.copy_out(&format!("COPY customers TO STDOUT (FORMAT {format})")).expect("COPY TO starts");
        out.read_to_end(&mut bytes).expect("COPY TO ends");
        drop(out);
        let mut copy = client.copy_in(&format!("COPY copied FROM STDIN (FORMAT {format})")).expect("COPY FROM starts");
        std::io::Write::write_all(&mut copy, &bytes).expect("COPY FROM takes the bytes");
        copy.finish().expect("COPY FROM ends");
        assert_eq!(answer("copied"), expected, "{format}");
        shop.holds(
            "SELECT c.h IS NOT DISTINCT FROM o.h AND c.e IS NOT DISTINCT FROM o.e AND c.c IS NOT DISTINCT FROM o.c
                           AND c.m IS NOT DISTINCT FROM o.m
                           AND c.scenario = o.scenario
                           AND c.policy IS NOT DISTINCT FROM o.policy
                    FROM customers AS o FULL JOIN copied AS c USING (customer_id)",
        );
    }
}

/// Equal means: prints the same. So the text decides what every plan must find.
#[test]
fn distinct_group_by_and_order_by_go_by_the_value() {
    let shop = Shop::new("plans_distinct");
    for (type_name, column) in STORED {
        for settings in ["SET enable_hashagg = off;", "SET enable_sort = off;"] {
            let found = |query: &str| shop.answer(&format!("{SERIAL} {settings}"), query);
            let from = format!("FROM customers WHERE {column} IS NOT NULL");
            assert_eq!(
                found(&format!("SELECT DISTINCT {column} AS v {from}")),
                found(&format!(
                    "SELECT DISTINCT {column}::text::{type_name} AS v FROM (SELECT DISTINCT {column}::text {from}) AS t"
                )),
            );
            assert_eq!(
                found(&format!("SELECT {column}::text, count(*) {from} GROUP BY {column}")),
                found(&format!("SELECT {column}::text, count(*) {from} GROUP BY {column}::text")),
            );
        }
        // ORDER BY is a total order: of two neighbors the first is less or equal, never more.
        shop.holds(&format!(
            "SELECT v IS NULL OR next IS NULL OR v < next AND NOT v > next AND v <> next AND next > v AND next >= v
                    OR v = next AND v <= next AND v >= next AND NOT v < next
             FROM (SELECT {column} AS v, lead({column}) OVER (ORDER BY {column}) AS next FROM customers) AS s"
        ));
    }
}

#[test]
fn hash_and_merge_joins_find_the_same_pairs() {
    let shop = Shop::new("plans_join");
    for (_, column) in STORED {
        let pairs = |by: &str| {
            format!(
                "SELECT a.customer_id, b.customer_id AS other FROM customers AS a JOIN customers AS b ON a.{column}{by} = b.{column}{by}"
            )
        };
        let expected = shop.answer(SERIAL, &pairs("::text"));
        for (node, settings) in [
            ("Hash Join", "SET enable_mergejoin = off; SET enable_nestloop = off;"),
            ("Merge Join", "SET enable_hashjoin = off; SET enable_nestloop = off;"),
            ("Nested Loop", "SET enable_hashjoin = off; SET enable_mergejoin = off;"),
        ] {
            let settings = format!("{SERIAL} {settings}");
            let plan = shop.explain(&settings, &pairs(""));
            assert!(plan.contains(node), "{plan}");
            assert_eq!(shop.answer(&settings, &pairs("")), expected, "{node}");
        }
    }
}

#[test]
fn btree_and_hash_indexes_find_what_a_scan_finds() {
    let shop = Shop::new("plans_index");
    // Fewer values that are compared more often; btree entries hold at most a third of a page.
    shop.database.psql("CREATE TABLE small AS SELECT * FROM customers WHERE pg_column_size(h) < 2000");
    for (_, column) in STORED {
        let expected = shop.answer(
            SERIAL,
            &format!("SELECT a.customer_id, b.customer_id AS other FROM small AS a JOIN small AS b ON a.{column}::text = b.{column}::text"),
        );
        let pairs = format!(
            "SELECT a.customer_id, b.customer_id AS other FROM small AS a JOIN small AS b ON a.{column} = b.{column}"
        );
        let range = format!("SELECT a.customer_id FROM small AS a WHERE a.{column} >= (SELECT min_value FROM pivot)");
        shop.database.psql(&format!(
            "CREATE TABLE pivot AS SELECT {column} AS min_value FROM small WHERE {column} IS NOT NULL
                                   ORDER BY {column} OFFSET 20 LIMIT 1"
        ));
        let above = shop.answer(SERIAL, &range);
        for method in ["btree", "hash"] {
            shop.database.psql(&format!("CREATE INDEX by_value ON small USING {method} ({column}); ANALYZE small"));
            let settings = format!(
                "{SERIAL} SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off;
                 SET enable_material = off; SET enable_bitmapscan = off;
                 -- Before 14 there is no such setting.
                 DO $$ BEGIN PERFORM set_config(name, 'off', false) FROM pg_settings WHERE name = 'enable_memoize'; END $$;"
            );
            let plan = shop.explain(&settings, &pairs);
            assert!(plan.contains("using by_value"), "{plan}");
            assert_eq!(shop.answer(&settings, &pairs), expected, "{method}");
            if method == "btree" {
                assert!(shop.explain(&settings, &range).contains("using by_value"));
                assert_eq!(shop.answer(&settings, &range), above);
            }
            shop.database.psql("DROP INDEX by_value");
        }
        shop.database.psql("DROP TABLE pivot");
    }
}

#[test]
fn a_unique_index_refuses_an_equal_value() {
    let shop = Shop::new("plans_unique");
    shop.database.psql(
        "CREATE TABLE once (h purchase_history UNIQUE, e engagement_history UNIQUE, p segment_policy PRIMARY KEY);
         INSERT INTO once VALUES ('{\"2025-01-02\": {\"orders\": 1, \"amount\": 5}, \"2025-01-01\": {\"orders\": 1, \"amount\": 5}}',
                                  '{}', '{}')",
    );
    // Written in another order of days: the same history.
    let (sqlstate, message, _) = expect_error(
        &mut shop.database.client(),
        "INSERT INTO once VALUES ('{\"2025-01-01\": {\"orders\": 1, \"amount\": 5}, \"2025-01-02\": {\"orders\": 1, \"amount\": 5}}',
                                  NULL, '{\"version\": 1}')",
    );
    assert_eq!(sqlstate, "23505", "{message}");
}
