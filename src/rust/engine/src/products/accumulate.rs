//! Cross-products of data that are seen a chunk at a time, or a part of them on each of several machines.
//!
//! A model needs V'WV, V'Wy, y'Wy and, level by level, Z'WZ, Z'WV and Z'Wy: sums over rows, so those of two sets of rows
//! add up. V holds raw columns, the first of them constant, of which X is a linear combination that may be chosen at the
//! end (see [`crate::products::stream`]): the levels of a factor are known by then.
//!
//! Raw sums cancel. So every [`CrossProducts`] belongs to a *base*: columns V - 1 m' (and columns of random effects that
//! share a term with a constant, minus their centres), and y minus its regression V b on them. To another base lead exact
//! linear maps of the cross-products, and [`CrossProducts::merge`] adds on a common base near the means of both (for one
//! column this is the update of Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115).

use std::collections::HashMap;
use std::sync::Arc;

use crate::linalg::small::{axpy, dot};
use crate::products::chunk::Chunk;

/// A base is given up where a sum of squares on it is more than this many times that on the best one.
const FAR: f64 = 100.0;
/// A raw column counts as a combination of earlier ones where no more than this share of its square is left.
const ALIASED: f64 = 1e-9;
/// The same for what rounding alone has left.
const EXACTLY_ALIASED: f64 = 1e-13;

/// One random-effects term, as far as its shape goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TermShape {
    /// Which grouping factor.
    pub factor: usize,
    /// Number of columns.
    pub k: usize,
    /// Which of them is constantly one, if there is one.
    pub constant: Option<usize>,
}

/// Names in the order in which they were met.
#[derive(Clone, Debug, Default)]
pub struct Names {
    list: Vec<Arc<str>>,
    places: HashMap<Arc<str>, u32>,
}

impl Names {
    /// The names of a list without duplicates.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut out = Names::default();
        for name in names {
            out.place(&Arc::from(name));
        }
        out
    }

    /// Place of a name, which is appended if it is new.
    fn place(&mut self, name: &Arc<str>) -> usize {
        let next = self.list.len() as u32;
        let place = *self.places.entry(name.clone()).or_insert(next);
        if place == next {
            self.list.push(name.clone());
        }
        place as usize
    }

    /// Places of another list's names, of which new ones are appended.
    fn places_of(&mut self, other: &Names) -> Vec<usize> {
        other.list.iter().map(|name| self.place(name)).collect()
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|name| name.as_ref())
    }
}

/// What belongs to one grouping factor; K columns are those of its terms one after the other.
#[derive(Clone, Debug)]
pub struct FactorProducts {
    /// The levels.
    pub levels: Names,
    /// Number of columns K.
    pub k: usize,
    /// Per column the constant one of its term, where that is another one.
    pub constant: Vec<Option<usize>>,
    /// Per column what is subtracted from it, times the constant column.
    pub centre: Vec<f64>,
    /// Z'WZ, K x K per level.
    pub zz: Vec<f64>,
    /// Z'WV, per level K rows as long as there are raw columns.
    pub zv: Vec<f64>,
    /// Z'Wy, K per level.
    pub zy: Vec<f64>,
    /// Sum of Z'WZ over the levels.
    pub total: Vec<f64>,
}

/// Blocks of Z'WZ between the levels of two grouping factors.
#[derive(Clone, Debug)]
pub struct PairProducts {
    /// The factor of the rows.
    pub first: usize,
    /// The factor of the columns.
    pub second: usize,
    /// Levels of each block.
    pub levels: Vec<(u32, u32)>,
    /// The blocks, K of the first x K of the second, column-major.
    pub values: Vec<f64>,
    places: HashMap<(u32, u32), u32>,
}

/// Cross-products of a set of rows.
#[derive(Clone, Debug)]
pub struct CrossProducts {
    /// The random-effects terms.
    pub terms: Vec<TermShape>,
    /// Number of rows.
    pub n: usize,
    /// Sum of the logarithms of the weights.
    pub log_weights: f64,
    /// The raw columns V; the first is constantly one.
    pub columns: Names,
    /// Base: what is subtracted from each raw column, zero for the first.
    pub centre: Vec<f64>,
    /// Base: the coefficients b (of the centred columns) that are subtracted from y.
    pub coefficients: Vec<f64>,
    /// V'WV, d x d.
    pub vv: Vec<f64>,
    /// V'Wy.
    pub vy: Vec<f64>,
    /// y'Wy.
    pub yy: f64,
    /// What belongs to each grouping factor.
    pub factors: Vec<FactorProducts>,
    /// What belongs to each pair of them.
    pub pairs: Vec<PairProducts>,
}

/// A base: see [`crate::products::accumulate`].
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    centre: Vec<f64>,
    coefficients: Vec<f64>,
    z_centre: Vec<Vec<f64>>,
}

/// Name of the constant raw column.
pub const CONSTANT: &str = "(Intercept)";

impl CrossProducts {
    /// Of no rows.
    pub fn new(terms: Vec<TermShape>) -> Result<Self, String> {
        if terms.is_empty() {
            return Err("a model needs at least one random-effects term".into());
        }
        if terms.iter().any(|t| t.k == 0 || t.constant.is_some_and(|c| c >= t.k)) {
            return Err("a random-effects term has no such column".into());
        }
        let count = terms.iter().map(|t| t.factor + 1).max().unwrap_or(0);
        let factors: Vec<FactorProducts> = (0..count).map(|factor| FactorProducts::new(&terms, factor)).collect();
        if factors.iter().any(|f| f.k == 0) {
            return Err("a grouping factor has no random-effects term".into());
        }
        let pairs = (0..count).flat_map(|second| (0..second).map(move |first| PairProducts::new(first, second))).collect();
        Ok(CrossProducts {
            terms,
            n: 0,
            log_weights: 0.0,
            columns: Names::new([CONSTANT.to_string()]),
            centre: vec![0.0],
            coefficients: vec![0.0],
            vv: vec![0.0],
            vy: vec![0.0],
            yy: 0.0,
            factors,
            pairs,
        })
    }

    /// Number of raw columns.
    pub fn d(&self) -> usize {
        self.columns.len()
    }

    /// Sum of the weights.
    pub fn total_weight(&self) -> f64 {
        self.vv[0]
    }

    /// Adds rows.
    pub fn add(&mut self, chunk: &Chunk) -> Result<(), String> {
        if chunk.y.is_empty() {
            return Ok(());
        }
        self.merge(Self::of_chunk(self.terms.clone(), chunk)?)
    }

    /// The present base.
    pub fn base(&self) -> Base {
        Base {
            centre: self.centre.clone(),
            coefficients: self.coefficients.clone(),
            z_centre: self.factors.iter().map(|f| f.centre.clone()).collect(),
        }
    }

    /// The means of all columns and the regression of y on them.
    pub fn best_base(&self) -> Base {
        let d = self.d();
        let mut dense = Dense { d, vv: self.vv.clone(), vy: self.vy.clone(), yy: self.yy };
        let shift = dense.means();
        let centre: Vec<f64> = self.centre.iter().zip(&shift).map(|(m, s)| m + s).collect();
        let mut coefficients = self.coefficients.clone();
        coefficients[0] += dot(&shift, &self.coefficients);
        dense.shift_columns(&shift);
        axpy(1.0, &regression(&dense.vv, &dense.vy, d), &mut coefficients);
        let z_centre = self.factors.iter().map(FactorProducts::means).collect();
        Base { centre, coefficients, z_centre }
    }

    /// The same cross-products on another base. Costs a pass over all levels for what changes.
    pub fn rebase(&mut self, to: &Base) {
        let d = self.d();
        let shift: Vec<f64> = to.centre.iter().zip(&self.centre).map(|(new, old)| new - old).collect();
        // With b for b_new: y - (V - 1 shift') b = (y - V b_old) - V (b - b_old) + 1 shift'b. The columns are still on their old
        // centres when y changes, for there they are small.
        let mut step: Vec<f64> = to.coefficients.iter().zip(&self.coefficients).map(|(new, old)| new - old).collect();
        step[0] -= dot(&shift, &to.coefficients);
        let step = self.without_aliased(&step);
        let mut dense = Dense { d, vv: std::mem::take(&mut self.vv), vy: std::mem::take(&mut self.vy), yy: self.yy };
        dense.shift_response(&step);
        dense.shift_columns(&shift);
        (self.vv, self.vy, self.yy) = (dense.vv, dense.vy, dense.yy);
        for factor in &mut self.factors {
            factor.shift_response(&step, d);
            factor.shift_columns(&shift);
        }
        for pair in &mut self.pairs {
            let (first, second) = (&self.factors[pair.first], &self.factors[pair.second]);
            pair.shift(first, &first.shift_to(&to.z_centre[pair.first]), second, &second.shift_to(&to.z_centre[pair.second]));
        }
        for (factor, centre) in self.factors.iter_mut().zip(&to.z_centre) {
            factor.shift_effects(&factor.shift_to(centre), d);
        }
        self.centre.clone_from(&to.centre);
        self.coefficients.clone_from(&to.coefficients);
    }

    /// Coefficients with the same V times them, and zero for a column that is a combination of earlier ones: large coefficients
    /// that cancel each other, as of a constant and of the indicators that add up to it, would leave their rounding behind.
    pub fn without_aliased(&self, step: &[f64]) -> Vec<f64> {
        if step.iter().all(|s| *s == 0.0) {
            return step.to_vec();
        }
        let image: Vec<f64> = self.vv.chunks_exact(self.d()).map(|row| dot(row, step)).collect();
        solve(&self.vv, &image, self.d(), EXACTLY_ALIASED)
    }

    /// Replaces y by y minus V `step`, with the base that this is; `step` belongs to the centred columns.
    pub fn shift_response(&mut self, step: &[f64]) {
        let mut to = self.base();
        axpy(1.0, step, &mut to.coefficients);
        self.rebase(&to);
    }

    /// Adds those of other rows.
    pub fn merge(&mut self, mut other: CrossProducts) -> Result<(), String> {
        if self.terms != other.terms {
            return Err("the cross-products belong to different random-effects terms".into());
        }
        if other.n == 0 {
            return Ok(());
        }
        let places = self.columns.places_of(&other.columns);
        self.widen();
        other.spread(&places, &self.columns);
        if self.n == 0 {
            self.rebase(&other.base());
        }
        let base = self.common_base(&other);
        if base != self.base() {
            self.rebase(&base);
        }
        other.rebase(&base);
        self.add_up(&other);
        Ok(())
    }

    /// The present base if it serves the rows of both, or else the best one for both.
    fn common_base(&self, other: &CrossProducts) -> Base {
        let present = self.base();
        let mut summary = other.summary();
        summary.rebase(&present);
        let mut both = self.summary();
        both.add_up(&summary);
        if both.is_far() {
            both.best_base()
        } else {
            present
        }
    }

    /// A copy without the levels.
    pub(crate) fn summary(&self) -> CrossProducts {
        let factor = |f: &FactorProducts| FactorProducts {
            levels: Names::default(),
            zz: Vec::new(),
            zv: Vec::new(),
            zy: Vec::new(),
            k: f.k,
            constant: f.constant.clone(),
            centre: f.centre.clone(),
            total: f.total.clone(),
        };
        CrossProducts {
            terms: self.terms.clone(),
            columns: self.columns.clone(),
            centre: self.centre.clone(),
            coefficients: self.coefficients.clone(),
            vv: self.vv.clone(),
            vy: self.vy.clone(),
            factors: self.factors.iter().map(factor).collect(),
            pairs: Vec::new(),
            ..*self
        }
    }

    /// Would another base lose much fewer digits?
    fn is_far(&self) -> bool {
        let total = self.total_weight();
        let far = |mean_square: f64, square: f64| mean_square > FAR * (square - mean_square).max(0.0);
        let d = self.d();
        let columns = (1..d).any(|c| far(self.vv[c] * self.vv[c] / total, self.vv[c * d + c]));
        let effects = self.factors.iter().any(|f| {
            (0..f.k).any(|c| f.constant[c].is_some_and(|j| far(f.total[c * f.k + j].powi(2) / f.total[j * f.k + j], f.total[c * f.k + c])))
        });
        let explained = dot(&regression(&self.vv, &self.vy, d), &self.vy);
        columns || effects || far(explained, self.yy)
    }

    /// Columns of zeros for the names that have none yet.
    fn widen(&mut self) {
        let places: Vec<usize> = (0..self.centre.len()).collect();
        let columns = std::mem::take(&mut self.columns);
        self.spread(&places, &columns);
    }

    /// Moves column c to `places[c]` of `columns`; the others are zero.
    fn spread(&mut self, places: &[usize], columns: &Names) {
        let (from, to) = (places.len(), columns.len());
        self.columns = columns.clone();
        if from == to && places.iter().enumerate().all(|(c, &place)| c == place) {
            return;
        }
        let vector = |old: &[f64]| {
            let mut new = vec![0.0; to];
            places.iter().zip(old).for_each(|(&place, &v)| new[place] = v);
            new
        };
        let mut vv = vec![0.0; to * to];
        for (c, column) in self.vv.chunks_exact(from).enumerate() {
            vv[places[c] * to..(places[c] + 1) * to].copy_from_slice(&vector(column));
        }
        self.vv = vv;
        self.centre = vector(&self.centre);
        self.coefficients = vector(&self.coefficients);
        self.vy = vector(&self.vy);
        for factor in &mut self.factors {
            factor.zv = factor.zv.chunks_exact(from).flat_map(vector).collect();
        }
    }

    /// Adds what has the same columns and the same base.
    fn add_up(&mut self, other: &CrossProducts) {
        let d = self.d();
        self.n += other.n;
        self.log_weights += other.log_weights;
        axpy(1.0, &other.vv, &mut self.vv);
        axpy(1.0, &other.vy, &mut self.vy);
        self.yy += other.yy;
        let places: Vec<Vec<usize>> = self.factors.iter_mut().zip(&other.factors).map(|(f, o)| f.merge(o, d)).collect();
        for (pair, from) in self.pairs.iter_mut().zip(&other.pairs) {
            let size = self.factors[pair.first].k * self.factors[pair.second].k;
            for (&(a, b), block) in from.levels.iter().zip(from.values.chunks_exact(size)) {
                let key = (places[pair.first][a as usize] as u32, places[pair.second][b as usize] as u32);
                axpy(1.0, block, pair.block_mut(key, size));
            }
        }
    }
}

impl FactorProducts {
    fn new(terms: &[TermShape], factor: usize) -> Self {
        let mut constant = Vec::new();
        for term in terms.iter().filter(|t| t.factor == factor) {
            let first = constant.len();
            constant.extend((0..term.k).map(|c| term.constant.filter(|&j| j != c).map(|j| first + j)));
        }
        let k = constant.len();
        FactorProducts {
            levels: Names::default(),
            k,
            constant,
            centre: vec![0.0; k],
            zz: Vec::new(),
            zv: Vec::new(),
            zy: Vec::new(),
            total: vec![0.0; k * k],
        }
    }

    /// Adds one row with these columns.
    #[inline]
    pub(crate) fn add_row(&mut self, level: usize, w: f64, z: &[f64], v: &[f64], y: f64) {
        let (k, d) = (self.k, v.len());
        for (c, &zc) in z.iter().enumerate() {
            let at = level * k + c;
            axpy(w * zc, z, &mut self.zz[at * k..(at + 1) * k]);
            axpy(w * zc, v, &mut self.zv[at * d..(at + 1) * d]);
            self.zy[at] += w * zc * y;
        }
    }

    /// Sums Z'WZ over the levels.
    pub fn sum_levels(&mut self) {
        self.total.fill(0.0);
        self.zz.chunks_exact(self.k * self.k).for_each(|block| axpy(1.0, block, &mut self.total));
    }

    /// Centres that make a column orthogonal to its term's constant.
    fn means(&self) -> Vec<f64> {
        let weight = |j: usize| self.total[j * self.k + j].max(f64::MIN_POSITIVE);
        let mean = |c: usize, j: usize| self.total[c * self.k + j] / weight(j);
        (0..self.k).map(|c| self.centre[c] + self.constant[c].map_or(0.0, |j| mean(c, j))).collect()
    }

    fn shift_to(&self, centre: &[f64]) -> Vec<f64> {
        centre.iter().zip(&self.centre).map(|(new, old)| new - old).collect()
    }

    /// Z'W(V - 1 shift').
    fn shift_columns(&mut self, shift: &[f64]) {
        if shift.iter().any(|s| *s != 0.0) {
            self.zv.chunks_exact_mut(shift.len()).for_each(|row| axpy(-row[0], shift, row));
        }
    }

    /// Z'W(y - V step).
    fn shift_response(&mut self, step: &[f64], d: usize) {
        if step.iter().any(|s| *s != 0.0) {
            self.zv.chunks_exact(d).zip(&mut self.zy).for_each(|(row, zy)| *zy -= dot(row, step));
        }
    }

    /// All of it for the columns minus `shift` times their term's constant.
    fn shift_effects(&mut self, shift: &[f64], d: usize) {
        if shift.iter().all(|s| *s == 0.0) {
            return;
        }
        let k = self.k;
        for (c, &s) in shift.iter().enumerate() {
            let Some(j) = self.constant[c] else { continue };
            for level in self.zv.chunks_exact_mut(k * d) {
                (0..d).for_each(|i| level[c * d + i] -= s * level[j * d + i]);
            }
            self.zy.chunks_exact_mut(k).for_each(|level| level[c] -= s * level[j]);
            for block in self.zz.chunks_exact_mut(k * k).chain(std::iter::once(&mut self.total[..])) {
                (0..k).for_each(|r| block[c * k + r] -= s * block[j * k + r]);
                (0..k).for_each(|r| block[r * k + c] -= s * block[r * k + j]);
            }
            self.centre[c] += s;
        }
    }

    /// Adds another's levels; where each of them stands here.
    fn merge(&mut self, other: &FactorProducts, d: usize) -> Vec<usize> {
        let k = self.k;
        let places = self.levels.places_of(&other.levels);
        let levels = self.levels.len();
        self.zz.resize(levels * k * k, 0.0);
        self.zv.resize(levels * k * d, 0.0);
        self.zy.resize(levels * k, 0.0);
        let add = |size: usize, from: &[f64], to: &mut [f64]| {
            for (&place, block) in places.iter().zip(from.chunks_exact(size)) {
                axpy(1.0, block, &mut to[place * size..(place + 1) * size]);
            }
        };
        add(k * k, &other.zz, &mut self.zz);
        add(k * d, &other.zv, &mut self.zv);
        add(k, &other.zy, &mut self.zy);
        axpy(1.0, &other.total, &mut self.total);
        places
    }
}

impl PairProducts {
    /// Of two factors, without blocks.
    pub fn new(first: usize, second: usize) -> Self {
        PairProducts { first, second, levels: Vec::new(), values: Vec::new(), places: HashMap::new() }
    }

    /// The block of two levels, of zeros if it is new.
    pub fn block_mut(&mut self, key: (u32, u32), size: usize) -> &mut [f64] {
        let next = self.levels.len() as u32;
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.levels.push(key);
            self.values.resize(self.values.len() + size, 0.0);
        }
        &mut self.values[place as usize * size..(place as usize + 1) * size]
    }

    /// For the columns of both factors minus their shifts times their constants.
    fn shift(&mut self, first: &FactorProducts, row_shift: &[f64], second: &FactorProducts, column_shift: &[f64]) {
        if row_shift.iter().chain(column_shift).all(|s| *s == 0.0) {
            return;
        }
        let (rows, columns) = (first.k, second.k);
        for block in self.values.chunks_exact_mut(rows * columns) {
            for (r, &s) in row_shift.iter().enumerate() {
                let Some(j) = first.constant[r] else { continue };
                (0..columns).for_each(|c| block[c * rows + r] -= s * block[c * rows + j]);
            }
            for (c, &s) in column_shift.iter().enumerate() {
                let Some(j) = second.constant[c] else { continue };
                (0..rows).for_each(|r| block[c * rows + r] -= s * block[j * rows + r]);
            }
        }
    }
}

/// V'WV, V'Wy and y'Wy.
struct Dense {
    d: usize,
    vv: Vec<f64>,
    vy: Vec<f64>,
    yy: f64,
}

impl Dense {
    /// Means of the columns, zero for the first, the constant one.
    fn means(&self) -> Vec<f64> {
        let total = self.vv[0];
        (0..self.d).map(|c| if c > 0 && total > 0.0 { self.vv[c] / total } else { 0.0 }).collect()
    }

    /// For V - 1 shift'.
    fn shift_columns(&mut self, shift: &[f64]) {
        if shift.iter().all(|s| *s == 0.0) {
            return;
        }
        let d = self.d;
        let (ones, one_y) = (self.vv[..d].to_vec(), self.vy[0]);
        for c in 0..d {
            for r in 0..d {
                self.vv[c * d + r] += shift[c] * shift[r] * ones[0] - shift[c] * ones[r] - shift[r] * ones[c];
            }
        }
        axpy(-one_y, shift, &mut self.vy);
    }

    /// For y - V step.
    fn shift_response(&mut self, step: &[f64]) {
        if step.iter().all(|s| *s == 0.0) {
            return;
        }
        self.yy -= dot(step, &self.vy);
        for (r, vy) in self.vy.iter_mut().enumerate() {
            *vy -= dot(&self.vv[r * self.d..(r + 1) * self.d], step);
        }
        self.yy -= dot(step, &self.vy);
    }
}

/// Coefficients of a least-squares regression whose cross-products are given; zero for a column that is a combination of
/// earlier ones.
pub fn regression(vv: &[f64], vy: &[f64], d: usize) -> Vec<f64> {
    solve(vv, vy, d, ALIASED)
}

fn solve(vv: &[f64], vy: &[f64], d: usize, least: f64) -> Vec<f64> {
    let (l, kept) = square_root(vv, d, least);
    let mut b = vy.to_vec();
    for c in 0..d {
        b[c] = if kept[c] { (b[c] - (0..c).map(|s| l[s * d + c] * b[s]).sum::<f64>()) / l[c * d + c] } else { 0.0 };
    }
    for c in (0..d).rev().filter(|&c| kept[c]) {
        b[c] = (b[c] - (c + 1..d).filter(|&r| kept[r]).map(|r| l[c * d + r] * b[r]).sum::<f64>()) / l[c * d + c];
    }
    b
}

/// Lower triangular L with L L' = A for a symmetric positive semidefinite A, and which columns have a pivot: none where
/// less than the share `least` of the diagonal element is left (the column of L is zero there).
pub fn square_root(a: &[f64], d: usize, least: f64) -> (Vec<f64>, Vec<bool>) {
    let mut l = vec![0.0; d * d];
    let mut kept = vec![false; d];
    for c in 0..d {
        for r in c..d {
            l[c * d + r] = a[c * d + r] - (0..c).map(|s| l[s * d + r] * l[s * d + c]).sum::<f64>();
        }
        let pivot = l[c * d + c];
        kept[c] = pivot > least * a[c * d + c];
        let root = if kept[c] { pivot.sqrt() } else { f64::INFINITY };
        l[c * d + c..(c + 1) * d].iter_mut().for_each(|v| *v /= root);
    }
    (l, kept)
}
