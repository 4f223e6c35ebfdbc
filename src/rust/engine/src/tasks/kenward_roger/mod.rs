//! Kenward and Roger's small-sample inference for the fixed effects (1997, doi:10.2307/2533558), without an n x n matrix.
//!
//! With V = sigma^2 (W^-1 + Z Psi Z') and G_i its derivative in the covariance parameter i, an element of sigma^2 Psi or sigma^2 itself,
//!
//! ```text
//! P_i = -X'V^-1 G_i V^-1 X,   Q_ij = X'V^-1 G_i V^-1 G_j V^-1 X,   Phi = (X'V^-1X)^-1,
//! I_ij = tr(V^-1 G_i V^-1 G_j) - 2 tr(Phi Q_ij) + tr(Phi P_i Phi P_j),   W = 2 I^-1,
//! Phi_A = Phi + 2 Phi [sum over i, j of W_ij (Q_ij - P_i Phi P_j)] Phi.
//! ```
//!
//! For an element of Psi, with S_i the matrix that has ones where the element stands and else zeros, G_i = Z S_i Z', and with E = Z'V^-1X
//! and H = Z'V^-1Z (both in units of sigma^2)
//!
//! ```text
//! P_i = -E'S_iE,   Q_ij = E'S_i H S_jE,   tr(V^-1 G_i V^-1 G_j) = tr(H S_i H S_j);
//! ```
//!
//! for sigma^2 they follow from these, since V^-1 W^-1 = I - V^-1 Z Psi Z' and Psi = sum of psi_i S_i: P_0 = -(C - E'Psi E) and
//! Q_0j = E'S_jE - E'Psi H S_jE and so on. It all is computed for the engine's columns in coordinates in which Phi is the identity
//! ([`Whitening`]), where a covariance parameter's unit cancels.

pub mod hypothesis;
mod parameters;
pub mod traces;

use std::ops::Deref;

use crate::error::Error;
use crate::linalg::blocks::nth;
use crate::linalg::eigen::symmetric_eigen;
use crate::linalg::small::{axpy, dot, symmetrise};
use crate::model::structure::ThetaEntry;
use crate::model::units::whitened::Whitening;
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::plan::memory::check_traces;
use crate::tasks::kenward_roger::parameters::ParameterMap;
use crate::tasks::kenward_roger::traces::{times_h, width, Traces};
use crate::tasks::marginal::Marginal;
use crate::tolerances::UNINFORMED;

/// What tests of the fixed effects are made of at one theta. It owns what it has.
pub struct KenwardRoger {
    whitening: Whitening,
    /// P_i, whitened, in units of sigma^2: those of theta's elements, then that of the residual variance.
    derivatives: Vec<Vec<f64>>,
    /// W for these, a square matrix.
    w: Vec<f64>,
    /// Phi_A, whitened.
    adjusted: Vec<f64>,
    map: ParameterMap,
}

impl Deref for KenwardRoger {
    type Target = Whitening;

    fn deref(&self) -> &Whitening {
        &self.whitening
    }
}

impl KenwardRoger {
    /// Everything at the theta of a fit by REML, the method for which the theory holds.
    ///
    /// # Errors
    /// [`Error::Invalid`] without fixed effects, [`Error::TooLarge`], [`Error::NotPositiveDefinite`], [`Error::Interrupted`].
    pub fn new(design: &Design, theta: &[f64], workers: &Workers) -> Result<Self, Error> {
        if design.fixed_columns() == 0 {
            return Err("the model has no fixed effects".into());
        }
        let marginal = Marginal::new(design, theta, workers)?;
        check_traces(design.fixed_columns(), marginal.design.structure.q, theta.len(), width(&marginal), workers.threads())?;
        let mut derivatives = marginal.derivatives(workers);
        let traces = Traces::new(&marginal, workers)?;
        let psi = marginal.covariances();
        let mut products = Products::new(&marginal, workers)?;
        products.add_residual(&derivatives, &psi);
        derivatives.push(residual_derivative(&derivatives, &psi, marginal.p));
        let second = with_residual(&traces, &psi, design.n as f64);
        let w = inverse_information(&second, &products, &derivatives);
        let adjusted = adjusted(&w, &products, &derivatives, marginal.p);
        let map = ParameterMap::new(&marginal.design.structure);
        Ok(KenwardRoger { whitening: marginal.whitening, derivatives, w, adjusted, map })
    }

    /// Multiplications that [`KenwardRoger::new`] takes for a design, about.
    pub fn work(design: &Design) -> f64 {
        traces::work(design.random_effects())
    }

    /// P_i, whitened, for a residual variance of one: those of theta's elements, then that of the residual variance.
    pub fn derivatives(&self) -> &[Vec<f64>] {
        &self.derivatives
    }

    /// W for these.
    pub fn parameter_covariance(&self) -> &[f64] {
        &self.w
    }

    /// The adjusted covariance matrix of the fixed effects, p x p, in units of sigma^2.
    pub fn adjusted_covariance(&self) -> Vec<f64> {
        self.covariance_to_caller(&self.adjusted)
    }

    /// The covariance matrix that isn't adjusted, likewise.
    pub fn covariance(&self) -> Vec<f64> {
        let identity: Vec<f64> = (0..self.p * self.p).map(|t| f64::from(u8::from(t % (self.p + 1) == 0))).collect();
        self.covariance_to_caller(&identity)
    }

    /// P_i of the caller's columns, one p x p matrix per element of the lower triangles of the caller's Psi and one for sigma^2, and W
    /// for these: both belong to sigma^2 = 1, and are sigma^-4 and sigma^4 as large at another one.
    pub fn in_caller_parameters(&self) -> (Vec<Vec<f64>>, Vec<f64>) {
        let derivatives = self.map.derivatives(&self.derivatives).iter().map(|d| self.precision_to_caller(d)).collect();
        (derivatives, self.map.covariance(&self.w))
    }
}

/// Q_ij, whitened, for i <= j, of theta's elements and at last the residual variance.
struct Products {
    p: usize,
    r: usize,
    values: Vec<Vec<f64>>,
}

impl Products {
    /// Q_ij = (S_iE)'(H S_jE) for theta's elements.
    fn new(marginal: &Marginal, workers: &Workers) -> Result<Self, Error> {
        let (p, entries) = (marginal.p, marginal.parameters());
        let mut values = Vec::with_capacity((entries.len() + 1) * (entries.len() + 2) / 2);
        for (j, entry) in entries.iter().enumerate() {
            workers.check()?;
            let product = times_h(marginal, entry.group, selected(marginal, entry), p, workers);
            values.extend(workers.map(entries[..=j].iter(), |other| {
                let mut out = marginal.moment(other.group, other.row, other.col, &product);
                if other.row != other.col {
                    axpy(1.0, &marginal.moment(other.group, other.col, other.row, &product), &mut out);
                }
                out
            }));
        }
        Ok(Products { p, r: entries.len(), values })
    }

    /// Q_ij for i <= j; Q_ji is its transpose.
    fn get(&self, i: usize, j: usize) -> &[f64] {
        &self.values[j * (j + 1) / 2 + i]
    }

    /// Adds `times` Q_ij to a matrix, whichever is larger.
    fn add(&self, i: usize, j: usize, times: f64, out: &mut [f64]) {
        let q = self.get(i.min(j), i.max(j));
        if i <= j {
            return axpy(times, q, out);
        }
        let p = self.p;
        (0..p * p).for_each(|t| out[t] += times * q[t % p * p + t / p]);
    }

    /// Q_i0 = -P_i - sum over j of psi_j Q_ij, and Q_00 = I + 2 sum of psi_j P_j + sum of psi_i psi_j Q_ij.
    fn add_residual(&mut self, derivatives: &[Vec<f64>], psi: &[f64]) {
        let (p, r) = (self.p, self.r);
        let mut own: Vec<f64> = (0..p * p).map(|t| f64::from(u8::from(t % (p + 1) == 0))).collect();
        for i in 0..r {
            let mut out: Vec<f64> = derivatives[i].iter().map(|v| -v).collect();
            (0..r).for_each(|j| self.add(i, j, -psi[j], &mut out));
            axpy(psi[i], &derivatives[i], &mut own);
            axpy(-psi[i], &out, &mut own);
            self.values.push(out);
        }
        self.values.push(own);
        self.r += 1;
    }
}

/// S_i E.
fn selected(marginal: &Marginal, entry: &ThetaEntry) -> Vec<f64> {
    let (p, group) = (marginal.p, &marginal.design.structure.groups[entry.group]);
    let mut out = vec![0.0; marginal.e.len()];
    for at in group.range().step_by(group.k) {
        let row = |c: usize| (at + c) * p..(at + c + 1) * p;
        out[row(entry.row)].copy_from_slice(&marginal.e[row(entry.col)]);
        out[row(entry.col)].copy_from_slice(&marginal.e[row(entry.row)]);
    }
    out
}

/// P_0 = -(I + sum of psi_i P_i).
fn residual_derivative(derivatives: &[Vec<f64>], psi: &[f64], p: usize) -> Vec<f64> {
    let mut out = vec![0.0; p * p];
    (0..p).for_each(|j| out[j * p + j] = -1.0);
    derivatives.iter().zip(psi).for_each(|(derivative, psi)| axpy(-psi, derivative, &mut out));
    out
}

/// tr(V^-1 G_i V^-1 G_j) for theta's elements and the residual variance.
fn with_residual(traces: &Traces, psi: &[f64], n: f64) -> Vec<f64> {
    let (r, m) = (psi.len(), psi.len() + 1);
    let mut out = vec![0.0; m * m];
    let mut own = n;
    for j in 0..r {
        let column = nth(&traces.second, j, r);
        out[j * m..j * m + r].copy_from_slice(column);
        let mixed = traces.first[j] - dot(column, psi);
        (out[j * m + r], out[r * m + j]) = (mixed, mixed);
        own -= psi[j] * (traces.first[j] + mixed);
    }
    out[r * m + r] = own;
    out
}

/// W = 2 I^-1. What the data say nothing about, since it is the fixed effects' or cannot be told from other variances, is left out: the
/// inverse is that of the part that they do.
fn inverse_information(traces: &[f64], products: &Products, derivatives: &[Vec<f64>]) -> Vec<f64> {
    let (m, p) = (derivatives.len(), products.p);
    let mut information = vec![0.0; m * m];
    for j in 0..m {
        for i in 0..=j {
            let q = products.get(i, j);
            let explained = 2.0 * (0..p).map(|c| q[c * p + c]).sum::<f64>() - dot(&derivatives[i], &derivatives[j]);
            information[j * m + i] = traces[j * m + i] - explained;
            information[i * m + j] = information[j * m + i];
        }
    }
    let scale: Vec<f64> = (0..m).map(|i| 1.0 / traces[i * m + i].sqrt()).map(|s| if s.is_finite() { s } else { 0.0 }).collect();
    let scaled: Vec<f64> = (0..m * m).map(|t| information[t] * scale[t % m] * scale[t / m]).collect();
    let (values, vectors) = symmetric_eigen(&scaled, m);
    let mut out = vec![0.0; m * m];
    for (value, vector) in values.iter().zip(vectors.chunks_exact(m)).filter(|(value, _)| **value > UNINFORMED) {
        (0..m * m).for_each(|t| out[t] += 2.0 / value * vector[t % m] * scale[t % m] * vector[t / m] * scale[t / m]);
    }
    out
}

/// Phi_A, whitened: I + 2 sum over i, j of W_ij (Q_ij - P_iP_j).
fn adjusted(w: &[f64], products: &Products, derivatives: &[Vec<f64>], p: usize) -> Vec<f64> {
    let m = derivatives.len();
    let mut out = vec![0.0; p * p];
    for j in 0..m {
        let mut weighted = vec![0.0; p * p];
        for i in 0..m {
            products.add(i, j, w[j * m + i], &mut out);
            axpy(w[j * m + i], &derivatives[i], &mut weighted);
        }
        subtract_product(&weighted, &derivatives[j], p, &mut out);
    }
    out.iter_mut().for_each(|v| *v *= 2.0);
    (0..p).for_each(|j| out[j * p + j] += 1.0);
    symmetrise(&mut out, p);
    out
}

/// out -= A B.
fn subtract_product(a: &[f64], b: &[f64], p: usize, out: &mut [f64]) {
    let view = |values| faer::MatRef::from_column_major_slice(values, p, p);
    let out = faer::MatMut::from_column_major_slice_mut(out, p, p);
    faer::linalg::matmul::matmul(out, faer::Accum::Add, view(a), view(b), -1.0, faer::Par::Seq);
}
