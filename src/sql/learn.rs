//! The aggregates over all customers' histories: `learn_policy` and `return_curve`.

use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

use super::buffer::{self, Buffer, PlainData};
use super::call::{aggregate_context, argument, call_site, column, row_array};
use super::datum::{RawDatum, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::question::{Asked, Documents, Question};
use super::types::{SegmentPolicy, document_of, policy_of};
use crate::aggregate_state::AggregateState;
use crate::customer::Customer;
use crate::error::Result;
use crate::history::PurchaseHistory;
use crate::learn::{Dimension, MOST_VALUES, Observation, Sample, count_within, leave_out_a_digit, observe};
use crate::memory;
use crate::money_unit::MoneyUnit;

/// What a state knows besides its observations.
#[derive(Clone, Copy)]
#[repr(C)]
struct CustomersHeader {
    question: Question,
    unit: MoneyUnit,
}

// SAFETY: plain parts.
unsafe impl PlainData for CustomersHeader {}
// SAFETY: as above; the number is its own.
unsafe impl buffer::Header for CustomersHeader {
    const KIND: AggregateState = AggregateState::Customers;
}
// SAFETY: integers and one of an enum, packed to 8 bytes; a buffer of this header holds nothing else.
unsafe impl PlainData for Observation {}

type Observations = Buffer<CustomersHeader>;

const FIRST_BYTES: usize = 8192;

impl Observations {
    /// Adds an observation; `value` in the unit that holds once there is room for it, because making room can change it.
    fn add(&mut self, dimension: Dimension, count: u64, value: impl FnOnce(MoneyUnit) -> Result<i128>) -> Result<()> {
        if self.is_full_for::<Observation>() {
            self.make_room()?;
        }
        let value = value(self.header().unit)?;
        self.push(Observation { dimension, count, value });
        Ok(())
    }

    /// Counts equal values together, at the price of the amounts' last digits where there are too many.
    fn fit(&mut self) -> Result<()> {
        let mut unit = self.header().unit;
        let kept = count_within(self.items_mut(), &mut unit, MOST_VALUES)?;
        self.header().unit = unit;
        self.truncate::<Observation>(kept);
        Ok(())
    }

    fn make_room(&mut self) -> Result<()> {
        let before = self.byte_len();
        self.fit()?;
        if self.byte_len() > before / 2 {
            self.reserve(before);
        }
        Ok(())
    }

    /// Makes amounts with `scale` decimals fit the unit.
    fn widen(&mut self, scale: u8) -> Result<()> {
        let unit = self.header().unit;
        let wider = unit.widened(scale);
        self.header().unit = wider;
        // Where digits are left out, the unit is the same amount as before.
        if wider != unit && unit.coarse == 0 {
            for observation in self.items_mut::<Observation>() {
                if observation.dimension == Dimension::Monetary {
                    observation.value = wider.units(observation.value, unit.scale)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the unit at least as coarse as another.
    fn coarsen(&mut self, other: MoneyUnit) -> Result<()> {
        self.widen(other.scale)?;
        while other.coarse > 0 && self.header().unit.coarse < other.coarse + (self.header().unit.scale - other.scale) {
            let mut unit = self.header().unit;
            leave_out_a_digit(&mut unit, self.items_mut())?;
            self.header().unit = unit;
        }
        Ok(())
    }

    fn add_customer(&mut self, customer: &Customer) -> Result<()> {
        let scale = customer.monetary().scale();
        self.widen(scale)?;
        for (dimension, value) in observe(customer) {
            self.add(dimension, 1, |unit| match dimension {
                Dimension::Monetary => unit.units(value, scale),
                _ => Ok(value),
            })?;
        }
        Ok(())
    }

    /// Adds what another state observed.
    fn add_all(&mut self, unit: MoneyUnit, observations: impl Iterator<Item = Observation>) -> Result<()> {
        self.coarsen(unit)?;
        for Observation { dimension, count, value } in observations {
            self.add(dimension, count, |own| match dimension {
                Dimension::Monetary => own.units_of(value, unit),
                _ => Ok(value),
            })?;
        }
        Ok(())
    }
}

/// The state of a call: that of its first argument, or a new one.
///
/// # Safety
/// `fcinfo` must be a live call frame whose first argument is `internal`.
unsafe fn observations_or_new(fcinfo: pg_sys::FunctionCallInfo, asked: Asked) -> Observations {
    // SAFETY: nobody but an aggregate can pass an `internal` that is not NULL, and the aggregate here passes Observations.
    unsafe {
        match argument(fcinfo, 0) {
            Some(state) => Observations::from_datum(state),
            None => {
                let context = aggregate_context(fcinfo);
                let question = call_site(fcinfo, |_| Documents::default()).keep((*fcinfo).flinfo, asked);
                let header = CustomersHeader { question, unit: MoneyUnit { scale: 0, coarse: 0 } };
                Observations::new(context, header, FIRST_BYTES)
            }
        }
    }
}

/// (state, history, as_of, base): observes a customer. `return_curve` leaves out the base, which is then the default.
#[pg_extern(sql = false)]
fn collect_customer(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: learn.sql declares the arguments so.
    unsafe {
        let base = if (*fcinfo).nargs > 3 { argument(fcinfo, 3) } else { None };
        let asked = Asked::new(argument(fcinfo, 2), base);
        let mut observations = observations_or_new(fcinfo, asked);
        let question = observations.header().question;
        asked.check_same(question, "as_of", "base").or_raise();
        if let (Some(history), Some(as_of)) = (argument(fcinfo, 1), question.as_of()) {
            let history = PurchaseHistory::from_bytes(varlena_bytes(history)).or_raise();
            let base = question.policy();
            let customer = Customer::new(Some(&history), as_of, policy_of(&base), None, None);
            observations.add_customer(&customer).or_raise();
        }
        Some(RawDatum(observations.as_datum()))
    }
}

/// (state, state): adds what another worker observed.
#[pg_extern(sql = false)]
fn combine_customers(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: learn.sql declares the arguments so.
    unsafe {
        match argument(fcinfo, 1) {
            None => argument(fcinfo, 0).map(RawDatum),
            Some(other) => {
                let mut other = Observations::from_datum(other);
                let CustomersHeader { question, unit } = *other.header();
                let mut observations = observations_or_new(fcinfo, Asked::from(question));
                Asked::from(question).check_same(observations.header().question, "as_of", "base").or_raise();
                observations.add_all(unit, other.items().iter().copied()).or_raise();
                Some(RawDatum(observations.as_datum()))
            }
        }
    }
}

/// (state): the state as bytes, for another process of the same query: the question, the unit, the observations.
#[pg_extern(sql = false)]
fn serialize_customers(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: learn.sql declares the arguments so.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|state| {
            let mut observations = Observations::from_datum(state);
            observations.fit().or_raise();
            let CustomersHeader { question, unit } = *observations.header();
            let mut bytes = AggregateState::Customers.head().to_vec();
            question.write(&mut bytes);
            bytes.extend([unit.scale, unit.coarse]);
            memory::reserve(&mut bytes, observations.items::<Observation>().len() * OBSERVATION_BYTES);
            for observation in observations.items::<Observation>() {
                bytes.push(observation.dimension as u8);
                bytes.extend({ observation.count }.to_ne_bytes());
                bytes.extend({ observation.value }.to_ne_bytes());
            }
            RawDatum(new_varlena(&bytes))
        })
    }
}

/// (bytea, internal): the state that another process serialized.
#[pg_extern(sql = false)]
fn deserialize_customers(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: learn.sql declares the arguments so; the result lives until it is combined, like its memory.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|bytes| {
            let body = AggregateState::Customers.body(varlena_bytes(bytes)).or_raise();
            let (asked, unit, observations) =
                read_state(body).ok_or_else(|| AggregateState::Customers.refused()).or_raise();
            let header = CustomersHeader { question: asked.copied(), unit };
            let mut state = Observations::new(pg_sys::CurrentMemoryContext, header, FIRST_BYTES);
            state.extend(&observations);
            RawDatum(state.as_datum())
        })
    }
}

/// A dimension, a count and a value in a serialized state.
const OBSERVATION_BYTES: usize = 1 + 8 + 16;

fn read_state(bytes: &[u8]) -> Option<(Asked<'_>, MoneyUnit, Vec<Observation>)> {
    const DIMENSIONS: [Dimension; 4] = [Dimension::Recency, Dimension::Frequency, Dimension::Monetary, Dimension::Gap];
    let (asked, rest) = Asked::read(bytes)?;
    let ([scale, coarse], mut rest) = rest.split_first_chunk()?;
    let unit = MoneyUnit::checked(*scale, *coarse)?;
    let mut observations = memory::with_capacity(rest.len() / OBSERVATION_BYTES);
    while let Some((&dimension, after)) = rest.split_first() {
        let (count, after) = after.split_first_chunk()?;
        let (value, after) = after.split_first_chunk()?;
        memory::push(
            &mut observations,
            Observation {
                dimension: *DIMENSIONS.get(usize::from(dimension))?,
                count: u64::from_ne_bytes(*count),
                value: i128::from_ne_bytes(*value),
            },
        );
        rest = after;
    }
    Some((asked, unit, observations))
}

/// The day and the base asked for, and what was observed, counted.
///
/// # Safety
/// `fcinfo` must be a live call frame of a final function whose first argument is `internal`.
unsafe fn observed(fcinfo: pg_sys::FunctionCallInfo) -> Option<(Question, MoneyUnit, Vec<Observation>)> {
    // SAFETY: as for observations_or_new.
    let mut state = unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|state| Observations::from_datum(state))?
    };
    let CustomersHeader { question, mut unit } = *state.header();
    // Counted in a copy: a final function leaves the state as it is.
    let mut observations: Vec<Observation> = state.to_vec();
    let kept = count_within(&mut observations, &mut unit, MOST_VALUES).or_raise();
    observations.truncate(kept);
    Some((question, unit, observations))
}

/// (state): the learned policy.
#[pg_extern(sql = false)]
fn finish_policy(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: learn.sql declares the arguments so.
    let (question, unit, observations) = unsafe { observed(fcinfo)? };
    let base = question.policy();
    let sample = Sample { unit, observations: &observations };
    let learned = sample.learn(document_of(&base), question.as_of()?).or_raise();
    SegmentPolicy::from(learned).into_datum().map(RawDatum)
}

/// (state): the chance to come back, by the days without a purchase.
#[pg_extern(sql = false)]
fn finish_curve(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: learn.sql declares the arguments so.
    let (question, unit, observations) = unsafe { observed(fcinfo)? };
    question.as_of()?;
    let base = question.policy();
    let sample = Sample { unit, observations: &observations };
    let rows = sample.return_curve(&policy_of(&base).learn).into_iter().flat_map(|curve| curve.rows()).map(|row| {
        let (low, high) = row.interval();
        // A curve ends after a hundred years; counts of customers fit.
        [
            column(Some(row.silent_days as i32)),
            column(Some(row.chance())),
            column(Some(low)),
            column(Some(high)),
            column(Some(row.at_risk as i64)),
        ]
    });
    // SAFETY: the columns are those of return_chance.
    Some(RawDatum(unsafe { row_array(fcinfo, rows) }))
}

extension_sql_file!("learn.sql", name = "learn", requires = ["types"]);
