//! Random-effects terms, the grouping factors that they share, and the relative covariance factor.
//!
//! A term (z | g) has k columns and one block of k effects per level of g. Terms of one factor merge into one
//! [`Group`] with K = sum of k columns, so that a level's effects stand together; its relative covariance
//! factor Lambda is then block diagonal with one lower triangular block per term.

use std::ops::Range;

use crate::linalg::small::{semidefinite_cholesky, transpose};
use crate::model::absorbed::Absorbed;
use crate::parallel::Workers;

/// The data of one model, row by row, borrowed from the caller: nothing here is copied.
#[derive(Clone)]
pub struct Rows<'a> {
    /// Number of rows.
    pub n: usize,
    /// Fixed-effects columns X, column-major n x p.
    pub x: &'a [f64],
    /// Number of fixed-effects columns.
    pub p: usize,
    /// Per grouping factor the level of each row, counted from 1 as R does.
    pub codes: Vec<&'a [i32]>,
    /// Per grouping factor the number of levels.
    pub levels: Vec<usize>,
    /// The random-effects terms, in the order of theta.
    pub terms: Vec<Term<'a>>,
    /// Prior weights; `None` means that all are one.
    pub weights: Option<&'a [f64]>,
    /// A factor whose level constants are fixed effects too, beside the columns X.
    pub absorbed: Option<Absorbed>,
}

/// One random-effects term.
#[derive(Clone)]
pub struct Term<'a> {
    /// Which grouping factor.
    pub factor: usize,
    /// Columns of the term, column-major n x k; `None` is one column of ones.
    pub z: Option<&'a [f64]>,
    /// Number of columns.
    pub k: usize,
}

impl Rows<'_> {
    /// Prior weight of a row.
    #[inline]
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[row])
    }

    /// Zero-based level of a row.
    #[inline]
    pub fn level(&self, factor: usize, row: usize) -> usize {
        (self.codes[factor][row] - 1) as usize
    }

    /// Checks lengths and codes, so that the passes over the data need not.
    pub fn check(&self, workers: &Workers) -> Result<(), String> {
        let n = self.n;
        if self.x.len() != n * self.p {
            return Err(format!("X has {} values for {} rows and {} columns", self.x.len(), n, self.p));
        }
        if self.weights.is_some_and(|w| w.len() != n) {
            return Err("weights and response differ in length".into());
        }
        if self.codes.len() != self.levels.len() {
            return Err("as many level counts as grouping factors are needed".into());
        }
        if self.absorbed.is_some_and(|a| a.factor >= self.codes.len()) {
            return Err("the fixed effects name a factor that is not there".into());
        }
        for (codes, &levels) in self.codes.iter().zip(&self.levels) {
            if codes.len() != n {
                return Err("a grouping factor and the response differ in length".into());
            }
            if !workers.all(n, |i| codes[i] >= 1 && codes[i] as usize <= levels) {
                return Err("a grouping factor has a missing level".into());
            }
        }
        if self.terms.is_empty() {
            return Err("a model needs at least one random-effects term".into());
        }
        for term in &self.terms {
            if term.factor >= self.codes.len() {
                return Err("a random-effects term names a grouping factor that is not there".into());
            }
            if term.k == 0 || term.z.map_or(term.k != 1, |z| z.len() != n * term.k) {
                return Err("the columns of a random-effects term and the response differ in length".into());
            }
        }
        Ok(())
    }
}

/// One grouping factor with the columns of all its terms.
#[derive(Clone, Debug)]
pub struct Group {
    /// Index of the grouping factor among the caller's.
    pub factor: usize,
    /// Number of levels.
    pub levels: usize,
    /// Columns K of all the factor's terms together.
    pub k: usize,
    /// The terms: index, number of columns, and first column within the K. An absorbed factor has none.
    pub terms: Vec<(usize, usize, usize)>,
    /// Prior precision of the group's spherical effects: one, or zero for an absorbed factor, whose effects are fixed.
    pub prior: f64,
    /// Where the group's effects begin in the vector of all random effects.
    pub offset: usize,
    /// The engine's columns, in terms of the caller's: z = 1 `centre` + `scale` times the engine's column.
    pub columns: Vec<ColumnBasis>,
}

/// How the engine's version of a column of a random-effects term comes about. Where a term has a constant column,
/// its others are centred, since (1, year) is all but collinear; every column is divided by its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnBasis {
    /// What is subtracted.
    pub centre: f64,
    /// What the rest is divided by.
    pub scale: f64,
    /// The engine's constant column of the same term, which takes up the centre.
    pub constant: Option<usize>,
}

impl Group {
    /// The level constants of an absorbed factor.
    fn of_constants(factor: usize, levels: usize) -> Self {
        let columns = vec![ColumnBasis { centre: 0.0, scale: 1.0, constant: None }];
        Group { factor, levels, k: 1, terms: Vec::new(), prior: 0.0, offset: 0, columns }
    }

    /// Whether these are the effects of an absorbed factor.
    pub fn is_fixed(&self) -> bool {
        self.prior == 0.0
    }

    /// Where the group's effects stand in the vector of all.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.effects()
    }

    /// Number of effects, levels times K.
    pub fn effects(&self) -> usize {
        self.levels * self.k
    }

    /// S b: effects of the engine's columns from those of the caller's, for one level, in place.
    pub fn to_engine(&self, b: &mut [f64]) {
        for (c, column) in self.columns.iter().enumerate() {
            if let Some(constant) = column.constant {
                b[constant] += column.centre / self.columns[constant].scale * b[c];
            }
        }
        b.iter_mut().zip(&self.columns).for_each(|(b, column)| *b *= column.scale);
    }

    /// S^-1 b: effects of the caller's columns from those of the engine's, for one level, in place.
    pub fn to_caller(&self, b: &mut [f64]) {
        b.iter_mut().zip(&self.columns).for_each(|(b, column)| *b /= column.scale);
        for (c, column) in self.columns.iter().enumerate() {
            if let Some(constant) = column.constant {
                b[constant] -= column.centre / self.columns[constant].scale * b[c];
            }
        }
    }

    /// S' A S for a symmetric K x K matrix, in place.
    pub fn pull_back(&self, a: &mut [f64]) {
        let k = self.k;
        for _ in 0..2 {
            // A := (A S)', twice
            for (c, column) in self.columns.iter().enumerate() {
                if let Some(constant) = column.constant {
                    (0..k).for_each(|r| a[c * k + r] = a[c * k + r] * column.scale + a[constant * k + r] * column.centre);
                }
            }
            for (column, values) in self.columns.iter().zip(a.chunks_exact_mut(k)).filter(|(column, _)| column.constant.is_none()) {
                values.iter_mut().for_each(|v| *v *= column.scale);
            }
            transpose(a, k);
        }
    }
}

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

/// Per group the K x K lower triangular relative covariance factor, for the engine's columns unless said otherwise.
pub type Lambda = Vec<Vec<f64>>;

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
        let mut lambda = self.zero_lambda();
        for (e, t) in self.entries.iter().zip(theta) {
            lambda[e.group][e.col * self.groups[e.group].k + e.row] = *t;
        }
        lambda
    }

    /// The engine's Lambda of a theta: with the caller's columns z = (engine's columns) S the engine's effects are
    /// S b, so that its Lambda is S Lambda, made triangular by an orthogonal matrix from the right.
    pub fn lambda(&self, theta: &[f64]) -> Lambda {
        let mut lambda = self.caller_lambda(theta);
        for (group, l) in self.groups.iter().zip(&mut lambda) {
            (0..group.k).for_each(|c| group.to_engine(&mut l[c * group.k..(c + 1) * group.k]));
            make_lower_triangular(l, group.k);
        }
        lambda
    }

    /// The theta of an engine's Lambda.
    pub fn theta(&self, lambda: &Lambda) -> Vec<f64> {
        let mut caller = lambda.clone();
        for (group, l) in self.groups.iter().zip(&mut caller) {
            (0..group.k).for_each(|c| group.to_caller(&mut l[c * group.k..(c + 1) * group.k]));
            make_lower_triangular(l, group.k);
        }
        self.canonical(&mut caller);
        self.entries.iter().map(|e| caller[e.group][e.col * self.groups[e.group].k + e.row]).collect()
    }

    /// Replaces Lambda by the canonical factor of the same covariance Lambda Lambda': diagonals not negative,
    /// and a zero column where a diagonal is zero, so that a ridge of equivalent thetas has one representative.
    pub fn canonical(&self, lambda: &mut Lambda) {
        for (g, group) in self.groups.iter().enumerate() {
            for &(_, k, first) in &group.terms {
                let (block, sigma) = (term_block(&lambda[g], group.k, first, k), term_covariance(&lambda[g], group.k, first, k));
                let singular = (0..k).any(|i| block[i * k + i] == 0.0);
                let factor = if singular { semidefinite_cholesky(&sigma, k) } else { flip_columns(&block, k) };
                set_term_block(&mut lambda[g], group.k, first, k, &factor);
            }
        }
    }
}

/// The k x k block of a term in its group's K x K matrix.
pub fn term_block(matrix: &[f64], big_k: usize, first: usize, k: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(k * k);
    for c in 0..k {
        out.extend_from_slice(&matrix[(first + c) * big_k + first..(first + c) * big_k + first + k]);
    }
    out
}

/// Overwrites the k x k block of a term in its group's K x K matrix.
pub fn set_term_block(matrix: &mut [f64], big_k: usize, first: usize, k: usize, block: &[f64]) {
    for c in 0..k {
        matrix[(first + c) * big_k + first..(first + c) * big_k + first + k].copy_from_slice(&block[c * k..(c + 1) * k]);
    }
}

/// Lambda Lambda' of a term's block.
pub fn term_covariance(lambda: &[f64], big_k: usize, first: usize, k: usize) -> Vec<f64> {
    let l = term_block(lambda, big_k, first, k);
    let mut out = vec![0.0; k * k];
    for c in 0..k {
        for r in 0..k {
            out[c * k + r] = (0..=r.min(c)).map(|s| l[s * k + r] * l[s * k + c]).sum();
        }
    }
    out
}

fn flip_columns(block: &[f64], k: usize) -> Vec<f64> {
    let mut out = block.to_vec();
    for c in (0..k).filter(|c| block[c * k + c] < 0.0) {
        out[c * k..(c + 1) * k].iter_mut().for_each(|v| *v = -*v);
    }
    out
}

/// Bases of a term's columns; `first` is the place of its first column in the group.
fn column_bases(z: &[f64], n: usize, first: usize, workers: &Workers) -> Vec<ColumnBasis> {
    let columns: Vec<&[f64]> = z.chunks_exact(n).collect();
    let constant = columns.iter().position(|c| c[0] != 0.0 && c[n - 1] == c[0] && workers.all(n, |i| c[i] == c[0]));
    let basis = |(j, column): (usize, &&[f64])| {
        let centred = constant.filter(|&c| c != j);
        let centre = if centred.is_some() { column[0] + workers.sum(n, |i| column[i] - column[0]) / n as f64 } else { 0.0 };
        let size = root_mean_square(column, centre, workers);
        ColumnBasis { centre, scale: if constant == Some(j) { column[0] } else { size }, constant: centred.map(|c| first + c) }
    };
    columns.iter().enumerate().map(basis).collect()
}

fn root_mean_square(column: &[f64], centre: f64, workers: &Workers) -> f64 {
    let largest = workers.max(column.len(), |i| (column[i] - centre).abs());
    if largest == 0.0 || !largest.is_finite() {
        return 1.0;
    }
    let sum = workers.sum(column.len(), |i| ((column[i] - centre) / largest).powi(2));
    largest * (sum / column.len() as f64).sqrt()
}

/// Rotates the columns of a square B so that it becomes lower triangular: B = L Q, L overwrites B. What rounding
/// leaves of a column that vanishes is set to zero.
pub(crate) fn make_lower_triangular(b: &mut [f64], k: usize) {
    let largest = b.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    for r in 0..k {
        for c in r + 1..k {
            let (x, y) = (b[r * k + r], b[c * k + r]);
            if y == 0.0 {
                continue;
            }
            let h = x.hypot(y);
            let (cos, sin) = (x / h, y / h);
            for i in r..k {
                let (p, q) = (b[r * k + i], b[c * k + i]);
                b[r * k + i] = cos * p + sin * q;
                b[c * k + i] = cos * q - sin * p;
            }
            b[c * k + r] = 0.0;
        }
    }
    for column in b.chunks_exact_mut(k) {
        if column.iter().all(|v| v.abs() < 1e-14 * largest) {
            column.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn bad_rows_are_refused() {
        let terms = vec![Term { factor: 0, z: None, k: 1 }];
        assert!(rows(vec![&[1, 3]], vec![2], terms.clone()).check(Workers::none()).is_err());
        assert!(rows(vec![&[1, i32::MIN]], vec![2], terms.clone()).check(Workers::none()).is_err());
        assert!(rows(vec![&[1, 2]], vec![2], terms).check(Workers::none()).is_ok());
    }
}
