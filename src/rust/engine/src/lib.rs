//! Linear mixed models by maximum likelihood or REML: exact, and fast enough to resample.
//!
//! A model is given as [`terms::Rows`]; [`design::Design`] reduces it to cross-products in one pass,
//! [`response::Response`] does so for a response, [`evaluation`] solves at one theta, [`derivatives`]
//! differentiates, and [`fit`] finds the optimum and says how it knows.

pub mod absorbed;
pub mod accumulate;
pub mod batch;
pub mod blocked;
pub mod chunk;
pub mod curvature;
pub mod derivatives;
pub mod design;
pub mod error;
pub mod evaluation;
pub mod fallback;
pub mod fit;
pub mod full_inverse;
pub mod levels;
pub mod memory;
pub mod objective;
pub mod one_factor;
pub mod parallel;
pub mod response;
pub mod rest;
pub mod scoring;
pub mod search;
pub mod simulate;
pub mod small;
pub mod stream;
pub mod terms;
pub mod trust_region;
