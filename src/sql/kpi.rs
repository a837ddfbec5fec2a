//! What KPIs are made of: questions about one history, and the aggregate that counts the answers.

use pgrx::prelude::*;
use pgrx::{FromDatum, pg_sys};

use super::call::{argument, column, row};
use super::datum::RawDatum;
use super::error::{OrRaise, raise};
use super::set::{CustomerMonth, KpiLabel, MonthOfPurchases, SetOf};
use super::types::{SegmentPolicy, policy_of};
use crate::customer::Walk;
use crate::day::Day;
use crate::decimal::Decimal;
use crate::engagement::EngagementHistory;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{NO_PURCHASES, PurchaseHistory};
use crate::kpi::{self, Kpi, Period};
use crate::membership::{KnownMembership, Membership, MembershipHistory};
use crate::memory;
use crate::month;
use crate::proportion::Proportion;

/// The history of an argument, where NULL is that of somebody who has not bought yet.
fn history_of(history: &Option<PurchaseHistory>) -> &PurchaseHistory {
    history.as_ref().unwrap_or(&NO_PURCHASES)
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn reached_purchase(history: Option<PurchaseHistory>, nth: Option<i32>, as_of: Option<Day>) -> Option<bool> {
    kpi::reached_purchase(history_of(&history), nth?, as_of?).or_raise()
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn reached_purchase_within(
    history: Option<PurchaseHistory>,
    nth: Option<i32>,
    days: Option<i32>,
    as_of: Option<Day>,
) -> Option<bool> {
    kpi::reached_purchase_within(history_of(&history), nth?, days?, as_of?).or_raise()
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn retained_in_month(history: Option<PurchaseHistory>, months: Option<i32>, as_of: Option<Day>) -> Option<bool> {
    kpi::retained_in_month(history_of(&history), months?, as_of?).or_raise()
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn bought_between(
    history: Option<PurchaseHistory>,
    from_day: Option<Day>,
    to_day: Option<Day>,
    as_of: Option<Day>,
) -> Option<bool> {
    let as_of = as_of?;
    Period::new(from_day?, to_day?).or_raise().bought(history_of(&history), as_of)
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn orders_between(history: Option<PurchaseHistory>, from_day: Option<Day>, to_day: Option<Day>) -> Option<i64> {
    Some(Period::new(from_day?, to_day?).or_raise().orders(history_of(&history)))
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn revenue_between(history: Option<PurchaseHistory>, from_day: Option<Day>, to_day: Option<Day>) -> Option<Decimal> {
    Some(Period::new(from_day?, to_day?).or_raise().revenue(history_of(&history)))
}

#[pg_extern(immutable, parallel_safe, cost = 100)]
fn purchases_by_month(history: Option<PurchaseHistory>, as_of: Option<Day>) -> SetOf<MonthOfPurchases> {
    let Some(as_of) = as_of else {
        return SetOf::empty();
    };
    let rows = kpi::purchases_by_month(history_of(&history), as_of);
    let rows = rows.map(|row| (row.month, row.months_after, row.orders, row.revenue));
    SetOf::new(memory::collect(rows))
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
fn customer_months(
    history: Option<PurchaseHistory>,
    months: Option<i32>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> SetOf<CustomerMonth> {
    let (Some(months), Some(as_of)) = (months, as_of) else {
        return SetOf::empty();
    };
    let (history, policy) = (history_of(&history), policy_of(&policy));
    let membership = KnownMembership::new(membership, memberships.as_ref());
    let mut walk = Walk::new(Some(history), policy, engagement.as_ref(), membership);
    let customer_on = |day| {
        check_for_interrupts!();
        walk.on(day)
    };
    let rows = month::customer_months(history, months, as_of, customer_on)
        .or_raise()
        .map(|m| (m.month, m.to, m.state_before.name(), m.state_after.name(), m.months_after, m.orders, m.revenue));
    SetOf::new(memory::collect(rows))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn kpis() -> SetOf<KpiLabel> {
    SetOf::new((1..).zip(Kpi::ALL).map(|(order, kpi)| {
        let (better, grows, settles) = (kpi.lower_is_better(), kpi.builds_up(), kpi.settles_after_days());
        let (label_en, label_ja) = (kpi.label_en(), kpi.label_ja());
        let unit = kpi.unit().name();
        (kpi.name(), order, unit, better, grows, settles, label_en, label_ja, kpi.meaning(), kpi.meaning_ja())
    }))
}

/// The state of `proportion` as PostgreSQL lays it out: a bigint[] of two counts without NULL, how many and how many yes.
#[repr(C)]
struct Counts {
    array: pg_sys::ArrayType,
    dimension: i32,
    lower_bound: i32,
    counts: [i64; 2],
}

impl Counts {
    /// The counts in an array, in place where it is plain; `None` for any other array, which somebody passes who calls a
    /// part of the aggregate by hand.
    ///
    /// # Safety
    /// `datum` must be an array that is not NULL.
    unsafe fn of(datum: pg_sys::Datum) -> Option<*mut Self> {
        // SAFETY: the caller promises an array; all of what is read of it lies within its size.
        unsafe {
            let counts: *mut Counts = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast();
            let is_whole = pgrx::varlena::varsize_4b(counts.cast()) == size_of::<Counts>()
                && (*counts).array.ndim == 1
                && (*counts).array.dataoffset == 0
                && (*counts).array.elemtype == pg_sys::INT8OID
                && (*counts).dimension == 2;
            is_whole.then_some(counts)
        }
    }

    /// Counts one answer more.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] where that is too many, as it is only in a state that was made by hand.
    fn add(&mut self, answer: bool) -> Result<()> {
        let [denominator, numerator] = self.counts;
        let (denominator, numerator) = (denominator.checked_add(1), numerator.checked_add(answer.into()));
        let too_many = || Error::new(ErrorKind::NumberOutOfRange, "too many answers to count");
        self.counts = [denominator.ok_or_else(too_many)?, numerator.ok_or_else(too_many)?];
        Ok(())
    }
}

/// (state, answer): counts an answer.
#[pg_extern(sql = false)]
fn count_answer(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: kpi.sql declares a bigint[], a boolean and STRICT. Only an aggregate gives its state away to be changed.
    unsafe {
        let (state, answer) = (argument(fcinfo, 0)?, argument(fcinfo, 1)?);
        let is_ours = pg_sys::AggCheckCallContext(fcinfo, std::ptr::null_mut()) != 0;
        let state = if is_ours { state } else { pg_sys::pg_detoast_datum_copy(state.cast_mut_ptr()).into() };
        let Some(counts) = Counts::of(state) else {
            let message = "the state of proportion is an array of two bigint";
            raise(Error::new(ErrorKind::InvalidParameter, message).hint("Call the aggregate: proportion(answer)."));
        };
        (*counts).add(answer.value() != 0).or_raise();
        Some(RawDatum(counts.into()))
    }
}

/// A proportion as a row of the type `rate_estimate`.
///
/// # Safety
/// `fcinfo` must be a live call frame of a function that `kpi.sql` declares to return that type.
unsafe fn rate_estimate(fcinfo: pg_sys::FunctionCallInfo, proportion: Proportion) -> RawDatum {
    let (low, high) = proportion.wilson_interval().unzip();
    let columns = [
        column(proportion.numerator()),
        column(Some(proportion.denominator())),
        column(proportion.rate()),
        column(low),
        column(high),
    ];
    // SAFETY: the columns are those of rate_estimate.
    RawDatum(unsafe { row(fcinfo, columns) })
}

#[pg_extern(sql = false)]
fn wilson_interval(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: kpi.sql declares two bigint arguments and the row.
    unsafe {
        let count = |index| argument(fcinfo, index).and_then(|datum| i64::from_datum(datum, false));
        let proportion = Proportion::new(count(0)?, count(1)?).or_raise();
        Some(rate_estimate(fcinfo, proportion))
    }
}

#[pg_extern(sql = false)]
fn finish_proportion(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: kpi.sql declares a bigint[] argument and the row.
    unsafe {
        let [denominator, numerator] = (*Counts::of(argument(fcinfo, 0)?)?).counts;
        Some(rate_estimate(fcinfo, Proportion::new(numerator, denominator).or_raise()))
    }
}

extension_sql_file!(
    "kpi.sql",
    name = "kpi",
    requires = [
        "types",
        reached_purchase,
        reached_purchase_within,
        retained_in_month,
        bought_between,
        orders_between,
        purchases_by_month,
        revenue_between,
        customer_months,
        kpis
    ]
);
