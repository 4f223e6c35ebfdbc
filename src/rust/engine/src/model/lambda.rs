//! The relative covariance factor Lambda, one K x K lower triangle per group.

use crate::linalg::blocks::nth;
use crate::linalg::small::lower_transpose_times;
use crate::model::structure::Structure;

/// Per group the K x K lower triangular relative covariance factor, for the engine's columns unless said otherwise.
pub type Lambda = Vec<Vec<f64>>;

/// Lambda from its free elements.
pub fn lambda_of(structure: &Structure, x: &[f64]) -> Lambda {
    let mut lambda = structure.zero_lambda();
    set_free_elements(structure, x, &mut lambda);
    lambda
}

/// Overwrites the free elements of a Lambda.
pub fn set_free_elements(structure: &Structure, x: &[f64], lambda: &mut Lambda) {
    for (v, e) in x.iter().zip(&structure.entries) {
        lambda[e.group][e.col * structure.groups[e.group].k + e.row] = *v;
    }
}

/// The free elements of a Lambda, in the order of theta.
pub fn free_elements(structure: &Structure, lambda: &Lambda) -> Vec<f64> {
    structure.entries.iter().map(|e| lambda[e.group][e.col * structure.groups[e.group].k + e.row]).collect()
}

/// v := Lambda' v for a vector of all random effects.
pub fn scale_vector(structure: &Structure, lambda: &Lambda, v: &mut [f64]) {
    for (g, group) in structure.groups.iter().enumerate() {
        for level in v[group.offset..group.offset + group.effects()].chunks_exact_mut(group.k) {
            lower_transpose_times(&lambda[g], group.k, level);
        }
    }
}

/// Random effects b = Lambda u in the engine's column scale.
pub fn scale_effects(structure: &Structure, lambda: &Lambda, u: &[f64]) -> Vec<f64> {
    let mut b = u.to_vec();
    for (g, group) in structure.groups.iter().enumerate() {
        let k = group.k;
        for level in b[group.offset..group.offset + group.effects()].chunks_exact_mut(k) {
            for r in (0..k).rev() {
                level[r] = (0..=r).map(|c| lambda[g][c * k + r] * level[c]).sum();
            }
        }
    }
    b
}

/// The k x k block of a term in its group's K x K matrix.
pub fn term_block(matrix: &[f64], big_k: usize, first: usize, k: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(k * k);
    for c in 0..k {
        out.extend_from_slice(&matrix[(first + c) * big_k + first..(first + c) * big_k + first + k]);
    }
    out
}

/// Overwrites the k x k block of a term in its group's K x K matrix.
pub fn set_term_block(matrix: &mut [f64], big_k: usize, first: usize, k: usize, block: &[f64]) {
    for c in 0..k {
        matrix[(first + c) * big_k + first..(first + c) * big_k + first + k].copy_from_slice(nth(block, c, k));
    }
}

/// Lambda Lambda' of a term's block.
pub fn term_covariance(lambda: &[f64], big_k: usize, first: usize, k: usize) -> Vec<f64> {
    let l = term_block(lambda, big_k, first, k);
    let mut out = vec![0.0; k * k];
    for c in 0..k {
        for r in 0..k {
            out[c * k + r] = (0..=r.min(c)).map(|s| l[s * k + r] * l[s * k + c]).sum();
        }
    }
    out
}

pub(crate) fn flip_columns(block: &[f64], k: usize) -> Vec<f64> {
    let mut out = block.to_vec();
    for c in (0..k).filter(|c| block[c * k + c] < 0.0) {
        out[c * k..(c + 1) * k].iter_mut().for_each(|v| *v = -*v);
    }
    out
}
