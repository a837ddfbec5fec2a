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
        description: "Dormant, once VIP or candidate: a letter and a call in person, again each quarter.",
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
        description: "Dormant, last purchase 181 to 730 days ago, it never became a habit: small steps to start again.",
        document: include_str!("presets/reactivation_unhabituated.json"),
    },
    Preset {
        name: "reactivation_overstocked",
        description: "The same with product left over: help using it up first.",
        document: include_str!("presets/reactivation_overstocked.json"),
    },
    Preset {
        name: "reactivation_discount_only",
        description: "The same for those who came for discounts: what the product is worth, no discount.",
        document: include_str!("presets/reactivation_discount_only.json"),
    },
    Preset {
        name: "reactivation_competitor",
        description: "The same for those who went to a competitor: ask, then show the difference.",
        document: include_str!("presets/reactivation_competitor.json"),
    },
    Preset {
        name: "reactivation_drifted",
        description: "The same for those who drifted away: a reason to come back.",
        document: include_str!("presets/reactivation_drifted.json"),
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
        name: "vip_advocacy",
        description: "VIPs: thanks, then referral, community, factory tour, one at a time.",
        document: include_str!("presets/vip_advocacy.json"),
    },
    Preset {
        name: "keeper_rewards",
        description: "Established and active: rewards by number of orders, review, early access, round table.",
        document: include_str!("presets/keeper_rewards.json"),
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
    fn the_dissatisfied_hear_others_before_any_offer() {
        let scenario = preset("dissatisfied").unwrap();
        let steps = &scenario.plan().steps;
        let place = |key: &str| steps.iter().position(|step| step.message_key == key).unwrap();
        let offer = steps.iter().position(|step| step.offer.is_some()).unwrap();
        assert!(place("customer_voices") < offer && place("how_to_guide") < offer);
    }
}
