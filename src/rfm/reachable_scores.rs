//! Which digits and segments some customer can get.

use std::ops::RangeInclusive;

use super::{RfmCuts, Scores, SegmentRule, Segments};
use crate::day::LONGEST_RECENCY;
use crate::decimal::Decimal;
use crate::finding::{Finding, Severity};

impl RfmCuts {
    /// The digits that some customer can get, where nobody's F is above `most_frequency`, in the order r, f, m: R is a whole number
    /// from 0, F one from 1, M any amount.
    fn reachable_digits(&self, most_frequency: i64) -> [ReachableDigits; 3] {
        [
            ReachableDigits::of_whole_numbers(&self.recency_cuts, 0..=LONGEST_RECENCY).mirrored(),
            ReachableDigits::of_whole_numbers(&self.frequency_cuts, 1..=most_frequency),
            ReachableDigits::of_amounts(&self.monetary_cuts),
        ]
    }

    /// The digits that nobody gets.
    pub fn find_unreachable_digits(&self, most_frequency: i64, found: &mut Vec<Finding>) {
        let digits = self.reachable_digits(most_frequency);
        for (((path, _), letter), digits) in self.dimensions().into_iter().zip(["r", "f", "m"]).zip(digits) {
            for digit in digits.unreachable() {
                found.push(Finding::new(Severity::Warning, path, format!("no customer can get {letter} = {digit}")));
            }
        }
    }

    /// All scores of reachable digits, ascending.
    fn reachable_scores(&self, most_frequency: i64) -> Vec<Scores> {
        let [r, f, m] = self.reachable_digits(most_frequency);
        let with_f = |r| {
            f.digits().flat_map({
                let m = &m;
                move |f| m.digits().map(move |m| Scores { r, f, m })
            })
        };
        r.digits().flat_map(with_f).collect()
    }
}

impl Segments {
    /// The rules that no score reaches, and the scores that no rule names.
    pub fn find_unreachable_rules(&self, cuts: &RfmCuts, most_frequency: i64, found: &mut Vec<Finding>) {
        let scores = cuts.reachable_scores(most_frequency);
        let names: Vec<&str> = scores.iter().map(|scores| scores.segment(self)).collect();
        for (position, SegmentRule { name, .. }) in self.rules.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                let message = format!(
                    "no reachable score is {name}: rules before it match first, or its digits are out of reach"
                );
                found.push(Finding::new(Severity::Warning, format!("segments.rules[{position}]"), message));
            }
        }
        let ruled = |name: &str| self.rules.iter().any(|rule| rule.name == name);
        let left = scores.iter().zip(&names).filter(|(_, name)| !ruled(name));
        let left: Vec<String> = left.map(|(scores, _)| scores.code().to_string()).collect();
        if !left.is_empty() {
            let shown = left.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            let more = if left.len() > 20 { ", ..." } else { "" };
            let message = format!(
                "{} of {} scores have no rule and are {}: {shown}{more}",
                left.len(),
                scores.len(),
                self.default
            );
            found.push(Finding::new(Severity::Info, "segments.default", message));
        }
    }
}

/// Which digits of a dimension some customer can get, in order of the digit.
struct ReachableDigits(Vec<bool>);

impl ReachableDigits {
    /// A digit is reached when one of these whole numbers lies above the cut before it and not above its own.
    fn of_whole_numbers(cuts: &[Decimal], numbers: RangeInclusive<i64>) -> Self {
        let floor = |cut: &Decimal| cut.floor().unwrap_or(if *cut < Decimal::ZERO { i64::MIN } else { i64::MAX });
        let above = |cut: Option<&Decimal>| {
            cut.map_or(*numbers.start(), |cut| floor(cut).saturating_add(1).max(*numbers.start()))
        };
        ReachableDigits(
            (0..=cuts.len())
                .map(|digit| {
                    let lowest = above(digit.checked_sub(1).map(|before| &cuts[before]));
                    lowest <= cuts.get(digit).map_or(i64::MAX, floor).min(*numbers.end())
                })
                .collect(),
        )
    }

    fn of_amounts(cuts: &[Decimal]) -> Self {
        let reached = |digit: usize| digit == 0 || digit == cuts.len() || cuts[digit - 1] < cuts[digit];
        ReachableDigits((0..=cuts.len()).map(reached).collect())
    }

    fn mirrored(mut self) -> Self {
        self.0.reverse();
        self
    }

    fn unreachable(&self) -> impl Iterator<Item = usize> {
        (1..).zip(&self.0).filter(|(_, reached)| !**reached).map(|(digit, _)| digit)
    }

    fn digits(&self) -> impl Iterator<Item = u8> + Clone {
        (1..).zip(&self.0).filter(|(_, reached)| **reached).map(|(digit, _)| digit)
    }
}
