//! Policies and scenarios that are not what they should be: the error names the place.

use super::*;
use serde_json::{Value, json};

/// Walks through the whole policy and puts every other kind of JSON in every place: an error names the place, or the value
/// is accepted and used.
#[test]
fn every_place_of_a_policy_with_every_kind_of_json() {
    let database = Database::new("policy_walk");
    let mut client = client(&database);
    let text = value(&mut client, "SELECT effective_policy(NULL)").expect("the default policy");
    let effective: Value = serde_json::from_str(&text).expect("JSON");
    let mut places = Vec::new();
    collect_places(&effective, &mut Vec::new(), &mut places);
    assert!(places.len() > 250, "{}", places.len());
    let read = client.prepare("SELECT $1::text::segment_policy::text").expect("a cast");
    let used = client
        .prepare("SELECT count(*) FROM segment_customer(NULL, '2024-01-01', $1::text::segment_policy)")
        .expect("a function");
    let (mut refused, mut accepted, mut wrong) = (0, 0, Vec::new());
    // Rules are many and alike: of them a few suffice.
    places.retain(|place| place.iter().all(|step| step.as_u64().is_none_or(|position| position < 3)));
    for place in places {
        let path = path_of(&place);
        let within_when = path.split(".when").next().unwrap_or_default().to_owned();
        for other in kinds_of_json() {
            let mut changed = effective.clone();
            let slot = slot(&mut changed, &place);
            let (before, unchanged) = (slot.clone(), *slot == other);
            *slot = other.clone();
            if unchanged {
                continue;
            }
            let text = changed.to_string();
            match client.query_one(&read, &[&text]) {
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {path} = {other}"));
                    refused += 1;
                    if error.code().code() != "22P02" || !error.message().contains(&within_when) {
                        wrong.push(format!("{path} = {other}: {} {}", error.code().code(), error.message()));
                    }
                }
                Ok(_) => match client.query_one(&used, &[&text]) {
                    Ok(_) => accepted += 1,
                    Err(error) => {
                        let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {path} = {other}"));
                        refused += 1;
                        let parent = path.rsplit_once(['.', '[']).map_or(path.as_str(), |(parent, _)| parent);
                        // Cuts and ranges are judged as a whole.
                        if error.code().code() != "22023" || !error.message().contains(parent.trim_end_matches("[0")) {
                            wrong.push(format!(
                                "{path} = {other}, not {before}: {} {}",
                                error.code().code(),
                                error.message()
                            ));
                        }
                    }
                },
            }
        }
    }
    println!("{refused} refused, {accepted} accepted");
    assert!(refused > 1_000 && accepted > 50, "{refused} refused, {accepted} accepted");
    assert!(wrong.is_empty(), "{} of {refused}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The same for a scenario.
#[test]
fn every_place_of_a_scenario_with_every_kind_of_json() {
    let database = Database::new("scenario_walk");
    let mut client = client(&database);
    let text = value(&mut client, "SELECT preset_scenario('dissatisfied')").expect("a preset");
    let scenario: Value = serde_json::from_str(&text).expect("JSON");
    let mut places = Vec::new();
    collect_places(&scenario, &mut Vec::new(), &mut places);
    assert!(places.len() > 30, "{}", places.len());
    let read = client.prepare("SELECT $1::text::scenario::text").expect("a cast");
    let used = client
        .prepare("SELECT count(*) FROM due_steps(ARRAY[$1::text::scenario], NULL, '2024-01-01')")
        .expect("a function");
    let (mut refused, mut accepted, mut wrong) = (0, 0, Vec::new());
    for place in places {
        let path = path_of(&place);
        let within = path.split("enter_when.").next().unwrap_or_default().trim_end_matches('.');
        for other in kinds_of_json() {
            let mut changed = scenario.clone();
            *slot(&mut changed, &place) = other.clone();
            let text = changed.to_string();
            match client.query_one(&read, &[&text]) {
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {path} = {other}"));
                    refused += 1;
                    // Channels and steps are judged as a whole.
                    let within = within.rsplit_once('[').map_or(within, |(list, _)| list);
                    if error.code().code() != "22P02" || !error.message().contains(within) || error.hint().is_none() {
                        wrong.push(format!("{path} = {other}: {} {}", error.code().code(), error.message()));
                    }
                }
                Ok(_) => {
                    client.query_one(&used, &[&text]).unwrap_or_else(|error| panic!("{error}: {path} = {other}"));
                    accepted += 1;
                }
            }
        }
    }
    println!("{refused} refused, {accepted} accepted");
    assert!(refused > 200 && accepted > 20, "{refused} refused, {accepted} accepted");
    assert!(wrong.is_empty(), "{} of {refused}:\n{}", wrong.len(), wrong.join("\n"));
}

fn kinds_of_json() -> [Value; 9] {
    [json!(null), json!(true), json!(-1), json!(1.5), json!("x"), json!([]), json!({}), json!([[1]]), json!({"x": 1})]
}

/// A place in a document.
fn slot<'a>(document: &'a mut Value, place: &[Value]) -> &'a mut Value {
    place.iter().fold(document, |value, step| match step.as_u64() {
        Some(position) => &mut value[position as usize],
        None => &mut value[step.as_str().unwrap_or_default()],
    })
}

fn collect_places(value: &Value, place: &mut Vec<Value>, places: &mut Vec<Vec<Value>>) {
    let mut step = |step: Value, inner: &Value| {
        place.push(step);
        places.push(place.clone());
        collect_places(inner, place, places);
        place.pop();
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(position, item)| step(json!(position), item)),
        Value::Object(entries) => entries.iter().for_each(|(key, item)| step(json!(key), item)),
        _ => {}
    }
}

fn path_of(place: &[Value]) -> String {
    let mut path = String::new();
    for step in place {
        match step.as_str() {
            Some(key) if path.is_empty() => path.push_str(key),
            Some(key) => path.push_str(&format!(".{key}")),
            None => path.push_str(&format!("[{step}]")),
        }
    }
    path
}

/// What a policy's number is, its error says: the place, and nothing of amounts and currencies.
#[test]
fn errors_of_policy_numbers_name_the_place() {
    let database = Database::new("policy_numbers");
    let mut client = client(&database);
    let mut wrong = Vec::new();
    for (number, path) in [
        ("1e400", "rfm.monetary_cuts"),
        ("1e-21", "rfm.monetary_cuts"),
        ("1e39", "vip.monetary_cut"),
        ("1e400", "lifecycle.dormant_after_days"),
        ("5316911983139663491615228241121378304", "vip.value_weight"),
        ("-1e-30", "learned.x"),
    ] {
        let (group, key) = path.split_once('.').expect("two steps");
        let number = if key.ends_with("cuts") { format!("[{number}]") } else { number.to_owned() };
        for cast in ["", "::jsonb"] {
            let sql = format!(r#"SELECT '{{"{group}": {{"{key}": {number}}}}}'{cast}::segment_policy"#);
            match client.simple_query(&sql) {
                Ok(_) => wrong.push(format!("{sql} is accepted")),
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {sql}"));
                    if !error.message().contains(path) || error.hint().is_some_and(|hint| hint.contains("currency")) {
                        wrong.push(format!("{sql}: {} {} {:?}", error.code().code(), error.message(), error.hint()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// PostgreSQL has no text with a zero byte, and its jsonb none with \u0000.
#[test]
fn a_policy_has_no_zero_bytes() {
    let database = Database::new("zero_byte");
    let mut client = client(&database);
    for text in [
        r#"{"segments": {"rules": [], "default": "a\u0000b"}}"#,
        r#"{"segments": {"rules": [{"name": "\u0000", "any": [{}]}]}}"#,
        r#"{"relation": {"kinds": {"a\u0000": {"weight": 1, "cap": 1}}}}"#,
        r#"{"contact": {"channels": ["a\u0000"]}}"#,
        r#"{"learned": {"note": "\u0000"}}"#,
    ] {
        let (sqlstate, message, _) = expect_error(&mut client, &format!("SELECT '{text}'::segment_policy"));
        assert_eq!(sqlstate, "22P02", "{message}: {text}");
    }
}

/// serde_json passes numbers on as objects with a key of its own: such a key must not turn into a number.
#[test]
fn a_key_of_serde_json_is_refused() {
    let database = Database::new("serde_key");
    let mut client = client(&database);
    let sql = r#"SELECT '{"vip": {"monetary_cut": {"$serde_json::private::Number": "5"}}}'::segment_policy"#;
    let (sqlstate, message, _) = expect_error(&mut client, sql);
    assert!(sqlstate == "22P02" && message.contains("a key is reserved"), "{sqlstate} {message}");
}

/// jsonb may be nested deeper than the policy's reader goes.
#[test]
fn deeply_nested_jsonb_is_refused() {
    let database = Database::new("deep_jsonb");
    let mut client = client(&database);
    for depth in [128, 1_000, 6_000] {
        let sql = format!(
            "SELECT (('{{\"learned\": {{\"a\": ' || repeat('[', {depth}) || repeat(']', {depth}) || '}}}}')::jsonb)::segment_policy"
        );
        let (sqlstate, message, _) = expect_error(&mut client, &sql);
        assert_eq!(sqlstate, "22P02", "{message}");
        assert!(message.len() < 300, "{message}");
        let sql = sql.replace("::jsonb", "::text");
        let (sqlstate, message, _) = expect_error(&mut client, &sql);
        assert_eq!(sqlstate, "22P02", "{message}");
        assert!(message.len() < 300, "{message}");
    }
    let deepest = "SELECT effective_policy(('{\"learned\": {\"a\": ' || repeat('[', 100) || repeat(']', 100) || '}}')::segment_policy)::segment_policy IS NULL";
    assert_eq!(value(&mut client, deepest).as_deref(), Some("f"));
}

/// A policy with thousands of mistakes is told of a few.
#[test]
fn an_error_of_many_contradictions_stays_readable() {
    let database = Database::new("many_contradictions");
    let mut client = client(&database);
    let sql = r#"SELECT rfm_segment(555, ('{"segments": {"rules": [' || string_agg('{"name": "a", "any": []}', ',') || ']}}')::segment_policy)
        FROM generate_series(1, 10000)"#;
    let (sqlstate, message, _) = expect_error(&mut client, sql);
    assert_eq!(sqlstate, "22023");
    assert!(message.contains("segments.rules[1]"), "{}", &message[..200]);
    assert!(message.len() < 4_000, "the message has {} bytes", message.len());
}
