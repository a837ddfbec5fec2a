//! Who is a VIP, on two axes: what a customer buys and what ties her to the shop.

use crate::countdown::{Countdown, DaysSince};
use crate::day::Day;
use crate::decimal::{Decimal, Millionths};
use crate::error::Result;
use crate::finding::Contradictions;
use crate::labels::labels;
use crate::membership::Membership;
use crate::relation::{self, HUNDRED};
use crate::rfm::ValueScore;
use serde::Deserialize;
use serde_json::{Value, json};

/// Who is a VIP, and how the VIP score is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vip {
    /// Share 0..1 of the value score in the VIP score; the rest is the relation score.
    pub value_weight: Millionths,
    /// A candidate's first and last purchase lie at least so many days apart.
    pub min_span_days: u32,
    /// A candidate by frequency has at least this F.
    pub min_orders: u32,
    /// A candidate by frequency has at least so many purchase days.
    pub min_purchase_days: u32,
    /// A candidate by frequency bought within so many days.
    pub max_recency_days: u32,
    /// A candidate by lifetime value has at least this M, in currency units; null: nobody is.
    pub monetary_cut: Option<Decimal>,
    /// A candidate by lifetime value has at least so many purchase days.
    pub monetary_min_purchase_days: u32,
    /// Memberships a VIP may have; unknown membership passes.
    pub memberships: Vec<Membership>,
    /// A candidate with at least this relation score, 0..100, is a VIP; others with it are supporters.
    pub min_relation_score: Millionths,
    /// Where engagement is not tracked: a candidate with at least this value score, 0..100, is a VIP; null: nobody.
    pub untracked_min_value_score: Option<Millionths>,
}

const ONE: Millionths = Millionths(Millionths::ONE);

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
struct Requirement {
    /// What is asked about.
    fact: &'static str,
    /// What it is.
    value: Decimal,
    /// What it must be.
    threshold: Threshold,
    /// Whether it is.
    is_met: bool,
}

/// What a number must reach or not exceed.
#[derive(Clone, Copy, Debug)]
enum Threshold {
    /// Not less; `None`: the policy sets no limit, and nothing reaches it.
    AtLeast(Option<Decimal>),
    /// Not more.
    AtMost(i64),
}

impl Requirement {
    fn at_least(fact: &'static str, value: Decimal, limit: Option<Decimal>) -> Self {
        let is_met = limit.is_some_and(|limit| value >= limit);
        Requirement { fact, value, threshold: Threshold::AtLeast(limit), is_met }
    }

    fn at_least_whole(fact: &'static str, value: i64, limit: u32) -> Self {
        Self::at_least(fact, value.into(), Some(i64::from(limit).into()))
    }

    fn recency_at_most(days: i64, limit: i64) -> Self {
        Requirement {
            fact: "recency_days",
            value: days.into(),
            threshold: Threshold::AtMost(limit),
            is_met: days <= limit,
        }
    }

    fn reasons(&self) -> Value {
        let Requirement { fact, value, threshold, is_met } = self;
        match threshold {
            Threshold::AtLeast(limit) => json!({ "fact": fact, "value": value, "at_least": limit, "met": is_met }),
            Threshold::AtMost(limit) => json!({ "fact": fact, "value": value, "at_most": limit, "met": is_met }),
        }
    }
}

/// Conditions that a candidate meets all.
#[derive(Clone, Copy, Debug)]
struct Requirements([Requirement; 4]);

impl Requirements {
    /// Three conditions, and a recency of at most so many days: where all others are met, and only there, `recency` tells when
    /// she is no candidate any more.
    fn with_recency(others: [Requirement; 3], recency: DaysSince, limit: i64) -> Self {
        if others.iter().all(|other| other.is_met) {
            recency.tell_when_more_than(limit);
        }
        let [one, two, three] = others;
        Requirements([one, two, three, Requirement::recency_at_most(recency.days(), limit)])
    }

    fn are_met(&self) -> bool {
        self.0.iter().all(|requirement| requirement.is_met)
    }

    fn reasons(&self) -> Value {
        self.0.iter().map(Requirement::reasons).collect()
    }
}

impl CandidateFacts {
    /// Whether she is a candidate; `countdown` is told when a recency comes out differently.
    pub fn is_candidate(&self, policy: &Vip, countdown: &Countdown) -> bool {
        self.by_frequency(policy, countdown).are_met() || self.by_lifetime_value(policy, countdown).are_met()
    }

    /// What a candidate by frequency meets; the span keeps out who bought in one burst.
    fn by_frequency(&self, policy: &Vip, countdown: &Countdown) -> Requirements {
        let others = [
            Requirement::at_least_whole("span_days", self.span_days, policy.min_span_days),
            Requirement::at_least_whole("frequency", self.frequency, policy.min_orders),
            Requirement::at_least_whole("purchase_days", self.purchase_days, policy.min_purchase_days),
        ];
        let recency = DaysSince::new(self.recency_days, countdown);
        Requirements::with_recency(others, recency, policy.max_recency_days.into())
    }

    /// What a candidate by lifetime value meets.
    fn by_lifetime_value(&self, policy: &Vip, countdown: &Countdown) -> Requirements {
        let others = [
            Requirement::at_least_whole("span_days", self.span_days, policy.min_span_days),
            Requirement::at_least("monetary", self.monetary, policy.monetary_cut),
            Requirement::at_least_whole("purchase_days", self.purchase_days, policy.monetary_min_purchase_days),
        ];
        Requirements::with_recency(others, DaysSince::new(self.recency_days, countdown), self.dormant_limit)
    }
}

/// What decides the tier of a customer on a day.
#[derive(Clone, Copy, Debug)]
pub struct TierFacts {
    /// The day of the tier.
    pub on: Day,
    /// What she bought up to then; `None` for a prospect.
    pub buying: Option<CandidateFacts>,
    /// The value score; `None` for a prospect.
    pub value: Option<ValueScore>,
    /// The relation score; `None` where engagement is not tracked.
    pub relation: Option<Millionths>,
    /// Her membership; `None` where it is unknown.
    pub membership: Option<Membership>,
}

/// The tier of a customer on a day and what decided it.
#[derive(Clone, Copy, Debug)]
pub struct TierDecision<'a> {
    /// The tier.
    pub tier: VipTier,
    facts: TierFacts,
    /// Whether the customer is tied to the shop: by the relation score, or by the value score where engagement is not tracked.
    is_tied: bool,
    /// Whether the membership is one that a VIP may have; unknown passes.
    has_membership: bool,
    policy: &'a Vip,
}

impl<'a> TierDecision<'a> {
    /// Decides the tier; `countdown` is told when a recency comes out differently.
    pub fn of(facts: TierFacts, policy: &'a Vip, countdown: &Countdown) -> Self {
        let TierFacts { buying, value, relation, membership, .. } = facts;
        let is_candidate = buying.is_some_and(|buying| buying.is_candidate(policy, countdown));
        let is_tied = match relation {
            Some(relation) => relation >= policy.min_relation_score,
            None => {
                policy.untracked_min_value_score.is_some_and(|limit| value.is_some_and(|value| value.at_least(limit)))
            }
        };
        let has_membership = membership.is_none_or(|membership| policy.memberships.contains(&membership));
        let tier = tier_of(is_candidate, is_tied, has_membership, relation.is_some());
        TierDecision { tier, facts, is_tied, has_membership, policy }
    }

    /// How far the customer is from being a VIP.
    pub fn distance(&self) -> Distance {
        let TierDecision { facts: TierFacts { buying, value, relation, .. }, policy, .. } = *self;
        let purchases = match self.tier {
            VipTier::Vip | VipTier::Candidate => MissingPurchases::default(),
            VipTier::Supporter | VipTier::Regular => MissingPurchases::of(buying, policy),
        };
        let one = i128::from(Millionths::ONE);
        let value = value.map_or((0, 1), |value| (value.numerator, value.denominator));
        Distance {
            purchases,
            relation: relation.map(|relation| missing_points(policy.min_relation_score, relation.get(), one)),
            value: policy
                .untracked_min_value_score
                .filter(|_| relation.is_none())
                .map(|limit| missing_points(limit, value.0, value.1)),
            no_value_will_do: relation.is_none() && policy.untracked_min_value_score.is_none(),
            has_membership: self.has_membership,
        }
    }

    /// The tier and every limit it was decided by, for explanations.
    ///
    /// # Errors
    /// None for a policy that does not contradict itself.
    pub fn reasons(&self) -> Result<Value> {
        let TierDecision { facts: TierFacts { on, buying, value, relation, membership }, policy, .. } = *self;
        let value = value.map(|value| Decimal::quotient(value.numerator, value.denominator, 6)).transpose()?;
        let countdown = Countdown::default();
        let by_frequency = buying.map(|buying| buying.by_frequency(policy, &countdown));
        let by_lifetime_value = buying.map(|buying| buying.by_lifetime_value(policy, &countdown));
        let are_met = |requirements: &Option<Requirements>| requirements.as_ref().is_some_and(Requirements::are_met);
        Ok(json!({
            "tier": self.tier,
            "on": on,
            "candidate": match (are_met(&by_frequency), are_met(&by_lifetime_value)) {
                (true, true) => "by frequency and by lifetime value",
                (true, false) => "by frequency",
                (false, true) => "by lifetime value",
                (false, false) => "no",
            },
            "by_frequency": by_frequency.as_ref().map(Requirements::reasons),
            "by_lifetime_value": by_lifetime_value.as_ref().map(Requirements::reasons),
            "tie": match relation {
                Some(relation) => json!({
                    "fact": "relation_score",
                    "value": relation,
                    "at_least": policy.min_relation_score,
                    "met": self.is_tied,
                }),
                None => json!({
                    "fact": "value_score, because engagement is not tracked",
                    "value": value.map(Decimal::normalized),
                    "at_least": policy.untracked_min_value_score,
                    "met": self.is_tied,
                }),
            },
            "membership": {
                "value": membership,
                "one_of": policy.memberships,
                "met": self.has_membership,
            },
        }))
    }
}

/// How far a customer is from being a VIP: what would have to come to what there is.
#[derive(Clone, Copy, Debug)]
pub struct Distance {
    /// What she has to buy to be a candidate.
    pub purchases: MissingPurchases,
    /// Relation points; `None` where engagement is not tracked.
    pub relation: Option<Decimal>,
    /// Points of the value score; `None` where engagement is tracked, or where no value score would do.
    pub value: Option<Decimal>,
    /// Whether her tie to the shop is judged by the value score, which no score would satisfy.
    no_value_will_do: bool,
    has_membership: bool,
}

impl Distance {
    /// What is missing, by name; nothing for a VIP.
    fn missing(&self) -> impl Iterator<Item = &'static str> {
        let is_missing = |points: Option<Decimal>| points.is_some_and(|points| points > Decimal::ZERO);
        [
            (self.purchases.are_too_few, "orders"),
            (self.purchases.are_too_long_ago, "recency"),
            (self.purchases.span_days > 0, "span"),
            (is_missing(self.relation), "relation"),
            (is_missing(self.value) || self.no_value_will_do, "value"),
            (!self.has_membership, "membership"),
        ]
        .into_iter()
        .filter_map(|(is_missing, name)| is_missing.then_some(name))
    }

    /// The names of what is missing, separated by commas; `None` for a VIP.
    pub fn missing_in_words(&self) -> Option<String> {
        let names: Vec<_> = self.missing().collect();
        (!names.is_empty()).then(|| names.join(","))
    }

    /// What is missing and how it is counted, for explanations.
    pub fn reasons(&self) -> Value {
        json!({
            "missing": self.missing().collect::<Vec<_>>(),
            "orders": self.purchases.orders,
            "span_days": self.purchases.span_days,
            "relation": self.relation,
            "value": self.value,
            "rule": "orders, recency and span: to be a candidate by frequency, where one more purchase renews the recency and \
                     lengthens the span; relation or value: to the limit of the tie, rounded up to 2 decimals",
        })
    }
}

/// What somebody who is no candidate has to buy to be one by frequency; nothing for a candidate.
#[derive(Clone, Copy, Debug, Default)]
pub struct MissingPurchases {
    /// Purchases, each on a day of its own: at least 1, because only another one lengthens the span and renews the recency.
    pub orders: i64,
    /// Days by which her first and last purchase lie too close.
    pub span_days: i64,
    are_too_few: bool,
    /// Whether nothing is missing but a purchase that renews the recency; any other renews it too.
    are_too_long_ago: bool,
}

impl MissingPurchases {
    fn of(buying: Option<CandidateFacts>, policy: &Vip) -> Self {
        let [frequency, purchase_days, span] =
            buying.map_or([0; 3], |buying| [buying.frequency, buying.purchase_days, buying.span_days]);
        let orders =
            (i64::from(policy.min_orders) - frequency).max(i64::from(policy.min_purchase_days) - purchase_days);
        let span_days = (i64::from(policy.min_span_days) - span).max(0);
        MissingPurchases {
            orders: orders.max(1),
            span_days,
            are_too_few: orders > 0,
            are_too_long_ago: orders <= 0 && span_days == 0,
        }
    }
}

/// `limit - numerator / denominator` points, at least 0, rounded up to 2 decimals.
fn missing_points(limit: Millionths, numerator: i128, denominator: i128) -> Decimal {
    let one = i128::from(Millionths::ONE);
    let (missing, unit) = (100 * (limit.get() * denominator - numerator * one), one * denominator);
    Decimal::new(((missing + unit - 1).div_euclid(unit)).max(0), 2)
}

fn tier_of(is_candidate: bool, is_tied: bool, has_membership: bool, is_tracked: bool) -> VipTier {
    match is_candidate {
        true if is_tied && has_membership => VipTier::Vip,
        true => VipTier::Candidate,
        false if is_tied && is_tracked => VipTier::Supporter,
        false => VipTier::Regular,
    }
}

/// The VIP score and the scores that made it, for explanations.
///
/// # Errors
/// As [`vip_score`].
pub fn vip_score_reasons(value: ValueScore, relation: Option<Millionths>, policy: &Vip) -> Result<Value> {
    Ok(json!({
        "score": vip_score(value, relation, policy)?,
        "value_score": value.rounded()?,
        "relation_score": relation.map(relation::shown).transpose()?,
        "value_weight": policy.value_weight,
        "rule": match relation {
            Some(_) => "value_weight * value_score + (1 - value_weight) * relation_score, rounded once",
            None => "the value score alone: engagement is not tracked",
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Document;

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
        let countdown = Countdown::default();
        let steady = CandidateFacts {
            span_days: 84,
            frequency: 4,
            purchase_days: 3,
            recency_days: 45,
            monetary: Decimal::from(1),
            dormant_limit: 60,
        };
        let is_candidate = |buying: CandidateFacts| {
            let facts = TierFacts { on: Day(0), buying: Some(buying), value: None, relation: None, membership: None };
            TierDecision::of(facts, policy, &countdown).tier == VipTier::Candidate
        };
        assert!(is_candidate(steady));
        let bulk = CandidateFacts { frequency: 100, purchase_days: 80, monetary: Decimal::from(9_000_000), ..steady };
        assert!(!is_candidate(CandidateFacts { span_days: 83, ..bulk }));
        assert!(!is_candidate(CandidateFacts { recency_days: 46, ..steady }));
        assert!(!is_candidate(CandidateFacts { purchase_days: 2, ..steady }));
        let monetary = Decimal::from(100_000);
        let rich = CandidateFacts { purchase_days: 2, frequency: 2, recency_days: 60, monetary, ..steady };
        assert!(is_candidate(rich));
        assert!(!is_candidate(CandidateFacts { recency_days: 61, ..rich }));
    }

    #[test]
    fn what_is_missing_says_how_far_it_is() {
        let document = Document::parse(r#"{"vip": {"memberships": ["continuing"]}}"#).unwrap();
        let policy = &document.policy().unwrap().vip;
        let steady = CandidateFacts {
            span_days: 84,
            frequency: 4,
            purchase_days: 3,
            recency_days: 45,
            monetary: Decimal::from(1),
            dormant_limit: 60,
        };
        let missing = |buying, value, relation: Option<&str>, membership| {
            let relation = relation.map(|points| Millionths((points.parse::<f64>().unwrap() * 1e6) as i64));
            let facts = TierFacts { on: Day(0), buying, value, relation, membership };
            let distance = TierDecision::of(facts, policy, &Countdown::default()).distance();
            let points = distance.relation.or(distance.value).map(|points| points.to_string());
            (
                distance.missing_in_words().unwrap_or_default(),
                distance.purchases.orders,
                distance.purchases.span_days,
                points.unwrap_or_default(),
            )
        };
        let told = |words: &str, orders, span, points: &str| (words.to_owned(), orders, span, points.to_owned());
        let value = |numerator, denominator| Some(ValueScore { numerator, denominator });
        assert_eq!(missing(Some(steady), value(0, 1), Some("50"), None), told("", 0, 0, "0.00"));
        assert_eq!(missing(Some(steady), value(0, 1), Some("49.991"), None), told("relation", 0, 0, "0.01"));
        assert_eq!(missing(Some(steady), value(250, 3), None, None), told("value", 0, 0, "6.67"));
        let paused = Some(Membership::Paused);
        assert_eq!(missing(Some(steady), value(0, 1), Some("60"), paused), told("membership", 0, 0, "0.00"));
        assert_eq!(missing(None, None, Some("0"), None), told("orders,span,relation", 4, 84, "50.00"));
        // Who bought often enough, but is silent for too long, or bought all of it at once, needs one more purchase.
        let silent = CandidateFacts { recency_days: 46, ..steady };
        assert_eq!(missing(Some(silent), value(0, 1), Some("50"), None), told("recency", 1, 0, "0.00"));
        let burst = CandidateFacts { span_days: 3, ..steady };
        assert_eq!(missing(Some(burst), value(0, 1), Some("50"), None), told("span", 1, 81, "0.00"));
        let few = CandidateFacts { frequency: 9, purchase_days: 1, ..steady };
        assert_eq!(missing(Some(few), value(0, 1), Some("50"), None), told("orders", 2, 0, "0.00"));
    }

    #[test]
    fn tiers() {
        let document = Document::empty();
        let policy = &document.policy().unwrap().vip;
        let value = |percent| Some(ValueScore { numerator: percent, denominator: 1 });
        let relation = |points: i64| Some(Millionths(points * Millionths::ONE));
        let countdown = Countdown::default();
        let buying = CandidateFacts {
            span_days: 84,
            frequency: 4,
            purchase_days: 3,
            recency_days: 0,
            monetary: Decimal::from(1),
            dormant_limit: 60,
        };
        let tier = |candidate: bool, value, relation, membership| {
            let buying = candidate.then_some(buying);
            let facts = TierFacts { on: Day(0), buying, value, relation, membership };
            TierDecision::of(facts, policy, &countdown).tier.name()
        };
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
