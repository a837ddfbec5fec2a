//! The one next step: ordered rules over what is known of a customer, first match wins.

mod condition;

pub use condition::Condition;

use crate::contact::OwnChannels;
use crate::day::Day;
use crate::facts::Facts;
use crate::finding::{Contradictions, Finding, Severity};
use crate::labels::labels;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The rules of the one next step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextAction {
    /// In order, first match wins.
    pub rules: Vec<ActionRule>,
}

impl NextAction {
    /// What of these rules contradicts itself; `has_segment` says whether a segment is called so.
    pub fn check(&self, has_segment: impl Fn(&str) -> bool, found: &mut Contradictions) {
        found.require_unique("next_action.rules", self.rules.iter().map(|rule| rule.id.as_str()));
        for (position, rule) in self.rules.iter().enumerate() {
            let path = format!("next_action.rules[{position}]");
            found.require(!rule.action.is_empty(), format!("{path}.action"), "the name is empty");
            let names_some = !rule.only_channels || rule.channels.is_some();
            found.require(names_some, format!("{path}.only_channels"), "the rule names no channels");
            for name in rule.when.segment_names() {
                found.require(has_segment(name), format!("{path}.when"), format!("no segment is called {name:?}"));
            }
        }
    }

    /// The rules that ask about what only a model of purchases tells.
    pub fn find_predicted(&self, found: &mut Vec<Finding>) {
        for (position, rule) in self.rules.iter().enumerate() {
            rule.when.find_predicted(format!("next_action.rules[{position}].when"), found);
        }
    }

    /// The rules that are never tried.
    pub fn find_unreachable_rules(&self, found: &mut Vec<Finding>) {
        let Some(always) = self.rules.iter().position(|rule| rule.when.is_always()) else { return };
        for (position, rule) in self.rules.iter().enumerate().skip(always + 1) {
            let before = &self.rules[always].id;
            let message = format!("rule {} is never tried: {before} before it always matches", rule.id);
            found.push(Finding::new(Severity::Warning, format!("next_action.rules[{position}]"), message));
        }
    }
}

/// One rule: when it matches, its action is the next step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionRule {
    /// Unique name of the rule.
    pub id: String,
    /// The action's name.
    pub action: String,
    /// What the action wants to bring about.
    pub behavior: Behavior,
    /// The action's title in English.
    pub title: String,
    /// The action's title in Japanese; the English one where it is left out.
    pub title_ja: Option<String>,
    /// Channels in order of preference; then those of `contact`, then any other.
    pub channels: Option<Vec<String>>,
    /// Whether no others will do.
    #[serde(default)]
    pub only_channels: bool,
    /// What must be true of the customer.
    pub when: Condition,
}

impl ActionRule {
    /// The channels that it names.
    fn own_channels(&self) -> OwnChannels<'_> {
        OwnChannels { named: self.channels.as_deref(), only: self.only_channels }
    }
}

/// The action where no rule matches.
pub const NO_ACTION: &str = "none";

/// The action that ends when a contact is allowed again.
pub const WAIT: &str = "wait";

labels! {
    /// What an action wants to bring about.
    Behavior "behavior" {
        /// A good first experience.
        Experience = "experience", "Experience", "体験";
        /// Buying again.
        Continuation = "continuation", "Continuation", "継続";
        /// Making the shop better together.
        CoCreation = "co_creation", "Co-creation", "共創";
        /// Telling others.
        Advocacy = "advocacy", "Advocacy", "推奨";
        /// Coming back.
        Reactivation = "reactivation", "Reactivation", "掘り起こし";
        /// Being looked after.
        Care = "care", "Care", "ケア";
        /// Nothing for now.
        None = "none", "None", "なし";
    }
}

/// The next step of one customer.
#[derive(Clone, Copy, Debug)]
pub struct NextStep<'a> {
    rules: &'a [ActionRule],
    /// The place of the rule that decided; `None` where none matches.
    decided_by: Option<usize>,
}

impl<'a> NextStep<'a> {
    /// The step of the first rule that matches.
    pub fn of(facts: &Facts<'a>, policy: &'a NextAction) -> Self {
        NextStep { rules: &policy.rules, decided_by: policy.rules.iter().position(|rule| rule.when.holds(facts)) }
    }

    /// The rule; `None` where no rule matches.
    fn rule(self) -> Option<&'a ActionRule> {
        self.decided_by.map(|place| &self.rules[place])
    }

    /// The action's name.
    pub fn action(self) -> &'a str {
        self.rule().map_or(NO_ACTION, |rule| &rule.action)
    }

    /// The rule's id; `None` where no rule matches.
    pub fn rule_id(self) -> Option<&'a str> {
        self.rule().map(|rule| rule.id.as_str())
    }

    /// What the action wants to bring about.
    pub fn behavior(self) -> Behavior {
        self.rule().map_or(Behavior::None, |rule| rule.behavior)
    }

    /// What waits behind [`WAIT`]: the action of the first later rule that matches and does not wait itself; `None` where
    /// this is another step.
    pub fn after_wait(self, facts: &Facts<'a>) -> Option<&'a str> {
        let place = self.decided_by.filter(|_| self.action() == WAIT)?;
        let mut later = self.rules[place + 1..].iter().filter(|rule| rule.action != WAIT);
        Some(later.find(|rule| rule.when.holds(facts)).map_or(NO_ACTION, |rule| &rule.action))
    }

    /// The first channel of the rule, or else of the customer's others, that is not used up, and from when that is so:
    /// `as_of`, or the day on which the first of those that are used up is free again. `None` where there is none, channels
    /// are not tracked or no rule matches.
    fn open_channel(self, facts: &Facts<'a>) -> Option<(&'a str, Day)> {
        facts.calendar?.channel(self.rule()?.own_channels(), facts.lifecycle_state, &facts.countdown)
    }

    /// The channel to use: the first in order of preference over which the customer can be reached and which is not used
    /// up; `None` where there is none or channels are not tracked.
    pub fn channel(self, facts: &Facts<'a>) -> Option<&'a str> {
        self.open_channel(facts).map(|(channel, _)| channel)
    }

    /// The day to do it: for [`WAIT`] the first day on which a contact is allowed again, else `as_of`, or the first day on
    /// which a channel for it is not used up.
    pub fn due_on(self, facts: &Facts<'a>) -> Option<Day> {
        let as_of = facts.as_of?;
        let free_on = match self.action() {
            WAIT => facts.calendar?.allowed_from(),
            _ => self.open_channel(facts).map(|(_, from)| from),
        };
        let on = free_on.map_or(as_of, |day| day.max(as_of));
        facts.countdown.tell(on.days_since(as_of));
        Some(on)
    }

    /// The action, the rules that were tried and every fact that they asked about, for explanations.
    pub fn reasons(self, facts: &Facts<'a>) -> Value {
        let before = &self.rules[..self.decided_by.unwrap_or(self.rules.len())];
        let mut asked = Map::new();
        for rule in before.iter().chain(self.rule()) {
            rule.when.collect_facts(facts, &mut asked);
        }
        json!({
            "action": self.action(),
            "rule": self.rule_id(),
            "title": self.rule().map(|rule| rule.title.as_str()),
            "behavior": self.behavior(),
            "when": self.rule().map(|rule| rule.when.as_written()),
            "after_wait": self.after_wait(facts),
            "tried_before": before.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(),
            "facts_asked": asked,
        })
    }

    /// The channel and what it was chosen from, for explanations.
    pub fn channel_reasons(self, facts: &Facts<'a>) -> Value {
        let rule = self.rule().zip(facts.calendar);
        json!(rule.map(|(rule, calendar)| calendar.channel_reasons(rule.own_channels(), facts.lifecycle_state)))
    }

    /// The day and the limits that it was decided by, for explanations.
    pub fn due_reasons(self, facts: &Facts<'a>) -> Value {
        let mut reasons = json!({
            "on": self.due_on(facts),
            "rule": match self.action() {
                WAIT => "the first day a contact is allowed again",
                _ => "as_of, or the first day on which a channel for it is not used up",
            },
        });
        if let (Some(reasons), Some(calendar)) = (reasons.as_object_mut(), facts.calendar) {
            calendar.add_reasons(reasons);
        }
        reasons
    }
}
