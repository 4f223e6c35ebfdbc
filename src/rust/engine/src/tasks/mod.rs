//! What a user asks for.

pub mod batch;
pub mod fit;
pub mod fixed_covariance;
pub mod simulate;
