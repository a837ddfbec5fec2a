//! A customer as a model sees her: the numbers that rules can ask about, and on which day each will have fallen.
//!
//! While nothing is bought all of them fall, or stay: P(alive) by its formula, and the others because each is P(alive) times a
//! mean over the posterior of those alive of something that rises with the rate of purchases and falls with that of leaving,
//! and time moves that posterior to lower rates.

use std::cell::OnceCell;

use super::answer::{DiscountRate, Horizon, Spent};
use super::churn::ChurnBand;
use super::model::{PurchaseModel, rounded};
use super::process::{MOST_AHEAD, bisect};
use super::timing::Timing;
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::Result;
use crate::history::{PurchaseHistory, Purchases};

/// A number that rules can ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictedNumber {
    /// The chance that she will buy again some day.
    PAlive,
    /// That of a purchase in the next 90 days.
    PurchaseProbability,
    /// Purchase days expected in the next 90 days.
    ExpectedPurchases,
    /// Customer lifetime value of the next 365 days, in units of money.
    Clv,
}

impl PredictedNumber {
    const COUNT: usize = 4;
}

/// A customer with a purchase, as a model sees her on a day.
#[derive(Clone, Debug)]
pub struct SeenByModel<'a> {
    model: &'a PurchaseModel,
    timing: Timing,
    spent: Spent,
    /// The numbers of the day, each found when it is first asked for.
    numbers: [OnceCell<Option<Decimal>>; PredictedNumber::COUNT],
}

impl<'a> SeenByModel<'a> {
    /// The customer who has bought this up to `as_of`.
    ///
    /// # Errors
    /// As [`Timing::of`].
    pub fn new(model: &'a PurchaseModel, history: &PurchaseHistory, purchases: &Purchases, as_of: Day) -> Result<Self> {
        let timing = Timing::of_purchases(purchases, as_of)?;
        let spent = Spent::of_purchases(history, purchases, model.counts());
        Ok(SeenByModel { model, timing, spent, numbers: Default::default() })
    }

    /// The model.
    pub fn model(&self) -> &'a PurchaseModel {
        self.model
    }

    /// A number; `None` where the model does not tell it, or it is too large for one.
    pub fn number(&self, number: PredictedNumber) -> Option<Decimal> {
        *self.numbers[number as usize].get_or_init(|| rounded(self.in_days(number, 0)?).ok())
    }

    /// The churn band; `None` where the model does not tell it.
    pub fn churn_band(&self) -> Option<ChurnBand> {
        self.number(PredictedNumber::PurchaseProbability).map(ChurnBand::of)
    }

    /// Days until the churn band is another if nothing is bought, or until it has to be asked again.
    pub fn days_until_other_band(&self) -> Option<i64> {
        let band = self.churn_band()?;
        self.days_until(PredictedNumber::PurchaseProbability, |chance| ChurnBand::of(chance) != band)
    }

    /// Days until a number has fallen so far that `is_reached`, which then holds ever after, if nothing is bought. They are fewer
    /// where that cannot be told, or is not so within ten years of her life: then it has to be asked again. `None` where it is
    /// reached today, or the model does not tell the number. Asked on another day, they lead to the same one.
    pub fn days_until(&self, number: PredictedNumber, is_reached: impl Fn(Decimal) -> bool) -> Option<i64> {
        let today = self.in_days(number, 0)?;
        // A number that is too large is none, and one on a later day.
        if rounded(today).is_err() {
            return Some(1);
        }
        // The last bits of a number may decide which of two neighbors is shown: a day on which either may be counts.
        let reached = |value: f64, error: f64| rounded(value + error * (1.0 + value)).is_ok_and(&is_reached);
        let may_be_reached = |days: i64| self.in_days(number, days).is_some_and(|value| reached(value, -ERROR));
        let most = i64::from(MOST_AHEAD - self.timing.tenure_days % MOST_AHEAD);
        if reached(today, ERROR) {
            None
        } else if may_be_reached(1) {
            Some(1)
        } else if !may_be_reached(most) {
            Some(most)
        } else {
            Some(bisect(1, most, may_be_reached))
        }
    }

    /// A number before it is rounded, if nothing is bought for so many days.
    fn in_days(&self, number: PredictedNumber, days: i64) -> Option<f64> {
        let later = u32::try_from(days).unwrap_or(MOST_AHEAD);
        let timing = Timing { tenure_days: self.timing.tenure_days + later, ..self.timing };
        let outlook = |ahead: Horizon| Some((self.model.process()?.outlook(&timing), ahead.days()));
        match number {
            PredictedNumber::PAlive => Some(self.model.alive_process()?.p_alive(&timing)),
            PredictedNumber::PurchaseProbability => {
                outlook(Horizon::USUAL).map(|(outlook, days)| outlook.probability(days))
            }
            PredictedNumber::ExpectedPurchases => outlook(Horizon::USUAL).map(|(outlook, days)| outlook.expected(days)),
            PredictedNumber::Clv => self.model.value_of(&timing, &self.spent, Horizon::YEAR, DiscountRate::USUAL),
        }
    }
}

/// More than numbers of a model are wrong by, beside 1 and their own size.
const ERROR: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::PurchaseDay;
    use PredictedNumber::{Clv, ExpectedPurchases, PAlive, PurchaseProbability};

    const MODELS: [&str; 5] = [
        r#"{"model": "mbgnbd", "purchases": {"r": 0.52, "alpha": 43.3, "a": 0.89, "b": 1.61}, "spend": {"p": 9.9, "q": 3.4, "v": 7.9}}"#,
        r#"{"model": "bgnbd", "purchases": {"r": 0.24, "alpha": 30.9, "a": 0.79, "b": 2.43}, "spend": {"p": 2, "q": 1.2, "v": 400}}"#,
        r#"{"model": "paretonbd", "purchases": {"r": 0.55, "alpha": 74, "s": 0.61, "beta": 81.7}, "spend": {"p": 6, "q": 4, "v": 15}}"#,
        r#"{"model": "paretonbd", "purchases": {"r": 3, "alpha": 9, "s": 12, "beta": 4000}}"#,
        r#"{"model": "mbgnbd", "purchases": {"r": 0.8, "alpha": 60, "a": 0, "b": 1}}"#,
    ];

    fn histories() -> Vec<PurchaseHistory> {
        let of_days = |days: &[i32]| {
            let days = days.iter().map(|&day| PurchaseDay::of_row(Day(day), Some(4_990 + i128::from(day)), None));
            PurchaseHistory::new(2, days.collect()).unwrap()
        };
        vec![
            of_days(&[0]),
            of_days(&[0, 30]),
            of_days(&[0, 7, 9, 40, 200]),
            of_days(&(0..150).map(|i| 2 * i).collect::<Vec<_>>()),
        ]
    }

    fn seen<'a>(model: &'a PurchaseModel, history: &PurchaseHistory, day: i32) -> SeenByModel<'a> {
        SeenByModel::new(model, history, &history.purchases(Day(day)).unwrap(), Day(day)).unwrap()
    }

    /// All that is looked at is built on this.
    #[test]
    fn numbers_fall_while_nothing_is_bought() {
        for model in MODELS.map(|text| PurchaseModel::parse(text).unwrap()) {
            for history in histories() {
                for number in [PAlive, PurchaseProbability, ExpectedPurchases, Clv] {
                    let days = (300..340).chain((340..1_000).step_by(13)).chain((1_000..9_000).step_by(397));
                    let values: Vec<_> = days.map(|day| seen(&model, &history, day).number(number)).collect();
                    assert!(values.windows(2).all(|pair| pair[1] <= pair[0]), "{number:?} {values:?}");
                    let is_told = match number {
                        PAlive => model.alive_process().is_some(),
                        Clv => model.spend().is_some(),
                        _ => true,
                    };
                    assert_eq!(values[0].is_some(), is_told, "{number:?}");
                }
            }
        }
    }

    #[test]
    fn the_day_is_the_first_on_which_it_has_fallen() {
        for model in MODELS.map(|text| PurchaseModel::parse(text).unwrap()) {
            for history in histories() {
                for number in [PAlive, PurchaseProbability, ExpectedPurchases, Clv] {
                    for start in [300, 411] {
                        let Some(now) = seen(&model, &history, start).number(number) else { continue };
                        for thousandths in [0, 1, 300, 900, 990, 1000] {
                            let limit = Decimal::new(now.mantissa() * thousandths / 1000, now.scale());
                            let fallen = |day: i32| seen(&model, &history, day).number(number).unwrap() < limit;
                            let told = seen(&model, &history, start).days_until(number, |value| value < limit);
                            match told.map(|days| start + days as i32) {
                                None => assert!(fallen(start), "{number:?} {limit}"),
                                // A multiple of ten years of her life: it is asked again.
                                Some(day) if day % 3650 == 0 => assert!(!fallen(day - 1), "{number:?} {limit}"),
                                Some(day) => {
                                    assert!(fallen(day) && !fallen(day - 1), "{number:?} {limit} on {day}");
                                    let later = seen(&model, &history, day - 1);
                                    assert_eq!(later.days_until(number, |value| value < limit), Some(1));
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_band_is_told() {
        let model = PurchaseModel::parse(MODELS[0]).unwrap();
        let history = &histories()[3];
        let (mut day, mut bands) = (298, Vec::new());
        loop {
            let now = seen(&model, history, day);
            bands.push(now.churn_band().unwrap().name());
            match now.days_until_other_band() {
                Some(days) if bands.len() < 3 => {
                    let before = seen(&model, history, day + days as i32 - 1);
                    assert_eq!(before.churn_band(), now.churn_band());
                    day += days as i32;
                }
                _ => break,
            }
        }
        assert_eq!(bands, ["low", "medium", "high"]);
    }

    /// What is too large for a number is unknown, until it has fallen.
    #[test]
    fn what_does_not_fit_is_unknown() {
        let text = MODELS[0].replace("7.9", "900000000000000");
        let model = PurchaseModel::parse(&text).unwrap();
        let rich = PurchaseDay::of_row(Day(0), Some(i128::MAX / 2), None);
        let history = PurchaseHistory::new(0, vec![rich]).unwrap();
        let now = seen(&model, &history, 0);
        assert_eq!((now.number(Clv), now.days_until(Clv, |_| true)), (None, Some(1)));
    }
}
