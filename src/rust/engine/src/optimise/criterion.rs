//! The profiled criterion of one response as a function of the free elements of Lambda, with its derivatives.

use std::cell::Cell;

use crate::curvature::average::average_information;
use crate::curvature::by_class::ClassCurvature;
use crate::curvature::dense::FullCurvature;
use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::curvature::traces::{inverse_diagonal_blocks, Curvature};
use crate::factor::blocks::Factor;
use crate::factor::by_class::Evaluation;
use crate::factor::criterion::{criterion_value, degrees_of_freedom};
use crate::factor::dense::{FullFactor, Workspace};
use crate::factor::solution::Solution;
use crate::model::lambda::{free_elements, lambda_of, scale_effects, term_covariance, Lambda};
use crate::model::structure::Structure;
use crate::model::structure::ThetaEntry;
use crate::optimise::trust_region::{Objective, Point};
use crate::parallel::Workers;
use crate::plan::classes::{Classes, Moments};
use crate::plan::coupling::Coupling;
use crate::plan::design::Design;
use crate::products::response::Response;

/// Least absolute value of a diagonal of Lambda (in the engine's column scale) while optimising: derivatives in
/// the covariance are obtained through Lambda^-1, and what this adds to the criterion is below its rounding.
const FLOOR: f64 = 1e-7;

/// Two points are near each other where no covariance differs by more than this share of its natural size.
const NEAR: f64 = 0.05;

/// The criterion with all the memory that its evaluation needs; it serves one response after the other.
pub struct Profile<'a> {
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
    /// What is known at `lambda`.
    there: There,
    scale: f64,
    /// Whether the fixed effects fit the response exactly.
    exact: bool,
    /// y'Wy / r2 where the criterion was last computed: how many of r2's digits its subtractions cost.
    cancellation: f64,
    solver: Solver<'a>,
}

/// What the solver holds for the Lambda and response at hand.
#[derive(Clone, Copy, PartialEq)]
enum There {
    Nothing,
    /// The factorisation, the solution and this criterion.
    Value(f64),
    /// Also what derivatives share.
    Curvature(f64),
}

/// One grouping factor, and several with few effects, have solvers of their own.
enum Solver<'a> {
    One {
        classes: &'a Classes,
        evaluation: Box<Evaluation>,
        curvature: Box<ClassCurvature>,
        moments: Moments,
        xy: Vec<f64>,
        yy: f64,
    },
    Few {
        coupling: &'a Coupling,
        at: Box<Full>,
        work: Box<Workspace>,
        solution: Solution,
        response: Box<Response>,
        pinned: Option<Box<Full>>,
    },
    Many {
        factor: Box<Factor>,
        curvature: Box<Curvature>,
        solution: Solution,
        response: Box<Response>,
        pinned: Option<Box<Pinned>>,
    },
}

/// The factorisation at a theta by [`crate::factor::dense`].
#[derive(Clone)]
struct Full {
    x: Vec<f64>,
    factor: FullFactor,
    curvature: FullCurvature,
}

impl Full {
    fn new(design: &Design) -> Self {
        Full { x: Vec::new(), factor: FullFactor::new(design), curvature: FullCurvature::new(design) }
    }
}

/// The factorisation at a theta that many searches start from.
struct Pinned {
    x: Vec<f64>,
    factor: Factor,
    log_determinants: (f64, f64),
    curvature: Curvature,
}

/// Estimates at one Lambda, for the engine's X and response.
#[derive(Clone, Debug)]
pub struct Solved {
    /// The criterion.
    pub value: f64,
    /// Coefficients.
    pub beta: Vec<f64>,
    /// Penalised residual sum of squares.
    pub r2: f64,
    /// log |M|.
    pub log_det_m: f64,
    /// log |X'V^-1X|.
    pub log_det_x: f64,
    /// Lower Cholesky factor of X'V^-1X.
    pub xvx: Vec<f64>,
    /// Constants of the absorbed factor's levels, if there is one.
    pub levels: Vec<f64>,
    /// Spherical random effects u and Lambda u, in the engine's order, if they were asked for.
    pub effects: Option<(Vec<f64>, Vec<f64>)>,
}

impl<'a> Profile<'a> {
    /// Allocates; [`Profile::set_response`] has to follow.
    pub fn new(design: &'a Design, reml: bool, workers: &'a Workers, interrupted: &'a dyn Fn() -> bool) -> Self {
        let solver = match (&design.plan.classes, &design.plan.coupling) {
            (Some(classes), _) => Solver::One {
                evaluation: Box::new(Evaluation::new(classes)),
                curvature: Box::new(ClassCurvature::new(classes)),
                moments: classes.moments(&vec![0.0; design.structure.q]),
                xy: vec![0.0; design.p],
                yy: 0.0,
                classes,
            },
            (None, Some(coupling)) => Solver::Few {
                coupling,
                at: Box::new(Full::new(design)),
                work: Box::new(Workspace::new(design)),
                solution: Solution::new(design),
                response: Box::new(Response::empty(design)),
                pinned: None,
            },
            (None, None) => {
                let (factor, curvature) = (Box::new(Factor::new(design)), Box::new(Curvature::new(design, true)));
                let response = Box::new(Response::empty(design));
                Solver::Many { factor, curvature, solution: Solution::new(design), response, pinned: None }
            }
        };
        Profile {
            design,
            reml,
            interrupted,
            stopped: Cell::new(false),
            covariance: Vec::new(),
            natural: natural_sizes(design),
            idle: design.idle_elements(reml),
            known: None,
            there: There::Nothing,
            workers,
            lambda: design.structure.zero_lambda(),
            scale: 1.0,
            exact: false,
            cancellation: 1.0,
            solver,
        }
    }

    /// Makes this the criterion of a response.
    pub fn set_response(&mut self, response: &Response) {
        self.scale = response.scale;
        self.exact = response.is_exact();
        self.there = There::Nothing;
        match &mut self.solver {
            Solver::One { classes, moments, xy, yy, .. } => {
                classes.fill_moments(&response.zy, moments);
                xy.copy_from_slice(&response.xy);
                *yy = response.yy;
            }
            Solver::Few { response: slot, .. } | Solver::Many { response: slot, .. } => slot.as_mut().clone_from(response),
        }
    }

    /// Keeps the factorisation at a theta for all searches that start there (where that saves anything).
    pub fn pin(&mut self, theta: &[f64]) {
        if matches!(self.solver, Solver::One { .. }) {
            return;
        }
        let (design, reml) = (self.design, self.reml);
        let structure = &design.structure;
        let x = self.admissible(free_elements(structure, &structure.lambda(theta)));
        let lambda = lambda_of(structure, &x);
        match &mut self.solver {
            Solver::One { .. } => unreachable!("returned above"),
            Solver::Few { pinned: Some(pinned), .. } if pinned.x == x => {}
            Solver::Few { coupling, work, pinned, .. } => {
                let mut full = Full::new(design);
                if full.factor.factorize(design, coupling, &lambda, work).is_ok() {
                    full.curvature.compute(design, &full.factor, reml, work);
                    full.x = x;
                    *pinned = Some(Box::new(full));
                }
            }
            Solver::Many { pinned: Some(pinned), .. } if pinned.x == x => {}
            Solver::Many { pinned, .. } => {
                let (mut factor, mut curvature) = (Factor::new(design), Curvature::new(design, true));
                if factor.factorize(design, &lambda, self.workers).is_err() {
                    return;
                }
                if let Ok(log_determinants) = factor.log_determinants(design, !reml, self.workers) {
                    curvature.compute(design, &mut factor, reml, self.workers);
                    *pinned = Some(Box::new(Pinned { x, factor, log_determinants, curvature }));
                }
            }
        }
    }

    /// The estimates at a Lambda; with random effects where the response is given, which is that of `set_response`.
    pub fn solution(&mut self, lambda: &Lambda, response: Option<&Response>) -> Option<Solved> {
        let value = self.solve(lambda)?;
        let solved = match &mut self.solver {
            Solver::One { classes, evaluation, .. } => Solved {
                value,
                beta: evaluation.beta.clone(),
                r2: evaluation.r2,
                log_det_m: evaluation.log_det_m,
                log_det_x: evaluation.log_det_x,
                xvx: evaluation.xvx.clone(),
                levels: Vec::new(),
                effects: response.map(|r| {
                    let u = evaluation.spherical_effects(classes, &lambda[0], &r.zy, self.workers);
                    let b = scale_effects(&self.design.structure, lambda, &u);
                    (u, b)
                }),
            },
            Solver::Few { at, solution, .. } => {
                let factor = &at.factor;
                from_solution(self.design, value, lambda, solution, (factor.log_det_m, factor.log_det_x, &factor.xvx), response.is_some())
            }
            Solver::Many { factor, solution, .. } => {
                let (log_det_m, log_det_x) = factor.log_determinants(self.design, true, self.workers).ok()?;
                from_solution(self.design, value, lambda, solution, (log_det_m, log_det_x, &factor.xvx), response.is_some())
            }
        };
        Some(solved)
    }

    /// The criterion alone, also where a diagonal is zero.
    pub fn value(&mut self, x: &[f64]) -> Option<f64> {
        let lambda = lambda_of(&self.design.structure, x);
        self.solve(&lambda)
    }

    /// Factors and solves at a Lambda, unless that is where it was last done; the criterion.
    fn solve(&mut self, lambda: &Lambda) -> Option<f64> {
        match self.there {
            There::Value(value) | There::Curvature(value) if self.lambda == *lambda => return Some(value),
            _ => {}
        }
        self.lambda.clone_from(lambda);
        self.there = There::Nothing;
        let (log_det_m, log_det_x, r2) = match &mut self.solver {
            Solver::One { classes, evaluation, moments, xy, yy, .. } => {
                if !evaluation.solve(classes, &self.lambda[0], &self.design.xx, xy, *yy, moments, self.workers) {
                    return None;
                }
                (evaluation.log_det_m, evaluation.log_det_x, evaluation.r2)
            }
            Solver::Few { coupling, at, work, solution, response, .. } => {
                at.factor.factorize(self.design, coupling, &self.lambda, work).ok()?;
                at.factor.solve(self.design, response, solution);
                (at.factor.log_det_m, at.factor.log_det_x, solution.r2)
            }
            Solver::Many { factor, solution, response, .. } => {
                factor.factorize(self.design, &self.lambda, self.workers).ok()?;
                let (log_det_m, log_det_x) = factor.log_determinants(self.design, !self.reml, self.workers).ok()?;
                solution.solve(self.design, response, factor, self.workers);
                (log_det_m, log_det_x, solution.r2)
            }
        };
        self.cancellation = self.sum_of_squares() / r2;
        let value = criterion_value(self.design, log_det_m, log_det_x, r2, self.scale, self.reml);
        if !value.is_finite() && !(self.exact && value == f64::NEG_INFINITY) {
            return None;
        }
        self.there = There::Value(value);
        Some(value)
    }

    /// Derivatives where `solve` was last called.
    fn derivatives(&mut self, frame: &Frame) -> Derivatives {
        let (design, reml) = (self.design, self.reml);
        let done = matches!(self.there, There::Curvature(_));
        if let There::Value(value) = self.there {
            self.there = There::Curvature(value);
        }
        match &mut self.solver {
            Solver::One { classes, evaluation, curvature, .. } => {
                let nu = degrees_of_freedom(design, reml);
                curvature.derivatives(design, classes, evaluation, &self.lambda[0], nu, reml, frame, self.workers)
            }
            Solver::Few { at, work, solution, .. } => {
                if !done {
                    at.curvature.compute(design, &at.factor, reml, work);
                }
                at.curvature.derivatives(design, &at.factor, solution, reml, frame)
            }
            Solver::Many { factor, curvature, solution, .. } => {
                if !done {
                    curvature.compute(design, factor, reml, self.workers);
                }
                average_information(design, factor, curvature, solution, reml, frame, self.workers)
            }
        }
    }

    /// Gradient and second derivatives in theta at a Lambda, whose theta is given too.
    pub fn derivatives_in_theta(&mut self, lambda: &Lambda, theta: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
        let structure = &self.design.structure;
        self.value(&with_floor(structure, free_elements(structure, lambda)))?;
        let d = self.derivatives(&Frame::theta(structure, theta));
        Some((d.gradient, d.hessian))
    }

    /// Value and derivatives where the factorisation is at hand.
    fn evaluate_pinned(&mut self, x: &[f64]) -> Option<Point> {
        let (design, reml) = (self.design, self.reml);
        let (value, d) = match &mut self.solver {
            Solver::Few { solution, response, pinned: Some(pinned), .. } if pinned.x == x => {
                let factor = &pinned.factor;
                factor.solve(design, response, solution);
                let value = criterion_value(design, factor.log_det_m, factor.log_det_x, solution.r2, self.scale, reml);
                let frame = Frame::engine(&design.structure, &factor.lambda);
                (value, pinned.curvature.derivatives(design, factor, solution, reml, &frame))
            }
            Solver::Many { solution, response, pinned: Some(pinned), .. } if pinned.x == x => {
                solution.solve(design, response, &mut pinned.factor, self.workers);
                let (m, f) = pinned.log_determinants;
                let value = criterion_value(design, m, f, solution.r2, self.scale, reml);
                let frame = Frame::engine(&design.structure, &pinned.factor.lambda);
                (value, average_information(design, &mut pinned.factor, &pinned.curvature, solution, reml, &frame, self.workers))
            }
            _ => return None,
        };
        self.there = There::Nothing;
        Some(self.point(x.to_vec(), value, d))
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
        Point { x, value, gradient: d.gradient, hessian: d.hessian }
    }

    /// The expected second derivatives in the covariances where [`Objective::evaluate`] was last called, if all of them are at hand.
    pub fn expected_information(&self) -> Option<Vec<f64>> {
        let Solver::Few { at, .. } = &self.solver else { return None };
        let nu = degrees_of_freedom(self.design, self.reml);
        Some(at.curvature.expected_information(self.design, Frame::covariances(&self.design.structure), nu))
    }

    /// Calls `visit(group, number of levels, block)` for the K x K diagonal blocks of M^-1 where
    /// [`Objective::evaluate`] was last called.
    pub fn for_each_inverse_block(&self, visit: impl FnMut(usize, f64, &[f64])) {
        match &self.solver {
            Solver::One { classes, evaluation, .. } => {
                let mut visit = visit;
                evaluation.for_each_inverse_block(classes, |m, block| visit(0, m, block));
            }
            Solver::Few { at, .. } => visit_blocks(self.design, &at.curvature.inverse_blocks, visit),
            Solver::Many { factor, curvature, .. } => {
                let blocks = inverse_diagonal_blocks(self.design, factor, &curvature.rest_inverse, &curvature.coupled);
                visit_blocks(self.design, &blocks, visit);
            }
        }
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

    /// y'Wy of the engine's response.
    fn sum_of_squares(&self) -> f64 {
        match &self.solver {
            Solver::One { yy, .. } => *yy,
            Solver::Few { response, .. } | Solver::Many { response, .. } => response.yy,
        }
    }

    /// What is added to the value by rounding, at most.
    pub fn rounding(&self, value: f64) -> f64 {
        let n = self.design.n as f64;
        1e-15 * (value.abs() + n) + f64::EPSILON * n * self.cancellation
    }
}

impl Objective for Profile<'_> {
    fn evaluate(&mut self, x: Vec<f64>) -> Option<Point> {
        let x = self.admissible(x);
        if let Some(point) = self.evaluate_pinned(&x) {
            return Some(point);
        }
        let value = self.value(&x)?;
        let frame = Frame::engine(&self.design.structure, &self.lambda);
        let d = self.derivatives(&frame);
        let finite = d.gradient.iter().chain(&d.hessian).all(|v| v.is_finite());
        let point = self.point(x, value, d);
        finite.then_some(point)
    }

    fn value(&mut self, x: &[f64]) -> Option<f64> {
        let x = self.without_idle(x.to_vec());
        Profile::value(self, &x)
    }

    fn step_scale(&self, x: &[f64]) -> Vec<f64> {
        let entries = &self.design.structure.entries;
        let row_norm = |e: &ThetaEntry| -> f64 {
            let same = entries.iter().zip(x).filter(|(o, _)| o.group == e.group && o.row == e.row);
            same.map(|(_, v)| v * v).sum::<f64>().sqrt()
        };
        entries.iter().zip(&self.natural).map(|(e, n)| row_norm(e).max(*n)).collect()
    }

    fn noise(&self, value: f64) -> f64 {
        self.rounding(value)
    }

    fn exact_hessian(&self) -> bool {
        !matches!(self.solver, Solver::Many { .. })
    }

    fn interrupted(&self) -> bool {
        if (self.interrupted)() {
            self.stopped.set(true); // the user says it only once
        }
        self.stopped.get() || self.workers.was_interrupted()
    }

    fn leads_nowhere(&self, at: &Point, promised: f64) -> bool {
        let Some(known) = &self.known else { return false };
        let gap = at.value - known.value;
        gap > -1e-9 && promised < 1.2 * gap.max(0.0) + 1e-9 && self.distance(&at.x, &known.x) < NEAR
    }
}

/// What is solved at a Lambda; `factor` is log |M|, log |X'V^-1X| and the Cholesky factor of X'V^-1X.
fn from_solution(
    design: &Design,
    value: f64,
    lambda: &Lambda,
    solution: &Solution,
    (log_det_m, log_det_x, xvx): (f64, f64, &[f64]),
    effects: bool,
) -> Solved {
    let effects = effects.then(|| (solution.u.clone(), scale_effects(&design.structure, lambda, &solution.u)));
    let levels = design.structure.fixed_group().map_or_else(Vec::new, |group| solution.u[group.range()].to_vec());
    Solved { value, beta: solution.beta.clone(), r2: solution.r2, log_det_m, log_det_x, xvx: xvx.to_vec(), levels, effects }
}

fn visit_blocks(design: &Design, blocks: &[Vec<f64>], mut visit: impl FnMut(usize, f64, &[f64])) {
    for (g, (group, blocks)) in design.structure.groups.iter().zip(blocks).enumerate() {
        blocks.chunks_exact(group.k * group.k).for_each(|block| visit(g, 1.0, block));
    }
}

/// Keeps diagonals off zero.
fn with_floor(structure: &Structure, mut x: Vec<f64>) -> Vec<f64> {
    for (v, e) in x.iter_mut().zip(&structure.entries) {
        if e.row == e.col && v.abs() < FLOOR {
            *v = if *v < 0.0 { -FLOOR } else { FLOOR };
        }
    }
    x
}

fn natural_sizes(design: &Design) -> Vec<f64> {
    let size = |e: &ThetaEntry| {
        let group = &design.structure.groups[e.group];
        let k = group.k;
        let sum: f64 = design.diagonal[e.group].chunks_exact(k * k).map(|a| a[e.row * k + e.row]).sum();
        (sum / group.levels as f64).max(1e-300).sqrt().recip()
    };
    design.structure.entries.iter().map(size).collect()
}
