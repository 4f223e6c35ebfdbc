//! Cross-products of the rows that are left when some are taken away.
//!
//! Taking rows away is a downdate: each sum loses the rows' part. Where a level loses most of a sum of squares, what is left would be
//! rounding errors for a large part. So such a level's sums are formed again from the rows that it keeps, and so are all blocks between two
//! levels, because each is made up of few rows. A level without rows keeps blocks of exact zeros: it adds nothing to the criterion, and its
//! effects are zero. Where a sum over all rows loses much the caller is told to form everything anew.

use std::collections::HashMap;

use crate::linalg::blocks::nth_mut;
use crate::linalg::small::axpy;
use crate::model::columns::{GroupColumns, ZRow};
use crate::model::order::{rows_by_level, RowOrder};
use crate::model::rows::Rows;
use crate::products::cross::Products;
use crate::products::response::Response;
use crate::tolerances::{DEPLETED, LEFT_OF_COLUMN, LEFT_OF_RESPONSE};

/// What is looked up of rows and blocks: made once, for any number of deletions.
pub struct RowIndex {
    /// Per group the rows of each level.
    orders: Vec<RowOrder>,
    /// Place of a pair of levels, by the first effect of its row block and of its column block.
    rest_pairs: HashMap<(u32, u32), usize>,
}

impl RowIndex {
    /// Of the rows that the products were made from.
    pub fn new(products: &Products, rows: &Rows) -> Self {
        let groups = &products.structure.groups;
        let pairs = products.rest_pairs.iter().enumerate();
        RowIndex {
            orders: groups.iter().map(|g| rows_by_level(rows.codes[g.factor], g.levels)).collect(),
            rest_pairs: pairs.map(|(at, pair)| ((pair.row, pair.col), at)).collect(),
        }
    }
}

/// Rows that are taken away: their numbers, and for every row whether it is one of them.
#[derive(Clone, Copy)]
pub struct Gone<'a> {
    /// Which.
    pub rows: &'a [u32],
    /// Whether, n long.
    pub is_gone: &'a [bool],
}

/// Products without some rows, and per group the levels whose sums had to be formed again.
pub struct Remaining {
    /// The products.
    pub products: Products,
    depleted: Vec<Vec<usize>>,
}

impl Products {
    /// The products of the rows that remain, in the same units and with the same levels; `None` where digits would be lost, or X becomes
    /// rank deficient.
    pub fn without(&self, rows: &Rows, index: &RowIndex, gone: Gone) -> Option<Remaining> {
        let mut out = self.clone();
        out.n -= gone.rows.len();
        if rows.weights.is_some() {
            out.log_weights -= gone.rows.iter().map(|&i| rows.weight(i as usize).ln()).sum::<f64>();
        }
        out.subtract_fixed(rows, gone);
        let depleted = (0..self.structure.groups.len()).map(|g| out.subtract_levels(self, rows, index, gone, g)).collect();
        if self.structure.groups.len() > 1 {
            out.renew_neighbours(rows, index, gone);
        }
        if self.structure.groups.len() > 2 {
            out.renew_rest_pairs(rows, index, gone);
        }
        let products = out.complete().ok()?;
        let keeps = |j: usize| {
            let at = j * self.p + j;
            products.xx[at] >= DEPLETED * self.xx[at] && products.xx_cholesky[at] >= LEFT_OF_COLUMN * self.xx_cholesky[at]
        };
        (0..self.p).all(keeps).then_some(Remaining { products, depleted })
    }

    fn subtract_fixed(&mut self, rows: &Rows, gone: Gone) {
        let p = self.p;
        let mut x = vec![0.0; p];
        for &i in gone.rows {
            let i = i as usize;
            self.transform.gather(rows, i, i + 1, &mut x);
            (0..p).for_each(|c| axpy(-rows.weight(i) * x[c], &x, nth_mut(&mut self.xx, c, p)));
        }
    }

    /// The diagonal blocks and Z'WX of a group; the levels that were formed again.
    fn subtract_levels(&mut self, full: &Products, rows: &Rows, index: &RowIndex, gone: Gone, g: usize) -> Vec<usize> {
        let group = &full.structure.groups[g];
        let k = group.k;
        let mut sums = LevelSums::new(full, rows, g);
        let (diagonal, zx) = (&mut self.diagonal[g], &mut self.zx[group.offset * full.p..group.range().end * full.p]);
        gone.rows.iter().for_each(|&i| sums.add(i as usize, -1.0, diagonal, zx));
        let mut depleted = levels_of(rows, group.factor, gone.rows);
        depleted.retain(|&level| {
            let at = |c: usize| (level * k + c) * k + c;
            (0..k).any(|c| full.diagonal[g][at(c)] > 0.0 && diagonal[at(c)] < DEPLETED * full.diagonal[g][at(c)])
        });
        for &level in &depleted {
            diagonal[level * k * k..(level + 1) * k * k].fill(0.0);
            zx[level * k * full.p..(level + 1) * k * full.p].fill(0.0);
            for_each_remaining(index.orders[g].of_level(level), gone, |i| sums.add(i, 1.0, diagonal, zx));
        }
        depleted
    }

    /// The blocks between levels of the leading group and others that met in a row that is gone.
    fn renew_neighbours(&mut self, rows: &Rows, index: &RowIndex, gone: Gone) {
        let groups = &self.structure.groups;
        let (lead, rest_offset) = (&groups[0], groups[0].effects());
        let mut z = ZRow::new(&self.structure, rows);
        let mut own = vec![0.0; lead.k];
        let place = |level: usize, g: usize, i: usize| {
            let start = (groups[g].offset - rest_offset + rows.level(groups[g].factor, i) * groups[g].k) as u32;
            let begin = self.neighbour_ptr[level];
            let found = self.neighbours[begin..self.neighbour_ptr[level + 1]].binary_search_by_key(&start, |b| b.start);
            begin + found.expect("levels that meet in a row are neighbours")
        };
        let mut by_level = gone.rows.to_vec();
        by_level.sort_by_key(|&i| (rows.codes[lead.factor][i as usize], i));
        for members in by_level.chunk_by(|&a, &b| rows.codes[lead.factor][a as usize] == rows.codes[lead.factor][b as usize]) {
            let level = rows.level(lead.factor, members[0] as usize);
            let mut met: Vec<usize> =
                members.iter().flat_map(|&i| (1..groups.len()).map(move |g| (g, i))).map(|(g, i)| place(level, g, i as usize)).collect();
            met.sort_unstable();
            met.dedup();
            for &b in &met {
                self.neighbour_values[self.neighbour_values_ptr[b]..self.neighbour_values_ptr[b + 1]].fill(0.0);
            }
            let values = &mut self.neighbour_values;
            for_each_remaining(index.orders[0].of_level(level), gone, |i| {
                own.copy_from_slice(z.get(0, i));
                for (g, group) in groups.iter().enumerate().skip(1) {
                    let b = place(level, g, i);
                    if met.binary_search(&b).is_err() {
                        continue;
                    }
                    let block = &mut values[self.neighbour_values_ptr[b]..self.neighbour_values_ptr[b + 1]];
                    for (column, &other) in block.chunks_exact_mut(lead.k).zip(z.get(g, i)).take(group.k) {
                        axpy(rows.weight(i) * other, &own, column);
                    }
                }
            });
        }
    }

    /// The blocks between levels of two of the other groups likewise.
    fn renew_rest_pairs(&mut self, rows: &Rows, index: &RowIndex, gone: Gone) {
        let groups = &self.structure.groups;
        let rest_offset = groups[0].effects();
        let mut z = ZRow::new(&self.structure, rows);
        for h in 2..groups.len() {
            let mut later = vec![0.0; groups[h].k];
            let start = |g: usize, i: usize| (groups[g].offset - rest_offset + rows.level(groups[g].factor, i) * groups[g].k) as u32;
            for g in 1..h {
                let place = |i: usize| index.rest_pairs[&(start(h, i), start(g, i))];
                let mut met: Vec<usize> = gone.rows.iter().map(|&i| place(i as usize)).collect();
                met.sort_unstable();
                met.dedup();
                let size = groups[h].k * groups[g].k;
                for &pair in &met {
                    let at = self.rest_pairs[pair].values;
                    self.rest_pair_values[at..at + size].fill(0.0);
                }
                for level in levels_of(rows, groups[h].factor, gone.rows) {
                    for_each_remaining(index.orders[h].of_level(level), gone, |i| {
                        let pair = place(i);
                        if met.binary_search(&pair).is_err() {
                            return;
                        }
                        let at = self.rest_pairs[pair].values;
                        later.copy_from_slice(z.get(h, i));
                        let block = &mut self.rest_pair_values[at..at + size];
                        for (column, &other) in block.chunks_exact_mut(groups[h].k).zip(z.get(g, i)) {
                            axpy(rows.weight(i) * other, &later, column);
                        }
                    });
                }
            }
        }
    }
}

impl Response {
    /// What the response contributes with the rows that remain; `residual` are those that [`Response::fill`] left behind. The regression
    /// that was subtracted and the scale stay. `None` where digits would be lost.
    pub fn without(
        &self,
        full: &Products,
        remaining: &Remaining,
        rows: &Rows,
        residual: &[f64],
        index: &RowIndex,
        gone: Gone,
    ) -> Option<Self> {
        let mut out = self.clone();
        let mut x = vec![0.0; full.p];
        for &i in gone.rows {
            let i = i as usize;
            let wr = rows.weight(i) * residual[i] / self.scale;
            out.yy -= wr * residual[i] / self.scale;
            full.transform.gather(rows, i, i + 1, &mut x);
            axpy(-wr, &x, &mut out.xy);
        }
        if self.is_exact() || out.yy < LEFT_OF_RESPONSE * self.yy {
            return None;
        }
        for (g, group) in full.structure.groups.iter().enumerate() {
            let columns = GroupColumns::new(&full.structure, rows, g);
            let (own, mut z) = (&mut out.zy[group.range()], vec![0.0; group.k]);
            let mut add = |i: usize, sign: f64, own: &mut [f64]| {
                columns.gather(i, i + 1, &mut z);
                let level = rows.level(group.factor, i);
                axpy(sign * rows.weight(i) * residual[i] / self.scale, &z, &mut own[level * group.k..(level + 1) * group.k]);
            };
            gone.rows.iter().for_each(|&i| add(i as usize, -1.0, own));
            for &level in &remaining.depleted[g] {
                own[level * group.k..(level + 1) * group.k].fill(0.0);
                for_each_remaining(index.orders[g].of_level(level), gone, |i| add(i, 1.0, own));
            }
        }
        Some(out)
    }
}

/// Adds rows to a group's blocks of Z'WZ and Z'WX, one by one.
struct LevelSums<'a> {
    rows: &'a Rows<'a>,
    full: &'a Products,
    factor: usize,
    columns: GroupColumns<'a>,
    z: Vec<f64>,
    x: Vec<f64>,
}

impl<'a> LevelSums<'a> {
    fn new(full: &'a Products, rows: &'a Rows<'a>, g: usize) -> Self {
        let group = &full.structure.groups[g];
        let columns = GroupColumns::new(&full.structure, rows, g);
        LevelSums { rows, full, factor: group.factor, columns, z: vec![0.0; group.k], x: vec![0.0; full.p] }
    }

    fn add(&mut self, i: usize, sign: f64, diagonal: &mut [f64], zx: &mut [f64]) {
        let (k, p, level) = (self.z.len(), self.x.len(), self.rows.level(self.factor, i));
        self.columns.gather(i, i + 1, &mut self.z);
        self.full.transform.gather(self.rows, i, i + 1, &mut self.x);
        for (c, z) in self.z.iter().enumerate() {
            let w = sign * self.rows.weight(i) * z;
            axpy(w, &self.z, &mut diagonal[(level * k + c) * k..(level * k + c + 1) * k]);
            axpy(w, &self.x, &mut zx[(level * k + c) * p..(level * k + c + 1) * p]);
        }
    }
}

fn for_each_remaining(members: &[u32], gone: Gone, mut visit: impl FnMut(usize)) {
    members.iter().map(|&i| i as usize).filter(|&i| !gone.is_gone[i]).for_each(&mut visit);
}

/// The levels of some rows, each once.
fn levels_of(rows: &Rows, factor: usize, some: &[u32]) -> Vec<usize> {
    let mut levels: Vec<usize> = some.iter().map(|&i| rows.level(factor, i as usize)).collect();
    levels.sort_unstable();
    levels.dedup();
    levels
}
