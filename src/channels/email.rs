//! E-mail addresses.

use email_address::{EmailAddress, Options};

use super::judged;

/// Mobile carriers of Japan that used to give out addresses with dots where no address of RFC 5322 has one: at either
/// end, or several in a row. They are in use, and mail to them arrives.
const DOTS_ANYWHERE: [&str; 2] = ["docomo.ne.jp", "ezweb.ne.jp"];

/// The address as programs take it: in compatibility form, without white space around it, its domain in small letters;
/// `None` where the text is none.
///
/// It is an address as in RFC 5322, in ASCII, with a domain of at least two parts. Before the `@`, capitals stay: only
/// the domain has the same meaning in small letters.
pub fn normalized_email(text: &str) -> Option<String> {
    let text = judged(text)?;
    if !text.chars().all(|sign| sign.is_ascii_graphic()) {
        return None;
    }
    let (name, domain) = text.rsplit_once('@')?;
    let domain = domain.to_ascii_lowercase();
    let address = format!("{name}@{domain}");
    (is_standard(&address) || is_old_mobile(name, &domain)).then_some(address)
}

fn is_standard(address: &str) -> bool {
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    EmailAddress::parse_with_options(address, options).is_ok()
}

/// Is this one of the old addresses of mobile carriers, in which dots do not matter?
fn is_old_mobile(name: &str, domain: &str) -> bool {
    // RFC 5321.
    const LONGEST_NAME: usize = 64;
    let is_theirs =
        |carrier: &str| domain.strip_suffix(carrier).is_some_and(|host| host.is_empty() || host.ends_with('.'));
    DOTS_ANYWHERE.iter().any(|carrier| is_theirs(carrier))
        && name.len() <= LONGEST_NAME
        && !name.starts_with('"')
        && is_standard(&format!("{}@{domain}", name.replace('.', "")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            assert!(normalized_email(good).is_some(), "{good:?}");
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
            assert!(normalized_email(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn old_mobile_addresses_have_dots_anywhere() {
        for good in [
            "a..b@docomo.ne.jp",
            ".a@ezweb.ne.jp",
            "a.@docomo.ne.jp",
            "..a...b..@DOCOMO.ne.jp",
            "a..b@c1.ezweb.ne.jp",
            "ａ．＠ｄｏｃｏｍｏ．ｎｅ．ｊｐ",
        ] {
            assert!(normalized_email(good).is_some(), "{good:?}");
        }
        for bad in [
            ".@docomo.ne.jp",
            "..@ezweb.ne.jp",
            "@docomo.ne.jp",
            "a..b@nodocomo.ne.jp",
            "a..b@docomo.ne.jp.example.com",
            "a..b@example.jp",
            "a..b@.docomo.ne.jp",
            "a .b@docomo.ne.jp",
            "a..b@@docomo.ne.jp",
            "a@b..c@docomo.ne.jp",
            "\"a.@docomo.ne.jp",
            &format!("{}a@docomo.ne.jp", ".".repeat(64)),
        ] {
            assert!(normalized_email(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_normalized_form() {
        for (typed, expected) in [
            ("\u{3000}Ａｋｉ＠Ｅｘａｍｐｌｅ．ＪＰ ", "Aki@example.jp"),
            ("a..b@Docomo.NE.jp", "a..b@docomo.ne.jp"),
            ("\"a@B\"@Example.jp", "\"a@B\"@example.jp"),
        ] {
            assert_eq!(normalized_email(typed).as_deref(), Some(expected));
        }
    }

    proptest! {
        #[test]
        fn what_is_normalized_stays(text in r"[a-cA-Z.+＠ａ-ｃ]{1,12}@[a-cA-C.]{0,6}(docomo\.ne|ezweb\.ne|example)\.(jp|JP|ｊｐ)") {
            let normalized = normalized_email(&text);
            if let Some(address) = &normalized {
                prop_assert!(address.is_ascii());
                prop_assert_eq!(normalized_email(address), normalized.clone());
            }
        }
    }
}
