//! Results of groups, counted by plain SQL.

use super::*;

/// Customers who are judged or not, with and without amounts, refunds, and amounts of many sizes and decimals.
const ANSWERS: &str = "CREATE TABLE answers AS
    SELECT i, i % 7 AS grp, CASE WHEN i % 11 <> 0 THEN i % 3 = 0 END AS responded,
           CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN i * 0.01 WHEN 2 THEN -i::numeric / 3 WHEN 3 THEN 12345678901234.56 ELSE i END AS amount
    FROM generate_series(1, 100000) AS i;
    ANALYZE answers";

const PLAIN_RESULTS: &str = "SELECT grp, count(responded) AS customers, count(*) FILTER (WHERE responded) AS responders,
        (w.w).rate, (w.w).rate_low, (w.w).rate_high, sum(coalesce(amount, 0)) AS revenue,
        round(sum(coalesce(amount, 0)) / count(*), 6) AS revenue_per_head, sum(coalesce(amount, 0) ^ 2) AS revenue_squares
    FROM answers CROSS JOIN LATERAL (
        SELECT wilson_interval(count(*) FILTER (WHERE o.responded), count(*)) AS w FROM answers AS o
        WHERE o.grp = answers.grp AND o.responded IS NOT NULL) AS w
    WHERE responded IS NOT NULL GROUP BY grp, w.w";

#[test]
fn results_are_those_of_plain_sql_in_any_plan() {
    let database = Database::new("ab_results");
    let mut client = database.client();
    batch(&mut client, ANSWERS);
    batch(
        &mut client,
        &format!(
            "SET max_parallel_workers_per_gather = 0;
             CREATE TABLE plain AS SELECT grp, customers, responders, rate, rate_low, rate_high, revenue, revenue_per_head,
                    (SELECT sum(coalesce(amount, 0) * coalesce(amount, 0)) FROM answers AS o WHERE o.grp = p.grp AND responded IS NOT NULL) AS revenue_squares
             FROM ({PLAIN_RESULTS}) AS p"
        ),
    );
    let query = "SELECT grp, (ab_result(responded, amount)).* FROM answers GROUP BY grp";
    let workers = "SET max_parallel_workers_per_gather = 3; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0";
    for (setting, query) in [
        ("SET jit = off", query.to_owned()),
        ("SET enable_hashagg = off", query.to_owned()),
        (
            "RESET enable_hashagg",
            query.replace("FROM answers", "FROM (SELECT * FROM answers ORDER BY md5(i::text)) AS a"),
        ),
        (
            "RESET enable_hashagg",
            query.replace("FROM answers", "FROM (SELECT * FROM answers ORDER BY amount DESC) AS a"),
        ),
        (workers, query.to_owned()),
    ] {
        batch(&mut client, setting);
        if setting == workers {
            let plan = client.query(&format!("EXPLAIN {query}"), &[]).expect("a plan");
            assert!(plan.iter().any(|line| line.get::<_, &str>(0).contains("Partial ")), "no partial plan");
        }
        // As text, so that decimals count too.
        let row = client
            .query_one(
                &format!(
                    "WITH r AS MATERIALIZED (SELECT r::text FROM ({query}) AS r), p AS MATERIALIZED (SELECT p::text FROM plain AS p)
                     SELECT (SELECT count(*) FROM r), (SELECT string_agg(d.r, ' ') FROM (TABLE r EXCEPT TABLE p) AS d (r)),
                            (SELECT string_agg(d.r, ' ') FROM (TABLE p EXCEPT TABLE r) AS d (r))"
                ),
                &[],
            )
            .unwrap_or_else(|error| panic!("{error:?}"));
        let differences = (row.get::<_, Option<&str>>(1), row.get::<_, Option<&str>>(2));
        assert_eq!((row.get::<_, i64>(0), differences), (7, (None, None)), "{setting}");
    }
}

#[test]
fn odd_results_are_defined() {
    let database = Database::new("ab_odd");
    for (sql, expected) in [
        ("SELECT ab_result(true, 1) WHERE false", "(0,,,,,,,)"),
        ("SELECT ab_result(NULL, 5) FROM generate_series(1, 3)", "(0,,,,,,,)"),
        ("SELECT ab_result(false, NULL)", "(1,0,0.000000,0.000000,0.793451,0,0.000000,0)"),
        ("SELECT ab_result(true, -2.50)", "(1,1,1.000000,0.206549,1.000000,-2.50,-2.500000,6.2500)"),
        (
            "SELECT ab_result(x, 0.10) FROM (VALUES (true), (false), (NULL)) AS v (x)",
            "(2,1,0.500000,0.094531,0.905469,0.20,0.100000,0.0200)",
        ),
        (
            "SELECT (ab_result(true, 99999999999999999999999999999999999999)).revenue_squares",
            "9999999999999999999999999999999999999800000000000000000000000000000000000001",
        ),
        (
            "SELECT (ab_result(true, 0.00000000000000000001)).revenue_squares",
            "0.0000000000000000000000000000000000000001",
        ),
        ("SET search_path = ''; SELECT (rfm.ab_result(true, 1)).customers", "1"),
        // As a window: the state of a frame goes on after it has been read.
        (
            "SELECT string_agg((r).responders || '/' || (r).revenue, ' ' ORDER BY i)
          FROM (SELECT i, ab_result(i % 2 = 0, i) OVER (ORDER BY i) AS r FROM generate_series(1, 4) AS i) AS q",
            "0/1 1/3 1/6 2/10",
        ),
        // Parts called by hand.
        (
            "SELECT (_finish_result(_combine_results(_collect_result('', true, 1.5), _collect_result('', false, 1)))).revenue",
            "2.5",
        ),
        ("SELECT _collect_result('', NULL, 1), _collect_result(NULL, true, 1) IS NULL", "\\x|t"),
    ] {
        assert_eq!(database.psql(sql), format!("{expected}\n"), "{sql}");
    }
}

#[test]
fn bad_results_are_refused() {
    let database = Database::new("ab_bad");
    let mut client = database.client();
    let result = |fields: &str| format!("'({fields})'::ab_result");
    let good = result("100,10,,,,50.5,,300.25");
    let mut calls: Vec<(String, &str, &str)> = [
        ("ab_result(true, 'NaN')", "22003", "NaN"),
        ("ab_result(true, 0.000000000000000000001)", "22003", "21 decimals"),
        ("ab_result(true, 1e38 * 10)", "22003", "38 digits"),
        ("ab_result(true, 9e37) FROM generate_series(1, 2)", "22003", "38 digits"),
        ("ab_result(true, a) FROM (VALUES (9e37), (0.01)) AS v (a)", "22003", "38 digits"),
        ("_collect_result('x', true, 1)", "22P03", "ab_result"),
        ("_collect_result(repeat('x', 65)::bytea, true, 1)", "22P03", "ab_result"),
        (r"_finish_result(('\x010006' || repeat('ff', 64) || '02')::bytea)", "22023", "-1 of -1 is no proportion"),
        ("ab_sample_size(-0.01, 0.05)", "22023", "base_rate must be from 0 to 1, not -0.01"),
        ("ab_sample_size(1.01, -0.05)", "22023", "base_rate"),
        ("ab_sample_size('NaN', 0.05)", "22023", "NaN"),
        ("ab_sample_size(0.05, 'NaN')", "22023", "NaN"),
        ("ab_sample_size(0.05, 0)", "22023", "lift"),
        ("ab_sample_size(0.05, 0.96)", "22023", "lift"),
        ("ab_sample_size(0.05, -0.06)", "22023", "lift"),
        ("ab_sample_size(0.05, 'infinity')", "22023", "lift"),
        ("ab_sample_size(0.05, 0.01, 1)", "22023", "power 1"),
        ("ab_sample_size(0.05, 0.01, 0)", "22023", "power 0"),
        ("ab_sample_size(0.05, 0.01, 0.8, 0)", "22023", "alpha 0"),
        ("ab_sample_size(0.05, 0.01, 0.8, 0.8)", "22023", "alpha 0.8"),
        ("ab_sample_size(0.05, 0.01, 'NaN')", "22023", "NaN"),
        ("ab_sample_size(0.05, 0.01, 0.8, 'NaN')", "22023", "NaN"),
        ("ab_sample_size(0.5, 1e-12)", "22003", "more customers than can be counted"),
    ]
    .map(|(call, sqlstate, part)| (call.to_owned(), sqlstate, part))
    .to_vec();
    for (fields, sqlstate, part) in [
        ("10,11,,,,0,,0", "22023", "11 of 10 is no proportion"),
        ("-1,0,,,,0,,0", "22023", "0 of -1 is no proportion"),
        ("10,1,,,,100,,999.99", "22023", "impossible ab_result: revenue_squares 999.99"),
        ("10,1,,,,100,,-1000", "22023", "revenue_squares -1000"),
        ("10,1,,,,100,,NaN", "22023", "revenue_squares NaN"),
        ("10,1,,,,100,,1000.5", "22023", "revenue_squares 1000.5"),
        ("10,1,,,,NaN,,1000", "22003", "NaN"),
        (
            "9000000000000000000,1,,,,99999999999999999999999999999999999999,,9999999999999999999999999999999999999800000000000000000000000000000000000001",
            "22003",
            "38 digits",
        ),
    ] {
        calls.push((format!("ab_compare({}, {good})", result(fields)), sqlstate, part));
        calls.push((format!("ab_compare({good}, {})", result(fields)), sqlstate, part));
    }
    for planned in ["0", "-5"] {
        calls.push((format!("ab_compare({good}, {good}, {planned})"), "22023", "planned_customers must be at least 1"));
        calls.push((format!("ab_compare('(0,,,,,,,)', {good}, {planned})"), "22023", "planned_customers"));
    }
    for (call, sqlstate, part) in calls {
        let (code, message, hint) = expect_error(&mut client, &format!("SELECT {call}"));
        assert!(code == sqlstate && message.contains(part) && !hint.is_empty(), "{call}: {code} {message}");
    }
}
