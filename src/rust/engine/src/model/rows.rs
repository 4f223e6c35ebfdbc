//! The data of one model, row by row.

use crate::error::Error;
use crate::model::absorbed::Absorbed;
use crate::parallel::Workers;

/// The data of one model, row by row, borrowed from the caller: nothing here is copied.
#[derive(Clone)]
pub struct Rows<'a> {
    /// Number of rows.
    pub n: usize,
    /// Fixed-effects columns X, column-major n x p.
    pub x: &'a [f64],
    /// Number of fixed-effects columns.
    pub p: usize,
    /// Per grouping factor the level of each row, counted from 1 as R does.
    pub codes: Vec<&'a [i32]>,
    /// Per grouping factor the number of levels.
    pub levels: Vec<usize>,
    /// The random-effects terms, in the order of theta.
    pub terms: Vec<Term<'a>>,
    /// Prior weights; `None` means that all are one.
    pub weights: Option<&'a [f64]>,
    /// A factor whose level constants are fixed effects too, beside the columns X.
    pub absorbed: Option<Absorbed>,
}

/// One random-effects term.
#[derive(Clone)]
pub struct Term<'a> {
    /// Which grouping factor.
    pub factor: usize,
    /// Columns of the term, column-major n x k; `None` is one column of ones.
    pub z: Option<&'a [f64]>,
    /// Number of columns.
    pub k: usize,
}

impl Rows<'_> {
    /// Prior weight of a row.
    #[inline]
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[row])
    }

    /// Zero-based level of a row.
    #[inline]
    pub fn level(&self, factor: usize, row: usize) -> usize {
        (self.codes[factor][row] - 1) as usize
    }

    /// Checks lengths and codes, so that the passes over the data need not.
    pub fn check(&self, workers: &Workers) -> Result<(), Error> {
        let n = self.n;
        if self.x.len() != n * self.p {
            return Err(format!("X has {} values for {} rows and {} columns", self.x.len(), n, self.p).into());
        }
        if self.weights.is_some_and(|w| w.len() != n) {
            return Err("weights and response differ in length".into());
        }
        if self.codes.len() != self.levels.len() {
            return Err("as many level counts as grouping factors are needed".into());
        }
        if self.absorbed.is_some_and(|a| a.factor >= self.codes.len()) {
            return Err("the fixed effects name a factor that is not there".into());
        }
        for (codes, &levels) in self.codes.iter().zip(&self.levels) {
            if codes.len() != n {
                return Err("a grouping factor and the response differ in length".into());
            }
            if !workers.all(n, |i| codes[i] >= 1 && codes[i] as usize <= levels) {
                return Err("a grouping factor has a missing level".into());
            }
        }
        if self.terms.is_empty() {
            return Err("a model needs at least one random-effects term".into());
        }
        for term in &self.terms {
            if term.factor >= self.codes.len() {
                return Err("a random-effects term names a grouping factor that is not there".into());
            }
            if term.k == 0 || term.z.map_or(term.k != 1, |z| z.len() != n * term.k) {
                return Err("the columns of a random-effects term and the response differ in length".into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<'a>(codes: Vec<&'a [i32]>, levels: Vec<usize>, terms: Vec<Term<'a>>) -> Rows<'a> {
        Rows { n: codes[0].len(), x: &[], p: 0, codes, levels, terms, weights: None, absorbed: None }
    }

    #[test]
    fn bad_rows_are_refused() {
        let terms = vec![Term { factor: 0, z: None, k: 1 }];
        assert!(rows(vec![&[1, 3]], vec![2], terms.clone()).check(Workers::none()).is_err());
        assert!(rows(vec![&[1, i32::MIN]], vec![2], terms.clone()).check(Workers::none()).is_err());
        assert!(rows(vec![&[1, 2]], vec![2], terms).check(Workers::none()).is_ok());
    }
}
