//! Conversion between the caller's columns of the random effects and the engine's: of effects, their order, Lambda and theta.

use crate::linalg::blocks::make_lower_triangular;
use crate::linalg::small::{axpy, transpose};
use crate::model::group::Group;
use crate::model::lambda::Lambda;
use crate::model::structure::Structure;

impl Group {
    /// S b: effects of the engine's columns from those of the caller's, for one level, in place.
    pub fn to_engine(&self, b: &mut [f64]) {
        for (c, column) in self.columns.iter().enumerate() {
            if let Some(constant) = column.constant {
                b[constant] += column.centre / self.columns[constant].scale * b[c];
            }
        }
        b.iter_mut().zip(&self.columns).for_each(|(b, column)| *b *= column.scale);
    }

    /// S^-1 b: effects of the caller's columns from those of the engine's, for one level, in place.
    pub fn to_caller(&self, b: &mut [f64]) {
        b.iter_mut().zip(&self.columns).for_each(|(b, column)| *b /= column.scale);
        for (c, column) in self.columns.iter().enumerate() {
            if let Some(constant) = column.constant {
                b[constant] -= column.centre / self.columns[constant].scale * b[c];
            }
        }
    }

    /// S^-T z: a row's values of the engine's columns from those of the caller's, in place, so that z'b stays what it is.
    pub fn row_to_engine(&self, z: &mut [f64]) {
        for (c, column) in self.columns.iter().enumerate() {
            if let Some(constant) = column.constant {
                z[c] -= column.centre * z[constant] / self.columns[constant].scale;
            }
        }
        z.iter_mut().zip(&self.columns).for_each(|(z, column)| *z /= column.scale);
    }

    /// How large the terms are of which each row of S^-1 B is the sum, for a K x K matrix B: what rounding leaves of a row is small
    /// beside that.
    fn sizes_for_caller(&self, b: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.k];
        for values in b.chunks_exact(self.k) {
            for (c, column) in self.columns.iter().enumerate() {
                let value = (values[c] / column.scale).abs();
                out[c] += value;
                if let Some(constant) = column.constant {
                    out[constant] += (column.centre / self.columns[constant].scale).abs() * value;
                }
            }
        }
        out
    }

    /// The same for S B.
    fn sizes_for_engine(&self, b: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.k];
        for values in b.chunks_exact(self.k) {
            for (c, column) in self.columns.iter().enumerate() {
                out[c] += (column.scale * values[c]).abs();
                if let Some(constant) = column.constant {
                    out[constant] += (column.centre * values[c]).abs();
                }
            }
        }
        out
    }

    /// S' A S for a symmetric K x K matrix, in place.
    pub fn pull_back(&self, a: &mut [f64]) {
        let k = self.k;
        for _ in 0..2 {
            // A := (A S)', twice
            for (c, column) in self.columns.iter().enumerate() {
                if let Some(constant) = column.constant {
                    (0..k).for_each(|r| a[c * k + r] = a[c * k + r] * column.scale + a[constant * k + r] * column.centre);
                }
            }
            for (column, values) in self.columns.iter().zip(a.chunks_exact_mut(k)).filter(|(column, _)| column.constant.is_none()) {
                values.iter_mut().for_each(|v| *v *= column.scale);
            }
            transpose(a, k);
        }
    }

    /// S^-1 Lambda B Lambda' S^-T in place, for a symmetric K x K block B of the engine's effects.
    pub fn covariance_to_caller(&self, lambda: &[f64], block: &mut [f64]) {
        let k = self.k;
        for _ in 0..2 {
            for column in block.chunks_exact_mut(k) {
                for r in (0..k).rev() {
                    column[r] = (0..=r).map(|c| lambda[c * k + r] * column[c]).sum();
                }
                self.to_caller(column);
            }
            transpose(block, k);
        }
    }
}

impl Structure {
    /// The engine's Lambda of a theta: with the caller's columns z = (engine's columns) S the engine's effects are
    /// S b, so that its Lambda is S Lambda, made triangular by an orthogonal matrix from the right.
    pub fn lambda(&self, theta: &[f64]) -> Lambda {
        let mut lambda = self.caller_lambda(theta);
        for (group, l) in self.groups.iter().zip(&mut lambda) {
            let sizes = group.sizes_for_engine(l);
            l.chunks_exact_mut(group.k).for_each(|column| group.to_engine(column));
            make_lower_triangular(l, group.k, &sizes);
        }
        lambda
    }

    /// The theta of an engine's Lambda.
    pub fn theta(&self, lambda: &Lambda) -> Vec<f64> {
        self.theta_with_zeros(lambda, |_, _| false)
    }

    /// The theta of an engine's Lambda, where some rows of the caller's, `is_zero(group, row)`, are zero by convention.
    pub fn theta_with_zeros(&self, lambda: &Lambda, is_zero: impl Fn(usize, usize) -> bool) -> Vec<f64> {
        let mut caller = lambda.clone();
        for (g, (group, l)) in self.groups.iter().zip(&mut caller).enumerate() {
            let sizes = group.sizes_for_caller(l);
            l.chunks_exact_mut(group.k).for_each(|column| group.to_caller(column));
            for row in (0..group.k).filter(|&row| is_zero(g, row)) {
                l.iter_mut().skip(row).step_by(group.k).for_each(|v| *v = 0.0);
            }
            make_lower_triangular(l, group.k, &sizes);
        }
        self.canonical(&mut caller);
        self.entries.iter().map(|e| caller[e.group][e.col * self.groups[e.group].k + e.row]).collect()
    }

    /// Random effects of the caller's columns from those of the engine's, in place and in the engine's order.
    fn effects_to_caller(&self, b: &mut [f64]) {
        for group in &self.groups {
            b[group.range()].chunks_exact_mut(group.k).for_each(|level| group.to_caller(level));
        }
    }

    /// Random effects in the units and the order of the caller, from u and b = Lambda u of the engine's. The caller's
    /// Lambda is S^-1 Lambda Q' with an orthogonal Q (see [`Structure::lambda`]), so that the caller's u is Q u.
    pub fn caller_effects(&self, lambda: &Lambda, theta: &[f64], scale: f64, mut u: Vec<f64>, mut b: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
        let caller = self.caller_lambda(theta);
        for ((group, own), caller) in self.groups.iter().zip(lambda).zip(&caller) {
            let q = rotation(group, own, caller);
            let mut turned = vec![0.0; group.k];
            for level in u[group.offset..group.offset + group.effects()].chunks_exact_mut(group.k) {
                turned.fill(0.0);
                (0..group.k).for_each(|c| axpy(level[c], &q[c * group.k..(c + 1) * group.k], &mut turned));
                level.copy_from_slice(&turned);
            }
        }
        u.iter_mut().chain(b.iter_mut()).for_each(|v| *v *= scale);
        self.effects_to_caller(&mut b);
        (self.in_term_order(&u), self.in_term_order(&b))
    }

    /// From group order (all terms of a factor together) to the caller's (term by term), the random effects alone.
    fn in_term_order(&self, v: &[f64]) -> Vec<f64> {
        let v = &v[self.random()];
        let mut out = vec![0.0; v.len()];
        self.caller_places().iter().zip(v).for_each(|(&at, &value)| out[at] = value);
        out
    }

    /// For each random effect in the engine's order (group, level, column) its place in the caller's (term, level, column).
    pub fn caller_places(&self) -> Vec<usize> {
        let random = self.random();
        let mut place = vec![0; random.len()];
        let terms: usize = self.groups.iter().map(|g| g.terms.len()).sum();
        let mut at = 0;
        for index in 0..terms {
            let (g, first) = Structure::locate(&self.groups, index);
            let group = &self.groups[g];
            let k = group.terms.iter().find(|t| t.0 == index).expect("located there").1;
            for level in 0..group.levels {
                for c in 0..k {
                    place[group.offset - random.start + level * group.k + first + c] = at;
                    at += 1;
                }
            }
        }
        place
    }
}

/// Q with (caller's Lambda) Q = S^-1 (engine's Lambda): column by column where the caller's is invertible; effects of
/// a column that is zero are zero whatever Q is.
fn rotation(group: &Group, own: &[f64], caller: &[f64]) -> Vec<f64> {
    let k = group.k;
    let mut q = own.to_vec();
    for column in q.chunks_exact_mut(k) {
        group.to_caller(column);
        for c in 0..k {
            let d = caller[c * k + c];
            column[c] = if d == 0.0 { 0.0 } else { column[c] / d };
            let x = column[c];
            (c + 1..k).for_each(|r| column[r] -= caller[c * k + r] * x);
        }
    }
    q
}
