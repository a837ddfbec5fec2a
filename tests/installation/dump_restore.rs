//! What is stored survives: pg_dump, restore into a new database, REFRESH. What is called works with `search_path = ''`,
//! as all of these do, in any schema, beside a shop's own tables of the same names.

use crate::common::*;
use std::fs;

/// How a dump leaves the database and gets into the next one.
#[derive(Clone, Copy, Debug)]
enum Way {
    Custom,
    Plain,
    Inserts,
}

#[test]
fn a_custom_dump_restores_by_two_jobs() {
    survives("dump_custom", Way::Custom);
}

#[test]
fn a_plain_dump_restores_through_psql() {
    survives("dump_plain", Way::Plain);
}

/// INSERT statements take every value through the input functions.
#[test]
fn a_dump_of_insert_statements_restores_through_psql() {
    survives("dump_inserts", Way::Inserts);
}

fn survives(name: &str, way: Way) {
    let shop = shop(name);
    let restored = Database::empty(&format!("{name}_restored"));
    hand_over(&shop, &restored, way);
    for table in [
        "orders",
        "events",
        "policies",
        "customers",
        "segments",
        "histories",
        "results",
        "scenarios",
        "due",
        "models",
        "predictions",
    ] {
        let rows = format!("SELECT t::text FROM public.{table} AS t ORDER BY t::text COLLATE \"C\"");
        let expected = shop.psql(&rows);
        assert!(expected.lines().count() > 2, "{table} holds something");
        assert_eq!(restored.psql(&rows), expected, "{table} after {way:?}");
    }
    // Types, functions and operators came with CREATE EXTENSION; the rest depends on the restored ones.
    assert_eq!(
        restored.psql("SELECT extnamespace::regnamespace, extversion FROM pg_extension WHERE extname = 'pg_rfm'"),
        shop.psql("SELECT extnamespace::regnamespace, extversion FROM pg_extension WHERE extname = 'pg_rfm'"),
    );
    refreshes(&restored);
    enforces_what_it_declared(&restored);
}

/// Both kinds of REFRESH see new orders, without any search path, and leave the same rows as a query.
fn refreshes(database: &Database) {
    for (refresh, customer) in [("REFRESH MATERIALIZED VIEW", 9001), ("REFRESH MATERIALIZED VIEW CONCURRENTLY", 9002)] {
        database.psql(&format!(
            "SET search_path = '';
             INSERT INTO public.orders VALUES ({customer}, '2025-06-01', 12000.50, false), (1, '2025-06-29', 1, NULL);
             UPDATE public.policies SET policy = policy OPERATOR(rfm.||) '{{\"vip\": {{\"min_span_days\": {}}}}}';
             {refresh} public.histories;
             {refresh} public.due;
             {refresh} public.segments",
            customer % 80
        ));
        let segment = "SELECT lifecycle_state, monetary FROM public.segments WHERE customer_id =";
        assert_eq!(database.psql(&format!("{segment} {customer}")), "new|12000.50\n", "{refresh}");
        let definition = database.psql("SELECT pg_get_viewdef('public.segments'::regclass)");
        let definition = definition.trim().trim_end_matches(';');
        assert_eq!(
            database.psql(&format!(
                "SELECT count(*) FROM (({definition}) EXCEPT ALL TABLE public.segments) AS q
                 UNION ALL SELECT count(*) FROM (TABLE public.segments EXCEPT ALL ({definition})) AS q"
            )),
            "0\n0\n",
            "{refresh}"
        );
    }
}

/// The default, the generated column, the check and the indexes over pg_rfm's functions are there again.
fn enforces_what_it_declared(database: &Database) {
    let mut client = database.client();
    batch(&mut client, "SET search_path = ''; INSERT INTO public.customers (customer_id, h) VALUES (9100, '{}')");
    assert_eq!(database.psql("SELECT policy, spent FROM customers WHERE customer_id = 9100"), "{}|0\n");
    let future = r#"INSERT INTO public.customers (customer_id, h)
                    VALUES (9101, '{"2026-01-01": {"orders": 1, "amount": 5}}')"#;
    assert_eq!(expect_error(&mut client, future).0, "23514");
    let twice =
        "INSERT INTO public.customers SELECT customer_id + 10000, h FROM public.customers WHERE customer_id = 1";
    assert_eq!(expect_error(&mut client, twice).0, "23505");
    let plan = database.psql(
        "SET search_path = ''; SET enable_seqscan = off;
         EXPLAIN SELECT FROM public.customers WHERE rfm.lifecycle_state(h, '2025-06-30') = 'vip'",
    );
    assert!(plan.contains("customers_state"), "{plan}");
}

/// Orders and events of a small shop, a stored policy, and everything that can be built upon pg_rfm's functions and types.
fn shop(name: &str) -> Database {
    let shop = Database::new(name);
    shop.psql(include_str!("stored_values.sql"));
    shop
}

fn hand_over(from: &Database, to: &Database, way: Way) {
    let file = std::env::temp_dir().join(format!("{}.dump", from.name));
    let dump = match way {
        Way::Custom => "--format=custom",
        Way::Plain => "--format=plain",
        Way::Inserts => "--inserts",
    };
    run(program("pg_dump").args([dump, "--file"]).arg(&file).arg(&from.name));
    match way {
        Way::Custom => {
            run(program("pg_restore").args(["--exit-on-error", "--jobs=2", "--dbname", &to.name]).arg(&file));
        }
        Way::Plain | Way::Inserts => {
            run(program("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &to.name, "-f"]).arg(&file));
        }
    }
    fs::remove_file(&file).expect("the dump can be deleted");
}

#[test]
fn the_extension_refuses_to_go_while_something_depends_on_it() {
    for (name, dependent) in [
        ("drop_view", "CREATE VIEW d AS SELECT rfm_score(10, 3, 5000) AS score"),
        ("drop_table", "CREATE TABLE d (h purchase_history)"),
        ("drop_default", "CREATE TABLE d (x text DEFAULT rfm_segment(555))"),
        ("drop_operator", "CREATE VIEW d AS SELECT '{}'::purchase_history + '{}' = '{}' AS same"),
        (
            "drop_matview",
            "CREATE MATERIALIZED VIEW d AS SELECT lifecycle_state(NULL::date, 1, '2025-01-01'::date) AS state",
        ),
    ] {
        let database = Database::new(name);
        let mut client = database.client();
        batch(&mut client, dependent);
        let (sqlstate, message, hint) = expect_error(&mut client, "DROP EXTENSION pg_rfm");
        assert_eq!(sqlstate, "2BP01", "{dependent}: {message}");
        assert!(hint.contains("CASCADE"), "{hint}");
        batch(&mut client, "DROP EXTENSION pg_rfm CASCADE");
        batch(&mut client, "CREATE EXTENSION pg_rfm SCHEMA rfm");
    }
}
