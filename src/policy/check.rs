//! What makes an effective policy contradict itself.

use std::collections::HashSet;

use super::{ContactLimit, DigitRanges, KindWeight, Policy};
use crate::decimal::{Decimal, Millionths};
use crate::error::{Error, ErrorKind, Result};

/// One contradiction of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Where in the document.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// How many contradictions an error shows.
const SHOWN: usize = 5;

/// Collects contradictions.
#[derive(Default)]
struct Findings(Vec<Contradiction>);

impl Findings {
    fn require(&mut self, holds: bool, path: impl Into<String>, message: impl Into<String>) {
        if !holds {
            self.0.push(Contradiction { path: path.into(), message: message.into() });
        }
    }

    fn require_unique<'a>(&mut self, path: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for (position, name) in names.enumerate() {
            let path = format!("{path}[{position}]");
            self.require(!name.is_empty(), path.clone(), "the name is empty");
            self.require(seen.insert(name), path, format!("the name {name:?} stands twice"));
        }
    }
}

impl Policy {
    /// Everything in this policy that contradicts itself, in order of the document.
    pub fn contradictions(&self) -> Vec<Contradiction> {
        let mut found = Findings::default();
        found.require(self.version == 1, "version", format!("this release reads version 1, not {}", self.version));
        self.check_cuts(&mut found);
        self.check_segments(&mut found);
        self.check_lifecycle(&mut found);
        self.check_scores(&mut found);
        self.check_contact(&mut found);
        self.check_actions(&mut found);
        found.0
    }

    /// Whether a segment is called so.
    pub fn has_segment(&self, name: &str) -> bool {
        self.segments.default == name || self.segments.rules.iter().any(|rule| rule.name == name)
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

    fn check_cuts(&self, found: &mut Findings) {
        let dimensions = [
            ("rfm.recency_cuts", &self.rfm.recency_cuts),
            ("rfm.frequency_cuts", &self.rfm.frequency_cuts),
            ("rfm.monetary_cuts", &self.rfm.monetary_cuts),
        ];
        for (path, cuts) in dimensions {
            found.require((1..=8).contains(&cuts.len()), path, format!("1 to 8 cuts are needed, not {}", cuts.len()));
            found.require(cuts.is_sorted(), path, "cuts must not decrease");
        }
    }

    fn check_segments(&self, found: &mut Findings) {
        found.require_unique("segments.rules", self.segments.rules.iter().map(|rule| rule.name.as_str()));
        found.require(!self.segments.default.is_empty(), "segments.default", "the name is empty");
        for (position, rule) in self.segments.rules.iter().enumerate() {
            let sound =
                |DigitRanges { r, f, m }: &DigitRanges| [r, f, m].iter().all(|(low, high)| (1..=*high).contains(low));
            found.require(
                rule.any.iter().all(sound),
                format!("segments.rules[{position}].any"),
                "a range of digits goes from low to high, beginning with 1",
            );
        }
    }

    fn check_lifecycle(&self, found: &mut Findings) {
        let limits = &self.lifecycle;
        found.require(
            limits.at_risk_after_days <= limits.dormant_after_days,
            "lifecycle.at_risk_after_days",
            format!(
                "at risk after {} days, but dormant after {} (lifecycle.dormant_after_days)",
                limits.at_risk_after_days, limits.dormant_after_days
            ),
        );
        // Products of these must fit; nobody's customers wait longer.
        let mut bounded = |value: Millionths, most: i64, key: &str| {
            let holds = value.0 > 0 && value.0 <= most * Millionths::ONE;
            found.require(
                holds,
                format!("lifecycle.{key}"),
                format!("it must be above 0 and at most {most}, it is {value}"),
            );
        };
        bounded(limits.at_risk_ratio, 1000, "at_risk_ratio");
        bounded(limits.dormant_ratio, 1000, "dormant_ratio");
        bounded(limits.prior_gaps, 1000, "prior_gaps");
        bounded(limits.store_gap_days, 100_000, "store_gap_days");
        found.require(
            limits.at_risk_ratio <= limits.dormant_ratio,
            "lifecycle.at_risk_ratio",
            format!("{} is above lifecycle.dormant_ratio, {}", limits.at_risk_ratio, limits.dormant_ratio),
        );
        found.require(
            limits.min_days <= limits.max_days,
            "lifecycle.min_days",
            format!("{} is above lifecycle.max_days, {}", limits.min_days, limits.max_days),
        );
        found.require(limits.reactivation_min_days >= 1, "lifecycle.reactivation_min_days", "it must be at least 1");
        let stage = &self.purchase_stage;
        found.require(stage.nurture_min_orders >= 2, "purchase_stage.nurture_min_orders", "it must be at least 2");
        found.require(
            stage.nurture_min_orders <= stage.established_min_orders,
            "purchase_stage.nurture_min_orders",
            format!("it is above purchase_stage.established_min_orders, {}", stage.established_min_orders),
        );
    }

    fn check_scores(&self, found: &mut Findings) {
        const HUNDRED: Millionths = Millionths(100 * Millionths::ONE);
        let mut within = |value: Millionths, high: Millionths, path: &str| {
            found.require((Millionths(0)..=high).contains(&value), path, format!("{value} is not within 0 to {high}"));
        };
        within(self.vip.value_weight, Millionths(Millionths::ONE), "vip.value_weight");
        within(self.vip.min_relation_score, HUNDRED, "vip.min_relation_score");
        if let Some(score) = self.vip.untracked_min_value_score {
            within(score, HUNDRED, "vip.untracked_min_value_score");
        }
        within(
            self.dormancy_reason.discount_min_share,
            Millionths(Millionths::ONE),
            "dormancy_reason.discount_min_share",
        );
        for (kind, KindWeight { weight, .. }) in &self.relation.kinds {
            within(*weight, HUNDRED, &format!("relation.kinds.{kind}.weight"));
        }
        found.require(self.relation.window_days > 0, "relation.window_days", "it must be at least 1");
        found.require(
            self.dormancy_reason.overstock_amount_ratio.0 > 0,
            "dormancy_reason.overstock_amount_ratio",
            "it must be above 0",
        );
        found.require(
            self.vip.monetary_cut.is_none_or(|cut| cut > Decimal::ZERO),
            "vip.monetary_cut",
            "it must be above 0 or null",
        );
    }

    fn check_contact(&self, found: &mut Findings) {
        let over_all = ("contact.limits".to_owned(), &self.contact.limits);
        let channels = self.contact.channel_limits.iter();
        let by_channel = channels.map(|(channel, limits)| (format!("contact.channel_limits.{channel}"), limits));
        for (path, limits) in std::iter::once(over_all).chain(by_channel) {
            for (position, ContactLimit { contacts, days }) in limits.iter().enumerate() {
                let sound = *contacts > 0 && *days > 0;
                found.require(sound, format!("{path}[{position}]"), "contacts and days must be at least 1");
            }
        }
    }

    fn check_actions(&self, found: &mut Findings) {
        let rules = &self.next_action.rules;
        found.require_unique("next_action.rules", rules.iter().map(|rule| rule.id.as_str()));
        for (position, rule) in rules.iter().enumerate() {
            let path = format!("next_action.rules[{position}]");
            found.require(!rule.action.is_empty(), format!("{path}.action"), "the name is empty");
            for name in rule.when.segment_names() {
                found.require(self.has_segment(name), format!("{path}.when"), format!("no segment is called {name:?}"));
            }
        }
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
            (r#"{"contact": {"limits": [{"contacts": 1, "days": 0}]}}"#, "contact.limits[0]"),
            (
                r#"{"contact": {"channel_limits": {"sms": [{"contacts": 0, "days": 9}]}}}"#,
                "contact.channel_limits.sms[0]",
            ),
            (r#"{"version": 2}"#, "version"),
        ] {
            let message = contradiction(text);
            assert!(message.contains(path), "{text}: {message}");
        }
    }
}
