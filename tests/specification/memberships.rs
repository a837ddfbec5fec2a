//! Memberships over time against plain SQL that goes day by day (tests/reference/memberships.sql), on a random shop.

use crate::common::*;
use crate::random_shop;
use std::sync::LazyLock;

/// The shop with a history of each customer's log. It goes with the server.
static SHOP: LazyLock<Database> = LazyLock::new(|| {
    let database = Database::new("memberships");
    let mut client = database.client();
    random_shop::load(&mut client, 600, 3);
    batch(&mut client, include_str!("../reference/memberships.sql"));
    batch(
        &mut client,
        "CREATE TABLE logged AS
         SELECT customer_id, membership_history(membership, since) AS m FROM reference.memberships
         GROUP BY customer_id HAVING count(membership) FILTER (WHERE since IS NOT NULL) > 0",
    );
    database
});

/// How many rows plain SQL has, and how many of either side have no twin.
fn compared(reference: &str, asked: &str) -> (u32, u32) {
    let sql = format!(
        "SET search_path = public, rfm;
         WITH reference AS MATERIALIZED ({reference}), asked AS MATERIALIZED ({asked})
         SELECT (SELECT count(*) FROM reference),
                (SELECT count(*) FROM (TABLE reference EXCEPT ALL TABLE asked) AS q)
                + (SELECT count(*) FROM (TABLE asked EXCEPT ALL TABLE reference) AS q)"
    );
    let counts = SHOP.psql(&sql);
    let numbers: Vec<_> = counts.trim_end().split('|').map(|number| number.parse().expect("a number")).collect();
    (numbers[0], numbers[1])
}

#[test]
fn any_day_has_the_membership_of_that_day() {
    let (days, wrong) = compared(
        "SELECT customer_id, day, membership FROM reference.membership_days('2025-09-01')",
        "SELECT r.customer_id, r.day, membership_on(m, r.day)
         FROM logged JOIN reference.membership_days('2025-09-01') AS r USING (customer_id)",
    );
    assert!(days > 100_000 && wrong == 0, "{wrong} of {days} days");
    let (periods, wrong) = compared(
        "SELECT customer_id, membership, min(day) AS from_day, nullif(max(day), '2025-09-01') AS to_day
         FROM (SELECT *, day - (row_number() OVER (PARTITION BY customer_id, membership ORDER BY day))::int AS island
               FROM reference.membership_days('2025-09-01')) AS d
         GROUP BY customer_id, membership, island",
        "SELECT customer_id, p.membership, p.from_day, p.to_day
         FROM logged CROSS JOIN LATERAL membership_periods(m, '2025-09-01') AS p",
    );
    assert!(periods > 500 && wrong == 0, "{wrong} of {periods} periods");
    let (since, wrong) = compared(
        "SELECT DISTINCT ON (customer_id) customer_id, from_day, membership
         FROM logged CROSS JOIN LATERAL membership_periods(m, '2025-06-30') AS p ORDER BY customer_id, from_day DESC",
        "SELECT customer_id, membership_since(m, '2025-06-30'), membership_on(m, '2025-06-30')
         FROM logged WHERE membership_since(m, '2025-06-30') IS NOT NULL",
    );
    assert!(since > 200 && wrong == 0, "{wrong} of {since} since");
}

#[test]
fn churn_by_month_and_by_cycle_is_what_going_day_by_day_finds() {
    let (months, wrong) = compared(
        "SELECT * FROM reference.subscription_months('2025-06-15')",
        "SELECT customer_id, s.* FROM logged CROSS JOIN LATERAL subscription_months(m, '2025-06-15') AS s",
    );
    assert!(months > 2_000 && wrong == 0, "{wrong} of {months} months");
    for cycle in ["1 month", "28 days", "2 months 3 days", "1 year"] {
        let (cycles, wrong) = compared(
            &format!("SELECT * FROM reference.subscription_cycles('{cycle}', '2025-06-15')"),
            &format!(
                "SELECT customer_id, s.* FROM logged CROSS JOIN LATERAL subscription_cycles(m, '{cycle}', '2025-06-15') AS s"
            ),
        );
        assert!(cycles > 200 && wrong == 0, "{cycle}: {wrong} of {cycles} cycles");
    }
    // As a report has it: rates with their intervals.
    for (part, from, of) in [
        ("month", "reference.subscription_months('2025-06-30')", "subscription_months(m, '2025-06-30')"),
        (
            "cycle",
            "reference.subscription_cycles('1 month', '2025-06-30')",
            "subscription_cycles(m, '1 month', '2025-06-30')",
        ),
    ] {
        let (rates, wrong) = compared(
            &format!(
                "SELECT {part}, reference.wilson(count(*) FILTER (WHERE has_ended), count(has_ended)) FROM {from}
                 GROUP BY {part} HAVING count(has_ended) > 0"
            ),
            &format!(
                "SELECT {part}, concat_ws(' ', numerator, denominator, rate, rate_low, rate_high)
                 FROM (SELECT {part}, (proportion(has_ended)).* FROM logged CROSS JOIN LATERAL {of} AS s GROUP BY {part}) AS r
                 WHERE denominator > 0"
            ),
        );
        assert!(rates > 20 && wrong == 0, "{part}: {wrong} of {rates} rates");
    }
}

/// Untyped literals, NULL and all calls without a log mean what they meant.
#[test]
fn calls_without_a_log_stay_as_they_were() {
    let same = SHOP.psql(
        "SET search_path = rfm;
         SELECT lifecycle_state(NULL::purchase_history, '2025-06-30', NULL, NULL, 'paused'),
                vip_tier(NULL::purchase_history, '2025-06-30', NULL, NULL, NULL),
                next_action('dormant', 3, 'withdrawn'),
                (segment_customer(NULL, '2025-06-30', membership => '03')).next_action,
                (segment_customer(NULL, '2025-06-30', NULL, NULL, '03', NULL, NULL, NULL,
                                  '{\"2025-07-01\": \"withdrawn\"}')).next_action,
                (segment_customer(NULL, '2025-06-30', memberships => '{\"2025-06-30\": \"03\"}')).next_action",
    );
    assert_eq!(
        same.trim_end(),
        "prospect|regular|reacquisition_program|reacquisition_program|first_offer|ask_why_withdrawn"
    );
}
