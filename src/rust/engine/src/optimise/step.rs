//! The trust-region subproblem, solved by the eigenvalues of the scaled Hessian, so that a step can leave a saddle point along its direction
//! of negative curvature.

use crate::linalg::eigen::symmetric_eigen;
use crate::linalg::small::dot;

/// Solution of the trust-region subproblem.
pub struct Step {
    /// The step.
    pub step: Vec<f64>,
    /// Decrease that the quadratic model promises.
    pub decrease: f64,
    /// Length in the scaled norm.
    pub length: f64,
    /// Whether it is the unrestricted minimum of a convex model.
    pub newton: bool,
}

impl Step {
    /// Minimises g's + s'Hs / 2 over |s / scale| <= radius, by eigenvalues (Nocedal and Wright, section 4.3). H is the sum of the Hessian and
    /// of its correction, if there is one.
    pub fn new(gradient: &[f64], hessian: &[f64], correction: &[f64], scale: &[f64], radius: f64) -> Self {
        let n = gradient.len();
        let mut scaled = hessian.to_vec();
        scaled.iter_mut().zip(correction).for_each(|(h, c)| *h += c);
        (0..n * n).for_each(|i| scaled[i] *= scale[i / n] * scale[i % n]);
        let (values, vectors) = symmetric_eigen(&scaled, n);
        let g: Vec<f64> = (0..n).map(|j| (0..n).map(|i| vectors[j * n + i] * gradient[i] * scale[i]).sum()).collect();
        let largest = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let flat = 1e-11 * largest;
        let length = |shift: f64| -> f64 {
            g.iter().zip(&values).map(|(g, v)| if g.abs() == 0.0 { 0.0 } else { (g / (v + shift)).powi(2) }).sum::<f64>().sqrt()
        };
        let least = values.first().copied().unwrap_or(0.0);
        let mut coefficients: Vec<f64>;
        let newton = least > flat && length(0.0) <= radius;
        if newton {
            coefficients = g.iter().zip(&values).map(|(g, v)| -g / v).collect();
        } else {
            let mut low = (-least).max(0.0) + flat.max(f64::MIN_POSITIVE);
            coefficients = g.iter().zip(&values).map(|(g, v)| -g / (v + low)).collect();
            let norm = dot(&coefficients, &coefficients).sqrt();
            if norm < radius {
                // the hard case: the rest of the way along the direction of least curvature
                if least < -flat {
                    let rest = (radius * radius - norm * norm).sqrt();
                    coefficients[0] += if coefficients[0] < 0.0 { -rest } else { rest };
                }
            } else {
                let g_norm = dot(&g, &g).sqrt();
                let mut high = low + g_norm / radius;
                for _ in 0..100 {
                    let shift = 0.5 * (low + high);
                    if length(shift) > radius {
                        low = shift;
                    } else {
                        high = shift;
                    }
                    if high - low <= 1e-3 * high {
                        break;
                    }
                }
                coefficients = g.iter().zip(&values).map(|(g, v)| -g / (v + high)).collect();
            }
        }
        let decrease = -coefficients.iter().zip(&g).zip(&values).map(|((c, g), v)| c * g + 0.5 * v * c * c).sum::<f64>();
        let step = (0..n).map(|i| scale[i] * (0..n).map(|j| vectors[j * n + i] * coefficients[j]).sum::<f64>()).collect();
        Step { step, decrease, length: dot(&coefficients, &coefficients).sqrt(), newton }
    }
}
