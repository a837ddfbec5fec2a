//! Windows, DISTINCT, FILTER and grouping sets.

use super::*;

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
    for (table, call) in [
        ("monthly", "rollup(h)"),
        ("monthly_events", "rollup(e)"),
        ("events", "engagement_history(kind, happened_on)"),
        ("entries", "membership_history(membership, since)"),
    ] {
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
