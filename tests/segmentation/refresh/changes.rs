//! After any changes of the orders a refresh leaves what building anew would.

use super::shops::*;
use super::*;
use std::io::Write as _;

/// Rounds of changes; after each the histories are right, now and then all views, and in the end a full refresh finds nothing.
fn any_sequence(client: &mut Client, shop: Shop, seed: u64, rounds: u32, more: fn(&mut Random) -> Option<String>) {
    let mut random = Random::new(seed);
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
        // Each day of an order is written as a history of its own.
        by_hand: "WITH line AS (
                      SELECT shop, customer_id, timezone('Asia/Tokyo', ordered_at)::date AS day, amount, discounted,
                             coalesce(order_no::text, 'on ' || timezone('Asia/Tokyo', ordered_at)::date) AS number
                      FROM orders WHERE shop IS NOT NULL AND customer_id IS NOT NULL AND id % 11 <> 0
                  ), part AS (
                      SELECT shop, customer_id, number, day, coalesce(sum(amount), 0) AS amount, bool_or(discounted) AS discounted
                      FROM line GROUP BY shop, customer_id, number, day
                  ), purchase AS (
                      SELECT DISTINCT ON (shop, customer_id, number) shop, customer_id, number, day
                      FROM part WHERE amount >= 0 ORDER BY shop, customer_id, number, day
                  )
                  SELECT shop, customer_id,
                         rollup(format('{\"%s\": {\"orders\": %s, \"discounted\": %s, \"full_price\": %s, \"amount\": %s}}', p.day,
                                       (f.day IS NOT NULL)::int, (f.day IS NOT NULL AND p.discounted IS TRUE)::int,
                                       (f.day IS NOT NULL AND p.discounted IS FALSE)::int, p.amount)::purchase_history) AS history
                  FROM part AS p LEFT JOIN purchase AS f USING (shop, customer_id, number, day)
                  GROUP BY shop, customer_id",
    };
    let database = Database::new("refresh_lines");
    let mut client = quiet(&database);
    batch(&mut client, &orders(""));
    any_sequence(&mut client, shop, 2, 24, copy);
}

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
