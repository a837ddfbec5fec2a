//! Questions about one customer that a KPI counts over many: whether she came back, and what she bought when.
//!
//! A question of yes or no has a third answer, `None`: she cannot be judged, because the time given to her is not over,
//! or the question does not apply to her. Such a customer belongs in no denominator. Whether the time is over depends on
//! the calendar alone, never on what she did, so that those who were quick do not make a young cohort look good.

mod list;

pub use list::{Kpi, PURPOSES, Unit};

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{PurchaseDay, PurchaseHistory};

/// The most months after the first purchase that can be asked for: more than the calendar of a history has.
pub const MAX_MONTHS: i32 = 120_000;

/// The `nth` purchase day up to `as_of`, counted from 1.
pub(crate) fn purchase_day(h: &PurchaseHistory, nth: usize, as_of: Day) -> Option<Day> {
    let purchase_days = h.until(as_of).iter().filter(|entry| entry.is_purchase_day());
    purchase_days.map(|entry| entry.day).nth(nth.checked_sub(1)?)
}

fn at_least(name: &str, value: i32, least: i32) -> Result<usize> {
    usize::try_from(value)
        .ok()
        .filter(|_| value >= least)
        .ok_or_else(|| Error::new(ErrorKind::InvalidParameter, format!("{name} must be at least {least}, not {value}")))
}

/// Whether she has made her `nth` purchase day up to `as_of`; `None` where she has not even made the one before it, so
/// that the share of yes is the step from one purchase day to the next. `nth` 1 applies to everybody.
///
/// Somebody whose last purchase was yesterday counts as no: for cohorts of different age, ask
/// [`reached_purchase_within`].
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] when `nth` is below 1.
pub fn reached_purchase(h: &PurchaseHistory, nth: i32, as_of: Day) -> Result<Option<bool>> {
    let nth = at_least("nth", nth, 1).map_err(|error| error.hint("The first purchase day is 1, the second 2."))?;
    let applies = nth == 1 || purchase_day(h, nth - 1, as_of).is_some();
    Ok(applies.then(|| purchase_day(h, nth, as_of).is_some()))
}

/// Whether she made her `nth` purchase day at most `days` days after the one before it; `None` where she has not made
/// the one before it, or those days are not over on `as_of`, whether or not she has already bought again. `nth` 2 is
/// the second-purchase (F2) conversion.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] when `nth` is below 2 or `days` is negative.
pub fn reached_purchase_within(h: &PurchaseHistory, nth: i32, days: i32, as_of: Day) -> Result<Option<bool>> {
    let nth = at_least("nth", nth, 2)
        .map_err(|error| error.hint("The days are counted from the purchase day before it: the first has none."))?;
    let days = at_least("days", days, 0)?;
    Ok(purchase_day(h, nth - 1, as_of)
        .and_then(|before| before.plus(days as i64))
        .filter(|&deadline| deadline <= as_of)
        .map(|deadline| purchase_day(h, nth, deadline).is_some()))
}

/// Whether she bought in the calendar month that is `months` months after the month of her first purchase; `None` for a
/// prospect, and where that month is not over on `as_of` (it is on its last day). 0 months is yes for everybody.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] when `months` is negative or beyond [`MAX_MONTHS`].
pub fn retained_in_month(h: &PurchaseHistory, months: i32, as_of: Day) -> Result<Option<bool>> {
    let months = u32::try_from(months).ok().filter(|_| months <= MAX_MONTHS).ok_or_else(|| {
        Error::new(ErrorKind::InvalidParameter, format!("months must be from 0 to {MAX_MONTHS}, not {months}"))
            .hint("0 is the month of the first purchase, 1 the calendar month after it.")
    })?;
    let month = purchase_day(h, 1, as_of).and_then(|first| month_after(first, months));
    Ok(month.filter(|month| month.to <= as_of).map(|month| month.has_purchase(h)))
}

/// The calendar month `months` months after the one with `day`, if chrono's calendar reaches that far: it does for every
/// day of a history and up to [`MAX_MONTHS`] months.
fn month_after(day: Day, months: u32) -> Option<Period> {
    let date = day.date()?;
    let first = date.with_day(1)?.checked_add_months(Months::new(months))?;
    let last = first.checked_add_months(Months::new(1))?.checked_sub_days(Days::new(1))?;
    Some(Period { from: Day::of(first), to: Day::of(last) })
}

/// The days from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    from: Day,
    to: Day,
}

impl Period {
    /// The days from `from` to `to`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] when `from` is after `to`.
    pub fn new(from: Day, to: Day) -> Result<Self> {
        if from > to {
            return Err(Error::new(ErrorKind::InvalidParameter, format!("from_day {from} is after to_day {to}")));
        }
        Ok(Period { from, to })
    }

    fn entries(self, h: &PurchaseHistory) -> &[PurchaseDay] {
        let until = h.until(self.to);
        &until[until.partition_point(|entry| entry.day < self.from)..]
    }

    fn has_purchase(self, h: &PurchaseHistory) -> bool {
        self.entries(h).iter().any(PurchaseDay::is_purchase_day)
    }

    /// Whether she bought in these days; `None` while they are not over on `as_of`.
    pub fn bought(self, h: &PurchaseHistory, as_of: Day) -> Option<bool> {
        (self.to <= as_of).then(|| self.has_purchase(h))
    }

    /// Purchases in these days.
    pub fn orders(self, h: &PurchaseHistory) -> i64 {
        self.entries(h).iter().map(|entry| i64::from(entry.orders)).sum()
    }

    /// The sum of all amounts of these days, refunds included.
    pub fn revenue(self, h: &PurchaseHistory) -> Decimal {
        Decimal::new(self.entries(h).iter().map(|entry| entry.amount).sum(), h.scale())
    }
}

/// What happened in one calendar month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthOfPurchases {
    /// Its first day.
    pub month: Day,
    /// Calendar months since that of the first purchase; 0 is the month itself.
    pub months_after: i32,
    /// Purchases.
    pub orders: i64,
    /// The sum of all amounts, refunds included.
    pub revenue: Decimal,
}

/// The calendar months up to `as_of` in which something happened, from that of the first purchase on; none for a prospect.
pub fn purchases_by_month(h: &PurchaseHistory, as_of: Day) -> impl Iterator<Item = MonthOfPurchases> {
    // Months since the year 0, and the first day: for every day of a history chrono's calendar reaches that far.
    let month_of =
        |day: Day| day.date().map_or((0, day), |date| (date.year() * 12 + date.month0() as i32, day_1(date)));
    let until = h.until(as_of);
    let first = until.iter().find(|entry| entry.is_purchase_day()).map(|entry| month_of(entry.day));
    let from = until.partition_point(|entry| first.is_none_or(|(_, first_day)| entry.day < first_day));
    let mut months = until[from..].iter().map(move |entry| (month_of(entry.day), entry)).peekable();
    let scale = h.scale();
    std::iter::from_fn(move || {
        let ((number, month), entry) = months.next()?;
        let (mut orders, mut amount) = (i64::from(entry.orders), entry.amount);
        while let Some((_, entry)) = months.next_if(|((next, _), _)| *next == number) {
            orders += i64::from(entry.orders);
            amount += entry.amount;
        }
        let months_after = number - first?.0;
        Some(MonthOfPurchases { month, months_after, orders, revenue: Decimal::new(amount, scale) })
    })
}

/// The first day of a date's month.
fn day_1(date: NaiveDate) -> Day {
    Day::of(date - Days::new(date.day0().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::NO_PURCHASES;

    #[test]
    fn months_in_which_something_happened() {
        let h = history(&[
            ("2024-01-05", -100),
            ("2024-02-10", -7),
            ("2024-02-28", 500),
            ("2024-02-29", 250),
            ("2024-04-01", -50),
            ("2025-02-01", 1),
        ]);
        let told = |as_of| {
            let rows = purchases_by_month(&h, day(as_of));
            rows.map(|row| (row.month.to_string(), row.months_after, row.orders, row.revenue.to_string()))
                .collect::<Vec<_>>()
        };
        let row = |month: &str, after, orders, revenue: &str| (month.to_owned(), after, orders, revenue.to_owned());
        assert_eq!(told("2024-02-27"), []);
        assert_eq!(told("2024-02-28"), [row("2024-02-01", 0, 1, "4.93")]);
        assert_eq!(
            told("9999-12-31"),
            [row("2024-02-01", 0, 2, "7.43"), row("2024-04-01", 2, 0, "-0.50"), row("2025-02-01", 12, 1, "0.01")]
        );
        assert_eq!(purchases_by_month(&NO_PURCHASES, Day(0)).count(), 0);
    }

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    /// A refund where the amount is negative.
    fn history(rows: &[(&str, i128)]) -> PurchaseHistory {
        let rows = rows.iter().map(|&(on, amount)| PurchaseDay::of_row(day(on), Some(amount), None));
        PurchaseHistory::new(2, rows.collect()).unwrap()
    }

    fn shopper() -> PurchaseHistory {
        history(&[("2024-01-31", 100), ("2024-01-31", 50), ("2024-02-10", -30), ("2024-03-01", 200)])
    }

    #[test]
    fn a_step_applies_to_those_who_made_the_one_before() {
        let asked = |nth, as_of| reached_purchase(&shopper(), nth, day(as_of)).unwrap();
        assert_eq!([1, 2, 3, 4].map(|nth| asked(nth, "2024-03-01")), [Some(true), Some(true), Some(false), None]);
        assert_eq!([1, 2, 3].map(|nth| asked(nth, "2024-02-29")), [Some(true), Some(false), None]);
        assert_eq!([1, 2].map(|nth| asked(nth, "2024-01-30")), [Some(false), None]);
        assert_eq!(reached_purchase(&NO_PURCHASES, 1, Day(0)), Ok(Some(false)));
        assert_eq!(reached_purchase(&NO_PURCHASES, 2, Day(0)), Ok(None));
    }

    #[test]
    fn the_young_are_not_judged_even_when_they_were_quick() {
        let asked = |days, as_of| reached_purchase_within(&shopper(), 2, days, day(as_of)).unwrap();
        // The second purchase day is 30 days after the first.
        assert_eq!(asked(30, "2024-02-29"), None);
        assert_eq!(asked(30, "2024-03-01"), Some(true));
        assert_eq!(asked(29, "2024-02-29"), Some(false));
        assert_eq!(asked(29, "2024-12-31"), Some(false));
        assert_eq!(asked(60, "2024-03-30"), None);
        assert_eq!(asked(60, "2024-03-31"), Some(true));
        assert_eq!(asked(0, "2024-01-31"), Some(false));
        assert_eq!(asked(i32::MAX, "2024-03-31"), None);
        assert_eq!(reached_purchase_within(&shopper(), 3, 30, day("2024-03-30")), Ok(None));
        assert_eq!(reached_purchase_within(&shopper(), 3, 30, day("2024-03-31")), Ok(Some(false)));
        assert_eq!(reached_purchase_within(&NO_PURCHASES, 2, 30, Day(0)), Ok(None));
    }

    #[test]
    fn a_month_is_judged_when_it_is_over() {
        let asked = |months, as_of| retained_in_month(&shopper(), months, day(as_of)).unwrap();
        assert_eq!(asked(0, "2024-01-31"), Some(true));
        // A refund alone does not retain.
        assert_eq!(asked(1, "2024-02-28"), None);
        assert_eq!(asked(1, "2024-02-29"), Some(false));
        assert_eq!(asked(2, "2024-03-30"), None);
        assert_eq!(asked(2, "2024-03-31"), Some(true));
        assert_eq!(asked(MAX_MONTHS, "9999-12-31"), None);
        assert_eq!(retained_in_month(&NO_PURCHASES, 1, Day(0)), Ok(None));
        let last = history(&[("9999-12-31", 1)]);
        assert_eq!(retained_in_month(&last, 0, Day::MAX), Ok(Some(true)));
        assert_eq!(retained_in_month(&last, MAX_MONTHS, Day::MAX.plus(100_000_000).unwrap()), Ok(Some(false)));
    }

    #[test]
    fn a_period_includes_both_ends() {
        let period = |from, to| Period::new(day(from), day(to)).unwrap();
        let h = shopper();
        let all = period("2024-01-31", "2024-03-01");
        assert_eq!((all.orders(&h), all.revenue(&h).to_string()), (3, "3.20".to_owned()));
        let between = period("2024-02-01", "2024-02-29");
        assert_eq!((between.orders(&h), between.revenue(&h).to_string()), (0, "-0.30".to_owned()));
        assert_eq!(between.bought(&h, day("2024-02-29")), Some(false));
        assert_eq!(between.bought(&h, day("2024-02-28")), None);
        assert_eq!(period("2024-03-01", "2024-03-01").bought(&h, day("2024-03-01")), Some(true));
    }

    #[test]
    fn nonsense_is_refused() {
        let errors = [
            reached_purchase(&shopper(), 0, Day(0)).unwrap_err(),
            reached_purchase_within(&shopper(), 1, 30, Day(0)).unwrap_err(),
            reached_purchase_within(&shopper(), 2, -1, Day(0)).unwrap_err(),
            retained_in_month(&shopper(), -1, Day(0)).unwrap_err(),
            retained_in_month(&shopper(), MAX_MONTHS + 1, Day(0)).unwrap_err(),
            Period::new(Day(1), Day(0)).unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.kind == ErrorKind::InvalidParameter), "{errors:?}");
    }
}
