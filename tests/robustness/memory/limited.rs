//! Large values in a session of limited memory.

use super::limit::*;
use super::statements::*;
use crate::common::*;

/// Megabytes that a session may take beyond what it has already.
const STEPS: [u64; 6] = [0, 2, 30, 110, 300, 700];

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
        values.extend(sent.iter().map(|row| (type_name, row.get::<_, Vec<u8>>(0))));
        // Zeros are entries of no length, up to the end.
        values.push((type_name, [vec![1, 0], vec![0; 50_000_000]].concat()));
        values.push((type_name, [vec![1], vec![b'['; 50_000_000]].concat()));
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
            let outcome = client.query(statement, &[&Bytes(value)]);
            *counts.entry(state_of(outcome, "a binary value", megabytes)).or_insert(0) += 1;
        }
        let outcome = client.query(&all, &[]);
        *counts.entry(state_of(outcome, "binary results", megabytes)).or_insert(0) += 1;
        println!("{megabytes} MB: {counts:?}");
        assert_alive(&mut watcher);
    }
}
