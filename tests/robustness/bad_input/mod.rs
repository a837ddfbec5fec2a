//! Bad input through SQL: each gets a clear error with SQLSTATE, the value and a hint, or a defined result; and the session
//! goes on after it.

mod aggregate_parts;
mod days_and_amounts;
mod documents;
mod every_function;
mod odd;
mod refused;

use crate::common::*;
use postgres::SimpleQueryMessage;

/// One customer: a good month, a return, a purchase.
const HISTORY: &str = r#"'{"2024-01-01": {"orders": 2, "amount": 30.50}, "2024-02-01": {"orders": 0, "amount": -5.00},
    "2024-03-01": {"orders": 1, "amount": 7.25}}'::purchase_history"#;

fn client(database: &Database) -> Client {
    let mut client = database.client();
    batch(&mut client, "SET client_min_messages = error");
    client
}

/// The first column of the first row as text; `None` for NULL.
#[track_caller]
fn value(client: &mut Client, sql: &str) -> Option<String> {
    let messages = match client.simple_query(sql) {
        Ok(messages) => messages,
        Err(error) => panic!("{:#?}\n{sql}", error.as_db_error()),
    };
    let row = messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.unwrap_or_else(|| panic!("no row: {sql}")).get(0).map(str::to_owned)
}
