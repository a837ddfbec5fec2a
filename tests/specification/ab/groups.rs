//! Who is in which group: the published hash, the shares, and that neither time nor other customers change it.

use super::*;
use std::fmt::Write as _;

/// A hundred groups g0 to g99 of 1 % each.
const HUNDRED: &str = "(SELECT jsonb_agg(jsonb_build_object('group', 'g' || i, 'share', 0.01) ORDER BY i) FROM generate_series(0, 99) AS i)";

const FOUR: &str = r#"'[{"group": "a", "share": 0.5}, {"group": "b", "share": 0.3}, {"group": "c", "share": 0.15}, {"group": "d", "share": 0.05}]'"#;

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
