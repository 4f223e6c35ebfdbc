//! Conversion between the caller's fixed effects and coordinates in which their covariance matrix is the identity.

use crate::linalg::small::{dot, solve_lower, symmetrise, transpose};
use crate::model::absorbed::Absorbed;
use crate::model::columns::ColumnTransform;

/// Coordinates of linear functions of the fixed effects: with R the lower Cholesky factor of C = X'V^-1X for all the engine's columns, V
/// in units of sigma^2, a function l'beta is the vector w = R^-1 l, and its variance is sigma^2 w'w.
#[derive(Clone, Debug)]
pub struct Whitening {
    transform: ColumnTransform,
    absorbed: Option<Absorbed>,
    /// Levels of the absorbed factor.
    levels: usize,
    /// Number of columns.
    pub p: usize,
    /// R.
    pub(crate) root: Vec<f64>,
}

impl Whitening {
    /// Of a Cholesky factor, p x p.
    pub(crate) fn new(transform: &ColumnTransform, absorbed: Option<Absorbed>, levels: usize, root: Vec<f64>) -> Self {
        Whitening { transform: transform.clone(), absorbed, levels, p: root.len().isqrt(), root }
    }

    /// w of a linear function of the caller's coefficients, whose p weights are `l`.
    pub fn whitened(&self, l: &[f64]) -> Vec<f64> {
        let mut out = self.transform.function_to_engine(self.absorbed, self.levels, l);
        solve_lower(&self.root, self.p, &mut out);
        out
    }

    /// w of each of the caller's coefficients, one after the other.
    pub fn units(&self) -> Vec<Vec<f64>> {
        let unit = |j: usize| -> Vec<f64> { (0..self.p).map(|i| f64::from(u8::from(i == j))).collect() };
        (0..self.p).map(|j| self.whitened(&unit(j))).collect()
    }

    /// R A R' of the caller's columns, for a symmetric A: a derivative of C from its whitened one, C itself from the identity.
    pub fn precision_to_caller(&self, whitened: &[f64]) -> Vec<f64> {
        let p = self.p;
        let mut out = whitened.to_vec();
        for _ in 0..2 {
            for column in out.chunks_exact_mut(p.max(1)) {
                let coloured: Vec<f64> = (0..p).map(|r| (0..=r).map(|c| self.root[c * p + r] * column[c]).sum()).collect();
                column.copy_from_slice(&self.transform.product_to_caller(self.absorbed, self.levels, &coloured));
            }
            transpose(&mut out, p);
        }
        symmetrise(&mut out, p);
        out
    }

    /// R'^-1 A R^-1 of the caller's coefficients, for a symmetric A: of the identity their covariance matrix in units of sigma^2.
    pub fn covariance_to_caller(&self, whitened: &[f64]) -> Vec<f64> {
        let p = self.p;
        let rows = self.units();
        let mut out = vec![0.0; p * p];
        for (j, row) in rows.iter().enumerate() {
            let product: Vec<f64> = whitened.chunks_exact(p).map(|column| dot(column, row)).collect();
            rows.iter().enumerate().for_each(|(i, other)| out[j * p + i] = dot(other, &product));
        }
        symmetrise(&mut out, p);
        out
    }
}
