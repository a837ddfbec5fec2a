//! Memberships over time: which one on a day, since when, and who ends a subscription.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::error::OrRaise;
use super::set::{MembershipMomentLabel, MembershipPeriod, SetOf, SubscriptionCycle, SubscriptionMonth};
use crate::calendar::Step;
use crate::day::Day;
use crate::membership::{MembershipHistory, Moment};
use crate::memory;

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn membership_on(memberships: MembershipHistory, day: Day) -> Option<&'static str> {
    memberships.on(day).map(|membership| membership.name())
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn membership_since(memberships: MembershipHistory, as_of: Day) -> Option<Day> {
    memberships.since(as_of).map(|(since, _)| since)
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn previous_membership(memberships: MembershipHistory, as_of: Day) -> Option<&'static str> {
    memberships.since(as_of).and_then(|(_, previous)| previous).map(|membership| membership.name())
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn membership_moments() -> SetOf<MembershipMomentLabel> {
    SetOf::new(
        (1..).zip(Moment::ALL).map(|(order, moment)| (moment.name(), order, moment.label_en(), moment.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 50)]
fn membership_periods(memberships: MembershipHistory, as_of: Day) -> SetOf<MembershipPeriod> {
    let rows = memberships
        .moments(as_of)
        .map(|(period, moment)| (period.membership.name(), period.since, period.until, moment.name()));
    SetOf::new(memory::collect(rows))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 100)]
fn subscription_months(memberships: MembershipHistory, as_of: Day) -> SetOf<SubscriptionMonth> {
    let rows = memberships.subscription_months(as_of).map(|row| {
        check_for_interrupts!();
        (row.month, row.membership.name(), row.at_end.map(|membership| membership.name()), row.has_ended)
    });
    SetOf::new(memory::collect(rows))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 100)]
fn subscription_cycles(memberships: MembershipHistory, cycle_length: Interval, as_of: Day) -> SetOf<SubscriptionCycle> {
    let step = Step::new(cycle_length.months(), cycle_length.days(), cycle_length.micros()).or_raise();
    let rows = memberships.subscription_cycles(step, as_of).map(|row| {
        check_for_interrupts!();
        let row = row.or_raise();
        (row.subscription, row.cycle, row.from, row.has_ended)
    });
    SetOf::new(memory::collect(rows))
}
