//! Cross-products of rows that are in memory, formed in one pass.

use std::ops::Range;

use crate::error::Error;
use crate::linalg::blocks::{nth, nth_mut};
use crate::linalg::long::add_gram;
use crate::linalg::small::{axpy, mirror, with_constant};
use crate::model::columns::{ColumnTransform, GroupColumns, ZRow};
use crate::model::order::{rows_by_level, RowOrder};
use crate::model::rows::Rows;
use crate::model::structure::Structure;
use crate::parallel::{ranges, Workers};
use crate::products::cross::{Neighbour, Products, RestPair};
use crate::products::parts::{row_blocks, sum_parts, CHUNK};
use crate::products::regression::square_root;
use crate::progress;
use crate::tolerances::{ALIASED, LEFT_BY_ROUNDING};

/// Rows after which the user is asked whether to go on.
const ROUND: usize = 64 * CHUNK;

impl Products {
    /// Passes over the rows: once for the centres and scales, once for the cross-products, and once more per
    /// additional group for the pairs of levels. Fails on bad lengths and a rank-deficient X. The same bits for any number of threads.
    pub fn of_rows(rows: &Rows, workers: &Workers) -> Result<Self, Error> {
        rows.check(workers)?;
        let structure = Structure::new(rows, workers);
        let transform = ColumnTransform::new(rows, workers);
        let mut out = Products::zero(rows.n, structure, transform);
        out.absorbed = rows.absorbed;
        out.log_weights = rows.weights.map_or(0.0, |w| w.iter().filter(|&&w| w > 0.0).map(|w| w.ln()).sum());
        if rows.n > ROUND {
            progress::begin(rows.n * passes(out.structure.groups.len()));
        }
        out.add_rows(rows, workers);
        if out.structure.groups.len() > 1 {
            out.find_neighbours(rows, workers);
        }
        if out.structure.groups.len() > 2 {
            out.find_rest_pairs(rows, workers);
        }
        if rows.n > ROUND {
            progress::begin(0);
            workers.check()?; // what was given up has wrong sums
        }
        out.complete()
    }

    /// The columns of X that are not combinations of earlier ones and an absorbed factor's: those of which the part that these leave is
    /// more than 1e-7 of the column's length, as R's qr() has it, and more than rounding.
    pub(crate) fn independent_columns(rows: &Rows, workers: &Workers) -> Result<Vec<usize>, Error> {
        rows.check(workers)?;
        let (structure, transform) = (Structure::new(rows, workers), ColumnTransform::new(rows, workers));
        let mut out = Products::zero(rows.n, structure, transform);
        out.absorbed = rows.absorbed;
        out.add_rows(rows, workers);
        let p = out.p;
        let (l, kept) = square_root(&out.xx_within_levels(), p, LEFT_BY_ROUNDING);
        out.xx_cholesky = l;
        let margin = out.rank_margin();
        Ok((0..p).filter(|&j| kept[j] && margin[j] > ALIASED).collect())
    }

    fn add_rows(&mut self, rows: &Rows, workers: &Workers) {
        let (p, transform, structure) = (rows.p, &self.transform, &self.structure);
        for part in workers.map(row_blocks(rows.n), |range| weighted_cross_product(transform, rows, range, workers)) {
            axpy(1.0, &part, &mut self.xx);
        }
        mirror(&mut self.xx, p);
        let (mut zx, mut first) = (&mut self.zx[..], 0);
        for (g, diagonal) in self.diagonal.iter_mut().enumerate() {
            let (group, own) = (&structure.groups[g], &mut zx[..structure.groups[g].effects() * p]);
            let k = group.k;
            let z = GroupColumns::new(structure, rows, g);
            let add = |range: Range<usize>, blocks: &mut [f64], products: &mut [f64]| {
                with_constant!(k, K, add_levels(transform, &z, K, rows, group.factor, range, blocks, products, workers));
            };
            sum_parts(workers, rows.n, group.effects(), diagonal, own, add);
            first += group.effects() * p;
            zx = &mut self.zx[first..];
        }
    }

    /// Blocks between the leading group and the others.
    fn find_neighbours(&mut self, rows: &Rows, workers: &Workers) {
        let lead = &self.structure.groups[0];
        let order = rows_by_level(rows.codes[lead.factor], lead.levels);
        let shares = ranges(lead.levels, 1, workers.threads().min(rows.n / (16 * CHUNK)));
        let parts = workers.map(shares, |range| Neighbours::of_levels(&self.structure, rows, &order, range, workers));
        let mut level = 0;
        for part in parts {
            let (begin, first) = (self.neighbour_values.len(), self.neighbours.len());
            for end in part.ends {
                level += 1;
                self.neighbour_ptr[level] = first + end;
            }
            self.neighbours.extend(part.neighbours);
            self.neighbour_values_ptr.extend(part.value_ends.iter().map(|end| begin + end));
            if begin == 0 {
                self.neighbour_values = part.values;
            } else {
                self.neighbour_values.extend(part.values);
            }
        }
    }

    /// Blocks between two groups neither of which leads.
    fn find_rest_pairs(&mut self, rows: &Rows, workers: &Workers) {
        let rest_offset = self.structure.groups[0].effects();
        let mut z = ZRow::new(&self.structure, rows);
        for h in 1..self.structure.groups.len() {
            let later = &self.structure.groups[h];
            let mut zh = vec![0.0; later.k];
            let order = rows_by_level(rows.codes[later.factor], later.levels);
            for g in 1..h {
                let earlier = &self.structure.groups[g];
                let mut mark = vec![usize::MAX; earlier.levels];
                let mut round = 0;
                for level in 0..later.levels {
                    let members = order.of_level(level);
                    if gives_up(&mut round, members.len(), workers) {
                        return;
                    }
                    let first = self.rest_pairs.len();
                    for &i in members {
                        let i = i as usize;
                        let other = rows.level(earlier.factor, i);
                        if mark[other] == usize::MAX {
                            mark[other] = self.rest_pair_values.len();
                            self.rest_pairs.push(RestPair {
                                row: (later.offset - rest_offset + level * later.k) as u32,
                                col: (earlier.offset - rest_offset + other * earlier.k) as u32,
                                row_group: h as u32,
                                col_group: g as u32,
                                values: mark[other],
                            });
                            self.rest_pair_values.resize(mark[other] + later.k * earlier.k, 0.0);
                        }
                        let (begin, w) = (mark[other], rows.weight(i));
                        zh.copy_from_slice(z.get(h, i));
                        for (c, &zc) in z.get(g, i).iter().enumerate() {
                            axpy(w * zc, &zh, &mut self.rest_pair_values[begin + c * later.k..begin + (c + 1) * later.k]);
                        }
                    }
                    for pair in &self.rest_pairs[first..] {
                        mark[(pair.col as usize + rest_offset - earlier.offset) / earlier.k] = usize::MAX;
                    }
                }
            }
        }
    }
}

/// The blocks between a range of leading levels and the other groups.
#[derive(Default)]
struct Neighbours {
    /// Per level the number of neighbours up to and with its own.
    ends: Vec<usize>,
    neighbours: Vec<Neighbour>,
    /// Per neighbour where its values end.
    value_ends: Vec<usize>,
    values: Vec<f64>,
}

impl Neighbours {
    /// The rows are visited level by level, so that one array of marks suffices.
    fn of_levels(structure: &Structure, rows: &Rows, order: &RowOrder, range: Range<usize>, workers: &Workers) -> Self {
        let lead = &structure.groups[0];
        let rest_offset = lead.effects();
        // where the values begin that belong to an effect's level and the present one
        let mut mark = vec![usize::MAX; structure.q - rest_offset];
        let columns: Vec<GroupColumns> = (0..structure.groups.len()).map(|g| GroupColumns::new(structure, rows, g)).collect();
        let (mut found, mut starts): (Vec<Neighbour>, Vec<u32>) = Default::default();
        let (mut z1, mut z2) = (Vec::new(), Vec::new());
        let mut out = Neighbours::default();
        let mut round = 0;
        for level in range {
            let members = order.of_level(level);
            if gives_up(&mut round, members.len(), workers) {
                return out;
            }
            found.clear();
            starts.clear();
            for (g, group) in structure.groups.iter().enumerate().skip(1) {
                for &i in members {
                    let start = group.offset - rest_offset + rows.level(group.factor, i as usize) * group.k;
                    starts.push(start as u32);
                    if mark[start] == usize::MAX {
                        mark[start] = 0;
                        found.push(Neighbour { start: start as u32, group: g as u32 });
                    }
                }
            }
            found.sort_unstable_by_key(|b| b.start);
            for b in &found {
                mark[b.start as usize] = out.values.len();
                let end = out.values.len() + lead.k * structure.groups[b.group as usize].k;
                out.values.resize(end, 0.0);
                out.value_ends.push(end);
            }
            out.neighbours.extend_from_slice(&found);
            out.ends.push(out.neighbours.len());
            columns[0].gather_rows(members, &mut z1);
            for (columns, starts) in columns[1..].iter().zip(starts.chunks_exact(members.len().max(1))) {
                columns.gather_rows(members, &mut z2);
                if let Some(weights) = rows.weights {
                    let k = columns.k();
                    z2.chunks_exact_mut(k).zip(members).for_each(|(z, &i)| z.iter_mut().for_each(|z| *z *= weights[i as usize]));
                }
                with_constant!(lead.k, K, add_pairs(K, &z1, columns.k(), &z2, starts, &mark, &mut out.values));
            }
            found.iter().for_each(|b| mark[b.start as usize] = usize::MAX);
        }
        out
    }
}

/// Adds z1 z2' of each row to the block of its pair of levels; k columns of the leading group, `others` of another one.
#[inline(always)]
fn add_pairs(k: usize, z1: &[f64], others: usize, z2: &[f64], starts: &[u32], mark: &[usize], values: &mut [f64]) {
    for ((z1, z2), &start) in z1.chunks_exact(k).zip(z2.chunks_exact(others)).zip(starts) {
        let begin = mark[start as usize];
        for (column, &z) in values[begin..begin + k * others].chunks_exact_mut(k).zip(z2) {
            axpy(z, z1, column);
        }
    }
}

/// How often the rows are read: for X'WX, for each group, for the leading group's neighbours, and for each pair of the others.
fn passes(groups: usize) -> usize {
    1 + groups + usize::from(groups > 1) + groups.saturating_sub(1) * groups.saturating_sub(2) / 2
}

/// Counts rows of a round; at the end of one, whether to go on.
fn gives_up(round: &mut usize, rows: usize, workers: &Workers) -> bool {
    *round += rows;
    *round > ROUND && {
        progress::advance(*round);
        *round = 0;
        workers.gives_up()
    }
}

/// X'WX of some rows, lower triangle.
fn weighted_cross_product(transform: &ColumnTransform, rows: &Rows, range: Range<usize>, workers: &Workers) -> Vec<f64> {
    let p = rows.p;
    let (mut out, mut columns) = (vec![0.0; p * p], vec![0.0; CHUNK * p]);
    let mut round = 0;
    for begin in range.clone().step_by(CHUNK) {
        if gives_up(&mut round, CHUNK, workers) {
            break;
        }
        let end = (begin + CHUNK).min(range.end);
        let columns = &mut columns[..(end - begin) * p];
        transform.columns(rows, begin, end, columns);
        if let Some(weights) = rows.weights {
            let roots: Vec<f64> = weights[begin..end].iter().map(|w| w.sqrt()).collect();
            columns.chunks_exact_mut(end - begin).for_each(|column| column.iter_mut().zip(&roots).for_each(|(v, root)| *v *= root));
        }
        add_gram(columns, p, &mut out);
    }
    out
}

/// Adds a range of rows to the blocks of Z'WZ and of Z'WX of one group.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
pub(crate) fn add_levels(
    transform: &ColumnTransform,
    columns: &GroupColumns,
    k: usize,
    rows: &Rows,
    factor: usize,
    range: Range<usize>,
    blocks: &mut [f64],
    products: &mut [f64],
    workers: &Workers,
) {
    let p = rows.p;
    let (mut x, mut z) = (vec![0.0; CHUNK * p], vec![0.0; CHUNK * k]);
    let mut round = 0;
    for begin in range.clone().step_by(CHUNK) {
        if gives_up(&mut round, CHUNK, workers) {
            break;
        }
        let end = (begin + CHUNK).min(range.end);
        transform.gather(rows, begin, end, &mut x);
        columns.gather(begin, end, &mut z);
        for (m, i) in (begin..end).enumerate() {
            let (w, level) = (rows.weight(i), rows.level(factor, i));
            let (x, z) = (nth(&x, m, p), nth(&z, m, k));
            let block = nth_mut(blocks, level, k * k);
            (0..k).for_each(|c| axpy(w * z[c], z, nth_mut(block, c, k)));
            let product = nth_mut(products, level, k * p);
            (0..k).for_each(|c| axpy(w * z[c], x, nth_mut(product, c, p)));
        }
    }
}
