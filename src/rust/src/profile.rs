//! Profiles of the deviance.
use crate::condition::{answer, finished, interrupted};
use crate::model::{flag, model_of, number, real, threads_of};
use crate::record;
use crate::response_of;
use crate::value::Value;
use extendr_api::prelude::*;
use fastlmer_engine::{profile, ProfileOptions, Scale, Workers};
use std::borrow::Cow;

/// Profiles of the parameters `which` (from 1: elements of theta, sigma, fixed effects) by maximum likelihood.
/// @noRd
#[extendr]
fn engine_profile(design: Robj, response: Robj, which: Robj, start: Robj, zetas: Robj, options: List) -> Robj {
    answer(|| {
        let (model, state) = (model_of(&design)?, response_of(&response)?);
        let get = |name: &str| number(&options, name).ok_or_else(|| format!("profiles need a number '{name}'"));
        let which: Vec<usize> = real(&which, "which")?.iter().map(|&w| (w.max(1.0) - 1.0) as usize).collect();
        let workers = Workers::new(threads_of(&options)).stopped_by(interrupted);
        let request = ProfileOptions {
            which: &which,
            scale: if flag(&options, "variances") { Scale::Variances } else { Scale::Deviations },
            cutoff: get("cutoff")?,
            delta: get("delta")?,
            zetas: real(&zetas, "zetas")?,
            most_points: get("points")?.max(0.0) as usize,
            multiple: get("multiple")?,
            most_evaluations: 1000,
            start: Some(model.theta(&start)?),
            workers: &workers,
        };
        let made = finished(profile(&model.design, &state.response, &request), &workers)?;
        let count: usize = made.profiles.iter().map(|p| p.points.len()).sum();
        let width = made.optimum.len() + 1;
        let mut points = vec![0.0; count * width];
        let rows = made.profiles.iter().flat_map(|p| &p.points);
        for (i, point) in rows.enumerate() {
            points[i] = point.zeta;
            point.parameters.iter().enumerate().for_each(|(j, v)| points[(j + 1) * count + i] = *v);
        }
        Ok(record!(
            deviance = made.deviance,
            below = made.below,
            optimum = made.optimum,
            points = Value::Array(Cow::Owned(points), vec![count as i32, width as i32]),
            numbers = made.profiles.iter().map(|p| p.points.len() as f64).collect::<Vec<_>>()
        ))
    })
}

extendr_module! {
    mod profile;
    fn engine_profile;
}
