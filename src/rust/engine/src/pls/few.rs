//! Several grouping factors with few effects: what couples them is a dense matrix, and the second derivatives are exact.

use crate::curvature::dense::FullCurvature;
use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::blocks::NotPositiveDefinite;
use crate::factor::criterion::degrees_of_freedom;
use crate::factor::dense::{FullFactor, Workspace};
use crate::factor::solution::Solution;
use crate::model::lambda::Lambda;
use crate::plan::coupling::Coupling;
use crate::plan::design::Design;
use crate::pls::kept::{AtLambda, Kept};
use crate::pls::{visit_blocks, Pls};
use crate::products::response::Response;

/// The problem of a design with few effects.
pub struct Few<'a> {
    design: &'a Design,
    coupling: &'a Coupling,
    reml: bool,
    factors: Kept<Full>,
    work: Workspace,
    solution: Solution,
    response: Response,
}

/// What belongs to one Lambda.
struct Full {
    factored: bool,
    factor: FullFactor,
    /// Whether the curvature is that of the factor.
    curved: bool,
    curvature: FullCurvature,
}

impl Full {
    fn new(design: &Design) -> Self {
        Full { factored: false, factor: FullFactor::new(design), curved: false, curvature: FullCurvature::new(design) }
    }
}

impl AtLambda for Full {
    fn lambda(&self) -> Option<&Lambda> {
        self.factored.then_some(&self.factor.lambda)
    }
}

impl<'a> Few<'a> {
    /// Allocates.
    pub fn new(design: &'a Design, coupling: &'a Coupling, reml: bool) -> Self {
        Few {
            design,
            coupling,
            reml,
            factors: Kept::new(Full::new(design)),
            work: Workspace::new(design),
            solution: Solution::new(design),
            response: Response::empty(design),
        }
    }

    /// The present factorisation with its curvature.
    fn curved(&mut self) -> &Full {
        let full = self.factors.now_mut();
        if !full.curved {
            full.curvature.compute(self.design, &full.factor, self.reml, &mut self.work);
            full.curved = true;
        }
        full
    }
}

impl Pls for Few<'_> {
    fn set_response(&mut self, response: &Response) {
        self.response.clone_from(response);
    }

    fn factorize(&mut self, lambda: &Lambda) -> Result<(), NotPositiveDefinite> {
        if self.factors.find(lambda) {
            return Ok(());
        }
        let full = self.factors.now_mut();
        (full.factored, full.curved) = (false, false);
        full.factor.factorize(self.design, self.coupling, lambda, &mut self.work)?;
        full.factored = true;
        Ok(())
    }

    fn log_determinants(&mut self, _each: bool) -> Result<(f64, f64), NotPositiveDefinite> {
        let factor = &self.factors.now().factor;
        Ok((factor.log_det_m, factor.log_det_x))
    }

    fn solve(&mut self) -> f64 {
        self.factors.now().factor.solve(self.design, &self.response, &mut self.solution);
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
        self.curved();
        let full = self.factors.now();
        full.curvature.derivatives(self.design, &full.factor, &self.solution, self.reml, frame)
    }

    fn has_exact_hessian(&self) -> bool {
        true
    }

    fn expected_information(&mut self) -> Option<Vec<f64>> {
        let (design, nu) = (self.design, degrees_of_freedom(self.design, self.reml));
        Some(self.curved().curvature.expected_information(design, Frame::covariances(&design.structure), nu))
    }

    fn inverse_blocks(&mut self, visit: &mut dyn FnMut(usize, f64, &[f64])) {
        let design = self.design;
        visit_blocks(design, &self.curved().curvature.inverse_blocks, visit);
    }

    fn pin(&mut self, lambda: &Lambda) {
        if self.factorize(lambda).is_ok() {
            let design = self.design;
            self.factors.pin(|| Full::new(design));
        }
    }
}
