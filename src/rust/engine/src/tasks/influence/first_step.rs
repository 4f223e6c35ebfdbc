//! Where the search without one row starts: a Newton step from the estimates of all rows.
//!
//! Without row i, P = V^-1 - V^-1 X (X'V^-1X)^-1 X'V^-1 becomes P - P e_i e_i'P / P_ii (Christensen, Pearson and Johnson 1992,
//! doi:10.2307/1269550). So with c = Z'P e_i, g = Z'Py, s = (Py)_i / P_ii and r2 = y'Py the derivative D of the criterion in the
//! covariance, the sum over levels of [Z'PZ - (nu / r2) g g']_jj, becomes exactly
//!
//! ```text
//! D - c c' / P_ii + (nu / r2) g g' - ((nu - 1) / (r2 - s^2 P_ii)) (g - s c)(g - s c)',
//! ```
//!
//! blocks on the diagonal, where for maximum likelihood V^-1 takes P's place in the first two terms. That takes one solution with the
//! factor of all rows. A Newton step with this derivative and the second derivatives of all rows leaves the search little to do.

use crate::curvature::frame::Frame;
use crate::factor::blocks::Factor;
use crate::factor::criterion::degrees_of_freedom;
use crate::linalg::scratch::Scratch;
use crate::linalg::small::{axpy, cholesky, dot, lower_transpose_times, solve_lower, solve_lower_transpose};
use crate::model::columns::GroupColumns;
use crate::model::lambda::{free_elements, lambda_of, Lambda};
use crate::model::rows::Rows;
use crate::optimise::criterion::Criterion;
use crate::optimise::descent::is_singular;
use crate::optimise::trust_region::Objective;
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::products::response::{fitted_values, Response};

/// Decrease that a step may promise: a longer one leads where the second derivatives of all rows don't hold.
const MOST: f64 = 1.0;

/// What all rows share.
pub struct FirstStep<'a> {
    design: &'a Design,
    rows: &'a Rows<'a>,
    reml: bool,
    /// The free elements of Lambda.
    x: Vec<f64>,
    lambda: Lambda,
    directions: Vec<Vec<f64>>,
    /// Cholesky factor of the second derivatives.
    hessian: Vec<f64>,
    factor: Factor,
    /// M^-1 Lambda'Z'WX, a row of length p per effect.
    products: Vec<f64>,
    /// g = Z'Py.
    g: Vec<f64>,
    /// Conditional residuals.
    residual: Vec<f64>,
    r2: f64,
    /// Per group D, and the sum over levels of g g'.
    d: Vec<Vec<f64>>,
    gg: Vec<Vec<f64>>,
}

impl<'a> FirstStep<'a> {
    /// `None` where a search has to find its own way: singular fits, and criteria that don't depend on all of Lambda. `residual` is what
    /// [`Response::fill`] left behind.
    pub fn new(design: &'a Design, rows: &'a Rows<'a>, response: &Response, residual: &[f64], reml: bool, theta: &[f64]) -> Option<Self> {
        let (structure, workers, go_on) = (&design.structure, Workers::none(), || false);
        if design.absorbed.is_some() || response.is_exact() || degrees_of_freedom(design, reml) <= 1.0 {
            return None;
        }
        let mut criterion = Criterion::new(design, reml, workers, &go_on);
        criterion.set_response(response);
        let at = criterion.evaluate(free_elements(structure, &structure.lambda(theta)))?;
        if criterion.has_idle() || is_singular(&criterion, &at.x) {
            return None;
        }
        let mut hessian = at.hessian;
        if !cholesky(&mut hessian, at.x.len()) {
            return None;
        }
        let lambda = lambda_of(structure, &at.x);
        let solved = criterion.solution(&lambda, response, true)?;
        let (u, b) = solved.effects?;
        let fitted = fitted_values(design, rows, &solved.beta, &b, workers);
        let (factor, mut scratch) = Factor::at(design, &lambda, workers).ok()?;
        let mut products = factor.rzx.clone();
        factor.backward(design, &mut products, design.p, &mut scratch, workers);
        let mut g = u;
        unscale(design, &lambda, &mut g);
        Some(FirstStep {
            directions: Frame::engine(structure, &lambda).directions,
            gg: (0..structure.groups.len()).map(|group| level_sums(design, group, &g, &g)).collect(),
            residual: residual.iter().zip(&fitted).map(|(r, f)| r / response.scale - f).collect(),
            d: criterion.covariance.clone(),
            r2: solved.pwrss,
            x: at.x,
            design,
            rows,
            reml,
            lambda,
            hessian,
            factor,
            products,
            g,
        })
    }

    /// Theta where the search without row `i` starts; `None` where the step leads too far.
    pub fn without(&self, i: usize, scratch: &mut Scratch) -> Option<Vec<f64>> {
        let mut step = self.gradient(i, scratch)?;
        let n = step.len();
        solve_lower(&self.hessian, n, &mut step);
        if dot(&step, &step) > 2.0 * MOST {
            return None;
        }
        solve_lower_transpose(&self.hessian, n, &mut step);
        let x: Vec<f64> = self.x.iter().zip(&step).map(|(x, s)| x - s).collect();
        let structure = &self.design.structure;
        let theta = structure.theta(&lambda_of(structure, &x));
        theta.iter().all(|t| t.is_finite()).then_some(theta)
    }

    /// The gradient of the criterion without row `i`.
    fn gradient(&self, i: usize, scratch: &mut Scratch) -> Option<Vec<f64>> {
        let (p, groups, w) = (self.design.p, &self.design.structure.groups, self.rows.weight(i));
        let mut x = vec![0.0; p];
        self.design.transform.gather(self.rows, i, i + 1, &mut x);
        // a = Lambda'z, M^-1 a, and x - X'WZ Lambda M^-1 a
        let mut v = vec![0.0; self.design.structure.q];
        let mut form = 0.0;
        let mut own = Vec::with_capacity(groups.len());
        for (g, group) in groups.iter().enumerate() {
            let start = group.offset + self.rows.level(group.factor, i) * group.k;
            let a = &mut v[start..start + group.k];
            GroupColumns::new(&self.design.structure, self.rows, g).gather(i, i + 1, a);
            lower_transpose_times(&self.lambda[g], group.k, a);
            a.iter().enumerate().for_each(|(c, a)| axpy(-a, &self.products[(start + c) * p..(start + c + 1) * p], &mut x));
            own.push((start, a.to_vec()));
        }
        self.factor.forward(self.design, &mut v, 1, scratch, Workers::none());
        self.factor.backward(self.design, &mut v, 1, scratch, Workers::none());
        own.iter().for_each(|(start, a)| form += dot(a, &v[*start..start + a.len()]));
        let mut t = x;
        solve_lower(&self.factor.rx, p, &mut t);
        let vii = w * (1.0 - w * form);
        let pii = vii - w * w * dot(&t, &t);
        solve_lower_transpose(&self.factor.rx, p, &mut t);
        // Z'V^-1 e_i and c = Z'P e_i
        v.iter_mut().for_each(|v| *v *= w);
        let mut c = v.clone();
        if p > 0 {
            c.iter_mut().zip(self.products.chunks_exact(p)).for_each(|(c, row)| *c -= w * dot(row, &t));
        }
        unscale(self.design, &self.lambda, &mut c);
        let (s, nu) = (w * self.residual[i] / pii, degrees_of_freedom(self.design, self.reml));
        let r2 = self.r2 - s * s * pii;
        if !(pii > f64::EPSILON * w && vii > 0.0 && r2 > 0.0) {
            return None;
        }
        let lost = if self.reml {
            None
        } else {
            unscale(self.design, &self.lambda, &mut v);
            Some(v)
        };
        let mut d = self.d.clone();
        for (g, d) in d.iter_mut().enumerate() {
            let (cc, gc) = (level_sums(self.design, g, &c, &c), level_sums(self.design, g, &self.g, &c));
            axpy(nu / self.r2, &self.gg[g], d);
            match &lost {
                None => axpy(-1.0 / pii, &cc, d),
                Some(v) => axpy(-1.0 / vii, &level_sums(self.design, g, v, v), d),
            }
            let factor = -(nu - 1.0) / r2;
            let k = groups[g].k;
            for at in 0..k * k {
                let across = at % k * k + at / k;
                d[at] += factor * (self.gg[g][at] - s * (gc[at] + gc[across]) + s * s * cc[at]);
            }
        }
        let entries = self.design.structure.entries.iter().zip(&self.directions);
        Some(entries.map(|(e, direction)| dot(&d[e.group], direction)).collect())
    }
}

/// v := Lambda^-T v for a vector of all effects.
fn unscale(design: &Design, lambda: &Lambda, v: &mut [f64]) {
    for (group, lambda) in design.structure.groups.iter().zip(lambda) {
        v[group.range()].chunks_exact_mut(group.k).for_each(|level| solve_lower_transpose(lambda, group.k, level));
    }
}

/// The sum over a group's levels of a b', K x K.
fn level_sums(design: &Design, g: usize, a: &[f64], b: &[f64]) -> Vec<f64> {
    let group = &design.structure.groups[g];
    let mut out = vec![0.0; group.k * group.k];
    for (a, b) in a[group.range()].chunks_exact(group.k).zip(b[group.range()].chunks_exact(group.k)) {
        b.iter().zip(out.chunks_exact_mut(group.k)).for_each(|(b, column)| axpy(*b, a, column));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rows::Term;
    use crate::products::without::{Gone, RowIndex};
    use crate::tasks::fit::{fit, Options};

    /// Hands a small model of two crossed factors, the second with a slope, to `body`.
    fn with_crossed(body: impl FnOnce(&Rows, &[f64])) {
        let n = 120;
        let wave = |i: usize, a: f64| (i as f64 * i as f64 * a).sin();
        let x: Vec<f64> = (0..2 * n).map(|i| if i < n { 1.0 } else { wave(i, 0.7) }).collect();
        let codes = [(0..n).map(|i| (i * 7 % 12) as i32 + 1).collect::<Vec<_>>(), (0..n).map(|i| (i % 5) as i32 + 1).collect()];
        let (own, slope) = (|i: usize| 2.0 * wave(codes[1][i] as usize, 2.3), |i: usize| 2.0 * wave(codes[1][i] as usize, 0.9));
        let of_row = |i: usize| 2.0 * wave(codes[0][i] as usize, 1.9) + own(i) + slope(i) * x[n + i];
        let y: Vec<f64> = (0..n).map(|i| wave(i, 1.3) + of_row(i)).collect();
        let weights: Vec<f64> = (0..n).map(|i| 0.5 + (i % 3) as f64).collect();
        let terms = vec![Term { factor: 0, z: None, k: 1 }, Term { factor: 1, z: Some(&x), k: 2 }];
        let codes = codes.iter().map(|c| &c[..]).collect();
        body(&Rows { n, x: &x, p: 2, codes, levels: vec![12, 5], terms, weights: Some(&weights), absorbed: None }, &y);
    }

    #[test]
    fn the_gradient_without_a_row_is_that_of_the_other_rows() {
        for (dense, reml) in [(true, true), (true, false), (false, true), (false, false)] {
            with_crossed(|rows, y| {
                let design = Design::new(rows).unwrap();
                let design = if dense { design } else { design.without_coupling() };
                let best = fit(&design, rows, y, &Options { reml, ..Options::default() }).unwrap();
                let theta: Vec<f64> = best.theta.iter().map(|t| 1.05 * t).collect();
                let (mut response, mut residual) = (Response::empty(&design), Vec::new());
                response.fill(&design, rows, y, &mut residual, Workers::none()).unwrap();
                let step = FirstStep::new(&design, rows, &response, &residual, reml, &theta).unwrap();
                let index = RowIndex::new(&design, rows);
                for i in [0, 7, 119] {
                    let mut is_gone = vec![false; rows.n];
                    is_gone[i] = true;
                    let gone = Gone { rows: &[i as u32], is_gone: &is_gone };
                    let remaining = design.without(rows, &index, gone).unwrap();
                    let own = response.without(&design, &remaining, rows, &residual, &index, gone).unwrap();
                    let smaller = design.with_products(remaining.products);
                    let mut criterion = Criterion::new(&smaller, reml, Workers::none(), &|| false);
                    criterion.set_response(&own);
                    let there = criterion.evaluate(step.x.clone()).unwrap();
                    let found = step.gradient(i, &mut Scratch::for_solving()).unwrap();
                    let size = there.gradient.iter().fold(1.0_f64, |most, v| most.max(v.abs()));
                    found.iter().zip(&there.gradient).for_each(|(a, b)| {
                        assert!((a - b).abs() < 1e-9 * size, "dense {dense}, reml {reml}, row {i}: {a} for {b}");
                    });
                }
            });
        }
    }
}
