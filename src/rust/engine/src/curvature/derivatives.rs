//! Exact gradient of the profiled criterion in Lambda, and the matrix of second derivatives.
//!
//! With P = V^-1 - V^-1 X (X'V^-1X)^-1 X'V^-1, T = Z'V^-1Z, F = Z'V^-1X, g = Z'Py (V in units of sigma^2) and D = sum over levels of [T - F
//! (X'V^-1X)^-1 F' (REML only) - (nu / pwrss) g g'], the differential of the criterion is <D, d(Lambda Lambda')>: D is its derivative in
//! the covariance. All of it comes from M^-1 and the identities T Lambda = A Lambda M^-1, Lambda'F = C = M^-1 Lambda'Z'WX and Lambda'g = u,
//! in none of which digits are lost by cancellation. For the second derivatives in directions S_k = d(Lambda Lambda'), V_k = Z S_k Z':
//!
//! d2 = <D, d2(Lambda Lambda')> - tr(P V_k P V_l) + nu (2 y'P V_k P V_l P y / pwrss - y'PV_kPy y'PV_lPy / pwrss^2),
//!
//! for maximum likelihood with V^-1 in place of P in the trace. The trace itself is computed with one grouping factor (see
//! [`crate::factor::by_class`]) and with a dense cross block ([`crate::factor::dense`]). Here an estimate of its expectation, (nu / pwrss)
//! y'P V_k P V_l P y, takes its place, which gives the average information (Gilmour, Thompson and Cullis 1995, doi:10.2307/2533274).

use crate::curvature::frame::Frame;
use crate::curvature::traces::Curvature;
use crate::factor::solution::Solution;
use crate::linalg::blocks::{nth_mut, solve_right_lower};
use crate::linalg::small::{axpy, solve_lower_transpose, symmetrise};
use crate::model::lambda::Lambda;
use crate::model::structure::ThetaEntry;
use crate::plan::design::System;

/// Value and derivatives of the criterion at one theta.
#[derive(Clone, Debug)]
pub struct Derivatives {
    /// Gradient in the free elements of the engine's Lambda.
    pub gradient: Vec<f64>,
    /// Second derivatives (exact with one grouping factor, else the average information), symmetric.
    pub hessian: Vec<f64>,
    /// Per group the derivative D in the covariance, K x K symmetric.
    pub covariance: Vec<Vec<f64>>,
    /// Per direction y'P V_k P y, which is minus the derivative of pwrss.
    pub explained: Vec<f64>,
}

impl Derivatives {
    /// Gradient, second derivatives and D for one response, from what its theta shares. `forms` gives the second
    /// derivatives but for <D, d2(Lambda Lambda')>, and y'P V_k P y, from g.
    pub fn compute(
        design: &System,
        lambda: &Lambda,
        curvature: &Curvature,
        solution: &Solution,
        nu: f64,
        frame: &Frame,
        forms: impl FnOnce(&[f64]) -> (Vec<f64>, Vec<f64>),
    ) -> Self {
        let weight = nu / solution.pwrss;
        let mut g = solution.u.clone();
        let mut quadratic: Vec<Vec<f64>> = design.structure.groups.iter().map(|g| vec![0.0; g.k * g.k]).collect();
        for (index, group) in design.structure.groups.iter().enumerate() {
            let k = group.k;
            for level in g[group.offset..group.offset + group.effects()].chunks_exact_mut(k) {
                solve_lower_transpose(&lambda[index], k, level);
                (0..k).for_each(|c| axpy(level[c], level, nth_mut(&mut quadratic[index], c, k)));
            }
        }
        let covariance = Self::covariance(design, lambda, curvature, &quadratic, weight);
        let gradient = if frame.is_engine() {
            Self::gradient(design, lambda, curvature, &quadratic, weight)
        } else {
            frame.gradient(&design.structure, &covariance)
        };
        let (mut hessian, explained) = forms(&g);
        frame.add_second_order(&design.structure, &covariance, &mut hessian);
        Derivatives { gradient, hessian, covariance, explained }
    }

    fn covariance(design: &System, lambda: &Lambda, curvature: &Curvature, quadratic: &[Vec<f64>], weight: f64) -> Vec<Vec<f64>> {
        (0..design.structure.groups.len())
            .map(|g| {
                let k = design.structure.groups[g].k;
                let mut d = curvature.trace[g].clone();
                solve_right_lower(&mut d, &lambda[g], k);
                symmetrise(&mut d, k);
                axpy(-1.0, &curvature.fixed[g], &mut d);
                axpy(-weight, &quadratic[g], &mut d);
                d
            })
            .collect()
    }

    /// 2 [A Lambda M^-1 - (F Cx F' + (nu / pwrss) g g') Lambda] at the free elements.
    fn gradient(design: &System, lambda: &Lambda, curvature: &Curvature, quadratic: &[Vec<f64>], weight: f64) -> Vec<f64> {
        let element = |e: &ThetaEntry| {
            let (g, k) = (e.group, design.structure.groups[e.group].k);
            gradient_element(e, k, &curvature.trace[g], &curvature.fixed[g], &quadratic[g], weight, &lambda[g])
        };
        design.structure.entries.iter().map(element).collect()
    }
}

/// An element of 2 [trace - (fixed + weight quadratic) Lambda], of one group's matrices.
pub(crate) fn gradient_element(
    at: &ThetaEntry,
    k: usize,
    trace: &[f64],
    fixed: &[f64],
    quadratic: &[f64],
    weight: f64,
    lambda: &[f64],
) -> f64 {
    let rest = |s: usize| fixed[s * k + at.row] + weight * quadratic[s * k + at.row];
    let product: f64 = (at.col..k).map(|s| rest(s) * lambda[at.col * k + s]).sum();
    2.0 * (trace[at.col * k + at.row] - product)
}
