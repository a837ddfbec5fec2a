//! learn_policy against plain SQL and the numbers published for CDNOW; the same whatever the order and the workers.

use crate::common::*;

/// A shop whose customers differ in everything, amounts with 0 to 6 decimals, and its histories.
fn shop(database: &Database) -> Client {
    let mut client = database.client();
    batch(
        &mut client,
        "CREATE TABLE orders AS
         SELECT c AS customer_id, date '2023-01-01' + (('x' || substr(md5(c || ':' || n), 1, 6))::bit(24)::int % 700) AS ordered_on,
                round((('x' || substr(md5(n || '-' || c), 1, 7))::bit(28)::int - 20000000) / 7919.0, c % 7) AS amount
         FROM generate_series(1, 3000) AS c, generate_series(1, 1 + c % 9) AS n;
         CREATE TABLE histories AS
         SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY customer_id;
         ANALYZE",
    );
    client
}

/// percentile_cont in exact numbers, which PostgreSQL has for double precision only.
const QUANTILE: &str = "
    CREATE FUNCTION quantile(sorted numeric[], part int, of int) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
        SELECT sorted[low + 1] + (sorted[least(low + 2, n)] - sorted[low + 1]) * between_them / of
        FROM (SELECT part * (n - 1) / of AS low, part * (n - 1) % of AS between_them, n
              FROM (SELECT cardinality(sorted) AS n) AS a) AS b
    $$";

#[test]
fn it_learns_what_plain_sql_finds() {
    let database = Database::new("learn");
    let mut client = shop(&database);
    batch(&mut client, QUANTILE);
    for as_of in ["2023-06-30", "2024-03-31", "2025-12-31"] {
        let plain = include_str!("learned.sql").replace(":as_of", &format!("'{as_of}'"));
        let expected = text(&mut client, &plain);
        let learned = format!(
            "SELECT (learn_policy(h, '{as_of}', '{{\"learn\": {{\"method\": \"percentile\"}}}}')::jsonb - 'learned' - 'learn')::text FROM histories"
        );
        assert_eq!(text(&mut client, &learned), expected, "{as_of}");
    }
}

#[test]
fn means_and_deviations_are_those_of_plain_sql() {
    let database = Database::new("learn_sd");
    let mut client = shop(&database);
    let expected = text(
        &mut client,
        "SELECT concat_ws(' ', ceil(avg(gap) + stddev_samp(gap)), ceil(avg(gap) + 2 * stddev_samp(gap)), trim_scale(round(avg(gap), 6)))
         FROM (SELECT ordered_on - lag(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on) AS gap
               FROM (SELECT DISTINCT customer_id, ordered_on FROM orders WHERE amount >= 0) AS days) AS gaps",
    );
    let learned = "SELECT concat_ws(' ', l->>'at_risk_after_days', l->>'dormant_after_days', l->>'store_gap_days')
         FROM (SELECT learn_policy(h, '2025-12-31', '{\"learn\": {\"method\": \"mean_sd\"}}')::jsonb->'lifecycle' AS l FROM histories) AS p";
    assert_eq!(text(&mut client, learned), expected);
}

#[test]
fn order_and_workers_change_nothing() {
    let database = Database::new("learn_plans");
    let mut client = shop(&database);
    let learn = |order: &str, method: &str| {
        let arguments =
            format!("h, '2025-12-31', '{{\"learn\": {{\"method\": \"{method}\"}}}}'::segment_policy {order}");
        format!("SELECT learn_policy({arguments})::text || return_curve({arguments})::text FROM histories")
    };
    for method in ["return_probability", "percentile", "mean_sd", "kaplan_meier"] {
        batch(&mut client, "SET max_parallel_workers_per_gather = 0");
        let expected = text(&mut client, &learn("", method));
        for order in ["ORDER BY customer_id", "ORDER BY customer_id DESC", "ORDER BY md5(customer_id::text)"] {
            assert_eq!(text(&mut client, &learn(order, method)), expected);
        }
        for workers in [1, 2, 4] {
            batch(
                &mut client,
                &format!(
                    "SET max_parallel_workers_per_gather = {workers}; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
                     SET min_parallel_table_scan_size = 0; ALTER TABLE histories SET (parallel_workers = {workers})"
                ),
            );
            let plan = client.query(&format!("EXPLAIN {}", learn("", method)), &[]).expect("a plan");
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            assert!(plan.iter().any(|line| line.contains("Partial Aggregate")), "{plan:#?}");
            assert_eq!(text(&mut client, &learn("", method)), expected, "{workers} workers");
        }
    }
}

#[test]
fn cdnow_learns_the_published_numbers() {
    let Some(orders) = data("cdnow/orders.csv.gz") else { return };
    let database = Database::new("learn_cdnow");
    let mut client = database.client();
    batch(&mut client, "CREATE TABLE cdnow (customer_id int, ordered_on date, quantity int, amount numeric)");
    database.copy_csv("cdnow", &orders);
    batch(
        &mut client,
        "CREATE TABLE learned AS
         SELECT learn_policy(h, '1998-06-30', '{\"frequency\": \"purchase_days\"}') AS policy
         FROM (SELECT purchase_history(ordered_on, amount) AS h FROM cdnow GROUP BY customer_id) AS c",
    );
    let found = text(
        &mut client,
        "SELECT concat_ws(' ', p->'rfm', p->'vip', p->'lifecycle') FROM (SELECT policy::jsonb AS p FROM learned) AS l",
    );
    assert_eq!(
        found,
        "{\"recency_cuts\": [141, 432, 485, 512], \"monetary_cuts\": [15.36, 31.35, 59.924, 133.95], \"frequency_cuts\": [1, 1, 2, 4]} \
         {\"monetary_cut\": 919.24} {\"store_gap_days\": 34, \"at_risk_after_days\": 31, \"dormant_after_days\": 94}"
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT concat_ws('; ', p ->> 'limits', p ->> 'at_risk', p ->> 'dormant')
             FROM (SELECT policy::jsonb -> 'learned' AS p FROM learned) AS l",
        ),
        "return_probability: the chance to come back within 90 days, open gaps included; \
         after 31 days the chance is below 0.333333; after 94 days the chance is below 0.2"
    );
    // F = 2 is empty by right: nobody lies between equal cuts. And quintiles of R say nothing of limits learned from gaps.
    let warnings = database.psql("SELECT message FROM learned, check_policy(policy) WHERE severity = 'warning'");
    assert_eq!(
        warnings,
        "no customer can get f = 2\n\
         who last bought 95 to 432 days ago can be dormant and has one of the upper digits, r = 4 or more\n"
    );
    // By the percentiles, those of the field notes.
    let percentiles =
        "SELECT learn_policy(h, '1998-06-30', '{\"learn\": {\"method\": \"percentile\"}}')::jsonb ->> 'lifecycle'
         FROM (SELECT purchase_history(ordered_on, amount) AS h FROM cdnow GROUP BY customer_id) AS c";
    assert_eq!(
        text(&mut client, percentiles),
        "{\"store_gap_days\": 34, \"at_risk_after_days\": 94, \"dormant_after_days\": 200}"
    );
}

/// A year of orders is too short to see a chance of a fifth: the limit is the last day that can be estimated, and says so.
#[test]
fn a_limit_that_is_not_reached_is_the_last_supported_day() {
    let Some(orders) = data("online_retail/orders.csv.gz") else { return };
    let database = Database::new("learn_uci");
    let mut client = database.client();
    batch(
        &mut client,
        "CREATE TABLE uci (order_id text, customer_id int, ordered_at timestamp, n_lines int, quantity int, amount numeric, country text,
                           is_cancel int)",
    );
    database.copy_csv("uci", &orders);
    let learned = "SELECT concat_ws('; ', p #> '{lifecycle,at_risk_after_days}', p #> '{lifecycle,dormant_after_days}',
                            p #>> '{learned,at_risk}', p #>> '{learned,dormant}')
         FROM (SELECT learn_policy(h, '2011-12-09', NULL)::jsonb AS p
               FROM (SELECT purchase_history(ordered_at, amount) AS h FROM uci WHERE amount >= 0 GROUP BY customer_id) AS c) AS l";
    assert_eq!(
        text(&mut client, learned),
        "154; 277; after 154 days the chance is below 0.333333; \
         after at least 277 days: until then the chance is not below 0.2"
    );
}

/// The curve over the orders, with the chance asked for in so many days.
fn plain_curve(as_of: &str, window: u32) -> String {
    include_str!("../reference/return_curve.sql")
        .replace(":as_of", &format!("'{as_of}'"))
        .replace(":window", &window.to_string())
}

#[test]
fn the_curve_is_the_one_of_plain_sql() {
    let database = Database::new("learn_curve");
    let mut client = shop(&database);
    for (as_of, window, at_risk_below, dormant_below) in [
        ("2023-12-31", 90, "0.35", "0.25"),
        ("2024-03-31", 90, "0.35", "0.25"),
        ("2025-12-31", 90, "0.35", "0.25"),
        ("2024-11-30", 30, "0.15", "0.1"),
    ] {
        let base = match window {
            90 => String::new(),
            days => format!(", '{{\"learn\": {{\"return_window_days\": {days}}}}}'"),
        };
        let curve = format!(
            "SELECT c.* FROM (SELECT return_curve(h, '{as_of}'{base}) AS curve FROM histories) AS r, unnest(curve) AS c"
        );
        assert_same_rows(&mut client, as_of, &curve, &plain_curve(as_of, window), 200);
        // The limits are the first days of that curve with a chance below, or its last; dormant comes at least a day later.
        let first = |below: &str| {
            format!("(SELECT coalesce(min(silent_days) FILTER (WHERE chance < {below}), max(silent_days)) FROM plain)")
        };
        let expected = format!(
            "WITH plain AS ({}), limits AS (SELECT {} AS at_risk, {} AS dormant)
             SELECT concat_ws(' ', at_risk, greatest(dormant, at_risk + 1)) FROM limits",
            plain_curve(as_of, window),
            first(at_risk_below),
            first(dormant_below)
        );
        let learned = format!(
            "SELECT concat_ws(' ', l -> 'at_risk_after_days', l -> 'dormant_after_days')
             FROM (SELECT learn_policy(h, '{as_of}',
                              '{{\"learn\": {{\"return_window_days\": {window}, \"at_risk_below\": {at_risk_below}, \"dormant_below\": {dormant_below}}}}}'
                          )::jsonb -> 'lifecycle' AS l FROM histories) AS p"
        );
        assert_eq!(text(&mut client, &learned), text(&mut client, &expected), "{as_of}");
    }
}

#[test]
fn the_curve_of_cdnow_is_the_one_of_plain_sql() {
    let Some(orders) = data("cdnow/orders.csv.gz") else { return };
    let database = Database::new("learn_cdnow_curve");
    let mut client = database.client();
    batch(&mut client, "CREATE TABLE orders (customer_id int, ordered_on date, quantity int, amount numeric)");
    database.copy_csv("orders", &orders);
    let curve = "SELECT c.* FROM (SELECT return_curve(h, '1998-06-30') AS curve
                 FROM (SELECT purchase_history(ordered_on, amount) AS h FROM orders GROUP BY customer_id) AS h) AS r, unnest(curve) AS c";
    assert_same_rows(&mut client, "CDNOW", curve, &plain_curve("1998-06-30", 90), 456);
}

#[test]
fn a_curve_of_too_few_gaps_has_no_rows() {
    let database = Database::new("learn_no_curve");
    let mut client = database.client();
    let curve = |customers: u32, as_of: &str| {
        format!(
            "SELECT cardinality(return_curve(h, {as_of}))::text
             FROM (SELECT purchase_history(date '2024-01-01', 5) AS h FROM generate_series(1, {customers}) AS n GROUP BY n) AS c"
        )
    };
    assert_eq!(text(&mut client, &curve(49, "'2024-12-31'")), "0");
    // 91 days after the purchase, the day of the purchase and the day after it can be judged.
    assert_eq!(text(&mut client, &curve(50, "'2024-04-01'")), "2");
    assert_eq!(text(&mut client, &curve(50, "'2023-12-31'")), "0");
    assert_eq!(text(&mut client, &curve(50, "NULL::date")), "");
    assert_eq!(text(&mut client, &curve(0, "'2024-12-31'")), "");
    // A hundred years, and no more, however long ago somebody's placeholder date is.
    assert_eq!(text(&mut client, &curve(50, "'9999-12-31'")), "36526");
}

/// What is not learned stays as the base has it; what an earlier learning said of itself does not.
#[test]
fn learning_overlays_its_base() {
    let database = Database::new("learn_base");
    let mut client = shop(&database);
    let base = r#"{"frequency": "purchase_days", "vip": {"min_orders": 6}, "lifecycle": {"winback_window_days": 45},
                   "learn": {"method": "percentile"}, "learned": {"note": "of last year", "limits": "by hand"}}"#;
    let learned = format!("SELECT learn_policy(h, '2025-12-31', '{base}')::jsonb AS p FROM histories");
    assert_eq!(
        text(
            &mut client,
            &format!(
                "SELECT concat_ws(' ', p -> 'frequency', p #> '{{vip,min_orders}}', p #> '{{lifecycle,winback_window_days}}',
                                  p #> '{{learn,method}}', p -> 'learned' ? 'note', left(p #>> '{{learned,limits}}', 10)) FROM ({learned}) AS l"
            )
        ),
        "\"purchase_days\" 6 45 \"percentile\" f percentile"
    );
}

#[test]
fn with_too_little_data_the_base_stays_and_says_so() {
    let database = Database::new("learn_few");
    let mut client = database.client();
    let learned = "SELECT learn_policy(purchase_history, '2024-12-31', preset_policy('rental_90'))::jsonb
                   FROM (SELECT purchase_history(date '2024-01-01' + n, 5) FROM generate_series(1, 99) AS n GROUP BY n) AS h";
    let found = text(
        &mut client,
        &format!("SELECT p->'learned'->>'cuts' || '; ' || (p->'learned'->>'limits') FROM ({learned}) AS l(p)"),
    );
    assert_eq!(found, "kept: 99 customers, at least 100 are needed; kept: 0 gaps, at least 100 are needed");
    let kept = format!("SELECT (p - 'learned' = preset_policy('rental_90')::jsonb)::text FROM ({learned}) AS l(p)");
    assert_eq!(text(&mut client, &kept), "true");
    let nobody = "SELECT learn_policy(NULL::purchase_history, '2024-12-31', NULL)::jsonb->'learned'->>'customers'";
    assert_eq!(text(&mut client, nobody), "0");
}

#[test]
fn bad_questions_are_refused() {
    let database = Database::new("learn_bad");
    let mut client = database.client();
    let rows = "(VALUES ('{}'::purchase_history, date '2024-01-01', '{}'::segment_policy),
                        ('{}', '2024-01-02', '{\"frequency\": \"orders\"}')) AS r(h, day, policy)";
    for (call, fragment) in [
        ("learn_policy(h, day, NULL)", "as_of varies"),
        ("learn_policy(h, '2024-01-01', policy)", "base varies"),
        ("learn_policy(h, '2024-01-01', '{\"lifecycle\": {\"at_risk_after_days\": 90}}')", "contradicts itself"),
        ("learn_policy(h, '2024-01-01', '{\"learn\": {\"method\": \"guess\"}}')", "unknown method"),
        ("learn_policy(h, '2024-01-01', '{\"learn\": {\"return_window_days\": 0}}')", "learn.return_window_days"),
        ("learn_policy(h, '2024-01-01', '{\"learn\": {\"at_risk_below\": 1.5}}')", "learn.at_risk_below"),
        ("learn_policy(h, '2024-01-01', '{\"learn\": {\"dormant_below\": 0}}')", "learn.dormant_below"),
        ("learn_policy(h, '2024-01-01', '{\"learn\": {\"dormant_below\": 0.5}}')", "learn.dormant_below"),
        ("learn_policy(h, 'infinity', NULL)", "finite"),
        ("return_curve(h, 'infinity')", "finite"),
        ("return_curve(h, day)", "as_of varies"),
        ("return_curve(h, '2024-01-01', policy)", "base varies"),
    ] {
        let (sqlstate, message, hint) = expect_error(&mut client, &format!("SELECT {call} FROM {rows}"));
        assert!(["22023", "22P02", "22008"].contains(&sqlstate.as_str()), "{sqlstate}: {call}");
        assert!(message.contains(fragment) && !hint.is_empty(), "{message} / {hint}");
    }
}

#[test]
fn ten_million_equal_customers_are_counted_not_kept() {
    let database = Database::new("learn_equal");
    let mut client = database.client();
    let found = text(
        &mut client,
        "SELECT (p->'rfm'->'monetary_cuts')::text || (p->'learned'->>'customers')
         FROM (SELECT learn_policy('{\"2024-01-01\": {\"orders\": 1, \"amount\": 5}}', '2024-06-30', NULL)::jsonb
               FROM generate_series(1, 10000000)) AS l(p)",
    );
    assert_eq!(found, "[5, 5, 5, 5]10000000");
}
