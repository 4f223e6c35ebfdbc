//! The coordinates in which derivatives are wanted.

use std::borrow::Cow;

use crate::linalg::small::{dot, transpose};
use crate::model::lambda::Lambda;
use crate::model::structure::{Structure, ThetaEntry};

/// The coordinates in which derivatives are wanted, as many as theta has elements.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Per element d(Lambda Lambda') of the engine's Lambda, K x K.
    pub directions: Vec<Vec<f64>>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The free elements of the engine's Lambda.
    Engine,
    /// Theta: D has to be pulled back to the caller's columns.
    Theta,
    /// Others, whose own second derivatives are somebody else's affair.
    Directions,
}

impl Frame {
    /// The free elements of the engine's Lambda.
    pub fn engine(structure: &Structure, lambda: &Lambda) -> Self {
        let directions = structure.entries.iter().map(|e| vec![0.0; structure.groups[e.group].k.pow(2)]).collect();
        let mut frame = Frame { directions, kind: Kind::Engine };
        frame.move_to(structure, lambda);
        frame
    }

    /// Takes the free elements at another Lambda for its coordinates.
    pub fn move_to(&mut self, structure: &Structure, lambda: &Lambda) {
        self.kind = Kind::Engine;
        for (direction, e) in self.directions.iter_mut().zip(&structure.entries) {
            fill_direction(&lambda[e.group], structure.groups[e.group].k, e.row, e.col, direction);
        }
    }

    /// Coordinates in whose directions Lambda Lambda' is taken to be linear: what its second derivatives add is left out.
    pub fn of_directions(directions: Vec<Vec<f64>>) -> Self {
        Frame { directions, kind: Kind::Directions }
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
        out.kind = Kind::Theta;
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
        Self::of_directions(structure.entries.iter().map(unit).collect())
    }

    /// Whether the coordinates are the free elements of the engine's Lambda.
    pub fn is_engine(&self) -> bool {
        self.kind == Kind::Engine
    }

    /// Gradient from D alone.
    pub fn gradient(&self, structure: &Structure, covariance: &[Vec<f64>]) -> Vec<f64> {
        structure.entries.iter().zip(&self.directions).map(|(e, s)| dot(&covariance[e.group], s)).collect()
    }

    /// What <D, d2(Lambda Lambda')> adds to the second derivatives: 2 D[r, r'] for two elements of one column.
    pub fn add_second_order(&self, structure: &Structure, covariance: &[Vec<f64>], hessian: &mut [f64]) {
        if self.kind == Kind::Directions {
            return;
        }
        let mut d = Cow::Borrowed(covariance);
        if self.kind == Kind::Theta {
            d.to_mut().iter_mut().zip(&structure.groups).for_each(|(d, group)| group.pull_back(d));
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
fn fill_direction(lambda: &[f64], k: usize, row: usize, col: usize, s: &mut [f64]) {
    s.fill(0.0);
    for r in 0..k {
        let l = lambda[col * k + r];
        s[r * k + row] += l;
        s[row * k + r] += l;
    }
}
