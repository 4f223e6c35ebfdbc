//! The unit in which a predictor is measured changes the numbers that belong to it, and nothing else.

mod common;

use common::{simulate, Model};
use fastlmer_engine::{fit, least_diagonal, refit, BatchOptions, Design, Fit, Options, Responses};

/// Powers of ten that predictors are multiplied by.
const UNITS: [i32; 7] = [-9, -6, -3, 0, 3, 6, 9];

/// The model with predictor j, which is column j of X and of the terms that have so many columns, multiplied by `units[j]`.
fn in_units(model: &Model, units: &[f64]) -> Model {
    let mut out = model.clone();
    let n = model.n;
    for (j, unit) in units.iter().enumerate() {
        out.x[j * n..(j + 1) * n].iter_mut().for_each(|v| *v *= unit);
        for (_, z) in out.terms.iter_mut().filter(|(_, z)| z.len() > j * n) {
            z[j * n..(j + 1) * n].iter_mut().for_each(|v| *v *= unit);
        }
    }
    out
}

/// Per element of theta the unit of its row.
fn theta_units(model: &Model, units: &[f64]) -> Vec<f64> {
    let columns = |z: &[f64]| z.len() / model.n;
    model.terms.iter().flat_map(|(_, z)| (0..columns(z)).flat_map(move |c| (c..columns(z)).map(|r| units[r]))).collect()
}

/// Random slopes of one predictor or of both; in those that are called flat no response has any, so that fits are singular.
fn models() -> Vec<(&'static str, Model)> {
    let mut out = vec![
        ("one factor", simulate(2, 120, 3, &[15], &[(0, 3)])),
        ("few effects", simulate(8, 200, 3, &[20, 9], &[(0, 2), (1, 3)])),
        ("crossed", simulate(9, 700, 3, &[90, 60], &[(0, 2), (1, 2)])),
        ("flat", simulate(11, 200, 3, &[25], &[(0, 3)])),
        ("flat and crossed", simulate(12, 250, 3, &[20, 12], &[(0, 3), (1, 2)])),
    ];
    for (name, model) in &mut out {
        let (n, slopes) = (model.n, !name.starts_with("flat"));
        let mut rng = common::Uniform(5);
        model.y = (0..n).map(|_| rng.normal()).collect();
        for (factor, z) in &mut model.terms {
            let k = z.len() / n;
            z[n..].iter_mut().zip(&model.x[n..]).for_each(|(z, x)| *z = *x);
            for c in (0..k).filter(|&c| c == 0 || slopes) {
                let b: Vec<f64> = (0..model.levels[*factor]).map(|_| rng.normal()).collect();
                (0..n).for_each(|i| model.y[i] += z[c * n + i] * b[model.codes[*factor][i] as usize - 1]);
            }
        }
    }
    out
}

fn fitted(model: &Model, reml: bool) -> (f64, Fit) {
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let found = fit(&design, &rows, &model.y, &Options { reml, ..Options::default() }).unwrap();
    (least_diagonal(&design.structure, &found.theta), found)
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

/// All combinations of units for two predictors.
fn combinations() -> impl Iterator<Item = [f64; 3]> {
    let power = |e: i32| 10.0_f64.powi(e);
    UNITS.into_iter().flat_map(move |a| UNITS.into_iter().map(move |b| [1.0, power(a), power(b)]))
}

#[test]
fn a_fit_is_the_same_in_all_units() {
    for (name, model) in models() {
        for reml in [true, false] {
            let (least, expected) = fitted(&model, reml);
            for units in combinations() {
                let (least_there, found) = fitted(&in_units(&model, &units), reml);
                let context = format!("{name}, reml {reml}, units {units:?}: {:?} for {:?}", found.theta, expected.theta);
                let logs = if reml { 2.0 * units.iter().map(|u| u.ln()).sum::<f64>() } else { 0.0 };
                assert!(
                    near(found.criterion - logs, expected.criterion, 1e-9),
                    "{context}: {} {}",
                    found.criterion - logs,
                    expected.criterion
                );
                assert_eq!(found.converged, expected.converged, "{context}");
                assert!(near(found.sigma, expected.sigma, 1e-6), "{context}");
                assert_eq!(least_there < 1e-4, least < 1e-4, "{context}: {least_there:e} {least:e}");
                for ((a, b), unit) in found.theta.iter().zip(&expected.theta).zip(theta_units(&model, &units)) {
                    assert!(near(a * unit, *b, 1e-5) && (*a == 0.0) == (*b == 0.0), "{context}");
                }
                for ((a, b), unit) in found.beta.iter().zip(&expected.beta).zip(&units) {
                    assert!(near(a * unit, *b, 1e-6), "{context}: {:?} {:?}", found.beta, expected.beta);
                }
            }
        }
    }
}

#[test]
fn the_criterion_reported_is_that_at_the_theta_reported() {
    for (name, model) in models() {
        for units in combinations() {
            let there = in_units(&model, &units);
            let (_, found) = fitted(&there, true);
            let rows = there.rows();
            let design = Design::new(&rows).unwrap();
            let options = Options { start: Some(found.theta.clone()), fixed: true, ..Options::default() };
            let again = fit(&design, &rows, &there.y, &options).unwrap();
            assert!(near(again.criterion, found.criterion, 1e-11), "{name}, units {units:?}: {} {}", again.criterion, found.criterion);
        }
    }
}

#[test]
fn refits_are_the_same_in_all_units() {
    for (name, model) in models() {
        let refitted = |model: &Model| {
            let rows = model.rows();
            let design = Design::new(&rows).unwrap();
            let options = BatchOptions::default();
            refit(&design, &rows, &Responses::Given(&model.y), &options).unwrap().remove(0).unwrap()
        };
        let expected = refitted(&model);
        for units in combinations() {
            let found = refitted(&in_units(&model, &units));
            assert_eq!(found.least < 1e-4, expected.least < 1e-4, "{name}, units {units:?}: {:?}", found.theta);
            assert!(near(found.sigma, expected.sigma, 1e-6) && found.converged == expected.converged, "{name}, units {units:?}");
        }
    }
}
