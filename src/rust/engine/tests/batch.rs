//! Refits of many responses against single fits, and the draws.

mod common;

use common::{designs, Uniform};
use fastlmer_engine::{fit, refit, BatchOptions, Design, Error, Options, Responses, Simulator};

fn options(start: &[f64], threads: usize) -> BatchOptions<'_> {
    BatchOptions { start: Some(start), effects: true, covariance: true, degrees_of_freedom: true, threads, ..BatchOptions::default() }
}

#[test]
fn a_batch_gives_what_single_fits_give() {
    for (name, model) in designs() {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let original = fit(&design, &rows, &model.y, &Options::default()).unwrap();
        let mut rng = Uniform(5);
        let y: Vec<f64> = (0..4 * model.n).map(|i| model.y[i % model.n] + rng.normal()).collect();
        let batch = refit(&design, &rows, &Responses::Given(&y), &options(&original.theta, 1)).unwrap();
        for (index, replicate) in batch.iter().enumerate() {
            let replicate = replicate.as_ref().unwrap();
            let own = &y[index * model.n..(index + 1) * model.n];
            let single = fit(&design, &rows, own, &Options::default()).unwrap();
            assert!(replicate.converged, "{name}");
            assert!((replicate.criterion - single.criterion).abs() < 1e-7, "{name}: {} {}", replicate.criterion, single.criterion);
            assert!((replicate.sigma - single.sigma).abs() < 1e-5 * single.sigma, "{name}");
            let (u, b) = replicate.effects.as_ref().unwrap();
            let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs()));
            assert!(close(&replicate.beta, &single.beta) && close(b, &single.b) && close(u, &single.u), "{name}");
            let covariance = replicate.unscaled_covariance.as_ref().unwrap();
            assert!(close(covariance, &single.unscaled_covariance) && covariance.len() == model.p * model.p, "{name}");
            assert!((replicate.ld_rx2 - single.ld_rx2).abs() < 1e-4, "{name}");
        }
    }
}

#[test]
fn results_do_not_depend_on_threads_or_on_how_replicates_are_split() {
    for (name, model) in designs() {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let original = fit(&design, &rows, &model.y, &Options::default()).unwrap();
        let drawn = |first: u64, count: usize, threads: usize| {
            let simulator = Simulator::new(&design, &rows, &original.fitted, original.sigma, Some(&original.theta)).unwrap();
            refit(&design, &rows, &Responses::Drawn { simulator, seed: 42, first, count }, &options(&original.theta, threads)).unwrap()
        };
        let whole = drawn(1, 6, 1);
        assert_eq!(whole, drawn(1, 6, 2), "{name}");
        assert_eq!(whole, [drawn(1, 2, 1), drawn(3, 4, 3)].concat(), "{name}");
        assert_ne!(whole[0], whole[1], "{name}");
    }
}

#[test]
fn simulated_responses_follow_the_formula() {
    // y = mean + sigma (Z Lambda u + e / sqrt(w)) for two terms of one factor and for weights
    let (_, model) = designs().remove(2);
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let (theta, sigma) = ([0.5, 0.2, 0.7], 1.5);
    let mut rng = Uniform(8);
    let u: Vec<f64> = (0..20).map(|_| rng.normal()).collect();
    let e: Vec<f64> = (0..60).map(|_| rng.normal()).collect();
    let mean: Vec<f64> = (0..60).map(|i| i as f64).collect();
    let mut y = vec![0.0; 60];
    Simulator::new(&design, &rows, &mean, sigma, Some(&theta)).unwrap().response(&u, &e, &mut y);
    for i in 0..60 {
        let level = model.codes[0][i] as usize - 1;
        let (u0, u1) = (u[2 * level], u[2 * level + 1]);
        let z = &model.terms[0].1;
        let effect = z[i] * 0.5 * u0 + z[60 + i] * (0.2 * u0 + 0.7 * u1);
        let expected = mean[i] + sigma * (effect + e[i] / model.weights.as_ref().unwrap()[i].sqrt());
        assert!((y[i] - expected).abs() < 1e-12);
    }
}

#[test]
fn a_response_that_cannot_be_fitted_costs_only_itself() {
    let (_, model) = designs().remove(1);
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let mut y = [model.y.clone(), model.y.clone()].concat();
    y[3] = f64::NAN;
    let batch = refit(&design, &rows, &Responses::Given(&y), &options(&[1.0, 0.0, 1.0], 1)).unwrap();
    assert!(batch[0].is_none() && batch[1].is_some());
}

#[test]
fn a_batch_on_one_thread_asks_within_searches() {
    let (_, model) = designs().remove(1);
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let asked = std::cell::Cell::new(0);
    // the question is answered by yes only once, as R's is
    let once = |done: usize| {
        asked.set(asked.get() + 1);
        assert_eq!(done, 0);
        asked.get() == 3
    };
    let request = BatchOptions { interrupted: &once, ..options(&[1.0, 0.0, 1.0], 1) };
    let stopped = refit(&design, &rows, &Responses::Given(&[model.y.clone(), model.y.clone()].concat()), &request);
    assert_eq!((stopped.unwrap_err(), asked.get()), (Error::Interrupted, 3));
}

#[test]
fn a_batch_can_be_interrupted() {
    let (_, model) = designs().remove(1);
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    for threads in [1, 2] {
        let simulator = Simulator::new(&design, &rows, &model.y, 1.0, Some(&[1.0, 0.0, 1.0])).unwrap();
        let responses = Responses::Drawn { simulator, seed: 1, first: 1, count: 100_000 };
        let asked = BatchOptions { interrupted: &|done| done > 10, ..options(&[1.0, 0.0, 1.0], threads) };
        assert_eq!(refit(&design, &rows, &responses, &asked).unwrap_err(), Error::Interrupted);
    }
}
