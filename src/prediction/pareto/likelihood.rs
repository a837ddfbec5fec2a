//! The log-likelihood of the Pareto/NBD model with its derivatives.

use super::decay::{AT_ONCE, Decay};
use crate::host::Steps;
use crate::prediction::newton::Evaluation;
use crate::prediction::timings::Timings;

/// What a day contributes, by a scale (alpha or beta): `ln(1 + day/scale)` and `scale/(scale+day)`.
type OfDay = (f64, f64);

fn of_day(day: f64, scale: f64) -> OfDay {
    ((day / scale).ln_1p(), scale / (scale + day))
}

/// The log-likelihood of all customers by the logarithms of r, alpha, s and beta; alpha and beta in days.
///
/// Of one customer, m = r + x: that of the rates alone, less `s ln(1 + T/beta)`, plus `ln(1 + exp(v))`, where `exp(v)`
/// is the integral over w from t_x to T of `s ((alpha+T)/(alpha+w))^m ((beta+T)/(beta+w))^s / (beta+w)`: the odds that
/// she has left (Schmittlein, Morrison, Colombo 1987, before the integral is written with 2F1). Differentiated under
/// the integral.
pub fn evaluate(timings: &Timings, logs: &[f64; 4]) -> Evaluation<4> {
    let [r, alpha, s, beta] = logs.map(f64::exp);
    let mut sum = timings.rates(r, alpha);
    let days = timings.by_day(|day| (of_day(day, alpha), of_day(day, beta)));
    let mut steps = Steps::default();
    for (repeats, triplets) in timings.groups() {
        for ((span, tenure), customers) in triplets {
            steps.step();
            let (_, (log, share)) = days[tenure];
            sum.value -= customers * s * log;
            sum.gradient[2] -= customers * s * log;
            sum.gradient[3] += customers * s * (1.0 - share);
            sum.add_second(2, 2, -customers * s * log);
            sum.add_second(2, 3, customers * s * (1.0 - share));
            sum.add_second(3, 3, -customers * s * share * (1.0 - share));
            if span < tenure {
                let m = r + repeats;
                let window = Decay {
                    first: (m, alpha),
                    second: (s + 1.0, beta),
                    from: timings.day(span),
                    to: timings.day(tenure),
                };
                let parameters = [r, alpha, s, beta, m];
                add_odds(&window, parameters, (days[span], days[tenure]), customers, &mut sum);
            }
        }
    }
    sum
}

fn times(a: [f64; AT_ONCE], b: [f64; AT_ONCE]) -> [f64; AT_ONCE] {
    std::array::from_fn(|i| a[i] * b[i])
}

/// The sum, of two halves, so that they are added at once.
fn total(values: [f64; AT_ONCE]) -> f64 {
    (0..AT_ONCE / 2).map(|i| values[i] + values[i + AT_ONCE / 2]).sum()
}

/// Adds `ln(1 + exp(v))` of one triplet.
fn add_odds(
    window: &Decay,
    [r, alpha, s, beta, m]: [f64; 5],
    (span, tenure): ((OfDay, OfDay), (OfDay, OfDay)),
    customers: f64,
    sum: &mut Evaluation<4>,
) {
    // Means over the integrand, taken as a density of w, of these and of their products: the logarithms of
    // (alpha+w)/(alpha+t_x) and (beta+w)/(beta+t_x), alpha/(alpha+w) and beta/(beta+w).
    let (mut mass, mut means, mut products) = (0.0, [0.0; 4], [[0.0; 4]; 4]);
    window.each_nodes(|nodes| {
        let shares = |scale: f64, places: [f64; AT_ONCE]| places.map(|place| scale / place);
        let of_nodes = [nodes.first_log, shares(alpha, nodes.first), nodes.second_log, shares(beta, nodes.second)];
        mass += total(nodes.integrand);
        for i in 0..4 {
            let weighted = times(nodes.integrand, of_nodes[i]);
            means[i] += total(weighted);
            for j in i..4 {
                products[i][j] += total(times(weighted, of_nodes[j]));
            }
        }
    });
    means.iter_mut().for_each(|mean| *mean /= mass);
    let spread = |i: usize, j: usize| {
        let (i, j) = (i.min(j), i.max(j));
        products[i][j] / mass - means[i] * means[j]
    };
    let ((span_log, _), (span_beta_log, span_beta)) = span;
    let ((log, share), (beta_log, beta_share)) = tenure;
    let (fall, beta_fall) = (log - span_log, beta_log - span_beta_log);
    let v = s.ln() + mass.ln() + m * fall + s * beta_fall + (span_beta / beta).ln();
    // First derivatives of v, and what else than their spread the second ones have.
    let first = [
        r * (fall - means[0]),
        m * (share - means[1]),
        1.0 + s * (beta_fall - means[2]),
        s * beta_share - (s + 1.0) * means[3],
    ];
    let bend = |mean: f64, square: f64| mean - square / mass;
    let second = [
        (0, 0, first[0]),
        (0, 1, r * (share - means[1])),
        (1, 1, m * (share * (1.0 - share) - bend(means[1], products[1][1]))),
        (2, 2, first[2] - 1.0),
        (2, 3, s * (beta_share - means[3])),
        (3, 3, s * beta_share * (1.0 - beta_share) - (s + 1.0) * bend(means[3], products[3][3])),
    ];
    let factors = [-r, -m, -s, -(s + 1.0)];
    let sigma = 1.0 / (1.0 + (-v).exp());
    sum.value += customers * if v > 30.0 { v + (-v).exp().ln_1p() } else { v.exp().ln_1p() };
    let (weight, left) = (customers * sigma, 1.0 - sigma);
    for i in 0..4 {
        sum.gradient[i] += weight * first[i];
        for j in i..4 {
            // What varies with w is the negative of a mean, so that factors of both signs come out right.
            sum.add_second(i, j, weight * (left * first[i] * first[j] + factors[i] * factors[j] * spread(i, j)));
        }
    }
    for (i, j, of) in second {
        sum.add_second(i, j, weight * of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::newton::tests::assert_derivatives;
    use crate::prediction::timing::tests::some_timings;

    #[test]
    fn derivatives_are_those_of_the_value() {
        let timings = some_timings();
        for parameters in [
            [0.5, 70.0, 0.6, 80.0],
            [3.0, 5.0, 1e-3, 30.0],
            [20.0, 900.0, 50.0, 9e3],
            [0.8, 16.0, 0.2, 14.0],
            [0.5, 50.0, 1.0, 50.0],
        ] {
            assert_derivatives(parameters.map(f64::ln), |logs| evaluate(&timings, logs));
        }
    }
}
