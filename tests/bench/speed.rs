//! `make bench`: speed and memory as ratios within one run. No figure here is ever a test.
//!
//! F, the floor, is PostgreSQL's own plainest GROUP BY over the same orders; W is what an analyst would write without the
//! extension (tests/reference/simple_w*.sql). The candidates take turns, the medians of their times are compared.
//! Smaller runs: PG_RFM_BENCH_ORDERS=500000 make bench. One of the benches: make bench BENCH=speed.

#[path = "../common/mod.rs"]
mod common;
#[path = "machine.rs"]
mod machine;
#[path = "shop.rs"]
mod shop;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use common::{Database, backend, batch, file, read};
use machine::describe_machine;
use postgres::Client;
use shop::{load, median};

const ROUNDS: usize = 3;
const AS_OF: &str = "2024-12-31";

fn main() {
    let database = Database::new("bench");
    let mut client = database.client();
    describe_machine(&mut client);
    let customers = load(&mut client);

    for workers in [0, 2] {
        println!("\n## {workers} parallel workers, work_mem 64 MB\n");
        batch(&mut client, &format!("SET max_parallel_workers_per_gather = {workers}; SET work_mem = '64MB'"));
        compare(&mut client, &candidates());
    }
    println!(
        "\n## Rows in order of customer (ORDER BY customer_id in a subquery), no parallel workers, work_mem 64 MB\n"
    );
    batch(&mut client, "SET max_parallel_workers_per_gather = 0");
    compare(&mut client, &in_order(candidates()));

    stored_histories(&mut client, customers);
    ab_tests(&mut client);
    learning_and_movement(&mut client);
    due_steps(&mut client);
    memory(&database);
    history_size(&database);
}

/// A query whose columns must all be computed.
struct Candidate {
    name: &'static str,
    columns: &'static [&'static str],
    query: String,
}

impl Candidate {
    fn run(&self, client: &mut Client) -> Duration {
        let counts: Vec<_> = self.columns.iter().map(|column| format!("count({column})")).collect();
        let sql = format!("SELECT {} FROM ({} OFFSET 0) AS q", counts.join(", "), self.query);
        let start = Instant::now();
        client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        start.elapsed()
    }
}

/// The floor: name, columns, query.
const F: (&str, &[&str], &str) = (
    "F: count, max, sum",
    &["orders", "last", "total"],
    "SELECT customer_id, count(*) AS orders, max(ordered_on) AS last, sum(amount) AS total FROM orders GROUP BY 1",
);

const FOUR: &[&str] = &["rfm_score", "lifecycle_state", "vip_score", "next_action"];

fn candidates() -> Vec<Candidate> {
    let four: Vec<_> = FOUR.iter().map(|name| format!("{name}(ordered_on, amount, '{AS_OF}')")).collect();
    let plain = |name: &str| {
        let sql = read(&format!("tests/reference/{name}"));
        sql.trim_end().trim_end_matches(';').replace(":'as_of'", &format!("'{AS_OF}'"))
    };
    vec![
        Candidate { name: F.0, columns: F.1, query: F.2.to_owned() },
        Candidate {
            name: "purchase_history",
            columns: &["h"],
            query: "SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY 1".to_owned(),
        },
        Candidate {
            name: "the four aggregates",
            columns: FOUR,
            query: format!("SELECT customer_id, {} FROM orders GROUP BY 1", four.join(", ")),
        },
        Candidate { name: "W: plain SQL, one sort", columns: FOUR, query: plain("simple_w.sql") },
        Candidate { name: "W: plain SQL, by day first", columns: FOUR, query: plain("simple_w_days.sql") },
    ]
}

/// The same without W, which sorts anyway, over orders sorted by customer.
fn in_order(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let sorted = |mut candidate: Candidate| {
        candidate.query =
            candidate.query.replace("FROM orders", "FROM (SELECT * FROM orders ORDER BY customer_id) AS o");
        candidate
    };
    let (w, mut others): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| candidate.name.starts_with('W'));
    let hashed = Candidate { name: "F, rows as they come", ..self::candidates().swap_remove(0) };
    others = others.into_iter().map(sorted).collect();
    others.insert(0, hashed);
    others.extend(w);
    others
}

/// Medians of the candidates' times, taken in turn, and their ratios to the first (F) and to each W.
fn compare(client: &mut Client, candidates: &[Candidate]) {
    let mut times: BTreeMap<usize, Vec<Duration>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (position, candidate) in candidates.iter().enumerate() {
            times.entry(position).or_default().push(candidate.run(client));
        }
    }
    let medians: Vec<f64> = times.into_values().map(median).collect();
    let plain: Vec<_> = (0..candidates.len()).filter(|&position| candidates[position].name.starts_with("W:")).collect();
    println!("| query | seconds | to F | to W (one sort) | to W (by day first) |");
    println!("|---|---|---|---|---|");
    for (candidate, time) in candidates.iter().zip(&medians) {
        let to_plain: Vec<_> = plain.iter().map(|&position| format!("{:.2}", time / medians[position])).collect();
        println!("| {} | {time:.2} | {:.2} | {} |", candidate.name, time / medians[0], to_plain.join(" | "));
    }
}

fn stored_histories(client: &mut Client, customers: i64) {
    println!("\n## Functions on {customers} stored histories, no parallel workers\n");
    batch(
        client,
        "CREATE TABLE histories AS
         SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY 1;
         ANALYZE histories",
    );
    let query = |name, column, query: &str| Candidate {
        name,
        columns: column,
        query: query.replace("DAY", &format!("DATE '{AS_OF}'")),
    };
    let candidates = [
        query("reading them", &["x"], "SELECT purchase_history_hash(h) AS x FROM histories"),
        query("rfm_score", &["x"], "SELECT rfm_score(h, DAY) AS x FROM histories"),
        query("lifecycle_state", &["x"], "SELECT lifecycle_state(h, DAY) AS x FROM histories"),
        query("next_action", &["x"], "SELECT next_action(h, DAY) AS x FROM histories"),
        query(
            "segment_customer",
            &["action_due_on"],
            "SELECT s.* FROM histories, LATERAL segment_customer(h, DAY) AS s",
        ),
    ];
    beyond_reading(client, &candidates, customers);
}

/// What each candidate takes a customer beyond the first one, which only reads.
fn beyond_reading(client: &mut Client, candidates: &[Candidate], customers: i64) {
    let mut times = vec![Vec::new(); candidates.len()];
    for _ in 0..ROUNDS {
        for (candidate, times) in candidates.iter().zip(&mut times) {
            times.push(candidate.run(client));
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    println!("| function | seconds | microseconds a customer beyond reading |");
    println!("|---|---|---|");
    for (candidate, time) in candidates.iter().zip(&medians) {
        println!("| {} | {time:.2} | {:.2} |", candidate.name, (time - medians[0]) * 1e6 / customers as f64);
    }
}

/// Groups of an A/B test, and what came of them, by type of key.
fn ab_tests(client: &mut Client) {
    const CUSTOMERS: i64 = 1_000_000;
    println!("\n## A/B tests of {CUSTOMERS} customers, no parallel workers\n");
    batch(
        client,
        &format!(
            "CREATE TABLE keys AS
             SELECT i, 'customer-' || i AS t, md5(i::text)::uuid AS u, i % 9 = 0 AS responded, (i % 9999)::numeric / 100 AS amount
             FROM generate_series(1::bigint, {CUSTOMERS}) AS i;
             ANALYZE keys"
        ),
    );
    let query = |name, query: &str| Candidate {
        name,
        columns: &["x"],
        query: query.replace("GROUPS", r#"'[{"group": "holdout", "share": 0.1}, {"group": "offer", "share": 0.9}]'"#),
    };
    let candidates = [
        query("reading them", "SELECT i AS x FROM keys"),
        query("ab_group of bigint", "SELECT ab_group(i, 'spring', GROUPS) AS x FROM keys"),
        query("ab_group of text", "SELECT ab_group(t, 'spring', GROUPS) AS x FROM keys"),
        query("ab_group of uuid", "SELECT ab_group(u, 'spring', GROUPS) AS x FROM keys"),
        query(
            "two tests in turn",
            "SELECT ab_group(i, CASE i % 2 WHEN 0 THEN 'spring' ELSE 'autumn' END, GROUPS) AS x FROM keys",
        ),
        query("ab_result", "SELECT ab_result(responded, amount) AS x FROM keys"),
        query("sum(amount)", "SELECT sum(amount) AS x FROM keys"),
    ];
    beyond_reading(client, &candidates, CUSTOMERS);
}

/// Learning a policy from all histories, and movement month by month over three years, against reading the histories.
fn learning_and_movement(client: &mut Client) {
    println!("\n## All customers at once, no parallel workers\n");
    let candidates = [
        Candidate { name: F.0, columns: F.1, query: F.2.to_owned() },
        Candidate {
            name: "reading the histories",
            columns: &["x"],
            query: "SELECT purchase_history_hash(h) AS x FROM histories".to_owned(),
        },
        Candidate {
            name: "learn_policy",
            columns: &["policy"],
            query: format!("SELECT learn_policy(h, '{AS_OF}', NULL) AS policy FROM histories"),
        },
        Candidate {
            name: "movement, month by month for three years",
            columns: &["customers", "revenue"],
            query: "SELECT m.from_day, m.from_state, m.to_state, count(*) AS customers, sum(m.revenue_after) AS revenue
                    FROM histories
                    CROSS JOIN LATERAL state_movements(h, '2021-12-31', '2024-12-31', '1 month') AS m
                    GROUP BY 1, 2, 3"
                .to_owned(),
        },
    ];
    ratios(client, &candidates);
}

/// Five scenarios for every customer, with two events and six contacts of each on average, against F.
fn due_steps(client: &mut Client) {
    println!("\n## What is due, of five scenarios, no parallel workers\n");
    batch(
        client,
        &format!(
            "CREATE TABLE engaged AS
             SELECT customer_id, h, e, c
             FROM histories
             LEFT JOIN (SELECT customer_id, engagement_history(kind, day) AS e
                        FROM (SELECT customer_id, (ARRAY['review', 'survey', 'complaint', 'referral'])[1 + n % 4] AS kind,
                                     DATE '{AS_OF}' - (random() * 700)::int AS day
                              FROM histories, generate_series(1, 4) AS n WHERE random() < 0.5) AS events
                        GROUP BY 1) AS events USING (customer_id)
             LEFT JOIN (SELECT customer_id, contact_history(channel, day, scenario, step, NULL) AS c
                        FROM (SELECT customer_id, (ARRAY['email', 'line', 'postal'])[1 + n % 3] AS channel,
                                     DATE '{AS_OF}' - (random() * 400)::int AS day,
                                     (ARRAY['at_risk_check_in', 'keeper_co_creation', 'reactivation_drifted'])[1 + n % 3]
                                         AS scenario,
                                     (ARRAY['check_in', 'reward', 'reason', 'review'])[1 + n % 4] AS step
                              FROM histories, generate_series(1, 12) AS n WHERE random() < 0.5) AS contacts
                        GROUP BY 1) AS contacts USING (customer_id);
             ANALYZE engaged"
        ),
    );
    let due = |name, arguments: &str| {
        Candidate {
        name,
        columns: &["why"],
        query: format!(
            "SELECT d.* FROM engaged,
                    (SELECT array_agg(preset_scenario(name)) AS five
                     FROM unnest(ARRAY['dissatisfied', 'dormant_good_customer', 'reactivation_drifted', 'at_risk_check_in',
                                       'keeper_co_creation']) AS p (name)) AS scenarios,
                    LATERAL due_steps(five, h, '{AS_OF}', NULL{arguments}) AS d"
        ),
    }
    };
    ratios(
        client,
        &[
            Candidate { name: F.0, columns: F.1, query: F.2.to_owned() },
            due("due_steps, orders alone", ""),
            due("due_steps, with engagement, channels and log", ", e, 'ad_hoc', '{email, postal}', c"),
        ],
    );
}

/// Medians of the candidates' times, taken in turn, and their ratios to the first (F).
fn ratios(client: &mut Client, candidates: &[Candidate]) {
    let mut times = vec![Vec::new(); candidates.len()];
    for _ in 0..ROUNDS {
        for (candidate, times) in candidates.iter().zip(&mut times) {
            times.push(candidate.run(client));
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    println!("| query | seconds | to F |");
    println!("|---|---|---|");
    for (candidate, time) in candidates.iter().zip(&medians) {
        println!("| {} | {time:.2} | {:.2} |", candidate.name, time / medians[0]);
    }
}

/// The largest private memory of a backend while it aggregates, sampled from /proc.
fn memory(database: &Database) {
    println!("\n## Memory with work_mem 64 MB, no parallel workers\n");
    println!("| query | private memory, MB | hash aggregate |");
    println!("|---|---|---|");
    for candidate in candidates().into_iter().take(3) {
        let mut client = database.client();
        batch(&mut client, "SET max_parallel_workers_per_gather = 0; SET work_mem = '64MB'");
        let pid = backend(&mut client);
        let done = AtomicBool::new(false);
        let (peak, plan) = thread::scope(|scope| {
            let sampler = scope.spawn(|| {
                let mut peak = 0;
                while !done.load(Ordering::Relaxed) {
                    peak = peak.max(private_kilobytes(pid));
                    thread::sleep(Duration::from_millis(5));
                }
                peak
            });
            let rows = client.query(&format!("EXPLAIN (ANALYZE, TIMING OFF) {}", candidate.query), &[]);
            done.store(true, Ordering::Relaxed);
            let lines: Vec<String> = rows.expect("a plan").iter().map(|row| row.get(0)).collect();
            (sampler.join().expect("the sampler ends"), lines)
        });
        let batches = plan.iter().find(|line| line.contains("Batches")).map_or("none", |line| line.trim());
        println!("| {} | {} | {batches} |", candidate.name, peak / 1024);
    }
}

fn private_kilobytes(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn history_size(database: &Database) {
    println!("\n## Size of stored histories\n");
    let sample = file("sql/demo/cdnow_sample.csv");
    let mut client = database.client();
    batch(&mut client, "CREATE TABLE cdnow (customer_id int, ordered_on date, amount numeric)");
    database.copy_csv("cdnow", &sample);
    let row = client
        .query_one(
            "SELECT sum(pg_column_size(h))::float8 / sum(n)
             FROM (SELECT purchase_history(ordered_on, amount) AS h, count(*) AS n FROM cdnow GROUP BY customer_id) AS c",
            &[],
        )
        .expect("a size");
    println!("CDNOW sample: {:.2} bytes a purchase, everything included", row.get::<_, f64>(0));
}
