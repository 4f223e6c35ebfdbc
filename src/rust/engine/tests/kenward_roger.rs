//! Kenward and Roger's adjustment against n x n matrices, as they stand in their paper.

mod common;

use common::{designs, simulate, some_theta, Model};
use fastlmer_engine::small::{cholesky, inverse_from_cholesky};
use fastlmer_engine::{Absorbed, Design, Error, KenwardRoger, Rows, Workers};

fn product(a: &[f64], b: &[f64], rows: usize, inner: usize) -> Vec<f64> {
    let columns = b.len() / inner;
    let mut out = vec![0.0; rows * columns];
    for c in 0..columns {
        for k in 0..inner {
            let v = b[c * inner + k];
            if v != 0.0 {
                (0..rows).for_each(|r| out[c * rows + r] += a[k * rows + r] * v);
            }
        }
    }
    out
}

fn transposed(a: &[f64], rows: usize) -> Vec<f64> {
    let columns = a.len() / rows;
    (0..a.len()).map(|t| a[t % columns * rows + t / columns]).collect()
}

fn trace_of_product(a: &[f64], b: &[f64], n: usize) -> f64 {
    (0..n * n).map(|t| a[t] * b[t % n * n + t / n]).sum()
}

fn inverse(a: &[f64], n: usize) -> Vec<f64> {
    let mut l = a.to_vec();
    assert!(cholesky(&mut l, n));
    inverse_from_cholesky(&l, n)
}

/// The derivatives of V in the elements of Psi and in sigma^2 = 1, and V.
fn covariances(model: &Model, theta: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let n = model.n;
    let (mut all, mut v) = (Vec::new(), vec![0.0; n * n]);
    (0..n).for_each(|i| v[i * n + i] = 1.0 / model.weights.as_ref().map_or(1.0, |w| w[i]));
    let residual = v.clone();
    for ((f, z), lambda) in model.terms.iter().zip(model.lambdas(theta)) {
        let k = z.len() / n;
        for c in 0..k {
            for r in c..k {
                let mut g = vec![0.0; n * n];
                for j in 0..n {
                    for i in (0..n).filter(|&i| model.codes[*f][i] == model.codes[*f][j]) {
                        let (zi, zj) = (|c: usize| z[c * n + i], |c: usize| z[c * n + j]);
                        g[j * n + i] = zi(r) * zj(c) + if r == c { 0.0 } else { zi(c) * zj(r) };
                    }
                }
                let psi: f64 = (0..k).map(|s| lambda[s * k + r] * lambda[s * k + c]).sum();
                v.iter_mut().zip(&g).for_each(|(v, g)| *v += psi * g);
                all.push(g);
            }
        }
    }
    all.push(residual);
    (all, v)
}

struct Reference {
    derivatives: Vec<Vec<f64>>,
    w: Vec<f64>,
    phi: Vec<f64>,
    adjusted: Vec<f64>,
}

fn reference(model: &Model, theta: &[f64]) -> Reference {
    let (n, p) = (model.n, model.p);
    let (g, v) = covariances(model, theta);
    let vinv = inverse(&v, n);
    let vx = product(&vinv, &model.x, n, n);
    let phi = inverse(&product(&transposed(&model.x, n), &vx, p, n), p);
    let m = g.len();
    let h: Vec<Vec<f64>> = g.iter().map(|g| product(g, &vinv, n, n)).collect();
    let o: Vec<Vec<f64>> = g.iter().map(|g| product(g, &vx, n, n)).collect();
    let negative = |a: Vec<f64>| a.into_iter().map(|v| -v).collect::<Vec<f64>>();
    let derivatives: Vec<Vec<f64>> = o.iter().map(|o| negative(product(&transposed(&vx, n), o, p, n))).collect();
    let q = |i: usize, j: usize| product(&transposed(&o[i], n), &product(&vinv, &o[j], n, n), p, n);
    let mut information = vec![0.0; m * m];
    for i in 0..m {
        for j in 0..m {
            let pp = product(&derivatives[i], &product(&phi, &derivatives[j], p, p), p, p);
            let explained = 2.0 * trace_of_product(&phi, &q(i, j), p) - trace_of_product(&phi, &pp, p);
            information[j * m + i] = trace_of_product(&h[i], &h[j], n) - explained;
        }
    }
    let w: Vec<f64> = inverse(&information, m).iter().map(|v| 2.0 * v).collect();
    let mut sum = vec![0.0; p * p];
    for i in 0..m {
        for j in 0..m {
            let second = product(&derivatives[i], &product(&phi, &derivatives[j], p, p), p, p);
            q(i, j).iter().zip(&second).zip(&mut sum).for_each(|((q, s), sum)| *sum += w[j * m + i] * (q - s));
        }
    }
    let change = product(&phi, &product(&sum, &phi, p, p), p, p);
    let adjusted = phi.iter().zip(&change).map(|(phi, change)| phi + 2.0 * change).collect();
    Reference { derivatives, w, phi, adjusted }
}

fn close(name: &str, what: &str, a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len(), "{name}: {what}");
    let size = b.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    a.iter().zip(b).for_each(|(x, y)| assert!((x - y).abs() < tolerance * size, "{name}: {what} {x} and {y}"));
}

fn agrees(name: &str, model: &Model, theta: &[f64]) {
    let design = Design::new(&model.rows()).unwrap();
    let found = KenwardRoger::new(&design, theta, Workers::none()).unwrap();
    let expected = reference(model, theta);
    close(name, "covariance", &found.covariance(), &expected.phi, 1e-10);
    let (derivatives, w) = found.in_caller_parameters();
    close(name, "W", &w, &expected.w, 1e-8);
    derivatives.iter().zip(&expected.derivatives).for_each(|(a, b)| close(name, "P", a, b, 1e-9));
    close(name, "adjusted covariance", &found.adjusted_covariance(), &expected.adjusted, 1e-9);
}

#[test]
fn it_is_that_of_dense_matrices() {
    for (name, model) in designs() {
        agrees(name, &model, &some_theta(&model));
    }
}

#[test]
fn it_is_that_of_dense_matrices_at_the_boundary() {
    for (name, model) in designs() {
        // variances that are zero, and correlations of one
        let mut theta = some_theta(&model);
        let mut at = 0;
        for (index, (_, z)) in model.terms.iter().enumerate() {
            let k = z.len() / model.n;
            for c in 0..k {
                if c == k - 1 && (k > 1 || index > 0) {
                    theta[at] = 0.0;
                }
                at += k - c;
            }
        }
        agrees(name, &model, &theta);
    }
}

#[test]
fn units_of_predictors_do_not_matter() {
    let model = simulate(12, 150, 3, &[15, 9], &[(0, 2), (1, 1)]);
    let theta = some_theta(&model);
    let mut wild = model.clone();
    let n = model.n;
    wild.x[n..2 * n].iter_mut().for_each(|v| *v = *v * 1e-9 + 2e-7);
    wild.x[2 * n..].iter_mut().for_each(|v| *v = *v * 1e9 - 3e9);
    wild.terms[0].1[n..].iter_mut().for_each(|v| *v *= 1e-9);
    let mut moved = theta.clone();
    (moved[1], moved[2]) = (theta[1] * 1e9, theta[2] * 1e9);
    let of = |model: &Model, theta: &[f64]| KenwardRoger::new(&Design::new(&model.rows()).unwrap(), theta, Workers::none()).unwrap();
    let (a, b) = (of(&model, &theta), of(&wild, &moved));
    let (l, l_wild) = ([0.0, 1.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let a = a.test(&l, &[0.4, -0.2]).unwrap();
    let b = b.test(&l_wild, &[0.4e9, -0.2e-9]).unwrap();
    assert_eq!((a.rank, b.rank), (2, 2));
    for (a, b) in [(a.df, b.df), (a.f, b.f), (a.scale, b.scale)] {
        assert!((a / b - 1.0).abs() < 1e-6, "{a} {b}");
    }
}

#[test]
fn an_absorbed_factor_is_its_dummies() {
    let (n, levels) = (300, 30);
    let mut model = simulate(35, n, 2, &[40, 25, levels], &[(0, 2), (1, 1)]);
    let covariate = model.x.split_off(n);
    let mut dense = vec![1.0; n];
    (1..levels).for_each(|l| dense.extend(model.codes[2].iter().map(|&c| f64::from(u8::from(c as usize == l + 1)))));
    dense.extend(&covariate);
    (model.x, model.p) = (covariate, 1);
    let theta = some_theta(&model);
    let absorbed = Rows { absorbed: Some(Absorbed { factor: 2, intercept: true, first: 1 }), ..model.rows() };
    let dense = Rows { x: &dense, p: levels + 1, ..model.rows() };
    let [a, b] = [&absorbed, &dense].map(|rows| KenwardRoger::new(&Design::new(rows).unwrap(), &theta, Workers::none()).unwrap());
    close("absorbed", "adjusted covariance", &a.adjusted_covariance(), &b.adjusted_covariance(), 1e-9);
    let (p, w) = (a.in_caller_parameters(), b.in_caller_parameters());
    close("absorbed", "W", &p.1, &w.1, 1e-8);
    p.0.iter().zip(&w.0).for_each(|(a, b)| close("absorbed", "P", a, b, 1e-9));
    let l: Vec<f64> = (0..2 * (levels + 1)).map(|t| ((t * 7 % 11) as f64 - 5.0) / 5.0).collect();
    let [a, b] = [a, b].map(|found| found.test(&l, &[1.0, 2.0]).unwrap());
    assert!((a.df / b.df - 1.0).abs() < 1e-8 && (a.f / b.f - 1.0).abs() < 1e-8);
}

#[test]
fn rows_that_others_imply_count_once() {
    let model = simulate(12, 120, 3, &[15], &[(0, 2)]);
    let found = KenwardRoger::new(&Design::new(&model.rows()).unwrap(), &some_theta(&model), Workers::none()).unwrap();
    let once = found.test(&[0.0, 1.0, 0.0, 0.0, 0.0, 1.0], &[0.5, 0.3]).unwrap();
    let twice = found.test(&[0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0], &[0.5, 0.8, 0.2, 0.0]).unwrap();
    assert_eq!((once.rank, twice.rank), (2, 2));
    for (a, b) in [(once.df, twice.df), (once.f, twice.f), (once.scale, twice.scale)] {
        assert!((a / b - 1.0).abs() < 1e-10, "{a} {b}");
    }
    let contradictory = found.test(&[0.0, 1.0, 0.0, 0.0, 2.0, 0.0], &[0.5, 0.3]);
    assert!(matches!(contradictory, Err(Error::Invalid(text)) if text.contains("contradict")));
    assert!(matches!(found.test(&[0.0; 3], &[0.0]), Err(Error::Invalid(text)) if text.contains("zero")));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let crossed = simulate(9, 260, 2, &[60, 55], &[(0, 2), (1, 1)]);
    for model in [crossed, designs().remove(7).1] {
        let (design, theta) = (Design::new(&model.rows()).unwrap(), some_theta(&model));
        let on = |threads| {
            let found = KenwardRoger::new(&design, &theta, &Workers::new(threads)).unwrap();
            (found.adjusted_covariance(), found.in_caller_parameters())
        };
        let one = on(1);
        assert!(one == on(2) && one == on(3));
    }
}

#[test]
fn the_user_may_stop() {
    let model = simulate(9, 260, 2, &[60, 55], &[(0, 1), (1, 1)]);
    let design = Design::new(&model.rows()).unwrap();
    for threads in [1, 2] {
        let workers = Workers::new(threads).stopped_by(|| true);
        assert!(matches!(KenwardRoger::new(&design, &some_theta(&model), &workers), Err(Error::Interrupted)));
    }
}
