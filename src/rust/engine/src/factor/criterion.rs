//! The criterion from its parts.

use crate::plan::design::Design;

/// Criterion from its parts: the deviance or the REML criterion in the units of the data. `log_det_x` and `r2`
/// belong to the engine's X and response; `scale` is what the response was divided by.
pub fn criterion_value(design: &Design, log_det_m: f64, log_det_x: f64, r2: f64, scale: f64, reml: bool) -> f64 {
    let nu = degrees_of_freedom(design, reml);
    let fixed = if reml { log_det_x + 2.0 * design.transform.log_determinant() } else { 0.0 };
    log_det_m + fixed + nu * (1.0 + (2.0 * std::f64::consts::PI * r2 / nu).ln() + 2.0 * scale.ln()) - design.log_weights
}

/// n for maximum likelihood, n less the number of fixed effects for REML.
pub fn degrees_of_freedom(design: &Design, reml: bool) -> f64 {
    design.n as f64 - if reml { design.fixed_columns() as f64 } else { 0.0 }
}
