//! The criterion as a function of theta, and the search for its minimum.

pub mod certificate;
pub mod criterion;
pub mod descent;
pub mod fallback;
pub mod held;
pub mod ridge;
pub mod scoring;
pub mod search;
pub mod step;
pub mod structured;
pub mod theta;
pub mod trust_region;
