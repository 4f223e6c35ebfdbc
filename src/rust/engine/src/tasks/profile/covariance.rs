//! Profiles of the covariances' parameters and of sigma.

use crate::error::Error;
use crate::model::coordinates::Coordinates;
use crate::model::lambda::Lambda;
use crate::optimise::held::HeldDeviance;
use crate::optimise::trust_region::{Descent, Objective, Outcome};
use crate::parallel::Workers;
use crate::tasks::profile::parameters::Parameters;
use crate::tasks::profile::walk::{Path, Visit};
use crate::tasks::profile::Setting;

/// A parameter of the covariances as a path.
pub struct CovariancePath<'a> {
    setting: &'a Setting<'a>,
    deviance: HeldDeviance<'a>,
    /// Free coordinates of the last point and how they move with the held one, which is there too.
    last: At,
    /// The same of the optimum.
    optimum: At,
}

#[derive(Clone, Debug)]
struct At {
    held: f64,
    free: Vec<f64>,
    tangent: Option<Vec<f64>>,
}

impl<'a> CovariancePath<'a> {
    /// From the optimum; `None` where nothing can be computed there.
    pub fn new(setting: &'a Setting<'a>, index: usize, workers: &'a Workers) -> Option<Self> {
        let parameter = setting.parameters.held(index);
        let coordinates = Coordinates::new(&setting.design.structure, parameter, setting.response.scale);
        let mut free = coordinates.of(&setting.lambda, setting.tau);
        let mut deviance = HeldDeviance::new(setting.design, setting.response, coordinates, workers);
        let held = free.remove(deviance.coordinates.held);
        deviance.held = held;
        deviance.evaluate(free.clone())?;
        let optimum = At { held, free, tangent: deviance.tangent() };
        Some(CovariancePath { setting, deviance, last: optimum.clone(), optimum })
    }

    /// The parameter at the optimum, and the rate at which zeta grows with it there: the root of half the profile's curvature.
    pub fn rate(&self, c: f64) -> f64 {
        let rate = (0.5 * self.deviance.curvature()).max(0.0).sqrt() * self.deviance.coordinates.rate(c).abs();
        if rate.is_finite() {
            rate
        } else {
            0.0
        }
    }

    /// A step along the parameter that is neither short nor long.
    pub fn reach(&self) -> f64 {
        0.1 * self.deviance.coordinates.natural_size(self.deviance.sizes(), self.setting.sigma)
    }

    fn descend(&mut self, held: f64, from: &At, moved: bool) -> Option<Descent> {
        self.deviance.held = held;
        let mut start = from.free.clone();
        if let (true, Some(tangent)) = (moved, &from.tangent) {
            start.iter_mut().zip(tangent).for_each(|(x, t)| *x += t * (held - from.held));
        }
        self.deviance.descend(start, self.setting.most_evaluations)
    }

    /// The lower end of descents: along the path, else from where it was, else from the optimum.
    fn optimise(&mut self, held: f64) -> Option<Descent> {
        let (last, optimum) = (self.last.clone(), self.optimum.clone());
        let good = |found: &Option<Descent>| found.as_ref().is_some_and(|f| f.outcome.is_end() || f.outcome == Outcome::Interrupted);
        let mut best = self.descend(held, &last, true);
        for from in [&last, &optimum] {
            if good(&best) {
                break;
            }
            let other = self.descend(held, from, false);
            let lower = |a: &Option<Descent>, b: &Option<Descent>| match (a, b) {
                (Some(a), Some(b)) => a.point.value < b.point.value,
                (a, _) => a.is_some(),
            };
            if good(&other) || lower(&other, &best) {
                best = other;
            }
        }
        let best = best?;
        self.deviance.return_to(&best.point)?;
        Some(best)
    }
}

impl Path for CovariancePath<'_> {
    fn visit(&mut self, c: f64) -> Result<Option<Visit>, Error> {
        let held = self.deviance.coordinates.coordinate(c);
        let Some(found) = self.optimise(held) else { return Ok(None) };
        if found.outcome == Outcome::Interrupted {
            return Err(Error::Interrupted);
        }
        let slope = self.deviance.gradient[self.deviance.coordinates.held] * self.deviance.coordinates.rate(c);
        let (lambda, tau) = self.deviance.lambda(&found.point.x);
        let sigma = self.setting.response.scale * tau.exp();
        let beta = self.setting.caller_beta(self.deviance.solved_beta());
        let parameters = values(&self.setting.parameters, &lambda, sigma, &beta, self.setting);
        self.last = At { held, free: found.point.x, tangent: self.deviance.tangent() };
        Ok(Some(Visit { deviance: found.point.value, slope, parameters }))
    }
}

/// All parameters at an engine's Lambda.
pub fn values(parameters: &Parameters, lambda: &Lambda, sigma: f64, beta: &[f64], setting: &Setting) -> Vec<f64> {
    parameters.values(&setting.design.structure.theta(lambda), sigma, beta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pls::tests::with_crossed;
    use crate::tasks::fit::{fit_response, Options};
    use crate::tasks::profile::parameters::Scale;

    #[test]
    fn the_least_deviance_is_the_criterion_where_what_is_held_is_free() {
        with_crossed(true, |design, response| {
            let options = Options { reml: false, ..Options::default() };
            let fit = fit_response(design, response, None, &options).unwrap();
            for index in 0..5 {
                let parameter = Parameters::new(&design.structure, Scale::Deviations).held(index);
                let coordinates = Coordinates::new(&design.structure, parameter, response.scale);
                let mut deviance = HeldDeviance::new(design, response, coordinates, Workers::none());
                let mut free = deviance.coordinates.of(&design.structure.lambda(&fit.theta), (fit.sigma / response.scale).ln());
                deviance.held = free.remove(deviance.coordinates.held);
                let found = deviance.descend(free, 100).unwrap();
                assert!((found.point.value - fit.criterion).abs() < 1e-7, "{parameter:?}: {} {}", found.point.value, fit.criterion);
            }
        });
    }
}
