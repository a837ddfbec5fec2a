//! The extension installs, is where it should be, and leaves nothing behind.

use crate::common::*;

#[test]
fn installs_into_its_schema_and_drops_without_a_trace() {
    let database = Database::new("smoke");
    let mut client = database.client();
    let row = client
        .query_one(
            "SELECT extversion, extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_rfm'",
            &[],
        )
        .expect("pg_rfm is installed");
    assert_eq!(row.get::<_, &str>(0), env!("CARGO_PKG_VERSION"));
    assert_eq!(row.get::<_, &str>(1), "rfm");
    assert_eq!(database.psql("SHOW search_path"), "public, rfm\n");

    batch(&mut client, "DROP EXTENSION pg_rfm");
    let left =
        "SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'rfm'::regnamespace";
    assert_eq!(count(&mut client, left), 0);
}

#[test]
fn a_database_owner_who_is_no_superuser_can_install_it() {
    let database = Database::new("smoke_trusted");
    batch(&mut database.client(), "DROP EXTENSION pg_rfm");
    as_owner_of_the_database(
        &database,
        "CREATE SCHEMA shop; CREATE EXTENSION pg_rfm SCHEMA shop; DROP EXTENSION pg_rfm",
    );
}

/// The install script runs with a superuser's rights where a database owner may fill the schema before: nothing of hers may
/// run in it. A variadic function such as format() is where an exact overload would come first.
#[test]
fn what_lies_in_the_schema_before_never_runs_while_installing() {
    let database = Database::new("smoke_hostile");
    let overloads: Vec<String> =
        ["format", "concat", "quote_ident", "quote_literal", "pg_extension_config_dump", "getdatabaseencoding"]
            .iter()
            .flat_map(|name| (0..10).map(move |count| (name, vec!["text"; count].join(", "))))
            .map(|(name, arguments)| {
                format!(
                    "CREATE FUNCTION shop.{name}({arguments}) RETURNS text LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'a function of the schema runs as %', current_user; END $$;"
                )
            })
            .collect();
    batch(&mut database.client(), "DROP EXTENSION pg_rfm");
    as_owner_of_the_database(
        &database,
        &format!(
            "CREATE SCHEMA shop;
             {}
             CREATE EXTENSION pg_rfm SCHEMA shop;
             DROP EXTENSION pg_rfm",
            overloads.concat()
        ),
    );
}

#[test]
fn an_error_is_reported_with_its_sqlstate_and_the_session_goes_on() {
    let database = Database::new("smoke_error");
    let (sqlstate, message, hint) = expect_error(&mut database.client(), "SELECT 1 / 0");
    assert_eq!((sqlstate.as_str(), message.as_str(), hint.as_str()), ("22012", "division by zero", ""));
}

/// A newer script with an older library: the row type has a column more than the library fills.
#[test]
fn a_row_type_of_another_version_is_refused() {
    let database = Database::new("smoke_width");
    let mut client = database.client();
    batch(
        &mut client,
        "ALTER TYPE rfm.customer_segment ADD ATTRIBUTE more text; ALTER TYPE rfm.due_step ADD ATTRIBUTE more text",
    );
    for (sql, made, expected) in [
        ("SELECT * FROM segment_customer(NULL, '2024-01-01')", 32, 33),
        ("SELECT segment_customer(NULL, '2024-01-01')", 32, 33),
        ("SELECT * FROM due_steps('{}', NULL, '2024-01-01')", 9, 10),
    ] {
        let (sqlstate, message, hint) = expect_error(&mut client, sql);
        assert_eq!(sqlstate, "22023", "{sql}: {message}");
        assert!(message.contains(&format!("rows of {made} columns")), "{sql}: {message}");
        assert!(message.ends_with(&format!("expects {expected}")), "{sql}: {message}");
        assert!(hint.contains("ALTER EXTENSION pg_rfm UPDATE"), "{hint}");
    }
}
