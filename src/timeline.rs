//! The lifecycle over time: which state from when to when.

use crate::customer::{Customer, Walk};
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
    walk: Walk<'a>,
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
        let walk = Walk::new(Some(history), policy, engagement, memberships);
        Ok(Timeline { walk, happenings, next: Some(from), to })
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
        let customer = self.walk.on(from);
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
    fn from_after_to_is_refused() {
        let document = Document::empty();
        let refused = Timeline::new(None, Day(2), Day(1), document.policy().unwrap(), None, None);
        assert_eq!(refused.err().unwrap().kind, ErrorKind::InvalidParameter);
    }
}
