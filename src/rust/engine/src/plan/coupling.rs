//! The dense way for models of few effects: whether it is worth it, and the parts of Z'WZ that it works with.

use crate::linalg::symmetric::RestLayout;
use crate::plan::adjacency::Adjacency;
use crate::products::cross::Products;

/// Most random effects for which a q x q matrix is formed.
const MOST_EFFECTS: usize = 2000;
/// Operations that are worth an exact Hessian whatever the sparse evaluation would cost.
const CHEAP: f64 = 3e5;
/// An exact Hessian saves evaluations, so one of them may cost so many times more.
const WORTH: f64 = 4.0;

/// The parts of Z'WZ as dense matrices.
#[derive(Clone, Debug)]
pub struct Coupling {
    /// Between the leading group and the rest, q1 x r.
    pub(crate) lead_rest: Vec<f64>,
    /// Of the rest, r x r, lower triangle.
    pub(crate) rest: Vec<f64>,
}

impl Coupling {
    /// Whether a model of several factors is so small that nothing needs to be compared.
    pub fn is_cheap(products: &Products) -> bool {
        products.structure.groups.len() > 1 && operations(products) < CHEAP
    }

    /// The dense parts where a model is small enough for them to be the quicker way.
    pub fn new(products: &Products, layout: &RestLayout, adjacency: &Adjacency) -> Option<Self> {
        if products.structure.groups.len() < 2 || !is_worth_it(products, layout, adjacency) {
            return None;
        }
        Some(Self::of_products(products))
    }

    /// The dense parts, whatever the way.
    pub(crate) fn of_products(products: &Products) -> Self {
        let (q1, r) = (products.structure.groups[0].effects(), products.rest());
        let k = products.structure.groups[0].k;
        let mut out = Coupling { lead_rest: vec![0.0; q1 * r], rest: vec![0.0; r * r] };
        for level in 0..products.structure.groups[0].levels {
            for b in products.neighbour_ptr[level]..products.neighbour_ptr[level + 1] {
                for (c, column) in products.neighbour_block(b).chunks_exact(k).enumerate() {
                    let at = (products.neighbours[b].start as usize + c) * q1 + level * k;
                    out.lead_rest[at..at + k].copy_from_slice(column);
                }
            }
        }
        for (g, group) in products.structure.groups.iter().enumerate().skip(1) {
            let k = group.k;
            for (level, block) in products.diagonal[g].chunks_exact(k * k).enumerate() {
                let start = group.offset - q1 + level * k;
                for (c, column) in block.chunks_exact(k).enumerate() {
                    out.rest[(start + c) * r + start..(start + c) * r + start + k].copy_from_slice(column);
                }
            }
        }
        for pair in &products.rest_pairs {
            let rows = products.structure.groups[pair.row_group as usize].k;
            for (c, column) in products.rest_pair_block(pair).chunks_exact(rows).enumerate() {
                let at = (pair.col as usize + c) * r + pair.row as usize;
                out.rest[at..at + rows].copy_from_slice(column);
            }
        }
        out
    }
}

/// Operations of an evaluation here.
fn operations(products: &Products) -> f64 {
    let (q, r, q1) = (products.structure.q as f64, products.rest() as f64, products.structure.groups[0].effects() as f64);
    q1 * q1 * r / 2.0 + q1 * r * r + r.powi(3) / 2.0 + 4.0 * q * q
}

/// Compares them with those of an evaluation in [`crate::factor::blocks`].
fn is_worth_it(products: &Products, layout: &RestLayout, adjacency: &Adjacency) -> bool {
    if products.structure.q > MOST_EFFECTS {
        return false;
    }
    let (k, r) = (products.structure.groups[0].k as f64, products.rest() as f64);
    let columns = adjacency.ptr.windows(2).map(|w| (w[1] - w[0]) as f64);
    let (pairs, met) = columns.fold((0.0, 0.0), |(pairs, met), s| (pairs + s * s / 2.0, met + s));
    let elements = layout.len() as f64;
    let factorisation = if layout.is_dense() { r.powi(3) / 2.0 } else { elements };
    let there = 8.0 * pairs * k + factorisation + products.structure.entries.len() as f64 * (met * k + elements);
    operations(products) < CHEAP.max(WORTH * there)
}
