//! What a customer complained of, and whether it is over: complaints, returns, low ratings and large refunds.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::day::Day;
use crate::decimal::{Millionths, product};
use crate::engagement::EngagementHistory;
use crate::finding::Contradictions;
use crate::history::{PurchaseDay, PurchaseHistory};
use crate::memory;

/// Which refunds count as complaints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComplaintLimits {
    /// Those of at least this share 0..1 of the last purchase day's amount.
    pub min_refund_share: Millionths,
}

impl ComplaintLimits {
    /// What of these limits contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        found.require_within(self.min_refund_share, Millionths(Millionths::ONE), "complaint.min_refund_share");
    }
}

const COMPLAINT_RESOLVED: &str = "complaint_resolved";
const RETURN_RESOLVED: &str = "return_resolved";

/// The kinds of events that are complaints, each with the kind that ends it.
const KINDS: [(&str, &str); 3] =
    [("complaint", COMPLAINT_RESOLVED), ("return", RETURN_RESOLVED), ("low_rating", COMPLAINT_RESOLVED)];

/// The kinds of events that are complaints or end one.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().flat_map(|&(kind, resolved)| [kind, resolved])
}

/// The last day up to `as_of` with an event that is a complaint, resolved or not.
pub fn last_on(engagement: &EngagementHistory, as_of: Day) -> Option<Day> {
    KINDS.iter().filter_map(|(kind, _)| engagement.last_on(kind, as_of)).max()
}

/// The last day up to `as_of` with an event that is a complaint and is not resolved.
pub fn open_since(engagement: &EngagementHistory, as_of: Day) -> Option<Day> {
    open_events(engagement, as_of).map(|complaint| complaint.on).max()
}

fn open_events(engagement: &EngagementHistory, as_of: Day) -> impl Iterator<Item = OpenComplaint> {
    KINDS.iter().filter_map(move |&(kind, resolved)| {
        let on = engagement.last_on(kind, as_of)?;
        is_open(on, engagement.last_on(resolved, as_of)).then_some(OpenComplaint { kind: Some(kind), on })
    })
}

/// A resolution ends what came up to its day, that day included.
fn is_open(complained_on: Day, resolved_on: Option<Day>) -> bool {
    resolved_on.is_none_or(|resolved_on| resolved_on < complained_on)
}

/// A complaint that is not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenComplaint {
    /// The kind of the event; `None` for a refund.
    pub kind: Option<&'static str>,
    /// Its day.
    pub on: Day,
}

impl OpenComplaint {
    /// The latest of a customer as seen on a day; of several on one day an event before a refund.
    pub fn latest(
        history: &PurchaseHistory,
        engagement: Option<&EngagementHistory>,
        as_of: Day,
        policy: &ComplaintLimits,
    ) -> Option<Self> {
        let events = engagement.into_iter().flat_map(|engagement| open_events(engagement, as_of));
        let resolved_on = |kind| engagement.and_then(|engagement| engagement.last_on(kind, as_of));
        // Money is given back for a complaint as well as for a return: the end of either is the end of it.
        let resolved_on = resolved_on(COMPLAINT_RESOLVED).max(resolved_on(RETURN_RESOLVED));
        let refund = last_large_refund_on(history.until(as_of), policy).filter(|&on| is_open(on, resolved_on));
        let refund = refund.map(|on| OpenComplaint { kind: None, on });
        events.chain(refund).reduce(|latest, next| if next.on > latest.on { next } else { latest })
    }

    /// The complaint and the limit that made a refund one, for explanations.
    pub fn reasons(self, answered: Option<bool>, policy: &ComplaintLimits) -> Value {
        json!({
            "kind": self.kind.unwrap_or("refund"),
            "on": self.on,
            "answered": answered,
            "min_refund_share": policy.min_refund_share,
            "rule": "the latest complaint, return, low_rating or large refund that no resolution followed",
        })
    }
}

/// The last day with a refund that is a complaint: it gives back more than was ever paid; or there is no purchase on it,
/// and it gives back enough of the last purchase day's amount, or just the amount of an earlier one.
fn last_large_refund_on(days: &[PurchaseDay], policy: &ComplaintLimits) -> Option<Day> {
    if days.iter().all(|day| { day.amount } >= 0) {
        return None;
    }
    let (mut balance, mut last_amount, mut amounts, mut found) = (0, 0, HashSet::new(), None);
    for day in days {
        let amount = day.amount;
        balance += amount;
        let is_large = |refund: i128| {
            let is_enough =
                product(refund, Millionths::ONE.into()) >= product(last_amount, policy.min_refund_share.get());
            is_enough || amounts.contains(&refund)
        };
        if amount < 0 && (balance < 0 || !day.is_purchase_day() && is_large(-amount)) {
            found = Some(day.day);
        }
        if day.is_purchase_day() {
            last_amount = amount.max(0);
            memory::insert(&mut amounts, amount);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Document;

    /// Rows of day and amount; events of kind and day; asked on day 500: the day of the open complaint.
    fn open_on(rows: &[(i32, i128)], events: &[(&str, i32)]) -> Option<i32> {
        let days = rows.iter().map(|&(day, amount)| PurchaseDay::of_row(Day(day), Some(amount), None));
        let history = PurchaseHistory::new(0, days.collect()).unwrap();
        let engagement = EngagementHistory::new(events.iter().map(|&(kind, day)| (kind, Day(day), 1))).unwrap();
        let document = Document::empty();
        let policy = &document.policy().unwrap().complaint;
        OpenComplaint::latest(&history, Some(&engagement), Day(500), policy).map(|complaint| complaint.on.0)
    }

    #[test]
    fn a_resolution_ends_what_came_before() {
        assert_eq!(open_on(&[], &[("complaint", 10)]), Some(10));
        assert_eq!(open_on(&[], &[("complaint", 10), ("complaint_resolved", 9)]), Some(10));
        assert_eq!(open_on(&[], &[("complaint", 10), ("complaint_resolved", 10)]), None);
        assert_eq!(open_on(&[], &[("complaint", 10), ("complaint_resolved", 30), ("complaint", 31)]), Some(31));
        assert_eq!(open_on(&[], &[("complaint", 10), ("return_resolved", 30)]), Some(10));
        assert_eq!(open_on(&[], &[("return", 10), ("return_resolved", 30)]), None);
        assert_eq!(open_on(&[], &[("low_rating", 10), ("complaint_resolved", 30), ("return", 5)]), Some(5));
        // What comes after the day asked for is not known.
        assert_eq!(open_on(&[], &[("complaint", 10), ("complaint_resolved", 501)]), Some(10));
        assert_eq!(open_on(&[], &[("complaint", 501)]), None);
    }

    #[test]
    fn a_small_refund_is_no_complaint() {
        // Half of the last purchase day, and a yen less.
        assert_eq!(open_on(&[(0, 9000), (50, 1000), (60, -500)], &[]), Some(60));
        assert_eq!(open_on(&[(0, 9000), (50, 1000), (60, -499)], &[]), None);
        // All of an earlier day, however small beside the last one.
        assert_eq!(open_on(&[(0, 100), (50, 9000), (60, -100)], &[]), Some(60));
        assert_eq!(open_on(&[(0, 100), (50, 9000), (60, -101)], &[]), None);
        // What was bought later is not given back.
        assert_eq!(open_on(&[(0, 9000), (60, -100), (70, 100)], &[]), None);
        // More than was ever paid, on a purchase day too.
        assert_eq!(open_on(&[(0, 100), (50, 100), (50, -350)], &[]), Some(50));
        assert_eq!(open_on(&[(0, 100), (50, 100), (50, -150)], &[]), None);
        assert_eq!(open_on(&[(40, -1)], &[]), Some(40));
        // A small one after a large one does not hide it.
        assert_eq!(open_on(&[(0, 1000), (60, -900), (70, -10)], &[]), Some(60));
    }

    #[test]
    fn either_resolution_ends_a_refund() {
        let rows = [(0, 1000), (60, -900)];
        assert_eq!(open_on(&rows, &[("complaint_resolved", 60)]), None);
        assert_eq!(open_on(&rows, &[("return_resolved", 75)]), None);
        assert_eq!(open_on(&rows, &[("return_resolved", 59)]), Some(60));
    }

    #[test]
    fn large_amounts_are_compared_exactly() {
        let huge = 80_000_000_000_000_000_000_000_000_000_000_000_000;
        assert_eq!(open_on(&[(0, huge), (60, -(huge / 2))], &[]), Some(60));
        assert_eq!(open_on(&[(0, huge), (60, -(huge / 2) + 1)], &[]), None);
    }
}
