//! The criterion at one theta, for optimizers that know nothing else of the model.

use crate::factor::criterion::criterion_value;
use crate::parallel::Workers;
use crate::plan::design::DesignRef;
use crate::pls::{of_design, Pls};
use crate::products::response::Response;

/// The criterion of one response, with the memory that it is evaluated in.
pub struct Evaluator<'a> {
    design: DesignRef<'a>,
    scale: f64,
    pls: Box<dyn Pls + 'a>,
}

impl<'a> Evaluator<'a> {
    /// Allocates; the design may be borrowed or shared (an `Arc`).
    pub fn new(design: impl Into<DesignRef<'a>>, response: &Response) -> Self {
        let design = design.into();
        let mut pls = of_design(design.clone(), false, Workers::none());
        pls.set_response(response);
        Evaluator { design, scale: response.scale, pls }
    }

    /// Deviance or REML criterion at one theta; `f64::INFINITY` where it cannot be computed. Costs one factorisation.
    pub fn criterion(&mut self, theta: &[f64], reml: bool) -> f64 {
        self.value(theta, reml).unwrap_or(f64::INFINITY)
    }

    fn value(&mut self, theta: &[f64], reml: bool) -> Option<f64> {
        self.pls.factorize(&self.design.structure.lambda(theta)).ok()?;
        let pwrss = self.pls.solve();
        let (m, x) = self.pls.log_determinants(!reml).ok()?;
        Some(criterion_value(&self.design, m, x, pwrss, self.scale, reml))
    }
}
