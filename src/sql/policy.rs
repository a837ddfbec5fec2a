//! Policies as SQL sees them, and the closed lists of labels.

use pgrx::prelude::*;

use super::datum::Jsonb;
use super::error::OrRaise;
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
#[allow(clippy::type_complexity)]
fn policy_presets() -> TableIterator<
    'static,
    (
        name!(name, &'static str),
        name!(title, &'static str),
        name!(title_ja, &'static str),
        name!(description, &'static str),
        name!(description_ja, &'static str),
    ),
> {
    let row = |preset: &Preset| (preset.name, preset.title, preset.title_ja, preset.description, preset.description_ja);
    TableIterator::new(PRESETS.iter().map(row))
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
fn effective_policy(policy: Option<SegmentPolicy>) -> Jsonb {
    Jsonb(document_of(&policy).effective())
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
fn check_policy(
    policy: Option<SegmentPolicy>,
) -> TableIterator<'static, (name!(severity, &'static str), name!(path, String), name!(message, String))> {
    let findings = document_of(&policy).check().or_raise();
    TableIterator::new(findings.into_iter().map(Finding::into_row))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn lifecycle_states() -> TableIterator<
    'static,
    (name!(state, &'static str), name!(sort_order, i32), name!(label_en, &'static str), name!(label_ja, &'static str)),
> {
    TableIterator::new(
        (1..).zip(LifecycleState::ALL).map(|(order, state)| (state.name(), order, state.label_en(), state.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn purchase_stages() -> TableIterator<
    'static,
    (name!(stage, &'static str), name!(sort_order, i32), name!(label_en, &'static str), name!(label_ja, &'static str)),
> {
    TableIterator::new(
        (1..).zip(PurchaseStage::ALL).map(|(order, stage)| (stage.name(), order, stage.label_en(), stage.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn vip_tiers() -> TableIterator<
    'static,
    (name!(tier, &'static str), name!(sort_order, i32), name!(label_en, &'static str), name!(label_ja, &'static str)),
> {
    TableIterator::new(
        (1..).zip(VipTier::ALL).map(|(order, tier)| (tier.name(), order, tier.label_en(), tier.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn memberships() -> TableIterator<
    'static,
    (
        name!(membership, &'static str),
        name!(sort_order, i32),
        name!(label_en, &'static str),
        name!(label_ja, &'static str),
    ),
> {
    TableIterator::new(
        (1..)
            .zip(Membership::ALL)
            .map(|(order, membership)| (membership.name(), order, membership.label_en(), membership.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn dormancy_categories() -> TableIterator<
    'static,
    (
        name!(category, &'static str),
        name!(sort_order, i32),
        name!(label_en, &'static str),
        name!(label_ja, &'static str),
    ),
> {
    TableIterator::new(
        (1..)
            .zip(DormancyCategory::BY_EXPECTED_RESPONSE)
            .map(|(order, category)| (category.name(), order, category.label_en(), category.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn dormancy_reasons() -> TableIterator<
    'static,
    (name!(reason, &'static str), name!(sort_order, i32), name!(label_en, &'static str), name!(label_ja, &'static str)),
> {
    TableIterator::new(
        (1..)
            .zip(DormancyReason::BY_EXPECTED_RESPONSE)
            .map(|(order, reason)| (reason.name(), order, reason.label_en(), reason.label_ja())),
    )
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
#[allow(clippy::type_complexity)]
fn next_actions(
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(sort_order, i32),
        name!(rule, String),
        name!(action, String),
        name!(behavior, &'static str),
        name!(title, String),
        name!(title_ja, String),
    ),
> {
    let rules = &policy_of(&policy).next_action.rules;
    let rows: Vec<_> = (1..)
        .zip(rules)
        .map(|(order, rule)| {
            let title_ja = rule.title_ja.as_ref().unwrap_or(&rule.title).clone();
            (order, rule.id.clone(), rule.action.clone(), rule.behavior.name(), rule.title.clone(), title_ja)
        })
        .collect();
    TableIterator::new(rows)
}
