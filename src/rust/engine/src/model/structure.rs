//! The groups in order, and the map from theta to Lambda.

use std::ops::Range;

use crate::linalg::blocks::empty_columns;
use crate::model::group::{column_bases, ColumnBasis, Group};
use crate::model::lambda::{flip_columns, lambda_of, set_term_block, term_block, Lambda};
use crate::model::rows::Rows;
use crate::parallel::Workers;

/// One element of theta: where it stands in Lambda.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThetaEntry {
    /// Group whose Lambda holds the element.
    pub group: usize,
    /// Row within the K x K block.
    pub row: usize,
    /// Column within the K x K block.
    pub col: usize,
}

/// The groups (the one with most effects first, since it is eliminated first) and the map from theta.
#[derive(Clone, Debug)]
pub struct Structure {
    /// The grouping factors, the leading one first.
    pub groups: Vec<Group>,
    /// The elements of theta in the caller's order: term by term, each lower triangle column by column.
    pub entries: Vec<ThetaEntry>,
    /// Number of effects of all groups.
    pub q: usize,
    /// The group of the absorbed factor, first or last, if there is one.
    pub fixed: Option<usize>,
}

impl Structure {
    /// Merges the terms into groups and measures the columns' scales in one pass over each column.
    pub fn new(rows: &Rows, workers: &Workers) -> Self {
        let mut factors: Vec<usize> = Vec::new();
        for term in &rows.terms {
            if !factors.contains(&term.factor) {
                factors.push(term.factor);
            }
        }
        let mut groups: Vec<Group> = factors.iter().map(|&factor| Self::group(rows, factor, workers)).collect();
        groups.extend(rows.absorbed.map(|a| Group::of_constants(a.factor, rows.levels[a.factor])));
        Self::of_groups(groups, &rows.terms.iter().map(|t| t.k).collect::<Vec<_>>())
    }

    /// Puts groups in order; `columns` are the terms' numbers of columns.
    pub fn of_groups(mut groups: Vec<Group>, columns: &[usize]) -> Self {
        groups.sort_by_key(|g| std::cmp::Reverse(g.effects())); // stable, so ties keep the caller's order
        let mut fixed = groups.iter().position(Group::is_fixed);
        if let Some(at) = fixed.filter(|&at| at > 0) {
            groups[at..].rotate_left(1); // so that the random effects stand together
            fixed = Some(groups.len() - 1);
        }
        let mut q = 0;
        for g in &mut groups {
            g.offset = q;
            q += g.effects();
        }
        let mut entries = Vec::new();
        for (index, &k) in columns.iter().enumerate() {
            let (group, first) = Self::locate(&groups, index);
            for col in 0..k {
                for row in col..k {
                    entries.push(ThetaEntry { group, row: first + row, col: first + col });
                }
            }
        }
        Structure { groups, entries, q, fixed }
    }

    fn group(rows: &Rows, factor: usize, workers: &Workers) -> Group {
        let (mut terms, mut columns, mut k) = (Vec::new(), Vec::new(), 0);
        for (index, term) in rows.terms.iter().enumerate().filter(|(_, t)| t.factor == factor) {
            terms.push((index, term.k, k));
            match term.z {
                None => columns.push(ColumnBasis { centre: 0.0, scale: 1.0, constant: None }),
                Some(z) => columns.extend(column_bases(z, rows.n, k, workers)),
            }
            k += term.k;
        }
        Group { factor, levels: rows.levels[factor], k, terms, prior: 1.0, offset: 0, columns }
    }

    /// Group of a term and the term's first column there.
    pub fn locate(groups: &[Group], term: usize) -> (usize, usize) {
        for (g, group) in groups.iter().enumerate() {
            if let Some(&(_, _, first)) = group.terms.iter().find(|t| t.0 == term) {
                return (g, first);
            }
        }
        unreachable!("every term belongs to a group")
    }

    /// The groups of random effects.
    pub fn random_groups(&self) -> Range<usize> {
        usize::from(self.fixed == Some(0))..self.groups.len() - usize::from(self.fixed.is_some_and(|at| at > 0))
    }

    /// Most columns of a group.
    pub fn widest(&self) -> usize {
        self.groups.iter().map(|g| g.k).max().unwrap_or(0)
    }

    /// Where the random effects stand in the vector of all effects.
    pub fn random(&self) -> Range<usize> {
        let groups = &self.groups[self.random_groups()];
        groups.first().map_or(0, |g| g.offset)..groups.last().map_or(0, |g| g.range().end)
    }

    /// The absorbed factor's group, if there is one.
    pub fn fixed_group(&self) -> Option<&Group> {
        self.fixed.map(|at| &self.groups[at])
    }

    /// Lambda of random effects that are all zero; that of an absorbed factor is always one.
    pub fn zero_lambda(&self) -> Lambda {
        self.groups.iter().map(|g| vec![1.0 - g.prior; g.k * g.k]).collect()
    }

    /// Theta as it stands: per group the relative covariance factor for the caller's columns.
    pub fn caller_lambda(&self, theta: &[f64]) -> Lambda {
        lambda_of(self, theta)
    }

    /// Replaces Lambda by the canonical factor of the same covariance Lambda Lambda': diagonals not negative,
    /// and a zero column where a diagonal is zero, so that a ridge of equivalent thetas has one representative.
    pub fn canonical(&self, lambda: &mut Lambda) {
        for (g, group) in self.groups.iter().enumerate() {
            for &(_, k, first) in &group.terms {
                let mut block = term_block(&lambda[g], group.k, first, k);
                empty_columns(&mut block, k);
                set_term_block(&mut lambda[g], group.k, first, k, &flip_columns(&block, k));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rows::Term;

    fn rows<'a>(codes: Vec<&'a [i32]>, levels: Vec<usize>, terms: Vec<Term<'a>>) -> Rows<'a> {
        Rows { n: codes[0].len(), x: &[], p: 0, codes, levels, terms, weights: None, absorbed: None }
    }

    #[test]
    fn terms_of_one_factor_merge() {
        let z = [2.0, -2.0, 2.0, -2.0];
        let terms = vec![Term { factor: 1, z: None, k: 1 }, Term { factor: 0, z: None, k: 1 }, Term { factor: 1, z: Some(&z), k: 1 }];
        let s = Structure::new(&rows(vec![&[1, 1, 2, 2], &[1, 2, 3, 4]], vec![2, 4], terms), Workers::none());
        assert_eq!(s.groups.len(), 2);
        assert_eq!((s.groups[0].factor, s.groups[0].k, s.groups[1].offset, s.q), (1, 2, 8, 10));
        let lambda = s.lambda(&[0.5, 3.0, 0.25]);
        assert_eq!(lambda[0], [0.5, 0.0, 0.0, 0.5]); // the second column is divided by 2
        assert_eq!(lambda[1], [3.0]);
        assert_eq!(s.theta(&lambda), [0.5, 3.0, 0.25]);
    }

    #[test]
    fn a_ridge_has_one_representative() {
        // theta (0, .3, .4), (0, .5, 0) and (0, 0, .5) give the same covariance.
        let z = [1.0, 1.0, 1.0, 1.0];
        let zz = [z, z].concat();
        let s = Structure::new(&rows(vec![&[1, 1, 2, 2]], vec![2], vec![Term { factor: 0, z: Some(&zz), k: 2 }]), Workers::none());
        for theta in [[0.0, 0.3, 0.4], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5], [0.0, -0.5, 0.0]] {
            let mut lambda = s.lambda(&theta);
            s.canonical(&mut lambda);
            let canonical = s.theta(&lambda);
            assert!((canonical[2] - 0.5).abs() < 1e-15 && canonical[0] == 0.0 && canonical[1] == 0.0, "{canonical:?}");
        }
    }

    #[test]
    fn a_zero_stays_a_zero_whatever_the_centres() {
        let theta = [0.98, 0.6166, 0.3438, 0.0332, 1.1024, 0.0];
        for i in 0..100 {
            let centre = 0.3 * i as f64;
            let z = [vec![1.0; 4], vec![centre - 1.0, centre, centre + 2.0, centre], vec![2.0, -1.0, centre, 6.0]].concat();
            let s = Structure::new(&rows(vec![&[1, 1, 2, 2]], vec![2], vec![Term { factor: 0, z: Some(&z), k: 3 }]), Workers::none());
            let found = s.theta(&s.lambda(&theta));
            assert!(found[5] == 0.0 && found.iter().zip(&theta).all(|(a, b)| (a - b).abs() < 1e-11), "{centre}: {found:?}");
        }
    }

    #[test]
    fn the_engines_columns_span_the_same_model() {
        let z = [vec![1.0; 4], vec![7.0, 9.0, 8.0, 12.0], vec![2.0, -1.0, 5.0, 6.0]].concat();
        let s = Structure::new(&rows(vec![&[1, 1, 2, 2]], vec![2], vec![Term { factor: 0, z: Some(&z), k: 3 }]), Workers::none());
        let theta = [0.5, 0.3, -0.2, 0.7, 0.1, 0.4];
        let lambda = s.lambda(&theta);
        s.theta(&lambda).iter().zip(&theta).for_each(|(a, b)| assert!((a - b).abs() < 1e-14));
        // z' Sigma z is the same for the caller's and for the engine's columns
        let caller = s.caller_lambda(&theta);
        for row in 0..4 {
            let own: Vec<f64> = (0..3).map(|c| z[c * 4 + row]).collect();
            let columns = &s.groups[0].columns;
            let engine: Vec<f64> = own.iter().zip(columns).map(|(z, b)| (z - b.centre) / b.scale).collect();
            let variance = |z: &[f64], l: &[f64]| -> f64 { (0..3).map(|c| (0..3).map(|r| z[r] * l[c * 3 + r]).sum::<f64>().powi(2)).sum() };
            assert!((variance(&own, &caller[0]) - variance(&engine, &lambda[0])).abs() < 1e-12);
        }
        // S' A S turns the engine's quadratic forms into the caller's
        let b = [0.3, -0.8, 1.1];
        let mut image = b;
        s.groups[0].to_engine(&mut image);
        let a = [2.0, 0.5, 0.1, 0.5, 3.0, -0.4, 0.1, -0.4, 1.0];
        let form = |a: &[f64], b: &[f64]| -> f64 { (0..9).map(|i| a[i] * b[i / 3] * b[i % 3]).sum() };
        let mut pulled = a;
        s.groups[0].pull_back(&mut pulled);
        assert!((form(&a, &image) - form(&pulled, &b)).abs() < 1e-12);
        s.groups[0].to_caller(&mut image);
        b.iter().zip(&image).for_each(|(a, b)| assert!((a - b).abs() < 1e-14));
    }
}
