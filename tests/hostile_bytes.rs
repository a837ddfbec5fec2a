//! Hostile input to the types: bytes and texts that nobody sends on purpose. The answer is an error or a valid value,
//! never a crash; what the core accepts it also calculates with, up to the largest numbers there are.

mod common;

use std::cmp::Ordering;
use std::error::Error as StdError;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::Database;
use pg_rfm::contact::{ContactFacts, ContactHistory, ContactKind};
use pg_rfm::customer::Customer;
use pg_rfm::day::Day;
use pg_rfm::decimal::Decimal;
use pg_rfm::engagement::EngagementHistory;
use pg_rfm::error::ErrorKind;
use pg_rfm::history::{PurchaseDay, PurchaseHistory};
use pg_rfm::membership::Membership;
use pg_rfm::policy::Document;
use pg_rfm::scenario::{PRESETS, Scenario, Scenarios, preset};
use pg_rfm::timeline::Timeline;
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type};
use proptest::prelude::*;
use serde_json::Value;

const HISTORY_MUTANTS: usize = 620_000;
const ENGAGEMENT_MUTANTS: usize = 420_000;
const CONTACT_MUTANTS: usize = 200_000;
const POLICY_MUTANTS: usize = 8_000;
const SCENARIO_MUTANTS: usize = 8_000;
/// Of each type, through the server; release code, but a round trip each.
const SENT_MUTANTS: usize = 10_000;

/// xorshift64*: seeded, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn day(&mut self) -> Day {
        let day = match self.below(20) {
            0 => Day::MIN.0 + self.below(3) as i32,
            1 => Day::MAX.0 - self.below(3) as i32,
            2..=4 => self.below(3_652_059) as i32 + Day::MIN.0,
            _ => 7_000 + self.below(1_500) as i32,
        };
        Day(day)
    }

    fn amount(&mut self) -> i128 {
        let bits = self.below(100) as u32;
        let magnitude = (u128::from(self.next()) << 64 | u128::from(self.next())) >> (127 - bits.min(126));
        let magnitude = magnitude as i128 & i128::MAX;
        if self.below(5) == 0 { -magnitude } else { magnitude }
    }

    fn history(&mut self) -> PurchaseHistory {
        let scale = self.of(&[0, 0, 2, 2, 2, 3, 18, 20]);
        let rows = (0..self.below(8))
            .map(|_| {
                let discounted = self.of(&[None, None, Some(true), Some(false)]);
                PurchaseDay::of_row(self.day(), Some(self.amount()), discounted)
            })
            .collect::<Vec<_>>();
        let scale = if rows.is_empty() { 0 } else { scale };
        PurchaseHistory::new(scale, rows).expect("the amounts fit")
    }

    fn engagement(&mut self) -> EngagementHistory {
        let kinds = ["review", "survey", "complaint", "stated_competitor", "a", "クチコミ", "it's \"quoted\""];
        let events: Vec<_> =
            (0..self.below(8)).map(|_| (self.of(&kinds), self.day(), self.of(&[1, 1, 2, 300, u32::MAX / 8]))).collect();
        EngagementHistory::new(events).expect("the events fit")
    }

    fn contacts(&mut self) -> ContactHistory {
        let name = |random: &mut Random, names: &[&'static str]| {
            let number = random.below(names.len() + 1);
            names.get(number).copied()
        };
        let entries: Vec<_> = (0..self.below(8))
            .map(|_| {
                let kind = ContactKind {
                    channel: name(self, &["email", "郵便", "it's \"quoted\""]),
                    scenario: name(self, &["a", "at_risk_check_in", "dormant_good_customer"]),
                    step: name(self, &["a", "check_in", "how_to", "letter"]),
                    group: name(self, &["a", "holdout"]),
                };
                (kind, self.day(), self.of(&[1, 1, 2, 300, u32::MAX / 8]))
            })
            .collect();
        ContactHistory::new(entries).expect("the entries fit")
    }

    /// Changes `bytes` in one to four places; `other` is a value to splice with.
    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8], tokens: &[&[u8]]) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(9) {
                0 | 1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 if at < bytes.len() => bytes[at] = self.next() as u8,
                3 => bytes.truncate(at),
                4 => bytes.insert(at, self.next() as u8),
                5 if at < bytes.len() => {
                    bytes.remove(at);
                }
                6 => {
                    let token = self.of(tokens);
                    bytes.splice(at..at, token.iter().copied());
                }
                7 => {
                    let end = at + self.below(bytes.len() - at + 1);
                    let token = self.of(tokens);
                    bytes.splice(at..end, token.iter().copied());
                }
                _ => {
                    let from = self.below(other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend(&other[from..]);
                }
            }
        }
    }
}

/// Variable-length integers at the edges of what fits, and forms no writer writes.
const NUMBERS: &[&[u8]] = &[
    &[0x00],
    &[0x01],
    &[0x7f],
    &[0x80, 0x00],
    &[0x80, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x1f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x03],
    &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x03],
    &[0xff; 20],
];

const JSON_TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\"",
    b"null",
    b"true",
    b"false",
    b"0",
    b"-0",
    b"-1",
    b"1e9",
    b"1e400",
    b"1E-20",
    b"0.5",
    b"4294967295",
    b"4294967296",
    b"99999999999999999999999999999999999999",
    b"5316911983139663491615228241121378304",
    b"\"\"",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"\"version\":1,",
    b"\"rfm\":{",
    b"[1,2,3]",
    b"[3,2,1]",
    b"{}",
    b"[]",
    b"\xff",
    b"\"any\":[{}]",
    b"\"$serde_json::private::Number\":\"1\"",
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What happened to a number of values.
#[derive(Default, Debug)]
struct Tally {
    valid: usize,
    refused: usize,
}

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

#[test]
fn purchase_histories_from_mutated_bytes() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
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
    let mut random = Random(0xD1B5_4A32_D192_ED03);
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
        let due = presets.due_steps(&customer, contact).expect("its numbers are small");
        assert_eq!(due.len(), PRESETS.len());
    }
}

#[test]
fn contact_histories_from_mutated_bytes() {
    let mut random = Random(0xBF58_476D_1CE4_E5B9);
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

const SCENARIOS: &[&str] = &[
    r#"{"behavior":"care","enter_when":{"lifecycle_state":"dormant","recency_days":{"above":180}},"name":"a","priority":9,"reenter_after_days":90,"steps":[{"after_days":0,"id":"x","message_key":"m"},{"after_days":7,"channels":["email"],"id":"y","message_key":"m"}],"stop_when":["bought"],"title":"A"}"#,
    r#"{"behavior":"winback","enter_when":{"any":[{"orders":{"at_least":1}}]},"name":"b","priority":1,"steps":[{"after_days":90,"id":"x","message_key":"m","offer":"o"}],"stop_when":[],"title":"B"}"#,
];

#[test]
fn scenarios_from_mutated_bytes() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
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

const POLICIES: &[&str] = &[
    r#"{"lifecycle":{"dormant_after_days":90},"vip":{"monetary_cut":1.5}}"#,
    r#"{"lifecycle":{"at_risk_ratio":1.5,"cycle":"own","dormant_ratio":3,"max_days":425,"prior_gaps":3,"store_gap_days":30}}"#,
    r#"{"frequency":"purchase_days","rfm":{"frequency_cuts":[1,2],"monetary_cuts":[0.01,5],"recency_cuts":[1,2,3,4,5,6,7,8]}}"#,
    r#"{"next_action":{"rules":[{"action":"call","behavior":"care","id":"a","title":"A","when":{"any":[{"orders":{"above":2}}]}}]}}"#,
    r#"{"relation":{"kinds":{"review":{"cap":3,"weight":10}},"window_days":365}}"#,
    r#"{"segments":{"default":"rest","rules":[{"any":[{"f":[1,2],"r":[1,5]}],"name":"a"}]}}"#,
    r#"{"vip":{"memberships":["ad_hoc"],"min_relation_score":50,"untracked_min_value_score":null,"value_weight":0.3}}"#,
];

/// Of mutated JSON hardly anything is JSON: most of these change a value where it stands.
fn mutated_document(random: &mut Random, documents: &[&str]) -> Vec<u8> {
    let mut text = random.of(documents).as_bytes().to_vec();
    if random.below(4) == 0 {
        let other = random.of(documents).as_bytes();
        random.mutate(&mut text, other, JSON_TOKENS);
    } else {
        let digits: Vec<usize> = (0..text.len()).filter(|&at| text[at].is_ascii_digit()).collect();
        let at = if digits.is_empty() { 0 } else { random.of(&digits) };
        let end = (at + 1).min(text.len());
        let number = random.of(&[
            &b"7"[..],
            b"0",
            b"-3",
            b"9",
            b"90",
            b"0.25",
            b"1000000000",
            b"4294967295",
            b"0.000001",
            b"null",
            b"\"x\"",
            b"1e3",
            b"99999999999999999999999999999999999999",
            b"[]",
        ]);
        text.splice(at..end, number.iter().copied());
    }
    text.insert(0, if random.below(50) == 0 { random.next() as u8 } else { 1 });
    text
}

#[test]
fn policies_from_mutated_bytes() {
    let mut random = Random(0x94D0_49BB_1331_11EB);
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

/// Only one of `{}` and other empty histories can be canonical: they print alike and must be equal.
#[test]
fn there_is_one_empty_history() {
    for scale in 1..=20 {
        assert!(
            PurchaseHistory::from_bytes(&[1, scale]).is_err(),
            "an empty history with {scale} decimals is accepted: it prints as {{}}, which is another value"
        );
    }
}

/// A few bytes must not take gigabytes, and a value beyond the stated maximum is refused before it is built.
#[test]
fn memory_stays_in_proportion_to_the_input() {
    let mut bytes = vec![1, 0];
    bytes.extend([0u8, 0].repeat(10_000_000));
    let before = peak_megabytes();
    assert!(PurchaseHistory::from_bytes(&bytes).is_err());
    let history = peak_megabytes().saturating_sub(before);
    let mut bytes = vec![1, 1, b'a'];
    bytes.extend([0x80, 0xad, 0xe2, 0x04]); // 10,000,000 days of one kind
    bytes.extend([2u8, 1].repeat(10_000_000));
    let before = peak_megabytes();
    assert!(EngagementHistory::from_bytes(&bytes).is_err());
    let engagement = peak_megabytes().saturating_sub(before);
    let mut bytes = vec![1, 0, 0, 0, 0];
    bytes.extend([0x80, 0xad, 0xe2, 0x04]);
    bytes.extend([2u8, 1].repeat(10_000_000));
    let before = peak_megabytes();
    assert!(ContactHistory::from_bytes(&bytes).is_err());
    let contacts = peak_megabytes().saturating_sub(before);
    assert!(
        history < 200 && engagement < 200 && contacts < 200,
        "20 MB of a purchase_history took {history} MB, of an engagement_history {engagement} MB, of a contact_history \
         {contacts} MB, to be refused"
    );
}

fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes / 1024)
}

/// Every number of the policy, alone and together with others, at the largest and smallest value that the policy accepts.
#[test]
fn extreme_policies_never_overflow() {
    let mut random = Random(0xA076_1D64_78BD_642F);
    let near_max = PurchaseHistory::new(
        0,
        [(Day::MIN, i128::MAX / 4), (Day(7_400), i128::MAX / 4), (Day(7_405), i128::MAX / 4), (Day(7_990), -5)]
            .map(|(day, amount)| PurchaseDay::of_row(day, Some(amount), Some(true)))
            .to_vec(),
    )
    .unwrap();
    let engagement =
        EngagementHistory::new([("review", Day(7_400), u32::MAX), ("review", Day(7_401), u32::MAX)]).unwrap();
    let effective = Document::empty().effective();
    let mut paths = Vec::new();
    number_paths(&effective, &mut String::new(), &mut paths);
    paths.retain(|path| !path.starts_with("/segments") && !path.starts_with("/next_action"));
    assert!(paths.len() > 40, "{paths:?}");
    let extremes = [
        "0",
        "1",
        "100",
        "0.000001",
        "4294967295",
        "1000000000",
        "999999999.999999",
        "4294967296",
        "-1",
        "99999999999999999999999999999999999999",
        "170141183460469231731687303715884105727",
        "5316911983139663491615228241121378304",
        "0.00000000000000000001",
    ];
    let mut used = 0;
    for round in 0..1_500 {
        let mut value = effective.clone();
        for _ in 0..=random.below(if round % 2 == 0 { 1 } else { 12 }) {
            let path = &paths[random.below(paths.len())];
            *value.pointer_mut(path).unwrap() = serde_json::from_str(random.of(&extremes)).unwrap();
        }
        if round % 3 == 0 {
            value["lifecycle"]["cycle"] = Value::from("own");
        }
        let text = value.to_string();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let Ok(document) = Document::parse(&text) else { return false };
            ask_everything(
                Some(&near_max),
                Some(&engagement),
                &document,
                random.of(&[None, Some(Membership::Continuing)]),
            );
            document.policy().is_ok()
        }));
        match outcome {
            Ok(ok) => used += usize::from(ok),
            Err(_) => panic!("the panic above came from this policy: {text}"),
        }
    }
    assert!(used > 100, "only {used} policies were used");
}

fn number_paths(value: &Value, path: &mut String, paths: &mut Vec<String>) {
    let length = path.len();
    match value {
        Value::Number(_) => paths.push(path.clone()),
        Value::Array(items) => items.iter().enumerate().for_each(|(position, item)| {
            path.push_str(&format!("/{position}"));
            number_paths(item, path, paths);
            path.truncate(length);
        }),
        Value::Object(entries) => entries.iter().for_each(|(key, item)| {
            path.push_str(&format!("/{key}"));
            number_paths(item, path, paths);
            path.truncate(length);
        }),
        _ => {}
    }
}

/// Shares and weights are limited to 1000000000 before they are multiplied by a million, not after.
#[test]
fn numbers_that_wrap_around_are_refused() {
    for number in ["5316911983139663491615228241121378304", "99999999999999999999999999999999999999"] {
        let text = format!(r#"{{"vip": {{"value_weight": {number}}}}}"#);
        let outcome = catch_unwind(|| Document::parse(&text).err().map(|error| error.message));
        let message = outcome.expect("no panic").expect("a share of 5e36 is no share");
        assert!(message.contains("vip.value_weight"), "{message}");
    }
}

/// What a history accepts, every fact can be told of: an average with 6 decimals fits where the sum has more of them.
#[test]
fn facts_of_the_largest_amounts() {
    let document = Document::empty();
    for (scale, amount) in
        [(20, i128::MAX), (20, -i128::MAX), (18, 10i128.pow(37)), (6, i128::MAX), (2, 10i128.pow(33))]
    {
        let rows =
            vec![PurchaseDay::of_row(Day(7_400), Some(0), None), PurchaseDay::of_row(Day(7_401), Some(amount), None)];
        let history = PurchaseHistory::new(scale, rows).expect("it fits");
        let customer = Customer::new(Some(&history), Day(7_402), document.policy().unwrap(), None, None);
        let facts = customer.facts(ContactFacts::default());
        assert!(facts.is_ok(), "monetary {}: {:?}", history.monetary(Day(7_402)), facts.err());
    }
}

#[test]
fn sums_beyond_the_limit_are_refused_in_every_order() {
    let half = i128::MAX / 2 + 1;
    for days in [[1, 2, 3], [1, 1, 2], [2, 1, 1]] {
        let rows = days.iter().map(|&day| PurchaseDay::of_row(Day(day), Some(half), None)).collect();
        assert_eq!(PurchaseHistory::new(0, rows).unwrap_err().kind, ErrorKind::NumberOutOfRange);
    }
    let row = |amount| PurchaseHistory::new(0, vec![PurchaseDay::of_row(Day(1), Some(amount), None)]).unwrap();
    assert_eq!(row(half).merge(row(half)).unwrap_err().kind, ErrorKind::NumberOutOfRange);
    let precise = PurchaseHistory::new(20, vec![PurchaseDay::of_row(Day(1), Some(1), None)]).unwrap();
    assert_eq!(row(half).merge(precise).unwrap_err().kind, ErrorKind::NumberOutOfRange);
    assert!(
        PurchaseHistory::new(0, vec![PurchaseDay { amount: i128::MIN, ..PurchaseDay::of_row(Day(1), None, None) }])
            .is_err()
    );
}

/// An independent comparison: digits as text, padded to the same length.
fn compare_as_text(a: &str, b: &str) -> Ordering {
    let split = |text: &str| {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let padded = format!("{whole:0>60}{fraction:0<30}");
        (negative && padded.bytes().any(|digit| digit != b'0'), padded)
    };
    let ((a_negative, a), (b_negative, b)) = (split(a), split(b));
    match (a_negative, b_negative) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (true, true) => b.cmp(&a),
        (false, false) => a.cmp(&b),
    }
}

fn any_mantissa() -> impl Strategy<Value = i128> {
    prop_oneof![
        3 => any::<i128>(),
        3 => (any::<i64>(), 0u32..4).prop_map(|(number, power)| i128::from(number) * 1000i128.pow(power)),
        1 => prop::sample::select(vec![0, 1, -1, 10, i128::MAX, i128::MIN + 1, 10i128.pow(38), -10i128.pow(38), 10i128.pow(20)]),
    ]
}

fn any_rows() -> impl Strategy<Value = Vec<(i32, i64, Option<bool>)>> {
    prop::collection::vec((0..40i32, -1_000..1_000_000i64, any::<Option<bool>>()), 0..40)
}

fn history_of(scale: u8, rows: &[(i32, i64, Option<bool>)]) -> PurchaseHistory {
    let days = rows.iter().map(|&(day, amount, known)| PurchaseDay::of_row(Day(day), Some(amount.into()), known));
    PurchaseHistory::new(if rows.is_empty() { 0 } else { scale }, days.collect()).expect("it fits")
}

fn any_events() -> impl Strategy<Value = Vec<(&'static str, i32, u32)>> {
    let kind = prop::sample::select(vec!["review", "survey", "クチコミ", "a\"b\\c", "stated_drifted"]);
    prop::collection::vec((kind, 0..40i32, 0..1_000u32), 0..30)
}

fn engagement_of(events: &[(&str, i32, u32)]) -> EngagementHistory {
    EngagementHistory::new(events.iter().map(|&(kind, day, count)| (kind, Day(day), count))).expect("it fits")
}

type ContactRow = (Option<&'static str>, Option<&'static str>, Option<&'static str>, Option<&'static str>, i32, u32);

fn any_contacts() -> impl Strategy<Value = Vec<ContactRow>> {
    let name = || prop::option::of(prop::sample::select(vec!["a", "ab", "b", "メール", "a\"b\\c", "holdout"]));
    prop::collection::vec((name(), name(), name(), name(), 0..40i32, 0..1_000u32), 0..30)
}

fn contacts_of(rows: &[ContactRow]) -> ContactHistory {
    let entries = rows.iter().map(|&(channel, scenario, step, group, day, times)| {
        (ContactKind { channel, scenario, step, group }, Day(day), times)
    });
    ContactHistory::new(entries).expect("it fits")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decimals_print_and_compare_like_texts(a in any_mantissa(), s in 0u8..=20, b in any_mantissa(), t in 0u8..=20) {
        let (a, b) = (Decimal::new(a, s), Decimal::new(b, t));
        let (a_text, b_text) = (a.to_string(), b.to_string());
        prop_assert_eq!(a.cmp(&b), compare_as_text(&a_text, &b_text));
        prop_assert_eq!(a.cmp(&a.normalized()), Ordering::Equal);
        let again = Decimal::parse(&a_text).expect("what it prints it reads");
        prop_assert_eq!((again.mantissa(), again.scale()), (a.mantissa(), a.scale()));
        if let Ok(mantissa) = a.mantissa_at(20) {
            prop_assert_eq!(Decimal::new(mantissa, 20), a);
        }
    }

    #[test]
    fn quotients_are_the_nearest_decimals(n in -1_000_000_000_000i128..1_000_000_000_000, d in 1i128..1_000_000, s in 0u8..=6) {
        let quotient = Decimal::quotient(n, d, s).expect("it fits").mantissa();
        let (shifted, twice) = (n * 10i128.pow(s.into()), 2 * quotient * d);
        // |q * d - n * 10^s| <= d / 2, and of two nearest the one further from zero.
        prop_assert!((twice - 2 * shifted).abs() <= d);
        if (twice - 2 * shifted).abs() == d {
            prop_assert!(twice.abs() > 2 * shifted.abs());
        }
    }

    #[test]
    fn histories_do_not_depend_on_the_order_or_the_parts(rows in any_rows(), cut in any::<prop::sample::Index>(), s in 0u8..=20) {
        let whole = history_of(s, &rows);
        let mut shuffled = rows.clone();
        shuffled.reverse();
        shuffled.sort_by_key(|row| row.1 % 7);
        prop_assert_eq!(&history_of(s, &shuffled), &whole);
        let (left, right) = rows.split_at(cut.index(rows.len() + 1));
        let parts = || (history_of(s, left), history_of(s, right));
        let ((a, b), (c, d)) = (parts(), parts());
        prop_assert_eq!(&a.merge(b).expect("it fits"), &whole);
        prop_assert_eq!(&d.merge(c).expect("it fits"), &whole);
        prop_assert_eq!(&whole.to_string().parse::<PurchaseHistory>().expect("its own text"), &whole);
        prop_assert_eq!(&PurchaseHistory::from_bytes(&whole.to_bytes()).expect("its own bytes"), &whole);
    }

    #[test]
    fn merging_associates(a in any_rows(), b in any_rows(), c in any_rows(), s in 0u8..=9, t in 0u8..=9, u in 0u8..=9) {
        let parts = || (history_of(s, &a), history_of(t, &b), history_of(u, &c));
        let ((a1, b1, c1), (a2, b2, c2)) = (parts(), parts());
        let left = a1.merge(b1).and_then(|ab| ab.merge(c1)).expect("it fits");
        let right = b2.merge(c2).and_then(|bc| a2.merge(bc)).expect("it fits");
        prop_assert_eq!(left, right);
    }

    #[test]
    fn engagement_does_not_depend_on_the_order_or_the_parts(events in any_events(), cut in any::<prop::sample::Index>()) {
        let whole = engagement_of(&events);
        let mut shuffled = events.clone();
        shuffled.reverse();
        prop_assert_eq!(&engagement_of(&shuffled), &whole);
        let (left, right) = events.split_at(cut.index(events.len() + 1));
        let (left, right) = (engagement_of(left), engagement_of(right));
        prop_assert_eq!(&left.merge(&right).expect("it fits"), &whole);
        prop_assert_eq!(&right.merge(&left).expect("it fits"), &whole);
        prop_assert_eq!(&whole.to_string().parse::<EngagementHistory>().expect("its own text"), &whole);
        prop_assert_eq!(&EngagementHistory::from_bytes(&whole.to_bytes()).expect("its own bytes"), &whole);
    }

    #[test]
    fn contacts_do_not_depend_on_the_order_or_the_parts(rows in any_contacts(), cut in any::<prop::sample::Index>()) {
        let whole = contacts_of(&rows);
        let mut shuffled = rows.clone();
        shuffled.reverse();
        prop_assert_eq!(&contacts_of(&shuffled), &whole);
        let (left, right) = rows.split_at(cut.index(rows.len() + 1));
        let (left, right) = (contacts_of(left), contacts_of(right));
        prop_assert_eq!(&left.merge(&right).expect("it fits"), &whole);
        prop_assert_eq!(&right.merge(&left).expect("it fits"), &whole);
        prop_assert_eq!(&whole.to_string().parse::<ContactHistory>().expect("its own text"), &whole);
        prop_assert_eq!(&ContactHistory::from_bytes(&whole.to_bytes()).expect("its own bytes"), &whole);
    }

    #[test]
    fn arbitrary_texts_never_panic(text in "\\PC{0,40}", json in r#"[{}\[\]:,"0-9a-ey.+\\u-]{0,40}"#) {
        for text in [text, json] {
            let _ = (text.parse::<PurchaseHistory>(), text.parse::<EngagementHistory>(), text.parse::<ContactHistory>());
            let _ = (Scenario::parse(&text), Scenario::from_bytes(format!("\u{1}{text}").as_bytes()));
            let _ = (Document::parse(&text), Decimal::parse(&text), Day::parse(&text), Membership::parse(&text));
            let _ = Document::from_bytes(format!("\u{1}{text}").as_bytes());
            let wrapped = format!(r#"{{"{text}": {{"orders": {text}, "amount": {text}}}}}"#);
            let _ = (wrapped.parse::<PurchaseHistory>(), wrapped.parse::<EngagementHistory>(), Document::parse(&wrapped));
        }
    }
}

#[test]
fn mutated_texts_never_panic_and_what_is_read_prints_and_reads_again() {
    let mut random = Random(0xE703_7ED1_A0B4_28DB);
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

/// Bytes as they are, as a binary parameter of any type.
#[derive(Debug)]
struct Raw<'a>(&'a [u8]);

impl ToSql for Raw<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

#[test]
fn the_server_survives_hostile_parameters_and_copies() {
    let database = Database::new("hostile");
    let mut client = database.client();
    let started = "SELECT pg_postmaster_start_time()::text || pg_backend_pid()";
    let before: String = client.query_one(started, &[]).expect("the server runs").get(0);

    let mut random = Random(0x8EBC_6AF0_9C88_C6E3);
    for type_name in ["purchase_history", "engagement_history", "contact_history", "segment_policy", "scenario"] {
        let echo = format!("SELECT {type_name}_send($1), $1::{type_name}::text::{type_name} = $1");
        let echo = client.prepare(&echo).expect("the type has a send function");
        let (mut other, mut tally) = (Vec::new(), Tally::default());
        for _ in 0..SENT_MUTANTS {
            let mut bytes = match type_name {
                "purchase_history" => random.history().to_bytes(),
                "engagement_history" => random.engagement().to_bytes(),
                "contact_history" => random.contacts().to_bytes(),
                "scenario" => mutated_document(&mut random, SCENARIOS),
                _ => mutated_document(&mut random, POLICIES),
            };
            let original = bytes.clone();
            if type_name.ends_with("_history") {
                random.mutate(&mut bytes, &other, NUMBERS);
            }
            other = original;
            match client.query_one(&echo, &[&Raw(&bytes)]) {
                Ok(row) => {
                    assert_eq!(hex(row.get(0)), hex(&bytes), "{type_name}");
                    // The known exception has a test of its own: there_is_one_empty_history.
                    if bytes.len() > 2 {
                        assert!(row.get::<_, bool>(1), "{type_name} changes on its way through text: {}", hex(&bytes));
                    }
                    tally.valid += 1;
                }
                Err(error) => {
                    let code = error.as_db_error().unwrap_or_else(|| panic!("{error}: {}", hex(&bytes))).code();
                    assert_eq!(code.code(), "22P03", "{type_name} {error:?}: {}", hex(&bytes));
                    tally.refused += 1;
                }
            }
        }
        println!("{type_name}: {tally:?}");
        assert!(tally.valid > SENT_MUTANTS / 100 && tally.refused > SENT_MUTANTS / 4, "{type_name}: {tally:?}");

        common::batch(&mut client, &format!("CREATE TABLE public.{type_name}_copy (v rfm.{type_name})"));
        let mut refused = 0;
        for _ in 0..300 {
            let mut bytes = random.history().to_bytes();
            random.mutate(&mut bytes, &other, NUMBERS);
            let mut copy =
                client.copy_in(&format!("COPY public.{type_name}_copy FROM STDIN BINARY")).expect("COPY starts");
            let mut message = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
            message.extend(1i16.to_be_bytes());
            message.extend((bytes.len() as i32).to_be_bytes());
            message.extend(&bytes);
            message.extend((-1i16).to_be_bytes());
            copy.write_all(&message).expect("the server takes the message");
            if let Err(error) = copy.finish() {
                assert_eq!(error.as_db_error().expect("an error of the server").code().code(), "22P03", "{error:?}");
                refused += 1;
            }
        }
        assert!(refused > 20, "{type_name}: {refused} of 300 copies were refused");
    }
    let after: String = client.query_one(started, &[]).expect("the session goes on").get(0);
    assert_eq!(before, after, "the server was restarted");
}
