//! The readable form of a purchase history: JSON, a key a day.
//!
//! ```text
//! {"1997-01-01": {"orders": 1, "amount": 29.33}, "1997-01-18": {"orders": 2, "discounted": 1, "amount": 59.46}}
//! ```
//!
//! `orders` is 0 on a day of refunds and corrections only; `discounted` and `full_price` stand there when they are not 0; every amount
//! is written with all decimals of the history.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Deserializer};

use super::{MAX_DAYS, PurchaseDay, PurchaseHistory, too_many_days};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::{json, memory};

const TYPE_NAME: &str = "purchase_history";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DayText {
    orders: u32,
    #[serde(default)]
    discounted: u32,
    #[serde(default)]
    full_price: u32,
    amount: Decimal,
}

impl DayText {
    fn check(&self, day: Day) -> Result<()> {
        let known = u64::from(self.discounted) + u64::from(self.full_price);
        if known <= u64::from(self.orders) {
            return Ok(());
        }
        let message = format!("invalid purchase_history: more purchases of known discount than purchases on {day}");
        Err(Error::new(ErrorKind::InvalidText, message).hint(
            "orders counts the purchases of a day, discounted and full_price those of them of which it is known.",
        ))
    }
}

/// The days of a text, read one by one: each amount in units of its own last decimal.
#[derive(Default)]
struct Days {
    days: Vec<PurchaseDay>,
    scales: Vec<u8>,
    seen: HashSet<Day>,
}

impl Days {
    fn add(&mut self, day: &str, entry: &DayText) -> Result<()> {
        if self.days.len() == MAX_DAYS {
            return Err(too_many_days());
        }
        let on = Day::parse(day)?;
        entry.check(on)?;
        if !memory::insert(&mut self.seen, on) {
            return Err(json::stands_twice(TYPE_NAME, day));
        }
        let &DayText { orders, discounted, full_price, amount } = entry;
        memory::push(
            &mut self.days,
            PurchaseDay { day: on, orders, discounted, full_price, amount: amount.mantissa() },
        );
        memory::push(&mut self.scales, amount.scale());
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut days = Days::default();
        json::each_entry(deserializer, |day, entry: DayText| days.add(day, &entry))?;
        Ok(days)
    }
}

impl fmt::Display for PurchaseHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, entry) in self.days.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            let (day, orders) = (entry.day, entry.orders);
            write!(f, "{separator}\"{day}\": {{\"orders\": {orders}")?;
            for (name, count) in [("discounted", entry.discounted), ("full_price", entry.full_price)] {
                if count > 0 {
                    write!(f, ", \"{name}\": {count}")?;
                }
            }
            write!(f, ", \"amount\": {}}}", Decimal::new(entry.amount, self.scale))?;
        }
        f.write_str("}")
    }
}

impl std::str::FromStr for PurchaseHistory {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes, the days in any order.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`] naming the place; [`ErrorKind::NumberOutOfRange`], [`ErrorKind::LimitExceeded`] as
    /// [`PurchaseHistory::new`].
    fn from_str(text: &str) -> Result<Self> {
        let Days { mut days, scales, .. } = json::from_text(TYPE_NAME, text).map_err(|error| {
            error.or_hint(r#"A history is written as {"2024-05-01": {"orders": 1, "amount": 29.90}}."#)
        })?;
        let scale = scales.iter().copied().max().unwrap_or(0);
        for (entry, &own) in days.iter_mut().zip(&scales) {
            entry.amount = Decimal::new(entry.amount, own).mantissa_at(scale)?;
        }
        PurchaseHistory::new(scale, days)
    }
}
