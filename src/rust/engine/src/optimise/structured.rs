//! The criterion as a function of the parameters of a covariance structure: values and derivatives in theta, by the chain rule.

use crate::linalg::blocks::nth;
use crate::linalg::small::dot;
use crate::model::covariance::Covariance;
use crate::model::structure::ThetaEntry;
use crate::optimise::criterion::Criterion;
use crate::optimise::trust_region::{minimise, Descent, Objective, Point};
use crate::tolerances::{CHANGE, FIRST_START, NEAR_ZERO, OTHER_START};

/// The criterion of a model whose terms have covariance structures, one a term in the order of theta.
pub struct Structured<'s, 'a> {
    criterion: &'s mut Criterion<'a>,
    structures: &'s [&'s dyn Covariance],
    terms: Vec<Span>,
    /// Per parameter the length that counts as a step of one near zero.
    natural: Vec<f64>,
}

/// A term: its columns, and where its part of theta and its parameters begin.
#[derive(Clone, Copy)]
struct Span {
    k: usize,
    theta: usize,
    parameters: usize,
}

impl Span {
    fn theta(&self) -> std::ops::Range<usize> {
        self.theta..self.theta + self.k * (self.k + 1) / 2
    }
}

impl<'s, 'a> Structured<'s, 'a> {
    /// `columns` are the terms' numbers of columns.
    pub fn new(criterion: &'s mut Criterion<'a>, structures: &'s [&'s dyn Covariance], columns: &[usize]) -> Self {
        let (mut theta, mut parameters) = (0, 0);
        let mut terms = Vec::with_capacity(columns.len());
        for (&k, structure) in columns.iter().zip(structures) {
            terms.push(Span { k, theta, parameters });
            theta += k * (k + 1) / 2;
            parameters += structure.parameters(k);
        }
        let mut out = Structured { criterion, structures, terms, natural: Vec::new() };
        out.natural = out.near(&out.natural_theta());
        out
    }

    /// Theta of the parameters.
    pub fn theta(&self, parameters: &[f64]) -> Vec<f64> {
        let mut theta = vec![0.0; self.criterion.natural.len()];
        for (term, structure) in self.terms.iter().zip(self.structures) {
            let own = &parameters[term.parameters..term.parameters + structure.parameters(term.k)];
            structure.theta(term.k, own, &mut theta[term.theta()]);
        }
        theta
    }

    /// Parameters near a theta.
    fn near(&self, theta: &[f64]) -> Vec<f64> {
        self.terms.iter().zip(self.structures).flat_map(|(term, structure)| structure.near(term.k, &theta[term.theta()])).collect()
    }

    /// The natural sizes of the elements of theta, in the caller's units.
    fn natural_theta(&self) -> Vec<f64> {
        let structure = &self.criterion.design.structure;
        let size = |(e, natural): (&ThetaEntry, &f64)| natural / structure.groups[e.group].columns[e.row].scale.abs();
        structure.entries.iter().zip(&self.criterion.natural).map(size).collect()
    }

    /// The lower of the descents from two starts, diagonals of Lambda that are large and small beside the residual standard deviation.
    /// `start` is a theta that takes their place.
    pub fn minimum(&mut self, start: Option<&[f64]>, limit: usize) -> Option<Descent> {
        let starts: Vec<Vec<f64>> = match start {
            Some(theta) => vec![self.near(theta)],
            None => [FIRST_START, OTHER_START].iter().map(|size| self.uniform(*size)).collect(),
        };
        let mut best: Option<Descent> = None;
        let mut evaluations = 0;
        for start in starts {
            let Some(found) = minimise(self, start, limit) else { continue };
            evaluations += found.evaluations;
            if best.as_ref().is_none_or(|best| found.point.value < best.point.value - CHANGE) {
                best = Some(found);
            }
        }
        let mut best = best?;
        best.evaluations = evaluations;
        self.settle(&mut best.point);
        Some(best)
    }

    /// Parameters that can be exactly zero are.
    fn settle(&mut self, point: &mut Point) {
        let tolerance = CHANGE.max(10.0 * point.noise);
        for i in (0..point.x.len()).filter(|&i| point.x[i].abs() < NEAR_ZERO * self.natural[i]).collect::<Vec<_>>() {
            let kept = std::mem::replace(&mut point.x[i], 0.0);
            if !self.value(&point.x).is_some_and(|value| value <= point.value + tolerance) {
                point.x[i] = kept;
            }
        }
    }

    /// The parameters of diagonals that are all the same for columns of size one.
    fn uniform(&self, size: f64) -> Vec<f64> {
        let structure = &self.criterion.design.structure;
        let theta: Vec<f64> = structure
            .entries
            .iter()
            .map(|e| if e.row == e.col { size / structure.groups[e.group].columns[e.row].scale.abs() } else { 0.0 })
            .collect();
        self.near(&theta)
    }

    /// Gradient and second derivatives in the parameters from those in theta.
    fn chain(&self, parameters: &[f64], gradient: &[f64], hessian: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (m, n) = (gradient.len(), parameters.len());
        let mut jacobian = vec![0.0; m * n]; // m x n
        let (mut own, mut bent) = (vec![0.0; n], vec![0.0; n * n]);
        for (term, structure) in self.terms.iter().zip(self.structures) {
            let (first, at) = (term.parameters, term.theta);
            let values = &parameters[first..first + structure.parameters(term.k)];
            structure.first(term.k, values, &mut |i, p, d| {
                jacobian[(first + p) * m + at + i] = d;
                own[first + p] += d * gradient[at + i];
            });
            structure.second(term.k, values, &mut |i, p, q, d| bent[(first + q) * n + first + p] += d * gradient[at + i]);
        }
        for q in 0..n {
            let column = nth(&jacobian, q, m);
            let image: Vec<f64> = (0..m).map(|i| (0..m).map(|j| hessian[j * m + i] * column[j]).sum()).collect();
            (0..n).for_each(|p| bent[q * n + p] += dot(nth(&jacobian, p, m), &image));
        }
        (own, bent)
    }
}

impl Objective for Structured<'_, '_> {
    fn evaluate(&mut self, x: Vec<f64>) -> Option<Point> {
        let theta = self.theta(&x);
        let value = self.value(&x)?;
        let noise = self.criterion.rounding(value);
        let lambda = self.criterion.design.structure.lambda(&theta);
        let (gradient, hessian) = self.criterion.derivatives_in_theta(&lambda, &theta)?;
        let (gradient, hessian) = self.chain(&x, &gradient, &hessian);
        let finite = gradient.iter().chain(&hessian).all(|v| v.is_finite());
        finite.then_some(Point { x, value, noise, gradient, hessian })
    }

    fn value(&mut self, x: &[f64]) -> Option<f64> {
        let lambda = self.criterion.design.structure.lambda(&self.theta(x));
        self.criterion.value_at(&lambda)
    }

    fn step_scale(&self, x: &[f64]) -> Vec<f64> {
        x.iter().zip(&self.natural).map(|(x, natural)| x.abs().max(*natural)).collect()
    }

    fn exact_hessian(&self) -> bool {
        self.criterion.exact_hessian()
    }

    fn interrupted(&self) -> bool {
        self.criterion.interrupted()
    }
}
