//! The fixed effects' precision X'V^-1X and its derivatives in the covariance parameters, which degrees of freedom are made of.
//!
//! With V in units of sigma^2, V = W^-1 + Z Psi Z' and Psi = Lambda Lambda',
//!
//! ```text
//! E = Z'V^-1X = (I - A K) B,   C = X'V^-1X = D - B'K B,   K = Lambda M^-1 Lambda',   A = Z'WZ, B = Z'WX, D = X'WX,
//! dC = -E'(dPsi)E.
//! ```
//!
//! All of it is kept *whitened* by the lower Cholesky factor R of C: rows e of E as R^-1 e, and a derivative as R^-1 (dC) R^-T. A linear
//! function l'beta of the coefficients is then a vector w = R^-1 l with Var(l'beta) = sigma^2 w'w, whose derivative is
//! -sigma^2 w'(R^-1 dC R^-T)w; no unit of a predictor is in any of it.

use std::ops::Deref;

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{MatMut, MatRef};

use crate::error::Error;
use crate::factor::blocks::Factor;
use crate::linalg::blocks::add_cross_product;
use crate::linalg::small::{axpy, cholesky, symmetrise, transpose};
use crate::model::structure::ThetaEntry;
use crate::model::units::whitened::Whitening;
use crate::parallel::Workers;
use crate::plan::design::{Design, System};
use crate::plan::memory::check_derivatives;

/// E and C at one theta, whitened.
pub struct Marginal<'a> {
    /// The design; if a factor is absorbed, that of the random effects alone.
    pub design: &'a System,
    /// M of the random effects, factored.
    pub factor: Factor,
    /// R^-1 E', a row of length p per random effect in the engine's order.
    pub e: Vec<f64>,
    /// R and the coordinates that it makes.
    pub whitening: Whitening,
}

impl Deref for Marginal<'_> {
    type Target = Whitening;

    fn deref(&self) -> &Whitening {
        &self.whitening
    }
}

impl<'a> Marginal<'a> {
    /// Factors and solves: time grows with the random effects times the square of the fixed ones, not with the rows.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`] at a theta that the arithmetic can't take, [`Error::TooLarge`], [`Error::Interrupted`].
    pub fn new(whole: &'a Design, theta: &[f64], workers: &Workers) -> Result<Self, Error> {
        let design = whole.random_effects();
        let p = whole.fixed_columns();
        check_derivatives(p, design.structure.q, design.structure.entries.len())?;
        let (factor, mut scratch) = Factor::at(design, &design.structure.lambda(theta), workers)?;
        workers.check()?;
        let (mut e, mut root) = whole.all_fixed_columns();
        let mut solved = e.clone();
        factor.scale_down(design, &mut solved, p);
        factor.forward(design, &mut solved, p, &mut scratch, workers);
        add_cross_product(&mut root, &solved, p, -1.0);
        if !cholesky(&mut root, p) {
            return Err(Error::NotPositiveDefinite);
        }
        factor.backward(design, &mut solved, p, &mut scratch, workers);
        factor.scale_up(design, &mut solved, p);
        let mut explained = vec![0.0; e.len()];
        design.multiply_rows(&solved, p, &mut explained);
        axpy(-1.0, &explained, &mut e);
        drop((solved, explained));
        if p > 0 {
            let root = MatRef::from_column_major_slice(&root, p, p);
            let columns = MatMut::from_column_major_slice_mut(&mut e, p, design.structure.q);
            solve_lower_triangular_in_place(root, columns, faer::Par::Seq);
        }
        workers.check()?;
        let levels = whole.structure.fixed_group().map_or(0, |group| group.levels);
        Ok(Marginal { design, factor, e, whitening: Whitening::new(&whole.transform, whole.absorbed, levels, root) })
    }

    /// The covariance parameters: an element of the lower triangle of the engine's Psi each, in the order of theta.
    pub fn parameters(&self) -> &[ThetaEntry] {
        &self.design.structure.entries
    }

    /// Psi's elements for these, in units of sigma^2.
    pub fn covariances(&self) -> Vec<f64> {
        let element = |e: &ThetaEntry| {
            let (k, lambda) = (self.design.structure.groups[e.group].k, &self.factor.lambda[e.group]);
            (0..k).map(|c| lambda[c * k + e.row] * lambda[c * k + e.col]).sum()
        };
        self.parameters().iter().map(element).collect()
    }

    /// The whitened derivative of C in each parameter, p x p: -sum over levels of e_r e_c' (+ e_c e_r' off the diagonal).
    pub fn derivatives(&self, workers: &Workers) -> Vec<Vec<f64>> {
        workers.map(self.parameters().iter(), |entry| {
            let mut out = self.moment(entry.group, entry.row, entry.col, &self.e);
            symmetrise(&mut out, self.p);
            let times = if entry.row == entry.col { -1.0 } else { -2.0 };
            out.iter_mut().for_each(|v| *v *= times);
            out
        })
    }

    /// The same in each element of the caller's theta.
    pub fn derivatives_in_theta(&self, theta: &[f64], workers: &Workers) -> Vec<Vec<f64>> {
        let derivatives = self.derivatives(workers);
        let of_theta = |index: usize| {
            let mut out = vec![0.0; self.p * self.p];
            let directions = self.direction_of_theta(theta, index);
            directions.iter().zip(&derivatives).filter(|(d, _)| **d != 0.0).for_each(|(d, matrix)| axpy(*d, matrix, &mut out));
            out
        };
        (0..theta.len()).map(of_theta).collect()
    }

    /// How the parameters move with an element of the caller's theta: S (dL L' + L dL') S' with L the caller's Lambda.
    fn direction_of_theta(&self, theta: &[f64], index: usize) -> Vec<f64> {
        let structure = &self.design.structure;
        let at = structure.entries[index];
        let (group, k) = (&structure.groups[at.group], structure.groups[at.group].k);
        let lambda = &structure.caller_lambda(theta)[at.group];
        let mut moved = vec![0.0; k * k];
        for r in 0..k {
            moved[r * k + at.row] += lambda[at.col * k + r];
            moved[at.row * k + r] += lambda[at.col * k + r];
        }
        for _ in 0..2 {
            moved.chunks_exact_mut(k).for_each(|column| group.to_engine(column));
            transpose(&mut moved, k);
        }
        let elements = structure.entries.iter();
        elements.map(|e| if e.group == at.group { moved[e.col * k + e.row] } else { 0.0 }).collect()
    }

    /// Sum over a group's levels of e_r f_c' for rows e of E and rows f of another matrix like it.
    pub(crate) fn moment(&self, group: usize, r: usize, c: usize, other: &[f64]) -> Vec<f64> {
        let (group, p) = (&self.design.structure.groups[group], self.p);
        let rows = |from: &'_ [f64], at: usize| -> Vec<f64> {
            let levels = from[group.offset * p..group.range().end * p].chunks_exact((group.k * p).max(1));
            levels.flat_map(|level| level[at * p..(at + 1) * p].iter().copied()).collect()
        };
        let mut out = vec![0.0; p * p];
        add_product_of_rows(&mut out, &rows(&self.e, r), &rows(other, c), p);
        out
    }
}

/// out += sum over rows of x y'.
fn add_product_of_rows(out: &mut [f64], x: &[f64], y: &[f64], p: usize) {
    if p == 0 || x.is_empty() {
        return;
    }
    if p < 8 {
        for (x, y) in x.chunks_exact(p).zip(y.chunks_exact(p)) {
            out.chunks_exact_mut(p).zip(y).for_each(|(column, y)| axpy(*y, x, column));
        }
        return;
    }
    let (x, y) = (MatRef::from_column_major_slice(x, p, x.len() / p), MatRef::from_column_major_slice(y, p, y.len() / p));
    let out = MatMut::from_column_major_slice_mut(out, p, p);
    faer::linalg::matmul::matmul(out, faer::Accum::Add, x, y.transpose(), 1.0, faer::Par::Seq);
}
