//! Models whose terms have covariance structures, beside what they are another way to write, or a search by values alone.

mod common;

use common::{designs, minimum, simulate, Model};
use fastlmer_engine::{
    fit, fit_structured, CommonVariance, Covariance, Design, Diagonal, Evaluator, Options, Response, Unstructured, Workers,
};

#[test]
fn without_a_structure_the_fit_is_the_same() {
    for (name, model) in designs() {
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let structures: Vec<&dyn Covariance> = rows.terms.iter().map(|_| &Unstructured as &dyn Covariance).collect();
        for reml in [true, false] {
            let options = Options { reml, ..Options::default() };
            let expected = fit(&design, &rows, &model.y, &options).unwrap();
            let found = fit_structured(&design, &rows, &model.y, &structures, &options).unwrap();
            assert!((found.criterion - expected.criterion).abs() < 1e-7, "{name}: {} {}", found.criterion, expected.criterion);
            for (a, b) in found.beta.iter().zip(&expected.beta) {
                assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{name}: {:?} {:?}", found.beta, expected.beta);
            }
        }
    }
}

/// A term of all columns as terms of one column each.
fn separated(model: &Model) -> Model {
    let mut out = model.clone();
    out.terms = model.terms.iter().flat_map(|(f, z)| z.chunks_exact(model.n).map(move |column| (*f, column.to_vec()))).collect();
    out
}

#[test]
fn a_diagonal_covariance_is_that_of_separate_terms() {
    for model in [simulate(2, 150, 2, &[15], &[(0, 3)]), simulate(8, 200, 2, &[20, 9], &[(0, 2), (1, 3)])] {
        let other = separated(&model);
        let (rows, other_rows) = (model.rows(), other.rows());
        let (design, other_design) = (Design::new(&rows).unwrap(), Design::new(&other_rows).unwrap());
        let structures: Vec<&dyn Covariance> = rows.terms.iter().map(|_| &Diagonal as &dyn Covariance).collect();
        for reml in [true, false] {
            let options = Options { reml, ..Options::default() };
            let expected = fit(&other_design, &other_rows, &model.y, &options).unwrap();
            let found = fit_structured(&design, &rows, &model.y, &structures, &options).unwrap();
            assert!(found.converged && (found.criterion - expected.criterion).abs() < 1e-7, "{} {}", found.criterion, expected.criterion);
            let diagonals = found.theta.iter().filter(|t| **t != 0.0);
            let expected: Vec<f64> = expected.theta.into_iter().filter(|t| *t != 0.0).collect();
            assert_eq!(diagonals.clone().count(), expected.len());
            diagonals.zip(&expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-4, "{:?} {expected:?}", found.theta));
        }
    }
}

#[test]
fn a_common_variance_is_where_the_criterion_is_least() {
    let model = simulate(21, 240, 2, &[24, 10], &[(0, 3), (1, 2)]);
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    for reml in [true, false] {
        let options = Options { reml, ..Options::default() };
        let found = fit_structured(&design, &rows, &model.y, &[&CommonVariance, &CommonVariance], &options).unwrap();
        let (a, b) = (found.theta[0], found.theta[6]);
        let theta = |a: f64, b: f64| vec![a, 0.0, 0.0, a, 0.0, a, b, 0.0, b];
        found.theta.iter().zip(theta(a, b)).for_each(|(t, e)| assert!((t - e).abs() < 1e-12, "{:?}", found.theta));
        let response = Response::new(&design, &rows, &model.y, Workers::none()).unwrap();
        let mut evaluator = Evaluator::new(&design, &response);
        let mut value = |a: f64, b: f64| evaluator.criterion(&theta(a, b), reml);
        let least = value(a, b);
        assert!(found.converged && (least - found.criterion).abs() < 1e-8 && a > 0.0 && b > 0.0);
        for (da, db) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
            for step in [1e-3, 1e-2, 0.1, 0.5] {
                assert!(value(a * (1.0 + da * step), b * (1.0 + db * step)) > least, "reml {reml}: lower at {da} {db} {step}");
            }
        }
    }
}

/// Columns in an order, of equal variance, whose correlation falls off with their distance: parameters are the relative standard deviation
/// and the inverse hyperbolic tangent of the correlation of neighbours. All that another structure takes is this.
struct Autoregressive;

impl Autoregressive {
    /// Calls `visit(element of theta, its distance from the diagonal, 1 unless it is in the first column)`.
    fn elements(k: usize, mut visit: impl FnMut(usize, i32, i32)) {
        let places = (0..k).flat_map(|c| (c..k).map(move |r| ((r - c) as i32, i32::from(c > 0))));
        places.enumerate().for_each(|(i, (distance, later))| visit(i, distance, later));
    }

    /// r^m, and zero for what a derivative multiplies by zero.
    fn power(r: f64, m: i32) -> f64 {
        if m < 0 {
            0.0
        } else {
            r.powi(m)
        }
    }
}

impl Covariance for Autoregressive {
    fn parameters(&self, _k: usize) -> usize {
        2
    }

    // with r = tanh t and c = (1 - r^2)^(1/2) = 1 / cosh t: r^m in the first column, r^m c in the others
    fn theta(&self, k: usize, parameters: &[f64], theta: &mut [f64]) {
        let (sd, r, c) = (parameters[0], parameters[1].tanh(), parameters[1].cosh().recip());
        Self::elements(k, |i, m, later| theta[i] = sd * r.powi(m) * c.powi(later));
    }

    fn first(&self, k: usize, parameters: &[f64], visit: &mut dyn FnMut(usize, usize, f64)) {
        let (sd, r, c) = (parameters[0], parameters[1].tanh(), parameters[1].cosh().recip());
        Self::elements(k, |i, m, later| {
            visit(i, 0, r.powi(m) * c.powi(later));
            let (falls, rises) = (f64::from(m) * Self::power(r, m - 1) * c.powi(2), f64::from(later) * r.powi(m + 1));
            visit(i, 1, sd * c.powi(later) * (falls - rises));
        });
    }

    fn second(&self, k: usize, parameters: &[f64], visit: &mut dyn FnMut(usize, usize, usize, f64)) {
        let (sd, r, c) = (parameters[0], parameters[1].tanh(), parameters[1].cosh().recip());
        Self::elements(k, |i, m, later| {
            let (d, l, c2) = (f64::from(m), f64::from(later), c * c);
            let mixed = c.powi(later) * (d * Self::power(r, m - 1) * c2 - l * r.powi(m + 1));
            visit(i, 0, 1, mixed);
            visit(i, 1, 0, mixed);
            let own = d * (d - 1.0) * Self::power(r, m - 2) * c2 * c2 - (d * (2.0 + 2.0 * l) + l) * r.powi(m) * c2 + l * r.powi(m + 2);
            visit(i, 1, 1, sd * c.powi(later) * own);
        });
    }

    fn near(&self, k: usize, theta: &[f64]) -> Vec<f64> {
        let (sd, next) = (theta[0], if k > 1 { theta[1] } else { 0.0 });
        vec![sd, if sd == 0.0 { 0.0 } else { (next / sd).clamp(-0.9, 0.9).atanh() }]
    }
}

#[test]
fn the_derivatives_of_another_structure_are_right() {
    let (k, at) = (4, [0.8, 0.6]);
    let theta = |x: [f64; 2]| {
        let mut out = vec![0.0; 10];
        Autoregressive.theta(k, &x, &mut out);
        out
    };
    // Lambda Lambda' is what the structure is called after
    let lambda = |r: usize, c: usize| if c > r { 0.0 } else { theta(at)[c * k - c * c.saturating_sub(1) / 2 + r - c] };
    for (i, j) in (0..k).flat_map(|i| (0..k).map(move |j| (i, j))) {
        let covariance: f64 = (0..k).map(|c| lambda(i, c) * lambda(j, c)).sum();
        assert!((covariance - at[0] * at[0] * at[1].tanh().powi(i.abs_diff(j) as i32)).abs() < 1e-14);
    }
    let jacobian = |x: [f64; 2]| {
        let mut out = vec![[0.0; 2]; 10];
        Autoregressive.first(k, &x, &mut |i, p, d| out[i][p] = d);
        out
    };
    let mut second = vec![[[0.0; 2]; 2]; 10];
    Autoregressive.second(k, &at, &mut |i, p, q, d| second[i][p][q] = d);
    for p in 0..2 {
        let moved = |h: f64| std::array::from_fn(|q| at[q] + if q == p { h } else { 0.0 });
        let (above, below) = (moved(1e-5), moved(-1e-5));
        for i in 0..10 {
            assert!(((theta(above)[i] - theta(below)[i]) / 2e-5 - jacobian(at)[i][p]).abs() < 1e-9);
            for q in 0..2 {
                assert!(((jacobian(above)[i][q] - jacobian(below)[i][q]) / 2e-5 - second[i][q][p]).abs() < 1e-8);
            }
        }
    }
}

#[test]
fn another_structure_is_fitted_where_the_dense_likelihood_is_least() {
    // four occasions of each of 12 subjects, twice over, and a second factor without a structure
    let n = 96;
    let mut model = simulate(31, n, 2, &[12, 6], &[(0, 4), (1, 1)]);
    let mut rng = common::Uniform(3);
    model.codes[0] = (0..n).map(|i| (i / 4 % 12) as i32 + 1).collect();
    model.terms[0].1 = (0..4).flat_map(|c| (0..n).map(move |i| f64::from(i % 4 == c))).collect();
    let mut effects = vec![0.0; 48];
    for i in 0..48 {
        effects[i] = if i % 4 == 0 { rng.normal() } else { 0.7 * effects[i - 1] + (1.0f64 - 0.49).sqrt() * rng.normal() };
    }
    model.y = (0..n).map(|i| 1.5 * effects[i % 48] + 0.5 * rng.normal() + model.x[n + i]).collect();
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    for reml in [true, false] {
        let options = Options { reml, ..Options::default() };
        let found = fit_structured(&design, &rows, &model.y, &[&Autoregressive, &Unstructured], &options).unwrap();
        let value = |x: [f64; 3]| {
            let mut theta = vec![0.0; 11];
            Autoregressive.theta(4, &x[..2], &mut theta[..10]);
            theta[10] = x[2];
            model.reference(&theta, reml)
        };
        let (least, at) = minimum(value, [0.5, 0.0, 0.5]);
        assert!(found.converged && (found.criterion - least).abs() < 1e-7, "reml {reml}: {} {least}", found.criterion);
        let expected = Autoregressive.near(4, &found.theta[..10]);
        assert!((expected[0] - at[0]).abs() < 1e-4 && (expected[1] - at[1]).abs() < 1e-4, "{expected:?} {at:?}");
        assert!(expected[1].tanh() > 0.3 && found.theta[10].abs() - at[2].abs() < 1e-4, "{expected:?}");
    }
}

#[test]
fn structures_have_to_fit_the_terms() {
    let model = simulate(1, 40, 1, &[8], &[(0, 1)]);
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    assert!(fit_structured(&design, &rows, &model.y, &[], &Options::default()).is_err());
    let stopped = Options { interrupted: &|| true, ..Options::default() };
    assert_eq!(fit_structured(&design, &rows, &model.y, &[&Diagonal], &stopped).unwrap_err(), fastlmer_engine::Error::Interrupted);
}
