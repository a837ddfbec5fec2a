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
#[allow(clippy::type_complexity)]
fn membership_moments() -> SetOf<MembershipMomentLabel, (&'static str, i32, &'static str, &'static str)> {
    SetOf::new(
        (1..).zip(Moment::ALL).map(|(order, moment)| (moment.name(), order, moment.label_en(), moment.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 50)]
#[allow(clippy::type_complexity)]
fn membership_periods(
    memberships: MembershipHistory,
    as_of: Day,
) -> SetOf<MembershipPeriod, (&'static str, Day, Option<Day>, &'static str)> {
    let rows = memberships
        .moments(as_of)
        .map(|(period, moment)| (period.membership.name(), period.since, period.until, moment.name()));
    SetOf::new(memory::collect(rows))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 100)]
#[allow(clippy::type_complexity)]
fn subscription_months(
    memberships: MembershipHistory,
    as_of: Day,
) -> SetOf<SubscriptionMonth, (Day, &'static str, Option<&'static str>, Option<bool>)> {
    let rows = memberships.subscription_months(as_of).map(|row| {
        check_for_interrupts!();
        (row.month, row.membership.name(), row.at_end.map(|membership| membership.name()), row.has_ended)
    });
    SetOf::new(memory::collect(rows))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 100)]
#[allow(clippy::type_complexity)]
fn subscription_cycles(
    memberships: MembershipHistory,
    cycle_length: Interval,
    as_of: Day,
) -> SetOf<SubscriptionCycle, (i32, i32, Day, Option<bool>)> {
    let step = Step::new(cycle_length.months(), cycle_length.days(), cycle_length.micros()).or_raise();
    let rows = memberships.subscription_cycles(step, as_of).map(|row| {
        check_for_interrupts!();
        let row = row.or_raise();
        (row.subscription, row.cycle, row.from, row.has_ended)
    });
    SetOf::new(memory::collect(rows))
}
