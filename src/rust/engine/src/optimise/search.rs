//! The search for the optimum: starts, descents, and the first-order condition in the covariance.

use crate::linalg::eigen::symmetric_eigen;
use crate::linalg::small::semidefinite_cholesky;
use crate::model::lambda::{free_elements, lambda_of, set_term_block, term_block, term_covariance, Lambda};
use crate::model::structure::Structure;
use crate::optimise::criterion::Criterion;
use crate::optimise::fallback::below;
use crate::optimise::scoring::{natural_size, scoring_step};
use crate::optimise::trust_region::{minimise, Objective, Outcome, Point};

/// A diagonal below this share of its natural size is tried at exactly zero.
const NEAR_ZERO: f64 = 1e-2;
/// Where the step of scoring to the first start sets out, in residual standard deviations.
const FIRST_START: f64 = 0.5;
/// Where the step of scoring sets out to the second start of a singular fit.
const OTHER_START: f64 = 0.1;
/// Standard deviation, in those of the residuals, of a singular term's effects in a singular fit's third start.
const FAR_FROM_ZERO: f64 = 1.0;
/// A diagonal below this share of its natural size makes a ridge of the elements below it and their diagonals.
const RIDGE: f64 = 0.1;
/// How much the criterion may rise at first where the far end of a ridge is tried.
const ALONG_RIDGE: f64 = 1e-3;

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

/// The search for the optimum of one response after the other.
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
    pub fn run(&mut self, start: Option<&[f64]>) -> Result<Found, String> {
        if self.criterion.is_exact() {
            // Rounding errors have a likelihood too, with an optimum somewhere.
            let theta = vec![0.0; self.structure().entries.len()];
            return Ok(Found { lambda: self.structure().zero_lambda(), theta, outcome: Outcome::Converged, evaluations: 0 });
        }
        let mut evaluations = 0;
        let start = match start {
            Some(theta) => free_elements(self.structure(), &self.structure().lambda(theta)),
            None => {
                evaluations += 1;
                self.scored_start(FIRST_START)
            }
        };
        self.criterion.known = None;
        let mut best = self.descend(start)?;
        evaluations += best.2;
        if self.is_singular(&best.0.x) && best.1 != Outcome::Interrupted {
            for far in [false, true] {
                let start = if far { self.away_from_zero(&best.0.x) } else { self.scored_start(OTHER_START) };
                self.criterion.known = Some(best.0.clone());
                if let Ok(other) = self.descend(start) {
                    evaluations += other.2 + usize::from(!far);
                    if other.1 == Outcome::Interrupted {
                        best.1 = Outcome::Interrupted;
                        break;
                    }
                    if other.0.value < best.0.value - 1e-9 {
                        best = other;
                    }
                }
            }
        }
        if best.1 == Outcome::Stalled {
            best = self.go_on_by_values(best)?;
            evaluations += best.2;
        }
        if best.1 == Outcome::Converged {
            evaluations += self.leave_ridges(&mut best);
        }
        let (lambda, theta) = self.settle(&best.0);
        Ok(Found { lambda, theta, outcome: best.1, evaluations })
    }

    /// One step of scoring from [`Search::uniform_start`].
    fn scored_start(&mut self, multiple: f64) -> Vec<f64> {
        let uniform = self.uniform_start(multiple);
        scoring_step(&mut self.criterion, uniform.clone()).unwrap_or(uniform)
    }

    /// A point with its singular terms moved into the interior.
    fn away_from_zero(&self, x: &[f64]) -> Vec<f64> {
        let structure = self.structure();
        let mut lambda = lambda_of(structure, x);
        for i in self.near_zero(x) {
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

    fn descend(&mut self, start: Vec<f64>) -> Result<(Point, Outcome, usize), String> {
        let limit = self.max_evaluations;
        let failure = "the criterion cannot be computed at the starting values";
        let (mut point, mut outcome, mut evaluations) = minimise(&mut self.criterion, start, limit).ok_or(failure)?;
        for _ in 0..5 {
            if outcome != Outcome::Converged {
                break;
            }
            let Some(escape) = self.escape(&point) else { break };
            match minimise(&mut self.criterion, escape, limit) {
                Some((_, Outcome::Interrupted, _)) => outcome = Outcome::Interrupted,
                Some((other, how, more)) if other.value < point.value - 1e-9 => {
                    (point, outcome) = (other, how);
                    evaluations += more;
                }
                _ => break,
            }
        }
        Ok((point, outcome, evaluations))
    }

    /// Where the derivatives led no further, a descent from a lower point that the values alone lead to, if there is one.
    fn go_on_by_values(&mut self, stalled: (Point, Outcome, usize)) -> Result<(Point, Outcome, usize), String> {
        self.criterion.known = None;
        let (lower, tried) = below(&mut self.criterion, &stalled.0, self.max_evaluations);
        if self.criterion.interrupted() {
            return Ok((stalled.0, Outcome::Interrupted, tried));
        }
        let Some(x) = lower else { return Ok((stalled.0, stalled.1, tried)) };
        let (point, outcome, evaluations) = self.descend(x)?;
        Ok((point, outcome, tried + evaluations))
    }

    /// Where a diagonal a is all but zero and the elements below it aren't, these and their own diagonals hardly matter but for their sums
    /// of squares: a ridge, along which Newton's steps promise little and lead far. So the far end of it is tried, where the covariance is
    /// exactly singular because the other diagonal c, not a, is zero. Returns the number of evaluations.
    fn leave_ridges(&mut self, best: &mut (Point, Outcome, usize)) -> usize {
        self.criterion.known = None;
        let (mut evaluations, structure) = (0, self.structure());
        let candidates: Vec<usize> = self.within(&best.0.x, RIDGE).collect();
        for a in candidates {
            let own = structure.entries[a];
            for below in 0..best.0.x.len() {
                let entry = structure.entries[below];
                if (entry.group, entry.col) != (own.group, own.col) || entry.row == own.row {
                    continue;
                }
                let Some(trial) = self.turned(&best.0.x, a, below) else { continue };
                evaluations += 1;
                let promising = |value: f64| value < best.0.value + ALONG_RIDGE;
                if !self.criterion.value(&trial).is_some_and(promising) {
                    continue;
                }
                let Some((other, how, more)) = minimise(&mut self.criterion, trial, self.max_evaluations) else { continue };
                evaluations += more;
                if how == Outcome::Converged && other.value <= best.0.value {
                    (best.0, best.1) = (other, how);
                }
            }
        }
        evaluations
    }

    /// A point whose columns of Lambda, that of the diagonal `a` and that of the row of `below`, an element below it, are turned so that
    /// the diagonal of that row vanishes; but for what that puts above the diagonal, which is as small as a, the covariance is the same.
    fn turned(&self, x: &[f64], a: usize, below: usize) -> Option<Vec<f64>> {
        let entries = &self.structure().entries;
        let (group, col, other) = (entries[a].group, entries[a].col, entries[below].row);
        let find = |row: usize, col: usize| entries.iter().position(|e| (e.group, e.row, e.col) == (group, row, col));
        let (b, c) = (x[below], x[find(other, other)?]);
        let h = b.hypot(c);
        if b == 0.0 || c == 0.0 {
            return None;
        }
        let (cos, sin) = (b / h, c / h);
        let mut out = x.to_vec();
        out[a] = cos * x[a];
        for (i, e) in entries.iter().enumerate().filter(|(_, e)| e.group == group && e.col == other) {
            let beside = find(e.row, col)?;
            out[beside] = cos * x[beside] + sin * x[i];
            out[i] = if e.row == other { 0.0 } else { cos * x[i] - sin * x[beside] };
        }
        Some(out)
    }

    /// First-order condition of the cone of covariances: D must have no negative direction. Where it has one, v,
    /// the start of a new descent: the factor of Lambda Lambda' + v v' times a natural variance.
    fn escape(&mut self, point: &Point) -> Option<Vec<f64>> {
        if !self.is_singular(&point.x) {
            return None;
        }
        let at = self.criterion.evaluate(point.x.clone())?;
        let mut lambda = lambda_of(self.structure(), &at.x);
        let mut found = false;
        for (g, group) in self.structure().groups.iter().enumerate() {
            for &(index, k, first) in &group.terms {
                let natural: Vec<f64> = (0..k).map(|r| natural_size(self.structure(), &self.criterion.natural, index, r)).collect();
                let mut d = term_block(&self.criterion.covariance[g], group.k, first, k);
                (0..k * k).for_each(|i| d[i] *= natural[i / k] * natural[i % k]);
                let (values, vectors) = symmetric_eigen(&d, k);
                if values[0] > -1e-6 {
                    continue;
                }
                found = true;
                let mut sigma = term_covariance(&lambda[g], group.k, first, k);
                for c in 0..k {
                    for r in 0..k {
                        sigma[c * k + r] += natural[r] * natural[c] * vectors[r] * vectors[c];
                    }
                }
                set_term_block(&mut lambda[g], group.k, first, k, &semidefinite_cholesky(&sigma, k));
            }
        }
        found.then(|| free_elements(self.structure(), &lambda))
    }

    fn is_singular(&self, x: &[f64]) -> bool {
        self.near_zero(x).next().is_some()
    }

    fn near_zero<'b>(&'b self, x: &'b [f64]) -> impl Iterator<Item = usize> + 'b {
        self.within(x, NEAR_ZERO)
    }

    /// The diagonals that are smaller than a share of their natural size.
    fn within<'b>(&'b self, x: &'b [f64], share: f64) -> impl Iterator<Item = usize> + 'b {
        let entries = &self.structure().entries;
        let near = move |i: usize| entries[i].row == entries[i].col && x[i].abs() < share * self.criterion.natural[i];
        (0..x.len()).filter(move |&i| near(i) && !self.criterion.is_idle(i))
    }

    /// The canonical Lambda of a point: columns that can be exactly zero are, or else their diagonals; and its theta.
    fn settle(&mut self, point: &Point) -> (Lambda, Vec<f64>) {
        let structure = self.structure();
        let mut x = self.criterion.without_idle(point.x.clone());
        let candidates: Vec<usize> = self.near_zero(&point.x).collect();
        let tolerance = 1e-9_f64.max(10.0 * self.criterion.rounding(point.value));
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
