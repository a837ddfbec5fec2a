//! Chances of numbers of purchases.

use super::elementary::{exp, ln_1p};

/// A chance of more purchases that no longer counts.
pub(super) const NEGLIGIBLE: f64 = 2e-16;

/// The chances of 0, 1, 2, ... purchases in each of some numbers of days at a rate of Gamma(m, scale), without end.
pub(super) struct NegativeBinomial<const N: usize> {
    m: f64,
    n: f64,
    z: [f64; N],
    /// A chance is `factor * exp(log)`, because it can begin with less than a number holds.
    factors: [f64; N],
    logs: [f64; N],
    /// `exp(log / 2)`, twice a factor.
    halves: [f64; N],
}

/// A factor is kept below.
const LARGE: f64 = 1e200;

impl<const N: usize> NegativeBinomial<N> {
    pub fn new(m: f64, days: [f64; N], scale: f64) -> Self {
        let logs = ln_1p(days.map(|days| days / scale)).map(|log| -m * log);
        let halves = exp(logs.map(|log| log / 2.0));
        let z = days.map(|days| days / (scale + days));
        NegativeBinomial { m, n: 0.0, z, factors: [1.0; N], logs, halves }
    }

    fn keep_below(&mut self) {
        for i in 0..N {
            if self.factors[i] > LARGE {
                self.factors[i] /= LARGE;
                self.logs[i] += LARGE.ln();
                [self.halves[i]] = exp([self.logs[i] / 2.0]);
            }
        }
    }
}

impl<const N: usize> Iterator for NegativeBinomial<N> {
    type Item = [f64; N];

    #[inline]
    fn next(&mut self) -> Option<[f64; N]> {
        let chances = std::array::from_fn(|i| self.factors[i] * self.halves[i] * self.halves[i]);
        let ratio = (self.m + self.n) / (self.n + 1.0);
        self.n += 1.0;
        let mut largest = 0.0;
        for (factor, z) in self.factors.iter_mut().zip(self.z) {
            *factor *= ratio * z;
            largest = f64::max(largest, *factor);
        }
        if largest > LARGE {
            self.keep_below();
        }
        Some(chances)
    }
}
