//! One customer on one day: everything that can be said of her, from her histories and the policy.
//!
//! | file | what it holds |
//! |---|---|
//! | `customer.rs` | what can be asked of her |
//! | `customer/walk.rs` | her on ever later days |
//! | `customer/since.rs` | since when she is in her state |

mod since;
mod walk;

pub use since::Since;
pub use walk::{Walk, asked_when_due};

use std::cell::OnceCell;

use crate::action::NextStep;
use crate::complaint::OpenComplaint;
use crate::contact::{ContactCalendar, ContactFacts};
use crate::countdown::{Countdown, DaysSince};
use crate::day::Day;
use crate::decimal::{Decimal, Millionths};
use crate::dormancy::{DormancyCategory, DormancyReason, ReasonDecision};
use crate::engagement::EngagementHistory;
use crate::error::Result;
use crate::facts::Facts;
use crate::history::{PurchaseHistory, Purchases, average_order_value};
use crate::host;
use crate::lifecycle::{self, LifecycleState, PurchaseStage, Rhythm, StateDecision};
use crate::membership::{KnownMembership, Membership};
use crate::policy::Policy;
use crate::prediction::{PurchaseModel, SeenByModel};
use crate::relation::{self, KindPoints};
use crate::rfm::{Frequency, ScoreDecision, Scores, ValueScore};
use crate::vip::{self, CandidateFacts, TierDecision, TierFacts, VipTier};

/// A customer as seen on a day; everything after it is invisible.
#[derive(Clone, Debug)]
pub struct Customer<'a> {
    history: &'a PurchaseHistory,
    as_of: Day,
    /// What happened after this day is invisible; `as_of`, or earlier where the question is what comes if nothing happens.
    known_until: Day,
    policy: &'a Policy,
    engagement: Option<&'a EngagementHistory>,
    memberships: KnownMembership<'a>,
    /// What rules about her future are answered by; `None`: they do not match.
    model: Option<&'a PurchaseModel>,
    purchases: Option<Purchases>,
    monetary: Decimal,
    rhythm: Rhythm,
    /// Computed when first asked for: most lifecycle states need none.
    scores: OnceCell<Option<Scores>>,
    /// Told by every comparison with days that pass.
    countdown: Countdown,
}

impl<'a> Customer<'a> {
    /// The customer with these histories on the day `as_of`; no `history` is that of a prospect, no `engagement` means that
    /// the shop does not track it. The membership may be that of every day, or a log.
    pub fn new(
        history: Option<&'a PurchaseHistory>,
        as_of: Day,
        policy: &'a Policy,
        engagement: Option<&'a EngagementHistory>,
        membership: impl Into<KnownMembership<'a>>,
    ) -> Self {
        Walk::new(history, policy, engagement, membership).on(as_of)
    }

    /// The customer that a walk has come to: her purchases with the sum of all amounts, and her rhythm, are those of `as_of`.
    fn walked_to(
        as_of: Day,
        history: &'a PurchaseHistory,
        policy: &'a Policy,
        engagement: Option<&'a EngagementHistory>,
        memberships: KnownMembership<'a>,
        (purchases, amount): (Option<Purchases>, i128),
        rhythm: Rhythm,
    ) -> Self {
        Customer {
            history,
            as_of,
            known_until: as_of,
            policy,
            engagement,
            memberships,
            model: None,
            purchases,
            monetary: Decimal::new(amount, history.scale()),
            rhythm,
            scores: OnceCell::new(),
            countdown: Countdown::default(),
        }
    }

    /// The same customer with a model of purchases, which tells what rules can ask about her future; `None`: nothing is told.
    pub fn with_model(self, model: Option<&'a PurchaseModel>) -> Self {
        Customer { model, ..self }
    }

    /// A walk through her life.
    fn walk(&self) -> Walk<'a> {
        Walk::new(Some(self.history), self.policy, self.engagement, self.memberships)
    }

    /// The same customer on another day, where nothing happens between it and hers, or nothing is to have happened.
    pub fn on_another_day(&self, day: Day) -> Self {
        Customer { as_of: day, scores: OnceCell::new(), countdown: Countdown::default(), ..self.clone() }
    }

    /// The last day up to `day` on which something happened that she is judged by.
    fn last_happening(&self, day: Day) -> Option<Day> {
        let bought = self.history.until(day).last().map(|entry| entry.day);
        let did = self.engagement.and_then(|engagement| engagement.last_until(day));
        bought.max(did).max(self.memberships.last_until(day))
    }

    /// The first day after those that are known on which something happens that she is judged by.
    fn next_happening(&self) -> Option<Day> {
        let does = self.engagement.and_then(|engagement| engagement.first_after(self.known_until));
        let buys = self.history.first_after(self.known_until);
        [buys, does, self.memberships.first_after(self.known_until)].into_iter().flatten().min()
    }

    /// The first day after hers on which a state, segment or tier that she was asked for may be another; `None`: never.
    pub fn labels_hold_until(&self) -> Option<Day> {
        self.next_happening().into_iter().chain(self.next_told()).min()
    }

    /// The first day on which one of the comparisons made so far comes out differently.
    fn next_told(&self) -> Option<Day> {
        self.as_of.plus(self.countdown.days()?)
    }

    /// The same customer as she was seen on an earlier day.
    pub fn on_earlier_day(&self, day: Day) -> Self {
        Customer::new(Some(self.history), day, self.policy, self.engagement, self.memberships).with_model(self.model)
    }

    /// The day she is seen on.
    pub fn as_of(&self) -> Day {
        self.as_of
    }

    /// What her gaps say about the limits of the lifecycle.
    pub fn rhythm(&self) -> &Rhythm {
        &self.rhythm
    }

    /// Her purchases, those after her day included.
    pub fn history(&self) -> &'a PurchaseHistory {
        self.history
    }

    /// The policy she is seen by.
    pub fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// Her membership; `None` where it is unknown.
    pub fn membership(&self) -> Option<Membership> {
        self.memberships.on(self.known_until)
    }

    /// The first day of her membership, and the one before it; `None` where it is not known since when.
    pub fn membership_since(&self) -> Option<(Day, Option<Membership>)> {
        self.memberships.since(self.known_until)
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

    /// Days since the last purchase, whose comparisons tell when they come out differently; `None` for a prospect.
    fn recency(&self) -> Option<DaysSince<'_>> {
        self.purchases().map(|purchases| DaysSince::new(purchases.recency_days(self.as_of), &self.countdown))
    }

    /// R, F and M digits; `None` for a prospect.
    pub fn scores(&self) -> Option<Scores> {
        *self.scores.get_or_init(|| Some(self.scores_by(self.recency()?, self.monetary)))
    }

    fn scores_by(&self, recency: DaysSince, monetary: Decimal) -> Scores {
        Scores::of(recency, self.frequency(), monetary, &self.policy.rfm)
    }

    /// The digits and what made them; `None` for a prospect.
    pub fn score_decision(&self) -> Option<ScoreDecision<'a>> {
        Some(ScoreDecision {
            scores: self.scores()?,
            recency_days: self.recency()?.days(),
            frequency: (self.policy.frequency, self.frequency()),
            monetary: self.monetary,
            cuts: &self.policy.rfm,
        })
    }

    /// The name for the digits; `None` for a prospect.
    pub fn rfm_segment(&self) -> Option<&'a str> {
        self.scores().map(|scores| scores.segment(&self.policy.segments))
    }

    /// The relation score, exactly; `None` where engagement is not tracked.
    pub fn relation_score(&self) -> Option<Millionths> {
        let (engagement, policy) = (self.engagement?, &self.policy.relation);
        Some(relation::score(engagement, self.as_of, self.events_until(), policy, &self.countdown))
    }

    /// The last day whose events are known.
    fn events_until(&self) -> Day {
        self.known_until.min(self.as_of)
    }

    /// The exact value score, 0..100; `None` for a prospect.
    pub fn exact_value_score(&self) -> Option<ValueScore> {
        self.scores().map(|scores| scores.value_score(&self.policy.rfm))
    }

    /// The value score, 0..100, rounded to 2 decimals; `None` for a prospect.
    pub fn value_score(&self) -> Result<Option<Decimal>> {
        self.exact_value_score().map(ValueScore::rounded).transpose()
    }

    /// The VIP score, 0..100, rounded once to 2 decimals; `None` for a prospect.
    pub fn vip_score(&self) -> Result<Option<Decimal>> {
        let value = self.exact_value_score();
        value.map(|value| vip::vip_score(value, self.relation_score(), &self.policy.vip)).transpose()
    }

    /// What each kind of event adds to the relation score; `None` where engagement is not tracked.
    pub fn relation_points(&self) -> Option<impl Iterator<Item = KindPoints<'a>>> {
        Some(relation::points(self.engagement?, self.as_of, self.events_until(), &self.policy.relation))
    }

    /// The VIP tier.
    pub fn vip_tier(&self) -> VipTier {
        self.tier_decision().tier
    }

    /// The VIP tier and what decided it.
    pub fn tier_decision(&self) -> TierDecision<'a> {
        let facts = TierFacts {
            on: self.as_of,
            buying: self.candidate_facts(self.as_of, self.monetary),
            value: self.exact_value_score(),
            relation: self.relation_score(),
            membership: self.membership(),
        };
        TierDecision::of(facts, &self.policy.vip, &self.countdown)
    }

    /// The VIP tier on the last purchase day and what decided it, with the events up to then and the membership of that day;
    /// `None` for a prospect.
    pub fn last_tier_decision(&self) -> Option<TierDecision<'a>> {
        let on = self.purchases()?.last;
        // What was on a day that is past never changes.
        let countdown = Countdown::default();
        let monetary = self.history.monetary(on);
        let (known_until, policy) = (self.known_until.min(on), self.policy);
        let scores = self.scores_by(DaysSince::new(0, &countdown), monetary);
        let relation = |engagement| relation::score(engagement, on, known_until, &policy.relation, &countdown);
        let facts = TierFacts {
            on,
            buying: self.candidate_facts(on, monetary),
            value: Some(scores.value_score(&policy.rfm)),
            relation: self.engagement.map(relation),
            membership: self.memberships.on(known_until),
        };
        Some(TierDecision::of(facts, &policy.vip, &countdown))
    }

    /// What decides whether she is a candidate on a day from the last purchase on, with the M of that day: there are no more
    /// purchases and gaps than now. `None` for a prospect.
    fn candidate_facts(&self, on: Day, monetary: Decimal) -> Option<CandidateFacts> {
        let purchases = self.purchases()?;
        Some(CandidateFacts {
            span_days: purchases.span_days(),
            frequency: self.frequency(),
            purchase_days: purchases.purchase_days.into(),
            recency_days: purchases.recency_days(on),
            monetary,
            dormant_limit: self.rhythm.limits.dormant,
        })
    }

    /// The lifecycle state.
    pub fn lifecycle_state(&self) -> LifecycleState {
        let Some(recency) = self.recency() else {
            return LifecycleState::Prospect;
        };
        // A tie to the shop is looked for only where she is a candidate.
        let buying = self.candidate_facts(self.as_of, self.monetary);
        let is_candidate = || buying.is_some_and(|buying| buying.is_candidate(&self.policy.vip, &self.countdown));
        let is_vip = || is_candidate() && self.vip_tier() == VipTier::Vip;
        lifecycle::state_of_buyer(recency, self.frequency(), &self.rhythm, &self.policy.lifecycle, is_vip)
    }

    /// The lifecycle state and what decided it.
    pub fn state_decision(&self) -> StateDecision<'_> {
        StateDecision {
            state: self.lifecycle_state(),
            recency_days: self.recency().map(DaysSince::days),
            frequency: self.frequency(),
            rhythm: &self.rhythm,
            membership: self.membership(),
            policy: &self.policy.lifecycle,
        }
    }

    /// The purchase stage; `None` for a prospect.
    pub fn purchase_stage(&self) -> Option<PurchaseStage> {
        PurchaseStage::of(self.frequency(), &self.policy.purchase_stage)
    }

    /// The reason she would be dormant for; `None` for a prospect.
    pub fn dormancy_reason(&self) -> Option<DormancyReason> {
        self.reason_decision().map(|decision| decision.reason)
    }

    /// The reason she would be dormant for and what decided it; `None` for a prospect.
    pub fn reason_decision(&self) -> Option<ReasonDecision<'_>> {
        self.reason_by(self.open_complaint())
    }

    fn reason_by(&self, complaint: Option<OpenComplaint>) -> Option<ReasonDecision<'_>> {
        let limits = &self.policy.dormancy_reason;
        Some(ReasonDecision::of(self.purchases()?, complaint, self.engagement, self.as_of, limits))
    }

    /// Her latest complaint that is not resolved.
    pub fn open_complaint(&self) -> Option<OpenComplaint> {
        OpenComplaint::latest(self.history, self.engagement, self.as_of, &self.policy.complaint)
    }

    /// The first day after `as_of` on which the lifecycle state changes if nothing more happens; `None` if it never does.
    pub fn next_transition_on(&self) -> Option<Day> {
        self.next_change_of(Self::lifecycle_state)
    }

    /// The first day after `as_of` on which an answer changes if nothing more happens; `None` if it never does.
    ///
    /// The answer must be found by comparisons that tell the countdown: only the days that they tell are looked at.
    fn next_change_of<T: PartialEq>(&self, answer: impl Fn(&Self) -> T) -> Option<Day> {
        let mut seen = self.on_another_day(self.as_of);
        let now = answer(&seen);
        loop {
            // A look at a million events for each of a million days takes its time.
            host::check();
            seen = self.on_another_day(seen.next_told()?);
            if answer(&seen) != now {
                return Some(seen.as_of);
            }
        }
    }

    /// What the model says of her; `None` without one, and of a prospect.
    fn seen_by_model(&self) -> Result<Option<SeenByModel<'a>>> {
        let known = self.model.zip(self.purchases());
        known.map(|(model, purchases)| SeenByModel::new(model, self.history, purchases, self.as_of)).transpose()
    }

    /// All facts that rules can ask about: the next step is not among them.
    ///
    /// # Errors
    /// [`ErrorKind::NumberOutOfRange`](crate::error::ErrorKind::NumberOutOfRange) when an average does not fit,
    /// [`ErrorKind::LimitExceeded`](crate::error::ErrorKind::LimitExceeded) where a model would look back on too many days.
    pub fn facts(&self, contact: ContactFacts<'a>) -> Result<Facts<'a>> {
        let purchases = self.purchases();
        let state = self.lifecycle_state();
        let orders = purchases.map_or(0, |purchases| purchases.orders);
        let is_dormant = state == LifecycleState::Dormant;
        let tier = self.tier_decision();
        let complaint = self.open_complaint();
        let reason = self.reason_by(complaint).map(|decision| decision.reason);
        let (history, engagement, as_of) = (self.history, self.engagement, self.as_of);
        let calendar = ContactCalendar { facts: contact, history, engagement, as_of, policy: &self.policy.contact };
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
            scores: self.scores(),
            rfm_segment: self.rfm_segment(),
            lifecycle_state: Some(state),
            purchase_stage: self.purchase_stage(),
            value_score: self.value_score()?,
            relation_score: self.relation_score().map(relation::shown).transpose()?,
            vip_score: self.vip_score()?,
            vip_tier: Some(tier.tier),
            last_tier: self.last_tier_decision().map(|decision| decision.tier),
            to_vip: Some(tier.distance()),
            dormancy_category: DormancyCategory::of(orders, self.membership()).filter(|_| is_dormant),
            dormancy_reason: reason.filter(|_| is_dormant),
            reason_if_dormant: reason,
            complaint,
            refund_only_days_ago: self.history.last_refund_only_on(self.as_of).map(|day| self.as_of.days_since(day)),
            membership: self.membership(),
            membership_since: self.membership_since().map(|(since, _)| since),
            previous_membership: self.membership_since().and_then(|(_, previous)| previous),
            calendar: Some(calendar),
            seen_by_model: self.seen_by_model()?,
            engagement,
            countdown: self.countdown.clone(),
            ..Facts::default()
        })
    }

    /// The one next step.
    ///
    /// # Errors
    /// As [`facts`](Self::facts).
    pub fn next_step(&self) -> Result<NextStep<'a>> {
        Ok(NextStep::of(&self.facts(ContactFacts::default())?, &self.policy.next_action))
    }

    /// All that is known of her, the next step included, and how that step was found.
    ///
    /// # Errors
    /// As [`facts`](Self::facts).
    pub fn answers(&self, contact: ContactFacts<'a>) -> Result<(Facts<'a>, NextStep<'a>)> {
        // What she was asked before has told her countdown too.
        let facts = self.on_another_day(self.as_of).facts(contact)?;
        let since = self.since();
        let step = NextStep::of(&facts, &self.policy.next_action);
        let mut answers = Facts {
            next_action: Some(step.action()),
            action_rule: step.rule_id(),
            action_behavior: Some(step.behavior().name()),
            action_channel: step.channel(&facts),
            action_due_on: step.due_on(&facts),
            action_after_wait: step.after_wait(&facts),
            state_since: since.map(|since| since.since),
            previous_state: since.map(|since| since.previous),
            next_transition_on: self.next_transition_on(),
            ..facts
        };
        answers.next_change_on = self.next_change_on(&answers);
        Ok((answers, step))
    }

    /// The first day after `as_of` on which one of these facts may change that does not by its nature count days: something
    /// that has a later day is known, or a comparison with days that pass comes out differently. `None` if that never comes.
    ///
    /// Until then the same comparisons are made, with the same outcomes: so on each day before it is the same day.
    fn next_change_on(&self, facts: &Facts) -> Option<Day> {
        let contacted = facts.calendar.and_then(|calendar| calendar.next_known_on());
        let told = facts.countdown.days().and_then(|days| self.as_of.plus(days));
        [self.next_happening(), contacted, told].into_iter().flatten().min()
    }
}
