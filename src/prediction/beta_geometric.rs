//! The beta-geometric models, BG/NBD and MBG/NBD: customers leave after purchases.

pub(super) mod likelihood;
