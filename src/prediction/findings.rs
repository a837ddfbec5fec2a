//! What is to be said of a fit before anybody believes it.

use serde::{Deserialize, Serialize};

use super::fit::ProcessFit;
use super::gamma_gamma::{SpendCounts, SpendFit};
use super::options::{FitOptions, SpendChoice};
use super::timings::Timings;
use crate::finding::{Finding, Severity};
use crate::labels::labels;

labels! {
    /// What is found in a model.
    FindingCode "finding" {
        /// Too few to fit anything.
        TooFewCustomers = "too_few_customers", "Too few customers", "顧客数が不足";
        /// Few for a total to be believed.
        FewCustomers = "few_customers", "Few customers", "顧客数が少ない";
        /// No maximum was found.
        NotConverged = "not_converged", "Did not converge", "収束しない";
        /// A parameter is at the limit of what is calculated with.
        AtBound = "at_bound", "At a bound", "境界値";
        /// Nobody seems to leave.
        DropoutNotIdentified = "dropout_not_identified", "Dropout not identified", "離脱を識別できない";
        /// All leave alike.
        DropoutHomogeneous = "dropout_homogeneous", "All leave alike", "離脱が一様";
        /// All buy alike.
        RateHomogeneous = "rate_homogeneous", "All buy alike", "購入頻度が一様";
        /// P(alive) is not known well.
        Weak = "weak", "Weak", "推定が弱い";
        /// The data begin in the middle of the customers' lives.
        LeftTruncated = "left_truncated", "Data begin late", "データの開始が遅い";
        /// The mean spend of a customer is infinite.
        SpendInfinite = "spend_infinite", "Infinite spend", "単価が無限大";
        /// Customers who paid nothing were left out.
        SpendNotPositive = "spend_not_positive", "Customers without spend", "支払いのない顧客";
        /// Spend depends on how often somebody buys.
        SpendDependent = "spend_dependent", "Spend depends on frequency", "単価が頻度に依存";
        /// First purchase days are unlike later ones.
        FirstDiffers = "first_differs", "First purchases differ", "初回購入の違い";
        /// There is no model of spend.
        NoAmounts = "no_amounts", "No amounts", "金額なし";
        /// The last digits of amounts were left out.
        AmountsRounded = "amounts_rounded", "Amounts rounded", "金額の丸め";
        /// The model was chosen among several.
        ModelChosen = "model_chosen", "Model chosen", "モデル選択";
        /// Totals have no bounds.
        NoBacktest = "no_backtest", "No backtest", "バックテストなし";
        /// Backtests were off in one direction.
        TotalBias = "total_bias", "Totals are biased", "合計の偏り";
    }
}

impl FindingCode {
    /// Where in the document it is about.
    pub fn path(self) -> &'static str {
        match self {
            FindingCode::TooFewCustomers | FindingCode::FewCustomers => "customers",
            FindingCode::LeftTruncated => "first_from",
            FindingCode::NoBacktest | FindingCode::TotalBias => "backtests",
            FindingCode::ModelChosen => "model",
            FindingCode::SpendInfinite
            | FindingCode::SpendNotPositive
            | FindingCode::SpendDependent
            | FindingCode::FirstDiffers
            | FindingCode::NoAmounts
            | FindingCode::AmountsRounded => "spend",
            FindingCode::DropoutNotIdentified => "alive",
            FindingCode::NotConverged
            | FindingCode::AtBound
            | FindingCode::DropoutHomogeneous
            | FindingCode::RateHomogeneous
            | FindingCode::Weak => "purchases",
        }
    }
}

/// A finding as a document holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFinding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub code: FindingCode,
    /// The same in words, with numbers.
    pub message: String,
}

impl ModelFinding {
    pub(super) fn new(severity: Severity, code: FindingCode, message: impl Into<String>) -> Self {
        ModelFinding { severity, code, message: message.into() }
    }

    /// The finding with its place in the document.
    pub fn finding(&self) -> Finding {
        Finding::new(self.severity, self.code.path(), format!("{}: {}", self.code.name(), self.message))
    }
}

/// With fewer customers totals are off by more than 15 % in one of ten samples.
const FEW_CUSTOMERS: f64 = 800.0;

/// Findings on the customers: [`Severity::Error`] where nothing is to be fitted.
pub(super) fn of_customers(timings: &Timings, options: &FitOptions, found: &mut Vec<ModelFinding>) {
    let (customers, repeaters) = (timings.customers(), timings.repeaters());
    let [least, least_repeaters] = [options.min_customers, options.min_repeaters].map(f64::from);
    if customers < least.max(1.0) || repeaters < least_repeaters.max(1.0) {
        found.push(ModelFinding::new(
            Severity::Error,
            FindingCode::TooFewCustomers,
            format!(
                "{customers} customers, of whom {repeaters} came back; at least {} and {} are needed",
                least.max(1.0),
                least_repeaters.max(1.0)
            ),
        ));
    } else if customers < FEW_CUSTOMERS {
        found.push(ModelFinding::new(
            Severity::Warning,
            FindingCode::FewCustomers,
            format!("{customers} customers: with fewer than {FEW_CUSTOMERS}, another sample would give totals that differ by 15 % or more"),
        ));
    }
    if let Some((first, later)) = truncated(timings) {
        found.push(ModelFinding::new(
            Severity::Warning,
            FindingCode::LeftTruncated,
            format!(
                "{first} customers seem to begin in the first {WINDOW} days, and {later:.0} in {WINDOW} days later on: the data \
                 begin in the middle of their lives; set acquired_from"
            ),
        ));
    }
}

/// Days of a window.
const WINDOW: u32 = 30;

/// First purchases in the first window, and on average in later ones, where data of 120 days or more have more than
/// twice as many in the first; `None` too where less than one window lies between the first customers and the last.
fn truncated(timings: &Timings) -> Option<(f64, f64)> {
    let tenures = || timings.counted().iter().map(|(timing, count)| (timing.tenure_days, *count));
    let oldest = tenures().map(|(tenure, _)| tenure).max()?;
    let youngest = tenures().map(|(tenure, _)| tenure).min()?;
    let later_days = (oldest - youngest + 1).saturating_sub(WINDOW);
    if oldest + 1 < 120 || later_days < WINDOW {
        return None;
    }
    let first: f64 = tenures().filter(|(tenure, _)| oldest - tenure < WINDOW).map(|(_, count)| count).sum();
    let later = (timings.customers() - first) * f64::from(WINDOW) / f64::from(later_days);
    (first > 2.0 * later).then_some((first, later))
}

/// Findings on a fit of the purchases.
pub(super) fn of_process(fit: &ProcessFit, mean_alive_error: Option<f64>, found: &mut Vec<ModelFinding>) {
    let mut add = |severity, code, message: String| found.push(ModelFinding::new(severity, code, message));
    let boundary = fit.boundary;
    if boundary.not_converged {
        let message = format!("none of {} starts came to rest in {} evaluations", fit.starts, fit.evaluations);
        add(Severity::Error, FindingCode::NotConverged, message);
    }
    if let Some(parameter) = boundary.at_bound {
        let message = format!("the likelihood rises until {parameter} is beyond what is calculated with");
        add(Severity::Error, FindingCode::AtBound, message);
    }
    if boundary.dropout_not_identified {
        let message = "the data cannot tell this model from one in which nobody leaves: there is no P(alive), and purchases and values \
                       are those of customers who stay";
        add(Severity::Warning, FindingCode::DropoutNotIdentified, message.to_owned());
    }
    if boundary.dropout_homogeneous {
        add(Severity::Info, FindingCode::DropoutHomogeneous, "all customers leave with the same chance".to_owned());
    }
    if boundary.rate_homogeneous {
        add(Severity::Info, FindingCode::RateHomogeneous, "all customers buy at the same rate".to_owned());
    }
    if let Some(error) = mean_alive_error.filter(|error| *error > 0.1) {
        let message = format!("the mean P(alive) has a standard error of {error:.2}");
        add(Severity::Warning, FindingCode::Weak, message);
    }
}

/// Findings on a fit of the spend.
pub(super) fn of_spend(fit: Option<&SpendFit>, options: &FitOptions, found: &mut Vec<ModelFinding>) {
    let mut add = |severity, code, message: String| found.push(ModelFinding::new(severity, code, message));
    let Some(fit) = fit else {
        let message = match options.spend {
            SpendChoice::None => "spend was not to be predicted".to_owned(),
            _ => format!("fewer than {} customers spent anything", options.min_repeaters.max(1)),
        };
        return add(Severity::Info, FindingCode::NoAmounts, message);
    };
    if !fit.converged {
        let message = "the model of spend has no maximum: do all customers spend the same?";
        add(Severity::Error, FindingCode::NotConverged, message.to_owned());
    } else if fit.model.q <= 1.0 {
        let message = format!("q is {}: customers differ so much that their mean spend is infinite", fit.model.q);
        add(Severity::Error, FindingCode::SpendInfinite, message);
    }
    if fit.not_positive > 0.0 {
        let message = format!("{} customers spent 0 or less and were left out", fit.not_positive);
        add(Severity::Info, FindingCode::SpendNotPositive, message);
    }
    let spearman = fit.spearman.unwrap_or_default();
    let beyond = |limit: f64| !(1.0 / limit..=limit).contains(&fit.dependence);
    let message = format!(
        "who buys often spends otherwise: dependence {:.3} (1 is none), rank correlation {spearman:.3}",
        fit.dependence
    );
    if beyond(2.0) || spearman.abs() > options.max_spend_correlation {
        add(Severity::Error, FindingCode::SpendDependent, message);
    } else if beyond(1.15) {
        add(Severity::Warning, FindingCode::SpendDependent, message);
    }
    if options.spend == SpendChoice::Auto && fit.counts == SpendCounts::Repeat {
        let ratio = fit.first_to_repeat.unwrap_or_default();
        let message =
            format!("first purchase days are {ratio:.3} times as large as later ones, so only later ones count");
        add(Severity::Info, FindingCode::FirstDiffers, message);
    }
}
