//! The engines that are compared. Each first takes the data into the form that it wants (not timed), then fits (timed).

mod fastlmer;
mod glmm;
mod mixeff;

use crate::model::Model;

/// What a fit reached.
#[derive(Clone, Copy)]
pub struct Reached {
    /// Deviance or REML criterion, on lme4's scale.
    pub criterion: f64,
    /// Evaluations of the criterion, where the engine says so.
    pub evaluations: Option<usize>,
}

/// A model whose data are in memory as the engine wants them.
pub trait Ready {
    /// From the columns to the fitted model.
    fn fit(&self) -> Result<Reached, String>;
}

/// A way to get a model ready.
pub struct Engine {
    /// As it stands in the tables.
    pub name: &'static str,
    /// Takes over the data.
    pub prepare: fn(Model) -> Result<Box<dyn Ready>, String>,
}

/// Ours first.
pub const ENGINES: [Engine; 3] = [
    Engine { name: "fastlmer", prepare: fastlmer::prepare },
    Engine { name: "glmm", prepare: glmm::prepare },
    Engine { name: "mixeff-rs", prepare: mixeff::prepare },
];
