//! Cross-products of data that come a chunk at a time, or in parts on several machines.
//!
//! A model needs V'WV, V'Wy, y'Wy and, level by level, Z'WZ, Z'WV and Z'Wy: sums over rows, so those of two sets of rows add up. V holds
//! raw columns, the first of them constant, of which X is a linear combination that may be chosen at the end (see
//! [`crate::products::stream`]): the levels of a factor are known by then.
//!
//! Raw sums lose digits by cancellation. So every [`CrossProducts`] belongs to a *base*: columns V - 1 m' (and columns of random effects
//! that share a term with a constant, minus their centres), and y minus its regression V b on them. Exact linear maps turn the
//! cross-products of one base into those of another, and [`CrossProducts::merge`] adds on a common base near the means of both (for one
//! column this is the update of Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115).

use crate::error::Error;
use crate::linalg::small::{axpy, dot};
use crate::products::chunk::Chunk;
use crate::products::regression::{regression, solve};
use crate::products::sums::{Dense, FactorProducts, Names, PairProducts};
use crate::tolerances::{FAR_BASE, LEFT_BY_ROUNDING};

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
    ///
    /// # Errors
    /// [`Error::Invalid`] where the terms make no sense.
    pub fn new(terms: Vec<TermShape>) -> Result<Self, Error> {
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

    /// Adds rows, in time proportional to their number; some square of their columns is kept for each level.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::NotFinite`] where the chunk's columns don't fit together; nothing is added then.
    pub fn add(&mut self, chunk: &Chunk) -> Result<(), Error> {
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
        solve(&self.vv, &image, self.d(), LEFT_BY_ROUNDING)
    }

    /// Replaces y by y minus V `step`, with the base that this is; `step` belongs to the centred columns.
    pub fn shift_response(&mut self, step: &[f64]) {
        let mut to = self.base();
        axpy(1.0, step, &mut to.coefficients);
        self.rebase(&to);
    }

    /// Adds those of other rows, in time proportional to their levels.
    ///
    /// # Errors
    /// [`Error::Invalid`] where they are of other terms.
    pub fn merge(&mut self, mut other: CrossProducts) -> Result<(), Error> {
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
        let far = |mean_square: f64, square: f64| mean_square > FAR_BASE * (square - mean_square).max(0.0);
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
