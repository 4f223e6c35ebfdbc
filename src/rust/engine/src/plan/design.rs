//! A design: its cross-products, and the plan of how they are factored.

use std::ops::Deref;
use std::sync::Arc;

use crate::error::Error;
use crate::linalg::symmetric::RestLayout;
use crate::model::rows::Rows;
use crate::parallel::Workers;
use crate::plan::adjacency::Adjacency;
use crate::plan::classes::Grouped;
use crate::plan::coupling::Coupling;
use crate::plan::memory::{bytes, check};
use crate::plan::ordering::ordering;
use crate::products::accumulate::CrossProducts;
use crate::products::contrast::HeldContrast;
use crate::products::cross::Products;
use crate::products::response::Response;
use crate::products::stream::{of_chunks, Model};

/// What is chosen once for given cross-products.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Pattern of the Schur complement of the leading group.
    pub layout: RestLayout,
    /// Effects of the other groups that each leading level meets.
    pub adjacency: Adjacency,
    /// With one grouping factor and not too many fixed effects, its classes of equal levels.
    pub classes: Option<Grouped>,
    /// With several grouping factors of few effects, what couples them as dense matrices.
    pub coupling: Option<Coupling>,
}

impl Plan {
    /// Chooses, and refuses a factor that would not fit in memory. Of effects without a prior only the general way knows.
    pub fn new(products: &Products, workers: &Workers) -> Result<Self, Error> {
        if products.absorbed.is_some() {
            return Self::general(products, ordering(products, workers)?, workers);
        }
        let layout = if Coupling::is_cheap(products) { RestLayout::dense(products.rest()) } else { ordering(products, workers)? };
        let mut plan = Self::general(products, layout, workers)?;
        workers.check()?;
        plan.classes = Grouped::of(products);
        plan.coupling = Coupling::new(products, &plan.layout, &plan.adjacency);
        Ok(plan)
    }

    /// That for the general way alone.
    fn general(products: &Products, layout: RestLayout, workers: &Workers) -> Result<Self, Error> {
        check(&layout)?;
        let adjacency = Adjacency::new(products, &layout, workers)?;
        Ok(Plan { layout, adjacency, classes: None, coupling: None })
    }
}

/// What is factored: cross-products with their plan. The products' fields and methods are the system's own.
#[derive(Clone, Debug)]
pub struct System {
    products: Products,
    /// What is chosen for them.
    pub plan: Plan,
}

impl Deref for System {
    type Target = Products;

    fn deref(&self) -> &Products {
        &self.products
    }
}

impl System {
    fn new(products: Products, workers: &Workers) -> Result<Self, Error> {
        let plan = Plan::new(&products, workers)?;
        Ok(System { products, plan })
    }

    /// What one factorisation takes in bytes, with its inverse, a solution and what derivatives need.
    fn factor_bytes(&self) -> u64 {
        let (q, p, lead) = (self.structure.q as u64, self.p as u64, &self.structure.groups[0]);
        let own = if self.plan.coupling.is_some() {
            let (q1, r) = (lead.effects() as u64, self.rest() as u64);
            8 * (q * q + 4 * q1 * r + 4 * r * r)
        } else if self.plan.classes.is_some() {
            0 // no more than the system, which is there
        } else {
            let columns = 16 * self.plan.adjacency.columns.len() + 8 * lead.effects();
            bytes(&self.plan.layout) + columns as u64 * lead.k as u64 + 16 * q * self.structure.entries.len() as u64
        };
        own + 24 * q * p + 32 * q
    }
}

/// A model without its response: one system of all effects. An absorbed factor is one of its groups, whose effects have no prior; what
/// needs the random effects alone then finds a second system of the blocks that are theirs.
#[derive(Clone, Debug)]
pub struct Design {
    whole: System,
    random: Option<System>,
}

impl Deref for Design {
    type Target = System;

    fn deref(&self) -> &System {
        &self.whole
    }
}

impl Design {
    /// Passes over the rows (see [`Products::of_rows`]) and plans the factorisation. Fails on bad lengths, a rank-deficient X, or
    /// a factor that would not fit in memory.
    pub fn new(rows: &Rows) -> Result<Self, Error> {
        Self::on_threads(rows, Workers::none())
    }

    /// The same on several threads, bit for bit.
    pub fn on_threads(rows: &Rows, workers: &Workers) -> Result<Self, Error> {
        Self::of_products(Products::of_rows(rows, workers)?, workers)
    }

    /// Plans the factorisation of products.
    pub(crate) fn of_products(products: Products, workers: &Workers) -> Result<Self, Error> {
        let random = match products.of_random_effects() {
            None => None,
            Some(alone) => {
                let plan = Plan::general(&alone, ordering(&alone, workers)?, workers)?;
                Some(System { products: alone, plan })
            }
        };
        Ok(Design { whole: System::new(products, workers)?, random })
    }

    /// The same by the general way, for tests that compare the two.
    #[doc(hidden)]
    pub fn without_coupling(mut self) -> Self {
        self.whole.plan.coupling = None;
        self
    }

    /// The system of the random effects, without fixed effects where a factor is absorbed.
    pub fn random_effects(&self) -> &System {
        self.random.as_ref().unwrap_or(&self.whole)
    }

    /// What one factorisation takes in bytes, with its inverse and what derivatives need.
    pub fn factor_bytes(&self) -> u64 {
        self.whole.factor_bytes() + self.random.as_ref().map_or(0, System::factor_bytes)
    }

    /// The design of other products with the same levels and pairs of levels, by the same plan; of one without an absorbed factor.
    pub(crate) fn with_products(&self, products: Products) -> Self {
        let old = &self.whole.plan;
        let plan = Plan {
            layout: old.layout.clone(),
            adjacency: old.adjacency.clone(),
            classes: Grouped::of(&products),
            coupling: old.coupling.as_ref().map(|_| Coupling::of_products(&products)),
        };
        Design { whole: System { products, plan }, random: None }
    }

    /// The design with a combination of the fixed effects held, see [`Products::holding`].
    pub fn holding(&self, contrast: &[f64]) -> Result<(Self, HeldContrast), Error> {
        let (products, held) = self.whole.products.holding(contrast)?;
        Ok((self.with_products(products), held))
    }
}

/// A design that is borrowed, or kept together with others who use it.
#[derive(Clone)]
pub enum DesignRef<'a> {
    /// Somebody else's.
    Borrowed(&'a Design),
    /// Everybody's.
    Shared(Arc<Design>),
}

impl Deref for DesignRef<'_> {
    type Target = Design;

    fn deref(&self) -> &Design {
        match self {
            DesignRef::Borrowed(design) => design,
            DesignRef::Shared(design) => design,
        }
    }
}

impl<'a> From<&'a Design> for DesignRef<'a> {
    fn from(design: &'a Design) -> Self {
        DesignRef::Borrowed(design)
    }
}

impl From<Arc<Design>> for DesignRef<'_> {
    fn from(design: Arc<Design>) -> Self {
        DesignRef::Shared(design)
    }
}

/// The design and the response of a model whose rows came in chunks, in time proportional to their levels. Uses the sums up.
///
/// # Errors
/// [`Error::Invalid`] of no rows, of terms or levels that aren't there, and of a rank-deficient X; [`Error::TooLarge`],
/// [`Error::Interrupted`].
pub fn finish(products: CrossProducts, model: &Model, workers: &Workers) -> Result<(Design, Response), Error> {
    let (products, response) = of_chunks(products, model, workers)?;
    Ok((Design::of_products(products, workers)?, response))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::model::rows::Term;

    thread_local! {
        static LEFT: Cell<usize> = const { Cell::new(0) };
    }

    /// Yes to the question that `LEFT` counts down to.
    fn countdown() -> bool {
        LEFT.set(LEFT.get().wrapping_sub(1));
        LEFT.get() == 0
    }

    /// Levels of the leading factor that meet a stretch of another one each, so that the Schur complement is sparse and takes long to plan.
    fn banded(levels: usize, met: usize) -> Products {
        let n = levels * met;
        let own: Vec<i32> = (0..n).map(|i| (i / met) as i32 + 1).collect();
        let other: Vec<i32> = (0..n).map(|i| (i / met + i % met) as i32 / 2 + 1).collect();
        let terms = vec![Term { factor: 0, z: None, k: 1 }, Term { factor: 1, z: None, k: 1 }];
        let sizes = vec![levels, (levels + met) / 2];
        let rows = Rows { n, x: &vec![1.0; n], p: 1, codes: vec![&own, &other], levels: sizes, terms, weights: None, absorbed: None };
        Products::of_rows(&rows, Workers::none()).unwrap()
    }

    #[test]
    fn the_plan_of_a_large_design_can_be_interrupted_in_every_phase() {
        let products = banded(4000, 190);
        let planned = |question: usize| {
            LEFT.set(question);
            Plan::new(&products, &Workers::new(1).stopped_by(countdown)).map(|plan| plan.layout.is_dense())
        };
        assert_eq!(planned(0), Ok(false)); // nobody says yes
        let questions = usize::MAX - LEFT.get() + 1;
        assert!(questions >= 4, "{questions}"); // within the pattern's search and after it, for the places in it, and between the phases
        for question in 1..=questions {
            assert_eq!(planned(question), Err(Error::Interrupted), "question {question} of {questions}");
        }
    }
}
