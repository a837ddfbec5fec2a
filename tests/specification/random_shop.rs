//! The random shop of tests/reference: customers, orders and engagement, dense where rules turn.

use crate::common::*;

pub fn load(client: &mut Client, customers: u32, seed: u32) {
    batch(client, include_str!("../reference/segments.sql"));
    batch(client, include_str!("../reference/random_shop.sql"));
    batch(client, &format!("SELECT reference.random_shop({customers}, {seed})"));
}
