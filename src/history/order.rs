//! One order row in eight bytes.

use super::PurchaseDay;
use crate::day::Day;

const DAY_BITS: u32 = 20;
const AMOUNT_BITS: u32 = 42;
const FLAG_BITS: u32 = 2;
const DAY_BIAS: i64 = 1 << (DAY_BITS - 1);
const AMOUNT_BIAS: i64 = 1 << (AMOUNT_BITS - 1);

/// One order row: day, amount and what is known of a discount, from the most to the least significant bits, so that
/// sorting the numbers sorts the days.
///
/// Half a million customers are aggregated at once; what decides the speed is how many bytes a row takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct PackedOrder(u64);

impl PackedOrder {
    /// Packs a row; `None` when the day is more than 1,435 years from 2000 or the amount has 42 bits or more, and the row
    /// must be kept as a [`PurchaseDay`].
    pub fn new(day: Day, amount: i128, discounted: Option<bool>) -> Option<Self> {
        let day = i64::from(day.0) + DAY_BIAS;
        let amount = i64::try_from(amount).ok()?.checked_add(AMOUNT_BIAS)?;
        if day >> DAY_BITS != 0 || amount >> AMOUNT_BITS != 0 {
            return None;
        }
        let flags = match discounted {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        };
        Some(PackedOrder((day as u64) << (AMOUNT_BITS + FLAG_BITS) | (amount as u64) << FLAG_BITS | flags))
    }

    /// The same row with an amount in units of the decimal `to` instead of `from` (`to >= from`); `None` where it does not
    /// fit.
    pub fn rescaled(self, from: u8, to: u8) -> Option<Self> {
        let amount = self.amount().checked_mul(10i64.checked_pow(u32::from(to - from))?)?;
        Self::new(self.day(), amount.into(), self.discounted())
    }

    fn day(self) -> Day {
        Day(((self.0 >> (AMOUNT_BITS + FLAG_BITS)) as i64 - DAY_BIAS) as i32)
    }

    fn amount(self) -> i64 {
        ((self.0 >> FLAG_BITS) & ((1 << AMOUNT_BITS) - 1)) as i64 - AMOUNT_BIAS
    }

    fn discounted(self) -> Option<bool> {
        match self.0 & 3 {
            0 => None,
            flag => Some(flag == 2),
        }
    }

    /// The row again, as the entry of a day.
    pub fn unpack(self) -> PurchaseDay {
        PurchaseDay::of_row(self.day(), Some(self.amount().into()), self.discounted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_what_it_packs_and_refuses_the_rest() {
        for day in [-524_288, -1, 0, 9_000, 524_287] {
            for amount in [-(1i128 << 41), -1, 0, 2933, (1 << 41) - 1] {
                for discounted in [None, Some(false), Some(true)] {
                    let packed = PackedOrder::new(Day(day), amount, discounted).unwrap();
                    assert_eq!(packed.unpack(), PurchaseDay::of_row(Day(day), Some(amount), discounted));
                }
            }
        }
        assert_eq!(PackedOrder::new(Day(524_288), 0, None), None);
        assert_eq!(PackedOrder::new(Day(-524_289), 0, None), None);
        assert_eq!(PackedOrder::new(Day(0), 1 << 41, None), None);
        assert_eq!(PackedOrder::new(Day(0), -(1 << 41) - 1, None), None);
        assert_eq!(PackedOrder::new(Day(0), i128::MAX, None), None);
    }

    #[test]
    fn sorts_by_day() {
        let early = PackedOrder::new(Day(-1), 100, Some(true)).unwrap();
        let late = PackedOrder::new(Day(0), -100, None).unwrap();
        assert!(early < late);
    }
}
