//! What a model answers about one customer: checked arguments, refusals, and numbers rounded once.

use super::churn::ChurnBand;
use super::gamma_gamma::SpendCounts;
use super::model::{PurchaseModel, rounded};
use super::process::{MOST_AHEAD, Outlook};
use super::timing::Timing;
use crate::day::Day;
use crate::decimal::{Decimal, power_of_ten};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{PurchaseHistory, Purchases};

/// Purchases and their amount, as a model of spend counts them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spent {
    /// Number of purchase days counted.
    pub purchases: f64,
    /// Their amount, in units of money.
    pub amount: f64,
}

impl Spent {
    /// Of purchases of a history that have been read.
    pub fn of_purchases(history: &PurchaseHistory, purchases: &Purchases, counts: SpendCounts) -> Self {
        let all = purchases.earlier_amount + purchases.last_amount;
        let (first_days, first_amount) = match counts {
            SpendCounts::All => (0, 0),
            SpendCounts::Repeat => (1, history.first_amount()),
        };
        Spent {
            purchases: f64::from(purchases.purchase_days - first_days),
            amount: (all - first_amount) as f64 / power_of_ten(history.scale()) as f64,
        }
    }

    /// The same from plain numbers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for a negative number of purchases, or an amount without any.
    pub fn new(purchases: i64, amount: Decimal) -> Result<Self> {
        if purchases < 0 || purchases == 0 && amount != Decimal::ZERO {
            let problem = format!("{purchases} purchases do not amount to {amount}");
            return Err(Error::new(ErrorKind::InvalidParameter, problem).hint(
                "Count as the model does: its key spend.counts says whether the first purchase day is counted.",
            ));
        }
        let amount = amount.mantissa() as f64 / power_of_ten(amount.scale()) as f64;
        Ok(Spent { purchases: purchases as f64, amount })
    }
}

/// Days ahead, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Horizon(u32);

impl Horizon {
    /// The days ahead where nobody says otherwise.
    pub const USUAL: Self = Horizon(90);
    /// Those of a customer lifetime value.
    pub const YEAR: Self = Horizon(365);

    /// So many days.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] unless they are 1 to [`MOST_AHEAD`]; `argument` is the name of the number.
    pub fn new(argument: &str, days: i64) -> Result<Self> {
        match u32::try_from(days) {
            Ok(days @ 1..=MOST_AHEAD) => Ok(Horizon(days)),
            _ => Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("{argument} must be 1 to {MOST_AHEAD}, not {days}"),
            )
            .hint("Ten years at most: no such model is to be believed beyond.")),
        }
    }

    /// As a number to calculate with.
    pub fn days(self) -> f64 {
        self.0.into()
    }
}

/// An annual discount rate, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiscountRate(f64);

impl DiscountRate {
    /// Where nobody says otherwise.
    pub const USUAL: Self = DiscountRate(0.1);

    /// A rate: 0.05 is 5 % a year.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] below 0, above 10, or where it is no number.
    pub fn new(rate: f64) -> Result<Self> {
        if (0.0..=10.0).contains(&rate) {
            return Ok(DiscountRate(rate));
        }
        Err(Error::new(ErrorKind::InvalidParameter, format!("annual_discount_rate must be 0 to 10, not {rate}"))
            .hint("5 % is 0.05."))
    }

    /// As it was given.
    pub fn annual(self) -> f64 {
        self.0
    }

    /// Continuous interest a day: a year has 365 days.
    pub(super) fn per_day(self) -> f64 {
        self.0.ln_1p() / 365.0
    }
}

/// A chance that is neither 0 nor 1.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] for others; `argument` is its name.
pub fn check_chance(argument: &str, chance: f64) -> Result<f64> {
    if chance > 0.0 && chance < 1.0 {
        return Ok(chance);
    }
    let problem = format!("{argument} must be above 0 and below 1, not {chance}");
    Err(Error::new(ErrorKind::InvalidParameter, problem).hint("One half is 0.5."))
}

/// Everything about one customer at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// The chance that she will buy again some day.
    pub p_alive: Option<Decimal>,
    /// That of a purchase in the next `days`.
    pub purchase_probability: Option<Decimal>,
    /// The same as a word.
    pub churn_band: Option<ChurnBand>,
    /// Purchase days expected in the next `days`.
    pub expected_purchases: Option<Decimal>,
    /// 95 % interval of their number.
    pub purchases: Option<(u64, u64)>,
    /// Expected amount of a purchase day.
    pub expected_spend: Option<Decimal>,
    /// Customer lifetime value over `value_days`.
    pub expected_value: Option<Decimal>,
    /// The day by which she will have bought with a chance of one half.
    pub next_purchase_on: Option<Day>,
    /// The last day on which P(alive) is one half or more.
    pub alive_until: Option<Day>,
}

/// The chance that an interval has where nobody says otherwise.
const LEVEL: f64 = 0.95;
const HALF: f64 = 0.5;

impl PurchaseModel {
    /// P(alive), 0 to 1; `None` where the data cannot tell it.
    ///
    /// # Errors
    /// None for a chance.
    pub fn p_alive(&self, timing: &Timing) -> Result<Option<Decimal>> {
        self.alive_process().map(|process| rounded(process.p_alive(timing))).transpose()
    }

    /// Expected purchase days in the days ahead.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when it does not fit.
    pub fn expected_purchases(&self, timing: &Timing, ahead: Horizon) -> Result<Option<Decimal>> {
        self.process().map(|process| rounded(process.outlook(timing).expected(ahead.days()))).transpose()
    }

    /// The chance of at least one purchase in the days ahead, 0 to 1.
    ///
    /// # Errors
    /// None for a chance.
    pub fn purchase_probability(&self, timing: &Timing, ahead: Horizon) -> Result<Option<Decimal>> {
        self.process().map(|process| rounded(process.outlook(timing).probability(ahead.days()))).transpose()
    }

    /// Expected amount of a purchase day, in units of money.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when it does not fit.
    pub fn expected_spend(&self, spent: &Spent) -> Result<Option<Decimal>> {
        self.spend_of(spent).map(rounded).transpose()
    }

    fn spend_of(&self, spent: &Spent) -> Option<f64> {
        let (spend, _) = self.spend()?;
        spend.expected(spent.purchases, spent.amount)
    }

    /// Expected discounted spend of the days ahead, after refunds where the model is net of them.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when it does not fit.
    pub fn customer_lifetime_value(
        &self,
        timing: &Timing,
        spent: &Spent,
        ahead: Horizon,
        rate: DiscountRate,
    ) -> Result<Option<Decimal>> {
        self.value_of(timing, spent, ahead, rate).map(rounded).transpose()
    }

    /// The same before it is rounded.
    pub(super) fn value_of(&self, timing: &Timing, spent: &Spent, ahead: Horizon, rate: DiscountRate) -> Option<f64> {
        self.value_by(&self.process()?.outlook(timing), spent, ahead, rate)
    }

    fn value_by(&self, outlook: &Outlook, spent: &Spent, ahead: Horizon, rate: DiscountRate) -> Option<f64> {
        let spend = self.spend_of(spent)?;
        Some(outlook.discounted(ahead.days(), rate.per_day()) * spend * self.share_kept())
    }

    /// Days until she will have bought with a chance of `probability`; `None` where never, or beyond [`MOST_AHEAD`].
    pub fn next_purchase(&self, timing: &Timing, probability: f64) -> Option<i64> {
        self.process()?.outlook(timing).next_purchase(probability)
    }

    /// Days until the last one on which P(alive) is at least `threshold` if nothing more is bought, negative where it
    /// is over; `None` where that is not told, as [`Process::alive_until`](super::Process::alive_until) says.
    pub fn alive_until(&self, timing: &Timing, threshold: f64) -> Option<i64> {
        self.alive_process()?.alive_until(timing, threshold)
    }

    /// The central interval of the number of purchase days in the days ahead.
    pub fn purchases_interval(&self, timing: &Timing, ahead: Horizon, level: f64) -> Option<(u64, u64)> {
        Some(interval(&self.process()?.outlook(timing), ahead, level))
    }

    /// The central interval and the median of the spend in the days ahead, undiscounted and before refunds.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when one does not fit.
    pub fn value_interval(
        &self,
        timing: &Timing,
        spent: &Spent,
        ahead: Horizon,
        level: f64,
    ) -> Result<Option<[Decimal; 3]>> {
        let (Some(process), Some((spend, _))) = (self.process(), self.spend()) else { return Ok(None) };
        let levels = [(1.0 - level) / 2.0, HALF, (1.0 + level) / 2.0];
        let so_far = (spent.purchases, spent.amount);
        let [low, median, high] = spend.value_quantiles(&process.outlook(timing), ahead.days(), so_far, levels);
        Ok(Some([rounded(low)?, rounded(median)?, rounded(high)?]))
    }

    /// Everything about one customer on the day `as_of`.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`] when a number does not fit.
    pub fn predict(
        &self,
        (timing, spent): (&Timing, &Spent),
        as_of: Day,
        (ahead, value_ahead): (Horizon, Horizon),
        rate: DiscountRate,
    ) -> Result<Prediction> {
        let Some(process) = self.process() else { return Ok(Prediction::default()) };
        let outlook = process.outlook(timing);
        let probability = rounded(outlook.probability(ahead.days()))?;
        let on = |days: Option<i64>| days.and_then(|days| as_of.plus(days));
        Ok(Prediction {
            p_alive: self.alive_process().map(|_| rounded(outlook.p_alive)).transpose()?,
            purchase_probability: Some(probability),
            churn_band: Some(ChurnBand::of(probability)),
            expected_purchases: Some(rounded(outlook.expected(ahead.days()))?),
            purchases: Some(interval(&outlook, ahead, LEVEL)),
            expected_spend: self.expected_spend(spent)?,
            expected_value: self.value_by(&outlook, spent, value_ahead, rate).map(rounded).transpose()?,
            next_purchase_on: on(outlook.next_purchase(HALF)),
            alive_until: on(self.alive_until(timing, HALF)),
        })
    }
}

fn interval(outlook: &Outlook, ahead: Horizon, level: f64) -> (u64, u64) {
    let [low, high] = outlook.quantiles(ahead.days(), [(1.0 - level) / 2.0, (1.0 + level) / 2.0]);
    (low, high)
}
