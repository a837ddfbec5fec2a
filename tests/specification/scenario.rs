//! Step scenarios against a machine that lives day by day: it remembers who is where instead of reading it off the log,
//! counts contacts one by one, and asks the entry condition every day. Random customers, scenarios, policies and days asked.

use pg_rfm::contact::Contact;
use pg_rfm::contact::{ContactCalendar, ContactFacts, ContactHistory, ContactKind, HOLDOUT};
use pg_rfm::customer::Customer;
use pg_rfm::day::Day;
use pg_rfm::engagement::EngagementHistory;
use pg_rfm::history::{PurchaseDay, PurchaseHistory};
use pg_rfm::lifecycle::LifecycleState;
use pg_rfm::membership::{KnownMembership, Membership, MembershipHistory};
use pg_rfm::policy::Document;
use pg_rfm::scenario::{PRESETS, Plan, Scenario, Scenarios, StopCondition, Why, preset};
use proptest::prelude::*;

const LAST_DAY: i32 = 420;

const POLICIES: &[&str] = &[
    "{}",
    r#"{"contact": {"min_days_between": 0, "quiet_days_after_complaint": 0, "response_days": 4,
        "unanswered_before_next_channel": 1}}"#,
    r#"{"contact": {"min_days_between": 3, "limits": [{"contacts": 2, "days": 20}, {"contacts": 5, "days": 100}],
        "channel_limits": {"email": [{"contacts": 1, "days": 30}], "line": [{"contacts": 2, "days": 15}]}}}"#,
    r#"{"contact": {"min_days_between": 1, "limits": [{"contacts": 1, "days": 9}],
        "unanswered_before_next_channel": null}, "lifecycle": {"cycle": "own"}}"#,
];

const CONDITIONS: &[&str] = &[
    r#"{"lifecycle_state": "at_risk"}"#,
    r#"{"lifecycle_state": ["new", "active"]}"#,
    r#"{"recency_days": {"above": 20, "at_most": 90}}"#,
    r#"{"any": [{"orders": {"at_least": 3}}, {"engagement.review.count": {"at_least": 1}}]}"#,
    r#"{"dormancy_reason": "unhabituated", "lifecycle_state": "dormant"}"#,
    r#"{"membership": "paused"}"#,
    "{}",
];

const CHANNELS: &[&str] = &["email", "line", "postal", "phone"];

/// How a shopper can be reached: social media are not for the dormant, of fax no policy knows.
const REACHABLE: &[&str] = &["fax", "social", "email", "line", "postal", "phone"];

#[derive(Debug)]
struct Shopper {
    history: PurchaseHistory,
    engagement: Option<EngagementHistory>,
    membership: Option<Membership>,
    log: Option<MembershipHistory>,
    channels: Option<Vec<String>>,
    policy: Document,
}

prop_compose! {
    fn shopper()(
        rows in prop::collection::vec((0..LAST_DAY, 1i128..3000), 0..7),
        events in prop::option::of(prop::collection::vec(
            (prop::sample::select(vec!["review", "complaint", "complaint_resolved", "return", "return_resolved", "stated_drifted"]),
             0..LAST_DAY), 0..7)),
        membership in prop::option::of(prop::sample::select(Membership::ALL)),
        log in prop::option::of(prop::collection::vec((0..LAST_DAY, prop::sample::select(Membership::ALL)), 0..6)),
        channels in prop::option::of(prop::sample::subsequence(REACHABLE, 0..=4)),
        policy in prop::sample::select(POLICIES),
    ) -> Shopper {
        let rows = rows.into_iter().map(|(day, amount)| PurchaseDay::of_row(Day(day), Some(amount), None));
        Shopper {
            history: PurchaseHistory::new(0, rows.collect()).unwrap(),
            engagement: events.map(|events| {
                EngagementHistory::new(events.into_iter().map(|(kind, day)| (kind, Day(day), 1))).unwrap()
            }),
            membership,
            log: log.map(|entries| {
                let entries = entries.into_iter().map(|(day, membership)| (Day(day), membership));
                MembershipHistory::new(entries).unwrap()
            }),
            channels: channels.map(|channels| channels.into_iter().map(str::to_owned).collect()),
            policy: Document::parse(policy).unwrap(),
        }
    }
}

prop_compose! {
    fn scenario()(
        priority in 0..3,
        condition in prop::sample::select(CONDITIONS),
        stops in prop::sample::subsequence(StopCondition::ALL.to_vec(), 0..=3),
        reenter in prop::option::of(1..60),
        first in prop_oneof![Just(0), 0..20],
        gaps in prop::collection::vec((1..30, prop::option::of(prop::sample::subsequence(CHANNELS, 1..=3))), 0..4),
        channels in prop::option::of(prop::sample::subsequence(CHANNELS, 1..=2)),
        only in any::<bool>(),
    ) -> serde_json::Value {
        let mut days = first;
        let mut steps = vec![serde_json::json!({"id": "s0", "after_days": days, "message_key": "m", "only_channels": only && channels.is_some(), "channels": channels})];
        for (number, (gap, channels)) in gaps.into_iter().enumerate() {
            days += gap;
            steps.push(serde_json::json!(
                {"id": format!("s{}", number + 1), "after_days": days, "message_key": "m",
                 "only_channels": only && channels.is_some(), "channels": channels}));
        }
        serde_json::json!({
            "title": "T", "priority": priority, "behavior": "care",
            "enter_when": serde_json::from_str::<serde_json::Value>(condition).unwrap(),
            "stop_when": stops, "reenter_after_days": reenter, "steps": steps,
        })
    }
}

/// Random scenarios, named in order.
fn scenarios() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(scenario(), 1..4).prop_map(|mut documents| {
        for (number, document) in documents.iter_mut().enumerate() {
            document["name"] = format!("scenario {number}").into();
        }
        documents.iter().map(ToString::to_string).collect()
    })
}

fn read(documents: &[String]) -> Vec<Scenario> {
    documents.iter().map(|text| Scenario::parse(text).unwrap()).collect()
}

/// What was sent: day, channel, scenario, step.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    day: i32,
    channel: Option<String>,
    scenario: String,
    step: usize,
}

fn log_of(sent: &[Sent], held_out: Option<&str>, plans: &[&Plan]) -> ContactHistory {
    let steps = sent.iter().map(|sent| {
        let plan = plans.iter().find(|plan| plan.name == sent.scenario).unwrap();
        let kind = ContactKind {
            channel: sent.channel.as_deref(),
            scenario: Some(&sent.scenario),
            step: Some(&plan.steps[sent.step].id),
            group: Some("treated"),
        };
        (kind, Day(sent.day), 1)
    });
    let assigned = held_out.map(|scenario| {
        (ContactKind { scenario: Some(scenario), group: Some(HOLDOUT), ..ContactKind::default() }, Day(0), 1)
    });
    ContactHistory::new(steps.chain(assigned)).unwrap()
}

/// Where the machine has a customer in one scenario.
#[derive(Clone, Debug, Default)]
struct Place {
    /// Since which day the entry condition holds without a gap.
    in_since: Option<i32>,
    /// First and last day of the present or past run, and the step to come.
    run: Option<(i32, i32, usize)>,
}

/// What the machine says of one scenario.
#[derive(Debug, PartialEq)]
struct Told {
    scenario: String,
    step: Option<usize>,
    channel: Option<String>,
    due_on: Option<i32>,
    why: Why,
    waits_for: Option<String>,
}

/// Lives day by day.
struct Machine<'a> {
    shopper: &'a Shopper,
    plans: Vec<&'a Plan>,
    places: Vec<Place>,
    held_out: Option<&'a str>,
    sent: Vec<Sent>,
}

impl<'a> Machine<'a> {
    fn new(shopper: &'a Shopper, scenarios: &'a [Scenario], held_out: Option<&'a str>) -> Self {
        let mut plans: Vec<_> = scenarios.iter().map(Scenario::plan).collect();
        plans.sort_by_key(|plan| (plan.priority, plan.name.clone()));
        Machine { shopper, places: vec![Place::default(); plans.len()], plans, held_out, sent: Vec::new() }
    }

    fn contact(&self) -> &'a Contact {
        &self.shopper.policy.policy().unwrap().contact
    }

    /// Notices the day, whether or not anybody asks.
    fn live(&mut self, day: i32) {
        let log = self.log();
        let facts = self.shopper.customer(day).facts(self.shopper.contact(&log)).unwrap();
        for (plan, place) in self.plans.iter().zip(&mut self.places) {
            place.in_since = plan.enter_when.holds(&facts).then(|| place.in_since.unwrap_or(day));
        }
    }

    fn log(&self) -> ContactHistory {
        log_of(&self.sent, self.held_out, &self.plans)
    }

    /// The days up to `day` of all complaints, with whether somebody noted by then that they are resolved.
    fn complaints(&self, day: i32) -> Vec<(i32, bool)> {
        let events =
            || self.shopper.engagement.iter().flat_map(|events| events.entries()).filter(|event| event.1.0 <= day);
        let is_resolved = |of: &str, on: Day| {
            let by = if of == "return" { "return_resolved" } else { "complaint_resolved" };
            events().any(|(kind, resolved_on, _)| kind == by && resolved_on >= on)
        };
        let is_complaint = |kind| ["complaint", "return", "low_rating"].contains(&kind);
        events().filter(|event| is_complaint(event.0)).map(|(kind, on, _)| (on.0, is_resolved(kind, on))).collect()
    }

    /// Whether a contact on `day` is fine, counting everything sent up to `known`.
    fn is_free(&self, day: i32, known: i32, channel: Option<&str>) -> bool {
        let count = |days: i64, channel: Option<&str>| {
            let first = i64::from(day) - days + 1;
            let of_channel = |sent: &&Sent| channel.is_none() || sent.channel.as_deref() == channel;
            self.sent.iter().filter(of_channel).filter(|sent| i64::from(sent.day) >= first && sent.day <= known).count()
                as u32
        };
        let policy = self.contact();
        let quiet = self
            .complaints(known)
            .iter()
            .any(|(on, is_resolved)| !is_resolved && i64::from(day - on) < policy.quiet_days_after_complaint.into());
        !quiet
            && count(i64::from(policy.min_days_between.max(1)), None) == 0
            && policy.limits.iter().all(|limit| count(limit.days.into(), None) < limit.contacts)
            && channel.is_none_or(|name| {
                policy
                    .channel_limits
                    .get(name)
                    .is_none_or(|limits| limits.iter().all(|limit| count(limit.days.into(), channel) < limit.contacts))
            })
    }

    /// Whether the customer has let enough messages over a channel pass without buying, since the last that she answered.
    fn is_silent(&self, channel: &str, day: i32) -> bool {
        let (policy, history) = (self.contact(), &self.shopper.history);
        let window = policy.response_days as i32;
        let purchase_days = history.days().iter().filter(|bought| bought.orders > 0).map(|bought| bought.day.0);
        let purchase_days: Vec<_> = purchase_days.filter(|&bought| bought <= day).collect();
        let mut silent = 0;
        for sent in self.sent.iter().filter(|sent| sent.channel.as_deref() == Some(channel)) {
            let next = self.sent.iter().map(|other| other.day).filter(|&other| other > sent.day).min();
            let until = next.unwrap_or(i32::MAX).min(sent.day + window);
            if purchase_days.iter().any(|&bought| bought > sent.day && bought <= until) {
                silent = 0;
            } else if day - sent.day >= window {
                silent += 1;
            }
        }
        policy.unanswered_before_next_channel.is_some_and(|limit| silent >= limit)
    }

    /// Over which of the step's channels, and when; `None` where she can be reached over none.
    fn channel(&self, plan: &Plan, step: usize, day: i32) -> Option<(Option<String>, i32)> {
        let policy = self.contact();
        let first_free = |channel: Option<&str>| (day..).find(|&on| self.is_free(on, day, channel)).unwrap();
        let Some(reachable) = &self.shopper.channels else {
            return Some((None, first_free(None)));
        };
        let is_dormant = self.shopper.customer(day).lifecycle_state() == LifecycleState::Dormant;
        let usual = if is_dormant { &policy.dormant_channels } else { &policy.channels };
        let step = &plan.steps[step];
        let mut preferred = step.channels.clone().unwrap_or_default();
        if !step.only_channels {
            preferred.extend(usual.iter().cloned());
            preferred.extend(reachable.iter().filter(|channel| !is_dormant || *channel != "social").cloned());
        }
        let mut open: Vec<_> = preferred.iter().filter(|channel| reachable.contains(channel)).collect();
        // A stable sort: the others in the order of preference, then the silent.
        open.sort_by_key(|channel| self.is_silent(channel, day));
        let days: Vec<_> = open.iter().map(|channel| first_free(Some(channel))).collect();
        let best = days.iter().min()?;
        let now = open.iter().zip(&days).find(|(_, on)| **on == day).map(|(channel, _)| (*channel).clone());
        Some((now, *best))
    }

    /// What each scenario has on a day.
    fn tell(&self, day: i32) -> Vec<Told> {
        let mut first: Option<String> = None;
        let mut told = Vec::new();
        for (plan, place) in self.plans.iter().zip(&self.places) {
            let mut tale = Told {
                scenario: plan.name.clone(),
                step: None,
                channel: None,
                due_on: None,
                why: Why::NotInSegment,
                waits_for: None,
            };
            let ended = place.run.map(|(began, last, next)| {
                let has = |stop| plan.stop_when.contains(&stop);
                let bought = self
                    .shopper
                    .history
                    .days()
                    .iter()
                    .any(|bought| bought.orders > 0 && bought.day.0 > began && bought.day.0 <= day);
                let why = if has(StopCondition::Complained) && self.complaints(day).iter().any(|(on, _)| *on >= began) {
                    Some(Why::StoppedComplained)
                } else if has(StopCondition::Bought) && bought {
                    Some(Why::StoppedBought)
                } else if has(StopCondition::LeftSegment) && place.in_since.is_none() {
                    Some(Why::StoppedLeft)
                } else {
                    (next == plan.steps.len()).then_some(Why::Finished)
                };
                (last, next, why)
            });
            let again = |last: i32| plan.reenter_after_days.map(|days| last + days as i32);
            let first_day = |from: i32| from.max(place.in_since.unwrap()) + plan.steps[0].after_days as i32;
            let (step, on) = match ended {
                None if place.in_since.is_none() => {
                    told.push(tale);
                    continue;
                }
                None => (0, first_day(i32::MIN)),
                Some((last, next, None)) => {
                    (next, last + plan.steps[next].after_days as i32 - plan.steps[next - 1].after_days as i32)
                }
                Some((last, _, Some(_)))
                    if place.in_since.is_some() && again(last).is_some_and(|again| again <= day) =>
                {
                    (0, first_day(again(last).unwrap()))
                }
                Some((_, _, Some(why))) => {
                    tale.why = why;
                    told.push(tale);
                    continue;
                }
            };
            if self.held_out == Some(&plan.name) {
                tale.why = Why::Holdout;
            } else if first.is_some() {
                (tale.why, tale.step, tale.waits_for) = (Why::OtherScenarioFirst, Some(step), first.clone());
            } else if on > day {
                (tale.why, tale.step, tale.due_on) = (Why::WaitingForDay, Some(step), Some(on));
            } else {
                tale.step = Some(step);
                (tale.why, tale.due_on, tale.channel) = match self.channel(plan, step, day) {
                    None => (Why::NoChannel, None, None),
                    Some((channel, on)) if on == day => (Why::Due, Some(day), channel),
                    Some((_, on)) => (Why::Suppressed, Some(on), None),
                };
            }
            if matches!(tale.why, Why::Due | Why::WaitingForDay | Why::Suppressed) {
                first = Some(plan.name.clone());
            }
            told.push(tale);
        }
        told
    }

    /// Sends what is due.
    fn send(&mut self, day: i32, told: &[Told]) {
        for (position, tale) in told.iter().enumerate().filter(|(_, tale)| tale.why == Why::Due) {
            let step = tale.step.unwrap();
            let place = &mut self.places[position];
            place.run = match place.run {
                Some((began, _, _)) if step > 0 => Some((began, day, step + 1)),
                _ => Some((day, day, 1)),
            };
            self.sent.push(Sent { day, channel: tale.channel.clone(), scenario: tale.scenario.clone(), step });
        }
    }
}

impl Shopper {
    fn customer(&self, day: i32) -> Customer<'_> {
        let policy = self.policy.policy().unwrap();
        let memberships = KnownMembership::new(self.membership, self.log.as_ref());
        Customer::new(Some(&self.history), Day(day), policy, self.engagement.as_ref(), memberships)
    }

    fn contact<'a>(&'a self, log: &'a ContactHistory) -> ContactFacts<'a> {
        ContactFacts { channels: self.channels.as_deref(), last_contacted_on: None, log: Some(log) }
    }

    fn told(&self, scenarios: &Scenarios, day: i32, log: &ContactHistory) -> Vec<Told> {
        let due = scenarios.due_steps(&self.customer(day), self.contact(log)).unwrap();
        due.iter()
            .map(|due| Told {
                scenario: due.plan.name.clone(),
                step: due.step.map(|step| due.plan.steps.iter().position(|other| other.id == step.id).unwrap()),
                channel: due.channel.map(str::to_owned),
                due_on: due.due_on.map(|day| day.0),
                why: due.why,
                waits_for: due.waits_for.map(str::to_owned),
            })
            .collect()
    }

    /// Lives the days up to [`LAST_DAY`] and asks on those that `is_asked`; both must say the same each time.
    fn live(
        &self,
        documents: &[String],
        held_out: Option<usize>,
        is_asked: impl Fn(i32) -> bool,
    ) -> Result<Vec<Sent>, TestCaseError> {
        let originals = read(documents);
        let scenarios = Scenarios::new(read(documents)).unwrap();
        let held_out = held_out.and_then(|number| originals.get(number)).map(|scenario| scenario.plan().name.as_str());
        let mut machine = Machine::new(self, &originals, held_out);
        // A membership of today counts as that of ever: the machine needs to have seen the days before the first.
        for day in -30..LAST_DAY {
            machine.live(day);
            if day < 0 || !is_asked(day) {
                continue;
            }
            let expected = machine.tell(day);
            prop_assert_eq!(&self.told(&scenarios, day, &machine.log()), &expected, "day {}", day);
            let due = expected.iter().filter(|told| told.why == Why::Due).count();
            prop_assert!(due <= 1, "day {}", day);
            machine.send(day, &expected);
            // What was sent is in the log now: nothing more on this day.
            let after = self.told(&scenarios, day, &machine.log());
            prop_assert!(due == 0 || after.iter().all(|told| told.why != Why::Due), "day {}: {:?}", day, after);
        }
        // What comes later is invisible: the first half of the days, asked in hindsight, reads only its own half of the log.
        let whole = machine.log();
        for day in (0..LAST_DAY).step_by(29) {
            let known: Vec<_> = machine.sent.iter().filter(|sent| sent.day <= day).cloned().collect();
            let known = log_of(&known, held_out, &machine.plans);
            prop_assert_eq!(self.told(&scenarios, day, &whole), self.told(&scenarios, day, &known), "day {}", day);
        }
        Ok(machine.sent)
    }
}

/// In one run steps follow each other in order, and never sooner than planned.
fn keeps_the_schedule(plan: &Plan, sent: &[Sent]) -> Result<(), TestCaseError> {
    let steps: Vec<_> = sent.iter().filter(|sent| sent.scenario == plan.name).collect();
    for pair in steps.windows(2) {
        let days = pair[1].day - pair[0].day;
        if pair[1].step == 0 {
            prop_assert!(plan.reenter_after_days.is_some_and(|least| days >= least as i32), "{:?}", pair);
        } else {
            prop_assert_eq!(pair[1].step, pair[0].step + 1, "{:?}", pair);
            let planned = plan.steps[pair[1].step].after_days - plan.steps[pair[0].step].after_days;
            prop_assert!(days >= planned as i32, "{:?}", pair);
        }
    }
    prop_assert!(steps.first().is_none_or(|first| first.step == 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_day_asked_is_as_the_machine_says(shopper in shopper(), documents in scenarios(), held_out in prop::option::of(0..3usize)) {
        let sent = shopper.live(&documents, held_out, |_| true)?;
        for scenario in read(&documents) {
            keeps_the_schedule(scenario.plan(), &sent)?;
        }
        // At most one message a day.
        prop_assert!(sent.windows(2).all(|pair| pair[0].day < pair[1].day));
    }

    #[test]
    fn missed_days_are_made_up_for_one_step_at_a_time(shopper in shopper(), documents in scenarios(), seed in any::<u64>(), rare in 2u64..40) {
        let is_asked = |day: i32| (seed ^ day as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).is_multiple_of(rare);
        let sent = shopper.live(&documents, None, is_asked)?;
        for scenario in read(&documents) {
            keeps_the_schedule(scenario.plan(), &sent)?;
        }
        prop_assert!(sent.windows(2).all(|pair| pair[0].day < pair[1].day));
    }

    #[test]
    fn a_day_that_is_missed_only_delays(shopper in shopper(), mut documents in scenarios(), missed in prop::collection::vec(0..LAST_DAY, 1..20)) {
        // One scenario without stops and re-entry, so that the same steps are due whenever they come.
        documents.truncate(1);
        let mut document: serde_json::Value = serde_json::from_str(&documents[0]).unwrap();
        document["enter_when"] = serde_json::json!({});
        document["stop_when"] = serde_json::json!([]);
        document["reenter_after_days"] = serde_json::Value::Null;
        let documents = [document.to_string()];
        let all = shopper.live(&documents, None, |_| true)?;
        let some = shopper.live(&documents, None, |day| !missed.contains(&day))?;
        prop_assert!(some.len() <= all.len());
        for (late, planned) in some.iter().zip(&all) {
            prop_assert_eq!(late.step, planned.step);
            prop_assert!(late.day >= planned.day);
        }
    }

    #[test]
    fn all_presets_at_once_are_as_the_machine_says(shopper in shopper(), held_out in prop::option::of(0..PRESETS.len())) {
        let documents: Vec<_> = PRESETS.iter().map(|entry| preset(entry.name).unwrap().to_string()).collect();
        let sent = shopper.live(&documents, held_out, |day| day % 3 != 1)?;
        for scenario in read(&documents) {
            keeps_the_schedule(scenario.plan(), &sent)?;
        }
    }

    /// A log that nobody planned: any order, steps that are no steps, days twice. It is read the same in any order, and
    /// what it says is defined.
    #[test]
    fn any_log_is_read(shopper in shopper(), documents in scenarios(), rows in prop::collection::vec(
        (prop::sample::select(CHANNELS), 0..LAST_DAY, 0..4usize, 0..5usize, any::<bool>()), 0..30), day in 0..LAST_DAY) {
        let scenarios = Scenarios::new(read(&documents)).unwrap();
        let names: Vec<_> = (0..4).map(|number| format!("scenario {number}")).collect();
        let steps: Vec<_> = (0..5).map(|number| format!("s{number}")).collect();
        let log = |rows: &[(&str, i32, usize, usize, bool)]| {
            ContactHistory::new(rows.iter().map(|&(channel, day, scenario, step, has_step)| {
                let step = has_step.then_some(steps[step].as_str());
                (ContactKind { channel: Some(channel), scenario: Some(&names[scenario]), step, group: None }, Day(day), 1)
            })).unwrap()
        };
        let told = shopper.told(&scenarios, day, &log(&rows));
        let mut backwards = rows.clone();
        backwards.reverse();
        prop_assert_eq!(&shopper.told(&scenarios, day, &log(&backwards)), &told);
        // The same entry twice is one step done, if two contacts for the limits.
        let mut twice = rows.clone();
        twice.extend(&rows);
        let policy = &shopper.policy.policy().unwrap().contact;
        if policy.limits.is_empty() && policy.channel_limits.is_empty() {
            prop_assert_eq!(&shopper.told(&scenarios, day, &log(&twice)), &told);
        }
        prop_assert!(told.iter().filter(|told| told.why == Why::Due).count() <= 1);
    }
}

fn customer_of(days: &[i32]) -> Shopper {
    let rows = days.iter().map(|&day| PurchaseDay::of_row(Day(day), Some(3000), None)).collect();
    Shopper {
        history: PurchaseHistory::new(0, rows).unwrap(),
        engagement: Some(EngagementHistory::default()),
        membership: Some(Membership::AdHoc),
        log: None,
        channels: Some(vec!["email".to_owned(), "postal".to_owned()]),
        policy: Document::empty(),
    }
}

fn sent_by_presets(shopper: &Shopper, is_asked: impl Fn(i32) -> bool) -> Vec<(i32, String, usize)> {
    let documents: Vec<_> = PRESETS.iter().map(|entry| preset(entry.name).unwrap().to_string()).collect();
    let sent = shopper.live(&documents, None, is_asked).unwrap();
    sent.into_iter().map(|sent| (sent.day, sent.scenario, sent.step)).collect()
}

/// Written down by hand: the whole way of somebody who bought once, on day 0, and never again.
#[test]
fn a_first_buyer_who_never_comes_back() {
    let expected = [
        (3, "new_customer_onboarding", 0),
        (10, "new_customer_onboarding", 1),
        (21, "new_customer_onboarding", 2),
        (31, "at_risk_check_in", 0),
        (41, "at_risk_check_in", 1),
        (51, "at_risk_check_in", 2),
        (61, "reactivation_early", 0),
        (75, "reactivation_early", 1),
        (96, "reactivation_early", 2),
        (181, "reactivation_unhabituated", 0),
        (195, "reactivation_unhabituated", 1),
        (209, "reactivation_unhabituated", 2),
        (225, "reactivation_unhabituated", 3),
        (240, "reactivation_unhabituated", 4),
        // 180 days after the last step she enters again, on day 420.
    ];
    let expected = expected.map(|(day, scenario, step)| (day, scenario.to_owned(), step));
    assert_eq!(sent_by_presets(&customer_of(&[0]), |_| true), expected);
    // Asked on Mondays only, each step comes on the first Monday that its spacing allows.
    let mondays: Vec<_> =
        sent_by_presets(&customer_of(&[0]), |day| day % 7 == 0).into_iter().map(|(day, _, step)| (day, step)).collect();
    assert_eq!(mondays[..8], [(7, 0), (14, 1), (28, 2), (35, 0), (49, 1), (63, 0), (77, 1), (98, 2)]);
}

#[test]
fn a_purchase_stops_what_it_was_wanted_for() {
    let days: Vec<_> = sent_by_presets(&customer_of(&[0, 15]), |day| day < 60);
    let days: Vec<_> = days.iter().map(|(day, scenario, step)| (*day, scenario.as_str(), *step)).collect();
    assert_eq!(
        days,
        [
            (3, "new_customer_onboarding", 0),
            (10, "new_customer_onboarding", 1),
            (46, "at_risk_check_in", 0),
            (56, "at_risk_check_in", 1),
        ]
    );
}

/// Twelve orders until day 330, then silence: a good customer gets letters and calls, each quarter, before anything else.
#[test]
fn a_dormant_good_customer_hears_each_quarter() {
    let days: Vec<_> = (0..12).map(|number| number * 10).collect();
    let mut shopper = customer_of(&days);
    shopper.channels = Some(vec!["email".to_owned(), "postal".to_owned(), "phone".to_owned()]);
    let sent = sent_by_presets(&shopper, |day| day > 110);
    let sent: Vec<_> =
        sent.iter().filter(|sent| sent.1 == "dormant_good_customer").map(|sent| (sent.0, sent.2)).collect();
    assert_eq!(sent, [(171, 0), (185, 1), (199, 2), (262, 0), (276, 1), (290, 2), (353, 0), (367, 1), (381, 2)]);
}

/// Orders every twenty days, the fifth on day 80 and the tenth on day 180: a reward each, once, and the customer letter
/// between, each quarter.
#[test]
fn who_keeps_buying_gets_rewards_by_the_number_of_orders_and_a_letter_each_quarter() {
    let days: Vec<_> = (0..20).map(|number| number * 20).collect();
    let sent = sent_by_presets(&customer_of(&days), |_| true);
    let of = |name: &str| sent.iter().filter(|sent| sent.1 == name).map(|sent| sent.0).collect::<Vec<_>>();
    assert_eq!((of("order_reward_5"), of("order_reward_10")), (vec![80], vec![180]));
    // Or up to a week later, where something else was sent in the week before.
    assert!(matches!(of("order_reward_20")[..], [380..=386]));
    let letters = of("keeper_letter");
    assert!(
        letters.len() >= 4 && letters.windows(2).all(|pair| (91..=98).contains(&(pair[1] - pair[0]))),
        "{letters:?}"
    );
}

/// Written down by hand: back on day 100 after a long absence; and somebody who has not bought yet.
#[test]
fn who_comes_back_is_welcomed_and_prospects_get_a_first_offer() {
    let sent = sent_by_presets(&customer_of(&[0, 100]), |day| (100..131).contains(&day));
    let expected = [(100, "winback_welcome", 0), (110, "winback_welcome", 1), (121, "winback_welcome", 2)];
    assert_eq!(sent, expected.map(|(day, scenario, step)| (day, scenario.to_owned(), step)));
    let sent = sent_by_presets(&customer_of(&[]), |day| (5..100).contains(&day));
    let expected = [(5, "prospect_first_order", 0), (15, "prospect_first_order", 1), (29, "prospect_first_order", 2)];
    assert_eq!(sent, expected.map(|(day, scenario, step)| (day, scenario.to_owned(), step)));
}

#[test]
fn two_scenarios_of_one_name_are_refused() {
    let two = || ["at_risk_check_in", "at_risk_check_in"].map(|name| preset(name).unwrap());
    let error = Scenarios::new(two().into()).unwrap_err();
    assert!(error.message.contains("at_risk_check_in") && error.hint.is_some());
}

/// The day that a calendar names is the first on which counting one by one allows a contact.
#[test]
fn the_day_named_is_the_first_that_counting_allows() {
    let shopper = Shopper { policy: Document::parse(POLICIES[2]).unwrap(), ..customer_of(&[0]) };
    let scenarios: [Scenario; 0] = [];
    let mut machine = Machine::new(&shopper, &scenarios, None);
    let mut seed = 7u32;
    for day in 0..300 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if seed >> 29 == 0 {
            let channel = Some(CHANNELS[(seed >> 20) as usize % 3].to_owned());
            machine.sent.push(Sent { day, channel, scenario: String::new(), step: 0 });
        }
        let contacts = machine
            .sent
            .iter()
            .map(|sent| (ContactKind { channel: sent.channel.as_deref(), ..ContactKind::default() }, Day(sent.day), 1));
        let log = ContactHistory::new(contacts).unwrap();
        let calendar = ContactCalendar {
            facts: shopper.contact(&log),
            history: &shopper.history,
            engagement: None,
            as_of: Day(day),
            policy: machine.contact(),
        };
        let named = calendar.allowed_over_all_from().map_or(day, |on| on.0.max(day));
        assert_eq!(Some(named), (day..).find(|&on| machine.is_free(on, day, None)), "day {day}");
        for channel in CHANNELS {
            let over = calendar
                .allowed_over_all_from()
                .max(calendar.channel_allowed_from(channel))
                .map_or(day, |on| on.0.max(day));
            assert_eq!(Some(over), (day..).find(|&on| machine.is_free(on, day, Some(channel))), "day {day}, {channel}");
        }
    }
    assert!(machine.sent.len() > 20);
}
