//! The state of an aggregate that counts rows of many customers together: what it is asked, and what is alike.

use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use pgrx::pg_sys;
use rustc_hash::FxHasher;

use super::buffer::{self, Buffer, PlainData};
use super::call::{aggregate_context, argument, call_site};
use super::datum::{RawDatum, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::question::{Asked, Documents, Question, check_same};
use crate::aggregate_state::AggregateState;
use crate::bytes::Reader;
use crate::decimal::MAX_SCALE;
use crate::error::Result;
use crate::memory;
use crate::tally::{Tally, count_together};

/// What an aggregate counts, and what it is asked.
///
/// # Safety
/// No two have the same `KIND`, and none that of another buffer's header.
pub unsafe trait Counted: Tally + PlainData {
    /// Whose states they are, as [`buffer::Header`] has it.
    const KIND: AggregateState;
    /// What its serialized state is called.
    const STATE: &'static str;
    /// What the day, the document and the rest are called.
    const NAMES: [&'static str; 3];
    /// What is asked besides the day and the document.
    type Rest: Copy + PartialEq;

    /// Appends the rest to a serialized state.
    fn write_rest(rest: Self::Rest, out: &mut Vec<u8>);

    /// The rest at the front of a serialized state.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`](crate::error::ErrorKind::InvalidBinary) where it is none.
    fn read_rest(reader: &mut Reader) -> Result<Self::Rest>;
}

/// What a state knows besides its tallies.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct TalliesHeader<T: Counted> {
    /// The day and the document.
    pub question: Question,
    /// What is asked besides.
    pub rest: T::Rest,
    /// The decimals of all revenues.
    pub scale: u8,
    /// Where the tally of a key may stand among the items, by the hash of the key.
    places: [u16; PLACES],
    tallies: PhantomData<T>,
}

/// So many keys are found without counting everything together: two thousand bytes of a state.
const PLACES: usize = 1024;

impl<T: Counted> TalliesHeader<T> {
    fn new(question: Question, rest: T::Rest, scale: u8) -> Self {
        TalliesHeader { question, rest, scale, places: [0; PLACES], tallies: PhantomData }
    }
}

// SAFETY: plain parts.
unsafe impl<T: Counted> PlainData for TalliesHeader<T> {}
// SAFETY: as above; the number is its own.
unsafe impl<T: Counted> buffer::Header for TalliesHeader<T> {
    const KIND: AggregateState = T::KIND;
}

/// A state.
pub type Tallies<T> = Buffer<TalliesHeader<T>>;

const FIRST_BYTES: usize = 8192;

impl<T: Counted> Tallies<T> {
    /// Adds a tally, with revenues of the state's decimals. Where its key has none yet, or another key took its place, it
    /// stands for itself until everything is counted together.
    ///
    /// # Errors
    /// Those of [`Tally::add`].
    pub fn add(&mut self, tally: T) -> Result<()> {
        let key = tally.key();
        let place = self.header().places[place_of(&key)];
        if let Some(known) = self.items_mut::<T>().get_mut(usize::from(place)).filter(|known| known.key() == key) {
            return known.add(&tally);
        }
        if self.is_full_for::<T>() {
            let before = self.byte_len();
            self.count_together()?;
            if self.byte_len() > before / 2 {
                self.reserve(before);
            }
        }
        let last = self.items::<T>().len();
        self.push(tally);
        self.remember(&key, last);
        Ok(())
    }

    fn remember(&mut self, key: &T::Key, place: usize) {
        if let Ok(place) = u16::try_from(place) {
            self.header().places[place_of(key)] = place;
        }
    }

    fn count_together(&mut self) -> Result<()> {
        let kept = count_together(self.items_mut::<T>())?;
        self.truncate::<T>(kept);
        for place in 0..kept {
            let key = self.items::<T>()[place].key();
            self.remember(&key, place);
        }
        Ok(())
    }

    /// Makes revenues of so many decimals fit; returns how many they have from now on.
    ///
    /// # Errors
    /// Those of [`Tally::at_scale`].
    pub fn widen(&mut self, scale: u8) -> Result<u8> {
        let known = self.header().scale;
        if scale > known {
            for tally in self.items_mut::<T>() {
                *tally = tally.at_scale(known, scale)?;
            }
            self.header().scale = scale;
        }
        Ok(self.header().scale)
    }

    fn add_all(&mut self, scale: u8, tallies: &[T]) -> Result<()> {
        let own = self.widen(scale)?;
        tallies.iter().try_for_each(|tally| self.add(tally.at_scale(scale, own)?))
    }
}

fn place_of(key: &impl Hash) -> usize {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish() as usize % PLACES
}

/// The state of a call: that of its first argument, or a new one, which is asked the same.
///
/// # Safety
/// `fcinfo` must be a live call frame whose first argument is `internal`.
pub unsafe fn tallies_or_new<T: Counted>(fcinfo: pg_sys::FunctionCallInfo, asked: Asked, rest: T::Rest) -> Tallies<T> {
    // SAFETY: nobody but an aggregate can pass an `internal` that is not NULL, and a buffer of another kind is refused.
    let mut state = unsafe {
        match argument(fcinfo, 0) {
            Some(state) => Tallies::from_datum(state),
            None => {
                let context = aggregate_context(fcinfo);
                let question = call_site(fcinfo, |_| Documents::default()).keep((*fcinfo).flinfo, asked);
                Tallies::new(context, TalliesHeader::new(question, rest, 0), FIRST_BYTES)
            }
        }
    };
    let &mut TalliesHeader { question, rest: of_group, .. } = state.header();
    let [day, document, others] = T::NAMES;
    asked.check_same(question, day, document).or_raise();
    check_same(others, rest, of_group).or_raise();
    state
}

/// (state, state): adds what another worker counted.
///
/// # Safety
/// `fcinfo` must be a live call frame of two arguments of type `internal`.
pub unsafe fn combine<T: Counted>(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: the caller promises the arguments.
    unsafe {
        let Some(other) = argument(fcinfo, 1) else { return argument(fcinfo, 0).map(RawDatum) };
        let mut other = Tallies::<T>::from_datum(other);
        let &mut TalliesHeader { question, rest, scale, .. } = other.header();
        let mut state = tallies_or_new::<T>(fcinfo, Asked::from(question), rest);
        state.add_all(scale, other.items()).or_raise();
        Some(RawDatum(state.as_datum()))
    }
}

/// (state): the state as bytes, for another process of the same query.
///
/// # Safety
/// `fcinfo` must be a live call frame whose argument is of type `internal`.
pub unsafe fn serialize<T: Counted>(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: the caller promises the argument.
    unsafe {
        aggregate_context(fcinfo);
        let mut state = Tallies::<T>::from_datum(argument(fcinfo, 0)?);
        state.count_together().or_raise();
        let &mut TalliesHeader { question, rest, scale, .. } = state.header();
        let mut bytes = T::KIND.head().to_vec();
        question.write(&mut bytes);
        bytes.push(scale);
        T::write_rest(rest, &mut bytes);
        memory::reserve(&mut bytes, state.byte_len());
        state.items::<T>().iter().for_each(|tally| tally.write(&mut bytes));
        Some(RawDatum(new_varlena(&bytes)))
    }
}

/// (bytea, internal): the state that another process serialized.
///
/// # Safety
/// `fcinfo` must be a live call frame whose first argument is a `bytea`.
pub unsafe fn deserialize<T: Counted>(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: the caller promises the argument; the result lives until it is combined, like its memory.
    unsafe {
        aggregate_context(fcinfo);
        let bytes = varlena_bytes(argument(fcinfo, 0)?);
        let body = T::KIND.body(bytes).or_raise();
        let (asked, counted) = Asked::read(body).ok_or_else(|| T::KIND.refused()).or_raise();
        let (rest, scale, tallies) = read_counted::<T>(counted).or_raise();
        let header: TalliesHeader<T> = TalliesHeader::new(asked.copied(), rest, scale);
        let mut state = Tallies::new(pg_sys::CurrentMemoryContext, header, FIRST_BYTES);
        state.extend(&tallies);
        Some(RawDatum(state.as_datum()))
    }
}

/// What stands in a serialized state after its question.
fn read_counted<T: Counted>(bytes: &[u8]) -> Result<(T::Rest, u8, Vec<T>)> {
    let mut reader = Reader::part(T::STATE, bytes);
    let scale = reader.byte()?;
    if scale > MAX_SCALE {
        return Err(reader.invalid("too many decimals"));
    }
    let rest = T::read_rest(&mut reader)?;
    let mut tallies = Vec::new();
    while !reader.is_empty() {
        memory::push(&mut tallies, T::read(&mut reader)?);
    }
    Ok((rest, scale, tallies))
}

/// What was asked, and what is alike counted together, in the order of the keys; `None` where there were no rows. The state
/// stays as it is.
///
/// # Safety
/// `fcinfo` must be a live call frame of a final function whose first argument is `internal`.
pub unsafe fn counted<T: Counted>(fcinfo: pg_sys::FunctionCallInfo) -> Option<(TalliesHeader<T>, Vec<T>)> {
    // SAFETY: the caller promises the argument.
    let mut state = unsafe {
        aggregate_context(fcinfo);
        Tallies::<T>::from_datum(argument(fcinfo, 0)?)
    };
    let mut tallies: Vec<T> = state.to_vec();
    let kept = count_together(&mut tallies).or_raise();
    tallies.truncate(kept);
    Some((*state.header(), tallies))
}
