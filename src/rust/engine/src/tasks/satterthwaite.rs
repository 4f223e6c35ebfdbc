//! What Satterthwaite's degrees of freedom are made of (Satterthwaite 1946, doi:10.2307/3002019; Giesbrecht and Burns 1985,
//! doi:10.2307/2530872; Fai and Cornelius 1996, doi:10.1080/00949659608811740), without a numerical derivative of the covariance.
//!
//! The variance l'Phi l of a contrast has 2 (l'Phi l)^2 / (d'A d) degrees of freedom, where d is its gradient in the parameters theta
//! and sigma and A their asymptotic covariance: twice the inverse of the observed second derivatives of the unprofiled criterion
//!
//! D(theta, sigma) = log |M| + [REML: log |X'V^-1X|] + nu log(2 pi sigma^2) + pwrss(theta) / sigma^2.
//!
//! With H the second derivatives of the criterion d(theta) that has sigma profiled out, and rho the gradient of log pwrss, those of D in
//! theta and log sigma at sigma^2 = pwrss / nu are [H + nu rho rho', -2 nu rho; -2 nu rho', 4 nu]. The Schur complement of 4 nu is H, so
//! that the inverse has the blocks H^-1, H^-1 rho / 2 and 1 / (4 nu) + rho'H^-1 rho / 4. With C = X'V^-1X (V in units of sigma^2, see
//! [`crate::tasks::marginal`]) and Phi = sigma^2 C^-1 the derivatives of Phi are -sigma^2 C^-1 dC C^-1.

use crate::curvature::frame::Frame;
use crate::error::Error;
use crate::factor::criterion::degrees_of_freedom;
use crate::linalg::blocks::nth_mut;
use crate::linalg::eigen::symmetric_eigen;
use crate::linalg::small::{axpy, dot, solve_lower_transpose};
use crate::model::lambda::{free_elements, lambda_of, Lambda};
use crate::model::structure::Structure;
use crate::optimise::criterion::{with_floor, Criterion, Solved};
use crate::optimise::trust_region::Objective;
use crate::plan::design::Design;
use crate::products::response::Response;
use crate::tasks::fit::{check, coefficients, Options};
use crate::tasks::marginal::Marginal;
use crate::tolerances::VANISHING_CURVATURE;

/// How the covariance of the fixed effects depends on the covariance parameters, and how well these are known. In the units of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Satterthwaite {
    /// Asymptotic covariance of theta and sigma, a square matrix.
    pub covariance: Vec<f64>,
    /// Per element of theta the derivative of the covariance of all fixed effects, a square matrix. (That in sigma is the covariance
    /// itself times 2 / sigma.)
    pub jacobian: Vec<Vec<f64>>,
    /// Second derivatives, in natural units of theta, of the directions that were left out of `covariance`: where the criterion is flat,
    /// or where it is no minimum.
    pub left_out: Vec<f64>,
    /// The fixed effects at theta.
    pub beta: Vec<f64>,
    /// The residual standard deviation at theta.
    pub sigma: f64,
}

/// At the theta that the options start from. The residual standard deviation is that of the cross-products, whatever the fit's. Costs the
/// second derivatives of the criterion and, for each parameter, a matrix of the fixed effects.
///
/// # Errors
/// [`Error::NotPositiveDefinite`] where nothing can be computed at theta or the response is fitted exactly, [`Error::TooLarge`] where the
/// matrices would not fit, and those of [`crate::fit`].
pub fn satterthwaite(design: &Design, response: &Response, options: &Options) -> Result<Satterthwaite, Error> {
    check(design, options)?;
    let theta = options.start.as_deref().ok_or("the degrees of freedom need theta")?;
    let mut criterion = Criterion::new(design, options.reml, options.workers, options.interrupted);
    criterion.set_response(response);
    of_criterion(&mut criterion, response, theta)
}

/// The same of a criterion that has taken up the response.
pub(crate) fn of_criterion(criterion: &mut Criterion, response: &Response, theta: &[f64]) -> Result<Satterthwaite, Error> {
    let (design, workers) = (criterion.design, criterion.workers);
    let structure = &design.structure;
    if criterion.is_exact() {
        return Err(Error::NotPositiveDefinite);
    }
    let found = second_derivatives(criterion, response, theta);
    if criterion.interrupted() {
        return Err(Error::Interrupted);
    }
    let (solved, lambda, hessian) = found.ok_or(Error::NotPositiveDefinite)?;
    let nu = degrees_of_freedom(design, criterion.reml);
    let sigma = (solved.pwrss / nu).sqrt() * response.scale;
    let frame = Frame::theta(structure, theta);
    let rho = residual_gradient(structure, &lambda, &frame, &solved);
    let (inverse, left_out) = inverse_of_curvature(criterion, theta, &hessian);
    let marginal = Marginal::new(design, theta, workers)?;
    let derivatives = marginal.derivatives_in_theta(theta, workers);
    let of_covariance = |derivative: &Vec<f64>| {
        let mut out = marginal.covariance_to_caller(derivative);
        out.iter_mut().for_each(|v| *v *= -sigma * sigma);
        out
    };
    Ok(Satterthwaite {
        covariance: parameter_covariance(&inverse, &rho, nu, sigma),
        jacobian: derivatives.iter().map(of_covariance).collect(),
        left_out,
        beta: coefficients(design, response, &solved),
        sigma,
    })
}

/// The solution at theta, the Lambda that it belongs to, which has no zero on its diagonal, and the criterion's second derivatives.
fn second_derivatives(criterion: &mut Criterion, response: &Response, theta: &[f64]) -> Option<(Solved, Lambda, Vec<f64>)> {
    let structure = &criterion.design.structure;
    let at = structure.lambda(theta);
    let (_, mut hessian) = criterion.derivatives_in_theta(&at, theta)?;
    if !criterion.exact_hessian() {
        hessian = criterion.difference_hessian(theta)?;
    }
    let lambda = lambda_of(structure, &with_floor(structure, free_elements(structure, &at)));
    let solved = criterion.solution(&lambda, response, true)?;
    Some((solved, lambda, hessian))
}

/// rho = -<sum over levels of g g', d(Lambda Lambda')> / pwrss with g = Lambda^-T u.
fn residual_gradient(structure: &Structure, lambda: &Lambda, frame: &Frame, solved: &Solved) -> Vec<f64> {
    let mut g = solved.effects.as_ref().map_or_else(Vec::new, |effects| effects.0.clone());
    let mut squares: Vec<Vec<f64>> = structure.groups.iter().map(|group| vec![0.0; group.k * group.k]).collect();
    for ((group, lambda), squares) in structure.groups.iter().zip(lambda).zip(&mut squares) {
        let k = group.k;
        for level in g[group.range()].chunks_exact_mut(k) {
            solve_lower_transpose(lambda, k, level);
            (0..k).for_each(|c| axpy(level[c], level, nth_mut(squares, c, k)));
        }
    }
    frame.gradient(structure, &squares).into_iter().map(|v| -v / solved.pwrss).collect()
}

/// H^-1 without the directions in which H isn't positive, and what H is there. They are looked for in units of theta in which a level's
/// data and its prior weigh the same, or of theta itself, so that the answer doesn't depend on the units of a predictor.
fn inverse_of_curvature(criterion: &Criterion, theta: &[f64], hessian: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (n, units) = (theta.len(), criterion.units_of_theta(theta));
    let kept: Vec<usize> = (0..n).filter(|&i| !criterion.is_idle(i)).collect();
    let m = kept.len();
    let scaled: Vec<f64> =
        (0..m * m).map(|at| (kept[at % m], kept[at / m])).map(|(i, j)| hessian[j * n + i] * units[i] * units[j]).collect();
    let (values, vectors) = symmetric_eigen(&scaled, m);
    let mut left_out = vec![0.0; n - m];
    let mut inverse = vec![0.0; n * n];
    for (value, vector) in values.iter().zip(vectors.chunks_exact(m.max(1))) {
        if *value <= VANISHING_CURVATURE {
            left_out.push(*value);
            continue;
        }
        for (a, &j) in kept.iter().enumerate() {
            for (b, &i) in kept.iter().enumerate() {
                inverse[j * n + i] += vector[a] * units[j] * vector[b] * units[i] / value;
            }
        }
    }
    (inverse, left_out)
}

/// A for theta and sigma.
fn parameter_covariance(inverse: &[f64], rho: &[f64], nu: f64, sigma: f64) -> Vec<f64> {
    let n = rho.len();
    let mut out = vec![0.0; (n + 1) * (n + 1)];
    let cross: Vec<f64> = inverse.chunks_exact(n.max(1)).map(|column| dot(column, rho)).collect();
    for j in 0..n {
        (0..n).for_each(|i| out[j * (n + 1) + i] = 2.0 * inverse[j * n + i]);
        out[j * (n + 1) + n] = sigma * cross[j];
        out[n * (n + 1) + j] = sigma * cross[j];
    }
    out[n * (n + 1) + n] = sigma * sigma * 0.5 * (1.0 / nu + dot(rho, &cross));
    out
}
