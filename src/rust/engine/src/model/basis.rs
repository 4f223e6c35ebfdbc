//! Bases of a term's rows in which the parameter that a profile holds at a value has a simple form, see [`crate::model::coordinates`].

use crate::linalg::blocks::add_product;
use crate::linalg::small::{dot, transpose};
use crate::model::structure::Structure;

/// A term's rows and the basis that its Lambda is taken in.
#[derive(Clone, Debug)]
pub struct TermBasis {
    /// Group that the term belongs to.
    pub group: usize,
    /// The term's first column there.
    pub first: usize,
    /// Its columns.
    pub k: usize,
    /// Where its elements of theta begin.
    pub at: usize,
    /// How many rows of the basis the held parameter is about.
    pub held: usize,
    /// B, k x k, column by column.
    pub basis: Vec<f64>,
    /// B^-1.
    pub inverse: Vec<f64>,
}

impl TermBasis {
    /// Where element (row, col) of the lower triangle stands among all.
    pub fn place(&self, row: usize, col: usize) -> usize {
        self.at + col * self.k - col * col.saturating_sub(1) / 2 + row - col
    }

    /// The elements of a lower triangle from those of all terms.
    pub fn triangle(&self, y: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.k * self.k];
        for c in 0..self.k {
            (c..self.k).for_each(|r| out[c * self.k + r] = y[self.place(r, c)]);
        }
        out
    }

    /// B^-1 A B^-T for a symmetric A: a covariance in the engine's columns.
    pub fn to_engine(&self, a: &mut Vec<f64>) {
        if self.held > 0 {
            *a = congruent(&self.inverse, a, self.k);
        }
    }

    /// B^-T D B^-1 for a symmetric D: a derivative in the covariance of L.
    pub fn pull_back(&self, d: &mut Vec<f64>) {
        if self.held > 0 {
            let mut transposed = self.inverse.clone();
            transpose(&mut transposed, self.k);
            *d = congruent(&transposed, d, self.k);
        }
    }
}

/// M A M'.
fn congruent(m: &[f64], a: &[f64], k: usize) -> Vec<f64> {
    let half = product(m, a, k);
    let mut transposed = m.to_vec();
    transpose(&mut transposed, k);
    product(&half, &transposed, k)
}

pub(crate) fn product(a: &[f64], b: &[f64], k: usize) -> Vec<f64> {
    let mut out = vec![0.0; k * k];
    add_product(a, b, k, &mut out);
    out
}

/// The terms in their own rows.
pub(crate) fn plain_terms(structure: &Structure) -> Vec<TermBasis> {
    let count: usize = structure.groups.iter().map(|g| g.terms.len()).sum();
    let mut at = 0;
    let term = |index| {
        let (group, first) = Structure::locate(&structure.groups, index);
        let k = structure.groups[group].terms.iter().find(|t| t.0 == index).expect("located there").1;
        let basis = TermBasis { group, first, k, at, held: 0, basis: Vec::new(), inverse: Vec::new() };
        at += k * (k + 1) / 2;
        basis
    };
    (0..count).map(term).collect()
}

/// Puts the rows of the caller's columns first, over their lengths, which are returned. What completes the basis are the engine's own
/// rows but those that the first ones are nearest to.
pub(crate) fn set_basis(structure: &Structure, term: &mut TermBasis, rows: &[usize]) -> Vec<f64> {
    let (k, group) = (term.k, &structure.groups[term.group]);
    let mut lengths = Vec::new();
    let mut basis = vec![0.0; k * k];
    for (i, row) in rows.iter().enumerate() {
        // the row of S^-1 that gives the caller's effect
        let mut own = vec![0.0; k];
        for (j, slot) in own.iter_mut().enumerate() {
            let mut unit = vec![0.0; group.k];
            unit[term.first + j] = 1.0;
            group.to_caller(&mut unit);
            *slot = unit[term.first + row];
        }
        let length = dot(&own, &own).sqrt();
        (0..k).for_each(|j| basis[j * k + i] = own[j] / length);
        lengths.push(length);
    }
    let mut rest: Vec<usize> = (0..k).collect();
    let mut left: Vec<Vec<f64>> = (0..rows.len()).map(|i| (0..k).map(|j| basis[j * k + i]).collect()).collect();
    for i in 0..rows.len() {
        let nearest = (0..rest.len()).fold(0, |best, j| if left[i][rest[j]].abs() > left[i][rest[best]].abs() { j } else { best });
        let column = rest.remove(nearest);
        for l in i + 1..rows.len() {
            let factor = left[l][column] / left[i][column];
            (0..k).for_each(|j| left[l][j] -= factor * left[i][j]);
        }
    }
    rest.iter().enumerate().for_each(|(i, &j)| basis[j * k + rows.len() + i] = 1.0);
    term.inverse = inverse(&basis, k);
    term.basis = basis;
    term.held = rows.len();
    lengths
}

/// Inverse of a small matrix, by elimination with row exchanges.
fn inverse(a: &[f64], k: usize) -> Vec<f64> {
    let mut a = a.to_vec();
    let mut out: Vec<f64> = (0..k * k).map(|i| f64::from(u8::from(i % k == i / k))).collect();
    for c in 0..k {
        let pivot = (c..k).fold(c, |best, r| if a[c * k + r].abs() > a[c * k + best].abs() { r } else { best });
        for m in [&mut a, &mut out] {
            m.chunks_exact_mut(k).for_each(|column| column.swap(c, pivot));
        }
        let own = a[c * k + c];
        for m in [&mut a, &mut out] {
            m.chunks_exact_mut(k).for_each(|column| column[c] /= own);
        }
        for r in (0..k).filter(|&r| r != c) {
            let factor = a[c * k + r];
            for m in [&mut a, &mut out] {
                m.chunks_exact_mut(k).for_each(|column| column[r] -= factor * column[c]);
            }
        }
    }
    out
}
