//! The criterion as a function of theta, and the search for its minimum.

pub mod certificate;
pub mod fallback;
pub mod objective;
pub mod scoring;
pub mod search;
pub mod trust_region;
