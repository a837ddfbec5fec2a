//! Random values, and random changes of their bytes.

use super::*;

impl Random {
    pub fn day(&mut self) -> Day {
        let day = match self.index(20) {
            0 => Day::MIN.0 + self.index(3) as i32,
            1 => Day::MAX.0 - self.index(3) as i32,
            2..=4 => self.index(3_652_059) as i32 + Day::MIN.0,
            _ => 7_000 + self.index(1_500) as i32,
        };
        Day(day)
    }

    pub fn amount(&mut self) -> i128 {
        let bits = self.index(100) as u32;
        let magnitude = (u128::from(self.next()) << 64 | u128::from(self.next())) >> (127 - bits.min(126));
        let magnitude = magnitude as i128 & i128::MAX;
        if self.index(5) == 0 { -magnitude } else { magnitude }
    }

    pub fn history(&mut self) -> PurchaseHistory {
        let scale = self.of(&[0, 0, 2, 2, 2, 3, 18, 20]);
        let rows = (0..self.index(8))
            .map(|_| {
                let discounted = self.of(&[None, None, Some(true), Some(false)]);
                match self.index(6) {
                    0 => PurchaseDay::of_correction(self.day(), Some(self.amount())),
                    _ => PurchaseDay::of_row(self.day(), Some(self.amount()), discounted),
                }
            })
            .collect::<Vec<_>>();
        let scale = if rows.is_empty() { 0 } else { scale };
        PurchaseHistory::new(scale, rows).expect("the amounts fit")
    }

    pub fn engagement(&mut self) -> EngagementHistory {
        let kinds = ["review", "survey", "complaint", "stated_competitor", "a", "クチコミ", "it's \"quoted\""];
        let events: Vec<_> =
            (0..self.index(8)).map(|_| (self.of(&kinds), self.day(), self.of(&[1, 1, 2, 300, u32::MAX / 8]))).collect();
        EngagementHistory::new(events).expect("the events fit")
    }

    pub fn contacts(&mut self) -> ContactHistory {
        let name = |random: &mut Random, names: &[&'static str]| {
            let number = random.index(names.len() + 1);
            names.get(number).copied()
        };
        let entries: Vec<_> = (0..self.index(8))
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

    pub fn memberships(&mut self) -> MembershipHistory {
        let entries: Vec<_> = (0..self.index(8)).map(|_| (self.day(), self.of(Membership::ALL))).collect();
        MembershipHistory::new(entries).expect("the entries fit")
    }

    /// Changes `bytes` in one to four places; `other` is a value to splice with.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8], tokens: &[&[u8]]) {
        for _ in 0..=self.index(4) {
            let at = self.index(bytes.len() + 1);
            match self.index(9) {
                0 | 1 if at < bytes.len() => bytes[at] ^= 1 << self.index(8),
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
                    let end = at + self.index(bytes.len() - at + 1);
                    let token = self.of(tokens);
                    bytes.splice(at..end, token.iter().copied());
                }
                _ => {
                    let from = self.index(other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend(&other[from..]);
                }
            }
        }
    }
}

/// Variable-length integers at the edges of what fits, and forms no writer writes.
pub const NUMBERS: &[&[u8]] = &[
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

pub const JSON_TOKENS: &[&[u8]] = &[
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

pub const SCENARIOS: &[&str] = &[
    r#"{"behavior":"care","enter_when":{"lifecycle_state":"dormant","recency_days":{"above":180}},"name":"a","priority":9,"reenter_after_days":90,"steps":[{"after_days":0,"id":"x","message_key":"m"},{"after_days":7,"channels":["email"],"id":"y","message_key":"m"}],"stop_when":["bought"],"title":"A"}"#,
    r#"{"behavior":"winback","enter_when":{"any":[{"orders":{"at_least":1}}]},"name":"b","priority":1,"steps":[{"after_days":90,"id":"x","message_key":"m","offer":"o"}],"stop_when":[],"title":"B"}"#,
];

pub const MODELS: &[&str] = &[
    r#"{"model":"bgnbd","purchases":{"a":0.793,"alpha":30.9,"b":2.426,"r":0.243}}"#,
    r#"{"model":"paretonbd","purchases":{"alpha":74,"beta":81.7,"r":0.553,"s":0.606},"refund_share":0.25,"spend":{"counts":"repeat","p":6.25,"q":3.744,"v":15.44}}"#,
    r#"{"as_of":"2020-05-01","backtests":[{"days":90,"origin":"2020-01-01","purchases":0.1,"value":-0.2}],"customers":900,"findings":[{"code":"weak","message":"m","severity":"warning"}],"fit":{"covariance":[[0.02,0,0,0],[0,0.01,0,0],[0,0,0.03,0],[0,0,0,0.04]],"evaluations":9,"log_likelihood":-1.5,"log_likelihood_no_dropout":-9,"standard_errors":{"r":0.1},"starts":6,"starts_agreeing":5},"model":"mbgnbd","purchases":{"a":0.9,"alpha":43,"b":1.6,"r":0.5},"refunds":"gross","spend":{"p":9,"q":3.4,"v":8},"status":"ok","version":1}"#,
];

pub const POLICIES: &[&str] = &[
    r#"{"lifecycle":{"dormant_after_days":90},"vip":{"monetary_cut":1.5}}"#,
    r#"{"lifecycle":{"at_risk_ratio":1.5,"cycle":"own","dormant_ratio":3,"max_days":425,"prior_gaps":3,"store_gap_days":30}}"#,
    r#"{"frequency":"purchase_days","rfm":{"frequency_cuts":[1,2],"monetary_cuts":[0.01,5],"recency_cuts":[1,2,3,4,5,6,7,8]}}"#,
    r#"{"next_action":{"rules":[{"action":"call","behavior":"care","id":"a","title":"A","when":{"any":[{"orders":{"above":2}}]}}]}}"#,
    r#"{"relation":{"kinds":{"review":{"cap":3,"weight":10}},"window_days":365}}"#,
    r#"{"segments":{"default":"rest","rules":[{"any":[{"f":[1,2],"r":[1,5]}],"name":"a"}]}}"#,
    r#"{"vip":{"memberships":["ad_hoc"],"min_relation_score":50,"untracked_min_value_score":null,"value_weight":0.3}}"#,
];

/// Of mutated JSON hardly anything is JSON: most of these change a value where it stands.
pub fn mutated_document(random: &mut Random, documents: &[&str]) -> Vec<u8> {
    let mut text = random.of(documents).as_bytes().to_vec();
    if random.index(4) == 0 {
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
    text.insert(0, if random.index(50) == 0 { random.next() as u8 } else { 1 });
    text
}
