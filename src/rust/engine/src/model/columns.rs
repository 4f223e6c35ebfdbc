//! The engine's columns in the caller's rows: of X and of the random effects.

use crate::linalg::blocks::nth;
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
        let total = if rows.weights.is_some() { workers.sum(n, |i| rows.weight(i)) } else { n as f64 };
        let (mut centre, mut scale) = (vec![0.0; p], vec![1.0; p]);
        for (j, column) in columns.iter().enumerate() {
            if intercept == Some(j) {
                scale[j] = column[0];
                continue;
            }
            if (intercept.is_some() || rows.absorbed.is_some()) && total > 0.0 {
                let pivot = column[0]; // sums of differences do not overflow the mantissa on time stamps
                centre[j] = pivot + workers.sum(n, |i| rows.weight(i) * (column[i] - pivot)) / total;
            }
            let m = centre[j];
            let sum = workers.sum(n, |i| rows.weight(i) * (column[i] - m) * (column[i] - m));
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
        let widest = structure.groups.iter().map(|g| g.k).max().unwrap_or(0);
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
