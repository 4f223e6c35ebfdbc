//! The criterion at a fixed theta, its derivatives and the conditional variances, against a dense reference and
//! finite differences.

mod common;

use common::{designs, some_theta, Model};
use fastlmer_engine::{conditional_variances, derivatives, fit, Design, Evaluator, Options, Response, Rows, Workers};

#[test]
fn criterion_equals_the_dense_reference() {
    for (name, model) in designs() {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let response = Response::new(&design, &rows, &model.y, Workers::none()).unwrap();
        let mut evaluator = Evaluator::new(&design, &response);
        let theta = some_theta(&model);
        let zero = vec![0.0; theta.len()];
        for (theta, reml) in [(&theta, true), (&theta, false), (&zero, true), (&zero, false)] {
            let ours = evaluator.criterion(theta, reml);
            let reference = model.reference(theta, reml);
            assert!((ours - reference).abs() < 1e-8 * reference.abs(), "{name}, REML {reml}: {ours} and {reference}");
        }
    }
}

/// A design, and where it has few random effects also as one that is not treated so.
fn both_ways(rows: &Rows) -> Vec<Design> {
    let design = Design::new(rows).unwrap();
    if design.plan.coupling.is_some() {
        let other = design.clone().without_coupling();
        vec![design, other]
    } else {
        vec![design]
    }
}

#[test]
fn gradient_equals_finite_differences() {
    for (name, model) in designs() {
        let rows = model.rows();
        for design in both_ways(&rows) {
            gradient_is_exact(name, &model, &design);
        }
    }
}

fn gradient_is_exact(name: &str, model: &Model, design: &Design) {
    let rows = model.rows();
    let response = Response::new(design, &rows, &model.y, Workers::none()).unwrap();
    let mut evaluator = Evaluator::new(design, &response);
    let theta = some_theta(model);
    for reml in [true, false] {
        let exact = derivatives(design, &response, &theta, reml).unwrap().0;
        for (i, g) in exact.iter().enumerate() {
            let at = |h: f64, evaluator: &mut Evaluator| {
                let mut t = theta.clone();
                t[i] += h;
                evaluator.criterion(&t, reml)
            };
            let h = 1e-4;
            let numeric = (8.0 * (at(h, &mut evaluator) - at(-h, &mut evaluator)) - at(2.0 * h, &mut evaluator)
                + at(-2.0 * h, &mut evaluator))
                / (12.0 * h);
            assert!((g - numeric).abs() < 1e-6 * (1.0 + g.abs()), "{name}, theta {i}, REML {reml}: {g} and {numeric}");
        }
    }
}

#[test]
fn exact_second_derivatives_equal_differences_of_the_gradient() {
    let mut checked = Vec::new();
    for (name, model) in designs() {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        if design.plan.classes.is_none() && design.plan.coupling.is_none() {
            continue;
        }
        checked.push(name);
        let response = Response::new(&design, &rows, &model.y, Workers::none()).unwrap();
        let theta = some_theta(&model);
        for reml in [true, false] {
            let (_, hessian) = derivatives(&design, &response, &theta, reml).unwrap();
            let n = theta.len();
            for i in 0..n {
                let at = |h: f64| {
                    let mut t = theta.clone();
                    t[i] += h;
                    derivatives(&design, &response, &t, reml).unwrap().0
                };
                let (h, up, down) = (1e-5, at(1e-5), at(-1e-5));
                for j in 0..n {
                    let numeric = (up[j] - down[j]) / (2.0 * h);
                    let exact = hessian[j * n + i];
                    assert!((exact - numeric).abs() < 1e-5 * (1.0 + exact.abs()), "{name} ({i}, {j}), REML {reml}: {exact} and {numeric}");
                }
            }
        }
    }
    assert!(checked.contains(&"slope") && checked.contains(&"crossed with slopes"), "{checked:?}");
}

#[test]
fn an_exact_hessian_can_be_had_everywhere() {
    let mut least = f64::INFINITY;
    for (name, model) in designs().into_iter().filter(|(_, m)| m.levels.len() > 1) {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        if design.plan.coupling.is_none() {
            continue;
        }
        let general = design.clone().without_coupling();
        for reml in [true, false] {
            let ask = |design: &Design, exact_hessian: bool| {
                let options = Options { reml, start: Some(some_theta(&model)), fixed: true, exact_hessian, ..Options::default() };
                fit(design, &rows, &model.y, &options).unwrap()
            };
            let (exact, average, differences) = (ask(&design, false), ask(&general, false), ask(&general, true));
            assert!(exact.exact_hessian && !average.exact_hessian && differences.exact_hessian, "{name}");
            let size = exact.hessian.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            let distance = |other: &[f64]| exact.hessian.iter().zip(other).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs())) / size;
            assert!(distance(&differences.hessian) < 1e-6, "{name}: {:?} {:?}", exact.hessian, differences.hessian);
            assert_eq!(exact.gradient.len(), differences.gradient.len());
            least = least.min(distance(&average.hessian));
        }
    }
    assert!(least > 1e-3, "the average information is no other than the Hessian: {least:e}");
}

#[test]
fn average_information_has_the_size_of_the_hessian() {
    // At a typical theta of crossed designs the average information and the exact Hessian differ by chance only.
    for (name, model) in designs().into_iter().filter(|(_, m)| m.levels.len() > 1) {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap().without_coupling();
        let response = Response::new(&design, &rows, &model.y, Workers::none()).unwrap();
        let options = Options::default();
        let fit = fit(&design, &rows, &model.y, &options).unwrap();
        assert!(fit.converged, "{name}: {}", fit.message);
        let n = fit.theta.len();
        for i in 0..n {
            if fit.theta[i] < 1e-6 {
                continue;
            }
            let at = |h: f64| {
                let mut t = fit.theta.clone();
                t[i] += h;
                derivatives(&design, &response, &t, true).unwrap().0[i]
            };
            let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
            let ratio = fit.hessian[i * n + i] / numeric;
            assert!((0.3..3.0).contains(&ratio), "{name}, theta {i}: {} and {numeric}", fit.hessian[i * n + i]);
        }
    }
}

#[test]
fn conditional_variances_are_diagonal_blocks_of_the_inverse() {
    // Var(b | y) / sigma^2 = Sigma - Sigma Z' V^-1 Z Sigma for one intercept per level: scalar algebra.
    let (_, model) = designs().remove(0);
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let blocks = conditional_variances(&design, &[0.7], Workers::none()).unwrap();
    for level in 0..model.levels[0] {
        let m = model.codes[0].iter().filter(|&&c| c as usize == level + 1).count() as f64;
        let expected = 0.49 / (1.0 + 0.49 * m);
        assert!((blocks[0][level] - expected).abs() < 1e-14);
    }
}
