//! A start for the optimiser: one step of Fisher's scoring in the covariances.
//!
//! In a covariance the criterion of a balanced one-way layout is q log v + S / v, whose minimum Newton's method overshoots from afar.
//! Scoring, with the expected second derivative q / v^2, reaches it in one step from anywhere. With D the derivative in the covariance and
//! T_j = [Z'V^-1Z]_jj the expected second derivatives in directions S_k are tr(V^-1 V_k V^-1 V_l) - tr(V^-1 V_k) tr(V^-1 V_l) / nu, of
//! which, with several factors of many effects, only the blocks of single levels, sum over j of tr(T_j S_k T_j S_l), are used: the step has
//! to be good, not exact (Harville 1977, doi:10.1080/01621459.1977.10480998).

use crate::curvature::frame::Frame;
use crate::factor::criterion::degrees_of_freedom;
use crate::linalg::blocks::nth_mut;
use crate::linalg::eigen::symmetric_eigen;
use crate::linalg::small::{
    cholesky, contract, dot, semidefinite_cholesky, solve_lower, solve_lower_transpose, solve_lower_transpose_rows,
};
use crate::model::lambda::{free_elements, lambda_of, set_term_block, term_block};
use crate::model::structure::Structure;
use crate::optimise::criterion::Criterion;
use crate::optimise::trust_region::Objective;
use crate::tolerances::{FLAT, LEAST_VARIANCE};

/// The free elements of Lambda after one step of scoring from `from`; `None` where it cannot be computed.
pub fn scoring_step(criterion: &mut Criterion, from: Vec<f64>) -> Option<Vec<f64>> {
    let at = criterion.evaluate(from)?;
    let design = criterion.design;
    let structure = &design.structure;
    let mut lambda = lambda_of(structure, &at.x);
    let basis = Frame::covariances(structure).directions;
    let mut expected = match criterion.expected_information() {
        Some(expected) => expected,
        None => blockwise_information(criterion, &lambda, &basis),
    };
    let n = structure.entries.len();
    for (i, e) in structure.entries.iter().enumerate() {
        // Where the fixed effects span the random ones the criterion is flat, and the step would be one rounding error over another.
        let size = |row: usize| natural_of(structure, &criterion.natural, e.group, row);
        let most = structure.groups[e.group].levels as f64 / (size(e.row) * size(e.col)).powi(2);
        expected[i * n + i] = expected[i * n + i] * (1.0 + 1e-10) + FLAT * most;
    }
    let mut step: Vec<f64> = structure.entries.iter().zip(&basis).map(|(e, s)| -dot(&criterion.covariance[e.group], s)).collect();
    if !cholesky(&mut expected, n) {
        return None;
    }
    solve_lower(&expected, n, &mut step);
    solve_lower_transpose(&expected, n, &mut step);

    for (g, group) in structure.groups.iter().enumerate() {
        let mut sigma = vec![0.0; group.k * group.k];
        for c in 0..group.k {
            for r in 0..group.k {
                sigma[c * group.k + r] = (0..=r.min(c)).map(|s| lambda[g][s * group.k + r] * lambda[g][s * group.k + c]).sum();
            }
        }
        for ((_, s), step) in structure.entries.iter().zip(&basis).zip(&step).filter(|((e, _), _)| e.group == g) {
            sigma.iter_mut().zip(s).for_each(|(v, s)| *v += step * s);
        }
        for &(index, k, first) in &group.terms {
            let natural: Vec<f64> = (0..k).map(|r| natural_size(structure, &criterion.natural, index, r)).collect();
            let block = keep_positive(term_block(&sigma, group.k, first, k), &natural, k)?;
            set_term_block(&mut lambda[g], group.k, first, k, &semidefinite_cholesky(&block, k));
        }
    }
    Some(free_elements(structure, &lambda))
}

/// Natural size of a row of a group's Lambda.
fn natural_of(structure: &Structure, natural: &[f64], group: usize, row: usize) -> f64 {
    let at = structure.entries.iter().position(|e| e.group == group && e.row == row && e.col == row);
    natural[at.expect("every row has a diagonal element")]
}

/// The expected second derivatives from the blocks of single levels.
fn blockwise_information(criterion: &mut Criterion, lambda: &[Vec<f64>], basis: &[Vec<f64>]) -> Vec<f64> {
    let design = criterion.design;
    let structure = &design.structure;
    let nu = degrees_of_freedom(criterion.design, criterion.reml);
    let (squares, sums) = information(criterion, lambda);
    let n = structure.entries.len();
    let traces: Vec<f64> = structure.entries.iter().zip(basis).map(|(e, s)| dot(&sums[e.group], s)).collect();
    let widest = structure.widest();
    let (mut expected, mut image) = (vec![0.0; n * n], vec![0.0; widest * widest]);
    for (i, a) in structure.entries.iter().enumerate() {
        let k = structure.groups[a.group].k;
        let image = &mut image[..k * k];
        contract(&squares[a.group], &basis[i], k, image);
        for (j, b) in structure.entries.iter().enumerate() {
            let own = if a.group == b.group { dot(image, &basis[j]) } else { 0.0 };
            expected[j * n + i] = own - traces[i] * traces[j] / nu;
        }
    }
    expected
}

/// Per group the sums over levels of T_j (x) T_j and of T_j, with T_j = Lambda^-T (I - [M^-1]_jj) Lambda^-1.
fn information(criterion: &mut Criterion, lambda: &[Vec<f64>]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let design = criterion.design;
    let groups = &design.structure.groups;
    let mut squares: Vec<Vec<f64>> = groups.iter().map(|g| vec![0.0; g.k.pow(4)]).collect();
    let mut sums: Vec<Vec<f64>> = groups.iter().map(|g| vec![0.0; g.k * g.k]).collect();
    let mut t = Vec::new();
    criterion.for_each_inverse_block(&mut |g, levels, inverse| {
        let k = groups[g].k;
        t.clear();
        t.extend(inverse.iter().enumerate().map(|(i, v)| f64::from(u8::from(i % k == i / k)) - v));
        t.chunks_exact_mut(k).for_each(|column| solve_lower_transpose(&lambda[g], k, column));
        solve_lower_transpose_rows(&lambda[g], k, &mut t, k);
        for (i, v) in t.iter().enumerate() {
            sums[g][i] += levels * v;
            let row = nth_mut(&mut squares[g], i, k * k);
            row.iter_mut().zip(&t).for_each(|(s, u)| *s += levels * v * u);
        }
    });
    (squares, sums)
}

/// Raises the eigenvalues of a covariance, in natural units, to the least that a start may have.
fn keep_positive(mut sigma: Vec<f64>, natural: &[f64], k: usize) -> Option<Vec<f64>> {
    (0..k * k).for_each(|i| sigma[i] /= natural[i / k] * natural[i % k]);
    if sigma.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let (values, vectors) = symmetric_eigen(&sigma, k);
    sigma.fill(0.0);
    for (value, v) in values.iter().zip(vectors.chunks_exact(k)) {
        for c in 0..k {
            (0..k).for_each(|r| sigma[c * k + r] += value.max(LEAST_VARIANCE) * v[r] * v[c]);
        }
    }
    (0..k * k).for_each(|i| sigma[i] *= natural[i / k] * natural[i % k]);
    Some(sigma)
}

/// Natural size of row r of a term's Lambda.
pub fn natural_size(structure: &Structure, natural: &[f64], term: usize, r: usize) -> f64 {
    let (g, first) = Structure::locate(&structure.groups, term);
    natural_of(structure, natural, g, first + r)
}
