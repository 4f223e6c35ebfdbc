//! The criterion at one theta, for optimizers that know nothing else of the model.

use crate::factor::by_class::Evaluation;
use crate::factor::criterion::criterion_value;
use crate::factor::dense::Workspace;
use crate::factor::solution::Solution;
use crate::model::lambda::Lambda;
use crate::parallel::Workers;
use crate::plan::classes::Moments;
use crate::plan::design::Design;
use crate::pls::few::Few;
use crate::pls::general::General;
use crate::pls::several::{Factorisation, Setting};
use crate::products::response::Response;

/// The memory that [`criterion`] works in, for one design.
pub struct Evaluator(Way);

/// The plan's way to factor.
enum Way {
    Classes(Box<Evaluation>, Moments),
    Few(Box<(Few, Workspace)>, Solution),
    General(Box<General>, Solution),
}

impl Evaluator {
    /// Allocates for a design.
    pub fn new(design: &Design) -> Self {
        let solution = || Solution::new(design);
        Evaluator(match (&design.plan.classes, &design.plan.coupling) {
            (Some(classes), _) => Way::Classes(Box::new(Evaluation::new(classes)), classes.moments(&vec![0.0; design.structure.q])),
            (None, Some(_)) => Way::Few(Box::new((Few::new(design), Few::work(design))), solution()),
            (None, None) => Way::General(Box::new(General::new(design)), solution()),
        })
    }
}

/// Criterion at one theta; `f64::INFINITY` where it cannot be computed.
pub fn criterion(design: &Design, response: &Response, work: &mut Evaluator, theta: &[f64], reml: bool) -> f64 {
    let setting = Setting { design, reml, workers: Workers::none() };
    let lambda = design.structure.lambda(theta);
    let found = match (&mut work.0, &design.plan.classes) {
        (Way::Classes(evaluation, moments), Some(classes)) => {
            classes.fill_moments(&response.zy, moments);
            evaluation.factorize(classes, &lambda[0], &design.xx, Workers::none()).ok().map(|()| {
                evaluation.solve(classes, &lambda[0], moments, &response.xy, response.yy, Workers::none());
                (evaluation.ld_l2, evaluation.ld_rx2, evaluation.pwrss)
            })
        }
        (Way::Few(few, solution), _) => evaluated(&mut few.0, &mut few.1, solution, setting, response, &lambda),
        (Way::General(factor, solution), _) => evaluated(&mut **factor, &mut (), solution, setting, response, &lambda),
        (Way::Classes(..), None) => None,
    };
    found.map_or(f64::INFINITY, |(m, x, pwrss)| criterion_value(design, m, x, pwrss, response.scale, reml))
}

/// log |M|, log |X'V^-1X| and pwrss at a Lambda.
fn evaluated<F: Factorisation>(
    factor: &mut F,
    work: &mut F::Work,
    solution: &mut Solution,
    setting: Setting,
    response: &Response,
    lambda: &Lambda,
) -> Option<(f64, f64, f64)> {
    factor.factorize(setting, lambda, work).ok()?;
    factor.solve(setting, response, solution);
    let (m, x) = factor.log_determinants(setting, !setting.reml).ok()?;
    Some((m, x, solution.pwrss))
}
