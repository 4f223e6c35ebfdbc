//! The verbs of penalised least squares (Bates et al. 2015, doi:10.18637/jss.v067.i01, section 3), whatever a design's structure.
//!
//! [`Pls`] ties a factorisation of [`crate::factor`] to its derivatives of [`crate::curvature`]: for one grouping factor in
//! [`classes`], for several in [`several`], by the way of [`few`] effects or the [`general`] one. Whoever uses these verbs needn't know
//! which it is. There is one dynamic call for each verb of an evaluation, and none inside.

pub mod classes;
pub mod few;
pub mod general;
pub mod kept;
pub mod several;

use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::blocks::NotPositiveDefinite;
use crate::model::lambda::Lambda;
use crate::parallel::Workers;
use crate::plan::design::DesignRef;
use crate::pls::classes::by_class;
use crate::pls::few::Few;
use crate::pls::general::General;
use crate::pls::kept::Pinned;
use crate::pls::several::{Problem, Several};
use crate::products::response::Response;

/// A penalised least-squares problem: what is asked after [`Pls::factorize`] belongs to the Lambda that it was given, and after
/// [`Pls::solve`] to that Lambda and the response.
pub trait Pls {
    /// Takes up another response.
    fn set_response(&mut self, response: &Response);

    /// Factors M and X'V^-1X at a Lambda, unless that is where it was last done or what was pinned belongs to it.
    fn factorize(&mut self, lambda: &Lambda) -> Result<(), NotPositiveDefinite>;

    /// log |M| and log |X'V^-1X|. Each of them takes another factorisation where a factor is absorbed; where their sum is all that
    /// matters `each` spares it.
    fn log_determinants(&mut self, each: bool) -> Result<(f64, f64), NotPositiveDefinite>;

    /// Solves for the coefficients and the spherical effects; the penalised residual sum of squares.
    fn solve(&mut self) -> f64;

    /// Coefficients of the engine's X, of the last solution.
    fn beta(&self) -> &[f64];

    /// Spherical random effects u in the engine's order, of the last solution; `response` is the one that was taken up.
    fn spherical_effects(&self, response: &Response) -> Vec<f64>;

    /// RX', the lower Cholesky factor of X'V^-1X, p x p.
    fn rx(&self) -> &[f64];

    /// Derivatives of log |M| + [REML: log |X'V^-1X|] + nu log pwrss of the last solution in a frame, for any nu: with the degrees of freedom
    /// they are those of the criterion. No diagonal of Lambda may be zero.
    fn derivatives_with(&mut self, nu: f64, frame: &Frame) -> Derivatives;

    /// The degrees of freedom that go with the criterion.
    fn degrees_of_freedom(&self) -> f64;

    /// Derivatives of the criterion of the last solution in a frame.
    fn derivatives(&mut self, frame: &Frame) -> Derivatives {
        self.derivatives_with(self.degrees_of_freedom(), frame)
    }

    /// Whether the second derivatives are exact, not the average information.
    fn has_exact_hessian(&self) -> bool;

    /// Expected second derivatives in the elements of the covariances, where all that they are made of is at hand.
    fn expected_information(&mut self) -> Option<Vec<f64>> {
        None
    }

    /// Calls `visit(group, number of levels, block)` for the K x K diagonal blocks of M^-1.
    fn inverse_blocks(&mut self, visit: &mut dyn FnMut(usize, f64, &[f64]));

    /// Keeps the factorisation at a Lambda, and what derivatives share there, for all searches that start from it; other problems of the
    /// same design can share it. Nothing where keeping it would save nothing, or where there is none.
    fn pin(&mut self, _lambda: &Lambda) -> Option<Pinned> {
        None
    }

    /// Keeps what another problem of the same design, with or without REML as this one, has pinned. [`Pls::factorize`] has to follow.
    fn share(&mut self, _pinned: &Pinned) {}
}

/// The way that a design's plan has chosen.
pub fn of_design<'a>(design: impl Into<DesignRef<'a>>, reml: bool, workers: &'a Workers) -> Box<dyn Pls + 'a> {
    let problem = Problem { design: design.into(), reml, workers };
    match (&problem.design.plan.classes, &problem.design.plan.coupling) {
        (Some(_), _) => by_class(problem),
        (None, Some(_)) => Box::new(Several::<Few>::new(problem)),
        (None, None) => Box::new(Several::<General>::new(problem)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::absorbed::Absorbed;
    use crate::model::rows::{Rows, Term};
    use crate::plan::design::Design;

    /// Hands a small model of two crossed factors, the second with a slope, to `body`: by the dense way or by the general one.
    pub(crate) fn with_crossed(dense: bool, body: impl FnOnce(&Design, &Response)) {
        with_terms(dense, false, None, body);
    }

    /// The same with its terms in this order or the other, whichever group leads, and with a third factor's levels for fixed effects, where
    /// one is to be absorbed; then there is the general way only.
    fn with_terms(dense: bool, reversed: bool, absorbed: Option<Absorbed>, body: impl FnOnce(&Design, &Response)) {
        let n = 60;
        let wave = |i: usize, a: f64| (i as f64 * a).sin();
        let x: Vec<f64> = (0..2 * n).map(|i| if i < n { 1.0 } else { wave(i, 0.7) }).collect();
        let y: Vec<f64> = (0..n).map(|i| wave(i, 1.3) + wave(i / 7, 2.1)).collect();
        let mut codes = vec![(0..n).map(|i| (i * 7 % 12) as i32 + 1).collect::<Vec<_>>(), (0..n).map(|i| (i % 5) as i32 + 1).collect()];
        let (mut levels, mut fixed) = (vec![12, 5], &x[..]);
        if absorbed.is_some() {
            codes.push((0..n).map(|i| ((i * 13 + i / 7) % 7) as i32 + 1).collect());
            levels.push(7);
            fixed = &x[n..];
        }
        let mut terms = vec![Term { factor: 0, z: None, k: 1 }, Term { factor: 1, z: Some(&x), k: 2 }];
        if reversed {
            terms.reverse();
        }
        let codes = codes.iter().map(|c| &c[..]).collect();
        let rows = Rows { n, x: fixed, p: fixed.len() / n, codes, levels, terms, weights: None, absorbed };
        let mut design = Design::new(&rows).unwrap();
        assert_eq!(design.plan.coupling.is_some(), absorbed.is_none());
        if !dense && absorbed.is_none() {
            design = design.without_coupling();
        }
        let response = Response::new(&design, &rows, &y, Workers::none()).unwrap();
        body(&design, &response);
    }

    #[test]
    fn the_gradient_in_lambda_is_that_of_the_covariance() {
        for (dense, reversed) in [(true, false), (true, true), (false, false), (false, true)] {
            with_terms(dense, reversed, None, |design, response| {
                let theta = if reversed { [0.4, 0.1, 0.3, 0.7] } else { [0.7, 0.4, 0.1, 0.3] };
                let lambda = design.structure.lambda(&theta);
                let mut pls = of_design(design, true, Workers::none());
                pls.set_response(response);
                pls.factorize(&lambda).unwrap();
                pls.solve();
                let frame = Frame::engine(&design.structure, &lambda);
                let d = pls.derivatives(&frame);
                for (a, b) in d.gradient.iter().zip(frame.gradient(&design.structure, &d.covariance)) {
                    assert!((a - b).abs() < 1e-10 * (1.0 + b.abs()), "dense {dense}, reversed {reversed}: {a} {b}");
                }
            });
        }
    }

    /// All that can be read off a problem that is factored and solved.
    fn readings(pls: &mut dyn Pls, design: &Design, lambda: &Lambda, response: &Response) -> Vec<f64> {
        pls.factorize(lambda).unwrap();
        let mut out = vec![pls.solve()];
        // what shares the factorisation goes first, before anything has brought it up to date
        pls.inverse_blocks(&mut |_, _, block| out.extend_from_slice(block));
        out.extend(pls.expected_information().unwrap_or_default());
        let (m, x) = pls.log_determinants(true).unwrap();
        out.extend([m, x]);
        out.extend_from_slice(pls.beta());
        out.extend_from_slice(pls.rx());
        out.extend(pls.spherical_effects(response));
        let d = pls.derivatives(&Frame::engine(&design.structure, lambda));
        out.extend(d.gradient.into_iter().chain(d.hessian).chain(d.covariance.concat()));
        out
    }

    #[test]
    fn all_is_read_where_the_problem_was_last_factored() {
        let factor = Some(Absorbed { factor: 2, intercept: true, first: 1 });
        let ways = [(true, None), (false, None), (false, factor)];
        for ((dense, absorbed), reml) in ways.into_iter().flat_map(|way| [(way, true), (way, false)]) {
            with_terms(dense, false, absorbed, |design, response| {
                let problem = || {
                    let mut pls = of_design(design, reml, Workers::none());
                    pls.set_response(response);
                    pls
                };
                let [here, there] = [[0.7, 0.4, 0.1, 0.3], [1.1, 0.2, -0.3, 0.6]].map(|theta| design.structure.lambda(&theta));
                let mut pinned = problem();
                let first = pinned.pin(&here).unwrap();
                for lambda in [&here, &there, &here, &there, &there, &here] {
                    let expected = readings(&mut *problem(), design, lambda, response);
                    assert_eq!(readings(&mut *pinned, design, lambda, response), expected, "dense {dense}, reml {reml}");
                }
                pinned.pin(&there).unwrap();
                let mut sharing = problem();
                sharing.share(&first);
                for lambda in [&here, &there] {
                    let expected = readings(&mut *problem(), design, lambda, response);
                    assert_eq!(readings(&mut *pinned, design, lambda, response), expected, "dense {dense}, reml {reml}");
                    assert_eq!(readings(&mut *sharing, design, lambda, response), expected, "shared, dense {dense}, reml {reml}");
                }
                pinned.share(&first);
                for lambda in [&there, &here] {
                    let expected = readings(&mut *problem(), design, lambda, response);
                    assert_eq!(readings(&mut *pinned, design, lambda, response), expected, "dense {dense}, reml {reml}");
                }
            });
        }
    }
}
