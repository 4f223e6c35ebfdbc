//! The crate glmm, through its formula: it then chooses the layout of nested and crossed factors itself.

use glmm::formula::{lower, Column, Lowered, Table};
use glmm::{Family, FitOptions};

use super::{Reached, Ready};
use crate::formula::named;
use crate::model::Model;

struct Matrices {
    lowered: Lowered,
    options: FitOptions,
}

impl Ready for Matrices {
    fn fit(&self) -> Result<Reached, String> {
        let fitted = glmm::fit(&self.lowered.data(), self.lowered.spec(), &self.options).map_err(|error| error.to_string())?;
        let criterion = -2.0 * fitted.loglik();
        if !criterion.is_finite() {
            return Err("no finite criterion".into());
        }
        Ok(Reached { criterion, evaluations: Some(fitted.n_eval()) })
    }
}

/// Its matrices, and an estimate without what the other engines don't compute.
pub fn prepare(model: Model) -> Result<Box<dyn Ready>, String> {
    let mut options = FitOptions::default();
    options.reml = Some(model.reml);
    options.satterthwaite = false;
    let named = named(&model);
    let mut columns = vec![("y".to_string(), Column::Numeric(model.y))];
    columns.extend(named.columns.into_iter().map(|(name, values)| (name, Column::Numeric(values))));
    for (f, factor) in model.factors.into_iter().enumerate() {
        let levels = (1..=factor.levels).map(|level| level.to_string()).collect();
        let codes = factor.codes.iter().map(|&code| code as u32 - 1).collect();
        columns.push((format!("f{f}"), Column::Factor { levels, codes }));
    }
    let table = Table { columns, n: model.n };
    let lowered = lower(&named.formula, &table, Family::Gaussian).map_err(|error| error.to_string())?;
    Ok(Box::new(Matrices { lowered, options }))
}
