//! A model of purchases with its parameters, and what it says of one customer.

use super::beta_geometric::BetaGeometric;
use super::elementary::{exp, exp_m1};
use super::pareto::Pareto;
use super::quadrature::{NINE_AND_END, THIRTEEN_AND_END, integral};
use super::timing::Timing;
use super::{beta_geometric, pareto};
use crate::labels::labels;

labels! {
    /// The models of purchases. They differ in how customers leave.
    ProcessName "model" {
        /// With a chance after every purchase, the first included.
        MbgNbd = "mbgnbd", "MBG/NBD", "MBG/NBD";
        /// With a chance after every purchase but the first.
        BgNbd = "bgnbd", "BG/NBD", "BG/NBD";
        /// At any time.
        ParetoNbd = "paretonbd", "Pareto/NBD", "Pareto/NBD";
    }
}

impl ProcessName {
    /// The names of its parameters, in their order everywhere.
    pub fn parameter_names(self) -> [&'static str; 4] {
        match self {
            ProcessName::MbgNbd | ProcessName::BgNbd => ["r", "alpha", "a", "b"],
            ProcessName::ParetoNbd => ["r", "alpha", "s", "beta"],
        }
    }

    /// The least value of each parameter, below which sums take too long; the third may also be 0.
    pub fn least(self) -> [f64; 4] {
        match self {
            ProcessName::MbgNbd | ProcessName::BgNbd => [f64::MIN_POSITIVE, 0.01, f64::MIN_POSITIVE, f64::MIN_POSITIVE],
            ProcessName::ParetoNbd => [f64::MIN_POSITIVE, 0.001, f64::MIN_POSITIVE, 0.001],
        }
    }
}

/// The furthest that is looked ahead, in days: beyond, no such model is to be believed.
pub const MOST_AHEAD: u32 = 3650;

/// A model of purchases with its parameters: r, alpha, and a, b or s, beta; alpha and beta in days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    /// Which model.
    pub name: ProcessName,
    /// Its parameters, in the order of [`ProcessName::parameter_names`].
    pub parameters: [f64; 4],
}

enum Kind {
    BetaGeometric(BetaGeometric),
    Pareto(Pareto),
}

/// What is expected of one customer if she is alive.
#[derive(Debug)]
enum Alive {
    BetaGeometric(beta_geometric::Alive),
    Pareto(pareto::Alive),
}

impl Process {
    fn kind(&self) -> Kind {
        let [r, alpha, third, fourth] = self.parameters;
        match self.name {
            ProcessName::ParetoNbd => Kind::Pareto(Pareto { r, alpha, s: third, beta: fourth }),
            name => Kind::BetaGeometric(BetaGeometric {
                first_counts: name == ProcessName::MbgNbd,
                r,
                alpha,
                a: third,
                b: fourth,
            }),
        }
    }

    /// Whether nobody ever leaves.
    pub fn nobody_leaves(&self) -> bool {
        self.parameters[2] == 0.0
    }

    /// What it says of one customer.
    pub fn outlook(&self, timing: &Timing) -> Outlook {
        let (log_odds_gone, alive) = match self.kind() {
            Kind::BetaGeometric(model) => (model.log_odds_gone(timing), Alive::BetaGeometric(model.alive(timing))),
            Kind::Pareto(model) => (model.log_odds_gone(timing), Alive::Pareto(model.alive(timing))),
        };
        Outlook { p_alive: chance_of(-log_odds_gone), alive }
    }

    /// P(alive) alone: the chance that the customer will buy again some day. As the papers write it, `1 / (1 +
    /// exp(u))`.
    pub fn p_alive(&self, timing: &Timing) -> f64 {
        let log_odds_gone = match self.kind() {
            Kind::BetaGeometric(model) => model.log_odds_gone(timing),
            Kind::Pareto(model) => model.log_odds_gone(timing),
        };
        chance_of(-log_odds_gone)
    }

    /// Days from the day asked to the last on which P(alive) is at least `threshold`, if nothing more is bought;
    /// negative where that is over. `None` where it is below on the day of the last purchase, and where it will be so
    /// beyond [`MOST_AHEAD`].
    pub fn alive_until(&self, timing: &Timing, threshold: f64) -> Option<i64> {
        let holds = |tenure: i64| {
            let on_day = Timing { tenure_days: u32::try_from(tenure).unwrap_or(u32::MAX), ..*timing };
            self.p_alive(&on_day) >= threshold
        };
        let (first, tenure) = (i64::from(timing.span_days), i64::from(timing.tenure_days));
        let last = tenure + i64::from(MOST_AHEAD);
        let log_odds = ((1.0 - threshold) / threshold).ln();
        let near = match self.kind() {
            Kind::BetaGeometric(model) => model.tenure_at(timing, log_odds)?,
            Kind::Pareto(model) => model.tenure_at(timing, log_odds, last as f64),
        };
        let found = bisect_near(first, last + 1, (near.floor() + 1.0) as i64, |tenure| !holds(tenure)) - 1;
        // The ends were taken on trust.
        (found > first || holds(first)).then_some(())?;
        (found < last || !holds(last + 1)).then_some(found - tenure)
    }
}

/// The first number after `low` for which `reached` holds, which it does at `high` and ever after.
pub(super) fn bisect(mut low: i64, mut high: i64, reached: impl Fn(i64) -> bool) -> i64 {
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if reached(middle) { high = middle } else { low = middle }
    }
    high
}

/// The same, found by asking twice where it is the guess: from there in longer and longer strides, until it lies between
/// two numbers.
fn bisect_near(low: i64, high: i64, guess: i64, reached: impl Fn(i64) -> bool) -> i64 {
    let (mut below, mut above, mut next, mut stride) = (low, high, guess, 1);
    while above - below > 1 && (below == low || above == high) {
        let asked = next.clamp(below + 1, above - 1);
        if reached(asked) {
            (above, next) = (asked, asked - stride);
        } else {
            (below, next) = (asked, asked + stride);
        }
        stride *= 2;
    }
    bisect(below, above, reached)
}

/// The chance whose odds have this logarithm.
fn chance_of(log_odds: f64) -> f64 {
    if log_odds >= 0.0 {
        1.0 / (1.0 + (-log_odds).exp())
    } else {
        let odds = log_odds.exp();
        odds / (1.0 + odds)
    }
}

/// That a customer is still there after t days has a chance of about `(1 + chance t/scale)^-often`.
struct Leaving {
    scale: f64,
    chance: f64,
    often: f64,
}

impl Leaving {
    /// How many times over she has left after so many days: minus the logarithm of that chance.
    fn times(&self, days: f64) -> f64 {
        self.often * (self.chance * days / self.scale).ln_1p()
    }

    /// After how many days she has left so many times over.
    fn day(&self, times: f64) -> f64 {
        self.scale / self.chance * (times / self.often).exp_m1()
    }

    /// How much she leaves on a day, by the slope of `times` in `ln(1 + t/scale)`, which only grows.
    fn steepness(&self, day: f64) -> f64 {
        self.often * self.chance * (self.scale + day) / (self.scale + self.chance * day)
    }
}

/// A customer who has left so many times over buys no more.
const GONE: f64 = 40.0;

/// What a model says of the future of one customer.
#[derive(Debug)]
pub struct Outlook {
    /// The chance that she will buy again some day.
    pub p_alive: f64,
    alive: Alive,
}

impl Outlook {
    /// The posterior of a customer who is alive: the rate of purchases is Gamma of the first two, in days, and the last
    /// two are those of Beta(a, b), or of Gamma(s, beta).
    pub fn posterior(&self) -> [f64; 4] {
        match &self.alive {
            Alive::BetaGeometric(alive) => [alive.m, alive.scale, alive.a, alive.b],
            Alive::Pareto(alive) => [alive.m, alive.scale, alive.s, alive.beta],
        }
    }

    fn expected_alive(&self, days: f64) -> f64 {
        match &self.alive {
            Alive::BetaGeometric(alive) => alive.expected(days),
            Alive::Pareto(alive) => alive.expected(days),
        }
    }

    /// Expected purchase days in the next so many days.
    pub fn expected(&self, days: f64) -> f64 {
        if self.p_alive == 0.0 { 0.0 } else { self.p_alive * self.expected_alive(days) }
    }

    /// The chance of at least one purchase in the next so many days.
    pub fn probability(&self, days: f64) -> f64 {
        self.p_alive
            * match &self.alive {
                Alive::BetaGeometric(alive) => alive.some(days),
                Alive::Pareto(alive) => alive.some(days),
            }
    }

    /// Days until the chance of a purchase reaches `probability`; `None` where it never does, or beyond [`MOST_AHEAD`].
    pub fn next_purchase(&self, probability: f64) -> Option<i64> {
        if self.p_alive <= probability {
            return None;
        }
        let most = i64::from(MOST_AHEAD);
        let reached = |days: i64| self.probability(days as f64) >= probability;
        let near = match &self.alive {
            Alive::BetaGeometric(alive) => alive.days_until(1.0 - probability / self.p_alive),
            Alive::Pareto(alive) => alive.days_until(probability / self.p_alive, most as f64),
        };
        let found = bisect_near(0, most, near.ceil() as i64, reached);
        // The end was taken on trust.
        (found < most || reached(most)).then_some(found)
    }

    /// Expected purchases, each discounted to today at the rate `per_day` of continuous interest.
    pub fn discounted(&self, days: f64, per_day: f64) -> f64 {
        if self.p_alive == 0.0 || per_day == 0.0 {
            return self.expected(days);
        }
        // By parts: what is bought counts for its discount at the end, and more the earlier it is.
        let (all, earlier) = if days <= 365.0 {
            self.earlier(&NINE_AND_END, days, per_day)
        } else {
            self.earlier(&THIRTEEN_AND_END, days, per_day)
        };
        self.p_alive * ((-per_day * days).exp() * all + per_day * earlier)
    }

    /// The expected purchases of a customer who is alive, and their integral, each day discounted. The last node is the end.
    ///
    /// It is taken in `ln(1 + t/scale)`, in which they grow evenly as long as she is there. Where she is likely to leave before the
    /// end, that time is taken by itself.
    fn earlier<const N: usize>(&self, nodes: &[(f64, f64); N], days: f64, per_day: f64) -> (f64, f64) {
        let leaving = self.leaving();
        let scale = leaving.scale;
        let bends =
            if leaving.times(days) > 4.0 { [1.0, GONE].map(|times| leaving.day(times).min(days)) } else { [0.0; 2] };
        let [first, gone, end] = [bends[0], bends[1], days].map(|day| (day / scale).ln_1p());
        let (mut at_end, mut sum) = (0.0, 0.0);
        for (from, to, steepest) in [(0.0, first, 0.0), (first, gone, leaving.steepness(bends[1])), (gone, end, 0.0)] {
            if from == to {
                continue;
            }
            // Narrow enough for the nodes to follow what is left of her, of the days and of the discount.
            let panels = [steepest * (to - from) / 4.0, (to - from) / 3.0, per_day * days / 4.0];
            let panels = panels.into_iter().fold(1.0, f64::max).ceil() as u32;
            sum += integral(nodes, panels, to - from, |places| {
                let times = exp_m1(places.map(|place| from + place)).map(|grown| scale * grown);
                let expected = match &self.alive {
                    Alive::BetaGeometric(alive) => alive.expected_each(times),
                    Alive::Pareto(alive) => alive.expected_each(times),
                };
                at_end = expected[N - 1];
                let discounts = exp(times.map(|time| -per_day * time));
                std::array::from_fn(|i| discounts[i] * expected[i] * (scale + times[i]))
            });
        }
        (at_end, sum)
    }

    /// How a customer who is alive leaves, about: as if each purchase made her leave with the mean chance of her posterior.
    fn leaving(&self) -> Leaving {
        match &self.alive {
            Alive::BetaGeometric(alive) => {
                Leaving { scale: alive.scale, chance: alive.a / (alive.a + alive.b), often: alive.m }
            }
            Alive::Pareto(alive) => Leaving { scale: alive.beta, chance: 1.0, often: alive.s },
        }
    }

    /// The chances of more than 0, 1, 2, ... purchases in the next so many days, until one is negligible or `take` says
    /// to stop.
    pub fn each_exceeded(&self, days: f64, mut take: impl FnMut(f64) -> bool) {
        let mut of_alive = |exceeded: f64| take(self.p_alive * exceeded);
        match &self.alive {
            Alive::BetaGeometric(alive) => alive.each_exceeded(days, &mut of_alive),
            Alive::Pareto(alive) => alive.each_exceeded(days, &mut of_alive),
        }
    }

    /// The smallest numbers of purchases that are not exceeded with these chances, which ascend.
    pub fn quantiles<const N: usize>(&self, days: f64, levels: [f64; N]) -> [u64; N] {
        let (mut found, mut next, mut n) = ([0; N], 0, 0);
        self.each_exceeded(days, |exceeded| {
            while next < N && 1.0 - exceeded >= levels[next] {
                found[next] = n;
                next += 1;
            }
            n += 1;
            next < N
        });
        // Levels so near to 1 that rounding hides them.
        found[next..].fill(n);
        found
    }

    /// The variance of the number of purchases in the next so many days.
    pub fn variance(&self, days: f64) -> f64 {
        let (mut mean, mut square, mut n) = (0.0, 0.0, 0.0);
        self.each_exceeded(days, |exceeded| {
            mean += exceeded;
            square += (2.0 * n + 1.0) * exceeded;
            n += 1.0;
            true
        });
        f64::max(square - mean * mean, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::quadrature::TWENTY;
    use super::super::timing::tests::of_any_size;
    use super::*;

    /// Customers of all kinds of models, most of them hostile: who are sure to leave after a purchase, who buy every day.
    fn outlooks() -> impl Strategy<Value = Outlook> {
        let often = prop_oneof![Just(0), 0..30u32, of_any_size(30.0, 3000.0).prop_map(|x| x as u32)];
        let name = prop_oneof![Just(ProcessName::MbgNbd), Just(ProcessName::BgNbd), Just(ProcessName::ParetoNbd)];
        let last = prop_oneof![of_any_size(1e-3, 1e2), of_any_size(1.0, 1e4)];
        (name, of_any_size(1e-3, 1e2), of_any_size(1.0, 1e4), of_any_size(1e-3, 1e4), last, often).prop_map(
            |(name, r, alpha, third, fourth, repeats)| {
                let timing = Timing { repeats, span_days: repeats, tenure_days: repeats + 9 };
                let outlook = Process { name, parameters: [r, alpha, third, fourth] }.outlook(&timing);
                Outlook { p_alive: 1.0, ..outlook }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// By parts as well, but with many nodes, most of them near the start.
        #[test]
        fn discounting_finds_those_who_leave_soon(outlook in outlooks(), per_day in of_any_size(1e-6, 6.6e-3)) {
            for days in [30.0, 365.0, 3650.0] {
                let scale = outlook.posterior()[1];
                let length = (days / scale).ln_1p();
                let earlier = integral(&TWENTY, 60, 1.0, |places| places.map(|place| {
                    let grown = (length * place.powi(4)).exp();
                    let days = scale * (length * place.powi(4)).exp_m1();
                    let weight = 4.0 * place.powi(3) * length * grown * scale;
                    (-per_day * days).exp() * outlook.expected_alive(days) * weight
                }));
                let sum = (-per_day * days).exp() * outlook.expected_alive(days) + per_day * earlier;
                let found = outlook.discounted(days, per_day);
                prop_assert!((found / sum - 1.0).abs() < 1e-7, "{days} days: {found} {sum} {:?}", outlook.posterior());
            }
        }
    }

    #[test]
    fn guesses_change_nothing() {
        for (low, high) in [(0, 1), (0, 2), (-5, 40), (7, 3650)] {
            for first in low + 1..=high.min(low + 60) {
                for guess in
                    [i64::MIN, low - 1, low, first - 40, first - 1, first, first + 1, first + 9, high, i64::MAX]
                {
                    assert_eq!(bisect_near(low, high, guess, |number| number >= first), first, "{low} {high} {guess}");
                }
            }
        }
    }
}
