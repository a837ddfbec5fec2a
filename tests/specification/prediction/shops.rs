//! The public data sets as purchase histories.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use flate2::read::GzDecoder;
use pg_rfm::day::Day;
use pg_rfm::decimal::Decimal;
use pg_rfm::history::{PurchaseDay, PurchaseHistory};
use pg_rfm::prediction::{Timing, Timings};
use serde_json::Value;

use crate::common::{data, shared};

/// Decimals of all amounts.
const SCALE: u8 = 6;

/// The customers of a data set by number; `None` and a word about it where it is not there.
pub fn shop(name: &str) -> Option<BTreeMap<i64, PurchaseHistory>> {
    let plain = name == "cdnow_sample";
    let path = data(&format!("{name}/orders.csv{}", if plain { "" } else { ".gz" }))?;
    let file = File::open(path).unwrap();
    let text: Box<dyn Read> = if plain { Box::new(file) } else { Box::new(GzDecoder::new(file)) };
    let mut lines = BufReader::new(text).lines().map(Result::unwrap);
    let header = lines.next().unwrap();
    let column = |names: &[&str]| header.split(',').position(|column| names.contains(&column)).unwrap();
    let [customer, day, amount] = [&["customer_id"][..], &["order_date", "order_ts"], &["amount"]].map(column);
    let mut rows: BTreeMap<i64, Vec<PurchaseDay>> = BTreeMap::new();
    for line in lines {
        let fields: Vec<_> = line.split(',').collect();
        let Ok(customer) = fields[customer].parse() else { continue };
        let amount = Decimal::parse(fields[amount]).unwrap().mantissa_at(SCALE).unwrap();
        let day = Day::parse(&fields[day][..10]).unwrap();
        rows.entry(customer).or_default().push(PurchaseDay::of_row(day, Some(amount), None));
    }
    let histories = rows.into_iter().map(|(customer, days)| (customer, PurchaseHistory::new(SCALE, days).unwrap()));
    Some(histories.collect())
}

/// The numbers of the design; `None` and a word about it where they are not there.
pub fn reference() -> Option<Value> {
    let path = shared("design/prediction_reference.json")?;
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

pub fn timings(shop: &BTreeMap<i64, PurchaseHistory>, as_of: Day) -> Timings {
    let mut counted: BTreeMap<Timing, f64> = BTreeMap::new();
    for history in shop.values() {
        if let Some(timing) = Timing::of(history, as_of).unwrap() {
            *counted.entry(timing).or_default() += 1.0;
        }
    }
    Timings::new(counted.into_iter().collect())
}

/// A number of the reference.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

#[track_caller]
pub fn assert_near(found: f64, expected: f64, relative: f64, what: &str) {
    let difference = (found - expected).abs();
    assert!(difference <= relative * expected.abs().max(1e-12), "{what}: {found}, not {expected}");
}
