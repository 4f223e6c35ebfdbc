//! The verbs of penalised least squares (Bates et al. 2015, doi:10.18637/jss.v067.i01, section 3), whatever a design's structure.
//!
//! [`Pls`] ties a factorisation of [`crate::factor`] to its derivatives of [`crate::curvature`]: for one grouping factor in
//! [`classes`], for several with few effects in [`few`], and for all others in [`general`]. Whoever uses these verbs needn't know which
//! it is. There is one dynamic call for each verb of an evaluation, and none inside.

pub mod classes;
pub mod few;
pub mod general;
pub mod kept;

use crate::curvature::derivatives::Derivatives;
use crate::curvature::frame::Frame;
use crate::factor::blocks::NotPositiveDefinite;
use crate::model::lambda::Lambda;
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::pls::classes::ByClass;
use crate::pls::few::Few;
use crate::pls::general::General;
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

    /// Lower Cholesky factor of X'V^-1X, p x p.
    fn fixed_factor(&self) -> &[f64];

    /// Derivatives of the criterion of the last solution in a frame. No diagonal of Lambda may be zero.
    fn derivatives(&mut self, frame: &Frame) -> Derivatives;

    /// Whether the second derivatives are exact, not the average information.
    fn has_exact_hessian(&self) -> bool;

    /// Expected second derivatives in the elements of the covariances, where all that they are made of is at hand.
    fn expected_information(&mut self) -> Option<Vec<f64>> {
        None
    }

    /// Calls `visit(group, number of levels, block)` for the K x K diagonal blocks of M^-1.
    fn inverse_blocks(&mut self, visit: &mut dyn FnMut(usize, f64, &[f64]));

    /// Keeps the factorisation at a Lambda, and what derivatives share there, for all searches that start from it. Where keeping it
    /// would save nothing this does nothing.
    fn pin(&mut self, _lambda: &Lambda) {}
}

/// The way that a design's plan has chosen.
pub fn of_design<'a>(design: &'a Design, reml: bool, workers: &'a Workers) -> Box<dyn Pls + 'a> {
    match (&design.plan.classes, &design.plan.coupling) {
        (Some(classes), _) => Box::new(ByClass::new(design, classes, reml, workers)),
        (None, Some(coupling)) => Box::new(Few::new(design, coupling, reml)),
        (None, None) => Box::new(General::new(design, reml, workers)),
    }
}

/// Hands the blocks of each group to `visit`, level by level.
fn visit_blocks(design: &Design, blocks: &[Vec<f64>], visit: &mut dyn FnMut(usize, f64, &[f64])) {
    for (g, (group, blocks)) in design.structure.groups.iter().zip(blocks).enumerate() {
        blocks.chunks_exact(group.k * group.k).for_each(|block| visit(g, 1.0, block));
    }
}
