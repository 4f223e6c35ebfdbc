//! The data, reduced to cross-products.

pub mod accumulate;
pub mod chunk;
pub mod design;
pub mod response;
pub mod stream;
pub mod undetermined;
