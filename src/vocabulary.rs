//! All closed lists of labels by name, and what the languages call a value of one.

use crate::ab::Factor;
use crate::ab::compare::Verdict;
use crate::action::Behavior;
use crate::channels::Channel;
use crate::dormancy::{DormancyCategory, DormancyReason};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::labels::{Label, labels};
use crate::lifecycle::{LifecycleState, PurchaseStage};
use crate::membership::Membership;
use crate::prediction::ChurnBand;
use crate::rfm::Segment;
use crate::scenario::Why;
use crate::vip::VipTier;

labels! {
    /// A language of labels and titles.
    Language "language" {
        /// English.
        English = "en", "English", "英語";
        /// Japanese.
        Japanese = "ja", "Japanese", "日本語";
    }
}

impl Language {
    /// The one of two texts that is in this language.
    pub fn choose<T>(self, en: T, ja: T) -> T {
        match self {
            Language::English => en,
            Language::Japanese => ja,
        }
    }
}

/// A closed list of labels.
#[derive(Debug)]
pub struct List {
    /// Its name: that of the column whose values it names.
    pub name: &'static str,
    /// The label at a place of the order in which reports sort, from 0 on.
    label_at: fn(usize) -> Option<Label>,
}

macro_rules! lists {
    ($($name:literal: $values:expr;)+) => {
        /// All lists.
        pub static LISTS: &[List] =
            &[$(List { name: $name, label_at: |place| $values.get(place).map(|value| value.label()) }),+];
    };
}

lists! {
    "lifecycle_state": LifecycleState::ALL;
    "purchase_stage": PurchaseStage::ALL;
    "vip_tier": VipTier::ALL;
    "rfm_segment": Segment::ALL;
    "membership": Membership::ALL;
    "dormancy_category": DormancyCategory::BY_EXPECTED_RESPONSE;
    "dormancy_reason": DormancyReason::BY_EXPECTED_RESPONSE;
    "behavior": Behavior::ALL;
    "channel": Channel::ALL;
    "due_step_reason": Why::ALL;
    "churn_band": ChurnBand::ALL;
    "ab_verdict": Verdict::ALL;
    "ab_factor": Factor::ALL;
}

impl List {
    /// The list of that name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`], with all names, where there is none.
    pub fn from_name(name: &str) -> Result<&'static List> {
        LISTS.iter().find(|list| list.name == name).ok_or_else(|| {
            let names: Vec<_> = LISTS.iter().map(|list| list.name).collect();
            Error::new(ErrorKind::InvalidParameter, format!("unknown list of labels: {}", shown(name)))
                .hint(format!("Use one of: {}.", names.join(", ")))
        })
    }

    /// Its labels in the order in which reports sort.
    pub fn labels(&self) -> impl Iterator<Item = Label> {
        (0..).map_while(self.label_at)
    }

    /// The place, from 1 on, and the label of a value; `None` where it is none of the list.
    pub fn find(&self, name: &str) -> Option<(i32, Label)> {
        // A membership may also be one of the codes of mail-order systems.
        let name = match self.name {
            "membership" => Membership::parse(name).map_or(name, |known| known.name()),
            _ => name,
        };
        (1..).zip(self.labels()).find(|(_, label)| label.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_label_is_found_by_its_name_and_has_one_of_its_own() {
        for list in LISTS {
            let labels: Vec<_> = list.labels().collect();
            let distinct = |text: fn(&Label) -> &str| labels.iter().map(text).collect::<BTreeSet<_>>().len();
            assert_eq!(distinct(|label| label.name), labels.len(), "{}", list.name);
            assert_eq!(distinct(|label| label.en), labels.len(), "{}", list.name);
            assert_eq!(distinct(|label| label.ja), labels.len(), "{}", list.name);
            for (place, label) in (1..).zip(labels) {
                assert_eq!(list.find(label.name), Some((place, label)));
            }
            assert_eq!(list.find("x"), None);
            assert!(std::ptr::eq(List::from_name(list.name).unwrap(), list));
        }
        assert_eq!(List::from_name("x").unwrap_err().kind, ErrorKind::InvalidParameter);
    }

    #[test]
    fn a_membership_is_known_by_its_code_too() {
        let list = List::from_name("membership").unwrap();
        assert_eq!(list.find("03"), list.find("withdrawn"));
        assert_eq!(list.find("04"), None);
    }
}
