//! Runs a query and hands over its rows: some at a time, or each as the executor makes it.

use std::ffi::{CString, c_int, c_long};

use pgrx::prelude::*;
use pgrx::{PgMemoryContexts, pg_sys};

use super::error::{OrRaise, raise};
use crate::error::{Error, ErrorKind};

/// How many rows of a query are held in memory at a time.
const BATCH: c_long = 1000;

/// Connects to SPI.
///
/// # Safety
/// In a transaction; `SPI_finish` ends it.
pub unsafe fn connect() {
    // SAFETY: the caller promises the transaction.
    if unsafe { pg_sys::SPI_connect() } != pg_sys::SPI_OK_CONNECT as i32 {
        raise(Error::new(ErrorKind::InvalidParameter, "SPI_connect failed"));
    }
}

/// Opens a cursor on a query with parameters: under a new snapshot, or read-only under that of whoever calls.
///
/// # Safety
/// Connected to SPI; the parameters must be of their types.
pub unsafe fn open_cursor(query: &str, parameters: &[(pg_sys::Oid, pg_sys::Datum)], read_only: bool) -> pg_sys::Portal {
    let query = CString::new(query)
        .map_err(|_| Error::new(ErrorKind::InvalidParameter, "the query holds a zero byte"))
        .or_raise();
    let (mut types, mut values): (Vec<_>, Vec<_>) = parameters.iter().copied().unzip();
    // SAFETY: PostgreSQL copies the parameters; the vectors are as long as it is told.
    unsafe {
        pg_sys::SPI_cursor_open_with_args(
            std::ptr::null(),
            query.as_ptr(),
            parameters.len() as i32,
            types.as_mut_ptr(),
            values.as_mut_ptr(),
            std::ptr::null(),
            read_only,
            pg_sys::CURSOR_OPT_NO_SCROLL as i32,
        )
    }
}

/// Fetches all rows of a cursor, some at a time, and closes it. What `each` allocates lasts as long as its row.
///
/// # Safety
/// Connected to SPI; the cursor must be open, and the row is live as long as the call.
pub unsafe fn for_each_row(cursor: pg_sys::Portal, mut each: impl FnMut(pg_sys::HeapTuple, pg_sys::TupleDesc)) {
    // SAFETY: SPI hands out a table of the rows fetched, freed before the next fetch.
    unsafe {
        let mut memory = PgMemoryContexts::new("rows of a query");
        loop {
            pg_sys::SPI_cursor_fetch(cursor, true, BATCH);
            let (count, table) = (pg_sys::SPI_processed as usize, pg_sys::SPI_tuptable);
            for row in 0..count {
                let row = *(*table).vals.add(row);
                memory.switch_to(|_| each(row, (*table).tupdesc));
            }
            pg_sys::SPI_freetuptable(table);
            memory.reset();
            if count == 0 {
                break;
            }
        }
        pg_sys::SPI_cursor_close(cursor);
    }
}

/// Who takes the rows of a query as the executor makes them.
pub trait TakesRows {
    /// Takes a row: its values and which of them are NULL. They are live as long as the call.
    ///
    /// # Safety
    /// The row must be of the columns that the cursor has.
    unsafe fn take(&mut self, values: &[pg_sys::Datum], nulls: &[bool]);
}

/// What PostgreSQL takes for a destination of rows.
#[repr(C)]
struct Receiver<'a> {
    head: pg_sys::DestReceiver,
    taker: &'a mut dyn TakesRows,
}

/// Hands all rows of a cursor over without keeping any, and closes it.
///
/// # Safety
/// Connected to SPI; the cursor must be open.
pub unsafe fn hand_over(cursor: pg_sys::Portal, taker: &mut dyn TakesRows) {
    let head = pg_sys::DestReceiver {
        receiveSlot: Some(receive),
        rStartup: Some(start),
        rShutdown: Some(end),
        rDestroy: Some(end),
        mydest: pg_sys::CommandDest::DestNone,
    };
    let mut receiver = Receiver { head, taker };
    // SAFETY: the receiver begins with what PostgreSQL knows of it, and lives longer than the call.
    unsafe {
        let all = c_long::MAX;
        pg_sys::PortalRunFetch(cursor, pg_sys::FetchDirection::FETCH_FORWARD, all, (&raw mut receiver).cast());
        pg_sys::SPI_cursor_close(cursor);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn receive(slot: *mut pg_sys::TupleTableSlot, receiver: *mut pg_sys::DestReceiver) -> bool {
    // SAFETY: the executor calls this with a slot that holds a row and the receiver that `hand_over` gave it. A slot has as
    // many values as its descriptor has columns, once all are read from the row.
    unsafe {
        let count = (*(*slot).tts_tupleDescriptor).natts as usize;
        if ((*slot).tts_nvalid as usize) < count {
            pg_sys::slot_getsomeattrs_int(slot, count as c_int);
        }
        let values = std::slice::from_raw_parts((*slot).tts_values, count);
        let nulls = std::slice::from_raw_parts((*slot).tts_isnull, count);
        (*receiver.cast::<Receiver>()).taker.take(values, nulls);
    }
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn start(
    _receiver: *mut pg_sys::DestReceiver,
    _operation: c_int,
    _columns: pg_sys::TupleDesc,
) {
}

#[pg_guard]
unsafe extern "C-unwind" fn end(_receiver: *mut pg_sys::DestReceiver) {}
