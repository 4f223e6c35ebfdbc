//! How a search leaves the ridges beside a variance that has nearly vanished.
//!
//! Where a diagonal a of Lambda is nearly zero but the elements below it are not, these elements and the diagonals c of their rows matter
//! almost only by their sums of squares. That is a ridge, along which Newton's steps promise little and lead far. A descent may end on it
//! with a small variance although the optimum is at the ridge's end, where the covariance is singular because c, not a, is zero.

use crate::optimise::criterion::Criterion;
use crate::optimise::descent::near_zero;
use crate::optimise::trust_region::{minimise, Descent, Outcome};
use crate::tolerances::{ALONG_RIDGE, FLOOR, RIDGE};

/// Tries the ends of a point's ridges and moves to one that is no higher.
pub fn leave_ridges(criterion: &mut Criterion, best: &mut Descent, limit: usize) {
    criterion.known = None;
    let entries = &criterion.design.structure.entries;
    for a in near_zero(criterion, &best.point.x, RIDGE) {
        let own = entries[a];
        let beside = |i: &usize| (entries[*i].group, entries[*i].col) == (own.group, own.col) && entries[*i].row != own.row;
        if best.point.x[a].abs() <= FLOOR {
            continue; // the same covariance is at the ridge's other end
        }
        for below in (0..entries.len()).filter(beside) {
            let Some(trial) = turned(criterion, &best.point.x, a, below) else { continue };
            best.evaluations += 1;
            let highest = best.point.value + ALONG_RIDGE;
            if !criterion.value(&trial).is_some_and(|value| value < highest) {
                continue;
            }
            let Some(other) = minimise(criterion, trial, limit) else { continue };
            best.evaluations += other.evaluations;
            if other.outcome == Outcome::Converged && other.point.value <= best.point.value {
                best.point = other.point;
            }
        }
    }
}

/// A point whose columns of Lambda, that of the diagonal `a` and that of the row of `below`, an element below it, are turned so that the
/// diagonal of that row vanishes; but for what that puts above the diagonal, which is as small as a, the covariance is the same. `None`
/// where there is nothing to turn.
fn turned(criterion: &Criterion, x: &[f64], a: usize, below: usize) -> Option<Vec<f64>> {
    let entries = &criterion.design.structure.entries;
    let (group, col, other) = (entries[a].group, entries[a].col, entries[below].row);
    let find = |row: usize, col: usize| entries.iter().position(|e| (e.group, e.row, e.col) == (group, row, col));
    let (b, c) = (x[below], x[find(other, other)?]);
    if b == 0.0 || c == 0.0 {
        return None;
    }
    let (cos, sin) = (b / b.hypot(c), c / b.hypot(c));
    let mut out = x.to_vec();
    out[a] = cos * x[a];
    for (i, e) in entries.iter().enumerate().filter(|(_, e)| (e.group, e.col) == (group, other)) {
        let beside = find(e.row, col)?;
        out[beside] = cos * x[beside] + sin * x[i];
        out[i] = if e.row == other { 0.0 } else { cos * x[i] - sin * x[beside] };
    }
    Some(out)
}
