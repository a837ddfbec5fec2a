//! The timings of all customers, counted, as the likelihoods read them.
//!
//! Most of a likelihood needs less than the triplet (x, t_x, T): how many customers have more than j repeat purchases,
//! and how many customers and purchases there are of each T. Only one term is summed over the triplets.

use super::newton::Evaluation;
use super::timing::Timing;
use crate::memory;

/// Triplets in ascending order with their numbers of customers, and what is summed of them once for all evaluations.
pub struct Timings {
    counted: Vec<(Timing, f64)>,
    /// All days that occur as t_x or T, ascending: logarithms are taken once of each.
    days: Vec<f64>,
    /// The place of t_x and T of each triplet in `days`.
    places: Vec<(u32, u32)>,
    /// Triplets of the same x lie side by side: x, and where they end.
    groups: Vec<(f64, usize)>,
    /// j, and the number of customers with more than j repeat purchases.
    above: Vec<(f64, f64)>,
    /// The place of each T in `days`, its customers, and their repeat purchases.
    tenures: Vec<(usize, f64, f64)>,
    customers: f64,
    repeats: f64,
}

impl Timings {
    /// From triplets in ascending order, each once, and how many customers have it.
    pub fn new(counted: Vec<(Timing, f64)>) -> Self {
        let mut all_days = memory::with_capacity(2 * counted.len());
        all_days.extend(counted.iter().flat_map(|(timing, _)| [timing.span_days, timing.tenure_days]));
        memory::sort(&mut all_days, Ord::cmp);
        all_days.dedup();
        let place = |day: u32| all_days.partition_point(|&other| other < day);
        let mut places = memory::with_capacity(counted.len());
        let mut by_tenure = memory::with_capacity(all_days.len());
        by_tenure.resize(all_days.len(), (0.0, 0.0));
        let mut groups: Vec<(f64, usize)> = Vec::new();
        for (index, (timing, count)) in counted.iter().enumerate() {
            let (span, tenure) = (place(timing.span_days), place(timing.tenure_days));
            memory::push(&mut places, (span as u32, tenure as u32));
            by_tenure[tenure].0 += count;
            by_tenure[tenure].1 += count * f64::from(timing.repeats);
            match groups.last_mut() {
                Some((repeats, end)) if *repeats == f64::from(timing.repeats) => *end = index + 1,
                _ => memory::push(&mut groups, (f64::from(timing.repeats), index + 1)),
            }
        }
        let above = above(&counted);
        let tenures = by_tenure
            .iter()
            .enumerate()
            .filter(|(_, (customers, _))| *customers > 0.0)
            .map(|(place, &(c, x))| (place, c, x));
        let tenures = memory::collect(tenures);
        let customers = counted.iter().map(|(_, count)| count).sum();
        let repeats = tenures.iter().map(|tenure| tenure.2).sum();
        let days = memory::collect(all_days.iter().map(|&day| f64::from(day)));
        Timings { counted, days, places, groups, above, tenures, customers, repeats }
    }

    /// Every so many-th triplet.
    pub(super) fn thinned(&self, step: usize) -> Self {
        Timings::new(memory::collect(self.counted.iter().step_by(step).copied()))
    }

    /// Triplets and their numbers of customers, ascending.
    pub fn counted(&self) -> &[(Timing, f64)] {
        &self.counted
    }

    /// Customers.
    pub fn customers(&self) -> f64 {
        self.customers
    }

    /// Customers who came back.
    pub fn repeaters(&self) -> f64 {
        self.above.first().map_or(0.0, |&(_, customers)| customers)
    }

    /// Sum of x.
    pub fn repeats(&self) -> f64 {
        self.repeats
    }

    /// Mean of T, at least 1: the unit of time in which a fit works.
    pub(super) fn unit(&self) -> f64 {
        let days: f64 = self.tenures.iter().map(|&(place, customers, _)| customers * self.days[place]).sum();
        (days / self.customers).max(1.0)
    }

    /// Values of a function of the days, by their place.
    pub(super) fn by_day<T>(&self, of_day: impl Fn(f64) -> T) -> Vec<T> {
        memory::collect(self.days.iter().map(|&day| of_day(day)))
    }

    /// Each x with its triplets: the places of t_x and T, and the number of customers.
    pub(super) fn groups(&self) -> impl Iterator<Item = (f64, impl Iterator<Item = ((usize, usize), f64)> + Clone)> {
        let mut start = 0;
        self.groups.iter().map(move |&(repeats, end)| {
            let range = start..end;
            start = end;
            let places = self.places[range.clone()].iter().map(|&(span, tenure)| (span as usize, tenure as usize));
            (repeats, places.zip(self.counted[range].iter().map(|&(_, count)| count)))
        })
    }

    /// The day at a place.
    pub(super) fn day(&self, place: usize) -> f64 {
        self.days[place]
    }

    /// The log-likelihood of purchases at rates of Gamma(r, alpha) by customers who never leave, the negative binomial
    /// distribution, by the logarithms of r and alpha:
    ///
    /// `ln G(r+x)/G(r) + r ln alpha - (r+x) ln(alpha+T)`, in which the first part is the sum of `ln(r+j)` over j < x.
    pub(super) fn rates<const N: usize>(&self, r: f64, alpha: f64) -> Evaluation<N> {
        let mut sum = Evaluation::zero();
        let (mut first, mut second) = (0.0, 0.0);
        for &(j, customers) in &self.above {
            sum.value += customers * (r + j).ln();
            first += customers / (r + j);
            second += customers / (r + j).powi(2);
        }
        sum.value -= self.repeats * alpha.ln();
        sum.gradient[1] = -self.repeats;
        let (mut logs, mut left) = (0.0, 0.0);
        for &(place, customers, repeats) in &self.tenures {
            let day = self.days[place];
            let log = (day / alpha).ln_1p();
            let m = r * customers + repeats;
            sum.value -= m * log;
            sum.gradient[1] += m * day / (alpha + day);
            sum.hessian[1][1] -= m * day * alpha / (alpha + day).powi(2);
            logs += customers * log;
            left += customers * day / (alpha + day);
        }
        sum.gradient[0] = r * (first - logs);
        sum.hessian[0][0] = sum.gradient[0] - r * r * second;
        sum.add_second(0, 1, r * left);
        sum
    }

    /// The log-likelihood of staying x + c times with chances of Beta(b, a), by the logarithms of a and b in the places
    /// 2 and 3:
    ///
    /// `ln B(a, b+x+c)/B(a, b)`, the sum of `ln(b+j) - ln(a+b+j)` over j < x + c.
    pub(super) fn add_stays(&self, first_counts: bool, a: f64, b: f64, sum: &mut Evaluation<4>) {
        let (mut by_a, mut by_b, mut aa, mut bb) = (0.0, 0.0, 0.0, 0.0);
        let first = first_counts.then_some((0.0, self.customers));
        let shift = if first_counts { 1.0 } else { 0.0 };
        for (j, customers) in first.into_iter().chain(self.above.iter().map(|&(j, count)| (j + shift, count))) {
            let (stay, all) = (b + j, a + b + j);
            sum.value -= customers * (a / stay).ln_1p();
            by_a -= customers / all;
            by_b += customers * a / (stay * all);
            aa += customers / (all * all);
            bb -= customers * a * (2.0 * stay + a) / (stay * all).powi(2);
        }
        sum.gradient[2] += a * by_a;
        sum.gradient[3] += b * by_b;
        sum.add_second(2, 2, a * a * aa + a * by_a);
        sum.add_second(2, 3, a * b * aa);
        sum.add_second(3, 3, b * b * bb + b * by_b);
    }
}

/// j, and how many customers have more than j repeat purchases, for all j that somebody has.
fn above(counted: &[(Timing, f64)]) -> Vec<(f64, f64)> {
    let most = counted.last().map_or(0, |(timing, _)| timing.repeats);
    let mut above = memory::with_capacity(most as usize);
    above.extend((0..most).map(|j| (f64::from(j), 0.0)));
    for (timing, count) in counted.iter().filter(|(timing, _)| timing.repeats > 0) {
        above[timing.repeats as usize - 1].1 += count;
    }
    for j in (1..above.len()).rev() {
        above[j - 1].1 += above[j].1;
    }
    above
}
