//! Step scenarios as SQL sees them, and when a customer may be contacted.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::call::{ResultRows, argument, column, read};
use super::datum::{Channels, RawDatum, check_size, varlena_bytes};
use super::error::OrRaise;
use super::set::{DueStepReasonLabel, MessageTitle, ScenarioFinding, ScenarioPreset, SetOf};
use super::types::{Model, Recent, SegmentPolicy, policy_of};
use crate::contact::{ContactCalendar, ContactFacts, ContactHistory};
use crate::customer::Customer;
use crate::day::Day;
use crate::engagement::EngagementHistory;
use crate::error::Result;
use crate::finding::Finding;
use crate::history::{NO_PURCHASES, PurchaseHistory};
use crate::membership::{KnownMembership, Membership, MembershipHistory};
use crate::scenario::{DueStep, MESSAGES, PRESETS, Scenario, Scenarios, Why, preset};

#[pg_extern(immutable, strict, parallel_safe, cost = 1000)]
fn preset_scenario(name: &str) -> Scenario {
    preset(name).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 1000)]
fn scenario_presets() -> SetOf<ScenarioPreset> {
    SetOf::new(PRESETS.iter().map(|entry| {
        let scenario = preset(entry.name).or_raise();
        let plan = scenario.plan();
        let title_ja = plan.title_ja.as_ref().unwrap_or(&plan.title).clone();
        // No preset has a priority above 100.
        let priority = plan.priority as i32;
        (
            entry.name,
            priority,
            plan.behavior.name(),
            plan.title.clone(),
            title_ja,
            entry.description,
            entry.description_ja,
        )
    }))
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
fn check_scenario(
    scenario: Option<Scenario>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> SetOf<ScenarioFinding> {
    let findings = scenario.map(|scenario| scenario.plan().findings(policy_of(&policy))).unwrap_or_default();
    SetOf::new(findings.into_iter().map(Finding::into_row))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn message_keys() -> SetOf<MessageTitle> {
    SetOf::new(
        (1..)
            .zip(MESSAGES)
            .map(|(order, message)| (message.key, order, message.title_en, message.title_ja, message.invitation_ja)),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn due_step_reasons() -> SetOf<DueStepReasonLabel> {
    SetOf::new((1..).zip(Why::ALL).map(|(order, why)| (why.name(), order, why.label_en(), why.label_ja())))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 20)]
fn last_contacted_on(contacts: ContactHistory, as_of: Day) -> Option<Day> {
    contacts.last_on(as_of)
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn contact_allowed_on(
    contacts: Option<ContactHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    channel: default!(Option<&str>, "NULL"),
) -> Option<Day> {
    let as_of = as_of?;
    let facts = ContactFacts { log: contacts.as_ref(), ..ContactFacts::default() };
    let policy = &policy_of(&policy).contact;
    // Answers decide over which channel, never when.
    let (history, engagement) = (&NO_PURCHASES, engagement.as_ref());
    let calendar = ContactCalendar { facts, history, engagement, as_of, policy };
    let over_channel = channel.and_then(|channel| calendar.channel_allowed_from(channel));
    calendar.allowed_over_all_from().max(over_channel).max(Some(as_of))
}

thread_local! {
    /// The lists of scenarios used last: a query has one.
    static PARSED: RefCell<Recent<Rc<Scenarios>>> = const { RefCell::new(Recent::new()) };
}

/// The most bytes of a list of scenarios: a thousand of usual size and more.
const MAX_SCENARIOS_BYTES: usize = 4 << 20;

/// The scenarios of an array, in which NULL is none; parsed once, not once a row.
///
/// # Safety
/// `array` must be a `scenario[]` that is not NULL.
unsafe fn scenarios_of(array: pg_sys::Datum) -> Rc<Scenarios> {
    // SAFETY: the caller promises an array, whose elements are varlenas aligned like the type.
    unsafe {
        check_size("scenarios", array, MAX_SCENARIOS_BYTES);
        let read_all = || -> Result<Rc<Scenarios>> {
            let array = pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
            let (length, by_value, alignment) = (-1, false, b'i' as std::ffi::c_char);
            pg_sys::deconstruct_array(
                array,
                (*array).elemtype,
                length,
                by_value,
                alignment,
                &mut elements,
                &mut nulls,
                &mut count,
            );
            let present = (0..count as usize).filter(|&at| !*nulls.add(at));
            let scenarios = present.map(|at| Scenario::from_bytes(varlena_bytes(*elements.add(at))));
            Ok(Rc::new(Scenarios::new(scenarios.collect::<Result<_>>()?)?))
        };
        PARSED.with_borrow_mut(|parsed| parsed.get(varlena_bytes(array), read_all)).or_raise()
    }
}

/// The columns of `due_steps`, in the order of `scenario.sql`.
fn columns(due: &DueStep) -> [Option<pg_sys::Datum>; 9] {
    [
        column(Some(due.plan.name.as_str())),
        column(due.step.map(|step| step.id.as_str())),
        column(due.channel),
        column(due.step.and_then(|step| step.offer.as_deref())),
        column(due.step.map(|step| step.message_key.as_str())),
        column(due.due_on),
        column(Some(due.why == Why::Due)),
        column(Some(due.why.name())),
        column(due.waits_for),
    ]
}

#[pg_extern(sql = false)]
fn due_steps(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: scenario.sql declares these arguments and the columns.
    unsafe {
        let mut rows = ResultRows::new("due_steps", fcinfo);
        let (Some(scenarios), Some(as_of)) = (argument(fcinfo, 0), read::<Day>(fcinfo, 2)) else {
            return None;
        };
        let scenarios = scenarios_of(scenarios);
        let history = read::<PurchaseHistory>(fcinfo, 1);
        let policy = read::<SegmentPolicy>(fcinfo, 3);
        let engagement = read::<EngagementHistory>(fcinfo, 4);
        let membership = read::<Membership>(fcinfo, 5);
        let channels = read::<Channels>(fcinfo, 6);
        let log = read::<ContactHistory>(fcinfo, 7);
        let memberships = read::<MembershipHistory>(fcinfo, 8);
        let model = read::<Model>(fcinfo, 9);
        let channels = channels.as_ref().map(|channels| &*channels.0);
        let membership = KnownMembership::new(membership, memberships.as_ref());
        let contact = ContactFacts { channels, last_contacted_on: None, log: log.as_ref() };
        let customer = Customer::new(history.as_ref(), as_of, policy_of(&policy), engagement.as_ref(), membership);
        let customer = customer.with_model(model.as_deref());
        for due in scenarios.due_steps(&customer, contact).or_raise() {
            rows.push(columns(&due));
        }
        None
    }
}

extension_sql_file!(
    "scenario.sql",
    name = "scenario",
    requires = [
        "types",
        preset_scenario,
        scenario_presets,
        check_scenario,
        message_keys,
        due_step_reasons,
        last_contacted_on,
        contact_allowed_on
    ]
);
