//! The choice of a model: the one that would have predicted best, where the data are long enough to try, else the
//! likeliest.

use super::findings::{self, FindingCode, ModelFinding};
use super::fit::{ProcessFit, fit_process};
use super::fitted_model::{in_words, total_expected};
use super::observation::{ORIGIN_DAYS, Question};
use super::process::ProcessName;
use super::sample::Sample;
use crate::finding::Severity;

/// With fewer origins nothing is chosen by them.
const LEAST_ORIGINS: usize = 3;
/// First purchases lie so many days before an origin.
const LEAST_PAST: i64 = 90;

/// Fits all models and keeps the best; which and why is a finding.
pub(super) fn choose(question: &Question, sample: &Sample, found: &mut Vec<ModelFinding>) -> ProcessFit {
    let fits: Vec<_> = ProcessName::ALL.iter().map(|&name| fit_process(&sample.timings, name)).collect();
    let usable: Vec<_> = fits.iter().filter(|fit| is_usable(fit)).collect();
    if usable.is_empty() {
        return fits[0];
    }
    let ratios = log_ratios(question, sample, &usable);
    let origins = ratios.first().map_or(0, Vec::len);
    let (measures, why): (Vec<f64>, _) = if origins >= LEAST_ORIGINS {
        let mean_square = |ratios: &Vec<f64>| ratios.iter().map(|log| log * log).sum::<f64>() / ratios.len() as f64;
        let why = format!("mean squared logarithm of predicted over actual purchases in {origins} backtests");
        (ratios.iter().map(mean_square).collect(), why)
    } else {
        let why = format!("{origins} backtests are possible, {LEAST_ORIGINS} are needed: minus log-likelihood");
        (usable.iter().map(|fit| -fit.log_likelihood).collect(), why)
    };
    // The first of equals: the default.
    let best = (0..usable.len()).fold(0, |best, i| if measures[i] < measures[best] { i } else { best });
    let list: Vec<_> =
        usable.iter().zip(&measures).map(|(fit, &measure)| in_words(fit.process.name, measure)).collect();
    let message = format!("{}, by the {why}: {}", usable[best].process.name.name(), list.join(", "));
    found.push(ModelFinding::new(Severity::Info, FindingCode::ModelChosen, message));
    *usable[best]
}

fn is_usable(fit: &ProcessFit) -> bool {
    !fit.boundary.not_converged && fit.boundary.at_bound.is_none()
}

/// Logarithms of predicted over actual purchases of each model at the origins at which all of them can be fitted.
fn log_ratios(question: &Question, sample: &Sample, usable: &[&ProcessFit]) -> Vec<Vec<f64>> {
    let mut ratios = vec![Vec::new(); usable.len()];
    for (timings, actual) in &sample.origins {
        let oldest = timings.counted().iter().map(|(timing, _)| i64::from(timing.tenure_days)).max();
        let mut refusals = Vec::new();
        if oldest.is_none_or(|oldest| oldest < LEAST_PAST) {
            continue;
        }
        findings::of_customers(timings, &question.options, &mut refusals);
        if *actual == 0.0 || refusals.iter().any(|finding| finding.severity == Severity::Error) {
            continue;
        }
        let of_origin: Vec<_> = usable.iter().map(|fit| fit_process(timings, fit.process.name)).collect();
        if of_origin.iter().all(is_usable) {
            for (fit, ratios) in of_origin.iter().zip(&mut ratios) {
                ratios.push((total_expected(timings, &fit.process, ORIGIN_DAYS as f64) / actual).ln());
            }
        }
    }
    ratios
}
