//! Dense and sparse kernels that know nothing of models.

pub mod blocked;
pub mod blocks;
pub mod eigen;
pub mod lanes;
pub mod log_product;
pub mod long;
pub mod positive;
pub mod scratch;
pub mod small;
pub mod sparse;
pub mod symmetric;
