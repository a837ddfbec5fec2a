//! Cohorts: the customers of a month of first purchase, and what they do in the months after it.

use chrono::{Months, NaiveDate};

use crate::bytes::{Reader, put_signed, put_unsigned};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::Result;
use crate::history::PurchaseHistory;
use crate::kpi::purchases_by_month;
use crate::tally::{Tally, add_count, add_revenue, revenue_at};

/// So many months after that of the first purchase are told: a year.
pub const LAST_MONTH: u32 = 12;

/// Customers counted together by the month of their first purchase and a month after it. Packed, to be kept in the state of
/// an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(8))]
pub struct CohortCount {
    key: CohortKey,
    customers: i64,
    revenue: i128,
}

/// The first day of the month of the first purchase, and how many months after it they bought; `None` counts all customers of
/// the cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct CohortKey {
    first_month: Day,
    months_after: Option<u32>,
}

impl CohortCount {
    /// What a customer adds: herself to her cohort, and the months up to `as_of` in which something happened and that end after
    /// the day `ending_after`. Nothing as long as she is a prospect. Revenues are in units of the last decimal of the history.
    pub fn of(h: &PurchaseHistory, as_of: Day, ending_after: Option<Day>) -> impl Iterator<Item = CohortCount> {
        let mut months = purchases_by_month(h, as_of).peekable();
        let first_month = months.peek().map(|first| first.month);
        let months = months.take_while(|month| month.months_after <= LAST_MONTH as i32);
        let months = months.filter(move |month| ends_after(month.month, 0, ending_after));
        let count = move |months_after, customers, revenue| {
            Some(CohortCount { key: CohortKey { first_month: first_month?, months_after }, customers, revenue })
        };
        let months = months.map(move |month| {
            count(Some(month.months_after as u32), (month.orders > 0).into(), month.revenue.mantissa())
        });
        std::iter::once(count(None, 1, 0)).chain(months).flatten()
    }
}

impl Tally for CohortCount {
    type Key = CohortKey;

    fn key(&self) -> CohortKey {
        self.key
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        self.customers = add_count(self.customers, other.customers)?;
        self.revenue = add_revenue(self.revenue, other.revenue)?;
        Ok(())
    }

    fn at_scale(mut self, scale: u8, new_scale: u8) -> Result<Self> {
        self.revenue = revenue_at(self.revenue, scale, new_scale)?;
        Ok(self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let CohortKey { first_month, months_after } = self.key;
        out.extend(first_month.0.to_ne_bytes());
        put_unsigned(out, months_after.map_or(0, |months| u128::from(months) + 1));
        put_unsigned(out, self.customers as u128);
        put_signed(out, self.revenue);
    }

    fn read(reader: &mut Reader) -> Result<Self> {
        let first_month = Day(i32::from_ne_bytes(reader.array()?));
        let months_after = reader.unsigned::<u32>()?.checked_sub(1);
        let key = CohortKey { first_month, months_after };
        Ok(CohortCount { key, customers: reader.unsigned()?, revenue: reader.signed()? })
    }
}

/// What the customers of a cohort did in one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CohortMonth {
    /// The first day of the month of the first purchase.
    pub first_month: Day,
    /// Calendar months after it; 0 is the month itself.
    pub months_after: u32,
    /// Customers of the cohort.
    pub customers: i64,
    /// How many of them bought in the month.
    pub active_customers: i64,
    /// The sum of all their amounts in the month, refunds included.
    pub revenue: Decimal,
}

/// The months of each cohort, from that of the first purchase to the twelfth after it, which are over on `as_of` and end
/// after `ending_after`; `counts` are counted together.
pub fn cohort_months(
    counts: &[CohortCount],
    scale: u8,
    as_of: Day,
    ending_after: Option<Day>,
) -> impl Iterator<Item = CohortMonth> {
    let is_of_a_cohort = |one: &CohortCount, other: &CohortCount| one.key.first_month == other.key.first_month;
    counts.chunk_by(is_of_a_cohort).flat_map(move |cohort| {
        let [all, months @ ..] = cohort else { return Vec::new() };
        let told = (0..=LAST_MONTH).filter(|&n| {
            let is_over = end_of_month(all.key.first_month, n).is_some_and(|end| end <= as_of);
            is_over && ends_after(all.key.first_month, n, ending_after)
        });
        let month = |months_after| {
            let found = months.iter().find(|month| { month.key }.months_after == Some(months_after));
            CohortMonth {
                first_month: { all.key }.first_month,
                months_after,
                customers: all.customers,
                active_customers: found.map_or(0, |month| month.customers),
                revenue: Decimal::new(found.map_or(0, |month| month.revenue), scale),
            }
        };
        told.map(month).collect()
    })
}

/// The last day of the month that is so many months after the one that begins on a day, if the calendar has it.
fn end_of_month(first_day: Day, months_after: u32) -> Option<Day> {
    let next: NaiveDate = first_day.date()?.checked_add_months(Months::new(months_after + 1))?;
    Day::of(next).plus(-1)
}

/// Whether that month ends after a day; where none is named, any does.
fn ends_after(first_day: Day, months_after: u32, day: Option<Day>) -> bool {
    day.is_none_or(|day| end_of_month(first_day, months_after).is_some_and(|end| end > day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::PurchaseDay;
    use crate::tally::count_together;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn told(
        histories: &[&[(&str, i128)]],
        as_of: &str,
        ending_after: Option<&str>,
    ) -> Vec<(String, u32, i64, i64, String)> {
        let mut counts = Vec::new();
        for rows in histories {
            let rows = rows.iter().map(|&(on, amount)| PurchaseDay::of_row(day(on), Some(amount), None));
            let h = PurchaseHistory::new(0, rows.collect()).unwrap();
            counts.extend(CohortCount::of(&h, day(as_of), ending_after.map(day)));
        }
        let kept = count_together(&mut counts).unwrap();
        cohort_months(&counts[..kept], 0, day(as_of), ending_after.map(day))
            .map(|m| {
                (m.first_month.to_string(), m.months_after, m.customers, m.active_customers, m.revenue.to_string())
            })
            .collect()
    }

    #[test]
    fn months_that_are_over() {
        let histories: [&[(&str, i128)]; 4] = [
            &[("2024-01-05", 100), ("2024-01-20", 10), ("2024-03-01", -7)],
            &[("2024-01-31", 5), ("2024-02-29", 6)],
            &[("2024-01-02", -3)],
            &[("2024-03-31", 1)],
        ];
        let row = |month: &str, n, customers, active, revenue: &str| {
            (month.to_owned(), n, customers, active, revenue.to_owned())
        };
        let until_march = [
            row("2024-01-01", 0, 2, 2, "115"),
            row("2024-01-01", 1, 2, 1, "6"),
            row("2024-01-01", 2, 2, 0, "-7"),
            row("2024-03-01", 0, 1, 1, "1"),
        ];
        assert_eq!(told(&histories, "2024-03-31", None), until_march);
        assert_eq!(told(&histories, "2024-03-30", None), until_march[..2]);
        assert_eq!(told(&histories, "2024-03-31", Some("2024-02-29")), until_march[2..]);
        assert_eq!(told(&histories, "2024-03-31", Some("2024-02-28")), until_march[1..]);
        assert_eq!(told(&histories, "2034-03-31", None).len(), 26);
    }
}
