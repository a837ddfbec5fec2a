//! One order row in eight bytes.

use super::PurchaseDay;
use crate::day::Day;

const DAY_BITS: u32 = 20;
const AMOUNT_BITS: u32 = 42;
const KIND_BITS: u32 = 2;
const DAY_BIAS: i64 = 1 << (DAY_BITS - 1);
const AMOUNT_BIAS: i64 = 1 << (AMOUNT_BITS - 1);

const PURCHASE: u64 = 0;
const FULL_PRICE: u64 = 1;
const DISCOUNTED: u64 = 2;
const NO_PURCHASE: u64 = 3;

/// The entry of one row: day, amount and what kind of row it is, from the most to the least significant bits, so that
/// sorting the numbers sorts the days.
///
/// Half a million customers are aggregated at once; what decides the speed is how many bytes a row takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct PackedOrder(u64);

impl PackedOrder {
    /// Packs the entry of one row; `None` when the day is more than 1,435 years from 2000 or the amount has 42 bits or
    /// more, and the row must be kept as it is.
    pub fn new(row: PurchaseDay) -> Option<Self> {
        let day = i64::from(row.day.0) + DAY_BIAS;
        let amount = i64::try_from(row.amount).ok()?.checked_add(AMOUNT_BIAS)?;
        if day >> DAY_BITS != 0 || amount >> AMOUNT_BITS != 0 {
            return None;
        }
        let kind = match (row.orders, row.full_price, row.discounted) {
            (0, ..) => NO_PURCHASE,
            (_, 0, 0) => PURCHASE,
            (_, _, 0) => FULL_PRICE,
            _ => DISCOUNTED,
        };
        Some(PackedOrder((day as u64) << (AMOUNT_BITS + KIND_BITS) | (amount as u64) << KIND_BITS | kind))
    }

    /// The same row with an amount in units of the decimal `to` instead of `from` (`to >= from`); `None` where it does not
    /// fit.
    pub fn rescaled(self, from: u8, to: u8) -> Option<Self> {
        let amount = self.amount().checked_mul(10i64.checked_pow(u32::from(to - from))?)?;
        Self::new(PurchaseDay { amount: amount.into(), ..self.unpack() })
    }

    fn day(self) -> Day {
        Day(((self.0 >> (AMOUNT_BITS + KIND_BITS)) as i64 - DAY_BIAS) as i32)
    }

    fn amount(self) -> i64 {
        ((self.0 >> KIND_BITS) & ((1 << AMOUNT_BITS) - 1)) as i64 - AMOUNT_BIAS
    }

    /// The entry again.
    pub fn unpack(self) -> PurchaseDay {
        let kind = self.0 & ((1 << KIND_BITS) - 1);
        PurchaseDay {
            day: self.day(),
            orders: u32::from(kind != NO_PURCHASE),
            discounted: u32::from(kind == DISCOUNTED),
            full_price: u32::from(kind == FULL_PRICE),
            amount: self.amount().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_what_it_packs_and_refuses_the_rest() {
        for day in [-524_288, -1, 0, 9_000, 524_287] {
            for amount in [-(1i128 << 41), -1, 0, 2933, (1 << 41) - 1] {
                let order = |discounted| PurchaseDay::of_row(Day(day), Some(amount), discounted);
                let correction = PurchaseDay::of_correction(Day(day), Some(amount));
                for row in [order(None), order(Some(false)), order(Some(true)), correction] {
                    assert_eq!(PackedOrder::new(row).unwrap().unpack(), row);
                }
            }
        }
        let packed = |day, amount| PackedOrder::new(PurchaseDay::of_row(Day(day), Some(amount), None));
        assert_eq!(packed(524_288, 0), None);
        assert_eq!(packed(-524_289, 0), None);
        assert_eq!(packed(0, 1 << 41), None);
        assert_eq!(packed(0, -(1 << 41) - 1), None);
        assert_eq!(packed(0, i128::MAX), None);
    }

    #[test]
    fn sorts_by_day() {
        let early = PackedOrder::new(PurchaseDay::of_row(Day(-1), Some(100), Some(true))).unwrap();
        let late = PackedOrder::new(PurchaseDay::of_row(Day(0), Some(-100), None)).unwrap();
        assert!(early < late);
    }
}
