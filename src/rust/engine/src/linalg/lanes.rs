//! Several numbers that are computed side by side, so that small matrices of equal order need no loop of their own to be fast.
//!
//! A kernel that is generic over [`Number`] works on one matrix, or on [`Lanes::WIDTH`] of them at once: element (i, j) of all of them is
//! one [`Lanes`]. Lane by lane the operations are those of a single number, in the same order: the results don't depend on the processor.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Sub, SubAssign};

/// A number, or several side by side.
pub trait Number:
    Copy
    + Debug
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// How many.
    const WIDTH: usize;

    /// The same in all lanes.
    fn all(value: f64) -> Self;

    /// The number of a lane.
    fn lane(&self, lane: usize) -> f64;

    /// The same, to be written to.
    fn lane_mut(&mut self, lane: usize) -> &mut f64;

    /// The function of each.
    fn map(self, function: impl Fn(f64) -> f64) -> Self;

    /// Whether each is positive and finite.
    #[inline(always)]
    fn is_positive(self) -> bool {
        let mut all = true;
        for i in 0..Self::WIDTH {
            all &= self.lane(i) > 0.0 && self.lane(i) < f64::INFINITY;
        }
        all
    }

    /// The sum of all lanes.
    #[inline(always)]
    fn sum(self) -> f64 {
        (0..Self::WIDTH).map(|i| self.lane(i)).sum()
    }
}

impl Number for f64 {
    const WIDTH: usize = 1;

    #[inline(always)]
    fn all(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn lane(&self, _lane: usize) -> f64 {
        *self
    }

    #[inline(always)]
    fn lane_mut(&mut self, _lane: usize) -> &mut f64 {
        self
    }

    #[inline(always)]
    fn map(self, function: impl Fn(f64) -> f64) -> Self {
        function(self)
    }
}

/// As many numbers as two of the wider registers hold, so that one's operation needn't wait for the other's.
const WIDTH: usize = 8;

/// Numbers side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub struct Lanes([f64; WIDTH]);

impl Number for Lanes {
    const WIDTH: usize = WIDTH;

    #[inline(always)]
    fn all(value: f64) -> Self {
        Lanes([value; WIDTH])
    }

    #[inline(always)]
    fn lane(&self, lane: usize) -> f64 {
        self.0[lane]
    }

    #[inline(always)]
    fn lane_mut(&mut self, lane: usize) -> &mut f64 {
        &mut self.0[lane]
    }

    #[inline(always)]
    fn map(mut self, function: impl Fn(f64) -> f64) -> Self {
        for i in 0..WIDTH {
            self.0[i] = function(self.0[i]);
        }
        self
    }
}

/// The operations of a single number, lane by lane.
macro_rules! lane_by_lane {
    ($operation:ident, $method:ident, $assigning:ident, $assign:ident) => {
        impl $assigning for Lanes {
            #[inline(always)]
            fn $assign(&mut self, other: Lanes) {
                for i in 0..WIDTH {
                    self.0[i].$assign(other.0[i]);
                }
            }
        }

        impl $operation for Lanes {
            type Output = Lanes;

            #[inline(always)]
            fn $method(mut self, other: Lanes) -> Lanes {
                self.$assign(other);
                self
            }
        }
    };
}

lane_by_lane!(Add, add, AddAssign, add_assign);
lane_by_lane!(Sub, sub, SubAssign, sub_assign);
lane_by_lane!(Mul, mul, MulAssign, mul_assign);
lane_by_lane!(Div, div, DivAssign, div_assign);

/// Work on numbers. All that it calls in its loops has to be inlined, closures too, to profit from wide registers.
pub trait Work {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run(self) -> Self::Output;
}

/// A piece of work as the dispatcher takes it.
struct Dispatched<W>(W);

impl<W: Work> pulp::NullaryFnOnce for Dispatched<W> {
    type Output = W::Output;

    #[inline(always)]
    fn call(self) -> W::Output {
        self.0.run()
    }
}

/// Does work with the widest registers that the processor has.
pub fn wide<W: Work>(work: W) -> W::Output {
    pulp::Arch::new().dispatch(Dispatched(work))
}

/// Does work on numbers, if on several side by side with the widest registers.
pub fn run<T: Number, W: Work>(work: W) -> W::Output {
    if T::WIDTH > 1 {
        wide(work)
    } else {
        work.run()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::small::{cholesky_of, inverse_lower};

    struct Inverse<'a> {
        matrices: &'a mut [Lanes],
        inverses: &'a mut [Lanes],
        k: usize,
    }

    impl Work for Inverse<'_> {
        type Output = ();

        #[inline(always)]
        fn run(self) {
            assert!(cholesky_of(self.matrices, self.k));
            inverse_lower(self.matrices, self.k, self.inverses);
        }
    }

    #[test]
    fn lanes_are_computed_as_single_numbers_are() {
        let k = 3;
        let element = |lane: usize, r: usize, c: usize| if r == c { 3.0 + lane as f64 } else { ((lane + r * c) as f64).sin() };
        let matrix = |lane: usize| -> Vec<f64> { (0..k * k).map(|i| element(lane, i % k, i / k)).collect() };
        let mut side_by_side = vec![Lanes::all(0.0); k * k];
        for lane in 0..Lanes::WIDTH {
            matrix(lane).iter().zip(&mut side_by_side).for_each(|(from, to)| *to.lane_mut(lane) = *from);
        }
        let mut inverses = vec![Lanes::all(0.0); k * k];
        run::<Lanes, _>(Inverse { matrices: &mut side_by_side, inverses: &mut inverses, k });
        for lane in 0..Lanes::WIDTH {
            let (mut alone, mut inverse) = (matrix(lane), vec![0.0; k * k]);
            assert!(cholesky_of(&mut alone, k));
            inverse_lower(&alone, k, &mut inverse);
            assert_eq!(side_by_side.iter().map(|v| v.lane(lane)).collect::<Vec<_>>(), alone);
            assert_eq!(inverses.iter().map(|v| v.lane(lane)).collect::<Vec<_>>(), inverse);
        }
        *side_by_side[0].lane_mut(5) = -1.0;
        assert!(!cholesky_of(&mut side_by_side, k));
        assert_eq!(inverses[0].sum(), (0..Lanes::WIDTH).map(|lane| inverses[0].lane(lane)).sum::<f64>());
    }
}
