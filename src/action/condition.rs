//! Conditions of the action rules: which facts they can ask about and how.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value as Json;

use crate::column::{self, Column, Passing, SqlType, Value, whole};
use crate::countdown::{Countdown, DaysSince};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::prediction::{PredictedNumber, SeenByModel};

/// A condition: all of its tests and one of its `any` must hold.
///
/// As JSON an object of fact and expectation: a value, a list of values of which one must be it, or bounds
/// (`at_least`, `at_most`, `above`, `below`).
#[derive(Debug)]
pub struct Condition {
    tests: Vec<(Fact, Expectation)>,
    any: Vec<Condition>,
    written: serde_json::Map<String, Json>,
}

/// Something to ask about.
#[derive(Debug)]
enum Fact {
    Column(&'static Column),
    EngagementCount(String),
    EngagementLastOn(String),
}

#[derive(Debug)]
enum Expectation {
    OneOf(Vec<Value<'static>>),
    Within(Vec<(Bound, Value<'static>)>),
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// The fact whose expectations are names of the policy's own segments.
const RFM_SEGMENT: &str = "rfm_segment";

/// Reads JSON as an expectation of a column.
fn expected(column: &Column, json: &Json) -> Result<Value<'static>, String> {
    match column.sql_type {
        SqlType::Date => day(json),
        SqlType::Integer | SqlType::Bigint | SqlType::Numeric => number(json),
        SqlType::Boolean => flag(json),
        SqlType::Text => text(json, column.check_label),
    }
}

fn text(json: &Json, check_label: Option<fn(&str) -> crate::error::Result<()>>) -> Result<Value<'static>, String> {
    let text = json.as_str().ok_or_else(|| format!("expected a text, not {json}"))?;
    if let Some(check_label) = check_label {
        check_label(text).map_err(|error| format!("{}. {}", error.message, error.hint.unwrap_or_default()))?;
    }
    Ok(Value::Text(Cow::Owned(text.to_owned())))
}

fn number(json: &Json) -> Result<Value<'static>, String> {
    match json {
        Json::Number(number) => Decimal::parse(number.as_str()).map(Value::Number).map_err(|error| error.message),
        other => Err(format!("expected a number, not {other}")),
    }
}

fn flag(json: &Json) -> Result<Value<'static>, String> {
    json.as_bool().map(Value::Flag).ok_or_else(|| format!("expected true or false, not {json}"))
}

fn day(json: &Json) -> Result<Value<'static>, String> {
    let text = json.as_str().ok_or_else(|| format!("expected a day as \"YYYY-MM-DD\", not {json}"))?;
    Day::parse(text).map(Value::On).map_err(|error| error.message)
}

impl Fact {
    fn key(&self) -> String {
        match self {
            Fact::Column(column) => column.name.to_owned(),
            Fact::EngagementCount(kind) => format!("engagement.{kind}.count"),
            Fact::EngagementLastOn(kind) => format!("engagement.{kind}.last_on"),
        }
    }

    fn from_key(key: &str) -> Option<Self> {
        if let Some(kind) = key.strip_prefix("engagement.") {
            let count = kind.strip_suffix(".count").map(|kind| Fact::EngagementCount(kind.to_owned()));
            return count.or_else(|| kind.strip_suffix(".last_on").map(|kind| Fact::EngagementLastOn(kind.to_owned())));
        }
        column::known_to_rules().find(|column| column.name == key).map(Fact::Column)
    }

    fn read(&self, json: &Json) -> Result<Value<'static>, String> {
        match self {
            Fact::Column(column) => expected(column, json),
            Fact::EngagementCount(_) | Fact::EngagementLastOn(_) => number(json),
        }
    }

    /// What days that pass do to it.
    fn passing(&self) -> Passing {
        match self {
            Fact::Column(column) => column.passing,
            Fact::EngagementCount(_) => Passing::Told,
            Fact::EngagementLastOn(_) => Passing::CountsDays,
        }
    }

    /// In which order facts are asked about. Where one test fails, no day of the others is waited for: what changes with the days
    /// is asked last, and of that first what takes no time.
    fn order(&self) -> u8 {
        match self.passing() {
            Passing::Told => 0,
            Passing::CountsDays => 1,
            Passing::Falls(_) => 2,
        }
    }

    fn find<'a>(&self, facts: &Facts<'a>) -> Option<Value<'a>> {
        match self {
            Fact::Column(column) => (column.find)(facts),
            Fact::EngagementCount(kind) => Some(whole(facts.engagement?.count(kind, None, facts.as_of?))),
            Fact::EngagementLastOn(kind) => {
                let as_of = facts.as_of?;
                facts.engagement?.last_on(kind, as_of).map(|day| whole(as_of.days_since(day)))
            }
        }
    }
}

impl Expectation {
    fn read(fact: &Fact, json: &Json) -> Result<Self, String> {
        match json {
            Json::Array(values) => {
                values.iter().map(|value| fact.read(value)).collect::<Result<_, _>>().map(Expectation::OneOf)
            }
            Json::Object(bounds) => bounds
                .iter()
                .map(|(key, value)| bound(fact, key, value))
                .collect::<Result<_, _>>()
                .map(Expectation::Within),
            value => Ok(Expectation::OneOf(vec![fact.read(value)?])),
        }
    }

    /// Tells when so many days, of which there is one more every day, come out differently.
    fn tell_when_met_or_not(&self, days: DaysSince) {
        match self {
            Expectation::OneOf(values) => {
                for limit in values.iter().filter_map(Limit::of).filter(|limit| limit.is_whole) {
                    days.tell_when_reached(limit.floor);
                    days.tell_when_more_than(limit.floor);
                }
            }
            Expectation::Within(bounds) => {
                for (bound, limit) in bounds.iter().filter_map(|(bound, value)| Some((bound, Limit::of(value)?))) {
                    match bound {
                        Bound::AtLeast | Bound::Below if limit.is_whole => days.tell_when_reached(limit.floor),
                        _ => days.tell_when_more_than(limit.floor),
                    }
                }
            }
        }
    }

    /// Tells when a number that falls, or the word for it, comes out differently.
    fn tell_when_fallen(&self, number: PredictedNumber, seen: &SeenByModel, countdown: &Countdown) {
        let tell = |days: Option<i64>| days.into_iter().for_each(|days| countdown.tell(days));
        let at_most = |limit: &Decimal| tell(seen.days_until(number, |value| value <= *limit));
        let below = |limit: &Decimal| tell(seen.days_until(number, |value| value < *limit));
        match self {
            Expectation::OneOf(values) => {
                for value in values {
                    match value {
                        Value::Number(limit) => {
                            at_most(limit);
                            below(limit);
                        }
                        _ => tell(seen.days_until_other_band()),
                    }
                }
            }
            Expectation::Within(bounds) => {
                for (bound, value) in bounds {
                    match (bound, value) {
                        (Bound::AtLeast | Bound::Below, Value::Number(limit)) => below(limit),
                        (Bound::AtMost | Bound::Above, Value::Number(limit)) => at_most(limit),
                        _ => {}
                    }
                }
            }
        }
    }

    fn met_by(&self, value: &Value) -> bool {
        match self {
            Expectation::OneOf(values) => values.contains(value),
            Expectation::Within(bounds) => bounds.iter().all(|(bound, limit)| match bound {
                Bound::AtLeast => value >= limit,
                Bound::AtMost => value <= limit,
                Bound::Above => value > limit,
                Bound::Below => value < limit,
            }),
        }
    }
}

/// A number that days are compared with.
struct Limit {
    /// The greatest whole number that is not above it.
    floor: i64,
    /// Whether it is this number.
    is_whole: bool,
}

impl Limit {
    /// `None` for what is no number, and for one that no days reach.
    fn of(value: &Value) -> Option<Self> {
        let Value::Number(number) = value else { return None };
        let floor = number.floor()?;
        Some(Limit { floor, is_whole: Decimal::from(floor) == *number })
    }
}

fn bound(fact: &Fact, key: &str, json: &Json) -> Result<(Bound, Value<'static>), String> {
    let bound = match key {
        "at_least" => Bound::AtLeast,
        "at_most" => Bound::AtMost,
        "above" => Bound::Above,
        "below" => Bound::Below,
        other => return Err(format!("unknown bound {other:?}, use at_least, at_most, above or below")),
    };
    match fact.read(json)? {
        value @ (Value::Number(_) | Value::On(_)) => Ok((bound, value)),
        _ => Err(format!("{key} goes with numbers and days only")),
    }
}

impl Condition {
    /// Whether the condition holds for a customer; the facts' countdown is told when a number that changes with the days comes out
    /// differently.
    pub fn holds(&self, facts: &Facts) -> bool {
        let met = |(fact, expectation): &(Fact, Expectation)| {
            let value = fact.find(facts);
            match (fact.passing(), &value) {
                (Passing::CountsDays, Some(Value::Number(days))) => days.floor().into_iter().for_each(|days| {
                    expectation.tell_when_met_or_not(DaysSince::new(days, &facts.countdown));
                }),
                // What is too large for a number is unknown, and falls too.
                (Passing::Falls(number), _) => facts
                    .seen_by_model
                    .iter()
                    .for_each(|seen| expectation.tell_when_fallen(number, seen, &facts.countdown)),
                _ => {}
            }
            value.is_some_and(|value| expectation.met_by(&value))
        };
        self.tests.iter().all(met) && (self.any.is_empty() || self.any.iter().any(|condition| condition.holds(facts)))
    }

    /// Whether it asks nothing and holds for everybody.
    pub fn is_always(&self) -> bool {
        self.tests.is_empty() && self.any.is_empty()
    }

    /// The condition as the policy has it.
    pub fn as_written(&self) -> &serde_json::Map<String, Json> {
        &self.written
    }

    /// Adds every fact it asks about with what is known of it; null is unknown.
    pub fn collect_facts(&self, facts: &Facts, found: &mut serde_json::Map<String, Json>) {
        for (fact, _) in &self.tests {
            found.insert(fact.key(), serde_json::json!(fact.find(facts)));
        }
        self.any.iter().for_each(|condition| condition.collect_facts(facts, found));
    }

    /// The segment names it asks for.
    pub fn segment_names(&self) -> impl Iterator<Item = &str> {
        let mut names = Vec::new();
        self.collect_segment_names(&mut names);
        names.into_iter()
    }

    /// Adds the kinds of engagement events it asks about.
    pub fn collect_engagement_kinds<'a>(&'a self, kinds: &mut Vec<&'a str>) {
        kinds.extend(self.tests.iter().filter_map(|(fact, _)| match fact {
            Fact::EngagementCount(kind) | Fact::EngagementLastOn(kind) => Some(kind.as_str()),
            Fact::Column(_) => None,
        }));
        self.any.iter().for_each(|condition| condition.collect_engagement_kinds(kinds));
    }

    /// What is worth saying of a condition at a place in a document: that it asks about what only a model of purchases tells.
    pub fn find_predicted(&self, path: impl Into<String>, found: &mut Vec<Finding>) {
        let mut names = Vec::new();
        self.collect_predicted(&mut names);
        if !names.is_empty() {
            let message = format!("does not hold without a purchase_model, which tells {}", names.join(", "));
            found.push(Finding::new(Severity::Info, path, message));
        }
    }

    fn collect_predicted(&self, names: &mut Vec<&'static str>) {
        names.extend(self.tests.iter().filter_map(|(fact, _)| match fact {
            Fact::Column(Column { name, passing: Passing::Falls(_), .. }) => Some(*name),
            _ => None,
        }));
        self.any.iter().for_each(|condition| condition.collect_predicted(names));
    }

    fn collect_segment_names<'a>(&'a self, names: &mut Vec<&'a str>) {
        for test in &self.tests {
            if let (Fact::Column(Column { name: RFM_SEGMENT, .. }), Expectation::OneOf(values)) = test {
                names.extend(values.iter().filter_map(|value| match value {
                    Value::Text(name) => Some(name.as_ref()),
                    _ => None,
                }));
            }
        }
        self.any.iter().for_each(|condition| condition.collect_segment_names(names));
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tests;

        impl<'de> Visitor<'de> for Tests {
            type Value = Condition;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of facts and what is expected of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Condition, A::Error> {
                let mut condition = Condition { tests: Vec::new(), any: Vec::new(), written: Default::default() };
                while let Some(key) = map.next_key::<String>()? {
                    if key == "any" {
                        condition.any = map.next_value()?;
                        let written = condition.any.iter().map(|condition| Json::Object(condition.written.clone()));
                        condition.written.insert(key, written.collect());
                        continue;
                    }
                    let fact = Fact::from_key(&key).ok_or_else(|| {
                        let known: Vec<_> = column::known_to_rules().map(|column| column.name).collect();
                        let known = known.join(", ");
                        A::Error::custom(format!(
                            "unknown fact {key:?}; known are {known}, engagement.<kind>.count and engagement.<kind>.last_on"
                        ))
                    })?;
                    let expected = map.next_value()?;
                    let expectation = Expectation::read(&fact, &expected)
                        .map_err(|problem| A::Error::custom(format!("{key}: {problem}")))?;
                    condition.tests.push((fact, expectation));
                    condition.written.insert(key, expected);
                }
                condition.tests.sort_by_key(|(fact, _)| fact.order());
                Ok(condition)
            }
        }

        deserializer.deserialize_map(Tests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engagement::EngagementHistory;
    use crate::membership::Membership;

    fn holds(condition: &str, facts: &Facts) -> bool {
        serde_json::from_str::<Condition>(condition).unwrap().holds(facts)
    }

    #[test]
    fn tests_ask_about_facts() {
        let facts = Facts {
            orders: Some(3),
            monetary: Some(Decimal::parse("-0.01").unwrap()),
            membership: Some(Membership::Paused),
            first_purchase_on: Some(Day(0)),
            ..Facts::default()
        };
        assert!(holds("{}", &facts));
        assert!(holds(r#"{"orders": 3}"#, &facts));
        assert!(holds(r#"{"orders": [1, 3.0]}"#, &facts));
        assert!(!holds(r#"{"orders": []}"#, &facts));
        assert!(holds(r#"{"orders": {"above": 2, "at_most": 3}}"#, &facts));
        assert!(!holds(r#"{"orders": {"below": 3}}"#, &facts));
        assert!(holds(r#"{"monetary": {"below": 0}, "membership": "paused"}"#, &facts));
        assert!(!holds(r#"{"monetary": {"below": 0}, "membership": "continuing"}"#, &facts));
        assert!(holds(r#"{"any": [{"orders": 9}, {"first_purchase_on": {"at_least": "2000-01-01"}}]}"#, &facts));
        assert!(!holds(r#"{"any": [{"orders": 9}]}"#, &facts));
    }

    #[test]
    fn what_is_unknown_does_not_match() {
        let facts = Facts { as_of: Some(Day(9)), ..Facts::default() };
        assert!(!holds(r#"{"orders": {"at_least": 0}}"#, &facts));
        assert!(!holds(r#"{"engagement.review.count": 0}"#, &facts));
        let nothing = EngagementHistory::default();
        let facts = Facts { engagement: Some(&nothing), ..facts };
        assert!(holds(r#"{"engagement.review.count": 0}"#, &facts));
        assert!(!holds(r#"{"engagement.review.last_on": {"at_least": 0}}"#, &facts));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            r#"{"order": 3}"#,
            r#"{"orders": "3"}"#,
            r#"{"orders": null}"#,
            r#"{"orders": {"min": 3}}"#,
            r#"{"lifecycle_state": "no_such_state"}"#,
            r#"{"lifecycle_state": {"at_least": "vip"}}"#,
            r#"{"contact_allowed": 1}"#,
            r#"{"engagement.review": 1}"#,
            r#"{"any": {"orders": 3}}"#,
            r#"{"first_purchase_on": "today"}"#,
        ] {
            assert!(serde_json::from_str::<Condition>(text).is_err(), "{text}");
        }
    }
}
