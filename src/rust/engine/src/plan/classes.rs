//! Classes of equal levels of a design with one grouping factor: those whose blocks of Z'WZ and Z'WX are the same.

use std::collections::HashMap;

use crate::linalg::blocks::{nth, nth_mut};
use crate::linalg::small::axpy;
use crate::parallel::ranges;
use crate::products::cross::Products;

/// Levels after which it shows whether a design is balanced.
const SAMPLE: usize = 1000;

/// Most fixed effects for which the second derivatives of a model with one grouping factor are exact: their cost grows with
/// the square of this number.
const MOST_COLUMNS: usize = 40;

/// The classes of a design.
#[derive(Clone, Debug)]
pub struct Classes {
    pub(crate) k: usize,
    pub(crate) p: usize,
    /// Class of each level.
    pub(crate) class_of: Vec<u32>,
    /// Number of levels of each class.
    pub(crate) size: Vec<f64>,
    /// A = Z_j'WZ_j of each class, K x K.
    pub(crate) a: Vec<f64>,
    /// Z_j'WX of each class, p columns of length K.
    pub(crate) zx: Vec<f64>,
}

/// What a response contributes, class by class.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Sum of z_j, K per class.
    pub first: Vec<f64>,
    /// Sum of z_j z_j', K x K per class.
    pub second: Vec<f64>,
}

impl Classes {
    /// The classes where they are the way to go: one grouping factor, and not too many fixed effects.
    pub fn of(products: &Products) -> Option<Self> {
        (products.structure.groups.len() == 1 && products.p <= MOST_COLUMNS).then(|| Self::new(products))
    }

    /// The classes of a design with one grouping factor.
    pub fn new(products: &Products) -> Self {
        let group = &products.structure.groups[0];
        let (k, p) = (group.k, products.p);
        let mut found: HashMap<Vec<u64>, u32> = HashMap::new();
        let mut out = Classes { k, p, class_of: Vec::with_capacity(group.levels), size: Vec::new(), a: Vec::new(), zx: Vec::new() };
        for level in 0..group.levels {
            let a = nth(&products.diagonal[0], level, k * k);
            let zx = nth(&products.zx, level, k * p);
            let mut new_class = || {
                out.size.push(0.0);
                out.a.extend_from_slice(a);
                (0..p).for_each(|c| out.zx.extend(zx.iter().skip(c).step_by(p)));
                out.size.len() as u32 - 1
            };
            // Looking for equals is given up where the first levels have few.
            let class = if level >= SAMPLE && found.len() > SAMPLE / 2 {
                new_class()
            } else {
                let key: Vec<u64> = a.iter().chain(zx).map(|v| v.to_bits()).collect();
                *found.entry(key).or_insert_with(new_class)
            };
            out.size[class as usize] += 1.0;
            out.class_of.push(class);
        }
        out
    }

    /// Moments of a response from its Z'Wy.
    pub fn moments(&self, zy: &[f64]) -> Moments {
        let mut out = Moments { first: vec![0.0; self.size.len() * self.k], second: vec![0.0; self.a.len()] };
        self.fill_moments(zy, &mut out);
        out
    }

    /// Overwrites the moments by those of another response.
    pub fn fill_moments(&self, zy: &[f64], out: &mut Moments) {
        let k = self.k;
        out.first.fill(0.0);
        out.second.fill(0.0);
        for (z, &class) in zy.chunks_exact(k).zip(&self.class_of) {
            let class = class as usize;
            axpy(1.0, z, nth_mut(&mut out.first, class, k));
            for c in 0..k {
                axpy(z[c], z, &mut out.second[(class * k + c) * k..(class * k + c + 1) * k]);
            }
        }
    }
}

/// The ranges of classes whose sums are formed one by one.
pub(crate) fn class_ranges(classes: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    ranges(classes, 1024, 64)
}
