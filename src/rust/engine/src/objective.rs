//! The profiled criterion of one response as a function of the free elements of Lambda, with its derivatives.

use crate::derivatives::{inverse_diagonal_blocks, Curvature, Derivatives, Frame};
use crate::design::Design;
use crate::evaluation::{criterion_value, degrees_of_freedom, scale_effects, Factor, Solution};
use crate::one_factor::{Classes, Evaluation, Moments};
use crate::response::Response;
use crate::terms::{Lambda, Structure};
use crate::trust_region::{Objective, Point};

/// Least absolute value of a diagonal of Lambda (in the engine's column scale) while optimising: derivatives in
/// the covariance are obtained through Lambda^-1, and what this adds to the criterion is below its rounding.
const FLOOR: f64 = 1e-7;

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
    /// Asked between evaluations.
    pub interrupted: &'a dyn Fn() -> bool,
    lambda: Lambda,
    scale: f64,
    /// y'Wy / r2 where the criterion was last computed: how many of r2's digits its subtractions cost.
    cancellation: f64,
    solver: Solver<'a>,
}

/// One grouping factor has a solver of its own.
enum Solver<'a> {
    One { classes: &'a Classes, evaluation: Box<Evaluation>, moments: Moments, xy: Vec<f64>, yy: f64 },
    Many { factor: Box<Factor>, curvature: Box<Curvature>, solution: Solution, response: Box<Response>, pinned: Option<Box<Pinned>> },
}

/// The factorisation at a theta that many searches start from.
struct Pinned {
    x: Vec<f64>,
    factor: Factor,
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
    /// Spherical random effects u and Lambda u, in the engine's order, if they were asked for.
    pub effects: Option<(Vec<f64>, Vec<f64>)>,
}

impl<'a> Profile<'a> {
    /// Allocates; [`Profile::set_response`] has to follow.
    pub fn new(design: &'a Design, reml: bool, interrupted: &'a dyn Fn() -> bool) -> Self {
        let solver = match &design.classes {
            Some(classes) => Solver::One {
                evaluation: Box::new(classes.evaluation()),
                moments: classes.moments(&vec![0.0; design.structure.q]),
                xy: vec![0.0; design.p],
                yy: 0.0,
                classes,
            },
            None => {
                let (factor, curvature) = (Box::new(Factor::new(design)), Box::new(Curvature::new(design)));
                let response = Box::new(Response::empty(design));
                Solver::Many { factor, curvature, solution: Solution::new(design), response, pinned: None }
            }
        };
        Profile {
            design,
            reml,
            interrupted,
            covariance: Vec::new(),
            natural: natural_sizes(design),
            lambda: zero_lambda(&design.structure),
            scale: 1.0,
            cancellation: 1.0,
            solver,
        }
    }

    /// Makes this the criterion of a response.
    pub fn set_response(&mut self, response: &Response) {
        self.scale = response.scale;
        match &mut self.solver {
            Solver::One { classes, moments, xy, yy, .. } => {
                classes.fill_moments(&response.zy, moments);
                xy.copy_from_slice(&response.xy);
                *yy = response.yy;
            }
            Solver::Many { response: slot, .. } => slot.as_mut().clone_from(response),
        }
    }

    /// Keeps the factorisation at a theta for all searches that start there (where that saves anything).
    pub fn pin(&mut self, theta: &[f64]) {
        let Solver::Many { pinned, .. } = &mut self.solver else { return };
        let x = with_floor(&self.design.structure, free_elements(&self.design.structure, &self.design.structure.lambda(theta)));
        if pinned.as_ref().is_some_and(|p| p.x == x) {
            return;
        }
        let (mut factor, mut curvature) = (Factor::new(self.design), Curvature::new(self.design));
        if factor.factorize(self.design, &lambda_of(&self.design.structure, &x)).is_ok() {
            curvature.compute(self.design, &mut factor, self.reml);
            *pinned = Some(Box::new(Pinned { x, factor, curvature }));
        }
    }

    /// The estimates at a Lambda; with random effects where the response is given, which is that of `set_response`.
    pub fn solution(&mut self, lambda: &Lambda, response: Option<&Response>) -> Option<Solved> {
        self.lambda.clone_from(lambda);
        let value = self.solve()?;
        let solved = match &self.solver {
            Solver::One { classes, evaluation, .. } => Solved {
                value,
                beta: evaluation.beta.clone(),
                r2: evaluation.r2,
                log_det_m: evaluation.log_det_m,
                log_det_x: evaluation.log_det_x,
                xvx: evaluation.xvx.clone(),
                effects: response.map(|r| {
                    let u = evaluation.spherical_effects(classes, &lambda[0], &r.zy);
                    let b = scale_effects(self.design, lambda, &u);
                    (u, b)
                }),
            },
            Solver::Many { factor, solution, .. } => Solved {
                value,
                beta: solution.beta.clone(),
                r2: solution.r2,
                log_det_m: factor.log_det_m,
                log_det_x: factor.log_det_x,
                xvx: factor.xvx.clone(),
                effects: response.map(|_| (solution.u.clone(), scale_effects(self.design, lambda, &solution.u))),
            },
        };
        Some(solved)
    }

    /// The criterion alone, also where a diagonal is zero.
    pub fn value(&mut self, x: &[f64]) -> Option<f64> {
        fill_lambda(&self.design.structure, x, &mut self.lambda);
        self.solve()
    }

    /// Factors and solves at the present Lambda; the criterion.
    fn solve(&mut self) -> Option<f64> {
        let (log_det_m, log_det_x, r2) = match &mut self.solver {
            Solver::One { classes, evaluation, moments, xy, yy } => {
                if !evaluation.solve(classes, &self.lambda[0], &self.design.xx, xy, *yy, moments) {
                    return None;
                }
                (evaluation.log_det_m, evaluation.log_det_x, evaluation.r2)
            }
            Solver::Many { factor, solution, response, .. } => {
                factor.factorize(self.design, &self.lambda).ok()?;
                solution.solve(self.design, response, factor);
                (factor.log_det_m, factor.log_det_x, solution.r2)
            }
        };
        self.cancellation = self.sum_of_squares() / r2;
        let value = criterion_value(self.design, log_det_m, log_det_x, r2, self.scale, self.reml);
        value.is_finite().then_some(value)
    }

    /// Derivatives where `solve` was last called.
    fn derivatives(&mut self, frame: &Frame) -> Derivatives {
        let (design, reml) = (self.design, self.reml);
        match &mut self.solver {
            Solver::One { classes, evaluation, .. } => {
                evaluation.derivatives(design, classes, &self.lambda[0], degrees_of_freedom(design, reml), reml, frame)
            }
            Solver::Many { factor, curvature, solution, .. } => {
                curvature.compute(design, factor, reml);
                Derivatives::compute(design, factor, curvature, solution, frame)
            }
        }
    }

    /// Gradient and second derivatives in theta.
    pub fn derivatives_in_theta(&mut self, theta: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
        let structure = &self.design.structure;
        let x = with_floor(structure, free_elements(structure, &structure.lambda(theta)));
        self.value(&x)?;
        let d = self.derivatives(&Frame::theta(structure, theta));
        Some((d.gradient, d.hessian))
    }

    /// Value and derivatives where the factorisation is at hand.
    fn evaluate_pinned(&mut self, x: &[f64]) -> Option<Point> {
        let Solver::Many { solution, response, pinned: Some(pinned), .. } = &mut self.solver else { return None };
        if pinned.x != x {
            return None;
        }
        solution.solve(self.design, response, &mut pinned.factor);
        let (m, f) = (pinned.factor.log_det_m, pinned.factor.log_det_x);
        let value = criterion_value(self.design, m, f, solution.r2, self.scale, self.reml);
        let frame = Frame::engine(&self.design.structure, &pinned.factor.lambda);
        let d = Derivatives::compute(self.design, &mut pinned.factor, &pinned.curvature, solution, &frame);
        self.covariance = d.covariance;
        Some(Point { x: x.to_vec(), value, gradient: d.gradient, hessian: d.hessian })
    }

    /// Calls `visit(group, number of levels, block)` for the K x K diagonal blocks of M^-1 where
    /// [`Objective::evaluate`] was last called.
    pub fn for_each_inverse_block(&self, mut visit: impl FnMut(usize, f64, &[f64])) {
        match &self.solver {
            Solver::One { classes, evaluation, .. } => evaluation.for_each_inverse_block(classes, |m, block| visit(0, m, block)),
            Solver::Many { factor, curvature, .. } => {
                let blocks = inverse_diagonal_blocks(self.design, factor, &curvature.rest_inverse);
                for (g, (group, blocks)) in self.design.structure.groups.iter().zip(&blocks).enumerate() {
                    blocks.chunks_exact(group.k * group.k).for_each(|block| visit(g, 1.0, block));
                }
            }
        }
    }

    /// y'Wy of the engine's response.
    fn sum_of_squares(&self) -> f64 {
        match &self.solver {
            Solver::One { yy, .. } => *yy,
            Solver::Many { response, .. } => response.yy,
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
        let x = with_floor(&self.design.structure, x);
        if let Some(point) = self.evaluate_pinned(&x) {
            return Some(point);
        }
        let value = self.value(&x)?;
        let frame = Frame::engine(&self.design.structure, &self.lambda);
        let d = self.derivatives(&frame);
        self.covariance = d.covariance;
        let finite = d.gradient.iter().chain(&d.hessian).all(|v| v.is_finite());
        finite.then_some(Point { x, value, gradient: d.gradient, hessian: d.hessian })
    }

    fn step_scale(&self, x: &[f64]) -> Vec<f64> {
        let entries = &self.design.structure.entries;
        let row_norm = |e: &crate::terms::ThetaEntry| -> f64 {
            let same = entries.iter().zip(x).filter(|(o, _)| o.group == e.group && o.row == e.row);
            same.map(|(_, v)| v * v).sum::<f64>().sqrt()
        };
        entries.iter().zip(&self.natural).map(|(e, n)| row_norm(e).max(*n)).collect()
    }

    fn noise(&self, value: f64) -> f64 {
        self.rounding(value)
    }

    fn exact_hessian(&self) -> bool {
        matches!(self.solver, Solver::One { .. })
    }

    fn interrupted(&self) -> bool {
        (self.interrupted)()
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
    let size = |e: &crate::terms::ThetaEntry| {
        let group = &design.structure.groups[e.group];
        let k = group.k;
        let sum: f64 = design.diagonal[e.group].chunks_exact(k * k).map(|a| a[e.row * k + e.row]).sum();
        (sum / group.levels as f64).max(1e-300).sqrt().recip()
    };
    design.structure.entries.iter().map(size).collect()
}

fn zero_lambda(structure: &Structure) -> Lambda {
    structure.groups.iter().map(|g| vec![0.0; g.k * g.k]).collect()
}

fn fill_lambda(structure: &Structure, x: &[f64], lambda: &mut Lambda) {
    for (v, e) in x.iter().zip(&structure.entries) {
        lambda[e.group][e.col * structure.groups[e.group].k + e.row] = *v;
    }
}

/// Lambda from its free elements.
pub fn lambda_of(structure: &Structure, x: &[f64]) -> Lambda {
    let mut lambda = zero_lambda(structure);
    fill_lambda(structure, x, &mut lambda);
    lambda
}

/// The free elements of a Lambda, in the order of theta.
pub fn free_elements(structure: &Structure, lambda: &Lambda) -> Vec<f64> {
    structure.entries.iter().map(|e| lambda[e.group][e.col * structure.groups[e.group].k + e.row]).collect()
}
