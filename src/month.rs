//! One customer's calendar months: what she bought in each, and in which state she was before and after it.

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::customer::{Customer, asked_when_due};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::history::PurchaseHistory;
use crate::kpi::{Period, purchase_day};
use crate::lifecycle::LifecycleState;

/// The most months before that of `as_of` that can be asked for: a century.
pub const MAX_MONTHS_BEFORE: i32 = 1200;

/// What one customer did in a calendar month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerMonth {
    /// Its first day.
    pub month: Day,
    /// Its last day, or the day that is asked for while it is not over.
    pub to: Day,
    /// The state on the last day of the month before.
    pub state_before: LifecycleState,
    /// The state on `to`.
    pub state_after: LifecycleState,
    /// Calendar months since that of the first purchase, 0 in the month itself; `None` while she is a prospect.
    pub months_after: Option<i32>,
    /// Purchases up to `to`.
    pub orders: i64,
    /// The sum of all amounts up to `to`, refunds included.
    pub revenue: Decimal,
}

/// The calendar month of `as_of` and the `months` before it, from the first one in or before which something happened.
///
/// `customer_on` is the customer of the history `h` as known on a day.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] when `months` is negative or beyond [`MAX_MONTHS_BEFORE`],
/// [`ErrorKind::DayOutOfRange`] when `as_of` is outside the years 1 to 9999.
pub fn customer_months<'a>(
    h: &PurchaseHistory,
    months: i32,
    as_of: Day,
    customer_on: impl FnMut(Day) -> Customer<'a>,
) -> Result<impl Iterator<Item = CustomerMonth>> {
    let months = u32::try_from(months).ok().filter(|_| months <= MAX_MONTHS_BEFORE).ok_or_else(|| {
        Error::new(ErrorKind::InvalidParameter, format!("months must be from 0 to {MAX_MONTHS_BEFORE}, not {months}"))
            .hint("0 is the month of as_of alone.")
    })?;
    let this_month = as_of.checked()?.date().and_then(|date| date.with_day(1));
    let began = h.days().first().map(|entry| entry.day);
    let spans = (0..=months).rev().filter_map(move |back| {
        let first = this_month?.checked_sub_months(Months::new(back))?;
        let last = first.checked_add_months(Months::new(1))?.checked_sub_days(Days::new(1))?;
        Some((first, Day::of(last).min(as_of)))
    });
    let mut known = None;
    let mut state_on = asked_when_due(customer_on, Customer::lifecycle_state);
    Ok(spans.filter(move |&(_, to)| began.is_some_and(|began| began <= to)).filter_map(move |(first, to)| {
        let month = Day::of(first);
        let state_before = known.unwrap_or_else(|| state_on(month.plus(-1).unwrap_or(month)));
        let state_after = state_on(to);
        known = Some(state_after);
        let bought = purchase_day(h, 1, to).and_then(Day::date);
        let period = Period::new(month, to).ok()?;
        Some(CustomerMonth {
            month,
            to,
            state_before,
            state_after,
            months_after: bought.map(|bought| months_between(bought, first)),
            orders: period.orders(h),
            revenue: period.revenue(h),
        })
    }))
}

/// Calendar months from that of one day to that of another.
fn months_between(from: NaiveDate, to: NaiveDate) -> i32 {
    (to.year() - from.year()) * 12 + to.month0() as i32 - from.month0() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{NO_PURCHASES, PurchaseDay};
    use crate::policy::Document;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn told(h: &PurchaseHistory, months: i32, as_of: &str) -> Vec<String> {
        let document = Document::empty();
        let policy = document.policy().unwrap();
        let rows =
            customer_months(h, months, day(as_of), |day| Customer::new(Some(h), day, policy, None, None)).unwrap();
        rows.map(|m| {
            let (before, after) = (m.state_before.name(), m.state_after.name());
            let months_after = m.months_after.map_or("-".to_owned(), |months| months.to_string());
            format!("{}..{} {before}>{after} {months_after} {} {}", m.month, m.to, m.orders, m.revenue)
        })
        .collect()
    }

    #[test]
    fn month_by_month_up_to_the_day() {
        let rows =
            [("2024-01-20", -5), ("2024-02-29", 100), ("2024-03-01", 20), ("2024-06-15", 7), ("2024-06-16", 900)];
        let rows = rows.map(|(on, amount)| PurchaseDay::of_row(day(on), Some(amount), None));
        let h = PurchaseHistory::new(0, rows.to_vec()).unwrap();
        assert_eq!(
            told(&h, 12, "2024-06-15"),
            [
                "2024-01-01..2024-01-31 prospect>prospect - 0 -5",
                "2024-02-01..2024-02-29 prospect>new 0 1 100",
                "2024-03-01..2024-03-31 new>new 1 1 20",
                "2024-04-01..2024-04-30 new>at_risk 2 0 0",
                "2024-05-01..2024-05-31 at_risk>dormant 3 0 0",
                "2024-06-01..2024-06-15 dormant>winback 4 1 7",
            ]
        );
        assert_eq!(told(&h, 0, "2024-06-30").len(), 1);
        assert_eq!(told(&h, 0, "2023-12-31").len(), 0);
        assert_eq!(told(&NO_PURCHASES, 12, "2024-06-15").len(), 0);
        let far = PurchaseHistory::new(0, vec![PurchaseDay::of_row(day("9999-12-31"), Some(1), None)]).unwrap();
        assert_eq!(told(&far, 1, "9999-12-31"), ["9999-12-01..9999-12-31 prospect>new 0 1 1"]);
    }

    #[test]
    fn the_first_months_of_the_calendar() {
        let early = PurchaseHistory::new(0, vec![PurchaseDay::of_row(Day::MIN, Some(1), None)]).unwrap();
        assert_eq!(told(&early, MAX_MONTHS_BEFORE, "0001-01-01"), ["0001-01-01..0001-01-01 prospect>new 0 1 1"]);
    }

    #[test]
    fn nonsense_is_refused() {
        let document = Document::empty();
        let policy = document.policy().unwrap();
        let asked = |months, as_of| {
            let customer_on = |day| Customer::new(None, day, policy, None, None);
            customer_months(&NO_PURCHASES, months, as_of, customer_on).err().map(|error| error.kind)
        };
        assert_eq!(asked(-1, Day(0)), Some(ErrorKind::InvalidParameter));
        assert_eq!(asked(MAX_MONTHS_BEFORE + 1, Day(0)), Some(ErrorKind::InvalidParameter));
        assert_eq!(asked(1, Day::LAST), Some(ErrorKind::DayOutOfRange));
    }
}
