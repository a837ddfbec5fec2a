//! Everything worth saying of a policy: its contradictions, or else what in it can have no effect and which labels contradict
//! each other. What concerns one section alone is found by the section's own module; which states, tiers and stages are out of
//! reach stands in `unreachable.rs`, which digits and states contradict each other in `agreement.rs`.

use super::{Document, Policy};
use crate::error::Result;
use crate::finding::{Contradiction, Finding, Severity};

impl Document {
    /// Everything worth saying of the effective policy: its contradictions, or else what can never be reached.
    ///
    /// # Errors
    /// None for a document that was read.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let contradictions = self.contradictions()?;
        if contradictions.is_empty() {
            return Ok(self.policy()?.without_effect());
        }
        let finding = |Contradiction { path, message }| Finding::new(Severity::Error, path, message);
        Ok(contradictions.into_iter().map(finding).collect())
    }
}

impl Policy {
    /// What in the policy can have no effect.
    fn without_effect(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let most_frequency = self.frequency.most();
        self.rfm.find_unreachable_digits(most_frequency, &mut found);
        self.segments.find_unreachable_rules(&self.rfm, most_frequency, &mut found);
        self.find_unreachable_labels(&mut found);
        self.find_contradicting_labels(&mut found);
        self.next_action.find_unreachable_rules(&mut found);
        self.next_action.find_predicted(&mut found);
        found
    }
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
    fn rules_without_effect_are_named() {
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
    fn digits_and_states_that_contradict_are_named() {
        // The default's cuts are 30, 60, 90, 180.
        let long = findings(r#"{"lifecycle": {"at_risk_after_days": 180, "dormant_after_days": 365}}"#);
        let expected = "warning rfm.recency_cuts[2]: who last bought 91 to 195 days ago can be neither at risk nor dormant and \
                        has one of the lower digits, r = 2 or less";
        assert_eq!(long[1..], [expected]);
        let short = findings(r#"{"lifecycle": {"at_risk_after_days": 20, "dormant_after_days": 40}}"#);
        let expected = "warning rfm.recency_cuts[1]: who last bought 41 to 60 days ago can be dormant and has one of the \
                        upper digits, r = 4 or more";
        assert_eq!(short[1..], [expected]);
        // Two digits have no middle; of fractions whole days count.
        let two = |cut| {
            let rules = r#""segments": {"rules": [{"name": "all", "any": [{}]}]}"#;
            let text = format!(
                r#"{{"rfm": {{"recency_cuts": [{cut}]}}, {rules},
                    "lifecycle": {{"at_risk_after_days": 30, "dormant_after_days": 60}}}}"#
            );
            findings(&text).iter().filter(|finding| finding.contains("recency_cuts")).count()
        };
        assert_eq!([44.9, 45.0, 60.9, 61.0].map(two), [1, 0, 0, 1]);
        // No number of days is beyond the calendar.
        let far = findings(r#"{"rfm": {"recency_cuts": [-1e30, -1e30, -1e30, 1e30]}}"#);
        let contradicts = |finding: &&String| finding.contains("who last bought");
        assert_eq!(far.iter().filter(contradicts).count(), 1, "{far:?}");
        assert!(far.iter().any(|finding| finding.contains("who last bought 0 to 45 days ago")), "{far:?}");
        // Of the own cycle, the limits that everybody begins with: 45 and 90, with grace 60 and 105.
        let own = |dormant_ratio| {
            findings(&format!(r#"{{"lifecycle": {{"cycle": "own", "dormant_ratio": {dormant_ratio}}}}}"#)).len()
        };
        assert_eq!([2.0, 1.9].map(own), [1, 2]);
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
