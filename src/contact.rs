//! How a customer can be reached, and when again.

mod log;

pub use log::{ContactHistory, ContactKey, ContactKind, HOLDOUT};

use crate::day::Day;
use crate::dormancy;
use crate::engagement::EngagementHistory;
use crate::finding::Contradictions;
use crate::lifecycle::LifecycleState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How often and over which channels a customer may be contacted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Days between two contacts.
    pub min_days_between: u32,
    /// Days without a contact after a complaint.
    pub quiet_days_after_complaint: u32,
    /// How many contacts in how many days, over all channels together; all of these hold.
    pub limits: Vec<ContactLimit>,
    /// The same over single channels.
    pub channel_limits: BTreeMap<String, Vec<ContactLimit>>,
    /// Channels in order of preference, for rules that name none.
    pub channels: Vec<String>,
    /// The same for dormant customers; no social media, which cannot address the dormant alone.
    pub dormant_channels: Vec<String>,
}

impl Contact {
    /// What of these limits contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        let over_all = ("contact.limits".to_owned(), &self.limits);
        let channels = self.channel_limits.iter();
        let by_channel = channels.map(|(channel, limits)| (format!("contact.channel_limits.{channel}"), limits));
        for (path, limits) in std::iter::once(over_all).chain(by_channel) {
            for (position, ContactLimit { contacts, days }) in limits.iter().enumerate() {
                let sound = *contacts > 0 && *days > 0;
                found.require(sound, format!("{path}[{position}]"), "contacts and days must be at least 1");
            }
        }
    }

    /// The channels in order of preference for a customer in a state, and what says so: those of a rule where it has its own.
    pub fn preferred_channels<'a>(
        &'a self,
        own: Option<&'a [String]>,
        state: Option<LifecycleState>,
    ) -> (&'a [String], &'static str) {
        match own {
            Some(channels) => (channels, "the rule"),
            None if state == Some(LifecycleState::Dormant) => (&self.dormant_channels, "contact.dormant_channels"),
            None => (&self.channels, "contact.channels"),
        }
    }
}

/// At most so many contacts in any so many days.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ContactLimit {
    /// How many, from 1.
    pub contacts: u32,
    /// In how many consecutive days, from 1.
    pub days: u32,
}

/// What is known about contacting one customer; `None` is not tracked.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContactFacts<'a> {
    /// The channels over which the customer can be reached.
    pub channels: Option<&'a [String]>,
    /// The day of the last contact.
    pub last_contacted_on: Option<Day>,
    /// The log of contacts.
    pub log: Option<&'a ContactHistory>,
}

/// When a customer may be contacted, as seen on a day; what lies after it is invisible.
#[derive(Clone, Copy, Debug)]
pub struct ContactCalendar<'a> {
    /// What is known about contacting her.
    pub facts: ContactFacts<'a>,
    /// Her events, for complaints.
    pub engagement: Option<&'a EngagementHistory>,
    /// The day.
    pub as_of: Day,
    /// The rules.
    pub policy: &'a Contact,
}

impl<'a> ContactCalendar<'a> {
    /// The day of the last contact: the later of the one given and the last of the log.
    pub fn last_contacted_on(&self) -> Option<Day> {
        let given = self.facts.last_contacted_on.filter(|&day| day <= self.as_of);
        given.max(self.facts.log.and_then(|log| log.last_on(self.as_of)))
    }

    /// Days since the last contact.
    pub fn days_since_contact(&self) -> Option<i64> {
        self.last_contacted_on().map(|day| self.as_of.days_since(day))
    }

    /// The first day on which a contact is, or was, allowed again: by the days between two contacts, the limits over all
    /// channels and the quiet days after a complaint, and over one of the channels she can be reached by; `None` where
    /// nothing stands against one.
    pub fn allowed_from(&self) -> Option<Day> {
        let channels = self.facts.channels.unwrap_or_default();
        let limited = !self.policy.channel_limits.is_empty();
        // A channel without a limit is None, which is the least.
        let by_channel = channels.iter().filter(|_| limited).map(|channel| self.channel_allowed_from(channel)).min();
        self.allowed_over_all_from().max(by_channel.flatten())
    }

    /// The same by everything but the limits of single channels.
    pub fn allowed_over_all_from(&self) -> Option<Day> {
        let again = self.last_contacted_on().map(|day| later(day, self.policy.min_days_between));
        let complained_on = self.engagement.and_then(|engagement| dormancy::complained_on(engagement, self.as_of));
        let quiet = complained_on.map(|day| later(day, self.policy.quiet_days_after_complaint));
        // A complaint says nothing about contacts once it is over.
        let quiet = quiet.filter(|&until| until > self.as_of);
        again.max(quiet).max(self.within_from(&self.policy.limits, None))
    }

    /// The first day on which the limits of one channel allow, or allowed, a contact over it.
    pub fn channel_allowed_from(&self, channel: &str) -> Option<Day> {
        self.within_from(self.policy.channel_limits.get(channel)?, Some(channel))
    }

    /// The first day on which there are fewer contacts than each limit in the days before and on it.
    fn within_from(&self, limits: &[ContactLimit], channel: Option<&str>) -> Option<Day> {
        let log = self.facts.log?;
        // The contact that fills the limit leaves the window after so many days.
        let free = |limit: &ContactLimit| Some(later(log.latest_but(limit.contacts, channel, self.as_of)?, limit.days));
        limits.iter().filter_map(free).max()
    }

    /// Adds the day from which on a contact is allowed and the limits that say so, for explanations.
    pub fn add_reasons(&self, reasons: &mut Map<String, Value>) {
        let policy = self.policy;
        reasons.insert("contact_allowed_from".to_owned(), json!(self.allowed_from()));
        reasons.insert("min_days_between".to_owned(), json!(policy.min_days_between));
        reasons.insert("limits".to_owned(), json!(policy.limits));
        reasons.insert("channel_limits".to_owned(), json!(policy.channel_limits));
        reasons.insert("quiet_days_after_complaint".to_owned(), json!(policy.quiet_days_after_complaint));
    }

    /// Whether a contact is allowed; `None` where nothing is known about contacts.
    pub fn is_allowed(&self) -> Option<bool> {
        match self.allowed_from() {
            Some(from) => Some(from <= self.as_of),
            None => self.facts.log.map(|_| true),
        }
    }

    /// The first of these channels over which she can be reached and which its limits allow on `as_of`; without one, the
    /// one that is allowed first, and the first day that is so. `None` where she can be reached over none, or channels are
    /// not tracked.
    pub fn channel<'c>(&self, preferred: &'c [String]) -> Option<(&'c str, Day)> {
        let reachable = self.facts.channels?;
        let open = preferred.iter().filter(|channel| reachable.contains(channel));
        let from = |channel: &'c String| {
            let from = self.channel_allowed_from(channel).map_or(self.as_of, |from| from.max(self.as_of));
            (channel.as_str(), from)
        };
        // The first of equals.
        open.map(from).min_by_key(|&(_, from)| from)
    }
}

/// The day so many days later; the last there is where that is too late.
fn later(day: Day, days: u32) -> Day {
    day.plus(days.into()).unwrap_or(Day::LAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Document;

    const POLICY: &str = r#"{"contact": {"min_days_between": 3, "limits": [{"contacts": 2, "days": 10}, {"contacts": 3, "days": 30}],
        "channel_limits": {"email": [{"contacts": 1, "days": 14}]}, "quiet_days_after_complaint": 5}}"#;

    fn log(days: &[(i32, &str)]) -> ContactHistory {
        let entries = days
            .iter()
            .map(|&(day, channel)| (ContactKind { channel: Some(channel), ..ContactKind::default() }, Day(day), 1));
        ContactHistory::new(entries).unwrap()
    }

    #[test]
    fn limits_open_again_day_by_day() {
        let document = Document::parse(POLICY).unwrap();
        let policy = &document.policy().unwrap().contact;
        let log = log(&[(100, "email"), (104, "phone"), (115, "email")]);
        let complaint = EngagementHistory::new([("complaint", Day(150), 1)]).unwrap();
        let facts = ContactFacts { log: Some(&log), ..ContactFacts::default() };
        let on = |day| ContactCalendar { facts, engagement: Some(&complaint), as_of: Day(day), policy };
        // (as_of, allowed from): days between, then two in ten days, then three in thirty, then the complaint.
        for (day, from) in [
            (99, None),
            (100, Some(103)),
            (103, Some(103)),
            (104, Some(110)),
            (114, Some(110)),
            (115, Some(130)),
            (149, Some(130)),
            (150, Some(155)),
            (155, Some(130)),
        ] {
            assert_eq!(on(day).allowed_from(), from.map(Day), "{day}");
            assert_eq!(on(day).is_allowed(), Some(from.is_none_or(|from| from <= day)), "{day}");
        }
    }

    #[test]
    fn a_channel_that_is_used_up_gives_way() {
        let document = Document::parse(POLICY).unwrap();
        let policy = &document.policy().unwrap().contact;
        let log = log(&[(100, "email")]);
        let both = ["email".to_owned(), "line".to_owned()];
        let on = |day, channels| {
            let facts = ContactFacts { channels: Some(channels), log: Some(&log), ..ContactFacts::default() };
            ContactCalendar { facts, engagement: None, as_of: Day(day), policy }
        };
        assert_eq!(on(99, &both[..]).channel(&both), Some(("email", Day(99))));
        assert_eq!(on(105, &both[..]).channel(&both), Some(("line", Day(105))));
        assert_eq!(on(114, &both[..]).channel(&both), Some(("email", Day(114))));
        assert_eq!(on(105, &both[..1]).channel(&both), Some(("email", Day(114))));
        assert_eq!(on(105, &both[..1]).allowed_from(), Some(Day(114)));
        assert_eq!(on(105, &both[..]).allowed_from(), Some(Day(103)));
        assert_eq!(on(105, &[]).channel(&both), None);
    }

    #[test]
    fn what_is_not_tracked_is_unknown() {
        let document = Document::empty();
        let policy = &document.policy().unwrap().contact;
        let calendar = |facts| ContactCalendar { facts, engagement: None, as_of: Day(9), policy };
        assert_eq!(calendar(ContactFacts::default()).is_allowed(), None);
        let never = ContactHistory::default();
        let facts = ContactFacts { log: Some(&never), ..ContactFacts::default() };
        assert_eq!((calendar(facts).is_allowed(), calendar(facts).days_since_contact()), (Some(true), None));
        let facts = ContactFacts { last_contacted_on: Some(Day(8)), ..facts };
        assert_eq!((calendar(facts).is_allowed(), calendar(facts).days_since_contact()), (Some(false), Some(1)));
    }
}
