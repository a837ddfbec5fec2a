//! A/B tests: groups against an independent SipHash, chi-square tables and their own stability; results against plain SQL;
//! intervals, p-values and sample sizes against scipy and statsmodels (tests/reference/ab.py) and published values.

mod comparison;
mod example;
mod groups;
mod results;

use crate::common::*;

/// The rows of a file of tests/reference, after the line that names its source and the header.
fn reference<const N: usize>(name: &str) -> Vec<[String; N]> {
    let text = read(&format!("tests/reference/{name}"));
    let rows = text.lines().skip(2).map(|line| {
        let fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        fields.try_into().unwrap_or_else(|_| panic!("{name}: {line}"))
    });
    rows.collect()
}

fn number(client: &mut Client, sql: &str) -> f64 {
    one(client, &format!("SELECT ({sql})::float8"))
}
