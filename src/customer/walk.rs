//! One customer on ever later days: her history is read once, however many days are asked for.

use crate::customer::Customer;
use crate::day::Day;
use crate::engagement::EngagementHistory;
use crate::history::{NO_PURCHASES, PurchaseHistory, Purchases};
use crate::lifecycle::Gaps;
use crate::membership::KnownMembership;
use crate::policy::Policy;

/// A customer's histories, and what her purchases come to up to the day that was asked for last.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    history: &'a PurchaseHistory,
    policy: &'a Policy,
    engagement: Option<&'a EngagementHistory>,
    memberships: KnownMembership<'a>,
    /// How many entries of the history are counted.
    counted: usize,
    purchases: Option<Purchases>,
    /// The sum of all amounts, in units of the history's last decimal.
    amount: i128,
    gaps: Gaps,
}

impl<'a> Walk<'a> {
    /// A walk that begins before the first purchase; the arguments are those of [`Customer::new`].
    pub fn new(
        history: Option<&'a PurchaseHistory>,
        policy: &'a Policy,
        engagement: Option<&'a EngagementHistory>,
        membership: impl Into<KnownMembership<'a>>,
    ) -> Self {
        Walk {
            history: history.unwrap_or(&NO_PURCHASES),
            policy,
            engagement,
            memberships: membership.into(),
            counted: 0,
            purchases: None,
            amount: 0,
            gaps: Gaps::default(),
        }
    }

    /// The customer on a day. It takes the time of the entries since the day before it that was asked for last; an earlier day
    /// begins anew.
    pub fn on(&mut self, as_of: Day) -> Customer<'a> {
        let is_earlier = self.history.days()[..self.counted].last().is_some_and(|entry| entry.day > as_of);
        if is_earlier {
            *self = Walk::new(Some(self.history), self.policy, self.engagement, self.memberships);
        }
        self.count_entries(as_of);
        let Walk { history, policy, engagement, memberships, .. } = *self;
        let rhythm = self.gaps.rhythm(&policy.lifecycle, memberships.on(as_of));
        let money = (self.purchases.clone(), self.amount);
        Customer::walked_to(as_of, history, policy, engagement, memberships, money, rhythm)
    }

    fn count_entries(&mut self, as_of: Day) {
        let coming = &self.history.days()[self.counted..];
        for entry in coming.iter().take_while(|entry| entry.day <= as_of) {
            self.counted += 1;
            self.amount += entry.amount;
            if !entry.is_purchase_day() {
                continue;
            }
            if let Some(purchases) = &self.purchases {
                // Whether a gap was an absence is asked on its last day: she may come back to the membership when she buys.
                let (ended_on, days) = (entry.day, entry.day.days_since(purchases.last));
                let membership = ended_on.plus(-1).and_then(|day| self.memberships.on(day));
                self.gaps.count(days, &self.policy.lifecycle, membership);
            }
            Purchases::count(&mut self.purchases, entry);
        }
    }
}

/// Asks a customer on ever later days for a label, or several, and not again before the day on which it may be another.
///
/// `customer_on` is the customer of a day, `label` finds it by comparisons that tell her countdown.
pub fn asked_when_due<'a, T: Copy>(
    mut customer_on: impl FnMut(Day) -> Customer<'a>,
    label: impl Fn(&Customer<'a>) -> T,
) -> impl FnMut(Day) -> T {
    let mut known: Option<(T, Option<Day>)> = None;
    move |day| match known {
        Some((label, until)) if until.is_none_or(|until| day < until) => label,
        _ => {
            let customer = customer_on(day);
            let found = label(&customer);
            known = Some((found, customer.labels_hold_until()));
            found
        }
    }
}
