//! What degrees of freedom are made of, beside differences of a dense reference.

mod common;

use common::{designs, simulate, some_theta, Model};
use fastlmer_engine::{fit, satterthwaite, Absorbed, Design, Options, Response, Rows, Satterthwaite, Workers};

fn at(rows: &Rows, y: &[f64], theta: &[f64], reml: bool, workers: &Workers) -> Satterthwaite {
    let design = Design::new(rows).unwrap();
    let response = Response::new(&design, rows, y, workers).unwrap();
    let options = Options { reml, start: Some(theta.to_vec()), workers, ..Options::default() };
    satterthwaite(&design, &response, &options).unwrap()
}

/// Central differences of fourth order.
fn slope(f: &dyn Fn(f64) -> f64, h: f64) -> f64 {
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}

/// Second derivatives of log determinants + nu log(2 pi sigma^2) + pwrss / sigma^2 in theta and sigma, by differences.
fn reference_hessian(model: &Model, theta: &[f64], sigma: f64, reml: bool) -> Vec<f64> {
    let n = theta.len() + 1;
    let deviance = |v: &[f64]| {
        let parts = model.parts(&v[..n - 1], reml);
        parts.log_determinants + parts.nu * (2.0 * std::f64::consts::PI * v[n - 1].powi(2)).ln() + parts.pwrss / v[n - 1].powi(2)
    };
    let point: Vec<f64> = theta.iter().copied().chain([sigma]).collect();
    let mut out = vec![0.0; n * n];
    for j in 0..n {
        for i in 0..n {
            let inner = |hi: f64, hj: f64| {
                let mut v = point.clone();
                v[i] += hi;
                v[j] += hj;
                deviance(&v)
            };
            out[j * n + i] = slope(&|hj| slope(&|hi| inner(hi, hj), 2e-3), 2e-3);
        }
    }
    out
}

#[test]
fn they_are_what_differences_of_the_dense_criterion_say() {
    let mut checked = 0;
    for (name, model) in designs() {
        for reml in [true, false] {
            let theta =
                fit(&Design::new(&model.rows()).unwrap(), &model.rows(), &model.y, &Options { reml, ..Options::default() }).unwrap().theta;
            let theta = if theta.iter().any(|t| t.abs() < 0.02) { some_theta(&model) } else { theta };
            let made = at(&model.rows(), &model.y, &theta, reml, Workers::none());
            if !made.left_out.is_empty() {
                continue; // some theta isn't a minimum
            }
            checked += 1;
            let (n, p) = (theta.len() + 1, model.p);
            let hessian = reference_hessian(&model, &theta, made.sigma, reml);
            for i in 0..n {
                for j in 0..n {
                    let product: f64 = (0..n).map(|k| made.covariance[k * n + i] * hessian[j * n + k]).sum();
                    let expected = if i == j { 2.0 } else { 0.0 };
                    assert!((product - expected).abs() < 2e-4, "{name}, reml {reml}: A H is {product} at {i}, {j}");
                }
            }
            for (t, jacobian) in made.jacobian.iter().enumerate() {
                for at in 0..p * p {
                    let element = |h: f64| {
                        let mut there = theta.clone();
                        there[t] += h;
                        made.sigma.powi(2) * model.parts(&there, reml).covariance[at]
                    };
                    let expected = slope(&element, 1e-3);
                    let size = element(0.0).abs().max(1e-3);
                    assert!((jacobian[at] - expected).abs() < 1e-7 * size, "{name}: {} and {expected} in {t}", jacobian[at]);
                }
            }
        }
    }
    assert!(checked >= 12, "{checked}");
}

#[test]
fn an_absorbed_factor_gives_what_its_columns_give() {
    let mut model = simulate(31, 200, 3, &[12, 40], &[(0, 2)]);
    model.weights = Some((0..200).map(|i| 0.5 + (i % 7) as f64).collect());
    let (n, covariates) = (model.n, model.x.split_off(model.n));
    let mut dense = vec![1.0; n];
    dense.extend(&covariates[..n]);
    dense.extend((1..40).flat_map(|l| model.codes[1].iter().map(move |&c| f64::from(u8::from(c == l + 1)))));
    dense.extend(&covariates[n..]);
    model.x = covariates;
    model.p = 2;
    let absorbed = Rows { absorbed: Some(Absorbed { factor: 1, intercept: true, first: 2 }), ..model.rows() };
    let plain = Rows { x: &dense, p: 42, ..model.rows() };
    let theta = [0.8, 0.1, 0.4];
    for reml in [true, false] {
        let [a, b] = [absorbed.clone(), plain.clone()].map(|rows| at(&rows, &model.y, &theta, reml, Workers::none()));
        assert!((a.sigma - b.sigma).abs() < 1e-10 && a.jacobian.len() == 3);
        let near = |a: &[f64], b: &[f64]| {
            assert_eq!(a.len(), b.len());
            let size = b.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() < 1e-6 * size, "{a} and {b}"));
        };
        near(&a.covariance, &b.covariance);
        near(&a.jacobian.concat(), &b.jacobian.concat());
        near(&a.beta, &b.beta);
    }
}

#[test]
fn threads_and_units_change_nothing() {
    let model = simulate(9, 900, 2, &[160, 55], &[(0, 2), (1, 1)]);
    let theta = some_theta(&model);
    let [one, three] = [1, 3].map(|threads| at(&model.rows(), &model.y, &theta, true, &Workers::new(threads)));
    assert_eq!((&one.covariance, &one.jacobian), (&three.covariance, &three.jacobian));

    let unit = 1e8;
    let mut scaled = model.clone();
    scaled.terms[0].1[model.n..].iter_mut().for_each(|z| *z *= unit);
    let other = at(&scaled.rows(), &model.y, &[theta[0], theta[1] / unit, theta[2] / unit, theta[3]], true, Workers::none());
    let units = [1.0, unit, unit, 1.0, 1.0];
    for i in 0..5 {
        for j in 0..5 {
            let (a, b) = (one.covariance[j * 5 + i], other.covariance[j * 5 + i] * units[i] * units[j]);
            assert!((a - b).abs() < 1e-6 * (one.covariance[i * 6] * one.covariance[j * 6]).sqrt(), "{a} and {b} at {i}, {j}");
        }
    }
}

#[test]
fn a_flat_direction_is_left_out() {
    // the group's effects are those of a factor in X
    let mut model = simulate(12, 60, 1, &[6, 10], &[(0, 1), (1, 1)]);
    model.x.extend((1..6).flat_map(|l| model.codes[0].iter().map(move |&c| f64::from(u8::from(c == l + 1)))));
    model.p = 6;
    let made = at(&model.rows(), &model.y, &[0.0, 0.5], true, Workers::none());
    assert_eq!(made.left_out, [0.0]);
    assert!(made.covariance[..3].iter().all(|v| *v == 0.0) && made.covariance[4] > 0.0);
}
