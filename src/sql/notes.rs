//! Notes of customers whose rows changed, as the trigger function of a tracked segmentation writes them.
//!
//! That function runs with the rights of the segmentation's owner whenever somebody writes the shop's tables. Were it to name
//! the table of notes, whoever owns the schema could put another one there, with a trigger that then runs with these rights. So
//! the table is opened by its oid, locked, and checked before it is written. It is written below the level of triggers, rules
//! and defaults.

use std::ffi::{CStr, c_char, c_int};

use pgrx::prelude::*;
use pgrx::{PgRelation, PgTupleDesc, pg_sys};

use super::call::argument;
use super::datum::RawDatum;
use super::error::raise;
use crate::error::{Error, ErrorKind};

/// The table of notes with this oid, locked for writing until the transaction ends, so that nobody drops or changes it.
/// `None` where it is not there, or not a plain table of the current user's.
fn held(notes: pg_sys::Oid) -> Option<PgRelation> {
    const LOCK: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: the relation is open as long as the PgRelation lives, and its row of pg_class with it.
    unsafe {
        let relation = pg_sys::try_relation_open(notes, LOCK);
        if relation.is_null() {
            return None;
        }
        // Dropping it closes the relation and leaves the lock.
        let relation = PgRelation::from_pg_owned(relation);
        let class = &*relation.rd_rel;
        let is_plain = class.relkind == pg_sys::RELKIND_RELATION as c_char
            && class.relpersistence == pg_sys::RELPERSISTENCE_PERMANENT as c_char
            && !class.relhasindex; // an index would have to be written too
        (is_plain && class.relowner == pg_sys::GetUserId()).then_some(relation)
    }
}

/// (notes oid, owner oid): whether the notes can be written.
#[pg_extern(sql = false)]
fn lock_and_check_notes(notes: pg_sys::Oid, owner: pg_sys::Oid) -> bool {
    // SAFETY: it only reads who the current user is.
    owner == unsafe { pg_sys::GetUserId() } && held(notes).is_some()
}

/// (relation oid, names, types): whether a table has columns of these names, each of the type that stands at its place. A trigger
/// asks at every statement: a query over the catalog would take longer than the note. No lock stays: anybody may ask.
#[pg_extern(sql = false)]
fn has_columns(relation: pg_sys::Oid, names: Array<&str>, types: Array<&str>) -> bool {
    const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: the descriptor is copied before the relation is closed; format_type_be makes a string for every type.
    unsafe {
        let opened = pg_sys::try_relation_open(relation, LOCK);
        if opened.is_null() {
            return false;
        }
        let columns = PgTupleDesc::from_pg_copy((*opened).rd_att);
        pg_sys::relation_close(opened, LOCK);
        names.len() == types.len()
            && names.iter().zip(types.iter()).all(|(name, of_type)| {
                columns.iter().any(|column| {
                    !column.attisdropped
                        && Some(column.name()) == name
                        && CStr::from_ptr(pg_sys::format_type_be(column.atttypid)).to_str().ok() == of_type
                })
            })
    }
}

/// (notes oid, source, day, key, ...): writes one row, which source changed from which day on and the key of a customer; without a
/// key everybody is meant.
#[pg_extern(sql = false)]
fn note_customer(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: notes.sql declares (oid, text, date, any, ...); the relation is open while its slot and descriptor are used.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(c"_note()".as_ptr());
        let notes = argument(fcinfo, 0).and_then(|notes| held(pg_sys::Oid::from(notes.value() as u32)));
        let Some(notes) = notes.filter(|notes| takes(notes, fcinfo)) else {
            raise(
                Error::new(
                    ErrorKind::InvalidParameter,
                    "this is no table of notes with such keys of the current user's",
                )
                .hint("_note is a part of segmentations, and called by their trigger functions only."),
            )
        };
        let slot = pg_sys::table_slot_create(notes.as_ptr(), std::ptr::null_mut());
        let given = (*fcinfo).nargs as usize - 1;
        let columns = (*(*slot).tts_tupleDescriptor).natts as usize;
        let noted_at = pg_sys::Datum::from(pg_sys::GetCurrentTransactionStartTimestamp());
        for column in 0..columns {
            let value = match column {
                column if column < given => argument(fcinfo, column + 1),
                column if column == columns - 1 => Some(noted_at),
                _ => None,
            };
            (*slot).tts_values.add(column).write(value.unwrap_or(pg_sys::Datum::null()));
            (*slot).tts_isnull.add(column).write(value.is_none());
        }
        pg_sys::ExecStoreVirtualTuple(slot);
        pg_sys::simple_table_tuple_insert(notes.as_ptr(), slot);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        Some(RawDatum(pg_sys::Datum::null()))
    }
}

/// Whether the table has a column for the source, the day and each key of the call, of its type, one more, and a last one for the time.
///
/// # Safety
/// `fcinfo` must be a live call frame of `note_customer`.
unsafe fn takes(notes: &PgRelation, fcinfo: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: the caller promises the call frame.
    unsafe {
        let (function, arguments) = ((*fcinfo).flinfo, (*fcinfo).nargs as c_int);
        let columns = notes.tuple_desc();
        let fits = |given: c_int| {
            let column = columns.get(given as usize - 1).expect("as many columns as arguments");
            let type_given = pg_sys::get_fn_expr_argtype(function, given);
            !column.attisdropped && pg_sys::getBaseType(column.atttypid) == pg_sys::getBaseType(type_given)
        };
        let has_time =
            |last: &pg_sys::FormData_pg_attribute| !last.attisdropped && last.atttypid == pg_sys::TIMESTAMPTZOID;
        if !columns.iter().last().is_some_and(has_time) {
            return false;
        }
        if arguments == 2 {
            return columns.len() > 3 && fits(1);
        }
        columns.len() as c_int == arguments + 1 && !pg_sys::get_fn_expr_variadic(function) && (1..arguments).all(fits)
    }
}

extension_sql_file!("notes.sql", name = "notes");
