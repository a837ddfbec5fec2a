//! Who moved from which lifecycle state, RFM segment and VIP tier to which, and with how much revenue: one customer, step by
//! step.

mod count;

pub use count::MovementCount;

use crate::customer::{Customer, asked_when_due};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::history::PurchaseHistory;
use crate::lifecycle::LifecycleState;
use crate::vip::VipTier;

/// What a customer is called on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels<'a> {
    /// Her lifecycle state.
    pub state: LifecycleState,
    /// Her RFM segment; `None` for a prospect.
    pub segment: Option<&'a str>,
    /// Her VIP tier.
    pub tier: VipTier,
}

impl<'a> Labels<'a> {
    fn of(customer: &Customer<'a>) -> Self {
        Labels { state: customer.lifecycle_state(), segment: customer.rfm_segment(), tier: customer.vip_tier() }
    }
}

/// What became of a customer from one day to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement<'a> {
    /// The day it starts from.
    pub from: Day,
    /// The day it leads to, after `from`.
    pub to: Day,
    /// What she is called on `from`.
    pub before: Labels<'a>,
    /// What she is called on `to`.
    pub after: Labels<'a>,
    /// All amounts, refunds included, of as many days up to `from` as there are from there to `to`.
    pub revenue_before: Decimal,
    /// All amounts, refunds included, from the day after `from` to `to`.
    pub revenue_after: Decimal,
}

/// The sums of all amounts around ever later days: each entry is met once on the way, however many days there are.
struct Revenues<'a> {
    history: &'a PurchaseHistory,
    /// How many entries lie before the last day that was asked for, or on it.
    passed: usize,
}

impl Revenues<'_> {
    /// The sums of the entries after `start`, up to `middle`, and of those after it, up to `end`.
    fn around(&mut self, start: Day, middle: Day, end: Day) -> (Decimal, Decimal) {
        let entries = self.history.days();
        self.passed += entries[self.passed..].iter().take_while(|entry| entry.day <= middle).count();
        let (before, after) = entries.split_at(self.passed);
        let before = before.iter().rev().take_while(|entry| entry.day > start);
        let after = after.iter().take_while(|entry| entry.day <= end);
        let sum = |amounts| Decimal::new(amounts, self.history.scale());
        (sum(before.map(|entry| entry.amount).sum()), sum(after.map(|entry| entry.amount).sum()))
    }
}

/// The movements from each of these days to the next; the days go forward. Who is still a prospect on the later day has
/// not moved: there is none for her.
///
/// `customer_on` is the customer of the history `h` as known on a day.
pub fn movements<'a>(
    h: &PurchaseHistory,
    mut days: impl Iterator<Item = Day>,
    customer_on: impl FnMut(Day) -> Customer<'a>,
) -> impl Iterator<Item = Movement<'a>> {
    let mut revenues = Revenues { history: h, passed: 0 };
    let mut labels_on = asked_when_due(customer_on, Labels::of);
    let mut next = move || days.next().map(|day| (day, labels_on(day)));
    let mut earlier = next();
    let steps = std::iter::from_fn(move || {
        let later = next()?;
        Some((earlier.replace(later)?, later))
    });
    steps.filter(|(_, (_, after))| after.state != LifecycleState::Prospect).map(move |((from, before), (to, after))| {
        let start = from.plus(-to.days_since(from)).unwrap_or(Day::MIN);
        let (revenue_before, revenue_after) = revenues.around(start, from, to);
        Movement { from, to, before, after, revenue_before, revenue_after }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{NO_PURCHASES, PurchaseDay};
    use crate::policy::Document;

    fn told(h: &PurchaseHistory, days: &[i32]) -> Vec<(i32, &'static str, &'static str, String, String)> {
        let document = Document::empty();
        let policy = document.policy().unwrap();
        let days = days.iter().map(|&day| Day(day));
        movements(h, days, |day| Customer::new(Some(h), day, policy, None, None))
            .map(|m| {
                let revenues = [m.revenue_before, m.revenue_after].map(|revenue| revenue.to_string());
                let [before, after] = revenues;
                (m.to.0, m.before.state.name(), m.after.state.name(), before, after)
            })
            .collect()
    }

    #[test]
    fn each_step_is_told_with_the_revenue_around_it() {
        let rows = [(100, 500), (110, 30), (111, 7), (180, -20)];
        let rows = rows.map(|(day, amount)| PurchaseDay::of_row(Day(day), Some(amount), None));
        let h = PurchaseHistory::new(0, rows.to_vec()).unwrap();
        let row = |to, from_state, to_state, before: &str, after: &str| {
            (to, from_state, to_state, before.to_owned(), after.to_owned())
        };
        assert_eq!(
            told(&h, &[80, 90, 100, 110, 120, 180]),
            [
                row(100, "prospect", "new", "0", "500"),
                row(110, "new", "new", "500", "30"),
                row(120, "new", "active", "30", "7"),
                row(180, "active", "dormant", "537", "-20"),
            ]
        );
    }

    #[test]
    fn one_day_and_nobody_are_no_movement() {
        assert_eq!(told(&NO_PURCHASES, &[1, 2, 3]), []);
        let h = PurchaseHistory::new(0, vec![PurchaseDay::of_row(Day(1), None, None)]).unwrap();
        assert_eq!(told(&h, &[2]), []);
        assert_eq!(told(&h, &[]), []);
        assert_eq!(told(&h, &[Day::MIN.0, Day::MAX.0]).len(), 1);
    }
}
