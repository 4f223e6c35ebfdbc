//! Dense and sparse kernels that know nothing of models.

pub mod blocked;
pub mod small;
