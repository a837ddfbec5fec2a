//! Predictions of single customers against arithmetic with 50 digits, papers and hostile parameters.

use pg_rfm::day::Day;
use pg_rfm::prediction::{DiscountRate, GammaGamma, Horizon, Process, ProcessName, PurchaseModel, Spent, Timing};
use serde_json::{Value, json};

use super::shops::{assert_near, number, reference};
use crate::common::read;

fn process(name: ProcessName, parameters: [f64; 4]) -> Process {
    Process { name, parameters }
}

/// The parameters that the reference fitted; without dropout where it found none.
fn fitted(fits: &Value, name: ProcessName) -> Process {
    let parameters = &fits[name.name()]["params_days"];
    let of = |key: &str, without: f64| parameters.get(key).map_or(without, number);
    let [r, alpha, third, fourth] = name.parameter_names();
    process(name, [number(&parameters[r]), number(&parameters[alpha]), of(third, 0.0), of(fourth, 1.0)])
}

fn spend_model(fits: &Value, counts: &str) -> GammaGamma {
    let parameters = &fits[format!("gammagamma_{counts}")]["params"];
    let [p, q, v] = ["p", "q", "v"].map(|key| number(&parameters[key]));
    GammaGamma { p, q, v }
}

/// What a check of a number asks of it.
#[track_caller]
fn check(expected: Option<&Value>, relative: f64, what: &str, found: impl FnOnce() -> f64) {
    if let Some(expected) = expected.filter(|value| value.is_number()) {
        let (found, expected) = (found(), number(expected));
        let difference = (found - expected).abs();
        assert!(difference <= relative * expected.abs() + 1e-11, "{what}: {found}, not {expected}");
    }
}

#[test]
fn of_the_reference_are_met() {
    let Some(reference) = reference() else { return };
    let customers = reference["customers"].as_array().unwrap();
    assert!(customers.len() >= 22);
    for customer in customers {
        let dataset = customer["dataset"].as_str().unwrap();
        let fits = &reference["fits"][dataset];
        let facts = ["purchase_days", "t_x_days", "T_days"].map(|key| customer[key].as_i64().unwrap());
        let timing = Timing::new(facts[0], facts[1], facts[2]).unwrap();
        let x = f64::from(timing.repeats);
        let amounts = [(x, &customer["repeat_amount"]), (x + 1.0, &customer["total_amount"])];
        let mut spends = [0.0; 2];
        for (i, counts) in ["repeat", "all"].into_iter().enumerate() {
            let what = format!("{dataset} {} spend {counts}", customer["customer_id"]);
            spends[i] = spend_model(fits, counts).expected(amounts[i].0, number(amounts[i].1)).unwrap();
            check(customer.get(format!("expected_spend_{counts}")), 1e-9, &what, || spends[i]);
        }
        for &name in ProcessName::ALL {
            let Some(expected) = customer.get(name.name()) else { continue };
            let what = format!("{dataset} {} {}", customer["customer_id"], name.name());
            let model = fitted(fits, name);
            let outlook = model.outlook(&timing);
            let per_day = 1.1f64.ln() / 365.0;
            let get = |key: &str| expected.get(key);
            check(get("p_alive"), 1e-9, &what, || outlook.p_alive);
            check(get("E90"), 1e-9, &what, || outlook.expected(90.0));
            check(get("E365"), 1e-9, &what, || outlook.expected(365.0));
            check(get("D365_10"), 1e-9, &what, || outlook.discounted(365.0, per_day));
            check(get("purchase_probability_90"), 1e-9, &what, || outlook.probability(90.0));
            check(get("clv_365_10_repeat"), 1e-9, &what, || outlook.discounted(365.0, per_day) * spends[0]);
            check(get("clv_365_10_all"), 1e-9, &what, || outlook.discounted(365.0, per_day) * spends[1]);
            for (key, days) in [("interval95_90", 90.0), ("interval95_365", 365.0)] {
                if let Some(interval) = get(key) {
                    assert_eq!(json!(outlook.quantiles(days, [0.025, 0.975])), *interval, "{what}");
                }
            }
            if let Some(pmf) = get("pmf_90_first").and_then(Value::as_array) {
                let mut above = 1.0;
                let mut chances = Vec::new();
                outlook.each_exceeded(90.0, |exceeded| {
                    chances.push(above - exceeded);
                    above = exceeded;
                    chances.len() < pmf.len()
                });
                for (found, expected) in chances.into_iter().zip(pmf) {
                    check(Some(expected), 1e-9, &what, || found);
                }
            }
            if let Some(quantiles) = get("revenue_365_undiscounted_all_q025_q500_q975") {
                let so_far = (amounts[1].0, number(amounts[1].1));
                let found = spend_model(fits, "all").value_quantiles(&outlook, 365.0, so_far, [0.025, 0.5, 0.975]);
                for (found, expected) in found.into_iter().zip(quantiles.as_array().unwrap()) {
                    check(Some(expected), 2e-7, &what, || found);
                }
            }
            if let Some(days) = get("next_purchase_50_days") {
                let beyond = days.as_i64().filter(|days| *days <= 3650);
                assert_eq!(outlook.next_purchase(0.5), beyond, "{what}");
            }
            if let Some(days) = get("alive_below_half_from_days_after_last").and_then(Value::as_i64) {
                let since = i64::from(timing.tenure_days) - i64::from(timing.span_days);
                let until = model.alive_until(&timing, 0.5);
                assert_eq!(until.map(|until| until + since + 1).unwrap_or(days), days, "{what}");
            }
        }
    }
}

#[test]
fn of_hostile_parameters_are_met() {
    let Some(reference) = reference() else { return };
    for case in reference["hostile"].as_array().unwrap() {
        let name = ProcessName::from_name(case["model"].as_str().unwrap()).unwrap();
        let parameters = case["params"].as_array().unwrap();
        let model = process(name, std::array::from_fn(|i| number(&parameters[i])));
        let [repeats, span_days, tenure_days] = ["x", "t_x", "T"].map(|key| case[key].as_u64().unwrap() as u32);
        let timing = Timing { repeats, span_days, tenure_days };
        let what = case.to_string();
        let outlook = model.outlook(&timing);
        assert_near(outlook.p_alive, number(&case["p_alive"]), 1e-10, &what);
        assert_near(model.p_alive(&timing), number(&case["p_alive"]), 1e-10, &what);
        assert_near(outlook.expected(90.0), number(&case["E90"]), 1e-10, &what);
        check(case.get("E3650"), 1e-10, &what, || outlook.expected(3650.0));
    }
}

#[test]
fn of_random_parameters_are_those_of_the_papers_formulas() {
    let table = read("tests/reference/prediction.csv");
    let mut worst = 0.0f64;
    for line in table.lines().skip(2) {
        let fields: Vec<_> = line.split(',').collect();
        let float = |i: usize| fields[i].parse::<f64>().unwrap();
        let model = process(ProcessName::from_name(fields[0]).unwrap(), [float(1), float(2), float(3), float(4)]);
        let [repeats, span_days, tenure_days] = [5, 6, 7].map(|i| float(i) as u32);
        let timing = Timing { repeats, span_days, tenure_days };
        let (outlook, days) = (model.outlook(&timing), float(8));
        let found = [outlook.p_alive, outlook.expected(days), outlook.probability(days)];
        for (found, expected) in found.into_iter().zip([float(9), float(10), float(11)]) {
            if expected > 1e-12 {
                worst = worst.max((found / expected - 1.0).abs());
                assert_near(found, expected, 1e-10, line);
            }
        }
    }
    eprintln!("largest relative error {worst:e}");
}

#[test]
fn numbers_of_papers_are_met() {
    // Fader, Hardie, Lee 2005, and the spreadsheet of note 004, in weeks: 7 days each.
    let paper = process(ProcessName::BgNbd, [0.24259, 7.0 * 4.4136, 0.79292, 2.42591]);
    let new = Timing { repeats: 0, span_days: 0, tenure_days: 0 };
    for (weeks, published) in [(1.0 / 7.0, 0.0078), (1.0, 0.0532), (3.0, 0.1506), (31.857, 1.0405), (32.0, 1.0437)] {
        assert!((paper.outlook(&new).expected(7.0 * weeks) - published).abs() < 6e-5, "{weeks}");
    }
    let customer = Timing { repeats: 2, span_days: 213, tenure_days: 272 };
    assert!((paper.p_alive(&customer) - 0.7266).abs() < 1e-4);
    assert!((paper.outlook(&customer).expected(273.0) - 1.226).abs() < 1e-3);
    // BTYD's vignette.
    let pareto = process(ProcessName::ParetoNbd, [0.55328, 7.0 * 10.57768, 0.60624, 7.0 * 11.66874]);
    let buyer = Timing { repeats: 26, span_days: 216, tenure_days: 217 };
    assert!((pareto.p_alive(&buyer) - 0.9979).abs() < 1e-4);
    assert!((pareto.outlook(&buyer).expected(364.0) - 25.46).abs() < 1e-2);
    assert!((pareto.outlook(&new).expected(364.0) - 1.473).abs() < 1e-3);
    assert!((paper.outlook(&new).expected(364.0) - 1.444).abs() < 1e-3);
}

/// Parameters and timings of all kinds.
fn cases() -> Vec<(Process, Timing)> {
    let models = [
        process(ProcessName::MbgNbd, [0.5, 43.0, 0.9, 1.6]),
        process(ProcessName::BgNbd, [0.24, 30.9, 1.0, 2.4]),
        process(ProcessName::MbgNbd, [2.0, 90.0, 0.0, 1.0]),
        process(ProcessName::BgNbd, [1e6, 9e7, 4e5, 6e5]),
        process(ProcessName::ParetoNbd, [0.55, 74.0, 0.6, 81.0]),
        process(ProcessName::ParetoNbd, [0.5, 50.0, 1.0, 80.0]),
        process(ProcessName::ParetoNbd, [2.0, 90.0, 0.0, 1.0]),
        process(ProcessName::ParetoNbd, [3.0, 20.0, 1e6, 3e8]),
    ];
    let timings = [(0, 0, 0), (0, 0, 400), (1, 1, 300), (3, 80, 90), (20, 300, 300), (40, 200, 260), (300, 900, 905)];
    let timing = |(repeats, span_days, tenure_days)| Timing { repeats, span_days, tenure_days };
    models.into_iter().flat_map(|model| timings.map(|parts| (model, timing(parts)))).collect()
}

#[test]
fn properties_hold() {
    for (model, timing) in cases() {
        let outlook = model.outlook(&timing);
        let what = format!("{model:?} {timing:?}");
        let [m, scale, ..] = outlook.posterior();
        assert!((0.0..=1.0).contains(&outlook.p_alive), "{what}");
        let mut later = timing;
        later.tenure_days += 30;
        assert!(model.p_alive(&later) <= outlook.p_alive, "{what}");
        let mut before = 0.0;
        for days in [1.0, 30.0, 90.0, 365.0, 3650.0] {
            let (expected, probability) = (outlook.expected(days), outlook.probability(days));
            assert!(expected >= before && expected <= m * days / scale * (1.0 + 1e-12), "{what} {days}");
            assert!(probability <= outlook.p_alive.min(expected) * (1.0 + 1e-12), "{what} {days}");
            let (mut mean, mut first) = (0.0, None);
            outlook.each_exceeded(days, |exceeded| {
                mean += exceeded;
                first.get_or_insert(exceeded);
                true
            });
            assert!((mean - expected).abs() <= 1e-9 * expected.max(1e-3), "{what} {days}: {mean} {expected}");
            assert!((first.unwrap() - probability).abs() < 1e-11, "{what} {days}: {first:?} {probability}");
            assert!((outlook.discounted(days, 0.0) - expected).abs() <= 1e-15 * expected, "{what}");
            let steps = if days == 365.0 { 3650 } else { continue };
            // The discount, against a sum of a tenth of a day each.
            let per_day = 2f64.ln() / 365.0;
            let (mut sum, mut last) = (0.0, 0.0);
            for step in 1..=steps {
                let time = days * f64::from(step) / f64::from(steps);
                let reached = outlook.expected(time);
                sum += (reached - last) * (-per_day * (time - 0.05)).exp();
                last = reached;
            }
            assert_near(outlook.discounted(days, per_day), sum, 1e-6, &what);
            before = expected;
        }
        for probability in [0.1, 0.5, 0.9] {
            if let Some(days) = outlook.next_purchase(probability) {
                let chance = |days: i64| outlook.probability(days as f64);
                assert!(chance(days) >= probability && (days == 1 || chance(days - 1) < probability), "{what}");
            }
            if let Some(days) = model.alive_until(&timing, probability) {
                let tenure = i64::from(timing.tenure_days) + days;
                let alive = |tenure: i64| model.p_alive(&Timing { tenure_days: tenure as u32, ..timing });
                assert!(alive(tenure) >= probability && alive(tenure + 1) < probability, "{what}");
            }
        }
    }
}

#[test]
fn what_is_written_by_hand_answers() {
    let text = r#"{"model": "mbgnbd", "purchases": {"r": 0.5248431591, "alpha": 43.28159696, "a": 0.8913593907, "b": 1.61400224},
        "spend": {"p": 9.881286264, "q": 3.398757527, "v": 7.928569181}, "refund_share": 0.1}"#;
    let model = PurchaseModel::parse(text).unwrap();
    let timing = Timing::new(3, 213, 272).unwrap();
    let spent = Spent { purchases: 3.0, amount: 74.02 };
    let [quarter, year] = [90, 365].map(|days| Horizon::new("days", days).unwrap());
    let rate = DiscountRate::new(0.1).unwrap();
    let row = model.predict((&timing, &spent), Day(-822), (quarter, year), rate).unwrap();
    let shown = |number: Option<pg_rfm::decimal::Decimal>| number.unwrap().to_string();
    assert_eq!(shown(row.p_alive), "0.706138");
    assert_eq!(shown(row.purchase_probability), "0.331567");
    assert_eq!(row.churn_band.unwrap().name(), "high");
    assert_eq!(shown(row.expected_purchases), "0.472001");
    assert_eq!(row.purchases, Some((0, 3)));
    assert_eq!(shown(row.expected_spend), "25.271259");
    // 38.723675 less refunds.
    assert_eq!(shown(row.expected_value), "34.851308");
    assert_eq!(row.next_purchase_on, Some(Day(-822 + 199)));
    assert_eq!(row.alive_until, Some(Day(-822 - 59 + 189)));
    let explained = model.explain((&timing, &spent), Day(-822), quarter).unwrap();
    assert_eq!(explained["inputs"]["t_x"], json!(213));
    assert_eq!(explained["posterior"]["be"].to_string(), "4.61400224");
    let nobody =
        PurchaseModel::parse(r#"{"model": "bgnbd", "purchases": {"r": 1, "alpha": 9, "a": 0, "b": 1}}"#).unwrap();
    assert_eq!(nobody.p_alive(&timing).unwrap(), None);
    assert_eq!(nobody.alive_until(&timing, 0.5), None);
    assert!(nobody.expected_purchases(&timing, quarter).unwrap().is_some());
    assert_eq!(nobody.expected_spend(&spent).unwrap(), None);
    for days in [0, -1, 3651, i64::MAX] {
        assert!(Horizon::new("days", days).is_err());
    }
    for rate in [-0.1, 10.1, f64::NAN, f64::INFINITY] {
        assert!(DiscountRate::new(rate).is_err());
    }
}
