//! Refresh: whatever is done to the orders, and whatever becomes of a refresh, the tables and views end up as if they had been
//! built anew.
//!
//! The oracles know nothing of the refresh: the histories are compared with an aggregate over the orders written by hand, the
//! views with those of a second segmentation made of the same orders a moment ago.

mod common;

use common::{Database, batch, expect_error, server_has, server_has_extension};
use postgres::error::SqlState;
use postgres::{Client, NoTls, SimpleQueryMessage};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

// ---- What is compared -------------------------------------------------------------------------------------------

const VIEWS: [&str; 5] = ["shop_customers", "shop_segments", "shop_movement", "shop_cohorts", "shop_actions"];

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

fn refresh(client: &mut Client) {
    batch(client, "SELECT rfm.refresh_segmentation('shop')");
}

fn one<T: for<'a> postgres::types::FromSql<'a>>(client: &mut Client, sql: &str) -> T {
    client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{error}: {sql}")).get(0)
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
    for relation in VIEWS.iter().chain(&["shop_histories", "shop_status", "shop_policies"]) {
        write!(sql, ", (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM {relation} AS t)").unwrap();
    }
    one(client, &(sql + ")"))
}

fn notes(client: &mut Client) -> String {
    one(client, "SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM shop_noted AS t")
}

fn quiet(database: &Database) -> Client {
    let mut client = database.client();
    batch(&mut client, "SET client_min_messages = warning");
    client
}

// ---- Random changes ---------------------------------------------------------------------------------------------

static HAS_MERGE: LazyLock<bool> = LazyLock::new(|| {
    let condition = "EXISTS (SELECT FROM pg_get_keywords() WHERE word = 'merge')"; // PostgreSQL 15
    server_has(condition, "changes of orders by MERGE; people are deleted instead")
});

/// SplitMix64: a failure is repeated by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    fn customer(&mut self) -> u64 {
        1 + self.below(25)
    }

    /// From 2023 to 2026, a few days after the segmentations' as_of.
    fn day(&mut self) -> String {
        format!("timestamptz '2023-01-01' + {} * interval '7 hours'", self.below(4500))
    }

    fn amount(&mut self) -> String {
        match self.below(12) {
            0 => "NULL::numeric".into(),
            1 => "0".into(),
            2 => format!("-{}.5", self.below(40)),
            _ => format!("{}.{:02}", self.below(300), self.below(100)),
        }
    }

    /// id, shop, customer_id, ordered_at, amount, discounted, order_no: now and then without a customer or day.
    fn row(&mut self, day: &str) -> String {
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

    fn rows(&mut self) -> String {
        let rows: Vec<String> = (0..=self.below(6))
            .map(|_| {
                let day = self.day();
                self.row(&day)
            })
            .collect();
        format!("(VALUES {}) AS r {COLUMNS}", rows.join(", "))
    }

    /// Some of the rows.
    fn some(&mut self) -> String {
        match self.below(3) {
            0 => format!("id % 37 = {}", self.below(37)),
            1 => format!("customer_id = {}", self.customer()),
            _ => format!("id = ANY (ARRAY(SELECT id FROM orders ORDER BY id OFFSET {} LIMIT 3))", self.below(50)),
        }
    }

    fn change(&mut self) -> String {
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
    fn transaction(&mut self) -> String {
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

const COLUMNS: &str = "(id, shop, customer_id, ordered_at, amount, discounted, order_no)";

/// `people` with a foreign key of the orders to it; people that are missing come by a trigger, so that all changes are allowed.
const ORDERS: &str = "
    CREATE TABLE people (customer_id bigint PRIMARY KEY);
    INSERT INTO people SELECT generate_series(1, 25);
    CREATE TABLE orders (id bigint, shop text, customer_id bigint REFERENCES people ON DELETE CASCADE, ordered_at timestamptz,
        amount numeric, discounted boolean, order_no integer, PRIMARY KEY (id, ordered_at)) PARTITIONING;
    CREATE FUNCTION add_person() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO people SELECT NEW.customer_id WHERE NEW.customer_id IS NOT NULL ON CONFLICT DO NOTHING; RETURN NEW; END';
    CREATE TRIGGER add_person BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION add_person();";

fn orders(partitioning: &str) -> String {
    ORDERS.replace("PARTITIONING", partitioning)
}

/// Rounds of changes; after each the histories are right, now and then all views, and in the end a full refresh finds nothing.
fn any_sequence(client: &mut Client, shop: Shop, seed: u64, rounds: u32, more: fn(&mut Random) -> Option<String>) {
    let mut random = Random(seed);
    let first: Vec<String> = (0..40).map(|_| random.rows()).collect();
    for rows in &first {
        batch(client, &format!("INSERT INTO orders SELECT * FROM {rows} ON CONFLICT DO NOTHING"));
    }
    shop.create(client);
    let mut story = format!("seed {seed}");
    for round in 0..rounds {
        for _ in 0..=random.below(3) {
            let sql = match random.below(3) {
                0 => more(&mut random),
                _ => None,
            }
            .unwrap_or_else(|| random.transaction());
            write!(story, "\n{sql};").unwrap();
            if let Err(error) = client.batch_execute(&sql) {
                let code = error.code().map(|code| code.code());
                assert_eq!(code, Some("23505"), "{error:?}\n{story}"); // a day that the same id has already
                batch(client, "ROLLBACK");
            }
        }
        refresh(client);
        story.push_str("\n-- refresh");
        shop.assert_histories(client, &story);
        if round % 8 == 7 {
            shop.assert_rebuilt(client, &story);
        }
    }
    assert_nothing_left(client, &story);
    shop.assert_rebuilt(client, &story);
}

fn copy(random: &mut Random) -> Option<String> {
    // COPY through the server's own files would need one; \copy through psql is covered below.
    let rows = random.rows();
    Some(format!(
        "CREATE TEMP TABLE incoming AS SELECT * FROM {rows};
         INSERT INTO orders TABLE incoming ON CONFLICT DO NOTHING; DROP TABLE incoming"
    ))
}

#[test]
fn any_changes_of_a_plain_table() {
    let shop = Shop {
        arguments: "orders => 'orders', discounted => 'discounted', as_of => '2026-06-30'",
        by_hand:
            "SELECT customer_id, purchase_history((ordered_at AT TIME ZONE 'UTC')::date, amount, discounted) AS history
                  FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id",
    };
    let database = Database::new("refresh_plain");
    let mut client = quiet(&database);
    batch(&mut client, &orders(""));
    any_sequence(&mut client, shop, 1, 32, copy);
}

/// Order numbers of two shops overlap; so do their customers. Days are those of Tokyo, and only some rows count.
#[test]
fn any_changes_of_line_items_of_two_tenants() {
    let shop = Shop {
        arguments: "orders => 'orders', tenant => 'shop', order_id => 'order_no', discounted => 'discounted',
                    time_zone => 'Asia/Tokyo', order_filter => 'o.id % 11 <> 0 -- not these', as_of => '2026-06-30'",
        by_hand: "SELECT shop, customer_id, purchase_history(day, amount, discounted) AS history
                  FROM (SELECT shop, customer_id, min(timezone('Asia/Tokyo', ordered_at)::date) AS day, sum(amount) AS amount,
                               bool_or(discounted) AS discounted
                        FROM orders WHERE shop IS NOT NULL AND customer_id IS NOT NULL AND id % 11 <> 0
                        GROUP BY shop, customer_id, order_no,
                                 CASE WHEN order_no IS NULL THEN timezone('Asia/Tokyo', ordered_at)::date END) AS o
                  GROUP BY shop, customer_id",
    };
    let database = Database::new("refresh_lines");
    let mut client = quiet(&database);
    batch(&mut client, &orders(""));
    any_sequence(&mut client, shop, 2, 24, copy);
}

const PARTITIONS: &str = "
    CREATE TABLE p_old PARTITION OF orders FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
    CREATE TABLE p2024 PARTITION OF orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY HASH (id);
    CREATE TABLE p2024_0 PARTITION OF p2024 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE p2024_1 PARTITION OF p2024 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE p2025 PARTITION OF orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE p_new PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);";

/// What is done to partitions, with and without a refresh in between.
fn partitions(random: &mut Random) -> Option<String> {
    const RANGE: &str = "FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')";
    let refresh = random.of(&["", "SELECT refresh_segmentation('shop');"]);
    let detach = format!("ALTER TABLE orders DETACH PARTITION p2025; {refresh}");
    let row = random.row("timestamptz '2025-04-05'");
    let into = |table: &str| format!("INSERT INTO {table} VALUES {row} ON CONFLICT DO NOTHING;");
    let partition = random.of(&["p_old", "p2024", "p2024_0", "p2024_1", "p2025", "p_new"]);
    let people = "INSERT INTO people SELECT generate_series(1, 25) ON CONFLICT DO NOTHING";
    let change = match random.below(8) {
        0 => format!("{detach} ALTER TABLE orders ATTACH PARTITION p2025 {RANGE}"),
        1 => format!(
            "{detach} {} UPDATE p2025 SET amount = 77 WHERE id % 5 = 1; {refresh} ALTER TABLE orders ATTACH PARTITION p2025 {RANGE}",
            into("p2025")
        ),
        2 => format!("DROP TABLE p2025; {refresh} CREATE TABLE p2025 PARTITION OF orders {RANGE}; {}", into("p2025")),
        3 => format!(
            "CREATE TABLE p2025_next (LIKE orders INCLUDING ALL); {} {detach} DROP TABLE p2025; \
             ALTER TABLE p2025_next RENAME TO p2025; ALTER TABLE orders ATTACH PARTITION p2025 {RANGE}",
            into("p2025_next")
        ),
        4 => into("p2025"),
        5 => format!("UPDATE {partition} SET customer_id = {} WHERE id % 7 = 2", random.customer()),
        6 => format!("DELETE FROM {partition} WHERE {}", random.some()),
        _ => format!("TRUNCATE {partition}"),
    };
    Some(format!("{people}; {change}"))
}

#[test]
fn any_changes_of_a_partitioned_table() {
    let shop = Shop {
        arguments: "orders => 'orders', as_of => '2026-06-30'",
        by_hand: "SELECT customer_id, purchase_history(ordered_at::date, amount) AS history
                  FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id",
    };
    let database = Database::new("refresh_partitions");
    let mut client = quiet(&database);
    batch(&mut client, &orders("PARTITION BY RANGE (ordered_at)"));
    batch(&mut client, PARTITIONS);
    any_sequence(&mut client, shop, 3, 32, partitions);
}

/// COPY into the table, its parent and a partition, and tables that inherit without being partitions.
#[test]
fn copy_and_inheritance() {
    let shop = Shop {
        arguments: "orders => 'orders', as_of => '2026-06-30'",
        by_hand: "SELECT customer_id, purchase_history(ordered_at, amount) AS history FROM orders GROUP BY customer_id",
    };
    let database = Database::new("refresh_copy");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_at date, amount numeric);
         CREATE TABLE web_orders (page text) INHERITS (orders);
         INSERT INTO orders VALUES (1, '2025-01-01', 10)",
    );
    shop.create(&mut client);
    refresh(&mut client);
    // Where a child's own triggers have no transition tables they note everybody.
    let notes_everybody = one::<bool>(&mut client, "SELECT _transition_tables_hinder_attaching()");
    for table in ["orders", "web_orders (customer_id, ordered_at, amount)"] {
        let mut writer = client.copy_in(&format!("COPY {table} FROM STDIN (FORMAT csv)")).unwrap();
        writer.write_all(b"1,2025-02-02,20\n2,2025-03-03,30.25\n").unwrap();
        writer.finish().unwrap();
        refresh(&mut client);
        let expected = notes_everybody && table.starts_with("web_orders");
        assert_eq!(one::<bool>(&mut client, "SELECT rebuilt FROM shop_status"), expected, "{table}");
        shop.assert_histories(&mut client, table);
    }
    for sql in [
        "UPDATE orders SET customer_id = 3 WHERE customer_id = 2", // the child's row too
        "UPDATE ONLY orders SET amount = 5",
        "DELETE FROM web_orders WHERE customer_id = 1",
        "TRUNCATE ONLY orders",
        "ALTER TABLE web_orders NO INHERIT orders",
        "ALTER TABLE web_orders INHERIT orders",
        "TRUNCATE orders",
    ] {
        batch(&mut client, sql);
        refresh(&mut client);
        shop.assert_rebuilt(&mut client, sql);
    }
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM shop_customers"), 0);
}

/// Keys of every kind: read from the orders, noted, joined with customers and events.
#[test]
fn keys_of_any_type_with_an_order() {
    let database = Database::new("refresh_keys");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE SCHEMA other;
         CREATE TYPE rank AS ENUM ('a1', 'b2', 'c3');
         CREATE DOMAIN code AS varchar(12);
         CREATE DOMAIN number AS int DEFAULT 7 NOT NULL;
         CREATE DOMAIN even_number AS number CHECK (VALUE % 2 = 0)",
    );
    let has_citext = server_has_extension("citext", "keys of type citext");
    if has_citext {
        batch(&mut client, "CREATE EXTENSION citext SCHEMA other");
    }
    let numbers = ["11", "22", "33"];
    let words = ["a1", "b2", "c3"];
    for (type_name, keys) in [
        ("bigint", numbers),
        ("int", numbers),
        ("smallint", numbers),
        ("numeric", numbers),
        ("text", words),
        ("varchar(12)", words),
        ("char(4)", words),
        ("name", words),
        ("rank", words),
        ("code", words),
        ("other.citext", words),
        ("number", ["11", "22", "33"]),
        ("even_number", ["2", "4", "6"]),
        ("bytea", words),
        ("int[]", ["{1}", "{2,3}", "{4}"]),
        ("date", ["2024-01-01", "2024-01-02", "2024-01-03"]),
        (
            "uuid",
            [
                "11111111-1111-1111-1111-111111111111",
                "22222222-2222-2222-2222-222222222222",
                "33333333-3333-3333-3333-333333333333",
            ],
        ),
    ] {
        if type_name == "other.citext" && !has_citext {
            continue;
        }
        let shop = Shop {
            arguments: "orders => 'orders', as_of => '2026-06-30', customers => 'people', engagement => 'events'",
            by_hand: "SELECT customer_id, purchase_history(ordered_at, amount) AS history FROM orders GROUP BY customer_id",
        };
        let [a, b, c] = keys;
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders (customer_id {type_name}, ordered_at date, amount numeric);
                 CREATE TABLE people (customer_id {type_name} PRIMARY KEY, membership text, email text);
                 CREATE TABLE events (customer_id {type_name}, kind text, happened_at date);
                 INSERT INTO orders VALUES ('{a}', '2025-01-01', 10), ('{b}', '2025-02-01', 20);
                 INSERT INTO people VALUES ('{a}', 'continuing', 'a@example.com'), ('{c}', NULL, NULL);
                 INSERT INTO events VALUES ('{a}', 'line_friend', '2025-01-01'), ('{c}', 'line_friend', '2025-01-01')"
            ),
        );
        shop.create(&mut client);
        refresh(&mut client);
        batch(
            &mut client,
            &format!(
                "INSERT INTO orders VALUES ('{a}', '2025-03-01', 30); UPDATE orders SET customer_id = '{c}' WHERE customer_id = '{b}'"
            ),
        );
        refresh(&mut client);
        assert!(!one::<bool>(&mut client, "SELECT rebuilt FROM shop_status"), "{type_name}");
        shop.assert_histories(&mut client, type_name);
        let customers: String = one(
            &mut client,
            "SELECT string_agg(concat_ws('/', customer_id, orders, membership, reachable_by), ' ' ORDER BY customer_id) FROM shop_customers",
        );
        // char(4) is padded where it is printed by concat_ws.
        let expected = match type_name {
            "char(4)" => "a1  /2/continuing/email c3  /1/".to_owned(),
            "bytea" => "\\x6131/2/continuing/email \\x6333/1/".to_owned(),
            _ => format!("{a}/2/continuing/email {c}/1/"),
        };
        assert_eq!(customers, expected, "{type_name}");
        batch(&mut client, "TRUNCATE orders");
        refresh(&mut client);
        assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM shop_histories"), 0, "{type_name}");
        batch(&mut client, "SELECT drop_segmentation('shop'); DROP TABLE orders, people, events");
    }
    batch(&mut client, "CREATE TABLE orders (customer_id json, ordered_at date, amount numeric)");
    let (sqlstate, message, _) = expect_error(&mut client, "SELECT create_segmentation('shop', 'orders')");
    assert_eq!((sqlstate.as_str(), message.as_str()), ("42804", "a key of type json has no btree order"));
}

/// Two spellings that are the same key are one customer, and a refresh does not lose either.
#[test]
fn keys_that_are_equal_but_not_the_same() {
    if !server_has_extension("citext", "keys that are equal but not the same") {
        return;
    }
    let database = Database::new("refresh_equal");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE EXTENSION citext;
         CREATE TABLE orders (customer_id citext, ordered_at date, amount numeric);
         INSERT INTO orders VALUES ('Ann', '2025-01-01', 1), ('ANN', '2025-01-02', 2), ('bob', '2025-01-03', 3);
         SELECT create_segmentation('shop', 'orders', track => 'trigger', as_of => '2026-06-30');
         SELECT refresh_segmentation('shop')",
    );
    for sql in [
        "INSERT INTO orders VALUES ('ann', '2025-01-04', 4), ('BOB', '2025-01-04', 5)",
        "UPDATE orders SET customer_id = 'Bob' WHERE customer_id = 'ANN' AND amount = 2",
        "DELETE FROM orders WHERE customer_id = 'aNN'",
    ] {
        batch(&mut client, sql);
        refresh(&mut client);
        assert_same(
            &mut client,
            "(SELECT lower(customer_id::text) AS customer_id, history FROM shop_histories)",
            "(SELECT lower(customer_id::text) AS customer_id, purchase_history(ordered_at, amount) AS history FROM orders GROUP BY 1)",
            sql,
        );
    }
}

/// The customers' key sorts by other rules than that of the orders: the orders' hold.
#[test]
fn keys_of_another_collation() {
    let database = Database::new("refresh_collation");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id text COLLATE \"C\", ordered_at date, amount numeric);
         CREATE TABLE people (customer_id varchar(9) COLLATE \"POSIX\", email text);
         CREATE TABLE events (customer_id text, kind text, happened_at date);
         INSERT INTO orders VALUES ('a', '2025-01-01', 1), ('B', '2025-01-01', 1);
         INSERT INTO people VALUES ('a', 'a@example.com'), ('c', NULL);
         INSERT INTO events VALUES ('B', 'visit', '2025-01-01');
         SELECT create_segmentation('shop', 'orders', customers => 'people', engagement => 'events', track => 'trigger', as_of => '2026-06-30');
         SELECT refresh_segmentation('shop'); INSERT INTO orders VALUES ('c', '2025-01-01', 1); SELECT refresh_segmentation('shop')",
    );
    let customers = "SELECT string_agg(concat_ws(':', customer_id, orders, reachable_by), ' ' ORDER BY customer_id) FROM shop_customers";
    assert_eq!(one::<String>(&mut client, customers), "B:1 a:1:email c:1:");
}

/// A key that is longer than those of the orders is that of somebody else.
#[test]
fn keys_are_not_cut() {
    let database = Database::new("refresh_cut");
    let mut client = quiet(&database);
    for (type_name, longer_type, key, longer) in [
        ("varchar(3)", "varchar(9)", "abc", "abcd"),
        ("char(3)", "text", "abc", "abcd"),
        ("numeric(5,0)", "numeric", "12", "12.4"),
    ] {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders (customer_id {type_name}, ordered_at date, amount numeric);
                 CREATE TABLE people (customer_id {longer_type}, email text);
                 INSERT INTO orders VALUES ('{key}', '2025-01-01', 1);
                 INSERT INTO people VALUES ('{longer}', 'a@example.com');
                 SELECT create_segmentation('shop', 'orders', customers => 'people', as_of => '2026-06-30');
                 SELECT refresh_segmentation('shop')"
            ),
        );
        let customers = "SELECT string_agg(concat_ws(':', customer_id, orders, reachable_by), ' ' ORDER BY customer_id) FROM shop_customers";
        assert_eq!(one::<String>(&mut client, customers), format!("{key}:1 {longer}:0:email"), "{type_name}");
        batch(&mut client, "SELECT drop_segmentation('shop'); DROP TABLE orders, people");
    }
}

/// Names that the SQL of a refresh uses itself.
#[test]
fn key_columns_with_short_names() {
    for name in [
        "a", "c", "e", "f", "g", "h", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "x", "fresh", "gone", "put",
        "touched",
    ] {
        static DATABASE: std::sync::OnceLock<Database> = std::sync::OnceLock::new();
        let mut client = quiet(DATABASE.get_or_init(|| Database::new("refresh_names")));
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders ({name} int, ordered_at date, amount numeric);
                 CREATE TABLE people ({name} int, email text);
                 CREATE TABLE events ({name} int, kind text, happened_at date);
                 INSERT INTO orders VALUES (1, '2025-01-01', 10), (2, '2025-02-01', 20);
                 INSERT INTO people VALUES (1, 'a@example.com'), (4, NULL);
                 SELECT create_segmentation('shop', 'orders', customer => '{name}', track => 'trigger', as_of => '2026-06-30',
                                            customers => 'people', engagement => 'events');
                 SELECT refresh_segmentation('shop');
                 INSERT INTO orders VALUES (1, '2025-03-01', 30), (3, '2025-03-01', 30);
                 INSERT INTO events VALUES (1, 'line_friend', '2025-03-01');
                 SELECT refresh_segmentation('shop')"
            ),
        );
        let customers: String = one(
            &mut client,
            &format!("SELECT string_agg(concat({name}, ':', orders), ' ' ORDER BY {name}) FROM shop_customers"),
        );
        assert_eq!(customers, "1:2 2:1 3:1 4:0", "{name}");
        let audit = format!("SELECT count(*) FROM audit_orders('orders', customer => '{name}', customers => 'people')");
        assert_eq!(one::<i64>(&mut client, &audit), 2, "{name}: no index, and one without contact address");
        batch(&mut client, "SELECT drop_segmentation('shop'); DROP TABLE orders, people, events");
    }
}

// ---- At the same time -------------------------------------------------------------------------------------------

const SIMPLE: Shop = Shop {
    arguments: "orders => 'orders', as_of => '2026-06-30'",
    by_hand: "SELECT customer_id, purchase_history(ordered_at::date, amount) AS history
              FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id",
};

/// One less is busy, whatever happened.
struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Writers and a refresher, with transactions that last and some that are rolled back.
#[test]
fn writers_and_a_refresher_at_the_same_time() {
    let database = Database::new("refresh_concurrent");
    let mut client = quiet(&database);
    batch(&mut client, &orders(""));
    SIMPLE.create(&mut client);
    let busy = AtomicUsize::new(4);
    let refreshes = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (database, busy) = (&database, &busy);
            scope.spawn(move || {
                let _leaving = Leaving(busy);
                let mut client = quiet(database);
                let mut random = Random(100 + seed);
                for number in 0..60 {
                    let [a, b] = [random.change(), random.change()];
                    let end = random.of(&["COMMIT", "COMMIT", "ROLLBACK"]);
                    let isolation = random.of(&["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]);
                    // A customer of whom nothing else is ever noted: what is lost stays lost.
                    let once = format!(
                        "INSERT INTO orders VALUES ({key}, 's', {key}, '2026-01-01', 1)",
                        key = 10_000 + 1000 * seed + number
                    );
                    let sql =
                        format!("BEGIN ISOLATION LEVEL {isolation}; {a}; {once}; SELECT pg_sleep(0.005); {b}; {end}");
                    if let Err(error) = client.batch_execute(&sql) {
                        // Deadlocks between the writers, and what keys and isolation levels refuse.
                        let code = error.code().map(|code| code.code().to_owned());
                        assert!(
                            matches!(code.as_deref(), Some("40P01" | "40001" | "23505" | "23503")),
                            "{error:?}: {sql}"
                        );
                        batch(&mut client, "ROLLBACK");
                    }
                }
            });
        }
        let (database, busy, refreshes) = (&database, &busy, &refreshes);
        scope.spawn(move || {
            let mut client = quiet(database);
            while busy.load(Ordering::SeqCst) > 0 {
                refresh(&mut client);
                refreshes.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    assert!(refreshes.load(Ordering::SeqCst) > 2);
    refresh(&mut client);
    SIMPLE.assert_rebuilt(&mut client, "after all writers");
    assert_eq!(notes(&mut client), "");
    assert_nothing_left(&mut client, "after all writers");
}

/// Waits until the backend waits for a lock.
fn wait_until_blocked(client: &mut Client, pid: i32) {
    for _ in 0..3000 {
        let waits = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'");
        if one::<i64>(client, &waits) == 1 {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing blocks backend {pid}");
}

fn pid(client: &mut Client) -> i32 {
    one(client, "SELECT pg_backend_pid()")
}

/// A shop with orders, refreshed, and then some more of them.
fn small_shop(client: &mut Client) {
    batch(client, &orders(""));
    let mut random = Random(7);
    for _ in 0..20 {
        batch(client, &format!("INSERT INTO orders SELECT * FROM {} ON CONFLICT DO NOTHING", random.rows()));
    }
    SIMPLE.create(client);
    refresh(client);
    batch(client, "INSERT INTO orders VALUES (9001, 's1', 1, '2026-06-01', 100), (9002, 's1', 2, '2026-06-01', 100)");
}

#[test]
fn a_second_refresh_waits_or_is_told_so() {
    let database = Database::new("refresh_twice");
    let [mut first, mut second, mut watcher] = [quiet(&database), quiet(&database), quiet(&database)];
    small_shop(&mut first);
    batch(&mut first, "BEGIN; SELECT refresh_segmentation('shop')");
    for call in
        ["refresh_segmentation('shop', wait => false)", "refresh_segmentation('shop', wait => false, \"full\" => true)"]
    {
        let (sqlstate, message, hint) = expect_error(&mut second, &format!("SELECT {call}"));
        assert_eq!(
            (sqlstate.as_str(), message.as_str(), hint.as_str()),
            (
                "55P03",
                "segmentation \"shop\" is being refreshed or changed by another session",
                "Wait for it (wait => true), or try again later."
            )
        );
    }
    let backend = pid(&mut second);
    batch(&mut watcher, "INSERT INTO orders VALUES (9003, 's1', 3, '2026-06-02', 100)"); // writers wait for nobody
    thread::scope(|scope| {
        let waiting = scope.spawn(|| refresh(&mut second));
        wait_until_blocked(&mut watcher, backend);
        batch(&mut first, "COMMIT");
        waiting.join().unwrap();
    });
    SIMPLE.assert_rebuilt(&mut watcher, "after both");
    // alter and drop wait as well.
    for call in ["alter_segmentation('shop', lang => 'ja')", "drop_segmentation('shop')"] {
        batch(&mut first, "BEGIN; SELECT refresh_segmentation('shop')");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| batch(&mut second, &format!("SELECT {call}")));
            wait_until_blocked(&mut watcher, backend);
            batch(&mut first, "COMMIT");
            waiting.join().unwrap();
        });
    }
    assert_eq!(expect_error(&mut first, "SELECT refresh_segmentation('shop')").0, "42704");
}

/// A transaction that sees the orders as they were leaves the notes of what it does not see.
#[test]
fn isolation_levels_lose_nothing() {
    for isolation in ["REPEATABLE READ", "SERIALIZABLE"] {
        let database = Database::new("refresh_isolation");
        let [mut client, mut other] = [quiet(&database), quiet(&database)];
        small_shop(&mut client);
        batch(&mut client, &format!("BEGIN ISOLATION LEVEL {isolation}; CREATE TEMP TABLE seen AS TABLE orders"));
        batch(
            &mut other,
            "UPDATE orders SET customer_id = 3 WHERE id = 9001; INSERT INTO orders VALUES (9003, 's1', 4, '2026-06-02', 100)",
        );
        refresh(&mut client);
        let seen = SIMPLE.by_hand.replace("FROM orders", "FROM seen");
        batch(&mut client, "COMMIT");
        assert_same(&mut client, "shop_histories", &format!("({seen})"), isolation);
        assert_ne!(notes(&mut client), "", "{isolation}: the notes of what it did not see stay");
        refresh(&mut client);
        SIMPLE.assert_rebuilt(&mut client, isolation);

        // A refresh in between: the older transaction is refused, and does not undo it.
        batch(&mut client, &format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM orders"));
        batch(&mut other, "DELETE FROM orders WHERE id = 9001");
        refresh(&mut other);
        let (sqlstate, message, _) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
        assert_eq!(sqlstate, "40001", "{isolation}: {message}");
        SIMPLE.assert_rebuilt(&mut client, isolation);
        assert_nothing_left(&mut client, isolation);
    }
}

// ---- A refresh that does not end ---------------------------------------------------------------------------------

#[test]
fn a_refresh_that_is_rolled_back_changes_nothing() {
    let database = Database::new("refresh_rollback");
    let mut client = quiet(&database);
    small_shop(&mut client);
    let (before, noted) = (contents(&mut client), notes(&mut client));
    assert_ne!(noted, "");
    for sql in [
        "BEGIN; SELECT refresh_segmentation('shop'); ROLLBACK",
        "BEGIN; SAVEPOINT s; SELECT refresh_segmentation('shop'); ROLLBACK TO s; SELECT refresh_segmentation('shop'); ROLLBACK",
        "BEGIN; SELECT alter_segmentation('shop', lang => 'ja'); SELECT drop_segmentation('shop'); ROLLBACK",
    ] {
        batch(&mut client, sql);
        assert_eq!(contents(&mut client), before, "{sql}");
        assert_eq!(notes(&mut client), noted, "{sql}");
    }
    batch(&mut client, "SET statement_timeout = 30");
    let (sqlstate, ..) = expect_error(&mut client, "BEGIN; SELECT refresh_segmentation('shop'); SELECT pg_sleep(1)");
    batch(&mut client, "RESET statement_timeout");
    assert_eq!(sqlstate, "57014");
    assert_eq!((contents(&mut client), notes(&mut client)), (before, noted));
    refresh(&mut client);
    SIMPLE.assert_rebuilt(&mut client, "in the end");
}

/// A refresh is a part of a prepared transaction like any other change: nothing of it is temporary.
#[test]
fn a_refresh_is_prepared_and_committed_later() {
    let database = Database::new("refresh_prepared");
    let mut client = quiet(&database);
    small_shop(&mut client);
    let name = &database.name;
    let before = contents(&mut client);
    batch(&mut client, &format!("BEGIN; SELECT refresh_segmentation('shop'); PREPARE TRANSACTION '{name}'"));
    assert_eq!(contents(&mut client), before);
    // Its locks stay: writers go on, another refresh does not.
    batch(&mut client, "INSERT INTO orders VALUES (9101, 's1', 3, '2026-06-02', 100)");
    assert_eq!(expect_error(&mut client, "SELECT refresh_segmentation('shop', wait => false)").0, "55P03");
    batch(&mut client, &format!("COMMIT PREPARED '{name}'"));
    assert_ne!(contents(&mut client), before);
    refresh(&mut client);
    assert!(!one::<bool>(&mut client, "SELECT rebuilt FROM shop_status"));
    SIMPLE.assert_rebuilt(&mut client, "after a prepared one");
    batch(
        &mut client,
        &format!(
            "BEGIN; DELETE FROM orders WHERE id = 9101; SELECT refresh_segmentation('shop'); PREPARE TRANSACTION '{name}'"
        ),
    );
    batch(&mut client, &format!("ROLLBACK PREPARED '{name}'"));
    SIMPLE.assert_rebuilt(&mut client, "after one that was rolled back");
}

/// What cannot be refreshed says why; the views stay as they were and readable, and the notes wait for the next refresh.
#[test]
fn a_step_that_fails_leaves_everything_as_it_was() {
    let database = Database::new("refresh_fails");
    let mut client = quiet(&database);
    small_shop(&mut client);
    batch(&mut client, "DROP TRIGGER add_person ON orders");
    for (sql, back, sqlstate, part) in [
        (
            "UPDATE orders SET amount = 'NaN' WHERE id = 9001",
            "UPDATE orders SET amount = 5 WHERE id = 9001",
            "22003",
            "NaN",
        ),
        (
            "ALTER TABLE orders ALTER ordered_at TYPE timestamptz; INSERT INTO orders VALUES (9009, 's', 9, 'infinity', 1)",
            "DELETE FROM orders WHERE id = 9009",
            "22008",
            "finite",
        ),
        (
            "INSERT INTO orders VALUES (9009, 's', 9, '2025-01-01', 1e40)",
            "DELETE FROM orders WHERE id = 9009",
            "22003",
            "38 digits",
        ),
        (
            "ALTER TABLE orders RENAME amount TO amounts; INSERT INTO orders (id, customer_id, ordered_at) VALUES (9010, 5, '2025-05-05')",
            "ALTER TABLE orders RENAME amounts TO amount",
            "42703",
            "amount",
        ),
        (
            "ALTER TABLE orders RENAME customer_id TO customer; UPDATE orders SET amount = 8 WHERE id = 9010",
            "ALTER TABLE orders RENAME customer TO customer_id",
            "42703",
            "customer_id",
        ),
        (
            "ALTER TABLE orders RENAME TO sales; DELETE FROM sales WHERE id = 9010",
            "ALTER TABLE sales RENAME TO orders",
            "42P01",
            "orders",
        ),
        (
            "UPDATE orders SET amount = 99 WHERE id = 9001; ALTER TABLE shop_histories ADD CHECK (orders(history, '2026-06-30') < 1) NOT VALID",
            "ALTER TABLE shop_histories DROP CONSTRAINT shop_histories_history_check",
            "23514",
            "shop_histories",
        ),
    ] {
        batch(&mut client, sql);
        let (before, noted) = (contents(&mut client), notes(&mut client));
        let (found, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
        assert_eq!(found, sqlstate, "{message}: {sql}");
        assert!(message.starts_with("segmentation \"shop\": ") && message.contains(part), "{message}: {sql}");
        assert_ne!(hint, "", "{message}");
        assert_eq!((contents(&mut client), notes(&mut client)), (before, noted), "{sql}");
        batch(&mut client, back);
        refresh(&mut client);
        SIMPLE.assert_rebuilt(&mut client, back);
    }
}

/// Where a refresh can be stopped: what another session does so that the step has to wait.
const STEPS: [(&str, &str); 16] = [
    ("settings", "LOCK TABLE shop_settings IN ROW SHARE MODE"),
    ("notes", "LOCK TABLE shop_noted IN SHARE MODE"),
    ("customers' table", "LOCK TABLE members IN ACCESS EXCLUSIVE MODE"),
    ("orders", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"),
    ("histories", "LOCK TABLE shop_histories IN SHARE MODE"),
    ("events", "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"),
    ("engagement", "LOCK TABLE shop_engagement IN SHARE MODE"),
    ("profiles", "LOCK TABLE shop_profiles IN SHARE MODE"),
    ("policies", "LOCK TABLE shop_policies IN SHARE MODE"),
    ("status", "LOCK TABLE shop_status IN SHARE MODE"),
    ("customers", "COMMENT ON MATERIALIZED VIEW shop_customers IS 'x'"),
    ("segments", "COMMENT ON MATERIALIZED VIEW shop_segments IS 'x'"),
    ("movement", "COMMENT ON MATERIALIZED VIEW shop_movement IS 'x'"),
    ("cohorts", "COMMENT ON MATERIALIZED VIEW shop_cohorts IS 'x'"),
    ("actions", "COMMENT ON MATERIALIZED VIEW shop_actions IS 'x'"),
    ("triggers", "LOCK TABLE p_next IN ROW EXCLUSIVE MODE"),
];

const EVERYTHING: Shop = Shop {
    arguments: "orders => 'orders', customers => 'members', engagement => 'events', as_of => '2026-06-30'",
    by_hand: SIMPLE.by_hand,
};

/// A shop whose every step has something to do, again and again.
fn large_shop(client: &mut Client) {
    batch(client, &orders("PARTITION BY RANGE (ordered_at)"));
    batch(client, PARTITIONS);
    batch(
        client,
        "CREATE TABLE members (customer_id bigint, membership text, email text);
         INSERT INTO members SELECT i, 'continuing', 'a@example.com' FROM generate_series(1, 40, 2) AS i;
         CREATE TABLE events (customer_id bigint, kind text, happened_at date);
         INSERT INTO events SELECT i, 'line_friend', '2026-01-01' FROM generate_series(1, 30, 3) AS i",
    );
    let mut random = Random(11);
    for _ in 0..20 {
        batch(client, &format!("INSERT INTO orders SELECT * FROM {} ON CONFLICT DO NOTHING", random.rows()));
    }
    EVERYTHING.create(client);
    refresh(client);
}

/// Changes everything a refresh reads; at the last step a partition is new too.
fn more_of_everything(client: &mut Client, random: &mut Random, step: &str) {
    for change in [random.change(), random.change()] {
        // A row may be moved to where one is already.
        if let Err(error) = client.batch_execute(&change) {
            assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{error:?}: {change}");
        }
    }
    let (order, customer) = (100_000 + random.below(1_000_000), random.customer());
    batch(
        client,
        &format!(
            "INSERT INTO events VALUES ({customer}, 'visit', '2026-02-02');
             UPDATE members SET membership = 'paused', email = NULL WHERE customer_id = {customer};
             INSERT INTO orders VALUES ({order}, 's', {customer}, '2026-06-01', 10)",
        ),
    );
    if step == "triggers" {
        batch(
            client,
            "ALTER TABLE orders DETACH PARTITION p_new;
             CREATE TABLE p_next PARTITION OF orders FOR VALUES FROM ('2027-01-01') TO (MAXVALUE);
             ALTER TABLE orders ATTACH PARTITION p_new FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        );
    }
}

/// Stops a refresh at a step, lets `meanwhile` do something to its backend, and returns how the refresh ended.
fn stopped_at(
    connect: &dyn Fn() -> Client,
    block: &str,
    meanwhile: impl FnOnce(&mut Client, &mut Client, i32),
) -> Result<(), postgres::Error> {
    let [mut blocker, mut watcher, mut refresher] = [connect(), connect(), connect()];
    batch(&mut blocker, &format!("BEGIN; {block}"));
    let backend = pid(&mut refresher);
    let refreshing = thread::spawn(move || refresher.batch_execute("SELECT rfm.refresh_segmentation('shop')"));
    wait_until_blocked(&mut watcher, backend);
    meanwhile(&mut watcher, &mut blocker, backend);
    refreshing.join().expect("the refresher does not panic")
}

/// At every step readers read, what they read is of before, and their open transactions do not stop the refresh.
#[test]
fn readers_wait_at_no_step() {
    let database = Database::new("refresh_readers");
    let mut client = quiet(&database);
    large_shop(&mut client);
    let mut random = Random(12);
    for (step, block) in STEPS {
        more_of_everything(&mut client, &mut random, step);
        let before = contents(&mut client);
        let mut reader = quiet(&database);
        stopped_at(&|| quiet(&database), block, |_, blocker, _| {
            batch(&mut reader, "SET lock_timeout = 1; BEGIN ISOLATION LEVEL REPEATABLE READ");
            assert_eq!(contents(&mut reader), before, "{step}");
            batch(
                &mut reader,
                "SELECT count(*) FROM shop_facts; SELECT count(*) FROM shop_customers_today; TABLE segmentations",
            );
            batch(blocker, "ROLLBACK");
        })
        .unwrap_or_else(|error| panic!("{step}: {error:?}"));
        // Still the same for the reader, whose transaction goes on; others see the new rows.
        assert_eq!(contents(&mut reader), before, "{step}");
        assert_ne!(contents(&mut client), before, "{step}");
        EVERYTHING.assert_histories(&mut client, step);
    }
    EVERYTHING.assert_rebuilt(&mut client, "in the end");
}

/// Ends a backend and waits until it has ended; up to PostgreSQL 13 no function does both.
fn terminate(watcher: &mut Client, backend: i32) {
    assert!(one::<bool>(watcher, &format!("SELECT pg_terminate_backend({backend})")));
    let is_there = format!("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {backend})");
    let start = Instant::now();
    while one::<bool>(watcher, &is_there) {
        assert!(start.elapsed() < Duration::from_secs(10), "{backend} goes on");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn terminated_at_every_step() {
    let database = Database::new("refresh_terminated");
    let mut client = quiet(&database);
    large_shop(&mut client);
    let mut random = Random(13);
    for (step, block) in STEPS {
        more_of_everything(&mut client, &mut random, step);
        let (before, noted) = (contents(&mut client), notes(&mut client));
        let ended = stopped_at(&|| quiet(&database), block, |watcher, blocker, backend| {
            terminate(watcher, backend);
            batch(blocker, "ROLLBACK");
        });
        assert!(ended.is_err(), "{step}: the refresh was terminated");
        assert_eq!((contents(&mut client), notes(&mut client)), (before, noted), "{step}");
        refresh(&mut client);
        EVERYTHING.assert_histories(&mut client, step);
    }
    EVERYTHING.assert_rebuilt(&mut client, "in the end");
}

/// A server of its own, because all sessions of a server end with a backend that is killed. It goes when its standard input ends.
struct Server {
    process: Child,
    host: String,
}

impl Server {
    fn start() -> Server {
        let mut process = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/cluster.sh"))
            // A commit that was not waited for may be lost with the backend: that is not what is tested.
            .env("PG_RFM_SETTINGS", "synchronous_commit=on")
            .args(["run", "kill", "bash", "-c", "echo \"$PGHOST\"; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cluster.sh starts");
        let mut host = String::new();
        BufReader::new(process.stdout.as_mut().expect("a pipe")).read_line(&mut host).expect("cluster.sh says where");
        assert!(!host.is_empty(), "the server did not start");
        Server { process, host: host.trim_end().to_owned() }
    }

    /// A connection, as soon as the server takes one.
    fn connect(&self) -> Client {
        let connection = format!("host='{}' port=5432 user=postgres dbname=postgres", self.host);
        for _ in 0..600 {
            if let Ok(mut client) = Client::connect(&connection, NoTls)
                && client.batch_execute("SET search_path = public, rfm; SET client_min_messages = warning").is_ok()
            {
                return client;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not come back");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Returns when the server has noticed, and ended the other sessions.
fn kill(backend: i32, other: &mut Client) {
    let status = Command::new("kill").args(["-KILL", &backend.to_string()]).status().expect("kill starts");
    assert!(status.success());
    while other.batch_execute("SELECT pg_sleep(0.01)").is_ok() {}
}

#[test]
fn killed_at_every_step() {
    let server = Server::start();
    let mut client = server.connect();
    batch(&mut client, "CREATE SCHEMA rfm; CREATE EXTENSION pg_rfm SCHEMA rfm");
    large_shop(&mut client);
    let mut random = Random(14);
    for (step, block) in STEPS {
        more_of_everything(&mut client, &mut random, step);
        let (before, noted) = (contents(&mut client), notes(&mut client));
        let ended = stopped_at(&|| server.connect(), block, |watcher, _, backend| kill(backend, watcher));
        assert!(ended.is_err(), "{step}: the refresh was killed");
        client = server.connect();
        assert_eq!((contents(&mut client), notes(&mut client)), (before, noted), "{step}");
        refresh(&mut client);
        EVERYTHING.assert_rebuilt(&mut client, step);
    }
    // Everything done, but not committed.
    more_of_everything(&mut client, &mut random, "commit");
    let (before, noted) = (contents(&mut client), notes(&mut client));
    let mut refresher = server.connect();
    batch(&mut refresher, "BEGIN; SELECT refresh_segmentation('shop')");
    let backend = pid(&mut refresher);
    kill(backend, &mut client);
    assert!(refresher.batch_execute("COMMIT").is_err());
    client = server.connect();
    assert_eq!((contents(&mut client), notes(&mut client)), (before, noted));
    refresh(&mut client);
    EVERYTHING.assert_rebuilt(&mut client, "commit");
    assert_nothing_left(&mut client, "in the end");
}

// ---- As little as possible ----------------------------------------------------------------------------------------

/// Bytes of write-ahead log that a statement writes.
fn wal(client: &mut Client, sql: &str) -> i64 {
    let rows = client.simple_query(&format!("EXPLAIN (ANALYZE, WAL, FORMAT JSON) {sql}")).unwrap();
    let plan = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let plan: serde_json::Value = serde_json::from_str(plan.expect("a plan")).unwrap();
    plan[0]["Plan"]["WAL Bytes"].as_i64().expect("the plan counts WAL")
}

/// Which row stands where, since when.
fn places(client: &mut Client) -> String {
    let mut sql = String::from("SELECT concat_ws(';'");
    for relation in VIEWS.iter().chain(&["shop_histories", "shop_profiles", "shop_engagement"]) {
        write!(sql, ", (SELECT string_agg(concat(ctid, xmin), ',' ORDER BY ctid) FROM {relation})").unwrap();
    }
    one(client, &(sql + ")"))
}

#[test]
fn a_refresh_without_changes_writes_no_row() {
    let database = Database::new("refresh_quiet");
    let mut client = quiet(&database);
    large_shop(&mut client);
    // Enough customers that writing them again would be seen.
    batch(
        &mut client,
        "INSERT INTO orders SELECT 10000 + i, 's', 100 + i, '2025-01-01'::date + i % 500, i % 97 FROM generate_series(1, 3000) AS i;
         INSERT INTO events SELECT 100 + i, 'visit', '2026-01-01'::date + i % 100 FROM generate_series(1, 3000) AS i;
         INSERT INTO members SELECT 100 + i, NULL, 'b@example.com' FROM generate_series(1, 3000) AS i",
    );
    refresh(&mut client);
    let before = places(&mut client);
    let plain: i64 = VIEWS
        .iter()
        .map(|view| {
            // What a plain refresh of the views alone writes; rolled back.
            batch(&mut client, "BEGIN");
            let written = wal_of_refresh(&mut client, view);
            batch(&mut client, "ROLLBACK");
            written
        })
        .sum();
    for call in ["refresh_segmentation('shop')", "refresh_segmentation('shop', \"full\" => true)"] {
        let written = wal(&mut client, &format!("SELECT {call}"));
        assert_eq!(places(&mut client), before, "{call}");
        assert!(written * 5 < plain, "{call} writes {written} bytes of WAL, plain refreshes {plain}");
    }
    assert_eq!(one::<i64>(&mut client, "SELECT histories_written FROM shop_status"), 0);

    // The next day: only rows that say something else are written, which are few; what changes every day stands elsewhere.
    for relation in VIEWS {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE was_{relation} AS SELECT t::text AS r, ctid::text || xmin::text AS place FROM {relation} AS t"
            ),
        );
    }
    let recency = "SELECT sum(recency_days)::bigint FROM shop_customers_today";
    let recency_before = one::<i64>(&mut client, recency);
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => '2026-07-01')");
    for relation in VIEWS {
        let moved = format!(
            "SELECT count(*) FROM {relation} AS t JOIN was_{relation} AS w ON w.r = t::text WHERE w.place <> t.ctid::text || t.xmin::text"
        );
        assert_eq!(one::<i64>(&mut client, &moved), 0, "{relation}: a row that says the same was written");
    }
    let kept = "SELECT count(*) FROM shop_customers AS t JOIN was_shop_customers AS w ON w.r = t::text";
    let (kept, all) = (one::<i64>(&mut client, kept), one::<i64>(&mut client, "SELECT count(*) FROM shop_customers"));
    assert!(kept * 10 > all * 9 && kept < all, "{kept} of {all} customers are as the day before");
    let bought = one::<i64>(&mut client, "SELECT count(last_purchase_on) FROM shop_customers");
    let newly_visible = "SELECT count(*) FROM shop_customers WHERE last_purchase_on = '2026-07-01'";
    if one::<i64>(&mut client, newly_visible) == 0 {
        assert_eq!(one::<i64>(&mut client, recency), recency_before + bought);
    }
}

/// A plain REFRESH is no statement that EXPLAIN takes: a function runs it.
fn wal_of_refresh(client: &mut Client, view: &str) -> i64 {
    batch(
        client,
        "CREATE FUNCTION pg_temp.plain(view regclass) RETURNS void LANGUAGE plpgsql AS
         'BEGIN EXECUTE format(''REFRESH MATERIALIZED VIEW %s'', view); END'",
    );
    wal(client, &format!("SELECT pg_temp.plain('{view}')"))
}

/// Where views are made anew, the shop goes on reading and writing its orders: only the last moment before the commit locks them.
#[test]
fn the_shop_goes_on_while_views_are_made_anew() {
    let database = Database::new("refresh_alter_locks");
    let (mut client, mut gate, mut shop) = (quiet(&database), quiet(&database), quiet(&database));
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric);
         INSERT INTO orders VALUES (1, '2026-01-01', 10);
         SELECT rfm.create_segmentation('shop', 'orders', track => 'trigger', as_of => '2026-06-30')",
    );
    // Reading the orders stops at a lock that we hold.
    batch(&mut gate, "SELECT pg_advisory_lock(7)");
    let mut other = quiet(&database);
    let other_pid = pid(&mut other);
    let altered = thread::spawn(move || {
        let filter = "pg_catalog.pg_advisory_xact_lock_shared(7) IS NOT NULL";
        batch(&mut other, &format!("SELECT rfm.alter_segmentation('shop', lang => 'ja', order_filter => '{filter}')"));
    });
    wait_until_blocked(&mut gate, other_pid);
    batch(&mut shop, "SET lock_timeout = '2s'; INSERT INTO orders VALUES (1, '2026-02-01', 10), (2, '2026-02-01', 10)");
    assert_eq!(one::<i64>(&mut shop, "SELECT count(*) FROM orders"), 3);
    batch(&mut gate, "SELECT pg_advisory_unlock(7)");
    altered.join().expect("altered");
    batch(
        &mut client,
        "SELECT rfm.alter_segmentation('shop', reset => '{order_filter}'); SELECT rfm.refresh_segmentation('shop')",
    );
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM shop_customers"), 2);
    assert_eq!(one::<i64>(&mut client, "SELECT sum(orders)::bigint FROM shop_customers"), 3);
    // Nor does it wait for those who use the orders, with everybody else behind it.
    batch(&mut gate, "BEGIN; INSERT INTO orders VALUES (3, '2026-02-01', 10)");
    batch(&mut client, "SET lock_timeout = '2s'; SELECT rfm.alter_segmentation('shop', lang => 'en')");
    batch(&mut gate, "COMMIT");
    batch(&mut client, "SELECT rfm.refresh_segmentation('shop'); SELECT rfm.refresh_segmentation('shop')");
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM shop_customers"), 3);
    // Other orders get triggers of their own, and those of before lose theirs.
    batch(
        &mut client,
        "CREATE TABLE others AS TABLE orders; SELECT rfm.alter_segmentation('shop', orders => 'others')",
    );
    let tracked =
        "SELECT string_agg(DISTINCT tgrelid::regclass::text, ' ') FROM pg_trigger WHERE tgname LIKE 'pg_rfm_shop_%'";
    assert_eq!(one::<String>(&mut client, tracked), "others");
    batch(&mut client, "SELECT rfm.alter_segmentation('shop', track => 'none')");
    assert_eq!(one::<Option<String>>(&mut client, tracked), None);
}
