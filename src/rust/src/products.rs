//! Cross-products of chunks: added up behind an external pointer, kept and sent as an R list of plain vectors.
use crate::condition::{answer, fitted, interrupted, Answer};
use crate::model::{element, integer, number, real, Model};
use crate::record;
use crate::value::{owned, pointer, settle, to_r, Value};
use crate::ResponseState;
use extendr_api::prelude::*;
use fastlmer_engine::{stream, Chunk, CrossProducts, FactorProducts, Names, PairProducts, Structure, TermShape, Workers};
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

/// Of the layout of the list; a list of another version is refused.
const VERSION: f64 = 1.0;

type Products = RefCell<CrossProducts>;

/// Cross-products of no rows, as an external pointer. `constant` is the place of each term's constant column, or 0.
/// @noRd
#[extendr]
fn engine_products(factor: Robj, k: Robj, constant: Robj) -> Robj {
    answer(|| Ok(pointer(RefCell::new(CrossProducts::new(shapes(&factor, &k, &constant)?)?))))
}

/// Adds the rows of a chunk. `v` has the raw columns after the constant one.
/// @noRd
#[extendr]
#[allow(clippy::too_many_arguments)]
fn engine_products_add(products: Robj, columns: Robj, v: Robj, y: Robj, weights: Robj, codes: List, levels: List, z: List) -> Robj {
    answer(|| {
        let (codes, z): (Vec<Robj>, Vec<Robj>) = (codes.values().collect(), z.values().collect());
        let chunk = Chunk {
            columns: texts(&columns, "columns")?,
            v: real(&v, "v")?,
            y: real(&y, "y")?,
            weights: if weights.is_null() { None } else { Some(real(&weights, "weights")?) },
            codes: codes.iter().map(|c| integer(c, "codes")).collect::<Answer<_>>()?,
            levels: levels.values().map(|l| texts(&l, "levels")).collect::<Answer<_>>()?,
            z: z.iter().map(|z| if z.is_null() { Ok(None) } else { real(z, "z").map(Some) }).collect::<Answer<_>>()?,
        };
        products_of(&products)?.borrow_mut().add(&chunk)?;
        Ok(())
    })
}

/// Adds what another accumulator has saved.
/// @noRd
#[extendr]
fn engine_products_merge(products: Robj, saved: List) -> Robj {
    answer(|| {
        products_of(&products)?.borrow_mut().merge(load(&saved)?)?;
        Ok(())
    })
}

/// The cross-products as a list of plain vectors.
/// @noRd
#[extendr]
fn engine_products_save(products: Robj) -> Robj {
    answer(|| to_r(&save(&products_of(&products)?.borrow())))
}

/// An external pointer to what was saved.
/// @noRd
#[extendr]
fn engine_products_load(saved: List) -> Robj {
    answer(|| Ok(pointer(RefCell::new(load(&saved)?))))
}

/// R with R'R = X'WX (rows of zeros for aliased columns), and for the columns of X = V C what earlier ones don't explain and standard deviations.
/// @noRd
#[extendr]
fn engine_products_summary(products: Robj, columns: Robj) -> Robj {
    answer(|| {
        let products = products_of(&products)?.borrow();
        let c = real(&columns, "columns")?;
        let p = c.len() / products.d();
        let summary = fitted(stream::summary(&products, c, p))?;
        let root = Value::Array(Cow::Owned(summary.root), vec![p as i32, p as i32]);
        Ok(record!(root = root, share = summary.share, sd = summary.sd))
    })
}

/// Design and response of the model with X = V C and these terms and levels, in their order. Uses the cross-products up.
/// @noRd
#[extendr]
fn engine_products_model(products: Robj, columns: Robj, terms: Robj, levels: List) -> Robj {
    answer(|| {
        let place = products_of(&products)?;
        let empty = CrossProducts::new(place.borrow().terms.clone())?;
        let products = place.replace(empty);
        let c = real(&columns, "columns")?;
        let places = |values: &[i32]| values.iter().map(|&v| (v.max(1) - 1) as usize).collect::<Vec<usize>>();
        let terms = places(integer(&terms, "terms")?);
        let levels = levels.values().map(|l| integer(&l, "levels").map(places)).collect::<Answer<Vec<_>>>()?;
        let model = stream::Model { columns: c, p: c.len() / products.d(), terms: terms.clone(), levels };
        let (design, response) = fitted(stream::finish(products, &model, &Workers::new(1).stopped_by(interrupted)))?;
        let response = ResponseState::new(response);
        let groups = &design.structure.groups;
        let factors: Vec<usize> = (0..terms.len()).map(|t| groups[Structure::locate(groups, t).0].factor).collect();
        let mut levels = vec![0; groups.len()];
        groups.iter().for_each(|group| levels[group.factor] = group.levels);
        let model = Model { design: Arc::new(design), levels, factors };
        Ok(record!(design = pointer(model), response = pointer(response)))
    })
}

fn products_of(pointer: &Robj) -> Answer<&Products> {
    Ok(owned(pointer).ok_or("the pointer to the cross-products is empty")?)
}

fn shapes(factor: &Robj, k: &Robj, constant: &Robj) -> Answer<Vec<TermShape>> {
    let (factor, k, constant) = (integer(factor, "factor")?, integer(k, "k")?, integer(constant, "constant")?);
    if factor.len() != k.len() || factor.len() != constant.len() || factor.iter().chain(k).any(|v| *v < 1) {
        Err("'factor', 'k' and 'constant' need one element per term")?;
    }
    let shape = |((&factor, &k), &constant): ((&i32, &i32), &i32)| TermShape {
        factor: factor as usize - 1,
        k: k as usize,
        constant: (constant > 0).then(|| constant as usize - 1),
    };
    Ok(factor.iter().zip(k).zip(constant).map(shape).collect())
}

fn texts(object: &Robj, name: &str) -> Answer<Vec<String>> {
    settle(object)?;
    let texts = object.as_str_iter().ok_or_else(|| format!("'{name}' must be a character vector"))?;
    Ok(texts.map(String::from).collect())
}

fn save(products: &CrossProducts) -> Value<'_> {
    let numbers = |get: &dyn Fn(&TermShape) -> usize| products.terms.iter().map(|t| get(t) as i32).collect::<Vec<i32>>();
    let factors = products.factors.iter().map(|f| {
        let levels: Vec<Cow<str>> = f.levels.iter().map(Cow::Borrowed).collect();
        let (centre, zz, zv, zy) = (&f.centre[..], &f.zz[..], &f.zv[..], &f.zy[..]);
        record!(levels = levels, centre = centre, zz = zz, zv = zv, zy = zy)
    });
    let pairs = products.pairs.iter().map(|pair| {
        let first: Vec<i32> = pair.levels.iter().map(|l| l.0 as i32 + 1).collect();
        let second: Vec<i32> = pair.levels.iter().map(|l| l.1 as i32 + 1).collect();
        record!(first = first, second = second, values = &pair.values[..])
    });
    let columns: Vec<Cow<str>> = products.columns.iter().map(Cow::Borrowed).collect();
    record!(
        version = VERSION,
        factor = numbers(&|t| t.factor + 1),
        k = numbers(&|t| t.k),
        constant = numbers(&|t| t.constant.map_or(0, |c| c + 1)),
        n = products.n as f64,
        log_weights = products.log_weights,
        columns = columns,
        centre = &products.centre[..],
        coefficients = &products.coefficients[..],
        vv = &products.vv[..],
        vy = &products.vy[..],
        yy = products.yy,
        factors = factors.collect::<Vec<_>>(),
        pairs = pairs.collect::<Vec<_>>()
    )
}

fn load(saved: &List) -> Answer<CrossProducts> {
    if number(saved, "version") != Some(VERSION) {
        Err("these cross-products were saved by another version of fastlmer")?;
    }
    let get = |name: &str| part(saved, name);
    let one = |name: &str| number(saved, name).ok_or_else(|| format!("the saved cross-products lack '{name}'"));
    let reals = |name: &str| -> Answer<Vec<f64>> { Ok(real(&get(name)?, name)?.to_vec()) };
    let mut out = CrossProducts::new(shapes(&get("factor")?, &get("k")?, &get("constant")?)?)?;
    out.n = one("n")? as usize;
    out.log_weights = one("log_weights")?;
    out.columns = Names::new(texts(&get("columns")?, "columns")?);
    (out.centre, out.coefficients) = (reals("centre")?, reals("coefficients")?);
    (out.vv, out.vy, out.yy) = (reals("vv")?, reals("vy")?, one("yy")?);
    let d = out.d();
    let mut whole = out.vv.len() == d * d && [&out.vy, &out.centre, &out.coefficients].iter().all(|v| v.len() == d);
    let (factors, pairs) =
        (get("factors")?.as_list().ok_or("'factors' must be a list")?, get("pairs")?.as_list().ok_or("'pairs' must be a list")?);
    whole &= factors.len() == out.factors.len() && pairs.len() == out.pairs.len();
    for (factor, saved) in out.factors.iter_mut().zip(factors.values()) {
        whole &= load_factor(factor, &saved, d)?;
    }
    for (pair, saved) in out.pairs.iter_mut().zip(pairs.values()) {
        whole &= load_pair(pair, &saved, &out.factors)?;
    }
    if !whole {
        Err("the saved cross-products are damaged: their parts don't fit together")?;
    }
    Ok(out)
}

fn part(saved: &List, name: &str) -> Answer<Robj> {
    Ok(element(saved, name).ok_or_else(|| format!("the saved cross-products lack '{name}'"))?)
}

fn load_factor(factor: &mut FactorProducts, saved: &Robj, d: usize) -> Answer<bool> {
    let saved = saved.as_list().ok_or("'factors' must be a list of lists")?;
    let reals = |name: &str| -> Answer<Vec<f64>> { Ok(real(&part(&saved, name)?, name)?.to_vec()) };
    factor.levels = Names::new(texts(&part(&saved, "levels")?, "levels")?);
    (factor.centre, factor.zz, factor.zv, factor.zy) = (reals("centre")?, reals("zz")?, reals("zv")?, reals("zy")?);
    let effects = factor.levels.len() * factor.k;
    let whole = factor.centre.len() == factor.k
        && factor.zz.len() == effects * factor.k
        && factor.zv.len() == effects * d
        && factor.zy.len() == effects;
    if whole {
        factor.sum_levels();
    }
    Ok(whole)
}

fn load_pair(pair: &mut PairProducts, saved: &Robj, factors: &[FactorProducts]) -> Answer<bool> {
    let saved = saved.as_list().ok_or("'pairs' must be a list of lists")?;
    let (first, second, values) = (part(&saved, "first")?, part(&saved, "second")?, part(&saved, "values")?);
    let (first, second, values) = (integer(&first, "first")?, integer(&second, "second")?, real(&values, "values")?);
    let size = factors[pair.first].k * factors[pair.second].k;
    let within = |levels: &[i32], factor: usize| levels.iter().all(|&l| l >= 1 && l as usize <= factors[factor].levels.len());
    if first.len() != second.len() || values.len() != first.len() * size || !within(first, pair.first) || !within(second, pair.second) {
        return Ok(false);
    }
    for ((&i, &j), block) in first.iter().zip(second).zip(values.chunks_exact(size)) {
        pair.block_mut((i as u32 - 1, j as u32 - 1), size).copy_from_slice(block);
    }
    Ok(pair.levels.len() == first.len())
}

extendr_module! {
    mod products;
    fn engine_products;
    fn engine_products_add;
    fn engine_products_merge;
    fn engine_products_save;
    fn engine_products_load;
    fn engine_products_summary;
    fn engine_products_model;
}
