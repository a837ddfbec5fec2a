//! `make bench BENCH=scale`: one segmentation of shops of several sizes, 5 and 50 million orders unless others are named:
//! `make bench BENCH=scale ARGS="5 50 100"`. What grows with the shop is held against a straight line. The orders lie in
//! partitions by customer. No figure here is ever a test.

#[path = "calls.rs"]
mod calls;
#[path = "../common/mod.rs"]
mod common;
#[path = "machine.rs"]
mod machine;

use std::env;
use std::time::Instant;

use calls::{Run, run};
use common::{Client, Database, batch};
use machine::describe_machine;

/// How many customers buy between two refreshes, in a shop of any size.
const BUYERS: i64 = 5_000;

fn main() {
    let millions: Vec<i64> = env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let mut millions = if millions.is_empty() { vec![5, 50] } else { millions };
    millions.sort_unstable();
    let mut shops = Vec::new();
    for (place, &orders) in millions.iter().enumerate() {
        let database = Database::new("bench_scale");
        let mut client = database.client();
        if place == 0 {
            describe_machine(&mut client);
        }
        shops.push(measured(&database, &mut client, orders));
    }
    println!("\n| | {} |", millions.iter().map(|n| format!("{n} M orders")).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(millions.len()));
    for (row, (name, ..)) in shops[0].iter().enumerate() {
        let cells = shops.iter().zip(&millions).map(|(shop, size)| {
            let (_, figure, unit) = &shop[row];
            let line = shops[0][row].1 * *size as f64 / millions[0] as f64;
            format!("{figure:.2} {unit}, {:.2} of the line", figure / line)
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    println!("\nThe line goes from nothing through the smallest shop.");
}

/// Figures of one shop: name, figure, unit.
type Figures = Vec<(String, f64, &'static str)>;

fn measured(database: &Database, client: &mut Client, millions: i64) -> Figures {
    let mut figures = Figures::new();
    let customers = millions * 100_000;
    batch(
        client,
        &format!(
            "SET max_parallel_workers_per_gather = 0;
             SELECT setseed(0.42);
             CREATE TABLE orders (customer_id bigint, ordered_on date, amount numeric) PARTITION BY HASH (customer_id);
             {};
             INSERT INTO orders
             SELECT ({customers} * power(random(), 1.6))::bigint, DATE '2022-01-01' + (random() * 1095)::int,
                    round((random() * 20000)::numeric, 2)
             FROM generate_series(1, {millions} * 1000000);
             CREATE INDEX ON orders (customer_id);
             RESET ALL",
            (0..8)
                .map(|n| format!(
                    "CREATE TABLE orders_{n} PARTITION OF orders FOR VALUES WITH (MODULUS 8, REMAINDER {n})"
                ))
                .collect::<Vec<_>>()
                .join("; ")
        ),
    );
    batch(client, "VACUUM ANALYZE orders");
    let start = Instant::now();
    let floor = "SELECT count(o), count(l), sum(t)
         FROM (SELECT customer_id, count(*) AS o, max(ordered_on) AS l, sum(amount) AS t FROM orders GROUP BY 1 OFFSET 0) AS q";
    client.query_one(floor, &[]).expect("the floor runs");
    figures.push(("F".to_owned(), start.elapsed().as_secs_f64(), "s"));

    let create = "create_segmentation('shop', 'orders', track => 'trigger', as_of => '2024-12-31')";
    let build = run(database, client, create);
    let built: f64 = build.steps.iter().map(|step| step.2).sum();
    figures.push(("audit".to_owned(), build.seconds - built, "s"));
    figures.extend(build.steps.iter().map(|(step, _, seconds)| (format!("build: {step}"), *seconds, "s")));
    figures.push(("build, without the audit".to_owned(), built, "s"));
    let mut size = |name: &str, condition: &str| {
        let sql = format!(
            "SELECT sum(pg_total_relation_size(oid))::float8 / 1e9 FROM pg_class WHERE relkind IN ('r', 'm') AND {condition}"
        );
        figures.push((format!("size of {name}"), client.query_one(&sql, &[]).expect("a size").get(0), "GB"));
    };
    size("the orders", "relname LIKE 'orders%'");
    size("the segmentation", "relname LIKE 'shop%'");

    let mut refresh = |name: &str, client: &mut Client, call: &str| {
        let Run { seconds, megabytes, .. } = run(database, client, call);
        figures.push((name.to_owned(), seconds, "s"));
        figures.push((format!("{name}: WAL"), megabytes, "MB"));
    };
    refresh("the first refresh, which reads all orders again", client, "refresh_segmentation('shop')");
    for (name, offset) in [("5,000 customers bought", 7), ("another 5,000 bought", 9)] {
        batch(
            client,
            &format!(
                "INSERT INTO orders SELECT DISTINCT customer_id, DATE '2024-12-30', 10 FROM orders
                 WHERE customer_id % {} = {offset}",
                customers / BUYERS
            ),
        );
        refresh(name, client, "refresh_segmentation('shop')");
    }
    let night = "refresh_segmentation('shop', as_of => '2025-01-01')";
    refresh("a night in which nothing was sold", client, night);
    figures
}
