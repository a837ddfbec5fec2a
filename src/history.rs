//! One customer's purchase timeline by day, and what can be read off it for any day asked.
//!
//! | file | what it holds |
//! |---|---|
//! | `history.rs` | the days, merging, the facts up to a day |
//! | `history/binary.rs` | the stored form: canonical bytes |
//! | `history/text.rs` | the readable form |
//! | `history/order.rs` | one order row in eight bytes or a few words, for collecting millions of them |

mod binary;
mod order;
mod text;

pub use order::{PackedOrder, put_row, take_row};

use crate::day::Day;
use crate::decimal::{Decimal, MAX_SCALE, amount_out_of_range, power_of_ten};
use crate::error::{Error, ErrorKind, Result};
use crate::memory;

/// The most days with an entry that one history may have: more than any customer lives.
pub const MAX_DAYS: usize = 1_000_000;

/// All that happened on one day.
///
/// Packed to 8 bytes because PostgreSQL's allocator gives no more alignment than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(8))]
pub struct PurchaseDay {
    /// The calendar day.
    pub day: Day,
    /// Purchases; 0 on a day that saw only refunds and corrections.
    pub orders: u32,
    /// How many of the purchases are known to be discounted.
    pub discounted: u32,
    /// How many of the purchases are known to be at full price.
    pub full_price: u32,
    /// Sum of all amounts, refunds and corrections included, in units of the history's last decimal.
    pub amount: i128,
}

impl PurchaseDay {
    /// One order row: a purchase, or a refund where the amount is negative.
    ///
    /// `amount` is in units of the history's last decimal (`None`: counts as a purchase, adds nothing); whether a
    /// refund was discounted is ignored.
    pub fn of_row(day: Day, amount: Option<i128>, discounted: Option<bool>) -> Self {
        let amount = amount.unwrap_or(0);
        let purchase = amount >= 0;
        PurchaseDay {
            day,
            orders: u32::from(purchase),
            discounted: u32::from(purchase && discounted == Some(true)),
            full_price: u32::from(purchase && discounted == Some(false)),
            amount,
        }
    }

    /// A row that changes the amount of an earlier order and is no purchase, whatever its sign.
    ///
    /// `amount` as in [`of_row`](Self::of_row).
    pub fn of_correction(day: Day, amount: Option<i128>) -> Self {
        PurchaseDay { day, orders: 0, discounted: 0, full_price: 0, amount: amount.unwrap_or(0) }
    }

    /// A day without a purchase is there because of refunds or corrections.
    pub fn is_purchase_day(&self) -> bool {
        self.orders > 0
    }

    /// A day on which money went back and nothing was bought.
    pub fn is_refund_only(&self) -> bool {
        !self.is_purchase_day() && self.amount < 0
    }

    /// Adds what another entry says of the same day.
    fn absorb(&mut self, other: &PurchaseDay) -> Result<()> {
        let sum = |a: u32, b: u32| {
            a.checked_add(b).ok_or_else(|| {
                Error::new(ErrorKind::LimitExceeded, format!("more than {} purchases on {}", u32::MAX, other.day))
                    .hint("Is a GROUP BY customer missing?")
            })
        };
        self.orders = sum(self.orders, other.orders)?;
        self.discounted = sum(self.discounted, other.discounted)?;
        self.full_price = sum(self.full_price, other.full_price)?;
        self.amount = { self.amount }.checked_add(other.amount).ok_or_else(amount_out_of_range)?;
        Ok(())
    }
}

/// The error for more days than [`MAX_DAYS`].
pub fn too_many_days() -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("a purchase history holds at most {MAX_DAYS} days"))
        .hint("Is a GROUP BY customer missing?")
}

/// Sorts entries by day and merges those of one day, in place; returns how many remain at the front.
///
/// # Errors
/// [`ErrorKind::NumberOutOfRange`] or [`ErrorKind::LimitExceeded`] when a day's sum or count does not fit.
pub fn merge_days(days: &mut [PurchaseDay]) -> Result<usize> {
    if !days.is_sorted_by_key(|entry| entry.day) {
        memory::sort(days, |a, b| { a.day }.cmp(&{ b.day }));
    }
    let mut kept = 0;
    for next in 0..days.len() {
        let entry = days[next];
        if next > 0 && days[kept - 1].day == entry.day {
            days[kept - 1].absorb(&entry)?;
        } else {
            days[kept] = entry;
            kept += 1;
        }
    }
    Ok(kept)
}

/// Multiplies the amounts of `days` so that they count in units of the decimal `to` instead of `from` (`to >= from`).
///
/// # Errors
/// [`ErrorKind::NumberOutOfRange`] when an amount does not fit.
pub fn rescale_days(days: &mut [PurchaseDay], from: u8, to: u8) -> Result<()> {
    let factor = power_of_ten(to - from);
    for entry in days {
        entry.amount = { entry.amount }.checked_mul(factor).ok_or_else(amount_out_of_range)?;
    }
    Ok(())
}

/// One customer's whole purchase timeline.
///
/// The entries are in order of day, one a day, and every sum of their amounts fits: what comes from outside is checked
/// on the way in, and nothing after that can overflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurchaseHistory {
    scale: u8,
    days: Vec<PurchaseDay>,
}

/// The history of somebody who has not bought yet.
pub static NO_PURCHASES: PurchaseHistory = PurchaseHistory { scale: 0, days: Vec::new() };

impl PurchaseHistory {
    /// A history from entries in any order, several of one day allowed, with amounts of `scale` decimals.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when the amounts do not fit, [`ErrorKind::LimitExceeded`] beyond [`MAX_DAYS`]
    /// days or four billion purchases on one.
    pub fn new(scale: u8, mut days: Vec<PurchaseDay>) -> Result<Self> {
        let kept = merge_days(&mut days)?;
        days.truncate(kept);
        Self::from_merged(scale, days)
    }

    /// As [`new`](Self::new), for entries that are in order already, one a day.
    fn from_merged(scale: u8, days: Vec<PurchaseDay>) -> Result<Self> {
        debug_assert!(scale <= MAX_SCALE);
        if days.len() > MAX_DAYS {
            return Err(too_many_days());
        }
        days.iter()
            .try_fold(0i128, |sum, entry| sum.checked_add({ entry.amount }.checked_abs()?))
            .ok_or_else(amount_out_of_range)?;
        Ok(PurchaseHistory { scale, days })
    }

    /// The number of decimals of its money: as many as the most precise amount had.
    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// All entries, oldest first.
    pub fn days(&self) -> &[PurchaseDay] {
        &self.days
    }

    /// The entries up to `as_of`, that day included.
    pub fn until(&self, as_of: Day) -> &[PurchaseDay] {
        &self.days[..self.days.partition_point(|entry| entry.day <= as_of)]
    }

    /// The first day after `day` that has an entry.
    pub fn first_after(&self, day: Day) -> Option<Day> {
        self.days.get(self.until(day).len()).map(|entry| entry.day)
    }

    /// Both histories in one; what overlaps counts twice.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn merge(mut self, mut other: PurchaseHistory) -> Result<Self> {
        let scale = self.scale.max(other.scale);
        rescale_days(&mut self.days, self.scale, scale)?;
        rescale_days(&mut other.days, other.scale, scale)?;
        memory::reserve(&mut self.days, other.days.len());
        self.days.append(&mut other.days);
        Self::new(scale, self.days)
    }

    /// The purchases up to `as_of`; `None` for a prospect.
    pub fn purchases(&self, as_of: Day) -> Option<Purchases> {
        Purchases::of(self.until(as_of))
    }

    /// The amount of the first purchase day, in units of the last decimal; 0 where there is none.
    pub fn first_amount(&self) -> i128 {
        self.days.iter().find(|entry| entry.is_purchase_day()).map_or(0, |entry| entry.amount)
    }

    /// M: the sum of all amounts up to `as_of`, refunds included.
    pub fn monetary(&self, as_of: Day) -> Decimal {
        let sum = self.until(as_of).iter().map(|entry| entry.amount).sum();
        Decimal::new(sum, self.scale)
    }

    /// The last day up to `as_of` on which there was a refund and no purchase.
    pub fn last_refund_only_on(&self, as_of: Day) -> Option<Day> {
        self.until(as_of).iter().rev().find(|entry| entry.is_refund_only()).map(|entry| entry.day)
    }

    /// Days between consecutive purchase days up to `as_of`, oldest first.
    pub fn gaps(&self, as_of: Day) -> impl Iterator<Item = i64> {
        let purchase_days = || self.until(as_of).iter().filter(|entry| entry.is_purchase_day()).map(|entry| entry.day);
        purchase_days().zip(purchase_days().skip(1)).map(|(earlier, later)| later.days_since(earlier))
    }

    /// The median gap between consecutive purchase days, as percentile_cont(0.5) defines it; `None` without a gap.
    pub fn median_gap_days(&self, as_of: Day) -> Option<Decimal> {
        let mut gaps = memory::collect(self.gaps(as_of));
        memory::sort(&mut gaps, Ord::cmp);
        let (low, high) = (gaps.get(gaps.len().checked_sub(1)? / 2)?, gaps.get(gaps.len() / 2)?);
        Some(Decimal::new(i128::from(low + high) * 5, 1).normalized())
    }
}

/// The facts of a customer who has bought, up to some day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchases {
    /// Number of purchases.
    pub orders: i64,
    /// Number of days with a purchase.
    pub purchase_days: i32,
    /// First purchase day.
    pub first: Day,
    /// Last purchase day.
    pub last: Day,
    /// Second-to-last purchase day.
    pub previous: Option<Day>,
    /// Purchases known to be discounted.
    pub discounted: i64,
    /// Purchases known to be discounted or at full price.
    pub discount_known: i64,
    /// Amount of the last purchase day, in units of the history's last decimal.
    pub last_amount: i128,
    /// Amount of all purchase days before the last one, in the same units.
    pub earlier_amount: i128,
}

impl Purchases {
    fn of(days: &[PurchaseDay]) -> Option<Self> {
        let mut purchases = None;
        for entry in days.iter().filter(|entry| entry.is_purchase_day()) {
            Self::count(&mut purchases, entry);
        }
        purchases
    }

    /// Counts one more purchase day, which comes after all those that are counted.
    pub fn count(purchases: &mut Option<Self>, entry: &PurchaseDay) {
        match purchases {
            Some(purchases) => {
                purchases.previous = Some(purchases.last);
                purchases.last = entry.day;
                purchases.earlier_amount += purchases.last_amount;
                purchases.add(entry);
            }
            None => purchases.insert(Self::none_yet(entry.day)).add(entry),
        }
    }

    fn none_yet(first: Day) -> Self {
        Purchases {
            orders: 0,
            purchase_days: 0,
            first,
            last: first,
            previous: None,
            discounted: 0,
            discount_known: 0,
            last_amount: 0,
            earlier_amount: 0,
        }
    }

    fn add(&mut self, entry: &PurchaseDay) {
        self.orders += i64::from(entry.orders);
        self.purchase_days += 1;
        self.discounted += i64::from(entry.discounted);
        self.discount_known += i64::from(entry.discounted) + i64::from(entry.full_price);
        self.last_amount = entry.amount;
    }

    /// R: days from the last purchase day to `as_of`.
    pub fn recency_days(&self, as_of: Day) -> i64 {
        as_of.days_since(self.last)
    }

    /// Days from the first to the last purchase day.
    pub fn span_days(&self) -> i64 {
        self.last.days_since(self.first)
    }

    /// Days between the last two purchase days.
    pub fn last_gap_days(&self) -> Option<i64> {
        self.previous.map(|previous| self.last.days_since(previous))
    }

    /// Days from a purchase day to the next on average, rounded to 6 decimals; `None` with one purchase day.
    pub fn mean_gap_days(&self) -> Option<Decimal> {
        let gaps = i128::from(self.purchase_days - 1);
        (gaps > 0).then(|| Decimal::quotient(i128::from(self.span_days()), gaps, 6).ok())?
    }

    /// Share 0..1 of the purchases of known discount that were discounted, rounded to 6 decimals; `None` where no
    /// discount is known.
    pub fn discount_share(&self) -> Option<Decimal> {
        let known = i128::from(self.discount_known);
        (known > 0).then(|| Decimal::quotient(i128::from(self.discounted), known, 6).ok())?
    }
}

/// `monetary / orders`, rounded to 6 decimals whatever the money has, so that a later and more precise amount changes
/// nothing; to fewer where 38 digits allow no more.
///
/// # Errors
/// [`ErrorKind::NumberOutOfRange`] when `orders` in units of the money's last decimal does not fit.
pub fn average_order_value(monetary: Decimal, orders: i64) -> Result<Decimal> {
    let denominator = power_of_ten(monetary.scale()).checked_mul(orders.into()).ok_or_else(amount_out_of_range)?;
    let rounded = |decimals| Decimal::quotient(monetary.mantissa(), denominator, decimals);
    (0..=6).rev().find_map(|decimals| rounded(decimals).ok()).ok_or_else(amount_out_of_range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: i32, amount: i128) -> PurchaseDay {
        PurchaseDay::of_row(Day(day), Some(amount), None)
    }

    fn history(rows: &[(i32, i128)]) -> PurchaseHistory {
        PurchaseHistory::new(2, rows.iter().map(|&(day, amount)| row(day, amount)).collect()).unwrap()
    }

    #[test]
    fn several_purchases_on_a_day_are_one_purchase_day() {
        let h = history(&[(10, 500), (5, 100), (10, 250)]);
        let facts = h.purchases(Day(20)).unwrap();
        assert_eq!((facts.orders, facts.purchase_days), (3, 2));
        assert_eq!((facts.first, facts.last, facts.previous), (Day(5), Day(10), Some(Day(5))));
        assert_eq!(h.monetary(Day(20)).to_string(), "8.50");
        assert_eq!(h.monetary(Day(9)).to_string(), "1.00");
    }

    #[test]
    fn a_refund_lowers_money_but_is_no_purchase() {
        let h = history(&[(5, 100), (8, -40)]);
        let facts = h.purchases(Day(9)).unwrap();
        assert_eq!((facts.orders, facts.last), (1, Day(5)));
        assert_eq!(h.monetary(Day(9)).to_string(), "0.60");
        assert_eq!(h.last_refund_only_on(Day(9)), Some(Day(8)));
        assert_eq!(h.last_refund_only_on(Day(7)), None);
        assert_eq!(history(&[(8, -40)]).purchases(Day(9)), None);
    }

    #[test]
    fn a_correction_changes_money_alone() {
        let correction = |day, amount| PurchaseDay::of_correction(Day(day), amount);
        let days = vec![row(5, 100), correction(8, Some(40)), correction(9, Some(-70)), correction(10, None)];
        let h = PurchaseHistory::new(2, days).unwrap();
        let facts = h.purchases(Day(10)).unwrap();
        assert_eq!((facts.orders, facts.purchase_days, facts.last), (1, 1, Day(5)));
        assert_eq!([5, 8, 9, 10].map(|day| h.monetary(Day(day)).to_string()), ["1.00", "1.40", "0.70", "0.70"]);
        assert_eq!([7, 8, 10].map(|day| h.last_refund_only_on(Day(day))), [None, None, Some(Day(9))]);
    }

    #[test]
    fn gaps_lie_between_purchase_days() {
        let h = history(&[(0, 1), (10, 1), (12, -1), (15, 1), (45, 1)]);
        assert_eq!(h.gaps(Day(99)).collect::<Vec<_>>(), [10, 5, 30]);
        assert_eq!(h.median_gap_days(Day(99)).unwrap().to_string(), "10");
        assert_eq!(h.median_gap_days(Day(15)).unwrap().to_string(), "7.5");
        assert_eq!(h.median_gap_days(Day(9)), None);
        assert_eq!(h.purchases(Day(99)).unwrap().mean_gap_days().unwrap().to_string(), "15.000000");
    }

    #[test]
    fn merging_rescales_and_counts_overlaps_twice() {
        let merged = history(&[(1, 150)]).merge(PurchaseHistory::new(0, vec![row(1, 2), row(3, 1)]).unwrap()).unwrap();
        assert_eq!(merged, history(&[(1, 150), (1, 200), (3, 100)]));
    }

    #[test]
    fn sums_that_do_not_fit_are_refused() {
        let huge = i128::MAX / 2 + 1;
        let refused = PurchaseHistory::new(0, vec![row(1, huge), row(2, huge)]);
        assert_eq!(refused.unwrap_err().kind, ErrorKind::NumberOutOfRange);
        let refused = PurchaseHistory::new(0, vec![row(1, huge), row(2, -huge)]);
        assert_eq!(refused.unwrap_err().kind, ErrorKind::NumberOutOfRange);
    }

    #[test]
    fn average_order_value_has_six_decimals() {
        for (monetary, average) in [("10.00", "3.333333"), ("-20", "-6.666667"), ("0.00000000000000000003", "0.000000")]
        {
            let value = average_order_value(Decimal::parse(monetary).unwrap(), 3).unwrap();
            assert_eq!(value.to_string(), average);
        }
    }
}
