//! What a policy says in vain: digits, segments and actions that nobody can reach; states and tiers stand in `nobody.rs`.

use std::ops::RangeInclusive;

use super::check::Contradiction;
use super::{Document, Policy, SegmentRule};
use crate::decimal::Decimal;
use crate::error::Result;
use crate::labels::labels;
use crate::lifecycle::LONGEST_RECENCY;
use crate::rfm::Scores;

labels! {
    /// How bad a finding is.
    Severity "severity" {
        /// The policy cannot be used.
        Error = "error", "Error", "エラー";
        /// A part of the policy has no effect.
        Warning = "warning", "Warning", "警告";
        /// Worth knowing.
        Info = "info", "Information", "情報";
    }
}

/// Something found in a policy.
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

    /// The finding as severity, path and message.
    pub fn into_row(self) -> (&'static str, String, String) {
        (self.severity.name(), self.path, self.message)
    }
}

impl Document {
    /// Everything worth saying of the effective policy: its contradictions, or else what can never be reached.
    ///
    /// # Errors
    /// None for a document that was read.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let contradictions = self.contradictions()?;
        if contradictions.is_empty() {
            return Ok(self.policy()?.unreachable());
        }
        let finding = |Contradiction { path, message }| Finding::new(Severity::Error, path, message);
        Ok(contradictions.into_iter().map(finding).collect())
    }
}

impl Policy {
    fn unreachable(&self) -> Vec<Finding> {
        let rfm = &self.rfm;
        // R is a whole number from 0, F one from 1, M any.
        let r = Reach::of_whole_numbers(&rfm.recency_cuts, 0..=LONGEST_RECENCY).mirrored();
        let f = Reach::of_whole_numbers(&rfm.frequency_cuts, 1..=self.most_frequency());
        let m = Reach::of_amounts(&rfm.monetary_cuts);
        let mut found = Vec::new();
        for (path, letter, reach) in
            [("rfm.recency_cuts", 'r', &r), ("rfm.frequency_cuts", 'f', &f), ("rfm.monetary_cuts", 'm', &m)]
        {
            for digit in reach.unreachable() {
                found.push(Finding::new(Severity::Warning, path, format!("no customer can get {letter} = {digit}")));
            }
        }
        self.find_vain_segments(&codes(&r, &f, &m), &mut found);
        self.find_vain_labels(&mut found);
        self.find_vain_actions(&mut found);
        found
    }

    fn find_vain_segments(&self, codes: &[Scores], found: &mut Vec<Finding>) {
        let names: Vec<&str> = codes.iter().map(|scores| scores.segment(self)).collect();
        for (position, SegmentRule { name, .. }) in self.segments.rules.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                let message = format!(
                    "no reachable score is {name}: rules before it match first, or its digits are out of reach"
                );
                found.push(Finding::new(Severity::Warning, format!("segments.rules[{position}]"), message));
            }
        }
        let ruled = |name: &str| self.segments.rules.iter().any(|rule| rule.name == name);
        let left: Vec<String> = codes
            .iter()
            .zip(&names)
            .filter(|(_, name)| !ruled(name))
            .map(|(scores, _)| scores.code().to_string())
            .collect();
        if !left.is_empty() {
            let shown = left.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            let more = if left.len() > 20 { ", ..." } else { "" };
            let message = format!(
                "{} of {} scores have no rule and are {}: {shown}{more}",
                left.len(),
                codes.len(),
                self.segments.default
            );
            found.push(Finding::new(Severity::Info, "segments.default", message));
        }
    }

    fn find_vain_actions(&self, found: &mut Vec<Finding>) {
        let rules = &self.next_action.rules;
        let always = rules.iter().position(|rule| rule.when.is_always());
        for position in always.map_or(rules.len(), |always| always + 1)..rules.len() {
            let message = format!(
                "rule {} is never tried: {} before it always matches",
                rules[position].id,
                rules[always.unwrap_or(0)].id
            );
            found.push(Finding::new(Severity::Warning, format!("next_action.rules[{position}]"), message));
        }
    }
}

/// Which digits of a dimension some customer can get, in order of the digit.
struct Reach(Vec<bool>);

impl Reach {
    /// A digit is reached when one of these whole numbers lies above the cut before it and not above its own.
    fn of_whole_numbers(cuts: &[Decimal], numbers: RangeInclusive<i64>) -> Self {
        let floor = |cut: &Decimal| cut.floor().unwrap_or(if *cut < Decimal::ZERO { i64::MIN } else { i64::MAX });
        let above = |cut: Option<&Decimal>| {
            cut.map_or(*numbers.start(), |cut| floor(cut).saturating_add(1).max(*numbers.start()))
        };
        Reach(
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
        Reach((0..=cuts.len()).map(reached).collect())
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

/// All scores of reachable digits, ascending.
fn codes(r: &Reach, f: &Reach, m: &Reach) -> Vec<Scores> {
    let with_f = |r| f.digits().flat_map(move |f| m.digits().map(move |m| Scores { r, f, m }));
    r.digits().flat_map(with_f).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(policy: &str) -> Vec<String> {
        let found = Document::parse(policy).unwrap().check().unwrap();
        found
            .iter()
            .map(|finding| format!("{} {}: {}", finding.severity.name(), finding.path, finding.message))
            .collect()
    }

    #[test]
    fn the_default_leaves_only_its_default_segment_without_a_rule() {
        assert_eq!(
            findings("{}"),
            ["info segments.default: 5 of 125 scores have no rule and are lost: 111, 112, 113, 114, 115"]
        );
    }

    #[test]
    fn equal_cuts_leave_digits_out_of_reach() {
        // CDNOW's F quintiles.
        let found = findings(r#"{"rfm": {"frequency_cuts": [1, 1, 2, 4]}}"#);
        assert_eq!(found[0], "warning rfm.frequency_cuts: no customer can get f = 2");
        let found = findings(
            r#"{"rfm": {"frequency_cuts": [0.5, 1.2, 1.8], "recency_cuts": [-1, 30, 30], "monetary_cuts": [5, 5]}}"#,
        );
        let expected = [
            "warning rfm.recency_cuts: no customer can get r = 2",
            "warning rfm.recency_cuts: no customer can get r = 4",
            "warning rfm.frequency_cuts: no customer can get f = 1",
            "warning rfm.frequency_cuts: no customer can get f = 3",
            "warning rfm.monetary_cuts: no customer can get m = 2",
        ];
        assert_eq!(found[..5], expected);
    }

    #[test]
    fn rules_in_vain_are_named() {
        let found = findings(
            r#"{"segments": {"rules": [{"name": "all", "any": [{}]}, {"name": "late", "any": [{"r": [1, 1]}]}]},
                "lifecycle": {"at_risk_after_days": 60}, "purchase_stage": {"nurture_min_orders": 4},
                "next_action": {"rules": [
                    {"id": "a", "action": "x", "behavior": "care", "title": "X", "when": {}},
                    {"id": "b", "action": "y", "behavior": "care", "title": "Y", "when": {"orders": 1}}]}}"#,
        );
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].starts_with("warning segments.rules[1]: no reachable score is late"));
        assert!(found[1].starts_with("warning lifecycle.at_risk_after_days"));
        assert!(found[2].starts_with("warning purchase_stage.nurture_min_orders"));
        assert!(found[3].starts_with("warning next_action.rules[1]: rule b is never tried: a before it"));
    }

    #[test]
    fn limits_of_the_other_cycle_do_not_matter() {
        let own = r#"{"lifecycle": {"cycle": "own", "at_risk_after_days": 60}}"#;
        assert_eq!(findings(own).len(), 1);
        let own = r#"{"lifecycle": {"cycle": "own", "at_risk_ratio": 3}}"#;
        assert!(
            findings(own)[1].starts_with("warning lifecycle.at_risk_ratio")
                || findings(own)[0].starts_with("warning lifecycle.at_risk_ratio")
        );
    }

    #[test]
    fn contradictions_are_errors() {
        assert_eq!(findings(r#"{"version": 2}"#), ["error version: this release reads version 1, not 2"]);
    }
}
