//! Writes single rows of a relation below the level of SQL, as logical replication does: the indexes are kept, and readers see what
//! is written like any other change. Triggers are not fired.

use std::ffi::c_char;
use std::ptr::null_mut;

use pgrx::{PgRelation, pg_sys};

use super::error::raise;
use crate::error::{Error, ErrorKind};

/// The values of a row and which of them are NULL, one for each column of its relation.
pub type Row<'a> = (&'a [pg_sys::Datum], &'a [bool]);

/// A relation that is open for writing rows.
pub struct RowWriter {
    /// The relation, which whoever opened it has locked.
    pub relation: PgRelation,
    state: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    /// The row that is there.
    old: *mut pg_sys::TupleTableSlot,
    /// The row that shall be there.
    new: *mut pg_sys::TupleTableSlot,
}

impl RowWriter {
    /// Opens a relation that is locked for writing.
    ///
    /// # Safety
    /// In a transaction; everything lives in the current memory context.
    pub unsafe fn open(relation: PgRelation) -> RowWriter {
        // SAFETY: the relation stays open until `close`; palloc0 gives memory of the size asked for, filled with zeros.
        unsafe {
            let state = pg_sys::CreateExecutorState();
            let target: *mut pg_sys::ResultRelInfo = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            pg_sys::InitResultRelInfo(target, relation.as_ptr(), 0, null_mut(), 0);
            (*target).ri_TrigDesc = null_mut();
            pg_sys::ExecOpenIndices(target, false);
            versions::prepare(state, target);
            let [old, new] = [(); 2].map(|()| pg_sys::table_slot_create(relation.as_ptr(), null_mut()));
            RowWriter { relation, state, target, old, new }
        }
    }

    /// The row at a place, live until the next one is fetched; an error where there is none.
    ///
    /// # Safety
    /// In the transaction it was opened in.
    pub unsafe fn fetch(&self, mut place: pg_sys::ItemPointerData) -> Row<'_> {
        // SAFETY: PostgreSQL looks whether a row is there; a slot has as many values as its descriptor has columns.
        unsafe {
            let any = &raw mut pg_sys::SnapshotAnyData;
            if !pg_sys::table_tuple_fetch_row_version(self.relation.as_ptr(), &raw mut place, any, self.old) {
                raise(Error::new(ErrorKind::InvalidParameter, "a row that is not there cannot be changed"));
            }
            pg_sys::slot_getallattrs(self.old);
            let count = (*(*self.old).tts_tupleDescriptor).natts as usize;
            let values = std::slice::from_raw_parts((*self.old).tts_values, count);
            (values, std::slice::from_raw_parts((*self.old).tts_isnull, count))
        }
    }

    /// Inserts a row. Those of a table are held against its constraints; a materialized view has none.
    ///
    /// # Safety
    /// The values must be of the relation's columns.
    pub unsafe fn insert(&mut self, new: Row) {
        // SAFETY: the caller promises the values; a relation that is open has a row in pg_class.
        unsafe {
            self.fill(new);
            if (*self.relation.rd_rel).relkind == pg_sys::RELKIND_RELATION as c_char {
                versions::insert_into_table(self);
            } else {
                pg_sys::simple_table_tuple_insert(self.relation.as_ptr(), self.new);
                versions::insert_into_indexes(self, false, versions::NEW_ROW);
            }
            self.forget_expressions();
        }
    }

    /// Puts a row of a materialized view in the place of another.
    ///
    /// # Safety
    /// As of `insert` and `delete`.
    pub unsafe fn update(&mut self, mut place: pg_sys::ItemPointerData, new: Row) {
        // SAFETY: the caller promises both.
        unsafe {
            self.fill(new);
            let mut indexes = versions::NO_INDEXES;
            let (view, seen) = (self.relation.as_ptr(), pg_sys::GetActiveSnapshot());
            pg_sys::simple_table_tuple_update(view, &raw mut place, self.new, seen, &raw mut indexes);
            versions::insert_into_indexes(self, true, indexes);
            self.forget_expressions();
        }
    }

    /// Deletes the row at a place of a materialized view.
    ///
    /// # Safety
    /// A row of the relation must be there.
    pub unsafe fn delete(&mut self, mut place: pg_sys::ItemPointerData) {
        // SAFETY: the caller promises the row. Its entries in indexes stay until a vacuum.
        unsafe {
            pg_sys::simple_table_tuple_delete(self.relation.as_ptr(), &raw mut place, pg_sys::GetActiveSnapshot());
        }
    }

    /// Puts values into the slot of the new row.
    ///
    /// # Safety
    /// As many as the relation has columns, and of their types.
    unsafe fn fill(&mut self, (values, nulls): Row) {
        // SAFETY: a slot has room for as many values as its descriptor has columns.
        unsafe {
            let slot = self.new;
            (*(*slot).tts_ops).clear.expect("every kind of slot can be cleared")(slot);
            std::ptr::copy_nonoverlapping(values.as_ptr(), (*slot).tts_values, values.len());
            std::ptr::copy_nonoverlapping(nulls.as_ptr(), (*slot).tts_isnull, nulls.len());
            pg_sys::ExecStoreVirtualTuple(slot);
        }
    }

    /// Frees what expressions of indexes and constraints took.
    ///
    /// # Safety
    /// The relation must be open.
    unsafe fn forget_expressions(&self) {
        // SAFETY: the context is NULL or made by the executor.
        unsafe {
            let context = (*self.state).es_per_tuple_exprcontext;
            if !context.is_null() {
                pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
            }
        }
    }

    /// Closes everything but the lock.
    ///
    /// # Safety
    /// In the transaction it was opened in.
    pub unsafe fn close(self) {
        // SAFETY: all of it was made in `open`.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.old);
            pg_sys::ExecDropSingleTupleTableSlot(self.new);
            pg_sys::ExecCloseIndices(self.target);
            // PostgreSQL makes slots of its own for triggers, even where there are none.
            pg_sys::ExecResetTupleTable((*self.state).es_tupleTable, false);
            pg_sys::FreeExecutorState(self.state);
        }
    }
}

/// What is called differently in the versions of PostgreSQL.
mod versions {
    use super::*;

    /// Which indexes need an entry for a row that was written.
    #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
    mod indexes {
        pub type Indexes = bool;
        pub const NEW_ROW: Indexes = true;
        pub const NO_INDEXES: Indexes = false;
    }
    #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
    mod indexes {
        pub use pgrx::pg_sys::TU_UpdateIndexes::{TU_All as NEW_ROW, TU_None as NO_INDEXES, Type as Indexes};
    }
    pub use indexes::*;

    /// Makes the executor's state ready for writing to the relation.
    ///
    /// # Safety
    /// Both must be new.
    #[cfg(feature = "pg13")]
    pub unsafe fn prepare(state: *mut pg_sys::EState, target: *mut pg_sys::ResultRelInfo) {
        // SAFETY: the caller promises them.
        unsafe {
            (*state).es_result_relations = target;
            (*state).es_num_result_relations = 1;
            (*state).es_result_relation_info = target;
        }
    }
    #[cfg(not(feature = "pg13"))]
    pub unsafe fn prepare(_: *mut pg_sys::EState, _: *mut pg_sys::ResultRelInfo) {}

    /// Inserts the new row into a table.
    ///
    /// # Safety
    /// The slot must be filled.
    pub unsafe fn insert_into_table(rows: &RowWriter) {
        // SAFETY: the caller promises the slot; the rest is open.
        unsafe {
            #[cfg(feature = "pg13")]
            pg_sys::ExecSimpleRelationInsert(rows.state, rows.new);
            #[cfg(not(feature = "pg13"))]
            pg_sys::ExecSimpleRelationInsert(rows.target, rows.state, rows.new);
        }
    }

    /// Adds entries for the new row, which was written, to the indexes that need one. Those of an update make room on a full page
    /// first, by deleting the entries of old versions.
    ///
    /// # Safety
    /// The slot must hold the row and its place.
    pub unsafe fn insert_into_indexes(
        rows: &RowWriter,
        #[cfg_attr(feature = "pg13", allow(unused_variables))] update: bool,
        indexes: Indexes,
    ) {
        if indexes == NO_INDEXES {
            return;
        }
        // SAFETY: the caller promises the slot; the rest is open. Without a list of indexes to ask, another row with the same key is
        // an error.
        unsafe {
            #[cfg(feature = "pg13")]
            pg_sys::ExecInsertIndexTuples(rows.new, rows.state, false, null_mut(), null_mut());
            #[cfg(any(feature = "pg14", feature = "pg15"))]
            pg_sys::ExecInsertIndexTuples(rows.target, rows.new, rows.state, update, false, null_mut(), null_mut());
            #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
            {
                let summaries = indexes == pg_sys::TU_UpdateIndexes::TU_Summarizing;
                pg_sys::ExecInsertIndexTuples(
                    rows.target,
                    rows.new,
                    rows.state,
                    update,
                    false,
                    null_mut(),
                    null_mut(),
                    summaries,
                );
            }
        }
    }
}
