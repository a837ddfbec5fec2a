//! Functions of one customer's histories on one day.

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::call::{column, read, row};
use super::datum::{Channels, RawDatum};
use super::error::OrRaise;
use super::history::integer;
use super::set::{CustomerColumn, SetOf};
use super::types::{Model, SegmentPolicy, policy_of};
use crate::column::{COLUMNS, SqlType, Value};
use crate::contact::{ContactFacts, ContactHistory};
use crate::countdown::Countdown;
use crate::customer::Customer;
use crate::day::Day;
use crate::decimal::Decimal;
use crate::engagement::EngagementHistory;
use crate::history::PurchaseHistory;
use crate::membership::{KnownMembership, Membership, MembershipHistory};
use crate::relation;

/// Answers a question about a customer; `None` where the day is NULL. A log of memberships counts before the membership.
#[allow(clippy::too_many_arguments)]
pub fn ask<T>(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: Option<SegmentPolicy>,
    engagement: Option<EngagementHistory>,
    membership: Option<Membership>,
    memberships: Option<MembershipHistory>,
    question: impl FnOnce(&Customer) -> Option<T>,
) -> Option<T> {
    let membership = KnownMembership::new(membership, memberships.as_ref());
    question(&Customer::new(history.as_ref(), as_of?, policy_of(&policy), engagement.as_ref(), membership))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn rfm_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    ask(history, as_of, policy, None, None, None, |customer| Some(customer.scores()?.code()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn r_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    ask(history, as_of, policy, None, None, None, |customer| Some(customer.scores()?.r.into()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn f_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    ask(history, as_of, policy, None, None, None, |customer| Some(customer.scores()?.f.into()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn m_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<i32> {
    ask(history, as_of, policy, None, None, None, |customer| Some(customer.scores()?.m.into()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn rfm_segment(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<String> {
    let segment = |customer: &Customer| Some(customer.rfm_segment()?.to_owned());
    ask(history, as_of, policy, None, None, None, segment)
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn value_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> Option<Decimal> {
    ask(history, as_of, policy, engagement, membership, memberships, |customer| customer.value_score().or_raise())
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn purchase_stage(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<&'static str> {
    ask(history, as_of, policy, None, None, None, |customer| Some(customer.purchase_stage()?.name()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn lifecycle_state(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> Option<&'static str> {
    ask(history, as_of, policy, engagement, membership, memberships, |customer| Some(customer.lifecycle_state().name()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn vip_score(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> Option<Decimal> {
    ask(history, as_of, policy, engagement, membership, memberships, |customer| customer.vip_score().or_raise())
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn vip_tier(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> Option<&'static str> {
    ask(history, as_of, policy, engagement, membership, memberships, |customer| Some(customer.vip_tier().name()))
}

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn dormancy_reason(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> Option<&'static str> {
    ask(history, as_of, policy, engagement, membership, memberships, |customer| {
        Some(customer.dormancy_reason()?.name())
    })
}

#[pg_extern(immutable, parallel_safe, cost = 100)]
fn next_action(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
    model: default!(Option<Model>, "NULL"),
) -> Option<String> {
    let membership = KnownMembership::new(membership, memberships.as_ref());
    let customer = Customer::new(history.as_ref(), as_of?, policy_of(&policy), engagement.as_ref(), membership);
    let step = customer.with_model(model.as_deref()).next_step().or_raise();
    Some(step.action().to_owned())
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn relation_score(
    engagement: Option<EngagementHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> Option<Decimal> {
    let as_of = as_of?;
    let (relation, countdown) = (&policy_of(&policy).relation, Countdown::default());
    let score = relation::score(&engagement?, as_of, as_of, relation, &countdown);
    Some(relation::shown(score).or_raise())
}

/// The number of columns of `segment_customer`.
const WIDTH: usize = COLUMNS.len();

/// The columns of `segment_customer`.
fn columns<'a>(customer: &Customer<'a>, contact: ContactFacts<'a>) -> [Option<pg_sys::Datum>; WIDTH] {
    let (facts, _) = customer.answers(contact).or_raise();
    std::array::from_fn(|place| datum((COLUMNS[place].find)(&facts)?, COLUMNS[place].sql_type))
}

/// A value as a datum of an SQL type.
fn datum(value: Value, sql_type: SqlType) -> Option<pg_sys::Datum> {
    match value {
        Value::Text(text) => column(Some(&*text)),
        Value::On(day) => column(Some(day)),
        Value::Flag(flag) => column(Some(flag)),
        Value::Number(number) => match sql_type {
            SqlType::Integer => column(number.floor().map(integer)),
            SqlType::Bigint => column(number.floor()),
            _ => column(Some(number)),
        },
    }
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
            let memberships = read::<MembershipHistory>(fcinfo, 8);
            let model = read::<Model>(fcinfo, 9);
            let customer = Customer::new(
                history.as_ref(),
                as_of,
                policy_of(&policy),
                engagement.as_ref(),
                KnownMembership::new(read::<Membership>(fcinfo, 4), memberships.as_ref()),
            );
            RawDatum(row(fcinfo, columns(&customer.with_model(model.as_deref()), contact)))
        })
    }
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn customer_columns() -> SetOf<CustomerColumn> {
    SetOf::new(
        (1..).zip(COLUMNS).map(|(place, column)| (place, column.name, column.sql_type.name(), column.en, column.ja)),
    )
}

extension_sql_file!("segment_customer.sql", name = "segment_customer", requires = ["types", customer_columns]);
