//! Responses drawn from a model: y = mean + sigma (Z Lambda u + W^-1/2 e) with u and e standard normal.

use rand::RngExt;
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

use crate::error::Error;
use crate::model::columns::ZRow;
use crate::model::lambda::{scale_effects, Lambda};
use crate::model::rows::Rows;
use crate::plan::design::Design;

/// What does not change between the responses that are drawn.
pub struct Simulator<'a> {
    design: &'a Design,
    rows: &'a Rows<'a>,
    mean: &'a [f64],
    sigma: f64,
    lambda: Option<Lambda>,
    /// Place in the caller's order (term by term) of each effect in the engine's.
    place: Vec<usize>,
}

impl<'a> Simulator<'a> {
    /// `mean` has a value a row, and `sigma` is the residual standard deviation; `theta` is the relative covariance of the random effects to be
    /// drawn, if any are. A draw is a pass over the rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the mean or theta has another length.
    pub fn new(design: &'a Design, rows: &'a Rows<'a>, mean: &'a [f64], sigma: f64, theta: Option<&[f64]>) -> Result<Self, Error> {
        if mean.len() != design.n {
            return Err(format!("the mean has {} values for {} rows", mean.len(), design.n).into());
        }
        if theta.is_some_and(|t| t.len() != design.structure.entries.len()) {
            return Err("theta has the wrong length".into());
        }
        Ok(Simulator {
            design,
            rows,
            mean,
            sigma,
            lambda: theta.map(|t| design.structure.caller_lambda(t)),
            place: design.structure.caller_places(),
        })
    }

    /// Number of rows.
    pub fn n(&self) -> usize {
        self.design.n
    }

    /// Number of standard normals that one response's random effects take.
    pub fn effects(&self) -> usize {
        if self.lambda.is_some() {
            self.place.len()
        } else {
            0
        }
    }

    /// The response of given standard normals: `u` in the caller's order of effects, `e` by row.
    pub fn response(&self, u: &[f64], e: &[f64], y: &mut [f64]) {
        for (i, y) in y.iter_mut().enumerate() {
            *y = self.mean[i] + self.sigma * if self.rows.weights.is_some() { e[i] / self.rows.weight(i).sqrt() } else { e[i] };
        }
        let Some(lambda) = &self.lambda else { return };
        let groups = &self.design.structure.groups;
        let mut b = vec![0.0; self.design.structure.q];
        b[self.design.structure.random()].iter_mut().zip(&self.place).for_each(|(b, &at)| *b = u[at]);
        b = scale_effects(&self.design.structure, lambda, &b);
        for group in groups {
            b[group.offset..group.offset + group.effects()].chunks_exact_mut(group.k).for_each(|level| group.to_engine(level));
        }
        b.iter_mut().for_each(|v| *v *= self.sigma);
        let mut z = ZRow::new(&self.design.structure, self.rows);
        for (i, y) in y.iter_mut().enumerate() {
            for (g, group) in groups.iter().enumerate() {
                let start = group.offset + self.rows.level(group.factor, i) * group.k;
                *y += crate::linalg::small::dot(z.get(g, i), &b[start..start + group.k]);
            }
        }
    }

    /// The response that replicate `index` of a seed has, whoever draws it: each has a stream of its own of the
    /// generator PCG XSL RR 128/64 (O'Neill 2014, HMC-CS-2014-0905). `normals` is memory to work in.
    pub fn drawn(&self, seed: u64, index: u64, normals: &mut Vec<f64>, y: &mut [f64]) {
        let rng = Pcg64::new(scramble(seed, index), u128::from(index));
        let q = self.effects();
        normals.clear();
        normals.extend(rng.sample_iter::<f64, _>(StandardNormal).take(q + self.design.n));
        self.response(&normals[..q], &normals[q..], y);
    }
}

/// The state in which a replicate's generator starts: seed and replicate spread over its 128 bits by SplitMix64 (Steele, Lea and
/// Flood 2014, doi:10.1145/2660193.2660195). With the stream alone telling replicates apart their states at each step would be
/// an arithmetic sequence in the replicate's number, and draws of neighbouring replicates would be correlated.
fn scramble(seed: u64, index: u64) -> u128 {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let word = |half: u64| mix(mix(seed.wrapping_add(STEP.wrapping_mul(half))).wrapping_add(STEP.wrapping_mul(index)));
    (u128::from(word(1)) << 64) | u128::from(word(2))
}
