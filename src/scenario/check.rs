//! What in a scenario can have no effect with a policy, or another one than it says.

use super::{MESSAGES, Plan};
use crate::finding::{Finding, Severity};
use crate::policy::Policy;

impl Plan {
    /// Everything worth saying of the scenario where it is used with a policy.
    pub fn findings(&self, policy: &Policy) -> Vec<Finding> {
        let mut found = Vec::new();
        for name in self.enter_when.segment_names().filter(|name| !policy.segments.has(name)) {
            found.push(Finding::new(Severity::Warning, "enter_when", format!("the policy has no segment {name:?}")));
        }
        self.enter_when.find_predicted("enter_when", &mut found);
        let least = policy.contact.min_days_between;
        for (position, step) in self.steps.iter().enumerate() {
            let path = |key: &str| format!("steps[{position}].{key}");
            let since = position.checked_sub(1).map(|before| step.after_days - self.steps[before].after_days);
            if let Some(since) = since.filter(|&since| since < least) {
                let message =
                    format!("{since} days after the step before, but contacts lie {least} days apart: it comes later");
                found.push(Finding::new(Severity::Warning, path("after_days"), message));
            }
            if MESSAGES.iter().all(|message| message.key != step.message_key) {
                let message = format!("{:?} is not in message_keys(): a message of the shop's own", step.message_key);
                found.push(Finding::new(Severity::Info, path("message_key"), message));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Document;
    use crate::scenario::Scenario;

    #[test]
    fn what_is_worth_saying() {
        let text = r#"{"name": "a", "title": "A", "priority": 1, "behavior": "care", "stop_when": [],
            "enter_when": {"rfm_segment": ["loyal", "kings"]},
            "steps": [{"id": "x", "after_days": 0, "message_key": "check_in"}, {"id": "y", "after_days": 6, "message_key": "cheque_in"}]}"#;
        let scenario = Scenario::parse(text).unwrap();
        let document = Document::empty();
        let found = scenario.plan().findings(document.policy().unwrap());
        let said: Vec<_> = found.iter().map(|finding| (finding.severity.name(), finding.path.as_str())).collect();
        assert_eq!(
            said,
            [("warning", "enter_when"), ("warning", "steps[1].after_days"), ("info", "steps[1].message_key")]
        );
        assert!(found[0].message.contains("\"kings\"") && found[1].message.contains("7 days"));
    }
}
