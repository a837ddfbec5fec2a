//! Whether rows of a query repeat each other. Among the millions of orders of a shop hardly any do, and to learn that, their
//! hashes are enough: equal rows have equal ones.

use pgrx::prelude::*;
use pgrx::{PgMemoryContexts, PgTupleDesc, pg_sys};

use super::cursor::{TakesRows, connect, hand_over, open_cursor};
use super::partitions::{Partitions, TakesPartitions};
use crate::host;
use crate::memory;

/// After so many rows the memory that hash functions took is given back.
const ROWS_BETWEEN_RESETS: u64 = 1000;

/// How values of a column are hashed: as PostgreSQL hashes what is compared with the equality of its type and collation.
struct HashedColumn {
    function: *mut pg_sys::FmgrInfo,
    collation: pg_sys::Oid,
}

impl HashedColumn {
    /// `None` where values of the type have no hash.
    fn new(column: &pg_sys::FormData_pg_attribute) -> Option<Self> {
        // SAFETY: a column has a type; what the cache holds of it lasts as long as the session.
        unsafe {
            let flags = pg_sys::TYPECACHE_HASH_EXTENDED_PROC_FINFO as i32;
            let function = &raw mut (*pg_sys::lookup_type_cache(column.atttypid, flags)).hash_extended_proc_finfo;
            ((*function).fn_oid != pg_sys::InvalidOid)
                .then_some(HashedColumn { function, collation: column.attcollation })
        }
    }

    /// # Safety
    /// The datum must be of the column's type, and not NULL.
    unsafe fn hash(&self, value: pg_sys::Datum) -> u64 {
        // SAFETY: the caller promises the type; the second argument is the seed.
        unsafe { pg_sys::FunctionCall2Coll(self.function, self.collation, value, 1_i64.into()).value() as u64 }
    }
}

/// The hashes of all rows. A record is a hash.
struct Hashes {
    columns: Vec<HashedColumn>,
    partitions: Partitions,
    /// What hash functions take, such as amounts unpacked.
    context: PgMemoryContexts,
    rows: u64,
}

impl TakesRows for Hashes {
    unsafe fn take(&mut self, values: &[pg_sys::Datum], nulls: &[bool]) {
        // SAFETY: the caller promises the columns; the executor runs in a transaction.
        unsafe {
            let hash = self.context.switch_to(|_| {
                self.columns.iter().zip(values.iter().zip(nulls)).fold(0_u64, |hash, (column, (&value, &is_null))| {
                    let of_value = if is_null { 0 } else { column.hash(value) };
                    hash.wrapping_mul(31).wrapping_add(of_value) // as PostgreSQL puts the hashes of columns together
                })
            });
            self.partitions.add(&[hash], &[hash]);
            self.rows += 1;
            if self.rows.is_multiple_of(ROWS_BETWEEN_RESETS) {
                self.context.reset();
            }
        }
    }
}

/// Whether all hashes so far differ, and those of one partition.
struct Differ {
    all_differ: bool,
    hashes: Vec<u64>,
}

impl TakesPartitions for Differ {
    fn take(&mut self, hashes: &[u64]) {
        host::check();
        memory::reserve(&mut self.hashes, hashes.len());
        self.hashes.extend_from_slice(hashes);
    }

    fn end(&mut self) {
        self.hashes.sort_unstable();
        self.all_differ &= self.hashes.is_sorted_by(|one, next| one < next);
        self.hashes.clear();
    }
}

/// (query): whether no two rows of a query are equal. False too where that is not told: a column has a type without hashes,
/// or two rows that differ have one hash.
#[pg_extern(sql = false)]
fn rows_differ(query: &str) -> bool {
    // Before SPI, whose memory ends with it.
    let (partitions, context) = (Partitions::new(), PgMemoryContexts::new("hashes of rows"));
    // SAFETY: a function runs in a transaction; the descriptor is copied, and the cursor open until its rows are handed over.
    unsafe {
        connect();
        let cursor = open_cursor(query, &[], true);
        let hashed = PgTupleDesc::from_pg_copy((*cursor).tupDesc).iter().map(HashedColumn::new).collect();
        let Some(columns) = hashed else {
            pg_sys::SPI_finish();
            return false;
        };
        let mut hashes = Hashes { columns, partitions, context, rows: 0 };
        hand_over(cursor, &mut hashes);
        pg_sys::SPI_finish();
        let mut differ = Differ { all_differ: true, hashes: Vec::new() };
        hashes.partitions.hand_over(&mut differ);
        differ.all_differ
    }
}
