//! Writes single rows of a materialized view, which SQL cannot: PostgreSQL's own REFRESH computes all of it anew, and with
//! CONCURRENTLY into a temporary table, which a prepared transaction may not have. The rows are written by the functions of
//! the executor that logical replication uses; they keep the indexes and are seen by readers like any other change.

use std::ffi::{CString, c_char};
use std::ptr::null_mut;

use pgrx::prelude::*;
use pgrx::{PgMemoryContexts, PgRelation, pg_sys};

use super::error::{OrRaise, raise};
use crate::error::{Error, ErrorKind, Result};

/// How many changes are held in memory at a time.
const BATCH: std::ffi::c_long = 1000;

/// Writes what the query `changes` returns to a materialized view of the current user's: its first column is the `ctid` of the
/// row to change, NULL for a new one, its second says whether that row goes, and the others are the columns of the view.
/// Returns the number of rows written.
///
/// The query runs as REFRESH runs the view's: it changes nothing that lasts beyond it, and finds names in `pg_catalog` alone.
#[pg_extern(name = "_write_view_rows", strict)]
fn write_view_rows(view: pg_sys::Oid, changes: &str) -> i64 {
    // SAFETY: PostgreSQL calls this in a transaction; what is opened here is closed below, or by the error that ends it.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(c"_write_view_rows()".as_ptr());
        let mut writer = Writer::open(view);
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(user, context | pg_sys::SECURITY_RESTRICTED_OPERATION as i32);
        let level = pg_sys::NewGUCNestLevel();
        look_names_up_in_pg_catalog();

        let written = writer.write_all(changes);

        pg_sys::AtEOXact_GUC(false, level);
        pg_sys::SetUserIdAndSecContext(user, context);
        writer.close();
        pg_sys::CommandCounterIncrement();
        written
    }
}

/// # Safety
/// A GUC nest level must be open, which ends this.
unsafe fn look_names_up_in_pg_catalog() {
    // SAFETY: the texts are constant.
    unsafe {
        pg_sys::set_config_option(
            c"search_path".as_ptr(),
            c"pg_catalog, pg_temp".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// A materialized view that is open for writing rows.
struct Writer {
    view: PgRelation,
    state: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    recheck: *mut pg_sys::EPQState,
    /// The row that is there, of which only the place matters.
    old: *mut pg_sys::TupleTableSlot,
    /// The row that shall be there.
    new: *mut pg_sys::TupleTableSlot,
}

impl Writer {
    /// Opens a view, locked against everything but reading until the transaction ends.
    ///
    /// # Safety
    /// In a transaction; everything lives in the current memory context.
    unsafe fn open(view: pg_sys::Oid) -> Writer {
        // SAFETY: the relation stays open until `close`; palloc0 gives memory of the size asked for, filled with zeros.
        unsafe {
            let relation = pg_sys::try_relation_open(view, pg_sys::ExclusiveLock as pg_sys::LOCKMODE);
            let relation = (!relation.is_null()).then(|| PgRelation::from_pg_owned(relation));
            let view = relation.filter(is_ours).ok_or_else(|| {
                Error::new(ErrorKind::InvalidParameter, "this is no populated materialized view of the current user's")
            });
            let view = view.or_raise();
            pg_sys::CheckTableNotInUse(view.as_ptr(), c"REFRESH MATERIALIZED VIEW".as_ptr());

            let state = pg_sys::CreateExecutorState();
            let target = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            pg_sys::InitResultRelInfo(target, view.as_ptr(), 0, null_mut(), 0);
            pg_sys::ExecOpenIndices(target, false);
            let recheck = pg_sys::palloc0(size_of::<pg_sys::EPQState>()).cast();
            versions::prepare(state, target, recheck);
            let [old, new] = [(); 2].map(|()| pg_sys::table_slot_create(view.as_ptr(), null_mut()));
            Writer { view, state, target, recheck, old, new }
        }
    }

    /// Writes all rows of a query; returns how many.
    ///
    /// # Safety
    /// As `write_view_rows`.
    unsafe fn write_all(&mut self, changes: &str) -> i64 {
        let query = CString::new(changes)
            .map_err(|_| Error::new(ErrorKind::InvalidParameter, "the query holds a zero byte"))
            .or_raise();
        // SAFETY: SPI hands out a table of the rows fetched, freed before the next fetch; rows of the view are written from
        // memory of their own, because SPI's may not be freed while they are.
        unsafe {
            let mut rows = PgMemoryContexts::new("rows of a materialized view");
            if pg_sys::SPI_connect() != pg_sys::SPI_OK_CONNECT as i32 {
                raise(Error::new(ErrorKind::InvalidParameter, "SPI_connect failed"));
            }
            let options = pg_sys::CURSOR_OPT_NO_SCROLL as i32;
            let cursor = pg_sys::SPI_cursor_open_with_args(
                std::ptr::null(),
                query.as_ptr(),
                0,
                null_mut(),
                null_mut(),
                std::ptr::null(),
                false,
                options,
            );
            let mut written = 0;
            loop {
                pg_sys::SPI_cursor_fetch(cursor, true, BATCH);
                let (count, table) = (pg_sys::SPI_processed as usize, pg_sys::SPI_tuptable);
                self.fits((*table).tupdesc).or_raise();
                for row in 0..count {
                    let row = *(*table).vals.add(row);
                    rows.switch_to(|_| self.write(row, (*table).tupdesc));
                }
                pg_sys::SPI_freetuptable(table);
                rows.reset();
                if count == 0 {
                    break;
                }
                written += count as i64;
            }
            pg_sys::SPI_cursor_close(cursor);
            pg_sys::SPI_finish();
            written
        }
    }

    /// Writes one row of the query.
    ///
    /// # Safety
    /// The row must be of the descriptor, which must fit.
    unsafe fn write(&mut self, row: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) {
        // SAFETY: the caller promises the row and its columns.
        unsafe {
            let count = (*descriptor).natts as usize;
            let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); count], vec![true; count]);
            pg_sys::heap_deform_tuple(row, descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            if !nulls[0] {
                (*self.old).tts_tid = *values[0].cast_mut_ptr::<pg_sys::ItemPointerData>();
            }
            let goes = !nulls[1] && values[1].value() != 0;
            if !goes {
                self.fill(&values[2..], &nulls[2..]);
            }
            match (nulls[0], goes) {
                (true, true) => {}
                (true, false) => versions::insert(self),
                (false, true) => versions::delete(self),
                (false, false) => versions::update(self),
            }
            let context = (*self.state).es_per_tuple_exprcontext;
            if !context.is_null() {
                pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
            }
        }
    }

    /// Puts values into the slot of the new row.
    ///
    /// # Safety
    /// As many as the view has columns, and of their types.
    unsafe fn fill(&mut self, values: &[pg_sys::Datum], nulls: &[bool]) {
        // SAFETY: a slot has room for as many values as its descriptor has columns.
        unsafe {
            let slot = self.new;
            (*(*slot).tts_ops).clear.expect("every kind of slot can be cleared")(slot);
            std::ptr::copy_nonoverlapping(values.as_ptr(), (*slot).tts_values, values.len());
            std::ptr::copy_nonoverlapping(nulls.as_ptr(), (*slot).tts_isnull, nulls.len());
            pg_sys::ExecStoreVirtualTuple(slot);
        }
    }

    /// Whether the columns of a query are a place, a mark, and those of the view.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`].
    ///
    /// # Safety
    /// The descriptor must be live.
    unsafe fn fits(&self, descriptor: pg_sys::TupleDesc) -> Result<()> {
        // SAFETY: the caller promises the descriptor; the copy is freed with the current memory context.
        let found = unsafe { pgrx::PgTupleDesc::from_pg_copy(descriptor) };
        let found: Vec<_> = found.iter().map(|column| column.atttypid).collect();
        let columns = self.view.tuple_desc();
        let columns = columns.iter().map(|column| column.atttypid);
        let expected: Vec<_> = [pg_sys::TIDOID, pg_sys::BOOLOID].into_iter().chain(columns).collect();
        if found != expected {
            let message = "the query does not return ctid, a boolean and the columns of the view";
            return Err(Error::new(ErrorKind::InvalidParameter, message));
        }
        Ok(())
    }

    /// Closes everything but the lock.
    ///
    /// # Safety
    /// Once, in the transaction it was opened in.
    unsafe fn close(self) {
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

fn is_ours(view: &PgRelation) -> bool {
    // SAFETY: the relation is open, and its row of pg_class with it.
    let (class, user) = unsafe { (&*view.rd_rel, pg_sys::GetUserId()) };
    class.relkind == pg_sys::RELKIND_MATVIEW as c_char && class.relispopulated && class.relowner == user
}

/// What is called differently in the versions of PostgreSQL.
mod versions {
    use super::*;

    /// Makes the executor's state ready for writing to the view.
    ///
    /// # Safety
    /// All of them must be new.
    pub unsafe fn prepare(
        state: *mut pg_sys::EState,
        #[allow(unused_variables)] target: *mut pg_sys::ResultRelInfo,
        recheck: *mut pg_sys::EPQState,
    ) {
        // SAFETY: the caller promises them; there is no plan to check rows with, because nobody else writes the view.
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
    pub unsafe fn insert(writer: &Writer) {
        // SAFETY: the caller promises the slot; the rest is open.
        unsafe {
            #[cfg(feature = "pg13")]
            pg_sys::ExecSimpleRelationInsert(writer.state, writer.new);
            #[cfg(not(feature = "pg13"))]
            pg_sys::ExecSimpleRelationInsert(writer.target, writer.state, writer.new);
        }
    }

    /// Puts the new row in the place of the old one.
    ///
    /// # Safety
    /// Both slots must be filled.
    pub unsafe fn update(writer: &Writer) {
        // SAFETY: as `insert`.
        unsafe {
            #[cfg(feature = "pg13")]
            pg_sys::ExecSimpleRelationUpdate(writer.state, writer.recheck, writer.old, writer.new);
            #[cfg(not(feature = "pg13"))]
            pg_sys::ExecSimpleRelationUpdate(writer.target, writer.state, writer.recheck, writer.old, writer.new);
        }
    }

    /// Deletes the old row.
    ///
    /// # Safety
    /// The slot of the old row must be filled.
    pub unsafe fn delete(writer: &Writer) {
        // SAFETY: as `insert`.
        unsafe {
            #[cfg(feature = "pg13")]
            pg_sys::ExecSimpleRelationDelete(writer.state, writer.recheck, writer.old);
            #[cfg(not(feature = "pg13"))]
            pg_sys::ExecSimpleRelationDelete(writer.target, writer.state, writer.recheck, writer.old);
        }
    }
}
