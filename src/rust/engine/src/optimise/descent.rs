//! Descents to a minimum of the criterion, and away from any stationary point at which the derivative in the covariance has a negative
//! direction.

use crate::linalg::eigen::symmetric_eigen;
use crate::linalg::small::semidefinite_cholesky;
use crate::model::lambda::{free_elements, lambda_of, set_term_block, term_block, term_covariance};
use crate::optimise::criterion::Criterion;
use crate::optimise::scoring::natural_size;
use crate::optimise::trust_region::{minimise, Descent, Objective, Outcome, Point};
use crate::tolerances::{CHANGE, NEAR_ZERO, NEGATIVE_CURVATURE};

/// Most directions of decrease that are followed off a boundary point, one after the other.
const MOST_ESCAPES: usize = 5;

/// A descent from `start`, with at most `limit` evaluations for each stretch of it; `None` where the criterion can't be computed there.
pub fn descend(criterion: &mut Criterion, start: Vec<f64>, limit: usize) -> Option<Descent> {
    let mut best = minimise(criterion, start, limit)?;
    for _ in 0..MOST_ESCAPES {
        if !best.outcome.is_end() {
            break;
        }
        let Some(escape) = escape(criterion, &best.point) else { break };
        match minimise(criterion, escape, limit) {
            Some(Descent { outcome: Outcome::Interrupted, .. }) => best.outcome = Outcome::Interrupted,
            Some(other) if other.point.value < best.point.value - CHANGE => {
                best = Descent { evaluations: best.evaluations + other.evaluations, ..other };
            }
            _ => break,
        }
    }
    Some(best)
}

/// First-order condition of the cone of covariances: D must have no negative direction. Where it has one, v,
/// the start of a new descent: the factor of Lambda Lambda' + v v' times a natural variance.
fn escape(criterion: &mut Criterion, point: &Point) -> Option<Vec<f64>> {
    if !is_singular(criterion, &point.x) {
        return None;
    }
    let at = criterion.evaluate(point.x.clone())?;
    let structure = &criterion.design.structure;
    let mut lambda = lambda_of(structure, &at.x);
    let mut found = false;
    for (g, group) in structure.groups.iter().enumerate() {
        for &(index, k, first) in &group.terms {
            let natural: Vec<f64> = (0..k).map(|r| natural_size(structure, &criterion.natural, index, r)).collect();
            let mut d = term_block(&criterion.covariance[g], group.k, first, k);
            (0..k * k).for_each(|i| d[i] *= natural[i / k] * natural[i % k]);
            let (values, vectors) = symmetric_eigen(&d, k);
            if values[0] > -NEGATIVE_CURVATURE {
                continue;
            }
            found = true;
            let mut sigma = term_covariance(&lambda[g], group.k, first, k);
            for c in 0..k {
                for r in 0..k {
                    sigma[c * k + r] += natural[r] * natural[c] * vectors[r] * vectors[c];
                }
            }
            set_term_block(&mut lambda[g], group.k, first, k, &semidefinite_cholesky(&sigma, k));
        }
    }
    found.then(|| free_elements(structure, &lambda))
}

/// Is a diagonal all but zero?
pub fn is_singular(criterion: &Criterion, x: &[f64]) -> bool {
    !near_zero(criterion, x, NEAR_ZERO).is_empty()
}

/// The diagonals that are smaller than a share of their natural size.
pub fn near_zero(criterion: &Criterion, x: &[f64], share: f64) -> Vec<usize> {
    let entries = &criterion.design.structure.entries;
    let near = |i: usize| entries[i].row == entries[i].col && x[i].abs() < share * criterion.natural[i];
    (0..x.len()).filter(|&i| near(i) && !criterion.is_idle(i)).collect()
}
