//! What became of a customer from step to step, and of all of them counted.

use pgrx::datum::Interval;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::buffer::{self, Buffer, PlainData};
use super::call::{aggregate_context, argument, call_site, column, read, row_array};
use super::datum::{RawDatum, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::question::{Asked, Documents, Question, check_same};
use super::set::{SetOf, StateMovement};
use super::types::{SegmentPolicy, policy_of};
use crate::aggregate_state::AggregateState;
use crate::bytes::{Reader, put_unsigned};
use crate::calendar::{Step, days_between};
use crate::customer::Walk;
use crate::day::Day;
use crate::decimal::MAX_SCALE;
use crate::engagement::EngagementHistory;
use crate::error::Result;
use crate::history::{NO_PURCHASES, PurchaseHistory};
use crate::membership::{KnownMembership, Membership, MembershipHistory};
use crate::memory;
use crate::movement::{Movement, MovementCount, count_together, movements};
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

/// What a state of `count_movements` knows besides its counts.
#[derive(Clone, Copy)]
#[repr(C)]
struct CountsHeader {
    /// The last day and the policy.
    question: Question,
    since: Option<(Day, Step)>,
    /// The decimals of all revenues.
    scale: u8,
}

// SAFETY: plain parts.
unsafe impl PlainData for CountsHeader {}
// SAFETY: as above; the number is its own.
unsafe impl buffer::Header for CountsHeader {
    const KIND: AggregateState = AggregateState::Movements;
}
// SAFETY: integers, packed to 8 bytes; a buffer of this header holds nothing else.
unsafe impl PlainData for MovementCount {}

type Counts = Buffer<CountsHeader>;

const FIRST_BYTES: usize = 8192;

impl Counts {
    fn add(&mut self, count: MovementCount) -> Result<()> {
        if self.is_full_for::<MovementCount>() {
            let before = self.byte_len();
            let kept = count_together(self.items_mut())?;
            self.truncate::<MovementCount>(kept);
            if self.byte_len() > before / 2 {
                self.reserve(before);
            }
        }
        self.push(count);
        Ok(())
    }

    /// Makes amounts of so many decimals fit.
    fn widen(&mut self, scale: u8) -> Result<()> {
        let known = self.header().scale;
        if scale > known {
            for count in self.items_mut::<MovementCount>() {
                *count = count.at_scale(known, scale)?;
            }
            self.header().scale = scale;
        }
        Ok(())
    }

    fn add_all(&mut self, scale: u8, counts: impl Iterator<Item = MovementCount>) -> Result<()> {
        self.widen(scale)?;
        let own = self.header().scale;
        counts.map(|count| count.at_scale(scale, own)).try_for_each(|count| self.add(count?))
    }
}

/// The state of a call: that of its first argument, or a new one, which is asked the same.
///
/// # Safety
/// `fcinfo` must be a live call frame whose first argument is `internal`.
unsafe fn counts_or_new(fcinfo: pg_sys::FunctionCallInfo, asked: Asked, since: Option<(Day, Step)>) -> Counts {
    // SAFETY: nobody but an aggregate can pass an `internal` that is not NULL, and the aggregate here passes Counts.
    let mut counts = unsafe {
        match argument(fcinfo, 0) {
            Some(state) => Counts::from_datum(state),
            None => {
                let context = aggregate_context(fcinfo);
                let question = call_site(fcinfo, |_| Documents::default()).keep((*fcinfo).flinfo, asked);
                Counts::new(context, CountsHeader { question, since, scale: 0 }, FIRST_BYTES)
            }
        }
    };
    let header = *counts.header();
    asked.check_same(header.question, "to_day", "policy").or_raise();
    check_same("from_day or step", since, header.since).or_raise();
    counts
}

/// (state, history, from_day, to_day, step, policy, engagement, membership, memberships): counts a customer's movements.
#[pg_extern(sql = false)]
fn collect_movements(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: movement.sql declares the arguments so.
    unsafe {
        let asked = Asked::new(argument(fcinfo, 3), argument(fcinfo, 5));
        let since = read::<Day>(fcinfo, 2).zip(read::<Interval>(fcinfo, 4).map(step_of));
        let mut counts = counts_or_new(fcinfo, asked, since);
        let history = read::<PurchaseHistory>(fcinfo, 1);
        if let (Some(history), Some((from, step)), Some(to)) = (history, since, asked.as_of()) {
            let policy = counts.header().question.policy();
            let policy = policy_of(&policy);
            let engagement = read::<EngagementHistory>(fcinfo, 6);
            let memberships = read::<MembershipHistory>(fcinfo, 8);
            let membership = KnownMembership::new(read::<Membership>(fcinfo, 7), memberships.as_ref());
            counts.widen(history.scale()).or_raise();
            let scale = counts.header().scale;
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
    unsafe {
        let Some(other) = argument(fcinfo, 1) else { return argument(fcinfo, 0).map(RawDatum) };
        let mut other = Counts::from_datum(other);
        let CountsHeader { question, since, scale } = *other.header();
        let mut counts = counts_or_new(fcinfo, Asked::from(question), since);
        counts.add_all(scale, other.items().iter().copied()).or_raise();
        Some(RawDatum(counts.as_datum()))
    }
}

/// (state): the state as bytes, for another process of the same query.
#[pg_extern(sql = false)]
fn serialize_movements(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: movement.sql declares the arguments so.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|state| {
            let mut counts = Counts::from_datum(state);
            let kept = count_together(counts.items_mut()).or_raise();
            counts.truncate::<MovementCount>(kept);
            let CountsHeader { question, since, scale } = *counts.header();
            let mut bytes = AggregateState::Movements.head().to_vec();
            question.write(&mut bytes);
            bytes.push(scale);
            let (from, (months, days)) = since.map_or((0, (0, 0)), |(from, step)| (from.0, step.parts()));
            bytes.extend(from.to_ne_bytes());
            put_unsigned(&mut bytes, months.into());
            put_unsigned(&mut bytes, days.into());
            let counts: &[MovementCount] = counts.items();
            memory::reserve(&mut bytes, size_of_val(counts));
            counts.iter().for_each(|count| count.write(&mut bytes));
            RawDatum(new_varlena(&bytes))
        })
    }
}

/// (bytea, internal): the state that another process serialized.
#[pg_extern(sql = false)]
fn deserialize_movements(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: movement.sql declares the arguments so; the result lives until it is combined, like its memory.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|bytes| {
            let body = AggregateState::Movements.body(varlena_bytes(bytes)).or_raise();
            let (asked, rest) = Asked::read(body).ok_or_else(|| AggregateState::Movements.refused()).or_raise();
            let (since, scale, counts) = read_state(rest).or_raise();
            let header = CountsHeader { question: asked.copied(), since, scale };
            let mut state = Counts::new(pg_sys::CurrentMemoryContext, header, FIRST_BYTES);
            state.extend(&counts);
            RawDatum(state.as_datum())
        })
    }
}

type State = (Option<(Day, Step)>, u8, Vec<MovementCount>);

/// What stands in a serialized state after its question.
fn read_state(bytes: &[u8]) -> Result<State> {
    let mut reader = Reader::part("state of count_movements", bytes);
    let scale = reader.byte()?;
    if scale > MAX_SCALE {
        return Err(reader.invalid("too many decimals"));
    }
    let from = i32::from_ne_bytes(reader.array()?);
    let since = match (reader.unsigned()?, reader.unsigned()?) {
        (0, 0) => None,
        (months, days) => Some((Day(from), Step::new(months, days, 0)?)),
    };
    let mut counts = Vec::new();
    while !reader.is_empty() {
        memory::push(&mut counts, MovementCount::read(&mut reader)?);
    }
    Ok((since, scale, counts))
}

/// (state): the counts in the order of their days and labels.
#[pg_extern(sql = false)]
fn finish_movements(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: movement.sql declares the arguments so; the columns are those of movement_count.
    unsafe {
        aggregate_context(fcinfo);
        let mut state = argument(fcinfo, 0).map(|state| Counts::from_datum(state))?;
        let CountsHeader { question, scale, .. } = *state.header();
        let policy = question.policy();
        let segments = &policy_of(&policy).segments;
        // Counted in a copy: a final function leaves the state as it is.
        let mut counts: Vec<MovementCount> = state.to_vec();
        let kept = count_together(&mut counts).or_raise();
        let rows = counts[..kept].iter().map(|count| {
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
