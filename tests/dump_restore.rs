//! What is stored survives: pg_dump, restore into a new database, REFRESH. What is called works with `search_path = ''`,
//! as all of these do, in any schema, beside a shop's own tables of the same names.

mod common;

use common::{Database, batch, expect_error, program};
use std::fs;
use std::process::{Command, Stdio};

// ---- Dump and restore -------------------------------------------------------------------------------------------

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
    let restored = empty_database(&format!("{name}_restored"));
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

/// A database without the extension.
fn empty_database(name: &str) -> Database {
    let database = Database::new(name);
    database.psql("DROP EXTENSION pg_rfm; DROP SCHEMA rfm");
    // What an unprepared database has.
    database.psql(&format!("ALTER DATABASE {} RESET search_path", database.name));
    database
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

// ---- Every function, in any schema, with any search path --------------------------------------------------------

/// With `rfm` on the path is how the examples call the functions; the empty path is how pg_restore, REFRESH and careful owners do.
#[test]
fn every_function_answers_the_same_without_a_search_path() {
    let database = Database::new("path_empty");
    facts(&database, "rfm");
    let expected = answers(&database, "rfm", "rfm, public");
    assert_eq!(answers(&database, "rfm", "''"), expected);
    assert_eq!(answers(&database, "rfm", "pg_temp, pg_catalog"), expected);
}

/// A name that must be quoted, and where nobody looks for it.
#[test]
fn every_function_answers_the_same_in_another_schema() {
    let usual = Database::new("path_usual");
    facts(&usual, "rfm");
    let expected = answers(&usual, "rfm", "rfm, public");

    let weird = empty_database("path_weird");
    weird.psql(r#"CREATE SCHEMA "We ird"; CREATE EXTENSION pg_rfm SCHEMA "We ird""#);
    facts(&weird, "We ird");
    assert_eq!(answers(&weird, "We ird", "''"), expected);
    assert_eq!(answers(&weird, "We ird", "\"We ird\", public"), expected);
}

/// A table's name is a type's name too. The shop's tables and functions come first in the path, its operators as well.
#[test]
fn a_shops_own_tables_and_functions_of_the_same_names_do_not_disturb() {
    let database = Database::new("path_own");
    facts(&database, "rfm");
    let expected = answers(&database, "rfm", "rfm, public");
    database.psql(
        "CREATE SCHEMA own;
         SET search_path = own;
         CREATE TABLE purchase_history (customer_id int, ordered_on date, amount numeric);
         CREATE TABLE segment_policy (name text, cuts int[]);
         CREATE TABLE engagement_history (kind text);
         CREATE TABLE orders (id int);
         CREATE TABLE segment_customer (id int);
         CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'own' $$;
         CREATE FUNCTION rfm_score(rfm.purchase_history, date) RETURNS int LANGUAGE sql AS $$ SELECT 0 $$;
         CREATE FUNCTION never(rfm.purchase_history, rfm.purchase_history) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
         CREATE OPERATOR = (FUNCTION = never, LEFTARG = rfm.purchase_history, RIGHTARG = rfm.purchase_history)",
    );
    assert_eq!(answers(&database, "rfm", "own, pg_catalog, rfm"), expected);
    // In public, as a shop has them, beside the path that README recommends.
    database.psql(
        "CREATE TABLE public.purchase_history (customer_id int, ordered_on date, amount numeric);
         CREATE TABLE public.segment_policy (name text);
         CREATE TABLE public.orders (id int);
         INSERT INTO public.purchase_history VALUES (1, '2025-06-01', 100)",
    );
    for path in ["public, rfm", "rfm, public"] {
        assert_eq!(answers(&database, "rfm", path), expected, "{path}");
        // Functions and aggregates are found by their arguments, whoever comes first. A type's name is not: where the
        // shop's schema comes first, its own table's row type is meant, and pg_rfm's is written rfm.purchase_history.
        assert_eq!(
            database.psql(&format!(
                "SET search_path = {path};
                 SELECT purchase_history(ordered_on, amount), rfm_score(purchase_history(ordered_on, amount), '2025-06-30'),
                        lifecycle_state(ordered_on, amount, '2025-06-30'::date), '{{}}'::rfm.purchase_history,
                        '{{}}'::rfm.segment_policy
                 FROM public.purchase_history"
            )),
            "{\"2025-06-01\": {\"orders\": 1, \"amount\": 100}}|511|new|{}|{}\n",
            "{path}"
        );
    }
    assert_eq!(database.psql("SET search_path = rfm, public; SELECT '{}'::purchase_history"), "{}\n");
}

/// One column for each type of argument, and for those whose value must be a word of a list.
fn facts(database: &Database, schema: &str) {
    database.psql(&format!(
        r#"SET search_path = "{schema}";
           CREATE TABLE public.facts AS
           SELECT n AS customer, n AS "integer", n::bigint AS "bigint", n * 2.25 AS "numeric", n * 0.37::float8 AS "double precision",
                  111 * (1 + n % 5) AS score, 2 + n % 3 AS nth, 6 * n AS recency_days, n % 2 = 0 AS "boolean", '2025-06-30'::date - n * 17 % 90 AS "date", '2025-06-30'::date AS as_of,
                  n * 0.01::float8 AS base_rate, 0.05::float8 AS lift, 0.8::float8 AS power, 0.05::float8 AS alpha, 'k' || n AS customer_key, 'spring' AS test,
                  '[{{"group": "a", "share": 0.5}}, {{"group": "b", "share": 0.5}}]'::jsonb AS groups, md5(n::text)::uuid AS "uuid",
                  format('(1000,%s,,,,5000,,%s)', n, n + 1000000)::ab_result AS "ab_result",
                  '2025-01-01'::date AS from_day, '2025-06-30'::date AS to_day, '1 month'::interval AS "interval",
                  '2025-06-01 12:00'::timestamp - make_interval(days => n) AS "timestamp without time zone",
                  '2025-06-01 12:00+00'::timestamptz - make_interval(days => n) AS "timestamp with time zone",
                  (ARRAY['continuing', 'paused', '03', 'ad_hoc'])[1 + n % 4] AS membership,
                  (ARRAY['dormant', 'at_risk', 'vip', 'active', 'prospect'])[1 + n % 5] AS lifecycle_state,
                  (ARRAY['drifted', 'overstocked', 'competitor'])[1 + n % 3] AS dormancy_reason,
                  (ARRAY['review', 'referral', 'complaint'])[1 + n % 3] AS kind, 'annual_365' AS name,
                  'aki@example.jp' AS email, '090-1234-' || 5000 + n AS phone, '港区芝1-1-' || n AS postal_address, 'aki' || n AS line_id,
                  jsonb_build_object('email', n % 2 = 0, 'sms', true, 'postal', n % 3 = 0) AS consents,
                  ARRAY['email', 'postal'] AS "text[]", '{{"frequency": "purchase_days"}}'::jsonb AS "jsonb",
                  format('{{"2024-%s-03": {{"orders": 2, "discounted": 1, "amount": %s.50}}, "2025-05-01": {{"orders": 1, "amount": 7}}}}',
                         lpad((1 + n % 12)::text, 2, '0'), n * 100)::purchase_history AS purchase_history,
                  format('{{"review": {{"2025-01-%s": 2}}}}', lpad((1 + n % 28)::text, 2, '0'))::engagement_history
                      AS engagement_history,
                  contact_history('email', '2025-06-01'::date - n, 'at_risk_check_in', 'check_in', NULL) AS contact_history,
                  (ARRAY['email', 'postal', NULL])[1 + n % 3] AS channel, 'at_risk_check_in' AS scenario_name, 'check_in' AS step,
                  (ARRAY['a', 'holdout', NULL])[1 + n % 3] AS "group", 'vip_advocacy' AS preset,
                  (preset_scenario('at_risk_check_in')::jsonb || '{{"enter_when": {{"rfm_segment": "kings"}}}}')::scenario AS scenario,
                  ARRAY[preset_scenario('at_risk_check_in'), preset_scenario('reactivation_drifted')] AS _scenario,
                  format('{{"vip": {{"min_span_days": 10, "monetary_cut": 100}}}}')::segment_policy AS segment_policy
           FROM generate_series(1, 40) AS n GROUP BY n;
           INSERT INTO segment_policies (name, policy, valid_from) VALUES ('annual_365', '{{"frequency": "purchase_days"}}', '1990-01-01')"#
    ));
}

/// What each function of the extension that people can call answers: its signature and a digest. The calls are made from
/// the catalog, so that no function is forgotten; a type of argument without a value in `facts` fails.
fn answers(database: &Database, schema: &str, path: &str) -> Vec<(String, String)> {
    let functions = database.psql(
        "SELECT p.proname, p.prokind,
                array_to_string(ARRAY(SELECT coalesce(quote_ident(c.attname), 'no value for ' || format_type(t.oid, NULL))
                                      FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, position)
                                      JOIN pg_type AS t ON t.oid = a.type
                                      -- Two arguments of one name are two things.
                                      CROSS JOIN LATERAL (
                                          SELECT CASE WHEN p.proname = 'preset_scenario' THEN 'preset'
                                                      WHEN p.proname = 'contact_history' AND p.proargnames[position] = 'scenario'
                                                      THEN 'scenario_name'
                                                      ELSE p.proargnames[position] END AS argument) AS w
                                      LEFT JOIN LATERAL (
                                          SELECT attname FROM pg_attribute
                                          WHERE attrelid = 'public.facts'::regclass AND attnum > 0 AND atttypid = a.type
                                                AND attname IN (w.argument, t.typname, format_type(t.oid, NULL))
                                          ORDER BY attname = w.argument DESC NULLS LAST LIMIT 1) AS c ON true
                                      ORDER BY position), ', '),
                array_to_string(ARRAY(SELECT t.typname FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, position)
                                      JOIN pg_type AS t ON t.oid = a.type ORDER BY position), ', ')
         FROM pg_depend AS d JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
         WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
               AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_rfm')
               -- What takes or gives PostgreSQL's internal values cannot be called by hand.
               AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[]) AND NOT 'cstring'::regtype = ANY (p.proargtypes::oid[])
               AND p.prorettype NOT IN ('internal'::regtype, 'cstring'::regtype)
               -- Nor is a part of an aggregate meant to be, or a trigger.
               AND p.proname !~ '^_'
               -- Segmentations have tests of their own.
               AND (p.proname = 'stored_policy'
                    OR p.prolang NOT IN (SELECT l.oid FROM pg_language AS l WHERE l.lanname IN ('sql', 'plpgsql')))
         ORDER BY 1, 4",
    );
    let mut script = format!("SET search_path = {path}; SET jit = off;\n");
    let mut signatures = Vec::new();
    for line in functions.lines() {
        let [name, kind, arguments, types] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("four columns: {line}")
        };
        assert!(!arguments.contains("no value for"), "{name}({types}): {arguments}");
        let group = if kind == "a" { "GROUP BY customer % 5" } else { "" };
        script += &format!(
            "SELECT md5(string_agg(answer::text, E'\\n' ORDER BY answer::text COLLATE \"C\")), count(answer) > 0
             FROM (SELECT \"{schema}\".{name}({arguments}) AS answer FROM public.facts {group}) AS q;\n"
        );
        signatures.push(format!("{name}({types})"));
    }
    assert!(signatures.len() > 150, "the functions of the extension were found: {}", signatures.len());
    let answers = database.psql(&script);
    let answers: Vec<_> = signatures.into_iter().zip(answers.lines().map(str::to_owned)).collect();
    let silent: Vec<_> = answers.iter().filter(|(_, answer)| !answer.ends_with("|t")).collect();
    assert!(silent.is_empty(), "these say nothing but NULL: {silent:?}");
    answers
}

// ---- Row-level security -----------------------------------------------------------------------------------------

#[test]
fn row_level_security_holds_under_the_aggregates() {
    let database = Database::new("rls");
    let role = format!("{}_analyst", database.name);
    database.psql(&format!(
        "SET search_path = public, rfm;
         CREATE TABLE orders (shop text, customer_id int, ordered_on date, amount numeric, membership text);
         INSERT INTO orders VALUES ('mine', 1, '2025-06-01', 100, 'paused'), ('theirs', 1, '2025-06-20', 900, 'secret 4711'),
                                   ('theirs', 2, '2025-06-20', 50, 'secret 4712');
         ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
         CREATE POLICY mine ON orders USING (shop = 'mine');
         CREATE ROLE {role}; GRANT USAGE ON SCHEMA rfm TO {role}; GRANT SELECT ON orders TO {role}"
    ));
    let as_analyst = |sql: &str| database.psql(&format!("SET ROLE {role}; {sql}"));
    assert_eq!(
        as_analyst(
            "SELECT customer_id, purchase_history(ordered_on, amount), rfm_score(ordered_on, amount, '2025-06-30'::date),
                    lifecycle_state(ordered_on, amount, '2025-06-30'::date)
             FROM orders GROUP BY customer_id"
        ),
        "1|{\"2025-06-01\": {\"orders\": 1, \"amount\": 100}}|511|new\n"
    );
    // A function whose error shows the value must not meet a hidden row before the policy does, however cheap it is.
    assert_eq!(as_analyst("SELECT customer_id FROM orders WHERE dormancy_category(1, membership) = 'paused'"), "1\n");
    // In workers too.
    assert_eq!(
        as_analyst(
            "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
             SELECT monetary(purchase_history(ordered_on, amount), '2025-06-30') FROM orders"
        ),
        "100\n"
    );
    database.psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

// ---- The catalog ------------------------------------------------------------------------------------------------

#[test]
fn every_object_of_the_extension_has_a_comment() {
    let database = Database::new("comments");
    let silent = database.psql(
        "SELECT pg_describe_object(classid, objid, 0)
         FROM pg_depend
         WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
               AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_rfm')
               -- Array types and row types of tables, members since 17, come with what they are made of.
               AND NOT (classid = 'pg_type'::regclass
                        AND objid IN (SELECT typarray FROM pg_type UNION ALL SELECT reltype FROM pg_class WHERE relkind IN ('r', 'v')))
               AND coalesce(obj_description(objid, classid::regclass::text::name), '') = ''
         ORDER BY 1",
    );
    let few: Vec<_> = silent.lines().take(10).collect();
    assert!(silent.is_empty(), "{} objects without a comment: {few:#?}", silent.lines().count());
    let comment =
        database.psql("SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'pg_rfm'");
    assert!(!comment.trim().is_empty());
}

/// Stored policies and segmentations are about relations, and written in SQL, but for what writes notes and rows of views; they
/// have tests of their own.
const ABOUT_TABLES: &str =
    "(l.lanname IN ('sql', 'plpgsql') OR p.proname IN ('_hold_notes', '_note', '_write_view_rows'))";

/// Functions of the extension with a condition on pg_proc, as `schema.name(types)`.
fn functions(database: &Database, condition: &str) -> String {
    database.psql(&format!(
        "SELECT p.oid::regprocedure
         FROM pg_depend AS d JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
         JOIN pg_language AS l ON l.oid = p.prolang
         WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
               AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_rfm') AND ({condition})
         ORDER BY 1"
    ))
}

#[test]
fn every_function_runs_in_workers_and_none_is_volatile() {
    let database = Database::new("labels");
    assert_ne!(functions(&database, "true"), "");
    assert_eq!(functions(&database, &format!("p.proparallel <> 's' AND NOT {ABOUT_TABLES}")), "");
    assert_eq!(functions(&database, &format!("p.provolatile = 'v' AND NOT {ABOUT_TABLES}")), "");
}

/// The day of a timestamptz is that of the session's TimeZone. PostgreSQL labels aggregates themselves always immutable;
/// their transition functions say it.
#[test]
fn only_what_depends_on_the_time_zone_is_stable() {
    let database = Database::new("stable");
    let zoned =
        &format!("'timestamptz'::regtype = ANY (p.proargtypes::oid[]) AND p.prokind = 'f' AND NOT {ABOUT_TABLES}");
    assert_ne!(functions(&database, zoned), "");
    assert_eq!(
        functions(&database, &format!("p.provolatile = 's' AND NOT {ABOUT_TABLES}")),
        functions(&database, zoned)
    );
}

/// A strict transition function would skip rows without an amount, a strict function with defaults would answer NULL.
#[test]
fn what_gives_null_a_meaning_is_not_strict_and_what_does_not_is() {
    let database = Database::new("strict");
    assert_eq!(
        functions(&database, "p.proisstrict AND (p.pronargdefaults > 0
                              OR p.proname ~ '^_(collect|combine|finish)' AND 'internal'::regtype = ANY (p.proargtypes::oid[]))"),
        ""
    );
    let plumbing = "p.proname ~ '_(in|out|recv|send|eq|ne|lt|le|gt|ge|cmp|hash|hash_extended|plus|overlay)$' \
                    OR p.proname ~ '^_(de)?serialize'";
    assert_eq!(functions(&database, &format!("({plumbing}) AND NOT p.proisstrict AND NOT {ABOUT_TABLES}")), "");
}

/// Nothing runs with its owner's rights, nothing changes settings, and nothing is a text that looks names up when it runs.
#[test]
fn no_function_looks_names_up_or_runs_as_somebody_else() {
    let database = Database::new("bodies");
    assert_eq!(functions(&database, "p.prosecdef"), "");
    // What is written in SQL looks names up in pg_catalog alone; stored_policy(name) only adds today's date.
    assert_eq!(functions(&database, &format!("p.proconfig IS NOT NULL AND NOT {ABOUT_TABLES}")), "");
    let fixed = "coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)";
    let in_sql = "l.lanname NOT IN ('c', 'internal')";
    assert_eq!(functions(&database, &format!("{in_sql} AND NOT {fixed}")), "stored_policy(text)\n");
    assert_eq!(functions(&database, &format!("{in_sql} AND NOT {ABOUT_TABLES}")), "");
    // Only comparing bytes never fails, so only that may go before a security barrier.
    assert_eq!(
        functions(
            &database,
            "p.proleakproof AND p.prosrc !~ '^(bytea(eq|ne|lt|le|gt|ge|cmp)|hashvarlena(extended)?)$'"
        ),
        ""
    );
}

/// A cost of 1 is what nobody set: for anything that unpacks a history or a policy it is wrong.
#[test]
fn what_unpacks_a_value_has_a_cost() {
    let database = Database::new("costs");
    let takes_a_value =
        "p.proargtypes::oid[] && ARRAY['purchase_history', 'engagement_history', 'contact_history', 'segment_policy',
                                      'scenario', 'scenario[]']::regtype[]::oid[]";
    let condition = format!("p.prokind = 'f' AND l.lanname = 'c' AND p.procost <= 1 AND {takes_a_value}");
    let unset =
        functions(&database, &format!("{condition} AND p.proname !~ '_out$' AND p.proname !~ '^_collect_order_until'"));
    assert_eq!(unset, "");
}

#[test]
fn every_aggregate_can_be_split_among_workers_and_used_in_windows() {
    let database = Database::new("aggregates");
    let lacking = database.psql(
        "SELECT a.aggfnoid::regprocedure
         FROM pg_depend AS d JOIN pg_aggregate AS a ON d.classid = 'pg_proc'::regclass AND d.objid = a.aggfnoid
         WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
               AND NOT (a.aggcombinefn <> 0 AND a.aggfinalmodify = 'r' AND a.aggkind = 'n'
                        -- A state that is an SQL value is sent and estimated as such.
                        AND (a.aggtranstype <> 'internal'::regtype
                             OR a.aggserialfn <> 0 AND a.aggdeserialfn <> 0 AND a.aggtransspace > 0))
         ORDER BY 1",
    );
    assert_eq!(lacking, "");
    // 3 types of day, 3 of amount: purchase_history with and without discounts, four names with and without a policy;
    // engagement_history, contact_history, three rollups, learn_policy, proportion and ab_result.
    assert_eq!(functions(&database, "p.prokind = 'a'").lines().count(), 3 * 3 * (2 + 4 * 2) + 8);
}

// ---- Dropping ---------------------------------------------------------------------------------------------------

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
