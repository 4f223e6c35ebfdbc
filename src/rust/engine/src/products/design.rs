//! Cross-products of the design: everything about Z, X and the weights that the criterion needs.
//!
//! Z is never formed. With W the prior weights, Z'WZ consists of one K x K block per level of each group and
//! of one block per pair of levels that meet in some row; Z'WX and X'WX are dense. X is centred (where the
//! model has an intercept) and scaled first, since raw sums of squares cancel; likewise the columns of the random
//! effects (see [`crate::model::terms::ColumnBasis`]).

use std::ops::Range;

use faer::linalg::matmul::triangular::{matmul, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

use crate::error::FitError;
use crate::factor::by_class::Classes;
use crate::factor::dense::Coupling;
use crate::linalg::small::{axpy, cholesky, dot, mirror, solve_lower, solve_lower_transpose, with_constant};
use crate::model::absorbed::Absorbed;
use crate::model::terms::{Rows, Structure};
use crate::parallel::{ranges, Workers};
use crate::plan::schur::{Adjacency, RestLayout};
use crate::products::undetermined::Undetermined;

/// Most fixed effects for which the second derivatives of a model with one grouping factor are exact: their cost grows with
/// the square of this number.
const MOST_COLUMNS: usize = 40;

/// Rows that are gathered before they are added to X'WX.
const CHUNK: usize = 512;

/// X = (Xs + 1 m') diag(s) where Xs is what the engine works with; m is zero without an intercept or an absorbed factor, which take it up.
#[derive(Clone, Debug)]
pub struct ColumnTransform {
    /// Index of the constant column, if X has one.
    pub intercept: Option<usize>,
    /// What is subtracted from each column.
    pub centre: Vec<f64>,
    /// What each column is divided by after that.
    pub scale: Vec<f64>,
}

/// A block of the leading group's level with a level of another group.
#[derive(Clone, Copy, Debug)]
pub struct Neighbour {
    /// Index of the other level's first effect among the effects of all groups but the leading one.
    pub start: u32,
    /// The other group.
    pub group: u32,
}

/// A block between levels of two groups neither of which leads.
#[derive(Clone, Copy, Debug)]
pub struct RestPair {
    /// First effect of the row block, among the effects of all groups but the leading one.
    pub row: u32,
    /// First effect of the column block; lies before `row`.
    pub col: u32,
    /// Group of the row block.
    pub row_group: u32,
    /// Group of the column block.
    pub col_group: u32,
    /// Where its values (row block x column block, column-major) begin in `rest_pair_values`.
    pub values: usize,
}

/// The cross-products that do not involve the response.
#[derive(Clone, Debug)]
pub struct Design {
    /// Number of rows.
    pub n: usize,
    /// Fixed-effects columns.
    pub p: usize,
    /// Groups and the layout of theta.
    pub structure: Structure,
    /// How X was centred and scaled.
    pub transform: ColumnTransform,
    /// Sum of the logarithms of the prior weights.
    pub log_weights: f64,
    /// Diagonal blocks of Z'WZ per group, level after level, each K x K.
    pub diagonal: Vec<Vec<f64>>,
    /// Per leading level the range of its neighbours; one element longer than there are levels.
    pub neighbour_ptr: Vec<usize>,
    /// The neighbours of all leading levels, ordered by `start` within a level.
    pub neighbours: Vec<Neighbour>,
    /// Per neighbour where its values (K x K of the other group, column-major) begin; one element longer.
    pub neighbour_values_ptr: Vec<usize>,
    /// The blocks of Z'WZ between the leading group and the others.
    pub neighbour_values: Vec<f64>,
    /// Pairs of levels of the other groups that meet.
    pub rest_pairs: Vec<RestPair>,
    /// The blocks of Z'WZ of these pairs.
    pub rest_pair_values: Vec<f64>,
    /// Z'WX, a row of length p per random effect.
    pub zx: Vec<f64>,
    /// X'WX, p x p.
    pub xx: Vec<f64>,
    /// Lower Cholesky factor of X'WX, or with an absorbed factor of what that leaves of it.
    pub xx_cholesky: Vec<f64>,
    /// Pattern of the Schur complement of the leading group.
    pub layout: RestLayout,
    /// Effects of the other groups that each leading level meets.
    pub adjacency: Adjacency,
    /// With one grouping factor and not too many fixed effects, its classes of equal levels.
    pub classes: Option<Classes>,
    /// With several grouping factors of few effects, what couples them as dense matrices.
    pub coupling: Option<Coupling>,
    /// The absorbed factor, if there is one.
    pub absorbed: Option<Absorbed>,
    /// With an absorbed factor the design of the random effects alone, without fixed effects.
    pub random: Option<Box<Design>>,
    /// Columns of random-effects terms that the data don't tell from the fixed effects or the residuals.
    pub(crate) undetermined: Vec<Undetermined>,
}

impl Design {
    /// Passes over the rows: once for the centres and scales, once for the cross-products, and once more per
    /// additional group for the pairs of levels. Fails on bad lengths, a rank-deficient X, or a factor that
    /// would not fit in memory.
    pub fn new(rows: &Rows) -> Result<Self, FitError> {
        Self::on_threads(rows, Workers::none())
    }

    /// The same on several threads, bit for bit.
    pub fn on_threads(rows: &Rows, workers: &Workers) -> Result<Self, FitError> {
        rows.check(workers)?;
        let structure = Structure::new(rows, workers);
        let transform = ColumnTransform::new(rows, workers);
        let mut design = Design {
            n: rows.n,
            p: rows.p,
            diagonal: structure.groups.iter().map(|g| vec![0.0; g.effects() * g.k]).collect(),
            zx: vec![0.0; structure.q * rows.p],
            xx: vec![0.0; rows.p * rows.p],
            xx_cholesky: Vec::new(),
            layout: RestLayout::default(),
            adjacency: Adjacency::default(),
            classes: None,
            coupling: None,
            absorbed: rows.absorbed,
            random: None,
            undetermined: Vec::new(),
            log_weights: rows.weights.map_or(0.0, |w| w.iter().filter(|&&w| w > 0.0).map(|w| w.ln()).sum()),
            neighbour_ptr: vec![0; structure.groups[0].levels + 1],
            neighbours: Vec::new(),
            neighbour_values_ptr: vec![0],
            neighbour_values: Vec::new(),
            rest_pairs: Vec::new(),
            rest_pair_values: Vec::new(),
            structure,
            transform,
        };
        design.add_rows(rows, workers);
        if design.structure.groups.len() > 1 {
            design.find_neighbours(rows, workers);
        }
        if design.structure.groups.len() > 2 {
            design.find_rest_pairs(rows);
        }
        if rows.absorbed.is_some() {
            design.random = Some(Box::new(Self::on_threads(&Rows { x: &[], p: 0, absorbed: None, ..rows.clone() }, workers)?));
        }
        design.complete()
    }

    /// What follows from the cross-products.
    pub(crate) fn complete(mut self) -> Result<Self, FitError> {
        self.layout =
            if self.absorbed.is_none() && Coupling::is_cheap(&self) { RestLayout::dense(self.rest()) } else { RestLayout::new(&self) };
        crate::plan::memory::check(&self.layout)?;
        self.adjacency = Adjacency::new(&self, &self.layout);
        self.xx_cholesky = self.xx_within_levels();
        if !cholesky(&mut self.xx_cholesky, self.p) {
            return Err("fixed-effect model matrix is rank deficient".into());
        }
        if self.structure.groups.len() == 1 && self.p <= MOST_COLUMNS {
            self.classes = Some(Classes::new(&self));
        }
        self.undetermined = self.find_undetermined();
        self.coupling = if self.absorbed.is_none() { Coupling::new(&self) } else { None };
        Ok(self)
    }

    /// Effects of all groups but the leading one.
    pub fn rest(&self) -> usize {
        self.structure.q - self.structure.groups[0].effects()
    }

    /// Values of a neighbour's block, K of the leading group x K of the other, column-major.
    #[inline]
    pub fn neighbour_block(&self, index: usize) -> &[f64] {
        &self.neighbour_values[self.neighbour_values_ptr[index]..self.neighbour_values_ptr[index + 1]]
    }

    /// Per column of X the part that earlier columns leave unexplained, relative to the column's own root
    /// mean square before centring: R's qr() calls a column aliased where this is below 1e-7.
    pub fn rank_margin(&self) -> Vec<f64> {
        (0..self.p)
            .map(|j| {
                let raw = (self.xx[j * self.p + j] + self.transform.centred_away(j, self.n)).sqrt();
                self.xx_cholesky[j * self.p + j] / raw
            })
            .collect()
    }

    /// Random effects of the caller's columns from those of the engine's, in place and in the engine's order.
    pub fn effects_to_caller(&self, b: &mut [f64]) {
        for group in &self.structure.groups {
            b[group.offset..group.offset + group.effects()].chunks_exact_mut(group.k).for_each(|level| group.to_caller(level));
        }
    }

    fn add_rows(&mut self, rows: &Rows, workers: &Workers) {
        let (p, transform, structure) = (rows.p, &self.transform, &self.structure);
        for part in workers.map(row_blocks(rows.n), |range| weighted_cross_product(transform, rows, range)) {
            axpy(1.0, &part, &mut self.xx);
        }
        mirror(&mut self.xx, p);
        let (mut zx, mut first) = (&mut self.zx[..], 0);
        for (g, diagonal) in self.diagonal.iter_mut().enumerate() {
            let (group, own) = (&structure.groups[g], &mut zx[..structure.groups[g].effects() * p]);
            let k = group.k;
            let z = GroupColumns::new(structure, rows, g);
            let add = |range: Range<usize>, blocks: &mut [f64], products: &mut [f64]| {
                with_constant!(k, K, add_levels(transform, &z, K, rows, group.factor, range, blocks, products));
            };
            sum_parts(workers, rows.n, group.effects(), diagonal, own, add);
            first += group.effects() * p;
            zx = &mut self.zx[first..];
        }
    }

    /// Blocks between the leading group and the others.
    fn find_neighbours(&mut self, rows: &Rows, workers: &Workers) {
        let lead = &self.structure.groups[0];
        let order = rows_by_level(rows.codes[lead.factor], lead.levels);
        let shares = ranges(lead.levels, 1, workers.threads().min(rows.n / (16 * CHUNK)));
        let parts = workers.map(shares, |range| Neighbours::of_levels(&self.structure, rows, &order, range));
        let mut level = 0;
        for part in parts {
            let (begin, first) = (self.neighbour_values.len(), self.neighbours.len());
            for end in part.ends {
                level += 1;
                self.neighbour_ptr[level] = first + end;
            }
            self.neighbours.extend(part.neighbours);
            self.neighbour_values_ptr.extend(part.value_ends.iter().map(|end| begin + end));
            if begin == 0 {
                self.neighbour_values = part.values;
            } else {
                self.neighbour_values.extend(part.values);
            }
        }
    }

    /// Blocks between two groups neither of which leads.
    fn find_rest_pairs(&mut self, rows: &Rows) {
        let rest_offset = self.structure.groups[0].effects();
        let mut z = ZRow::new(&self.structure, rows);
        for h in 1..self.structure.groups.len() {
            let later = &self.structure.groups[h];
            let mut zh = vec![0.0; later.k];
            let order = rows_by_level(rows.codes[later.factor], later.levels);
            for g in 1..h {
                let earlier = &self.structure.groups[g];
                let mut mark = vec![usize::MAX; earlier.levels];
                for level in 0..later.levels {
                    let members = order.of_level(level);
                    let first = self.rest_pairs.len();
                    for &i in members {
                        let i = i as usize;
                        let other = rows.level(earlier.factor, i);
                        if mark[other] == usize::MAX {
                            mark[other] = self.rest_pair_values.len();
                            self.rest_pairs.push(RestPair {
                                row: (later.offset - rest_offset + level * later.k) as u32,
                                col: (earlier.offset - rest_offset + other * earlier.k) as u32,
                                row_group: h as u32,
                                col_group: g as u32,
                                values: mark[other],
                            });
                            self.rest_pair_values.resize(mark[other] + later.k * earlier.k, 0.0);
                        }
                        let (begin, w) = (mark[other], rows.weight(i));
                        zh.copy_from_slice(z.get(h, i));
                        for (c, &zc) in z.get(g, i).iter().enumerate() {
                            axpy(w * zc, &zh, &mut self.rest_pair_values[begin + c * later.k..begin + (c + 1) * later.k]);
                        }
                    }
                    for pair in &self.rest_pairs[first..] {
                        mark[(pair.col as usize + rest_offset - earlier.offset) / earlier.k] = usize::MAX;
                    }
                }
            }
        }
    }
}

impl Design {
    /// Number of fixed effects, with an absorbed factor's levels.
    pub fn fixed_columns(&self) -> usize {
        self.p + self.structure.fixed_group().map_or(0, |group| group.levels)
    }

    /// X'WX less what an absorbed factor explains of it.
    pub(crate) fn xx_within_levels(&self) -> Vec<f64> {
        let mut out = self.xx.clone();
        if let Some(group) = self.structure.fixed_group() {
            let mut rows = self.zx[group.offset * self.p..group.range().end * self.p].to_vec();
            for (row, weight) in rows.chunks_exact_mut(self.p.max(1)).zip(self.level_weights()) {
                let root = 1.0 / weight.sqrt();
                row.iter_mut().for_each(|v| *v *= root);
            }
            add_cross_product(&mut out, &rows, self.p, -1.0);
        }
        out
    }

    /// Weighted least squares of a response on X and an absorbed factor, in place: from X'Wy the coefficients, from the
    /// levels' weighted sums of y (empty without such a factor) their constants.
    pub fn least_squares(&self, xy: &mut [f64], sums: &mut [f64]) {
        let zx = self.structure.fixed_group().map_or(&[][..], |group| &self.zx[group.offset * self.p..]);
        let rows = || zx.chunks_exact(self.p.max(1));
        for ((sum, weight), row) in sums.iter().zip(self.level_weights()).zip(rows()) {
            axpy(-sum / weight, row, xy);
        }
        solve_lower(&self.xx_cholesky, self.p, xy);
        solve_lower_transpose(&self.xx_cholesky, self.p, xy);
        if self.p > 0 {
            sums.iter_mut().zip(rows()).for_each(|(sum, row)| *sum -= dot(row, xy));
        }
        sums.iter_mut().zip(self.level_weights()).for_each(|(sum, weight)| *sum /= weight);
    }

    /// Sums of the weights of an absorbed factor's levels.
    pub(crate) fn level_weights(&self) -> &[f64] {
        self.structure.fixed.map_or(&[], |at| &self.diagonal[at])
    }
}

/// The blocks between a range of leading levels and the other groups.
#[derive(Default)]
struct Neighbours {
    /// Per level the number of neighbours up to and with its own.
    ends: Vec<usize>,
    neighbours: Vec<Neighbour>,
    /// Per neighbour where its values end.
    value_ends: Vec<usize>,
    values: Vec<f64>,
}

impl Neighbours {
    /// The rows are visited level by level, so that one array of marks suffices.
    fn of_levels(structure: &Structure, rows: &Rows, order: &RowOrder, range: Range<usize>) -> Self {
        let lead = &structure.groups[0];
        let rest_offset = lead.effects();
        let mut mark = vec![u32::MAX; structure.q - rest_offset];
        let mut z = ZRow::new(structure, rows);
        let mut found: Vec<Neighbour> = Vec::new();
        let mut z1 = vec![0.0; lead.k];
        let mut out = Neighbours::default();
        for level in range {
            let members = order.of_level(level);
            found.clear();
            for (g, group) in structure.groups.iter().enumerate().skip(1) {
                for &i in members {
                    let start = group.offset - rest_offset + rows.level(group.factor, i as usize) * group.k;
                    if mark[start] == u32::MAX {
                        mark[start] = 0;
                        found.push(Neighbour { start: start as u32, group: g as u32 });
                    }
                }
            }
            found.sort_unstable_by_key(|b| b.start);
            for b in &found {
                mark[b.start as usize] = out.neighbours.len() as u32;
                out.neighbours.push(*b);
                let end = out.values.len() + lead.k * structure.groups[b.group as usize].k;
                out.values.resize(end, 0.0);
                out.value_ends.push(end);
            }
            out.ends.push(out.neighbours.len());
            for &i in members {
                let (i, w) = (i as usize, rows.weight(i as usize));
                z1.copy_from_slice(z.get(0, i));
                for (g, group) in structure.groups.iter().enumerate().skip(1) {
                    let start = group.offset - rest_offset + rows.level(group.factor, i) * group.k;
                    let end = out.value_ends[mark[start] as usize];
                    let values = &mut out.values[end - lead.k * group.k..end];
                    for (c, &zc) in z.get(g, i).iter().enumerate() {
                        axpy(w * zc, &z1, &mut values[c * lead.k..(c + 1) * lead.k]);
                    }
                }
            }
            found.iter().for_each(|b| mark[b.start as usize] = u32::MAX);
        }
        out
    }
}

/// X'WX of some rows, lower triangle.
fn weighted_cross_product(transform: &ColumnTransform, rows: &Rows, range: Range<usize>) -> Vec<f64> {
    let p = rows.p;
    let (mut out, mut chunk) = (vec![0.0; p * p], vec![0.0; CHUNK * p]);
    for begin in range.clone().step_by(CHUNK) {
        let end = (begin + CHUNK).min(range.end);
        transform.gather(rows, begin, end, &mut chunk);
        if rows.weights.is_some() && p > 0 {
            for (i, row) in (begin..end).zip(chunk.chunks_exact_mut(p)) {
                let root = rows.weight(i).sqrt();
                row.iter_mut().for_each(|v| *v *= root);
            }
        }
        add_cross_product(&mut out, &chunk[..(end - begin) * p], p, 1.0);
    }
    out
}

/// Blocks of rows whose sums are formed one by one and then added: cut by the number of rows alone.
pub fn row_blocks(n: usize) -> impl Iterator<Item = Range<usize>> {
    ranges(n, 16 * CHUNK, 16)
}

/// Adds rows in parts to two vectors of sums per level, `add(range, first, second)`: the first part to these themselves, each
/// other one to vectors of its own, which are then added in order. The parts are as many as the rows are worth, whatever
/// the number of threads.
pub fn sum_parts(
    workers: &Workers,
    n: usize,
    effects: usize,
    first: &mut [f64],
    second: &mut [f64],
    add: impl Fn(Range<usize>, &mut [f64], &mut [f64]) + Sync + Send,
) {
    let most = n / (4 * effects).max(1);
    let mut parts = ranges(n, 16 * CHUNK, most.clamp(1, 8));
    let begin = parts.next().expect("one part at least");
    let rest: Vec<Range<usize>> = parts.collect();
    let mut others: Vec<(Vec<f64>, Vec<f64>)> = rest.iter().map(|_| (vec![0.0; first.len()], vec![0.0; second.len()])).collect();
    let own = std::iter::once((begin, &mut *first, &mut *second));
    let items = own.chain(rest.into_iter().zip(&mut others).map(|(range, (a, b))| (range, &mut a[..], &mut b[..])));
    workers.for_each(items, |(range, a, b)| add(range, a, b));
    for (a, b) in &others {
        axpy(1.0, a, first);
        axpy(1.0, b, second);
    }
}

/// Adds a range of rows to the blocks of Z'WZ and of Z'WX of one group.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn add_levels(
    transform: &ColumnTransform,
    columns: &GroupColumns,
    k: usize,
    rows: &Rows,
    factor: usize,
    range: Range<usize>,
    blocks: &mut [f64],
    products: &mut [f64],
) {
    let p = rows.p;
    let (mut x, mut z) = (vec![0.0; CHUNK * p], vec![0.0; CHUNK * k]);
    for begin in range.clone().step_by(CHUNK) {
        let end = (begin + CHUNK).min(range.end);
        transform.gather(rows, begin, end, &mut x);
        columns.gather(begin, end, &mut z);
        for (m, i) in (begin..end).enumerate() {
            let (w, level) = (rows.weight(i), rows.level(factor, i));
            let (x, z) = (&x[m * p..(m + 1) * p], &z[m * k..(m + 1) * k]);
            let block = &mut blocks[level * k * k..(level + 1) * k * k];
            (0..k).for_each(|c| axpy(w * z[c], z, &mut block[c * k..(c + 1) * k]));
            let product = &mut products[level * k * p..(level + 1) * k * p];
            (0..k).for_each(|c| axpy(w * z[c], x, &mut product[c * p..(c + 1) * p]));
        }
    }
}

impl ColumnTransform {
    fn new(rows: &Rows, workers: &Workers) -> Self {
        let (n, p) = (rows.n, rows.p);
        let columns: Vec<&[f64]> = (0..p).map(|j| &rows.x[j * n..(j + 1) * n]).collect();
        let constant = |c: &&[f64]| c.first().is_some_and(|&v| v != 0.0 && c[n - 1] == v && workers.all(n, |i| c[i] == v));
        let intercept = columns.iter().position(constant);
        let total = if rows.weights.is_some() { workers.sum(n, |i| rows.weight(i)) } else { n as f64 };
        let (mut centre, mut scale) = (vec![0.0; p], vec![1.0; p]);
        for (j, column) in columns.iter().enumerate() {
            if intercept == Some(j) {
                scale[j] = column[0];
                continue;
            }
            if (intercept.is_some() || rows.absorbed.is_some()) && total > 0.0 {
                let pivot = column[0]; // sums of differences do not overflow the mantissa on time stamps
                centre[j] = pivot + workers.sum(n, |i| rows.weight(i) * (column[i] - pivot)) / total;
            }
            let m = centre[j];
            let sum = workers.sum(n, |i| rows.weight(i) * (column[i] - m) * (column[i] - m));
            let rms = (sum / total.max(f64::MIN_POSITIVE)).sqrt();
            if rms > 0.0 && rms.is_finite() {
                scale[j] = rms;
            }
        }
        ColumnTransform { intercept, centre, scale }
    }

    /// Sum of squares that centring took from a scaled column.
    fn centred_away(&self, j: usize, n: usize) -> f64 {
        let m = self.centre[j] / self.scale[j];
        m * m * n as f64
    }

    /// Writes the centred and scaled rows `begin..end` of X, each p long, one after the other.
    pub fn gather(&self, rows: &Rows, begin: usize, end: usize, out: &mut [f64]) {
        // A cache line of each column at a time: with many columns a whole chunk of rows would not stay in the cache.
        const LINE: usize = 8;
        let (n, p) = (rows.n, rows.p);
        let tile = if p > 2 * LINE { LINE } else { end - begin };
        for first in (begin..end).step_by(tile.max(1)) {
            let out = &mut out[(first - begin) * p..];
            for j in 0..p {
                let (m, s) = (self.centre[j], 1.0 / self.scale[j]);
                let column = &rows.x[j * n + first..j * n + (first + tile).min(end)];
                if self.intercept == Some(j) {
                    (0..column.len()).for_each(|i| out[i * p + j] = 1.0);
                } else {
                    column.iter().enumerate().for_each(|(i, v)| out[i * p + j] = (v - m) * s);
                }
            }
        }
    }

    /// Coefficients of the original columns from those of the centred and scaled ones, in place.
    pub fn to_original(&self, beta: &mut [f64]) {
        for (b, s) in beta.iter_mut().zip(&self.scale) {
            *b /= s;
        }
        if let Some(j0) = self.intercept {
            beta[j0] -= self.shift(beta) / self.scale[j0];
        }
    }

    /// What centring the columns took from the constants of an absorbed factor's levels; `beta` belongs to the original columns.
    pub fn shift(&self, beta: &[f64]) -> f64 {
        beta.iter().zip(&self.centre).map(|(b, m)| b * m).sum()
    }

    /// Sum of the logarithms of the scales: log det of the transformation.
    pub fn log_determinant(&self) -> f64 {
        self.scale.iter().map(|s| s.abs().ln()).sum()
    }
}

/// Row numbers ordered by level, with the range of each level.
pub struct RowOrder {
    ptr: Vec<usize>,
    rows: Vec<u32>,
}

impl RowOrder {
    /// The rows of a level.
    pub fn of_level(&self, level: usize) -> &[u32] {
        &self.rows[self.ptr[level]..self.ptr[level + 1]]
    }
}

/// Puts the rows in order of a factor's codes.
pub fn rows_by_level(codes: &[i32], levels: usize) -> RowOrder {
    let mut ptr = vec![0; levels + 1];
    codes.iter().for_each(|&c| ptr[c as usize] += 1);
    (0..levels).for_each(|l| ptr[l + 1] += ptr[l]);
    let mut next = ptr.clone();
    let mut rows = vec![0; codes.len()];
    for (i, &c) in codes.iter().enumerate() {
        let slot = &mut next[c as usize - 1];
        rows[*slot] = i as u32;
        *slot += 1;
    }
    RowOrder { ptr, rows }
}

/// A group's columns in the caller's rows, with what makes the engine's values of them.
pub struct GroupColumns<'a> {
    /// Column (none is ones), centre, and one over the scale.
    columns: Vec<(Option<&'a [f64]>, f64, f64)>,
}

impl<'a> GroupColumns<'a> {
    /// The columns of group `g`.
    pub fn new(structure: &Structure, rows: &Rows<'a>, g: usize) -> Self {
        let group = &structure.groups[g];
        let mut columns = Vec::with_capacity(group.k);
        for &(index, k, first) in &group.terms {
            let z = rows.terms[index].z;
            columns.extend((0..k).map(|c| {
                let basis = group.columns[first + c];
                (z.map(|z| &z[c * rows.n..(c + 1) * rows.n]), basis.centre, 1.0 / basis.scale)
            }));
        }
        if group.is_fixed() {
            columns.push((None, 0.0, 1.0));
        }
        GroupColumns { columns }
    }

    /// Writes the values of the rows `begin..end`, K each, one row after the other.
    pub fn gather(&self, begin: usize, end: usize, out: &mut [f64]) {
        let k = self.columns.len();
        for (c, (column, centre, scale)) in self.columns.iter().enumerate() {
            match column {
                Some(z) => z[begin..end].iter().enumerate().for_each(|(i, z)| out[i * k + c] = (z - centre) * scale),
                None => (0..end - begin).for_each(|i| out[i * k + c] = 1.0),
            }
        }
    }

    /// Writes the values of one row.
    #[inline]
    fn fill(&self, i: usize, out: &mut [f64]) {
        for (slot, (column, centre, scale)) in out.iter_mut().zip(&self.columns) {
            *slot = column.map_or(1.0, |z| (z[i] - centre) * scale);
        }
    }
}

/// The engine's values of the groups' columns in one row.
pub struct ZRow<'a> {
    groups: Vec<GroupColumns<'a>>,
    buffer: Vec<f64>,
}

impl<'a> ZRow<'a> {
    /// Prepares the look-up.
    pub fn new(structure: &Structure, rows: &Rows<'a>) -> Self {
        let groups = (0..structure.groups.len()).map(|g| GroupColumns::new(structure, rows, g)).collect();
        let widest = structure.groups.iter().map(|g| g.k).max().unwrap_or(0);
        ZRow { groups, buffer: vec![0.0; widest] }
    }

    /// The K values of group `g` in row `i`.
    #[inline]
    pub fn get(&mut self, g: usize, i: usize) -> &[f64] {
        let values = &mut self.buffer[..self.groups[g].columns.len()];
        self.groups[g].fill(i, values);
        values
    }
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
