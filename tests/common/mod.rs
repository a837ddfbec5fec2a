//! What the tests share.
#![allow(dead_code, unused_imports)] // every target uses another part of it

mod database;
mod files;
mod parameters;
mod processes;
mod programs;
mod queries;
mod random;
mod roles;
mod server;

pub use database::{Database, quiet};
pub use files::{assert_recorded, data, file, read, shared, trimmed};
pub use parameters::{Bytes, STORED_TYPES, hex};
pub use postgres::Client;
pub use processes::{backend, memory, wait_until_blocked};
pub use programs::{fed, program, run, run_with_input};
pub use queries::{assert_same_rows, batch, count, expect_error, one, text};
pub use random::Random;
pub use roles::{Roles, as_owner_of_the_database};
pub use server::{server_has, server_has_extension};
