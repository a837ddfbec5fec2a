//! `count_cohorts` against plain SQL over orders; the same whatever the order and the workers.

use crate::common::*;

/// Orders of 3,000 customers over two years, refunds among them, amounts with 0 to 6 decimals.
const SHOP: &str = "
    CREATE TABLE orders AS
    SELECT c AS customer_id, c % 3 AS shop,
           date '2023-01-01' + (('x' || substr(md5(c || ':' || n), 1, 6))::bit(24)::int % 700) AS ordered_on,
           round((('x' || substr(md5(n || '-' || c), 1, 7))::bit(28)::int - 20000000) / 7919.0, c % 7) AS amount
    FROM generate_series(1, 3000) AS c, generate_series(1, 1 + c % 9) AS n;
    CREATE TABLE histories AS
    SELECT customer_id, shop, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY 1, 2";

fn counted(as_of: &str, since: &str) -> String {
    format!(
        "SELECT x.shop, c.* FROM (SELECT shop, count_cohorts(h, {as_of}, {since}) AS counts FROM histories GROUP BY shop) AS x
         CROSS JOIN LATERAL unnest(x.counts) AS c"
    )
}

fn by_hand(as_of: &str, since: &str) -> String {
    format!(
        "WITH buyers AS (
             SELECT shop, customer_id, date_trunc('month', min(ordered_on)::timestamp)::date AS first_month
             FROM orders WHERE amount >= 0 AND ordered_on <= {as_of} GROUP BY 1, 2
         ), months AS (
             SELECT shop, first_month, n, (first_month + make_interval(months => n))::date AS month,
                    (first_month + make_interval(months => n + 1))::date - 1 AS month_end, count(*) AS customers
             FROM buyers CROSS JOIN generate_series(0, 12) AS n GROUP BY 1, 2, 3
         ), sums AS (
             SELECT b.shop, b.first_month, date_trunc('month', o.ordered_on::timestamp)::date AS month,
                    count(DISTINCT o.customer_id) FILTER (WHERE o.amount >= 0) AS active, sum(o.amount) AS revenue
             FROM orders AS o JOIN buyers AS b USING (shop, customer_id) GROUP BY 1, 2, 3
         )
         SELECT m.shop, m.first_month, m.n, m.customers, coalesce(s.active, 0), coalesce(s.revenue, 0)
         FROM months AS m LEFT JOIN sums AS s USING (shop, first_month, month)
         WHERE m.month_end <= {as_of} AND (m.month_end > {since} OR {since} IS NULL)"
    )
}

#[test]
fn cohorts_are_those_of_plain_sql() {
    let database = Database::new("cohort_counts");
    let mut client = database.client();
    batch(&mut client, SHOP);
    for (as_of, since) in [
        ("date '2025-06-30'", "NULL::date"),
        ("date '2024-03-30'", "NULL::date"),
        ("date '2024-12-31'", "date '2024-10-31'"),
        ("date '2024-12-31'", "date '2024-10-15'"),
        ("date '2024-12-31'", "date '2024-12-31'"),
    ] {
        let at_least = if since == "date '2024-12-31'" { 0 } else { 10 };
        assert_same_rows(&mut client, as_of, &counted(as_of, since), &by_hand(as_of, since), at_least);
    }
    assert_eq!(count(&mut client, &format!("SELECT count(*) FROM ({}) AS x", counted("NULL", "NULL"))), 0);
    assert!(one::<bool>(&mut client, "SELECT count_cohorts(h, '2024-01-01', NULL) IS NULL FROM histories WHERE false"));
}

#[test]
fn order_and_workers_change_nothing() {
    let database = Database::new("cohort_plans");
    let mut client = database.client();
    batch(&mut client, &format!("{SHOP}; SET max_parallel_workers_per_gather = 0"));
    let told = |order: &str| format!("SELECT count_cohorts(h, '2025-06-30', NULL {order})::text FROM histories");
    let expected = text(&mut client, &told(""));
    for order in ["ORDER BY customer_id DESC", "ORDER BY md5(customer_id::text)"] {
        assert_eq!(text(&mut client, &told(order)), expected);
    }
    for workers in [1, 2, 4] {
        batch(
            &mut client,
            &format!(
                "SET max_parallel_workers_per_gather = {workers}; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
                 SET min_parallel_table_scan_size = 0; ALTER TABLE histories SET (parallel_workers = {workers})"
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
    let database = Database::new("cohort_errors");
    let mut client = database.client();
    batch(&mut client, SHOP);
    for (as_of, since, sqlstate, part) in [
        ("'infinity'", "NULL", "22008", "finite"),
        ("'2024-01-01'", "'-infinity'", "22008", "finite"),
        ("date '2024-01-01' + customer_id", "NULL", "22023", "as_of varies within a group"),
        ("'2024-01-01'", "date '2023-01-01' + customer_id", "22023", "ending_after varies within a group"),
    ] {
        let (found, message, hint) = expect_error(&mut client, &counted(as_of, since));
        assert_eq!(found, sqlstate, "{message}: {as_of}, {since}");
        assert!(message.contains(part) && !hint.is_empty(), "{message}: {as_of}, {since}");
    }
}
