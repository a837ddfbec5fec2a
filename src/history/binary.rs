//! The stored form of a purchase history: canonical bytes, so that equal histories are equal byte for byte.
//!
//! ```text
//! version  scale  { day  [orders discounted full_price]  amount }*
//! ```
//!
//! `day` is the distance to the entry before (the first: from 2000-01-01, signed), doubled; the lowest bit says that the
//! three counts follow. Without them the day saw one purchase of unknown discount: the usual case costs four or five bytes.

use super::{MAX_DAYS, PurchaseDay, PurchaseHistory};
use crate::bytes::{Reader, put_signed, put_unsigned};
use crate::day::Day;
use crate::decimal::MAX_SCALE;
use crate::error::Result;
use crate::memory;

const VERSION: u8 = 1;

/// More than a day takes: a distance of 64 bits, three counts of 32 and an amount of 128.
const MAX_DAY_BYTES: usize = 10 + 3 * 5 + 19;

impl PurchaseHistory {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = memory::with_capacity(2 + self.days.len() * 6);
        out.extend([VERSION, self.scale]);
        let mut before = None;
        for entry in &self.days {
            memory::reserve(&mut out, MAX_DAY_BYTES);
            let plain = entry.is_plain();
            let distance = match before {
                None => zigzag(entry.day.0),
                Some(before) => entry.day.days_since(before) as u64 - 1,
            };
            put_unsigned(&mut out, u128::from(distance << 1 | u64::from(!plain)));
            if !plain {
                for count in [entry.orders, entry.discounted, entry.full_price] {
                    put_unsigned(&mut out, u128::from(count));
                }
            }
            put_signed(&mut out, entry.amount);
            before = Some(entry.day);
        }
        out
    }

    /// The history that has these canonical bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`](crate::error::ErrorKind::InvalidBinary) when no history has them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("purchase_history", VERSION, bytes)?;
        let scale = reader.byte()?;
        if scale > MAX_SCALE {
            return Err(reader.invalid("too many decimals"));
        }
        let mut days: Vec<PurchaseDay> = memory::with_capacity((bytes.len() / 4).min(MAX_DAYS));
        while !reader.is_empty() {
            let entry = read_day(&mut reader, days.last())?;
            memory::push(&mut days, entry);
            if days.len() > MAX_DAYS {
                return Err(reader.invalid("too many days"));
            }
        }
        if days.is_empty() && scale > 0 {
            return Err(reader.invalid("decimals without an amount"));
        }
        Self::from_merged(scale, days).map_err(|error| reader.invalid(&error.message))
    }
}

impl PurchaseDay {
    /// One purchase, nothing known of a discount: the form that needs no counts.
    fn is_plain(&self) -> bool {
        (self.orders, self.discounted, self.full_price) == (1, 0, 0)
    }
}

/// Inlined: an entry is large to be handed on.
#[inline(always)]
fn read_day(reader: &mut Reader, before: Option<&PurchaseDay>) -> Result<PurchaseDay> {
    let word: u64 = reader.unsigned()?;
    let day = match before {
        None => unzigzag(word >> 1),
        Some(before) => i64::try_from(word >> 1)
            .ok()
            .and_then(|distance| i64::from(before.day.0).checked_add(distance.checked_add(1)?)),
    };
    let day = day
        .and_then(|day| i32::try_from(day).ok())
        .and_then(|day| Day(day).checked().ok())
        .ok_or_else(|| reader.invalid("a day is out of range"))?;
    let mut entry = PurchaseDay { day, orders: 1, discounted: 0, full_price: 0, amount: 0 };
    if word & 1 == 1 {
        entry.orders = reader.unsigned()?;
        entry.discounted = reader.unsigned()?;
        entry.full_price = reader.unsigned()?;
        let known = entry.discounted.checked_add(entry.full_price);
        if entry.is_plain() || known.is_none_or(|known| known > entry.orders) {
            return Err(reader.invalid("the purchases of a day do not add up"));
        }
    }
    entry.amount = reader.signed()?;
    Ok(entry)
}

fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

fn unzigzag(value: u64) -> Option<i64> {
    let value = i64::from(u32::try_from(value).ok()?);
    Some((value >> 1) ^ -(value & 1))
}
