//! Writes single rows of a materialized view, which SQL cannot: PostgreSQL's own REFRESH computes all of it anew, and with
//! CONCURRENTLY into a temporary table, which a prepared transaction may not have. Readers see what is written like any other
//! change.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

use pgrx::datum::Date;
use pgrx::prelude::*;
use pgrx::{PgRelation, pg_sys};

use super::changes::ChangesTable;
use super::cursor::{connect, for_each_row, open_cursor};
use super::error::{OrRaise, raise, raise_as};
use super::row_writer::{Row, RowWriter};
use super::set::{QueryColumn, SetOf, WatchedRows, WrittenRows};
use super::transition_tables::TransitionTables;
use crate::error::{Error, ErrorKind, Result};

/// Locks a materialized view of the current user's against everything but reading until the transaction ends, and checks that
/// its rows can be written.
#[pg_extern(name = "_lock_view", strict)]
fn lock_view(view: pg_sys::Oid) {
    // SAFETY: PostgreSQL calls this in a transaction.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(c"refresh_rows()".as_ptr());
        locked(view);
    }
}

/// The names and types of the columns that a query returns, which must be one SELECT. It is not run.
#[pg_extern(name = "_query_columns", strict)]
fn query_columns(query: &str) -> SetOf<QueryColumn> {
    // SAFETY: PostgreSQL calls this in a transaction.
    let columns: Vec<_> = unsafe {
        restricted(|| {
            connect();
            let cursor = open_cursor(query, &[], false);
            if (*cursor).strategy != pg_sys::PortalStrategy::PORTAL_ONE_SELECT {
                raise(
                    Error::new(ErrorKind::InvalidParameter, "the query of keys does more than to select them")
                        .hint("Give one SELECT, in which nothing is written."),
                );
            }
            let columns = columns_of((*cursor).tupDesc);
            pg_sys::SPI_cursor_close(cursor);
            pg_sys::SPI_finish();
            columns
        })
    };
    SetOf::new(columns)
}

/// Writes what the query `changes` returns to a materialized view of the current user's: its first column is the `ctid` of the
/// row that is there, NULL for a new one, its second what is to be done (see [`Change`]), and the others are the columns of the
/// view. Returns how many rows were inserted, updated, deleted, and are as they were.
///
/// With `keys`, a query, the parameters of `changes` are the columns of its result, each as an array; without rows nothing is
/// done. The view is locked before both are read, so that they see what the one who wrote it before has committed.
///
/// Both run as REFRESH runs the view's: they change nothing that lasts beyond them, and find names in `pg_catalog` alone; so do
/// expressions and predicates of the view's indexes.
#[pg_extern(name = "_write_view_rows")]
fn write_view_rows(view: pg_sys::Oid, changes: &str, keys: Option<&str>) -> SetOf<WrittenRows> {
    // SAFETY: PostgreSQL calls this in a transaction.
    let (written, _) = unsafe { write_rows(view, changes, keys, |_| None, None) };
    SetOf::once((written.inserted, written.updated, written.deleted, written.unchanged))
}

/// Does the same, and watches what becomes of the rows. Where there is a table `told`, it gets a row for each of the view's columns
/// that are `watched`, all of them text, where a row of the view has another value than before; ids are drawn from the sequence
/// `ids`. `asked`, a SELECT of one text, names the rows that were written: `old_rows` as they were, `new_rows` as they are.
#[pg_extern(name = "_write_watched_rows")]
#[expect(clippy::too_many_arguments, reason = "they are the arguments of a function in SQL")]
fn write_watched_rows(
    view: pg_sys::Oid,
    changes: &str,
    keys: Option<&str>,
    watched: Array<&str>,
    told: Option<pg_sys::Oid>,
    ids: Option<pg_sys::Oid>,
    as_of: Date,
    asked: Option<&str>,
) -> SetOf<WatchedRows> {
    let watched: Vec<_> = watched.iter().collect();
    // SAFETY: PostgreSQL calls this in a transaction.
    let (written, answer) = unsafe {
        let open = |view: &PgRelation| told.map(|told| ChangesTable::open(told, ids, view, &watched, as_of));
        write_rows(view, changes, keys, open, asked)
    };
    SetOf::once((written.inserted, written.updated, written.deleted, written.unchanged, answer))
}

/// Writes rows of a view. `told` opens the table where it is told who changed; the other result is what was answered to `asked`,
/// which is not asked where there are no keys.
///
/// # Safety
/// In a transaction.
unsafe fn write_rows(
    view: pg_sys::Oid,
    changes: &str,
    keys: Option<&str>,
    told: impl FnOnce(&PgRelation) -> Option<ChangesTable>,
    asked: Option<&str>,
) -> (Written, Option<String>) {
    // SAFETY: the caller promises the transaction; what is opened here is closed below, or by the error that ends it.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(c"_write_view_rows()".as_ptr());
        let mut writer = Writer::open(view, told, asked.is_some());
        writer.refuse_what_others_wrote_since();
        let answer = restricted(|| {
            connect();
            let keys = keys.map(|keys| key_arrays(keys));
            let mut answer = None;
            if keys.as_ref().is_none_or(|keys| keys.rows > 0) {
                writer.write_all(changes, keys.map(|keys| keys.columns).unwrap_or_default());
                answer = asked.and_then(|asked| writer.ask(asked));
            }
            pg_sys::SPI_finish();
            answer
        });
        let written = writer.close();
        pg_sys::CommandCounterIncrement();
        (written, answer)
    }
}

/// Runs something in a security-restricted operation, in which names are found in `pg_catalog` alone. After an error PostgreSQL
/// itself sets both back.
///
/// # Safety
/// In a transaction.
unsafe fn restricted<T>(run: impl FnOnce() -> T) -> T {
    // SAFETY: the texts are constant; what is set is set back.
    unsafe {
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(user, context | pg_sys::SECURITY_RESTRICTED_OPERATION as i32);
        let level = pg_sys::NewGUCNestLevel();
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
        let result = run();
        pg_sys::AtEOXact_GUC(false, level);
        pg_sys::SetUserIdAndSecContext(user, context);
        result
    }
}

/// The values of a row and which of them are NULL.
///
/// # Safety
/// The row must be live, and of the descriptor.
unsafe fn values_of(row: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) -> (Vec<pg_sys::Datum>, Vec<bool>) {
    // SAFETY: the caller promises the row and its columns.
    unsafe {
        let count = (*descriptor).natts as usize;
        let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); count], vec![true; count]);
        pg_sys::heap_deform_tuple(row, descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
        (values, nulls)
    }
}

/// The names and types of columns.
///
/// # Safety
/// The descriptor must be live.
unsafe fn columns_of(descriptor: pg_sys::TupleDesc) -> Vec<(String, pg_sys::Oid)> {
    // SAFETY: the caller promises the descriptor, which stays.
    let columns = unsafe { pgrx::PgTupleDesc::from_pg_unchecked(descriptor) };
    columns.iter().map(|column| (column.name().to_owned(), column.atttypid)).collect()
}

/// What a query of keys returned.
struct Keys {
    rows: usize,
    /// Each column as an array, with its type.
    columns: Vec<(pg_sys::Oid, pg_sys::Datum)>,
}

/// Runs a query of keys.
///
/// # Safety
/// Connected to SPI, in whose memory the arrays are.
unsafe fn key_arrays(query: &str) -> Keys {
    // SAFETY: the arrays are made in the memory that was current when the query began; their elements are copied to it.
    unsafe {
        let memory = pg_sys::CurrentMemoryContext;
        let cursor = open_cursor(query, &[], false);
        let columns = columns_of((*cursor).tupDesc);
        let types: Vec<_> = columns.iter().map(|(_, of_column)| pg_sys::getBaseType(*of_column)).collect();
        let arrays: Vec<_> = types.iter().map(|base| pg_sys::initArrayResult(*base, memory, false)).collect();
        let mut rows = 0;
        for_each_row(cursor, |row, descriptor| {
            let (values, nulls) = values_of(row, descriptor);
            for (column, (value, is_null)) in values.into_iter().zip(nulls).enumerate() {
                if is_null {
                    raise_as(
                        PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
                        format!("the query of keys returned NULL as {}", columns[column].0),
                        Some("Leave such rows out; a row without a key is brought up to date by REFRESH.".into()),
                    );
                }
                pg_sys::accumArrayResult(arrays[column], value, false, types[column], memory);
            }
            rows += 1;
        });
        let columns = types.iter().zip(arrays);
        let columns =
            columns.map(|(base, array)| (pg_sys::get_array_type(*base), pg_sys::makeArrayResult(array, memory)));
        Keys { rows, columns: columns.collect() }
    }
}

/// What is to be done with a row, as the query of changes calls it.
enum Change {
    Insert,
    Update,
    Delete,
    /// The row that is there is as it should be.
    Keep,
    /// The definition returns several rows of its key.
    Repeat,
}

impl Change {
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for any other word.
    fn named(name: &str) -> Result<Change> {
        match name {
            "insert" => Ok(Change::Insert),
            "update" => Ok(Change::Update),
            "delete" => Ok(Change::Delete),
            "keep" => Ok(Change::Keep),
            "repeat" => Ok(Change::Repeat),
            _ => Err(Error::new(ErrorKind::InvalidParameter, format!("there is no change {name:?} of a row"))),
        }
    }
}

/// How many rows were written in which way.
#[derive(Default)]
struct Written {
    inserted: i64,
    updated: i64,
    deleted: i64,
    unchanged: i64,
}

/// A materialized view that is open for writing rows.
struct Writer {
    view: RowWriter,
    /// Where it is told who changed.
    changes: Option<ChangesTable>,
    /// The rows that were written, where it is asked about them.
    rows: Option<TransitionTables>,
    written: Written,
}

impl Writer {
    /// Opens a view, locked against everything but reading until the transaction ends.
    ///
    /// # Safety
    /// In a transaction; everything lives in the current memory context.
    unsafe fn open(
        view: pg_sys::Oid,
        told: impl FnOnce(&PgRelation) -> Option<ChangesTable>,
        keeps_rows: bool,
    ) -> Writer {
        // SAFETY: the caller promises the transaction.
        unsafe {
            let view = locked(view);
            let changes = told(&view);
            let rows = keeps_rows.then(|| TransitionTables::open());
            Writer { view: RowWriter::open(view), changes, rows, written: Written::default() }
        }
    }

    /// In a transaction whose snapshot is older than the lock, a row may have been written that it does not see: an error then,
    /// as for any such row of a table.
    ///
    /// # Safety
    /// In a transaction.
    unsafe fn refuse_what_others_wrote_since(&self) {
        // SAFETY: the tuple is live until the next one is fetched; the scan is ended.
        unsafe {
            if pg_sys::XactIsoLevel < pg_sys::XACT_REPEATABLE_READ as i32 {
                return;
            }
            let snapshot = pg_sys::GetTransactionSnapshot();
            let is_unseen = |transaction: pg_sys::TransactionId| {
                pg_sys::XidInMVCCSnapshot(transaction, snapshot)
                    && !pg_sys::TransactionIdIsCurrentTransactionId(transaction)
            };
            let scan =
                pg_sys::table_beginscan(self.view.relation.as_ptr(), &raw mut pg_sys::SnapshotAnyData, 0, null_mut());
            loop {
                pgrx::check_for_interrupts!();
                let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
                if tuple.is_null() {
                    break;
                }
                let (row, state) = ((*tuple).t_data, u32::from((*(*tuple).t_data).t_infomask));
                let (made, ended) = ((*row).t_choice.t_heap.t_xmin, (*row).t_choice.t_heap.t_xmax);
                let is_frozen = state & pg_sys::HEAP_XMIN_FROZEN == pg_sys::HEAP_XMIN_FROZEN;
                let was_ended = state & pg_sys::HEAP_XMAX_INVALID == 0 && ended != pg_sys::InvalidTransactionId;
                if !is_frozen && is_unseen(made) || was_ended && is_unseen(ended) {
                    raise_as(
                        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                        format!(
                            "could not serialize access due to concurrent writes to materialized view \"{}\"",
                            self.view.relation.name()
                        ),
                        Some("Begin the transaction anew.".into()),
                    );
                }
            }
            pg_sys::table_endscan(scan);
        }
    }

    /// Writes all rows of a query with parameters.
    ///
    /// # Safety
    /// Connected to SPI.
    unsafe fn write_all(&mut self, changes: &str, parameters: Vec<(pg_sys::Oid, pg_sys::Datum)>) {
        // SAFETY: rows of the view are written in memory of their own, because SPI's may not be freed while they are.
        unsafe {
            let cursor = open_cursor(changes, &parameters, false);
            self.fits((*cursor).tupDesc).or_raise();
            for_each_row(cursor, |row, descriptor| self.write(row, descriptor));
        }
    }

    /// Writes one row of the query.
    ///
    /// # Safety
    /// The row must be of the descriptor, which must fit.
    unsafe fn write(&mut self, row: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) {
        // SAFETY: the caller promises the row and its columns.
        unsafe {
            let (values, nulls) = values_of(row, descriptor);
            let change = if nulls[1] { None } else { String::from_datum(values[1], false) };
            let change = Change::named(change.as_deref().unwrap_or("NULL")).or_raise();
            let place = (!nulls[0]).then(|| *values[0].cast_mut_ptr::<pg_sys::ItemPointerData>());
            if place.is_none() && !matches!(change, Change::Insert) {
                raise(Error::new(ErrorKind::InvalidParameter, "a row that is not there cannot be changed"));
            }
            let new = (&values[2..], &nulls[2..]);
            match change {
                Change::Insert => self.watch(None, Some(new)),
                Change::Update => self.watch(place, Some(new)),
                Change::Delete => self.watch(place, None),
                Change::Keep | Change::Repeat => {}
            }
            let counted = match change {
                Change::Insert => {
                    self.view.insert(new);
                    &mut self.written.inserted
                }
                Change::Update => {
                    self.view.update(place.expect("checked above"), new);
                    &mut self.written.updated
                }
                Change::Delete => {
                    self.view.delete(place.expect("checked above"));
                    &mut self.written.deleted
                }
                Change::Keep => &mut self.written.unchanged,
                Change::Repeat => raise_as(
                    PgSqlErrorCode::ERRCODE_CARDINALITY_VIOLATION,
                    format!("the definition of \"{}\" returns several rows of one key", self.view.relation.name()),
                    Some("Its key has to be unique in what the definition returns.".into()),
                ),
            };
            *counted += 1;
        }
    }

    /// Tells of a row that is going to be written, and keeps it.
    ///
    /// # Safety
    /// As of `write`; a row of the view must be at the place.
    unsafe fn watch(&mut self, place: Option<pg_sys::ItemPointerData>, new: Option<Row>) {
        if self.changes.is_none() && self.rows.is_none() {
            return;
        }
        // SAFETY: the caller promises the rows.
        unsafe {
            let old = place.map(|place| self.view.fetch(place));
            if let Some(changes) = &mut self.changes {
                changes.tell(old, new);
            }
            if let Some(rows) = &mut self.rows {
                rows.put(&self.view.relation, old, new);
            }
        }
    }

    /// What a query answers that names the rows written.
    ///
    /// # Safety
    /// Connected to SPI.
    unsafe fn ask(&self, query: &str) -> Option<String> {
        // SAFETY: the caller promises the connection; the rows are of the view.
        self.rows.as_ref().and_then(|rows| unsafe { rows.ask(&self.view.relation, query) })
    }

    /// Whether the columns of a query are a place, what is to be done, and those of the view.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`].
    ///
    /// # Safety
    /// The descriptor must be live.
    unsafe fn fits(&self, descriptor: pg_sys::TupleDesc) -> Result<()> {
        // SAFETY: the caller promises the descriptor.
        let found: Vec<_> = unsafe { columns_of(descriptor) }.into_iter().map(|(_, of_column)| of_column).collect();
        let columns = self.view.relation.tuple_desc();
        let columns = columns.iter().map(|column| column.atttypid);
        let expected: Vec<_> = [pg_sys::TIDOID, pg_sys::TEXTOID].into_iter().chain(columns).collect();
        if found != expected {
            let message = "the query does not return ctid, a change and the columns of the view";
            return Err(Error::new(ErrorKind::InvalidParameter, message));
        }
        Ok(())
    }

    /// Closes everything but the locks, and says what was written.
    ///
    /// # Safety
    /// In the transaction it was opened in.
    unsafe fn close(self) -> Written {
        // SAFETY: the caller promises the transaction.
        unsafe {
            self.view.close();
            if let Some(changes) = self.changes {
                changes.close();
            }
        }
        self.written
    }
}

/// A materialized view, locked against everything but reading and then checked: it is there, populated, the current user's, and
/// nothing that runs is using it.
///
/// # Safety
/// In a transaction.
unsafe fn locked(view: pg_sys::Oid) -> PgRelation {
    // SAFETY: the relation is open as long as the PgRelation lives, and its row of pg_class with it.
    unsafe {
        let relation = pg_sys::try_relation_open(view, pg_sys::ExclusiveLock as pg_sys::LOCKMODE);
        if relation.is_null() {
            let message = format!("there is no materialized view with oid {}", view.to_u32());
            raise_as(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, message, Some("It may have been dropped.".into()));
        }
        let relation = PgRelation::from_pg_owned(relation);
        let class = &*relation.rd_rel;
        let name = CStr::from_ptr(class.relname.data.as_ptr()).to_string_lossy();
        let (sqlstate, what, hint) = if class.relkind != pg_sys::RELKIND_MATVIEW as c_char {
            (PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, "is no materialized view", "Name a materialized view.")
        } else if class.relowner != pg_sys::GetUserId() {
            let hint = "Only its owner writes its rows: SET ROLE to that role.";
            (PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, "belongs to somebody else", hint)
        } else if !class.relispopulated {
            let hint = "REFRESH MATERIALIZED VIEW fills it.";
            (PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "has not been populated", hint)
        } else {
            pg_sys::CheckTableNotInUse(relation.as_ptr(), c"REFRESH MATERIALIZED VIEW".as_ptr());
            return relation;
        };
        raise_as(sqlstate, format!("\"{name}\" {what}"), Some(hint.into()))
    }
}
