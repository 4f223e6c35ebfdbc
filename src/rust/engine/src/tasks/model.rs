//! A model, which holds its rows and its design together, and what can be asked of it.

use crate::error::Error;
use crate::linalg::blocks::nth;
use crate::linalg::small::axpy;
use crate::model::rows::Rows;
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::tasks::batch::{refit, BatchOptions, Replicate, Responses};
use crate::tasks::fit::{fit, Fit, Options};
use crate::tasks::simulate::Simulator;

/// A linear mixed model without its response: borrowed rows, and the design that they were reduced to.
///
/// What is worked out once, the cross-products and the plan of their factorisation, is shared by all fits, refits and simulations.
pub struct Model<'a> {
    rows: Rows<'a>,
    design: Design,
}

impl<'a> Model<'a> {
    /// Reduces the rows to cross-products, in time proportional to their number, and plans the factorisation.
    ///
    /// # Errors
    /// [`Error::Invalid`] where lengths or codes don't fit together or X is rank deficient, [`Error::TooLarge`] where a factor would not
    /// fit in memory.
    pub fn new(rows: Rows<'a>) -> Result<Self, Error> {
        Self::on_threads(rows, Workers::none())
    }

    /// The same on several threads, bit for bit.
    pub fn on_threads(rows: Rows<'a>, workers: &Workers) -> Result<Self, Error> {
        let design = Design::on_threads(&rows, workers)?;
        Ok(Model { rows, design })
    }

    /// The cross-products and their plan.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// Fits a response of one value a row. One evaluation costs the factorisation of the random effects' system, and nothing that grows
    /// with the rows; there are some ten of them.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where the response isn't, [`Error::Interrupted`] where the options' question was answered yes.
    pub fn fit(&self, y: &[f64], options: &Options) -> Result<Fit, Error> {
        fit(&self.design, &self.rows, y, options)
    }

    /// Refits the model to many responses, each on its own: an element is `None` where its response can't be fitted.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the options' question was answered yes.
    pub fn refit(&self, responses: &Responses, options: &BatchOptions) -> Result<Vec<Option<Replicate>>, Error> {
        refit(&self.design, &self.rows, responses, options)
    }

    /// The fixed part X beta of the mean, in the units of the response, one value a row; `beta` are the coefficients of all fixed effects.
    pub fn fixed_part(&self, beta: &[f64]) -> Vec<f64> {
        let n = self.rows.n;
        let mut mean = vec![0.0; n];
        let columns: Vec<usize> = match self.rows.absorbed {
            None => (0..self.rows.p).collect(),
            Some(absorbed) => {
                let levels = self.rows.levels[absorbed.factor];
                (0..n).for_each(|i| mean[i] = absorbed.columns(self.rows.level(absorbed.factor, i)).map(|c| beta[c]).sum());
                absorbed.other_columns(levels, beta.len())
            }
        };
        columns.iter().enumerate().for_each(|(j, &c)| axpy(beta[c], nth(self.rows.x, j, n), &mut mean));
        mean
    }

    /// Responses drawn from a fit, `count` columns of one value a row: `mean` (say, of [`Model::fixed_part`]) plus random effects and
    /// errors. A draw depends on the seed and its number alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the mean has another length.
    pub fn simulate(&self, fit: &Fit, mean: &[f64], seed: u64, count: usize) -> Result<Vec<f64>, Error> {
        let simulator = Simulator::new(&self.design, &self.rows, mean, fit.sigma, Some(&fit.theta))?;
        let (mut out, mut normals) = (vec![0.0; self.rows.n * count], Vec::new());
        for (index, y) in (0..).zip(out.chunks_exact_mut(self.rows.n.max(1))) {
            simulator.drawn(seed, index, &mut normals, y);
        }
        Ok(out)
    }
}
