//! Solutions for m right-hand sides at once, kept as one row of m values for each effect, row after row.
//!
//! They only read the factorisation, so that threads can share it.

use crate::factor::blocks::{rest_begin, Factor};
use crate::linalg::blocks::{nth, scale_rows};
use crate::linalg::scratch::Scratch;
use crate::linalg::small::{axpy, solve_lower_rows};
use crate::parallel::Workers;
use crate::plan::design::System;

impl Factor {
    /// L^-1 V, in place (the rest comes back in the factor's order).
    pub fn forward_rows(&self, design: &System, v: &mut [f64], m: usize, scratch: &mut Scratch, workers: &Workers) {
        let (group, adjacency) = (&design.structure.groups[0], &design.plan.adjacency);
        let k = group.k;
        let (lead, rest) = v.split_at_mut(rest_begin(design) * m);
        for (level, x) in lead.chunks_exact_mut((k * m).max(1)).enumerate() {
            solve_lower_rows(nth(&self.lead, level, k * k), k, x, m);
            for t in adjacency.span(level) {
                let row = &mut rest[adjacency.columns[t] as usize * m..][..m];
                (0..k).for_each(|a| axpy(-self.cross[t * k + a], nth(x, a, m), row));
            }
        }
        design.plan.layout.forward(&self.rest, rest, m, scratch, workers);
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
