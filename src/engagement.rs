//! What a customer did besides buying: reviews, referrals, complaints, reasons given.

use std::collections::BTreeMap;
use std::fmt;

use crate::bytes::{Reader, put_signed, put_unsigned};
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, UniqueMap};

/// The most kind-and-day entries that one history may have.
pub const MAX_ENTRIES: usize = 1_000_000;
/// The longest name of a kind, in bytes.
pub const MAX_KIND_BYTES: usize = 63;

const VERSION: u8 = 1;

/// Events of one kind: how many on which day, in order of day.
type Events = Vec<(Day, u32)>;

/// One customer's events by kind and day.
///
/// No history at all (NULL) means that the shop does not track engagement; the empty one means that nothing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngagementHistory {
    kinds: BTreeMap<String, Events>,
}

impl EngagementHistory {
    /// A history from events in any order; several of a kind on one day are counted.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for an empty or too long kind, [`ErrorKind::DayOutOfRange`],
    /// [`ErrorKind::LimitExceeded`] beyond [`MAX_ENTRIES`] entries or four billion events on one day.
    pub fn new<'a>(events: impl IntoIterator<Item = (&'a str, Day, u32)>) -> Result<Self> {
        let mut kinds: BTreeMap<String, Events> = BTreeMap::new();
        for (kind, day, count) in events {
            day.checked()?;
            match kinds.get_mut(kind) {
                Some(days) => days.push((day, count)),
                None => {
                    check_kind(kind)?;
                    kinds.insert(kind.to_owned(), vec![(day, count)]);
                }
            }
        }
        for days in kinds.values_mut() {
            merge_counts(days)?;
        }
        kinds.retain(|_, days| !days.is_empty());
        let history = EngagementHistory { kinds };
        match history.kinds.values().map(Vec::len).sum::<usize>() {
            0..=MAX_ENTRIES => Ok(history),
            entries => Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("an engagement history holds at most {MAX_ENTRIES} entries, not {entries}"),
            )
            .hint("Is a GROUP BY customer missing?")),
        }
    }

    /// All events: kind, day, how many; by kind, then by day.
    pub fn events(&self) -> impl Iterator<Item = (&str, Day, u32)> {
        self.kinds.iter().flat_map(|(kind, days)| days.iter().map(move |&(day, count)| (kind.as_str(), day, count)))
    }

    /// Both histories in one; what overlaps counts twice.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn merge(&self, other: &EngagementHistory) -> Result<Self> {
        Self::new(self.events().chain(other.events()))
    }

    /// How many events of a kind lie after `after` (all where that is `None`) and not after `until`.
    pub fn count(&self, kind: &str, after: Option<Day>, until: Day) -> i64 {
        let in_time = |&&(day, _): &&(Day, u32)| day <= until && after.is_none_or(|after| day > after);
        self.of_kind(kind).iter().filter(in_time).map(|&(_, count)| i64::from(count)).sum()
    }

    /// The last day with an event of a kind, not after `until`.
    pub fn last_on(&self, kind: &str, until: Day) -> Option<Day> {
        self.of_kind(kind).iter().map(|&(day, _)| day).take_while(|&day| day <= until).last()
    }

    fn of_kind(&self, kind: &str) -> &[(Day, u32)] {
        self.kinds.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The canonical bytes: version, then for each kind its name, the number of days and for each day the distance to
    /// the one before and the count.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for (kind, days) in &self.kinds {
            put_unsigned(&mut out, kind.len() as u128);
            out.extend(kind.as_bytes());
            put_unsigned(&mut out, days.len() as u128);
            let mut before = 0;
            for &(day, count) in days {
                put_signed(&mut out, i128::from(day.0) - before);
                put_unsigned(&mut out, u128::from(count));
                before = i128::from(day.0);
            }
        }
        out
    }

    /// The history that has these canonical bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] when no history has them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("engagement_history", VERSION, bytes)?;
        let mut events = Vec::new();
        while !reader.is_empty() {
            let length = reader.unsigned()?;
            let kind = std::str::from_utf8(reader.slice(length)?).map_err(|_| reader.invalid("a kind is not UTF-8"))?;
            let mut day = 0i128;
            for _ in 0..reader.unsigned::<usize>()? {
                day = day.checked_add(reader.signed()?).ok_or_else(|| reader.invalid("a day is out of range"))?;
                let on = i32::try_from(day).map_err(|_| reader.invalid("a day is out of range"))?;
                events.push((kind, Day(on), reader.unsigned()?));
                if events.len() > MAX_ENTRIES {
                    return Err(reader.invalid("too many entries"));
                }
            }
        }
        let history = Self::new(events).map_err(|error| reader.invalid(&error.message))?;
        if history.to_bytes() != bytes {
            return Err(reader.invalid("not in canonical order"));
        }
        Ok(history)
    }
}

/// Whether a kind of event may be called so.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] for an empty or too long name, or one with control characters.
pub fn check_kind(kind: &str) -> Result<()> {
    if kind.is_empty() || kind.len() > MAX_KIND_BYTES || kind.contains(char::is_control) {
        let bytes = kind.len();
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            format!("invalid engagement kind of {bytes} bytes, 1 to {MAX_KIND_BYTES} are allowed: {kind:?}"),
        )
        .hint(format!("A kind is a name of 1 to {MAX_KIND_BYTES} bytes without control characters.")));
    }
    Ok(())
}

fn merge_counts(days: &mut Events) -> Result<()> {
    days.sort_unstable_by_key(|&(day, _)| day);
    let mut overflow = None;
    days.dedup_by(|later, kept| {
        if later.0 == kept.0 {
            match kept.1.checked_add(later.1) {
                Some(sum) => kept.1 = sum,
                None => overflow = Some(kept.0),
            }
        }
        later.0 == kept.0
    });
    days.retain(|&(_, count)| count > 0);
    match overflow {
        None => Ok(()),
        Some(day) => {
            Err(Error::new(ErrorKind::LimitExceeded, format!("more than {} events of a kind on {day}", u32::MAX))
                .hint("Is a GROUP BY customer missing?"))
        }
    }
}

impl fmt::Display for EngagementHistory {
    /// JSON: `{"review": {"2024-05-01": 1, "2024-06-01": 2}}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, (kind, days)) in self.kinds.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{}: {{", serde_json::Value::from(kind.as_str()))?;
            for (position, (day, count)) in days.iter().enumerate() {
                let separator = if position == 0 { "" } else { ", " };
                write!(f, "{separator}\"{day}\": {count}")?;
            }
            f.write_str("}")?;
        }
        f.write_str("}")
    }
}

impl std::str::FromStr for EngagementHistory {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes, in any order.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`] naming the place, and as [`EngagementHistory::new`].
    fn from_str(text: &str) -> Result<Self> {
        let by_kind: UniqueMap<UniqueMap<u32>> = json::from_text("engagement_history", text)
            .map_err(|error| error.hint(r#"Events are written as {"review": {"2024-05-01": 1}}."#))?;
        let mut events = Vec::new();
        for (kind, days) in &by_kind.0 {
            for (day, count) in &days.0 {
                events.push((kind.as_str(), Day::parse(day)?, *count));
            }
        }
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
