//! One customer's log of contacts: over which channel, when, as which step of which scenario, in which test group.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::bytes::Reader;
use crate::day::Day;
use crate::error::{Error, Result};
use crate::event_history::{EventHistory, Key, check_count, check_name, put_name, read_name};
use crate::{json, memory};

/// The group whose members get nothing: an entry with it is no contact, it says that the customer belongs to it.
pub const HOLDOUT: &str = "holdout";

/// What a contact was, without the day; `None` is unknown or not a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContactKind<'a> {
    /// The channel.
    pub channel: Option<&'a str>,
    /// The scenario.
    pub scenario: Option<&'a str>,
    /// The scenario's step.
    pub step: Option<&'a str>,
    /// The customer's group in a test.
    pub group: Option<&'a str>,
}

impl ContactKind<'_> {
    /// Whether something was sent.
    pub fn is_contact(self) -> bool {
        self.group != Some(HOLDOUT)
    }
}

/// A [`ContactKind`] with memory of its own: its names one after the other in one piece, because a log is read for every
/// customer of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactKey {
    names: Box<str>,
    lengths: [u8; 4],
}

const PARTS: [&str; 4] = ["channel", "scenario", "step", "group"];

impl<'a> ContactKind<'a> {
    fn parts(self) -> [Option<&'a str>; 4] {
        [self.channel, self.scenario, self.step, self.group]
    }

    fn of([channel, scenario, step, group]: [Option<&'a str>; 4]) -> Self {
        ContactKind { channel, scenario, step, group }
    }
}

impl Key for ContactKey {
    const TYPE_NAME: &'static str = "contact_history";
    const HISTORY: &'static str = "a contact history";

    type Ref<'a> = ContactKind<'a>;

    fn check(kind: ContactKind) -> Result<()> {
        let mut parts = PARTS.iter().zip(kind.parts());
        parts.try_for_each(|(what, name)| name.map_or(Ok(()), |name| check_name(what, name)))
    }

    fn own(kind: ContactKind) -> Self {
        let names = kind.parts().map(Option::unwrap_or_default);
        // A name has at most 63 bytes.
        ContactKey { names: names.concat().into(), lengths: names.map(|name| name.len() as u8) }
    }

    fn lend(&self) -> ContactKind<'_> {
        let mut rest = &*self.names;
        ContactKind::of(self.lengths.map(|length| {
            let (name, after) = rest.split_at(length.into());
            rest = after;
            Some(name).filter(|name| !name.is_empty())
        }))
    }

    /// The four names one after the other; no name has no bytes.
    fn put(kind: ContactKind, out: &mut Vec<u8>) {
        kind.parts().iter().for_each(|name| put_name(name.unwrap_or_default(), out));
    }

    fn read<'a>(reader: &mut Reader<'a>) -> Result<ContactKind<'a>> {
        let mut names = [None; 4];
        for (what, name) in PARTS.iter().zip(&mut names) {
            *name = Some(read_name(what, reader)?).filter(|name| !name.is_empty());
        }
        Ok(ContactKind::of(names))
    }
}

/// One customer's contacts.
///
/// No history at all (NULL) means that the shop keeps no log; the empty one means that she was never contacted.
pub type ContactHistory = EventHistory<ContactKey>;

impl ContactHistory {
    /// The days of contacts up to `as_of` over a channel (over all of them where that is `None`), each as often as she was
    /// contacted, in any order.
    fn contacts(&self, channel: Option<&str>, as_of: Day) -> impl Iterator<Item = (Day, u32)> {
        let kinds = self.by_key().iter().filter(move |(key, _)| {
            let kind = key.lend();
            kind.is_contact() && (channel.is_none() || kind.channel == channel)
        });
        kinds.flat_map(|(_, days)| days).copied().filter(move |&(day, _)| day <= as_of)
    }

    /// Each channel with each day of a contact over it, up to `as_of`; the same may come several times.
    pub(super) fn channels_and_days(&self, as_of: Day) -> impl Iterator<Item = (Option<&str>, Day)> {
        let kinds = self.by_key().iter().map(|(key, days)| (key.lend(), days)).filter(|(kind, _)| kind.is_contact());
        let contacts = kinds.flat_map(|(kind, days)| days.iter().map(move |&(day, _)| (kind.channel, day)));
        contacts.filter(move |&(_, day)| day <= as_of)
    }

    /// The last day of a contact, up to `as_of`.
    pub fn last_on(&self, as_of: Day) -> Option<Day> {
        self.contacts(None, as_of).map(|(day, _)| day).max()
    }

    /// The last day of a contact over one of these channels, up to `as_of`.
    pub fn last_over(&self, channels: &[String], as_of: Day) -> Option<Day> {
        channels.iter().flat_map(|channel| self.contacts(Some(channel), as_of)).map(|(day, _)| day).max()
    }

    /// The day of the contact that `number - 1` others followed, up to `as_of`, over a channel or over all.
    pub fn latest_but(&self, number: u32, channel: Option<&str>, as_of: Day) -> Option<Day> {
        let mut contacts = memory::collect(self.contacts(channel, as_of));
        memory::sort(&mut contacts, |a, b| b.0.cmp(&a.0));
        let mut seen = 0;
        contacts.into_iter().find_map(|(day, count)| {
            seen += u64::from(count);
            (seen >= u64::from(number)).then_some(day)
        })
    }
}

/// An entry as text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    on: String,
    channel: Option<String>,
    scenario: Option<String>,
    step: Option<String>,
    group: Option<String>,
    #[serde(default = "once")]
    times: u32,
}

/// The entries of a text, read one by one.
struct Entries(Vec<(ContactKey, Day, u32)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut entries = Vec::new();
        json::each_item(deserializer, |entry: Entry| {
            check_count::<ContactKey>(entries.len() + 1)?;
            let parts = [&entry.channel, &entry.scenario, &entry.step, &entry.group];
            let (kind, day) = (ContactKind::of(parts.map(Option::as_deref)), Day::parse(&entry.on)?);
            ContactKey::check(kind)?;
            memory::push(&mut entries, (ContactKey::own(kind), day, entry.times));
            Ok(())
        })?;
        Ok(Entries(entries))
    }
}

fn once() -> u32 {
    1
}

impl fmt::Display for ContactHistory {
    /// JSON, in order of day: `[{"on": "2024-05-01", "channel": "email", "scenario": "a", "step": "b"}]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries = memory::collect(self.entries());
        memory::sort(&mut entries, |a, b| (a.1, a.0).cmp(&(b.1, b.0)));
        f.write_str("[")?;
        for (position, (kind, day, times)) in entries.into_iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{{\"on\": \"{day}\"")?;
            for (what, name) in PARTS.iter().zip(kind.parts()).filter_map(|(what, name)| Some((what, name?))) {
                write!(f, ", \"{what}\": {}", serde_json::Value::from(name))?;
            }
            if times > 1 {
                write!(f, ", \"times\": {times}")?;
            }
            f.write_str("}")?;
        }
        f.write_str("]")
    }
}

impl std::str::FromStr for ContactHistory {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes, in any order.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`](crate::error::ErrorKind::InvalidText) naming the place, and as [`ContactHistory::new`].
    fn from_str(text: &str) -> Result<Self> {
        let Entries(entries) = json::from_text(ContactKey::TYPE_NAME, text)
            .map_err(|error| error.or_hint(r#"Contacts are written as [{"on": "2024-05-01", "channel": "email"}]."#))?;
        ContactHistory::new(entries.iter().map(|(key, day, times)| (key.lend(), *day, *times)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"[{"on": "2024-05-01", "channel": "email", "scenario": "a", "step": "b"}, {"on": "2024-05-02"}, {"on": "2024-05-02", "channel": "phone", "times": 2}, {"on": "2024-05-03", "scenario": "a", "group": "holdout"}]"#;

    #[test]
    fn text_and_bytes_come_back() {
        let log: ContactHistory = LOG.parse().unwrap();
        assert_eq!(log.to_string(), LOG);
        assert_eq!(ContactHistory::from_bytes(&log.to_bytes()).as_ref(), Ok(&log));
        let twice = log.merge(&log).unwrap();
        assert_eq!(twice.to_string().matches("\"times\": 2").count(), 3);
        assert_eq!("[]".parse(), Ok(ContactHistory::default()));
    }

    #[test]
    fn a_holdout_is_no_contact_and_an_unknown_channel_counts_over_all() {
        let log: ContactHistory = LOG.parse().unwrap();
        let may = |day| Day::parse(&format!("2024-05-0{day}")).unwrap();
        assert_eq!(log.last_on(may(9)), Some(may(2)));
        assert_eq!(log.last_on(may(1)), Some(may(1)));
        assert_eq!(
            [1, 3, 4, 5].map(|n| log.latest_but(n, None, may(9))),
            [Some(may(2)), Some(may(2)), Some(may(1)), None]
        );
        assert_eq!([1, 2, 3].map(|n| log.latest_but(n, Some("phone"), may(9))), [Some(may(2)), Some(may(2)), None]);
        assert_eq!(log.latest_but(1, Some("phone"), may(1)), None);
    }

    #[test]
    fn refuses_nonsense() {
        for text in [
            "",
            "{}",
            "[1]",
            r#"[{"channel": "email"}]"#,
            r#"[{"on": "today"}]"#,
            r#"[{"on": "2024-05-01", "channel": ""}]"#,
            r#"[{"on": "2024-05-01", "chanel": "email"}]"#,
            r#"[{"on": "2024-05-01", "on": "2024-05-02"}]"#,
            r#"[{"on": "2024-05-01", "times": -1}]"#,
        ] {
            assert!(text.parse::<ContactHistory>().is_err(), "{text}");
        }
    }
}
