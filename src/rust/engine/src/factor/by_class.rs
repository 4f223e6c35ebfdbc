//! Models with one grouping factor: M is block diagonal, and levels with the same blocks need one factorisation.
//!
//! Levels whose blocks of Z'WZ and Z'WX are equal form a class. Within a class the response enters only through
//! m = number of levels, s = sum of z_j and S = sum of z_j z_j' with z_j = Z_j'Wy, so that one evaluation costs
//! nothing per level of a balanced design. With R = Lambda^-T L^-T, H = L^-1 Lambda'Z_j'WX and v_j = L^-1 Lambda'z_j
//! - H beta a class has F = R H, g_j = R v_j and T = A Lambda L^-T R', and the derivatives (see
//! [`crate::curvature::derivatives`], whose letters are used here) are exact, and so is the trace of P V_k P V_l.

use std::collections::HashMap;
use std::ops::Range;

use crate::curvature::derivatives::{Derivatives, Frame};
use crate::linalg::small::*;
use crate::parallel::{pieces, ranges, Workers};
use crate::products::design::Design;

/// Levels after which it shows whether a design is balanced.
const SAMPLE: usize = 1000;

/// The classes of a design.
#[derive(Clone, Debug)]
pub struct Classes {
    k: usize,
    p: usize,
    /// Class of each level.
    class_of: Vec<u32>,
    /// Number of levels of each class.
    size: Vec<f64>,
    /// A = Z_j'WZ_j of each class, K x K.
    a: Vec<f64>,
    /// Z_j'WX of each class, K rows of length p.
    zx: Vec<f64>,
}

/// What a response contributes, class by class.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Sum of z_j, K per class.
    pub first: Vec<f64>,
    /// Sum of z_j z_j', K x K per class.
    pub second: Vec<f64>,
}

/// What an evaluation leaves behind, and the memory it works in.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// log |M|.
    pub log_det_m: f64,
    /// log |X'V^-1X|.
    pub log_det_x: f64,
    /// Penalised residual sum of squares.
    pub r2: f64,
    /// Coefficients of the engine's X.
    pub beta: Vec<f64>,
    /// Lower Cholesky factor of X'V^-1X.
    pub xvx: Vec<f64>,
    l: Vec<f64>,
    hx: Vec<f64>,
    h1: Vec<f64>,
    h2: Vec<f64>,
    xvy: Vec<f64>,
    sums: Sums,
    parts: Vec<Part>,
}

/// What a range of classes adds, and the memory for it.
#[derive(Clone, Debug)]
struct Part {
    log_det_m: f64,
    r2: f64,
    xvx: Vec<f64>,
    xvy: Vec<f64>,
    positive: bool,
    sums: Sums,
    class: ClassWork,
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
    /// T (x) X with X = 2 (nu / r2) g g' - T + 2 F (X'V^-1X)^-1 F', (K x K) x (K x K).
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

impl Classes {
    /// The classes of a design with one grouping factor.
    pub fn new(design: &Design) -> Self {
        let group = &design.structure.groups[0];
        let (k, p) = (group.k, design.p);
        let mut found: HashMap<Vec<u64>, u32> = HashMap::new();
        let mut out = Classes { k, p, class_of: Vec::with_capacity(group.levels), size: Vec::new(), a: Vec::new(), zx: Vec::new() };
        for level in 0..group.levels {
            let a = &design.diagonal[0][level * k * k..(level + 1) * k * k];
            let zx = &design.zx[level * k * p..(level + 1) * k * p];
            let mut new_class = || {
                out.size.push(0.0);
                out.a.extend_from_slice(a);
                out.zx.extend_from_slice(zx);
                out.size.len() as u32 - 1
            };
            // Looking for equals is given up where the first levels have few.
            let class = if level >= SAMPLE && found.len() > SAMPLE / 2 {
                new_class()
            } else {
                let key: Vec<u64> = a.iter().chain(zx).map(|v| v.to_bits()).collect();
                *found.entry(key).or_insert_with(new_class)
            };
            out.size[class as usize] += 1.0;
            out.class_of.push(class);
        }
        out
    }

    /// Moments of a response from its Z'Wy.
    pub fn moments(&self, zy: &[f64]) -> Moments {
        let mut out = Moments { first: vec![0.0; self.size.len() * self.k], second: vec![0.0; self.a.len()] };
        self.fill_moments(zy, &mut out);
        out
    }

    /// Overwrites the moments by those of another response.
    pub fn fill_moments(&self, zy: &[f64], out: &mut Moments) {
        let k = self.k;
        out.first.fill(0.0);
        out.second.fill(0.0);
        for (z, &class) in zy.chunks_exact(k).zip(&self.class_of) {
            let class = class as usize;
            axpy(1.0, z, &mut out.first[class * k..(class + 1) * k]);
            for c in 0..k {
                axpy(z[c], z, &mut out.second[(class * k + c) * k..(class * k + c + 1) * k]);
            }
        }
    }

    /// Allocates for the classes.
    pub fn evaluation(&self) -> Evaluation {
        let (k, p, n) = (self.k, self.p, self.size.len());
        let kk = k * k;
        Evaluation {
            log_det_m: 0.0,
            log_det_x: 0.0,
            r2: 0.0,
            beta: vec![0.0; p],
            xvx: vec![0.0; p * p],
            l: vec![0.0; n * kk],
            hx: vec![0.0; n * k * p],
            h1: vec![0.0; n * k],
            h2: vec![0.0; n * kk],
            xvy: vec![0.0; p],
            sums: Sums::new(k, p),
            parts: class_ranges(n).map(|_| Part::new(k, p)).collect(),
        }
    }
}

/// The ranges of classes whose sums are formed one by one.
fn class_ranges(classes: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    ranges(classes, 1024, 64)
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

impl Part {
    fn new(k: usize, p: usize) -> Self {
        let square = || vec![0.0; k * k];
        let class = ClassWork {
            block: square(),
            product: square(),
            r: square(),
            t: square(),
            gg: square(),
            g: vec![0.0; k],
            f: vec![0.0; k * p],
            w: vec![0.0; k],
            v: vec![0.0; k],
        };
        Part { log_det_m: 0.0, r2: 0.0, xvx: vec![0.0; p * p], xvy: vec![0.0; p], positive: true, sums: Sums::new(k, p), class }
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
        hx: &mut [f64],
        h1: &mut [f64],
        h2: &mut [f64],
    ) {
        let (p, kk) = (classes.p, k * k);
        self.xvx.fill(0.0);
        self.xvy.fill(0.0);
        (self.r2, self.log_det_m, self.positive) = (0.0, 0.0, true);
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
            self.log_det_m += 2.0 * m * log_diagonal(l, k);
            let hx = &mut hx[i * k * p..(i + 1) * k * p];
            let zx = &classes.zx[class * k * p..(class + 1) * k * p];
            for r in 0..k {
                let row = &mut hx[r * p..(r + 1) * p];
                row.fill(0.0);
                (r..k).for_each(|s| axpy(lambda[r * k + s], &zx[s * p..(s + 1) * p], row));
            }
            solve_lower_rows(l, k, hx, p);
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
                let row = &hx[r * p..(r + 1) * p];
                axpy(-h1[r], row, &mut self.xvy);
                for c in 0..p {
                    axpy(-m * row[c], &row[c..], &mut self.xvx[c * p + c..(c + 1) * p]);
                }
                self.r2 -= h2[r * k + r];
            }
        }
    }
}

impl Evaluation {
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
            let (l, hx, h1, h2) = (&mut self.l, &mut self.hx, &mut self.h1, &mut self.h2);
            with_constant!(k, K, part.solve(classes, K, 0..n, lambda, moments, l, hx, h1, h2));
        } else {
            let cuts = || class_ranges(n);
            let l = pieces(&mut self.l, cuts().map(|r| r.len() * kk));
            let hx = pieces(&mut self.hx, cuts().map(|r| r.len() * k * p));
            let h1 = pieces(&mut self.h1, cuts().map(|r| r.len() * k));
            let h2 = pieces(&mut self.h2, cuts().map(|r| r.len() * kk));
            let items = cuts().zip(&mut self.parts).zip(l.into_iter().zip(hx)).zip(h1.into_iter().zip(h2));
            workers.for_each(items, |(((range, part), (l, hx)), (h1, h2))| {
                with_constant!(k, K, part.solve(classes, K, range, lambda, moments, l, hx, h1, h2));
            });
        }
        self.xvx.copy_from_slice(xx);
        self.xvy.copy_from_slice(xy);
        (self.r2, self.log_det_m) = (yy, 0.0);
        for part in &self.parts {
            if !part.positive {
                return false;
            }
            axpy(1.0, &part.xvx, &mut self.xvx);
            axpy(1.0, &part.xvy, &mut self.xvy);
            self.r2 += part.r2;
            self.log_det_m += part.log_det_m;
        }
        if !cholesky(&mut self.xvx, p) {
            return false;
        }
        self.log_det_x = 2.0 * log_diagonal(&self.xvx, p);
        self.beta.copy_from_slice(&self.xvy);
        solve_lower(&self.xvx, p, &mut self.beta);
        self.r2 -= dot(&self.beta, &self.beta);
        solve_lower_transpose(&self.xvx, p, &mut self.beta);
        self.r2 = self.r2.max(f64::EPSILON * f64::EPSILON * yy.max(f64::MIN_POSITIVE));
        self.log_det_m.is_finite() && self.log_det_x.is_finite()
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
                (0..k).for_each(|r| u[r] -= dot(&self.hx[(class * k + r) * p..(class * k + r + 1) * p], &self.beta));
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

    /// Derivatives at the Lambda that was last solved at; its diagonal must not be zero.
    #[allow(clippy::too_many_arguments)]
    pub fn derivatives(
        &mut self,
        design: &Design,
        classes: &Classes,
        lambda: &[f64],
        nu: f64,
        reml: bool,
        frame: &Frame,
        workers: &Workers,
    ) -> Derivatives {
        let mut parts = std::mem::take(&mut self.parts);
        workers.for_each(class_ranges(classes.size.len()).zip(&mut parts), |(range, part)| {
            with_constant!(classes.k, K, self.sum_classes(classes, K, range, lambda, nu, reml, &mut part.sums, &mut part.class));
        });
        self.sums.all().into_iter().for_each(|v| v.fill(0.0));
        parts.iter_mut().for_each(|part| self.sums.add(&mut part.sums));
        self.parts = parts;
        self.assemble(design, lambda, nu, reml, frame)
    }

    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    fn sum_classes(
        &self,
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
        let weight = 2.0 * nu / self.r2;
        s.all().into_iter().for_each(|v| v.fill(0.0));
        for class in range {
            let m = classes.size[class];
            let l = &self.l[class * kk..(class + 1) * kk];
            let hx = &self.hx[class * k * p..(class + 1) * k * p];
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
                (0..k).for_each(|b| axpy(w.r[b * k + a], &hx[b * p..(b + 1) * p], row));
                solve_lower(&self.xvx, p, row);
            }
            // sums of v and v v', then of g and g g'
            for a in 0..k {
                w.w[a] = dot(&hx[a * p..(a + 1) * p], &self.beta);
            }
            let h1 = &self.h1[class * k..(class + 1) * k];
            for c in 0..k {
                for a in 0..k {
                    w.product[c * k + a] = self.h2[class * kk + c * k + a] - h1[a] * w.w[c] - w.w[a] * h1[c] + m * w.w[a] * w.w[c];
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
            // X = 2 (nu / r2) g g' - m T + 2 m F Cx F'
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

    /// Gradient, D and second derivatives from the sums over classes.
    fn assemble(&self, design: &Design, lambda: &[f64], nu: f64, reml: bool, frame: &Frame) -> Derivatives {
        let (k, p, s) = (design.structure.groups[0].k, design.p, &self.sums);
        let weight = nu / self.r2;
        let mut covariance = s.t.clone();
        axpy(-1.0, &s.fixed, &mut covariance);
        axpy(-weight, &s.gg, &mut covariance);
        symmetrise(&mut covariance, k);
        let covariance = vec![covariance];
        let gradient =
            if frame.is_theta() { frame.gradient(&design.structure, &covariance) } else { self.gradient(design, lambda, weight) };

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
                value -= nu * first[i] * first[j] / (self.r2 * self.r2);
                hessian[j * n + i] = value;
                hessian[i * n + j] = value;
            }
        }
        frame.add_second_order(&design.structure, &covariance, &mut hessian);
        Derivatives { gradient, hessian, covariance }
    }

    /// 2 [A Lambda M^-1 - (F Cx F' + (nu / r2) g g') Lambda] at the free elements.
    fn gradient(&self, design: &Design, lambda: &[f64], weight: f64) -> Vec<f64> {
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

/// Sum of s[a, b] v[a, b] over blocks v of length p.
fn combine(s: &[f64], v: &[f64], p: usize) -> Vec<f64> {
    let mut out = vec![0.0; p];
    for (i, s) in s.iter().enumerate() {
        axpy(*s, &v[i * p..(i + 1) * p], &mut out);
    }
    out
}
