//! The aggregates over order rows and stored histories: one state, one way of collecting, many questions at the end.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

use pgrx::prelude::*;
use pgrx::{IntoDatum, PgMemoryContexts, pg_sys};

use super::buffer::{Buffer, Plain};
use super::datum::{RawDatum, finite_day, new_varlena, varlena_bytes};
use super::error::{OrRaise, raise};
use super::numeric;
use super::types::{SegmentPolicy, policy_of};
use super::zone::{DAY_MICROS, local_day};
use crate::customer::Customer;
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{MAX_DAYS, PackedOrder, PurchaseDay, PurchaseHistory, merge_days, rescale_days};

/// Argument `index` of a call; `None` for NULL.
///
/// # Safety
/// `fcinfo` must be a live call frame with more than `index` arguments.
pub unsafe fn argument(fcinfo: pg_sys::FunctionCallInfo, index: usize) -> Option<pg_sys::Datum> {
    // SAFETY: the caller promises that the argument is there.
    let argument = unsafe { *(*fcinfo).args.as_ptr().add(index) };
    (!argument.isnull).then_some(argument.value)
}

/// The memory context of the aggregate that makes this call.
///
/// # Safety
/// `fcinfo` must be a live call frame.
pub unsafe fn aggregate_context(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::MemoryContext {
    let mut context = std::ptr::null_mut();
    // SAFETY: the caller promises a live call frame.
    if unsafe { pg_sys::AggCheckCallContext(fcinfo, &mut context) } == 0 {
        raise(
            Error::new(
                ErrorKind::InvalidParameter,
                "this function is a part of an aggregate and cannot be called by itself",
            )
            .hint("Call the aggregate, for example purchase_history(ordered_on, amount)."),
        );
    }
    context
}

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
struct Question {
    /// The day asked for as a `date`, or [`NOT_ASKED`]; rows after it are left out.
    as_of: i32,
    /// Decimals of the amounts.
    scale: u8,
    form: Form,
    /// The policy asked for, a varlena that lives as long as the query; `None` for NULL.
    policy: Option<NonNull<pg_sys::varlena>>,
}

/// `-infinity`, which no question can be about.
const NOT_ASKED: i32 = i32::MIN;

impl Question {
    const NONE: Question = Question { as_of: NOT_ASKED, scale: 0, form: Form::Orders, policy: None };

    fn policy_bytes(&self) -> Option<&[u8]> {
        // SAFETY: the pointer is to a varlena that lives as long as the query.
        self.policy.map(|policy| unsafe { varlena_bytes(pg_sys::Datum::from(policy.as_ptr())) })
    }
}

// SAFETY: the pointer in it is not owned; PurchaseDay is packed to 8 bytes.
unsafe impl Plain for Question {}
// SAFETY: an integer.
unsafe impl Plain for PackedOrder {}
// SAFETY: integers, packed to 8 bytes.
unsafe impl Plain for PurchaseDay {}

/// The rows collected for one group.
type Rows = Buffer<Question>;

/// The first allocation of a group: five orders. PostgreSQL rounds up to powers of two.
const FIRST_BYTES: usize = 64;

/// Up to this many bytes rows are kept as orders; more are merged by day, so that a group is never larger than its days.
const MAX_ORDER_BYTES: usize = 8192;

impl Rows {
    /// Adds an order row.
    fn add_row(&mut self, day: Day, amount: Option<Decimal>, discounted: Option<bool>) -> Result<()> {
        let amount = amount.map(|amount| self.at_common_scale(amount)).transpose()?;
        if self.header().form == Form::Orders {
            match PackedOrder::new(day, amount.unwrap_or(0), discounted) {
                Some(order) if !self.is_full_for::<PackedOrder>() || self.byte_len() < MAX_ORDER_BYTES => {
                    self.push(order);
                    return Ok(());
                }
                _ => self.turn_into_days()?,
            }
        }
        self.add_day(PurchaseDay::of_row(day, amount, discounted))
    }

    /// Adds an entry whose amount has the common scale already, to a state in the form of days.
    fn add_day(&mut self, entry: PurchaseDay) -> Result<()> {
        if self.is_full_for::<PurchaseDay>() {
            let before = self.items::<PurchaseDay>().len();
            let kept = merge_days(self.items_mut())?;
            self.truncate::<PurchaseDay>(kept);
            if kept > MAX_DAYS {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("a purchase history holds at most {MAX_DAYS} days"),
                )
                .hint("Is a GROUP BY customer missing?"));
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
    fn at_common_scale(&mut self, amount: Decimal) -> Result<i128> {
        if amount.scale() > self.header().scale {
            self.rescale(amount.scale())?;
        }
        amount.mantissa_at(self.header().scale)
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
            Form::Days => self.items::<PurchaseDay>().to_vec(),
            Form::Orders => {
                let mut orders = self.items::<PackedOrder>().to_vec();
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

/// What a collecting function finds out once a query.
struct CallSite {
    day: DayType,
    amount: AmountType,
    /// The policies met so far, the last one first, as varlenas in the same memory as this.
    policies: Vec<NonNull<pg_sys::varlena>>,
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
    /// The call site of this call, made at the first one.
    ///
    /// # Safety
    /// `fcinfo` must be a live call frame of a collecting function.
    unsafe fn of<'a>(fcinfo: pg_sys::FunctionCallInfo) -> &'a mut CallSite {
        // SAFETY: fn_extra is NULL or what this function put there; it lives as long as flinfo.
        unsafe {
            let flinfo = (*fcinfo).flinfo;
            if (*flinfo).fn_extra.is_null() {
                let site = CallSite::new(flinfo);
                (*flinfo).fn_extra = PgMemoryContexts::For((*flinfo).fn_mcxt).leak_and_drop_on_delete(site).cast();
            }
            &mut *(*flinfo).fn_extra.cast()
        }
    }

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
            policies: Vec::new(),
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

    /// A policy as a varlena that lives as long as the query.
    ///
    /// # Safety
    /// `flinfo` must be the one this call site belongs to.
    unsafe fn keep_policy(&mut self, flinfo: *mut pg_sys::FmgrInfo, bytes: &[u8]) -> NonNull<pg_sys::varlena> {
        // SAFETY: the pointers are to varlenas in fn_mcxt.
        let bytes_of =
            |policy: &NonNull<pg_sys::varlena>| unsafe { varlena_bytes(pg_sys::Datum::from(policy.as_ptr())) };
        match self.policies.iter().position(|policy| bytes_of(policy) == bytes) {
            Some(position) => self.policies.swap(0, position),
            None => {
                // SAFETY: fn_mcxt is live; new_varlena returns a pointer that is not NULL.
                let copy = unsafe {
                    PgMemoryContexts::For((*flinfo).fn_mcxt)
                        .switch_to(|_| NonNull::new_unchecked(new_varlena(bytes).cast_mut_ptr::<pg_sys::varlena>()))
                };
                self.policies.insert(0, copy);
            }
        }
        self.policies[0]
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
            None => Rows::new(aggregate_context(fcinfo), question(), FIRST_BYTES),
        }
    }
}

/// (state, day, amount [, discounted]): collects an order row.
#[pg_extern(sql = false)]
fn collect_order(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        let site = CallSite::of(fcinfo);
        let mut rows = rows_or_new(fcinfo, || Question::NONE);
        if let Some(day) = argument(fcinfo, 1) {
            let amount = argument(fcinfo, 2).map(|amount| site.amount(amount).or_raise());
            let discounted = if (*fcinfo).nargs > 3 { argument(fcinfo, 3).map(|flag| flag.value() != 0) } else { None };
            rows.add_row(site.day(day).or_raise(), amount, discounted).or_raise();
        }
        Some(RawDatum(rows.as_datum()))
    }
}

/// (state, day, amount, as_of [, policy]): collects an order row up to the day asked for.
#[pg_extern(sql = false)]
fn collect_order_until(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        let site = CallSite::of(fcinfo);
        let as_of = argument(fcinfo, 3).map_or(NOT_ASKED, |day| finite_day(day.value() as i32).or_raise().0);
        let policy = if (*fcinfo).nargs > 4 { argument(fcinfo, 4).map(|policy| varlena_bytes(policy)) } else { None };
        let mut rows = rows_or_new(fcinfo, || Question {
            as_of,
            policy: policy.map(|bytes| site.keep_policy((*fcinfo).flinfo, bytes)),
            ..Question::NONE
        });
        check_same_question(*rows.header(), as_of, policy).or_raise();
        if let Some(day) = argument(fcinfo, 1) {
            let day = site.day(day).or_raise();
            let amount = argument(fcinfo, 2).map(|amount| site.amount(amount).or_raise());
            if day.0 <= as_of {
                rows.add_row(day, amount, None).or_raise();
            }
        }
        Some(RawDatum(rows.as_datum()))
    }
}

fn check_same_question(question: Question, as_of: i32, policy: Option<&[u8]>) -> Result<()> {
    let varies = |what: &str| {
        Err(Error::new(ErrorKind::InvalidParameter, format!("{what} varies within a group"))
            .hint(format!("Give one {what} for all rows of a customer, a constant or a column of GROUP BY.")))
    };
    if question.as_of != as_of {
        varies("as_of")
    } else if question.policy_bytes() != policy {
        varies("policy")
    } else {
        Ok(())
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
                let question = *other.header();
                let mut rows = rows_or_new(fcinfo, || {
                    let site = CallSite::of(fcinfo);
                    let policy = question.policy_bytes().map(|bytes| site.keep_policy((*fcinfo).flinfo, bytes));
                    Question { as_of: question.as_of, policy, ..Question::NONE }
                });
                check_same_question(*rows.header(), question.as_of, question.policy_bytes()).or_raise();
                rows.add_history(&other.history().or_raise()).or_raise();
                Some(RawDatum(rows.as_datum()))
            }
        }
    }
}

/// (state): the state as bytes, for another process of the same query: the day asked for, the length of the policy (plus
/// one; 0 for none), the policy, the history.
#[pg_extern(sql = false)]
fn serialize_orders(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: aggregates.sql declares the arguments so.
    unsafe {
        aggregate_context(fcinfo);
        argument(fcinfo, 0).map(|state| {
            let mut rows = Rows::from_datum(state);
            let question = *rows.header();
            let mut bytes = question.as_of.to_ne_bytes().to_vec();
            let policy = question.policy_bytes();
            bytes.extend(policy.map_or(0, |policy| policy.len() as u32 + 1).to_ne_bytes());
            bytes.extend(policy.unwrap_or_default());
            bytes.extend(rows.history().or_raise().to_bytes());
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
            let bytes = varlena_bytes(bytes);
            let (as_of, policy, history) = split_serialized(bytes).unwrap_or_else(|| {
                raise(Error::new(ErrorKind::InvalidBinary, "not the serialized state of an aggregate"));
            });
            let policy =
                policy.map(|bytes| NonNull::new_unchecked(new_varlena(bytes).cast_mut_ptr::<pg_sys::varlena>()));
            let question = Question { as_of, policy, ..Question::NONE };
            CHANGES.set(CHANGES.get() + 1);
            let mut rows = Rows::new(pg_sys::CurrentMemoryContext, question, FIRST_BYTES);
            rows.add_history(&PurchaseHistory::from_bytes(history).or_raise()).or_raise();
            RawDatum(rows.as_datum())
        })
    }
}

/// The day asked for, the policy and the history of a serialized state.
type Serialized<'a> = (i32, Option<&'a [u8]>, &'a [u8]);

fn split_serialized(bytes: &[u8]) -> Option<Serialized<'_>> {
    let (as_of, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let as_of = i32::from_ne_bytes(*as_of);
    match u32::from_ne_bytes(*length).checked_sub(1) {
        None => Some((as_of, None, rest)),
        Some(length) => {
            let (policy, rest) = rest.split_at_checked(length as usize)?;
            Some((as_of, Some(policy), rest))
        }
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

/// The history of a state, made once for all final functions that ask it in a row.
fn shared_history(mut rows: Rows) -> Result<Rc<PurchaseHistory>> {
    let changes = CHANGES.get();
    let state = rows.as_datum();
    ANSWERED.with_borrow_mut(|answered| match answered {
        Some((at, of, history)) if (*at, *of) == (changes, state) => Ok(history.clone()),
        _ => {
            let history = Rc::new(rows.history()?);
            *answered = Some((changes, state, history.clone()));
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
    let question = *rows.header();
    if question.as_of == NOT_ASKED {
        return None;
    }
    let policy = question.policy_bytes().map(|bytes| SegmentPolicy::from_bytes(bytes).or_raise());
    let history = shared_history(rows).or_raise();
    let customer = Customer::new(Some(&history), Day(question.as_of), policy_of(&policy), None, None);
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
