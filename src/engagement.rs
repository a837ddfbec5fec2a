//! What a customer did besides buying: reviews, referrals, complaints, reasons given.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::bytes::Reader;
use crate::day::Day;
use crate::error::{Error, Result};
use crate::event_history::{EventHistory, Key, check_count, check_name, put_name, read_name};
use crate::{json, memory};

/// The kind of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind(Box<str>);

const WHAT: &str = "engagement kind";

impl Key for Kind {
    const TYPE_NAME: &'static str = "engagement_history";
    const HISTORY: &'static str = "an engagement history";

    type Ref<'a> = &'a str;

    fn check(kind: &str) -> Result<()> {
        check_name(WHAT, kind)
    }

    fn own(kind: &str) -> Self {
        Kind(kind.into())
    }

    fn lend(&self) -> &str {
        &self.0
    }

    fn put(kind: &str, out: &mut Vec<u8>) {
        put_name(kind, out);
    }

    fn read<'a>(reader: &mut Reader<'a>) -> Result<&'a str> {
        read_name(WHAT, reader)
    }
}

/// One customer's events by kind and day.
///
/// No history at all (NULL) means that the shop does not track engagement; the empty one means that nothing happened.
pub type EngagementHistory = EventHistory<Kind>;

impl EngagementHistory {
    /// How many events of a kind lie after `after` (all where that is `None`) and not after `until`.
    pub fn count(&self, kind: &str, after: Option<Day>, until: Day) -> i64 {
        self.count_and_day_of(kind, after, until, 0).0
    }

    /// The same, and the day of the oldest of the `latest` last of these events; `None` where there are none of them.
    pub fn count_and_day_of(&self, kind: &str, after: Option<Day>, until: Day, latest: u32) -> (i64, Option<Day>) {
        let events = self.of_kind(kind);
        let first = after.map_or(0, |after| events.partition_point(|&(day, _)| day <= after));
        let end = events.partition_point(|&(day, _)| day <= until).max(first);
        let (mut seen, mut oldest) = (0, None);
        for &(day, count) in events[first..end].iter().rev() {
            if seen < i64::from(latest) {
                oldest = Some(day);
            }
            seen += i64::from(count);
        }
        (seen, oldest)
    }

    /// The last day with an event of a kind, not after `until`.
    pub fn last_on(&self, kind: &str, until: Day) -> Option<Day> {
        self.of_kind(kind).iter().map(|&(day, _)| day).take_while(|&day| day <= until).last()
    }

    fn of_kind(&self, kind: &str) -> &[(Day, u32)] {
        match self.by_key().binary_search_by(|(of, _)| of.lend().cmp(kind)) {
            Ok(position) => &self.by_key()[position].1,
            Err(_) => &[],
        }
    }
}

impl fmt::Display for EngagementHistory {
    /// JSON: `{"review": {"2024-05-01": 1, "2024-06-01": 2}}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, (kind, days)) in self.by_key().iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{}: {{", serde_json::Value::from(kind.lend()))?;
            for (position, (day, count)) in days.iter().enumerate() {
                let separator = if position == 0 { "" } else { ", " };
                write!(f, "{separator}\"{day}\": {count}")?;
            }
            f.write_str("}")?;
        }
        f.write_str("}")
    }
}

/// The days of one kind in a text, read one by one.
struct Days(Vec<(Day, u32)>);

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (mut days, mut seen) = (Vec::new(), HashSet::new());
        json::each_entry(deserializer, |day, count: u32| {
            check_count::<Kind>(days.len() + 1)?;
            let on = Day::parse(day)?;
            if !memory::insert(&mut seen, on) {
                return Err(json::stands_twice(Kind::TYPE_NAME, day));
            }
            memory::push(&mut days, (on, count));
            Ok(())
        })?;
        Ok(Days(days))
    }
}

/// The kinds in a text, read one by one.
struct Kinds(Vec<(Kind, Days)>);

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (mut kinds, mut entries, mut seen) = (Vec::new(), 0, HashSet::new());
        json::each_entry(deserializer, |kind, days: Days| {
            // A kind without days takes memory too.
            entries += days.0.len().max(1);
            check_count::<Kind>(entries)?;
            Kind::check(kind)?;
            if !memory::insert(&mut seen, Kind::own(kind)) {
                return Err(json::stands_twice(Kind::TYPE_NAME, kind));
            }
            memory::push(&mut kinds, (Kind::own(kind), days));
            Ok(())
        })?;
        Ok(Kinds(kinds))
    }
}

impl std::str::FromStr for EngagementHistory {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes, in any order.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`](crate::error::ErrorKind::InvalidText) naming the place, and as [`EngagementHistory::new`].
    fn from_str(text: &str) -> Result<Self> {
        let Kinds(kinds) = json::from_text(Kind::TYPE_NAME, text)
            .map_err(|error| error.or_hint(r#"Events are written as {"review": {"2024-05-01": 1}}."#))?;
        let events =
            kinds.iter().flat_map(|(kind, Days(days))| days.iter().map(|&(day, count)| (kind.lend(), day, count)));
        EngagementHistory::new(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_kind_and_day() {
        let h = EngagementHistory::new([
            ("review", Day(5), 1),
            ("survey", Day(1), 1),
            ("review", Day(2), 1),
            ("review", Day(5), 2),
        ])
        .unwrap();
        assert_eq!(h.count("review", None, Day(5)), 4);
        assert_eq!(h.count("review", None, Day(4)), 1);
        assert_eq!(h.count("review", Some(Day(2)), Day(9)), 3);
        assert_eq!(h.last_on("review", Day(4)), Some(Day(2)));
        assert_eq!(h.last_on("event", Day(4)), None);
        assert_eq!(h.to_string(), r#"{"review": {"2000-01-03": 1, "2000-01-06": 3}, "survey": {"2000-01-02": 1}}"#);
    }

    #[test]
    fn text_and_bytes_come_back() {
        let h: EngagementHistory =
            r#"{"b\"x": {"2024-01-01": 2}, "a": {"1999-12-31": 1, "1999-01-01": 4000000000}}"#.parse().unwrap();
        assert_eq!(h.to_string().parse(), Ok(h.clone()));
        assert_eq!(EngagementHistory::from_bytes(&h.to_bytes()), Ok(h));
    }

    #[test]
    fn refuses_nonsense() {
        for text in
            ["", "[]", r#"{"a": 1}"#, r#"{"": {"2024-01-01": 1}}"#, r#"{"a": {"today": 1}}"#, r#"{"a": {}, "a": {}}"#]
        {
            assert!(text.parse::<EngagementHistory>().is_err(), "{text}");
        }
    }
}
