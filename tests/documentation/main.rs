//! What the documentation shows is what is printed.

#[path = "../common/mod.rs"]
mod common;

mod dbt;
mod examples;
mod exports;
mod pages;
mod shop;
mod year;
