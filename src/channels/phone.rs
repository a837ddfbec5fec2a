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
/// number begins with 0; of the rest nobody can tell the country there.
fn phone_number(text: &str, Region(home): Region) -> Option<PhoneNumber> {
    let (international, digits) = phone_digits(&judged(text)?)?;
    let abroad = digits.strip_prefix("010").or_else(|| digits.strip_prefix("00"));
    let (home, written) = match abroad {
        _ if international => (None, format!("+{digits}")),
        _ if home != country::JP => (Some(home), digits),
        Some(abroad) => (None, format!("+{abroad}")),
        None if digits.starts_with('0') => (Some(home), digits),
        None => return None,
    };
    phonenumber::parse(home, written).ok().filter(PhoneNumber::is_valid)
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
