//! A symmetric positive definite matrix S, dense or sparse: its Cholesky factor and its inverse.
//!
//! In the sparse case the values, the factor and the inverse have elements only where the factor has them; no other element of the inverse
//! is needed.

use faer::dyn_stack::MemStack;
use faer::linalg::cholesky::llt;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{MatMut, MatRef};

use crate::linalg::blocked;
use crate::linalg::blocked::{BLOCK, LARGE};
use crate::linalg::blocks::nth;
use crate::linalg::scratch::Scratch;
use crate::linalg::small::mirror;
use crate::linalg::sparse::SparsePattern;
use crate::parallel::Workers;

/// Storage of S and how to find an element in it.
#[derive(Clone, Debug, Default)]
pub enum Pattern {
    /// All elements, column-major.
    #[default]
    Dense,
    /// The lower triangle of the permuted matrix on the pattern of its factor.
    Sparse(SparsePattern),
}

/// Order, pattern and the positions at which the products of a model's blocks are added.
#[derive(Clone, Debug, Default)]
pub struct RestLayout {
    /// Order of S.
    pub order: usize,
    /// Dense or sparse.
    pub pattern: Pattern,
}

impl RestLayout {
    /// All elements, whatever the pattern.
    pub fn dense(order: usize) -> Self {
        RestLayout { order, pattern: Pattern::Dense }
    }

    /// Number of stored values.
    pub fn len(&self) -> usize {
        match &self.pattern {
            Pattern::Dense => self.order * self.order,
            Pattern::Sparse(s) => s.rows.len(),
        }
    }

    /// Whether all elements are stored.
    pub fn is_dense(&self) -> bool {
        matches!(self.pattern, Pattern::Dense)
    }

    /// Whether there is nothing to store: the model has one grouping factor.
    pub fn is_empty(&self) -> bool {
        self.order == 0
    }

    /// Where element (r, c) of the symmetric matrix stands; it must be in the pattern.
    #[inline]
    pub fn position(&self, r: usize, c: usize) -> usize {
        match &self.pattern {
            Pattern::Dense => r.min(c) * self.order + r.max(c),
            Pattern::Sparse(s) => s.position(s.inverse[r], s.inverse[c]),
        }
    }

    /// Overwrites S by its Cholesky factor. False when S is not positive definite.
    pub fn factorize(&self, values: &mut [f64], work: &mut Scratch, workers: &Workers) -> bool {
        match &self.pattern {
            Pattern::Dense if self.order > LARGE => blocked::cholesky(values, self.order, BLOCK, workers) && self.is_finite(values),
            Pattern::Dense => {
                let matrix = MatMut::from_column_major_slice_mut(values, self.order, self.order);
                let stack = MemStack::new(&mut work.stack);
                let done =
                    workers.install(|par| llt::factor::cholesky_in_place(matrix, Default::default(), par, stack, Default::default()));
                done.is_ok() && self.is_finite(values)
            }
            Pattern::Sparse(s) => s.factorize(values, work),
        }
    }

    /// Is a dense factor's diagonal finite?
    fn is_finite(&self, values: &[f64]) -> bool {
        (0..self.order).all(|i| values[i * self.order + i].is_finite())
    }

    /// Diagonal element i of the factor (in the factor's own order).
    #[inline]
    pub fn factor_diagonal(&self, values: &[f64], i: usize) -> f64 {
        match &self.pattern {
            Pattern::Dense => values[i * self.order + i],
            Pattern::Sparse(s) => values[s.col_ptr[i]],
        }
    }

    /// Log determinant of S from its factor.
    pub fn log_determinant(&self, values: &[f64]) -> f64 {
        2.0 * (0..self.order).map(|i| self.factor_diagonal(values, i).ln()).sum::<f64>()
    }

    /// Solves L X = P B in place; the rows of B have length m and come back in the factor's order.
    pub fn forward(&self, values: &[f64], b: &mut [f64], m: usize, work: &mut Scratch, workers: &Workers) {
        if m == 0 || self.order == 0 {
            return;
        }
        match &self.pattern {
            Pattern::Dense => {
                let l = MatRef::from_column_major_slice(values, self.order, self.order);
                let b = MatMut::from_row_major_slice_mut(b, self.order, m);
                threads_for(m, workers).install(|par| solve_lower_triangular_in_place(l, b, par));
            }
            Pattern::Sparse(s) => {
                work.rows.resize(self.order * m, 0.0);
                for (i, &original) in s.permutation.iter().enumerate() {
                    work.rows[i * m..(i + 1) * m].copy_from_slice(nth(b, original, m));
                }
                b.copy_from_slice(&work.rows[..self.order * m]);
                s.forward(values, b, m);
            }
        }
    }

    /// Solves L' X = B in place, undoing the permutation: the rows come back in S's own order.
    pub fn backward(&self, values: &[f64], b: &mut [f64], m: usize, work: &mut Scratch, workers: &Workers) {
        if m == 0 || self.order == 0 {
            return;
        }
        match &self.pattern {
            Pattern::Dense => {
                let l = MatRef::from_column_major_slice(values, self.order, self.order);
                let b = MatMut::from_row_major_slice_mut(b, self.order, m);
                threads_for(m, workers).install(|par| solve_upper_triangular_in_place(l.transpose(), b, par));
            }
            Pattern::Sparse(s) => {
                s.backward(values, b, m);
                work.rows.resize(self.order * m, 0.0);
                for (i, &original) in s.permutation.iter().enumerate() {
                    work.rows[original * m..(original + 1) * m].copy_from_slice(nth(b, i, m));
                }
                b.copy_from_slice(&work.rows[..self.order * m]);
            }
        }
    }

    /// Writes the inverse of S, on its pattern (where S is dense both triangles), from the factor; nothing of use when the user
    /// stopped.
    pub fn invert(&self, values: &[f64], inverse: &mut [f64], work: &mut Scratch, workers: &Workers) {
        match &self.pattern {
            _ if self.order == 0 => {}
            Pattern::Dense if self.order > LARGE => {
                blocked::inverse(values, self.order, BLOCK, inverse, &mut work.block, workers);
                mirror(inverse, self.order);
            }
            Pattern::Dense => {
                let l = MatRef::from_column_major_slice(values, self.order, self.order);
                let out = MatMut::from_column_major_slice_mut(inverse, self.order, self.order);
                workers.install(|par| llt::inverse::inverse(out, l, par, MemStack::new(&mut work.stack)));
                mirror(inverse, self.order);
            }
            Pattern::Sparse(s) => s.invert(values, inverse, work),
        }
    }
}

/// Whom to solve by for `m` right-hand sides: faer cuts a product with a single vector into sums by the number of threads, and
/// the result would depend on it.
fn threads_for(m: usize, workers: &Workers) -> &Workers {
    if m == 1 {
        Workers::none()
    } else {
        workers
    }
}
