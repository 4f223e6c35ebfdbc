//! The coordinates in which derivatives are wanted.

use crate::linalg::small::{dot, transpose};
use crate::model::lambda::Lambda;
use crate::model::structure::{Structure, ThetaEntry};

/// The coordinates in which derivatives are wanted: the free elements of the engine's Lambda, or theta.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Per element d(Lambda Lambda') of the engine's Lambda, K x K.
    pub directions: Vec<Vec<f64>>,
    /// Whether the coordinates are theta: then D has to be pulled back to the caller's columns.
    pub(crate) theta: bool,
}

impl Frame {
    /// The free elements of the engine's Lambda.
    pub fn engine(structure: &Structure, lambda: &Lambda) -> Self {
        let directions = structure.entries.iter().map(|e| direction(&lambda[e.group], structure.groups[e.group].k, e.row, e.col)).collect();
        Frame { directions, theta: false }
    }

    /// Theta: d(S Lambda Lambda' S') for the caller's Lambda.
    pub fn theta(structure: &Structure, theta: &[f64]) -> Self {
        let lambda = structure.caller_lambda(theta);
        let mut out = Self::engine(structure, &lambda);
        for (direction, e) in out.directions.iter_mut().zip(&structure.entries) {
            let group = &structure.groups[e.group];
            for _ in 0..2 {
                direction.chunks_exact_mut(group.k).for_each(|column| group.to_engine(column));
                transpose(direction, group.k);
            }
        }
        out.theta = true;
        out
    }

    /// The elements of the covariances: directions are symmetric units.
    pub fn covariances(structure: &Structure) -> Self {
        let unit = |e: &ThetaEntry| {
            let k = structure.groups[e.group].k;
            let mut s = vec![0.0; k * k];
            s[e.col * k + e.row] = 1.0;
            s[e.row * k + e.col] = 1.0;
            s
        };
        Frame { directions: structure.entries.iter().map(unit).collect(), theta: false }
    }

    /// Whether the coordinates are theta.
    pub fn is_theta(&self) -> bool {
        self.theta
    }

    /// Gradient from D alone.
    pub fn gradient(&self, structure: &Structure, covariance: &[Vec<f64>]) -> Vec<f64> {
        structure.entries.iter().zip(&self.directions).map(|(e, s)| dot(&covariance[e.group], s)).collect()
    }

    /// What <D, d2(Lambda Lambda')> adds to the second derivatives: 2 D[r, r'] for two elements of one column.
    pub fn add_second_order(&self, structure: &Structure, covariance: &[Vec<f64>], hessian: &mut [f64]) {
        let mut d = covariance.to_vec();
        if self.theta {
            d.iter_mut().zip(&structure.groups).for_each(|(d, group)| group.pull_back(d));
        }
        let n = structure.entries.len();
        for (i, a) in structure.entries.iter().enumerate() {
            for (j, b) in structure.entries.iter().enumerate() {
                if a.group == b.group && a.col == b.col {
                    hessian[j * n + i] += 2.0 * d[a.group][a.row * structure.groups[a.group].k + b.row];
                }
            }
        }
    }
}

/// d(Lambda Lambda') for an element (row, col) of Lambda.
fn direction(lambda: &[f64], k: usize, row: usize, col: usize) -> Vec<f64> {
    let mut s = vec![0.0; k * k];
    for r in 0..k {
        let l = lambda[col * k + r];
        s[r * k + row] += l;
        s[row * k + r] += l;
    }
    s
}
