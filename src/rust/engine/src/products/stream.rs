//! From the cross-products of a stream to those of a model, and to its response: what [`Products::of_rows`] and [`Response::new`] make of
//! rows in memory is made here of the sums that [`CrossProducts`] has kept.

use crate::error::Error;
use crate::linalg::blocks::{nth, nth_mut, transposed};
use crate::linalg::small::{axpy, dot};
use crate::model::group::{ColumnBasis, Group};
use crate::model::structure::Structure;
use crate::parallel::Workers;
use crate::products::accumulate::CrossProducts;
use crate::products::cross::{Neighbour, Products, RestPair};
use crate::products::fixed::Fixed;
use crate::products::regression::square_root;
use crate::products::response::Response;
use crate::products::sums::{FactorProducts, PairProducts};
use crate::tolerances::LEFT_BY_ROUNDING;

/// The model that is to be made of the cross-products.
pub struct Model<'a> {
    /// X = V C: d x p, column-major, for the raw columns in their order.
    pub columns: &'a [f64],
    /// Number of columns of X.
    pub p: usize,
    /// The terms, in the order of theta.
    pub terms: Vec<usize>,
    /// Per grouping factor its levels in order, each by its place in the cross-products.
    pub levels: Vec<Vec<usize>>,
}

/// What X looks like before its random effects matter.
pub struct Summary {
    /// Upper triangular R with R'R = X'WX, p x p, with zero rows for the columns that earlier ones explain.
    pub root: Vec<f64>,
    /// The share of each column's sum of squares that earlier columns don't explain.
    pub share: Vec<f64>,
    /// Standard deviation of each column.
    pub sd: Vec<f64>,
}

/// R with R'R = X'WX, and the columns' standard deviations.
///
/// # Errors
/// [`Error::Invalid`] of no rows, and where `columns` isn't a matrix of the raw columns by p.
pub fn summary(products: &CrossProducts, columns: &[f64], p: usize) -> Result<Summary, Error> {
    check(products, columns, p)?;
    // On a copy: a model must have the same bits whether it was looked at before or not.
    let products = &mut products.summary();
    let base = products.best_base();
    products.rebase(&base);
    let x = Fixed::new(products, columns, p);
    let xx = x.cross_product(products);
    let (l, _) = square_root(&xx, p, LEFT_BY_ROUNDING);
    let share = (0..p).map(|j| l[j * p + j].powi(2) / xx[j * p + j]).collect();
    let mut root = vec![0.0; p * p];
    for j in 0..p {
        (0..=j).for_each(|i| root[j * p + i] = l[i * p + j] * x.transform.scale[j]);
    }
    if let Some(j0) = x.transform.intercept {
        let own: Vec<f64> = (0..p).map(|i| root[j0 * p + i] / x.transform.scale[j0]).collect();
        for j in (0..p).filter(|&j| j != j0) {
            axpy(x.transform.centre[j], &own, nth_mut(&mut root, j, p));
        }
    }
    let freedom = (products.n as f64 - 1.0).max(1.0) / products.n as f64;
    let sd = (0..p).map(|j| (x.centred_square(products, columns, j) / (products.total_weight() * freedom)).max(0.0).sqrt()).collect();
    Ok(Summary { root, share, sd })
}

/// The cross-products and the response of a model.
pub fn of_chunks(mut products: CrossProducts, model: &Model, workers: &Workers) -> Result<(Products, Response), Error> {
    check(&products, model.columns, model.p)?;
    let base = products.best_base();
    products.rebase(&base);
    let (groups, stored) = groups(&products, model)?;
    let sizes: Vec<usize> = model.terms.iter().map(|&t| products.terms[t].k).collect();
    let structure = Structure::of_groups(groups, &sizes);
    let fixed = Fixed::new(&products, model.columns, model.p);
    let places = Places::new(&products, model, &structure, &stored);
    let mut design = Products::zero(products.n, structure, fixed.transform.clone());
    design.log_weights = products.log_weights;
    design.xx = fixed.cross_product(&products);
    fill_levels(&mut design, &products, &fixed, &places);
    workers.check()?;
    fill_neighbours(&mut design, &products, &places);
    workers.check()?;
    fill_rest_pairs(&mut design, &products, &places);
    workers.check()?;
    let design = design.complete()?;
    let response = response(&mut products, &design, &fixed, &places);
    Ok((design, response))
}

fn check(products: &CrossProducts, columns: &[f64], p: usize) -> Result<(), Error> {
    if products.n == 0 {
        return Err("0 (non-NA) cases".into());
    }
    if columns.len() != products.d() * p {
        return Err(format!("{} raw columns and {p} columns of X need another matrix", products.d()).into());
    }
    Ok(())
}

/// The grouping factors that the terms use, numbered in order of their first term, and which of the stored ones each is.
fn groups(products: &CrossProducts, model: &Model) -> Result<(Vec<Group>, Vec<usize>), Error> {
    let (mut out, mut stored): (Vec<Group>, Vec<usize>) = (Vec::new(), Vec::new());
    if model.terms.is_empty() || model.terms.iter().any(|&t| t >= products.terms.len()) {
        return Err("the cross-products have no such random-effects term".into());
    }
    for (index, &t) in model.terms.iter().enumerate() {
        let term = products.terms[t];
        let factor = stored.iter().position(|&f| f == term.factor).unwrap_or_else(|| {
            stored.push(term.factor);
            let levels = model.levels[term.factor].len();
            out.push(Group { factor: out.len(), levels, k: 0, terms: Vec::new(), prior: 1.0, offset: 0, columns: Vec::new() });
            out.len() - 1
        });
        let group = &mut out[factor];
        group.terms.push((index, term.k, group.k));
        group.columns.extend(bases(products, t, group.k));
        group.k += term.k;
    }
    if stored.iter().all(|&f| is_permutation(&model.levels[f], products.factors[f].levels.len())) {
        Ok((out, stored))
    } else {
        Err("the order of a grouping factor's levels leaves some out".into())
    }
}

fn is_permutation(order: &[usize], n: usize) -> bool {
    let mut seen = vec![false; n];
    order.iter().filter(|&&i| i < n).for_each(|&i| seen[i] = true);
    order.len() == n && seen.iter().all(|s| *s)
}

/// Bases of a term's columns, as the cross-products have them; `first` is the place of its first column in the group.
fn bases(products: &CrossProducts, term: usize, first: usize) -> impl Iterator<Item = ColumnBasis> + '_ {
    let (shape, own) = (products.terms[term], first_column(products, term));
    let factor = &products.factors[shape.factor];
    (0..shape.k).map(move |c| {
        let at = own + c;
        let rms = (factor.total[at * factor.k + at] / products.total_weight()).sqrt();
        ColumnBasis {
            centre: factor.centre[at],
            scale: if shape.constant != Some(c) && rms > 0.0 && rms.is_finite() { rms } else { 1.0 },
            constant: factor.constant[at].map(|j| j - own + first),
        }
    })
}

/// Place of a term's first column among its factor's.
fn first_column(products: &CrossProducts, term: usize) -> usize {
    let factor = products.terms[term].factor;
    products.terms[..term].iter().filter(|t| t.factor == factor).map(|t| t.k).sum()
}

/// Where the stored levels and columns stand in the design.
struct Places {
    /// Per stored factor its group, if it has one.
    group: Vec<Option<usize>>,
    /// Per group the stored factor.
    factor: Vec<usize>,
    /// Per group and stored level the level.
    level: Vec<Vec<usize>>,
    /// Per group the stored column of each of its columns.
    column: Vec<Vec<usize>>,
}

impl Places {
    fn new(products: &CrossProducts, model: &Model, structure: &Structure, stored: &[usize]) -> Self {
        let mut out = Places { group: vec![None; products.factors.len()], factor: Vec::new(), level: Vec::new(), column: Vec::new() };
        for (g, own) in structure.groups.iter().enumerate() {
            let factor = stored[own.factor];
            out.group[factor] = Some(g);
            out.factor.push(factor);
            let mut level = vec![0; own.levels];
            model.levels[factor].iter().enumerate().for_each(|(place, &from)| level[from] = place);
            out.level.push(level);
            let columns = own.terms.iter().flat_map(|&(index, k, _)| {
                let first = first_column(products, model.terms[index]);
                first..first + k
            });
            out.column.push(columns.collect());
        }
        out
    }
}

/// The K x K (or K x K of another group) block of the engine's columns from that of the stored ones.
fn pick(
    block: &[f64],
    rows: usize,
    row_columns: &[usize],
    row_bases: &[ColumnBasis],
    columns: &[usize],
    bases: &[ColumnBasis],
) -> Vec<f64> {
    let mut out = Vec::with_capacity(row_columns.len() * columns.len());
    for (&c, column) in columns.iter().zip(bases) {
        out.extend(row_columns.iter().zip(row_bases).map(|(&r, row)| block[c * rows + r] / (row.scale * column.scale)));
    }
    out
}

/// Z'WZ's diagonal blocks and Z'WX.
fn fill_levels(design: &mut Products, products: &CrossProducts, fixed: &Fixed, places: &Places) {
    let (d, p) = (products.d(), design.p);
    for (g, group) in design.structure.groups.iter().enumerate() {
        let factor: &FactorProducts = &products.factors[places.factor[g]];
        let (stored, k) = (factor.k, group.k);
        let diagonal = &mut design.diagonal[g];
        for (from, &to) in places.level[g].iter().enumerate() {
            let block = nth(&factor.zz, from, stored * stored);
            let picked = pick(block, stored, &places.column[g], &group.columns, &places.column[g], &group.columns);
            diagonal[to * k * k..(to + 1) * k * k].copy_from_slice(&picked);
            for (c, (&column, basis)) in places.column[g].iter().zip(&group.columns).enumerate() {
                let raw = &factor.zv[(from * stored + column) * d..(from * stored + column + 1) * d];
                let row = (group.offset + to * k + c) * p;
                let out = &mut design.zx[row..row + p];
                fixed.combine(raw, out);
                out.iter_mut().for_each(|v| *v /= basis.scale);
            }
        }
    }
}

/// A block between two levels of two groups.
struct Block {
    /// Level of the group that comes first in the design; it has the rows of the block.
    first: usize,
    /// Level of the other group.
    second: usize,
    /// Column-major.
    values: Vec<f64>,
}

/// The two groups of a pair of stored factors, if the model has both, in the order of the design.
fn group_pair(places: &Places, pair: &PairProducts) -> Option<(usize, usize)> {
    let (a, b) = (places.group[pair.first]?, places.group[pair.second]?);
    Some((a.min(b), a.max(b)))
}

/// Their blocks.
fn blocks<'a>(
    design: &'a Products,
    products: &'a CrossProducts,
    places: &'a Places,
    pair: &'a PairProducts,
) -> impl Iterator<Item = Block> + 'a {
    let group = |factor: usize| places.group[factor].expect("group_pair() has found it");
    let (first, second) = (group(pair.first), group(pair.second));
    let (rows, size) = (products.factors[pair.first].k, products.factors[pair.first].k * products.factors[pair.second].k);
    let (a, b) = (&design.structure.groups[first], &design.structure.groups[second]);
    pair.levels.iter().zip(pair.values.chunks_exact(size)).map(move |(&(i, j), block)| {
        let values = pick(block, rows, &places.column[first], &a.columns, &places.column[second], &b.columns);
        let (i, j) = (places.level[first][i as usize], places.level[second][j as usize]);
        if first < second {
            Block { first: i, second: j, values }
        } else {
            Block { first: j, second: i, values: transposed(&values, a.k) }
        }
    })
}

fn fill_neighbours(design: &mut Products, products: &CrossProducts, places: &Places) {
    let rest_offset = design.structure.groups[0].effects();
    let mut found: Vec<(usize, Neighbour, Vec<f64>)> = Vec::new();
    for pair in &products.pairs {
        let Some((0, g)) = group_pair(places, pair) else { continue };
        let group = &design.structure.groups[g];
        found.extend(blocks(design, products, places, pair).map(|block| {
            let start = (group.offset - rest_offset + block.second * group.k) as u32;
            (block.first, Neighbour { start, group: g as u32 }, block.values)
        }));
    }
    found.sort_unstable_by_key(|(lead, neighbour, _)| (*lead, neighbour.start));
    for (lead, neighbour, block) in found {
        design.neighbour_ptr[lead + 1] += 1;
        design.push_neighbour(neighbour, &block);
    }
    (0..design.structure.groups[0].levels).for_each(|level| design.neighbour_ptr[level + 1] += design.neighbour_ptr[level]);
}

fn fill_rest_pairs(design: &mut Products, products: &CrossProducts, places: &Places) {
    let rest_offset = design.structure.groups[0].effects();
    let mut found: Vec<(RestPair, Vec<f64>)> = Vec::new();
    for pair in &products.pairs {
        let Some((g @ 1.., h)) = group_pair(places, pair) else { continue };
        let (earlier, later) = (&design.structure.groups[g], &design.structure.groups[h]);
        found.extend(blocks(design, products, places, pair).map(|block| {
            let row = (later.offset - rest_offset + block.second * later.k) as u32;
            let col = (earlier.offset - rest_offset + block.first * earlier.k) as u32;
            (RestPair { row, col, row_group: h as u32, col_group: g as u32, values: 0 }, transposed(&block.values, earlier.k))
        }));
    }
    found.sort_unstable_by_key(|(pair, _)| (pair.row_group, pair.col_group, pair.row, pair.col));
    for (pair, block) in found {
        design.push_rest_pair(pair, &block);
    }
}

/// The response minus its regression on X. What the base has taken from it already is a combination of raw columns, and
/// but for rounding one of X; the regression on X is put in its place.
fn response(products: &mut CrossProducts, design: &Products, fixed: &Fixed, places: &Places) -> Response {
    let (d, p) = (products.d(), design.p);
    let mut out = Response::empty(design);
    let taken: Vec<f64> = products.vv.chunks_exact(d).map(|row| dot(row, &products.coefficients)).collect();
    fixed.combine(&taken, &mut out.beta0);
    design.least_squares(&mut out.beta0, &mut []);
    let mut step = fixed.expand(&out.beta0, d);
    axpy(-1.0, &products.coefficients, &mut step);
    products.shift_response(&step);
    let mut more = vec![0.0; p];
    for _ in 0..2 {
        fixed.combine(&products.vy, &mut more);
        design.least_squares(&mut more, &mut []);
        axpy(1.0, &more, &mut out.beta0);
        products.shift_response(&fixed.expand(&more, d));
    }
    let scale = (products.yy / design.n as f64).sqrt();
    out.scale = if scale > 0.0 { scale } else { 1.0 };
    let size = out.fixed_part();
    out.judge(scale, size);
    out.yy = products.yy / (out.scale * out.scale);
    fixed.combine(&products.vy, &mut out.xy);
    out.xy.iter_mut().for_each(|v| *v /= out.scale);
    for (g, group) in design.structure.groups.iter().enumerate() {
        let factor = &products.factors[places.factor[g]];
        for (from, &to) in places.level[g].iter().enumerate() {
            for (c, (&column, basis)) in places.column[g].iter().zip(&group.columns).enumerate() {
                out.zy[group.offset + to * group.k + c] = factor.zy[from * factor.k + column] / (basis.scale * out.scale);
            }
        }
    }
    out
}
