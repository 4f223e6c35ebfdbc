//! Several grouping factors: what is the same whichever way they are factored.

use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::blocks::NotPositiveDefinite;
use crate::factor::criterion::degrees_of_freedom;
use crate::factor::solution::Solution;
use crate::model::lambda::Lambda;
use crate::parallel::Workers;
use crate::plan::design::{Design, DesignRef};
use crate::pls::kept::{AtLambda, Kept, Pinned};
use crate::pls::Pls;
use crate::products::response::Response;

/// What a problem is about, whatever Lambda and response.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The design.
    pub design: &'a Design,
    /// REML instead of maximum likelihood.
    pub reml: bool,
    /// The threads that large models are computed on.
    pub workers: &'a Workers,
}

/// The same, with the design held for as long as the problem is there.
pub struct Problem<'a> {
    /// The design.
    pub design: DesignRef<'a>,
    /// REML instead of maximum likelihood.
    pub reml: bool,
    /// The threads that large models are computed on.
    pub workers: &'a Workers,
}

impl Problem<'_> {
    fn setting(&self) -> Setting<'_> {
        Setting { design: &self.design, reml: self.reml, workers: self.workers }
    }
}

/// A way to factor: what belongs to one Lambda, and the verbs that work on it. Once it has been factored, separated and curved it is only
/// read, so that others may share it.
pub trait Factorisation: Send + Sync + 'static {
    /// Memory that all factorisations of a design work in.
    type Work;
    /// Whether the second derivatives are exact.
    const EXACT_HESSIAN: bool;

    /// Allocates for a design.
    fn new(design: &Design) -> Self;
    /// Allocates the memory to work in.
    fn work(design: &Design) -> Self::Work;
    /// The Lambda that was last factored at.
    fn lambda(&self) -> &Lambda;
    /// Factors at a Lambda.
    fn factorize(&mut self, setting: Setting, lambda: &Lambda, work: &mut Self::Work) -> Result<(), NotPositiveDefinite>;
    /// Computes what each of the log determinants needs, unless that is done.
    fn separate(&mut self, _setting: Setting, _work: &mut Self::Work) -> Result<(), NotPositiveDefinite> {
        Ok(())
    }
    /// See [`Pls::log_determinants`]; each of them after [`Factorisation::separate`].
    fn log_determinants(&self, each: bool) -> (f64, f64);
    /// Solves for a response.
    fn solve(&self, setting: Setting, response: &Response, solution: &mut Solution, work: &mut Self::Work);
    /// See [`Pls::rx`].
    fn rx(&self) -> &[f64];
    /// Computes what derivatives need of the factorisation alone; the following come after it.
    fn curve(&mut self, setting: Setting, work: &mut Self::Work);
    /// See [`Pls::derivatives_with`].
    fn derivatives(&self, setting: Setting, solution: &Solution, nu: f64, frame: &Frame, work: &mut Self::Work) -> Derivatives;
    /// See [`Pls::expected_information`].
    fn expected_information(&self, setting: Setting) -> Option<Vec<f64>>;
    /// Diagonal blocks of M^-1 per group, handed to `visit`.
    fn inverse_blocks(&self, setting: Setting, visit: &mut dyn FnMut(&[Vec<f64>]));
}

/// A factorisation, and how far it has been computed.
struct At<F> {
    factored: bool,
    curved: bool,
    own: F,
}

impl<F: Factorisation> At<F> {
    fn new(design: &Design) -> Self {
        At { factored: false, curved: false, own: F::new(design) }
    }
}

impl<F: Factorisation> AtLambda for At<F> {
    fn lambda(&self) -> Option<&Lambda> {
        self.factored.then(|| self.own.lambda())
    }
}

/// The problem of a design with several grouping factors.
pub struct Several<'a, F: Factorisation> {
    problem: Problem<'a>,
    factors: Kept<At<F>>,
    work: F::Work,
    solution: Solution,
    response: Response,
}

impl<'a, F: Factorisation> Several<'a, F> {
    /// Allocates.
    pub fn new(problem: Problem<'a>) -> Self {
        let design = &*problem.design;
        Several {
            factors: Kept::new(At::new(design)),
            work: F::work(design),
            solution: Solution::new(design),
            response: Response::empty(design),
            problem,
        }
    }

    /// Computes what derivatives need of the present factorisation, unless that is done.
    fn curve(&mut self) {
        if let Some(at) = self.factors.moving().filter(|at| !at.curved) {
            at.own.curve(self.problem.setting(), &mut self.work);
            at.curved = true;
        }
    }
}

impl<F: Factorisation> Pls for Several<'_, F> {
    fn set_response(&mut self, response: &Response) {
        self.response.clone_from(response);
    }

    fn factorize(&mut self, lambda: &Lambda) -> Result<(), NotPositiveDefinite> {
        if self.factors.find(lambda) {
            return Ok(());
        }
        if let Some(at) = self.factors.moving() {
            (at.factored, at.curved) = (false, false);
            at.own.factorize(self.problem.setting(), lambda, &mut self.work)?;
            at.factored = true;
        }
        Ok(())
    }

    fn log_determinants(&mut self, each: bool) -> Result<(f64, f64), NotPositiveDefinite> {
        if let Some(at) = self.factors.moving().filter(|_| each) {
            at.own.separate(self.problem.setting(), &mut self.work)?;
        }
        Ok(self.factors.now().own.log_determinants(each))
    }

    fn solve(&mut self) -> f64 {
        self.factors.now().own.solve(self.problem.setting(), &self.response, &mut self.solution, &mut self.work);
        self.solution.pwrss
    }

    fn beta(&self) -> &[f64] {
        &self.solution.beta
    }

    fn spherical_effects(&self, _response: &Response) -> Vec<f64> {
        self.solution.u.clone()
    }

    fn rx(&self) -> &[f64] {
        self.factors.now().own.rx()
    }

    fn degrees_of_freedom(&self) -> f64 {
        degrees_of_freedom(&self.problem.design, self.problem.reml)
    }

    fn derivatives_with(&mut self, nu: f64, frame: &Frame) -> Derivatives {
        self.curve();
        self.factors.now().own.derivatives(self.problem.setting(), &self.solution, nu, frame, &mut self.work)
    }

    fn has_exact_hessian(&self) -> bool {
        F::EXACT_HESSIAN
    }

    fn expected_information(&mut self) -> Option<Vec<f64>> {
        self.curve();
        self.factors.now().own.expected_information(self.problem.setting())
    }

    fn inverse_blocks(&mut self, visit: &mut dyn FnMut(usize, f64, &[f64])) {
        self.curve();
        let setting = self.problem.setting();
        self.factors.now().own.inverse_blocks(setting, &mut |blocks| {
            for (g, (group, blocks)) in setting.design.structure.groups.iter().zip(blocks).enumerate() {
                blocks.chunks_exact(group.k * group.k).for_each(|block| visit(g, 1.0, block));
            }
        });
    }

    fn pin(&mut self, lambda: &Lambda) -> Option<Pinned> {
        self.factorize(lambda).ok()?;
        self.log_determinants(true).ok()?;
        self.curve();
        Some(self.factors.pin(|| At::new(&self.problem.design)))
    }

    fn share(&mut self, pinned: &Pinned) {
        self.factors.share(pinned);
    }
}
