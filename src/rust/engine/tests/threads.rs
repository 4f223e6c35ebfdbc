//! The number of threads changes no bit of a result.

mod common;

use common::{simulate, Model};
use fastlmer_engine::{conditional_variances, fit, Design, Error, Fit, Options, Workers};

fn fitted(model: &Model, threads: usize, reml: bool) -> (Fit, Vec<Vec<f64>>) {
    let workers = Workers::new(threads);
    let rows = model.rows();
    let design = Design::on_threads(&rows, &workers).unwrap();
    let fit = fit(&design, &rows, &model.y, &Options { reml, workers: &workers, ..Options::default() }).unwrap();
    let variances = conditional_variances(&design, &fit.theta, &workers).unwrap();
    (fit, variances)
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let mut weighted = simulate(21, 40_000, 3, &[3000], &[(0, 2)]);
    weighted.weights = Some((0..40_000).map(|i| 0.5 + (i % 7) as f64).collect());
    let mut nested = simulate(22, 40_000, 2, &[4000, 400], &[(0, 1), (1, 1)]);
    nested.codes[1] = nested.codes[0].iter().map(|c| (c - 1) % 400 + 1).collect();
    let models = [
        ("one factor", weighted),
        ("crossed, dense remainder", simulate(23, 40_000, 3, &[2500, 300], &[(0, 1), (1, 1)])),
        ("crossed with slopes and a third factor", simulate(24, 30_000, 2, &[1500, 120, 9], &[(0, 2), (1, 2), (2, 1)])),
        ("crossed, a large dense remainder and no covariate", simulate(25, 30_000, 1, &[1500, 700], &[(0, 1), (1, 1)])),
        ("nested, sparse remainder", nested),
    ];
    for (name, model) in &models {
        let (one, variances) = fitted(model, 1, true);
        assert!(one.converged, "{name}: {}", one.message);
        for threads in [2, 3, 5] {
            let (other, others) = fitted(model, threads, true);
            assert_eq!(one.criterion.to_bits(), other.criterion.to_bits(), "{name}, {threads} threads");
            for (a, b) in [
                (&one.theta, &other.theta),
                (&one.beta, &other.beta),
                (&one.u, &other.u),
                (&one.fitted, &other.fitted),
                (&one.gradient, &other.gradient),
                (&one.hessian, &other.hessian),
                (&one.unscaled_covariance, &other.unscaled_covariance),
            ] {
                assert_eq!(bits(a), bits(b), "{name}, {threads} threads");
            }
            variances.iter().zip(&others).for_each(|(a, b)| assert_eq!(bits(a), bits(b), "{name}, {threads} threads"));
        }
    }
}

#[test]
fn a_design_can_be_interrupted() {
    let model = simulate(9, 100_000, 2, &[500, 40], &[(0, 2), (1, 1)]);
    let rows = model.rows();
    for threads in [1, 2] {
        let workers = Workers::new(threads).stopped_by(|| true);
        assert_eq!(Design::on_threads(&rows, &workers).unwrap_err(), Error::Interrupted);
    }
}
