//! A/B tests: groups against an independent SipHash, chi-square tables and their own stability; results against plain SQL;
//! intervals, p-values and sample sizes against scipy and statsmodels (tests/reference/ab.py) and published values.

mod common;

use common::{Database, batch, expect_error};
use postgres::Client;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn file(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(relative: &str) -> String {
    let file = file(relative);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The rows of a file of tests/reference, after the line that names its source and the header.
fn reference<const N: usize>(name: &str) -> Vec<[String; N]> {
    let text = read(&format!("tests/reference/{name}"));
    let rows = text.lines().skip(2).map(|line| {
        let fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        fields.try_into().unwrap_or_else(|_| panic!("{name}: {line}"))
    });
    rows.collect()
}

fn number(client: &mut Client, sql: &str) -> f64 {
    let sql = format!("SELECT ({sql})::float8");
    client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{error:?}: {sql}")).get(0)
}

/// A hundred groups g0 to g99 of 1 % each.
const HUNDRED: &str = "(SELECT jsonb_agg(jsonb_build_object('group', 'g' || i, 'share', 0.01) ORDER BY i) FROM generate_series(0, 99) AS i)";
const FOUR: &str = r#"'[{"group": "a", "share": 0.5}, {"group": "b", "share": 0.3}, {"group": "c", "share": 0.15}, {"group": "d", "share": 0.05}]'"#;

// ---- Groups -----------------------------------------------------------------------------------------------------

/// The places were computed by another implementation of SipHash, and must be the same for ever.
#[test]
fn groups_are_those_of_the_published_hash() {
    let database = Database::new("ab_places");
    let mut client = database.client();
    batch(&mut client, "CREATE TABLE places (test text, key text, place numeric)");
    let rows = reference::<3>("ab_places.csv");
    assert!(rows.len() > 200);
    for [test, key, place] in &rows {
        let place: &str = place;
        client
            .execute("INSERT INTO places VALUES ($1, $2, $3::text::numeric)", &[test, key, &place])
            .unwrap_or_else(|error| panic!("{error:?}"));
    }
    batch(&mut client, &format!("CREATE TABLE hundred AS SELECT {HUNDRED} AS groups"));
    for (what, key, rows_of, least) in [
        ("text", "key", "true", 236.0),
        ("varchar", "key::varchar", "true", 236.0),
        ("bigint", "key::bigint", "key ~ '^-?[0-9]+$'", 190.0),
        ("integer", "key::integer", "key ~ '^-?[0-9]+$' AND abs(key::numeric) < 2147483648", 170.0),
        ("smallint", "key::smallint", "key ~ '^-?[0-9]{1,4}$'", 160.0),
        ("uuid", "key::uuid", "key ~ '^[0-9a-f-]{36}$'", 20.0),
    ] {
        let expected = "'g' || div(place * 100, 18446744073709551616)";
        // A subquery keeps the cast from the rows it is not for.
        let rows = format!("(SELECT *, {key} AS typed FROM places WHERE {rows_of} OFFSET 0) AS p, hundred");
        let (all, wrong) = (
            number(&mut client, &format!("SELECT count(*) FROM {rows}")),
            number(
                &mut client,
                &format!("SELECT count(*) FROM {rows} WHERE ab_group(typed, test, groups) <> {expected}"),
            ),
        );
        assert_eq!(wrong, 0.0, "{what}");
        assert!(all >= least, "{what}: {all}");
    }
}

/// Pearson's statistic of the observed groups of a million customers against the shares, below the 99.9th percentile of the
/// chi-square distribution (tables: 16.266 for 3 degrees of freedom, 148.230 for 99, 10.828 for 1).
#[test]
fn a_million_customers_have_the_right_shares() {
    let database = Database::new("ab_shares");
    let mut client = database.client();
    batch(&mut client, "SET max_parallel_workers_per_gather = 2");
    for (keys, test, groups, table) in [
        ("i", "spring", FOUR, 16.266),
        ("i", "autumn", FOUR, 16.266),
        ("i", "", HUNDRED, 148.230),
        ("1000000007 * i", "steps", FOUR, 16.266),
        ("'customer-' || i", "texts", HUNDRED, 148.230),
        ("md5(i::text)::uuid", "uuids", FOUR, 16.266),
        ("i", "rare", r#"'[{"group": "rest", "share": 0.999}, {"group": "few", "share": 0.001}]'"#, 10.828),
    ] {
        let sql = format!(
            "WITH g AS MATERIALIZED (SELECT {groups}::jsonb AS groups),
                  shares AS (SELECT e ->> 'group' AS grp, (e ->> 'share')::float8 * 1e6 AS expected
                             FROM g, jsonb_array_elements(groups) AS e),
                  counts AS (SELECT ab_group({keys}, 't{test}', (SELECT groups FROM g)) AS grp, count(*) AS observed
                             FROM generate_series(1::bigint, 1000000) AS i GROUP BY 1)
             SELECT sum((coalesce(observed, 0) - expected) ^ 2 / expected) FROM shares FULL JOIN counts USING (grp)"
        );
        let statistic = number(&mut client, &sql);
        assert!(statistic > 0.0 && statistic < table, "{keys} {test}: {statistic}");
    }
}

/// The groups of one test say nothing about those of another: Pearson's statistic of the table of both, 9 degrees of freedom,
/// below the 99.9th percentile of 27.877.
#[test]
fn tests_are_independent() {
    let database = Database::new("ab_independence");
    let mut client = database.client();
    for (one, other) in [("spring", "autumn"), ("test 1", "test 2"), ("a", "a "), ("mail", "Mail"), ("1", "11")] {
        let sql = format!(
            "WITH both_groups AS MATERIALIZED (
                 SELECT ab_group(i, '{one}', {FOUR}) AS x, ab_group(i, '{other}', {FOUR}) AS y
                 FROM generate_series(1, 1000000) AS i),
             cells AS (SELECT x, y, count(*)::float8 AS n FROM both_groups GROUP BY x, y),
             margins AS (SELECT *, sum(n) OVER (PARTITION BY x) * sum(n) OVER (PARTITION BY y) / 1e6 AS expected FROM cells)
             SELECT sum((n - expected) ^ 2 / expected) + CASE count(*) WHEN 16 THEN 0 ELSE 1e9 END FROM margins"
        );
        let statistic = number(&mut client, &sql);
        assert!(statistic > 0.0 && statistic < 27.877, "{one}, {other}: {statistic}");
    }
}

/// A customer's group depends on her, the test and the groups alone; a share that grows takes from its neighbor alone.
#[test]
fn nobody_else_changes_a_group() {
    let database = Database::new("ab_stable");
    let mut client = database.client();
    batch(
        &mut client,
        &format!(
            "CREATE TABLE few AS SELECT i, ab_group(i, 'spring', {FOUR}) AS grp FROM generate_series(1, 20000, 7) AS i;
             CREATE TABLE many AS SELECT i, ab_group(i, 'spring', {FOUR}) AS grp FROM generate_series(-50000, 50000) AS i ORDER BY random();
             ANALYZE many"
        ),
    );
    let changed = "SELECT count(*) + 1000 * (count(*) FILTER (WHERE many.i IS NULL))
                   FROM few LEFT JOIN many USING (i) WHERE few.grp IS DISTINCT FROM many.grp";
    assert_eq!(number(&mut client, changed), 0.0);
    // Tests and groups that change from row to row, more of them than are kept, and in workers.
    batch(
        &mut client,
        "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0",
    );
    let mixed = format!(
        "SELECT count(*) FROM many WHERE ab_group(i, 'test ' || i % 13, {FOUR}) IS DISTINCT FROM
            CASE i % 13 {} END",
        (-12..13).fold(String::new(), |mut cases, n| {
            write!(cases, "WHEN {n} THEN ab_group(i, 'test {n}', {FOUR}) ").expect("a String takes everything");
            cases
        })
    );
    assert_eq!(number(&mut client, &mixed), 0.0);
    // b grows by what c loses.
    let moved = FOUR.replace("0.3", "0.4").replace("0.15", "0.05");
    let wrong = format!(
        "SELECT count(*) FROM (SELECT grp AS old, ab_group(i, 'spring', {moved}) AS new FROM many) AS m
         WHERE old <> new AND (old, new) <> ('c', 'b')"
    );
    assert_eq!(number(&mut client, &wrong), 0.0);
    let share = format!("SELECT avg((grp <> ab_group(i, 'spring', {moved}))::int) FROM many");
    let share = number(&mut client, &share);
    assert!((share - 0.1).abs() < 0.005, "{share}");
}

#[test]
fn equal_keys_of_every_type_are_one_customer() {
    let database = Database::new("ab_keys");
    let calls = |key: &str| format!("ab_group({key}, 'spring', {HUNDRED})");
    for keys in [
        &["17::smallint", "17", "17::bigint", "'17'", "'17'::text", "'17'::varchar", "'17   '::char(5)"][..],
        &["-9223372036854775808", "'-9223372036854775808'"],
        &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
    ] {
        let different: Vec<String> = keys.iter().map(|key| format!("SELECT {}", calls(key))).collect();
        let groups = database.psql(&different.join(" UNION "));
        assert_eq!(groups.lines().count(), 1, "{keys:?}: {groups}");
    }
    for nulls in ["NULL, 'spring', '[]'", "17, NULL, '[]'", "17, 'spring', NULL", "NULL::uuid, NULL, NULL"] {
        assert_eq!(database.psql(&format!("SELECT ab_group({nulls}) IS NULL")), "t\n", "{nulls}");
    }
    assert_ne!(database.psql(&format!("SELECT {}", calls("''"))), "\n");
    // Groups too long for a row, which are stored elsewhere.
    let long = format!(
        "CREATE TABLE stored AS SELECT (SELECT jsonb_agg(jsonb_build_object('group', md5(i::text) || md5('x' || i) , 'share', 0.01)) FROM generate_series(1, 100) AS i) AS groups;
         UPDATE stored SET groups = (SELECT jsonb_agg(jsonb_set(e, '{{group}}', to_jsonb(left(e ->> 'group', 63)))) FROM jsonb_array_elements(groups) AS e);
         SELECT count(DISTINCT ab_group(i, 'spring', groups)) FROM stored, generate_series(1, {n}) AS i",
        n = 10_000
    );
    assert_eq!(database.psql(&long), "100\n");
}

#[test]
fn what_are_no_groups_is_refused() {
    let database = Database::new("ab_groups_bad");
    let mut client = database.client();
    for (groups, part) in [
        (r#"[{"group": "a", "share": 0.5}, {"group": "b", "share": 0.4}]"#, "add up to 0.9, not to 1"),
        (r#"[{"group": "a", "share": 0.5}, {"group": "b", "share": 0.500001}]"#, "add up to 1.000001, not to 1"),
        (r#"[{"group": "a", "share": 50}, {"group": "b", "share": 50}]"#, "add up to 100, not to 1"),
        (r#"[{"group": "a", "share": 0.5}, {"group": "a", "share": 0.5}]"#, "\"a\" stands twice"),
        (r#"[{"group": "a", "share": 1.5}, {"group": "b", "share": -0.5}]"#, "must be above 0, not -0.5"),
        (r#"[{"group": "a", "share": 1}, {"group": "b", "share": 0}]"#, "must be above 0, not 0"),
        (r#"[{"group": "", "share": 1}]"#, "invalid name of a group"),
        (r#"[{"group": 5, "share": 1}]"#, "[0].group"),
        (r#"[{"group": "a", "share": "NaN"}]"#, "[0].share"),
        (r#"[{"group": "a", "share": 1e-16000}]"#, "[0].share"),
        (r#"[{"group": "a", "share": 1e100000}]"#, "[0].share"),
        (r#"{"a": 1}"#, "expected a list"),
        ("[]", "1 to 100 groups, not 0"),
        ("null", "expected a list"),
        ("5", "expected a list"),
        (r#"[[["a"]]]"#, "[0]"),
    ] {
        for key in ["17", "'x'", "gen_random_uuid()"] {
            let (sqlstate, message, hint) =
                expect_error(&mut client, &format!("SELECT ab_group({key}, 'spring', '{groups}')"));
            assert!(
                sqlstate == "22023" && message.contains(part) && !hint.is_empty(),
                "{sqlstate} {message}: {groups}"
            );
        }
    }
    let deep = "SELECT ab_group(1, 'x', (repeat('[', 2000) || repeat(']', 2000))::jsonb)";
    assert_eq!(expect_error(&mut client, deep).0, "22023");
    for test in ["''", "repeat('x', 64)", r"E'a\nb'"] {
        let (sqlstate, message, _) = expect_error(&mut client, &format!("SELECT ab_group(1, {test}, {FOUR})"));
        assert!(sqlstate == "22023" && message.starts_with("invalid name of a test"), "{message}");
    }
    let (sqlstate, ..) = expect_error(&mut client, &format!("SELECT ab_group(1.5, 'x', {FOUR})"));
    assert_eq!(sqlstate, "42883");
}

// ---- Results ----------------------------------------------------------------------------------------------------

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
        (r"_finish_result(('\x' || repeat('ff', 64) || '02')::bytea)", "22023", "-1 of -1 is no proportion"),
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

// ---- Comparison -------------------------------------------------------------------------------------------------

fn counts(responders: &str, customers: &str) -> String {
    format!("'({customers},{responders},,,,0,,0)'::ab_result")
}

/// A number of six decimals is the expected one, of nine.
#[track_caller]
fn same(what: &str, found: f64, expected: &str) {
    let expected: f64 = expected.parse().unwrap_or_else(|_| panic!("{what}: {expected}"));
    assert!((found - expected).abs() <= 0.5e-6 + 1e-9, "{what}: {found}, not {expected}");
}

#[test]
fn rates_compare_as_in_scipy_and_statsmodels() {
    let database = Database::new("ab_rates");
    let mut client = database.client();
    let rows = reference::<9>("ab_rates.csv");
    for method in ["z", "fisher"] {
        assert!(rows.iter().filter(|row| row[8] == method).count() > 10, "{method}");
    }
    for [r1, n1, r2, n2, lift, low, high, p, method] in &rows {
        let call = format!("ab_compare({}, {})", counts(r1, n1), counts(r2, n2));
        let sql = format!(
            "SELECT lift::float8, lift_low::float8, lift_high::float8, p_value::float8, p_method,
                    relative_lift::float8, revenue_lift::text, revenue_lift_low::text FROM {call}"
        );
        let row = client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
        for (column, expected) in [lift, low, high, p].into_iter().enumerate() {
            same(&format!("{call}, column {column}"), row.get(column), expected);
        }
        assert_eq!(row.get::<_, &str>(4), method, "{call}");
        let [r1, n1, r2, n2] = [r1, n1, r2, n2].map(|count| count.parse::<f64>().expect("a count"));
        match row.get::<_, Option<f64>>(5) {
            Some(relative) => same(&call, relative, &format!("{:.9}", (r1 / n1 - r2 / n2) / (r2 / n2))),
            None => assert_eq!(r2, 0.0, "{call}"),
        }
        assert_eq!(row.get::<_, &str>(6), "0.000000");
    }
    // Newcombe 1998, table II, method 10: 56/70 and 48/80; 9/10 and 3/10; 10/10 and 0/20; 5/56 and 0/29.
    for (table, published) in [
        ((56, 70, 48, 80), "0.0524 0.3339"),
        ((9, 10, 3, 10), "0.1705 0.8090"),
        ((10, 10, 0, 20), "0.6791 1.0000"),
        ((10, 10, 0, 10), "0.6075 1.0000"),
        ((5, 56, 0, 29), "-0.0381 0.1926"),
    ] {
        let (r1, n1, r2, n2) = table;
        let call = format!(
            "ab_compare({}, {})",
            counts(&r1.to_string(), &n1.to_string()),
            counts(&r2.to_string(), &n2.to_string())
        );
        let found = database.psql(&format!("SELECT round(lift_low, 4) || ' ' || round(lift_high, 4) FROM {call}"));
        assert_eq!(found.trim(), published, "{call}");
    }
    // R. A. Fisher's lady tasting tea: 3 of 4 and 1 of 4, p = 34/70.
    let tea = format!("SELECT p_value, p_method FROM ab_compare({}, {})", counts("3", "4"), counts("1", "4"));
    assert_eq!(database.psql(&tea), "0.485714|fisher\n");
}

#[test]
fn revenue_compares_as_in_scipy() {
    let database = Database::new("ab_means");
    let mut client = database.client();
    let amounts = |customers: &str, every: &str, modulus: &str, base: &str| {
        format!(
            "(SELECT ab_result(i % {every} = 0, CASE WHEN i % {every} = 0 THEN (i * i * 31 + 7 * i) % {modulus} ELSE 0 END * 0.01 + {base})
              FROM generate_series(1::bigint, {customers}) AS i)"
        )
    };
    let rows = reference::<11>("ab_means.csv");
    assert!(rows.len() >= 10);
    for [n1, e1, m1, b1, n2, e2, m2, b2, lift, low, high] in &rows {
        let call = format!("ab_compare({}, {})", amounts(n1, e1, m1, b1), amounts(n2, e2, m2, b2));
        let sql =
            format!("SELECT revenue_lift::float8, revenue_lift_low::float8, revenue_lift_high::float8 FROM {call}");
        let row = client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
        for (column, expected) in [lift, low, high].into_iter().enumerate() {
            same(&format!("{call}, column {column}"), row.get(column), expected);
        }
    }
    // A difference of a millionth of amounts far beyond 2^53, to the last digit.
    let far = "SELECT revenue_lift, revenue_lift_low, revenue_lift_high FROM ab_compare(
        '(1,1,,,,12345678901234567890.000003,,152415787532388367501905199922267968.00001500000000000)', '(1,1,,,,12345678901234567890,,152415787532388367501905199875019052100)')";
    let (sqlstate, ..) = expect_error(&mut client, far);
    assert_eq!(sqlstate, "22023", "squares that do not belong to the sum");
    let far = "WITH r AS (SELECT ab_result(true, 12345678901234567890.000003) AS a, ab_result(true, 12345678901234567890) AS b)
        SELECT c.revenue_lift, c.revenue_lift_low FROM r, ab_compare(a, b) AS c";
    assert_eq!(database.psql(far), "0.000003|\n");
    // Equal amounts have no spread.
    let equal = "WITH r AS (SELECT ab_result(true, 12.5) AS a, ab_result(true, 10) AS b FROM generate_series(1, 3))
        SELECT c.revenue_lift, c.revenue_lift_low, c.revenue_lift_high FROM r, ab_compare(a, b) AS c";
    assert_eq!(database.psql(equal), "2.500000|2.500000|2.500000\n");
}

#[test]
fn counts_beyond_every_float_are_compared() {
    let database = Database::new("ab_large");
    let most = "9223372036854775807";
    for (one, other, expected) in [
        ((most, most), (most, most), "0.000000|0.000000|0.000000|1.000000|fisher"),
        (("0", most), (most, most), "-1.000000|-1.000000|-1.000000|0.000000|z"),
        (("4611686018427387904", most), ("4611686018427387904", most), "0.000000|0.000000|0.000000|1.000000|z"),
        (("1", "1"), ("0", most), "1.000000|0.206549|1.000000|0.000000|fisher"),
        (("2", "3"), ("4611686018427387904", most), "0.166667|-0.292340|0.438508|1.000000|fisher"),
    ] {
        let call = format!("ab_compare({}, {})", counts(one.0, one.1), counts(other.0, other.1));
        let sql = format!("SELECT lift, lift_low, lift_high, p_value, p_method FROM {call}");
        assert_eq!(database.psql(&sql).trim(), expected, "{call}");
    }
}

#[test]
fn verdicts_follow_their_rules() {
    let database = Database::new("ab_verdicts");
    for (one, other, planned, expected) in [
        // No effect shown.
        (("120", "1000"), ("100", "1000"), "NULL", "keep_testing"),
        (("120", "1000"), ("100", "1000"), "1001", "keep_testing"),
        (("120", "1000"), ("100", "1000"), "1000", "stop"),
        (("120", "2000"), ("100", "1000"), "1500", "stop"),
        (("120", "2000"), ("110", "2000"), "2001", "keep_testing"),
        // Better: rolled out only when the planned customers are there.
        (("200", "1000"), ("100", "1000"), "NULL", "roll_out"),
        (("200", "1000"), ("100", "1000"), "1001", "keep_testing"),
        (("200", "1000"), ("100", "1000"), "1000", "roll_out"),
        (("200", "1000"), ("200", "2000"), "1500", "keep_testing"),
        // Worse: at once.
        (("100", "1000"), ("200", "1000"), "NULL", "stop"),
        (("100", "1000"), ("200", "1000"), "1000000", "stop"),
        // The interval excludes 0, Fisher's test does not.
        (("4", "8"), ("0", "8"), "NULL", "keep_testing"),
        (("0", "8"), ("4", "8"), "NULL", "keep_testing"),
        // A group without customers.
        (("", "0"), ("100", "1000"), "NULL", "keep_testing"),
        (("100", "1000"), ("", "0"), "5", "keep_testing"),
    ] {
        let call = format!("ab_compare({}, {}, {planned})", counts(one.0, one.1), counts(other.0, other.1));
        assert_eq!(database.psql(&format!("SELECT verdict FROM {call}")).trim(), expected, "{call}");
    }
    let interval =
        format!("SELECT lift_low > 0, p_value > 0.05 FROM ab_compare({}, {})", counts("4", "8"), counts("0", "8"));
    assert_eq!(database.psql(&interval), "t|t\n");
    // More responders who bring less money: stop.
    let cheap = "WITH r AS (SELECT ab_result(i % 5 = 0, CASE WHEN i % 5 = 0 THEN 100 + i % 7 END) AS a,
                                   ab_result(i % 10 = 0, CASE WHEN i % 10 = 0 THEN 900 + i % 7 END) AS b FROM generate_series(1, 2000) AS i)
        SELECT c.lift_low > 0, c.revenue_lift_high < 0, c.verdict FROM r, ab_compare(a, b) AS c";
    assert_eq!(database.psql(cheap), "t|t|stop\n");
    assert_eq!(
        database.psql("SELECT ab_compare('(0,,,,,,,)', '(0,,,,,,,)'), ab_compare(NULL, '(0,,,,,,,)') IS NULL, ab_compare('(0,,,,,,,)', NULL, 5) IS NULL"),
        "(,,,,,,,,,keep_testing)|t|t\n"
    );
    // The verdicts are those of the list.
    assert_eq!(
        database.psql("SELECT string_agg(verdict || ': ' || label_ja, ', ' ORDER BY sort_order) FROM ab_verdicts()"),
        "roll_out: 全体に展開する, keep_testing: テストを続ける, stop: 中止する\n"
    );
    assert_eq!(
        database.psql(
            "SELECT string_agg(factor || ' ' || weight, ', ' ORDER BY sort_order), sum(weight) FROM ab_factors()"
        ),
        "target 0.4, offer 0.4, creative 0.2|1.0\n"
    );
}

/// Where there is no effect, about 5 % of tests look as if there were one; where the planned one is there, about 80 % show it.
#[test]
fn errors_are_as_rare_as_promised() {
    let database = Database::new("ab_power");
    let share = |rates: (f64, f64)| {
        let sql = format!(
            "WITH n AS (SELECT ab_sample_size(0.10, 0.05) AS n),
                  draws AS (SELECT test, grp, ('x' || substr(md5(test || grp || i), 1, 8))::bit(32)::bigint / 4294967296.0
                                   < CASE grp WHEN 'a' THEN {} ELSE {} END AS responded
                            FROM n, generate_series(1, 400) AS test, unnest(ARRAY['a', 'b']) AS grp, generate_series(1, n) AS i),
                  results AS (SELECT test, ab_result(responded, NULL) FILTER (WHERE grp = 'a') AS a,
                                     ab_result(responded, NULL) FILTER (WHERE grp = 'b') AS b FROM draws GROUP BY test)
             SELECT avg((c.verdict = 'roll_out')::int)::float8 FROM n, results, ab_compare(a, b, n) AS c",
            rates.0, rates.1
        );
        database.psql(&sql).trim().parse::<f64>().expect("a share")
    };
    // The draws never change, so neither do these shares; the bounds are four standard deviations wide.
    let (found, false_alarms) = (share((0.15, 0.10)), share((0.10, 0.10)));
    assert!((0.72..0.88).contains(&found), "{found}");
    assert!((0.0..0.056).contains(&false_alarms), "{false_alarms}");
}

#[test]
fn sample_sizes_are_those_of_statsmodels() {
    let database = Database::new("ab_sizes");
    let mut client = database.client();
    let rows = reference::<5>("ab_sample_sizes.csv");
    assert!(rows.len() > 200);
    for [base, lift, power, alpha, customers] in &rows {
        let call = format!("ab_sample_size({base}, {lift}, {power}, {alpha})");
        let found = number(&mut client, &call);
        let expected: f64 = customers.parse().expect("a number");
        assert_eq!(found, expected.ceil(), "{call}: {expected}");
    }
    // The example of R's power.prop.test: 76.7 for 50 % and 75 % with power 90 %.
    for (call, expected) in [
        ("ab_sample_size(0.50, 0.25, 0.90)", "77"),
        ("ab_sample_size(0.75, -0.25, 0.90)", "77"),
        ("ab_sample_size(0.05, 0.01)", "8158"),
        ("ab_sample_size(0, 1)", "2"),
        ("ab_sample_size(0.1, 0.9)", "4"),
        ("ab_sample_size(NULL, 0.01)", ""),
        ("ab_sample_size(0.05, NULL)", ""),
        ("ab_sample_size(0.05, 0.01, NULL)", ""),
        ("ab_sample_size(0.05, 0.01, 0.8, NULL)", ""),
        ("ab_sample_size(alpha => 0.01, power => 0.9, base_rate => 0.5, lift => 0.25)", "110"),
    ] {
        assert_eq!(database.psql(&format!("SELECT {call}")).trim(), expected, "{call}");
    }
}

// ---- The example ------------------------------------------------------------------------------------------------

fn example(name: &str) -> Database {
    let database = Database::new(name);
    for part in ["shop.sql", "views.sql"] {
        database.psql(&read(&format!("sql/examples/ab/{part}")));
        if part == "shop.sql" {
            database.psql("CREATE TABLE public.report_day AS SELECT date '2025-11-30' AS as_of");
        }
    }
    database
}

/// After a change: PG_RFM_UPDATE=1 make test ARGS="--test ab report".
#[test]
fn the_report_prints_what_is_committed() {
    let printed = example("ab_report").psql(&read("sql/examples/ab/report.sql"));
    let printed: String = printed.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if env::var_os("PG_RFM_UPDATE").is_some() {
        fs::write(file("sql/examples/ab/report.out"), &printed).expect("report.out can be written");
    }
    assert_eq!(printed, read("sql/examples/ab/report.out"));
}

/// The figures of the views, counted in plain SQL from the orders.
#[test]
fn campaign_figures_are_those_of_plain_sql() {
    let database = example("ab_campaigns");
    let plain = |day: &str| {
        format!(
            "UPDATE report_day SET as_of = '{day}';
             WITH judged AS (
                 SELECT m.campaign, ab_group(m.customer_id, m.campaign, c.groups) AS grp,
                        (SELECT count(*) FROM orders AS o WHERE o.customer_id = m.customer_id
                             AND o.ordered_on >= m.begins_on AND o.ordered_on < m.begins_on + c.window_days) AS orders,
                        (SELECT sum(amount) FROM orders AS o WHERE o.customer_id = m.customer_id
                             AND o.ordered_on >= m.begins_on AND o.ordered_on < m.begins_on + c.window_days) AS revenue
                 FROM campaign_customers AS m JOIN campaigns AS c USING (campaign)
                 WHERE m.begins_on + c.window_days <= date '{day}' + 1)
             SELECT campaign, grp, count(*), count(*) FILTER (WHERE orders > 0), sum(revenue)
             FROM judged GROUP BY campaign, grp ORDER BY campaign, grp"
        )
    };
    let view = "SELECT campaign, grp, (result).customers, (result).responders, (result).revenue
                FROM campaign_groups WHERE (result).customers > 0 ORDER BY campaign, grp";
    for (day, groups) in [("2025-07-30", 0), ("2025-07-31", 3), ("2025-11-30", 5), ("2026-01-01", 7)] {
        let expected = database.psql(&plain(day));
        assert_eq!(expected.lines().count(), groups, "{day}");
        assert_eq!(database.psql(view), expected, "{day}");
    }
    // Cost and gain of one group, by hand.
    let by_hand = "SELECT count(*) FROM campaign_kpi AS k JOIN campaigns AS c USING (campaign) JOIN campaign_groups AS h
                       ON h.campaign = k.campaign AND h.is_control JOIN campaign_groups AS g ON g.campaign = k.campaign AND g.grp = k.grp
                   WHERE k.cost = c.contact_cost * k.customers AND k.cost_per_reactivated = round(k.cost / k.reactivated, 2)
                     AND abs(k.gain - ((g.result).revenue - (h.result).revenue * k.customers / (h.result).customers - k.cost)) < 0.01
                     AND (k.lift <= 0 OR abs(k.cost_per_one_more * k.lift * k.customers - k.cost) < 0.01 * k.lift * k.customers)";
    assert_eq!(database.psql(by_hand), "4\n");
}
