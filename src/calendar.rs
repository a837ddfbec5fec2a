//! Regular days on the calendar: every week, every month.

use chrono::{Days, Months, NaiveDate};

use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};

/// The most days that one series may have.
pub const MAX_STEPS: usize = 100_000;

/// A step of whole months and days, forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    months: u32,
    days: u32,
}

impl Step {
    /// A step of months, days and microseconds, as a PostgreSQL interval has them.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] unless it is at least a day forward, in whole days.
    pub fn new(months: i32, days: i32, micros: i64) -> Result<Self> {
        match (u32::try_from(months), u32::try_from(days)) {
            (Ok(months), Ok(days)) if micros == 0 && (months, days) != (0, 0) => Ok(Step { months, days }),
            _ => Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("invalid step: {months} months, {days} days, {micros} microseconds"),
            )
            .hint("A step is at least one day, in whole days and months, for example interval '1 month'.")),
        }
    }

    /// Its months and days.
    pub fn parts(self) -> (u32, u32) {
        (self.months, self.days)
    }

    /// The day so many steps after another one, if the calendar has it.
    pub fn times(self, from: Day, n: u32) -> Option<Day> {
        self.times_from(from.date()?, n)
    }

    fn times_from(self, from: NaiveDate, n: u32) -> Option<Day> {
        let months = from.checked_add_months(Months::new(self.months.checked_mul(n)?))?;
        let date: NaiveDate = months.checked_add_days(Days::new(u64::from(self.days) * u64::from(n)))?;
        Some(Day::of(date))
    }
}

/// The days `from`, `from + step`, `from + 2 * step`, ... up to `to`; a month after the 31st is the last day of a shorter
/// month, counted from `from` each time, so that the 31st comes back.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] when `from` is after `to`, [`ErrorKind::DayOutOfRange`] when either is outside the years
/// 1 to 9999, [`ErrorKind::LimitExceeded`] beyond [`MAX_STEPS`] days.
pub fn days_between(from: Day, to: Day, step: Step) -> Result<impl Iterator<Item = Day>> {
    if from > to {
        return Err(Error::new(ErrorKind::InvalidParameter, format!("from_day {from} is after to_day {to}"))
            .hint("Both days are included; give the earlier one first."));
    }
    from.checked()?;
    to.checked()?;
    let first = from.date();
    let days = (0..).map_while(move |n| step.times_from(first?, n).filter(|&day| day <= to));
    // Counted only where it can matter: no month is shorter than 28 days.
    let shortest = i64::from(step.months) * 28 + i64::from(step.days);
    if to.days_since(from) / shortest >= MAX_STEPS as i64 && days.clone().take(MAX_STEPS + 1).count() > MAX_STEPS {
        return Err(Error::new(ErrorKind::LimitExceeded, format!("more than {MAX_STEPS} steps from {from} to {to}"))
            .hint("Take a longer step or fewer days."));
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(from: &str, to: &str, months: i32, days: i32) -> Vec<String> {
        let step = Step::new(months, days, 0).unwrap();
        let days = days_between(Day::parse(from).unwrap(), Day::parse(to).unwrap(), step).unwrap();
        days.map(|day| day.to_string()).collect()
    }

    #[test]
    fn months_end_where_they_end() {
        assert_eq!(days("2024-01-31", "2024-05-01", 1, 0), ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]);
        assert_eq!(days("2024-01-01", "2024-01-15", 0, 7), ["2024-01-01", "2024-01-08", "2024-01-15"]);
        assert_eq!(days("2024-01-01", "2024-01-01", 1_000_000, 0), ["2024-01-01"]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Step::new(0, 0, 0).is_err());
        assert!(Step::new(0, -1, 0).is_err());
        assert!(Step::new(0, 1, 1).is_err());
        let step = Step::new(0, 1, 0).unwrap();
        assert!(days_between(Day(1), Day(0), step).is_err());
        assert_eq!(days_between(Day::MIN, Day::MAX, step).err().unwrap().kind, ErrorKind::LimitExceeded);
    }
}
