//! Factorisation and solution at one theta, in three ways: for any design, by classes of equal levels, and with a dense cross block.

pub mod blocks;
pub mod by_class;
pub mod criterion;
pub mod dense;
pub mod rows;
pub mod solution;
