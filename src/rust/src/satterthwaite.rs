//! What degrees of freedom are made of.
use crate::condition::{self, answer, fitted};
use crate::model::{model_of, real, thread_count, Columns};
use crate::value::{owned, Value};
use crate::{record, square, ResponseState};
use extendr_api::prelude::*;
use fastlmer_engine::{satterthwaite, Options, Response, Workers};

/// The asymptotic covariance of theta and sigma, and the derivatives of the fixed effects' covariance in theta. `y` is a response or, where
/// there are no rows, an external pointer to its cross-products.
/// @noRd
#[extendr]
#[allow(clippy::too_many_arguments)]
fn engine_satterthwaite(
    design: Robj,
    x: Robj,
    codes: List,
    z: List,
    weights: Robj,
    y: Robj,
    reml: bool,
    theta: Robj,
    threads: Robj,
) -> Robj {
    answer(|| {
        let model = model_of(&design)?;
        let interrupted = condition::interrupt_check();
        let workers = Workers::for_rows(thread_count(&threads), model.design.n).stopped_by(condition::interrupted);
        let start = Some(model.theta(&theta)?.to_vec());
        let options = Options { reml, start, workers: &workers, interrupted: &interrupted, ..Options::default() };
        let made = match owned::<ResponseState>(&y) {
            Some(state) => satterthwaite(&model.design, &state.response, &options),
            None => {
                let columns = Columns::new(x, codes, z, weights)?;
                let rows = model.rows(&columns)?;
                let response = fitted(Response::new(&model.design, &rows, real(&y, "y")?, &workers))?;
                satterthwaite(&model.design, &response, &options)
            }
        };
        let made = fitted(made)?;
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
