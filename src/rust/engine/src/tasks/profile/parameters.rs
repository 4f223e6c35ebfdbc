//! The parameters of a model as a profile has them: standard deviations and correlations (or variances and covariances), sigma (or its
//! square), and the fixed effects.

use crate::linalg::small::dot;
use crate::model::coordinates::Held;
use crate::model::structure::Structure;

/// On which scale the covariances' parameters are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Standard deviations and correlations.
    Deviations,
    /// Variances and covariances.
    Variances,
}

/// The parameters of a model, in the order of theta; then sigma, then the fixed effects.
#[derive(Clone, Debug)]
pub struct Parameters<'a> {
    structure: &'a Structure,
    /// The scale.
    pub scale: Scale,
    /// Per element of theta its term, row and column.
    elements: Vec<(usize, usize, usize)>,
    /// Per term its columns.
    columns: Vec<usize>,
}

impl<'a> Parameters<'a> {
    /// Of a model with these terms.
    pub fn new(structure: &'a Structure, scale: Scale) -> Self {
        let count: usize = structure.groups.iter().map(|g| g.terms.len()).sum();
        let columns: Vec<usize> = (0..count)
            .map(|index| {
                let (group, _) = Structure::locate(&structure.groups, index);
                structure.groups[group].terms.iter().find(|t| t.0 == index).expect("located there").1
            })
            .collect();
        let elements = columns.iter().enumerate();
        let elements = elements.flat_map(|(t, &k)| (0..k).flat_map(move |col| (col..k).map(move |row| (t, row, col)))).collect();
        Parameters { structure, scale, elements, columns }
    }

    /// Number of those of the covariances, with sigma.
    pub fn of_covariances(&self) -> usize {
        self.elements.len() + 1
    }

    /// What is held for one of these.
    pub fn held(&self, index: usize) -> Held {
        match self.elements.get(index) {
            None => Held::Sigma,
            Some(&(term, row, col)) if row == col => Held::Deviation { term, row },
            Some(&(term, row, col)) if self.scale == Scale::Deviations => Held::Correlation { term, rows: (col, row) },
            Some(&(term, row, col)) => Held::Covariance { term, rows: (col, row) },
        }
    }

    /// Lowest and highest value of what a walk goes along (a standard deviation, whatever the scale).
    pub fn bounds(&self, index: usize) -> (f64, f64) {
        match self.held(index) {
            Held::Sigma | Held::Deviation { .. } => (0.0, f64::INFINITY),
            Held::Correlation { .. } => (-1.0, 1.0),
            Held::Covariance { .. } => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }

    /// What a walk goes along where the parameter has a value, and back.
    pub fn to_walk(&self, index: usize, value: f64) -> f64 {
        if self.is_squared(index) {
            value.max(0.0).sqrt()
        } else {
            value
        }
    }

    /// The parameter where a walk is.
    pub fn of_walk(&self, index: usize, c: f64) -> f64 {
        if self.is_squared(index) {
            c * c
        } else {
            c
        }
    }

    fn is_squared(&self, index: usize) -> bool {
        self.scale == Scale::Variances && matches!(self.held(index), Held::Sigma | Held::Deviation { .. })
    }

    /// The values for a theta, sigma and fixed effects. A correlation with effects that don't vary is zero.
    pub fn values(&self, theta: &[f64], sigma: f64, beta: &[f64]) -> Vec<f64> {
        let lambda = self.structure.caller_lambda(theta);
        let mut out = Vec::with_capacity(theta.len() + 1 + beta.len());
        for (term, &k) in self.columns.iter().enumerate() {
            let (group, first) = Structure::locate(&self.structure.groups, term);
            let big_k = self.structure.groups[group].k;
            let row = |r: usize| -> Vec<f64> { (0..k).map(|c| sigma * lambda[group][(first + c) * big_k + first + r]).collect() };
            let rows: Vec<Vec<f64>> = (0..k).map(row).collect();
            for col in 0..k {
                out.extend((col..k).map(|r| self.value(&rows[r], &rows[col], r == col)));
            }
        }
        out.push(self.of_walk(theta.len(), sigma));
        out.extend_from_slice(beta);
        out
    }

    fn value(&self, row: &[f64], col: &[f64], own: bool) -> f64 {
        let product = dot(row, col);
        match self.scale {
            Scale::Variances => product,
            Scale::Deviations if own => product.sqrt(),
            Scale::Deviations => {
                let lengths = dot(row, row).sqrt() * dot(col, col).sqrt();
                if lengths > 0.0 {
                    (product / lengths).clamp(-1.0, 1.0)
                } else {
                    0.0
                }
            }
        }
    }
}
