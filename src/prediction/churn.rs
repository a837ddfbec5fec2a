//! The churn risk as a word. It stands on the chance of a purchase and not on P(alive), which ranks worse than the days
//! since the last purchase.

use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::labels;

labels! {
    /// How likely a customer will not buy.
    ChurnBand "churn band" {
        /// The chance of a purchase is two thirds or more.
        Low = "low", "Low risk", "低";
        /// It is one third or more.
        Medium = "medium", "Medium risk", "中";
        /// It is less.
        High = "high", "High risk", "高";
    }
}

impl ChurnBand {
    /// The band of a chance of a purchase that somebody gives as a number.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for one that is not within 0 to 1.
    pub fn of_number(purchase_probability: Decimal) -> Result<Self> {
        if (Decimal::ZERO..=Decimal::from(1)).contains(&purchase_probability) {
            return Ok(ChurnBand::of(purchase_probability));
        }
        let problem = format!("purchase_probability must lie within 0 to 1, it is {purchase_probability}");
        Err(Error::new(ErrorKind::InvalidParameter, problem).hint("A percentage is divided by 100."))
    }

    /// The band of a chance of a purchase.
    pub(super) fn of(purchase_probability: Decimal) -> Self {
        // In thirds, exactly: 0.333333 is less than one.
        let thirds = Decimal::new(purchase_probability.mantissa().saturating_mul(3), purchase_probability.scale());
        let at_least = |number: i64| thirds >= number.into();
        match (at_least(2), at_least(1)) {
            (true, _) => ChurnBand::Low,
            (false, true) => ChurnBand::Medium,
            _ => ChurnBand::High,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_begin_at_thirds() {
        for (chance, band) in [
            ("0", "high"),
            ("0.333333", "high"),
            ("0.333334", "medium"),
            ("0.666666", "medium"),
            ("0.666667", "low"),
            ("1", "low"),
        ] {
            assert_eq!(ChurnBand::of_number(Decimal::parse(chance).unwrap()).unwrap().name(), band, "{chance}");
        }
        for wrong in ["-0.1", "1.000001", "50"] {
            assert_eq!(
                ChurnBand::of_number(Decimal::parse(wrong).unwrap()).unwrap_err().kind,
                ErrorKind::InvalidParameter
            );
        }
    }
}
