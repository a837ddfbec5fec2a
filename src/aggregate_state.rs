//! How the state of an aggregate begins as bytes. It passes between the processes of a query, which in a cluster are servers
//! with a pg_rfm of their own each: what another version wrote is refused in words, and never read for something else.

use crate::error::{Error, ErrorKind, Result};

/// The version of how states are written, all of them: it rises when one of them changes. Two bytes in the order of the
/// machine, as all numbers in a state are, so that a machine of another order reads another version.
const VERSION: u16 = 1;

/// The aggregates whose states are different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateState {
    /// Rows of orders, stored purchase histories: `purchase_history`, `rfm_score` and its like.
    Orders = 1,
    /// Events, contacts, memberships.
    Events = 2,
    /// What `learn_policy` and `return_curve` observe.
    Customers = 3,
    /// What `fit_purchase_model` and its backtests observe.
    Fit = 4,
    /// Sums of `purchase_forecast`.
    Forecast = 5,
    /// Counts and sums of `ab_result`.
    AbResult = 6,
    /// Counts and sums of `count_movements`.
    Movements = 7,
    /// Counts and sums of `count_cohorts`.
    Cohorts = 8,
}

impl AggregateState {
    /// Bytes before those of the aggregate itself.
    pub const HEAD: usize = 3;

    /// What it is a state of, for messages.
    fn name(self) -> &'static str {
        match self {
            AggregateState::Orders => "orders",
            AggregateState::Events => "events",
            AggregateState::Customers => "customers",
            AggregateState::Fit => "a fit",
            AggregateState::Forecast => "a forecast",
            AggregateState::AbResult => "ab_result",
            AggregateState::Movements => "movements",
            AggregateState::Cohorts => "cohorts",
        }
    }

    /// What the bytes of such a state begin with.
    pub fn head(self) -> [u8; Self::HEAD] {
        let [first, second] = VERSION.to_ne_bytes();
        [first, second, self as u8]
    }

    /// The bytes of the aggregate itself.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] for what another version wrote, and for the state of another aggregate.
    pub fn body(self, bytes: &[u8]) -> Result<&[u8]> {
        let Some(([first, second, aggregate], body)) = bytes.split_first_chunk() else {
            return Err(self.refused());
        };
        let version = u16::from_ne_bytes([*first, *second]);
        if version != VERSION {
            let message = format!(
                "another version of pg_rfm wrote this state of {}: its form is {version}, this one reads {VERSION}",
                self.name()
            );
            return Err(Error::new(ErrorKind::InvalidBinary, message)
                .hint("Install the same version of pg_rfm on every server that takes part in the query."));
        }
        if *aggregate != self as u8 {
            let message = format!("this is the state of another aggregate, not of {}", self.name());
            return Err(Error::new(ErrorKind::InvalidBinary, message)
                .hint("The functions of an aggregate go together: SERIALFUNC and DESERIALFUNC."));
        }
        Ok(body)
    }

    /// The error for bytes that no aggregate of this version has written.
    pub fn refused(self) -> Error {
        Error::new(ErrorKind::InvalidBinary, format!("not a state of {}", self.name()))
            .hint("Call the aggregate: its parts are no functions to be called by themselves.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_and_nothing_else_does() {
        let state = AggregateState::Fit;
        let bytes = [&state.head()[..], b"body"].concat();
        assert_eq!(state.body(&bytes).unwrap(), b"body");
        assert_eq!(state.body(&bytes[..AggregateState::HEAD]).unwrap(), b"");
        for length in 0..AggregateState::HEAD {
            assert_eq!(state.body(&bytes[..length]).unwrap_err(), state.refused());
        }
    }

    #[test]
    fn foreign_states_are_refused_in_words() {
        let refused = |bytes: &[u8]| {
            let error = AggregateState::Orders.body(bytes).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidBinary);
            assert!(error.hint.is_some());
            error.message
        };
        for version in [0, 2, VERSION.swap_bytes(), u16::MAX] {
            let [first, second] = version.to_ne_bytes();
            let message = refused(&[first, second, 1, 0, 0]);
            assert!(message.contains(&format!("its form is {version}, this one reads 1")), "{message}");
        }
        assert_eq!(refused(&AggregateState::Events.head()), "this is the state of another aggregate, not of orders");
    }
}
