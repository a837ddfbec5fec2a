//! Phone numbers.

use phonenumber::{PhoneNumber, Type, country, metadata};

use super::{is_hyphen, judged};
use crate::error::{Error, ErrorKind, Result, shown};

/// A country with a numbering plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(country::Id);

impl Region {
    /// Where a number that names no country is at home, unless another is named.
    pub const JAPAN: Region = Region(country::JP);

    /// The country of a code of two letters (ISO 3166), in capitals or not.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] where there is no such country, or where its numbering plan is not known.
    pub fn parse(code: &str) -> Result<Self> {
        code.to_ascii_uppercase()
            .parse()
            .ok()
            .filter(|id: &country::Id| metadata::DATABASE.by_id(id.as_ref()).is_some())
            .map(Region)
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidParameter, format!("unknown region: {}", shown(code)))
                    .hint("Use the two letters of the country as in ISO 3166, for example JP.")
            })
    }
}

/// What a valid phone number leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneLine {
    /// A phone that takes text messages.
    Mobile,
    /// Any other.
    Other,
}

/// What a phone number leads to that is Japanese where it names no country; `None` where it is none.
pub fn phone_line(text: &str) -> Option<PhoneLine> {
    let number = phone_number(text, Region::JAPAN)?;
    Some(match number.number_type(&metadata::DATABASE) {
        // In North America nobody can tell a mobile number from others.
        Type::Mobile | Type::FixedLineOrMobile => PhoneLine::Mobile,
        _ => PhoneLine::Other,
    })
}

/// The number with its country, as in E.164: `+819012345678`; `None` where the text is none.
pub fn normalized_phone(text: &str, home: Region) -> Option<String> {
    // Not by the crate's formatter, which compiles the patterns of all formats for it.
    phone_number(text, home).map(|number| format!("+{}{}", number.code().value(), number.national()))
}

/// The number, of the country it names or else of `home`.
///
/// A `+` names the country, and so does what a country dials before a number abroad: 00 or 010 in Japan, where any other
/// number begins with 0. One that does not has lost its 0 in a spreadsheet, or is written with the country but without the
/// `+`: it is taken for the only one of the two that is valid.
fn phone_number(text: &str, Region(home): Region) -> Option<PhoneNumber> {
    let (international, digits) = phone_digits(bare_number(&judged(text)?))?;
    let valid = |home: Option<country::Id>, written: String| {
        phonenumber::parse(home, written).ok().filter(PhoneNumber::is_valid)
    };
    let abroad = digits.strip_prefix("010").or_else(|| digits.strip_prefix("00"));
    match abroad {
        _ if international => valid(None, format!("+{digits}")),
        _ if home != country::JP => valid(Some(home), digits),
        Some(abroad) => valid(None, format!("+{abroad}")),
        None if digits.starts_with('0') => valid(Some(home), digits),
        None if is_filler(&digits) => None,
        None => {
            let without_zero = valid(Some(home), format!("0{digits}"));
            let without_plus = digits.starts_with("81").then(|| valid(None, format!("+{digits}"))).flatten();
            if without_zero.is_some() && without_plus.is_some() { None } else { without_zero.or(without_plus) }
        }
    }
}

/// Whether somebody who had no number filled the field: all digits are the same, or each is one more or less than the one
/// before.
fn is_filler(digits: &str) -> bool {
    let step = |pair: &[u8]| i16::from(pair[1]) - i16::from(pair[0]);
    let steps = || digits.as_bytes().windows(2).map(step);
    [-1, 0, 1].iter().any(|&same| steps().all(|step| step == same))
}

/// What stands before a number, or in brackets behind it, and says whose or what it is. A fax is no phone.
const NOTES: [&str; 22] = [
    "tel",
    "telephone",
    "phone",
    "mobile",
    "cell",
    "home",
    "work",
    "office",
    "電話",
    "電話番号",
    "携帯",
    "携帯電話",
    "固定",
    "固定電話",
    "自宅",
    "実家",
    "会社",
    "勤務先",
    "職場",
    "本人",
    "代表",
    "直通",
];

/// What stands between a number and its extension, which nobody outside can dial.
const EXTENSIONS: [&str; 5] = ["内線", "extension", "ext.", "ext", "x"];

fn is_note(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    NOTES.contains(&text.as_str())
}

/// The text without a note before or behind it and without an extension.
fn bare_number(text: &str) -> &str {
    let is_digit = |sign: char| sign.is_ascii_digit();
    let mut number = text;
    if let Some(begin) = number.find(|sign: char| is_digit(sign) || matches!(sign, '+' | '('))
        && is_note(number[..begin].trim_end().trim_end_matches([':', '.']))
    {
        number = &number[begin..];
    }
    if let Some((before, note)) = number.trim_end().strip_suffix(')').and_then(|inner| inner.rsplit_once('('))
        && is_note(note)
    {
        number = before;
    }
    for mark in EXTENSIONS {
        // Compared as it is written: the places of small letters are not those of capitals in every alphabet.
        let found = number.char_indices().find(|&(place, _)| {
            number.get(place..place + mark.len()).is_some_and(|here| here.eq_ignore_ascii_case(mark))
        });
        if let Some((place, _)) = found {
            let extension = number[place + mark.len()..].trim_matches([' ', ':', '.', ')']);
            if (1..=6).contains(&extension.len()) && extension.chars().all(is_digit) {
                return &number[..place];
            }
        }
    }
    number
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            // A spreadsheet ate the 0.
            "9012345678",
            "90-1234-5678",
            "８０－１２３４－５６７８",
            "819012345678",
            "81-90-1234-5678",
            "TEL:090-1234-5678",
            "携帯 090-1234-5678",
            "09012345678（自宅）",
            "携帯: 9012345678",
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
            "312345678",
            "3-1234-5678",
            "120-123-456",
            "81312345678",
            "TEL:03-1234-5678",
            "Tel. 03-1234-5678",
            "TEL 03-1234-5678",
            "電話番号：(03)1234-5678",
            "03-1234-5678（会社）",
            "03-1234-5678 内線5",
            "03-1234-5678（内線 5）",
            "03-1234-5678 ext 12",
            "03-1234-5678 Ext.12",
            "03-1234-5678x12",
            "TEL:03-1234-5678 内線5",
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
            "650-253-0000",
            "123456789",
            "987654321",
            "111111111",
            "999999999",
            "8012345",
            "12345678",
            "20240401",
            "81",
            "8181",
            "810000000000",
            "819012345",
            "8190123456789",
            "442070313000",
            "90-1234-567",
            "90-1234-56789",
            "+1 123",
            "++819012345678",
            "090+12345678",
            "090-1234-5678 / 03-1234-5678",
            "FAX 03-1234-5678",
            "FAX:03-1234-5678",
            "03-1234-5678(FAX)",
            "03-1234-5678(使われていない)",
            "03-1234-5678(自宅",
            "TEL",
            "TEL:",
            "(自宅)",
            "自宅",
            "内線5",
            "03-1234-5678 内線",
            "03-1234-5678 内線1234567",
            "03-1234-5678 内線5 内線6",
            "03-1234-5678 5",
            "夜09012345678",
            "090-1234-5678(自宅)090-1234-5678",
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
    fn the_normalized_form() {
        for (typed, region, expected) in [
            ("０９０－１２３４－５６７８", "JP", "+819012345678"),
            ("090ー1234ー5678", "jp", "+819012345678"),
            ("03-1234-5678", "JP", "+81312345678"),
            ("0120-123-456", "JP", "+81120123456"),
            ("+81 (0)90-1234-5678", "JP", "+819012345678"),
            ("010-1-650-253-0000", "JP", "+16502530000"),
            ("(650) 253-0000", "US", "+16502530000"),
            ("1-650-253-0000", "US", "+16502530000"),
            ("011 81 90 1234 5678", "US", "+819012345678"),
            ("+81 90-1234-5678", "US", "+819012345678"),
            ("020 7031 3000", "GB", "+442070313000"),
            ("06 6982 0001", "IT", "+390669820001"),
            ("9012345678", "JP", "+819012345678"),
            ("90-1234-5678", "JP", "+819012345678"),
            ("819012345678", "JP", "+819012345678"),
            ("TEL:03-1234-5678", "JP", "+81312345678"),
            ("09012345678（自宅）", "JP", "+819012345678"),
            ("03-1234-5678 内線5", "JP", "+81312345678"),
            ("phone: (650) 253-0000 x12", "US", "+16502530000"),
        ] {
            let region = Region::parse(region).unwrap();
            assert_eq!(normalized_phone(typed, region).as_deref(), Some(expected), "{typed}");
        }
        for (typed, region) in [("650-253-0000", "JP"), ("090-1234-5678", "US"), ("110", "US"), ("なし", "GB")] {
            assert_eq!(normalized_phone(typed, Region::parse(region).unwrap()), None, "{typed}");
        }
    }

    #[test]
    fn a_region_is_a_country() {
        assert_eq!(Region::parse("JP").unwrap(), Region::JAPAN);
        for code in ["", "J", "XX", "JPN", "日本", &"J".repeat(100_000)] {
            let error = Region::parse(code).unwrap_err();
            assert!(error.kind == ErrorKind::InvalidParameter && error.hint.is_some() && error.message.len() < 300);
        }
    }

    proptest! {
        /// A number without a 0 is one only where nothing but its 0 or its plus is missing, and never both.
        #[test]
        fn a_number_is_mended_where_only_one_can_be_meant(digits in "(81)?[1-9][0-9]{5,11}") {
            let of = |written: String| normalized_phone(&written, Region::JAPAN);
            let mended = [of(format!("0{digits}")), of(format!("+{digits}")).filter(|_| digits.starts_with("81"))];
            match (of(digits.clone()), mended) {
                (Some(number), [Some(only), None] | [None, Some(only)]) => prop_assert_eq!(number, only),
                (None, [None, None] | [Some(_), Some(_)]) => {}
                (None, _) => prop_assert!(is_filler(&digits)),
                (Some(number), _) => prop_assert!(false, "{digits} is no {number}"),
            }
        }

        #[test]
        fn what_reaches_somebody_has_a_normalized_form_that_stays(text in r"(0|\+81|00|010|\+)?[０-９0-9() .-]{4,20}") {
            let normalized = normalized_phone(&text, Region::JAPAN);
            prop_assert_eq!(normalized.is_some(), phone_line(&text).is_some());
            if let Some(number) = &normalized {
                prop_assert!(number.starts_with('+') && number[1..].bytes().all(|sign| sign.is_ascii_digit()));
                prop_assert!(number.len() <= 16);
                prop_assert_eq!(phone_line(number), phone_line(&text));
                prop_assert_eq!(normalized_phone(number, Region::JAPAN), normalized.clone());
            }
        }
    }
}
