//! H = Z'V^-1Z, never formed: its columns come in panels, and what is needed of them are sums.

use crate::error::Error;
use crate::linalg::blocks::{nth, nth_mut};
use crate::linalg::scratch::Scratch;
use crate::linalg::small::{axpy, inverse_lower};
use crate::model::structure::ThetaEntry;
use crate::parallel::Workers;
use crate::plan::design::System;
use crate::progress;
use crate::tasks::marginal::Marginal;
use crate::tolerances::INVERTIBLE;

/// Columns of a panel, where there are as many.
const WIDTH: usize = 64;

/// Sums over H in units of 1 / sigma^2, where S_i is 1 at the places of parameter i in Psi.
pub struct Traces {
    /// tr(H S_i).
    pub first: Vec<f64>,
    /// tr(H S_i H S_j), a square matrix.
    pub second: Vec<f64>,
}

/// Some columns of H: those of a group's levels in several sets, of which each shares its K columns.
struct Panel<'a> {
    group: usize,
    sets: &'a [Vec<u32>],
}

/// Columns of the widest panel of a design.
pub fn width(marginal: &Marginal) -> usize {
    let groups = marginal.design.structure.groups.iter().zip(marginal.design.unconnected_levels());
    groups.map(|(group, sets)| group.k * sets.len().min((WIDTH / group.k).max(1))).max().unwrap_or(0)
}

/// Multiplications that all columns of H take, about: what a column takes is a solution by M's factor and two products with Z'WZ.
pub fn work(design: &System) -> f64 {
    let groups = &design.structure.groups;
    let columns: usize = groups.iter().zip(design.unconnected_levels()).map(|(group, sets)| group.k * sets.len()).sum();
    let blocks: usize = groups.iter().map(|g| g.effects() * g.k).sum::<usize>() + 2 * design.neighbour_values.len();
    columns as f64 * (2 * design.plan.layout.len() + 4 * blocks) as f64
}

impl Traces {
    /// Solves for all columns of H, and sums; a column costs a solution by M's factor. Levels that nothing connects have no element of H
    /// in common, so that they share a column: nested factors take no more columns than their largest component has.
    pub fn new(marginal: &Marginal, workers: &Workers) -> Result<Self, Error> {
        let r = marginal.parameters().len();
        let sets = marginal.design.unconnected_levels();
        let panels = sets.iter().enumerate().flat_map(|(group, sets)| {
            let most = (WIDTH / marginal.design.structure.groups[group].k).max(1);
            sets.chunks(most).map(move |sets| Panel { group, sets })
        });
        let mut out = Traces { first: vec![0.0; r], second: vec![0.0; r * r] };
        let panels: Vec<Panel> = panels.collect();
        progress::begin(panels.len());
        let parts = workers.map(panels.into_iter(), |panel| {
            let traces = if workers.gives_up() { None } else { Some(panel.traces(marginal)) };
            progress::advance(1);
            traces
        });
        progress::begin(0);
        workers.check()?;
        for part in parts.into_iter().flatten() {
            axpy(1.0, &part.first, &mut out.first);
            axpy(1.0, &part.second, &mut out.second);
        }
        (0..r).for_each(|j| (0..j).for_each(|i| out.second[i * r + j] = out.second[j * r + i]));
        Ok(out)
    }
}

impl Panel<'_> {
    /// What the panel adds to the sums.
    fn traces(&self, marginal: &Marginal) -> Traces {
        let (design, entries) = (marginal.design, marginal.parameters());
        let group = &design.structure.groups[self.group];
        let (k, r) = (group.k, entries.len());
        let m = k * self.sets.len();
        let mut columns = vec![0.0; design.structure.q * m];
        for (set, levels) in self.sets.iter().enumerate() {
            for &level in levels {
                let at = group.offset + level as usize * k;
                (0..k).for_each(|c| columns[(at + c) * m + set * k + c] = 1.0);
            }
        }
        let columns = times_h(marginal, self.group, columns, m, Workers::none());
        let mut out = Traces { first: vec![0.0; r], second: vec![0.0; r * r] };
        for (j, entry) in entries.iter().enumerate().filter(|(_, e)| e.group == self.group) {
            let times = f64::from(u8::from(entry.row != entry.col) + 1);
            for (set, levels) in self.sets.iter().enumerate() {
                let element = |level: u32| columns[(group.offset + level as usize * k + entry.row) * m + set * k + entry.col];
                out.first[j] += times * levels.iter().map(|&level| element(level)).sum::<f64>();
            }
            for (i, other) in entries.iter().enumerate().take(j + 1) {
                out.second[j * r + i] = self.square(marginal, other, entry, &columns, m);
            }
        }
        out
    }

    /// Sum over the panel's levels m and all levels l of another group of tr(S_i H_lm S_j H_ml).
    fn square(&self, marginal: &Marginal, i: &ThetaEntry, j: &ThetaEntry, columns: &[f64], m: usize) -> f64 {
        let (k, rows) = (marginal.design.structure.groups[self.group].k, &marginal.design.structure.groups[i.group]);
        let levels = columns[rows.offset * m..rows.range().end * m].chunks_exact(rows.k * m);
        if (rows.k, k) == (1, 1) {
            return levels.map(|row| row.iter().map(|h| h * h).sum::<f64>()).sum();
        }
        let places = |e: &ThetaEntry| f64::from(u8::from(e.row != e.col) + 1);
        let mut sum = 0.0;
        for level in levels {
            let (first, second) = (&level[i.row * m..][..m], &level[i.col * m..][..m]);
            for (a, b) in first.chunks_exact(k).zip(second.chunks_exact(k)) {
                sum += a[j.row] * b[j.col] + a[j.col] * b[j.row];
            }
        }
        0.5 * places(i) * places(j) * sum
    }
}

/// H V for rows of length m, which are zero but for one group's: H = A (I + Psi A)^-1, and (I + Psi A)^-1 = Lambda M^-1 Lambda^-1, which
/// takes no difference of large numbers; where the group's Lambda has no inverse, I - Lambda M^-1 Lambda' A.
pub fn times_h(marginal: &Marginal, group: usize, mut v: Vec<f64>, m: usize, workers: &Workers) -> Vec<f64> {
    let (design, factor) = (marginal.design, &marginal.factor);
    let own = &design.structure.groups[group];
    let mut scratch = Scratch::for_solving();
    let mut out = vec![0.0; v.len()];
    let mut solve = |v: &mut [f64]| {
        factor.forward(design, v, m, &mut scratch, workers);
        factor.backward(design, v, m, &mut scratch, workers);
        factor.scale_up(design, v, m);
    };
    if let Some(inverse) = inverse_of(&factor.lambda[group], own.k) {
        let mut scaled = vec![0.0; own.k * m];
        for level in v[own.offset * m..own.range().end * m].chunks_exact_mut((own.k * m).max(1)) {
            scaled.fill(0.0);
            for r in 0..own.k {
                (0..=r).for_each(|c| axpy(inverse[c * own.k + r], nth(level, c, m), nth_mut(&mut scaled, r, m)));
            }
            level.copy_from_slice(&scaled);
        }
        solve(&mut v);
    } else {
        design.multiply_rows(&v, m, &mut out);
        factor.scale_down(design, &mut out, m);
        solve(&mut out);
        axpy(-1.0, &out, &mut v);
    }
    design.multiply_rows(&v, m, &mut out);
    out
}

/// Lambda^-1, unless that would lose digits.
fn inverse_of(lambda: &[f64], k: usize) -> Option<Vec<f64>> {
    let largest = lambda.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let regular = (0..k).all(|i| lambda[i * k + i].abs() > INVERTIBLE * largest);
    regular.then(|| {
        let mut out = vec![0.0; k * k];
        inverse_lower(lambda, k, &mut out);
        out
    })
}
