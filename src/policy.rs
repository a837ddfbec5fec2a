//! The segmentation policy: every threshold, weight and rule, as one JSON document.
//!
//! A [`Document`] is what a user writes and stores: sparse, kept as written. A [`Policy`] is what holds: the document laid
//! over `policy/default.json`, the one place where the defaults stand. Presets are documents too (`policy/presets`).

mod agreement;
mod check;
mod document;
mod findings;
mod learn;
mod preset;
mod unreachable;

pub use document::Document;
pub use learn::{Learn, Method};
pub use preset::{PRESETS, Preset, preset};

use serde::Deserialize;

use crate::action::NextAction;
use crate::complaint::ComplaintLimits;
use crate::contact::Contact;
use crate::dormancy::DormancyReasonLimits;
use crate::lifecycle::{Lifecycle, PurchaseStageLimits};
use crate::relation::Relation;
use crate::rfm::{Frequency, RfmCuts, Segments};
use crate::vip::Vip;

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
    /// Which refunds count as complaints.
    pub complaint: ComplaintLimits,
    /// How often and over which channels a customer may be contacted.
    pub contact: Contact,
    /// The rules of the one next step.
    pub next_action: NextAction,
    /// How limits are learned, and from how much data.
    pub learn: Learn,
    /// What was learned from which data; written by learning, read by people.
    pub learned: Option<serde_json::Map<String, serde_json::Value>>,
}
