//! `make bench BENCH=prediction`: what fits and predictions cost, as ratios within one run. No figure here is ever a test.
//!
//! F is the floor of `make bench BENCH=speed`: PostgreSQL's plainest GROUP BY over the orders. The fit of the whole CDNOW data set
//! takes turns with that of lifetimes, which is installed into a virtual environment of its own.

#[path = "../common/mod.rs"]
mod common;
#[path = "machine.rs"]
mod machine;
#[path = "shop.rs"]
mod shop;
// The bench asks for the shops alone, and the tests for what was published of them too.
#[allow(dead_code)]
#[path = "../specification/prediction/shops.rs"]
mod shops;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Client, Database, batch, file, shared};
use machine::describe_machine;
use pg_rfm::day::Day;
use pg_rfm::prediction::{ProcessName, Timings, fit_process};
use shop::{load, median};

const ROUNDS: usize = 5;
const AS_OF: &str = "DATE '2024-12-31'";

/// The floor, as in speed.rs.
const F: &str = "SELECT count(o), count(l), sum(t)
    FROM (SELECT customer_id, count(*) AS o, max(ordered_on) AS l, sum(amount) AS t FROM orders GROUP BY 1 OFFSET 0) AS q";

/// Parameters of a shop whose customers leave, of every kind, so that all that can be asked is told.
const MODELS: [(&str, &str); 3] = [
    ("mbgnbd", r#"{"r": 0.52, "alpha": 43.3, "a": 0.89, "b": 1.61}"#),
    ("bgnbd", r#"{"r": 0.24, "alpha": 30.9, "a": 0.79, "b": 2.43}"#),
    ("paretonbd", r#"{"r": 0.55, "alpha": 74, "s": 0.61, "beta": 81.7}"#),
];

fn main() {
    let database = Database::new("bench_prediction");
    let mut client = database.client();
    describe_machine(&mut client);
    let customers = load(&mut client);
    batch(
        &mut client,
        "SET work_mem = '64MB'; SET max_parallel_workers_per_gather = 0;
         CREATE TABLE histories AS SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY 1;
         ANALYZE histories",
    );
    fits(&mut client, customers);
    predictions(&mut client, customers);
    beside_lifetimes();
}

/// Medians of the seconds of statements that take turns.
fn medians(client: &mut Client, statements: &[(String, String)]) -> Vec<f64> {
    let mut times = vec![Vec::new(); statements.len()];
    for _ in 0..ROUNDS {
        for ((name, sql), times) in statements.iter().zip(&mut times) {
            let start = Instant::now();
            client.query(sql, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
            times.push(start.elapsed());
        }
    }
    times.into_iter().map(median).collect()
}

/// Fits with all starts and of the spend too, against F.
fn fits(client: &mut Client, customers: i64) {
    println!("\n## Fits to {customers} histories, all starts, no parallel workers\n");
    let fit = |model: &str, spend: &str| {
        let options = format!(r#"{{"model": "{model}", "spend": "{spend}"}}"#);
        (
            format!("{model}, spend {spend}"),
            format!("SELECT fit_purchase_model(h, {AS_OF}, '{options}') FROM histories"),
        )
    };
    let statements = [
        ("F".to_owned(), F.to_owned()),
        ("reading the histories".to_owned(), "SELECT count(purchase_history_hash(h)) FROM histories".to_owned()),
        fit("mbgnbd", "none"),
        fit("bgnbd", "none"),
        fit("paretonbd", "none"),
        fit("mbgnbd", "auto"),
        fit("auto", "auto"),
    ];
    let seconds = medians(client, &statements);
    println!("| | seconds | to F | beyond reading, to F |");
    println!("|---|---|---|---|");
    for ((name, _), time) in statements.iter().zip(&seconds) {
        println!("| {name} | {time:.2} | {:.2} | {:.2} |", time / seconds[0], (time - seconds[1]) / seconds[0]);
    }
}

/// Functions of one customer, beyond reading her history.
fn predictions(client: &mut Client, customers: i64) {
    println!(
        "\n## Functions on {customers} stored histories, no parallel workers: microseconds a customer beyond reading\n"
    );
    let count = |column: &str, from: &str| format!("SELECT count({column}) FROM (SELECT {from} OFFSET 0) AS q");
    // As NAME_predictions does it: the model comes from a subquery, which is run once.
    let calls = [
        ("p_alive", "p_alive(h, {AS_OF}, {MODEL}) AS x FROM histories"),
        ("purchase_probability", "purchase_probability(h, {AS_OF}, 90, {MODEL}) AS x FROM histories"),
        ("expected_purchases", "expected_purchases(h, {AS_OF}, 90, {MODEL}) AS x FROM histories"),
        ("customer_lifetime_value", "customer_lifetime_value(h, {AS_OF}, 365, 0.1, {MODEL}) AS x FROM histories"),
        (
            "predict_customer",
            "p.*, p.alive_until AS x FROM histories, LATERAL predict_customer(h, {AS_OF}, {MODEL}) AS p",
        ),
    ];
    // What a history is read for: its bytes alone, or its days, as every function here needs them.
    let mut statements = vec![
        ("purchase_history_hash, the bytes".to_owned(), count("x", "purchase_history_hash(h) AS x FROM histories")),
        ("orders, the days".to_owned(), count("x", &format!("orders(h, {AS_OF}) AS x FROM histories"))),
    ];
    for (model, parameters) in MODELS {
        batch(
            client,
            &format!(
                r#"CREATE TABLE {model} AS
                   SELECT '{{"model": "{model}", "purchases": {parameters}, "spend": {{"p": 9.9, "q": 3.4, "v": 4000}}}}'::purchase_model AS model"#
            ),
        );
        let of_model = |(name, call): &(&str, &str)| {
            let call = call.replace("{AS_OF}", AS_OF).replace("{MODEL}", &format!("(SELECT model FROM {model})"));
            (format!("{name}, {model}"), count("x", &call))
        };
        statements.extend(calls.iter().map(of_model));
    }
    let seconds = medians(client, &statements);
    println!("| function | seconds | beyond the bytes | beyond the days |");
    println!("|---|---|---|---|");
    for ((name, _), time) in statements.iter().zip(&seconds) {
        let [bytes, days] = [seconds[0], seconds[1]].map(|reading| (time - reading) * 1e6 / customers as f64);
        println!("| {name} | {time:.2} | {bytes:.2} | {days:.2} |");
    }
}

/// One fit of lifetimes of the triplets in a file, which prints its milliseconds.
const LIFETIMES: &str = "
import csv, sys, time, warnings
warnings.filterwarnings('ignore')
import numpy, lifetimes
x, span, tenure = numpy.array(list(csv.reader(open(sys.argv[1]))), dtype=float).T
fitter = {'mbgnbd': lifetimes.ModifiedBetaGeoFitter, 'bgnbd': lifetimes.BetaGeoFitter,
          'paretonbd': lifetimes.ParetoNBDFitter}[sys.argv[2]]
start = time.perf_counter()
fitter().fit(x, span, tenure)
print((time.perf_counter() - start) * 1000)
";

/// The whole CDNOW data set: all starts of a fit here, the one start of lifetimes, in turn.
fn beside_lifetimes() {
    println!("\n## CDNOW, 23,570 customers: beside lifetimes 0.11.3\n");
    if shared("data/cdnow").is_none() {
        println!("skipped: the data set is not there");
        return;
    }
    let Some(python) = lifetimes() else {
        println!("skipped: lifetimes 0.11.3 cannot be installed here");
        return;
    };
    let customers = shops::shop("cdnow").expect("the data set is there");
    let timings = shops::timings(&customers, Day::parse("1997-09-30").expect("a day"));
    let triplets = file("target/bench_cdnow.csv");
    fs::write(&triplets, as_rows(&timings)).expect("the triplets can be written");
    println!("| model | here, all starts, ms | starts, evaluations | lifetimes, one start, ms | times as fast |");
    println!("|---|---|---|---|---|");
    for &name in ProcessName::ALL {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        let mut fit = fit_process(&timings, name);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            fit = fit_process(&timings, name);
            here.push(start.elapsed());
            let output = Command::new(&python).args(["-c", LIFETIMES]).arg(&triplets).arg(name.name()).output();
            let printed = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            there.extend(printed.trim().parse::<f64>().ok().map(|ms| Duration::from_secs_f64(ms / 1000.0)));
        }
        if there.is_empty() {
            println!("| {} | | | does not fit | |", name.name());
            continue;
        }
        let [here, there] = [here, there].map(|times| median(times) * 1000.0);
        let (name, ratio) = (name.name(), there / here);
        println!("| {name} | {here:.2} | {}, {} | {there:.1} | {ratio:.1} |", fit.starts, fit.evaluations);
    }
}

/// A row of x, t_x and T for each customer.
fn as_rows(timings: &Timings) -> String {
    let rows = timings.counted().iter().map(|(timing, customers)| {
        format!("{},{},{}\n", timing.repeats, timing.span_days, timing.tenure_days).repeat(*customers as usize)
    });
    rows.collect()
}

/// The Python of a virtual environment with lifetimes, which is made where there is none; `None` where that cannot be.
fn lifetimes() -> Option<PathBuf> {
    let folder = file("target/bench_lifetimes");
    let python = folder.join("bin/python");
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let is_there = || succeeds(Command::new(&python).args(["-c", "import lifetimes"]));
    if !is_there() {
        succeeds(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        succeeds(Command::new(&python).args(["-m", "pip", "install", "--quiet", "lifetimes==0.11.3"]));
    }
    is_there().then_some(python)
}
