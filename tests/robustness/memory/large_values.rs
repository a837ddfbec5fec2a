//! Values of many megabytes: refused by their size, or cancelled at once.

use super::statements::*;
use crate::common::*;
use postgres::{Client, NoTls};
use std::time::{Duration, Instant};

/// Texts and lists that are too large for what they are meant to be are refused by their size, in words.
#[test]
fn what_is_too_large_is_refused_at_once() {
    let database = Database::new("too_large");
    let mut client = database.client();
    batch(&mut client, "SET search_path = public, rfm");
    for (sql, expected) in [
        ("SELECT repeat(repeat(' ', 1000), 300000)::contact_history", "134217728 bytes, not 300000000"),
        ("SELECT repeat(repeat(' ', 1000), 300000)::purchase_history", "134217728 bytes, not 300000000"),
        ("SELECT repeat(repeat(' ', 1000), 300000)::engagement_history", "134217728 bytes, not 300000000"),
        ("SELECT repeat(repeat(' ', 1000), 300000)::membership_history", "134217728 bytes, not 300000000"),
        ("SELECT repeat(repeat(' ', 1000), 300000)::segment_policy", "262144 bytes, not 300000000"),
        ("SELECT repeat(repeat(' ', 1000), 300000)::scenario", "262144 bytes, not 300000000"),
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
        "SELECT preset_policy(repeat(repeat('x', 1000), 100000))",
        "SELECT contact_history(repeat(repeat('x', 1000), 100000), date '2024-01-01', NULL, NULL, NULL)",
        "SELECT dormancy_category(1, repeat(repeat('x', 1000), 100000))",
    ] {
        let (state, message, _) = expect_error(&mut client, sql);
        assert!(state == "22023" && message.len() < 500, "{state} {} bytes: {sql}", message.len());
    }
}

/// A cancelled statement ends soon, also within one large value.
#[test]
fn large_values_can_be_cancelled() {
    let mut client = large_values().client();
    batch(&mut client, "SET max_parallel_workers_per_gather = 0");
    // Warm, so that what is cancelled is the extension and not a disk.
    batch(&mut client, "SELECT sum(length(value)) FROM texts");
    // A hundred days of each question, so that no machine has answered before the cancellation comes.
    let text =
        |name: &str, type_name: &str| format!("SELECT value::{type_name} IS NULL FROM texts WHERE name = '{name}'");
    let mut slowest = Duration::ZERO;
    for sql in [
        text("same contact", "contact_history"),
        text("contacts", "contact_history"),
        text("kinds", "engagement_history"),
        text("days", "engagement_history"),
        text("purchases", "purchase_history"),
        text("memberships", "membership_history"),
        "SELECT count(length((m + m)::text)) FROM large, generate_series(1, 100)".to_owned(),
        "SELECT count(*) FROM large, LATERAL subscription_months(m, '9999-12-31'), generate_series(1, 100)".to_owned(),
        "SELECT count(length((h + h)::text)) FROM large, generate_series(1, 100)".to_owned(),
        "SELECT count(e + e) FROM large, generate_series(1, 100)".to_owned(),
        "SELECT count(length((c + c)::text)) FROM large, generate_series(1, 100)".to_owned(),
        "SELECT contact_history('channel ' || i, date '2000-01-01' + i % 9000, 'a', 'b', NULL) FROM generate_series(1, 900000) i".to_owned(),
        "SELECT count(*) FROM generate_series(1, 100) i, large, LATERAL channel_responses(h, c, date '9999-12-31' - i)".to_owned(),
        "SELECT count(*) FROM generate_series(1, 100) i, large, LATERAL dormant_responses(h, c, date '9999-12-31' - i, NULL, e)".to_owned(),
        "SELECT count(*) FROM generate_series(1, 100) i, large, LATERAL state_timeline(h, '0001-01-01', date '9999-12-31' - i, NULL, e) WHERE name = 'many days'".to_owned(),
        "SELECT count(*) FROM generate_series(1, 100) i, large, LATERAL segment_history(h, '0001-01-01', date '9999-12-31' - i, '40 days') WHERE name = 'many days'".to_owned(),
        "SELECT learn_policy(h, '9999-12-31', NULL) FROM large, generate_series(1, 100) i".to_owned(),
        "SELECT return_curve(h, '9999-12-31') FROM large, generate_series(1, 100) i".to_owned(),
        "SELECT explain_customer(h, '2024-01-01', NULL, e, NULL, NULL, NULL, c) FROM large, generate_series(1, 100)".to_owned(),
    ] {
        for wait in [40, 200] {
            let (outcome, late) = cancelled(&mut client, &sql, wait);
            // A text with too many entries may be refused before the cancellation comes.
            let refused = ["same contact", "'days'", "'contacts'", "'memberships'"].iter().any(|name| sql.contains(name));
            match outcome.as_ref().map_err(String::as_str) {
                Err(state) => assert!(state == "57014" || refused && state == "54000", "{state}: {sql}"),
                Ok(()) => assert!(sql.starts_with("SELECT value") && late.is_zero(), "not cancelled: {sql}"),
            }
            slowest = slowest.max(late);
        }
    }
    println!("slowest: {slowest:?}");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
}

/// A cancelled fit, backtest, forecast or prediction of many customers ends soon, whichever of its parts is running.
#[test]
fn predictions_can_be_cancelled() {
    let database = Database::new("cancelled_predictions");
    let mut client = database.client();
    batch(&mut client, "SET max_parallel_workers_per_gather = 0");
    // No two customers alike in their timing, so that there is nothing to count together.
    batch(
        &mut client,
        "CREATE TABLE buyers AS
         SELECT purchase_history(date '2015-01-01' + (i * 7919 % 2000 + k * (1 + i % 83)), 5 + i % 1000 / 7.0) AS h
         FROM generate_series(1, 150000) AS i, generate_series(0, 9) AS k
         WHERE k <= i % 10 GROUP BY i;
         CREATE TABLE models AS SELECT fit_purchase_model(h, '2022-06-30', '{\"model\": \"paretonbd\"}') AS model
         FROM (SELECT h FROM buyers LIMIT 5000) AS few;
         CREATE TABLE daily AS SELECT purchase_history(date '2000-01-01' + i, 10 + i % 7) AS h FROM generate_series(0, 8000) AS i",
    );
    // One after the other, each on another day: the cancellation comes while customers are collected, sorted or fitted.
    let each_day =
        |aggregate: &str| format!("SELECT (SELECT {aggregate} FROM buyers) FROM generate_series(0, 99) AS d");
    let fit =
        |model: &str| each_day(&format!(r#"fit_purchase_model(h, date '2022-06-30' + d, '{{"model": "{model}"}}')"#));
    let backtest = |model: &str| {
        each_day(&format!(
            r#"(backtest_purchase_model(h, date '2021-06-30' + d, date '2022-06-30' + d, '{{"model": "{model}"}}')).ratio"#
        ))
    };
    let each = |call: &str| format!("SELECT count({call}) FROM buyers, models, generate_series(0, 99) AS d");
    let of_daily =
        |call: &str| format!("SELECT count(({call}).high) FROM daily, models, generate_series(1, 1000000) AS d");
    let statements = [
        ["mbgnbd", "bgnbd", "paretonbd", "auto"].map(fit).to_vec(),
        ["mbgnbd", "paretonbd", "auto"].map(backtest).to_vec(),
        vec![
            each_day("(forecast_purchases(h, date '2022-06-30' + d, 3650, (SELECT model FROM models), 0.1)).customers"),
            each("(predict_customer(h, date '2022-06-30' + d, model, 3650, 3650)).alive_until"),
            each("explain_prediction(h, date '2022-06-30' + d, model)"),
            of_daily("value_interval(h, date '2021-12-31' + d % 1000, 3650, model)"),
            of_daily("purchases_interval(h, date '2021-12-31' + d % 1000, 3650, model)"),
            r#"SELECT expected_purchases(1000000, 1, 1, 3650, '{"model": "mbgnbd", "purchases": {"r": 1, "alpha": 0.01, "a": 0.5, "b": 1e9}}')"#.to_owned(),
        ],
    ]
    .concat();
    let mut slowest = Duration::ZERO;
    for sql in &statements {
        for wait in [40, 200, 600, 1100, 1900] {
            let (outcome, late) = cancelled(&mut client, sql, wait);
            assert_eq!(outcome, Err("57014".to_owned()), "{sql}");
            slowest = slowest.max(late);
        }
    }
    println!("slowest: {slowest:?}");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
}

/// The SQLSTATE with which a statement ends that is cancelled so many milliseconds after its start, and how long after that it
/// ended.
fn cancelled(client: &mut Client, sql: &str, wait: u64) -> (Result<(), String>, Duration) {
    let token = client.cancel_token();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(wait));
        let cancelled = Instant::now();
        token.cancel_query(NoTls).expect("the server takes a cancellation");
        cancelled
    });
    let outcome = client.simple_query(sql);
    let ended = Instant::now();
    let cancelled = canceller.join().expect("the canceller ends");
    let state = |error: postgres::Error| error.code().expect("an error of the server").code().to_owned();
    let late = ended.saturating_duration_since(cancelled);
    println!("{late:?} after the cancellation: {sql}");
    // A cancellation that came late must not end what follows.
    let _ = client.simple_query("SELECT 1");
    (outcome.map(|_| ()).map_err(state), late)
}
