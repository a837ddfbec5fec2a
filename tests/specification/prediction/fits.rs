//! Fits against papers, lifetimes, CLVTools and BTYD.

use std::collections::BTreeMap;

use pg_rfm::day::Day;
use pg_rfm::prediction::{Boundary, ProcessName, Timing, Timings, fit_process};
use serde_json::Value;

use super::shops::{assert_near, number, reference, shop, timings};
use crate::common::Random;

/// Fits all models to a data set, and compares parameters, standard errors and likelihoods with those of the design.
fn fits_are_those_of_the_reference(name: &str, as_of: &str, models: &[ProcessName]) {
    let (Some(reference), Some(shop)) = (reference(), shop(name)) else { return };
    let expected = &reference["fits"][format!("{name} {as_of}")];
    let timings = timings(&shop, Day::parse(as_of).unwrap());
    assert_eq!(timings.customers(), number(&expected["facts"]["customers"]));
    assert_eq!(timings.repeaters(), number(&expected["facts"]["repeaters"]));
    assert_eq!(timings.counted().len() as f64, number(&expected["facts"]["unique_triplets"]));
    for &model in models {
        let fit = fit_process(&timings, model);
        let expected = &expected[model.name()];
        let what = format!("{name} {as_of} {}", model.name());
        assert!((fit.log_likelihood - number(&expected["ll_days"])).abs() < 1e-4, "{what} {}", fit.log_likelihood);
        assert!(fit.evaluations <= 25 * fit.starts, "{what}: {} evaluations", fit.evaluations);
        let identified = expected.get("se_days").is_some();
        assert_eq!(fit.boundary.dropout_not_identified, !identified, "{what}");
        let of = |value: &Value, names: &[&str]| names.iter().map(|name| number(&value[*name])).collect::<Vec<_>>();
        let names = model.parameter_names();
        let names = if identified { &names[..] } else { &names[..2] };
        // Where the maximum is flat, the reference itself stops a little before.
        let flat = if what.contains("journey") && model == ProcessName::ParetoNbd { 1e-4 } else { 1e-5 };
        for (found, expected) in fit.process.parameters.into_iter().zip(of(&expected["params_days"], names)) {
            assert_near(found, expected, flat, &what);
        }
        if identified {
            for (found, expected) in fit.standard_errors().into_iter().zip(of(&expected["se_days"], names)) {
                assert_near(found.unwrap(), expected, 1e-3, &what);
            }
        }
    }
}

#[test]
fn of_the_sample_of_cdnow() {
    fits_are_those_of_the_reference("cdnow_sample", "1997-09-30", ProcessName::ALL);
}

#[test]
fn of_all_of_cdnow() {
    fits_are_those_of_the_reference("cdnow", "1997-09-30", ProcessName::ALL);
}

#[test]
fn of_a_wholesaler_nobody_leaves() {
    fits_are_those_of_the_reference("online_retail", "2011-06-30", ProcessName::ALL);
    fits_are_those_of_the_reference("online_retail", "2011-12-09", ProcessName::ALL);
}

#[test]
fn of_a_grocer() {
    fits_are_those_of_the_reference("complete_journey", "2017-06-30", ProcessName::ALL);
}

/// A chance, above 0 and below 1.
fn chance(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1u64 << 53) as f64 + 1e-17
}

/// Timings of customers who buy at a rate of Gamma(2, 80) days or of one for all, and leave after each purchase with a
/// chance of Beta(1, 3) or of one for all.
fn simulated(random: &mut Random, one_rate: bool, one_chance: bool) -> Timings {
    let mut counted: BTreeMap<Timing, f64> = BTreeMap::new();
    let exponential = |random: &mut Random| -chance(random).ln();
    for _ in 0..20_000 {
        let rate = if one_rate { 0.025 } else { (exponential(random) + exponential(random)) / 80.0 };
        let leaves = if one_chance { 0.25 } else { 1.0 - chance(random).powf(1.0 / 3.0) };
        let tenure = random.below(400) as u32;
        let (mut repeats, mut last, mut time) = (0, 0, 0.0);
        while chance(random) >= leaves {
            time += exponential(random) / rate;
            let day = f64::max(time.ceil(), f64::from(last + 1));
            if day > f64::from(tenure) {
                break;
            }
            (repeats, last) = (repeats + 1, day as u32);
        }
        *counted.entry(Timing { repeats, span_days: last, tenure_days: tenure }).or_default() += 1.0;
    }
    Timings::new(counted.into_iter().collect())
}

#[test]
fn of_simulated_shops_find_their_parameters() {
    for seed in 1..=10 {
        let mut random = Random::new(seed);
        let fit = fit_process(&simulated(&mut random, false, false), ProcessName::MbgNbd);
        for (i, truth) in [2.0, 80.0, 1.0, 3.0].into_iter().enumerate() {
            let errors = (fit.process.parameters[i] / truth).ln() / fit.covariance[i][i].sqrt();
            assert!(errors.abs() < 4.0, "seed {seed}: {fit:?}, {errors} standard errors");
        }
        assert_eq!(fit.boundary, Boundary::default(), "seed {seed}");
    }
}

#[test]
fn of_customers_who_are_all_alike_stop_at_the_limit() {
    for (one_rate, one_chance) in [(true, false), (false, true), (true, true)] {
        let mut random = Random::new(7);
        let timings = simulated(&mut random, one_rate, one_chance);
        for &name in ProcessName::ALL {
            let fit = fit_process(&timings, name);
            let what = format!("one rate {one_rate}, one chance {one_chance}: {fit:?}");
            assert!(!fit.boundary.not_converged && fit.boundary.at_bound.is_none(), "{what}");
            assert!(fit.evaluations < 500, "{what}");
            let [r, alpha, a, b] = fit.process.parameters;
            if name == ProcessName::MbgNbd {
                // One for all is the limit, or so near to it that the data do not tell.
                assert!((r / alpha / 0.025 - 1.0).abs() < 0.1, "{what}");
                assert!((a / (a + b) / 0.25 - 1.0).abs() < 0.1, "{what}");
                assert!(!one_rate || r > 50.0, "{what}");
                assert!(!one_chance || a + b > 20.0, "{what}");
            }
        }
    }
}
