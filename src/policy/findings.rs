//! Everything worth saying of a policy: its contradictions, or else what in it can have no effect. What concerns one section
//! alone is found by the section's own module; which states, tiers and stages are out of reach stands in `unreachable.rs`.

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
        self.find_learned_contradictions(&mut found);
        self.next_action.find_unreachable_rules(&mut found);
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
    fn limits_of_the_other_cycle_do_not_matter() {
        let own = r#"{"lifecycle": {"cycle": "own", "at_risk_after_days": 60}}"#;
        assert_eq!(findings(own).len(), 1);
        let own = r#"{"lifecycle": {"cycle": "own", "at_risk_ratio": 3}}"#;
        assert!(
            findings(own)[1].starts_with("warning lifecycle.at_risk_ratio")
                || findings(own)[0].starts_with("warning lifecycle.at_risk_ratio")
        );
    }

    /// A warning on either side of the limits, for each number of digits; the middle digit of three or five may be anybody's.
    #[test]
    fn learned_limits_and_cuts_contradict_each_other() {
        let with = |cuts: &str, at_risk: u32, dormant: u32| {
            let found = findings(&format!(
                r#"{{"learned": {{}}, "rfm": {{"recency_cuts": {cuts}}},
                    "lifecycle": {{"at_risk_after_days": {at_risk}, "dormant_after_days": {dormant}}}}}"#
            ));
            let found = found.into_iter().filter(|finding| finding.starts_with("warning rfm.recency_cuts: customers "));
            found.map(|finding| finding.replace("warning rfm.recency_cuts: customers ", "")).collect::<Vec<_>>()
        };
        assert_eq!(
            with("[141, 432, 485, 512]", 31, 94),
            ["dormant after 94 days (lifecycle.dormant_after_days) have r = 4 or better up to 432"]
        );
        assert_eq!(
            with("[7, 14.5, 30.5, 60]", 31, 94),
            ["not at risk up to 31 days (lifecycle.at_risk_after_days) have r = 2 or worse after 30"]
        );
        assert!(with("[7, 31, 31, 400]", 31, 94).is_empty());
        assert!(with("[7, 94.5, 400, 500]", 31, 94).is_empty());
        for (cuts, digits) in [("[95]", "2"), ("[95, 95]", "3"), ("[9, 95, 95]", "3"), ("[9, 9, 95, 95, 95]", "4")] {
            let expected =
                format!("dormant after 94 days (lifecycle.dormant_after_days) have r = {digits} or better up to 95");
            assert_eq!(with(cuts, 31, 94), [expected], "{cuts}");
        }
        for (cuts, digits) in [("[30]", "1"), ("[30, 30]", "1"), ("[30, 30, 95]", "2"), ("[9, 9, 30, 95, 95]", "3")] {
            let expected =
                format!("not at risk up to 31 days (lifecycle.at_risk_after_days) have r = {digits} or worse after 30");
            assert_eq!(with(cuts, 31, 94), [expected], "{cuts}");
        }
        // Whoever wrote cuts and limits herself knows them.
        assert_eq!(findings(r#"{"rfm": {"recency_cuts": [141, 432, 485, 512]}}"#).len(), 1);
    }

    #[test]
    fn contradictions_are_errors() {
        assert_eq!(findings(r#"{"version": 2}"#), ["error version: this release reads version 1, not 2"]);
    }
}
