//! The aggregates over engagement events and stored engagement histories.

use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

use super::buffer::{self, Buffer, Plain};
use super::datum::{RawDatum, finite_day, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::orders::{aggregate_context, argument};
use crate::day::Day;
use crate::engagement::{EngagementHistory, MAX_KIND_BYTES, check_kind};
use crate::error::Result;

/// The state has nothing besides its events.
#[derive(Clone, Copy)]
#[repr(C)]
struct NoHeader {}

// SAFETY: it has no bytes.
unsafe impl Plain for NoHeader {}
// SAFETY: as above; the number is its own.
unsafe impl buffer::Header for NoHeader {
    const KIND: u32 = 2;
}

/// The events of one group, each as the length of its kind, the kind, the day and the count.
type Events = Buffer<NoHeader>;

/// The first allocation of a group: three events.
const FIRST_BYTES: usize = 64;

/// Beyond this many bytes events of one kind and day are merged before the group grows.
const MERGE_BYTES: usize = 65_536;

/// Length and name of the kind, day, count.
const MAX_EVENT_BYTES: usize = 1 + MAX_KIND_BYTES + 4 + 4;

impl Events {
    fn add(&mut self, kind: &str, day: Day, count: u32) -> Result<()> {
        check_kind(kind)?;
        // At most MAX_KIND_BYTES.
        let length = kind.len() as u8;
        self.push(length);
        self.extend(kind.as_bytes());
        self.extend(&day.0.to_ne_bytes());
        self.extend(&count.to_ne_bytes());
        Ok(())
    }

    fn add_history(&mut self, history: &EngagementHistory) -> Result<()> {
        history.events().try_for_each(|(kind, day, count)| self.add(kind, day, count))
    }

    /// Merges the events where the group is large and about to grow.
    fn merge_if_full(&mut self) -> Result<()> {
        if self.byte_len() >= MERGE_BYTES && self.is_full_for::<[u8; MAX_EVENT_BYTES]>() {
            let history = self.history()?;
            let before = self.byte_len();
            self.clear();
            self.add_history(&history)?;
            if self.byte_len() > before / 2 {
                self.reserve(before);
            }
        }
        Ok(())
    }

    fn history(&self) -> Result<EngagementHistory> {
        let mut rest = self.items::<u8>();
        let events = std::iter::from_fn(move || {
            let (&length, after) = rest.split_first()?;
            let (kind, after) = after.split_at_checked(length.into())?;
            let (day, after) = after.split_first_chunk()?;
            let (count, after) = after.split_first_chunk()?;
            rest = after;
            let kind = std::str::from_utf8(kind).unwrap_or_default();
            Some((kind, Day(i32::from_ne_bytes(*day)), u32::from_ne_bytes(*count)))
        });
        EngagementHistory::new(events)
    }
}

// SAFETY: bytes.
unsafe impl<const N: usize> Plain for [u8; N] {}

/// The state of a call: that of its first argument, or a new one.
///
/// # Safety
/// `fcinfo` must be a live call frame whose first argument is `internal`.
unsafe fn events_or_new(fcinfo: pg_sys::FunctionCallInfo) -> Events {
    // SAFETY: nobody but an aggregate can pass an `internal` that is not NULL, and the aggregates here pass Events.
    unsafe {
        match argument(fcinfo, 0) {
            Some(state) => Events::from_datum(state),
            None => Events::new(aggregate_context(fcinfo), NoHeader {}, FIRST_BYTES),
        }
    }
}

/// (state, kind text, happened_on date): collects an event.
#[pg_extern(sql = false)]
fn collect_event(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        let mut events = events_or_new(fcinfo);
        if let (Some(kind), Some(day)) = (argument(fcinfo, 1), argument(fcinfo, 2)) {
            let kind = String::from_utf8_lossy(varlena_bytes(kind));
            events.merge_if_full().or_raise();
            events.add(&kind, finite_day(day.value() as i32).or_raise(), 1).or_raise();
        }
        Some(RawDatum(events.as_datum()))
    }
}

/// (state, engagement_history): collects a stored history.
#[pg_extern(sql = false)]
fn collect_engagement(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        match argument(fcinfo, 1) {
            // NULL is no history: without any other the result stays NULL.
            None => argument(fcinfo, 0).map(RawDatum),
            Some(history) => {
                let mut events = events_or_new(fcinfo);
                events.merge_if_full().or_raise();
                events.add_history(&EngagementHistory::from_bytes(varlena_bytes(history)).or_raise()).or_raise();
                Some(RawDatum(events.as_datum()))
            }
        }
    }
}

/// (state, state): adds what another worker collected.
#[pg_extern(sql = false)]
fn combine_events(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        match argument(fcinfo, 1) {
            None => argument(fcinfo, 0).map(RawDatum),
            Some(other) => {
                let other = Events::from_datum(other);
                let mut events = events_or_new(fcinfo);
                events.add_history(&other.history().or_raise()).or_raise();
                Some(RawDatum(events.as_datum()))
            }
        }
    }
}

/// (state): the state as bytes, for another process of the same query.
#[pg_extern(sql = false)]
fn serialize_events(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0)
            .map(|state| RawDatum(new_varlena(&Events::from_datum(state).history().or_raise().to_bytes())))
    }
}

/// (bytea, internal): the state that another process serialized.
#[pg_extern(sql = false)]
fn deserialize_events(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so; the result lives until it is combined, like its memory.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|bytes| {
            let mut events = Events::new(pg_sys::CurrentMemoryContext, NoHeader {}, FIRST_BYTES);
            events.add_history(&EngagementHistory::from_bytes(varlena_bytes(bytes)).or_raise()).or_raise();
            RawDatum(events.as_datum())
        })
    }
}

/// (state): the history itself.
#[pg_extern(sql = false)]
fn finish_engagement(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).and_then(|state| Events::from_datum(state).history().or_raise().into_datum()).map(RawDatum)
    }
}
