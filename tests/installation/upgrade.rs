//! The way up: from each version that was released to this one, and from this one to a version made for the test, which has a
//! column, a function, a key of the policy, a setting and a byte version more, and another body of a function.
//!
//! To put another library in the place of the server's takes a server of its own: `make upgrade` starts one, builds the next
//! version (`tests/support/next_version.sh`, `next_version.patch`) and names its library in PG_RFM_NEXT_SO.

use crate::common::*;
use crate::install_script::{RELEASED, VERSION, generated};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What `make upgrade` calls the version made for the test.
const NEXT: &str = "999.0.0";

/// What the catalog says of the extension, one line an object and what is said of it.
fn members(database: &Database) -> Vec<String> {
    let mut client = quiet(database);
    let rows = client.query(include_str!("members.sql"), &[]).expect("the catalog can be read");
    let line = |row: &postgres::Row| {
        let [member, what] = [0, 1].map(|column| row.get::<_, &str>(column));
        format!("{member} {what}: {}", row.get::<_, Option<&str>>(2).unwrap_or("NULL"))
    };
    rows.iter().map(line).collect()
}

fn installed(name: &str, version: &str) -> Database {
    let database = Database::empty(name);
    batch(&mut quiet(&database), &format!("CREATE SCHEMA rfm; CREATE EXTENSION pg_rfm SCHEMA rfm VERSION '{version}'"));
    batch(&mut quiet(&database), &format!("ALTER DATABASE {} SET search_path = public, rfm", database.name));
    database
}

/// The upgraded database has what a new one of the version has: nothing less, nothing more.
#[track_caller]
fn assert_same_members(upgraded: &Database, version: &str) {
    let (found, expected) = (members(upgraded), members(&installed("upgrade_fresh", version)));
    let lacking = expected.iter().filter(|line| !found.contains(line));
    let too_much = found.iter().filter(|line| !expected.contains(line));
    let differences: Vec<_> =
        lacking.map(|line| format!("- {line}")).chain(too_much.map(|line| format!("+ {line}"))).collect();
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
    assert!(found.len() > 2000, "the catalog was read: {} lines", found.len());
    println!("the same {} lines in the catalog as CREATE EXTENSION VERSION '{version}'", found.len());
}

#[test]
fn every_released_version_updates_to_this_one() {
    for (version, _) in RELEASED.iter().filter(|(version, _)| *version != VERSION) {
        let database = installed("upgrade_released", version);
        batch(&mut quiet(&database), "ALTER EXTENSION pg_rfm UPDATE");
        assert_same_members(&database, VERSION);
    }
}

/// What PostgreSQL's own files are called: SHAREDIR, PKGLIBDIR.
fn folder(name: &str) -> PathBuf {
    let database = Database::empty("upgrade_folders");
    let sql = format!("SELECT setting FROM pg_config() WHERE name = '{name}'");
    PathBuf::from(text(&mut quiet(&database), &sql))
}

/// A new file in the place of the library, as install(1) and packages do: sessions that have it open keep the old one.
fn install_library(from: &Path) {
    let target = folder("PKGLIBDIR").join("pg_rfm.so");
    let new = target.with_extension("new");
    fs::copy(from, &new).expect("the library can be copied");
    fs::rename(&new, &target).expect("the library can be replaced");
}

/// What stands in a script from the first of these texts to the end of the line of the second.
fn part<'a>(script: &'a str, from: &str, to: &str) -> &'a str {
    let start = script.find(from).unwrap_or_else(|| panic!("the script has no {from}"));
    let end = start + script[start..].find(to).unwrap_or_else(|| panic!("the script has no {to} after {from}"));
    &script[start..end + script[end..].find('\n').map_or(script.len() - end, |length| length + 1)]
}

/// The upgrade script as somebody would write it by hand from the difference of the two install scripts.
fn upgrade_script(next: &str) -> String {
    let replaced =
        |from: &str, to: &str| part(next, from, to).replacen("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1);
    [
        "SELECT @extschema@._refuse_older_library();\n",
        "ALTER TYPE @extschema@.customer_segment ADD ATTRIBUTE column_of_next_version integer;\n",
        // Tables of the type are segmentations.
        "ALTER TYPE @extschema@.segmentation_settings ADD ATTRIBUTE setting_of_next_version text CASCADE;\n",
        part(next, "CREATE  FUNCTION \"function_of_next_version\"", "_wrapper';"),
        part(next, "COMMENT ON FUNCTION function_of_next_version", "';"),
        &replaced("CREATE FUNCTION _refuse(", "$refuse$;"),
        &replaced("CREATE FUNCTION segmentation_arguments()", "$arguments$;"),
        "COMMENT ON COLUMN @extschema@.segmentation_settings.setting_of_next_version IS 'A setting of the next version.';\n",
        // Their arguments are others.
        "DROP FUNCTION @extschema@.create_segmentation, @extschema@.alter_segmentation, @extschema@.audit_orders;\n",
        part(next, "DO $declare$", "$declare$;"),
        part(next, "COMMENT ON FUNCTION create_segmentation IS", "';"),
        part(next, "COMMENT ON FUNCTION alter_segmentation IS", "';"),
        part(next, "COMMENT ON FUNCTION audit_orders IS", "';"),
    ]
    .concat()
}

/// Everything of the shop that shall be the same before and after.
fn contents(database: &Database) -> Vec<(String, String)> {
    let mut client = quiet(database);
    let relations = text(
        &mut client,
        "SELECT string_agg(oid::regclass::text, ' ' ORDER BY oid::regclass::text) FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm', 'v') AND relname !~ '(_settings|_status|^asked|^many)$'",
    );
    (relations.split(' '))
        .map(|relation| {
            let rows = format!(
                "SELECT count(*) || ' ' || md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {relation} AS t"
            );
            (relation.to_owned(), text(&mut client, &rows))
        })
        .collect()
}

const SEGMENT: &str =
    "SELECT string_agg(segment_customer(h, '2025-06-30')::text, ',' ORDER BY customer_id) FROM customers";

fn expects(made: i64, expected: i64) -> String {
    format!("rows of {made} columns, its SQL script expects {expected}")
}

#[test]
fn the_next_version_takes_over_what_this_one_made() {
    let Some(next) = env::var_os("PG_RFM_NEXT_SO") else {
        eprintln!("skipped: the library of a next version takes a server of its own: make upgrade");
        return;
    };
    let next = Path::new(&next);
    let script = generated(next);
    let scripts = folder("SHAREDIR").join("extension");
    for (name, script) in [(NEXT.to_owned(), &script), (format!("{VERSION}--{NEXT}"), &upgrade_script(&script))] {
        fs::write(scripts.join(format!("pg_rfm--{name}.sql")), script).expect("the script can be written");
    }

    // An older library with a newer script.
    let fresh = Database::empty("upgrade_too_early");
    let (sqlstate, message, hint) =
        expect_error(&mut quiet(&fresh), &format!("CREATE EXTENSION pg_rfm VERSION '{NEXT}'"));
    println!("CREATE EXTENSION with the older library: {sqlstate} {message} ({hint})");
    assert!(sqlstate == "42883" || sqlstate == "55000", "{sqlstate} {message}");

    let database = installed("upgrade_shop", VERSION);
    let columns = count(&mut quiet(&database), "SELECT count(*) FROM customer_columns()");
    database.psql(include_str!("stored_values.sql"));
    database.psql(include_str!("upgrade_shop.sql"));
    let mut open = quiet(&database);
    batch(&mut open, "SELECT refresh_segmentation('shop')");
    let before = contents(&database);
    assert!(before.len() > 50, "{}", before.len());
    let settings = "SELECT (to_jsonb(s) - 'setting_of_next_version')::text FROM shop_settings AS s";
    let (settings_before, answers) = (text(&mut open, settings), text(&mut open, SEGMENT));

    // The files of the next version are there, and nobody has updated: what has stayed the same answers, the rest says what to do.
    install_library(next);
    let mut newer = quiet(&database);
    let unchanged = "SELECT string_agg(concat_ws(' ', rfm_score(h, '2025-06-30'), h, e, c, m, policy), ',' ORDER BY customer_id) FROM customers";
    assert_eq!(text(&mut newer, unchanged), text(&mut open, unchanged));
    let before_update = [SEGMENT, "SELECT refresh_segmentation('shop', \"full\" => true)"];
    for sql in before_update {
        let (sqlstate, message, hint) = expect_error(&mut newer, sql);
        println!("newer library, older script: {sqlstate} {message} ({hint})");
        assert_eq!(sqlstate, "22023", "{message}");
        assert!(message.contains(&expects(columns + 1, columns)), "{message}");
        assert!(hint.contains("ALTER EXTENSION pg_rfm UPDATE"), "{hint}");
    }
    // The session that was open goes on with what it has, and cannot update.
    assert_eq!(text(&mut open, SEGMENT), answers);
    let update = format!("ALTER EXTENSION pg_rfm UPDATE TO '{NEXT}'");
    let (sqlstate, message, hint) = expect_error(&mut open, &update);
    println!("an update by a session of before: {sqlstate} {message} ({hint})");
    assert_eq!(sqlstate, "55000", "{message}");
    assert!(message.contains(VERSION) && message.contains(NEXT) && hint.contains("new session"), "{message} {hint}");

    batch(&mut newer, &update);
    assert_same_members(&database, NEXT);
    assert_eq!(contents(&database), before);
    assert_eq!(text(&mut newer, settings), settings_before);

    // Sessions of before: an older library with a newer script.
    batch(
        &mut newer,
        "CREATE TABLE many AS SELECT engagement_history('review', date '2025-06-01') AS e FROM generate_series(1, 1001)",
    );
    assert_eq!(
        text(&mut newer, "SELECT get_byte(engagement_history_send(e), 0) || e::text FROM many"),
        r#"2{"review": {"2025-06-01": 1001}}"#
    );
    for (sql, code, fragment) in [
        (SEGMENT, "22023", expects(columns, columns + 1).as_str()),
        ("SELECT refresh_segmentation('shop', \"full\" => true)", "22023", expects(columns, columns + 1).as_str()),
        ("SELECT e FROM many", "22P03", "version 2, this release reads version 1"),
        ("SELECT function_of_next_version(1)", "42883", "function_of_next_version_wrapper"),
        (r#"SELECT '{"complaint": {"key_of_next_version": 2}}'::segment_policy"#, "22P02", "key_of_next_version"),
    ] {
        let (sqlstate, message, hint) = expect_error(&mut open, sql);
        println!("older library, newer script: {sqlstate} {message} ({hint})");
        assert_eq!(sqlstate, code, "{message}");
        assert!(message.contains(fragment), "{message}");
    }
    drop(open);

    // The new things are there.
    assert_eq!(one::<i32>(&mut newer, "SELECT function_of_next_version(7)"), 7);
    assert_eq!(
        count(
            &mut newer,
            "SELECT count(*) FROM customers, segment_customer(h, '2025-06-30') WHERE column_of_next_version = purchase_days"
        ),
        97
    );
    assert_eq!(
        text(
            &mut newer,
            "SELECT (effective_policy(policy) #>> '{complaint,key_of_next_version}')::text FROM segment_policies WHERE name = 'house' LIMIT 1"
        ),
        "1"
    );
    let (_, _, hint) = expect_error(&mut newer, "SELECT create_segmentation('', 'orders')");
    assert!(hint.ends_with("(In the next version.)"), "{hint}");

    // What stands on the extension lives, by every way.
    batch(
        &mut newer,
        "REFRESH MATERIALIZED VIEW segments; REFRESH MATERIALIZED VIEW due; REFRESH MATERIALIZED VIEW CONCURRENTLY histories;
         SELECT refresh_segmentation('shop'); SELECT refresh_segmentation('small'); SELECT count(*) FROM asked",
    );
    assert_eq!(contents(&database), before);
    database.psql(include_str!("upgrade_goes_on.sql"));
    batch(&mut newer, "SELECT alter_segmentation('shop', setting_of_next_version => 'new')");
    assert_eq!(text(&mut newer, "SELECT setting_of_next_version FROM shop_settings"), "new");
    assert_eq!(text(&mut newer, settings), settings_before);
    batch(
        &mut newer,
        "SELECT alter_segmentation('shop', policy => 'mail_order_181'); DROP VIEW mailing; SELECT drop_segmentation('shop'); SELECT drop_segmentation('small')",
    );
}
