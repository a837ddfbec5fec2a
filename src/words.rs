//! A shop's own words for kinds of events, memberships, channels, test groups, KPIs and purposes of costs: which of them are
//! known, and what another may mean.
//!
//! A word that is not known is never taken for one that is: the shop says what it means. The guess only helps to say
//! it.

use unicode_normalization::UnicodeNormalization;

use crate::channels::Channel;
use crate::complaint;
use crate::contact::HOLDOUT;
use crate::dormancy::DormancyReason;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::kpi::{Kpi, PURPOSES};
use crate::labels::Label;
use crate::membership::Membership;
use crate::policy::{Document, Policy};

/// What words are for. Most have an argument of `create_segmentation` that says what a shop's own words mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// Kinds of engagement events.
    EngagementKinds,
    /// Memberships.
    Memberships,
    /// Channels, in the log of contacts and in consents.
    Channels,
    /// Groups of a test, in the log of contacts; all but the holdout are of the shop's own making.
    TestGroups,
    /// KPIs, in the table of targets.
    Kpis,
    /// Purposes, in the table of costs.
    Purposes,
}

/// What other words usually mean; upper and lower case, width, spaces, hyphens and underscores are the same.
type UsualWords = &'static [(&'static str, &'static [&'static str])];

const ENGAGEMENT_KINDS: UsualWords = &[
    ("review", &["レビュー", "クチコミ", "口コミ", "感想", "testimonial"]),
    ("survey", &["アンケート", "questionnaire", "poll"]),
    ("referral", &["紹介", "友達紹介", "refer a friend", "recommendation", "introduction"]),
    ("social_post", &["SNS投稿", "SNS post", "SNS", "インスタ", "Instagram", "tweet", "UGC"]),
    ("event", &["イベント", "セミナー", "体験会", "seminar", "workshop"]),
    ("community", &["コミュニティ", "ファンクラブ", "forum", "fan club"]),
    ("proposal", &["提案", "要望", "suggestion", "idea", "feature request"]),
    ("usage_report", &["使用報告", "利用報告", "使い始め", "使い方", "first use", "how to"]),
    ("complaint", &["クレーム", "苦情", "不満", "claim"]),
    ("return", &["返品", "returned", "send back"]),
    ("low_rating", &["低評価", "低い評価", "bad review", "bad rating", "one star"]),
    (
        "complaint_resolved",
        &["クレーム対応済", "クレーム解決", "苦情対応済", "苦情解決", "complaint closed", "claim closed"],
    ),
    ("return_resolved", &["返品対応済", "返品完了", "返品解決", "return closed", "return completed"]),
];

const MEMBERSHIPS: UsualWords = &[
    ("continuing", &["1", "継続", "会員", "入会", "有効", "active", "member", "subscribed", "subscriber"]),
    ("paused", &["2", "休会", "休止", "停止", "pause", "suspended", "on hold"]),
    ("withdrawn", &["3", "退会", "解約", "cancelled", "canceled", "left", "ended", "unsubscribed", "churned"]),
    ("ad_hoc", &["都度", "非会員", "一般", "単発", "one off", "one time", "guest", "non member"]),
];

const CHANNELS: UsualWords = &[
    ("email", &["mail", "Eメール", "電子メール", "メルマガ", "newsletter"]),
    ("line", &["ライン", "LINE公式"]),
    ("sms", &["ショートメール", "ショートメッセージ", "text", "text message"]),
    ("phone", &["電話", "架電", "tel", "telephone", "call", "outbound call"]),
    (
        "postal",
        &["郵便", "郵送", "ハガキ", "はがき", "葉書", "手紙", "DM", "letter", "postcard", "direct mail", "print"],
    ),
    ("social", &["SNS", "Twitter", "Instagram", "Facebook", "TikTok", "social network"]),
];

const TEST_GROUPS: UsualWords = &[(
    HOLDOUT,
    &[
        "control",
        "control group",
        "hold out",
        "untreated",
        "対照",
        "対照群",
        "コントロール",
        "コントロール群",
        "非配信",
        "未送付",
    ],
)];

const KPIS: UsualWords = &[
    ("revenue", &["sales", "turnover", "売上高", "売上金額"]),
    ("orders", &["order count", "注文数", "受注件数", "受注数", "購入件数"]),
    ("average_order_value", &["AOV", "客単価", "注文単価", "購入単価"]),
    ("buyers", &["customers", "購入者", "購入客数", "購入人数"]),
    ("acquired", &["acquisitions", "新規", "新規客数", "新規獲得数"]),
    ("reactivated", &["reactivations", "復活数", "復活客数", "掘り起こし数"]),
    ("vip_share", &["VIP rate", "VIP率", "優良顧客比率", "優良顧客率"]),
    ("dormant_share", &["dormant rate", "休眠率", "休眠顧客比率"]),
    ("acquisition_cost", &["CPA", "CPO", "CAC", "新規獲得コスト", "顧客獲得単価"]),
];

const PURPOSE_WORDS: UsualWords = &[
    ("acquisition", &["new customers", "advertising", "ads", "新規", "獲得", "広告", "広告費"]),
    ("reactivation", &["winback", "win back", "dormant customers", "復活", "休眠", "掘り起こし", "呼び戻し"]),
];

/// What a kind begins with where it is a reason that a customer stated.
pub const STATED: &str = "stated_";

/// Longer words, in bytes, are no slips of the pen.
const MAX_BYTES: usize = 200;

impl Vocabulary {
    /// The vocabulary of an argument of `create_segmentation` that says what words mean, or of a column that has none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] where neither is called so.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "engagement_kinds" => Ok(Vocabulary::EngagementKinds),
            "memberships" => Ok(Vocabulary::Memberships),
            "channel_names" => Ok(Vocabulary::Channels),
            "test_groups" => Ok(Vocabulary::TestGroups),
            "targets.kpi" => Ok(Vocabulary::Kpis),
            "costs.purpose" => Ok(Vocabulary::Purposes),
            other => Err(Error::new(ErrorKind::InvalidParameter, format!("{} says nothing of words", shown(other)))
                .hint("Use engagement_kinds, memberships, channel_names, test_groups, targets.kpi or costs.purpose.")),
        }
    }

    /// The words that are known under a policy: those of the default, and what the policy itself names.
    ///
    /// # Errors
    /// None for a policy that was read.
    pub fn known(self, policy: &Policy) -> Result<Vec<String>> {
        let default = Document::empty();
        let mut known = Vec::new();
        for policy in [default.policy()?, policy] {
            match self {
                Vocabulary::EngagementKinds => add_engagement_kinds(policy, &mut known),
                Vocabulary::Channels => add_channels(policy, &mut known),
                Vocabulary::Memberships => {
                    known.extend(Membership::ALL.iter().map(|membership| membership.name()));
                    known.extend(Membership::CODES.map(|(code, _)| code));
                }
                Vocabulary::TestGroups => known.push(HOLDOUT),
                Vocabulary::Kpis => known.extend(Kpi::ALL.iter().map(|kpi| kpi.name())),
                Vocabulary::Purposes => known.extend(PURPOSES),
            }
        }
        let mut words: Vec<String> = Vec::with_capacity(known.len());
        for word in known {
            if !words.iter().any(|other| other == word) {
                words.push(word.to_owned());
            }
        }
        Ok(words)
    }

    /// The known word that another one most probably means; `None` where none is near. Of a reason that a customer stated
    /// only the spelling is guessed: what dissatisfied her is asked, and a wrong guess would ask it of others.
    ///
    /// # Errors
    /// As [`Vocabulary::known`].
    pub fn nearest(self, word: &str, policy: &Policy) -> Result<Option<String>> {
        if word.len() > MAX_BYTES {
            return Ok(None);
        }
        let known = self.known(policy)?;
        if let (Vocabulary::EngagementKinds, Some(reason)) = (self, word.strip_prefix(STATED)) {
            let reasons: Vec<&str> = known.iter().filter_map(|kind| kind.strip_prefix(STATED)).collect();
            return Ok(Spellings::of_names(&reasons)
                .slipped(&folded(reason))
                .map(|reason| format!("{STATED}{reason}")));
        }
        // Codes are no words that a word could mean.
        let names: Vec<&str> = known.iter().map(String::as_str).filter(|name| !name.starts_with('0')).collect();
        let mut spellings = Spellings::of_names(&names);
        // Only what is known can be meant.
        for (meaning, words) in self.usual_words() {
            if let Some(meaning) = names.iter().copied().find(|name| name == meaning) {
                words.iter().for_each(|word| spellings.add(word, meaning));
            }
        }
        for label in self.labels() {
            [label.en, label.ja].iter().for_each(|word| spellings.add(word, label.name));
        }
        Ok(spellings.nearest(word).map(str::to_owned))
    }

    fn usual_words(self) -> UsualWords {
        match self {
            Vocabulary::EngagementKinds => ENGAGEMENT_KINDS,
            Vocabulary::Memberships => MEMBERSHIPS,
            Vocabulary::Channels => CHANNELS,
            Vocabulary::TestGroups => TEST_GROUPS,
            Vocabulary::Kpis => KPIS,
            Vocabulary::Purposes => PURPOSE_WORDS,
        }
    }

    /// What is known by a label too.
    fn labels(self) -> Vec<Label> {
        match self {
            Vocabulary::EngagementKinds | Vocabulary::TestGroups | Vocabulary::Purposes => Vec::new(),
            Vocabulary::Memberships => Membership::ALL.iter().map(|one| one.label()).collect(),
            Vocabulary::Channels => Channel::ALL.iter().map(|one| one.label()).collect(),
            Vocabulary::Kpis => Kpi::ALL.iter().map(|one| one.label()).collect(),
        }
    }
}

fn add_engagement_kinds<'a>(policy: &'a Policy, kinds: &mut Vec<&'a str>) {
    kinds.extend(policy.relation.kinds.keys().map(String::as_str));
    policy.next_action.rules.iter().for_each(|rule| rule.when.collect_engagement_kinds(kinds));
    complaint::kinds().for_each(|kind| kinds.push(kind));
    kinds.extend(DormancyReason::ALL.iter().map(|reason| reason.stated_kind()));
}

fn add_channels<'a>(policy: &'a Policy, channels: &mut Vec<&'a str>) {
    channels.extend(Channel::ALL.iter().map(|channel| channel.name()));
    channels.extend(policy.contact.named_channels());
    channels
        .extend(policy.next_action.rules.iter().flat_map(|rule| rule.channels.iter().flatten().map(String::as_str)));
}

/// A word without what people write one way or another: width, case, spaces, hyphens, underscores.
fn folded(word: &str) -> String {
    let is_filler = |c: &char| c.is_whitespace() || matches!(c, '_' | '-' | '・');
    word.nfkc().flat_map(char::to_lowercase).filter(|c| !is_filler(c)).collect()
}

/// Spellings, as they are compared, of what is known.
struct Spellings<'a>(Vec<(String, &'a str)>);

impl<'a> Spellings<'a> {
    fn of_names(names: &[&'a str]) -> Self {
        Spellings(names.iter().map(|&name| (folded(name), name)).collect())
    }

    fn add(&mut self, spelling: &str, name: &'a str) {
        self.0.push((folded(spelling), name));
    }

    /// Of what is known that which is spelled the same, else that of the longest spelling that the word contains, else
    /// that of the one with the fewest slips of the pen.
    fn nearest(&self, word: &str) -> Option<&'a str> {
        let word = folded(word);
        let same = self.0.iter().find(|(spelling, _)| *spelling == word);
        let contained = || {
            let all = self.0.iter().filter(|(spelling, _)| is_telling(spelling) && word.contains(spelling.as_str()));
            all.rev().max_by_key(|(spelling, _)| spelling.chars().count())
        };
        same.or_else(contained).map(|&(_, name)| name).or_else(|| self.slipped(&word))
    }

    /// The one with the fewest slips of the pen, of which a word may have one in three letters.
    fn slipped(&self, word: &str) -> Option<&'a str> {
        let near = self.0.iter().map(|(spelling, name)| (strsim::osa_distance(spelling, word), *name));
        let allowed = word.chars().count() / 3;
        near.filter(|&(distance, _)| distance <= allowed).min_by_key(|&(distance, _)| distance).map(|(_, name)| name)
    }
}

/// Whether a word tells something wherever it stands in another one: letters need to be a few.
fn is_telling(word: &str) -> bool {
    !word.is_ascii() || word.len() > 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest_word(vocabulary: Vocabulary, policy: &str, word: &str) -> Option<String> {
        let document = Document::parse(policy).unwrap();
        vocabulary.nearest(word, document.policy().unwrap()).unwrap()
    }

    #[test]
    fn the_nearest_kind_is_found() {
        for (word, expected) in [
            ("レビュー", "review"),
            ("商品ﾚﾋﾞｭｰ投稿", "review"),
            ("Reviews", "review"),
            ("reveiw", "review"),
            ("アンケート回答", "survey"),
            ("お友達紹介", "referral"),
            ("クレーム", "complaint"),
            ("クレーム対応済み", "complaint_resolved"),
            ("返品", "return"),
            ("sns_post", "social_post"),
            ("Social Post", "social_post"),
            ("stated_competitors", "stated_competitor"),
            ("stated_Dissatisfyed", "stated_dissatisfied"),
            ("stated_discount-only", "stated_discount_only"),
            ("low-rating", "low_rating"),
        ] {
            assert_eq!(nearest_word(Vocabulary::EngagementKinds, "{}", word).as_deref(), Some(expected), "{word}");
        }
        for word in [
            "",
            "ログイン",
            "cooking",
            "stated_",
            "stated_zzzzz",
            "stated_price",
            "stated_quality",
            "stated_余っている",
            "stated_very_dissatisfied_with_the_price",
            &"review".repeat(100),
        ] {
            assert_eq!(nearest_word(Vocabulary::EngagementKinds, "{}", word), None, "{word}");
        }
    }

    #[test]
    fn the_nearest_membership_and_channel_are_found() {
        for (word, expected) in [
            ("1", "continuing"),
            ("３", "withdrawn"),
            ("退会済", "withdrawn"),
            ("休会中", "paused"),
            ("継続中", "continuing"),
            ("都度購入", "ad_hoc"),
            ("非会員", "ad_hoc"),
            ("Continuing", "continuing"),
            ("canceled", "withdrawn"),
        ] {
            assert_eq!(nearest_word(Vocabulary::Memberships, "{}", word).as_deref(), Some(expected), "{word}");
        }
        for word in ["9", "4", "x", "不明"] {
            assert_eq!(nearest_word(Vocabulary::Memberships, "{}", word), None, "{word}");
        }
        for (word, expected) in [
            ("メール", "email"),
            ("E-mail", "email"),
            ("DM", "postal"),
            ("電話", "phone"),
            ("LINE", "line"),
            ("Post", "postal"),
        ] {
            assert_eq!(nearest_word(Vocabulary::Channels, "{}", word).as_deref(), Some(expected), "{word}");
        }
        assert_eq!(nearest_word(Vocabulary::Channels, "{}", "push"), None);
    }

    #[test]
    fn the_nearest_group_kpi_and_purpose_are_found() {
        for (vocabulary, word, expected) in [
            (Vocabulary::TestGroups, "Holdout", "holdout"),
            (Vocabulary::TestGroups, "hold-out", "holdout"),
            (Vocabulary::TestGroups, "対照群", "holdout"),
            (Vocabulary::TestGroups, "ｺﾝﾄﾛｰﾙ", "holdout"),
            (Vocabulary::TestGroups, "control_A", "holdout"),
            (Vocabulary::Kpis, "売上", "revenue"),
            (Vocabulary::Kpis, "売上目標", "revenue"),
            (Vocabulary::Kpis, "Revenue", "revenue"),
            (Vocabulary::Kpis, "revenu", "revenue"),
            (Vocabulary::Kpis, "Average order value", "average_order_value"),
            (Vocabulary::Kpis, "F2転換率(90日以内)", "f2_within_90_days"),
            (Vocabulary::Kpis, "f2_within_90_day", "f2_within_90_days"),
            (Vocabulary::Kpis, "復活率", "reactivation_rate"),
            (Vocabulary::Kpis, "新規獲得単価", "acquisition_cost"),
            (Vocabulary::Kpis, "客単価", "average_order_value"),
            (Vocabulary::Purposes, "広告費", "acquisition"),
            (Vocabulary::Purposes, "Reactivation ", "reactivation"),
            (Vocabulary::Purposes, "休眠復活", "reactivation"),
        ] {
            assert_eq!(nearest_word(vocabulary, "{}", word).as_deref(), Some(expected), "{word}");
        }
        for (vocabulary, word) in [
            (Vocabulary::TestGroups, "letter"),
            (Vocabulary::TestGroups, "A"),
            (Vocabulary::TestGroups, ""),
            (Vocabulary::Kpis, "happiness"),
            (Vocabulary::Kpis, "01"),
            (Vocabulary::Purposes, "party"),
        ] {
            assert_eq!(nearest_word(vocabulary, "{}", word), None, "{word}");
        }
    }

    #[test]
    fn what_a_policy_names_is_known() {
        let policy = r#"{"relation": {"kinds": {"cooking_class": {"weight": 5, "cap": 2}}},
                         "contact": {"channel_limits": {"push": [{"contacts": 1, "days": 7}]}},
                         "next_action": {"rules": [{"id": "a", "action": "x", "behavior": "care", "title": "X",
                                                    "channels": ["app"], "when": {"any": [{"engagement.tasting.count": 0}]}}]}}"#;
        let document = Document::parse(policy).unwrap();
        let known = |vocabulary: Vocabulary| vocabulary.known(document.policy().unwrap()).unwrap();
        for kind in ["cooking_class", "tasting", "review", "usage_report", "complaint_resolved", "stated_drifted"] {
            let times = known(Vocabulary::EngagementKinds).iter().filter(|word| *word == kind).count();
            assert_eq!(times, 1, "{kind}");
        }
        for channel in ["push", "app", "email", "social"] {
            assert!(known(Vocabulary::Channels).iter().any(|word| word == channel), "{channel}");
        }
        assert_eq!(known(Vocabulary::Memberships), ["continuing", "paused", "withdrawn", "ad_hoc", "01", "02", "03"]);
        assert_eq!(
            nearest_word(Vocabulary::EngagementKinds, policy, "Cooking Class").as_deref(),
            Some("cooking_class")
        );
        assert_eq!(nearest_word(Vocabulary::EngagementKinds, "{}", "Cooking Class"), None);
    }

    #[test]
    fn every_usual_word_means_a_word_that_is_known() {
        let document = Document::empty();
        let policy = document.policy().unwrap();
        for vocabulary in [
            Vocabulary::EngagementKinds,
            Vocabulary::Memberships,
            Vocabulary::Channels,
            Vocabulary::TestGroups,
            Vocabulary::Kpis,
            Vocabulary::Purposes,
        ] {
            let known = vocabulary.known(policy).unwrap();
            for (meaning, words) in vocabulary.usual_words() {
                assert!(known.iter().any(|word| word == meaning), "{meaning}");
                for word in *words {
                    assert_eq!(vocabulary.nearest(word, policy).unwrap().as_deref(), Some(*meaning), "{word}");
                }
            }
        }
        assert!(Vocabulary::named("kinds").is_err());
    }
}
