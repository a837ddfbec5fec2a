//! What a fit can be told.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

use super::process::ProcessName;
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, canonical};
use crate::labels::labels;

labels! {
    /// Which model a fit is asked for.
    ModelChoice "model" {
        /// MBG/NBD.
        MbgNbd = "mbgnbd", "MBG/NBD", "MBG/NBD";
        /// BG/NBD.
        BgNbd = "bgnbd", "BG/NBD", "BG/NBD";
        /// Pareto/NBD.
        ParetoNbd = "paretonbd", "Pareto/NBD", "Pareto/NBD";
        /// The best of them.
        Auto = "auto", "The best", "自動";
    }
}

impl ModelChoice {
    /// The models to fit.
    pub fn names(self) -> &'static [ProcessName] {
        match self {
            ModelChoice::MbgNbd => &[ProcessName::MbgNbd],
            ModelChoice::BgNbd => &[ProcessName::BgNbd],
            ModelChoice::ParetoNbd => &[ProcessName::ParetoNbd],
            ModelChoice::Auto => ProcessName::ALL,
        }
    }
}

labels! {
    /// Which purchase days the model of spend is asked to count.
    SpendChoice "spend" {
        /// All, unless first ones differ.
        Auto = "auto", "As the data suggest", "自動";
        /// All.
        All = "all", "All purchase days", "すべての購入日";
        /// Those after the first.
        Repeat = "repeat", "Repeat purchase days", "2回目以降の購入日";
        /// There is to be no model of spend.
        None = "none", "None", "なし";
    }
}

labels! {
    /// Whether refunds on days without a purchase lower the value of a customer.
    Refunds "refunds" {
        /// They do.
        Net = "net", "Net of refunds", "返金控除後";
        /// They do not.
        Gross = "gross", "Before refunds", "返金控除前";
    }
}

/// What a fit is told.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FitOptions {
    /// Which model.
    pub model: ModelChoice,
    /// What its model of spend counts.
    pub spend: SpendChoice,
    /// Whether values are net of refunds.
    pub refunds: Refunds,
    /// The earliest first purchase day of the customers fitted.
    #[serde(deserialize_with = "day")]
    pub acquired_from: Option<Day>,
    /// The latest one.
    #[serde(deserialize_with = "day")]
    pub acquired_to: Option<Day>,
    /// With fewer customers nothing is fitted.
    pub min_customers: u32,
    /// With fewer who came back nothing is fitted.
    pub min_repeaters: u32,
    /// The largest rank correlation of spend and purchases with which spend is predicted.
    #[serde(deserialize_with = "correlation")]
    pub max_spend_correlation: f64,
}

impl Default for FitOptions {
    fn default() -> Self {
        FitOptions {
            model: ModelChoice::MbgNbd,
            spend: SpendChoice::Auto,
            refunds: Refunds::Net,
            acquired_from: None,
            acquired_to: None,
            min_customers: 200,
            min_repeaters: 80,
            max_spend_correlation: 0.5,
        }
    }
}

/// What the options are called in errors.
const OPTIONS: &str = "options";

fn refused(error: Error) -> Error {
    Error::new(ErrorKind::InvalidParameter, error.message).hint(
        "Known options are model (mbgnbd, bgnbd, paretonbd, auto), spend (auto, all, repeat, none), refunds (net, gross), \
         acquired_from, acquired_to (days), min_customers, min_repeaters (whole numbers) and max_spend_correlation (0 to 1).",
    )
}

pub(super) fn day<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Day>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Day::parse(&text)).transpose().map_err(|error| D::Error::custom(error.message))
}

fn correlation<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&number) {
        Ok(number)
    } else {
        Err(D::Error::custom(format!("{number} is not within 0 to 1")))
    }
}

impl FitOptions {
    /// Reads options from the text of a JSON object; what it leaves out is the default's.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] naming the path of an unknown key or a wrong value, with the known keys.
    pub fn parse(text: &str) -> Result<Self> {
        canonical::read(OPTIONS, text).map_err(refused).and_then(Self::from_json)
    }

    /// Reads options from JSON.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn from_json(options: Value) -> Result<Self> {
        // A list would be read as the values of the keys in order.
        let options = if options.is_array() { Value::Bool(false) } else { options };
        json::from_value(OPTIONS, options).map_err(refused)
    }

    /// Whether somebody with this first purchase day is fitted.
    pub(super) fn takes(&self, first: Day) -> bool {
        self.acquired_from.is_none_or(|from| first >= from) && self.acquired_to.is_none_or(|to| first <= to)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_is_the_default() {
        assert_eq!(FitOptions::from_json(json!({})).unwrap(), FitOptions::default());
        let options =
            FitOptions::from_json(json!({"model": "auto", "acquired_from": "2011-01-01", "min_customers": 5})).unwrap();
        assert_eq!((options.model, options.acquired_from), (ModelChoice::Auto, Some(Day(4018))));
        assert!(!options.takes(Day(4017)) && options.takes(Day(4018)));
    }

    #[test]
    fn unknown_options_are_refused_with_the_known_ones() {
        for options in [json!({"modle": "bgnbd"}), json!({"model": "x"}), json!({"min_customers": -1}), json!([])] {
            let error = FitOptions::from_json(options).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidParameter);
            assert!(error.hint.unwrap().contains("acquired_from"));
        }
    }
}
