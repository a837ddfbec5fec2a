//! Whether a group did better than the control, beyond chance.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::erf::erfc;

use super::result::GroupResult;
use crate::decimal::{Decimal, amount_out_of_range};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::labels;
use crate::proportion::{Proportion, SCALE, UNIT, Z};

labels! {
    /// What to do with what was tested.
    Verdict "verdict" {
        /// It works.
        RollOut = "roll_out", "Roll out", "全体に展開する";
        /// Nothing is shown yet.
        KeepTesting = "keep_testing", "Keep testing", "テストを続ける";
        /// It does harm, or has had its chance.
        Stop = "stop", "Stop", "中止する";
    }
}

/// How a p-value was calculated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PMethod {
    /// Two-proportion z test, pooled variance, no continuity correction.
    Z,
    /// Fisher's exact test.
    Fisher,
}

impl PMethod {
    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            PMethod::Z => "z",
            PMethod::Fisher => "fisher",
        }
    }
}

/// A difference with its 95 % interval, rounded to 6 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Treatment minus control.
    pub value: Decimal,
    /// Lower and upper bound; `None` where the amounts do not tell.
    pub interval: Option<(Decimal, Decimal)>,
}

impl Difference {
    fn is_above_zero(&self) -> bool {
        self.interval.is_some_and(|(low, _)| low > Decimal::ZERO)
    }

    fn is_below_zero(&self) -> bool {
        self.interval.is_some_and(|(_, high)| high < Decimal::ZERO)
    }
}

/// A group beside its control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Difference of the rates.
    pub lift: Difference,
    /// Lift by the control's rate; `None` where that is 0.
    pub relative_lift: Option<Decimal>,
    /// Two-sided probability of a difference at least as great where there is none, rounded to 6 decimals.
    pub p_value: Decimal,
    /// How it was calculated.
    pub p_method: PMethod,
    /// Difference of the revenue per head.
    pub revenue_lift: Difference,
}

impl Comparison {
    /// Compares a group with its control; `None` where one of them has no customers.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when the amounts are too large to calculate with.
    pub fn new(treatment: &GroupResult, control: &GroupResult) -> Result<Option<Self>> {
        let (responses, control_responses) = (treatment.responses()?, control.responses()?);
        let (Some(lift), Some(revenue)) = (rate_lift(responses, control_responses)?, treatment.revenue_lift(control)?)
        else {
            return Ok(None);
        };
        let (p_method, p_value) = p_value(responses, control_responses);
        Ok(Some(Comparison {
            lift,
            relative_lift: relative_lift(responses, control_responses)?,
            p_value: rounded(p_value)?,
            p_method,
            revenue_lift: Difference { value: revenue, interval: welch_interval(treatment, control)? },
        }))
    }

    /// Whether chance alone would rarely give such a lift; 5 %, as the intervals have 95 %.
    fn is_significant(&self) -> bool {
        self.p_value < Decimal::new(5, 2)
    }

    /// Whether the rate or the revenue per head is shown to be lower than the control's.
    fn does_harm(&self) -> bool {
        self.lift.is_below_zero() && self.is_significant() || self.revenue_lift.is_below_zero()
    }

    /// Whether the rate is shown to be higher than the control's.
    fn works(&self) -> bool {
        self.lift.is_above_zero() && self.is_significant()
    }
}

/// The verdict on a group, the first that holds:
/// 1. stop: the interval of the lift lies below 0 and the p-value below 0.05, or the interval of the revenue per head
///    lies below 0;
/// 2. `keep_testing`: a group has fewer customers than `planned`;
/// 3. `roll_out`: the interval of the lift lies above 0 and the p-value below 0.05;
/// 4. stop: the planned customers are there, and no lift;
/// 5. `keep_testing`: no number was planned.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] when `planned` is below 1.
pub fn verdict(comparison: Option<&Comparison>, smaller_group: i64, planned: Option<i64>) -> Result<Verdict> {
    if let Some(planned @ ..1) = planned {
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            format!("planned_customers must be at least 1, not {planned}"),
        )
        .hint("Give the number of ab_sample_size, or NULL where no number was planned."));
    }
    let Some(comparison) = comparison else { return Ok(Verdict::KeepTesting) };
    Ok(match planned {
        _ if comparison.does_harm() => Verdict::Stop,
        Some(planned) if smaller_group < planned => Verdict::KeepTesting,
        _ if comparison.works() => Verdict::RollOut,
        Some(_) => Verdict::Stop,
        None => Verdict::KeepTesting,
    })
}

/// Rounded to 6 decimals.
fn rounded(value: f64) -> Result<Decimal> {
    let scaled = (value * UNIT).round();
    // The largest i128 is about this; NaN is beyond too.
    if scaled.abs() < 1.7e38 { Ok(Decimal::new(scaled as i128, SCALE)) } else { Err(amount_out_of_range()) }
}

/// Difference of the rates with the hybrid score interval: method 10 of R. G. Newcombe, Interval estimation for the difference
/// between independent proportions, Statistics in Medicine 17 (1998), 873-890, without continuity correction.
fn rate_lift(treatment: Proportion, control: Proportion) -> Result<Option<Difference>> {
    let (Some(bounds), Some(control_bounds)) = (treatment.wilson_bounds(), control.wilson_bounds()) else {
        return Ok(None);
    };
    let [rate, control_rate] = [treatment, control].map(ratio);
    let difference = rate - control_rate;
    let below = (rate - bounds.0).hypot(control_bounds.1 - control_rate);
    let above = (bounds.1 - rate).hypot(control_rate - control_bounds.0);
    Ok(Some(Difference {
        value: exact_lift(treatment, control)?,
        interval: Some((rounded(difference - below)?, rounded(difference + above)?)),
    }))
}

/// The rate; NaN of nobody.
fn ratio(proportion: Proportion) -> f64 {
    proportion.numerator().map_or(f64::NAN, |numerator| numerator as f64 / proportion.denominator() as f64)
}

/// `r1 n2 - r2 n1`, the numerator of the difference of two rates.
fn cross_difference(treatment: Proportion, control: Proportion) -> i128 {
    let product = |a: Proportion, b: Proportion| i128::from(a.numerator().unwrap_or(0)) * i128::from(b.denominator());
    product(treatment, control) - product(control, treatment)
}

fn exact_lift(treatment: Proportion, control: Proportion) -> Result<Decimal> {
    let denominator = i128::from(treatment.denominator()) * i128::from(control.denominator());
    quotient(cross_difference(treatment, control), denominator)
}

/// Lift by the control's rate: `(r1 n2 - r2 n1) / (n1 r2)`.
fn relative_lift(treatment: Proportion, control: Proportion) -> Result<Option<Decimal>> {
    match control.numerator() {
        None | Some(0) => Ok(None),
        Some(responders) => {
            let denominator = i128::from(treatment.denominator()) * i128::from(responders);
            quotient(cross_difference(treatment, control), denominator).map(Some)
        }
    }
}

/// Rounded to 6 decimals; where counts are too large for exact digits, their nearest.
fn quotient(numerator: i128, denominator: i128) -> Result<Decimal> {
    Decimal::quotient(numerator, denominator, SCALE).or_else(|_| rounded(numerator as f64 / denominator as f64))
}

/// The two-sided p-value of the hypothesis that both rates are equal: Fisher's exact test where an expected count is below 5
/// (W. G. Cochran, Some methods for strengthening the common chi-squared tests, Biometrics 10 (1954), 417-451), otherwise the
/// two-proportion z test with pooled variance and without continuity correction.
fn p_value(treatment: Proportion, control: Proportion) -> (PMethod, f64) {
    let table = Table::new(treatment, control);
    if table.has_small_expected_count() {
        (PMethod::Fisher, table.fisher())
    } else {
        (PMethod::Z, z_test(treatment, control))
    }
}

fn z_test(treatment: Proportion, control: Proportion) -> f64 {
    let [n1, n2] = [treatment, control].map(|group| group.denominator() as f64);
    let [p1, p2] = [treatment, control].map(ratio);
    let pooled = (p1 * n1 + p2 * n2) / (n1 + n2);
    let z = (p1 - p2) / (pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)).sqrt();
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// The table of two groups and two answers, seen from its smallest cell: that of the smaller group and the rarer answer.
struct Table {
    /// Everybody.
    all: i128,
    /// The smaller group.
    group: i128,
    /// The rarer answer.
    answer: i128,
    /// How many of the group gave it.
    both: i128,
}

impl Table {
    fn new(treatment: Proportion, control: Proportion) -> Self {
        let small = if treatment.denominator() <= control.denominator() { treatment } else { control };
        let count = |group: Proportion| i128::from(group.numerator().unwrap_or(0));
        let all = i128::from(treatment.denominator()) + i128::from(control.denominator());
        let (group, yes) = (i128::from(small.denominator()), count(treatment) + count(control));
        if yes <= all - yes {
            Table { all, group, answer: yes, both: count(small) }
        } else {
            Table { all, group, answer: all - yes, both: group - count(small) }
        }
    }

    /// Whether fewer than 5 are expected in the smallest cell.
    fn has_small_expected_count(&self) -> bool {
        // Neither is more than 2^63.
        self.group * self.answer < 5 * self.all
    }

    /// The sum of the probabilities of all tables with these margins that are not more probable than this one, as scipy and
    /// R have it. For small expected counts: the probabilities then fall quickly.
    fn fisher(&self) -> f64 {
        let Table { all, group, answer, both } = *self;
        // Relative to the probability of an empty cell, one after the other.
        let next = |weight: f64, count: i128| {
            let up = (group - count) as f64 * (answer - count) as f64;
            weight * up / ((count + 1) as f64 * (all - group - answer + count + 1) as f64)
        };
        let mut weights = vec![1.0];
        for count in 0..group.min(answer) {
            let weight = next(weights[count as usize], count);
            if weight < f64::MIN_POSITIVE {
                break;
            }
            weights.push(weight);
        }
        let observed = usize::try_from(both).ok().and_then(|both| weights.get(both)).copied().unwrap_or(0.0);
        // Equal probabilities may come out a hair apart.
        let not_more = |weight: &&f64| **weight <= observed * (1.0 + 1e-7);
        let [extreme, total] = [weights.iter().filter(not_more).sum::<f64>(), weights.iter().sum()];
        extreme / total
    }
}

/// The 95 % interval of the difference of two means with unequal variances: B. L. Welch, The generalization of Student's
/// problem when several different population variances are involved, Biometrika 34 (1947), 28-35. `None` with fewer than two
/// customers in a group.
fn welch_interval(treatment: &GroupResult, control: &GroupResult) -> Result<Option<(Decimal, Decimal)>> {
    let (Some(own), Some(other)) = (treatment.variance_of_mean()?, control.variance_of_mean()?) else {
        return Ok(None);
    };
    let difference = treatment.mean() - control.mean();
    let variance = own + other;
    let half_width = if variance == 0.0 {
        0.0
    } else {
        let freedom = |group: &GroupResult| (group.customers() - 1) as f64;
        let parts = (own / variance).powi(2) / freedom(treatment) + (other / variance).powi(2) / freedom(control);
        t_quantile(1.0 / parts) * variance.sqrt()
    };
    Ok(Some((rounded(difference - half_width)?, rounded(difference + half_width)?)))
}

/// The 97.5th percentile of Student's t distribution, at least 10 digits of it; `freedom` is at least 1.
fn t_quantile(freedom: f64) -> f64 {
    /// From here the series below has more digits than statrs, whose quantile loses them as the degrees of freedom grow.
    const MANY: f64 = 200.0;
    if freedom < MANY {
        // The parameters are valid, so there is a distribution.
        return StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(0.975));
    }
    // M. Abramowitz, I. A. Stegun, Handbook of Mathematical Functions (1964), 26.7.5.
    let z = Z;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5) - 1920.0 * z.powi(3) - 945.0 * z) / 92160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / freedom) + z
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1, stats.t.ppf(0.975, freedom).
    const QUANTILES: &[(f64, f64)] = &[
        (1.0, 12.706204736174694),
        (1.37, 6.885073156641705),
        (3.5, 2.940088637982728),
        (17.3, 2.107032003753468),
        (150.0, 1.97590533089662),
        (199.9, 1.971902228375926),
        (200.0, 1.971896223633909),
        (300.0, 1.967903011261086),
        (1234.5, 1.961887483331345),
        (1e5, 1.959987707534609),
        (1e7, 1.959964221767205),
        (1e12, 1.959963984542426),
    ];

    #[test]
    fn quantiles_of_t_have_ten_digits() {
        for &(freedom, expected) in QUANTILES {
            let found = t_quantile(freedom);
            assert!((found - expected).abs() < 1e-10 * expected, "{freedom}: {found}");
        }
        assert_eq!(t_quantile(f64::INFINITY), Z);
    }

    fn proportion(numerator: i64, denominator: i64) -> Proportion {
        Proportion::new(numerator, denominator).unwrap()
    }

    /// The first is one of C(30, 10) tables; the last two come out at once, however many there are.
    #[test]
    fn fishers_test_ends_quickly() {
        let p = |one: (i64, i64), other: (i64, i64)| {
            Table::new(proportion(one.0, one.1), proportion(other.0, other.1)).fisher()
        };
        assert!((p((10, 10), (0, 20)) * 30_045_015.0 - 1.0).abs() < 1e-12);
        assert_eq!(p((4, 500), (5, 500)), 1.0);
        assert_eq!(p((2_000_000_000, 2_000_000_000), (0, i64::MAX)), 0.0);
        assert!(p((0, 3_000_000_000), (3_000_000_000, i64::MAX)) > 0.99);
    }

    fn compared(one: (i64, i64), other: (i64, i64)) -> Comparison {
        let result = |(responders, customers)| GroupResult::new(customers, responders, Decimal::ZERO, "0").unwrap();
        Comparison::new(&result(one), &result(other)).unwrap().unwrap()
    }

    /// Groups change places: the lift changes its sign, the p-value stays.
    #[test]
    fn groups_and_answers_can_change_places() {
        for (one, other) in
            [((3, 10), (9, 10)), ((120, 1000), (100, 1000)), ((0, 5), (7, 40)), ((1, 3), (5000, 10_000))]
        {
            let (there, back) = (compared(one, other), compared(other, one));
            let no = |(responders, customers)| (customers - responders, customers);
            let others = compared(no(one), no(other));
            let negative = |bounds: Option<(Decimal, Decimal)>| {
                bounds.map(|(low, high)| (Decimal::new(-high.mantissa(), SCALE), Decimal::new(-low.mantissa(), SCALE)))
            };
            for turned in [back, others] {
                assert_eq!(turned.lift.value.mantissa(), -there.lift.value.mantissa());
                assert_eq!(turned.lift.interval, negative(there.lift.interval));
                assert_eq!((turned.p_value, turned.p_method), (there.p_value, there.p_method));
            }
        }
    }

    #[test]
    fn a_verdict_needs_the_planned_customers_unless_there_is_harm() {
        let [better, worse, same] = [(200, 100), (100, 200), (100, 100)].map(|(a, b)| compared((a, 1000), (b, 1000)));
        let verdict = |comparison, customers, planned| verdict(Some(comparison), customers, planned).unwrap();
        assert_eq!(
            [None, Some(1000), Some(1001)].map(|planned| verdict(&better, 1000, planned)),
            [Verdict::RollOut, Verdict::RollOut, Verdict::KeepTesting]
        );
        assert_eq!([None, Some(1000), Some(1001)].map(|planned| verdict(&worse, 1000, planned)), [Verdict::Stop; 3]);
        assert_eq!(
            [None, Some(1000), Some(1001)].map(|planned| verdict(&same, 1000, planned)),
            [Verdict::KeepTesting, Verdict::Stop, Verdict::KeepTesting]
        );
        assert_eq!(super::verdict(None, 0, Some(1)), Ok(Verdict::KeepTesting));
        assert!(super::verdict(None, 0, Some(0)).is_err());
    }
}
