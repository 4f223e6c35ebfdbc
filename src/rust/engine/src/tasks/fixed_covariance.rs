//! The covariance of all fixed effects of a model with an absorbed factor (see [`crate::model::absorbed`]).

use crate::error::Error;
use crate::factor::blocks::Factor;
use crate::linalg::blocks::{add_cross_product, nth, scale_rows};
use crate::linalg::small::{axpy, cholesky, dot, inverse_from_cholesky, lower_transpose_times, solve_lower, transpose};
use crate::model::absorbed::Absorbed;
use crate::model::columns::GroupColumns;
use crate::model::group::Group;
use crate::model::order::rows_by_level;
use crate::model::rows::Rows;
use crate::parallel::Workers;
use crate::plan::design::{Design, System};

/// Upper triangular R with R'R = X'V^-1X for all columns of the fixed effects in the caller's order, and (R'R)^-1, of a
/// design with an absorbed factor, at theta. X'V^-1X = X'WX - |L^-1 Lambda'Z'WX|^2 is formed with L of the random effects
/// alone, for the engine's X; R is its factor times the triangular matrix that undoes centring and scaling. Both are p x p for all p columns,
/// and time grows with p^3.
///
/// # Errors
/// [`Error::Invalid`] of a design without an absorbed factor, [`Error::TooLarge`] where p x p matrices would not fit,
/// [`Error::NotPositiveDefinite`], [`Error::Interrupted`].
pub fn fixed_factor(design: &Design, rows: &Rows, theta: &[f64], workers: &Workers) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let (Some(absorbed), Some(own)) = (design.absorbed, design.structure.fixed_group()) else {
        return Err("the design has no absorbed factor".into());
    };
    let alone = design.random_effects();
    let total = design.fixed_columns();
    crate::plan::memory::check_covariance(total, alone.rest())?;
    let columns = Columns { absorbed, others: absorbed.other_columns(own.levels, total), total };
    let failure = "the covariance of the fixed effects cannot be computed at this theta";
    let (factor, mut scratch) = Factor::at(alone, &alone.structure.lambda(theta), workers).map_err(|_| failure)?;

    let mut information = columns.cross_product(design, own);
    let mut rest = columns.rest_rows(design, alone, rows);
    for (group, lambda) in alone.structure.groups.iter().zip(&factor.lambda).skip(1) {
        let begin = group.offset - alone.structure.groups[0].effects();
        let mut scaled = vec![0.0; group.k * total];
        for level in rest[begin * total..(begin + group.effects()) * total].chunks_exact_mut(group.k * total) {
            scale_rows(level, lambda, group.k, total, &mut scaled);
            level.copy_from_slice(&scaled);
        }
    }
    columns.eliminate_lead(design, alone, &factor, rows, &mut information, &mut rest);
    alone.plan.layout.forward(&factor.rest, &mut rest, total, &mut scratch, workers);
    add_cross_product(&mut information, &rest, total, -1.0);
    if !cholesky(&mut information, total) {
        return Err(failure.into());
    }
    let mut lower = information;
    design.transform.whole_factor_to_caller(absorbed, &columns.others, &mut lower);
    let inverse = inverse_from_cholesky(&lower, total);
    (1..total).for_each(|c| lower[c * total..c * total + c].fill(0.0));
    transpose(&mut lower, total);
    Ok((lower, inverse))
}

/// All columns of the fixed effects: an absorbed factor's and the engine's X in their places.
struct Columns {
    absorbed: Absorbed,
    others: Vec<usize>,
    total: usize,
}

impl Columns {
    fn add(&self, matrix: &mut [f64], a: usize, b: usize, value: f64) {
        matrix[a.min(b) * self.total + a.max(b)] += value;
    }

    /// X'WX, its lower triangle.
    fn cross_product(&self, design: &Design, own: &Group) -> Vec<f64> {
        let p = design.p;
        let mut out = vec![0.0; self.total * self.total];
        for (level, weight) in design.level_weights().iter().enumerate() {
            let zx = &design.zx[(own.offset + level) * p..(own.offset + level + 1) * p];
            for a in self.absorbed.columns(level) {
                self.absorbed.columns(level).filter(|&b| b >= a).for_each(|b| self.add(&mut out, a, b, *weight));
                self.others.iter().zip(zx).for_each(|(&b, v)| self.add(&mut out, a, b, *v));
            }
        }
        for (c, &a) in self.others.iter().enumerate() {
            (c..p).for_each(|r| self.add(&mut out, a, self.others[r], design.xx[c * p + r]));
        }
        out
    }

    /// Rows of Z'WX for the effects of one of the groups of random effects: those of the engine's X.
    fn product_row<'a>(&self, design: &'a Design, effect: usize) -> &'a [f64] {
        let at = design.structure.random().start + effect;
        &design.zx[at * design.p..(at + 1) * design.p]
    }

    /// Z'WX for all groups but the leading one of the random effects, a row of all columns per effect.
    fn rest_rows(&self, design: &Design, alone: &System, rows: &Rows) -> Vec<f64> {
        let begin = alone.structure.groups[0].effects();
        let mut out = vec![0.0; alone.rest() * self.total];
        for (g, group) in alone.structure.groups.iter().enumerate().skip(1) {
            let (z, mut values) = (GroupColumns::new(&alone.structure, rows, g), vec![0.0; group.k]);
            for i in 0..design.n {
                z.gather(i, i + 1, &mut values);
                let effect = group.offset - begin + rows.level(group.factor, i) * group.k;
                for column in self.absorbed.columns(rows.level(self.absorbed.factor, i)) {
                    (0..group.k).for_each(|c| out[(effect + c) * self.total + column] += rows.weight(i) * values[c]);
                }
            }
        }
        for (effect, row) in out.chunks_exact_mut(self.total).enumerate() {
            self.others.iter().zip(self.product_row(design, begin + effect)).for_each(|(&c, v)| row[c] = *v);
        }
        out
    }

    /// Takes the leading group of random effects out of X'WX and of the other groups' Lambda'Z'WX, level by level: only the
    /// columns that are there in a level's rows matter.
    fn eliminate_lead(&self, design: &Design, alone: &System, factor: &Factor, rows: &Rows, information: &mut [f64], rest: &mut [f64]) {
        let lead = &alone.structure.groups[0];
        let (k, z) = (lead.k, GroupColumns::new(&alone.structure, rows, 0));
        let order = rows_by_level(rows.codes[lead.factor], lead.levels);
        let mut place = vec![usize::MAX; self.total];
        let (mut found, mut values, mut row): (Vec<usize>, Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new(), vec![0.0; k]);
        for level in 0..lead.levels {
            found.clear();
            found.extend(&self.others);
            values.clear();
            values.resize(found.len() * k, 0.0);
            for r in 0..k {
                let product = self.product_row(design, level * k + r);
                product.iter().enumerate().for_each(|(c, v)| values[c * k + r] = *v);
            }
            for &i in order.of_level(level) {
                let i = i as usize;
                z.gather(i, i + 1, &mut row);
                for column in self.absorbed.columns(rows.level(self.absorbed.factor, i)) {
                    if place[column] == usize::MAX {
                        place[column] = found.len();
                        found.push(column);
                        values.resize(found.len() * k, 0.0);
                    }
                    axpy(rows.weight(i), &row, &mut values[place[column] * k..(place[column] + 1) * k]);
                }
            }
            for value in values.chunks_exact_mut(k) {
                lower_transpose_times(&factor.lambda[0], k, value);
                solve_lower(nth(&factor.lead, level, k * k), k, value);
            }
            for (a, &column) in found.iter().enumerate() {
                let value = nth(&values, a, k);
                (0..=a).for_each(|b| self.add(information, column, found[b], -dot(value, nth(&values, b, k))));
                for t in alone.plan.adjacency.span(level) {
                    let effect = alone.plan.adjacency.columns[t] as usize;
                    rest[effect * self.total + column] -= dot(nth(&factor.cross, t, k), value);
                }
                place[column] = usize::MAX;
            }
        }
    }
}
