//! What customers will do.
mod beta_geometric;
mod newton;
mod pareto;
mod quadrature;
mod timing;
mod timings;
