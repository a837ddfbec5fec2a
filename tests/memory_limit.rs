//! A session without memory: whatever it calls gives a value or an error, and the server goes on. A failed allocation that
//! ends one server process would end all sessions.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Database, batch, expect_error};
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type};
use postgres::{Client, NoTls};

/// Megabytes that a session may take beyond what it has already.
const STEPS: [u64; 6] = [0, 2, 30, 110, 300, 700];

/// What a statement may answer besides a result: an error that says what is wrong. 57014 is the test's own timeout.
const ANSWERS: &[&str] = &["53200", "54000", "22P02", "22P03", "22023", "22003", "22008", "0A000", "57014", "21000"];

/// Large values, each in a row of a table, so that a session without memory can ask for them.
const LARGE: &str = r#"
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
fn argument(type_name: &str, large: bool) -> Option<&'static str> {
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
fn statements(client: &mut Client) -> Vec<String> {
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

/// The process of a session.
fn process(client: &mut Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).expect("a session").get(0)
}

/// Lets a process take so many kilobytes more than it has, or as many as it likes; `false` where that cannot be done here.
fn limit(process: i32, kilobytes: Option<u64>) -> bool {
    let folder = format!("/proc/{process}");
    let (Ok(status), Ok(owner)) = (fs::read_to_string(format!("{folder}/status")), fs::metadata(&folder)) else {
        return false;
    };
    let size =
        status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let size = size.expect("a process has a size") << 10;
    let bytes = kilobytes.map_or("unlimited".to_owned(), |kilobytes| (size + (kilobytes << 10)).to_string());
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &process.to_string(), &format!("--as={bytes}:unlimited")]);
    // Root without all its rights may become the server's user, who may.
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != owner.uid()) {
        prlimit.uid(owner.uid()).gid(owner.gid()).current_dir("/");
    }
    prlimit.status().is_ok_and(|status| status.success())
}

/// Limits the memory of a session once its library is loaded: to so many kilobytes more than it has. Its process; `None`,
/// said in words, where that cannot be done here.
fn limited(client: &mut Client, kilobytes: u64) -> Option<i32> {
    batch(
        client,
        "SET statement_timeout = '10s'; SET max_parallel_workers_per_gather = 0; SET client_min_messages = error;
         SELECT recency_days('{}'::purchase_history, '2024-01-01')",
    );
    let process = process(client);
    if limit(process, Some(kilobytes)) {
        return Some(process);
    }
    eprintln!(
        "skipped: the memory of a server process cannot be limited here (needs Linux, prlimit and the server's user)"
    );
    None
}

/// The SQLSTATE of an answer, empty for a result. Anything but an answer fails the test.
#[track_caller]
fn state_of<T>(outcome: Result<T, postgres::Error>, what: &str, megabytes: u64) -> String {
    let Err(error) = outcome else { return String::new() };
    let Some(error) = error.as_db_error() else {
        panic!("with {megabytes} MB the server died: {error}: {what}");
    };
    let state = error.code().code();
    assert!(ANSWERS.contains(&state), "with {megabytes} MB: {state} {}: {what}", error.message());
    state.to_owned()
}

/// What the other tests ask at the end: a session that was there before still is.
fn assert_alive(watcher: &mut Client) {
    assert_eq!(watcher.query_one("SELECT 1", &[]).expect("the server went on").get::<_, i32>(0), 1);
}

#[test]
fn no_function_ends_the_server() {
    let database = Database::new("memory");
    let mut watcher = database.client();
    batch(&mut watcher, LARGE);
    let statements = statements(&mut watcher);
    for megabytes in STEPS {
        let mut client = database.client();
        if limited(&mut client, megabytes << 10).is_none() {
            return;
        }
        let mut counts = std::collections::BTreeMap::new();
        for sql in &statements {
            let outcome = client.simple_query(sql);
            *counts.entry(state_of(outcome, sql, megabytes)).or_insert(0) += 1;
        }
        println!("{megabytes} MB: {counts:?}");
        // Some answers want more than there is, or less: otherwise the limit was none.
        assert!(megabytes > 2 || counts.contains_key("53200"), "{counts:?}");
        assert!(megabytes < 70 || counts[""] > statements.len() / 4, "{counts:?}");
        assert_alive(&mut watcher);
    }
}

/// Bytes as they are, for a parameter of any type.
#[derive(Debug)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

/// The binary protocol, in both directions.
#[test]
fn no_binary_value_ends_the_server() {
    let database = Database::new("memory_binary");
    let mut watcher = database.client();
    batch(&mut watcher, LARGE);
    let types = ["purchase_history", "engagement_history", "contact_history", "segment_policy", "scenario"];
    let mut values = Vec::new();
    for type_name in types {
        let column = argument(type_name, true).expect("a column");
        let sql = format!("SELECT {type_name}_send({column}) FROM large WHERE {column} IS NOT NULL");
        let sent = watcher.query(&sql, &[]).expect("the values can be sent");
        values.extend(sent.iter().map(|row| (type_name, Raw(row.get(0)))));
        // Zeros are entries of no length, up to the end.
        values.push((type_name, Raw([vec![1, 0], vec![0; 50_000_000]].concat())));
        values.push((type_name, Raw([vec![1], vec![b'['; 50_000_000]].concat())));
    }
    for megabytes in STEPS {
        let mut client = database.client();
        // The driver looks up the types of a statement when it is prepared, which needs memory too.
        let prepared: Vec<_> = values
            .iter()
            .map(|(type_name, value)| {
                let sql = format!("SELECT $1::{type_name} IS NULL");
                (client.prepare(&sql).expect("it can be prepared"), value)
            })
            .collect();
        let all = client.prepare("SELECT h, e, c, p, s FROM large").expect("it can be prepared");
        if limited(&mut client, megabytes << 10).is_none() {
            return;
        }
        let mut counts = std::collections::BTreeMap::new();
        for (statement, value) in &prepared {
            let outcome = client.query(statement, &[value]);
            *counts.entry(state_of(outcome, "a binary value", megabytes)).or_insert(0) += 1;
        }
        let outcome = client.query(&all, &[]);
        *counts.entry(state_of(outcome, "binary results", megabytes)).or_insert(0) += 1;
        println!("{megabytes} MB: {counts:?}");
        assert_alive(&mut watcher);
    }
}

/// Calls of every kind, each with what it takes to load, to parse and to answer.
const CALLS: [&str; 12] = [
    "length('{\"2024-01-01\": {\"orders\": 1, \"amount\": 5}}'::purchase_history::text)",
    "length('{\"review\": {\"2024-01-01\": 1}}'::engagement_history::text)",
    "length('[{\"on\": \"2024-01-01\", \"times\": 2}]'::contact_history::text)",
    "length('{\"lifecycle\": {\"cycle\": \"own\"}, \"learned\": {\"n\": 1}}'::segment_policy::text)",
    "(SELECT count(*) FROM segment_customer('{}', '2024-01-01', NULL, NULL, 'continuing', ARRAY['email']))",
    "length(explain_customer('{}'::purchase_history, '2024-01-01')::text)",
    "length(preset_policy('rental_90')::text)",
    "(SELECT length(purchase_history(date '2024-01-01' + i, i)::text) FROM generate_series(1, 100) i)",
    "length(preset_policy(repeat('x', 1000))::text)",
    "cardinality(reachable_channels('a@example.com', '+81 90 1234 5678', 'x', 'y', '{\"email\": true}'))",
    "length(ab_group(1, 'x', '[{\"group\": \"a\", \"share\": 1}]'))",
    "rfm_score(20, 3, 1000.5)",
];

/// Eats the memory of a session with PostgreSQL's own values, down to pieces of so many bytes; they stay.
fn eat(client: &mut Client, eaten: &mut usize, least: usize) -> usize {
    let (mut size, mut bytes) = (8 << 20, 0);
    while size >= least {
        let sql = format!("PREPARE eaten{eaten} AS SELECT '{}'", "x".repeat(size));
        match state_of(client.batch_execute(&sql), "PREPARE", 0).as_str() {
            "" => {
                *eaten += 1;
                bytes += size;
            }
            _ => size /= 2,
        }
    }
    bytes
}

/// A session eats all its memory with PostgreSQL's own values and holds it while it calls.
#[test]
fn a_session_without_any_memory_gets_errors() {
    let database = Database::new("memory_eaten");
    let mut watcher = database.client();
    let mut refused = 0;
    for (megabytes, least) in [(0, 1024), (20, 1 << 18), (20, 1 << 13), (20, 256), (64, 1 << 16), (64, 256)] {
        let mut client = database.client();
        let Some(process) = limited(&mut client, megabytes << 10) else { return };
        let (mut eaten, mut counts) = (0, std::collections::BTreeMap::new());
        // What a call gave back is eaten before the next ones.
        for _ in 0..4 {
            let bytes = eat(&mut client, &mut eaten, least);
            *counts.entry("bytes eaten".to_owned()).or_insert(0) += bytes;
            for call in CALLS {
                let state = state_of(client.simple_query(&format!("SELECT {call}")), call, megabytes);
                refused += usize::from(state == "53200");
                *counts.entry(state).or_insert(0) += 1;
            }
        }
        println!("{megabytes} MB to pieces of {least}: {counts:?}");
        assert_alive(&mut watcher);
        // The memory is there again, and so are the answers.
        assert!(limit(process, None));
        let score = client.query_one("SELECT rfm_score(20, 3, 15000)", &[]).expect("the session goes on");
        assert!(score.get::<_, Option<i32>>(0).is_some());
    }
    assert!(refused > 0);
}

/// Every amount of memory is too little for something: from none on in small steps.
#[test]
fn no_amount_of_memory_ends_the_server() {
    let database = Database::new("memory_steps");
    let mut watcher = database.client();
    let mut counts = std::collections::BTreeMap::new();
    for step in 0..96 {
        let mut client = database.client();
        if limited(&mut client, step * 128).is_none() {
            return;
        }
        for call in CALLS {
            let state = state_of(client.simple_query(&format!("SELECT {call}")), call, step / 8);
            *counts.entry(state).or_insert(0) += 1;
        }
    }
    println!("{counts:?}");
    assert_alive(&mut watcher);
}

/// Texts and lists that are too large for what they are meant to be are refused by their size, in words.
#[test]
fn what_is_too_large_is_refused_at_once() {
    let database = Database::new("too_large");
    let mut client = database.client();
    batch(&mut client, "SET search_path = public, rfm");
    for (sql, expected) in [
        ("SELECT repeat(' ', 300000000)::contact_history", "134217728 bytes, not 300000000"),
        ("SELECT repeat(' ', 300000000)::purchase_history", "134217728 bytes, not 300000000"),
        ("SELECT repeat(' ', 300000000)::engagement_history", "134217728 bytes, not 300000000"),
        ("SELECT repeat(' ', 300000000)::segment_policy", "262144 bytes, not 300000000"),
        ("SELECT repeat(' ', 300000000)::scenario", "262144 bytes, not 300000000"),
        (
            "SELECT ('[' || repeat('{\"on\":\"2024-01-01\"},', 1000000) || '{\"on\":\"2024-01-01\"}]')::contact_history",
            "1000000 entries",
        ),
        (
            "SELECT ('[\"' || repeat('x', 300000) || '\"]')::contact_history",
            "a text or number within a contact_history",
        ),
        (
            "SELECT reachable_channels(consents => jsonb_build_object('email', repeat('x', 1000000)))",
            "consents take at most",
        ),
        (
            "SELECT reachable_channels(consents => '{\"email\": 1e131000, \"line\": 1e131000, \"sms\": 1e131000}')",
            "262144 bytes",
        ),
        ("SELECT ab_group(1, 'x', jsonb_build_array(repeat('x', 1000000)))", "groups take at most"),
        (
            "SELECT * FROM segment_customer('{}', '2024-01-01', channels => array_fill('email'::text, ARRAY[200000]))",
            "channels take at most",
        ),
        (
            "SELECT * FROM due_steps(array_fill(preset_scenario('vip_advocacy'), ARRAY[10000]), '{}', '2024-01-01')",
            "scenarios take at most",
        ),
    ] {
        let (state, message, _) = expect_error(&mut client, sql);
        assert!(state == "54000" && message.contains(expected), "{state} {message}: {sql}");
    }
    // However long a name is, its error is short.
    for sql in [
        "SELECT preset_policy(repeat('x', 100000000))",
        "SELECT contact_history(repeat('x', 100000000), date '2024-01-01', NULL, NULL, NULL)",
        "SELECT dormancy_category(1, repeat('x', 100000000))",
    ] {
        let (state, message, _) = expect_error(&mut client, sql);
        assert!(state == "22023" && message.len() < 500, "{state} {} bytes: {sql}", message.len());
    }
}

/// A cancelled statement ends soon, also within one large value.
#[test]
fn large_values_can_be_cancelled() {
    let database = Database::new("cancel");
    let mut client = database.client();
    batch(&mut client, "SET max_parallel_workers_per_gather = 0");
    batch(&mut client, LARGE);
    // Warm, so that what is cancelled is the extension and not a disk.
    batch(&mut client, "SELECT sum(length(value)) FROM texts");
    let text =
        |name: &str, type_name: &str| format!("SELECT value::{type_name} IS NULL FROM texts WHERE name = '{name}'");
    let mut slowest = Duration::ZERO;
    for sql in [
        text("same contact", "contact_history"),
        text("contacts", "contact_history"),
        text("kinds", "engagement_history"),
        text("days", "engagement_history"),
        text("purchases", "purchase_history"),
        "SELECT count(length((h + h)::text)) FROM large, generate_series(1, 100)".to_owned(),
        "SELECT count(e + e) FROM large, generate_series(1, 100)".to_owned(),
        "SELECT count(length((c + c)::text)) FROM large, generate_series(1, 100)".to_owned(),
        "SELECT contact_history('channel ' || i, date '2000-01-01' + i % 9000, 'a', 'b', NULL) FROM generate_series(1, 900000) i".to_owned(),
        "SELECT count(*) FROM large, LATERAL state_timeline(h, '0001-01-01', '9999-12-31', NULL, e) WHERE name = 'many days'".to_owned(),
        "SELECT count(*) FROM large, LATERAL segment_history(h, '0001-01-01', '9999-12-31', '40 days') WHERE name = 'many days'".to_owned(),
        "SELECT learn_policy(h, '9999-12-31', NULL) FROM large, generate_series(1, 100) i".to_owned(),
        "SELECT explain_customer(h, '2024-01-01', NULL, e, NULL, NULL, NULL, c) FROM large, generate_series(1, 100)".to_owned(),
    ] {
        for wait in [40, 200] {
            let token = client.cancel_token();
            let canceller = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(wait));
                let cancelled = Instant::now();
                token.cancel_query(NoTls).expect("the server takes a cancellation");
                cancelled
            });
            let outcome = client.simple_query(&sql);
            let ended = Instant::now();
            let cancelled = canceller.join().expect("the canceller ends");
            match outcome {
                Err(error) => {
                    let state = error.code().map(|state| state.code().to_owned());
                    let refused = sql.contains("same contact") || sql.contains("'days'") || sql.contains("'contacts'");
                    // A text with too many entries may be refused before the cancellation comes.
                    assert!(state.as_deref() == Some("57014") || refused && state.as_deref() == Some("54000"), "{error:?}: {sql}");
                }
                Ok(_) => assert!(sql.starts_with("SELECT value") && ended < cancelled, "not cancelled: {sql}"),
            }
            let late = ended.saturating_duration_since(cancelled);
            println!("{late:?} after the cancellation: {sql}");
            slowest = slowest.max(late);
            // A cancellation that came late must not end what follows.
            let _ = client.simple_query("SELECT 1");
        }
    }
    println!("slowest: {slowest:?}");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
}
