//! How far a ranking puts first those who then bought: the concentration curve.

use crate::memory;

/// The curve of what customers did, ordered by what was predicted: its area and its height at a tenth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Concentration {
    /// 2 times the area under the curve, less 1.
    pub gini: f64,
    /// What the first tenth of the customers did, of all.
    pub top_decile_share: f64,
}

impl Concentration {
    /// Of predictions, what came of them, and the number of customers; `None` where nothing came of any.
    ///
    /// Customers of equal predictions share what they did evenly, so that neither their order nor a coarse prediction
    /// matters.
    pub fn of(customers: &[(f64, f64, f64)]) -> Option<Self> {
        let mut sorted = memory::collect(customers.iter().copied());
        memory::sort(&mut sorted, |a, b| b.0.total_cmp(&a.0));
        let all: f64 = sorted.iter().map(|(_, _, count)| count).sum();
        // In whole purchases, sums are exact in any order.
        let done: f64 = sorted.iter().map(|(_, actual, count)| actual * count).sum();
        if done <= 0.0 {
            return None;
        }
        let (mut area, mut share, mut before, mut height, mut start) = (0.0, 0.0, 0.0, 0.0, 0);
        for end in 1..=sorted.len() {
            if end < sorted.len() && sorted[end].0 == sorted[start].0 {
                continue;
            }
            let tied = &sorted[start..end];
            let width = tied.iter().map(|(_, _, count)| count).sum::<f64>() / all;
            let rise = tied.iter().map(|(_, actual, count)| actual * count).sum::<f64>() / done;
            area += width * (height + rise / 2.0);
            if before < 0.1 {
                share = height + rise * ((0.1 - before) / width).min(1.0);
            }
            (before, height, start) = (before + width, height + rise, end);
        }
        Some(Concentration { gini: 2.0 * area - 1.0, top_decile_share: share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_evenly() {
        let tied = Concentration::of(&[(1.0, 4.0, 1.0), (1.0, 0.0, 9.0)]).unwrap();
        assert!(tied.gini.abs() < 1e-15 && (tied.top_decile_share - 0.1).abs() < 1e-15);
        let best = Concentration::of(&[(0.0, 0.0, 9.0), (1.0, 4.0, 1.0)]).unwrap();
        assert!((best.gini - 0.9).abs() < 1e-12 && (best.top_decile_share - 1.0).abs() < 1e-12, "{best:?}");
        assert_eq!(Concentration::of(&[(1.0, 0.0, 5.0)]), None);
    }
}
