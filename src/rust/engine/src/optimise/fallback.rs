//! Minimisation by values alone, used where the derivatives say that a small step must lower the criterion and no step does: Powell's
//! BOBYQA (2009, report DAMTP 2009/NA06), by the crate of that name.

use bobyqa::{Bobyqa, Config, FUNCMAX};

use crate::optimise::trust_region::{Descent, Objective, Outcome, Point};
use crate::tolerances::CHANGE;

/// How far it looks, in steps of the trust region's scale.
const REACH: f64 = 10.0;

/// A descent from a lower point that the values alone lead to; the stalled one, where there is no such point or nothing can be
/// computed there. Counts all evaluations.
pub fn go_on<O: Objective>(
    objective: &mut O,
    stalled: Descent,
    limit: usize,
    descend: impl FnOnce(&mut O, Vec<f64>) -> Option<Descent>,
) -> Descent {
    let (lower, tried) = below(objective, &stalled.point, limit);
    let evaluations = stalled.evaluations + tried;
    if objective.interrupted() {
        return Descent { outcome: Outcome::Interrupted, evaluations, ..stalled };
    }
    match lower.and_then(|x| descend(objective, x)) {
        Some(other) => Descent { evaluations: evaluations + other.evaluations, ..other },
        None => Descent { evaluations, ..stalled },
    }
}

/// A point below `from` by more than rounding, if one is found within `limit` evaluations, and the number that it took.
fn below(objective: &mut impl Objective, from: &Point, limit: usize) -> (Option<Vec<f64>>, usize) {
    let n = from.x.len();
    let scale = objective.step_scale(&from.x);
    let there = |s: &[f64]| -> Vec<f64> { from.x.iter().zip(s).zip(&scale).map(|((x, s), scale)| x + s * scale).collect() };
    let mut config = Config::new(n);
    config.rho_begin = 0.1;
    config.rho_end = 1e-6;
    config.max_fun = limit.max(config.npt + 1);
    let (mut s, reach) = (vec![0.0; n], vec![REACH; n]);
    let Ok(mut solver) = Bobyqa::new(n, config) else { return (None, 0) };
    let value = |s: &[f64]| {
        // the solver can't be stopped, but then it has nothing to do
        if objective.interrupted() {
            return FUNCMAX;
        }
        objective.value(&there(s)).unwrap_or(FUNCMAX)
    };
    let lowest: Vec<f64> = reach.iter().map(|r| -r).collect();
    let found = solver.minimize(value, &mut s, &lowest, &reach);
    let better = found.f < from.value - CHANGE.max(10.0 * from.noise);
    (better.then(|| there(&s)), found.n_eval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimise::trust_region::minimise;

    /// Rosenbrock's function with a gradient that points uphill.
    struct Misled;

    impl Objective for Misled {
        fn evaluate(&mut self, x: Vec<f64>) -> Option<Point> {
            let value = self.value(&x)?;
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            let gradient = vec![2.0 * a + 400.0 * x[0] * b, -200.0 * b];
            Some(Point { x, value, noise: 0.0, gradient, hessian: vec![1.0, 0.0, 0.0, 1.0] })
        }
        fn value(&mut self, x: &[f64]) -> Option<f64> {
            Some((1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2))
        }
        fn step_scale(&self, _: &[f64]) -> Vec<f64> {
            vec![1.0, 1.0]
        }
        fn exact_hessian(&self) -> bool {
            true
        }
        fn interrupted(&self) -> bool {
            false
        }
    }

    #[test]
    fn values_lead_on_where_derivatives_mislead() {
        let Descent { point, outcome, .. } = minimise(&mut Misled, vec![-1.2, 1.0], 200).unwrap();
        assert_eq!(outcome, Outcome::Stalled);
        let (found, evaluations) = below(&mut Misled, &point, 1000);
        let x = found.expect("there is a lower point");
        assert!((x[0] - 1.0).abs() < 1e-4 && (x[1] - 1.0).abs() < 1e-4 && evaluations < 1000, "{x:?} {evaluations}");
        let bottom = Misled.evaluate(vec![1.0, 1.0]).unwrap();
        assert!(below(&mut Misled, &bottom, 1000).0.is_none());
    }

    #[test]
    fn a_stalled_point_is_kept_where_nothing_better_can_be_computed() {
        let stalled = minimise(&mut Misled, vec![-1.2, 1.0], 200).unwrap();
        let kept = go_on(&mut Misled, stalled.clone(), 1000, |_, _| None);
        assert_eq!((&kept.point.x, kept.point.value, kept.outcome), (&stalled.point.x, stalled.point.value, Outcome::Stalled));
        assert!(kept.evaluations > stalled.evaluations);
        let better = go_on(&mut Misled, stalled.clone(), 1000, |misled, x| minimise(misled, x, 200));
        assert!(better.point.value < 1e-6 && better.evaluations > kept.evaluations, "{better:?}");
    }
}
