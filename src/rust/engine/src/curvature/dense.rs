//! Models of several grouping factors with few random effects: all of Z'PZ is formed, so that the second
//! derivatives are exact.
//!
//! The leading group's blocks are eliminated as in [`crate::factor::blocks`], but what couples it to the other groups is
//! a dense matrix: with V = L_1^-T U and Y = V S^-1 the inverse of M has the blocks M_i^-1 + Y V', -Y and S^-1.
//! T = Z'V^-1Z is Lambda^-T (I - M^-1) Lambda^-1; off the diagonal blocks nothing cancels there, and on them
//! I - M^-1 is taken as [Lambda'A Lambda M^-1]_jj. With G = Z'PZ and D_k the direction d(Lambda Lambda') of an element
//! of theta,
//!
//! tr(P V_k P V_l) = sum over levels i of k's factor and j of l's of tr(G_ij D_l G_ji D_k) = <D_k (x) D_l, W>,
//! W = sum of G_ij (x) G_ij, and y'P V_k P V_l P y = h_k'G h_l with h_k = D_k g
//!
//! (see [`crate::curvature::derivatives`] for the letters; for maximum likelihood T stands for G in the trace).

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{matmul as matmul_triangular, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::curvature::traces::Curvature;
use crate::factor::dense::{lead_transpose, FullFactor, Workspace};
use crate::factor::solution::Solution;
use crate::linalg::blocks::{add_product, congruence, nth, nth_mut, put_block, scale_blocks, solve_right_lower_wide, symmetric};
use crate::linalg::long::{long_dot, subtract_products};
use crate::linalg::positive;
use crate::linalg::small::{axpy, dot, inverse_lower, mirror, solve_lower, solve_lower_transpose, symmetrise, with_constant};
use crate::parallel::Workers;
use crate::plan::design::System;

/// The derivatives' part that depends on theta alone.
#[derive(Clone, Debug)]
pub struct FullCurvature {
    /// Sums over levels and F.
    pub curvature: Curvature,
    /// Diagonal blocks of M^-1 per group, level after level.
    pub inverse_blocks: Vec<Vec<f64>>,
    /// T (maximum likelihood) or G (REML), q x q.
    full: Vec<f64>,
    /// Per pair of groups g >= h the matrix W, (K_g K_h) x (K_g K_h), its lower triangle.
    pairs: Vec<Vec<f64>>,
}

impl FullCurvature {
    /// Allocates for a design.
    pub fn new(design: &System) -> Self {
        let groups = &design.structure.groups;
        let q = design.structure.q;
        let mut pairs = Vec::new();
        for (g, a) in groups.iter().enumerate() {
            pairs.extend(groups[..=g].iter().map(|b| vec![0.0; (a.k * b.k).pow(2)]));
        }
        FullCurvature {
            curvature: Curvature::new(design, false),
            inverse_blocks: groups.iter().map(|g| vec![0.0; g.effects() * g.k]).collect(),
            full: vec![0.0; q * q],
            pairs,
        }
    }

    /// Fills everything from a factor; its Lambda must have non-zero diagonals.
    pub fn compute(&mut self, design: &System, factor: &FullFactor, reml: bool, work: &mut Workspace) {
        self.invert(design, factor, work);
        self.diagonal_products(design, factor, work);
        self.unscale(design, factor, work);
        self.fixed_part(design, factor, reml);
        self.pair_sums(design, work);
    }

    /// -M^-1 in `full`, and the diagonal blocks of M^-1.
    fn invert(&mut self, design: &System, factor: &FullFactor, work: &mut Workspace) {
        let (k, q1, r, q) = (design.structure.groups[0].k, design.structure.groups[0].effects(), design.rest(), design.structure.q);
        positive::invert(&factor.s, r, &mut work.s_inverse, &mut work.room);
        work.v.copy_from_slice(&factor.u);
        for column in work.v.chunks_exact_mut(q1) {
            lead_transpose(&factor.lead_inverse, k, column);
        }
        let v = MatRef::from_column_major_slice(&work.v, q1, r);
        let s_inverse = MatRef::from_column_major_slice(&work.s_inverse, r, r);
        matmul(MatMut::from_column_major_slice_mut(&mut work.y, q1, r), Accum::Replace, v, s_inverse, 1.0, Par::Seq);
        matmul_triangular(
            MatMut::from_column_major_slice_mut(&mut self.full, q, q).submatrix_mut(0, 0, q1, q1),
            BlockStructure::TriangularLower,
            Accum::Replace,
            MatRef::from_column_major_slice(&work.y, q1, r),
            BlockStructure::Rectangular,
            v.transpose(),
            BlockStructure::Rectangular,
            -1.0,
            Par::Seq,
        );
        for (e, column) in self.full.chunks_exact_mut(q).skip(q1).enumerate() {
            column[..q1].copy_from_slice(nth(&work.y, e, q1));
            for (to, from) in column[q1..].iter_mut().zip(nth(&work.s_inverse, e, r)) {
                *to = -from;
            }
        }
        with_constant!(k, K, subtract_squares(&factor.lead_inverse, K, q, &mut self.full));
        mirror_lead(&mut self.full, q, q1);
        for (group, blocks) in design.structure.groups.iter().zip(&mut self.inverse_blocks) {
            with_constant!(group.k, K, take_blocks(&self.full, q, group.offset, K, blocks));
        }
    }

    /// The diagonal blocks of `full` become those of I - M^-1, computed as [Lambda'A Lambda M^-1]_jj.
    fn diagonal_products(&mut self, design: &System, factor: &FullFactor, work: &mut Workspace) {
        let groups = &design.structure.groups;
        let (k, q1, r, q) = (groups[0].k, groups[0].effects(), design.rest(), design.structure.q);
        let sums = &mut work.lead;
        sums.fill(0.0);
        for e in 0..r {
            let (a, m) = (nth(&factor.coupling, e, q1), &self.full[(q1 + e) * q..(q1 + e) * q + q1]);
            if k == 1 {
                subtract_products(a, m, sums);
                continue;
            }
            with_constant!(k, K, {
                for ((sum, a), m) in sums.chunks_exact_mut(K * K).zip(a.chunks_exact(K)).zip(m.chunks_exact(K)) {
                    for c in 0..K {
                        axpy(-m[c], a, &mut sum[c * K..(c + 1) * K]);
                    }
                }
            });
        }
        let (diagonal, inverse, full) = (&design.diagonal[0], &self.inverse_blocks[0], &mut self.full);
        with_constant!(k, K, put_lead_blocks(diagonal, &factor.lambda[0], inverse, K, sums, q, full));
        for group in &groups[1..] {
            let k = group.k;
            let block = &mut work.block[..k * k];
            for level in 0..group.levels {
                let start = group.offset + level * k;
                for c in 0..k {
                    let m = &self.full[(start + c) * q..(start + c + 1) * q];
                    for b in 0..k {
                        let e = start - q1 + b;
                        let lead = long_dot(nth(&factor.coupling, e, q1), &m[..q1]);
                        block[c * k + b] = -lead - long_dot(nth(&factor.rest_product, e, r), &m[q1..]);
                    }
                }
                symmetrise(block, k);
                put_block(&mut self.full, q, start, block, k);
            }
        }
    }

    /// T in `full`, from I - M^-1 there; the traces of A Lambda M^-1 are the sums of Lambda^-T [I - M^-1]_jj.
    fn unscale(&mut self, design: &System, factor: &FullFactor, work: &mut Workspace) {
        let q = design.structure.q;
        let groups = &design.structure.groups;
        for (g, group) in groups.iter().enumerate() {
            let (k, l, trace) = (group.k, &factor.lambda[g], &mut self.curvature.trace[g]);
            trace.fill(0.0);
            with_constant!(k, K, add_blocks(&self.full, q, group.offset, group.levels, K, trace));
            for column in trace.chunks_exact_mut(k) {
                solve_lower_transpose(l, k, column);
            }
            for columns in self.full[group.offset * q..(group.offset + group.effects()) * q].chunks_exact_mut(k * q) {
                solve_right_lower_wide(columns, l, k, q);
            }
        }
        for (g, group) in groups.iter().enumerate() {
            let inverse = &mut work.block[..group.k * group.k];
            inverse_lower(&factor.lambda[g], group.k, inverse);
            for column in self.full.chunks_exact_mut(q) {
                scale_blocks(inverse, group.k, &mut column[group.offset..group.offset + group.effects()]);
            }
        }
    }

    /// F and, for REML, its part of G = T - F (X'V^-1X)^-1 F'.
    fn fixed_part(&mut self, design: &System, factor: &FullFactor, reml: bool) {
        let (p, q) = (design.p, design.structure.q);
        self.curvature.f.copy_from_slice(&factor.rzx);
        factor.backward(design, &mut self.curvature.f, p);
        self.curvature.fixed_part(design, &factor.lambda, &factor.rx, reml, Workers::none());
        if !reml || p == 0 {
            return;
        }
        let whitened = MatRef::from_row_major_slice(&self.curvature.whitened, q, p);
        let full = MatMut::from_column_major_slice_mut(&mut self.full, q, q);
        matmul(full, Accum::Add, whitened, whitened.transpose(), -1.0, Par::Seq);
    }

    /// W of each pair of groups: with the blocks G_ij as the columns of a matrix R it is RR'.
    fn pair_sums(&mut self, design: &System, work: &mut Workspace) {
        let (q, groups) = (design.structure.q, &design.structure.groups);
        let mut out = self.pairs.iter_mut();
        for (g, a) in groups.iter().enumerate() {
            for b in &groups[..=g] {
                let w = out.next().expect("one matrix a pair");
                let size = a.k * b.k;
                let columns = self.full[b.offset * q..(b.offset + b.effects()) * q].chunks_exact(b.k * q);
                if a.k == 1 {
                    // the rows of R are parts of columns
                    w.fill(0.0);
                    for columns in columns {
                        let part = |c: usize| &columns[c * q + a.offset..c * q + a.offset + a.effects()];
                        for c in 0..size {
                            for d in 0..size {
                                w[d * size + c] += long_dot(part(c), part(d));
                            }
                        }
                    }
                    continue;
                }
                work.blocks.resize(a.effects() * b.effects(), 0.0);
                for (columns, blocks) in columns.zip(work.blocks.chunks_exact_mut(a.effects() * b.k)) {
                    with_constant!(a.k, K, side_by_side(columns, q, a.offset, K, b.k, blocks));
                }
                let blocks = MatRef::from_column_major_slice(&work.blocks, size, work.blocks.len() / size);
                matmul(MatMut::from_column_major_slice_mut(w, size, size), Accum::Replace, blocks, blocks.transpose(), 1.0, Par::Seq);
            }
        }
    }

    /// Derivatives for one response at the theta of the factor.
    pub fn derivatives(
        &self,
        design: &System,
        factor: &FullFactor,
        solution: &Solution,
        nu: f64,
        reml: bool,
        frame: &Frame,
    ) -> Derivatives {
        Derivatives::compute(design, &factor.lambda, &self.curvature, solution, nu, frame, |g| {
            let (second, first) = self.quadratic_forms(design, factor, reml, frame, g);
            let n = first.len();
            let pwrss = solution.pwrss;
            let form =
                |i, j| nu * (2.0 * second[j * n + i] / pwrss - first[i] * first[j] / (pwrss * pwrss)) - self.trace(design, frame, i, j);
            (symmetric(n, form), first)
        })
    }

    /// Expected second derivatives tr(P V_k P V_l) - tr(P V_k) tr(P V_l) / nu in the covariances (for maximum likelihood V^-1
    /// stands for P).
    pub fn expected_information(&self, design: &System, directions: Frame, nu: f64) -> Vec<f64> {
        let q = design.structure.q;
        let n = directions.directions.len();
        let mut traces = vec![0.0; n];
        for ((direction, e), trace) in directions.directions.iter().zip(&design.structure.entries).zip(&mut traces) {
            let group = &design.structure.groups[e.group];
            for start in (group.offset..group.offset + group.effects()).step_by(group.k) {
                for (c, d) in direction.chunks_exact(group.k).enumerate() {
                    *trace += dot(d, &self.full[(start + c) * q + start..][..group.k]);
                }
            }
        }
        symmetric(n, |i, j| self.trace(design, &directions, i, j) - traces[i] * traces[j] / nu)
    }

    /// tr(P V_k P V_l), for maximum likelihood tr(V^-1 V_k V^-1 V_l).
    fn trace(&self, design: &System, frame: &Frame, i: usize, j: usize) -> f64 {
        let (entries, groups) = (&design.structure.entries, &design.structure.groups);
        let (i, j) = if entries[i].group >= entries[j].group { (i, j) } else { (j, i) };
        let (g, h) = (entries[i].group, entries[j].group);
        let (kg, kh) = (groups[g].k, groups[h].k);
        let w = &self.pairs[g * (g + 1) / 2 + h];
        let (d, e) = (&frame.directions[i], &frame.directions[j]);
        let mut sum = 0.0;
        for b in 0..kg {
            for a in (0..kg).filter(|a| d[b * kg + a] != 0.0) {
                for s in 0..kh {
                    for c in (0..kh).filter(|c| e[s * kh + c] != 0.0) {
                        sum += d[b * kg + a] * e[s * kh + c] * w[(s * kg + b) * kg * kh + c * kg + a];
                    }
                }
            }
        }
        sum
    }

    /// y'P V_k P V_l P y = h_k'G h_l for all pairs, and y'P V_k P y.
    fn quadratic_forms(&self, design: &System, factor: &FullFactor, reml: bool, frame: &Frame, g: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (p, q, n) = (design.p, design.structure.q, frame.directions.len());
        let mut memory = vec![0.0; 2 * q * n];
        let (h, gh) = memory.split_at_mut(q * n);
        let mut first = vec![0.0; n];
        for ((h, first), (direction, e)) in
            h.chunks_exact_mut(q).zip(&mut first).zip(frame.directions.iter().zip(&design.structure.entries))
        {
            let group = &design.structure.groups[e.group];
            let span = group.offset..group.offset + group.effects();
            for (h, g) in h[span.clone()].chunks_exact_mut(group.k).zip(g[span].chunks_exact(group.k)) {
                (0..group.k).for_each(|c| axpy(g[c], &direction[c * group.k..(c + 1) * group.k], h));
                *first += dot(h, g);
            }
        }
        let columns = MatRef::from_column_major_slice(h, q, n);
        let full = MatRef::from_column_major_slice(&self.full, q, q);
        matmul(MatMut::from_column_major_slice_mut(gh, q, n), Accum::Replace, full, columns, 1.0, Par::Seq);
        let mut second = vec![0.0; n * n];
        let product = MatRef::from_column_major_slice(gh, q, n);
        matmul(MatMut::from_column_major_slice_mut(&mut second, n, n), Accum::Replace, columns.transpose(), product, 1.0, Par::Seq);
        if !reml && p > 0 {
            let mut fixed = vec![0.0; p * n];
            let f = MatRef::from_row_major_slice(&self.curvature.f, q, p);
            matmul(MatMut::from_column_major_slice_mut(&mut fixed, p, n), Accum::Replace, f.transpose(), columns, 1.0, Par::Seq);
            fixed.chunks_exact_mut(p).for_each(|b| solve_lower(&factor.rx, p, b));
            for j in 0..n {
                (0..n).for_each(|i| second[j * n + i] -= dot(nth(&fixed, i, p), nth(&fixed, j, p)));
            }
        }
        symmetrise(&mut second, n);
        (second, first)
    }
}

/// Subtracts L^-T L^-1 of each leading level from the lower triangle of its block; `inverse` holds the L^-1.
#[inline(always)]
fn subtract_squares(inverse: &[f64], k: usize, q: usize, full: &mut [f64]) {
    for (level, l) in inverse.chunks_exact(k * k).enumerate() {
        for c in 0..k {
            let at = (level * k + c) * q + level * k;
            for r in c..k {
                full[at + r] -= dot(&l[r * k + r..(r + 1) * k], &l[c * k + r..(c + 1) * k]);
            }
        }
    }
}

/// Takes the diagonal blocks of a group, whose effects begin at `offset`, with the other sign.
#[inline(always)]
fn take_blocks(full: &[f64], q: usize, offset: usize, k: usize, blocks: &mut [f64]) {
    for (level, block) in blocks.chunks_exact_mut(k * k).enumerate() {
        let start = offset + level * k;
        for (c, column) in block.chunks_exact_mut(k).enumerate() {
            let from = &full[(start + c) * q + start..][..k];
            for (to, from) in column.iter_mut().zip(from) {
                *to = -from;
            }
        }
    }
}

/// The leading levels' diagonal blocks of I - M^-1: what the other groups contribute is in `sums`.
#[inline(always)]
fn put_lead_blocks(diagonal: &[f64], lambda: &[f64], inverse: &[f64], k: usize, sums: &mut [f64], q: usize, full: &mut [f64]) {
    let kk = k * k;
    let mut own = vec![0.0; kk];
    for (level, sum) in sums.chunks_exact_mut(kk).enumerate() {
        congruence(nth(diagonal, level, kk), lambda, k, &mut own);
        if k > 1 {
            mirror(&mut own, k);
        }
        add_product(&own, nth(inverse, level, kk), k, sum);
        symmetrise(sum, k);
        put_block(full, q, level * k, sum, k);
    }
}

/// Adds up the diagonal blocks of a group.
#[inline(always)]
fn add_blocks(full: &[f64], q: usize, offset: usize, levels: usize, k: usize, sum: &mut [f64]) {
    for level in 0..levels {
        let start = offset + level * k;
        for c in 0..k {
            axpy(1.0, &full[(start + c) * q + start..][..k], nth_mut(sum, c, k));
        }
    }
}

/// Completes a matrix of which the lower triangle of the first q1 rows and columns is given, and all of the other columns.
fn mirror_lead(a: &mut [f64], n: usize, q1: usize) {
    const TILE: usize = 16;
    for c0 in (0..q1).step_by(TILE) {
        for r0 in (c0..n).step_by(TILE) {
            for c in c0..(c0 + TILE).min(q1) {
                for r in r0.max(c + 1)..(r0 + TILE).min(n) {
                    if r < q1 {
                        a[r * n + c] = a[c * n + r];
                    } else {
                        a[c * n + r] = a[r * n + c];
                    }
                }
            }
        }
    }
}

/// Cuts `width` columns, from row `offset` on, into blocks of k rows and writes these one after the other.
#[inline(always)]
fn side_by_side(columns: &[f64], n: usize, offset: usize, k: usize, width: usize, out: &mut [f64]) {
    for c in 0..width {
        let rows = &columns[c * n + offset..][..out.len() / width];
        for (rows, block) in rows.chunks_exact(k).zip(out.chunks_exact_mut(k * width)) {
            (0..k).for_each(|r| block[c * k + r] = rows[r]);
        }
    }
}
