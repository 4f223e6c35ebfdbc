//! A design: its cross-products, and the plan of how they are factored.

use std::ops::Deref;

use crate::error::Error;
use crate::linalg::symmetric::RestLayout;
use crate::model::rows::Rows;
use crate::parallel::Workers;
use crate::plan::adjacency::Adjacency;
use crate::plan::classes::Classes;
use crate::plan::coupling::Coupling;
use crate::plan::memory::{bytes, check};
use crate::plan::ordering::ordering;
use crate::products::accumulate::CrossProducts;
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
    pub classes: Option<Classes>,
    /// With several grouping factors of few effects, what couples them as dense matrices.
    pub coupling: Option<Coupling>,
}

impl Plan {
    /// Chooses, and refuses a factor that would not fit in memory.
    pub fn new(products: &Products) -> Result<Self, Error> {
        let absorbed = products.absorbed.is_some();
        let layout = if !absorbed && Coupling::is_cheap(products) { RestLayout::dense(products.rest()) } else { ordering(products) };
        check(&layout)?;
        let adjacency = Adjacency::new(products, &layout);
        let classes = Classes::of(products);
        let coupling = if absorbed { None } else { Coupling::new(products, &layout, &adjacency) };
        Ok(Plan { layout, adjacency, classes, coupling })
    }
}

/// Cross-products with their plan. The products' fields and methods are the design's own.
#[derive(Clone, Debug)]
pub struct Design {
    products: Products,
    /// What is chosen for them.
    pub plan: Plan,
    /// With an absorbed factor the design of the random effects alone, without fixed effects.
    pub random: Option<Box<Design>>,
}

impl Deref for Design {
    type Target = Products;

    fn deref(&self) -> &Products {
        &self.products
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
        let mut design = Self::of_products(Products::of_rows(rows, workers)?)?;
        if rows.absorbed.is_some() {
            design.random = Some(Box::new(Self::on_threads(&Rows { x: &[], p: 0, absorbed: None, ..rows.clone() }, workers)?));
        }
        Ok(design)
    }

    /// What one factorisation takes in bytes, with its inverse and what derivatives need.
    pub fn factor_bytes(&self) -> u64 {
        let (q, p) = (self.structure.q as u64, self.p as u64);
        let own = if self.plan.coupling.is_some() {
            let (q1, r) = (self.structure.groups[0].effects() as u64, self.rest() as u64);
            8 * (q * q + 4 * q1 * r + 4 * r * r)
        } else if self.plan.classes.is_some() {
            0 // no more than the design, which is there
        } else {
            bytes(&self.plan.layout) + 16 * self.plan.adjacency.columns.len() as u64 * self.structure.groups[0].k as u64
        };
        own + 24 * q * p + self.random.as_deref().map_or(0, Design::factor_bytes)
    }

    fn of_products(products: Products) -> Result<Self, Error> {
        let plan = Plan::new(&products)?;
        Ok(Design { products, plan, random: None })
    }
}

/// The design and the response of a model whose rows came in chunks. Uses the sums up.
pub fn finish(products: CrossProducts, model: &Model) -> Result<(Design, Response), Error> {
    let (products, response) = of_chunks(products, model)?;
    Ok((Design::of_products(products)?, response))
}
