//! How PostgreSQL gets at an answer never changes it: the order of the rows, partial states and who merges them, workers,
//! hashing, sorting and spilling, windows, the round trip of a stored value.

mod hashing;
mod partial_states;
mod properties;
mod stored_values;
mod windows;
mod workers;

use crate::common::*;
use crate::random_shop;

/// Nothing but the rows decides: one process, sorted or hashed as the planner likes.
const SERIAL: &str = "SET max_parallel_workers_per_gather = 0; SET jit = off;";

/// The planner takes as many workers as it may, for tables of any size, and has them do the collecting.
const EAGER: &str = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
                     SET cpu_operator_cost = 1; SET jit = off;";

/// A policy that differs from the default in whatever the aggregates use.
const POLICY: &str = r#"'{"frequency": "purchase_days", "lifecycle": {"cycle": "own"},
                          "rfm": {"recency_cuts": [7, 30, 90], "frequency_cuts": [1, 1, 2, 4, 8],
                                  "monetary_cuts": [999.99, 5000]},
                          "vip": {"monetary_cut": 20000, "untracked_min_value_score": 60}}'::segment_policy"#;

/// A query over a table, one row a customer. `{order}` becomes nothing, or an ORDER BY within the aggregates.
struct Question {
    table: &'static str,
    columns: &'static [&'static str],
}

const MAIN_AGGREGATES: &[&str] = &[
    "rfm_score(ordered_on, amount, '2025-06-30'::date, <policy> {order})",
    "lifecycle_state(ordered_on, amount, '2025-06-30'::date, <policy> {order})",
    "vip_score(ordered_on, amount, '2025-06-30'::date, <policy> {order})",
    "next_action(ordered_on, amount, '2025-06-30'::date, <policy> {order})",
];

/// Every aggregate, each type of day and of amount once or more.
const QUESTIONS: &[Question] = &[
    Question {
        table: "orders",
        columns: &[
            "purchase_history(ordered_on, amount {order})",
            "purchase_history(ordered_on, amount, discounted, is_purchase {order})",
            "purchase_history(at, float, discounted, is_purchase {order})",
            "purchase_history(at_tz, whole {order})",
        ],
    },
    Question { table: "orders", columns: MAIN_AGGREGATES },
    Question {
        table: "orders",
        columns: &[
            "rfm_score(ordered_on, amount, '2025-05-31'::date {order})",
            "lifecycle_state(at, float, '2025-05-31'::date {order})",
            "vip_score(at_tz, whole, '2025-05-31'::date, preset_policy('annual_365') {order})",
            "next_action(at_tz, amount, '2025-05-31'::date {order})",
        ],
    },
    Question { table: "events", columns: &["engagement_history(kind, happened_on {order})"] },
    Question { table: "monthly", columns: &["rollup(h {order})", "rollup(d {order})"] },
    Question { table: "monthly_events", columns: &["rollup(e {order})"] },
    Question { table: "events", columns: &["contact_history(kind, happened_on, scenario, step, test_group {order})"] },
    Question { table: "monthly_contacts", columns: &["rollup(c {order})"] },
    Question { table: "entries", columns: &["membership_history(membership, since {order})"] },
    Question { table: "yearly_entries", columns: &["rollup(m {order})"] },
];

impl Question {
    fn query(&self) -> String {
        self.ordered(self.table, "")
    }

    fn ordered(&self, from: &str, order: &str) -> String {
        let columns = self.columns.join(", ").replace("<policy>", POLICY).replace("{order}", order);
        format!("SELECT customer_id, {columns} FROM {from} GROUP BY customer_id")
    }
}

/// One line for all rows of a query, whatever their order: their number and a digest of their text.
fn digest(query: &str) -> String {
    format!("SELECT count(*), md5(string_agg(q::text, E'\\n' ORDER BY q::text COLLATE \"C\")) FROM ({query}) AS q")
}

/// The random shop of tests/reference, dense where rules turn, in tables of its own:
/// orders, events, which serve as contacts too; their histories by month (monthly, monthly_events, monthly_contacts); customers with one value of each type.
struct Shop {
    database: Database,
}

impl Shop {
    fn new(name: &str) -> Self {
        let database = Database::new(name);
        let mut client = database.client();
        random_shop::load(&mut client, 700, 20);
        batch(&mut client, &include_str!("shop.sql").replace(":policy", POLICY));
        Shop { database }
    }

    /// The digest of a query's rows under some settings.
    fn answer(&self, settings: &str, query: &str) -> String {
        let answer = self.database.psql(&format!("{settings} {}", digest(query)));
        assert!(!answer.starts_with("0|"), "no rows: {query}");
        answer
    }

    fn explain(&self, settings: &str, query: &str) -> String {
        self.database.psql(&format!("{settings} EXPLAIN (COSTS off) {}", digest(query)))
    }

    /// Every row of the query is true, and there are rows.
    #[track_caller]
    fn holds(&self, query: &str) {
        let answer = self.database.psql(&format!(
            "{SERIAL} SELECT count(*) > 0, count(*) FILTER (WHERE holds IS NOT TRUE) FROM ({query}) AS q (holds)"
        ));
        assert_eq!(answer.trim_end(), "t|0", "{query}");
    }
}
