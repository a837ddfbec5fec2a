//! Who is a VIP, on two axes: what a customer buys and what ties her to the shop.

use crate::day::Day;
use crate::decimal::{Decimal, Millionths};
use crate::engagement::EngagementHistory;
use crate::error::Result;
use crate::finding::Contradictions;
use crate::labels::labels;
use crate::membership::Membership;
use crate::rfm::ValueScore;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Who is a VIP, and how the VIP score is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vip {
    /// Share 0..1 of the value score in the VIP score; the rest is the relation score.
    pub value_weight: Millionths,
    /// A candidate's first and last purchase lie at least so many days apart.
    pub min_span_days: u32,
    /// A candidate by frequency has at least this F,
    pub min_orders: u32,
    /// at least so many purchase days,
    pub min_purchase_days: u32,
    /// and bought within so many days.
    pub max_recency_days: u32,
    /// A candidate by lifetime value has at least this M, in currency units; null: nobody,
    pub monetary_cut: Option<Decimal>,
    /// and at least so many purchase days.
    pub monetary_min_purchase_days: u32,
    /// Memberships a VIP may have; unknown membership passes.
    pub memberships: Vec<Membership>,
    /// A candidate with at least this relation score, 0..100, is a VIP; others with it are supporters.
    pub min_relation_score: Millionths,
    /// Where engagement is not tracked: a candidate with at least this value score, 0..100, is a VIP; null: nobody.
    pub untracked_min_value_score: Option<Millionths>,
}

const ONE: Millionths = Millionths(Millionths::ONE);
const HUNDRED: Millionths = Millionths(100 * Millionths::ONE);

impl Vip {
    /// What of these limits contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        found.require_within(self.value_weight, ONE, "vip.value_weight");
        found.require_within(self.min_relation_score, HUNDRED, "vip.min_relation_score");
        if let Some(score) = self.untracked_min_value_score {
            found.require_within(score, HUNDRED, "vip.untracked_min_value_score");
        }
        let cut_is_positive = self.monetary_cut.is_none_or(|cut| cut > Decimal::ZERO);
        found.require(cut_is_positive, "vip.monetary_cut", "it must be above 0 or null");
    }
}

/// How events make the relation score.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// Only events of the last so many days count, as_of included.
    pub window_days: u32,
    /// Weight by kind; kinds not named weigh nothing.
    pub kinds: BTreeMap<String, KindWeight>,
}

impl Relation {
    /// What of these weights contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        for (kind, KindWeight { weight, .. }) in &self.kinds {
            found.require_within(*weight, HUNDRED, &format!("relation.kinds.{kind}.weight"));
        }
        found.require(self.window_days > 0, "relation.window_days", "it must be at least 1");
    }

    /// The most that the relation score can be, in millionths.
    pub fn most(&self) -> i128 {
        let most = self.kinds.values().map(|kind| i128::from(kind.cap) * kind.weight.get()).sum::<i128>();
        most.min(HUNDRED.get())
    }

    /// The same in words.
    pub fn most_in_words(&self) -> String {
        format!("relation.kinds make at most {} points", Millionths(self.most() as i64))
    }
}

/// The weight of one kind of event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWeight {
    /// Points an event.
    pub weight: Millionths,
    /// Events beyond this many add nothing.
    pub cap: u32,
}

labels! {
    /// The tier decides; the VIP score only ranks.
    VipTier "vip tier" {
        /// A candidate tied to the shop.
        Vip = "vip", "VIP", "優良";
        /// Buys like a VIP.
        Candidate = "candidate", "VIP candidate", "優良候補";
        /// Is tied to the shop, but does not buy like a VIP.
        Supporter = "supporter", "Supporter", "応援者";
        /// Everybody else.
        Regular = "regular", "Regular", "一般";
    }
}

/// The relation score at `as_of`, 0..100: `least(100, sum over kinds of least(count, cap) * weight)`, events of the last
/// window_days that are known: those up to `known_until`.
pub fn relation_score(engagement: &EngagementHistory, as_of: Day, known_until: Day, policy: &Relation) -> Millionths {
    let points = relation_points(engagement, as_of, known_until, policy).map(|kind| kind.points);
    let hundred = 100 * i128::from(Millionths::ONE);
    Millionths(points.sum::<i128>().min(hundred) as i64)
}

/// What one kind of event adds to the relation score.
#[derive(Clone, Copy, Debug)]
pub struct KindPoints<'a> {
    /// The kind.
    pub kind: &'a str,
    /// Its weight and cap.
    pub policy: &'a KindWeight,
    /// How many events there were.
    pub count: i64,
    /// `least(count, cap) * weight`, in millionths.
    pub points: i128,
}

/// What each weighted kind adds to the relation score; arguments as for [`relation_score`].
pub fn relation_points<'a>(
    engagement: &'a EngagementHistory,
    as_of: Day,
    known_until: Day,
    policy: &'a Relation,
) -> impl Iterator<Item = KindPoints<'a>> {
    let window_start = as_of.plus(-i64::from(policy.window_days));
    policy.kinds.iter().map(move |(kind, policy)| {
        let count = engagement.count(kind, window_start, known_until);
        KindPoints { kind, policy, count, points: i128::from(count.min(policy.cap.into())) * policy.weight.get() }
    })
}

/// The VIP score, 0..100: the weighted mean of value and relation score, or the value score alone where engagement is
/// not tracked; rounded once, half away from zero, to 2 decimals.
///
/// # Errors
/// None for a policy that does not contradict itself.
pub fn vip_score(value: ValueScore, relation: Option<Millionths>, policy: &Vip) -> Result<Decimal> {
    let Some(relation) = relation else {
        return value.rounded();
    };
    let (one, weight) = (i128::from(Millionths::ONE), policy.value_weight.get());
    let numerator = weight * value.numerator * one + (one - weight) * relation.get() * value.denominator;
    Decimal::quotient(numerator, one * one * value.denominator, 2)
}

/// What decides whether somebody is a VIP candidate.
#[derive(Clone, Copy, Debug)]
pub struct CandidateFacts {
    /// Days from the first to the last purchase.
    pub span_days: i64,
    /// F.
    pub frequency: i64,
    /// Days with a purchase.
    pub purchase_days: i64,
    /// Days since the last purchase.
    pub recency_days: i64,
    /// M.
    pub monetary: Decimal,
    /// The dormant limit that holds.
    pub dormant_limit: i64,
}

/// One condition of being a candidate.
#[derive(Clone, Copy, Debug)]
pub struct Requirement {
    /// What is asked about.
    pub fact: &'static str,
    /// What it is.
    pub value: Decimal,
    /// What it must be.
    pub bound: Bound,
}

/// A bound on a number.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// Not less; `None`: the policy sets no limit, and nothing reaches it.
    AtLeast(Option<Decimal>),
    /// Not more.
    AtMost(Decimal),
}

impl Requirement {
    fn at_least(fact: &'static str, value: i64, limit: u32) -> Self {
        Requirement { fact, value: value.into(), bound: Bound::AtLeast(Some(i64::from(limit).into())) }
    }

    fn at_most(fact: &'static str, value: i64, limit: i64) -> Self {
        Requirement { fact, value: value.into(), bound: Bound::AtMost(limit.into()) }
    }

    /// Whether the customer meets it.
    pub fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(limit) => limit.is_some_and(|limit| self.value >= limit),
            Bound::AtMost(limit) => self.value <= limit,
        }
    }
}

impl CandidateFacts {
    /// What a candidate by frequency meets; the span keeps out who bought in one burst.
    pub fn by_frequency(&self, policy: &Vip) -> [Requirement; 4] {
        [
            Requirement::at_least("span_days", self.span_days, policy.min_span_days),
            Requirement::at_least("frequency", self.frequency, policy.min_orders),
            Requirement::at_least("purchase_days", self.purchase_days, policy.min_purchase_days),
            Requirement::at_most("recency_days", self.recency_days, policy.max_recency_days.into()),
        ]
    }

    /// What a candidate by lifetime value meets.
    pub fn by_lifetime_value(&self, policy: &Vip) -> [Requirement; 4] {
        [
            Requirement::at_least("span_days", self.span_days, policy.min_span_days),
            Requirement { fact: "monetary", value: self.monetary, bound: Bound::AtLeast(policy.monetary_cut) },
            Requirement::at_least("purchase_days", self.purchase_days, policy.monetary_min_purchase_days),
            Requirement::at_most("recency_days", self.recency_days, self.dormant_limit),
        ]
    }

    /// Whether the customer buys like a VIP, by frequency or by lifetime value, and not in one burst.
    pub fn is_candidate(&self, policy: &Vip) -> bool {
        [self.by_frequency(policy), self.by_lifetime_value(policy)]
            .iter()
            .any(|all| all.iter().all(Requirement::is_met))
    }
}

/// Whether a customer is tied to the shop, by the relation score, or by the value score where engagement is not tracked.
pub fn is_tied(value: Option<ValueScore>, relation: Option<Millionths>, policy: &Vip) -> bool {
    match relation {
        Some(relation) => relation >= policy.min_relation_score,
        None => policy.untracked_min_value_score.is_some_and(|limit| value.is_some_and(|value| value.at_least(limit))),
    }
}

/// Whether the membership is one that a VIP may have; unknown passes.
pub fn may_be_vip(membership: Option<Membership>, policy: &Vip) -> bool {
    membership.is_none_or(|membership| policy.memberships.contains(&membership))
}

/// The tier of somebody who is a candidate or not; `value` is `None` for a prospect, `relation` where engagement is not
/// tracked.
pub fn vip_tier(
    is_candidate: bool,
    value: Option<ValueScore>,
    relation: Option<Millionths>,
    membership: Option<Membership>,
    policy: &Vip,
) -> VipTier {
    let tied = is_tied(value, relation, policy);
    match (is_candidate, relation) {
        (true, _) if tied && may_be_vip(membership, policy) => VipTier::Vip,
        (true, _) => VipTier::Candidate,
        (false, Some(_)) if tied => VipTier::Supporter,
        (false, _) => VipTier::Regular,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Document;

    #[test]
    fn relation_counts_the_last_window_and_caps() {
        let document = Document::empty();
        let policy = &document.policy().unwrap().relation;
        let score = |events: &[(&str, i32, u32)]| {
            let events = events.iter().map(|&(kind, day, count)| (kind, Day(day), count));
            relation_score(&EngagementHistory::new(events).unwrap(), Day(1000), Day(1000), policy).to_string()
        };
        assert_eq!(score(&[]), "0");
        assert_eq!(score(&[("review", 1000, 2), ("survey", 700, 1), ("referral", 636, 1)]), "50");
        assert_eq!(score(&[("referral", 635, 1), ("review", 1001, 1), ("usage_report", 900, 5)]), "0");
        assert_eq!(score(&[("referral", 900, 9)]), "60");
        assert_eq!(score(&[("referral", 900, 9), ("event", 900, 9)]), "100");
    }

    #[test]
    fn the_score_is_rounded_once() {
        let document = Document::parse(r#"{"vip": {"value_weight": 0.3}}"#).unwrap();
        let policy = &document.policy().unwrap().vip;
        let value = ValueScore { numerator: 1000, denominator: 12 };
        let score = |relation| vip_score(value, relation, policy).unwrap().to_string();
        assert_eq!(score(None), "83.33");
        assert_eq!(score(Some(Millionths(10_000_000))), "32.00");
        assert_eq!(score(Some(Millionths(0))), "25.00");
    }

    #[test]
    fn a_burst_of_bulk_buying_is_no_candidate() {
        let document = Document::parse(r#"{"vip": {"monetary_cut": 100000}}"#).unwrap();
        let policy = &document.policy().unwrap().vip;
        let steady = CandidateFacts {
            span_days: 84,
            frequency: 4,
            purchase_days: 3,
            recency_days: 45,
            monetary: Decimal::from(1),
            dormant_limit: 60,
        };
        assert!(steady.is_candidate(policy));
        assert!(
            !CandidateFacts {
                span_days: 83,
                frequency: 100,
                purchase_days: 80,
                monetary: Decimal::from(9_000_000),
                ..steady
            }
            .is_candidate(policy)
        );
        assert!(!CandidateFacts { recency_days: 46, ..steady }.is_candidate(policy));
        assert!(!CandidateFacts { purchase_days: 2, ..steady }.is_candidate(policy));
        let rich = CandidateFacts {
            purchase_days: 2,
            frequency: 2,
            recency_days: 60,
            monetary: Decimal::from(100_000),
            ..steady
        };
        assert!(rich.is_candidate(policy));
        assert!(!CandidateFacts { recency_days: 61, ..rich }.is_candidate(policy));
    }

    #[test]
    fn tiers() {
        let document = Document::empty();
        let policy = &document.policy().unwrap().vip;
        let value = |percent| Some(ValueScore { numerator: percent, denominator: 1 });
        let relation = |points: i64| Some(Millionths(points * Millionths::ONE));
        let tier =
            |candidate, value, relation, membership| vip_tier(candidate, value, relation, membership, policy).name();
        assert_eq!(tier(true, value(0), relation(50), None), "vip");
        assert_eq!(tier(true, value(100), relation(49), None), "candidate");
        assert_eq!(tier(true, value(90), None, None), "vip");
        assert_eq!(tier(true, value(89), None, None), "candidate");
        assert_eq!(tier(true, value(100), relation(100), Some(Membership::Paused)), "candidate");
        assert_eq!(tier(true, value(100), relation(100), Some(Membership::AdHoc)), "vip");
        assert_eq!(tier(false, value(100), relation(50), None), "supporter");
        assert_eq!(tier(false, value(100), None, None), "regular");
        assert_eq!(tier(false, None, relation(49), None), "regular");
    }
}
