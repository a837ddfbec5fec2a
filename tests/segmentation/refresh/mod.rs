//! Refresh: whatever is done to the orders, and whatever becomes of a refresh, the tables and views end up as if they had been
//! built anew.
//!
//! The oracles know nothing of the refresh: the histories are compared with an aggregate over the orders written by hand, the
//! views with those of a second segmentation made of the same orders a moment ago.

mod changes;
mod concurrency;
mod effort;
mod interruptions;
mod keys;
mod random_changes;
mod shop_life;
mod shops;

use crate::common::*;
use crate::shop::{assert_replays, copy_customers, refresh};
use std::fmt::Write as _;

const VIEWS: [&str; 6] =
    ["shop_customers", "shop_segments", "shop_movement", "shop_transitions", "shop_cohorts", "shop_actions"];

/// A segmentation `shop` in `public`: how it was made, and its histories by hand.
#[derive(Clone, Copy)]
struct Shop {
    arguments: &'static str,
    /// SELECT of the key columns and the history.
    by_hand: &'static str,
}

impl Shop {
    fn create(&self, client: &mut Client) {
        batch(client, &format!("SELECT create_segmentation('shop', {}, track => 'trigger')", self.arguments));
    }

    fn assert_histories(&self, client: &mut Client, context: &str) {
        assert_same(client, "shop_histories", &format!("({})", self.by_hand), context);
    }

    /// Histories and all views.
    fn assert_rebuilt(&self, client: &mut Client, context: &str) {
        self.assert_histories(client, context);
        batch(client, "CREATE SCHEMA IF NOT EXISTS anew");
        batch(client, &format!("SELECT create_segmentation('shop_anew', {}, schema => 'anew')", self.arguments));
        for view in VIEWS {
            assert_same(client, view, &format!("anew.{}", view.replace("shop_", "shop_anew_")), context);
        }
        batch(client, "SELECT drop_segmentation('shop_anew')");
    }
}

/// Two relations, or SELECTs in parentheses, hold the same rows.
#[track_caller]
fn assert_same(client: &mut Client, found: &str, expected: &str, context: &str) {
    let sql = format!(
        "WITH found AS MATERIALIZED (SELECT CAST(t AS text) AS r FROM {found} AS t),
             expected AS MATERIALIZED (SELECT CAST(t AS text) AS r FROM {expected} AS t),
             differences AS ((SELECT '+ ' || r AS d FROM (TABLE found EXCEPT ALL TABLE expected) AS x)
                             UNION ALL (SELECT '- ' || r FROM (TABLE expected EXCEPT ALL TABLE found) AS x) LIMIT 10)
         SELECT string_agg(d, E'\\n') FROM differences"
    );
    let row = client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{context}: {found}: {error}"));
    if let Some(differences) = row.get::<_, Option<String>>(0) {
        panic!("{context}: {found} differs from {expected}:\n{differences}");
    }
}

/// A refresh that reads everything finds nothing left to do.
fn assert_nothing_left(client: &mut Client, context: &str) {
    batch(client, "SELECT refresh_segmentation('shop', \"full\" => true)");
    let (rebuilt, written) = (
        one::<bool>(client, "SELECT rebuilt FROM shop_status"),
        one::<i64>(client, "SELECT histories_written FROM shop_status"),
    );
    assert_eq!((rebuilt, written), (true, 0), "{context}");
}

/// Everything of a segmentation that a refresh may change but the notes.
fn contents(client: &mut Client) -> String {
    let mut sql = String::from("SELECT concat_ws(E'\\n'");
    for relation in VIEWS.iter().chain(&["shop_histories", "shop_status", "shop_policies", "shop_changes"]) {
        write!(sql, ", (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM {relation} AS t)").unwrap();
    }
    one(client, &(sql + ")"))
}

fn notes(client: &mut Client) -> String {
    one(client, "SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM shop_noted AS t")
}
