//! Models of several grouping factors with few random effects, with what couples the leading group to the others as a dense matrix.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{matmul as matmul_triangular, BlockStructure};
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, MatMut, MatRef, Par};

use crate::factor::blocks::{factor_level, NotPositiveDefinite};
use crate::factor::solution::{factor_fixed, solve_fixed, Solution};
use crate::linalg::blocks::{nth_mut, scale_blocks, scale_rows, times_lower_wide};
use crate::linalg::log_product::LogProduct;
use crate::linalg::long::{long_dot, multiply};
use crate::linalg::positive::{self, Room};
use crate::linalg::small::{axpy, inverse_lower, log_diagonal, lower_times, lower_transpose_times, mirror, with_constant};
use crate::model::lambda::{scale_vector, Lambda};
use crate::plan::coupling::Coupling;
use crate::plan::design::System;
use crate::products::response::Response;

/// The factorisation at one theta with all that the derivatives need of it.
#[derive(Clone, Debug)]
pub struct FullFactor {
    /// Lambda at which everything below was computed.
    pub lambda: Lambda,
    /// log |M|.
    pub ld_l2: f64,
    /// log |X'V^-1X| for the engine's X.
    pub ld_rx2: f64,
    /// RX', the lower Cholesky factor of X'V^-1X.
    pub rx: Vec<f64>,
    /// L_i^-1 of the Cholesky factors L_i of the leading group's blocks of M.
    pub(crate) lead_inverse: Vec<f64>,
    /// Lambda_1'A_12 Lambda_2, q1 x r.
    pub(crate) coupling: Vec<f64>,
    /// Lambda_2'A_22 Lambda_2, r x r, full.
    pub(crate) rest_product: Vec<f64>,
    /// U = L_1^-1 of `coupling`.
    pub(crate) u: Vec<f64>,
    /// Lower Cholesky factor of S.
    pub(crate) s: Vec<f64>,
    /// RZX = L^-1 Lambda'Z'WX, a row of length p per random effect.
    pub(crate) rzx: Vec<f64>,
}

/// L_i^-1 and the rows of rzx of all leading levels; the sum of log |L_i|, or nothing where one is not positive definite.
#[inline(always)]
fn invert_levels(design: &System, lambda: &[f64], k: usize, inverse: &mut [f64], x: &mut [f64], l: &mut [f64]) -> Option<f64> {
    let mut determinant = LogProduct::default();
    for (level, inverse) in inverse.chunks_exact_mut(k * k).enumerate() {
        if !factor_level(design, lambda, k, level, l, nth_mut(x, level, k * design.p), &mut determinant) {
            return None;
        }
        inverse_lower(l, k, inverse);
    }
    Some(determinant.ln())
}

/// Memory that both work in.
pub struct Workspace {
    pub(crate) room: Room,
    /// q1 x r.
    pub(crate) v: Vec<f64>,
    /// q1 x r.
    pub(crate) y: Vec<f64>,
    /// r x r.
    pub(crate) s_inverse: Vec<f64>,
    /// Blocks G_ij side by side.
    pub(crate) blocks: Vec<f64>,
    /// One block of each leading level.
    pub(crate) lead: Vec<f64>,
    /// One block of any group.
    pub(crate) block: Vec<f64>,
}

impl Workspace {
    /// Allocates for a design.
    pub fn new(design: &System) -> Self {
        let (q1, r) = (design.structure.groups[0].effects(), design.rest());
        let (k, widest) = (design.structure.groups[0].k, design.structure.widest());
        Workspace {
            room: Room::new(r),
            v: vec![0.0; q1 * r],
            y: vec![0.0; q1 * r],
            s_inverse: vec![0.0; r * r],
            blocks: Vec::new(),
            lead: vec![0.0; q1 * k],
            block: vec![0.0; widest * widest],
        }
    }
}

impl FullFactor {
    /// Allocates for a design.
    pub fn new(design: &System) -> Self {
        let (lead, r, p) = (&design.structure.groups[0], design.rest(), design.p);
        let q1 = lead.effects();
        FullFactor {
            lambda: design.structure.groups.iter().map(|g| vec![0.0; g.k * g.k]).collect(),
            ld_l2: 0.0,
            ld_rx2: 0.0,
            rx: vec![0.0; p * p],
            lead_inverse: vec![0.0; q1 * lead.k],
            coupling: vec![0.0; q1 * r],
            rest_product: vec![0.0; r * r],
            u: vec![0.0; q1 * r],
            s: vec![0.0; r * r],
            rzx: vec![0.0; design.structure.q * p],
        }
    }

    /// Factors M and X'V^-1X at a Lambda.
    pub fn factorize(
        &mut self,
        design: &System,
        parts: &Coupling,
        lambda: &Lambda,
        work: &mut Workspace,
    ) -> Result<(), NotPositiveDefinite> {
        self.lambda.clone_from(lambda);
        self.factor_lead(design, work)?;
        self.couple(design, parts);
        self.factor_rest(design, work)?;
        self.ld_rx2 = factor_fixed(design, &self.rzx, &mut self.rx)?;
        if self.ld_l2.is_finite() {
            Ok(())
        } else {
            Err(NotPositiveDefinite)
        }
    }

    /// L_i^-1 and the leading rows of rzx.
    fn factor_lead(&mut self, design: &System, work: &mut Workspace) -> Result<(), NotPositiveDefinite> {
        let (k, lambda, inverse, x) = (design.structure.groups[0].k, &self.lambda[0], &mut self.lead_inverse, &mut self.rzx);
        let log_det = with_constant!(k, K, invert_levels(design, lambda, K, inverse, x, &mut work.block[..K * K]));
        self.ld_l2 = 2.0 * log_det.ok_or(NotPositiveDefinite)?;
        Ok(())
    }

    /// Lambda_1'A_12 Lambda_2, U, and Lambda_2'A_22 Lambda_2.
    fn couple(&mut self, design: &System, parts: &Coupling) {
        let groups = &design.structure.groups;
        let (k, q1, r) = (groups[0].k, groups[0].effects(), design.rest());
        for (g, group) in groups.iter().enumerate().skip(1) {
            let begin = (group.offset - q1) * q1..(group.offset - q1 + group.effects()) * q1;
            let (from, to) = (&parts.lead_rest[begin.clone()], &mut self.coupling[begin]);
            for (from, to) in from.chunks_exact(group.k * q1).zip(to.chunks_exact_mut(group.k * q1)) {
                times_lower_wide(from, &self.lambda[g], group.k, q1, to);
            }
        }
        scale_blocks(&self.lambda[0], k, &mut self.coupling);
        self.u.copy_from_slice(&self.coupling);
        for column in self.u.chunks_exact_mut(q1) {
            lead_lower(&self.lead_inverse, k, column);
        }
        for (g, group) in groups.iter().enumerate().skip(1) {
            let begin = (group.offset - q1) * r..(group.offset - q1 + group.effects()) * r;
            let (from, to) = (&parts.rest[begin.clone()], &mut self.rest_product[begin]);
            for (from, to) in from.chunks_exact(group.k * r).zip(to.chunks_exact_mut(group.k * r)) {
                times_lower_wide(from, &self.lambda[g], group.k, r, to);
            }
        }
        for column in self.rest_product.chunks_exact_mut(r) {
            for (g, group) in groups.iter().enumerate().skip(1) {
                let begin = group.offset - q1;
                scale_blocks(&self.lambda[g], group.k, &mut column[begin..begin + group.effects()]);
            }
        }
        mirror(&mut self.rest_product, r);
    }

    /// S, its factor, and the rest's rows of rzx.
    fn factor_rest(&mut self, design: &System, work: &mut Workspace) -> Result<(), NotPositiveDefinite> {
        let groups = &design.structure.groups;
        let (q1, r, p) = (groups[0].effects(), design.rest(), design.p);
        self.s.copy_from_slice(&self.rest_product);
        (0..r).for_each(|i| self.s[i * r + i] += 1.0);
        let u = MatRef::from_column_major_slice(&self.u, q1, r);
        matmul_triangular(
            MatMut::from_column_major_slice_mut(&mut self.s, r, r),
            BlockStructure::TriangularLower,
            Accum::Add,
            u.transpose(),
            BlockStructure::Rectangular,
            u,
            BlockStructure::Rectangular,
            -1.0,
            Par::Seq,
        );
        if !positive::factor(&mut self.s, r, &mut work.room) {
            return Err(NotPositiveDefinite);
        }
        self.ld_l2 += 2.0 * log_diagonal(&self.s, r);
        if p == 0 {
            return Ok(());
        }
        let (lead_x, rest_x) = self.rzx.split_at_mut(q1 * p);
        for (g, group) in groups.iter().enumerate().skip(1) {
            for level in 0..group.levels {
                let rows = (group.offset + level * group.k) * p..(group.offset + (level + 1) * group.k) * p;
                let to = &mut rest_x[rows.start - q1 * p..rows.end - q1 * p];
                scale_rows(&design.zx[rows], &self.lambda[g], group.k, p, to);
            }
        }
        let mut rest_x = MatMut::from_row_major_slice_mut(rest_x, r, p);
        matmul(rest_x.as_mut(), Accum::Add, u.transpose(), MatRef::from_row_major_slice(lead_x, q1, p), -1.0, Par::Seq);
        solve_lower_triangular_in_place(MatRef::from_column_major_slice(&self.s, r, r), rest_x, Par::Seq);
        Ok(())
    }

    /// Solves for one response; see [`Solution::solve`] for the formulas.
    pub fn solve(&self, design: &System, response: &Response, solution: &mut Solution) {
        let Solution { beta, u, pwrss, half } = solution;
        half.copy_from_slice(&response.zy);
        scale_vector(&design.structure, &self.lambda, half);
        self.forward(design, half);
        solve_fixed(design.p, &self.rzx, &self.rx, response, half, beta, u, pwrss);
        self.backward(design, u, 1);
    }

    /// L^-1 v, in place.
    fn forward(&self, design: &System, v: &mut [f64]) {
        let (k, q1, r) = (design.structure.groups[0].k, design.structure.groups[0].effects(), design.rest());
        let (lead, rest) = v.split_at_mut(q1);
        lead_lower(&self.lead_inverse, k, lead);
        rest.iter_mut().zip(self.u.chunks_exact(q1)).for_each(|(v, u)| *v -= long_dot(u, lead));
        solve_lower_triangular_in_place(
            MatRef::from_column_major_slice(&self.s, r, r),
            MatMut::from_column_major_slice_mut(rest, r, 1),
            Par::Seq,
        );
    }

    /// L'^-1 V for rows of length m, in place.
    pub(crate) fn backward(&self, design: &System, v: &mut [f64], m: usize) {
        if m == 0 {
            return;
        }
        let (k, q1, r) = (design.structure.groups[0].k, design.structure.groups[0].effects(), design.rest());
        let (lead, rest) = v.split_at_mut(q1 * m);
        let s = MatRef::from_column_major_slice(&self.s, r, r);
        let mut rest = MatMut::from_row_major_slice_mut(rest, r, m);
        solve_upper_triangular_in_place(s.transpose(), rest.as_mut(), Par::Seq);
        let u = MatRef::from_column_major_slice(&self.u, q1, r);
        matmul(MatMut::from_row_major_slice_mut(lead, q1, m), Accum::Add, u, rest, -1.0, Par::Seq);
        for (v, l) in lead.chunks_exact_mut(k * m).zip(self.lead_inverse.chunks_exact(k * k)) {
            for r in 0..k {
                let (row, below) = v[r * m..].split_at_mut(m);
                row.iter_mut().for_each(|v| *v *= l[r * k + r]);
                (r + 1..k).for_each(|c| axpy(l[r * k + c], &below[(c - r - 1) * m..(c - r) * m], row));
            }
        }
    }
}

/// v := L^-1 v for a column of the leading group's effects, from the inverses of its levels.
fn lead_lower(inverses: &[f64], k: usize, v: &mut [f64]) {
    if k == 1 {
        return multiply(inverses, v);
    }
    with_constant!(k, K, {
        for (v, l) in v.chunks_exact_mut(K).zip(inverses.chunks_exact(K * K)) {
            lower_times(l, K, v);
        }
    });
}

/// v := L^-T v likewise.
pub(crate) fn lead_transpose(inverses: &[f64], k: usize, v: &mut [f64]) {
    if k == 1 {
        return multiply(inverses, v);
    }
    with_constant!(k, K, {
        for (v, l) in v.chunks_exact_mut(K).zip(inverses.chunks_exact(K * K)) {
            lower_transpose_times(l, K, v);
        }
    });
}
