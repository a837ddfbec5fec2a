//! The order of the rows, and partial states: the whole is the merged parts, however it was split.

use super::*;

#[test]
fn the_order_of_the_rows_never_changes_an_answer() {
    let shop = Shop::new("plans_order");
    let day = |table| match table {
        "orders" => "ordered_on",
        "events" => "happened_on",
        "entries" => "since",
        "yearly_entries" => "customer_id",
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

#[test]
fn the_rollup_of_parts_is_the_whole() {
    let shop = Shop::new("plans_rollup");
    let whole = shop.answer(
        SERIAL,
        "SELECT customer_id, purchase_history(ordered_on, amount), purchase_history(ordered_on, amount, discounted, is_purchase)
         FROM orders GROUP BY customer_id",
    );
    let parts =
        ["1", "row % 2", "row % 7", "row", "(hashint8(row) % 5)", "date_trunc('month', ordered_on)", "amount < 0"];
    for part in parts {
        let rolled = format!(
            "SELECT customer_id, rollup(h), rollup(d)
             FROM (SELECT customer_id, purchase_history(ordered_on, amount) AS h,
                          purchase_history(ordered_on, amount, discounted, is_purchase) AS d
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

#[test]
fn the_rollup_and_the_sum_of_parts_of_a_log_of_memberships_is_the_whole() {
    let shop = Shop::new("plans_memberships");
    let memberships = "membership_history(membership, since)";
    let whole = shop.answer(SERIAL, &format!("SELECT customer_id, {memberships} FROM entries GROUP BY customer_id"));
    for part in ["1", "row % 2", "row", "membership", "date_trunc('month', since)"] {
        let rolled = format!(
            "SELECT customer_id, rollup(m) FROM (SELECT customer_id, {memberships} AS m FROM entries GROUP BY customer_id, {part}) AS parts
             GROUP BY customer_id"
        );
        assert_eq!(shop.answer(SERIAL, &rolled), whole, "parts: {part}");
    }
    shop.holds(&format!(
        "SELECT a + b = whole AND b + a = whole AND whole + '{{}}' = whole AND whole + whole = whole
         FROM (SELECT coalesce({memberships} FILTER (WHERE row % 2 = 0), '{{}}') AS a,
                      coalesce({memberships} FILTER (WHERE row % 2 = 1), '{{}}') AS b, {memberships} AS whole
               FROM entries GROUP BY customer_id) AS q"
    ));
}

/// A shop adds the night's new orders to yesterday's history with `+`.
#[test]
fn plus_is_the_history_of_both_in_any_grouping() {
    let shop = Shop::new("plans_plus");
    shop.database.psql(
        "CREATE TABLE thirds AS
         SELECT customer_id, coalesce(purchase_history(ordered_on, amount, discounted, is_purchase) FILTER (WHERE row % 3 = 0), '{}') AS a,
                coalesce(purchase_history(ordered_on, amount, discounted, is_purchase) FILTER (WHERE row % 3 = 1), '{}') AS b,
                coalesce(purchase_history(ordered_on, amount, discounted, is_purchase) FILTER (WHERE row % 3 = 2), '{}') AS c,
                purchase_history(ordered_on, amount, discounted, is_purchase) AS whole
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
