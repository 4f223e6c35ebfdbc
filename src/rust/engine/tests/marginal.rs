//! X'V^-1X of the caller's columns and its derivatives in theta, against the fit at that theta.

mod common;

use common::{designs, some_theta, Model};
use fastlmer_engine::{fit, Design, Marginal, Options, Workers};

/// (X'V^-1X)^-1 at a theta, in units of sigma^2.
fn unscaled(model: &Model, design: &Design, theta: &[f64]) -> Vec<f64> {
    let options = Options { start: Some(theta.to_vec()), fixed: true, ..Options::default() };
    fit(design, &model.rows(), &model.y, &options).unwrap().unscaled_covariance
}

fn identity(p: usize) -> Vec<f64> {
    (0..p * p).map(|t| if t % (p + 1) == 0 { 1.0 } else { 0.0 }).collect()
}

#[test]
fn a_whitened_identity_is_the_covariance() {
    for (name, model) in designs() {
        let (design, theta) = (Design::new(&model.rows()).unwrap(), some_theta(&model));
        let marginal = Marginal::new(&design, &theta, Workers::none()).unwrap();
        let found = marginal.covariance_to_caller(&identity(model.p));
        let expected = unscaled(&model, &design, &theta);
        found.iter().zip(&expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-11 * (1.0 + b.abs()), "{name}: {a} {b}"));
        let precision = marginal.precision_to_caller(&identity(model.p));
        for i in 0..model.p {
            for j in 0..model.p {
                let product: f64 = (0..model.p).map(|k| precision[k * model.p + i] * expected[j * model.p + k]).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-9, "{name}: {product}");
            }
        }
    }
}

#[test]
fn derivatives_are_those_of_the_covariance() {
    for (name, model) in designs() {
        let (design, theta) = (Design::new(&model.rows()).unwrap(), some_theta(&model));
        let marginal = Marginal::new(&design, &theta, Workers::none()).unwrap();
        let l: Vec<f64> = (0..model.p).map(|j| 1.0 - 0.7 * j as f64).collect();
        let w = marginal.whitened(&l);
        let variance = |theta: &[f64]| -> f64 {
            let c = unscaled(&model, &design, theta);
            (0..model.p * model.p).map(|t| l[t % model.p] * c[t] * l[t / model.p]).sum()
        };
        assert!((w.iter().map(|v| v * v).sum::<f64>() / variance(&theta) - 1.0).abs() < 1e-10, "{name}");
        for (i, derivative) in marginal.derivatives_in_theta(&theta, Workers::none()).iter().enumerate() {
            let found: f64 = -(0..model.p * model.p).map(|t| w[t % model.p] * derivative[t] * w[t / model.p]).sum::<f64>();
            let moved = |h: f64| variance(&theta.iter().enumerate().map(|(j, t)| if i == j { t + h } else { *t }).collect::<Vec<_>>());
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-7 * variance(&theta), "{name}: {found} {expected}");
        }
    }
}
