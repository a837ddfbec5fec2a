//! Whole models: backtests and holdouts, spend, refusals, and that order changes nothing.

use std::collections::BTreeMap;

use pg_rfm::day::Day;
use pg_rfm::decimal::Decimal;
use pg_rfm::history::{PurchaseDay, PurchaseHistory};
use pg_rfm::prediction::{
    FindingCode, FitOptions, ModelBacktest, ModelStatus, Observed, PurchaseModel, Question, Store, StoredBacktest,
    backtest_model, fit_model, merge,
};
use serde_json::{Value, json};

use super::shops::{assert_near, number, reference, shop};
use crate::common::Random;

type Shop = BTreeMap<i64, PurchaseHistory>;

fn options(options: Value) -> FitOptions {
    FitOptions::from_json(options).unwrap()
}

fn observe<'a>(question: &Question, histories: impl Iterator<Item = &'a PurchaseHistory>) -> Observed {
    let mut observed = Observed::default();
    histories.for_each(|history| question.observe(history, &mut observed).unwrap());
    observed
}

fn fit(shop: &Shop, as_of: &str, with: Value) -> PurchaseModel {
    let question = Question::fit(Day::parse(as_of).unwrap(), options(with));
    fit_model(&question, observe(&question, shop.values())).unwrap()
}

fn backtest(shop: &Shop, fit_on: &str, until: &str, with: Value) -> ModelBacktest {
    let question = Question::backtest(Day::parse(fit_on).unwrap(), Day::parse(until).unwrap(), options(with)).unwrap();
    backtest_model(&question, observe(&question, shop.values())).unwrap()
}

/// What a document keeps of a backtest.
fn judgement(row: &ModelBacktest) -> StoredBacktest {
    let purchases = [row.predicted_purchases, Some(Decimal::from(row.actual_purchases as i64))];
    StoredBacktest::new(row.fit_on, row.days, purchases, [row.predicted_value, Some(row.actual_value)])
}

fn codes(model: &PurchaseModel) -> Vec<&'static str> {
    model.findings().iter().map(|finding| finding.code.name()).collect()
}

fn float(decimal: Option<Decimal>) -> f64 {
    decimal.unwrap().to_string().parse().unwrap()
}

#[test]
fn spend_is_that_of_the_reference() {
    let Some(reference) = reference() else { return };
    for (name, as_of) in [
        ("cdnow_sample", "1997-09-30"),
        ("cdnow", "1997-09-30"),
        ("online_retail", "2011-06-30"),
        ("online_retail", "2011-12-09"),
        ("complete_journey", "2017-06-30"),
    ] {
        let Some(shop) = shop(name) else { continue };
        let fits = &reference["fits"][format!("{name} {as_of}")];
        for counts in ["repeat", "all"] {
            let expected = &fits[format!("gammagamma_{counts}")];
            if expected.is_null() {
                continue;
            }
            let model = fit(&shop, as_of, json!({"spend": counts}));
            let found = model.spend_details().unwrap();
            let what = format!("{name} {as_of} {counts}");
            let parameters = ["p", "q", "v"].map(|key| number(&expected["params"][key]));
            for (found, expected) in [found.p, found.q, found.v].into_iter().zip(parameters) {
                assert_near(found, expected, 1e-6, &what);
            }
            assert!((found.log_likelihood.unwrap() - number(&expected["ll"])).abs() < 1e-4, "{what}");
            assert_eq!(found.customers.unwrap() as f64, number(&expected["customers"]), "{what}");
            // Equal means are found exactly here, and there by rounded quotients.
            assert_near(found.spearman.unwrap(), number(&expected["spearman"]), 1e-3, &what);
            assert_near(found.dependence.unwrap(), number(&expected["spend_dependence"]), 1e-6, &what);
            assert_near(found.mean.unwrap(), number(&expected["population_mean"]), 1e-6, &what);
            let ratio = number(&fits["facts"]["first_to_repeat_ratio"]);
            assert_near(found.first_to_repeat.unwrap(), ratio, 1e-9, &what);
        }
    }
}

#[test]
fn holdouts_are_those_of_the_reference() {
    let Some(reference) = reference() else { return };
    for (set, expected) in reference["holdout"].as_object().unwrap() {
        let (name, fit_on) = set.split_once(' ').unwrap();
        let (Some(shop), until) = (shop(name), expected["until"].as_str().unwrap()) else { continue };
        for model in ["mbgnbd", "bgnbd", "paretonbd"] {
            let Some(expected) = expected.get(model) else { continue };
            let row = backtest(&shop, fit_on, until, json!({"model": model, "spend": "all"}));
            let what = format!("{set} {model} {row:?}");
            assert_eq!(row.actual_purchases as f64, number(&expected["actual"]), "{what}");
            assert_eq!(row.actual_buyers as f64, number(&expected["actual_buyers"]), "{what}");
            for (key, found) in [
                ("predicted", row.predicted_purchases),
                ("ratio", row.ratio),
                ("mae", row.mae),
                ("rmse", row.rmse),
                ("correlation", row.correlation),
                ("gini", row.gini),
                ("gini_best", row.gini_best),
                ("top_decile_share", row.top_decile_share),
                ("top_decile_share_best", row.top_decile_best),
                ("predicted_buyers", row.predicted_buyers),
                ("brier", row.brier),
            ] {
                assert_near(float(found), number(&expected[key]), 2e-5, &format!("{key} {what}"));
            }
            if name.starts_with("cdnow") {
                let value = &expected["revenue_all"];
                assert_near(float(row.predicted_value), number(&value["predicted"]), 1e-5, &what);
                assert_near(float(Some(row.actual_value)), number(&value["actual"]), 1e-9, &what);
                assert_near(float(row.value_mae), number(&value["mae"]), 1e-5, &what);
            }
        }
    }
}

#[test]
fn rolling_origins_are_those_of_the_reference() {
    let Some(reference) = reference() else { return };
    for (name, origins) in reference["rolling_origin_91_days_mbgnbd"].as_object().unwrap() {
        let Some(shop) = shop(name) else { continue };
        let mut rows = Vec::new();
        for origin in origins.as_array().unwrap() {
            let day = |key: &str| origin[key].as_str().unwrap();
            let row = backtest(&shop, day("fit_on"), day("until"), json!({}));
            let what = format!("{name} {}", day("fit_on"));
            assert_eq!(row.actual_purchases as f64, number(&origin["actual"]), "{what}");
            assert_near(float(row.predicted_purchases), number(&origin["predicted"]), 1e-5, &what);
            assert_eq!(row.alive.unwrap().name().replace('_', " "), origin["dropout"].as_str().unwrap(), "{what}");
            rows.push(row);
        }
        if name == "cdnow_sample" {
            let model = fit(&shop, "1998-03-31", json!({}));
            assert!(codes(&model).contains(&"no_backtest"));
            let judged = model.with_backtests(rows.iter().map(judgement).collect()).unwrap();
            assert_eq!(judged.backtests().len(), 12);
            assert!(!codes(&judged).contains(&"no_backtest"));
            assert_near(judged.backtests()[0].purchases.unwrap(), 0.994243f64.ln(), 1e-4, "first");
            assert_eq!(judged.with_backtests(Vec::new()).unwrap().to_string(), model.to_string());
        }
    }
}

#[test]
fn order_splits_and_weeks_change_nothing() {
    let Some(shop) = shop("cdnow_sample") else { return };
    let as_of = Day::parse("1997-09-30").unwrap();
    for model in ["mbgnbd", "auto"] {
        let question = Question::fit(as_of, options(json!({"model": model})));
        let of = |observed| fit_model(&question, observed).unwrap().to_string();
        let forward = of(observe(&question, shop.values()));
        assert_eq!(forward, of(observe(&question, shop.values().rev())));
        let mut parts: Vec<_> = (0..4).map(|part| observe(&question, shop.values().skip(part).step_by(4))).collect();
        let mut all = parts.pop().unwrap();
        for mut part in parts {
            let (sums, observations) = (*part.sums(), part.observations().to_vec());
            merge(&mut all, &sums, observations.into_iter()).unwrap();
        }
        assert_eq!(forward, of(all));
        let model = PurchaseModel::parse(&forward).unwrap();
        assert_eq!(PurchaseModel::from_bytes(&model.to_bytes()).unwrap().to_string(), forward);
    }
    // Days stretched to weeks.
    let stretched: Shop = shop
        .iter()
        .map(|(&customer, history)| {
            let days = history.days().iter().map(|day| PurchaseDay { day: Day((day.day.0 - as_of.0) * 7), ..*day });
            (customer, PurchaseHistory::new(history.scale(), days.collect()).unwrap())
        })
        .collect();
    let question = Question::fit(Day(0), FitOptions::default());
    let weeks = fit_model(&question, observe(&question, stretched.values())).unwrap();
    let days = fit(&shop, "1997-09-30", json!({}));
    let parameters = |model: &PurchaseModel| model.process().unwrap().parameters;
    for (i, factor) in [1.0, 7.0, 1.0, 1.0].into_iter().enumerate() {
        assert_near(parameters(&weeks)[i], parameters(&days)[i] * factor, 1e-8, "stretched");
    }
    let likelihood = |model: &PurchaseModel| model.fit().unwrap().log_likelihood;
    assert!((likelihood(&days) - 2457.0 * 7f64.ln() - likelihood(&weeks)).abs() < 1e-4);
}

fn history(days: impl IntoIterator<Item = (i32, Option<i128>)>) -> PurchaseHistory {
    let rows = days.into_iter().map(|(day, amount)| PurchaseDay::of_row(Day(day), amount, None));
    PurchaseHistory::new(2, rows.collect()).unwrap()
}

fn fit_of(customers: Vec<PurchaseHistory>, as_of: i32, with: Value) -> PurchaseModel {
    let question = Question::fit(Day(as_of), options(with));
    fit_model(&question, observe(&question, customers.iter())).unwrap()
}

#[test]
fn strange_shops_give_findings_and_no_errors() {
    let refused = |model: &PurchaseModel, code: &str| {
        assert!(codes(model).contains(&code), "{code} {model}");
        assert_eq!(model.status(), ModelStatus::Refused, "{model}");
        assert!(model.require().is_err() && model.process().is_none());
    };
    refused(&fit_of(Vec::new(), 100, json!({})), "too_few_customers");
    refused(&fit_of(vec![history([(500, None)])], 100, json!({})), "too_few_customers");
    let once = |_| history([(0, Some(100))]);
    refused(&fit_of((0..500).map(once).collect(), 100, json!({"min_repeaters": 0})), "too_few_customers");
    let daily = |i: i32| history((0..=50 + i % 40).map(|day| (day, Some(100))));
    let everyday = fit_of((0..300).map(daily).collect(), 120, json!({}));
    assert!(everyday.status() == ModelStatus::Ok || !codes(&everyday).is_empty());
    let never_leaves = |i: i32| history((0..20).map(move |k| (i % 10 + 10 * k, Some(100 + i128::from(i)))));
    let stay = fit_of((0..300).map(never_leaves).collect(), 200, json!({}));
    assert!(codes(&stay).contains(&"dropout_not_identified") || codes(&stay).contains(&"rate_homogeneous"), "{stay}");
    for amount in [None, Some(0), Some(500)] {
        let mut random = Random::new(5);
        let customers = (0..400).map(|_| {
            let mut day = random.below(60) as i32;
            let mut days = vec![(day, amount)];
            while random.below(3) > 0 {
                day += 1 + random.below(40) as i32;
                days.push((day, amount));
            }
            history(days)
        });
        let model = fit_of(customers.collect(), 365, json!({}));
        assert_eq!(model.spend(), None, "{model}");
        assert_eq!(model.status(), ModelStatus::Ok, "{model}");
        assert_eq!(PurchaseModel::parse(&model.to_string()).unwrap().to_string(), model.to_string());
    }
}

#[test]
fn the_document_says_what_was_found() {
    let Some(shop) = shop("online_retail") else { return };
    let model = fit(&shop, "2011-06-30", json!({}));
    let found = codes(&model);
    for code in [FindingCode::DropoutNotIdentified, FindingCode::LeftTruncated, FindingCode::SpendDependent] {
        assert!(found.contains(&code.name()), "{code:?} {found:?}");
    }
    assert_eq!(model.status(), ModelStatus::Ok);
    assert!(model.alive_process().is_none() && model.process().is_some() && model.spend().is_some());
    assert!(model.check().iter().any(|finding| finding.path == "alive"));
}

#[test]
fn auto_says_which_and_why() {
    for (name, as_of) in [("cdnow_sample", "1998-06-30"), ("complete_journey", "2017-06-30")] {
        let Some(shop) = shop(name) else { continue };
        let model = fit(&shop, as_of, json!({"model": "auto"}));
        let finding = model.findings().iter().find(|finding| finding.code == FindingCode::ModelChosen).unwrap();
        assert!(finding.message.starts_with(model.name().name()), "{}", finding.message);
        eprintln!("{name} {as_of}: {}", finding.message);
        let by_backtests = name == "cdnow_sample";
        assert_eq!(finding.message.contains("mean squared"), by_backtests, "{}", finding.message);
        let alone = fit(&shop, as_of, json!({"model": model.name().name()}));
        assert_eq!(alone.process(), model.process());
    }
}
