//! Is a stationary point a minimum beyond doubt?

use crate::linalg::small::cholesky;
use crate::model::lambda::Lambda;
use crate::model::structure::{Structure, ThetaEntry};
use crate::tolerances::LEAST_CURVATURE;

/// Does the criterion rise in every direction from `theta`? The size of its `hessian` H depends on the units of the predictors; that of
/// D H D doesn't, where the diagonal matrix D has for each element of theta the relative standard deviation of the effect
/// in whose row of Lambda it stands. D H D - LEAST_CURVATURE I is to be positive definite.
pub fn is_curved(structure: &Structure, theta: &[f64], hessian: &[f64]) -> bool {
    let k = theta.len();
    let unit: Vec<f64> = structure.entries.iter().map(|e| relative_sd(structure, theta, e)).collect();
    let mut scaled: Vec<f64> = (0..k * k).map(|i| hessian[i] * unit[i / k] * unit[i % k]).collect();
    (0..k).for_each(|i| scaled[i * k + i] -= LEAST_CURVATURE);
    cholesky(&mut scaled, k)
}

/// The least diagonal element of Lambda for columns of unit size: theta itself depends on the units of the predictors.
pub fn least_diagonal(structure: &Structure, theta: &[f64]) -> f64 {
    least_of(structure, &structure.lambda(theta))
}

/// The least diagonal element of an engine's Lambda, but for its sign.
pub fn least_of(structure: &Structure, lambda: &Lambda) -> f64 {
    let diagonal = structure.entries.iter().filter(|e| e.row == e.col);
    diagonal.map(|e| lambda[e.group][e.col * structure.groups[e.group].k + e.row].abs()).fold(f64::INFINITY, f64::min)
}

/// The largest element of Lambda, for columns of unit size: a standard deviation in units of the residual one.
pub fn largest_element(structure: &Structure, theta: &[f64]) -> f64 {
    let lambda = structure.lambda(theta);
    structure.entries.iter().map(|e| lambda[e.group][e.col * structure.groups[e.group].k + e.row].abs()).fold(0.0, f64::max)
}

/// Length of the row of Lambda in which `entry` stands.
fn relative_sd(structure: &Structure, theta: &[f64], entry: &ThetaEntry) -> f64 {
    let mine = structure.entries.iter().zip(theta).filter(|(e, _)| e.group == entry.group && e.row == entry.row);
    mine.map(|(_, t)| t * t).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A term of two columns and a term of one.
    fn structure() -> Structure {
        let entries = [(0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 0, 0)];
        Structure {
            groups: Vec::new(),
            entries: entries.map(|(group, row, col)| ThetaEntry { group, row, col }).to_vec(),
            q: 0,
            fixed: None,
        }
    }

    fn diagonal(values: [f64; 4]) -> Vec<f64> {
        (0..16).map(|i| if i % 5 == 0 { values[i / 5] } else { 0.0 }).collect()
    }

    #[test]
    fn the_unit_is_the_effects_standard_deviation() {
        let sd: Vec<f64> = structure().entries.iter().map(|e| relative_sd(&structure(), &[2.0, 3.0, 4.0, 0.5], e)).collect();
        assert_eq!(sd, [2.0, 5.0, 5.0, 0.5]);
    }

    #[test]
    fn the_answer_does_not_depend_on_the_predictors_unit() {
        for unit in [1e-4, 1.0, 1e4] {
            let curved = |least: f64| {
                let hessian = diagonal([1.0, 1.0 / (unit * unit), least / (unit * unit), 1.0]);
                is_curved(&structure(), &[1.0, 0.6 * unit, 0.8 * unit, 1.0], &hessian)
            };
            assert!(curved(1.1e-6) && !curved(0.9e-6) && !curved(-1.0));
        }
    }

    #[test]
    fn a_saddle_and_what_is_no_number_are_not_curved() {
        let mut hessian = diagonal([1.0; 4]);
        assert!(is_curved(&structure(), &[1.0, 0.0, 1.0, 1.0], &hessian));
        (hessian[1], hessian[4]) = (2.0, 2.0);
        assert!(!is_curved(&structure(), &[1.0, 0.0, 1.0, 1.0], &hessian));
        assert!(!is_curved(&structure(), &[1.0, 0.0, 1.0, 1.0], &[f64::NAN; 16]));
    }
}
