//! `numeric` to and from [`Decimal`], by its own digits: base 10000, as PostgreSQL keeps them
//! (src/backend/utils/adt/numeric.c). Going through text would cost several times the aggregate itself.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::nullable::Nullable;
use pgrx::pg_sys::{self, Oid};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum};

use super::datum::{new_varlena, sql_type, varlena_bytes};
use super::error::OrRaise;
use crate::decimal::{Decimal, MAX_SCALE, amount_out_of_range, too_many_decimals};
use crate::error::{Error, ErrorKind, Result};

const BASE: i128 = 10_000;
/// Decimal digits in one digit of the base.
const BASE_DIGITS: i32 = 4;

const KIND_MASK: u16 = 0xC000;
const NEGATIVE: u16 = 0x4000;
const SHORT: u16 = 0x8000;
const SPECIAL: u16 = 0xC000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_SCALE_SHIFT: u16 = 7;
const SHORT_SCALE_MASK: u16 = 0x1F80;
const SHORT_WEIGHT_NEGATIVE: u16 = 0x0040;
const SHORT_WEIGHT_MASK: u16 = 0x003F;
const LONG_SCALE_MASK: u16 = 0x3FFF;

/// The error for an amount that is no number.
fn not_finite(what: &str) -> Error {
    Error::new(ErrorKind::NumberOutOfRange, format!("amount must be a number, not {what}"))
        .hint("Leave out such rows, or make the amount NULL: it then counts as a purchase and adds nothing.")
}

/// The number in the payload of a `numeric`.
///
/// # Errors
/// [`ErrorKind::NumberOutOfRange`] for NaN and infinity, more than [`MAX_SCALE`] decimals or more than 38 digits.
pub fn decode(bytes: &[u8]) -> Result<Decimal> {
    let word = |index: usize| u16::from_ne_bytes([bytes[2 * index], bytes[2 * index + 1]]);
    let header = word(0);
    let (negative, scale, weight, digits_at) = match header & KIND_MASK {
        SPECIAL => {
            return Err(not_finite(match header {
                0xD000 => "infinity",
                0xF000 => "-infinity",
                _ => "NaN",
            }));
        }
        SHORT => {
            let weight = i32::from(header & SHORT_WEIGHT_MASK);
            let weight = if header & SHORT_WEIGHT_NEGATIVE != 0 { weight - 64 } else { weight };
            (header & SHORT_NEGATIVE != 0, (header & SHORT_SCALE_MASK) >> SHORT_SCALE_SHIFT, weight, 1)
        }
        kind => (kind == NEGATIVE, header & LONG_SCALE_MASK, i32::from(word(1) as i16), 2),
    };
    let scale = u8::try_from(scale).ok().filter(|scale| *scale <= MAX_SCALE).ok_or_else(|| too_many_decimals(scale))?;
    let digits = (digits_at..bytes.len() / 2).map(word);
    let magnitude = join(digits, weight, scale)?;
    Ok(Decimal::new(if negative { -magnitude } else { magnitude }, scale))
}

/// The digits of the base, the first worth `BASE^weight`, as an integer number of `10^-scale`.
fn join(mut digits: impl ExactSizeIterator<Item = u16> + DoubleEndedIterator, weight: i32, scale: u8) -> Result<i128> {
    let count = digits.len() as i32;
    // The last digit is worth BASE^(weight - count + 1). Decimals of it beyond the scale are zeros, one to three.
    let exponent = BASE_DIGITS * (weight - count + 1) + i32::from(scale);
    let last = if exponent < 0 { digits.next_back() } else { None };
    // Up to four digits of the base fit in 64 bits: the usual amount, and several times faster.
    let joined = if count <= 4 {
        i128::from(digits.fold(0i64, |sum, digit| sum * BASE as i64 + i64::from(digit)))
    } else {
        digits.try_fold(0i128, |sum, digit| shifted(sum, 4, digit))?
    };
    match last {
        None if joined == 0 => Ok(0),
        None => shifted(joined, exponent as u32, 0),
        Some(last) => {
            let padding = exponent.unsigned_abs();
            shifted(joined, BASE_DIGITS as u32 - padding, last / 10u16.pow(padding))
        }
    }
}

/// `number * 10^places + digit`.
fn shifted(number: i128, places: u32, digit: u16) -> Result<i128> {
    let shifted = 10i128.checked_pow(places).and_then(|factor| number.checked_mul(factor));
    shifted.and_then(|shifted| shifted.checked_add(digit.into())).ok_or_else(amount_out_of_range)
}

/// The payload of a `numeric` with the value and the decimals of `number`.
fn encode(number: Decimal) -> Vec<u8> {
    let scale = number.scale();
    let unit = 10u128.pow(scale.into());
    let magnitude = number.mantissa().unsigned_abs();
    let fraction_digits = scale.div_ceil(BASE_DIGITS as u8);
    let padding = 10u128.pow(u32::from(fraction_digits) * BASE_DIGITS as u32 - u32::from(scale));

    // Least significant digit first.
    let mut digits: Vec<u16> = Vec::with_capacity(16);
    let mut split = |mut part: u128, at_least: u8| {
        let enough = digits.len() + usize::from(at_least);
        while part > 0 || digits.len() < enough {
            let (rest, digit) = match u64::try_from(part) {
                Ok(small) => (u128::from(small / BASE as u64), (small % BASE as u64) as u16),
                Err(_) => (part / BASE as u128, (part % BASE as u128) as u16),
            };
            digits.push(digit);
            part = rest;
        }
    };
    let (whole, fraction) = match u64::try_from(magnitude) {
        Ok(small) if scale <= 19 => {
            let unit = unit as u64;
            (u128::from(small / unit), u128::from(small % unit))
        }
        _ => (magnitude / unit, magnitude % unit),
    };
    split(fraction * padding, fraction_digits);
    split(whole, 0);

    let leading_zeros = digits.iter().rev().take_while(|&&digit| digit == 0).count();
    digits.truncate(digits.len() - leading_zeros);
    let weight = if digits.is_empty() { 0 } else { digits.len() as i32 - i32::from(fraction_digits) - 1 };
    let trailing_zeros = digits.iter().take_while(|&&digit| digit == 0).count();

    let mut header = SHORT | u16::from(scale) << SHORT_SCALE_SHIFT | (weight as u16 & SHORT_WEIGHT_MASK);
    if weight < 0 {
        header |= SHORT_WEIGHT_NEGATIVE;
    }
    if number.mantissa() < 0 {
        header |= SHORT_NEGATIVE;
    }
    let mut bytes = Vec::with_capacity(2 * (1 + digits.len()));
    bytes.extend(header.to_ne_bytes());
    digits[trailing_zeros..].iter().rev().for_each(|digit| bytes.extend(digit.to_ne_bytes()));
    bytes
}

/// A `double precision` converted as `::numeric` does: 15 significant digits, no trailing zeros.
///
/// # Errors
/// As [`decode`].
pub fn from_float(value: f64) -> Result<Decimal> {
    if !value.is_finite() {
        return Err(not_finite(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "infinity"
        } else {
            "-infinity"
        }));
    }
    Decimal::parse(&shortened(value))
}

/// 15 significant digits in scientific notation without trailing zeros, as C's `%.15g` would keep them.
fn shortened(value: f64) -> String {
    let text = format!("{value:.14e}");
    match text.split_once('e') {
        Some((digits, exponent)) => format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.')),
        None => text,
    }
}

impl FromDatum for Decimal {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: Oid) -> Option<Self> {
        // SAFETY: the argument is declared as numeric, which is a varlena.
        (!is_null).then(|| decode(unsafe { varlena_bytes(datum) }).or_raise())
    }
}

impl IntoDatum for Decimal {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(new_varlena(&encode(self)))
    }

    fn type_oid() -> Oid {
        pg_sys::NUMERICOID
    }
}

sql_type!(Decimal, "numeric", External);
