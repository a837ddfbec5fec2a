//! The fit of the model of spend, and whether its assumption holds: that what somebody spends does not depend on how
//! often.

use std::cmp::Ordering;

use super::GammaGamma;
use super::likelihood::Spends;
use crate::labels::labels;
use crate::memory;
use crate::prediction::fit::in_ten_digits;
use crate::prediction::newton::{CONVERGED, End, climb, covariance};
use crate::prediction::options::SpendChoice;
use crate::prediction::timing::Timing;

labels! {
    /// Which purchase days a model of spend counts.
    SpendCounts "counts" {
        /// All.
        All = "all", "All purchase days", "すべての購入日";
        /// Those after the first.
        Repeat = "repeat", "Repeat purchase days", "2回目以降の購入日";
    }
}

/// What a customer spent, in units of the sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::prediction) struct Spend {
    /// Number of purchase days.
    pub purchase_days: u64,
    /// Amount of the first, and of all of them.
    pub first: i64,
    pub total: i64,
}

/// The amount of money in a unit of the sample.
#[derive(Clone, Copy, Debug)]
pub(in crate::prediction) struct SpendUnit(pub f64);

impl SpendCounts {
    /// How many purchase days of somebody with this timing it counts.
    pub fn purchases(self, timing: &Timing) -> i64 {
        match self {
            SpendCounts::All => i64::from(timing.repeats) + 1,
            SpendCounts::Repeat => timing.repeats.into(),
        }
    }
}

impl Spend {
    /// Number of purchases and their amount, as they are counted.
    pub fn counted(&self, counts: SpendCounts) -> (u64, i128) {
        match counts {
            SpendCounts::All => (self.purchase_days, self.total.into()),
            SpendCounts::Repeat => (self.purchase_days - 1, i128::from(self.total) - i128::from(self.first)),
        }
    }
}

/// A fitted model of spend.
#[derive(Clone, Copy, Debug)]
pub struct SpendFit {
    /// The model; its parameters have 10 significant digits.
    pub model: GammaGamma,
    /// Which purchase days it counts.
    pub counts: SpendCounts,
    /// Log-likelihood of the mean amounts, at these parameters.
    pub log_likelihood: f64,
    /// Covariance of the logarithms of p, q and v.
    pub covariance: [[f64; 3]; 3],
    /// Customers fitted: those who spent more than 0.
    pub customers: f64,
    /// Customers left out because they did not.
    pub not_positive: f64,
    /// Mean amount of a purchase day over mean of the customers' mean amounts: 1 where spend does not depend on how
    /// often somebody buys.
    pub dependence: f64,
    /// Spearman's rank correlation of the number of purchases and their mean amount; `None` where one of them is the
    /// same for all.
    pub spearman: Option<f64>,
    /// Amounts of first days over mean repeat amounts, of those who came back; `None` where these are not positive.
    pub first_to_repeat: Option<f64>,
    /// Whether the maximum was found.
    pub converged: bool,
}

/// Outside, first purchase days differ from later ones.
const ALIKE: std::ops::RangeInclusive<f64> = 0.8..=1.25;

/// Fits the model of spend; `None` where fewer than `least` customers spent anything, or `choice` is to have none.
pub(in crate::prediction) fn fit_spend(
    spends: &[(Spend, f64)],
    unit: SpendUnit,
    choice: SpendChoice,
    least: f64,
) -> Option<SpendFit> {
    let first_to_repeat = first_to_repeat(spends);
    let counts = match choice {
        SpendChoice::None => return None,
        SpendChoice::All => SpendCounts::All,
        SpendChoice::Repeat => SpendCounts::Repeat,
        SpendChoice::Auto if first_to_repeat.is_none_or(|ratio| ALIKE.contains(&ratio)) => SpendCounts::All,
        SpendChoice::Auto => SpendCounts::Repeat,
    };
    let bought = || spends.iter().map(|(spend, count)| (spend.counted(counts), *count)).filter(|((n, _), _)| *n > 0);
    let mut paid = memory::collect(bought().filter(|((_, amount), _)| *amount > 0));
    // By amount within a number of purchases: without the first one the order is another.
    memory::sort(&mut paid, |a, b| a.0.cmp(&b.0));
    let customers: f64 = paid.iter().map(|(_, count)| count).sum();
    if customers < least.max(1.0) {
        return None;
    }
    let in_money = memory::collect(paid.iter().map(|&((n, amount), count)| (n as f64, amount as f64 * unit.0, count)));
    let all = Spends::new(&in_money);
    let summit = [[2.0, 3.0, 1.0], [6.0, 4.0, 0.5], [1.0, 1.5, 1.0]]
        .map(|start: [f64; 3]| {
            let leave = |logs: &[f64; 3]| logs.iter().any(|log| !(-23.0..=16.0).contains(log)).then_some(());
            climb(start.map(f64::ln), CONVERGED, |logs| all.evaluate(logs), leave)
        })
        .into_iter()
        .max_by(|a, b| {
            let at_rest = |end: End<()>| end == End::Converged;
            at_rest(a.end).cmp(&at_rest(b.end)).then(a.at.value.total_cmp(&b.at.value))
        })?;
    let [p, q, v] = summit.point.map(f64::exp);
    let [p, q, v] = [p, q, v * all.unit()].map(in_ten_digits);
    let at = all.evaluate(&[p, q, v / all.unit()].map(f64::ln));
    let (mut amounts, mut purchases, mut means) = (0.0, 0.0, 0.0);
    for &(n, amount, count) in &in_money {
        amounts += count * amount;
        purchases += count * n;
        means += count * amount / n;
    }
    Some(SpendFit {
        model: GammaGamma { p, q, v },
        counts,
        log_likelihood: at.value,
        covariance: covariance(&at.hessian).unwrap_or_default(),
        customers,
        not_positive: bought().map(|(_, count)| count).sum::<f64>() - customers,
        dependence: amounts / purchases / (means / customers),
        spearman: spearman(&mut paid),
        first_to_repeat,
        converged: summit.end == End::Converged,
    })
}

impl SpendFit {
    /// Standard errors of p, q and v.
    pub fn standard_errors(&self) -> [f64; 3] {
        let GammaGamma { p, q, v } = self.model;
        let parameters = [p, q, v];
        std::array::from_fn(|i| parameters[i] * self.covariance[i][i].sqrt())
    }
}

fn first_to_repeat(spends: &[(Spend, f64)]) -> Option<f64> {
    let (mut first, mut repeat) = (0.0, 0.0);
    for (spend, count) in spends.iter().filter(|(spend, _)| spend.purchase_days > 1) {
        let (n, amount) = spend.counted(SpendCounts::Repeat);
        first += count * spend.first as f64;
        repeat += count * amount as f64 / n as f64;
    }
    (repeat > 0.0).then(|| first / repeat)
}

/// Spearman's rank correlation of n and S/n with average ranks; equal means are found exactly, as fractions.
fn spearman(paid: &mut [((u64, i128), f64)]) -> Option<f64> {
    let mut ranked = memory::with_capacity(paid.len());
    let mut rank_runs = |order: &[((u64, i128), f64)], same: fn(&(u64, i128), &(u64, i128)) -> bool| {
        let (mut before, mut start) = (0.0, 0);
        ranked.clear();
        for end in 1..=order.len() {
            if end == order.len() || !same(&order[end].0, &order[start].0) {
                let count: f64 = order[start..end].iter().map(|(_, count)| count).sum();
                ranked.extend((start..end).map(|_| before + (count + 1.0) / 2.0));
                before += count;
                start = end;
            }
        }
        memory::collect(ranked.iter().copied())
    };
    let of_counts = rank_runs(paid, |a, b| a.0 == b.0);
    let mut both = memory::collect(paid.iter().copied().zip(of_counts));
    memory::sort(&mut both, |(a, _), (b, _)| by_mean(&a.0, &b.0).then(a.0.cmp(&b.0)));
    let by_means = memory::collect(both.iter().map(|(entry, _)| *entry));
    let of_means = rank_runs(&by_means, |a, b| by_mean(a, b) == Ordering::Equal);
    let customers: f64 = by_means.iter().map(|(_, count)| count).sum();
    let middle = (customers + 1.0) / 2.0;
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (((_, count), x), y) in both.iter().zip(of_means) {
        let (x, y) = (x - middle, y - middle);
        xx += count * x * x;
        xy += count * x * y;
        yy += count * y * y;
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

/// Orders by S/n, exactly: an amount of 64 bits times a number of purchases fits.
fn by_mean(a: &(u64, i128), b: &(u64, i128)) -> Ordering {
    (a.1 * i128::from(b.0)).cmp(&(b.1 * i128::from(a.0)))
}
