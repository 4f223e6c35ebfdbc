//! The search for the optimum: starts, descents, and the first-order condition in the covariance.

use crate::error::Error;
use crate::model::lambda::{free_elements, lambda_of, set_term_block, Lambda};
use crate::model::structure::Structure;
use crate::optimise::criterion::Criterion;
use crate::optimise::descent::{descend, is_singular, near_zero};
use crate::optimise::fallback::go_on;
use crate::optimise::ridge::leave_ridges;
use crate::optimise::scoring::scoring_step;
use crate::optimise::trust_region::{Descent, Outcome, Point};
use crate::tolerances::{CHANGE, FAR_FROM_ZERO, FIRST_START, NEAR_ZERO, OTHER_START};

/// Steps of scoring to a start. Far from the optimum the second one leads further than the first of Newton's; a third one rarely does.
const SCORINGS: usize = 2;

/// Where a search ended.
#[derive(Clone, Debug)]
pub struct Found {
    /// The canonical Lambda of the optimum.
    pub lambda: Lambda,
    /// Its theta.
    pub theta: Vec<f64>,
    /// What ended the last descent.
    pub outcome: Outcome,
    /// Evaluations of all descents.
    pub evaluations: usize,
}

/// Finds the optimum for a response; one search, with its memory, serves many responses in turn.
pub struct Search<'a> {
    /// The criterion.
    pub criterion: Criterion<'a>,
    /// Most evaluations of one descent.
    pub max_evaluations: usize,
}

impl<'a> Search<'a> {
    fn structure(&self) -> &'a Structure {
        &self.criterion.design.structure
    }

    /// Optimises from the first start, from others when the fit is singular, and off any point at which the
    /// derivative in the covariance has a negative direction.
    pub fn run(&mut self, start: Option<&[f64]>) -> Result<Found, Error> {
        if self.criterion.is_exact() {
            // Rounding errors have a likelihood too, with an optimum somewhere.
            let theta = vec![0.0; self.structure().entries.len()];
            return Ok(Found { lambda: self.structure().zero_lambda(), theta, outcome: Outcome::Converged, evaluations: 0 });
        }
        let limit = self.max_evaluations;
        let (start, scored) = match start {
            Some(theta) => (free_elements(self.structure(), &self.structure().lambda(theta)), 0),
            None => self.scored_start(FIRST_START, &[]),
        };
        self.criterion.known = None;
        let mut best =
            descend(&mut self.criterion, start.clone(), limit).ok_or("the criterion cannot be computed at the starting values")?;
        best.evaluations += scored;
        if is_singular(&self.criterion, &best.point.x) && best.outcome != Outcome::Interrupted {
            self.try_other_starts(&mut best, &start);
        }
        if best.outcome == Outcome::Stalled {
            self.criterion.known = None;
            best = go_on(&mut self.criterion, best, limit, |criterion, x| descend(criterion, x, limit));
        }
        if best.outcome.is_end() {
            leave_ridges(&mut self.criterion, &mut best, limit);
        }
        let (lambda, theta) = self.settle(&best.point);
        Ok(Found { lambda, theta, outcome: best.outcome, evaluations: best.evaluations })
    }

    /// A singular fit's descents from two more starts.
    fn try_other_starts(&mut self, best: &mut Descent, first: &[f64]) {
        for far in [false, true] {
            let (start, scored) = if far { (self.away_from_zero(&best.point.x), 0) } else { self.scored_start(OTHER_START, first) };
            best.evaluations += scored;
            if start == first {
                continue;
            }
            self.criterion.known = Some(best.point.clone());
            let Some(other) = descend(&mut self.criterion, start, self.max_evaluations) else { continue };
            best.evaluations += other.evaluations;
            if other.outcome == Outcome::Interrupted {
                best.outcome = Outcome::Interrupted;
                return;
            }
            if other.point.value < best.point.value - CHANGE {
                *best = Descent { evaluations: best.evaluations, ..other };
            }
        }
    }

    /// Where [`SCORINGS`] steps of scoring from [`Search::uniform_start`] lead, and their number; fewer of them where they lead to
    /// `known`.
    fn scored_start(&mut self, multiple: f64, known: &[f64]) -> (Vec<f64>, usize) {
        let mut x = self.uniform_start(multiple);
        for step in 1..=SCORINGS {
            match scoring_step(&mut self.criterion, x.clone()) {
                Some(next) => x = next,
                None => return (x, step),
            }
            if x == known {
                return (x, step);
            }
        }
        (x, SCORINGS)
    }

    /// A point with its singular terms moved into the interior.
    fn away_from_zero(&self, x: &[f64]) -> Vec<f64> {
        let structure = self.structure();
        let mut lambda = lambda_of(structure, x);
        for i in near_zero(&self.criterion, x, NEAR_ZERO) {
            let entry = structure.entries[i];
            let group = &structure.groups[entry.group];
            let of_entry = |t: &&(usize, usize, usize)| (t.2..t.2 + t.1).contains(&entry.row);
            let &(_, k, first) = group.terms.iter().find(of_entry).expect("every element belongs to a term");
            let mut block = vec![0.0; k * k];
            (0..k).for_each(|c| block[c * k + c] = FAR_FROM_ZERO);
            set_term_block(&mut lambda[entry.group], group.k, first, k, &block);
        }
        free_elements(structure, &lambda)
    }

    /// Diagonals all equal to a multiple of the residual standard deviation, off-diagonals zero.
    fn uniform_start(&self, multiple: f64) -> Vec<f64> {
        self.structure().entries.iter().map(|e| if e.row == e.col { multiple } else { 0.0 }).collect()
    }

    /// The canonical Lambda of a point: columns that can be exactly zero are, or else their diagonals; and its theta.
    fn settle(&mut self, point: &Point) -> (Lambda, Vec<f64>) {
        let structure = self.structure();
        let mut x = self.criterion.without_idle(point.x.clone());
        let candidates = near_zero(&self.criterion, &point.x, NEAR_ZERO);
        let tolerance = CHANGE.max(10.0 * point.noise);
        for i in candidates {
            let own = structure.entries[i];
            let same_column = |j: usize| structure.entries[j].group == own.group && structure.entries[j].col == own.col;
            let column: Vec<f64> = (0..x.len()).map(|j| if same_column(j) { 0.0 } else { x[j] }).collect();
            let diagonal: Vec<f64> = (0..x.len()).map(|j| if j == i { 0.0 } else { x[j] }).collect();
            for trial in [column, diagonal] {
                if self.criterion.value(&trial).is_some_and(|v| v <= point.value + tolerance) {
                    x = trial;
                    break;
                }
            }
        }
        let mut lambda = lambda_of(structure, &x);
        structure.canonical(&mut lambda);
        let theta = self.criterion.design.determined_theta(&lambda, self.criterion.reml);
        if self.criterion.has_idle() {
            lambda = structure.lambda(&theta); // the variances that are zero are those of the caller's columns
        }
        (lambda, theta)
    }
}
