//! How the dormant answer, and in which order they are expected to: by the reason for their dormancy and its year.

use crate::contact::{ContactDay, ContactHistory};
use crate::customer::Customer;
use crate::dormancy::DormancyReason;
use crate::error::{Error, ErrorKind, Result};
use crate::host;
use crate::labels::labels;
use crate::lifecycle::{LifecycleState, dormant_year};
use crate::memory;
use crate::proportion::Proportion;

/// A kind of dormant customers: year of dormancy, then reason, which is the order in which answers are expected where
/// nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DormantKind {
    /// The year of dormancy, from 1.
    pub year: i32,
    /// The reason.
    pub reason: DormancyReason,
}

impl DormantKind {
    /// What sorts kinds into the built-in order.
    fn built_in_place(self) -> (i32, Option<usize>) {
        (self.year, DormancyReason::BY_EXPECTED_RESPONSE.iter().position(|&reason| reason == self.reason))
    }

    /// The kind that a customer is of on her day; `None` where she is not dormant, or not long enough.
    fn of(customer: &Customer) -> Option<Self> {
        let recency_days = customer.purchases()?.recency_days(customer.as_of());
        let is_dormant = customer.lifecycle_state() == LifecycleState::Dormant;
        let year = dormant_year(recency_days, &customer.policy().lifecycle).filter(|_| is_dormant)?;
        Some(DormantKind { year: i32::try_from(year).ok()?, reason: customer.dormancy_reason()? })
    }
}

/// What one customer did about contacts while she was of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DormantResponse {
    /// The kind that she was of on the days of the contacts.
    pub kind: DormantKind,
    /// Days with a contact that can be judged.
    pub contacts: u32,
    /// Whether any of them was answered.
    pub is_answered: bool,
}

impl DormantResponse {
    /// One for each kind in which the customer was contacted by the log, in the built-in order. Contacts that cannot be
    /// judged yet are left out; the membership is today's.
    pub fn all(customer: &Customer, log: &ContactHistory) -> Vec<Self> {
        let days = ContactDay::all(log, customer.history(), customer.as_of(), &customer.policy().contact);
        let mut responses: Vec<Self> = Vec::new();
        for day in days {
            host::check();
            let Some(is_answered) = day.is_answered() else { continue };
            let Some(kind) = DormantKind::of(&customer.on_earlier_day(day.on)) else { continue };
            match responses.iter_mut().rev().find(|response| response.kind == kind) {
                Some(response) => {
                    response.contacts += 1;
                    response.is_answered |= is_answered;
                }
                None => memory::push(&mut responses, DormantResponse { kind, contacts: 1, is_answered }),
            }
        }
        memory::sort(&mut responses, |a, b| a.kind.built_in_place().cmp(&b.kind.built_in_place()));
        responses
    }
}

labels! {
    /// Where a place in the order of expected answers comes from.
    Source "source" {
        /// From what the shop measured.
        Measured = "measured", "Measured", "実測";
        /// From the order that is built in.
        BuiltIn = "built_in", "Built in", "既定";
    }
}

/// How many customers of a kind were contacted, and how many of them answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindResponse {
    /// The kind.
    pub kind: DormantKind,
    /// The customers.
    pub answered: Proportion,
}

impl KindResponse {
    /// Puts kinds into the order in which their answers are expected, and says of each where its place comes from.
    ///
    /// All start in the built-in order. Those with at least `min_customers` were measured: they share out the places that
    /// they have there, the higher rate first and equal ones as before. The others stay where they are.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] where a kind stands twice.
    pub fn in_expected_order(mut kinds: Vec<Self>, min_customers: u32) -> Result<Vec<(Self, Source)>> {
        memory::sort(&mut kinds, |a, b| a.kind.built_in_place().cmp(&b.kind.built_in_place()));
        if let Some(pair) = kinds.windows(2).find(|pair| pair[0].kind == pair[1].kind) {
            let DormantKind { year, reason } = pair[0].kind;
            let message = format!("year {year} of {} stands twice", reason.name());
            return Err(Error::new(ErrorKind::InvalidParameter, message).hint("Is a GROUP BY missing?"));
        }
        let is_measured = |kind: &&Self| kind.answered.denominator() >= min_customers.into();
        let mut measured = memory::collect(kinds.iter().filter(is_measured).copied());
        memory::sort(&mut measured, |a, b| {
            let by_rate = b.answered.compare_rates(a.answered);
            by_rate.then(a.kind.built_in_place().cmp(&b.kind.built_in_place()))
        });
        let mut measured = measured.into_iter();
        let place = |kind: &Self| match is_measured(&kind) {
            true => measured.next().map(|kind| (kind, Source::Measured)),
            false => Some((*kind, Source::BuiltIn)),
        };
        Ok(memory::collect(kinds.iter().filter_map(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::Day;
    use crate::history::{PurchaseDay, PurchaseHistory};
    use crate::policy::Document;

    fn kind(year: i32, reason: DormancyReason) -> DormantKind {
        DormantKind { year, reason }
    }

    #[test]
    fn a_customer_is_of_the_kind_that_she_was_on_the_day() {
        let rows = [(0, 100), (50, 100), (100, 100), (150, 100), (840, 100)];
        let days = rows.map(|(day, amount)| PurchaseDay::of_row(Day(day), Some(amount), None));
        let history = PurchaseHistory::new(0, days.to_vec()).unwrap();
        let on = |day: i32| format!(r#"{{"on": "{}", "channel": "postal"}}"#, Day(day));
        // Active, dormant for less than 181 days, in the first year, in the second twice, winback, not to be judged yet.
        let log = [160, 330, 331, 600, 820, 841, 1_180].map(on).join(", ");
        let log = format!("[{log}]").parse().unwrap();
        let document = Document::empty();
        let customer = Customer::new(Some(&history), Day(1_200), document.policy().unwrap(), None, None);
        let response = |year, contacts, is_answered| DormantResponse {
            kind: kind(year, DormancyReason::Drifted),
            contacts,
            is_answered,
        };
        assert_eq!(DormantResponse::all(&customer, &log), [response(1, 1, false), response(2, 2, true)]);
        assert_eq!(DormantResponse::all(&customer.on_earlier_day(Day(630)), &log).len(), 2);
        assert_eq!(DormantResponse::all(&customer.on_earlier_day(Day(629)), &log), [response(1, 1, false)]);
    }

    #[test]
    fn what_was_measured_shares_out_its_places() {
        use DormancyReason::{Competitor, Dissatisfied, Drifted, Overstocked, Unhabituated};
        let cell = |year, reason, answered, contacted| KindResponse {
            kind: kind(year, reason),
            answered: Proportion::new(answered, contacted).unwrap(),
        };
        let cells = [
            cell(2, Overstocked, 9, 30),
            cell(1, Competitor, 4, 40),
            cell(1, Overstocked, 1, 29),
            cell(1, Drifted, 1, 30),
            cell(1, Unhabituated, 3, 30),
            cell(1, Dissatisfied, 0, 0),
        ];
        let order = |min| {
            let placed = KindResponse::in_expected_order(cells.to_vec(), min).unwrap();
            placed.iter().map(|(cell, source)| (cell.kind.year, cell.kind.reason, source.name())).collect::<Vec<_>>()
        };
        let expected = [
            (1, Overstocked, "built_in"),
            (2, Overstocked, "measured"),
            // The same rate: in the built-in order.
            (1, Unhabituated, "measured"),
            (1, Dissatisfied, "built_in"),
            (1, Competitor, "measured"),
            (1, Drifted, "measured"),
        ];
        assert_eq!(order(30), expected);
        let built_in: Vec<_> = order(1_000).into_iter().map(|(year, reason, _)| (year, reason)).collect();
        let reasons = [Overstocked, Drifted, Unhabituated, Dissatisfied, Competitor].map(|reason| (1, reason));
        assert_eq!(built_in, [&reasons[..], &[(2, Overstocked)]].concat());
        assert!(KindResponse::in_expected_order([cells[0], cells[0]].to_vec(), 1).is_err());
    }
}
