//! A factor of very many levels among the fixed effects, without its dummy columns.
//!
//! The dummies D of a factor are, for the normal equations, one more grouping factor whose effects have no prior: M gets their blocks
//! without the identity, so that one sparse factorisation eliminates random effects and level constants together, and X keeps the other
//! columns only. With treatment contrasts the columns (1, D_2, ..., D_L) are D times a matrix of determinant one, so that the REML
//! criterion needs nothing else; log |M| of the random effects alone, which maximum likelihood needs, takes a factorisation of its own.

/// Where an absorbed factor's columns stand among all columns of the fixed effects, which otherwise are those of X in
/// their order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Absorbed {
    /// Index of the factor among the caller's.
    pub factor: usize,
    /// With an intercept, which is the first column, the constant of the first level is the intercept and the others are
    /// differences from it.
    pub intercept: bool,
    /// Column of the first level that has one of its own: the second with an intercept, the first without.
    pub first: usize,
}

impl Absorbed {
    /// The factor's column of a level, which with an intercept the first one has not.
    pub(crate) fn own_column(&self, level: usize) -> Option<usize> {
        if self.intercept {
            (level > 0).then(|| self.first + level - 1)
        } else {
            Some(self.first + level)
        }
    }

    /// The columns that are one in a level.
    pub(crate) fn columns(&self, level: usize) -> impl Iterator<Item = usize> {
        self.intercept.then_some(0).into_iter().chain(self.own_column(level))
    }

    /// The columns of X among all `total` columns.
    pub(crate) fn other_columns(&self, levels: usize, total: usize) -> Vec<usize> {
        let own = self.first..self.first + levels - usize::from(self.intercept);
        (usize::from(self.intercept)..total).filter(|c| !own.contains(c)).collect()
    }

    /// All coefficients, in the caller's order, from those of X and the constants of the levels.
    pub fn coefficients(&self, beta: &[f64], levels: &[f64]) -> Vec<f64> {
        let total = beta.len() + levels.len();
        let mut out = vec![0.0; total];
        self.other_columns(levels.len(), total).into_iter().zip(beta).for_each(|(c, b)| out[c] = *b);
        let base = if self.intercept { levels[0] } else { 0.0 };
        levels.iter().enumerate().for_each(|(l, v)| {
            if let Some(c) = self.own_column(l) {
                out[c] = v - base;
            }
        });
        if self.intercept {
            out[0] = base;
        }
        out
    }
}
