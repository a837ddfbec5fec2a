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

/// A newer script with an older library: every row type of a set has a column more, or another, than the library fills.
#[test]
fn row_types_of_another_version_are_refused_by_every_function_that_returns_a_set() {
    let database = Database::new("smoke_sets");
    let mut client = database.client();
    let sets: Vec<(String, String, i32)> = client
        .query(
            "SELECT p.oid::regprocedure::text, t.typname::text, relnatts::int
             FROM pg_proc p JOIN pg_type t ON t.oid = prorettype JOIN pg_class ON pg_class.oid = typrelid
             WHERE pronamespace = 'rfm'::regnamespace AND proretset AND probin IS NOT NULL AND proname <> 'due_steps'
             ORDER BY 1",
            &[],
        )
        .expect("the functions that return sets")
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert!(sets.len() >= 23, "{sets:?}");
    for (function, row_type, columns) in sets {
        let (name, arguments) = function.split_once('(').expect("a signature");
        let values: Vec<String> = arguments
            .trim_end_matches(')')
            .split(',')
            .filter(|argument| !argument.is_empty())
            .map(|argument| match argument {
                "date" => "'2024-01-01'::date".to_owned(),
                "interval" => "'1 month'::interval".to_owned(),
                // A strict function is not called with NULL.
                "membership_history" => "'{}'::membership_history".to_owned(),
                "text" if name.ends_with("_query_columns") => "'SELECT 1'".to_owned(),
                "purchase_model" => {
                    r#"'{"model": "bgnbd", "purchases": {"r": 1, "alpha": 9, "a": 1, "b": 1}}'::purchase_model"#
                        .to_owned()
                }
                other => format!("NULL::{other}"),
            })
            .collect();
        let call = format!("SELECT * FROM {name}({})", values.join(", "));
        let first = text(
            &mut client,
            &format!(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = 'rfm.{row_type}'::regclass AND attnum = 1"
            ),
        );
        let more = format!("rows of {columns} columns, its SQL script expects {}", columns + 1);
        let changes = [
            ("ADD ATTRIBUTE more text".to_owned(), more),
            (format!("ALTER ATTRIBUTE {first} TYPE point"), "whose column 1 is".to_owned()),
        ];
        for (change, fragment) in changes {
            batch(&mut client, &format!("BEGIN; ALTER TYPE rfm.{row_type} {change}"));
            let (sqlstate, message, hint) = expect_error(&mut client, &call);
            assert_eq!(sqlstate, "22023", "{call}: {message}");
            assert!(message.contains(&fragment), "{call}: {message}");
            assert!(hint.contains("ALTER EXTENSION pg_rfm UPDATE"), "{hint}");
            batch(&mut client, "ROLLBACK");
        }
    }
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
