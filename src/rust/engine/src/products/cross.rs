//! Cross-products of the design: everything about Z, X and the weights that the criterion needs.
//!
//! Z is never formed. With W the prior weights, Z'WZ consists of one K x K block per level of each group and of one block per pair of
//! levels that meet in some row; Z'WX and X'WX are dense. X is centred (where the model has an intercept) and scaled first, since raw sums
//! of squares lose digits by cancellation, and so are the columns of the random effects (see
//! [`ColumnBasis`](crate::model::group::ColumnBasis)).

use crate::error::Error;
use crate::linalg::blocks::add_cross_product;
use crate::linalg::small::{axpy, cholesky, dot, solve_lower, solve_lower_transpose};
use crate::model::absorbed::Absorbed;
use crate::model::columns::ColumnTransform;
use crate::model::structure::Structure;
use crate::products::undetermined::Undetermined;

/// A block of the leading group's level with a level of another group.
#[derive(Clone, Copy, Debug)]
pub struct Neighbour {
    /// Index of the other level's first effect among the effects of all groups but the leading one.
    pub start: u32,
    /// The other group.
    pub group: u32,
}

/// A block between levels of two groups neither of which leads.
#[derive(Clone, Copy, Debug)]
pub struct RestPair {
    /// First effect of the row block, among the effects of all groups but the leading one.
    pub row: u32,
    /// First effect of the column block; lies before `row`.
    pub col: u32,
    /// Group of the row block.
    pub row_group: u32,
    /// Group of the column block.
    pub col_group: u32,
    /// Where its values (row block x column block, column-major) begin in `rest_pair_values`.
    pub values: usize,
}

/// The cross-products that do not involve the response.
#[derive(Clone, Debug)]
pub struct Products {
    /// Number of rows.
    pub n: usize,
    /// Fixed-effects columns.
    pub p: usize,
    /// Groups and the layout of theta.
    pub structure: Structure,
    /// How X was centred and scaled.
    pub transform: ColumnTransform,
    /// Sum of the logarithms of the prior weights.
    pub log_weights: f64,
    /// Diagonal blocks of Z'WZ per group, level after level, each K x K.
    pub diagonal: Vec<Vec<f64>>,
    /// Per leading level the range of its neighbours; one element longer than there are levels.
    pub neighbour_ptr: Vec<usize>,
    /// The neighbours of all leading levels, ordered by `start` within a level.
    pub neighbours: Vec<Neighbour>,
    /// Per neighbour where its values (K x K of the other group, column-major) begin; one element longer.
    pub neighbour_values_ptr: Vec<usize>,
    /// The blocks of Z'WZ between the leading group and the others.
    pub neighbour_values: Vec<f64>,
    /// Pairs of levels of the other groups that meet.
    pub rest_pairs: Vec<RestPair>,
    /// The blocks of Z'WZ of these pairs.
    pub rest_pair_values: Vec<f64>,
    /// Z'WX, a row of length p per random effect.
    pub zx: Vec<f64>,
    /// X'WX, p x p.
    pub xx: Vec<f64>,
    /// Lower Cholesky factor of X'WX, or with an absorbed factor of what that leaves of it.
    pub xx_cholesky: Vec<f64>,
    /// The absorbed factor, if there is one.
    pub absorbed: Option<Absorbed>,
    /// Columns of random-effects terms that the data don't tell from the fixed effects or the residuals.
    pub(crate) undetermined: Vec<Undetermined>,
}

impl Products {
    /// Of n rows of which none has been added yet; [`Products::complete`] has to follow.
    pub(crate) fn zero(n: usize, structure: Structure, transform: ColumnTransform) -> Self {
        let p = transform.scale.len();
        Products {
            n,
            p,
            log_weights: 0.0,
            diagonal: structure.groups.iter().map(|g| vec![0.0; g.effects() * g.k]).collect(),
            neighbour_ptr: vec![0; structure.groups[0].levels + 1],
            neighbours: Vec::new(),
            neighbour_values_ptr: vec![0],
            neighbour_values: Vec::new(),
            rest_pairs: Vec::new(),
            rest_pair_values: Vec::new(),
            zx: vec![0.0; structure.q * p],
            xx: vec![0.0; p * p],
            xx_cholesky: Vec::new(),
            absorbed: None,
            undetermined: Vec::new(),
            structure,
            transform,
        }
    }

    /// What follows from the cross-products.
    pub(crate) fn complete(mut self) -> Result<Self, Error> {
        self.xx_cholesky = self.xx_within_levels();
        if !cholesky(&mut self.xx_cholesky, self.p) {
            return Err("fixed-effect model matrix is rank deficient".into());
        }
        self.undetermined = self.find_undetermined();
        Ok(self)
    }

    /// Effects of all groups but the leading one.
    pub fn rest(&self) -> usize {
        self.structure.q - self.structure.groups[0].effects()
    }

    /// Values of a neighbour's block, K of the leading group x K of the other, column-major.
    #[inline]
    pub fn neighbour_block(&self, index: usize) -> &[f64] {
        &self.neighbour_values[self.neighbour_values_ptr[index]..self.neighbour_values_ptr[index + 1]]
    }

    /// Values of a pair's block, K of the row group x K of the column group, column-major.
    #[inline]
    pub fn rest_pair_block(&self, pair: &RestPair) -> &[f64] {
        let groups = &self.structure.groups;
        &self.rest_pair_values[pair.values..pair.values + groups[pair.row_group as usize].k * groups[pair.col_group as usize].k]
    }

    /// Appends a neighbour of the last level that has any; `neighbour_ptr` is the caller's affair.
    pub(crate) fn push_neighbour(&mut self, neighbour: Neighbour, block: &[f64]) {
        self.neighbours.push(neighbour);
        self.neighbour_values.extend_from_slice(block);
        self.neighbour_values_ptr.push(self.neighbour_values.len());
    }

    /// Appends a pair of levels, whose `values` are put in order.
    pub(crate) fn push_rest_pair(&mut self, pair: RestPair, block: &[f64]) {
        self.rest_pairs.push(RestPair { values: self.rest_pair_values.len(), ..pair });
        self.rest_pair_values.extend_from_slice(block);
    }

    /// Per column of X the part that earlier columns leave unexplained, relative to the column's own root
    /// mean square before centring: R's qr() calls a column aliased where this is below 1e-7.
    pub fn rank_margin(&self) -> Vec<f64> {
        (0..self.p)
            .map(|j| {
                let raw = (self.xx[j * self.p + j] + self.transform.centred_away(j, self.n)).sqrt();
                self.xx_cholesky[j * self.p + j] / raw
            })
            .collect()
    }

    /// Number of fixed effects, with an absorbed factor's levels.
    pub fn fixed_columns(&self) -> usize {
        self.p + self.structure.fixed_group().map_or(0, |group| group.levels)
    }

    /// X'WX less what an absorbed factor explains of it.
    pub(crate) fn xx_within_levels(&self) -> Vec<f64> {
        let mut out = self.xx.clone();
        if let Some(group) = self.structure.fixed_group() {
            let mut rows = self.zx[group.offset * self.p..group.range().end * self.p].to_vec();
            for (row, weight) in rows.chunks_exact_mut(self.p.max(1)).zip(self.level_weights()) {
                let root = 1.0 / weight.sqrt();
                row.iter_mut().for_each(|v| *v *= root);
            }
            add_cross_product(&mut out, &rows, self.p, -1.0);
        }
        out
    }

    /// Weighted least squares of a response on X and an absorbed factor, in place: from X'Wy the coefficients, from the
    /// levels' weighted sums of y (empty without such a factor) their constants.
    pub fn least_squares(&self, xy: &mut [f64], sums: &mut [f64]) {
        let zx = self.structure.fixed_group().map_or(&[][..], |group| &self.zx[group.offset * self.p..]);
        let rows = || zx.chunks_exact(self.p.max(1));
        for ((sum, weight), row) in sums.iter().zip(self.level_weights()).zip(rows()) {
            axpy(-sum / weight, row, xy);
        }
        solve_lower(&self.xx_cholesky, self.p, xy);
        solve_lower_transpose(&self.xx_cholesky, self.p, xy);
        if self.p > 0 {
            sums.iter_mut().zip(rows()).for_each(|(sum, row)| *sum -= dot(row, xy));
        }
        sums.iter_mut().zip(self.level_weights()).for_each(|(sum, weight)| *sum /= weight);
    }

    /// Sums of the weights of an absorbed factor's levels.
    pub(crate) fn level_weights(&self) -> &[f64] {
        self.structure.fixed.map_or(&[], |at| &self.diagonal[at])
    }
}
