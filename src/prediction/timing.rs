//! What the models of purchases read of one customer: how often she came back, how long she has been seen to buy, and
//! how long ago she began.

use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{PurchaseHistory, Purchases};

/// The most days or purchases the models calculate with.
pub const MOST_DAYS: i64 = 1_000_000;

/// x, t_x and T of one customer on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timing {
    /// x: purchase days after the first.
    pub repeats: u32,
    /// t_x: days from the first purchase day to the last.
    pub span_days: u32,
    /// T: days from the first purchase day to the day asked.
    pub tenure_days: u32,
}

impl Timing {
    /// What a history tells of the day `as_of`; `None` of a prospect.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] beyond [`MOST_DAYS`].
    pub fn of(history: &PurchaseHistory, as_of: Day) -> Result<Option<Self>> {
        history.purchases(as_of).map(|purchases| Timing::of_purchases(&purchases, as_of)).transpose()
    }

    /// As [`of`](Self::of), of purchases up to `as_of` that have been read.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_purchases(purchases: &Purchases, as_of: Day) -> Result<Self> {
        Self::within_limits(
            (purchases.purchase_days - 1).into(),
            purchases.span_days(),
            as_of.days_since(purchases.first),
        )
    }

    /// The same from plain numbers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] where no customer can have them: fewer than one purchase day, not 0 <= span <=
    /// tenure, or a span that is above 0 with one purchase day or 0 with more; [`ErrorKind::LimitExceeded`] beyond
    /// [`MOST_DAYS`].
    pub fn new(purchase_days: i64, span_days: i64, tenure_days: i64) -> Result<Self> {
        let refuse = |problem: String| {
            Err(Error::new(ErrorKind::InvalidParameter, problem).hint(
                "purchase_days >= 1; 0 <= span_days <= tenure_days; span_days is above 0 exactly where purchase_days is above 1.",
            ))
        };
        if purchase_days < 1 {
            return refuse(format!("purchase_days must be at least 1, not {purchase_days}"));
        }
        if !(0..=tenure_days).contains(&span_days) {
            return refuse(format!("span_days must lie within 0 and tenure_days, {tenure_days}, not be {span_days}"));
        }
        if (span_days > 0) != (purchase_days > 1) {
            return refuse(format!("{purchase_days} purchase days do not span {span_days} days"));
        }
        Self::within_limits(purchase_days - 1, span_days, tenure_days)
    }

    fn within_limits(repeats: i64, span_days: i64, tenure_days: i64) -> Result<Self> {
        match [repeats, span_days, tenure_days].into_iter().max() {
            Some(most) if most > MOST_DAYS => Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("a prediction looks back on at most {MOST_DAYS} days and purchases, not {most}"),
            )),
            // What is at most that large, and not negative, fits.
            _ => Ok(Timing { repeats: repeats as u32, span_days: span_days as u32, tenure_days: tenure_days as u32 }),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::PurchaseDay;
    use crate::prediction::timings::Timings;

    /// Numbers of which each power of ten is as likely as the next.
    pub fn of_any_size(least: f64, most: f64) -> impl Strategy<Value = f64> {
        (least.ln()..most.ln()).prop_map(f64::exp)
    }

    /// Customers of all kinds: who just came, came once, came often, in weights.
    pub fn some_timings() -> Timings {
        let timing = |repeats, span_days, tenure_days| Timing { repeats, span_days, tenure_days };
        Timings::new(vec![
            (timing(0, 0, 0), 3.0),
            (timing(0, 0, 200), 40.0),
            (timing(1, 5, 90), 7.0),
            (timing(2, 60, 60), 2.0),
            (timing(2, 60, 300), 1.0),
            (timing(9, 100, 250), 5.0),
            (timing(400, 500, 520), 1.0),
        ])
    }

    #[test]
    fn a_history_and_plain_numbers_agree() {
        let days = [3, 3, 10, 40].map(|day| PurchaseDay::of_row(Day(day), Some(1), None));
        let history = PurchaseHistory::new(0, days.to_vec()).unwrap();
        let timing = |as_of| Timing::of(&history, Day(as_of)).unwrap();
        assert_eq!(timing(2), None);
        assert_eq!(timing(3), Some(Timing::new(1, 0, 0).unwrap()));
        assert_eq!(timing(39), Some(Timing::new(2, 7, 36).unwrap()));
        assert_eq!(timing(50), Some(Timing::new(3, 37, 47).unwrap()));
        assert_eq!(Timing::of(&history, Day(2_000_000)).unwrap_err().kind, ErrorKind::LimitExceeded);
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for (purchase_days, span, tenure) in [(0, 0, 5), (1, 1, 5), (2, 0, 5), (2, 6, 5), (1, 0, -1), (2, -1, 5)] {
            let refused = Timing::new(purchase_days, span, tenure).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::InvalidParameter, "{purchase_days} {span} {tenure}");
        }
        assert_eq!(Timing::new(2, 5, 1_000_001).unwrap_err().kind, ErrorKind::LimitExceeded);
    }
}
