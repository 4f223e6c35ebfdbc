//! The engine's columns in the caller's rows: of X and of the random effects.

use crate::linalg::blocks::{nth, nth_mut};
use crate::linalg::long::{long_sum, long_sum_of_pairs};
use crate::model::rows::Rows;
use crate::model::structure::Structure;
use crate::parallel::Workers;

/// X = (Xs + 1 m') diag(s) where Xs is what the engine works with; m is zero without an intercept or an absorbed factor, which take it up.
#[derive(Clone, Debug)]
pub struct ColumnTransform {
    /// Index of the constant column, if X has one.
    pub intercept: Option<usize>,
    /// What is subtracted from each column.
    pub centre: Vec<f64>,
    /// What each column is divided by after that.
    pub scale: Vec<f64>,
}

impl ColumnTransform {
    pub(crate) fn new(rows: &Rows, workers: &Workers) -> Self {
        let (n, p) = (rows.n, rows.p);
        let columns: Vec<&[f64]> = (0..p).map(|j| nth(rows.x, j, n)).collect();
        let constant = |c: &&[f64]| c.first().is_some_and(|&v| v != 0.0 && c[n - 1] == v && workers.all(n, |i| c[i] == v));
        let intercept = columns.iter().position(constant);
        let total = rows.weights.map_or(n as f64, |weights| workers.sum(n, |range| long_sum(&weights[range], |w| w)));
        let (mut centre, mut scale) = (vec![0.0; p], vec![1.0; p]);
        for (j, column) in columns.iter().enumerate() {
            if intercept == Some(j) {
                scale[j] = column[0];
                continue;
            }
            if (intercept.is_some() || rows.absorbed.is_some()) && total > 0.0 {
                let pivot = column[0]; // sums of differences do not overflow the mantissa on time stamps
                centre[j] = pivot + weighted_sum(rows, column, workers, |v| v - pivot) / total;
            }
            let m = centre[j];
            let sum = weighted_sum(rows, column, workers, |v| (v - m) * (v - m));
            let rms = (sum / total.max(f64::MIN_POSITIVE)).sqrt();
            if rms > 0.0 && rms.is_finite() {
                scale[j] = rms;
            }
        }
        ColumnTransform { intercept, centre, scale }
    }

    /// Sum of squares that centring took from a scaled column.
    pub(crate) fn centred_away(&self, j: usize, n: usize) -> f64 {
        let m = self.centre[j] / self.scale[j];
        m * m * n as f64
    }

    /// Writes the centred and scaled rows `begin..end` of X, its p columns one after the other.
    pub fn columns(&self, rows: &Rows, begin: usize, end: usize, out: &mut [f64]) {
        let m = end - begin;
        for j in 0..rows.p {
            let (own, column) = (nth_mut(out, j, m), &nth(rows.x, j, rows.n)[begin..end]);
            if self.intercept == Some(j) {
                own.fill(1.0);
            } else {
                let (centre, scale) = (self.centre[j], 1.0 / self.scale[j]);
                own.iter_mut().zip(column).for_each(|(to, v)| *to = (v - centre) * scale);
            }
        }
    }

    /// Writes the centred and scaled rows `begin..end` of X, each p long, one after the other.
    pub fn gather(&self, rows: &Rows, begin: usize, end: usize, out: &mut [f64]) {
        // A cache line of each column at a time: with many columns a whole chunk of rows would not stay in the cache.
        const LINE: usize = 8;
        let (n, p) = (rows.n, rows.p);
        let tile = if p > 2 * LINE { LINE } else { end - begin };
        for first in (begin..end).step_by(tile.max(1)) {
            let out = &mut out[(first - begin) * p..];
            for j in 0..p {
                let (m, s) = (self.centre[j], 1.0 / self.scale[j]);
                let column = &rows.x[j * n + first..j * n + (first + tile).min(end)];
                if self.intercept == Some(j) {
                    (0..column.len()).for_each(|i| out[i * p + j] = 1.0);
                } else {
                    column.iter().enumerate().for_each(|(i, v)| out[i * p + j] = (v - m) * s);
                }
            }
        }
    }
}

/// Sum over the rows of the weight times a function of a column's value.
fn weighted_sum(rows: &Rows, column: &[f64], workers: &Workers, term: impl Fn(f64) -> f64 + Sync + Send) -> f64 {
    workers.sum(rows.n, |range| match rows.weights {
        Some(weights) => long_sum_of_pairs(&weights[range.clone()], &column[range], |w, v| w * term(v)),
        None => long_sum(&column[range], &term),
    })
}

/// A group's columns in the caller's rows, with what makes the engine's values of them.
pub struct GroupColumns<'a> {
    /// Column (none is ones), centre, and one over the scale.
    columns: Vec<(Option<&'a [f64]>, f64, f64)>,
}

impl<'a> GroupColumns<'a> {
    /// The columns of group `g`.
    pub fn new(structure: &Structure, rows: &Rows<'a>, g: usize) -> Self {
        let group = &structure.groups[g];
        let mut columns = Vec::with_capacity(group.k);
        for &(index, k, first) in &group.terms {
            let z = rows.terms[index].z;
            columns.extend((0..k).map(|c| {
                let basis = group.columns[first + c];
                (z.map(|z| &z[c * rows.n..(c + 1) * rows.n]), basis.centre, 1.0 / basis.scale)
            }));
        }
        if group.is_fixed() {
            columns.push((None, 0.0, 1.0));
        }
        GroupColumns { columns }
    }

    /// Writes the values of the rows `begin..end`, K each, one row after the other.
    pub fn gather(&self, begin: usize, end: usize, out: &mut [f64]) {
        let k = self.columns.len();
        for (c, (column, centre, scale)) in self.columns.iter().enumerate() {
            match column {
                Some(z) => z[begin..end].iter().enumerate().for_each(|(i, z)| out[i * k + c] = (z - centre) * scale),
                None => (0..end - begin).for_each(|i| out[i * k + c] = 1.0),
            }
        }
    }

    /// Number of columns.
    pub fn k(&self) -> usize {
        self.columns.len()
    }

    /// Makes `out` the values of these rows, K each, one row after the other.
    pub fn gather_rows(&self, rows: &[u32], out: &mut Vec<f64>) {
        let k = self.columns.len();
        out.clear();
        out.resize(rows.len() * k, 1.0);
        for (c, (column, centre, scale)) in self.columns.iter().enumerate() {
            if let Some(z) = column {
                out.iter_mut().skip(c).step_by(k).zip(rows).for_each(|(to, &i)| *to = (z[i as usize] - centre) * scale);
            }
        }
    }

    /// Writes the values of one row.
    #[inline]
    fn fill(&self, i: usize, out: &mut [f64]) {
        for (slot, (column, centre, scale)) in out.iter_mut().zip(&self.columns) {
            *slot = column.map_or(1.0, |z| (z[i] - centre) * scale);
        }
    }
}

/// The engine's values of the groups' columns in one row.
pub struct ZRow<'a> {
    groups: Vec<GroupColumns<'a>>,
    buffer: Vec<f64>,
}

impl<'a> ZRow<'a> {
    /// Prepares the look-up.
    pub fn new(structure: &Structure, rows: &Rows<'a>) -> Self {
        let groups = (0..structure.groups.len()).map(|g| GroupColumns::new(structure, rows, g)).collect();
        let widest = structure.widest();
        ZRow { groups, buffer: vec![0.0; widest] }
    }

    /// The K values of group `g` in row `i`.
    #[inline]
    pub fn get(&mut self, g: usize, i: usize) -> &[f64] {
        let values = &mut self.buffer[..self.groups[g].columns.len()];
        self.groups[g].fill(i, values);
        values
    }
}
