//! Comparisons with days that pass: each tells in how many days it will come out differently.

use std::cell::Cell;

/// How many days from now one of the comparisons made so far comes out differently, if nothing happens until then.
///
/// What was decided by these comparisons alone stays as it is until that day. Whoever adds a rule that depends on time
/// compares by [`DaysSince`] and has nothing else to keep in step.
#[derive(Clone, Debug, Default)]
pub struct Countdown(Cell<Option<i64>>);

impl Countdown {
    /// The fewest days told so far, at least 1; `None` where nothing ever comes out differently.
    pub fn days(&self) -> Option<i64> {
        self.0.get()
    }

    /// Tells that something comes out differently in so many days; those that are over do not matter.
    pub fn tell(&self, days: i64) {
        if days > 0 && self.0.get().is_none_or(|fewest| days < fewest) {
            self.0.set(Some(days));
        }
    }
}

/// The days that have passed since something happened; tomorrow it is one more.
#[derive(Clone, Copy, Debug)]
pub struct DaysSince<'a> {
    days: i64,
    countdown: &'a Countdown,
}

impl<'a> DaysSince<'a> {
    /// So many days, whose comparisons tell `countdown` when they come out differently.
    pub fn new(days: i64, countdown: &'a Countdown) -> Self {
        DaysSince { days, countdown }
    }

    /// The number of days.
    pub fn days(self) -> i64 {
        self.days
    }

    /// Whether these are more days than `limit`.
    pub fn exceed(self, limit: i64) -> bool {
        self.tell_when_more_than(limit);
        self.days > limit
    }

    /// Tells on which day these will be more days than `limit`, where what was compared is no whole number of days.
    pub fn tell_when_more_than(self, limit: i64) {
        self.countdown.tell(limit.saturating_sub(self.days).saturating_add(1));
    }

    /// Tells on which day these will be so many days.
    pub fn tell_when_reached(self, limit: i64) {
        self.countdown.tell(limit.saturating_sub(self.days));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_flip_counts() {
        let countdown = Countdown::default();
        let recency = DaysSince::new(10, &countdown);
        assert!(recency.exceed(9));
        assert_eq!(countdown.days(), None);
        assert!(!recency.exceed(i64::MAX));
        assert!(!recency.exceed(30));
        assert_eq!(countdown.days(), Some(21));
        assert!(!recency.exceed(10));
        assert!(!recency.exceed(20));
        assert_eq!(countdown.days(), Some(1));
    }
}
