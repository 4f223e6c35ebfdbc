//! Exact derivatives of models with one grouping factor, by classes of equal levels.
//!
//! With Q = L^-1 Lambda^-1, H = L^-1 Lambda'Z_j'WX and v_j = L^-1 Lambda'z_j - H beta a class has F = Q'H, g_j = Q'v_j and
//! T = A Lambda L^-T Q, and the derivatives (see [`crate::curvature::derivatives`], whose letters are used here) are exact, and so
//! is the trace of P V_k P V_l.

use std::ops::Range;

use crate::curvature::derivatives::{gradient_element, Derivatives};
use crate::curvature::frame::Frame;
use crate::factor::by_class::Evaluation;
use crate::linalg::blocks::{nth, nth_mut, times_lower_transpose};
use crate::linalg::lanes::{run, Number, Work};
use crate::linalg::small::{axpy, contract, dot, inverse_lower, lower_transpose_times, mirror, times_lower, with_constant};
use crate::model::structure::ThetaEntry;
use crate::parallel::Workers;
use crate::plan::classes::{batch_ranges, Classes};
use crate::plan::design::System;

/// Sums over classes, and the memory that they are formed in.
#[derive(Clone, Debug)]
pub struct ClassCurvature<T> {
    sums: Sums<f64>,
    parts: Vec<(Sums<T>, ClassWork<T>)>,
}

/// Sums over classes that the derivatives are made of. Of a symmetric matrix the lower triangle is summed.
#[derive(Clone, Debug)]
struct Sums<T> {
    /// A Lambda M^-1, of which nobody asks for more than the lower triangle.
    trace: Vec<T>,
    /// T.
    t: Vec<T>,
    /// F (X'V^-1X)^-1 F'.
    fixed: Vec<T>,
    /// g g'.
    gg: Vec<T>,
    /// T (x) X with X = 2 (nu / pwrss) g g' - T + 2 F (X'V^-1X)^-1 F', (K x K) x (K x K); both symmetric.
    forms: Vec<T>,
    /// f g' for each whitened column f of F: p matrices K x K.
    fg: Vec<T>,
    /// f f' for each pair of these columns, the first not before the second: p (p + 1) / 2 matrices K x K.
    ff: Vec<T>,
}

/// Memory for a batch of classes.
#[derive(Clone, Debug)]
struct ClassWork<T> {
    /// Lambda^-1, which all classes share.
    lambda_inverse: Vec<T>,
    q: Vec<T>,
    /// A Lambda L^-T.
    half: Vec<T>,
    t: Vec<T>,
    /// Sum of v v', then X.
    product: Vec<T>,
    gg: Vec<T>,
    /// Sum of v, then of g.
    g: Vec<T>,
    /// H beta.
    fitted: Vec<T>,
    f: Vec<T>,
}

impl<T: Number> Sums<T> {
    fn new(k: usize, p: usize) -> Self {
        let zeros = |n: usize| vec![T::all(0.0); n];
        let square = || zeros(k * k);
        Sums {
            trace: square(),
            t: square(),
            fixed: square(),
            gg: square(),
            forms: zeros(k.pow(4)),
            fg: zeros(k * k * p),
            ff: zeros(p * (p + 1) / 2 * k * k),
        }
    }

    fn all(&mut self) -> [&mut Vec<T>; 7] {
        [&mut self.trace, &mut self.t, &mut self.fixed, &mut self.gg, &mut self.forms, &mut self.fg, &mut self.ff]
    }
}

impl Sums<f64> {
    /// Adds the lanes of the sums over a range.
    fn add<T: Number>(&mut self, part: &mut Sums<T>) {
        for (sums, part) in self.all().into_iter().zip(part.all()) {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part.sum());
        }
    }

    /// Completes what is symmetric.
    fn mirror(&mut self, k: usize) {
        let kk = k * k;
        [&mut self.t, &mut self.fixed, &mut self.gg].into_iter().for_each(|sum| mirror(sum, k));
        for j in 0..k {
            for i in j..k {
                let place = (j * k + i) * kk;
                mirror(&mut self.forms[place..place + kk], k);
                self.forms.copy_within(place..place + kk, (i * k + j) * kk);
            }
        }
    }
}

impl<T: Number> ClassWork<T> {
    fn new(k: usize, p: usize) -> Self {
        let zeros = |n: usize| vec![T::all(0.0); n];
        let square = || zeros(k * k);
        ClassWork {
            lambda_inverse: square(),
            q: square(),
            half: square(),
            t: square(),
            product: square(),
            gg: square(),
            g: zeros(k),
            fitted: zeros(k),
            f: zeros(k * p),
        }
    }
}

impl<T: Number> ClassCurvature<T> {
    /// Allocates for the classes.
    pub fn new(classes: &Classes<T>) -> Self {
        let (k, p) = (classes.k, classes.p);
        let parts = batch_ranges::<T>(classes.batches()).map(|_| (Sums::new(k, p), ClassWork::new(k, p))).collect();
        ClassCurvature { sums: Sums::new(k, p), parts }
    }

    /// Derivatives at the Lambda that was last solved at; its diagonal must not be zero.
    #[allow(clippy::too_many_arguments)]
    pub fn derivatives(
        &mut self,
        design: &System,
        classes: &Classes<T>,
        at: &Evaluation<T>,
        lambda: &[f64],
        nu: f64,
        reml: bool,
        frame: &Frame,
        workers: &Workers,
    ) -> Derivatives {
        let given = Given { at, classes, weight: 2.0 * nu / at.pwrss, reml };
        workers.for_each(batch_ranges::<T>(classes.batches()).zip(&mut self.parts), |(range, (sums, work))| {
            run::<T, _>(SumRange { given: &given, range, sums, work });
        });
        self.sums.all().into_iter().for_each(|v| v.fill(0.0));
        self.parts.iter_mut().for_each(|(sums, _)| self.sums.add(sums));
        self.sums.mirror(classes.k);
        self.assemble(design, at, lambda, nu, reml, frame)
    }

    /// Gradient, D and second derivatives from the sums over classes.
    fn assemble(&self, design: &System, at: &Evaluation<T>, lambda: &[f64], nu: f64, reml: bool, frame: &Frame) -> Derivatives {
        let (k, p, s) = (design.structure.groups[0].k, design.p, &self.sums);
        let weight = nu / at.pwrss;
        let mut covariance = s.t.clone();
        axpy(-1.0, &s.fixed, &mut covariance);
        axpy(-weight, &s.gg, &mut covariance);
        let covariance = vec![covariance];
        let gradient =
            if frame.is_engine() { self.gradient(design, lambda, weight) } else { frame.gradient(&design.structure, &covariance) };

        let directions = &frame.directions;
        let n = directions.len();
        let first: Vec<f64> = directions.iter().map(|d| dot(d, &s.gg)).collect();
        let (mut forms, mut fixed) = (vec![0.0; n * k * k], vec![0.0; n * p]);
        let mut cross = vec![0.0; if reml { n * p * p } else { 0 }];
        for (i, direction) in directions.iter().enumerate() {
            contract(&s.forms, direction, k, nth_mut(&mut forms, i, k * k));
            nth_mut(&mut fixed, i, p).iter_mut().zip(s.fg.chunks_exact(k * k)).for_each(|(to, fg)| *to = dot(direction, fg));
            if reml {
                self.cross_product(direction, k, p, nth_mut(&mut cross, i, p * p));
            }
        }
        let mut hessian = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let mut value = dot(nth(&forms, i, k * k), &directions[j]) - 2.0 * weight * dot(nth(&fixed, i, p), nth(&fixed, j, p));
                if reml {
                    value -= dot(nth(&cross, i, p * p), nth(&cross, j, p * p));
                }
                value -= nu * first[i] * first[j] / (at.pwrss * at.pwrss);
                hessian[j * n + i] = value;
                hessian[i * n + j] = value;
            }
        }
        frame.add_second_order(&design.structure, &covariance, &mut hessian);
        Derivatives { gradient, hessian, covariance, explained: first }
    }

    /// 2 [A Lambda M^-1 - (F Cx F' + (nu / pwrss) g g') Lambda] at the free elements.
    fn gradient(&self, design: &System, lambda: &[f64], weight: f64) -> Vec<f64> {
        let (k, s) = (design.structure.groups[0].k, &self.sums);
        let element = |e: &ThetaEntry| gradient_element(e, k, &s.trace, &s.fixed, &s.gg, weight, lambda);
        design.structure.entries.iter().map(element).collect()
    }

    /// Sum over classes of F'S F, whitened, p x p.
    fn cross_product(&self, s: &[f64], k: usize, p: usize, out: &mut [f64]) {
        let mut blocks = self.sums.ff.chunks_exact(k * k);
        for (i, j) in (0..p).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let value = dot(s, blocks.next().expect("one block a pair"));
            (out[j * p + i], out[i * p + j]) = (value, value);
        }
    }
}

/// What the sums are formed from.
struct Given<'a, T> {
    at: &'a Evaluation<T>,
    classes: &'a Classes<T>,
    /// 2 nu / pwrss.
    weight: f64,
    reml: bool,
}

/// Sums over a range of batches.
struct SumRange<'a, T> {
    given: &'a Given<'a, T>,
    range: Range<usize>,
    sums: &'a mut Sums<T>,
    work: &'a mut ClassWork<T>,
}

impl<T: Number> Work for SumRange<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        with_constant!(self.given.classes.k, K, sum_batches(self.given, K, self.range, self.sums, self.work));
    }
}

#[inline(always)]
fn sum_batches<T: Number>(given: &Given<T>, k: usize, range: Range<usize>, s: &mut Sums<T>, w: &mut ClassWork<T>) {
    let Given { at, classes, .. } = *given;
    let (p, kk) = (classes.p, k * k);
    for sums in s.all() {
        sums.fill(T::all(0.0));
    }
    inverse_lower(&at.lambda, k, &mut w.lambda_inverse);
    for batch in range {
        let m = classes.size[batch];
        let inverse = nth(&at.inverse, batch, kk);
        let (lambda_inverse, half, t) = (&w.lambda_inverse[..kk], &mut w.half[..kk], &mut w.t[..kk]);
        product_of_lower(inverse, lambda_inverse, k, &mut w.q[..kk]);
        times_lower(nth(&classes.a, batch, kk), &at.lambda[..kk], k, half);
        times_lower_transpose(half, inverse, k);
        times_lower_below(half, inverse, k, t);
        add_lower(m, t, k, &mut s.trace[..kk]);
        times_lower_below(half, &w.q[..kk], k, t);
        add_lower(m, t, k, &mut s.t[..kk]);
        whiten(given, k, nth(&at.rzx, batch, k * p), &w.q[..kk], &mut w.f);
        sum_effects(given, k, batch, w);
        let (g, gg, t, product) = (&w.g[..k], &w.gg[..kk], &w.t[..kk], &mut w.product[..kk]);
        add_lower(T::all(1.0), gg, k, &mut s.gg[..kk]);
        // X = 2 (nu / pwrss) g g' - m T + 2 m F Cx F'
        for c in 0..k {
            for r in c..k {
                product[c * k + r] = T::all(given.weight) * gg[c * k + r] - m * t[c * k + r];
            }
        }
        for (f, fg) in w.f.chunks_exact(k).zip(s.fg.chunks_exact_mut(kk)) {
            add_outer(f, g, k, fg);
        }
        if given.reml {
            sum_fixed(m, k, &w.f, s, product);
        }
        for j in 0..k {
            for i in j..k {
                add_lower(t[j * k + i], product, k, nth_mut(&mut s.forms, j * k + i, kk));
            }
        }
    }
}

/// F, column by column, whitened by RX.
#[inline(always)]
fn whiten<T: Number>(given: &Given<T>, k: usize, rzx: &[T], q: &[T], f: &mut [T]) {
    let (p, rx) = (given.classes.p, &given.at.rx);
    f.copy_from_slice(rzx);
    for column in f.chunks_exact_mut(k) {
        lower_transpose_times(q, k, column);
    }
    for j in 0..p {
        let (before, column) = f.split_at_mut(j * k);
        let column = &mut column[..k];
        for (i, other) in before.chunks_exact(k).enumerate() {
            axpy(T::all(-rx[i * p + j]), other, column);
        }
        let scale = T::all(1.0 / rx[j * p + j]);
        for v in column {
            *v *= scale;
        }
    }
}

/// Sums of g, and the lower triangle of those of g g', from those of v and v v'.
#[inline(always)]
fn sum_effects<T: Number>(given: &Given<T>, k: usize, batch: usize, w: &mut ClassWork<T>) {
    let Given { at, classes, .. } = *given;
    let (m, kk) = (classes.size[batch], k * k);
    let (g, fitted, q, gg) = (&mut w.g[..k], &mut w.fitted[..k], &w.q[..kk], &mut w.gg[..kk]);
    fitted.fill(T::all(0.0));
    for (column, b) in nth(&at.rzx, batch, k * classes.p).chunks_exact(k).zip(&at.beta) {
        axpy(T::all(*b), column, fitted);
    }
    let first = nth(&at.first, batch, k);
    for c in 0..k {
        g[c] = first[c] - m * fitted[c];
    }
    if classes.single[batch] {
        lower_transpose_times(q, k, g);
        gg.fill(T::all(0.0));
        add_outer(g, g, k, gg);
        return;
    }
    let product = &mut w.product[..kk];
    product.copy_from_slice(nth(&at.second, batch, kk));
    for c in 0..k {
        for a in 0..k {
            product[c * k + a] -= first[a] * fitted[c] + fitted[a] * g[c];
        }
    }
    lower_transpose_times(q, k, g);
    times_lower(product, q, k, gg);
    for column in gg.chunks_exact_mut(k) {
        lower_transpose_times(q, k, column);
    }
}

/// Adds what REML's fixed effects contribute to the sums and to X.
#[inline(always)]
fn sum_fixed<T: Number>(m: T, k: usize, f: &[T], s: &mut Sums<T>, product: &mut [T]) {
    let (kk, mut sums) = (k * k, s.ff.chunks_exact_mut(k * k));
    let fixed = &mut s.fixed[..kk];
    for (i, own) in f.chunks_exact(k).enumerate() {
        for (other, sum) in f.chunks_exact(k).take(i + 1).zip(&mut sums) {
            for c in 0..k {
                axpy(m * other[c], own, nth_mut(sum, c, k));
            }
        }
        for c in 0..k {
            let weight = m * own[c];
            axpy(weight, &own[c..], &mut fixed[c * k + c..(c + 1) * k]);
            axpy(weight + weight, &own[c..], &mut product[c * k + c..(c + 1) * k]);
        }
    }
}

/// Adds a b'.
#[inline(always)]
fn add_outer<T: Number>(a: &[T], b: &[T], k: usize, sum: &mut [T]) {
    for c in 0..k {
        axpy(b[c], a, nth_mut(sum, c, k));
    }
}

/// Lower triangle of A L for a lower triangular L.
#[inline(always)]
fn times_lower_below<T: Number>(a: &[T], l: &[T], k: usize, out: &mut [T]) {
    for c in 0..k {
        let column = &mut out[c * k + c..(c + 1) * k];
        column.fill(T::all(0.0));
        for s in c..k {
            axpy(l[c * k + s], &a[s * k + c..(s + 1) * k], column);
        }
    }
}

/// The product A B of lower triangular matrices; what is above its diagonal isn't touched.
#[inline(always)]
fn product_of_lower<T: Number>(a: &[T], b: &[T], k: usize, out: &mut [T]) {
    for c in 0..k {
        out[c * k + c..(c + 1) * k].fill(T::all(0.0));
        for s in c..k {
            axpy(b[c * k + s], &a[s * k + s..(s + 1) * k], &mut out[c * k + s..(c + 1) * k]);
        }
    }
}

/// Adds a multiple of the lower triangle of a matrix.
#[inline(always)]
fn add_lower<T: Number>(weight: T, a: &[T], k: usize, sum: &mut [T]) {
    for c in 0..k {
        axpy(weight, &a[c * k + c..(c + 1) * k], &mut sum[c * k + c..(c + 1) * k]);
    }
}
