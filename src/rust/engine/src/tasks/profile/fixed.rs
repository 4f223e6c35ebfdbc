//! Profiles of the fixed effects: models with one column less and an offset, by cross-products.

use crate::error::Error;
use crate::linalg::small::{axpy, dot};
use crate::model::lambda::{free_elements, lambda_of};
use crate::optimise::criterion::Criterion;
use crate::optimise::descent::descend;
use crate::optimise::trust_region::Outcome;
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::products::contrast::HeldContrast;
use crate::products::response::Response;
use crate::tasks::profile::covariance::values;
use crate::tasks::profile::walk::{Path, Visit};
use crate::tasks::profile::Setting;

/// A fixed effect as a path.
pub struct FixedPath<'a> {
    setting: &'a Setting<'a>,
    held: &'a HeldContrast,
    /// The least-squares estimate of the effect.
    centre: f64,
    criterion: Criterion<'a>,
    response: Response,
    /// The last points: the effect, and the free elements of Lambda.
    last: Vec<(f64, Vec<f64>)>,
}

/// The fixed effect of a column of the caller's as a contrast of the engine's coefficients.
pub fn contrast_of(design: &Design, column: usize) -> Vec<f64> {
    let p = design.p;
    let unit = |j: usize| {
        let mut beta = vec![0.0; p];
        beta[j] = 1.0;
        design.transform.to_caller(&mut beta);
        beta[column]
    };
    (0..p).map(unit).collect()
}

impl<'a> FixedPath<'a> {
    /// `reduced` and `held` are what holding `contrast` leaves.
    pub fn new(setting: &'a Setting<'a>, reduced: &'a Design, held: &'a HeldContrast, contrast: &[f64], workers: &'a Workers) -> Self {
        let criterion = Criterion::new(reduced, false, workers, setting.never);
        let optimum = free_elements(&reduced.structure, &setting.lambda);
        FixedPath {
            setting,
            held,
            centre: dot(contrast, &setting.response.beta0),
            criterion,
            response: setting.response.clone(),
            last: vec![(f64::NAN, optimum)],
        }
    }

    /// Where to start from: on the line through the last two points.
    fn start(&self, c: f64) -> Vec<f64> {
        match &self.last[..] {
            [.., (a, from), (b, to)] if a.is_finite() && a != b => {
                let share = ((c - b) / (b - a)).clamp(-2.0, 2.0);
                to.iter().zip(from).map(|(to, from)| to + share * (to - from)).collect()
            }
            [.., (_, to)] => to.clone(),
            [] => unreachable!("the optimum is there"),
        }
    }
}

impl Path for FixedPath<'_> {
    fn visit(&mut self, c: f64) -> Result<Option<Visit>, Error> {
        let structure = &self.setting.design.structure;
        let t = (c - self.centre) / self.setting.response.scale;
        self.held.respond(self.setting.response, t, &mut self.response);
        self.criterion.set_response(&self.response);
        let start = self.start(c);
        let Some(found) = descend(&mut self.criterion, start, self.setting.most_evaluations) else { return Ok(None) };
        if found.outcome == Outcome::Interrupted || self.criterion.was_interrupted() {
            return Err(Error::Interrupted);
        }
        let lambda = lambda_of(structure, &found.point.x);
        let Some(solved) = self.criterion.solution(&lambda, &self.response, true) else { return Ok(None) };
        let (_, b) = solved.effects.as_ref().expect("they were asked for");
        let n = self.setting.design.n as f64;
        let slope = n / solved.pwrss * self.held.slope(t, b) / self.setting.response.scale;
        let sigma = (solved.pwrss / n).sqrt() * self.setting.response.scale;
        let beta = self.setting.caller_beta(&self.held.coefficients(&solved.beta, t));
        let parameters = values(&self.setting.parameters, &lambda, sigma, &beta, self.setting);
        self.last.push((c, found.point.x));
        if self.last.len() > 2 {
            self.last.remove(0);
        }
        Ok(Some(Visit { deviance: solved.value, slope, parameters }))
    }
}

impl Setting<'_> {
    /// Fixed effects of the caller's columns from coefficients of the engine's X and response.
    pub fn caller_beta(&self, beta: &[f64]) -> Vec<f64> {
        let mut own = self.response.beta0.clone();
        axpy(self.response.scale, beta, &mut own);
        self.design.transform.coefficients(None, own, Vec::new())
    }
}
