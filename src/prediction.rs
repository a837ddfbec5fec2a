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
mod observation;
mod options;
pub use observation::{MOST_OBSERVATIONS, Observation, Observed, Question, Store, Sums, count_within, merge};
pub use options::{FitOptions, ModelChoice, Refunds, SpendChoice};
mod findings;
mod sample;
pub use findings::{FindingCode, ModelFinding};
pub use gamma_gamma::{SpendCounts, SpendFit};
