//! A/B tests: groups of customers, results of groups, their comparison with a control.

use std::ffi::{CStr, CString};
use std::io::Write;

use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, direct_function_call, direct_function_call_as_datum, pg_sys};

use super::call::{argument, call_site, column, row};
use super::datum::{RawDatum, jsonb_text, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::set::{AbFactor, AbVerdict, SetOf};
use crate::ab::Factor;
use crate::ab::compare::{Comparison, Difference, Verdict, verdict};
use crate::ab::group::{Test, uuid_text};
use crate::ab::result::GroupResult;
use crate::ab::sample::sample_size;
use crate::decimal::Decimal;

/// A test that a call site has met, with the bytes of the arguments it was made of.
struct MetTest {
    name: Box<[u8]>,
    groups: Box<[u8]>,
    test: Test,
}

/// How many tests a call site keeps, the one used last first.
const KEPT_TESTS: usize = 8;

/// The group of the customer with this key in the test of the second and third argument.
///
/// # Safety
/// `fcinfo` must be a live call frame of a strict function whose second and third argument are a text and a jsonb.
unsafe fn group_of(fcinfo: pg_sys::FunctionCallInfo, key: &[u8]) -> Option<RawDatum> {
    // SAFETY: the caller promises the arguments; all calls of these functions keep the same type.
    unsafe {
        let (test, groups) = (argument(fcinfo, 1)?, argument(fcinfo, 2)?);
        let (name, group_bytes) = (varlena_bytes(test), varlena_bytes(groups));
        let met: &mut Vec<MetTest> = call_site(fcinfo, |_| Vec::new());
        match met.iter().position(|met| *met.name == *name && *met.groups == *group_bytes) {
            Some(0) => {}
            Some(position) => met[..=position].rotate_right(1),
            None => {
                let test = Test::new(&String::from_utf8_lossy(name), jsonb_text("groups", groups)).or_raise();
                met.insert(0, MetTest { name: name.into(), groups: group_bytes.into(), test });
                met.truncate(KEPT_TESTS);
            }
        }
        Some(RawDatum(new_varlena(met.first()?.test.group(key).as_bytes())))
    }
}

#[pg_extern(sql = false)]
fn ab_group_of_bigint(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // The longest has a sign and 19 digits.
    let mut text = [0u8; 20];
    // SAFETY: ab.sql declares (bigint, text, jsonb).
    unsafe {
        let key = i64::from_datum(argument(fcinfo, 0)?, false)?;
        let mut rest = &mut text[..];
        write!(rest, "{key}").ok()?;
        let length = 20 - rest.len();
        group_of(fcinfo, &text[..length])
    }
}

#[pg_extern(sql = false)]
fn ab_group_of_text(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: ab.sql declares (text, text, jsonb).
    unsafe { group_of(fcinfo, varlena_bytes(argument(fcinfo, 0)?)) }
}

#[pg_extern(sql = false)]
fn ab_group_of_uuid(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: ab.sql declares (uuid, text, jsonb); a uuid is a pointer to 16 bytes.
    unsafe {
        let uuid: *const [u8; 16] = argument(fcinfo, 0)?.cast_mut_ptr();
        group_of(fcinfo, &uuid_text(&*uuid))
    }
}

/// What argument `index` has counted, as bytes that PostgreSQL keeps between the rows of a group.
///
/// # Safety
/// The argument must be there, and a bytea that is not NULL.
unsafe fn state(fcinfo: pg_sys::FunctionCallInfo, index: usize) -> Option<GroupResult> {
    // SAFETY: the caller promises the argument.
    unsafe { argument(fcinfo, index).map(|datum| GroupResult::from_bytes(varlena_bytes(datum)).or_raise()) }
}

/// (state, responded, amount): counts a customer, unless it is unknown whether she responded.
#[pg_extern(sql = false)]
fn collect_result(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: ab.sql declares (bytea, boolean, numeric).
    unsafe {
        let Some(responded) = argument(fcinfo, 1).and_then(|datum| bool::from_datum(datum, false)) else {
            return argument(fcinfo, 0).map(RawDatum);
        };
        let amount = argument(fcinfo, 2).and_then(|datum| Decimal::from_datum(datum, false));
        let mut result = state(fcinfo, 0)?;
        result.add(responded, amount).or_raise();
        Some(RawDatum(new_varlena(&result.to_bytes())))
    }
}

/// (state, state): counts what another worker counted.
#[pg_extern(sql = false)]
fn combine_results(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: ab.sql declares two bytea and STRICT.
    unsafe {
        let mut result = state(fcinfo, 0)?;
        result.merge(state(fcinfo, 1)?).or_raise();
        Some(RawDatum(new_varlena(&result.to_bytes())))
    }
}

/// (state): the row.
#[pg_extern(sql = false)]
fn finish_result(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: ab.sql declares a bytea, STRICT, and the columns of ab_result.
    unsafe {
        let result = state(fcinfo, 0)?;
        let responses = result.responses().or_raise();
        let (low, high) = responses.wilson_interval().unzip();
        let columns = [
            column(Some(result.customers())),
            column(responses.numerator()),
            column(responses.rate()),
            column(low),
            column(high),
            column(result.revenue()),
            column(result.revenue_per_head().or_raise()),
            result.revenue().and_then(|_| numeric_of_text(&result.revenue_squares())),
        ];
        Some(RawDatum(row(fcinfo, columns)))
    }
}

/// A numeric of any length, of its text.
///
/// # Safety
/// `text` must be a number.
unsafe fn numeric_of_text(text: &str) -> Option<pg_sys::Datum> {
    let text = CString::new(text).ok()?;
    let arguments = [Some(pg_sys::Datum::from(text.as_ptr())), pg_sys::InvalidOid.into_datum(), (-1i32).into_datum()];
    // SAFETY: these are the arguments of numeric_in.
    unsafe { direct_function_call_as_datum(pg_sys::numeric_in, &arguments) }
}

/// The result in a row of the type `ab_result`; one without customers where a number is missing.
///
/// # Safety
/// `row` must be a row of that type.
unsafe fn group_result(row: pg_sys::Datum) -> GroupResult {
    // SAFETY: ab.sql declares the columns; a datum that is not NULL has the type of its column.
    unsafe {
        let row = pg_sys::pg_detoast_datum(row.cast_mut_ptr()).cast();
        let field = |number: i16| {
            let mut is_null = false;
            let datum = pg_sys::GetAttributeByNum(row, number, &mut is_null);
            (!is_null).then_some(datum)
        };
        let count = |number| field(number).and_then(|datum| i64::from_datum(datum, false));
        let revenue = field(6).and_then(|datum| Decimal::from_datum(datum, false));
        let squares: Option<&CStr> =
            field(8).and_then(|datum| direct_function_call(pg_sys::numeric_out, &[Some(datum)]));
        match (count(1), count(2), revenue, squares) {
            (Some(customers), Some(responders), Some(revenue), Some(squares)) => {
                GroupResult::new(customers, responders, revenue, &squares.to_string_lossy()).or_raise()
            }
            _ => GroupResult::EMPTY,
        }
    }
}

#[pg_extern(sql = false)]
fn ab_compare(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: ab.sql declares (ab_result, ab_result, bigint) and the columns of ab_comparison.
    unsafe {
        let (treatment, control) = (group_result(argument(fcinfo, 0)?), group_result(argument(fcinfo, 1)?));
        let planned = argument(fcinfo, 2).and_then(|datum| i64::from_datum(datum, false));
        let comparison = Comparison::new(&treatment, &control).or_raise();
        let smaller_group = treatment.customers().min(control.customers());
        let verdict = verdict(comparison.as_ref(), smaller_group, planned).or_raise();
        Some(RawDatum(row(fcinfo, comparison_columns(comparison, verdict))))
    }
}

/// The columns of `ab_comparison`.
fn comparison_columns(comparison: Option<Comparison>, verdict: Verdict) -> [Option<pg_sys::Datum>; 10] {
    let bounds = |difference: Option<Difference>| difference.and_then(|difference| difference.interval).unzip();
    let (lift, revenue_lift) = (comparison.map(|c| c.lift), comparison.map(|c| c.revenue_lift));
    let (low, high) = bounds(lift);
    let (revenue_low, revenue_high) = bounds(revenue_lift);
    [
        column(lift.map(|lift| lift.value)),
        column(low),
        column(high),
        column(comparison.and_then(|c| c.relative_lift)),
        column(comparison.map(|c| c.p_value)),
        column(comparison.map(|c| c.p_method.name())),
        column(revenue_lift.map(|lift| lift.value)),
        column(revenue_low),
        column(revenue_high),
        column(Some(verdict.name())),
    ]
}

#[pg_extern(immutable, parallel_safe, cost = 10)]
fn ab_sample_size(
    base_rate: Option<f64>,
    lift: Option<f64>,
    power: default!(Option<f64>, "0.8"),
    alpha: default!(Option<f64>, "0.05"),
) -> Option<i64> {
    Some(sample_size(base_rate?, lift?, power?, alpha?).or_raise())
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn ab_verdicts() -> SetOf<AbVerdict> {
    SetOf::new(
        (1..).zip(Verdict::ALL).map(|(order, verdict)| (verdict.name(), order, verdict.label_en(), verdict.label_ja())),
    )
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn ab_factors() -> SetOf<AbFactor> {
    SetOf::new(
        (1..)
            .zip(Factor::ALL)
            .map(|(order, factor)| (factor.name(), order, factor.weight(), factor.label_en(), factor.label_ja())),
    )
}

extension_sql_file!("ab.sql", name = "ab", requires = ["types", ab_sample_size, ab_verdicts, ab_factors]);
