//! Core values to and from datums. The `unsafe` here rests on one fact: PostgreSQL calls a function with datums of the
//! types that its declaration names. Most declarations are generated from these very Rust types; those of functions with
//! `sql = false` stand in the SQL file that the function names.

use std::ffi::CStr;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::nullable::Nullable;
use pgrx::pg_sys::{self, Oid};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum};

use super::error::{OrRaise, raise};
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::membership::Membership;
use crate::memory;

/// Lets functions take and return a Rust type that has `FromDatum` and `IntoDatum` as the SQL type `$sql`.
macro_rules! sql_type {
    ($type:ty, $sql:literal, $origin:ident) => {
        // SAFETY: the FromDatum and IntoDatum of the type read and write datums of this SQL type.
        unsafe impl SqlTranslatable for $type {
            const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!($type);
            const TYPE_ORIGIN: TypeOrigin = TypeOrigin::$origin;
            const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal($sql));
            const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
                Ok(ReturnsRef::One(SqlMappingRef::literal($sql)));
        }

        // SAFETY: as above.
        unsafe impl<'fcx> ArgAbi<'fcx> for $type {
            unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
                $crate::sql::memory::ensure_reserve();
                // SAFETY: the caller promises an argument of this type that is not NULL.
                unsafe { arg.unbox_arg_using_from_datum() }.expect("the function is strict or takes an Option")
            }

            unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
                $crate::sql::memory::ensure_reserve();
                // SAFETY: the caller promises an argument of this type.
                unsafe { arg.unbox_arg_using_from_datum() }.into()
            }
        }

        // SAFETY: IntoDatum makes a datum of this SQL type.
        unsafe impl BoxRet for $type {
            unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
                match self.into_datum() {
                    // SAFETY: as above.
                    Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
                    None => fcinfo.return_null(),
                }
            }
        }
    };
}

pub(super) use sql_type;

/// A datum that a function returns as it is, because it declares itself in hand-written SQL.
pub struct RawDatum(pub pg_sys::Datum);

// SAFETY: never used to declare a function: such functions have `sql = false`.
unsafe impl SqlTranslatable for RawDatum {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(RawDatum);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> = Err(ArgumentError::Datum);
    const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("internal")));
}

// SAFETY: whoever makes a RawDatum promises that it has the type of the declaration.
unsafe impl BoxRet for RawDatum {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: as above.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

/// Whether a varlena is its bytes: neither compressed nor kept elsewhere.
///
/// # Safety
/// `pointer` must be to a varlena.
unsafe fn is_plain(pointer: *mut pg_sys::varlena) -> bool {
    // SAFETY: the caller promises a varlena.
    unsafe {
        let is_short = pgrx::varlena::varatt_is_1b(pointer) && !pgrx::varlena::varatt_is_1b_e(pointer);
        is_short || pgrx::varlena::varatt_is_4b_u(pointer)
    }
}

/// The bytes of a varlena datum, detoasted where that is needed.
///
/// # Safety
/// `datum` must be a varlena that is not NULL; the bytes live as long as the datum or the current memory context,
/// whichever ends first.
pub unsafe fn varlena_bytes<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    let mut pointer: *mut pg_sys::varlena = datum.cast_mut_ptr();
    // SAFETY: the caller promises a varlena; what is neither short nor plain is detoasted before it is read.
    unsafe {
        if !is_plain(pointer) {
            pointer = pg_sys::pg_detoast_datum_packed(pointer);
        }
        let length = pgrx::varlena::varsize_any_exhdr(pointer);
        std::slice::from_raw_parts(pgrx::varlena::vardata_any(pointer).cast(), length)
    }
}

/// The bytes of a varlena datum as they stand in a row where they are compressed; `None` where they are not.
///
/// # Safety
/// As [`varlena_bytes`].
pub unsafe fn compressed_bytes<'a>(datum: pg_sys::Datum) -> Option<&'a [u8]> {
    let pointer: *mut pg_sys::varlena = datum.cast_mut_ptr();
    // SAFETY: the caller promises a varlena, which is as long as it says.
    unsafe {
        pgrx::varlena::varatt_is_4b_c(pointer)
            .then(|| std::slice::from_raw_parts(pointer.cast(), pgrx::varlena::varsize_4b(pointer)))
    }
}

/// A new varlena with these bytes, in the current memory context.
pub fn new_varlena(bytes: &[u8]) -> pg_sys::Datum {
    const HEADER: usize = pg_sys::VARHDRSZ;
    // 1 GB, the most one varlena can hold.
    const LIMIT: usize = 0x3fff_ffff;
    let size = bytes.len() + HEADER;
    if size > LIMIT {
        raise(Error::new(ErrorKind::LimitExceeded, format!("a value of {size} bytes is larger than {LIMIT}")));
    }
    // SAFETY: palloc returns `size` writable bytes or does not return.
    unsafe {
        let pointer = pg_sys::palloc(size).cast::<u8>();
        pgrx::varlena::set_varsize_4b(pointer.cast(), size as i32);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), pointer.add(HEADER), bytes.len());
        pg_sys::Datum::from(pointer)
    }
}

/// Refuses a value that takes more than so many bytes, before it is detoasted.
///
/// # Safety
/// `datum` must be a varlena that is not NULL.
pub unsafe fn check_size(what: &str, datum: pg_sys::Datum, most: usize) {
    let pointer = datum.cast_mut_ptr::<pg_sys::varlena>();
    // SAFETY: the caller promises a varlena; only what is toasted needs a call to know its size.
    let size = unsafe {
        if is_plain(pointer) { pgrx::varlena::varsize_any(pointer) } else { pg_sys::toast_raw_datum_size(datum) }
    };
    if size > most {
        let message = format!("{what} take at most {most} bytes, not {size}");
        raise(Error::new(ErrorKind::LimitExceeded, message).hint("Write only what is needed."));
    }
}

/// The most bytes of a small document or list that is an argument.
pub const MAX_DOCUMENT_BYTES: usize = crate::json::canonical::MAX_BYTES;

/// The most bytes of a list of channels: so many short names that copies of all of them fit into the reserve of memory.
const MAX_CHANNELS_BYTES: usize = 5 * MAX_DOCUMENT_BYTES;

/// The text of a `jsonb`. Not [`pgrx::JsonB`], which panics where JSON is nested more deeply than serde_json reads.
///
/// # Safety
/// `datum` must be a `jsonb` that is not NULL; the text lives as long as the current memory context.
pub unsafe fn jsonb_text<'a>(what: &str, datum: pg_sys::Datum) -> &'a str {
    // SAFETY: the caller promises a jsonb; jsonb_out makes a string in the current memory context.
    let text = unsafe {
        check_size(what, datum, MAX_DOCUMENT_BYTES);
        pgrx::direct_function_call::<&CStr>(pg_sys::jsonb_out, &[Some(datum)])
    };
    let text = text
        .and_then(|text| text.to_str().ok())
        .unwrap_or_else(|| raise(Error::new(ErrorKind::InvalidParameter, format!("{what} must be in UTF-8"))));
    // A number of a few bytes can have a hundred thousand digits.
    crate::json::canonical::check_length(what, text.len()).or_raise();
    text
}

/// A new C string with these bytes, none of them zero, in the current memory context.
pub fn new_cstring(bytes: &[u8]) -> pg_sys::Datum {
    if bytes.contains(&0) {
        raise(Error::new(ErrorKind::InvalidText, "a zero byte cannot be written as text"));
    }
    // SAFETY: palloc returns room for the bytes and the zero, or does not return.
    unsafe {
        let pointer = pg_sys::palloc(bytes.len() + 1).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), pointer, bytes.len());
        pointer.add(bytes.len()).write(0);
        pg_sys::Datum::from(pointer)
    }
}

/// JSON as a `jsonb`.
pub fn new_jsonb(json: &serde_json::Value) -> Option<pg_sys::Datum> {
    let text = new_cstring(&memory::text(json));
    // SAFETY: jsonb_in takes a C string.
    unsafe { pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(text)]) }
}

/// JSON that a function returns as a `jsonb`. Not [`pgrx::JsonB`], whose text ends the process where it finds no memory.
pub struct Jsonb(pub serde_json::Value);

// SAFETY: it is returned as a datum of this SQL type.
unsafe impl SqlTranslatable for Jsonb {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Jsonb);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

// SAFETY: new_jsonb makes a datum of this SQL type.
unsafe impl BoxRet for Jsonb {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        match new_jsonb(&self.0) {
            // SAFETY: as above.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

/// The channels over which a customer can be reached: a `text[]`, in which NULL is none.
pub struct Channels(pub Vec<String>);

impl FromDatum for Channels {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the argument is declared as text[].
        let names = unsafe {
            check_size("channels", datum, MAX_CHANNELS_BYTES);
            pgrx::Array::<&str>::from_datum(datum, false)?
        };
        let mut channels = Vec::new();
        memory::reserve(&mut channels, names.len());
        channels.extend(names.iter().flatten().map(str::to_owned));
        Some(Channels(channels))
    }
}

impl IntoDatum for Channels {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        self.0.into_datum()
    }

    fn type_oid() -> Oid {
        pg_sys::TEXTARRAYOID
    }
}

sql_type!(Channels, "text[]", External);

/// A `date` that is not infinite.
///
/// # Errors
/// [`ErrorKind::DayOutOfRange`] for an infinite one.
pub fn finite_day(days: i32) -> Result<Day> {
    match days {
        i32::MIN | i32::MAX => {
            let sign = if days < 0 { "-" } else { "" };
            Err(Error::new(ErrorKind::DayOutOfRange, format!("day must be finite, not {sign}infinity"))
                .hint("Leave out rows with placeholder dates, and ask for a day such as CURRENT_DATE."))
        }
        days => Ok(Day(days)),
    }
}

impl FromDatum for Day {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: Oid) -> Option<Self> {
        (!is_null).then(|| finite_day(datum.value() as i32).or_raise())
    }
}

impl IntoDatum for Day {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        self.0.into_datum()
    }

    fn type_oid() -> Oid {
        pg_sys::DATEOID
    }
}

sql_type!(Day, "date", External);

impl FromDatum for Membership {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: Oid) -> Option<Self> {
        // SAFETY: the argument is declared as text.
        (!is_null).then(|| Membership::parse(&String::from_utf8_lossy(unsafe { varlena_bytes(datum) })).or_raise())
    }
}

impl IntoDatum for Membership {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        self.name().into_datum()
    }

    fn type_oid() -> Oid {
        pg_sys::TEXTOID
    }
}

sql_type!(Membership, "text", External);
