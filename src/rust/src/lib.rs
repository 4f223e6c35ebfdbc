//! Glue between R and the engine: converts arguments and results, and turns what goes wrong into R errors. No mathematics.
//!
//! A function that R calls is written so:
//!
//! ```ignore
//! /// What it does.
//! /// @noRd
//! #[extendr]
//! fn engine_something(x: RMatrix<f64>, options: List) -> Robj {
//!     answer(|| {
//!         let fit = fastlmer_engine::something(x.data())?; // any error that can be displayed
//!         Ok(record!(theta = fit.theta))
//!     })
//! }
//! ```
//!
//! and named in `extendr_module!` below; `sh tools/document.sh` then writes its R wrapper. See [`condition`] for errors.
mod about;
mod columns;
mod condition;
mod influence;
mod kenward_roger;
mod model;
mod predict;
mod products;
mod profile;
mod resampling;
mod satterthwaite;
mod value;
mod watch;

use condition::{answer, finished, fitted, Answer, Failure};
use extendr_api::prelude::*;
use fastlmer_engine::{
    chi_squared_tail, conditional_variances, fit, fit_response, fixed_factor, is_curved, largest_element, least_diagonal, normal_cdf,
    normal_quantile, number_levels, refit, BatchOptions, Evaluator, Fit, Options, Response, Source, Structure, Undetermined, Workers,
};
use model::{flag, integer, model_of, number, real, thread_count, threads_of, Columns, Model};
use resampling::{batch_record, with_responses};
use std::borrow::Cow;
use std::cell::RefCell;
use value::{new_matrix, owned, pointer, Value};

/// A response's cross-products, and its criterion where that has been asked for.
struct ResponseState {
    response: Response,
    evaluator: RefCell<Option<Evaluator<'static>>>,
}

/// The response behind an external pointer.
fn response_of(pointer: &Robj) -> Answer<&ResponseState> {
    Ok(owned(pointer).ok_or("the pointer to the response is empty")?)
}

impl ResponseState {
    fn new(response: Response) -> Self {
        ResponseState { response, evaluator: RefCell::default() }
    }
}

/// Cross-products of a design, as an external pointer.
/// @noRd
#[extendr]
fn engine_design(x: Robj, codes: List, nlev: Robj, asgn: Robj, z: List, weights: Robj, threads: Robj) -> Robj {
    answer(|| Ok(pointer(Model::new(&Columns::new(x, codes, z, weights)?, &nlev, &asgn, thread_count(&threads))?)))
}

/// Is an external pointer empty, as it is after readRDS()?
/// @noRd
#[extendr]
fn engine_is_nil(pointer: Robj) -> bool {
    owned::<Model>(&pointer).is_none()
}

/// Per column of x what earlier columns leave of it, relative to its own length.
/// @noRd
#[extendr]
fn engine_rank_margin(design: Robj) -> Robj {
    answer(|| Ok(model_of(&design)?.design.rank_margin()))
}

/// The levels of an integer vector without missing values, in ascending order, and per element the number of its level, from 1.
/// @noRd
#[extendr]
fn engine_number_levels(x: Robj) -> Robj {
    answer(|| {
        let (codes, levels) = number_levels(integer(&x, "x")?);
        Ok(record!(codes = codes, levels = levels))
    })
}

/// The fit of one response, or with the option `fixed` the solution at `start`.
/// @noRd
#[extendr]
#[allow(clippy::too_many_arguments)]
fn engine_fit(design: Robj, x: Robj, codes: List, z: List, weights: Robj, y: Robj, reml: bool, start: Robj, options: List) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let columns = Columns::new(x, codes, z, weights)?;
        let interrupted = condition::interrupt_check();
        let workers = Workers::for_rows(threads_of(&options), model.design.n).stopped_by(condition::interrupted);
        let request = request(reml, &start, &options, &workers, &interrupted)?;
        Ok(fit_record(&model.design.structure, fitted(fit(&model.design, &model.rows(&columns)?, real(&y, "y")?, &request))?))
    })
}

/// The same for a response that is there as cross-products only: without fitted values.
/// @noRd
#[extendr]
fn engine_fit_response(design: Robj, response: Robj, reml: bool, start: Robj, options: List) -> Robj {
    answer(|| {
        let (model, state) = (model_of(&design)?, response_of(&response)?);
        let interrupted = condition::interrupt_check();
        let workers = Workers::for_rows(threads_of(&options), model.design.n).stopped_by(condition::interrupted);
        let request = request(reml, &start, &options, &workers, &interrupted)?;
        Ok(fit_record(&model.design.structure, fitted(fit_response(&model.design, &state.response, None, &request))?))
    })
}

fn request<'a>(reml: bool, start: &Robj, options: &List, workers: &'a Workers, interrupted: &'a dyn Fn() -> bool) -> Answer<Options<'a>> {
    let mut request = Options { reml, workers, interrupted, ..Options::default() };
    if !start.is_null() {
        request.start = Some(real(start, "start")?.to_vec());
    }
    if let Some(limit) = number(options, "max_eval") {
        request.max_evaluations = limit.max(1.0) as usize;
    }
    request.fixed = flag(options, "fixed");
    request.exact_hessian = flag(options, "exact_hessian");
    Ok(request)
}

fn fit_record(structure: &Structure, fit: Fit) -> Value<'static> {
    let remarks = remarks(&fit);
    // R looks through the names one after the other: what is asked for most often comes first.
    record!(
        converged = fit.converged,
        curved = is_curved(structure, &fit.theta, &fit.hessian),
        least = least_diagonal(structure, &fit.theta),
        largest = largest_element(structure, &fit.theta),
        remarks = remarks,
        gradient = fit.gradient,
        hessian = square(fit.hessian),
        theta = fit.theta,
        beta = fit.beta,
        u = fit.u,
        ldL2 = fit.ld_l2,
        ldRX2 = fit.ld_rx2,
        wrss = fit.wrss,
        ussq = fit.ussq,
        pwrss = fit.wrss + fit.ussq,
        criterion = fit.criterion,
        evaluations = fit.evaluations as f64,
        message = fit.message,
        fitted = fit.fitted,
        unsc = square(fit.unscaled_covariance),
        rx = square(fit.rx),
        sigma = fit.sigma,
        b = fit.b,
        exact_hessian = fit.exact_hessian,
    )
}

/// What R has something to say about, or NULL.
fn remarks(fit: &Fit) -> Value<'static> {
    if !fit.exact && fit.undetermined.is_empty() {
        return Value::Null;
    }
    record!(exact = fit.exact, undetermined = undetermined_list(&fit.undetermined))
}

/// Random effects whose variance is zero by convention, or NULL: places of term and column, from 1, and what the data can't tell them
/// from, columns of X and an absorbed factor or else the residuals or nothing at all.
fn undetermined_list(undetermined: &[Undetermined]) -> Value<'static> {
    if undetermined.is_empty() {
        return Value::Null;
    }
    let items = undetermined.iter().map(|u| {
        let (source, columns, absorbed) = match &u.source {
            Source::Fixed { columns, absorbed } => ("fixed", columns.iter().map(|&c| c as i32 + 1).collect::<Vec<_>>(), *absorbed),
            Source::Residuals => ("residuals", Vec::new(), false),
            Source::Nothing => ("nothing", Vec::new(), false),
        };
        record!(term = u.term as i32 + 1, column = u.column as i32 + 1, source = source, columns = columns, absorbed = absorbed)
    });
    Value::List(items.collect())
}

fn square(values: Vec<f64>) -> Value<'static> {
    let n = values.len().isqrt() as i32;
    Value::Array(Cow::Owned(values), vec![n, n])
}

/// RX and the unscaled covariance of all fixed effects of a model with an absorbed factor, at theta.
/// @noRd
#[extendr]
fn engine_fixed_factor(design: Robj, x: Robj, codes: List, z: List, weights: Robj, theta: Robj, threads: Robj) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let columns = Columns::new(x, codes, z, weights)?;
        let workers = Workers::for_rows(thread_count(&threads), model.design.n).stopped_by(condition::interrupted);
        let (rx, unsc) = finished(fixed_factor(&model.design, &model.rows(&columns)?, model.theta(&theta)?, &workers), &workers)?;
        Ok(record!(rx = square(rx), unsc = square(unsc)))
    })
}

/// Cross-products of a response, as an external pointer.
/// @noRd
#[extendr]
fn engine_response(design: Robj, x: Robj, codes: List, z: List, weights: Robj, y: Robj, threads: Robj) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let columns = Columns::new(x, codes, z, weights)?;
        let workers = Workers::for_rows(thread_count(&threads), model.design.n);
        let response = fitted(Response::new(&model.design, &model.rows(&columns)?, real(&y, "y")?, &workers))?;
        Ok(pointer(ResponseState::new(response)))
    })
}

/// Deviance or REML criterion at theta.
/// @noRd
#[extendr]
fn engine_criterion(design: Robj, response: Robj, theta: Robj, reml: bool) -> Robj {
    answer(|| {
        let (model, state) = (model_of(&design)?, response_of(&response)?);
        let theta = model.theta(&theta)?;
        let check = condition::interrupt_check(); // R itself asks only once in a thousand calls
        let mut evaluator = state.evaluator.borrow_mut();
        let evaluator = evaluator.get_or_insert_with(|| Evaluator::new(model.design.clone(), &state.response));
        let value = evaluator.criterion(theta, reml);
        if check() {
            return Err(Failure::Interrupt);
        }
        Ok(value)
    })
}

/// Refits of many responses, given or simulated.
/// @noRd
#[extendr]
#[allow(clippy::too_many_arguments)]
fn engine_refit_many(
    design: Robj,
    x: Robj,
    codes: List,
    z: List,
    weights: Robj,
    responses: List,
    reml: bool,
    start: Robj,
    options: List,
) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let columns = Columns::new(x, codes, z, weights)?;
        let rows = model.rows(&columns)?;
        let start = if start.is_null() { None } else { Some(model.theta(&start)?) };
        let check = condition::interrupt_check();
        let request = BatchOptions {
            reml,
            start,
            max_evaluations: number(&options, "max_eval").map_or(Options::default().max_evaluations, |v| v.max(1.0) as usize),
            effects: flag(&options, "modes"),
            covariance: flag(&options, "covariance"),
            degrees_of_freedom: flag(&options, "degrees_of_freedom"),
            threads: threads_of(&options),
            interrupted: &|_| check(),
            ask: Some(condition::interrupted),
        };
        let replicates = with_responses(model, &rows, &responses, |r| fitted(refit(&model.design, &rows, r, &request)))?;
        Ok(batch_record(&model.design, replicates, &request))
    })
}

/// Simulated responses, a matrix with one column each.
/// @noRd
#[extendr]
fn engine_simulate(design: Robj, x: Robj, codes: List, z: List, weights: Robj, responses: List) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let columns = Columns::new(x, codes, z, weights)?;
        let rows = model.rows(&columns)?;
        with_responses(model, &rows, &responses, |r| {
            let (n, count) = (rows.n, r.count(rows.n));
            let mut y = new_matrix(n, count)?;
            let mut normals = Vec::new();
            for (index, column) in y.as_real_slice_mut().ok_or("a matrix of numbers")?.chunks_exact_mut(n).enumerate() {
                r.fill(index, &mut normals, column);
            }
            Ok(y)
        })
    })
}

/// Conditional variances of the random effects in units of the residual variance, K x K x levels per grouping factor.
/// @noRd
#[extendr]
fn engine_condvar(design: Robj, theta: Robj, threads: Robj) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let workers = Workers::for_rows(thread_count(&threads), model.design.n).stopped_by(condition::interrupted);
        let blocks = conditional_variances(&model.design, model.theta(&theta)?, &workers);
        if workers.was_interrupted() {
            return Err(Failure::Interrupt);
        }
        let blocks = blocks.map_err(|_| Failure::Unfit("the conditional variances cannot be computed at this theta".into()))?;
        let mut out = Vec::new();
        let groups = &model.design.structure.groups[model.design.structure.random_groups()];
        for (group, values) in groups.iter().zip(blocks) {
            let size = vec![group.k as i32, group.k as i32, group.levels as i32];
            out.push((group.factor, Value::Array(Cow::Owned(values), size)));
        }
        out.sort_by_key(|(factor, _)| *factor);
        Ok(Value::List(out.into_iter().map(|(_, array)| array).collect()))
    })
}

/// Quantiles of the standard normal distribution.
/// @noRd
#[extendr]
fn engine_normal_quantile(p: Robj) -> Robj {
    answer(|| Ok(real(&p, "p")?.iter().map(|&p| normal_quantile(p)).collect::<Vec<_>>()))
}

/// Probabilities that a standard normal variable is below `z`.
/// @noRd
#[extendr]
fn engine_normal_cdf(z: Robj) -> Robj {
    answer(|| Ok(real(&z, "z")?.iter().map(|&z| normal_cdf(z)).collect::<Vec<_>>()))
}

/// Probabilities that a chi-squared variable is above `x`.
/// @noRd
#[extendr]
fn engine_chi_squared_tail(x: Robj, df: f64) -> Robj {
    answer(|| Ok(real(&x, "x")?.iter().map(|&x| chi_squared_tail(x, df)).collect::<Vec<_>>()))
}

/// Fails on purpose, by an error or a panic, so that the tests see what a user would see.
/// @noRd
#[extendr]
fn engine_fail(text: &str, panic: bool) -> Robj {
    answer(|| -> Answer<()> {
        if panic {
            panic!("{text}");
        }
        Err(text)?
    })
}

/// Has R fail at the `count`-th piece of memory that it is asked for from now on; 0 for none.
/// @noRd
#[extendr]
fn engine_fail_allocation(count: f64) -> Robj {
    answer(|| {
        value::fail_allocation(count.max(0.0) as usize);
        Ok(())
    })
}

extendr_module! {
    mod fastlmer;
    use about;
    use columns;
    use influence;
    use kenward_roger;
    use predict;
    use products;
    use profile;
    use satterthwaite;
    use watch;
    fn engine_design;
    fn engine_is_nil;
    fn engine_rank_margin;
    fn engine_number_levels;
    fn engine_fit;
    fn engine_fit_response;
    fn engine_fixed_factor;
    fn engine_response;
    fn engine_criterion;
    fn engine_refit_many;
    fn engine_simulate;
    fn engine_condvar;
    fn engine_normal_quantile;
    fn engine_normal_cdf;
    fn engine_chi_squared_tail;
    fn engine_fail;
    fn engine_fail_allocation;
}
