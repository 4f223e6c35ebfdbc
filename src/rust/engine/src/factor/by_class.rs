//! Models with one grouping factor: M is block diagonal, and levels with the same blocks need one factorisation.
//!
//! Within a class of equal levels the response enters only through m = number of levels, s = sum of z_j and S = sum of z_j z_j'
//! with z_j = Z_j'Wy, so that one evaluation costs nothing per level of a balanced design. Loops run innermost over the K columns of the
//! group, whose number the compiler knows.

use std::ops::Range;

use crate::factor::blocks::NotPositiveDefinite;
use crate::linalg::blocks::{nth, nth_mut, times_lower_transpose};
use crate::linalg::small::{
    axpy, cholesky, dot, inverse_lower, log_diagonal, lower_times, lower_transpose_times, solve_lower, solve_lower_transpose, times_lower,
    with_constant,
};
use crate::parallel::{pieces, Workers};
use crate::plan::classes::{class_ranges, Classes, Moments};

/// What an evaluation leaves behind, and the memory it works in.
#[derive(Clone, Debug)]
pub struct Evaluation {
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
    /// L^-1 of each class.
    pub(crate) inverse: Vec<f64>,
    /// RZX of each class, p columns of length K.
    pub(crate) rzx: Vec<f64>,
    /// Sum of v = L^-1 Lambda'z_j over the levels of each class.
    pub(crate) first: Vec<f64>,
    /// Sum of v v', K x K.
    pub(crate) second: Vec<f64>,
    factored: Vec<Factored>,
    solved: Vec<Solved>,
}

/// What a range of classes adds to log |M| and takes from X'WX.
#[derive(Clone, Debug)]
struct Factored {
    ld_l2: f64,
    xvx: Vec<f64>,
    positive: bool,
}

/// What it takes from X'Wy and y'Wy.
#[derive(Clone, Debug)]
struct Solved {
    pwrss: f64,
    xvy: Vec<f64>,
}

impl Factored {
    /// Factors a range of classes, whose places in the evaluation's vectors are given.
    #[inline(always)]
    fn fill(&mut self, classes: &Classes, k: usize, range: Range<usize>, lambda: &[f64], inverse: &mut [f64], rzx: &mut [f64]) {
        let (p, kk) = (classes.p, k * k);
        self.xvx.fill(0.0);
        (self.ld_l2, self.positive) = (0.0, true);
        let mut block = vec![0.0; kk];
        for (i, class) in range.enumerate() {
            let m = classes.size[class];
            times_lower(nth(&classes.a, class, kk), lambda, k, &mut block);
            (0..k).for_each(|c| lower_transpose_times(lambda, k, nth_mut(&mut block, c, k)));
            (0..k).for_each(|i| block[i * k + i] += 1.0);
            if !cholesky(&mut block, k) {
                self.positive = false;
                return;
            }
            self.ld_l2 += 2.0 * m * log_diagonal(&block, k);
            let inverse = nth_mut(inverse, i, kk);
            inverse_lower(&block, k, inverse);
            let rzx = nth_mut(rzx, i, k * p);
            rzx.copy_from_slice(nth(&classes.zx, class, k * p));
            for column in rzx.chunks_exact_mut(k) {
                lower_transpose_times(lambda, k, column);
                lower_times(inverse, k, column);
            }
            for c in 0..p {
                let (own, sums) = (nth(rzx, c, k), &mut self.xvx[c * p + c..(c + 1) * p]);
                sums.iter_mut().zip(rzx[c * k..].chunks_exact(k)).for_each(|(sum, other)| *sum -= m * dot(own, other));
            }
        }
    }
}

impl Solved {
    /// Solves for a range of classes likewise.
    #[inline(always)]
    fn fill(&mut self, at: &Given, k: usize, range: Range<usize>, first: &mut [f64], second: &mut [f64]) {
        let (p, kk) = (at.classes.p, k * k);
        self.xvy.fill(0.0);
        self.pwrss = 0.0;
        for (i, class) in range.enumerate() {
            let inverse = nth(at.inverse, class, kk);
            let first = nth_mut(first, i, k);
            first.copy_from_slice(nth(&at.moments.first, class, k));
            lower_transpose_times(at.lambda, k, first);
            lower_times(inverse, k, first);
            let second = nth_mut(second, i, kk);
            times_lower(nth(&at.moments.second, class, kk), at.lambda, k, second);
            for column in second.chunks_exact_mut(k) {
                lower_transpose_times(at.lambda, k, column);
                lower_times(inverse, k, column);
            }
            times_lower_transpose(second, inverse, k);
            let rzx = nth(at.rzx, class, k * p);
            self.xvy.iter_mut().zip(rzx.chunks_exact(k)).for_each(|(sum, column)| *sum -= dot(first, column));
            (0..k).for_each(|r| self.pwrss -= second[r * k + r]);
        }
    }
}

/// What solving starts from.
struct Given<'a> {
    classes: &'a Classes,
    lambda: &'a [f64],
    moments: &'a Moments,
    inverse: &'a [f64],
    rzx: &'a [f64],
}

impl Evaluation {
    /// Allocates for the classes.
    pub fn new(classes: &Classes) -> Self {
        let (k, p, n) = (classes.k, classes.p, classes.size.len());
        let kk = k * k;
        let factored = Factored { ld_l2: 0.0, xvx: vec![0.0; p * p], positive: true };
        let solved = Solved { pwrss: 0.0, xvy: vec![0.0; p] };
        Evaluation {
            ld_l2: 0.0,
            ld_rx2: 0.0,
            pwrss: 0.0,
            beta: vec![0.0; p],
            rx: vec![0.0; p * p],
            inverse: vec![0.0; n * kk],
            rzx: vec![0.0; n * k * p],
            first: vec![0.0; n * k],
            second: vec![0.0; n * kk],
            factored: class_ranges(n).map(|_| factored.clone()).collect(),
            solved: class_ranges(n).map(|_| solved.clone()).collect(),
        }
    }

    /// Factors M and X'V^-1X at a Lambda; `xx` is X'WX.
    pub fn factorize(&mut self, classes: &Classes, lambda: &[f64], xx: &[f64], workers: &Workers) -> Result<(), NotPositiveDefinite> {
        let (k, p, kk, n) = (classes.k, classes.p, classes.k * classes.k, classes.size.len());
        if let [part] = &mut self.factored[..] {
            let (inverse, rzx) = (&mut self.inverse, &mut self.rzx);
            with_constant!(k, K, part.fill(classes, K, 0..n, lambda, inverse, rzx));
        } else {
            let cuts = || class_ranges(n);
            let inverse = pieces(&mut self.inverse, cuts().map(|r| r.len() * kk));
            let rzx = pieces(&mut self.rzx, cuts().map(|r| r.len() * k * p));
            let items = cuts().zip(&mut self.factored).zip(inverse.into_iter().zip(rzx));
            workers.for_each(items, |((range, part), (inverse, rzx))| {
                with_constant!(k, K, part.fill(classes, K, range, lambda, inverse, rzx));
            });
        }
        self.rx.copy_from_slice(xx);
        self.ld_l2 = 0.0;
        for part in &self.factored {
            if !part.positive {
                return Err(NotPositiveDefinite);
            }
            axpy(1.0, &part.xvx, &mut self.rx);
            self.ld_l2 += part.ld_l2;
        }
        if !cholesky(&mut self.rx, p) {
            return Err(NotPositiveDefinite);
        }
        self.ld_rx2 = 2.0 * log_diagonal(&self.rx, p);
        let finite = self.ld_l2.is_finite() && self.ld_rx2.is_finite();
        finite.then_some(()).ok_or(NotPositiveDefinite)
    }

    /// Solves at the Lambda that was last factored at for a response with these moments, X'Wy and y'Wy.
    pub fn solve(&mut self, classes: &Classes, lambda: &[f64], moments: &Moments, xy: &[f64], yy: f64, workers: &Workers) {
        let (k, p, kk, n) = (classes.k, classes.p, classes.k * classes.k, classes.size.len());
        let given = &Given { classes, lambda, moments, inverse: &self.inverse, rzx: &self.rzx };
        if let [part] = &mut self.solved[..] {
            let (first, second) = (&mut self.first, &mut self.second);
            with_constant!(k, K, part.fill(given, K, 0..n, first, second));
        } else {
            let cuts = || class_ranges(n);
            let first = pieces(&mut self.first, cuts().map(|r| r.len() * k));
            let second = pieces(&mut self.second, cuts().map(|r| r.len() * kk));
            let items = cuts().zip(&mut self.solved).zip(first.into_iter().zip(second));
            workers.for_each(items, |((range, part), (first, second))| {
                with_constant!(k, K, part.fill(given, K, range, first, second));
            });
        }
        self.beta.copy_from_slice(xy);
        self.pwrss = yy;
        for part in &self.solved {
            axpy(1.0, &part.xvy, &mut self.beta);
            self.pwrss += part.pwrss;
        }
        solve_lower(&self.rx, p, &mut self.beta);
        self.pwrss -= dot(&self.beta, &self.beta);
        solve_lower_transpose(&self.rx, p, &mut self.beta);
        self.pwrss = self.pwrss.max(f64::EPSILON * f64::EPSILON * yy.max(f64::MIN_POSITIVE));
    }

    /// Spherical random effects u_j = L^-T (L^-1 Lambda'z_j - RZX beta) at the Lambda that was last solved at.
    pub fn spherical_effects(&self, classes: &Classes, lambda: &[f64], zy: &[f64], workers: &Workers) -> Vec<f64> {
        let (k, p) = (classes.k, classes.p);
        let mut out = zy.to_vec();
        let cuts = || class_ranges(classes.class_of.len());
        workers.for_each(cuts().zip(pieces(&mut out, cuts().map(|r| r.len() * k))), |(range, u)| {
            for (u, &class) in u.chunks_exact_mut(k).zip(&classes.class_of[range]) {
                let class = class as usize;
                let inverse = nth(&self.inverse, class, k * k);
                lower_transpose_times(lambda, k, u);
                lower_times(inverse, k, u);
                let columns = self.rzx[class * k * p..(class + 1) * k * p].chunks_exact(k);
                columns.zip(&self.beta).for_each(|(column, b)| axpy(-b, column, u));
                lower_transpose_times(inverse, k, u);
            }
        });
        out
    }

    /// Calls `visit(number of levels, M_j^-1)` for each class.
    pub fn for_each_inverse_block(&self, classes: &Classes, mut visit: impl FnMut(f64, &[f64])) {
        let k = classes.k;
        let mut block = vec![0.0; k * k];
        for (inverse, &m) in self.inverse.chunks_exact(k * k).zip(&classes.size) {
            block.copy_from_slice(inverse);
            block.chunks_exact_mut(k).for_each(|column| lower_transpose_times(inverse, k, column));
            visit(m, &block);
        }
    }
}
