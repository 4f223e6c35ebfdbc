//! What is modelled: rows, terms, grouping factors, and the map from theta to Lambda.

pub mod absorbed;
pub mod basis;
pub mod columns;
pub mod coordinates;
pub mod covariance;
pub mod group;
pub mod lambda;
pub mod levels;
pub mod order;
pub mod rows;
pub mod structure;
pub mod units;
