//! Step scenarios: who enters, which message goes out after how many days, and what ends it, as one JSON document.

mod check;
mod due;
mod message;
mod preset;

pub use due::{DueStep, Scenarios, Why};
pub use message::{MESSAGES, Message};
pub use preset::{PRESETS, Preset, preset};

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::action::{Behavior, Condition};
use crate::contact::OwnChannels;
use crate::error::{Error, ErrorKind, Result};
use crate::event_history::check_name;
use crate::json::{self, canonical};
use crate::labels::labels;

/// The most days from entry to a step, and from the last step to the next entry.
pub const MAX_DAYS: u32 = 1_000;
/// The most steps of a scenario.
pub const MAX_STEPS: usize = 100;

const TYPE_NAME: &str = "scenario";

/// A scenario as it was written, and what it says.
#[derive(Debug)]
pub struct Scenario {
    value: Value,
    plan: Plan,
}

/// What a scenario says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its name, which the log of contacts has.
    pub name: String,
    /// Its title in English.
    pub title: String,
    /// Its title in Japanese; the English one where it is left out.
    pub title_ja: Option<String>,
    /// Of several scenarios a customer is in, the one with the lowest number goes on, the others wait.
    pub priority: u32,
    /// What it wants to bring about.
    pub behavior: Behavior,
    /// Who enters.
    pub enter_when: Condition,
    /// What ends it.
    pub stop_when: Vec<StopCondition>,
    /// So many days after the last step a customer may enter again; never where it is left out.
    pub reenter_after_days: Option<u32>,
    /// The steps, in order of day.
    pub steps: Vec<Step>,
}

/// A step of a scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name, unique in the scenario, which the log of contacts has.
    pub id: String,
    /// Days after entry.
    pub after_days: u32,
    /// What to say: one of [`MESSAGES`], or the shop's own.
    pub message_key: String,
    /// Channels in order of preference; then those of the policy, then any other.
    pub channels: Option<Vec<String>>,
    /// Whether no others will do.
    #[serde(default)]
    pub only_channels: bool,
    /// The shop's name for what is offered, if anything is.
    pub offer: Option<String>,
}

impl Step {
    /// The channels that it names.
    pub fn own_channels(&self) -> OwnChannels<'_> {
        OwnChannels { named: self.channels.as_deref(), only: self.only_channels }
    }
}

labels! {
    /// What ends a scenario for a customer, in the order in which they are tried.
    StopCondition "stop condition" {
        /// A complaint, return or low rating on or after the day of the first step.
        Complained = "complained", "Complained", "苦情";
        /// A purchase after the day of the first step.
        Bought = "bought", "Bought", "購入";
        /// The entry condition does not hold any more.
        LeftSegment = "left_segment", "Left the segment", "対象外";
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`] naming the path of an unknown or missing key, a wrong type, an unknown label, a name that
    /// stands twice, or days that do not ascend; [`ErrorKind::LimitExceeded`] beyond [`canonical::MAX_BYTES`].
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).map_err(|error| match error.hint {
            Some(_) => error,
            None => error.hint("preset_scenario('at_risk_check_in') is an example; scenario_presets() lists them all."),
        })
    }

    fn read(text: &str) -> Result<Self> {
        let value = canonical::read(TYPE_NAME, text)?;
        let plan: Plan = json::from_value(TYPE_NAME, value.clone())?;
        plan.check()?;
        Ok(Scenario { value, plan })
    }

    /// What it says.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_bytes(self)
    }

    /// The scenario that has these canonical bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] when none has them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        canonical::from_bytes(TYPE_NAME, bytes, Self::parse)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl Plan {
    fn check(&self) -> Result<()> {
        logged("name", &self.name)?;
        require(!self.title.is_empty(), "title", || "the title is empty".to_owned())?;
        within(1, self.reenter_after_days.unwrap_or(1), "reenter_after_days")?;
        let count = self.steps.len();
        require((1..=MAX_STEPS).contains(&count), "steps", || {
            format!("1 to {MAX_STEPS} steps are needed, not {count}")
        })?;
        let mut seen = HashSet::new();
        for (position, step) in self.steps.iter().enumerate() {
            let path = |key: &str| format!("steps[{position}].{key}");
            logged(&path("id"), &step.id)?;
            require(seen.insert(&step.id), &path("id"), || format!("the name {:?} stands twice", step.id))?;
            within(0, step.after_days, &path("after_days"))?;
            let before = position.checked_sub(1).map(|before| self.steps[before].after_days);
            require(before.is_none_or(|before| before < step.after_days), &path("after_days"), || {
                format!("days must ascend, {} comes after {}", step.after_days, before.unwrap_or_default())
            })?;
            logged(&path("message_key"), &step.message_key)?;
            let names_some = !step.only_channels || step.channels.is_some();
            require(names_some, &path("only_channels"), || "the step names no channels".to_owned())?;
            if let Some(channels) = &step.channels {
                require(!channels.is_empty(), &path("channels"), || "no channel is named".to_owned())?;
                channels.iter().try_for_each(|channel| logged(&path("channels"), channel))?;
            }
        }
        Ok(())
    }
}

/// Checks that the log of contacts can hold a name.
fn logged(path: &str, name: &str) -> Result<()> {
    check_name("name", name).map_err(|error| invalid(path, &error.message))
}

fn within(least: u32, days: u32, path: &str) -> Result<()> {
    require((least..=MAX_DAYS).contains(&days), path, || format!("{days} is not within {least} to {MAX_DAYS}"))
}

fn require(holds: bool, path: &str, problem: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(invalid(path, &problem())) }
}

fn invalid(path: &str, problem: &str) -> Error {
    Error::new(ErrorKind::InvalidText, format!("invalid {TYPE_NAME}: {path}: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"name": "a", "title": "A", "priority": 1, "behavior": "care", "enter_when": {"lifecycle_state": "at_risk"},
        "stop_when": ["bought"], "steps": [{"id": "x", "after_days": 0, "message_key": "check_in"}, {"id": "y", "after_days": 7, "message_key": "m"}]}"#;

    #[test]
    fn text_and_bytes_come_back() {
        let scenario: Scenario = Scenario::parse(SMALL).unwrap();
        let text = scenario.to_string();
        assert!(text.starts_with(r#"{"behavior":"care","enter_when":"#), "{text}");
        assert_eq!(Scenario::parse(&text).unwrap().to_bytes(), scenario.to_bytes());
        assert_eq!(Scenario::from_bytes(&scenario.to_bytes()).unwrap().to_string(), text);
    }

    #[test]
    fn errors_name_the_path() {
        for (from, to, path) in [
            (r#""title": "A", "#, "", "missing field `title`"),
            (r#""title": "A""#, r#""title": """#, "title: the title is empty"),
            (r#""priority": 1"#, r#""priority": -1"#, "priority: "),
            (r#""care""#, r#""caring""#, "behavior: unknown behavior"),
            (
                r#""at_risk""#,
                r#""no_such_state""#,
                "enter_when: lifecycle_state: unknown lifecycle state: \"no_such_state\"",
            ),
            (r#""lifecycle_state""#, r#""state""#, "enter_when: unknown fact \"state\""),
            (r#"["bought"]"#, r#"["paid"]"#, "stop_when[0]: unknown stop condition: \"paid\". Use one of: complained"),
            (r#"["bought"]"#, r#""bought""#, "stop_when: "),
            (r#""after_days": 7"#, r#""after_days": -7"#, "steps[1].after_days: "),
            (r#""after_days": 7"#, r#""after_days": 0"#, "steps[1].after_days: days must ascend, 0 comes after 0"),
            (r#""after_days": 7"#, r#""after_days": 1001"#, "steps[1].after_days: 1001 is not within 0 to 1000"),
            (r#""after_days": 7"#, r#""after_days": 7, "next": "x""#, "steps[1].next: unknown field"),
            (r#""id": "y""#, r#""id": "x""#, "steps[1].id: the name \"x\" stands twice"),
            (r#""id": "y""#, r#""id": """#, "steps[1].id: invalid name"),
            (r#""message_key": "m""#, r#""channels": []"#, "steps[1]: missing field `message_key`"),
            (r#""message_key": "m""#, r#""message_key": "m", "channels": []"#, "steps[1].channels: no channel"),
            (
                r#""message_key": "m""#,
                r#""message_key": "m", "only_channels": true"#,
                "steps[1].only_channels: the step names no channels",
            ),
            (r#""priority": 1"#, r#""priority": 1, "reenter_after_days": 0"#, "reenter_after_days: 0 is not within 1"),
        ] {
            assert!(SMALL.contains(from), "{from}");
            let error = Scenario::parse(&SMALL.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidText, "{to}");
            assert!(error.message.contains(path), "{to}: {}", error.message);
            assert!(error.hint.is_some());
        }
        for text in ["", "[]", "{}", "null", "5"] {
            assert_eq!(Scenario::parse(text).unwrap_err().kind, ErrorKind::InvalidText, "{text}");
        }
    }
}
