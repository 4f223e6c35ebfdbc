//! Hat values: how much each fitted value depends on its own response.
//!
//! With the relative covariance factor held, W^1/2 times the fitted values X beta + Z Lambda u is H times W^1/2 y, where for a = Lambda'z
//! and M as in the front page
//!
//! ```text
//! h_i = w_i (a_i'M^-1a_i + |R_X^-T (x_i - X'WZ Lambda M^-1 a_i)|^2)   with R_X'R_X = X'V^-1X.
//! ```
//!
//! Two levels that meet in a row have their block of M^-1 on the pattern that the derivatives need too, so that no n x q matrix is formed.
//! The trace of H is the number of effective parameters of Hodges and Sargent (2001, doi:10.1093/biomet/88.2.367).

use crate::curvature::traces::{inverse_diagonal_blocks, inverse_neighbour_blocks, Coupled};
use crate::error::Error;
use crate::factor::blocks::Factor;
use crate::linalg::blocks::nth;
use crate::linalg::small::{axpy, dot, lower_transpose_times, solve_lower};
use crate::model::columns::GroupColumns;
use crate::model::rows::Rows;
use crate::parallel::{pieces, Workers};
use crate::plan::design::Design;
use crate::products::parts::row_blocks;

/// The diagonal of H at theta, n long. Costs a factorisation, and solutions whose number is that of different rows of Z and X.
///
/// # Errors
/// [`Error::NotPositiveDefinite`] where theta is too large for the arithmetic, [`Error::Interrupted`] where the user stopped.
pub fn hat_values(design: &Design, rows: &Rows, theta: &[f64], workers: &Workers) -> Result<Vec<f64>, Error> {
    if theta.len() != design.structure.entries.len() || rows.n != design.n {
        return Err("theta and rows must be the design's".into());
    }
    let inverse = Inverse::new(design, theta, workers)?;
    workers.check()?;
    let mut out = vec![0.0; design.n];
    let items = row_blocks(design.n).zip(pieces(&mut out, row_blocks(design.n).map(|r| r.len())));
    workers.for_each(items, |(range, out)| {
        let mut row = Row::new(&inverse, rows);
        for (i, h) in range.zip(out) {
            *h = rows.weight(i) * row.form(i);
        }
    });
    workers.check()?;
    Ok(out)
}

/// M^-1 where levels meet, M^-1 Lambda'Z'WX, and the factor of X'V^-1X.
struct Inverse<'a> {
    design: &'a Design,
    factor: Factor,
    rest: Vec<f64>,
    diagonal: Vec<Vec<f64>>,
    neighbours: Vec<f64>,
    /// A row of length p per effect.
    products: Vec<f64>,
}

impl<'a> Inverse<'a> {
    fn new(design: &'a Design, theta: &[f64], workers: &Workers) -> Result<Self, Error> {
        let (factor, mut scratch) = Factor::at(design, &design.structure.lambda(theta), workers)?;
        let mut rest = vec![0.0; design.plan.layout.len()];
        design.plan.layout.invert(&factor.rest, &mut rest, &mut scratch, workers);
        let mut coupled = Coupled::new(design);
        coupled.fill(design, &factor, &rest, workers);
        let mut products = factor.rzx.clone();
        factor.backward(design, &mut products, design.p, &mut scratch, workers);
        Ok(Inverse {
            diagonal: inverse_diagonal_blocks(design, &factor, &rest, &coupled),
            neighbours: inverse_neighbour_blocks(design, &factor, &coupled),
            design,
            factor,
            rest,
            products,
        })
    }
}

/// What is looked up for one row after the other.
struct Row<'a> {
    inverse: &'a Inverse<'a>,
    rows: &'a Rows<'a>,
    columns: Vec<GroupColumns<'a>>,
    /// a = Lambda'z of each group.
    a: Vec<Vec<f64>>,
    /// First effect of each group's level in the row.
    start: Vec<usize>,
    x: Vec<f64>,
}

impl<'a> Row<'a> {
    fn new(inverse: &'a Inverse<'a>, rows: &'a Rows<'a>) -> Self {
        let structure = &inverse.design.structure;
        Row {
            inverse,
            rows,
            columns: (0..structure.groups.len()).map(|g| GroupColumns::new(structure, rows, g)).collect(),
            a: structure.groups.iter().map(|g| vec![0.0; g.k]).collect(),
            start: vec![0; structure.groups.len()],
            x: vec![0.0; inverse.design.p],
        }
    }

    /// h_i / w_i.
    fn form(&mut self, i: usize) -> f64 {
        let Inverse { design, factor, diagonal, products, .. } = self.inverse;
        let p = design.p;
        design.transform.gather(self.rows, i, i + 1, &mut self.x);
        let mut sum = 0.0;
        for (g, group) in design.structure.groups.iter().enumerate() {
            let (k, level, a) = (group.k, self.rows.level(group.factor, i), &mut self.a[g]);
            self.columns[g].gather(i, i + 1, a);
            lower_transpose_times(&factor.lambda[g], k, a);
            self.start[g] = group.offset + level * k;
            sum += quadratic(nth(&diagonal[g], level, k * k), a, a);
            for (c, a) in a.iter().enumerate() {
                axpy(-a, &products[(self.start[g] + c) * p..(self.start[g] + c + 1) * p], &mut self.x);
            }
        }
        for h in 1..self.a.len() {
            sum += 2.0 * (0..h).map(|g| self.cross(g, h)).sum::<f64>();
        }
        solve_lower(&factor.rx, p, &mut self.x);
        sum + dot(&self.x, &self.x)
    }

    /// a_g'[M^-1]_gh a_h.
    fn cross(&self, g: usize, h: usize) -> f64 {
        let Inverse { design, neighbours, rest, .. } = self.inverse;
        let lead = design.structure.groups[0].effects();
        if g == 0 {
            let (level, start) = (self.start[0] / design.structure.groups[0].k, (self.start[h] - lead) as u32);
            let begin = design.neighbour_ptr[level];
            let own = &design.neighbours[begin..design.neighbour_ptr[level + 1]];
            let at = begin + own.binary_search_by_key(&start, |b| b.start).expect("levels that meet in a row are neighbours");
            return quadratic(&neighbours[design.neighbour_values_ptr[at]..design.neighbour_values_ptr[at + 1]], &self.a[0], &self.a[h]);
        }
        let mut sum = 0.0;
        for (c, a) in self.a[g].iter().enumerate() {
            for (r, b) in self.a[h].iter().enumerate() {
                let at = design.plan.layout.position(self.start[h] - lead + r, self.start[g] - lead + c);
                sum += a * b * rest[at];
            }
        }
        sum
    }
}

/// a'B c for a matrix B with as many rows as a has elements.
fn quadratic(b: &[f64], a: &[f64], c: &[f64]) -> f64 {
    b.chunks_exact(a.len()).zip(c).map(|(column, c)| c * dot(column, a)).sum()
}
