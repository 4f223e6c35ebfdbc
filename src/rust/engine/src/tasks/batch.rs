//! Many responses on one design: refits that share the cross-products of the design and, at their common start,
//! the factorisation. A replicate's result depends on its response alone, so it is the same for any number of
//! threads.

use std::sync::OnceLock;

use crate::error::Error;
use crate::factor::criterion::{criterion_value, degrees_of_freedom};
use crate::linalg::blocks::nth;
use crate::linalg::small::dot;
use crate::model::rows::Rows;
use crate::optimise::certificate::least_of;
use crate::optimise::criterion::Criterion;
use crate::optimise::search::Search;
use crate::optimise::trust_region::Outcome;
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::plan::memory::workers_that_fit;
use crate::pls::kept::Pinned;
use crate::products::response::Response;
use crate::tasks::fit::coefficients;
use crate::tasks::satterthwaite::{self, Satterthwaite};
use crate::tasks::simulate::Simulator;
use crate::tasks::spread::{spread, Pieces, Spread};

/// Where the responses come from.
pub enum Responses<'a> {
    /// Columns of a matrix with n rows.
    Given(&'a [f64]),
    /// Standard normals in the caller's hands.
    Normals {
        /// Makes responses of them.
        simulator: Simulator<'a>,
        /// For the random effects, effects x count; empty when none are drawn.
        u: &'a [f64],
        /// For the errors, n x count.
        e: &'a [f64],
    },
    /// Replicates of a seed.
    Drawn {
        /// Draws them.
        simulator: Simulator<'a>,
        /// The seed.
        seed: u64,
        /// Number of the first replicate.
        first: u64,
        /// How many.
        count: usize,
    },
}

impl Responses<'_> {
    /// Number of responses.
    pub fn count(&self, n: usize) -> usize {
        match self {
            Responses::Given(y) => y.len() / n.max(1),
            Responses::Normals { e, .. } => e.len() / n.max(1),
            Responses::Drawn { count, .. } => *count,
        }
    }

    /// Writes response `index`; `normals` is memory to work in.
    pub fn fill(&self, index: usize, normals: &mut Vec<f64>, y: &mut [f64]) {
        let n = y.len();
        match self {
            Responses::Given(all) => y.copy_from_slice(nth(all, index, n)),
            Responses::Normals { simulator, u, e } => {
                let q = simulator.effects();
                simulator.response(nth(u, index, q), nth(e, index, n), y);
            }
            Responses::Drawn { simulator, seed, first, .. } => simulator.drawn(*seed, first + index as u64, normals, y),
        }
    }
}

/// What is asked of a batch.
pub struct BatchOptions<'a> {
    /// REML instead of maximum likelihood.
    pub reml: bool,
    /// Where every search starts.
    pub start: Option<&'a [f64]>,
    /// Most evaluations of one descent.
    pub max_evaluations: usize,
    /// Whether the random effects are wanted.
    pub effects: bool,
    /// Whether the covariance of the fixed effects is wanted; not with an absorbed factor.
    pub covariance: bool,
    /// Whether what degrees of freedom are made of is wanted.
    pub degrees_of_freedom: bool,
    /// Threads to compute on; with one, the caller's own.
    pub threads: usize,
    /// Asked now and then, on the caller's thread, with the number of replicates that are done: stop?
    pub interrupted: &'a dyn Fn(usize) -> bool,
    /// The same question for what takes long within an evaluation, if there is one: asked on the caller's thread.
    pub ask: Option<fn() -> bool>,
}

impl Default for BatchOptions<'_> {
    fn default() -> Self {
        BatchOptions {
            reml: true,
            start: None,
            max_evaluations: 1000,
            effects: false,
            covariance: false,
            degrees_of_freedom: false,
            threads: 1,
            interrupted: &|_| false,
            ask: None,
        }
    }
}

/// One refit, in the units of the data and in the caller's order of terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicate {
    /// Relative covariance parameters.
    pub theta: Vec<f64>,
    /// Fixed effects.
    pub beta: Vec<f64>,
    /// Residual standard deviation.
    pub sigma: f64,
    /// Deviance or REML criterion.
    pub criterion: f64,
    /// log |M|.
    pub ld_l2: f64,
    /// log |X'V^-1X|.
    pub ld_rx2: f64,
    /// Penalised residual sum of squares.
    pub pwrss: f64,
    /// Spherical random effects and random effects, if they were asked for.
    pub effects: Option<(Vec<f64>, Vec<f64>)>,
    /// (X'V^-1X)^-1 with V in units of sigma^2, p x p, if it was asked for.
    pub unscaled_covariance: Option<Vec<f64>>,
    /// What Satterthwaite's degrees of freedom are made of, if it was asked for and can be computed.
    pub satterthwaite: Option<Satterthwaite>,
    /// The least diagonal element of Lambda for columns of unit size: the fit is singular where it is all but zero.
    pub least: f64,
    /// Whether the optimum is certified.
    pub converged: bool,
    /// Evaluations with gradient.
    pub evaluations: usize,
}

/// Refits all responses; `None` for one that cannot be fitted. Each costs a pass over the rows and a search. On fewer threads than asked
/// for where the factorisations of all would not fit in memory.
///
/// # Errors
/// [`Error::Invalid`] where there are as many fixed effects as rows, or where the options ask for what this design doesn't have;
/// [`Error::Interrupted`] where the user stopped.
pub fn refit(design: &Design, rows: &Rows, responses: &Responses, options: &BatchOptions) -> Result<Vec<Option<Replicate>>, Error> {
    let count = responses.count(design.n);
    let (threads, pins) = workers_that_fit(design.factor_bytes(), bytes_of_rows(design), options.threads.clamp(1, count.max(1)));
    if degrees_of_freedom(design, options.reml) <= 0.0 {
        return Err("the model has as many fixed effects as rows".into());
    }
    if options.covariance && design.absorbed.is_some() {
        return Err("a batch has no covariance of fixed effects with an absorbed factor".into());
    }
    let request = Request {
        reml: options.reml,
        effects: options.effects,
        covariance: options.covariance,
        degrees_of_freedom: options.degrees_of_freedom,
        limit: options.max_evaluations,
        start: options.start,
        pins,
    };
    let way = Spread { count, threads, interrupted: options.interrupted, ask: options.ask };
    spread(&way, &Refits { design, rows, responses, request, pinned: OnceLock::new() })
}

/// What a thread has of the length of the rows and of the effects: the response, its residuals, and the normals that it is drawn from.
fn bytes_of_rows(design: &Design) -> u64 {
    8 * (3 * design.n as u64 + design.structure.q as u64)
}

/// The refits as pieces of work.
struct Refits<'a> {
    design: &'a Design,
    rows: &'a Rows<'a>,
    responses: &'a Responses<'a>,
    request: Request<'a>,
    /// The factorisation at the start, which the first thread makes and all read.
    pinned: OnceLock<Option<Pinned>>,
}

impl<'a> Pieces for Refits<'a> {
    type Memory<'t>
        = Worker<'t>
    where
        Self: 't;
    type Value = Option<Replicate>;

    fn memory<'t>(&'t self, workers: &'t Workers, interrupted: &'t dyn Fn() -> bool) -> Worker<'t> {
        Worker::new(self, workers, interrupted)
    }

    fn piece(worker: &mut Worker, index: usize) -> Option<Replicate> {
        worker.refit(index)
    }
}

/// What is asked of each worker.
#[derive(Clone, Copy)]
struct Request<'a> {
    reml: bool,
    effects: bool,
    covariance: bool,
    degrees_of_freedom: bool,
    limit: usize,
    start: Option<&'a [f64]>,
    /// Whether there is memory to keep the factorisation at the start.
    pins: bool,
}

/// One thread's memory.
struct Worker<'a> {
    design: &'a Design,
    rows: &'a Rows<'a>,
    responses: &'a Responses<'a>,
    search: Search<'a>,
    response: Response,
    y: Vec<f64>,
    residual: Vec<f64>,
    normals: Vec<f64>,
    request: Request<'a>,
    workers: &'a Workers,
}

impl<'a> Worker<'a> {
    fn new(refits: &'a Refits<'a>, workers: &'a Workers, interrupted: &'a dyn Fn() -> bool) -> Self {
        let Refits { design, rows, responses, request, .. } = *refits;
        let mut criterion = Criterion::new(design, request.reml, workers, interrupted);
        if let Some(theta) = request.start.filter(|_| request.pins) {
            let pinned = refits.pinned.get_or_init(|| criterion.pin(theta));
            pinned.iter().for_each(|pinned| criterion.share(pinned));
        }
        Worker {
            design,
            rows,
            responses,
            search: Search { criterion, max_evaluations: request.limit },
            response: Response::empty(design),
            y: vec![0.0; design.n],
            residual: Vec::new(),
            normals: Vec::new(),
            request,
            workers,
        }
    }

    fn refit(&mut self, index: usize) -> Option<Replicate> {
        let design = self.design;
        self.responses.fill(index, &mut self.normals, &mut self.y);
        self.response.fill(design, self.rows, &self.y, &mut self.residual, self.workers).ok()?;
        self.search.criterion.set_response(&self.response);
        let found = self.search.run(self.request.start).ok().filter(|found| found.outcome != Outcome::Interrupted)?;
        let solved = self.search.criterion.solution(&found.lambda, &self.response, self.request.effects)?;
        let scale = self.response.scale;
        let beta = coefficients(design, &self.response, &solved);
        let theta = found.theta;
        let effects = solved.effects.map(|(u, b)| design.structure.caller_effects(&found.lambda, &theta, scale, u, b));
        let reml = self.search.criterion.reml;
        let pwrss = self.response.off_zero(solved.pwrss * scale * scale, design.n);
        let criterion =
            if self.response.is_exact() { criterion_value(design, solved.ld_l2, solved.ld_rx2, pwrss, 1.0, reml) } else { solved.value };
        let satterthwaite = if self.request.degrees_of_freedom {
            satterthwaite::of_criterion(&mut self.search.criterion, &self.response, &theta).ok()
        } else {
            None
        };
        Some(Replicate {
            satterthwaite,
            least: least_of(&design.structure, &found.lambda),
            theta,
            beta,
            sigma: (pwrss / degrees_of_freedom(design, reml)).sqrt(),
            criterion,
            ld_l2: solved.ld_l2,
            ld_rx2: solved.ld_rx2 + 2.0 * design.transform.log_determinant(),
            pwrss,
            effects,
            unscaled_covariance: self.request.covariance.then(|| design.transform.covariance_to_caller(&solved.rx)),
            converged: found.outcome == Outcome::Converged,
            evaluations: found.evaluations,
        })
    }
}

impl Replicate {
    /// Squared length of the spherical random effects, where they were asked for.
    pub fn ussq(&self) -> f64 {
        self.effects.as_ref().map_or(f64::NAN, |(u, _)| dot(u, u))
    }
}
