//! The shops that are refreshed.

use super::*;
use postgres::error::SqlState;

/// `people` with a foreign key of the orders to it; people that are missing come by a trigger, so that all changes are allowed.
pub const ORDERS: &str = "
    CREATE TABLE people (customer_id bigint PRIMARY KEY);
    INSERT INTO people SELECT generate_series(1, 25);
    CREATE TABLE orders (id bigint, shop text, customer_id bigint REFERENCES people ON DELETE CASCADE, ordered_at timestamptz,
        amount numeric, discounted boolean, order_no integer, PRIMARY KEY (id, ordered_at)) PARTITIONING;
    CREATE FUNCTION add_person() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO people SELECT NEW.customer_id WHERE NEW.customer_id IS NOT NULL ON CONFLICT DO NOTHING; RETURN NEW; END';
    CREATE TRIGGER add_person BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION add_person();";

pub fn orders(partitioning: &str) -> String {
    ORDERS.replace("PARTITIONING", partitioning)
}

pub const PARTITIONS: &str = "
    CREATE TABLE p_old PARTITION OF orders FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
    CREATE TABLE p2024 PARTITION OF orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY HASH (id);
    CREATE TABLE p2024_0 PARTITION OF p2024 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE p2024_1 PARTITION OF p2024 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE p2025 PARTITION OF orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE p_new PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);";

pub const SIMPLE: Shop = Shop {
    arguments: "orders => 'orders', as_of => '2026-06-30'",
    by_hand: "SELECT customer_id, purchase_history(ordered_at::date, amount) AS history
              FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id",
};

/// A shop with orders, refreshed, and then some more of them.
pub fn small_shop(client: &mut Client) {
    batch(client, &orders(""));
    let mut random = Random::new(7);
    for _ in 0..20 {
        batch(client, &format!("INSERT INTO orders SELECT * FROM {} ON CONFLICT DO NOTHING", random.rows()));
    }
    SIMPLE.create(client);
    refresh(client);
    batch(client, "INSERT INTO orders VALUES (9001, 's1', 1, '2026-06-01', 100), (9002, 's1', 2, '2026-06-01', 100)");
}

pub const EVERYTHING: Shop = Shop {
    arguments: "orders => 'orders', customers => 'members', engagement => 'events', membership_log => 'log', as_of => '2026-06-30'",
    by_hand: SIMPLE.by_hand,
};

/// A shop whose every step has something to do, again and again.
pub fn large_shop(client: &mut Client) {
    batch(client, &orders("PARTITION BY RANGE (ordered_at)"));
    batch(client, PARTITIONS);
    batch(
        client,
        "CREATE TABLE members (customer_id bigint, membership text, email text);
         INSERT INTO members SELECT i, 'continuing', 'a@example.com' FROM generate_series(1, 40, 2) AS i;
         CREATE TABLE log (customer_id bigint, membership text, since date);
         INSERT INTO log SELECT i, 'continuing', '2025-01-01' FROM generate_series(1, 30, 3) AS i;
         CREATE TABLE events (customer_id bigint, kind text, happened_at date);
         INSERT INTO events SELECT i, 'line_friend', '2026-01-01' FROM generate_series(1, 30, 3) AS i",
    );
    let mut random = Random::new(11);
    for _ in 0..20 {
        batch(client, &format!("INSERT INTO orders SELECT * FROM {} ON CONFLICT DO NOTHING", random.rows()));
    }
    EVERYTHING.create(client);
    refresh(client);
}

/// Changes everything a refresh reads; at the last step a partition is new too.
pub fn more_of_everything(client: &mut Client, random: &mut Random, step: &str) {
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
             INSERT INTO log VALUES ({customer}, 'paused', '2026-03-03');
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
