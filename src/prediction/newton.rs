//! Damped Newton with exact derivatives, and the small matrices it needs.

use crate::host;

/// A function with its first and second derivatives at a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evaluation<const N: usize> {
    pub value: f64,
    pub gradient: [f64; N],
    pub hessian: [[f64; N]; N],
}

impl<const N: usize> Evaluation<N> {
    pub fn zero() -> Self {
        Evaluation { value: 0.0, gradient: [0.0; N], hessian: [[0.0; N]; N] }
    }

    /// Adds a second derivative on both sides of the diagonal.
    pub fn add_second(&mut self, i: usize, j: usize, value: f64) {
        self.hessian[i][j] += value;
        if i != j {
            self.hessian[j][i] += value;
        }
    }

    /// The same function with a coordinate that does not move.
    pub fn hold(&mut self, fixed: usize) {
        self.gradient[fixed] = 0.0;
        for other in 0..N {
            self.hessian[fixed][other] = 0.0;
            self.hessian[other][fixed] = 0.0;
        }
        self.hessian[fixed][fixed] = -1.0;
    }

    fn is_finite(&self) -> bool {
        let second = self.hessian.as_flattened().iter();
        self.value.is_finite() && self.gradient.iter().chain(second).all(|number| number.is_finite())
    }
}

/// How the way up ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End<Exit> {
    /// At a maximum.
    Converged,
    /// Where the function said to leave.
    Left(Exit),
    /// Nowhere: too many evaluations, or no step that rises.
    Exhausted,
}

/// Where the way up ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summit<const N: usize, Exit> {
    pub point: [f64; N],
    pub at: Evaluation<N>,
    pub end: End<Exit>,
    pub evaluations: u32,
}

/// No step changes a logarithm by more: a factor of 7.4.
const LONGEST_STEP: f64 = 2.0;
const MOST_EVALUATIONS: u32 = 200;
const MOST_DAMPINGS: u32 = 40;

/// What a Newton step would still gain at most, in units of the function, where it has converged.
pub(super) const CONVERGED: f64 = 1e-10;

/// The way up from `start` until a step gains less than `tolerance`, then one full step more where `tolerance` is the
/// finest, [`CONVERGED`].
///
/// The steps are those of Levenberg and Marquardt: damping is in proportion to each second derivative, so that a
/// direction in which the function is flat, as the dropout parameters are where nobody leaves, does not come to rest
/// for the sake of a steep one. Convergence is judged by the decrement alone: a gradient that small cannot be asked of
/// a sum of a million logarithms.
pub(super) fn climb<const N: usize, Exit>(
    start: [f64; N],
    tolerance: f64,
    mut evaluate: impl FnMut(&[f64; N]) -> Evaluation<N>,
    leave: impl Fn(&[f64; N]) -> Option<Exit>,
) -> Summit<N, Exit> {
    let mut evaluations = 0;
    let mut counted = |point: &[f64; N]| {
        host::check();
        evaluations += 1;
        (evaluate(point), evaluations)
    };
    let (mut at, mut count) = counted(&start);
    let (mut point, mut damping) = (start, 0.0);
    let end = 'way: loop {
        if let Some(exit) = leave(&point) {
            break End::Left(exit);
        }
        if !at.is_finite() || count >= MOST_EVALUATIONS {
            break End::Exhausted;
        }
        if let Some(full) = newton_step(&at, 0.0)
            && dot(&full, &at.gradient) / 2.0 < tolerance
        {
            if tolerance <= CONVERGED {
                point = moved(&point, &full);
                (at, count) = counted(&point);
            }
            break End::Converged;
        }
        let mut dampings = 0;
        loop {
            if let Some(step) = newton_step(&at, damping) {
                let next = moved(&point, &step);
                let there;
                (there, count) = counted(&next);
                // A sum of many logarithms is known to so many digits.
                if there.is_finite() && there.value >= at.value - 1e-13 * at.value.abs() {
                    (point, at) = (next, there);
                    damping /= 8.0;
                    continue 'way;
                }
            }
            dampings += 1;
            if dampings > MOST_DAMPINGS || count >= MOST_EVALUATIONS {
                break 'way End::Exhausted;
            }
            damping = f64::max(4.0 * damping, 1e-3);
        }
    };
    Summit { point, at, end, evaluations: count }
}

/// The point after a step, shortened where it is too long.
fn moved<const N: usize>(point: &[f64; N], step: &[f64; N]) -> [f64; N] {
    let longest = step.iter().fold(0.0, |longest: f64, part| longest.max(part.abs()));
    let factor = if longest > LONGEST_STEP { LONGEST_STEP / longest } else { 1.0 };
    std::array::from_fn(|i| point[i] + factor * step[i])
}

/// `(D - H)^-1 g`, with `D` the damped diagonal; `None` unless that is positive definite.
fn newton_step<const N: usize>(at: &Evaluation<N>, damping: f64) -> Option<[f64; N]> {
    let mut curvature = negative(&at.hessian);
    for (i, row) in curvature.iter_mut().enumerate() {
        row[i] += damping * row[i].abs();
    }
    Some(solve(&cholesky(&curvature)?, &at.gradient))
}

fn negative<const N: usize>(matrix: &[[f64; N]; N]) -> [[f64; N]; N] {
    matrix.map(|row| row.map(|value| -value))
}

/// `(-H)^-1`, which is the covariance of the estimates where H is the Hessian of a log-likelihood at its maximum;
/// `None` unless
/// -H is positive definite.
pub(super) fn covariance<const N: usize>(hessian: &[[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let factor = cholesky(&negative(hessian))?;
    Some(std::array::from_fn(|column| {
        solve(&factor, &std::array::from_fn(|row| if row == column { 1.0 } else { 0.0 }))
    }))
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The lower triangle L with L L' = the matrix; `None` unless that is positive definite.
fn cholesky<const N: usize>(matrix: &[[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let mut lower = [[0.0; N]; N];
    for i in 0..N {
        for j in 0..=i {
            let rest = matrix[i][j] - (0..j).map(|k| lower[i][k] * lower[j][k]).sum::<f64>();
            if i == j {
                // Less than this is what rounding leaves of 0.
                if rest.is_nan() || rest <= 1e-15 * matrix[i][i].abs() {
                    return None;
                }
                lower[i][i] = rest.sqrt();
            } else {
                lower[i][j] = rest / lower[j][j];
            }
        }
    }
    Some(lower)
}

fn solve<const N: usize>(lower: &[[f64; N]; N], right: &[f64; N]) -> [f64; N] {
    let mut x = *right;
    for i in 0..N {
        x[i] = (x[i] - (0..i).map(|k| lower[i][k] * x[k]).sum::<f64>()) / lower[i][i];
    }
    for i in (0..N).rev() {
        x[i] = (x[i] - (i + 1..N).map(|k| lower[k][i] * x[k]).sum::<f64>()) / lower[i][i];
    }
    x
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Compares exact derivatives with central differences, each by the size that it has.
    pub fn assert_derivatives<const N: usize>(point: [f64; N], mut evaluate: impl FnMut(&[f64; N]) -> Evaluation<N>) {
        let exact = evaluate(&point);
        let h = 1e-4;
        let scale = 1.0 + exact.value.abs();
        for i in 0..N {
            let at = |evaluate: &mut dyn FnMut(&[f64; N]) -> Evaluation<N>, step: f64| {
                let mut moved = point;
                moved[i] += step;
                evaluate(&moved)
            };
            let (low, high) = (at(&mut evaluate, -h), at(&mut evaluate, h));
            let first = (high.value - low.value) / (2.0 * h);
            assert!((first - exact.gradient[i]).abs() < 1e-6 * scale, "{point:?} {i}: {first} {}", exact.gradient[i]);
            for j in 0..N {
                let second = (high.gradient[j] - low.gradient[j]) / (2.0 * h);
                let difference = (second - exact.hessian[i][j]).abs();
                assert!(difference < 1e-6 * scale, "{point:?} {i} {j}: {second} {}", exact.hessian[i][j]);
                assert_eq!(exact.hessian[i][j], exact.hessian[j][i]);
            }
        }
    }

    #[test]
    fn a_quadratic_takes_one_step_and_one_more() {
        let evaluate = |p: &[f64; 2]| Evaluation {
            value: -(p[0] - 1.0).powi(2) - 2.0 * (p[1] + 0.5).powi(2),
            gradient: [-2.0 * (p[0] - 1.0), -4.0 * (p[1] + 0.5)],
            hessian: [[-2.0, 0.0], [0.0, -4.0]],
        };
        let top = climb([0.0, 0.0], CONVERGED, evaluate, |_| None::<()>);
        assert_eq!((top.end, top.evaluations, top.point), (End::Converged, 3, [1.0, -0.5]));
        assert!((covariance(&top.at.hessian).unwrap()[0][0] - 0.5).abs() < 1e-15);
    }

    #[test]
    fn a_slope_without_end_is_left_or_exhausted() {
        let slope = |p: &[f64; 1]| Evaluation { value: p[0], gradient: [1.0], hessian: [[1e-3]] };
        assert_eq!(climb([0.0], CONVERGED, slope, |_| None::<()>).end, End::Exhausted);
        assert_eq!(climb([0.0], CONVERGED, slope, |p| (p[0] > 5.0).then_some(7)).end, End::Left(7));
        let nowhere = |_: &[f64; 1]| Evaluation { value: f64::NAN, ..Evaluation::zero() };
        assert_eq!(climb([0.0], CONVERGED, nowhere, |_| None::<()>).end, End::Exhausted);
    }
}
