//! Intervals, p-values, verdicts and sample sizes.

use super::*;

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
