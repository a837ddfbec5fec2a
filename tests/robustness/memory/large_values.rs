//! Values of many megabytes: refused by their size, or cancelled at once.

use super::statements::*;
use crate::common::*;
use postgres::NoTls;
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
                    let refused = sql.contains("same contact") || sql.contains("'days'") || sql.contains("'contacts'") || sql.contains("'memberships'");
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
