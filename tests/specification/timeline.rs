//! The timeline against the question asked day by day, on random customers: engagement, membership, both cycles.

use pg_rfm::customer::{Customer, Since};
use pg_rfm::day::Day;
use pg_rfm::engagement::EngagementHistory;
use pg_rfm::history::{PurchaseDay, PurchaseHistory};
use pg_rfm::lifecycle::LifecycleState;
use pg_rfm::membership::{KnownMembership, Membership, MembershipHistory};
use pg_rfm::policy::Document;
use pg_rfm::timeline::{Timeline, merged};
use proptest::prelude::*;

const POLICIES: &[&str] = &[
    "{}",
    r#"{"lifecycle": {"cycle": "own"}}"#,
    r#"{"lifecycle": {"cycle": "own", "winback_window_days": 3, "min_days": 1, "prior_gaps": 0.5}, "frequency": "purchase_days"}"#,
    r#"{"lifecycle": {"winback_window_days": 200}, "vip": {"monetary_cut": 3000, "max_recency_days": 20},
        "relation": {"window_days": 40}}"#,
    r#"{"vip": {"untracked_min_value_score": 60, "min_span_days": 10}, "rfm": {"recency_cuts": [3.5, 17, 17, 50]}}"#,
];
const KINDS: &[&str] = &["review", "referral", "survey", "community", "complaint", "weather"];
const LAST_DAY: i32 = 500;

#[derive(Debug)]
struct Shopper {
    history: PurchaseHistory,
    engagement: Option<EngagementHistory>,
    membership: Option<Membership>,
    log: Option<MembershipHistory>,
    policy: Document,
}

prop_compose! {
    fn shopper()(
        rows in prop::collection::vec((0..LAST_DAY, -300i128..3000), 0..12),
        events in prop::option::of(prop::collection::vec((0..KINDS.len(), 0..LAST_DAY, 1u32..4), 0..14)),
        membership in prop::option::of(prop::sample::select(Membership::ALL)),
        log in prop::option::of(prop::collection::vec((0..LAST_DAY, prop::sample::select(Membership::ALL)), 0..6)),
        policy in prop::sample::select(POLICIES),
    ) -> Shopper {
        let rows = rows.into_iter().map(|(day, amount)| PurchaseDay::of_row(Day(day), Some(amount), None));
        let engagement = events.map(|events| {
            EngagementHistory::new(events.into_iter().map(|(kind, day, count)| (KINDS[kind], Day(day), count))).unwrap()
        });
        Shopper {
            history: PurchaseHistory::new(0, rows.collect()).unwrap(),
            engagement,
            membership,
            log: log.map(log_of),
            policy: Document::parse(policy).unwrap(),
        }
    }
}

fn log_of(entries: impl IntoIterator<Item = (i32, Membership)>) -> MembershipHistory {
    MembershipHistory::new(entries.into_iter().map(|(day, membership)| (Day(day), membership))).unwrap()
}

impl Shopper {
    fn memberships(&self) -> KnownMembership<'_> {
        KnownMembership::new(self.membership, self.log.as_ref())
    }

    fn customer(&self, day: Day) -> Customer<'_> {
        let policy = self.policy.policy().unwrap();
        Customer::new(Some(&self.history), day, policy, self.engagement.as_ref(), self.memberships())
    }

    fn state(&self, day: i32) -> LifecycleState {
        self.customer(Day(day)).lifecycle_state()
    }

    /// The same shopper as if nothing had happened after a day.
    fn forgetting_after(&self, day: Day) -> Shopper {
        let days = self.history.until(day).to_vec();
        let engagement = self
            .engagement
            .as_ref()
            .map(|engagement| EngagementHistory::new(engagement.entries().filter(|&(_, on, _)| on <= day)).unwrap());
        Shopper {
            history: PurchaseHistory::new(0, days).unwrap(),
            engagement,
            membership: self.membership,
            log: self
                .log
                .as_ref()
                .map(|log| MembershipHistory::new(log.entries().filter(|&(on, _)| on <= day)).unwrap()),
            policy: Document::parse(&self.policy.to_string()).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_timeline_is_the_state_day_by_day(shopper in shopper(), from in -20i32..300, days in 0i32..700) {
        let to = from + days;
        let policy = shopper.policy.policy().unwrap();
        let engagement = shopper.engagement.as_ref();
        let timeline =
            Timeline::new(Some(&shopper.history), Day(from), Day(to), policy, engagement, shopper.memberships()).unwrap();
        let timeline: Vec<_> = merged(timeline).collect();
        prop_assert_eq!(timeline.first().unwrap().from, Day(from));
        prop_assert_eq!(timeline.last().unwrap().to, Day(to));
        for pair in timeline.windows(2) {
            prop_assert_eq!(pair[0].to.plus(1), Some(pair[1].from));
            prop_assert_ne!(pair[0].state, pair[1].state);
        }
        for stretch in timeline {
            for day in stretch.from.0..=stretch.to.0 {
                prop_assert_eq!(shopper.state(day), stretch.state, "day {}", day);
            }
        }
    }

    #[test]
    fn the_next_transition_is_the_first_day_with_another_state(shopper in shopper(), as_of in 0i32..600) {
        let as_of = Day(as_of);
        let alone = shopper.forgetting_after(as_of);
        let state = alone.state(as_of.0);
        let expected = (as_of.0 + 1..as_of.0 + 1000).find(|&day| alone.state(day) != state).map(Day);
        prop_assert_eq!(shopper.customer(as_of).next_transition_on(), expected);
    }

    #[test]
    fn since_is_the_first_day_of_the_present_state(shopper in shopper(), as_of in 0i32..600) {
        let found = shopper.customer(Day(as_of)).since();
        let state = shopper.state(as_of);
        if state == LifecycleState::Prospect {
            prop_assert_eq!(found, None);
        } else {
            let before = (-1..as_of).rev().find(|&day| shopper.state(day) != state).unwrap();
            prop_assert_eq!(found, Some(Since { since: Day(before + 1), previous: shopper.state(before) }));
        }
    }
}
