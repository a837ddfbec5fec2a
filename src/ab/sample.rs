//! How many customers a test needs before it begins.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::error::{Error, ErrorKind, Result};

/// Customers needed in each of two groups of the same size, so that a two-sided two-proportion z test with error
/// probability `alpha` finds a true `lift` over `base_rate` with probability `power`:
///
/// `n = (z(1 - alpha/2) sqrt(2 p q) + z(power) sqrt(p1 q1 + p2 q2))^2 / lift^2`, rounded up, where p1 is the base rate, p2 = p1 +
/// lift and p their mean: the pooled variance where there is no lift, the unpooled where there is. J. L. Fleiss,
/// B. Levin, M. C. Paik, Statistical Methods for Rates and Proportions, 3rd edition (2003), formula 4.14, without continuity
/// correction; the same as power.prop.test of R.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] unless both rates are from 0 to 1, the lift is not 0, `alpha` is above 0 and `power`
/// between `alpha` and 1; [`ErrorKind::NumberOutOfRange`] when the lift needs more customers than can be counted.
pub fn sample_size(base_rate: f64, lift: f64, power: f64, alpha: f64) -> Result<i64> {
    let refuse = |message: String, hint: &str| Err(Error::new(ErrorKind::InvalidParameter, message).hint(hint));
    let share = 0.0..=1.0;
    if !share.contains(&base_rate) {
        return refuse(format!("base_rate must be from 0 to 1, not {base_rate}"), "5 % is 0.05.");
    }
    // A sum that is 1 may come out a hair beyond.
    const HAIR: f64 = 1e-12;
    if !(-HAIR..=1.0 + HAIR).contains(&(base_rate + lift)) || lift == 0.0 {
        return refuse(
            format!("lift must lead from base_rate {base_rate} to another rate from 0 to 1, not {lift}"),
            "The lift is a difference of rates: from 5 % to 6 % it is 0.01.",
        );
    }
    if !(alpha > 0.0 && alpha < power && power < 1.0) {
        return refuse(
            format!("power {power} and alpha {alpha} must be 0 < alpha < power < 1"),
            "Usual are power 0.8 and alpha 0.05.",
        );
    }
    let other = (base_rate + lift).clamp(0.0, 1.0);
    let mean = (base_rate + other) / 2.0;
    let variance = |rate: f64| rate * (1.0 - rate);
    let normal = Normal::standard();
    let root = -normal.inverse_cdf(alpha / 2.0) * (2.0 * variance(mean)).sqrt()
        + normal.inverse_cdf(power) * (variance(base_rate) + variance(other)).sqrt();
    let customers = (root / lift).powi(2).ceil().max(1.0);
    if customers < i64::MAX as f64 {
        Ok(customers as i64)
    } else {
        let message = format!("a lift of {lift} needs more customers than can be counted");
        Err(Error::new(ErrorKind::NumberOutOfRange, message).hint("Ask for a lift that would make a difference."))
    }
}
