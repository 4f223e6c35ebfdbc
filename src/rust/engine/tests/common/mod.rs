//! Simulated designs and a dense reference: V is formed and factored as it stands in the textbook.

#![allow(dead_code)] // each test file uses its part

pub mod chunks;

use fastlmer_engine::small::{cholesky, inverse_from_cholesky, log_diagonal};
use fastlmer_engine::{Rows, Term};

/// Owned data of a model.
#[derive(Clone)]
pub struct Model {
    pub n: usize,
    pub p: usize,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    pub codes: Vec<Vec<i32>>,
    pub levels: Vec<usize>,
    /// Per term its factor and its columns.
    pub terms: Vec<(usize, Vec<f64>)>,
    pub weights: Option<Vec<f64>>,
}

impl Model {
    pub fn rows(&self) -> Rows<'_> {
        Rows {
            n: self.n,
            x: &self.x,
            p: self.p,
            codes: self.codes.iter().map(|c| c.as_slice()).collect(),
            levels: self.levels.clone(),
            terms: self.terms.iter().map(|(f, z)| Term { factor: *f, z: Some(z), k: z.len() / self.n }).collect(),
            weights: self.weights.as_deref(),
            absorbed: None,
        }
    }

    /// Criterion from V = W^-1 + Z Lambda Lambda' Z' by dense Cholesky.
    pub fn reference(&self, theta: &[f64], reml: bool) -> f64 {
        let Parts { log_determinants, pwrss, nu, .. } = self.parts(theta, reml);
        log_determinants + nu * (1.0 + (2.0 * std::f64::consts::PI * pwrss / nu).ln())
    }

    /// Lambda's lower triangle of each term, k x k.
    pub fn lambdas(&self, theta: &[f64]) -> Vec<Vec<f64>> {
        let mut at = 0;
        let triangle = |(_, z): &(usize, Vec<f64>)| {
            let k = z.len() / self.n;
            let mut lambda = vec![0.0; k * k];
            for c in 0..k {
                for r in c..k {
                    lambda[c * k + r] = theta[at];
                    at += 1;
                }
            }
            lambda
        };
        self.terms.iter().map(triangle).collect()
    }

    /// What it is made of.
    pub fn parts(&self, theta: &[f64], reml: bool) -> Parts {
        let (n, p) = (self.n, self.p);
        let mut v = vec![0.0; n * n];
        (0..n).for_each(|i| v[i * n + i] = 1.0 / self.weights.as_ref().map_or(1.0, |w| w[i]));
        for ((f, z), lambda) in self.terms.iter().zip(self.lambdas(theta)) {
            let k = z.len() / n;
            let scores: Vec<Vec<f64>> =
                (0..n).map(|i| (0..k).map(|c| (c..k).map(|r| z[r * n + i] * lambda[c * k + r]).sum()).collect()).collect();
            for j in 0..n {
                for i in 0..n {
                    if self.codes[*f][i] == self.codes[*f][j] {
                        v[j * n + i] += (0..k).map(|c| scores[i][c] * scores[j][c]).sum::<f64>();
                    }
                }
            }
        }
        let mut l = v;
        assert!(cholesky(&mut l, n));
        let log_det_v = 2.0 * log_diagonal(&l, n);
        let vinv = inverse_from_cholesky(&l, n);
        let quadratic = |a: &[f64], b: &[f64]| -> f64 { (0..n).map(|j| b[j] * (0..n).map(|i| a[i] * vinv[j * n + i]).sum::<f64>()).sum() };
        let column = |j: usize| &self.x[j * n..(j + 1) * n];
        let mut xvx: Vec<f64> = (0..p * p).map(|t| quadratic(column(t % p), column(t / p))).collect();
        let xvy: Vec<f64> = (0..p).map(|j| quadratic(column(j), &self.y)).collect();
        assert!(cholesky(&mut xvx, p));
        let ld_rx2 = 2.0 * log_diagonal(&xvx, p);
        let c = inverse_from_cholesky(&xvx, p);
        let explained: f64 = (0..p * p).map(|t| xvy[t % p] * c[t] * xvy[t / p]).sum();
        let pwrss = quadratic(&self.y, &self.y) - explained;
        let nu = (n - if reml { p } else { 0 }) as f64;
        Parts { log_determinants: log_det_v + if reml { ld_rx2 } else { 0.0 }, pwrss, covariance: c, nu }
    }
}

/// Parts of the criterion at one theta: the log determinants of V and (REML) X'V^-1X, the penalised residual sum of squares, the inverse of
/// X'V^-1X, and the degrees of freedom.
pub struct Parts {
    pub log_determinants: f64,
    pub pwrss: f64,
    pub covariance: Vec<f64>,
    pub nu: f64,
}

/// Uniform numbers in (0, 1) from a linear congruential generator (Knuth's MMIX constants).
pub struct Uniform(pub u64);

impl Uniform {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.next().ln()).sqrt() * (2.0 * std::f64::consts::PI * self.next()).cos()
    }
    pub fn below(&mut self, m: usize) -> usize {
        (self.next() * m as f64) as usize
    }
}

/// A model with an intercept, `p - 1` covariates, factors with the given levels drawn at random (every level at
/// least once) and terms given as (factor, columns).
pub fn simulate(seed: u64, n: usize, p: usize, levels: &[usize], terms: &[(usize, usize)]) -> Model {
    let mut rng = Uniform(seed);
    let mut x = vec![1.0; n];
    (1..p).for_each(|j| x.extend((0..n).map(|_| rng.normal() * j as f64 + 3.0)));
    let codes: Vec<Vec<i32>> =
        levels.iter().map(|&m| (0..n).map(|i| if i < m { i as i32 + 1 } else { rng.below(m) as i32 + 1 }).collect()).collect();
    let mut y: Vec<f64> = (0..n).map(|_| rng.normal() + 10.0).collect();
    let mut built = Vec::new();
    for &(f, k) in terms {
        let mut z = vec![1.0; n];
        (1..k).for_each(|c| z.extend((0..n).map(|_| rng.normal() * 2.0 * c as f64)));
        for c in 0..k {
            let b: Vec<f64> = (0..levels[f]).map(|_| rng.normal() / (1.0 + c as f64)).collect();
            (0..n).for_each(|i| y[i] += z[c * n + i] * b[codes[f][i] as usize - 1]);
        }
        built.push((f, z));
    }
    Model { n, p, x, y, codes, levels: levels.to_vec(), terms: built, weights: None }
}

/// The designs on which every identity is tested.
pub fn designs() -> Vec<(&'static str, Model)> {
    let mut weighted = simulate(3, 60, 2, &[10], &[(0, 2)]);
    let mut rng = Uniform(99);
    weighted.weights = Some((0..60).map(|_| 0.2 + 3.0 * rng.next()).collect());
    let mut nested = simulate(5, 300, 2, &[120, 60, 55], &[(0, 1), (1, 2), (2, 1)]);
    nested.codes[0] = (0..300).map(|i| i % 120 + 1).collect();
    nested.codes[1] = nested.codes[0].iter().map(|c| (c - 1) % 60 + 1).collect();
    nested.codes[2] = nested.codes[1].iter().map(|c| (c - 1) % 55 + 1).collect();
    // an intercept in both terms would leave only the sum of its variances identified
    let mut two_terms = simulate(6, 80, 2, &[10], &[(0, 1), (0, 2)]);
    two_terms.terms[1].1[..80].iter_mut().for_each(|z| *z = rng.normal());
    vec![
        ("intercept", simulate(1, 40, 1, &[8], &[(0, 1)])),
        ("slope", simulate(2, 80, 2, &[12], &[(0, 2)])),
        ("weighted slope", weighted),
        ("four effects", simulate(4, 150, 3, &[15], &[(0, 4)])),
        ("two terms of one factor", two_terms),
        ("crossed", simulate(7, 120, 3, &[20, 9], &[(0, 1), (1, 1)])),
        ("crossed with slopes", simulate(8, 150, 2, &[20, 9, 4], &[(0, 2), (1, 2), (2, 1)])),
        ("nested, sparse remainder", nested),
        ("crossed, dense remainder of order above 48", simulate(9, 260, 2, &[60, 55], &[(0, 1), (1, 1)])),
    ]
}

/// A theta that is not special.
pub fn some_theta(model: &Model) -> Vec<f64> {
    let mut rng = Uniform(17);
    let mut theta = Vec::new();
    for (_, z) in &model.terms {
        let k = z.len() / model.n;
        for c in 0..k {
            for r in c..k {
                theta.push(if r == c { 0.3 + rng.next() } else { 0.4 * rng.normal() });
            }
        }
    }
    theta
}

/// The least value of a function and where it is, by a search along the axes that knows values alone.
pub fn minimum<const N: usize>(value: impl Fn([f64; N]) -> f64, start: [f64; N]) -> (f64, [f64; N]) {
    let (mut least, mut at, mut step) = (value(start), start, 0.5);
    while step > 1e-6 {
        let tries = (0..2 * N).map(|t| std::array::from_fn(|i| at[i] + if i == t / 2 { step * [1.0, -1.0][t % 2] } else { 0.0 }));
        let (there, x) = tries.map(|x| (value(x), x)).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        if there < least {
            (least, at) = (there, x);
        } else {
            step /= 2.0;
        }
    }
    (least, at)
}
