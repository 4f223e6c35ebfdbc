//! Kenward and Roger's inference for the fixed effects.
use crate::condition::{answer, finished, fitted, interrupted, Answer};
use crate::model::{model_of, real, thread_count};
use crate::value::{owned, pointer, Value};
use crate::{record, square};
use extendr_api::prelude::*;
use fastlmer_engine::{KenwardRoger, Workers};
use std::borrow::Cow;

/// What stands behind an external pointer.
fn state_of(pointer: &Robj) -> Answer<&KenwardRoger> {
    Ok(owned(pointer).ok_or("the pointer to the adjustment is empty")?)
}

/// The adjustment at theta: `state`, an external pointer, and the fixed effects' covariance matrix in units of the residual variance,
/// as it is and adjusted.
/// @noRd
#[extendr]
fn engine_kr(design: Robj, theta: Robj, threads: Robj) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let workers = Workers::for_rows(thread_count(&threads), model.design.n).stopped_by(interrupted);
        let state = finished(KenwardRoger::new(&model.design, model.theta(&theta)?, &workers), &workers)?;
        let (covariance, adjusted) = (square(state.covariance()), square(state.adjusted_covariance()));
        Ok(record!(state = pointer(state), covariance = covariance, adjusted = adjusted))
    })
}

/// Is there nothing behind the pointer, as after readRDS()?
/// @noRd
#[extendr]
fn engine_kr_is_nil(state: Robj) -> bool {
    owned::<KenwardRoger>(&state).is_none()
}

/// Derivatives of the fixed effects' precision in each covariance parameter, and the parameters' covariance, for a residual variance of 1.
/// @noRd
#[extendr]
fn engine_kr_parameters(state: Robj) -> Robj {
    answer(|| {
        let (derivatives, w) = state_of(&state)?.in_caller_parameters();
        let derivatives: Vec<Value> = derivatives.into_iter().map(square).collect();
        Ok(record!(p = derivatives, w = square(w)))
    })
}

/// About how many multiplications the adjustment takes.
/// @noRd
#[extendr]
fn engine_kr_work(design: Robj) -> Robj {
    answer(|| Ok(KenwardRoger::work(&model_of(&design)?.design)))
}

/// What degrees of freedom are made of, in coordinates in which the fixed effects' covariance is the identity: `root`, a row for each
/// fixed effect; `p`, a column for each covariance parameter's derivative; `w`, these parameters' covariance.
/// @noRd
#[extendr]
fn engine_kr_values(state: Robj) -> Robj {
    answer(|| {
        let state = state_of(&state)?;
        let (units, derivatives) = (state.units(), state.derivatives());
        let (n, m) = (state.p as i32, derivatives.len() as i32);
        let root: Vec<f64> = (0..state.p * state.p).map(|t| units[t % state.p][t / state.p]).collect();
        Ok(record!(
            root = Value::Array(Cow::Owned(root), vec![n, n]),
            p = Value::Array(Cow::Owned(derivatives.concat()), vec![n * n, m]),
            w = square(state.parameter_covariance().to_vec()),
        ))
    })
}

/// Tests of hypotheses, whose rows stand one after the other in `l` (one column of a matrix each); `estimates` are what they are about in
/// units of the residual standard deviation. All together, or each row on its own.
/// @noRd
#[extendr]
fn engine_kr_test(state: Robj, l: Robj, estimates: Robj, together: bool) -> Robj {
    answer(|| {
        let state = state_of(&state)?;
        let (l, estimates) = (real(&l, "l")?, real(&estimates, "estimates")?);
        if l.len() != state.p * estimates.len() || estimates.is_empty() {
            Err("a hypothesis has one coefficient for each fixed effect")?;
        }
        let rows = if together { estimates.len() } else { 1 };
        let hypotheses = l.chunks_exact(state.p * rows).zip(estimates.chunks_exact(rows));
        let tests = fitted(hypotheses.map(|(l, e)| state.test(l, e)).collect::<Result<Vec<_>, _>>())?;
        let values = |value: &dyn Fn(&fastlmer_engine::Test) -> f64| tests.iter().map(value).collect::<Vec<f64>>();
        let moments: Vec<f64> = tests.iter().flat_map(|t| t.moments).collect();
        Ok(record!(
            rank = values(&|t| t.rank as f64),
            df = values(&|t| t.df),
            scale = values(&|t| t.scale),
            f = values(&|t| t.f),
            moments = Value::Array(Cow::Owned(moments), vec![6, tests.len() as i32]),
        ))
    })
}

extendr_module! {
    mod kenward_roger;
    fn engine_kr;
    fn engine_kr_is_nil;
    fn engine_kr_parameters;
    fn engine_kr_work;
    fn engine_kr_values;
    fn engine_kr_test;
}
