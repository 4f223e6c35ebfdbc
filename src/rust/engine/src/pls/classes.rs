//! One grouping factor: by classes of equal levels, with exact second derivatives.

use crate::curvature::by_class::ClassCurvature;
use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::blocks::NotPositiveDefinite;
use crate::factor::by_class::Evaluation;
use crate::factor::criterion::degrees_of_freedom;
use crate::model::lambda::Lambda;
use crate::parallel::Workers;
use crate::plan::classes::{Classes, Moments};
use crate::plan::design::System;
use crate::pls::Pls;
use crate::products::response::Response;

/// The problem of a design with classes. A class is factored and solved in one go, and so quickly that nothing is kept.
pub struct ByClass<'a> {
    design: &'a System,
    classes: &'a Classes,
    reml: bool,
    workers: &'a Workers,
    lambda: Lambda,
    /// Whether the evaluation is that at `lambda`.
    solved: bool,
    evaluation: Evaluation,
    curvature: ClassCurvature,
    moments: Moments,
    xy: Vec<f64>,
    yy: f64,
}

impl<'a> ByClass<'a> {
    /// Allocates.
    pub fn new(design: &'a System, classes: &'a Classes, reml: bool, workers: &'a Workers) -> Self {
        ByClass {
            design,
            classes,
            reml,
            workers,
            lambda: design.structure.zero_lambda(),
            solved: false,
            evaluation: Evaluation::new(classes),
            curvature: ClassCurvature::new(classes),
            moments: classes.moments(&vec![0.0; design.structure.q]),
            xy: vec![0.0; design.p],
            yy: 0.0,
        }
    }
}

impl Pls for ByClass<'_> {
    fn set_response(&mut self, response: &Response) {
        self.classes.fill_moments(&response.zy, &mut self.moments);
        self.xy.copy_from_slice(&response.xy);
        self.yy = response.yy;
        self.solved = false;
    }

    fn factorize(&mut self, lambda: &Lambda) -> Result<(), NotPositiveDefinite> {
        if self.solved && self.lambda == *lambda {
            return Ok(());
        }
        self.lambda.clone_from(lambda);
        let (xx, xy) = (&self.design.xx, &self.xy);
        self.solved = self.evaluation.solve(self.classes, &lambda[0], xx, xy, self.yy, &self.moments, self.workers);
        self.solved.then_some(()).ok_or(NotPositiveDefinite)
    }

    fn log_determinants(&mut self, _each: bool) -> Result<(f64, f64), NotPositiveDefinite> {
        Ok((self.evaluation.ld_l2, self.evaluation.ld_rx2))
    }

    fn solve(&mut self) -> f64 {
        self.evaluation.pwrss
    }

    fn beta(&self) -> &[f64] {
        &self.evaluation.beta
    }

    fn spherical_effects(&self, response: &Response) -> Vec<f64> {
        self.evaluation.spherical_effects(self.classes, &self.lambda[0], &response.zy, self.workers)
    }

    fn rx(&self) -> &[f64] {
        &self.evaluation.rx
    }

    fn degrees_of_freedom(&self) -> f64 {
        degrees_of_freedom(self.design, self.reml)
    }

    fn derivatives_with(&mut self, nu: f64, frame: &Frame) -> Derivatives {
        let lambda = &self.lambda[0];
        self.curvature.derivatives(self.design, self.classes, &self.evaluation, lambda, nu, self.reml, frame, self.workers)
    }

    fn has_exact_hessian(&self) -> bool {
        true
    }

    fn inverse_blocks(&mut self, visit: &mut dyn FnMut(usize, f64, &[f64])) {
        self.evaluation.for_each_inverse_block(self.classes, |m, block| visit(0, m, block));
    }
}
