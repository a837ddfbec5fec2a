//! Models of purchase and spend, against papers, other programs and arithmetic with 50 digits.

mod customers;
mod fits;
mod models;
mod shops;
