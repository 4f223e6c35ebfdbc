//! A refit of the rows that remain by a design of their own: the levels that they have, and the columns of X that are not combinations of
//! earlier ones.

use crate::model::absorbed::Absorbed;
use crate::model::rows::{Rows, Term};
use crate::parallel::Workers;
use crate::plan::design::Design;
use crate::products::cross::Products;
use crate::products::response::Response;
use crate::products::without::Gone;
use crate::tasks::fixed_covariance::fixed_factor;
use crate::tasks::influence::{search, Remnant, Request};

/// `None` where the remaining rows can't be fitted.
pub fn refit(all: &Rows, y: &[f64], gone: Gone, request: Request, workers: &Workers, interrupted: &dyn Fn() -> bool) -> Option<Remnant> {
    let own = OwnRows::new(all, gone);
    let columns: Vec<usize> = (0..all.p).collect();
    let x = own.columns(all, &columns);
    let kept = Products::independent_columns(&own.rows(all, &x, &columns), workers).ok()?;
    let x = own.columns(all, &kept);
    let rows = own.rows(all, &x, &kept);
    let design = Design::on_threads(&rows, workers).ok()?;
    let y: Vec<f64> = own.kept.iter().map(|&i| y[i]).collect();
    let response = Response::new(&design, &rows, &y, workers).ok()?;
    let solved = search(&design, &response, request, workers, interrupted)?;
    let covariance = match rows.absorbed {
        None => design.transform.covariance_to_caller(&solved.rx),
        Some(_) => fixed_factor(&design, &rows, &solved.remnant.theta, workers).ok()?.1,
    };
    let (total, places) = own.places(all, &kept);
    let (mut beta, mut unscaled_covariance) = (vec![f64::NAN; total], vec![f64::NAN; total * total]);
    for (j, &column) in places.iter().enumerate() {
        beta[column] = solved.remnant.beta[j];
        for (i, &row) in places.iter().enumerate() {
            unscaled_covariance[column * total + row] = covariance[j * places.len() + i];
        }
    }
    Some(Remnant { beta, unscaled_covariance, ..solved.remnant })
}

/// The remaining rows, with levels numbered anew.
struct OwnRows {
    /// Their numbers among all rows.
    kept: Vec<usize>,
    codes: Vec<Vec<i32>>,
    /// Per factor which of all levels each remaining one is.
    levels: Vec<Vec<usize>>,
    z: Vec<Option<Vec<f64>>>,
    weights: Option<Vec<f64>>,
}

impl OwnRows {
    fn new(all: &Rows, gone: Gone) -> Self {
        let kept: Vec<usize> = (0..all.n).filter(|&i| !gone.is_gone[i]).collect();
        let pick = |values: &[f64]| kept.iter().map(|&i| values[i]).collect::<Vec<f64>>();
        let mut out = OwnRows {
            codes: Vec::new(),
            levels: Vec::new(),
            z: all.terms.iter().map(|t| t.z.map(|z| z.chunks_exact(all.n).flat_map(pick).collect())).collect(),
            weights: all.weights.map(pick),
            kept,
        };
        for factor in 0..all.codes.len() {
            let absorbed = all.absorbed.is_some_and(|a| a.factor == factor && a.intercept);
            out.number(all, factor, absorbed);
        }
        out
    }

    /// Numbers a factor's remaining levels. The first one of an absorbed factor is the base of the others: where it is gone the columns of
    /// the others add up to the constant, and the last of them, a combination of earlier columns, makes room for the base.
    fn number(&mut self, all: &Rows, factor: usize, absorbed: bool) {
        let mut there = vec![false; all.levels[factor]];
        self.kept.iter().for_each(|&i| there[all.level(factor, i)] = true);
        let mut levels: Vec<usize> = (0..there.len()).filter(|&level| there[level]).collect();
        if absorbed && !there[0] {
            levels.rotate_right(1);
        }
        let mut number = vec![0; there.len()];
        (1..).zip(&levels).for_each(|(n, &level)| number[level] = n);
        self.codes.push(self.kept.iter().map(|&i| number[all.level(factor, i)]).collect());
        self.levels.push(levels);
    }

    /// Columns of X.
    fn columns(&self, all: &Rows, columns: &[usize]) -> Vec<f64> {
        columns.iter().flat_map(|&j| self.kept.iter().map(move |&i| all.x[j * all.n + i])).collect()
    }

    /// With these columns of X, whose values are `x`.
    fn rows<'a>(&'a self, all: &Rows, x: &'a [f64], columns: &[usize]) -> Rows<'a> {
        let terms = all.terms.iter().zip(&self.z);
        Rows {
            n: self.kept.len(),
            x,
            p: columns.len(),
            codes: self.codes.iter().map(|codes| &codes[..]).collect(),
            levels: self.levels.iter().map(Vec::len).collect(),
            terms: terms.map(|(term, z)| Term { factor: term.factor, z: z.as_deref(), k: term.k }).collect(),
            weights: self.weights.as_deref(),
            absorbed: all.absorbed.map(|absorbed| {
                let others = absorbed.other_columns(all.levels[absorbed.factor], all.p + all.levels[absorbed.factor]);
                let before = columns.iter().filter(|&&j| others[j] < absorbed.first).count();
                Absorbed { first: before + usize::from(absorbed.intercept), ..absorbed }
            }),
        }
    }

    /// Number of all fixed effects, and which of them each of the remaining ones is.
    fn places(&self, all: &Rows, columns: &[usize]) -> (usize, Vec<usize>) {
        let Some(absorbed) = all.absorbed else { return (all.p, columns.to_vec()) };
        let levels = &self.levels[absorbed.factor];
        let total = all.p + all.levels[absorbed.factor];
        let others = absorbed.other_columns(all.levels[absorbed.factor], total);
        let mut places: Vec<usize> = columns.iter().map(|&j| others[j]).collect();
        if absorbed.intercept {
            places.push(0);
            places.extend(levels[1..].iter().filter_map(|&level| absorbed.own_column(level)));
            // in the order of the remaining columns, in which a rotated base's neighbours still ascend
        } else {
            places.extend(levels.iter().filter_map(|&level| absorbed.own_column(level)));
        }
        places.sort_unstable();
        (total, places)
    }
}
