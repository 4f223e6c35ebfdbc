//! A grouping factor with the columns of all its terms.
//!
//! A term (z | g) has k columns and one block of k effects per level of g. Terms of one factor merge into one
//! [`Group`] with K = sum of k columns, so that a level's effects stand together; its relative covariance
//! factor Lambda is then block diagonal with one lower triangular block per term.

use std::ops::Range;

use crate::linalg::long::{long_max, long_sum};
use crate::parallel::Workers;

/// One grouping factor with the columns of all its terms.
#[derive(Clone, Debug)]
pub struct Group {
    /// Index of the grouping factor among the caller's.
    pub factor: usize,
    /// Number of levels.
    pub levels: usize,
    /// Columns K of all the factor's terms together.
    pub k: usize,
    /// The terms: index, number of columns, and first column within the K. An absorbed factor has none.
    pub terms: Vec<(usize, usize, usize)>,
    /// Prior precision of the group's spherical effects: one, or zero for an absorbed factor, whose effects are fixed.
    pub prior: f64,
    /// Where the group's effects begin in the vector of all random effects.
    pub offset: usize,
    /// The engine's columns, in terms of the caller's: z = 1 `centre` + `scale` times the engine's column.
    pub columns: Vec<ColumnBasis>,
}

/// How the engine's version of a column of a random-effects term comes about. Where a term has a constant column,
/// its others are centred, since (1, year) is all but collinear; every column is divided by its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnBasis {
    /// What is subtracted.
    pub centre: f64,
    /// What the rest is divided by.
    pub scale: f64,
    /// The engine's constant column of the same term, which takes up the centre.
    pub constant: Option<usize>,
}

impl Group {
    /// The level constants of an absorbed factor.
    pub(crate) fn of_constants(factor: usize, levels: usize) -> Self {
        let columns = vec![ColumnBasis { centre: 0.0, scale: 1.0, constant: None }];
        Group { factor, levels, k: 1, terms: Vec::new(), prior: 0.0, offset: 0, columns }
    }

    /// Whether these are the effects of an absorbed factor.
    pub fn is_fixed(&self) -> bool {
        self.prior == 0.0
    }

    /// Where the group's effects stand in the vector of all.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.effects()
    }

    /// Number of effects, levels times K.
    pub fn effects(&self) -> usize {
        self.levels * self.k
    }
}

/// Bases of a term's columns; `first` is the place of its first column in the group.
pub(crate) fn column_bases(z: &[f64], n: usize, first: usize, workers: &Workers) -> Vec<ColumnBasis> {
    let columns: Vec<&[f64]> = z.chunks_exact(n).collect();
    let constant = columns.iter().position(|c| c[0] != 0.0 && c[n - 1] == c[0] && workers.all(n, |i| c[i] == c[0]));
    let basis = |(j, column): (usize, &&[f64])| {
        let centred = constant.filter(|&c| c != j);
        let mean = || column[0] + workers.sum(n, |range| long_sum(&column[range], |v| v - column[0])) / n as f64;
        let centre = if centred.is_some() { mean() } else { 0.0 };
        let size = root_mean_square(column, centre, workers);
        ColumnBasis { centre, scale: if constant == Some(j) { column[0] } else { size }, constant: centred.map(|c| first + c) }
    };
    columns.iter().enumerate().map(basis).collect()
}

fn root_mean_square(column: &[f64], centre: f64, workers: &Workers) -> f64 {
    let largest = workers.max(column.len(), |range| long_max(&column[range], |v| (v - centre).abs()));
    if largest == 0.0 || !largest.is_finite() {
        return 1.0;
    }
    let sum = workers.sum(column.len(), |range| long_sum(&column[range], |v| ((v - centre) / largest).powi(2)));
    largest * (sum / column.len() as f64).sqrt()
}
