//! The aggregate `forecast_purchases`: totals of a group of customers.

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::buffer::{self, Buffer, PlainData};
use super::call::{aggregate_context, argument, call_site, column, read, row};
use super::datum::{RawDatum, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::prediction::facts;
use super::question::{Asked, Documents, Question, check_same};
use super::types::Model;
use crate::aggregate_state::AggregateState;
use crate::day::Day;
use crate::history::PurchaseHistory;
use crate::prediction::{
    DiscountRate, ForecastQuestion, ForecastSums, Horizon, PurchaseForecast, PurchaseModel, merge_forecasts,
};

/// How far a forecast looks, and how it discounts; `None` where one of them is NULL.
type Ahead = Option<(Horizon, DiscountRate)>;

/// A state: what was asked, and the sums.
#[derive(Clone, Copy)]
#[repr(C)]
struct ForecastHeader {
    /// The day and the model.
    asked: Question,
    ahead: Ahead,
    sums: ForecastSums,
}

// SAFETY: plain parts.
unsafe impl PlainData for ForecastHeader {}
// SAFETY: as above; the number is its own.
unsafe impl buffer::Header for ForecastHeader {
    const KIND: AggregateState = AggregateState::Forecast;
}

type State = Buffer<ForecastHeader>;

/// A head has no items after it.
const STATE_BYTES: usize = (size_of::<ForecastHeader>() + 8).next_multiple_of(8);

/// What a row asks for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    asked: Asked<'a>,
    ahead: Ahead,
}

impl Wanted<'_> {
    fn check_same(self, header: &ForecastHeader) {
        self.asked.check_same(header.asked, "as_of", "model").or_raise();
        check_same("days or annual_discount_rate", self.ahead, header.ahead).or_raise();
    }
}

impl ForecastHeader {
    /// The day and the model asked for; `None` where something is NULL.
    fn question(&self) -> Option<(Day, Model, Horizon, DiscountRate)> {
        let (ahead, rate) = self.ahead?;
        let model = self.asked.document()?;
        Some((self.asked.as_of()?, Model::from_bytes(model).or_raise(), ahead, rate))
    }
}

/// The state of a call: that of its first argument, or a new one.
///
/// # Safety
/// `fcinfo` must be a live call frame whose first argument is `internal`.
unsafe fn state_or_new(fcinfo: pg_sys::FunctionCallInfo, wanted: Wanted) -> State {
    // SAFETY: nobody but an aggregate can pass an `internal` that is not NULL, and the aggregate here passes a State.
    unsafe {
        if let Some(state) = argument(fcinfo, 0) {
            return State::from_datum(state);
        }
        let context = aggregate_context(fcinfo);
        let asked = call_site(fcinfo, |_| Documents::default()).keep((*fcinfo).flinfo, wanted.asked);
        State::new(context, ForecastHeader { asked, ahead: wanted.ahead, sums: ForecastSums::default() }, STATE_BYTES)
    }
}

/// (state, history, as_of, days, model [, annual_discount_rate]): adds a customer.
#[pg_extern(sql = false)]
fn collect_forecast(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so.
    unsafe {
        let rate = if (*fcinfo).nargs > 5 { read::<f64>(fcinfo, 5) } else { Some(0.0) };
        let days = read::<i32>(fcinfo, 3).map(|days| Horizon::new("days", days.into()).or_raise());
        let ahead = days.zip(rate.map(|rate| DiscountRate::new(rate).or_raise()));
        let wanted = Wanted { asked: Asked::new(argument(fcinfo, 2), argument(fcinfo, 4)), ahead };
        let mut state = state_or_new(fcinfo, wanted);
        wanted.check_same(state.header());
        let question = state.header().question();
        if let (Some((as_of, model, ahead, rate)), Some(history)) = (question, read::<PurchaseHistory>(fcinfo, 1)) {
            let model: &PurchaseModel = &model;
            if let Some((timing, spent)) = facts(&history, as_of, model) {
                let question = ForecastQuestion { model, ahead, rate };
                question.add(&timing, &spent, &mut state.header().sums).or_raise();
            }
        }
        Some(RawDatum(state.as_datum()))
    }
}

/// (state, state): adds what another worker added up.
#[pg_extern(sql = false)]
fn combine_forecasts(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so.
    unsafe {
        let Some(other) = argument(fcinfo, 1) else { return argument(fcinfo, 0).map(RawDatum) };
        let ForecastHeader { asked, ahead, sums } = *State::from_datum(other).header();
        let wanted = Wanted { asked: Asked::from(asked), ahead };
        let mut state = state_or_new(fcinfo, wanted);
        wanted.check_same(state.header());
        merge_forecasts(&mut state.header().sums, &sums).or_raise();
        Some(RawDatum(state.as_datum()))
    }
}

/// (state): the state as bytes, for another process of the same query.
#[pg_extern(sql = false)]
fn serialize_forecast(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|state| {
            let ForecastHeader { asked, ahead, sums } = *State::from_datum(state).header();
            let mut bytes = AggregateState::Forecast.head().to_vec();
            asked.write(&mut bytes);
            let (days, rate) = ahead.map_or((0, 0.0), |(days, rate)| (days.days() as u32, rate.annual()));
            bytes.extend(days.to_ne_bytes());
            bytes.extend(rate.to_ne_bytes());
            bytes.extend(sums.to_bytes());
            RawDatum(new_varlena(&bytes))
        })
    }
}

/// (bytea, internal): the state that another process serialized.
#[pg_extern(sql = false)]
fn deserialize_forecast(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments so; the result lives until it is combined, like its memory.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|bytes| {
            let body = AggregateState::Forecast.body(varlena_bytes(bytes)).or_raise();
            let (wanted, sums) = read_state(body).ok_or_else(|| AggregateState::Forecast.refused()).or_raise();
            let header = ForecastHeader { asked: wanted.asked.copied(), ahead: wanted.ahead, sums };
            RawDatum(State::new(pg_sys::CurrentMemoryContext, header, STATE_BYTES).as_datum())
        })
    }
}

fn read_state(bytes: &[u8]) -> Option<(Wanted<'_>, ForecastSums)> {
    let (asked, rest) = Asked::read(bytes)?;
    let (days, rest) = rest.split_first_chunk()?;
    let (rate, rest) = rest.split_first_chunk()?;
    let ahead = match u32::from_ne_bytes(*days) {
        0 => None,
        days => Some((Horizon::new("days", days.into()).ok()?, DiscountRate::new(f64::from_ne_bytes(*rate)).ok()?)),
    };
    Some((Wanted { asked, ahead }, ForecastSums::from_bytes(rest.try_into().ok()?)))
}

/// (state): the row.
#[pg_extern(sql = false)]
fn finish_forecast(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments and the columns so.
    unsafe {
        aggregate_context(fcinfo);
        let header = *State::from_datum(argument(fcinfo, 0)?).header();
        let (_, model, ahead, rate) = header.question()?;
        let question = ForecastQuestion { model: &model, ahead, rate };
        Some(RawDatum(row(fcinfo, columns(&question.finish(&header.sums).or_raise()))))
    }
}

/// The columns of `purchase_forecast`. A count of customers fits.
fn columns(forecast: &PurchaseForecast) -> [Option<pg_sys::Datum>; 8] {
    let (purchases_low, purchases_high) = forecast.purchases.unzip();
    let (value_low, value_high) = forecast.value.unzip();
    [
        column(Some(forecast.customers as i64)),
        column(forecast.expected_buyers),
        column(forecast.expected_purchases),
        column(purchases_low),
        column(purchases_high),
        column(forecast.expected_value),
        column(value_low),
        column(value_high),
    ]
}
