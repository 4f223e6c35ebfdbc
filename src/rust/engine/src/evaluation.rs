//! The penalised least-squares problem at one theta (Bates et al. 2015, doi:10.18637/jss.v067.i01, section 3).
//!
//! With A = Z'WZ the matrix M = Lambda' A Lambda + I is factored by blocks: the leading group's K x K blocks
//! M_i = L_i L_i' one by one, then their Schur complement S (see [`crate::rest`]). What depends on theta alone
//! is in [`Factor`]; what a response adds, in [`Solution`]. All memory is allocated once, by `new`.

use crate::design::{add_cross_product, Design};
use crate::response::Response;
use crate::rest::Scratch;
use crate::small::*;
use crate::terms::Lambda;

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
            scratch: Scratch::new(layout),
            block: vec![0.0; 4 * widest * widest],
        }
    }

    /// Factors M and X'V^-1X at a Lambda.
    pub fn factorize(&mut self, design: &Design, lambda: &Lambda) -> Result<(), NotPositiveDefinite> {
        self.lambda.clone_from(lambda);
        self.start_rest(design);
        self.log_det_m = 0.0;
        for level in 0..design.structure.groups[0].levels {
            self.eliminate(design, level)?;
        }
        self.log_det_m *= 2.0;
        if design.layout.order > 0 {
            if !design.layout.factorize(&mut self.rest, &mut self.scratch) {
                return Err(NotPositiveDefinite);
            }
            self.log_det_m += design.layout.log_determinant(&self.rest);
            let begin = rest_begin(design) * design.p;
            design.layout.forward(&self.rest, &mut self.half_x[begin..], design.p, &mut self.scratch);
        }
        let p = design.p;
        self.xvx.copy_from_slice(&design.xx);
        add_cross_product(&mut self.xvx, &self.half_x, p, -1.0);
        if !cholesky(&mut self.xvx, p) {
            return Err(NotPositiveDefinite);
        }
        self.log_det_x = 2.0 * log_diagonal(&self.xvx, p);
        if self.log_det_m.is_finite() && self.log_det_x.is_finite() {
            Ok(())
        } else {
            Err(NotPositiveDefinite)
        }
    }

    /// S := Lambda' A Lambda + I and half_x := Lambda'Z'WX for all groups but the leading one.
    fn start_rest(&mut self, design: &Design) {
        if design.layout.order == 0 {
            return;
        }
        self.rest.fill(0.0);
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
                        self.rest[design.layout.position(start + r, start + c)] = product[c * k + r] + f64::from(r == c);
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

    /// Factors one level's block of the leading group and takes its part out of S and of the rest's half_x.
    fn eliminate(&mut self, design: &Design, level: usize) -> Result<(), NotPositiveDefinite> {
        let k = design.structure.groups[0].k;
        let p = design.p;
        let lambda = &self.lambda[0];
        let l = &mut self.lead[level * k * k..(level + 1) * k * k];
        congruence(&design.diagonal[0][level * k * k..(level + 1) * k * k], lambda, k, l);
        (0..k).for_each(|i| l[i * k + i] += 1.0);
        if !cholesky(l, k) {
            return Err(NotPositiveDefinite);
        }
        self.log_det_m += log_diagonal(l, k);
        let rows = level * k * p..(level + 1) * k * p;
        scale_rows(&design.zx[rows.clone()], lambda, k, p, &mut self.half_x[rows.clone()]);
        solve_lower_rows(l, k, &mut self.half_x[rows.clone()], p);
        if design.layout.order == 0 {
            return Ok(());
        }
        let span = design.adjacency.span(level);
        let u = &mut self.cross[span.start * k..span.end * k];
        let mut at = 0;
        for b in design.neighbour_ptr[level]..design.neighbour_ptr[level + 1] {
            let g = design.neighbours[b].group as usize;
            let kg = design.structure.groups[g].k;
            let values = design.neighbour_block(b);
            for c in 0..kg {
                let column = &mut u[at * k..(at + 1) * k];
                column.fill(0.0);
                (c..kg).for_each(|s| axpy(self.lambda[g][c * kg + s], &values[s * k..(s + 1) * k], column));
                lower_transpose_times(lambda, k, column);
                solve_lower(l, k, column);
                at += 1;
            }
        }
        let columns = &design.adjacency.columns[span];
        let (lead_x, rest_x) = self.half_x.split_at_mut(design.structure.groups[0].effects() * p);
        let x = &lead_x[rows];
        for (c, &e) in columns.iter().enumerate() {
            let target = &mut rest_x[e as usize * p..(e as usize + 1) * p];
            (0..k).for_each(|a| axpy(-u[c * k + a], &x[a * p..(a + 1) * p], target));
        }
        let rest = &mut self.rest;
        design.adjacency.for_each_pair(level, |c, d, at| rest[at] -= dot(&u[c * k..(c + 1) * k], &u[d * k..(d + 1) * k]));
        Ok(())
    }

    /// L^-1 v for a vector of all random effects, in place (the rest comes back in the factor's order).
    pub fn forward(&mut self, design: &Design, v: &mut [f64]) {
        let k = design.structure.groups[0].k;
        let (lead, rest) = v.split_at_mut(rest_begin(design));
        for level in 0..design.structure.groups[0].levels {
            let x = &mut lead[level * k..(level + 1) * k];
            solve_lower(&self.lead[level * k * k..(level + 1) * k * k], k, x);
            for t in design.adjacency.span(level) {
                rest[design.adjacency.columns[t] as usize] -= dot(&self.cross[t * k..(t + 1) * k], x);
            }
        }
        design.layout.forward(&self.rest, rest, 1, &mut self.scratch);
    }

    /// L'^-1 V for rows of length m, in place.
    pub fn backward(&mut self, design: &Design, v: &mut [f64], m: usize) {
        if m == 0 {
            return;
        }
        let k = design.structure.groups[0].k;
        let (lead, rest) = v.split_at_mut(rest_begin(design) * m);
        design.layout.backward(&self.rest, rest, m, &mut self.scratch);
        for level in 0..design.structure.groups[0].levels {
            let x = &mut lead[level * k * m..(level + 1) * k * m];
            for t in design.adjacency.span(level) {
                let e = design.adjacency.columns[t] as usize;
                (0..k).for_each(|a| axpy(-self.cross[t * k + a], &rest[e * m..(e + 1) * m], &mut x[a * m..(a + 1) * m]));
            }
            solve_lower_transpose_rows(&self.lead[level * k * k..(level + 1) * k * k], k, x, m);
        }
    }

    /// Inverse of S on its pattern.
    pub fn invert_rest(&mut self, design: &Design, inverse: &mut [f64]) {
        if design.layout.order > 0 {
            design.layout.invert(&self.rest, inverse, &mut self.scratch);
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

/// n for maximum likelihood, n - p for REML.
pub fn degrees_of_freedom(design: &Design, reml: bool) -> f64 {
    (design.n - if reml { design.p } else { 0 }) as f64
}

impl Solution {
    /// Allocates for a design.
    pub fn new(design: &Design) -> Self {
        Solution { beta: vec![0.0; design.p], u: vec![0.0; design.structure.q], r2: 0.0, half: vec![0.0; design.structure.q] }
    }

    /// Solves for beta and u:
    /// `c = L^-1 Lambda'Z'Wy`, `X'V^-1X beta = X'Wy - half_x'c`, `L'u = c - half_x beta`,
    /// `r2 = y'Wy - c'c - |L_x^-1 (X'Wy - half_x'c)|^2`.
    pub fn solve(&mut self, design: &Design, response: &Response, factor: &mut Factor) {
        let p = design.p;
        self.half.copy_from_slice(&response.zy);
        scale_vector(design, &factor.lambda, &mut self.half);
        factor.forward(design, &mut self.half);
        let Solution { beta, u, r2, half } = self;
        solve_fixed(p, &factor.half_x, &factor.xvx, response, half, beta, u, r2);
        factor.backward(design, u, 1);
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
    *r2 = response.yy - dot(half, half);
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
