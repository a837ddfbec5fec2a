//! The section `learn` of a policy: how limits are learned, and from how much data; what in a learned policy contradicts
//! itself.

use serde::Deserialize;

use super::Policy;
use crate::decimal::Millionths;
use crate::finding::{Contradictions, Finding, Severity};
use crate::labels::labels;
use crate::lifecycle::Cycle;

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

impl Policy {
    /// Where learned limits and learned recency cuts contradict each other. The cuts divide the customers into fifths, however
    /// long ago most of them were lost; the limits follow from how likely they come back.
    pub(super) fn find_learned_contradictions(&self, found: &mut Vec<Finding>) {
        if self.learned.is_none() || self.lifecycle.cycle != Cycle::Fixed {
            return;
        }
        let (at_risk, dormant) = (self.lifecycle.at_risk_after_days, self.lifecycle.dormant_after_days);
        let (better, longest) = self.rfm.better_recency();
        if longest > i64::from(dormant) {
            let message = format!(
                "customers dormant after {dormant} days (lifecycle.dormant_after_days) have r = {better} or better up to {longest}"
            );
            found.push(Finding::new(Severity::Warning, "rfm.recency_cuts", message));
        }
        let (worse, longest) = self.rfm.worse_recency();
        if longest < i64::from(at_risk) {
            let message = format!(
                "customers not at risk up to {at_risk} days (lifecycle.at_risk_after_days) have r = {worse} or worse after {longest}"
            );
            found.push(Finding::new(Severity::Warning, "rfm.recency_cuts", message));
        }
    }
}
