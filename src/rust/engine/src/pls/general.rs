//! Any design: blocks of levels, with a dense or sparse Schur complement, and the average information for the second derivatives.

use crate::curvature::average::average_information;
use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::curvature::traces::{inverse_diagonal_blocks, Curvature};
use crate::factor::blocks::{Factor, NotPositiveDefinite};
use crate::factor::solution::Solution;
use crate::linalg::scratch::Scratch;
use crate::model::lambda::Lambda;
use crate::plan::design::Design;
use crate::pls::several::{Factorisation, Setting};
use crate::products::response::Response;

/// The factorisation by blocks, and its curvature.
pub struct General {
    factor: Factor,
    curvature: Curvature,
    /// log |M| of the random effects alone, where a factor is absorbed, so that M has its effects too; once it has been asked for.
    random_log_determinant: Option<f64>,
}

/// What all factorisations of a design work in.
pub struct Work {
    scratch: Scratch,
    /// Where a factor is absorbed, the random effects' own system where it was last factored; made when it is needed.
    random: Option<RandomEffects>,
}

/// A factorisation of the random effects alone.
struct RandomEffects {
    factor: Factor,
    scratch: Scratch,
    curvature: Option<Curvature>,
    factored: bool,
}

impl Work {
    /// The random effects' own system at a Lambda of the whole one.
    fn random_effects(&mut self, setting: Setting, lambda: &Lambda) -> Result<&mut RandomEffects, NotPositiveDefinite> {
        let system = setting.design.random_effects();
        let allocate =
            || RandomEffects { factor: Factor::new(system), scratch: Scratch::new(&system.plan.layout), curvature: None, factored: false };
        let own = self.random.get_or_insert_with(allocate);
        let lambda = &lambda[setting.design.structure.random_groups()];
        if !own.factored || own.factor.lambda != lambda {
            own.factored = false;
            own.factor.factorize(system, &lambda.to_vec(), &mut own.scratch, setting.workers)?;
            own.factored = true;
        }
        Ok(own)
    }
}

impl RandomEffects {
    /// Traces of A Lambda M^-1 per group.
    fn traces(&mut self, setting: Setting) -> &[Vec<f64>] {
        let system = setting.design.random_effects();
        let curvature = self.curvature.get_or_insert_with(|| Curvature::new(system, true));
        curvature.compute(system, &self.factor, false, &mut self.scratch, setting.workers);
        &curvature.trace
    }
}

impl Factorisation for General {
    type Work = Work;
    const EXACT_HESSIAN: bool = false;

    fn new(design: &Design) -> Self {
        General { factor: Factor::new(design), curvature: Curvature::new(design, true), random_log_determinant: None }
    }

    fn work(design: &Design) -> Work {
        Work { scratch: Scratch::new(&design.plan.layout), random: None }
    }

    fn lambda(&self) -> &Lambda {
        &self.factor.lambda
    }

    fn factorize(&mut self, setting: Setting, lambda: &Lambda, work: &mut Work) -> Result<(), NotPositiveDefinite> {
        self.random_log_determinant = None;
        self.factor.factorize(setting.design, lambda, &mut work.scratch, setting.workers)
    }

    fn separate(&mut self, setting: Setting, work: &mut Work) -> Result<(), NotPositiveDefinite> {
        if setting.design.structure.fixed.is_some() && self.random_log_determinant.is_none() {
            self.random_log_determinant = Some(work.random_effects(setting, &self.factor.lambda)?.factor.ld_l2);
        }
        Ok(())
    }

    fn log_determinants(&self, each: bool) -> (f64, f64) {
        let (m, x) = (self.factor.ld_l2, self.factor.ld_rx2);
        self.random_log_determinant.filter(|_| each).map_or((m, x), |own| (own, m + x - own))
    }

    fn solve(&self, setting: Setting, response: &Response, solution: &mut Solution, work: &mut Work) {
        solution.solve(setting.design, response, &self.factor, &mut work.scratch, setting.workers);
    }

    fn rx(&self) -> &[f64] {
        &self.factor.rx
    }

    fn curve(&mut self, setting: Setting, work: &mut Work) {
        self.curvature.compute(setting.design, &self.factor, setting.reml, &mut work.scratch, setting.workers);
        // For maximum likelihood the traces are those of the random effects alone. Where their factor can't be made there is no criterion
        // either, and nobody asks for its derivatives.
        if setting.reml || setting.design.structure.fixed.is_none() {
            return;
        }
        if let Ok(own) = work.random_effects(setting, &self.factor.lambda) {
            self.curvature.trace[setting.design.structure.random_groups()].clone_from_slice(own.traces(setting));
        }
    }

    fn derivatives(&self, setting: Setting, solution: &Solution, nu: f64, frame: &Frame, work: &mut Work) -> Derivatives {
        let forward = |v: &mut [f64]| self.factor.forward(setting.design, v, 1, &mut work.scratch, setting.workers);
        average_information(setting.design, &self.factor, &self.curvature, solution, nu, frame, forward)
    }

    fn expected_information(&self, _setting: Setting) -> Option<Vec<f64>> {
        None
    }

    fn inverse_blocks(&self, setting: Setting, visit: &mut dyn FnMut(&[Vec<f64>])) {
        let curvature = &self.curvature;
        visit(&inverse_diagonal_blocks(setting.design, &self.factor, &curvature.rest_inverse, &curvature.coupled));
    }
}
