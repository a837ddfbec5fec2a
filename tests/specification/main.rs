//! What the answers must be: against published numbers, real data, plain SQL and independent reckonings, by every route and
//! every plan.

#[path = "../common/mod.rs"]
mod common;

mod ab;
mod check_policy;
mod cohort;
mod complaints;
mod contacts;
mod explain;
mod kpi;
mod learn;
mod memberships;
mod movement;
mod next_change;
mod plans;
mod prediction;
mod random_shop;
mod real_data;
mod responses;
mod routes;
mod scenario;
mod stored_policy;
mod timeline;
