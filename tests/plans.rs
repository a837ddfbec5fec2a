//! How PostgreSQL gets at an answer never changes it: the order of the rows, partial states and who merges them, workers,
//! hashing, sorting and spilling, windows, the round trip of a stored value.

mod common;

use common::{Database, batch};
use std::io::Read;

/// Nothing but the rows decides: one process, sorted or hashed as the planner likes.
const SERIAL: &str = "SET max_parallel_workers_per_gather = 0; SET jit = off;";

/// The planner takes as many workers as it may, for tables of any size, and has them do the collecting.
const EAGER: &str = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
                     SET cpu_operator_cost = 1; SET jit = off;";

/// A policy that differs from the default in whatever the aggregates use.
const POLICY: &str = r#"'{"frequency": "purchase_days", "lifecycle": {"cycle": "own"},
                          "rfm": {"recency_cuts": [7, 30, 90], "frequency_cuts": [1, 1, 2, 4, 8],
                                  "monetary_cuts": [999.99, 5000]},
                          "vip": {"monetary_cut": 20000, "untracked_min_value_score": 60}}'::segment_policy"#;

/// A query over a table, one row a customer. `{order}` becomes nothing, or an ORDER BY within the aggregates.
struct Question {
    table: &'static str,
    columns: &'static [&'static str],
}

const MAIN_AGGREGATES: &[&str] = &[
    "rfm_score(ordered_on, amount, '2025-06-30'::date, <policy> {order})",
    "lifecycle_state(ordered_on, amount, '2025-06-30'::date, <policy> {order})",
    "vip_score(ordered_on, amount, '2025-06-30'::date, <policy> {order})",
    "next_action(ordered_on, amount, '2025-06-30'::date, <policy> {order})",
];

/// Every aggregate, each type of day and of amount once or more.
const QUESTIONS: &[Question] = &[
    Question {
        table: "orders",
        columns: &[
            "purchase_history(ordered_on, amount {order})",
            "purchase_history(ordered_on, amount, discounted {order})",
            "purchase_history(at, float, discounted {order})",
            "purchase_history(at_tz, whole {order})",
        ],
    },
    Question { table: "orders", columns: MAIN_AGGREGATES },
    Question {
        table: "orders",
        columns: &[
            "rfm_score(ordered_on, amount, '2025-05-31'::date {order})",
            "lifecycle_state(at, float, '2025-05-31'::date {order})",
            "vip_score(at_tz, whole, '2025-05-31'::date, preset_policy('annual_365') {order})",
            "next_action(at_tz, amount, '2025-05-31'::date {order})",
        ],
    },
    Question { table: "events", columns: &["engagement_history(kind, happened_on {order})"] },
    Question { table: "monthly", columns: &["rollup(h {order})", "rollup(d {order})"] },
    Question { table: "monthly_events", columns: &["rollup(e {order})"] },
    Question { table: "events", columns: &["contact_history(kind, happened_on, scenario, step, test_group {order})"] },
    Question { table: "monthly_contacts", columns: &["rollup(c {order})"] },
];

impl Question {
    fn query(&self) -> String {
        self.ordered(self.table, "")
    }

    fn ordered(&self, from: &str, order: &str) -> String {
        let columns = self.columns.join(", ").replace("<policy>", POLICY).replace("{order}", order);
        format!("SELECT customer_id, {columns} FROM {from} GROUP BY customer_id")
    }
}

/// One line for all rows of a query, whatever their order: their number and a digest of their text.
fn digest(query: &str) -> String {
    format!("SELECT count(*), md5(string_agg(q::text, E'\\n' ORDER BY q::text COLLATE \"C\")) FROM ({query}) AS q")
}

// ---- The order of the rows --------------------------------------------------------------------------------------

#[test]
fn the_order_of_the_rows_never_changes_an_answer() {
    let shop = Shop::new("plans_order");
    let day = |table| match table {
        "orders" => "ordered_on",
        "events" => "happened_on",
        _ => "month",
    };
    for question in QUESTIONS {
        let expected = shop.answer(SERIAL, &question.query());
        let ascending = format!("ORDER BY {}", day(question.table));
        let mut orders =
            vec![ascending.clone(), ascending + " DESC", "ORDER BY row".into(), "ORDER BY row DESC".into()];
        orders.extend((1..=5).map(|seed| format!("ORDER BY md5(row::text || 'seed {seed}')")));
        for order in orders {
            let query = question.ordered(question.table, &order);
            assert_eq!(shop.answer(SERIAL, &query), expected, "{query}");
        }
    }
}

/// The same, with the rows shuffled in the table itself, where equal days of one customer come and go.
#[test]
fn a_table_written_in_another_order_answers_the_same() {
    let shop = Shop::new("plans_shuffled");
    for question in QUESTIONS {
        let expected = shop.answer(SERIAL, &question.query());
        for seed in 1..=3 {
            shop.database.psql(&format!(
                "DROP TABLE IF EXISTS shuffled;
                 CREATE TABLE shuffled AS SELECT * FROM {} ORDER BY md5(row::text || {seed})",
                question.table
            ));
            let query = question.ordered("shuffled", "");
            assert_eq!(shop.answer("SET enable_sort = off;", &query), expected, "seed {seed}: {query}");
        }
    }
}

// ---- Partial states ---------------------------------------------------------------------------------------------

#[test]
fn the_rollup_of_parts_is_the_whole() {
    let shop = Shop::new("plans_rollup");
    let whole = shop.answer(
        SERIAL,
        "SELECT customer_id, purchase_history(ordered_on, amount), purchase_history(ordered_on, amount, discounted)
         FROM orders GROUP BY customer_id",
    );
    let parts =
        ["1", "row % 2", "row % 7", "row", "(hashint8(row) % 5)", "date_trunc('month', ordered_on)", "amount < 0"];
    for part in parts {
        let rolled = format!(
            "SELECT customer_id, rollup(h), rollup(d)
             FROM (SELECT customer_id, purchase_history(ordered_on, amount) AS h,
                          purchase_history(ordered_on, amount, discounted) AS d
                   FROM orders GROUP BY customer_id, {part}) AS parts
             GROUP BY customer_id"
        );
        assert_eq!(shop.answer(SERIAL, &rolled), whole, "parts: {part}");
    }
}

#[test]
fn the_rollup_of_engagement_parts_is_the_whole() {
    let shop = Shop::new("plans_events");
    let whole = shop
        .answer(SERIAL, "SELECT customer_id, engagement_history(kind, happened_on) FROM events GROUP BY customer_id");
    for part in ["1", "row % 2", "row", "kind", "date_trunc('month', happened_on)"] {
        let rolled = format!(
            "SELECT customer_id, rollup(e)
             FROM (SELECT customer_id, engagement_history(kind, happened_on) AS e FROM events GROUP BY customer_id, {part})
                  AS parts
             GROUP BY customer_id"
        );
        assert_eq!(shop.answer(SERIAL, &rolled), whole, "parts: {part}");
    }
}

#[test]
fn the_rollup_and_the_sum_of_contact_parts_is_the_whole() {
    let shop = Shop::new("plans_contacts");
    let contacts = "contact_history(kind, happened_on, scenario, step, test_group)";
    let whole = shop.answer(SERIAL, &format!("SELECT customer_id, {contacts} FROM events GROUP BY customer_id"));
    for part in ["1", "row % 2", "row", "kind", "date_trunc('month', happened_on)"] {
        let rolled = format!(
            "SELECT customer_id, rollup(c) FROM (SELECT customer_id, {contacts} AS c FROM events GROUP BY customer_id, {part}) AS parts
             GROUP BY customer_id"
        );
        assert_eq!(shop.answer(SERIAL, &rolled), whole, "parts: {part}");
    }
    shop.holds(&format!(
        "SELECT a + b = whole AND b + a = whole AND whole + '[]' = whole
         FROM (SELECT coalesce({contacts} FILTER (WHERE row % 2 = 0), '[]') AS a,
                      coalesce({contacts} FILTER (WHERE row % 2 = 1), '[]') AS b, {contacts} AS whole
               FROM events GROUP BY customer_id) AS q"
    ));
}

/// A shop adds the night's new orders to yesterday's history with `+`.
#[test]
fn plus_is_the_history_of_both_in_any_grouping() {
    let shop = Shop::new("plans_plus");
    shop.database.psql(
        "CREATE TABLE thirds AS
         SELECT customer_id, coalesce(purchase_history(ordered_on, amount, discounted) FILTER (WHERE row % 3 = 0), '{}') AS a,
                coalesce(purchase_history(ordered_on, amount, discounted) FILTER (WHERE row % 3 = 1), '{}') AS b,
                coalesce(purchase_history(ordered_on, amount, discounted) FILTER (WHERE row % 3 = 2), '{}') AS c,
                purchase_history(ordered_on, amount, discounted) AS whole
         FROM orders GROUP BY customer_id;
         CREATE TABLE event_halves AS
         SELECT customer_id, coalesce(engagement_history(kind, happened_on) FILTER (WHERE row % 2 = 0), no_engagement()) AS a,
                coalesce(engagement_history(kind, happened_on) FILTER (WHERE row % 2 = 1), no_engagement()) AS b,
                engagement_history(kind, happened_on) AS whole
         FROM events GROUP BY customer_id",
    );
    shop.holds("SELECT a + b + c = whole AND a + (b + c) = whole AND c + a + b = whole FROM thirds");
    shop.holds("SELECT a + b = b + a AND whole + '{}' = whole AND '{}' + whole = whole FROM thirds");
    shop.holds("SELECT a + b = whole AND b + a = whole AND whole + no_engagement() = whole FROM event_halves");
    shop.holds("SELECT NULL + whole IS NULL FROM thirds");
}

/// What overlaps counts twice, as documented.
#[test]
fn merging_a_history_with_itself_doubles_it() {
    let shop = Shop::new("plans_twice");
    shop.holds(
        "SELECT orders(h + h, day) = 2 * orders(h, day) AND monetary(h + h, day) = 2 * monetary(h, day)
                AND purchase_days(h + h, day) = purchase_days(h, day)
                AND last_gap_days(h + h, day) IS NOT DISTINCT FROM last_gap_days(h, day)
         FROM customers, (VALUES ('2025-06-30'::date)) AS v (day)",
    );
}

#[test]
fn union_all_of_parts_is_the_whole_table() {
    let shop = Shop::new("plans_union");
    let parts = "(SELECT * FROM orders WHERE row % 3 = 2 UNION ALL SELECT * FROM orders WHERE row % 3 = 0
                  UNION ALL SELECT * FROM orders WHERE row % 3 = 1) AS parts";
    for question in QUESTIONS.iter().filter(|question| question.table == "orders") {
        let expected = shop.answer(SERIAL, &question.query());
        let query = question.ordered(parts, "");
        assert_eq!(shop.answer(SERIAL, &query), expected);
        assert_eq!(shop.answer(&format!("{EAGER} SET max_parallel_workers_per_gather = 2;"), &query), expected);
    }
}

// ---- Workers and partitions -------------------------------------------------------------------------------------

#[test]
fn the_number_of_workers_never_changes_an_answer() {
    let shop = Shop::new("plans_workers");
    for table in ["orders", "events", "monthly", "monthly_events"] {
        // The more rows a group has, the better partial states pay: the planner must not have second thoughts.
        let twice = format!("INSERT INTO {table} SELECT * FROM {table};");
        shop.database.psql(&format!("{twice} {twice} {twice} ANALYZE {table}"));
    }
    for question in QUESTIONS {
        let query = question.query();
        let expected = shop.answer(SERIAL, &query);
        for workers in [1, 2, 4] {
            shop.database.psql(&format!("ALTER TABLE {} SET (parallel_workers = {workers})", question.table));
            // Merged from hash tables and from sorted groups; by the workers alone and with the leader's help.
            for more in ["enable_hashagg = off", "enable_sort = off", "parallel_leader_participation = off"] {
                // One worker alone is no gain over none, and never planned.
                if workers == 1 && more.starts_with("parallel_leader") {
                    continue;
                }
                let settings = format!("{EAGER} SET max_parallel_workers_per_gather = {workers}; SET {more};");
                let plan = shop.explain(&settings, &query);
                assert!(plan.contains("Partial ") && plan.contains("Finalize "), "{settings}\n{plan}");
                assert!(plan.contains(&format!("Workers Planned: {workers}\n")), "{settings}\n{plan}");
                assert_eq!(shop.answer(&settings, &query), expected, "{settings}\n{query}");
            }
        }
    }
}

/// One group for the whole table: every worker has a part of it.
#[test]
fn a_single_group_is_merged_from_all_workers() {
    let shop = Shop::new("plans_single");
    shop.database.psql("ALTER TABLE orders SET (parallel_workers = 3)");
    let settings = format!("{EAGER} SET max_parallel_workers_per_gather = 3;");
    for question in QUESTIONS.iter().filter(|question| question.table == "orders") {
        let query = question.query().replace("customer_id, ", "").replace("GROUP BY customer_id", "");
        let plan = shop.explain(&settings, &query);
        assert!(plan.contains("Partial Aggregate") && plan.contains("Workers Planned: 3"), "{plan}");
        assert_eq!(shop.answer(&settings, &query), shop.answer(SERIAL, &query));
    }
}

#[test]
fn functions_of_one_customer_answer_the_same_in_workers() {
    let shop = Shop::new("plans_functions");
    shop.database.psql("ALTER TABLE customers SET (parallel_workers = 2)");
    let query = format!(
        "SELECT c.customer_id, c.h, c.e, s.*, median_gap_days(c.h, '2025-06-30') AS median, effective_policy(p.policy) AS policy
         FROM customers AS c
         CROSS JOIN LATERAL (SELECT CASE WHEN customer_id % 2 = 0 THEN {POLICY} END AS policy) AS p
         CROSS JOIN LATERAL segment_customer(c.h, '2025-06-30', p.policy, c.e, c.membership, c.channels,
                                             c.last_contacted_on) AS s
         WHERE lifecycle_state(c.h, '2025-06-30') <> 'vip'"
    );
    let settings = format!("{EAGER} SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off;");
    let plan = shop.explain(&settings, &query);
    assert!(plan.contains("Workers Planned: 2"), "{plan}");
    assert_eq!(shop.answer(&settings, &query), shop.answer(SERIAL, &query));
}

/// A table partitioned by customer lets every partition finish its own groups; one partitioned by day makes partial
/// states that are merged without being serialized.
#[test]
fn partitions_never_change_an_answer() {
    let shop = Shop::new("plans_partitions");
    shop.database.psql(
        "CREATE TABLE by_customer (LIKE orders) PARTITION BY HASH (customer_id);
         SELECT format('CREATE TABLE by_customer_%s PARTITION OF by_customer FOR VALUES WITH (MODULUS 3, REMAINDER %s)', n, n)
         FROM generate_series(0, 2) AS n \\gexec
         INSERT INTO by_customer SELECT * FROM orders;
         CREATE TABLE by_day (LIKE orders) PARTITION BY RANGE (ordered_on);
         CREATE TABLE by_day_2024 PARTITION OF by_day FOR VALUES FROM (MINVALUE) TO ('2025-01-01');
         CREATE TABLE by_day_2025 PARTITION OF by_day FOR VALUES FROM ('2025-01-01') TO ('2025-06-01');
         CREATE TABLE by_day_rest PARTITION OF by_day DEFAULT;
         INSERT INTO by_day SELECT * FROM orders;
         ANALYZE by_customer, by_day",
    );
    let partitionwise = "SET enable_partitionwise_aggregate = on; SET enable_sort = off;";
    for question in QUESTIONS.iter().filter(|question| question.table == "orders") {
        let expected = shop.answer(SERIAL, &question.query());

        let query = question.ordered("by_customer", "");
        let plan = shop.explain(&format!("{SERIAL} {partitionwise}"), &query);
        assert_eq!(plan.matches("HashAggregate").count(), 3, "{plan}");
        assert!(!plan.contains("Partial"), "{plan}");
        assert_eq!(shop.answer(&format!("{SERIAL} {partitionwise}"), &query), expected);

        // Few groups, because partial states pay only where many rows become one.
        let [query, whole] =
            ["by_day", "orders"].map(|table| question.ordered(table, "").replace("customer_id", "shop_id"));
        let expected = shop.answer(SERIAL, &whole);
        let plan = shop.explain(&format!("{SERIAL} {partitionwise}"), &query);
        assert_eq!(plan.matches("Partial HashAggregate").count(), 3, "{plan}");
        assert_eq!(shop.answer(&format!("{SERIAL} {partitionwise}"), &query), expected);

        let workers = format!("{EAGER} SET max_parallel_workers_per_gather = 2; {partitionwise}");
        let plan = shop.explain(&workers, &query);
        assert!(plan.contains("Parallel Append") && plan.contains("Partial HashAggregate"), "{plan}");
        assert_eq!(shop.answer(&workers, &query), expected);
    }
}

/// A wholesaler's history fills pages: states pass between processes in pieces, the stored value is compressed and kept
/// apart from its row.
#[test]
fn a_customer_of_many_orders_is_no_exception() {
    let database = Database::new("plans_large");
    database.psql(
        "CREATE TABLE orders AS
         SELECT n AS row, 1 AS customer_id, '1900-01-01'::date + abs(hashint4(n)) % 60000 AS ordered_on,
                (hashint4(n + 1) % 1000000) * 0.01 AS amount, n % 3 = 0 AS discounted
         FROM generate_series(1, 120000) AS n;
         ALTER TABLE orders SET (parallel_workers = 2);
         CREATE TABLE stored (h purchase_history);
         INSERT INTO stored SELECT purchase_history(ordered_on, amount, discounted) FROM orders;
         ANALYZE",
    );
    let shop = Shop { database };
    shop.holds(
        "SELECT pg_column_size(h) > 100000 AND h::text::purchase_history = h AND h + '{}' = h AND h <= h
                AND purchase_history_hash(h) = purchase_history_hash(h::text::purchase_history)
                AND orders(h, '9999-12-31') = (SELECT count(*) FROM orders WHERE amount >= 0)
                AND monetary(h, '1980-01-01') = (SELECT sum(amount) FROM orders WHERE ordered_on <= '1980-01-01')
         FROM stored",
    );
    let stored = shop.answer(SERIAL, "SELECT h FROM stored");
    let whole = "SELECT purchase_history(ordered_on, amount, discounted) AS h FROM orders";
    let parts = "SELECT rollup(h) AS h FROM (SELECT purchase_history(ordered_on, amount, discounted) AS h
                                             FROM orders GROUP BY row % 100) AS parts";
    let workers = format!("{EAGER} SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off;");
    assert!(shop.explain(&workers, whole).contains("Partial Aggregate"));
    for settings in [SERIAL, &workers, &format!("{workers} SET work_mem = '64kB';")] {
        assert_eq!(shop.answer(settings, whole), stored, "{settings}");
        assert_eq!(shop.answer(settings, parts), stored, "{settings}");
    }
}

/// Each partial state saw one day only; who merges them must still see that there are two.
#[test]
fn partial_states_of_different_days_or_policies_are_refused() {
    let shop = Shop::new("plans_varying");
    shop.database.psql(&format!(
        "CREATE TABLE asked (customer_id int, shop_id int, ordered_on date, amount numeric, as_of date, policy segment_policy,
                             part int) PARTITION BY LIST (part);
         CREATE TABLE asked_0 PARTITION OF asked FOR VALUES IN (0);
         CREATE TABLE asked_1 PARTITION OF asked FOR VALUES IN (1);
         INSERT INTO asked SELECT customer_id, shop_id, ordered_on, amount, '2025-06-30'::date - (row % 2)::int,
                                  CASE row % 2 WHEN 0 THEN {POLICY} END, row % 2 FROM orders;
         ANALYZE asked"
    ));
    let mut client = shop.database.client();
    for settings in [SERIAL.to_owned(), format!("{EAGER} SET max_parallel_workers_per_gather = 2;")] {
        batch(&mut client, &format!("RESET ALL; {settings} SET enable_partitionwise_aggregate = on"));
        for (as_of, policy) in [("as_of", "NULL"), ("'2025-06-30'", "policy")] {
            for name in ["rfm_score", "lifecycle_state", "vip_score", "next_action"] {
                let query =
                    format!("SELECT {name}(ordered_on, amount, {as_of}::date, {policy}) FROM asked GROUP BY shop_id");
                let plan = shop.explain(&format!("{settings} SET enable_partitionwise_aggregate = on;"), &query);
                assert!(plan.contains("Partial HashAggregate"), "{plan}");
                let (sqlstate, message, _) = common::expect_error(&mut client, &query);
                assert_eq!(sqlstate, "22023", "{message}");
                // Within one part there is one of each.
                batch(&mut client, &query.replace("GROUP BY", "GROUP BY part,"));
            }
        }
    }
}

// ---- Hashing, sorting, spilling ---------------------------------------------------------------------------------

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

        let workers = format!("{spilling} {EAGER} SET max_parallel_workers_per_gather = 2;");
        assert_eq!(shop.answer(&workers, &query), expected);
    }
}

/// The four main aggregates of the same columns, day and policy cost one pass, not four: their arguments are evaluated
/// once a row. A function that counts its calls (and says STABLE, because volatile ones are never shared) tells.
/// The planner expects of each list as many rows as it has, not the thousand it takes for granted.
#[test]
fn the_planner_knows_how_long_the_lists_are() {
    let database = Database::new("plans_rows");
    let lists = database.psql(
        "SELECT format('SELECT %L, %s, count(*) FROM rfm.%s(%s);', proname, prorows, proname, repeat('NULL', pronargs)) FROM pg_proc
         WHERE pronamespace = 'rfm'::regnamespace AND proretset AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
               AND (pronargs = 0 OR proname = 'next_actions')",
    );
    let counted = database.psql(&lists);
    assert_eq!(counted.lines().count(), 14);
    for list in counted.lines() {
        let mut columns = list.split('|').skip(1);
        assert_eq!(columns.next(), columns.next(), "{list}");
    }
}

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

// ---- Windows, DISTINCT, FILTER, grouping sets -------------------------------------------------------------------

#[test]
fn a_running_window_answers_as_a_query_of_the_rows_so_far() {
    let shop = Shop::new("plans_window");
    let columns = "purchase_history(ordered_on, amount, discounted), rfm_score(ordered_on, amount, '2025-06-30'::date),
                   lifecycle_state(ordered_on, amount, '2025-06-30'::date), vip_score(ordered_on, amount, '2025-06-30'::date),
                   next_action(ordered_on, amount, '2025-06-30'::date)";
    let some = "customer_id <= 150";
    // So far; with all rows of the same day; the last three rows, where a state cannot be carried on.
    for (frame, rows) in [
        ("ORDER BY row ROWS UNBOUNDED PRECEDING", "i.row <= o.row"),
        ("ORDER BY ordered_on", "i.ordered_on <= o.ordered_on OR o.ordered_on IS NULL"),
        ("ORDER BY rank ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", "i.rank BETWEEN o.rank - 2 AND o.rank"),
        ("ORDER BY row ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", "true"),
    ] {
        let over = columns.replace("), ", ") OVER w, ").replace("),\n", ") OVER w,\n") + " OVER w";
        let window = shop.answer(
            SERIAL,
            &format!("SELECT row, {over} FROM orders WHERE {some} WINDOW w AS (PARTITION BY customer_id {frame})"),
        );
        let queries = shop.answer(
            SERIAL,
            &format!(
                "SELECT o.row, i.* FROM orders AS o
                 CROSS JOIN LATERAL (SELECT {columns} FROM orders AS i WHERE i.customer_id = o.customer_id AND ({rows})) AS i
                 WHERE {some}"
            ),
        );
        assert_eq!(window, queries, "{frame}");
    }
}

#[test]
fn rollup_and_engagement_run_as_windows() {
    let shop = Shop::new("plans_windows");
    for (table, call) in
        [("monthly", "rollup(h)"), ("monthly_events", "rollup(e)"), ("events", "engagement_history(kind, happened_on)")]
    {
        let window = format!(
            "SELECT row, {call} OVER (PARTITION BY customer_id ORDER BY row) FROM {table} WHERE customer_id <= 150"
        );
        let queries = format!(
            "SELECT o.row, i.* FROM {table} AS o
             CROSS JOIN LATERAL (SELECT {call} FROM {table} AS i WHERE i.customer_id = o.customer_id AND i.row <= o.row) AS i
             WHERE customer_id <= 150"
        );
        assert_eq!(shop.answer(SERIAL, &window), shop.answer(SERIAL, &queries), "{call}");
    }
}

#[test]
fn distinct_and_filter_within_the_call_are_those_of_a_subquery() {
    let shop = Shop::new("plans_filter");
    for (within, subquery) in [
        (
            "purchase_history(DISTINCT ordered_on, amount)",
            "SELECT DISTINCT customer_id, ordered_on, amount FROM orders",
        ),
        ("purchase_history(ordered_on, amount) FILTER (WHERE amount > 100)", "SELECT * FROM orders WHERE amount > 100"),
    ] {
        let whole = format!(
            "SELECT customer_id, {within} FROM orders
             WHERE customer_id IN (SELECT customer_id FROM orders WHERE amount > 100) GROUP BY customer_id"
        );
        let of_subquery = format!(
            "SELECT customer_id, purchase_history(ordered_on, amount) FROM ({subquery}) AS s
             WHERE customer_id IN (SELECT customer_id FROM orders WHERE amount > 100) GROUP BY customer_id"
        );
        assert_eq!(shop.answer(SERIAL, &whole), shop.answer(SERIAL, &of_subquery), "{within}");
    }
    // Nothing passes the filter: no rows.
    shop.holds(
        "SELECT purchase_history(ordered_on, amount) FILTER (WHERE false) IS NULL
                AND rfm_score(ordered_on, amount, '2025-06-30'::date) FILTER (WHERE false) IS NULL
         FROM orders GROUP BY customer_id",
    );
}

#[test]
fn grouping_sets_answer_as_one_query_for_each_set() {
    let shop = Shop::new("plans_sets");
    let columns = QUESTIONS[0].columns.iter().chain(MAIN_AGGREGATES).copied().collect::<Vec<_>>().join(", ");
    let columns = columns.replace("<policy>", POLICY).replace("{order}", "");
    let sets = format!(
        "SELECT customer_id, shop_id, {columns} FROM orders
         GROUP BY GROUPING SETS ((customer_id, shop_id), (shop_id), (customer_id), ())"
    );
    let single = format!(
        "SELECT customer_id, shop_id, {columns} FROM orders GROUP BY customer_id, shop_id
         UNION ALL SELECT NULL, shop_id, {columns} FROM orders GROUP BY shop_id
         UNION ALL SELECT customer_id, NULL, {columns} FROM orders GROUP BY customer_id
         UNION ALL SELECT NULL, NULL, {columns} FROM orders"
    );
    let expected = shop.answer(SERIAL, &single);
    for settings in ["", "SET enable_hashagg = off;", "SET enable_sort = off;", "SET work_mem = '64kB';"] {
        assert_eq!(shop.answer(&format!("{SERIAL} {settings}"), &sets), expected, "{settings}");
    }
}

// ---- Round trips ------------------------------------------------------------------------------------------------

/// The columns of the types in the table `customers`.
const STORED: [(&str, &str); 5] = [
    ("purchase_history", "h"),
    ("engagement_history", "e"),
    ("contact_history", "c"),
    ("segment_policy", "policy"),
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
                                                     c.last_contacted_on, c.c) AS s"
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
                           AND c.scenario = o.scenario
                           AND c.policy IS NOT DISTINCT FROM o.policy
                    FROM customers AS o FULL JOIN copied AS c USING (customer_id)",
        );
    }
}

// ---- The types in joins, sorts and indexes ----------------------------------------------------------------------

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
    let (sqlstate, message, _) = common::expect_error(
        &mut shop.database.client(),
        "INSERT INTO once VALUES ('{\"2025-01-01\": {\"orders\": 1, \"amount\": 5}, \"2025-01-02\": {\"orders\": 1, \"amount\": 5}}',
                                  NULL, '{\"version\": 1}')",
    );
    assert_eq!(sqlstate, "23505", "{message}");
}

// ---- Properties -------------------------------------------------------------------------------------------------

/// Policies whose cuts lie differently: the default, equal cuts, nine digits, F by purchase days.
const PROPERTY_POLICIES: &str = r#"(VALUES (NULL::segment_policy), ('{"frequency": "purchase_days"}'),
    ('{"rfm": {"recency_cuts": [0, 0, 30, 30], "frequency_cuts": [1, 1, 2, 4], "monetary_cuts": [-5, 0, 0, 4999.995]}}'),
    ('{"rfm": {"recency_cuts": [1, 2, 3, 4, 5, 6, 7, 8], "frequency_cuts": [1, 2, 3, 4, 5, 6, 7, 8], "monetary_cuts": [1]}}'))
    AS p (tried)"#;

#[test]
fn a_later_purchase_never_lowers_frequency() {
    let shop = Shop::new("plans_frequency");
    // A day later, for every customer and many days.
    shop.holds(&format!(
        "SELECT orders(h, day + 1) >= orders(h, day) AND purchase_days(h, day + 1) >= purchase_days(h, day)
                AND coalesce(f_score(h, day + 1, tried) >= f_score(h, day, tried), f_score(h, day, tried) IS NULL)
         FROM customers, {PROPERTY_POLICIES}, generate_series('2025-05-20'::date, '2025-07-31', '1 day') AS d (at),
              LATERAL CAST(at AS date) AS day
         WHERE customer_id <= 200"
    ));
    // One more purchase of any day and amount (a gift too): neither F nor R gets worse, nor M.
    shop.holds(&format!(
        "SELECT orders(more, day) = orders(h, day) + 1 AND purchase_days(more, day) >= purchase_days(h, day)
                AND coalesce(f_score(more, day, tried) >= f_score(h, day, tried), f_score(h, day, tried) IS NULL)
                AND coalesce(r_score(more, day, tried) >= r_score(h, day, tried), r_score(h, day, tried) IS NULL)
                AND coalesce(m_score(more, day, tried) >= m_score(h, day, tried), m_score(h, day, tried) IS NULL)
         FROM (SELECT h, coalesce(h, '{{}}') + purchase, day, customer_id
               FROM customers, (VALUES ('2025-06-30'::date)) AS v (day),
                    generate_series(1, 8) AS n,
                    format('{{\"%s\": {{\"orders\": 1, \"amount\": %s}}}}',
                           day - abs(hashint8(customer_id * 100 + n)) % 500, (n - 1) * 1250.5) AS text,
                    LATERAL CAST(text AS purchase_history) AS purchase) AS c (h, more, day, id),
              {PROPERTY_POLICIES}"
    ));
}

#[test]
fn a_better_number_never_lowers_its_digit_nor_touches_the_others() {
    let shop = Shop::new("plans_digits");
    // Each dimension on its own, through every value around the cuts; the others stay at some value.
    for (varied, numbers, digit) in
        [("-n", "-n, 3, 7000", "/ 100"), ("n", "20, n, 7000", "/ 10 % 10"), ("n", "20, 3, n * 0.5 - 20", "% 10")]
    {
        let (from, to) = if varied == "-n" { (-400, 0) } else { (1, 60000) };
        let step = if digit == "% 10" { 7 } else { 1 };
        let to = if digit == "/ 10 % 10" { 300 } else { to };
        shop.holds(&format!(
            "SELECT better >= digit AND rest = rest_before
             FROM (SELECT score {digit} AS better, lag(score {digit}) OVER w AS digit,
                          score - score {digit} * unit AS rest, lag(score - score {digit} * unit) OVER w AS rest_before
                   FROM (SELECT n, tried, rfm_score({numbers}, tried) AS score, {unit} AS unit
                         FROM {PROPERTY_POLICIES}, generate_series({from}, {to}, {step}) AS n) AS s
                   WINDOW w AS (PARTITION BY tried ORDER BY n)) AS pairs
             WHERE digit IS NOT NULL",
            unit = match digit {
                "/ 100" => 100,
                "/ 10 % 10" => 10,
                _ => 1,
            }
        ));
    }
}

/// Of two customers, the one at least as good in all three has no lower digit anywhere: every pair of the shop.
#[test]
fn a_customer_as_good_in_everything_has_no_lower_digit() {
    let shop = Shop::new("plans_pairs");
    shop.holds(&format!(
        "WITH c AS MATERIALIZED (
             SELECT tried::text AS of, recency_days(h, day) AS r, orders(h, day) AS f, monetary(h, day) AS m,
                    rfm_score(h, day, tried) AS score, r_score(h, day, tried) AS rs, f_score(h, day, tried) AS fs,
                    m_score(h, day, tried) AS ms
             FROM customers, (VALUES ('2025-06-30'::date)) AS v (day), {PROPERTY_POLICIES}
             WHERE customer_id <= 250 AND (tried IS NULL OR tried::text NOT LIKE '%purchase_days%')
                   AND recency_days(h, day) IS NOT NULL
         )
         SELECT a.rs >= b.rs AND a.fs >= b.fs AND a.ms >= b.ms AND a.score >= b.score
                AND a.score = a.rs * 100 + a.fs * 10 + a.ms
         FROM c AS a JOIN c AS b ON a.of IS NOT DISTINCT FROM b.of AND a.r <= b.r AND a.f >= b.f AND a.m >= b.m"
    ));
}

// ---- The shop ---------------------------------------------------------------------------------------------------

/// The random shop of tests/reference, dense where rules turn, in tables of its own:
/// orders, events, which serve as contacts too; their histories by month (monthly, monthly_events, monthly_contacts); customers with one value of each type.
struct Shop {
    database: Database,
}

impl Shop {
    fn new(name: &str) -> Self {
        let database = Database::new(name);
        let mut client = database.client();
        batch(&mut client, include_str!("reference/segments.sql"));
        batch(&mut client, include_str!("reference/random_shop.sql"));
        batch(&mut client, "SELECT reference.random_shop(700, 20)");
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders AS
                 SELECT row_number() OVER () AS row, dense_rank() OVER (PARTITION BY customer_id ORDER BY ordered_on, amount) AS rank,
                        customer_id, customer_id % 3 AS shop_id, ordered_on, amount, discounted,
                        ordered_on + '13:14:15'::time AS at, (ordered_on + '22:30'::time) AT TIME ZONE 'Asia/Tokyo' AS at_tz,
                        amount::float8 AS float, amount::bigint AS whole
                 FROM reference.orders;
                 UPDATE orders SET rank = n
                 FROM (SELECT row AS id, row_number() OVER (PARTITION BY customer_id ORDER BY rank, row) AS n FROM orders) AS o
                 WHERE id = row;
                 CREATE TABLE events AS
                 SELECT row_number() OVER () AS row, customer_id, kind, happened_on,
                        (ARRAY['a', 'b', NULL])[1 + customer_id % 3] AS scenario,
                        (ARRAY['x', 'y', NULL])[1 + length(kind) % 3] AS step,
                        (ARRAY['holdout', 'y', NULL])[1 + extract(day FROM happened_on)::int % 3] AS test_group
                 FROM reference.engagement;
                 CREATE TABLE monthly AS
                 SELECT row_number() OVER () AS row, customer_id, date_trunc('month', ordered_on) AS month,
                        purchase_history(ordered_on, amount) AS h, purchase_history(ordered_on, amount, discounted) AS d
                 FROM orders GROUP BY customer_id, month;
                 CREATE TABLE monthly_events AS
                 SELECT row_number() OVER () AS row, customer_id, date_trunc('month', happened_on) AS month,
                        engagement_history(kind, happened_on) AS e
                 FROM events GROUP BY customer_id, month;
                 CREATE TABLE monthly_contacts AS
                 SELECT row_number() OVER () AS row, customer_id, date_trunc('month', happened_on) AS month,
                        contact_history(kind, happened_on, scenario, step, test_group) AS c
                 FROM events GROUP BY customer_id, month;
                 CREATE TABLE customers AS
                 SELECT c.customer_id, c.membership, c.channels, c.last_contacted_on, o.h, e.e, e.c,
                        preset_scenario((ARRAY['at_risk_check_in', 'vip_advocacy', 'paused_return', 'dissatisfied'])
                                        [1 + c.customer_id % 4]) AS scenario,
                        CASE c.customer_id % 7
                            WHEN 1 THEN {POLICY}
                            WHEN 2 THEN preset_policy('annual_365')
                            WHEN 3 THEN default_policy()
                            WHEN 4 THEN preset_policy('occasional') || '{{\"frequency\": \"purchase_days\"}}'
                            WHEN 5 THEN format('{{\"vip\": {{\"monetary_cut\": %s}}}}', c.customer_id)::segment_policy
                        END AS policy
                 FROM reference.customers AS c
                 LEFT JOIN (SELECT customer_id, purchase_history(ordered_on, amount, discounted) AS h
                            FROM orders GROUP BY customer_id) AS o USING (customer_id)
                 LEFT JOIN (SELECT customer_id, engagement_history(kind, happened_on) AS e,
                                   contact_history(kind, happened_on, scenario, step, test_group) AS c
                            FROM events GROUP BY customer_id) AS e USING (customer_id);
                 ANALYZE"
            ),
        );
        Shop { database }
    }

    /// The digest of a query's rows under some settings.
    fn answer(&self, settings: &str, query: &str) -> String {
        let answer = self.database.psql(&format!("{settings} {}", digest(query)));
        assert!(!answer.starts_with("0|"), "no rows: {query}");
        answer
    }

    fn explain(&self, settings: &str, query: &str) -> String {
        self.database.psql(&format!("{settings} EXPLAIN (COSTS off) {}", digest(query)))
    }

    /// Every row of the query is true, and there are rows.
    #[track_caller]
    fn holds(&self, query: &str) {
        let answer = self.database.psql(&format!(
            "{SERIAL} SELECT count(*) > 0, count(*) FILTER (WHERE holds IS NOT TRUE) FROM ({query}) AS q (holds)"
        ));
        assert_eq!(answer.trim_end(), "t|0", "{query}");
    }
}
