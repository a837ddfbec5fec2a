//! Over which channels a customer can be reached, and addresses as other programs take them.

use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

use super::call::argument;
use super::datum::{RawDatum, jsonb_text, varlena_bytes};
use super::error::OrRaise;
use super::memory::ensure_reserve;
use crate::channels::{self, Addresses, Consents, Region};

#[pg_extern(sql = false)]
fn reachable_channels(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: channels.sql declares four arguments of type text and a jsonb; what they point to outlives the call.
    let (addresses, consents) = unsafe {
        let text = |index| argument(fcinfo, index).and_then(|datum| std::str::from_utf8(varlena_bytes(datum)).ok());
        let addresses = Addresses { email: text(0), phone: text(1), postal: text(2), line: text(3) };
        (addresses, argument(fcinfo, 4).map(|datum| jsonb_text("consents", datum)))
    };
    let consents = consents.map_or(Consents::UNTRACKED, |json| Consents::parse(json).or_raise());
    let names: Vec<&str> = addresses.reachable(&consents).into_iter().map(|channel| channel.name()).collect();
    names.into_datum().map(RawDatum)
}

#[pg_extern(immutable, strict, parallel_safe, cost = 100)]
fn normalized_email(email: &str) -> Option<String> {
    ensure_reserve();
    channels::normalized_email(email)
}

#[pg_extern(immutable, strict, parallel_safe, cost = 500)]
fn normalized_phone(phone: &str, region: &str) -> Option<String> {
    ensure_reserve();
    channels::normalized_phone(phone, Region::parse(region).or_raise())
}

#[pg_extern(immutable, strict, parallel_safe, cost = 100)]
fn normalized_postal_code(postal_code: &str, country: &str) -> Option<String> {
    ensure_reserve();
    channels::normalized_postal_code(postal_code, country).or_raise()
}

extension_sql_file!(
    "channels.sql",
    name = "channels",
    requires = [normalized_email, normalized_phone, normalized_postal_code]
);
