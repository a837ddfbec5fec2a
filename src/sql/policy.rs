//! Policies as SQL sees them, and the closed lists of labels.

use pgrx::prelude::*;

use super::datum::Jsonb;
use super::error::OrRaise;
use super::set::{
    DormancyCategoryLabel, DormancyReasonLabel, LifecycleStateLabel, MembershipLabel, NextActionRule, PolicyFinding,
    PolicyPreset, PurchaseStageLabel, SetOf, VipTierLabel,
};
use super::types::{SegmentPolicy, document_of, policy_of};
use crate::dormancy::{DormancyCategory, DormancyReason};
use crate::finding::Finding;
use crate::lifecycle::{LifecycleState, PurchaseStage};
use crate::membership::Membership;
use crate::policy::{Document, PRESETS, Preset, preset};
use crate::vip::VipTier;

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn default_policy() -> SegmentPolicy {
    Document::empty().into()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 1000)]
fn preset_policy(name: &str) -> SegmentPolicy {
    preset(name).or_raise().into()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn policy_presets() -> SetOf<PolicyPreset> {
    let row = |preset: &Preset| (preset.name, preset.title, preset.title_ja, preset.description, preset.description_ja);
    SetOf::new(PRESETS.iter().map(row))
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
fn effective_policy(policy: Option<SegmentPolicy>) -> Jsonb {
    Jsonb(document_of(&policy).effective())
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
fn check_policy(policy: Option<SegmentPolicy>) -> SetOf<PolicyFinding> {
    let findings = document_of(&policy).check().or_raise();
    SetOf::new(findings.into_iter().map(Finding::into_row))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn lifecycle_states() -> SetOf<LifecycleStateLabel> {
    SetOf::new(
        (1..).zip(LifecycleState::ALL).map(|(order, state)| (state.name(), order, state.label_en(), state.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn purchase_stages() -> SetOf<PurchaseStageLabel> {
    SetOf::new(
        (1..).zip(PurchaseStage::ALL).map(|(order, stage)| (stage.name(), order, stage.label_en(), stage.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn vip_tiers() -> SetOf<VipTierLabel> {
    SetOf::new((1..).zip(VipTier::ALL).map(|(order, tier)| (tier.name(), order, tier.label_en(), tier.label_ja())))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn memberships() -> SetOf<MembershipLabel> {
    SetOf::new(
        (1..)
            .zip(Membership::ALL)
            .map(|(order, membership)| (membership.name(), order, membership.label_en(), membership.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn dormancy_categories() -> SetOf<DormancyCategoryLabel> {
    SetOf::new(
        (1..)
            .zip(DormancyCategory::BY_EXPECTED_RESPONSE)
            .map(|(order, category)| (category.name(), order, category.label_en(), category.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn dormancy_reasons() -> SetOf<DormancyReasonLabel> {
    SetOf::new(
        (1..)
            .zip(DormancyReason::BY_EXPECTED_RESPONSE)
            .map(|(order, reason)| (reason.name(), order, reason.label_en(), reason.label_ja())),
    )
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
fn next_actions(policy: default!(Option<SegmentPolicy>, "NULL")) -> SetOf<NextActionRule> {
    let rules = &policy_of(&policy).next_action.rules;
    let rows: Vec<_> = (1..)
        .zip(rules)
        .map(|(order, rule)| {
            let title_ja = rule.title_ja.as_ref().unwrap_or(&rule.title).clone();
            (order, rule.id.clone(), rule.action.clone(), rule.behavior.name(), rule.title.clone(), title_ja)
        })
        .collect();
    SetOf::new(rows)
}
