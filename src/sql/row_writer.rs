//! Writes single rows of a relation below the level of SQL, by the functions of the executor that logical replication uses: they
//! keep the indexes and check the constraints, and readers see what they write like any other change. Triggers are not fired.

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
    recheck: *mut pg_sys::EPQState,
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
            let recheck = pg_sys::palloc0(size_of::<pg_sys::EPQState>()).cast();
            versions::prepare(state, target, recheck);
            let [old, new] = [(); 2].map(|()| pg_sys::table_slot_create(relation.as_ptr(), null_mut()));
            RowWriter { relation, state, target, recheck, old, new }
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

    /// Inserts a row.
    ///
    /// # Safety
    /// The values must be of the relation's columns.
    pub unsafe fn insert(&mut self, new: Row) {
        // SAFETY: the caller promises the values.
        unsafe {
            self.fill(new);
            versions::insert(self);
            self.forget_expressions();
        }
    }

    /// Puts a row in the place of another.
    ///
    /// # Safety
    /// As of `insert` and `delete`.
    pub unsafe fn update(&mut self, place: pg_sys::ItemPointerData, new: Row) {
        // SAFETY: the caller promises both.
        unsafe {
            (*self.old).tts_tid = place;
            self.fill(new);
            versions::update(self);
            self.forget_expressions();
        }
    }

    /// Deletes the row at a place.
    ///
    /// # Safety
    /// A row of the relation must be there.
    pub unsafe fn delete(&mut self, place: pg_sys::ItemPointerData) {
        // SAFETY: the caller promises the row.
        unsafe {
            (*self.old).tts_tid = place;
            versions::delete(self);
            self.forget_expressions();
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
            pg_sys::EvalPlanQualEnd(self.recheck);
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

    /// Makes the executor's state ready for writing to the relation.
    ///
    /// # Safety
    /// All of them must be new.
    pub unsafe fn prepare(
        state: *mut pg_sys::EState,
        #[allow(unused_variables)] target: *mut pg_sys::ResultRelInfo,
        recheck: *mut pg_sys::EPQState,
    ) {
        // SAFETY: the caller promises them; there is no plan to check rows with, because nobody else writes the rows.
        unsafe {
            #[cfg(feature = "pg13")]
            {
                (*state).es_result_relations = target;
                (*state).es_num_result_relations = 1;
                (*state).es_result_relation_info = target;
            }
            #[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
            pg_sys::EvalPlanQualInit(recheck, state, null_mut(), null_mut(), -1);
            #[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
            pg_sys::EvalPlanQualInit(recheck, state, null_mut(), null_mut(), -1, null_mut());
        }
    }

    /// Inserts the new row.
    ///
    /// # Safety
    /// The slot must be filled.
    pub unsafe fn insert(rows: &RowWriter) {
        // SAFETY: the caller promises the slot; the rest is open.
        unsafe {
            #[cfg(feature = "pg13")]
            pg_sys::ExecSimpleRelationInsert(rows.state, rows.new);
            #[cfg(not(feature = "pg13"))]
            pg_sys::ExecSimpleRelationInsert(rows.target, rows.state, rows.new);
        }
    }

    /// Puts the new row in the place of the old one.
    ///
    /// # Safety
    /// Both slots must be filled.
    pub unsafe fn update(rows: &RowWriter) {
        // SAFETY: as `insert`.
        unsafe {
            #[cfg(feature = "pg13")]
            pg_sys::ExecSimpleRelationUpdate(rows.state, rows.recheck, rows.old, rows.new);
            #[cfg(not(feature = "pg13"))]
            pg_sys::ExecSimpleRelationUpdate(rows.target, rows.state, rows.recheck, rows.old, rows.new);
        }
    }

    /// Deletes the old row.
    ///
    /// # Safety
    /// The slot of the old row must be filled.
    pub unsafe fn delete(rows: &RowWriter) {
        // SAFETY: as `insert`.
        unsafe {
            #[cfg(feature = "pg13")]
            pg_sys::ExecSimpleRelationDelete(rows.state, rows.recheck, rows.old);
            #[cfg(not(feature = "pg13"))]
            pg_sys::ExecSimpleRelationDelete(rows.target, rows.state, rows.recheck, rows.old);
        }
    }
}
