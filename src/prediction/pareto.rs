//! The Pareto/NBD model: customers leave at any time.

pub(super) mod decay;
pub(super) mod likelihood;
