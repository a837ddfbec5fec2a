//! Which calendar day a `timestamptz` falls on in the session's time zone.

use std::cell::RefCell;

use pgrx::pg_sys;

use crate::day::Day;

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;
const SECOND_MICROS: i64 = 1_000_000;
/// Seconds from 1970-01-01, where the time zone data counts from, to 2000-01-01.
const EPOCH_SECONDS: i64 = 946_684_800;

/// A time in which the offset does not change: `from <= t < until`, in seconds since 1970.
struct OffsetPeriod {
    from: i64,
    until: i64,
    offset: i64,
}

/// The periods of one zone that were met so far.
struct Known {
    zone: *const pg_sys::pg_tz,
    periods: Vec<OffsetPeriod>,
}

thread_local! {
    static KNOWN: RefCell<Known> = const { RefCell::new(Known { zone: std::ptr::null(), periods: Vec::new() }) };
}

/// The day of a finite timestamp (microseconds since 2000-01-01 UTC) in the session's time zone, exactly as
/// `timestamptz::date` finds it; one look-up for each change of the offset, not for each row.
pub fn local_day(micros: i64) -> Day {
    let seconds = micros.div_euclid(SECOND_MICROS) + EPOCH_SECONDS;
    let offset = KNOWN.with_borrow_mut(|known| {
        // SAFETY: PostgreSQL sets session_timezone before any statement runs and never frees a zone.
        let zone = unsafe { pg_sys::session_timezone };
        if !std::ptr::eq(zone, known.zone) {
            *known = Known { zone, periods: Vec::new() };
        }
        match known.periods.iter().find(|period| (period.from..period.until).contains(&seconds)) {
            Some(period) => period.offset,
            None => look_up(known, seconds),
        }
    });
    Day((micros + offset * SECOND_MICROS).div_euclid(DAY_MICROS) as i32)
}

fn look_up(known: &mut Known, seconds: i64) -> i64 {
    let (mut offset, mut until, mut after) = (0, 0, 0);
    let (mut is_dst, mut after_is_dst) = (0, 0);
    // SAFETY: all pointers are to live variables, the zone is PostgreSQL's own.
    let found = unsafe {
        pg_sys::pg_next_dst_boundary(
            &seconds,
            &mut offset,
            &mut is_dst,
            &mut until,
            &mut after,
            &mut after_is_dst,
            known.zone,
        )
    };
    if found == 0 {
        until = i64::MAX;
    }
    // The period may be known already from a later time on.
    match known.periods.iter_mut().find(|period| period.until == until) {
        Some(period) => period.from = seconds,
        None => known.periods.push(OffsetPeriod { from: seconds, until, offset }),
    }
    offset
}
