//! Columns of data frames: copied, and put side by side. New memory costs most when it is first written to, so that threads help.
use crate::condition::{answer, Answer};
use crate::model::thread_count;
use crate::value::{allocate, elements, guarded, na_real, new_matrix, NA};
use extendr_api::prelude::*;
use extendr_ffi::{
    Rf_duplicate, Rf_protect, Rf_unprotect, Rf_xlength, ALTREP, INTEGER, LOGICAL, REAL, SET_VECTOR_ELT, SEXP, SEXPTYPE, TYPEOF, VECTOR_ELT,
};
use fastlmer_engine::Workers;
use std::ffi::c_void;
use std::slice::{from_raw_parts, from_raw_parts_mut};

/// Numbers that one thread writes at a time.
const PIECE: usize = 1 << 15;

#[allow(improper_ctypes)] // R's objects are opaque
extern "C" {
    fn DUPLICATE_ATTRIB(to: SEXP, from: SEXP);
    fn SHALLOW_DUPLICATE_ATTRIB(to: SEXP, from: SEXP);
}

/// A copy of a vector with its attributes, or of a list's elements with theirs (the list's own are shared), in memory of its own.
/// @noRd
#[extendr]
fn engine_copy(object: Robj, threads: Robj) -> Robj {
    extern "C" fn make(order: *mut c_void) -> SEXP {
        unsafe {
            let order = &mut *order.cast::<Order>();
            if TYPEOF(order.object) == SEXPTYPE::VECSXP {
                let out = Rf_protect(copy_elements(order.object, &mut order.vectors));
                SHALLOW_DUPLICATE_ATTRIB(out, order.object);
                Rf_unprotect(1);
                out
            } else {
                copy(order.object, &mut order.vectors)
            }
        }
    }
    answer(|| {
        // Safety: `object` is protected as an argument, the copy by `guarded()`; the vectors are theirs.
        let mut order = Order { object: unsafe { object.get() }, vectors: Vec::new() };
        let made = guarded(make, &mut order)?;
        let length = order.vectors.iter().map(|v| v.0.len()).max().unwrap_or(0);
        let pieces = order.vectors.into_iter().flat_map(|(to, from)| to.chunks_mut(PIECE).zip(from.chunks(PIECE)));
        Workers::for_rows(thread_count(&threads), length).for_each(pieces, |(to, from)| to.copy_from_slice(from));
        Ok(made)
    })
}

/// Long vectors that are still to be written: where to, and from where, as 32-bit words.
type Vectors = Vec<(&'static mut [u32], &'static [u32])>;

struct Order {
    object: SEXP,
    vectors: Vectors,
}

/// Runs under the guard.
unsafe fn copy(object: SEXP, vectors: &mut Vectors) -> SEXP {
    /// Vectors below this length are R's own business.
    const LONG: usize = 1 << 14;
    let (kind, length) = (TYPEOF(object), Rf_xlength(object).max(0) as usize);
    if kind == SEXPTYPE::VECSXP {
        let out = Rf_protect(copy_elements(object, vectors));
        DUPLICATE_ATTRIB(out, object);
        Rf_unprotect(1);
        return out;
    }
    let numbers = matches!(kind, SEXPTYPE::REALSXP | SEXPTYPE::INTSXP | SEXPTYPE::LGLSXP);
    if !numbers || length < LONG || ALTREP(object) != 0 {
        return Rf_duplicate(object);
    }
    let out = Rf_protect(allocate(kind, length));
    let (words, place): (usize, fn(SEXP) -> *mut u32) = match kind {
        SEXPTYPE::REALSXP => (2 * length, |x| unsafe { REAL(x).cast() }),
        SEXPTYPE::INTSXP => (length, |x| unsafe { INTEGER(x).cast() }),
        _ => (length, |x| unsafe { LOGICAL(x).cast() }),
    };
    vectors.push((from_raw_parts_mut(place(out), words), from_raw_parts(place(object), words)));
    DUPLICATE_ATTRIB(out, object);
    Rf_unprotect(1);
    out
}

unsafe fn copy_elements(list: SEXP, vectors: &mut Vectors) -> SEXP {
    let length = Rf_xlength(list);
    let out = Rf_protect(allocate(SEXPTYPE::VECSXP, length.max(0) as usize));
    for i in 0..length {
        SET_VECTOR_ELT(out, i, copy(VECTOR_ELT(list, i), vectors));
    }
    Rf_unprotect(1);
    out
}

/// A matrix of numbers with `n` rows from numeric vectors; one of a single value is a constant column.
/// @noRd
#[extendr]
fn engine_side_by_side(columns: List, n: i32, threads: Robj) -> Robj {
    answer(|| {
        let n = n.max(0) as usize;
        let mut out = new_matrix(n, columns.len())?;
        let values = out.as_real_slice_mut().ok_or("a matrix of numbers")?;
        let columns: Vec<Robj> = columns.values().collect();
        let columns = columns.iter().map(|column| Column::new(column, n)).collect::<Answer<Vec<_>>>()?;
        let pieces = values
            .chunks_exact_mut(n.max(1))
            .zip(&columns)
            .flat_map(|(to, column)| to.chunks_mut(PIECE).enumerate().map(move |(i, to)| (to, i * PIECE, column)));
        Workers::for_rows(thread_count(&threads), n).for_each(pieces, |(to, first, column)| column.write(to, first));
        Ok(out)
    })
}

enum Column<'a> {
    Constant(f64),
    Reals(&'a [f64]),
    Integers(&'a [i32]),
}

impl<'a> Column<'a> {
    fn new(values: &'a Robj, n: usize) -> Answer<Self> {
        let column = match (elements(values, SEXPTYPE::REALSXP)?, elements(values, SEXPTYPE::INTSXP)?) {
            (Some(&[constant]), _) => return Ok(Column::Constant(constant)),
            (Some(values), _) => Column::Reals(values),
            (_, Some(values)) => Column::Integers(values),
            _ => Err("columns must be numeric")?,
        };
        if values.len() != n {
            Err("columns must be equally long")?;
        }
        Ok(column)
    }

    /// Writes the values from `first` on.
    fn write(&self, to: &mut [f64], first: usize) {
        let rows = first..first + to.len();
        match self {
            Column::Constant(value) => to.fill(*value),
            Column::Reals(values) => to.copy_from_slice(&values[rows]),
            Column::Integers(values) => {
                for (to, &value) in to.iter_mut().zip(&values[rows]) {
                    *to = if value == NA { na_real() } else { f64::from(value) };
                }
            }
        }
    }
}

extendr_module! {
    mod columns;
    fn engine_copy;
    fn engine_side_by_side;
}
