//! Stored policies: the version of a day, and a past that nothing changes.

use crate::common::*;
use std::fs;
use std::path::PathBuf;

/// Versions of `shop` for 2024, for 2025 up to yesterday, since yesterday and from tomorrow; `new` from today.
const VERSIONS: &str = r#"
    INSERT INTO segment_policies (name, policy, valid_from, note) VALUES
        ('shop', '{"lifecycle": {"dormant_after_days": 71}}', '2024-01-01', 'the first'),
        ('new', '{}', CURRENT_DATE, NULL);
    -- As if they had been inserted in time.
    ALTER TABLE segment_policies DISABLE TRIGGER keep_policies;
    INSERT INTO segment_policies (name, policy, valid_from) VALUES
        ('shop', '{"lifecycle": {"dormant_after_days": 72}}', '2025-01-01'),
        ('shop', '{"lifecycle": {"dormant_after_days": 73}}', CURRENT_DATE - 1);
    ALTER TABLE segment_policies ENABLE TRIGGER keep_policies;
    INSERT INTO segment_policies (name, policy, valid_from) VALUES
        ('shop', '{"lifecycle": {"dormant_after_days": 74}}', CURRENT_DATE + 1);
"#;

const LIMIT: &str = "#>> '{lifecycle,dormant_after_days}'";

fn stored(name: &str) -> Database {
    let database = Database::new(name);
    batch(&mut database.client(), VERSIONS);
    database
}

#[test]
fn the_version_of_the_day() {
    let database = stored("stored_versions");
    for (day, limit) in [
        ("'2024-01-01'", "71"),
        ("'2024-12-31'", "71"),
        ("'2025-01-01'", "72"),
        ("CURRENT_DATE - 2", "72"),
        ("CURRENT_DATE - 1", "73"),
        ("CURRENT_DATE", "73"),
        ("CURRENT_DATE + 1", "74"),
        ("'9999-12-31'", "74"),
    ] {
        let found = database.psql(&format!("SELECT stored_policy('shop', {day})::jsonb {LIMIT}"));
        assert_eq!(found, format!("{limit}\n"), "{day}");
    }
    assert_eq!(database.psql(&format!("SELECT stored_policy('shop')::jsonb {LIMIT}, stored_policy('new')")), "73|{}\n");
}

/// The two zones are 26 hours apart: in the second one it is always an earlier day.
#[test]
fn today_is_the_sessions_day() {
    let database = Database::new("stored_zone");
    let answers = database.psql(
        r#"SET TimeZone = 'Pacific/Kiritimati';
           INSERT INTO segment_policies VALUES ('zone', '{}', '2020-01-01'), ('zone', '{"frequency": "orders"}', CURRENT_DATE);
           SELECT stored_policy('zone');
           SET TimeZone = 'Etc/GMT+12';
           SELECT stored_policy('zone');"#,
    );
    assert_eq!(answers, "{\"frequency\":\"orders\"}\n{}\n");
}

#[test]
fn unknown_names_and_days_are_refused() {
    let database = Database::new("stored_unknown");
    let mut client = database.client();
    let refused = |client: &mut _, arguments: &str| expect_error(client, &format!("SELECT stored_policy({arguments})"));

    let (sqlstate, message, hint) = refused(&mut client, "'shop'");
    assert_eq!((sqlstate.as_str(), message.as_str()), ("22023", "unknown stored policy: \"shop\""));
    assert_eq!(
        hint,
        "segment_policies is empty: insert a row (name, policy, valid_from). Where the query runs on several servers, each \
         looks into its own table: write (SELECT stored_policy(...)) instead."
    );

    batch(&mut client, VERSIONS);
    batch(&mut client, "SET DateStyle = 'SQL, DMY'");
    let today = text(&mut client, "SELECT to_char(CURRENT_DATE, 'YYYY-MM-DD')");
    let known = format!("Known are: new (from {today}), shop (from 2024-01-01).");
    let (sqlstate, message, hint) = refused(&mut client, "'shopp', '2025-01-01'");
    assert_eq!((sqlstate.as_str(), message.as_str()), ("22023", "unknown stored policy: \"shopp\""));
    assert_eq!(hint, known);
    let (sqlstate, message, hint) = refused(&mut client, "'shop', '2023-12-31'");
    assert_eq!(sqlstate, "22023");
    assert_eq!(message, "stored policy \"shop\" begins on 2024-01-01, there is none for 2023-12-31");
    assert_eq!(hint, known);

    assert_eq!(refused(&mut client, "NULL").0, "22004");
    assert_eq!(refused(&mut client, "'shop', NULL").0, "22004");
    assert_eq!(refused(&mut client, "'shop', 'infinity'").0, "22008");
}

#[test]
fn the_past_cannot_be_changed() {
    let database = stored("stored_past");
    let mut client = database.client();
    let all = "SELECT string_agg(p::text, E'\\n' ORDER BY p::text) FROM segment_policies AS p";
    let before = text(&mut client, all);

    for row in ["valid_from = '2024-01-01'", "name = 'new'"] {
        for change in [r#"policy = '{"frequency": "orders"}'"#, "valid_from = valid_from + 1", "name = 'other'"] {
            let sql = format!("UPDATE segment_policies SET {change} WHERE {row}");
            let (sqlstate, message, hint) = expect_error(&mut client, &sql);
            assert_eq!(sqlstate, "23001", "{sql}");
            assert!(message.ends_with("is or was in force and cannot be changed"), "{message}");
            assert!(hint.starts_with("Insert a new row with a later valid_from"), "{hint}");
        }
        let (sqlstate, message, _) = expect_error(&mut client, &format!("DELETE FROM segment_policies WHERE {row}"));
        assert_eq!(sqlstate, "23001");
        assert!(message.ends_with("is or was in force and cannot be deleted"), "{message}");
    }
    let (sqlstate, message, _) = expect_error(&mut client, "DELETE FROM segment_policies WHERE name = 'shop'");
    assert_eq!((sqlstate.as_str(), message.contains("2024-01-01")), ("23001", true), "{message}");
    for sql in [
        "TRUNCATE segment_policies",
        // It would cut an older version short.
        "INSERT INTO segment_policies VALUES ('shop', '{}', '2024-06-01')",
        "INSERT INTO segment_policies VALUES ('shop', '{}', '2024-01-01') ON CONFLICT (name, valid_from) DO UPDATE SET policy = '{}'",
        // So would a later version that moves into the past.
        "UPDATE segment_policies SET valid_from = '2024-06-01' WHERE valid_from > CURRENT_DATE",
        "UPDATE segment_policies SET valid_from = '2025-06-01', name = 'shop' WHERE valid_from > CURRENT_DATE",
    ] {
        assert_eq!(expect_error(&mut client, sql).0, "23001", "{sql}");
    }
    assert_eq!(text(&mut client, all), before);
}

#[test]
fn what_does_not_change_the_past_is_allowed() {
    let database = stored("stored_allowed");
    let answers = database.psql(&format!(
        r#"UPDATE segment_policies SET note = 'corrected', policy = policy WHERE name = 'shop';
           UPDATE segment_policies SET policy = '{{"lifecycle": {{"dormant_after_days": 75}}}}', valid_from = valid_from + 5
           WHERE valid_from > CURRENT_DATE;
           SELECT stored_policy('shop', CURRENT_DATE + 6)::jsonb {LIMIT};
           DELETE FROM segment_policies WHERE valid_from > CURRENT_DATE;
           -- from today on; the first version of a name, and a new first one before it, from whenever
           INSERT INTO segment_policies VALUES ('shop', '{{}}', CURRENT_DATE), ('old', '{{}}', '2020-01-01');
           INSERT INTO segment_policies VALUES ('old', '{{"frequency": "orders"}}', '2019-01-01');
           SELECT stored_policy('shop'), stored_policy('old', '2019-12-31'), stored_policy('old');
           SELECT name, valid_from > CURRENT_DATE - 2, note FROM segment_policies ORDER BY name, valid_from;"#
    ));
    assert_eq!(
        answers,
        "75\n\
         {}|{\"frequency\":\"orders\"}|{}\n\
         new|t|\n\
         old|f|\n\
         old|f|\n\
         shop|f|corrected\n\
         shop|f|corrected\n\
         shop|t|corrected\n\
         shop|t|\n"
    );
    assert_eq!(database.psql("DELETE FROM segment_policies WHERE name = 'nobody'; TABLE segment_policies LIMIT 0"), "");
    // Nothing in force: nothing to keep.
    let empty = Database::new("stored_truncate");
    empty.psql("INSERT INTO segment_policies VALUES ('x', '{}', CURRENT_DATE + 1); TRUNCATE segment_policies");
}

#[test]
fn bad_rows_are_refused() {
    let database = Database::new("stored_bad");
    let mut client = database.client();
    for (values, sqlstate) in [
        (r#"'x', '{"lifecycle": {"dormant_after_days": 1}}', CURRENT_DATE"#, "22023"),
        (r#"'x', '{"lifecycle": {"dormant": 1}}', CURRENT_DATE"#, "22P02"),
        ("'x', NULL, CURRENT_DATE", "23502"),
        ("NULL, '{}', CURRENT_DATE", "23502"),
        ("'x', '{}', NULL", "23502"),
        ("'', '{}', CURRENT_DATE", "23514"),
        ("'x', '{}', 'infinity'", "23514"),
        ("'x', '{}', '-infinity'", "23514"),
    ] {
        let (found, message, _) = expect_error(&mut client, &format!("INSERT INTO segment_policies VALUES ({values})"));
        assert_eq!(found, sqlstate, "{values}: {message}");
    }
    batch(&mut client, "INSERT INTO segment_policies VALUES ('x', '{}', CURRENT_DATE + 1)");
    let contradiction = r#"UPDATE segment_policies SET policy = '{"lifecycle": {"dormant_after_days": 1}}'"#;
    let (sqlstate, message, _) = expect_error(&mut client, contradiction);
    assert_eq!(sqlstate, "22023");
    assert!(message.contains("lifecycle.at_risk_after_days"), "{message}");
}

/// Also where the extension's schema is not on the search path, and operators of the same names are in the way.
#[test]
fn any_search_path_will_do() {
    let database = stored("stored_path");
    let answers = database.psql(&format!(
        "CREATE FUNCTION public.never(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
         CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.never);
         CREATE TABLE public.segment_policies (name text);
         SET search_path = '';
         SELECT rfm.stored_policy('shop', '2024-02-29')::jsonb {LIMIT}, rfm.stored_policy('new');
         UPDATE rfm.segment_policies SET note = 'x' WHERE note IS NULL;
         SET search_path = public, pg_catalog;
         SELECT rfm.stored_policy('shop', '2024-02-29')::jsonb {LIMIT};
         UPDATE rfm.segment_policies SET note = 'y';"
    ));
    assert_eq!(answers, "71|{}\n71\n");
    let (sqlstate, ..) = expect_error(
        &mut database.client(),
        "SET search_path = public, pg_catalog; DELETE FROM rfm.segment_policies WHERE valid_from < CURRENT_DATE",
    );
    assert_eq!(sqlstate, "23001");
}

#[test]
fn everybody_reads_and_the_owner_writes() {
    let database = stored("stored_roles");
    let (mut client, name) = (database.client(), &database.name);
    let insert = "INSERT INTO segment_policies VALUES ('mine', '{}', CURRENT_DATE)";
    batch(&mut client, &format!("CREATE ROLE {name}_reader; GRANT USAGE ON SCHEMA rfm TO {name}_reader"));
    batch(
        &mut client,
        &format!("SET ROLE {name}_reader; SELECT stored_policy('shop'), stored_policy('shop', '2024-02-01')"),
    );
    assert_eq!(expect_error(&mut client, insert).0, "42501");
    batch(&mut client, &format!("RESET ROLE; GRANT INSERT, UPDATE ON segment_policies TO {name}_reader"));
    batch(&mut client, &format!("SET ROLE {name}_reader; {insert}"));
    assert_eq!(expect_error(&mut client, "UPDATE segment_policies SET name = 'yours' WHERE name = 'mine'").0, "23001");
    batch(&mut client, &format!("RESET ROLE; DROP OWNED BY {name}_reader; DROP ROLE {name}_reader"));

    // Of a trusted extension, whoever created it: here the owner of the database.
    batch(&mut client, "DROP EXTENSION pg_rfm");
    as_owner_of_the_database(
        &database,
        &format!(
            "CREATE SCHEMA shop;
             CREATE EXTENSION pg_rfm SCHEMA shop;
             SET search_path = shop;
             {insert};
             GRANT INSERT ON segment_policies TO PUBLIC;
             SELECT stored_policy('mine');
             DROP EXTENSION pg_rfm"
        ),
    );
}

#[test]
fn a_materialized_view_and_parallel_workers_can_use_it() {
    let database = stored("stored_view");
    let answers = database.psql(include_str!("stored_policy_view.sql"));
    assert_eq!(answers, "500|0|2\nt|20000\n");
    let plan = database.psql(
        "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
         EXPLAIN SELECT count(*) FROM public.orders WHERE stored_policy('shop', ordered_on)::text LIKE '%71%'",
    );
    assert!(plan.contains("Parallel Seq Scan"), "{plan}");
}

#[test]
fn a_frozen_policy_says_everything() {
    let database = Database::new("stored_frozen");
    let same = database.psql(
        r#"INSERT INTO segment_policies
           VALUES ('frozen', effective_policy('{"lifecycle": {"dormant_after_days": 90}}')::segment_policy, '2025-01-01');
           SELECT stored_policy('frozen')::jsonb = effective_policy('{"lifecycle": {"dormant_after_days": 90}}'),
                  effective_policy(stored_policy('frozen')) = stored_policy('frozen')::jsonb"#,
    );
    assert_eq!(same, "t|t\n");
}

/// Text, text of INSERTs, and the custom format; the rows were stored in an order that would not load oldest first.
#[test]
fn a_dump_keeps_the_rows() {
    let database = stored("stored_dump");
    let mut client = database.client();
    // The oldest rows move to the end of the table.
    batch(&mut client, "UPDATE segment_policies SET note = '日本語\\N, \"quoted\"' WHERE valid_from = '2025-01-01'");
    batch(&mut client, "UPDATE segment_policies SET note = 'the very first' WHERE valid_from = '2024-01-01'");
    let rows =
        "SELECT p::text, policy::text, coalesce(note, '-') FROM rfm.segment_policies AS p ORDER BY name, valid_from";
    let expected = database.psql(rows);
    assert_eq!(expected.lines().count(), 5, "{expected}");

    for arguments in [&["-Fp"][..], &["-Fp", "--inserts"], &["-Fc"]] {
        let (empty, file) = (Database::new("stored_restore"), dump_file(&database, arguments));
        batch(&mut empty.client(), "DROP EXTENSION pg_rfm; DROP SCHEMA rfm");
        let path = file.to_str().expect("the path is UTF-8");
        if arguments == ["-Fc"] {
            run(program("pg_restore").args(["--exit-on-error", "-d", &empty.name, path]));
        } else {
            run(program("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", path, &empty.name]));
        }
        assert_eq!(empty.psql(rows), expected, "{arguments:?}");
        let (sqlstate, ..) = expect_error(&mut empty.client(), "DELETE FROM rfm.segment_policies WHERE name = 'shop'");
        assert_eq!(sqlstate, "23001");
        fs::remove_file(file).expect("the dump can be removed");
    }
}

fn dump_file(database: &Database, arguments: &[&str]) -> PathBuf {
    let file = std::env::temp_dir().join(format!("{}{}.dump", database.name, arguments.concat()));
    run(program("pg_dump").args(arguments).arg("-f").arg(&file).arg(&database.name));
    file
}

#[test]
fn every_object_has_a_comment() {
    let database = Database::new("stored_comments");
    let without = database.psql(
        "SELECT p.oid::regprocedure FROM pg_proc AS p
         WHERE p.proname IN ('stored_policy', '_keep_versions', '_refuse_version', 'explain_customer') AND obj_description(p.oid, 'pg_proc') IS NULL;
         SELECT a.attname FROM pg_attribute AS a
         WHERE a.attrelid = 'segment_policies'::regclass AND a.attnum > 0
           AND col_description(a.attrelid, a.attnum) IS NULL;
         SELECT tgname FROM pg_trigger
         WHERE tgrelid = 'segment_policies'::regclass AND obj_description(oid, 'pg_trigger') IS NULL;
         SELECT 'table' WHERE obj_description('segment_policies'::regclass, 'pg_class') IS NULL",
    );
    assert_eq!(without, "");
}
