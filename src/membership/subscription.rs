//! Subscriptions in a log of memberships: when one began and ended, and who ends one in which month or cycle.

use chrono::{Datelike, Days, Months};

use super::{Membership, MembershipHistory, MembershipPeriod};
use crate::calendar::{MAX_STEPS, Step};
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::labels::labels;

labels! {
    /// What the beginning of a membership is in the life of a customer.
    Moment "moment" {
        /// Subscribes for the first time.
        Joined = "joined", "Joined", "入会";
        /// Pauses the subscription.
        Paused = "paused", "Paused", "休会";
        /// Goes on with a subscription that was paused.
        Returned = "returned", "Returned", "休会から復帰";
        /// Ends the subscription.
        Withdrew = "withdrew", "Withdrew", "退会";
        /// Subscribes again after having ended a subscription.
        Rejoined = "rejoined", "Rejoined", "再入会";
        /// Buys without a subscription from now on.
        WentAdHoc = "went_ad_hoc", "Went ad hoc", "都度購入へ";
    }
}

impl Membership {
    /// Whether there is a subscription, paused or not.
    pub fn is_subscription(self) -> bool {
        matches!(self, Membership::Continuing | Membership::Paused)
    }
}

/// A subscription: from the first day on which she is continuing or paused to the day on which she is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its first day.
    pub from: Day,
    /// The first day without it; `None` while it runs.
    pub ended_on: Option<Day>,
}

impl Subscription {
    fn runs_on(self, day: Day) -> bool {
        self.from <= day && self.ended_on.is_none_or(|ended_on| day < ended_on)
    }
}

/// A subscription at the beginning of a calendar month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionMonth {
    /// The first day of the month.
    pub month: Day,
    /// The membership on the day before it: continuing or paused.
    pub membership: Membership,
    /// The membership on its last day; `None` while that day is not over.
    pub at_end: Option<Membership>,
    /// Whether the subscription ended in the month; `None` while the month is not over.
    pub has_ended: Option<bool>,
}

/// A subscription at the beginning of one of its cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionCycle {
    /// Which subscription of hers, from 1.
    pub subscription: i32,
    /// Which cycle of it, from 1.
    pub cycle: i32,
    /// The first day of the cycle.
    pub from: Day,
    /// Whether the subscription ended before the next cycle began; `None` while that day is to come.
    pub has_ended: Option<bool>,
}

impl MembershipHistory {
    /// Her subscriptions up to `as_of`, oldest first.
    pub fn subscriptions(&self, as_of: Day) -> impl Iterator<Item = Subscription> {
        let mut periods = self.periods(as_of).peekable();
        std::iter::from_fn(move || {
            let from = periods.find(|period| period.membership.is_subscription())?.since;
            while periods.next_if(|period| period.membership.is_subscription()).is_some() {}
            Some(Subscription { from, ended_on: periods.peek().map(|period| period.since) })
        })
    }

    /// Her memberships up to `as_of` and what the beginning of each was, oldest first.
    pub fn moments(&self, as_of: Day) -> impl Iterator<Item = (MembershipPeriod, Moment)> {
        let (mut before, mut has_ended_one) = (None, false);
        self.periods(as_of).map(move |period| {
            let was_subscribed = before.replace(period.membership).is_some_and(Membership::is_subscription);
            has_ended_one |= was_subscribed && !period.membership.is_subscription();
            has_ended_one |= period.membership == Membership::Withdrawn;
            let moment = match period.membership {
                Membership::Paused => Moment::Paused,
                Membership::Withdrawn => Moment::Withdrew,
                Membership::AdHoc => Moment::WentAdHoc,
                Membership::Continuing if was_subscribed => Moment::Returned,
                Membership::Continuing if has_ended_one => Moment::Rejoined,
                Membership::Continuing => Moment::Joined,
            };
            (period, moment)
        })
    }

    /// The calendar months up to that of `as_of`, and of the year 9999 at most, before whose first day she was
    /// subscribed, oldest first.
    ///
    /// Whether a month is over depends on the calendar alone, never on what she did.
    pub fn subscription_months(&self, as_of: Day) -> impl Iterator<Item = SubscriptionMonth> {
        let as_of = as_of.min(Day::MAX);
        self.subscriptions(as_of).flat_map(move |subscription| {
            let first = subscription.from.date().and_then(|date| date.with_day(1));
            (1..).map_while(move |n| {
                let first = first?.checked_add_months(Months::new(n))?;
                let last = first.checked_add_months(Months::new(1))?.checked_sub_days(Days::new(1))?;
                let (month, last) = (Day::of(first), Day::of(last));
                let eve = month.plus(-1).filter(|&eve| month <= as_of && subscription.runs_on(eve))?;
                let is_over = last <= as_of;
                Some(SubscriptionMonth {
                    month,
                    membership: self.on(eve)?,
                    at_end: self.on(last).filter(|_| is_over),
                    has_ended: is_over.then(|| !subscription.runs_on(last)),
                })
            })
        })
    }

    /// The cycles of so much time each of all her subscriptions that began up to `as_of`, oldest first: those on whose
    /// first day the subscription ran. Time that is paused counts.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] beyond [`MAX_STEPS`] cycles of one subscription.
    pub fn subscription_cycles(&self, cycle: Step, as_of: Day) -> impl Iterator<Item = Result<SubscriptionCycle>> {
        (1..).zip(self.subscriptions(as_of)).flat_map(move |(number, subscription)| {
            (1..).map_while(move |n| {
                let begins = |n: i32| cycle.times(subscription.from, n as u32);
                let from = begins(n - 1).filter(|&day| day <= as_of && subscription.runs_on(day))?;
                if n as usize > MAX_STEPS {
                    let message = format!("more than {MAX_STEPS} cycles from {} to {as_of}", subscription.from);
                    return Some(Err(Error::new(ErrorKind::LimitExceeded, message).hint("Take a longer cycle.")));
                }
                let next = begins(n).filter(|&day| day <= as_of);
                let has_ended = next.map(|next| !subscription.runs_on(next));
                Some(Ok(SubscriptionCycle { subscription: number, cycle: n, from, has_ended }))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    /// Joined, paused, back, left; two years later back again.
    fn life() -> MembershipHistory {
        r#"{"2024-01-15": "continuing", "2024-03-20": "paused", "2024-05-02": "continuing", "2024-06-30": "withdrawn",
            "2026-07-01": "continuing", "2026-08-01": "ad_hoc"}"#
            .parse()
            .unwrap()
    }

    #[test]
    fn a_pause_does_not_end_a_subscription() {
        let subscriptions = |as_of| {
            let found = life().subscriptions(day(as_of)).collect::<Vec<_>>();
            found.iter().map(|s| (s.from.to_string(), s.ended_on.map(|day| day.to_string()))).collect::<Vec<_>>()
        };
        let row = |from: &str, ended_on: Option<&str>| (from.to_owned(), ended_on.map(str::to_owned));
        assert_eq!(subscriptions("2024-01-14"), []);
        assert_eq!(subscriptions("2024-06-29"), [row("2024-01-15", None)]);
        assert_eq!(
            subscriptions("2026-12-31"),
            [row("2024-01-15", Some("2024-06-30")), row("2026-07-01", Some("2026-08-01"))]
        );
    }

    #[test]
    fn moments_of_a_life() {
        let life = life();
        let moments = life.moments(Day::MAX).map(|(_, moment)| moment.name()).collect::<Vec<_>>();
        assert_eq!(moments, ["joined", "paused", "returned", "withdrew", "rejoined", "went_ad_hoc"]);
        let ad_hoc_first: MembershipHistory =
            r#"{"2024-01-01": "ad_hoc", "2024-02-01": "continuing", "2024-03-01": "ad_hoc", "2024-04-01": "continuing"}"#
                .parse()
                .unwrap();
        let moments = ad_hoc_first.moments(Day::MAX).map(|(_, moment)| moment.name()).collect::<Vec<_>>();
        assert_eq!(moments, ["went_ad_hoc", "joined", "went_ad_hoc", "rejoined"]);
    }

    #[test]
    fn months_are_judged_when_they_are_over() {
        let months = |as_of| {
            let rows = life().subscription_months(day(as_of)).collect::<Vec<_>>();
            let told = rows.iter().map(|row| {
                let at_end = row.at_end.map_or("?", Membership::name);
                format!("{} {} {at_end} {:?}", row.month, row.membership.name(), row.has_ended)
            });
            told.collect::<Vec<_>>()
        };
        assert_eq!(months("2024-01-31"), [""; 0]);
        assert_eq!(months("2024-02-28"), ["2024-02-01 continuing ? None"]);
        assert_eq!(
            months("2024-06-29"),
            [
                "2024-02-01 continuing continuing Some(false)",
                "2024-03-01 continuing paused Some(false)",
                "2024-04-01 paused paused Some(false)",
                "2024-05-01 paused continuing Some(false)",
                "2024-06-01 continuing ? None",
            ]
        );
        assert_eq!(
            months("2026-12-31")[4..],
            ["2024-06-01 continuing withdrawn Some(true)", "2026-08-01 continuing ad_hoc Some(true)"]
        );
    }

    #[test]
    fn cycles_are_judged_when_the_next_one_begins() {
        let step = Step::new(2, 0, 0).unwrap();
        let cycles = |as_of| {
            let life = life();
            let rows = life.subscription_cycles(step, day(as_of)).map(|row| row.unwrap());
            rows.map(|row| format!("{}.{} {} {:?}", row.subscription, row.cycle, row.from, row.has_ended))
                .collect::<Vec<_>>()
        };
        assert_eq!(cycles("2024-03-14"), ["1.1 2024-01-15 None"]);
        assert_eq!(cycles("2024-03-15"), ["1.1 2024-01-15 Some(false)", "1.2 2024-03-15 None"]);
        assert_eq!(
            cycles("2026-09-01"),
            [
                "1.1 2024-01-15 Some(false)",
                "1.2 2024-03-15 Some(false)",
                "1.3 2024-05-15 Some(true)",
                "2.1 2026-07-01 Some(true)"
            ]
        );
        // Who ended it early is judged no earlier than the others.
        assert_eq!(cycles("2024-07-14").last().unwrap(), "1.3 2024-05-15 None");
        let daily = Step::new(0, 1, 0).unwrap();
        let forever = MembershipHistory::new([(Day::MIN, Membership::Continuing)]).unwrap();
        let error = forever.subscription_cycles(daily, Day::MAX).find_map(|row| row.err()).unwrap();
        assert_eq!(error.kind, ErrorKind::LimitExceeded);
    }
}
