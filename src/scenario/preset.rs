//! Ready-made scenarios.

use super::Scenario;
use crate::error::{Error, ErrorKind, Result, shown};

/// A ready-made scenario.
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Whom it is for and what it does, in English.
    pub description: &'static str,
    /// The same in Japanese.
    pub description_ja: &'static str,
    document: &'static str,
}

/// All presets, in order of their priority.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "dissatisfied",
        description: "At risk or dormant after a complaint, return or low rating: hear her out, customer voices, how-to; an offer comes last.",
        description_ja: "苦情・返品・低評価のあとの休眠予備軍と休眠客。まず話を聞き、お客様の声と使い方を伝え、特典は最後。",
        document: include_str!("presets/dissatisfied.json"),
    },
    Preset {
        name: "dormant_good_customer",
        description: "Dormant, once VIP or candidate: why this product, a letter and a call in person, again each quarter.",
        description_ja: "休眠した優良・優良候補。なぜこの商品か、手紙と個別の電話を四半期ごとに。",
        document: include_str!("presets/dormant_good_customer.json"),
    },
    Preset {
        name: "paused_return",
        description: "Subscription paused: use up what is left, then the way back.",
        description_ja: "休会中の会員。余りを使い切る手伝いをし、再開の道を示す。",
        document: include_str!("presets/paused_return.json"),
    },
    Preset {
        name: "withdrawn_reacquisition",
        description: "Subscription ended: ask why, show what changed, invite back.",
        description_ja: "退会した会員。理由を聞き、変わった点を示し、改めて招待する。",
        document: include_str!("presets/withdrawn_reacquisition.json"),
    },
    Preset {
        name: "reactivation_unhabituated",
        description: "Dormant, last purchase 181 to 730 days ago, it never became a habit: why this product, small steps to start again.",
        description_ja: "最終購入から181〜730日の休眠客で、習慣にならなかった人。なぜこの商品か、小さな一歩で再開。",
        document: include_str!("presets/reactivation_unhabituated.json"),
    },
    Preset {
        name: "reactivation_overstocked",
        description: "The same with product left over: why this product, then help using it up.",
        description_ja: "同じく、商品が余っている人。なぜこの商品か、使い切る手伝い。",
        document: include_str!("presets/reactivation_overstocked.json"),
    },
    Preset {
        name: "reactivation_discount_only",
        description: "The same for those who came for discounts: what the product is worth, no discount.",
        description_ja: "同じく、値引き目当てだった人。商品の価値を伝え、値引きはしない。",
        document: include_str!("presets/reactivation_discount_only.json"),
    },
    Preset {
        name: "reactivation_competitor",
        description: "The same for those who went to a competitor: show the difference, then ask.",
        description_ja: "同じく、競合に移った人。違いを示し、話を聞く。",
        document: include_str!("presets/reactivation_competitor.json"),
    },
    Preset {
        name: "reactivation_drifted",
        description: "The same for those who drifted away: why this product, a reason to come back.",
        description_ja: "同じく、自然に離れた人。なぜこの商品か、戻る理由。",
        document: include_str!("presets/reactivation_drifted.json"),
    },
    Preset {
        name: "reactivation_early",
        description: "Dormant, last purchase at most 180 days ago: why this product and not another, a reason to come back.",
        description_ja: "最終購入から180日以内の休眠客。なぜ他でなくこの商品か、戻る理由。",
        document: include_str!("presets/reactivation_early.json"),
    },
    Preset {
        name: "winback_welcome",
        description: "Back after a long absence: welcome, how others use it, a reason to continue.",
        description_ja: "長い空白のあとの復活。お帰りなさい、他の人の使い方、続ける理由。",
        document: include_str!("presets/winback_welcome.json"),
    },
    Preset {
        name: "at_risk_check_in",
        description: "The interval is stretching: ask, help, give a reason to continue, before she is dormant.",
        description_ja: "購入間隔が伸びている人。休眠する前に、様子を聞き、手伝い、続ける理由を伝える。",
        document: include_str!("presets/at_risk_check_in.json"),
    },
    Preset {
        name: "new_customer_onboarding",
        description: "After the first purchase: start using it, make it a habit, the second order.",
        description_ja: "初回購入のあと。使い始め、習慣にし、2回目の注文へ。",
        document: include_str!("presets/new_customer_onboarding.json"),
    },
    Preset {
        name: "prospect_first_order",
        description: "No purchase yet: why this product, customer voices, a first offer.",
        description_ja: "まだ購入がない人。なぜこの商品か、お客様の声、初回の特典。",
        document: include_str!("presets/prospect_first_order.json"),
    },
    Preset {
        name: "order_reward_5",
        description: "Keeps buying, 5 to 9 orders: the reward for the fifth, once.",
        description_ja: "買い続けている人、注文5〜9回。5回目のお礼を一度。",
        document: include_str!("presets/order_reward_5.json"),
    },
    Preset {
        name: "order_reward_10",
        description: "The same for the tenth order.",
        description_ja: "同じく、10回目の注文のお礼。",
        document: include_str!("presets/order_reward_10.json"),
    },
    Preset {
        name: "order_reward_20",
        description: "The same for the twentieth order.",
        description_ja: "同じく、20回目の注文のお礼。",
        document: include_str!("presets/order_reward_20.json"),
    },
    Preset {
        name: "keeper_letter",
        description: "Keeps buying, established: the customer letter, each quarter.",
        description_ja: "買い続けて定着した人。会報誌を四半期ごとに。",
        document: include_str!("presets/keeper_letter.json"),
    },
    Preset {
        name: "vip_advocacy",
        description: "VIPs: thanks, then referral, community, factory tour, one at a time.",
        description_ja: "優良顧客。お礼のあと、紹介・コミュニティ・工場見学を一つずつ。",
        document: include_str!("presets/vip_advocacy.json"),
    },
    Preset {
        name: "keeper_co_creation",
        description: "Established and active: review, early access, round table.",
        description_ja: "定着して購入中の人。レビュー、先行案内、座談会。",
        document: include_str!("presets/keeper_co_creation.json"),
    },
];

/// The scenario of a preset.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] when there is none of that name.
pub fn preset(name: &str) -> Result<Scenario> {
    let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else {
        let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
        return Err(Error::new(ErrorKind::InvalidParameter, format!("unknown preset: {}", shown(name)))
            .hint(format!("Use one of: {}. scenario_presets() describes them.", names.join(", "))));
    };
    Scenario::parse(preset.document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Document;
    use crate::scenario::{MESSAGES, Scenarios};

    #[test]
    fn every_preset_is_sound_and_in_order_and_names_messages_of_the_list() {
        let days_between = Document::empty().policy().unwrap().contact.min_days_between;
        let all: Vec<_> = PRESETS.iter().map(|entry| preset(entry.name).unwrap()).collect();
        assert!(all.is_sorted_by_key(|scenario| scenario.plan().priority));
        for (scenario, entry) in all.iter().zip(PRESETS) {
            let plan = scenario.plan();
            assert_eq!(plan.name, entry.name);
            assert!(plan.title_ja.is_some() && !plan.stop_when.is_empty(), "{}", entry.name);
            for step in &plan.steps {
                assert!(MESSAGES.iter().any(|message| message.key == step.message_key), "{}", step.message_key);
            }
            // As they are written, the policy delays none of them.
            assert!(plan.steps.windows(2).all(|pair| pair[1].after_days - pair[0].after_days >= days_between));
        }
        assert!(Scenarios::new(all).is_ok());
        assert_eq!(preset("x").unwrap_err().kind, ErrorKind::InvalidParameter);
    }

    #[test]
    fn every_dormant_scenario_but_that_of_the_dissatisfied_opens_with_why_this_product() {
        let opening = |name| preset(name).unwrap().plan().steps[0].message_key.clone();
        let dormant = PRESETS
            .iter()
            .map(|entry| entry.name)
            .filter(|name| name.starts_with("reactivation_") || *name == "dormant_good_customer");
        assert_eq!(dormant.clone().count(), 7);
        dormant.for_each(|name| assert_eq!(opening(name), "why_this_product", "{name}"));
        assert_eq!(opening("dissatisfied"), "hearing_call");
    }

    #[test]
    fn the_dissatisfied_hear_others_before_any_offer() {
        let scenario = preset("dissatisfied").unwrap();
        let steps = &scenario.plan().steps;
        let place = |key: &str| steps.iter().position(|step| step.message_key == key).unwrap();
        let offer = steps.iter().position(|step| step.offer.is_some()).unwrap();
        assert!(place("customer_voices") < offer && place("how_to_guide") < offer);
    }
}
