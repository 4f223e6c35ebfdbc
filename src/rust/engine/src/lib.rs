//! Linear mixed models by maximum likelihood or REML: exact, and fast enough to resample.
//!
//! A model is given as [`Rows`]; [`Design`] reduces it to cross-products in one pass, [`Response`] does so for a
//! response, and [`fit`] finds the optimum and says how it knows.
//!
//! The folders are layers: each uses those below it only. `tests/layers.rs` sees to it.
//!
//! | layer | what it holds |
//! |---|---|
//! | `tasks` | what a user asks for: fit, refits, simulation, covariances |
//! | `optimise` | the criterion of the free elements of Lambda, and the search for its minimum |
//! | `pls` | the verbs of penalised least squares, whatever the structure of a design |
//! | `curvature` | derivatives, from a factorisation |
//! | `factor` | the penalised least-squares problem at one theta |
//! | `plan` | what is chosen once per design |
//! | `products` | the data as cross-products |
//! | `model` | rows, terms, groups, theta and Lambda |
//! | `linalg` | dense and sparse kernels |

#![forbid(unsafe_code)]

mod curvature;
mod distributions;
mod error;
mod factor;
mod linalg;
mod model;
mod optimise;
mod parallel;
mod plan;
mod pls;
mod products;
mod tasks;
mod tolerances;

pub use distributions::{chi_squared_tail, normal_cdf, normal_quantile};
pub use error::Error;
pub use factor::blocks::Factor;
pub use model::absorbed::Absorbed;
pub use model::group::Group;
pub use model::levels::number_levels;
pub use model::rows::{Rows, Term};
pub use model::structure::Structure;
pub use optimise::certificate::{is_curved, largest_element, least_diagonal};
pub use parallel::Workers;
pub use plan::design::Design;
pub use products::accumulate::{CrossProducts, TermShape};
pub use products::chunk::Chunk;
pub use products::response::Response;
pub use products::sums::{FactorProducts, Names, PairProducts};
pub use products::undetermined::{Source, Undetermined};
pub use tasks::batch::{refit, BatchOptions, Replicate, Responses};
pub use tasks::fit::{conditional_variances, criterion, derivatives, fit, fit_response, Fit, Options};
pub use tasks::fixed_covariance::fixed_factor;
pub use tasks::simulate::Simulator;

/// Models of data that come a chunk at a time.
pub mod stream {
    pub use crate::plan::design::finish;
    pub use crate::products::stream::{summary, Model, Summary};
}

#[doc(hidden)] // for the dense reference that the tests compute
pub use linalg::small;
