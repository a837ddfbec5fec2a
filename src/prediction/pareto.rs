//! The Pareto/NBD model: purchases come at a rate of Gamma(r, alpha), and customers leave at any time, at a rate of
//! Gamma(s, beta).
//!
//! Schmittlein, Morrison, Colombo 1987; Fader, Hardie 2005. With s = 0 nobody leaves.

pub(super) mod decay;
pub(super) mod likelihood;

use decay::{AT_ONCE, Decay};

use super::counts::{NEGLIGIBLE, NegativeBinomial};
use super::elementary::{exp, exp_m1, integral_of_exp, ln_1p};
use super::quadrature::TEN;
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
    fn log_odds_gone_at(&self, timing: &Timing, tenure: f64) -> f64 {
        let Pareto { r, alpha, s, beta } = *self;
        let [x, span] = [timing.repeats, timing.span_days].map(f64::from);
        if s == 0.0 || tenure <= span {
            return f64::NEG_INFINITY;
        }
        let m = r + x;
        let window = Decay { first: (m, alpha), second: (s + 1.0, beta), from: span, to: tenure };
        let [fall, beta_fall] = ln_1p([alpha, beta].map(|scale| (tenure - span) / (scale + span)));
        (s * window.relative() / (beta + span)).ln() + m * fall + s * beta_fall
    }

    /// About the T, at most `most`, at which the logarithm of the odds of having left is this, if nothing more is bought.
    ///
    /// By Newton's method, in the logarithm of the time since t_x in which the odds are a straight line where alpha and
    /// beta are one: they are `s/(m+s) ((1 + since/(alpha+t_x))^(m+s) - 1)` then, which is solved for the first guess.
    pub fn tenure_at(&self, timing: &Timing, log_odds: f64, most: f64) -> f64 {
        let Pareto { r, alpha, s, beta } = *self;
        let [x, span] = [timing.repeats, timing.span_days].map(f64::from);
        let m = r + x;
        let leaves = s / (beta + span);
        let grows = m / (alpha + span) + leaves;
        let scale = (m + s) / grows;
        // ln(1 + exp(log odds) grows/leaves) is that line, m + s its slope.
        let shift = (grows / leaves).ln();
        let line = |log_odds: f64| softplus(log_odds + shift);
        let mut since = scale * (line(log_odds) / (m + s)).exp_m1();
        for _ in 0..MOST_STEPS {
            since = since.min(most - span);
            let tenure = span + since;
            let odds = self.log_odds_gone_at(timing, tenure);
            let slope = m / (alpha + tenure) + s / (beta + tenure) * (1.0 + (-odds).exp());
            let slope = slope * (scale + since) / (1.0 + (-odds - shift).exp());
            let step = (scale + since) * ((line(log_odds) - line(odds)) / slope).exp_m1();
            since += step;
            if step.abs() < NEAR {
                break;
            }
        }
        span + since
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
    /// Expected purchases in `days`.
    pub fn expected(&self, days: f64) -> f64 {
        let [expected] = self.expected_each([days]);
        expected
    }

    /// The same for several numbers of days: the mean rate times the mean time until she leaves, at most so many.
    pub fn expected_each<const N: usize>(&self, days: [f64; N]) -> [f64; N] {
        let Alive { m, scale, s, beta } = *self;
        let logs = ln_1p(days.map(|days| days / beta));
        integral_of_exp(1.0 - s, logs).map(|time| m / scale * beta * time)
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

    /// About the number of days, at most `most`, in which the chance of a purchase rises to `chance`.
    ///
    /// By Newton's method; were both scales one, it would be `m/(m+s) (1 - (1 + days/scale)^-(m+s))`, which is solved for
    /// the first guess.
    pub fn days_until(&self, chance: f64, most: f64) -> f64 {
        let Alive { m, scale, s, beta } = *self;
        let (buys, leaves) = (m / scale, s / beta);
        let both = (m + s) / (buys + leaves);
        let share = chance * (buys + leaves) / buys;
        let mut days = if share < 1.0 { both * (-(-share).ln_1p() / (m + s)).exp_m1() } else { most };
        for _ in 0..MOST_STEPS {
            days = days.clamp(0.0, most);
            let [log, beta_log] = ln_1p([days / scale, days / beta]);
            let step = (chance - self.some(days)) / (buys * (-(m + 1.0) * log - s * beta_log).exp());
            days += step;
            if step.abs() < NEAR {
                break;
            }
        }
        days
    }

    /// The chances of more than 0, 1, 2, ... purchases in `days`, until one is negligible or `take` says to stop: that
    /// the next after 0, 1, 2, ... comes at w, which is the chance of so many times their rate then, and she is still there.
    pub fn each_exceeded(&self, days: f64, mut take: impl FnMut(f64) -> bool) {
        let mut arrivals = self.arrivals(days);
        let (mut steps, mut n) = (Steps::default(), 0.0);
        loop {
            let mut exceeded = 0.0;
            for (weights, chances) in &mut arrivals {
                steps.step();
                let chances = chances.next().unwrap_or_default();
                exceeded += weights.iter().zip(chances).map(|(weight, chance)| weight * chance).sum::<f64>();
            }
            exceeded *= self.m + n;
            if !take(exceeded) || exceeded < NEGLIGIBLE {
                return;
            }
            n += 1.0;
        }
    }

    /// Places w in an integral over 0 to `days`: their weights times the chance that she is still there by the scale of her
    /// rate, and the chances of numbers of purchases up to then.
    fn arrivals(&self, days: f64) -> Vec<([f64; AT_ONCE], NegativeBinomial<AT_ONCE>)> {
        let Alive { m, scale, s, beta } = *self;
        let base = scale.min(beta);
        let length = (days / base).ln_1p();
        // As time passes, the number of purchases changes within about one part in the root of it, and both chances, of no
        // purchase and of her being there, fall at most so fast: ten nodes follow them for so long.
        let steepness = (base + days) * (m / (scale + days) + s / (beta + days));
        let sharpness = f64::max((m + m * days / scale).sqrt() / 3.0, steepness / 6.0);
        let panels = (length * sharpness.max(1.0)).ceil().clamp(1.0, 4000.0) as u32;
        let half = length / f64::from(panels) / 2.0;
        memory::collect((0..panels).map(|panel| {
            let times = exp_m1(TEN.map(|(position, _)| half * (f64::from(2 * panel + 1) + position))).map(|v| base * v);
            let there = exp(ln_1p(times.map(|time| time / beta)).map(|log| -s * log));
            let weights = std::array::from_fn(|i| half * TEN[i].1 * (base + times[i]) * there[i] / (scale + times[i]));
            (weights, NegativeBinomial::new(m, times, scale))
        }))
    }
}

/// Newton's method ends where it has come so near, in days,
const NEAR: f64 = 0.5;
/// or after so many steps: what it finds is a guess.
const MOST_STEPS: u32 = 8;

/// `ln(1 + exp(x))`.
fn softplus(x: f64) -> f64 {
    f64::max(x, 0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::prediction::timing::tests::of_any_size;

    /// Customers of all kinds of models, some of them hostile.
    fn customers() -> impl Strategy<Value = Alive> {
        let s = prop_oneof![Just(0.0), Just(1.0), of_any_size(1e-3, 30.0)];
        let beta = prop_oneof![Just(None), of_any_size(1.0, 1e4).prop_map(Some)];
        (of_any_size(1e-2, 50.0), of_any_size(10.0, 1e4), s, beta).prop_map(|(m, scale, s, beta)| Alive {
            m,
            scale,
            s,
            beta: beta.unwrap_or(scale),
        })
    }

    /// The integral of a function from 0 to `to` by the rule of Simpson, in the logarithm of a time that begins at `scale`.
    fn simpson(scale: f64, to: f64, function: impl Fn(f64) -> f64) -> f64 {
        const STEPS: u32 = 20_000;
        let length = (to / scale).ln_1p();
        let value = |step: u32| {
            let grown = length * f64::from(step) / f64::from(STEPS);
            function(scale * grown.exp_m1()) * scale * grown.exp()
        };
        let inner = (1..STEPS).map(|step| value(step) * if step % 2 == 1 { 4.0 } else { 2.0 });
        (value(0) + inner.sum::<f64>() + value(STEPS)) * length / f64::from(STEPS) / 3.0
    }

    fn assert_near(found: f64, expected: f64, what: &str) {
        assert!((found - expected).abs() < 1e-9 * expected + 1e-13, "{what}: {found}, not {expected}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        /// She stays for w with the chance `(1 + w/beta)^-s`, and buys while she does.
        #[test]
        fn integrals_are_those_of_the_rule_of_simpson(alive in customers(), days in of_any_size(1.0, 1000.0)) {
            let Alive { m, scale, s, beta } = alive;
            let stays = |w: f64| (1.0 + w / beta).powf(-s);
            let smaller = scale.min(beta);
            let expected = m / scale * simpson(smaller, days, stays);
            assert_near(alive.expected(days), expected, "expected");
            // The next purchase after n, at the rate (m+n)/(scale+w), comes at w.
            let mut of_n = 1.0;
            let mut exceeded = Vec::new();
            alive.each_exceeded(days, |chance| {
                exceeded.push(chance);
                exceeded.len() < 30
            });
            for (n, chance) in (0..).map(f64::from).zip(exceeded) {
                let density = |w: f64| {
                    let purchases = if n > 0.0 { (w / (scale + w)).powf(n) } else { 1.0 };
                    of_n * purchases * (1.0 + w / scale).powf(-m) * (m + n) / (scale + w) * stays(w)
                };
                assert_near(chance, simpson(smaller, days, density), &format!("more than {n}"));
                of_n *= (m + n) / (n + 1.0);
            }
            assert_near(alive.some(days), simpson(smaller, days, |w| (1.0 + w / scale).powf(-m) * m / (scale + w) * stays(w)), "some");
        }

        /// The guesses of Newton's method are near enough to be of use, and right where both scales are one.
        #[test]
        fn guesses_are_near(r in 0.1..20.0, x in 0u32..30, alpha in 5.0..500.0, s in 0.1..5.0, beta in 5.0..500.0) {
            let timing = Timing { repeats: x, span_days: 20 * x, tenure_days: 20 * x };
            let model = Pareto { r, alpha, s, beta };
            let tenure = model.tenure_at(&timing, 0.0, 1e6);
            let odds = |days: f64| model.log_odds_gone_at(&timing, tenure + days);
            prop_assert!(odds(-1.0) < 0.0 && odds(1.0) > 0.0, "{tenure}");
            let alive = model.alive(&timing);
            let chance = alive.some(1000.0) / 2.0;
            let days = alive.days_until(chance, 3650.0);
            prop_assert!(alive.some((days - 1.0).max(0.0)) < chance && alive.some(days + 1.0) > chance, "{days}");
        }
    }
}
