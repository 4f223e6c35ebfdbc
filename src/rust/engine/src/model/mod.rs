//! What is modelled: rows, terms, grouping factors, and the map from theta to Lambda.

pub mod absorbed;
pub mod levels;
pub mod terms;
