//! Why the answers about one customer are what they are: every input, limit and rule that decided, as JSON.
//!
//! Nothing is decided here. The deciding modules are asked what they looked at, and each answer is shown next to that.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::action::{Facts, NextStep, WAIT};
use crate::contact::{ContactFacts, ContactHistory};
use crate::customer::{Customer, TierFacts};
use crate::day::Day;
use crate::decimal::Decimal;
use crate::dormancy::Evidence;
use crate::error::Result;
use crate::lifecycle::Cycle;
use crate::lifecycle::{LifecycleState, grace_days};
use crate::memory;
use crate::policy::Policy;
use crate::rfm::{Scores, best_digit};
use crate::vip::{self, Bound, Requirement, VipTier};

/// Explains everything that can be said of a customer.
///
/// `result` has the columns of `segment_customer`, `inputs` what was known. Every other object has the name of the column
/// that it explains; it is null where there is nothing to explain, because a prospect has no such thing.
///
/// # Errors
/// As [`Customer::facts`].
pub fn explain<'a>(customer: &Customer<'a>, contact: ContactFacts<'a>) -> Result<Value> {
    let policy = customer.policy();
    let facts = customer.facts(contact)?;
    // Each kind of event and each channel is an object, made twice on its way into the document.
    let engagement_kinds = facts.engagement.map_or(0, |engagement| engagement.by_key().len());
    let contact_kinds = contact.log.map_or(0, |log| log.by_key().len());
    memory::room((engagement_kinds + contact_kinds) * 3000);
    let step = customer.next_step_of(&facts);
    Ok(json!({
        "as_of": customer.as_of(),
        "inputs": inputs(customer, &facts),
        "result": result(customer, &facts, step),
        "rfm_score": facts.scores.map(|scores| rfm_score(customer, &facts, scores)),
        "rfm_segment": facts.scores.map(|scores| rfm_segment(scores, policy)),
        "lifecycle_state": lifecycle_state(customer, &facts),
        "purchase_stage": purchase_stage(customer, &facts),
        "value_score": facts.scores.map(|scores| value_score(&facts, scores, policy)),
        "relation_score": relation_score(customer, &facts),
        "vip_score": vip_score(&facts, policy),
        "vip_tier": vip_tier(facts.vip_tier, &customer.tier_facts(), &facts, policy)?,
        "last_tier": customer
            .last_tier_facts()
            .map(|deciding| vip_tier(facts.last_tier, &deciding, &facts, policy))
            .transpose()?,
        "dormancy_category": dormancy_category(&facts),
        "dormancy_reason": dormancy_reason(customer),
        "next_action": next_action(step, &facts, policy),
        "action_channel": action_channel(step, &facts, policy),
        "action_due_on": action_due_on(step, &facts, policy),
        "next_transition_on": next_transition_on(customer),
    }))
}

/// What was known of the customer on the day; null is unknown.
fn inputs<'a>(customer: &Customer<'a>, facts: &Facts<'a>) -> Value {
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
        "channels": facts.contact.channels,
        "last_contacted_on": facts.contact_calendar(&customer.policy().contact).and_then(|calendar| calendar.last_contacted_on()),
        "contacts": facts.contact.log.map(|log| contacts(log, as_of)),
        "engagement": engagement(facts, as_of),
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

/// The columns of `segment_customer`.
fn result<'a>(customer: &Customer<'a>, facts: &Facts<'a>, step: NextStep<'a>) -> Value {
    let contact = &customer.policy().contact;
    json!({
        "first_purchase_on": facts.first_purchase_on,
        "last_purchase_on": facts.last_purchase_on,
        "recency_days": facts.recency_days,
        "orders": facts.orders,
        "purchase_days": facts.purchase_days,
        "monetary": facts.monetary,
        "r_score": facts.scores.map(|scores| scores.r),
        "f_score": facts.scores.map(|scores| scores.f),
        "m_score": facts.scores.map(|scores| scores.m),
        "rfm_score": facts.scores.map(Scores::code),
        "rfm_segment": facts.rfm_segment,
        "lifecycle_state": facts.lifecycle_state,
        "purchase_stage": facts.purchase_stage,
        "value_score": facts.value_score,
        "relation_score": facts.relation_score,
        "vip_score": facts.vip_score,
        "vip_tier": facts.vip_tier,
        "last_tier": facts.last_tier,
        "dormancy_category": facts.dormancy_category,
        "dormancy_reason": facts.dormancy_reason,
        "next_action": step.action(),
        "action_rule": step.rule_id(),
        "action_behavior": step.behavior(),
        "action_channel": step.channel(facts, contact),
        "action_due_on": step.due_on(facts, contact),
        "next_transition_on": customer.next_transition_on(),
    })
}

fn rfm_score(customer: &Customer, facts: &Facts, scores: Scores) -> Value {
    let cuts = &customer.policy().rfm;
    let dimension = |fact: &str, value: Value, cuts: &[Decimal], digit: u8| json!({ "fact": fact, "value": value, "cuts": cuts, "digit": digit, "best_digit": best_digit(cuts) });
    let counted = customer.policy().frequency.name();
    json!({
        "score": scores.code(),
        "r": dimension("recency_days", json!(facts.recency_days), &cuts.recency_cuts, scores.r),
        "f": dimension(counted, json!(customer.frequency()), &cuts.frequency_cuts, scores.f),
        "m": dimension("monetary", json!(facts.monetary), &cuts.monetary_cuts, scores.m),
        "rule": "digit: 1 + number of cuts below the value; for r counted down from the best digit",
    })
}

fn rfm_segment(scores: Scores, policy: &Policy) -> Value {
    let position = scores.segment_rule(&policy.segments);
    let matched = position.and_then(|position| policy.segments.rules[position].any.iter().find(|r| scores.within(r)));
    json!({
        "segment": scores.segment(&policy.segments),
        "decided_by": match position {
            Some(position) => format!("segments.rules[{position}]"),
            None => "segments.default".to_owned(),
        },
        "digits_within": matched.map(|ranges| json!({ "r": ranges.r, "f": ranges.f, "m": ranges.m })),
    })
}

/// The rules up to the one that decided: it is the first that holds.
fn lifecycle_state(customer: &Customer, facts: &Facts) -> Value {
    let (rhythm, policy) = (customer.rhythm(), &customer.policy().lifecycle);
    let state = customer.lifecycle_state();
    let rules = LifecycleState::ALL[..state.rule_number()].iter().map(|rule| {
        let when = rule.rule_in_words(rhythm, policy);
        json!({ "rule": rule.rule_number(), "state": rule, "when": when, "met": *rule == state })
    });
    json!({
        "state": state,
        "decided_by": format!("rule {}: {}", state.rule_number(), state.rule_in_words(rhythm, policy)),
        "rules_tried": rules.collect::<Vec<_>>(),
        "recency_days": facts.recency_days,
        "frequency": customer.frequency(),
        "vip_tier": facts.vip_tier,
        "limits": limits(customer, facts),
        "last_gap": rhythm.last_gap.map(|gap| json!({
            "days": gap.days,
            "dormant_after_days": gap.dormant_limit,
            "was_absence": gap.was_absence(),
        })),
    })
}

/// The limits of the lifecycle that hold, and where they come from.
fn limits(customer: &Customer, facts: &Facts) -> Value {
    let (rhythm, policy) = (customer.rhythm(), &customer.policy().lifecycle);
    json!({
        "cycle": policy.cycle,
        "at_risk_after_days": rhythm.limits.at_risk,
        "dormant_after_days": rhythm.limits.dormant,
        "grace_days": grace_days(policy, facts.membership),
        "winback_window_days": policy.winback_window_days,
        "new_max_orders": policy.new_max_orders,
        "from": match policy.cycle {
            Cycle::Fixed => json!({
                "at_risk_after_days": policy.at_risk_after_days,
                "dormant_after_days": policy.dormant_after_days,
            }),
            Cycle::Own => json!({
                "gaps": rhythm.counted_gaps,
                "counted_days": rhythm.counted_days,
                "prior_gaps": policy.prior_gaps,
                "store_gap_days": policy.store_gap_days,
                "at_risk_ratio": policy.at_risk_ratio,
                "dormant_ratio": policy.dormant_ratio,
                "min_days": policy.min_days,
                "max_days": policy.max_days,
                "rule": "ceil(ratio * (counted_days + prior_gaps * store_gap_days) / (gaps + prior_gaps)), \
                         within min_days and max_days, then grace_days more",
            }),
        },
    })
}

fn purchase_stage(customer: &Customer, facts: &Facts) -> Option<Value> {
    let limits = &customer.policy().purchase_stage;
    Some(json!({
        "stage": facts.purchase_stage?,
        "frequency": customer.frequency(),
        "nurture_min_orders": limits.nurture_min_orders,
        "established_min_orders": limits.established_min_orders,
    }))
}

fn value_score(facts: &Facts, scores: Scores, policy: &Policy) -> Value {
    let dimension = |digit: u8, cuts: &[Decimal]| json!({ "digit": digit, "best_digit": best_digit(cuts) });
    json!({
        "score": facts.value_score,
        "r": dimension(scores.r, &policy.rfm.recency_cuts),
        "f": dimension(scores.f, &policy.rfm.frequency_cuts),
        "m": dimension(scores.m, &policy.rfm.monetary_cuts),
        "rule": "mean of (digit - 1) / (best_digit - 1) * 100",
    })
}

fn relation_score(customer: &Customer, facts: &Facts) -> Value {
    let policy = &customer.policy().relation;
    let points = |millionths: i128| Decimal::new(millionths, 6).normalized();
    let mut sum = 0;
    let kinds: Option<Map<_, _>> = customer.relation_points().map(|kinds| {
        kinds
            .map(|of| {
                sum += of.points;
                let (weight, cap) = (of.policy.weight, of.policy.cap);
                let shown = json!({ "count": of.count, "cap": cap, "weight": weight, "points": points(of.points) });
                (of.kind.to_owned(), shown)
            })
            .collect()
    });
    json!({
        "score": facts.relation_score,
        "kinds": kinds,
        "sum_of_points": kinds.as_ref().map(|_| points(sum)),
        "window_days": policy.window_days,
        "from_day": customer.as_of().plus(1 - i64::from(policy.window_days)),
        "to_day": customer.as_of(),
        "rule": match facts.relation_score {
            Some(_) => "least(100, sum of least(count, cap) * weight)",
            None => "engagement is not tracked",
        },
    })
}

fn vip_score(facts: &Facts, policy: &Policy) -> Option<Value> {
    Some(json!({
        "score": facts.vip_score?,
        "value_score": facts.value_score,
        "relation_score": facts.relation_score,
        "value_weight": policy.vip.value_weight,
        "rule": match facts.relation_score {
            Some(_) => "value_weight * value_score + (1 - value_weight) * relation_score, rounded once",
            None => "the value score alone: engagement is not tracked",
        },
    }))
}

fn vip_tier(tier: Option<VipTier>, deciding: &TierFacts, facts: &Facts, policy: &Policy) -> Result<Value> {
    let policy = &policy.vip;
    let by_frequency = deciding.buying.as_ref().map(|buying| buying.by_frequency(policy));
    let by_lifetime_value = deciding.buying.as_ref().map(|buying| buying.by_lifetime_value(policy));
    let all_met = |requirements: &Option<[Requirement; 4]>| {
        requirements.as_ref().is_some_and(|requirements| requirements.iter().all(Requirement::is_met))
    };
    let shown = |requirements: Option<[Requirement; 4]>| requirements.map(|all| all.each_ref().map(requirement));
    let value = deciding.value.map(|value| Decimal::quotient(value.numerator, value.denominator, 6)).transpose()?;
    let tied = vip::is_tied(deciding.value, deciding.relation, policy);
    Ok(json!({
        "tier": tier,
        "on": deciding.on,
        "candidate": match (all_met(&by_frequency), all_met(&by_lifetime_value)) {
            (true, true) => "by frequency and by lifetime value",
            (true, false) => "by frequency",
            (false, true) => "by lifetime value",
            (false, false) => "no",
        },
        "by_frequency": shown(by_frequency),
        "by_lifetime_value": shown(by_lifetime_value),
        "tie": match deciding.relation {
            Some(relation) => json!({
                "fact": "relation_score", "value": relation, "at_least": policy.min_relation_score, "met": tied,
            }),
            None => json!({
                "fact": "value_score, because engagement is not tracked",
                "value": value.map(Decimal::normalized),
                "at_least": policy.untracked_min_value_score,
                "met": tied,
            }),
        },
        "membership": {
            "value": facts.membership,
            "one_of": policy.memberships,
            "met": vip::may_be_vip(facts.membership, policy),
        },
    }))
}

fn requirement(requirement: &Requirement) -> Value {
    let (fact, value, met) = (requirement.fact, requirement.value, requirement.is_met());
    match requirement.bound {
        Bound::AtLeast(limit) => json!({ "fact": fact, "value": value, "at_least": limit, "met": met }),
        Bound::AtMost(limit) => json!({ "fact": fact, "value": value, "at_most": limit, "met": met }),
    }
}

fn dormancy_category(facts: &Facts) -> Value {
    json!({
        "category": facts.dormancy_category,
        "orders": facts.orders,
        "membership": facts.membership,
        "decided_by": match facts.dormancy_category {
            Some(category) => category.rule_in_words(),
            None => "only of dormant customers",
        },
    })
}

fn dormancy_reason(customer: &Customer) -> Option<Value> {
    let (reason, evidence) = customer.dormancy_evidence()?;
    let purchases = customer.purchases()?;
    let policy = &customer.policy().dormancy_reason;
    let money = |units| Decimal::new(units, customer.money_scale());
    let (rule, kind, on) = match evidence {
        Evidence::Stated(day) => ("the latest reason the customer gave", Some(reason.stated_kind()), Some(day)),
        Evidence::Event(kind, day) => ("an event that shows dissatisfaction", Some(kind), Some(day)),
        Evidence::RefundOnly(day) => ("a day with a refund and no purchase", None, Some(day)),
        Evidence::Discounts => ("discounts: enough purchases, and the share of them", None, None),
        Evidence::LastAmount => ("amounts: the last purchase day against the mean of those before", None, None),
        Evidence::Burst => ("burst: enough purchase days within so few days", None, None),
        Evidence::FewPurchaseDays => ("habit: at most so many purchase days", None, None),
        Evidence::Nothing => ("none of the rules before", None, None),
    };
    Some(json!({
        "reason": reason,
        "decided_by": { "rule": rule, "kind": kind, "on": on },
        "events_count_from": purchases.previous,
        "discounts": {
            "discounted_purchases": purchases.discounted,
            "of_known_discount": purchases.discount_known,
            "min_purchases": policy.discount_min_purchases,
            "min_share": policy.discount_min_share,
        },
        "amounts": {
            "last_purchase_day": money(purchases.last_amount),
            "purchase_days_before": money(purchases.earlier_amount),
            "number_of_days_before": purchases.purchase_days - 1,
            "min_ratio": policy.overstock_amount_ratio,
        },
        "burst": {
            "purchase_days": purchases.purchase_days,
            "min_purchase_days": policy.overstock_min_purchase_days,
            "span_days": purchases.span_days(),
            "max_span_days": policy.overstock_max_span_days,
        },
        "habit": {
            "purchase_days": purchases.purchase_days,
            "max_purchase_days": policy.unhabituated_max_purchase_days,
        },
    }))
}

fn next_action<'a>(step: NextStep<'a>, facts: &Facts<'a>, policy: &'a Policy) -> Value {
    let rules = &policy.next_action.rules;
    let before = rules.iter().take_while(|rule| Some(rule.id.as_str()) != step.rule_id());
    let mut asked = Map::new();
    for rule in before.clone().chain(step.rule()) {
        rule.when.collect_facts(facts, &policy.contact, &mut asked);
    }
    json!({
        "action": step.action(),
        "rule": step.rule_id(),
        "title": step.rule().map(|rule| rule.title.as_str()),
        "behavior": step.behavior(),
        "when": step.rule().map(|rule| rule.when.as_written()),
        "tried_before": before.map(|rule| rule.id.as_str()).collect::<Vec<_>>(),
        "facts_asked": asked,
    })
}

fn action_channel<'a>(step: NextStep<'a>, facts: &Facts<'a>, policy: &'a Policy) -> Value {
    let preferred = step.preferred_channels(facts, &policy.contact);
    json!({
        "channel": step.channel(facts, &policy.contact),
        "preferred": preferred.map(|(channels, _)| channels),
        "preferred_by": preferred.map(|(_, by)| by),
        "reachable": facts.contact.channels,
    })
}

fn action_due_on<'a>(step: NextStep<'a>, facts: &Facts<'a>, policy: &'a Policy) -> Value {
    let calendar = facts.contact_calendar(&policy.contact);
    json!({
        "on": step.due_on(facts, &policy.contact),
        "rule": match step.action() {
            WAIT => "the first day a contact is allowed again",
            _ => "as_of, or the first day on which a channel for it is not used up",
        },
        "contact_allowed_from": calendar.and_then(|calendar| calendar.allowed_from()),
        "min_days_between": policy.contact.min_days_between,
        "limits": policy.contact.limits,
        "channel_limits": policy.contact.channel_limits,
        "quiet_days_after_complaint": policy.contact.quiet_days_after_complaint,
    })
}

fn next_transition_on(customer: &Customer) -> Option<Value> {
    let on = customer.next_transition_on()?;
    Some(json!({ "on": on, "to_state": customer.on_later_day(on).lifecycle_state() }))
}
