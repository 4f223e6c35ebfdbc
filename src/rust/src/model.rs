//! R's vectors seen as the engine's model: borrowed, not copied.
use crate::condition::{fitted, interrupted, Answer};
use crate::value::{elements, owned};
use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fastlmer_engine::{Absorbed, Design, Rows, Term, Workers};
use std::sync::Arc;

/// The R objects that hold a model's columns, kept alive while the engine reads them.
pub struct Columns {
    x: Robj,
    absorbed: Option<(Robj, Absorbed)>,
    codes: Vec<Robj>,
    z: Vec<Robj>,
    weights: Robj,
}

/// What an external pointer to a design holds.
pub struct Model {
    pub design: Arc<Design>,
    pub levels: Vec<usize>,
    /// Grouping factor of each term.
    pub factors: Vec<usize>,
}

impl Columns {
    pub fn new(x: Robj, codes: List, z: List, weights: Robj) -> Answer<Self> {
        let codes: Vec<Robj> = codes.values().collect();
        let (x, absorbed) = match x.as_list() {
            Some(list) => absorbed_columns(&list, codes.len())?,
            None => (x, None),
        };
        Ok(Columns { x, absorbed, codes, z: z.values().collect(), weights })
    }

    fn rows<'a>(&'a self, levels: &[usize], factors: &[usize]) -> Answer<Rows<'a>> {
        let (n, p) = shape(&self.x, "x")?;
        let mut codes = self.codes.iter().map(|c| integer(c, "codes")).collect::<Answer<Vec<_>>>()?;
        let mut levels = levels.to_vec();
        if let Some((factor, _)) = &self.absorbed {
            codes.push(integer(factor, "factor")?);
            levels.push(factor.get_attrib("levels").map_or(0, |names| names.len()));
        }
        if self.z.len() != factors.len() {
            Err("as many sets of columns as random-effects terms are needed")?;
        }
        let mut terms = Vec::with_capacity(factors.len());
        for (z, &factor) in self.z.iter().zip(factors) {
            terms.push(if z.is_null() {
                Term { factor, z: None, k: 1 }
            } else {
                Term { factor, z: Some(real(z, "z")?), k: shape(z, "z")?.1 }
            });
        }
        let weights = if self.weights.is_null() { None } else { Some(real(&self.weights, "weights")?) };
        Ok(Rows { n, x: real(&self.x, "x")?, p, codes, levels, terms, weights, absorbed: self.absorbed.as_ref().map(|a| a.1) })
    }
}

impl Model {
    pub fn new(columns: &Columns, nlev: &Robj, asgn: &Robj, threads: usize) -> Answer<Self> {
        let levels: Vec<usize> = integer(nlev, "nlev")?.iter().map(|&l| l.max(0) as usize).collect();
        let factors: Vec<usize> = integer(asgn, "asgn")?.iter().map(|&a| (a.max(1) - 1) as usize).collect();
        let rows = columns.rows(&levels, &factors)?;
        let design = fitted(Design::on_threads(&rows, &Workers::for_rows(threads, rows.n).stopped_by(interrupted)))?;
        Ok(Model { design: Arc::new(design), levels, factors })
    }

    /// The rows of the columns that the design was made from.
    pub fn rows<'a>(&self, columns: &'a Columns) -> Answer<Rows<'a>> {
        let rows = columns.rows(&self.levels, &self.factors)?;
        if rows.n != self.design.n || rows.p != self.design.p || rows.codes.iter().any(|c| c.len() != rows.n) {
            Err("the columns are not those that the cross-products were made from")?;
        }
        Ok(rows)
    }

    /// Theta of the right length.
    pub fn theta<'a>(&self, theta: &'a Robj) -> Answer<&'a [f64]> {
        let values = real(theta, "theta")?;
        let expected = self.design.structure.entries.len();
        if values.len() != expected {
            Err(format!("theta has {} elements, the model has {expected}", values.len()))?;
        }
        Ok(values)
    }
}

/// What R's class `absorbed_columns` holds: the other columns, the factor, and where its columns stand. The factor comes after the
/// `grouping` factors.
fn absorbed_columns(list: &List, grouping: usize) -> Answer<(Robj, Option<(Robj, Absorbed)>)> {
    let (Some(dense), Some(factor), Some(first)) = (element(list, "dense"), element(list, "factor"), number(list, "first")) else {
        Err("the columns of the fixed effects need 'dense', 'factor' and 'first'")?
    };
    let first = (first.max(1.0) - 1.0) as usize;
    Ok((dense, Some((factor, Absorbed { factor: grouping, intercept: flag(list, "intercept"), first }))))
}

/// The model behind an external pointer.
pub fn model_of(pointer: &Robj) -> Answer<&Model> {
    Ok(owned(pointer).ok_or("the pointer to the cross-products is empty")?)
}

/// A double vector.
pub fn real<'a>(object: &'a Robj, name: &str) -> Answer<&'a [f64]> {
    Ok(elements(object, SEXPTYPE::REALSXP)?.ok_or_else(|| format!("'{name}' must be a numeric vector"))?)
}

/// A number among the options, if it is there.
pub fn number(options: &List, name: &str) -> Option<f64> {
    let value = element(options, name)?;
    value.as_real().or_else(|| value.as_integer().map(f64::from))
}

/// A number of threads; one where it is not given.
pub fn thread_count(threads: &Robj) -> usize {
    threads.as_real().or_else(|| threads.as_integer().map(f64::from)).map_or(1, |v| v.clamp(1.0, 1024.0) as usize)
}

/// The number of threads among the options.
pub fn threads_of(options: &List) -> usize {
    element(options, "threads").map_or(1, |threads| thread_count(&threads))
}

/// Whether an option is TRUE.
pub fn flag(options: &List, name: &str) -> bool {
    element(options, name).and_then(|v| v.as_bool()).unwrap_or(false)
}

/// An element of a list by its name; NULL counts as absent.
pub fn element(list: &List, name: &str) -> Option<Robj> {
    list.iter().find(|(key, _)| *key == name).map(|(_, value)| value).filter(|value| !value.is_null())
}

/// An integer vector.
pub fn integer<'a>(object: &'a Robj, name: &str) -> Answer<&'a [i32]> {
    Ok(elements(object, SEXPTYPE::INTSXP)?.ok_or_else(|| format!("'{name}' must be an integer vector"))?)
}

fn shape(object: &Robj, name: &str) -> Answer<(usize, usize)> {
    let dim = object.get_attrib("dim").ok_or_else(|| format!("'{name}' must be a matrix"))?;
    match dim.as_integer_slice() {
        Some(&[rows, columns]) => Ok((rows as usize, columns as usize)),
        _ => Err(format!("'{name}' must be a matrix"))?,
    }
}
