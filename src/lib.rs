//! Customer segmentation for shops, inside PostgreSQL.
//!
//! The modules here are the core: they know nothing of PostgreSQL and build without it (`--no-default-features`).
//! [`customer::Customer`] puts them together. The module `sql` is the thin binding that turns them into types, aggregates
//! and functions; arrows go from there to the core and never back.

pub mod ab;
pub mod action;
pub mod aggregate_state;
pub mod audit;
pub mod bytes;
pub mod calendar;
pub mod channels;
pub mod cohort;
pub mod column;
pub mod column_guess;
pub mod complaint;
pub mod contact;
pub mod countdown;
pub mod customer;
pub mod day;
pub mod decimal;
pub mod dormancy;
pub mod dormancy_response;
pub mod engagement;
pub mod error;
pub mod event_history;
pub mod explain;
pub mod facts;
pub mod finding;
pub mod history;
pub mod host;
mod json;
pub mod kpi;
pub mod labels;
pub mod learn;
pub mod lifecycle;
pub mod membership;
pub mod memory;
pub mod money_unit;
pub mod month;
pub mod movement;
pub mod policy;
pub mod prediction;
pub mod proportion;
pub mod relation;
pub mod rfm;
pub mod scenario;
#[cfg(feature = "sql")]
mod sql;
pub mod tally;
pub mod timeline;
pub mod vip;
pub mod vocabulary;
pub mod words;

#[cfg(feature = "sql")]
::pgrx::pg_module_magic!();
