//! The log-likelihood of the Gamma-Gamma model with its derivatives.

use statrs::function::gamma::{digamma, ln_gamma};

use crate::host::Steps;
use crate::memory;
use crate::prediction::newton::Evaluation;

/// Customers by the number of their purchases and what they spent, above 0.
pub struct Spends {
    /// Purchases, and where the customers with so many end.
    groups: Vec<(f64, usize)>,
    /// Amount, in units of their mean, and number of customers.
    amounts: Vec<(f64, f64)>,
    /// Sums over all customers: of the logarithms of the amounts, of purchases times these, and of the logarithm of the
    /// number of purchases.
    logs: f64,
    purchase_logs: f64,
    count_logs: f64,
    customers: f64,
    /// The mean of the customers' mean amounts.
    unit: f64,
}

impl Spends {
    /// From purchases, amount and number of customers, in ascending order.
    pub fn new(spends: &[(f64, f64, f64)]) -> Self {
        let customers: f64 = spends.iter().map(|&(_, _, count)| count).sum();
        let unit = spends.iter().map(|&(n, amount, count)| count * amount / n).sum::<f64>() / customers;
        let mut groups: Vec<(f64, usize)> = Vec::new();
        let mut amounts = memory::with_capacity(spends.len());
        let (mut logs, mut purchase_logs, mut count_logs) = (0.0, 0.0, 0.0);
        for (index, &(n, amount, count)) in spends.iter().enumerate() {
            match groups.last_mut() {
                Some((purchases, end)) if *purchases == n => *end = index + 1,
                _ => memory::push(&mut groups, (n, index + 1)),
            }
            let log = (amount / unit).ln();
            logs += count * log;
            purchase_logs += count * n * log;
            count_logs += count * n.ln();
            amounts.push((amount / unit, count));
        }
        Spends { groups, amounts, logs, purchase_logs, count_logs, customers, unit }
    }

    /// The unit of money in which the fit works: the mean of the customers' mean amounts.
    pub fn unit(&self) -> f64 {
        self.unit
    }

    /// The log-likelihood of all customers by the logarithms of p, q and v, with v in [units](Self::unit).
    ///
    /// Of one customer with n purchases and S in all (Fader, Hardie 2013, equation 1a, by her mean S/n):
    /// `ln G(p n+q) - ln G(p n) - ln G(q) + q ln v + p n ln S - (p n+q) ln(v+S) - ln(S/n)`.
    pub fn evaluate(&self, logs: &[f64; 3]) -> Evaluation<3> {
        let [p, q, v] = logs.map(f64::exp);
        let mut sum = Evaluation::zero();
        let own_log = v.ln();
        sum.value = self.count_logs - self.logs - self.customers * self.unit.ln() + p * self.purchase_logs;
        sum.gradient[0] = self.purchase_logs;
        let (mut start, mut steps) = (0, Steps::default());
        let (q_gamma, q_digamma, q_trigamma) = (ln_gamma(q), digamma(q), trigamma(q));
        for &(n, end) in &self.groups {
            // Sums over the customers with n purchases: of ln(1 + S/v), 1/(v+S) and its square.
            let (mut count, mut beyond, mut inverse, mut square) = (0.0, 0.0, 0.0, 0.0);
            for &(amount, customers) in &self.amounts[start..end] {
                steps.step();
                let share = 1.0 / (v + amount);
                count += customers;
                beyond += customers * (amount / v).ln_1p();
                inverse += customers * share;
                square += customers * share * share;
            }
            start = end;
            let (pn, all) = (p * n, p * n + q);
            let (all_digamma, all_trigamma) = (digamma(all), trigamma(all));
            sum.value += count * (ln_gamma(all) - ln_gamma(pn) - q_gamma) - all * beyond - count * pn * own_log;
            let gamma_p = all_digamma - digamma(pn);
            sum.gradient[0] += n * (count * (gamma_p - own_log) - beyond);
            sum.gradient[1] += count * (all_digamma - q_digamma) - beyond;
            sum.gradient[2] += count * q / v - all * inverse;
            sum.add_second(0, 0, count * n * n * (all_trigamma - trigamma(pn)));
            sum.add_second(0, 1, count * n * all_trigamma);
            sum.add_second(0, 2, -n * inverse);
            sum.add_second(1, 1, count * (all_trigamma - q_trigamma));
            sum.add_second(1, 2, count / v - inverse);
            sum.add_second(2, 2, -count * q / (v * v) + all * square);
        }
        in_logarithms(&[p, q, v], &mut sum);
        sum
    }
}

/// Derivatives by the parameters become those by their logarithms.
fn in_logarithms<const N: usize>(parameters: &[f64; N], sum: &mut Evaluation<N>) {
    for i in 0..N {
        sum.gradient[i] *= parameters[i];
        for j in 0..N {
            sum.hessian[i][j] *= parameters[i] * parameters[j];
        }
        sum.hessian[i][i] += sum.gradient[i];
    }
}

/// The derivative of digamma: by recurrence to 10, then the asymptotic series to the Bernoulli number B_14 (Abramowitz,
/// Stegun 6.4.11, 6.4.6).
fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 10.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0]
        .iter()
        .rev()
        .fold(0.0, |series, bernoulli| (series + bernoulli) * square);
    sum + 1.0 / x + square / 2.0 + series / x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::newton::tests::assert_derivatives;

    #[test]
    fn derivatives_are_those_of_the_value() {
        let spends = Spends::new(&[(1.0, 3.0, 4.0), (1.0, 40.0, 2.0), (3.0, 60.0, 1.0), (12.0, 400.0, 2.0)]);
        for parameters in [[6.0, 3.7, 0.5], [1.0, 1.5, 10.0], [0.1, 30.0, 2.0]] {
            assert_derivatives(parameters.map(f64::ln), |logs| spends.evaluate(logs));
        }
    }

    #[test]
    fn trigamma_is_that_of_other_programs() {
        // mpmath 1.4.1: psi(1, x)
        for (x, value) in [
            (0.001, 1_000_001.642_533_195_9),
            (0.5, 4.934_802_200_544_679),
            (1.0, 1.644_934_066_848_226_4),
            (9.99, 0.105_276_950_148_241_79),
            (1e6, 1.000_000_500_000_166_7e-6),
        ] {
            assert!((trigamma(x) / value - 1.0).abs() < 1e-14, "{x}: {} {value}", trigamma(x));
        }
    }
}
