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
    /// The codes that mail-order systems use.
    pub const CODES: [(&str, Membership); 3] =
        [("01", Membership::Continuing), ("02", Membership::Paused), ("03", Membership::Withdrawn)];

    /// Reads a name, or one of the [`Membership::CODES`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let coded = Self::CODES.into_iter().find(|&(code, _)| code == text);
        coded.map_or_else(|| Membership::from_name(text), |(_, membership)| Ok(membership)).map_err(|_| {
            Error::new(ErrorKind::InvalidParameter, format!("unknown membership: {}", shown(text)))
                .hint("Use continuing (01), paused (02), withdrawn (03) or ad_hoc; NULL where it is unknown.")
        })
    }
}
