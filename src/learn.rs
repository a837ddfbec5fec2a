//! Learning thresholds from the shop's own customers.
//!
//! Every customer with a purchase gives observations: her R, F and M, and each gap between two purchase days. What is
//! learned depends on how often each value occurs and on nothing else, so observations of equal value are counted
//! together, and order, plan and workers never matter.

mod return_chance;

pub use return_chance::{ReturnChance, ReturnCurve};

use std::fmt;

use serde_json::{Value, json};

use crate::customer::Customer;
use crate::day::Day;
use crate::decimal::{Decimal, MAX_SCALE, Millionths, amount_out_of_range, power_of_ten};
use crate::error::Result;
use crate::memory;
use crate::money_unit::MoneyUnit;
use crate::policy::{Document, Learn, Method, Policy};
use return_chance::{FirstBelow, MIN_AT_RISK, kaplan_meier};

/// What is observed of customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Dimension {
    /// Days since the last purchase: also the gap that is still open.
    Recency,
    /// F.
    Frequency,
    /// M, in the units of a [`Sample`].
    Monetary,
    /// Days between two purchase days.
    Gap,
}

/// A value and how often it was observed.
///
/// Packed to 8 bytes because PostgreSQL's allocator gives no more alignment than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(8))]
pub struct Observation {
    /// What was observed.
    pub dimension: Dimension,
    /// How often.
    pub count: u64,
    /// The value.
    pub value: i128,
}

/// Sorts observations and counts equal ones together, in place; returns how many remain at the front.
pub fn count_equal(observations: &mut [Observation]) -> usize {
    let key = |observation: &Observation| (observation.dimension, { observation.value });
    memory::sort(observations, |a, b| key(a).cmp(&key(b)));
    let mut kept = 0;
    for next in 0..observations.len() {
        let observation = observations[next];
        if next > 0 && key(&observations[kept - 1]) == key(&observation) {
            observations[kept - 1].count += observation.count;
        } else {
            observations[kept] = observation;
            kept += 1;
        }
    }
    kept
}

/// The most different values that are kept, 256 MB of them.
pub const MOST_VALUES: usize = (256 << 20) / size_of::<Observation>();

/// As [`count_equal`]; where more than `most` different values remain, leaves out the last digits of the amounts, one after
/// the other, until they do not. How many digits that are depends on the values alone, not on the order they came in.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`](crate::error::ErrorKind::LimitExceeded) when no digit is left to leave out.
pub fn count_within(observations: &mut [Observation], unit: &mut MoneyUnit, most: usize) -> Result<usize> {
    let mut kept = count_equal(observations);
    while kept > most {
        leave_out_a_digit(unit, &mut observations[..kept])?;
        kept = count_equal(&mut observations[..kept]);
    }
    Ok(kept)
}

/// Makes the unit ten times as large, and the amounts observed in it fit it.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`](crate::error::ErrorKind::LimitExceeded) when no digit is left to leave out.
pub fn leave_out_a_digit(unit: &mut MoneyUnit, observations: &mut [Observation]) -> Result<()> {
    unit.become_coarser()?;
    for observation in observations.iter_mut().filter(|observation| observation.dimension == Dimension::Monetary) {
        observation.value = { observation.value }.div_euclid(10);
    }
    Ok(())
}

/// What is observed of one customer, M in units of its own last decimal; nothing of a prospect.
pub fn observe(customer: &Customer) -> impl Iterator<Item = (Dimension, i128)> {
    let of_buyer = customer.purchases().into_iter().flat_map(|purchases| {
        [
            (Dimension::Recency, purchases.recency_days(customer.as_of()).into()),
            (Dimension::Frequency, customer.frequency().into()),
            (Dimension::Monetary, customer.monetary().mantissa()),
        ]
    });
    of_buyer.chain(customer.gaps().map(|gap| (Dimension::Gap, gap.into())))
}

/// All observations of a shop, counted.
pub struct Sample<'a> {
    /// In which units M is observed.
    pub unit: MoneyUnit,
    /// Sorted and counted by [`count_equal`].
    pub observations: &'a [Observation],
}

/// The observations of one dimension, ascending.
#[derive(Clone, Copy)]
struct Values<'a> {
    observations: &'a [Observation],
    count: u64,
}

/// A quantile as a fraction.
struct Quantile {
    numerator: i128,
    denominator: i128,
}

impl Quantile {
    fn ceil(&self) -> i128 {
        -(-self.numerator).div_euclid(self.denominator)
    }

    /// The exact decimal: the denominators 2 and 5 need one decimal more than the values have.
    fn decimal(&self, unit: MoneyUnit) -> Result<Decimal> {
        let tenths = self.numerator.checked_mul(10 / self.denominator).ok_or_else(amount_out_of_range)?;
        let tenths = tenths.checked_mul(power_of_ten(unit.coarse)).ok_or_else(amount_out_of_range)?;
        if unit.scale < MAX_SCALE {
            Ok(Decimal::new(tenths, unit.scale + 1).normalized())
        } else {
            Decimal::quotient(tenths, 10, 0).map(|rounded| Decimal::new(rounded.mantissa(), unit.scale).normalized())
        }
    }
}

/// Days and purchases count in ones.
const ONES: MoneyUnit = MoneyUnit { scale: 0, coarse: 0 };

impl Values<'_> {
    /// The value at a position in ascending order, from 0.
    fn at(&self, mut position: u64) -> i128 {
        for observation in self.observations {
            if position < observation.count {
                return observation.value;
            }
            position -= observation.count;
        }
        0
    }

    /// percentile_cont(part / of): linear between the two nearest values.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when an intermediate value does not fit.
    fn quantile(&self, part: u64, of: u64) -> Result<Quantile> {
        let position = part * (self.count - 1);
        let (low, between) = (position / of, i128::from(position % of));
        let (value, next) = (self.at(low), self.at((low + 1).min(self.count - 1)));
        // value + (next - value) * between / of, over one denominator.
        let weighted = |value: i128, weight: i128| value.checked_mul(weight).ok_or_else(amount_out_of_range);
        let numerator = weighted(value, i128::from(of) - between)?.checked_add(weighted(next, between)?);
        Ok(Quantile { numerator: numerator.ok_or_else(amount_out_of_range)?, denominator: of.into() })
    }

    /// The cuts at 20, 40, 60 and 80 %.
    fn quintiles(&self, unit: MoneyUnit) -> Result<Vec<Decimal>> {
        (1..5).map(|part| self.quantile(part, 5)?.decimal(unit)).collect()
    }
}

/// Limits learned from gaps, in days.
struct GapLimits {
    store_gap: Decimal,
    at_risk: i128,
    dormant: i128,
}

impl Sample<'_> {
    fn values(&self, dimension: Dimension) -> Values<'_> {
        let start = self.observations.partition_point(|observation| observation.dimension < dimension);
        let end = self.observations.partition_point(|observation| observation.dimension <= dimension);
        let observations = &self.observations[start..end];
        Values { observations, count: observations.iter().map(|observation| observation.count).sum() }
    }

    /// The chance to come back, by the days without a purchase; `None` where too few gaps last as long as the window.
    pub fn return_curve(&self, policy: &Learn) -> Option<ReturnCurve<'_>> {
        ReturnCurve::new(self.values(Dimension::Gap), self.values(Dimension::Recency), policy.return_window_days)
    }

    /// The base policy with what was learned laid over it, and a section `learned` that says from what.
    ///
    /// # Errors
    /// As [`Document::overlay`]; [`ErrorKind::NumberOutOfRange`](crate::error::ErrorKind::NumberOutOfRange) when amounts do
    /// not fit.
    pub fn learn(&self, base: &Document, as_of: Day) -> Result<Document> {
        let policy = base.policy()?;
        let (customers, gaps) = (self.values(Dimension::Recency), self.values(Dimension::Gap));
        let mut learned = json!({"as_of": as_of.to_string(), "customers": customers.count, "gaps": gaps.count});
        let mut overlay = json!({});

        learned["cuts"] = match too_few(customers.count, policy.learn.min_customers, "customers") {
            Some(kept) => kept,
            None => {
                overlay["rfm"] = json!({
                    "recency_cuts": numbers(&customers.quintiles(ONES)?),
                    "frequency_cuts": numbers(&self.values(Dimension::Frequency).quintiles(ONES)?),
                    "monetary_cuts": numbers(&self.values(Dimension::Monetary).quintiles(self.unit)?),
                });
                overlay["vip"] = json!({"monetary_cut": number(self.top_percent()?)});
                json!("percentile_cont at 20, 40, 60, 80 %; monetary_cut: the top 1 % by monetary, ties in")
            }
        };
        match too_few(gaps.count, policy.learn.min_gaps, "gaps") {
            Some(kept) => learned["limits"] = kept,
            None => {
                let LearnedLimits { limits, said } = self.learn_limits(policy)?;
                if let Some(limits) = limits {
                    overlay["lifecycle"] = json!({
                        "store_gap_days": number(limits.store_gap),
                        "at_risk_after_days": limits.at_risk as i64,
                        "dormant_after_days": limits.dormant.max(limits.at_risk + 1) as i64,
                    });
                }
                said.into_iter().for_each(|(key, text)| learned[key] = json!(text));
            }
        }
        learned["monetary"] = match self.unit.coarse {
            0 => json!("exact"),
            digits => {
                json!(format!("rounded down, last {digits} digits left out: more than {MOST_VALUES} different values"))
            }
        };
        overlay["learned"] = learned;
        base.without_learned().overlay(&Document::parse(&overlay.to_string())?)
    }

    /// The `ceil(1 % of n)`-th largest M.
    fn top_percent(&self) -> Result<Decimal> {
        let monetary = self.values(Dimension::Monetary);
        let value = monetary.at(monetary.count - monetary.count.div_ceil(100));
        Quantile { numerator: value, denominator: 1 }.decimal(self.unit)
    }

    fn learn_limits(&self, base: &Policy) -> Result<LearnedLimits> {
        let (gaps, open) = (self.values(Dimension::Gap), self.values(Dimension::Recency));
        match base.learn.method {
            Method::ReturnProbability => match self.return_curve(&base.learn) {
                None => Ok(LearnedLimits::kept(format!(
                    "fewer than {MIN_AT_RISK} gaps, open ones included, last for {} days (learn.return_window_days)",
                    base.learn.return_window_days
                ))),
                Some(curve) => Ok(return_probability_limits(curve, base, gaps.quantile(1, 2)?.decimal(ONES)?)),
            },
            Method::Percentile => {
                let limits = GapLimits {
                    store_gap: gaps.quantile(1, 2)?.decimal(ONES)?,
                    at_risk: gaps.quantile(3, 4)?.ceil(),
                    dormant: gaps.quantile(9, 10)?.ceil(),
                };
                Ok(limits.by("percentile: gaps at 50, 75 and 90 % (percentile_cont), the limits rounded up"))
            }
            Method::MeanSd => Ok(mean_sd_limits(&gaps)?
                .by("mean_sd: mean gap, mean + 1 and + 2 standard deviations (sample), the limits rounded up")),
            Method::KaplanMeier => Ok(match kaplan_meier_limits(gaps, open) {
                None => LearnedLimits::kept("too many intervals are still open for the limits to be seen"),
                Some(limits) => {
                    limits.by("kaplan_meier: gaps at 50, 75 and 90 % of the product-limit estimate, open gaps censored")
                }
            }),
        }
    }
}

impl GapLimits {
    /// These limits, found so.
    fn by(self, how: impl Into<String>) -> LearnedLimits {
        LearnedLimits { limits: Some(self), said: vec![("limits", how.into())] }
    }
}

/// What gaps say about the limits.
struct LearnedLimits {
    /// `None` where the base's stay.
    limits: Option<GapLimits>,
    /// What the section `learned` says of them, by key.
    said: Vec<(&'static str, String)>,
}

impl LearnedLimits {
    /// The base's limits stay.
    fn kept(why: impl fmt::Display) -> Self {
        LearnedLimits { limits: None, said: vec![("limits", format!("kept: {why}"))] }
    }
}

fn too_few(count: u64, needed: u32, of_what: &str) -> Option<Value> {
    // One is needed whatever the policy says: there is nothing to learn from none.
    let needed = u64::from(needed.max(1));
    (count < needed).then(|| json!(format!("kept: {count} {of_what}, at least {needed} are needed")))
}

/// The first days after which the chance to come back is below the shares of the policy. Where it is not as far as the gaps
/// tell, they tell only that the limit is at least so long: it is, and the base's limit stays where it is longer.
fn return_probability_limits(curve: ReturnCurve, base: &Policy, store_gap: Decimal) -> LearnedLimits {
    let Learn { return_window_days, at_risk_below, dormant_below, .. } = base.learn;
    let (at_risk, dormant) = (curve.first_below(at_risk_below), curve.first_below(dormant_below));
    if at_risk == FirstBelow::After(0) {
        // A limit of no days would make everybody at risk on the day after the purchase.
        let chance = curve.rows().next().map(|row| row.chance().to_string()).unwrap_or_default();
        return LearnedLimits::kept(format!(
            "on the day of a purchase the chance to come back within {return_window_days} days is {chance} already, below \
             learn.at_risk_below, {at_risk_below}"
        ));
    }
    let limit = |found: FirstBelow, share: Millionths, base: u32| match found {
        FirstBelow::After(days) => (days, format!("after {days} days the chance is below {share}")),
        FirstBelow::NotUpTo(days) => {
            let limit = days.max(base.into());
            let stays = if limit > days { format!("; the base's {limit} stay") } else { String::new() };
            (limit, format!("after at least {days} days: until then the chance is not below {share}{stays}"))
        }
    };
    let (at_risk, at_risk_said) = limit(at_risk, at_risk_below, base.lifecycle.at_risk_after_days);
    let (dormant, dormant_said) = limit(dormant, dormant_below, base.lifecycle.dormant_after_days);
    let how =
        format!("return_probability: the chance to come back within {return_window_days} days, open gaps included");
    LearnedLimits {
        limits: Some(GapLimits { store_gap, at_risk, dormant }),
        said: vec![("limits", how), ("at_risk", at_risk_said), ("dormant", dormant_said)],
    }
}

/// The least whole number of days that is not below the mean plus one, and two, standard deviations.
fn mean_sd_limits(gaps: &Values) -> Result<GapLimits> {
    let count = i128::from(gaps.count);
    let sum: i128 = gaps.observations.iter().map(|gap| { gap.value } * i128::from(gap.count)).sum();
    let squares: i128 = gaps.observations.iter().map(|gap| { gap.value }.pow(2) * i128::from(gap.count)).sum();
    // days >= sum/n + k * sqrt((n*squares - sum^2) / (n * (n - 1))), squared and multiplied out: nothing is rounded.
    let spread = count * (count * squares - sum * sum);
    let enough =
        |days: i128, k: i128| days * count >= sum && (days * count - sum).pow(2) * (count - 1) >= k * k * spread;
    let least = |k: i128| {
        let (mut low, mut high) = (0, 1);
        while !enough(high, k) {
            high *= 2;
        }
        while low < high {
            let middle = (low + high) / 2;
            if enough(middle, k) { high = middle } else { low = middle + 1 }
        }
        low
    };
    Ok(GapLimits { store_gap: Decimal::quotient(sum, count, 6)?.normalized(), at_risk: least(1), dormant: least(2) })
}

/// The first days after which at most 50, 25 and 10 % of the intervals stay open; `None` where the estimate never falls so
/// low.
fn kaplan_meier_limits(gaps: Values, open: Values) -> Option<GapLimits> {
    // A share that is 0.1 in exact arithmetic must not miss 0.1 by the last bit.
    let first = |limit: f64| kaplan_meier(gaps, open).find(|&(_, share)| share <= limit + 1e-12).map(|(days, _)| days);
    Some(GapLimits { store_gap: Decimal::new(first(0.5)?, 0), at_risk: first(0.25)?, dormant: first(0.1)? })
}

fn number(decimal: Decimal) -> Value {
    Value::Number(serde_json::Number::from_string_unchecked(decimal.to_string()))
}

fn numbers(decimals: &[Decimal]) -> Value {
    decimals.iter().copied().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    pub fn observed(values: &[(Dimension, i128)]) -> Vec<Observation> {
        let observation = |&(dimension, value): &(Dimension, i128)| Observation { dimension, count: 1, value };
        let mut observations: Vec<_> = values.iter().map(observation).collect();
        let kept = count_equal(&mut observations);
        observations.truncate(kept);
        observations
    }

    fn learned(base: &str, values: &[(Dimension, i128)]) -> Value {
        let observations = observed(values);
        let sample = Sample { unit: MoneyUnit { scale: 2, coarse: 0 }, observations: &observations };
        sample.learn(&Document::parse(base).unwrap(), Day(0)).unwrap().json().clone()
    }

    fn customers(count: i128) -> Vec<(Dimension, i128)> {
        let of = |n| [(Dimension::Recency, n), (Dimension::Frequency, 1 + n / 60), (Dimension::Monetary, 100 * n)];
        (0..count).flat_map(of).collect()
    }

    #[test]
    fn cuts_are_percentile_cont() {
        let policy = learned("{}", &customers(101));
        assert_eq!(policy["rfm"]["recency_cuts"].to_string(), "[20,40,60,80]");
        assert_eq!(policy["rfm"]["frequency_cuts"].to_string(), "[1,1,2,2]");
        assert_eq!(policy["rfm"]["monetary_cuts"].to_string(), "[20,40,60,80]");
        assert_eq!(policy["vip"]["monetary_cut"].to_string(), "99");
        let policy = learned("{}", &customers(102));
        assert_eq!(policy["rfm"]["recency_cuts"].to_string(), "[20.2,40.4,60.6,80.8]");
        assert_eq!(policy["learned"]["customers"].to_string(), "102");
        assert!(policy.get("lifecycle").is_none());
        assert_eq!(policy["learned"]["limits"], "kept: 0 gaps, at least 100 are needed");
    }

    #[test]
    fn with_too_little_data_the_base_stays() {
        let base = r#"{"rfm": {"recency_cuts": [7]}}"#;
        let policy = learned(base, &customers(99));
        assert_eq!(policy["rfm"].to_string(), r#"{"recency_cuts":[7]}"#);
        assert_eq!(policy["learned"]["cuts"], "kept: 99 customers, at least 100 are needed");
    }

    /// Mean 50.5; standard deviation of a sample 29.011: 79.51 and 108.52.
    #[test]
    fn limits_by_method() {
        let gaps: Vec<_> = (1..=100).map(|days| (Dimension::Gap, days)).collect();
        let limits = |method: &str| {
            let policy = learned(&format!(r#"{{"learn": {{"method": "{method}"}}}}"#), &gaps);
            let days = |key: &str| policy["lifecycle"][key].to_string();
            (days("store_gap_days"), days("at_risk_after_days"), days("dormant_after_days"))
        };
        let expect = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(limits("percentile"), expect("50.5", "76", "91"));
        assert_eq!(limits("mean_sd"), expect("50.5", "80", "109"));
        // Without open gaps the estimate is the plain share.
        assert_eq!(limits("kaplan_meier"), expect("50", "75", "90"));
    }

    /// Chances of a window of 20 days, worked by hand: of 200 gaps 100 end on day 10, and of the 100 that last longer 20 end
    /// on day 30 and 80 are open since 40 days. After 0 days half come back, after 10 a fifth; 20 is the last day before which a
    /// whole window lies.
    #[test]
    fn limits_by_the_chance_to_come_back() {
        let of = |dimension, days, times| std::iter::repeat_n((dimension, days), times);
        let gaps: Vec<_> = of(Dimension::Gap, 10, 100)
            .chain(of(Dimension::Gap, 30, 20))
            .chain(of(Dimension::Recency, 40, 80))
            .collect();
        let limits = |window: u32, at_risk: &str, dormant: &str, base: &str| {
            let policy = learned(
                &format!(
                    r#"{{"learn": {{"return_window_days": {window}, "at_risk_below": {at_risk}, "dormant_below": {dormant}}}, {base}}}"#
                ),
                &gaps,
            );
            let lifecycle = &policy["lifecycle"];
            let days = format!("{} {}", lifecycle["at_risk_after_days"], lifecycle["dormant_after_days"]);
            let said = |key: &str| policy["learned"][key].as_str().unwrap_or_default().to_owned();
            (days, said("limits"), said("at_risk"), said("dormant"))
        };
        let short = r#""lifecycle": {"at_risk_after_days": 1, "dormant_after_days": 2}"#;
        let default = r#""frequency": "orders""#;
        let (days, how, at_risk, dormant) = limits(20, "0.4", "0.2", short);
        assert_eq!(days, "10 20");
        assert_eq!(how, "return_probability: the chance to come back within 20 days, open gaps included");
        assert_eq!(at_risk, "after 10 days the chance is below 0.4");
        assert_eq!(dormant, "after at least 20 days: until then the chance is not below 0.2");
        // A longer limit of the base is at least so long too.
        let (days, _, _, dormant) = limits(20, "0.4", "0.2", default);
        assert_eq!(days, "10 60");
        assert_eq!(dormant, "after at least 20 days: until then the chance is not below 0.2; the base's 60 stay");
        assert_eq!(limits(40, "0.6", "0.4", default).0, "30 60");
        // Dormant comes at least one day later.
        assert_eq!(limits(20, "0.4", "0.3", default).0, "10 11");
        assert_eq!(limits(20, "0.2", "0.1", short).0, "20 21");
        // On the day of a purchase the chance is half: nobody is at risk so soon.
        let (days, how, ..) = limits(20, "0.6", "0.2", default);
        assert_eq!(days, "null null");
        assert_eq!(
            how,
            "kept: on the day of a purchase the chance to come back within 20 days is 0.500000 already, below \
             learn.at_risk_below, 0.6"
        );
        let (days, how, ..) = limits(41, "0.4", "0.2", default);
        assert_eq!(days, "null null");
        assert_eq!(how, "kept: fewer than 50 gaps, open ones included, last for 41 days (learn.return_window_days)");
    }

    #[test]
    fn too_many_amounts_lose_their_last_digits() {
        let amounts: Vec<_> = (0..2000).map(|n| (Dimension::Monetary, n * 10 + n % 10)).collect();
        let count = |amounts: &[(Dimension, i128)], most| {
            let mut observations = observed(amounts);
            let mut unit = MoneyUnit { scale: 2, coarse: 0 };
            let kept = count_within(&mut observations, &mut unit, most).unwrap();
            (unit.coarse, kept)
        };
        assert_eq!(count(&amounts, 2000), (0, 2000));
        assert_eq!(count(&amounts, 1999), (2, 200));
        assert_eq!(count(&amounts, 20), (3, 20));
        let days: Vec<_> = (0..30).map(|n| (Dimension::Gap, n)).collect();
        let mut observations = observed(&days);
        let refused = count_within(&mut observations, &mut MoneyUnit { scale: 0, coarse: 0 }, 20);
        assert_eq!(refused.unwrap_err().kind, ErrorKind::LimitExceeded);
    }

    #[test]
    fn units_of_other_states_are_the_same_amounts() {
        let unit = |scale, coarse| MoneyUnit { scale, coarse };
        // 1,234.56 counted exactly, in whole tens, and in whole tens of a state that has seen four decimals.
        assert_eq!(unit(4, 5).units_of(123_456, unit(2, 0)), Ok(123));
        assert_eq!(unit(4, 5).units_of(123, unit(2, 3)), Ok(123));
        assert_eq!(unit(2, 4).units_of(123, unit(2, 3)), Ok(12));
        assert_eq!(unit(2, 4).units_of(-123, unit(2, 3)), Ok(-13));
    }

    #[test]
    fn one_gap_has_no_deviation() {
        let gaps: Vec<_> = std::iter::repeat_n((Dimension::Gap, 30), 150).collect();
        let policy = learned(r#"{"learn": {"method": "mean_sd"}}"#, &gaps);
        assert_eq!(policy["lifecycle"]["at_risk_after_days"], 30);
        assert_eq!(policy["lifecycle"]["dormant_after_days"], 31);
    }
}
