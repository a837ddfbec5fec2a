//! What the audit of a shop's tables says, in English and Japanese.

use crate::vocabulary::Language;

/// Findings and what they do to the results, in English as the SQL of the audit writes them, and in Japanese. A text that
/// ends with a colon and a space is the beginning of one: what follows it is the same in both languages.
const TEXTS: &[(&str, &str)] = &[
    ("no customer", "顧客がない"),
    ("no date", "日付がない"),
    ("infinite date", "無限の日付"),
    ("date in the future", "未来の日付"),
    ("no amount", "金額がない"),
    ("not a number", "数でない金額"),
    ("amount zero", "金額が 0"),
    ("amount negative", "金額が負"),
    ("no order number", "注文番号がない"),
    ("duplicate", "重複"),
    ("several rows an order number", "一つの注文番号に複数の行"),
    ("several days an order number", "一つの注文番号に複数の日"),
    ("several currencies", "複数の通貨"),
    ("customer without contact address", "連絡先のない顧客"),
    ("no index leads with the customer", "顧客で始まるインデックスがない"),
    ("ignored", "無視される"),
    ("refused: segment without them (order_filter)", "受け付けない。order_filter で除いて集計する"),
    ("invisible until that day", "その日までは見えない"),
    ("an order that adds nothing to monetary", "購入金額に何も足さない注文"),
    ("a line that adds nothing to monetary", "購入金額に何も足さない明細"),
    ("a refund: lowers monetary, is no order", "返金。購入金額を減らし、注文には数えない"),
    (
        "lowers its order on that day; where their sum is negative, a refund",
        "その日の注文の金額を減らす。合計が負なら返金",
    ),
    ("one order of a customer and day together", "同じ顧客・同じ日の行をまとめて一つの注文とする"),
    (
        "each is an order of its own; if they are lines of one order, name order_id",
        "それぞれを一つの注文とする。一つの注文の明細なら order_id を指定する",
    ),
    ("lines of one order that are alike: all of them are summed", "一つの注文の同じ明細。すべて合計する"),
    (
        "each row is an order of its own; if they are lines of one order: ",
        "各行を一つの注文とする。一つの注文の明細なら: ",
    ),
    (
        "change the amount on their own day and are no second order; numbers that are used again have to be told apart",
        "その日の金額を変えるだけで、二つ目の注文にはならない。使い回した番号は区別が必要",
    ),
    ("refused: segment one of them (order_filter)", "受け付けない。order_filter で一つの通貨に絞って集計する"),
    ("next_action asks to complete the contact details", "次の一手は連絡先の確認になる"),
    ("track => 'trigger' reads all orders for every refresh", "track => 'trigger' は更新のたびに全注文を読む"),
    ("for example: ", "例: "),
];

/// A text of the audit in a language; one that is not known stays as it is.
pub fn said(english: &str, language: Language) -> String {
    let known = TEXTS.iter().find_map(|&(en, ja)| match english.strip_prefix(en)? {
        "" => Some(language.choose(en, ja).to_owned()),
        rest if en.ends_with(": ") => Some(format!("{}{rest}", language.choose(en, ja))),
        _ => None,
    });
    known.unwrap_or_else(|| english.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_text_has_one_translation() {
        let english: BTreeSet<_> = TEXTS.iter().map(|(en, _)| en).collect();
        assert_eq!(english.len(), TEXTS.len());
        for (en, ja) in TEXTS {
            assert_eq!(said(en, Language::Japanese), *ja);
            assert_eq!(said(en, Language::English), *en);
            assert!(en.is_ascii() && !ja.is_ascii() && en.ends_with(": ") == ja.ends_with(": "), "{en}");
        }
    }

    #[test]
    fn what_follows_a_colon_stays() {
        let effect = "each row is an order of its own; if they are lines of one order: order_id => 'no'";
        assert!(said(effect, Language::Japanese).ends_with("なら: order_id => 'no'"));
        assert_eq!(said("ignored by nobody", Language::Japanese), "ignored by nobody");
        assert_eq!(said("", Language::Japanese), "");
    }
}
