//! The penalised least-squares problem at one theta (Bates et al. 2015, doi:10.18637/jss.v067.i01, section 3).
//!
//! With A = Z'WZ the matrix M = Lambda' A Lambda + I is factored by blocks: the leading group's K x K blocks
//! M_i = L_i L_i' one by one, then their Schur complement S (see [`crate::plan::schur`]). What depends on theta alone
//! is in [`Factor`]; what a response adds, in [`Solution`]. All memory is allocated once, by `new`.

use crate::linalg::small::*;
use crate::model::terms::Lambda;
use crate::parallel::{pieces, ranges, Workers};
use crate::plan::schur::{Adjacency, Scratch};
use crate::products::design::{add_cross_product, Design};
use crate::products::response::Response;

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
    /// L^-1 Lambda'Z'WX, a row of length p per random effect (the rest in the factor's order).
    pub half_x: Vec<f64>,
    /// Lower Cholesky factor of X'V^-1X.
    pub xvx: Vec<f64>,
    /// log |M|.
    pub log_det_m: f64,
    /// log |X'V^-1X| for the engine's X.
    pub log_det_x: f64,
    /// Where a factor is absorbed, so that M has its effects too, the factorisation for the random effects alone.
    pub random: Option<Box<Factor>>,
    scratch: Scratch,
    block: Vec<f64>,
}

/// The solution for one response at one theta.
#[derive(Clone, Debug)]
pub struct Solution {
    /// Coefficients of the engine's X for the engine's response.
    pub beta: Vec<f64>,
    /// Spherical random effects u.
    pub u: Vec<f64>,
    /// Penalised residual sum of squares.
    pub r2: f64,
    /// L^-1 Lambda'Z'Wy.
    pub half: Vec<f64>,
}

/// Not positive definite: theta is too large for the arithmetic, or not a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NotPositiveDefinite;

impl Factor {
    /// Allocates for a design.
    pub fn new(design: &Design) -> Self {
        let (layout, adjacency) = (&design.layout, &design.adjacency);
        let lead = &design.structure.groups[0];
        let (k, p, widest) = (lead.k, design.p, design.structure.groups.iter().map(|g| g.k).max().unwrap_or(1));
        Factor {
            lambda: design.structure.groups.iter().map(|g| vec![0.0; g.k * g.k]).collect(),
            lead: vec![0.0; lead.levels * k * k],
            cross: vec![0.0; adjacency.columns.len() * k],
            rest: vec![0.0; layout.len()],
            half_x: vec![0.0; design.structure.q * p],
            xvx: vec![0.0; p * p],
            log_det_m: 0.0,
            log_det_x: 0.0,
            random: design.random.as_deref().map(|alone| Box::new(Factor::new(alone))),
            scratch: Scratch::new(layout),
            block: vec![0.0; 4 * widest * widest],
        }
    }

    /// Factors M and X'V^-1X at a Lambda.
    pub fn factorize(&mut self, design: &Design, lambda: &Lambda, workers: &Workers) -> Result<(), NotPositiveDefinite> {
        self.lambda.clone_from(lambda);
        self.start_rest(design, workers);
        self.factor_lead(design, workers)?;
        if design.layout.order > 0 {
            self.eliminate_lead(design, workers);
            if !design.layout.factorize(&mut self.rest, &mut self.scratch, workers) {
                return Err(NotPositiveDefinite);
            }
            self.log_det_m += design.layout.log_determinant(&self.rest);
            let begin = rest_begin(design) * design.p;
            design.layout.forward(&self.rest, &mut self.half_x[begin..], design.p, &mut self.scratch, workers);
        }
        self.log_det_x = factor_fixed(design, &self.half_x, &mut self.xvx)?;
        if self.log_det_m.is_finite() {
            Ok(())
        } else {
            Err(NotPositiveDefinite)
        }
    }

    /// log |M| and log |X'V^-1X| of all fixed effects where [`Factor::factorize`] was last called. With an absorbed factor the
    /// first takes a factorisation for the random effects alone, which can be spared where only the sum of both matters: unless
    /// `each` is asked for, they are then those of the engine's M and X.
    pub fn log_determinants(&mut self, design: &Design, each: bool, workers: &Workers) -> Result<(f64, f64), NotPositiveDefinite> {
        let (Some(random), Some(alone), true) = (&mut self.random, &design.random, each) else {
            return Ok((self.log_det_m, self.log_det_x));
        };
        random.factorize(alone, &self.lambda[design.structure.random_groups()].to_vec(), workers)?;
        Ok((random.log_det_m, self.log_det_m + self.log_det_x - random.log_det_m))
    }

    /// S := Lambda' A Lambda + I and half_x := Lambda'Z'WX for all groups but the leading one.
    fn start_rest(&mut self, design: &Design, workers: &Workers) {
        if design.layout.order == 0 {
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
                congruence(&design.diagonal[g][level * k * k..(level + 1) * k * k], &self.lambda[g], k, product);
                for c in 0..k {
                    for r in c..k {
                        self.rest[design.layout.position(start + r, start + c)] =
                            product[c * k + r] + if r == c { group.prior } else { 0.0 };
                    }
                }
                let rows = (group.offset + level * k) * p..(group.offset + (level + 1) * k) * p;
                scale_rows(&design.zx[rows.clone()], &self.lambda[g], k, p, &mut self.half_x[rows]);
            }
        }
        for pair in &design.rest_pairs {
            let (kr, kc) = (design.structure.groups[pair.row_group as usize].k, design.structure.groups[pair.col_group as usize].k);
            let (lr, lc) = (&self.lambda[pair.row_group as usize], &self.lambda[pair.col_group as usize]);
            let values = &design.rest_pair_values[pair.values..pair.values + kr * kc];
            for c in 0..kc {
                let column = &mut self.block[..kr];
                column.fill(0.0);
                (c..kc).for_each(|s| axpy(lc[c * kc + s], &values[s * kr..(s + 1) * kr], column));
                lower_transpose_times(lr, kr, column);
                for r in 0..kr {
                    let at = design.layout.position(pair.row as usize + r, pair.col as usize + c);
                    self.rest[at] = self.block[r];
                }
            }
        }
    }

    /// L_i, U_i and the leading rows of half_x, level by level.
    fn factor_lead(&mut self, design: &Design, workers: &Workers) -> Result<(), NotPositiveDefinite> {
        let (lead, p) = (&design.structure.groups[0], design.p);
        let (k, lambda) = (lead.k, &self.lambda);
        let cuts = || level_ranges(lead.levels);
        let l = pieces(&mut self.lead, cuts().map(|r| r.len() * k * k));
        let x = pieces(&mut self.half_x, cuts().map(|r| r.len() * k * p));
        let u = pieces(&mut self.cross, cuts().map(|r| (design.adjacency.ptr[r.end] - design.adjacency.ptr[r.start]) * k));
        let items = cuts().zip(l).zip(x).zip(u);
        let logs = workers.map(items, |(((range, l), x), u)| with_constant!(k, K, factor_levels(design, lambda, K, range, l, x, u)));
        self.log_det_m = 0.0;
        for log in logs {
            self.log_det_m += 2.0 * log.ok_or(NotPositiveDefinite)?;
        }
        Ok(())
    }

    /// Takes the leading group's part out of S and of the rest's half_x, column by column of S: each is a sum over the
    /// levels that its effect meets, and what it adds to stays in the cache.
    fn eliminate_lead(&mut self, design: &Design, workers: &Workers) {
        let (lead, p, order) = (&design.structure.groups[0], design.p, design.layout.order);
        let (k, adjacency, u) = (lead.k, &design.adjacency, &self.cross);
        if p > 0 {
            let (lead_x, rest_x) = self.half_x.split_at_mut(lead.effects() * p);
            let lead_x = &*lead_x;
            workers.for_each(rest_x.chunks_exact_mut(p).enumerate(), |(e, row)| {
                for entry in adjacency.entries_of(e) {
                    let (t, level) = (entry.column as usize, entry.level as usize);
                    (0..k).for_each(|a| axpy(-u[t * k + a], &lead_x[(level * k + a) * p..(level * k + a + 1) * p], row));
                }
            });
        }
        if design.layout.is_dense() {
            workers.for_each(self.rest.chunks_exact_mut(order).enumerate(), |(e, column)| {
                with_constant!(k, K, subtract_pairs(adjacency, u, K, e, column));
            });
        } else {
            let rest = &mut self.rest;
            for level in 0..lead.levels {
                let u = &u[adjacency.ptr[level] * k..adjacency.ptr[level + 1] * k];
                adjacency.for_each_pair(level, |c, d, at| rest[at] -= dot(&u[c * k..(c + 1) * k], &u[d * k..(d + 1) * k]));
            }
        }
    }

    /// L^-1 v for a vector of all random effects, in place (the rest comes back in the factor's order).
    pub fn forward(&mut self, design: &Design, v: &mut [f64], workers: &Workers) {
        let k = design.structure.groups[0].k;
        let (lead, rest) = v.split_at_mut(rest_begin(design));
        for level in 0..design.structure.groups[0].levels {
            let x = &mut lead[level * k..(level + 1) * k];
            solve_lower(&self.lead[level * k * k..(level + 1) * k * k], k, x);
            for t in design.adjacency.span(level) {
                rest[design.adjacency.columns[t] as usize] -= dot(&self.cross[t * k..(t + 1) * k], x);
            }
        }
        design.layout.forward(&self.rest, rest, 1, &mut self.scratch, workers);
    }

    /// L'^-1 V for rows of length m, in place.
    pub fn backward(&mut self, design: &Design, v: &mut [f64], m: usize, workers: &Workers) {
        if m == 0 {
            return;
        }
        let (k, levels) = (design.structure.groups[0].k, design.structure.groups[0].levels);
        let (lead, rest) = v.split_at_mut(rest_begin(design) * m);
        design.layout.backward(&self.rest, rest, m, &mut self.scratch, workers);
        let (rest, adjacency, l, u) = (&*rest, &design.adjacency, &self.lead, &self.cross);
        let items = level_ranges(levels).zip(pieces(lead, level_ranges(levels).map(|r| r.len() * k * m)));
        workers.for_each(items, |(range, rows)| {
            for (level, x) in range.zip(rows.chunks_exact_mut(k * m)) {
                for t in adjacency.span(level) {
                    let e = adjacency.columns[t] as usize;
                    (0..k).for_each(|a| axpy(-u[t * k + a], &rest[e * m..(e + 1) * m], &mut x[a * m..(a + 1) * m]));
                }
                solve_lower_transpose_rows(&l[level * k * k..(level + 1) * k * k], k, x, m);
            }
        });
    }

    /// L_S^-1 V for rows of length m that belong to all groups but the leading one, in place.
    pub fn forward_rest(&mut self, design: &Design, v: &mut [f64], m: usize, workers: &Workers) {
        design.layout.forward(&self.rest, v, m, &mut self.scratch, workers);
    }

    /// Inverse of S on its pattern (both triangles of a dense one).
    pub fn invert_rest(&mut self, design: &Design, inverse: &mut [f64], workers: &Workers) {
        if design.layout.order > 0 {
            design.layout.invert(&self.rest, inverse, &mut self.scratch, workers);
        }
    }
}

/// The pieces into which the leading group's levels are cut for the threads.
pub fn level_ranges(levels: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    ranges(levels, 512, 64)
}

/// L_i, U_i and the rows of half_x of a range of leading levels; the sum of log |L_i|, or nothing where one is not positive
/// definite.
#[inline(always)]
fn factor_levels(
    design: &Design,
    lambda: &Lambda,
    k: usize,
    range: std::ops::Range<usize>,
    l: &mut [f64],
    x: &mut [f64],
    u: &mut [f64],
) -> Option<f64> {
    let p = design.p;
    let first = design.adjacency.ptr[range.start];
    let mut log_det = 0.0;
    for (i, level) in range.enumerate() {
        let l = &mut l[i * k * k..(i + 1) * k * k];
        congruence(&design.diagonal[0][level * k * k..(level + 1) * k * k], &lambda[0], k, l);
        (0..k).for_each(|i| l[i * k + i] += design.structure.groups[0].prior);
        if !cholesky(l, k) {
            return None;
        }
        log_det += log_diagonal(l, k);
        let x = &mut x[i * k * p..(i + 1) * k * p];
        scale_rows(&design.zx[level * k * p..(level + 1) * k * p], &lambda[0], k, p, x);
        solve_lower_rows(l, k, x, p);
        let mut at = design.adjacency.ptr[level] - first;
        for b in design.neighbour_ptr[level]..design.neighbour_ptr[level + 1] {
            let g = design.neighbours[b].group as usize;
            let kg = design.structure.groups[g].k;
            let values = design.neighbour_block(b);
            for c in 0..kg {
                let column = &mut u[at * k..(at + 1) * k];
                column.fill(0.0);
                (c..kg).for_each(|s| axpy(lambda[g][c * kg + s], &values[s * k..(s + 1) * k], column));
                lower_transpose_times(&lambda[0], k, column);
                solve_lower(l, k, column);
                at += 1;
            }
        }
    }
    Some(log_det)
}

/// Column e of S (its lower part) less the sum over the leading levels that meet it of U_i'u_i,e.
#[inline(always)]
fn subtract_pairs(adjacency: &Adjacency, u: &[f64], k: usize, e: usize, column: &mut [f64]) {
    for entry in adjacency.entries_of(e) {
        let (t, end) = (entry.column as usize, adjacency.ptr[entry.level as usize + 1]);
        let own = &u[t * k..(t + 1) * k];
        for (&row, other) in adjacency.columns[t..end].iter().zip(u[t * k..end * k].chunks_exact(k)) {
            column[row as usize] -= dot(other, own);
        }
    }
}

/// Criterion from its parts: the deviance or the REML criterion in the units of the data. `log_det_x` and `r2`
/// belong to the engine's X and response; `scale` is what the response was divided by.
pub fn criterion_value(design: &Design, log_det_m: f64, log_det_x: f64, r2: f64, scale: f64, reml: bool) -> f64 {
    let nu = degrees_of_freedom(design, reml);
    let fixed = if reml { log_det_x + 2.0 * design.transform.log_determinant() } else { 0.0 };
    log_det_m + fixed + nu * (1.0 + (2.0 * std::f64::consts::PI * r2 / nu).ln() + 2.0 * scale.ln()) - design.log_weights
}

/// n for maximum likelihood, n less the number of fixed effects for REML.
pub fn degrees_of_freedom(design: &Design, reml: bool) -> f64 {
    design.n as f64 - if reml { design.fixed_columns() as f64 } else { 0.0 }
}

impl Solution {
    /// Allocates for a design.
    pub fn new(design: &Design) -> Self {
        Solution { beta: vec![0.0; design.p], u: vec![0.0; design.structure.q], r2: 0.0, half: vec![0.0; design.structure.q] }
    }

    /// Solves for beta and u:
    /// `c = L^-1 Lambda'Z'Wy`, `X'V^-1X beta = X'Wy - half_x'c`, `L'u = c - half_x beta`,
    /// `r2 = y'Wy - c'c - |L_x^-1 (X'Wy - half_x'c)|^2`.
    pub fn solve(&mut self, design: &Design, response: &Response, factor: &mut Factor, workers: &Workers) {
        let p = design.p;
        self.half.copy_from_slice(&response.zy);
        scale_vector(design, &factor.lambda, &mut self.half);
        factor.forward(design, &mut self.half, workers);
        let Solution { beta, u, r2, half } = self;
        solve_fixed(p, &factor.half_x, &factor.xvx, response, half, beta, u, r2);
        factor.backward(design, u, 1, workers);
    }
}

/// Cholesky factor of X'V^-1X = X'WX - half_x'half_x; its log determinant.
pub fn factor_fixed(design: &Design, half_x: &[f64], xvx: &mut [f64]) -> Result<f64, NotPositiveDefinite> {
    let p = design.p;
    xvx.copy_from_slice(&design.xx);
    add_cross_product(xvx, half_x, p, -1.0);
    let log_det = if cholesky(xvx, p) { 2.0 * log_diagonal(xvx, p) } else { f64::NAN };
    if log_det.is_finite() {
        Ok(log_det)
    } else {
        Err(NotPositiveDefinite)
    }
}

/// What of a solution depends on c = `half` alone: beta, L'u and r2.
#[allow(clippy::too_many_arguments)]
pub fn solve_fixed(
    p: usize,
    half_x: &[f64],
    xvx: &[f64],
    response: &Response,
    half: &[f64],
    beta: &mut [f64],
    u: &mut [f64],
    r2: &mut f64,
) {
    beta.copy_from_slice(&response.xy);
    for (c, row) in half.iter().zip(half_x.chunks_exact(p.max(1))) {
        axpy(-c, row, beta);
    }
    *r2 = response.yy - long_dot(half, half);
    solve_lower(xvx, p, beta);
    *r2 -= dot(beta, beta);
    *r2 = r2.max(f64::EPSILON * f64::EPSILON * response.yy.max(f64::MIN_POSITIVE));
    solve_lower_transpose(xvx, p, beta);
    for (i, u) in u.iter_mut().enumerate() {
        *u = half[i] - dot(&half_x[i * p..(i + 1) * p], beta);
    }
}

/// Random effects b = Lambda u in the engine's column scale.
pub fn scale_effects(design: &Design, lambda: &Lambda, u: &[f64]) -> Vec<f64> {
    let mut b = u.to_vec();
    for (g, group) in design.structure.groups.iter().enumerate() {
        let k = group.k;
        for level in b[group.offset..group.offset + group.effects()].chunks_exact_mut(k) {
            for r in (0..k).rev() {
                level[r] = (0..=r).map(|c| lambda[g][c * k + r] * level[c]).sum();
            }
        }
    }
    b
}

/// Where the effects of all groups but the leading one begin.
fn rest_begin(design: &Design) -> usize {
    design.structure.groups[0].effects()
}

/// v := Lambda' v for a vector of all random effects.
pub fn scale_vector(design: &Design, lambda: &Lambda, v: &mut [f64]) {
    for (g, group) in design.structure.groups.iter().enumerate() {
        for level in v[group.offset..group.offset + group.effects()].chunks_exact_mut(group.k) {
            lower_transpose_times(&lambda[g], group.k, level);
        }
    }
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
        lower_transpose_times(l, k, &mut out[c * k..(c + 1) * k]);
    }
}

/// out := L' X for k rows of length p.
#[inline]
pub fn scale_rows(x: &[f64], l: &[f64], k: usize, p: usize, out: &mut [f64]) {
    for r in 0..k {
        let row = &mut out[r * p..(r + 1) * p];
        row.fill(0.0);
        (r..k).for_each(|s| axpy(l[r * k + s], &x[s * p..(s + 1) * p], row));
    }
}
