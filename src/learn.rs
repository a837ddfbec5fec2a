//! Learning thresholds from the shop's own customers.
//!
//! Every customer with a purchase gives observations: her R, F and M, and each gap between two purchase days. What is
//! learned depends on how often each value occurs and on nothing else, so observations of equal value are counted
//! together, and order, plan and workers never matter.

use serde_json::{Value, json};

use crate::customer::Customer;
use crate::day::Day;
use crate::decimal::{Decimal, MAX_SCALE, amount_out_of_range, power_of_ten};
use crate::error::{Error, ErrorKind, Result};
use crate::memory;
use crate::policy::{Document, Learn, Method};

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
/// [`ErrorKind::LimitExceeded`] when no digit is left to leave out.
pub fn count_within(observations: &mut [Observation], unit: &mut MoneyUnit, most: usize) -> Result<usize> {
    let mut kept = count_equal(observations);
    while kept > most {
        unit.leave_out_a_digit(&mut observations[..kept])?;
        kept = count_equal(&mut observations[..kept]);
    }
    Ok(kept)
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

/// In which units M is observed: multiples of `10^coarse / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoneyUnit {
    /// Decimals of the amounts.
    pub scale: u8,
    /// Last digits left out, because there were too many different amounts to count them all.
    pub coarse: u8,
}

impl MoneyUnit {
    /// Makes the unit ten times as large, and the amounts observed in it fit it.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] when no digit is left to leave out.
    pub fn leave_out_a_digit(&mut self, observations: &mut [Observation]) -> Result<()> {
        if self.coarse >= 37 {
            return Err(Error::new(ErrorKind::LimitExceeded, "too many different values to learn from")
                .hint("Learn from a sample of the customers."));
        }
        self.coarse += 1;
        for observation in observations.iter_mut().filter(|observation| observation.dimension == Dimension::Monetary) {
            observation.value = { observation.value }.div_euclid(10);
        }
        Ok(())
    }

    /// The number of units in an amount with `scale` decimals, rounded down.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`](crate::error::ErrorKind::NumberOutOfRange) when it does not fit.
    pub fn units(self, mantissa: i128, scale: u8) -> Result<i128> {
        let mantissa = Decimal::new(mantissa, scale).mantissa_at(self.scale)?;
        Ok(mantissa.div_euclid(power_of_ten(self.coarse)))
    }

    /// A number of `other` units, which are neither coarser nor have more decimals, in these.
    ///
    /// # Errors
    /// As [`units`](Self::units).
    pub fn units_of(self, value: i128, other: MoneyUnit) -> Result<i128> {
        match other.coarse {
            0 => self.units(value, other.scale),
            // In decimals of this unit the other has lost as many more digits as it has fewer decimals.
            coarse => Ok(value.div_euclid(power_of_ten(self.coarse - coarse - (self.scale - other.scale)))),
        }
    }
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
        learned["limits"] = match too_few(gaps.count, policy.learn.min_gaps, "gaps") {
            Some(kept) => kept,
            None => match self.gap_limits(&policy.learn)? {
                None => json!("kept: too many intervals are still open for the limits to be seen"),
                Some(limits) => {
                    overlay["lifecycle"] = json!({
                        "store_gap_days": number(limits.store_gap),
                        "at_risk_after_days": limits.at_risk as i64,
                        "dormant_after_days": limits.dormant.max(limits.at_risk + 1) as i64,
                    });
                    json!(how(policy.learn.method))
                }
            },
        };
        learned["monetary"] = match self.unit.coarse {
            0 => json!("exact"),
            digits => {
                json!(format!("rounded down, last {digits} digits left out: more than {MOST_VALUES} different values"))
            }
        };
        overlay["learned"] = learned;
        base.overlay(&Document::parse(&overlay.to_string())?)
    }

    /// The `ceil(1 % of n)`-th largest M.
    fn top_percent(&self) -> Result<Decimal> {
        let monetary = self.values(Dimension::Monetary);
        let value = monetary.at(monetary.count - monetary.count.div_ceil(100));
        Quantile { numerator: value, denominator: 1 }.decimal(self.unit)
    }

    fn gap_limits(&self, policy: &Learn) -> Result<Option<GapLimits>> {
        let gaps = self.values(Dimension::Gap);
        match policy.method {
            Method::Percentile => Ok(Some(GapLimits {
                store_gap: gaps.quantile(1, 2)?.decimal(ONES)?,
                at_risk: gaps.quantile(3, 4)?.ceil(),
                dormant: gaps.quantile(9, 10)?.ceil(),
            })),
            Method::MeanSd => mean_sd_limits(&gaps).map(Some),
            Method::KaplanMeier => Ok(kaplan_meier_limits(&gaps, &self.values(Dimension::Recency))),
        }
    }
}

fn too_few(count: u64, needed: u32, of_what: &str) -> Option<Value> {
    // One is needed whatever the policy says: there is nothing to learn from none.
    let needed = u64::from(needed.max(1));
    (count < needed).then(|| json!(format!("kept: {count} {of_what}, at least {needed} are needed")))
}

fn how(method: Method) -> &'static str {
    match method {
        Method::Percentile => "percentile: gaps at 50, 75 and 90 % (percentile_cont), the limits rounded up",
        Method::MeanSd => "mean_sd: mean gap, mean + 1 and + 2 standard deviations (sample), the limits rounded up",
        Method::KaplanMeier => {
            "kaplan_meier: gaps at 50, 75 and 90 % of the product-limit estimate, open gaps censored"
        }
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

/// The product-limit estimate: for each length of a gap, ascending, the share of intervals that stays open longer.
///
/// An interval still open after t days was at risk of closing on every day up to t, and says nothing about later ones.
fn kaplan_meier<'a>(gaps: &'a Values, open: &'a Values) -> impl Iterator<Item = (i128, f64)> {
    let (mut share, mut closed, mut passed) = (1.0, 0, 0);
    let mut shorter = open.observations.iter().peekable();
    gaps.observations.iter().map(move |gap| {
        // Both ascend, so no interval is looked at twice.
        while let Some(interval) = shorter.next_if(|interval| { interval.value } < { gap.value }) {
            passed += interval.count;
        }
        let at_risk = gaps.count - closed + open.count - passed;
        closed += gap.count;
        share *= 1.0 - gap.count as f64 / at_risk as f64;
        (gap.value, share)
    })
}

/// The first days after which at most 50, 25 and 10 % of the intervals stay open; `None` where the estimate never falls so
/// low.
fn kaplan_meier_limits(gaps: &Values, open: &Values) -> Option<GapLimits> {
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

    fn observed(values: &[(Dimension, i128)]) -> Vec<Observation> {
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

    /// The remission times of 21 patients under 6-MP (Freireich et al. 1963), the textbook example of the estimate: S(23) = 0.448.
    #[test]
    fn kaplan_meier_of_the_textbook() {
        let closed = [6, 6, 6, 7, 10, 13, 16, 22, 23].map(|weeks| (Dimension::Gap, weeks));
        let open = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35].map(|weeks| (Dimension::Recency, weeks));
        let observations = observed(&[&closed[..], &open].concat());
        let sample = Sample { unit: ONES, observations: &observations };
        let (gaps, open) = (sample.values(Dimension::Gap), sample.values(Dimension::Recency));
        let thousandths: Vec<_> =
            kaplan_meier(&gaps, &open).map(|(weeks, share)| (weeks, (share * 1000.0).round() as i32)).collect();
        assert_eq!(thousandths, [(6, 857), (7, 807), (10, 753), (13, 690), (16, 627), (22, 538), (23, 448)]);
        assert!(kaplan_meier_limits(&gaps, &open).is_none());
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
