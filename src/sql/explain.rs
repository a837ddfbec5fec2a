//! Why the answers of one customer are what they are.

use pgrx::prelude::*;

use super::customer::ask;
use super::datum::{Channels, Jsonb};
use super::error::OrRaise;
use super::types::SegmentPolicy;
use crate::contact::{ContactFacts, ContactHistory};
use crate::day::Day;
use crate::engagement::EngagementHistory;
use crate::explain::explain;
use crate::history::PurchaseHistory;
use crate::membership::{Membership, MembershipHistory};

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
) -> Option<Jsonb> {
    ask(history, as_of, policy, engagement, membership, memberships, |customer| {
        let contact = ContactFacts {
            channels: channels.as_ref().map(|channels| &*channels.0),
            last_contacted_on,
            log: contacts.as_ref(),
        };
        Some(Jsonb(explain(customer, contact).or_raise()))
    })
}

extension_sql!(
    "COMMENT ON FUNCTION explain_customer(purchase_history, date, segment_policy, engagement_history, text, text[], date, contact_history, membership_history) IS
    'The columns of segment_customer with every input, limit and rule that decided, for jsonb_pretty; NULL where as_of is NULL.';",
    name = "explain_comments",
    requires = [explain_customer]
);
