//! Every function answers the same in any schema, with any search path, and under row-level security.

use crate::common::*;

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

    let weird = Database::empty("path_weird");
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
