//! The log-likelihood of the beta-geometric models with its derivatives.

use crate::host::Steps;
use crate::prediction::newton::Evaluation;
use crate::prediction::timings::Timings;

/// What a day contributes, by alpha: `ln(1 + day/alpha)`, `A = alpha/(alpha+day)` and `A (1 - A)`.
type OfDay = [f64; 3];

/// The log-likelihood of all customers by the logarithms of r, alpha, a and b; alpha in days.
///
/// Of one customer, c = 1 where the first purchase counts and else 0, m = r + x:
/// `ln G(r+x)/G(r) + r ln alpha - m ln(alpha+T) + ln B(a, b+x+c)/B(a, b) + [x > 0 or c = 1] ln(1 + exp(u))` with
/// `u = ln a - ln(b+x+c-1) + m (ln(alpha+T) - ln(alpha+t_x))` (Fader, Hardie, Lee 2005; Batislam, Denizel, Filiztekin
/// 2007). Logarithms are those of `1 + day/alpha`, so that nothing cancels where r and alpha are large.
pub fn evaluate(timings: &Timings, first_counts: bool, logs: &[f64; 4]) -> Evaluation<4> {
    let [r, alpha, a, b] = logs.map(f64::exp);
    let mut sum = timings.rates(r, alpha);
    timings.add_stays(first_counts, a, b, &mut sum);
    let days: Vec<OfDay> = timings.by_day(|day| {
        let share = alpha / (alpha + day);
        [(day / alpha).ln_1p(), share, share * (1.0 - share)]
    });
    let mut steps = Steps::default();
    for (repeats, triplets) in timings.groups().filter(|&(repeats, _)| first_counts || repeats > 0.0) {
        let (m, stays) = (r + repeats, if first_counts { repeats } else { repeats - 1.0 });
        let odds = a / (b + stays);
        let mut group = Group::default();
        for ((span, tenure), customers) in triplets {
            steps.step();
            group.add(&days[span], &days[tenure], m, odds, customers);
        }
        group.add_to(&mut sum, [r, m, b / (b + stays)]);
    }
    sum
}

/// Sums over the triplets of one x, in which D is the difference of the logarithms of T and t_x, e that of A and f that
/// of A (1 - A): of sigma, and of sigma (1 - sigma), times these and their products.
#[derive(Default)]
struct Group {
    logs: Logarithms,
    sigma: [f64; 4],
    spread: [f64; 6],
}

impl Group {
    #[inline]
    fn add(&mut self, span: &OfDay, tenure: &OfDay, m: f64, odds: f64, customers: f64) {
        let [log, share, bend] = std::array::from_fn(|i| tenure[i] - span[i]);
        // exp(u); far beyond what it can hold, sigma is 1 and the logarithm is u itself.
        let exponent: f64 = m * log;
        let sigma = if exponent < 600.0 {
            let gone = odds * exponent.exp();
            self.logs.add(1.0 + gone, customers);
            gone / (1.0 + gone)
        } else {
            self.logs.sum += customers * (exponent + odds.ln());
            1.0
        };
        let s = customers * sigma;
        let q = s * (1.0 - sigma);
        for (sum, of) in self.sigma.iter_mut().zip([1.0, log, share, bend]) {
            *sum += s * of;
        }
        for (sum, of) in self.spread.iter_mut().zip([1.0, log, share, log * log, log * share, share * share]) {
            *sum += q * of;
        }
    }

    /// The chain rule, once for all triplets; h is -du/d ln b.
    fn add_to(&self, sum: &mut Evaluation<4>, [r, m, h]: [f64; 3]) {
        let ([s, s_log, s_share, s_bend], [q, q_log, q_share, q_ll, q_ls, q_ss]) = (self.sigma, self.spread);
        sum.value += self.logs.total();
        for (gradient, of) in sum.gradient.iter_mut().zip([r * s_log, m * s_share, s, -h * s]) {
            *gradient += of;
        }
        for (i, j, of) in [
            (0, 0, r * r * q_ll + r * s_log),
            (0, 1, r * m * q_ls + r * s_share),
            (0, 2, r * q_log),
            (0, 3, -h * r * q_log),
            (1, 1, m * m * q_ss + m * s_bend),
            (1, 2, m * q_share),
            (1, 3, -h * m * q_share),
            (2, 2, q),
            (2, 3, -h * q),
            (3, 3, h * h * q - h * (1.0 - h) * s),
        ] {
            sum.add_second(i, j, of);
        }
    }
}

/// A sum of logarithms, taken of products: one logarithm is as dear as all the rest of a triplet.
struct Logarithms {
    product: f64,
    sum: f64,
}

impl Default for Logarithms {
    fn default() -> Self {
        Logarithms { product: 1.0, sum: 0.0 }
    }
}

impl Logarithms {
    /// Adds `times` the logarithm of a number from 1.
    #[inline]
    fn add(&mut self, number: f64, times: f64) {
        // So much times a product so large is still a number.
        if times == 1.0 && number < 1e100 {
            self.product *= number;
            if self.product > 1e200 {
                self.sum += self.product.ln();
                self.product = 1.0;
            }
        } else {
            self.sum += times * number.ln();
        }
    }

    fn total(&self) -> f64 {
        self.sum + self.product.ln()
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
        for first_counts in [false, true] {
            for parameters in
                [[0.5, 40.0, 0.9, 1.6], [3.0, 5.0, 1e-3, 30.0], [200.0, 9e3, 50.0, 1.0], [0.1, 900.0, 3.0, 1e3]]
            {
                assert_derivatives(parameters.map(f64::ln), |logs| evaluate(&timings, first_counts, logs));
            }
        }
    }

    #[test]
    fn the_value_is_the_formula() {
        use statrs::function::beta::ln_beta;
        use statrs::function::gamma::ln_gamma;
        let timings = some_timings();
        for (first_counts, c) in [(false, 0.0), (true, 1.0)] {
            let [r, alpha, a, b] = [0.5, 40.0, 0.9f64, 1.6];
            let formula: f64 = timings
                .counted()
                .iter()
                .map(|(timing, count)| {
                    let [x, span, tenure] = [timing.repeats, timing.span_days, timing.tenure_days].map(f64::from);
                    let m = r + x;
                    let log = |day: f64| (alpha + day).ln();
                    let mut value = ln_gamma(m) - ln_gamma(r) + r * f64::ln(alpha) - m * log(tenure);
                    value += ln_beta(a, b + x + c) - ln_beta(a, b);
                    if x + c > 0.0 {
                        let u = a.ln() - f64::ln(b + x + c - 1.0) + m * (log(tenure) - log(span));
                        value += u.exp().ln_1p();
                    }
                    count * value
                })
                .sum();
            let value = evaluate(&timings, first_counts, &[r, alpha, a, b].map(f64::ln)).value;
            assert!((value / formula - 1.0).abs() < 1e-12, "{value} {formula}");
        }
    }
}
