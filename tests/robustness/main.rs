//! What must not happen, whatever somebody gives, takes away or tries: a crash, a wrong error, rights that were not granted.

#[path = "../common/mod.rs"]
mod common;

mod attacks;
mod bad_input;
mod hostile_bytes;
mod memory;
