//! The lifecycle of one customer over time.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::customer::ask;
use super::error::OrRaise;
use super::set::{SegmentOnDay, SetOf, StatePeriod};
use super::types::{SegmentPolicy, policy_of};
use crate::calendar::{Step, days_between};
use crate::customer::Walk;
use crate::day::Day;
use crate::engagement::EngagementHistory;
use crate::history::PurchaseHistory;
use crate::membership::{KnownMembership, Membership, MembershipHistory};
use crate::memory;
use crate::timeline::{Timeline, merged};

#[pg_extern(immutable, parallel_safe, cost = 100)]
fn next_transition_on(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> Option<Day> {
    ask(history, as_of, policy, engagement, membership, memberships, |customer| customer.next_transition_on())
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
fn state_timeline(
    history: Option<PurchaseHistory>,
    from_day: Option<Day>,
    to_day: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> SetOf<StatePeriod> {
    let (Some(from_day), Some(to_day)) = (from_day, to_day) else {
        return SetOf::empty();
    };
    let policy = policy_of(&policy);
    let membership = KnownMembership::new(membership, memberships.as_ref());
    let timeline =
        Timeline::new(history.as_ref(), from_day, to_day, policy, engagement.as_ref(), membership).or_raise();
    let rows = merged(timeline.inspect(|_| {
        check_for_interrupts!();
    }));
    SetOf::new(memory::collect(rows.map(|row| (row.state.name(), row.from, row.to))))
}

#[pg_extern(immutable, parallel_safe, cost = 100)]
fn state_since(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> Option<Day> {
    ask(history, as_of, policy, engagement, membership, memberships, |customer| Some(customer.since()?.since))
}

#[pg_extern(immutable, parallel_safe, cost = 100)]
fn previous_state(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> Option<&'static str> {
    ask(history, as_of, policy, engagement, membership, memberships, |customer| Some(customer.since()?.previous.name()))
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
#[allow(clippy::too_many_arguments)]
fn segment_history(
    history: Option<PurchaseHistory>,
    from_day: Option<Day>,
    to_day: Option<Day>,
    step: Option<Interval>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> SetOf<SegmentOnDay> {
    let (Some(from_day), Some(to_day), Some(step)) = (from_day, to_day, step) else {
        return SetOf::empty();
    };
    let step = Step::new(step.months(), step.days(), step.micros()).or_raise();
    let policy = policy_of(&policy);
    let membership = KnownMembership::new(membership, memberships.as_ref());
    let mut walk = Walk::new(history.as_ref(), policy, engagement.as_ref(), membership);
    let rows = days_between(from_day, to_day, step).or_raise().map(|as_of| {
        check_for_interrupts!();
        let customer = walk.on(as_of);
        let score = customer.scores().map(|scores| scores.code());
        (as_of, customer.lifecycle_state().name(), score, customer.vip_tier().name())
    });
    SetOf::new(memory::collect(rows))
}
