//! Ready-made policies for kinds of shop.

use super::Document;
use crate::error::{Error, ErrorKind, Result, shown};

/// A ready-made policy.
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is called, in English.
    pub title: &'static str,
    /// What it is called, in Japanese.
    pub title_ja: &'static str,
    /// Which shop it is for, in English.
    pub description: &'static str,
    /// Which shop it is for, in Japanese.
    pub description_ja: &'static str,
    document: &'static str,
}

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "default",
        title: "Default, 30 / 60 days",
        title_ja: "標準（30日・60日）",
        description: "At risk after 30 days without a purchase, dormant after 60: everyday goods, a first start.",
        description_ja: "購入のない日が30日を超えると休眠予備軍、60日を超えると休眠。日用品や、まず試すときに。",
        document: "{}",
    },
    Preset {
        name: "rental_90",
        title: "Rental, 45 / 90 days",
        title_ja: "レンタル（45日・90日）",
        description: "At risk after 45 days, dormant after 90: rental chains and frequent services.",
        description_ja: "45日を超えると休眠予備軍、90日を超えると休眠。レンタル店や利用頻度の高いサービスに。",
        document: include_str!("presets/rental_90.json"),
    },
    Preset {
        name: "mail_order_181",
        title: "Mail order, 90 / 180 days",
        title_ja: "通信販売（90日・180日）",
        description: "At risk after 90 days, dormant from day 181: mail order that acts before a year is lost.",
        description_ja: "90日を超えると休眠予備軍、181日目から休眠。1年失う前に手を打つ通信販売に。",
        document: include_str!("presets/mail_order_181.json"),
    },
    Preset {
        name: "annual_365",
        title: "Annual, 180 / 365 days",
        title_ja: "年1回（180日・365日）",
        description: "At risk after 180 days, dormant after 365: goods bought about once a year.",
        description_ja: "180日を超えると休眠予備軍、365日を超えると休眠。年に1度ほど買う商品に。",
        document: include_str!("presets/annual_365.json"),
    },
    Preset {
        name: "replenishment",
        title: "Replenishment goods, 45 / 90 days",
        title_ja: "補充品（45日・90日）",
        description: "Goods that are used up and bought again; R, F and M cuts for them.",
        description_ja: "使い切って買い足す商品。R・F・Mの区切りもそれに合わせる。",
        document: include_str!("presets/replenishment.json"),
    },
    Preset {
        name: "occasional",
        title: "Occasional goods, 180 / 365 days",
        title_ja: "機会購入品（180日・365日）",
        description: "Goods bought on occasion; R, F and M cuts for them.",
        description_ja: "折にふれて買う商品。R・F・Mの区切りもそれに合わせる。",
        document: include_str!("presets/occasional.json"),
    },
];

/// The document of a preset.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] when there is none of that name.
pub fn preset(name: &str) -> Result<Document> {
    let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else {
        let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
        return Err(Error::new(ErrorKind::InvalidParameter, format!("unknown preset: {}", shown(name)))
            .hint(format!("Use one of: {}. policy_presets() describes them.", names.join(", "))));
    };
    Document::parse(preset.document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::countdown::{Countdown, DaysSince};
    use crate::decimal::Decimal;
    use crate::finding::Severity;
    use crate::lifecycle::Rhythm;
    use crate::membership::Membership;
    use crate::policy::Policy;
    use crate::rfm::Scores;
    use std::collections::BTreeSet;

    /// The segments of customers who are neither at risk nor dormant, of those at risk, of the dormant: whatever they bought,
    /// and whenever.
    fn segments(policy: &Policy, membership: Option<Membership>) -> [BTreeSet<&str>; 3] {
        let limits = Rhythm::walk([].into_iter(), &policy.lifecycle, membership).limits;
        let mut segments = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        for days in 0..1000 {
            let countdown = Countdown::default();
            let Scores { r, .. } = Scores::of(DaysSince::new(days, &countdown), 1, Decimal::ZERO, &policy.rfm);
            let state = usize::from(days > limits.at_risk) + usize::from(days > limits.dormant);
            for (f, m) in (1..=5).flat_map(|f| (1..=5).map(move |m| (f, m))) {
                segments[state].insert(Scores { r, f, m }.segment(&policy.segments));
            }
        }
        segments
    }

    /// Which pairs of state and segment there are, written down by hand.
    #[test]
    fn segments_and_states_do_not_contradict() {
        let best = ["champions", "first_timers", "loyal", "potential_loyalist", "promising"];
        let middle = ["about_to_sleep", "loyal", "needs_attention"];
        let poor = ["cannot_lose", "hibernating", "lost", "slipping"];
        for Preset { name, .. } in PRESETS.iter().filter(|preset| preset.name != "default") {
            let document = preset(name).unwrap();
            let policy = document.policy().unwrap();
            assert_eq!(
                segments(policy, None),
                [&best[..], &middle, &poor].map(|names| names.iter().copied().collect())
            );
            // Who has a grace comes into the next worse digits a little earlier than into the state.
            let [recent, at_risk, dormant] = segments(policy, Some(Membership::Continuing));
            assert!(
                recent.iter().all(|segment| best.contains(segment) || middle.contains(segment)),
                "{name}: {recent:?}"
            );
            assert!(
                at_risk.iter().all(|segment| !best.contains(segment) || middle.contains(segment)),
                "{name}: {at_risk:?}"
            );
            assert_eq!(dormant, poor.into(), "{name}");
        }
        // By the default, 61 to 90 days are dormant and have the digit in the middle.
        let document = preset("default").unwrap();
        let expected = [
            BTreeSet::from(["champions", "first_timers", "loyal", "potential_loyalist"]),
            BTreeSet::from(["champions", "loyal", "potential_loyalist", "promising"]),
            middle.iter().chain(&poor).copied().collect(),
        ];
        assert_eq!(segments(document.policy().unwrap(), None), expected);
    }

    #[test]
    fn no_preset_is_worth_a_warning() {
        for Preset { name, .. } in PRESETS {
            let found = preset(name).unwrap().check().unwrap();
            assert!(found.iter().all(|finding| finding.severity == Severity::Info), "{name}: {found:?}");
        }
    }

    #[test]
    fn every_preset_is_sound_and_says_what_its_description_says() {
        for (name, at_risk, dormant, gap, max_recency) in [
            ("default", 30, 60, 30, 45),
            ("rental_90", 45, 90, 30, 45),
            ("mail_order_181", 90, 180, 60, 90),
            ("annual_365", 180, 365, 120, 180),
            ("replenishment", 45, 90, 30, 45),
            ("occasional", 180, 365, 120, 180),
        ] {
            let document = preset(name).unwrap();
            let policy = document.policy().unwrap();
            assert_eq!(policy.lifecycle.at_risk_after_days, at_risk, "{name}");
            assert_eq!(policy.lifecycle.dormant_after_days, dormant, "{name}");
            assert_eq!(policy.lifecycle.store_gap_days.0, gap * 1_000_000, "{name}");
            assert_eq!(policy.vip.max_recency_days, max_recency, "{name}");
        }
        assert_eq!(PRESETS.len(), 6);
        assert_eq!(preset("x").unwrap_err().kind, ErrorKind::InvalidParameter);
    }
}
