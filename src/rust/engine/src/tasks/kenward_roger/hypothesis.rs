//! Tests of linear hypotheses, with Kenward and Roger's denominator degrees of freedom and scale of F.

use crate::error::Error;
use crate::linalg::small::{axpy, cholesky, dot, solve_lower};
use crate::tasks::kenward_roger::KenwardRoger;
use crate::tolerances::REPEATED;

/// A test of a hypothesis L beta = c.
#[derive(Clone, Debug)]
pub struct Test {
    /// Rank of L: the numerator's degrees of freedom.
    pub rank: usize,
    /// The denominator's.
    pub df: f64,
    /// What the Wald statistic over the rank is multiplied by.
    pub scale: f64,
    /// The Wald statistic over the rank.
    pub f: f64,
    /// A1, A2 and, of the approximation of F's mean and variance, V0, V1, V2 and rho.
    pub moments: [f64; 6],
}

impl KenwardRoger {
    /// Tests the rows of L, p values each one after the other, of which `estimates` are L beta - c in units of sigma; rows that others
    /// imply count once.
    ///
    /// # Errors
    /// [`Error::Invalid`] where L is zero or what its rows say can't all be true.
    pub fn test(&self, l: &[f64], estimates: &[f64]) -> Result<Test, Error> {
        let (basis, estimates) = self.independent(l, estimates)?;
        let (rank, p) = (basis.len(), self.p);
        let q = rank as f64;
        let (a1, a2) = self.spreads(&basis);
        let [c1, c2, c3, b] = coefficients(a1, a2, q);
        let (v0, v1, v2) = (1.0 + c1 * b, 1.0 - c2 * b, 1.0 - c3 * b);
        let v0 = if v0.abs() < 1e-10 { 0.0 } else { v0 };
        let left = 1.0 - a2 / q;
        let ratio = if left.abs() < 1e-14 && v1.abs() < 1e-14 { 1.0 } else { left / v1 };
        let rho = ratio * ratio * v0 / v2 / q;
        let df = 4.0 + (q + 2.0) / (q * rho - 1.0);
        let scale = if (df - 2.0).abs() < 0.01 { 1.0 } else { df * left / (df - 2.0) };
        let mut variance = vec![0.0; rank * rank];
        for (j, u) in basis.iter().enumerate() {
            let product: Vec<f64> = self.adjusted.chunks_exact(p).map(|column| dot(column, u)).collect();
            (0..rank).for_each(|i| variance[j * rank + i] = dot(&basis[i], &product));
        }
        if !cholesky(&mut variance, rank) {
            return Err(Error::NotPositiveDefinite);
        }
        let mut standard = estimates;
        solve_lower(&variance, rank, &mut standard);
        Ok(Test { rank, df, scale, f: dot(&standard, &standard) / q, moments: [a1, a2, v0, v1, v2, rho] })
    }

    /// An orthonormal basis of the whitened rows, and what the estimates are in it.
    fn independent(&self, l: &[f64], estimates: &[f64]) -> Result<(Vec<Vec<f64>>, Vec<f64>), Error> {
        let (mut basis, mut coordinates): (Vec<Vec<f64>>, Vec<f64>) = (Vec::new(), Vec::new());
        for (row, estimate) in l.chunks_exact(self.p).zip(estimates) {
            let mut w = self.whitened(row);
            let (length, mut left, mut size) = (dot(&w, &w).sqrt(), *estimate, estimate.abs());
            for _ in 0..2 {
                // the second time for what rounding left
                for (u, coordinate) in basis.iter().zip(&coordinates) {
                    let share = dot(u, &w);
                    axpy(-share, u, &mut w);
                    left -= share * coordinate;
                    size = size.max((share * coordinate).abs());
                }
            }
            let rest = dot(&w, &w).sqrt();
            if rest <= REPEATED * length || rest == 0.0 {
                if left.abs() > 1e-6 * size.max(1e-6) {
                    return Err("the rows of the hypothesis contradict each other".into());
                }
                continue;
            }
            w.iter_mut().for_each(|v| *v /= rest);
            basis.push(w);
            coordinates.push(left / rest);
        }
        if basis.is_empty() {
            return Err("the hypothesis is about no fixed effect: all of its coefficients are zero".into());
        }
        Ok((basis, coordinates))
    }

    /// A1 = sum of W_ij tr(D_i) tr(D_j) and A2 = sum of W_ij tr(D_i D_j) with D_i = U'P_iU for a basis U.
    fn spreads(&self, basis: &[Vec<f64>]) -> (f64, f64) {
        let (q, m) = (basis.len(), self.derivatives.len());
        let restricted: Vec<Vec<f64>> = self.derivatives.iter().map(|d| restricted(d, basis)).collect();
        let traces: Vec<f64> = restricted.iter().map(|d| (0..q).map(|i| d[i * q + i]).sum()).collect();
        let (mut a1, mut a2) = (0.0, 0.0);
        for j in 0..m {
            for i in 0..m {
                a1 += self.w[j * m + i] * traces[i] * traces[j];
                a2 += self.w[j * m + i] * dot(&restricted[i], &restricted[j]);
            }
        }
        (a1, a2)
    }
}

/// U'DU for a symmetric D.
fn restricted(d: &[f64], basis: &[Vec<f64>]) -> Vec<f64> {
    let (p, q) = (basis[0].len(), basis.len());
    let mut out = vec![0.0; q * q];
    for (j, u) in basis.iter().enumerate() {
        let product: Vec<f64> = d.chunks_exact(p).map(|column| dot(column, u)).collect();
        (0..q).for_each(|i| out[j * q + i] = dot(&basis[i], &product));
    }
    out
}

/// c1, c2, c3 and B of section 3.
fn coefficients(a1: f64, a2: f64, q: f64) -> [f64; 4] {
    let g = ((q + 1.0) * a1 - (q + 4.0) * a2) / ((q + 2.0) * a2);
    let below = 3.0 * q + 2.0 * (1.0 - g);
    [g / below, (q - g) / below, (q + 2.0 - g) / below, (a1 + 6.0 * a2) / (2.0 * q)]
}
