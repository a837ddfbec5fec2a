//! `count_movements` against plain SQL over `state_movements`; the same whatever the order and the workers.

use crate::common::*;

/// Customers who differ in everything, amounts with 0 to 6 decimals, some prospects among them.
const SHOP: &str = "
    CREATE TABLE facts AS
    SELECT c AS customer_id, c % 3 AS shop,
           (SELECT purchase_history(date '2023-01-01' + (('x' || substr(md5(c || ':' || n), 1, 6))::bit(24)::int % 700),
                                    round((('x' || substr(md5(n || '-' || c), 1, 7))::bit(28)::int - 20000000) / 7919.0, c % 7))
            FROM generate_series(1, c % 9) AS n) AS h,
           (SELECT engagement_history('visit', date '2023-01-01' + c % 800 + n) FROM generate_series(0, 9, 5) AS n WHERE c % 4 = 0) AS e,
           CASE c % 5 WHEN 0 THEN 'continuing' WHEN 1 THEN 'paused' END AS membership,
           (SELECT membership_history('continuing', date '2023-01-01' + c % 600 + n) FROM generate_series(0, 0) AS n WHERE c % 7 = 0) AS memberships
    FROM generate_series(1, 3000) AS c";

/// With a segment that is named by its default alone.
const POLICY: &str = r#"'{"vip": {"min_orders": 2}, "segments": {"rules": [{"name": "Best", "any": [{"r": [4, 5], "m": [4, 5]}]},
    {"name": "best", "any": [{"r": [4, 5]}]}], "default": "others"}}'::segment_policy"#;

fn counted(arguments: &str, order: &str) -> String {
    format!(
        "SELECT f.shop, m.* FROM (SELECT shop, count_movements(h, {arguments}, e, membership, memberships {order}) AS counts
                                  FROM facts GROUP BY shop) AS f CROSS JOIN LATERAL unnest(f.counts) AS m"
    )
}

fn by_hand(arguments: &str) -> String {
    format!(
        "SELECT f.shop, m.from_day, m.to_day, m.from_state, m.to_state, m.from_segment, m.to_segment, m.from_tier, m.to_tier,
                count(*), sum(m.revenue_before), sum(m.revenue_after)
         FROM facts AS f CROSS JOIN LATERAL state_movements(f.h, {arguments}, f.e, f.membership, f.memberships) AS m
         GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9"
    )
}

#[test]
fn alike_movements_are_counted_and_summed() {
    let database = Database::new("movement_counts");
    let mut client = database.client();
    batch(&mut client, SHOP);
    for arguments in [
        "'2022-12-31', '2025-06-30', '1 month', default_policy()".to_owned(),
        format!("'2023-03-31', '2025-03-31', '1 month 3 days', {POLICY}"),
        "'2024-01-01', '2024-01-02', '1 day', NULL".to_owned(),
        // More kinds of movements than a state finds at once.
        "'2022-12-31', '2025-06-30', '1 day', default_policy()".to_owned(),
    ] {
        // Rows are compared as numbers, not by how many zeros they end with.
        assert_same_rows(&mut client, &arguments, &counted(&arguments, ""), &by_hand(&arguments), 10);
    }
    let none = counted("'2024-01-01', '2024-01-01', '1 day', NULL", "");
    assert_eq!(count(&mut client, &format!("SELECT count(*) FROM ({none}) AS x")), 0);
    for arguments in [
        "NULL, '2024-01-01', '1 day', NULL",
        "'2024-01-01', NULL, '1 day', NULL",
        "'2024-01-01', '2024-02-01', NULL, NULL",
    ] {
        assert_eq!(
            count(&mut client, &format!("SELECT count(*) FROM ({}) AS x", counted(arguments, ""))),
            0,
            "{arguments}"
        );
    }
    assert!(one::<bool>(
        &mut client,
        "SELECT count_movements(h, '2024-01-01', '2024-02-01', '1 day', NULL, e, membership, memberships) IS NULL FROM facts WHERE false"
    ));
}

#[test]
fn order_and_workers_change_nothing() {
    let database = Database::new("movement_plans");
    let mut client = database.client();
    batch(&mut client, &format!("{SHOP}; SET max_parallel_workers_per_gather = 0"));
    let arguments = format!("'2022-12-31', '2025-06-30', '1 month', {POLICY}");
    let told = |order: &str| {
        format!("SELECT count_movements(h, {arguments}, e, membership, memberships {order})::text FROM facts")
    };
    let expected = text(&mut client, &told(""));
    for order in ["ORDER BY customer_id DESC", "ORDER BY md5(customer_id::text)"] {
        assert_eq!(text(&mut client, &told(order)), expected);
    }
    for workers in [1, 2, 4] {
        batch(
            &mut client,
            &format!(
                "SET max_parallel_workers_per_gather = {workers}; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
                 SET min_parallel_table_scan_size = 0; ALTER TABLE facts SET (parallel_workers = {workers})"
            ),
        );
        let plan = client.query(&format!("EXPLAIN {}", told("")), &[]).expect("a plan");
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|line| line.contains("Partial Aggregate")), "{plan:#?}");
        assert_eq!(text(&mut client, &told("")), expected, "{workers} workers");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let database = Database::new("movement_errors");
    let mut client = database.client();
    batch(&mut client, SHOP);
    for (arguments, sqlstate, part) in [
        ("'2024-01-02', '2024-01-01', '1 day', NULL", "22023", "is after to_day"),
        ("'2024-01-01', '2024-01-02', '0', NULL", "22023", "invalid step"),
        ("'0001-01-01', '9999-12-31', '1 day', NULL", "54000", "more than 100000 steps"),
        ("'-infinity', '2024-01-01', '1 day', NULL", "22008", "finite"),
        ("'2024-01-01', 'infinity', '1 day', NULL", "22008", "finite"),
        (
            "date '2023-12-01' + customer_id % 2, '2024-01-01', '1 day', NULL",
            "22023",
            "from_day or step varies within a group",
        ),
        ("'2024-01-01', date '2034-01-01' + customer_id, '1 year', NULL", "22023", "to_day varies within a group"),
        (
            "'2024-01-01', '2024-01-02', '1 day', CASE customer_id % 2 WHEN 1 THEN default_policy() END",
            "22023",
            "policy varies within a group",
        ),
    ] {
        let (found, message, hint) = expect_error(&mut client, &counted(arguments, ""));
        assert_eq!(found, sqlstate, "{message}: {arguments}");
        assert!(message.contains(part), "{message}: {arguments}");
        assert!(!hint.is_empty() || message.starts_with("from_day"), "{message}: no hint");
    }
    // Sums beyond 38 digits are refused and not cut.
    let huge = "SELECT count_movements(purchase_history, '2023-12-31', '2024-01-31', '1 month', NULL, NULL, NULL, NULL)
                FROM (SELECT purchase_history(date '2024-01-05', 1e38::numeric) FROM generate_series(1, 4) AS c GROUP BY c) AS h";
    let (sqlstate, message, _) = expect_error(&mut client, huge);
    assert_eq!(sqlstate, "22003", "{message}");
}
