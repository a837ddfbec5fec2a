//! What makes an effective policy contradict itself: each section checks itself.

use super::Policy;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Contradiction, Contradictions};

/// How many contradictions an error shows.
const SHOWN: usize = 5;

impl Policy {
    /// Everything in this policy that contradicts itself, in order of the document.
    pub fn contradictions(&self) -> Vec<Contradiction> {
        let mut found = Contradictions::default();
        found.require(self.version == 1, "version", format!("this release reads version 1, not {}", self.version));
        self.rfm.check(&mut found);
        self.segments.check(&mut found);
        self.lifecycle.check(&mut found);
        self.purchase_stage.check(&mut found);
        self.relation.check(&mut found);
        self.vip.check(&mut found);
        self.dormancy_reason.check(&mut found);
        self.complaint.check(&mut found);
        self.contact.check(&mut found);
        self.next_action.check(|name| self.segments.has(name), &mut found);
        self.learn.check(&mut found);
        found.0
    }

    pub(super) fn refuse_contradictions(&self) -> Result<()> {
        let contradictions = self.contradictions();
        if contradictions.is_empty() {
            return Ok(());
        }
        let mut list: Vec<_> =
            contradictions.iter().take(SHOWN).map(|c| format!("{}: {}", c.path, c.message)).collect();
        if contradictions.len() > SHOWN {
            list.push(format!("and {} more", contradictions.len() - SHOWN));
        }
        Err(Error::new(ErrorKind::InvalidParameter, format!("segment_policy contradicts itself: {}", list.join("; ")))
            .hint(
                "Values that the policy leaves out are the default's; SELECT effective_policy(policy) shows them all.",
            ))
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Document;

    fn contradiction(text: &str) -> String {
        Document::parse(text).unwrap().policy().unwrap_err().message
    }

    #[test]
    fn the_default_does_not_contradict_itself() {
        assert!(Document::empty().policy().unwrap().contradictions().is_empty());
    }

    #[test]
    fn contradictions_are_named() {
        for (text, path) in [
            (r#"{"rfm": {"monetary_cuts": [2, 1]}}"#, "rfm.monetary_cuts: cuts must not decrease"),
            (
                r#"{"rfm": {"recency_cuts": [1,2,3,4,5,6,7,8,9,10]}}"#,
                "rfm.recency_cuts: 1 to 8 cuts are needed, not 10",
            ),
            (r#"{"rfm": {"recency_cuts": []}}"#, "rfm.recency_cuts"),
            (
                r#"{"segments": {"rules": [{"name": "a", "any": [{}]}, {"name": "a", "any": []}]}}"#,
                "\"a\" stands twice",
            ),
            (r#"{"segments": {"rules": [{"name": "a", "any": [{"r": [3, 2]}]}]}}"#, "segments.rules[0].any"),
            (r#"{"lifecycle": {"prior_gaps": 0}}"#, "lifecycle.prior_gaps"),
            (r#"{"lifecycle": {"min_days": 500}}"#, "lifecycle.min_days"),
            (
                r#"{"lifecycle": {"reactivation_min_days": 0}}"#,
                "lifecycle.reactivation_min_days: it must be at least 1",
            ),
            (r#"{"vip": {"value_weight": 1.5}}"#, "vip.value_weight: 1.5 is not within 0 to 1"),
            (r#"{"complaint": {"min_refund_share": 1.5}}"#, "complaint.min_refund_share: 1.5 is not within 0 to 1"),
            (r#"{"contact": {"limits": [{"contacts": 1, "days": 0}]}}"#, "contact.limits[0]"),
            (r#"{"contact": {"response_days": 0}}"#, "contact.response_days: it must be at least 1"),
            (
                r#"{"contact": {"unanswered_before_next_channel": 0}}"#,
                "contact.unanswered_before_next_channel: it must be at least 1",
            ),
            (r#"{"contact": {"response_min_customers": 0}}"#, "contact.response_min_customers: it must be at least 1"),
            (
                r#"{"contact": {"channel_limits": {"sms": [{"contacts": 0, "days": 9}]}}}"#,
                "contact.channel_limits.sms[0]",
            ),
            (r#"{"learn": {"return_window_days": 0}}"#, "learn.return_window_days: it must be at least 1"),
            (
                r#"{"learn": {"at_risk_below": 1.1}}"#,
                "learn.at_risk_below: it must be above 0 and at most 1, it is 1.1",
            ),
            (r#"{"learn": {"dormant_below": 0.4}}"#, "learn.dormant_below: 0.4 is above learn.at_risk_below, 0.333333"),
            (
                r#"{"next_action": {"rules": [{"id": "a", "action": "x", "behavior": "care", "title": "X", "only_channels": true, "when": {}}]}}"#,
                "next_action.rules[0].only_channels: the rule names no channels",
            ),
            (r#"{"version": 2}"#, "version"),
        ] {
            let message = contradiction(text);
            assert!(message.contains(path), "{text}: {message}");
        }
    }
}
