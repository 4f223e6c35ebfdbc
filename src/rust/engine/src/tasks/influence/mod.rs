//! What a model's estimates are without some of its rows: exact refits, one for each set of rows that is left out.
//!
//! A deletion is a downdate of the cross-products ([`crate::products::without`]), and its search starts at the estimates of all rows, for a
//! single row a step ahead ([`first_step`]), so that it costs one to three evaluations of the criterion. Where the downdate would lose
//! digits, or X loses its rank, the remaining rows are reduced anew ([`own_design`]). The results are those of a fit of the remaining
//! rows; nothing is approximated.

mod first_step;
mod own_design;

use crate::error::Error;
use crate::factor::criterion::degrees_of_freedom;
use crate::linalg::scratch::Scratch;
use crate::model::order::{rows_by_level, RowOrder};
use crate::model::rows::Rows;
use crate::optimise::criterion::Criterion;
use crate::optimise::search::Search;
use crate::optimise::trust_region::Outcome;
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::plan::memory::workers_that_fit;
use crate::products::response::Response;
use crate::products::without::{Gone, RowIndex};
use crate::tasks::fit::coefficients;
use crate::tasks::influence::first_step::FirstStep;
use crate::tasks::spread::{spread, Pieces, Spread};

/// What is asked of all deletions.
pub struct Deletions<'a> {
    /// Per row the number of the deletion that leaves it out, from 1; 0 where none does.
    pub codes: &'a [i32],
    /// Number of deletions.
    pub count: usize,
    /// REML instead of maximum likelihood.
    pub reml: bool,
    /// Where every search starts: theta of the fit to all rows.
    pub start: &'a [f64],
    /// Most evaluations of one descent.
    pub max_evaluations: usize,
    /// Threads to compute on; with one, the caller's own.
    pub threads: usize,
    /// Asked now and then, on the caller's thread, with the number of deletions that are done: stop?
    pub interrupted: &'a dyn Fn(usize) -> bool,
    /// The same question for what takes long within an evaluation, if there is one: asked on the caller's thread.
    pub ask: Option<fn() -> bool>,
}

/// The estimates without some rows, in the units of the data and in the caller's order of terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Remnant {
    /// Relative covariance parameters.
    pub theta: Vec<f64>,
    /// Fixed effects; NaN for those of columns that are combinations of earlier ones in the remaining rows.
    pub beta: Vec<f64>,
    /// (X'V^-1X)^-1 with V in units of sigma^2, p x p; NaN likewise.
    pub unscaled_covariance: Vec<f64>,
    /// Residual standard deviation.
    pub sigma: f64,
    /// Whether the optimum is certified.
    pub converged: bool,
    /// Evaluations with gradient.
    pub evaluations: usize,
}

/// Refits a model without each set of rows; `None` where the remaining rows can't be fitted. `y` is the response less its offset.
/// A deletion costs some evaluations and, unless it leaves too little of a level, nothing that grows with the rows.
///
/// # Errors
/// [`Error::Invalid`] where lengths don't fit together, [`Error::Interrupted`] where the options' question was answered yes.
pub fn influence(design: &Design, rows: &Rows, y: &[f64], deletions: &Deletions) -> Result<Vec<Option<Remnant>>, Error> {
    let valid = |code: &i32| *code >= 0 && *code as usize <= deletions.count;
    if deletions.codes.len() != design.n || rows.n != design.n || !deletions.codes.iter().all(valid) {
        return Err("a deletion is needed for each row".into());
    }
    if deletions.start.len() != design.structure.entries.len() || deletions.start.iter().any(|t| !t.is_finite()) {
        return Err("start must have a finite value for each covariance parameter".into());
    }
    let request = Request { reml: deletions.reml, start: deletions.start, max_evaluations: deletions.max_evaluations };
    let whole = Whole::new(design, rows, y, deletions, request)?;
    // Each has a design of its own beside its factorisation.
    let (threads, _) = workers_that_fit(2 * design.factor_bytes(), 0, deletions.threads.clamp(1, deletions.count.max(1)));
    let way = Spread { count: deletions.count, threads, interrupted: deletions.interrupted, ask: deletions.ask };
    spread(&way, &whole)
}

/// A thread's own.
struct Memory<'a> {
    whole: &'a Whole<'a>,
    workers: &'a Workers,
    interrupted: &'a dyn Fn() -> bool,
    is_gone: Vec<bool>,
    scratch: Scratch,
}

impl<'a> Pieces for Whole<'a> {
    type Memory<'t>
        = Memory<'t>
    where
        Self: 't;
    type Value = Option<Remnant>;

    fn memory<'t>(&'t self, workers: &'t Workers, interrupted: &'t dyn Fn() -> bool) -> Memory<'t> {
        Memory { whole: self, workers, interrupted, is_gone: vec![false; self.rows.n], scratch: Scratch::for_solving() }
    }

    fn piece(memory: &mut Memory, index: usize) -> Option<Remnant> {
        let rows = memory.whole.order.of_level(index + 1);
        rows.iter().for_each(|&i| memory.is_gone[i as usize] = true);
        let gone = Gone { rows, is_gone: &memory.is_gone };
        let remnant = memory.whole.without(gone, &mut memory.scratch, memory.workers, memory.interrupted);
        rows.iter().for_each(|&i| memory.is_gone[i as usize] = false);
        remnant
    }
}

/// What is asked of each deletion.
#[derive(Clone, Copy)]
struct Request<'a> {
    reml: bool,
    start: &'a [f64],
    max_evaluations: usize,
}

/// The model of all rows, and what all deletions share.
struct Whole<'a> {
    design: &'a Design,
    rows: &'a Rows<'a>,
    y: &'a [f64],
    request: Request<'a>,
    /// Rows by the number of their deletion.
    order: RowOrder,
    index: RowIndex,
    response: Response,
    residual: Vec<f64>,
    first_step: Option<FirstStep<'a>>,
}

/// Deletions of a single row for which what they share of their first steps is worth its evaluation.
const WORTH: usize = 4;

impl<'a> Whole<'a> {
    fn new(design: &'a Design, rows: &'a Rows<'a>, y: &'a [f64], deletions: &Deletions, request: Request<'a>) -> Result<Self, Error> {
        let (mut response, mut residual) = (Response::empty(design), Vec::new());
        response.fill(design, rows, y, &mut residual, Workers::none())?;
        let shifted: Vec<i32> = deletions.codes.iter().map(|code| code + 1).collect();
        let order = rows_by_level(&shifted, deletions.count + 1);
        let single = (1..=deletions.count).filter(|&code| order.of_level(code).len() == 1).count();
        let first_step =
            if single < WORTH { None } else { FirstStep::new(design, rows, &response, &residual, request.reml, request.start) };
        Ok(Whole { design, rows, y, request, order, index: RowIndex::new(design, rows), response, residual, first_step })
    }

    fn without(&self, gone: Gone, scratch: &mut Scratch, workers: &Workers, interrupted: &dyn Fn() -> bool) -> Option<Remnant> {
        let found = if self.design.absorbed.is_none() { self.downdated(gone, scratch, workers, interrupted) } else { None };
        found.or_else(|| own_design::refit(self.rows, self.y, gone, self.request, workers, interrupted))
    }

    /// From the cross-products of all rows; `None` where they don't serve.
    fn downdated(&self, gone: Gone, scratch: &mut Scratch, workers: &Workers, interrupted: &dyn Fn() -> bool) -> Option<Remnant> {
        let remaining = self.design.without(self.rows, &self.index, gone)?;
        let response = self.response.without(self.design, &remaining, self.rows, &self.residual, &self.index, gone)?;
        let design = self.design.with_products(remaining.products);
        let first_step = self.first_step.as_ref().filter(|_| gone.rows.len() == 1);
        let start = first_step.and_then(|step| step.without(gone.rows[0] as usize, scratch));
        let request = Request { start: start.as_deref().unwrap_or(self.request.start), ..self.request };
        let solved = search(&design, &response, request, workers, interrupted)?;
        Some(Remnant { unscaled_covariance: design.transform.covariance_to_caller(&solved.rx), ..solved.remnant })
    }
}

/// What a search found, and the Cholesky factor of X'V^-1X for the engine's X.
struct Searched {
    remnant: Remnant,
    rx: Vec<f64>,
}

fn search(design: &Design, response: &Response, request: Request, workers: &Workers, interrupted: &dyn Fn() -> bool) -> Option<Searched> {
    if degrees_of_freedom(design, request.reml) <= 0.0 {
        return None;
    }
    let mut criterion = Criterion::new(design, request.reml, workers, interrupted);
    criterion.set_response(response);
    let mut search = Search { criterion, max_evaluations: request.max_evaluations };
    let found = search.run(Some(request.start)).ok()?;
    let solved = search.criterion.solution(&found.lambda, response, false)?;
    let pwrss = response.off_zero(solved.pwrss * response.scale * response.scale, design.n);
    let remnant = Remnant {
        theta: found.theta,
        beta: coefficients(design, response, &solved),
        unscaled_covariance: Vec::new(),
        sigma: (pwrss / degrees_of_freedom(design, request.reml)).sqrt(),
        converged: found.outcome == Outcome::Converged,
        evaluations: found.evaluations,
    };
    Some(Searched { remnant, rx: solved.rx })
}
