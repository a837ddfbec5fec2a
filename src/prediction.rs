//! What customers will do: models of purchase and spend, fitted, checked and scored.
//!
//! | file | what it holds |
//! |---|---|
//! | `timing.rs`, `timings.rs` | x, t_x and T of one customer; those of all, counted |
//! | `observation.rs`, `sample.rs` | what a fit keeps of each customer, merged in any order; the same in order |
//! | `options.rs` | what a fit can be told |
//! | `process.rs` | a model of purchases with its parameters, and what it says of one customer |
//! | `beta_geometric.rs`, `pareto.rs` | BG/NBD and MBG/NBD; Pareto/NBD: formulas and likelihoods |
//! | `gamma_gamma.rs` | the model of spend: formulas, likelihood and fit |
//! | `counts.rs` | the negative binomial distribution |
//! | `quadrature.rs`, `elementary.rs` | Gauss-Legendre nodes; exponentials and logarithms of arrays |
//! | `newton.rs`, `fit.rs` | damped Newton; starts, boundaries, standard errors |
//! | `auto.rs` | the choice of a model |
//! | `findings.rs` | what is to be said of a fit |
//! | `model.rs` | `purchase_model`: the document and what it refuses |
//! | `fitted_model.rs` | from observations to the document |
//! | `answer.rs`, `churn.rs`, `explain.rs` | answers about one customer |
//! | `seen_by_model.rs` | what rules can ask about her, and when such a number will have fallen |
//! | `backtest.rs`, `concentration.rs` | what a model would have predicted |
//! | `forecast.rs` | totals of a group |
//!
//! Time is in days everywhere. A fit of a question goes `Question::observe`, for each history, into a [`Store`], then
//! [`fit_model`] or [`backtest_model`]; nothing about the data is an error, a model that is of no use is refused in its
//! document.

mod answer;
mod auto;
mod backtest;
mod beta_geometric;
mod churn;
mod concentration;
mod counts;
mod elementary;
mod explain;
mod findings;
mod fit;
mod fitted_model;
mod forecast;
mod gamma_gamma;
mod model;
mod newton;
mod observation;
mod options;
mod pareto;
mod process;
mod quadrature;
mod sample;
mod seen_by_model;
mod timing;
mod timings;

pub use answer::{DiscountRate, Horizon, Prediction, Spent, check_chance};
pub use backtest::{ModelBacktest, backtest_model};
pub use churn::ChurnBand;
pub use findings::{FindingCode, ModelFinding};
pub use fit::{Boundary, ProcessFit, fit_process};
pub use fitted_model::fit_model;
pub use forecast::{ExactSum, ForecastQuestion, ForecastSums, PurchaseForecast, merge_forecasts};
pub use gamma_gamma::{GammaGamma, SpendCounts, SpendFit};
pub use model::{FitDetails, Identified, ModelStatus, PurchaseModel, SpendDetails, StoredBacktest};
pub use observation::{MOST_OBSERVATIONS, Observation, Observed, Question, Store, Sums, count_within, merge};
pub use options::{FitOptions, ModelChoice, Refunds, SpendChoice};
pub use process::{MOST_AHEAD, Outlook, Process, ProcessName};
pub use seen_by_model::{PredictedNumber, SeenByModel};
pub use timing::{MOST_DAYS, Timing};
pub use timings::Timings;
