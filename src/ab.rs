//! A/B tests: who belongs to which group, what came of a group, whether a difference is more than chance, and how many
//! customers it takes to see one.

pub mod compare;
pub mod group;
pub mod result;
pub mod sample;

use crate::decimal::Decimal;
use crate::labels::labels;

labels! {
    /// What a test changes.
    Factor "factor" {
        /// Who is addressed.
        Target = "target", "Target: who is addressed", "対象者";
        /// What is offered.
        Offer = "offer", "Offer: what is offered", "オファー";
        /// How it is said and shown.
        Creative = "creative", "Creative: how it is said and shown", "クリエイティブ";
    }
}

impl Factor {
    /// Its part of a campaign's effect by the rule of direct marketing, 40 / 40 / 20; together 1.
    pub fn weight(self) -> Decimal {
        let tenths = match self {
            Factor::Target | Factor::Offer => 4,
            Factor::Creative => 2,
        };
        Decimal::new(tenths, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_add_up_to_one() {
        let sum: i128 = Factor::ALL.iter().map(|factor| factor.weight().mantissa()).sum();
        assert_eq!(Decimal::new(sum, 1), Decimal::from(1));
    }
}
