//! Rows of many customers that are alike, counted together with their revenue.

use std::hash::Hash;

use crate::bytes::Reader;
use crate::decimal::{Decimal, amount_out_of_range};
use crate::error::Result;

/// Sums of rows that are alike. Revenues are in units of `10^-scale`, a scale that all have that are counted together.
pub trait Tally: Copy {
    /// In what rows are alike, in the order in which they are told.
    type Key: Ord + Hash;

    /// In what its rows are alike.
    fn key(&self) -> Self::Key;

    /// Adds the sums of rows that are like these.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`](crate::error::ErrorKind::NumberOutOfRange) where a sum does not fit.
    fn add(&mut self, other: &Self) -> Result<()>;

    /// The same with revenues in units of another scale, which must not be lower.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    fn at_scale(self, scale: u8, new_scale: u8) -> Result<Self>;

    /// Appends it to a serialized state.
    fn write(&self, out: &mut Vec<u8>);

    /// The next one of a serialized state.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`](crate::error::ErrorKind::InvalidBinary) where there is none.
    fn read(reader: &mut Reader) -> Result<Self>;
}

/// Counts what is alike together, in the order of the keys; returns how many are left, at the front.
///
/// # Errors
/// [`ErrorKind::NumberOutOfRange`](crate::error::ErrorKind::NumberOutOfRange) where a sum does not fit.
pub fn count_together<T: Tally>(tallies: &mut [T]) -> Result<usize> {
    tallies.sort_unstable_by_key(|tally| tally.key());
    let mut kept = 0;
    for next in 0..tallies.len() {
        let tally = tallies[next];
        if kept > 0 && tallies[kept - 1].key() == tally.key() {
            tallies[kept - 1].add(&tally)?;
        } else {
            tallies[kept] = tally;
            kept += 1;
        }
    }
    Ok(kept)
}

/// The sum of two revenues in the same unit.
pub(crate) fn add_revenue(sum: i128, revenue: i128) -> Result<i128> {
    sum.checked_add(revenue).ok_or_else(amount_out_of_range)
}

/// The sum of two numbers of customers.
pub(crate) fn add_count(sum: i64, count: i64) -> Result<i64> {
    sum.checked_add(count).ok_or_else(amount_out_of_range)
}

/// A revenue in units of another scale, which must not be lower.
pub(crate) fn revenue_at(revenue: i128, scale: u8, new_scale: u8) -> Result<i128> {
    Decimal::new(revenue, scale).mantissa_at(new_scale)
}
