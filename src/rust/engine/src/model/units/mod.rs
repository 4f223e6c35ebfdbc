//! The one place that knows both the caller's units and the engine's.
//!
//! The engine works with columns of size one, which are centred where the model has a constant that makes up for it: with X = (Xs + 1 m')
//! diag(s) for the fixed effects ([`fixed`]) and Z = Zs S for the random ones ([`random`]). Whatever is judged to be small or to vanish is
//! judged in the engine's columns, or row by row, so that no answer depends on the units in which a predictor comes.

pub mod fixed;
pub mod random;
pub mod whitened;
