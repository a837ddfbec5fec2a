//! Segmentations as a DBA meets them: what is found by itself, what is refused and how, whose rights count, and what survives.

#[path = "../common/mod.rs"]
mod common;

mod alter;
mod attributes;
mod audit;
mod changed_database;
mod collected_histories;
mod create;
mod dump;
mod internals;
mod kpis;
mod language;
mod memberships;
mod names;
mod order_lines;
mod predictions;
mod refresh;
mod refresh_rows;
mod responses;
mod rights;
mod settings;
mod shop;
mod source;
mod tenants;
mod tracking;
mod views;
mod who_changed;
mod words;
