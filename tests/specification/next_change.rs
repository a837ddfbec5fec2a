//! The day before which nothing changes, on random customers with everything a shop may know of them, by random policies: the
//! question is asked on every day, and only what counts days may differ before the day that was told.

use std::collections::HashMap;

use pg_rfm::column::{COLUMNS, Passing, Value};
use pg_rfm::contact::{ContactFacts, ContactHistory, ContactKind};
use pg_rfm::customer::Customer;
use pg_rfm::day::Day;
use pg_rfm::engagement::EngagementHistory;
use pg_rfm::history::{PurchaseDay, PurchaseHistory};
use pg_rfm::membership::{KnownMembership, Membership, MembershipHistory};
use pg_rfm::policy::Document;
use pg_rfm::prediction::PurchaseModel;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const LAST_DAY: i32 = 200;

/// What the rules of random policies stand beside.
const BASES: &[&str] = &[
    "{}",
    r#"{"lifecycle": {"cycle": "own"}, "contact": {"response_days": 3, "unanswered_before_next_channel": 1}}"#,
    r#"{"lifecycle": {"cycle": "own", "winback_window_days": 3, "min_days": 1, "prior_gaps": 0.5}, "frequency": "purchase_days",
        "contact": {"min_days_between": 0, "limits": [{"contacts": 2, "days": 9}, {"contacts": 3, "days": 40}],
                    "channel_limits": {"email": [{"contacts": 1, "days": 14}], "line": [{"contacts": 2, "days": 20}]}}}"#,
    r#"{"lifecycle": {"winback_window_days": 200}, "vip": {"monetary_cut": 3000, "max_recency_days": 20, "min_span_days": 10},
        "relation": {"window_days": 40}, "contact": {"quiet_days_after_complaint": 12, "unanswered_before_next_channel": 2,
        "response_days": 8, "channel_limits": {"email": [{"contacts": 1, "days": 30}]}, "dormant_channels": ["postal", "email"]}}"#,
    r#"{"vip": {"untracked_min_value_score": 60, "min_span_days": 10, "min_relation_score": 5}, "rfm": {"recency_cuts": [3.5, 17, 17, 50]},
        "relation": {"window_days": 25, "kinds": {"review": {"weight": 2.5, "cap": 3}, "survey": {"weight": 0, "cap": 9}}}}"#,
    r#"{"vip": {"min_orders": 2, "min_span_days": 1, "min_purchase_days": 1, "min_relation_score": 0},
        "contact": {"unanswered_before_next_channel": null, "min_days_between": 30}}"#,
];
const KINDS: &[&str] =
    &["review", "referral", "survey", "complaint", "complaint_resolved", "low_rating", "stated_competitor", "weather"];
const CHANNELS: &[&str] = &["email", "line", "postal", "phone"];
const DAY_COUNTS: &[&str] = &[
    "recency_days",
    "tenure_days",
    "membership_days",
    "complaint_days_ago",
    "refund_only_days_ago",
    "days_since_contact",
    "engagement.review.last_on",
];

/// Models of all kinds, also without spend, where nobody leaves, and refused.
const MODELS: &[&str] = &[
    r#"{"model": "mbgnbd", "purchases": {"r": 0.52, "alpha": 13.3, "a": 0.89, "b": 1.61}, "spend": {"p": 9.9, "q": 3.4, "v": 790}}"#,
    r#"{"model": "bgnbd", "purchases": {"r": 2.4, "alpha": 30.9, "a": 0.79, "b": 2.43}, "spend": {"counts": "repeat", "p": 2, "q": 1.2, "v": 400}}"#,
    r#"{"model": "paretonbd", "purchases": {"r": 0.55, "alpha": 24, "s": 0.61, "beta": 11.7}, "spend": {"p": 6, "q": 4, "v": 15}}"#,
    r#"{"model": "mbgnbd", "purchases": {"r": 0.8, "alpha": 60, "a": 0, "b": 1}}"#,
    r#"{"model": "mbgnbd", "status": "refused"}"#,
];
const CHANCES: &[&str] = &["p_alive", "purchase_probability", "expected_purchases"];

/// What a rule expects of what a model predicts: a chance, or money.
fn of_prediction(limit: BoxedStrategy<Json>) -> impl Strategy<Value = Json> {
    let bound = prop::sample::select(&["at_least", "at_most", "above", "below"]);
    prop_oneof![
        4 => (bound, limit.clone()).prop_map(|(bound, limit)| json!({ bound: limit })),
        1 => (limit.clone(), limit.clone()).prop_map(|(low, high)| json!({ "at_least": low, "below": high })),
        1 => limit.prop_map(|limit| json!([limit, 0])),
    ]
}

/// What a rule expects of a number of days.
fn of_days() -> impl Strategy<Value = Json> {
    let limit = prop_oneof![(0i64..120).prop_map(Json::from), (0i64..120).prop_map(|days| json!(days as f64 + 0.5))];
    let bound = (prop::sample::select(&["at_least", "at_most", "above", "below"]), limit.clone());
    prop_oneof![
        3 => bound.prop_map(|(bound, limit)| json!({ bound: limit })),
        1 => (0i64..60, 0i64..60).prop_map(|(low, more)| json!({ "at_least": low, "below": low + more })),
        1 => limit.prop_map(|limit| json!([limit, 7])),
    ]
}

fn test() -> impl Strategy<Value = (String, Json)> {
    let fact = |name: &str, expected: &[Json]| {
        let name = name.to_owned();
        prop::sample::select(expected.to_vec()).prop_map(move |expected| (name.clone(), expected)).boxed()
    };
    prop_oneof![
        4 => (prop::sample::select(DAY_COUNTS), of_days()).prop_map(|(name, expected)| (name.to_owned(), expected)).boxed(),
        1 => (prop::sample::select(CHANCES), of_prediction((0..1000).prop_map(|share| json!(share as f64 / 1000.0)).boxed()))
            .prop_map(|(name, expected)| (name.to_owned(), expected)).boxed(),
        1 => of_prediction((0..20_000).prop_map(|value| json!(value as f64 / 2.0)).boxed())
            .prop_map(|expected| ("clv".to_owned(), expected)).boxed(),
        1 => fact("churn_band", &[json!("low"), json!("medium"), json!(["low", "high"])]),
        1 => fact("contact_allowed", &[json!(true), json!(false)]),
        1 => fact("lifecycle_state", &[json!(["active", "new"]), json!("dormant"), json!(["vip", "winback", "at_risk"])]),
        1 => fact("relation_score", &[json!({ "at_least": 5 }), json!({ "below": 20 })]),
        1 => fact("engagement.survey.count", &[json!(1), json!({ "at_least": 2 })]),
        1 => fact("orders", &[json!({ "above": 1 })]),
    ]
}

prop_compose! {
    fn rule()(
        action in prop::sample::select(&["wait", "write", "call"]),
        channels in prop::option::of(prop::sample::subsequence(CHANNELS, 1..3)),
        only in any::<bool>(),
        tests in prop::collection::vec(test(), 1..4),
        any in prop::collection::vec(prop::collection::vec(test(), 1..3), 0..3),
    ) -> Json {
        let all_of = |tests: Vec<(String, Json)>| Json::Object(tests.into_iter().collect());
        let mut when = all_of(tests);
        if !any.is_empty() {
            when["any"] = any.into_iter().map(all_of).collect();
        }
        let only = only && channels.is_some();
        json!({ "action": action, "behavior": "care", "title": "t", "channels": channels, "only_channels": only, "when": when })
    }
}

prop_compose! {
    fn policy()(
        base in prop::sample::select(BASES),
        rules in prop::option::weighted(0.8, prop::collection::vec(rule(), 0..7)),
    ) -> Document {
        let mut policy: Json = serde_json::from_str(base).unwrap();
        if let Some(mut rules) = rules {
            for (place, rule) in rules.iter_mut().enumerate() {
                rule["id"] = json!(format!("rule_{place}"));
            }
            policy["next_action"] = json!({ "rules": rules });
        }
        Document::parse(&policy.to_string()).unwrap()
    }
}

/// Everything that is known of a customer, some of it of later days.
#[derive(Debug)]
struct Known {
    history: PurchaseHistory,
    engagement: Option<EngagementHistory>,
    membership: Option<Membership>,
    memberships: Option<MembershipHistory>,
    channels: Option<Vec<String>>,
    last_contacted_on: Option<Day>,
    contacts: Option<ContactHistory>,
    policy: Document,
    model: Option<PurchaseModel>,
}

prop_compose! {
    fn known()(
        rows in prop::collection::vec((0..LAST_DAY, -300i128..3000), 0..9),
        events in prop::option::of(prop::collection::vec((0..KINDS.len(), 0..LAST_DAY, 1u32..4), 0..10)),
        membership in prop::option::of(prop::sample::select(Membership::ALL)),
        memberships in prop::option::of(prop::collection::vec((0..LAST_DAY, prop::sample::select(Membership::ALL)), 0..5)),
        channels in prop::option::of(prop::sample::subsequence(CHANNELS, 0..4)),
        last_contacted_on in prop::option::of(0..LAST_DAY),
        contacts in prop::option::of(prop::collection::vec((0..CHANNELS.len(), 0..LAST_DAY, any::<bool>()), 0..10)),
        policy in policy(),
        model in prop::option::weighted(0.6, prop::sample::select(MODELS)),
    ) -> Known {
        let rows = rows.into_iter().map(|(day, amount)| PurchaseDay::of_row(Day(day), Some(amount), None));
        let engagement = events.map(|events| {
            EngagementHistory::new(events.into_iter().map(|(kind, day, count)| (KINDS[kind], Day(day), count))).unwrap()
        });
        let memberships = memberships.map(|entries| {
            MembershipHistory::new(entries.into_iter().map(|(day, membership)| (Day(day), membership))).unwrap()
        });
        let contacts = contacts.map(|contacts| {
            let entries = contacts.into_iter().map(|(channel, day, known)| {
                let kind = ContactKind { channel: known.then_some(CHANNELS[channel]), ..ContactKind::default() };
                (kind, Day(day), 1)
            });
            ContactHistory::new(entries).unwrap()
        });
        Known {
            history: PurchaseHistory::new(0, rows.collect()).unwrap(),
            engagement,
            membership,
            memberships,
            channels: channels.map(|channels| channels.into_iter().map(str::to_owned).collect()),
            last_contacted_on: last_contacted_on.map(Day),
            contacts,
            policy,
            model: model.map(|text| PurchaseModel::parse(text).unwrap()),
        }
    }
}

/// The columns of a day that do not count days, and the day a contact has to wait for; and the day before which they stay.
struct Seen<'a> {
    stays: HashMap<&'static str, Option<Value<'a>>>,
    next_change_on: Option<Day>,
}

impl Known {
    fn customer(&self, day: Day) -> Customer<'_> {
        let memberships = KnownMembership::new(self.membership, self.memberships.as_ref());
        let policy = self.policy.policy().unwrap();
        let customer = Customer::new(Some(&self.history), day, policy, self.engagement.as_ref(), memberships);
        customer.with_model(self.model.as_ref())
    }

    fn seen(&self, day: Day) -> Seen<'_> {
        let contact = ContactFacts {
            channels: self.channels.as_deref(),
            last_contacted_on: self.last_contacted_on,
            log: self.contacts.as_ref(),
        };
        let (facts, _) = self.customer(day).answers(contact).unwrap();
        let columns = COLUMNS.iter().filter(|column| column.passing == Passing::Told);
        let mut stays: HashMap<_, _> = columns.map(|column| (column.name, (column.find)(&facts))).collect();
        stays.insert("wait_until", facts.action_due_on.filter(|&on| on > day).map(Value::On));
        Seen { stays, next_change_on: facts.next_change_on }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// The day itself is a column too: an earlier one would be one that was told late.
    #[test]
    fn nothing_changes_before_the_day_that_was_told(known in known(), first in -5..LAST_DAY) {
        let mut told = known.seen(Day(first));
        for day in (first + 1..first + 150).map(Day) {
            let seen = known.seen(day);
            if told.next_change_on == Some(day) {
                told = seen;
                continue;
            }
            prop_assert!(told.next_change_on.is_none_or(|on| on > day));
            for (name, value) in &seen.stays {
                prop_assert_eq!(value, &told.stays[name], "{} on day {}, not before {:?}", name, day.0, told.next_change_on);
            }
        }
    }

    /// Rules on predictions alone make nobody due before her step is another one.
    #[test]
    fn where_a_prediction_decides_the_day_is_that_of_the_other_step(
        rows in prop::collection::vec((0..LAST_DAY, 0i128..3000), 1..9),
        model in prop::sample::select(&MODELS[..3]),
        number in prop::sample::select(CHANCES),
        limit in 1..999i32,
        as_of in LAST_DAY..600i32,
    ) {
        let rows = rows.into_iter().map(|(day, amount)| PurchaseDay::of_row(Day(day), Some(amount), None));
        let history = PurchaseHistory::new(0, rows.collect()).unwrap();
        // Long limits, so that nothing else comes in between.
        let policy = json!({
            "lifecycle": { "cycle": "fixed", "at_risk_after_days": 30000, "dormant_after_days": 30001, "winback_window_days": 1 },
            "rfm": { "recency_cuts": [30000, 30001, 30002, 30003] }, "vip": { "min_orders": 1_000_000 },
            "next_action": { "rules": [{ "id": "a", "action": "write", "behavior": "care", "title": "t",
                                         "when": { number: { "at_least": f64::from(limit) / 1000.0 } } }] },
        });
        let document = Document::parse(&policy.to_string()).unwrap();
        let model = PurchaseModel::parse(model).unwrap();
        let rule = |day| {
            let customer = Customer::new(Some(&history), Day(day), document.policy().unwrap(), None, None);
            let (facts, step) = customer.with_model(Some(&model)).answers(ContactFacts::default()).unwrap();
            (step.rule_id().is_some(), facts.next_change_on.filter(|day| day.0 < 20_000))
        };
        let (is_met, told) = rule(as_of);
        match told {
            Some(Day(day)) => {
                prop_assert!(is_met && rule(day - 1).0);
                // Or it is asked again in ten years of her life.
                prop_assert!(!rule(day).0 || (day - history.days()[0].day.0) % 3650 == 0);
            }
            None => prop_assert!(!is_met),
        }
    }

    /// Where only the lifecycle and the recency digit depend on time, the day is not told too early.
    #[test]
    fn where_nothing_but_the_recency_matters_the_day_is_the_first_change(
        rows in prop::collection::vec((0..LAST_DAY, -300i128..3000), 0..9),
        cycle in prop::sample::select(&["own", "fixed"]),
        as_of in 0..600i32,
    ) {
        let rows = rows.into_iter().filter(|&(day, _)| day <= as_of);
        let rows = rows.map(|(day, amount)| PurchaseDay::of_row(Day(day), Some(amount), None));
        let history = PurchaseHistory::new(0, rows.collect()).unwrap();
        let policy = json!({ "lifecycle": { "cycle": cycle }, "next_action": { "rules": [] }, "vip": { "min_orders": 1_000_000 } });
        let document = Document::parse(&policy.to_string()).unwrap();
        let on = |day| Customer::new(Some(&history), Day(day), document.policy().unwrap(), None, None);
        let (facts, _) = on(as_of).answers(ContactFacts::default()).unwrap();
        let digit = on(as_of).scores().map(|scores| scores.r);
        let falls_on = (as_of + 1..as_of + 200).find(|&day| on(day).scores().map(|scores| scores.r) != digit).map(Day);
        prop_assert_eq!(facts.next_change_on, falls_on.into_iter().chain(facts.next_transition_on).min());
    }
}
