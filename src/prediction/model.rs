//! `purchase_model`: a model of purchases and spend with what is known of its fit.

mod document;
mod number;

pub use document::{FitDetails, PurchaseModel, SpendDetails, StoredBacktest};
pub(super) use number::{in_json, rounded};

use super::findings::{FindingCode, ModelFinding};
use super::gamma_gamma::{GammaGamma, SpendCounts};
use super::options::Refunds;
use super::process::Process;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Severity};
use crate::labels::labels;

labels! {
    /// Whether a model answers anything.
    ModelStatus "status" {
        /// It does.
        Ok = "ok", "Usable", "利用可";
        /// Every answer is NULL, and the findings say why.
        Refused = "refused", "Refused", "利用不可";
    }
}

labels! {
    /// Whether P(alive) can be told.
    Identified "alive" {
        /// It can.
        Identified = "identified", "Identified", "識別可能";
        /// It cannot: the data fit customers who never leave as well.
        NotIdentified = "not_identified", "Not identified", "識別不能";
    }
}

impl PurchaseModel {
    /// The model of purchases; `None` where it is refused.
    pub fn process(&self) -> Option<&Process> {
        self.parsed().process.as_ref().filter(|_| self.status() == ModelStatus::Ok)
    }

    /// The model of purchases where it can tell P(alive).
    pub fn alive_process(&self) -> Option<&Process> {
        self.process().filter(|_| self.alive() == Identified::Identified)
    }

    /// The model of spend and what it counts; `None` where there is none or it is refused.
    pub fn spend(&self) -> Option<(GammaGamma, SpendCounts)> {
        let refused = |finding: &ModelFinding| {
            finding.severity == Severity::Error
                && matches!(finding.code, FindingCode::SpendInfinite | FindingCode::SpendDependent)
        };
        let spend = self.parsed().spend.as_ref()?;
        let usable = self.process().is_some() && spend.q > 1.0 && !self.findings().iter().any(refused);
        usable.then_some((GammaGamma { p: spend.p, q: spend.q, v: spend.v }, spend.counts))
    }

    /// What its model of spend counts; all purchase days where there is none.
    pub fn counts(&self) -> SpendCounts {
        self.spend().map_or(SpendCounts::All, |(_, counts)| counts)
    }

    /// What of each amount stays after refunds.
    pub fn share_kept(&self) -> f64 {
        match self.parsed().refunds {
            Refunds::Net => 1.0 - self.parsed().refund_share,
            Refunds::Gross => 1.0,
        }
    }

    /// The findings with their places in the document.
    pub fn check(&self) -> Vec<Finding> {
        self.findings().iter().map(ModelFinding::finding).collect()
    }

    /// The model itself if it is not refused.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] with the findings that refuse it.
    pub fn require(&self) -> Result<&Self> {
        if self.status() == ModelStatus::Ok {
            return Ok(self);
        }
        let errors = self.findings().iter().filter(|finding| finding.severity == Severity::Error);
        let messages: Vec<_> = errors.map(|finding| format!("{}: {}", finding.code.name(), finding.message)).collect();
        let message = format!("this purchase_model is refused: {}", messages.join("; "));
        Err(Error::new(ErrorKind::InvalidParameter, message)
            .hint("SELECT * FROM check_model(model) lists what was found."))
    }
}
