//! Models whose terms have covariance structures, beside what they are another way to write, or a search by values alone.

mod common;

use common::{designs, simulate, Model};
use fastlmer_engine::{
    criterion, fit, fit_structured, CommonVariance, Covariance, Design, Diagonal, Evaluator, Options, Response, Unstructured, Workers,
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
        let mut work = Evaluator::new(&design);
        let mut value = |a: f64, b: f64| criterion(&design, &response, &mut work, &theta(a, b), reml);
        let least = value(a, b);
        assert!(found.converged && (least - found.criterion).abs() < 1e-8 && a > 0.0 && b > 0.0);
        for (da, db) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
            for step in [1e-3, 1e-2, 0.1, 0.5] {
                assert!(value(a * (1.0 + da * step), b * (1.0 + db * step)) > least, "reml {reml}: lower at {da} {db} {step}");
            }
        }
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
