//! The fit of a model of purchases: fixed starts, the best of their maxima, and what to do where there is none inside.

use super::newton::{CONVERGED, End, Evaluation, Summit, climb, covariance};
use super::process::{Process, ProcessName};
use super::timings::Timings;
use super::{beta_geometric, pareto};
use crate::host;

/// Where a maximum lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boundary {
    /// The data cannot tell this model from one in which nobody leaves.
    pub dropout_not_identified: bool,
    /// All leave alike: a + b or s is without limit.
    pub dropout_homogeneous: bool,
    /// All buy alike: r is without limit.
    pub rate_homogeneous: bool,
    /// The parameter that is at the limit of what is calculated with.
    pub at_bound: Option<&'static str>,
    /// No start came to rest.
    pub not_converged: bool,
}

/// A fitted model of purchases.
#[derive(Clone, Copy, Debug)]
pub struct ProcessFit {
    /// The model; its parameters have 10 significant digits.
    pub process: Process,
    /// Log-likelihood of the days, at these parameters.
    pub log_likelihood: f64,
    /// That of the model in which nobody leaves.
    pub log_likelihood_no_dropout: f64,
    /// Covariance of the logarithms of the parameters; 0 for those that were not estimated.
    pub covariance: [[f64; 4]; 4],
    /// Evaluations of the likelihood, all starts together.
    pub evaluations: u32,
    /// Starts tried.
    pub starts: u32,
    /// Starts whose log-likelihood came within 1e-4 of the best.
    pub starts_agreeing: u32,
    /// Where the maximum lies.
    pub boundary: Boundary,
}

/// What two more parameters have to gain in log-likelihood, as AIC asks.
const LEAST_GAIN: f64 = 2.0;
/// Beyond, a parameter that measures how alike customers are is on the way to infinity...
const LEAVING: f64 = 1e4;
/// ... and there it is held.
const HELD: f64 = 1e6;
/// Logarithms beyond these are at the limit.
const BOUNDS: std::ops::RangeInclusive<f64> = -23.0..=16.0;
/// How exactly the starts are followed: the best of them goes on.
const COARSE: f64 = 1e-5;
/// How near two maxima of the same place lie.
const AGREEING: f64 = 1e-4;
/// More triplets are thinned for the starts.
const MOST_FOR_STARTS: usize = 50_000;

/// Fits a model to timings; there must be a customer who came back.
///
/// Every test of convergence is on what a step would gain (see `newton`). Which start wins depends on the timings
/// alone.
pub fn fit_process(timings: &Timings, name: ProcessName) -> ProcessFit {
    let unit = timings.unit();
    let nobody = Nobody::fit(timings, unit);
    let mut evaluations = nobody.summit.evaluations;
    let thinned;
    let step = timings.counted().len().div_ceil(MOST_FOR_STARTS);
    let for_starts = if step > 1 {
        thinned = timings.thinned(step);
        &thinned
    } else {
        timings
    };
    let mut ways = starts(name, nobody.r, nobody.alpha / unit).map(|start| {
        let way = Way::new(name, start.map(f64::ln)).follow(for_starts, unit, COARSE);
        evaluations += way.evaluations;
        way
    });
    let value = |way: &Way| if way.value.is_nan() { f64::NEG_INFINITY } else { way.value };
    let best_value = ways.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
    let starts_agreeing = ways.iter().filter(|way| best_value - value(way) < AGREEING).count() as u32;
    // Those at rest go first, unless a way that ended at a bound is clearly higher.
    ways.sort_by(|a, b| {
        let key = |way: &Way| value(way) - if way.end == End::Converged { 0.0 } else { AGREEING };
        let exhausted = |way: &Way| way.end == End::Exhausted;
        exhausted(a).cmp(&exhausted(b)).then(key(b).total_cmp(&key(a)))
    });
    let mut best = ways[0];
    best.evaluations = 0;
    best = best.follow(timings, unit, CONVERGED);
    evaluations += best.evaluations;
    let mut fit = ProcessFit {
        process: Process { name, parameters: [nobody.r, nobody.alpha, 0.0, 1.0] },
        log_likelihood: nobody.log_likelihood,
        log_likelihood_no_dropout: nobody.log_likelihood,
        covariance: nobody.covariance,
        evaluations,
        starts: ways.len() as u32,
        starts_agreeing,
        boundary: Boundary::default(),
    };
    let highest = if step > 1 { value(&best) } else { value(&best).max(best_value) };
    if highest - nobody.log_likelihood < LEAST_GAIN {
        fit.boundary.dropout_not_identified = true;
        fit.boundary.rate_homogeneous = nobody.rate_held;
        fit.boundary.not_converged = nobody.summit.end == End::Exhausted;
        if let End::Left(Exit::Bound(parameter)) = nobody.summit.end {
            fit.boundary.at_bound = Some(name.parameter_names()[parameter]);
        }
    } else {
        best.settle(timings, unit, &mut fit);
    }
    let too_low = (0..4).find(|&i| fit.process.parameters[i] < name.least()[i] && fit.process.parameters[i] > 0.0);
    if let Some(parameter) = too_low {
        fit.boundary.at_bound = Some(name.parameter_names()[parameter]);
    }
    fit
}

/// Starts in days of the unit: one fixed, and five around the model in which nobody leaves. On weak data four arbitrary
/// starts disagree, and these have never missed the best of 21.
fn starts(name: ProcessName, r: f64, alpha: f64) -> [[f64; 4]; 6] {
    let around = |third, fourth| [r, alpha, third, fourth];
    match name {
        ProcessName::MbgNbd | ProcessName::BgNbd => [
            [1.0, 1.0, 1.0, 2.0],
            around(0.01, 1.0),
            around(0.1, 0.1),
            around(0.3, 3.0),
            around(1.0, 10.0),
            around(5.0, 100.0),
        ],
        ProcessName::ParetoNbd => [
            [0.5, 0.4, 0.5, 0.5],
            around(0.01, 1.0),
            around(0.1, 0.1),
            around(0.3, 3.0),
            around(1.0, 10.0),
            around(5.0, 50.0),
        ],
    }
}

/// A number in 10 significant digits, so that the last bits of a platform's logarithms do not show.
pub(super) fn in_ten_digits(number: f64) -> f64 {
    // What was printed is a number.
    format!("{number:.9e}").parse().unwrap_or(number)
}

/// Why a way is left.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Exit {
    Rate,
    Dropout,
    Bound(usize),
}

/// The model in which nobody leaves.
struct Nobody {
    r: f64,
    alpha: f64,
    log_likelihood: f64,
    covariance: [[f64; 4]; 4],
    rate_held: bool,
    summit: Summit<2, Exit>,
}

impl Nobody {
    fn fit(timings: &Timings, unit: f64) -> Self {
        let evaluate = |logs: &[f64; 2]| timings.rates::<2>(logs[0].exp(), unit * logs[1].exp());
        let leave = |logs: &[f64; 2]| {
            let bound = (0..2).find(|&i| !BOUNDS.contains(&logs[i])).map(Exit::Bound);
            (logs[0] > LEAVING.ln()).then_some(Exit::Rate).or(bound)
        };
        let mut summit = climb([0.0, 0.0], CONVERGED, evaluate, leave);
        let rate_held = summit.end == End::Left(Exit::Rate);
        if rate_held {
            let held = |logs: &[f64; 2]| {
                let mut at = evaluate(logs);
                at.hold(0);
                at
            };
            let start = [HELD.ln(), summit.point[1] + HELD.ln() - summit.point[0]];
            let before = summit.evaluations;
            summit = climb(start, CONVERGED, held, |_| None);
            summit.evaluations += before;
        }
        let [r, alpha] = [summit.point[0].exp(), unit * summit.point[1].exp()].map(in_ten_digits);
        let mut at = timings.rates::<2>(r, alpha);
        let log_likelihood = at.value;
        if rate_held {
            at.hold(0);
        }
        let of_logs = covariance(&at.hessian).unwrap_or_default();
        let mut covariance = [[0.0; 4]; 4];
        for i in usize::from(rate_held)..2 {
            for j in usize::from(rate_held)..2 {
                covariance[i][j] = of_logs[i][j];
            }
        }
        Nobody { r, alpha, log_likelihood, covariance, rate_held, summit }
    }
}

/// A way up from one start. Its point has the logarithms of the parameters, times in the unit; where all leave alike,
/// the third is that of a/b instead, or s is held.
#[derive(Clone, Copy)]
struct Way {
    name: ProcessName,
    point: [f64; 4],
    rate_held: bool,
    dropout_held: bool,
    value: f64,
    end: End<Exit>,
    evaluations: u32,
}

impl Way {
    fn new(name: ProcessName, point: [f64; 4]) -> Self {
        let end = End::Exhausted;
        Way { name, point, rate_held: false, dropout_held: false, value: f64::NAN, end, evaluations: 0 }
    }

    /// The logarithms of the parameters, in days.
    fn logs(&self, point: &[f64; 4], unit: f64) -> [f64; 4] {
        let mut logs = *point;
        logs[1] += unit.ln();
        if self.name == ProcessName::ParetoNbd {
            logs[3] += unit.ln();
        } else if self.dropout_held {
            // ln(a) and ln(b) of a + b as it is held, by the logarithm of their ratio.
            let small = (-point[2].abs()).exp().ln_1p();
            logs[2] = HELD.ln() - small - f64::max(-point[2], 0.0);
            logs[3] = HELD.ln() - small - f64::max(point[2], 0.0);
        }
        logs
    }

    /// a/(a+b) where a + b is held.
    fn share(&self, point: &[f64; 4]) -> f64 {
        1.0 / (1.0 + (-point[2]).exp())
    }

    fn is_share(&self) -> bool {
        self.dropout_held && self.name != ProcessName::ParetoNbd
    }

    fn evaluate(&self, timings: &Timings, unit: f64, point: &[f64; 4]) -> Evaluation<4> {
        let logs = self.logs(point, unit);
        let mut at = match self.name {
            ProcessName::ParetoNbd => pareto::likelihood::evaluate(timings, &logs),
            name => beta_geometric::likelihood::evaluate(timings, name == ProcessName::MbgNbd, &logs),
        };
        if self.rate_held {
            at.hold(0);
        }
        if self.is_share() {
            let share = self.share(point);
            let (up, down) = (1.0 - share, -share);
            let Evaluation { gradient: g, hessian: h, .. } = at;
            at.gradient[2] = up * g[2] + down * g[3];
            for (j, other) in h.iter().enumerate().take(2) {
                at.hessian[2][j] = up * other[2] + down * other[3];
                at.hessian[j][2] = at.hessian[2][j];
            }
            at.hessian[2][2] =
                up * up * h[2][2] + 2.0 * up * down * h[2][3] + down * down * h[3][3] + up * down * (g[2] + g[3]);
            at.hold(3);
        } else if self.dropout_held {
            at.hold(2);
        }
        at
    }

    fn leave(&self, point: &[f64; 4]) -> Option<Exit> {
        let alike = match self.name {
            ProcessName::ParetoNbd => point[2].exp(),
            _ => point[2].exp() + point[3].exp(),
        };
        // What goes with a parameter that is held is large because that is.
        let free = [!self.rate_held, !self.rate_held, !self.dropout_held, !self.dropout_held];
        if free[0] && point[0] > LEAVING.ln() {
            Some(Exit::Rate)
        } else if free[2] && alike > LEAVING {
            Some(Exit::Dropout)
        } else {
            (0..4).find(|&i| free[i] && !BOUNDS.contains(&point[i])).map(Exit::Bound)
        }
    }

    /// Climbs on, and where customers turn out to be alike, with that held.
    fn follow(mut self, timings: &Timings, unit: f64, tolerance: f64) -> Self {
        loop {
            let way = self;
            let evaluate = |point: &[f64; 4]| way.evaluate(timings, unit, point);
            let summit = climb(self.point, tolerance, evaluate, |point| way.leave(point));
            self.evaluations += summit.evaluations;
            (self.point, self.value, self.end) = (summit.point, summit.at.value, summit.end);
            match self.end {
                End::Left(Exit::Rate) => {
                    self.rate_held = true;
                    self.point[1] += HELD.ln() - self.point[0];
                    self.point[0] = HELD.ln();
                }
                End::Left(Exit::Dropout) => {
                    self.dropout_held = true;
                    if self.name == ProcessName::ParetoNbd {
                        self.point[3] += HELD.ln() - self.point[2];
                        self.point[2] = HELD.ln();
                    } else {
                        self.point[2] -= self.point[3];
                        self.point[3] = 0.0;
                    }
                }
                _ => return self,
            }
            host::check();
        }
    }

    /// Writes down where it ended.
    fn settle(&self, timings: &Timings, unit: f64, fit: &mut ProcessFit) {
        fit.process.parameters = self.logs(&self.point, unit).map(|log| in_ten_digits(log.exp()));
        if self.rate_held {
            fit.process.parameters[0] = HELD;
        }
        if self.dropout_held && !self.is_share() {
            fit.process.parameters[2] = HELD;
        }
        let [r, alpha, third, fourth] = fit.process.parameters;
        let rounded = if self.name == ProcessName::ParetoNbd {
            [r, alpha / unit, third, fourth / unit].map(f64::ln)
        } else if self.dropout_held {
            [r.ln(), (alpha / unit).ln(), (third / fourth).ln(), 0.0]
        } else {
            [r, alpha / unit, third, fourth].map(f64::ln)
        };
        let at = self.evaluate(timings, unit, &rounded);
        fit.log_likelihood = at.value;
        fit.covariance = self.covariance(&at, &rounded);
        fit.boundary = Boundary {
            dropout_not_identified: false,
            dropout_homogeneous: self.dropout_held,
            rate_homogeneous: self.rate_held,
            at_bound: match self.end {
                End::Left(Exit::Bound(parameter)) => Some(self.name.parameter_names()[parameter]),
                _ => None,
            },
            not_converged: self.end == End::Exhausted,
        };
    }

    /// The covariance of the logarithms of the parameters, from that of the point.
    fn covariance(&self, at: &Evaluation<4>, point: &[f64; 4]) -> [[f64; 4]; 4] {
        let of_point = covariance(&at.hessian).unwrap_or_default();
        let share = self.share(point);
        // How the logarithm of each parameter moves with the point.
        let moves: [[f64; 4]; 4] = std::array::from_fn(|parameter| {
            std::array::from_fn(|coordinate| match (parameter, coordinate) {
                (0, _) | (_, 0) if self.rate_held && (parameter == 0 || coordinate == 0) => 0.0,
                (2, 2) if self.is_share() => 1.0 - share,
                (3, 2) if self.is_share() => -share,
                (_, 3) if self.is_share() => 0.0,
                (2, _) | (_, 2) if self.dropout_held && !self.is_share() => 0.0,
                _ if parameter == coordinate => 1.0,
                _ => 0.0,
            })
        });
        let sum = |i: usize, j: usize| -> f64 {
            (0..4)
                .flat_map(|k| (0..4).map(move |l| (k, l)))
                .map(|(k, l)| moves[i][k] * of_point[k][l] * moves[j][l])
                .sum()
        };
        std::array::from_fn(|i| std::array::from_fn(|j| sum(i, j)))
    }
}

impl ProcessFit {
    /// Standard errors of the parameters; `None` for those that were not estimated.
    pub fn standard_errors(&self) -> [Option<f64>; 4] {
        std::array::from_fn(|i| {
            let error = self.process.parameters[i] * self.covariance[i][i].sqrt();
            (error > 0.0).then_some(error)
        })
    }
}
