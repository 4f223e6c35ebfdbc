//! The data, reduced to cross-products.

pub mod accumulate;
pub mod alone;
pub mod chunk;
pub mod components;
pub mod contrast;
pub mod cross;
pub mod cross_blocks;
pub mod fixed;
pub mod form;
pub mod parts;
pub mod regression;
pub mod response;
pub mod stream;
pub mod sums;
pub mod undetermined;
pub mod without;
