//! Where the recency digit and the lifecycle state of one customer contradict each other, by the numbers of a policy.
//!
//! The upper digits say that she was here lately, the lower ones that she has long been away; a digit in the middle says
//! neither. Limits of the own cycle are those that everybody begins with.

use super::Policy;
use crate::day::LONGEST_RECENCY;
use crate::decimal::Decimal;
use crate::finding::{Finding, Severity};
use crate::lifecycle::{Limits, Rhythm};
use crate::membership::Membership;

impl Policy {
    /// Upper digits of the dormant, and lower digits of those who are not even at risk.
    pub(super) fn find_contradicting_labels(&self, found: &mut Vec<Finding>) {
        let cuts = &self.rfm.recency_cuts;
        let best = cuts.len() + 1;
        let upper = best / 2;
        // So many digits are the upper ones and as many the lower ones.
        let (last_of_upper, last_of_middle) = (upper - 1, cuts.len() - upper);
        // A cut beyond all whole numbers is beyond all days, on its side.
        let whole_days = |cut: usize| {
            let beyond = if cuts[cut] < Decimal::ZERO { -1 } else { LONGEST_RECENCY };
            cuts[cut].floor().unwrap_or(beyond).clamp(-1, LONGEST_RECENCY)
        };
        let mut warn = |cut: usize, from: i64, to: i64, labels: String| {
            if from <= to {
                let message = format!("who last bought {from} to {to} days ago {labels}");
                found.push(Finding::new(Severity::Warning, format!("rfm.recency_cuts[{cut}]"), message));
            }
        };
        warn(
            last_of_upper,
            self.first_limits(None).dormant + 1,
            whole_days(last_of_upper),
            format!("can be dormant and has one of the upper digits, r = {} or more", best + 1 - upper),
        );
        warn(
            last_of_middle,
            whole_days(last_of_middle) + 1,
            self.first_limits(Some(Membership::Continuing)).at_risk,
            format!("can be neither at risk nor dormant and has one of the lower digits, r = {upper} or less"),
        );
    }

    /// The limits of a customer with one purchase.
    fn first_limits(&self, membership: Option<Membership>) -> Limits {
        Rhythm::walk(std::iter::empty(), &self.lifecycle, membership).limits
    }
}
