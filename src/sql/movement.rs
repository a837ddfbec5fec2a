//! What became of a customer from step to step, and of all of them counted.

use pgrx::datum::Interval;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::buffer::PlainData;
use super::call::{argument, column, read, row_array};
use super::datum::RawDatum;
use super::error::OrRaise;
use super::question::Asked;
use super::set::{SetOf, StateMovement};
use super::tallies::{Counted, TalliesHeader, combine, counted, deserialize, serialize, tallies_or_new};
use super::types::{SegmentPolicy, policy_of};
use crate::aggregate_state::AggregateState;
use crate::bytes::{Reader, put_unsigned};
use crate::calendar::{Step, days_between};
use crate::customer::Walk;
use crate::day::Day;
use crate::engagement::EngagementHistory;
use crate::error::Result;
use crate::history::{NO_PURCHASES, PurchaseHistory};
use crate::membership::{KnownMembership, Membership, MembershipHistory};
use crate::memory;
use crate::movement::{Movement, MovementCount, movements};
use crate::policy::Policy;

/// The step of an interval.
fn step_of(interval: Interval) -> Step {
    Step::new(interval.months(), interval.days(), interval.micros()).or_raise()
}

/// What is asked of every customer.
struct Steps<'a> {
    from: Day,
    to: Day,
    step: Step,
    policy: &'a Policy,
}

impl Steps<'_> {
    /// Calls `tell` with each movement of a customer.
    fn tell(
        &self,
        history: Option<&PurchaseHistory>,
        engagement: Option<&EngagementHistory>,
        membership: KnownMembership,
        tell: impl FnMut(Movement),
    ) {
        let days = days_between(self.from, self.to, self.step).or_raise().inspect(|_| {
            check_for_interrupts!();
        });
        let history = history.unwrap_or(&NO_PURCHASES);
        let mut walk = Walk::new(Some(history), self.policy, engagement, membership);
        movements(history, days, |day| walk.on(day)).for_each(tell);
    }
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
#[allow(clippy::too_many_arguments)]
fn state_movements(
    history: Option<PurchaseHistory>,
    from_day: Option<Day>,
    to_day: Option<Day>,
    step: Option<Interval>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> SetOf<StateMovement> {
    let (Some(from_day), Some(to_day), Some(step)) = (from_day, to_day, step) else {
        return SetOf::empty();
    };
    let (step, policy) = (step_of(step), policy_of(&policy));
    let membership = KnownMembership::new(membership, memberships.as_ref());
    let owned = |segment: Option<&str>| segment.map(str::to_owned);
    let mut rows = Vec::new();
    Steps { from: from_day, to: to_day, step, policy }.tell(
        history.as_ref(),
        engagement.as_ref(),
        membership,
        |Movement { from, to, before, after, revenue_before, revenue_after }| {
            let (states, tiers) = ((before.state.name(), after.state.name()), (before.tier.name(), after.tier.name()));
            let segments = (owned(before.segment), owned(after.segment));
            let row =
                (from, to, states.0, states.1, revenue_before, revenue_after, segments.0, segments.1, tiers.0, tiers.1);
            memory::push(&mut rows, row);
        },
    );
    SetOf::new(rows)
}

// SAFETY: integers, packed to 8 bytes.
unsafe impl PlainData for MovementCount {}

// SAFETY: the number is its own.
unsafe impl Counted for MovementCount {
    const KIND: AggregateState = AggregateState::Movements;
    const STATE: &'static str = "state of count_movements";
    const NAMES: [&'static str; 3] = ["to_day", "policy", "from_day or step"];
    /// The first day and the step; `None` where one of them is NULL.
    type Rest = Option<(Day, Step)>;

    fn write_rest(rest: Self::Rest, out: &mut Vec<u8>) {
        let (from, (months, days)) = rest.map_or((0, (0, 0)), |(from, step)| (from.0, step.parts()));
        out.extend(from.to_ne_bytes());
        put_unsigned(out, months.into());
        put_unsigned(out, days.into());
    }

    fn read_rest(reader: &mut Reader) -> Result<Self::Rest> {
        let from = Day(i32::from_ne_bytes(reader.array()?));
        match (reader.unsigned()?, reader.unsigned()?) {
            (0, 0) => Ok(None),
            (months, days) => Ok(Some((from, Step::new(months, days, 0)?))),
        }
    }
}

/// (state, history, from_day, to_day, step, policy, engagement, membership, memberships): counts a customer's movements.
#[pg_extern(sql = false)]
fn collect_movements(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: movement.sql declares the arguments so.
    unsafe {
        let asked = Asked::new(argument(fcinfo, 3), argument(fcinfo, 5));
        let since = read::<Day>(fcinfo, 2).zip(read::<Interval>(fcinfo, 4).map(step_of));
        let mut counts = tallies_or_new::<MovementCount>(fcinfo, asked, since);
        let history = read::<PurchaseHistory>(fcinfo, 1);
        if let (Some(history), Some((from, step)), Some(to)) = (history, since, asked.as_of()) {
            let policy = counts.header().question.policy();
            let policy = policy_of(&policy);
            let engagement = read::<EngagementHistory>(fcinfo, 6);
            let memberships = read::<MembershipHistory>(fcinfo, 8);
            let membership = KnownMembership::new(read::<Membership>(fcinfo, 7), memberships.as_ref());
            let scale = counts.widen(history.scale()).or_raise();
            Steps { from, to, step, policy }.tell(Some(&history), engagement.as_ref(), membership, |movement| {
                let count = MovementCount::of(&movement, &policy.segments, scale);
                count.and_then(|count| counts.add(count)).or_raise();
            });
        }
        Some(RawDatum(counts.as_datum()))
    }
}

/// (state, state): adds what another worker counted.
#[pg_extern(sql = false)]
fn combine_movements(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: movement.sql declares the arguments so.
    unsafe { combine::<MovementCount>(fcinfo) }
}

/// (state): the state as bytes, for another process of the same query.
#[pg_extern(sql = false)]
fn serialize_movements(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: movement.sql declares the argument so.
    unsafe { serialize::<MovementCount>(fcinfo) }
}

/// (bytea, internal): the state that another process serialized.
#[pg_extern(sql = false)]
fn deserialize_movements(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: movement.sql declares the arguments so.
    unsafe { deserialize::<MovementCount>(fcinfo) }
}

/// (state): the counts in the order of their days and labels.
#[pg_extern(sql = false)]
fn finish_movements(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: movement.sql declares the arguments so; the columns are those of movement_count.
    unsafe {
        let (TalliesHeader { question, rest, scale, .. }, counts) = counted::<MovementCount>(fcinfo)?;
        question.as_of().zip(rest)?; // something is NULL
        let policy = question.policy();
        let segments = &policy_of(&policy).segments;
        let rows = counts.iter().map(|count| {
            let movement = count.movement(segments, scale);
            let movement = movement.ok_or_else(|| AggregateState::Movements.refused()).or_raise();
            let Movement { from, to, before, after, revenue_before, revenue_after } = movement;
            [
                column(Some(from)),
                column(Some(to)),
                column(Some(before.state.name())),
                column(Some(after.state.name())),
                column(before.segment),
                column(after.segment),
                column(Some(before.tier.name())),
                column(Some(after.tier.name())),
                column(Some(count.customers())),
                column(Some(revenue_before)),
                column(Some(revenue_after)),
            ]
        });
        Some(RawDatum(row_array(fcinfo, rows)))
    }
}

extension_sql_file!("movement.sql", name = "movement", requires = ["types", state_movements]);
