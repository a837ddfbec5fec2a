//! Why the answers of one customer are what they are.

use pgrx::prelude::*;

use super::datum::{Channels, Jsonb};
use super::error::OrRaise;
use super::types::{Model, SegmentPolicy, policy_of};
use crate::contact::{ContactFacts, ContactHistory};
use crate::customer::Customer;
use crate::day::Day;
use crate::engagement::EngagementHistory;
use crate::explain::explain;
use crate::history::PurchaseHistory;
use crate::membership::{KnownMembership, Membership, MembershipHistory};

#[pg_extern(immutable, parallel_safe, cost = 10000)]
#[allow(clippy::too_many_arguments)]
fn explain_customer(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    policy: default!(Option<SegmentPolicy>, "NULL"),
    engagement: default!(Option<EngagementHistory>, "NULL"),
    membership: default!(Option<Membership>, "NULL"),
    channels: default!(Option<Channels>, "NULL"),
    last_contacted_on: default!(Option<Day>, "NULL"),
    contacts: default!(Option<ContactHistory>, "NULL"),
    memberships: default!(Option<MembershipHistory>, "NULL"),
    model: default!(Option<Model>, "NULL"),
) -> Option<Jsonb> {
    let membership = KnownMembership::new(membership, memberships.as_ref());
    let customer = Customer::new(history.as_ref(), as_of?, policy_of(&policy), engagement.as_ref(), membership);
    let contact = ContactFacts {
        channels: channels.as_ref().map(|channels| &*channels.0),
        last_contacted_on,
        log: contacts.as_ref(),
    };
    Some(Jsonb(explain(&customer.with_model(model.as_deref()), contact).or_raise()))
}

extension_sql!(
    "COMMENT ON FUNCTION explain_customer(purchase_history, date, segment_policy, engagement_history, text, text[], date, contact_history, membership_history, purchase_model) IS
    'The columns of segment_customer with every input, limit and rule that decided, for jsonb_pretty; NULL where as_of is NULL.';",
    name = "explain_comments",
    requires = [explain_customer]
);
