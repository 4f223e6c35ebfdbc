//! Optima against published values and against brute force.

mod common;

use common::{designs, simulate, Uniform};
use fastlmer_engine::{fit, Design, Error, Evaluator, Options, Response, Rows, Term, Workers};

/// Davies and Goldsmith (1972), table 6.3: yield of dyestuff in grams, six batches of five preparations.
const DYESTUFF: [f64; 30] = [
    1545., 1440., 1440., 1520., 1580., 1540., 1555., 1490., 1560., 1495., 1595., 1550., 1605., 1510., 1560., 1445., 1440., 1595., 1465.,
    1545., 1595., 1630., 1515., 1635., 1625., 1520., 1455., 1450., 1480., 1445.,
];
/// Box and Tiao (1973), table 5.1.4: the constructed data set whose between-batch variance is estimated as zero.
const DYESTUFF2: [f64; 30] = [
    7.298, 3.846, 2.434, 9.566, 7.990, 5.220, 6.556, 0.608, 11.788, -0.892, 0.110, 10.386, 13.434, 5.510, 8.166, 2.212, 4.852, 7.092,
    9.288, 4.980, 0.282, 9.014, 4.458, 9.446, 7.198, 1.722, 4.782, 8.106, 0.758, 3.758,
];

fn batches() -> Vec<i32> {
    (0..30).map(|i| i / 5 + 1).collect()
}

fn one_way<'a>(ones: &'a [f64], codes: &'a [i32]) -> Rows<'a> {
    Rows {
        n: 30,
        x: ones,
        p: 1,
        codes: vec![codes],
        levels: vec![6],
        terms: vec![Term { factor: 0, z: None, k: 1 }],
        weights: None,
        absorbed: None,
    }
}

#[test]
fn dyestuff_has_the_closed_form_of_the_balanced_one_way_layout() {
    // Balanced one-way layout with MSA = 11271.5 and MSE = 2451.25: REML sigma^2 = MSE,
    // sigma_b^2 = (MSA - MSE) / 5; maximum likelihood sigma_b^2 = (5 MSA / 6 - MSE) / 5.
    let (ones, codes) = ([1.0; 30], batches());
    let rows = one_way(&ones, &codes);
    let design = Design::new(&rows).unwrap();
    for reml in [true, false] {
        let f = fit(&design, &rows, &DYESTUFF, &Options { reml, ..Options::default() }).unwrap();
        let msa: f64 = if reml { 11271.5 } else { 11271.5 * 5.0 / 6.0 };
        assert!(f.converged);
        assert!((f.sigma * f.sigma - 2451.25).abs() < 1e-6 * 2451.25, "{}", f.sigma);
        let variance = (f.theta[0] * f.sigma).powi(2);
        let expected = (msa - 2451.25) / 5.0;
        assert!((variance - expected).abs() < 1e-6 * expected, "{variance} {expected}");
        assert!((f.beta[0] - 1527.5).abs() < 1e-9);
        // Bates, lme4: Mixed-effects modeling with R (2010), section 1.3: 319.6543 and 327.3271
        let published = if reml { 319.6543 } else { 327.3271 };
        assert!((f.criterion - published).abs() < 6e-5, "{}", f.criterion);
    }
}

#[test]
fn a_variance_of_zero_is_found_exactly() {
    let (ones, codes) = ([1.0; 30], batches());
    let rows = one_way(&ones, &codes);
    let design = Design::new(&rows).unwrap();
    for reml in [true, false] {
        let f = fit(&design, &rows, &DYESTUFF2, &Options { reml, ..Options::default() }).unwrap();
        assert_eq!(f.theta, [0.0]);
        assert!(f.converged);
        let mean = DYESTUFF2.iter().sum::<f64>() / 30.0;
        let rss: f64 = DYESTUFF2.iter().map(|y| (y - mean).powi(2)).sum();
        assert!((f.sigma * f.sigma - rss / if reml { 29.0 } else { 30.0 }).abs() < 1e-9);
    }
}

#[test]
fn a_term_that_vanishes_is_exactly_zero() {
    let mut found = 0;
    for seed in 0..40 {
        let mut model = simulate(seed, 30, 2, &[6], &[(0, 2)]);
        let mut rng = Uniform(seed + 1000);
        model.y.iter_mut().for_each(|y| *y = rng.normal());
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let f = fit(&design, &rows, &model.y, &Options::default()).unwrap();
        assert!(f.theta.iter().all(|t| *t == 0.0 || t.abs() > 1e-6), "{seed}: {:?}", f.theta);
        found += usize::from(f.theta == [0.0; 3]);
    }
    assert!(found > 0);
}

#[test]
fn zero_is_left_where_it_is_a_maximum() {
    // Dyestuff: at theta = 0 the derivative vanishes, but the curvature is negative.
    let (ones, codes) = ([1.0; 30], batches());
    let rows = one_way(&ones, &codes);
    let design = Design::new(&rows).unwrap();
    let f = fit(&design, &rows, &DYESTUFF, &Options { start: Some(vec![0.0]), ..Options::default() }).unwrap();
    assert!((f.criterion - 319.6543).abs() < 6e-5, "{}", f.criterion);
}

#[test]
fn no_neighbour_of_the_optimum_is_better() {
    for (name, model) in designs() {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let response = Response::new(&design, &rows, &model.y, Workers::none()).unwrap();
        let mut evaluator = Evaluator::new(&design, &response);
        for reml in [true, false] {
            let f = fit(&design, &rows, &model.y, &Options { reml, ..Options::default() }).unwrap();
            assert!(f.converged, "{name}: {}", f.message);
            let at_optimum = evaluator.criterion(&f.theta, reml);
            assert!((at_optimum - f.criterion).abs() < 1e-8 * f.criterion.abs(), "{name}: {at_optimum} and {}", f.criterion);
            for i in 0..f.theta.len() {
                for h in [-0.1, -1e-3, 1e-3, 0.1] {
                    let mut t = f.theta.clone();
                    t[i] += h;
                    let there = evaluator.criterion(&t, reml);
                    assert!(there > f.criterion - 1e-9, "{name}, theta {i} + {h}: {there} < {}", f.criterion);
                }
            }
        }
    }
}

#[test]
fn large_means_and_time_stamps_do_not_cancel() {
    let model = simulate(21, 200, 2, &[20], &[(0, 1)]);
    let mut shifted = simulate(21, 200, 2, &[20], &[(0, 1)]);
    shifted.y.iter_mut().for_each(|v| *v += 1e8);
    shifted.x[200..].iter_mut().for_each(|v| *v += 1.7e9);
    let a = fit(&Design::new(&model.rows()).unwrap(), &model.rows(), &model.y, &Options::default()).unwrap();
    let b = fit(&Design::new(&shifted.rows()).unwrap(), &shifted.rows(), &shifted.y, &Options::default()).unwrap();
    // adding 1e8 to y keeps 8 decimals, adding 1.7e9 to x keeps 6
    assert!((a.criterion - b.criterion).abs() < 1e-4, "{} {}", a.criterion, b.criterion);
    assert!((a.sigma - b.sigma).abs() < 1e-6);
    assert!((a.beta[1] - b.beta[1]).abs() < 1e-5);
}

#[test]
fn the_scale_of_a_predictor_changes_nothing_but_the_units() {
    let model = simulate(22, 200, 2, &[20], &[(0, 2)]);
    let reference = fit(&Design::new(&model.rows()).unwrap(), &model.rows(), &model.y, &Options::default()).unwrap();
    for scale in [1e-6, 1e6] {
        let mut other = simulate(22, 200, 2, &[20], &[(0, 2)]);
        other.terms[0].1[200..].iter_mut().for_each(|v| *v *= scale);
        let f = fit(&Design::new(&other.rows()).unwrap(), &other.rows(), &other.y, &Options::default()).unwrap();
        assert!((f.criterion - reference.criterion).abs() < 1e-8 * reference.criterion.abs());
        assert!((f.theta[2] * scale - reference.theta[2]).abs() < 1e-5 * reference.theta[2]);
    }
}

#[test]
fn impossible_requests_are_refused() {
    let (ones, codes) = ([1.0; 30], batches());
    let rows = one_way(&ones, &codes);
    let design = Design::new(&rows).unwrap();
    let refused = |y: &[f64], options: Options| match fit(&design, &rows, y, &options) {
        Err(Error::Invalid(text) | Error::NotFinite(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(refused(&DYESTUFF[..29], Options::default()).contains("29 values for 30 rows"));
    assert!(refused(&[f64::NAN; 30], Options::default()).contains("NA/NaN/Inf"));
    assert!(refused(&DYESTUFF, Options { start: Some(vec![1.0, 1.0]), ..Options::default() }).contains("2 elements"));
    assert!(refused(&DYESTUFF, Options { start: Some(vec![f64::NAN]), ..Options::default() }).contains("not finite"));
    let stopped = fit(&design, &rows, &DYESTUFF, &Options { interrupted: &|| true, ..Options::default() });
    assert_eq!(stopped.unwrap_err(), Error::Interrupted);
    let aliased = [1.0; 60];
    let rows = Rows { x: &aliased, p: 2, ..one_way(&ones, &codes) };
    assert_eq!(Design::new(&rows).unwrap_err(), Error::from("fixed-effect model matrix is rank deficient"));
}

#[test]
fn an_interrupt_ends_every_phase_of_a_search() {
    // a singular fit, whose other starts come after the first descent
    let model = simulate(31, 200, 2, &[20, 12], &[(0, 2), (1, 2)]);
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let mut y = model.y.clone();
    let mut rng = Uniform(5);
    y.iter_mut().for_each(|v| *v = rng.normal());
    let asked = std::cell::Cell::new(0);
    let count = || {
        asked.set(asked.get() + 1);
        false
    };
    let fitted = fit(&design, &rows, &y, &Options { interrupted: &count, ..Options::default() }).unwrap();
    assert!(fitted.theta.contains(&0.0), "the fit is to be singular: {:?}", fitted.theta);
    let questions = asked.get();
    assert!(questions > 10, "the search is to have several phases: {questions}");
    for stop in 1..=questions {
        asked.set(0);
        let interrupted = || {
            asked.set(asked.get() + 1);
            asked.get() == stop
        };
        let result = fit(&design, &rows, &y, &Options { interrupted: &interrupted, ..Options::default() });
        assert_eq!(result.err(), Some(Error::Interrupted), "the question {stop} of {questions}");
    }
}

#[test]
fn a_search_takes_few_evaluations() {
    // a slip in a derivative would be made up for by further steps; a singular fit is sought from several starts
    for (name, model) in designs() {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        for reml in [true, false] {
            let found = fit(&design, &rows, &model.y, &Options { reml, ..Options::default() }).unwrap();
            let most = if found.theta.contains(&0.0) { 35 } else { 7 };
            assert!(found.converged && found.evaluations <= most, "{name}, REML {reml}: {}", found.evaluations);
        }
    }
}
