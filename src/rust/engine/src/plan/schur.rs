//! The Schur complement S of the leading group: its Cholesky factor and its inverse.
//!
//! Crossed factors fill S in, nested ones leave it sparse. Which of the two holds is read off the symbolic
//! analysis (approximate minimum degree ordering, elimination tree). In the sparse case values, factor and
//! inverse live on the pattern of the factor; the inverse there is enough (Takahashi, Fagan and Chin 1973;
//! Erisman and Tinney 1975, doi:10.1145/360680.360704).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::sparse::linalg::amd;
use faer::sparse::SymbolicSparseColMatRef;
use faer::{MatMut, MatRef, Par};

use crate::linalg::blocked::{self, BLOCK, LARGE};
use crate::linalg::small::{axpy, mirror};
use crate::parallel::Workers;
use crate::products::design::Design;

/// Below this order a dense factor is always used.
const DENSE_ORDER: usize = 48;
/// A sparse factor is used where it has less than this share of the dense factor's elements.
const SPARSE_SHARE: f64 = 0.25;

/// Largest order for which the pattern of S is found in a table of bits.
const MOST_BITS: usize = 20_000;

/// Storage of S and how to find an element in it.
#[derive(Clone, Debug, Default)]
pub enum Pattern {
    /// All elements, column-major.
    #[default]
    Dense,
    /// The lower triangle of the permuted matrix on the pattern of its factor.
    Sparse(SparsePattern),
}

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

/// Order, pattern and the positions at which the products of a model's blocks are added.
#[derive(Clone, Debug, Default)]
pub struct RestLayout {
    /// Order of S.
    pub order: usize,
    /// Dense or sparse.
    pub pattern: Pattern,
}

impl RestLayout {
    /// Chooses between dense and sparse for a design.
    pub fn new(design: &Design) -> Self {
        let order = design.rest();
        if order <= DENSE_ORDER {
            return RestLayout::dense(order);
        }
        let limit = (SPARSE_SHARE * 0.5 * order as f64 * order as f64) as usize;
        match columns_below(design, limit).and_then(|columns| SparsePattern::new(&columns, limit)) {
            Some(sparse) => RestLayout { order, pattern: Pattern::Sparse(sparse) },
            None => RestLayout::dense(order),
        }
    }

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
                    work.rows[i * m..(i + 1) * m].copy_from_slice(&b[original * m..(original + 1) * m]);
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
                    work.rows[original * m..(original + 1) * m].copy_from_slice(&b[i * m..(i + 1) * m]);
                }
                b.copy_from_slice(&work.rows[..self.order * m]);
            }
        }
    }

    /// Writes the inverse of S, on its pattern (where S is dense both triangles), from the factor; nothing of use when the user
    /// stopped.
    pub fn invert(&self, values: &[f64], inverse: &mut [f64], work: &mut Scratch, workers: &Workers) {
        match &self.pattern {
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

/// The effects of other groups that each level of the leading group meets.
#[derive(Clone, Debug, Default)]
pub struct Adjacency {
    /// Range of each leading level in `columns`; `cross` has K values per column.
    pub ptr: Vec<usize>,
    /// Adjacent effects of each leading level, ascending.
    pub columns: Vec<u32>,
    /// Where each leading level's pairs begin in `positions` (sparse S only).
    pair_ptr: Vec<usize>,
    /// Where the element of S for each pair of columns stands, in the order of `for d { for c in d.. }`.
    positions: Vec<u32>,
    /// Range in `entries` of each effect of the other groups.
    pub entry_ptr: Vec<usize>,
    /// Per effect of the other groups the leading levels that it meets, ascending.
    pub entries: Vec<Entry>,
    /// Where each of `columns` stands in `entries`.
    pub place: Vec<u32>,
}

/// A leading level that an effect meets.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The leading level.
    pub level: u32,
    /// The effect's index in [`Adjacency::columns`], within the level's range.
    pub column: u32,
}

impl Adjacency {
    /// Collects them from a design's neighbours.
    pub fn new(design: &Design, layout: &RestLayout) -> Self {
        let groups = &design.structure.groups;
        let (mut ptr, mut columns, mut pair_ptr, mut positions) = (vec![0], Vec::new(), Vec::new(), Vec::new());
        for level in 0..groups[0].levels {
            for b in &design.neighbours[design.neighbour_ptr[level]..design.neighbour_ptr[level + 1]] {
                columns.extend((0..groups[b.group as usize].k as u32).map(|c| b.start + c));
            }
            if !layout.is_dense() {
                pair_ptr.push(positions.len());
                let own = &columns[ptr[level]..];
                for (i, &d) in own.iter().enumerate() {
                    positions.extend(own[i..].iter().map(|&c| layout.position(c as usize, d as usize) as u32));
                }
            }
            ptr.push(columns.len());
        }
        let mut out = Adjacency { ptr, columns, pair_ptr, positions, ..Adjacency::default() };
        out.transpose(layout.order);
        out
    }

    /// Fills `entry_ptr`, `entries` and `place`.
    fn transpose(&mut self, order: usize) {
        self.entry_ptr = vec![0; order + 1];
        self.columns.iter().for_each(|&e| self.entry_ptr[e as usize + 1] += 1);
        (0..order).for_each(|e| self.entry_ptr[e + 1] += self.entry_ptr[e]);
        let mut next = self.entry_ptr.clone();
        self.entries = vec![Entry { level: 0, column: 0 }; self.columns.len()];
        self.place = vec![0; self.columns.len()];
        for level in 0..self.ptr.len() - 1 {
            for t in self.span(level) {
                let at = &mut next[self.columns[t] as usize];
                self.entries[*at] = Entry { level: level as u32, column: t as u32 };
                self.place[t] = *at as u32;
                *at += 1;
            }
        }
    }

    /// The leading levels that an effect of the other groups meets.
    #[inline]
    pub fn entries_of(&self, effect: usize) -> &[Entry] {
        &self.entries[self.entry_ptr[effect]..self.entry_ptr[effect + 1]]
    }

    /// Range of a leading level's columns.
    #[inline]
    pub fn span(&self, level: usize) -> std::ops::Range<usize> {
        self.ptr[level]..self.ptr[level + 1]
    }

    /// Calls `visit(c, d, position)` for each pair c >= d of a leading level's columns (counted within the level) with the
    /// place of its element in a sparse S.
    #[inline]
    pub fn for_each_pair(&self, level: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let count = self.span(level).len();
        let mut positions = self.positions[self.pair_ptr[level]..].iter();
        for d in 0..count {
            for c in d..count {
                visit(c, d, *positions.next().expect("one position a pair") as usize);
            }
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

/// Memory that the factorisation works in.
pub struct Scratch {
    stack: MemBuffer,
    column: Vec<f64>,
    head: Vec<usize>,
    next: Vec<usize>,
    first: Vec<usize>,
    rows: Vec<f64>,
    /// Room for a block of a large inverse's columns.
    block: Vec<f64>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl Scratch {
    /// Allocates for a layout.
    pub fn new(layout: &RestLayout) -> Self {
        let n = layout.order;
        let dense = layout.is_dense();
        let stack = if dense && n <= LARGE {
            MemBuffer::new(faer::dyn_stack::StackReq::any_of(&[
                llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()),
                llt::inverse::inverse_scratch::<f64>(n, Par::Seq),
            ]))
        } else {
            MemBuffer::new(faer::dyn_stack::StackReq::EMPTY)
        };
        let m = if dense { 0 } else { n };
        Scratch {
            stack,
            column: vec![0.0; m],
            head: vec![usize::MAX; m],
            next: vec![usize::MAX; m],
            first: vec![0; m],
            rows: Vec::new(),
            block: vec![0.0; if n > LARGE && dense { n * BLOCK } else { 0 }],
        }
    }
}

/// Strictly lower pattern of S by column, or nothing when it has more elements than `limit`.
fn columns_below(design: &Design, limit: usize) -> Option<Vec<Vec<u32>>> {
    let order = design.rest();
    let columns = if order <= MOST_BITS {
        let mut bits = Bits::new(order);
        visit_columns(design, |c, rows| {
            rows.iter().for_each(|&r| bits.set(r as usize, c));
            true
        });
        (0..order).map(|c| bits.column(c).collect()).collect()
    } else {
        let mut columns: Vec<Vec<u32>> = vec![Vec::new(); order];
        let mut visited = 0;
        let finished = visit_columns(design, |c, rows| {
            let column = &mut columns[c];
            column.extend_from_slice(rows);
            if column.len() > 4 * rows.len() + 256 && column.len().is_power_of_two() {
                column.sort_unstable();
                column.dedup();
            }
            visited += rows.len();
            visited <= 64 * limit + 1_000_000
        });
        if !finished {
            return None;
        }
        columns.iter_mut().for_each(|column| {
            column.sort_unstable();
            column.dedup();
        });
        columns
    };
    (columns.iter().map(|c| c.len()).sum::<usize>() <= limit).then_some(columns)
}

/// Calls `visit(column, rows)` for elements of S below the diagonal, some of them more than once, until it says false.
/// Whether it never did.
fn visit_columns(design: &Design, mut visit: impl FnMut(usize, &[u32]) -> bool) -> bool {
    let groups = &design.structure.groups;
    let rest_offset = groups[0].effects();
    let mut rows: Vec<u32> = Vec::new();
    for group in &groups[1..] {
        for start in (group.offset - rest_offset..group.offset - rest_offset + group.effects()).step_by(group.k) {
            rows.clear();
            rows.extend((0..group.k).map(|c| (start + c) as u32));
            if !(0..group.k).all(|c| visit(start + c, &rows[c + 1..])) {
                return false;
            }
        }
    }
    for pair in &design.rest_pairs {
        rows.clear();
        rows.extend((0..groups[pair.row_group as usize].k as u32).map(|r| pair.row + r));
        if !(0..groups[pair.col_group as usize].k).all(|c| visit(pair.col as usize + c, &rows)) {
            return false;
        }
    }
    (0..groups[0].levels).all(|level| {
        rows.clear();
        for b in &design.neighbours[design.neighbour_ptr[level]..design.neighbour_ptr[level + 1]] {
            rows.extend((0..groups[b.group as usize].k as u32).map(|c| b.start + c));
        }
        rows.iter().enumerate().all(|(i, &c)| visit(c as usize, &rows[i + 1..]))
    })
}

/// A square table of bits.
struct Bits {
    words: Vec<u64>,
    /// Words of a column.
    height: usize,
}

impl Bits {
    fn new(n: usize) -> Self {
        let height = n.div_ceil(64);
        Bits { words: vec![0; height * n], height }
    }

    #[inline]
    fn set(&mut self, r: usize, c: usize) {
        self.words[c * self.height + r / 64] |= 1 << (r % 64);
    }

    /// The rows of a column that are set, ascending.
    fn column(&self, c: usize) -> impl Iterator<Item = u32> + '_ {
        let words = &self.words[c * self.height..(c + 1) * self.height];
        words.iter().enumerate().flat_map(|(i, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| i as u32 * 64 + bit))
    }
}

impl SparsePattern {
    /// Orders the columns and finds the pattern of the factor; nothing when it has more elements than `limit`.
    fn new(columns: &[Vec<u32>], limit: usize) -> Option<Self> {
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
    fn column(&self, j: usize) -> std::ops::Range<usize> {
        self.col_ptr[j]..self.col_ptr[j + 1]
    }

    /// Position of element (i, j) of the permuted matrix.
    #[inline]
    fn position(&self, i: usize, j: usize) -> usize {
        let (r, c) = (i.max(j) as u32, i.min(j));
        let column = self.column(c);
        column.start + self.rows[column].binary_search(&r).expect("the element is in the factor's pattern")
    }

    /// Left-looking Cholesky factorisation in place (Davis 2006, Direct Methods for Sparse Linear Systems, 4.8).
    fn factorize(&self, values: &mut [f64], work: &mut Scratch) -> bool {
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
    fn advance(&self, k: usize, t: usize, work: &mut Scratch) {
        if t < self.col_ptr[k + 1] {
            let row = self.rows[t] as usize;
            work.first[k] = t;
            work.next[k] = work.head[row];
            work.head[row] = k;
        }
    }

    fn forward(&self, values: &[f64], b: &mut [f64], m: usize) {
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

    fn backward(&self, values: &[f64], b: &mut [f64], m: usize) {
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

    /// The inverse on the pattern, last column first: for i >= j,
    /// `S^-1[i, j] = (i == j) / L[j, j]^2 - sum over k > j of S^-1[i, k] L[k, j] / L[j, j]`.
    fn invert(&self, values: &[f64], inverse: &mut [f64], work: &mut Scratch) {
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
