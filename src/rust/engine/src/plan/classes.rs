//! Classes of equal levels of a design with one grouping factor: those whose blocks of Z'WZ and Z'WX are the same.
//!
//! Several classes are computed side by side where there are enough of them: a *batch* is as many as a [`Number`] has lanes. What the last
//! one lacks are classes of no level, whose blocks are zero: they add nothing to any sum.

use std::collections::HashMap;

use crate::linalg::blocks::{nth, nth_mut};
use crate::linalg::lanes::{Lanes, Number};
use crate::parallel::ranges;
use crate::products::cross::Products;

/// Levels after which it shows whether a design is balanced.
const SAMPLE: usize = 1000;

/// Most fixed effects for which the second derivatives of a model with one grouping factor are exact: their cost grows with
/// the square of this number.
const MOST_COLUMNS: usize = 40;

/// Fewest classes that are worth computing side by side: one batch costs as much as two or three alone.
const SIDE_BY_SIDE: usize = 4;

/// The classes of a design, each on its own or several side by side.
#[derive(Clone, Debug)]
pub enum Grouped {
    /// Few of them.
    Alone(Classes<f64>),
    /// Many.
    SideBySide(Classes<Lanes>),
}

/// The classes of a design; what belongs to one of them is a lane of a batch.
#[derive(Clone, Debug)]
pub struct Classes<T> {
    pub(crate) k: usize,
    pub(crate) p: usize,
    /// Class of each level.
    pub(crate) class_of: Vec<u32>,
    /// Number of levels of each class.
    pub(crate) size: Vec<T>,
    /// Whether no class of a batch has more than one level.
    pub(crate) single: Vec<bool>,
    /// A = Z_j'WZ_j of each class, K x K.
    pub(crate) a: Vec<T>,
    /// Z_j'WX of each class, p columns of length K.
    pub(crate) zx: Vec<T>,
}

/// What a response contributes, class by class.
#[derive(Clone, Debug)]
pub struct Moments<T> {
    /// Sum of z_j, K per class.
    pub first: Vec<T>,
    /// Sum of z_j z_j', K x K per class; not where each class of a batch is a single level.
    pub second: Vec<T>,
}

impl Grouped {
    /// The classes where they are the way to go: one grouping factor, and not too many fixed effects.
    pub fn of(products: &Products) -> Option<Self> {
        if products.structure.groups.len() != 1 || products.p > MOST_COLUMNS {
            return None;
        }
        let (class_of, first) = find(products);
        Some(if first.len() < SIDE_BY_SIDE {
            Grouped::Alone(Classes::new(products, class_of, &first))
        } else {
            Grouped::SideBySide(Classes::new(products, class_of, &first))
        })
    }
}

/// The class of each level, and the first level of each class.
fn find(products: &Products) -> (Vec<u32>, Vec<usize>) {
    let (group, p) = (&products.structure.groups[0], products.p);
    let mut found: HashMap<Vec<u64>, u32> = HashMap::new();
    let (mut class_of, mut first) = (Vec::with_capacity(group.levels), Vec::new());
    for level in 0..group.levels {
        let mut new_class = || {
            first.push(level);
            first.len() as u32 - 1
        };
        // Looking for equals is given up where the first levels have few.
        class_of.push(if level >= SAMPLE && found.len() > SAMPLE / 2 {
            new_class()
        } else {
            let (a, zx) = (nth(&products.diagonal[0], level, group.k * group.k), nth(&products.zx, level, group.k * p));
            let key: Vec<u64> = a.iter().chain(zx).map(|v| v.to_bits()).collect();
            *found.entry(key).or_insert_with(new_class)
        });
    }
    (class_of, first)
}

impl<T: Number> Classes<T> {
    /// The classes of a design with one grouping factor, of which the class of each level is given and the first level of each class.
    fn new(products: &Products, class_of: Vec<u32>, first: &[usize]) -> Self {
        let (k, p) = (products.structure.groups[0].k, products.p);
        let (zero, batches) = (T::all(0.0), first.len().div_ceil(T::WIDTH));
        let zeros = |each: usize| vec![zero; batches * each];
        let mut out = Classes { k, p, class_of, size: zeros(1), single: Vec::new(), a: zeros(k * k), zx: zeros(k * p) };
        for (class, &level) in first.iter().enumerate() {
            let (batch, lane) = place::<T>(class as u32);
            let a = nth(&products.diagonal[0], level, k * k);
            a.iter().zip(nth_mut(&mut out.a, batch, k * k)).for_each(|(from, to)| *to.lane_mut(lane) = *from);
            let (zx, to) = (nth(&products.zx, level, k * p), nth_mut(&mut out.zx, batch, k * p));
            for c in 0..p {
                (0..k).for_each(|r| *to[c * k + r].lane_mut(lane) = zx[r * p + c]);
            }
        }
        for &class in &out.class_of {
            let (batch, lane) = place::<T>(class);
            *out.size[batch].lane_mut(lane) += 1.0;
        }
        out.single = out.size.iter().map(|size| (0..T::WIDTH).all(|lane| size.lane(lane) <= 1.0)).collect();
        out
    }

    /// Number of batches.
    pub fn batches(&self) -> usize {
        self.size.len()
    }

    /// Room for the moments of a response.
    pub fn moments(&self) -> Moments<T> {
        let zeros = |n: usize| vec![T::all(0.0); n];
        Moments { first: zeros(self.batches() * self.k), second: zeros(self.a.len()) }
    }

    /// Overwrites the moments by those of a response, from its Z'Wy.
    pub fn fill_moments(&self, zy: &[f64], out: &mut Moments<T>) {
        let k = self.k;
        out.first.fill(T::all(0.0));
        out.second.fill(T::all(0.0));
        for (z, &class) in zy.chunks_exact(k).zip(&self.class_of) {
            let (batch, lane) = place::<T>(class);
            z.iter().zip(nth_mut(&mut out.first, batch, k)).for_each(|(z, to)| *to.lane_mut(lane) += z);
            if self.single[batch] {
                continue;
            }
            let second = nth_mut(&mut out.second, batch, k * k);
            for c in 0..k {
                (0..k).for_each(|r| *second[c * k + r].lane_mut(lane) += z[c] * z[r]);
            }
        }
    }
}

/// The batch of a class, and its lane there.
#[inline(always)]
pub(crate) fn place<T: Number>(class: u32) -> (usize, usize) {
    (class as usize / T::WIDTH, class as usize % T::WIDTH)
}

/// The ranges of batches whose sums are formed one by one.
pub(crate) fn batch_ranges<T: Number>(batches: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    ranges(batches, 1024 / T::WIDTH, 64)
}
