//! The largest and the smallest numbers, and how much memory hostile bytes take.

use super::*;
use serde_json::Value;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

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
    // The peak of this process is that of all its tests: it is measured in one that runs nothing else.
    const ALONE: &str = "PG_RFM_TEST_ALONE";
    if env::var_os(ALONE).is_none() {
        let test = "hostile_bytes::extremes::memory_stays_in_proportion_to_the_input";
        let own = env::current_exe().expect("the test has a file");
        let output = Command::new(own).args(["--exact", test]).env(ALONE, "1").output().expect("it starts again");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
        return;
    }
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
    let mut bytes = vec![1];
    bytes.extend([2u8, 0].repeat(10_000_000));
    let before = peak_megabytes();
    assert!(MembershipHistory::from_bytes(&bytes).is_err());
    let memberships = peak_megabytes().saturating_sub(before);
    assert!(memberships < 200, "20 MB of a membership_history took {memberships} MB to be refused");
    assert!(
        history < 200 && engagement < 200 && contacts < 200,
        "20 MB of a purchase_history took {history} MB, of an engagement_history {engagement} MB, of a contact_history \
         {contacts} MB, to be refused"
    );
}

fn peak_megabytes() -> u64 {
    memory("self", "VmHWM").map_or(0, |kilobytes| kilobytes / 1024)
}

/// Every number of the policy, alone and together with others, at the largest and smallest value that the policy accepts.
#[test]
fn extreme_policies_never_overflow() {
    let mut random = Random::new(0xA076_1D64_78BD_642F);
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
        for _ in 0..=random.index(if round % 2 == 0 { 1 } else { 12 }) {
            let path = &paths[random.index(paths.len())];
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
