//! How the predictions of one customer come about.

use serde_json::{Value, json};

use super::answer::{DiscountRate, Horizon, Spent};
use super::model::{PurchaseModel, in_json};
use super::process::ProcessName;
use super::timing::Timing;
use crate::day::Day;
use crate::error::Result;

impl PurchaseModel {
    /// Which model it is, for explanations of what was decided by it.
    pub fn reasons(&self) -> Value {
        json!({ "model": self.name().name(), "as_of": self.as_of(), "status": self.status().name() })
    }

    /// The inputs of one customer's predictions, the posterior they give, each result, how much her own spend weighs
    /// against the population's, and what was found in the model.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`](crate::error::ErrorKind::NumberOutOfRange) when a number does not fit.
    pub fn explain(&self, (timing, spent): (&Timing, &Spent), as_of: Day, ahead: Horizon) -> Result<Value> {
        let (year, rate) = (Horizon::YEAR, DiscountRate::USUAL);
        let prediction = self.predict((timing, spent), as_of, (ahead, year), rate)?;
        let mut explained = json!({
            "as_of": as_of.to_string(),
            "days": ahead.days() as u32,
            "model": self.name().name(),
            "status": self.status().name(),
            "alive": self.alive().name(),
            "inputs": {
                "x": timing.repeats,
                "t_x": timing.span_days,
                "T": timing.tenure_days,
                "n": in_json(spent.purchases),
                "S": in_json(spent.amount),
            },
            "p_alive": prediction.p_alive,
            "purchase_probability": prediction.purchase_probability,
            "churn_band": prediction.churn_band,
            "expected_purchases": prediction.expected_purchases,
            "purchases_low": prediction.purchases.map(|(low, _)| low),
            "purchases_high": prediction.purchases.map(|(_, high)| high),
            "expected_spend": prediction.expected_spend,
            "expected_value": {
                "days": year.days() as u32,
                "annual_discount_rate": in_json(rate.annual()),
                "value": prediction.expected_value,
            },
            "next_purchase_on": prediction.next_purchase_on.map(|day| day.to_string()),
            "alive_until": prediction.alive_until.map(|day| day.to_string()),
            "findings": self.findings(),
        });
        if let Some(process) = self.process() {
            let names = match process.name {
                ProcessName::ParetoNbd => ["m", "A", "s", "Bt"],
                _ => ["m", "A", "a", "be"],
            };
            let posterior = process.outlook(timing).posterior();
            explained["posterior"] = names.iter().zip(posterior).map(|(name, value)| (*name, in_json(value))).collect();
        }
        if let (Some((spend, counts)), Some(mean)) =
            (self.spend(), self.spend().and_then(|(s, _)| s.expected(0.0, 0.0)))
        {
            // The expected spend is a mean of her own and the population's, weighted so.
            let own = spend.p * spent.purchases / (spend.p * spent.purchases + spend.q - 1.0);
            explained["spend"] = json!({
                "counts": counts.name(),
                "own_mean": (spent.purchases > 0.0).then(|| in_json(spent.amount.max(0.0) / spent.purchases)),
                "own_weight": in_json(own),
                "population_mean": in_json(mean),
                "refund_share": in_json(1.0 - self.share_kept()),
            });
        }
        Ok(explained)
    }
}
