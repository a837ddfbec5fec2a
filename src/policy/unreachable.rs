//! Which states, tiers and stages nobody can be in, by the numbers of a policy.
//!
//! Each is asked for the customers who come closest to it: whatever they buy, and whenever one looks at them.

use super::Policy;
use crate::countdown::{Countdown, DaysSince};
use crate::day::{LONGEST_GAP, LONGEST_RECENCY};
use crate::decimal::Decimal;
use crate::finding::{Finding, Reason, Severity, because};
use crate::history::MAX_DAYS;
use crate::lifecycle::{Cycle, LimitRange};
use crate::membership::Membership;
use crate::rfm::{Frequency, Scores};

/// Customers who have bought at least so often and on so many days, as far apart, and at most so many days ago.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    frequency: i64,
    purchase_days: i64,
    span_days: i64,
    recency_days: i64,
    /// Nobody among them has spent less; `None`: refunds can make it any less.
    monetary: Option<Decimal>,
}

/// The two kinds of customers whose limits differ.
const GROUPS: [Option<Membership>; 2] = [None, Some(Membership::Continuing)];

/// More than any cut point.
const ANY_AMOUNT: Decimal = Decimal::new(i128::MAX, 0);

impl Policy {
    /// What is to be said of states, tiers and stages that are out of reach.
    pub(super) fn find_unreachable_labels(&self, found: &mut Vec<Finding>) {
        let reasons = [
            ("at_risk", self.why_not_at_risk()),
            ("dormant", self.why_not_dormant(LONGEST_RECENCY)),
            ("winback", self.why_not_dormant(LONGEST_GAP)),
            ("new", self.why_not_new()),
            ("active", self.why_not_active()),
            ("candidate", self.why_not_candidate()),
            ("vip", self.why_not_vip()),
            ("supporter", self.why_not_supporter()),
            ("in the stage nurture", self.why_not_nurture()),
            ("in the stage established", self.why_not_established()),
        ];
        for (label, reason) in reasons {
            found.extend(reason.map(|reason| Finding::nobody_is(label, reason)));
        }
        if self.vip.memberships.is_empty() && self.why_not_vip().is_none() {
            let message = "it is empty: only customers of unknown membership can be vip";
            found.push(Finding::new(Severity::Info, "vip.memberships", message));
        }
    }

    fn limit_ranges(&self) -> [(Option<Membership>, LimitRange); 2] {
        GROUPS.map(|membership| (membership, LimitRange::of(&self.lifecycle, membership)))
    }

    fn why_not_at_risk(&self) -> Option<Reason> {
        if self.limit_ranges().iter().any(|(_, limits)| limits.can_be_at_risk) {
            return None;
        }
        let limits = &self.lifecycle;
        let (path, reason) = match limits.cycle {
            Cycle::Fixed if limits.at_risk_after_days == limits.dormant_after_days => {
                ("lifecycle.at_risk_after_days", "lifecycle.dormant_after_days is the same")
            }
            Cycle::Fixed => ("lifecycle.at_risk_after_days", "the calendar has no day that late"),
            Cycle::Own if limits.at_risk_ratio == limits.dormant_ratio => {
                ("lifecycle.at_risk_ratio", "lifecycle.dormant_ratio is the same")
            }
            Cycle::Own if limits.min_days == limits.max_days => {
                ("lifecycle.min_days", "lifecycle.max_days is the same")
            }
            Cycle::Own => (
                "lifecycle.at_risk_ratio",
                "in whole days from min_days to max_days, its limit is that of dormant_ratio",
            ),
        };
        because(path, reason)
    }

    /// Why nobody stays away for longer than her dormant limit, in a time of `longest` days.
    fn why_not_dormant(&self, longest: i64) -> Option<Reason> {
        if self.limit_ranges().iter().any(|(_, limits)| limits.shortest_dormant < longest) {
            return None;
        }
        let path = match self.lifecycle.cycle {
            Cycle::Fixed => "lifecycle.dormant_after_days",
            Cycle::Own => "lifecycle.min_days",
        };
        because(path, "the calendar has no day that late")
    }

    fn why_not_new(&self) -> Option<Reason> {
        if self.lifecycle.new_max_orders == 0 {
            return because("lifecycle.new_max_orders", "it is 0, and whoever has bought has bought once");
        }
        let is_new = |&(membership, limits): &(Option<Membership>, LimitRange)| {
            let crowd = self.crowd(1, 1, 0, limits.longest_at_risk);
            crowd.is_some_and(|crowd| !self.are_all_vip(&crowd, membership))
        };
        if self.limit_ranges().iter().any(is_new) {
            return None;
        }
        because("vip", "whoever could be is vip")
    }

    fn why_not_active(&self) -> Option<Reason> {
        let is_active = |&(membership, limits): &(Option<Membership>, LimitRange)| {
            let crowds = [self.no_more_new(limits), self.long_back(limits)];
            crowds.into_iter().flatten().any(|crowd| !self.are_all_vip(&crowd, membership))
        };
        if self.limit_ranges().iter().any(is_active) {
            return None;
        }
        because("lifecycle.new_max_orders", "whoever is neither at_risk, dormant nor winback is new or vip")
    }

    /// Who has bought too often to be new, and not after an absence.
    fn no_more_new(&self, limits: LimitRange) -> Option<Crowd> {
        let crowd = self.crowd(i64::from(self.lifecycle.new_max_orders) + 1, 1, 0, limits.longest_at_risk)?;
        // Where every gap is an absence, only who bought on a single day is left.
        (crowd.purchase_days == 1 || limits.longest_dormant > 0).then_some(crowd)
    }

    /// Who came back from an absence, and whose winback_window_days are over.
    fn long_back(&self, limits: LimitRange) -> Option<Crowd> {
        let is_over = i64::from(self.lifecycle.winback_window_days) < limits.longest_at_risk.min(LONGEST_RECENCY);
        let crowd = self.crowd(1, 2, limits.shortest_dormant.saturating_add(1), limits.longest_at_risk)?;
        is_over.then_some(crowd)
    }

    fn why_not_candidate(&self) -> Option<Reason> {
        let candidates = self.candidates();
        if candidates.is_empty() {
            return because("vip", "the calendar or a history has not so many days");
        }
        let all_are_vip = |crowd: &Crowd| GROUPS.iter().all(|&membership| self.is_always_tied(crowd, membership));
        if !candidates.iter().all(all_are_vip) {
            return None;
        }
        because("vip", "each is vip at once, by vip.memberships, min_relation_score and untracked_min_value_score")
    }

    fn why_not_vip(&self) -> Option<Reason> {
        let candidates = self.candidates();
        if candidates.is_empty() {
            return because("vip", "nobody is a candidate");
        }
        if !self.can_be_tied(MAX_DAYS as i64) {
            return because(
                "vip.min_relation_score",
                match self.vip.untracked_min_value_score {
                    None => format!("{}, and vip.untracked_min_value_score is null", self.relation.most_in_words()),
                    Some(score) => format!("{}, and no value score is {score}", self.relation.most_in_words()),
                },
            );
        }
        // Where every gap is an absence, whoever has bought on two days is dormant or winback, not in the state vip.
        let may_be_vip = |membership: Option<Membership>| membership.is_none_or(|m| self.vip.memberships.contains(&m));
        let mut groups = self.limit_ranges().into_iter();
        if candidates.iter().any(|crowd| crowd.purchase_days == 1) && self.can_be_tied(1)
            || groups.any(|(membership, limits)| may_be_vip(membership) && limits.longest_dormant > 0)
        {
            return None;
        }
        let path = match self.lifecycle.cycle {
            Cycle::Fixed => "lifecycle.dormant_after_days",
            Cycle::Own => "lifecycle.max_days",
        };
        because(path, "it is 0, so that whoever bought on two days is winback, then dormant, whatever her tier")
    }

    fn why_not_supporter(&self) -> Option<Reason> {
        if self.relation.most() >= self.vip.min_relation_score.get() {
            return None;
        }
        because("vip.min_relation_score", self.relation.most_in_words())
    }

    fn why_not_nurture(&self) -> Option<Reason> {
        let stage = &self.purchase_stage;
        if stage.nurture_min_orders == stage.established_min_orders {
            return because("purchase_stage.nurture_min_orders", "purchase_stage.established_min_orders is the same");
        }
        self.why_not_so_often("purchase_stage.nurture_min_orders", stage.nurture_min_orders)
    }

    fn why_not_established(&self) -> Option<Reason> {
        self.why_not_so_often("purchase_stage.established_min_orders", self.purchase_stage.established_min_orders)
    }

    fn why_not_so_often(&self, path: &'static str, orders: u32) -> Option<Reason> {
        if i64::from(orders) <= self.frequency.most() {
            return None;
        }
        because(path, format!("no history has more than {MAX_DAYS} days"))
    }

    /// The customers with at least these numbers, and with what these numbers need; `None` where there can be none.
    fn crowd(&self, frequency: i64, purchase_days: i64, span_days: i64, recency_days: i64) -> Option<Crowd> {
        let days_for_span = if span_days > 0 { 2 } else { 1 };
        let days_for_frequency = match self.frequency {
            Frequency::Orders => 1,
            Frequency::PurchaseDays => frequency,
        };
        let purchase_days = purchase_days.max(days_for_span).max(days_for_frequency);
        let crowd = Crowd {
            frequency: frequency.max(purchase_days),
            purchase_days,
            span_days: span_days.max(purchase_days - 1),
            recency_days: recency_days.min(LONGEST_RECENCY),
            monetary: None,
        };
        (crowd.purchase_days <= MAX_DAYS as i64 && crowd.span_days <= LONGEST_GAP).then_some(crowd)
    }

    /// The candidates by frequency and those by lifetime value, as far as there can be any.
    fn candidates(&self) -> Vec<Crowd> {
        let vip = &self.vip;
        let [orders, days, span, recency, ltv_days] = [
            vip.min_orders,
            vip.min_purchase_days,
            vip.min_span_days,
            vip.max_recency_days,
            vip.monetary_min_purchase_days,
        ]
        .map(i64::from);
        let dormant = self.limit_ranges().iter().map(|(_, limits)| limits.longest_dormant).max().unwrap_or(0);
        let by_frequency = self.crowd(orders, days, span, recency);
        let by_lifetime_value = vip.monetary_cut.and_then(|cut| {
            let crowd = self.crowd(1, ltv_days, span, dormant)?;
            Some(Crowd { monetary: Some(cut), ..crowd })
        });
        by_frequency.into_iter().chain(by_lifetime_value).collect()
    }

    /// Whether all of a crowd and membership are VIPs.
    fn are_all_vip(&self, crowd: &Crowd, membership: Option<Membership>) -> bool {
        let vip = &self.vip;
        let at_least = |value: i64, limit: u32| value >= i64::from(limit);
        at_least(crowd.span_days, vip.min_span_days)
            && at_least(crowd.frequency, vip.min_orders)
            && at_least(crowd.purchase_days, vip.min_purchase_days)
            && crowd.recency_days <= i64::from(vip.max_recency_days)
            && self.is_always_tied(crowd, membership)
    }

    /// Whether a candidate of this crowd and membership is a VIP whatever else is known of her.
    fn is_always_tied(&self, crowd: &Crowd, membership: Option<Membership>) -> bool {
        let vip = &self.vip;
        let may_be_vip = match membership {
            Some(membership) => vip.memberships.contains(&membership),
            None => Membership::ALL
                .iter()
                .filter(|&&membership| !GROUPS.contains(&Some(membership)))
                .all(|membership| vip.memberships.contains(membership)),
        };
        let cuts = &self.rfm;
        let least = Scores::of(
            DaysSince::new(crowd.recency_days, &Countdown::default()),
            crowd.frequency,
            crowd.monetary.unwrap_or(ANY_REFUND),
            cuts,
        );
        may_be_vip
            && vip.min_relation_score.0 == 0
            && vip.untracked_min_value_score.is_some_and(|limit| least.value_score(cuts).at_least(limit))
    }

    /// Whether a customer of so many purchase days can be tied to the shop, by the best relation score or the best value score.
    fn can_be_tied(&self, days: i64) -> bool {
        let best =
            Scores::of(DaysSince::new(0, &Countdown::default()), self.frequency.most_of(days), ANY_AMOUNT, &self.rfm)
                .value_score(&self.rfm);
        self.relation.most() >= self.vip.min_relation_score.get()
            || self.vip.untracked_min_value_score.is_some_and(|limit| best.at_least(limit))
    }
}

/// Less than any cut point.
const ANY_REFUND: Decimal = Decimal::new(i128::MIN, 0);
