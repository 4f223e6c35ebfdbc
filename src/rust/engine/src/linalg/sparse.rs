//! Sparse Cholesky factorisation, solves and inverse on the pattern of the factor (Takahashi, Fagan and Chin 1973;
//! Erisman and Tinney 1975, doi:10.1145/360680.360704).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::linalg::amd;
use faer::sparse::SymbolicSparseColMatRef;

use crate::linalg::scratch::Scratch;
use crate::linalg::small::axpy;

/// Pattern of a sparse Cholesky factor.
#[derive(Clone, Debug)]
pub struct SparsePattern {
    /// Original index of each permuted one.
    pub permutation: Vec<usize>,
    /// Permuted index of each original one.
    pub inverse: Vec<usize>,
    /// Range of each column.
    pub col_ptr: Vec<usize>,
    /// Row indices, ascending, the diagonal first.
    pub rows: Vec<u32>,
}

/// Room for [`SparsePattern::squared_length`].
pub(crate) struct Path {
    values: Vec<f64>,
    marked: Vec<bool>,
    columns: Vec<usize>,
}

impl Path {
    pub(crate) fn new(order: usize) -> Self {
        Path { values: vec![0.0; order], marked: vec![false; order], columns: Vec::new() }
    }
}

impl SparsePattern {
    /// Orders the columns and finds the pattern of the factor; nothing when it has more elements than `limit`.
    pub(crate) fn new(columns: &[Vec<u32>], limit: usize) -> Option<Self> {
        let n = columns.len();
        let permutation = minimum_degree(columns);
        let mut inverse = vec![0; n];
        permutation.iter().enumerate().for_each(|(i, &original)| inverse[original] = i);
        let mut below: Vec<Vec<u32>> = vec![Vec::new(); n];
        for (c, column) in columns.iter().enumerate() {
            for &r in column {
                let (a, b) = (inverse[c], inverse[r as usize]);
                below[a.min(b)].push(a.max(b) as u32);
            }
        }
        // Column j of the factor: its own elements and those of its children in the elimination tree.
        let (mut col_ptr, mut rows) = (vec![0], Vec::new());
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); n];
        for j in 0..n {
            let mut column = std::mem::take(&mut below[j]);
            for &child in &children[j] {
                column.extend(rows[col_ptr[child] + 1..col_ptr[child + 1]].iter().copied().filter(|&r| r as usize != j));
            }
            column.sort_unstable();
            column.dedup();
            rows.push(j as u32);
            rows.extend_from_slice(&column);
            col_ptr.push(rows.len());
            if let Some(&parent) = column.first() {
                children[parent as usize].push(j);
            }
            if rows.len() > limit {
                return None;
            }
        }
        Some(SparsePattern { permutation, inverse, col_ptr, rows })
    }

    #[inline]
    pub(crate) fn column(&self, j: usize) -> std::ops::Range<usize> {
        self.col_ptr[j]..self.col_ptr[j + 1]
    }

    /// Position of element (i, j) of the permuted matrix.
    #[inline]
    pub(crate) fn position(&self, i: usize, j: usize) -> usize {
        let (r, c) = (i.max(j) as u32, i.min(j));
        let column = self.column(c);
        column.start + self.rows[column].binary_search(&r).expect("the element is in the factor's pattern")
    }

    /// Left-looking Cholesky factorisation in place (Davis 2006, Direct Methods for Sparse Linear Systems, 4.8).
    pub(crate) fn factorize(&self, values: &mut [f64], work: &mut Scratch) -> bool {
        let n = self.permutation.len();
        work.head.fill(usize::MAX);
        for j in 0..n {
            let own = self.column(j);
            for t in own.clone() {
                work.column[self.rows[t] as usize] = values[t];
            }
            let mut k = work.head[j];
            while k != usize::MAX {
                let following = work.next[k];
                let begin = work.first[k];
                let end = self.col_ptr[k + 1];
                let l = values[begin];
                for t in begin..end {
                    work.column[self.rows[t] as usize] -= l * values[t];
                }
                self.advance(k, begin + 1, work);
                k = following;
            }
            let pivot = work.column[j];
            if !(pivot > 0.0 && pivot.is_finite()) {
                return false;
            }
            let d = pivot.sqrt();
            values[own.start] = d;
            for t in own.start + 1..own.end {
                values[t] = work.column[self.rows[t] as usize] / d;
            }
            self.advance(j, own.start + 1, work);
        }
        true
    }

    /// Puts column k on the list of the row of its element `t`, the next that it will update.
    #[inline]
    pub(crate) fn advance(&self, k: usize, t: usize, work: &mut Scratch) {
        if t < self.col_ptr[k + 1] {
            let row = self.rows[t] as usize;
            work.first[k] = t;
            work.next[k] = work.head[row];
            work.head[row] = k;
        }
    }

    pub(crate) fn forward(&self, values: &[f64], b: &mut [f64], m: usize) {
        for j in 0..self.permutation.len() {
            let column = self.column(j);
            let (head, below) = b.split_at_mut((j + 1) * m);
            let row = &mut head[j * m..];
            let d = 1.0 / values[column.start];
            row.iter_mut().for_each(|v| *v *= d);
            for t in column.start + 1..column.end {
                let at = (self.rows[t] as usize - j - 1) * m;
                axpy(-values[t], row, &mut below[at..at + m]);
            }
        }
    }

    pub(crate) fn backward(&self, values: &[f64], b: &mut [f64], m: usize) {
        for j in (0..self.permutation.len()).rev() {
            let column = self.column(j);
            let (head, below) = b.split_at_mut((j + 1) * m);
            let row = &mut head[j * m..];
            for t in column.start + 1..column.end {
                let at = (self.rows[t] as usize - j - 1) * m;
                axpy(-values[t], &below[at..at + m], row);
            }
            let d = 1.0 / values[column.start];
            row.iter_mut().for_each(|v| *v *= d);
        }
    }

    /// |L^-1 P b|^2 for the elements of b that aren't zero, given with their places in the original order: only the columns on their paths
    /// to the root of the elimination tree take part (Gilbert and Peierls 1988, doi:10.1137/0909058).
    pub(crate) fn squared_length(&self, values: &[f64], elements: impl Iterator<Item = (usize, f64)>, path: &mut Path) -> f64 {
        for (original, value) in elements {
            let mut j = self.inverse[original];
            path.values[j] += value;
            while !path.marked[j] {
                path.marked[j] = true;
                path.columns.push(j);
                match self.rows[self.column(j)].get(1) {
                    Some(&parent) => j = parent as usize,
                    None => break,
                }
            }
        }
        path.columns.sort_unstable();
        let mut sum = 0.0;
        for &j in &path.columns {
            let column = self.column(j);
            let x = path.values[j] / values[column.start];
            sum += x * x;
            (column.start + 1..column.end).for_each(|t| path.values[self.rows[t] as usize] -= values[t] * x);
            path.values[j] = 0.0;
            path.marked[j] = false;
        }
        path.columns.clear();
        sum
    }

    /// The inverse on the pattern, last column first: for i >= j,
    /// `S^-1[i, j] = (i == j) / L[j, j]^2 - sum over k > j of S^-1[i, k] L[k, j] / L[j, j]`.
    pub(crate) fn invert(&self, values: &[f64], inverse: &mut [f64], work: &mut Scratch) {
        for j in (0..self.permutation.len()).rev() {
            let own = self.column(j);
            let d = values[own.start];
            for t in own.start + 1..own.end {
                work.column[self.rows[t] as usize] = 0.0;
            }
            // column := S^-1[below, below] l, each stored element of S^-1 serving both its triangles
            for t in own.start + 1..own.end {
                let k = self.rows[t] as usize;
                let column = self.column(k);
                let lk = values[t];
                work.column[k] += inverse[column.start] * lk;
                let (mut at, mut sum) = (column.start + 1, 0.0);
                for s in t + 1..own.end {
                    let r = self.rows[s];
                    while self.rows[at] != r {
                        at += 1;
                    }
                    work.column[r as usize] += inverse[at] * lk;
                    sum += inverse[at] * values[s];
                }
                work.column[k] += sum;
            }
            let mut diagonal = 1.0 / (d * d);
            for t in own.start + 1..own.end {
                let x = -work.column[self.rows[t] as usize] / d;
                inverse[t] = x;
                diagonal -= x * values[t] / d;
            }
            inverse[own.start] = diagonal;
        }
    }
}

/// Approximate minimum degree ordering of a symmetric pattern given by its strictly lower columns.
fn minimum_degree(columns: &[Vec<u32>]) -> Vec<usize> {
    let n = columns.len();
    let mut count = vec![0usize; n + 1];
    for (c, column) in columns.iter().enumerate() {
        for &r in column {
            count[c + 1] += 1;
            count[r as usize + 1] += 1;
        }
    }
    (0..n).for_each(|i| count[i + 1] += count[i]);
    let mut next = count.clone();
    let mut rows = vec![0usize; count[n]];
    for (c, column) in columns.iter().enumerate() {
        for &r in column {
            let r = r as usize;
            rows[next[c]] = r;
            next[c] += 1;
            rows[next[r]] = c;
            next[r] += 1;
        }
    }
    let (mut permutation, mut inverse) = (vec![0usize; n], vec![0usize; n]);
    let matrix = SymbolicSparseColMatRef::new_unsorted_checked(n, n, &count, None, &rows);
    let mut memory = MemBuffer::new(amd::order_maybe_unsorted_scratch::<usize>(n, rows.len()));
    amd::order_maybe_unsorted(&mut permutation, &mut inverse, matrix, Default::default(), MemStack::new(&mut memory))
        .expect("the pattern fits in memory");
    permutation
}
