//! Variances of predictions.
use crate::condition::{answer, fitted, interrupted, Answer, Failure};
use crate::model::{integer, model_of, real, thread_count};
use crate::value::{owned, pointer};
use extendr_api::prelude::*;
use fastlmer_engine::{NewRows, Predictor, Workers};
use std::cell::RefCell;

/// The factorisation of a model at theta, as an external pointer.
/// @noRd
#[extendr]
fn engine_predictor(design: Robj, theta: Robj, threads: Robj) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let workers = Workers::for_rows(thread_count(&threads), model.design.n).stopped_by(interrupted);
        Ok(pointer(RefCell::new(fitted(Predictor::new(&model.design, model.theta(&theta)?, &workers))?)))
    })
}

/// Is a predictor's external pointer empty, as it is after readRDS()?
/// @noRd
#[extendr]
fn engine_predictor_is_nil(pointer: Robj) -> bool {
    owned::<RefCell<Predictor>>(&pointer).is_none()
}

/// Variances of the linear predictors of new rows, in units of the residual variance. `x` is NULL where the fixed effects are left out,
/// an element of `z` where that term is; `levels` are those of an absorbed factor, or NULL; a code of 0 is a level that the fit hasn't seen.
/// @noRd
#[extendr]
#[allow(clippy::too_many_arguments)]
fn engine_prediction_variances(design: Robj, predictor: Robj, n: f64, x: Robj, levels: Robj, codes: List, z: List, threads: Robj) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let predictor: &RefCell<Predictor> = owned(&predictor).ok_or("the pointer to the predictor is empty")?;
        let (codes, z): (Vec<Robj>, Vec<Robj>) = (codes.values().collect(), z.values().collect());
        let rows = NewRows {
            n: n.max(0.0) as usize,
            x: if x.is_null() { None } else { Some(real(&x, "x")?) },
            absorbed: if levels.is_null() { None } else { Some(integer(&levels, "levels")?) },
            codes: codes.iter().map(|c| integer(c, "codes")).collect::<Answer<_>>()?,
            terms: z.iter().map(|z| if z.is_null() { Ok(None) } else { real(z, "z").map(Some) }).collect::<Answer<_>>()?,
        };
        let workers = Workers::for_rows(thread_count(&threads), rows.n).stopped_by(interrupted);
        let variances = predictor.borrow_mut().variances(&model.design, &rows, &workers);
        if workers.was_interrupted() {
            return Err(Failure::Interrupt);
        }
        // what the engine refuses here isn't the data but our call
        Ok(variances?)
    })
}

extendr_module! {
    mod predict;
    fn engine_predictor;
    fn engine_predictor_is_nil;
    fn engine_prediction_variances;
}
