//! Amounts as whole numbers of a unit, which becomes coarser where there are too many different ones to count.

use crate::decimal::{Decimal, MAX_SCALE, power_of_ten};
use crate::error::{Error, ErrorKind, Result};

/// In which units amounts are observed: multiples of `10^coarse / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoneyUnit {
    /// Decimals of the amounts.
    pub scale: u8,
    /// Last digits left out, because there were too many different amounts to count them all.
    pub coarse: u8,
}

/// The most digits that are left out.
const MOST_COARSE: u8 = 37;

impl MoneyUnit {
    /// The unit of these numbers, where there can be one.
    pub fn checked(scale: u8, coarse: u8) -> Option<Self> {
        (scale <= MAX_SCALE && coarse <= MOST_COARSE).then_some(MoneyUnit { scale, coarse })
    }

    /// Makes the unit ten times as large; who holds amounts in it divides them.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] when no digit is left to leave out.
    pub fn become_coarser(&mut self) -> Result<()> {
        if self.coarse >= MOST_COARSE {
            return Err(Error::new(ErrorKind::LimitExceeded, "too many different values to learn from")
                .hint("Learn from a sample of the customers."));
        }
        self.coarse += 1;
        Ok(())
    }

    /// The same amount of money as a unit of amounts with `scale` decimals at least.
    pub fn widened(self, scale: u8) -> Self {
        match scale.checked_sub(self.scale) {
            None | Some(0) => self,
            // Digits left out already stay left out.
            Some(more) if self.coarse > 0 => MoneyUnit { scale, coarse: self.coarse + more },
            Some(_) => MoneyUnit { scale, ..self },
        }
    }

    /// The number of units in an amount with `scale` decimals, rounded down.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`](crate::error::ErrorKind::NumberOutOfRange) when it does not fit.
    pub fn units(self, mantissa: i128, scale: u8) -> Result<i128> {
        let mantissa = Decimal::new(mantissa, scale).mantissa_at(self.scale)?;
        Ok(mantissa.div_euclid(power_of_ten(self.coarse)))
    }

    /// A number of `other` units, which are neither coarser nor have more decimals, in these.
    ///
    /// # Errors
    /// As [`units`](Self::units).
    pub fn units_of(self, value: i128, other: MoneyUnit) -> Result<i128> {
        match other.coarse {
            0 => self.units(value, other.scale),
            // In decimals of this unit the other has lost as many more digits as it has fewer decimals.
            coarse => Ok(value.div_euclid(power_of_ten(self.coarse - coarse - (self.scale - other.scale)))),
        }
    }
}
