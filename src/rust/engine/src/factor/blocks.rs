//! The penalised least-squares problem at one theta (Bates et al. 2015, doi:10.18637/jss.v067.i01, section 3).
//!
//! With A = Z'WZ the matrix M = Lambda' A Lambda + I is factored by blocks: the leading group's K x K blocks
//! M_i = L_i L_i' one by one, then their Schur complement S (see [`crate::linalg::symmetric`]). What depends on theta alone
//! is in [`Factor`]; what a response adds, in [`crate::factor::solution`]. All memory is allocated once, by `new`.

use crate::error::Error;
use crate::factor::solution::factor_fixed;
use crate::linalg::blocks::{congruence, nth, nth_mut, scale_rows};
use crate::linalg::log_product::LogProduct;
use crate::linalg::scratch::Scratch;
use crate::linalg::small::{axpy, cholesky, dot, lower_transpose_times, solve_lower, solve_lower_rows, with_constant};
use crate::model::lambda::Lambda;
use crate::parallel::{pieces, ranges, Workers};
use crate::plan::adjacency::Adjacency;
use crate::plan::design::System;

/// Elements of a large matrix that a thread clears at a time.
const LARGE: usize = 1 << 16;

/// The factorisation at one theta.
#[derive(Debug)]
pub struct Factor {
    /// Lambda at which everything below was computed.
    pub lambda: Lambda,
    /// Cholesky factors L_i of the leading group's blocks of M.
    pub lead: Vec<f64>,
    /// U_i = L_i^-1 M_i,rest: per leading level K x s_i, column-major, like the design's neighbour values.
    pub cross: Vec<f64>,
    /// Cholesky factor of S.
    pub rest: Vec<f64>,
    /// RZX = L^-1 Lambda'Z'WX, a row of length p per random effect (the rest in the factor's order).
    pub rzx: Vec<f64>,
    /// RX', the lower Cholesky factor of X'V^-1X.
    pub rx: Vec<f64>,
    /// log |M|.
    pub ld_l2: f64,
    /// log |X'V^-1X| for the engine's X.
    pub ld_rx2: f64,
    block: Vec<f64>,
}

/// Not positive definite: theta is too large for the arithmetic, or not a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NotPositiveDefinite;

impl From<NotPositiveDefinite> for Error {
    fn from(_: NotPositiveDefinite) -> Self {
        Error::NotPositiveDefinite
    }
}

impl Factor {
    /// Allocates for a design.
    pub fn new(design: &System) -> Self {
        let (layout, adjacency) = (&design.plan.layout, &design.plan.adjacency);
        let lead = &design.structure.groups[0];
        let (k, p, widest) = (lead.k, design.p, design.structure.widest());
        Factor {
            lambda: design.structure.groups.iter().map(|g| vec![0.0; g.k * g.k]).collect(),
            lead: vec![0.0; lead.levels * k * k],
            cross: vec![0.0; adjacency.columns.len() * k],
            rest: vec![0.0; layout.len()],
            rzx: vec![0.0; design.structure.q * p],
            rx: vec![0.0; p * p],
            ld_l2: 0.0,
            ld_rx2: 0.0,
            block: vec![0.0; 4 * widest * widest],
        }
    }

    /// That of a design at one Lambda, and the memory that it was made in.
    pub fn at(design: &System, lambda: &Lambda, workers: &Workers) -> Result<(Self, Scratch), NotPositiveDefinite> {
        let (mut factor, mut scratch) = (Factor::new(design), Scratch::new(&design.plan.layout));
        factor.factorize(design, lambda, &mut scratch, workers)?;
        Ok((factor, scratch))
    }

    /// Factors M and X'V^-1X at a Lambda.
    pub fn factorize(
        &mut self,
        design: &System,
        lambda: &Lambda,
        scratch: &mut Scratch,
        workers: &Workers,
    ) -> Result<(), NotPositiveDefinite> {
        self.lambda.clone_from(lambda);
        self.start_rest(design, workers);
        self.factor_lead(design, workers)?;
        if design.plan.layout.order > 0 {
            self.eliminate_lead(design, workers);
            if !design.plan.layout.factorize(&mut self.rest, scratch, workers) {
                return Err(NotPositiveDefinite);
            }
            self.ld_l2 += design.plan.layout.log_determinant(&self.rest);
            let begin = rest_begin(design) * design.p;
            design.plan.layout.forward(&self.rest, &mut self.rzx[begin..], design.p, scratch, workers);
        }
        self.ld_rx2 = factor_fixed(design, &self.rzx, &mut self.rx)?;
        if self.ld_l2.is_finite() {
            Ok(())
        } else {
            Err(NotPositiveDefinite)
        }
    }

    /// S := Lambda' A Lambda + I and rzx := Lambda'Z'WX for all groups but the leading one.
    fn start_rest(&mut self, design: &System, workers: &Workers) {
        if design.plan.layout.order == 0 {
            return;
        }
        workers.for_each(self.rest.chunks_mut(LARGE), |chunk| chunk.fill(0.0));
        let begin = rest_begin(design);
        let p = design.p;
        for (g, group) in design.structure.groups.iter().enumerate().skip(1) {
            let k = group.k;
            for level in 0..group.levels {
                let start = group.offset - begin + level * k;
                let (product, _) = self.block.split_at_mut(k * k);
                congruence(nth(&design.diagonal[g], level, k * k), &self.lambda[g], k, product);
                for c in 0..k {
                    for r in c..k {
                        self.rest[design.plan.layout.position(start + r, start + c)] =
                            product[c * k + r] + if r == c { group.prior } else { 0.0 };
                    }
                }
                let rows = (group.offset + level * k) * p..(group.offset + (level + 1) * k) * p;
                scale_rows(&design.zx[rows.clone()], &self.lambda[g], k, p, &mut self.rzx[rows]);
            }
        }
        for pair in &design.rest_pairs {
            let (kr, kc) = (design.structure.groups[pair.row_group as usize].k, design.structure.groups[pair.col_group as usize].k);
            let (lr, lc) = (&self.lambda[pair.row_group as usize], &self.lambda[pair.col_group as usize]);
            let values = design.rest_pair_block(pair);
            for c in 0..kc {
                let column = &mut self.block[..kr];
                column.fill(0.0);
                (c..kc).for_each(|s| axpy(lc[c * kc + s], nth(values, s, kr), column));
                lower_transpose_times(lr, kr, column);
                for r in 0..kr {
                    let at = design.plan.layout.position(pair.row as usize + r, pair.col as usize + c);
                    self.rest[at] = self.block[r];
                }
            }
        }
    }

    /// L_i, U_i and the leading rows of rzx, level by level.
    fn factor_lead(&mut self, design: &System, workers: &Workers) -> Result<(), NotPositiveDefinite> {
        let (lead, p) = (&design.structure.groups[0], design.p);
        let (k, lambda) = (lead.k, &self.lambda);
        let cuts = || level_ranges(lead.levels);
        let l = pieces(&mut self.lead, cuts().map(|r| r.len() * k * k));
        let x = pieces(&mut self.rzx, cuts().map(|r| r.len() * k * p));
        let u = pieces(&mut self.cross, cuts().map(|r| (design.plan.adjacency.ptr[r.end] - design.plan.adjacency.ptr[r.start]) * k));
        let items = cuts().zip(l).zip(x).zip(u);
        let logs = workers.map(items, |(((range, l), x), u)| with_constant!(k, K, factor_levels(design, lambda, K, range, l, x, u)));
        self.ld_l2 = 0.0;
        for log in logs {
            self.ld_l2 += 2.0 * log.ok_or(NotPositiveDefinite)?;
        }
        Ok(())
    }

    /// Takes the leading group's part out of S and of the rest's rzx, column by column of S: each is a sum over the
    /// levels that its effect meets, and what it adds to stays in the cache.
    fn eliminate_lead(&mut self, design: &System, workers: &Workers) {
        let (lead, p, order) = (&design.structure.groups[0], design.p, design.plan.layout.order);
        let (k, adjacency, u) = (lead.k, &design.plan.adjacency, &self.cross);
        if p > 0 {
            let (lead_x, rest_x) = self.rzx.split_at_mut(lead.effects() * p);
            let lead_x = &*lead_x;
            workers.for_each(rest_x.chunks_exact_mut(p).enumerate(), |(e, row)| {
                for entry in adjacency.entries_of(e) {
                    let (t, level) = (entry.column as usize, entry.level as usize);
                    (0..k).for_each(|a| axpy(-u[t * k + a], &lead_x[(level * k + a) * p..(level * k + a + 1) * p], row));
                }
            });
        }
        if design.plan.layout.is_dense() {
            workers.for_each(self.rest.chunks_exact_mut(order).enumerate(), |(e, column)| {
                with_constant!(k, K, subtract_pairs(adjacency, u, K, e, column));
            });
        } else {
            let rest = &mut self.rest;
            for level in 0..lead.levels {
                let u = &u[adjacency.ptr[level] * k..adjacency.ptr[level + 1] * k];
                adjacency.for_each_pair(level, |c, d, at| rest[at] -= dot(nth(u, c, k), nth(u, d, k)));
            }
        }
    }
}

/// The pieces into which the leading group's levels are cut for the threads.
pub fn level_ranges(levels: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    ranges(levels, 512, 64)
}

/// L_i of a leading level, and its rows of rzx; `determinant` is multiplied by |L_i|. False where M_i is not positive definite.
#[inline(always)]
pub(crate) fn factor_level(
    design: &System,
    lambda: &[f64],
    k: usize,
    level: usize,
    l: &mut [f64],
    x: &mut [f64],
    determinant: &mut LogProduct,
) -> bool {
    let p = design.p;
    congruence(nth(&design.diagonal[0], level, k * k), lambda, k, l);
    (0..k).for_each(|i| l[i * k + i] += design.structure.groups[0].prior);
    if !cholesky(l, k) {
        return false;
    }
    (0..k).for_each(|i| determinant.multiply(l[i * k + i]));
    scale_rows(nth(&design.zx, level, k * p), lambda, k, p, x);
    solve_lower_rows(l, k, x, p);
    true
}

/// L_i, U_i and the rows of rzx of a range of leading levels; the sum of log |L_i|, or nothing where one is not positive
/// definite.
#[inline(always)]
fn factor_levels(
    design: &System,
    lambda: &Lambda,
    k: usize,
    range: std::ops::Range<usize>,
    l: &mut [f64],
    x: &mut [f64],
    u: &mut [f64],
) -> Option<f64> {
    let p = design.p;
    let first = design.plan.adjacency.ptr[range.start];
    let mut determinant = LogProduct::default();
    for (i, level) in range.enumerate() {
        let l = nth_mut(l, i, k * k);
        if !factor_level(design, &lambda[0], k, level, l, nth_mut(x, i, k * p), &mut determinant) {
            return None;
        }
        let mut at = design.plan.adjacency.ptr[level] - first;
        for b in design.neighbour_ptr[level]..design.neighbour_ptr[level + 1] {
            let g = design.neighbours[b].group as usize;
            let kg = design.structure.groups[g].k;
            let values = design.neighbour_block(b);
            for c in 0..kg {
                let column = nth_mut(u, at, k);
                column.fill(0.0);
                (c..kg).for_each(|s| axpy(lambda[g][c * kg + s], nth(values, s, k), column));
                lower_transpose_times(&lambda[0], k, column);
                solve_lower(l, k, column);
                at += 1;
            }
        }
    }
    Some(determinant.ln())
}

/// Column e of S (its lower part) less the sum over the leading levels that meet it of U_i'u_i,e.
#[inline(always)]
fn subtract_pairs(adjacency: &Adjacency, u: &[f64], k: usize, e: usize, column: &mut [f64]) {
    for entry in adjacency.entries_of(e) {
        let (t, end) = (entry.column as usize, adjacency.ptr[entry.level as usize + 1]);
        let own = nth(u, t, k);
        for (&row, other) in adjacency.columns[t..end].iter().zip(u[t * k..end * k].chunks_exact(k)) {
            column[row as usize] -= dot(other, own);
        }
    }
}

/// Where the effects of all groups but the leading one begin.
pub(crate) fn rest_begin(design: &System) -> usize {
    design.structure.groups[0].effects()
}
