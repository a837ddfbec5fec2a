//! Why the answers about one customer are what they are: every input, limit and rule that decided, as JSON.
//!
//! Nothing is decided here: every decision brings its own reasons, and this is where they are put into one document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::column::COLUMNS;
use crate::contact::{ContactFacts, ContactHistory};
use crate::customer::Customer;
use crate::day::Day;
use crate::dormancy::DormancyCategory;
use crate::error::Result;
use crate::facts::Facts;
use crate::memory;
use crate::relation;
use crate::vip;

/// Explains everything that can be said of a customer.
///
/// `result` has the columns of `segment_customer`, `inputs` what was known. Every other object has the name of the column
/// that it explains, or of what the rules ask about; it is null where there is nothing to explain, because a prospect has no such thing.
///
/// # Errors
/// As [`Customer::facts`].
pub fn explain<'a>(customer: &Customer<'a>, contact: ContactFacts<'a>) -> Result<Value> {
    let policy = customer.policy();
    let (facts, step) = customer.answers(contact)?;
    // Each kind of event and each channel is an object, made twice on its way into the document.
    let engagement_kinds = facts.engagement.map_or(0, |engagement| engagement.by_key().len());
    let contact_kinds = contact.log.map_or(0, |log| log.by_key().len());
    memory::room((engagement_kinds + contact_kinds) * 3000);
    let scored = customer.score_decision();
    let (value, relation) = (customer.exact_value_score(), customer.relation_score());
    let tier = customer.tier_decision();
    Ok(json!({
        "as_of": customer.as_of(),
        "inputs": inputs(customer, &facts, contact),
        "result": result(&facts),
        "rfm_score": scored.map(|scored| scored.reasons()),
        "rfm_segment": scored.map(|scored| scored.scores.segment_reasons(&policy.segments)),
        "lifecycle_state": customer.state_decision().reasons(tier.tier),
        "purchase_stage": facts.purchase_stage.map(|stage| stage.reasons(customer.frequency(), &policy.purchase_stage)),
        "value_score": scored.map(|scored| scored.value_reasons()).transpose()?,
        "relation_score":
            relation::reasons(customer.relation_points(), relation, customer.as_of(), &policy.relation)?,
        "vip_score": value.map(|value| vip::vip_score_reasons(value, relation, &policy.vip)).transpose()?,
        "vip_tier": tier.reasons()?,
        "last_tier": customer.last_tier_decision().map(|decision| decision.reasons()).transpose()?,
        "vip_missing": facts.to_vip.map(|distance| distance.reasons()),
        "dormancy_category":
            DormancyCategory::reasons(facts.dormancy_category, facts.orders.unwrap_or(0), facts.membership),
        "dormancy_reason": customer.reason_decision().map(|decision| decision.reasons(customer.money_scale())),
        "complaint": facts.complaint.map(|complaint| complaint.reasons(facts.complaint_is_answered(), &policy.complaint)),
        "next_action": step.reasons(&facts),
        "action_channel": step.channel_reasons(&facts),
        "action_due_on": step.due_reasons(&facts),
        "next_transition_on": facts.next_transition_on.map(|on| {
            json!({ "on": on, "to_state": customer.on_another_day(on).lifecycle_state() })
        }),
    }))
}

/// The columns of `segment_customer`.
fn result(facts: &Facts) -> Map<String, Value> {
    COLUMNS.iter().map(|column| (column.name.to_owned(), json!((column.find)(facts)))).collect()
}

/// What was known of the customer on the day; null is unknown.
fn inputs(customer: &Customer, facts: &Facts, contact: ContactFacts) -> Value {
    let as_of = customer.as_of();
    json!({
        "first_purchase_on": facts.first_purchase_on,
        "previous_purchase_on": customer.purchases().and_then(|purchases| purchases.previous),
        "last_purchase_on": facts.last_purchase_on,
        "recency_days": facts.recency_days,
        "tenure_days": facts.tenure_days,
        "span_days": facts.span_days,
        "last_gap_days": facts.last_gap_days,
        "orders": facts.orders,
        "purchase_days": facts.purchase_days,
        "monetary": facts.monetary,
        "average_order_value": facts.average_order_value,
        "discount_share": facts.discount_share,
        "refund_only_days_ago": facts.refund_only_days_ago,
        "membership": facts.membership,
        "membership_since": facts.membership_since,
        "previous_membership": facts.previous_membership,
        "channels": contact.channels,
        "last_contacted_on": facts.calendar.and_then(|calendar| calendar.last_contacted_on()),
        "contacts": contact.log.map(|log| contacts(log, as_of)),
        "engagement": engagement(facts, as_of),
        "model": facts.seen_by_model.as_ref().map(|seen| seen.model().reasons()),
    })
}

/// How many events of each kind, and the last day of one; null where engagement is not tracked.
fn engagement(facts: &Facts, as_of: Day) -> Option<BTreeMap<String, Value>> {
    let engagement = facts.engagement?;
    let mut kinds: BTreeMap<&str, (i64, Day)> = BTreeMap::new();
    for (kind, day, count) in engagement.entries().filter(|&(_, day, _)| day <= as_of) {
        let seen = kinds.entry(kind).or_insert((0, day));
        *seen = (seen.0 + i64::from(count), day);
    }
    Some(counted(kinds))
}

/// Counts and last days by name, as they are shown.
fn counted(seen: BTreeMap<&str, (i64, Day)>) -> BTreeMap<String, Value> {
    let shown = seen.into_iter();
    shown.map(|(name, (count, last_on))| (name.to_owned(), json!({ "count": count, "last_on": last_on }))).collect()
}

/// How many contacts over each channel, and the day of the last one.
fn contacts(log: &ContactHistory, as_of: Day) -> BTreeMap<String, Value> {
    let mut channels: BTreeMap<&str, (i64, Day)> = BTreeMap::new();
    for (kind, day, times) in log.entries().filter(|&(kind, day, _)| kind.is_contact() && day <= as_of) {
        let seen = channels.entry(kind.channel.unwrap_or("unknown")).or_insert((0, day));
        *seen = (seen.0 + i64::from(times), seen.1.max(day));
    }
    counted(channels)
}
