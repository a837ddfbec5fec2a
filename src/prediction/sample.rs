//! All observations of a fit, counted and in order: sums of floating-point numbers are taken of nothing else.

use super::gamma_gamma::{Spend, SpendUnit};
use super::observation::{Kind, MOST_OBSERVATIONS, ORIGINS, Observation, Observed, Store, count_within};
use super::timing::Timing;
use super::timings::Timings;
use crate::decimal::power_of_ten;
use crate::error::Result;
use crate::memory;
use crate::money_unit::MoneyUnit;

/// A customer of a backtest, and how many are like her.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored {
    pub timing: Timing,
    pub spend: Spend,
    /// Purchases and amount of the days after the fit.
    pub later: f64,
    pub later_amount: i64,
    pub count: f64,
}

/// What was seen of all customers.
pub(super) struct Sample {
    /// Those of the day of the fit.
    pub timings: Timings,
    /// Purchases and amounts up to that day, and how many customers have them, ascending.
    pub spends: Vec<(Spend, f64)>,
    /// Those of the origins of `auto`, with the purchases that came later.
    pub origins: [(Timings, f64); ORIGINS as usize],
    /// The customers of a backtest.
    pub scored: Vec<Scored>,
    pub unit: MoneyUnit,
    /// Amounts of days without a purchase.
    pub refunds: f64,
    pub new_customers: u64,
    pub new_customer_purchases: u64,
}

impl Sample {
    /// Counts and sorts observations.
    ///
    /// # Errors
    /// As [`count_within`].
    pub fn new(mut observed: Observed) -> Result<Self> {
        count_within(&mut observed, MOST_OBSERVATIONS)?;
        let sums = *observed.sums();
        let observations = observed.observations();
        let of_kind = |kind: fn(Kind) -> bool| observations.iter().filter(move |seen| kind(seen.kind()));
        let mut spends = memory::collect(
            of_kind(|kind| matches!(kind, Kind::Spend | Kind::Customer { fitted: true }))
                .map(|seen| (spend(seen), count(seen))),
        );
        memory::sort(&mut spends, |a, b| a.0.cmp(&b.0));
        spends.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        let origin = |origin: u8| {
            let of_origin = || observations.iter().filter(move |seen| seen.kind() == Kind::Origin(origin));
            (counted_timings(of_origin()), of_origin().map(|seen| f64::from(seen.later()) * count(seen)).sum())
        };
        let scored = of_kind(|kind| matches!(kind, Kind::Customer { .. })).map(|seen| Scored {
            timing: seen.timing(),
            spend: spend(seen),
            later: f64::from(seen.later()),
            later_amount: seen.amounts()[2],
            count: count(seen),
        });
        Ok(Sample {
            timings: counted_timings(of_kind(|kind| matches!(kind, Kind::Timing | Kind::Customer { fitted: true }))),
            spends,
            origins: std::array::from_fn(|number| origin(number as u8)),
            scored: memory::collect(scored),
            unit: sums.unit,
            refunds: sums.refunds as f64 / power_of_ten(sums.unit.scale) as f64,
            new_customers: sums.new_customers,
            new_customer_purchases: sums.new_customer_purchases,
        })
    }

    /// The size of the unit in which amounts are observed.
    pub fn spend_unit(&self) -> SpendUnit {
        SpendUnit(power_of_ten(self.unit.coarse) as f64 / power_of_ten(self.unit.scale) as f64)
    }
}

fn count(seen: &Observation) -> f64 {
    f64::from(seen.count())
}

fn spend(seen: &Observation) -> Spend {
    let purchases = match seen.kind() {
        Kind::Spend => seen.purchases(),
        _ => u64::from(seen.timing().repeats) + 1,
    };
    let [first, total, _] = seen.amounts();
    Spend { purchase_days: purchases, first, total }
}

/// Timings of observations in order of their timing.
fn counted_timings<'a>(observations: impl Iterator<Item = &'a Observation>) -> Timings {
    let mut counted: Vec<(Timing, f64)> = Vec::new();
    for seen in observations {
        let timing = seen.timing();
        match counted.last_mut() {
            Some((last, customers)) if *last == timing => *customers += count(seen),
            _ => memory::push(&mut counted, (timing, count(seen))),
        }
    }
    Timings::new(counted)
}
