//! Which step of which scenario a customer gets on a day, and why not the others.
//!
//! Nothing is remembered between two questions: her histories and the log of contacts decide. What was done is what the log
//! says, so the same day asked twice gives the same answer, and a day that was missed is made up for by asking on a later one.

use super::{Plan, Scenario, Step, StopCondition};
use crate::complaint;
use crate::contact::{ContactFacts, ContactHistory};
use crate::customer::Customer;
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::facts::Facts;
use crate::labels::labels;

labels! {
    /// Why a customer gets a step of a scenario on a day, or gets none.
    Why "reason" {
        /// The step is to be sent on this day.
        Due = "due", "Due", "送付対象";
        /// The step comes on a later day.
        WaitingForDay = "waiting_for_day", "Waiting for its day", "配信予定日待ち";
        /// The contact policy allows no contact, or none over the step's channels.
        Suppressed = "suppressed", "Suppressed by the contact policy", "連絡間隔調整中";
        /// She cannot be reached over any channel that will do for the step.
        NoChannel = "no_channel", "No channel", "連絡手段なし";
        /// Another scenario goes first.
        OtherScenarioFirst = "other_scenario_first", "Another scenario goes first", "他シナリオ優先";
        /// She belongs to the group that gets nothing.
        Holdout = "holdout", "Holdout", "対照群（送付なし）";
        /// She complained.
        StoppedComplained = "stopped_complained", "Stopped: complained", "停止：苦情";
        /// She bought.
        StoppedBought = "stopped_bought", "Stopped: bought", "停止：購入済み";
        /// The entry condition does not hold any more.
        StoppedLeft = "stopped_left", "Stopped: left the segment", "停止：対象外";
        /// Every step was done.
        Finished = "finished", "Finished", "完了";
        /// The entry condition does not hold.
        NotInSegment = "not_in_segment", "Not in the segment", "対象外";
    }
}

/// Scenarios of one shop, of which a customer is led through one at a time.
#[derive(Debug)]
pub struct Scenarios(Vec<Scenario>);

impl Scenarios {
    /// Puts scenarios into order of priority, then of name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] when two have the same name: the log of contacts could not tell them apart.
    pub fn new(mut scenarios: Vec<Scenario>) -> Result<Self> {
        scenarios.sort_by(|a, b| (a.plan.priority, &a.plan.name).cmp(&(b.plan.priority, &b.plan.name)));
        let mut names: Vec<_> = scenarios.iter().map(|scenario| &scenario.plan.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                let message = format!("two scenarios have the name {:?}", pair[0]);
                let hint = "The log of contacts knows scenarios by name: give each its own.";
                Err(Error::new(ErrorKind::InvalidParameter, message).hint(hint))
            }
            None => Ok(Scenarios(scenarios)),
        }
    }

    /// What each scenario has for a customer on her day, in order of priority.
    ///
    /// # Errors
    /// As [`Customer::facts`].
    pub fn due_steps<'a>(&'a self, customer: &Customer<'a>, contact: ContactFacts<'a>) -> Result<Vec<DueStep<'a>>> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let visit = Visit { customer, contact, facts: customer.facts(contact)? };
        let mut first = None;
        self.0
            .iter()
            .map(|scenario| {
                let due = visit.due_step(&scenario.plan, first)?;
                if first.is_none() && matches!(due.why, Why::Due | Why::WaitingForDay | Why::Suppressed) {
                    first = Some(scenario.plan.name.as_str());
                }
                Ok(due)
            })
            .collect()
    }
}

/// What a scenario has for a customer on a day.
#[derive(Clone, Copy, Debug)]
pub struct DueStep<'a> {
    /// The scenario.
    pub plan: &'a Plan,
    /// The step that is due or comes next; `None` where none does.
    pub step: Option<&'a Step>,
    /// The channel to use; `None` where nothing is to be sent or channels are not tracked.
    pub channel: Option<&'a str>,
    /// The day to send it; `None` where that is not known.
    pub due_on: Option<Day>,
    /// Why.
    pub why: Why,
    /// The scenario that goes first, where one does.
    pub waits_for: Option<&'a str>,
}

/// A customer's way through a scenario, as the log tells it.
struct Run {
    /// The day of its first entry.
    began: Day,
    /// The day of its last entry.
    last: Day,
    /// The place of the furthest step.
    furthest: usize,
}

/// What the log says about a scenario.
struct Logged {
    run: Option<Run>,
    is_held_out: bool,
}

impl Logged {
    /// Reads the log up to `as_of`, in order of day. Steps that the scenario does not have are left out. The first step in the
    /// log begins another run where the customer was allowed to enter again by then; otherwise it belongs to the run it is in.
    fn read(plan: &Plan, log: Option<&ContactHistory>, as_of: Day) -> Self {
        let mut logged = Logged { run: None, is_held_out: false };
        let mut steps = Vec::new();
        for (kind, day, _) in log.into_iter().flat_map(ContactHistory::entries) {
            if kind.scenario == Some(&plan.name) && day <= as_of {
                logged.is_held_out |= !kind.is_contact();
                let position = plan.steps.iter().position(|step| Some(step.id.as_str()) == kind.step);
                steps.extend(position.filter(|_| kind.is_contact()).map(|position| (day, position)));
            }
        }
        steps.sort_unstable();
        for (day, position) in steps {
            match &mut logged.run {
                Some(run) if position > 0 || !plan.may_reenter(run.last, day) => {
                    run.last = day;
                    run.furthest = run.furthest.max(position);
                }
                run => *run = Some(Run { began: day, last: day, furthest: position }),
            }
        }
        logged
    }
}

impl Plan {
    /// The first day on which somebody whose last step was on `last` may enter again.
    fn reentry_on(&self, last: Day) -> Option<Day> {
        last.plus(self.reenter_after_days?.into())
    }

    fn may_reenter(&self, last: Day, day: Day) -> bool {
        self.reentry_on(last).is_some_and(|reentry| reentry <= day)
    }
}

/// A customer on the day that is asked for.
struct Visit<'a, 'c> {
    customer: &'c Customer<'a>,
    contact: ContactFacts<'a>,
    facts: Facts<'a>,
}

impl<'a> Visit<'a, '_> {
    fn due_step(&self, plan: &'a Plan, first: Option<&'a str>) -> Result<DueStep<'a>> {
        let as_of = self.customer.as_of();
        let nothing = |why| DueStep { plan, step: None, channel: None, due_on: None, why, waits_for: None };
        let logged = Logged::read(plan, self.contact.log, as_of);
        let is_in = plan.enter_when.holds(&self.facts);
        let ended = logged.run.as_ref().map(|run| (run, self.end_of(plan, run, is_in)));
        let (step, due_on) = match ended {
            None if !is_in => return Ok(nothing(Why::NotInSegment)),
            None => (&plan.steps[0], self.first_step_on(plan, None)?),
            // Two steps keep the days between them: where one was late, the next is as late.
            Some((run, None)) => {
                let step = &plan.steps[run.furthest + 1];
                let wait = step.after_days - plan.steps[run.furthest].after_days;
                (step, run.last.plus(wait.into()).unwrap_or(Day::LAST))
            }
            Some((run, Some(_))) if is_in && plan.may_reenter(run.last, as_of) => {
                (&plan.steps[0], self.first_step_on(plan, plan.reentry_on(run.last))?)
            }
            Some((_, Some(why))) => return Ok(nothing(why)),
        };
        if logged.is_held_out {
            return Ok(nothing(Why::Holdout));
        }
        let next = DueStep { step: Some(step), ..nothing(Why::OtherScenarioFirst) };
        if first.is_some() {
            return Ok(DueStep { waits_for: first, ..next });
        }
        if due_on > as_of {
            return Ok(DueStep { due_on: Some(due_on), why: Why::WaitingForDay, ..next });
        }
        Ok(self.send(next, step))
    }

    /// The step by the contact policy: over which channel, and when.
    fn send(&self, next: DueStep<'a>, step: &'a Step) -> DueStep<'a> {
        let as_of = self.customer.as_of();
        let Some(calendar) = self.facts.calendar else {
            return next;
        };
        let channel = calendar.channel(step.own_channels(), self.facts.lifecycle_state, &self.facts.countdown);
        if channel.is_none() && self.contact.channels.is_some() {
            return DueStep { why: Why::NoChannel, ..next };
        }
        // Whatever the policy says, two messages never go out on one day.
        let day_after = calendar.last_contacted_on().and_then(|day| day.plus(1));
        let free_on = calendar.allowed_over_all_from().max(day_after).max(channel.map(|(_, from)| from));
        match free_on.filter(|&free_on| free_on > as_of) {
            Some(free_on) => DueStep { due_on: Some(free_on), why: Why::Suppressed, ..next },
            None => {
                DueStep { channel: channel.map(|(channel, _)| channel), due_on: Some(as_of), why: Why::Due, ..next }
            }
        }
    }

    /// What ended a run; `None` where it goes on.
    fn end_of(&self, plan: &Plan, run: &Run, is_in: bool) -> Option<Why> {
        let happened = |stop: &StopCondition| match stop {
            StopCondition::Complained => {
                // Resolved or not: what was begun before is not gone on with.
                let complained_on = |engagement| complaint::last_on(engagement, self.customer.as_of());
                self.facts.engagement.and_then(complained_on).is_some_and(|day| day >= run.began)
            }
            StopCondition::Bought => self.facts.last_purchase_on.is_some_and(|day| day > run.began),
            StopCondition::LeftSegment => !is_in,
        };
        let stop = StopCondition::ALL.iter().find(|stop| plan.stop_when.contains(stop) && happened(stop));
        match stop {
            Some(StopCondition::Complained) => Some(Why::StoppedComplained),
            Some(StopCondition::Bought) => Some(Why::StoppedBought),
            Some(StopCondition::LeftSegment) => Some(Why::StoppedLeft),
            None if run.furthest + 1 == plan.steps.len() => Some(Why::Finished),
            None => None,
        }
    }

    /// The day of the first step for a customer in the segment who has not got it: as many days as the step waits after the
    /// day since which the entry condition has held without interruption, or after `earliest`, whichever is later. The step is
    /// due at once where that day is past, so it is enough to look back as many days as the step waits.
    fn first_step_on(&self, plan: &Plan, earliest: Option<Day>) -> Result<Day> {
        let wait = plan.steps[0].after_days;
        let mut since = self.customer.as_of();
        for _ in 0..wait {
            let Some(before) = since.plus(-1).filter(|&day| earliest.is_none_or(|earliest| day >= earliest)) else {
                break;
            };
            if !plan.enter_when.holds(&self.customer.on_earlier_day(before).facts(self.contact)?) {
                break;
            }
            since = before;
        }
        Ok(since.plus(wait.into()).unwrap_or(Day::LAST))
    }
}
