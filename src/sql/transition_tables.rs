//! The rows that were written, as tables `old_rows` and `new_rows` that a query can name, like the transition tables of a trigger.

use std::ffi::{CStr, CString};

use pgrx::prelude::*;
use pgrx::{PgRelation, pg_sys};

use super::error::{OrRaise, raise};
use super::row_writer::Row;
use crate::error::{Error, ErrorKind};

/// Rows of a relation before and after they were written.
pub struct TransitionTables {
    old: TransitionTable,
    new: TransitionTable,
}

struct TransitionTable {
    name: &'static CStr,
    rows: *mut pg_sys::Tuplestorestate,
    count: usize,
}

impl TransitionTables {
    /// Two tables without rows, which use `work_mem` each, and then files.
    ///
    /// # Safety
    /// In a transaction; they live in the current memory context.
    pub unsafe fn open() -> TransitionTables {
        let [old, new] = [c"old_rows", c"new_rows"].map(|name| {
            // SAFETY: the caller promises the transaction.
            let rows = unsafe { pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem) };
            TransitionTable { name, rows, count: 0 }
        });
        TransitionTables { old, new }
    }

    /// Keeps a row as it was before, as it is now, or both.
    ///
    /// # Safety
    /// The rows must be of the relation.
    pub unsafe fn put(&mut self, relation: &PgRelation, old: Option<Row>, new: Option<Row>) {
        for (table, row) in [(&mut self.old, old), (&mut self.new, new)] {
            let Some((values, nulls)) = row else { continue };
            // SAFETY: the caller promises the row, which is copied and not changed.
            unsafe {
                let columns = (*relation.as_ptr()).rd_att;
                pg_sys::tuplestore_putvalues(
                    table.rows,
                    columns,
                    values.as_ptr().cast_mut(),
                    nulls.as_ptr().cast_mut(),
                );
            }
            table.count += 1;
        }
    }

    /// Runs a SELECT of one text that names the tables.
    ///
    /// # Safety
    /// Connected to SPI; the relation must be the one that the rows are of, and locked.
    pub unsafe fn ask(&self, relation: &PgRelation, query: &str) -> Option<String> {
        let query = CString::new(query)
            .map_err(|_| Error::new(ErrorKind::InvalidParameter, "the query holds a zero byte"))
            .or_raise();
        // SAFETY: what is registered lives in SPI's memory, which is freed when the connection ends and they are forgotten.
        unsafe {
            for table in [&self.old, &self.new] {
                pg_sys::SPI_register_relation(table.named(relation));
            }
            let done = pg_sys::SPI_execute(query.as_ptr(), true, 2);
            let is_one_row = done == pg_sys::SPI_OK_SELECT as i32 && pg_sys::SPI_processed == 1;
            let answer = is_one_row.then(|| (*(*pg_sys::SPI_tuptable).vals, (*pg_sys::SPI_tuptable).tupdesc));
            let is_text = |columns: pg_sys::TupleDesc| {
                (*columns).natts == 1 && pg_sys::SPI_gettypeid(columns, 1) == pg_sys::TEXTOID
            };
            let Some((row, columns)) = answer.filter(|&(_, columns)| is_text(columns)) else {
                raise(Error::new(
                    ErrorKind::InvalidParameter,
                    "the query over the rows written returns no single text",
                ));
            };
            let mut is_null = false;
            let text = pg_sys::SPI_getbinval(row, columns, 1, &raw mut is_null);
            String::from_datum(text, is_null)
        }
    }
}

impl TransitionTable {
    /// What PostgreSQL has to know to find it by its name.
    ///
    /// # Safety
    /// Connected to SPI.
    unsafe fn named(&self, relation: &PgRelation) -> pg_sys::EphemeralNamedRelation {
        // SAFETY: palloc0 gives memory of the size asked for, filled with zeros; the name is constant.
        unsafe {
            let size = size_of::<pg_sys::EphemeralNamedRelationData>();
            let named: pg_sys::EphemeralNamedRelation = pg_sys::palloc0(size).cast();
            (*named).md = pg_sys::EphemeralNamedRelationMetadataData {
                name: self.name.as_ptr().cast_mut(),
                reliddesc: relation.oid(),
                tupdesc: std::ptr::null_mut(),
                enrtype: pg_sys::EphemeralNameRelationType::ENR_NAMED_TUPLESTORE,
                enrtuples: self.count as f64,
            };
            (*named).reldata = self.rows.cast();
            named
        }
    }
}
