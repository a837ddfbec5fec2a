//! What is known of one customer on one day: what the rules can ask about, and the step that they led to.

use crate::complaint::OpenComplaint;
use crate::contact::ContactCalendar;
use crate::countdown::Countdown;
use crate::day::Day;
use crate::decimal::Decimal;
use crate::dormancy::{DormancyCategory, DormancyReason};
use crate::engagement::EngagementHistory;
use crate::lifecycle::{LifecycleState, PurchaseStage};
use crate::membership::Membership;
use crate::prediction::SeenByModel;
use crate::rfm::Scores;
use crate::vip::{Distance, VipTier};

/// What is known of a customer; `None` is unknown.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// The day the question is asked for.
    pub as_of: Option<Day>,
    /// First purchase day.
    pub first_purchase_on: Option<Day>,
    /// Last purchase day.
    pub last_purchase_on: Option<Day>,
    /// Days since the last purchase.
    pub recency_days: Option<i64>,
    /// Days since the first purchase.
    pub tenure_days: Option<i64>,
    /// Days from the first to the last purchase.
    pub span_days: Option<i64>,
    /// Days between the last two purchase days.
    pub last_gap_days: Option<i64>,
    /// Number of purchases.
    pub orders: Option<i64>,
    /// Number of days with a purchase.
    pub purchase_days: Option<i64>,
    /// M, in currency units.
    pub monetary: Option<Decimal>,
    /// M by purchase, in currency units.
    pub average_order_value: Option<Decimal>,
    /// Share 0..1 of purchases of known discount that were discounted.
    pub discount_share: Option<Decimal>,
    /// Digits.
    pub scores: Option<Scores>,
    /// Name for the digits.
    pub rfm_segment: Option<&'a str>,
    /// Lifecycle state.
    pub lifecycle_state: Option<LifecycleState>,
    /// Purchase stage.
    pub purchase_stage: Option<PurchaseStage>,
    /// Value score, 0..100.
    pub value_score: Option<Decimal>,
    /// Relation score, 0..100.
    pub relation_score: Option<Decimal>,
    /// VIP score, 0..100.
    pub vip_score: Option<Decimal>,
    /// VIP tier.
    pub vip_tier: Option<VipTier>,
    /// VIP tier on the last purchase day.
    pub last_tier: Option<VipTier>,
    /// How far from being a VIP.
    pub to_vip: Option<Distance>,
    /// Kind of dormant customer.
    pub dormancy_category: Option<DormancyCategory>,
    /// Reason for dormancy; `None` unless dormant.
    pub dormancy_reason: Option<DormancyReason>,
    /// The reason she would be dormant for, dormant or not.
    pub reason_if_dormant: Option<DormancyReason>,
    /// The latest complaint that is not resolved.
    pub complaint: Option<OpenComplaint>,
    /// Days since the last day with a refund and no purchase.
    pub refund_only_days_ago: Option<i64>,
    /// Membership.
    pub membership: Option<Membership>,
    /// Its first day; `None` where there is no log of memberships.
    pub membership_since: Option<Day>,
    /// The membership before it.
    pub previous_membership: Option<Membership>,
    /// How the customer can be and was contacted, and when again.
    pub calendar: Option<ContactCalendar<'a>>,
    /// What a model says she will do; `None` without a model, and of a prospect.
    pub seen_by_model: Option<SeenByModel<'a>>,
    /// Everything but buying.
    pub engagement: Option<&'a EngagementHistory>,
    /// The one next step; this and what follows is not known yet when the rules are asked.
    pub next_action: Option<&'a str>,
    /// The rule that decided it.
    pub action_rule: Option<&'a str>,
    /// What it wants to bring about.
    pub action_behavior: Option<&'static str>,
    /// The channel for it.
    pub action_channel: Option<&'a str>,
    /// The day to do it.
    pub action_due_on: Option<Day>,
    /// What the rules say behind a step that waits; `None` where nothing waits.
    pub action_after_wait: Option<&'a str>,
    /// First day of the lifecycle state.
    pub state_since: Option<Day>,
    /// The lifecycle state before.
    pub previous_state: Option<LifecycleState>,
    /// The first day on which the lifecycle state is another if nothing more happens.
    pub next_transition_on: Option<Day>,
    /// A day before which nothing changes but what counts days, if nothing more is entered.
    pub next_change_on: Option<Day>,
    /// Told by every comparison with days that pass which made these facts, and by the rules that ask about them.
    pub countdown: Countdown,
}

impl Facts<'_> {
    /// Whether the latest complaint was followed by a personal contact; `None` where there is no open one.
    pub fn complaint_is_answered(&self) -> Option<bool> {
        let complaint = self.complaint?;
        Some(self.calendar.is_some_and(|calendar| calendar.had_personal_contact_since(complaint.on)))
    }
}
