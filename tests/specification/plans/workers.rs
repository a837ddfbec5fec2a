//! Workers and partitions.

use super::*;

#[test]
fn the_number_of_workers_never_changes_an_answer() {
    let shop = Shop::new("plans_workers");
    for table in ["orders", "events", "monthly", "monthly_events", "entries", "yearly_entries"] {
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
                let (sqlstate, message, _) = expect_error(&mut client, &query);
                assert_eq!(sqlstate, "22023", "{message}");
                // Within one part there is one of each.
                batch(&mut client, &query.replace("GROUP BY", "GROUP BY part,"));
            }
        }
    }
}
