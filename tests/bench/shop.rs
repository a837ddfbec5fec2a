//! The orders of the shop that the benches measure, and the median of what they measured.

use std::env;
use std::time::Duration;

use postgres::Client;

use crate::common::batch;

/// A logged table of orders, skewed over the customers, the same in every run; returns the number of customers.
pub fn load(client: &mut Client) -> i64 {
    let orders = env::var("PG_RFM_BENCH_ORDERS").map_or(5_000_000, |n| n.parse::<i64>().expect("a number of orders"));
    batch(
        client,
        &format!(
            "SET max_parallel_workers_per_gather = 0;
             SELECT setseed(0.42);
             CREATE TABLE orders AS
             SELECT ({customers} * power(random(), 1.6))::bigint AS customer_id,
                    DATE '2022-01-01' + (random() * 1095)::int AS ordered_on,
                    round((random() * 20000)::numeric, 2) AS amount
             FROM generate_series(1, {orders})",
            customers = orders / 10
        ),
    );
    batch(client, "VACUUM ANALYZE orders");
    let customers = client.query_one("SELECT count(DISTINCT customer_id) FROM orders", &[]).expect("a count").get(0);
    println!("{orders} orders of {customers} customers");
    customers
}

/// The median, in seconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}
