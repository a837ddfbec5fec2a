//! NULL and infinite days in every argument of every function.

use super::*;

/// Every function and aggregate of the extension, with the names of its argument types and how many have a default. Parts of
/// aggregates are not meant to be called; stored policies and segmentations, written in SQL, have tests of their own.
fn functions(client: &mut Client) -> Vec<(String, char, bool, Vec<String>, usize)> {
    let sql = "SELECT p.proname::text, p.prokind::text, p.proretset, p.pronargdefaults::int,
                      ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a(t, n) ORDER BY n)
               FROM pg_proc p
               WHERE p.pronamespace = 'rfm'::regnamespace AND p.proname !~ '^_'
                 AND p.prolang NOT IN (SELECT l.oid FROM pg_language l WHERE l.lanname IN ('sql', 'plpgsql'))
                 AND NOT ('internal'::regtype = ANY (p.proargtypes) OR 'cstring'::regtype = ANY (p.proargtypes)
                          OR p.prorettype IN ('internal'::regtype, 'cstring'::regtype))
               ORDER BY 1, p.oid";
    let rows = client.query(sql, &[]).expect("pg_proc can be read");
    rows.iter()
        .map(|row| {
            let kind = row.get::<_, &str>(1).chars().next().unwrap_or('f');
            (row.get(0), kind, row.get(2), row.get(4), row.get::<_, i32>(3) as usize)
        })
        .collect()
}

#[test]
fn all_null_calls_of_every_overload() {
    let database = Database::new("all_null");
    let mut client = client(&database);
    let functions = functions(&mut client);
    assert!(functions.iter().filter(|f| f.1 == 'a').count() > 90 && functions.len() > 170, "{}", functions.len());
    for search_path in ["rfm", "''"] {
        batch(&mut client, &format!("SET search_path = {search_path}"));
        for (name, kind, is_set, types, defaults) in &functions {
            for count in types.len() - defaults..=types.len() {
                let nulls: Vec<_> = types[..count]
                    .iter()
                    .map(|name| match name.strip_prefix("rfm.") {
                        None if name.contains("_history")
                            || name.starts_with("scenario")
                            || ["segment_policy", "purchase_model", "model_backtest[]", "ab_result"]
                                .contains(&name.as_str()) =>
                        {
                            format!("NULL::rfm.{name}")
                        }
                        _ => format!("NULL::{name}"),
                    })
                    .collect();
                let call = format!("rfm.{name}({})", nulls.join(", "));
                if *kind == 'a' {
                    for rows in [0, 1, 3] {
                        let result = value(&mut client, &format!("SELECT {call} FROM generate_series(1, {rows})"));
                        let is_history = !name.starts_with("rollup") && name.ends_with("_history");
                        let expected = match name.as_str() {
                            "proportion" => Some("(,0,,,)"),
                            "ab_result" => Some("(0,,,,,,,)"),
                            "contact_history" => (rows > 0).then_some("[]"),
                            _ => (rows > 0 && is_history).then_some("{}"),
                        };
                        assert_eq!(result.as_deref(), expected, "{call} over {rows} rows");
                        batch(
                            &mut client,
                            &format!("SELECT {call} OVER (ORDER BY i) FROM generate_series(1, {rows}) i"),
                        );
                    }
                } else {
                    batch(&mut client, &format!("SELECT * FROM {call}"));
                    batch(&mut client, &format!("SELECT {call}"));
                    if types.is_empty() || *is_set || name.starts_with("effective") {
                        continue;
                    }
                    let result = value(&mut client, &format!("SELECT {call}"));
                    let defined = ["lifecycle_state", "reachable_channels"];
                    assert!(result.is_none() || defined.contains(&name.as_str()), "{call} is {result:?}");
                }
            }
        }
    }
}

/// One NULL among good arguments, and infinite days in every place a day can stand.
#[test]
fn one_null_or_one_infinity_among_good_arguments() {
    let database = Database::new("one_null");
    let mut client = client(&database);
    for (name, kind, _, types, _) in functions(&mut client) {
        let good = |name: &str| match name {
            "date" => "date '2024-03-15'",
            "timestamp without time zone" => "timestamp '2024-03-01 12:00'",
            "timestamp with time zone" => "timestamptz '2024-03-01 12:00'",
            "numeric" => "15.25::numeric",
            "double precision" => "15.25::float8",
            "bigint" => "3::bigint",
            "integer" => "345",
            "boolean" => "true",
            "text" if name == "purchase_history" => "'paused'",
            "text" => "'paused'",
            "text[]" => "'{email}'::text[]",
            "purchase_history" => HISTORY,
            "engagement_history" => "'{\"review\": {\"2024-03-01\": 2}}'::engagement_history",
            "contact_history" => "'[{\"on\": \"2024-03-01\", \"channel\": \"email\"}]'::contact_history",
            "integer[]" => "'{1}'::integer[]",
            "bigint[]" => "'{40}'::bigint[]",
            "membership_history" => "'{\"2024-03-01\": \"paused\"}'::membership_history",
            "scenario" => "preset_scenario('at_risk_check_in')",
            "scenario[]" => "ARRAY[preset_scenario('at_risk_check_in')]",
            "segment_policy" => "'{\"vip\": {\"monetary_cut\": 10}}'::segment_policy",
            "jsonb" => "'{}'::jsonb",
            "interval" => "interval '1 month'",
            "uuid" => "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
            "purchase_model" => {
                r#"'{"model": "mbgnbd", "purchases": {"r": 0.5, "alpha": 43, "a": 0.9, "b": 1.6}, "spend": {"p": 9, "q": 3.4, "v": 8}}'::purchase_model"#
            }
            "model_backtest[]" => "'{}'::model_backtest[]",
            "ab_result" => "'(100,10,,,,50.5,,300.25)'::ab_result",
            other => panic!("no example of {other}"),
        };
        // The texts of these functions are names from lists; the plain numbers of rfm_segment are codes.
        let texts_are_labels = name.starts_with("preset_") || (name == "next_action" && types[0] == "text");
        for position in 0..types.len() {
            let mut arguments: Vec<String> = types.iter().map(|name| good(name).to_owned()).collect();
            if texts_are_labels {
                for (index, label) in ["'active'", "", "'paused'", "'drifted'"].iter().enumerate() {
                    if types.get(index).is_some_and(|name| name == "text") {
                        arguments[index] = (*label).to_owned();
                    }
                }
                if name == "preset_policy" {
                    arguments[0] = "'default'".to_owned();
                }
                if name == "preset_scenario" {
                    arguments[0] = "'vip_advocacy'".to_owned();
                }
            }
            for (index, type_name) in types.iter().enumerate() {
                let is_share = type_name == "double precision" && types.iter().any(|name| name == "purchase_model");
                if is_share || name == "churn_band" {
                    arguments[index] = format!("0.5::{type_name}");
                }
            }
            // Days that a customer can have.
            if types[0] == "integer" && types.len() > 3 && types.iter().any(|name| name == "purchase_model") {
                arguments[0] = "3".to_owned();
            }
            if name == "backtest_purchase_model" {
                arguments[2] = "date '2024-04-15'".to_owned();
            }
            if name == "dormant_response_order" {
                arguments[0] = "'{drifted}'::text[]".to_owned();
            }
            let rows = if kind == 'a' { " FROM generate_series(1, 2)" } else { "" };
            let type_name = &types[position];
            arguments[position] = format!("NULL::{type_name}");
            let sql = format!("SELECT rfm.{name}({}){rows}", arguments.join(", "));
            if let Err(error) = client.batch_execute(&sql) {
                // Orders without recency.
                let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {sql}"));
                assert_eq!(error.code().code(), "22023", "{error:?}: {sql}");
                assert!(error.message().contains("recency_days is NULL"), "{error:?}: {sql}");
            }
            if type_name == "date" || type_name.starts_with("timestamp") {
                for infinity in ["infinity", "-infinity"] {
                    arguments[position] = format!("'{infinity}'::{type_name}");
                    let sql = format!("SELECT rfm.{name}({}){rows}", arguments.join(", "));
                    let (sqlstate, message, hint) = expect_error(&mut client, &sql);
                    assert!(sqlstate == "22008" && message.ends_with(infinity) && !hint.is_empty(), "{message}: {sql}");
                }
            }
        }
    }
}
