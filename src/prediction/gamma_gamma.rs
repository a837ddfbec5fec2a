//! The Gamma-Gamma model of spend: a purchase day's amount is Gamma(p, nu), and nu differs between customers by
//! Gamma(q, v).
//!
//! Colombo, Jiang 1999; Fader, Hardie 2013.

mod fit;
mod likelihood;

pub(super) use fit::{Spend, SpendUnit, fit_spend};
pub use fit::{SpendCounts, SpendFit};

use statrs::function::beta::beta_reg;

use super::process::Outlook;
use crate::host;
use crate::memory;

/// The parameters; v in units of money.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GammaGamma {
    /// Shape of the amounts of one customer.
    pub p: f64,
    /// Shape of the differences between customers.
    pub q: f64,
    /// Their scale.
    pub v: f64,
}

impl GammaGamma {
    /// The expected amount of a purchase day of somebody who spent `amount` on `purchases` days; of nobody in
    /// particular where both are 0. `None` where it is infinite.
    pub fn expected(&self, purchases: f64, amount: f64) -> Option<f64> {
        let shape = self.p * purchases + self.q - 1.0;
        (shape > 0.0).then(|| self.p * (self.v + amount.max(0.0)) / shape)
    }

    /// The variance of the sum of so many purchase days, of which the mean and the variance are given; `None` where it
    /// is infinite.
    pub fn variance(&self, purchases: f64, amount: f64, mean: f64, variance: f64) -> Option<f64> {
        let (shape, scale) = (self.p * purchases + self.q, self.v + amount.max(0.0));
        let second = scale * scale / ((shape - 1.0) * (shape - 2.0));
        let average = self.p * self.expected_inverse(shape, scale)?;
        (shape > 2.0).then(|| {
            mean * self.p * second + (variance + mean * mean) * self.p * self.p * second - (mean * average).powi(2)
        })
    }

    fn expected_inverse(&self, shape: f64, scale: f64) -> Option<f64> {
        (shape > 1.0).then(|| scale / (shape - 1.0))
    }

    /// Quantiles of what a customer will spend in so many days, undiscounted: the amounts that are not exceeded with
    /// these chances, which ascend.
    ///
    /// The sum of n amounts y has `y/(v+y)` of Beta(p n, q), with q and v after what she has spent.
    pub fn value_quantiles<const N: usize>(
        &self,
        outlook: &Outlook,
        days: f64,
        (purchases, amount): (f64, f64),
        levels: [f64; N],
    ) -> [f64; N] {
        let (shape, scale) = (self.q + self.p * purchases, self.v + amount.max(0.0));
        let mut chances = memory::with_capacity(16);
        let (mut above, mut none) = (0.0, 1.0);
        outlook.each_exceeded(days, |exceeded| {
            if chances.is_empty() && none == 1.0 {
                none = 1.0 - exceeded;
            } else {
                memory::push(&mut chances, above - exceeded);
            }
            above = exceeded;
            true
        });
        let below = |share: f64| {
            host::check();
            let of_count = |(n, chance): (usize, &f64)| chance * beta_reg(self.p * (n + 1) as f64, shape, share);
            none + chances.iter().enumerate().filter(|(_, chance)| **chance > 1e-13).map(of_count).sum::<f64>()
        };
        let mut least = 0.0;
        levels.map(|level| {
            if none >= level {
                return 0.0;
            }
            least = first_at_least(level, least, below);
            scale * least / (1.0 - least)
        })
    }
}

/// Where a function that rises from 0 to 1 reaches a level: bisection that first tries the straight line (Illinois).
fn first_at_least(level: f64, from: f64, function: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (from, 1.0 - 1e-15);
    let (mut under, mut over) = (function(low) - level, function(high) - level);
    let mut last_side = 0;
    for turn in 0..200 {
        if high - low <= 1e-13 * high {
            break;
        }
        let line = (low * over - high * under) / (over - under);
        let middle = if turn % 4 == 3 || !(low..=high).contains(&line) { (low + high) / 2.0 } else { line };
        let value = function(middle) - level;
        if value >= 0.0 {
            (high, over) = (middle, value);
            under *= if last_side == 1 { 0.5 } else { 1.0 };
            last_side = 1;
        } else {
            (low, under) = (middle, value);
            over *= if last_side == -1 { 0.5 } else { 1.0 };
            last_side = -1;
        }
        if value == 0.0 {
            return middle;
        }
    }
    high
}
