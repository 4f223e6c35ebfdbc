//! The unit in which a predictor is measured changes the numbers that belong to it, and nothing else.

mod common;

use common::chunks::{finished, merged, products_of};
use common::{simulate, Model};
use fastlmer_engine::{fit, fit_response, least_diagonal, refit, Absorbed, BatchOptions, Design, Fit, Options, Responses, Rows};

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

/// How a fit comes by its cross-products.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// From all rows.
    Rows,
    /// From all rows, the last factor being one of the fixed effects.
    Absorbed,
    /// From rows that come in chunks.
    Chunks,
}

const WAYS: [Way; 3] = [Way::Rows, Way::Absorbed, Way::Chunks];

/// The rows of a model; with the last factor absorbed X has no constant of its own, and the factor has no random effects.
fn rows_of(model: &Model, way: Way) -> Rows<'_> {
    let rows = model.rows();
    if way != Way::Absorbed {
        return rows;
    }
    let absorbed = Absorbed { factor: model.levels.len() - 1, intercept: true, first: 1 };
    Rows { x: &model.x[model.n..], p: model.p - 1, absorbed: Some(absorbed), ..rows }
}

/// Models for a way, with another factor where one is absorbed.
fn models_of(way: Way) -> Vec<(&'static str, Model)> {
    let mut out = models();
    if way == Way::Absorbed {
        let mut rng = common::Uniform(8);
        for (_, model) in &mut out {
            model.codes.push((0..model.n).map(|_| (rng.next() * 11.0) as i32 + 1).collect());
            model.levels.push(11);
        }
    }
    out
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

fn fitted(model: &Model, way: Way, options: &Options) -> (f64, Fit) {
    let (design, found) = if way == Way::Chunks {
        let order: Vec<usize> = (0..model.n).collect();
        let (design, response) = finished(model, merged(order.chunks(50).map(|rows| products_of(model, rows)).collect()));
        let found = fit_response(&design, &response, None, options).unwrap();
        (design, found)
    } else {
        let rows = rows_of(model, way);
        let design = Design::new(&rows).unwrap();
        let found = fit(&design, &rows, &model.y, options).unwrap();
        (design, found)
    };
    (least_diagonal(&design.structure, &found.theta), found)
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

/// All combinations of units for two predictors; of some for the ways that take longer.
fn combinations(way: Way) -> Vec<[f64; 3]> {
    let units = UNITS.into_iter().filter(|unit| way == Way::Rows || unit % 6 != 0 || *unit == 0).map(|e| 10.0_f64.powi(e));
    units.clone().flat_map(|a| units.clone().map(move |b| [1.0, a, b])).collect()
}

/// What differs between a fit and the same in units of one, if anything does.
fn difference(
    model: &Model,
    units: &[f64],
    reml: bool,
    (least, expected): &(f64, Fit),
    (least_there, found): &(f64, Fit),
) -> Option<String> {
    let logs = if reml { 2.0 * units.iter().map(|u| u.ln()).sum::<f64>() } else { 0.0 };
    let thetas = || found.theta.iter().zip(&expected.theta).zip(theta_units(model, units));
    // the predictors' coefficients come last, after those of the constant or of an absorbed factor
    let before = expected.beta.len() - model.p;
    let betas = || found.beta.iter().zip(&expected.beta).zip(std::iter::repeat_n(&1.0, before).chain(units));
    let same = [
        ("criterion", near(found.criterion - logs, expected.criterion, 1e-9)),
        ("converged", found.converged == expected.converged),
        ("sigma", near(found.sigma, expected.sigma, 1e-6)),
        ("singular", (*least_there < 1e-4) == (*least < 1e-4)),
        ("theta", thetas().all(|((a, b), unit)| near(a * unit, *b, 1e-5) && (*a == 0.0) == (*b == 0.0))),
        ("beta", found.beta.len() == expected.beta.len() && betas().all(|((a, b), unit)| near(a * unit, *b, 1e-6))),
    ];
    same.into_iter().find(|(_, same)| !same).map(|(what, _)| format!("{what}: {found:?} for {expected:?}"))
}

#[test]
fn a_fit_is_the_same_in_all_units() {
    for way in WAYS {
        for (name, model) in models_of(way) {
            for reml in [true, false] {
                let options = Options { reml, ..Options::default() };
                let expected = fitted(&model, way, &options);
                for units in combinations(way) {
                    let found = fitted(&in_units(&model, &units), way, &options);
                    let differs = difference(&model, &units, reml, &expected, &found);
                    assert!(differs.is_none(), "{way:?}, {name}, reml {reml}, units {units:?}: {}", differs.unwrap_or_default());
                }
            }
        }
    }
}

#[test]
fn the_ways_to_the_products_agree() {
    for (name, model) in models_of(Way::Rows) {
        let [(_, rows), (_, chunks)] = [Way::Rows, Way::Chunks].map(|way| fitted(&model, way, &Options::default()));
        assert!(near(rows.criterion, chunks.criterion, 1e-9) && near(rows.sigma, chunks.sigma, 1e-6), "{name}");
    }
}

#[test]
fn the_criterion_reported_is_that_at_the_theta_reported() {
    for way in WAYS {
        for (name, model) in models_of(way) {
            for units in combinations(way) {
                let there = in_units(&model, &units);
                let (_, found) = fitted(&there, way, &Options::default());
                let options = Options { start: Some(found.theta.clone()), fixed: true, ..Options::default() };
                let (_, again) = fitted(&there, way, &options);
                let context = format!("{way:?}, {name}, units {units:?}: {} {}", again.criterion, found.criterion);
                assert!(near(again.criterion, found.criterion, 1e-11), "{context}");
            }
        }
    }
}

#[test]
fn refits_are_the_same_in_all_units() {
    for (way, (name, model)) in [Way::Rows, Way::Absorbed].into_iter().flat_map(|way| models_of(way).into_iter().map(move |m| (way, m))) {
        let refitted = |model: &Model| {
            let rows = rows_of(model, way);
            let design = Design::new(&rows).unwrap();
            let options = BatchOptions::default();
            refit(&design, &rows, &Responses::Given(&model.y), &options).unwrap().remove(0).unwrap()
        };
        let expected = refitted(&model);
        for units in combinations(way) {
            let found = refitted(&in_units(&model, &units));
            assert_eq!(found.least < 1e-4, expected.least < 1e-4, "{way:?}, {name}, units {units:?}: {:?}", found.theta);
            assert!(near(found.sigma, expected.sigma, 1e-6) && found.converged == expected.converged, "{way:?}, {name}, units {units:?}");
        }
    }
}
