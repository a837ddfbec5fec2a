//! What ties a customer to the shop: the relation score, made of her events.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::countdown::Countdown;
use crate::day::Day;
use crate::decimal::{Decimal, Millionths};
use crate::engagement::EngagementHistory;
use crate::error::Result;
use crate::finding::Contradictions;

/// The highest that a score can be.
pub const HUNDRED: Millionths = Millionths(100 * Millionths::ONE);

/// How events make the relation score.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// Only events of the last so many days count, as_of included.
    pub window_days: u32,
    /// Weight by kind; kinds not named weigh nothing.
    pub kinds: BTreeMap<String, KindWeight>,
}

impl Relation {
    /// What of these weights contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        for (kind, KindWeight { weight, .. }) in &self.kinds {
            found.require_within(*weight, HUNDRED, &format!("relation.kinds.{kind}.weight"));
        }
        found.require(self.window_days > 0, "relation.window_days", "it must be at least 1");
    }

    /// The most that the relation score can be, in millionths.
    pub fn most(&self) -> i128 {
        let most = self.kinds.values().map(|kind| i128::from(kind.cap) * kind.weight.get()).sum::<i128>();
        most.min(HUNDRED.get())
    }

    /// The same in words.
    pub fn most_in_words(&self) -> String {
        format!("relation.kinds make at most {} points", Millionths(self.most() as i64))
    }
}

/// The weight of one kind of event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWeight {
    /// Points an event.
    pub weight: Millionths,
    /// Events beyond this many add nothing.
    pub cap: u32,
}

/// The relation score at `as_of`, 0..100: `least(100, sum over kinds of least(count, cap) * weight)`, events of the last
/// window_days that are known: those up to `known_until`. `countdown` is told when the first of those that the points are for
/// leaves the window.
pub fn score(
    engagement: &EngagementHistory,
    as_of: Day,
    known_until: Day,
    policy: &Relation,
    countdown: &Countdown,
) -> Millionths {
    let points = points(engagement, as_of, known_until, policy).map(|kind| {
        if let Some(oldest) = kind.oldest_counted.filter(|_| kind.points > 0) {
            countdown.tell(i64::from(policy.window_days) - as_of.days_since(oldest));
        }
        kind.points
    });
    Millionths(points.sum::<i128>().min(HUNDRED.get()) as i64)
}

/// What one kind of event adds to the relation score.
#[derive(Clone, Copy, Debug)]
pub struct KindPoints<'a> {
    /// The kind.
    pub kind: &'a str,
    /// Its weight and cap.
    pub policy: &'a KindWeight,
    /// How many events there were.
    pub count: i64,
    /// The day of the oldest of the last `cap` of them; `None` where none counts.
    oldest_counted: Option<Day>,
    /// `least(count, cap) * weight`, in millionths.
    pub points: i128,
}

/// What each weighted kind adds to the relation score; arguments as for [`score`].
pub fn points<'a>(
    engagement: &'a EngagementHistory,
    as_of: Day,
    known_until: Day,
    policy: &'a Relation,
) -> impl Iterator<Item = KindPoints<'a>> {
    let window_start = as_of.plus(-i64::from(policy.window_days));
    policy.kinds.iter().map(move |(kind, policy)| {
        let (count, oldest_counted) = engagement.count_and_day_of(kind, window_start, known_until, policy.cap);
        KindPoints {
            kind,
            policy,
            count,
            oldest_counted,
            points: i128::from(count.min(policy.cap.into())) * policy.weight.get(),
        }
    })
}

/// The relation score and the points that made it, for explanations; `points` is `None` where engagement is not tracked.
///
/// # Errors
/// As [`shown`].
pub fn reasons<'a>(
    points: Option<impl Iterator<Item = KindPoints<'a>>>,
    score: Option<Millionths>,
    as_of: Day,
    policy: &Relation,
) -> Result<Value> {
    let exactly = |millionths: i128| Decimal::new(millionths, 6).normalized();
    let mut sum = 0;
    let kinds: Option<Map<_, _>> = points.map(|points| {
        points
            .map(|KindPoints { kind, policy: KindWeight { weight, cap }, count, points, .. }| {
                sum += points;
                (kind.to_owned(), json!({ "count": count, "cap": cap, "weight": weight, "points": exactly(points) }))
            })
            .collect()
    });
    Ok(json!({
        "score": score.map(shown).transpose()?,
        "sum_of_points": kinds.as_ref().map(|_| exactly(sum)),
        "kinds": kinds,
        "window_days": policy.window_days,
        "from_day": as_of.plus(1 - i64::from(policy.window_days)),
        "to_day": as_of,
        "rule": match score {
            Some(_) => "least(100, sum of least(count, cap) * weight)",
            None => "engagement is not tracked",
        },
    }))
}

/// A relation score as it is shown: rounded to 2 decimals.
///
/// # Errors
/// None for a score from 0 to 100.
pub fn shown(score: Millionths) -> Result<Decimal> {
    Decimal::quotient(score.get(), Millionths::ONE.into(), 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Document;

    #[test]
    fn relation_counts_the_last_window_and_caps() {
        let document = Document::empty();
        let policy = &document.policy().unwrap().relation;
        let score = |events: &[(&str, i32, u32)]| {
            let events = events.iter().map(|&(kind, day, count)| (kind, Day(day), count));
            score(&EngagementHistory::new(events).unwrap(), Day(1000), Day(1000), policy, &Countdown::default())
                .to_string()
        };
        assert_eq!(score(&[]), "0");
        assert_eq!(score(&[("review", 1000, 2), ("survey", 700, 1), ("referral", 636, 1)]), "50");
        assert_eq!(score(&[("referral", 635, 1), ("review", 1001, 1), ("usage_report", 900, 5)]), "0");
        assert_eq!(score(&[("referral", 900, 9)]), "60");
        assert_eq!(score(&[("referral", 900, 9), ("event", 900, 9)]), "100");
    }
}
