//! One customer on one day: everything that can be said of her, from her histories and the policy.

use std::cell::OnceCell;

use crate::action::{Facts, NextStep};
use crate::contact::ContactFacts;
use crate::day::Day;
use crate::decimal::{Decimal, Millionths};
use crate::dormancy::{self, DormancyCategory, DormancyReason, Evidence};
use crate::engagement::EngagementHistory;
use crate::error::Result;
use crate::history::{NO_PURCHASES, PurchaseHistory, Purchases, average_order_value};
use crate::host;
use crate::lifecycle::{self, LifecycleState, PurchaseStage, Rhythm};
use crate::membership::Membership;
use crate::memory;
use crate::policy::Policy;
use crate::rfm::Frequency;
use crate::rfm::{Scores, ValueScore};
use crate::vip::{self, CandidateFacts, KindPoints, VipTier};

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
    /// Computed when first asked for: most lifecycle states need none.
    scores: OnceCell<Option<Scores>>,
    rhythm: Rhythm,
}

/// What decides a VIP tier.
#[derive(Clone, Copy, Debug)]
pub struct TierFacts {
    /// The day of the tier.
    pub on: Day,
    /// What she bought up to then; `None` for a prospect.
    pub buying: Option<CandidateFacts>,
    /// The value score; `None` for a prospect.
    pub value: Option<ValueScore>,
    /// The relation score; `None` where engagement is not tracked.
    pub relation: Option<Millionths>,
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
        Customer {
            history,
            as_of,
            known_until: as_of,
            policy,
            engagement,
            membership,
            purchases: history.purchases(as_of),
            monetary: history.monetary(as_of),
            scores: OnceCell::new(),
            rhythm: Rhythm::walk(history.gaps(as_of), &policy.lifecycle, membership),
        }
    }

    /// The same customer on a later day if nothing more happens until then.
    pub fn on_later_day(&self, day: Day) -> Self {
        Customer { as_of: day, scores: OnceCell::new(), ..self.clone() }
    }

    /// The same customer as she was seen on an earlier day.
    pub fn on_earlier_day(&self, day: Day) -> Self {
        Customer::new(Some(self.history), day, self.policy, self.engagement, self.membership)
    }

    /// The day she is seen on.
    pub fn as_of(&self) -> Day {
        self.as_of
    }

    /// What her gaps say about the limits of the lifecycle.
    pub fn rhythm(&self) -> &Rhythm {
        &self.rhythm
    }

    /// The policy she is seen by.
    pub fn policy(&self) -> &'a Policy {
        self.policy
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

    /// The number of decimals of her money.
    pub fn money_scale(&self) -> u8 {
        self.history.scale()
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
        *self.scores.get_or_init(|| self.scores_at(self.as_of, self.monetary))
    }

    /// The name for the digits; `None` for a prospect.
    pub fn rfm_segment(&self) -> Option<&'a str> {
        self.scores().map(|scores| scores.segment(&self.policy.segments))
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

    /// What each kind of event adds to the relation score; `None` where engagement is not tracked.
    pub fn relation_points(&self) -> Option<impl Iterator<Item = KindPoints<'a>>> {
        let (engagement, known_until) = (self.engagement?, self.known_until.min(self.as_of));
        Some(vip::relation_points(engagement, self.as_of, known_until, &self.policy.relation))
    }

    /// The VIP tier.
    pub fn vip_tier(&self) -> VipTier {
        self.tier_by(&self.tier_facts())
    }

    /// The VIP tier on the last purchase day; `None` for a prospect.
    pub fn last_tier(&self) -> Option<VipTier> {
        Some(self.tier_by(&self.last_tier_facts()?))
    }

    /// What decides the VIP tier.
    pub fn tier_facts(&self) -> TierFacts {
        self.tier_facts_at(self.as_of, self.monetary, self.scores())
    }

    /// What decides the VIP tier on the last purchase day; `None` for a prospect.
    pub fn last_tier_facts(&self) -> Option<TierFacts> {
        let last = self.purchases()?.last;
        let monetary = self.history.monetary(last);
        Some(self.tier_facts_at(last, monetary, self.scores_at(last, monetary)))
    }

    /// What decides the tier on a day from the last purchase on, with the M and the digits of that day: there are no more
    /// purchases and gaps than now.
    fn tier_facts_at(&self, day: Day, monetary: Decimal, scores: Option<Scores>) -> TierFacts {
        TierFacts {
            on: day,
            buying: self.purchases().map(|purchases| CandidateFacts {
                span_days: purchases.span_days(),
                frequency: self.frequency(),
                purchase_days: purchases.purchase_days.into(),
                recency_days: purchases.recency_days(day),
                monetary,
                dormant_limit: self.rhythm.limits.dormant,
            }),
            value: scores.map(|scores| scores.value_score(&self.policy.rfm)),
            relation: self.relation_score_at(day),
        }
    }

    fn tier_by(&self, facts: &TierFacts) -> VipTier {
        let policy = &self.policy.vip;
        let is_candidate = facts.buying.as_ref().is_some_and(|buying| buying.is_candidate(policy));
        vip::vip_tier(is_candidate, facts.value, facts.relation, self.membership, policy)
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

    /// The reason she would be dormant for; `None` for a prospect.
    pub fn dormancy_reason(&self) -> Option<DormancyReason> {
        self.dormancy_evidence().map(|(reason, _)| reason)
    }

    /// The reason she would be dormant for and what spoke for it; `None` for a prospect.
    pub fn dormancy_evidence(&self) -> Option<(DormancyReason, Evidence)> {
        let refund_only_on = self.history.last_refund_only_on(self.as_of);
        let limits = &self.policy.dormancy_reason;
        Some(dormancy::reason(self.purchases()?, refund_only_on, self.engagement, self.as_of, limits))
    }

    /// The first day after `as_of` on which the lifecycle state changes if nothing more happens; `None` if it never does.
    pub fn next_transition_on(&self) -> Option<Day> {
        let state = self.lifecycle_state();
        let mut days = self.days_of_change();
        memory::sort(&mut days, Ord::cmp);
        days.into_iter().find(|&day| {
            // A look at a million events for each of a million days takes its time.
            host::check();
            self.on_later_day(day).lifecycle_state() != state
        })
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
        let events = self.engagement.into_iter().flat_map(|engagement| engagement.entries());
        let left_window = events
            .filter(|&(kind, day, _)| day <= self.known_until && self.policy.relation.kinds.contains_key(kind))
            .filter_map(|(_, day, _)| day.plus(window_days))
            .filter(|&day| dormant_on.is_none_or(|dormant_on| day < dormant_on));
        memory::collect(passed.chain(left_window).filter(|&day| day > self.as_of))
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
            rfm_segment: scores.map(|scores| scores.segment(&self.policy.segments)),
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
    pub fn next_step_of(&self, facts: &Facts<'a>) -> NextStep<'a> {
        NextStep::of(facts, &self.policy.next_action, &self.policy.contact)
    }
}

/// A relation score as it is shown: rounded to 2 decimals.
///
/// # Errors
/// None for a score from 0 to 100.
pub fn shown_score(score: Millionths) -> Result<Decimal> {
    Decimal::quotient(score.get(), Millionths::ONE.into(), 2)
}
