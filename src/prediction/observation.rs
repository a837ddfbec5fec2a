//! What a fit keeps of each customer while it reads them, so that order, plan and workers never matter: equal
//! observations are counted together.

use super::options::{FitOptions, ModelChoice, Refunds};
use super::timing::Timing;
use crate::day::Day;
use crate::decimal::{Decimal, amount_out_of_range};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{PurchaseDay, PurchaseHistory};
use crate::memory;
use crate::money_unit::MoneyUnit;

/// Something seen of a customer, and of how many.
///
/// Packed to 8 bytes because PostgreSQL's allocator gives no more alignment than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C, packed(8))]
pub struct Observation {
    /// The kind, and x, t_x and T; of spend the number of purchases.
    key: u64,
    /// Amount of the first purchase day, and of all of them, in the unit of the [`Sums`].
    first: i64,
    total: i64,
    /// Amount of the purchase days that a backtest looks ahead to.
    later_amount: i64,
    /// Number of these days.
    later: u32,
    count: u32,
}

/// The kinds of observation. The places of their numbers are those of an observation's upper bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// x, t_x and T.
    Timing,
    /// The same on an earlier day, with the purchases after it: origins of `auto`.
    Origin(u8),
    /// Purchases and amounts.
    Spend,
    /// All of one customer, for a backtest; whether she is among those fitted.
    Customer { fitted: bool },
}

/// How many origins `auto` looks at, how far they lie apart and how far each looks ahead, in days.
pub(super) const ORIGINS: u8 = 4;
pub(super) const ORIGIN_STEP: i64 = 30;
pub(super) const ORIGIN_DAYS: i64 = 90;

const PART_BITS: u32 = 20;
const KIND_SHIFT: u32 = 3 * PART_BITS;

impl Kind {
    fn number(self) -> u64 {
        match self {
            Kind::Timing => 0,
            Kind::Origin(origin) => 1 + u64::from(origin),
            Kind::Spend => 5,
            Kind::Customer { fitted: true } => 6,
            Kind::Customer { fitted: false } => 7,
        }
    }
}

impl Observation {
    fn of_timing(kind: Kind, timing: &Timing) -> Self {
        let parts = [timing.repeats, timing.span_days, timing.tenure_days];
        let key = parts.into_iter().fold(kind.number(), |key, part| key << PART_BITS | u64::from(part));
        Observation { key, first: 0, total: 0, later_amount: 0, later: 0, count: 1 }
    }

    pub(super) fn kind(&self) -> Kind {
        let key = self.key;
        match key >> KIND_SHIFT {
            0 => Kind::Timing,
            5 => Kind::Spend,
            6 => Kind::Customer { fitted: true },
            7.. => Kind::Customer { fitted: false },
            origin => Kind::Origin(origin as u8 - 1),
        }
    }

    pub(super) fn timing(&self) -> Timing {
        let part = |place: u32| ({ self.key } >> (place * PART_BITS)) as u32 & ((1 << PART_BITS) - 1);
        Timing { repeats: part(2), span_days: part(1), tenure_days: part(0) }
    }

    /// Purchases of an observation of spend.
    pub(super) fn purchases(&self) -> u64 {
        let key = self.key;
        key & ((1 << KIND_SHIFT) - 1)
    }

    pub(super) fn amounts(&self) -> [i64; 3] {
        [self.first, self.total, self.later_amount]
    }

    pub(super) fn later(&self) -> u32 {
        self.later
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The same in bytes, for another process.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let words = [self.key, self.first as u64, self.total as u64, self.later_amount as u64];
        let words = words.into_iter().chain([u64::from(self.later) << 32 | u64::from(self.count)]);
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The observation of these bytes.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut words = [0; 5];
        for (word, place) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*place);
        }
        let [key, first, total, later_amount, counts] = words;
        let [first, total, later_amount] = [first, total, later_amount].map(|word| word as i64);
        Observation { key, first, total, later_amount, later: (counts >> 32) as u32, count: counts as u32 }
    }

    /// Bytes of one.
    pub const BYTES: usize = 40;
}

/// What a state sums up besides its observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(8))]
pub struct Sums {
    /// In which units amounts are observed. Where one would not fit 64 bits, or there are too many different ones, the
    /// last digits are left out.
    pub unit: MoneyUnit,
    /// Amounts of days without a purchase, in units of the last of `unit.scale` decimals.
    pub refunds: i128,
    /// Customers whose first purchase lies after the day of a backtest's fit, until it ends.
    pub new_customers: u64,
    /// Their purchase days until it ends.
    pub new_customer_purchases: u64,
}

impl Default for Sums {
    fn default() -> Self {
        let unit = MoneyUnit { scale: 0, coarse: 0 };
        Sums { unit, refunds: 0, new_customers: 0, new_customer_purchases: 0 }
    }
}

/// The most different observations that are kept, 256 MB of them.
pub const MOST_OBSERVATIONS: usize = (256 << 20) / size_of::<Observation>();

/// Where the observations of a state are kept.
pub trait Store {
    /// The sums.
    fn sums(&mut self) -> &mut Sums;
    /// The observations so far.
    fn observations(&mut self) -> &mut [Observation];
    /// Whether one more needs more memory.
    fn is_full(&self) -> bool;
    /// Makes room for as many again.
    fn grow(&mut self);
    /// Appends one, for which there is room.
    fn push(&mut self, observation: Observation);
    /// Keeps the first so many.
    fn truncate(&mut self, count: usize);
}

/// What the customers are observed for: a fit as of a day, or a backtest of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question {
    /// The last day that the fit sees.
    pub as_of: Day,
    /// The last day of a backtest.
    pub until: Option<Day>,
    /// What the fit is told.
    pub options: FitOptions,
}

impl Question {
    /// A fit as of a day.
    pub fn fit(as_of: Day, options: FitOptions) -> Self {
        Question { as_of, until: None, options }
    }

    /// A backtest: a fit as of `fit_on`, judged by what came until `until`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] unless that is 1 to 3,650 days later.
    pub fn backtest(fit_on: Day, until: Day, options: FitOptions) -> Result<Self> {
        let days = until.days_since(fit_on);
        if !(1..=i64::from(super::MOST_AHEAD)).contains(&days) {
            let problem = format!("until, {until}, must be 1 to {} days after fit_on, {fit_on}", super::MOST_AHEAD);
            return Err(Error::new(ErrorKind::InvalidParameter, problem)
                .hint("fit_on is the last day that the fit sees, until the last day compared: ten years at most."));
        }
        Ok(Question { as_of: fit_on, until: Some(until), options })
    }

    /// The day of an origin of `auto`.
    pub(super) fn origin(&self, origin: u8) -> Option<Day> {
        let day = i64::from(self.as_of.0) - ORIGIN_DAYS - ORIGIN_STEP * i64::from(origin);
        i32::try_from(day).ok().map(Day)
    }

    /// Observes a customer; nothing of a prospect but, in a backtest, that she came later.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] beyond a million days, or where there are too many different customers;
    /// [`ErrorKind::NumberOutOfRange`] when a sum does not fit.
    pub fn observe(&self, history: &PurchaseHistory, store: &mut impl Store) -> Result<()> {
        let Some(purchases) = history.purchases(self.as_of) else { return self.observe_prospect(history, store) };
        let fitted = self.options.takes(purchases.first);
        if !fitted && self.until.is_none() {
            return Ok(());
        }
        let timing = Timing::of_purchases(&purchases, self.as_of)?;
        let scale = history.scale();
        change_unit(store, |unit| Ok(unit.widened(scale)))?;
        let first = history.first_amount();
        let total = purchases.earlier_amount + purchases.last_amount;
        if fitted {
            let refunds = Decimal::new(history.monetary(self.as_of).mantissa() - total, scale);
            let sums = store.sums();
            let more = refunds.mantissa_at({ sums.unit }.scale)?;
            sums.refunds = { sums.refunds }.checked_add(more).ok_or_else(amount_out_of_range)?;
            self.observe_origins(history, store)?;
        }
        match self.until {
            None => {
                add(store, Observation::of_timing(Kind::Timing, &timing))?;
                let key = Kind::Spend.number() << KIND_SHIFT | (u64::from(timing.repeats) + 1);
                let spend = Observation { key, ..Observation::of_timing(Kind::Spend, &timing) };
                add_with_amounts(store, spend, [first, total, 0], scale)
            }
            Some(until) => {
                let (later, amount) = self.later(history, until)?;
                let customer = Observation { later, ..Observation::of_timing(Kind::Customer { fitted }, &timing) };
                add_with_amounts(store, customer, [first, total, amount], scale)
            }
        }
    }

    /// Purchase days after the fit until a day, and what was spent.
    fn later(&self, history: &PurchaseHistory, until: Day) -> Result<(u32, i128)> {
        let after = &history.until(until)[history.until(self.as_of).len()..];
        let net = self.options.refunds == Refunds::Net;
        let counted = |entry: &&PurchaseDay| net || entry.is_purchase_day();
        // A history's sums fit, and it has at most a million days.
        let amount = after.iter().filter(counted).map(|entry| entry.amount).sum();
        Ok((purchase_days(after), amount))
    }

    fn observe_prospect(&self, history: &PurchaseHistory, store: &mut impl Store) -> Result<()> {
        if let Some(later) = self.until.and_then(|until| history.purchases(until)) {
            let sums = store.sums();
            sums.new_customers += 1;
            sums.new_customer_purchases += u64::from(later.purchase_days.unsigned_abs());
        }
        Ok(())
    }

    /// What `auto` needs: the timing on earlier days, and how many purchases came after them.
    fn observe_origins(&self, history: &PurchaseHistory, store: &mut impl Store) -> Result<()> {
        if self.options.model != ModelChoice::Auto {
            return Ok(());
        }
        for origin in 0..ORIGINS {
            let Some(day) = self.origin(origin) else { continue };
            if let (Some(timing), Some(end)) = (Timing::of(history, day)?, day.plus(ORIGIN_DAYS)) {
                let later = purchase_days(&history.until(end)[history.until(day).len()..]);
                add(store, Observation { later, ..Observation::of_timing(Kind::Origin(origin), &timing) })?;
            }
        }
        Ok(())
    }
}

fn purchase_days(days: &[PurchaseDay]) -> u32 {
    days.iter().filter(|entry| entry.is_purchase_day()).count() as u32
}

/// Adds what another state observed.
///
/// # Errors
/// As [`Question::observe`].
pub fn merge(store: &mut impl Store, sums: &Sums, observations: impl Iterator<Item = Observation>) -> Result<()> {
    let other = sums.unit;
    change_unit(store, |unit| {
        let (own, other) = (unit.widened(other.scale), other.widened(unit.scale));
        Ok(MoneyUnit { coarse: own.coarse.max(other.coarse), ..own })
    })?;
    let refunds = Decimal::new(sums.refunds, other.scale);
    let own = store.sums();
    let more = refunds.mantissa_at({ own.unit }.scale)?;
    own.refunds = { own.refunds }.checked_add(more).ok_or_else(amount_out_of_range)?;
    own.new_customers += sums.new_customers;
    own.new_customer_purchases += sums.new_customer_purchases;
    for observation in observations {
        add_converted(store, observation, |unit| {
            let convert = |amount: i64| unit.units_of(amount.into(), other);
            let [first, total, later] = observation.amounts().map(convert);
            Ok([first?, total?, later?])
        })?;
    }
    Ok(())
}

fn add(store: &mut impl Store, observation: Observation) -> Result<()> {
    make_room(store)?;
    store.push(observation);
    Ok(())
}

/// Adds an observation with amounts of `scale` decimals.
fn add_with_amounts(store: &mut impl Store, observation: Observation, amounts: [i128; 3], scale: u8) -> Result<()> {
    add_converted(store, observation, |unit| {
        let [first, total, later] = amounts.map(|amount| unit.units(amount, scale));
        Ok([first?, total?, later?])
    })
}

/// Adds an observation with amounts in the unit that holds once there is room for it, because making room can change
/// it.
fn add_converted(
    store: &mut impl Store,
    observation: Observation,
    amounts: impl Fn(MoneyUnit) -> Result<[i128; 3]>,
) -> Result<()> {
    make_room(store)?;
    loop {
        if let Some([first, total, later_amount]) = fitting(amounts(store.sums().unit)?) {
            store.push(Observation { first, total, later_amount, ..observation });
            return Ok(());
        }
        change_unit(store, one_digit_coarser)?;
    }
}

fn one_digit_coarser(mut unit: MoneyUnit) -> Result<MoneyUnit> {
    unit.become_coarser().map(|()| unit)
}

fn fitting(amounts: [i128; 3]) -> Option<[i64; 3]> {
    let [first, total, later] = amounts.map(i64::try_from);
    Some([first.ok()?, total.ok()?, later.ok()?])
}

/// Takes another unit, or a coarser one where amounts would not fit.
fn change_unit(store: &mut impl Store, change: impl Fn(MoneyUnit) -> Result<MoneyUnit>) -> Result<()> {
    let old = store.sums().unit;
    let mut unit = change(old)?;
    if unit == old {
        return Ok(());
    }
    let in_unit = |observation: &Observation, unit: MoneyUnit| -> Result<Option<[i64; 3]>> {
        let [first, total, later] = observation.amounts().map(|amount| unit.units_of(amount.into(), old));
        Ok(fitting([first?, total?, later?]))
    };
    'unit: loop {
        for observation in store.observations() {
            if in_unit(observation, unit)?.is_none() {
                unit = one_digit_coarser(unit)?;
                continue 'unit;
            }
        }
        break;
    }
    for observation in store.observations() {
        if let Some([first, total, later_amount]) = in_unit(observation, unit)? {
            *observation = Observation { first, total, later_amount, ..*observation };
        }
    }
    let sums = store.sums();
    sums.refunds = Decimal::new(sums.refunds, old.scale).mantissa_at(unit.scale)?;
    sums.unit = unit;
    Ok(())
}

fn make_room(store: &mut impl Store) -> Result<()> {
    if store.is_full() {
        let before = store.observations().len();
        count_within(store, MOST_OBSERVATIONS)?;
        if store.observations().len() > before / 2 {
            store.grow();
        }
    }
    Ok(())
}

/// Sorts observations and counts equal ones together; where more than `most` different ones remain, leaves out the last
/// digits of the amounts, one after the other, until they do not.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`] when no digit is left to leave out, or for more than four billion equal customers.
pub fn count_within(store: &mut impl Store, most: usize) -> Result<()> {
    count_equal(store)?;
    while store.observations().len() > most {
        change_unit(store, one_digit_coarser)?;
        count_equal(store)?;
    }
    Ok(())
}

fn count_equal(store: &mut impl Store) -> Result<()> {
    let observations = store.observations();
    memory::sort(observations, |a, b| a.cmp(b));
    let mut kept = 0;
    for next in 0..observations.len() {
        let observation = observations[next];
        let same = |other: &Observation| Observation { count: 0, ..*other } == Observation { count: 0, ..observation };
        if next > 0 && same(&observations[kept - 1]) {
            let count = { observations[kept - 1].count }.checked_add(observation.count);
            observations[kept - 1].count =
                count.ok_or_else(|| Error::new(ErrorKind::LimitExceeded, "more than four billion equal customers"))?;
        } else {
            observations[kept] = observation;
            kept += 1;
        }
    }
    store.truncate(kept);
    Ok(())
}

/// Observations in memory of Rust's.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    sums: Sums,
    observations: Vec<Observation>,
}

impl Observed {
    /// Of a state's sums and observations.
    pub fn new(sums: Sums, observations: Vec<Observation>) -> Self {
        Observed { sums, observations }
    }
}

impl Store for Observed {
    fn sums(&mut self) -> &mut Sums {
        &mut self.sums
    }

    fn observations(&mut self) -> &mut [Observation] {
        &mut self.observations
    }

    fn is_full(&self) -> bool {
        self.observations.len() == self.observations.capacity()
    }

    fn grow(&mut self) {
        let more = self.observations.len().max(16);
        memory::reserve(&mut self.observations, more);
    }

    fn push(&mut self, observation: Observation) {
        memory::push(&mut self.observations, observation);
    }

    fn truncate(&mut self, count: usize) {
        self.observations.truncate(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(scale: u8, rows: &[(i32, i128)]) -> PurchaseHistory {
        let days = rows.iter().map(|&(day, amount)| PurchaseDay::of_row(Day(day), Some(amount), None));
        PurchaseHistory::new(scale, days.collect()).unwrap()
    }

    fn counted(mut observed: Observed) -> Observed {
        count_within(&mut observed, MOST_OBSERVATIONS).unwrap();
        observed
    }

    #[test]
    fn order_and_splits_change_nothing() {
        let histories = [
            history(2, &[(0, 100), (5, 250), (9, -40)]),
            history(0, &[(3, 7)]),
            history(2, &[(0, 100), (5, 250)]),
            history(4, &[(1, 123_456), (20, 5)]),
            history(2, &[(50, 1)]),
        ];
        let question = Question::fit(Day(30), FitOptions { model: ModelChoice::Auto, ..FitOptions::default() });
        let of = |histories: &[&PurchaseHistory]| {
            let mut observed = Observed::default();
            histories.iter().for_each(|history| question.observe(history, &mut observed).unwrap());
            observed
        };
        let all = |order: &[usize]| order.iter().map(|&i| &histories[i]).collect::<Vec<_>>();
        let forward = counted(of(&all(&[0, 1, 2, 3, 4])));
        let backward = counted(of(&all(&[4, 3, 2, 1, 0])));
        let (mut one, other) = (of(&all(&[3, 0])), of(&all(&[1, 4, 2])));
        merge(&mut one, &other.sums, other.observations.iter().copied()).unwrap();
        let merged = counted(one);
        for (a, b) in [(&forward, &backward), (&forward, &merged)] {
            assert_eq!((a.sums, &a.observations), (b.sums, &b.observations));
        }
        assert_eq!(forward.sums.unit.scale, 4);
        assert_eq!({ forward.sums.refunds }, -4000);
        for observation in &forward.observations {
            assert_eq!(Observation::from_bytes(&observation.to_bytes()), *observation);
        }
    }

    #[test]
    fn too_many_amounts_lose_their_last_digits() {
        let question = Question::fit(Day(9), FitOptions::default());
        let mut observed = Observed::default();
        (0..1000).for_each(|i| question.observe(&history(2, &[(0, 10_000 + i)]), &mut observed).unwrap());
        count_within(&mut observed, 101).unwrap();
        assert_eq!((observed.observations.len(), observed.sums.unit.coarse), (101, 1));
        question.observe(&history(0, &[(0, i128::MAX / 10_000)]), &mut observed).unwrap();
        assert!(observed.sums.unit.coarse > 15);
    }

    #[test]
    fn a_backtest_knows_what_came_later() {
        let question = Question::backtest(Day(10), Day(20), FitOptions::default()).unwrap();
        let mut observed = Observed::default();
        question.observe(&history(0, &[(0, 5), (12, 7), (20, 1), (15, -2), (21, 9)]), &mut observed).unwrap();
        question.observe(&history(0, &[(11, 5), (20, 7), (21, 7)]), &mut observed).unwrap();
        let customer = observed.observations[0];
        assert_eq!((customer.later(), customer.amounts()), (2, [5, 5, 6]));
        assert_eq!(({ observed.sums.new_customers }, { observed.sums.new_customer_purchases }), (1, 2));
        assert!(Question::backtest(Day(10), Day(10), FitOptions::default()).is_err());
    }
}
