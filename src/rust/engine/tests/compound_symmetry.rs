//! Compound symmetry, another covariance structure written outside the crate: the trait is all that it takes.

mod common;

use common::{minimum, simulate, Model, Uniform};
use fastlmer_engine::{fit, fit_structured, Covariance, Design, Fit, Options};

/// Columns of equal variance, each pair of which has the same correlation r, from -1 / (k - 1) to 1. Parameters are the relative standard
/// deviation and, for more than one column, the logarithm t of the ratio of the correlation matrix's eigenvalues,
/// (1 + (k - 1) r) / (1 - r): any number stands for a correlation that there is, and zero for none.
struct CompoundSymmetry;

/// A value with its first and second derivatives in r.
type Jet = [f64; 3];

/// exp(half the sum of sign log(a + b r)) over `terms`, which are (sign, a, b).
fn root_of_product(terms: &[(f64, f64, f64)], r: f64) -> Jet {
    let (mut log, mut first, mut second) = (0.0, 0.0, 0.0);
    for &(sign, a, b) in terms {
        let slope = b / (a + b * r);
        log += 0.5 * sign * (a + b * r).ln();
        first += 0.5 * sign * slope;
        second -= 0.5 * sign * slope * slope;
    }
    [log.exp(), log.exp() * first, log.exp() * (first * first + second)]
}

impl CompoundSymmetry {
    /// r and its derivatives in t.
    fn correlation(k: usize, parameters: &[f64]) -> Jet {
        let (Some(t), k) = (parameters.get(1), k as f64) else { return [0.0; 3] };
        let r = t.exp_m1() / (t.exp() + k - 1.0);
        let slope = (1.0 - r) * (1.0 + (k - 1.0) * r) / k;
        [r, slope, slope * (k - 2.0 - 2.0 * (k - 1.0) * r) / k]
    }

    /// The elements of the correlation matrix's Cholesky factor, column by column. In column c of it, counted from zero, the diagonal is
    /// ((1 - r) (1 + c r) / (1 + (c - 1) r))^(1/2), and what is below it r ((1 - r) / ((1 + (c - 1) r) (1 + c r)))^(1/2).
    fn elements(k: usize, r: f64) -> impl Iterator<Item = Jet> {
        (0..k).flat_map(move |c| {
            let (at, before) = (c as f64, c as f64 - 1.0);
            let diagonal = root_of_product(&[(1.0, 1.0, -1.0), (1.0, 1.0, at), (-1.0, 1.0, before)], r);
            let g = root_of_product(&[(1.0, 1.0, -1.0), (-1.0, 1.0, at), (-1.0, 1.0, before)], r);
            let below = [r * g[0], g[0] + r * g[1], 2.0 * g[1] + r * g[2]];
            (c..k).map(move |row| if row == c { diagonal } else { below })
        })
    }
}

impl Covariance for CompoundSymmetry {
    fn parameters(&self, k: usize) -> usize {
        k.min(2)
    }

    fn theta(&self, k: usize, parameters: &[f64], theta: &mut [f64]) {
        let [r, ..] = Self::correlation(k, parameters);
        Self::elements(k, r).zip(theta).for_each(|(element, t)| *t = parameters[0] * element[0]);
    }

    fn first(&self, k: usize, parameters: &[f64], visit: &mut dyn FnMut(usize, usize, f64)) {
        let [r, slope, _] = Self::correlation(k, parameters);
        for (i, element) in Self::elements(k, r).enumerate() {
            visit(i, 0, element[0]);
            if k > 1 {
                visit(i, 1, parameters[0] * element[1] * slope);
            }
        }
    }

    fn second(&self, k: usize, parameters: &[f64], visit: &mut dyn FnMut(usize, usize, usize, f64)) {
        let [r, slope, bend] = Self::correlation(k, parameters);
        for (i, element) in Self::elements(k, r).enumerate().filter(|_| k > 1) {
            visit(i, 0, 1, element[1] * slope);
            visit(i, 1, 0, element[1] * slope);
            visit(i, 1, 1, parameters[0] * (element[2] * slope * slope + element[1] * bend));
        }
    }

    fn near(&self, k: usize, theta: &[f64]) -> Vec<f64> {
        let others = k as f64 - 1.0;
        if k == 1 || theta[0] == 0.0 {
            return [theta[0], 0.0][..k.min(2)].to_vec();
        }
        let r = (theta[1] / theta[0]).clamp(-0.9 / others, 0.9);
        vec![theta[0], ((1.0 + others * r) / (1.0 - r)).ln()]
    }
}

#[test]
fn the_covariance_is_compound_symmetric_and_its_derivatives_are_right() {
    for (k, at) in [(1, vec![0.8]), (2, vec![0.8, 0.6]), (4, vec![1.3, 1.1]), (5, vec![0.7, -0.9]), (3, vec![0.5, 0.0])] {
        let (size, count) = (k * (k + 1) / 2, CompoundSymmetry.parameters(k));
        let theta = |x: &[f64]| {
            let mut out = vec![0.0; size];
            CompoundSymmetry.theta(k, x, &mut out);
            out
        };
        let here = theta(&at);
        let lambda = |r: usize, c: usize| if c > r { 0.0 } else { here[c * k - c * c.saturating_sub(1) / 2 + r - c] };
        let [r, ..] = CompoundSymmetry::correlation(k, &at);
        for (i, j) in (0..k).flat_map(|i| (0..k).map(move |j| (i, j))) {
            let covariance: f64 = (0..k).map(|c| lambda(i, c) * lambda(j, c)).sum();
            assert!((covariance - at[0] * at[0] * if i == j { 1.0 } else { r }).abs() < 1e-14, "{k}: {i} {j}");
        }
        CompoundSymmetry.near(k, &here).iter().zip(&at).for_each(|(a, b)| assert!((a - b).abs() < 1e-14));
        let jacobian = |x: &[f64]| {
            let mut out = vec![[0.0; 2]; size];
            CompoundSymmetry.first(k, x, &mut |i, p, d| out[i][p] = d);
            out
        };
        let mut second = vec![[[0.0; 2]; 2]; size];
        CompoundSymmetry.second(k, &at, &mut |i, p, q, d| second[i][p][q] = d);
        for p in 0..count {
            let moved = |h: f64| at.iter().enumerate().map(|(q, v)| if q == p { v + h } else { *v }).collect::<Vec<_>>();
            let (above, below) = (moved(1e-5), moved(-1e-5));
            for i in 0..size {
                assert!(((theta(&above)[i] - theta(&below)[i]) / 2e-5 - jacobian(&at)[i][p]).abs() < 1e-9, "{k}: {i} {p}");
                for q in 0..count {
                    assert!(((jacobian(&above)[i][q] - jacobian(&below)[i][q]) / 2e-5 - second[i][q][p]).abs() < 1e-8, "{k}: {i} {p} {q}");
                }
            }
        }
    }
}

/// Four occasions of each of 12 subjects, twice over, with an effect of each subject at each occasion: `share` of its subject's mean is
/// added to each.
fn occasions(seed: u64, share: f64) -> Model {
    let n = 96;
    let mut model = simulate(seed, n, 2, &[12], &[(0, 4)]);
    let mut rng = Uniform(seed);
    model.codes[0] = (0..n).map(|i| (i / 4 % 12) as i32 + 1).collect();
    model.terms[0].1 = (0..4).flat_map(|c| (0..n).map(move |i| f64::from(i % 4 == c))).collect();
    let mut effects: Vec<f64> = (0..48).map(|_| rng.normal()).collect();
    for subject in effects.chunks_exact_mut(4) {
        let mean = subject.iter().sum::<f64>() / 4.0;
        subject.iter_mut().for_each(|effect| *effect += share * mean);
    }
    model.y = (0..n).map(|i| effects[i % 48] + 0.5 * rng.normal() + model.x[n + i]).collect();
    model
}

/// The same model by intercepts of subjects and of their occasions, which have a covariance that isn't negative.
fn by_intercepts(model: &Model) -> Model {
    let mut out = model.clone();
    out.codes.push((0..model.n).map(|i| (i % 48) as i32 + 1).collect());
    out.levels.push(48);
    out.terms = vec![(0, vec![1.0; model.n]), (1, vec![1.0; model.n])];
    out
}

fn fitted(model: &Model, structured: bool, reml: bool) -> Fit {
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let options = Options { reml, ..Options::default() };
    if structured {
        fit_structured(&design, &rows, &model.y, &[&CompoundSymmetry], &options).unwrap()
    } else {
        fit(&design, &rows, &model.y, &options).unwrap()
    }
}

#[test]
fn a_positive_correlation_is_that_of_two_random_intercepts() {
    let model = occasions(41, 1.0);
    for reml in [true, false] {
        let (found, other) = (fitted(&model, true, reml), fitted(&by_intercepts(&model), false, reml));
        assert!(found.converged && (found.criterion - other.criterion).abs() < 1e-7, "{} {}", found.criterion, other.criterion);
        let (variance, covariance) = (found.theta[0].powi(2), found.theta[0] * found.theta[1]);
        let (subject, occasion) = (other.theta[0].powi(2), other.theta[1].powi(2));
        assert!(subject > 0.1 && (covariance - subject).abs() < 1e-4 * subject, "{covariance} {subject}");
        assert!((variance - subject - occasion).abs() < 1e-4 * variance, "{variance} {subject} {occasion}");
        found.beta.iter().zip(&other.beta).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{:?} {:?}", found.beta, other.beta));
    }
}

#[test]
fn a_negative_correlation_is_where_the_dense_likelihood_is_least() {
    let model = occasions(42, -0.8);
    for reml in [true, false] {
        let found = fitted(&model, true, reml);
        let value = |x: [f64; 2]| {
            let mut theta = vec![0.0; 10];
            CompoundSymmetry.theta(4, &x, &mut theta);
            model.reference(&theta, reml)
        };
        let (least, at) = minimum(value, [0.5, 0.0]);
        assert!(found.converged && (found.criterion - least).abs() < 1e-7, "reml {reml}: {} {least}", found.criterion);
        let expected = CompoundSymmetry.near(4, &found.theta);
        expected.iter().zip(&at).for_each(|(a, b)| assert!((a - b).abs() < 1e-4, "{expected:?} {at:?}"));
        assert!(found.theta[1] < -0.05 * found.theta[0], "{:?}", found.theta);
        assert!(found.criterion < fitted(&by_intercepts(&model), false, reml).criterion - 0.1);
    }
}
