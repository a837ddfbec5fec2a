//! Hostile input to the types: bytes and texts that nobody sends on purpose. The answer is an error or a valid value,
//! never a crash; what the core accepts it also calculates with, up to the largest numbers there are.

mod extremes;
mod mutants;
mod properties;
mod server;
mod states;
mod values;

use crate::common::*;
use pg_rfm::calendar::Step;
use pg_rfm::contact::{ChannelResponse, ContactFacts, ContactHistory, ContactKind};
use pg_rfm::customer::Customer;
use pg_rfm::day::Day;
use pg_rfm::decimal::Decimal;
use pg_rfm::dormancy_response::DormantResponse;
use pg_rfm::engagement::EngagementHistory;
use pg_rfm::error::ErrorKind;
use pg_rfm::history::{PurchaseDay, PurchaseHistory};
use pg_rfm::membership::{KnownMembership, Membership, MembershipHistory};
use pg_rfm::policy::Document;
use pg_rfm::prediction::{
    DiscountRate, ForecastQuestion, ForecastSums, Horizon, PurchaseModel, SpendCounts, Spent, Timing,
};
use pg_rfm::scenario::{PRESETS, Scenario, Scenarios, preset};
use pg_rfm::timeline::Timeline;

const AS_OFS: [Day; 7] =
    [Day(i32::MIN + 1), Day::MIN, Day(7_500), Day(8_000), Day(9_000), Day::MAX, Day(2_145_031_948)];

/// Asks everything about a customer for every kind of day. Errors are fine, panics are not.
fn ask_everything(
    history: Option<&PurchaseHistory>,
    engagement: Option<&EngagementHistory>,
    document: &Document,
    membership: Option<Membership>,
) {
    let Ok(policy) = document.policy() else { return };
    let channels = ["email".to_owned(), String::new()];
    let life = Timeline::new(history, AS_OFS[0], AS_OFS[6], policy, engagement, membership).expect("from before to");
    let mut before = None;
    for stretch in life.take(40) {
        assert!(stretch.from <= stretch.to && before.is_none_or(|before: Day| before.plus(1) == Some(stretch.from)));
        before = Some(stretch.to);
    }
    for as_of in AS_OFS {
        let customer = Customer::new(history, as_of, policy, engagement, membership);
        for contact in [
            ContactFacts::default(),
            ContactFacts { channels: Some(&channels), last_contacted_on: Some(as_of), log: None },
            ContactFacts { channels: Some(&[]), last_contacted_on: Some(Day::MIN), log: None },
        ] {
            let _ = customer.answers(contact);
        }
        let _ = customer.next_transition_on();
        if let Some(history) = history {
            let _ = (history.median_gap_days(as_of), history.gaps(as_of).count(), history.monetary(as_of).to_string());
            if let Some(purchases) = history.purchases(as_of) {
                let _ = (purchases.mean_gap_days(), purchases.discount_share(), purchases.recency_days(as_of));
            }
        }
    }
}

/// What happened to a number of values.
#[derive(Default, Debug)]
struct Tally {
    valid: usize,
    refused: usize,
}
