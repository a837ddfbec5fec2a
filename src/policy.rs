//! The segmentation policy: every threshold, weight and rule, as one JSON document.
//!
//! A [`Document`] is what a user writes and stores: sparse, kept as written. A [`Policy`] is what holds: the document laid
//! over `policy/default.json`, the one place where the defaults stand. Presets are documents too (`policy/presets`).

mod check;
mod document;
mod nobody;
mod preset;
mod reach;

pub use check::Contradiction;
pub use document::Document;
pub use preset::{PRESETS, Preset, preset};
pub use reach::{Finding, Severity};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::action::{Behavior, Condition};
use crate::decimal::{Decimal, Millionths};
use crate::labels::labels;
use crate::learn::Method;
use crate::lifecycle::LifecycleState;
use crate::membership::Membership;

/// An effective policy: nothing is left out, nothing contradicts itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of the document's form; this release reads 1.
    pub version: u32,
    /// What F counts.
    pub frequency: Frequency,
    /// Cut points of the r, f and m digits.
    pub rfm: RfmCuts,
    /// Names for combinations of digits.
    pub segments: Segments,
    /// Limits of the lifecycle states.
    pub lifecycle: Lifecycle,
    /// Limits of the purchase stages.
    pub purchase_stage: PurchaseStageLimits,
    /// Weights of the relation score.
    pub relation: Relation,
    /// Who is a VIP.
    pub vip: Vip,
    /// When which reason for dormancy is assumed.
    pub dormancy_reason: DormancyReasonLimits,
    /// How often and over which channels a customer may be contacted.
    pub contact: Contact,
    /// The rules of the one next step.
    pub next_action: NextAction,
    /// How much data learning needs.
    pub learn: Learn,
    /// What was learned from which data; written by learning, read by people.
    pub learned: Option<serde_json::Map<String, serde_json::Value>>,
}

labels! {
    /// What F counts.
    Frequency "frequency" {
        /// Purchases.
        Orders = "orders", "Orders", "購入回数";
        /// Days with a purchase.
        PurchaseDays = "purchase_days", "Purchase days", "購入日数";
    }
}

labels! {
    /// Whose rhythm sets the limits of the lifecycle.
    Cycle "cycle" {
        /// The policy's numbers.
        Fixed = "fixed", "Fixed", "固定";
        /// The customer's own gaps.
        Own = "own", "Own", "個別";
    }
}

/// Cut points, 1 to 8 a dimension, never decreasing: k = cuts + 1 digits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RfmCuts {
    /// In days.
    pub recency_cuts: Vec<Decimal>,
    /// In what F counts.
    pub frequency_cuts: Vec<Decimal>,
    /// In currency units.
    pub monetary_cuts: Vec<Decimal>,
}

/// Ordered segment rules, first match wins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// The rules.
    pub rules: Vec<SegmentRule>,
    /// The name where no rule matches.
    pub default: String,
}

/// A segment's name and the digits that belong to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRule {
    /// The segment's name, unique among the rules.
    pub name: String,
    /// One of these must match.
    pub any: Vec<DigitRanges>,
}

/// Ranges of digits, both ends included; a dimension that is left out matches every digit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigitRanges {
    /// Recency digits.
    #[serde(default = "every_digit")]
    pub r: (u8, u8),
    /// Frequency digits.
    #[serde(default = "every_digit")]
    pub f: (u8, u8),
    /// Monetary digits.
    #[serde(default = "every_digit")]
    pub m: (u8, u8),
}

fn every_digit() -> (u8, u8) {
    (1, 9)
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

/// F from which a customer is in a stage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurchaseStageLimits {
    /// From this F: nurture.
    pub nurture_min_orders: u32,
    /// From this F: established.
    pub established_min_orders: u32,
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

/// The weight of one kind of event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWeight {
    /// Points an event.
    pub weight: Millionths,
    /// Events beyond this many add nothing.
    pub cap: u32,
}

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

/// When which reason for dormancy is assumed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DormancyReasonLimits {
    /// Discount only: at least so many purchases of known discount,
    pub discount_min_purchases: u32,
    /// and at least this share 0..1 of them discounted.
    pub discount_min_share: Millionths,
    /// Overstocked: the last purchase day's amount is at least so many times the mean of those before it;
    pub overstock_amount_ratio: Millionths,
    /// or at least so many purchase days
    pub overstock_min_purchase_days: u32,
    /// within so many days from first to last.
    pub overstock_max_span_days: u32,
    /// Unhabituated: at most so many purchase days.
    pub unhabituated_max_purchase_days: u32,
}

/// How often and over which channels a customer may be contacted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Days between two contacts.
    pub min_days_between: u32,
    /// Days without a contact after a complaint.
    pub quiet_days_after_complaint: u32,
    /// How many contacts in how many days, over all channels together; all of these hold.
    pub limits: Vec<ContactLimit>,
    /// The same over single channels.
    pub channel_limits: BTreeMap<String, Vec<ContactLimit>>,
    /// Channels in order of preference, for rules that name none.
    pub channels: Vec<String>,
    /// The same for dormant customers; no social media, which cannot address the dormant alone.
    pub dormant_channels: Vec<String>,
}

impl Contact {
    /// The channels in order of preference for a customer in a state, and what says so: those of a rule where it has its own.
    pub fn preferred_channels<'a>(
        &'a self,
        own: Option<&'a [String]>,
        state: Option<LifecycleState>,
    ) -> (&'a [String], &'static str) {
        match own {
            Some(channels) => (channels, "the rule"),
            None if state == Some(LifecycleState::Dormant) => (&self.dormant_channels, "contact.dormant_channels"),
            None => (&self.channels, "contact.channels"),
        }
    }
}

/// At most so many contacts in any so many days.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ContactLimit {
    /// How many, from 1.
    pub contacts: u32,
    /// In how many consecutive days, from 1.
    pub days: u32,
}

/// The rules of the one next step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextAction {
    /// In order, first match wins.
    pub rules: Vec<ActionRule>,
}

/// One rule: when it matches, its action is the next step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionRule {
    /// Unique name of the rule.
    pub id: String,
    /// The action's name.
    pub action: String,
    /// What the action wants to bring about.
    pub behavior: Behavior,
    /// The action's title in English.
    pub title: String,
    /// The action's title in Japanese; the English one where it is left out.
    pub title_ja: Option<String>,
    /// Channels in order of preference; where left out, those of `contact`.
    pub channels: Option<Vec<String>>,
    /// What must be true of the customer.
    pub when: Condition,
}

/// How much data learning needs; with less, the base policy's values stay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learn {
    /// How limits are learned from gaps.
    pub method: Method,
    /// For cut points.
    pub min_customers: u32,
    /// For limits.
    pub min_gaps: u32,
}
