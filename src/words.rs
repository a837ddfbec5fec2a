//! A shop's own words for kinds of events, memberships and channels: which of them are known, and what another may mean.
//!
//! A word that is not known is never taken for one that is: the shop says what it means. The guess only helps to say
//! it.

use unicode_normalization::UnicodeNormalization;

use crate::channels::Channel;
use crate::complaint;
use crate::dormancy::DormancyReason;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::membership::Membership;
use crate::policy::{Document, Policy};

/// What words are for; each has an argument of `create_segmentation` that says what a shop's own words mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// Kinds of engagement events.
    EngagementKinds,
    /// Memberships.
    Memberships,
    /// Channels, in the log of contacts and in consents.
    Channels,
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

/// Behind the prefix of a reason that a customer stated.
const STATED_REASONS: UsualWords = &[
    (
        "dissatisfied",
        &["price", "expensive", "quality", "taste", "service", "価格", "値段", "高い", "品質", "味", "不満"],
    ),
    ("competitor", &["other shop", "switched", "rival", "他社", "他店", "競合", "乗り換え"]),
    ("discount_only", &["discount", "coupon", "sale", "campaign", "値引", "割引", "クーポン", "セール"]),
    ("overstocked", &["stock", "leftover", "too much", "余", "在庫", "使い切れない"]),
    ("unhabituated", &["habit", "forgot", "no time", "習慣", "続かない", "忘れ", "時間がない"]),
    ("drifted", &["no reason", "other", "unknown", "なんとなく", "特になし", "その他"]),
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

/// What a kind begins with where it is a reason that a customer stated.
pub const STATED: &str = "stated_";

/// Longer words, in bytes, are no slips of the pen.
const MAX_BYTES: usize = 200;

impl Vocabulary {
    /// The vocabulary of an argument of `create_segmentation`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] where no argument of that name says what words mean.
    pub fn of_argument(argument: &str) -> Result<Self> {
        match argument {
            "engagement_kinds" => Ok(Vocabulary::EngagementKinds),
            "memberships" => Ok(Vocabulary::Memberships),
            "channel_names" => Ok(Vocabulary::Channels),
            other => Err(Error::new(ErrorKind::InvalidParameter, format!("{} says nothing of words", shown(other)))
                .hint("Use engagement_kinds, memberships or channel_names.")),
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

    /// The known word that another one most probably means; `None` where none is near.
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
            return Ok(nearest(reason, &reasons, STATED_REASONS).map(|reason| format!("{STATED}{reason}")));
        }
        // Codes are no words that a word could mean.
        let names: Vec<&str> = known.iter().map(String::as_str).filter(|name| !name.starts_with('0')).collect();
        Ok(nearest(word, &names, self.usual_words()).or_else(|| self.of_label(word)).map(str::to_owned))
    }

    fn usual_words(self) -> UsualWords {
        match self {
            Vocabulary::EngagementKinds => ENGAGEMENT_KINDS,
            Vocabulary::Memberships => MEMBERSHIPS,
            Vocabulary::Channels => CHANNELS,
        }
    }

    /// What is called so in one of the languages of labels.
    fn of_label(self, word: &str) -> Option<&'static str> {
        let word = folded(word);
        let called = |label: &&str| folded(label) == word;
        match self {
            Vocabulary::EngagementKinds => None,
            Vocabulary::Memberships => {
                let mut all = Membership::ALL.iter();
                all.find(|one| [one.label_en(), one.label_ja()].iter().any(called)).map(|one| one.name())
            }
            Vocabulary::Channels => {
                let mut all = Channel::ALL.iter();
                all.find(|one| [one.label_en(), one.label_ja()].iter().any(called)).map(|one| one.name())
            }
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

/// Of the known words the same in another spelling, else the meaning of a usual word, else that of the longest one that
/// it contains, else the one with the fewest slips of the pen.
fn nearest<'a>(word: &str, known: &[&'a str], usual_words: UsualWords) -> Option<&'a str> {
    let word = folded(word);
    // Only what is known can be meant.
    let usual = usual_words.iter().filter_map(|(meaning, words)| {
        let meaning = known.iter().copied().find(|name| name == meaning)?;
        Some(words.iter().map(move |usual| (folded(usual), meaning)))
    });
    let usual: Vec<(String, &str)> = usual.flatten().collect();
    let names = known.iter().map(|&name| (folded(name), name));
    let all: Vec<(String, &str)> = names.chain(usual).collect();
    let same = all.iter().find(|(spelling, _)| *spelling == word);
    let contained = || {
        let contained = all.iter().filter(|(spelling, _)| is_telling(spelling) && word.contains(spelling.as_str()));
        contained.rev().max_by_key(|(spelling, _)| spelling.chars().count())
    };
    let slipped = || {
        let distance = |spelling: &str| strsim::osa_distance(spelling, &word);
        let near = all.iter().map(|entry| (distance(&entry.0), entry));
        let allowed = word.chars().count() / 3;
        near.filter(|&(distance, _)| distance <= allowed).min_by_key(|&(distance, _)| distance).map(|(_, entry)| entry)
    };
    same.or_else(contained).or_else(slipped).map(|&(_, name)| name)
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
            ("stated_price", "stated_dissatisfied"),
            ("stated_competitors", "stated_competitor"),
            ("stated_余っている", "stated_overstocked"),
            ("low-rating", "low_rating"),
        ] {
            assert_eq!(nearest_word(Vocabulary::EngagementKinds, "{}", word).as_deref(), Some(expected), "{word}");
        }
        for word in ["", "ログイン", "cooking", "stated_", "stated_zzzzz", &"review".repeat(100)] {
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
        for vocabulary in [Vocabulary::EngagementKinds, Vocabulary::Memberships, Vocabulary::Channels] {
            let known = vocabulary.known(policy).unwrap();
            for (meaning, words) in vocabulary.usual_words() {
                assert!(known.iter().any(|word| word == meaning), "{meaning}");
                for word in *words {
                    assert_eq!(vocabulary.nearest(word, policy).unwrap().as_deref(), Some(*meaning), "{word}");
                }
            }
        }
        for (meaning, words) in STATED_REASONS {
            for word in *words {
                let stated = Vocabulary::EngagementKinds.nearest(&format!("{STATED}{word}"), policy).unwrap();
                assert_eq!(stated, Some(format!("{STATED}{meaning}")), "{word}");
            }
        }
        assert!(Vocabulary::of_argument("kinds").is_err());
    }
}
