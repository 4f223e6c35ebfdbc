//! The X of a model as a combination of the raw columns of a stream.

use crate::linalg::blocks::{nth, nth_mut};
use crate::linalg::small::dot;
use crate::model::columns::ColumnTransform;
use crate::products::accumulate::CrossProducts;

/// The engine's X as a combination of the centred raw columns.
pub(crate) struct Fixed {
    pub(crate) p: usize,
    pub(crate) transform: ColumnTransform,
    /// Per column of X its non-zero coefficients.
    pub(crate) coefficients: Vec<Vec<(usize, f64)>>,
}

impl Fixed {
    /// X = V C with V = (centred V) + 1 m'. The cross-products must be on the means, so that m are the means.
    pub(crate) fn new(products: &CrossProducts, columns: &[f64], p: usize) -> Self {
        let (d, total) = (products.d(), products.total_weight());
        let varies = |j: usize| columns[j * d + 1..(j + 1) * d].iter().any(|c| *c != 0.0);
        let intercept = (0..p).find(|&j| columns[j * d] != 0.0 && !varies(j));
        let (mut centre, mut scale, mut coefficients) = (vec![0.0; p], vec![1.0; p], Vec::with_capacity(p));
        for j in 0..p {
            let column = nth(columns, j, d);
            if intercept == Some(j) {
                scale[j] = column[0];
                coefficients.push(vec![(0, 1.0)]);
                continue;
            }
            let level = column[0] + dot(&column[1..], &products.centre[1..]);
            if intercept.is_some() {
                centre[j] = level;
            }
            let mut own = column.to_vec();
            own[0] = level - centre[j];
            let square: f64 = own.iter().zip(products.vv.chunks_exact(d)).map(|(c, row)| c * dot(row, &own)).sum();
            let rms = (square / total).sqrt();
            if rms > 0.0 && rms.is_finite() {
                scale[j] = rms;
            }
            let scaled = own.iter().enumerate().filter(|(_, c)| **c != 0.0);
            coefficients.push(scaled.map(|(i, c)| (i, c / scale[j])).collect());
        }
        Fixed { p, transform: ColumnTransform { intercept, centre, scale }, coefficients }
    }

    /// Row times the coefficients: X'v from V'v, and a row of Z'WX from one of Z'WV.
    pub(crate) fn combine(&self, raw: &[f64], out: &mut [f64]) {
        for (slot, column) in out.iter_mut().zip(&self.coefficients) {
            *slot = column.iter().map(|&(i, c)| c * raw[i]).sum();
        }
    }

    /// Coefficients of the raw columns from those of X.
    pub(crate) fn expand(&self, beta: &[f64], d: usize) -> Vec<f64> {
        let mut out = vec![0.0; d];
        for (b, column) in beta.iter().zip(&self.coefficients) {
            column.iter().for_each(|&(i, c)| out[i] += b * c);
        }
        out
    }

    /// X'WX.
    pub(crate) fn cross_product(&self, products: &CrossProducts) -> Vec<f64> {
        let (d, p) = (products.d(), self.p);
        let mut half = vec![0.0; d * p];
        products.vv.chunks_exact(d).zip(half.chunks_exact_mut(p.max(1))).for_each(|(row, out)| self.combine(row, out));
        let mut out = vec![0.0; p * p];
        let mut raw = vec![0.0; d];
        for j in 0..p {
            (0..d).for_each(|i| raw[i] = half[i * p + j]);
            self.combine(&raw, nth_mut(&mut out, j, p));
        }
        crate::linalg::small::symmetrise(&mut out, p);
        out
    }

    /// Sum of squares of a column of X minus its mean.
    pub(crate) fn centred_square(&self, products: &CrossProducts, columns: &[f64], j: usize) -> f64 {
        let d = products.d();
        let mut own = columns[j * d..(j + 1) * d].to_vec();
        own[0] = 0.0;
        own.iter().zip(products.vv.chunks_exact(d)).map(|(c, row)| c * dot(row, &own)).sum()
    }
}
