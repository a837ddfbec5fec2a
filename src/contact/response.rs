//! Who answered which contact: a purchase is the answer to the last contact before it.

use crate::contact::{Contact, ContactHistory};
use crate::day::Day;
use crate::history::PurchaseHistory;
use crate::host::Steps;
use crate::memory;

/// A day on which a customer was contacted, over whichever channels, and what came of it.
///
/// Contacts of one day are one: nobody can tell which of them was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactDay {
    /// The day.
    pub on: Day,
    /// The first purchase day after it, up to the next contact and within the days given for an answer.
    pub answered_on: Option<Day>,
    /// The day on which these days are over.
    judged_on: Day,
    /// Whether they are over. It depends on the calendar alone: otherwise those who are quick would be judged before
    /// those who are not.
    pub is_judged: bool,
}

impl ContactDay {
    /// The days with a contact up to `as_of`, in order. A purchase on the day of a contact is no answer to it.
    pub fn all(log: &ContactHistory, history: &PurchaseHistory, as_of: Day, policy: &Contact) -> Vec<Self> {
        let mut days = memory::collect(log.channels_and_days(as_of).map(|(_, day)| day));
        memory::sort(&mut days, Ord::cmp);
        days.dedup();
        let until = history.until(as_of);
        let (mut purchase_days, mut steps) =
            (until.iter().filter(|entry| entry.is_purchase_day()).peekable(), Steps::default());
        memory::collect(days.iter().enumerate().map(|(place, &on)| {
            while purchase_days.next_if(|entry| entry.day <= on).is_some() {
                steps.step();
            }
            let last = on.plus(policy.response_days.into()).unwrap_or(Day::LAST);
            let until = days.get(place + 1).map_or(last, |&next| next.min(last));
            let answered_on = purchase_days.peek().map(|entry| entry.day).filter(|&day| day <= until);
            ContactDay { on, answered_on, judged_on: last, is_judged: last <= as_of }
        }))
    }

    /// Whether it was answered; `None` while that cannot be judged.
    pub fn is_answered(&self) -> Option<bool> {
        self.is_judged.then_some(self.answered_on.is_some())
    }
}

/// How a customer answers over one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelResponse<'a> {
    /// The channel; `None` is an unknown one.
    pub channel: Option<&'a str>,
    /// Days with a contact over it.
    pub contacts: u32,
    /// How many of them can be judged.
    pub judged: u32,
    /// How many of those were answered.
    pub answered: u32,
    /// How many of those that can be judged came after the last that was answered.
    pub unanswered: u32,
    /// The last contact.
    pub last_contacted_on: Day,
    /// The day of the last answer.
    pub last_answered_on: Option<Day>,
    /// The day from which on it gives way; `None` where that takes more contacts.
    pub(super) gives_way_from: Option<Day>,
}

impl<'a> ChannelResponse<'a> {
    /// One for each channel over which the log has a contact up to `as_of`, in order of name, the unknown one last.
    pub fn all(log: &'a ContactHistory, history: &PurchaseHistory, as_of: Day, policy: &Contact) -> Vec<Self> {
        let days = ContactDay::all(log, history, as_of, policy);
        let mut contacts = memory::collect(log.channels_and_days(as_of));
        memory::sort(&mut contacts, |a, b| (a.0.is_none(), a).cmp(&(b.0.is_none(), b)));
        contacts.dedup();
        let by_channel = contacts.chunk_by(|a, b| a.0 == b.0);
        memory::collect(by_channel.map(|contacts| Self::of(contacts, &days, policy)))
    }

    /// Whether another channel is to be tried before this one, which is known.
    pub fn gives_way(&self, policy: &Contact) -> bool {
        self.channel.is_some() && policy.unanswered_before_next_channel.is_some_and(|limit| self.unanswered >= limit)
    }

    /// That of one channel, from its contacts in order of day, which are among `days`.
    fn of(contacts: &[(Option<&'a str>, Day)], days: &[ContactDay], policy: &Contact) -> Self {
        let (channel, first) = contacts[0];
        let (mut response, mut steps) = (ChannelResponse::none(channel, first), Steps::default());
        // Those without an answer since the last one, whether it can be judged or not.
        let mut silent = 0;
        for &(_, on) in contacts {
            steps.step();
            let day = days[days.partition_point(|day| day.on < on)];
            response.contacts += 1;
            response.last_contacted_on = on;
            response.judged += u32::from(day.is_judged);
            response.answered += u32::from(day.is_answered() == Some(true));
            match day.answered_on {
                Some(_) => {
                    (response.last_answered_on, response.unanswered) = (day.answered_on, 0);
                    (response.gives_way_from, silent) = (None, 0);
                }
                None => {
                    response.unanswered += u32::from(day.is_judged);
                    silent += 1;
                    if channel.is_some() && policy.unanswered_before_next_channel == Some(silent) {
                        response.gives_way_from = Some(day.judged_on);
                    }
                }
            }
        }
        response
    }

    fn none(channel: Option<&'a str>, last_contacted_on: Day) -> Self {
        ChannelResponse {
            channel,
            contacts: 0,
            judged: 0,
            answered: 0,
            unanswered: 0,
            last_contacted_on,
            last_answered_on: None,
            gives_way_from: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::PurchaseDay;
    use crate::policy::Document;

    fn log(text: &[(i32, &str)]) -> ContactHistory {
        let day = |on: i32| Day(8_000 + on);
        let entries = text.iter().map(|(on, channel)| match *channel {
            "holdout" => format!(r#"{{"on": "{}", "group": "holdout"}}"#, day(*on)),
            "" => format!(r#"{{"on": "{}"}}"#, day(*on)),
            channel => format!(r#"{{"on": "{}", "channel": "{channel}"}}"#, day(*on)),
        });
        format!("[{}]", entries.collect::<Vec<_>>().join(", ")).parse().unwrap()
    }

    fn history(days: &[i32]) -> PurchaseHistory {
        let days = days.iter().map(|&day| PurchaseDay::of_row(Day(8_000 + day), Some(100), None));
        PurchaseHistory::new(0, days.collect()).unwrap()
    }

    /// Channel, contacts, judged, answered, unanswered, day of the last answer; with ten days for an answer.
    type Row = (String, u32, u32, u32, u32, Option<i32>);

    fn responses(contacts: &[(i32, &str)], bought: &[i32], as_of: i32) -> Vec<Row> {
        let document = Document::parse(r#"{"contact": {"response_days": 10}}"#).unwrap();
        let policy = &document.policy().unwrap().contact;
        let (log, history) = (log(contacts), history(bought));
        let all = ChannelResponse::all(&log, &history, Day(8_000 + as_of), policy);
        let row = |r: &ChannelResponse| {
            let channel = r.channel.unwrap_or("-").to_owned();
            (channel, r.contacts, r.judged, r.answered, r.unanswered, r.last_answered_on.map(|day| day.0 - 8_000))
        };
        all.iter().map(row).collect()
    }

    fn row(channel: &str, contacts: u32, judged: u32, answered: u32, unanswered: u32, on: Option<i32>) -> Row {
        (channel.to_owned(), contacts, judged, answered, unanswered, on)
    }

    #[test]
    fn a_purchase_answers_the_last_contact_before_it() {
        let two = [(0, "email"), (5, "postal")];
        assert_eq!(responses(&two, &[6], 99), [row("email", 1, 1, 0, 1, None), row("postal", 1, 1, 1, 0, Some(6))]);
        // On the day of a contact it answers the one before.
        assert_eq!(responses(&two, &[5], 99), [row("email", 1, 1, 1, 0, Some(5)), row("postal", 1, 1, 0, 1, None)]);
        // Within ten days.
        assert_eq!(responses(&two[..1], &[10], 99)[0], row("email", 1, 1, 1, 0, Some(10)));
        assert_eq!(responses(&two[..1], &[0, 11], 99)[0], row("email", 1, 1, 0, 1, None));
        // Of one day, both; the same channel twice is one.
        let day = [(0, "sms"), (0, ""), (0, "sms")];
        assert_eq!(responses(&day, &[3], 99), [row("sms", 1, 1, 1, 0, Some(3)), row("-", 1, 1, 1, 0, Some(3))]);
        assert_eq!(responses(&[(0, "email"), (3, "holdout")], &[4], 99), [row("email", 1, 1, 1, 0, Some(4))]);
    }

    #[test]
    fn what_is_not_over_is_not_judged_but_ends_the_silence() {
        let contacts = [(0, "email"), (20, "email"), (40, "email")];
        assert_eq!(responses(&contacts, &[], 49), [row("email", 3, 2, 0, 2, None)]);
        assert_eq!(responses(&contacts, &[], 50), [row("email", 3, 3, 0, 3, None)]);
        assert_eq!(responses(&contacts, &[41], 45), [row("email", 3, 2, 0, 0, Some(41))]);
        assert_eq!(responses(&contacts, &[41], 40), [row("email", 3, 2, 0, 2, None)]);
        assert_eq!(responses(&contacts, &[25], 99), [row("email", 3, 3, 1, 1, Some(25))]);
        assert_eq!(responses(&contacts, &[25], -1), []);
    }
}
