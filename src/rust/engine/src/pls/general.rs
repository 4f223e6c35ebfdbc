//! Any design: blocks of levels, with a dense or sparse Schur complement, and the average information for the second derivatives.

use crate::curvature::average::average_information;
use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::curvature::traces::{inverse_diagonal_blocks, Curvature};
use crate::factor::blocks::{Factor, NotPositiveDefinite};
use crate::factor::solution::Solution;
use crate::model::lambda::Lambda;
use crate::parallel::Workers;
use crate::plan::design::{Design, System};
use crate::pls::several::{Factorisation, Setting};
use crate::products::response::Response;

/// The factorisation by blocks, and its curvature.
pub struct General {
    factor: Factor,
    curvature: Curvature,
    /// Where a factor is absorbed, so that M has its effects too, what belongs to the random effects alone; made when it is needed.
    random: Option<RandomEffects>,
}

/// The random effects' own system, where it was last factored.
struct RandomEffects {
    factor: Factor,
    curvature: Option<Curvature>,
    /// Whether the factor belongs to the present Lambda.
    factored: bool,
}

impl RandomEffects {
    fn factorize(&mut self, design: &Design, lambda: &Lambda, workers: &Workers) -> Result<(), NotPositiveDefinite> {
        if !self.factored {
            let own = lambda[design.structure.random_groups()].to_vec();
            self.factor.factorize(design.random_effects(), &own, workers)?;
            self.factored = true;
        }
        Ok(())
    }

    /// Traces of A Lambda M^-1 per group.
    fn traces(&mut self, system: &System, workers: &Workers) -> &[Vec<f64>] {
        let curvature = self.curvature.get_or_insert_with(|| Curvature::new(system, true));
        curvature.compute(system, &mut self.factor, false, workers);
        &curvature.trace
    }
}

impl General {
    /// The random effects' own factorisation, where it isn't the whole one.
    fn random_effects(&mut self, design: &Design, workers: &Workers) -> Result<Option<&mut RandomEffects>, NotPositiveDefinite> {
        if design.structure.fixed.is_none() {
            return Ok(None);
        }
        let allocate = || RandomEffects { factor: Factor::new(design.random_effects()), curvature: None, factored: false };
        let own = self.random.get_or_insert_with(allocate);
        own.factorize(design, &self.factor.lambda, workers)?;
        Ok(Some(own))
    }
}

impl Factorisation for General {
    type Work = ();
    const EXACT_HESSIAN: bool = false;

    fn new(design: &Design) -> Self {
        General { factor: Factor::new(design), curvature: Curvature::new(design, true), random: None }
    }

    fn work(_design: &Design) {}

    fn lambda(&self) -> &Lambda {
        &self.factor.lambda
    }

    fn factorize(&mut self, setting: Setting, lambda: &Lambda, _work: &mut ()) -> Result<(), NotPositiveDefinite> {
        if let Some(own) = &mut self.random {
            own.factored = false;
        }
        self.factor.factorize(setting.design, lambda, setting.workers)
    }

    fn log_determinants(&mut self, setting: Setting, each: bool) -> Result<(f64, f64), NotPositiveDefinite> {
        let (m, x) = (self.factor.ld_l2, self.factor.ld_rx2);
        if !each {
            return Ok((m, x));
        }
        let own = self.random_effects(setting.design, setting.workers)?;
        Ok(own.map_or((m, x), |own| (own.factor.ld_l2, m + x - own.factor.ld_l2)))
    }

    fn solve(&mut self, setting: Setting, response: &Response, solution: &mut Solution) {
        solution.solve(setting.design, response, &mut self.factor, setting.workers);
    }

    fn rx(&self) -> &[f64] {
        &self.factor.rx
    }

    fn curve(&mut self, setting: Setting, _work: &mut ()) {
        let (design, workers) = (setting.design, setting.workers);
        self.curvature.compute(design, &mut self.factor, setting.reml, workers);
        // For maximum likelihood the traces are those of the random effects alone. Where their factor can't be made there is no criterion
        // either, and nobody asks for its derivatives.
        if setting.reml {
            return;
        }
        if let Ok(Some(own)) = self.random_effects(design, workers) {
            let traces = own.traces(design.random_effects(), workers).to_vec();
            self.curvature.trace[design.structure.random_groups()].clone_from_slice(&traces);
        }
    }

    fn derivatives(&mut self, setting: Setting, solution: &Solution, nu: f64, frame: &Frame) -> Derivatives {
        average_information(setting.design, &mut self.factor, &self.curvature, solution, nu, frame, setting.workers)
    }

    fn expected_information(&self, _setting: Setting) -> Option<Vec<f64>> {
        None
    }

    fn inverse_blocks(&self, setting: Setting, visit: &mut dyn FnMut(&[Vec<f64>])) {
        let curvature = &self.curvature;
        visit(&inverse_diagonal_blocks(setting.design, &self.factor, &curvature.rest_inverse, &curvature.coupled));
    }
}
