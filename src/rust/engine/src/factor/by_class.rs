//! Models with one grouping factor: M is block diagonal, and levels with the same blocks need one factorisation.
//!
//! Within a class of equal levels the response enters only through m = number of levels, s = sum of z_j and S = sum of z_j z_j'
//! with z_j = Z_j'Wy, so that one evaluation costs nothing per level of a balanced design.

use std::ops::Range;

use crate::linalg::small::{
    axpy, cholesky, dot, inverse_from_cholesky, log_diagonal, lower_transpose_times, solve_lower, solve_lower_rows, solve_lower_transpose,
    times_lower, with_constant,
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
    pub(crate) l: Vec<f64>,
    pub(crate) rzx: Vec<f64>,
    pub(crate) h1: Vec<f64>,
    pub(crate) h2: Vec<f64>,
    pub(crate) xvy: Vec<f64>,
    parts: Vec<Part>,
}

/// What a range of classes adds.
#[derive(Clone, Debug)]
struct Part {
    ld_l2: f64,
    pwrss: f64,
    xvx: Vec<f64>,
    xvy: Vec<f64>,
    positive: bool,
}

impl Part {
    fn new(p: usize) -> Self {
        Part { ld_l2: 0.0, pwrss: 0.0, xvx: vec![0.0; p * p], xvy: vec![0.0; p], positive: true }
    }

    /// Factors and solves for a range of classes, whose places in the evaluation's vectors are given.
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    fn solve(
        &mut self,
        classes: &Classes,
        k: usize,
        range: Range<usize>,
        lambda: &[f64],
        moments: &Moments,
        l: &mut [f64],
        rzx: &mut [f64],
        h1: &mut [f64],
        h2: &mut [f64],
    ) {
        let (p, kk) = (classes.p, k * k);
        self.xvx.fill(0.0);
        self.xvy.fill(0.0);
        (self.pwrss, self.ld_l2, self.positive) = (0.0, 0.0, true);
        for (i, class) in range.enumerate() {
            let m = classes.size[class];
            let l = &mut l[i * kk..(i + 1) * kk];
            times_lower(&classes.a[class * kk..(class + 1) * kk], lambda, k, l);
            (0..k).for_each(|c| lower_transpose_times(lambda, k, &mut l[c * k..(c + 1) * k]));
            (0..k).for_each(|i| l[i * k + i] += 1.0);
            if !cholesky(l, k) {
                self.positive = false;
                return;
            }
            self.ld_l2 += 2.0 * m * log_diagonal(l, k);
            let rzx = &mut rzx[i * k * p..(i + 1) * k * p];
            let zx = &classes.zx[class * k * p..(class + 1) * k * p];
            for r in 0..k {
                let row = &mut rzx[r * p..(r + 1) * p];
                row.fill(0.0);
                (r..k).for_each(|s| axpy(lambda[r * k + s], &zx[s * p..(s + 1) * p], row));
            }
            solve_lower_rows(l, k, rzx, p);
            let h1 = &mut h1[i * k..(i + 1) * k];
            h1.copy_from_slice(&moments.first[class * k..(class + 1) * k]);
            lower_transpose_times(lambda, k, h1);
            solve_lower(l, k, h1);
            let h2 = &mut h2[i * kk..(i + 1) * kk];
            times_lower(&moments.second[class * kk..(class + 1) * kk], lambda, k, h2);
            for c in 0..k {
                lower_transpose_times(lambda, k, &mut h2[c * k..(c + 1) * k]);
                solve_lower(l, k, &mut h2[c * k..(c + 1) * k]);
            }
            solve_lower_rows(l, k, h2, k); // columns stored as rows: h2 L^-T
            for r in 0..k {
                let row = &rzx[r * p..(r + 1) * p];
                axpy(-h1[r], row, &mut self.xvy);
                for c in 0..p {
                    axpy(-m * row[c], &row[c..], &mut self.xvx[c * p + c..(c + 1) * p]);
                }
                self.pwrss -= h2[r * k + r];
            }
        }
    }
}

impl Evaluation {
    /// Allocates for the classes.
    pub fn new(classes: &Classes) -> Self {
        let (k, p, n) = (classes.k, classes.p, classes.size.len());
        let kk = k * k;
        Evaluation {
            ld_l2: 0.0,
            ld_rx2: 0.0,
            pwrss: 0.0,
            beta: vec![0.0; p],
            rx: vec![0.0; p * p],
            l: vec![0.0; n * kk],
            rzx: vec![0.0; n * k * p],
            h1: vec![0.0; n * k],
            h2: vec![0.0; n * kk],
            xvy: vec![0.0; p],
            parts: class_ranges(n).map(|_| Part::new(p)).collect(),
        }
    }

    /// Factors and solves at a Lambda. False when a matrix is not positive definite.
    #[allow(clippy::too_many_arguments)]
    pub fn solve(
        &mut self,
        classes: &Classes,
        lambda: &[f64],
        xx: &[f64],
        xy: &[f64],
        yy: f64,
        moments: &Moments,
        workers: &Workers,
    ) -> bool {
        let (k, p, kk, n) = (classes.k, classes.p, classes.k * classes.k, classes.size.len());
        if let [part] = &mut self.parts[..] {
            let (l, rzx, h1, h2) = (&mut self.l, &mut self.rzx, &mut self.h1, &mut self.h2);
            with_constant!(k, K, part.solve(classes, K, 0..n, lambda, moments, l, rzx, h1, h2));
        } else {
            let cuts = || class_ranges(n);
            let l = pieces(&mut self.l, cuts().map(|r| r.len() * kk));
            let rzx = pieces(&mut self.rzx, cuts().map(|r| r.len() * k * p));
            let h1 = pieces(&mut self.h1, cuts().map(|r| r.len() * k));
            let h2 = pieces(&mut self.h2, cuts().map(|r| r.len() * kk));
            let items = cuts().zip(&mut self.parts).zip(l.into_iter().zip(rzx)).zip(h1.into_iter().zip(h2));
            workers.for_each(items, |(((range, part), (l, rzx)), (h1, h2))| {
                with_constant!(k, K, part.solve(classes, K, range, lambda, moments, l, rzx, h1, h2));
            });
        }
        self.rx.copy_from_slice(xx);
        self.xvy.copy_from_slice(xy);
        (self.pwrss, self.ld_l2) = (yy, 0.0);
        for part in &self.parts {
            if !part.positive {
                return false;
            }
            axpy(1.0, &part.xvx, &mut self.rx);
            axpy(1.0, &part.xvy, &mut self.xvy);
            self.pwrss += part.pwrss;
            self.ld_l2 += part.ld_l2;
        }
        if !cholesky(&mut self.rx, p) {
            return false;
        }
        self.ld_rx2 = 2.0 * log_diagonal(&self.rx, p);
        self.beta.copy_from_slice(&self.xvy);
        solve_lower(&self.rx, p, &mut self.beta);
        self.pwrss -= dot(&self.beta, &self.beta);
        solve_lower_transpose(&self.rx, p, &mut self.beta);
        self.pwrss = self.pwrss.max(f64::EPSILON * f64::EPSILON * yy.max(f64::MIN_POSITIVE));
        self.ld_l2.is_finite() && self.ld_rx2.is_finite()
    }

    /// Spherical random effects u_j = L^-T (L^-1 Lambda'z_j - H beta) at the Lambda that was last solved at.
    pub fn spherical_effects(&self, classes: &Classes, lambda: &[f64], zy: &[f64], workers: &Workers) -> Vec<f64> {
        let (k, p) = (classes.k, classes.p);
        let mut out = zy.to_vec();
        let cuts = || class_ranges(classes.class_of.len());
        workers.for_each(cuts().zip(pieces(&mut out, cuts().map(|r| r.len() * k))), |(range, u)| {
            for (u, &class) in u.chunks_exact_mut(k).zip(&classes.class_of[range]) {
                let class = class as usize;
                let l = &self.l[class * k * k..(class + 1) * k * k];
                lower_transpose_times(lambda, k, u);
                solve_lower(l, k, u);
                (0..k).for_each(|r| u[r] -= dot(&self.rzx[(class * k + r) * p..(class * k + r + 1) * p], &self.beta));
                solve_lower_transpose(l, k, u);
            }
        });
        out
    }

    /// Calls `visit(number of levels, M_j^-1)` for each class.
    pub fn for_each_inverse_block(&self, classes: &Classes, mut visit: impl FnMut(f64, &[f64])) {
        let k = classes.k;
        for (l, &m) in self.l.chunks_exact(k * k).zip(&classes.size) {
            visit(m, &inverse_from_cholesky(l, k));
        }
    }
}
