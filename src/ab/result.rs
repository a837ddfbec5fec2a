//! What came of one group: exact sums, in any order of rows, from which rates and intervals follow.

use ethnum::U256;

use crate::aggregate_state::AggregateState;
use crate::decimal::{Decimal, MAX_SCALE, amount_out_of_range, power_of_ten};
use crate::error::{Error, ErrorKind, Result};
use crate::history::average_order_value;
use crate::proportion::Proportion;

/// Customers of one group, how many responded, and their revenue with its squares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupResult {
    customers: i64,
    responders: i64,
    /// In `10^-scale`.
    revenue: i128,
    /// In `10^-2 scale`.
    squares: U256,
    scale: u8,
}

impl GroupResult {
    /// A group without customers.
    pub const EMPTY: GroupResult =
        GroupResult { customers: 0, responders: 0, revenue: 0, squares: U256::ZERO, scale: 0 };

    /// Length of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = AggregateState::HEAD + 8 + 8 + 16 + 32 + 1;

    /// A group from its numbers, the sum of the squares as text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] when no customers can have such numbers, [`ErrorKind::NumberOutOfRange`] when they
    /// are too large to calculate with.
    pub fn new(customers: i64, responders: i64, revenue: Decimal, squares: &str) -> Result<Self> {
        Proportion::new(responders, customers)?;
        let (revenue, scale) = (revenue.mantissa(), revenue.scale());
        let squares = read_squares(squares, scale).ok_or_else(|| impossible("revenue_squares", squares))?;
        let result = GroupResult { customers, responders, revenue, squares, scale };
        // The squares are never less than those of equal amounts.
        if result.squared_deviations()?.is_none() {
            return Err(impossible("revenue_squares", &result.revenue_squares()));
        }
        Ok(result)
    }

    /// Counts a customer; an unknown amount is none.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when a sum does not fit.
    pub fn add(&mut self, responded: bool, amount: Option<Decimal>) -> Result<()> {
        let amount = amount.unwrap_or(Decimal::ZERO);
        let one = U256::from(amount.mantissa().unsigned_abs());
        self.merge(GroupResult {
            customers: 1,
            responders: responded.into(),
            revenue: amount.mantissa(),
            squares: one * one,
            scale: amount.scale(),
        })
    }

    /// Counts the customers of another result of the same group.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when a sum does not fit.
    pub fn merge(&mut self, other: GroupResult) -> Result<()> {
        let scale = self.scale.max(other.scale);
        *self = self
            .at_scale(scale)
            .zip(other.at_scale(scale))
            .and_then(|(a, b)| a.plus(b))
            .ok_or_else(amount_out_of_range)?;
        Ok(())
    }

    fn plus(self, other: GroupResult) -> Option<Self> {
        Some(GroupResult {
            customers: self.customers.checked_add(other.customers)?,
            responders: self.responders.checked_add(other.responders)?,
            revenue: self.revenue.checked_add(other.revenue)?,
            squares: self.squares.checked_add(other.squares)?,
            scale: self.scale,
        })
    }

    /// The same with `scale` decimals of the revenue, not fewer than now.
    fn at_scale(self, scale: u8) -> Option<Self> {
        let factor = power_of_ten(scale - self.scale);
        let square = U256::from(factor.unsigned_abs()).checked_pow(2)?;
        Some(GroupResult {
            revenue: self.revenue.checked_mul(factor)?,
            squares: self.squares.checked_mul(square)?,
            scale,
            ..self
        })
    }

    /// How many responded, of how many.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] when there are more responders than customers, which no rows make.
    pub fn responses(&self) -> Result<Proportion> {
        Proportion::new(self.responders, self.customers)
    }

    /// Customers.
    pub fn customers(&self) -> i64 {
        self.customers
    }

    /// Sum of all amounts, to the last digit; `None` of nobody.
    pub fn revenue(&self) -> Option<Decimal> {
        (self.customers > 0).then_some(Decimal::new(self.revenue, self.scale))
    }

    /// Revenue by customers, responders or not, rounded to 6 decimals; `None` of nobody.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when it does not fit.
    pub fn revenue_per_head(&self) -> Result<Option<Decimal>> {
        self.revenue().map(|revenue| average_order_value(revenue, self.customers)).transpose()
    }

    /// Sum of the squares of all amounts, to the last digit.
    pub fn revenue_squares(&self) -> String {
        let decimals = 2 * usize::from(self.scale);
        let digits = format!("{:0>width$}", self.squares.to_string(), width = decimals + 1);
        match digits.split_at(digits.len() - decimals) {
            (whole, "") => whole.to_owned(),
            (whole, fraction) => format!("{whole}.{fraction}"),
        }
    }

    /// `n * sum of squares - square of the sum`, in `10^-2 scale`: n times the squared deviations from the mean, exactly;
    /// `None` where it would be negative, which no amounts make.
    fn squared_deviations(&self) -> Result<Option<U256>> {
        let sum = U256::from(self.revenue.unsigned_abs());
        let customers = U256::from(self.customers.unsigned_abs());
        Ok(customers.checked_mul(self.squares).ok_or_else(amount_out_of_range)?.checked_sub(sum * sum))
    }

    /// The sample variance of a customer's revenue, by the number of customers: the variance of the mean, in squared
    /// currency units. `None` with fewer than two customers.
    pub fn variance_of_mean(&self) -> Result<Option<f64>> {
        let Some(deviations) = self.squared_deviations()?.filter(|_| self.customers > 1) else { return Ok(None) };
        let n = self.customers as f64;
        Ok(Some(deviations.as_f64() / (n * n * (n - 1.0)) / 10f64.powi(2 * i32::from(self.scale))))
    }

    /// Revenue per head beyond that of `other`, rounded once to 6 decimals; `None` where either is nobody.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when it does not fit.
    pub fn revenue_lift(&self, other: &GroupResult) -> Result<Option<Decimal>> {
        if self.customers == 0 || other.customers == 0 {
            return Ok(None);
        }
        let (own, others) = ((self.revenue, self.customers), (other.revenue, other.customers));
        // Both as fractions with one denominator: at most 127 + 2 * 63 bits, and 20 for the decimals.
        let product = |a: (i128, i64), b: (i128, i64), scale: u8| {
            ethnum::I256::from(a.0).checked_mul(b.1.into())?.checked_mul(power_of_ten(scale).into())
        };
        let scale = self.scale.max(other.scale);
        let numerator = product(own, others, scale - self.scale)
            .zip(product(others, own, scale - other.scale))
            .and_then(|(own, others)| own.checked_sub(others));
        let denominator = ethnum::I256::from(power_of_ten(scale))
            .checked_mul(own.1.into())
            .and_then(|product| product.checked_mul(others.1.into()));
        let lift = numerator
            .zip(denominator)
            .and_then(|(numerator, denominator)| rounded_quotient(numerator, denominator))
            .ok_or_else(amount_out_of_range)?;
        Ok(Some(Decimal::new(lift, 6)))
    }

    /// Revenue per head, nearly; NaN of nobody.
    pub fn mean(&self) -> f64 {
        self.revenue as f64 / self.customers as f64 / 10f64.powi(self.scale.into())
    }

    /// As bytes for another process of the same query.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [self.scale; Self::BYTES];
        let (head, body) = bytes.split_at_mut(AggregateState::HEAD);
        head.copy_from_slice(&AggregateState::AbResult.head());
        body[..8].copy_from_slice(&self.customers.to_ne_bytes());
        body[8..16].copy_from_slice(&self.responders.to_ne_bytes());
        body[16..32].copy_from_slice(&self.revenue.to_ne_bytes());
        body[32..64].copy_from_slice(&self.squares.to_ne_bytes());
        bytes
    }

    /// From [`to_bytes`](Self::to_bytes); no bytes are nobody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::EMPTY);
        }
        let bytes = AggregateState::AbResult.body(bytes)?;
        let read = || {
            let (customers, rest) = bytes.split_first_chunk()?;
            let (responders, rest) = rest.split_first_chunk()?;
            let (revenue, rest) = rest.split_first_chunk()?;
            let (squares, rest) = rest.split_first_chunk()?;
            let &[scale @ 0..=MAX_SCALE] = rest else { return None };
            Some(GroupResult {
                customers: i64::from_ne_bytes(*customers),
                responders: i64::from_ne_bytes(*responders),
                revenue: i128::from_ne_bytes(*revenue),
                squares: U256::from_ne_bytes(*squares),
                scale,
            })
        };
        read().ok_or_else(|| AggregateState::AbResult.refused())
    }
}

fn impossible(what: &str, value: &str) -> Error {
    let shown: String = value.chars().take(100).collect();
    Error::new(ErrorKind::InvalidParameter, format!("impossible ab_result: {what} {shown}"))
        .hint("Take the value that ab_result(responded, amount) returns as it is.")
}

/// A sum of squares as a number of `10^-2 scale`.
fn read_squares(text: &str, scale: u8) -> Option<U256> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let missing = (2 * u32::from(scale)).checked_sub(fraction.len() as u32)?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?;
    U256::from_str_radix(&digits, 10).ok()?.checked_mul(U256::new(10).checked_pow(missing)?)
}

/// In units of `10^-6`, rounded half away from zero; the denominator is positive.
fn rounded_quotient(numerator: ethnum::I256, denominator: ethnum::I256) -> Option<i128> {
    let shifted = numerator.checked_mul(ethnum::I256::new(1_000_000))?;
    let (quotient, rest) = (shifted / denominator, shifted % denominator);
    let away = if rest.abs() >= denominator - rest.abs() { shifted.signum() } else { ethnum::I256::ZERO };
    i128::try_from(quotient + away).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    fn result(amounts: &[&str]) -> GroupResult {
        let mut result = GroupResult::EMPTY;
        amounts.iter().for_each(|amount| result.add(true, Some(decimal(amount))).unwrap());
        result
    }

    #[test]
    fn squares_print_as_numbers_and_are_read_again() {
        for (amounts, squares) in [
            (&["0.05"][..], "0.0025"),
            (&["3"], "9"),
            (&["-1.5", "2"], "6.25"),
            (&["0.0", "0"], "0.00"),
            (&["12345678901234567890.5"], "152415787532388367514250878776253619990.25"),
        ] {
            let result = result(amounts);
            assert_eq!(result.revenue_squares(), squares);
            let (customers, revenue) = (result.customers(), result.revenue().unwrap());
            assert_eq!(GroupResult::new(customers, customers, revenue, squares).unwrap(), result);
        }
        for text in ["", ".", "-1", "1e3", "NaN", "0.12345", "9".repeat(80).as_str()] {
            assert!(GroupResult::new(1, 0, decimal("0.01"), text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_difference_is_exact_and_rounded_away_from_zero() {
        let lift =
            |own: &[&str], other: &[&str]| result(own).revenue_lift(&result(other)).unwrap().unwrap().to_string();
        assert_eq!(lift(&["0.000001", "0"], &["0"]), "0.000001");
        assert_eq!(lift(&["0"], &["0.000001", "0"]), "-0.000001");
        assert_eq!(lift(&["1", "0", "0"], &["0"]), "0.333333");
        assert_eq!(lift(&["0", "0", "0"], &["2", "0", "0"]), "-0.666667");
        assert_eq!(lift(&["0.00000000000000000001"], &["1e10"]), "-10000000000.000000");
        let nobody = GroupResult::EMPTY;
        assert_eq!(nobody.revenue_lift(&result(&["1"])), Ok(None));
        assert_eq!(
            (nobody.revenue(), nobody.revenue_per_head(), nobody.variance_of_mean()),
            (None, Ok(None), Ok(None))
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut most = result(&["99999999999999999999999999999999999999"]);
        assert_eq!(most.add(true, Some(decimal("0.1"))).unwrap_err().kind, ErrorKind::NumberOutOfRange);
        assert_eq!(most.merge(most).unwrap_err().kind, ErrorKind::NumberOutOfRange);
        let mut many = GroupResult { customers: i64::MAX, ..GroupResult::EMPTY };
        assert_eq!(many.add(false, None).unwrap_err().kind, ErrorKind::NumberOutOfRange);
        for body in [&[0u8; 64][..], &[0; 66], &[255; 65]] {
            let bytes = [&AggregateState::AbResult.head()[..], body].concat();
            assert_eq!(GroupResult::from_bytes(&bytes).unwrap_err().message, "not a state of ab_result");
            assert_eq!(GroupResult::from_bytes(body).unwrap_err().kind, ErrorKind::InvalidBinary);
        }
    }

    proptest! {
        /// Any order and any split give the same, and the same as sums of small integers.
        #[test]
        fn order_and_parts_do_not_matter(
            rows in prop::collection::vec((any::<bool>(), prop::option::of((-1_000_000i64..1_000_000, 0u8..7))), 0..40),
            split in 0usize..40,
        ) {
            let add = |result: &mut GroupResult, &(responded, amount): &(bool, Option<(i64, u8)>)| {
                result.add(responded, amount.map(|(mantissa, scale)| Decimal::new(mantissa.into(), scale))).unwrap();
            };
            let (mut all, mut one, mut other) = (GroupResult::EMPTY, GroupResult::EMPTY, GroupResult::EMPTY);
            rows.iter().for_each(|row| add(&mut all, row));
            rows.iter().rev().enumerate().for_each(|(index, row)| add(if index < split { &mut one } else { &mut other }, row));
            one.merge(GroupResult::from_bytes(&other.to_bytes()).unwrap()).unwrap();
            prop_assert_eq!(one, all);

            let scale = rows.iter().filter_map(|row| row.1).map(|(_, scale)| scale).max().unwrap_or(0);
            let units = |row: &(bool, Option<(i64, u8)>)| row.1.map_or(0, |(m, s)| i128::from(m) * power_of_ten(scale - s));
            prop_assert_eq!(all.revenue, rows.iter().map(units).sum::<i128>());
            prop_assert_eq!(all.squares, U256::from(rows.iter().map(units).map(|x| (x * x) as u128).sum::<u128>()));
            prop_assert_eq!((all.customers, all.responders), (rows.len() as i64, rows.iter().filter(|row| row.0).count() as i64));
            prop_assert!(all.squared_deviations().unwrap().is_some());
        }
    }
}
