//! The average information in place of the second derivatives (Gilmour, Thompson and Cullis 1995, doi:10.2307/2533274).

use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::curvature::traces::Curvature;
use crate::factor::blocks::Factor;
use crate::factor::solution::Solution;
use crate::linalg::blocks::{nth, nth_mut};
use crate::linalg::long::long_dot;
use crate::linalg::small::{axpy, dot, solve_lower};
use crate::model::lambda::scale_vector;
use crate::plan::design::System;

/// Derivatives at the theta of a factor with the average information for the second ones. `forward` does [`Factor::forward`].
pub fn average_information(
    design: &System,
    factor: &Factor,
    curvature: &Curvature,
    solution: &Solution,
    nu: f64,
    frame: &Frame,
    forward: impl FnMut(&mut [f64]),
) -> Derivatives {
    let pwrss = solution.pwrss;
    Derivatives::compute(design, &factor.lambda, curvature, solution, nu, frame, |g| {
        let n = frame.directions.len();
        let (q2, q1) = quadratic_forms(design, factor, curvature, frame, g, forward);
        ((0..n * n).map(|t| nu / pwrss * q2[t] - nu * q1[t % n] * q1[t / n] / (pwrss * pwrss)).collect(), q1)
    })
}

/// y'P V_k P V_l P y for all pairs, and y'P V_k P y: with h_k = S_k g the first is h'Th - h'F (X'V^-1X)^-1 F'h,
/// and h'Th = h'Ah - |L^-1 Lambda'A h|^2 takes one forward solve per element of theta.
fn quadratic_forms(
    design: &System,
    factor: &Factor,
    curvature: &Curvature,
    frame: &Frame,
    g: &[f64],
    mut forward: impl FnMut(&mut [f64]),
) -> (Vec<f64>, Vec<f64>) {
    let (p, n_theta, q) = (design.p, frame.directions.len(), design.structure.q);
    let mut first = vec![0.0; n_theta];
    let mut fixed = vec![0.0; n_theta * p];
    let mut second = vec![0.0; n_theta * n_theta];
    let (mut h, mut ah) = (vec![vec![0.0; q]; n_theta], vec![vec![0.0; q]; n_theta]);
    for (i, e) in design.structure.entries.iter().enumerate() {
        let group = &design.structure.groups[e.group];
        let k = group.k;
        for level in 0..group.levels {
            let at = group.offset + level * k;
            for r in 0..k {
                h[i][at + r] = dot(nth(&frame.directions[i], r, k), &g[at..at + k]);
                first[i] += h[i][at + r] * g[at + r];
                axpy(h[i][at + r], &curvature.f[(at + r) * p..(at + r + 1) * p], nth_mut(&mut fixed, i, p));
            }
        }
        design.multiply(&h[i], &mut ah[i]);
    }
    for i in 0..n_theta {
        for j in 0..=i {
            second[j * n_theta + i] = long_dot(&h[i], &ah[j]);
        }
    }
    for v in &mut ah {
        scale_vector(&design.structure, &factor.lambda, v);
        forward(v);
    }
    fixed.chunks_exact_mut(p.max(1)).for_each(|b| solve_lower(&factor.rx, p, b));
    for i in 0..n_theta {
        for j in 0..=i {
            second[j * n_theta + i] -= long_dot(&ah[i], &ah[j]) + dot(nth(&fixed, i, p), nth(&fixed, j, p));
            second[i * n_theta + j] = second[j * n_theta + i];
        }
    }
    (second, first)
}
