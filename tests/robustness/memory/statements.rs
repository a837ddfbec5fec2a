//! Large values, and statements over all input functions, functions, operators and aggregates.

use crate::common::*;

/// Large values, each in a row of a table, so that a session without memory can ask for them.
pub const LARGE: &str = r#"
    CREATE TABLE texts (name text, value text);
    ALTER TABLE texts ALTER value SET STORAGE EXTERNAL;
    INSERT INTO texts
    -- 50 MB each: more entries than there may be, as many as there may be, one entry many times, other JSON, none.
    SELECT 'contacts', '[' || string_agg(format('{"on": "2024-01-01", "channel": "c%s"}', i), ',') || ']' FROM generate_series(1, 1100000) i
    UNION ALL SELECT 'same contact', '[' || repeat('{"on": "2024-01-01", "channel": "email"},', 1250000) || '{"on": "2024-01-02"}]'
    UNION ALL SELECT 'short contacts', '[' || rtrim(repeat('{"on":"2024-01-01"},', 2500000), ',') || ']'
    UNION ALL SELECT 'kinds', '{' || string_agg(format('"kind of event no %s": {"2024-01-01": 1}', i), ',') || '}' FROM generate_series(1, 1000000) i
    UNION ALL SELECT 'days', '{"review": {' || string_agg(format('"%s": 1', date '0001-01-01' + i), ',') || '}}' FROM generate_series(0, 2900000) i
    UNION ALL SELECT 'purchases', '{' || string_agg(format('"%s": {"orders": 2, "discounted": 1, "amount": 12.50}', date '0001-01-01' + i), ',') || '}'
        FROM generate_series(0, 800000) i
    UNION ALL SELECT 'policy', '{"segments": {"rules": [' || repeat('{"name":"a","any":[{}]},', 2000000) || '{"name":"b","any":[]}]}}'
    UNION ALL SELECT 'long name', '[{"on": "2024-01-01", "channel": "' || repeat('\\n', 25000000) || '"}]'
    UNION ALL SELECT 'long number', '{"2024-01-01": {"orders": 1, "amount": ' || repeat('1', 50000000) || '}}'
    UNION ALL SELECT 'lists', repeat('[],', 17000000)
    UNION ALL SELECT 'quarter', '{"learned": {"a": [' || rtrim(repeat('{"":1},', 37000), ',') || ']}}'
    UNION ALL SELECT 'blank', repeat(' ', 50000000);

    CREATE TABLE large (name text, h purchase_history, e engagement_history, c contact_history, p segment_policy, s scenario);
    INSERT INTO large
    SELECT 'large', (SELECT purchase_history(date '0001-01-01' + i, i / 100.0, i % 2 = 0) FROM generate_series(0, 999999) i),
        (SELECT engagement_history('review no ' || i, date '2000-01-01' + i % 9000) FROM generate_series(1, 300000) i),
        (SELECT contact_history('channel ' || i, date '2000-01-01' + i % 9000, 'a', 'b', NULL) FROM generate_series(1, 300000) i),
        (SELECT value::segment_policy FROM texts WHERE name = 'quarter'), preset_scenario('at_risk_check_in')
    UNION ALL
    SELECT 'many days', (SELECT purchase_history(date '0001-01-01' + 2 * i, 1) FROM generate_series(0, 999999) i),
        (SELECT engagement_history('review', date '0001-01-01' + 2 * i) FROM generate_series(0, 999999) i),
        (SELECT contact_history('email', date '0001-01-01' + 2 * i, NULL, NULL, NULL) FROM generate_series(0, 999999) i),
        NULL, preset_scenario('vip_advocacy')"#;

/// An expression of a type, once large and once usual; `None` where the test knows none.
pub fn argument(type_name: &str, large: bool) -> Option<&'static str> {
    let (usual, huge) = match type_name {
        "purchase_history" => ("'{\"2024-01-01\": {\"orders\": 1, \"amount\": 5}}'::purchase_history", "h"),
        "engagement_history" => ("'{\"review\": {\"2024-01-01\": 1}}'::engagement_history", "e"),
        "contact_history" => ("'[{\"on\": \"2024-01-01\"}]'::contact_history", "c"),
        "segment_policy" => ("'{\"lifecycle\": {\"cycle\": \"own\"}}'::segment_policy", "p"),
        "scenario" => ("preset_scenario('vip_advocacy')", "s"),
        "scenario[]" => ("ARRAY[s]", "array_fill(s, ARRAY[30000])"),
        "text" => ("'email'", "repeat('x', 50000000)"),
        "text[]" => ("ARRAY['email', 'letter']", "array_fill('some channel'::text, ARRAY[2000000])"),
        "jsonb" => ("'{\"email\": true}'::jsonb", "jsonb_build_object('email', repeat('x', 50000000))"),
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
        "\"any\"" => ("1", "repeat('x', 50000000)"),
        "uuid" => ("'00000000-0000-0000-0000-000000000001'::uuid", "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"),
        "bytea" => ("'\\x01'::bytea", "repeat('x', 50000000)::bytea"),
        "bigint[]" => ("ARRAY[3, 1]::bigint[]", "array_fill(1::bigint, ARRAY[6000000])"),
        "ab_result" => ("(1000, 10, 0.01, 0.005, 0.02, 5000, 5, 90000)::ab_result", "NULL::ab_result"),
        _ => return None,
    };
    Some(if large { huge } else { usual })
}

/// A row of an aggregate's argument, of many rows `i`.
fn row_argument(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        "purchase_history" | "engagement_history" | "contact_history" => return argument(type_name, true),
        "segment_policy" => "NULL::segment_policy",
        "text" => "'kind ' || i",
        "date" => "date '0001-01-01' + i % 3000000",
        "timestamp without time zone" => "timestamp '0001-01-01' + i % 3000000 * interval '1 day'",
        "timestamp with time zone" => "timestamptz '0001-01-01' + i % 3000000 * interval '1 day'",
        "integer" => "i",
        "bigint" => "i::bigint",
        "numeric" => "i / 100.0",
        "double precision" => "i::float8",
        "boolean" => "i % 2 = 0",
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
    for name in ["purchase_history", "engagement_history", "contact_history", "segment_policy", "scenario"] {
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
    for (name, types, _) in functions {
        for large in [true, false] {
            let of = |type_name: &String| {
                argument(type_name, large).unwrap_or_else(|| panic!("{name}: tell the test how to make a {type_name}"))
            };
            let arguments: Vec<_> = types.iter().map(of).collect();
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
        let of = |(position, type_name): (usize, &String)| match names.get(position).map(String::as_str) {
            // The same for all rows.
            Some("as_of") => "date '9999-12-31'",
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
