//! Why a customer is dormant, and what kind of dormant customer she is.

use crate::complaint::OpenComplaint;
use crate::day::Day;
use crate::decimal::{Decimal, Millionths, product};
use crate::engagement::EngagementHistory;
use crate::finding::Contradictions;
use crate::history::Purchases;
use crate::labels::labels;
use crate::membership::Membership;
use serde::Deserialize;
use serde_json::{Value, json};

/// When which reason for dormancy is assumed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DormancyReasonLimits {
    /// Discount only: at least so many purchases of which it is known whether they were discounted.
    pub discount_min_purchases: u32,
    /// Discount only: at least this share 0..1 of these purchases was discounted.
    pub discount_min_share: Millionths,
    /// Overstocked: the last purchase day's amount is at least so many times the mean of those before it.
    pub overstock_amount_ratio: Millionths,
    /// Overstocked as well: at least so many purchase days, if all of them lie within `overstock_max_span_days`.
    pub overstock_min_purchase_days: u32,
    /// Overstocked as well: at most so many days from the first to the last of `overstock_min_purchase_days` or more.
    pub overstock_max_span_days: u32,
    /// Unhabituated: at most so many purchase days.
    pub unhabituated_max_purchase_days: u32,
}

impl DormancyReasonLimits {
    /// What of these limits contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        let all = Millionths(Millionths::ONE);
        found.require_within(self.discount_min_share, all, "dormancy_reason.discount_min_share");
        let ratio_is_positive = self.overstock_amount_ratio.0 > 0;
        found.require(ratio_is_positive, "dormancy_reason.overstock_amount_ratio", "it must be above 0");
    }
}

labels! {
    /// What kind of dormant customer: decides the program.
    DormancyCategory "dormancy category" {
        /// Paused the subscription.
        Paused = "paused", "Paused", "休会";
        /// Ended the subscription.
        Cancelled = "cancelled", "Cancelled", "解約";
        /// Subscribes, but does not buy.
        MemberSilent = "member_silent", "Silent member", "会員・購入なし";
        /// Bought once, no subscription known.
        BoughtOnce = "bought_once", "Bought once", "1回のみ購入";
        /// Everybody else.
        AdHoc = "ad_hoc", "Ad hoc buyer", "都度購入";
    }
}

impl DormancyCategory {
    /// Who is expected to answer first comes first: the closer the tie to the shop still is, the easier.
    pub const BY_EXPECTED_RESPONSE: [Self; 5] = [
        DormancyCategory::Paused,
        DormancyCategory::MemberSilent,
        DormancyCategory::AdHoc,
        DormancyCategory::Cancelled,
        DormancyCategory::BoughtOnce,
    ];

    /// The category of a customer with `orders` purchases; `None` without a purchase.
    pub fn of(orders: i64, membership: Option<Membership>) -> Option<Self> {
        (orders > 0).then_some(match membership {
            Some(Membership::Paused) => DormancyCategory::Paused,
            Some(Membership::Withdrawn) => DormancyCategory::Cancelled,
            Some(Membership::Continuing) => DormancyCategory::MemberSilent,
            Some(Membership::AdHoc) | None if orders == 1 => DormancyCategory::BoughtOnce,
            Some(Membership::AdHoc) | None => DormancyCategory::AdHoc,
        })
    }

    /// The category of a dormant customer and the rule that decided, for explanations; `None` of others.
    pub fn reasons(category: Option<Self>, orders: i64, membership: Option<Membership>) -> Value {
        json!({
            "category": category,
            "orders": orders,
            "membership": membership,
            "decided_by": category.map_or("only of dormant customers", Self::rule_in_words),
        })
    }

    /// The category's rule in words.
    fn rule_in_words(self) -> &'static str {
        match self {
            DormancyCategory::Paused => "membership is paused",
            DormancyCategory::Cancelled => "membership is withdrawn",
            DormancyCategory::MemberSilent => "membership is continuing",
            DormancyCategory::BoughtOnce => "one order, no subscription known",
            DormancyCategory::AdHoc => "none of the rules before",
        }
    }
}

labels! {
    /// Why a customer is dormant; of two reasons stated on one day the earlier in this list counts.
    DormancyReason "dormancy reason" {
        /// Not satisfied with the product, its price or the service.
        Dissatisfied = "dissatisfied", "Dissatisfied", "不満";
        /// Went to a competitor.
        Competitor = "competitor", "Competitor", "他社へ流出";
        /// Came only for a discount.
        DiscountOnly = "discount_only", "Discount only", "値引き目当て";
        /// Has product left over.
        Overstocked = "overstocked", "Overstocked", "在庫過多";
        /// It never became a habit.
        Unhabituated = "unhabituated", "Not a habit", "習慣化していない";
        /// None of the other reasons is known.
        Drifted = "drifted", "Drifted away", "自然離脱";
    }
}

impl DormancyReason {
    /// Who is expected to answer first comes first: nothing speaks against the product, it never became a habit, only the
    /// price counts, something must be set right first, somebody else has the customer.
    pub const BY_EXPECTED_RESPONSE: [Self; 6] = [
        DormancyReason::Overstocked,
        DormancyReason::Drifted,
        DormancyReason::Unhabituated,
        DormancyReason::DiscountOnly,
        DormancyReason::Dissatisfied,
        DormancyReason::Competitor,
    ];

    /// The kind of engagement event by which a customer gives this reason.
    pub fn stated_kind(self) -> &'static str {
        match self {
            DormancyReason::Dissatisfied => "stated_dissatisfied",
            DormancyReason::Competitor => "stated_competitor",
            DormancyReason::DiscountOnly => "stated_discount_only",
            DormancyReason::Overstocked => "stated_overstocked",
            DormancyReason::Unhabituated => "stated_unhabituated",
            DormancyReason::Drifted => "stated_drifted",
        }
    }
}

/// What spoke for a reason for dormancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// The customer said so, last on this day.
    Stated(Day),
    /// A complaint that is not resolved.
    Complaint(OpenComplaint),
    /// The share of discounted purchases.
    Discounts,
    /// The amount of the last purchase day.
    LastAmount,
    /// Many purchase days in a short time.
    Burst,
    /// Few purchase days.
    FewPurchaseDays,
    /// Nothing: what is left.
    Nothing,
}

/// The reason a buyer would be dormant for, and what decided it.
#[derive(Clone, Copy, Debug)]
pub struct ReasonDecision<'a> {
    /// The reason.
    pub reason: DormancyReason,
    evidence: Evidence,
    purchases: &'a Purchases,
    policy: &'a DormancyReasonLimits,
}

impl<'a> ReasonDecision<'a> {
    /// Decides the reason at `as_of`; the first rule that matches wins.
    pub fn of(
        purchases: &'a Purchases,
        complaint: Option<OpenComplaint>,
        engagement: Option<&EngagementHistory>,
        as_of: Day,
        policy: &'a DormancyReasonLimits,
    ) -> Self {
        let (reason, evidence) = reason(purchases, complaint, engagement, as_of, policy);
        ReasonDecision { reason, evidence, purchases, policy }
    }

    /// The reason, the rule that decided and the numbers that it looked at, for explanations; amounts have `money_scale`
    /// decimals.
    pub fn reasons(&self, money_scale: u8) -> Value {
        let ReasonDecision { reason, evidence, purchases, policy } = *self;
        let money = |units| Decimal::new(units, money_scale);
        let (kind, on) = match evidence {
            Evidence::Stated(day) => (Some(reason.stated_kind()), Some(day)),
            Evidence::Complaint(complaint) => (complaint.kind, Some(complaint.on)),
            _ => (None, None),
        };
        json!({
            "reason": reason,
            "decided_by": { "rule": evidence.rule_in_words(), "kind": kind, "on": on },
            "events_count_from": purchases.previous,
            "discounts": {
                "discounted_purchases": purchases.discounted,
                "of_known_discount": purchases.discount_known,
                "min_purchases": policy.discount_min_purchases,
                "min_share": policy.discount_min_share,
            },
            "amounts": {
                "last_purchase_day": money(purchases.last_amount),
                "purchase_days_before": money(purchases.earlier_amount),
                "number_of_days_before": purchases.purchase_days - 1,
                "min_ratio": policy.overstock_amount_ratio,
            },
            "burst": {
                "purchase_days": purchases.purchase_days,
                "min_purchase_days": policy.overstock_min_purchase_days,
                "span_days": purchases.span_days(),
                "max_span_days": policy.overstock_max_span_days,
            },
            "habit": {
                "purchase_days": purchases.purchase_days,
                "max_purchase_days": policy.unhabituated_max_purchase_days,
            },
        })
    }
}

impl Evidence {
    /// The rule that looked for it in words.
    fn rule_in_words(self) -> &'static str {
        match self {
            Evidence::Stated(_) => "the latest reason the customer gave",
            Evidence::Complaint(_) => "a complaint, return, low rating or large refund that is not resolved",
            Evidence::Discounts => "discounts: enough purchases, and the share of them",
            Evidence::LastAmount => "amounts: the last purchase day against the mean of those before",
            Evidence::Burst => "burst: enough purchase days within so few days",
            Evidence::FewPurchaseDays => "habit: at most so many purchase days",
            Evidence::Nothing => "none of the rules before",
        }
    }
}

fn reason(
    purchases: &Purchases,
    complaint: Option<OpenComplaint>,
    engagement: Option<&EngagementHistory>,
    as_of: Day,
    policy: &DormancyReasonLimits,
) -> (DormancyReason, Evidence) {
    // With one purchase day there is no previous one: ever counts.
    let recent = |day: Day| purchases.previous.is_none_or(|previous| day >= previous);
    let last_on = |kind| engagement.and_then(|engagement| engagement.last_on(kind, as_of)).filter(|&day| recent(day));

    let stated = DormancyReason::ALL.iter().filter_map(|&reason| Some((last_on(reason.stated_kind())?, reason)));
    // rev(): max_by_key keeps the last of equals, the list prefers the first.
    if let Some((day, reason)) = stated.rev().max_by_key(|&(day, _)| day) {
        (reason, Evidence::Stated(day))
    } else if let Some(complaint) = complaint.filter(|complaint| recent(complaint.on)) {
        (DormancyReason::Dissatisfied, Evidence::Complaint(complaint))
    } else if bought_for_discounts(purchases, policy) {
        (DormancyReason::DiscountOnly, Evidence::Discounts)
    } else if last_bought_much_more(purchases, policy) {
        (DormancyReason::Overstocked, Evidence::LastAmount)
    } else if bought_in_a_burst(purchases, policy) {
        (DormancyReason::Overstocked, Evidence::Burst)
    } else if i64::from(purchases.purchase_days) <= i64::from(policy.unhabituated_max_purchase_days) {
        (DormancyReason::Unhabituated, Evidence::FewPurchaseDays)
    } else {
        (DormancyReason::Drifted, Evidence::Nothing)
    }
}

fn bought_for_discounts(purchases: &Purchases, policy: &DormancyReasonLimits) -> bool {
    purchases.discount_known >= policy.discount_min_purchases.into()
        && purchases.discount_known > 0
        && i128::from(purchases.discounted) * i128::from(Millionths::ONE)
            >= policy.discount_min_share.get() * i128::from(purchases.discount_known)
}

fn last_bought_much_more(purchases: &Purchases, policy: &DormancyReasonLimits) -> bool {
    let days_before = i128::from(purchases.purchase_days) - 1;
    // last >= ratio * earlier / days_before, multiplied out.
    purchases.earlier_amount > 0
        && purchases.last_amount > 0
        && product(purchases.last_amount, days_before * i128::from(Millionths::ONE))
            >= product(purchases.earlier_amount, policy.overstock_amount_ratio.get())
}

fn bought_in_a_burst(purchases: &Purchases, policy: &DormancyReasonLimits) -> bool {
    i64::from(purchases.purchase_days) >= policy.overstock_min_purchase_days.into()
        && purchases.span_days() <= policy.overstock_max_span_days.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{PurchaseDay, PurchaseHistory};
    use crate::policy::Document;

    /// Rows of day, amount and discount; events of kind and day; asked on day 500.
    fn reason_of(rows: &[(i32, i128, Option<bool>)], events: &[(&str, i32)]) -> &'static str {
        let days =
            rows.iter().map(|&(day, amount, discounted)| PurchaseDay::of_row(Day(day), Some(amount), discounted));
        let history = PurchaseHistory::new(0, days.collect()).unwrap();
        let engagement = EngagementHistory::new(events.iter().map(|&(kind, day)| (kind, Day(day), 1))).unwrap();
        let document = Document::empty();
        let (as_of, policy) = (Day(500), document.policy().unwrap());
        let purchases = history.purchases(as_of).unwrap();
        let complaint = OpenComplaint::latest(&history, Some(&engagement), as_of, &policy.complaint);
        reason(&purchases, complaint, Some(&engagement), as_of, &policy.dormancy_reason).0.name()
    }

    const STEADY: [(i32, i128, Option<bool>); 4] = [(0, 10, None), (50, 10, None), (100, 10, None), (150, 10, None)];

    #[test]
    fn reasons_in_order() {
        assert_eq!(reason_of(&STEADY, &[]), "drifted");
        assert_eq!(reason_of(&STEADY[..2], &[]), "unhabituated");
        assert_eq!(reason_of(&[(0, 10, None), (50, 10, None), (100, 20, None)], &[]), "overstocked");
        assert_eq!(reason_of(&[(0, 10, None), (50, 10, None), (100, 19, None)], &[]), "drifted");
        assert_eq!(reason_of(&[(0, 10, None), (10, 10, None), (30, 10, None)], &[]), "overstocked");
        assert_eq!(reason_of(&[(0, 0, None), (50, 10, None)], &[]), "unhabituated");
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(
            reason_of(&[(0, 1, yes), (50, 1, yes), (99, 1, yes), (150, 1, yes), (199, 1, no)], &[]),
            "discount_only"
        );
        assert_eq!(reason_of(&[(0, 1, yes), (50, 1, yes), (99, 1, yes), (150, 1, no)], &[]), "drifted");
        assert_eq!(reason_of(&[(0, 1, yes)], &[]), "unhabituated");
    }

    #[test]
    fn dissatisfaction_counts_since_the_previous_purchase_day() {
        assert_eq!(reason_of(&STEADY, &[("complaint", 100)]), "dissatisfied");
        assert_eq!(reason_of(&STEADY, &[("complaint", 99)]), "drifted");
        assert_eq!(reason_of(&STEADY, &[("complaint", 501)]), "drifted");
        assert_eq!(reason_of(&STEADY[1..2], &[("low_rating", 1)]), "dissatisfied");
        assert_eq!(reason_of(&[(0, 10, None), (50, 10, None), (60, -10, None)], &[]), "dissatisfied");
        assert_eq!(reason_of(&[(0, 10, None), (50, 10, None), (60, -4, None)], &[]), "unhabituated");
        // What is resolved is none any more; what the customer said remains.
        let resolved = [("complaint", 100), ("complaint_resolved", 120)];
        assert_eq!(reason_of(&STEADY, &resolved), "drifted");
        let stated = [("stated_dissatisfied", 100), ("complaint_resolved", 120)];
        assert_eq!(reason_of(&STEADY, &stated), "dissatisfied");
        assert_eq!(reason_of(&[(0, 10, None), (50, 10, None), (50, -10, None)], &[]), "unhabituated");
    }

    #[test]
    fn the_latest_stated_reason_comes_first() {
        assert_eq!(reason_of(&STEADY, &[("complaint", 300), ("stated_competitor", 120)]), "competitor");
        assert_eq!(reason_of(&STEADY, &[("stated_drifted", 130), ("stated_competitor", 120)]), "drifted");
        assert_eq!(reason_of(&STEADY, &[("stated_drifted", 130), ("stated_competitor", 130)]), "competitor");
        assert_eq!(reason_of(&STEADY, &[("stated_competitor", 99), ("stated_weather", 130)]), "drifted");
    }

    #[test]
    fn large_amounts_are_compared_exactly() {
        let huge = 80_000_000_000_000_000_000_000_000_000_000_000_000;
        assert_eq!(reason_of(&[(0, huge, None), (60, huge, None), (160, huge / 9, None)], &[]), "drifted");
        assert_eq!(
            reason_of(&[(0, huge / 9, None), (60, huge / 9, None), (160, huge / 9 * 2, None)], &[]),
            "overstocked"
        );
        assert_eq!(
            reason_of(&[(0, huge / 9, None), (60, huge / 9, None), (160, huge / 9 * 2 - 1, None)], &[]),
            "drifted"
        );
    }

    #[test]
    fn the_expected_order_leaves_nobody_out() {
        let categories = |category: &DormancyCategory| DormancyCategory::BY_EXPECTED_RESPONSE.contains(category);
        let reasons = |reason: &DormancyReason| DormancyReason::BY_EXPECTED_RESPONSE.contains(reason);
        assert!(DormancyCategory::ALL.iter().all(categories) && DormancyReason::ALL.iter().all(reasons));
    }

    #[test]
    fn categories() {
        let category = |orders, membership| DormancyCategory::of(orders, membership).map(DormancyCategory::name);
        assert_eq!(category(0, None), None);
        assert_eq!(category(1, None), Some("bought_once"));
        assert_eq!(category(1, Some(Membership::AdHoc)), Some("bought_once"));
        assert_eq!(category(2, None), Some("ad_hoc"));
        assert_eq!(category(1, Some(Membership::Continuing)), Some("member_silent"));
        assert_eq!(category(1, Some(Membership::Paused)), Some("paused"));
        assert_eq!(category(5, Some(Membership::Withdrawn)), Some("cancelled"));
    }
}
