//! Numbers as documents and answers show them.

use serde_json::{Number, Value};

use crate::decimal::{Decimal, MAX_SCALE};
use crate::error::{Error, ErrorKind, Result};
use crate::prediction::fit::in_ten_digits;

/// A number in a document: 10 significant digits, not more decimals than a document can hold.
pub(in crate::prediction) fn in_json(number: f64) -> Value {
    // Larger ones are variances of what the data do not tell.
    let number = in_ten_digits(number.clamp(-1e30, 1e30));
    let plain = format!("{number:.*}", usize::from(MAX_SCALE));
    let exact = Decimal::parse(&format!("{number:.9e}")).or_else(|_| Decimal::parse(&plain));
    let decimal = exact.unwrap_or(Decimal::ZERO).normalized();
    Value::Number(Number::from_string_unchecked(decimal.to_string()))
}

/// An answer: rounded once, half away from zero, to 6 decimals.
///
/// # Errors
/// [`ErrorKind::NumberOutOfRange`] when it does not fit.
pub(in crate::prediction) fn rounded(number: f64) -> Result<Decimal> {
    const SCALE: u8 = 6;
    let scaled = (number * 1e6).round();
    // 38 digits.
    if scaled.is_finite() && scaled.abs() < 1e38 {
        Ok(Decimal::new(scaled as i128, SCALE))
    } else {
        Err(Error::new(ErrorKind::NumberOutOfRange, format!("a prediction of {number:e} does not fit")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_hold_ten_digits() {
        for (number, shown) in [
            (0.52484315912345, "0.5248431591"),
            (1e6, "1000000"),
            (-14363.236951783, "-14363.23695"),
            (1.23456789012e-15, "0.00000000000000123457"),
            (1e-30, "0"),
            (f64::INFINITY, "1000000000000000000000000000000"),
            (-0.0, "0"),
        ] {
            assert_eq!(in_json(number).to_string(), shown);
        }
    }

    #[test]
    fn answers_are_rounded_half_away_from_zero() {
        assert_eq!(rounded(0.0000005).unwrap().to_string(), "0.000001");
        assert_eq!(rounded(-0.0000001).unwrap().to_string(), "0.000000");
        assert_eq!(rounded(1e300).unwrap_err().kind, ErrorKind::NumberOutOfRange);
        assert_eq!(rounded(f64::NAN).unwrap_err().kind, ErrorKind::NumberOutOfRange);
    }
}
