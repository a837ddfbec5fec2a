//! Functions of one customer's histories on one day.

use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, PgMemoryContexts, pg_sys};

use super::datum::{Channels, RawDatum};
use super::error::OrRaise;
use super::history::integer;
use super::orders::argument;
use super::types::{SegmentPolicy, policy_of};
use crate::contact::{ContactFacts, ContactHistory};
use crate::customer::{Customer, shown_score};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::engagement::EngagementHistory;
use crate::history::PurchaseHistory;
use crate::membership::Membership;
use crate::vip;

/// Answers a question about a customer; `None` where the day is NULL.
pub fn ask<T>(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: Option<SegmentPolicy>,
    engagement: Option<EngagementHistory>,
    membership: Option<Membership>,
    question: impl FnOnce(&Customer) -> Option<T>,
) -> Option<T> {
    question(&Customer::new(history.as_ref(), as_of?, policy_of(&policy), engagement.as_ref(), membership))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn rfm_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    ask(history, as_of, policy, None, None, |customer| Some(customer.scores()?.code()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn r_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    ask(history, as_of, policy, None, None, |customer| Some(customer.scores()?.r.into()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn f_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    ask(history, as_of, policy, None, None, |customer| Some(customer.scores()?.f.into()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn m_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    ask(history, as_of, policy, None, None, |customer| Some(customer.scores()?.m.into()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn rfm_segment(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<String> {
    let segment = |customer: &Customer| Some(customer.rfm_segment()?.to_owned());
    ask(history, as_of, policy, None, None, segment)
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn value_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
) -> Option<Decimal> {
    ask(history, as_of, policy, engagement, membership, |customer| customer.value_score().or_raise())
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn purchase_stage(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<&'static str> {
    ask(history, as_of, policy, None, None, |customer| Some(customer.purchase_stage()?.name()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn lifecycle_state(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
) -> Option<&'static str> {
    ask(history, as_of, policy, engagement, membership, |customer| Some(customer.lifecycle_state().name()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn vip_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
) -> Option<Decimal> {
    ask(history, as_of, policy, engagement, membership, |customer| customer.vip_score().or_raise())
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn vip_tier(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
) -> Option<&'static str> {
    ask(history, as_of, policy, engagement, membership, |customer| Some(customer.vip_tier().name()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn dormancy_reason(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
) -> Option<&'static str> {
    ask(history, as_of, policy, engagement, membership, |customer| Some(customer.dormancy_reason()?.name()))
}

#[pg_extern(immutable, parallel_safe, cost = 100)]
fn next_action(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
) -> Option<String> {
    let action = |customer: &Customer| Some(customer.next_step().or_raise().action().to_owned());
    ask(history, as_of, policy, engagement, membership, action)
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn relation_score(
    engagement: Option<EngagementHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<Decimal> {
    let as_of = as_of?;
    let score = vip::relation_score(&engagement?, as_of, as_of, &policy_of(&policy).relation);
    Some(shown_score(score).or_raise())
}

/// A value as a column of a row; `None` is NULL.
pub fn column<T: IntoDatum>(value: Option<T>) -> Option<pg_sys::Datum> {
    value.and_then(IntoDatum::into_datum)
}

/// The columns of `segment_customer`, in the order of `segment_customer.sql`.
fn columns<'a>(customer: &Customer<'a>, contact: ContactFacts<'a>) -> [Option<pg_sys::Datum>; 26] {
    let facts = customer.facts(contact).or_raise();
    let step = customer.next_step_of(&facts);
    let contact_policy = &customer.policy().contact;
    [
        column(facts.first_purchase_on),
        column(facts.last_purchase_on),
        column(facts.recency_days.map(integer)),
        column(facts.orders),
        column(facts.purchase_days.map(integer)),
        column(facts.monetary),
        column(facts.scores.map(|scores| i32::from(scores.r))),
        column(facts.scores.map(|scores| i32::from(scores.f))),
        column(facts.scores.map(|scores| i32::from(scores.m))),
        column(facts.scores.map(|scores| scores.code())),
        column(facts.rfm_segment),
        column(facts.lifecycle_state.map(|state| state.name())),
        column(facts.purchase_stage.map(|stage| stage.name())),
        column(facts.value_score),
        column(facts.relation_score),
        column(facts.vip_score),
        column(facts.vip_tier.map(|tier| tier.name())),
        column(facts.last_tier.map(|tier| tier.name())),
        column(facts.dormancy_category.map(|category| category.name())),
        column(facts.dormancy_reason.map(|reason| reason.name())),
        column(Some(step.action())),
        column(step.rule_id()),
        column(Some(step.behavior().name())),
        column(step.channel(&facts, contact_policy)),
        column(step.due_on(&facts, contact_policy)),
        column(customer.next_transition_on()),
    ]
}

/// The row type of a function that returns one, found once a query and kept in fn_extra.
///
/// # Safety
/// `fcinfo` must be a live call frame of a function that returns a row.
pub unsafe fn row_type(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::TupleDesc {
    // SAFETY: fn_extra is NULL or the description that this function put there, in memory that lives as long as flinfo.
    unsafe {
        let flinfo = (*fcinfo).flinfo;
        if (*flinfo).fn_extra.is_null() {
            let description = PgMemoryContexts::For((*flinfo).fn_mcxt).switch_to(|_| {
                let mut description = std::ptr::null_mut();
                pg_sys::get_call_result_type(fcinfo, std::ptr::null_mut(), &mut description);
                pg_sys::BlessTupleDesc(description)
            });
            (*flinfo).fn_extra = description.cast();
        }
        (*flinfo).fn_extra.cast()
    }
}

/// A row of these columns.
///
/// # Safety
/// As [`row_type`]; the columns must have the types of the row.
pub unsafe fn row<const N: usize>(
    fcinfo: pg_sys::FunctionCallInfo,
    columns: [Option<pg_sys::Datum>; N],
) -> pg_sys::Datum {
    let mut values = columns.map(|column| column.unwrap_or(pg_sys::Datum::null()));
    let mut nulls = columns.map(|column| column.is_none());
    // SAFETY: the arrays are as long as the row has columns.
    unsafe {
        let tuple = pg_sys::heap_form_tuple(row_type(fcinfo), values.as_mut_ptr(), nulls.as_mut_ptr());
        pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data)
    }
}

/// An argument as a value; `None` where it is NULL.
///
/// # Safety
/// `fcinfo` must be a live call frame; argument `index` must have the SQL type of `T`.
pub unsafe fn read<T: FromDatum>(fcinfo: pg_sys::FunctionCallInfo, index: usize) -> Option<T> {
    // SAFETY: the caller promises the type.
    unsafe { argument(fcinfo, index).and_then(|datum| T::from_datum(datum, false)) }
}

#[pg_extern(sql = false)]
fn segment_customer(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: segment_customer.sql declares these arguments and the columns.
    unsafe {
        read::<Day>(fcinfo, 1).map(|as_of| {
            let history = read::<PurchaseHistory>(fcinfo, 0);
            let policy = read::<SegmentPolicy>(fcinfo, 2);
            let engagement = read::<EngagementHistory>(fcinfo, 3);
            let channels = read::<Channels>(fcinfo, 5);
            let log = read::<ContactHistory>(fcinfo, 7);
            let contact = ContactFacts {
                channels: channels.as_ref().map(|channels| &*channels.0),
                last_contacted_on: read::<Day>(fcinfo, 6),
                log: log.as_ref(),
            };
            let customer = Customer::new(
                history.as_ref(),
                as_of,
                policy_of(&policy),
                engagement.as_ref(),
                read::<Membership>(fcinfo, 4),
            );
            RawDatum(row(fcinfo, columns(&customer, contact)))
        })
    }
}

extension_sql_file!("segment_customer.sql", name = "segment_customer", requires = ["types"]);
