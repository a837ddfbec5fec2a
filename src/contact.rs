//! How a customer can be reached, and when again.

mod log;
mod response;

pub use log::{ContactHistory, ContactKey, ContactKind, HOLDOUT};
pub use response::{ChannelResponse, ContactDay};

use crate::complaint;
use crate::countdown::Countdown;
use crate::day::Day;
use crate::engagement::EngagementHistory;
use crate::finding::Contradictions;
use crate::history::PurchaseHistory;
use crate::lifecycle::LifecycleState;
use crate::memory;
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
    /// Channels in order of preference, after those that a rule names.
    pub channels: Vec<String>,
    /// The same for dormant customers; no social media, which cannot address the dormant alone.
    pub dormant_channels: Vec<String>,
    /// Channels over which somebody turns to one customer: such a contact answers a complaint.
    pub personal_channels: Vec<String>,
    /// A purchase within so many days after a contact is the answer to it.
    pub response_days: u32,
    /// A channel with so many contacts without an answer since the last one gives way to the others; `None`: never.
    pub unanswered_before_next_channel: Option<u32>,
    /// So many customers are needed for what was measured to decide in which order answers are expected.
    pub response_min_customers: u32,
}

/// The channels that a rule or a step names for itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnChannels<'a> {
    /// In order of preference; `None`: it names none.
    pub named: Option<&'a [String]>,
    /// Whether it is for no others.
    pub only: bool,
}

impl Contact {
    /// What of these limits contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        let at_least_one = [
            ("contact.response_days", self.response_days),
            ("contact.unanswered_before_next_channel", self.unanswered_before_next_channel.unwrap_or(1)),
            ("contact.response_min_customers", self.response_min_customers),
        ];
        for (path, value) in at_least_one {
            found.require(value > 0, path, "it must be at least 1");
        }
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

    /// All channels that are named here.
    pub fn named_channels(&self) -> impl Iterator<Item = &str> {
        let lists = self.channels.iter().chain(&self.dormant_channels).chain(&self.personal_channels);
        lists.chain(self.channel_limits.keys()).map(String::as_str)
    }

    /// The channels of a customer in a state in order of preference: first those that a rule or step names, then those of
    /// the policy, then any other; and the silent after all others. What the policy has for others and not for the dormant is
    /// not for the dormant.
    fn in_order<'c>(
        &self,
        own: OwnChannels,
        state: Option<LifecycleState>,
        reachable: &'c [String],
        is_silent: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = &'c str> {
        let is_dormant = state == Some(LifecycleState::Dormant);
        let usual = if is_dormant { &self.dormant_channels } else { &self.channels };
        let place = |list: &[String], channel: &String| list.iter().position(|name| name == channel);
        let preference = |(position, channel): (usize, &'c String)| {
            let named = own.named.and_then(|named| place(named, channel));
            let usual = place(usual, channel);
            let is_for_others = is_dormant && usual.is_none() && self.channels.contains(channel);
            let is_allowed = named.is_some() || !own.only && !is_for_others;
            // The others keep the order in which they were given.
            let preference = (is_silent(channel), named.unwrap_or(usize::MAX), usual.unwrap_or(usize::MAX), position);
            is_allowed.then_some((preference, channel))
        };
        let mut channels = memory::collect(reachable.iter().enumerate().filter_map(preference));
        memory::sort(&mut channels, |a, b| a.0.cmp(&b.0));
        channels.into_iter().map(|(_, channel)| channel.as_str())
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
    /// Her purchases, which are the answers to contacts.
    pub history: &'a PurchaseHistory,
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
        let complained_on = self.engagement.and_then(|engagement| complaint::open_since(engagement, self.as_of));
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

    /// Whether a contact is allowed; `None` where nothing is known about contacts. `countdown` is told from when on.
    pub fn is_allowed(&self, countdown: &Countdown) -> Option<bool> {
        match self.allowed_from() {
            Some(from) => {
                countdown.tell(from.days_since(self.as_of));
                Some(from <= self.as_of)
            }
            None => self.facts.log.map(|_| true),
        }
    }

    /// The first of her channels in order of preference that its limits allow on `as_of`; without one, the one that is
    /// allowed first, and the first day that is so. `None` where she can be reached over none, or channels are not tracked.
    /// `countdown` is told when it may be another one.
    pub fn channel(
        &self,
        own: OwnChannels,
        state: Option<LifecycleState>,
        countdown: &Countdown,
    ) -> Option<(&'a str, Day)> {
        let silent = self.silent_channels(countdown);
        let is_silent = |channel: &str| silent.iter().any(|response| response.channel == Some(channel));
        let mut first: Option<(&str, Day)> = None;
        for channel in self.policy.in_order(own, state, self.facts.channels?, is_silent) {
            let from = self.channel_allowed_from(channel).map_or(self.as_of, |from| from.max(self.as_of));
            countdown.tell(from.days_since(self.as_of));
            // The first of equals.
            if first.is_none_or(|(_, first_from)| from < first_from) {
                first = Some((channel, from));
            }
            if from == self.as_of {
                break;
            }
        }
        first
    }

    /// The channels over which so many contacts had no answer that another one is to be tried; `countdown` is told when there
    /// is one more.
    fn silent_channels(&self, countdown: &Countdown) -> Vec<ChannelResponse<'a>> {
        let Some(log) = self.facts.log.filter(|_| self.policy.unanswered_before_next_channel.is_some()) else {
            return Vec::new();
        };
        let mut responses = ChannelResponse::all(log, self.history, self.as_of, self.policy);
        responses.retain(|response| {
            response.gives_way_from.into_iter().for_each(|from| countdown.tell(from.days_since(self.as_of)));
            response.gives_way(self.policy)
        });
        responses
    }

    /// The first day after `as_of` on which a contact is known that is not known yet.
    pub fn next_known_on(&self) -> Option<Day> {
        let given = self.facts.last_contacted_on.filter(|&day| day > self.as_of);
        let logged = self.facts.log.and_then(|log| log.first_after(self.as_of));
        given.into_iter().chain(logged).min()
    }

    /// Whether the log has a contact over a personal channel on this day or later.
    pub fn had_personal_contact_since(&self, day: Day) -> bool {
        let last_on = |log: &ContactHistory| log.last_over(&self.policy.personal_channels, self.as_of);
        self.facts.log.and_then(last_on).is_some_and(|last| last >= day)
    }

    /// The channel that was chosen, and what it was chosen from, for explanations.
    pub fn channel_reasons(&self, own: OwnChannels, state: Option<LifecycleState>) -> Value {
        let (path, usual) = match state {
            Some(LifecycleState::Dormant) => ("contact.dormant_channels", &self.policy.dormant_channels),
            _ => ("contact.channels", &self.policy.channels),
        };
        let silent = self.silent_channels(&Countdown::default());
        let silent = silent.iter().filter_map(|response| Some((response.channel?, response.unanswered)));
        json!({
            "channel": self.channel(own, state, &Countdown::default()).map(|(channel, _)| channel),
            "named_by_rule": own.named,
            "only_channels": own.only,
            "preferred": usual,
            "preferred_by": path,
            "reachable": self.facts.channels,
            "unanswered": silent.collect::<BTreeMap<_, _>>(),
            "unanswered_before_next_channel": self.policy.unanswered_before_next_channel,
            "response_days": self.policy.response_days,
            "rule": "those that the rule names, then those preferred, then the customer's others; unanswered ones after all",
        })
    }
}

/// The day so many days later; the last there is where that is too late.
fn later(day: Day, days: u32) -> Day {
    day.plus(days.into()).unwrap_or(Day::LAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::NO_PURCHASES;
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
        let on = |day| ContactCalendar {
            facts,
            history: &NO_PURCHASES,
            engagement: Some(&complaint),
            as_of: Day(day),
            policy,
        };
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
            assert_eq!(on(day).is_allowed(&Countdown::default()), Some(from.is_none_or(|from| from <= day)), "{day}");
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
            ContactCalendar { facts, history: &NO_PURCHASES, engagement: None, as_of: Day(day), policy }
        };
        let named = OwnChannels { named: Some(&both), only: true };
        let channel = |day, channels| on(day, channels).channel(named, None, &Countdown::default());
        assert_eq!(channel(99, &both[..]), Some(("email", Day(99))));
        assert_eq!(channel(105, &both[..]), Some(("line", Day(105))));
        assert_eq!(channel(114, &both[..]), Some(("email", Day(114))));
        assert_eq!(channel(105, &both[..1]), Some(("email", Day(114))));
        assert_eq!(on(105, &both[..1]).allowed_from(), Some(Day(114)));
        assert_eq!(on(105, &both[..]).allowed_from(), Some(Day(103)));
        assert_eq!(channel(105, &[]), None);
    }

    /// The channel for somebody in a state who can be reached over `reachable`, where a rule names `named`.
    fn chosen(reachable: &str, named: Option<&str>, only: bool, state: LifecycleState) -> Option<String> {
        let list = |names: &str| names.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (reachable, named) = (list(reachable), named.map(list));
        let document = Document::empty();
        let facts = ContactFacts { channels: Some(&reachable), ..ContactFacts::default() };
        let policy = &document.policy().unwrap().contact;
        let calendar = ContactCalendar { facts, history: &NO_PURCHASES, engagement: None, as_of: Day(9), policy };
        let own = OwnChannels { named: named.as_deref(), only };
        calendar.channel(own, Some(state), &Countdown::default()).map(|(channel, _)| channel.to_owned())
    }

    #[test]
    fn channels_of_a_rule_are_a_preference_and_those_of_the_policy_come_next() {
        use LifecycleState::{Active, Dormant};
        let chosen = |reachable, named, only, state| chosen(reachable, named, only, state).unwrap_or_default();
        let personal = Some("phone postal");
        assert_eq!(chosen("email postal phone", personal, false, Active), "phone");
        assert_eq!(chosen("fax sms line", personal, false, Active), "line");
        assert_eq!(chosen("telex fax", personal, false, Active), "telex");
        assert_eq!(chosen("sms email", personal, true, Active), "");
        assert_eq!(chosen("sms postal", personal, true, Active), "postal");
        assert_eq!(chosen("sms email", None, false, Active), "email");
        assert_eq!(chosen("social", None, false, Active), "social");
        // Social media are for the others, unless the rule itself says so.
        assert_eq!(chosen("social", personal, false, Dormant), "");
        assert_eq!(chosen("social fax", personal, false, Dormant), "fax");
        assert_eq!(chosen("email social", Some("social"), false, Dormant), "social");
        assert_eq!(chosen("email postal", None, false, Dormant), "postal");
    }

    #[test]
    fn a_channel_without_answers_gives_way() {
        let chosen = |named: &str, only, limit: &str, silent: &[(i32, &str)]| {
            let policy = format!(r#"{{"contact": {{"response_days": 5, "unanswered_before_next_channel": {limit}}}}}"#);
            let document = Document::parse(&policy).unwrap();
            let named = named.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let (log, reachable) = (log(silent), ["postal", "email", "line"].map(str::to_owned));
            let facts = ContactFacts { channels: Some(&reachable), log: Some(&log), ..ContactFacts::default() };
            let policy = &document.policy().unwrap().contact;
            let calendar = ContactCalendar { facts, history: &NO_PURCHASES, engagement: None, as_of: Day(100), policy };
            let own = OwnChannels { named: Some(&named), only };
            calendar.channel(own, None, &Countdown::default()).unwrap().0.to_owned()
        };
        let two = [(10, "email"), (20, "email")];
        assert_eq!(chosen("email", false, "3", &two), "email");
        assert_eq!(chosen("email", false, "2", &two), "line");
        assert_eq!(chosen("email postal", false, "2", &two), "postal");
        assert_eq!(chosen("email", false, "null", &two), "email");
        // No others will do, but of several the next one does.
        assert_eq!(chosen("email", true, "2", &two), "email");
        assert_eq!(chosen("email postal", true, "2", &two), "postal");
        // Where none answers the preference holds again.
        let all = [(10, "email"), (20, "line"), (30, "postal")];
        assert_eq!(chosen("email postal", false, "1", &all), "email");
        // Five days are not over.
        assert_eq!(chosen("email", false, "2", &[(10, "email"), (96, "email")]), "email");
        assert_eq!(chosen("email", false, "2", &[(10, "email"), (95, "email")]), "line");
    }

    #[test]
    fn a_resolved_complaint_ends_the_quiet_days() {
        let document = Document::empty();
        let policy = &document.policy().unwrap().contact;
        let events = |resolved: Option<i32>| {
            let resolved = resolved.map(|day| ("complaint_resolved", Day(day), 1));
            EngagementHistory::new([("complaint", Day(100), 1)].into_iter().chain(resolved)).unwrap()
        };
        let from = |events: &EngagementHistory| {
            let facts = ContactFacts::default();
            ContactCalendar { facts, history: &NO_PURCHASES, engagement: Some(events), as_of: Day(110), policy }
                .allowed_from()
        };
        assert_eq!(from(&events(None)), Some(Day(130)));
        assert_eq!(from(&events(Some(111))), Some(Day(130)));
        assert_eq!(from(&events(Some(110))), None);
    }

    #[test]
    fn a_call_is_personal_and_a_newsletter_is_not() {
        let document = Document::empty();
        let policy = &document.policy().unwrap().contact;
        let log = log(&[(100, "phone"), (104, "email"), (120, "postal")]);
        let facts = ContactFacts { log: Some(&log), ..ContactFacts::default() };
        let since = |day, as_of| {
            ContactCalendar { facts, history: &NO_PURCHASES, engagement: None, as_of: Day(as_of), policy }
                .had_personal_contact_since(Day(day))
        };
        assert!(since(100, 104) && since(101, 120));
        assert!(!since(101, 119));
    }

    #[test]
    fn what_is_not_tracked_is_unknown() {
        let document = Document::empty();
        let policy = &document.policy().unwrap().contact;
        let calendar =
            |facts| ContactCalendar { facts, history: &NO_PURCHASES, engagement: None, as_of: Day(9), policy };
        assert_eq!(calendar(ContactFacts::default()).is_allowed(&Countdown::default()), None);
        let never = ContactHistory::default();
        let facts = ContactFacts { log: Some(&never), ..ContactFacts::default() };
        assert_eq!(
            (calendar(facts).is_allowed(&Countdown::default()), calendar(facts).days_since_contact()),
            (Some(true), None)
        );
        let facts = ContactFacts { last_contacted_on: Some(Day(8)), ..facts };
        assert_eq!(
            (calendar(facts).is_allowed(&Countdown::default()), calendar(facts).days_since_contact()),
            (Some(false), Some(1))
        );
    }
}
