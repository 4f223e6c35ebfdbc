//! Minus twice the log likelihood with one parameter of the covariance held: the objective of a profile, and its descent.
//!
//! With sigma = scale exp(tau) and the fixed effects at their estimates it is, by maximum likelihood,
//!
//! ```text
//! f(L, tau) = log |M| + n (log(2 pi scale^2) + 2 tau) + pwrss exp(-2 tau) - log |W|.
//! ```
//!
//! Its derivatives in tau are plain; those in the elements of L are the derivatives of log |M| + w pwrss with w = exp(-2 tau). They are
//! carried over to the [`Coordinates`], one of which is the held parameter. The derivatives in it are kept too: they say how the optimum
//! moves with it.

use crate::curvature::frame::Frame;
use crate::factor::criterion::rounding;
use crate::linalg::blocks::nth;
use crate::linalg::eigen::symmetric_eigen;
use crate::linalg::small::{axpy, semidefinite_cholesky};
use crate::model::basis::TermBasis;
use crate::model::coordinates::Coordinates;
use crate::model::lambda::Lambda;
use crate::optimise::criterion::{keep_off_zero, natural_sizes};
use crate::optimise::trust_region::{minimise, Descent, Objective, Outcome, Point};
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::pls::{self, Pls};
use crate::products::response::Response;
use crate::tolerances::{CHANGE, NEAR_ZERO, NEGATIVE_CURVATURE, PROFILE_PROMISE};

/// Most directions of decrease that are followed off a boundary point, one after the other.
const MOST_ESCAPES: usize = 5;

/// Deviance with a parameter held, with all the memory that its evaluation needs.
pub struct HeldDeviance<'a> {
    /// The coordinates.
    pub coordinates: Coordinates<'a>,
    /// The held coordinate.
    pub held: f64,
    /// At the last point with derivatives: gradient and second derivatives in all coordinates, also the held one.
    pub gradient: Vec<f64>,
    /// See there.
    pub hessian: Vec<f64>,
    design: &'a Design,
    scale: f64,
    cancellation: f64,
    yy: f64,
    /// Per element of L the size of its row at which a level's data and its prior weigh the same.
    sizes: Vec<f64>,
    /// Per group the derivative D in the covariance at the last point.
    covariance: Vec<Vec<f64>>,
    /// The value at the last point.
    there: f64,
    pls: Box<dyn Pls + 'a>,
    workers: &'a Workers,
}

impl<'a> HeldDeviance<'a> {
    /// For a response of a design.
    pub fn new(design: &'a Design, response: &Response, coordinates: Coordinates<'a>, workers: &'a Workers) -> Self {
        let mut pls = pls::of_design(design, false, workers);
        pls.set_response(response);
        HeldDeviance {
            sizes: coordinates.row_sizes(&natural_sizes(design)),
            coordinates,
            held: 0.0,
            gradient: Vec::new(),
            hessian: Vec::new(),
            design,
            scale: response.scale,
            cancellation: 1.0,
            yy: response.yy,
            covariance: Vec::new(),
            there: f64::NAN,
            pls,
            workers,
        }
    }

    /// All coordinates: the free ones with the held one in its place.
    pub fn whole(&self, free: &[f64]) -> Vec<f64> {
        let mut z = free.to_vec();
        z.insert(self.coordinates.held, self.held);
        z
    }

    /// The engine's Lambda and tau at free coordinates.
    pub fn lambda(&self, free: &[f64]) -> (Lambda, f64) {
        let y = self.coordinates.elements(&self.whole(free));
        (self.lambda_of(&y), y[y.len() - 1])
    }

    /// Lambda, with diagonals off zero.
    fn lambda_of(&self, y: &[f64]) -> Lambda {
        let mut lambda = self.coordinates.lambda(y);
        keep_off_zero(&self.design.structure, &mut lambda);
        lambda
    }

    /// Coefficients of the engine's X at the last point.
    pub fn solved_beta(&self) -> &[f64] {
        self.pls.beta()
    }

    /// Per element of L the size of its row at which a level's data and its prior weigh the same.
    pub fn sizes(&self) -> &[f64] {
        &self.sizes
    }

    /// The value at elements of L and tau, and pwrss.
    fn value_at(&mut self, y: &[f64]) -> Option<(f64, f64)> {
        let tau = y[y.len() - 1];
        let lambda = self.lambda_of(y);
        if !tau.is_finite() || lambda.iter().flatten().any(|v| !v.is_finite()) {
            return None;
        }
        self.pls.factorize(&lambda).ok()?;
        let (log_det_m, _) = self.pls.log_determinants(true).ok()?;
        let pwrss = self.pls.solve();
        self.cancellation = self.yy / pwrss;
        let sigma = (2.0 * std::f64::consts::PI).ln() + 2.0 * (self.scale.ln() + tau);
        let value = log_det_m + self.design.n as f64 * sigma + pwrss * (-2.0 * tau).exp() - self.design.log_weights;
        value.is_finite().then_some((value, pwrss))
    }

    /// Gradient and second derivatives in the elements of L and tau where [`HeldDeviance::value_at`] was last called.
    fn derivatives(&mut self, y: &[f64], pwrss: f64) -> (Vec<f64>, Vec<f64>) {
        let (m, n, w) = (y.len() - 1, y.len(), (-2.0 * y[y.len() - 1]).exp());
        let frame = Frame::of_directions(self.coordinates.directions(y));
        let d = self.pls.derivatives_with(w * pwrss, &frame);
        let mut gradient = d.gradient;
        gradient.push(2.0 * self.design.n as f64 - 2.0 * w * pwrss);
        let mut hessian = vec![0.0; n * n];
        for j in 0..m {
            // pwrss enters by itself, not by its logarithm
            (0..m).for_each(|i| hessian[j * n + i] = d.hessian[j * m + i] + w / pwrss * d.explained[i] * d.explained[j]);
            (hessian[j * n + m], hessian[m * n + j]) = (2.0 * w * d.explained[j], 2.0 * w * d.explained[j]);
        }
        hessian[m * n + m] = 4.0 * w * pwrss;
        self.coordinates.add_second_order(&d.covariance, &mut hessian, n);
        self.covariance = d.covariance;
        (gradient, hessian)
    }

    /// How the optimum moves with the held coordinate, per free coordinate, where the last point was evaluated.
    pub fn tangent(&self) -> Option<Vec<f64>> {
        let (n, held) = (self.gradient.len(), self.coordinates.held);
        let free: Vec<usize> = (0..n).filter(|&i| i != held).collect();
        let mut out: Vec<f64> = free.iter().map(|&i| -self.hessian[held * n + i]).collect();
        let scale = self.step_scale(&[]);
        let m = free.len();
        let scaled: Vec<f64> = (0..m * m).map(|i| self.hessian[free[i / m] * n + free[i % m]] * scale[i / m] * scale[i % m]).collect();
        let (values, vectors) = symmetric_eigen(&scaled, m);
        let most = values.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
        let mut step = vec![0.0; m];
        for (value, v) in values.iter().zip(vectors.chunks_exact(m)).filter(|(value, _)| **value > 1e-9 * most) {
            let share: f64 = (0..m).map(|i| v[i] * scale[i] * out[i]).sum();
            axpy(share / value, v, &mut step);
        }
        (0..m).for_each(|i| out[i] = scale[i] * step[i]);
        out.iter().all(|v| v.is_finite()).then_some(out)
    }

    /// Second derivative of the profile in the held coordinate where the last point was evaluated.
    pub fn curvature(&self) -> f64 {
        let (n, held) = (self.gradient.len(), self.coordinates.held);
        let own = nth(&self.hessian, held, n);
        let moved = self.tangent().map_or(0.0, |t| t.iter().zip((0..n).filter(|&i| i != held)).map(|(t, i)| t * own[i]).sum());
        own[held] + moved
    }

    /// A descent at whose end the last point with derivatives is.
    fn minimum(&mut self, start: Vec<f64>, limit: usize) -> Option<Descent> {
        let found = minimise(self, start, limit)?;
        self.return_to(&found.point)?;
        Some(found)
    }

    /// Makes the end of a descent the last point with derivatives.
    pub fn return_to(&mut self, point: &Point) -> Option<()> {
        if self.there != point.value {
            self.evaluate(point.x.clone())?;
        }
        Some(())
    }

    /// A descent from free coordinates, and on from any boundary point at which a covariance has a direction of decrease.
    pub fn descend(&mut self, start: Vec<f64>, limit: usize) -> Option<Descent> {
        let mut best = self.minimum(start, limit)?;
        for _ in 0..MOST_ESCAPES {
            if !best.outcome.is_end() {
                break;
            }
            let Some(escape) = self.escape(&best.point) else { break };
            match self.minimum(escape, limit) {
                Some(Descent { outcome: Outcome::Interrupted, .. }) => best.outcome = Outcome::Interrupted,
                Some(other) if other.point.value < best.point.value - CHANGE => {
                    best = Descent { evaluations: best.evaluations + other.evaluations, ..other };
                }
                _ => {
                    self.return_to(&best.point)?;
                    break;
                }
            }
        }
        Some(best)
    }

    /// A start off a boundary point: where the derivative in a covariance has a negative direction v among the rows that nothing is held
    /// of, the factor of L L' + v v' times a natural variance.
    fn escape(&mut self, point: &Point) -> Option<Vec<f64>> {
        let z = self.whole(&point.x);
        let y = self.coordinates.elements(&z);
        let mut next = y.clone();
        let mut found = false;
        for term in &self.coordinates.terms {
            let diagonal = |r: usize| term.place(r, r);
            if (term.held..term.k).all(|r| y[diagonal(r)].abs() >= NEAR_ZERO * self.sizes[diagonal(r)]) {
                continue;
            }
            let d = self.coordinates.own_derivative(term, &self.covariance);
            if let Some(v) = self.negative_direction(term, &d) {
                found = true;
                add_direction(term, &v, &mut next);
            }
        }
        if !found {
            return None;
        }
        // the held rows are as they were: so are their coordinates
        let mut out = z;
        for term in &self.coordinates.terms {
            for c in 0..term.k {
                (term.held.max(c)..term.k).for_each(|r| out[term.place(r, c)] = next[term.place(r, c)]);
            }
        }
        out.remove(self.coordinates.held);
        Some(out)
    }

    /// The direction, in natural sizes, of the rows of a term that nothing is held of.
    fn negative_direction(&self, term: &TermBasis, d: &[f64]) -> Option<Vec<f64>> {
        let free: Vec<usize> = (term.held..term.k).collect();
        let m = free.len();
        let size = |i: usize| self.sizes[term.place(free[i], free[i])];
        let own: Vec<f64> = (0..m * m).map(|i| d[free[i / m] * term.k + free[i % m]] * size(i / m) * size(i % m)).collect();
        let (values, vectors) = symmetric_eigen(&own, m);
        (values.first().is_some_and(|v| *v < -NEGATIVE_CURVATURE)).then(|| (0..m).map(|i| size(i) * vectors[i]).collect())
    }
}

/// Adds v v' to the covariance of a term's rows from the held ones on: their columns after the held ones are made anew.
fn add_direction(term: &TermBasis, v: &[f64], y: &mut [f64]) {
    let (m, held) = (v.len(), term.held);
    let l = term.triangle(y);
    let mut own = vec![0.0; m * m];
    for c in 0..m {
        for r in 0..m {
            let along: f64 = (held..term.k).map(|s| l[s * term.k + held + r] * l[s * term.k + held + c]).sum();
            own[c * m + r] = along + v[r] * v[c];
        }
    }
    let factor = semidefinite_cholesky(&own, m);
    for c in 0..m {
        (c..m).for_each(|r| y[term.place(held + r, held + c)] = factor[c * m + r]);
    }
}

impl Objective for HeldDeviance<'_> {
    fn evaluate(&mut self, x: Vec<f64>) -> Option<Point> {
        let z = self.whole(&x);
        let y = self.coordinates.elements(&z);
        let (value, pwrss) = self.value_at(&y)?;
        let (mut gradient, mut hessian) = self.derivatives(&y, pwrss);
        self.coordinates.chain(&z, &y, &mut gradient, &mut hessian);
        (self.gradient, self.hessian, self.there) = (gradient, hessian, value);
        let (n, held) = (z.len(), self.coordinates.held);
        let free = |i: usize| i + usize::from(i >= held);
        let gradient: Vec<f64> = (0..n - 1).map(|i| self.gradient[free(i)]).collect();
        let hessian: Vec<f64> = (0..(n - 1) * (n - 1)).map(|i| self.hessian[free(i / (n - 1)) * n + free(i % (n - 1))]).collect();
        let finite = gradient.iter().chain(&hessian).all(|v| v.is_finite());
        let noise = rounding(self.design.n, value, self.cancellation);
        finite.then_some(Point { x, value, noise, gradient, hessian })
    }

    fn value(&mut self, x: &[f64]) -> Option<f64> {
        let y = self.coordinates.elements(&self.whole(x));
        self.value_at(&y).map(|(value, _)| value)
    }

    fn step_scale(&self, x: &[f64]) -> Vec<f64> {
        let (held, roots) = (self.coordinates.held, self.coordinates.roots());
        let mut out = self.sizes.clone();
        if x.len() == out.len() {
            let y = self.coordinates.elements(&self.whole(x));
            for term in &self.coordinates.terms {
                for r in 0..term.k {
                    let length = (0..=r).map(|c| y[term.place(r, c)].powi(2)).sum::<f64>().sqrt();
                    (0..=r).for_each(|c| out[term.place(r, c)] = out[term.place(r, c)].max(length));
                }
            }
        }
        roots.into_iter().flatten().for_each(|i| out[i] = out[i].sqrt());
        out.push(0.5);
        out.remove(held);
        out
    }

    fn exact_hessian(&self) -> bool {
        self.pls.has_exact_hessian()
    }

    fn interrupted(&self) -> bool {
        self.workers.gives_up()
    }

    fn promise(&self, _patient: bool) -> f64 {
        PROFILE_PROMISE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::coordinates::Held;
    use crate::pls::tests::with_crossed;

    const THETA: [f64; 4] = [0.7, 0.4, 0.1, 0.3];

    fn parameters() -> Vec<Held> {
        let deviations = (0..2).map(|row| Held::Deviation { term: 1, row });
        let pairs = [Held::Correlation { term: 1, rows: (0, 1) }, Held::Covariance { term: 1, rows: (0, 1) }];
        [Held::Sigma, Held::Deviation { term: 0, row: 0 }].into_iter().chain(deviations).chain(pairs).collect()
    }

    /// The deviance at coordinates, held one and all.
    fn value(deviance: &mut HeldDeviance, z: &[f64]) -> f64 {
        let (held, mut free) = (deviance.coordinates.held, z.to_vec());
        deviance.held = free.remove(held);
        deviance.value(&free).unwrap()
    }

    #[test]
    fn derivatives_are_those_of_the_value() {
        for dense in [true, false] {
            with_crossed(dense, |design, response| {
                for parameter in parameters() {
                    let coordinates = Coordinates::new(&design.structure, parameter, response.scale);
                    let lambda = design.structure.lambda(&THETA);
                    let mut deviance = HeldDeviance::new(design, response, coordinates, Workers::none());
                    let z = deviance.coordinates.of(&lambda, -0.2);
                    let (n, held) = (z.len(), deviance.coordinates.held);
                    let y = deviance.coordinates.elements(&z);
                    deviance.coordinates.lambda(&y).iter().flatten().zip(lambda.iter().flatten()).for_each(|(a, b)| {
                        assert!((a.abs() - b.abs()).abs() < 1e-12, "{parameter:?}: {a} {b}");
                    });
                    let mut at = |z: &[f64]| {
                        let mut free = z.to_vec();
                        deviance.held = free.remove(held);
                        deviance.evaluate(free).unwrap();
                        (deviance.gradient.clone(), deviance.hessian.clone())
                    };
                    let (gradient, hessian) = at(&z);
                    let moved = |i: usize, h: f64| -> Vec<f64> { (0..n).map(|j| z[j] + if i == j { h } else { 0.0 }).collect() };
                    for i in 0..n {
                        let (above, below) = (at(&moved(i, 1e-4)).0, at(&moved(i, -1e-4)).0);
                        if dense {
                            for j in 0..n {
                                let difference = (above[j] - below[j]) / 2e-4;
                                assert!((difference - hessian[i * n + j]).abs() < 2e-4 * (1.0 + difference.abs()), "{parameter:?} {i} {j}");
                            }
                        }
                    }
                    for i in 0..n {
                        let difference = (value(&mut deviance, &moved(i, 1e-4)) - value(&mut deviance, &moved(i, -1e-4))) / 2e-4;
                        assert!((difference - gradient[i]).abs() < 1e-4 * (1.0 + difference.abs()), "{parameter:?} {i}");
                    }
                }
            });
        }
    }
}
