//! Batches of responses on their way to the engine, and their refits on the way back.
use crate::condition::{fitted, Answer};
use crate::model::{element, number, real, Model};
use crate::record;
use crate::value::{na_real, Value, NA};
use extendr_api::prelude::*;
use fastlmer_engine::{BatchOptions, Design, Replicate, Responses, Rows, Satterthwaite, Simulator};
use std::borrow::Cow;

/// Reads `list(y)`, `list(mean, sigma, theta, u, e)` or `list(mean, sigma, theta, rng)` and hands it to `body`.
pub fn with_responses<T>(model: &Model, rows: &Rows, list: &List, body: impl FnOnce(&Responses) -> Answer<T>) -> Answer<T> {
    let n = rows.n;
    if let Some(y) = element(list, "y") {
        let y = real(&y, "y")?.to_vec();
        whole(y.len(), n, "y")?;
        return body(&Responses::Given(&y));
    }
    let (Some(mean), Some(sigma)) = (element(list, "mean"), number(list, "sigma")) else {
        Err("responses need 'y', or 'mean' and 'sigma'")?
    };
    let theta = element(list, "theta");
    let theta = theta.as_ref().map(|t| model.theta(t)).transpose()?;
    let simulator = fitted(Simulator::new(&model.design, rows, real(&mean, "mean")?, sigma, theta))?;
    if let Some(rng) = element(list, "rng") {
        let rng = rng.as_list().ok_or("'rng' must be a list")?;
        let get = |name: &str| number(&rng, name).filter(|v| v.is_finite()).ok_or(format!("'rng' needs a number '{name}'"));
        let (seed, first, count) = (get("seed")? as i64 as u64, get("first")?.max(0.0) as u64, get("count")?.max(0.0) as usize);
        return body(&Responses::Drawn { simulator, seed, first, count });
    }
    let e = element(list, "e").ok_or("responses need 'e' or 'rng'")?;
    let e = real(&e, "e")?;
    whole(e.len(), n, "e")?;
    let drawn = element(list, "u");
    let u = drawn.as_ref().map_or(Ok(&[][..]), |u| real(u, "u"))?;
    if u.len() != simulator.effects() * (e.len() / n.max(1)) {
        Err(format!("'u' has {} values, {} are needed", u.len(), simulator.effects() * (e.len() / n.max(1))))?;
    }
    body(&Responses::Normals { simulator, u, e })
}

fn whole(length: usize, n: usize, name: &str) -> Answer<()> {
    if n == 0 || length % n != 0 {
        Err(format!("'{name}' must have {n} rows"))?;
    }
    Ok(())
}

/// The refits as vectors and matrices with one column per response; NA where there is none.
pub fn batch_record(design: &Design, replicates: Vec<Option<Replicate>>, asked: &BatchOptions) -> Value<'static> {
    let (count, q) = (replicates.len(), design.structure.random().len());
    let matrix = |rows: usize, get: &dyn Fn(&Replicate) -> &[f64]| {
        let mut values = Vec::with_capacity(rows * count);
        for replicate in &replicates {
            match replicate {
                Some(r) => values.extend_from_slice(get(r)),
                None => values.extend(std::iter::repeat_n(na_real(), rows)),
            }
        }
        Value::Array(Cow::Owned(values), vec![rows as i32, count as i32])
    };
    let vector = |get: &dyn Fn(&Replicate) -> f64| replicates.iter().map(|r| r.as_ref().map_or(na_real(), get)).collect::<Vec<_>>();
    let effects = |get: &dyn Fn(&(Vec<f64>, Vec<f64>)) -> &[f64]| {
        if asked.effects {
            matrix(q, &|r| r.effects.as_ref().map(get).unwrap_or_default())
        } else {
            Value::Null
        }
    };
    let unsc =
        if asked.covariance { matrix(design.p * design.p, &|r| r.unscaled_covariance.as_deref().unwrap_or_default()) } else { Value::Null };
    let (number, p) = (design.structure.entries.len(), design.p);
    let asked_degrees = |rows: usize, get: &dyn Fn(&Satterthwaite) -> Vec<f64>| {
        if !asked.degrees_of_freedom {
            return Value::Null;
        }
        let of_replicate = |r: &Option<Replicate>| r.as_ref().and_then(|r| r.satterthwaite.as_ref()).map(get);
        let values = replicates.iter().flat_map(|r| of_replicate(r).unwrap_or_else(|| vec![na_real(); rows])).collect();
        Value::Array(Cow::Owned(values), vec![rows as i32, count as i32])
    };
    record!(
        vcov_varpar = asked_degrees((number + 1) * (number + 1), &|s| s.covariance.clone()),
        jacobian = asked_degrees(number * p * p, &|s| s.jacobian.concat()),
        theta = matrix(design.structure.entries.len(), &|r| &r.theta),
        beta = matrix(design.fixed_columns(), &|r| &r.beta),
        sigma = vector(&|r| r.sigma),
        criterion = vector(&|r| r.criterion),
        least = vector(&|r| r.least),
        converged = Value::Logicals(replicates.iter().map(|r| r.as_ref().map_or(NA, |r| r.converged as i32)).collect()),
        evaluations = vector(&|r| r.evaluations as f64),
        ldL2 = vector(&|r| r.ld_l2),
        ldRX2 = vector(&|r| r.ld_rx2),
        pwrss = vector(&|r| r.pwrss),
        ussq = vector(&|r| r.ussq()),
        u = effects(&|e| &e.0),
        b = effects(&|e| &e.1),
        unsc = unsc
    )
}
