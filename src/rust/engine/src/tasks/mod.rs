//! What a user asks for.

pub mod batch;
pub mod evaluate;
pub mod fit;
pub mod fixed_covariance;
pub mod hat;
pub mod influence;
pub mod kenward_roger;
pub mod marginal;
pub mod model;
pub mod predict;
pub mod profile;
pub mod satterthwaite;
pub mod simulate;
pub mod spread;
pub mod structured;
