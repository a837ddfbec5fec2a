//! Large values in a session of limited memory.

use super::limit::*;
use super::statements::*;
use crate::common::*;
use postgres::Statement;
use std::collections::BTreeMap;
use std::thread;

/// Megabytes that a session may take beyond what it has already. A case is asked with more and more of them until it has enough:
/// an answer that is not 53200 stays the same from there on.
const STEPS: [u64; 6] = [0, 2, 30, 110, 300, 700];

#[test]
fn no_function_ends_the_server() {
    let statements = statements(&mut large_values().client());
    // In two sessions at the same time, each with every other statement.
    thread::scope(|scope| {
        for first in 0..2 {
            let mine = statements.iter().skip(first).step_by(2).collect();
            scope.spawn(move || no_statement_ends_the_server(mine));
        }
    });
}

fn no_statement_ends_the_server(mut wanting: Vec<&String>) {
    let database = large_values();
    let mut watcher = database.client();
    let (all, mut results) = (wanting.len(), 0);
    for megabytes in STEPS {
        let mut client = database.client();
        if limited(&mut client, megabytes << 10).is_none() {
            return;
        }
        let mut counts = BTreeMap::new();
        wanting.retain(|sql| {
            let state = state_of(client.simple_query(sql), sql, megabytes);
            *counts.entry(state.clone()).or_insert(0) += 1;
            state == "53200"
        });
        println!("{megabytes} MB: {counts:?}");
        results += counts.get("").unwrap_or(&0);
        // Some answers want more than there is, or less: otherwise the limit was none.
        assert!(megabytes > 2 || counts.contains_key("53200"), "{counts:?}");
        assert!(megabytes < 70 || results > all / 4, "{results} results, {counts:?}");
        assert_alive(&mut watcher);
    }
}

/// The binary protocol, in both directions.
#[test]
fn no_binary_value_ends_the_server() {
    let database = large_values();
    let mut watcher = database.client();
    let mut values = Vec::new();
    for type_name in STORED_TYPES {
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
        let read: BTreeMap<&str, Statement> = STORED_TYPES
            .map(|type_name| (type_name, client.prepare(&format!("SELECT $1::{type_name} IS NULL")).expect("a cast")))
            .into();
        let all = client.prepare("SELECT h, e, c, m, p, s, l FROM large").expect("it can be prepared");
        if limited(&mut client, megabytes << 10).is_none() {
            return;
        }
        let mut counts = BTreeMap::new();
        values.retain(|(type_name, value)| {
            let state = state_of(client.query(&read[type_name], &[&Bytes(value)]), "a binary value", megabytes);
            *counts.entry(state.clone()).or_insert(0) += 1;
            state == "53200"
        });
        *counts.entry(state_of(client.query(&all, &[]), "binary results", megabytes)).or_insert(0) += 1;
        println!("{megabytes} MB: {counts:?}");
        assert_alive(&mut watcher);
    }
}
