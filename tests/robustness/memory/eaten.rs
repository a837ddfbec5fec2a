//! Usual calls in a session whose memory is used up.

use super::limit::*;
use crate::common::*;

/// Calls of every kind, each with what it takes to load, to parse and to answer.
const CALLS: [&str; 15] = [
    "length('{\"2024-01-01\": {\"orders\": 1, \"amount\": 5}}'::purchase_history::text)",
    "length('{\"review\": {\"2024-01-01\": 1}}'::engagement_history::text)",
    "length('[{\"on\": \"2024-01-01\", \"times\": 2}]'::contact_history::text)",
    "length('{\"2024-01-01\": \"paused\"}'::membership_history::text)",
    "length('{\"lifecycle\": {\"cycle\": \"own\"}, \"learned\": {\"n\": 1}}'::segment_policy::text)",
    "(SELECT count(*) FROM segment_customer('{}', '2024-01-01', NULL, NULL, 'continuing', ARRAY['email']))",
    "length(explain_customer('{}'::purchase_history, '2024-01-01')::text)",
    "length(preset_policy('rental_90')::text)",
    "(SELECT length(purchase_history(date '2024-01-01' + i, i)::text) FROM generate_series(1, 100) i)",
    "length(preset_policy(repeat('x', 1000))::text)",
    "cardinality(reachable_channels('a@example.com', '+81 90 1234 5678', 'x', 'y', '{\"email\": true}'))",
    "length(normalized_phone('+81 90 1234 5678', 'JP')) + length(normalized_email('a@example.com'))",
    "length(ab_group(1, 'x', '[{\"group\": \"a\", \"share\": 1}]'))",
    "rfm_score(20, 3, 1000.5)",
    "p_alive(3, 60, 90, '{\"model\": \"bgnbd\", \"purchases\": {\"r\": 1, \"alpha\": 9, \"a\": 1, \"b\": 1}}')",
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
        assert!(one::<Option<i32>>(&mut client, "SELECT rfm_score(20, 3, 15000)").is_some());
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
