//! From the covariance parameters of the engine's columns to those of the caller's.

use crate::linalg::small::{axpy, transpose};
use crate::model::group::Group;
use crate::model::structure::Structure;

/// The caller's Psi is S^-1 Psi S^-T for one S per group; the residual variance stays what it is.
pub struct ParameterMap {
    /// How the engine's parameters move with each of the caller's: a row per parameter of the caller's.
    to_engine: Vec<f64>,
    /// How the caller's move with each of the engine's.
    to_caller: Vec<f64>,
    size: usize,
}

impl ParameterMap {
    pub(crate) fn new(structure: &Structure) -> Self {
        let map = |turn: &dyn Fn(&Group, &mut [f64])| jacobian(structure, turn);
        ParameterMap {
            to_engine: map(&|group, column| group.to_engine(column)),
            to_caller: map(&|group, column| group.to_caller(column)),
            size: structure.entries.len() + 1,
        }
    }

    /// Derivatives in the caller's parameters, from those in the engine's.
    pub(crate) fn derivatives(&self, engine: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let of_row = |row: &[f64]| {
            let mut out = vec![0.0; engine[0].len()];
            row.iter().zip(engine).filter(|(d, _)| **d != 0.0).for_each(|(d, matrix)| axpy(*d, matrix, &mut out));
            out
        };
        self.to_engine.chunks_exact(self.size).map(of_row).collect()
    }

    /// The covariance of the caller's parameters' estimates, from that of the engine's: T W T' with a column of T per engine's parameter.
    pub(crate) fn covariance(&self, w: &[f64]) -> Vec<f64> {
        let m = self.size;
        let mut out = w.to_vec();
        for _ in 0..2 {
            for column in out.chunks_exact_mut(m) {
                let mut moved = vec![0.0; m];
                self.to_caller.chunks_exact(m).zip(column.iter()).for_each(|(row, v)| axpy(*v, row, &mut moved));
                column.copy_from_slice(&moved);
            }
            transpose(&mut out, m);
        }
        out
    }
}

/// Per parameter a row of how the parameters on the other side move with it.
fn jacobian(structure: &Structure, turn: &dyn Fn(&Group, &mut [f64])) -> Vec<f64> {
    let m = structure.entries.len() + 1;
    let mut out = vec![0.0; m * m];
    for (row, own) in out.chunks_exact_mut(m).zip(&structure.entries) {
        let (group, k) = (&structure.groups[own.group], structure.groups[own.group].k);
        let mut moved = vec![0.0; k * k];
        moved[own.col * k + own.row] = 1.0;
        moved[own.row * k + own.col] = 1.0;
        for _ in 0..2 {
            moved.chunks_exact_mut(k).for_each(|column| turn(group, column));
            transpose(&mut moved, k);
        }
        for (slot, e) in row.iter_mut().zip(&structure.entries).filter(|(_, e)| e.group == own.group) {
            *slot = moved[e.col * k + e.row];
        }
    }
    out[m * m - 1] = 1.0;
    out
}
