//! Models of purchase and spend, against papers, other programs and arithmetic with 50 digits.

mod customers;
mod fits;
mod in_rules;
mod in_sql;
mod models;
mod shops;
