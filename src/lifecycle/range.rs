//! What the limits of any customer at all can be.

use super::grace_days;
use super::{Cycle, Lifecycle};
use crate::day::LONGEST_RECENCY;
use crate::decimal::Millionths;
use crate::membership::Membership;

/// How far the limits of customers of a membership can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRange {
    /// No at-risk limit is longer.
    pub longest_at_risk: i64,
    /// No dormant limit is shorter.
    pub shortest_dormant: i64,
    /// No dormant limit is longer.
    pub longest_dormant: i64,
    /// Whether somebody can be at risk: a day can come after her at-risk limit and not after the dormant one.
    pub can_be_at_risk: bool,
}

impl LimitRange {
    /// The range for customers of this membership, whatever they buy.
    pub fn of(policy: &Lifecycle, membership: Option<Membership>) -> Self {
        let grace = grace_days(policy, membership);
        match policy.cycle {
            Cycle::Fixed => {
                let [at_risk, dormant] = [policy.at_risk_after_days, policy.dormant_after_days].map(i64::from);
                LimitRange {
                    longest_at_risk: grace + at_risk,
                    shortest_dormant: grace + dormant,
                    longest_dormant: grace + dormant,
                    can_be_at_risk: at_risk < dormant && grace + at_risk < LONGEST_RECENCY,
                }
            }
            Cycle::Own => TypicalGaps { policy, grace }.limits(),
        }
    }
}

/// The own cycle: a customer's typical gap starts as the store's. Gaps draw it towards themselves, and each counts as 1
/// day at least and as the dormant limit at most.
struct TypicalGaps<'a> {
    policy: &'a Lifecycle,
    grace: i64,
}

const ONE: i128 = Millionths::ONE as i128;

/// `ceil(numerator / denominator)`; neither is negative.
fn ceil(numerator: i128, denominator: i128) -> i128 {
    (numerator + denominator - 1) / denominator
}

impl TypicalGaps<'_> {
    fn limits(&self) -> LimitRange {
        let Lifecycle { at_risk_ratio, dormant_ratio, store_gap_days, .. } = *self.policy;
        let (shortest, longest) = (store_gap_days.get().min(ONE), self.longest());
        LimitRange {
            longest_at_risk: self.limit(at_risk_ratio, longest),
            shortest_dormant: self.limit(dormant_ratio, shortest),
            longest_dormant: self.limit(dormant_ratio, longest),
            can_be_at_risk: self.can_be_at_risk(longest),
        }
    }

    /// The limit of whose typical gap is so many millionths of a day.
    fn limit(&self, ratio: Millionths, typical: i128) -> i64 {
        let limit = ceil(ratio.get() * typical, ONE * ONE);
        self.grace + limit.clamp(self.policy.min_days.into(), self.policy.max_days.into()) as i64
    }

    /// What no typical gap exceeds, in millionths: it grows while the dormant limit, as which long gaps count, is longer, and
    /// ends at the first whole number of days that is its own dormant limit.
    fn longest(&self) -> i128 {
        let (start, ratio) = (self.policy.store_gap_days.get(), self.policy.dormant_ratio.get());
        let grace = i128::from(self.grace);
        if i128::from(self.limit(self.policy.dormant_ratio, start)) * ONE <= start {
            return start;
        }
        let by_max_days = grace + i128::from(self.policy.max_days);
        let by_ratio = match ratio {
            _ if ratio < ONE => ceil(grace * ONE, ONE - ratio),
            _ if ratio == ONE && grace == 0 => 0,
            _ => by_max_days,
        };
        let by_min_days = grace + i128::from(self.policy.min_days);
        ceil(start, ONE).max(by_min_days).max(by_max_days.min(by_ratio)) * ONE
    }

    /// Whether a number of days n can lie between both limits: `at_risk_ratio * typical <= n < dormant_ratio * typical`
    /// and `min_days <= n < max_days`. Few gaps leave out some of the typical gaps in between, which matters only for a
    /// store's gap or a dormant limit that is absurdly short: then this may say yes where it is no, but never the other way round.
    fn can_be_at_risk(&self, longest: i128) -> bool {
        let (at_risk, dormant) = (self.policy.at_risk_ratio.get(), self.policy.dormant_ratio.get());
        let start = self.policy.store_gap_days.get();
        // Gaps of a day draw a longer typical gap as near to a day as one likes, but not to it.
        let by_ratio = if start <= ONE { ceil(at_risk * start, ONE * ONE) } else { at_risk / ONE + 1 };
        let least = by_ratio.max(i128::from(self.policy.min_days)).max(1);
        let most = (i128::from(self.policy.max_days) - 1).min(i128::from(LONGEST_RECENCY - self.grace - 1));
        at_risk < dormant && least <= most && least * ONE * ONE < dormant * longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Document;

    fn range(own: &str, membership: Option<Membership>) -> LimitRange {
        let document = Document::parse(&format!(r#"{{"lifecycle": {{"cycle": "own", {own}}}}}"#)).unwrap();
        LimitRange::of(&document.policy().unwrap().lifecycle, membership)
    }

    /// Worked by hand.
    #[test]
    fn own_limits_reach_so_far() {
        let all = |at_risk, shortest, longest, can_be_at_risk| LimitRange {
            longest_at_risk: at_risk,
            shortest_dormant: shortest,
            longest_dormant: longest,
            can_be_at_risk,
        };
        // From 7 days, by min_days, to 425, by max_days.
        assert_eq!(range(r#""prior_gaps": 3"#, None), all(425, 7, 425, true));
        assert_eq!(range(r#""prior_gaps": 3"#, Some(Membership::Continuing)), all(440, 22, 440, true));
        // A long gap counts as the 15 days that are half of the typical 30, which therefore never grows.
        let half = r#""at_risk_ratio": 0.2, "dormant_ratio": 0.5, "min_days": 1"#;
        assert_eq!(range(half, None), all(6, 1, 15, true));
        // With 15 days more it counts as 30 of 30.
        assert_eq!(range(half, Some(Membership::Continuing)), all(21, 16, 30, true));
        // With 20 it grows to 40, half of which and 20 is 40.
        let more = format!(r#"{half}, "continuing_grace_days": 20"#);
        assert_eq!(range(&more, Some(Membership::Continuing)), all(28, 21, 40, true));
        // Both limits are rounded up to a day, and no gap counts as more.
        let less = r#""at_risk_ratio": 0.01, "dormant_ratio": 0.02, "min_days": 0"#;
        assert_eq!(range(less, None), all(1, 1, 1, false));
        assert!(range(&format!(r#"{less}, "store_gap_days": 51"#), None).can_be_at_risk);
    }
}
