//! Tells who changed while rows of a materialized view are written: rows of the table NAME_changes of a segmentation.

use std::ffi::{CStr, c_char};

use pgrx::datum::Date;
use pgrx::prelude::*;
use pgrx::{PgRelation, pg_sys};

use super::error::raise_as;
use super::row_writer::{Row, RowWriter};

/// What a column of the table is filled with.
#[derive(Clone, Copy, PartialEq)]
enum Filling {
    ChangeId,
    ChangedAt,
    AsOf,
    What,
    FromValue,
    ToValue,
    /// A column of the view with the same name and type: of its key.
    Key(usize),
    /// A column that somebody else has added.
    Nothing,
}

/// The columns that every such table has, beside those of the key.
const COLUMNS: [(&str, pg_sys::Oid, Filling); 6] = [
    ("change_id", pg_sys::INT8OID, Filling::ChangeId),
    ("changed_at", pg_sys::TIMESTAMPTZOID, Filling::ChangedAt),
    ("as_of", pg_sys::DATEOID, Filling::AsOf),
    ("what", pg_sys::TEXTOID, Filling::What),
    ("from_value", pg_sys::TEXTOID, Filling::FromValue),
    ("to_value", pg_sys::TEXTOID, Filling::ToValue),
];

/// A table of who changed, open for writing.
pub struct ChangesTable {
    table: RowWriter,
    columns: Vec<Filling>,
    /// The places of the columns of the view that are watched, with their names as text.
    watched: Vec<(usize, pg_sys::Datum)>,
    /// The sequence of the ids.
    ids: pg_sys::Oid,
    changed_at: pg_sys::Datum,
    as_of: Option<pg_sys::Datum>,
}

impl ChangesTable {
    /// Opens a table of the current user's for the columns `watched` of a view, locked for writing until the transaction ends.
    /// Another relation in its place, or one that lacks a column, is an error.
    ///
    /// # Safety
    /// In a transaction; everything lives in the current memory context.
    pub unsafe fn open(
        table: pg_sys::Oid,
        ids: Option<pg_sys::Oid>,
        view: &PgRelation,
        watched: &[Option<&str>],
        as_of: Date,
    ) -> ChangesTable {
        // SAFETY: the caller promises the transaction.
        let table = unsafe { locked(table) };
        let place_in_view = |name: &str, of_type: pg_sys::Oid| {
            view.tuple_desc()
                .iter()
                .position(|column| !column.attisdropped && column.name() == name && column.atttypid == of_type)
        };
        let columns: Vec<_> = table
            .tuple_desc()
            .iter()
            .map(|column| {
                let own =
                    COLUMNS.iter().find(|(name, of_type, _)| column.name() == *name && column.atttypid == *of_type);
                match own {
                    _ if column.attisdropped => Filling::Nothing,
                    Some((_, _, filling)) => *filling,
                    None => place_in_view(column.name(), column.atttypid).map_or(Filling::Nothing, Filling::Key),
                }
            })
            .collect();
        let watched: Option<Vec<_>> =
            watched.iter().map(|&name| Some((place_in_view(name?, pg_sys::TEXTOID)?, name.into_datum()?))).collect();
        let is_complete = COLUMNS.iter().all(|(_, _, filling)| columns.contains(filling));
        let (Some(watched), Some(ids), true) = (watched, ids, is_complete) else {
            raise_as(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("\"{}\" is no table of who changed in \"{}\"", table.name(), view.name()),
                Some("Drop it: the next refresh_segmentation makes it anew.".into()),
            )
        };
        // SAFETY: the caller promises the transaction, and that it is written in it.
        let (table, now) = unsafe { (RowWriter::open(table), pg_sys::GetCurrentTimestamp()) };
        ChangesTable { table, columns, watched, ids, changed_at: pg_sys::Datum::from(now), as_of: as_of.into_datum() }
    }

    /// Writes a row for each watched column that is another in the new row of the view than in the old one; without one of them
    /// the customer came or went.
    ///
    /// # Safety
    /// The rows must be of the view.
    pub unsafe fn tell(&mut self, old: Option<Row>, new: Option<Row>) {
        let Some(keys) = new.or(old) else { return };
        for &(column, what) in &self.watched {
            // SAFETY: `open` has looked whether the column is text.
            let [from, to] = [old, new].map(|row| unsafe { text(row, column) });
            if from == to {
                continue;
            }
            let value = |filling: &Filling| match *filling {
                // SAFETY: it is PostgreSQL's own function, and refuses what is no sequence.
                Filling::ChangeId => unsafe {
                    pgrx::direct_function_call_as_datum(pg_sys::nextval_oid, &[self.ids.into_datum()])
                },
                Filling::ChangedAt => Some(self.changed_at),
                Filling::AsOf => self.as_of,
                Filling::What => Some(what),
                Filling::FromValue => at(old, column),
                Filling::ToValue => at(new, column),
                Filling::Key(column) => at(Some(keys), column),
                Filling::Nothing => None,
            };
            let (values, nulls): (Vec<_>, Vec<_>) = self
                .columns
                .iter()
                .map(value)
                .map(|value| (value.unwrap_or(pg_sys::Datum::null()), value.is_none()))
                .unzip();
            // SAFETY: they are of the types of the columns.
            unsafe { self.table.insert((&values, &nulls)) };
        }
    }

    /// Closes everything but the lock.
    ///
    /// # Safety
    /// In the transaction it was opened in.
    pub unsafe fn close(self) {
        // SAFETY: the caller promises the transaction.
        unsafe { self.table.close() };
    }
}

/// A value of a row; `None` is NULL, or no row.
fn at(row: Option<Row>, column: usize) -> Option<pg_sys::Datum> {
    row.and_then(|(values, nulls)| (!nulls[column]).then(|| values[column]))
}

/// A text of a row.
///
/// # Safety
/// The column must be text.
unsafe fn text(row: Option<Row>, column: usize) -> Option<String> {
    // SAFETY: the caller promises the type.
    at(row, column).and_then(|value| unsafe { String::from_datum(value, false) })
}

/// A plain table of the current user's, locked for writing until the transaction ends and then checked.
///
/// # Safety
/// In a transaction.
unsafe fn locked(table: pg_sys::Oid) -> PgRelation {
    // SAFETY: the relation is open as long as the PgRelation lives, and its row of pg_class with it.
    unsafe {
        let relation = pg_sys::try_relation_open(table, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
        if relation.is_null() {
            let message = format!("there is no table with oid {}", table.to_u32());
            raise_as(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, message, Some("It may have been dropped.".into()));
        }
        let relation = PgRelation::from_pg_owned(relation);
        let class = &*relation.rd_rel;
        let name = CStr::from_ptr(class.relname.data.as_ptr()).to_string_lossy();
        if class.relkind != pg_sys::RELKIND_RELATION as c_char {
            let message = format!("\"{name}\" is no table");
            raise_as(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, message, Some("Name the table of who changed.".into()));
        } else if class.relowner != pg_sys::GetUserId() {
            let message = format!("\"{name}\" belongs to somebody else");
            let hint = "Only its owner writes its rows: SET ROLE to that role.".to_owned();
            raise_as(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message, Some(hint));
        }
        relation
    }
}
