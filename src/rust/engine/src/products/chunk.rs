//! Rows of a stream, and their cross-products.

use crate::error::Error;
use crate::linalg::blocks::add_cross_product;
use crate::linalg::small::{axpy, dot};
use crate::products::accumulate::{CrossProducts, TermShape, CONSTANT};
use crate::products::regression::regression;
use crate::products::sums::{FactorProducts, Names};

/// Rows that are gathered before they are added.
const BLOCK: usize = 512;

/// Rows of the data, borrowed from the caller.
pub struct Chunk<'a> {
    /// Names of the raw columns after the constant one.
    pub columns: Vec<String>,
    /// These columns, column-major, n rows.
    pub v: &'a [f64],
    /// Response without the offset.
    pub y: &'a [f64],
    /// Prior weights; `None` means that all are one.
    pub weights: Option<&'a [f64]>,
    /// Per grouping factor the level of each row, counted from 1.
    pub codes: Vec<&'a [i32]>,
    /// Per grouping factor the names of these levels.
    pub levels: Vec<Vec<String>>,
    /// Per term its columns, column-major; `None` is one column of ones.
    pub z: Vec<Option<&'a [f64]>>,
}

impl CrossProducts {
    /// Of a chunk alone, on its own means and regression: one pass over the rows for the means, one for V'WV and one for
    /// everything else.
    pub(crate) fn of_chunk(terms: Vec<TermShape>, chunk: &Chunk) -> Result<Self, Error> {
        let mut out = Self::new(terms)?;
        chunk.check(&out)?;
        out.columns = Names::new(std::iter::once(CONSTANT.to_string()).chain(chunk.columns.iter().cloned()));
        if out.columns.len() != chunk.columns.len() + 1 {
            return Err("two raw columns have the same name".into());
        }
        let d = out.d();
        out.n = chunk.n();
        out.log_weights = chunk.weights.map_or(0.0, |w| w.iter().map(|w| w.ln()).sum());
        out.centre = vec![0.0; d];
        (1..d).for_each(|c| out.centre[c] = chunk.mean(chunk.column(c)));
        out.coefficients = vec![0.0; d];
        out.coefficients[0] = chunk.mean(chunk.y);
        out.vv = vec![0.0; d * d];
        out.vy = vec![0.0; d];
        for (f, factor) in out.factors.iter_mut().enumerate() {
            factor.levels = Names::new(chunk.levels[f].iter().cloned());
            if factor.levels.len() != chunk.levels[f].len() {
                return Err("two levels of a grouping factor have the same name".into());
            }
            let (k, levels) = (factor.k, factor.levels.len());
            factor.zz = vec![0.0; levels * k * k];
            factor.zv = vec![0.0; levels * k * d];
            factor.zy = vec![0.0; levels * k];
        }
        out.centre_effects(chunk);
        out.add_columns_of(chunk);
        let b = regression(&out.vv, &out.vy, d);
        axpy(1.0, &b, &mut out.coefficients);
        out.add_rows_of(chunk);
        Ok(out)
    }

    /// Centres of the random effects' columns: their means in the chunk.
    fn centre_effects(&mut self, chunk: &Chunk) {
        let mut first = vec![0; self.factors.len()];
        for (term, z) in self.terms.iter().zip(&chunk.z) {
            let factor = &mut self.factors[term.factor];
            for c in 0..term.k {
                let at = first[term.factor] + c;
                if let (Some(z), Some(_)) = (z, factor.constant[at]) {
                    factor.centre[at] = chunk.mean(&z[c * chunk.n()..(c + 1) * chunk.n()]);
                }
            }
            first[term.factor] += term.k;
        }
    }

    /// V'WV, and V'Wy of y minus its mean.
    fn add_columns_of(&mut self, chunk: &Chunk) {
        let (d, mean) = (self.d(), self.coefficients[0]);
        chunk.for_each_block(&self.centre, |begin, rows| {
            for (i, row) in rows.chunks_exact(d).enumerate() {
                axpy(chunk.weight(begin + i) * (chunk.y[begin + i] - mean), row, &mut self.vy);
            }
            if chunk.weights.is_some() {
                for (i, row) in rows.chunks_exact_mut(d).enumerate() {
                    let root = chunk.weight(begin + i).sqrt();
                    row.iter_mut().for_each(|v| *v *= root);
                }
            }
            add_cross_product(&mut self.vv, rows, d, 1.0);
        });
        for c in 0..d {
            for r in c + 1..d {
                self.vv[r * d + c] = self.vv[c * d + r];
            }
        }
    }

    /// Everything but V'WV.
    fn add_rows_of(&mut self, chunk: &Chunk) {
        let (d, b) = (self.d(), self.coefficients.clone());
        self.vy.fill(0.0);
        let effects = EffectRows::new(self, chunk);
        let mut z: Vec<Vec<f64>> = self.factors.iter().map(|f| vec![0.0; f.k]).collect();
        chunk.for_each_block(&self.centre, |begin, rows| {
            for (i, v) in rows.chunks_exact(d).enumerate() {
                let row = begin + i;
                let (w, y) = (chunk.weight(row), chunk.y[row] - dot(v, &b));
                self.yy += w * y * y;
                axpy(w * y, v, &mut self.vy);
                for (f, factor) in self.factors.iter_mut().enumerate() {
                    effects.get(f, row, &mut z[f]);
                    factor.add_row(chunk.level(f, row), w, &z[f], v, y);
                }
                for pair in &mut self.pairs {
                    let key = (chunk.level(pair.first, row) as u32, chunk.level(pair.second, row) as u32);
                    let (first, second) = (&z[pair.first], &z[pair.second]);
                    let block = pair.block_mut(key, first.len() * second.len());
                    second.iter().zip(block.chunks_exact_mut(first.len())).for_each(|(&zc, column)| axpy(w * zc, first, column));
                }
            }
        });
        self.factors.iter_mut().for_each(FactorProducts::sum_levels);
    }
}

impl Chunk<'_> {
    /// Number of rows.
    pub fn n(&self) -> usize {
        self.y.len()
    }

    #[inline]
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[row])
    }

    #[inline]
    fn level(&self, factor: usize, row: usize) -> usize {
        (self.codes[factor][row] - 1) as usize
    }

    /// Raw column c > 0.
    fn column(&self, c: usize) -> &[f64] {
        &self.v[(c - 1) * self.n()..c * self.n()]
    }

    /// Weighted mean; sums of differences don't overflow the mantissa on time stamps.
    fn mean(&self, column: &[f64]) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (row, v) in column.iter().enumerate() {
            sum += self.weight(row) * (v - column[0]);
            total += self.weight(row);
        }
        column[0] + sum / total
    }

    /// Calls `visit` with the first row's number and a block of centred rows of V, one after the other.
    fn for_each_block(&self, centre: &[f64], mut visit: impl FnMut(usize, &mut [f64])) {
        let d = centre.len();
        let mut block = vec![0.0; BLOCK.min(self.n()) * d];
        for begin in (0..self.n()).step_by(BLOCK) {
            let end = (begin + BLOCK).min(self.n());
            (0..end - begin).for_each(|i| block[i * d] = 1.0);
            for c in 1..d {
                let column = &self.column(c)[begin..end];
                column.iter().enumerate().for_each(|(i, v)| block[i * d + c] = v - centre[c]);
            }
            visit(begin, &mut block[..(end - begin) * d]);
        }
    }

    /// Checks lengths, codes and values, so that the passes over the rows need not.
    fn check(&self, products: &CrossProducts) -> Result<(), Error> {
        let n = self.n();
        if self.v.len() != n * self.columns.len() || self.weights.is_some_and(|w| w.len() != n) {
            return Err("columns, weights and response differ in length".into());
        }
        if self.codes.len() != products.factors.len() || self.levels.len() != products.factors.len() || self.z.len() != products.terms.len()
        {
            return Err("the chunk has other random-effects terms than the cross-products".into());
        }
        for (codes, levels) in self.codes.iter().zip(&self.levels) {
            if codes.len() != n || codes.iter().any(|&c| c < 1 || c as usize > levels.len()) {
                return Err("a grouping factor has a missing level".into());
            }
        }
        for (term, z) in products.terms.iter().zip(&self.z) {
            if z.map_or(term.k != 1, |z| z.len() != n * term.k) {
                return Err("the columns of a random-effects term and the response differ in length".into());
            }
        }
        let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
        if !finite(self.y) {
            return Err(Error::NotFinite("NA/NaN/Inf in 'y'".into()));
        }
        if !finite(self.v) {
            return Err(Error::NotFinite("NA/NaN/Inf in 'X' (fixed-effects model matrix)".into()));
        }
        if !self.z.iter().flatten().all(|z| finite(z)) {
            return Err(Error::NotFinite("NA/NaN/Inf in 'Z' (random-effects model matrix)".into()));
        }
        match self.weights {
            Some(w) if w.iter().any(|w| !(w.is_finite() && *w > 0.0)) => Err("weights must be positive and finite".into()),
            _ => Ok(()),
        }
    }
}

/// A column (`None` is one of ones) and its centre.
type Column<'a> = (Option<&'a [f64]>, f64);

/// The centred values of each factor's columns, row by row.
struct EffectRows<'a> {
    columns: Vec<Vec<Column<'a>>>,
}

impl<'a> EffectRows<'a> {
    fn new(products: &CrossProducts, chunk: &Chunk<'a>) -> Self {
        let mut columns: Vec<Vec<Column<'a>>> = vec![Vec::new(); products.factors.len()];
        for (term, z) in products.terms.iter().zip(&chunk.z) {
            for c in 0..term.k {
                let centre = products.factors[term.factor].centre[columns[term.factor].len()];
                columns[term.factor].push((z.map(|z| &z[c * chunk.n()..(c + 1) * chunk.n()]), centre));
            }
        }
        EffectRows { columns }
    }

    #[inline]
    fn get(&self, factor: usize, row: usize, out: &mut [f64]) {
        for (slot, (column, centre)) in out.iter_mut().zip(&self.columns[factor]) {
            *slot = column.map_or(1.0, |z| z[row]) - centre;
        }
    }
}
