//! The natural sizes of the elements of the caller's theta, and second derivatives by differences of the gradient over such sizes.

use crate::linalg::small::symmetrise;
use crate::model::structure::ThetaEntry;
use crate::optimise::criterion::Criterion;
use crate::tolerances::DIFFERENCE;

impl Criterion<'_> {
    /// The natural size of an element of theta.
    fn natural_in_theta(&self, index: usize, entry: &ThetaEntry) -> f64 {
        self.natural[index] / self.design.structure.groups[entry.group].columns[entry.row].scale.abs()
    }

    /// Per element of theta the size of Lambda's row there, or the natural one where that is larger.
    pub fn units_of_theta(&self, theta: &[f64]) -> Vec<f64> {
        let entries = &self.design.structure.entries;
        let unit = |(index, e): (usize, &ThetaEntry)| {
            let row = entries.iter().zip(theta).filter(|(o, _)| o.group == e.group && o.row == e.row);
            row.map(|(_, t)| t * t).sum::<f64>().sqrt().max(self.natural_in_theta(index, e))
        };
        entries.iter().enumerate().map(unit).collect()
    }

    /// Second derivatives in theta by central differences of the gradient; `None` where one can't be computed.
    pub fn difference_hessian(&mut self, theta: &[f64]) -> Option<Vec<f64>> {
        let structure = &self.design.structure;
        let n = theta.len();
        let mut out = vec![0.0; n * n];
        for (j, e) in structure.entries.iter().enumerate() {
            let h = DIFFERENCE * theta[j].abs().max(self.natural_in_theta(j, e));
            let mut gradient_at = |step: f64| {
                let mut there = theta.to_vec();
                there[j] += step;
                self.derivatives_in_theta(&structure.lambda(&there), &there).map(|(gradient, _)| gradient)
            };
            let (above, below) = (gradient_at(h)?, gradient_at(-h)?);
            (0..n).for_each(|i| out[j * n + i] = (above[i] - below[i]) / (2.0 * h));
        }
        symmetrise(&mut out, n);
        Some(out)
    }
}
