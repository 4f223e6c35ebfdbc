//! What the likelihood doesn't determine is zero, and the rest is what it is without it.

mod common;

use common::{simulate, Model};
use fastlmer_engine::{fit, refit, Absorbed, BatchOptions, Design, Evaluator, Fit, Options, Response, Responses, Rows, Source, Workers};

/// The columns of a factor's levels but the first.
fn dummies(model: &Model, factor: usize) -> Vec<f64> {
    (2..=model.levels[factor] as i32).flat_map(|l| model.codes[factor].iter().map(move |&c| f64::from(u8::from(c == l)))).collect()
}

/// A model with a factor that is fixed and random.
fn both(seed: u64, factor: usize, terms: &[(usize, usize)]) -> Model {
    let mut model = simulate(seed, 240, 2, &[8, 24], terms);
    let more = dummies(&model, factor);
    model.p += more.len() / model.n;
    model.x.extend(more);
    model
}

fn fitted(model: &Model, start: Option<Vec<f64>>, reml: bool) -> (Design, Fit) {
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let found = fit(&design, &rows, &model.y, &Options { reml, start, ..Options::default() }).unwrap();
    (design, found)
}

#[test]
fn a_factor_both_fixed_and_random_has_no_variance() {
    for (factor, terms, own) in
        [(0, vec![(0, 1)], 0), (0, vec![(0, 1), (1, 1)], 0), (0, vec![(1, 1), (0, 1)], 1), (1, vec![(0, 2), (1, 1)], 3)]
    {
        let model = both(7, factor, &terms);
        let (design, found) = fitted(&model, None, true);
        assert!(found.converged && found.theta[own] == 0.0, "{:?}", found.theta);
        assert_eq!(found.undetermined.len(), 1);
        let Source::Fixed { columns, absorbed: false } = &found.undetermined[0].source else { panic!("{:?}", found.undetermined) };
        let dummies: Vec<usize> = columns.iter().copied().filter(|&c| c != 0).collect();
        assert_eq!(dummies, (2..model.p).collect::<Vec<_>>());
        // no worse anywhere else, and the same from another start
        let response = Response::new(&design, &model.rows(), &model.y, Workers::none()).unwrap();
        let mut evaluator = Evaluator::new(&design, &response);
        for other in [0.1, 1.0, 5.0] {
            let mut theta = found.theta.clone();
            theta[own] = other;
            let value = evaluator.criterion(&theta, true);
            assert!((value - found.criterion).abs() < 1e-8, "{value} {}", found.criterion);
        }
        let (_, again) = fitted(&model, Some(vec![0.7; found.theta.len()]), true);
        again.theta.iter().zip(&found.theta).for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
        // maximum likelihood finds the zero by itself
        let (_, ml) = fitted(&model, None, false);
        assert!(ml.undetermined.is_empty() && ml.theta[own] == 0.0);
    }
}

#[test]
fn only_the_spanned_columns_of_a_term_are_zero() {
    // constants of the levels are fixed effects, slopes are not
    let model = both(8, 0, &[(0, 2), (1, 1)]);
    let (_, found) = fitted(&model, None, true);
    assert_eq!((found.theta[0], found.theta[1]), (0.0, 0.0));
    assert!(found.theta[2] > 0.0);
    assert_eq!(found.undetermined.iter().map(|u| (u.term, u.column)).collect::<Vec<_>>(), [(0, 0)]);
    let mut alone = both(8, 0, &[(0, 2), (1, 1)]);
    let slopes = alone.terms[0].1.split_off(alone.n);
    alone.terms[0].1 = slopes;
    let (_, expected) = fitted(&alone, None, true);
    assert!((found.criterion - expected.criterion).abs() < 1e-8);
    assert!((found.theta[2] - expected.theta[0]).abs() < 1e-6 && (found.theta[3] - expected.theta[1]).abs() < 1e-6);
    found.unscaled_covariance.iter().zip(&expected.unscaled_covariance).for_each(|(a, b)| assert!((a - b).abs() < 1e-6 * (1.0 + b.abs())));
}

#[test]
fn nothing_is_said_of_what_is_determined() {
    for terms in [vec![(0, 1)], vec![(0, 2), (1, 2)]] {
        let model = simulate(9, 240, 2, &[8, 24], &terms);
        assert!(fitted(&model, None, true).1.undetermined.is_empty());
    }
}

#[test]
fn an_effect_for_every_row_is_the_residual() {
    let mut model = simulate(10, 120, 2, &[120, 10], &[(0, 1), (1, 1)]);
    model.codes[0] = (1..=120).collect();
    for reml in [true, false] {
        let (_, found) = fitted(&model, None, reml);
        assert_eq!((found.theta[0], &found.undetermined[0].source), (0.0, &Source::Residuals));
        let mut alone = simulate(10, 120, 2, &[120, 10], &[(0, 1), (1, 1)]);
        alone.terms.remove(0);
        alone.terms[0].0 = 0;
        alone.codes.remove(0);
        alone.levels.remove(0);
        let (_, expected) = fitted(&alone, None, reml);
        assert!((found.criterion - expected.criterion).abs() < 1e-8 && (found.sigma - expected.sigma).abs() < 1e-8);
    }
}

#[test]
fn an_absorbed_factor_spans_what_its_dummies_span() {
    // the random factor is the absorbed one, a coarser one, and one crossed with it
    for (case, random) in [(0, 1), (1, 1), (2, 0)] {
        let mut model = simulate(11, 300, 2, &[12, 60, 60], &[(0, 1), (1, 1)]);
        match case {
            0 => model.codes[1] = model.codes[2].clone(),
            1 => {
                model.codes[1] = model.codes[2].iter().map(|c| (c - 1) / 4 + 1).collect();
                model.levels[1] = 15;
            }
            _ => {}
        }
        let mut dense = model.x.clone();
        dense.extend(dummies(&model, 2));
        let p = dense.len() / model.n;
        let dense_rows = Rows { x: &dense, p, ..model.rows() };
        let absorbed = Absorbed { factor: 2, intercept: true, first: 2 };
        let x = model.x[model.n..].to_vec();
        let absorbed_rows = Rows { x: &x, p: 1, absorbed: Some(absorbed), ..model.rows() };
        let fits: Vec<Fit> = [dense_rows, absorbed_rows]
            .iter()
            .map(|rows| fit(&Design::new(rows).unwrap(), rows, &model.y, &Options::default()).unwrap())
            .collect();
        let places: Vec<Vec<usize>> = fits.iter().map(|f| f.undetermined.iter().map(|u| u.term).collect()).collect();
        assert_eq!(places[0], places[1]);
        assert_eq!(places[0], if random == 1 { vec![1] } else { vec![] });
        assert!(random == 0 || fits.iter().all(|f| f.theta[1] == 0.0));
        assert!((fits[0].criterion - fits[1].criterion).abs() < 1e-7);
        fits[0].theta.iter().zip(&fits[1].theta).for_each(|(a, b)| assert!((a - b).abs() < 1e-5));
    }
}

#[test]
fn a_batch_has_the_same_zeros() {
    let model = both(12, 0, &[(0, 2), (1, 1)]);
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let y: Vec<f64> = (0..3).flat_map(|i| model.y.iter().enumerate().map(move |(r, v)| v + ((r * 7 + i * 13) % 11) as f64 / 5.0)).collect();
    let start = [0.3, 0.1, 0.4, 0.5];
    let options = BatchOptions { start: Some(&start), effects: true, ..BatchOptions::default() };
    for (replicate, y) in refit(&design, &rows, &Responses::Given(&y), &options).unwrap().iter().zip(y.chunks_exact(model.n)) {
        let replicate = replicate.as_ref().unwrap();
        let alone = fit(&design, &rows, y, &Options { start: Some(start.to_vec()), ..Options::default() }).unwrap();
        assert_eq!((replicate.theta[0], replicate.theta[1]), (0.0, 0.0));
        replicate.theta.iter().zip(&alone.theta).for_each(|(a, b)| assert!((a - b).abs() < 1e-7));
    }
}

#[test]
fn a_response_that_is_fitted_exactly_has_no_variances() {
    let mut model = simulate(13, 240, 2, &[8, 24], &[(0, 2), (1, 1)]);
    for (scale, shift) in [(1.0, 0.0), (1e-3, 1e8), (0.0, 3.0)] {
        model.y = model.x[model.n..].iter().map(|x| scale * (2.0 * x + 1.0) + shift).collect();
        let (_, found) = fitted(&model, None, true);
        assert!(found.exact && found.converged && found.theta.iter().all(|t| *t == 0.0));
        assert!(found.sigma > 0.0 && found.sigma <= 2e-15 * (10.0 * scale.abs() + shift), "{}", found.sigma);
        model.y.iter_mut().enumerate().for_each(|(i, y)| *y += if i % 2 == 0 { 1e-5 } else { -1e-5 });
        assert!(!fitted(&model, None, true).1.exact);
    }
}
