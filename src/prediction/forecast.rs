//! Totals of a group of customers, with bounds from backtests or none.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::answer::{DiscountRate, Horizon, Spent};
use super::fitted_model::{SHIFT, shifted, variance};
use super::gamma_gamma::GammaGamma;
use super::model::{PurchaseModel, StoredBacktest, rounded};
use super::timing::Timing;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};

/// A sum of floating-point numbers that is the same in any order: of whole multiples of 2^-40.
///
/// In eight-byte halves because PostgreSQL's allocator gives no more alignment than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, packed(8))]
pub struct ExactSum(i128);

const PARTS: f64 = (1u64 << 40) as f64;

impl ExactSum {
    fn add(&mut self, number: f64) -> Result<()> {
        let parts = (number * PARTS).round();
        let parts = if parts.abs() < 1e37 { Some(parts as i128) } else { None };
        let sum = parts.and_then(|parts| { self.0 }.checked_add(parts));
        self.0 = sum.ok_or_else(|| Error::new(ErrorKind::NumberOutOfRange, "a forecast does not fit"))?;
        Ok(())
    }

    fn get(self) -> f64 {
        self.0 as f64 / PARTS
    }
}

/// Parameters whose errors a total has: four of the purchases and three of the spend.
const PARAMETERS: usize = 7;

/// What is summed up of the customers of a forecast. Values are in units of the mean spend of the population.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ForecastSums {
    customers: u64,
    /// Customers whose variance of value is infinite.
    unbounded: u64,
    buyers: ExactSum,
    purchases: ExactSum,
    purchases_variance: ExactSum,
    value: ExactSum,
    undiscounted: ExactSum,
    value_variance: ExactSum,
    purchases_slopes: [ExactSum; PARAMETERS],
    value_slopes: [ExactSum; PARAMETERS],
}

/// How many sums there are.
const SUMS: usize = 6 + 2 * PARAMETERS;

impl ForecastSums {
    /// Bytes of one.
    pub const BYTES: usize = 2 * 8 + SUMS * 16;

    /// The sums in one order.
    fn all(&mut self) -> impl Iterator<Item = &mut ExactSum> {
        let single = [
            &mut self.buyers,
            &mut self.purchases,
            &mut self.purchases_variance,
            &mut self.value,
            &mut self.undiscounted,
            &mut self.value_variance,
        ];
        single.into_iter().chain(&mut self.purchases_slopes).chain(&mut self.value_slopes)
    }

    /// The same in bytes, for another process.
    pub fn to_bytes(mut self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (counts, sums) = bytes.split_at_mut(16);
        counts[..8].copy_from_slice(&self.customers.to_le_bytes());
        counts[8..].copy_from_slice(&self.unbounded.to_le_bytes());
        for (place, sum) in sums.chunks_exact_mut(16).zip(self.all()) {
            place.copy_from_slice(&{ sum.0 }.to_le_bytes());
        }
        bytes
    }

    /// The sums of these bytes.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut read = ForecastSums::default();
        let (counts, sums) = bytes.split_at(16);
        let count = |place: usize| u64::from_le_bytes(counts.as_chunks().0[place]);
        (read.customers, read.unbounded) = (count(0), count(1));
        for (sum, place) in read.all().zip(sums.as_chunks().0) {
            sum.0 = i128::from_le_bytes(*place);
        }
        read
    }
}

/// A forecast of a group. What the model does not predict, and bounds that no backtest gives, are `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct PurchaseForecast {
    /// Customers with a purchase.
    pub customers: u64,
    /// How many will buy.
    pub expected_buyers: Option<Decimal>,
    /// On how many days.
    pub expected_purchases: Option<Decimal>,
    /// 95 % bounds.
    pub purchases: Option<(Decimal, Decimal)>,
    /// Discounted, as the model counts refunds.
    pub expected_value: Option<Decimal>,
    /// 95 % bounds.
    pub value: Option<(Decimal, Decimal)>,
}

/// What is asked of a forecast.
#[derive(Clone, Copy, Debug)]
pub struct ForecastQuestion<'a> {
    /// The model.
    pub model: &'a PurchaseModel,
    /// How far it looks.
    pub ahead: Horizon,
    /// How values are discounted.
    pub rate: DiscountRate,
}

impl ForecastQuestion<'_> {
    /// Adds a customer with a purchase.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when a sum does not fit.
    pub fn add(&self, timing: &Timing, spent: &Spent, sums: &mut ForecastSums) -> Result<()> {
        sums.customers += 1;
        let Some(process) = self.model.process() else { return Ok(()) };
        let days = self.ahead.days();
        let outlook = process.outlook(timing);
        let (expected, variance) = (outlook.expected(days), outlook.variance(days));
        sums.buyers.add(outlook.probability(days))?;
        sums.purchases.add(expected)?;
        sums.purchases_variance.add(variance)?;
        let mut slopes = [0.0; PARAMETERS];
        for (i, slope) in slopes.iter_mut().enumerate().take(4) {
            let [low, high] = shifted(process, i).map(|process| process.outlook(timing).expected(days));
            *slope = (high - low) / (2.0 * SHIFT);
            sums.purchases_slopes[i].add(*slope)?;
        }
        let Some((spend, _)) = self.model.spend() else { return Ok(()) };
        let (Some(unit), Some(own)) = (spend.expected(0.0, 0.0), spend.expected(spent.purchases, spent.amount)) else {
            return Ok(());
        };
        let own = own / unit;
        sums.value.add(outlook.discounted(days, self.rate.per_day()) * own)?;
        sums.undiscounted.add(expected * own)?;
        match spend.variance(spent.purchases, spent.amount, expected, variance) {
            Some(variance) => sums.value_variance.add(variance / (unit * unit))?,
            None => sums.unbounded += 1,
        }
        for (slope, sum) in slopes[..4].iter().zip(&mut sums.value_slopes) {
            sum.add(slope * own)?;
        }
        for (i, sum) in sums.value_slopes[4..].iter_mut().enumerate() {
            let [low, high] = [-SHIFT, SHIFT].map(|shift| {
                let GammaGamma { p, q, v } = spend;
                let mut parameters = [p, q, v];
                parameters[i] *= shift.exp();
                let [p, q, v] = parameters;
                GammaGamma { p, q, v }.expected(spent.purchases, spent.amount).unwrap_or_default()
            });
            sum.add(expected * (high - low) / (2.0 * SHIFT) / unit)?;
        }
        Ok(())
    }

    /// The forecast of those added.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when a number does not fit.
    pub fn finish(&self, sums: &ForecastSums) -> Result<PurchaseForecast> {
        let mut forecast = PurchaseForecast {
            customers: sums.customers,
            expected_buyers: None,
            expected_purchases: None,
            purchases: None,
            expected_value: None,
            value: None,
        };
        if self.model.process().is_none() {
            return Ok(forecast);
        }
        forecast.expected_buyers = Some(rounded(sums.buyers.get())?);
        let purchases = sums.purchases.get();
        forecast.expected_purchases = Some(rounded(purchases)?);
        let error = self.error(&sums.purchases_slopes);
        let own = (sums.purchases_variance.get() + error) / (purchases * purchases);
        forecast.purchases = self.bounds(purchases, own, |backtest| backtest.purchases)?;
        let unit = self.model.spend().and_then(|(spend, _)| spend.expected(0.0, 0.0));
        if let Some(unit) = unit.map(|unit| unit * self.model.share_kept()) {
            let (value, undiscounted) = (sums.value.get(), sums.undiscounted.get());
            forecast.expected_value = Some(rounded(value * unit)?);
            if sums.unbounded == 0 {
                let own = (sums.value_variance.get() + self.error(&sums.value_slopes)) / (undiscounted * undiscounted);
                forecast.value = self.bounds(value * unit, own, |backtest| backtest.value)?;
            }
        }
        Ok(forecast)
    }

    /// The variance of a total that comes from the errors of the parameters, by the delta method.
    fn error(&self, slopes: &[ExactSum; PARAMETERS]) -> f64 {
        let slopes = slopes.map(ExactSum::get);
        let [r, alpha, third, fourth, p, q, v] = slopes;
        let of_purchases = self.model.fit().map_or(0.0, |fit| variance(&[r, alpha, third, fourth], &fit.covariance));
        let of_spend = self.model.spend_details().and_then(|spend| spend.covariance);
        of_purchases + of_spend.map_or(0.0, |covariance| variance(&[p, q, v], &covariance))
    }

    /// 95 % bounds of a total: from the mean square of the log ratios of backtests whose days lie between half and
    /// twice those asked for, and the total's own relative variance. The bias of the backtests is not corrected, but
    /// counts.
    fn bounds(
        &self,
        total: f64,
        own: f64,
        log_ratio: impl Fn(&StoredBacktest) -> Option<f64>,
    ) -> Result<Option<(Decimal, Decimal)>> {
        let days = self.ahead.days();
        let near = |backtest: &&StoredBacktest| (days / 2.0..=days * 2.0).contains(&f64::from(backtest.days));
        let logs: Vec<_> = self.model.backtests().iter().filter(near).filter_map(log_ratio).collect();
        let count = logs.len() as f64;
        let Ok(student) = StudentsT::new(0.0, 1.0, count) else { return Ok(None) };
        if total <= 0.0 || !own.is_finite() {
            return Ok(None);
        }
        let square = logs.iter().map(|log| log * log).sum::<f64>() / count;
        let reach = student.inverse_cdf(0.975) * (square + own).sqrt();
        // Bounds beyond what fits are none.
        Ok(rounded(total * (-reach).exp()).ok().zip(rounded(total * reach.exp()).ok()))
    }
}

/// Adds what another process summed up.
///
/// # Errors
/// [`ErrorKind::NumberOutOfRange`] when a sum does not fit.
pub fn merge_forecasts(sums: &mut ForecastSums, other: &ForecastSums) -> Result<()> {
    sums.customers += other.customers;
    sums.unbounded += other.unbounded;
    let mut other = *other;
    for (sum, more) in sums.all().zip(other.all()) {
        let both = { sum.0 }.checked_add(more.0);
        sum.0 = both.ok_or_else(|| Error::new(ErrorKind::NumberOutOfRange, "a forecast does not fit"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = r#"{"model": "mbgnbd", "purchases": {"r": 0.5, "alpha": 43, "a": 0.9, "b": 1.6},
        "spend": {"p": 9, "q": 3.4, "v": 8},
        "fit": {"log_likelihood": -1, "log_likelihood_no_dropout": -9, "standard_errors": {}, "evaluations": 1, "starts": 1,
            "starts_agreeing": 1, "covariance": [[0.02, 0, 0, 0], [0, 0.01, 0, 0], [0, 0, 0.03, 0], [0, 0, 0, 0.04]]},
        "backtests": [{"origin": "2020-01-01", "days": 90, "purchases": -0.1, "value": 0.2},
            {"origin": "2020-02-01", "days": 45, "purchases": 0.3, "value": null},
            {"origin": "2020-03-01", "days": 30, "purchases": 9, "value": 9}]}"#;

    fn forecast(text: &str, order: &[usize]) -> (PurchaseForecast, f64, f64) {
        let model = PurchaseModel::parse(text).unwrap();
        let ahead = Horizon::new("days", 90).unwrap();
        let question = ForecastQuestion { model: &model, ahead, rate: DiscountRate::new(0.0).unwrap() };
        let timings = [(1, 0, 200), (4, 100, 120), (2, 50, 51), (9, 300, 310)];
        let (mut sums, mut other) = (ForecastSums::default(), ForecastSums::default());
        let (mut purchases, mut value) = (0.0, 0.0);
        for (place, &i) in order.iter().enumerate() {
            let timing = Timing::new(timings[i].0, timings[i].1, timings[i].2).unwrap();
            let spent = Spent { purchases: timings[i].0 as f64, amount: 31.7 * timings[i].0 as f64 };
            question.add(&timing, &spent, if place % 2 == 0 { &mut sums } else { &mut other }).unwrap();
            purchases += model.process().unwrap().outlook(&timing).expected(90.0);
            value += model.value_of(&timing, &spent, ahead, question.rate).unwrap();
        }
        let other = ForecastSums::from_bytes(&other.to_bytes());
        merge_forecasts(&mut sums, &other).unwrap();
        (question.finish(&sums).unwrap(), purchases, value)
    }

    #[test]
    fn totals_are_those_of_the_customers_in_any_order() {
        let (found, purchases, value) = forecast(MODEL, &[0, 1, 2, 3]);
        assert_eq!(found, forecast(MODEL, &[3, 1, 0, 2]).0);
        assert_eq!(found.customers, 4);
        assert_eq!(found.expected_purchases, Some(rounded(purchases).unwrap()));
        assert!((found.expected_value.unwrap().mantissa() as f64 / 1e6 / value - 1.0).abs() < 1e-6);
    }

    #[test]
    fn bounds_come_from_backtests_or_there_are_none() {
        let (found, purchases, _) = forecast(MODEL, &[0, 1, 2, 3]);
        let [low, high] =
            [found.purchases.unwrap().0, found.purchases.unwrap().1].map(|bound| bound.mantissa() as f64 / 1e6);
        // Two backtests of fitting length: t of 2 degrees of freedom, and the mean square of their logs at least.
        let least = 4.302_652_729_7 * f64::sqrt((0.01 + 0.09) / 2.0);
        assert!(high / purchases > least.exp() && ((high / purchases) * (low / purchases) - 1.0).abs() < 1e-5);
        let (low, high) = found.value.unwrap();
        assert!(low < found.expected_value.unwrap() && found.expected_value.unwrap() < high);
        let none = MODEL.replace("\"days\": 90", "\"days\": 900").replace("\"days\": 45", "\"days\": 44");
        let (found, ..) = forecast(&none, &[0, 1]);
        assert_eq!((found.purchases, found.value), (None, None));
    }
}
