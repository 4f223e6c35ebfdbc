//! Linear mixed models by maximum likelihood or REML: exact, and fast enough to resample.
//!
//! ```
//! use fastlmer_engine::{BatchOptions, Error, Model, Options, Responses, Rows, Term};
//!
//! // Yields of six batches of dyestuff (Davies and Goldsmith 1972): how much of their variation is the batches'?
//! let y = [
//!     1545.0, 1440.0, 1440.0, 1520.0, 1580.0, 1540.0, 1555.0, 1490.0, 1560.0, 1495.0, 1595.0, 1550.0, 1605.0, 1510.0, 1560.0,
//!     1445.0, 1440.0, 1595.0, 1465.0, 1545.0, 1595.0, 1630.0, 1515.0, 1635.0, 1625.0, 1520.0, 1455.0, 1450.0, 1480.0, 1445.0,
//! ];
//! let batch: Vec<i32> = (0..30).map(|i| i / 5 + 1).collect();
//! let rows = Rows {
//!     n: 30,
//!     x: &[1.0; 30],       // X: an intercept
//!     p: 1,
//!     codes: vec![&batch], // one grouping factor, with six levels
//!     levels: vec![6],
//!     terms: vec![Term { factor: 0, z: None, k: 1 }], // (1 | batch)
//!     weights: None,
//!     absorbed: None,
//! };
//! let model = Model::new(rows)?;
//! let fit = model.fit(&y, &Options::default())?;
//! assert!((fit.criterion - 319.6543).abs() < 1e-4); // the REML criterion that lme4 reports
//! assert!((fit.beta[0] - 1527.5).abs() < 1e-9 && (fit.sigma - 49.5101).abs() < 1e-4);
//! assert!((fit.theta[0] * fit.sigma - 42.0006).abs() < 1e-3); // standard deviation of the batches
//!
//! // A parametric bootstrap of it
//! let simulated = model.simulate(&fit, &model.fixed_part(&fit.beta), 1, 100)?;
//! let replicates = model.refit(&Responses::Given(&simulated), &BatchOptions { start: Some(&fit.theta), ..BatchOptions::default() })?;
//! let mean: f64 = replicates.iter().flatten().map(|r| r.beta[0]).sum::<f64>() / 100.0;
//! assert!(replicates.iter().flatten().count() == 100 && (mean - 1527.5).abs() < 10.0);
//! # Ok::<(), Error>(())
//! ```
//!
//! # The mathematics
//!
//! The model is y = X beta + Z b + e with b ~ N(0, sigma^2 Lambda Lambda'), e ~ N(0, sigma^2 W^-1) and prior weights W. Lambda is block
//! diagonal; each block repeats, level by level of a grouping factor, one lower triangle per term, whose elements are theta. With
//! b = Lambda u and u ~ N(0, sigma^2 I) the estimates at one theta minimise the penalised residual sum of squares
//!
//! ```text
//! pwrss(theta) = min over beta, u of |W^1/2 (y - X beta - Z Lambda u)|^2 + |u|^2,
//! ```
//!
//! a least-squares problem (Bates, Maechler, Bolker and Walker 2015, doi:10.18637/jss.v067.i01, sections 2 and 3) that is solved by
//!
//! ```text
//! M = Lambda'Z'WZ Lambda + I = L L',  RZX = L^-1 Lambda'Z'WX,  RX'RX = X'WX - RZX'RZX = X'V^-1X,  V = W^-1 + Z Lambda Lambda'Z'.
//! ```
//!
//! Minus twice the log likelihood, with beta and sigma profiled out, is for maximum likelihood (nu = n) and REML (nu = n - p)
//!
//! ```text
//! d(theta) = log |M| + [REML: log |X'V^-1X|] + nu (1 + log(2 pi pwrss / nu)) - log |W|.
//! ```
//!
//! All of it comes from cross-products: Z'WZ is one K x K block per level of each factor and one per pair of levels that meet in a row,
//! so that an evaluation doesn't depend on the number of rows. M is factored by blocks: the factor with most effects first, level by
//! level, then its Schur complement, which is sparse for nested factors and dense for crossed ones. With P = V^-1 - V^-1 X (X'V^-1X)^-1
//! X'V^-1, D the sum over levels of [Z'PZ - (nu / pwrss) Z'Py y'PZ] has the differential <D, d(Lambda Lambda')> of d: the gradient is
//! exact, and the second derivatives are too for one factor and for few effects; else they are the average information. Newton's method
//! in a trust region minimises d over Lambda, whose elements need no bounds, because d is even in each of its columns. At the boundary D
//! must have no negative direction; where it has one, the search goes on along it.
//!
//! # The layers
//!
//! A [`Model`] holds [`Rows`] and the [`Design`] that they were reduced to in one pass; [`Response`] does so for a response. The folders
//! are layers: each uses those below it only, and `tests/layers.rs` sees to it.
//!
//! | layer | what it holds |
//! |---|---|
//! | `tasks` | what a user asks for: fit, refits, simulation, covariances, variances of predictions |
//! | `optimise` | the criterion of the free elements of Lambda, and the search for its minimum |
//! | `pls` | the verbs of penalised least squares, whatever the structure of a design |
//! | `curvature` | derivatives, from a factorisation |
//! | `factor` | the penalised least-squares problem at one theta |
//! | `plan` | what is chosen once per design |
//! | `products` | the data as cross-products |
//! | `model` | rows, terms, groups, theta and Lambda, units |
//! | `linalg` | dense and sparse kernels |
//!
//! All numbers that come in and go out are in the caller's units and order; inside, columns are centred and of size one. Results don't
//! depend on the number of threads.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

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
mod progress;
mod tasks;
mod tolerances;

pub use distributions::{chi_squared_tail, normal_cdf, normal_quantile};
pub use error::Error;
pub use model::absorbed::Absorbed;
pub use model::covariance::{CommonVariance, Covariance, Diagonal, Unstructured};
pub use model::group::Group;
pub use model::levels::number_levels;
pub use model::rows::{Rows, Term};
pub use model::structure::Structure;
pub use optimise::certificate::{is_curved, largest_element, least_diagonal};
pub use parallel::Workers;
pub use plan::design::{Design, DesignRef, System};
pub use plan::memory::available as available_memory;
pub use products::accumulate::{CrossProducts, TermShape};
pub use products::chunk::Chunk;
pub use products::response::Response;
pub use products::sums::{FactorProducts, Names, PairProducts};
pub use products::undetermined::{Source, Undetermined};
pub use progress::{progress, Progress};
pub use tasks::batch::{refit, BatchOptions, Replicate, Responses};
pub use tasks::evaluate::Evaluator;
pub use tasks::fit::{conditional_variances, derivatives, fit, fit_response, Fit, Options};
pub use tasks::fixed_covariance::fixed_factor;
pub use tasks::hat::hat_values;
pub use tasks::influence::{influence, Deletions, Remnant};
pub use tasks::kenward_roger::hypothesis::Test;
pub use tasks::kenward_roger::KenwardRoger;
pub use tasks::marginal::Marginal;
pub use tasks::model::Model;
pub use tasks::predict::{NewRows, Predictor};
pub use tasks::profile::parameters::Scale;
pub use tasks::profile::{profile, Profile, ProfileOptions, ProfilePoint, Profiles};
pub use tasks::satterthwaite::{satterthwaite, Satterthwaite};
pub use tasks::simulate::Simulator;
pub use tasks::structured::fit_structured;

/// This crate's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Models of data that come a chunk at a time.
pub mod stream {
    pub use crate::plan::design::finish;
    pub use crate::products::stream::{summary, Model, Summary};
}

#[doc(hidden)] // for the dense reference that the tests compute
pub use linalg::small;
