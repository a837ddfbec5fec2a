//! The main functions on plain numbers that an analyst already has, without a history.

use pgrx::prelude::*;

use super::error::{OrRaise, raise};
use super::types::{SegmentPolicy, policy_of};
use crate::action::NextStep;
use crate::countdown::{Countdown, DaysSince};
use crate::decimal::{Decimal, Millionths};
use crate::dormancy::{DormancyCategory, DormancyReason};
use crate::error::{Error, ErrorKind, Result};
use crate::facts::Facts;
use crate::lifecycle::Cycle;
use crate::lifecycle::{LifecycleState, PurchaseStage, Rhythm, dormant_year, state_of_buyer};
use crate::membership::Membership;
use crate::policy::Policy;
use crate::rfm::Scores;
use crate::vip;

/// A buyer's days since the last purchase and F; `None` for a prospect, who has no orders.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] for negative numbers and for orders without recency.
fn buyer(recency_days: Option<i32>, orders: Option<i64>) -> Result<Option<(i64, i64)>> {
    let invalid = |message: String| {
        Err(Error::new(ErrorKind::InvalidParameter, message).hint(
            "recency_days is as_of minus the last purchase day, orders counts purchases; both NULL for a prospect.",
        ))
    };
    match (recency_days, orders) {
        (_, None | Some(0)) => Ok(None),
        (_, Some(orders)) if orders < 0 => invalid(format!("orders must not be negative, it is {orders}")),
        (None, Some(orders)) => invalid(format!("recency_days is NULL, but orders is {orders}")),
        (Some(days), _) if days < 0 => invalid(format!("recency_days must not be negative, it is {days}")),
        (Some(days), Some(orders)) => Ok(Some((days.into(), orders))),
    }
}

fn scores(
    recency_days: Option<i32>,
    orders: Option<i64>,
    monetary: Option<Decimal>,
    policy: &Policy,
) -> Option<Scores> {
    let (recency_days, frequency) = buyer(recency_days, orders).or_raise()?;
    let countdown = Countdown::default();
    let recency = DaysSince::new(recency_days, &countdown);
    Some(Scores::of(recency, frequency, monetary.unwrap_or(Decimal::ZERO), &policy.rfm))
}

// Every function stands twice, with `orders` as `integer` and as `bigint`, so that a bare literal and a count(*) both fit.

#[pg_extern(immutable, parallel_safe, cost = 20, name = "rfm_score")]
fn rfm_score_of_int(
    recency_days: Option<i32>,
    orders: Option<i32>,
    monetary: Option<Decimal>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    Some(scores(recency_days, orders.map(i64::from), monetary, policy_of(&policy))?.code())
}

#[pg_extern(immutable, parallel_safe, cost = 20, name = "rfm_score")]
fn rfm_score_of_bigint(
    recency_days: Option<i32>,
    orders: Option<i64>,
    monetary: Option<Decimal>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    Some(scores(recency_days, orders, monetary, policy_of(&policy))?.code())
}

#[pg_extern(immutable, parallel_safe, cost = 20, name = "lifecycle_state")]
fn lifecycle_state_of_int(
    recency_days: Option<i32>,
    orders: Option<i32>,
    last_gap_days: Option<i32>,
    is_vip: Option<bool>,
    membership: default!(Option<Membership>, "NULL"),
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> &'static str {
    lifecycle_state(recency_days, orders.map(i64::from), last_gap_days, is_vip, membership, policy_of(&policy))
}

#[pg_extern(immutable, parallel_safe, cost = 20, name = "lifecycle_state")]
fn lifecycle_state_of_bigint(
    recency_days: Option<i32>,
    orders: Option<i64>,
    last_gap_days: Option<i32>,
    is_vip: Option<bool>,
    membership: default!(Option<Membership>, "NULL"),
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> &'static str {
    lifecycle_state(recency_days, orders, last_gap_days, is_vip, membership, policy_of(&policy))
}

fn lifecycle_state(
    recency_days: Option<i32>,
    orders: Option<i64>,
    last_gap_days: Option<i32>,
    is_vip: Option<bool>,
    membership: Option<Membership>,
    policy: &Policy,
) -> &'static str {
    if policy.lifecycle.cycle == Cycle::Own {
        raise(
            Error::new(
                ErrorKind::InvalidParameter,
                "lifecycle_state on plain numbers needs a policy with cycle \"fixed\"",
            )
            .hint("The cycle \"own\" needs all gaps: use lifecycle_state(purchase_history, as_of, policy)."),
        );
    }
    if let Some(days) = last_gap_days.filter(|&days| days < 1) {
        raise(
            Error::new(ErrorKind::InvalidParameter, format!("last_gap_days must be at least 1, it is {days}"))
                .hint("It is the number of days between the last two purchase days, NULL where there is one."),
        );
    }
    let Some((recency_days, frequency)) = buyer(recency_days, orders).or_raise() else {
        return LifecycleState::Prospect.name();
    };
    let rhythm =
        Rhythm::walk(last_gap_days.map(|days| (days.into(), membership)).into_iter(), &policy.lifecycle, membership);
    let countdown = Countdown::default();
    let recency = DaysSince::new(recency_days, &countdown);
    state_of_buyer(recency, frequency, &rhythm, &policy.lifecycle, || is_vip == Some(true)).name()
}

#[pg_extern(immutable, parallel_safe, cost = 20, name = "vip_score")]
fn vip_score_of_int(
    recency_days: Option<i32>,
    orders: Option<i32>,
    monetary: Option<Decimal>,
    relation_score: Option<Decimal>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<Decimal> {
    vip_score(recency_days, orders.map(i64::from), monetary, relation_score, policy_of(&policy))
}

#[pg_extern(immutable, parallel_safe, cost = 20, name = "vip_score")]
fn vip_score_of_bigint(
    recency_days: Option<i32>,
    orders: Option<i64>,
    monetary: Option<Decimal>,
    relation_score: Option<Decimal>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<Decimal> {
    vip_score(recency_days, orders, monetary, relation_score, policy_of(&policy))
}

fn vip_score(
    recency_days: Option<i32>,
    orders: Option<i64>,
    monetary: Option<Decimal>,
    relation_score: Option<Decimal>,
    policy: &Policy,
) -> Option<Decimal> {
    let relation = relation_score.map(|score| relation_points(score).or_raise());
    let value = scores(recency_days, orders, monetary, policy)?.value_score(&policy.rfm);
    Some(vip::vip_score(value, relation, &policy.vip).or_raise())
}

/// A relation score given as a number.
fn relation_points(score: Decimal) -> Result<Millionths> {
    if !(Decimal::ZERO..=Decimal::from(100)).contains(&score) {
        let message = format!("relation_score must lie within 0 to 100, it is {score}");
        return Err(Error::new(ErrorKind::InvalidParameter, message).hint("NULL says that engagement is not tracked."));
    }
    Millionths::rounded(score)
}

#[pg_extern(immutable, parallel_safe, cost = 20, name = "next_action")]
fn next_action_of_int(
    lifecycle_state: Option<&str>,
    orders: Option<i32>,
    membership: default!(Option<Membership>, "NULL"),
    dormancy_reason: default!(Option<&str>, "NULL"),
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<String> {
    next_action(lifecycle_state, orders.map(i64::from), membership, dormancy_reason, policy_of(&policy))
}

#[pg_extern(immutable, parallel_safe, cost = 20, name = "next_action")]
fn next_action_of_bigint(
    lifecycle_state: Option<&str>,
    orders: Option<i64>,
    membership: default!(Option<Membership>, "NULL"),
    dormancy_reason: default!(Option<&str>, "NULL"),
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<String> {
    next_action(lifecycle_state, orders, membership, dormancy_reason, policy_of(&policy))
}

fn next_action(
    lifecycle_state: Option<&str>,
    orders: Option<i64>,
    membership: Option<Membership>,
    dormancy_reason: Option<&str>,
    policy: &Policy,
) -> Option<String> {
    let facts = Facts {
        lifecycle_state: Some(LifecycleState::from_name(lifecycle_state?).or_raise()),
        purchase_stage: orders.and_then(|orders| PurchaseStage::of(orders, &policy.purchase_stage)),
        orders,
        membership,
        dormancy_reason: dormancy_reason.map(|reason| DormancyReason::from_name(reason).or_raise()),
        ..Facts::default()
    };
    Some(NextStep::of(&facts, &policy.next_action).action().to_owned())
}

#[pg_extern(immutable, parallel_safe, cost = 10, name = "dormancy_category")]
fn dormancy_category_of_int(orders: Option<i32>, membership: Option<Membership>) -> Option<&'static str> {
    dormancy_category_of_bigint(orders.map(i64::from), membership)
}

#[pg_extern(immutable, parallel_safe, cost = 10, name = "dormancy_category")]
fn dormancy_category_of_bigint(orders: Option<i64>, membership: Option<Membership>) -> Option<&'static str> {
    Some(DormancyCategory::of(orders?, membership)?.name())
}

#[pg_extern(immutable, parallel_safe, cost = 10, name = "dormant_year")]
fn dormant_year_of_recency(recency_days: Option<i32>, policy: default!(Option<SegmentPolicy>, "NULL")) -> Option<i32> {
    // Whoever has a recency has bought, how often does not matter.
    let (recency_days, _) = buyer(Some(recency_days?), Some(1)).or_raise()?;
    // Fewer years than days.
    dormant_year(recency_days, &policy_of(&policy).lifecycle).map(|year| year as i32)
}

#[pg_extern(immutable, parallel_safe, cost = 10, name = "rfm_segment")]
fn rfm_segment_of_score(score: Option<i32>, policy: default!(Option<SegmentPolicy>, "NULL")) -> Option<String> {
    let policy = policy_of(&policy);
    Some(Scores::from_code(score?, &policy.rfm).or_raise().segment(&policy.segments).to_owned())
}
