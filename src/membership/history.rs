//! One customer's memberships over time: which one since when.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Deserializer};

use super::Membership;
use crate::bytes::{Reader, put_signed};
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::event_history::{Key, MAX_ENTRIES, check_count};
use crate::host::Steps;
use crate::{json, memory};

const VERSION: u8 = 1;

/// More than the bytes of an entry: the distance to the day before it, and the membership.
const MAX_ENTRY_BYTES: usize = 11;

/// A membership as an entry of a log, in the order in which the last of several entries of one day counts: whoever also
/// paused or withdrew on that day has done so, because a letter too few does less harm than one to somebody who left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entered(u8);

/// The order of [`Entered`].
const ORDER: [Membership; 4] = [Membership::Continuing, Membership::AdHoc, Membership::Paused, Membership::Withdrawn];

impl From<Membership> for Entered {
    fn from(membership: Membership) -> Self {
        Entered(ORDER.iter().take_while(|&&other| other != membership).count() as u8)
    }
}

impl From<Entered> for Membership {
    fn from(entered: Entered) -> Self {
        ORDER[usize::from(entered.0)]
    }
}

impl Key for Entered {
    const TYPE_NAME: &'static str = "membership_history";
    const HISTORY: &'static str = "a membership history";

    type Ref<'a> = Entered;

    fn check(_: Entered) -> Result<()> {
        Ok(())
    }

    fn own(entered: Entered) -> Self {
        entered
    }

    fn lend(&self) -> Entered {
        *self
    }

    fn put(entered: Entered, out: &mut Vec<u8>) {
        out.push(entered.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Entered> {
        let place = reader.byte()?;
        if usize::from(place) < ORDER.len() { Ok(Entered(place)) } else { Err(reader.invalid("unknown membership")) }
    }
}

/// A stretch of days with one membership, as known on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipPeriod {
    /// The membership.
    pub membership: Membership,
    /// Its first day.
    pub since: Day,
    /// The last day before another one; `None` while it lasts.
    pub until: Option<Day>,
}

/// One customer's memberships, each from its day until the next entry. Before the first entry it is unknown.
///
/// No history at all (NULL) means that the shop keeps no log of her; the empty one means that it is never known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembershipHistory {
    /// In order of day, one a day. An entry may repeat the membership before it: merged with another history it may not.
    entries: Vec<(Day, Membership)>,
}

impl MembershipHistory {
    /// A history from entries in any order. Of several on one day the last in the order continuing, ad_hoc, paused,
    /// withdrawn counts.
    ///
    /// # Errors
    /// [`ErrorKind::DayOutOfRange`]; [`ErrorKind::LimitExceeded`] beyond [`MAX_ENTRIES`] days.
    pub fn new(entries: impl IntoIterator<Item = (Day, Membership)>) -> Result<Self> {
        let mut sorted = memory::collect(entries.into_iter().map(|(day, membership)| (day, Entered::from(membership))));
        memory::sort(&mut sorted, Ord::cmp);
        let (mut entries, mut steps) = (Vec::<(Day, Membership)>::new(), Steps::default());
        for (day, entered) in sorted {
            steps.step();
            day.checked()?;
            match entries.last_mut() {
                Some((last, membership)) if *last == day => *membership = entered.into(),
                _ => memory::push(&mut entries, (day, entered.into())),
            }
        }
        if entries.len() > MAX_ENTRIES {
            let message = format!("{} holds at most {MAX_ENTRIES} days, not {}", Entered::HISTORY, entries.len());
            return Err(Error::new(ErrorKind::LimitExceeded, message).hint("Is a GROUP BY customer missing?"));
        }
        Ok(MembershipHistory { entries })
    }

    /// All entries in order of day.
    pub fn entries(&self) -> impl Iterator<Item = (Day, Membership)> {
        self.entries.iter().copied()
    }

    /// Both histories in one.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn merge(&self, other: &Self) -> Result<Self> {
        Self::new(self.entries().chain(other.entries()))
    }

    fn until(&self, as_of: Day) -> &[(Day, Membership)] {
        &self.entries[..self.entries.partition_point(|&(day, _)| day <= as_of)]
    }

    /// The first day after `day` that has an entry.
    pub fn first_after(&self, day: Day) -> Option<Day> {
        self.entries.get(self.until(day).len()).map(|&(on, _)| on)
    }

    /// The last day up to `day` that has an entry.
    pub fn last_until(&self, day: Day) -> Option<Day> {
        self.until(day).last().map(|&(on, _)| on)
    }

    /// The membership of a day; `None` before the first entry. Later entries do not matter.
    pub fn on(&self, day: Day) -> Option<Membership> {
        self.until(day).last().map(|&(_, membership)| membership)
    }

    /// The stretches of one membership up to `as_of`, oldest first; entries that repeat a membership belong together.
    pub fn periods(&self, as_of: Day) -> impl Iterator<Item = MembershipPeriod> {
        let mut entries = self.until(as_of).iter().copied().peekable();
        std::iter::from_fn(move || {
            let (since, membership) = entries.next()?;
            while entries.next_if(|&(_, next)| next == membership).is_some() {}
            let until = entries.peek().and_then(|&(next, _)| next.plus(-1));
            Some(MembershipPeriod { membership, since, until })
        })
    }

    /// The first day of the membership that she has on `as_of`, and the membership before it.
    pub fn since(&self, as_of: Day) -> Option<(Day, Option<Membership>)> {
        let known = self.until(as_of);
        let &(_, present) = known.last()?;
        let run = known.iter().rev().take_while(|&&(_, membership)| membership == present).count();
        let (before, run) = known.split_at(known.len() - run);
        Some((run[0].0, before.last().map(|&(_, membership)| membership)))
    }

    /// The canonical bytes: version, then for each entry the distance to the day of the one before and the membership.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.push(VERSION);
        let (mut before, mut steps) = (0, Steps::default());
        for &(day, membership) in &self.entries {
            steps.step();
            memory::reserve(&mut out, MAX_ENTRY_BYTES);
            put_signed(&mut out, i128::from(day.0) - before);
            Entered::put(membership.into(), &mut out);
            before = i128::from(day.0);
        }
        out
    }

    /// The history that has these canonical bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] when no history has them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(Entered::TYPE_NAME, VERSION, bytes)?;
        let (mut entries, mut day, mut steps) = (Vec::with_capacity(8), 0i128, Steps::default());
        while !reader.is_empty() {
            steps.step();
            day = day.checked_add(reader.signed()?).ok_or_else(|| reader.invalid("a day is out of range"))?;
            let on = i32::try_from(day).map_err(|_| reader.invalid("a day is out of range"))?;
            memory::push(&mut entries, (Day(on), Entered::read(&mut reader)?.into()));
            if entries.len() > MAX_ENTRIES {
                return Err(reader.invalid("too many entries"));
            }
        }
        let history = Self::new(entries).map_err(|error| reader.invalid(&error.message))?;
        if history.to_bytes() != bytes {
            return Err(reader.invalid("not in canonical order"));
        }
        Ok(history)
    }
}

impl fmt::Display for MembershipHistory {
    /// JSON: `{"2024-05-01": "continuing", "2025-03-10": "paused"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, (day, membership)) in self.entries().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}\"{day}\": \"{}\"", membership.name())?;
        }
        f.write_str("}")
    }
}

/// The days of a text, read one by one.
struct Days(Vec<(Day, Membership)>);

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (mut days, mut seen) = (Vec::new(), HashSet::new());
        json::each_entry(deserializer, |day, membership: String| {
            check_count::<Entered>(days.len() + 1)?;
            let on = Day::parse(day)?;
            if !memory::insert(&mut seen, on) {
                return Err(json::stands_twice(Entered::TYPE_NAME, day));
            }
            memory::push(&mut days, (on, Membership::parse(&membership)?));
            Ok(())
        })?;
        Ok(Days(days))
    }
}

impl std::str::FromStr for MembershipHistory {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes, in any order.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`] naming the place, as [`Membership::parse`], and as [`MembershipHistory::new`].
    fn from_str(text: &str) -> Result<Self> {
        let Days(days) = json::from_text(Entered::TYPE_NAME, text)
            .map_err(|error| error.or_hint(r#"Memberships are written as {"2024-05-01": "continuing"}."#))?;
        MembershipHistory::new(days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: &str = r#"{"2024-01-10": "continuing", "2024-03-01": "continuing", "2024-05-01": "paused", "2024-06-15": "continuing", "2025-01-31": "withdrawn"}"#;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn each_day_has_the_membership_that_was_entered_last() {
        let h: MembershipHistory = LIFE.parse().unwrap();
        let on = |on| h.on(day(on)).map(Membership::name);
        assert_eq!(on("2024-01-09"), None);
        assert_eq!(on("2024-01-10"), Some("continuing"));
        assert_eq!(on("2024-05-01"), Some("paused"));
        assert_eq!(on("2024-06-14"), Some("paused"));
        assert_eq!(on("2025-01-30"), Some("continuing"));
        assert_eq!(on("9999-12-31"), Some("withdrawn"));
        let since = |on| h.since(day(on)).map(|(since, before)| (since.to_string(), before.map(Membership::name)));
        assert_eq!(since("2024-01-09"), None);
        assert_eq!(since("2024-04-30"), Some(("2024-01-10".to_owned(), None)));
        assert_eq!(since("2024-07-01"), Some(("2024-06-15".to_owned(), Some("paused"))));
        assert_eq!(since("2025-02-10"), Some(("2025-01-31".to_owned(), Some("continuing"))));
    }

    #[test]
    fn the_order_of_entries_changes_nothing_and_of_one_day_the_end_counts() {
        let entries = [
            (Day(9), Membership::Withdrawn),
            (Day(5), Membership::Paused),
            (Day(5), Membership::Continuing),
            (Day(1), Membership::Continuing),
            (Day(7), Membership::AdHoc),
            (Day(7), Membership::Continuing),
        ];
        let h = MembershipHistory::new(entries).unwrap();
        assert_eq!(MembershipHistory::new(entries.into_iter().rev()).as_ref(), Ok(&h));
        assert_eq!(
            [1, 5, 7, 9].map(|on| h.on(Day(on)).unwrap().name()),
            ["continuing", "paused", "ad_hoc", "withdrawn"]
        );
        let [one, other] = [&entries[..3], &entries[3..]].map(|part| MembershipHistory::new(part.to_vec()).unwrap());
        assert_eq!(one.merge(&other).as_ref(), Ok(&h));
        assert_eq!(other.merge(&one).as_ref(), Ok(&h));
        assert_eq!(h.merge(&h).as_ref(), Ok(&h));
    }

    #[test]
    fn what_is_repeated_is_one_period() {
        let h: MembershipHistory = LIFE.parse().unwrap();
        let periods: Vec<_> = h
            .periods(day("2024-12-31"))
            .map(|period| (period.membership.name(), period.since.to_string(), period.until.map(|day| day.to_string())))
            .collect();
        let row = |name, since: &str, until: Option<&str>| (name, since.to_owned(), until.map(str::to_owned));
        assert_eq!(
            periods,
            [
                row("continuing", "2024-01-10", Some("2024-04-30")),
                row("paused", "2024-05-01", Some("2024-06-14")),
                row("continuing", "2024-06-15", None),
            ]
        );
    }

    #[test]
    fn text_and_bytes_come_back() {
        let h: MembershipHistory = LIFE.parse().unwrap();
        assert_eq!(h.to_string(), LIFE);
        assert_eq!(MembershipHistory::from_bytes(&h.to_bytes()), Ok(h));
        assert_eq!("{}".parse(), Ok(MembershipHistory::default()));
        let codes: MembershipHistory = r#"{"2024-02-01": "02", "2024-01-01": "01"}"#.parse().unwrap();
        assert_eq!(codes.to_string(), r#"{"2024-01-01": "continuing", "2024-02-01": "paused"}"#);
    }

    #[test]
    fn refuses_nonsense() {
        for text in [
            "",
            "[]",
            r#"{"2024-01-01": 1}"#,
            r#"{"today": "paused"}"#,
            r#"{"2024-01-01": "gold"}"#,
            r#"{"2024-01-01": "paused", "2024-01-01": "paused"}"#,
        ] {
            assert!(text.parse::<MembershipHistory>().is_err(), "{text}");
        }
        for bytes in [&[][..], &[2], &[1, 0], &[1, 0, 4], &[1, 2, 0, 0, 1], &[1, 2, 0, 1, 0], &[1, 0x80, 0, 0]] {
            assert!(MembershipHistory::from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }
}
