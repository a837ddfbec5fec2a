//! Fits against papers, lifetimes, CLVTools and BTYD.

use pg_rfm::day::Day;
use pg_rfm::prediction::{ProcessName, fit_process};
use serde_json::Value;

use super::shops::{assert_near, number, reference, shop, timings};

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
        eprintln!("{what}: {:?} {} evaluations", fit.process.parameters, fit.evaluations);
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
