//! Backtests: a fit with what was known on a past day, compared with what came after it.

use serde_json::json;

use super::answer::{DiscountRate, Horizon, Spent};
use super::concentration::Concentration;
use super::findings::{FindingCode, ModelFinding};
use super::fitted_model::{no_backtest, of_sample};
use super::model::{Identified, ModelStatus, PurchaseModel, StoredBacktest, in_json, rounded};
use super::observation::{Observed, Question};
use super::process::ProcessName;
use super::sample::{Sample, Scored};
use crate::day::Day;
use crate::decimal::{Decimal, power_of_ten};
use crate::error::{Error, Result};
use crate::finding::Severity;
use crate::host::Steps;
use crate::memory;

/// How good a model would have been. What a refused model does not predict is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelBacktest {
    /// The last day the fit saw.
    pub fit_on: Day,
    /// The last day compared.
    pub until: Day,
    /// Days between them.
    pub days: u32,
    /// Which model.
    pub model: ProcessName,
    /// Whether it answers.
    pub status: ModelStatus,
    /// Whether P(alive) can be told; `None` where nothing was fitted.
    pub alive: Option<Identified>,
    /// Customers scored: with a purchase up to `fit_on`.
    pub customers: u64,
    /// Their purchase days after it.
    pub actual_purchases: u64,
    /// How many were expected.
    pub predicted_purchases: Option<Decimal>,
    /// Predicted over actual; `None` too where there were none.
    pub ratio: Option<Decimal>,
    /// Mean absolute error over the customers.
    pub mae: Option<Decimal>,
    /// Root of the mean square error.
    pub rmse: Option<Decimal>,
    /// Pearson's; `None` too where one side is the same for all.
    pub correlation: Option<Decimal>,
    /// Of the concentration curve of purchases, customers by descending prediction.
    pub gini: Option<Decimal>,
    /// The same by descending purchases: the best that is possible.
    pub gini_best: Option<Decimal>,
    /// The share of the purchases of the first tenth of the customers.
    pub top_decile_share: Option<Decimal>,
    /// The best that is possible.
    pub top_decile_best: Option<Decimal>,
    /// Customers who bought.
    pub actual_buyers: u64,
    /// How many were expected.
    pub predicted_buyers: Option<Decimal>,
    /// Mean square error of the purchase probability.
    pub brier: Option<Decimal>,
    /// What was spent, as the model counts refunds.
    pub actual_value: Decimal,
    /// What was expected, undiscounted.
    pub predicted_value: Option<Decimal>,
    /// Predicted over actual.
    pub value_ratio: Option<Decimal>,
    /// Mean absolute error over the customers.
    pub value_mae: Option<Decimal>,
    /// Customers who first bought after `fit_on`: no model here predicts them.
    pub new_customers: u64,
    /// Their purchase days.
    pub new_customer_purchases: u64,
}

/// Backtests what was observed for a question; its `until` is that of a backtest, else the day of the fit.
///
/// # Errors
/// As [`fit_model`](super::fit_model), and where a number does not fit.
pub fn backtest_model(question: &Question, observed: Observed) -> Result<ModelBacktest> {
    let sample = Sample::new(observed)?;
    let model = of_sample(question, &sample)?;
    let until = question.until.unwrap_or(question.as_of);
    let days = until.days_since(question.as_of).max(0) as u32;
    let unit = sample.spend_unit().0;
    let sum = |of: &dyn Fn(&Scored) -> f64| -> f64 { sample.scored.iter().map(|seen| of(seen) * seen.count).sum() };
    let best: Vec<_> = memory::collect(sample.scored.iter().map(|seen| (seen.later, seen.later, seen.count)));
    let best = Concentration::of(&best);
    let mut row = ModelBacktest {
        fit_on: question.as_of,
        until,
        days,
        model: model.name(),
        status: model.status(),
        alive: model.fit().map(|_| model.alive()),
        customers: sum(&|_| 1.0) as u64,
        actual_purchases: sum(&|seen| seen.later) as u64,
        predicted_purchases: None,
        ratio: None,
        mae: None,
        rmse: None,
        correlation: None,
        gini: None,
        gini_best: best.map(|best| rounded(best.gini)).transpose()?,
        top_decile_share: None,
        top_decile_best: best.map(|best| rounded(best.top_decile_share)).transpose()?,
        actual_buyers: sum(&|seen| f64::from(u8::from(seen.later > 0.0))) as u64,
        predicted_buyers: None,
        brier: None,
        actual_value: rounded(sum(&|seen| seen.later_amount as f64) * unit)?,
        predicted_value: None,
        value_ratio: None,
        value_mae: None,
        new_customers: sample.new_customers,
        new_customer_purchases: sample.new_customer_purchases,
    };
    if model.process().is_some() && row.customers > 0 {
        row.score(&model, &sample)?;
    }
    Ok(row)
}

impl ModelBacktest {
    /// Compares each customer's prediction with what came.
    fn score(&mut self, model: &PurchaseModel, sample: &Sample) -> Result<()> {
        let (Some(process), unit) = (model.process(), sample.spend_unit().0) else { return Ok(()) };
        let ahead = Horizon::new("days", self.days.into())?;
        let undiscounted = DiscountRate::new(0.0)?;
        let mut sums = Sums::default();
        let mut values = model.spend().map(|_| (0.0, 0.0));
        let mut curve = memory::with_capacity(sample.scored.len());
        let mut steps = Steps::default();
        for seen in &sample.scored {
            steps.step();
            let outlook = process.outlook(&seen.timing);
            let expected = outlook.expected(ahead.days());
            sums.add(expected, outlook.probability(ahead.days()), seen);
            memory::push(&mut curve, (expected, seen.later, seen.count));
            if let (Some((predicted, error)), Some((_, counts))) = (&mut values, model.spend()) {
                let (purchases, amount) = seen.spend.counted(counts);
                let spent = Spent { purchases: purchases as f64, amount: amount as f64 * unit };
                let value = model.value_of(&seen.timing, &spent, ahead, undiscounted).unwrap_or_default();
                *predicted += seen.count * value;
                *error += seen.count * (value - seen.later_amount as f64 * unit).abs();
            }
        }
        let customers = self.customers as f64;
        let share = |of: f64| rounded(of / customers).map(Some);
        self.predicted_purchases = Some(rounded(sums.predicted)?);
        self.ratio = ratio(sums.predicted, self.actual_purchases as f64)?;
        self.mae = share(sums.error)?;
        self.rmse = Some(rounded((sums.square_error / customers).sqrt())?);
        self.correlation = sums.correlation(customers).map(rounded).transpose()?;
        self.predicted_buyers = Some(rounded(sums.buyers)?);
        self.brier = share(sums.brier)?;
        if let Some(curve) = Concentration::of(&curve) {
            self.gini = Some(rounded(curve.gini)?);
            self.top_decile_share = Some(rounded(curve.top_decile_share)?);
        }
        if let Some((predicted, error)) = values {
            let actual: f64 = sample.scored.iter().map(|seen| seen.later_amount as f64 * seen.count).sum();
            self.predicted_value = Some(rounded(predicted)?);
            self.value_ratio = ratio(predicted, actual * unit)?;
            self.value_mae = share(error)?;
        }
        Ok(())
    }
}

impl StoredBacktest {
    /// What a document keeps of the backtest of a usable model: what it predicted and what came, on purchase days and in
    /// units of money.
    pub fn new(origin: Day, days: u32, purchases: [Option<Decimal>; 2], value: [Option<Decimal>; 2]) -> Self {
        StoredBacktest { origin, days, purchases: log_ratio(purchases), value: log_ratio(value) }
    }
}

/// The logarithm of predicted over actual; `None` where one of them is unknown or not above 0.
fn log_ratio(predicted_and_actual: [Option<Decimal>; 2]) -> Option<f64> {
    let [predicted, actual] = predicted_and_actual.map(|number| {
        let number = number.filter(|number| *number > Decimal::ZERO)?;
        Some(number.mantissa() as f64 / power_of_ten(number.scale()) as f64)
    });
    Some((predicted? / actual?).ln())
}

/// Predicted over actual; `None` where nothing came.
fn ratio(predicted: f64, actual: f64) -> Result<Option<Decimal>> {
    (actual > 0.0).then(|| rounded(predicted / actual)).transpose()
}

/// Sums over the customers.
#[derive(Default)]
struct Sums {
    predicted: f64,
    actual: f64,
    error: f64,
    square_error: f64,
    predicted_squares: f64,
    actual_squares: f64,
    products: f64,
    buyers: f64,
    brier: f64,
}

impl Sums {
    fn add(&mut self, expected: f64, probability: f64, seen: &Scored) {
        let (count, actual) = (seen.count, seen.later);
        self.predicted += count * expected;
        self.actual += count * actual;
        self.error += count * (expected - actual).abs();
        self.square_error += count * (expected - actual).powi(2);
        self.predicted_squares += count * expected * expected;
        self.actual_squares += count * actual * actual;
        self.products += count * expected * actual;
        self.buyers += count * probability;
        let bought = if actual > 0.0 { 1.0 } else { 0.0 };
        self.brier += count * (probability - bought).powi(2);
    }

    fn correlation(&self, customers: f64) -> Option<f64> {
        let x = self.predicted_squares - self.predicted * self.predicted / customers;
        let y = self.actual_squares - self.actual * self.actual / customers;
        let both = self.products - self.predicted * self.actual / customers;
        // Less is rounding of sums that are the same for all.
        let differs = |spread: f64, squares: f64| spread > 1e-12 * squares;
        (differs(x, self.predicted_squares) && differs(y, self.actual_squares))
            .then(|| (both / (x * y).sqrt()).clamp(-1.0, 1.0))
    }
}

/// Beyond, totals are off in one direction.
const MOST_BIAS: f64 = 0.15;

impl PurchaseModel {
    /// The model with the backtests it is judged by, in order of day; they replace earlier ones.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`](crate::error::ErrorKind::InvalidText) for days or ratios that no backtest has.
    pub fn with_backtests(&self, mut backtests: Vec<StoredBacktest>) -> Result<PurchaseModel> {
        backtests.sort_by_key(|backtest| (backtest.origin, backtest.days));
        let stored: Vec<_> = backtests
            .iter()
            .map(|backtest| {
                json!({
                    "origin": backtest.origin.to_string(),
                    "days": backtest.days,
                    "purchases": backtest.purchases.map(in_json),
                    "value": backtest.value.map(in_json),
                })
            })
            .collect();
        let about_backtests = |finding: &&ModelFinding| finding.code.path() != "backtests";
        let mut found: Vec<_> = self.findings().iter().filter(about_backtests).cloned().collect();
        let logs: Vec<_> = stored.iter().filter_map(|backtest| backtest["purchases"].as_f64()).collect();
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        if stored.is_empty() {
            found.push(no_backtest());
        } else if mean.abs() > MOST_BIAS {
            let message = format!("on average, {} backtests predicted {:.2} times what came", logs.len(), mean.exp());
            found.push(ModelFinding::new(Severity::Warning, FindingCode::TotalBias, message));
        }
        let mut document = self.json().clone();
        document["backtests"] = json!(stored);
        document["findings"] = json!(found);
        let as_they_are = |error: Error| error.or_hint("Pass rows of backtest_purchase_model as they are.");
        PurchaseModel::from_value(document).map_err(as_they_are)
    }
}
