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
    database.psql(&format!("SET search_path = \"{schema}\"; {}", include_str!("facts.sql")));
}

/// What each function of the extension that people can call answers: its signature and a digest. The calls are made from
/// the catalog, so that no function is forgotten; a type of argument without a value in `facts` fails.
fn answers(database: &Database, schema: &str, path: &str) -> Vec<(String, String)> {
    let functions = database.psql(include_str!("callable_functions.sql"));
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
