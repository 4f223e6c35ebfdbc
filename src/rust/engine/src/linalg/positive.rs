//! Cholesky factor and inverse of a positive definite matrix of some ten to some hundred rows (Golub and Van Loan, Matrix Computations,
//! 4th edition, section 4.2): by loops of our own over four columns at a time where these are quicker, else by faer.

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::cholesky::llt;
use faer::{MatMut, MatRef, Par};

use crate::linalg::blocks::nth;
use crate::linalg::lanes::{wide, Work};
use crate::linalg::small::mirror;

/// Largest order for which the loops are quicker.
const MOST_OWN: usize = 80;

/// Memory that both work in.
pub struct Room {
    stack: MemBuffer,
    rows: Vec<f64>,
}

impl Room {
    /// For matrices of order n.
    pub fn new(n: usize) -> Self {
        if n <= MOST_OWN {
            return Room { stack: MemBuffer::new(StackReq::EMPTY), rows: vec![0.0; n * n] };
        }
        let factor = llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
        let stack = MemBuffer::new(StackReq::any_of(&[factor, llt::inverse::inverse_scratch::<f64>(n, Par::Seq)]));
        Room { stack, rows: Vec::new() }
    }
}

/// Overwrites the lower triangle by that of L with A = L L'; false where A isn't positive definite.
pub fn factor(a: &mut [f64], n: usize, room: &mut Room) -> bool {
    if n <= MOST_OWN {
        return wide(Factor { a, n });
    }
    let a = MatMut::from_column_major_slice_mut(a, n, n);
    llt::factor::cholesky_in_place(a, Default::default(), Par::Seq, MemStack::new(&mut room.stack), Default::default()).is_ok()
}

/// (L L')^-1, both triangles.
pub fn invert(l: &[f64], n: usize, out: &mut [f64], room: &mut Room) {
    if n <= MOST_OWN {
        wide(Invert { l, n, rows: &mut room.rows, out });
    } else {
        let l = MatRef::from_column_major_slice(l, n, n);
        llt::inverse::inverse(MatMut::from_column_major_slice_mut(out, n, n), l, Par::Seq, MemStack::new(&mut room.stack));
    }
    mirror(out, n);
}

struct Factor<'a> {
    a: &'a mut [f64],
    n: usize,
}

impl Work for Factor<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let n = self.n;
        for c in 0..n {
            let (before, column) = self.a.split_at_mut(c * n);
            let column = &mut column[c..n];
            for first in (0..c).step_by(4) {
                let below = |s: usize| &before[(first + s) * n + c..(first + s + 1) * n];
                if first + 4 <= c {
                    let columns = [below(0), below(1), below(2), below(3)];
                    add_four(column, columns.map(|column| -column[0]), columns);
                } else {
                    for s in 0..c - first {
                        add(column, -below(s)[0], below(s));
                    }
                }
            }
            let pivot = column[0];
            if !(pivot > 0.0 && pivot < f64::INFINITY) {
                return false;
            }
            let unit = 1.0 / pivot.sqrt();
            for v in column.iter_mut() {
                *v *= unit;
            }
        }
        true
    }
}

struct Invert<'a> {
    l: &'a [f64],
    n: usize,
    rows: &'a mut [f64],
    out: &'a mut [f64],
}

impl Work for Invert<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (l, n, w, out) = (self.l, self.n, self.rows, self.out);
        rows_of_inverse(l, n, w);
        // the lower triangle of W'W
        out.fill(0.0);
        for first in (0..n).step_by(4) {
            let end = (first + 4).min(n);
            for c in 0..end {
                let row = |s: usize| &w[(first + s) * n + c..(first + s) * n + end];
                let column = &mut out[c * n + c..c * n + end];
                if first + 4 <= n {
                    let rows = [row(0), row(1), row(2), row(3)];
                    add_four(column, rows.map(|row| row[0]), rows);
                } else {
                    for s in 0..end - first {
                        add(column, row(s)[0], row(s));
                    }
                }
            }
        }
    }
}

/// W = L^-1, row by row, with zeros above its diagonal.
#[inline(always)]
fn rows_of_inverse(l: &[f64], n: usize, w: &mut [f64]) {
    w.fill(0.0);
    for s in 0..n {
        let (before, row) = w.split_at_mut(s * n);
        let unit = 1.0 / l[s * n + s];
        for first in (0..s).step_by(4) {
            let end = (first + 4).min(s);
            let weight = |t: usize| -l[(first + t) * n + s] * unit;
            let above = |t: usize| &nth(before, first + t, n)[..end];
            if first + 4 <= s {
                add_four(&mut row[..end], [weight(0), weight(1), weight(2), weight(3)], [above(0), above(1), above(2), above(3)]);
            } else {
                for t in 0..end - first {
                    add(&mut row[..end], weight(t), above(t));
                }
            }
        }
        row[s] = unit;
    }
}

/// out += weight x.
#[inline(always)]
fn add(out: &mut [f64], weight: f64, x: &[f64]) {
    for (v, x) in out.iter_mut().zip(x) {
        *v += weight * x;
    }
}

/// The same for four vectors as long as `out`.
#[inline(always)]
fn add_four(out: &mut [f64], weights: [f64; 4], x: [&[f64]; 4]) {
    let [a, b, c, d] = x.map(|x| &x[..out.len()]);
    for i in 0..out.len() {
        out[i] += (weights[0] * a[i] + weights[1] * b[i]) + (weights[2] * c[i] + weights[3] * d[i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factor_and_inverse_are_those_of_the_matrix() {
        for n in (0..12).chain([MOST_OWN - 1, MOST_OWN, MOST_OWN + 1]) {
            let a: Vec<f64> = (0..n * n).map(|i| if i % (n + 1) == 0 { n as f64 } else { ((i % n + i / n) as f64).sin() }).collect();
            let mut room = Room::new(n);
            let mut l = a.clone();
            assert!(factor(&mut l, n, &mut room));
            let mut inverse = vec![f64::NAN; n * n];
            invert(&l, n, &mut inverse, &mut room);
            for c in 0..n {
                for r in 0..n {
                    let product: f64 = (0..=r.min(c)).map(|s| l[s * n + r] * l[s * n + c]).sum();
                    assert!((product - a[c * n + r]).abs() < 1e-12 * n as f64, "{n}");
                    let one: f64 = (0..n).map(|s| a[s * n + r] * inverse[c * n + s]).sum();
                    assert!((one - f64::from(r == c)).abs() < 1e-12 * n as f64, "{n}");
                }
            }
            if n > 0 {
                let mut indefinite = a;
                indefinite[n * n - 1] = -1.0;
                assert!(!factor(&mut indefinite, n, &mut room), "{n}");
            }
        }
    }
}
