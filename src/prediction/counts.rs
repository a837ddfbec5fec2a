//! Chances of numbers of purchases.

/// A chance of more purchases that no longer counts.
pub(super) const NEGLIGIBLE: f64 = 2e-16;

/// The chances of 0, 1, 2, ... purchases in some days at a rate of Gamma(m, scale), without end.
pub(super) struct NegativeBinomial {
    m: f64,
    z: f64,
    n: f64,
    /// The chance is `factor * exp(log)`, because it can begin with less than a number holds.
    factor: f64,
    log: f64,
    /// `exp(log / 2)`, twice a factor.
    half: f64,
}

/// A factor is kept below.
const LARGE: f64 = 1e200;

impl NegativeBinomial {
    pub fn new(m: f64, days: f64, scale: f64) -> Self {
        let log = -m * (days / scale).ln_1p();
        NegativeBinomial { m, z: days / (scale + days), n: 0.0, factor: 1.0, log, half: (log / 2.0).exp() }
    }
}

impl Iterator for NegativeBinomial {
    type Item = f64;

    #[inline]
    fn next(&mut self) -> Option<f64> {
        let chance = self.factor * self.half * self.half;
        self.factor *= (self.m + self.n) / (self.n + 1.0) * self.z;
        self.n += 1.0;
        if self.factor > LARGE {
            self.factor /= LARGE;
            self.log += LARGE.ln();
            self.half = (self.log / 2.0).exp();
        }
        Some(chance)
    }
}
