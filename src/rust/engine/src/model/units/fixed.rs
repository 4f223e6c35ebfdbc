//! Conversion between the caller's columns of the fixed effects and the engine's: of coefficients, their covariance and its factor.

use crate::linalg::blocks::nth_mut;
use crate::linalg::small::{inverse_from_cholesky, symmetrise};
use crate::model::absorbed::Absorbed;
use crate::model::columns::ColumnTransform;

impl ColumnTransform {
    /// Coefficients of the caller's columns from those of the centred and scaled ones, in place.
    pub fn to_caller(&self, beta: &mut [f64]) {
        for (b, s) in beta.iter_mut().zip(&self.scale) {
            *b /= s;
        }
        if let Some(j0) = self.intercept {
            beta[j0] -= self.shift(beta) / self.scale[j0];
        }
    }

    /// A row's values of the engine's columns from those of the caller's, in place, so that x'beta stays what it is: the centre goes with
    /// the constant column, or with an absorbed factor.
    pub fn row_to_engine(&self, x: &mut [f64], absorbed: bool) {
        let constant = match self.intercept {
            Some(j0) => x[j0] / self.scale[j0],
            None if absorbed => 1.0,
            None => 0.0,
        };
        for (x, (m, s)) in x.iter_mut().zip(self.centre.iter().zip(&self.scale)) {
            *x = (*x - m * constant) / s;
        }
    }

    /// What centring the columns took from the constants of an absorbed factor's levels; `beta` belongs to the caller's columns.
    pub fn shift(&self, beta: &[f64]) -> f64 {
        beta.iter().zip(&self.centre).map(|(b, m)| b * m).sum()
    }

    /// Sum of the logarithms of the scales: log det of the transformation.
    pub fn log_determinant(&self) -> f64 {
        self.scale.iter().map(|s| s.abs().ln()).sum()
    }

    /// All coefficients of the caller's fixed effects from those of the engine's X, p long, and the constants of an absorbed factor's
    /// levels (none without one).
    pub fn coefficients(&self, absorbed: Option<Absorbed>, mut beta: Vec<f64>, mut levels: Vec<f64>) -> Vec<f64> {
        self.to_caller(&mut beta);
        let Some(absorbed) = absorbed else { return beta };
        let shift = self.shift(&beta);
        levels.iter_mut().for_each(|c| *c -= shift);
        absorbed.coefficients(&beta, &levels)
    }

    /// (X'V^-1X)^-1 for the caller's columns: T C T' where beta = T beta of the engine's columns.
    pub fn covariance_to_caller(&self, rx: &[f64]) -> Vec<f64> {
        let p = self.scale.len();
        let mut c = inverse_from_cholesky(rx, p);
        for j in 0..p {
            self.to_caller(nth_mut(&mut c, j, p));
        }
        let mut row = vec![0.0; p];
        for i in 0..p {
            (0..p).for_each(|j| row[j] = c[j * p + i]);
            self.to_caller(&mut row);
            (0..p).for_each(|j| c[j * p + i] = row[j]);
        }
        symmetrise(&mut c, p);
        c
    }

    /// The factor R' of X'V^-1X of all fixed effects, those of an absorbed factor and the `others`, from the engine's columns to the
    /// caller's, whose columns of R are the engine's times `scale` plus those that add up to the constant times `centre`; it stays
    /// triangular, for these come first.
    pub fn whole_factor_to_caller(&self, absorbed: Absorbed, others: &[usize], lower: &mut [f64]) {
        let total = lower.len().isqrt();
        let constant = if absorbed.intercept { 0..1 } else { absorbed.first..absorbed.first + total - others.len() };
        for (r, row) in lower.chunks_exact_mut(total).enumerate() {
            let sum: f64 = row[constant.start.max(r)..constant.end.max(r)].iter().sum();
            for (j, &column) in others.iter().enumerate().filter(|(_, &column)| column >= r) {
                row[column] = row[column] * self.scale[j] + self.centre[j] * sum;
            }
        }
    }

    /// Upper triangular R with R'R = X'V^-1X: the engine's factor times T^-1, made triangular again by Givens
    /// rotations where the intercept is not the first column.
    pub fn right_factor(&self, rx: &[f64]) -> Vec<f64> {
        let p = self.scale.len();
        let mut r = vec![0.0; p * p];
        for j in 0..p {
            for i in 0..=j {
                r[j * p + i] = rx[i * p + j] * self.scale[j]; // R = L'
            }
        }
        if let Some(j0) = self.intercept {
            let own: Vec<f64> = (0..p).map(|i| r[j0 * p + i] / self.scale[j0]).collect();
            for j in (0..p).filter(|&j| j != j0) {
                (0..p).for_each(|i| r[j * p + i] += own[i] * self.centre[j]);
            }
        }
        for c in 0..p {
            for i in (c + 1..p).rev() {
                givens(&mut r, p, c, i);
            }
            if r[c * p + c] < 0.0 {
                (c..p).for_each(|j| r[j * p + c] = -r[j * p + c]);
            }
        }
        r
    }
}

/// Linear functions of the coefficients. All columns of the fixed effects are here those of an absorbed factor's levels, if there is one,
/// and then the engine's X.
impl ColumnTransform {
    /// The row a with a'(engine's coefficients) = l'(caller's coefficients) for a row l: the transpose of
    /// [`ColumnTransform::coefficients`].
    pub fn function_to_engine(&self, absorbed: Option<Absorbed>, levels: usize, l: &[f64]) -> Vec<f64> {
        let Some(absorbed) = absorbed else {
            let constant = self.intercept.map_or(0.0, |j| l[j] / self.scale[j]);
            let columns = l.iter().zip(&self.scale).zip(&self.centre);
            return columns.map(|((l, scale), centre)| (l - centre * constant) / scale).collect();
        };
        let mut out: Vec<f64> = (0..levels).map(|level| absorbed.own_column(level).map_or(0.0, |c| l[c])).collect();
        let sum: f64 = out.iter().sum();
        if absorbed.intercept {
            out[0] += l[0] - sum;
        }
        let constant = if absorbed.intercept { l[0] } else { sum };
        let others = absorbed.other_columns(levels, l.len());
        out.extend(others.iter().zip(&self.scale).zip(&self.centre).map(|((&c, scale), centre)| (l[c] - centre * constant) / scale));
        out
    }

    /// v'X of the caller's X from v'X of all engine's columns.
    pub fn product_to_caller(&self, absorbed: Option<Absorbed>, levels: usize, product: &[f64]) -> Vec<f64> {
        let (own, others) = product.split_at(levels);
        let column = |j: usize, constant: f64| others[j] * self.scale[j] + self.centre[j] * constant;
        let Some(absorbed) = absorbed else {
            let constant = self.intercept.map_or(0.0, |j| others[j]);
            return (0..others.len()).map(|j| column(j, constant)).collect();
        };
        let mut out = vec![0.0; product.len()];
        let constant: f64 = own.iter().sum();
        own.iter().enumerate().for_each(|(level, v)| absorbed.columns(level).for_each(|c| out[c] += v));
        absorbed.other_columns(levels, out.len()).into_iter().enumerate().for_each(|(j, c)| out[c] = column(j, constant));
        out
    }
}

/// Rotates rows c and i so that element (i, c) vanishes.
fn givens(r: &mut [f64], p: usize, c: usize, i: usize) {
    let (a, b) = (r[c * p + c], r[c * p + i]);
    if b == 0.0 {
        return;
    }
    let h = a.hypot(b);
    let (cos, sin) = (a / h, b / h);
    for j in c..p {
        let (x, y) = (r[j * p + c], r[j * p + i]);
        r[j * p + c] = cos * x + sin * y;
        r[j * p + i] = cos * y - sin * x;
    }
    r[c * p + i] = 0.0;
}
