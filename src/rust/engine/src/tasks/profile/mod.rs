//! Profiles of the deviance: how well a model fits where one of its parameters is held, all others being at their best.
//!
//! Each parameter is walked along in both directions from the maximum likelihood estimate ([`walk`]); each walk is a task for one thread. A
//! parameter of the covariances is held as one of the coordinates ([`covariance`]), a fixed effect by an offset ([`fixed`]). Nothing
//! depends on the number of rows.

pub mod covariance;
pub mod fixed;
pub mod parameters;
pub mod targets;
pub mod walk;

use crate::error::Error;
use crate::model::lambda::Lambda;
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::plan::memory::workers_that_fit;
use crate::products::response::Response;
use crate::progress;
use crate::tasks::fit::{fit_response, Options};
use crate::tasks::profile::covariance::CovariancePath;
use crate::tasks::profile::fixed::{contrast_of, FixedPath};
use crate::tasks::profile::parameters::{Parameters, Scale};
use crate::tasks::profile::targets::{targets, Target};
use crate::tasks::profile::walk::{Stop, Walk};

/// What is asked of profiles.
pub struct ProfileOptions<'a> {
    /// Which parameters: elements of theta in its order, sigma, then the fixed effects.
    pub which: &'a [usize],
    /// On which scale those of the covariances are.
    pub scale: Scale,
    /// A walk ends where the absolute zeta is above this.
    pub cutoff: f64,
    /// How far apart points may be in zeta.
    pub delta: f64,
    /// Values of zeta at which there is to be a point.
    pub zetas: &'a [f64],
    /// Most points on each side.
    pub most_points: usize,
    /// Most that a step may exceed the last one by.
    pub multiple: f64,
    /// Most evaluations of one descent.
    pub most_evaluations: usize,
    /// Where the search for the maximum likelihood estimates starts, if not where it likes.
    pub start: Option<&'a [f64]>,
    /// The threads.
    pub workers: &'a Workers,
}

/// A point of a profile.
#[derive(Clone, Debug)]
pub struct ProfilePoint {
    /// Signed root of what the deviance is above that of the optimum.
    pub zeta: f64,
    /// All parameters.
    pub parameters: Vec<f64>,
}

/// The points of one parameter's profile, by its value.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Which parameter.
    pub parameter: usize,
    /// The points.
    pub points: Vec<ProfilePoint>,
}

/// Profiles of some parameters.
#[derive(Clone, Debug)]
pub struct Profiles {
    /// Deviance of the maximum likelihood estimates.
    pub deviance: f64,
    /// These estimates.
    pub optimum: Vec<f64>,
    /// The profiles.
    pub profiles: Vec<Profile>,
    /// Most by which a deviance on a profile is below that of the optimum.
    pub below: f64,
}

/// What all walks of a model share.
pub struct Setting<'a> {
    /// The design.
    pub design: &'a Design,
    /// The response.
    pub response: &'a Response,
    /// The model's parameters.
    pub parameters: Parameters<'a>,
    /// Lambda of the optimum.
    pub lambda: Lambda,
    /// Sigma there, and its logarithm in the unit of the engine's response.
    pub sigma: f64,
    /// See there.
    pub tau: f64,
    /// Standard errors of the fixed effects.
    pub errors: Vec<f64>,
    /// Most evaluations of one descent.
    pub most_evaluations: usize,
    /// A question that is never answered yes.
    pub never: &'a dyn Fn() -> bool,
}

/// Profiles of a model by maximum likelihood: for each parameter some twenty points, each of which is a search from the last one.
///
/// # Errors
/// [`Error::Invalid`] where the response is fitted exactly, a factor is absorbed or a parameter isn't there, [`Error::Interrupted`] where
/// the user stopped.
pub fn profile(design: &Design, response: &Response, options: &ProfileOptions) -> Result<Profiles, Error> {
    if response.is_exact() {
        return Err("the fixed effects fit the response exactly, so that there is no likelihood to profile".into());
    }
    let workers = options.workers;
    let interrupted = || workers.interrupted();
    let request = Options {
        reml: false,
        start: options.start.map(<[f64]>::to_vec),
        max_evaluations: options.most_evaluations,
        interrupted: &interrupted,
        ..Options::default()
    };
    let fit = fit_response(design, response, None, &request)?;
    let parameters = Parameters::new(&design.structure, options.scale);
    let optimum = parameters.values(&fit.theta, fit.sigma, &fit.beta);
    if options.which.iter().any(|&index| index >= optimum.len()) {
        return Err("a profile is asked for a parameter that the model doesn't have".into());
    }
    let p = design.p;
    let setting = Shared {
        design,
        response,
        scale: options.scale,
        theta: fit.theta,
        sigma: fit.sigma,
        deviance: fit.criterion,
        errors: (0..p).map(|j| fit.sigma * fit.unscaled_covariance[j * p + j].sqrt()).collect(),
        targets: targets(options.zetas, options.cutoff, options.delta),
        optimum,
    };
    let workers = &workers.limited(workers_that_fit(design.factor_bytes(), 0, workers.threads()).0);
    let jobs = options.which.iter().flat_map(|&index| [(index, 1.0), (index, -1.0)]);
    progress::begin(2 * options.which.len() * setting.targets.len());
    let sides = workers.map(jobs, |(index, direction)| {
        let alone = workers.alone();
        setting.side(index, direction, options, &alone)
    });
    let mut sides = sides.into_iter();
    let (mut profiles, mut below) = (Vec::new(), 0.0_f64);
    for &index in options.which {
        let (up, down) = (sides.next().expect("two a parameter")?, sides.next().expect("two a parameter")?);
        below = up.iter().chain(&down).fold(below, |most, stop| most.max(stop.below));
        profiles.push(setting.joined(index, up, down));
    }
    Ok(Profiles { deviance: setting.deviance, optimum: setting.optimum, profiles, below })
}

/// What the threads share.
struct Shared<'a> {
    design: &'a Design,
    response: &'a Response,
    scale: Scale,
    theta: Vec<f64>,
    sigma: f64,
    deviance: f64,
    errors: Vec<f64>,
    targets: Vec<Target>,
    optimum: Vec<f64>,
}

impl Shared<'_> {
    /// One side of a parameter's profile.
    fn side(&self, index: usize, direction: f64, options: &ProfileOptions, workers: &Workers) -> Result<Vec<Stop>, Error> {
        let setting = Setting {
            design: self.design,
            response: self.response,
            parameters: Parameters::new(&self.design.structure, self.scale),
            lambda: self.design.structure.lambda(&self.theta),
            sigma: self.sigma,
            tau: (self.sigma / self.response.scale).ln(),
            errors: self.errors.clone(),
            most_evaluations: options.most_evaluations,
            never: &|| workers.gives_up(),
        };
        let fixed = index.checked_sub(setting.parameters.of_covariances());
        let (low, high) = if fixed.is_some() { (f64::NEG_INFINITY, f64::INFINITY) } else { setting.parameters.bounds(index) };
        let from = if fixed.is_some() { self.optimum[index] } else { setting.parameters.to_walk(index, self.optimum[index]) };
        let mut walk = Walk {
            from,
            base: self.deviance,
            rate: 0.0,
            reach: 0.0,
            direction,
            bound: if direction > 0.0 { high } else { low },
            targets: &self.targets,
            cutoff: options.cutoff,
            delta: options.delta,
            most: options.most_points,
            multiple: options.multiple,
        };
        if from == walk.bound {
            return Ok(Vec::new());
        }
        let mut stops = match fixed {
            None => {
                let Some(mut path) = CovariancePath::new(&setting, index, workers) else { return Ok(Vec::new()) };
                (walk.rate, walk.reach) = (path.rate(from), path.reach());
                walk.run(&mut path)?
            }
            Some(column) => {
                let contrast = contrast_of(self.design, column);
                let (reduced, held) = self.design.holding(&contrast)?;
                (walk.rate, walk.reach) = (1.0 / setting.errors[column], setting.errors[column]);
                let mut path = FixedPath::new(&setting, &reduced, &held, &contrast, workers);
                walk.run(&mut path)?
            }
        };
        if workers.was_interrupted() {
            return Err(Error::Interrupted);
        }
        for stop in &mut stops {
            // it is where it is held
            stop.parameters[index] = if fixed.is_some() { stop.c } else { setting.parameters.of_walk(index, stop.c) };
        }
        Ok(stops)
    }

    /// Both sides with the optimum between them.
    fn joined(&self, parameter: usize, up: Vec<Stop>, down: Vec<Stop>) -> Profile {
        let point = |stop: Stop| ProfilePoint { zeta: stop.zeta, parameters: stop.parameters };
        let optimum = ProfilePoint { zeta: 0.0, parameters: self.optimum.clone() };
        let points = down.into_iter().rev().map(point).chain([optimum]).chain(up.into_iter().map(point)).collect();
        Profile { parameter, points }
    }
}
