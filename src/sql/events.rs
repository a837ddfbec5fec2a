//! The aggregates over engagement events, contacts and entries of memberships, and over stored histories of these.

use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

use super::buffer::{self, Buffer, PlainData};
use super::call::{aggregate_context, argument, read};
use super::datum::{RawDatum, finite_day, new_varlena, varlena_bytes};
use super::error::OrRaise;
use crate::aggregate_state::AggregateState;
use crate::bytes::Reader;
use crate::contact::{ContactKey, ContactKind};
use crate::day::Day;
use crate::engagement::Kind;
use crate::error::Result;
use crate::event_history::{EventHistory, Key};
use crate::host::Steps;
use crate::membership::{Entered, Membership, MembershipHistory};
use crate::memory;

/// The state has nothing besides its entries.
#[derive(Clone, Copy)]
#[repr(C)]
struct NoHeader {}

// SAFETY: it has no bytes.
unsafe impl PlainData for NoHeader {}
// SAFETY: as above; the number is its own.
unsafe impl buffer::Header for NoHeader {
    const KIND: AggregateState = AggregateState::Events;
}

/// The entries of one group, each as the bytes of its key, the day and the count. Which history they belong to only the
/// functions know that collect and finish; taken for those of another, they are an error or another valid history.
type Events = Buffer<NoHeader>;

/// The first allocation of a group: three events.
const FIRST_BYTES: usize = 64;

/// Beyond this many bytes entries of one key and day are merged before the group grows.
const MERGE_BYTES: usize = 65_536;

/// More than an entry has: four names, day, count.
const MAX_ENTRY_BYTES: usize = 4 * (1 + crate::event_history::MAX_NAME_BYTES) + 4 + 4;

impl Events {
    fn add<K: Key>(&mut self, key: K::Ref<'_>, day: Day, count: u32) {
        let mut entry = Vec::with_capacity(FIRST_BYTES);
        K::put(key, &mut entry);
        entry.extend(day.0.to_ne_bytes());
        entry.extend(count.to_ne_bytes());
        self.extend(&entry);
    }

    /// Adds what happened once.
    fn add_checked<K: Key>(&mut self, key: K::Ref<'_>, day: Day) -> Result<()> {
        K::check(key)?;
        self.merge_if_full::<K>()?;
        self.add::<K>(key, day, 1);
        Ok(())
    }

    fn add_history<K: Key>(&mut self, history: &EventHistory<K>) {
        history.entries().for_each(|(key, day, count)| self.add::<K>(key, day, count));
    }

    /// Merges the entries where the group is large and about to grow.
    fn merge_if_full<K: Key>(&mut self) -> Result<()> {
        if self.byte_len() >= MERGE_BYTES && self.is_full_for::<[u8; MAX_ENTRY_BYTES]>() {
            let history = self.history::<K>()?;
            let before = self.byte_len();
            self.clear();
            self.add_history(&history);
            if self.byte_len() > before / 2 {
                self.reserve(before);
            }
        }
        Ok(())
    }

    fn history<K: Key>(&self) -> Result<EventHistory<K>> {
        let mut reader = Reader::part(K::TYPE_NAME, self.items::<u8>());
        let (mut entries, mut steps) = (Vec::new(), Steps::default());
        while !reader.is_empty() {
            steps.step();
            let key = K::read(&mut reader)?;
            let (day, count) = (i32::from_ne_bytes(reader.array()?), u32::from_ne_bytes(reader.array()?));
            memory::push(&mut entries, (key, Day(day), count));
        }
        EventHistory::collected(entries)
    }
}

// SAFETY: bytes.
unsafe impl<const N: usize> PlainData for [u8; N] {}

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
            events.add_checked::<Kind>(&kind, finite_day(day.value() as i32).or_raise()).or_raise();
        }
        Some(RawDatum(events.as_datum()))
    }
}

/// (state, channel text, contacted_on date, scenario text, step text, group text): collects a contact.
#[pg_extern(sql = false)]
fn collect_contact(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        let mut contacts = events_or_new(fcinfo);
        if let Some(day) = argument(fcinfo, 2) {
            let names = [1, 3, 4, 5].map(|index| argument(fcinfo, index).map(|name| varlena_bytes(name)));
            let names = names.map(|name| name.map(|name| String::from_utf8_lossy(name)));
            let [channel, scenario, step, group] = names.each_ref().map(Option::as_deref);
            let kind = ContactKind { channel, scenario, step, group };
            contacts.add_checked::<ContactKey>(kind, finite_day(day.value() as i32).or_raise()).or_raise();
        }
        Some(RawDatum(contacts.as_datum()))
    }
}

/// (state, history): collects a stored history.
///
/// # Safety
/// `fcinfo` must be a live call frame of a function with these arguments.
unsafe fn collect_stored<K: Key>(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: the caller promises the arguments.
    unsafe {
        match argument(fcinfo, 1) {
            // NULL is no history: without any other the result stays NULL.
            None => argument(fcinfo, 0).map(RawDatum),
            Some(history) => {
                let mut events = events_or_new(fcinfo);
                events.merge_if_full::<K>().or_raise();
                events.add_history(&EventHistory::<K>::from_bytes(varlena_bytes(history)).or_raise());
                Some(RawDatum(events.as_datum()))
            }
        }
    }
}

#[pg_extern(sql = false)]
fn collect_engagement(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe { collect_stored::<Kind>(fcinfo) }
}

#[pg_extern(sql = false)]
fn collect_contacts(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe { collect_stored::<ContactKey>(fcinfo) }
}

/// (state, membership text, since date): collects an entry of a log of memberships.
#[pg_extern(sql = false)]
fn collect_membership(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        let mut entries = events_or_new(fcinfo);
        if let (Some(membership), Some(since)) = (read::<Membership>(fcinfo, 1), argument(fcinfo, 2)) {
            let since = finite_day(since.value() as i32).or_raise();
            entries.add_checked::<Entered>(membership.into(), since).or_raise();
        }
        Some(RawDatum(entries.as_datum()))
    }
}

/// (state, history): collects a stored history of memberships.
#[pg_extern(sql = false)]
fn collect_memberships(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        match read::<MembershipHistory>(fcinfo, 1) {
            None => argument(fcinfo, 0).map(RawDatum),
            Some(history) => {
                let mut entries = events_or_new(fcinfo);
                entries.merge_if_full::<Entered>().or_raise();
                history.entries().for_each(|(day, membership)| entries.add::<Entered>(membership.into(), day, 1));
                Some(RawDatum(entries.as_datum()))
            }
        }
    }
}

/// (state): the history of memberships itself.
#[pg_extern(sql = false)]
fn finish_memberships(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the argument so.
    unsafe {
        aggregate_context(fcinfo);
        let entries = Events::from_datum(argument(fcinfo, 0)?).history::<Entered>().or_raise();
        let history = MembershipHistory::new(entries.entries().map(|(entered, day, _)| (day, entered.into())));
        history.or_raise().into_datum().map(RawDatum)
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
                events.extend(other.items::<u8>());
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
        argument(fcinfo, 0).map(|state| {
            let events = Events::from_datum(state);
            let mut bytes = memory::with_capacity(AggregateState::HEAD + events.byte_len());
            bytes.extend(AggregateState::Events.head());
            bytes.extend(events.items::<u8>());
            RawDatum(new_varlena(&bytes))
        })
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
            events.extend(AggregateState::Events.body(varlena_bytes(bytes)).or_raise());
            RawDatum(events.as_datum())
        })
    }
}

/// (state): the history itself.
///
/// # Safety
/// `fcinfo` must be a live call frame of a function with this argument.
unsafe fn finish<K: Key>(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum>
where
    EventHistory<K>: IntoDatum,
{
    // SAFETY: the caller promises the argument.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0)
            .and_then(|state| Events::from_datum(state).history::<K>().or_raise().into_datum())
            .map(RawDatum)
    }
}

#[pg_extern(sql = false)]
fn finish_engagement(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe { finish::<Kind>(fcinfo) }
}

#[pg_extern(sql = false)]
fn finish_contacts(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe { finish::<ContactKey>(fcinfo) }
}
