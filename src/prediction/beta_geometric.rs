//! The beta-geometric models: purchases come at a rate of Gamma(r, alpha), and customers leave after a purchase with a
//! chance of Beta(a, b).
//!
//! BG/NBD (Fader, Hardie, Lee 2005) lets nobody leave after the first purchase, MBG/NBD (Batislam, Denizel, Filiztekin
//! 2007; Wagner, Hoppe 2008) does. With a = 0 nobody leaves.

pub(super) mod likelihood;

use super::counts::{NEGLIGIBLE, NegativeBinomial};
use super::timing::Timing;
use crate::host::Steps;

/// The parameters; alpha in days.
#[derive(Clone, Copy, Debug)]
pub(super) struct BetaGeometric {
    /// Whether one can leave after the first purchase.
    pub first_counts: bool,
    pub r: f64,
    pub alpha: f64,
    pub a: f64,
    pub b: f64,
}

impl BetaGeometric {
    /// Chances to stay that a customer has had.
    fn stays(&self, timing: &Timing) -> f64 {
        f64::from(timing.repeats) + if self.first_counts { 1.0 } else { 0.0 }
    }

    /// The logarithm of a/(b+x+c-1): what the odds of having left begin with on the day of a purchase; `None` where
    /// nobody can have left.
    fn log_odds_at_purchase(&self, timing: &Timing) -> Option<f64> {
        let stays = self.stays(timing);
        (stays > 0.0 && self.a > 0.0).then(|| self.a.ln() - (self.b + stays - 1.0).ln())
    }

    /// The logarithm of the odds of having left; minus infinity where nobody can have.
    pub fn log_odds_gone(&self, timing: &Timing) -> f64 {
        let Some(at_purchase) = self.log_odds_at_purchase(timing) else { return f64::NEG_INFINITY };
        let [x, span, tenure] = [timing.repeats, timing.span_days, timing.tenure_days].map(f64::from);
        at_purchase + (self.r + x) * ((tenure - span) / (self.alpha + span)).ln_1p()
    }

    /// T on the last day on which the odds of having left are at most `exp(log_odds)`, if nothing more is bought;
    /// `None` where they never exceed it. It lies before t_x where they do at once.
    pub fn tenure_at(&self, timing: &Timing, log_odds: f64) -> Option<f64> {
        let at_purchase = self.log_odds_at_purchase(timing)?;
        let [x, span] = [timing.repeats, timing.span_days].map(f64::from);
        Some(span + (self.alpha + span) * ((log_odds - at_purchase) / (self.r + x)).exp_m1())
    }

    /// What is expected of a customer who is alive.
    pub fn alive(&self, timing: &Timing) -> Alive {
        Alive {
            m: self.r + f64::from(timing.repeats),
            scale: self.alpha + f64::from(timing.tenure_days),
            a: self.a,
            b: self.b + self.stays(timing),
        }
    }
}

/// The posterior of a customer who is alive: a rate of Gamma(m, scale), a chance to leave of Beta(a, b).
#[derive(Clone, Copy, Debug)]
pub(super) struct Alive {
    pub m: f64,
    pub scale: f64,
    pub a: f64,
    pub b: f64,
}

impl Alive {
    /// Expected purchases in `days`: the sum over n of the chance of n purchases if nobody left, times the expected
    /// purchases before leaving, of at most n. All terms are positive, and a = 1 is like any other.
    pub fn expected(&self, days: f64) -> f64 {
        let Alive { m, scale, a, b } = *self;
        if a == 0.0 {
            return m * days / scale;
        }
        let z = days / (scale + days);
        let mean = m * days / scale;
        // The chance of no purchase stays a logarithm: it can be below what a number holds.
        let mut log = -m * (days / scale).ln_1p();
        let (mut term, mut sum, mut stay, mut before, mut n) = (1.0, 0.0, 1.0, 0.0, 0.0);
        let mut ratio = m * z;
        let mut steps = Steps::default();
        loop {
            steps.step();
            before += stay;
            term *= ratio;
            sum += term * before;
            if term > LARGE {
                term /= LARGE;
                sum /= LARGE;
                log += LARGE.ln();
            }
            // Both quotients of the next term by one division, which is what a term costs.
            let inverse = 1.0 / ((a + b + n) * (n + 2.0));
            stay *= (b + n) * (n + 2.0) * inverse;
            ratio = z * (m + n + 1.0) * (a + b + n) * inverse;
            n += 1.0;
            if n > mean && ratio < 1.0 && term * (before + 1.0) <= ENDING * sum * (1.0 - ratio) {
                break;
            }
        }
        sum * log.exp()
    }

    /// The same for several numbers of days, ascending: they share the purchases before leaving, which take a division
    /// for each term.
    pub fn expected_each<const N: usize>(&self, days: [f64; N]) -> [f64; N] {
        let Alive { m, scale, a, b } = *self;
        let Some(&longest) = days.last() else { return days };
        let log = m * (longest / scale).ln_1p();
        // Of sums that would become too large, each is scaled by itself.
        if a == 0.0 || log > 500.0 {
            return days.map(|days| self.expected(days));
        }
        let z = longest / (scale + longest);
        let shares = days.map(|days| days / (scale + days) / z);
        let (mut powers, mut sums) = ([1.0; N], [0.0; N]);
        let (mut term, mut stay, mut before, mut n, mut ratio) = (1.0, 1.0, 0.0, 0.0, m * z);
        let mut steps = Steps::default();
        loop {
            steps.step();
            before += stay;
            term *= ratio;
            let added = term * before;
            for i in 0..N {
                powers[i] *= shares[i];
                sums[i] += added * powers[i];
            }
            let inverse = 1.0 / ((a + b + n) * (n + 2.0));
            stay *= (b + n) * (n + 2.0) * inverse;
            ratio = z * (m + n + 1.0) * (a + b + n) * inverse;
            n += 1.0;
            if n > m * longest / scale && ratio < 1.0 && term * (before + 1.0) <= ENDING * sums[N - 1] * (1.0 - ratio) {
                break;
            }
        }
        std::array::from_fn(|i| sums[i] * (-m * (days[i] / scale).ln_1p()).exp())
    }

    /// The chance of a purchase in `days`.
    pub fn some(&self, days: f64) -> f64 {
        -(-self.m * (days / self.scale).ln_1p()).exp_m1()
    }

    /// The number of days in which the chance of no purchase falls to `none`.
    pub fn days_until(&self, none: f64) -> f64 {
        self.scale * (-none.ln() / self.m).exp_m1()
    }

    /// The chances of more than 0, 1, 2, ... purchases in `days`, until one is negligible or `take` says to stop: n
    /// more come where they would if nobody left, and none of the first n made her leave.
    pub fn each_exceeded(&self, days: f64, mut take: impl FnMut(f64) -> bool) {
        let (mut more, mut stay, mut n) = (1.0, 1.0, 0.0);
        let mean = self.m * days / self.scale;
        let mut steps = Steps::default();
        for chance in NegativeBinomial::new(self.m, days, self.scale) {
            steps.step();
            more -= chance;
            let exceeded = f64::max(more * stay, 0.0);
            // Rounding can leave more than nothing of `more`, so what is added decides.
            if !take(exceeded) || exceeded < NEGLIGIBLE || n > mean && chance < NEGLIGIBLE {
                return;
            }
            stay *= (self.b + n) / (self.a + self.b + n);
            n += 1.0;
        }
    }
}

/// Sums that grow larger are divided by it.
const LARGE: f64 = 1e250;
/// A sum is complete when what is left of it is a smaller part.
const ENDING: f64 = 1e-15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_times_together_are_those_one_by_one() {
        for m in [0.2, 1.0, 7.5, 400.0, 3000.0] {
            for scale in [0.5, 43.0, 900.0] {
                for (a, b) in [(0.0, 1.0), (1e-6, 2.0), (0.9, 1.6), (1.0, 40.0), (5e5, 5e5)] {
                    let alive = Alive { m, scale, a, b };
                    let days = [0.01, 1.0, 30.0, 90.0, 365.0];
                    for (found, days) in alive.expected_each(days).into_iter().zip(days) {
                        let expected = alive.expected(days);
                        assert!((found / expected - 1.0).abs() < 1e-12, "{alive:?} {days}: {found} {expected}");
                    }
                }
            }
        }
    }
}
