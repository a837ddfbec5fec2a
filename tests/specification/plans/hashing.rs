//! Hashing, sorting and spilling.

use super::*;

#[test]
fn hashed_sorted_and_spilled_groups_answer_the_same() {
    let shop = Shop::new("plans_spill");
    for question in QUESTIONS {
        let query = question.query();
        let expected = shop.answer(SERIAL, &query);

        let sorted = format!("{SERIAL} SET enable_hashagg = off;");
        assert!(shop.explain(&sorted, &query).contains("GroupAggregate"));
        assert_eq!(shop.answer(&sorted, &query), expected);

        let hashed = format!("{SERIAL} SET enable_sort = off; SET work_mem = '256MB';");
        assert!(shop.explain(&hashed, &query).contains("HashAggregate"));
        assert_eq!(shop.answer(&hashed, &query), expected);

        let spilling = format!("{SERIAL} SET enable_sort = off; SET work_mem = '64kB'; SET hash_mem_multiplier = 1;");
        let plan =
            shop.database.psql(&format!("{spilling} EXPLAIN (ANALYZE, COSTS off, TIMING off) {}", digest(&query)));
        assert!(plan.contains("HashAggregate") && plan.contains("Disk Usage"), "{plan}");
        assert_eq!(shop.answer(&spilling, &query), expected);

        let compiled =
            "SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;";
        assert_eq!(shop.answer(&format!("{SERIAL} {compiled}"), &query), expected);

        let workers = format!("{spilling} {EAGER} SET max_parallel_workers_per_gather = 2;");
        assert_eq!(shop.answer(&workers, &query), expected);
    }
}

/// The planner expects of each list as many rows as it has, not the thousand it takes for granted.
#[test]
fn the_planner_knows_how_long_the_lists_are() {
    let database = Database::new("plans_rows");
    let lists = database.psql(
        "SELECT format('SELECT %L, %s, count(*) FROM rfm.%s(%s);', proname, prorows, proname, repeat('NULL', pronargs)) FROM pg_proc
         WHERE pronamespace = 'rfm'::regnamespace AND proretset AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
               AND (pronargs = 0 OR proname IN ('next_actions', 'rfm_segments'))",
    );
    let counted = database.psql(&lists);
    assert_eq!(counted.lines().count(), 21);
    for list in counted.lines() {
        let mut columns = list.split('|').skip(1);
        assert_eq!(columns.next(), columns.next(), "{list}");
    }
}

/// The four main aggregates of the same columns, day and policy cost one pass, not four: their arguments are evaluated
/// once a row. A function that counts its calls (and says STABLE, because volatile ones are never shared) tells.
#[test]
fn the_four_main_aggregates_share_one_pass() {
    let shop = Shop::new("plans_shared");
    shop.database.psql(
        "CREATE FUNCTION counted(amount numeric) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
         BEGIN
             PERFORM set_config('shop.calls', (current_setting('shop.calls')::int + 1)::text, false);
             RETURN amount;
         END $$",
    );
    let calls = |columns: &str| {
        let answer = shop.database.psql(&format!(
            "{SERIAL} SET shop.calls = 0;
             {};
             SELECT current_setting('shop.calls')::int::numeric / (SELECT count(*) FROM orders)",
            digest(&format!("SELECT customer_id, {columns} FROM orders GROUP BY customer_id"))
        ));
        let calls = answer.lines().last().expect("a line");
        calls.parse::<f64>().expect("a number of calls")
    };
    let main = MAIN_AGGREGATES
        .join(", ")
        .replace("<policy>", POLICY)
        .replace("{order}", "")
        .replace("amount", "counted(amount)");
    assert!((calls(&main) - 1.0).abs() < 1e-9);
    let without_policy = main.replace(&format!(", {POLICY}"), "");
    assert!((calls(&without_policy) - 1.0).abs() < 1e-9);
    // A history next to them collects for itself, and two days are two passes.
    assert!((calls(&format!("{main}, purchase_history(ordered_on, counted(amount))")) - 2.0).abs() < 1e-9);
    let other_day = without_policy.replace("2025-06-30", "2025-05-31");
    assert!((calls(&format!("{without_policy}, {other_day}")) - 2.0).abs() < 1e-9);
}
