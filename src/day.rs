//! Calendar days, counted like PostgreSQL's `date`: days since 2000-01-01.

use std::fmt;

use chrono::{Datelike, Days, NaiveDate};
use serde::ser::{Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result, shown};

/// A calendar day. Which zone's calendar is decided before a day gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// The most days that can lie between two purchases.
pub const LONGEST_GAP: i64 = Day::MAX.0 as i64 - Day::MIN.0 as i64;

/// The most days that can lie between a purchase and the day asked for.
pub const LONGEST_RECENCY: i64 = Day::LAST.0 as i64 - Day::MIN.0 as i64;

/// 2000-01-01.
const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap();

impl Day {
    /// 0001-01-01, the first day a history can hold.
    pub const MIN: Day = Day(-730_119);
    /// 9999-12-31, the last day a history can hold.
    pub const MAX: Day = Day(2_921_939);

    /// 5874897-12-31, the last finite date.
    pub const LAST: Day = Day(2_145_031_948);

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
        let day = i64::from(self.0).checked_add(days).filter(|day| *day <= i64::from(Day::LAST.0))?;
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
                Error::new(ErrorKind::InvalidText, format!("not a day: {}", shown(text)))
                    .hint("Write days as YYYY-MM-DD.")
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
    /// `YYYY-MM-DD`, as PostgreSQL prints a `date` in ISO style: years before 1 count backwards and end in ` BC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The calendar repeats itself after 400 years, so it reaches every day.
        const CYCLE_YEARS: i32 = 400;
        const CYCLE_DAYS: i32 = 146_097;
        let date = EPOCH + Days::new(self.0.rem_euclid(CYCLE_DAYS) as u64);
        let (month, day) = (date.month(), date.day());
        match date.year() + self.0.div_euclid(CYCLE_DAYS) * CYCLE_YEARS {
            year @ 1.. => write!(f, "{year:04}-{month:02}-{day:02}"),
            year => write!(f, "{:04}-{month:02}-{day:02} BC", 1 - year),
        }
    }
}

impl Serialize for Day {
    /// The text.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
    fn prints_every_day_as_postgresql_does() {
        // SELECT '2000-01-01'::date + n
        for (number, text) in [
            (Day::MIN.0 - 1, "0001-12-31 BC"),
            (-746_000, "0044-07-10 BC"),
            (2_921_940, "10000-01-01"),
            (2_145_031_948, "5874897-12-31"),
            (-2_451_507, "4713-01-01 BC"),
        ] {
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
