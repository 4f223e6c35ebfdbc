//! One grouping factor: by classes of equal levels, with exact second derivatives.

use crate::curvature::by_class::ClassCurvature;
use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::blocks::NotPositiveDefinite;
use crate::factor::by_class::Evaluation;
use crate::factor::criterion::degrees_of_freedom;
use crate::linalg::lanes::{Lanes, Number};
use crate::model::lambda::Lambda;
use crate::plan::classes::{Classes, Grouped, Moments};
use crate::plan::design::Design;
use crate::pls::several::Problem;
use crate::pls::Pls;
use crate::products::response::Response;

/// The problem of a design with classes. They are factored so quickly that nothing is kept for searches to come.
pub struct ByClass<'a, T> {
    problem: Problem<'a>,
    classes: fn(&Design) -> &Classes<T>,
    lambda: Lambda,
    /// Whether the evaluation's factor is that at `lambda`.
    factored: bool,
    /// Whether its solution is.
    solved: bool,
    evaluation: Evaluation<T>,
    curvature: ClassCurvature<T>,
    moments: Moments<T>,
    xy: Vec<f64>,
    yy: f64,
}

impl<'a, T: Number> ByClass<'a, T> {
    /// Allocates; `classes` finds them in the design.
    pub fn new(problem: Problem<'a>, classes: fn(&Design) -> &Classes<T>) -> Self {
        let design = &*problem.design;
        let own = classes(design);
        ByClass {
            lambda: design.structure.zero_lambda(),
            factored: false,
            solved: false,
            evaluation: Evaluation::new(own),
            curvature: ClassCurvature::new(own),
            moments: own.moments(),
            xy: vec![0.0; design.p],
            yy: 0.0,
            problem,
            classes,
        }
    }
}

/// By the classes of a design that has them, one by one or side by side.
pub fn by_class<'a>(problem: Problem<'a>) -> Box<dyn Pls + 'a> {
    match &problem.design.plan.classes {
        Some(Grouped::SideBySide(_)) => Box::new(ByClass::<Lanes>::new(problem, |design| match &design.plan.classes {
            Some(Grouped::SideBySide(classes)) => classes,
            _ => unreachable!("the plan has chosen otherwise"),
        })),
        _ => Box::new(ByClass::<f64>::new(problem, |design| match &design.plan.classes {
            Some(Grouped::Alone(classes)) => classes,
            _ => unreachable!("the plan has chosen otherwise"),
        })),
    }
}

impl<T: Number> Pls for ByClass<'_, T> {
    fn set_response(&mut self, response: &Response) {
        (self.classes)(&self.problem.design).fill_moments(&response.zy, &mut self.moments);
        self.xy.copy_from_slice(&response.xy);
        self.yy = response.yy;
        self.solved = false;
    }

    fn factorize(&mut self, lambda: &Lambda) -> Result<(), NotPositiveDefinite> {
        if self.factored && self.lambda == *lambda {
            return Ok(());
        }
        self.lambda.clone_from(lambda);
        (self.factored, self.solved) = (false, false);
        let Problem { design, workers, .. } = &self.problem;
        self.evaluation.factorize((self.classes)(design), &lambda[0], &design.xx, workers)?;
        self.factored = true;
        Ok(())
    }

    fn log_determinants(&mut self, _each: bool) -> Result<(f64, f64), NotPositiveDefinite> {
        Ok((self.evaluation.ld_l2, self.evaluation.ld_rx2))
    }

    fn solve(&mut self) -> f64 {
        if !self.solved {
            let classes = (self.classes)(&self.problem.design);
            self.evaluation.solve(classes, &self.moments, &self.xy, self.yy, self.problem.workers);
            self.solved = true;
        }
        self.evaluation.pwrss
    }

    fn beta(&self) -> &[f64] {
        &self.evaluation.beta
    }

    fn spherical_effects(&self, response: &Response) -> Vec<f64> {
        self.evaluation.spherical_effects((self.classes)(&self.problem.design), &self.lambda[0], &response.zy, self.problem.workers)
    }

    fn rx(&self) -> &[f64] {
        &self.evaluation.rx
    }

    fn degrees_of_freedom(&self) -> f64 {
        degrees_of_freedom(&self.problem.design, self.problem.reml)
    }

    fn derivatives_with(&mut self, nu: f64, frame: &Frame) -> Derivatives {
        let Problem { design, reml, workers } = &self.problem;
        let classes = (self.classes)(design);
        self.curvature.derivatives(design, classes, &self.evaluation, &self.lambda[0], nu, *reml, frame, workers)
    }

    fn has_exact_hessian(&self) -> bool {
        true
    }

    fn inverse_blocks(&mut self, visit: &mut dyn FnMut(usize, f64, &[f64])) {
        self.evaluation.for_each_inverse_block((self.classes)(&self.problem.design), |m, block| visit(0, m, block));
    }
}
