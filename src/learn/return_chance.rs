//! The chance that a silent customer comes back, from all gaps of a shop: those that ended with a return, and those that are
//! still open.

use super::{Observation, Values};
use crate::decimal::{Decimal, Millionths};
use crate::proportion::{Z, rounded_share};

/// Nothing is estimated of days on which fewer gaps are at risk.
pub const MIN_AT_RISK: u64 = 50;

/// The longest silence that a curve shows, a hundred years: a placeholder for an unknown date lies further back.
const LONGEST_SHOWN: i128 = 36_525;

/// The product-limit estimate (Kaplan and Meier 1958), from day to day: S, the share of gaps that last longer.
///
/// A gap that is still open after t days was at risk of ending on every day up to t, and says nothing about later ones.
#[derive(Clone, Copy)]
struct ProductLimit<'a> {
    /// Gaps that ended, and those still open, that are longer than the day reached.
    closed: &'a [Observation],
    open: &'a [Observation],
    /// How many these are.
    at_risk: u64,
    /// S.
    share: f64,
    /// Greenwood's sum (1926): the variance of S is its square times this.
    greenwood: f64,
}

impl<'a> ProductLimit<'a> {
    /// The estimate before the first day.
    fn new(closed: Values<'a>, open: Values<'a>) -> Self {
        let at_risk = closed.count + open.count;
        ProductLimit { closed: closed.observations, open: open.observations, at_risk, share: 1.0, greenwood: 0.0 }
    }

    /// Goes on to the end of a day.
    fn advance_to(&mut self, day: i128) {
        let next = |gaps: &[Observation]| gaps.first().map(|gap| gap.value);
        let take = |gaps: &mut &'a [Observation], length| match gaps.split_first() {
            Some((first, rest)) if { first.value } == length => {
                *gaps = rest;
                first.count
            }
            _ => 0,
        };
        while let Some(length) = [next(self.closed), next(self.open)].into_iter().flatten().min().filter(|&l| l <= day)
        {
            let (returned, left) = (take(&mut self.closed, length), take(&mut self.open, length));
            let (returns, at_risk) = (returned as f64, self.at_risk as f64);
            self.share *= 1.0 - returns / at_risk;
            self.greenwood += returns / (at_risk * (at_risk - returns));
            self.at_risk -= returned + left;
        }
    }
}

/// For each length of a gap that ended, ascending, the share of gaps that last longer.
pub(super) fn kaplan_meier<'a>(closed: Values<'a>, open: Values<'a>) -> impl Iterator<Item = (i128, f64)> {
    let mut estimate = ProductLimit::new(closed, open);
    closed.observations.iter().map(move |gap| {
        estimate.advance_to(gap.value);
        (gap.value, estimate.share)
    })
}

/// The chance to come back within the window, after so many silent days.
#[derive(Clone, Copy, Debug)]
pub struct ReturnChance {
    /// Days without a purchase.
    pub silent_days: i128,
    /// Gaps that last at least so long.
    pub at_risk: u64,
    chance: f64,
    standard_error: f64,
}

impl ReturnChance {
    /// The chance, 0 to 1, rounded to 6 decimals.
    pub fn chance(&self) -> Decimal {
        rounded_share(self.chance)
    }

    /// The interval at 95 %: the chance plus and minus 1.96 standard errors, within 0 and 1.
    pub fn interval(&self) -> (Decimal, Decimal) {
        let bound = |value: f64| rounded_share(value.clamp(0.0, 1.0));
        (bound(self.chance - Z * self.standard_error), bound(self.chance + Z * self.standard_error))
    }

    /// Whether the chance is below a share. One that equals it in exact arithmetic must not miss it by the last bit.
    fn is_below(&self, share: Millionths) -> bool {
        self.chance < share.0 as f64 / Millionths::ONE as f64 - 1e-12
    }
}

/// The chances to come back within a window, from the day of a purchase to the last day that the gaps tell of.
#[derive(Clone, Copy)]
pub struct ReturnCurve<'a> {
    closed: Values<'a>,
    estimate: ProductLimit<'a>,
    window: i128,
    /// The last number of silent days for which there is an estimate: on the last day of its window [`MIN_AT_RISK`] gaps are
    /// at risk.
    pub last: i128,
}

/// A number of days that was looked for, or else the last one there is an estimate for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstBelow {
    /// The first silent days after which the chance is below.
    After(i128),
    /// It is not below up to here.
    NotUpTo(i128),
}

impl<'a> ReturnCurve<'a> {
    /// The curve of these gaps; `None` where too few of them last as long as the window.
    pub(super) fn new(closed: Values<'a>, open: Values<'a>, window_days: u32) -> Option<Self> {
        let window = i128::from(window_days);
        let last = last_day_at_risk(closed, open)? - window;
        (last >= 0).then(|| ReturnCurve { closed, estimate: ProductLimit::new(closed, open), window, last })
    }

    /// The chances after these numbers of silent days, which must ascend and not be beyond `last`.
    fn after(self, days: impl Iterator<Item = i128>) -> impl Iterator<Item = ReturnChance> {
        let (mut now, mut later) = (self.estimate, self.estimate);
        days.map(move |silent_days| {
            now.advance_to(silent_days - 1);
            let at_risk = now.at_risk;
            now.advance_to(silent_days);
            later.advance_to(silent_days + self.window);
            // S at the end of the window, given that the gap has lasted so long.
            let stays_away = later.share / now.share;
            // Where nobody stays away there is nothing to be unsure of; Greenwood's sum is infinite there.
            let standard_error =
                if stays_away > 0.0 { stays_away * (later.greenwood - now.greenwood).sqrt() } else { 0.0 };
            ReturnChance { silent_days, at_risk, chance: 1.0 - stays_away, standard_error }
        })
    }

    /// The chance after each number of silent days.
    pub fn rows(self) -> impl Iterator<Item = ReturnChance> {
        self.after(0..=self.last.min(LONGEST_SHOWN))
    }

    /// The first number of silent days after which the chance is below a share.
    pub fn first_below(self, share: Millionths) -> FirstBelow {
        // The chance falls only where S does: when gaps of just that length ended.
        let lengths = self.closed.observations.iter().map(|gap| gap.value);
        let days = std::iter::once(0).chain(lengths.filter(|&length| length > 0)).take_while(|&days| days <= self.last);
        let found = self.after(days).find(|chance| chance.is_below(share));
        found.map_or(FirstBelow::NotUpTo(self.last), |chance| FirstBelow::After(chance.silent_days))
    }
}

/// The last day on which [`MIN_AT_RISK`] gaps are at risk: the length of the so-many-longest.
fn last_day_at_risk(closed: Values, open: Values) -> Option<i128> {
    let (mut closed, mut open) = (closed.observations, open.observations);
    let mut at_risk = 0;
    loop {
        let length = |gaps: &[Observation]| gaps.last().map(|gap| gap.value);
        let longest = if length(closed) > length(open) { &mut closed } else { &mut open };
        let (gap, shorter) = longest.split_last()?;
        *longest = shorter;
        at_risk += gap.count;
        if at_risk >= MIN_AT_RISK {
            return Some(gap.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::observed;
    use super::super::{Dimension, MoneyUnit, Sample, kaplan_meier_limits};
    use super::*;

    /// What a test does with the ended and the open gaps of these lengths.
    fn with<R>(closed: &[i128], open: &[i128], test: impl FnOnce(Values, Values) -> R) -> R {
        let closed = closed.iter().map(|&days| (Dimension::Gap, days));
        let open = open.iter().map(|&days| (Dimension::Recency, days));
        let observations = observed(&closed.chain(open).collect::<Vec<_>>());
        let sample = Sample { unit: MoneyUnit { scale: 0, coarse: 0 }, observations: &observations };
        test(sample.values(Dimension::Gap), sample.values(Dimension::Recency))
    }

    fn times(days: i128, times: usize) -> impl Iterator<Item = i128> {
        std::iter::repeat_n(days, times)
    }

    /// The remission times of 21 patients under 6-MP (Freireich et al. 1963), the textbook example of the estimate, with the
    /// standard errors that Greenwood's formula gives (Klein and Moeschberger, Survival Analysis, 2003, table 4.1).
    #[test]
    fn the_estimate_of_the_textbook() {
        let remissions = [6, 6, 6, 7, 10, 13, 16, 22, 23];
        let ongoing = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
        let estimates = with(&remissions, &ongoing, |closed, open| {
            let mut estimate = ProductLimit::new(closed, open);
            [6, 7, 10, 13, 16, 22, 23].map(|weeks| {
                estimate.advance_to(weeks);
                format!("{weeks}: {:.3} {:.4}", estimate.share, estimate.share * estimate.greenwood.sqrt())
            })
        });
        assert_eq!(
            estimates,
            [
                "6: 0.857 0.0764",
                "7: 0.807 0.0869",
                "10: 0.753 0.0963",
                "13: 0.690 0.1068",
                "16: 0.627 0.1141",
                "22: 0.538 0.1282",
                "23: 0.448 0.1346"
            ]
        );
        assert!(with(&remissions, &ongoing, |closed, open| kaplan_meier_limits(closed, open).is_none()));
        assert!(with(&remissions, &ongoing, |closed, open| ReturnCurve::new(closed, open, 1).is_none()));
    }

    /// 200 gaps: 100 end on day 10, 20 are open since 20 days, 20 end on day 30, 60 are open since 40 days. Worked by hand:
    /// S(10) = 100/200; 80 are left on day 30, S(30) = 1/2 * 60/80 = 3/8.
    #[test]
    fn a_chance_is_one_of_those_who_are_still_silent() {
        let closed: Vec<_> = times(10, 100).chain(times(30, 20)).collect();
        let open: Vec<_> = times(20, 20).chain(times(40, 60)).collect();
        let rows: Vec<_> = with(&closed, &open, |closed, open| {
            let curve = ReturnCurve::new(closed, open, 20).unwrap();
            assert_eq!(curve.first_below(Millionths(500_000)), FirstBelow::After(10));
            assert_eq!(curve.first_below(Millionths(250_001)), FirstBelow::After(10));
            assert_eq!(curve.first_below(Millionths(250_000)), FirstBelow::NotUpTo(20));
            curve
                .rows()
                .map(|row| {
                    let (low, high) = row.interval();
                    format!("{} {} {} {low} {high}", row.silent_days, row.at_risk, row.chance())
                })
                .collect()
        });
        assert_eq!(rows.len(), 21);
        // After 0 days half come back, with a standard error of sqrt(1/2 * 1/2 / 200) = 0.035355.
        assert_eq!(rows[0], "0 200 0.500000 0.430705 0.569295");
        assert_eq!(rows[9], "9 200 0.500000 0.430705 0.569295");
        // After 10 days a quarter of the 80: sqrt(1/4 * 3/4 / 80) = 0.048412.
        assert_eq!(rows[10], "10 200 0.250000 0.155114 0.344886");
        assert_eq!(rows[20], "20 100 0.250000 0.155114 0.344886");
    }

    #[test]
    fn where_everybody_comes_back_the_chance_is_one() {
        let rows: Vec<_> = with(&times(30, 60).collect::<Vec<_>>(), &[], |closed, open| {
            let curve = ReturnCurve::new(closed, open, 20).unwrap();
            curve.rows().map(|row| (row.chance().to_string(), row.interval())).collect()
        });
        assert_eq!(rows.len(), 11);
        assert_eq!(rows[9], ("0.000000".into(), (Decimal::ZERO, Decimal::ZERO)));
        assert_eq!(rows[10], ("1.000000".into(), (Decimal::from(1), Decimal::from(1))));
    }
}
