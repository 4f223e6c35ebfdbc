//! The sums that are kept of a factor, of a pair of factors, and the names of levels and columns.

use std::collections::HashMap;
use std::sync::Arc;

use crate::linalg::blocks::nth_mut;
use crate::linalg::small::{axpy, dot};
use crate::products::accumulate::TermShape;

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
    pub(crate) fn place(&mut self, name: &Arc<str>) -> usize {
        let next = self.list.len() as u32;
        let place = *self.places.entry(name.clone()).or_insert(next);
        if place == next {
            self.list.push(name.clone());
        }
        place as usize
    }

    /// Places of another list's names, of which new ones are appended.
    pub(crate) fn places_of(&mut self, other: &Names) -> Vec<usize> {
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

impl FactorProducts {
    pub(crate) fn new(terms: &[TermShape], factor: usize) -> Self {
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
            axpy(w * zc, z, nth_mut(&mut self.zz, at, k));
            axpy(w * zc, v, nth_mut(&mut self.zv, at, d));
            self.zy[at] += w * zc * y;
        }
    }

    /// Sums Z'WZ over the levels.
    pub fn sum_levels(&mut self) {
        self.total.fill(0.0);
        self.zz.chunks_exact(self.k * self.k).for_each(|block| axpy(1.0, block, &mut self.total));
    }

    /// Centres that make a column orthogonal to its term's constant.
    pub(crate) fn means(&self) -> Vec<f64> {
        let weight = |j: usize| self.total[j * self.k + j].max(f64::MIN_POSITIVE);
        let mean = |c: usize, j: usize| self.total[c * self.k + j] / weight(j);
        (0..self.k).map(|c| self.centre[c] + self.constant[c].map_or(0.0, |j| mean(c, j))).collect()
    }

    pub(crate) fn shift_to(&self, centre: &[f64]) -> Vec<f64> {
        centre.iter().zip(&self.centre).map(|(new, old)| new - old).collect()
    }

    /// Z'W(V - 1 shift').
    pub(crate) fn shift_columns(&mut self, shift: &[f64]) {
        if shift.iter().any(|s| *s != 0.0) {
            self.zv.chunks_exact_mut(shift.len()).for_each(|row| axpy(-row[0], shift, row));
        }
    }

    /// Z'W(y - V step).
    pub(crate) fn shift_response(&mut self, step: &[f64], d: usize) {
        if step.iter().any(|s| *s != 0.0) {
            self.zv.chunks_exact(d).zip(&mut self.zy).for_each(|(row, zy)| *zy -= dot(row, step));
        }
    }

    /// All of it for the columns minus `shift` times their term's constant.
    pub(crate) fn shift_effects(&mut self, shift: &[f64], d: usize) {
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
    pub(crate) fn merge(&mut self, other: &FactorProducts, d: usize) -> Vec<usize> {
        let k = self.k;
        let places = self.levels.places_of(&other.levels);
        let levels = self.levels.len();
        self.zz.resize(levels * k * k, 0.0);
        self.zv.resize(levels * k * d, 0.0);
        self.zy.resize(levels * k, 0.0);
        let add = |size: usize, from: &[f64], to: &mut [f64]| {
            for (&place, block) in places.iter().zip(from.chunks_exact(size)) {
                axpy(1.0, block, nth_mut(to, place, size));
            }
        };
        add(k * k, &other.zz, &mut self.zz);
        add(k * d, &other.zv, &mut self.zv);
        add(k, &other.zy, &mut self.zy);
        axpy(1.0, &other.total, &mut self.total);
        places
    }
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
    pub(crate) places: HashMap<(u32, u32), u32>,
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
    pub(crate) fn shift(&mut self, first: &FactorProducts, row_shift: &[f64], second: &FactorProducts, column_shift: &[f64]) {
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
pub(crate) struct Dense {
    pub(crate) d: usize,
    pub(crate) vv: Vec<f64>,
    pub(crate) vy: Vec<f64>,
    pub(crate) yy: f64,
}

impl Dense {
    /// Means of the columns, zero for the first, the constant one.
    pub(crate) fn means(&self) -> Vec<f64> {
        let total = self.vv[0];
        (0..self.d).map(|c| if c > 0 && total > 0.0 { self.vv[c] / total } else { 0.0 }).collect()
    }

    /// For V - 1 shift'.
    pub(crate) fn shift_columns(&mut self, shift: &[f64]) {
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
    pub(crate) fn shift_response(&mut self, step: &[f64]) {
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
