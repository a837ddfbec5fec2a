//! KPIs: the views of sql/examples/kpi against plain SQL over the orders (tests/reference/kpis.sql), the interval against
//! published values, bad input, parallel plans.

use crate::common::*;

const VIEWS: &[&str] = &[
    "kpi_second_purchase",
    "kpi_step_survival",
    "kpi_step_within_90_days",
    "kpi_retention",
    "kpi_cohort_revenue",
    "kpi_reactivation",
    "kpi_became_dormant",
    "kpi_revenue_share",
];

/// A database with the table `orders`, still empty.
fn shop(name: &str) -> Database {
    let database = Database::new(name);
    database.psql("CREATE TABLE public.orders (customer_id bigint, ordered_on date, amount numeric)");
    database
}

/// The example views over the orders of the database, with a policy (an SQL expression).
fn with_views(database: &Database, policy: &str) {
    database.psql(&format!(
        "CREATE TABLE public.segmentation AS SELECT date '1998-06-30' AS as_of, {policy} AS policy;
         {}{}",
        read("sql/examples/kpi/views.sql"),
        read("sql/examples/kpi/movement.sql")
    ));
}

/// The policy of the demo.
const CDNOW_POLICY: &str = r#"rfm.preset_policy('mail_order_181')
    || '{"rfm": {"recency_cuts": [30, 90, 180, 365], "monetary_cuts": [15, 30, 60, 130]}}'::rfm.segment_policy"#;

/// The same figures in plain SQL beside the views.
fn with_plain_sql(database: &Database) {
    database.psql(&format!(
        "{}
         TRUNCATE reference.orders, reference.customers, reference.engagement;
         INSERT INTO reference.orders SELECT customer_id, ordered_on, amount FROM public.orders;
         INSERT INTO reference.customers SELECT DISTINCT customer_id, NULL, false, NULL::text[], NULL::date FROM public.orders;
         CREATE INDEX ON public.orders (customer_id);
         {}
         CREATE INDEX ON plain.purchases (customer_id);
         ANALYZE;",
        read("tests/reference/segments.sql"),
        read("tests/reference/kpis.sql")
    ));
}

/// Every view but the movement, and the movement between two days, as of each of these days.
fn views_equal_plain_sql(database: &Database, days: &[&str]) {
    let mut client = database.client();
    for day in days {
        batch(&mut client, &format!("UPDATE public.segmentation SET as_of = '{day}'"));
        for view in VIEWS {
            let [view_rows, plain_rows] = ["public", "plain"].map(|schema| format!("SELECT * FROM {schema}.{view}"));
            assert_same_rows(&mut client, &format!("{view} as of {day}"), &view_rows, &plain_rows, 0);
        }
    }
    for pair in days.windows(2).filter(|pair| pair[0] < pair[1]) {
        let [view, plain] = ["public", "plain"]
            .map(|schema| format!("SELECT * FROM {schema}.kpi_movement_between('{}', '{}')", pair[0], pair[1]));
        assert_same_rows(&mut client, &format!("movement {pair:?}"), &view, &plain, 1);
    }
}

/// No question of the views goes without an answer on this day.
fn views_have_rows(database: &Database, day: &str) {
    let mut client = database.client();
    batch(&mut client, &format!("UPDATE public.segmentation SET as_of = '{day}'"));
    for view in VIEWS {
        let judged = if client.query(&format!("SELECT denominator FROM {view} LIMIT 0"), &[]).is_ok() {
            format!("SELECT * FROM {view} WHERE numerator BETWEEN 1 AND denominator - 1")
        } else {
            format!("SELECT * FROM {view} WHERE revenue > 0")
        };
        assert!(!client.query(&judged, &[]).expect("the view can be read").is_empty(), "{view} as of {day}");
    }
}

#[test]
fn the_views_equal_plain_sql_on_the_sample() {
    let database = shop("kpi_sample");
    database.copy_csv("public.orders", &file("sql/demo/cdnow_sample.csv"));
    with_views(&database, CDNOW_POLICY);
    with_plain_sql(&database);
    let days = ["1996-12-31", "1997-02-28", "1997-03-01", "1997-05-15", "1997-12-31", "1998-06-30"];
    views_equal_plain_sql(&database, &days);
    views_have_rows(&database, "1998-06-30");
    // Month by month takes plain SQL long: a year and a half is enough.
    let mut client = database.client();
    batch(&mut client, "UPDATE public.segmentation SET as_of = '1998-06-29'");
    let [view, plain] = ["public", "plain"].map(|schema| format!("SELECT * FROM {schema}.kpi_movement"));
    assert_same_rows(&mut client, "kpi_movement", &view, &plain, 100);
}

#[test]
fn the_views_equal_plain_sql_on_all_of_cdnow() {
    let Some(orders) = data("cdnow/orders.csv.gz") else { return };
    let database = shop("kpi_cdnow");
    database.psql("CREATE TABLE public.file (customer_id bigint, ordered_on date, quantity int, amount numeric)");
    database.copy_csv("public.file", &orders);
    database.psql("INSERT INTO public.orders SELECT customer_id, ordered_on, amount FROM public.file");
    with_views(&database, "NULL::rfm.segment_policy");
    with_plain_sql(&database);
    views_equal_plain_sql(&database, &["1998-06-30"]);
    views_have_rows(&database, "1998-06-30");
    // Computed once from the published file: 23,570 customers; the top 1 % are 236 with at least 919.24.
    let top = database.psql("SELECT customers, least FROM kpi_revenue_share WHERE decile = 0");
    assert_eq!(top, "236|919.24\n");
}

/// Refunds, amounts and days that are NULL, several orders a day, gaps at the limits.
#[test]
fn the_views_equal_plain_sql_on_a_random_shop() {
    for (seed, policy) in
        [(11, "NULL::rfm.segment_policy"), (12, r#"'{"lifecycle": {"cycle": "own"}}'::rfm.segment_policy"#)]
    {
        let database = shop("kpi_random");
        database.psql(&format!(
            "{}{}
             SELECT reference.random_shop(600, {seed});
             INSERT INTO public.orders SELECT customer_id, ordered_on, amount FROM reference.orders",
            read("tests/reference/segments.sql"),
            read("tests/reference/random_shop.sql")
        ));
        with_views(&database, policy);
        with_plain_sql(&database);
        views_equal_plain_sql(
            &database,
            &["2019-06-30", "2024-02-29", "2025-01-30", "2025-01-31", "2025-06-30", "2026-06-30"],
        );
        views_have_rows(&database, "2025-06-30");
        let mut client = database.client();
        batch(&mut client, "UPDATE public.segmentation SET as_of = '2025-07-31'");
        let [view, plain] = ["public", "plain"].map(|schema| format!("SELECT * FROM {schema}.kpi_movement"));
        assert_same_rows(&mut client, "kpi_movement", &view, &plain, 100);
    }
}

/// After a change: PG_RFM_UPDATE=1 make test ARGS="--test specification kpi::the_report".
#[test]
fn the_report_prints_what_is_committed() {
    let database = shop("kpi_report");
    database.copy_csv("public.orders", &file("sql/demo/cdnow_sample.csv"));
    with_views(&database, CDNOW_POLICY);
    let printed = database.psql(&read("sql/examples/kpi/report.sql"));
    assert_recorded("sql/examples/kpi/report.out", &printed);
}

/// statsmodels 0.15.0, proportion_confint(method='wilson'), rounded to 6 decimals. The rows of 263, 148, 20 and 29 are also
/// in R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I,
/// to 4 decimals.
const WILSON: &[(i64, i64, &str)] = &[
    (0, 1, "0.000000|0.000000|0.793451"),
    (1, 1, "1.000000|0.206549|1.000000"),
    (0, 10, "0.000000|0.000000|0.277533"),
    (1, 10, "0.100000|0.017876|0.404150"),
    (5, 10, "0.500000|0.236593|0.763407"),
    (10, 10, "1.000000|0.722467|1.000000"),
    (1, 29, "0.034483|0.006113|0.171755"),
    (7, 52, "0.134615|0.066769|0.252733"),
    (15, 148, "0.101351|0.062386|0.160487"),
    (81, 263, "0.307985|0.255289|0.366210"),
    (0, 20, "0.000000|0.000000|0.161125"),
    (1000, 11516, "0.086836|0.081829|0.092118"),
    (2, 3, "0.666667|0.207660|0.938508"),
    (12345, 23570, "0.523759|0.517380|0.530131"),
    (500000, 1000000, "0.500000|0.499020|0.500980"),
    (123456789, 9876543210, "0.012500|0.012498|0.012502"),
    (999999, 1000000, "0.999999|0.999994|1.000000"),
];

#[test]
fn the_interval_is_the_published_one() {
    let database = Database::new("kpi_wilson");
    for (numerator, denominator, expected) in WILSON {
        let shown = database
            .psql(&format!("SELECT rate, rate_low, rate_high FROM wilson_interval({numerator}, {denominator})"));
        assert_eq!(shown, format!("{expected}\n"), "{numerator} of {denominator}");
        if *denominator <= 1_000_000 {
            let shown = database
                .psql(&format!("SELECT (proportion(i <= {numerator})).* FROM generate_series(1, {denominator}) AS i"));
            assert_eq!(shown, format!("{numerator}|{denominator}|{expected}\n"));
        }
    }
    let edges = "SELECT wilson_interval(0, 0), wilson_interval(9223372036854775807, 9223372036854775807),
                        wilson_interval(NULL, 1) IS NULL, wilson_interval(1, NULL) IS NULL";
    assert_eq!(
        database.psql(edges),
        "(,0,,,)|(9223372036854775807,9223372036854775807,1.000000,1.000000,1.000000)|t|t\n"
    );
}

#[test]
fn a_proportion_counts_yes_and_no_and_leaves_out_null() {
    let database = Database::new("kpi_proportion");
    for (sql, expected) in [
        (
            "SELECT proportion(x) FROM (VALUES (true), (false), (NULL), (true)) AS v (x)",
            "(2,3,0.666667,0.207660,0.938508)\n",
        ),
        ("SELECT proportion(true) WHERE false", "(,0,,,)\n"),
        ("SELECT proportion(NULL) FROM generate_series(1, 3)", "(,0,,,)\n"),
        ("SELECT (proportion(x)).rate FROM (VALUES (false), (false)) AS v (x)", "0.000000\n"),
        ("SET search_path = ''; SELECT (rfm.proportion(true)).numerator", "1\n"),
        // As a window: the state of a frame goes on after it has been read.
        (
            "SELECT string_agg((p).numerator || '/' || (p).denominator, ' ' ORDER BY i)
             FROM (SELECT i, proportion(i % 2 = 0) OVER (ORDER BY i) AS p FROM generate_series(1, 4) AS i) AS q",
            "0/1 1/2 1/3 2/4\n",
        ),
        (
            "SELECT proportion(a) = proportion(b), (proportion(a)).rate < (proportion(b)).rate
             FROM (VALUES (true, true), (false, true)) AS v (a, b)",
            "f|t\n",
        ),
    ] {
        assert_eq!(database.psql(sql), expected, "{sql}");
    }
}

#[test]
fn workers_count_the_same() {
    let database = Database::new("kpi_parallel");
    let mut client = database.client();
    batch(
        &mut client,
        "CREATE TABLE public.answers AS
         SELECT i % 7 AS g, CASE WHEN i % 5 <> 0 THEN i % 3 = 0 END AS x FROM generate_series(1, 100000) AS i;
         ANALYZE public.answers;
         CREATE TABLE public.one AS SELECT g, proportion(x) AS p FROM answers GROUP BY g;
         SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
         SET max_parallel_workers_per_gather = 3",
    );
    for (query, columns) in [
        ("SELECT g, proportion(x) AS p FROM answers GROUP BY g", 7),
        ("SELECT g, (wilson_interval(count(*) FILTER (WHERE x), count(x))) AS p FROM answers GROUP BY g", 7),
    ] {
        let plan = client.query(&format!("EXPLAIN {query}"), &[]).expect("a plan");
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|line| line.contains("Partial ")), "{plan:#?}");
        assert_same_rows(&mut client, query, query, "SELECT * FROM public.one", columns);
    }
    let state = "SELECT string_agg(_finish_proportion(s)::text, ' ')
                 FROM (VALUES ('{3,1}'::bigint[]), (NULL), ('{}'), ('{NULL,1}'), ('{1,2,3}')) AS v (s)";
    assert_eq!(database.psql(state), "(1,3,0.333333,0.061492,0.792340)\n");
    let (sqlstate, message, _) = expect_error(&mut client, "SELECT _finish_proportion('{1,2}')");
    assert_eq!((sqlstate.as_str(), message.as_str()), ("22023", "2 of 1 is no proportion"));
}

#[test]
fn answers_of_one_history() {
    let database = Database::new("kpi_answers");
    // Two orders on the first day; a refund alone in February; the second purchase day is the 30th after the first.
    let h = "(SELECT purchase_history(d::date, a) FROM (VALUES ('2024-01-31', 1.00), ('2024-01-31', NULL), ('2024-02-10', -0.30),
              ('2024-03-01', 2.5), (NULL, 99)) AS v (d, a))";
    let none = "NULL::purchase_history";
    for (call, answer) in [
        ("reached_purchase(H, 1, '2024-01-30')", "f"),
        ("reached_purchase(H, 2, '2024-02-29')", "f"),
        ("reached_purchase(H, 2, '2024-03-01')", "t"),
        ("reached_purchase(H, 3, '2024-02-29')", ""),
        ("reached_purchase(NONE, 1, '2024-03-01')", "f"),
        ("reached_purchase(NONE, 2, '2024-03-01')", ""),
        ("reached_purchase(H, NULL, '2024-03-01')", ""),
        ("reached_purchase(H, 0, NULL)", ""),
        ("reached_purchase_within(H, 2, 30, '2024-02-29')", ""),
        ("reached_purchase_within(H, 2, 30, '2024-03-01')", "t"),
        ("reached_purchase_within(H, 2, 29, '2024-03-01')", "f"),
        ("reached_purchase_within(H, 2, 31, '2024-03-01')", ""),
        ("reached_purchase_within(H, 3, 0, '2024-03-01')", "f"),
        ("reached_purchase_within(H, 2, 2147483647, '5874897-12-31')", ""),
        ("reached_purchase_within(NONE, 2, 30, '2024-03-01')", ""),
        ("retained_in_month(H, 0, '2024-01-31')", "t"),
        ("retained_in_month(H, 1, '2024-02-28')", ""),
        ("retained_in_month(H, 1, '2024-02-29')", "f"),
        ("retained_in_month(H, 2, '2024-03-31')", "t"),
        ("retained_in_month(H, 120000, '5874897-12-31')", "f"),
        ("retained_in_month(NONE, 1, '2024-03-31')", ""),
        ("bought_between(H, '2024-02-01', '2024-02-29', '2024-02-29')", "f"),
        ("bought_between(H, '2024-02-01', '2024-03-01', '2024-03-01')", "t"),
        ("bought_between(H, '2024-02-01', '2024-03-01', '2024-02-29')", ""),
        ("bought_between(NONE, '2024-02-01', '2024-03-01', '2024-03-01')", "f"),
        ("bought_between(H, '2024-02-01', '2024-03-01', NULL)", ""),
        ("orders_between(H, '2024-01-31', '2024-01-31')", "2"),
        ("orders_between(H, '4713-01-01 BC', '5874897-12-31')", "3"),
        ("orders_between(NONE, '2024-01-01', '2024-12-31')", "0"),
        ("revenue_between(H, '2024-01-31', '2024-02-29')", "0.70"),
        ("revenue_between(H, '2024-03-01', '2024-03-01')", "2.50"),
        ("revenue_between(H, '2025-01-01', '2025-01-01')", "0.00"),
        ("revenue_between(NONE, '2024-01-01', '2024-12-31')", "0"),
        ("revenue_between(H, NULL, '2024-12-31')", ""),
        ("(SELECT count(*) FROM state_movements(NONE, '2024-01-01', '2024-12-31', '1 day'))", "0"),
        ("(SELECT count(*) FROM state_movements(H, '2024-01-01', '2024-01-01', '1 day'))", "0"),
        ("(SELECT count(*) FROM state_movements(H, NULL, '2024-01-01', '1 day'))", "0"),
        (
            "(SELECT string_agg(m::text, ' ') FROM state_movements(H, '2023-12-31', '2024-03-30', '1 month') AS m)",
            "(2023-12-31,2024-01-31,prospect,new,0.00,1.00,,potential_loyalist,regular,regular) \
             (2024-01-31,2024-02-29,new,new,1.00,-0.30,potential_loyalist,potential_loyalist,regular,regular)",
        ),
        ("(SELECT count(*) FROM customer_months(NONE, 12, '2024-12-31'))", "0"),
        ("(SELECT count(*) FROM customer_months(H, NULL, '2024-12-31'))", "0"),
        ("(SELECT count(*) FROM customer_months(H, 0, NULL))", "0"),
        (
            "(SELECT string_agg(m::text, ' ') FROM customer_months(H, 12, '2024-02-10') AS m)",
            "(2024-01-01,2024-01-31,prospect,new,0,2,1.00) (2024-02-01,2024-02-10,new,new,1,0,-0.30)",
        ),
    ] {
        let sql = call.replace("(H,", &format!("({h},")).replace("(NONE,", &format!("({none},"));
        assert_eq!(database.psql(&format!("SELECT {sql}")), format!("{answer}\n"), "{call}");
    }
}

#[test]
fn bad_input_is_refused() {
    let database = Database::new("kpi_errors");
    let mut client = database.client();
    for (call, sqlstate, message) in [
        ("reached_purchase(NULL, 0, '2024-01-01')", "22023", "nth must be at least 1, not 0"),
        ("reached_purchase(NULL, 1, 'infinity')", "22008", "day must be finite, not infinity"),
        ("reached_purchase_within(NULL, 1, 30, '2024-01-01')", "22023", "nth must be at least 2, not 1"),
        ("reached_purchase_within(NULL, 2, -1, '2024-01-01')", "22023", "days must be at least 0, not -1"),
        ("reached_purchase_within(NULL, 2, 30, '-infinity')", "22008", "day must be finite, not -infinity"),
        ("retained_in_month(NULL, -1, '2024-01-01')", "22023", "months must be from 0 to 120000, not -1"),
        ("retained_in_month(NULL, 120001, '2024-01-01')", "22023", "months must be from 0 to 120000, not 120001"),
        (
            "bought_between(NULL, '2024-01-02', '2024-01-01', '2024-01-01')",
            "22023",
            "from_day 2024-01-02 is after to_day 2024-01-01",
        ),
        ("bought_between(NULL, '-infinity', '2024-01-01', '2024-01-01')", "22008", "day must be finite, not -infinity"),
        ("customer_months(NULL, -1, '2024-01-01')", "22023", "months must be from 0 to 1200, not -1"),
        ("customer_months(NULL, 1, 'infinity')", "22008", "day must be finite, not infinity"),
        ("orders_between(NULL, '2024-01-02', '2024-01-01')", "22023", "from_day 2024-01-02 is after to_day 2024-01-01"),
        (
            "revenue_between(NULL, '2024-01-02', '2024-01-01')",
            "22023",
            "from_day 2024-01-02 is after to_day 2024-01-01",
        ),
        ("revenue_between(NULL, '2024-01-01', 'infinity')", "22008", "day must be finite, not infinity"),
        ("wilson_interval(-1, 5)", "22023", "-1 of 5 is no proportion"),
        ("wilson_interval(6, 5)", "22023", "6 of 5 is no proportion"),
        ("wilson_interval(0, -1)", "22023", "0 of -1 is no proportion"),
        (
            "state_movements(NULL, '2024-01-02', '2024-01-01', '1 day')",
            "22023",
            "from_day 2024-01-02 is after to_day 2024-01-01",
        ),
        (
            "state_movements(NULL, '2024-01-01', '2024-01-02', '0')",
            "22023",
            "invalid step: 0 months, 0 days, 0 microseconds",
        ),
        (
            "state_movements(NULL, '0001-01-01', '9999-12-31', '1 day')",
            "54000",
            "more than 100000 steps from 0001-01-01 to 9999-12-31",
        ),
        (
            "state_movements(NULL, '2024-01-01', '2024-02-01', '1 day', '{\"lifecycle\": {\"at_risk_after_days\": 90}}')",
            "22023",
            "",
        ),
    ] {
        let (code, text, hint) = expect_error(&mut client, &format!("SELECT {call}"));
        assert_eq!(code, sqlstate, "{call}: {text}");
        assert!(message.is_empty() || text == message, "{call}: {text}");
        // from after to, and what the calendar says, need no advice.
        assert!(!hint.is_empty() || text.starts_with("from_day") || text.starts_with("days must"), "{call}: no hint");
    }
}
