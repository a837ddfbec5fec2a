//! The one integral of the Pareto/NBD model: of two powers that fall.

use crate::prediction::elementary::{exp, exp_m1, ln_1p};
use crate::prediction::quadrature::{TEN, TWENTY};

/// The integral over w, `from` to `to`, of `(c+w)^-k (d+w)^-l`, with (k, c) the first and (l, d) the second power.
///
/// In u with `min(c, d) + w = (min(c, d) + from) exp(u)`, in which the integrand falls at least exponentially. Positive
/// throughout: nothing cancels, as the difference of two 2F1 does.
pub(in crate::prediction) struct Decay {
    pub first: (f64, f64),
    pub second: (f64, f64),
    pub from: f64,
    pub to: f64,
}

/// So many nodes are computed at once.
pub(in crate::prediction) const AT_ONCE: usize = 10;

/// Places in the integral.
pub(in crate::prediction) struct Nodes {
    /// c + w, and its logarithm beyond that of c + `from`.
    pub first: [f64; AT_ONCE],
    pub first_log: [f64; AT_ONCE],
    /// d + w, and its logarithm beyond that of d + `from`.
    pub second: [f64; AT_ONCE],
    pub second_log: [f64; AT_ONCE],
    /// The weight times the integrand, relative to the integrand at `from`.
    pub integrand: [f64; AT_ONCE],
}

/// exp(-46): nothing is lost beyond.
const NEGLIGIBLE: f64 = 46.0;
/// The longest stretch of u for one set of 20 nodes; 16 reach 1e-8 only where k is 1,000.
const LONGEST_PANEL: f64 = 3.0;
/// Ten nodes reach 1e-13 where u is no longer, which keeps them far from the other power's pole...
const SHORT: f64 = 2.0;
/// ... and where the integrand falls by no more than this power of e.
const FLAT: f64 = 8.0;

impl Decay {
    /// All nodes, some at once.
    #[inline]
    pub fn each_nodes(&self, mut take: impl FnMut(&Nodes)) {
        let ((k, c), (l, d)) = (self.first, self.second);
        let (first, second) = (c + self.from, d + self.from);
        let base = first.min(second);
        let [mut length] = ln_1p([(self.to - self.from) / base]);
        // The integrand falls at least so fast in u. Both powers count: with one of them a steep integrand is cut
        // short.
        let rate = k * base / first + l * base / second - 1.0;
        if rate * length > NEGLIGIBLE {
            length = NEGLIGIBLE / rate;
        }
        // At most as fast as if the smaller were both.
        if length <= SHORT && (k + l) * length <= FLAT {
            return take(&self.nodes(&TEN, length / 2.0, length / 2.0));
        }
        let panels = (length / LONGEST_PANEL).ceil().max(1.0);
        let half = length / panels / 2.0;
        for panel in 0..panels as u32 {
            let center = half * f64::from(2 * panel + 1);
            for nodes in TWENTY.as_chunks::<AT_ONCE>().0 {
                take(&self.nodes(nodes, center, half));
            }
        }
    }

    /// The nodes of a stretch of u.
    #[inline]
    fn nodes(&self, of_one: &[(f64, f64); AT_ONCE], center: f64, half: f64) -> Nodes {
        let ((k, c), (l, d)) = (self.first, self.second);
        let (first, second) = (c + self.from, d + self.from);
        let (base, other) = (first.min(second), first.max(second));
        let u = of_one.map(|(position, _)| center + half * position);
        let beyond = exp_m1(u).map(|growth| base * growth);
        // The smaller one's logarithm is u by its definition.
        let other_log = ln_1p(beyond.map(|beyond| beyond / other));
        let (first_log, second_log) = if first <= second { (u, other_log) } else { (other_log, u) };
        let logs: [f64; AT_ONCE] = std::array::from_fn(|i| u[i] - k * first_log[i] - l * second_log[i]);
        let values = exp(logs);
        Nodes {
            first: beyond.map(|beyond| first + beyond),
            first_log,
            second: beyond.map(|beyond| second + beyond),
            second_log,
            integrand: std::array::from_fn(|i| base * half * of_one[i].1 * values[i]),
        }
    }

    /// The integral relative to the integrand at `from`.
    pub fn relative(&self) -> f64 {
        let mut sum = 0.0;
        self.each_nodes(|nodes| sum += nodes.integrand.iter().sum::<f64>());
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::prediction::timing::tests::of_any_size;

    impl Decay {
        /// The same in many short panels, whose integrals are added.
        fn in_panels(&self) -> f64 {
            const PANELS: u32 = 400;
            let ((k, c), (l, d)) = (self.first, self.second);
            let scale = c.min(d) + self.from;
            let length = ((self.to - self.from) / scale).ln_1p();
            let place = |panel: u32| self.from + scale * (length * f64::from(panel) / f64::from(PANELS)).exp_m1();
            let at = |w: f64| {
                -k * ((w - self.from) / (c + self.from)).ln_1p() - l * ((w - self.from) / (d + self.from)).ln_1p()
            };
            (0..PANELS)
                .map(|panel| {
                    let short = Decay { from: place(panel), to: place(panel + 1), ..*self };
                    at(short.from).exp() * short.relative()
                })
                .sum()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn panels_change_nothing(
            (k, c, l, d) in (of_any_size(1e-2, 2e3), of_any_size(1e-2, 1e5), of_any_size(1e-2, 2e3), of_any_size(1e-2, 1e5)),
            (from, days) in (of_any_size(0.1, 3e3), of_any_size(1.0, 3e3)),
        ) {
            let decay = Decay { first: (k, c), second: (l, d), from, to: from + days };
            let (found, expected) = (decay.relative(), decay.in_panels());
            prop_assert!((found / expected - 1.0).abs() < 1e-10, "{found}, not {expected}");
        }
    }
}
