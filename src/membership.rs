//! What a customer's subscription is like, today or on each day of the past.

mod history;
mod subscription;

pub use history::{Entered, MembershipHistory, MembershipPeriod};
pub use subscription::{Moment, Subscription, SubscriptionCycle, SubscriptionMonth};

use crate::day::Day;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::labels::labels;

labels! {
    /// A customer's membership; unknown is written as NULL (`None`).
    Membership "membership" {
        /// Subscribes (code 01).
        Continuing = "continuing", "Continuing", "継続中";
        /// Has paused the subscription (code 02).
        Paused = "paused", "Paused", "休会中";
        /// Has ended the subscription (code 03).
        Withdrawn = "withdrawn", "Withdrawn", "退会済";
        /// Buys without a subscription.
        AdHoc = "ad_hoc", "Ad hoc", "都度購入";
    }
}

impl Membership {
    /// The codes that mail-order systems use.
    pub const CODES: [(&str, Membership); 3] =
        [("01", Membership::Continuing), ("02", Membership::Paused), ("03", Membership::Withdrawn)];

    /// Reads a name, or one of the [`Membership::CODES`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let coded = Self::CODES.into_iter().find(|&(code, _)| code == text);
        coded.map_or_else(|| Membership::from_name(text), |(_, membership)| Ok(membership)).map_err(|_| {
            Error::new(ErrorKind::InvalidParameter, format!("unknown membership: {}", shown(text)))
                .hint("Use continuing (01), paused (02), withdrawn (03) or ad_hoc; NULL where it is unknown.")
        })
    }
}

/// What is known of a customer's membership.
#[derive(Clone, Copy, Debug)]
pub enum KnownMembership<'a> {
    /// The same on every day, because only today's is known; `None` where not even that is.
    Always(Option<Membership>),
    /// That of each day.
    Logged(&'a MembershipHistory),
}

impl<'a> KnownMembership<'a> {
    /// What a log says, and where there is none, what the membership is said to be.
    pub fn new(membership: Option<Membership>, log: Option<&'a MembershipHistory>) -> Self {
        log.map_or(KnownMembership::Always(membership), KnownMembership::Logged)
    }

    /// The membership of a day; `None` where it is unknown.
    pub fn on(self, day: Day) -> Option<Membership> {
        match self {
            KnownMembership::Always(membership) => membership,
            KnownMembership::Logged(log) => log.on(day),
        }
    }

    /// The first day of the membership that she has on `as_of`, and the one before it; `None` where that is not known.
    pub fn since(self, as_of: Day) -> Option<(Day, Option<Membership>)> {
        match self {
            KnownMembership::Always(_) => None,
            KnownMembership::Logged(log) => log.since(as_of),
        }
    }

    /// The first day after `day` on which something is entered.
    pub fn first_after(self, day: Day) -> Option<Day> {
        match self {
            KnownMembership::Always(_) => None,
            KnownMembership::Logged(log) => log.first_after(day),
        }
    }

    /// The last day up to `day` on which something was entered.
    pub fn last_until(self, day: Day) -> Option<Day> {
        match self {
            KnownMembership::Always(_) => None,
            KnownMembership::Logged(log) => log.last_until(day),
        }
    }

    /// The days on which something was entered.
    pub fn days(self) -> impl Iterator<Item = Day> {
        let log = match self {
            KnownMembership::Always(_) => None,
            KnownMembership::Logged(log) => Some(log),
        };
        log.into_iter().flat_map(|log| log.entries().map(|(day, _)| day))
    }
}

impl From<Option<Membership>> for KnownMembership<'_> {
    fn from(membership: Option<Membership>) -> Self {
        KnownMembership::Always(membership)
    }
}
