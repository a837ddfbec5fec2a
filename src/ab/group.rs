//! Which group of a test a customer belongs to: a fixed function of the test's name and the customer's key.
//!
//! The hash is SipHash-2-4 with a key of zeros (J.-P. Aumasson, D. J. Bernstein, SipHash: a fast short-input PRF, INDOCRYPT
//! 2012), over the bytes of the test's name, one zero byte, and the bytes of the customer's key as text. The 64 bits, as
//! a fraction of 2^64, fall into the interval of one group: the groups share the range from 0 to 1 in their order. This
//! never changes: customers would change groups in the middle of a test.

use std::collections::HashSet;
use std::hash::Hasher;

use serde::Deserialize;
use siphasher::sip::SipHasher24;

use crate::decimal::{Decimal, Millionths};
use crate::error::{Error, ErrorKind, Result};
use crate::json;

/// The most groups one test may have.
pub const MAX_GROUPS: usize = 100;
/// The longest name of a test or a group, in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// A group as the document says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    group: String,
    share: Millionths,
}

/// A test with its groups, ready to assign customers.
pub struct Test {
    /// Has taken in the test's name and the zero byte.
    hasher: SipHasher24,
    /// Name of each group and where its interval ends, in 2^-64, in order.
    groups: Vec<(String, u128)>,
}

impl Test {
    /// The test of that name with groups from a JSON list of `{"group": name, "share": number}`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] when a name is empty, too long or stands twice, a share is not above 0 or has more than
    /// 6 decimals, the shares do not add up to exactly 1, or the document has another form.
    pub fn new(name: &str, groups: &str) -> Result<Self> {
        check_name("test", name)?;
        let entries: Vec<Entry> = json::from_text("groups", groups)
            .map_err(|error| Error { kind: ErrorKind::InvalidParameter, ..error })
            .and_then(checked)
            .map_err(|error| match error.hint {
                Some(_) => error,
                None => error.hint(
                    r#"Write a list such as [{"group": "holdout", "share": 0.1}, {"group": "offer", "share": 0.9}]."#,
                ),
            })?;
        let mut hasher = SipHasher24::new();
        hasher.write(name.as_bytes());
        hasher.write(&[0]);
        let ends = entries.iter().scan(0u128, |sum, entry| {
            *sum += entry.share.get() as u128;
            Some((*sum << 64).div_ceil(Millionths::ONE as u128))
        });
        let ends: Vec<u128> = ends.collect();
        Ok(Test { hasher, groups: entries.into_iter().map(|entry| entry.group).zip(ends).collect() })
    }

    /// The group of the customer with this key.
    pub fn group(&self, key: &[u8]) -> &str {
        let mut hasher = self.hasher;
        hasher.write(key);
        let place = u128::from(hasher.finish());
        let before = |&(_, end): &(String, u128)| end <= place;
        // The last interval ends at 2^64, beyond every place.
        &self.groups[self.groups.partition_point(before)].0
    }
}

fn checked(entries: Vec<Entry>) -> Result<Vec<Entry>> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidParameter, message);
    if entries.is_empty() || entries.len() > MAX_GROUPS {
        return Err(invalid(format!("a test has 1 to {MAX_GROUPS} groups, not {}", entries.len())));
    }
    let mut seen = HashSet::new();
    for Entry { group, share } in &entries {
        check_name("group", group)?;
        if !seen.insert(group) {
            return Err(invalid(format!("the group {group:?} stands twice")));
        }
        if share.get() <= 0 {
            return Err(invalid(format!("the share of the group {group:?} must be above 0, not {share}"))
                .hint("Leave out a group that nobody belongs to."));
        }
    }
    let sum: i128 = entries.iter().map(|entry| entry.share.get()).sum();
    if sum != i128::from(Millionths::ONE) {
        let sum = Decimal::new(sum, 6).normalized();
        return Err(invalid(format!("the shares of the groups add up to {sum}, not to 1")).hint(
            "Shares are parts of 1 with at most 6 decimals; three equal ones are 0.333333, 0.333333 and 0.333334.",
        ));
    }
    Ok(entries)
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
        let shown: String = name.chars().take(MAX_NAME_BYTES).collect();
        let message = format!("invalid name of a {what}, of {} bytes: {shown:?}", name.len());
        return Err(Error::new(ErrorKind::InvalidParameter, message)
            .hint(format!("A name has 1 to {MAX_NAME_BYTES} bytes and no control characters.")));
    }
    Ok(())
}

/// A UUID as PostgreSQL writes it: lower case, with hyphens.
pub fn uuid_text(uuid: &[u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    /// Bytes of the UUID before which a hyphen stands.
    const GROUPS: [usize; 4] = [4, 6, 8, 10];
    let mut text = [b'-'; 36];
    for (index, byte) in uuid.iter().enumerate() {
        let place = 2 * index + GROUPS.iter().filter(|&&start| start <= index).count();
        text[place] = DIGITS[usize::from(byte >> 4)];
        text[place + 1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, groups: &str) -> String {
        let error = Test::new(name, groups).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidParameter, "{error}");
        assert!(error.hint.is_some(), "{error}");
        error.message
    }

    /// The first of the published vectors of SipHash-2-4 are for the key 00 01 ... 0f, which is not used here; that of
    /// nothing under a key of zeros is 1e924b9d737700d7.
    #[test]
    fn the_hash_is_siphash_2_4_with_a_key_of_zeros() {
        assert_eq!(SipHasher24::new().finish(), 0x1e92_4b9d_7377_00d7);
        let key: [u8; 16] = std::array::from_fn(|index| index as u8);
        let mut hasher = SipHasher24::new_with_key(&key);
        hasher.write(&std::array::from_fn::<u8, 15, _>(|index| index as u8));
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn nobody_is_left_over_at_the_ends() {
        let test = Test::new("t", r#"[{"group": "a", "share": 0.000001}, {"group": "b", "share": 0.999999}]"#).unwrap();
        assert_eq!(test.groups[0].1, (1u128 << 64).div_ceil(1_000_000));
        assert_eq!(test.groups[1].1, 1 << 64);
        let all = Test::new("t", r#"[{"group": "everybody", "share": 1.000000000}]"#).unwrap();
        assert!((0..1000u32).all(|key| all.group(&key.to_be_bytes()) == "everybody"));
    }

    #[test]
    fn a_uuid_is_what_postgresql_writes() {
        let uuid: [u8; 16] =
            [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];
        assert_eq!(&uuid_text(&uuid), b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    }

    #[test]
    fn what_is_no_list_of_groups_is_refused() {
        let half = r#"{"group": "a", "share": 0.5}"#;
        for (groups, part) in [
            (format!("[{half}]"), "add up to 0.5, not to 1"),
            (format!(r#"[{half}, {{"group": "b", "share": 0.500001}}]"#), "add up to 1.000001, not to 1"),
            (format!("[{half}, {half}]"), "\"a\" stands twice"),
            (r#"[{"group": "a", "share": 0}, {"group": "b", "share": 1}]"#.to_owned(), "above 0, not 0"),
            (r#"[{"group": "a", "share": -1}, {"group": "b", "share": 2}]"#.to_owned(), "above 0, not -1"),
            (r#"[{"group": "", "share": 1}]"#.to_owned(), "invalid name of a group, of 0 bytes"),
            (format!(r#"[{{"group": "{}", "share": 1}}]"#, "x".repeat(64)), "of 64 bytes"),
            (r#"[{"group": "a\nb", "share": 1}]"#.to_owned(), "a\\nb"),
            (r#"[{"group": "a", "share": 0.3333333}]"#.to_owned(), "more than 6 decimals"),
            (r#"[{"group": "a", "share": "1"}]"#.to_owned(), "[0].share"),
            (r#"[{"group": "a"}]"#.to_owned(), "missing field `share`"),
            (r#"[{"group": "a", "share": 1, "offer": 5}]"#.to_owned(), "unknown field `offer`"),
            (r#"[{"group": "a", "share": 1e40}]"#.to_owned(), "[0].share"),
            (r#"{"a": 0.5, "b": 0.5}"#.to_owned(), "expected a list"),
            ("[]".to_owned(), "not 0"),
            ("null".to_owned(), "expected a list"),
            ("[".repeat(100_000), "groups"),
            (format!("[{}]", vec![half; 101].join(",")), "1 to 100 groups, not 101"),
        ] {
            let message = refused("t", &groups);
            assert!(message.contains(part) && message.len() < 500, "{message}");
        }
        for name in ["", "a\0b", "a\tb", &"x".repeat(64)] {
            let message = refused(name, r#"[{"group": "a", "share": 1}]"#);
            assert!(message.starts_with("invalid name of a test"), "{message}");
        }
    }
}
