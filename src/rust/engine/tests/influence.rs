//! Deletions beside fits of the remaining rows.

mod common;

use common::{designs, Model};
use fastlmer_engine::{fit, influence, Deletions, Design, Options, Remnant, Rows};

/// The model without the rows of a deletion.
fn without(model: &Model, codes: &[i32], deletion: i32) -> Model {
    let kept: Vec<usize> = (0..model.n).filter(|&i| codes[i] != deletion).collect();
    let columns = |values: &[f64]| values.chunks_exact(model.n).flat_map(|c| kept.iter().map(move |&i| c[i])).collect::<Vec<_>>();
    Model {
        n: kept.len(),
        x: columns(&model.x),
        y: columns(&model.y),
        codes: model.codes.iter().map(|codes| kept.iter().map(|&i| codes[i]).collect()).collect(),
        terms: model.terms.iter().map(|(f, z)| (*f, columns(z))).collect(),
        weights: model.weights.as_deref().map(columns),
        ..model.clone()
    }
}

fn deletions<'a>(codes: &'a [i32], count: usize, start: &'a [f64], reml: bool, threads: usize) -> Deletions<'a> {
    Deletions { codes, count, reml, start, max_evaluations: 1000, threads, interrupted: &|_| false, ask: None }
}

/// sigma^2 Lambda Lambda' of each term, and sigma^2.
fn variances(model: &Model, theta: &[f64], sigma: f64) -> Vec<f64> {
    let (mut out, mut at) = (vec![sigma * sigma], 0);
    for (_, z) in &model.terms {
        let k = z.len() / model.n;
        let mut l = vec![0.0; k * k];
        for c in 0..k {
            for r in c..k {
                l[c * k + r] = theta[at];
                at += 1;
            }
        }
        out.extend((0..k * k).map(|i| sigma * sigma * (0..k).map(|s| l[s * k + i % k] * l[s * k + i / k]).sum::<f64>()));
    }
    out
}

fn agree(name: &str, model: &Model, found: &Remnant, codes: &[i32], deletion: i32, reml: bool) {
    let rest = without(model, codes, deletion);
    let design = Design::new(&rest.rows()).unwrap();
    let best = fit(&design, &rest.rows(), &rest.y, &Options { reml, ..Options::default() }).unwrap();
    let near = |a: &[f64], b: &[f64], what: &str| {
        let size = b.iter().fold(1e-3_f64, |most, v| most.max(v.abs()));
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() < 1e-5 * size, "{name} without {deletion}, {what}: {a} for {b}"));
    };
    near(&found.beta, &best.beta, "beta");
    near(&variances(model, &found.theta, found.sigma), &variances(model, &best.theta, best.sigma), "variances");
    near(&found.unscaled_covariance, &best.unscaled_covariance, "covariance of beta");
    assert!(found.converged);
}

#[test]
fn a_deletion_is_a_fit_of_the_rows_that_remain() {
    for (name, model) in designs() {
        let (rows, design) = (model.rows(), Design::new(&model.rows()).unwrap());
        for reml in [true, false] {
            let whole = fit(&design, &rows, &model.y, &Options { reml, ..Options::default() }).unwrap();
            let by_row: Vec<i32> = (0..model.n as i32).map(|i| if i % 7 == 0 { i / 7 + 1 } else { 0 }).collect();
            for (codes, count) in [(&by_row, model.n.div_ceil(7)), (&model.codes[0], model.levels[0].min(10))] {
                let codes: Vec<i32> = codes.iter().map(|&c| if c as usize <= count { c } else { 0 }).collect();
                let found = influence(&design, &rows, &model.y, &deletions(&codes, count, &whole.theta, reml, 1)).unwrap();
                assert_eq!(found.len(), count);
                for (deletion, found) in (1..).zip(&found) {
                    agree(name, &model, found.as_ref().unwrap(), &codes, deletion, reml);
                }
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (name, model) in designs() {
        let (rows, design) = (model.rows(), Design::new(&model.rows()).unwrap());
        let theta = vec![0.5; design.structure.entries.len()];
        let run =
            |threads| influence(&design, &rows, &model.y, &deletions(&model.codes[0], model.levels[0], &theta, true, threads)).unwrap();
        assert_eq!(run(1), run(3), "{name}");
    }
}

#[test]
fn what_remains_is_judged_anew() {
    // Without the rows of level 3 the second column is constant, and without most rows there is nothing to fit.
    let mut model = common::simulate(31, 60, 2, &[6], &[(0, 1)]);
    (0..60).for_each(|i| model.x[60 + i] = if model.codes[0][i] == 3 { 1.0 } else { 0.0 });
    let (rows, design) = (model.rows(), Design::new(&model.rows()).unwrap());
    let theta = [0.5];
    let found = influence(&design, &rows, &model.y, &deletions(&model.codes[0], 6, &theta, true, 1)).unwrap();
    let third = found[2].as_ref().unwrap();
    assert!(third.beta[0].is_finite() && third.beta[1].is_nan());
    assert!(third.unscaled_covariance[0].is_finite() && third.unscaled_covariance[1..].iter().all(|v| v.is_nan()));
    let rest = without(&model, &model.codes[0], 3);
    let intercept = Model { p: 1, x: rest.x[..rest.n].to_vec(), ..rest };
    let best = fit(&Design::new(&intercept.rows()).unwrap(), &intercept.rows(), &intercept.y, &Options::default()).unwrap();
    assert!((third.beta[0] - best.beta[0]).abs() < 1e-8 && (third.sigma - best.sigma).abs() < 1e-8);

    let all_but_one: Vec<i32> = (0..60).map(|i| i32::from(i > 0)).collect();
    let found = influence(&design, &rows, &model.y, &deletions(&all_but_one, 1, &theta, true, 1)).unwrap();
    assert_eq!(found, [None]);
}

#[test]
fn an_outlier_leaves_no_trace() {
    // one response of 1e9 beside responses of ten: the sums with it know the others' squares to no digit
    let mut model = common::simulate(32, 80, 2, &[12], &[(0, 2)]);
    model.y[17] = 1e9;
    let (rows, design) = (model.rows(), Design::new(&model.rows()).unwrap());
    let codes: Vec<i32> = (0..80).map(|i| i32::from(i == 17)).collect();
    let found = influence(&design, &rows, &model.y, &deletions(&codes, 1, &[1.0, 0.0, 1.0], true, 1)).unwrap();
    agree("outlier", &model, found[0].as_ref().unwrap(), &codes, 1, true);
}

#[test]
fn a_column_in_any_unit_is_the_same_column() {
    for unit in [1e-9, 1.0, 1e9] {
        let mut model = common::simulate(33, 80, 2, &[12], &[(0, 2)]);
        model.x[80..].iter_mut().for_each(|x| *x = *x * unit + 1e3 * unit);
        model.terms[0].1[80..].iter_mut().for_each(|z| *z *= unit);
        let (rows, design) = (model.rows(), Design::new(&model.rows()).unwrap());
        let whole = fit(&design, &rows, &model.y, &Options::default()).unwrap();
        let found = influence(&design, &rows, &model.y, &deletions(&model.codes[0], 12, &whole.theta, true, 1)).unwrap();
        for (deletion, found) in (1..).zip(&found) {
            let rest = without(&model, &model.codes[0], deletion);
            let best = fit(&Design::new(&rest.rows()).unwrap(), &rest.rows(), &rest.y, &Options::default()).unwrap();
            let found = found.as_ref().unwrap();
            for j in 0..2 {
                let error = best.unscaled_covariance[3 * j].sqrt() * best.sigma;
                assert!((found.beta[j] - best.beta[j]).abs() < 1e-5 * error, "unit {unit}, {deletion}");
            }
            assert!((found.sigma - best.sigma).abs() < 1e-6 * best.sigma);
        }
    }
}

#[test]
fn nonsense_is_refused_and_a_stop_is_heard() {
    let model = common::simulate(34, 40, 1, &[8], &[(0, 1)]);
    let (rows, design) = (model.rows(), Design::new(&model.rows()).unwrap());
    let try_it = |codes: &[i32], start: &[f64]| influence(&design, &rows, &model.y, &deletions(codes, 8, start, true, 1)).is_err();
    assert!(try_it(&model.codes[0][..39], &[0.5]) && try_it(&[9; 40], &[0.5]) && try_it(&[-1; 40], &[0.5]));
    assert!(try_it(&model.codes[0], &[]) && try_it(&model.codes[0], &[f64::NAN]));
    for threads in [1, 2] {
        let stopped = Deletions { interrupted: &|_| true, ..deletions(&model.codes[0], 8, &[0.5], true, threads) };
        assert!(influence(&design, &rows, &model.y, &stopped).is_err());
    }
    let _: Rows = rows;
}
