//! Random changes of the orders.

use crate::common::*;
use std::sync::LazyLock;

pub static HAS_MERGE: LazyLock<bool> = LazyLock::new(|| {
    let condition = "EXISTS (SELECT FROM pg_get_keywords() WHERE word = 'merge')"; // PostgreSQL 15
    server_has(condition, "changes of orders by MERGE; people are deleted instead")
});

impl Random {
    pub fn customer(&mut self) -> u64 {
        1 + self.below(25)
    }

    /// From 2023 to 2026, a few days after the segmentations' as_of.
    pub fn day(&mut self) -> String {
        format!("timestamptz '2023-01-01' + {} * interval '7 hours'", self.below(4500))
    }

    pub fn amount(&mut self) -> String {
        match self.below(12) {
            0 => "NULL::numeric".into(),
            1 => "0".into(),
            2 => format!("-{}.5", self.below(40)),
            _ => format!("{}.{:02}", self.below(300), self.below(100)),
        }
    }

    /// id, shop, customer_id, ordered_at, amount, discounted, order_no: now and then without a customer or day.
    pub fn row(&mut self, day: &str) -> String {
        let customer = if self.below(15) == 0 { "NULL::bigint".into() } else { self.customer().to_string() };
        format!(
            "({}, 's{}', {customer}, {day}, {}, {}, {})",
            self.below(400),
            self.below(2),
            self.amount(),
            self.of(&["true", "false", "NULL::boolean"]),
            if self.below(6) == 0 { "NULL::integer".into() } else { self.below(60).to_string() },
        )
    }

    pub fn rows(&mut self) -> String {
        let rows: Vec<String> = (0..=self.below(6))
            .map(|_| {
                let day = self.day();
                self.row(&day)
            })
            .collect();
        format!("(VALUES {}) AS r {COLUMNS}", rows.join(", "))
    }

    /// Some of the rows.
    pub fn some(&mut self) -> String {
        match self.below(3) {
            0 => format!("id % 37 = {}", self.below(37)),
            1 => format!("customer_id = {}", self.customer()),
            _ => format!("id = ANY (ARRAY(SELECT id FROM orders ORDER BY id OFFSET {} LIMIT 3))", self.below(50)),
        }
    }

    pub fn change(&mut self) -> String {
        match self.below(14) {
            0..=2 => format!("INSERT INTO orders SELECT * FROM {} ON CONFLICT DO NOTHING", self.rows()),
            3 => {
                let row = self.row("timestamptz '2019-05-05 12:00'"); // long before all others
                format!("INSERT INTO orders SELECT * FROM (VALUES {row}) AS r {COLUMNS} ON CONFLICT DO NOTHING")
            }
            4 => format!("UPDATE orders SET customer_id = {} WHERE {}", self.customer(), self.some()),
            5 => format!("UPDATE orders SET customer_id = NULL WHERE {}", self.some()),
            6 => format!("UPDATE orders SET ordered_at = {} WHERE {}", self.day(), self.some()),
            7 => format!(
                "UPDATE orders SET amount = {}, discounted = NOT discounted WHERE {}",
                self.amount(),
                self.some()
            ),
            8 => format!(
                "UPDATE orders SET order_no = {}, shop = 's{}' WHERE {}",
                self.below(60),
                self.below(2),
                self.some()
            ),
            9 => format!("DELETE FROM orders WHERE {}", self.some()),
            10 => format!(
                "INSERT INTO orders SELECT DISTINCT ON (id) * FROM {} \
                 ON CONFLICT (id, ordered_at) DO UPDATE SET customer_id = EXCLUDED.customer_id, amount = EXCLUDED.amount",
                self.rows()
            ),
            11 if *HAS_MERGE => format!(
                "MERGE INTO orders AS o USING (SELECT DISTINCT ON (id) * FROM {}) AS n ON o.id = n.id \
                 WHEN MATCHED AND n.id % 3 = 0 THEN DELETE \
                 WHEN MATCHED THEN UPDATE SET customer_id = n.customer_id, amount = n.amount, ordered_at = n.ordered_at \
                 WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.shop, n.customer_id, n.ordered_at, n.amount, n.discounted, n.order_no)",
                self.rows()
            ),
            // Three kinds of changes by one statement.
            12 => format!(
                "WITH gone AS (DELETE FROM orders WHERE {} RETURNING *), \
                      moved AS (UPDATE orders SET amount = amount + 1 WHERE id % 41 = {} AND id NOT IN (SELECT id FROM gone)) \
                 INSERT INTO orders SELECT 1000 + id, shop, {}, ordered_at, amount, discounted, order_no FROM gone \
                 ON CONFLICT DO NOTHING",
                self.some(),
                self.below(41),
                self.customer()
            ),
            _ => format!("DELETE FROM people WHERE customer_id = {}", self.customer()), // orders go by a foreign key
        }
    }

    /// What must leave no trace, or only a part of one.
    pub fn transaction(&mut self) -> String {
        let [a, b, c] = [self.change(), self.change(), self.change()];
        match self.below(9) {
            0 => format!("BEGIN; {a}; {b}; ROLLBACK"),
            1 => format!("BEGIN; {a}; SAVEPOINT s; {b}; ROLLBACK TO s; {c}; COMMIT"),
            2 => format!("BEGIN; {a}; SAVEPOINT s; {b}; RELEASE s; {c}; COMMIT"),
            3 => format!("BEGIN; {a}; SELECT refresh_segmentation('shop'); {b}; ROLLBACK"),
            4 => format!("BEGIN; {a}; SELECT refresh_segmentation('shop'); {b}; COMMIT"),
            5 => format!("BEGIN; {a}; SAVEPOINT s; SELECT refresh_segmentation('shop'); ROLLBACK TO s; {b}; COMMIT"),
            6 if self.below(3) == 0 => "TRUNCATE orders".into(),
            _ => a,
        }
    }
}

pub const COLUMNS: &str = "(id, shop, customer_id, ordered_at, amount, discounted, order_no)";
