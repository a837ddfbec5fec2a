//! Over which channels a customer can be reached, judged by the shape of her addresses and by her consents.
//!
//! What is no address, such as "none" or "n/a", is ignored: the customer cannot be reached by it. Text is read in its
//! compatibility form (Unicode NFKC), so that full-width digits and letters are what they look like. What reaches a
//! customer has one normalized form, in which other programs take it.

mod email;
mod phone;
mod postal;

use std::borrow::Cow;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, ErrorKind, Result};
use crate::labels::labels;

pub use email::normalized_email;
pub use phone::{Region, normalized_phone};
pub use postal::normalized_postal_code;

use phone::{PhoneLine, phone_line};
use postal::is_postal_address;

labels! {
    /// A way to a customer, in the order in which the default policy prefers them.
    Channel "channel" {
        /// E-mail.
        Email = "email", "E-mail", "メール";
        /// A message in LINE.
        Line = "line", "LINE", "LINE";
        /// A text message to a mobile phone.
        Sms = "sms", "SMS", "SMS";
        /// A call.
        Phone = "phone", "Phone", "電話";
        /// A letter.
        Postal = "postal", "Post", "郵便";
        /// Social media; nobody in particular can be addressed there.
        Social = "social", "Social media", "SNS";
    }
}

/// The addresses of one customer, as the shop wrote them down; `None` where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Addresses<'a> {
    /// E-mail address.
    pub email: Option<&'a str>,
    /// Phone number.
    pub phone: Option<&'a str>,
    /// Postal address, with or without postal code.
    pub postal: Option<&'a str>,
    /// LINE user id or LINE ID.
    pub line: Option<&'a str>,
}

impl Addresses<'_> {
    /// The channels over which the customer can be reached, in the order of [`Channel::ALL`]; never [`Channel::Social`].
    pub fn reachable(&self, consents: &Consents) -> Vec<Channel> {
        let wanted = |channel| consents.allow(channel);
        let phone = match wanted(Channel::Phone) || wanted(Channel::Sms) {
            true => self.phone.and_then(phone_line),
            false => None,
        };
        let reaches = |&channel: &Channel| {
            wanted(channel)
                && match channel {
                    Channel::Email => self.email.is_some_and(|text| normalized_email(text).is_some()),
                    Channel::Line => self.line.is_some_and(is_line_id),
                    Channel::Sms => phone == Some(PhoneLine::Mobile),
                    Channel::Phone => phone.is_some(),
                    Channel::Postal => self.postal.is_some_and(is_postal_address),
                    Channel::Social => false,
                }
        };
        Channel::ALL.iter().copied().filter(reaches).collect()
    }
}

/// What a customer agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consents(Option<Vec<Channel>>);

impl Consents {
    /// The shop does not track consent: every channel counts.
    pub const UNTRACKED: Consents = Consents(None);

    /// Reads an object of channel to true, false or null: only what is true is consented.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] naming the offender.
    pub fn parse(json: &str) -> Result<Self> {
        let invalid = |message| {
            Error::new(ErrorKind::InvalidParameter, message)
                .hint("Write an object such as {\"email\": true, \"phone\": false}; NULL where consent is not tracked.")
        };
        let value = serde_json::from_str(json).map_err(|error| invalid(format!("invalid consents: {error}")))?;
        let Value::Object(entries) = value else {
            return Err(invalid(format!("consents must be an object, not {}", shown(&value))));
        };
        let mut consented = Vec::new();
        for (name, value) in &entries {
            let channel = Channel::from_name(name)?;
            match value {
                Value::Bool(true) => consented.push(channel),
                Value::Bool(false) | Value::Null => {}
                other => return Err(invalid(format!("consents.{name} must be true or false, not {}", shown(other)))),
            }
        }
        Ok(Consents(Some(consented)))
    }

    fn allow(&self, channel: Channel) -> bool {
        self.0.as_ref().is_none_or(|consented| consented.contains(&channel))
    }
}

/// A JSON value for an error message, shortened.
fn shown(value: &Value) -> String {
    const LENGTH: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// No address is longer, in bytes; whatever is, reaches nobody.
const MAX_BYTES: usize = 4096;

/// The text as it is judged: in compatibility form, without white space around it. `None` where there is nothing to judge.
fn judged(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    match text {
        "" => None,
        _ if text.len() > MAX_BYTES => None,
        _ if text.is_ascii() => Some(text.into()),
        _ => Some(text.nfkc().collect::<String>().trim().to_owned().into()),
    }
}

/// Names that stand where there is no LINE ID.
const NO_LINE_ID: [&str; 5] = ["none", "null", "unknown", "undefined", "nashi"];

/// Is this a LINE user id (`U` and 32 hexadecimal digits, as LINE's platform issues them) or a LINE ID, which users choose:
/// 4 to 20 letters, digits, full stops, hyphens and underscores?
///
/// A LINE ID has no capitals; whoever writes some means the small ones.
fn is_line_id(text: &str) -> bool {
    let Some(text) = judged(text) else { return false };
    let is_user_id = text.strip_prefix('U').is_some_and(|digits| {
        digits.len() == 32 && digits.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f'))
    });
    let is_chosen = (4..=20).contains(&text.len())
        && text.bytes().all(|sign| sign.is_ascii_alphanumeric() || b".-_".contains(&sign))
        && text.bytes().any(|sign| sign.is_ascii_alphanumeric())
        && !NO_LINE_ID.iter().any(|name| text.eq_ignore_ascii_case(name));
    is_user_id || is_chosen
}

/// What people type for a hyphen, a Japanese long-vowel sign included. In compatibility form, full-width ones are among them.
fn is_hyphen(sign: char) -> bool {
    matches!(sign, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{2500}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Document;
    use proptest::prelude::*;

    #[test]
    fn the_order_is_that_of_the_default_policy() {
        let names: Vec<_> = Channel::ALL.iter().map(|channel| channel.name()).collect();
        assert_eq!(Document::empty().policy().unwrap().contact.channels, names);
    }

    #[test]
    fn line_ids() {
        let user = format!("U{}", "0123456789abcdef".repeat(2));
        for good in [user.as_str(), "aki.tanaka", "Aki-Tanaka_1", "ａｋｉ１", " aki1 ", "1234"] {
            assert!(is_line_id(good), "{good:?}");
        }
        let (group, capitals) = (user.replace('U', "C"), user.to_uppercase());
        for bad in [
            "",
            "aki",
            "@shop",
            "あきこさん",
            "none",
            "NULL",
            "Ｎｏｎｅ",
            "n/a",
            "....",
            "----",
            "aki tanaka",
            &user[1..],
            &user[..32],
            &group,
            &capitals,
            "aki\u{200b}tanaka",
            "abcdefghijklmnopqrstu",
        ] {
            assert!(!is_line_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn consents_count_only_where_true() {
        let all = Addresses {
            email: Some("aki@example.jp"),
            phone: Some("090-1234-5678"),
            postal: Some("東京都足立区本木1-2-3"),
            line: Some("aki.tanaka"),
        };
        let names = |consents: &Consents| -> Vec<_> {
            all.reachable(consents).into_iter().map(|channel| channel.name()).collect()
        };
        assert_eq!(names(&Consents::UNTRACKED), ["email", "line", "sms", "phone", "postal"]);
        for (json, expected) in [
            ("{}", vec![]),
            (r#"{"email": null, "line": false}"#, vec![]),
            (r#"{"social": true}"#, vec![]),
            (r#"{"postal": true, "sms": true, "email": true, "phone": false}"#, vec!["email", "sms", "postal"]),
            (r#"{"phone": true}"#, vec!["phone"]),
        ] {
            assert_eq!(names(&Consents::parse(json).unwrap()), expected, "{json}");
        }
    }

    #[test]
    fn consents_that_are_none_are_refused() {
        for (json, expected) in [
            ("null", "consents must be an object, not null"),
            (r#"["email"]"#, r#"consents must be an object, not ["email"]"#),
            (r#"{"fax": true}"#, r#"unknown channel: "fax""#),
            (r#"{"Email": true}"#, r#"unknown channel: "Email""#),
            (r#"{"email": "yes"}"#, r#"consents.email must be true or false, not "yes""#),
            (r#"{"email": 1}"#, "consents.email must be true or false, not 1"),
            (r#"{"email": {}}"#, "consents.email must be true or false, not {}"),
        ] {
            let error = Consents::parse(json).unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::InvalidParameter, expected));
            assert!(error.hint.is_some());
        }
        let long = Consents::parse(&format!(r#"{{"email": "{}"}}"#, "あ".repeat(100_000))).unwrap_err();
        assert!(long.message.len() < 300, "{}", long.message);
        let deep = format!(r#"{{"email": {}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert!(Consents::parse(&deep).unwrap_err().message.contains("recursion limit"));
    }

    #[test]
    fn very_long_text_reaches_nobody() {
        for unit in ["1", "+", "a", "@", "a@", ".", "東京1", "〒", "\u{fdfa}", "\u{200b}", "e\u{301}", "("] {
            for count in [MAX_BYTES / unit.len(), 1_000_000] {
                let text = unit.repeat(count);
                assert!(
                    normalized_email(&text).is_none() && !is_line_id(&text) && phone_line(&text).is_none(),
                    "{unit:?}"
                );
                assert!(count < 1_000_000 || !is_postal_address(&text), "{unit:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in any::<String>(), phone in "[+０-９0-9() .-]{0,24}", postal in "[〒0-9-]{0,9}.{0,9}") {
            let addresses = Addresses { email: Some(&text), phone: Some(&phone), postal: Some(&postal), line: Some(&text) };
            let channels = addresses.reachable(&Consents::UNTRACKED);
            prop_assert!(!channels.contains(&Channel::Sms) || channels.contains(&Channel::Phone));
        }

        #[test]
        fn full_width_is_what_it_looks_like(text in "[!-~]{1,20}") {
            let wide: String = text.chars().map(|sign| char::from_u32(sign as u32 + 0xfee0).unwrap()).collect();
            prop_assert_eq!(normalized_email(&text), normalized_email(&wide));
            prop_assert_eq!(is_line_id(&text), is_line_id(&wide));
            prop_assert_eq!(phone_line(&text), phone_line(&wide));
            prop_assert_eq!(is_postal_address(&text), is_postal_address(&wide));
        }
    }
}
