//! The one next step: ordered rules over what is known of a customer, first match wins.

mod condition;

pub use condition::Condition;

use crate::contact::Contact;
use crate::contact::{ContactCalendar, ContactFacts};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::dormancy::{DormancyCategory, DormancyReason};
use crate::engagement::EngagementHistory;
use crate::finding::{Contradictions, Finding, Severity};
use crate::labels::labels;
use crate::lifecycle::{LifecycleState, PurchaseStage};
use crate::membership::Membership;
use crate::rfm::Scores;
use crate::vip::VipTier;
use serde::Deserialize;

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
            for name in rule.when.segment_names() {
                found.require(has_segment(name), format!("{path}.when"), format!("no segment is called {name:?}"));
            }
        }
    }

    /// The rules that are never tried.
    pub fn find_vain_rules(&self, found: &mut Vec<Finding>) {
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
    /// Channels in order of preference; where left out, those of `contact`.
    pub channels: Option<Vec<String>>,
    /// What must be true of the customer.
    pub when: Condition,
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
        Reactivation = "reactivation", "Reactivation", "復活";
        /// Being looked after.
        Care = "care", "Care", "ケア";
        /// Nothing for now.
        None = "none", "None", "なし";
    }
}

/// All that rules can ask about; `None` is unknown, and a condition on something unknown does not match.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// The day the question is asked for.
    pub as_of: Option<Day>,
    /// First purchase day.
    pub first_purchase_on: Option<Day>,
    /// Last purchase day.
    pub last_purchase_on: Option<Day>,
    /// Days since the last purchase.
    pub recency_days: Option<i64>,
    /// Days since the first purchase.
    pub tenure_days: Option<i64>,
    /// Days from the first to the last purchase.
    pub span_days: Option<i64>,
    /// Days between the last two purchase days.
    pub last_gap_days: Option<i64>,
    /// Number of purchases.
    pub orders: Option<i64>,
    /// Number of days with a purchase.
    pub purchase_days: Option<i64>,
    /// M, in currency units.
    pub monetary: Option<Decimal>,
    /// M by purchase, in currency units.
    pub average_order_value: Option<Decimal>,
    /// Share 0..1 of purchases of known discount that were discounted.
    pub discount_share: Option<Decimal>,
    /// Digits.
    pub scores: Option<Scores>,
    /// Name for the digits.
    pub rfm_segment: Option<&'a str>,
    /// Lifecycle state.
    pub lifecycle_state: Option<LifecycleState>,
    /// Purchase stage.
    pub purchase_stage: Option<PurchaseStage>,
    /// Value score, 0..100.
    pub value_score: Option<Decimal>,
    /// Relation score, 0..100.
    pub relation_score: Option<Decimal>,
    /// VIP score, 0..100.
    pub vip_score: Option<Decimal>,
    /// VIP tier.
    pub vip_tier: Option<VipTier>,
    /// VIP tier on the last purchase day.
    pub last_tier: Option<VipTier>,
    /// Kind of dormant customer.
    pub dormancy_category: Option<DormancyCategory>,
    /// Reason for dormancy.
    pub dormancy_reason: Option<DormancyReason>,
    /// Days since the last day with a refund and no purchase.
    pub refund_only_days_ago: Option<i64>,
    /// Membership.
    pub membership: Option<Membership>,
    /// How the customer can be and was contacted.
    pub contact: ContactFacts<'a>,
    /// Everything but buying.
    pub engagement: Option<&'a EngagementHistory>,
}

impl<'a> Facts<'a> {
    /// When the customer may be contacted; `None` where the day is unknown.
    pub fn contact_calendar(&self, policy: &'a Contact) -> Option<ContactCalendar<'a>> {
        Some(ContactCalendar { facts: self.contact, engagement: self.engagement, as_of: self.as_of?, policy })
    }
}

/// The next step of one customer.
#[derive(Clone, Copy, Debug)]
pub struct NextStep<'a> {
    rule: Option<&'a ActionRule>,
}

impl<'a> NextStep<'a> {
    /// The step of the first rule that matches.
    pub fn of(facts: &Facts<'a>, rules: &'a NextAction, contact: &'a Contact) -> Self {
        NextStep { rule: rules.rules.iter().find(|rule| rule.when.holds(facts, contact)) }
    }

    /// The action's name.
    pub fn action(self) -> &'a str {
        self.rule.map_or(NO_ACTION, |rule| &rule.action)
    }

    /// The rule's id; `None` where no rule matches.
    pub fn rule_id(self) -> Option<&'a str> {
        self.rule.map(|rule| rule.id.as_str())
    }

    /// What the action wants to bring about.
    pub fn behavior(self) -> Behavior {
        self.rule.map_or(Behavior::None, |rule| rule.behavior)
    }

    /// The rule; `None` where no rule matches.
    pub fn rule(self) -> Option<&'a ActionRule> {
        self.rule
    }

    /// The channels in order of preference and what in the policy says so; `None` where no rule matches.
    pub fn preferred_channels(self, facts: &Facts<'a>, policy: &'a Contact) -> Option<(&'a [String], &'static str)> {
        Some(policy.preferred_channels(self.rule?.channels.as_deref(), facts.lifecycle_state))
    }

    /// The first channel of the rule, or of the policy, over which the customer can be reached and which is not used up,
    /// and from when that is so: `as_of`, or the day on which the first of those that are used up is free again. `None`
    /// where there is none or channels are not tracked.
    fn open_channel(self, facts: &Facts<'a>, policy: &'a Contact) -> Option<(&'a str, Day)> {
        let (preferred, _) = self.preferred_channels(facts, policy)?;
        facts.contact_calendar(policy)?.channel(preferred)
    }

    /// The channel to use: the first in order of preference over which the customer can be reached and which is not used
    /// up; `None` where there is none or channels are not tracked.
    pub fn channel(self, facts: &Facts<'a>, policy: &'a Contact) -> Option<&'a str> {
        self.open_channel(facts, policy).map(|(channel, _)| channel)
    }

    /// The day to do it: for [`WAIT`] the first day on which a contact is allowed again, else `as_of`, or the first day on
    /// which a channel for it is not used up.
    pub fn due_on(self, facts: &Facts<'a>, policy: &'a Contact) -> Option<Day> {
        let as_of = facts.as_of?;
        let free_on = match self.action() {
            WAIT => facts.contact_calendar(policy)?.allowed_from(),
            _ => self.open_channel(facts, policy).map(|(_, from)| from),
        };
        Some(free_on.map_or(as_of, |day| day.max(as_of)))
    }
}
