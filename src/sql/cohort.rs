//! The aggregate `count_cohorts`: what the customers of a month of first purchase do after it.

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::buffer::PlainData;
use super::call::{argument, column, read, row_array};
use super::datum::RawDatum;
use super::error::OrRaise;
use super::question::Asked;
use super::tallies::{Counted, TalliesHeader, combine, counted, deserialize, serialize, tallies_or_new};
use crate::aggregate_state::AggregateState;
use crate::bytes::{Reader, put_unsigned};
use crate::cohort::{CohortCount, cohort_months};
use crate::day::Day;
use crate::error::Result;
use crate::history::PurchaseHistory;
use crate::tally::Tally;

// SAFETY: integers, packed to 8 bytes.
unsafe impl PlainData for CohortCount {}

// SAFETY: the number is its own.
unsafe impl Counted for CohortCount {
    const KIND: AggregateState = AggregateState::Cohorts;
    const STATE: &'static str = "state of count_cohorts";
    const NAMES: [&'static str; 3] = ["as_of", "", "ending_after"];
    /// The day after which the months end that are asked for; `None`: all.
    type Rest = Option<Day>;

    fn write_rest(ending_after: Self::Rest, out: &mut Vec<u8>) {
        put_unsigned(out, ending_after.is_some().into());
        out.extend(ending_after.map_or(0, |day| day.0).to_ne_bytes());
    }

    fn read_rest(reader: &mut Reader) -> Result<Self::Rest> {
        let is_asked = reader.unsigned::<u8>()? > 0;
        let day = Day(i32::from_ne_bytes(reader.array()?));
        Ok(is_asked.then_some(day))
    }
}

/// (state, history, as_of, ending_after): counts a customer.
#[pg_extern(sql = false)]
fn collect_cohort(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: cohort.sql declares the arguments so.
    unsafe {
        let (asked, ending_after) = (Asked::new(argument(fcinfo, 2), None), read::<Day>(fcinfo, 3));
        let mut counts = tallies_or_new::<CohortCount>(fcinfo, asked, ending_after);
        if let (Some(history), Some(as_of)) = (read::<PurchaseHistory>(fcinfo, 1), asked.as_of()) {
            let scale = counts.widen(history.scale()).or_raise();
            for count in CohortCount::of(&history, as_of, ending_after) {
                count.at_scale(history.scale(), scale).and_then(|count| counts.add(count)).or_raise();
            }
        }
        Some(RawDatum(counts.as_datum()))
    }
}

/// (state, state): adds what another worker counted.
#[pg_extern(sql = false)]
fn combine_cohorts(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: cohort.sql declares the arguments so.
    unsafe { combine::<CohortCount>(fcinfo) }
}

/// (state): the state as bytes, for another process of the same query.
#[pg_extern(sql = false)]
fn serialize_cohorts(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: cohort.sql declares the argument so.
    unsafe { serialize::<CohortCount>(fcinfo) }
}

/// (bytea, internal): the state that another process serialized.
#[pg_extern(sql = false)]
fn deserialize_cohorts(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: cohort.sql declares the arguments so.
    unsafe { deserialize::<CohortCount>(fcinfo) }
}

/// (state): the months of each cohort, in their order.
#[pg_extern(sql = false)]
fn finish_cohorts(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: cohort.sql declares the arguments so; the columns are those of cohort_month.
    unsafe {
        let (TalliesHeader { question, rest: ending_after, scale, .. }, counts) = counted::<CohortCount>(fcinfo)?;
        let rows = cohort_months(&counts, scale, question.as_of()?, ending_after).map(|month| {
            [
                column(Some(month.first_month)),
                column(Some(month.months_after as i32)),
                column(Some(month.customers)),
                column(Some(month.active_customers)),
                column(Some(month.revenue)),
            ]
        });
        Some(RawDatum(row_array(fcinfo, rows)))
    }
}

extension_sql_file!("cohort.sql", name = "cohort", requires = ["types"]);
