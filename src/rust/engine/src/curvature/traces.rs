//! The part of the derivatives that depends on theta alone, from the inverse of S on its pattern.

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{MatMut, MatRef};

use crate::factor::blocks::{level_ranges, Factor};
use crate::linalg::blocks::{add_product, nth, nth_mut};
use crate::linalg::scratch::Scratch;
use crate::linalg::small::{
    axpy, dot, lower_transpose_times, solve_lower_transpose, solve_lower_transpose_rows, times_lower, with_constant,
};
use crate::model::lambda::Lambda;
use crate::parallel::{pieces, Workers};
use crate::plan::adjacency::Adjacency;
use crate::plan::design::System;

/// The part of the derivatives that depends on theta alone; responses at the same theta share it.
#[derive(Clone, Debug)]
pub struct Curvature {
    /// Per group sum over levels of [A Lambda M^-1]_jj, K x K.
    pub trace: Vec<Vec<f64>>,
    /// Per group sum over levels of F_j (X'V^-1X)^-1 F_j' (zero for maximum likelihood), K x K.
    pub fixed: Vec<Vec<f64>>,
    /// F = Z'V^-1X, a row of length p per random effect.
    pub f: Vec<f64>,
    /// F whitened by X'V^-1X (REML only), in rows likewise.
    pub whitened: Vec<f64>,
    /// S^-1 on its pattern.
    pub rest_inverse: Vec<f64>,
    /// U S^-1, K values for each of the adjacency's columns.
    pub coupled: Coupled,
}

impl Curvature {
    /// Allocates for a design; `rest` says whether S^-1 is to have a place.
    pub fn new(design: &System, rest: bool) -> Self {
        let squares = || design.structure.groups.iter().map(|g| vec![0.0; g.k * g.k]).collect::<Vec<_>>();
        Curvature {
            trace: squares(),
            fixed: squares(),
            f: vec![0.0; design.structure.q * design.p],
            whitened: vec![0.0; design.structure.q * design.p],
            rest_inverse: vec![0.0; if rest { design.plan.layout.len() } else { 0 }],
            coupled: if rest { Coupled::new(design) } else { Coupled::default() },
        }
    }

    /// Fills everything from a factor; its Lambda must have non-zero diagonals.
    pub fn compute(&mut self, design: &System, factor: &Factor, reml: bool, scratch: &mut Scratch, workers: &Workers) {
        self.trace.iter_mut().for_each(|t| t.fill(0.0));
        design.plan.layout.invert(&factor.rest, &mut self.rest_inverse, scratch, workers);
        self.coupled.fill(design, factor, &self.rest_inverse, workers);
        self.lead_traces(design, factor, workers);
        self.rest_traces(design, factor);
        self.f.copy_from_slice(&factor.rzx);
        factor.backward(design, &mut self.f, design.p, scratch, workers);
        self.fixed_part(design, &factor.lambda, &factor.rx, reml, workers);
    }

    /// The traces of the leading group, and what its rows of M^-1 add to those of the others.
    fn lead_traces(&mut self, design: &System, factor: &Factor, workers: &Workers) {
        let groups = &design.structure.groups;
        let (k, coupled) = (groups[0].k, &self.coupled);
        let sums = workers.map(level_ranges(groups[0].levels), |range| {
            let mut sums: Vec<Vec<f64>> = groups.iter().map(|g| vec![0.0; g.k * g.k]).collect();
            with_constant!(k, K, add_lead_traces(design, factor, coupled, K, range, &mut sums));
            sums
        });
        for part in &sums {
            self.trace.iter_mut().zip(part).for_each(|(trace, part)| axpy(1.0, part, trace));
        }
    }

    /// What the blocks of S^-1 add to the traces of the other groups.
    fn rest_traces(&mut self, design: &System, factor: &Factor) {
        let groups = &design.structure.groups;
        let begin = groups[0].effects();
        let inverse = |r: usize, c: usize| self.rest_inverse[design.plan.layout.position(r, c)];
        for (g, group) in groups.iter().enumerate().skip(1) {
            let k = group.k;
            let (mut a_lambda, mut w) = (vec![0.0; k * k], vec![0.0; k * k]);
            for level in 0..group.levels {
                let start = group.offset - begin + level * k;
                for c in 0..k {
                    (0..k).for_each(|r| w[c * k + r] = inverse(start + r, start + c));
                }
                times_lower(nth(&design.diagonal[g], level, k * k), &factor.lambda[g], k, &mut a_lambda);
                add_product(&a_lambda, &w, k, &mut self.trace[g]);
            }
        }
        for pair in &design.rest_pairs {
            let (h, g) = (pair.row_group as usize, pair.col_group as usize);
            let (kh, kg) = (groups[h].k, groups[g].k);
            let a = design.rest_pair_block(pair);
            let (lh, lg) = (&factor.lambda[h], &factor.lambda[g]);
            for r in 0..kh {
                for c in 0..kg {
                    let al_rc: f64 = (c..kg).map(|t| a[t * kh + r] * lg[c * kg + t]).sum(); // [A Lambda_g]_rc
                    for r2 in 0..kh {
                        self.trace[h][r2 * kh + r] += al_rc * inverse(pair.row as usize + r2, pair.col as usize + c);
                    }
                    let at_rc: f64 = (r..kh).map(|t| a[c * kh + t] * lh[r * kh + t]).sum(); // [A' Lambda_h]_cr
                    for c2 in 0..kg {
                        self.trace[g][c2 * kg + c] += at_rc * inverse(pair.row as usize + r, pair.col as usize + c2);
                    }
                }
            }
        }
    }

    /// F = Lambda^-T M^-1 Lambda'Z'WX where M^-1 Lambda'Z'WX is in `f`, and the sums of F_j (X'V^-1X)^-1 F_j'.
    pub fn fixed_part(&mut self, design: &System, lambda: &Lambda, rx: &[f64], reml: bool, workers: &Workers) {
        let p = design.p;
        for (g, group) in design.structure.groups.iter().enumerate() {
            let own = &mut self.f[group.offset * p..(group.offset + group.effects()) * p];
            own.chunks_exact_mut((group.k * p).max(1)).for_each(|rows| solve_lower_transpose_rows(&lambda[g], group.k, rows, p));
        }
        self.fixed.iter_mut().for_each(|f| f.fill(0.0));
        if !reml || p == 0 {
            return;
        }
        self.whitened.copy_from_slice(&self.f);
        let columns = MatMut::from_column_major_slice_mut(&mut self.whitened, p, design.structure.q);
        let rx = MatRef::from_column_major_slice(rx, p, p);
        workers.install(|par| solve_lower_triangular_in_place(rx, columns, par));
        for (g, group) in design.structure.groups.iter().enumerate() {
            let k = group.k;
            for rows in self.whitened[group.offset * p..(group.offset + group.effects()) * p].chunks_exact(k * p) {
                for c in 0..k {
                    for r in 0..k {
                        self.fixed[g][c * k + r] += dot(nth(rows, r, p), nth(rows, c, p));
                    }
                }
            }
        }
    }
}

/// U S^-1, whose columns -L_i^-T u S^-1 are the blocks of M^-1 beside the leading group's.
#[derive(Clone, Debug, Default)]
pub struct Coupled {
    /// K values for each of the adjacency's columns: in the order of its entries where S is dense, else in its own.
    values: Vec<f64>,
    by_entry: bool,
    k: usize,
}

impl Coupled {
    /// Allocates for a design.
    pub fn new(design: &System) -> Self {
        let k = design.structure.groups[0].k;
        Coupled { values: vec![0.0; design.plan.adjacency.columns.len() * k], by_entry: design.plan.layout.is_dense(), k }
    }

    /// The values of one of the adjacency's columns.
    #[inline(always)]
    fn get(&self, design: &System, t: usize) -> &[f64] {
        let at = if self.by_entry { design.plan.adjacency.place[t] as usize } else { t };
        &self.values[at * self.k..(at + 1) * self.k]
    }

    /// Fills it from a factor and the inverse of S, where S is dense column by column.
    pub fn fill(&mut self, design: &System, factor: &Factor, rest_inverse: &[f64], workers: &Workers) {
        let (k, adjacency, order, u) = (self.k, &design.plan.adjacency, design.plan.layout.order, &factor.cross);
        if self.by_entry {
            let columns = pieces(&mut self.values, (0..order).map(|e| adjacency.entries_of(e).len() * k));
            let items = columns.into_iter().zip(rest_inverse.chunks_exact(order.max(1))).enumerate();
            workers.for_each(items, |(e, (out, inverse))| with_constant!(k, K, couple(adjacency, u, K, e, inverse, out)));
            return;
        }
        let cuts = || level_ranges(design.structure.groups[0].levels);
        let parts = pieces(&mut self.values, cuts().map(|r| (adjacency.ptr[r.end] - adjacency.ptr[r.start]) * k));
        workers.for_each(cuts().zip(parts), |(range, out)| {
            out.fill(0.0);
            let first = adjacency.ptr[range.start];
            for level in range {
                let span = adjacency.span(level);
                let (u, y) = (&u[span.start * k..span.end * k], &mut out[(span.start - first) * k..(span.end - first) * k]);
                adjacency.for_each_pair(level, |c, d, at| {
                    let v = rest_inverse[at];
                    (0..k).for_each(|a| y[d * k + a] += v * u[c * k + a]);
                    if c != d {
                        (0..k).for_each(|a| y[c * k + a] += v * u[d * k + a]);
                    }
                });
            }
        });
    }
}

/// The values of one effect of the other groups: for each leading level that it meets the sum of U_i's columns, weighted by
/// the effect's column of S^-1.
#[inline(always)]
fn couple(adjacency: &Adjacency, u: &[f64], k: usize, e: usize, inverse: &[f64], out: &mut [f64]) {
    for (entry, out) in adjacency.entries_of(e).iter().zip(out.chunks_exact_mut(k)) {
        let span = adjacency.span(entry.level as usize);
        out.fill(0.0);
        for (&row, u) in adjacency.columns[span.clone()].iter().zip(u[span.start * k..span.end * k].chunks_exact(k)) {
            axpy(inverse[row as usize], u, out);
        }
    }
}

/// M^-1_ii = L_i^-T (I + U S^-1 U') L_i^-1 of a level of the leading group, K x K.
#[inline(always)]
fn lead_inverse(design: &System, factor: &Factor, coupled: &Coupled, k: usize, level: usize, w: &mut [f64]) {
    let l = nth(&factor.lead, level, k * k);
    w.fill(0.0);
    (0..k).for_each(|i| w[i * k + i] = 1.0);
    for t in design.plan.adjacency.span(level) {
        let (u, y) = (nth(&factor.cross, t, k), coupled.get(design, t));
        (0..k).for_each(|b| axpy(u[b], y, nth_mut(w, b, k)));
    }
    // L^-T w L^-1, first by columns, then (w is symmetric) by rows
    (0..k).for_each(|c| solve_lower_transpose(l, k, nth_mut(w, c, k)));
    solve_lower_transpose_rows(l, k, w, k);
}

/// Adds a range of leading levels to the traces of A Lambda M^-1 of all groups.
#[inline(always)]
fn add_lead_traces(design: &System, factor: &Factor, coupled: &Coupled, k: usize, range: std::ops::Range<usize>, traces: &mut [Vec<f64>]) {
    let groups = &design.structure.groups;
    let (lead_trace, rest_traces) = traces.split_at_mut(1);
    let lead_trace = &mut lead_trace[0];
    let (mut w, mut a_lambda) = (vec![0.0; k * k], vec![0.0; k * k]);
    let (mut column, mut inverse) = (vec![0.0; k], vec![0.0; k]);
    let widest = design.structure.widest();
    let mut inverses = vec![0.0; widest * k];
    for level in range {
        let l = nth(&factor.lead, level, k * k);
        lead_inverse(design, factor, coupled, k, level, &mut w);
        times_lower(nth(&design.diagonal[0], level, k * k), &factor.lambda[0], k, &mut a_lambda);
        add_product(&a_lambda, &w, k, lead_trace);
        let mut t = design.plan.adjacency.ptr[level];
        for b in design.neighbour_ptr[level]..design.neighbour_ptr[level + 1] {
            let g = design.neighbours[b].group as usize;
            let kg = groups[g].k;
            let block = design.neighbour_block(b);
            // the columns of -M^-1_i,rest
            for (c, column) in inverses[..kg * k].chunks_exact_mut(k).enumerate() {
                column.copy_from_slice(coupled.get(design, t + c));
                solve_lower_transpose(l, k, column);
            }
            for c in 0..kg {
                inverse.copy_from_slice(nth(&inverses, c, k));
                // [A Lambda_g] column c times row c of M^-1_rest,i
                column.fill(0.0);
                (c..kg).for_each(|t| axpy(factor.lambda[g][c * kg + t], nth(block, t, k), &mut column));
                (0..k).for_each(|b| axpy(-inverse[b], &column, nth_mut(lead_trace, b, k)));
                // row c of [A' Lambda_1] times M^-1_i,rest
                column.copy_from_slice(nth(block, c, k));
                lower_transpose_times(&factor.lambda[0], k, &mut column);
                (0..kg).for_each(|c2| rest_traces[g - 1][c2 * kg + c] -= dot(&column, nth(&inverses, c2, k)));
            }
            t += kg;
        }
    }
}

/// Blocks of M^-1 between the leading group's levels and those that they meet, in the places of the design's neighbour values:
/// -L_i^-T U S^-1.
pub fn inverse_neighbour_blocks(design: &System, factor: &Factor, coupled: &Coupled) -> Vec<f64> {
    let k = design.structure.groups[0].k;
    let mut out = vec![0.0; design.neighbour_values.len()];
    for level in 0..design.structure.groups[0].levels {
        let l = nth(&factor.lead, level, k * k);
        let begin = design.neighbour_values_ptr[design.neighbour_ptr[level]];
        for (t, column) in design.plan.adjacency.span(level).zip(out[begin..].chunks_exact_mut(k)) {
            coupled.get(design, t).iter().zip(&mut *column).for_each(|(y, to)| *to = -y);
            solve_lower_transpose(l, k, column);
        }
    }
    out
}

/// Diagonal K x K blocks of M^-1 of every level, per group, from the inverse of S on its pattern.
pub fn inverse_diagonal_blocks(design: &System, factor: &Factor, rest_inverse: &[f64], coupled: &Coupled) -> Vec<Vec<f64>> {
    let groups = &design.structure.groups;
    let k = groups[0].k;
    let mut out: Vec<Vec<f64>> = groups.iter().map(|g| vec![0.0; g.effects() * g.k]).collect();
    for (level, w) in out[0].chunks_exact_mut(k * k).enumerate() {
        lead_inverse(design, factor, coupled, k, level, w);
    }
    for (g, group) in groups.iter().enumerate().skip(1) {
        let k = group.k;
        for (level, block) in out[g].chunks_exact_mut(k * k).enumerate() {
            let start = group.offset - groups[0].effects() + level * k;
            for c in 0..k {
                (0..k).for_each(|r| block[c * k + r] = rest_inverse[design.plan.layout.position(start + r, start + c)]);
            }
        }
    }
    out
}
