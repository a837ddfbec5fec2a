//! How many of how many, and how far to trust it: a proportion with its 95 % interval.

use std::cmp::Ordering;

use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};

/// The 97.5th percentile of the standard normal distribution: an interval of 95 % leaves out 2.5 % on either side.
pub(crate) const Z: f64 = 1.959963984540054;

/// Decimals of the rate and its bounds.
pub(crate) const SCALE: u8 = 6;
/// What has that many decimals is a whole number of these parts of one.
pub(crate) const UNIT: f64 = 1e6;

/// Some of those counted. The rate and its bounds are between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    numerator: i64,
    denominator: i64,
}

impl Proportion {
    /// `numerator` of `denominator`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] unless 0 <= numerator <= denominator.
    pub fn new(numerator: i64, denominator: i64) -> Result<Self> {
        if (0..=denominator).contains(&numerator) {
            Ok(Proportion { numerator, denominator })
        } else {
            Err(Error::new(ErrorKind::InvalidParameter, format!("{numerator} of {denominator} is no proportion"))
                .hint("The numerator counts some of the denominator: 0 <= numerator <= denominator."))
        }
    }

    /// How many; `None` of nobody, where nothing is known.
    pub fn numerator(self) -> Option<i64> {
        (self.denominator > 0).then_some(self.numerator)
    }

    /// Of how many.
    pub fn denominator(self) -> i64 {
        self.denominator
    }

    /// The share, 0 to 1, rounded once to 6 decimals; `None` of nobody.
    pub fn rate(self) -> Option<Decimal> {
        let (numerator, denominator) = (i128::from(self.numerator()?), i128::from(self.denominator));
        Decimal::quotient(numerator, denominator, SCALE).ok()
    }

    /// Which rate is higher, exactly; nobody's is equal to every other.
    pub fn compare_rates(self, other: Self) -> Ordering {
        let across = |a: Self, b: Self| i128::from(a.numerator) * i128::from(b.denominator);
        across(self, other).cmp(&across(other, self))
    }

    /// The score interval of Wilson at 95 %, low and high, rounded to 6 decimals; `None` of nobody.
    ///
    /// Unlike the textbook interval, it stays within 0 and 1 and holds for small counts. Without continuity correction:
    /// E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American
    /// Statistical Association 22 (1927), 209-212.
    pub fn wilson_interval(self) -> Option<(Decimal, Decimal)> {
        self.wilson_bounds().map(|(low, high)| (rounded_share(low), rounded_share(high)))
    }

    /// The same before rounding.
    pub(crate) fn wilson_bounds(self) -> Option<(f64, f64)> {
        let (numerator, n) = (self.numerator()? as f64, self.denominator as f64);
        let (rate, z_squared) = (numerator / n, Z * Z);
        let center = rate + z_squared / (2.0 * n);
        let half_width = Z * (rate * (1.0 - rate) / n + z_squared / (4.0 * n * n)).sqrt();
        // Between 0 and 1 even where the calculation comes out a hair beyond.
        let bound = |value: f64| (value / (1.0 + z_squared / n)).clamp(0.0, 1.0);
        Some((bound(center - half_width), bound(center + half_width)))
    }
}

/// A share in 6 decimals.
pub(crate) fn rounded_share(share: f64) -> Decimal {
    Decimal::new((share * UNIT).round() as i128, SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(numerator: i64, denominator: i64) -> String {
        let proportion = Proportion::new(numerator, denominator).unwrap();
        let (low, high) = proportion.wilson_interval().unwrap();
        format!("{} {low} {high}", proportion.rate().unwrap())
    }

    #[test]
    fn nobody_has_no_rate() {
        let nobody = Proportion::new(0, 0).unwrap();
        assert_eq!((nobody.numerator(), nobody.denominator()), (None, 0));
        assert_eq!((nobody.rate(), nobody.wilson_interval()), (None, None));
    }

    #[test]
    fn all_and_none_reach_the_ends() {
        assert_eq!(shown(0, 10), "0.000000 0.000000 0.277533");
        assert_eq!(shown(10, 10), "1.000000 0.722467 1.000000");
        assert_eq!(shown(i64::MAX, i64::MAX), "1.000000 1.000000 1.000000");
        assert_eq!(shown(0, i64::MAX), "0.000000 0.000000 0.000000");
    }

    #[test]
    fn more_than_all_is_refused() {
        for (numerator, denominator) in [(-1, 5), (6, 5), (0, -1), (-2, -1), (1, 0)] {
            let refused = Proportion::new(numerator, denominator).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::InvalidParameter, "{numerator} of {denominator}");
        }
    }
}
