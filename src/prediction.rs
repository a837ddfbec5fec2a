//! What customers will do.
mod beta_geometric;
mod counts;
mod gamma_gamma;
mod newton;
mod pareto;
mod process;
mod quadrature;
mod timing;
mod timings;

pub use gamma_gamma::GammaGamma;
pub use process::{MOST_AHEAD, Outlook, Process, ProcessName};
pub use timing::{MOST_DAYS, Timing};
pub use timings::Timings;
mod fit;
pub use fit::{Boundary, ProcessFit, fit_process};
