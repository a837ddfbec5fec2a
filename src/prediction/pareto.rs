//! The Pareto/NBD model: purchases come at a rate of Gamma(r, alpha), and customers leave at any time, at a rate of
//! Gamma(s, beta).
//!
//! Schmittlein, Morrison, Colombo 1987; Fader, Hardie 2005. With s = 0 nobody leaves.

pub(super) mod decay;
pub(super) mod likelihood;

use decay::Decay;

use super::counts::{NEGLIGIBLE, NegativeBinomial};
use super::quadrature::TWENTY;
use super::timing::Timing;
use crate::host::Steps;
use crate::memory;

/// The parameters; alpha and beta in days.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pareto {
    pub r: f64,
    pub alpha: f64,
    pub s: f64,
    pub beta: f64,
}

impl Pareto {
    /// The logarithm of the odds of having left; minus infinity where nobody can have.
    pub fn log_odds_gone(&self, timing: &Timing) -> f64 {
        self.log_odds_gone_at(timing, f64::from(timing.tenure_days))
    }

    /// The same with another T, from t_x.
    pub fn log_odds_gone_at(&self, timing: &Timing, tenure: f64) -> f64 {
        let Pareto { r, alpha, s, beta } = *self;
        let [x, span] = [timing.repeats, timing.span_days].map(f64::from);
        if s == 0.0 || tenure <= span {
            return f64::NEG_INFINITY;
        }
        let m = r + x;
        let window = Decay { first: (m, alpha), second: (s + 1.0, beta), from: span, to: tenure };
        let fall = |scale: f64| ((tenure - span) / (scale + span)).ln_1p();
        s.ln() + window.relative().ln() - (beta + span).ln() + m * fall(alpha) + s * fall(beta)
    }

    /// What is expected of a customer who is alive.
    pub fn alive(&self, timing: &Timing) -> Alive {
        let tenure = f64::from(timing.tenure_days);
        Alive { m: self.r + f64::from(timing.repeats), scale: self.alpha + tenure, s: self.s, beta: self.beta + tenure }
    }
}

/// The posterior of a customer who is alive: a rate of purchases of Gamma(m, scale), one of leaving of Gamma(s, beta).
#[derive(Clone, Copy, Debug)]
pub(super) struct Alive {
    pub m: f64,
    pub scale: f64,
    pub s: f64,
    pub beta: f64,
}

impl Alive {
    /// Expected purchases in `days`: the mean rate times the mean time until she leaves, at most `days`.
    pub fn expected(&self, days: f64) -> f64 {
        let Alive { m, scale, s, beta } = *self;
        let log = (days / beta).ln_1p();
        // Near s = 1 both parts of the quotient vanish.
        let time = if (s - 1.0).abs() < 1e-9 { log } else { -((1.0 - s) * log).exp_m1() / (s - 1.0) };
        m / scale * beta * time
    }

    /// The chance of a purchase in `days`: that the first comes at w, and she is still there.
    pub fn some(&self, days: f64) -> f64 {
        let Alive { m, scale, s, beta } = *self;
        if s == 0.0 {
            return -(-m * (days / scale).ln_1p()).exp_m1();
        }
        let first = Decay { first: (m + 1.0, scale), second: (s, beta), from: 0.0, to: days };
        m / scale * first.relative()
    }

    /// The chances of more than 0, 1, 2, ... purchases in `days`, until one is negligible or `take` says to stop: those
    /// of a customer who stays so long, averaged over how long that is.
    pub fn each_exceeded(&self, days: f64, mut take: impl FnMut(f64) -> bool) {
        let mut stays = self.stays(days);
        let (mut steps, mut n, mean) = (Steps::default(), 0.0, self.m * days / self.scale);
        loop {
            let (mut exceeded, mut added) = (0.0, 0.0);
            for (weight, more, chances) in &mut stays {
                steps.step();
                let chance = chances.next().unwrap_or_default();
                *more -= chance;
                exceeded += *weight * f64::max(*more, 0.0);
                added += *weight * chance;
            }
            // Rounding can leave more than nothing of `more`, so what is added decides.
            if !take(exceeded) || exceeded < NEGLIGIBLE || n > mean && added < NEGLIGIBLE {
                return;
            }
            n += 1.0;
        }
    }

    /// How long she stays within `days`, as some times with their chances: for each the chance of more purchases, which
    /// begins with 1, and the chances of so many.
    fn stays(&self, days: f64) -> Vec<(f64, f64, NegativeBinomial)> {
        let Alive { m, scale, s, beta } = *self;
        let purchases = |time: f64| NegativeBinomial::new(m, time, scale);
        let left = |time: f64| (-s * (time / beta).ln_1p()).exp();
        let mut stays = memory::with_capacity(1);
        memory::push(&mut stays, (left(days), 1.0, purchases(days)));
        if s > 0.0 {
            let base = scale.min(beta);
            let length = (days / base).ln_1p();
            // As time passes, the number of purchases changes within about one part in the root of it, and none becomes
            // unlikely at the rate m.
            let sharpness = f64::max((m + m * days / scale).sqrt() / 10.0, m / 40.0);
            let panels = (length * sharpness.max(1.0 / 3.0)).ceil().clamp(1.0, 1000.0) as u32;
            let half = length / f64::from(panels) / 2.0;
            for panel in 0..panels {
                for &(position, weight) in &TWENTY {
                    let v = half * (f64::from(2 * panel + 1) + position);
                    let time = base * v.exp_m1();
                    let density = s * left(time) / (beta + time);
                    memory::push(&mut stays, (half * weight * (base + time) * density, 1.0, purchases(time)));
                }
            }
        }
        stays
    }
}
