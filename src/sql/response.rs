//! Who answers over which channel, and in which order the dormant are expected to.

use pgrx::prelude::*;

use super::error::{OrRaise, raise};
use super::set::{AnsweringChannel, DormantAnswer, DormantResponseRank, SetOf};
use super::types::{SegmentPolicy, policy_of};
use crate::contact::{ChannelResponse, ContactHistory};
use crate::customer::Customer;
use crate::day::Day;
use crate::dormancy::DormancyReason;
use crate::dormancy_response::{DormantKind, DormantResponse, KindResponse};
use crate::engagement::EngagementHistory;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{NO_PURCHASES, PurchaseHistory};
use crate::membership::{KnownMembership, Membership, MembershipHistory};
use crate::memory;
use crate::proportion::Proportion;

#[pg_extern(immutable, parallel_safe, cost = 50)]
fn channel_responses(
    history: Option<PurchaseHistory>,
    contacts: Option<ContactHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> SetOf<AnsweringChannel> {
    let (Some(log), Some(as_of)) = (contacts, as_of) else {
        return SetOf::empty();
    };
    let history = history.as_ref().unwrap_or(&NO_PURCHASES);
    let policy = &policy_of(&policy).contact;
    let responses = ChannelResponse::all(&log, history, as_of, policy);
    // No log has more days than an integer counts.
    let row = |r: ChannelResponse| {
        let [contacts, judged, answered, unanswered] =
            [r.contacts, r.judged, r.answered, r.unanswered].map(|count| count as i32);
        let channel = r.channel.map(str::to_owned);
        (channel, contacts, judged, answered, unanswered, r.gives_way(policy), r.last_contacted_on, r.last_answered_on)
    };
    SetOf::new(memory::collect(responses.into_iter().map(row)))
}

#[pg_extern(immutable, parallel_safe, cost = 300)]
fn dormant_responses(
    history: Option<PurchaseHistory>,
    contacts: Option<ContactHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
) -> SetOf<DormantAnswer> {
    let (Some(log), Some(as_of)) = (contacts, as_of) else {
        return SetOf::empty();
    };
    let membership = KnownMembership::new(membership, memberships.as_ref());
    let customer = Customer::new(history.as_ref(), as_of, policy_of(&policy), engagement.as_ref(), membership);
    // No log has more days than an integer counts.
    let row = |r: DormantResponse| (r.kind.reason.name(), r.kind.year, r.contacts as i32, r.is_answered);
    SetOf::new(memory::collect(DormantResponse::all(&customer, &log).into_iter().map(row)))
}

/// More kinds than the years of a calendar have.
const MAX_KINDS: usize = 100_000;

#[pg_extern(immutable, parallel_safe, cost = 100)]
fn dormant_response_order(
    reasons: Option<Array<&str>>,
    years: Option<Array<i32>>,
    contacted: Option<Array<i64>>,
    answered: Option<Array<i64>>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
) -> SetOf<DormantResponseRank> {
    let (Some(reasons), Some(years), Some(contacted), Some(answered)) = (reasons, years, contacted, answered) else {
        return SetOf::empty();
    };
    let count = reasons.len();
    if count > MAX_KINDS {
        let message = format!("{count} kinds of dormant customers, at most {MAX_KINDS} are allowed");
        raise(Error::new(ErrorKind::LimitExceeded, message).hint("Is a GROUP BY missing?"));
    }
    if [years.len(), contacted.len(), answered.len()] != [count; 3] {
        let lengths = format!("{count}, {}, {} and {}", years.len(), contacted.len(), answered.len());
        let message = format!("reasons, years, contacted and answered are of different lengths: {lengths}");
        raise(Error::new(ErrorKind::InvalidParameter, message).hint("Collect all four by array_agg of the same rows."));
    }
    let counts = contacted.iter().zip(answered.iter());
    let kinds = reasons.iter().zip(years.iter()).zip(counts);
    // A kind without a reason or a year is none.
    let kinds = kinds.filter_map(|((reason, year), (contacted, answered))| {
        Some(kind_response(reason?, year?, contacted.unwrap_or(0), answered.unwrap_or(0)).or_raise())
    });
    let min_customers = policy_of(&policy).contact.response_min_customers;
    let placed = KindResponse::in_expected_order(memory::collect(kinds), min_customers).or_raise();
    let rows = (1..).zip(placed).map(|(order, (response, source))| {
        let KindResponse { kind, answered } = response;
        let (low, high) = answered.wilson_interval().unzip();
        let number = answered.numerator().unwrap_or(0);
        let (contacted, rate) = (answered.denominator(), answered.rate());
        (order, kind.reason.name(), kind.year, contacted, number, rate, low, high, source.name())
    });
    SetOf::new(memory::collect(rows))
}

fn kind_response(reason: &str, year: i32, contacted: i64, answered: i64) -> Result<KindResponse> {
    if year < 1 {
        let message = format!("there is no year {year} of dormancy");
        return Err(Error::new(ErrorKind::InvalidParameter, message).hint("dormant_year() counts them from 1."));
    }
    let kind = DormantKind { year, reason: DormancyReason::from_name(reason)? };
    Ok(KindResponse { kind, answered: Proportion::new(answered, contacted)? })
}
