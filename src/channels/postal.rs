//! Postal addresses and postal codes.

use super::{is_hyphen, judged};
use crate::error::{Error, ErrorKind, Result, shown};

/// How postal codes are written outside Japan, by country (ISO 3166): 9 is any digit, A any letter.
const SHAPES: &[(&str, &[&str])] = &[
    ("AU", &["9999"]),
    ("CA", &["A9A 9A9"]),
    ("CN", &["999999"]),
    ("DE", &["99999"]),
    ("FR", &["99999"]),
    ("GB", &["A9 9AA", "A99 9AA", "A9A 9AA", "AA9 9AA", "AA99 9AA", "AA9A 9AA"]),
    ("KR", &["99999"]),
    ("SG", &["999999"]),
    ("TW", &["999", "99999", "999999"]),
    ("US", &["99999", "99999-9999"]),
];

/// The postal code as its country writes it, in Japan `123-4567`; `None` where the text is none.
///
/// In Japan the text may be an address: then its postal code, after the mark 〒 or at the beginning or the end.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] for a country whose postal codes are not known.
pub fn normalized_postal_code(text: &str, country: &str) -> Result<Option<String>> {
    let code = country.to_ascii_uppercase();
    if code == "JP" {
        return Ok(judged(text).and_then(|text| match JapaneseCode::find(&text) {
            JapaneseCode::Found { digits, .. } => Some(format!("{}-{}", &digits[..3], &digits[3..])),
            JapaneseCode::Absent | JapaneseCode::Broken => None,
        }));
    }
    let Some((_, shapes)) = SHAPES.iter().find(|(country, _)| *country == code) else {
        let known: Vec<_> = SHAPES.iter().map(|(country, _)| *country).collect();
        let message = format!("unknown country of postal codes: {}", shown(country));
        return Err(Error::new(ErrorKind::InvalidParameter, message)
            .hint(format!("Those of JP, {} are known.", known.join(", "))));
    };
    let Some(text) = judged(text) else { return Ok(None) };
    let is_sign = |sign: &char| *sign != ' ' && !is_hyphen(*sign);
    let signs: String = text.chars().filter(is_sign).map(|sign| sign.to_ascii_uppercase()).collect();
    Ok(shapes.iter().find_map(|shape| in_shape(&signs, shape)))
}

/// Letters and digits with the separators of a shape; `None` where they have another one.
fn in_shape(signs: &str, shape: &str) -> Option<String> {
    let mut signs = signs.chars();
    let mut written = String::with_capacity(shape.len());
    for place in shape.chars() {
        written.push(match place {
            '9' => signs.next().filter(char::is_ascii_digit)?,
            'A' => signs.next().filter(char::is_ascii_uppercase)?,
            separator => separator,
        });
    }
    signs.next().is_none().then_some(written)
}

/// Could a letter arrive there? Beside the postal code it must name a place and a number in it: at least four letters and
/// digits, at least one of them a letter, and a digit or a Japanese word for the number of a block or house.
pub fn is_postal_address(text: &str) -> bool {
    let Some(text) = judged(text) else { return false };
    let place = match JapaneseCode::find(&text) {
        JapaneseCode::Absent => text,
        JapaneseCode::Broken => return false,
        JapaneseCode::Found { rest, .. } => rest.into(),
    };
    let is_name = |sign: &char| sign.is_alphabetic() && !is_hyphen(*sign);
    let is_digit = |sign: &char| sign.is_ascii_digit();
    place.chars().any(|sign| is_name(&sign))
        && place.chars().filter(|sign| is_name(sign) || is_digit(sign)).nth(3).is_some()
        && (place.chars().any(|sign| is_digit(&sign)) || ["丁目", "番地", "号"].iter().any(|word| place.contains(word)))
}

/// A Japanese postal code in a text.
enum JapaneseCode {
    /// There is none.
    Absent,
    /// What stands in its place is none.
    Broken,
    /// There is one.
    Found {
        /// Its seven digits.
        digits: String,
        /// The text without it and its mark.
        rest: String,
    },
}

impl JapaneseCode {
    /// The postal code, which may stand after the mark 〒, at the beginning or at the end.
    fn find(text: &str) -> Self {
        let signs: Vec<char> = text.chars().collect();
        if let Some(mark) = signs.iter().position(|&sign| sign == '〒') {
            let start = mark + 1 + signs[mark + 1..].iter().take_while(|sign| sign.is_whitespace()).count();
            return match postal_code_end(&signs, start) {
                Some(end) => Self::of(&signs, mark, start, end),
                None => Self::Broken,
            };
        }
        let starts = [0, signs.len().saturating_sub(8), signs.len().saturating_sub(7)];
        let code = starts.iter().find_map(|&start| {
            let end = postal_code_end(&signs, start)?;
            (start == 0 || end == signs.len()).then_some((start, end))
        });
        code.map_or(Self::Absent, |(start, end)| Self::of(&signs, start, start, end))
    }

    /// What stands between `start` and `end`; its mark, if it has one, stands from `mark` on. Postal codes begin with
    /// 001.
    fn of(signs: &[char], mark: usize, start: usize, end: usize) -> Self {
        let digits: String = signs[start..end].iter().filter(|sign| sign.is_ascii_digit()).collect();
        match digits.starts_with("000") {
            true => Self::Broken,
            false => Self::Found { digits, rest: signs[..mark].iter().chain(&signs[end..]).collect() },
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn postal_codes() {
        for (typed, country, expected) in [
            ("123-4567", "JP", Some("123-4567")),
            ("１２３ー４５６７", "jp", Some("123-4567")),
            ("1234567", "JP", Some("123-4567")),
            ("〒１２３－４５６７　東京都足立区本木１－２－３", "JP", Some("123-4567")),
            ("1-2-3 Ginza, Chuo-ku, Tokyo 104-0061", "JP", Some("104-0061")),
            ("東京都足立区本木1-2-3", "JP", None),
            ("〒123-456 東京都足立区本木1-2-3", "JP", None),
            ("000-0000", "JP", None),
            ("12345678", "JP", None),
            ("なし", "JP", None),
            ("", "JP", None),
            (" 94043 ", "US", Some("94043")),
            ("940431351", "US", Some("94043-1351")),
            ("９４０４３－１３５１", "US", Some("94043-1351")),
            ("9404", "US", None),
            ("la229bu", "GB", Some("LA22 9BU")),
            ("SW1A 1AA", "GB", Some("SW1A 1AA")),
            ("London", "GB", None),
            ("k1a0b1", "CA", Some("K1A 0B1")),
            ("100", "TW", Some("100")),
        ] {
            assert_eq!(normalized_postal_code(typed, country).unwrap().as_deref(), expected, "{typed:?} of {country}");
        }
        for country in ["", "XX", "日本", &"J".repeat(100_000)] {
            let error = normalized_postal_code("1", country).unwrap_err();
            assert!(error.kind == ErrorKind::InvalidParameter && error.hint.is_some() && error.message.len() < 300);
        }
    }

    proptest! {
        #[test]
        fn what_is_normalized_stays(text in "[〒 ]?[0-9０-９ー-]{3,10}.{0,4}", country in "JP|US|GB|CA|TW") {
            let normalized = normalized_postal_code(&text, &country).unwrap();
            if let Some(code) = &normalized {
                prop_assert!(code.is_ascii());
                prop_assert_eq!(normalized_postal_code(code, &country).unwrap(), normalized.clone());
            }
        }
    }
}
