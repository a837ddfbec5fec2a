//! The section `learn` of a policy: how limits are learned, and from how much data.

use serde::Deserialize;

use crate::decimal::Millionths;
use crate::finding::Contradictions;
use crate::labels::labels;

labels! {
    /// How the limits and the store's gap are learned from the gaps.
    Method "method" {
        /// The first days after which the chance to come back is too small, the last, still open gap of every customer
        /// counted as one that is at least so long; the median gap.
        ReturnProbability = "return_probability", "Chance to come back", "再購入の確率";
        /// The median, the 75th and the 90th percentile (percentile_cont).
        Percentile = "percentile", "Percentiles", "パーセンタイル";
        /// The mean, and one and two standard deviations (of a sample) above it.
        MeanSd = "mean_sd", "Mean and standard deviations", "平均と標準偏差";
        /// As percentile, with the open gaps counted as by `return_probability`: the product-limit estimate of Kaplan and
        /// Meier (1958).
        KaplanMeier = "kaplan_meier", "Kaplan-Meier", "カプラン・マイヤー法";
    }
}

/// How limits are learned; with less data than needed, the base policy's values stay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learn {
    /// How limits are learned from gaps.
    pub method: Method,
    /// The chance to come back is the one within so many more days; at least 1.
    pub return_window_days: u32,
    /// At risk where that chance is below this share, above 0 and at most 1.
    pub at_risk_below: Millionths,
    /// Dormant where it is below this share, above 0 and not above the other.
    pub dormant_below: Millionths,
    /// For cut points.
    pub min_customers: u32,
    /// For limits.
    pub min_gaps: u32,
}

impl Learn {
    /// What of this contradicts itself.
    pub fn check(&self, found: &mut Contradictions) {
        found.require(self.return_window_days >= 1, "learn.return_window_days", "it must be at least 1");
        for (key, share) in [("at_risk_below", self.at_risk_below), ("dormant_below", self.dormant_below)] {
            let holds = share > Millionths(0) && share <= Millionths(Millionths::ONE);
            found.require(holds, format!("learn.{key}"), format!("it must be above 0 and at most 1, it is {share}"));
        }
        found.require(
            self.dormant_below <= self.at_risk_below,
            "learn.dormant_below",
            format!("{} is above learn.at_risk_below, {}", self.dormant_below, self.at_risk_below),
        );
    }
}
