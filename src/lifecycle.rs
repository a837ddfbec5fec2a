//! Where a customer stands: lifecycle state and purchase stage.

mod range;

pub use range::LimitRange;

use crate::countdown::DaysSince;
use crate::decimal::Millionths;
use crate::finding::Contradictions;
use crate::labels::labels;
use crate::membership::Membership;
use crate::vip::VipTier;
use serde::Deserialize;
use serde_json::{Value, json};

labels! {
    /// Whose rhythm sets the limits of the lifecycle.
    Cycle "cycle" {
        /// The policy's numbers.
        Fixed = "fixed", "Fixed", "固定";
        /// The customer's own gaps.
        Own = "own", "Own", "個別";
    }
}

/// Limits of the lifecycle states, in days unless said otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// Whose rhythm sets the limits.
    pub cycle: Cycle,
    /// Fixed cycle: at risk after more days than this without a purchase.
    pub at_risk_after_days: u32,
    /// Fixed cycle: dormant after more days than this.
    pub dormant_after_days: u32,
    /// How long a customer who came back from dormancy counts as winback.
    pub winback_window_days: u32,
    /// F up to which a customer is new.
    pub new_max_orders: u32,
    /// What membership continuing adds to both limits.
    pub continuing_grace_days: u32,
    /// From this many days without a purchase a dormant customer is one to be reactivated; at least 1.
    pub reactivation_min_days: u32,
    /// Own cycle: at risk after this many typical gaps.
    pub at_risk_ratio: Millionths,
    /// Own cycle: dormant after this many typical gaps.
    pub dormant_ratio: Millionths,
    /// Own cycle: how many gaps of the store's length every customer starts with; above 0.
    pub prior_gaps: Millionths,
    /// Own cycle: the store's usual gap.
    pub store_gap_days: Millionths,
    /// Own cycle: no limit is shorter.
    pub min_days: u32,
    /// Own cycle: no limit is longer.
    pub max_days: u32,
}

impl Lifecycle {
    /// What of these limits contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        found.require(
            self.at_risk_after_days <= self.dormant_after_days,
            "lifecycle.at_risk_after_days",
            format!(
                "at risk after {} days, but dormant after {} (lifecycle.dormant_after_days)",
                self.at_risk_after_days, self.dormant_after_days
            ),
        );
        // Products of these must fit; nobody's customers wait longer.
        let mut bounded = |value: Millionths, most: i64, key: &str| {
            let holds = value.0 > 0 && value.0 <= most * Millionths::ONE;
            let message = format!("it must be above 0 and at most {most}, it is {value}");
            found.require(holds, format!("lifecycle.{key}"), message);
        };
        bounded(self.at_risk_ratio, 1000, "at_risk_ratio");
        bounded(self.dormant_ratio, 1000, "dormant_ratio");
        bounded(self.prior_gaps, 1000, "prior_gaps");
        bounded(self.store_gap_days, 100_000, "store_gap_days");
        found.require(
            self.at_risk_ratio <= self.dormant_ratio,
            "lifecycle.at_risk_ratio",
            format!("{} is above lifecycle.dormant_ratio, {}", self.at_risk_ratio, self.dormant_ratio),
        );
        found.require(
            self.min_days <= self.max_days,
            "lifecycle.min_days",
            format!("{} is above lifecycle.max_days, {}", self.min_days, self.max_days),
        );
        let is_positive = self.reactivation_min_days >= 1;
        found.require(is_positive, "lifecycle.reactivation_min_days", "it must be at least 1");
    }
}

/// F from which a customer is in a stage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurchaseStageLimits {
    /// From this F: nurture.
    pub nurture_min_orders: u32,
    /// From this F: established.
    pub established_min_orders: u32,
}

impl PurchaseStageLimits {
    /// What of these limits contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        found.require(self.nurture_min_orders >= 2, "purchase_stage.nurture_min_orders", "it must be at least 2");
        found.require(
            self.nurture_min_orders <= self.established_min_orders,
            "purchase_stage.nurture_min_orders",
            format!("it is above purchase_stage.established_min_orders, {}", self.established_min_orders),
        );
    }
}

labels! {
    /// Where a customer stands, in the order in which the rules are tried.
    LifecycleState "lifecycle state" {
        /// Has not bought yet.
        Prospect = "prospect", "Prospect", "見込み客";
        /// Has not bought for longer than the dormant limit.
        Dormant = "dormant", "Dormant", "休眠";
        /// Has not bought for longer than the at-risk limit.
        AtRisk = "at_risk", "At risk", "休眠予備軍";
        /// Has just come back from an absence.
        Winback = "winback", "Winback", "復活";
        /// Keeps buying and contributes.
        Vip = "vip", "VIP", "優良";
        /// Has bought too seldom to have a habit.
        New = "new", "New", "新規";
        /// Bought recently.
        Active = "active", "Active", "継続";
    }
}

labels! {
    /// How far a customer has come, by F.
    PurchaseStage "purchase stage" {
        /// First purchase.
        First = "first", "First purchase", "初回";
        /// Has bought again, not yet often enough for a habit.
        Nurture = "nurture", "Nurture", "育成";
        /// Buys as a habit.
        Established = "established", "Established", "定着";
    }
}

impl PurchaseStage {
    /// The stage at F; `None` for a prospect.
    pub fn of(frequency: i64, limits: &PurchaseStageLimits) -> Option<Self> {
        if frequency < 1 {
            None
        } else if frequency < i64::from(limits.nurture_min_orders) {
            Some(PurchaseStage::First)
        } else if frequency < i64::from(limits.established_min_orders) {
            Some(PurchaseStage::Nurture)
        } else {
            Some(PurchaseStage::Established)
        }
    }

    /// The stage and the limits it was decided by, for explanations.
    pub fn reasons(self, frequency: i64, limits: &PurchaseStageLimits) -> Value {
        json!({
            "stage": self,
            "frequency": frequency,
            "nurture_min_orders": limits.nurture_min_orders,
            "established_min_orders": limits.established_min_orders,
        })
    }
}

/// Days without a purchase after which a customer is at risk and dormant: *more* days than these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At-risk limit.
    pub at_risk: i64,
    /// Dormant limit.
    pub dormant: i64,
}

/// A gap between two purchase days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Its days.
    pub days: i64,
    /// The dormant limit that held during it, with the membership of the day before it ended.
    pub dormant_limit: i64,
}

impl Gap {
    /// Whether it was longer than its limit.
    pub fn was_absence(self) -> bool {
        self.days > self.dormant_limit
    }
}

/// A customer's gaps, counted in order of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gaps {
    last: Option<Gap>,
    counted: i64,
    counted_days: i64,
}

impl Gaps {
    /// Counts the next gap: its days, and the membership that ruled at its end.
    pub fn count(&mut self, days: i64, policy: &Lifecycle, membership: Option<Membership>) {
        let gap = Gap { days, dormant_limit: limits(self.counted, self.counted_days, policy, membership).dormant };
        self.last = Some(gap);
        if policy.cycle == Cycle::Own {
            self.counted += 1;
            self.counted_days += days.min(gap.dormant_limit);
        }
    }

    /// What they say about the limits, with the membership that rules now.
    pub fn rhythm(self, policy: &Lifecycle, membership: Option<Membership>) -> Rhythm {
        let Gaps { last, counted, counted_days } = self;
        let limits = limits(counted, counted_days, policy, membership);
        Rhythm { limits, last_gap: last, counted_gaps: counted, counted_days }
    }
}

/// What a customer's gaps, walked through in order of time, say about the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The limits that hold now.
    pub limits: Limits,
    /// The last gap.
    pub last_gap: Option<Gap>,
    /// The gaps that made the limits; 0 in the fixed cycle.
    pub counted_gaps: i64,
    /// The days of these gaps together, each counted at most as its dormant limit.
    pub counted_days: i64,
}

impl Rhythm {
    /// Walks through the gaps, oldest first: their days, and the membership that ruled at their end.
    pub fn walk(
        gaps: impl Iterator<Item = (i64, Option<Membership>)>,
        policy: &Lifecycle,
        membership: Option<Membership>,
    ) -> Self {
        let mut counted = Gaps::default();
        for (days, membership_then) in gaps {
            counted.count(days, policy, membership_then);
        }
        counted.rhythm(policy, membership)
    }

    /// Whether the last purchase ended an absence.
    pub fn came_back(&self) -> bool {
        self.last_gap.is_some_and(Gap::was_absence)
    }
}

/// What membership adds to both limits.
fn grace_days(policy: &Lifecycle, membership: Option<Membership>) -> i64 {
    match membership {
        Some(Membership::Continuing) => policy.continuing_grace_days.into(),
        _ => 0,
    }
}

/// The limits after `gaps` gaps that count `days` days together.
fn limits(gaps: i64, days: i64, policy: &Lifecycle, membership: Option<Membership>) -> Limits {
    let grace = grace_days(policy, membership);
    let after = |fixed: u32, ratio: Millionths| {
        grace
            + match policy.cycle {
                Cycle::Fixed => i64::from(fixed),
                Cycle::Own => own_limit(gaps, days, ratio, policy),
            }
    };
    Limits {
        at_risk: after(policy.at_risk_after_days, policy.at_risk_ratio),
        dormant: after(policy.dormant_after_days, policy.dormant_ratio),
    }
}

/// `ceil(ratio * (days + prior_gaps * store_gap_days) / (gaps + prior_gaps))` within min_days and max_days.
///
/// All three numbers of the policy are millionths; the fraction is multiplied out, nothing is rounded on the way.
fn own_limit(gaps: i64, days: i64, ratio: Millionths, policy: &Lifecycle) -> i64 {
    let one = i128::from(Millionths::ONE);
    let numerator =
        ratio.get() * (i128::from(days) * one * one + policy.prior_gaps.get() * policy.store_gap_days.get());
    let denominator = (i128::from(gaps) * one + policy.prior_gaps.get()) * one * one;
    let limit = (numerator + denominator - 1) / denominator;
    limit.clamp(policy.min_days.into(), policy.max_days.into()) as i64
}

/// The state of somebody who has bought; `is_vip` is asked only where the rules get that far.
pub fn state_of_buyer(
    recency: DaysSince,
    frequency: i64,
    rhythm: &Rhythm,
    policy: &Lifecycle,
    is_vip: impl FnOnce() -> bool,
) -> LifecycleState {
    let came_back = rhythm.came_back();
    if recency.exceed(rhythm.limits.dormant) {
        LifecycleState::Dormant
    } else if recency.exceed(rhythm.limits.at_risk) {
        LifecycleState::AtRisk
    } else if came_back && !recency.exceed(policy.winback_window_days.into()) {
        LifecycleState::Winback
    } else if is_vip() {
        LifecycleState::Vip
    } else if frequency <= i64::from(policy.new_max_orders) && !came_back {
        LifecycleState::New
    } else {
        LifecycleState::Active
    }
}

/// The lifecycle state of a customer and what decided it.
#[derive(Clone, Copy, Debug)]
pub struct StateDecision<'a> {
    /// The state.
    pub state: LifecycleState,
    /// Days since the last purchase; `None` for a prospect.
    pub recency_days: Option<i64>,
    /// F.
    pub frequency: i64,
    /// The limits and the last gap.
    pub rhythm: &'a Rhythm,
    /// Her membership; `None` where it is unknown.
    pub membership: Option<Membership>,
    /// The policy's limits.
    pub policy: &'a Lifecycle,
}

impl StateDecision<'_> {
    /// The state and the rules up to the one that decided, which is the first that holds, for explanations.
    pub fn reasons(&self, vip_tier: VipTier) -> Value {
        let StateDecision { state, rhythm, policy, .. } = *self;
        let rules = LifecycleState::ALL[..state.rule_number()].iter().map(|rule| {
            let when = rule.rule_in_words(rhythm, policy);
            json!({ "rule": rule.rule_number(), "state": rule, "when": when, "met": *rule == state })
        });
        json!({
            "state": state,
            "decided_by": format!("rule {}: {}", state.rule_number(), state.rule_in_words(rhythm, policy)),
            "rules_tried": rules.collect::<Vec<_>>(),
            "recency_days": self.recency_days,
            "frequency": self.frequency,
            "vip_tier": vip_tier,
            "limits": self.limits(),
            "last_gap": rhythm.last_gap.map(|gap| json!({
                "days": gap.days,
                "dormant_after_days": gap.dormant_limit,
                "was_absence": gap.was_absence(),
            })),
        })
    }

    /// The limits that hold, and where they come from.
    fn limits(&self) -> Value {
        let (rhythm, policy) = (self.rhythm, self.policy);
        json!({
            "cycle": policy.cycle,
            "at_risk_after_days": rhythm.limits.at_risk,
            "dormant_after_days": rhythm.limits.dormant,
            "grace_days": grace_days(policy, self.membership),
            "winback_window_days": policy.winback_window_days,
            "new_max_orders": policy.new_max_orders,
            "from": match policy.cycle {
                Cycle::Fixed => json!({
                    "at_risk_after_days": policy.at_risk_after_days,
                    "dormant_after_days": policy.dormant_after_days,
                }),
                Cycle::Own => json!({
                    "gaps": rhythm.counted_gaps,
                    "counted_days": rhythm.counted_days,
                    "prior_gaps": policy.prior_gaps,
                    "store_gap_days": policy.store_gap_days,
                    "at_risk_ratio": policy.at_risk_ratio,
                    "dormant_ratio": policy.dormant_ratio,
                    "min_days": policy.min_days,
                    "max_days": policy.max_days,
                    "rule": "ceil(ratio * (counted_days + prior_gaps * store_gap_days) / (gaps + prior_gaps)), \
                             within min_days and max_days, then grace_days more",
                }),
            },
        })
    }
}

/// In which year of dormancy somebody is who last bought so many days ago: 1 up to 365 days, 2 up to 730, and so on; `None`
/// before [`Lifecycle::reactivation_min_days`]. The longer the dormancy, the fewer come back.
pub fn dormant_year(recency_days: i64, policy: &Lifecycle) -> Option<i64> {
    const YEAR: i64 = 365;
    (recency_days >= i64::from(policy.reactivation_min_days)).then_some((recency_days + YEAR - 1) / YEAR)
}

impl LifecycleState {
    /// The rules are tried in the order of the list, so its place there, from 1, is the number of the rule that decided.
    fn rule_number(self) -> usize {
        1 + Self::ALL.iter().take_while(|&&state| state != self).count()
    }

    /// The state's rule in words, with the numbers that hold for a customer of this rhythm.
    fn rule_in_words(self, rhythm: &Rhythm, policy: &Lifecycle) -> String {
        match self {
            LifecycleState::Prospect => "no purchase up to as_of".to_owned(),
            LifecycleState::Dormant => format!("recency_days > {}", rhythm.limits.dormant),
            LifecycleState::AtRisk => format!("recency_days > {}", rhythm.limits.at_risk),
            LifecycleState::Winback => {
                format!("the last gap was an absence, recency_days <= {}", policy.winback_window_days)
            }
            LifecycleState::Vip => "vip_tier is vip".to_owned(),
            LifecycleState::New => format!("frequency <= {}, the last gap was no absence", policy.new_max_orders),
            LifecycleState::Active => "none of the rules before".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::countdown::Countdown;
    use crate::policy::Document;

    fn rhythm(policy: &str, gaps: &[i64], membership: Option<Membership>) -> Rhythm {
        let document = Document::parse(policy).unwrap();
        Rhythm::walk(gaps.iter().map(|&days| (days, membership)), &document.policy().unwrap().lifecycle, membership)
    }

    const OWN: &str = r#"{"lifecycle": {"cycle": "own"}}"#;

    #[test]
    fn fixed_limits_do_not_depend_on_gaps() {
        let limits = |membership| rhythm("{}", &[3, 400], membership).limits;
        assert_eq!(limits(None), Limits { at_risk: 30, dormant: 60 });
        assert_eq!(limits(Some(Membership::Continuing)), Limits { at_risk: 45, dormant: 75 });
        assert_eq!(limits(Some(Membership::Paused)), Limits { at_risk: 30, dormant: 60 });
    }

    /// Worked by hand: three prior gaps of 30 days; ratios 1.5 and 3.
    #[test]
    fn own_limits_follow_the_gaps() {
        // (0 + 90) / 3 = 30
        assert_eq!(rhythm(OWN, &[], None).limits, Limits { at_risk: 45, dormant: 90 });
        // (10 + 90) / 4 = 25: 37.5 -> 38, 75
        assert_eq!(rhythm(OWN, &[10], None).limits, Limits { at_risk: 38, dormant: 75 });
        // the second gap counts 75 only: (10 + 75 + 90) / 5 = 35: 52.5 -> 53, 105
        let walked = rhythm(OWN, &[10, 200], None);
        assert_eq!(walked.limits, Limits { at_risk: 53, dormant: 105 });
        assert_eq!(walked.last_gap, Some(Gap { days: 200, dormant_limit: 75 }));
        // clamped to 7 days at least: (100 * 1 + 90) / 103 = 1.84
        assert_eq!(rhythm(OWN, &[1; 100], None).limits, Limits { at_risk: 7, dormant: 7 });
        assert_eq!(rhythm(OWN, &[1; 100], Some(Membership::Continuing)).limits, Limits { at_risk: 22, dormant: 22 });
    }

    #[test]
    fn a_limit_that_is_whole_is_not_rounded_up() {
        let policy =
            r#"{"lifecycle": {"cycle": "own", "at_risk_ratio": 0.1, "store_gap_days": 100, "prior_gaps": 0.3}}"#;
        assert_eq!(rhythm(policy, &[], None).limits, Limits { at_risk: 10, dormant: 300 });
    }

    #[test]
    fn states_in_order() {
        let document = Document::empty();
        let policy = &document.policy().unwrap().lifecycle;
        let state = |recency, frequency, gap: Option<i64>, vip| {
            let rhythm = Rhythm::walk(gap.into_iter().map(|days| (days, None)), policy, None);
            let countdown = Countdown::default();
            state_of_buyer(DaysSince::new(recency, &countdown), frequency, &rhythm, policy, || vip).name()
        };
        assert_eq!(state(61, 9, None, true), "dormant");
        assert_eq!(state(60, 9, None, true), "at_risk");
        assert_eq!(state(31, 9, Some(61), true), "at_risk");
        assert_eq!(state(30, 9, Some(61), true), "winback");
        assert_eq!(state(30, 9, Some(60), true), "vip");
        assert_eq!(state(30, 2, Some(60), false), "new");
        assert_eq!(state(30, 3, Some(60), false), "active");
        assert_eq!(state(0, 1, None, false), "new");
    }

    #[test]
    fn years_dormant() {
        let year = |policy: &str, days| {
            let document = Document::parse(policy).unwrap();
            dormant_year(days, &document.policy().unwrap().lifecycle)
        };
        let default = [0, 180, 181, 365, 366, 730, 731].map(|days| year("{}", days));
        assert_eq!(default, [None, None, Some(1), Some(1), Some(2), Some(2), Some(3)]);
        let late = r#"{"lifecycle": {"reactivation_min_days": 400}}"#;
        assert_eq!([399, 400].map(|days| year(late, days)), [None, Some(2)]);
        let early = r#"{"lifecycle": {"reactivation_min_days": 1}}"#;
        assert_eq!([0, 1].map(|days| year(early, days)), [None, Some(1)]);
        assert_eq!(year("{}", i64::from(i32::MAX)), Some(5_883_517));
    }

    #[test]
    fn a_short_winback_window_ends_in_active_not_in_new() {
        let document = Document::parse(r#"{"lifecycle": {"winback_window_days": 7}}"#).unwrap();
        let policy = &document.policy().unwrap().lifecycle;
        let rhythm = Rhythm::walk([(100, None)].into_iter(), policy, None);
        let countdown = Countdown::default();
        let state = state_of_buyer(DaysSince::new(8, &countdown), 2, &rhythm, policy, || false);
        assert_eq!(state, LifecycleState::Active);
    }
}
