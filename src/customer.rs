//! One customer on one day: everything that can be said of her, from her histories and the policy.

use crate::action::{Facts, NextStep};
use crate::contact::ContactFacts;
use crate::day::Day;
use crate::decimal::{Decimal, Millionths};
use crate::dormancy::{self, DormancyCategory, DormancyReason};
use crate::engagement::EngagementHistory;
use crate::error::Result;
use crate::history::{NO_PURCHASES, PurchaseHistory, Purchases, average_order_value};
use crate::lifecycle::{self, LifecycleState, PurchaseStage, Rhythm};
use crate::membership::Membership;
use crate::policy::{Frequency, Policy};
use crate::rfm::Scores;
use crate::vip::{self, CandidateFacts, VipTier};

/// A customer as seen on a day; everything after it is invisible.
#[derive(Clone, Debug)]
pub struct Customer<'a> {
    history: &'a PurchaseHistory,
    as_of: Day,
    /// What happened after this day is invisible; `as_of`, or earlier where the question is what comes if nothing happens.
    known_until: Day,
    policy: &'a Policy,
    engagement: Option<&'a EngagementHistory>,
    membership: Option<Membership>,
    purchases: Option<Purchases>,
    monetary: Decimal,
    scores: Option<Scores>,
    rhythm: Rhythm,
}

impl<'a> Customer<'a> {
    /// The customer with these histories on the day `as_of`; no `history` is that of a prospect, no `engagement` means that
    /// the shop does not track it.
    pub fn new(
        history: Option<&'a PurchaseHistory>,
        as_of: Day,
        policy: &'a Policy,
        engagement: Option<&'a EngagementHistory>,
        membership: Option<Membership>,
    ) -> Self {
        let history = history.unwrap_or(&NO_PURCHASES);
        let mut customer = Customer {
            history,
            as_of,
            known_until: as_of,
            policy,
            engagement,
            membership,
            purchases: history.purchases(as_of),
            monetary: history.monetary(as_of),
            scores: None,
            rhythm: Rhythm::walk(history.gaps(as_of), &policy.lifecycle, membership),
        };
        customer.scores = customer.scores_at(as_of, customer.monetary);
        customer
    }

    /// The same customer on a later day if nothing more happens until then.
    pub fn on_later_day(&self, day: Day) -> Self {
        let mut later = Customer { as_of: day, ..self.clone() };
        later.scores = later.scores_at(day, later.monetary);
        later
    }

    /// The policy she is seen by.
    pub fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// The day the question is asked for.
    pub fn as_of(&self) -> Day {
        self.as_of
    }

    /// M, in currency units.
    pub fn monetary(&self) -> Decimal {
        self.monetary
    }

    /// Days between consecutive purchase days, oldest first.
    pub fn gaps(&self) -> impl Iterator<Item = i64> {
        self.history.gaps(self.known_until)
    }

    /// What she bought; `None` for a prospect.
    pub fn purchases(&self) -> Option<&Purchases> {
        self.purchases.as_ref()
    }

    /// F; 0 for a prospect.
    pub fn frequency(&self) -> i64 {
        self.purchases().map_or(0, |purchases| match self.policy.frequency {
            Frequency::Orders => purchases.orders,
            Frequency::PurchaseDays => purchases.purchase_days.into(),
        })
    }

    /// R, F and M digits; `None` for a prospect.
    pub fn scores(&self) -> Option<Scores> {
        self.scores
    }

    /// The name for the digits; `None` for a prospect.
    pub fn rfm_segment(&self) -> Option<&'a str> {
        self.scores().map(|scores| scores.segment(self.policy))
    }

    /// The digits on a day from the last purchase on, with the M of that day.
    fn scores_at(&self, day: Day, monetary: Decimal) -> Option<Scores> {
        let purchases = self.purchases()?;
        Some(Scores::of(purchases.recency_days(day), self.frequency(), monetary, &self.policy.rfm))
    }

    /// The relation score, exactly; `None` where engagement is not tracked.
    pub fn relation_score(&self) -> Option<Millionths> {
        self.relation_score_at(self.as_of)
    }

    fn relation_score_at(&self, day: Day) -> Option<Millionths> {
        let known_until = self.known_until.min(day);
        self.engagement.map(|engagement| vip::relation_score(engagement, day, known_until, &self.policy.relation))
    }

    /// The value score, 0..100, rounded to 2 decimals; `None` for a prospect.
    pub fn value_score(&self) -> Result<Option<Decimal>> {
        self.scores().map(|scores| scores.value_score(&self.policy.rfm).rounded()).transpose()
    }

    /// The VIP score, 0..100, rounded once to 2 decimals; `None` for a prospect.
    pub fn vip_score(&self) -> Result<Option<Decimal>> {
        let value = self.scores().map(|scores| scores.value_score(&self.policy.rfm));
        value.map(|value| vip::vip_score(value, self.relation_score(), &self.policy.vip)).transpose()
    }

    /// The VIP tier.
    pub fn vip_tier(&self) -> VipTier {
        self.tier_at(self.as_of, self.monetary, self.scores)
    }

    /// The VIP tier on the last purchase day; `None` for a prospect.
    pub fn last_tier(&self) -> Option<VipTier> {
        let last = self.purchases()?.last;
        let monetary = self.history.monetary(last);
        Some(self.tier_at(last, monetary, self.scores_at(last, monetary)))
    }

    /// The tier on a day from the last purchase on, with the M and the digits of that day: there are no more purchases and
    /// gaps than now.
    fn tier_at(&self, day: Day, monetary: Decimal, scores: Option<Scores>) -> VipTier {
        let is_candidate = self.purchases().is_some_and(|purchases| {
            let facts = CandidateFacts {
                span_days: purchases.span_days(),
                frequency: self.frequency(),
                purchase_days: purchases.purchase_days.into(),
                recency_days: purchases.recency_days(day),
                monetary,
                dormant_limit: self.rhythm.limits.dormant,
            };
            facts.is_candidate(&self.policy.vip)
        });
        let value = scores.map(|scores| scores.value_score(&self.policy.rfm));
        vip::vip_tier(is_candidate, value, self.relation_score_at(day), self.membership, &self.policy.vip)
    }

    /// The lifecycle state.
    pub fn lifecycle_state(&self) -> LifecycleState {
        let Some(purchases) = self.purchases() else {
            return LifecycleState::Prospect;
        };
        let recency_days = purchases.recency_days(self.as_of);
        let is_vip = || self.vip_tier() == VipTier::Vip;
        lifecycle::state_of_buyer(recency_days, self.frequency(), &self.rhythm, &self.policy.lifecycle, is_vip)
    }

    /// The purchase stage; `None` for a prospect.
    pub fn purchase_stage(&self) -> Option<PurchaseStage> {
        PurchaseStage::of(self.frequency(), &self.policy.purchase_stage)
    }

    /// The reason she would sleep for; `None` for a prospect.
    pub fn dormancy_reason(&self) -> Option<DormancyReason> {
        let refund_only_on = self.history.last_refund_only_on(self.as_of);
        let limits = &self.policy.dormancy_reason;
        Some(dormancy::reason(self.purchases()?, refund_only_on, self.engagement, self.as_of, limits))
    }

    /// The first day after `as_of` on which the lifecycle state changes if nothing more happens; `None` if it never does.
    pub fn next_transition_on(&self) -> Option<Day> {
        let state = self.lifecycle_state();
        let mut days = self.days_of_change();
        days.sort_unstable();
        days.into_iter().find(|&day| self.on_later_day(day).lifecycle_state() != state)
    }

    /// All later days on which something that the state depends on passes a limit, in any order.
    fn days_of_change(&self) -> Vec<Day> {
        let Some(purchases) = self.purchases() else {
            return Vec::new();
        };
        let limits = self.rhythm.limits;
        let recency_limits = [
            limits.at_risk,
            limits.dormant,
            self.policy.lifecycle.winback_window_days.into(),
            self.policy.vip.max_recency_days.into(),
        ];
        let cuts = self.policy.rfm.recency_cuts.iter().filter_map(|cut| cut.floor());
        // Dormancy ends everything: nothing that comes after it matters.
        let passed = recency_limits.into_iter().chain(cuts).filter(|&limit| limit <= limits.dormant);
        let passed = passed.filter_map(|limit| purchases.last.plus(limit + 1));
        let dormant_on = purchases.last.plus(limits.dormant + 1);
        let window_days = i64::from(self.policy.relation.window_days);
        let events = self.engagement.into_iter().flat_map(|engagement| engagement.events());
        let left_window = events
            .filter(|&(kind, day, _)| day <= self.known_until && self.policy.relation.kinds.contains_key(kind))
            .filter_map(|(_, day, _)| day.plus(window_days))
            .filter(|&day| dormant_on.is_none_or(|dormant_on| day < dormant_on));
        passed.chain(left_window).filter(|&day| day > self.as_of).collect()
    }

    /// All facts that rules can ask about.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`](crate::error::ErrorKind::NumberOutOfRange) when an average does not fit.
    pub fn facts(&self, contact: ContactFacts<'a>) -> Result<Facts<'a>> {
        let purchases = self.purchases();
        let scores = self.scores();
        let state = self.lifecycle_state();
        let orders = purchases.map_or(0, |purchases| purchases.orders);
        let is_dormant = state == LifecycleState::Dormant;
        Ok(Facts {
            as_of: Some(self.as_of),
            first_purchase_on: purchases.map(|purchases| purchases.first),
            last_purchase_on: purchases.map(|purchases| purchases.last),
            recency_days: purchases.map(|purchases| purchases.recency_days(self.as_of)),
            tenure_days: purchases.map(|purchases| self.as_of.days_since(purchases.first)),
            span_days: purchases.map(Purchases::span_days),
            last_gap_days: purchases.and_then(Purchases::last_gap_days),
            orders: Some(orders),
            purchase_days: Some(purchases.map_or(0, |purchases| purchases.purchase_days.into())),
            monetary: Some(self.monetary),
            average_order_value: purchases
                .map(|purchases| average_order_value(self.monetary, purchases.orders))
                .transpose()?,
            discount_share: purchases.and_then(Purchases::discount_share),
            scores,
            rfm_segment: scores.map(|scores| scores.segment(self.policy)),
            lifecycle_state: Some(state),
            purchase_stage: self.purchase_stage(),
            value_score: self.value_score()?,
            relation_score: self.relation_score().map(shown_score).transpose()?,
            vip_score: self.vip_score()?,
            vip_tier: Some(self.vip_tier()),
            last_tier: self.last_tier(),
            dormancy_category: DormancyCategory::of(orders, self.membership).filter(|_| is_dormant),
            dormancy_reason: self.dormancy_reason(),
            refund_only_days_ago: self.history.last_refund_only_on(self.as_of).map(|day| self.as_of.days_since(day)),
            membership: self.membership,
            contact,
            engagement: self.engagement,
        })
    }

    /// The one next step.
    ///
    /// # Errors
    /// As [`facts`](Self::facts).
    pub fn next_step(&self) -> Result<NextStep<'a>> {
        Ok(self.next_step_of(&self.facts(ContactFacts::default())?))
    }

    /// The one next step by facts already found.
    pub fn next_step_of(&self, facts: &Facts) -> NextStep<'a> {
        NextStep::of(facts, self.policy)
    }
}

/// A relation score as it is shown: rounded to 2 decimals.
///
/// # Errors
/// None for a score from 0 to 100.
pub fn shown_score(score: Millionths) -> Result<Decimal> {
    Decimal::quotient(score.get(), Millionths::ONE.into(), 2)
}
