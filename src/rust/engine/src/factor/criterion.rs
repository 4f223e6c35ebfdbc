//! The criterion from its parts.

use crate::products::cross::Products;
use crate::tolerances::SUM_OF_LOGARITHMS;

/// Criterion from its parts: the deviance or the REML criterion in the units of the data. `ld_rx2` and `pwrss`
/// belong to the engine's X and response; `scale` is what the response was divided by.
pub fn criterion_value(design: &Products, ld_l2: f64, ld_rx2: f64, pwrss: f64, scale: f64, reml: bool) -> f64 {
    let nu = degrees_of_freedom(design, reml);
    let fixed = if reml { ld_rx2 + 2.0 * design.transform.log_determinant() } else { 0.0 };
    ld_l2 + fixed + nu * (1.0 + (2.0 * std::f64::consts::PI * pwrss / nu).ln() + 2.0 * scale.ln()) - design.log_weights
}

/// What rounding may have added to a criterion of n rows, at most. `cancellation` is y'Wy / pwrss: as many of the digits of pwrss are lost
/// by the subtractions that leave it.
pub fn rounding(rows: usize, value: f64, cancellation: f64) -> f64 {
    let n = rows as f64;
    SUM_OF_LOGARITHMS * (value.abs() + n) + f64::EPSILON * n * cancellation
}

/// n for maximum likelihood, n less the number of fixed effects for REML.
pub fn degrees_of_freedom(design: &Products, reml: bool) -> f64 {
    design.n as f64 - if reml { design.fixed_columns() as f64 } else { 0.0 }
}
