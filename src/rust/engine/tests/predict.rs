//! The variance of predictions against the inverse of the whole penalised system.

mod common;

use common::{designs, simulate, some_theta, Model, Uniform};
use fastlmer_engine::small::{cholesky, inverse_from_cholesky};
use fastlmer_engine::{Absorbed, Design, Error, NewRows, Predictor, Rows, Workers};

/// New rows in memory of their own: values of other sizes than the model's, levels that it has and, with `unseen`, some that it hasn't.
struct New {
    n: usize,
    x: Vec<f64>,
    codes: Vec<Vec<i32>>,
    z: Vec<Vec<f64>>,
}

impl New {
    fn draw(model: &Model, n: usize, unseen: bool) -> Self {
        let mut rng = Uniform(5);
        let draw = |k: usize, rng: &mut Uniform| (0..n * k).map(|i| if i < n { 1.0 } else { 2.0 * rng.normal() + 1.0 }).collect();
        let x = draw(model.p, &mut rng);
        let z = model.terms.iter().map(|(_, z)| draw(z.len() / model.n, &mut rng)).collect();
        let level = |m: usize, rng: &mut Uniform| rng.below(m + if unseen { 3 } else { 0 }) as i32;
        // as codes from 1 where nothing is unseen, else from 0 to beyond the last one
        let codes = model.levels.iter().map(|&m| (0..n).map(|_| level(m, &mut rng) + i32::from(!unseen)).collect()).collect();
        New { n, x, codes, z }
    }

    fn rows(&self) -> NewRows<'_> {
        NewRows {
            n: self.n,
            x: Some(&self.x),
            absorbed: None,
            codes: self.codes.iter().map(|c| &c[..]).collect(),
            terms: self.z.iter().map(|z| Some(&z[..])).collect(),
        }
    }
}

/// Lambda' times a term's columns of a row.
fn scaled(z: impl Fn(usize) -> f64, k: usize, theta: &[f64]) -> Vec<f64> {
    let mut at = 0;
    (0..k)
        .map(|c| {
            let value = (c..k).map(|r| theta[at + r - c] * z(r)).sum();
            at += k - c;
            value
        })
        .collect()
}

/// Columns of X and of Z Lambda in a row, and the variance of the effects of unseen levels.
fn whole_row(model: &Model, new: &New, i: usize, theta: &[f64], with: [bool; 2]) -> (Vec<f64>, f64) {
    let mut row: Vec<f64> = (0..model.p).map(|j| if with[0] { new.x[j * new.n + i] } else { 0.0 }).collect();
    let (mut at, mut apart) = (0, 0.0);
    for ((factor, z), own) in model.terms.iter().zip(&new.z) {
        let (k, levels) = (z.len() / model.n, model.levels[*factor]);
        let values = scaled(|c| own[c * new.n + i], k, &theta[at..]);
        at += k * (k + 1) / 2;
        let mut effects = vec![0.0; k * levels];
        let code = new.codes[*factor][i];
        if with[1] && code >= 1 && code as usize <= levels {
            let first = (code as usize - 1) * k;
            effects[first..first + k].copy_from_slice(&values);
        } else if with[1] {
            apart += values.iter().map(|v| v * v).sum::<f64>();
        }
        row.extend(effects);
    }
    (row, apart)
}

/// From the inverse of [X, Z Lambda]'W[X, Z Lambda] + [0, I].
fn reference(model: &Model, new: &New, theta: &[f64], with: [bool; 2]) -> Vec<f64> {
    let own = New { n: model.n, x: model.x.clone(), codes: model.codes.clone(), z: model.terms.iter().map(|(_, z)| z.clone()).collect() };
    let rows: Vec<Vec<f64>> = (0..model.n).map(|i| whole_row(model, &own, i, theta, [true, true]).0).collect();
    let size = rows[0].len();
    let mut system = vec![0.0; size * size];
    for (i, row) in rows.iter().enumerate() {
        let w = model.weights.as_ref().map_or(1.0, |w| w[i]);
        for c in 0..size {
            (0..size).for_each(|r| system[c * size + r] += w * row[r] * row[c]);
        }
    }
    (model.p..size).for_each(|i| system[i * size + i] += 1.0);
    assert!(cholesky(&mut system, size));
    let inverse = inverse_from_cholesky(&system, size);
    (0..new.n)
        .map(|i| {
            let (row, apart) = whole_row(model, new, i, theta, with);
            let form: f64 = (0..size * size).map(|t| row[t / size] * inverse[t] * row[t % size]).sum();
            form + apart
        })
        .collect()
}

fn expect_equal(ours: &[f64], reference: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), reference.len());
    for (a, b) in ours.iter().zip(reference) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1e-12), "{what}: {a} and {b}");
    }
}

#[test]
fn variances_are_those_of_the_whole_system() {
    for (name, model) in designs() {
        let design = Design::new(&model.rows()).unwrap();
        let theta = some_theta(&model);
        let singular: Vec<f64> = theta.iter().enumerate().map(|(i, t)| if i == 0 { 0.0 } else { *t }).collect();
        for theta in [&theta, &singular] {
            let predictor = Predictor::new(&design, theta, Workers::none()).unwrap();
            // few rows solve, many invert
            for (n, unseen) in [(7, false), (130, true), (400, false)] {
                let new = New::draw(&model, n, unseen);
                let ours = predictor.variances(&design, &new.rows(), Workers::none()).unwrap();
                expect_equal(&ours, &reference(&model, &new, theta, [true, true]), 1e-9, name);
            }
            let new = New::draw(&model, 20, true);
            let fixed = NewRows { terms: vec![None; model.terms.len()], ..new.rows() };
            let ours = predictor.variances(&design, &fixed, Workers::none()).unwrap();
            expect_equal(&ours, &reference(&model, &new, theta, [true, false]), 1e-9, name);
            let random = NewRows { x: None, ..new.rows() };
            let ours = predictor.variances(&design, &random, Workers::none()).unwrap();
            expect_equal(&ours, &reference(&model, &new, theta, [false, true]), 1e-9, name);
        }
    }
}

#[test]
fn units_do_not_matter() {
    let model = simulate(8, 150, 3, &[20, 9], &[(0, 2), (1, 1)]);
    let theta = some_theta(&model);
    let new = New::draw(&model, 30, true);
    let expected = reference(&model, &new, &theta, [true, true]);
    for unit in [1e-9, 1e9] {
        let mut other = model.clone();
        other.x[2 * 150..].iter_mut().for_each(|v| *v = unit * *v + 1e3 * unit);
        other.terms[0].1[150..].iter_mut().for_each(|v| *v *= unit);
        let theta: Vec<f64> = theta.iter().enumerate().map(|(i, t)| if i == 1 || i == 2 { t / unit } else { *t }).collect();
        let mut x = new.x.clone();
        x[2 * 30..].iter_mut().for_each(|v| *v = unit * *v + 1e3 * unit);
        let mut z = new.z.clone();
        z[0][30..].iter_mut().for_each(|v| *v *= unit);
        let moved = New { n: 30, x, codes: new.codes.clone(), z };
        let design = Design::new(&other.rows()).unwrap();
        let predictor = Predictor::new(&design, &theta, Workers::none()).unwrap();
        let ours = predictor.variances(&design, &moved.rows(), Workers::none()).unwrap();
        expect_equal(&ours, &expected, 1e-7, "units");
    }
}

#[test]
fn an_absorbed_factor_gives_what_its_dummy_columns_give() {
    for (intercept, levels) in [(true, [40, 15]), (false, [12, 30])] {
        let mut model = simulate(31, 300, 3, &levels, &[(0, 2)]);
        let dummies = |codes: &[i32]| -> Vec<f64> {
            let first = if intercept { 2 } else { 1 };
            (first..=levels[1] as i32).flat_map(|l| codes.iter().map(move |&c| f64::from(u8::from(c == l))).collect::<Vec<_>>()).collect()
        };
        let constant = |n: usize| if intercept { vec![1.0; n] } else { Vec::new() };
        let covariates = model.x.split_off(model.n);
        model.x = covariates.clone();
        model.p = 2;
        let dense = [constant(model.n), dummies(&model.codes[1]), covariates].concat();
        let new = New::draw(&model, 50, false);
        let whole = [constant(50), dummies(&new.codes[1]), new.x.clone()].concat();
        let dense_rows = Rows { x: &dense, p: levels[1] + 2, ..model.rows() };
        let absorbed = Absorbed { factor: 1, intercept, first: usize::from(intercept) };
        let theta = some_theta(&model);
        let codes = || vec![&new.codes[0][..], &new.codes[1][..]];
        let asked = [
            (Rows { absorbed: Some(absorbed), ..model.rows() }, NewRows { absorbed: Some(&new.codes[1]), ..new.rows() }),
            (dense_rows, NewRows { x: Some(&whole), codes: codes(), ..new.rows() }),
        ];
        let [ours, theirs] = asked.map(|(rows, new)| {
            let design = Design::new(&rows).unwrap();
            Predictor::new(&design, &theta, Workers::none()).unwrap().variances(&design, &new, Workers::none()).unwrap()
        });
        expect_equal(&ours, &theirs, 1e-8, "absorbed");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let mut nested = simulate(22, 4000, 2, &[400, 40], &[(0, 1), (1, 1)]);
    nested.codes[1] = nested.codes[0].iter().map(|c| (c - 1) % 40 + 1).collect();
    for model in [simulate(23, 4000, 3, &[250, 90], &[(0, 2), (1, 1)]), nested] {
        let design = Design::new(&model.rows()).unwrap();
        let theta = some_theta(&model);
        for n in [1, 80, 1000] {
            let new = New::draw(&model, n, true);
            let bits = |threads: usize| -> Vec<u64> {
                let workers = Workers::new(threads);
                let predictor = Predictor::new(&design, &theta, &workers).unwrap();
                predictor.variances(&design, &new.rows(), &workers).unwrap().iter().map(|v| v.to_bits()).collect()
            };
            assert_eq!(bits(1), bits(3), "{n} rows");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let model = simulate(2, 80, 2, &[12], &[(0, 2)]);
    let design = Design::new(&model.rows()).unwrap();
    let theta = some_theta(&model);
    let predictor = Predictor::new(&design, &theta, Workers::none()).unwrap();
    let new = New::draw(&model, 4, false);
    let bad = [
        NewRows { x: Some(&new.x[..5]), ..new.rows() },
        NewRows { codes: vec![], ..new.rows() },
        NewRows { terms: vec![], ..new.rows() },
        NewRows { terms: vec![Some(&new.z[0][..3])], ..new.rows() },
    ];
    for rows in bad {
        assert!(matches!(predictor.variances(&design, &rows, Workers::none()), Err(Error::Invalid(_))));
    }
    let stopped = Workers::new(1).stopped_by(|| true);
    assert_eq!(predictor.variances(&design, &new.rows(), &stopped), Err(Error::Interrupted));
    assert!(Predictor::new(&design, &theta, &stopped).is_err());
    assert!(Predictor::new(&design, &[f64::NAN, 0.0, 0.0], Workers::none()).is_err());
}
