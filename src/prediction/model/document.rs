//! The document of a model: what may stand in it, read strictly and written canonically.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

use super::{Identified, ModelStatus};
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, canonical};
use crate::prediction::findings::ModelFinding;
use crate::prediction::gamma_gamma::SpendCounts;
use crate::prediction::options::{Refunds, day};
use crate::prediction::process::{Process, ProcessName};

const TYPE_NAME: &str = "purchase_model";

/// Parameters lie below; what is calculated with them stays finite.
const MOST: f64 = 1e15;

/// A model of purchases and spend: its document, and the same as numbers.
#[derive(Clone, Debug)]
pub struct PurchaseModel {
    value: Value,
    parsed: Parsed,
}

/// How a model was fitted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitDetails {
    /// Of the days, at the parameters of the document.
    pub log_likelihood: f64,
    /// That of the model in which nobody leaves.
    pub log_likelihood_no_dropout: f64,
    /// By the names of the parameters; those that were not estimated are left out.
    pub standard_errors: BTreeMap<String, f64>,
    /// Of the logarithms of the parameters, in their order.
    pub covariance: [[f64; 4]; 4],
    /// Evaluations of the likelihood.
    pub evaluations: u32,
    /// Starts tried.
    pub starts: u32,
    /// Starts that came to the same maximum.
    pub starts_agreeing: u32,
}

/// The model of spend.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpendDetails {
    /// Its name.
    #[serde(default, rename = "model")]
    _model: GammaGammaName,
    /// What it counts.
    #[serde(default = "all")]
    pub counts: SpendCounts,
    /// Shape of the amounts of one customer.
    pub p: f64,
    /// Shape of the differences between customers.
    pub q: f64,
    /// Their scale, in units of money.
    pub v: f64,
    /// Log-likelihood of the mean amounts.
    pub log_likelihood: Option<f64>,
    /// Standard errors of p, q and v.
    pub standard_errors: Option<BTreeMap<String, f64>>,
    /// Of the logarithms of p, q and v.
    pub covariance: Option<[[f64; 3]; 3]>,
    /// Customers fitted.
    pub customers: Option<u64>,
    /// Mean of the population; none where it is infinite.
    pub mean: Option<f64>,
    /// 1 where spend does not depend on how often somebody buys.
    pub dependence: Option<f64>,
    /// Rank correlation of the same.
    pub spearman: Option<f64>,
    /// First purchase days over later ones.
    pub first_to_repeat: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GammaGammaName {
    #[default]
    GammaGamma,
}

fn all() -> SpendCounts {
    SpendCounts::All
}

/// A backtest that a model was judged by: logarithms of predicted over actual.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredBacktest {
    /// The day of its fit.
    #[serde(deserialize_with = "required_day")]
    pub origin: Day,
    /// Days predicted.
    pub days: u32,
    /// Of purchases; none where one of them is 0.
    pub purchases: Option<f64>,
    /// Of values.
    pub value: Option<f64>,
}

fn required_day<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Day, D::Error> {
    day(deserializer)?.ok_or_else(|| D::Error::custom("a day is needed"))
}

/// The numbers of a document.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    document: Document,
    pub process: Option<Process>,
    pub spend: Option<SpendDetails>,
    pub refund_share: f64,
    pub refunds: Refunds,
}

/// What may stand in a document. Only `model` and `purchases` must.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default = "first_version")]
    version: u32,
    model: ProcessName,
    #[serde(default = "usable")]
    status: ModelStatus,
    #[serde(default, deserialize_with = "day")]
    as_of: Option<Day>,
    #[serde(default)]
    customers: Option<u64>,
    #[serde(default, rename = "repeaters")]
    _repeaters: Option<u64>,
    #[serde(default, rename = "repeat_purchase_days")]
    _repeat_purchase_days: Option<u64>,
    #[serde(default, deserialize_with = "day", rename = "first_from")]
    _first_from: Option<Day>,
    #[serde(default, deserialize_with = "day", rename = "first_to")]
    _first_to: Option<Day>,
    #[serde(default)]
    purchases: Option<BTreeMap<String, f64>>,
    #[serde(default)]
    fit: Option<FitDetails>,
    #[serde(default)]
    alive: Option<Identified>,
    #[serde(default)]
    spend: Option<SpendDetails>,
    #[serde(default)]
    refund_share: f64,
    #[serde(default = "net")]
    refunds: Refunds,
    #[serde(default)]
    backtests: Vec<StoredBacktest>,
    #[serde(default)]
    findings: Vec<ModelFinding>,
}

fn first_version() -> u32 {
    1
}

fn usable() -> ModelStatus {
    ModelStatus::Ok
}

fn net() -> Refunds {
    Refunds::Net
}

impl PurchaseModel {
    /// Reads a document.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`] naming the path of an unknown key, a wrong type, a number out of range or a key that
    /// stands twice; [`ErrorKind::LimitExceeded`] beyond [`canonical::MAX_BYTES`].
    pub fn parse(text: &str) -> Result<Self> {
        canonical::read(TYPE_NAME, text).and_then(Self::from_value).map_err(|error| {
            error.or_hint(
                "A model is a JSON object with at least model and purchases, for example {\"model\": \"bgnbd\", \"purchases\": \
                 {\"r\": 0.243, \"alpha\": 30.9, \"a\": 0.793, \"b\": 2.426}}; times are in days. fit_purchase_model makes one.",
            )
        })
    }

    /// The model of a document in canonical form.
    pub(in crate::prediction) fn from_value(value: Value) -> Result<Self> {
        if !value.is_object() {
            return Err(invalid("it must be a JSON object"));
        }
        let document: Document = json::from_value(TYPE_NAME, value.clone())?;
        let parsed = Parsed {
            process: document.process()?,
            spend: document.spend.clone(),
            refund_share: document.refund_share,
            refunds: document.refunds,
            document,
        };
        parsed.document.check()?;
        Ok(PurchaseModel { value, parsed })
    }

    pub(super) fn parsed(&self) -> &Parsed {
        &self.parsed
    }

    /// The document as JSON.
    pub fn json(&self) -> &Value {
        &self.value
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_bytes(self)
    }

    /// The model that has these canonical bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] when no model has them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        canonical::from_bytes(TYPE_NAME, bytes, Self::parse)
    }

    /// Whether it answers anything.
    pub fn status(&self) -> ModelStatus {
        self.parsed.document.status
    }

    /// Which model of purchases.
    pub fn name(&self) -> ProcessName {
        self.parsed.document.model
    }

    /// The last day the fit saw; `None` of a model by hand.
    pub fn as_of(&self) -> Option<Day> {
        self.parsed.document.as_of
    }

    /// Customers fitted; `None` of a model by hand.
    pub fn customers(&self) -> Option<u64> {
        self.parsed.document.customers
    }

    /// Whether P(alive) can be told: in a model by hand, where somebody leaves.
    pub fn alive(&self) -> Identified {
        let by_hand = match &self.parsed.process {
            Some(process) if !process.nobody_leaves() => Identified::Identified,
            _ => Identified::NotIdentified,
        };
        self.parsed.document.alive.unwrap_or(by_hand)
    }

    /// How it was fitted; `None` of a model by hand.
    pub fn fit(&self) -> Option<&FitDetails> {
        self.parsed.document.fit.as_ref()
    }

    /// The model of spend as it was fitted, even where it is refused.
    pub fn spend_details(&self) -> Option<&SpendDetails> {
        self.parsed.spend.as_ref()
    }

    /// Whether its values are net of refunds.
    pub fn refunds(&self) -> Refunds {
        self.parsed.refunds
    }

    /// The backtests it was judged by.
    pub fn backtests(&self) -> &[StoredBacktest] {
        &self.parsed.document.backtests
    }

    /// What was found.
    pub fn findings(&self) -> &[ModelFinding] {
        &self.parsed.document.findings
    }
}

impl fmt::Display for PurchaseModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl PartialEq for PurchaseModel {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

fn invalid(problem: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidText, format!("invalid {TYPE_NAME}: {problem}"))
}

fn require_within(path: &str, number: f64, least: f64, most: f64) -> Result<()> {
    if (least..=most).contains(&number) {
        Ok(())
    } else {
        Err(invalid(format!("{path}: {number} is not within {least} to {most}")))
    }
}

impl Document {
    /// The parameters of the model of purchases.
    fn process(&self) -> Result<Option<Process>> {
        let names = self.model.parameter_names();
        let Some(purchases) = &self.purchases else {
            return match self.status {
                ModelStatus::Refused => Ok(None),
                ModelStatus::Ok => Err(invalid(format!("purchases: {} are needed", names.join(", ")))),
            };
        };
        if let Some(unknown) = purchases.keys().find(|key| !names.contains(&key.as_str())) {
            let model = self.model.name();
            return Err(invalid(format!("purchases.{unknown}: {model} has the parameters {}", names.join(", "))));
        }
        let mut parameters = [0.0; 4];
        for (i, name) in names.into_iter().enumerate() {
            let number = *purchases.get(name).ok_or_else(|| invalid(format!("purchases.{name} is missing")))?;
            let least = self.model.least()[i];
            // Nobody leaves where the third parameter is 0.
            let allowed = (least..=MOST).contains(&number) || i == 2 && number == 0.0;
            if !allowed {
                let limit = if least > 1e-300 { format!("at least {least}") } else { "above 0".to_owned() };
                return Err(invalid(format!(
                    "purchases.{name}: it must be {limit} and at most {MOST:e}, not {number}"
                )));
            }
            parameters[i] = number;
        }
        Ok(Some(Process { name: self.model, parameters }))
    }

    /// Numbers that no fit would have written.
    fn check(&self) -> Result<()> {
        if self.version != 1 {
            return Err(invalid(format!("version: this release reads version 1, not {}", self.version)));
        }
        require_within("refund_share", self.refund_share, 0.0, 1.0)?;
        if let Some(spend) = &self.spend {
            for (name, number) in [("p", spend.p), ("q", spend.q), ("v", spend.v)] {
                require_within(&format!("spend.{name}"), number, 1e-20, 1e30)?;
            }
        }
        for (position, backtest) in self.backtests.iter().enumerate() {
            let path = format!("backtests[{position}]");
            require_within(&format!("{path}.days"), backtest.days.into(), 1.0, crate::prediction::MOST_AHEAD.into())?;
            for (name, log) in [("purchases", backtest.purchases), ("value", backtest.value)] {
                require_within(&format!("{path}.{name}"), log.unwrap_or_default(), -100.0, 100.0)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_HAND: &str = r#"{"model": "bgnbd", "purchases": {"r": 0.243, "alpha": 30.9, "a": 0.793, "b": 2.426}}"#;

    #[test]
    fn parameters_of_a_paper_are_a_model() {
        let model = PurchaseModel::parse(BY_HAND).unwrap();
        assert_eq!(model.alive(), Identified::Identified);
        assert_eq!(model.process().unwrap().parameters, [0.243, 30.9, 0.793, 2.426]);
        assert!(model.spend().is_none() && model.require().is_ok());
        let again = PurchaseModel::from_bytes(&model.to_bytes()).unwrap();
        assert_eq!(again.to_string(), model.to_string());
        assert_eq!(PurchaseModel::parse(&model.to_string()).unwrap(), model);
        let nobody_leaves = PurchaseModel::parse(&BY_HAND.replace("0.793", "0")).unwrap();
        assert_eq!(nobody_leaves.alive(), Identified::NotIdentified);
    }

    #[test]
    fn what_no_model_says_is_refused_with_its_path() {
        let with = |more: &str| BY_HAND.replacen('{', &format!("{{{more}, "), 1);
        for (text, path) in [
            (BY_HAND.replace("0.243", "0"), "purchases.r"),
            (BY_HAND.replace("0.243", "-1"), "purchases.r"),
            (BY_HAND.replace("30.9", "0.001"), "purchases.alpha: it must be at least 0.01"),
            (BY_HAND.replace("2.426", "\"x\""), "purchases.b"),
            (BY_HAND.replace("\"b\"", "\"beta\""), "purchases.beta"),
            (BY_HAND.replace("bgnbd", "abc"), "model"),
            (r#"{"model": "bgnbd"}"#.to_owned(), "purchases: r, alpha, a, b are needed"),
            (with(r#""x": 1"#), "x"),
            (with(r#""version": 2"#), "version"),
            (with(r#""as_of": "soon""#), "as_of"),
            (with(r#""refund_share": 2"#), "refund_share"),
            (with(r#""spend": {"p": 1, "q": 2, "v": 0}"#), "spend.v"),
            (with(r#""backtests": [{"origin": "2020-01-01", "days": 0}]"#), "backtests[0].days"),
            (with(r#""fit": {}"#), "fit"),
            ("[]".to_owned(), "object"),
            ("".to_owned(), "empty"),
        ] {
            let error = PurchaseModel::parse(&text).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidText, "{text}");
            assert!(error.message.contains(path), "{text}: {}", error.message);
            assert!(error.hint.is_some());
        }
        assert_eq!(PurchaseModel::from_bytes(b"\x02{}").unwrap_err().kind, ErrorKind::InvalidBinary);
    }
}
