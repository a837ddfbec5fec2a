//! The lifecycle over time: which state from when to when, since when, and what it was before.

use crate::customer::Customer;
use crate::day::Day;
use crate::engagement::EngagementHistory;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{NO_PURCHASES, PurchaseHistory};
use crate::lifecycle::LifecycleState;
use crate::membership::KnownMembership;
use crate::memory;
use crate::policy::Policy;

/// A stretch of days in one lifecycle state, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The state.
    pub state: LifecycleState,
    /// Its first day, within what was asked for.
    pub from: Day,
    /// Its last day, within what was asked for.
    pub to: Day,
}

/// A customer's states from a day to a day, oldest first, without a gap: an iterator over stretches, of which neighbors
/// may have the same state until [`merged`].
///
/// The membership is that of each day where there is a log of it; otherwise it is today's.
pub struct Timeline<'a> {
    history: &'a PurchaseHistory,
    policy: &'a Policy,
    engagement: Option<&'a EngagementHistory>,
    memberships: KnownMembership<'a>,
    /// Days on which something happens, latest first.
    happenings: Vec<Day>,
    /// The first day not yet told.
    next: Option<Day>,
    to: Day,
}

impl<'a> Timeline<'a> {
    /// The states from `from` to `to`, both included.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] when `from` is after `to`.
    pub fn new(
        history: Option<&'a PurchaseHistory>,
        from: Day,
        to: Day,
        policy: &'a Policy,
        engagement: Option<&'a EngagementHistory>,
        membership: impl Into<KnownMembership<'a>>,
    ) -> Result<Self> {
        if from > to {
            return Err(Error::new(ErrorKind::InvalidParameter, format!("from_day {from} is after to_day {to}"))
                .hint("Both days are included; give the earlier one first."));
        }
        let (history, memberships) = (history.unwrap_or(&NO_PURCHASES), membership.into());
        let days = history.days().iter().map(|entry| entry.day);
        let events = engagement.into_iter().flat_map(|engagement| engagement.entries().map(|(_, day, _)| day));
        let mut happenings =
            memory::collect(days.chain(events).chain(memberships.days()).filter(|&day| day > from && day <= to));
        memory::sort(&mut happenings, |a, b| b.cmp(a));
        Ok(Timeline { history, policy, engagement, memberships, happenings, next: Some(from), to })
    }

    /// Timelines that all end on `as_of` and begin ever earlier: on the last purchase day, the second to last, the fourth to
    /// last and so on, and finally on the day before the first, when the customer still was a prospect. None for a prospect.
    ///
    /// The last change of state is found in the first of them that has one, mostly without reading the history from its start.
    pub fn ever_longer_tails(
        history: Option<&'a PurchaseHistory>,
        as_of: Day,
        policy: &'a Policy,
        engagement: Option<&'a EngagementHistory>,
        membership: impl Into<KnownMembership<'a>>,
    ) -> impl Iterator<Item = Self> {
        let memberships = membership.into();
        let until = history.map_or(&[][..], |history| history.until(as_of));
        let bought = memory::collect(until.iter().filter(|entry| entry.orders > 0).map(|entry| entry.day));
        let doubling = std::iter::successors(Some(1), |back| Some(back * 2)).take_while({
            let purchases = bought.len();
            move |&back| back <= purchases
        });
        let before_first = bought.first().and_then(|first| first.plus(-1));
        let starts: Vec<Day> = doubling.map(|back| bought[bought.len() - back]).chain(before_first).collect();
        starts.into_iter().filter_map(move |from| Self::new(history, from, as_of, policy, engagement, memberships).ok())
    }

    fn customer_on(&self, day: Day) -> Customer<'a> {
        Customer::new(Some(self.history), day, self.policy, self.engagement, self.memberships)
    }

    /// The next day on which the state can be another than on the day of `customer`.
    fn next_change(&mut self, day: Day, customer: &Customer) -> Option<Day> {
        while self.happenings.last().is_some_and(|&happening| happening <= day) {
            self.happenings.pop();
        }
        let happening = self.happenings.last().copied();
        // Nothing happens before the next happening, so until then the forecast is what comes.
        let transition = customer.next_transition_on().filter(|&day| day <= self.to);
        happening.into_iter().chain(transition).min()
    }
}

impl Iterator for Timeline<'_> {
    type Item = Stretch;

    fn next(&mut self) -> Option<Stretch> {
        let from = self.next?;
        let customer = self.customer_on(from);
        self.next = self.next_change(from, &customer);
        let to = self.next.and_then(|change| change.plus(-1)).unwrap_or(self.to);
        Some(Stretch { state: customer.lifecycle_state(), from, to })
    }
}

/// Joins neighbors of the same state.
pub fn merged(stretches: impl Iterator<Item = Stretch>) -> impl Iterator<Item = Stretch> {
    let mut stretches = stretches.peekable();
    std::iter::from_fn(move || {
        let mut joined = stretches.next()?;
        while let Some(next) = stretches.next_if(|next| next.state == joined.state) {
            joined.to = next.to;
        }
        Some(joined)
    })
}

/// Since when a customer is in her present state, and which state it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// The first day of the present state.
    pub since: Day,
    /// The state before.
    pub previous: LifecycleState,
}

impl Since {
    /// The last change of state in a tail of a timeline; `None` where the tail has one state only.
    pub fn of(tail: impl Iterator<Item = Stretch>) -> Option<Self> {
        let (mut before, mut present) = (None, None);
        for stretch in merged(tail) {
            before = present.replace(stretch);
        }
        Some(Since { since: present?.from, previous: before?.state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::PurchaseDay;
    use crate::policy::Document;

    fn history(days: &[i32]) -> PurchaseHistory {
        let rows = days.iter().map(|&day| PurchaseDay::of_row(Day(day), Some(100), None));
        PurchaseHistory::new(0, rows.collect()).unwrap()
    }

    fn told(days: &[i32], from: i32, to: i32) -> Vec<(&'static str, i32, i32)> {
        let document = Document::empty();
        let h = history(days);
        merged(Timeline::new(Some(&h), Day(from), Day(to), document.policy().unwrap(), None, None).unwrap())
            .map(|stretch| (stretch.state.name(), stretch.from.0, stretch.to.0))
            .collect()
    }

    #[test]
    fn a_life_in_states() {
        assert_eq!(
            told(&[100, 110, 120, 300], 90, 400),
            [
                ("prospect", 90, 99),
                ("new", 100, 119),
                ("active", 120, 150),
                ("at_risk", 151, 180),
                ("dormant", 181, 299),
                ("winback", 300, 330),
                ("at_risk", 331, 360),
                ("dormant", 361, 400),
            ]
        );
        assert_eq!(told(&[100], 200, 200), [("dormant", 200, 200)]);
        assert_eq!(told(&[], 0, 36_500), [("prospect", 0, 36_500)]);
    }

    #[test]
    fn since_and_before() {
        let document = Document::empty();
        let policy = document.policy().unwrap();
        let h = history(&[100, 110, 120, 300]);
        let asked = |day| Timeline::ever_longer_tails(Some(&h), Day(day), policy, None, None).find_map(Since::of);
        let found = |since, previous| Some(Since { since: Day(since), previous });
        assert_eq!(asked(99), None);
        assert_eq!(asked(105), found(100, LifecycleState::Prospect));
        assert_eq!(asked(150), found(120, LifecycleState::New));
        assert_eq!(asked(400), found(361, LifecycleState::AtRisk));
    }

    #[test]
    fn from_after_to_is_refused() {
        let document = Document::empty();
        let refused = Timeline::new(None, Day(2), Day(1), document.policy().unwrap(), None, None);
        assert_eq!(refused.err().unwrap().kind, ErrorKind::InvalidParameter);
    }
}
