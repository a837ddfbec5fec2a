//! What holds for any values.

use super::*;
use proptest::prelude::*;
use std::cmp::Ordering;

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
