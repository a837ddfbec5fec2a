//! What the catalog says of the extension's objects.

use crate::common::*;

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
const ABOUT_TABLES: &str = "(l.lanname IN ('sql', 'plpgsql') OR p.proname IN ('_collect_histories', '_has_columns', '_lock_and_check_notes', '_note_everybody', '_note_customer', '_note_customers', '_write_notes', '_lock_view', '_query_columns', '_rows_differ', '_write_view_rows', '_write_watched_rows'))";

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
    // What is written in SQL looks names up in pg_catalog alone; stored_model(name) and stored_policy(name) only add today's date.
    assert_eq!(functions(&database, &format!("p.proconfig IS NOT NULL AND NOT {ABOUT_TABLES}")), "");
    let fixed = "coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)";
    let in_sql = "l.lanname NOT IN ('c', 'internal')";
    assert_eq!(functions(&database, &format!("{in_sql} AND NOT {fixed}")), "stored_policy(text)\nstored_model(text)\n");
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
        "p.proargtypes::oid[] && ARRAY['purchase_history', 'engagement_history', 'contact_history', 'membership_history', 'segment_policy',
                                      'purchase_model', 'scenario', 'scenario[]']::regtype[]::oid[]";
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
               -- It writes, and a worker may not.
               AND a.aggfnoid <> to_regproc('_note_customers')
               AND NOT (a.aggcombinefn <> 0 AND a.aggfinalmodify = 'r' AND a.aggkind = 'n'
                        -- A state that is an SQL value is sent and estimated as such.
                        AND (a.aggtranstype <> 'internal'::regtype
                             OR a.aggserialfn <> 0 AND a.aggdeserialfn <> 0 AND a.aggtransspace > 0))
         ORDER BY 1",
    );
    assert_eq!(lacking, "");
    // 3 types of day, 3 of amount: purchase_history with two, three and four arguments, four names with and without a policy;
    // engagement_history, contact_history, membership_history, four rollups, learn_policy, two of return_curve, proportion and ab_result;
    // count_movements, count_cohorts; fit_purchase_model, backtest_purchase_model and forecast_purchases, each with and without the last argument;
    // _note_customers.
    assert_eq!(functions(&database, "p.prokind = 'a'").lines().count(), 3 * 3 * (3 + 4 * 2) + 14 + 3 * 2 + 1);
}
