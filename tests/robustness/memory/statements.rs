//! Large values, and statements over all input functions, functions, operators and aggregates.

use crate::common::*;
use std::sync::LazyLock;

/// A database with large values, for all tests that read them: making them takes seconds. It goes with the server.
pub fn large_values() -> &'static Database {
    static LARGE: LazyLock<Database> = LazyLock::new(|| {
        let database = Database::new("memory");
        batch(&mut database.client(), include_str!("large_values.sql"));
        database
    });
    &LARGE
}

/// A text of 50 MB; PostgreSQL is quicker with some long pieces than with many short ones.
const LONG: &str = "repeat(repeat('x', 1000), 50000)";

/// An expression of a type, once large and once usual; `None` where the test knows none.
pub fn argument(type_name: &str, large: bool) -> Option<&'static str> {
    let (usual, huge) = match type_name {
        "purchase_history" => ("'{\"2024-01-01\": {\"orders\": 1, \"amount\": 5}}'::purchase_history", "h"),
        "engagement_history" => ("'{\"review\": {\"2024-01-01\": 1}}'::engagement_history", "e"),
        "contact_history" => ("'[{\"on\": \"2024-01-01\"}]'::contact_history", "c"),
        "membership_history" => ("'{\"2024-01-01\": \"paused\"}'::membership_history", "m"),
        "segment_policy" => ("'{\"lifecycle\": {\"cycle\": \"own\"}}'::segment_policy", "p"),
        "purchase_model" => (
            r#"'{"model": "mbgnbd", "purchases": {"r": 0.5, "alpha": 43, "a": 0.9, "b": 1.6}, "spend": {"p": 9, "q": 3.4, "v": 8}}'::purchase_model"#,
            "l",
        ),
        "model_backtest[]" => ("'{}'::model_backtest[]", "array_fill(NULL::model_backtest, ARRAY[2000000])"),
        "scenario" => ("preset_scenario('vip_advocacy')", "s"),
        "scenario[]" => ("ARRAY[s]", "array_fill(s, ARRAY[30000])"),
        "text" => ("'email'", LONG),
        "text[]" => ("ARRAY['email', 'letter']", "array_fill('some channel'::text, ARRAY[2000000])"),
        "jsonb" => ("'{\"email\": true}'::jsonb", "jsonb_build_object('email', repeat(repeat('x', 1000), 50000))"),
        "date" => ("date '2024-06-01'", "date '9999-12-31'"),
        "timestamp without time zone" => ("timestamp '2024-06-01'", "timestamp '9999-12-31'"),
        "timestamp with time zone" => ("timestamptz '2024-06-01'", "timestamptz '9999-12-31'"),
        "interval" => ("interval '1 month'", "interval '40 days'"),
        "integer" => ("3", "2000000000"),
        "bigint" => ("3::bigint", "9000000000000000000"),
        "numeric" => ("12.5", "99999999999999999999999999999999999999"),
        "double precision" => ("0.5::float8", "1e300::float8"),
        "boolean" => ("true", "false"),
        "boolean[]" => ("ARRAY[true, false]", "array_fill(true, ARRAY[2000000])"),
        "oid" => ("1::oid", "4000000000::oid"),
        "\"any\"" => ("1", LONG),
        "uuid" => ("'00000000-0000-0000-0000-000000000001'::uuid", "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"),
        "bytea" => ("'\\x01'::bytea", "repeat(repeat('x', 1000), 50000)::bytea"),
        "integer[]" => ("ARRAY[1, 2]", "array_fill(1, ARRAY[6000000])"),
        "bigint[]" => ("ARRAY[3, 1]::bigint[]", "array_fill(1::bigint, ARRAY[6000000])"),
        "ab_result" => ("(1000, 10, 0.01, 0.005, 0.02, 5000, 5, 90000)::ab_result", "NULL::ab_result"),
        _ => return None,
    };
    Some(if large { huge } else { usual })
}

/// Functions of a query, or of the rows of a query, with more rows than half of the memory holds.
const OF_QUERIES: [(&str, &str); 3] = [
    (
        "_collect_histories",
        "SELECT count(*) FROM rfm._collect_histories(
             'SELECT g, DATE ''2025-01-01'' + g % 9, g::numeric, true FROM generate_series(1, 1000000) AS g'
         ) AS r (a int, history rfm.purchase_history)",
    ),
    ("_rows_differ", "SELECT rfm._rows_differ('SELECT g, g::numeric FROM generate_series(1, 1000000) AS g')"),
    (
        "_note_customers",
        "SELECT rfm._note_customers('notes'::regclass, NULL, 'orders', date '2024-01-01', g) FROM generate_series(1, 1000000) AS g",
    ),
];

/// A function's call with little memory and with much for its work, where it is one of a query.
fn of_query(name: &str) -> Option<[String; 2]> {
    let (_, call) = OF_QUERIES.iter().find(|(of_query, _)| *of_query == name)?;
    Some(["4MB", "1GB"].map(|work_mem| format!("SET work_mem = '{work_mem}'; {call}; RESET work_mem")))
}

/// Functions whose numbers and texts are a materialized view and queries of its rows.
const WRITES_A_VIEW: &[&str] = &["_lock_view", "_query_columns", "_write_view_rows", "_write_watched_rows"];

/// The view of large_values.sql with the table of who changed, and the query that leaves its row as it is; a large one is long.
fn view(argument_name: &str, type_name: &str, large: bool) -> Option<&'static str> {
    Some(match (type_name, large) {
        ("oid", _) if argument_name == "told" => "'who_changed'::regclass::oid",
        ("oid", _) if argument_name == "ids" => "'who_changed_change_id_seq'::regclass::oid",
        ("oid", _) => "'one_row'::regclass::oid",
        ("text[]", false) => "'{}'::text[]",
        ("text[]", true) => "array_fill('name'::text, ARRAY[1000000])",
        ("date", _) => "date '2024-01-01'",
        ("text", _) if argument_name == "asked" => "'SELECT count(*)::text FROM new_rows'",
        ("text", false) => "'SELECT t.ctid, ''keep'' AS change, t.* FROM public.one_row AS t'",
        ("text", true) => {
            "'SELECT t.ctid, ''keep'' AS change, t.* FROM public.one_row AS t --' || repeat(repeat('x', 1000), 50000)"
        }
        _ => return None,
    })
}

/// A row of an aggregate's argument, of many rows `i`.
fn row_argument(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        "purchase_history" | "engagement_history" | "contact_history" | "membership_history" => {
            return argument(type_name, true);
        }
        "segment_policy" => "NULL::segment_policy",
        "purchase_model" => "l",
        "jsonb" => r#"'{"min_customers": 1, "min_repeaters": 1}'::jsonb"#,
        "text" => "'kind ' || i",
        "date" => "date '0001-01-01' + i % 3000000",
        "timestamp without time zone" => "timestamp '0001-01-01' + i % 3000000 * interval '1 day'",
        "timestamp with time zone" => "timestamptz '0001-01-01' + i % 3000000 * interval '1 day'",
        "integer" => "i",
        "bigint" => "i::bigint",
        "numeric" => "i / 100.0",
        "double precision" => "i::float8",
        "boolean" => "i % 2 = 0",
        "interval" => "interval '40 days'",
        _ => return None,
    })
}

/// Name and argument types of everything of a kind in the extension's schema.
fn signatures(client: &mut Client, which: &str) -> Vec<(String, Vec<String>, Vec<String>)> {
    let sql = format!(
        "SELECT p.proname::text, ARRAY(SELECT regexp_replace(format_type(t, NULL), '^rfm\\.', '') FROM unnest(p.proargtypes) WITH ORDINALITY a(t, n) ORDER BY n),
                coalesce(p.proargnames, '{{}}')
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'rfm'::regnamespace AND {which} ORDER BY 1, p.oid"
    );
    let rows = client.query(&sql, &[]).expect("pg_proc can be read");
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// Statements over all input functions, functions and aggregates.
pub fn statements(client: &mut Client) -> Vec<String> {
    let mut statements = Vec::new();
    for name in STORED_TYPES {
        let texts = client.query("SELECT name FROM texts", &[]).expect("the texts are there");
        statements.extend(texts.iter().map(|row| {
            let text: String = row.get(0);
            format!("SELECT value::{name} IS NULL FROM texts WHERE name = '{text}'")
        }));
        let column = argument(name, true).expect("a column");
        statements.push(format!("SELECT length({column}::text) FROM large"));
    }
    let operators = "SELECT DISTINCT oprname::text, oprleft::regtype::text, oprright::regtype::text FROM pg_operator
        WHERE oprnamespace = 'rfm'::regnamespace ORDER BY 1, 2, 3";
    let operators = client.query(operators, &[]).expect("pg_operator can be read");
    statements.extend(operators.iter().map(|row| {
        let [operator, left, right]: [String; 3] = [0, 1, 2].map(|index| row.get(index));
        let [left, right] =
            [left, right].map(|type_name| argument(&type_name, true).expect("the test knows the types"));
        format!("SELECT ({left} {operator} {right}) IS NULL FROM large")
    }));
    // Sets are functions too; the parts of aggregates and of types are called by those.
    let functions = signatures(
        client,
        "p.prokind = 'f' AND l.lanname = 'c' AND NOT 'internal'::regtype = ANY (p.proargtypes)
         AND p.prorettype NOT IN ('internal'::regtype, 'cstring'::regtype) AND NOT 'cstring'::regtype = ANY (p.proargtypes)",
    );
    assert!(functions.len() > 60, "{} functions", functions.len());
    for (name, types, names) in functions {
        if let Some(calls) = of_query(&name) {
            statements.extend(calls);
            continue;
        }
        for large in [true, false] {
            let of = |(position, type_name): (usize, &String)| {
                let usual = || argument(type_name, large);
                let argument_name = names.get(position).map_or("", String::as_str);
                let argument = if WRITES_A_VIEW.contains(&name.as_str()) {
                    view(argument_name, type_name, large)
                } else {
                    usual()
                };
                argument.unwrap_or_else(|| panic!("{name}: tell the test how to make a {type_name}"))
            };
            let arguments: Vec<_> = types.iter().enumerate().map(of).collect();
            let call = format!("rfm.{name}({})", arguments.join(", "));
            statements.push(format!(
                "SELECT count(r::text) FROM large AS l, LATERAL (SELECT {call}) AS f(r) WHERE l.name = 'large'"
            ));
            if large {
                statements
                    .push(format!("SELECT count(*) FROM large AS l, LATERAL {call} AS f WHERE l.name = 'many days'"));
            }
        }
    }
    let aggregates = signatures(client, "p.prokind = 'a'");
    assert!(aggregates.len() > 50, "{} aggregates", aggregates.len());
    for (name, types, names) in aggregates {
        if let Some(calls) = of_query(&name) {
            statements.extend(calls);
            continue;
        }
        let of = |(position, type_name): (usize, &String)| match names.get(position).map(String::as_str) {
            // The same for all rows.
            Some("as_of" | "until" | "to_day") => "date '9999-12-31'",
            Some("from_day" | "ending_after") => "date '9900-01-01'",
            Some("fit_on") => "date '9998-12-31'",
            Some("days") => "90",
            Some("annual_discount_rate") => "0.1::float8",
            _ => row_argument(type_name).unwrap_or_else(|| panic!("{name}: tell the test how to make a {type_name}")),
        };
        let arguments: Vec<_> = types.iter().enumerate().map(of).collect();
        let rows = if types[0].ends_with("_history") {
            "large, generate_series(1, 2) i"
        } else {
            "generate_series(0, 150000) i"
        };
        statements.push(format!("SELECT length(rfm.{name}({})::text) FROM {rows}", arguments.join(", ")));
    }
    statements
}
