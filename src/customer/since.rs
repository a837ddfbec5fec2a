//! Since when a customer is in her lifecycle state, and which state it was before: her life is walked back to the first other
//! state.

use crate::customer::Customer;
use crate::day::Day;
use crate::host;
use crate::lifecycle::LifecycleState;
use crate::memory;

/// So many days on which something happened are looked at together at first: with them most states are found to begin.
const FIRST_DAYS: usize = 4;

/// At most so many are: each needs memory.
const MOST_DAYS: usize = 10_000;

/// Since when a customer is in her present state, and which state it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// The first day of the present state.
    pub since: Day,
    /// The state before.
    pub previous: LifecycleState,
}

impl<'a> Customer<'a> {
    /// Since when she is in the state of her day; `None` for a prospect. The state of each day is that which she had as known on
    /// it, as in a [`Timeline`](crate::timeline::Timeline).
    pub fn since(&self) -> Option<Since> {
        let first = self.purchases()?.first;
        let mut to = self.as_of();
        let latest = self.on_another_day(self.last_happening(to)?);
        let state = latest.on_another_day(to).lifecycle_state();
        // Most have changed it since something happened.
        if let Some(since) = latest.last_change(state, to) {
            return Some(since);
        }
        to = latest.as_of().plus(-1)?;
        let mut count = FIRST_DAYS;
        while to >= first {
            let mut walk = self.walk();
            let customers =
                memory::collect(self.happenings(first, to, count).into_iter().rev().map(|day| walk.on(day)));
            for customer in customers.iter().rev() {
                if let Some(since) = customer.last_change(state, to) {
                    return Some(since);
                }
                to = customer.as_of().plus(-1)?;
            }
            count = MOST_DAYS.min(4 * count);
        }
        Some(Since { since: first, previous: LifecycleState::Prospect })
    }

    /// The last days on which something happened, latest first: at most `count`, from `from` to `to`.
    fn happenings(&self, from: Day, to: Day, count: usize) -> Vec<Day> {
        let before = |day: &Day| self.last_happening(day.plus(-1)?).filter(|&day| day >= from);
        memory::collect(std::iter::successors(self.last_happening(to), before).take(count))
    }

    /// The last change to `state` from her day to `to`, between which nothing happens, or on the day after. `None` where she is
    /// in it all the time.
    fn last_change(&self, state: LifecycleState, to: Day) -> Option<Since> {
        let mut seen = self.on_another_day(self.as_of());
        let (mut present, mut found) = (seen.lifecycle_state(), None);
        while let Some(day) = seen.next_told().filter(|&day| day <= to) {
            host::check();
            seen = seen.on_another_day(day);
            let next = seen.lifecycle_state();
            if next != present {
                found = Some(Since { since: day, previous: present });
                present = next;
            }
        }
        if present == state { found } else { Some(Since { since: to.plus(1)?, previous: present }) }
    }
}
