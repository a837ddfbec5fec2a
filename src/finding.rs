//! What can be said of a policy or a scenario: that it contradicts itself, or that a part of it has no effect.

use std::collections::HashSet;

use crate::decimal::Millionths;
use crate::labels::labels;

labels! {
    /// How bad a finding is.
    Severity "severity" {
        /// The policy cannot be used.
        Error = "error", "Error", "エラー";
        /// A part of the policy has no effect, or contradicts another.
        Warning = "warning", "Warning", "警告";
        /// Worth knowing.
        Info = "info", "Information", "情報";
    }
}

/// Something found in a policy or scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where in the document.
    pub path: String,
    /// What it is.
    pub message: String,
}

impl Finding {
    /// A finding.
    pub fn new(severity: Severity, path: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { severity, path: path.into(), message: message.into() }
    }

    /// That nobody ever gets a label, and why.
    pub fn nobody_is(label: &str, (path, reason): Reason) -> Self {
        Finding::new(Severity::Warning, path, format!("nobody is ever {label}: {reason}"))
    }

    /// The finding as severity, path and message.
    pub fn into_row(self) -> (&'static str, String, String) {
        (self.severity.name(), self.path, self.message)
    }
}

/// The path of what keeps everybody from a label, and why it does.
pub type Reason = (&'static str, String);

/// A [`Reason`].
pub fn because(path: &'static str, reason: impl Into<String>) -> Option<Reason> {
    Some((path, reason.into()))
}

/// One contradiction of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Where in the document.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// Collects contradictions: each section of a policy requires of itself what must hold.
#[derive(Default)]
pub struct Contradictions(pub Vec<Contradiction>);

impl Contradictions {
    /// Notes what is wrong where something does not hold.
    pub fn require(&mut self, holds: bool, path: impl Into<String>, message: impl Into<String>) {
        if !holds {
            self.0.push(Contradiction { path: path.into(), message: message.into() });
        }
    }

    /// Requires that a list has no name twice, and no empty one.
    pub fn require_unique<'a>(&mut self, path: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for (position, name) in names.enumerate() {
            let path = format!("{path}[{position}]");
            self.require(!name.is_empty(), path.clone(), "the name is empty");
            self.require(seen.insert(name), path, format!("the name {name:?} stands twice"));
        }
    }

    /// Requires that a number lies within 0 to `high`.
    pub fn require_within(&mut self, value: Millionths, high: Millionths, path: &str) {
        let within = (Millionths(0)..=high).contains(&value);
        self.require(within, path, format!("{value} is not within 0 to {high}"));
    }
}
