//! How a customer can be reached, and when again.

use crate::day::Day;
use crate::policy::Contact;

/// What is known about contacting one customer; `None` is not tracked.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContactFacts<'a> {
    /// The channels over which the customer can be reached.
    pub channels: Option<&'a [String]>,
    /// The day of the last contact.
    pub last_contacted_on: Option<Day>,
}

impl ContactFacts<'_> {
    /// Days since the last contact; one after `as_of` is invisible.
    pub fn days_since_contact(&self, as_of: Day) -> Option<i64> {
        self.last_contacted_on.map(|day| as_of.days_since(day)).filter(|&days| days >= 0)
    }

    /// Whether the last contact lies long enough back.
    pub fn is_allowed(&self, as_of: Day, policy: &Contact) -> Option<bool> {
        self.days_since_contact(as_of).map(|days| days >= i64::from(policy.min_days_between))
    }

    /// The first day on which a contact is, or was, allowed again.
    pub fn allowed_again_on(&self, as_of: Day, policy: &Contact) -> Option<Day> {
        self.last_contacted_on.filter(|&day| day <= as_of)?.plus(policy.min_days_between.into())
    }
}
