//! Hat values, and refits without some of the rows.
use crate::condition::{self, answer, finished, fitted};
use crate::model::{integer, model_of, number, real, thread_count, threads_of, Columns};
use crate::record;
use crate::value::{na_real, Value, NA};
use extendr_api::prelude::*;
use fastlmer_engine::{hat_values, influence, Deletions, Options, Remnant, Workers};
use std::borrow::Cow;

/// Hat values at theta.
/// @noRd
#[extendr]
fn engine_hat_values(design: Robj, x: Robj, codes: List, z: List, weights: Robj, theta: Robj, threads: Robj) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let columns = Columns::new(x, codes, z, weights)?;
        let workers = Workers::for_rows(thread_count(&threads), model.design.n).stopped_by(condition::interrupted);
        finished(hat_values(&model.design, &model.rows(&columns)?, model.theta(&theta)?, &workers), &workers)
    })
}

/// Refits without the rows of each deletion: `deletion` has for every row the number of the one that leaves it out, from 1, or 0.
/// @noRd
#[extendr]
#[allow(clippy::too_many_arguments)]
fn engine_influence(
    design: Robj,
    x: Robj,
    codes: List,
    z: List,
    weights: Robj,
    y: Robj,
    reml: bool,
    start: Robj,
    deletion: Robj,
    count: i32,
    options: List,
) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let columns = Columns::new(x, codes, z, weights)?;
        let check = condition::interrupt_check();
        let request = Deletions {
            codes: integer(&deletion, "deletion")?,
            count: count.max(0) as usize,
            reml,
            start: model.theta(&start)?,
            max_evaluations: number(&options, "max_eval").map_or(Options::default().max_evaluations, |v| v.max(1.0) as usize),
            threads: threads_of(&options),
            interrupted: &|_| check(),
            ask: Some(condition::interrupted),
        };
        let found = fitted(influence(&model.design, &model.rows(&columns)?, real(&y, "y")?, &request))?;
        Ok(remnants(&found, model.design.fixed_columns(), request.start.len()))
    })
}

/// Vectors and matrices with one column per deletion; NA where there is no fit.
fn remnants(found: &[Option<Remnant>], p: usize, parameters: usize) -> Value<'static> {
    let matrix = |rows: usize, get: &dyn Fn(&Remnant) -> &[f64]| {
        let mut values = Vec::with_capacity(rows * found.len());
        for remnant in found {
            match remnant {
                Some(r) => values.extend(get(r).iter().map(|v| if v.is_nan() { na_real() } else { *v })),
                None => values.extend(std::iter::repeat_n(na_real(), rows)),
            }
        }
        Value::Array(Cow::Owned(values), vec![rows as i32, found.len() as i32])
    };
    let vector = |get: &dyn Fn(&Remnant) -> f64| found.iter().map(|r| r.as_ref().map_or(na_real(), get)).collect::<Vec<_>>();
    record!(
        theta = matrix(parameters, &|r| &r.theta),
        beta = matrix(p, &|r| &r.beta),
        unsc = matrix(p * p, &|r| &r.unscaled_covariance),
        sigma = vector(&|r| r.sigma),
        converged = Value::Logicals(found.iter().map(|r| r.as_ref().map_or(NA, |r| r.converged as i32)).collect()),
        evaluations = vector(&|r| r.evaluations as f64)
    )
}

extendr_module! {
    mod influence;
    fn engine_hat_values;
    fn engine_influence;
}
