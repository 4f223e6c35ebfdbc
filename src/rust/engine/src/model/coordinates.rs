//! Lambda and sigma in coordinates one of which is the parameter that a profile holds at a value: sigma, or a standard deviation, a
//! correlation or a covariance of a term's effects.
//!
//! Any factor of a term's covariance may be its Lambda. The one used here makes the held parameter simple: with a basis B of the term's
//! rows, whose first rows are those of the caller's columns that the parameter is about (over their lengths), B Lambda Q = L is lower
//! triangular for an orthogonal Q. With tau = log sigma in the unit of the engine's response,
//!
//! ```text
//! sigma                 exp(tau)
//! standard deviation    exp(tau) L11: held at c, L11 = c exp(-tau)
//! correlation cos(phi)  (L21, L22) = t (cos(phi), sin(phi)); L11 = r^2 and t = v^2, which have no bounds, for their signs don't matter
//! covariance            exp(2 tau) L11 L21: held at c, L21 = c exp(-2 tau) / L11
//! ```
//!
//! All of these are smooth, even where a standard deviation is zero and a correlation one.

use crate::linalg::blocks::{make_lower_triangular, nth};
use crate::linalg::small::dot;
use crate::model::basis::{plain_terms, product, set_basis, TermBasis};
use crate::model::lambda::{flip_columns, free_elements, lambda_of, set_term_block, term_block, Lambda};
use crate::model::structure::Structure;

/// A parameter of the covariance: a function of Lambda and sigma, in the caller's columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Held {
    /// The residual standard deviation.
    Sigma,
    /// Standard deviation of the effects of column `row` of a term.
    Deviation {
        /// The term.
        term: usize,
        /// The column.
        row: usize,
    },
    /// Correlation of the effects of two columns of a term.
    Correlation {
        /// The term.
        term: usize,
        /// The columns.
        rows: (usize, usize),
    },
    /// Their covariance.
    Covariance {
        /// The term.
        term: usize,
        /// The columns.
        rows: (usize, usize),
    },
}

/// The coordinates in which a parameter is held: as many as theta has elements, and one. The held parameter's is at [`Coordinates::held`];
/// tau is the last one, unless it is that.
#[derive(Clone, Debug)]
pub struct Coordinates<'a> {
    structure: &'a Structure,
    parameter: Held,
    /// The terms, in the order of theta.
    pub terms: Vec<TermBasis>,
    /// The coordinate that is held.
    pub held: usize,
    /// What a parameter of one is in the engine's units.
    unit: f64,
    /// Product of the lengths of the rows that it is about.
    length: f64,
    /// Elements L11, L21 and L22 of the held term.
    corner: [usize; 3],
}

impl<'a> Coordinates<'a> {
    /// For a parameter of a model whose response was divided by `scale`.
    pub fn new(structure: &'a Structure, parameter: Held, scale: f64) -> Self {
        let mut terms = plain_terms(structure);
        let (tau, mut unit, mut length, mut corner) = (structure.entries.len(), 1.0 / scale, 1.0, [0; 3]);
        let about = match parameter {
            Held::Sigma => None,
            Held::Deviation { term, row } => Some((term, vec![row])),
            Held::Correlation { term, rows } | Held::Covariance { term, rows } => Some((term, vec![rows.0, rows.1])),
        };
        if let Some((term, rows)) = about {
            let lengths = set_basis(structure, &mut terms[term], &rows);
            let own = &terms[term];
            corner = [own.place(0, 0), if own.k > 1 { own.place(1, 0) } else { 0 }, if own.k > 1 { own.place(1, 1) } else { 0 }];
            unit = match parameter {
                Held::Correlation { .. } => 1.0,
                _ => lengths.iter().map(|length| 1.0 / (scale * length)).product(),
            };
            length = lengths.iter().product();
        }
        let held = match parameter {
            Held::Sigma => tau,
            Held::Deviation { .. } => corner[0],
            Held::Correlation { .. } | Held::Covariance { .. } => corner[1],
        };
        Coordinates { structure, parameter, terms, held, unit, length, corner }
    }

    /// The held coordinate of a value of the parameter.
    pub fn coordinate(&self, value: f64) -> f64 {
        match self.parameter {
            Held::Correlation { .. } => value.clamp(-1.0, 1.0).acos(),
            _ => value * self.unit,
        }
    }

    /// Derivative of the held coordinate in the parameter; infinite where a correlation is one.
    pub fn rate(&self, value: f64) -> f64 {
        match self.parameter {
            Held::Correlation { .. } => -1.0 / (1.0 - value * value).sqrt(),
            _ => self.unit,
        }
    }

    /// A natural size of the parameter, from those of the rows of L.
    pub fn natural_size(&self, sizes: &[f64], sigma: f64) -> f64 {
        match self.parameter {
            Held::Sigma => sigma,
            Held::Correlation { .. } => 1.0,
            Held::Deviation { .. } => sigma * sizes[self.corner[0]] * self.length,
            Held::Covariance { .. } => sigma * sigma * sizes[self.corner[0]] * sizes[self.corner[2]] * self.length,
        }
    }

    /// Where coordinates stand that are no elements of a Lambda but their roots.
    pub fn roots(&self) -> Option<[usize; 2]> {
        matches!(self.parameter, Held::Correlation { .. }).then_some([self.corner[0], self.corner[2]])
    }

    /// Coordinates of a Lambda and tau = log sigma.
    pub fn of(&self, lambda: &Lambda, tau: f64) -> Vec<f64> {
        let mut y = free_elements(self.structure, lambda);
        for term in self.terms.iter().filter(|term| term.held > 0) {
            let k = term.k;
            let own = term_block(&lambda[term.group], self.structure.groups[term.group].k, term.first, k);
            let mut l = product(&term.basis, &own, k);
            make_lower_triangular(&mut l, k, &vec![0.0; k]);
            if l[0] == 0.0 && k > 1 {
                uncorrelate(&mut l, k);
            }
            let l = flip_columns(&l, k);
            for c in 0..k {
                (c..k).for_each(|r| y[term.place(r, c)] = l[c * k + r]);
            }
        }
        y.push(tau);
        let [a, b, c] = self.corner;
        match self.parameter {
            Held::Sigma => y[self.held] = tau.exp(),
            Held::Deviation { .. } => y[a] *= tau.exp(),
            Held::Correlation { .. } => {
                let t = y[b].hypot(y[c]);
                let angle = if t == 0.0 { UNCORRELATED } else { y[c].atan2(y[b]) };
                (y[a], y[b], y[c]) = (y[a].sqrt(), angle, t.sqrt());
            }
            Held::Covariance { .. } => y[b] *= y[a] * (2.0 * tau).exp(),
        }
        y
    }

    /// The elements of L and tau at coordinates.
    pub fn elements(&self, z: &[f64]) -> Vec<f64> {
        let tau = z.len() - 1;
        let mut y = z.to_vec();
        let [a, b, c] = self.corner;
        match self.parameter {
            Held::Sigma => y[tau] = z[self.held].ln(),
            Held::Deviation { .. } => y[a] = z[a] * (-z[tau]).exp(),
            Held::Correlation { .. } => {
                let t = z[c] * z[c];
                (y[a], y[b], y[c]) = (z[a] * z[a], t * z[b].cos(), t * z[b].sin());
            }
            Held::Covariance { .. } => y[b] = z[b] * (-2.0 * z[tau]).exp() / pivot(z[a]),
        }
        y
    }

    /// Calls `first(element, coordinate, derivative)` for the derivatives of the elements that aren't those of equal coordinates, and
    /// `second(element, coordinate, coordinate, derivative)` for their second derivatives, one of both orders.
    fn bend(&self, z: &[f64], y: &[f64], first: &mut dyn FnMut(usize, usize, f64), second: &mut dyn FnMut(usize, usize, usize, f64)) {
        let tau = z.len() - 1;
        let [a, b, c] = self.corner;
        match self.parameter {
            Held::Sigma => {
                let s = z[tau];
                first(tau, tau, 1.0 / s);
                second(tau, tau, tau, -1.0 / (s * s));
            }
            Held::Deviation { .. } => {
                let e = (-z[tau]).exp();
                first(a, a, e);
                first(a, tau, -y[a]);
                second(a, a, tau, -e);
                second(a, tau, tau, y[a]);
            }
            Held::Correlation { .. } => {
                let (v, cos, sin) = (z[c], z[b].cos(), z[b].sin());
                first(a, a, 2.0 * z[a]);
                second(a, a, a, 2.0);
                for (element, x, slope) in [(b, cos, -sin), (c, sin, cos)] {
                    first(element, c, 2.0 * v * x);
                    first(element, b, v * v * slope);
                    second(element, c, c, 2.0 * x);
                    second(element, b, c, 2.0 * v * slope);
                    second(element, b, b, -v * v * x);
                }
            }
            Held::Covariance { .. } => {
                let e = (-2.0 * z[tau]).exp() / pivot(z[a]);
                first(b, b, e);
                first(b, tau, -2.0 * y[b]);
                first(b, a, -y[b] / pivot(z[a]));
                second(b, b, tau, -2.0 * e);
                second(b, a, b, -e / pivot(z[a]));
                second(b, tau, tau, 4.0 * y[b]);
                second(b, a, tau, 2.0 * y[b] / pivot(z[a]));
                second(b, a, a, 2.0 * y[b] / (z[a] * z[a]).max(f64::MIN_POSITIVE));
            }
        }
    }

    /// The elements whose derivatives [`Coordinates::bend`] gives.
    fn bent(&self) -> Vec<usize> {
        match self.parameter {
            Held::Sigma | Held::Deviation { .. } => vec![self.held],
            Held::Correlation { .. } => self.corner.to_vec(),
            Held::Covariance { .. } => vec![self.corner[1]],
        }
    }

    /// Gradient and second derivatives in the coordinates from those in the elements of L and tau, in place.
    pub fn chain(&self, z: &[f64], y: &[f64], gradient: &mut Vec<f64>, hessian: &mut Vec<f64>) {
        let n = z.len();
        let mut jacobian = vec![0.0; n * n]; // element (row) by coordinate (column)
        let bent = self.bent();
        (0..n).filter(|i| !bent.contains(i)).for_each(|i| jacobian[i * n + i] = 1.0);
        let mut bends = vec![0.0; n * n];
        self.bend(z, y, &mut |i, j, d| jacobian[j * n + i] = d, &mut |i, j, k, d| {
            bends[k * n + j] += d * gradient[i];
            if j != k {
                bends[j * n + k] += d * gradient[i];
            }
        });
        let mut half = vec![0.0; n * n];
        for j in 0..n {
            let column = nth(&jacobian, j, n);
            for (i, x) in column.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                (0..n).for_each(|r| half[j * n + r] += x * hessian[i * n + r]);
            }
        }
        for j in 0..n {
            for i in 0..n {
                bends[j * n + i] += dot(nth(&jacobian, i, n), nth(&half, j, n));
            }
        }
        *gradient = jacobian.chunks_exact(n).map(|column| dot(column, gradient)).collect();
        *hessian = bends;
    }

    /// The engine's Lambda of the elements of L.
    pub fn lambda(&self, y: &[f64]) -> Lambda {
        let mut lambda = lambda_of(self.structure, &y[..y.len() - 1]);
        for term in self.terms.iter().filter(|term| term.held > 0) {
            let (k, big_k) = (term.k, self.structure.groups[term.group].k);
            let mut own = product(&term.inverse, &term.triangle(y), k);
            make_lower_triangular(&mut own, k, &vec![0.0; k]);
            set_term_block(&mut lambda[term.group], big_k, term.first, k, &own);
        }
        lambda
    }

    /// Per element of L the direction d(Lambda Lambda') of the engine's Lambda, K x K of its group.
    pub fn directions(&self, y: &[f64]) -> Vec<Vec<f64>> {
        let mut out = Vec::with_capacity(y.len() - 1);
        for term in &self.terms {
            let (k, big_k) = (term.k, self.structure.groups[term.group].k);
            let l = term.triangle(y);
            for c in 0..k {
                for r in c..k {
                    let mut s = vec![0.0; k * k];
                    for i in 0..k {
                        s[i * k + r] += l[c * k + i];
                        s[r * k + i] += l[c * k + i];
                    }
                    term.to_engine(&mut s);
                    let mut whole = vec![0.0; big_k * big_k];
                    set_term_block(&mut whole, big_k, term.first, k, &s);
                    out.push(whole);
                }
            }
        }
        out
    }

    /// What the derivatives D in the covariances add to the second derivatives in the elements, which are `n` with tau: two of one column
    /// of L have a mixed second derivative of Lambda Lambda'.
    pub fn add_second_order(&self, covariance: &[Vec<f64>], hessian: &mut [f64], n: usize) {
        for term in &self.terms {
            let d = self.own_derivative(term, covariance);
            for c in 0..term.k {
                for r in c..term.k {
                    (c..term.k).for_each(|s| hessian[term.place(s, c) * n + term.place(r, c)] += 2.0 * d[s * term.k + r]);
                }
            }
        }
    }

    /// The derivative in the covariance of a term's L.
    pub fn own_derivative(&self, term: &TermBasis, covariance: &[Vec<f64>]) -> Vec<f64> {
        let mut d = term_block(&covariance[term.group], self.structure.groups[term.group].k, term.first, term.k);
        term.pull_back(&mut d);
        d
    }

    /// Per element of L the size of its row for sizes of the rows of the engine's Lambda, in the order of theta.
    pub fn row_sizes(&self, natural: &[f64]) -> Vec<f64> {
        let mut out = natural.to_vec();
        for term in self.terms.iter().filter(|term| term.held > 0) {
            let k = term.k;
            let own: Vec<f64> = (0..k).map(|r| natural[term.place(r, r)]).collect();
            for r in 0..k {
                let size = (0..k).map(|j| (term.basis[j * k + r] * own[j]).powi(2)).sum::<f64>().sqrt();
                (0..=r).for_each(|c| out[term.place(r, c)] = size);
            }
        }
        out
    }
}

/// The angle of a correlation of zero.
const UNCORRELATED: f64 = std::f64::consts::FRAC_PI_2;

/// A divisor that may come near zero but isn't.
fn pivot(x: f64) -> f64 {
    if x.abs() < 1e-150 {
        1e-150_f64.copysign(x)
    } else {
        x
    }
}

/// Effects that don't vary are correlated with none: where the first row is zero, the columns are turned so that the second row has nothing
/// in the first column.
fn uncorrelate(l: &mut [f64], k: usize) {
    let (x, y) = (l[1], l[k + 1]);
    let h = x.hypot(y);
    if h == 0.0 {
        return;
    }
    for i in 1..k {
        let (p, q) = (l[i], l[k + i]);
        l[i] = (y * p - x * q) / h;
        l[k + i] = (y * q + x * p) / h;
    }
}
