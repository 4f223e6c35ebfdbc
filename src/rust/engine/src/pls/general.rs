//! Any design: blocks of levels, with a dense or sparse Schur complement, and the average information for the second derivatives.

use crate::curvature::average::average_information;
use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::curvature::traces::{inverse_diagonal_blocks, Curvature};
use crate::factor::blocks::{Factor, NotPositiveDefinite};
use crate::factor::solution::Solution;
use crate::model::lambda::Lambda;
use crate::plan::design::Design;
use crate::pls::several::{Factorisation, Setting};
use crate::products::response::Response;

/// The factorisation by blocks, and its curvature.
pub struct General {
    factor: Factor,
    /// log |M| of the random effects and log |X'V^-1X| of all fixed effects, where they are known.
    log_determinants: Option<(f64, f64)>,
    curvature: Curvature,
}

impl Factorisation for General {
    type Work = ();
    const EXACT_HESSIAN: bool = false;

    fn new(design: &Design) -> Self {
        General { factor: Factor::new(design), log_determinants: None, curvature: Curvature::new(design, true) }
    }

    fn work(_design: &Design) {}

    fn lambda(&self) -> &Lambda {
        &self.factor.lambda
    }

    fn factorize(&mut self, setting: Setting, lambda: &Lambda, _work: &mut ()) -> Result<(), NotPositiveDefinite> {
        self.log_determinants = None;
        self.factor.factorize(setting.design, lambda, setting.workers)
    }

    fn log_determinants(&mut self, setting: Setting, each: bool) -> Result<(f64, f64), NotPositiveDefinite> {
        match self.log_determinants {
            Some(known) if each => Ok(known),
            _ => {
                let found = self.factor.log_determinants(setting.design, each, setting.workers)?;
                if each {
                    self.log_determinants = Some(found);
                }
                Ok(found)
            }
        }
    }

    fn solve(&mut self, setting: Setting, response: &Response, solution: &mut Solution) {
        solution.solve(setting.design, response, &mut self.factor, setting.workers);
    }

    fn rx(&self) -> &[f64] {
        &self.factor.rx
    }

    fn curve(&mut self, setting: Setting, _work: &mut ()) {
        if !setting.reml && self.log_determinants.is_none() {
            // Maximum likelihood needs the factorisation of the random effects alone, which is made for its determinant. Where it can't
            // be made there is no criterion either, and nobody asks for its derivatives.
            self.log_determinants = self.factor.log_determinants(setting.design, true, setting.workers).ok();
        }
        self.curvature.compute(setting.design, &mut self.factor, setting.reml, setting.workers);
    }

    fn derivatives(&mut self, setting: Setting, solution: &Solution, frame: &Frame) -> Derivatives {
        average_information(setting.design, &mut self.factor, &self.curvature, solution, setting.reml, frame, setting.workers)
    }

    fn expected_information(&self, _setting: Setting) -> Option<Vec<f64>> {
        None
    }

    fn inverse_blocks(&self, setting: Setting, visit: &mut dyn FnMut(&[Vec<f64>])) {
        let curvature = &self.curvature;
        visit(&inverse_diagonal_blocks(setting.design, &self.factor, &curvature.rest_inverse, &curvature.coupled));
    }
}
