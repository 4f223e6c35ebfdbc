//! The crate mixeff-rs: a formula over a data frame is its only way in.

use mixeff_rs::formula::{parse_formula, Formula};
use mixeff_rs::model::{DataFrame, FitOptions, LinearMixedModelBuilder};

use super::{Reached, Ready};
use crate::formula::named;
use crate::model::Model;

struct Frame {
    formula: Formula,
    frame: DataFrame,
    options: FitOptions,
}

impl Ready for Frame {
    fn fit(&self) -> Result<Reached, String> {
        let fitted =
            LinearMixedModelBuilder::new(self.formula.clone(), &self.frame).fit(self.options.clone()).map_err(|error| error.to_string())?;
        let evaluations = usize::try_from(fitted.optsum().feval).ok();
        Ok(Reached { criterion: fitted.objective_value(), evaluations })
    }
}

/// Its data frame, with the levels as strings.
pub fn prepare(model: Model) -> Result<Box<dyn Ready>, String> {
    let named = named(&model);
    let text = |error: mixeff_rs::error::MixedModelError| error.to_string();
    let mut frame = DataFrame::new();
    frame.add_numeric("y", model.y).map_err(text)?;
    for (name, values) in named.columns {
        frame.add_numeric(&name, values).map_err(text)?;
    }
    for (f, factor) in model.factors.iter().enumerate() {
        let labels = factor.codes.iter().map(|code| code.to_string()).collect();
        frame.add_categorical(&format!("f{f}"), labels).map_err(text)?;
    }
    let options = if model.reml { FitOptions::reml() } else { FitOptions::ml() };
    Ok(Box::new(Frame { formula: parse_formula(&named.formula).map_err(|error| error.to_string())?, frame, options }))
}
