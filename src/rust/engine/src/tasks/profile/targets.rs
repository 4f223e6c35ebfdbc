//! The values of zeta that a walk along a profile aims at.

/// A value of zeta to be aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Its absolute value.
    pub zeta: f64,
    /// How far off a point may be.
    pub tolerance: f64,
}

/// Off by no more than this, a value that was asked for is as good as met: the spline through the points is exact beside it.
pub const MET: f64 = 2e-3;

/// What is aimed at: the values that were asked for, others between them no farther apart than `delta`, and one beyond the cutoff.
pub fn targets(asked: &[f64], cutoff: f64, delta: f64) -> Vec<Target> {
    let mut exact: Vec<f64> = asked.iter().map(|z| z.abs()).filter(|z| *z > 0.0 && *z <= cutoff).collect();
    exact.sort_by(f64::total_cmp);
    exact.dedup_by(|a, b| (*a - *b).abs() < 1e-3);
    let mut out = Vec::new();
    let mut from = 0.0;
    for (to, asked) in exact.into_iter().map(|z| (z, true)).chain([(cutoff + 0.3 * delta, false)]) {
        let pieces = ((to - from) / delta - 1e-9).ceil().max(1.0) as usize;
        let step = (to - from) / pieces as f64;
        out.extend((1..pieces).map(|i| Target { zeta: from + step * i as f64, tolerance: 0.4 * step }));
        out.push(Target { zeta: to, tolerance: if asked { MET } else { 0.25 * delta } });
        from = to;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_no_farther_apart_than_delta() {
        let all = targets(&[-1.96, 1.96, 2.576, 9.0], 3.5, 0.5);
        let zetas: Vec<f64> = std::iter::once(0.0).chain(all.iter().map(|t| t.zeta)).collect();
        assert!(zetas.windows(2).all(|w| w[1] > w[0] && w[1] - w[0] <= 0.5 + 1e-9), "{zetas:?}");
        assert!(zetas.contains(&1.96) && zetas.contains(&2.576) && *zetas.last().unwrap() > 3.5);
    }
}
