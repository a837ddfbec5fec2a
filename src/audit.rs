//! What the audit of a shop's tables says, in English and Japanese.

use crate::vocabulary::Language;

/// Findings and what they do to the results, in English as the SQL of the audit writes them, and in Japanese. A text that
/// ends with a colon or an equals sign and a space is the beginning of one; what follows it may be another text, or is the
/// same in both languages.
const TEXTS: &[(&str, &str)] = &[
    ("no customer", "顧客がない"),
    ("no customer or tenant", "顧客かテナントがない"),
    ("empty key", "空のキー"),
    ("the orders of all of them are those of one customer", "すべて一人の顧客の注文とみなす"),
    ("to leave them out: ", "除くには: "),
    ("keys that differ only in width, case or blanks", "全角・半角、大文字・小文字、空白だけが違うキー"),
    ("each is a customer of its own", "それぞれを別の顧客とする"),
    ("a view over the orders can write them in one way: ", "注文の上のビューで表記をそろえられる: "),
    ("no orders", "注文がない"),
    (
        "nobody has bought anything; look at the table, its columns and order_filter",
        "購入した顧客が一人もいない。表と列と order_filter を確かめる",
    ),
    ("days are those of UTC", "日付が UTC のもの"),
    (
        "it is the session's time zone, and none was named; name that of the shop: ",
        "セッションのタイムゾーンであり、指定がない。店のタイムゾーンを指定する: ",
    ),
    ("orders that sum to zero", "合計が 0 の注文"),
    (
        "an order that adds nothing to monetary; a view over the orders can leave them out",
        "購入金額に何も足さない注文。注文の上のビューで除ける",
    ),
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
    ("engagement: ", "行動履歴: "),
    ("contacts: ", "連絡履歴: "),
    ("customers: ", "顧客表: "),
    ("membership_log: ", "会員区分の履歴: "),
    ("no kind", "種類がない"),
    ("no channel", "連絡手段がない"),
    ("no name", "名前として使えない"),
    ("unknown kind", "未知の種類"),
    ("unknown stated reason", "未知の申告理由"),
    ("unknown channel", "未知の連絡手段"),
    ("unknown membership", "未知の会員区分"),
    ("unknown channel in consents", "同意にある未知の連絡手段"),
    ("customer without orders", "注文のない顧客"),
    ("refused", "受け付けない"),
    ("refused: a view over the table can leave them out", "受け付けない。表の上のビューで除ける"),
    (
        "refused: a name has 1 to 63 bytes and no control characters",
        "受け付けない。名前は 1～63 バイトで、制御文字を含まない",
    ),
    ("engagement_kinds says what another kind means", "別の種類の意味は engagement_kinds で指定する"),
    ("channel_names says what another channel means", "別の連絡手段の意味は channel_names で指定する"),
    ("a contact over no channel in particular", "連絡手段を問わない連絡とする"),
    (
        "prospects; if they have orders, the keys are written in another way there",
        "見込み客とする。注文があるなら、注文側のキーの表記が異なる",
    ),
    ("ignored: neither the orders nor the customers have them", "無視される。注文にも顧客表にもない"),
    (
        "ignored: they have no orders; customers => ... takes in prospects",
        "無視される。注文がない。見込み客を含めるには customers => ... を指定する",
    ),
    ("say what they mean: ", "意味を指定する: "),
    ("campaign without a holdout", "holdout のないキャンペーン"),
    ("groups without a holdout", "holdout のない群"),
    ("everybody counts as contacted, and nothing is compared", "全員に連絡したものとし、何も比較しない"),
    ("if a group was sent nothing, say which: ", "連絡しなかった群があれば指定する: "),
    ("e-mail typed but unusable", "記入はあるが使えないメールアドレス"),
    ("phone typed but unusable", "記入はあるが使えない電話番号"),
    ("postal address typed but unusable", "記入はあるが使えない住所"),
    ("LINE id typed but unusable", "記入はあるが使えない LINE ID"),
    ("nobody is reached by it", "連絡には使えない"),
    ("consents that cannot be read", "読めない同意"),
    (
        "refused: a consent is true, false or null; a view over the table can write it so",
        "受け付けない。同意は true、false、null のいずれか。表の上のビューで直せる",
    ),
    ("known are: ", "使えるもの: "),
    ("null leaves them out", "null なら除く"),
    ("null is unknown", "null なら不明"),
    ("counts for nothing under this policy", "このポリシーでは何にも数えない"),
    ("no reason for dormancy", "休眠の理由にはならない"),
    ("a contact over a channel that no rule and no limit knows", "どの規則にも上限にもない連絡手段での連絡とする"),
    ("orders end long before as_of", "注文が as_of のずっと前で終わっている"),
    ("nobody is active", "活動中の顧客がいない"),
    ("days from the last order to as_of: ", "最終注文から as_of までの日数: "),
    ("days after which customers are at risk: ", "離反予備軍になるまでの日数: "),
    (
        "load the orders since, or ask for the day on which the data ends: ",
        "その後の注文を取り込むか、データの最終日について問い合わせる: ",
    ),
    ("nearly everybody has m = ", "ほぼ全員の M が同じ。m = "),
    (
        "write cuts for this currency and shop into the policy, or learn them (policy => 'learn')",
        "この通貨と店に合う区切りをポリシーに書くか、学習させる（policy => 'learn'）",
    ),
    ("rfm.monetary_cuts are: ", "今の rfm.monetary_cuts: "),
    ("entry without membership or day", "会員区分か日付のない記録"),
    ("membership in the future", "未来の会員区分"),
    ("several memberships at one time", "同時に複数の会員区分"),
    (
        "the last of continuing, ad_hoc, paused, withdrawn counts",
        "continuing、ad_hoc、paused、withdrawn のうち最後のものを使う",
    ),
    ("log and customers disagree", "履歴と顧客表が食い違う"),
    ("the log of memberships counts", "会員区分の履歴を使う"),
    ("attribute not known", "値のない属性"),
    ("attribute with many values", "値の多い属性"),
    ("counted under the empty value", "空の値として数える"),
    (
        "as many rows in the reports by attribute: leave them out (views), or group the values in a view",
        "属性別の集計が同じ数の行になる。views で除くか、ビューで値をまとめる",
    ),
    ("customer in several groups of a campaign", "一つのキャンペーンの複数の群にいる顧客"),
    ("in no group of NAME_campaigns", "NAME_campaigns のどの群にも数えない"),
    ("target of an unknown KPI", "未知の KPI の目標"),
    ("stands without an actual", "実績のないまま示す"),
    ("target without a KPI, month or finite value", "KPI、月、有限の値のいずれかがない目標"),
    ("rate target above 1", "1 を超える率の目標"),
    ("a rate of 1 is 100 %: ", "率は 1 が 100 %: "),
    ("if percent are meant, write: ", "パーセントのつもりなら次のように書く: "),
    ("costs of an unknown purpose", "未知の目的の費用"),
    ("in no KPI", "どの KPI にも数えない"),
    ("costs without a purpose, month or finite amount", "目的、月、有限の金額のいずれかがない費用"),
];

/// A text of the audit in a language, or several that are separated by semicolons; one that is not known stays as it is.
pub fn said(english: &str, language: Language) -> String {
    known(english, language).unwrap_or_else(|| {
        let each = english.split("; ").map(|part| known(part, language).unwrap_or_else(|| part.to_owned()));
        each.collect::<Vec<_>>().join("; ")
    })
}

fn known(english: &str, language: Language) -> Option<String> {
    let whole = TEXTS.iter().find(|(en, _)| *en == english);
    let beginning = || TEXTS.iter().find(|(en, _)| is_beginning(en) && english.starts_with(en));
    let (en, ja) = whole.or_else(beginning)?;
    let rest = &english[en.len()..];
    let rest = if rest.is_empty() { String::new() } else { known(rest, language).unwrap_or_else(|| rest.to_owned()) };
    Some(format!("{}{rest}", language.choose(en, ja)))
}

fn is_beginning(text: &str) -> bool {
    text.ends_with(": ") || text.ends_with("= ")
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
            assert!(en.is_ascii() && !ja.is_ascii() && is_beginning(en) == is_beginning(ja), "{en}");
        }
    }

    #[test]
    fn what_follows_a_colon_stays() {
        let effect = "each row is an order of its own; if they are lines of one order: order_id => 'no'";
        assert!(said(effect, Language::Japanese).ends_with("なら: order_id => 'no'"));
        let effect = "no reason for dormancy; say what they mean: engagement_kinds => '{}'; known are: stated_drifted";
        assert_eq!(
            said(effect, Language::Japanese),
            "休眠の理由にはならない; 意味を指定する: engagement_kinds => '{}'; 使えるもの: stated_drifted"
        );
        assert_eq!(said("contacts: no date", Language::Japanese), "連絡履歴: 日付がない");
        assert_eq!(said("ignored by nobody", Language::Japanese), "ignored by nobody");
        assert_eq!(said("", Language::Japanese), "");
    }
}
