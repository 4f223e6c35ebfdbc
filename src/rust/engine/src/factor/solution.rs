//! The solution for one response at one theta.

use crate::factor::blocks::{Factor, NotPositiveDefinite};
use crate::linalg::blocks::{add_cross_product, nth};
use crate::linalg::long::long_dot;
use crate::linalg::scratch::Scratch;
use crate::linalg::small::{axpy, cholesky, dot, log_diagonal, solve_lower, solve_lower_transpose};
use crate::model::lambda::scale_vector;
use crate::parallel::Workers;
use crate::plan::design::System;
use crate::products::response::Response;

/// The solution for one response at one theta.
#[derive(Clone, Debug)]
pub struct Solution {
    /// Coefficients of the engine's X for the engine's response.
    pub beta: Vec<f64>,
    /// Spherical random effects u.
    pub u: Vec<f64>,
    /// Penalised residual sum of squares.
    pub pwrss: f64,
    /// L^-1 Lambda'Z'Wy.
    pub half: Vec<f64>,
}

impl Solution {
    /// Allocates for a design.
    pub fn new(design: &System) -> Self {
        Solution { beta: vec![0.0; design.p], u: vec![0.0; design.structure.q], pwrss: 0.0, half: vec![0.0; design.structure.q] }
    }

    /// Solves for beta and u:
    /// `c = L^-1 Lambda'Z'Wy`, `X'V^-1X beta = X'Wy - rzx'c`, `L'u = c - rzx beta`,
    /// `pwrss = y'Wy - c'c - |L_x^-1 (X'Wy - rzx'c)|^2`.
    pub fn solve(&mut self, design: &System, response: &Response, factor: &Factor, scratch: &mut Scratch, workers: &Workers) {
        let p = design.p;
        self.half.copy_from_slice(&response.zy);
        scale_vector(&design.structure, &factor.lambda, &mut self.half);
        factor.forward(design, &mut self.half, 1, scratch, workers);
        let Solution { beta, u, pwrss, half } = self;
        solve_fixed(p, &factor.rzx, &factor.rx, response, half, beta, u, pwrss);
        factor.backward(design, u, 1, scratch, workers);
    }
}

/// Cholesky factor of X'V^-1X = X'WX - rzx'rzx; its log determinant.
pub fn factor_fixed(design: &System, rzx: &[f64], rx: &mut [f64]) -> Result<f64, NotPositiveDefinite> {
    let p = design.p;
    rx.copy_from_slice(&design.xx);
    add_cross_product(rx, rzx, p, -1.0);
    let log_det = if cholesky(rx, p) { 2.0 * log_diagonal(rx, p) } else { f64::NAN };
    if log_det.is_finite() {
        Ok(log_det)
    } else {
        Err(NotPositiveDefinite)
    }
}

/// What of a solution depends on c = `half` alone: beta, L'u and pwrss.
#[allow(clippy::too_many_arguments)]
pub fn solve_fixed(p: usize, rzx: &[f64], rx: &[f64], response: &Response, half: &[f64], beta: &mut [f64], u: &mut [f64], pwrss: &mut f64) {
    beta.copy_from_slice(&response.xy);
    for (c, row) in half.iter().zip(rzx.chunks_exact(p.max(1))) {
        axpy(-c, row, beta);
    }
    *pwrss = response.yy - long_dot(half, half);
    solve_lower(rx, p, beta);
    *pwrss -= dot(beta, beta);
    *pwrss = pwrss.max(f64::EPSILON * f64::EPSILON * response.yy.max(f64::MIN_POSITIVE));
    solve_lower_transpose(rx, p, beta);
    for (i, u) in u.iter_mut().enumerate() {
        *u = half[i] - dot(nth(rzx, i, p), beta);
    }
}
