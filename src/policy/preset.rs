//! Ready-made policies for kinds of shop.

use super::Document;
use crate::error::{Error, ErrorKind, Result, shown};

/// A ready-made policy.
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// Which shop it is for.
    pub description: &'static str,
    document: &'static str,
}

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "default",
        title: "Default, 30 / 60 days",
        description: "At risk after 30 days without a purchase, dormant after 60: everyday goods, a first start.",
        document: "{}",
    },
    Preset {
        name: "rental_90",
        title: "Rental, 45 / 90 days",
        description: "At risk after 45 days, dormant after 90: rental chains and frequent services.",
        document: include_str!("presets/rental_90.json"),
    },
    Preset {
        name: "mail_order_181",
        title: "Mail order, 90 / 180 days",
        description: "At risk after 90 days, dormant from day 181: mail order that acts before a year is lost.",
        document: include_str!("presets/mail_order_181.json"),
    },
    Preset {
        name: "annual_365",
        title: "Annual, 180 / 365 days",
        description: "At risk after 180 days, dormant after 365: goods bought about once a year.",
        document: include_str!("presets/annual_365.json"),
    },
    Preset {
        name: "replenishment",
        title: "Replenishment goods, 45 / 90 days",
        description: "Goods that are used up and bought again; R, F and M cuts for them.",
        document: include_str!("presets/replenishment.json"),
    },
    Preset {
        name: "occasional",
        title: "Occasional goods, 180 / 365 days",
        description: "Goods bought on occasion; R, F and M cuts for them.",
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
