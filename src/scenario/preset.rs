//! Ready-made scenarios.

use super::Scenario;
use crate::error::{Error, ErrorKind, Result, shown};

/// A ready-made scenario.
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Whom it is for and what it does.
    pub description: &'static str,
    document: &'static str,
}

/// All presets, in order of their priority.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "dissatisfied",
        description: "At risk or dormant after a complaint, return or low rating: hear her out, customer voices, how-to; an offer comes last.",
        document: include_str!("presets/dissatisfied.json"),
    },
    Preset {
        name: "dormant_good_customer",
        description: "Dormant, once VIP or candidate: why this product, a letter and a call in person, again each quarter.",
        document: include_str!("presets/dormant_good_customer.json"),
    },
    Preset {
        name: "paused_return",
        description: "Subscription paused: use up what is left, then the way back.",
        document: include_str!("presets/paused_return.json"),
    },
    Preset {
        name: "withdrawn_reacquisition",
        description: "Subscription ended: ask why, show what changed, invite back.",
        document: include_str!("presets/withdrawn_reacquisition.json"),
    },
    Preset {
        name: "reactivation_unhabituated",
        description: "Dormant, last purchase 181 to 730 days ago, it never became a habit: why this product, small steps to start again.",
        document: include_str!("presets/reactivation_unhabituated.json"),
    },
    Preset {
        name: "reactivation_overstocked",
        description: "The same with product left over: why this product, then help using it up.",
        document: include_str!("presets/reactivation_overstocked.json"),
    },
    Preset {
        name: "reactivation_discount_only",
        description: "The same for those who came for discounts: what the product is worth, no discount.",
        document: include_str!("presets/reactivation_discount_only.json"),
    },
    Preset {
        name: "reactivation_competitor",
        description: "The same for those who went to a competitor: show the difference, then ask.",
        document: include_str!("presets/reactivation_competitor.json"),
    },
    Preset {
        name: "reactivation_drifted",
        description: "The same for those who drifted away: why this product, a reason to come back.",
        document: include_str!("presets/reactivation_drifted.json"),
    },
    Preset {
        name: "reactivation_early",
        description: "Dormant, last purchase at most 180 days ago: why this product and not another, a reason to come back.",
        document: include_str!("presets/reactivation_early.json"),
    },
    Preset {
        name: "winback_welcome",
        description: "Back after a long absence: welcome, how others use it, a reason to continue.",
        document: include_str!("presets/winback_welcome.json"),
    },
    Preset {
        name: "at_risk_check_in",
        description: "The interval is stretching: ask, help, give a reason to continue, before she is dormant.",
        document: include_str!("presets/at_risk_check_in.json"),
    },
    Preset {
        name: "new_customer_onboarding",
        description: "After the first purchase: start using it, make it a habit, the second order.",
        document: include_str!("presets/new_customer_onboarding.json"),
    },
    Preset {
        name: "prospect_first_order",
        description: "No purchase yet: why this product, customer voices, a first offer.",
        document: include_str!("presets/prospect_first_order.json"),
    },
    Preset {
        name: "order_reward_5",
        description: "Keeps buying, 5 to 9 orders: the reward for the fifth, once.",
        document: include_str!("presets/order_reward_5.json"),
    },
    Preset {
        name: "order_reward_10",
        description: "The same for the tenth order.",
        document: include_str!("presets/order_reward_10.json"),
    },
    Preset {
        name: "order_reward_20",
        description: "The same for the twentieth order.",
        document: include_str!("presets/order_reward_20.json"),
    },
    Preset {
        name: "keeper_letter",
        description: "Keeps buying, established: the customer letter, each quarter.",
        document: include_str!("presets/keeper_letter.json"),
    },
    Preset {
        name: "vip_advocacy",
        description: "VIPs: thanks, then referral, community, factory tour, one at a time.",
        document: include_str!("presets/vip_advocacy.json"),
    },
    Preset {
        name: "keeper_co_creation",
        description: "Established and active: review, early access, round table.",
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
