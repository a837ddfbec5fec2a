//! What is stored survives: pg_dump, restore into a new database, REFRESH. What is called works with `search_path = ''`,
//! as all of these do, in any schema, beside a shop's own tables of the same names.

use crate::common::*;
use std::fs;
use std::process::{Command, Stdio};

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
    for table in ["orders", "events", "policies", "customers", "segments", "histories", "results", "scenarios", "due"] {
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
    shop.psql(
        r#"SET search_path = public, rfm;
           CREATE TABLE orders (customer_id int, ordered_on date, amount numeric, discounted boolean);
           INSERT INTO orders
           SELECT n % 97, '2025-06-30'::date - abs(hashint4(n)) % 700, (abs(hashint4(n + 1)) % 3000000) / 100.0 - 2000,
                  CASE n % 3 WHEN 0 THEN true WHEN 1 THEN false END
           FROM generate_series(1, 1500) AS n;
           CREATE TABLE events (customer_id int, kind text, happened_on date);
           INSERT INTO events
           SELECT n % 61, (ARRAY['review', 'referral', 'complaint', 'stated_competitor', 'community', 'ünusual "kind"'])
                          [1 + abs(hashint4(n)) % 6], '2025-06-30'::date - abs(hashint4(n + 7)) % 400
           FROM generate_series(1, 400) AS n;
           CREATE TABLE policies (name text PRIMARY KEY, policy segment_policy NOT NULL);
           INSERT INTO policies VALUES ('this year', '{"vip": {"monetary_cut": 30000}, "frequency":   "purchase_days"}'),
               ('last year', preset_policy('mail_order_181')), ('plain', default_policy()),
               ('all', effective_policy(preset_policy('occasional'))::segment_policy);

           -- The histories of a day, kept in a table: every use of a function that pg_dump writes down.
           CREATE TABLE customers (
               customer_id int PRIMARY KEY,
               h purchase_history NOT NULL UNIQUE CHECK (coalesce(last_purchase_on(h, '9999-12-31') <= '2025-12-31', true)),
               e engagement_history,
               c contact_history,
               policy segment_policy NOT NULL DEFAULT default_policy(),
               spent numeric GENERATED ALWAYS AS (monetary(h, '9999-12-31')) STORED
           );
           CREATE TABLE scenarios (name text PRIMARY KEY, scenario scenario UNIQUE DEFAULT preset_scenario('vip_advocacy'));
           INSERT INTO scenarios SELECT name, preset_scenario(name) FROM scenario_presets();
           INSERT INTO customers (customer_id, h, e, c, policy)
           SELECT customer_id, h, e,
                  CASE WHEN customer_id % 3 > 0
                       THEN contact_history('電話 "x"', '2025-06-30'::date - customer_id, 'at_risk_check_in', 'check_in', NULL)
                  END,
                  coalesce(policy, default_policy())
           FROM (SELECT customer_id, purchase_history(ordered_on, amount, discounted) AS h FROM orders GROUP BY customer_id)
                AS o
           LEFT JOIN (SELECT customer_id, engagement_history(kind, happened_on) AS e FROM events GROUP BY customer_id) AS e
                USING (customer_id)
           LEFT JOIN policies ON name = CASE customer_id % 4 WHEN 0 THEN 'this year' WHEN 1 THEN 'all' END
           GROUP BY customer_id, h, e, policy;
           CREATE MATERIALIZED VIEW due AS
           SELECT customer_id, d.*
           FROM customers, (SELECT array_agg(scenario) AS all_of_them FROM scenarios) AS s,
                LATERAL due_steps(all_of_them, h, '2025-06-30', policy, e, 'ad_hoc', '{email}', c) AS d;
           CREATE UNIQUE INDEX ON due (customer_id, scenario);
           CREATE INDEX customers_state ON customers (lifecycle_state(h, '2025-06-30'));
           CREATE INDEX ON customers USING hash (e);
           CREATE INDEX ON customers (ab_group(customer_id, 'spring', '[{"group": "a", "share": 0.5}, {"group": "b", "share": 0.5}]'));
           CREATE TABLE results AS
           SELECT n % 4 AS grp, ab_result(n % 3 = 0, n * 0.25) AS result FROM generate_series(1, 100) AS n GROUP BY 1;

           CREATE MATERIALIZED VIEW histories AS
           SELECT customer_id, purchase_history(ordered_on, amount, discounted) AS h, rollup(purchase_history) AS rolled
           FROM orders LEFT JOIN LATERAL (SELECT '{}'::purchase_history) AS none ON true
           GROUP BY customer_id;
           CREATE UNIQUE INDEX ON histories (customer_id);
           CREATE MATERIALIZED VIEW segments AS
           SELECT h.customer_id, h.h, e.e, h.h + '{}' AS plus, s.*,
                  vip_tier(h.h, '2025-06-30', p.policy) AS untracked_tier, o.score
           FROM histories AS h
           LEFT JOIN (SELECT customer_id, engagement_history(kind, happened_on) AS e FROM events GROUP BY customer_id) AS e
                USING (customer_id)
           JOIN policies AS p ON p.name = 'this year'
           JOIN (SELECT customer_id, rfm_score(ordered_on, amount, '2025-06-30'::date, policy) AS score
                 FROM orders JOIN policies ON name = 'this year' GROUP BY customer_id) AS o USING (customer_id)
           CROSS JOIN LATERAL segment_customer(h.h, '2025-06-30', p.policy, coalesce(e.e, no_engagement()), 'ad_hoc',
                                               ARRAY['email'], '2025-06-29') AS s;
           CREATE UNIQUE INDEX ON segments (customer_id);
           CREATE VIEW states AS SELECT lifecycle_state, count(*) FROM segments GROUP BY lifecycle_state"#,
    );
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

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
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
