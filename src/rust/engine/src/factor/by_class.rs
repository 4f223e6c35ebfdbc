//! Models with one grouping factor: M is block diagonal, and levels with the same blocks need one factorisation.
//!
//! Within a class of equal levels the response enters only through m = number of levels, s = sum of z_j and S = sum of z_j z_j'
//! with z_j = Z_j'Wy, so that one evaluation costs nothing per level of a balanced design. Loops run innermost over the K columns of the
//! group, whose number the compiler knows, and over a batch of classes side by side.

use std::ops::Range;

use crate::factor::blocks::NotPositiveDefinite;
use crate::linalg::blocks::{nth, nth_mut, times_lower_transpose};
use crate::linalg::lanes::{run, Number, Work};
use crate::linalg::small::{
    cholesky, cholesky_of, dot, inverse_lower, log_diagonal, lower_times, lower_transpose_times, solve_lower, solve_lower_transpose,
    times_lower, with_constant,
};
use crate::parallel::{pieces, Workers};
use crate::plan::classes::{batch_ranges, place, Classes, Moments};

/// What an evaluation leaves behind, and the memory it works in.
#[derive(Clone, Debug)]
pub struct Evaluation<T> {
    /// log |M|.
    pub ld_l2: f64,
    /// log |X'V^-1X|.
    pub ld_rx2: f64,
    /// Penalised residual sum of squares.
    pub pwrss: f64,
    /// Coefficients of the engine's X.
    pub beta: Vec<f64>,
    /// RX', the lower Cholesky factor of X'V^-1X.
    pub rx: Vec<f64>,
    /// Lambda, which all classes share.
    pub(crate) lambda: Vec<T>,
    /// L^-1 of each class.
    pub(crate) inverse: Vec<T>,
    /// RZX of each class, p columns of length K.
    pub(crate) rzx: Vec<T>,
    /// Sum of v = L^-1 Lambda'z_j over the levels of each class.
    pub(crate) first: Vec<T>,
    /// Sum of v v', K x K; not where each class of a batch is a single level.
    pub(crate) second: Vec<T>,
    factored: Vec<Factored<T>>,
    solved: Vec<Solved<T>>,
}

/// What a range of batches adds to log |M| and takes from X'WX.
#[derive(Clone, Debug)]
struct Factored<T> {
    ld_l2: T,
    xvx: Vec<T>,
    positive: bool,
    /// A matrix to work in.
    block: Vec<T>,
}

/// What it takes from X'Wy and y'Wy.
#[derive(Clone, Debug)]
struct Solved<T> {
    pwrss: T,
    xvy: Vec<T>,
}

/// Factors a range of batches.
struct FactorRange<'a, T> {
    classes: &'a Classes<T>,
    lambda: &'a [T],
    range: Range<usize>,
    part: &'a mut Factored<T>,
    /// The places of the range in the evaluation's vectors.
    inverse: &'a mut [T],
    rzx: &'a mut [T],
}

impl<T: Number> Work for FactorRange<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        with_constant!(self.classes.k, K, self.factor(K));
    }
}

impl<T: Number> FactorRange<'_, T> {
    #[inline(always)]
    fn factor(self, k: usize) {
        let FactorRange { classes, lambda, range, part, inverse, rzx } = self;
        let (p, kk) = (classes.p, k * k);
        let Factored { ld_l2, xvx, positive, block } = part;
        let (block, lambda) = (&mut block[..kk], &lambda[..kk]);
        xvx.fill(T::all(0.0));
        (*ld_l2, *positive) = (T::all(0.0), true);
        for (i, batch) in range.enumerate() {
            let m = classes.size[batch];
            times_lower(nth(&classes.a, batch, kk), lambda, k, block);
            for column in block.chunks_exact_mut(k) {
                lower_transpose_times(lambda, k, column);
            }
            for i in 0..k {
                block[i * k + i] += T::all(1.0);
            }
            if !cholesky_of(block, k) {
                *positive = false;
                return;
            }
            *ld_l2 += T::all(2.0) * m * log_of_product(block, k);
            let inverse = nth_mut(inverse, i, kk);
            inverse_lower(block, k, inverse);
            let rzx = nth_mut(rzx, i, k * p);
            rzx.copy_from_slice(nth(&classes.zx, batch, k * p));
            for column in rzx.chunks_exact_mut(k) {
                lower_transpose_times(lambda, k, column);
                lower_times(inverse, k, column);
            }
            for c in 0..p {
                let (own, sums) = (nth(rzx, c, k), &mut xvx[c * p + c..(c + 1) * p]);
                for (sum, other) in sums.iter_mut().zip(rzx[c * k..].chunks_exact(k)) {
                    *sum -= m * dot(own, other);
                }
            }
        }
    }
}

/// Sum of the logarithms of the diagonal of a Cholesky factor that has no element below one there: the logarithm of their product, unless
/// that overflows.
#[inline(always)]
fn log_of_product<T: Number>(l: &[T], k: usize) -> T {
    let mut product = T::all(1.0);
    for i in 0..k {
        product *= l[i * k + i];
    }
    if product.is_positive() {
        return product.map(f64::ln);
    }
    let mut sum = T::all(0.0);
    for i in 0..k {
        sum += l[i * k + i].map(f64::ln);
    }
    sum
}

/// Solves for a range of batches.
struct SolveRange<'a, T> {
    at: &'a Given<'a, T>,
    range: Range<usize>,
    part: &'a mut Solved<T>,
    first: &'a mut [T],
    second: &'a mut [T],
}

/// What solving starts from.
struct Given<'a, T> {
    classes: &'a Classes<T>,
    lambda: &'a [T],
    moments: &'a Moments<T>,
    inverse: &'a [T],
    rzx: &'a [T],
}

impl<T: Number> Work for SolveRange<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        with_constant!(self.at.classes.k, K, self.solve(K));
    }
}

impl<T: Number> SolveRange<'_, T> {
    #[inline(always)]
    fn solve(self, k: usize) {
        let SolveRange { at, range, part: Solved { pwrss, xvy }, first, second } = self;
        let (p, kk, lambda) = (at.classes.p, k * k, &at.lambda[..k * k]);
        xvy.fill(T::all(0.0));
        *pwrss = T::all(0.0);
        for (i, batch) in range.enumerate() {
            let inverse = nth(at.inverse, batch, kk);
            let first = nth_mut(first, i, k);
            first.copy_from_slice(nth(&at.moments.first, batch, k));
            lower_transpose_times(lambda, k, first);
            lower_times(inverse, k, first);
            let rzx = nth(at.rzx, batch, k * p);
            for (sum, column) in xvy.iter_mut().zip(rzx.chunks_exact(k)) {
                *sum -= dot(first, column);
            }
            if at.classes.single[batch] {
                *pwrss -= dot(first, first);
                continue;
            }
            let second = nth_mut(second, i, kk);
            times_lower(nth(&at.moments.second, batch, kk), lambda, k, second);
            for column in second.chunks_exact_mut(k) {
                lower_transpose_times(lambda, k, column);
                lower_times(inverse, k, column);
            }
            times_lower_transpose(second, inverse, k);
            for r in 0..k {
                *pwrss -= second[r * k + r];
            }
        }
    }
}

impl<T: Number> Evaluation<T> {
    /// Allocates for the classes.
    pub fn new(classes: &Classes<T>) -> Self {
        let (k, p, n) = (classes.k, classes.p, classes.batches());
        let (kk, zeros) = (k * k, |n: usize| vec![T::all(0.0); n]);
        let factored = Factored { ld_l2: T::all(0.0), xvx: zeros(p * p), positive: true, block: zeros(kk) };
        let solved = Solved { pwrss: T::all(0.0), xvy: zeros(p) };
        Evaluation {
            ld_l2: 0.0,
            ld_rx2: 0.0,
            pwrss: 0.0,
            beta: vec![0.0; p],
            rx: vec![0.0; p * p],
            lambda: zeros(kk),
            inverse: zeros(n * kk),
            rzx: zeros(n * k * p),
            first: zeros(n * k),
            second: zeros(n * kk),
            factored: batch_ranges::<T>(n).map(|_| factored.clone()).collect(),
            solved: batch_ranges::<T>(n).map(|_| solved.clone()).collect(),
        }
    }

    /// Factors M and X'V^-1X at a Lambda; `xx` is X'WX.
    pub fn factorize(&mut self, classes: &Classes<T>, lambda: &[f64], xx: &[f64], workers: &Workers) -> Result<(), NotPositiveDefinite> {
        let (k, p, kk, n) = (classes.k, classes.p, classes.k * classes.k, classes.batches());
        self.lambda.iter_mut().zip(lambda).for_each(|(to, from)| *to = T::all(*from));
        let lambda = &self.lambda;
        if let [part] = &mut self.factored[..] {
            let (inverse, rzx) = (&mut self.inverse, &mut self.rzx);
            run::<T, _>(FactorRange { classes, lambda, range: 0..n, part, inverse, rzx });
        } else {
            let cuts = || batch_ranges::<T>(n);
            let inverse = pieces(&mut self.inverse, cuts().map(|r| r.len() * kk));
            let rzx = pieces(&mut self.rzx, cuts().map(|r| r.len() * k * p));
            let items = cuts().zip(&mut self.factored).zip(inverse.into_iter().zip(rzx));
            workers.for_each(items, |((range, part), (inverse, rzx))| {
                run::<T, _>(FactorRange { classes, lambda, range, part, inverse, rzx });
            });
        }
        self.rx.copy_from_slice(xx);
        self.ld_l2 = 0.0;
        for part in &self.factored {
            if !part.positive {
                return Err(NotPositiveDefinite);
            }
            self.rx.iter_mut().zip(&part.xvx).for_each(|(sum, part)| *sum += part.sum());
            self.ld_l2 += part.ld_l2.sum();
        }
        if !cholesky(&mut self.rx, p) {
            return Err(NotPositiveDefinite);
        }
        self.ld_rx2 = 2.0 * log_diagonal(&self.rx, p);
        let finite = self.ld_l2.is_finite() && self.ld_rx2.is_finite();
        finite.then_some(()).ok_or(NotPositiveDefinite)
    }

    /// Solves at the Lambda that was last factored at for a response with these moments, X'Wy and y'Wy.
    pub fn solve(&mut self, classes: &Classes<T>, moments: &Moments<T>, xy: &[f64], yy: f64, workers: &Workers) {
        let (k, p, kk, n) = (classes.k, classes.p, classes.k * classes.k, classes.batches());
        let at = &Given { classes, lambda: &self.lambda, moments, inverse: &self.inverse, rzx: &self.rzx };
        if let [part] = &mut self.solved[..] {
            let (first, second) = (&mut self.first, &mut self.second);
            run::<T, _>(SolveRange { at, range: 0..n, part, first, second });
        } else {
            let cuts = || batch_ranges::<T>(n);
            let first = pieces(&mut self.first, cuts().map(|r| r.len() * k));
            let second = pieces(&mut self.second, cuts().map(|r| r.len() * kk));
            let items = cuts().zip(&mut self.solved).zip(first.into_iter().zip(second));
            workers.for_each(items, |((range, part), (first, second))| {
                run::<T, _>(SolveRange { at, range, part, first, second });
            });
        }
        self.beta.copy_from_slice(xy);
        self.pwrss = yy;
        for part in &self.solved {
            self.beta.iter_mut().zip(&part.xvy).for_each(|(sum, part)| *sum += part.sum());
            self.pwrss += part.pwrss.sum();
        }
        solve_lower(&self.rx, p, &mut self.beta);
        self.pwrss -= dot(&self.beta, &self.beta);
        solve_lower_transpose(&self.rx, p, &mut self.beta);
        self.pwrss = self.pwrss.max(f64::EPSILON * f64::EPSILON * yy.max(f64::MIN_POSITIVE));
    }

    /// Spherical random effects u_j = L^-T (L^-1 Lambda'z_j - RZX beta) at the Lambda that was last solved at.
    pub fn spherical_effects(&self, classes: &Classes<T>, lambda: &[f64], zy: &[f64], workers: &Workers) -> Vec<f64> {
        let (k, p) = (classes.k, classes.p);
        let mut out = zy.to_vec();
        let cuts = || batch_ranges::<f64>(classes.class_of.len());
        workers.for_each(cuts().zip(pieces(&mut out, cuts().map(|r| r.len() * k))), |(range, u)| {
            let mut inverse = vec![0.0; k * k];
            for (u, &class) in u.chunks_exact_mut(k).zip(&classes.class_of[range]) {
                let (batch, lane) = place::<T>(class);
                inverse.iter_mut().zip(nth(&self.inverse, batch, k * k)).for_each(|(to, from)| *to = from.lane(lane));
                lower_transpose_times(lambda, k, u);
                lower_times(&inverse, k, u);
                for (column, b) in nth(&self.rzx, batch, k * p).chunks_exact(k).zip(&self.beta) {
                    u.iter_mut().zip(column).for_each(|(u, x)| *u -= b * x.lane(lane));
                }
                lower_transpose_times(&inverse, k, u);
            }
        });
        out
    }

    /// Calls `visit(number of levels, M_j^-1)` for each class.
    pub fn for_each_inverse_block(&self, classes: &Classes<T>, mut visit: impl FnMut(f64, &[f64])) {
        let k = classes.k;
        let (mut blocks, mut block) = (vec![T::all(0.0); k * k], vec![0.0; k * k]);
        for (inverse, m) in self.inverse.chunks_exact(k * k).zip(&classes.size) {
            blocks.copy_from_slice(inverse);
            blocks.chunks_exact_mut(k).for_each(|column| lower_transpose_times(inverse, k, column));
            for lane in (0..T::WIDTH).filter(|lane| m.lane(*lane) > 0.0) {
                block.iter_mut().zip(&blocks).for_each(|(to, from)| *to = from.lane(lane));
                visit(m.lane(lane), &block);
            }
        }
    }
}
