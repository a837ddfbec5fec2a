//! The contact policy against plain SQL that counts contacts one by one, on a random log.

use crate::common::Database;
use std::sync::LazyLock;

/// A log, limits, and what counting says. For both tests: counting takes seconds. It goes with the server.
static SHOP: LazyLock<Database> = LazyLock::new(|| {
    let shop = Database::new("contacts");
    shop.psql(&format!("SET search_path = public, rfm; {}", include_str!("contacts.sql")));
    shop
});

/// How many rows there are, how many wait, and how many are wrong.
fn counted(database: &Database, waits: &str, wrong: &str, from: &str) -> (u32, u32, u32) {
    let sql =
        format!("SELECT count(*), count(*) FILTER (WHERE {waits}), count(*) FILTER (WHERE ({wrong})) FROM {from}");
    let counts = database.psql(&sql);
    let numbers: Vec<_> = counts.trim_end().split('|').map(|number| number.parse().expect("a number")).collect();
    (numbers[0], numbers[1], numbers[2])
}

#[test]
fn the_first_allowed_day_is_the_first_that_counting_allows() {
    let from = "asked JOIN logs USING (customer_id) CROSS JOIN policy";
    let wrong = "contact_allowed_on(log, as_of, policy, channel => channel) IS DISTINCT FROM allowed_on";
    let (rows, waiting, wrong) = counted(&SHOP, "allowed_on > as_of", wrong, from);
    assert_eq!((rows, wrong), (200 * 8 * 4, 0));
    assert!(waiting > 500 && waiting < rows - 500, "{waiting} of {rows} wait");
}

/// Who may not be contacted waits until the day it ends; whoever may gets the first channel that is not used up.
#[test]
fn the_next_action_keeps_to_the_contact_policy() {
    SHOP.psql(include_str!("contact_actions.sql"));
    let wrong = "CASE WHEN first_on > as_of
                      THEN (next_action, action_due_on) IS DISTINCT FROM ('wait', first_on) OR explained::date <> first_on
                      ELSE (next_action, action_due_on, action_channel) IS DISTINCT FROM ('onboard', as_of, free_with_all[1])
                 END";
    let (rows, waiting, wrong) = counted(&SHOP, "next_action = 'wait'", wrong, "actions");
    assert_eq!((rows, wrong), (200 * 8 * 3, 0));
    assert!(waiting > 500 && waiting < rows - 500, "{waiting} of {rows} wait");
    let (_, given_way, _) = counted(&SHOP, "action_channel = 'line' AND channels[1] = 'email'", "false", "actions");
    assert!(given_way > 100, "{given_way}");
}
