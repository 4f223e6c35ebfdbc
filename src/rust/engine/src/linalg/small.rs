//! Kernels for the small dense matrices of a model: k x k blocks of one level, p x p matrices of the
//! fixed effects, and the Hessian in theta. All are column-major slices; a lower triangle is read only
//! from its lower half.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::{MatMut, MatRef, Par};

use crate::linalg::lanes::Number;
use crate::linalg::log_product::LogProduct;
use crate::tolerances::LEFT_BY_ROUNDING;

/// Cholesky factor in place: overwrites the lower triangle of the k x k matrix `a` by L with A = L L'.
/// Returns false when a pivot is not positive (or not a number); `a` is then partly overwritten.
#[inline]
pub fn cholesky(a: &mut [f64], k: usize) -> bool {
    if k > SMALL {
        return large_cholesky(a, k);
    }
    cholesky_of(a, k)
}

/// The same for one matrix or several side by side, of any order.
#[inline(always)]
pub fn cholesky_of<T: Number>(a: &mut [T], k: usize) -> bool {
    for c in 0..k {
        for s in 0..c {
            let l = a[s * k + c];
            for r in c..k {
                let product = l * a[s * k + r];
                a[c * k + r] -= product;
            }
        }
        let pivot = a[c * k + c];
        if !pivot.is_positive() {
            return false;
        }
        let d = pivot.map(f64::sqrt);
        a[c * k + c] = d;
        for r in c + 1..k {
            a[c * k + r] /= d;
        }
    }
    true
}

/// Matrices above this order go to faer.
const SMALL: usize = 40;

#[cold]
fn large_cholesky(a: &mut [f64], k: usize) -> bool {
    let mut memory = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<f64>(k, Par::Seq, Default::default()));
    let matrix = MatMut::from_column_major_slice_mut(a, k, k);
    let done = llt::factor::cholesky_in_place(matrix, Default::default(), Par::Seq, MemStack::new(&mut memory), Default::default());
    done.is_ok() && (0..k).all(|i| a[i * k + i].is_finite())
}

#[cold]
fn large_inverse(l: &[f64], k: usize) -> Vec<f64> {
    let mut out = vec![0.0; k * k];
    let mut memory = MemBuffer::new(llt::inverse::inverse_scratch::<f64>(k, Par::Seq));
    let l = MatRef::from_column_major_slice(l, k, k);
    llt::inverse::inverse(MatMut::from_column_major_slice_mut(&mut out, k, k), l, Par::Seq, MemStack::new(&mut memory));
    mirror(&mut out, k);
    out
}

/// Sum of the logarithms of the diagonal of a k x k matrix.
#[inline]
pub fn log_diagonal(l: &[f64], k: usize) -> f64 {
    let mut product = LogProduct::default();
    (0..k).for_each(|i| product.multiply(l[i * k + i]));
    product.ln()
}

/// Solves L x = b in place for one vector.
#[inline]
pub fn solve_lower<T: Number>(l: &[T], k: usize, b: &mut [T]) {
    for c in 0..k {
        b[c] /= l[c * k + c];
        let x = b[c];
        for r in c + 1..k {
            let product = l[c * k + r] * x;
            b[r] -= product;
        }
    }
}

/// Solves L' x = b in place for one vector.
#[inline]
pub fn solve_lower_transpose(l: &[f64], k: usize, b: &mut [f64]) {
    for c in (0..k).rev() {
        let mut x = b[c];
        for r in c + 1..k {
            x -= l[c * k + r] * b[r];
        }
        b[c] = x / l[c * k + c];
    }
}

/// Solves L X = B in place, where the rows of B are stored one after the other (k rows of length m).
#[inline]
pub fn solve_lower_rows(l: &[f64], k: usize, b: &mut [f64], m: usize) {
    for r in 0..k {
        let (above, row) = b.split_at_mut(r * m);
        let row = &mut row[..m];
        for c in 0..r {
            axpy(-l[c * k + r], &above[c * m..(c + 1) * m], row);
        }
        let d = 1.0 / l[r * k + r];
        row.iter_mut().for_each(|v| *v *= d);
    }
}

/// Solves L' X = B in place, where the rows of B are stored one after the other (k rows of length m).
#[inline]
pub fn solve_lower_transpose_rows(l: &[f64], k: usize, b: &mut [f64], m: usize) {
    for r in (0..k).rev() {
        let (head, below) = b.split_at_mut((r + 1) * m);
        let row = &mut head[r * m..];
        for c in r + 1..k {
            axpy(-l[r * k + c], &below[(c - r - 1) * m..(c - r) * m], row);
        }
        let d = 1.0 / l[r * k + r];
        row.iter_mut().for_each(|v| *v *= d);
    }
}

/// y += a x.
#[inline(always)]
pub fn axpy<T: Number>(a: T, x: &[T], y: &mut [T]) {
    for (yi, xi) in y.iter_mut().zip(x) {
        *yi += a * *xi;
    }
}

/// Inner product.
#[inline(always)]
pub fn dot<T: Number>(x: &[T], y: &[T]) -> T {
    let mut sum = T::all(0.0);
    for (a, b) in x.iter().zip(y) {
        sum += *a * *b;
    }
    sum
}

/// out = A L for a k x k matrix A and a lower triangular L.
#[inline(always)]
pub fn times_lower<T: Number>(a: &[T], l: &[T], k: usize, out: &mut [T]) {
    for c in 0..k {
        let column = &mut out[c * k..(c + 1) * k];
        column.fill(T::all(0.0));
        for r in c..k {
            axpy(l[c * k + r], &a[r * k..(r + 1) * k], column);
        }
    }
}

/// v := L' v for a lower triangular L.
#[inline(always)]
pub fn lower_transpose_times<T: Number>(l: &[T], k: usize, v: &mut [T]) {
    for r in 0..k {
        v[r] = dot(&l[r * k + r..(r + 1) * k], &v[r..k]);
    }
}

/// v := L v for a lower triangular L.
#[inline(always)]
pub fn lower_times<T: Number>(l: &[T], k: usize, v: &mut [T]) {
    for r in (0..k).rev() {
        let mut x = l[r * k + r] * v[r];
        for c in 0..r {
            x += l[c * k + r] * v[c];
        }
        v[r] = x;
    }
}

/// out := L^-1 for a lower triangular L.
#[inline(always)]
pub fn inverse_lower<T: Number>(l: &[T], k: usize, out: &mut [T]) {
    for (c, column) in out.chunks_exact_mut(k).enumerate() {
        column.fill(T::all(0.0));
        for r in c..k {
            let mut x = T::all(if r == c { 1.0 } else { 0.0 });
            for s in c..r {
                x -= l[s * k + r] * column[s];
            }
            column[r] = x / l[r * k + r];
        }
    }
}

/// Evaluates an expression with the number of columns of a group as a constant where it is one of the usual ones, so that
/// the loops over it unroll.
macro_rules! with_constant {
    ($k:expr, $name:ident, $body:expr) => {
        match $k {
            1 => {
                const $name: usize = 1;
                $body
            }
            2 => {
                const $name: usize = 2;
                $body
            }
            3 => {
                const $name: usize = 3;
                $body
            }
            4 => {
                const $name: usize = 4;
                $body
            }
            other => {
                #[allow(non_snake_case)]
                let $name: usize = other;
                $body
            }
        }
    };
}
pub(crate) use with_constant;

/// Inverse of the matrix whose lower Cholesky factor is `l`, both triangles filled.
pub fn inverse_from_cholesky(l: &[f64], k: usize) -> Vec<f64> {
    if k > SMALL {
        return large_inverse(l, k);
    }
    let mut out = vec![0.0; k * k];
    for c in 0..k {
        let column = &mut out[c * k..(c + 1) * k];
        column[c] = 1.0;
        solve_lower(l, k, column);
        solve_lower_transpose(l, k, column);
    }
    symmetrise(&mut out, k);
    out
}

/// The symmetric Y with <Y, C> = sum of tr(X B T C) for symmetric k x k matrices B and C, where `tensor` is the sum of T (x) X: its
/// column (i, j) holds T[i, j] X.
pub fn contract(tensor: &[f64], b: &[f64], k: usize, out: &mut [f64]) {
    out.fill(0.0);
    with_constant!(k, K, {
        for (column, blocks) in out.chunks_exact_mut(K).zip(tensor.chunks_exact(K * K * K)) {
            for (block, weights) in blocks.chunks_exact(K * K).zip(b.chunks_exact(K)) {
                block.chunks_exact(K).zip(weights).for_each(|(x, weight)| axpy(*weight, x, column));
            }
        }
    });
    symmetrise(out, k);
}

/// A := A'.
pub fn transpose(a: &mut [f64], k: usize) {
    for c in 0..k {
        for r in c + 1..k {
            a.swap(c * k + r, r * k + c);
        }
    }
}

/// Copies the lower triangle of an n x n matrix to the upper, tile by tile for the cache's sake.
pub fn mirror(a: &mut [f64], n: usize) {
    const TILE: usize = 16;
    for c0 in (0..n).step_by(TILE) {
        for r0 in (c0..n).step_by(TILE) {
            for c in c0..(c0 + TILE).min(n) {
                for r in r0.max(c + 1)..(r0 + TILE).min(n) {
                    a[r * n + c] = a[c * n + r];
                }
            }
        }
    }
}

/// A := (A + A') / 2.
#[inline]
pub fn symmetrise(a: &mut [f64], k: usize) {
    for c in 0..k {
        for r in c + 1..k {
            let mean = 0.5 * (a[c * k + r] + a[r * k + c]);
            a[c * k + r] = mean;
            a[r * k + c] = mean;
        }
    }
}

/// Lower Cholesky factor of a positive *semi*definite matrix in the canonical form with a non-negative diagonal
/// and a zero column wherever rounding is all that is left of a pivot.
pub fn semidefinite_cholesky(a: &[f64], k: usize) -> Vec<f64> {
    let own: Vec<f64> = (0..k).map(|i| a[i * k + i]).collect();
    let mut a = a.to_vec();
    for c in 0..k {
        let pivot = a[c * k + c];
        let d = if pivot > LEFT_BY_ROUNDING * own[c] { pivot.sqrt() } else { 0.0 };
        a[c * k + c] = d;
        for r in c + 1..k {
            a[c * k + r] = if d > 0.0 { a[c * k + r] / d } else { 0.0 };
        }
        for c2 in c + 1..k {
            let l = a[c * k + c2];
            for r in c2..k {
                a[c2 * k + r] -= l * a[c * k + r];
            }
        }
    }
    for c in 0..k {
        a[c * k..c * k + c].fill(0.0);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::eigen::symmetric_eigen;

    const A: [f64; 9] = [4.0, 2.0, 0.6, 2.0, 5.0, 1.0, 0.6, 1.0, 3.0];

    #[test]
    fn cholesky_multiplies_back() {
        let mut l = A;
        assert!(cholesky(&mut l, 3));
        for r in 0..3 {
            for c in 0..=r {
                let x: f64 = (0..=c).map(|s| l[s * 3 + r] * l[s * 3 + c]).sum();
                assert!((x - A[c * 3 + r]).abs() < 1e-14);
            }
        }
        let inverse = inverse_from_cholesky(&l, 3);
        for r in 0..3 {
            for c in 0..3 {
                let x: f64 = (0..3).map(|s| A[s * 3 + r] * inverse[c * 3 + s]).sum();
                assert!((x - f64::from(r == c)).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        assert!(!cholesky(&mut [1.0, 2.0, 2.0, 1.0], 2));
        assert!(!cholesky(&mut [f64::NAN], 1));
    }

    #[test]
    fn eigenvectors_diagonalise() {
        // few rows and more of them, both indefinite
        let hilbert: Vec<f64> = (0..81).map(|i| 1.0 / (1.0 + (i / 9 + i % 9) as f64) - f64::from(u8::from(i % 10 == 0)) / 4.0).collect();
        for (a, k) in [(&A[..], 3), (&hilbert[..], 9)] {
            let (values, v) = symmetric_eigen(a, k);
            assert!(values.windows(2).all(|w| w[0] <= w[1]));
            for j in 0..k {
                for r in 0..k {
                    let av: f64 = (0..k).map(|c| a[c * k + r] * v[j * k + c]).sum();
                    assert!((av - values[j] * v[j * k + r]).abs() < 1e-13);
                }
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_finite_has_some_eigenvalues() {
        assert_eq!(symmetric_eigen(&[f64::NAN; 36], 6).0.len(), 6);
    }

    #[test]
    fn row_solves_agree_with_vector_solves() {
        let mut l = A;
        cholesky(&mut l, 3);
        let b = [1.0, -2.0, 0.5];
        let (mut v, mut rows) = (b, [1.0, 1.0, -2.0, -2.0, 0.5, 0.5]);
        solve_lower(&l, 3, &mut v);
        solve_lower_rows(&l, 3, &mut rows, 2);
        (0..3).for_each(|i| assert!((v[i] - rows[2 * i]).abs() < 1e-15));
        solve_lower_transpose(&l, 3, &mut v);
        solve_lower_transpose_rows(&l, 3, &mut rows, 2);
        (0..3).for_each(|i| assert!((v[i] - rows[2 * i + 1]).abs() < 1e-15));
    }

    #[test]
    fn semidefinite_factor_has_a_zero_column() {
        // Sigma = v v' with v = (0, 3, 4): the first column vanishes, the second carries it all.
        let l = semidefinite_cholesky(&[0.0, 0.0, 0.0, 0.0, 9.0, 12.0, 0.0, 12.0, 16.0], 3);
        assert_eq!(l, [0.0, 0.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0]);
    }
}
