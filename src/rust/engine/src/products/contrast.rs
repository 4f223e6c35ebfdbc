//! A model with a combination of its fixed effects held at a value: one column less, and an offset.
//!
//! With a'beta = t, and m the element of a that is largest, beta_m = (t - sum of a_l beta_l) / a_m for the others, so that X beta = t h +
//! X_ beta_ with h = x_m / a_m and columns x_l - (a_l / a_m) x_m. The part of h that X_ explains is subtracted from it, h~ = h - X_ gamma:
//! the model is the same, and y - t h~ stays orthogonal to X_, as y is to X (see [`Response`]). All of it comes from the cross-products.

use crate::error::Error;
use crate::linalg::small::{axpy, dot, solve_lower, solve_lower_transpose};
use crate::model::columns::ColumnTransform;
use crate::products::cross::Products;
use crate::products::response::Response;

/// What holding a combination of the fixed effects leaves of a model.
#[derive(Clone, Debug)]
pub struct HeldContrast {
    /// The contrast a, in the engine's coefficients.
    contrast: Vec<f64>,
    /// Its largest element.
    pivot: usize,
    /// What X_ explains of h.
    gamma: Vec<f64>,
    /// Z'W h~.
    pub zh: Vec<f64>,
    /// h~'W h~.
    pub hh: f64,
}

impl Products {
    /// The products of X_, and what is held. There must be no absorbed factor.
    pub fn holding(&self, contrast: &[f64]) -> Result<(Products, HeldContrast), Error> {
        let p = self.p;
        let pivot = (0..p).fold(0, |best, j| if contrast[j].abs() > contrast[best].abs() { j } else { best });
        if self.absorbed.is_some() || contrast.len() != p || contrast[pivot].is_nan() || contrast[pivot] == 0.0 {
            return Err("a contrast of the fixed effects is needed, of a model without an absorbed factor".into());
        }
        let others: Vec<usize> = (0..p).filter(|&j| j != pivot).collect();
        let reduce = |row: &[f64]| -> Vec<f64> { others.iter().map(|&l| row[l] - contrast[l] / contrast[pivot] * row[pivot]).collect() };
        let q = others.len();
        let mut out = self.clone();
        out.p = q;
        out.transform = ColumnTransform { intercept: None, centre: vec![0.0; q], scale: vec![1.0; q] };
        out.zx = self.zx.chunks_exact(p).flat_map(reduce).collect();
        let half: Vec<Vec<f64>> = self.xx.chunks_exact(p).map(reduce).collect(); // X_'x_j, one a column of X
        out.xx = vec![0.0; q * q];
        for i in 0..q {
            let row: Vec<f64> = (0..p).map(|j| half[j][i]).collect();
            out.xx[i * q..(i + 1) * q].copy_from_slice(&reduce(&row));
        }
        let out = out.complete()?;
        let one_over = 1.0 / contrast[pivot];
        let mut gamma: Vec<f64> = half[pivot].iter().map(|v| v * one_over).collect();
        let explained = gamma.clone();
        solve_lower(&out.xx_cholesky, q, &mut gamma);
        solve_lower_transpose(&out.xx_cholesky, q, &mut gamma);
        let mut zh: Vec<f64> = self.zx.iter().skip(pivot).step_by(p).map(|v| v * one_over).collect();
        if q > 0 {
            zh.iter_mut().zip(out.zx.chunks_exact(q)).for_each(|(v, row)| *v -= dot(row, &gamma));
        }
        let hh = self.xx[pivot * p + pivot] * one_over * one_over - dot(&explained, &gamma);
        Ok((out, HeldContrast { contrast: contrast.to_vec(), pivot, gamma, zh, hh }))
    }
}

impl HeldContrast {
    /// Overwrites `out` by the response less the contrast's part where it is `t`, in the unit of the response.
    pub fn respond(&self, response: &Response, t: f64, out: &mut Response) {
        out.clone_from(response);
        out.beta0 = vec![0.0; self.gamma.len()];
        out.xy = vec![0.0; self.gamma.len()];
        axpy(-t, &self.zh, &mut out.zy);
        out.yy += t * t * self.hh;
    }

    /// Coefficients of X from those of X_, where the contrast is `t`.
    pub fn coefficients(&self, beta: &[f64], t: f64) -> Vec<f64> {
        let mut own: Vec<f64> = beta.iter().zip(&self.gamma).map(|(b, g)| b - t * g).collect();
        let others = (0..self.contrast.len()).filter(|&j| j != self.pivot);
        let sum: f64 = others.zip(&own).map(|(j, b)| self.contrast[j] * b).sum();
        own.insert(self.pivot, (t - sum) / self.contrast[self.pivot]);
        own
    }

    /// Derivative of pwrss in `t` where the random effects are `b` = Lambda u: 2 (t h~'Wh~ + (Z'Wh~)'b).
    pub fn slope(&self, t: f64, b: &[f64]) -> f64 {
        2.0 * (t * self.hh + dot(&self.zh, b))
    }
}
