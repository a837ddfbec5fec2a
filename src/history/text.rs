//! The readable form of a purchase history: JSON, a key a day.
//!
//! ```text
//! {"1997-01-01": {"orders": 1, "amount": 29.33}, "1997-01-18": {"orders": 2, "discounted": 1, "amount": 59.46}}
//! ```
//!
//! `orders` is 0 on a day of refunds only; `discounted` and `full_price` stand there when they are not 0; every amount
//! is written with all decimals of the history.

use std::fmt;

use serde::Deserialize;

use super::{PurchaseDay, PurchaseHistory};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::json;

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
        let problem = if known > u64::from(self.orders) {
            "more purchases of known discount than purchases"
        } else if self.orders == 0 && self.amount >= Decimal::ZERO {
            "neither a purchase nor a refund"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidText, format!("invalid purchase_history: {problem} on {day}"))
            .hint("orders counts the purchases of a day; it is 0 only where a refund made the amount negative."))
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
        let by_day: json::UniqueMap<DayText> = json::from_text("purchase_history", text).map_err(|error| {
            error.hint(r#"A history is written as {"2024-05-01": {"orders": 1, "amount": 29.90}}."#)
        })?;
        let mut entries = Vec::with_capacity(by_day.0.len());
        for (day, entry) in by_day.0 {
            let day = Day::parse(&day)?;
            entry.check(day)?;
            entries.push((day, entry));
        }
        let scale = entries.iter().map(|(_, entry)| entry.amount.scale()).max().unwrap_or(0);
        let days = entries
            .into_iter()
            .map(|(day, entry)| {
                Ok(PurchaseDay {
                    day,
                    orders: entry.orders,
                    discounted: entry.discounted,
                    full_price: entry.full_price,
                    amount: entry.amount.mantissa_at(scale)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        PurchaseHistory::new(scale, days)
    }
}
