//! The profiled criterion of one response as a function of the free elements of Lambda, with its derivatives.

use std::cell::Cell;

use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::criterion::{criterion_value, rounding};
use crate::model::lambda::{free_elements, lambda_of, scale_effects, set_free_elements, term_covariance, Lambda};
use crate::model::structure::{Structure, ThetaEntry};
use crate::optimise::trust_region::{Objective, Point};
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::pls::kept::Pinned;
use crate::pls::{self, Pls};
use crate::products::response::Response;
use crate::progress;
use crate::tolerances::{CHANGE, FLOOR, NEAR};

/// The criterion with all the memory that its evaluation needs; it serves one response after the other.
pub struct Criterion<'a> {
    /// The design.
    pub design: &'a Design,
    /// REML instead of maximum likelihood.
    pub reml: bool,
    /// Per group the derivative D in the covariance where [`Objective::evaluate`] was last called.
    pub covariance: Vec<Vec<f64>>,
    /// Per element of theta the size of Lambda's row at which a level's data and its prior weigh the same.
    pub natural: Vec<f64>,
    /// The best point of earlier descents: others that come near it are given up.
    pub known: Option<Point>,
    /// The threads that large models are computed on.
    pub workers: &'a Workers,
    /// Asked between evaluations.
    pub interrupted: &'a dyn Fn() -> bool,
    stopped: Cell<bool>,
    /// Elements that the criterion doesn't depend on and that stay zero; empty where there are none.
    idle: Vec<bool>,
    lambda: Lambda,
    /// Memory for the next one, and for the coordinates of derivatives.
    next: Lambda,
    frame: Frame,
    /// The criterion at `lambda`, if it has been computed there.
    there: Option<f64>,
    scale: f64,
    /// Whether the fixed effects fit the response exactly.
    exact: bool,
    /// y'Wy / pwrss where the criterion was last computed: how many of pwrss's digits its subtractions cost.
    cancellation: f64,
    /// y'Wy of the engine's response.
    yy: f64,
    /// The penalised residual sum of squares where the criterion was last computed.
    pwrss: f64,
    pls: Box<dyn Pls + 'a>,
}

/// Estimates at one Lambda, for the engine's X and response.
#[derive(Clone, Debug)]
pub struct Solved {
    /// The criterion.
    pub value: f64,
    /// Coefficients.
    pub beta: Vec<f64>,
    /// Penalised residual sum of squares.
    pub pwrss: f64,
    /// log |M|.
    pub ld_l2: f64,
    /// log |X'V^-1X|.
    pub ld_rx2: f64,
    /// RX', the lower Cholesky factor of X'V^-1X.
    pub rx: Vec<f64>,
    /// Constants of the absorbed factor's levels, if there is one.
    pub levels: Vec<f64>,
    /// Spherical random effects u and Lambda u, in the engine's order, if they were asked for.
    pub effects: Option<(Vec<f64>, Vec<f64>)>,
}

impl<'a> Criterion<'a> {
    /// Allocates; [`Criterion::set_response`] has to follow.
    pub fn new(design: &'a Design, reml: bool, workers: &'a Workers, interrupted: &'a dyn Fn() -> bool) -> Self {
        Criterion {
            design,
            reml,
            interrupted,
            stopped: Cell::new(false),
            covariance: Vec::new(),
            natural: natural_sizes(design),
            idle: design.idle_elements(reml),
            known: None,
            there: None,
            workers,
            lambda: design.structure.zero_lambda(),
            next: design.structure.zero_lambda(),
            frame: Frame::engine(&design.structure, &design.structure.zero_lambda()),
            scale: 1.0,
            exact: false,
            cancellation: 1.0,
            yy: 0.0,
            pwrss: 0.0,
            pls: pls::of_design(design, reml, workers),
        }
    }

    /// Makes this the criterion of a response.
    pub fn set_response(&mut self, response: &Response) {
        self.scale = response.scale;
        self.exact = response.is_exact();
        self.there = None;
        self.yy = response.yy;
        self.pls.set_response(response);
    }

    /// Keeps the factorisation at a theta for all searches that start there (where that saves anything), and returns it for other criteria
    /// to share.
    pub fn pin(&mut self, theta: &[f64]) -> Option<Pinned> {
        self.there = None;
        let structure = &self.design.structure;
        let x = self.admissible(free_elements(structure, &structure.lambda(theta)));
        self.pls.pin(&lambda_of(structure, &x))
    }

    /// Keeps what another criterion of the same design, with or without REML as this one, has pinned.
    pub fn share(&mut self, pinned: &Pinned) {
        self.there = None;
        self.pls.share(pinned);
    }

    /// The estimates at a Lambda for the response of `set_response`, with the random effects where they are wanted.
    pub fn solution(&mut self, lambda: &Lambda, response: &Response, effects: bool) -> Option<Solved> {
        let value = self.solve(lambda)?;
        let (ld_l2, ld_rx2) = self.pls.log_determinants(true).ok()?;
        let structure = &self.design.structure;
        let u = if effects || structure.fixed.is_some() { self.pls.spherical_effects(response) } else { Vec::new() };
        Some(Solved {
            value,
            beta: self.pls.beta().to_vec(),
            pwrss: self.pwrss,
            ld_l2,
            ld_rx2,
            rx: self.pls.rx().to_vec(),
            levels: structure.fixed_group().map_or_else(Vec::new, |group| u[group.range()].to_vec()),
            effects: effects.then(|| {
                let b = scale_effects(structure, lambda, &u);
                (u, b)
            }),
        })
    }

    /// The criterion alone, also where a diagonal is zero.
    pub fn value(&mut self, x: &[f64]) -> Option<f64> {
        let mut lambda = std::mem::take(&mut self.next);
        set_free_elements(&self.design.structure, x, &mut lambda);
        let value = self.solve(&lambda);
        self.next = lambda;
        value
    }

    /// The criterion at a Lambda.
    pub fn value_at(&mut self, lambda: &Lambda) -> Option<f64> {
        self.solve(lambda)
    }

    /// Factors and solves at a Lambda, unless that is where it was last done; the criterion.
    fn solve(&mut self, lambda: &Lambda) -> Option<f64> {
        if self.there.is_some() && self.lambda == *lambda {
            return self.there;
        }
        self.lambda.clone_from(lambda);
        self.there = None;
        self.pls.factorize(lambda).ok()?;
        let (ld_l2, ld_rx2) = self.pls.log_determinants(!self.reml).ok()?;
        self.pwrss = self.pls.solve();
        self.cancellation = self.yy / self.pwrss;
        let value = criterion_value(self.design, ld_l2, ld_rx2, self.pwrss, self.scale, self.reml);
        if value.is_finite() || (self.exact && value == f64::NEG_INFINITY) {
            self.there = Some(value);
        }
        self.there
    }

    /// Gradient and second derivatives in theta at a Lambda, whose theta is given too.
    pub fn derivatives_in_theta(&mut self, lambda: &Lambda, theta: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
        let structure = &self.design.structure;
        self.value(&with_floor(structure, free_elements(structure, lambda)))?;
        let d = self.pls.derivatives(&Frame::theta(structure, theta));
        Some((d.gradient, d.hessian))
    }

    /// Whether the fixed effects fit the response exactly.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Is an element one that the criterion doesn't depend on?
    pub fn is_idle(&self, element: usize) -> bool {
        self.idle.get(element).copied().unwrap_or(false)
    }

    /// Are there any?
    pub fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Zeros for what the criterion doesn't depend on.
    pub fn without_idle(&self, mut x: Vec<f64>) -> Vec<f64> {
        x.iter_mut().zip(&self.idle).filter(|(_, idle)| **idle).for_each(|(v, _)| *v = 0.0);
        x
    }

    /// The nearest point at which derivatives can be had.
    fn admissible(&self, x: Vec<f64>) -> Vec<f64> {
        with_floor(&self.design.structure, self.without_idle(x))
    }

    /// The point, with derivatives that keep what the criterion doesn't depend on where it is.
    fn point(&mut self, x: Vec<f64>, value: f64, mut d: Derivatives) -> Point {
        let n = x.len();
        for i in (0..n).filter(|&i| self.idle.get(i) == Some(&true)) {
            d.gradient[i] = 0.0;
            (0..n).for_each(|j| (d.hessian[j * n + i], d.hessian[i * n + j]) = (0.0, 0.0));
            d.hessian[i * n + i] = self.natural[i].powi(-2);
            let entry = self.design.structure.entries[i];
            let k = self.design.structure.groups[entry.group].k;
            if entry.row == entry.col {
                let own = &mut d.covariance[entry.group];
                (0..k).for_each(|j| (own[j * k + entry.row], own[entry.row * k + j]) = (0.0, 0.0));
            }
        }
        self.covariance = d.covariance;
        Point { x, value, noise: self.rounding(value), gradient: d.gradient, hessian: d.hessian }
    }

    /// The expected second derivatives in the covariances where [`Objective::evaluate`] was last called, if all of them are at hand.
    pub fn expected_information(&mut self) -> Option<Vec<f64>> {
        self.pls.expected_information()
    }

    /// Calls `visit(group, number of levels, block)` for the K x K diagonal blocks of M^-1 where
    /// [`Objective::evaluate`] was last called.
    pub fn for_each_inverse_block(&mut self, visit: &mut dyn FnMut(usize, f64, &[f64])) {
        self.pls.inverse_blocks(visit);
    }

    /// Largest difference between the covariances of two points, where data and prior weigh the same for a variance of one.
    fn distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let structure = &self.design.structure;
        let (a, b) = (lambda_of(structure, a), lambda_of(structure, b));
        let mut natural: Vec<Vec<f64>> = structure.groups.iter().map(|g| vec![1.0; g.k]).collect();
        for (e, n) in structure.entries.iter().zip(&self.natural).filter(|(e, _)| e.row == e.col) {
            natural[e.group][e.row] = *n;
        }
        let mut largest = 0.0_f64;
        for (g, group) in structure.groups.iter().enumerate() {
            let (a, b) = (term_covariance(&a[g], group.k, 0, group.k), term_covariance(&b[g], group.k, 0, group.k));
            for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                let unit = natural[g][i / group.k] * natural[g][i % group.k];
                largest = largest.max((a - b).abs() / unit.max(1e-3 * a.abs()));
            }
        }
        largest
    }

    /// Whether the user was heard to want to stop.
    pub fn was_interrupted(&self) -> bool {
        self.stopped.get() || self.workers.was_interrupted()
    }

    /// What is added to the value by rounding, at most.
    pub fn rounding(&self, value: f64) -> f64 {
        rounding(self.design.n, value, self.cancellation)
    }
}

impl Objective for Criterion<'_> {
    fn evaluate(&mut self, x: Vec<f64>) -> Option<Point> {
        progress::evaluated();
        let x = self.admissible(x);
        let value = self.value(&x)?;
        self.frame.move_to(&self.design.structure, &self.lambda);
        let d = self.pls.derivatives(&self.frame);
        let finite = d.gradient.iter().chain(&d.hessian).all(|v| v.is_finite());
        let point = self.point(x, value, d);
        finite.then_some(point)
    }

    fn value(&mut self, x: &[f64]) -> Option<f64> {
        let x = self.without_idle(x.to_vec());
        Criterion::value(self, &x)
    }

    fn step_scale(&self, x: &[f64]) -> Vec<f64> {
        let entries = &self.design.structure.entries;
        let row_norm = |e: &ThetaEntry| -> f64 {
            let same = entries.iter().zip(x).filter(|(o, _)| o.group == e.group && o.row == e.row);
            same.map(|(_, v)| v * v).sum::<f64>().sqrt()
        };
        entries.iter().zip(&self.natural).map(|(e, n)| row_norm(e).max(*n)).collect()
    }

    fn exact_hessian(&self) -> bool {
        self.pls.has_exact_hessian()
    }

    fn interrupted(&self) -> bool {
        if (self.interrupted)() {
            self.stopped.set(true); // the user says it only once
        }
        self.was_interrupted()
    }

    fn leads_nowhere(&self, at: &Point, promised: f64) -> bool {
        let Some(known) = &self.known else { return false };
        let gap = at.value - known.value;
        gap > -CHANGE && promised < 1.2 * gap.max(0.0) + CHANGE && self.distance(&at.x, &known.x) < NEAR
    }
}

/// Keeps diagonals off zero.
pub(crate) fn with_floor(structure: &Structure, mut x: Vec<f64>) -> Vec<f64> {
    x.iter_mut().zip(&structure.entries).filter(|(_, e)| e.row == e.col).for_each(|(v, _)| *v = off_zero(*v));
    x
}

/// The same for a Lambda.
pub(crate) fn keep_off_zero(structure: &Structure, lambda: &mut Lambda) {
    for e in structure.entries.iter().filter(|e| e.row == e.col) {
        let v = &mut lambda[e.group][e.col * structure.groups[e.group].k + e.row];
        *v = off_zero(*v);
    }
}

fn off_zero(v: f64) -> f64 {
    if v.abs() < FLOOR {
        FLOOR.copysign(v)
    } else {
        v
    }
}

/// Per element of theta the size of Lambda's row at which a level's data and its prior weigh the same.
pub(crate) fn natural_sizes(design: &Design) -> Vec<f64> {
    let size = |e: &ThetaEntry| {
        let group = &design.structure.groups[e.group];
        let k = group.k;
        let sum: f64 = design.diagonal[e.group].chunks_exact(k * k).map(|a| a[e.row * k + e.row]).sum();
        (sum / group.levels as f64).max(1e-300).sqrt().recip()
    };
    design.structure.entries.iter().map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pls::tests::with_crossed;

    #[test]
    fn a_point_is_finite_whether_it_was_pinned_or_not() {
        for dense in [true, false] {
            with_crossed(dense, |design, response| {
                let (mut points, mut refused) = (0, 0);
                for power in (-20..=200).step_by(20) {
                    let theta = [10.0_f64.powi(power), 0.4, 0.1, 0.3];
                    let [pinned, plain] = [true, false].map(|pin| {
                        let mut criterion = Criterion::new(design, true, Workers::none(), &|| false);
                        criterion.set_response(response);
                        if pin {
                            criterion.pin(&theta);
                        }
                        criterion.evaluate(free_elements(&design.structure, &design.structure.lambda(&theta)))
                    });
                    assert_eq!(pinned.is_some(), plain.is_some(), "dense {dense}, 1e{power}");
                    let (Some(pinned), Some(plain)) = (pinned, plain) else {
                        refused += 1;
                        continue;
                    };
                    points += 1;
                    assert!(pinned.value.is_finite() && pinned.gradient.iter().chain(&pinned.hessian).all(|v| v.is_finite()));
                    assert_eq!((pinned.value, pinned.gradient, pinned.hessian), (plain.value, plain.gradient, plain.hessian));
                }
                assert!(points > 2 && refused > 2, "{points} points, {refused} refused");
            });
        }
    }
}
