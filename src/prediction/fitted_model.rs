//! A fit from what was observed to the document. Whatever the data are like, it gives a model: one that is refused says
//! why.

use serde_json::{Map, Value, json};

use super::auto;
use super::findings::{self, FindingCode, ModelFinding};
use super::fit::{ProcessFit, fit_process};
use super::gamma_gamma::{SpendFit, fit_spend};
use super::model::{PurchaseModel, in_json};
use super::observation::{MOST_OBSERVATIONS, Observed, Question};
use super::options::ModelChoice;
use super::process::{Process, ProcessName};
use super::sample::Sample;
use super::timings::Timings;
use crate::error::Result;
use crate::finding::Severity;
use crate::host::Steps;

/// Fits a model to what was observed for a question.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`](crate::error::ErrorKind::LimitExceeded) where there are too many different customers.
pub fn fit_model(question: &Question, observed: Observed) -> Result<PurchaseModel> {
    of_sample(question, &Sample::new(observed)?)
}

pub(super) fn of_sample(question: &Question, sample: &Sample) -> Result<PurchaseModel> {
    let (options, timings) = (&question.options, &sample.timings);
    let mut found = Vec::new();
    findings::of_customers(timings, options, &mut found);
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    put("version", json!(1));
    put("as_of", json!(question.as_of.to_string()));
    put("customers", json!(timings.customers() as u64));
    put("repeaters", json!(timings.repeaters() as u64));
    put("repeat_purchase_days", json!(timings.repeats() as u64));
    let tenures = || timings.counted().iter().map(|(timing, _)| i64::from(timing.tenure_days));
    for (key, tenure) in [("first_from", tenures().max()), ("first_to", tenures().min())] {
        let day = tenure.and_then(|tenure| question.as_of.plus(-tenure));
        put(key, json!(day.map(|day| day.to_string())));
    }
    put("refunds", json!(options.refunds.name()));
    put("refund_share", in_json(refund_share(sample)));
    put("backtests", json!([]));

    let too_few = found.iter().any(|finding| finding.severity == Severity::Error);
    let mut name = options.model.names()[0];
    if !too_few {
        let fit = match options.model {
            ModelChoice::Auto => auto::choose(question, sample, &mut found),
            _ => fit_process(timings, name),
        };
        name = fit.process.name;
        findings::of_process(&fit, mean_alive_error(timings, &fit), &mut found);
        let written = fit.process.parameters.iter().enumerate().all(|(i, &parameter)| {
            parameter >= name.least()[i].max(1e-20) && parameter <= 1e15 || i == 2 && parameter == 0.0
        });
        if written {
            put("purchases", named(name.parameter_names(), fit.process.parameters));
        }
        put("fit", details(&fit));
        put("alive", json!(if fit.boundary.dropout_not_identified { "not_identified" } else { "identified" }));
        let refused = found.iter().any(|finding| finding.severity == Severity::Error);
        put("status", json!(if refused { "refused" } else { "ok" }));
        let spend = fit_spend(&sample.spends, sample.spend_unit(), options.spend, options.min_repeaters.into());
        findings::of_spend(spend.as_ref(), options, &mut found);
        if let Some(spend) = spend.filter(is_written) {
            put("spend", spend_details(&spend));
        }
        if sample.unit.coarse > 0 {
            let message = format!(
                "the last {} digits of amounts were left out: they had too many, or more than {MOST_OBSERVATIONS} different values",
                sample.unit.coarse
            );
            found.push(ModelFinding::new(Severity::Info, FindingCode::AmountsRounded, message));
        }
        found.push(no_backtest());
    } else {
        put("status", json!("refused"));
    }
    put("model", json!(name.name()));
    put("findings", json!(found));
    PurchaseModel::from_value(Value::Object(document))
}

/// That a model has no backtests.
pub(super) fn no_backtest() -> ModelFinding {
    let message = "totals have no bounds: backtest_purchase_model and with_backtests give them";
    ModelFinding::new(Severity::Info, FindingCode::NoBacktest, message)
}

/// A model of spend that a document can hold.
fn is_written(spend: &SpendFit) -> bool {
    let model = spend.model;
    spend.converged && [model.p, model.q, model.v].iter().all(|parameter| (1e-20..=1e30).contains(parameter))
}

/// What of the amounts of purchase days went back on other days, 0 to 1.
fn refund_share(sample: &Sample) -> f64 {
    let amounts: f64 = sample.spends.iter().map(|(spend, count)| spend.total as f64 * count).sum();
    let share = -sample.refunds / (amounts * sample.spend_unit().0);
    if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
}

fn named<const N: usize>(names: [&str; N], numbers: [f64; N]) -> Value {
    names.into_iter().zip(numbers).map(|(name, number)| (name.to_owned(), in_json(number))).collect()
}

fn matrix<const N: usize>(matrix: [[f64; N]; N]) -> Value {
    matrix.iter().map(|row| row.iter().map(|&number| in_json(number)).collect::<Value>()).collect()
}

/// Six decimals: more are noise of the sum.
fn log_likelihood(value: f64) -> Value {
    in_json((value * 1e6).round() / 1e6)
}

fn details(fit: &ProcessFit) -> Value {
    let names = fit.process.name.parameter_names();
    let errors: Map<_, _> = names
        .into_iter()
        .zip(fit.standard_errors())
        .filter_map(|(name, error)| Some((name.to_owned(), in_json(error?))))
        .collect();
    json!({
        "log_likelihood": log_likelihood(fit.log_likelihood),
        "log_likelihood_no_dropout": log_likelihood(fit.log_likelihood_no_dropout),
        "standard_errors": errors,
        "covariance": matrix(fit.covariance),
        "evaluations": fit.evaluations,
        "starts": fit.starts,
        "starts_agreeing": fit.starts_agreeing,
    })
}

fn spend_details(fit: &SpendFit) -> Value {
    let model = fit.model;
    let mut details = json!({
        "model": "gammagamma",
        "counts": fit.counts.name(),
        "p": in_json(model.p),
        "q": in_json(model.q),
        "v": in_json(model.v),
        "log_likelihood": log_likelihood(fit.log_likelihood),
        "standard_errors": named(["p", "q", "v"], fit.standard_errors()),
        "covariance": matrix(fit.covariance),
        "customers": fit.customers as u64,
        "dependence": in_json(fit.dependence),
    });
    for (key, number) in
        [("mean", model.expected(0.0, 0.0)), ("spearman", fit.spearman), ("first_to_repeat", fit.first_to_repeat)]
    {
        details[key] = number.map_or(Value::Null, in_json);
    }
    details
}

/// The standard error of the mean P(alive) of those fitted, by the delta method; `None` where there is no P(alive).
fn mean_alive_error(timings: &Timings, fit: &ProcessFit) -> Option<f64> {
    let boundary = fit.boundary;
    if boundary.dropout_not_identified || boundary.not_converged || boundary.at_bound.is_some() {
        return None;
    }
    let slopes = by_logarithms(&fit.process, |process| mean_alive(timings, process));
    Some(variance(&slopes, &fit.covariance).sqrt())
}

fn mean_alive(timings: &Timings, process: &Process) -> f64 {
    let mut steps = Steps::default();
    let alive = timings.counted().iter().map(|(timing, count)| {
        steps.step();
        count * process.p_alive(timing)
    });
    alive.sum::<f64>() / timings.customers()
}

/// Derivatives of something by the logarithms of the parameters: central differences.
pub(super) fn by_logarithms(process: &Process, value: impl Fn(&Process) -> f64) -> [f64; 4] {
    std::array::from_fn(|i| {
        let [low, high] = shifted(process, i).map(|shifted| value(&shifted));
        (high - low) / (2.0 * SHIFT)
    })
}

/// How far central differences move a logarithm.
pub(super) const SHIFT: f64 = 1e-4;

/// The process with the logarithm of one parameter a little lower and higher.
pub(super) fn shifted(process: &Process, parameter: usize) -> [Process; 2] {
    [-SHIFT, SHIFT].map(|shift| {
        let mut shifted = *process;
        shifted.parameters[parameter] *= shift.exp();
        shifted
    })
}

/// d' C d.
pub(super) fn variance<const N: usize>(slopes: &[f64; N], covariance: &[[f64; N]; N]) -> f64 {
    let sum = |i: usize| -> f64 { (0..N).map(|j| slopes[i] * covariance[i][j] * slopes[j]).sum() };
    f64::max((0..N).map(sum).sum(), 0.0)
}

/// Expected purchases of all customers in so many days.
pub(super) fn total_expected(timings: &Timings, process: &Process, days: f64) -> f64 {
    let mut steps = Steps::default();
    let expected = timings.counted().iter().map(|(timing, count)| {
        steps.step();
        count * process.outlook(timing).expected(days)
    });
    expected.sum()
}

/// The models that `auto` tries, in words.
pub(super) fn in_words(name: ProcessName, number: f64) -> String {
    format!("{} {number:.6}", name.name())
}
