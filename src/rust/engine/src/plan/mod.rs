//! What is chosen once per design: the ordering of the Schur complement, its storage, classes of equal levels, the dense way, and
//! what all that takes of memory.

pub mod adjacency;
pub mod classes;
pub mod coupling;
pub mod design;
pub mod memory;
pub mod ordering;
