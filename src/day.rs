//! Calendar days, counted like PostgreSQL's `date`: days since 2000-01-01.

use std::fmt;

use chrono::{Datelike, Days, NaiveDate};

use crate::error::{Error, ErrorKind, Result};

/// A calendar day. Which zone's calendar is decided before a day gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// 2000-01-01.
const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap();

impl Day {
    /// 0001-01-01, the first day a history can hold.
    pub const MIN: Day = Day(-730_119);
    /// 9999-12-31, the last day a history can hold.
    pub const MAX: Day = Day(2_921_939);

    /// The day itself if a history can hold it.
    ///
    /// # Errors
    /// [`ErrorKind::DayOutOfRange`] outside the years 1 to 9999.
    pub fn checked(self) -> Result<Day> {
        if (Day::MIN..=Day::MAX).contains(&self) {
            Ok(self)
        } else {
            Err(Error::new(ErrorKind::DayOutOfRange, format!("day out of range: {} days from 2000-01-01", self.0))
                .hint("A purchase or event lies in the years 1 to 9999; leave out rows with placeholder dates."))
        }
    }

    /// Days from `earlier` to this day; negative when it is later.
    pub fn days_since(self, earlier: Day) -> i64 {
        i64::from(self.0) - i64::from(earlier.0)
    }

    /// The day `days` later, if PostgreSQL's `date` can still hold it as a finite value.
    pub fn plus(self, days: i64) -> Option<Day> {
        // 5874897-12-31, the last finite date.
        const LAST: i64 = 2_145_031_948;
        let day = i64::from(self.0).checked_add(days).filter(|day| *day <= LAST)?;
        i32::try_from(day).ok().map(Day)
    }

    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`] for anything else, [`ErrorKind::DayOutOfRange`] outside the years 1 to 9999.
    pub fn parse(text: &str) -> Result<Day> {
        let date = Some(text)
            .filter(|text| text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
            .and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidText, format!("not a day: {text:?}")).hint("Write days as YYYY-MM-DD.")
            })?;
        Day::of(date).checked()
    }

    /// The day of a date.
    pub fn of(date: NaiveDate) -> Day {
        // chrono's dates end where days still fit 32 bits.
        Day(date.signed_duration_since(EPOCH).num_days() as i32)
    }

    /// The date, if chrono's calendar reaches that far: it does for every day that a history can hold.
    pub fn date(self) -> Option<NaiveDate> {
        let days = Days::new(u64::from(self.0.unsigned_abs()));
        if self.0 < 0 { EPOCH.checked_sub_days(days) } else { EPOCH.checked_add_days(days) }
    }
}

impl fmt::Display for Day {
    /// `YYYY-MM-DD`; a day that no calendar here reaches prints as its distance from 2000-01-01.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date() {
            Some(date) => write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
            None => write!(f, "2000-01-01{:+} days", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_iso_days() {
        for (text, number) in
            [("2000-01-01", 0), ("1998-06-30", -550), ("0001-01-01", Day::MIN.0), ("9999-12-31", Day::MAX.0)]
        {
            assert_eq!(Day::parse(text), Ok(Day(number)));
            assert_eq!(Day(number).to_string(), text);
        }
    }

    #[test]
    fn refuses_other_texts() {
        for text in ["", "2000-1-1", "2000-02-30", "20000101", "+2000-1-01", "-200-01-01", "infinity", "2000-01-01 "] {
            assert!(Day::parse(text).is_err(), "{text}");
        }
        assert_eq!(Day::parse("0000-01-01").unwrap_err().kind, ErrorKind::DayOutOfRange);
    }
}
