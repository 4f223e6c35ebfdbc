//! Products of the k x k blocks of one level with wider matrices.

use faer::linalg::matmul::triangular::{matmul, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

use crate::linalg::lanes::Number;
use crate::linalg::long::{long_axpy, long_scale};
use crate::linalg::small::{axpy, lower_transpose_times, mirror, times_lower, with_constant};
use crate::tolerances::VANISHED;

/// The one with number i of the blocks of so many values that stand one after the other.
#[inline(always)]
pub fn nth<T>(blocks: &[T], i: usize, size: usize) -> &[T] {
    &blocks[i * size..(i + 1) * size]
}

/// The same, to be written to.
#[inline(always)]
pub fn nth_mut<T>(blocks: &mut [T], i: usize, size: usize) -> &mut [T] {
    &mut blocks[i * size..(i + 1) * size]
}

/// Lower triangle of L' A L.
#[inline]
pub fn congruence(a: &[f64], l: &[f64], k: usize, out: &mut [f64]) {
    if k == 1 {
        out[0] = l[0] * a[0] * l[0];
        return;
    }
    times_lower(a, l, k, out);
    for c in 0..k {
        lower_transpose_times(l, k, nth_mut(out, c, k));
    }
}

/// out := L' X for k rows of length p.
#[inline]
pub fn scale_rows(x: &[f64], l: &[f64], k: usize, p: usize, out: &mut [f64]) {
    for r in 0..k {
        let row = nth_mut(out, r, p);
        row.fill(0.0);
        (r..k).for_each(|s| axpy(l[r * k + s], nth(x, s, p), row));
    }
}

/// out += A B for k x k matrices.
#[inline]
pub fn add_product(a: &[f64], b: &[f64], k: usize, out: &mut [f64]) {
    for c in 0..k {
        for s in 0..k {
            axpy(b[c * k + s], nth(a, s, k), nth_mut(out, c, k));
        }
    }
}

/// A := A L^-1 for a lower triangular L.
#[inline]
pub(crate) fn solve_right_lower(a: &mut [f64], l: &[f64], k: usize) {
    for c in (0..k).rev() {
        for s in c + 1..k {
            for r in 0..k {
                a[c * k + r] -= a[s * k + r] * l[c * k + s];
            }
        }
        a[c * k..(c + 1) * k].iter_mut().for_each(|v| *v /= l[c * k + c]);
    }
}

/// A := A L' for k x k matrices, with L lower triangular.
#[inline(always)]
pub(crate) fn times_lower_transpose<T: Number>(a: &mut [T], l: &[T], k: usize) {
    for c in (0..k).rev() {
        let (before, column) = a.split_at_mut(c * k);
        let column = &mut column[..k];
        let diagonal = l[c * k + c];
        for v in column.iter_mut() {
            *v *= diagonal;
        }
        for s in 0..c {
            axpy(l[s * k + c], nth(before, s, k), column);
        }
    }
}

/// out := X L for k columns of length m and a lower triangular L.
pub(crate) fn times_lower_wide(x: &[f64], l: &[f64], k: usize, m: usize, out: &mut [f64]) {
    for c in 0..k {
        let (column, diagonal) = (nth_mut(out, c, m), l[c * k + c]);
        column.copy_from_slice(nth(x, c, m));
        long_scale(diagonal, column);
        (c + 1..k).for_each(|s| long_axpy(l[c * k + s], nth(x, s, m), column));
    }
}

/// X := X L^-1 for k columns of length m and a lower triangular L.
pub(crate) fn solve_right_lower_wide(x: &mut [f64], l: &[f64], k: usize, m: usize) {
    for c in (0..k).rev() {
        let (head, later) = x.split_at_mut((c + 1) * m);
        let column = &mut head[c * m..];
        (c + 1..k).for_each(|s| long_axpy(-l[c * k + s], nth(later, s - c - 1, m), column));
        long_scale(1.0 / l[c * k + c], column);
    }
}

/// v := L'v for each k elements of columns.
pub(crate) fn scale_blocks(l: &[f64], k: usize, v: &mut [f64]) {
    if k == 1 {
        return long_scale(l[0], v);
    }
    with_constant!(k, K, {
        for v in v.chunks_exact_mut(K) {
            lower_transpose_times(l, K, v);
        }
    });
}

/// The transpose of a column-major block with so many rows.
pub(crate) fn transposed(block: &[f64], rows: usize) -> Vec<f64> {
    (0..rows).flat_map(|r| block.iter().skip(r).step_by(rows).copied()).collect()
}

/// Overwrites the k x k diagonal block that begins at `start`.
#[inline]
pub(crate) fn put_block(a: &mut [f64], n: usize, start: usize, block: &[f64], k: usize) {
    for (c, column) in block.chunks_exact(k).enumerate() {
        a[(start + c) * n + start..(start + c) * n + start + k].copy_from_slice(column);
    }
}

/// The symmetric n x n matrix of a function of row and column.
pub(crate) fn symmetric(n: usize, element: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for j in 0..n {
        (j..n).for_each(|i| out[j * n + i] = element(i, j));
    }
    mirror(&mut out, n);
    out
}

/// Rotates the columns of a square B so that it becomes lower triangular: B = L Q, L overwrites B. A column of which
/// rounding alone is left, beside the `sizes` of the terms that each row is the sum of, is set to zero.
pub(crate) fn make_lower_triangular(b: &mut [f64], k: usize, sizes: &[f64]) {
    for r in 0..k {
        for c in r + 1..k {
            let (x, y) = (b[r * k + r], b[c * k + r]);
            if y == 0.0 {
                continue;
            }
            rotate(b, k, r, c, r, (x, y));
        }
    }
    for column in b.chunks_exact_mut(k) {
        if column.iter().zip(sizes).all(|(v, size)| v.abs() <= VANISHED * size) {
            column.fill(0.0);
        }
    }
}

/// Rotates the columns of a lower triangular L so that a column is zero where its diagonal is; L L' stays what it is.
pub(crate) fn empty_columns(l: &mut [f64], k: usize) {
    for empty in 0..k {
        if l[empty * k + empty] != 0.0 {
            continue;
        }
        for c in empty + 1..k {
            let (x, y) = (l[c * k + c], l[empty * k + c]);
            if y != 0.0 {
                rotate(l, k, c, empty, c, (x, y));
            }
        }
    }
}

/// Rotates two columns, from a row on, so that there the first has the length of (x, y), its elements in that row, and the second is zero.
#[inline]
fn rotate(b: &mut [f64], k: usize, first: usize, second: usize, row: usize, (x, y): (f64, f64)) {
    let h = x.hypot(y);
    let (cos, sin) = (x / h, y / h);
    for i in row..k {
        let (p, q) = (b[first * k + i], b[second * k + i]);
        b[first * k + i] = cos * p + sin * q;
        b[second * k + i] = cos * q - sin * p;
    }
    b[second * k + row] = 0.0;
}

/// Adds `sign` times the cross-product of rows of length p (one after the other) to the lower triangle of `out`.
pub fn add_cross_product(out: &mut [f64], rows: &[f64], p: usize, sign: f64) {
    if p == 0 || rows.is_empty() {
        return;
    }
    if p < 8 {
        for row in rows.chunks_exact(p) {
            for c in 0..p {
                axpy(sign * row[c], &row[c..], &mut out[c * p + c..(c + 1) * p]);
            }
        }
        return;
    }
    let transposed = MatRef::from_column_major_slice(rows, p, rows.len() / p);
    matmul(
        MatMut::from_column_major_slice_mut(out, p, p),
        BlockStructure::TriangularLower,
        Accum::Add,
        transposed,
        BlockStructure::Rectangular,
        transposed.transpose(),
        BlockStructure::Rectangular,
        sign,
        Par::Seq,
    );
}
