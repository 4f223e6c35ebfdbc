//! Memory that a factorisation works in.

use faer::dyn_stack::MemBuffer;
use faer::linalg::cholesky::llt;
use faer::Par;

use crate::linalg::blocked::{BLOCK, LARGE};
use crate::linalg::symmetric::RestLayout;

/// Memory that the factorisation works in.
pub struct Scratch {
    pub(crate) stack: MemBuffer,
    pub(crate) column: Vec<f64>,
    pub(crate) head: Vec<usize>,
    pub(crate) next: Vec<usize>,
    pub(crate) first: Vec<usize>,
    pub(crate) rows: Vec<f64>,
    /// Room for a block of a large inverse's columns.
    pub(crate) block: Vec<f64>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl Scratch {
    /// For solutions alone: the factorisation is there.
    pub fn for_solving() -> Self {
        Scratch {
            stack: MemBuffer::new(faer::dyn_stack::StackReq::EMPTY),
            column: Vec::new(),
            head: Vec::new(),
            next: Vec::new(),
            first: Vec::new(),
            rows: Vec::new(),
            block: Vec::new(),
        }
    }

    /// Allocates for a layout.
    pub fn new(layout: &RestLayout) -> Self {
        let n = layout.order;
        let dense = layout.is_dense();
        let stack = if dense && n <= LARGE {
            MemBuffer::new(faer::dyn_stack::StackReq::any_of(&[
                llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()),
                llt::inverse::inverse_scratch::<f64>(n, Par::Seq),
            ]))
        } else {
            MemBuffer::new(faer::dyn_stack::StackReq::EMPTY)
        };
        let m = if dense { 0 } else { n };
        Scratch {
            stack,
            column: vec![0.0; m],
            head: vec![usize::MAX; m],
            next: vec![usize::MAX; m],
            first: vec![0; m],
            rows: Vec::new(),
            block: vec![0.0; if n > LARGE && dense { n * BLOCK } else { 0 }],
        }
    }
}
