//! Models of purchase and spend, against papers, other programs and arithmetic with 50 digits.

mod fits;
mod shops;
