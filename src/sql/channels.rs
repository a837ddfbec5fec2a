//! Over which channels a customer can be reached.

use std::ffi::CStr;

use pgrx::prelude::*;
use pgrx::{IntoDatum, direct_function_call, pg_sys};

use super::datum::{RawDatum, varlena_bytes};
use super::error::{OrRaise, raise};
use super::orders::argument;
use crate::channels::{Addresses, Consents};
use crate::error::{Error, ErrorKind};

/// The text of a `jsonb`. Not [`pgrx::JsonB`], which panics where JSON is nested more deeply than serde_json reads.
///
/// # Safety
/// `datum` must be a `jsonb` that is not NULL.
unsafe fn jsonb_text<'a>(datum: pg_sys::Datum) -> &'a str {
    // SAFETY: the caller promises a jsonb; jsonb_out makes a string in the current memory context.
    let text = unsafe { direct_function_call::<&CStr>(pg_sys::jsonb_out, &[Some(datum)]) };
    text.and_then(|text| text.to_str().ok())
        .unwrap_or_else(|| raise(Error::new(ErrorKind::InvalidParameter, "consents must be an object in UTF-8")))
}

#[pg_extern(sql = false)]
fn reachable_channels(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: channels.sql declares four arguments of type text and a jsonb; what they point to outlives the call.
    let (addresses, consents) = unsafe {
        let text = |index| argument(fcinfo, index).and_then(|datum| std::str::from_utf8(varlena_bytes(datum)).ok());
        let addresses = Addresses { email: text(0), phone: text(1), postal: text(2), line: text(3) };
        (addresses, argument(fcinfo, 4).map(|datum| jsonb_text(datum)))
    };
    let consents = consents.map_or(Consents::UNTRACKED, |json| Consents::parse(json).or_raise());
    let names: Vec<&str> = addresses.reachable(&consents).into_iter().map(|channel| channel.name()).collect();
    names.into_datum().map(RawDatum)
}

extension_sql_file!("channels.sql", name = "channels");
