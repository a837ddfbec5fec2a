//! Lines of one order on several days: each changes the amount on its own day, and the past stays what it was.

use crate::common::*;

const LINES: &str =
    "CREATE TABLE lines (customer_id text, order_no int, day date, amount numeric, discounted boolean);";

/// Any SELECT of `NAME_histories`, and of the same without a segmentation as docs/guide/data.md has it.
const WITHOUT_SEGMENTATION: &str = "
    SELECT customer_id, purchase_history(day, amount, discounted, is_purchase) AS history
    FROM (
        SELECT customer_id, day, sum(amount) AS amount, bool_or(discounted) AS discounted,
               day = min(CASE WHEN coalesce(sum(amount), 0) >= 0 THEN day END) OVER (
                   PARTITION BY customer_id, order_no, CASE WHEN order_no IS NULL THEN day END) AS is_purchase
        FROM lines
        WHERE customer_id IS NOT NULL
        GROUP BY customer_id, order_no, day
    ) AS days_of_orders
    GROUP BY customer_id";

const SEGMENT: &str = "SELECT create_segmentation('shop', 'lines', customer => 'customer_id', ordered_at => 'day',
    amount => 'amount', order_id => 'order_no', discounted => 'discounted', as_of => '2026-06-30', track => 'trigger')";

#[test]
fn a_refund_under_its_order_number_leaves_the_past_alone() {
    let database = Database::new("lines_refund");
    let mut client = quiet(&database);
    batch(
        &mut client,
        &format!(
            "{LINES}
             INSERT INTO lines VALUES ('A1', 1, '2026-05-01', 5000), ('A1', 1, '2026-05-20', -5000),
                                      ('B2', 2, '2026-05-01', 5000), ('B2', 2, '2026-06-20', -1000);
             {SEGMENT}"
        ),
    );
    let found = "SELECT string_agg(concat_ws(' ', customer_id, d.day, monetary(history, d.day), orders(history, d.day),
                                             last_purchase_on(history, d.day)), ', ' ORDER BY customer_id, d.day)
                 FROM shop_histories, unnest('{2026-05-10,2026-05-20}'::date[]) AS d (day) WHERE customer_id = 'A1'";
    assert_eq!(text(&mut client, found), "A1 2026-05-10 5000 1 2026-05-01, A1 2026-05-20 0 1 2026-05-01");
    let action = "SELECT concat_ws(' ', orders, monetary, next_action) FROM shop_customers WHERE customer_id = 'B2'";
    // A fifth of the purchase is no complaint by the default policy; by one to which it is, the refund is found on its day.
    assert_eq!(text(&mut client, action), "1 4000 check_in");
    batch(&mut client, r#"SELECT alter_segmentation('shop', policy => '{"complaint": {"min_refund_share": 0.2}}')"#);
    assert_eq!(text(&mut client, action), "1 4000 resolve_complaint");
}

/// What lines make of an order, by hand.
#[test]
fn lines_of_an_order_by_day() {
    let database = Database::new("lines_by_hand");
    let mut client = quiet(&database);
    let cases = [
        (
            "a coupon of the same day lowers the purchase",
            "(1, '2026-05-01', 5000, NULL), (1, '2026-05-01', -500, NULL)",
            r#"{"2026-05-01": {"orders": 1, "amount": 4500}}"#,
        ),
        (
            "a refund of a later day",
            "(1, '2026-05-01', 5000, NULL), (1, '2026-05-20', -2000, NULL), (1, '2026-05-20', 500, NULL)",
            r#"{"2026-05-01": {"orders": 1, "amount": 5000}, "2026-05-20": {"orders": 0, "amount": -1500}}"#,
        ),
        (
            "a later line is no second order",
            "(1, '2026-05-01', 5000, NULL), (1, '2026-05-20', 300, NULL)",
            r#"{"2026-05-01": {"orders": 1, "amount": 5000}, "2026-05-20": {"orders": 0, "amount": 300}}"#,
        ),
        (
            "money back before the purchase is a refund of its own day",
            "(1, '2026-05-01', -500, true), (1, '2026-05-03', 5000, NULL)",
            r#"{"2026-05-01": {"orders": 0, "amount": -500}, "2026-05-03": {"orders": 1, "amount": 5000}}"#,
        ),
        (
            "nothing but money back",
            "(1, '2026-05-01', -500, NULL), (1, '2026-05-03', -1, NULL)",
            r#"{"2026-05-01": {"orders": 0, "amount": -500}, "2026-05-03": {"orders": 0, "amount": -1}}"#,
        ),
        (
            "a sum of zero is a purchase",
            "(1, '2026-05-01', 5000, NULL), (1, '2026-05-01', -5000, NULL)",
            r#"{"2026-05-01": {"orders": 1, "amount": 0}}"#,
        ),
        (
            "no amount is a purchase that adds nothing",
            "(1, '2026-05-01', NULL, NULL), (1, '2026-05-02', 700, NULL)",
            r#"{"2026-05-01": {"orders": 1, "amount": 0}, "2026-05-02": {"orders": 0, "amount": 700}}"#,
        ),
        (
            "taken back and shipped again",
            "(1, '2026-05-01', 5000, NULL), (1, '2026-05-02', -5000, NULL), (1, '2026-05-03', 5000, NULL)",
            r#"{"2026-05-01": {"orders": 1, "amount": 5000}, "2026-05-02": {"orders": 0, "amount": -5000}, "2026-05-03": {"orders": 0, "amount": 5000}}"#,
        ),
        (
            "the discount is that of the purchase day",
            "(1, '2026-05-01', 50, false), (1, '2026-05-01', 50, true), (2, '2026-05-02', 70, false), (2, '2026-05-03', -1, true), (2, '2026-05-04', 1, true)",
            r#"{"2026-05-01": {"orders": 1, "discounted": 1, "amount": 100}, "2026-05-02": {"orders": 1, "full_price": 1, "amount": 70}, "2026-05-03": {"orders": 0, "amount": -1}, "2026-05-04": {"orders": 0, "amount": 1}}"#,
        ),
        (
            "lines without a number are one order a day",
            "(NULL, '2026-05-01', 50, NULL), (NULL, '2026-05-01', 50, NULL), (NULL, '2026-05-02', 50, NULL), (NULL, '2026-05-03', -20, NULL)",
            r#"{"2026-05-01": {"orders": 1, "amount": 100}, "2026-05-02": {"orders": 1, "amount": 50}, "2026-05-03": {"orders": 0, "amount": -20}}"#,
        ),
        (
            "one order corrected on the day of another",
            "(1, '2026-05-01', 50, NULL), (2, '2026-05-02', 80, NULL), (1, '2026-05-02', -50, NULL)",
            r#"{"2026-05-01": {"orders": 1, "amount": 50}, "2026-05-02": {"orders": 1, "amount": 30}}"#,
        ),
        (
            "a line without a day is ignored",
            "(1, NULL, 900, true), (1, '2026-05-02', 80, NULL)",
            r#"{"2026-05-02": {"orders": 1, "amount": 80}}"#,
        ),
    ];
    batch(&mut client, LINES);
    for (what, lines, _) in cases {
        let typed = "n::int, d::date, a::numeric, x::boolean";
        batch(
            &mut client,
            &format!("INSERT INTO lines SELECT '{what}', {typed} FROM (VALUES {lines}) AS v (n, d, a, x)"),
        );
    }
    // The cases share numbers: an order is that of its customer.
    batch(&mut client, SEGMENT);
    for histories in ["shop_histories", &format!("({WITHOUT_SEGMENTATION})")] {
        for (what, _, expected) in cases {
            let found = format!("SELECT history::text FROM {histories} AS h WHERE customer_id = '{what}'");
            assert_eq!(text(&mut client, &found), expected, "{what}");
        }
    }
}

/// The days of a timestamptz are those of the segmentation's time zone.
#[test]
fn days_of_lines_are_those_of_the_time_zone() {
    let database = Database::new("lines_zone");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE lines (customer_id int, order_no int, ordered_at timestamptz, amount numeric);
         INSERT INTO lines VALUES (1, 1, '2026-05-01 14:00+00', 100), (1, 1, '2026-05-01 16:00+00', -30),
                                  (2, 2, '2026-05-01 16:00+00', 100), (2, 2, '2026-05-02 14:00+00', -30);
         SELECT create_segmentation('shop', 'lines', order_id => 'order_no', time_zone => 'Asia/Tokyo', as_of => '2026-06-30')",
    );
    let found = "SELECT string_agg(history::text, E'\\n' ORDER BY customer_id) FROM shop_histories";
    assert_eq!(
        text(&mut client, found),
        r#"{"2026-05-01": {"orders": 1, "amount": 100}, "2026-05-02": {"orders": 0, "amount": -30}}
{"2026-05-02": {"orders": 1, "amount": 70}}"#
    );
}

/// Every day is answered from the whole of a random shop's lines as by plain SQL from the lines written by then.
#[test]
fn every_day_answers_as_it_would_have_on_that_day() {
    let database = Database::new("lines_every_day");
    let mut client = quiet(&database);
    let mut random = Random::new(20);
    batch(&mut client, LINES);
    for _ in 0..6 {
        let lines: Vec<String> = (0..80).map(|_| line(&mut random)).collect();
        batch(&mut client, &format!("INSERT INTO lines VALUES {}", lines.join(", ")));
        if text(&mut client, "SELECT to_regclass('shop_histories')::text").is_empty() {
            batch(&mut client, SEGMENT);
        } else {
            batch(&mut client, &format!("DELETE FROM lines WHERE order_no = {}", random.below(60)));
            batch(&mut client, "SELECT refresh_segmentation('shop')");
        }
        for histories in ["shop_histories", &format!("({WITHOUT_SEGMENTATION})")] {
            assert_every_day(&mut client, histories);
        }
    }
}

fn line(random: &mut Random) -> String {
    let number = if random.below(9) == 0 { "NULL".to_owned() } else { random.below(60).to_string() };
    let customer = if random.below(30) == 0 { "NULL".to_owned() } else { format!("'c{}'", random.below(7)) };
    let day =
        if random.below(30) == 0 { "NULL".to_owned() } else { format!("date '2026-05-01' + {}", random.below(12)) };
    let amount = match random.below(8) {
        0 => "NULL".to_owned(),
        1 => "0".to_owned(),
        2..=4 => format!("-{}.5", random.below(40)),
        _ => format!("{}.{:02}", random.below(60), random.below(100)),
    };
    format!("({customer}, {number}, {day}, {amount}, {})", random.of(&["true", "false", "NULL"]))
}

#[track_caller]
fn assert_every_day(client: &mut Client, histories: &str) {
    let known = include_str!("../reference/order_lines.sql").replace("$1", "d.day");
    let days = "generate_series(date '2026-04-30', '2026-05-13', '1 day') AS g (moment) CROSS JOIN LATERAL (SELECT g.moment::date) AS d (day)";
    let found = format!(
        "SELECT d.day, h.customer_id, monetary(h.history, d.day), orders(h.history, d.day),
                purchase_days(h.history, d.day), first_purchase_on(h.history, d.day),
                last_purchase_on(h.history, d.day), previous_purchase_on(h.history, d.day),
                discount_share(h.history, d.day),
                (explain_customer(h.history, d.day) #>> '{{inputs,refund_only_days_ago}}')::int
         FROM {histories} AS h CROSS JOIN {days}
         WHERE EXISTS (SELECT FROM lines AS l WHERE l.customer_id = h.customer_id AND l.day <= d.day)"
    );
    let expected = format!("SELECT d.day, k.* FROM {days} CROSS JOIN LATERAL ({known}) AS k");
    assert_same_rows(client, histories, &found, &expected, 60);
}
