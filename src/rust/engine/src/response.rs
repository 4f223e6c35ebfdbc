//! Cross-products of a response with the design, and passes over the rows that need a fitted model.

use crate::design::{Design, ZRow};
use crate::small::{axpy, dot};
use crate::terms::Rows;

/// What a response contributes to the criterion. The response is replaced by the residuals of its weighted
/// least-squares regression on X, divided by their root mean square: the model is the same, and nothing of
/// the response's level or of what X explains is left to cancel.
#[derive(Clone, Debug)]
pub struct Response {
    /// Z'Wy.
    pub zy: Vec<f64>,
    /// X'Wy, all but zero.
    pub xy: Vec<f64>,
    /// y'Wy.
    pub yy: f64,
    /// Least-squares coefficients (of the engine's X) that were subtracted, in the original unit of y.
    pub beta0: Vec<f64>,
    /// What the residuals were divided by.
    pub scale: f64,
}

/// Rows gathered at a time.
const CHUNK: usize = 512;

impl Response {
    /// Two passes over the rows: the regression on X, then the cross-products of its residuals.
    pub fn new(design: &Design, rows: &Rows, y: &[f64]) -> Result<Self, String> {
        let mut out = Response::empty(design);
        out.fill(design, rows, y, &mut Vec::new())?;
        Ok(out)
    }

    /// Allocates for a design; [`Response::fill`] has to follow.
    pub fn empty(design: &Design) -> Self {
        Response { zy: vec![0.0; design.structure.q], xy: vec![0.0; design.p], yy: 0.0, beta0: vec![0.0; design.p], scale: 1.0 }
    }

    /// Overwrites everything by another response's; `residual` is memory to work in.
    pub fn fill(&mut self, design: &Design, rows: &Rows, y: &[f64], residual: &mut Vec<f64>) -> Result<(), String> {
        if y.len() != design.n {
            return Err(format!("the response has {} values for {} rows", y.len(), design.n));
        }
        if y.iter().any(|v| !v.is_finite()) {
            return Err("NA/NaN/Inf in 'y'".into());
        }
        let (first, largest) = (y.first().copied().unwrap_or(0.0), y.iter().fold(0.0_f64, |m, v| m.max(v.abs())));
        let shift = if design.transform.intercept.is_some() { first } else { 0.0 };
        self.beta0.fill(0.0);
        for_each_row(design, rows, |i, x| axpy(rows.weight(i) * (y[i] - shift), x, &mut self.beta0));
        design.least_squares(&mut self.beta0);
        residual.resize(design.n, 0.0);
        let mut yy = 0.0;
        for_each_row(design, rows, |i, x| {
            residual[i] = (y[i] - shift) - dot(x, &self.beta0);
            yy += rows.weight(i) * residual[i] * residual[i];
        });
        if let Some(j) = design.transform.intercept {
            self.beta0[j] += shift;
        }
        let scale = (yy / design.n as f64).sqrt();
        self.scale = if scale > largest * 1e-300 && scale > 0.0 { scale } else { 1.0 };
        residual.iter_mut().for_each(|r| *r /= self.scale);
        self.add_rows(design, rows, residual);
        Ok(())
    }

    fn add_rows(&mut self, design: &Design, rows: &Rows, y: &[f64]) {
        self.zy.fill(0.0);
        self.xy.fill(0.0);
        self.yy = 0.0;
        let mut z = ZRow::new(&design.structure, rows);
        for_each_row(design, rows, |i, x| {
            let wy = rows.weight(i) * y[i];
            self.yy += wy * y[i];
            axpy(wy, x, &mut self.xy);
            for (g, group) in design.structure.groups.iter().enumerate() {
                let start = group.offset + rows.level(group.factor, i) * group.k;
                axpy(wy, z.get(g, i), &mut self.zy[start..start + group.k]);
            }
        });
    }
}

/// Calls `visit` with each row's index and its centred and scaled row of X.
fn for_each_row(design: &Design, rows: &Rows, mut visit: impl FnMut(usize, &[f64])) {
    let p = design.p;
    let mut chunk = vec![0.0; CHUNK * p];
    for begin in (0..design.n).step_by(CHUNK) {
        let end = (begin + CHUNK).min(design.n);
        design.transform.gather(rows, begin, end, &mut chunk);
        (begin..end).for_each(|i| visit(i, &chunk[(i - begin) * p..(i - begin + 1) * p]));
    }
}

/// Fitted values X beta + Z b, where `beta` belongs to the engine's X and `b` (in the engine's order and
/// column scale) to its Z; `intercept` is what is added to every row.
pub fn fitted_values(design: &Design, rows: &Rows, beta: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; design.n];
    let mut z = ZRow::new(&design.structure, rows);
    for_each_row(design, rows, |i, x| {
        let mut mu = dot(x, beta);
        for (g, group) in design.structure.groups.iter().enumerate() {
            let start = group.offset + rows.level(group.factor, i) * group.k;
            mu += dot(z.get(g, i), &b[start..start + group.k]);
        }
        out[i] = mu;
    });
    out
}
