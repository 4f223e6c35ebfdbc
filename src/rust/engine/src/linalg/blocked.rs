//! Cholesky factor and inverse of a large dense matrix by block columns (Golub and Van Loan, Matrix Computations, 4th edition, section
//! 4.2.9). faer computes each block. At order 20,000 all of them take a minute, and the user may stop between two blocks.

use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::{matmul, BlockStructure};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, MatMut, MatRef};

use crate::parallel::Workers;

/// Matrices up to this order are quick enough to be factored whole.
pub const LARGE: usize = 4096;
/// Columns of a block.
pub const BLOCK: usize = 512;

/// Overwrites the lower triangle of a symmetric matrix by its Cholesky factor; false when it isn't positive definite, or the
/// user stopped.
pub fn cholesky(values: &mut [f64], n: usize, block: usize, workers: &Workers) -> bool {
    let mut matrix = MatMut::from_column_major_slice_mut(values, n, n);
    for begin in (0..n).step_by(block) {
        if workers.interrupted() {
            return false;
        }
        let width = block.min(n - begin);
        let (mut own, _, mut below, mut rest) =
            matrix.as_mut().submatrix_mut(begin, begin, n - begin, n - begin).split_at_mut(width, width);
        let done = workers.install(|par| {
            let mut memory = faer::dyn_stack::MemBuffer::new(llt::factor::cholesky_in_place_scratch::<f64>(width, par, Default::default()));
            let stack = faer::dyn_stack::MemStack::new(&mut memory);
            if llt::factor::cholesky_in_place(own.as_mut(), Default::default(), par, stack, Default::default()).is_err() {
                return false;
            }
            solve_lower_triangular_in_place(own.as_ref(), below.as_mut().transpose_mut(), par);
            let (below, lower, full) = (below.as_ref(), BlockStructure::TriangularLower, BlockStructure::Rectangular);
            matmul(rest.as_mut(), lower, Accum::Add, below, full, below.transpose(), full, -1.0, par);
            true
        });
        if !done {
            return false;
        }
    }
    true
}

/// Writes the lower triangle of (LL')^-1 = X'X with X = L^-1; false when the user stopped. X is formed in `out` by block rows,
/// X_i = L_ii^-1 (E_i - L_i,<i X_<i), and gives way to the product by block columns, of which `columns` holds one.
pub fn inverse(factor: &[f64], n: usize, block: usize, out: &mut [f64], columns: &mut [f64], workers: &Workers) -> bool {
    out.fill(0.0);
    let full = BlockStructure::Rectangular;
    let l = MatRef::from_column_major_slice(factor, n, n);
    let mut x = MatMut::from_column_major_slice_mut(out, n, n);
    for begin in (0..n).step_by(block) {
        if workers.interrupted() {
            return false;
        }
        let width = block.min(n - begin);
        let (above, mut own) = x.as_mut().submatrix_mut(0, 0, begin + width, begin + width).split_at_row_mut(begin);
        (0..width).for_each(|i| own[(i, begin + i)] = 1.0);
        workers.install(|par| {
            if begin > 0 {
                let (left, above) = (l.submatrix(begin, 0, width, begin), above.as_ref().submatrix(0, 0, begin, begin));
                let left_of_own = own.as_mut().submatrix_mut(0, 0, width, begin);
                matmul(left_of_own, full, Accum::Replace, left, full, above, BlockStructure::TriangularLower, -1.0, par);
            }
            solve_lower_triangular_in_place(l.submatrix(begin, begin, width, width), own, par);
        });
    }
    for begin in (0..n).step_by(block) {
        if workers.interrupted() {
            return false;
        }
        let (width, height) = (block.min(n - begin), n - begin);
        let mut product = MatMut::from_column_major_slice_mut(&mut columns[..height * width], height, width);
        let own = x.as_mut().submatrix_mut(begin, begin, height, height);
        let transposed = own.as_ref().transpose();
        let (upper, right) = (BlockStructure::TriangularUpper, own.as_ref().submatrix(0, 0, height, width));
        workers.install(|par| matmul(product.as_mut(), full, Accum::Replace, transposed, upper, right, full, 1.0, par));
        own.submatrix_mut(0, 0, height, width).copy_from(&product);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::small::{cholesky as whole, inverse_from_cholesky};

    #[test]
    fn blocks_give_the_factor_and_the_inverse() {
        let n = 150;
        let mut a: Vec<f64> = (0..n * n).map(|i: usize| 1.0 / (1.0 + (i / n).abs_diff(i % n) as f64)).collect();
        (0..n).for_each(|i| a[i * n + i] += 2.0);
        let mut expected = a.clone();
        assert!(whole(&mut expected, n));
        let inverted = inverse_from_cholesky(&expected, n);
        let mut first: Option<(Vec<f64>, Vec<f64>)> = None;
        for threads in [1, 2, 3] {
            let workers = Workers::new(threads);
            let (mut l, mut out, mut columns) = (a.clone(), vec![0.0; n * n], vec![0.0; n * 64]);
            assert!(cholesky(&mut l, n, 64, &workers) && inverse(&l, n, 64, &mut out, &mut columns, &workers));
            for c in 0..n {
                for r in c..n {
                    assert!((l[c * n + r] - expected[c * n + r]).abs() < 1e-13);
                    assert!((out[c * n + r] - inverted[c * n + r]).abs() < 1e-13);
                }
            }
            let one = first.get_or_insert((l.clone(), out.clone()));
            assert!(one.0 == l && one.1 == out, "{threads} threads");
        }
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        let mut a: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i % 11 == 0))).collect();
        a[77] = -1.0;
        assert!(!cholesky(&mut a, 10, 4, Workers::none()));
    }

    #[test]
    fn the_user_may_stop() {
        let workers = Workers::new(1).stopped_by(|| true);
        let mut a: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i % 11 == 0))).collect();
        let (l, mut out, mut columns) = (a.clone(), vec![0.0; 100], vec![0.0; 40]);
        assert!(!workers.was_interrupted());
        assert!(!cholesky(&mut a, 10, 4, &workers));
        assert!(!inverse(&l, 10, 4, &mut out, &mut columns, &workers));
        assert!(workers.was_interrupted());
    }
}
