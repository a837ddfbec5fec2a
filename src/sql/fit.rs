//! The aggregates over all customers' histories that fit a model of purchases: `fit_purchase_model` and
//! `backtest_purchase_model`.

use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

use super::buffer::{self, Buffer, PlainData};
use super::call::{aggregate_context, argument, call_site, column, read, row};
use super::datum::{RawDatum, finite_day, jsonb_text, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::question::{self, Asked, Documents, check_same};
use super::types::Model;
use crate::aggregate_state::AggregateState;
use crate::day::Day;
use crate::error::Result;
use crate::history::PurchaseHistory;
use crate::memory;
use crate::money_unit::MoneyUnit;
use crate::prediction::{
    FitOptions, MOST_OBSERVATIONS, ModelBacktest, Observation, Observed, Question, Store, Sums, backtest_model,
    count_within, fit_model, merge,
};

/// What a state knows besides its observations.
#[derive(Clone, Copy)]
#[repr(C)]
struct FitHeader {
    asked: question::Question,
    until: Until,
    /// What both come to; `None` where a day is NULL.
    question: Option<Question>,
    sums: Sums,
}

// SAFETY: plain parts.
unsafe impl PlainData for FitHeader {}
// SAFETY: as above; the number is its own.
unsafe impl buffer::Header for FitHeader {
    const KIND: AggregateState = AggregateState::Fit;
}
// SAFETY: integers, packed to 8 bytes; a buffer of this header holds nothing else.
unsafe impl PlainData for Observation {}

type Observations = Buffer<FitHeader>;

const FIRST_BYTES: usize = 8192;

impl Store for Observations {
    fn sums(&mut self) -> &mut Sums {
        &mut self.header().sums
    }

    fn observations(&mut self) -> &mut [Observation] {
        self.items_mut()
    }

    fn is_full(&self) -> bool {
        self.is_full_for::<Observation>()
    }

    fn grow(&mut self) {
        self.reserve(self.byte_len().max(size_of::<Observation>()));
    }

    fn push(&mut self, observation: Observation) {
        Buffer::push(self, observation);
    }

    fn truncate(&mut self, count: usize) {
        Buffer::truncate::<Observation>(self, count);
    }
}

/// The last day that an aggregate looks at.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    /// That of the fit.
    Fit,
    /// The end of a backtest, which is NULL or a day.
    Backtest(Option<Day>),
}

/// What a row asks for: the day of the fit with its options, and how far to look.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    asked: Asked<'a>,
    until: Until,
}

impl Wanted<'_> {
    /// The question that the core is asked; `None` where a day of it is NULL.
    ///
    /// # Safety
    /// The document must be the bytes of a `jsonb`.
    unsafe fn question(self) -> Result<Option<Question>> {
        let options = match self.asked.document() {
            None => FitOptions::default(),
            // SAFETY: the caller promises a jsonb.
            Some(bytes) => FitOptions::parse(unsafe { jsonb_text("options", new_varlena(bytes)) })?,
        };
        Ok(match (self.asked.as_of(), self.until) {
            (Some(as_of), Until::Fit) => Some(Question::fit(as_of, options)),
            (Some(fit_on), Until::Backtest(Some(until))) => Some(Question::backtest(fit_on, until, options)?),
            _ => None,
        })
    }

    /// Checks that all rows of a group ask the same.
    fn check_same(self, header: &FitHeader) -> Result<()> {
        let day = if self.until == Until::Fit { "as_of" } else { "fit_on" };
        self.asked.check_same(header.asked, day, "options")?;
        check_same("until", self.until, header.until)
    }
}

/// The state of a call: that of its first argument, or a new one.
///
/// # Safety
/// `fcinfo` must be a live call frame whose first argument is `internal`; the options must be a `jsonb`.
unsafe fn observations_or_new(fcinfo: pg_sys::FunctionCallInfo, wanted: Wanted) -> Observations {
    // SAFETY: nobody but an aggregate can pass an `internal` that is not NULL, and the aggregates here pass Observations.
    unsafe {
        if let Some(state) = argument(fcinfo, 0) {
            return Observations::from_datum(state);
        }
        let context = aggregate_context(fcinfo);
        let question = wanted.question().or_raise();
        let asked = call_site(fcinfo, |_| Documents::default()).keep((*fcinfo).flinfo, wanted.asked);
        let header = FitHeader { asked, until: wanted.until, question, sums: Sums::default() };
        Observations::new(context, header, FIRST_BYTES)
    }
}

/// Observes the customer of a row whose second argument is her history.
///
/// # Safety
/// As [`observations_or_new`].
unsafe fn collect(fcinfo: pg_sys::FunctionCallInfo, wanted: Wanted) -> Option<RawDatum> {
    // SAFETY: the caller promises the arguments.
    unsafe {
        let mut observations = observations_or_new(fcinfo, wanted);
        wanted.check_same(observations.header()).or_raise();
        if let (Some(question), Some(history)) = (observations.header().question, read::<PurchaseHistory>(fcinfo, 1)) {
            question.observe(&history, &mut observations).or_raise();
        }
        Some(RawDatum(observations.as_datum()))
    }
}

/// The document of an argument that some signatures leave out.
///
/// # Safety
/// `fcinfo` must be a live call frame.
unsafe fn last_argument(fcinfo: pg_sys::FunctionCallInfo, index: usize) -> Option<pg_sys::Datum> {
    // SAFETY: the argument is there where it is read.
    unsafe { if usize::from((*fcinfo).nargs as u16) > index { argument(fcinfo, index) } else { None } }
}

/// (state, history, as_of [, options]): observes a customer for a fit.
#[pg_extern(sql = false)]
fn collect_for_fit(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so.
    unsafe {
        let asked = Asked::new(argument(fcinfo, 2), last_argument(fcinfo, 3));
        collect(fcinfo, Wanted { asked, until: Until::Fit })
    }
}

/// (state, history, fit_on, until [, options]): observes a customer for a backtest.
#[pg_extern(sql = false)]
fn collect_for_backtest(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so.
    unsafe {
        let asked = Asked::new(argument(fcinfo, 2), last_argument(fcinfo, 4));
        collect(fcinfo, Wanted { asked, until: Until::Backtest(read::<Day>(fcinfo, 3)) })
    }
}

/// (state, state): adds what another worker observed.
#[pg_extern(sql = false)]
fn combine_fits(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so.
    unsafe {
        let Some(other) = argument(fcinfo, 1) else { return argument(fcinfo, 0).map(RawDatum) };
        let mut other = Observations::from_datum(other);
        let FitHeader { asked, until, sums, .. } = *other.header();
        let wanted = Wanted { asked: Asked::from(asked), until };
        let mut observations = observations_or_new(fcinfo, wanted);
        wanted.check_same(observations.header()).or_raise();
        merge(&mut observations, &sums, other.items().iter().copied()).or_raise();
        Some(RawDatum(observations.as_datum()))
    }
}

/// (state): the state as bytes, for another process of the same query.
#[pg_extern(sql = false)]
fn serialize_fit(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|state| {
            let mut observations = Observations::from_datum(state);
            count_within(&mut observations, MOST_OBSERVATIONS).or_raise();
            let FitHeader { asked, until, sums, .. } = *observations.header();
            let mut bytes = AggregateState::Fit.head().to_vec();
            asked.write(&mut bytes);
            let (is_backtest, until) = match until {
                Until::Fit => (0, None),
                Until::Backtest(until) => (1, until),
            };
            bytes.push(is_backtest);
            bytes.extend(until.map_or(i32::MIN, |day| day.0).to_ne_bytes());
            bytes.extend([sums.unit.scale, sums.unit.coarse]);
            bytes.extend({ sums.refunds }.to_ne_bytes());
            bytes.extend({ sums.new_customers }.to_ne_bytes());
            bytes.extend({ sums.new_customer_purchases }.to_ne_bytes());
            let observations = observations.items::<Observation>();
            memory::reserve(&mut bytes, observations.len() * Observation::BYTES);
            observations.iter().for_each(|observation| bytes.extend(observation.to_bytes()));
            RawDatum(new_varlena(&bytes))
        })
    }
}

/// (bytea, internal): the state that another process serialized.
#[pg_extern(sql = false)]
fn deserialize_fit(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so; the result lives until it is combined, like its memory.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|bytes| {
            let body = AggregateState::Fit.body(varlena_bytes(bytes)).or_raise();
            let (wanted, sums, observations) = read_state(body).ok_or_else(|| AggregateState::Fit.refused()).or_raise();
            let question = wanted.question().or_raise();
            let header = FitHeader { asked: wanted.asked.copied(), until: wanted.until, question, sums };
            let mut state = Observations::new(pg_sys::CurrentMemoryContext, header, FIRST_BYTES);
            state.reserve(observations.len() / Observation::BYTES * size_of::<Observation>());
            let whole = observations.as_chunks().0.iter();
            whole.for_each(|bytes| state.push(Observation::from_bytes(bytes)));
            RawDatum(state.as_datum())
        })
    }
}

/// What was asked, the sums, and the bytes of the observations.
fn read_state(bytes: &[u8]) -> Option<(Wanted<'_>, Sums, &[u8])> {
    let (asked, rest) = Asked::read(bytes)?;
    let (&is_backtest, rest) = rest.split_first()?;
    let (until, rest) = rest.split_first_chunk()?;
    let until = Some(i32::from_ne_bytes(*until)).filter(|&day| day != i32::MIN).map(|day| finite_day(day).or_raise());
    let until = if is_backtest == 1 { Until::Backtest(until) } else { Until::Fit };
    let ([scale, coarse], rest) = rest.split_first_chunk()?;
    let (refunds, rest) = rest.split_first_chunk()?;
    let (new_customers, rest) = rest.split_first_chunk()?;
    let (new_customer_purchases, observations) = rest.split_first_chunk()?;
    let sums = Sums {
        unit: MoneyUnit::checked(*scale, *coarse)?,
        refunds: i128::from_ne_bytes(*refunds),
        new_customers: u64::from_ne_bytes(*new_customers),
        new_customer_purchases: u64::from_ne_bytes(*new_customer_purchases),
    };
    let whole = observations.len().is_multiple_of(Observation::BYTES);
    whole.then_some((Wanted { asked, until }, sums, observations))
}

/// What was asked and observed; `None` without rows, and where a day is NULL.
///
/// # Safety
/// `fcinfo` must be a live call frame of a final function whose first argument is `internal`.
unsafe fn observed(fcinfo: pg_sys::FunctionCallInfo) -> Option<(Question, Observed)> {
    // SAFETY: as for observations_or_new.
    let mut state = unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|state| Observations::from_datum(state))?
    };
    let FitHeader { question, sums, .. } = *state.header();
    // Of a copy: a final function leaves the state as it is.
    Some((question?, Observed::new(sums, state.to_vec())))
}

/// (state): the fitted model.
#[pg_extern(sql = false)]
fn finish_fit(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so.
    let (question, observed) = unsafe { observed(fcinfo)? };
    Model::from(fit_model(&question, observed).or_raise()).into_datum().map(RawDatum)
}

/// (state): the row of a backtest.
#[pg_extern(sql = false)]
fn finish_backtest(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments and the columns so.
    unsafe {
        let (question, observed) = observed(fcinfo)?;
        let backtest = backtest_model(&question, observed).or_raise();
        Some(RawDatum(row(fcinfo, backtest_columns(&backtest))))
    }
}

/// The columns of `model_backtest`. Counts of customers and their purchases fit.
fn backtest_columns(backtest: &ModelBacktest) -> [Option<pg_sys::Datum>; 26] {
    let count = |count: u64| column(Some(count as i64));
    [
        column(Some(backtest.fit_on)),
        column(Some(backtest.until)),
        column(Some(backtest.days as i32)),
        column(Some(backtest.model.name())),
        column(Some(backtest.status.name())),
        column(backtest.alive.map(|alive| alive.name())),
        count(backtest.customers),
        count(backtest.actual_purchases),
        column(backtest.predicted_purchases),
        column(backtest.ratio),
        column(backtest.mae),
        column(backtest.rmse),
        column(backtest.correlation),
        column(backtest.gini),
        column(backtest.gini_best),
        column(backtest.top_decile_share),
        column(backtest.top_decile_best),
        count(backtest.actual_buyers),
        column(backtest.predicted_buyers),
        column(backtest.brier),
        column(Some(backtest.actual_value)),
        column(backtest.predicted_value),
        column(backtest.value_ratio),
        column(backtest.value_mae),
        count(backtest.new_customers),
        count(backtest.new_customer_purchases),
    ]
}
