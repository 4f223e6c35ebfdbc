//! How a term's relative covariance factor depends on the parameters that are optimised.

/// A covariance structure of a term with k columns. Theta is the lower triangle of the caller's k x k Lambda, column by column; the
/// parameters are what is free of it. Everything below [`crate::optimise::structured`] knows Lambda only, so that another structure is
/// one more implementation.
pub trait Covariance {
    /// Number of parameters.
    fn parameters(&self, k: usize) -> usize;

    /// Overwrites theta, k (k + 1) / 2 long, by that of the parameters.
    fn theta(&self, k: usize, parameters: &[f64], theta: &mut [f64]);

    /// Calls `visit(element of theta, parameter, derivative)` for the first derivatives that aren't zero.
    fn first(&self, k: usize, parameters: &[f64], visit: &mut dyn FnMut(usize, usize, f64));

    /// Calls `visit(element of theta, parameter, parameter, derivative)` for the second derivatives that aren't zero, each pair of
    /// parameters in both orders. A structure that is linear has none.
    fn second(&self, _k: usize, _parameters: &[f64], _visit: &mut dyn FnMut(usize, usize, usize, f64)) {}

    /// Parameters whose theta is near a given one, to start from.
    fn near(&self, k: usize, theta: &[f64]) -> Vec<f64>;
}

/// Where the diagonal elements of a lower triangle stand in it.
fn diagonal(k: usize) -> impl Iterator<Item = usize> {
    (0..k).map(move |c| c * k - c * c.saturating_sub(1) / 2)
}

/// Any covariance: the parameters are theta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unstructured;

impl Covariance for Unstructured {
    fn parameters(&self, k: usize) -> usize {
        k * (k + 1) / 2
    }

    fn theta(&self, _k: usize, parameters: &[f64], theta: &mut [f64]) {
        theta.copy_from_slice(parameters);
    }

    fn first(&self, _k: usize, parameters: &[f64], visit: &mut dyn FnMut(usize, usize, f64)) {
        (0..parameters.len()).for_each(|i| visit(i, i, 1.0));
    }

    fn near(&self, _k: usize, theta: &[f64]) -> Vec<f64> {
        theta.to_vec()
    }
}

/// Variances without covariances: the parameters are relative standard deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Diagonal;

impl Covariance for Diagonal {
    fn parameters(&self, k: usize) -> usize {
        k
    }

    fn theta(&self, k: usize, parameters: &[f64], theta: &mut [f64]) {
        theta.fill(0.0);
        diagonal(k).zip(parameters).for_each(|(i, p)| theta[i] = *p);
    }

    fn first(&self, k: usize, _parameters: &[f64], visit: &mut dyn FnMut(usize, usize, f64)) {
        diagonal(k).enumerate().for_each(|(p, i)| visit(i, p, 1.0));
    }

    fn near(&self, k: usize, theta: &[f64]) -> Vec<f64> {
        diagonal(k).map(|i| theta[i]).collect()
    }
}

/// One variance for all columns and no covariances: the parameter is their relative standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CommonVariance;

impl Covariance for CommonVariance {
    fn parameters(&self, _k: usize) -> usize {
        1
    }

    fn theta(&self, k: usize, parameters: &[f64], theta: &mut [f64]) {
        theta.fill(0.0);
        diagonal(k).for_each(|i| theta[i] = parameters[0]);
    }

    fn first(&self, k: usize, _parameters: &[f64], visit: &mut dyn FnMut(usize, usize, f64)) {
        diagonal(k).for_each(|i| visit(i, 0, 1.0));
    }

    fn near(&self, k: usize, theta: &[f64]) -> Vec<f64> {
        let sum: f64 = diagonal(k).map(|i| theta[i] * theta[i]).sum();
        vec![(sum / k as f64).sqrt()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivatives_are_those_of_theta() {
        for structure in [&Unstructured as &dyn Covariance, &Diagonal, &CommonVariance] {
            for k in 1..5 {
                let (count, size) = (structure.parameters(k), k * (k + 1) / 2);
                let at: Vec<f64> = (0..count).map(|i| 0.3 + 0.1 * i as f64).collect();
                let theta = |parameters: &[f64]| {
                    let mut out = vec![0.0; size];
                    structure.theta(k, parameters, &mut out);
                    out
                };
                let mut jacobian = vec![0.0; size * count];
                structure.first(k, &at, &mut |i, p, d| jacobian[p * size + i] = d);
                for p in 0..count {
                    let moved = |h: f64| theta(&at.iter().enumerate().map(|(i, v)| if i == p { v + h } else { *v }).collect::<Vec<_>>());
                    let (above, below) = (moved(1e-4), moved(-1e-4));
                    (0..size).for_each(|i| assert!(((above[i] - below[i]) / 2e-4 - jacobian[p * size + i]).abs() < 1e-9));
                }
                structure.near(k, &theta(&at)).iter().zip(&at).for_each(|(a, b)| assert!((a - b).abs() < 1e-14));
            }
        }
    }

    #[test]
    fn diagonals_stand_where_columns_begin() {
        assert_eq!(diagonal(1).collect::<Vec<_>>(), [0]);
        assert_eq!(diagonal(4).collect::<Vec<_>>(), [0, 4, 7, 9]);
    }
}
