//! Movements of many customers that are alike, counted together.

use super::{Labels, Movement};
use crate::bytes::{Reader, put_signed, put_unsigned};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::Result;
use crate::lifecycle::LifecycleState;
use crate::rfm::Segments;
use crate::tally::{Tally, add_count, add_revenue, revenue_at};
use crate::vip::VipTier;

/// [`Labels`] as numbers: the places of the state and the tier in their lists, and that of the segment among the policy's,
/// from 1; 0 is that of a prospect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
struct Places {
    segment: u32,
    state: u8,
    tier: u8,
}

impl Places {
    fn of(labels: Labels, segments: &Segments) -> Self {
        let place = labels.segment.and_then(|name| segments.names().position(|segment| segment == name));
        Places {
            segment: place.map_or(0, |place| place as u32 + 1),
            state: labels.state as u8,
            tier: labels.tier as u8,
        }
    }

    /// `None` where a list has no such place.
    fn labels(self, segments: &Segments) -> Option<Labels<'_>> {
        let segment = match self.segment.checked_sub(1) {
            None => None,
            Some(place) => Some(segments.names().nth(place as usize)?),
        };
        let state = *LifecycleState::ALL.get(usize::from(self.state))?;
        let tier = *VipTier::ALL.get(usize::from(self.tier))?;
        Some(Labels { state, segment, tier })
    }
}

/// From which day to which day, and what customers are called on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Move {
    from: Day,
    to: Day,
    before: Places,
    after: Places,
}

/// How many customers moved so, and the sums of their revenues in units of `10^-scale`, a scale that all have that are
/// counted together. Packed, to be kept in the state of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(8))]
pub struct MovementCount {
    moved: Move,
    customers: i64,
    revenue_before: i128,
    revenue_after: i128,
}

impl MovementCount {
    /// The movement of one customer.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`](crate::error::ErrorKind::NumberOutOfRange) where an amount does not fit the scale.
    pub fn of(movement: &Movement, segments: &Segments, scale: u8) -> Result<Self> {
        let Movement { from, to, before, after, revenue_before, revenue_after } = *movement;
        Ok(MovementCount {
            moved: Move { from, to, before: Places::of(before, segments), after: Places::of(after, segments) },
            customers: 1,
            revenue_before: revenue_before.mantissa_at(scale)?,
            revenue_after: revenue_after.mantissa_at(scale)?,
        })
    }

    /// How many customers.
    pub fn customers(&self) -> i64 {
        self.customers
    }

    /// The movement with the revenues of all; `None` where it was counted by another policy.
    pub fn movement<'a>(&self, segments: &'a Segments, scale: u8) -> Option<Movement<'a>> {
        let Move { from, to, before, after } = self.moved;
        Some(Movement {
            from,
            to,
            before: before.labels(segments)?,
            after: after.labels(segments)?,
            revenue_before: Decimal::new(self.revenue_before, scale),
            revenue_after: Decimal::new(self.revenue_after, scale),
        })
    }
}

impl Tally for MovementCount {
    type Key = Move;

    fn key(&self) -> Move {
        self.moved
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        self.customers = add_count(self.customers, other.customers)?;
        self.revenue_before = add_revenue(self.revenue_before, other.revenue_before)?;
        self.revenue_after = add_revenue(self.revenue_after, other.revenue_after)?;
        Ok(())
    }

    fn at_scale(mut self, scale: u8, new_scale: u8) -> Result<Self> {
        self.revenue_before = revenue_at(self.revenue_before, scale, new_scale)?;
        self.revenue_after = revenue_at(self.revenue_after, scale, new_scale)?;
        Ok(self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Move { from, to, before, after } = self.moved;
        for day in [from, to] {
            out.extend(day.0.to_ne_bytes());
        }
        for places in [before, after] {
            put_unsigned(out, places.segment.into());
            out.extend([places.state, places.tier]);
        }
        put_unsigned(out, self.customers as u128);
        for revenue in [self.revenue_before, self.revenue_after] {
            put_signed(out, revenue);
        }
    }

    fn read(reader: &mut Reader) -> Result<Self> {
        let day = |reader: &mut Reader| Ok(Day(i32::from_ne_bytes(reader.array()?)));
        let places = |reader: &mut Reader| {
            Ok(Places { segment: reader.unsigned()?, state: reader.byte()?, tier: reader.byte()? })
        };
        Ok(MovementCount {
            moved: Move { from: day(reader)?, to: day(reader)?, before: places(reader)?, after: places(reader)? },
            customers: reader.unsigned()?,
            revenue_before: reader.signed()?,
            revenue_after: reader.signed()?,
        })
    }
}
