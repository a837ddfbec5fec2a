//! The beta-geometric models: purchases come at a rate of Gamma(r, alpha), and customers leave after a purchase with a
//! chance of Beta(a, b).
//!
//! BG/NBD (Fader, Hardie, Lee 2005) lets nobody leave after the first purchase, MBG/NBD (Batislam, Denizel, Filiztekin
//! 2007; Wagner, Hoppe 2008) does. With a = 0 nobody leaves.

pub(super) mod likelihood;

use super::counts::{NEGLIGIBLE, NegativeBinomial};
use super::elementary::{exp, integral_of_exp, ln_1p};
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
    /// Expected purchases in `days`.
    pub fn expected(&self, days: f64) -> f64 {
        let [expected] = self.expected_each([days]);
        expected
    }

    /// The same for several numbers of days, ascending: they share the coefficients of a series.
    pub fn expected_each<const N: usize>(&self, days: [f64; N]) -> [f64; N] {
        let Alive { m, scale, a, b } = *self;
        if a == 0.0 {
            return days.map(|days| m * days / scale);
        }
        let logs = ln_1p(days.map(|days| days / scale));
        let Some(&longest) = logs.last() else { return days };
        let all = a + b - 1.0;
        if (0.0..=30.0 * m).contains(&all) && (-8.0..=500.0 / longest.max(1.0)).contains(&(all - m)) {
            self.transformed(days, logs)
        } else {
            self.summed(days)
        }
    }

    /// As the papers have it, `(a+b-1)/(a-1) (1 - (1-z)^m F(m, b; a+b-1; z))`, z = t/(scale+t), with Euler's
    /// transformation of F (Abramowitz, Stegun 15.3.3). Its first term is taken out, and with it goes what is singular at
    /// a = 1 and a + b = 1:
    ///
    /// `(a+b-1) (1 - (1-z)^(a-1))/(a-1) - (1-z)^(a-1) S`, S the sum over n from 1 of `(g)_n (a)_(n-1)/(a+b)_(n-1) z^n/n!`,
    /// g = a+b-1-m. What m has of purchases, b has too: g is that of a customer who never came back, and S short.
    ///
    /// It loses digits where a+b-1 is negative or much more than m, or g far below 0.
    fn transformed<const N: usize>(&self, days: [f64; N], logs: [f64; N]) -> [f64; N] {
        let Alive { m, scale, a, b } = *self;
        let (all, g) = (a + b - 1.0, a + b - 1.0 - m);
        let z = days.map(|days| days / (scale + days));
        let (largest, shares) = (z[N - 1], z.map(|other| other / z[N - 1]));
        let mut term = g * largest;
        let (mut powers, mut sums, mut n) = (shares, shares.map(|share| term * share), 1.0);
        let mut steps = Steps::default();
        loop {
            steps.step();
            let ratio = (g + n) * (a + n - 1.0) * largest / ((a + b + n - 1.0) * (n + 1.0));
            if ratio.abs() < 1.0 && (term * ratio).abs() <= ENDING * sums[N - 1].abs() * (1.0 - ratio.abs()) {
                break;
            }
            term *= ratio;
            n += 1.0;
            for i in 0..N {
                powers[i] *= shares[i];
                sums[i] += term * powers[i];
            }
        }
        let grown = integral_of_exp(1.0 - a, logs);
        let powers = exp(logs.map(|log| (1.0 - a) * log));
        std::array::from_fn(|i| all * grown[i] - powers[i] * sums[i])
    }

    /// As a sum over n of the chance of n purchases if nobody left, times the expected purchases before leaving, of at
    /// most n. All terms are positive for all parameters.
    fn summed<const N: usize>(&self, days: [f64; N]) -> [f64; N] {
        let Alive { m, scale, a, b } = *self;
        let Some(&longest) = days.last() else { return days };
        // The chance of no purchase stays a logarithm: it can be below what a number holds.
        let mut logs = days.map(|days| -m * (days / scale).ln_1p());
        // Of sums that would become too large, each is scaled by itself.
        if N > 1 && logs[N - 1] < -500.0 {
            return days.map(|days| self.summed([days])[0]);
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
            if term > LARGE {
                term /= LARGE;
                sums.iter_mut().for_each(|sum| *sum /= LARGE);
                logs.iter_mut().for_each(|log| *log += LARGE.ln());
            }
            // Both quotients of the next term by one division, which is what a term costs.
            let inverse = 1.0 / ((a + b + n) * (n + 2.0));
            stay *= (b + n) * (n + 2.0) * inverse;
            ratio = z * (m + n + 1.0) * (a + b + n) * inverse;
            n += 1.0;
            if n > m * longest / scale && ratio < 1.0 && term * (before + 1.0) <= ENDING * sums[N - 1] * (1.0 - ratio) {
                break;
            }
        }
        std::array::from_fn(|i| sums[i] * logs[i].exp())
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
        for [chance] in NegativeBinomial::new(self.m, [days], self.scale) {
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
    use proptest::prelude::*;

    use super::*;
    use crate::prediction::timing::tests::of_any_size;

    /// Customers of all kinds of models, most of them hostile.
    fn customers() -> impl Strategy<Value = Alive> {
        let often = prop_oneof![Just(0.0), (0..30).prop_map(f64::from), of_any_size(30.0, 1e3)];
        let a = prop_oneof![Just(1.0), of_any_size(1e-6, 1e3)];
        (of_any_size(1e-3, 1e2), often, of_any_size(1.0, 1e4), a, of_any_size(1e-3, 1e2))
            .prop_map(|(r, x, scale, a, b)| Alive { m: r + x, scale, a, b: b + x })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn the_series_is_the_sum(alive in customers()) {
            let days = [0.01, 1.0, 30.0, 90.0, 365.0];
            let [found, sums] = [alive.expected_each(days), alive.summed(days)];
            for i in 0..days.len() {
                let [one, sum] = [alive.expected(days[i]), alive.summed([days[i]])[0]];
                // A sum of so many terms is not known better.
                let tolerance = 1e-11 + 1e-15 * alive.m * days[i] / alive.scale;
                for number in [found[i], sums[i], one] {
                    prop_assert!((number / sum - 1.0).abs() < tolerance, "{} days: {number} {sum}", days[i]);
                }
            }
        }
    }
}
