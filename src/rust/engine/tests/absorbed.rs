//! A factor of the fixed effects whose dummy columns aren't formed gives the fit that its dummy columns give.

mod common;

use common::{simulate, Model};
use fastlmer_engine::{
    conditional_variances, derivatives, fit, fixed_factor, refit, Absorbed, BatchOptions, Design, Fit, Marginal, Options, Response,
    Responses, Rows, Workers,
};

/// A model whose last factor is one of the fixed effects: as dummy columns after the intercept and the first `before` covariates
/// (without an intercept before them), and absorbed.
struct Case {
    name: &'static str,
    /// X without the constant.
    model: Model,
    dense: Vec<f64>,
    columns: usize,
    absorbed: Absorbed,
}

impl Case {
    fn new(name: &'static str, mut model: Model, intercept: bool, before: usize) -> Self {
        let (n, factor) = (model.n, model.levels.len() - 1);
        let levels = model.levels[factor];
        let covariates: Vec<f64> = model.x.split_off(n);
        let dummies = (usize::from(intercept)..levels)
            .flat_map(|l| model.codes[factor].iter().map(move |&c| f64::from(u8::from(c as usize == l + 1))))
            .collect::<Vec<f64>>();
        let mut dense = if intercept { vec![1.0; n] } else { Vec::new() };
        dense.extend(&covariates[..before * n]);
        dense.extend(&dummies);
        dense.extend(&covariates[before * n..]);
        model.x = covariates;
        model.p -= 1;
        let columns = dense.len() / n;
        Case { name, model, dense, columns, absorbed: Absorbed { factor, intercept, first: usize::from(intercept) + before } }
    }

    fn dense_rows(&self) -> Rows<'_> {
        Rows { x: &self.dense, p: self.columns, ..self.model.rows() }
    }

    fn absorbed_rows(&self) -> Rows<'_> {
        Rows { absorbed: Some(self.absorbed), ..self.model.rows() }
    }
}

fn cases() -> Vec<Case> {
    let mut weighted = simulate(32, 300, 3, &[15, 60], &[(0, 2)]);
    weighted.weights = Some((0..300).map(|i| 0.5 + (i % 7) as f64).collect());
    let mut nested = simulate(33, 400, 2, &[100, 30], &[(0, 1)]);
    nested.codes[1] = nested.codes[0].iter().map(|c| (c - 1) % 30 + 1).collect();
    vec![
        Case::new("more levels than effects", simulate(31, 200, 3, &[12, 40], &[(0, 1)]), true, 2),
        Case::new("slopes and weights, columns on both sides", weighted, true, 1),
        Case::new("groups within its levels", nested, true, 0),
        Case::new("fewer levels than effects", simulate(34, 300, 3, &[60, 20], &[(0, 2)]), true, 1),
        Case::new("two crossed factors", simulate(35, 400, 2, &[40, 25, 30], &[(0, 2), (1, 1)]), true, 0),
        Case::new("without an intercept", simulate(36, 300, 4, &[20, 45], &[(0, 2)]), false, 0),
        Case::new("nothing but the factor", simulate(37, 200, 1, &[20, 30], &[(0, 1)]), true, 0),
    ]
}

fn close(name: &str, what: &str, a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len(), "{name}: {what}");
    let size = a.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
    a.iter().zip(b).for_each(|(x, y)| assert!((x - y).abs() < tolerance * size, "{name}: {what} {x} and {y}"));
}

fn fitted(rows: &Rows, y: &[f64], options: &Options) -> (Design, Fit) {
    let design = Design::new(rows).unwrap();
    let fit = fit(&design, rows, y, options).unwrap();
    (design, fit)
}

#[test]
fn it_gives_the_fit_that_dummy_columns_give() {
    for case in cases() {
        for reml in [true, false] {
            let (name, y, options) = (case.name, &case.model.y, Options { reml, ..Options::default() });
            let (_, expected) = fitted(&case.dense_rows(), y, &options);
            let rows = case.absorbed_rows();
            let (design, found) = fitted(&rows, y, &options);
            assert!(found.converged, "{name}: {}", found.message);
            assert!((found.criterion - expected.criterion).abs() < 1e-8, "{name}: {} {}", found.criterion, expected.criterion);
            close(name, "theta", &found.theta, &expected.theta, 1e-4);

            // at one theta to rounding
            let at = Options { start: Some(expected.theta.clone()), fixed: true, ..options };
            let (_, found) = fitted(&rows, y, &at);
            close(name, "log determinants", &[found.ld_l2, found.ld_rx2], &[expected.ld_l2, expected.ld_rx2], 1e-10);
            close(name, "criterion", &[found.criterion], &[expected.criterion], 1e-12);
            close(name, "beta", &found.beta, &expected.beta, 1e-9);
            close(name, "u", &found.u, &expected.u, 1e-9);
            close(name, "b", &found.b, &expected.b, 1e-9);
            close(name, "fitted", &found.fitted, &expected.fitted, 1e-10);
            close(name, "sums", &[found.wrss, found.ussq], &[expected.wrss, expected.ussq], 1e-10);
            let (rx, unscaled) = fixed_factor(&design, &rows, &expected.theta, Workers::none()).unwrap();
            close(name, "RX", &rx, &expected.rx, 1e-9);
            close(name, "unscaled covariance", &unscaled, &expected.unscaled_covariance, 1e-8);
        }
    }
}

#[test]
fn its_derivatives_are_those_of_dummy_columns() {
    for case in cases() {
        let (dense, rows) = (case.dense_rows(), case.absorbed_rows());
        let (a, b) = (Design::new(&dense).unwrap(), Design::new(&rows).unwrap());
        let (ya, yb) = (response(&a, &dense, &case.model.y), response(&b, &rows, &case.model.y));
        let theta = common::some_theta(&case.model);
        for reml in [true, false] {
            let (expected, _) = derivatives(&a, &ya, &theta, reml).unwrap();
            let (found, _) = derivatives(&b, &yb, &theta, reml).unwrap();
            close(case.name, "gradient", &found, &expected, 1e-9);
        }
        let (found, expected) =
            (conditional_variances(&b, &theta, Workers::none()).unwrap(), conditional_variances(&a, &theta, Workers::none()).unwrap());
        assert_eq!(found.len(), expected.len());
        found.iter().zip(&expected).for_each(|(f, e)| close(case.name, "conditional variances", f, e, 1e-10));
    }
}

fn response(design: &Design, rows: &Rows, y: &[f64]) -> Response {
    Response::new(design, rows, y, Workers::none()).unwrap()
}

#[test]
fn refits_are_fits() {
    for case in cases().into_iter().take(4) {
        let rows = case.absorbed_rows();
        let design = Design::new(&rows).unwrap();
        let y: Vec<f64> = case.model.y.iter().enumerate().map(|(i, v)| v + ((i * 7919) % 13) as f64 / 6.0).collect();
        let options = BatchOptions { effects: true, ..BatchOptions::default() };
        let replicates = refit(&design, &rows, &Responses::Given(&y), &options).unwrap();
        let replicate = replicates[0].as_ref().unwrap();
        let expected = fit(&design, &rows, &y, &Options::default()).unwrap();
        close(case.name, "beta", &replicate.beta, &expected.beta, 1e-10);
        close(case.name, "u", &replicate.effects.as_ref().unwrap().0, &expected.u, 1e-10);
        close(case.name, "log determinants", &[replicate.ld_l2, replicate.ld_rx2], &[expected.ld_l2, expected.ld_rx2], 1e-10);
    }
}

#[test]
fn refits_from_a_start_share_its_factorisation() {
    for case in cases() {
        let rows = case.absorbed_rows();
        let design = Design::new(&rows).unwrap();
        let n = case.model.n;
        let y: Vec<f64> = (0..4 * n).map(|i| case.model.y[i % n] + ((i * 7919) % 13) as f64 / 6.0).collect();
        for reml in [true, false] {
            let single = |y: &[f64]| fit(&design, &rows, y, &Options { reml, ..Options::default() }).unwrap();
            let start = single(&case.model.y).theta;
            let on = |threads: usize| {
                let options = BatchOptions { reml, start: Some(&start), effects: true, threads, ..BatchOptions::default() };
                refit(&design, &rows, &Responses::Given(&y), &options).unwrap()
            };
            let replicates = on(1);
            assert_eq!(replicates, on(2), "{}", case.name);
            for (replicate, y) in replicates.iter().zip(y.chunks_exact(n)) {
                let (found, expected) = (replicate.as_ref().unwrap(), single(y));
                close(case.name, "criterion", &[found.criterion], &[expected.criterion], 1e-9);
                close(case.name, "log determinants", &[found.ld_l2, found.ld_rx2], &[expected.ld_l2, expected.ld_rx2], 1e-4);
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let case = Case::new("large", simulate(38, 30_000, 3, &[1500, 700], &[(0, 2)]), true, 1);
    let rows = case.absorbed_rows();
    let results = |threads: usize| {
        let workers = Workers::new(threads);
        let design = Design::on_threads(&rows, &workers).unwrap();
        let fit = fit(&design, &rows, &case.model.y, &Options { workers: &workers, ..Options::default() }).unwrap();
        let (rx, _) = fixed_factor(&design, &rows, &fit.theta, &workers).unwrap();
        [("theta", fit.theta), ("beta", fit.beta), ("fitted", fit.fitted), ("RX", rx)]
    };
    let one = results(1);
    for threads in [2, 3] {
        for ((what, a), (_, b)) in one.iter().zip(&results(threads)) {
            assert!(a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()), "{what}, {threads} threads");
        }
    }
}

#[test]
fn a_column_that_the_factor_explains_is_refused() {
    let mut case = Case::new("aliased", simulate(39, 100, 2, &[8, 20], &[(0, 1)]), true, 1);
    let n = case.model.n;
    (0..n).for_each(|i| case.model.x[i] = f64::from(case.model.codes[1][i] % 3));
    match Design::new(&case.absorbed_rows()) {
        Err(error) => assert!(format!("{error:?}").contains("rank deficient"), "{error:?}"),
        Ok(design) => assert!(design.rank_margin()[0] < 1e-7),
    }
}

#[test]
fn the_fixed_effects_precision_and_its_derivatives_are_those_of_the_dummies() {
    for case in cases() {
        let (dense, absorbed) = (Design::new(&case.dense_rows()).unwrap(), Design::new(&case.absorbed_rows()).unwrap());
        let theta: Vec<f64> = dense.structure.entries.iter().map(|e| if e.row == e.col { 0.8 } else { -0.3 }).collect();
        let [dense, absorbed] = [&dense, &absorbed].map(|design| Marginal::new(design, &theta, Workers::none()).unwrap());
        let total = case.columns;
        let identity: Vec<f64> = (0..total * total).map(|t| if t % (total + 1) == 0 { 1.0 } else { 0.0 }).collect();
        let both = [&dense, &absorbed].map(|m| m.covariance_to_caller(&identity));
        close(case.name, "covariance", &both[0], &both[1], 1e-10);
        let both = [&dense, &absorbed].map(|m| m.derivatives_in_theta(&theta, Workers::none()));
        for (a, b) in both[0].iter().zip(&both[1]) {
            close(case.name, "derivative", &dense.precision_to_caller(a), &absorbed.precision_to_caller(b), 1e-10);
            close(case.name, "covariance's derivative", &dense.covariance_to_caller(a), &absorbed.covariance_to_caller(b), 1e-9);
        }
    }
}
