//! One order row in eight bytes, and in words of eight bytes where it takes more.

use super::PurchaseDay;
use crate::day::Day;
use crate::memory;

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

/// The first word of a row in words: the decimals of its amount, and whether the row is packed.
const IS_PACKED: u64 = 1 << 63;

/// The words of a row that cannot be packed, after the first.
const WIDE: usize = 4;

/// Appends a row, whose amount has so many decimals, as words: two, or five where it cannot be packed.
pub fn put_row(row: PurchaseDay, scale: u8, out: &mut Vec<u64>) {
    memory::reserve(out, 1 + WIDE);
    match PackedOrder::new(row) {
        Some(order) => out.extend([u64::from(scale) | IS_PACKED, order.0]),
        None => {
            let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
            let amount = row.amount as u128;
            out.push(u64::from(scale));
            out.extend([
                pair(row.day.0 as u32, row.orders),
                pair(row.discounted, row.full_price),
                (amount >> 64) as u64,
                amount as u64,
            ]);
        }
    }
}

/// The row that begins words that [`put_row`] wrote, the decimals of its amount, and the words after it.
pub fn take_row(words: &[u64]) -> (PurchaseDay, u8, &[u64]) {
    let scale = words[0] as u8;
    if words[0] & IS_PACKED != 0 {
        return (PackedOrder(words[1]).unpack(), scale, &words[2..]);
    }
    let high = |word: u64| (word >> 32) as u32;
    let row = PurchaseDay {
        day: Day(high(words[1]) as i32),
        orders: words[1] as u32,
        discounted: high(words[2]),
        full_price: words[2] as u32,
        amount: (u128::from(words[3]) << 64 | u128::from(words[4])) as i128,
    };
    (row, scale, &words[1 + WIDE..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_words() {
        let rows = [
            PurchaseDay::of_row(Day(-3), Some(-250), None),
            PurchaseDay::of_row(Day(9000), Some(1 << 50), Some(true)),
            PurchaseDay::of_row(Day(i32::MIN), Some(i128::MIN), Some(false)),
            PurchaseDay::of_correction(Day(i32::MAX), Some(i128::MAX)),
            PurchaseDay::of_row(Day(0), None, Some(false)),
        ];
        let mut words = Vec::new();
        (0..).zip(rows).for_each(|(scale, row)| put_row(row, scale, &mut words));
        assert_eq!(words.len(), 2 + 5 + 5 + 5 + 2);
        let mut rest = &words[..];
        for (expected, row) in (0..).zip(rows) {
            let (found, scale, after) = take_row(rest);
            assert_eq!((found, scale), (row, expected));
            rest = after;
        }
        assert!(rest.is_empty());
    }

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
