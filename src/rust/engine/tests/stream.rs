//! Cross-products of chunks against the passes over all rows: any split, any order, any tree of merges.

mod common;

use common::chunks::{finished, finished_on, merged, products_of};
use common::{designs, some_theta, Model, Uniform};
use fastlmer_engine::stream::{self, finish};
use fastlmer_engine::{fit, fit_response, Chunk, CrossProducts, Design, Error, Fit, Options, TermShape, Workers};

fn fitted(model: &Model, products: CrossProducts, theta: Option<&[f64]>) -> Fit {
    let (design, response) = finished(model, products);
    let options = Options { start: theta.map(|t| t.to_vec()), fixed: theta.is_some(), ..Options::default() };
    fit_response(&design, &response, None, &options).unwrap()
}

fn split(order: &[usize], size: usize) -> Vec<&[usize]> {
    order.chunks(size).collect()
}

fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut rng = Uniform(seed);
    let mut order: Vec<usize> = (0..n).collect();
    (1..n).rev().for_each(|i| order.swap(i, rng.below(i + 1)));
    order
}

fn assert_near(a: &[f64], b: &[f64], tolerance: f64, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let size = b.iter().fold(1e-300_f64, |m, v| m.max(v.abs()));
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() <= tolerance * size, "{what}: {x} and {y}");
    }
}

fn assert_same_fit(a: &Fit, b: &Fit, tolerance: f64, what: &str) {
    assert_near(&[a.criterion, a.ld_l2, a.ld_rx2], &[b.criterion, b.ld_l2, b.ld_rx2], tolerance, what);
    assert_near(&[a.sigma], &[b.sigma], tolerance, what);
    assert_near(&[a.wrss + a.ussq], &[b.wrss + b.ussq], tolerance, what);
    assert_near(&[a.wrss], &[b.wrss], 10.0 * tolerance, what);
    assert_near(&a.beta, &b.beta, tolerance, what);
    assert_near(&a.b, &b.b, 100.0 * tolerance, what);
    assert_near(&a.u, &b.u, 100.0 * tolerance, what);
    assert_near(&a.rx, &b.rx, tolerance, what);
    assert_near(&a.unscaled_covariance, &b.unscaled_covariance, 100.0 * tolerance, what);
}

#[test]
fn any_split_in_any_order_gives_the_fit_of_all_rows() {
    for (name, model) in designs() {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let theta = some_theta(&model);
        let fixed = Options { start: Some(theta.clone()), fixed: true, ..Options::default() };
        let reference = fit(&design, &rows, &model.y, &fixed).unwrap();
        let orders = [(0..model.n).collect::<Vec<_>>(), shuffled(model.n, 5)];
        for (order, size) in orders.iter().flat_map(|o| [1, 7, 32, model.n].map(|size| (o, size))) {
            let parts = split(order, size).iter().map(|rows| products_of(&model, rows)).collect();
            assert_same_fit(&fitted(&model, merged(parts), Some(&theta)), &reference, 1e-12, name);
        }
        // a tree of merges instead of a chain
        let parts: Vec<CrossProducts> = split(&orders[1], 5).iter().map(|rows| products_of(&model, rows)).collect();
        let (left, right) = parts.split_at(parts.len() / 3);
        let tree = merged(vec![merged(right.to_vec()), merged(left.to_vec())]);
        assert_same_fit(&fitted(&model, tree, Some(&theta)), &reference, 1e-12, name);
    }
}

#[test]
fn the_optimum_is_that_of_all_rows() {
    for (name, model) in designs() {
        let rows = model.rows();
        let reference = fit(&Design::new(&rows).unwrap(), &rows, &model.y, &Options::default()).unwrap();
        let order = shuffled(model.n, 11);
        let parts = split(&order, 13).iter().map(|rows| products_of(&model, rows)).collect();
        let found = fitted(&model, merged(parts), None);
        assert!(found.converged, "{name}: {}", found.message);
        assert_near(&[found.criterion], &[reference.criterion], 1e-12, name);
        assert_near(&found.theta, &reference.theta, 1e-5, name);
        assert_near(&found.beta, &reference.beta, 1e-6, name);
    }
}

#[test]
fn the_layout_is_that_of_the_passes_over_rows() {
    for (name, model) in designs() {
        let reference = Design::new(&model.rows()).unwrap();
        let parts = split(&shuffled(model.n, 3), 10).iter().map(|rows| products_of(&model, rows)).collect();
        let (design, _) = finished(&model, merged(parts));
        assert_eq!(design.neighbour_ptr, reference.neighbour_ptr, "{name}");
        assert_eq!(design.neighbour_values_ptr, reference.neighbour_values_ptr, "{name}");
        let starts = |d: &Design| d.neighbours.iter().map(|b| (b.start, b.group)).collect::<Vec<_>>();
        assert_eq!(starts(&design), starts(&reference), "{name}");
        let pairs = |d: &Design| {
            let mut out: Vec<_> = d.rest_pairs.iter().map(|p| (p.row_group, p.row, p.col_group, p.col)).collect();
            out.sort_unstable();
            out
        };
        assert_eq!(pairs(&design), pairs(&reference), "{name}");
        assert_eq!(design.structure.entries, reference.structure.entries, "{name}");
    }
}

#[test]
fn the_same_split_gives_the_same_bits() {
    let (_, model) = &designs()[6];
    let build = || merged(split(&shuffled(model.n, 8), 9).iter().map(|rows| products_of(model, rows)).collect());
    let (a, b) = (build(), build());
    assert_eq!((&a.vv, &a.vy, a.yy), (&b.vv, &b.vy, b.yy));
    a.factors.iter().zip(&b.factors).for_each(|(a, b)| assert_eq!((&a.zz, &a.zv, &a.zy), (&b.zz, &b.zv, &b.zy)));
}

/// A predictor of time stamps, a mean of 1e8, and all but a residual of size one explained by the predictor.
fn far_away(explained: f64) -> Model {
    let mut model = common::simulate(21, 400, 2, &[20], &[(0, 2)]);
    for i in 0..400 {
        let day = 86400.0 * (i as f64);
        model.x[400 + i] = 1.6e9 + day;
        model.terms[0].1[400 + i] = 1.6e9 + day;
        model.y[i] += 1e8 + explained * i as f64;
    }
    model
}

#[test]
fn means_far_from_zero_cost_no_digits() {
    for explained in [0.0, 1e3, 1e5] {
        let model = far_away(explained);
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let theta = [0.7, 1e-8, 2e-8];
        let fixed = Options { start: Some(theta.to_vec()), fixed: true, ..Options::default() };
        let reference = fit(&design, &rows, &model.y, &fixed).unwrap();
        for order in [(0..400).collect(), shuffled(400, 2)] {
            for size in [1, 40, 400] {
                let parts = split(&order, size).iter().map(|rows| products_of(&model, rows)).collect();
                let found = fitted(&model, merged(parts), Some(&theta));
                let what = format!("{explained} {size}");
                assert_near(&[found.criterion], &[reference.criterion], 1e-9, &what);
                assert_near(&[found.sigma], &[reference.sigma], 1e-8, &what);
                assert_near(&[found.wrss], &[reference.wrss], 1e-8, &what);
                assert_near(&found.beta, &reference.beta, 1e-8, &what);
            }
        }
    }
}

#[test]
fn a_first_chunk_far_from_the_others_costs_no_digits() {
    let mut model = common::simulate(22, 600, 2, &[20], &[(0, 1)]);
    // the first rows are a constant far away from all others in x and in y
    (0..10).for_each(|i| model.x[600 + i] = -1e7 + 1e-3 * i as f64);
    (0..600).for_each(|i| model.y[i] += 2.0 * model.x[600 + i]);
    let rows = model.rows();
    let fixed = Options { start: Some(vec![0.9]), fixed: true, ..Options::default() };
    let reference = fit(&Design::new(&rows).unwrap(), &rows, &model.y, &fixed).unwrap();
    let order: Vec<usize> = (0..600).collect();
    for size in [5, 10, 300] {
        let parts = split(&order, size).iter().map(|rows| products_of(&model, rows)).collect();
        let found = fitted(&model, merged(parts), Some(&[0.9]));
        assert_near(&[found.sigma, found.wrss / 600.0], &[reference.sigma, reference.wrss / 600.0], 1e-7, &size.to_string());
        assert_near(&found.beta, &reference.beta, 1e-7, &size.to_string());
    }
}

#[test]
fn other_base_other_sums_same_model() {
    let (_, model) = &designs()[6];
    let mut products = products_of(model, &(0..model.n).collect::<Vec<_>>());
    let theta = some_theta(model);
    let reference = fitted(model, products.clone(), Some(&theta));
    let here = products.base();
    let elsewhere = products_of(model, &[3, 4, 5, 6]).base();
    products.rebase(&elsewhere);
    assert!(products.base() != here && products.base() == elsewhere);
    assert_same_fit(&fitted(model, products, Some(&theta)), &reference, 1e-11, "elsewhere");
}

#[test]
fn a_raw_column_may_turn_up_late() {
    // X has an indicator that is zero in the first chunk, which doesn't know it
    let model = common::simulate(23, 60, 1, &[6], &[(0, 1)]);
    let late: Vec<f64> = (0..60).map(|i| f64::from(i >= 30 && i % 3 == 0)).collect();
    let whole = Model { p: 2, x: [model.x.clone(), late].concat(), ..model };
    let rows = whole.rows();
    let fixed = Options { start: Some(vec![0.8]), fixed: true, ..Options::default() };
    let reference = fit(&Design::new(&rows).unwrap(), &rows, &whole.y, &fixed).unwrap();
    let first = Model {
        p: 1,
        x: whole.x[..60].to_vec(),
        y: whole.y.clone(),
        codes: whole.codes.clone(),
        ..common::simulate(23, 60, 1, &[6], &[(0, 1)])
    };
    let (a, b) = (products_of(&first, &(0..30).collect::<Vec<_>>()), products_of(&whole, &(30..60).collect::<Vec<_>>()));
    for parts in [vec![a.clone(), b.clone()], vec![b, a]] {
        assert_same_fit(&fitted(&whole, merged(parts), Some(&[0.8])), &reference, 1e-12, "late");
    }
}

#[test]
fn indicators_that_add_up_to_a_constant_leave_no_rounding() {
    // X has an indicator for each of four cells instead of an intercept, y a mean of 1e8 in the cells
    let model = common::simulate(24, 200, 1, &[8], &[(0, 1)]);
    let cell = |c: usize| (0..200).map(move |i| f64::from(i % 4 == c));
    let x: Vec<f64> = (0..4).flat_map(cell).collect();
    let y = model.y.iter().enumerate().map(|(i, y)| y + 1e8 * (1.0 + (i % 4) as f64)).collect();
    let whole = Model { p: 4, x: x.clone(), y, ..model };
    let rows = whole.rows();
    let fixed = Options { start: Some(vec![0.8]), fixed: true, ..Options::default() };
    let reference = fit(&Design::new(&rows).unwrap(), &rows, &whole.y, &fixed).unwrap();
    let raw = Model {
        p: 5,
        x: [vec![1.0; 200], x].concat(),
        y: whole.y.clone(),
        codes: whole.codes.clone(),
        ..common::simulate(24, 200, 1, &[8], &[(0, 1)])
    };
    for size in [3, 50, 200] {
        let products = merged(split(&shuffled(200, 4), size).iter().map(|rows| products_of(&raw, rows)).collect());
        let mut order: Vec<(usize, usize)> =
            products.factors[0].levels.iter().enumerate().map(|(i, name)| (name[6..].parse().unwrap(), i)).collect();
        order.sort_unstable();
        let columns: Vec<f64> = (0..20).map(|i| f64::from(i % 5 == i / 5 + 1)).collect();
        let levels = vec![order.iter().map(|o| o.1).collect()];
        let (design, response) =
            finish(products, &stream::Model { columns: &columns, p: 4, terms: vec![0], levels }, Workers::none()).unwrap();
        let found = fit_response(&design, &response, None, &fixed).unwrap();
        assert_near(&[found.wrss, found.ussq], &[reference.wrss, reference.ussq], 1e-7, &size.to_string());
        assert_near(&found.beta, &reference.beta, 1e-12, &size.to_string());
    }
}

#[test]
fn wrong_chunks_are_refused() {
    let (_, model) = &designs()[0];
    let mut products = products_of(model, &[0, 1, 2]);
    let chunk = |y: &'static [f64], codes: &'static [i32]| Chunk {
        columns: Vec::new(),
        v: &[],
        y,
        weights: None,
        codes: vec![codes],
        levels: vec![vec!["a".into()]],
        z: vec![None],
    };
    assert!(products.add(&chunk(&[1.0, f64::NAN], &[1, 1])).is_err());
    assert!(products.add(&chunk(&[1.0, 2.0], &[1, 2])).is_err());
    assert!(products.add(&chunk(&[1.0, 2.0], &[1])).is_err());
    assert!(products.add(&chunk(&[1.0, 2.0], &[1, 1])).is_ok());
    let other = CrossProducts::new(vec![TermShape { factor: 0, k: 2, constant: Some(0) }]).unwrap();
    assert!(products.merge(other).is_err());
}

thread_local! {
    static LEFT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Yes to the question that `LEFT` counts down to.
fn countdown() -> bool {
    LEFT.set(LEFT.get().wrapping_sub(1));
    LEFT.get() == 0
}

#[test]
fn the_end_of_a_stream_can_be_interrupted_in_every_phase() {
    let mut model = common::simulate(25, 3000, 2, &[400, 300, 200], &[(0, 2), (1, 1), (2, 1)]);
    model.codes[1] = model.codes[0].iter().map(|c| (c - 1) % 300 + 1).collect();
    model.codes[2] = model.codes[1].iter().map(|c| (c - 1) % 200 + 1).collect();
    let products = products_of(&model, &(0..model.n).collect::<Vec<_>>());
    let finished_by = |question: usize| {
        LEFT.set(question);
        finished_on(&model, products.clone(), &Workers::new(1).stopped_by(countdown)).map(|(design, _)| design.n)
    };
    assert_eq!(finished_by(0), Ok(model.n)); // nobody says yes
    let questions = usize::MAX - LEFT.get() + 1;
    assert!(questions >= 4, "{questions}"); // levels, neighbours, other pairs, and the plan
    for question in 1..=questions {
        assert_eq!(finished_by(question), Err(Error::Interrupted), "question {question} of {questions}");
    }
}
