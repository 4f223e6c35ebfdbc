//! Cross-products of a response with the design, and passes over the rows that need a fitted model.

use std::ops::Range;

use crate::error::Error;
use crate::linalg::long::{long_axpy, long_dot, long_max};
use crate::linalg::small::{axpy, dot, with_constant};
use crate::model::columns::GroupColumns;
use crate::model::rows::Rows;
use crate::parallel::{pieces, Workers};
use crate::products::cross::Products;
use crate::products::parts::{row_blocks, sum_parts};
use crate::tolerances::EXACT;

/// What a response contributes to the criterion. The response is replaced by the residuals of its weighted
/// least-squares regression on X, divided by their root mean square: the model is the same, and nothing of
/// the response's level or of what X explains is left to cancel.
#[derive(Clone, Debug)]
pub struct Response {
    /// Z'Wy.
    pub zy: Vec<f64>,
    /// X'Wy, all but zero.
    pub xy: Vec<f64>,
    /// y'Wy.
    pub yy: f64,
    /// Least-squares coefficients (of the engine's X) that were subtracted, in the original unit of y.
    pub beta0: Vec<f64>,
    /// Constants of the absorbed factor's levels that were subtracted likewise, if there is one.
    pub levels0: Vec<f64>,
    /// What the residuals were divided by.
    pub scale: f64,
    /// Where X fits the response exactly, so that what is left of it is rounding, the size of that; else zero.
    pub rounding: f64,
}

/// Rows gathered at a time: few, so that the memory for them is of the size that is reused most quickly.
const CHUNK: usize = 256;

impl Response {
    /// Passes over the rows: the regression on X, its residuals, and their cross-products.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there isn't one value a row, [`Error::NotFinite`] where one is not finite.
    pub fn new(design: &Products, rows: &Rows, y: &[f64], workers: &Workers) -> Result<Self, Error> {
        let mut out = Response::empty(design);
        out.fill(design, rows, y, &mut Vec::new(), workers)?;
        Ok(out)
    }

    /// Allocates for a design; [`Response::fill`] has to follow.
    pub fn empty(design: &Products) -> Self {
        Response {
            zy: vec![0.0; design.structure.q],
            xy: vec![0.0; design.p],
            yy: 0.0,
            beta0: vec![0.0; design.p],
            levels0: vec![0.0; design.structure.fixed_group().map_or(0, |group| group.levels)],
            scale: 1.0,
            rounding: 0.0,
        }
    }

    /// Overwrites everything by another response's; `residual` is memory to work in.
    pub fn fill(&mut self, design: &Products, rows: &Rows, y: &[f64], residual: &mut Vec<f64>, workers: &Workers) -> Result<(), Error> {
        if y.len() != design.n {
            return Err(format!("the response has {} values for {} rows", y.len(), design.n).into());
        }
        if !workers.all(y.len(), |i| y[i].is_finite()) {
            return Err(Error::NotFinite("NA/NaN/Inf in 'y'".into()));
        }
        let (first, largest) = (y.first().copied().unwrap_or(0.0), workers.max(y.len(), |range| long_max(&y[range], f64::abs)));
        let constant = design.transform.intercept.is_some() || design.absorbed.is_some();
        let shift = if constant { first } else { 0.0 };
        self.beta0.fill(0.0);
        for part in workers.map(row_blocks(design.n), |range| {
            let (mut xy, mut wy) = (vec![0.0; design.p], [0.0; CHUNK]);
            for_each_chunk(design, rows, range, |chunk, x| {
                let wy = &mut wy[..chunk.len()];
                wy.iter_mut().zip(chunk).for_each(|(wy, i)| *wy = rows.weight(i) * (y[i] - shift));
                xy.iter_mut().zip(x.chunks_exact(wy.len())).for_each(|(sum, column)| *sum += long_dot(column, wy));
            });
            xy
        }) {
            axpy(1.0, &part, &mut self.beta0);
        }
        if let Some(group) = design.structure.fixed_group() {
            self.levels0.fill(0.0);
            sum_parts(workers, design.n, group.levels, &mut self.levels0, &mut [], |range, out, _| {
                range.for_each(|i| out[rows.level(group.factor, i)] += rows.weight(i) * (y[i] - shift));
            });
        }
        design.least_squares(&mut self.beta0, &mut self.levels0);
        residual.resize(design.n, 0.0);
        let (beta0, levels0, absorbed) = (&self.beta0, &self.levels0, design.absorbed);
        let items = row_blocks(design.n).zip(pieces(residual, row_blocks(design.n).map(|r| r.len())));
        self.xy.fill(0.0);
        self.yy = 0.0;
        for (xy, yy) in workers.map(items, |(range, residual)| {
            let (first, mut xy, mut yy, mut wr) = (range.start, vec![0.0; design.p], 0.0, [0.0; CHUNK]);
            for_each_chunk(design, rows, range, |chunk, x| {
                let (r, wr) = (&mut residual[chunk.start - first..chunk.end - first], &mut wr[..chunk.len()]);
                r.iter_mut().zip(&y[chunk.clone()]).for_each(|(r, y)| *r = y - shift);
                x.chunks_exact(wr.len()).zip(beta0).for_each(|(column, b)| long_axpy(-b, column, r));
                if let Some(a) = absorbed {
                    r.iter_mut().zip(chunk.clone()).for_each(|(r, i)| *r -= levels0[rows.level(a.factor, i)]);
                }
                wr.iter_mut().zip(&*r).zip(chunk).for_each(|((wr, r), i)| *wr = rows.weight(i) * r);
                yy += long_dot(wr, r);
                xy.iter_mut().zip(x.chunks_exact(wr.len())).for_each(|(sum, column)| *sum += long_dot(column, wr));
            });
            (xy, yy)
        }) {
            axpy(1.0, &xy, &mut self.xy);
            self.yy += yy;
        }
        if let Some(j) = design.transform.intercept {
            self.beta0[j] += shift;
        }
        self.levels0.iter_mut().for_each(|c| *c += shift);
        let scale = (self.yy / design.n as f64).sqrt();
        self.scale = if scale > largest * 1e-300 && scale > 0.0 { scale } else { 1.0 };
        self.judge(scale, largest + self.fixed_part());
        self.add_levels(design, rows, residual, workers);
        let s = 1.0 / self.scale;
        self.xy.iter_mut().chain(&mut self.zy).for_each(|v| *v *= s);
        self.yy *= s * s;
        Ok(())
    }

    /// Are residuals of a root mean square, relative to the size of what they are left of, only rounding?
    pub(crate) fn judge(&mut self, residual: f64, size: f64) {
        let exact = residual <= EXACT * size;
        self.rounding = if exact { f64::EPSILON * if size > 0.0 { size } else { 1.0 } } else { 0.0 };
    }

    /// Whether X fits the response exactly.
    pub fn is_exact(&self) -> bool {
        self.rounding > 0.0
    }

    /// A residual sum of squares, which rounding alone keeps off zero.
    pub fn off_zero(&self, wrss: f64, n: usize) -> f64 {
        wrss.max(n as f64 * self.rounding * self.rounding)
    }

    /// Size of the terms of X beta (the engine's columns have size one).
    pub(crate) fn fixed_part(&self) -> f64 {
        let sum: f64 = self.beta0.iter().map(|b| b.abs()).sum();
        sum + self.levels0.iter().fold(0.0_f64, |most, c| most.max(c.abs()))
    }

    /// Z'Wr of the residuals r.
    fn add_levels(&mut self, design: &Products, rows: &Rows, residual: &[f64], workers: &Workers) {
        self.zy.fill(0.0);
        for (g, group) in design.structure.groups.iter().enumerate() {
            let own = &mut self.zy[group.offset..group.offset + group.effects()];
            let columns = GroupColumns::new(&design.structure, rows, g);
            sum_parts(workers, design.n, group.effects(), own, &mut [], |range, out, _| {
                with_constant!(
                    group.k,
                    K,
                    for_each_effect(&columns, K, rows, group.factor, range, |i, level, z| {
                        axpy(rows.weight(i) * residual[i], z, &mut out[level * K..(level + 1) * K]);
                    })
                );
            });
        }
    }
}

/// Calls `visit` with each row's index, its level of a group, and its K values of the group's columns.
#[inline(always)]
fn for_each_effect(
    columns: &GroupColumns,
    k: usize,
    rows: &Rows,
    factor: usize,
    range: Range<usize>,
    mut visit: impl FnMut(usize, usize, &[f64]),
) {
    let mut z = vec![0.0; CHUNK * k];
    for begin in range.clone().step_by(CHUNK) {
        let end = (begin + CHUNK).min(range.end);
        columns.gather(begin, end, &mut z);
        (begin..end).zip(z.chunks_exact(k)).for_each(|(i, z)| visit(i, rows.level(factor, i), z));
    }
}

/// Calls `visit` with chunks of rows and their centred and scaled columns of X, one after the other.
fn for_each_chunk(design: &Products, rows: &Rows, range: Range<usize>, mut visit: impl FnMut(Range<usize>, &[f64])) {
    let mut columns = vec![0.0; CHUNK.min(range.len()) * design.p];
    for begin in range.clone().step_by(CHUNK) {
        let chunk = begin..(begin + CHUNK).min(range.end);
        let columns = &mut columns[..chunk.len() * design.p];
        design.transform.columns(rows, chunk.start, chunk.end, columns);
        visit(chunk, columns);
    }
}

/// Fitted values X beta + Z b, where `beta` belongs to the engine's X and `b` (in the engine's order and
/// column scale) to its Z; `intercept` is what is added to every row.
pub fn fitted_values(design: &Products, rows: &Rows, beta: &[f64], b: &[f64], workers: &Workers) -> Vec<f64> {
    let mut out = vec![0.0; design.n];
    let items = row_blocks(design.n).zip(pieces(&mut out, row_blocks(design.n).map(|r| r.len())));
    workers.for_each(items, |(range, out)| {
        let first = range.start;
        for_each_chunk(design, rows, range.clone(), |chunk, x| {
            let out = &mut out[chunk.start - first..chunk.end - first];
            x.chunks_exact(out.len()).zip(beta).for_each(|(column, b)| long_axpy(*b, column, out));
        });
        for (g, group) in design.structure.groups.iter().enumerate() {
            let columns = GroupColumns::new(&design.structure, rows, g);
            let b = &b[group.offset..group.offset + group.effects()];
            with_constant!(
                group.k,
                K,
                for_each_effect(&columns, K, rows, group.factor, range.clone(), |i, level, z| {
                    out[i - first] += dot(z, &b[level * K..(level + 1) * K]);
                })
            );
        }
    });
    out
}
