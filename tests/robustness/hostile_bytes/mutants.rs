//! Values with changed bytes, given to the core.

use super::values::*;
use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

const HISTORY_MUTANTS: usize = 620_000;

const ENGAGEMENT_MUTANTS: usize = 420_000;

const CONTACT_MUTANTS: usize = 200_000;

const POLICY_MUTANTS: usize = 8_000;

const SCENARIO_MUTANTS: usize = 8_000;

const MODEL_MUTANTS: usize = 8_000;

/// Reads one hostile value: a panic fails the test and names the bytes.
fn feed<T>(
    tally: &mut Tally,
    bytes: &[u8],
    read: impl Fn(&[u8]) -> pg_rfm::error::Result<T>,
    write: impl Fn(&T) -> Vec<u8>,
    then: impl FnOnce(&T),
) {
    let outcome = catch_unwind(AssertUnwindSafe(|| match read(bytes) {
        Ok(value) => {
            assert_eq!(hex(&write(&value)), hex(bytes), "bytes that are not canonical are accepted");
            then(&value);
            true
        }
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::InvalidBinary, "{}", error.message);
            assert!(!error.message.is_empty());
            false
        }
    }));
    match outcome {
        Ok(true) => tally.valid += 1,
        Ok(false) => tally.refused += 1,
        Err(_) => panic!("the panic above came from these bytes: {}", hex(bytes)),
    }
}

#[test]
fn purchase_histories_from_mutated_bytes() {
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    let (document, own) =
        (Document::empty(), Document::parse(r#"{"lifecycle": {"cycle": "own"}, "vip": {"monetary_cut": 1}}"#).unwrap());
    let mut tally = Tally::default();
    let mut other = Vec::new();
    for round in 0..HISTORY_MUTANTS / 20 {
        let bytes = random.history().to_bytes();
        for mutant in 0..20 {
            let mut mutated = bytes.clone();
            random.mutate(&mut mutated, &other, NUMBERS);
            feed(&mut tally, &mutated, PurchaseHistory::from_bytes, PurchaseHistory::to_bytes, |history| {
                if mutant < 2 && round % 8 == 0 {
                    let text = history.to_string();
                    // A history without days has no decimals to print.
                    if !history.days().is_empty() {
                        assert_eq!(text.parse::<PurchaseHistory>().as_ref(), Ok(history), "{text}");
                    }
                    ask_everything(Some(history), None, if round % 16 == 0 { &own } else { &document }, None);
                }
            });
        }
        other = bytes;
    }
    println!("{tally:?}");
    assert!(tally.valid > HISTORY_MUTANTS / 50 && tally.refused > HISTORY_MUTANTS / 4, "{tally:?} tests nothing");
}

#[test]
fn engagement_histories_from_mutated_bytes() {
    let mut random = Random::new(0xD1B5_4A32_D192_ED03);
    let document = Document::empty();
    let mut tally = Tally::default();
    let mut other = Vec::new();
    for round in 0..ENGAGEMENT_MUTANTS / 20 {
        let bytes = random.engagement().to_bytes();
        for mutant in 0..20 {
            let mut mutated = bytes.clone();
            random.mutate(&mut mutated, &other, NUMBERS);
            feed(&mut tally, &mutated, EngagementHistory::from_bytes, EngagementHistory::to_bytes, |engagement| {
                if mutant == 0 && round % 8 == 0 {
                    let text = engagement.to_string();
                    assert_eq!(text.parse::<EngagementHistory>().as_ref(), Ok(engagement), "{text}");
                    ask_everything(None, Some(engagement), &document, None);
                }
            });
        }
        other = bytes;
    }
    println!("{tally:?}");
    assert!(tally.valid > ENGAGEMENT_MUTANTS / 50 && tally.refused > ENGAGEMENT_MUTANTS / 4, "{tally:?} tests nothing");
}

/// Asks for the next step by a log, with limits and without, of all presets.
fn ask_for_steps(log: &ContactHistory, presets: &Scenarios, policies: &[Document]) {
    let history: PurchaseHistory =
        r#"{"2021-03-01": {"orders": 2, "amount": 50.25}, "2021-05-01": {"orders": 1, "amount": 3.00}}"#.parse().unwrap();
    let channels = ["email".to_owned()];
    for (as_of, policy) in AS_OFS.iter().flat_map(|&as_of| policies.iter().map(move |policy| (as_of, policy))) {
        let contact = ContactFacts { channels: Some(&channels), last_contacted_on: None, log: Some(log) };
        let customer = Customer::new(Some(&history), as_of, policy.policy().unwrap(), None, None);
        let (facts, _) = customer.answers(contact).expect("its numbers are small");
        assert!(facts.action_due_on >= Some(as_of));
        let responses = ChannelResponse::all(log, &history, as_of, &policy.policy().unwrap().contact);
        assert!(responses.iter().all(|r| r.answered + r.unanswered <= r.judged && r.judged <= r.contacts));
        assert!(DormantResponse::all(&customer, log).len() <= log.entries().count());
        let due = presets.due_steps(&customer, contact).expect("its numbers are small");
        assert_eq!(due.len(), PRESETS.len());
    }
}

#[test]
fn contact_histories_from_mutated_bytes() {
    let mut random = Random::new(0xBF58_476D_1CE4_E5B9);
    let limits = r#"{"contact": {"limits": [{"contacts": 4294967295, "days": 4294967295}, {"contacts": 1, "days": 1}],
        "channel_limits": {"email": [{"contacts": 3, "days": 4294967295}]}, "min_days_between": 4294967295}}"#;
    let policies = [Document::empty(), Document::parse(limits).unwrap()];
    let presets = Scenarios::new(PRESETS.iter().map(|entry| preset(entry.name).unwrap()).collect()).unwrap();
    let mut tally = Tally::default();
    let mut other = Vec::new();
    for round in 0..CONTACT_MUTANTS / 20 {
        let bytes = random.contacts().to_bytes();
        for mutant in 0..20 {
            let mut mutated = bytes.clone();
            random.mutate(&mut mutated, &other, NUMBERS);
            feed(&mut tally, &mutated, ContactHistory::from_bytes, ContactHistory::to_bytes, |log| {
                if mutant == 0 && round % 8 == 0 {
                    let text = log.to_string();
                    assert_eq!(text.parse::<ContactHistory>().as_ref(), Ok(log), "{text}");
                    ask_for_steps(log, &presets, &policies);
                }
            });
        }
        other = bytes;
    }
    println!("{tally:?}");
    assert!(tally.valid > CONTACT_MUTANTS / 50 && tally.refused > CONTACT_MUTANTS / 4, "{tally:?} tests nothing");
}

#[test]
fn membership_histories_from_mutated_bytes() {
    let mut random = Random::new(0x94D0_49BB_1331_11EB);
    let document = Document::empty();
    let policy = document.policy().unwrap();
    let month = Step::new(1, 0, 0).unwrap();
    let (mut tally, mut other) = (Tally::default(), Vec::new());
    for round in 0..CONTACT_MUTANTS / 20 {
        let (bytes, history) = (random.memberships().to_bytes(), random.history());
        for mutant in 0..20 {
            let mut mutated = bytes.clone();
            random.mutate(&mut mutated, &other, NUMBERS);
            feed(&mut tally, &mutated, MembershipHistory::from_bytes, MembershipHistory::to_bytes, |log| {
                let text = log.to_string();
                assert_eq!(text.parse::<MembershipHistory>().as_ref(), Ok(log), "{text}");
                for as_of in AS_OFS {
                    let customer = Customer::new(Some(&history), as_of, policy, None, KnownMembership::Logged(log));
                    let _ = (customer.lifecycle_state(), customer.membership_since(), log.moments(as_of).count());
                    if mutant == 0 && round % 512 == 0 {
                        let _ = (log.subscription_months(as_of).count(), log.subscription_cycles(month, as_of).count());
                    }
                }
            });
        }
        other = bytes;
    }
    println!("{tally:?}");
    assert!(tally.valid > CONTACT_MUTANTS / 50 && tally.refused > CONTACT_MUTANTS / 4, "{tally:?} tests nothing");
}

#[test]
fn scenarios_from_mutated_bytes() {
    let mut random = Random::new(0x2545_F491_4F6C_DD1D);
    let document = Document::empty();
    let history: PurchaseHistory = r#"{"2020-05-01": {"orders": 1, "amount": 3.00}}"#.parse().unwrap();
    let mut tally = Tally::default();
    for _ in 0..SCENARIO_MUTANTS {
        let bytes = mutated_document(&mut random, SCENARIOS);
        feed(&mut tally, &bytes, Scenario::from_bytes, Scenario::to_bytes, |scenario| {
            let scenarios = Scenarios::new(vec![Scenario::parse(&scenario.to_string()).unwrap()]).unwrap();
            for as_of in AS_OFS {
                let customer = Customer::new(Some(&history), as_of, document.policy().unwrap(), None, None);
                let due = scenarios.due_steps(&customer, ContactFacts::default()).expect("its numbers are small");
                assert_eq!(due.len(), 1);
            }
        });
    }
    println!("{tally:?}");
    assert!(tally.valid > SCENARIO_MUTANTS / 20 && tally.refused > SCENARIO_MUTANTS / 4, "{tally:?} tests nothing");
}

#[test]
fn models_from_mutated_bytes() {
    let mut random = Random::new(0x3C6E_F372_FE94_F82B);
    let history: PurchaseHistory =
        r#"{"2019-03-01": {"orders": 2, "amount": 50.25}, "2020-02-01": {"orders": 1, "amount": 3.00}}"#.parse().unwrap();
    let as_of = Day::parse("2020-05-01").unwrap();
    let timing = Timing::of(&history, as_of).unwrap().unwrap();
    let mut tally = Tally::default();
    for _ in 0..MODEL_MUTANTS {
        let bytes = mutated_document(&mut random, MODELS);
        feed(&mut tally, &bytes, PurchaseModel::from_bytes, PurchaseModel::to_bytes, |model| {
            let _ = (model.check(), model.require().is_ok(), model.with_backtests(model.backtests().to_vec()));
            let _ = (model.p_alive(&timing), model.alive_until(&timing, 0.5), model.next_purchase(&timing, 0.3));
            // A sum has about as many terms as purchases are expected: a billion of them is right, and takes its time.
            if model.process().is_some_and(|process| process.parameters[0] / process.parameters[1] > 10.0) {
                return;
            }
            let (ahead, rate) = (Horizon::new("days", 90).unwrap(), DiscountRate::new(0.1).unwrap());
            let purchases = history.purchases(as_of).unwrap();
            let spent = Spent::of_purchases(&history, &purchases, SpendCounts::All);
            let _ = model.predict((&timing, &spent), as_of, (ahead, ahead), rate);
            let _ = (model.explain((&timing, &spent), as_of, ahead), model.value_interval(&timing, &spent, ahead, 0.9));
            let (question, mut sums) = (ForecastQuestion { model, ahead, rate }, ForecastSums::default());
            if question.add(&timing, &spent, &mut sums).is_ok() {
                let _ = question.finish(&sums);
            }
        });
    }
    println!("{tally:?}");
    assert!(tally.valid > MODEL_MUTANTS / 20 && tally.refused > MODEL_MUTANTS / 4, "{tally:?} tests nothing");
}

#[test]
fn policies_from_mutated_bytes() {
    let mut random = Random::new(0x94D0_49BB_1331_11EB);
    let history: PurchaseHistory =
        r#"{"2021-03-01": {"orders": 2, "amount": 50.25}, "2021-05-01": {"orders": 1, "amount": 3.00}}"#.parse().unwrap();
    let engagement: EngagementHistory = r#"{"review": {"2021-03-01": 4000000000}}"#.parse().unwrap();
    let mut tally = Tally::default();
    for _ in 0..POLICY_MUTANTS {
        let bytes = mutated_document(&mut random, POLICIES);
        feed(&mut tally, &bytes, Document::from_bytes, Document::to_bytes, |document| {
            ask_everything(Some(&history), Some(&engagement), document, Some(Membership::Continuing));
            let _ = (document.effective().to_string(), document.overlay(&Document::empty()).is_ok());
        });
    }
    println!("{tally:?}");
    assert!(tally.valid > POLICY_MUTANTS / 20 && tally.refused > POLICY_MUTANTS / 4, "{tally:?} tests nothing");
}

#[test]
fn mutated_texts_never_panic_and_what_is_read_prints_and_reads_again() {
    let mut random = Random::new(0xE703_7ED1_A0B4_28DB);
    let mut valid = 0;
    for _ in 0..30_000 {
        let (mut text, other) =
            (random.history().to_string().into_bytes(), random.engagement().to_string().into_bytes());
        random.mutate(&mut text, &other, JSON_TOKENS);
        let text = String::from_utf8_lossy(&text);
        if let Ok(history) = text.parse::<PurchaseHistory>() {
            valid += 1;
            assert_eq!(history.to_string().parse(), Ok(history), "{text}");
        }
        let mut text = other;
        random.mutate(&mut text, b"{\"review\": {\"2021-01-01\": 1}}", JSON_TOKENS);
        let text = String::from_utf8_lossy(&text);
        if let Ok(engagement) = text.parse::<EngagementHistory>() {
            valid += 1;
            assert_eq!(engagement.to_string().parse(), Ok(engagement), "{text}");
        }
    }
    assert!(valid > 500, "only {valid} of the texts were valid");
}
