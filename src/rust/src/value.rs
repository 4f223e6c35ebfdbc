//! Results on their way to R.
//!
//! A function of the glue returns a [`Value`], made of Rust's own memory. All of R's memory for it is then allocated in one place,
//! [`to_r`]: where R can't allocate it leaves C by a jump, which ends in the guard of src/unwind.c, so that no frame of Rust's is jumped
//! over and nothing stays locked or leaks. The functions below that run under the guard hold nothing that has to be dropped.
use crate::condition::{Answer, Failure};
use extendr_api::{GetSexp, Robj};
use extendr_ffi::{
    cetype_t, R_CFinalizer_t, R_ClassSymbol, R_ClearExternalPtr, R_DimSymbol, R_ExternalPtrAddr, R_ExternalPtrTag, R_MakeExternalPtr,
    R_NamesSymbol, R_NilValue, R_RegisterCFinalizerEx, R_SetExternalPtrAddr, Rboolean, Rf_allocVector, Rf_mkCharLenCE, Rf_protect,
    Rf_setAttrib, Rf_unprotect, Rf_xlength, ALTREP, DATAPTR_RO, INTEGER, LOGICAL, REAL, SET_STRING_ELT, SET_VECTOR_ELT, SEXP, SEXPTYPE,
    TYPEOF,
};
use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::slice::from_raw_parts;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;

/// An R object, before there is one.
pub enum Value<'a> {
    Null,
    Logicals(Vec<i32>),
    Integers(Cow<'a, [i32]>),
    Reals(Cow<'a, [f64]>),
    Texts(Vec<Cow<'a, str>>),
    /// Numbers with their dimensions.
    Array(Cow<'a, [f64]>, Vec<i32>),
    List(Vec<Value<'a>>),
    Record(Vec<(&'static str, Value<'a>)>),
    /// A value with R's attribute `class`.
    Classed(Box<Value<'a>>, &'static [&'static str]),
    /// An external pointer that owns what is boxed, see [`pointer()`] and [`owned()`].
    Pointer(Cell<Option<Box<Owned>>>),
    /// What is there already.
    Object(Robj),
}

/// What one of our external pointers points to: a thin pointer is needed.
type Owned = Box<dyn Any>;

/// R's missing value among logical ones and integers.
pub const NA: i32 = i32::MIN;

/// R's missing value among numbers.
pub fn na_real() -> f64 {
    f64::from_bits(0x7FF0_0000_0000_07A2)
}

/// `record!(theta = values, sigma = 1.0)`: a list with names.
#[macro_export]
macro_rules! record {
    ($($name:ident = $value:expr),* $(,)?) => {
        $crate::value::Value::Record(vec![$((stringify!($name), $crate::value::Value::from($value))),*])
    };
}

macro_rules! value_from {
    ($($type:ty => |$value:ident| $body:expr),* $(,)?) => {
        $(impl<'a> From<$type> for Value<'a> {
            fn from($value: $type) -> Self {
                $body
            }
        })*
    };
}

value_from! {
    () => |_unit| Value::Null,
    bool => |value| Value::Logicals(vec![value as i32]),
    i32 => |value| Value::Integers(Cow::Owned(vec![value])),
    f64 => |value| Value::Reals(Cow::Owned(vec![value])),
    &str => |value| Value::Texts(vec![Cow::Owned(value.to_string())]),
    String => |value| Value::Texts(vec![Cow::Owned(value)]),
    Vec<i32> => |values| Value::Integers(Cow::Owned(values)),
    Vec<f64> => |values| Value::Reals(Cow::Owned(values)),
    &'a [f64] => |values| Value::Reals(Cow::Borrowed(values)),
    Vec<Value<'a>> => |values| Value::List(values),
    Vec<Cow<'a, str>> => |texts| Value::Texts(texts),
    Robj => |object| Value::Object(object),
}

/// An external pointer that owns `value`.
pub fn pointer<T: 'static>(value: T) -> Value<'static> {
    Value::Pointer(Cell::new(Some(Box::new(Box::new(value)))))
}

/// What an external pointer owns; `None` for other objects, other types, and a pointer that comes from a file.
pub fn owned<T: 'static>(pointer: &Robj) -> Option<&T> {
    // Safety: only `build()` gives pointers our tag, and it has them point to an `Owned`, which lives as long as they do.
    unsafe {
        let pointer = pointer.get();
        if TYPEOF(pointer) != SEXPTYPE::EXTPTRSXP || R_ExternalPtrTag(pointer) != R.get()?.tag {
            return None;
        }
        R_ExternalPtrAddr(pointer).cast::<Owned>().as_ref()?.downcast_ref()
    }
}

extern "C" fn finalize(pointer: SEXP) {
    // Safety: as in `owned()`; R calls this once.
    unsafe {
        let owned = R_ExternalPtrAddr(pointer).cast::<Owned>();
        R_ClearExternalPtr(pointer);
        if !owned.is_null() {
            drop(Box::from_raw(owned));
        }
    }
}

/// What src/unwind.c hands over when the library is loaded.
struct Guard {
    guard: extern "C" fn(extern "C" fn(*mut c_void) -> SEXP, *mut c_void) -> SEXP,
    token: SEXP,
    jump: SEXP,
    tag: SEXP,
}

// Safety: R's objects are touched on R's own thread only.
unsafe impl Send for Guard {}
unsafe impl Sync for Guard {}

static R: OnceLock<Guard> = OnceLock::new();

/// Called by src/unwind.c.
#[no_mangle]
pub extern "C" fn fastlmer_install_guard(
    guard: extern "C" fn(extern "C" fn(*mut c_void) -> SEXP, *mut c_void) -> SEXP,
    token: SEXP,
    jump: SEXP,
    tag: SEXP,
) {
    let _ = R.set(Guard { guard, token, jump, tag });
}

/// Calls `body(data)`, which may use R's functions that allocate and must hold nothing to be dropped.
pub fn guarded<T>(body: extern "C" fn(*mut c_void) -> SEXP, data: &mut T) -> Answer<Robj> {
    let r = R.get().ok_or("fastlmer's library was not loaded by R")?;
    let made = (r.guard)(body, (data as *mut T).cast());
    if made == r.token {
        return Err(Failure::Jump);
    }
    // Safety: an R object, which this protects.
    Ok(unsafe { Robj::from_sexp(made) })
}

/// The condition that tells R/engine-value.R to go on with R's jump.
pub fn jump() -> Robj {
    // Safety: kept by src/unwind.c.
    R.get().map_or_else(|| ().into(), |r| unsafe { Robj::from_sexp(r.jump) })
}

/// The R object.
pub fn to_r(value: &Value) -> Answer<Robj> {
    extern "C" fn make(value: *mut c_void) -> SEXP {
        unsafe { build(*value.cast::<&Value>()) }
    }
    guarded(make, &mut { value })
}

/// Sees to it that an ALTREP object, 1:n for instance, has its elements in memory: R may have to allocate that.
pub fn settle(object: &Robj) -> Answer<()> {
    extern "C" fn expand(object: *mut c_void) -> SEXP {
        unsafe {
            let object = *object.cast::<SEXP>();
            may_fail();
            DATAPTR_RO(object);
            object
        }
    }
    // Safety: `object` is protected.
    unsafe {
        if ALTREP(object.get()) != 0 {
            guarded(expand, &mut object.get())?;
        }
    }
    Ok(())
}

/// The elements of a vector, where it is of a type whose elements are `T`.
pub fn elements<T>(object: &Robj, kind: SEXPTYPE) -> Answer<Option<&[T]>> {
    // Safety: the elements are R's for as long as `object` is, and nobody writes to them meanwhile.
    unsafe {
        let sexp = object.get();
        if TYPEOF(sexp) != kind {
            return Ok(None);
        }
        settle(object)?;
        let length = Rf_xlength(sexp).max(0) as usize;
        Ok(Some(if length == 0 { &[] } else { from_raw_parts(DATAPTR_RO(sexp).cast(), length) }))
    }
}

/// A matrix to be filled in: large results are written where R has them.
pub fn new_matrix(rows: usize, columns: usize) -> Answer<Robj> {
    extern "C" fn make(size: *mut c_void) -> SEXP {
        unsafe {
            let (rows, columns) = *size.cast::<(usize, usize)>();
            with_dimensions(allocate(SEXPTYPE::REALSXP, rows * columns), &[rows as i32, columns as i32])
        }
    }
    guarded(make, &mut (rows, columns))
}

unsafe fn build(value: &Value) -> SEXP {
    match value {
        Value::Null => R_NilValue,
        Value::Logicals(values) => {
            let out = allocate(SEXPTYPE::LGLSXP, values.len());
            LOGICAL(out).copy_from_nonoverlapping(values.as_ptr(), values.len());
            out
        }
        Value::Integers(values) => integers(values),
        Value::Reals(values) => reals(values),
        Value::Texts(values) => strings(values.iter().map(|text| text.as_ref())),
        Value::Array(values, dimensions) => with_dimensions(reals(values), dimensions),
        Value::List(items) => list(items.iter()),
        Value::Record(items) => {
            let out = Rf_protect(list(items.iter().map(|item| &item.1)));
            set_attribute(out, R_NamesSymbol, strings(items.iter().map(|item| item.0)));
            Rf_unprotect(1);
            out
        }
        Value::Classed(value, class) => {
            let out = Rf_protect(build(value));
            set_attribute(out, R_ClassSymbol, strings(class.iter().copied()));
            Rf_unprotect(1);
            out
        }
        Value::Pointer(place) => {
            let out = Rf_protect(R_MakeExternalPtr(std::ptr::null_mut(), R.get().map_or(R_NilValue, |r| r.tag), R_NilValue));
            let finalizer: R_CFinalizer_t = Some(finalize);
            R_RegisterCFinalizerEx(out, finalizer, Rboolean::TRUE);
            // From here on nothing fails.
            R_SetExternalPtrAddr(out, place.take().map_or(std::ptr::null_mut(), Box::into_raw).cast());
            Rf_unprotect(1);
            out
        }
        Value::Object(object) => object.get(),
    }
}

unsafe fn integers(values: &[i32]) -> SEXP {
    let out = allocate(SEXPTYPE::INTSXP, values.len());
    INTEGER(out).copy_from_nonoverlapping(values.as_ptr(), values.len());
    out
}

unsafe fn reals(values: &[f64]) -> SEXP {
    let out = allocate(SEXPTYPE::REALSXP, values.len());
    REAL(out).copy_from_nonoverlapping(values.as_ptr(), values.len());
    out
}

unsafe fn strings<'a>(texts: impl ExactSizeIterator<Item = &'a str>) -> SEXP {
    let out = Rf_protect(allocate(SEXPTYPE::STRSXP, texts.len()));
    for (i, text) in texts.enumerate() {
        // R's strings hold no zero byte
        let text = text.split('\0').next().unwrap_or_default();
        SET_STRING_ELT(out, i as isize, Rf_mkCharLenCE(text.as_ptr().cast::<c_char>(), text.len() as i32, cetype_t::CE_UTF8));
    }
    Rf_unprotect(1);
    out
}

unsafe fn list<'a, 'b: 'a>(items: impl ExactSizeIterator<Item = &'a Value<'b>>) -> SEXP {
    let out = Rf_protect(allocate(SEXPTYPE::VECSXP, items.len()));
    for (i, item) in items.enumerate() {
        SET_VECTOR_ELT(out, i as isize, build(item));
    }
    Rf_unprotect(1);
    out
}

unsafe fn with_dimensions(array: SEXP, dimensions: &[i32]) -> SEXP {
    let array = Rf_protect(array);
    set_attribute(array, R_DimSymbol, integers(dimensions));
    Rf_unprotect(1);
    array
}

unsafe fn set_attribute(object: SEXP, name: SEXP, value: SEXP) {
    Rf_setAttrib(object, name, Rf_protect(value));
    Rf_unprotect(1);
}

/// Allocations until one that R is asked for more than there can be, for the tests; 0 where none is.
static FAILING: AtomicUsize = AtomicUsize::new(0);

/// Has the `count`-th of R's allocations from now on fail.
pub fn fail_allocation(count: usize) {
    FAILING.store(count, Ordering::Relaxed);
}

pub unsafe fn allocate(kind: SEXPTYPE, length: usize) -> SEXP {
    may_fail();
    Rf_allocVector(kind, length as isize)
}

/// Called where R may allocate.
unsafe fn may_fail() {
    if FAILING.load(Ordering::Relaxed) > 0 && FAILING.fetch_sub(1, Ordering::Relaxed) == 1 {
        Rf_allocVector(SEXPTYPE::REALSXP, 1 << 51);
    }
}
