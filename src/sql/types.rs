//! The types: text and binary form, merging, casts.

use std::cell::RefCell;
use std::ffi::CStr;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::LazyLock;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::nullable::Nullable;
use pgrx::pg_sys::{self, Oid};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use pgrx::{FromDatum, Internal, IntoDatum};

use super::datum::{RawDatum, compressed_bytes, new_cstring, new_varlena, sql_type, varlena_bytes};
use super::error::{OrRaise, raise};
use super::memory::ensure_reserve;
use crate::contact::ContactHistory;
use crate::engagement::EngagementHistory;
use crate::error::{Error, ErrorKind, Result};
use crate::history::PurchaseHistory;
use crate::json::{self, canonical};
use crate::membership::MembershipHistory;
use crate::memory;
use crate::policy::{Document, Policy};
use crate::prediction::PurchaseModel;
use crate::scenario::Scenario;

/// Reads and writes a core type as a varlena with its canonical bytes.
macro_rules! stored_type {
    ($type:ty, $sql:literal) => {
        impl FromDatum for $type {
            unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: Oid) -> Option<Self> {
                // SAFETY: the argument is declared as this type, which is a varlena.
                (!is_null).then(|| Self::from_bytes(unsafe { varlena_bytes(datum) }).or_raise())
            }
        }

        written_type!($type, $sql);
    };
}

/// Writes a core type as a varlena with its canonical bytes.
macro_rules! written_type {
    ($type:ty, $sql:literal) => {
        impl IntoDatum for $type {
            fn into_datum(self) -> Option<pg_sys::Datum> {
                Some(new_varlena(&self.to_bytes()))
            }

            // Asked only for arrays of the type, which no function here has: types are never looked up by name.
            fn type_oid() -> Oid {
                pg_sys::InvalidOid
            }
        }

        sql_type!($type, $sql, ThisExtension);
    };
}

stored_type!(PurchaseHistory, "purchase_history");
stored_type!(EngagementHistory, "engagement_history");
stored_type!(ContactHistory, "contact_history");
stored_type!(MembershipHistory, "membership_history");
stored_type!(SegmentPolicy, "segment_policy");
stored_type!(Scenario, "scenario");

/// A policy document as an argument: parsed once, not once a row.
#[derive(Clone)]
pub struct SegmentPolicy(Rc<Document>);

static DEFAULT_POLICY: LazyLock<Document> = LazyLock::new(Document::empty);

/// What was parsed last from which bytes, most recent first: a query has one or a few policies, and parsing one costs more
/// than segmenting a hundred customers.
pub struct Recent<T>(Vec<(Vec<u8>, T)>);

impl<T: Clone> Recent<T> {
    /// How many are kept.
    const KEPT: usize = 8;

    /// Nothing yet.
    pub const fn new() -> Self {
        Recent(Vec::new())
    }

    /// What `parse` makes of the bytes, or made of them before.
    ///
    /// # Errors
    /// As `parse`.
    pub fn get(&mut self, bytes: &[u8], parse: impl FnOnce() -> Result<T>) -> Result<T> {
        match self.0.iter().position(|(known, _)| *known == bytes) {
            Some(0) => {}
            Some(position) => self.0[..=position].rotate_right(1),
            None => {
                // Parsed first: what is too large is refused before it is copied.
                let parsed = parse()?;
                self.0.insert(0, (memory::copy(bytes), parsed));
                self.0.truncate(Self::KEPT);
            }
        }
        Ok(self.0[0].1.clone())
    }
}

thread_local! {
    static PARSED: RefCell<Recent<SegmentPolicy>> = const { RefCell::new(Recent::new()) };
}

impl SegmentPolicy {
    /// The policy that has these canonical bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let parse = || Ok(SegmentPolicy(Rc::new(Document::from_bytes(bytes)?)));
        PARSED.with_borrow_mut(|parsed| parsed.get(bytes, parse))
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.0
    }
}

impl From<Document> for SegmentPolicy {
    fn from(document: Document) -> Self {
        SegmentPolicy(Rc::new(document))
    }
}

/// The document of an argument, where NULL is the default.
pub fn document_of(policy: &Option<SegmentPolicy>) -> &Document {
    policy.as_ref().map_or(&DEFAULT_POLICY, SegmentPolicy::document)
}

/// The effective policy of an argument, where NULL is the default; an error where it contradicts itself.
pub fn policy_of(policy: &Option<SegmentPolicy>) -> &Policy {
    document_of(policy).policy().or_raise()
}

/// A model of purchases as an argument: parsed once, not once a row.
#[derive(Clone)]
pub struct Model(Rc<PurchaseModel>);

thread_local! {
    static MODELS: RefCell<Recent<Model>> = const { RefCell::new(Recent::new()) };
    /// The same by the compressed bytes of values that stand in a row so: to unpack one takes longer than to ask it.
    static COMPRESSED_MODELS: RefCell<Recent<Model>> = const { RefCell::new(Recent::new()) };
}

impl FromDatum for Model {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: Oid) -> Option<Self> {
        // SAFETY: the argument is declared as this type, which is a varlena.
        let read = || unsafe {
            let model = || Model::from_bytes(varlena_bytes(datum));
            match compressed_bytes(datum) {
                Some(bytes) => COMPRESSED_MODELS.with_borrow_mut(|models| models.get(bytes, model)),
                None => model(),
            }
        };
        (!is_null).then(|| read().or_raise())
    }
}

written_type!(Model, "purchase_model");

impl Model {
    /// The model that has these canonical bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        MODELS.with_borrow_mut(|models| models.get(bytes, || PurchaseModel::from_bytes(bytes).map(Model::from)))
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }
}

impl From<PurchaseModel> for Model {
    fn from(model: PurchaseModel) -> Self {
        Model(Rc::new(model))
    }
}

impl Deref for Model {
    type Target = PurchaseModel;

    fn deref(&self) -> &PurchaseModel {
        &self.0
    }
}

fn read_text<T>(
    type_name: &str,
    input: &CStr,
    check_length: fn(&str, usize) -> Result<()>,
    parse: impl Fn(&str) -> Result<T>,
) -> T {
    ensure_reserve();
    check_length(type_name, input.count_bytes()).or_raise();
    let text = input.to_str().unwrap_or_else(|_| {
        raise(
            Error::new(ErrorKind::InvalidText, format!("invalid {type_name}: not UTF-8"))
                .hint("pg_rfm needs a database with encoding UTF8 for text that is not ASCII."),
        )
    });
    parse(text).or_raise()
}

fn write_text(value: &impl fmt::Display) -> RawDatum {
    RawDatum(new_cstring(&memory::text(value)))
}

/// All bytes of a message in the binary protocol.
fn message_bytes<'a>(message: Internal) -> &'a [u8] {
    ensure_reserve();
    let Some(buffer) = message.unwrap().map(|datum| datum.cast_mut_ptr::<pg_sys::StringInfoData>()) else {
        raise(Error::new(ErrorKind::InvalidBinary, "a receive function is called by the binary protocol only"));
    };
    // SAFETY: PostgreSQL calls a receive function with a StringInfo, and nobody else can make an `internal` value; reading
    // to the end moves the cursor there, which PostgreSQL checks.
    unsafe {
        let length = (*buffer).len - (*buffer).cursor;
        let bytes = pg_sys::pq_getmsgbytes(buffer, length);
        std::slice::from_raw_parts(bytes.cast(), length as usize)
    }
}

/// Declares the functions that PostgreSQL calls to read and write a type (`types.sql` names them).
macro_rules! input_output {
    ($input:ident, $output:ident, $receive:ident, $type:ty, $sql:literal, $check_length:path, |$text:ident| $parse:expr, |$value:ident| $print:expr) => {
        #[pg_extern(sql = false)]
        fn $input(input: &CStr) -> $type {
            read_text($sql, input, $check_length, |$text| $parse)
        }

        #[pg_extern(sql = false)]
        fn $output($value: $type) -> RawDatum {
            write_text($print)
        }

        #[pg_extern(sql = false)]
        fn $receive(message: Internal) -> $type {
            <$type>::from_bytes(message_bytes(message)).or_raise()
        }
    };
}

input_output!(
    purchase_history_in,
    purchase_history_out,
    purchase_history_recv,
    PurchaseHistory,
    "purchase_history",
    json::check_length,
    |text| text.parse(),
    |history| &history
);
input_output!(
    engagement_history_in,
    engagement_history_out,
    engagement_history_recv,
    EngagementHistory,
    "engagement_history",
    json::check_length,
    |text| text.parse(),
    |history| &history
);
input_output!(
    contact_history_in,
    contact_history_out,
    contact_history_recv,
    ContactHistory,
    "contact_history",
    json::check_length,
    |text| text.parse(),
    |history| &history
);
input_output!(
    membership_history_in,
    membership_history_out,
    membership_history_recv,
    MembershipHistory,
    "membership_history",
    json::check_length,
    |text| text.parse(),
    |history| &history
);
input_output!(
    segment_policy_in,
    segment_policy_out,
    segment_policy_recv,
    SegmentPolicy,
    "segment_policy",
    canonical::check_length,
    |text| Document::parse(text).map(SegmentPolicy::from),
    |policy| policy.document()
);
input_output!(
    purchase_model_in,
    purchase_model_out,
    purchase_model_recv,
    Model,
    "purchase_model",
    canonical::check_length,
    |text| PurchaseModel::parse(text).map(Model::from),
    |model| &*model
);
input_output!(
    scenario_in,
    scenario_out,
    scenario_recv,
    Scenario,
    "scenario",
    canonical::check_length,
    |text| Scenario::parse(text),
    |scenario| &scenario
);

extension_sql_file!(
    "types.sql",
    name = "types",
    creates = [
        Type(PurchaseHistory),
        Type(EngagementHistory),
        Type(ContactHistory),
        Type(MembershipHistory),
        Type(SegmentPolicy),
        Type(Model),
        Type(Scenario)
    ]
);

#[pg_extern(immutable, strict, parallel_safe, cost = 20)]
fn purchase_history_plus(h1: PurchaseHistory, h2: PurchaseHistory) -> PurchaseHistory {
    h1.merge(h2).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 20)]
fn engagement_history_plus(e1: EngagementHistory, e2: EngagementHistory) -> EngagementHistory {
    e1.merge(&e2).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 20)]
fn contact_history_plus(c1: ContactHistory, c2: ContactHistory) -> ContactHistory {
    c1.merge(&c2).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 20)]
fn membership_history_plus(m1: MembershipHistory, m2: MembershipHistory) -> MembershipHistory {
    m1.merge(&m2).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn no_engagement() -> EngagementHistory {
    EngagementHistory::default()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 1000)]
fn segment_policy_overlay(base: SegmentPolicy, over: SegmentPolicy) -> SegmentPolicy {
    base.document().overlay(over.document()).or_raise().into()
}

extension_sql_file!(
    "operators.sql",
    name = "operators",
    requires = [
        "types",
        purchase_history_plus,
        engagement_history_plus,
        contact_history_plus,
        membership_history_plus,
        segment_policy_overlay
    ]
);
