//! Notes of customers whose rows changed, as the trigger function of a tracked segmentation writes them.
//!
//! That function runs with the rights of the segmentation's owner whenever somebody writes the shop's tables. Were it to name
//! the table of notes, whoever owns the schema could put another one there, with a trigger that then runs with these rights. So
//! the table is opened by its oid, locked, and checked before it is written. It is written below the level of triggers, rules
//! and defaults.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int};
use std::ptr::null_mut;

use pgrx::prelude::*;
use pgrx::{IntoDatum, PgMemoryContexts, PgRelation, PgTupleDesc, pg_sys};

use super::call::{aggregate_context, argument, read};
use super::datum::RawDatum;
use super::error::raise;
use super::key_column::KeyColumn;
use crate::error::{Error, ErrorKind};
use crate::memory;

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

/// (notes oid, source): notes everybody, by a row without a key.
#[pg_extern(sql = false)]
fn note_everybody(notes: pg_sys::Oid, source: &str) {
    // SAFETY: the relation is open while it is written.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(c"_note_everybody()".as_ptr());
        let table = table_of_notes(notes, |columns| columns.len() > 3 && columns[0] == pg_sys::TEXTOID);
        write_everybody(table.as_ptr(), source);
    }
}

/// Writes a row without a key.
///
/// # Safety
/// It must be a table of notes that is open and locked.
unsafe fn write_everybody(table: pg_sys::Relation, source: &str) {
    // SAFETY: the caller promises the table.
    unsafe {
        let slot = pg_sys::table_slot_create(table, null_mut());
        fill(slot, source.into_datum(), None, &[]);
        pg_sys::simple_table_tuple_insert(table, slot);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
    }
}

/// (customers): up to how many of so many customers are evaluated by themselves: more of them take longer than everybody together.
#[pg_extern(sql = false)]
fn few(customers: i64) -> i64 {
    1000 + customers / 10
}

/// Of how many customers of a table a statement may change something before everybody is noted: a refresh evaluates everybody then
/// anyway, and reads all rows about as fast. A table that was never analyzed, or is none, sets no limit.
fn few_of(customers: Option<pg_sys::Oid>) -> usize {
    // SAFETY: a row of pg_class is live until it is released.
    let rows = customers.and_then(|table| unsafe {
        let class = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as c_int, table.into());
        if class.is_null() {
            return None;
        }
        let rows = (*pg_sys::heap_tuple_get_struct::<pg_sys::FormData_pg_class>(class)).reltuples;
        pg_sys::ReleaseSysCache(class);
        (rows >= 0.0).then_some(rows as i64)
    });
    rows.map_or(usize::MAX, |rows| few(rows) as usize)
}

/// (state, notes oid, customers oid, source, day, key, ...): notes that source changed of a customer from a day on.
#[pg_extern(sql = false)]
fn note_customer(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: notes.sql declares (internal, oid, oid, text, date, any, ...), and the aggregate passes what this returned before.
    unsafe {
        let context = aggregate_context(fcinfo);
        let noted: *mut Noted = match argument(fcinfo, 0) {
            Some(noted) => noted.cast_mut_ptr(),
            None => PgMemoryContexts::For(context).leak_and_drop_on_delete(Noted::new(fcinfo, context)),
        };
        (*noted).add(fcinfo);
        Some(RawDatum(pg_sys::Datum::from(noted)))
    }
}

/// (state): writes a row for each customer noted.
#[pg_extern(sql = false)]
fn write_notes(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: the aggregate passes what note_customer returned.
    unsafe {
        aggregate_context(fcinfo);
        if let Some(noted) = argument(fcinfo, 0) {
            (*noted.cast_mut_ptr::<Noted>()).close();
        }
    }
    None
}

/// How many rows are written at once.
const ROWS_AT_ONCE: usize = 1000;

/// The customers of whom a statement changed something, each once as long as work_mem lasts.
struct Noted {
    /// Not a PgRelation, which would close it after an error, when PostgreSQL has.
    table: pg_sys::Relation,
    source: String,
    keys: Vec<KeyColumn>,
    /// The first day that changed, by key; `None` where none is known.
    days: HashMap<Vec<u64>, Option<pg_sys::DateADT>>,
    /// Of how many more customers notes are taken before everybody is noted; `None`: everybody is.
    left: Option<usize>,
    /// Bytes that these take, and how many they may.
    held: usize,
    most: usize,
    slots: Vec<*mut pg_sys::TupleTableSlot>,
    /// Where this and the slots live.
    context: pg_sys::MemoryContext,
}

impl Noted {
    /// Nobody yet; the table is open until `close`.
    ///
    /// # Safety
    /// `fcinfo` must be a live call frame of `note_customer`.
    unsafe fn new(fcinfo: pg_sys::FunctionCallInfo, context: pg_sys::MemoryContext) -> Noted {
        // SAFETY: the caller promises the call frame; what is made here lives in the context.
        unsafe {
            pg_sys::PreventCommandIfReadOnly(c"_note_customers()".as_ptr());
            let types: Vec<_> = (3..(*fcinfo).nargs as c_int)
                .map(|given| pg_sys::getBaseType(pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, given)))
                .collect();
            let is_variadic = pg_sys::get_fn_expr_variadic((*fcinfo).flinfo);
            let notes = read(fcinfo, 1).unwrap_or(pg_sys::InvalidOid);
            let table =
                table_of_notes(notes, |columns| !is_variadic && columns.strip_suffix(&LAST_COLUMNS) == Some(&types));
            let keys = types[2..].iter().map(|&of_type| KeyColumn::new(of_type).unwrap_or_else(|| refuse()));
            Noted {
                source: read(fcinfo, 3).unwrap_or_else(|| refuse()),
                keys: keys.collect(),
                days: HashMap::new(),
                left: Some(few_of(read(fcinfo, 2))),
                held: 0,
                most: pg_sys::work_mem as usize * 1024,
                slots: Vec::new(),
                context,
                table: pg_sys::relation_open(table.oid(), pg_sys::NoLock as pg_sys::LOCKMODE),
            }
        }
    }

    /// Notes the customer of a call.
    ///
    /// # Safety
    /// `fcinfo` must be a live call frame of `note_customer` with the types of the first call.
    unsafe fn add(&mut self, fcinfo: pg_sys::FunctionCallInfo) {
        let Some(left) = self.left else { return };
        let mut key = Vec::new();
        for (place, column) in self.keys.iter().enumerate() {
            // SAFETY: the caller promises the types.
            unsafe { column.write(argument(fcinfo, place + 5).unwrap_or_else(|| refuse()), &mut key) };
        }
        // SAFETY: as above.
        let day = unsafe { argument(fcinfo, 4) }.map(|day| day.value() as pg_sys::DateADT);
        if let Some(known) = self.days.get_mut(&key) {
            *known = [*known, day].into_iter().flatten().min();
            return;
        }
        self.left = left.checked_sub(1);
        if self.left.is_none() {
            self.days = HashMap::new();
            return;
        }
        self.held += size_of_val(key.as_slice()) + BYTES_BESIDE_A_KEY;
        memory::entry(&mut self.days, key, day);
        if self.held > self.most {
            // SAFETY: the table is open.
            unsafe { self.write_all() };
        }
    }

    /// Writes the notes to the table, and forgets them.
    ///
    /// # Safety
    /// In the transaction that the table was opened in.
    unsafe fn write_all(&mut self) {
        self.held = 0;
        let mut days = std::mem::take(&mut self.days).into_iter();
        // SAFETY: a table knows how rows are inserted; the slots are of the table, and what is put into them lives until it is
        // written.
        unsafe {
            let command = pg_sys::GetCurrentCommandId(true);
            let insert = (*(*self.table).rd_tableam).multi_insert.expect("every kind of table takes rows");
            let mut memory = PgMemoryContexts::new("notes");
            loop {
                pgrx::check_for_interrupts!();
                let count = memory.switch_to(|_| self.fill_slots(&mut days));
                if count == 0 {
                    break;
                }
                // An error of PostgreSQL's must not jump over what Rust has to free.
                let mut write = || insert(self.table, self.slots.as_mut_ptr(), count as c_int, command, 0, null_mut());
                memory.switch_to(|_| pg_sys::ffi::pg_guard_ffi_boundary(&mut write));
                for &slot in &self.slots[..count] {
                    (*(*slot).tts_ops).clear.expect("every kind of slot can be cleared")(slot);
                }
                memory.reset();
            }
        }
    }

    /// Puts the next notes into slots; returns how many.
    ///
    /// # Safety
    /// As `write_all`.
    unsafe fn fill_slots(&mut self, days: &mut impl Iterator<Item = (Vec<u64>, Option<pg_sys::DateADT>)>) -> usize {
        let source = self.source.as_str().into_datum();
        let mut count = 0;
        for (key, day) in days.take(ROWS_AT_ONCE) {
            // SAFETY: the caller promises the table.
            unsafe {
                if count == self.slots.len() {
                    let slot = PgMemoryContexts::For(self.context)
                        .switch_to(|_| pg_sys::table_slot_create(self.table, null_mut()));
                    self.slots.push(slot);
                }
                let mut rest = key.as_slice();
                let values: Vec<_> = self
                    .keys
                    .iter()
                    .map(|column| {
                        let (value, after) = column.read(rest);
                        rest = after;
                        value
                    })
                    .collect();
                fill(self.slots[count], source, day.map(pg_sys::Datum::from), &values);
            }
            count += 1;
        }
        count
    }

    /// Writes what is left, and closes the table but for its lock.
    ///
    /// # Safety
    /// As `write_all`; nothing may be noted afterwards.
    unsafe fn close(&mut self) {
        // SAFETY: the caller promises the transaction.
        unsafe {
            self.write_all();
            if self.left.is_none() {
                write_everybody(self.table, &self.source);
            }
            for slot in self.slots.drain(..) {
                pg_sys::ExecDropSingleTupleTableSlot(slot);
            }
            pg_sys::relation_close(self.table, pg_sys::NoLock as pg_sys::LOCKMODE);
        }
    }
}

/// What the map and the allocator need for a key, about.
const BYTES_BESIDE_A_KEY: usize = 64;

/// The columns of a table of notes after those of the key: whether it was taken, and when it was noted.
const LAST_COLUMNS: [pg_sys::Oid; 2] = [pg_sys::BOOLOID, pg_sys::TIMESTAMPTZOID];

/// Puts a note into a slot of the table.
///
/// # Safety
/// The values must be of the first columns of the table.
unsafe fn fill(
    slot: *mut pg_sys::TupleTableSlot,
    source: Option<pg_sys::Datum>,
    day: Option<pg_sys::Datum>,
    keys: &[pg_sys::Datum],
) {
    // SAFETY: a slot has room for as many values as its descriptor has columns.
    unsafe {
        let columns = (*(*slot).tts_tupleDescriptor).natts as usize;
        let given = [source, day].into_iter().chain(keys.iter().copied().map(Some)).chain(std::iter::repeat(None));
        for (column, value) in given.take(columns - 1).enumerate() {
            (*slot).tts_values.add(column).write(value.unwrap_or(pg_sys::Datum::null()));
            (*slot).tts_isnull.add(column).write(value.is_none());
        }
        (*slot).tts_values.add(columns - 1).write(pg_sys::GetCurrentTransactionStartTimestamp().into());
        (*slot).tts_isnull.add(columns - 1).write(false);
        pg_sys::ExecStoreVirtualTuple(slot);
    }
}

/// A table of notes that is held, and whose columns, of these base types, take what is noted.
fn table_of_notes(notes: pg_sys::Oid, takes: impl FnOnce(&[pg_sys::Oid]) -> bool) -> PgRelation {
    let table = held(notes).unwrap_or_else(|| refuse());
    // SAFETY: a column that was not dropped has a type.
    let base = |column: &pg_sys::FormData_pg_attribute| unsafe {
        (!column.attisdropped).then(|| pg_sys::getBaseType(column.atttypid))
    };
    let types: Option<Vec<_>> = table.tuple_desc().iter().map(base).collect();
    if types.is_some_and(|types| types.ends_with(&LAST_COLUMNS) && takes(&types)) { table } else { refuse() }
}

fn refuse() -> ! {
    raise(
        Error::new(ErrorKind::InvalidParameter, "this is no table of notes with such keys of the current user's")
            .hint("This function is a part of segmentations, and called by their trigger functions only."),
    )
}

extension_sql_file!("notes.sql", name = "notes");
