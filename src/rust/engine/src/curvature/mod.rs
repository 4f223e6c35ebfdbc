//! Derivatives of the criterion in the covariance, from a factorisation.

pub mod derivatives;
