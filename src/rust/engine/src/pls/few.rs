//! Several grouping factors with few effects: what couples them is a dense matrix, and the second derivatives are exact.

use crate::curvature::dense::FullCurvature;
use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::blocks::NotPositiveDefinite;
use crate::factor::criterion::degrees_of_freedom;
use crate::factor::dense::{FullFactor, Workspace};
use crate::factor::solution::Solution;
use crate::model::lambda::Lambda;
use crate::plan::design::Design;
use crate::pls::several::{Factorisation, Setting};
use crate::products::response::Response;

/// The factorisation with a dense cross block, and its curvature.
pub struct Few {
    factor: FullFactor,
    curvature: FullCurvature,
}

impl Factorisation for Few {
    type Work = Workspace;
    const EXACT_HESSIAN: bool = true;

    fn new(design: &Design) -> Self {
        Few { factor: FullFactor::new(design), curvature: FullCurvature::new(design) }
    }

    fn work(design: &Design) -> Workspace {
        Workspace::new(design)
    }

    fn lambda(&self) -> &Lambda {
        &self.factor.lambda
    }

    fn factorize(&mut self, setting: Setting, lambda: &Lambda, work: &mut Workspace) -> Result<(), NotPositiveDefinite> {
        let coupling = setting.design.plan.coupling.as_ref().expect("the plan has chosen this way");
        self.factor.factorize(setting.design, coupling, lambda, work)
    }

    fn log_determinants(&self, _each: bool) -> (f64, f64) {
        (self.factor.ld_l2, self.factor.ld_rx2)
    }

    fn solve(&self, setting: Setting, response: &Response, solution: &mut Solution, _work: &mut Workspace) {
        self.factor.solve(setting.design, response, solution);
    }

    fn rx(&self) -> &[f64] {
        &self.factor.rx
    }

    fn curve(&mut self, setting: Setting, work: &mut Workspace) {
        self.curvature.compute(setting.design, &self.factor, setting.reml, work);
    }

    fn derivatives(&self, setting: Setting, solution: &Solution, nu: f64, frame: &Frame, _work: &mut Workspace) -> Derivatives {
        self.curvature.derivatives(setting.design, &self.factor, solution, nu, setting.reml, frame)
    }

    fn expected_information(&self, setting: Setting) -> Option<Vec<f64>> {
        let (design, nu) = (setting.design, degrees_of_freedom(setting.design, setting.reml));
        Some(self.curvature.expected_information(design, Frame::covariances(&design.structure), nu))
    }

    fn inverse_blocks(&self, _setting: Setting, visit: &mut dyn FnMut(&[Vec<f64>])) {
        visit(&self.curvature.inverse_blocks);
    }
}
