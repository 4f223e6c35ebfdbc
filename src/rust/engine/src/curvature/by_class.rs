//! Exact derivatives of models with one grouping factor, by classes of equal levels.
//!
//! With R = Lambda^-T L^-T, H = L^-1 Lambda'Z_j'WX and v_j = L^-1 Lambda'z_j - H beta a class has F = R H, g_j = R v_j and
//! T = A Lambda L^-T R', and the derivatives (see [`crate::curvature::derivatives`], whose letters are used here) are exact, and so
//! is the trace of P V_k P V_l.

use std::ops::Range;

use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::by_class::Evaluation;
use crate::linalg::small::{
    axpy, contract, dot, solve_lower, solve_lower_rows, solve_lower_transpose, solve_lower_transpose_rows, symmetrise, times_lower,
    with_constant,
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
    /// f_a (x) g_b for whitened rows f_a of F: K x K x p.
    fg: Vec<f64>,
    /// f_a f_b' for a >= b: K (K + 1) / 2 matrices p x p.
    ff: Vec<f64>,
}

#[derive(Clone, Debug)]
struct ClassWork {
    block: Vec<f64>,
    product: Vec<f64>,
    r: Vec<f64>,
    t: Vec<f64>,
    gg: Vec<f64>,
    g: Vec<f64>,
    f: Vec<f64>,
    w: Vec<f64>,
    v: Vec<f64>,
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
            ff: vec![0.0; k * (k + 1) / 2 * p * p],
        }
    }

    fn all(&mut self) -> [&mut Vec<f64>; 7] {
        [&mut self.trace, &mut self.t, &mut self.fixed, &mut self.gg, &mut self.forms, &mut self.fg, &mut self.ff]
    }

    fn add(&mut self, other: &mut Sums) {
        self.all().into_iter().zip(other.all()).for_each(|(sum, part)| axpy(1.0, part, sum));
    }
}

impl ClassWork {
    fn new(k: usize, p: usize) -> Self {
        let square = || vec![0.0; k * k];
        ClassWork {
            block: square(),
            product: square(),
            r: square(),
            t: square(),
            gg: square(),
            g: vec![0.0; k],
            f: vec![0.0; k * p],
            w: vec![0.0; k],
            v: vec![0.0; k],
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
        let fixed: Vec<Vec<f64>> = directions.iter().map(|d| combine(d, &s.fg, p)).collect();
        let b: Vec<Vec<f64>> =
            if reml && p > 0 { directions.iter().map(|d| self.weighted_cross_product(d, k, p)).collect() } else { Vec::new() };
        let mut hessian = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let mut value = contract(&s.forms, &directions[i], &directions[j], k);
                value -= 2.0 * weight * dot(&fixed[i], &fixed[j]);
                if !b.is_empty() {
                    value -= dot(&b[i], &b[j]);
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

    /// Sum over classes of F'S F, whitened.
    fn weighted_cross_product(&self, s: &[f64], k: usize, p: usize) -> Vec<f64> {
        let mut out = vec![0.0; p * p];
        let mut at = 0;
        for c in 0..k {
            for a in c..k {
                let ff = &self.sums.ff[at..at + p * p];
                let weight = s[c * k + a];
                if a == c {
                    axpy(weight, ff, &mut out);
                } else {
                    for j in 0..p {
                        for i in 0..p {
                            out[j * p + i] += weight * (ff[j * p + i] + ff[i * p + j]);
                        }
                    }
                }
                at += p * p;
            }
        }
        out
    }
}

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
    let reml = reml && p > 0;
    let weight = 2.0 * nu / at.pwrss;
    s.all().into_iter().for_each(|v| v.fill(0.0));
    for class in range {
        let m = classes.size[class];
        let l = &at.l[class * kk..(class + 1) * kk];
        let rzx = &at.rzx[class * k * p..(class + 1) * k * p];
        // R = Lambda^-T L^-T, column by column
        w.r.fill(0.0);
        for c in 0..k {
            let column = &mut w.r[c * k..(c + 1) * k];
            column[c] = 1.0;
            solve_lower_transpose(l, k, column);
            solve_lower_transpose(lambda, k, column);
        }
        // A Lambda M^-1 by its transpose M^-1 Lambda'A, and T = A Lambda L^-T R'
        times_lower(&classes.a[class * kk..(class + 1) * kk], lambda, k, &mut w.block);
        solve_lower_rows(l, k, &mut w.block, k); // A Lambda L^-T
        w.t.fill(0.0);
        for c in 0..k {
            for a in 0..k {
                axpy(w.r[a * k + c], &w.block[a * k..(a + 1) * k], &mut w.t[c * k..(c + 1) * k]);
            }
        }
        symmetrise(&mut w.t, k);
        solve_lower_transpose_rows(l, k, &mut w.block, k); // A Lambda M^-1
        axpy(m, &w.block, &mut s.trace);
        axpy(m, &w.t, &mut s.t);
        // F = R H, then whitened by X'V^-1X
        for a in 0..k {
            let row = &mut w.f[a * p..(a + 1) * p];
            row.fill(0.0);
            (0..k).for_each(|b| axpy(w.r[b * k + a], &rzx[b * p..(b + 1) * p], row));
            solve_lower(&at.rx, p, row);
        }
        // sums of v and v v', then of g and g g'
        for a in 0..k {
            w.w[a] = dot(&rzx[a * p..(a + 1) * p], &at.beta);
        }
        let h1 = &at.h1[class * k..(class + 1) * k];
        for c in 0..k {
            for a in 0..k {
                w.product[c * k + a] = at.h2[class * kk + c * k + a] - h1[a] * w.w[c] - w.w[a] * h1[c] + m * w.w[a] * w.w[c];
            }
            w.v[c] = h1[c] - m * w.w[c];
        }
        w.g.fill(0.0);
        (0..k).for_each(|b| axpy(w.v[b], &w.r[b * k..(b + 1) * k], &mut w.g));
        w.gg.fill(0.0);
        for c in 0..k {
            w.v.fill(0.0); // column c of R times the sum of v v'
            for b in 0..k {
                axpy(w.r[b * k + c], &w.product[b * k..(b + 1) * k], &mut w.v);
            }
            for b in 0..k {
                axpy(w.v[b], &w.r[b * k..(b + 1) * k], &mut w.gg[c * k..(c + 1) * k]);
            }
        }
        axpy(1.0, &w.gg, &mut s.gg);
        // X = 2 (nu / pwrss) g g' - m T + 2 m F Cx F'
        for i in 0..kk {
            w.product[i] = weight * w.gg[i] - m * w.t[i];
        }
        if reml {
            for c in 0..k {
                for a in 0..k {
                    let x = dot(&w.f[a * p..(a + 1) * p], &w.f[c * p..(c + 1) * p]);
                    w.product[c * k + a] += 2.0 * m * x;
                    s.fixed[c * k + a] += m * x;
                }
            }
            let mut at = 0;
            for c in 0..k {
                for a in c..k {
                    for j in 0..p {
                        axpy(m * w.f[c * p + j], &w.f[a * p..(a + 1) * p], &mut s.ff[at + j * p..at + (j + 1) * p]);
                    }
                    at += p * p;
                }
            }
        }
        for c in 0..k {
            for a in 0..k {
                axpy(w.g[c], &w.f[a * p..(a + 1) * p], &mut s.fg[(c * k + a) * p..(c * k + a + 1) * p]);
            }
        }
        for i in 0..kk {
            axpy(w.t[i], &w.product, &mut s.forms[i * kk..(i + 1) * kk]);
        }
    }
}

/// Sum of s[a, b] v[a, b] over blocks v of length p.
fn combine(s: &[f64], v: &[f64], p: usize) -> Vec<f64> {
    let mut out = vec![0.0; p];
    for (i, s) in s.iter().enumerate() {
        axpy(*s, &v[i * p..(i + 1) * p], &mut out);
    }
    out
}
