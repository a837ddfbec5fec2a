//! Collects the histories of all customers, as `GROUP BY` with the aggregate `purchase_history` does, in half the time.
//!
//! PostgreSQL keeps half a million groups in one hash table, and waits for memory at nearly every row, or sorts all rows.
//! Here rows are first put into partitions by their keys ([`Partitions`]); the groups of each are so few that they stay in the
//! processor's cache. Keys are compared as bytes: the caller asks only where equal keys have equal bytes.

use std::collections::HashMap;

use pgrx::prelude::*;
use pgrx::{IntoDatum, PgMemoryContexts, pg_sys};

use super::call::read;
use super::cursor::{TakesRows, connect, hand_over, open_cursor};
use super::datum::{RawDatum, finite_day, varlena_bytes};
use super::error::{OrRaise, raise};
use super::key_column::KeyColumn;
use super::numeric;
use super::orders::CollectedOrders;
use super::partitions::{Partitions, TakesPartitions};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind};
use crate::history::{PurchaseDay, put_row, take_row};
use crate::host::Steps;
use crate::memory;

/// The columns of an order after those of its key; the last one is there where orders have numbers.
const ORDER_COLUMNS: [pg_sys::Oid; 4] = [pg_sys::DATEOID, pg_sys::NUMERICOID, pg_sys::BOOLOID, pg_sys::BOOLOID];

/// The orders of all customers. A record is an order as words, and the key.
struct Orders {
    keys: Vec<KeyColumn>,
    partitions: Partitions,
    record: Vec<u64>,
}

impl TakesRows for Orders {
    unsafe fn take(&mut self, values: &[pg_sys::Datum], nulls: &[bool]) {
        let at = self.keys.len();
        let given = |place: usize| (place < values.len() && !nulls[place]).then(|| values[place]);
        let flag = |place| given(place).map(|flag| flag.value() as u8 != 0);
        self.record.clear();
        if let Some(day) = given(at) {
            let day = finite_day(day.value() as i32).and_then(Day::checked).or_raise();
            // SAFETY: the types of the columns were checked; a numeric is a varlena.
            let amount = given(at + 1).map(|amount| numeric::decode(unsafe { varlena_bytes(amount) }).or_raise());
            let mantissa = amount.map(Decimal::mantissa);
            let row = match flag(at + 3) {
                Some(false) => PurchaseDay::of_correction(day, mantissa),
                _ => PurchaseDay::of_row(day, mantissa, flag(at + 2)),
            };
            put_row(row, amount.map_or(0, Decimal::scale), &mut self.record);
        } else {
            memory::push(&mut self.record, NO_DAY);
        }
        let key = self.record.len();
        for (place, column) in self.keys.iter().enumerate() {
            let Some(value) = given(place) else { refuse("an order has no key") };
            // SAFETY: as above.
            unsafe { column.write(value, &mut self.record) };
        }
        // SAFETY: the executor runs in a transaction.
        unsafe { self.partitions.add(&self.record, &self.record[key..]) };
    }
}

/// In the place of an order of which no day is known: it makes its customer known, and nothing else.
const NO_DAY: u64 = u64::MAX;

/// The customers of one partition.
struct Customers<'a> {
    keys: &'a [KeyColumn],
    orders: HashMap<Vec<u64>, CollectedOrders>,
    /// What the partition takes.
    context: PgMemoryContexts,
    steps: Steps,
    store: *mut pg_sys::Tuplestorestate,
    columns: pg_sys::TupleDesc,
}

impl TakesPartitions for Customers<'_> {
    fn take(&mut self, mut records: &[u64]) {
        while let Some(&first) = records.first() {
            self.steps.step();
            let order = (first != NO_DAY).then(|| take_row(records));
            let after = order.map_or(&records[1..], |(_, _, after)| after);
            let (key, rest) = after.split_at(KeyColumn::words_of_key(self.keys, after));
            let orders = match self.orders.get_mut(key) {
                Some(orders) => orders,
                None => {
                    // SAFETY: the context lives until the partition ends.
                    let orders = unsafe { CollectedOrders::new(self.context.value()) };
                    memory::entry(&mut self.orders, memory::collect(key.iter().copied()), orders)
                }
            };
            if let Some((row, scale, _)) = order {
                orders.add(row, scale).or_raise();
            }
            records = rest;
        }
    }

    /// In order of the keys' words, so that each session writes the same.
    fn end(&mut self) {
        let mut customers = memory::collect(self.orders.drain());
        customers.sort_unstable_by(|(key, _), (other, _)| key.cmp(other));
        let (keys, store, columns) = (self.keys, self.store, self.columns);
        for (key, mut orders) in customers {
            self.steps.step();
            // SAFETY: the columns are those of the key and a history, as was checked.
            unsafe { self.context.switch_to(|_| put(keys, &key, &mut orders, store, columns)) };
        }
        // SAFETY: nothing in it is used any more.
        unsafe { self.context.reset() };
    }
}

/// Writes a customer's row.
///
/// # Safety
/// The columns must be those of the key and a history.
unsafe fn put(
    keys: &[KeyColumn],
    mut key: &[u64],
    orders: &mut CollectedOrders,
    store: *mut pg_sys::Tuplestorestate,
    columns: pg_sys::TupleDesc,
) {
    let mut values = memory::with_capacity(keys.len() + 1);
    for column in keys {
        let (value, rest) = column.read(key);
        values.push(value);
        key = rest;
    }
    values.extend(orders.history().or_raise().into_datum());
    let mut nulls = memory::collect(values.iter().map(|_| false));
    // SAFETY: the caller promises the columns; the store copies the values.
    unsafe { pg_sys::tuplestore_putvalues(store, columns, values.as_mut_ptr(), nulls.as_mut_ptr()) };
}

/// (query): the keys and histories of the orders that a query returns: the columns of the key, which are those that are
/// expected, then the day, the amount, whether the order was discounted, and, where some rows are none, whether it is a purchase.
#[pg_extern(sql = false)]
fn collect_histories(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: source.sql declares it with one text, strict, as a set of rows.
    unsafe {
        let query = read::<String>(fcinfo, 0)?;
        let (store, columns) = open_set(fcinfo);
        let partitions = Partitions::new(); // before SPI, whose memory ends with it
        connect();
        let cursor = open_cursor(&query, &[], true);
        let keys = key_columns((*cursor).tupDesc, columns, history_type((*(*fcinfo).flinfo).fn_oid));
        let mut orders = Orders { keys, partitions, record: Vec::new() };
        hand_over(cursor, &mut orders);
        pg_sys::SPI_finish();
        orders.partitions.hand_over(&mut Customers {
            keys: &orders.keys,
            orders: HashMap::new(),
            context: PgMemoryContexts::new("histories of a partition"),
            steps: Steps::default(),
            store,
            columns,
        });
        None
    }
}

/// An empty set of the rows that are expected, as the result of a call.
///
/// # Safety
/// `fcinfo` must be a live call frame.
unsafe fn open_set(fcinfo: pg_sys::FunctionCallInfo) -> (*mut pg_sys::Tuplestorestate, pg_sys::TupleDesc) {
    // SAFETY: whoever calls a function for a set passes a ReturnSetInfo, which is looked at before it is used.
    unsafe {
        let info = (*fcinfo).resultinfo.cast::<pg_sys::ReturnSetInfo>();
        let modes = |mode| (*info).allowedModes as u32 & mode != 0;
        if info.is_null()
            || (*info).type_ != pg_sys::NodeTag::T_ReturnSetInfo
            || !modes(pg_sys::SetFunctionReturnMode::SFRM_Materialize)
            || (*info).expectedDesc.is_null()
        {
            refuse("its rows are not selected from");
        }
        PgMemoryContexts::For((*(*info).econtext).ecxt_per_query_memory).switch_to(|_| {
            let random = modes(pg_sys::SetFunctionReturnMode::SFRM_Materialize_Random);
            (*info).returnMode = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
            (*info).setResult = pg_sys::tuplestore_begin_heap(random, false, pg_sys::work_mem);
            (*info).setDesc = pg_sys::CreateTupleDescCopy((*info).expectedDesc);
        });
        ((*info).setResult, (*info).setDesc)
    }
}

/// The type of histories: that of this extension, whose schema is that of its functions.
///
/// # Safety
/// In a transaction.
unsafe fn history_type(function: pg_sys::Oid) -> pg_sys::Oid {
    let name = c"purchase_history".as_ptr();
    // SAFETY: the caller promises the transaction; the name is a string.
    unsafe {
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::TYPENAMENSP as i32,
            pg_sys::Anum_pg_type_oid as i16,
            name.into(),
            pg_sys::get_func_namespace(function).into(),
            0.into(),
            0.into(),
        )
    }
}

/// The key columns of a query's orders, of which the expected rows must have the same, and a history.
///
/// # Safety
/// Both descriptors must be live.
unsafe fn key_columns(orders: pg_sys::TupleDesc, expected: pg_sys::TupleDesc, history: pg_sys::Oid) -> Vec<KeyColumn> {
    // SAFETY: the caller promises the descriptors; columns count from 1.
    unsafe {
        let types = |columns: pg_sys::TupleDesc| -> Vec<pg_sys::Oid> {
            (1..=(*columns).natts).map(|column| pg_sys::SPI_gettypeid(columns, column)).collect()
        };
        let (orders, expected) = (types(orders), types(expected));
        let Some((&last, keys)) = expected.split_last() else { refuse("it has no columns") };
        let of_order = orders.strip_prefix(keys).unwrap_or_default();
        let is_typed = |(&found, wanted): (&pg_sys::Oid, pg_sys::Oid)| pg_sys::getBaseType(found) == wanted;
        if last != history
            || !(ORDER_COLUMNS.len() - 1..=ORDER_COLUMNS.len()).contains(&of_order.len())
            || !of_order.iter().zip(ORDER_COLUMNS).all(is_typed)
        {
            refuse("its columns are not those of the query");
        }
        let key =
            |&of_type: &pg_sys::Oid| KeyColumn::new(of_type).unwrap_or_else(|| refuse("a key column is a C string"));
        keys.iter().map(key).collect()
    }
}

fn refuse(problem: &str) -> ! {
    let message = format!("histories cannot be collected so: {problem}");
    raise(Error::new(ErrorKind::InvalidParameter, message).hint("This function is a part of segmentations."))
}
