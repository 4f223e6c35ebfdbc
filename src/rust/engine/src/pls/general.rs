//! Any design: blocks of levels, with a dense or sparse Schur complement, and the average information for the second derivatives.

use crate::curvature::average::average_information;
use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::curvature::traces::{inverse_diagonal_blocks, Curvature};
use crate::factor::blocks::{Factor, NotPositiveDefinite};
use crate::factor::solution::Solution;
use crate::model::lambda::Lambda;
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::pls::kept::{AtLambda, Kept};
use crate::pls::{visit_blocks, Pls};
use crate::products::response::Response;

/// The problem of any design.
pub struct General<'a> {
    design: &'a Design,
    reml: bool,
    workers: &'a Workers,
    factors: Kept<Blocks>,
    solution: Solution,
    response: Response,
}

/// What belongs to one Lambda.
struct Blocks {
    factored: bool,
    factor: Factor,
    /// log |M| of the random effects and log |X'V^-1X| of all fixed effects, where they are known.
    log_determinants: Option<(f64, f64)>,
    /// Whether the curvature is that of the factor.
    curved: bool,
    curvature: Curvature,
}

impl Blocks {
    fn new(design: &Design) -> Self {
        let (factor, curvature) = (Factor::new(design), Curvature::new(design, true));
        Blocks { factored: false, factor, log_determinants: None, curved: false, curvature }
    }
}

impl AtLambda for Blocks {
    fn lambda(&self) -> Option<&Lambda> {
        self.factored.then_some(&self.factor.lambda)
    }
}

impl<'a> General<'a> {
    /// Allocates.
    pub fn new(design: &'a Design, reml: bool, workers: &'a Workers) -> Self {
        General {
            design,
            reml,
            workers,
            factors: Kept::new(Blocks::new(design)),
            solution: Solution::new(design),
            response: Response::empty(design),
        }
    }

    /// Sees to it that the present factorisation has its curvature.
    fn curve(&mut self) {
        let at = self.factors.now_mut();
        if !at.curved {
            if !self.reml && at.log_determinants.is_none() {
                // maximum likelihood needs the factorisation of the random effects alone, which goes by its determinant
                at.log_determinants = at.factor.log_determinants(self.design, true, self.workers).ok();
            }
            at.curvature.compute(self.design, &mut at.factor, self.reml, self.workers);
            at.curved = true;
        }
    }
}

impl Pls for General<'_> {
    fn set_response(&mut self, response: &Response) {
        self.response.clone_from(response);
    }

    fn factorize(&mut self, lambda: &Lambda) -> Result<(), NotPositiveDefinite> {
        if self.factors.find(lambda) {
            return Ok(());
        }
        let at = self.factors.now_mut();
        (at.factored, at.log_determinants, at.curved) = (false, None, false);
        at.factor.factorize(self.design, lambda, self.workers)?;
        at.factored = true;
        Ok(())
    }

    fn log_determinants(&mut self, each: bool) -> Result<(f64, f64), NotPositiveDefinite> {
        let at = self.factors.now_mut();
        if !each {
            return at.factor.log_determinants(self.design, false, self.workers);
        }
        if at.log_determinants.is_none() {
            at.log_determinants = Some(at.factor.log_determinants(self.design, true, self.workers)?);
        }
        at.log_determinants.ok_or(NotPositiveDefinite)
    }

    fn solve(&mut self) -> f64 {
        self.solution.solve(self.design, &self.response, &mut self.factors.now_mut().factor, self.workers);
        self.solution.r2
    }

    fn beta(&self) -> &[f64] {
        &self.solution.beta
    }

    fn spherical_effects(&self, _response: &Response) -> Vec<f64> {
        self.solution.u.clone()
    }

    fn fixed_factor(&self) -> &[f64] {
        &self.factors.now().factor.xvx
    }

    fn derivatives(&mut self, frame: &Frame) -> Derivatives {
        self.curve();
        let at = self.factors.now_mut();
        average_information(self.design, &mut at.factor, &at.curvature, &self.solution, self.reml, frame, self.workers)
    }

    fn has_exact_hessian(&self) -> bool {
        false
    }

    fn inverse_blocks(&mut self, visit: &mut dyn FnMut(usize, f64, &[f64])) {
        self.curve();
        let at = self.factors.now();
        let blocks = inverse_diagonal_blocks(self.design, &at.factor, &at.curvature.rest_inverse, &at.curvature.coupled);
        visit_blocks(self.design, &blocks, visit);
    }

    fn pin(&mut self, lambda: &Lambda) {
        if self.factorize(lambda).is_ok() {
            let design = self.design;
            self.factors.pin(|| Blocks::new(design));
        }
    }
}
