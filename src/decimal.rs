//! Exact decimal numbers: money, cut points and every other number of a policy.
//!
//! PostgreSQL's `numeric` is the only other exact type at hand, and it lives in the server; money here is an integer
//! and a number of decimals, so that adding never rounds and a sum that does not fit is refused.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result, shown};

/// The most decimals an amount may have.
pub const MAX_SCALE: u8 = 20;

const POWERS_OF_TEN: [i128; 39] = {
    let mut powers = [1; 39];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// `10^n` for n up to 38, the largest power that fits.
pub(crate) fn power_of_ten(n: u8) -> i128 {
    POWERS_OF_TEN[usize::from(n)]
}

/// A mantissa with so many more decimals; `None` where it does not fit. Most need no more: multiplying takes long.
fn with_decimals(mantissa: i128, more: u8) -> Option<i128> {
    if more == 0 { Some(mantissa) } else { mantissa.checked_mul(power_of_ten(more)) }
}

/// The error for an amount, or a sum of amounts, that does not fit.
pub fn amount_out_of_range() -> Error {
    Error::new(ErrorKind::NumberOutOfRange, "amount out of range: more than 38 digits, decimals included")
        .hint("Round the amounts to the decimals of your currency, for example round(amount, 2).")
}

/// The error for more decimals than [`MAX_SCALE`].
pub fn too_many_decimals(scale: impl fmt::Display) -> Error {
    Error::new(ErrorKind::NumberOutOfRange, format!("amount has {scale} decimals, at most {MAX_SCALE} are supported"))
        .hint("Round the amounts to the decimals of your currency, for example round(amount, 2).")
}

/// `mantissa / 10^scale`, exactly; `1.50` and `1.5` are equal but print differently, as in PostgreSQL.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

impl Decimal {
    /// Zero without decimals.
    pub const ZERO: Decimal = Decimal { mantissa: 0, scale: 0 };

    /// The number `mantissa / 10^scale`; `scale` is at most [`MAX_SCALE`].
    pub const fn new(mantissa: i128, scale: u8) -> Self {
        debug_assert!(scale <= MAX_SCALE);
        Decimal { mantissa, scale }
    }

    /// The integer this number is a `10^scale`-th of.
    pub fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// The number of decimals.
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// The mantissa of the same number written with `scale` decimals, which must not be fewer than it has now.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when it does not fit.
    pub fn mantissa_at(self, scale: u8) -> Result<i128> {
        with_decimals(self.mantissa, scale - self.scale).ok_or_else(amount_out_of_range)
    }

    /// `numerator / denominator` rounded once, half away from zero, to `scale` decimals; the denominator is positive.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when an intermediate value does not fit.
    pub fn quotient(numerator: i128, denominator: i128, scale: u8) -> Result<Self> {
        // Dividing 64 bits takes a fraction of the time of 128.
        let divide = |numerator: i128| match (i64::try_from(numerator), i64::try_from(denominator)) {
            (Ok(numerator), Ok(denominator)) => ((numerator / denominator).into(), (numerator % denominator).into()),
            _ => (numerator / denominator, numerator % denominator),
        };
        // What does not fit at once is divided digit by digit, as on paper.
        let (shifted, digits) = match numerator.checked_mul(power_of_ten(scale)) {
            Some(shifted) => (shifted, 0),
            None => (numerator, scale),
        };
        let (mut quotient, mut rest): (i128, i128) = divide(shifted);
        for _ in 0..digits {
            let (digit, left) = divide(rest.checked_mul(10).ok_or_else(amount_out_of_range)?);
            let shifted = quotient.checked_mul(10).ok_or_else(amount_out_of_range)?;
            quotient = shifted.checked_add(digit).ok_or_else(amount_out_of_range)?;
            rest = left;
        }
        let away = if rest.unsigned_abs() >= denominator.unsigned_abs() - rest.unsigned_abs() {
            numerator.signum()
        } else {
            0
        };
        let mantissa = quotient.checked_add(away).ok_or_else(amount_out_of_range)?;
        Ok(Decimal { mantissa, scale })
    }

    /// Reads plain or scientific notation: `-12.50`, `1e3`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`] when it is no number, [`ErrorKind::NumberOutOfRange`] when it does not fit.
    pub fn parse(text: &str) -> Result<Self> {
        let no_number = || Error::new(ErrorKind::InvalidText, format!("not a decimal number: {}", shown(text)));
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().map_err(|_| no_number())?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, digits),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut mantissa = 0i128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return Err(no_number());
            }
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|m| m.checked_add(i128::from(byte - b'0')))
                .ok_or_else(amount_out_of_range)?;
        }
        if whole.is_empty() || (digits.contains('.') && fraction.is_empty()) {
            return Err(no_number());
        }
        if negative {
            mantissa = -mantissa;
        }
        let scale = i64::try_from(fraction.len()).unwrap_or(i64::MAX).saturating_sub(i64::from(exponent));
        match scale {
            0..=20 => Ok(Decimal { mantissa, scale: scale as u8 }),
            21.. => Err(too_many_decimals(scale)),
            -38..0 => mantissa
                .checked_mul(power_of_ten(-scale as u8))
                .map(|mantissa| Decimal { mantissa, scale: 0 })
                .ok_or_else(amount_out_of_range),
            _ => Err(amount_out_of_range()),
        }
    }

    /// The largest integer that is not larger, if it fits 64 bits.
    pub fn floor(self) -> Option<i64> {
        // Most are whole already, and a division of 128 bits takes its time.
        let whole = if self.scale == 0 { self.mantissa } else { self.parts().0 };
        i64::try_from(whole).ok()
    }

    /// The same number with as few decimals as it needs.
    pub fn normalized(mut self) -> Self {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    /// Whole part, rounded down, and the rest in units of `10^-MAX_SCALE`.
    fn parts(self) -> (i128, i128) {
        let unit = power_of_ten(self.scale);
        (self.mantissa.div_euclid(unit), self.mantissa.rem_euclid(unit) * power_of_ten(MAX_SCALE - self.scale))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        let mantissa = |value: &Decimal| with_decimals(value.mantissa, scale - value.scale);
        match (mantissa(self), mantissa(other)) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => self.parts().cmp(&other.parts()), // the same with divisions, which are slow but never overflow
        }
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Decimal { mantissa: i128::from(value), scale: 0 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs();
        if self.scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let unit = power_of_ten(self.scale).unsigned_abs();
        write!(f, "{sign}{}.{:0width$}", digits / unit, digits % unit, width = usize::from(self.scale))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Decimal::parse(number.as_str()).map_err(D::Error::custom)
    }
}

impl Serialize for Decimal {
    /// A JSON number with all decimals, not a floating-point number.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serde_json::Number::from_string_unchecked(self.to_string()).serialize(serializer)
    }
}

/// A share, weight, ratio or score of a policy in millionths: exact, and small enough that products of a few of them
/// fit in an `i128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millionths(pub i64);

impl Millionths {
    /// How many make one.
    pub const ONE: i64 = 1_000_000;

    /// The number of millionths nearest to a decimal, half away from zero.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when it does not fit.
    pub fn rounded(number: Decimal) -> Result<Self> {
        let millionths = Decimal::quotient(number.mantissa, power_of_ten(number.scale), 6)?;
        i64::try_from(millionths.mantissa).map(Millionths).map_err(|_| amount_out_of_range())
    }

    /// As an integer number of millionths, wide enough to calculate with.
    pub fn get(self) -> i128 {
        i128::from(self.0)
    }
}

impl fmt::Display for Millionths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::new(self.get(), 6).normalized().fmt(f)
    }
}

impl<'de> Deserialize<'de> for Millionths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let number = Decimal::deserialize(deserializer)?.normalized();
        if number.scale > 6 {
            return Err(D::Error::custom(format!("{number} has more than 6 decimals")));
        }
        let value = number.mantissa.saturating_mul(power_of_ten(6 - number.scale));
        if value.saturating_abs() > i128::from(Self::ONE) * 1_000_000_000 {
            return Err(D::Error::custom(format!("{number} is beyond 1000000000")));
        }
        Ok(Millionths(value as i64))
    }
}

impl Serialize for Millionths {
    /// A JSON number with as many decimals as it needs.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        Decimal::new(self.get(), 6).normalized().serialize(serializer)
    }
}

/// The product of two numbers that are not negative, in 256 bits: the upper half, the lower half.
pub fn product(a: i128, b: i128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let ((a_high, a_low), (b_high, b_low)) = ((a as u128 >> 64, a as u128 & LOW), (b as u128 >> 64, b as u128 & LOW));
    let low = a_low * b_low;
    // A product of two 64-bit halves and one more of them fit 128 bits.
    let middle = a_high * b_low + (low >> 64);
    let (carry, middle) = (middle >> 64, (middle & LOW) + a_low * b_high);
    (a_high * b_high + carry + (middle >> 64), middle << 64 | low & LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn prints_what_it_reads() {
        for text in ["0", "-1", "29.33", "-0.05", "10.00", "99999999999999999999999999999999999999"] {
            assert_eq!(decimal(text).to_string(), text);
        }
        assert_eq!(decimal("1.5e3").to_string(), "1500");
        assert_eq!(decimal("15e-1").to_string(), "1.5");
    }

    #[test]
    fn refuses_what_is_no_number_or_does_not_fit() {
        for text in ["", "-", ".", "1.", ".5", "1e", "0x1", "NaN", "１", "1e999999999999"] {
            assert_eq!(Decimal::parse(text).unwrap_err().kind, ErrorKind::InvalidText, "{text}");
        }
        for text in
            ["1e38000", "1e39", "0.000000000000000000001", "1e-2147483648", "999999999999999999999999999999999999999"]
        {
            assert_eq!(Decimal::parse(text).unwrap_err().kind, ErrorKind::NumberOutOfRange, "{text}");
        }
    }

    #[test]
    fn is_a_json_number_to_the_last_digit() {
        for text in ["-0.10", "123456789012345678901234567890.12345678", "0.00000000000000000001"] {
            assert_eq!(serde_json::json!([decimal(text)]).to_string(), format!("[{text}]"));
        }
        assert_eq!(serde_json::json!(Millionths(2_500_000)).to_string(), "2.5");
    }

    #[test]
    fn compares_across_scales() {
        assert_eq!(decimal("1.50"), decimal("1.5"));
        assert!(decimal("-0.1") < decimal("0"));
        assert!(decimal("-1.05") < decimal("-1"));
        assert!(decimal("1e37") > decimal("0.00000000000000000001"));
        assert!(decimal("59.924") < decimal("59.93"));
    }

    #[test]
    fn quotients_round_half_away_from_zero() {
        let quotient = |n, d, s| Decimal::quotient(n, d, s).unwrap().to_string();
        assert_eq!(quotient(1, 8, 2), "0.13");
        assert_eq!(quotient(-1, 8, 2), "-0.13");
        assert_eq!(quotient(1, 3, 2), "0.33");
        assert_eq!(quotient(2, 3, 2), "0.67");
        assert_eq!(quotient(1000, 12, 2), "83.33");
        assert_eq!(quotient(0, 7, 2), "0.00");
    }

    #[test]
    fn products_have_twice_the_bits() {
        assert_eq!(product(i128::MAX, i128::MAX), (u128::MAX >> 2, 1));
        assert_eq!(product(1 << 64, 1 << 64), (1, 0));
        assert_eq!(product(3, 5), (0, 15));
    }
}
