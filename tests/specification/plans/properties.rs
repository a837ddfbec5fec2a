//! Who buys more, later or for more never gets a lower digit; and nothing changes before the day that was told.

use super::*;

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

/// From each day to the next, which leads to any day: the day that is told is a column of its own, so that a later one would
/// have been told too late.
#[test]
fn nothing_changes_before_next_change_on() {
    let shop = Shop::new("plans_next_change");
    shop.holds(
        "WITH asked AS MATERIALIZED (
             SELECT customer_id, day, s.next_change_on,
                    to_jsonb(s) - '{recency_days, action_due_on}'::text[]
                    || jsonb_build_object('wait_until', CASE WHEN s.action_due_on > day THEN s.action_due_on END) AS stays
             FROM customers AS c
             CROSS JOIN generate_series('2025-06-10'::date, '2025-08-10', '1 day') AS d (at)
             CROSS JOIN LATERAL CAST(at AS date) AS day
             CROSS JOIN LATERAL segment_customer(h, day, policy, e, membership, channels, last_contacted_on, c.c, m) AS s
             WHERE customer_id <= 400)
         SELECT today.stays = tomorrow.stays
         FROM asked AS today
         JOIN asked AS tomorrow ON tomorrow.customer_id = today.customer_id AND tomorrow.day = today.day + 1
         WHERE today.next_change_on IS NULL OR today.next_change_on > today.day + 1",
    );
}
