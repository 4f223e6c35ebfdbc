//! Least squares from cross-products that may be singular.

use crate::tolerances::COLLINEAR;

/// Coefficients of a least-squares regression whose cross-products are given; zero for a column that is a combination of
/// earlier ones.
pub fn regression(vv: &[f64], vy: &[f64], d: usize) -> Vec<f64> {
    solve(vv, vy, d, COLLINEAR)
}

pub(crate) fn solve(vv: &[f64], vy: &[f64], d: usize, least: f64) -> Vec<f64> {
    let (l, kept) = square_root(vv, d, least);
    let mut b = vy.to_vec();
    for c in 0..d {
        b[c] = if kept[c] { (b[c] - (0..c).map(|s| l[s * d + c] * b[s]).sum::<f64>()) / l[c * d + c] } else { 0.0 };
    }
    for c in (0..d).rev().filter(|&c| kept[c]) {
        b[c] = (b[c] - (c + 1..d).filter(|&r| kept[r]).map(|r| l[c * d + r] * b[r]).sum::<f64>()) / l[c * d + c];
    }
    b
}

/// Lower triangular L with L L' = A for a symmetric positive semidefinite A, and which columns have a pivot: none where
/// less than the share `least` of the diagonal element is left (the column of L is zero there).
pub fn square_root(a: &[f64], d: usize, least: f64) -> (Vec<f64>, Vec<bool>) {
    let mut l = vec![0.0; d * d];
    let mut kept = vec![false; d];
    for c in 0..d {
        for r in c..d {
            l[c * d + r] = a[c * d + r] - (0..c).map(|s| l[s * d + r] * l[s * d + c]).sum::<f64>();
        }
        let pivot = l[c * d + c];
        kept[c] = pivot > least * a[c * d + c];
        let root = if kept[c] { pivot.sqrt() } else { f64::INFINITY };
        l[c * d + c..(c + 1) * d].iter_mut().for_each(|v| *v /= root);
    }
    (l, kept)
}
