//! From a response to a fitted model, in the units and the order of the caller.

use crate::curvature::traces::{inverse_diagonal_blocks, Coupled};
use crate::error::Error;
use crate::factor::blocks::Factor;
use crate::factor::criterion::{criterion_value, degrees_of_freedom};
use crate::linalg::long::long_sum_of_pairs;
use crate::linalg::small::{axpy, dot};
use crate::model::rows::Rows;
use crate::optimise::criterion::{Criterion, Solved};
use crate::optimise::search::{Found, Search};
use crate::optimise::trust_region::{Objective, Outcome};
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::products::response::{fitted_values, Response};
use crate::products::undetermined::Undetermined;
use crate::progress;

/// What the caller may ask of a fit.
#[derive(Clone)]
pub struct Options<'a> {
    /// REML instead of maximum likelihood.
    pub reml: bool,
    /// Where to start; `None` leaves it to the engine.
    pub start: Option<Vec<f64>>,
    /// Only solve at `start`.
    pub fixed: bool,
    /// Whether the second derivatives have to be exact where the plan gives only the average information: they are then differences of
    /// the exact gradient, which takes two evaluations for each element of theta.
    pub exact_hessian: bool,
    /// Most evaluations of one optimisation.
    pub max_evaluations: usize,
    /// The threads that a large model is computed on.
    pub workers: &'a Workers,
    /// Asked between evaluations.
    pub interrupted: &'a dyn Fn() -> bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            reml: true,
            start: None,
            fixed: false,
            exact_hessian: false,
            max_evaluations: 1000,
            workers: Workers::none(),
            interrupted: &|| false,
        }
    }
}

/// A fitted model, in the units of the data and in the caller's order of terms.
#[derive(Clone, Debug)]
pub struct Fit {
    /// Relative covariance parameters: term by term, each lower triangle column by column.
    pub theta: Vec<f64>,
    /// Fixed effects, one a column of X (with an absorbed factor, of all columns).
    pub beta: Vec<f64>,
    /// Spherical random effects, term by term, level by level.
    pub u: Vec<f64>,
    /// Random effects Lambda u in the same order.
    pub b: Vec<f64>,
    /// Fitted values, n long, without the offset; empty where there are no rows.
    pub fitted: Vec<f64>,
    /// Deviance or REML criterion.
    pub criterion: f64,
    /// log |M|, lme4's `ldL2`.
    pub ld_l2: f64,
    /// log |X'V^-1X|, lme4's `ldRX2`.
    pub ld_rx2: f64,
    /// Weighted residual sum of squares.
    pub wrss: f64,
    /// Squared length of u.
    pub ussq: f64,
    /// Residual standard deviation.
    pub sigma: f64,
    /// (X'V^-1X)^-1 with V in units of sigma^2, p x p; empty with an absorbed factor (see [`crate::fixed_factor`]).
    pub unscaled_covariance: Vec<f64>,
    /// Upper triangular R with R'R = X'V^-1X, p x p; empty with an absorbed factor.
    pub rx: Vec<f64>,
    /// Gradient of the criterion in theta, as long as theta.
    pub gradient: Vec<f64>,
    /// Second derivatives of the criterion in theta, a square matrix.
    pub hessian: Vec<f64>,
    /// Whether these are exact, and not the average information.
    pub exact_hessian: bool,
    /// Evaluations with gradient.
    pub evaluations: usize,
    /// Whether the certificate holds.
    pub converged: bool,
    /// What ended the optimisation.
    pub message: String,
    /// Whether the fixed effects fit the response exactly: then all variances are zero.
    pub exact: bool,
    /// Random effects whose variance the criterion doesn't depend on: it is zero.
    pub undetermined: Vec<Undetermined>,
}

/// Fits one response of n values. A pass over the rows before and one after the search, whose some ten evaluations cost a factorisation
/// each, whatever the number of rows.
///
/// # Errors
/// [`Error::NotFinite`] and [`Error::Invalid`] where response or options make no sense, [`Error::Interrupted`] where the user stopped.
pub fn fit(design: &Design, rows: &Rows, y: &[f64], options: &Options) -> Result<Fit, Error> {
    check(design, options)?;
    fit_response(design, &Response::new(design, rows, y, options.workers)?, Some((rows, y)), options)
}

/// Fits a response whose cross-products are given. Without rows there are no fitted values, and the residual sum of
/// squares is what the cross-products say, and nothing costs time in proportion to their number.
///
/// # Errors
/// As of [`fit`].
pub fn fit_response(design: &Design, response: &Response, rows: Option<(&Rows, &[f64])>, options: &Options) -> Result<Fit, Error> {
    check(design, options)?;
    progress::begin(0);
    let mut criterion = Criterion::new(design, options.reml, options.workers, options.interrupted);
    criterion.set_response(response);
    let mut search = Search { criterion, max_evaluations: options.max_evaluations };
    let found = if options.fixed {
        let theta = options.start.clone().ok_or("a fixed evaluation needs theta")?;
        let lambda = design.structure.lambda(&theta);
        // where it has zeros by convention it keeps them
        let idle = design.idle_elements(options.reml);
        let keeps = theta.iter().zip(&idle).all(|(t, idle)| !idle || *t == 0.0);
        let theta = if keeps { design.determined_theta(&lambda, options.reml) } else { design.structure.theta(&lambda) };
        Found { theta, lambda, outcome: Outcome::Converged, evaluations: 0 }
    } else {
        search.run(options.start.as_deref()).map_err(|error| if search.criterion.interrupted() { Error::Interrupted } else { error })?
    };
    finish(&mut search.criterion, response, rows, found, options.exact_hessian)
}

pub(crate) fn check(design: &Design, options: &Options) -> Result<(), Error> {
    let n_theta = design.structure.entries.len();
    if let Some(start) = &options.start {
        if start.len() != n_theta {
            return Err(format!("start has {} elements, the model has {n_theta} covariance parameters", start.len()).into());
        }
        if start.iter().any(|t| !t.is_finite()) {
            return Err("start has a value that is not finite".into());
        }
    }
    if degrees_of_freedom(design, options.reml) <= 0.0 {
        return Err("the model has as many fixed effects as rows".into());
    }
    Ok(())
}

/// Gradient and second derivatives (n_theta x n_theta) of the criterion in the caller's theta; for several grouping factors with many
/// effects the average information stands for the latter. Costs a factorisation and an inverse on its pattern.
///
/// # Errors
/// [`Error::NotPositiveDefinite`] where theta is too large for the arithmetic.
pub fn derivatives(design: &Design, response: &Response, theta: &[f64], reml: bool) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let mut criterion = Criterion::new(design, reml, Workers::none(), &|| false);
    criterion.set_response(response);
    criterion.derivatives_in_theta(&design.structure.lambda(theta), theta).ok_or(Error::NotPositiveDefinite)
}

/// Diagonal blocks of Lambda M^-1 Lambda' per group of random effects, level by level, K x K each, in the
/// original column scale: times sigma^2 the conditional variances of the random effects. Costs a factorisation and an inverse on its
/// pattern.
///
/// # Errors
/// [`Error::NotPositiveDefinite`] where theta is too large for the arithmetic, [`Error::Interrupted`] where the user stopped.
pub fn conditional_variances(design: &Design, theta: &[f64], workers: &Workers) -> Result<Vec<Vec<f64>>, Error> {
    let design = design.random_effects();
    let lambda = design.structure.lambda(theta);
    let (factor, mut scratch) = Factor::at(design, &lambda, workers)?;
    let mut inverse = vec![0.0; design.plan.layout.len()];
    design.plan.layout.invert(&factor.rest, &mut inverse, &mut scratch, workers);
    let mut coupled = Coupled::new(design);
    coupled.fill(design, &factor, &inverse, workers);
    let mut blocks = inverse_diagonal_blocks(design, &factor, &inverse, &coupled);
    for ((group, lambda), blocks) in design.structure.groups.iter().zip(&lambda).zip(&mut blocks) {
        blocks.chunks_exact_mut(group.k * group.k).for_each(|block| group.covariance_to_caller(lambda, block));
    }
    Ok(blocks)
}

/// Everything that the caller gets, at the Lambda that was found.
pub(crate) fn finish(
    criterion: &mut Criterion,
    response: &Response,
    rows: Option<(&Rows, &[f64])>,
    found: Found,
    exact_hessian: bool,
) -> Result<Fit, Error> {
    let (design, reml) = (criterion.design, criterion.reml);
    if found.outcome == Outcome::Interrupted {
        return Err(Error::Interrupted);
    }
    let theta = found.theta;
    let (gradient, mut hessian) = match criterion.derivatives_in_theta(&found.lambda, &theta) {
        _ if criterion.is_exact() => (vec![0.0; theta.len()], vec![0.0; theta.len() * theta.len()]),
        Some(derivatives) => derivatives,
        None => (vec![f64::NAN; theta.len()], vec![f64::NAN; theta.len() * theta.len()]),
    };
    let differences = exact_hessian && !criterion.exact_hessian() && !criterion.is_exact();
    if let Some(exact) = differences.then(|| criterion.difference_hessian(&theta)).flatten() {
        hessian = exact;
    }
    let solved = criterion.solution(&found.lambda, response, true).ok_or(Error::NotPositiveDefinite);
    if criterion.interrupted() {
        return Err(Error::Interrupted);
    }
    let mut solved = solved?;
    let (u, b) = solved.effects.take().ok_or("the engine left out the random effects")?;
    let ussq = dot(&u[design.structure.random()], &u[design.structure.random()]) * response.scale * response.scale;
    let (fitted, wrss) = match rows {
        Some((rows, y)) => fitted_and_wrss(design, response, rows, y, &solved, &b, criterion.workers),
        None => (Vec::new(), solved.pwrss * response.scale * response.scale - ussq),
    };
    let wrss = response.off_zero(wrss, design.n);
    let nu = degrees_of_freedom(design, reml);
    let ld_rx2 = solved.ld_rx2 + 2.0 * design.transform.log_determinant();
    let (unscaled_covariance, rx) = match design.absorbed {
        None => (design.transform.covariance_to_caller(&solved.rx), design.transform.right_factor(&solved.rx)),
        Some(_) => Default::default(),
    };
    let (u, b) = design.structure.caller_effects(&found.lambda, &theta, response.scale, u, b);

    Ok(Fit {
        beta: coefficients(design, response, &solved),
        unscaled_covariance,
        rx,
        criterion: criterion_value(design, solved.ld_l2, solved.ld_rx2, wrss + ussq, 1.0, reml),
        ld_l2: solved.ld_l2,
        ld_rx2,
        sigma: ((wrss + ussq) / nu).sqrt(),
        u,
        b,
        evaluations: found.evaluations,
        converged: found.outcome == Outcome::Converged,
        message: message(&found.outcome).into(),
        exact: response.is_exact(),
        undetermined: design.undetermined(reml).cloned().collect(),
        theta,
        fitted,
        wrss,
        ussq,
        gradient,
        hessian,
        exact_hessian: differences || criterion.exact_hessian(),
    })
}

/// Fitted values, and the weighted sum of squares of what they leave of y; `b` are the engine's effects.
fn fitted_and_wrss(
    design: &Design,
    response: &Response,
    rows: &Rows,
    y: &[f64],
    solved: &Solved,
    b: &[f64],
    workers: &Workers,
) -> (Vec<f64>, f64) {
    let (beta, levels) = engine_coefficients(response, solved);
    let mut b: Vec<f64> = b.iter().map(|v| v * response.scale).collect();
    if let Some(group) = design.structure.fixed_group() {
        b[group.range()].copy_from_slice(&levels);
    }
    let fitted = fitted_values(design, rows, &beta, &b, workers);
    let wrss = workers.sum(design.n, |range| match rows.weights {
        Some(weights) => range.map(|i| weights[i] * (y[i] - fitted[i]) * (y[i] - fitted[i])).sum(),
        None => long_sum_of_pairs(&y[range.clone()], &fitted[range], |y, fitted| (y - fitted) * (y - fitted)),
    });
    (fitted, wrss)
}

/// Coefficients of the engine's X and constants of an absorbed factor's levels, in the unit of y.
fn engine_coefficients(response: &Response, solved: &Solved) -> (Vec<f64>, Vec<f64>) {
    let (mut beta, mut levels) = (response.beta0.clone(), response.levels0.clone());
    axpy(response.scale, &solved.beta, &mut beta);
    axpy(response.scale, &solved.levels, &mut levels);
    (beta, levels)
}

/// The fixed effects of the caller's columns.
pub fn coefficients(design: &Design, response: &Response, solved: &Solved) -> Vec<f64> {
    let (beta, levels) = engine_coefficients(response, solved);
    design.transform.coefficients(design.absorbed, beta, levels)
}

fn message(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Converged => "converged: the gradient vanishes and no direction of decrease is left",
        Outcome::EvaluationLimit => "the limit of evaluations was reached",
        Outcome::Drowned => "the residual variance is all but zero beside the random effects, and rounding hides what is left to be gained",
        Outcome::Stalled => "no step decreases the criterion although its gradient does not vanish",
        Outcome::Interrupted => "interrupted",
        Outcome::LedNowhere => "given up on its way to a known point",
    }
}
