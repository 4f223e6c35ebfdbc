//! The ordering and storage of the Schur complement S of the leading group.
//!
//! Crossed factors fill S in, nested ones leave it sparse. Which of the two holds is read off the symbolic
//! analysis (approximate minimum degree ordering, elimination tree).

use crate::linalg::sparse::SparsePattern;
use crate::linalg::symmetric::{Pattern, RestLayout};
use crate::products::cross::Products;

/// Below this order a dense factor is always used.
const DENSE_ORDER: usize = 48;
/// A sparse factor is used where it has less than this share of the dense factor's elements.
const SPARSE_SHARE: f64 = 0.25;

/// Largest order for which the pattern of S is found in a table of bits.
const MOST_BITS: usize = 20_000;

/// Chooses between dense and sparse for cross-products.
pub fn ordering(products: &Products) -> RestLayout {
    let order = products.rest();
    if order <= DENSE_ORDER {
        return RestLayout::dense(order);
    }
    let limit = (SPARSE_SHARE * 0.5 * order as f64 * order as f64) as usize;
    match columns_below(products, limit).and_then(|columns| SparsePattern::new(&columns, limit)) {
        Some(sparse) => RestLayout { order, pattern: Pattern::Sparse(sparse) },
        None => RestLayout::dense(order),
    }
}

/// Strictly lower pattern of S by column, or nothing when it has more elements than `limit`.
fn columns_below(products: &Products, limit: usize) -> Option<Vec<Vec<u32>>> {
    let order = products.rest();
    let columns = if order <= MOST_BITS {
        let mut bits = Bits::new(order);
        visit_columns(products, |c, rows| {
            rows.iter().for_each(|&r| bits.set(r as usize, c));
            true
        });
        (0..order).map(|c| bits.column(c).collect()).collect()
    } else {
        let mut columns: Vec<Vec<u32>> = vec![Vec::new(); order];
        let mut visited = 0;
        let finished = visit_columns(products, |c, rows| {
            let column = &mut columns[c];
            column.extend_from_slice(rows);
            if column.len() > 4 * rows.len() + 256 && column.len().is_power_of_two() {
                column.sort_unstable();
                column.dedup();
            }
            visited += rows.len();
            visited <= 64 * limit + 1_000_000
        });
        if !finished {
            return None;
        }
        columns.iter_mut().for_each(|column| {
            column.sort_unstable();
            column.dedup();
        });
        columns
    };
    (columns.iter().map(|c| c.len()).sum::<usize>() <= limit).then_some(columns)
}

/// Calls `visit(column, rows)` for elements of S below the diagonal, some of them more than once, until it says false.
/// Whether it never did.
fn visit_columns(products: &Products, mut visit: impl FnMut(usize, &[u32]) -> bool) -> bool {
    let groups = &products.structure.groups;
    let rest_offset = groups[0].effects();
    let mut rows: Vec<u32> = Vec::new();
    for group in &groups[1..] {
        for start in (group.offset - rest_offset..group.offset - rest_offset + group.effects()).step_by(group.k) {
            rows.clear();
            rows.extend((0..group.k).map(|c| (start + c) as u32));
            if !(0..group.k).all(|c| visit(start + c, &rows[c + 1..])) {
                return false;
            }
        }
    }
    for pair in &products.rest_pairs {
        rows.clear();
        rows.extend((0..groups[pair.row_group as usize].k as u32).map(|r| pair.row + r));
        if !(0..groups[pair.col_group as usize].k).all(|c| visit(pair.col as usize + c, &rows)) {
            return false;
        }
    }
    (0..groups[0].levels).all(|level| {
        rows.clear();
        for b in &products.neighbours[products.neighbour_ptr[level]..products.neighbour_ptr[level + 1]] {
            rows.extend((0..groups[b.group as usize].k as u32).map(|c| b.start + c));
        }
        rows.iter().enumerate().all(|(i, &c)| visit(c as usize, &rows[i + 1..]))
    })
}

/// A square table of bits.
struct Bits {
    words: Vec<u64>,
    /// Words of a column.
    height: usize,
}

impl Bits {
    fn new(n: usize) -> Self {
        let height = n.div_ceil(64);
        Bits { words: vec![0; height * n], height }
    }

    #[inline]
    fn set(&mut self, r: usize, c: usize) {
        self.words[c * self.height + r / 64] |= 1 << (r % 64);
    }

    /// The rows of a column that are set, ascending.
    fn column(&self, c: usize) -> impl Iterator<Item = u32> + '_ {
        let words = &self.words[c * self.height..(c + 1) * self.height];
        words.iter().enumerate().flat_map(|(i, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| i as u32 * 64 + bit))
    }
}
