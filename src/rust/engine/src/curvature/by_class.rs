//! Exact derivatives of models with one grouping factor, by classes of equal levels.
//!
//! With Q = L^-1 Lambda^-1, H = L^-1 Lambda'Z_j'WX and v_j = L^-1 Lambda'z_j - H beta a class has F = Q'H, g_j = Q'v_j and
//! T = A Lambda L^-T Q, and the derivatives (see [`crate::curvature::derivatives`], whose letters are used here) are exact, and so
//! is the trace of P V_k P V_l.

use std::ops::Range;

use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::by_class::Evaluation;
use crate::linalg::blocks::{nth, nth_mut, times_lower_transpose};
use crate::linalg::small::{
    axpy, contract, dot, inverse_lower, lower_times, lower_transpose_times, symmetrise, times_lower, with_constant,
};
use crate::parallel::Workers;
use crate::plan::classes::{class_ranges, Classes};
use crate::plan::design::System;

/// Sums over classes, and the memory that they are formed in.
#[derive(Clone, Debug)]
pub struct ClassCurvature {
    sums: Sums,
    parts: Vec<(Sums, ClassWork)>,
}

/// Sums over classes that the derivatives are made of.
#[derive(Clone, Debug)]
struct Sums {
    /// A Lambda M^-1.
    trace: Vec<f64>,
    /// T.
    t: Vec<f64>,
    /// F (X'V^-1X)^-1 F'.
    fixed: Vec<f64>,
    /// g g'.
    gg: Vec<f64>,
    /// T (x) X with X = 2 (nu / pwrss) g g' - T + 2 F (X'V^-1X)^-1 F', (K x K) x (K x K).
    forms: Vec<f64>,
    /// f g' for each whitened column f of F: p matrices K x K.
    fg: Vec<f64>,
    /// f f' for each pair of these columns, the first not before the second: p (p + 1) / 2 matrices K x K.
    ff: Vec<f64>,
}

/// Memory for one class.
#[derive(Clone, Debug)]
struct ClassWork {
    /// Lambda^-1, which all classes share.
    lambda_inverse: Vec<f64>,
    q: Vec<f64>,
    /// A Lambda L^-T.
    half: Vec<f64>,
    /// A Lambda M^-1.
    block: Vec<f64>,
    t: Vec<f64>,
    /// Sum of v v', then X.
    product: Vec<f64>,
    gg: Vec<f64>,
    ff: Vec<f64>,
    /// Sum of v, then of g.
    g: Vec<f64>,
    /// H beta.
    fitted: Vec<f64>,
    f: Vec<f64>,
}

impl Sums {
    fn new(k: usize, p: usize) -> Self {
        let square = || vec![0.0; k * k];
        Sums {
            trace: square(),
            t: square(),
            fixed: square(),
            gg: square(),
            forms: vec![0.0; k.pow(4)],
            fg: vec![0.0; k * k * p],
            ff: vec![0.0; p * (p + 1) / 2 * k * k],
        }
    }

    fn all(&mut self) -> [&mut Vec<f64>; 7] {
        [&mut self.trace, &mut self.t, &mut self.fixed, &mut self.gg, &mut self.forms, &mut self.fg, &mut self.ff]
    }

    /// Completes T (x) X: T is symmetric.
    fn mirror_forms(&mut self, k: usize) {
        let kk = k * k;
        for j in 0..k {
            for i in j + 1..k {
                self.forms.copy_within((j * k + i) * kk..(j * k + i + 1) * kk, (i * k + j) * kk);
            }
        }
    }

    fn add(&mut self, other: &mut Sums) {
        self.all().into_iter().zip(other.all()).for_each(|(sum, part)| axpy(1.0, part, sum));
    }
}

impl ClassWork {
    fn new(k: usize, p: usize) -> Self {
        let square = || vec![0.0; k * k];
        ClassWork {
            lambda_inverse: square(),
            q: square(),
            half: square(),
            block: square(),
            t: square(),
            product: square(),
            gg: square(),
            ff: square(),
            g: vec![0.0; k],
            fitted: vec![0.0; k],
            f: vec![0.0; k * p],
        }
    }
}

impl ClassCurvature {
    /// Allocates for the classes.
    pub fn new(classes: &Classes) -> Self {
        let (k, p) = (classes.k, classes.p);
        let parts = class_ranges(classes.size.len()).map(|_| (Sums::new(k, p), ClassWork::new(k, p))).collect();
        ClassCurvature { sums: Sums::new(k, p), parts }
    }

    /// Derivatives at the Lambda that was last solved at; its diagonal must not be zero.
    #[allow(clippy::too_many_arguments)]
    pub fn derivatives(
        &mut self,
        design: &System,
        classes: &Classes,
        at: &Evaluation,
        lambda: &[f64],
        nu: f64,
        reml: bool,
        frame: &Frame,
        workers: &Workers,
    ) -> Derivatives {
        workers.for_each(class_ranges(classes.size.len()).zip(&mut self.parts), |(range, (sums, class))| {
            with_constant!(classes.k, K, sum_classes(at, classes, K, range, lambda, nu, reml, sums, class));
        });
        self.sums.all().into_iter().for_each(|v| v.fill(0.0));
        self.parts.iter_mut().for_each(|(sums, _)| self.sums.add(sums));
        self.sums.mirror_forms(classes.k);
        self.assemble(design, at, lambda, nu, reml, frame)
    }

    /// Gradient, D and second derivatives from the sums over classes.
    fn assemble(&self, design: &System, at: &Evaluation, lambda: &[f64], nu: f64, reml: bool, frame: &Frame) -> Derivatives {
        let (k, p, s) = (design.structure.groups[0].k, design.p, &self.sums);
        let weight = nu / at.pwrss;
        let mut covariance = s.t.clone();
        axpy(-1.0, &s.fixed, &mut covariance);
        axpy(-weight, &s.gg, &mut covariance);
        symmetrise(&mut covariance, k);
        let covariance = vec![covariance];
        let gradient =
            if frame.is_engine() { self.gradient(design, lambda, weight) } else { frame.gradient(&design.structure, &covariance) };

        let directions = &frame.directions;
        let n = directions.len();
        let first: Vec<f64> = directions.iter().map(|d| dot(d, &s.gg)).collect();
        let forms: Vec<Vec<f64>> = directions.iter().map(|d| contract(&s.forms, d, k)).collect();
        let fixed: Vec<Vec<f64>> = directions.iter().map(|d| s.fg.chunks_exact(k * k).map(|fg| dot(d, fg)).collect()).collect();
        let cross: Vec<Vec<f64>> = if reml { directions.iter().map(|d| self.cross_product(d, k, p)).collect() } else { Vec::new() };
        let mut hessian = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let mut value = dot(&forms[i], &directions[j]) - 2.0 * weight * dot(&fixed[i], &fixed[j]);
                if reml {
                    value -= dot(&cross[i], &cross[j]);
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
        let mut rest = s.fixed.clone();
        axpy(weight, &s.gg, &mut rest);
        let mut full = vec![0.0; k * k];
        times_lower(&rest, lambda, k, &mut full);
        design.structure.entries.iter().map(|e| 2.0 * (s.trace[e.col * k + e.row] - full[e.col * k + e.row])).collect()
    }

    /// Sum over classes of F'S F, whitened, p x p.
    fn cross_product(&self, s: &[f64], k: usize, p: usize) -> Vec<f64> {
        let mut out = vec![0.0; p * p];
        let mut blocks = self.sums.ff.chunks_exact(k * k);
        for (i, j) in (0..p).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let value = dot(s, blocks.next().expect("one block a pair"));
            (out[j * p + i], out[i * p + j]) = (value, value);
        }
        out
    }
}

/// Sums over a range of classes.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn sum_classes(
    at: &Evaluation,
    classes: &Classes,
    k: usize,
    range: Range<usize>,
    lambda: &[f64],
    nu: f64,
    reml: bool,
    s: &mut Sums,
    w: &mut ClassWork,
) {
    let (p, kk) = (classes.p, k * k);
    let weight = 2.0 * nu / at.pwrss;
    s.all().into_iter().for_each(|v| v.fill(0.0));
    inverse_lower(lambda, k, &mut w.lambda_inverse);
    let [lambda_inverse, q, half, block] = [&mut w.lambda_inverse, &mut w.q, &mut w.half, &mut w.block].map(|v| &mut v[..kk]);
    let [t, product, gg, ff] = [&mut w.t, &mut w.product, &mut w.gg, &mut w.ff].map(|v| &mut v[..kk]);
    let [g, fitted] = [&mut w.g, &mut w.fitted].map(|v| &mut v[..k]);
    for class in range {
        let m = classes.size[class];
        let inverse = nth(&at.inverse, class, kk);
        let rzx = nth(&at.rzx, class, k * p);
        q.copy_from_slice(lambda_inverse);
        q.chunks_exact_mut(k).for_each(|column| lower_times(inverse, k, column));
        times_lower(nth(&classes.a, class, kk), lambda, k, half);
        times_lower_transpose(half, inverse, k);
        times_lower(half, q, k, t);
        symmetrise(t, k);
        times_lower(half, inverse, k, block);
        axpy(m, block, &mut s.trace);
        axpy(m, t, &mut s.t);
        // F, column by column, then whitened by RX
        w.f.copy_from_slice(rzx);
        w.f.chunks_exact_mut(k).for_each(|column| lower_transpose_times(q, k, column));
        for j in 0..p {
            let (before, column) = w.f.split_at_mut(j * k);
            let column = &mut column[..k];
            before.chunks_exact(k).enumerate().for_each(|(i, other)| axpy(-at.rx[i * p + j], other, column));
            let scale = 1.0 / at.rx[j * p + j];
            column.iter_mut().for_each(|v| *v *= scale);
        }
        // sums of v and v v', then of g and g g'
        fitted.fill(0.0);
        rzx.chunks_exact(k).zip(&at.beta).for_each(|(column, b)| axpy(*b, column, fitted));
        let first = nth(&at.first, class, k);
        product.copy_from_slice(nth(&at.second, class, kk));
        for c in 0..k {
            g[c] = first[c] - m * fitted[c];
            (0..k).for_each(|a| product[c * k + a] -= first[a] * fitted[c] + fitted[a] * g[c]);
        }
        lower_transpose_times(q, k, g);
        times_lower(product, q, k, gg);
        gg.chunks_exact_mut(k).for_each(|column| lower_transpose_times(q, k, column));
        axpy(1.0, gg, &mut s.gg);
        // X = 2 (nu / pwrss) g g' - m T + 2 m F Cx F'
        (0..kk).for_each(|i| product[i] = weight * gg[i] - m * t[i]);
        for (f, fg) in w.f.chunks_exact(k).zip(s.fg.chunks_exact_mut(kk)) {
            (0..k).for_each(|c| axpy(g[c], f, nth_mut(fg, c, k)));
        }
        if reml {
            ff.fill(0.0);
            w.f.chunks_exact(k).for_each(|f| (0..k).for_each(|c| axpy(f[c], f, nth_mut(ff, c, k))));
            axpy(m, ff, &mut s.fixed);
            axpy(2.0 * m, ff, product);
            let mut sums = s.ff.chunks_exact_mut(kk);
            for (i, f) in w.f.chunks_exact(k).enumerate() {
                for (other, sum) in w.f.chunks_exact(k).take(i + 1).zip(&mut sums) {
                    (0..k).for_each(|c| axpy(m * other[c], f, nth_mut(sum, c, k)));
                }
            }
        }
        for (j, columns) in s.forms.chunks_exact_mut(k * kk).enumerate() {
            columns.chunks_exact_mut(kk).enumerate().skip(j).for_each(|(i, sum)| axpy(t[j * k + i], product, sum));
        }
    }
}
