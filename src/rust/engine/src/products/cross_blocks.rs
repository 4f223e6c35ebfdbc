//! Z'WZ as its blocks, and the fixed effects' columns beside it, an absorbed factor's among them.

use crate::linalg::blocks::{nth, nth_mut};
use crate::linalg::small::{axpy, dot};
use crate::products::cross::Products;

impl Products {
    /// Calls `visit(first row, first column, rows, block)` for each block of Z'WZ that lies between levels of two groups, one of each
    /// pair that mirror each other; rows and columns are counted among all effects, the block is column-major.
    pub fn for_each_cross_block(&self, mut visit: impl FnMut(usize, usize, usize, &[f64])) {
        let groups = &self.structure.groups;
        let (k, begin) = (groups[0].k, groups[0].effects());
        for level in 0..groups[0].levels {
            for b in self.neighbour_ptr[level]..self.neighbour_ptr[level + 1] {
                visit(level * k, begin + self.neighbours[b].start as usize, k, self.neighbour_block(b));
            }
        }
        for pair in &self.rest_pairs {
            let (kr, kc) = (groups[pair.row_group as usize].k, groups[pair.col_group as usize].k);
            let values = &self.rest_pair_values[pair.values..pair.values + kr * kc];
            visit(begin + pair.row as usize, begin + pair.col as usize, kr, values);
        }
    }

    /// out := Z'WZ h.
    pub fn multiply(&self, h: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (g, group) in self.structure.groups.iter().enumerate() {
            let k = group.k;
            for (effect, column) in self.diagonal[g].chunks_exact(k).enumerate() {
                let at = group.offset + effect / k * k;
                axpy(h[group.offset + effect], column, &mut out[at..at + k]);
            }
        }
        self.for_each_cross_block(|row, col, rows, block| {
            for (c, column) in block.chunks_exact(rows).enumerate() {
                axpy(h[col + c], column, &mut out[row..row + rows]);
                out[col + c] += dot(column, &h[row..row + rows]);
            }
        });
    }

    /// out := Z'WZ V for rows of length m, one per effect.
    pub fn multiply_rows(&self, v: &[f64], m: usize, out: &mut [f64]) {
        out.fill(0.0);
        let mut add = |to: usize, from: usize, value: f64| axpy(value, nth(v, from, m), nth_mut(out, to, m));
        for (g, group) in self.structure.groups.iter().enumerate() {
            let k = group.k;
            for (at, value) in self.diagonal[g].iter().enumerate() {
                let level = at / (k * k);
                let first = group.offset + level * k;
                add(first + at % k, first + at / k % k, *value);
            }
        }
        self.for_each_cross_block(|row, col, rows, block| {
            for (at, value) in block.iter().enumerate() {
                let (r, c) = (row + at % rows, col + at / rows);
                add(r, c, *value);
                add(c, r, *value);
            }
        });
    }

    /// Z'WX of the random effects, rows one after the other, and X'WX, where X has the columns of an absorbed factor's levels first and
    /// then the engine's own.
    pub fn all_fixed_columns(&self) -> (Vec<f64>, Vec<f64>) {
        let (p, random) = (self.p, self.structure.random());
        let Some(own) = self.structure.fixed_group() else { return (self.zx.clone(), self.xx.clone()) };
        let total = self.fixed_columns();
        let mut zx = vec![0.0; random.len() * total];
        self.for_each_cross_block(|row, col, rows, block| {
            for (at, value) in block.iter().enumerate() {
                let (r, c) = (row + at % rows, col + at / rows);
                let (effect, level) = if own.range().contains(&r) { (c, r) } else { (r, c) };
                if own.range().contains(&level) {
                    zx[(effect - random.start) * total + level - own.offset] = *value;
                }
            }
        });
        for (row, product) in zx.chunks_exact_mut(total).zip(self.zx[random.start * p..random.end * p].chunks_exact(p.max(1))) {
            row[own.levels..].copy_from_slice(product);
        }
        let mut xx = vec![0.0; total * total];
        for (level, weight) in self.level_weights().iter().enumerate() {
            xx[level * total + level] = *weight;
            let row = &self.zx[(own.offset + level) * p..(own.offset + level + 1) * p];
            xx[level * total + own.levels..(level + 1) * total].copy_from_slice(row);
            (0..p).for_each(|j| xx[(own.levels + j) * total + level] = row[j]);
        }
        for (j, column) in self.xx.chunks_exact(p.max(1)).enumerate() {
            let at = (own.levels + j) * total + own.levels;
            xx[at..at + p].copy_from_slice(column);
        }
        (zx, xx)
    }
}
