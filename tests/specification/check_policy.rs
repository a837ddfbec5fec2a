//! What `check_policy` says nobody can be: held against customers of every kind, in both directions.

use std::collections::BTreeSet;

use pg_rfm::customer::Customer;
use pg_rfm::day::Day;
use pg_rfm::engagement::EngagementHistory;
use pg_rfm::history::{PurchaseDay, PurchaseHistory};
use pg_rfm::lifecycle::{LifecycleState, PurchaseStage, Rhythm};
use pg_rfm::membership::Membership;
use pg_rfm::policy::{Document, Policy};
use pg_rfm::vip::VipTier;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

/// Every state, tier and stage, as findings call them; `vip` stands for the tier and the state.
fn labels() -> BTreeSet<String> {
    let states = LifecycleState::ALL.iter().map(|state| state.name().to_owned());
    let tiers = VipTier::ALL.iter().map(|tier| tier.name().to_owned());
    let stages = PurchaseStage::ALL.iter().map(|stage| format!("in the stage {}", stage.name()));
    states.chain(tiers).chain(stages).collect()
}

/// What the policy's findings say that nobody ever is.
fn out_of_reach(document: &Document) -> BTreeSet<String> {
    let findings = document.check().expect("a document that was read can be checked");
    let said = findings.iter().filter_map(|finding| finding.message.strip_prefix("nobody is ever "));
    said.map(|said| said.split_once(':').expect("a label and a reason").0.to_owned()).collect()
}

#[derive(Clone, Debug)]
struct Shopper {
    gaps: Vec<i32>,
    /// Orders on the first day.
    orders: u32,
    recency: i32,
    amount: i128,
    events: Option<u32>,
    membership: Option<Membership>,
}

impl Shopper {
    /// What she is by a policy: her state, tier and stage.
    fn labels(&self, policy: &Policy) -> [String; 3] {
        let mut day = 0;
        let first = PurchaseDay { orders: self.orders, amount: self.amount, ..PurchaseDay::of_row(Day(0), None, None) };
        let mut days = vec![first];
        for gap in &self.gaps {
            day += gap;
            days.push(PurchaseDay::of_row(Day(day), Some(0), None));
        }
        let h = PurchaseHistory::new(0, days).unwrap();
        let as_of = Day(day + self.recency);
        let events = self.events.map(|count| EngagementHistory::new([("review", as_of, count)]).unwrap());
        let customer = Customer::new(Some(&h), as_of, policy, events.as_ref(), self.membership);
        // The finding of vip is of the state: whoever is in it is of the tier.
        let tier = match (customer.vip_tier(), customer.lifecycle_state()) {
            (VipTier::Vip, state) => state.name(),
            (tier, _) => tier.name(),
        };
        let stage = customer.purchase_stage().expect("she has bought").name();
        [customer.lifecycle_state().name().to_owned(), tier.to_owned(), format!("in the stage {stage}")]
    }
}

/// How many gaps of a kind follow each other: own limits approach some values slowly.
const LENGTHS: [usize; 12] = [1, 2, 3, 4, 6, 9, 14, 20, 30, 45, 70, 110];

/// Gaps that come to the edges of what a policy tells apart: short ones, and ones of just the dormant limit or a day more.
fn gap_lists(policy: &Policy) -> Vec<Vec<i32>> {
    let short: [&[i32]; 12] =
        [&[], &[1], &[2], &[3], &[5], &[9], &[40], &[1, 1], &[9, 1], &[1, 9], &[1, 1, 1], &[2, 1, 3]];
    let mut lists: Vec<Vec<i32>> = short.iter().map(|gaps| gaps.to_vec()).collect();
    for grace in [None, Some(Membership::Continuing)] {
        for more in [0, 1] {
            let mut gaps: Vec<i32> = Vec::new();
            for length in 1..=LENGTHS[LENGTHS.len() - 1] {
                let walked = Rhythm::walk(gaps.iter().map(|&gap| (gap.into(), grace)), &policy.lifecycle, grace);
                gaps.push((walked.limits.dormant as i32 + more).clamp(1, 4000));
                if LENGTHS.contains(&length) {
                    lists.push(gaps.clone());
                    lists.extend(LENGTHS[..6].iter().map(|&short| [gaps.clone(), vec![1; short]].concat()));
                }
            }
        }
    }
    lists.extend(LENGTHS.map(|gaps| vec![1; gaps]));
    lists
}

/// One shopper of each kind, in an order in which neighbors differ in everything.
fn shoppers(policy: &Policy) -> impl Iterator<Item = Shopper> {
    let gaps = gap_lists(policy);
    let memberships = [None].into_iter().chain(Membership::ALL.iter().copied().map(Some)).collect::<Vec<_>>();
    let (orders, recencies, amounts, events) = (
        [1, 2, 3, 5],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 20, 5000],
        [-5, 0, 3, 1000],
        [None, Some(0), Some(1), Some(9)],
    );
    let sizes = [gaps.len(), orders.len(), recencies.len(), amounts.len(), events.len(), memberships.len()];
    let all: usize = sizes.iter().product();
    let stride = (all as f64 * 0.618) as usize;
    let stride = (stride..).find(|stride| gcd(*stride, all) == 1).expect("a number without a common divisor");
    (0..all).map(move |n| {
        let mut rest = n * stride % all;
        let mut pick = |size: usize| {
            let picked = rest % size;
            rest /= size;
            picked
        };
        Shopper {
            gaps: gaps[pick(sizes[0])].clone(),
            orders: orders[pick(sizes[1])],
            recency: recencies[pick(sizes[2])],
            amount: amounts[pick(sizes[3])],
            events: events[pick(sizes[4])],
            membership: memberships[pick(sizes[5])],
        }
    })
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Policies with numbers so small that a few shoppers come to all of their edges.
fn policies() -> impl Strategy<Value = String> {
    let number = |most: u32| 0..=most;
    let lifecycle = (
        select(vec!["fixed", "own"]),
        (number(3), number(3)),
        number(5),
        number(2),
        number(2),
        (select(vec![0.25, 0.5, 1.0, 1.5]), select(vec![0.0, 0.5, 1.0])),
        (select(vec![0.5, 1.0, 3.0]), select(vec![1.0, 2.0, 5.5])),
        (number(3), number(3)),
    )
        .prop_map(
            |(cycle, (at_risk, more), window, new, grace, (ratio, ratio_more), (prior, store), (min, max_more))| {
                format!(
                    r#"{{"cycle": "{cycle}", "at_risk_after_days": {at_risk}, "dormant_after_days": {},
                    "winback_window_days": {window}, "new_max_orders": {new}, "continuing_grace_days": {grace},
                    "at_risk_ratio": {ratio}, "dormant_ratio": {}, "prior_gaps": {prior}, "store_gap_days": {store},
                    "min_days": {min}, "max_days": {}}}"#,
                    at_risk + more,
                    ratio + ratio_more,
                    min + max_more
                )
            },
        );
    let vip = (
        (number(2), number(3), number(3), number(6)),
        (select(vec!["null", "3", "1000"]), number(2)),
        select(vec![r#""continuing", "ad_hoc""#, "", r#""continuing", "paused", "withdrawn", "ad_hoc""#, r#""paused""#]),
        select(vec![0, 0, 50, 100]),
        select(vec!["null", "0", "34", "100"]),
    )
        .prop_map(|((span, orders, days, recency), (cut, ltv_days), memberships, relation, value)| {
            format!(
                r#"{{"min_span_days": {span}, "min_orders": {orders}, "min_purchase_days": {days}, "max_recency_days": {recency},
                    "monetary_cut": {cut}, "monetary_min_purchase_days": {ltv_days}, "memberships": [{memberships}],
                    "min_relation_score": {relation}, "untracked_min_value_score": {value}}}"#
            )
        });
    let cuts = (select(vec!["[1, 4]", "[-1]", "[0]"]), select(vec!["[1, 2]", "[0]"]), select(vec!["[0, 500]", "[4]"]));
    let relation = (select(vec![0, 20, 50]), number(2));
    let stage = (2..=3u32, 0..=1u32);
    (select(vec!["orders", "purchase_days"]), lifecycle, vip, cuts, relation, stage).prop_map(
        |(frequency, lifecycle, vip, (r, f, m), (weight, cap), (nurture, more))| {
            let kinds = ["survey", "referral", "social_post", "event", "community", "proposal"];
            let others: Vec<_> = kinds.iter().map(|kind| format!(r#""{kind}": {{"weight": 0, "cap": 0}}"#)).collect();
            format!(
                r#"{{"frequency": "{frequency}", "lifecycle": {lifecycle}, "vip": {vip},
                    "rfm": {{"recency_cuts": {r}, "frequency_cuts": {f}, "monetary_cuts": {m}}},
                    "relation": {{"kinds": {{"review": {{"weight": {weight}, "cap": {cap}}}, {}}}}},
                    "purchase_stage": {{"nurture_min_orders": {nurture}, "established_min_orders": {}}}}}"#,
                others.join(", "),
                nurture + more
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 0, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    /// Nobody is what nobody is said to be, and somebody is what nothing is said of.
    #[test]
    fn nobody_is_what_is_out_of_reach_and_somebody_is_everything_else(text in policies()) {
        let document = Document::parse(&text).unwrap();
        let policy = document.policy().unwrap();
        let never = out_of_reach(&document);
        let mut missing: BTreeSet<_> = labels().difference(&never).cloned().collect();
        missing.remove("prospect");
        missing.remove("regular"); // prospects of a shop that tracks nothing
        if text.contains(r#""cycle": "own""#) {
            missing.remove("at_risk"); // the check takes a typical gap for any number, not only those that gaps of whole days make
        }
        missing.remove("supporter"); // whoever is no candidate; prospects where everybody else is one
        for (n, shopper) in shoppers(policy).enumerate() {
            if missing.is_empty() && n > 3000 {
                break;
            }
            for label in shopper.labels(policy) {
                prop_assert!(!never.contains(&label), "{shopper:?} is {label}: {text}");
                missing.remove(&label);
            }
        }
        prop_assert!(missing.is_empty(), "nobody is {missing:?}: {text}");
    }
}

/// Each finding by a policy of its own.
#[test]
fn what_is_out_of_reach_is_named() {
    let all_memberships = r#""memberships": ["continuing", "paused", "withdrawn", "ad_hoc"]"#;
    let everybody = format!(r#"{all_memberships}, "min_relation_score": 0, "untracked_min_value_score": 0"#);
    for (text, expected) in [
        ("{}".into(), vec![]),
        (r#"{"lifecycle": {"new_max_orders": 0}}"#.into(), vec!["lifecycle.new_max_orders: nobody is ever new: it is 0"]),
        (
            r#"{"frequency": "purchase_days", "lifecycle": {"new_max_orders": 0}}"#.into(),
            vec!["lifecycle.new_max_orders: nobody is ever new: it is 0"],
        ),
        (
            r#"{"lifecycle": {"at_risk_after_days": 60}}"#.into(),
            vec!["lifecycle.at_risk_after_days: nobody is ever at_risk: lifecycle.dormant_after_days is the same"],
        ),
        (
            r#"{"lifecycle": {"cycle": "own", "min_days": 30, "max_days": 30}}"#.into(),
            vec!["lifecycle.min_days: nobody is ever at_risk: lifecycle.max_days is the same"],
        ),
        (
            r#"{"lifecycle": {"cycle": "own", "at_risk_ratio": 3}}"#.into(),
            vec!["lifecycle.at_risk_ratio: nobody is ever at_risk: lifecycle.dormant_ratio is the same"],
        ),
        (
            r#"{"lifecycle": {"cycle": "own", "at_risk_ratio": 0.01, "dormant_ratio": 0.02, "min_days": 1, "continuing_grace_days": 0}}"#.into(),
            vec!["lifecycle.at_risk_ratio: nobody is ever at_risk: in whole days"],
        ),
        (
            r#"{"lifecycle": {"at_risk_after_days": 4000000, "dormant_after_days": 4000000000}}"#.into(),
            vec![
                "lifecycle.dormant_after_days: nobody is ever dormant: the calendar",
                "lifecycle.dormant_after_days: nobody is ever winback: the calendar",
            ],
        ),
        (
            r#"{"vip": {"untracked_min_value_score": null}, "relation": {"kinds": {"referral": {"weight": 0, "cap": 3},
                "review": {"weight": 10, "cap": 1}, "survey": {"weight": 10, "cap": 0}, "social_post": {"weight": 1, "cap": 3},
                "event": {"weight": 2.5, "cap": 3}, "community": {"weight": 0, "cap": 0}, "proposal": {"weight": 29.4, "cap": 1}}}}"#.into(),
            vec![
                "vip.min_relation_score: nobody is ever vip: relation.kinds make at most 49.9 points, and vip.untracked_min_value_score is null",
                "vip.min_relation_score: nobody is ever supporter: relation.kinds make at most 49.9 points",
            ],
        ),
        (
            r#"{"rfm": {"frequency_cuts": [0.5, 2]}, "vip": {"min_relation_score": 0}}"#.into(),
            vec![],
        ),
        (
            r#"{"vip": {"min_span_days": 4000000}}"#.into(),
            vec![
                "vip: nobody is ever candidate: the calendar or a history has not so many days",
                "vip: nobody is ever vip: nobody is a candidate",
            ],
        ),
        (format!(r#"{{"vip": {{{everybody}}}}}"#), vec!["vip: nobody is ever candidate: each is vip at once"]),
        (
            format!(r#"{{"vip": {{{everybody}, "min_span_days": 0, "min_orders": 3, "min_purchase_days": 1}}, "lifecycle": {{"winback_window_days": 45}}}}"#),
            vec![
                "lifecycle.new_max_orders: nobody is ever active: whoever is neither at_risk",
                "vip: nobody is ever candidate: each is vip at once",
            ],
        ),
        (
            format!(r#"{{"vip": {{{everybody}, "min_span_days": 0, "min_orders": 1, "min_purchase_days": 1}}}}"#),
            vec![
                "vip: nobody is ever new: whoever could be is vip",
                "lifecycle.new_max_orders: nobody is ever active: whoever is neither at_risk",
                "vip: nobody is ever candidate: each is vip at once",
            ],
        ),
        (
            r#"{"lifecycle": {"at_risk_after_days": 0, "dormant_after_days": 0, "continuing_grace_days": 0}}"#.into(),
            vec![
                "lifecycle.at_risk_after_days: nobody is ever at_risk: lifecycle.dormant_after_days is the same",
                "lifecycle.dormant_after_days: nobody is ever vip: it is 0, so that",
            ],
        ),
        (
            r#"{"purchase_stage": {"nurture_min_orders": 4}}"#.into(),
            vec!["purchase_stage.nurture_min_orders: nobody is ever in the stage nurture: purchase_stage.established_min_orders is the same"],
        ),
        (
            r#"{"frequency": "purchase_days", "purchase_stage": {"established_min_orders": 1000001}}"#.into(),
            vec!["purchase_stage.established_min_orders: nobody is ever in the stage established: no history"],
        ),
        (
            r#"{"vip": {"memberships": []}}"#.into(),
            vec!["vip.memberships: it is empty: only customers of unknown membership can be vip"],
        ),
    ] as [(String, Vec<&str>); 18]
    {
        let found = Document::parse(&text).unwrap().check().unwrap();
        let found: Vec<_> = found.iter().map(|finding| format!("{}: {}", finding.path, finding.message)).collect();
        let found: Vec<_> = found
            .iter()
            .filter(|finding| finding.contains("nobody is ever") || finding.starts_with("vip"))
            .collect();
        let as_expected = found.len() == expected.len() && found.iter().zip(&expected).all(|(f, e)| f.starts_with(e));
        assert!(as_expected, "{text}: {found:#?}");
    }
}
