//! What a customer's subscription is like today.

use crate::error::{Error, ErrorKind, Result, shown};
use crate::labels::labels;

labels! {
    /// A customer's membership; unknown is written as NULL (`None`).
    Membership "membership" {
        /// Subscribes (code 01).
        Continuing = "continuing", "Continuing", "継続中";
        /// Has paused the subscription (code 02).
        Paused = "paused", "Paused", "休会中";
        /// Has ended the subscription (code 03).
        Withdrawn = "withdrawn", "Withdrawn", "退会済";
        /// Buys without a subscription.
        AdHoc = "ad_hoc", "Ad hoc", "都度購入";
    }
}

impl Membership {
    /// Reads a name, or one of the codes 01, 02, 03 that mail-order systems use.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "01" => Ok(Membership::Continuing),
            "02" => Ok(Membership::Paused),
            "03" => Ok(Membership::Withdrawn),
            name => Membership::from_name(name).map_err(|_| {
                Error::new(ErrorKind::InvalidParameter, format!("unknown membership: {}", shown(name)))
                    .hint("Use continuing (01), paused (02), withdrawn (03) or ad_hoc; NULL where it is unknown.")
            }),
        }
    }
}
