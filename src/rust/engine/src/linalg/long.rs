//! Kernels for long vectors, with the widest registers that the processor has.
//!
//! A sum is formed in eight parts that do not wait for each other. The parts are the same whatever the registers' width, so that the
//! results don't depend on the processor.

use faer::linalg::matmul::triangular::{matmul, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

use crate::linalg::lanes::{wide, Work};

/// Most columns of which inner products are quicker than a product of matrices.
const FEW: usize = 12;

/// Sums that are formed side by side.
const LANES: usize = 8;

/// Inner product.
pub fn long_dot(x: &[f64], y: &[f64]) -> f64 {
    wide(Sum { x, y, term: |a, b| a * b })
}

/// Sum of a function of each element.
pub fn long_sum(x: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    wide(Sum { x, y: x, term: |a, _| term(a) })
}

/// Sum of a function of the elements of two vectors.
pub fn long_sum_of_pairs(x: &[f64], y: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    wide(Sum { x, y, term })
}

/// Largest value of a function of each element, or zero.
pub fn long_max(x: &[f64], value: impl Fn(f64) -> f64) -> f64 {
    wide(Largest { x, value })
}

/// y += a x.
pub fn long_axpy(a: f64, x: &[f64], y: &mut [f64]) {
    wide(Update { x, y, update: |y, x| y + a * x });
}

/// y := a y.
pub fn long_scale(a: f64, y: &mut [f64]) {
    wide(Scale { a, y });
}

/// out -= x y, element by element.
pub fn subtract_products(x: &[f64], y: &[f64], out: &mut [f64]) {
    wide(Products { x, y, out });
}

/// y := x y, element by element.
pub fn multiply(x: &[f64], y: &mut [f64]) {
    wide(Update { x, y, update: |y, x| y * x });
}

/// Adds V'V to the lower triangle of a p x p matrix, where the p columns of V follow one after the other.
pub fn add_gram(columns: &[f64], p: usize, out: &mut [f64]) {
    if p <= FEW {
        return wide(Gram { columns, p, out });
    }
    let v = MatRef::from_column_major_slice(columns, columns.len() / p, p);
    matmul(
        MatMut::from_column_major_slice_mut(out, p, p),
        BlockStructure::TriangularLower,
        Accum::Add,
        v.transpose(),
        BlockStructure::Rectangular,
        v,
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
}

struct Sum<'a, F> {
    x: &'a [f64],
    y: &'a [f64],
    term: F,
}

impl<F: Fn(f64, f64) -> f64> Work for Sum<'_, F> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        sum(self.x, self.y, self.term)
    }
}

#[inline(always)]
fn sum(x: &[f64], y: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (x_lanes, y_lanes) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let mut rest = 0.0;
    for (x, y) in x_lanes.remainder().iter().zip(y_lanes.remainder()) {
        rest += term(*x, *y);
    }
    for (x, y) in x_lanes.zip(y_lanes) {
        for i in 0..LANES {
            sums[i] += term(x[i], y[i]);
        }
    }
    let mut all = 0.0;
    for sum in sums {
        all += sum;
    }
    all + rest
}

struct Largest<'a, F> {
    x: &'a [f64],
    value: F,
}

impl<F: Fn(f64) -> f64> Work for Largest<'_, F> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut most = [0.0_f64; LANES];
        let lanes = self.x.chunks_exact(LANES);
        let mut all = 0.0_f64;
        for x in lanes.remainder() {
            all = all.max((self.value)(*x));
        }
        for x in lanes {
            for i in 0..LANES {
                most[i] = most[i].max((self.value)(x[i]));
            }
        }
        for v in most {
            all = all.max(v);
        }
        all
    }
}

struct Scale<'a> {
    a: f64,
    y: &'a mut [f64],
}

impl Work for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for y in self.y {
            *y *= self.a;
        }
    }
}

struct Update<'a, F> {
    x: &'a [f64],
    y: &'a mut [f64],
    update: F,
}

impl<F: Fn(f64, f64) -> f64> Work for Update<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y = (self.update)(*y, *x);
        }
    }
}

struct Products<'a> {
    x: &'a [f64],
    y: &'a [f64],
    out: &'a mut [f64],
}

impl Work for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((out, x), y) in self.out.iter_mut().zip(self.x).zip(self.y) {
            *out -= x * y;
        }
    }
}

struct Gram<'a> {
    columns: &'a [f64],
    p: usize,
    out: &'a mut [f64],
}

impl Work for Gram<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let n = self.columns.len() / self.p.max(1);
        for c in 0..self.p {
            for r in c..self.p {
                let (a, b) = (&self.columns[c * n..(c + 1) * n], &self.columns[r * n..(r + 1) * n]);
                self.out[c * self.p + r] += sum(a, b, |a, b| a * b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_kernels_are_the_sums_that_they_say() {
        for n in [0, 1, 7, 8, 9, 100] {
            let x: Vec<f64> = (0..n).map(|i| ((i * i) as f64).sin()).collect();
            let mut y: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-13 * (1.0 + b.abs());
            let product: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
            assert!(near(long_dot(&x, &y), product), "{n}");
            assert!(near(long_sum(&x, |v| v - 1.0), x.iter().map(|v| v - 1.0).sum()), "{n}");
            assert!(near(long_sum_of_pairs(&x, &y, |a, b| a - b), x.iter().zip(&y).map(|(a, b)| a - b).sum()), "{n}");
            assert_eq!(long_max(&x, f64::abs), x.iter().fold(0.0, |most: f64, v| most.max(v.abs())), "{n}");
            let columns = [x.clone(), y.clone()].concat();
            let mut gram = vec![1.0, 2.0, 3.0, 4.0];
            add_gram(&columns, 2, &mut gram);
            assert!(near(gram[0], 1.0 + long_dot(&x, &x)) && near(gram[1], 2.0 + product) && near(gram[3], 4.0 + long_dot(&y, &y)), "{n}");
            assert_eq!(gram[2], 3.0);
            let expected: Vec<f64> = x.iter().zip(&y).map(|(a, b)| b + 0.5 * a).collect();
            long_axpy(0.5, &x, &mut y);
            assert_eq!(y, expected);
            let expected: Vec<f64> = x.iter().zip(&y).map(|(a, b)| 3.0 * b - a * b).collect();
            let mut out = y.clone();
            long_scale(3.0, &mut out);
            subtract_products(&x, &y, &mut out);
            assert_eq!(out, expected);
            multiply(&x, &mut out);
            assert_eq!(out, expected.iter().zip(&x).map(|(a, b)| a * b).collect::<Vec<_>>());
        }
    }
}
