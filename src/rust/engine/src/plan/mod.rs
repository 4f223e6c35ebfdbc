//! What is chosen once per design: the ordering, sparse or dense, and what it takes of memory.

pub mod memory;
pub mod schur;
