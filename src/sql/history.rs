//! Accessors of a purchase history: what is known of a customer up to a day.

use pgrx::prelude::*;

use super::error::OrRaise;
use crate::day::Day;
use crate::decimal::Decimal;
use crate::history::{PurchaseHistory, Purchases, average_order_value};

/// The purchases up to `as_of`, where there are any.
fn purchases(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<Purchases> {
    history?.purchases(as_of?)
}

/// A number of days or purchases as an SQL `integer`; days of a `date` always fit, purchases beyond it are an error.
pub fn integer(value: i64) -> i32 {
    use crate::error::{Error, ErrorKind};

    i32::try_from(value)
        .map_err(|_| Error::new(ErrorKind::NumberOutOfRange, format!("{value} is out of range for integer")))
        .or_raise()
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn recency_days(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<i32> {
    let as_of = as_of?;
    purchases(history, Some(as_of)).map(|purchases| integer(purchases.recency_days(as_of)))
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn orders(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<i64> {
    as_of.map(|_| purchases(history, as_of).map_or(0, |purchases| purchases.orders))
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn purchase_days(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<i32> {
    as_of.map(|_| purchases(history, as_of).map_or(0, |purchases| purchases.purchase_days))
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn monetary(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<Decimal> {
    as_of.map(|as_of| history.map_or(Decimal::ZERO, |history| history.monetary(as_of)))
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn tenure_days(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<i32> {
    let as_of = as_of?;
    purchases(history, Some(as_of)).map(|purchases| integer(as_of.days_since(purchases.first)))
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn span_days(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<i32> {
    purchases(history, as_of).map(|purchases| integer(purchases.span_days()))
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn first_purchase_on(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<Day> {
    purchases(history, as_of).map(|purchases| purchases.first)
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn last_purchase_on(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<Day> {
    purchases(history, as_of).map(|purchases| purchases.last)
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn previous_purchase_on(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<Day> {
    purchases(history, as_of)?.previous
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn last_gap_days(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<i32> {
    purchases(history, as_of)?.last_gap_days().map(integer)
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn mean_gap_days(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<Decimal> {
    purchases(history, as_of)?.mean_gap_days()
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn median_gap_days(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<Decimal> {
    history?.median_gap_days(as_of?)
}

#[pg_extern(immutable, parallel_safe, cost = 20)]
fn discount_share(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<Decimal> {
    purchases(history, as_of)?.discount_share()
}

#[pg_extern(immutable, parallel_safe, cost = 20, name = "average_order_value")]
fn average_order_value_of(history: Option<PurchaseHistory>, as_of: Option<Day>) -> Option<Decimal> {
    let (history, as_of) = (history?, as_of?);
    let orders = history.purchases(as_of)?.orders;
    Some(average_order_value(history.monetary(as_of), orders).or_raise())
}
