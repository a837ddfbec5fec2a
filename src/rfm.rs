//! Recency, frequency, monetary: a digit each, a code of the three, a name for the code.

mod reachable_scores;

use crate::countdown::DaysSince;
use crate::decimal::{Decimal, Millionths};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Contradictions;
use crate::history::MAX_DAYS;
use crate::labels::labels;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

labels! {
    /// What F counts.
    Frequency "frequency" {
        /// Purchases.
        Orders = "orders", "Orders", "購入回数";
        /// Days with a purchase.
        PurchaseDays = "purchase_days", "Purchase days", "購入日数";
    }
}

labels! {
    /// A segment of the default policy; a policy may have others, which are called by their names.
    Segment "rfm segment" {
        /// Buys often, much and recently.
        Champions = "champions", "Champions", "最優良";
        /// Buys often.
        Loyal = "loyal", "Loyal", "ロイヤル";
        /// Has bought several times, the last time recently.
        PotentialLoyalist = "potential_loyalist", "Potential loyalists", "ロイヤル候補";
        /// Has just bought for the first time.
        FirstTimers = "first_timers", "First-timers", "初回購入";
        /// Bought once, not long ago.
        Promising = "promising", "Promising", "有望";
        /// Has bought several times, not so recently.
        NeedsAttention = "needs_attention", "Needs attention", "要注意";
        /// Bought once, not so recently.
        AboutToSleep = "about_to_sleep", "About to sleep", "休眠間近";
        /// Bought often and much, long ago.
        CannotLose = "cannot_lose", "Cannot lose", "離反させたくない優良客";
        /// Bought often, long ago.
        Slipping = "slipping", "Slipping away", "離れかけ";
        /// Bought a few times, long ago.
        Hibernating = "hibernating", "Hibernating", "低関心";
        /// None of these.
        Lost = "lost", "Lost", "離反";
    }
}

impl Frequency {
    /// The most that F can be in a history of so many purchase days.
    pub fn most_of(self, days: i64) -> i64 {
        match self {
            Frequency::Orders => days * i64::from(u32::MAX),
            Frequency::PurchaseDays => days,
        }
    }

    /// The most that F can be.
    pub fn most(self) -> i64 {
        self.most_of(MAX_DAYS as i64)
    }
}

/// Cut points, 1 to 8 a dimension, never decreasing: k = cuts + 1 digits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RfmCuts {
    /// In days.
    pub recency_cuts: Vec<Decimal>,
    /// In what F counts.
    pub frequency_cuts: Vec<Decimal>,
    /// In currency units.
    pub monetary_cuts: Vec<Decimal>,
}

impl RfmCuts {
    /// The cuts of each dimension with their path in the document, in the order r, f, m.
    fn dimensions(&self) -> [(&'static str, &[Decimal]); 3] {
        [
            ("rfm.recency_cuts", &self.recency_cuts),
            ("rfm.frequency_cuts", &self.frequency_cuts),
            ("rfm.monetary_cuts", &self.monetary_cuts),
        ]
    }

    /// What of these cuts contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        for (path, cuts) in self.dimensions() {
            found.require((1..=8).contains(&cuts.len()), path, format!("1 to 8 cuts are needed, not {}", cuts.len()));
            found.require(cuts.is_sorted(), path, "cuts must not decrease");
        }
    }
}

/// Ordered segment rules, first match wins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// The rules.
    pub rules: Vec<SegmentRule>,
    /// The name where no rule matches.
    pub default: String,
}

impl Segments {
    /// The names of the segments in their order, each once; the default comes last where no rule has its name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let is_rule = self.rules.iter().any(|rule| rule.name == self.default);
        self.rules.iter().map(|rule| rule.name.as_str()).chain(Some(self.default.as_str()).filter(|_| !is_rule))
    }

    /// Whether a segment is called so.
    pub fn has(&self, name: &str) -> bool {
        self.default == name || self.rules.iter().any(|rule| rule.name == name)
    }

    /// What of these rules contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        found.require_unique("segments.rules", self.rules.iter().map(|rule| rule.name.as_str()));
        found.require(!self.default.is_empty(), "segments.default", "the name is empty");
        for (position, rule) in self.rules.iter().enumerate() {
            let sound =
                |DigitRanges { r, f, m }: &DigitRanges| [r, f, m].iter().all(|(low, high)| (1..=*high).contains(low));
            found.require(
                rule.any.iter().all(sound),
                format!("segments.rules[{position}].any"),
                "a range of digits goes from low to high, beginning with 1",
            );
        }
    }
}

/// A segment's name and the digits that belong to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRule {
    /// The segment's name, unique among the rules.
    pub name: String,
    /// One of these must match.
    pub any: Vec<DigitRanges>,
}

/// Ranges of digits, both ends included; a dimension that is left out matches every digit.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DigitRanges {
    /// Recency digits.
    #[serde(default = "every_digit")]
    pub r: (u8, u8),
    /// Frequency digits.
    #[serde(default = "every_digit")]
    pub f: (u8, u8),
    /// Monetary digits.
    #[serde(default = "every_digit")]
    pub m: (u8, u8),
}

fn every_digit() -> (u8, u8) {
    (1, 9)
}

/// The digits of a customer, 1 worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scores {
    /// Recency.
    pub r: u8,
    /// Frequency.
    pub f: u8,
    /// Monetary.
    pub m: u8,
}

/// `1 + number of cuts strictly below value`: equal values always get equal digits.
fn digit(value: Decimal, cuts: &[Decimal]) -> u8 {
    1 + cuts.partition_point(|cut| *cut < value) as u8
}

/// The best digit of a dimension.
pub fn best_digit(cuts: &[Decimal]) -> u8 {
    1 + cuts.len() as u8
}

/// `best digit - number of cuts strictly below`: the recency digit is counted down, and falls as days pass.
fn recency_digit(recency: DaysSince, cuts: &[Decimal]) -> u8 {
    let worst_first = digit(recency.days().into(), cuts);
    // The next cut in time: whole days exceed it when they exceed its whole part.
    if let Some(days) = cuts.get(usize::from(worst_first) - 1).and_then(|cut| cut.floor()) {
        recency.tell_when_more_than(days);
    }
    best_digit(cuts) + 1 - worst_first
}

impl Scores {
    /// Scores days since the last purchase, F and M (currency units) by the policy's cuts.
    pub fn of(recency: DaysSince, frequency: i64, monetary: Decimal, cuts: &RfmCuts) -> Self {
        Scores {
            r: recency_digit(recency, &cuts.recency_cuts),
            f: digit(frequency.into(), &cuts.frequency_cuts),
            m: digit(monetary, &cuts.monetary_cuts),
        }
    }

    /// The three digits as one number, for example 543.
    pub fn code(self) -> i32 {
        i32::from(self.r) * 100 + i32::from(self.f) * 10 + i32::from(self.m)
    }

    /// The digits of a code.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] when a digit is none of the policy's.
    pub fn from_code(code: i32, cuts: &RfmCuts) -> Result<Self> {
        let best = [&cuts.recency_cuts, &cuts.frequency_cuts, &cuts.monetary_cuts].map(|cuts| best_digit(cuts));
        let digits = [code / 100, code / 10 % 10, code % 10].map(|digit| u8::try_from(digit).unwrap_or(0));
        if code < 0 || digits.iter().zip(best).any(|(&digit, best)| !(1..=best).contains(&digit)) {
            let [r, f, m] = best;
            return Err(Error::new(ErrorKind::InvalidParameter, format!("not an rfm score: {code}"))
                .hint(format!("By this policy the digits go from 1 to {r} (r), {f} (f) and {m} (m).")));
        }
        let [r, f, m] = digits;
        Ok(Scores { r, f, m })
    }

    /// The name of the first segment rule that matches, or the default's.
    pub fn segment(self, segments: &Segments) -> &str {
        self.segment_rule(segments).map_or(&segments.default, |position| &segments.rules[position].name)
    }

    /// The position of the first segment rule that matches; `None` where none does.
    pub fn segment_rule(self, segments: &Segments) -> Option<usize> {
        segments.rules.iter().position(|rule| rule.any.iter().any(|ranges| self.within(ranges)))
    }

    /// Whether all three digits lie in these ranges.
    pub fn within(self, ranges: &DigitRanges) -> bool {
        let within = |digit: u8, (low, high): (u8, u8)| (low..=high).contains(&digit);
        within(self.r, ranges.r) && within(self.f, ranges.f) && within(self.m, ranges.m)
    }

    /// The segment and the rule that named it, for explanations.
    pub fn segment_reasons(self, segments: &Segments) -> Value {
        let position = self.segment_rule(segments);
        let matched = position.and_then(|position| segments.rules[position].any.iter().find(|r| self.within(r)));
        json!({
            "segment": self.segment(segments),
            "decided_by": match position {
                Some(position) => format!("segments.rules[{position}]"),
                None => "segments.default".to_owned(),
            },
            "digits_within": matched,
        })
    }

    /// The value score.
    pub fn value_score(self, cuts: &RfmCuts) -> ValueScore {
        let steps = [&cuts.recency_cuts, &cuts.frequency_cuts, &cuts.monetary_cuts].map(|cuts| cuts.len() as i128);
        let [r, f, m] = [self.r, self.f, self.m].map(|digit| i128::from(digit) - 1);
        ValueScore {
            numerator: 100 * (r * steps[1] * steps[2] + steps[0] * f * steps[2] + steps[0] * steps[1] * m),
            denominator: 3 * steps[0] * steps[1] * steps[2],
        }
    }
}

/// The digits of a customer and what made them.
#[derive(Clone, Copy, Debug)]
pub struct ScoreDecision<'a> {
    /// The digits.
    pub scores: Scores,
    /// Days since the last purchase.
    pub recency_days: i64,
    /// What F counts, and F.
    pub frequency: (Frequency, i64),
    /// M, in currency units.
    pub monetary: Decimal,
    /// The cuts.
    pub cuts: &'a RfmCuts,
}

impl ScoreDecision<'_> {
    /// The code and what made each digit, for explanations.
    pub fn reasons(&self) -> Value {
        let dimension = |fact: &str, value: Decimal, cuts: &[Decimal], digit: u8| json!({ "fact": fact, "value": value, "cuts": cuts, "digit": digit, "best_digit": best_digit(cuts) });
        let (counted, frequency) = self.frequency;
        let (scores, cuts) = (self.scores, self.cuts);
        json!({
            "score": scores.code(),
            "r": dimension("recency_days", self.recency_days.into(), &cuts.recency_cuts, scores.r),
            "f": dimension(counted.name(), frequency.into(), &cuts.frequency_cuts, scores.f),
            "m": dimension("monetary", self.monetary, &cuts.monetary_cuts, scores.m),
            "rule": "digit: 1 + number of cuts below the value; for r counted down from the best digit",
        })
    }

    /// The value score and the digits that made it, for explanations.
    ///
    /// # Errors
    /// As [`ValueScore::rounded`].
    pub fn value_reasons(&self) -> Result<Value> {
        let dimension = |digit: u8, cuts: &[Decimal]| json!({ "digit": digit, "best_digit": best_digit(cuts) });
        let (scores, cuts) = (self.scores, self.cuts);
        Ok(json!({
            "score": scores.value_score(cuts).rounded()?,
            "r": dimension(scores.r, &cuts.recency_cuts),
            "f": dimension(scores.f, &cuts.frequency_cuts),
            "m": dimension(scores.m, &cuts.monetary_cuts),
            "rule": "mean of (digit - 1) / (best_digit - 1) * 100",
        }))
    }
}

/// The mean over r, f, m of `(digit - 1) / (k - 1) * 100`, as an exact fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueScore {
    /// Above the line.
    pub numerator: i128,
    /// Below the line, above 0.
    pub denominator: i128,
}

impl ValueScore {
    /// Whether it is at least `limit` (0..100), without rounding.
    pub fn at_least(self, limit: Millionths) -> bool {
        self.numerator * i128::from(Millionths::ONE) >= limit.get() * self.denominator
    }

    /// Rounded to 2 decimals.
    pub fn rounded(self) -> Result<Decimal> {
        Decimal::quotient(self.numerator, self.denominator, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::countdown::Countdown;
    use crate::policy::Document;

    fn scores(document: &Document, recency: i64, frequency: i64, monetary: &str) -> i32 {
        let (cuts, countdown) = (&document.policy().unwrap().rfm, Countdown::default());
        Scores::of(DaysSince::new(recency, &countdown), frequency, Decimal::parse(monetary).unwrap(), cuts).code()
    }

    #[test]
    fn a_digit_counts_the_cuts_strictly_below() {
        let default = Document::empty();
        assert_eq!(scores(&default, 0, 6, "20000.01"), 555);
        assert_eq!(scores(&default, 30, 5, "20000"), 544);
        assert_eq!(scores(&default, 31, 4, "15000.00"), 443);
        assert_eq!(scores(&default, 90, 3, "5000.01"), 332);
        assert_eq!(scores(&default, 180, 2, "5000"), 221);
        assert_eq!(scores(&default, 181, 1, "-1"), 111);
    }

    #[test]
    fn equal_cuts_leave_a_digit_unreachable() {
        let policy = Document::parse(r#"{"rfm": {"frequency_cuts": [1, 1, 2, 4]}}"#).unwrap();
        let f: Vec<_> = (1..7).map(|frequency| scores(&policy, 0, frequency, "0") / 10 % 10).collect();
        assert_eq!(f, [1, 3, 4, 4, 5, 5]);
    }

    #[test]
    fn codes_outside_the_policy_are_refused() {
        let cuts = &Document::empty().policy().map(|policy| policy.rfm.recency_cuts.len()).unwrap();
        assert_eq!(*cuts, 4);
        let document = Document::empty();
        let cuts = &document.policy().unwrap().rfm;
        for code in [0, 11, 55, 556, 605, 560, 1111, -555, i32::MIN, i32::MAX] {
            assert!(Scores::from_code(code, cuts).is_err(), "{code}");
        }
        assert_eq!(Scores::from_code(543, cuts).unwrap().code(), 543);
    }

    #[test]
    fn value_score_is_the_mean_of_the_three() {
        let document = Document::parse(r#"{"rfm": {"monetary_cuts": [10]}}"#).unwrap();
        let cuts = &document.policy().unwrap().rfm;
        let value = |code| Scores::from_code(code, cuts).unwrap().value_score(cuts).rounded().unwrap().to_string();
        assert_eq!(value(552), "100.00");
        assert_eq!(value(111), "0.00");
        assert_eq!(value(512), "66.67");
        assert_eq!(value(211), "8.33");
    }

    /// All 125 codes of the default policy, by the everyday meaning of the names.
    #[test]
    fn the_default_map_of_segments() {
        let rows = [
            // f  m1 m2 m3 m4 m5, for r = 5 down to 1
            (5, 1, "first_timers first_timers first_timers first_timers first_timers"),
            (5, 2, "potential_loyalist potential_loyalist potential_loyalist potential_loyalist potential_loyalist"),
            (5, 3, "potential_loyalist potential_loyalist loyal loyal loyal"),
            (5, 4, "potential_loyalist potential_loyalist loyal champions champions"),
            (5, 5, "potential_loyalist potential_loyalist loyal champions champions"),
            (4, 1, "promising promising promising promising promising"),
            (4, 2, "potential_loyalist potential_loyalist potential_loyalist potential_loyalist potential_loyalist"),
            (4, 3, "potential_loyalist potential_loyalist loyal loyal loyal"),
            (4, 4, "potential_loyalist potential_loyalist loyal champions champions"),
            (4, 5, "potential_loyalist potential_loyalist loyal champions champions"),
            (3, 1, "about_to_sleep about_to_sleep about_to_sleep about_to_sleep about_to_sleep"),
            (3, 2, "needs_attention needs_attention needs_attention needs_attention needs_attention"),
            (3, 3, "needs_attention needs_attention needs_attention needs_attention needs_attention"),
            (3, 4, "needs_attention needs_attention loyal loyal loyal"),
            (3, 5, "needs_attention needs_attention loyal loyal loyal"),
            (2, 1, "hibernating hibernating hibernating hibernating hibernating"),
            (2, 2, "hibernating hibernating hibernating hibernating hibernating"),
            (2, 3, "slipping slipping slipping slipping slipping"),
            (2, 4, "slipping slipping slipping cannot_lose cannot_lose"),
            (2, 5, "slipping slipping slipping cannot_lose cannot_lose"),
            (1, 1, "lost lost lost lost lost"),
            (1, 2, "hibernating hibernating hibernating hibernating hibernating"),
            (1, 3, "hibernating hibernating hibernating hibernating hibernating"),
            (1, 4, "slipping slipping slipping cannot_lose cannot_lose"),
            (1, 5, "slipping slipping slipping cannot_lose cannot_lose"),
        ];
        let document = Document::empty();
        let policy = document.policy().unwrap();
        for (r, f, names) in rows {
            for (m, name) in (1..=5).zip(names.split(' ')) {
                assert_eq!(Scores { r, f, m }.segment(&policy.segments), name, "{r}{f}{m}");
            }
        }
    }
}
