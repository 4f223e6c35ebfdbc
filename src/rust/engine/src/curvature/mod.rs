//! Derivatives of the criterion in the covariance, from a factorisation.

pub mod average;
pub mod by_class;
pub mod dense;
pub mod derivatives;
pub mod frame;
pub mod traces;
