//! The variance of predictions x'beta + z'b, for rows that needn't be the model's own.
//!
//! Penalised least squares treats beta and u alike, so that the inverse of its matrix is the joint covariance of the errors of both
//! (Henderson 1975, doi:10.2307/2529430; Robinson 1991, doi:10.1214/ss/1177011926). By its Cholesky factor (Bates et al. 2015,
//! doi:10.18637/jss.v067.i01, section 5.1), with v = L^-1 Lambda'z,
//!
//! ```text
//! var(x'(beta^ - beta) + z'(b^ - b)) / sigma^2 = |v|^2 + |RX^-T (x - RZX'v)|^2.
//! ```
//!
//! A row meets one level of each factor, so that v is found from few elements: v of the leading group is a block L_i^-1 Lambda_1'z_1, and
//! with t = Lambda'z of the others less U_i'v the rest of |v|^2 is t'S^-1 t. An effect of a level that the model hasn't seen has
//! covariance sigma^2 Lambda Lambda' and nothing to do with the others.

use std::ops::Range;

use crate::error::Error;
use crate::factor::blocks::Factor;
use crate::linalg::blocks::nth;
use crate::linalg::scratch::Scratch;
use crate::linalg::small::{axpy, dot, lower_transpose_times, solve_lower};
use crate::linalg::sparse::Path;
use crate::linalg::symmetric::Pattern;
use crate::model::group::Group;
use crate::parallel::{ranges, Workers};
use crate::plan::design::Design;

/// Rows of which the linear predictor is asked for.
pub struct NewRows<'a> {
    /// Number of rows.
    pub n: usize,
    /// The columns of X in the caller's units, n x p, column-major; without them x is zero.
    pub x: Option<&'a [f64]>,
    /// With an absorbed factor, and X, its level in each row, from 1.
    pub absorbed: Option<&'a [i32]>,
    /// Per grouping factor the level of each row, from 1; whatever isn't a level of the model is one that it hasn't seen.
    pub codes: Vec<&'a [i32]>,
    /// Per term its columns in the caller's units, n x k, column-major; `None` leaves the term out.
    pub terms: Vec<Option<&'a [f64]>>,
}

/// A factorisation, ready to say how uncertain predictions are.
#[derive(Debug)]
pub struct Predictor {
    factor: Factor,
    /// S^-1 times the part of Lambda'Z'WX that eliminating the leading group has left, a row of length p per effect.
    solved: Vec<f64>,
}

/// How t'S^-1 t is computed.
enum Way<'a> {
    /// There is one grouping factor.
    Nothing,
    /// From S^-1, both triangles.
    Inverse(&'a [f64]),
    /// By solving with a dense factor, for all rows of a piece at once.
    Dense,
    /// Along the elimination tree of a sparse factor.
    Sparse,
}

/// What a thread works in.
struct Work {
    z: Vec<f64>,
    /// x - RZX'v.
    x: Vec<f64>,
    /// t, and which of its elements aren't zero.
    rest: Vec<f64>,
    touched: Vec<usize>,
    path: Path,
}

impl Predictor {
    /// Factors a model at a theta, which is what it costs.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`] where that can't be done, [`Error::Interrupted`] where the user stopped.
    pub fn new(design: &Design, theta: &[f64], workers: &Workers) -> Result<Self, Error> {
        let made = Factor::at(design, &design.structure.lambda(theta), workers);
        workers.check()?;
        let (factor, mut scratch) = made?;
        let mut solved = factor.rzx[design.structure.groups[0].effects() * design.p..].to_vec();
        design.plan.layout.backward(&factor.rest, &mut solved, design.p, &mut scratch, workers);
        Ok(Predictor { factor, solved })
    }

    /// The variance of each row's linear predictor in units of the residual variance, of `design`, which the predictor was made for. A row
    /// costs a solution with the few effects that it has.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the rows aren't of this design, [`Error::Interrupted`] where the user stopped.
    pub fn variances(&self, design: &Design, rows: &NewRows, workers: &Workers) -> Result<Vec<f64>, Error> {
        rows.check(design)?;
        let layout = &design.plan.layout;
        let mut inverse = Vec::new();
        let way = if layout.is_empty() {
            Way::Nothing
        } else if !layout.is_dense() {
            Way::Sparse
        } else if rows.n > layout.order {
            inverse.resize(layout.len(), 0.0);
            layout.invert(&self.factor.rest, &mut inverse, &mut Scratch::new(layout), workers);
            workers.check()?;
            Way::Inverse(&inverse)
        } else {
            Way::Dense
        };
        let way = &way;
        let pieces = workers.map(ranges(rows.n, 64, 1 << 16), |range| self.piece(design, rows, range, way, workers));
        workers.check()?;
        Ok(pieces.concat())
    }

    fn piece(&self, design: &Design, rows: &NewRows, range: Range<usize>, way: &Way, workers: &Workers) -> Vec<f64> {
        if workers.gives_up() {
            return Vec::new();
        }
        let (mut work, m) = (Work::new(design), range.len());
        let mut dense = vec![0.0; if matches!(way, Way::Dense) { design.plan.layout.order * m } else { 0 }];
        let mut out = Vec::with_capacity(m);
        for (at, i) in range.enumerate() {
            let mut variance = self.reduce(design, rows, i, &mut work);
            variance += match way {
                Way::Nothing => 0.0,
                Way::Inverse(inverse) => work.quadratic_form(inverse),
                Way::Sparse => work.along_path(design, &self.factor),
                Way::Dense => {
                    work.touched.iter().for_each(|&e| dense[e * m + at] = work.rest[e]);
                    0.0
                }
            };
            work.touched.iter().for_each(|&e| axpy(-work.rest[e], &self.solved[e * design.p..(e + 1) * design.p], &mut work.x));
            solve_lower(&self.factor.rx, design.p, &mut work.x);
            variance += dot(&work.x, &work.x);
            work.clear();
            out.push(variance);
        }
        if !dense.is_empty() {
            // on this thread alone, so that the bits are those of any number of threads
            design.plan.layout.forward(&self.factor.rest, &mut dense, m, &mut Scratch::for_solving(), Workers::none());
            dense.chunks_exact(m).for_each(|row| out.iter_mut().zip(row).for_each(|(out, v)| *out += v * v));
        }
        out
    }

    /// Takes the leading group out of a row: the part of |v|^2 that doesn't need S, with t and what is left of x in `work`.
    fn reduce(&self, design: &Design, rows: &NewRows, i: usize, work: &mut Work) -> f64 {
        let p = design.p;
        rows.fixed(design, i, &mut work.x);
        let mut variance = 0.0;
        for (g, group) in design.structure.groups.iter().enumerate() {
            let k = group.k;
            if !rows.effects(group, i, &mut work.z) {
                continue;
            }
            lower_transpose_times(&self.factor.lambda[g], k, &mut work.z);
            match rows.level(group, i) {
                None => variance += dot(&work.z, &work.z),
                Some(level) if g == 0 => {
                    let z = &mut work.z;
                    solve_lower(nth(&self.factor.lead, level, k * k), k, z);
                    variance += dot(z, z);
                    for t in design.plan.adjacency.span(level) {
                        let e = design.plan.adjacency.columns[t] as usize;
                        work.rest[e] -= dot(nth(&self.factor.cross, t, k), z);
                        work.touched.push(e);
                    }
                    let rzx = nth(&self.factor.rzx, level, k * p);
                    z.iter().zip(rzx.chunks_exact(p.max(1))).for_each(|(z, row)| axpy(-z, row, &mut work.x));
                }
                Some(level) => {
                    let first = group.offset - design.structure.groups[0].effects() + level * k;
                    for (c, z) in work.z.iter().enumerate() {
                        work.rest[first + c] += z;
                        work.touched.push(first + c);
                    }
                }
            }
        }
        // where a leading level and an effect meet in the data too, the effect was touched twice
        work.touched.sort_unstable();
        work.touched.dedup();
        variance
    }
}

impl Work {
    fn new(design: &Design) -> Self {
        let order = design.plan.layout.order;
        let tree = matches!(design.plan.layout.pattern, Pattern::Sparse(_));
        Work { z: Vec::new(), x: Vec::new(), rest: vec![0.0; order], touched: Vec::new(), path: Path::new(if tree { order } else { 0 }) }
    }

    fn quadratic_form(&self, inverse: &[f64]) -> f64 {
        let order = self.rest.len();
        let column = |e: usize| {
            let column = nth(inverse, e, order);
            self.touched.iter().map(|&f| column[f] * self.rest[f]).sum::<f64>()
        };
        self.touched.iter().map(|&e| self.rest[e] * column(e)).sum()
    }

    fn along_path(&mut self, design: &Design, factor: &Factor) -> f64 {
        let Pattern::Sparse(pattern) = &design.plan.layout.pattern else { return 0.0 };
        let elements = self.touched.iter().map(|&e| (e, self.rest[e]));
        pattern.squared_length(&factor.rest, elements, &mut self.path)
    }

    fn clear(&mut self) {
        self.touched.iter().for_each(|&e| self.rest[e] = 0.0);
        self.touched.clear();
    }
}

impl NewRows<'_> {
    fn check(&self, design: &Design) -> Result<(), Error> {
        let structure = &design.structure;
        let wrong = |what: &str| Err(format!("the new rows have a wrong number of {what}").into());
        if self.x.is_some_and(|x| x.len() != self.n * design.p) {
            return wrong("values of the fixed effects");
        }
        if let Some(group) = structure.fixed_group().filter(|_| self.x.is_some()) {
            let known = |codes: &[i32]| codes.len() == self.n && codes.iter().all(|&c| c >= 1 && c as usize <= group.levels);
            if !self.absorbed.is_some_and(known) {
                return wrong("levels of the absorbed factor");
            }
        }
        let factors = structure.groups.iter().filter(|g| !g.is_fixed()).count();
        if self.codes.len() < factors || self.codes.iter().any(|codes| codes.len() != self.n) {
            return wrong("levels");
        }
        let terms = structure.groups.iter().flat_map(|g| &g.terms);
        if terms.clone().count() != self.terms.len() {
            return wrong("terms");
        }
        for &(term, k, _) in terms {
            if self.terms[term].is_some_and(|z| z.len() != self.n * k) {
                return wrong("values of a random-effects term");
            }
        }
        Ok(())
    }

    /// The engine's columns of X in a row.
    fn fixed(&self, design: &Design, i: usize, out: &mut Vec<f64>) {
        out.clear();
        let Some(x) = self.x else {
            out.resize(design.p, 0.0); // the effects' errors go with those of beta all the same
            return;
        };
        out.extend((0..design.p).map(|j| x[j * self.n + i]));
        design.transform.row_to_engine(out, design.absorbed.is_some());
    }

    /// The engine's columns of a group in a row; `false` where all of its terms are left out.
    fn effects(&self, group: &Group, i: usize, out: &mut Vec<f64>) -> bool {
        out.clear();
        out.resize(group.k, 0.0);
        if group.is_fixed() {
            out[0] = 1.0;
            return self.x.is_some();
        }
        let mut any = false;
        for &(term, k, first) in &group.terms {
            if let Some(z) = self.terms[term] {
                (0..k).for_each(|c| out[first + c] = z[c * self.n + i]);
                any = true;
            }
        }
        group.row_to_engine(out);
        any
    }

    /// The level of a group in a row, from 0; `None` for one that the model hasn't seen.
    fn level(&self, group: &Group, i: usize) -> Option<usize> {
        let code = if group.is_fixed() { self.absorbed?[i] } else { self.codes[group.factor][i] };
        usize::try_from(code).ok().filter(|&code| code >= 1 && code <= group.levels).map(|code| code - 1)
    }
}
