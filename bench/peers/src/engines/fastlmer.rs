//! fastlmer's engine.

use fastlmer_engine::{fit, Design, Options, Rows, Term, Workers};

use super::{Reached, Ready};
use crate::model::Model;

impl Ready for Model {
    fn fit(&self) -> Result<Reached, String> {
        let rows = rows(self);
        let workers = Workers::for_rows(threads(), rows.n);
        let design = Design::on_threads(&rows, &workers).map_err(|error| format!("{error:?}"))?;
        let options = Options { reml: self.reml, workers: &workers, ..Options::default() };
        let fitted = fit(&design, &rows, &self.y, &options).map_err(|error| format!("{error:?}"))?;
        Ok(Reached { criterion: fitted.criterion, evaluations: Some(fitted.evaluations) })
    }
}

/// Threads for fastlmer, from the environment variable FASTLMER_THREADS; the peers have one.
fn threads() -> usize {
    std::env::var("FASTLMER_THREADS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The engine borrows the columns as they are.
pub fn prepare(mut model: Model) -> Result<Box<dyn Ready>, String> {
    // A column of ones needs no memory.
    for term in model.terms.iter_mut().filter(|term| term.k == 1 && term.z.iter().all(|&z| z == 1.0)) {
        term.z = Vec::new();
    }
    Ok(Box::new(model))
}

fn rows(model: &Model) -> Rows<'_> {
    Rows {
        n: model.n,
        x: &model.x,
        p: model.p,
        codes: model.factors.iter().map(|factor| factor.codes.as_slice()).collect(),
        levels: model.factors.iter().map(|factor| factor.levels).collect(),
        terms: model.terms.iter().map(|term| Term { factor: term.factor, z: (!term.z.is_empty()).then_some(&term.z), k: term.k }).collect(),
        weights: None,
        absorbed: None,
    }
}
