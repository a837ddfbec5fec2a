//! Over which channels a customer can be reached, judged by the shape of her addresses and by her consents.
//!
//! What is no address, such as "none" or "n/a", is ignored: the customer cannot be reached by it. Text is read in its compatibility form (Unicode NFKC), so
//! that full-width digits and letters are what they look like.

use std::borrow::Cow;

use email_address::{EmailAddress, Options};
use phonenumber::{PhoneNumber, Type, country, metadata};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, ErrorKind, Result};
use crate::labels::labels;

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
                    Channel::Email => self.email.is_some_and(is_email),
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

/// Is this an e-mail address: one as in RFC 5322, in ASCII, with a domain of at least two parts?
fn is_email(text: &str) -> bool {
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    judged(text).is_some_and(|text| {
        text.chars().all(|sign| sign.is_ascii_graphic()) && EmailAddress::parse_with_options(&text, options).is_ok()
    })
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

/// What a valid phone number leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PhoneLine {
    /// A phone that takes text messages.
    Mobile,
    /// Any other.
    Other,
}

/// What the phone number leads to; `None` where it is none.
///
/// A number that begins with `+`, 00 or 010 names its country; any other that begins with 0 is Japanese; of the rest nobody
/// can tell the country.
fn phone_line(text: &str) -> Option<PhoneLine> {
    let (international, digits) = phone_digits(&judged(text)?)?;
    let (home, written) = match digits.strip_prefix("010").or_else(|| digits.strip_prefix("00")) {
        _ if international => (None, format!("+{digits}")),
        Some(abroad) => (None, format!("+{abroad}")),
        None if digits.starts_with('0') => (Some(country::JP), digits),
        None => return None,
    };
    let number = phonenumber::parse(home, written).ok().filter(PhoneNumber::is_valid)?;
    Some(match number.number_type(&metadata::DATABASE) {
        // In North America nobody can tell a mobile number from others.
        Type::Mobile | Type::FixedLineOrMobile => PhoneLine::Mobile,
        _ => PhoneLine::Other,
    })
}

/// Whether a `+` comes first, and the digits; `None` where anything but digits and what usually stands between them is there.
fn phone_digits(text: &str) -> Option<(bool, String)> {
    // 15 in all countries together (ITU-T E.164), and the 010 of a call abroad.
    const MOST: usize = 18;
    let (mut international, mut digits) = (false, String::with_capacity(MOST));
    for sign in text.chars() {
        match sign {
            '0'..='9' if digits.len() == MOST => return None,
            '0'..='9' => digits.push(sign),
            '+' if digits.is_empty() && !international => international = true,
            ' ' | '.' | '(' | ')' => {}
            _ if is_hyphen(sign) => {}
            _ => return None,
        }
    }
    (!digits.is_empty()).then_some((international, digits))
}

/// What people type for a hyphen, a Japanese long-vowel sign included. In compatibility form, full-width ones are among them.
fn is_hyphen(sign: char) -> bool {
    matches!(sign, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{2500}')
}

/// Could a letter arrive there? Beside the postal code it must name a place and a number in it: at least four letters and
/// digits, at least one of them a letter, and a digit or a Japanese word for the number of a block or house.
fn is_postal_address(text: &str) -> bool {
    let Some(text) = judged(text) else { return false };
    let Some(place) = without_postal_code(&text) else { return false };
    let is_name = |sign: &char| sign.is_alphabetic() && !is_hyphen(*sign);
    let is_digit = |sign: &char| sign.is_ascii_digit();
    place.chars().any(|sign| is_name(&sign))
        && place.chars().filter(|sign| is_name(sign) || is_digit(sign)).nth(3).is_some()
        && (place.chars().any(|sign| is_digit(&sign)) || ["丁目", "番地", "号"].iter().any(|word| place.contains(word)))
}

/// The address without its Japanese postal code, which may stand after the mark 〒, at the beginning or at the end; `None`
/// where what stands there is no postal code.
fn without_postal_code(text: &str) -> Option<String> {
    let signs: Vec<char> = text.chars().collect();
    let rest = |from: usize, to: usize| signs[..from].iter().chain(&signs[to..]).collect();
    if let Some(mark) = signs.iter().position(|&sign| sign == '〒') {
        let start = mark + 1 + signs[mark + 1..].iter().take_while(|sign| sign.is_whitespace()).count();
        let end = postal_code_end(&signs, start)?;
        return is_assigned(&signs[start..end]).then(|| rest(mark, end));
    }
    let starts = [0, signs.len().saturating_sub(8), signs.len().saturating_sub(7)];
    let code = starts.iter().find_map(|&start| {
        let end = postal_code_end(&signs, start)?;
        (start == 0 || end == signs.len()).then_some((start, end))
    });
    match code {
        Some((start, end)) => is_assigned(&signs[start..end]).then(|| rest(start, end)),
        None => Some(text.to_owned()),
    }
}

/// Where the seven digits end that begin at `start` and are not part of a longer number.
fn postal_code_end(signs: &[char], start: usize) -> Option<usize> {
    let digits = |from: usize, count: usize| {
        signs.get(from..from + count).is_some_and(|part| part.iter().all(char::is_ascii_digit)).then_some(from + count)
    };
    let in_number = |sign: &char| sign.is_ascii_digit() || is_hyphen(*sign);
    let middle = digits(start, 3)?;
    let hyphen = signs.get(middle).is_some_and(|&sign| is_hyphen(sign));
    let end = digits(middle + usize::from(hyphen), 4)?;
    let longer = signs.get(end).is_some_and(in_number) || start > 0 && in_number(&signs[start - 1]);
    (!longer).then_some(end)
}

/// Postal codes begin with 001.
fn is_assigned(code: &[char]) -> bool {
    !code.starts_with(&['0', '0', '0'])
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
    fn email_addresses() {
        for good in [
            "aki@example.jp",
            " aki@example.jp\t",
            "Aki.Tanaka+shop@mail.example.co.jp",
            "o'neill@example.com",
            "ａｋｉ＠ｅｘａｍｐｌｅ．ｊｐ",
            "　aki@example.jp　",
            "aki@xn--eckwd4c7c.jp",
            "\"a.b\"@example.jp",
        ] {
            assert!(is_email(good), "{good:?}");
        }
        for bad in [
            "",
            " ",
            "aki",
            "aki@",
            "@example.jp",
            "aki@localhost",
            "aki@@example.jp",
            "aki@example..jp",
            "a b@example.jp",
            "aki@example.jp, ben@example.jp",
            "Aki <aki@example.jp>",
            "aki@[192.0.2.1]",
            "aki@example.jp\nBcc: b@example.jp",
            ".aki@example.jp",
            "aki.@example.jp",
            "a..b@example.jp",
            "なし",
            "n/a",
            "-",
            "山田@example.jp",
            "aki@例え.jp",
            "aki@example.jp\u{200b}",
            "aki\0@example.jp",
            "aki@-example.jp",
        ] {
            assert!(!is_email(bad), "{bad:?}");
        }
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
    fn phone_numbers() {
        for mobile in [
            "090-1234-5678",
            "080-1234-5678",
            "070-1234-5678",
            "09012345678",
            "０９０－１２３４－５６７８",
            "090‐1234‐5678",
            "090ー1234ー5678",
            "090−1234−5678",
            "(090) 1234 5678",
            "+81 90-1234-5678",
            "+81 (0)90-1234-5678",
            "＋８１９０１２３４５６７８",
            "010-81-90-1234-5678",
            "0081 90 1234 5678",
            "+44 7911 123456",
            "+49 151 23456789",
            "+82 10-1234-5678",
            "+1 650-253-0000",
        ] {
            assert_eq!(phone_line(mobile), Some(PhoneLine::Mobile), "{mobile:?}");
        }
        for other in [
            "0120-123-456",
            "0800-123-4567",
            "03-1234-5678",
            "０３（１２３４）５６７８",
            "+81 3-1234-5678",
            "06-6123-4567",
            "0422-12-3456",
            "050-1234-5678",
            "+44 20 7031 3000",
            "+49 30 123456",
        ] {
            assert_eq!(phone_line(other), Some(PhoneLine::Other), "{other:?}");
        }
        for bad in [
            "",
            "-",
            "なし",
            "0",
            "000-0000-0000",
            "090-1234-567",
            "090-1234-56789",
            "03-1234-567",
            "0312345",
            "99999",
            "110",
            "90-1234-5678",
            "650-253-0000",
            "819012345678",
            "+1 123",
            "++819012345678",
            "090+12345678",
            "090-1234-5678 / 03-1234-5678",
            "TEL 03-1234-5678",
            "03-1234-5678 ext 12",
            "1111111111",
            "+",
            "+0",
            "090\x001234",
            "٠٩٠١٢٣٤٥٦٧٨",
            "03-0000-0000",
            "0900-000-000",
        ] {
            assert_eq!(phone_line(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn postal_addresses() {
        for good in [
            "〒123-4567 東京都足立区本木1-2-3",
            "〒１２３－４５６７　東京都足立区本木１－２－３",
            "1234567東京都足立区本木1-2-3",
            "123ー4567 東京都足立区本木1-2-3",
            "東京都足立区本木1-2-3 〒123-4567",
            "1-2-3 Ginza, Chuo-ku, Tokyo 104-0061",
            "東京都千代田区永田町一丁目七番一号",
            "岩手県九戸郡野田村大字野田 無番地",
            "芝1-1-1",
            "私書箱100号",
            "1600 Amphitheatre Parkway, Mountain View, CA 94043",
            "10 rue de Rivoli\n75001 Paris",
            "P.O. Box 12, Oslo",
            "Rose Cottage, Ambleside LA22 9BU",
            "〒001-0000 札幌市北区1",
        ] {
            assert!(is_postal_address(good), "{good:?}");
        }
        for bad in [
            "",
            " \u{3000}\n",
            "-",
            "ーーーー",
            "----",
            "なし",
            "無し",
            "不明",
            "n/a",
            "N/A",
            "none",
            "未登録",
            "〒123-4567",
            "１２３－４５６７",
            "1234567",
            "123-4567 東京都",
            "東京都足立区",
            "東京都足立区 123-4567",
            "Tokyo 104-0061",
            "〒123-456 東京都足立区本木1-2-3",
            "〒000-0000 東京都足立区本木1-2-3",
            "000-0000 東京都足立区本木1-2-3",
            "〒1234-567 東京都足立区本木1-2-3",
            "〒",
            "090-1234-5678",
            "1-1",
            "芝1",
        ] {
            assert!(!is_postal_address(bad), "{bad:?}");
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
                assert!(!is_email(&text) && !is_line_id(&text) && phone_line(&text).is_none(), "{unit:?}");
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
            prop_assert_eq!(is_email(&text), is_email(&wide));
            prop_assert_eq!(is_line_id(&text), is_line_id(&wide));
            prop_assert_eq!(phone_line(&text), phone_line(&wide));
            prop_assert_eq!(is_postal_address(&text), is_postal_address(&wide));
        }
    }
}
