//! The aggregates over order rows and stored histories: one state, one way of collecting, many questions at the end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

use super::buffer::{self, Buffer, PlainData};
use super::call::{aggregate_context, argument, call_site};
use super::datum::{RawDatum, finite_day, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::numeric;
use super::question::{Asked, Documents, Question};
use super::types::policy_of;
use super::zone::{DAY_MICROS, local_day};
use crate::aggregate_state::AggregateState;
use crate::customer::Customer;
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::Result;
use crate::history::{MAX_DAYS, PackedOrder, PurchaseDay, PurchaseHistory, merge_days, rescale_days, too_many_days};
use crate::memory;

/// How the items of a state are kept.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// As [`PackedOrder`]s, in order of arrival.
    Orders,
    /// As [`PurchaseDay`]s, several of one day possible.
    Days,
}

/// What a state knows besides its rows.
#[derive(Clone, Copy)]
#[repr(C)]
struct OrdersHeader {
    question: Question,
    /// Decimals of the amounts.
    scale: u8,
    form: Form,
}

// SAFETY: plain parts; PurchaseDay is packed to 8 bytes.
unsafe impl PlainData for OrdersHeader {}
// SAFETY: as above; the number is its own.
unsafe impl buffer::Header for OrdersHeader {
    const KIND: AggregateState = AggregateState::Orders;
}
// SAFETY: an integer.
unsafe impl PlainData for PackedOrder {}
// SAFETY: integers, packed to 8 bytes.
unsafe impl PlainData for PurchaseDay {}

/// The rows collected for one group.
type Rows = Buffer<OrdersHeader>;

impl OrdersHeader {
    fn new(question: Question) -> Self {
        OrdersHeader { question, scale: 0, form: Form::Orders }
    }
}

/// The first allocation of a group: five orders. PostgreSQL rounds up to powers of two.
const FIRST_BYTES: usize = 64;

/// Up to this many bytes rows are kept as orders; more are merged by day, so that a group is never larger than its days.
const MAX_ORDER_BYTES: usize = 8192;

impl Rows {
    /// Adds an order row.
    fn add_order(&mut self, day: Day, amount: Option<Decimal>, discounted: Option<bool>) -> Result<()> {
        let amount = self.at_common_scale(amount)?;
        self.add_row(PurchaseDay::of_row(day, amount, discounted))
    }

    /// Adds a row that is no order.
    fn add_correction(&mut self, day: Day, amount: Option<Decimal>) -> Result<()> {
        let amount = self.at_common_scale(amount)?;
        self.add_row(PurchaseDay::of_correction(day, amount))
    }

    /// Adds the entry of one row, whose amount has the common scale already.
    fn add_row(&mut self, row: PurchaseDay) -> Result<()> {
        if self.header().form == Form::Orders {
            match PackedOrder::new(row) {
                Some(order) if !self.is_full_for::<PackedOrder>() || self.byte_len() < MAX_ORDER_BYTES => {
                    self.push(order);
                    return Ok(());
                }
                _ => self.turn_into_days()?,
            }
        }
        self.add_day(row)
    }

    /// Adds an entry whose amount has the common scale already, to a state in the form of days.
    fn add_day(&mut self, entry: PurchaseDay) -> Result<()> {
        if self.is_full_for::<PurchaseDay>() {
            let before = self.items::<PurchaseDay>().len();
            let kept = merge_days(self.items_mut())?;
            self.truncate::<PurchaseDay>(kept);
            if kept > MAX_DAYS {
                return Err(too_many_days());
            }
            // A merge must have freed half, or the next one would come too soon.
            if kept > before / 2 {
                self.reserve(kept.max(1) * size_of::<PurchaseDay>());
            }
        }
        self.push(entry);
        Ok(())
    }

    /// Adds all entries of a history.
    fn add_history(&mut self, history: &PurchaseHistory) -> Result<()> {
        if self.header().form == Form::Orders {
            self.turn_into_days()?;
        }
        if history.scale() > self.header().scale {
            self.rescale(history.scale())?;
        }
        let scale = self.header().scale;
        for &entry in history.days() {
            let amount = Decimal::new(entry.amount, history.scale()).mantissa_at(scale)?;
            self.add_day(PurchaseDay { amount, ..entry })?;
        }
        Ok(())
    }

    /// The amount in units of the last decimal that all amounts of the group have, after adding decimals to one side.
    fn at_common_scale(&mut self, amount: Option<Decimal>) -> Result<Option<i128>> {
        let Some(amount) = amount else { return Ok(None) };
        if amount.scale() > self.header().scale {
            self.rescale(amount.scale())?;
        }
        amount.mantissa_at(self.header().scale).map(Some)
    }

    fn rescale(&mut self, scale: u8) -> Result<()> {
        let from = self.header().scale;
        if self.header().form == Form::Orders && !self.rescale_orders(from, scale) {
            self.turn_into_days()?;
        }
        if self.header().form == Form::Days {
            rescale_days(self.items_mut(), from, scale)?;
        }
        self.header().scale = scale;
        Ok(())
    }

    /// Rescales all orders, or none where one does not fit.
    fn rescale_orders(&mut self, from: u8, to: u8) -> bool {
        let rescaled = |order: &PackedOrder| order.rescaled(from, to);
        let Some(orders) = self.items::<PackedOrder>().iter().map(rescaled).collect::<Option<Vec<_>>>() else {
            return false;
        };
        self.items_mut::<PackedOrder>().copy_from_slice(&orders);
        true
    }

    fn turn_into_days(&mut self) -> Result<()> {
        let days = self.days()?;
        self.clear();
        self.header().form = Form::Days;
        self.extend(&days);
        Ok(())
    }

    /// All rows by day, in order.
    fn days(&mut self) -> Result<Vec<PurchaseDay>> {
        let mut days = match self.header().form {
            Form::Days => self.to_vec(),
            Form::Orders => {
                let mut orders: Vec<PackedOrder> = self.to_vec();
                orders.sort_unstable();
                orders.into_iter().map(PackedOrder::unpack).collect()
            }
        };
        let kept = merge_days(&mut days)?;
        days.truncate(kept);
        Ok(days)
    }

    fn history(&mut self) -> Result<PurchaseHistory> {
        PurchaseHistory::new(self.header().scale, self.days()?)
    }
}

/// The orders of one customer that are collected outside of an aggregate.
pub struct CollectedOrders(Rows);

impl CollectedOrders {
    /// None yet.
    ///
    /// # Safety
    /// The context must live as long.
    pub unsafe fn new(context: pg_sys::MemoryContext) -> Self {
        // SAFETY: the caller promises the context.
        CollectedOrders(unsafe { Rows::new(context, OrdersHeader::new(Question::NONE), FIRST_BYTES) })
    }

    /// Adds the entry of one row, whose amount has so many decimals.
    pub fn add(&mut self, row: PurchaseDay, scale: u8) -> Result<()> {
        let amount = self.0.at_common_scale(Some(Decimal::new(row.amount, scale)))?;
        self.0.add_row(PurchaseDay { amount: amount.unwrap_or_default(), ..row })
    }

    /// The history of what was added.
    pub fn history(&mut self) -> Result<PurchaseHistory> {
        self.0.history()
    }
}

/// What a collecting function finds out once a query.
struct CallSite {
    day: DayType,
    amount: AmountType,
    policies: Documents,
}

#[derive(Clone, Copy)]
enum DayType {
    Date,
    Timestamp,
    TimestampTz,
}

#[derive(Clone, Copy)]
enum AmountType {
    Numeric,
    Float,
    Bigint,
}

impl CallSite {
    /// Reads the declared argument types of the function.
    ///
    /// # Safety
    /// `flinfo` must be live.
    unsafe fn new(flinfo: *mut pg_sys::FmgrInfo) -> Self {
        // SAFETY: get_func_signature fills in an array of `count` types.
        let types = unsafe {
            let (mut types, mut count) = (std::ptr::null_mut(), 0);
            pg_sys::get_func_signature((*flinfo).fn_oid, &mut types, &mut count);
            std::slice::from_raw_parts(types, count as usize)
        };
        let type_at = |index: usize| types.get(index).copied().unwrap_or(pg_sys::InvalidOid);
        CallSite {
            day: match type_at(1) {
                pg_sys::TIMESTAMPOID => DayType::Timestamp,
                pg_sys::TIMESTAMPTZOID => DayType::TimestampTz,
                _ => DayType::Date,
            },
            amount: match type_at(2) {
                pg_sys::FLOAT8OID => AmountType::Float,
                pg_sys::INT8OID => AmountType::Bigint,
                _ => AmountType::Numeric,
            },
            policies: Documents::default(),
        }
    }

    fn day(&self, datum: pg_sys::Datum) -> Result<Day> {
        let day = match self.day {
            DayType::Date => finite_day(datum.value() as i32)?,
            DayType::Timestamp => Day(finite_micros(datum)?.div_euclid(DAY_MICROS) as i32),
            DayType::TimestampTz => local_day(finite_micros(datum)?),
        };
        day.checked()
    }

    /// # Safety
    /// `datum` must be of the declared type of the amount.
    unsafe fn amount(&self, datum: pg_sys::Datum) -> Result<Decimal> {
        match self.amount {
            // SAFETY: a numeric is a varlena.
            AmountType::Numeric => numeric::decode(unsafe { varlena_bytes(datum) }),
            AmountType::Float => numeric::from_float(f64::from_bits(datum.value() as u64)),
            AmountType::Bigint => Ok(Decimal::from(datum.value() as i64)),
        }
    }
}

fn finite_micros(datum: pg_sys::Datum) -> Result<i64> {
    match datum.value() as i64 {
        i64::MIN => finite_day(i32::MIN).map(|_| 0),
        i64::MAX => finite_day(i32::MAX).map(|_| 0),
        micros => Ok(micros),
    }
}

/// The state of a call: that of its first argument, or a new one.
///
/// # Safety
/// `fcinfo` must be a live call frame whose first argument is `internal`.
unsafe fn rows_or_new(fcinfo: pg_sys::FunctionCallInfo, question: impl FnOnce() -> Question) -> Rows {
    CHANGES.set(CHANGES.get() + 1);
    // SAFETY: nobody but an aggregate can pass an `internal` that is not NULL, and the aggregates here pass Rows.
    unsafe {
        match argument(fcinfo, 0) {
            Some(state) => Rows::from_datum(state),
            None => Rows::new(aggregate_context(fcinfo), OrdersHeader::new(question()), FIRST_BYTES),
        }
    }
}

/// (state, day, amount [, discounted [, is_purchase]]): collects an order row, or one that only corrects an amount.
#[pg_extern(sql = false)]
fn collect_order(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        let site = call_site(fcinfo, |flinfo| CallSite::new(flinfo));
        let mut rows = rows_or_new(fcinfo, || Question::NONE);
        if let Some(day) = argument(fcinfo, 1) {
            let amount = argument(fcinfo, 2).map(|amount| site.amount(amount).or_raise());
            let day = site.day(day).or_raise();
            let flag = |place: usize| {
                let given = if (*fcinfo).nargs as usize > place { argument(fcinfo, place) } else { None };
                given.map(|flag| flag.value() != 0)
            };
            match flag(4) {
                Some(false) => rows.add_correction(day, amount),
                _ => rows.add_order(day, amount, flag(3)),
            }
            .or_raise();
        }
        Some(RawDatum(rows.as_datum()))
    }
}

/// (state, day, amount, as_of [, policy]): collects an order row up to the day asked for.
#[pg_extern(sql = false)]
fn collect_order_until(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        let site = call_site(fcinfo, |flinfo| CallSite::new(flinfo));
        let policy = if (*fcinfo).nargs > 4 { argument(fcinfo, 4) } else { None };
        let asked = Asked::new(argument(fcinfo, 3), policy);
        let mut rows = rows_or_new(fcinfo, || site.policies.keep((*fcinfo).flinfo, asked));
        asked.check_same(rows.header().question, "as_of", "policy").or_raise();
        if let Some(day) = argument(fcinfo, 1) {
            let day = site.day(day).or_raise();
            let amount = argument(fcinfo, 2).map(|amount| site.amount(amount).or_raise());
            if asked.sees(day) {
                rows.add_order(day, amount, None).or_raise();
            }
        }
        Some(RawDatum(rows.as_datum()))
    }
}

/// (state, purchase_history): collects a stored history.
#[pg_extern(sql = false)]
fn collect_history(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        match argument(fcinfo, 1) {
            // NULL among histories is no history: without any other the result stays NULL.
            None => argument(fcinfo, 0).map(RawDatum),
            Some(history) => {
                let mut rows = rows_or_new(fcinfo, || Question::NONE);
                rows.add_history(&PurchaseHistory::from_bytes(varlena_bytes(history)).or_raise()).or_raise();
                Some(RawDatum(rows.as_datum()))
            }
        }
    }
}

/// (state, state): adds what another worker collected.
#[pg_extern(sql = false)]
fn combine_orders(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        match argument(fcinfo, 1) {
            None => argument(fcinfo, 0).map(RawDatum),
            Some(other) => {
                let mut other = Rows::from_datum(other);
                let asked = Asked::from(other.header().question);
                let mut rows =
                    rows_or_new(fcinfo, || call_site(fcinfo, |_| Documents::default()).keep((*fcinfo).flinfo, asked));
                asked.check_same(rows.header().question, "as_of", "policy").or_raise();
                rows.add_history(&other.history().or_raise()).or_raise();
                Some(RawDatum(rows.as_datum()))
            }
        }
    }
}

/// (state): the state as bytes, for another process of the same query: the question, the history.
#[pg_extern(sql = false)]
fn serialize_orders(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|state| {
            let mut rows = Rows::from_datum(state);
            let mut bytes = AggregateState::Orders.head().to_vec();
            rows.header().question.write(&mut bytes);
            let history = rows.history().or_raise().to_bytes();
            memory::reserve(&mut bytes, history.len());
            bytes.extend(history);
            RawDatum(new_varlena(&bytes))
        })
    }
}

/// (bytea, internal): the state that another process serialized.
#[pg_extern(sql = false)]
fn deserialize_orders(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so; the result lives until it is combined, like its memory.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|bytes| {
            let body = AggregateState::Orders.body(varlena_bytes(bytes)).or_raise();
            let (asked, history) = Asked::read(body).ok_or_else(|| AggregateState::Orders.refused()).or_raise();
            CHANGES.set(CHANGES.get() + 1);
            let mut rows = Rows::new(pg_sys::CurrentMemoryContext, OrdersHeader::new(asked.copied()), FIRST_BYTES);
            rows.add_history(&PurchaseHistory::from_bytes(history).or_raise()).or_raise();
            RawDatum(rows.as_datum())
        })
    }
}

/// The collected rows of a final function's call.
///
/// # Safety
/// `fcinfo` must be a live call frame whose first argument is `internal`.
unsafe fn collected(fcinfo: pg_sys::FunctionCallInfo) -> Option<Rows> {
    // SAFETY: as in rows_or_new.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|state| Rows::from_datum(state))
    }
}

/// (state): the history itself.
#[pg_extern(sql = false)]
fn finish_history(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe { collected(fcinfo) }.and_then(|mut rows| rows.history().or_raise().into_datum()).map(RawDatum)
}

thread_local! {
    /// Counts the changes of any state in this session, so that [`ANSWERED`] is known to be of the state as it is.
    static CHANGES: Cell<u64> = const { Cell::new(0) };

    /// The history that a final function asked last, and of which state after how many changes: the aggregates that share
    /// one pass ask the same one in turn.
    static ANSWERED: RefCell<Option<(u64, pg_sys::Datum, Rc<PurchaseHistory>)>> = const { RefCell::new(None) };
}

/// Histories with more days are made anew for each final function.
const KEPT_DAYS: usize = 10_000;

/// The history of a state, made once for all final functions that ask it in a row.
fn shared_history(mut rows: Rows) -> Result<Rc<PurchaseHistory>> {
    let changes = CHANGES.get();
    let state = rows.as_datum();
    ANSWERED.with_borrow_mut(|answered| match answered {
        Some((at, of, history)) if (*at, *of) == (changes, state) => Ok(history.clone()),
        _ => {
            let history = Rc::new(rows.history()?);
            // A large one would stay in memory that work_mem does not count.
            *answered = (history.days().len() <= KEPT_DAYS).then(|| (changes, state, history.clone()));
            Ok(history)
        }
    })
}

/// Answers the question that the rows were collected for.
///
/// # Safety
/// `fcinfo` must be a live call frame of a final function.
unsafe fn answer<T: IntoDatum>(
    fcinfo: pg_sys::FunctionCallInfo,
    ask: impl FnOnce(&Customer) -> Option<T>,
) -> Option<RawDatum> {
    // SAFETY: the caller promises a final function's call.
    let mut rows = unsafe { collected(fcinfo) }?;
    let question = rows.header().question;
    let as_of = question.as_of()?;
    let policy = question.policy();
    let history = shared_history(rows).or_raise();
    let customer = Customer::new(Some(&history), as_of, policy_of(&policy), None, None);
    ask(&customer)?.into_datum().map(RawDatum)
}

#[pg_extern(sql = false)]
fn finish_rfm_score(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares it as a final function.
    unsafe { answer(fcinfo, |customer| customer.scores().map(|scores| scores.code())) }
}

#[pg_extern(sql = false)]
fn finish_lifecycle_state(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: as above.
    unsafe { answer(fcinfo, |customer| Some(customer.lifecycle_state().name())) }
}

#[pg_extern(sql = false)]
fn finish_vip_score(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: as above.
    unsafe { answer(fcinfo, |customer| customer.vip_score().or_raise()) }
}

#[pg_extern(sql = false)]
fn finish_next_action(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: as above.
    unsafe { answer(fcinfo, |customer| Some(customer.next_step().or_raise().action().to_owned())) }
}

extension_sql_file!("aggregates.sql", name = "aggregates", requires = ["types"]);
