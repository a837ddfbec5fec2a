//! Every route to an answer gives the same answer: the stored history, the aggregates, the plain numbers, and an
//! implementation of its own in plain SQL (tests/reference), for a random shop, many days and many policies.
//!
//! A longer run: `PG_RFM_SEED=7 PG_RFM_CUSTOMERS=40000 make test ARGS="--test specification routes"`.

use crate::common::*;
use crate::random_shop;
use postgres::SimpleQueryMessage;
use std::env;

/// The shop of random_shop.sql lives around this day.
const ANCHOR: &str = "2025-06-30";

/// Before everything, in the middle, at every step after the anchor that a limit can lie on, after everything.
const DAYS: &[&str] = &[
    "1999-12-31",
    "2019-06-30",
    "2023-02-28",
    "2024-02-29",
    "2024-06-30",
    "2025-01-31",
    "2025-04-30",
    "2025-05-31",
    "2025-06-29",
    ANCHOR,
    "2025-07-01",
    "2025-07-14",
    "2025-07-15",
    "2025-07-30",
    "2025-07-31",
    "2025-08-30",
    "2025-09-28",
    "2026-06-30",
    "2027-03-01",
    "2150-01-01",
];

/// Days for the policies that are not the default.
const FEW_DAYS: &[&str] = &["2024-06-30", "2025-05-31", ANCHOR, "2025-08-30"];

struct Policy {
    name: &'static str,
    /// An SQL expression.
    sql: &'static str,
    /// lifecycle_state on plain numbers knows the fixed cycle only.
    own_cycle: bool,
}

const fn fixed(name: &'static str, sql: &'static str) -> Policy {
    Policy { name, sql, own_cycle: false }
}

const fn own(name: &'static str, sql: &'static str) -> Policy {
    Policy { name, sql, own_cycle: true }
}

const POLICIES: &[Policy] = &[
    fixed("none", "NULL::segment_policy"),
    fixed("preset rental_90", "preset_policy('rental_90')"),
    fixed("preset mail_order_181", "preset_policy('mail_order_181')"),
    fixed("preset annual_365", "preset_policy('annual_365')"),
    fixed("preset replenishment", "preset_policy('replenishment')"),
    fixed("preset occasional", "preset_policy('occasional')"),
    fixed("purchase_days", r#"'{"version": 1, "frequency": "purchase_days"}'::segment_policy"#),
    own("own cycle", r#"'{"version": 1, "lifecycle": {"cycle": "own"}}'::segment_policy"#),
    own(
        "own cycle, odd numbers",
        r#"'{"version": 1, "frequency": "purchase_days",
             "lifecycle": {"cycle": "own", "prior_gaps": 0.7, "store_gap_days": 33.5, "at_risk_ratio": 1.3,
                           "dormant_ratio": 2.15, "min_days": 5, "max_days": 120, "continuing_grace_days": 4,
                           "winback_window_days": 45, "new_max_orders": 3}}'::segment_policy"#,
    ),
    own(
        "own cycle over a preset",
        r#"preset_policy('mail_order_181') || '{"version": 1, "lifecycle": {"cycle": "own"}}'::segment_policy"#,
    ),
    fixed(
        "two digits each",
        r#"'{"version": 1,
             "rfm": {"recency_cuts": [45], "frequency_cuts": [2], "monetary_cuts": [10000]},
             "segments": {"rules": [{"name": "best", "any": [{"r": [2, 2], "f": [2, 2], "m": [2, 2]}]},
                                    {"name": "recent", "any": [{"r": [2, 2], "f": [1, 2]}]},
                                    {"name": "rich", "any": [{"r": [1, 1], "m": [2, 2]}]}],
                          "default": "others"}}'::segment_policy"#,
    ),
    fixed(
        "nine, three and six digits",
        r#"'{"version": 1,
             "rfm": {"recency_cuts": [1, 7, 30, 31, 59, 60, 61, 365], "frequency_cuts": [1, 1],
                     "monetary_cuts": [0, 999.99, 4999.995, 5000, 20000]},
             "segments": {"rules": [{"name": "top", "any": [{"r": [7, 9], "f": [3, 3], "m": [5, 6]}]},
                                    {"name": "middle", "any": [{"r": [4, 9], "m": [3, 6]}, {"f": [3, 3], "m": [6, 6]}]},
                                    {"name": "low", "any": [{"m": [1, 2]}]}],
                          "default": "others"},
             "vip": {"value_weight": 0.37, "untracked_min_value_score": 62.5}}'::segment_policy"#,
    ),
    fixed(
        "vip by money and small weights",
        r#"'{"version": 1,
             "vip": {"monetary_cut": 20000, "min_span_days": 85, "value_weight": 0.35, "memberships": ["paused"],
                     "min_relation_score": 22.5, "untracked_min_value_score": null, "min_orders": 5,
                     "min_purchase_days": 5},
             "relation": {"window_days": 30,
                          "kinds": {"newsletter": {"weight": 7.5, "cap": 2}, "review": {"weight": 3.335, "cap": 1},
                                    "stated_drifted": {"weight": 1, "cap": 5}}}}'::segment_policy"#,
    ),
    fixed(
        "other reasons, stages and contacts",
        r#"'{"version": 1,
             "lifecycle": {"at_risk_after_days": 45, "dormant_after_days": 46, "winback_window_days": 10,
                           "new_max_orders": 1, "continuing_grace_days": 0},
             "purchase_stage": {"nurture_min_orders": 3, "established_min_orders": 6},
             "dormancy_reason": {"discount_min_purchases": 1, "discount_min_share": 0.5,
                                 "overstock_amount_ratio": 1.5, "overstock_min_purchase_days": 5,
                                 "overstock_max_span_days": 85, "unhabituated_max_purchase_days": 4},
             "complaint": {"min_refund_share": 0.125},
             "contact": {"min_days_between": 14, "response_days": 7, "unanswered_before_next_channel": null, "channels": ["postal", "social", "line"],
                         "dormant_channels": ["sms", "line"]}}'::segment_policy"#,
    ),
];

/// Every pair of policy and day that is asked for: the default on every day, the others on some.
fn questions() -> impl Iterator<Item = (&'static Policy, &'static str)> {
    POLICIES.iter().enumerate().flat_map(|(nth, policy)| {
        let days = if nth == 0 { DAYS } else { FEW_DAYS };
        days.iter().map(move |day| (policy, *day))
    })
}

#[test]
fn segment_customer_equals_the_reference() {
    let mut shop = Shop::new("routes_segment");
    for (policy, day) in questions() {
        let sql = policy.sql;
        shop.expect(policy, day, "all", SEGMENT_COLUMNS, "");
        shop.compare(
            &format!("segment_customer, {}, {day}", policy.name),
            &format!(
                "SELECT f.customer_id, {columns}
                 FROM shop.facts AS f
                 CROSS JOIN LATERAL segment_customer(f.h, '{day}', {sql}, f.e, f.membership, f.channels,
                                                     f.last_contacted_on) AS s",
                columns = qualified("s", SEGMENT_COLUMNS),
            ),
        );
    }
    shop.verdict();
}

/// With a log every day has its own membership; who does not stand in it keeps the one that is given.
#[test]
fn a_log_of_memberships_equals_the_reference() {
    let mut shop = Shop::new("routes_memberships");
    batch(
        &mut shop.client,
        "CREATE TABLE shop.logged AS
         SELECT f.*, m.m
         FROM shop.facts AS f
         LEFT JOIN (SELECT customer_id, membership_history(membership, since ORDER BY since DESC NULLS FIRST) AS m
                    FROM reference.memberships WHERE since IS NOT NULL AND membership IS NOT NULL
                    GROUP BY customer_id) AS m USING (customer_id);
         ANALYZE shop.logged",
    );
    let own = |policy: &&Policy| policy.own_cycle;
    for (policy, day) in POLICIES[..2]
        .iter()
        .chain(POLICIES.iter().filter(own))
        .flat_map(|policy| ["2025-05-31", ANCHOR, "2025-07-15"].map(move |day| (policy, day)))
    {
        let sql = policy.sql;
        shop.expect(policy, day, "log", SEGMENT_COLUMNS, "");
        shop.compare(
            &format!("segment_customer with a log of memberships, {}, {day}", policy.name),
            &format!(
                "SELECT f.customer_id, {columns}
                 FROM shop.logged AS f
                 CROSS JOIN LATERAL segment_customer(f.h, '{day}', {sql}, f.e, f.membership, f.channels,
                                                     f.last_contacted_on, memberships => f.m) AS s",
                columns = qualified("s", SEGMENT_COLUMNS),
            ),
        );
        let columns = "lifecycle_state, value_score, vip_score, vip_tier, reason_if_dormant AS dormancy_reason";
        shop.expect(policy, day, "log", columns, "");
        let names = ["lifecycle_state", "value_score", "vip_score", "vip_tier", "dormancy_reason"];
        let calls = names.map(|name| format!("{name}(h, '{day}', {sql}, e, membership, m) AS {name}"));
        shop.compare(
            &format!("functions with a log of memberships, {}, {day}", policy.name),
            &format!("SELECT customer_id, {} FROM shop.logged", calls.join(", ")),
        );
    }
    // What is over time is what each day says: the timeline, the history of steps, the movements.
    batch(
        &mut shop.client,
        "CREATE TABLE shop.expected AS
         SELECT customer_id, d::date AS day,
                lifecycle_state(h, d::date, NULL, e, membership, m) AS state,
                vip_tier(h, d::date, NULL, e, membership, m) AS tier
         FROM shop.logged, generate_series('2024-09-01'::timestamp, '2025-08-30', '7 days') AS d
         WHERE customer_id <= 400",
    );
    shop.compare(
        "timeline and history with a log of memberships",
        "SELECT l.customer_id, s.as_of AS day, t.state, s.vip_tier AS tier
         FROM shop.logged AS l
         CROSS JOIN LATERAL segment_history(h, '2024-09-01', '2025-08-30', '7 days', NULL, e, membership, m) AS s
         JOIN LATERAL state_timeline(h, '2024-08-01', '2025-10-01', NULL, e, membership, m) AS t
             ON s.as_of BETWEEN t.from_day AND t.to_day AND s.lifecycle_state = t.state
         WHERE customer_id <= 400",
    );
    batch(
        &mut shop.client,
        "CREATE TABLE shop.expected AS
         SELECT customer_id, t.from_day AS since, t.before AS previous
         FROM (SELECT customer_id, t.*, lag(t.state) OVER (PARTITION BY customer_id ORDER BY t.from_day) AS before,
                      lead(t.state) OVER (PARTITION BY customer_id ORDER BY t.from_day) AS after
               FROM shop.logged
               CROSS JOIN LATERAL state_timeline(h, '1999-01-01', '2025-06-30', NULL, e, membership, m) AS t) AS t
         WHERE t.after IS NULL",
    );
    shop.compare(
        "since and previous with a log of memberships",
        "SELECT customer_id, coalesce(s.state_since, '1999-01-01') AS since, s.previous_state AS previous
         FROM shop.logged
         CROSS JOIN LATERAL segment_customer(h, '2025-06-30', NULL, e, membership, memberships => m) AS s
         WHERE s.state_since IS NOT DISTINCT FROM state_since(h, '2025-06-30', NULL, e, membership, m)
               AND s.previous_state IS NOT DISTINCT FROM previous_state(h, '2025-06-30', NULL, e, membership, m)",
    );
    shop.verdict();
}

/// Movements by state, segment and tier are what the reference says of both days; the revenue is tested with the KPIs.
#[test]
fn movements_equal_the_reference() {
    let mut shop = Shop::new("routes_movements");
    for policy in POLICIES {
        let sql = policy.sql;
        let [from, to] = ["2025-03-31", "2025-06-30"];
        batch(
            &mut shop.client,
            &format!(
                "CREATE TABLE shop.expected AS
                 SELECT b.customer_id, b.lifecycle_state AS from_state, a.lifecycle_state AS to_state,
                        b.rfm_segment AS from_segment, a.rfm_segment AS to_segment,
                        b.vip_tier AS from_tier, a.vip_tier AS to_tier
                 FROM reference.segments('{from}', effective_policy({sql}), 'history') AS b
                 JOIN reference.segments('{to}', effective_policy({sql}), 'history') AS a USING (customer_id)
                 WHERE a.lifecycle_state <> 'prospect'"
            ),
        );
        shop.compare(
            &format!("state_movements, {}", policy.name),
            &format!(
                "SELECT f.customer_id, m.from_state, m.to_state, m.from_segment, m.to_segment, m.from_tier, m.to_tier
                 FROM shop.facts AS f
                 CROSS JOIN LATERAL state_movements(f.h, '{from}', '{to}', '91 days', {sql}, f.e, f.membership) AS m"
            ),
        );
    }
    shop.verdict();
}

#[test]
fn accessors_equal_the_reference() {
    let mut shop = Shop::new("routes_accessors");
    let columns = "recency_days, orders, purchase_days, monetary, tenure_days, span_days, first_purchase_on, \
                   last_purchase_on, previous_purchase_on, last_gap_days, mean_gap_days, median_gap_days, \
                   discount_share, average_order_value";
    let calls: Vec<_> = columns.split(", ").map(|name| format!("{name}(h, '<day>') AS {name}")).collect();
    for day in DAYS {
        shop.expect(&POLICIES[0], day, "all", columns, "");
        shop.compare(
            &format!("accessors, {day}"),
            &format!("SELECT customer_id, {} FROM shop.facts", calls.join(", ").replace("<day>", day)),
        );
    }
    // The money keeps its decimals as sum(numeric) does.
    batch(
        &mut shop.client,
        "CREATE TABLE shop.expected AS
         SELECT f.customer_id, coalesce(sum(o.amount) FILTER (WHERE o.ordered_on IS NOT NULL), 0)::text AS monetary
         FROM shop.facts AS f LEFT JOIN reference.orders AS o USING (customer_id)
         GROUP BY f.customer_id",
    );
    shop.compare(
        "decimals of monetary",
        "SELECT customer_id, monetary(h, '9999-12-31')::text AS monetary FROM shop.facts",
    );
    shop.verdict();
}

/// f(h, as_of, policy, engagement, membership), one function at a time: no channels and no contacts.
#[test]
fn functions_on_a_stored_history_equal_the_reference() {
    let mut shop = Shop::new("routes_history");
    for (policy, day) in questions() {
        let sql = policy.sql;
        shop.expect(
            policy,
            day,
            "history",
            "rfm_score, r_score, f_score, m_score, rfm_segment, purchase_stage, lifecycle_state, value_score, \
             relation_score, vip_score, vip_tier, reason_if_dormant AS dormancy_reason, next_action",
            "",
        );
        shop.compare(
            &format!("functions on a history, {}, {day}", policy.name),
            &format!(
                "SELECT customer_id,
                        rfm_score(h, '{day}', {sql}) AS rfm_score,
                        r_score(h, '{day}', {sql}) AS r_score,
                        f_score(h, '{day}', {sql}) AS f_score,
                        m_score(h, '{day}', {sql}) AS m_score,
                        rfm_segment(h, '{day}', {sql}) AS rfm_segment,
                        purchase_stage(h, '{day}', {sql}) AS purchase_stage,
                        lifecycle_state(h, '{day}', {sql}, e, membership) AS lifecycle_state,
                        value_score(h, '{day}', {sql}, e, membership) AS value_score,
                        relation_score(e, '{day}', {sql}) AS relation_score,
                        vip_score(h, '{day}', {sql}, e, membership) AS vip_score,
                        vip_tier(h, '{day}', {sql}, e, membership) AS vip_tier,
                        dormancy_reason(h, '{day}', {sql}, e, membership) AS dormancy_reason,
                        next_action(h, '{day}', {sql}, e, membership) AS next_action
                 FROM shop.facts"
            ),
        );
    }
    shop.verdict();
}

/// The aggregates know days and amounts; a history of the same two columns says the same.
#[test]
fn aggregates_equal_the_reference_and_the_history() {
    let mut shop = Shop::new("routes_aggregates");
    let columns = "rfm_score, lifecycle_state, vip_score, next_action";
    let with_orders = "WHERE customer_id IN (SELECT customer_id FROM reference.orders)";
    for (policy, day) in questions() {
        let sql = policy.sql;
        shop.expect(policy, day, "orders", columns, with_orders);
        shop.compare(
            &format!("aggregates, {}, {day}", policy.name),
            &format!(
                "SELECT customer_id,
                        rfm_score(ordered_on, amount, '{day}'::date, {sql}) AS rfm_score,
                        lifecycle_state(ordered_on, amount, '{day}'::date, {sql}) AS lifecycle_state,
                        vip_score(ordered_on, amount, '{day}'::date, {sql}) AS vip_score,
                        next_action(ordered_on, amount, '{day}'::date, {sql}) AS next_action
                 FROM reference.orders
                 GROUP BY customer_id"
            ),
        );
        shop.expect(policy, day, "orders", SEGMENT_COLUMNS, "");
        shop.compare(
            &format!("history of days and amounts, {}, {day}", policy.name),
            &format!(
                "SELECT f.customer_id, {columns}
                 FROM shop.facts AS f
                 CROSS JOIN LATERAL segment_customer(f.days_and_amounts, '{day}', {sql}) AS s",
                columns = qualified("s", SEGMENT_COLUMNS),
            ),
        );
    }
    // Without a policy.
    shop.expect(&POLICIES[0], ANCHOR, "orders", columns, with_orders);
    shop.compare(
        "aggregates of three arguments",
        &format!(
            "SELECT customer_id,
                    rfm_score(ordered_on, amount, '{ANCHOR}'::date) AS rfm_score,
                    lifecycle_state(ordered_on, amount, '{ANCHOR}'::date) AS lifecycle_state,
                    vip_score(ordered_on, amount, '{ANCHOR}'::date) AS vip_score,
                    next_action(ordered_on, amount, '{ANCHOR}'::date) AS next_action
             FROM reference.orders
             GROUP BY customer_id"
        ),
    );
    shop.verdict();
}

/// The plain numbers of the reference, put into the functions of plain numbers, as int and as bigint.
#[test]
fn plain_numbers_equal_the_reference() {
    let mut shop = Shop::new("routes_numbers");
    for (policy, day) in questions() {
        let sql = policy.sql;
        batch(
            &mut shop.client,
            &format!(
                "CREATE TABLE shop.numbers AS
                 SELECT r.*, c.membership
                 FROM reference.segments('{day}', effective_policy({sql}), 'history') AS r
                 JOIN reference.customers AS c USING (customer_id)"
            ),
        );
        for count in ["int", "bigint"] {
            let (expected_state, state) = if policy.own_cycle {
                ("NULL", "NULL".to_owned())
            } else {
                (
                    "lifecycle_state",
                    format!(
                        "lifecycle_state(recency_days, frequency::{count}, last_gap_days, vip_tier = 'vip', membership, {sql})"
                    ),
                )
            };
            batch(
                &mut shop.client,
                &format!(
                    "CREATE TABLE shop.expected AS
                     SELECT customer_id, rfm_score, {expected_state}::text AS lifecycle_state, vip_score,
                            reference.next_action_of_numbers(lifecycle_state, frequency, membership, dormancy_reason,
                                                             effective_policy({sql})) AS next_action,
                            reference.dormancy_category(orders, membership) AS dormancy_category
                     FROM shop.numbers"
                ),
            );
            shop.compare(
                &format!("plain numbers ({count}), {}, {day}", policy.name),
                &format!(
                    "SELECT customer_id,
                            rfm_score(recency_days, frequency::{count}, monetary, {sql}) AS rfm_score,
                            {state}::text AS lifecycle_state,
                            vip_score(recency_days, frequency::{count}, monetary, relation_exact, {sql}) AS vip_score,
                            next_action(lifecycle_state, frequency::{count}, membership, dormancy_reason, {sql})
                                AS next_action,
                            dormancy_category(orders::{count}, membership) AS dormancy_category
                     FROM shop.numbers"
                ),
            );
        }
        batch(&mut shop.client, "DROP TABLE shop.numbers");
    }
    shop.verdict();
}

/// Other types of days and amounts are converted, then treated the same.
#[test]
fn day_and_amount_types_agree() {
    let mut shop = Shop::new("routes_types");
    batch(
        &mut shop.client,
        "SET TimeZone = 'Asia/Tokyo';
         CREATE TABLE shop.typed AS
         SELECT customer_id, ordered_on, amount, discounted, is_purchase,
                ordered_on + '23:59:59.999999'::time AS at,
                (ordered_on + '00:00'::time) AT TIME ZONE 'Asia/Tokyo' AS at_tz,
                amount::float8 AS float, amount::float8::numeric AS of_float,
                amount::bigint AS whole, amount::bigint::numeric AS of_whole
         FROM reference.orders",
    );
    for (amount, of) in [("amount", "amount"), ("float", "of_float"), ("whole", "of_whole")] {
        for day in ["ordered_on", "at", "at_tz"] {
            batch(
                &mut shop.client,
                &format!(
                    "CREATE TABLE shop.expected AS
                     SELECT customer_id, purchase_history(ordered_on, {of}) AS h,
                            purchase_history(ordered_on, {of}, discounted) AS d,
                            purchase_history(ordered_on, {of}, discounted, is_purchase) AS p,
                            rfm_score(ordered_on, {of}, '{ANCHOR}'::date) AS rfm_score,
                            lifecycle_state(ordered_on, {of}, '{ANCHOR}'::date) AS lifecycle_state,
                            vip_score(ordered_on, {of}, '{ANCHOR}'::date) AS vip_score,
                            next_action(ordered_on, {of}, '{ANCHOR}'::date) AS next_action
                     FROM shop.typed GROUP BY customer_id"
                ),
            );
            shop.compare(
                &format!("days {day}, amounts {amount}"),
                &format!(
                    "SELECT customer_id, purchase_history({day}, {amount}) AS h,
                            purchase_history({day}, {amount}, discounted) AS d,
                            purchase_history({day}, {amount}, discounted, is_purchase) AS p,
                            rfm_score({day}, {amount}, '{ANCHOR}'::date) AS rfm_score,
                            lifecycle_state({day}, {amount}, '{ANCHOR}'::date) AS lifecycle_state,
                            vip_score({day}, {amount}, '{ANCHOR}'::date) AS vip_score,
                            next_action({day}, {amount}, '{ANCHOR}'::date) AS next_action
                     FROM shop.typed GROUP BY customer_id"
                ),
            );
        }
    }
    shop.verdict();
}

/// The plain SQL queries that `make bench` competes with yield the same four columns.
#[test]
fn plain_sql_of_the_bench_yields_the_same_columns() {
    let mut shop = Shop::new("routes_w");
    batch(&mut shop.client, "SET search_path = public, rfm, reference");
    for (name, query) in
        [("W", include_str!("../reference/simple_w.sql")), ("W by day", include_str!("../reference/simple_w_days.sql"))]
    {
        for day in DAYS {
            // psql's variable, its value in quotes
            let query = query.replace(":'as_of'", &format!("'{day}'"));
            batch(&mut shop.client, &format!("CREATE TABLE shop.expected AS {query}"));
            shop.compare(
                &format!("{name}, {day}"),
                &format!(
                    "SELECT customer_id,
                            rfm_score(ordered_on, amount, '{day}'::date) AS rfm_score,
                            lifecycle_state(ordered_on, amount, '{day}'::date) AS lifecycle_state,
                            vip_score(ordered_on, amount, '{day}'::date) AS vip_score,
                            next_action(ordered_on, amount, '{day}'::date) AS next_action
                     FROM reference.orders
                     WHERE ordered_on <= '{day}'
                     GROUP BY customer_id"
                ),
            );
        }
    }
    shop.verdict();
}

const SEGMENT_COLUMNS: &str = "first_purchase_on, last_purchase_on, recency_days, orders, purchase_days, monetary, \
     average_order_value, r_score, f_score, m_score, rfm_score, rfm_segment, lifecycle_state, purchase_stage, value_score, relation_score, \
     vip_score, vip_tier, last_tier, vip_missing, orders_to_vip, span_days_to_vip, relation_to_vip, value_to_vip, \
     dormancy_category, dormancy_reason, next_action, action_rule, action_behavior, \
     action_channel, action_due_on, action_after_wait";

fn qualified(table: &str, columns: &str) -> String {
    let columns: Vec<_> = columns.split(", ").map(|column| format!("{table}.{column}")).collect();
    columns.join(", ")
}

/// The random shop, its histories, and the differences found so far.
struct Shop {
    client: Client,
    compared: usize,
    differences: Vec<String>,
    what: String,
    _database: Database,
}

impl Shop {
    fn new(name: &str) -> Self {
        let database = Database::new(name);
        let mut client = database.client();
        let number = |name: &str, default: u32| {
            env::var(name)
                .map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
        };
        let customers = number("PG_RFM_CUSTOMERS", 3000);
        let seed = number("PG_RFM_SEED", 1);
        random_shop::load(&mut client, customers, seed);
        batch(
            &mut client,
            "CREATE SCHEMA shop;
                 CREATE TABLE shop.facts AS
                 SELECT c.customer_id, c.membership, c.channels, c.last_contacted_on, o.h, o.days_and_amounts,
                        CASE WHEN c.tracked THEN coalesce(e.e, no_engagement()) END AS e
                 FROM reference.customers AS c
                 LEFT JOIN (SELECT customer_id,
                                   purchase_history(ordered_on, amount, discounted, is_purchase) AS h,
                                   purchase_history(ordered_on, amount) AS days_and_amounts
                            FROM reference.orders GROUP BY customer_id) AS o USING (customer_id)
                 LEFT JOIN (SELECT customer_id, engagement_history(kind, happened_on) AS e
                            FROM reference.engagement GROUP BY customer_id) AS e USING (customer_id);
                 ANALYZE shop.facts",
        );
        Shop {
            client,
            compared: 0,
            differences: Vec::new(),
            what: format!("{name}: {customers} customers, seed {seed}"),
            _database: database,
        }
    }

    /// Asks the reference. `facts`: see segments.sql.
    fn expect(&mut self, policy: &Policy, day: &str, facts: &str, columns: &str, condition: &str) {
        let sql = policy.sql;
        batch(
            &mut self.client,
            &format!(
                "CREATE TABLE shop.expected AS
                 SELECT customer_id, {columns}
                 FROM reference.segments('{day}', effective_policy({sql}), '{facts}')
                 {condition}"
            ),
        );
    }

    /// Compares shop.expected with the rows of `actual`, which has the same columns, and drops both.
    /// NULL equals NULL here, as it does for EXCEPT.
    fn compare(&mut self, label: &str, actual: &str) {
        batch(&mut self.client, &format!("CREATE TABLE shop.actual AS {actual}"));
        let rows = query(
            &mut self.client,
            "SELECT (SELECT count(*) FROM shop.expected), (SELECT count(*) FROM shop.actual),
                    (SELECT count(*) FROM (TABLE shop.expected EXCEPT TABLE shop.actual) AS q),
                    (SELECT count(*) FROM (TABLE shop.actual EXCEPT TABLE shop.expected) AS q)",
        );
        let [expected, answered, missing, surplus] = &rows[0][..] else { panic!("four counts") };
        self.compared += 1;
        if expected != answered || missing != "0" || surplus != "0" {
            let mut text = format!(
                "{label}: {expected} rows expected, {answered} answered, {missing} of the expected and {surplus} of \
                 the answered without a twin\n"
            );
            // Which columns differ how often; then some customers, every differing column with both sides.
            let differing = "WITH differing AS (
                     SELECT customer_id, key, e.value AS expected, a.value AS actual
                     FROM (SELECT customer_id, key, value FROM shop.expected AS x, jsonb_each(to_jsonb(x))) AS e
                     FULL JOIN (SELECT customer_id, key, value FROM shop.actual AS x, jsonb_each(to_jsonb(x))) AS a
                     USING (customer_id, key)
                     WHERE e.value IS DISTINCT FROM a.value)";
            for row in query(
                &mut self.client,
                &format!(
                    "{differing}
                     SELECT '  ' || key || ' differs for ' || count(*)
                     FROM differing GROUP BY key ORDER BY count(*) DESC, key"
                ),
            ) {
                text += &format!("{}\n", row[0]);
            }
            for row in query(
                &mut self.client,
                &format!(
                    "{differing}
                     SELECT format(E'  customer %s, membership %s, contacted %s, channels %s\\n    h %s\\n    e %s\\n%s',
                                   d.customer_id, coalesce(f.membership, 'NULL'),
                                   coalesce(f.last_contacted_on::text, 'NULL'), coalesce(f.channels::text, 'NULL'),
                                   left(coalesce(f.h::text, 'NULL'), 1000), left(coalesce(f.e::text, 'NULL'), 1000),
                                   d.lines)
                     FROM (SELECT customer_id,
                                  string_agg(format('    %s: reference %s, pg_rfm %s', key,
                                                    coalesce(expected::text, 'no row'),
                                                    coalesce(actual::text, 'no row')), E'\\n' ORDER BY key) AS lines
                           FROM differing GROUP BY customer_id) AS d
                     LEFT JOIN shop.facts AS f USING (customer_id)
                     ORDER BY length(f.h::text) NULLS FIRST, d.customer_id
                     LIMIT 4"
                ),
            ) {
                text += &format!("{}\n", row[0]);
            }
            self.differences.push(text);
        }
        batch(&mut self.client, "DROP TABLE shop.expected, shop.actual");
    }

    fn verdict(self) {
        assert!(
            self.differences.is_empty(),
            "{}: {} of {} comparisons differ\n{}",
            self.what,
            self.differences.len(),
            self.compared,
            self.differences.iter().take(6).cloned().collect::<String>(),
        );
    }
}

/// All rows as text.
fn query(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).unwrap_or_else(|error| {
        panic!("{:?}\n{sql}", error.as_db_error().map_or(error.to_string(), |error| format!("{error:?}")))
    });
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).unwrap_or("NULL").to_owned()).collect())
            }
            _ => None,
        })
        .collect()
}
