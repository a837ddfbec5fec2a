//! `make bench BENCH=segmentation`: what a segmentation costs to build, to refresh and to the writers of the orders, as ratios
//! within one run. No figure here is ever a test.

#[path = "calls.rs"]
mod calls;
#[path = "../common/mod.rs"]
mod common;
#[path = "machine.rs"]
mod machine;
#[path = "shop.rs"]
mod shop;

use std::fs;
use std::time::{Duration, Instant};

use calls::{Run, run};
use common::{Database, batch, program};
use machine::describe_machine;
use postgres::Client;
use shop::{load, median};

const ROUNDS: usize = 3;

fn main() {
    let database = Database::new("bench_segmentation");
    let mut client = database.client();
    describe_machine(&mut client);
    load(&mut client);
    batch(
        &mut client,
        "ALTER TABLE orders ADD COLUMN order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
         CREATE INDEX ON orders (customer_id);
         RESET ALL",
    );
    batch(&mut client, "VACUUM ANALYZE orders");

    refreshes(&database, &mut client);
    writers(&database, &mut client);
}

/// Building all of it, and refreshing after nothing, a night and 1 % of the customers, against F and against a rebuild.
fn refreshes(database: &Database, client: &mut Client) {
    let floor = "SELECT count(o), count(l), sum(t)
         FROM (SELECT customer_id, count(*) AS o, max(ordered_on) AS l, sum(amount) AS t FROM orders GROUP BY 1 OFFSET 0) AS q";
    let mut times = Vec::new();
    let mut builds = Vec::new();
    for round in 0..ROUNDS {
        let start = Instant::now();
        client.query_one(floor, &[]).expect("the floor runs");
        times.push(start.elapsed());
        if round > 0 {
            run(database, client, "drop_segmentation('shop')");
        }
        builds.push(run(
            database,
            client,
            "create_segmentation('shop', 'orders', track => 'trigger', as_of => '2024-12-31')",
        ));
    }
    let floor = median(times);
    // The audit, which counts duplicates among all orders, is no part of the build.
    let built = |run: &Run| run.steps.iter().map(|step| step.2).sum::<f64>();
    builds.sort_by(|one, other| built(one).total_cmp(&built(other)));
    let build = builds.swap_remove(ROUNDS / 2);
    let histories = build.steps[0].2;

    let refresh = "refresh_segmentation('shop')";
    let full = run(database, client, refresh);
    let nothing = run(database, client, refresh);
    buy(client, 7);
    let changed = run(database, client, refresh);
    batch(client, "UPDATE orders SET amount = amount + 1 WHERE customer_id % 100 = 8");
    let rewritten = run(database, client, refresh);
    let night = run(database, client, "refresh_segmentation('shop', as_of => '2025-01-01')");
    let again = run(database, client, "refresh_segmentation('shop', as_of => '2025-01-01')");
    buy(client, 9);
    let next_day = run(database, client, "refresh_segmentation('shop', as_of => '2025-01-02')");
    run(database, client, "refresh_segmentation('shop', as_of => '2025-01-30')");
    let month = run(database, client, "refresh_segmentation('shop', as_of => '2025-01-31')");

    println!("\n## Building and refreshing, default parallelism\n");
    println!("F (GROUP BY customer: count, max, sum): {floor:.2} s\n");
    println!("| | seconds | to F | WAL, MB | steps: rows, seconds |");
    println!("|---|---|---|---|---|");
    for (name, run, seconds) in [
        ("build, without the audit", &build, built(&build)),
        ("audit", &build, build.seconds - built(&build)),
        ("read all orders again", &full, full.seconds),
        ("nothing happened", &nothing, nothing.seconds),
        ("1 % of the customers bought", &changed, changed.seconds),
        ("all orders of 1 % of the customers changed", &rewritten, rewritten.seconds),
        ("a night in which nothing was sold", &night, night.seconds),
        ("the same day again", &again, again.seconds),
        ("1 % of the customers bought, the next day", &next_day, next_day.seconds),
        ("a night in which nothing was sold and a month ended", &month, month.seconds),
    ] {
        let steps: Vec<_> = run.steps.iter().map(|(step, rows, time)| format!("{step} {rows} {time:.2}")).collect();
        let (ratio, megabytes) = (seconds / floor, run.megabytes);
        println!("| {name} | {seconds:.2} | {ratio:.2} | {megabytes:.1} | {} |", steps.join("; "));
    }
    println!();
    for (name, run) in [("1 % of the customers bought", &changed), ("all orders of 1 % changed", &rewritten)] {
        let seconds = run.steps[0].2;
        let share = 100.0 * seconds / histories;
        println!("Histories where {name}: {seconds:.2} s, {share:.1} % of building them ({histories:.2} s)");
    }
}

/// One order of every customer whose number ends in these two digits.
fn buy(client: &mut Client, digits: i32) {
    batch(
        client,
        &format!(
            "INSERT INTO orders (customer_id, ordered_on, amount)
             SELECT DISTINCT customer_id, DATE '2024-12-30', 10 FROM orders WHERE customer_id % 100 = {digits}"
        ),
    );
}

/// What tracking costs the writers: the same work with the triggers disabled and enabled, in turn.
fn writers(database: &Database, client: &mut Client) {
    println!("\n## What tracking costs the writers\n");
    println!("| writer | without | with | ratio |");
    println!("|---|---|---|---|");
    let single = "\\set customer random(1, 500000)
        INSERT INTO orders (customer_id, ordered_on, amount) VALUES (:customer, '2024-12-31', 10);";
    compare(client, "single-row INSERT, 4 clients, transactions a second", || pgbench(database, single));
    let update = "\\set order random(1, 5000000)
        UPDATE orders SET amount = amount + 1 WHERE order_id = :order;";
    compare(client, "single-row UPDATE, 4 clients, transactions a second", || pgbench(database, update));
    let mut bulk = database.client();
    compare(client, "INSERT of 500,000 rows, seconds", || {
        let start = Instant::now();
        batch(
            &mut bulk,
            "INSERT INTO orders (customer_id, ordered_on, amount)
             SELECT 1 + g::bigint * 7919 % 500000, DATE '2024-12-31', 10 FROM generate_series(1, 500000) AS g",
        );
        start.elapsed().as_secs_f64()
    });
}

fn compare(client: &mut Client, name: &str, mut measure: impl FnMut() -> f64) {
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (position, state) in ["DISABLE", "ENABLE"].into_iter().enumerate() {
            batch(client, &format!("ALTER TABLE orders {state} TRIGGER USER"));
            batch(client, "CHECKPOINT");
            figures[position].push(Duration::from_secs_f64(measure()));
        }
    }
    let [without, with] = figures.map(median);
    println!("| {name} | {without:.2} | {with:.2} | {:.2} |", with / without);
}

/// Transactions a second of a script.
fn pgbench(database: &Database, script: &str) -> f64 {
    let file = std::env::temp_dir().join(format!("pg_rfm_bench_{}.sql", std::process::id()));
    let lines: Vec<_> = script.lines().map(str::trim).collect();
    fs::write(&file, lines.join("\n")).expect("the script can be written");
    let output = program("pgbench")
        .args(["-n", "-c", "4", "-j", "2", "-T", "10", "-M", "prepared", "-f"])
        .arg(&file)
        .arg(&database.name)
        .output()
        .expect("pgbench runs");
    fs::remove_file(&file).expect("the script can be removed");
    let printed = String::from_utf8_lossy(&output.stdout);
    let tps = printed.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("{printed}{}", String::from_utf8_lossy(&output.stderr)))
}
