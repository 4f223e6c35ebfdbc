//! What degrees of freedom are made of.
use crate::condition::{self, answer, fitted};
use crate::model::{model_of, thread_count};
use crate::value::Value;
use crate::{record, response_of, square};
use extendr_api::prelude::*;
use fastlmer_engine::{satterthwaite, Options, Workers};

/// The asymptotic covariance of theta and sigma, and the derivatives of the fixed effects' covariance in theta.
/// @noRd
#[extendr]
fn engine_satterthwaite(design: Robj, response: Robj, reml: bool, theta: Robj, threads: Robj) -> Robj {
    answer(|| {
        let (model, state) = (model_of(&design)?, response_of(&response)?);
        let interrupted = condition::interrupt_check();
        let workers = Workers::for_rows(thread_count(&threads), model.design.n).stopped_by(condition::interrupted);
        let start = Some(model.theta(&theta)?.to_vec());
        let options = Options { reml, start, workers: &workers, interrupted: &interrupted, ..Options::default() };
        let made = fitted(satterthwaite(&model.design, &state.response, &options))?;
        Ok(record!(
            covariance = square(made.covariance),
            jacobian = made.jacobian.into_iter().map(square).collect::<Vec<Value>>(),
            left_out = made.left_out,
            beta = made.beta,
            sigma = made.sigma,
        ))
    })
}

extendr_module! {
    mod satterthwaite;
    fn engine_satterthwaite;
}
