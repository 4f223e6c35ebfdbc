//! The parts into which rows are cut for the threads.

use std::ops::Range;

use crate::linalg::small::axpy;
use crate::parallel::{ranges, Workers};

/// Rows that are gathered before they are added to X'WX.
pub(crate) const CHUNK: usize = 512;

/// Blocks of rows whose sums are formed one by one and then added: cut by the number of rows alone.
pub fn row_blocks(n: usize) -> impl Iterator<Item = Range<usize>> {
    ranges(n, 16 * CHUNK, 16)
}

/// Adds rows in parts to two vectors of sums per level, `add(range, first, second)`: the first part to these themselves, each
/// other one to vectors of its own, which are then added in order. The parts are as many as the rows are worth, whatever
/// the number of threads.
pub fn sum_parts(
    workers: &Workers,
    n: usize,
    effects: usize,
    first: &mut [f64],
    second: &mut [f64],
    add: impl Fn(Range<usize>, &mut [f64], &mut [f64]) + Sync + Send,
) {
    let most = n / (4 * effects).max(1);
    let mut parts = ranges(n, 16 * CHUNK, most.clamp(1, 8));
    let begin = parts.next().expect("one part at least");
    let rest: Vec<Range<usize>> = parts.collect();
    let mut others: Vec<(Vec<f64>, Vec<f64>)> = rest.iter().map(|_| (vec![0.0; first.len()], vec![0.0; second.len()])).collect();
    let own = std::iter::once((begin, &mut *first, &mut *second));
    let items = own.chain(rest.into_iter().zip(&mut others).map(|(range, (a, b))| (range, &mut a[..], &mut b[..])));
    workers.for_each(items, |(range, a, b)| add(range, a, b));
    for (a, b) in &others {
        axpy(1.0, a, first);
        axpy(1.0, b, second);
    }
}
