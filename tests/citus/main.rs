//! pg_rfm on a Citus cluster, a coordinator and two workers: what each server computes and what comes to the coordinator,
//! against one server with the same rows. `make test-citus` starts them; without them every test says that it is skipped.

#[path = "../common/mod.rs"]
mod common;

mod aggregates;
mod cluster;
mod commits;
mod segmentations;
mod shards;
mod tracking;
mod versions;
