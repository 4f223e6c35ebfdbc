//! Random effects of which the data say nothing that the fixed effects, or the residuals, don't say already.
//!
//! The REML criterion looks at what X leaves of the data. Where X, with an absorbed factor's dummies, spans a combination Z n of
//! a term's columns in every level, nothing of the effects along n is left: their variances move neither the criterion nor
//! the estimates, only the standard errors. So they are zero by convention, which takes out of a term's Lambda the rows of one
//! column for each such n. (Maximum likelihood makes them zero itself.) The same holds, for both criteria, of columns of zeros,
//! and of an effect for every observation whose covariance is that of the residuals.

use crate::linalg::blocks::nth;
use crate::linalg::small::{axpy, cholesky, dot, solve_lower, solve_lower_transpose};
use crate::model::group::Group;
use crate::model::lambda::Lambda;
use crate::products::cross::Products;
use crate::tolerances::{EQUAL_SQUARES, SPANNED, TAKES_PART};

/// What says the same as a column of a random-effects term.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Fixed effects.
    Fixed {
        /// Columns of X, in the caller's order.
        columns: Vec<usize>,
        /// Whether an absorbed factor has a part in it.
        absorbed: bool,
    },
    /// The residuals.
    Residuals,
    /// The column is zero.
    Nothing,
}

/// A column of a random-effects term whose variance is zero by convention.
#[derive(Clone, Debug, PartialEq)]
pub struct Undetermined {
    /// The term, in the order of theta.
    pub term: usize,
    /// The column within the term.
    pub column: usize,
    /// Row and column of the group's Lambda.
    pub group: usize,
    /// Row and column of the group's Lambda.
    pub row: usize,
    /// What the data can't tell it from.
    pub source: Source,
}

impl Undetermined {
    /// Does the criterion not depend on it?
    fn is_idle(&self, reml: bool) -> bool {
        reml || !matches!(self.source, Source::Fixed { .. })
    }
}

impl Products {
    /// All columns of random-effects terms that the data don't tell from the fixed effects or the residuals.
    pub(crate) fn find_undetermined(&self) -> Vec<Undetermined> {
        let mut out = Vec::new();
        for g in self.structure.random_groups() {
            let group = &self.structure.groups[g];
            if self.is_residual(g) {
                out.push(Undetermined { term: group.terms[0].0, column: 0, group: g, row: 0, source: Source::Residuals });
                continue;
            }
            let mut within = Within::new(self, g);
            let mut next = 1;
            for level in 0..group.levels {
                within.add(self, group, level);
                // A look at the first levels is enough where they aren't spanned, as in almost all models.
                if level + 1 == next || level + 1 == group.levels {
                    next *= 2;
                    if group.terms.iter().all(|&(_, k, first)| within.spanned(group, first, k).is_empty()) {
                        break;
                    }
                    if level + 1 == group.levels {
                        within.report(self, g, &mut out);
                    }
                }
            }
        }
        out.sort_by_key(|u| (u.term, u.column));
        out
    }

    /// Elements of theta, in its order, that the criterion doesn't depend on and that are zero; empty where there are none.
    pub fn idle_elements(&self, reml: bool) -> Vec<bool> {
        let idle = |group: usize, row: usize| self.undetermined.iter().any(|u| u.is_idle(reml) && (u.group, u.row) == (group, row));
        let all: Vec<bool> = self.structure.entries.iter().map(|e| idle(e.group, e.row) || idle(e.group, e.col)).collect();
        if all.contains(&true) {
            all
        } else {
            Vec::new()
        }
    }

    /// The theta of an engine's Lambda, with zeros for what the criterion doesn't depend on.
    pub fn determined_theta(&self, lambda: &Lambda, reml: bool) -> Vec<f64> {
        let zero = |group: usize, row: usize| self.undetermined(reml).any(|u| (u.group, u.row) == (group, row));
        self.structure.theta_with_zeros(lambda, zero)
    }

    /// What of the criterion's random effects is zero by convention.
    pub fn undetermined(&self, reml: bool) -> impl Iterator<Item = &Undetermined> {
        self.undetermined.iter().filter(move |u| u.is_idle(reml))
    }

    /// Has a group one effect for each row, with the covariance of the residuals?
    fn is_residual(&self, g: usize) -> bool {
        if self.structure.groups[g].k != 1 {
            return false;
        }
        // a level may have lost its rows
        let mut squares = self.diagonal[g].iter().filter(|v| **v != 0.0);
        let Some(first) = squares.next() else { return false };
        let mut levels = 1;
        let equal = squares.inspect(|_| levels += 1).all(|v| (v - first).abs() <= EQUAL_SQUARES * first);
        equal && levels == self.n
    }

    /// Calls `visit(level, fixed level, values)` for the blocks of Z'WZ between a group and an absorbed factor.
    fn for_each_absorbed_block(&self, g: usize, mut visit: impl FnMut(usize, usize, &[f64])) {
        let Some(f) = self.structure.fixed else { return };
        let groups = &self.structure.groups;
        let (group, own, lead) = (&groups[g], &groups[f], groups[0].effects());
        if f > 0 && g > 0 {
            for pair in self.rest_pairs.iter().filter(|pair| (pair.row_group as usize, pair.col_group as usize) == (f, g)) {
                let (level, fixed) = ((pair.col as usize + lead - group.offset) / group.k, pair.row as usize + lead - own.offset);
                visit(level, fixed, &self.rest_pair_values[pair.values..pair.values + group.k]);
            }
            return;
        }
        let other = if f == 0 { g } else { f };
        for leading in 0..groups[0].levels {
            for at in self.neighbour_ptr[leading]..self.neighbour_ptr[leading + 1] {
                let neighbour = self.neighbours[at];
                if neighbour.group as usize == other {
                    let level = (neighbour.start as usize + lead - groups[other].offset) / groups[other].k;
                    let (level, fixed) = if f == 0 { (level, leading) } else { (leading, level) };
                    visit(level, fixed, self.neighbour_block(at));
                }
            }
        }
    }
}

/// What X and an absorbed factor leave of a group's cross-products: sums over levels.
struct Within {
    /// Per level Z'WX, K rows, within the levels of an absorbed factor.
    zx: Vec<f64>,
    /// Per level Z'WZ likewise.
    zz: Vec<f64>,
    /// Sum over levels of Z'WZ within X.
    left: Vec<f64>,
    /// Sum over levels of the squares that this began with.
    squares: Vec<f64>,
    levels: usize,
}

impl Within {
    fn new(design: &Products, g: usize) -> Self {
        let (group, p) = (&design.structure.groups[g], design.p);
        let k = group.k;
        let mut out = Within { zx: Vec::new(), zz: Vec::new(), left: vec![0.0; k * k], squares: vec![0.0; k], levels: 0 };
        if let Some(own) = design.structure.fixed_group() {
            out.zx = design.zx[group.offset * p..group.range().end * p].to_vec();
            out.zz = design.diagonal[g].clone();
            let weights = &design.diagonal[design.structure.fixed.expect("there is one")];
            design.for_each_absorbed_block(g, |level, fixed, z| {
                let x = &design.zx[(own.offset + fixed) * p..(own.offset + fixed + 1) * p];
                for c in 0..k {
                    let share = -z[c] / weights[fixed];
                    axpy(share, z, &mut out.zz[(level * k + c) * k..(level * k + c + 1) * k]);
                    axpy(share, x, &mut out.zx[(level * k + c) * p..(level * k + c + 1) * p]);
                }
            });
        }
        out
    }

    /// Rows of Z'WX of a level.
    fn products<'a>(&'a self, design: &'a Products, group: &Group, level: usize) -> &'a [f64] {
        let (p, k) = (design.p, group.k);
        let (from, begin) = if self.zx.is_empty() { (&design.zx, group.offset) } else { (&self.zx, 0) };
        &from[(begin + level * k) * p..(begin + (level + 1) * k) * p]
    }

    fn add(&mut self, design: &Products, group: &Group, level: usize) {
        let (p, k) = (design.p, group.k);
        let g = design.structure.groups.iter().position(|other| other.offset == group.offset).expect("it is one of them");
        let raw = nth(&design.diagonal[g], level, k * k);
        let block = if self.zz.is_empty() { raw } else { nth(&self.zz, level, k * k) };
        let mut rows = self.products(design, group, level).to_vec();
        if p > 0 {
            rows.chunks_exact_mut(p).for_each(|row| solve_lower(&design.xx_cholesky, p, row));
        }
        for c in 0..k {
            self.squares[c] += raw[c * k + c];
            (0..k).for_each(|r| self.left[c * k + r] += block[c * k + r] - dot(nth(&rows, r, p), nth(&rows, c, p)));
        }
        self.levels = level + 1;
    }

    /// The columns of a term (by their place in it) of which X and those before them leave nothing, each with its coefficients on the
    /// term's columns, one for itself. A constant column goes before those that were centred on it.
    fn spanned(&self, group: &Group, first: usize, k: usize) -> Vec<(usize, Vec<f64>)> {
        let at = |r: usize, c: usize| self.left[(first + c) * group.k + first + r];
        let is_centre = |c: usize| group.columns[first..first + k].iter().any(|column| column.constant == Some(first + c));
        let mut order: Vec<usize> = (0..k).collect();
        order.sort_by_key(|&c| !is_centre(c));
        let (mut kept, mut out): (Vec<usize>, Vec<(usize, Vec<f64>)>) = (Vec::new(), Vec::new());
        for c in order {
            let m = kept.len();
            let mut factor: Vec<f64> = (0..m * m).map(|i| at(kept[i % m], kept[i / m])).collect();
            let mut b: Vec<f64> = kept.iter().map(|&r| at(r, c)).collect();
            let mut left = at(c, c);
            if m > 0 && cholesky(&mut factor, m) {
                solve_lower(&factor, m, &mut b);
                left -= dot(&b, &b);
                solve_lower_transpose(&factor, m, &mut b);
            }
            if left > SPANNED * self.squares[first + c] {
                kept.push(c);
                continue;
            }
            let mut n = vec![0.0; k];
            n[c] = 1.0;
            kept.iter().zip(&b).for_each(|(&r, b)| n[r] = -b);
            out.push((c, n));
        }
        out
    }

    /// Tells which columns of X span what.
    fn report(&self, design: &Products, g: usize, out: &mut Vec<Undetermined>) {
        let (group, p) = (&design.structure.groups[g], design.p);
        for &(term, k, first) in &group.terms {
            let spanned = self.spanned(group, first, k);
            for (column, n) in &spanned {
                let (column, mut n) = (*column, n.clone());
                // The caller's column, where its constant is spanned as well: the fixed effects of that are named elsewhere.
                let basis = group.columns[first + column];
                if let Some(constant) = basis.constant.filter(|c| spanned.iter().any(|(other, _)| first + other == *c)) {
                    n[constant - first] += basis.centre / basis.scale;
                }
                let (mut part, mut largest) = (vec![0.0_f64; p], 0.0_f64);
                for level in 0..group.levels {
                    let rows = self.products(design, group, level);
                    let mut coefficients = vec![0.0; p];
                    (0..k).for_each(|c| axpy(n[c], &rows[(first + c) * p..(first + c + 1) * p], &mut coefficients));
                    solve_lower(&design.xx_cholesky, p, &mut coefficients);
                    solve_lower_transpose(&design.xx_cholesky, p, &mut coefficients);
                    part.iter_mut().zip(&coefficients).for_each(|(most, v)| *most = most.max(v.abs()));
                    largest = largest.max(design.diagonal[g][(level * group.k + first + column) * group.k + first + column]);
                }
                // the columns of X are of size one
                let size = (largest / design.n as f64).sqrt();
                let limit = TAKES_PART * part.iter().fold(size, |most, v| most.max(*v));
                let source = if self.squares[first + column] == 0.0 {
                    Source::Nothing
                } else {
                    let columns = (0..p).filter(|&j| part[j] > limit).collect();
                    Source::Fixed { columns, absorbed: design.absorbed.is_some() }
                };
                out.push(Undetermined { term, column, group: g, row: first + column, source });
            }
        }
    }
}
