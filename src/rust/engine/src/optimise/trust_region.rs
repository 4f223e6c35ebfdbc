//! Newton's method in a trust region (Nocedal and Wright 2006, Numerical Optimization, chapter 4).
//!
//! The criterion is even in each column of a Lambda, so the elements of Lambda need no bounds: a variance of
//! zero is a stationary point like any other, and the second derivatives say whether it is a minimum.

use crate::linalg::small::dot;
use crate::optimise::step::Step;
use crate::tolerances::{DOUBT, LAST_STEP, PATIENT_PROMISE, PROMISE, SHORT_STEP, SHORT_STEP_PROMISE, UNRESOLVED};

/// The objective with its derivatives at a point.
#[derive(Clone, Debug)]
pub struct Point {
    /// Where.
    pub x: Vec<f64>,
    /// Value.
    pub value: f64,
    /// What rounding may have added to the value.
    pub noise: f64,
    /// Gradient.
    pub gradient: Vec<f64>,
    /// Second derivatives or an approximation to them, n x n.
    pub hessian: Vec<f64>,
}

/// What a trust region needs to know of its objective.
pub trait Objective {
    /// Value and derivatives at `x`; `None` where the objective cannot be computed. May adjust `x` slightly.
    fn evaluate(&mut self, x: Vec<f64>) -> Option<Point>;
    /// The value alone.
    fn value(&mut self, x: &[f64]) -> Option<f64> {
        self.evaluate(x.to_vec()).map(|point| point.value)
    }
    /// Length that counts as a step of one in each coordinate.
    fn step_scale(&self, x: &[f64]) -> Vec<f64>;
    /// Whether `hessian` is exact; if not, differences of gradients correct it.
    fn exact_hessian(&self) -> bool;
    /// Whether the user wants to stop.
    fn interrupted(&self) -> bool;
    /// Decrease that a step must promise to be taken; `patient` says that many have been.
    fn promise(&self, patient: bool) -> f64 {
        if patient {
            PATIENT_PROMISE
        } else {
            PROMISE
        }
    }
    /// Whether to go on from a point in a convex region, where `promised` is all that its quadratic model has to
    /// offer, leads only to what is known already.
    fn leads_nowhere(&self, _at: &Point, _promised: f64) -> bool {
        false
    }
}

/// Where a descent ended, and how.
#[derive(Clone, Debug)]
pub struct Descent {
    /// The best point (moved by a last step too short to be worth its evaluation).
    pub point: Point,
    /// What ended it.
    pub outcome: Outcome,
    /// Evaluations with derivatives.
    pub evaluations: usize,
}

/// How an optimisation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The model promises no further decrease that would be seen, and no direction of negative curvature is left.
    Converged,
    /// The evaluations ran out.
    EvaluationLimit,
    /// The model promises a further decrease far from here, but no more of it than rounding may have added to the value.
    Drowned,
    /// No step decreased the objective although its derivatives say that one should.
    Stalled,
    /// The user stopped it.
    Interrupted,
    /// It was on its way to a point that is known already.
    LedNowhere,
}

impl Outcome {
    /// Whether a descent went as far as it can: to an optimum, or to where rounding hides the way.
    pub fn is_end(&self) -> bool {
        matches!(self, Outcome::Converged | Outcome::Drowned)
    }
}

/// An approximate Hessian that has not led to the end after so many evaluations gives way to differences of gradients, and
/// [`PATIENT_PROMISE`] becomes the tolerance: along a curved valley each step promises little for long.
pub const PATIENCE: usize = 40;

/// Minimises from `start`; `None` when the objective cannot be computed there.
pub fn minimise(objective: &mut impl Objective, start: Vec<f64>, limit: usize) -> Option<Descent> {
    let mut best = objective.evaluate(start)?;
    let n = best.x.len();
    let mut correction = vec![0.0; if objective.exact_hessian() { 0 } else { n * n }];
    let (mut radius, mut evaluations, mut fresh) = (1.0_f64, 1, true);
    loop {
        if objective.interrupted() {
            return Some(Descent { point: best, outcome: Outcome::Interrupted, evaluations });
        }
        let scale = objective.step_scale(&best.x);
        if !objective.exact_hessian() && evaluations > PATIENCE && fresh {
            evaluations += difference_hessian(objective, &mut best, &scale);
            correction.fill(0.0);
        }
        fresh = false;
        let step = Step::new(&best.gradient, &best.hessian, &correction, &scale, radius);
        let tolerance = objective.promise(evaluations > PATIENCE).max(best.noise);
        if step.decrease <= tolerance && correction.iter().any(|c| *c != 0.0) {
            // The correction is a guess; the end must not hang on it.
            let plain = Step::new(&best.gradient, &best.hessian, &[], &scale, radius);
            if plain.decrease > UNRESOLVED.clamp(tolerance, 1e3 * tolerance) {
                correction.fill(0.0);
                continue;
            }
        }
        let exact = step.newton && objective.exact_hessian();
        let squares = exact && step.length <= SHORT_STEP && step.decrease <= SHORT_STEP_PROMISE;
        if step.decrease <= tolerance || squares {
            // Not worth its evaluation; an exact Newton step squares the error that is left.
            if exact && step.length <= LAST_STEP {
                best.x.iter_mut().zip(&step.step).for_each(|(x, s)| *x += s);
                best.value -= step.decrease;
            }
            let hidden = step.decrease > UNRESOLVED && step.length > LAST_STEP;
            if hidden && step.newton && evaluations < limit {
                evaluations += 1;
                if let Some(next) = by_gradient(objective, &best, &step, &correction) {
                    best = next;
                    continue;
                }
            }
            let outcome = if hidden { Outcome::Drowned } else { Outcome::Converged };
            return Some(Descent { point: best, outcome, evaluations });
        }
        if step.newton && objective.leads_nowhere(&best, step.decrease) {
            return Some(Descent { point: best, outcome: Outcome::LedNowhere, evaluations });
        }
        if evaluations >= limit {
            return Some(Descent { point: best, outcome: Outcome::EvaluationLimit, evaluations });
        }
        let x = best.x.iter().zip(&step.step).map(|(x, s)| x + s).collect();
        evaluations += 1;
        let trial = objective.evaluate(x);
        let ratio = trial.as_ref().map_or(f64::NEG_INFINITY, |t| {
            let decrease = best.value - t.value;
            if !step.newton && DOUBT * (t.noise - best.noise) > decrease.max(tolerance) {
                return f64::NEG_INFINITY; // what is won may be rounding
            }
            // Where the change drowns in rounding, the gradients along the step tell.
            if step.decrease < 100.0 * tolerance {
                let slope: f64 = dot(&best.gradient, &step.step) + dot(&t.gradient, &step.step);
                (-0.5 * slope / step.decrease).max(decrease / step.decrease)
            } else {
                decrease / step.decrease
            }
        });
        if ratio < 0.25 {
            radius = step.length * trial.as_ref().map_or(0.1, |t| shrinkage(&best, t, &step.step));
        } else if ratio > 0.75 && step.length > 0.9 * radius {
            radius = (2.0 * radius).min(1e3);
        }
        if let Some(trial) = trial {
            if !objective.exact_hessian() && evaluations <= PATIENCE {
                secant_correction(&mut correction, &best, &trial);
            }
            if ratio > 1e-4 {
                best = trial;
                fresh = true;
            }
        }
        if radius < 1e-10 {
            return Some(Descent { point: best, outcome: Outcome::Stalled, evaluations });
        }
    }
}

/// The end of a Newton step whose decrease the value can't show for rounding, where the gradient shows it: the next step would promise no
/// more than a quarter.
fn by_gradient(objective: &mut impl Objective, from: &Point, step: &Step, correction: &[f64]) -> Option<Point> {
    let x = from.x.iter().zip(&step.step).map(|(x, s)| x + s).collect();
    let next = objective.evaluate(x)?;
    let scale = objective.step_scale(&next.x);
    let further = Step::new(&next.gradient, &next.hessian, correction, &scale, f64::INFINITY);
    (further.newton && further.decrease <= 0.25 * step.decrease).then_some(next)
}

/// How far along a step that disappointed the parabola through both values and the slope at the beginning has its
/// minimum (Nocedal and Wright, section 3.5), within limits.
fn shrinkage(from: &Point, to: &Point, step: &[f64]) -> f64 {
    let slope = dot(&from.gradient, step);
    let curvature = 2.0 * (to.value - from.value - slope);
    if slope < 0.0 && curvature > 0.0 {
        (-slope / curvature).clamp(0.1, 0.5)
    } else {
        0.25
    }
}

/// Replaces the Hessian at a point by forward differences of the gradient; the number of evaluations that took.
fn difference_hessian(objective: &mut impl Objective, at: &mut Point, scale: &[f64]) -> usize {
    let n = at.x.len();
    let mut columns = Vec::with_capacity(n);
    for j in 0..n {
        let h = 1e-5 * scale[j];
        let mut x = at.x.clone();
        x[j] += h;
        let Some(there) = objective.evaluate(x) else { return j + 1 };
        let h = there.x[j] - at.x[j]; // the objective may have adjusted x
        if h == 0.0 {
            columns.push(at.hessian[j * n..(j + 1) * n].to_vec()); // it doesn't move
            continue;
        }
        columns.push(there.gradient.iter().zip(&at.gradient).map(|(a, b)| (a - b) / h).collect::<Vec<f64>>());
    }
    for j in 0..n {
        for i in 0..n {
            at.hessian[j * n + i] = 0.5 * (columns[j][i] + columns[i][j]);
        }
    }
    n
}

/// Symmetric rank-one update of what the approximate Hessian lacks, from the difference of two gradients
/// (Nocedal and Wright, section 6.2).
fn secant_correction(correction: &mut [f64], from: &Point, to: &Point) {
    let n = from.x.len();
    let s: Vec<f64> = to.x.iter().zip(&from.x).map(|(a, b)| a - b).collect();
    let mut r: Vec<f64> = to.gradient.iter().zip(&from.gradient).map(|(a, b)| a - b).collect();
    for j in 0..n {
        for i in 0..n {
            r[i] -= (0.5 * (to.hessian[j * n + i] + from.hessian[j * n + i]) + correction[j * n + i]) * s[j];
        }
    }
    let rs = dot(&r, &s);
    if rs.abs() <= 1e-8 * (dot(&r, &r) * dot(&s, &s)).sqrt() || !rs.is_finite() {
        return;
    }
    for j in 0..n {
        for i in 0..n {
            correction[j * n + i] += r[i] * r[j] / rs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value, gradient and Hessian of a function, and whether the Hessian may be believed.
    struct Function(fn(&[f64]) -> (f64, [f64; 2], [f64; 4]), bool);

    impl Objective for Function {
        fn evaluate(&mut self, x: Vec<f64>) -> Option<Point> {
            let (value, gradient, hessian) = (self.0)(&x);
            Some(Point { x, value, noise: 0.0, gradient: gradient.to_vec(), hessian: hessian.to_vec() })
        }
        fn step_scale(&self, _: &[f64]) -> Vec<f64> {
            vec![1.0, 1.0]
        }
        fn exact_hessian(&self) -> bool {
            self.1
        }
        fn interrupted(&self) -> bool {
            false
        }
    }

    #[test]
    fn rosenbrock_is_solved() {
        let mut f = Function(
            |x| {
                let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
                let h00 = 2.0 - 400.0 * b + 800.0 * x[0] * x[0];
                (a * a + 100.0 * b * b, [-2.0 * a - 400.0 * x[0] * b, 200.0 * b], [h00, -400.0 * x[0], -400.0 * x[0], 200.0])
            },
            true,
        );
        let Descent { point, outcome, .. } = minimise(&mut f, vec![-1.2, 1.0], 200).unwrap();
        assert_eq!(outcome, Outcome::Converged);
        assert!((point.x[0] - 1.0).abs() < 1e-5 && (point.x[1] - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_useless_hessian_is_made_up_for() {
        let mut f = Function(
            |x| {
                let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
                (a * a + 100.0 * b * b, [-2.0 * a - 400.0 * x[0] * b, 200.0 * b], [1.0, 0.0, 0.0, 1.0])
            },
            false,
        );
        let Descent { point, outcome, .. } = minimise(&mut f, vec![-1.2, 1.0], 500).unwrap();
        assert_eq!(outcome, Outcome::Converged);
        assert!((point.x[0] - 1.0).abs() < 1e-4 && (point.x[1] - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_saddle_is_left() {
        // minimum at (0, +-1), saddle at the start
        let mut f = Function(
            |x| {
                let b = x[1] * x[1] - 1.0;
                (x[0] * x[0] + b * b, [2.0 * x[0], 4.0 * x[1] * b], [2.0, 0.0, 0.0, 12.0 * x[1] * x[1] - 4.0])
            },
            true,
        );
        let Descent { point, outcome, .. } = minimise(&mut f, vec![0.0, 0.0], 100).unwrap();
        assert_eq!(outcome, Outcome::Converged);
        assert!(point.value < 1e-9 && (point.x[1].abs() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_short_step_is_taken_unseen() {
        let mut f = Function(
            |x| {
                let bowl = |v: f64| 0.5 * v * v + v * v * v / 3.0;
                (bowl(x[0]) + bowl(x[1]), [x[0] + x[0] * x[0], x[1] + x[1] * x[1]], [1.0 + 2.0 * x[0], 0.0, 0.0, 1.0 + 2.0 * x[1]])
            },
            true,
        );
        let Descent { point, outcome, evaluations } = minimise(&mut f, vec![5e-5, -6e-5], 100).unwrap();
        assert_eq!((outcome, evaluations), (Outcome::Converged, 1));
        assert!(point.x.iter().all(|x| x.abs() < 1e-8) && point.value.abs() < 1e-12, "{point:?}");
    }

    /// A function of x > 0 in x's own scale: value, slope, second derivative and what rounding adds.
    struct Scaled(fn(f64) -> [f64; 4]);

    impl Objective for Scaled {
        fn evaluate(&mut self, x: Vec<f64>) -> Option<Point> {
            let [value, slope, second, noise] = (self.0)(x[0]);
            Some(Point { x, value, noise, gradient: vec![slope], hessian: vec![second] })
        }
        fn step_scale(&self, x: &[f64]) -> Vec<f64> {
            x.to_vec()
        }
        fn exact_hessian(&self) -> bool {
            true
        }
        fn interrupted(&self) -> bool {
            false
        }
    }

    /// With rounding that grows with x squared, pulls the function down and bends it.
    fn pulled(x: f64, [value, slope, second]: [f64; 3]) -> [f64; 4] {
        let noise = 1e-12 * x * x;
        [value - noise, slope - 2e-12 * x, second - 2e-12, noise]
    }

    #[test]
    fn rounding_leads_nowhere() {
        let mut level = Scaled(|x| pulled(x, [1.0 / x, -1.0 / (x * x), 2.0 / (x * x * x)]));
        let Descent { point, outcome, .. } = minimise(&mut level, vec![1.0], 1000).unwrap();
        assert_eq!(outcome, Outcome::Converged);
        // from 1e4 on the second derivative is the rounding's
        assert!(point.x[0] > 1e3 && point.x[0] < 1.5e4, "{point:?}");
    }

    #[test]
    fn what_rounding_hides_is_no_end() {
        let mut steep = Scaled(|x| pulled(x, [-x.ln(), -1.0 / x, 1.0 / (x * x)]));
        let Descent { point, outcome, .. } = minimise(&mut steep, vec![1.0], 1000).unwrap();
        assert_eq!(outcome, Outcome::Drowned);
        assert!(point.x[0] > 1e5 && point.x[0] < 2e6, "{point:?}");
    }

    #[test]
    fn the_gradient_leads_where_the_value_is_hidden() {
        let mut bowl = Scaled(|x| {
            let distance = (x / 1e3).ln();
            [0.0, 2.0 * distance / x, 2.0 * (1.0 - distance) / (x * x), 1.0]
        });
        let Descent { point, outcome, evaluations } = minimise(&mut bowl, vec![800.0], 1000).unwrap();
        assert_eq!(outcome, Outcome::Converged);
        assert!((point.x[0] - 1e3).abs() < 0.1 && evaluations < 6, "{point:?}, {evaluations}");
    }

    #[test]
    fn the_limit_is_reported() {
        let mut f = Function(
            |x| (x[0].powi(4) + x[1].powi(4), [4.0 * x[0].powi(3), 4.0 * x[1].powi(3)], [12.0 * x[0] * x[0], 0.0, 0.0, 12.0 * x[1] * x[1]]),
            true,
        );
        let Descent { outcome, evaluations, .. } = minimise(&mut f, vec![3.0, 5.0], 3).unwrap();
        assert_eq!((outcome, evaluations), (Outcome::EvaluationLimit, 3));
    }
}
