//! The one integral of the Pareto/NBD model: of two powers that fall.

use crate::prediction::quadrature::TWENTY;

/// The integral over w, `from` to `to`, of `(c+w)^-k (d+w)^-l`, with (k, c) the first and (l, d) the second power.
///
/// In u with `min(c, d) + w = (min(c, d) + from) exp(u)`, in which the integrand falls at least exponentially, by 20
/// Gauss-Legendre nodes for each 3 of u; 16 reach 1e-8 only where k is 1,000. Positive throughout: nothing cancels, as
/// the difference of two 2F1 does.
pub(in crate::prediction) struct Decay {
    pub first: (f64, f64),
    pub second: (f64, f64),
    pub from: f64,
    pub to: f64,
}

/// A place in the integral.
pub(in crate::prediction) struct Node {
    /// c + w, and its logarithm beyond that of c + `from`.
    pub first: f64,
    pub first_log: f64,
    /// d + w, and its logarithm beyond that of d + `from`.
    pub second: f64,
    pub second_log: f64,
}

/// exp(-46): nothing is lost beyond.
const NEGLIGIBLE: f64 = 46.0;
/// The longest stretch of u for one set of nodes.
const LONGEST_PANEL: f64 = 3.0;

impl Decay {
    /// Each node, with its weight times the integrand, relative to the integrand at `from`.
    #[inline]
    pub fn each_node(&self, mut take: impl FnMut(&Node, f64)) {
        let ((k, c), (l, d)) = (self.first, self.second);
        let (first, second) = (c + self.from, d + self.from);
        let base = first.min(second);
        let mut length = ((self.to - self.from) / base).ln_1p();
        // The integrand falls at least so fast in u. Both powers count: with one of them a steep integrand is cut
        // short.
        let rate = k * base / first + l * base / second - 1.0;
        if rate > 0.0 {
            length = length.min(NEGLIGIBLE / rate);
        }
        let panels = (length / LONGEST_PANEL).ceil().max(1.0);
        let half = length / panels / 2.0;
        for panel in 0..panels as u32 {
            let center = half * f64::from(2 * panel + 1);
            for &(position, weight) in &TWENTY {
                let u = center + half * position;
                let beyond = base * u.exp_m1();
                // The smaller one's logarithm is u by its definition.
                let log = |scale: f64| if scale == base { u } else { (beyond / scale).ln_1p() };
                let node = Node {
                    first: first + beyond,
                    first_log: log(first),
                    second: second + beyond,
                    second_log: log(second),
                };
                let integrand = (u - k * node.first_log - l * node.second_log).exp();
                take(&node, base * half * weight * integrand);
            }
        }
    }

    /// The integral relative to the integrand at `from`.
    pub fn relative(&self) -> f64 {
        let mut sum = 0.0;
        self.each_node(|_, integrand| sum += integrand);
        sum
    }
}
