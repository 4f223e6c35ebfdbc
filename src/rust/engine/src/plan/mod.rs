//! What is chosen once per design: the ordering of the Schur complement, its storage, classes of equal levels, the dense way, and how much
//! memory all that takes.

pub mod adjacency;
pub mod classes;
pub mod coupling;
pub mod design;
pub mod memory;
pub mod ordering;
