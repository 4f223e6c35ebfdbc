//! Solutions for m right-hand sides at once, kept as one row of m values for each effect, row after row.
//!
//! They only read the factorisation, so that threads can share it.

use crate::factor::blocks::{level_ranges, rest_begin, Factor};
use crate::linalg::blocks::{nth, nth_mut, scale_rows};
use crate::linalg::scratch::Scratch;
use crate::linalg::small::{axpy, dot, solve_lower, solve_lower_rows, solve_lower_transpose_rows};
use crate::parallel::{pieces, Workers};
use crate::plan::design::System;

impl Factor {
    /// L^-1 V, in place (the rest comes back in the factor's order).
    pub fn forward(&self, design: &System, v: &mut [f64], m: usize, scratch: &mut Scratch, workers: &Workers) {
        let (k, adjacency) = (design.structure.groups[0].k, &design.plan.adjacency);
        let (lead, rest) = v.split_at_mut(rest_begin(design) * m);
        for (level, x) in lead.chunks_exact_mut((k * m).max(1)).enumerate() {
            let l = nth(&self.lead, level, k * k);
            if m == 1 {
                // no loops over rows of one element: every evaluation solves so
                solve_lower(l, k, x);
                adjacency.span(level).for_each(|t| rest[adjacency.columns[t] as usize] -= dot(nth(&self.cross, t, k), x));
                continue;
            }
            solve_lower_rows(l, k, x, m);
            for t in adjacency.span(level) {
                let row = &mut rest[adjacency.columns[t] as usize * m..][..m];
                (0..k).for_each(|a| axpy(-self.cross[t * k + a], nth(x, a, m), row));
            }
        }
        design.plan.layout.forward(&self.rest, rest, m, scratch, workers);
    }

    /// L'^-1 V, in place: first the rest, then the leading levels, each for itself.
    pub fn backward(&self, design: &System, v: &mut [f64], m: usize, scratch: &mut Scratch, workers: &Workers) {
        if m == 0 {
            return;
        }
        let (lead, rest) = v.split_at_mut(rest_begin(design) * m);
        design.plan.layout.backward(&self.rest, rest, m, scratch, workers);
        let (k, levels) = (design.structure.groups[0].k, design.structure.groups[0].levels);
        let (adjacency, l, u, rest) = (&design.plan.adjacency, &self.lead, &self.cross, &*rest);
        let items = level_ranges(levels).zip(pieces(lead, level_ranges(levels).map(|r| r.len() * k * m)));
        workers.for_each(items, |(range, rows)| {
            for (level, x) in range.zip(rows.chunks_exact_mut(k * m)) {
                for t in adjacency.span(level) {
                    let e = adjacency.columns[t] as usize;
                    (0..k).for_each(|a| axpy(-u[t * k + a], nth(rest, e, m), nth_mut(x, a, m)));
                }
                solve_lower_transpose_rows(nth(l, level, k * k), k, x, m);
            }
        });
    }

    /// V := Lambda'V.
    pub fn scale_down(&self, design: &System, v: &mut [f64], m: usize) {
        let mut scaled = Vec::new();
        for (group, lambda) in design.structure.groups.iter().zip(&self.lambda) {
            scaled.resize(group.k * m, 0.0);
            for level in v[group.offset * m..group.range().end * m].chunks_exact_mut((group.k * m).max(1)) {
                scale_rows(level, lambda, group.k, m, &mut scaled);
                level.copy_from_slice(&scaled);
            }
        }
    }

    /// V := Lambda V.
    pub fn scale_up(&self, design: &System, v: &mut [f64], m: usize) {
        for (group, lambda) in design.structure.groups.iter().zip(&self.lambda) {
            let k = group.k;
            for level in v[group.offset * m..group.range().end * m].chunks_exact_mut((k * m).max(1)) {
                for r in (0..k).rev() {
                    let (above, row) = level.split_at_mut(r * m);
                    let row = &mut row[..m];
                    row.iter_mut().for_each(|v| *v *= lambda[r * k + r]);
                    (0..r).for_each(|c| axpy(lambda[c * k + r], nth(above, c, m), row));
                }
            }
        }
    }
}
