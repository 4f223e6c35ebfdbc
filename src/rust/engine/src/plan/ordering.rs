//! The ordering and storage of the Schur complement S of the leading group.
//!
//! Crossed factors fill S in, nested ones leave it sparse. Which of the two holds is read off the symbolic
//! analysis (approximate minimum degree ordering, elimination tree).

use crate::error::Error;
use crate::linalg::sparse::SparsePattern;
use crate::linalg::symmetric::{Pattern, RestLayout};
use crate::parallel::Workers;
use crate::products::cross::Products;

/// Below this order a dense factor is always used.
const DENSE_ORDER: usize = 48;
/// A sparse factor is used where it has less than this share of the dense factor's elements.
const SPARSE_SHARE: f64 = 0.25;

/// Largest order for which the pattern of S is found in a table of bits: 50 MB.
const MOST_BITS: usize = 20_000;
/// Elements of S that are put into lists, and sorted, in the time that one word of the table takes.
const PER_WORD: usize = 1;
/// Elements after which the user is asked whether to go on.
const ROUND: usize = 1 << 24;

/// Chooses between dense and sparse for cross-products.
pub fn ordering(products: &Products, workers: &Workers) -> Result<RestLayout, Error> {
    let order = products.rest();
    if order <= DENSE_ORDER {
        return Ok(RestLayout::dense(order));
    }
    let limit = (SPARSE_SHARE * 0.5 * order as f64 * order as f64) as usize;
    let columns = columns_below(products, limit, workers);
    if visited(products) > ROUND {
        workers.check()?; // what was given up is no pattern
    }
    Ok(match columns.and_then(|columns| SparsePattern::new(&columns, limit)) {
        Some(sparse) => RestLayout { order, pattern: Pattern::Sparse(sparse) },
        None => RestLayout::dense(order),
    })
}

/// Strictly lower pattern of S by column, or nothing when it has more elements than `limit`.
fn columns_below(products: &Products, limit: usize, workers: &Workers) -> Option<Vec<Vec<u32>>> {
    let order = products.rest();
    if order <= MOST_BITS && visited(products) > PER_WORD * order * order.div_ceil(64) {
        columns_by_bits(products, limit, workers)
    } else {
        columns_by_lists(products, limit, workers)
    }
}

/// For many visits: each marks a bit.
fn columns_by_bits(products: &Products, limit: usize, workers: &Workers) -> Option<Vec<Vec<u32>>> {
    let order = products.rest();
    let mut bits = Bits::new(order);
    let mut elements = 0;
    let finished = visit_columns(products, workers, |c, rows| {
        elements += rows.iter().filter(|&&r| bits.set(r as usize, c)).count();
        elements <= limit
    });
    finished.then(|| (0..order).map(|c| bits.column(c).collect()).collect())
}

/// For few visits beside the size of S: what each column is visited with, sorted.
fn columns_by_lists(products: &Products, limit: usize, workers: &Workers) -> Option<Vec<Vec<u32>>> {
    let mut columns: Vec<Vec<u32>> = vec![Vec::new(); products.rest()];
    let mut visited = 0;
    let finished = visit_columns(products, workers, |c, rows| {
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
    for column in &mut columns {
        column.sort_unstable();
        column.dedup();
    }
    (columns.iter().map(|c| c.len()).sum::<usize>() <= limit).then_some(columns)
}

/// Elements that [`visit_columns`] calls for, about.
fn visited(products: &Products) -> usize {
    let groups = &products.structure.groups;
    let effects = |group: u32| groups[group as usize].k;
    let leading = products.neighbour_ptr.windows(2).map(|ends| {
        let met: usize = products.neighbours[ends[0]..ends[1]].iter().map(|b| effects(b.group)).sum();
        met * met / 2
    });
    let others = products.rest_pairs.iter().map(|pair| effects(pair.row_group) * effects(pair.col_group));
    leading.sum::<usize>() + others.sum::<usize>()
}

/// Calls `visit(column, rows)` for elements of S below the diagonal, some of them more than once, until it or the user says that it's
/// enough. Whether none of them did.
fn visit_columns(products: &Products, workers: &Workers, mut visit: impl FnMut(usize, &[u32]) -> bool) -> bool {
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
    let mut round = 0;
    (0..groups[0].levels).all(|level| {
        rows.clear();
        for b in &products.neighbours[products.neighbour_ptr[level]..products.neighbour_ptr[level + 1]] {
            rows.extend((0..groups[b.group as usize].k as u32).map(|c| b.start + c));
        }
        round += rows.len() * rows.len() / 2;
        if round > ROUND {
            round = 0;
            if workers.interrupted() {
                return false;
            }
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

    /// Sets a bit that may have been set. Whether it was not.
    #[inline]
    fn set(&mut self, r: usize, c: usize) -> bool {
        let (word, bit) = (&mut self.words[c * self.height + r / 64], 1 << (r % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// The rows of a column that are set, ascending.
    fn column(&self, c: usize) -> impl Iterator<Item = u32> + '_ {
        let words = self.words[c * self.height..(c + 1) * self.height].iter().enumerate();
        words
            .filter(|(_, word)| **word != 0)
            .flat_map(|(i, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| i as u32 * 64 + bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rows::{Rows, Term};

    /// Two crossed factors, of which each level of the first meets `met` levels of the second.
    fn crossed(levels: usize, others: usize, met: usize) -> Products {
        let n = levels * met;
        let first: Vec<i32> = (0..n).map(|i| (i / met) as i32 + 1).collect();
        let second: Vec<i32> = (0..n).map(|i| ((i / met * 7 + i % met * (1 + i / met % 3)) % others) as i32 + 1).collect();
        let x = vec![1.0; n];
        let term = |factor| Term { factor, z: None, k: 1 };
        let (terms, codes) = (vec![term(0), term(1)], vec![&first[..], &second[..]]);
        let rows = Rows { n, x: &x, p: 1, codes, levels: vec![levels, others], terms, weights: None, absorbed: None };
        Products::of_rows(&rows, Workers::none()).unwrap()
    }

    #[test]
    fn bits_and_lists_find_the_same_pattern() {
        let none = Workers::none();
        for (levels, others, met) in [(400, 150, 3), (300, 200, 12), (90, 64, 2)] {
            let products = crossed(levels, others, met);
            let order = products.rest();
            let all = columns_by_bits(&products, order * order, none).unwrap();
            let elements: usize = all.iter().map(|c| c.len()).sum();
            assert!(elements > 0);
            assert_eq!(columns_by_lists(&products, order * order, none), Some(all.clone()));
            for limit in [elements - 1, elements] {
                let found = (limit == elements).then_some(&all);
                assert_eq!(columns_by_bits(&products, limit, none).as_ref(), found);
                assert_eq!(columns_by_lists(&products, limit, none).as_ref(), found);
                assert_eq!(columns_below(&products, limit, none).as_ref(), found);
            }
        }
    }
}
