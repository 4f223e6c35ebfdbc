//! Fits of models whose terms have covariance structures.

use crate::error::Error;
use crate::model::covariance::Covariance;
use crate::model::lambda::free_elements;
use crate::model::rows::Rows;
use crate::optimise::criterion::Criterion;
use crate::optimise::search::Found;
use crate::optimise::structured::Structured;
use crate::optimise::trust_region::Objective;
use crate::plan::design::Design;
use crate::products::response::Response;
use crate::tasks::fit::{check, finish, Fit, Options};

/// Fits one response of n values with a covariance structure for each term, in the order of theta. The fit's theta, gradient and second
/// derivatives are those of the whole lower triangles, whatever the structures leave free.
///
/// # Errors
/// As [`crate::fit`], and [`Error::Invalid`] where there aren't as many structures as terms.
pub fn fit_structured(design: &Design, rows: &Rows, y: &[f64], structures: &[&dyn Covariance], options: &Options) -> Result<Fit, Error> {
    check(design, options)?;
    if structures.len() != rows.terms.len() {
        return Err(format!("{} covariance structures for {} random-effects terms", structures.len(), rows.terms.len()).into());
    }
    let response = Response::new(design, rows, y, options.workers)?;
    let mut criterion = Criterion::new(design, options.reml, options.workers, options.interrupted);
    criterion.set_response(&response);
    let columns: Vec<usize> = rows.terms.iter().map(|term| term.k).collect();
    let mut structured = Structured::new(&mut criterion, structures, &columns);
    let minimum = structured.minimum(options.start.as_deref(), options.max_evaluations);
    let stopped = structured.interrupted();
    let Some(minimum) = minimum else {
        return Err(if stopped { Error::Interrupted } else { "the criterion cannot be computed at the starting values".into() });
    };
    let mut caller = design.structure.caller_lambda(&structured.theta(&minimum.point.x));
    design.structure.canonical(&mut caller);
    let theta = free_elements(&design.structure, &caller);
    let lambda = design.structure.lambda(&theta);
    let found = Found { lambda, theta, outcome: minimum.outcome, evaluations: minimum.evaluations };
    finish(&mut criterion, &response, Some((rows, y)), found, options.exact_hessian)
}
