//! A walk along a profile, from the optimum to one side.
//!
//! With d(c) the least deviance where the parameter is c, zeta(c) = sign(c - c0) sqrt(d(c) - d(c0)) is all but a straight line. The walk
//! aims at given values of zeta: the slope d'(c) is known at each point, for it is the derivative with all else held, so that
//! c'(zeta) = 2 zeta / d'(c) and its change tell where the next value is.

use crate::error::Error;
use crate::progress;
use crate::tasks::profile::targets::Target;

/// The optimum with the parameter held.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Deviance.
    pub deviance: f64,
    /// Its derivative in the parameter; not finite where the parameter's bound is a singular point.
    pub slope: f64,
    /// All parameters there.
    pub parameters: Vec<f64>,
}

/// What is walked along.
pub trait Path {
    /// The optimum where the parameter is `c`; `None` where it can't be computed. Points come in the order of the walk.
    fn visit(&mut self, c: f64) -> Result<Option<Visit>, Error>;
}

/// A side of a walk.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    /// Where the optimum is.
    pub from: f64,
    /// Its deviance.
    pub base: f64,
    /// dzeta/dc there; zero where the profile is flat.
    pub rate: f64,
    /// A step to begin with where the profile is flat.
    pub reach: f64,
    /// Upwards 1, downwards -1.
    pub direction: f64,
    /// The parameter's bound on this side, or an infinity.
    pub bound: f64,
    /// What to aim at.
    pub targets: &'a [Target],
    /// The walk ends beyond this zeta.
    pub cutoff: f64,
    /// Distance of the targets.
    pub delta: f64,
    /// Most points.
    pub most: usize,
    /// Most that a step may exceed the last one by.
    pub multiple: f64,
}

/// A point of a profile.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The parameter.
    pub c: f64,
    /// Signed root of the deviance's rise.
    pub zeta: f64,
    /// c'(zeta); not finite where the profile is flat.
    pub rate: f64,
    /// Whether it is a point that was aimed at.
    wanted: bool,
    /// All parameters.
    pub parameters: Vec<f64>,
    /// Deviance below that of the optimum, if it is.
    pub below: f64,
}

/// The profile is flat where a step along it changes zeta by no more than this.
const FLAT: f64 = 1e-5;

impl Walk<'_> {
    /// The points of the walk, from the optimum outwards, without the optimum itself.
    pub fn run(&self, path: &mut dyn Path) -> Result<Vec<Stop>, Error> {
        let mut state = State { stops: Vec::new(), visits: 0 };
        if !(self.rate > 0.0 && self.rate.is_finite()) || (self.delta / self.rate > 1e6 * self.reach && self.reach > 0.0) {
            self.feel(path, &mut state)?;
        }
        let mut ahead = self.targets.len();
        for target in self.targets {
            if !self.aim(path, &mut state, *target)? {
                break;
            }
            progress::advance(1);
            ahead -= 1;
            if state.stops.last().is_some_and(|stop| stop.zeta.abs() > self.cutoff) {
                break;
            }
        }
        progress::advance(ahead);
        self.fill(path, &mut state)?;
        Ok(self.thinned(state.stops))
    }

    /// A cubic spline takes four points, and a side may be all that there is: more of them, before the first one.
    fn fill(&self, path: &mut dyn Path, state: &mut State) -> Result<(), Error> {
        for _ in 0..8 {
            let stops = self.thinned(state.stops.clone());
            let Some(nearest) = stops.first().filter(|_| stops.len() < 3) else { break };
            if self.visit(path, state, 0.5 * (self.from + nearest.c))? {
                state.mark();
            }
        }
        Ok(())
    }

    /// Looks around where the profile is flat at the optimum.
    fn feel(&self, path: &mut dyn Path, state: &mut State) -> Result<(), Error> {
        let whole = if self.bound.is_finite() { (self.bound - self.from).abs() } else { 100.0 * self.reach };
        for share in [0.1, 0.4, 1.0] {
            self.visit(path, state, self.from + self.direction * share * whole)?;
            if state.stops.last().is_none_or(|stop| stop.zeta.abs() > FLAT) {
                break;
            }
        }
        // a spline needs values that grow
        for (i, stop) in state.stops.iter_mut().enumerate().filter(|(_, stop)| stop.zeta.abs() <= FLAT) {
            stop.zeta = self.direction * FLAT * (i + 1) as f64;
            stop.wanted = true;
        }
        Ok(())
    }

    /// Visits a point; whether it could be computed.
    fn visit(&self, path: &mut dyn Path, state: &mut State, c: f64) -> Result<bool, Error> {
        state.visits += 1;
        let Some(visit) = path.visit(c)? else { return Ok(false) };
        let rise = visit.deviance - self.base;
        let zeta = self.direction * rise.max(0.0).sqrt();
        let rate = 2.0 * zeta / visit.slope;
        let rate = if rate > 0.0 && rate.is_finite() { rate } else { f64::INFINITY };
        state.stops.push(Stop { c, zeta, rate, wanted: false, parameters: visit.parameters, below: (-rise).max(0.0) });
        Ok(true)
    }

    /// Goes to a target; whether to go on from there.
    fn aim(&self, path: &mut dyn Path, state: &mut State, target: Target) -> Result<bool, Error> {
        // the nearest points on this side of it and beyond
        let mut inner = state.inner(target.zeta, self);
        let mut outer = state.outer(target.zeta);
        if let Some(met) = state.met(target) {
            state.stops[met].wanted = true;
            return Ok(true);
        }
        for attempt in 0.. {
            if state.visits >= self.most || attempt == 12 {
                return Ok(state.visits < self.most);
            }
            let Some(c) = self.propose(&inner, outer.as_ref(), target.zeta, attempt) else { return Ok(false) };
            if !self.visit(path, state, c)? {
                return Ok(false);
            }
            let stop = state.stops.last().expect("it has just been visited").near();
            let error = stop.zeta.abs() - target.zeta;
            if error.abs() <= target.tolerance {
                state.mark();
                return Ok(c != self.bound || error >= 0.0);
            }
            if error > 0.0 {
                outer = Some(stop);
                continue;
            }
            if c == self.bound || (stop.zeta - inner.zeta).abs() <= FLAT {
                state.mark();
                self.halve(path, state, &inner, &stop)?;
                return Ok(false);
            }
            inner = stop;
        }
        unreachable!("the attempts are counted")
    }

    /// Points between the last regular one and the bound, near which zeta isn't straight.
    fn halve(&self, path: &mut dyn Path, state: &mut State, inner: &Near, end: &Near) -> Result<(), Error> {
        if (end.zeta - inner.zeta).abs() < 0.2 * self.delta {
            return Ok(());
        }
        for share in [0.4, 0.7, 0.9] {
            let c = inner.c + share * (end.c - inner.c);
            if c != inner.c && c != end.c && state.visits < self.most && self.visit(path, state, c)? {
                state.mark();
            }
        }
        Ok(())
    }

    /// Where a zeta should be; `None` where there is nowhere to go.
    fn propose(&self, inner: &Near, outer: Option<&Near>, zeta: f64, attempt: usize) -> Option<f64> {
        let gap = self.direction * zeta - inner.zeta;
        let straight = inner.c + inner.rate * gap;
        let Some(outer) = outer else {
            let bent = straight + 0.5 * inner.bend * gap * gap;
            let step = (bent - inner.c) * self.direction;
            let plain = (straight - inner.c) * self.direction;
            let step = if step > 0.3 * plain && step < 3.0 * plain { step } else { plain };
            let most = if inner.step > 0.0 { self.multiple * inner.step } else { f64::INFINITY };
            let step = if step.is_finite() {
                step.min(most)
            } else if most.is_finite() {
                most
            } else {
                self.reach
            };
            let c = inner.c + self.direction * step;
            let beyond = (c - self.bound) * self.direction >= 0.0;
            return (inner.c != self.bound && step > 0.0).then_some(if beyond { self.bound } else { c });
        };
        // between two points: the cubic of c in zeta, or in the middle
        let (low, high) = (inner.c.min(outer.c), inner.c.max(outer.c));
        let share = gap / (outer.zeta - inner.zeta);
        let c = hermite(inner, outer, share);
        let room = 0.02 * (high - low);
        let good = attempt < 6 && c > low + room && c < high - room;
        let c = if good { c } else { 0.5 * (low + high) };
        (c > low && c < high).then_some(c)
    }

    /// What the points are worth: those that were wanted, and others that aren't near them. Ordered from the optimum outwards.
    fn thinned(&self, mut stops: Vec<Stop>) -> Vec<Stop> {
        stops.sort_by(|a, b| (a.c * self.direction).total_cmp(&(b.c * self.direction)));
        stops.dedup_by(|a, b| a.c == b.c);
        let end = self.cutoff + 2.0 * self.delta;
        let zetas: Vec<(f64, bool)> = stops.iter().map(|s| (s.zeta.abs(), s.wanted)).collect();
        let mut last = 0.0;
        let mut keep = Vec::with_capacity(zetas.len());
        for (i, &(zeta, wanted)) in zetas.iter().enumerate() {
            let next = zetas[i + 1..].iter().find(|z| z.1).map_or(f64::INFINITY, |z| z.0);
            let apart = zeta - last > 0.25 * self.delta && next - zeta > 0.25 * self.delta && zeta < end;
            let kept = (wanted || apart) && zeta > last + 1e-9;
            if kept {
                last = zeta;
            }
            keep.push(kept);
        }
        stops.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(stop, _)| stop).collect()
    }
}

/// What a step needs to know of a point.
#[derive(Clone, Debug)]
struct Near {
    c: f64,
    zeta: f64,
    /// c'(zeta) and c''(zeta), as far as it is known.
    rate: f64,
    bend: f64,
    /// Length of the step that led here; zero where none has.
    step: f64,
}

/// The cubic through two points with their slopes, at a share of the way in zeta.
fn hermite(a: &Near, b: &Near, s: f64) -> f64 {
    let h = b.zeta - a.zeta;
    if !(a.rate.is_finite() && b.rate.is_finite()) {
        return a.c + s * (b.c - a.c);
    }
    let (t, u) = (s * s, s * s * s);
    (2.0 * u - 3.0 * t + 1.0) * a.c + (u - 2.0 * t + s) * h * a.rate + (3.0 * t - 2.0 * u) * b.c + (u - t) * h * b.rate
}

impl Stop {
    fn near(&self) -> Near {
        Near { c: self.c, zeta: self.zeta, rate: self.rate, bend: 0.0, step: 0.0 }
    }
}

struct State {
    stops: Vec<Stop>,
    visits: usize,
}

impl State {
    fn mark(&mut self) {
        self.stops.last_mut().expect("it has just been visited").wanted = true;
    }

    /// The farthest point before a zeta, with how the slope has changed up to it.
    fn inner(&self, zeta: f64, walk: &Walk) -> Near {
        let optimum = Near { c: walk.from, zeta: 0.0, rate: 1.0 / walk.rate, bend: 0.0, step: 0.0 };
        let mut before: Vec<&Stop> = self.stops.iter().filter(|stop| stop.zeta.abs() < zeta).collect();
        before.sort_by(|a, b| a.zeta.abs().total_cmp(&b.zeta.abs()));
        let Some(last) = before.pop() else { return optimum };
        let earlier = before.last().map_or(optimum, |stop| stop.near());
        let bend = (last.rate - earlier.rate) / (last.zeta - earlier.zeta);
        Near { bend: if bend.is_finite() { bend } else { 0.0 }, step: (last.c - earlier.c).abs(), ..last.near() }
    }

    /// The nearest point beyond a zeta.
    fn outer(&self, zeta: f64) -> Option<Near> {
        let beyond = self.stops.iter().filter(|stop| stop.zeta.abs() > zeta);
        beyond.min_by(|a, b| a.zeta.abs().total_cmp(&b.zeta.abs())).map(Stop::near)
    }

    /// A point that is near enough already.
    fn met(&self, target: Target) -> Option<usize> {
        self.stops.iter().position(|stop| (stop.zeta.abs() - target.zeta).abs() <= target.tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::profile::targets::{targets, MET};

    /// A deviance of one parameter, with its derivative.
    struct Known(fn(f64) -> (f64, f64), usize);

    impl Path for Known {
        fn visit(&mut self, c: f64) -> Result<Option<Visit>, Error> {
            self.1 += 1;
            let (deviance, slope) = (self.0)(c);
            Ok(deviance.is_finite().then(|| Visit { deviance, slope, parameters: vec![c] }))
        }
    }

    fn walk(targets: &[Target], from: f64, rate: f64, direction: f64, bound: f64) -> Walk<'_> {
        Walk { from, base: 0.0, rate, reach: 1.0, direction, bound, targets, cutoff: 3.5, delta: 0.5, most: 100, multiple: 10.0 }
    }

    fn has(stops: &[Stop], zeta: f64) -> bool {
        stops.iter().any(|stop| (stop.zeta.abs() - zeta).abs() <= MET)
    }

    #[test]
    fn a_variance_has_its_values_on_both_sides() {
        // minus twice the log likelihood of a variance with 20 degrees of freedom
        let deviance = |c: f64| (20.0 * ((1.0 / (c * c)) + 2.0 * c.ln() - 1.0), 40.0 * (1.0 / c - 1.0 / (c * c * c)));
        let all = targets(&[1.96, 2.576], 3.5, 0.5);
        for direction in [1.0, -1.0] {
            let mut path = Known(deviance, 0);
            let bound = if direction > 0.0 { f64::INFINITY } else { 0.0 };
            let stops = walk(&all, 1.0, 40.0_f64.sqrt(), direction, bound).run(&mut path).unwrap();
            assert!(has(&stops, 1.96) && has(&stops, 2.576) && stops.last().unwrap().zeta.abs() > 3.5);
            assert!(path.1 <= 20, "{} visits", path.1);
            assert!(stops.windows(2).all(|w| (w[1].zeta - w[0].zeta) * direction > 0.0));
        }
    }

    #[test]
    fn a_bound_is_the_last_point() {
        let all = targets(&[1.96], 3.5, 0.5);
        let stops = walk(&all, 0.5, 2.0, 1.0, 1.0).run(&mut Known(|c| ((2.0 * (c - 0.5)).powi(2), 8.0 * (c - 0.5)), 0)).unwrap();
        assert_eq!(stops.last().unwrap().c, 1.0);
        assert!(stops.len() >= 3 && (stops.last().unwrap().zeta - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_flat_profile_has_values_that_grow_all_the_same() {
        let all = targets(&[1.96], 3.5, 0.5);
        let stops = walk(&all, 0.0, 0.0, -1.0, -1.0).run(&mut Known(|_| (0.0, 0.0), 0)).unwrap();
        assert!(stops.len() >= 3 && stops.windows(2).all(|w| w[1].zeta < w[0].zeta) && stops.last().unwrap().c == -1.0);
        assert!(stops.iter().all(|stop| stop.zeta.abs() < 1e-4));
    }

    #[test]
    fn a_plateau_ends_the_walk() {
        let deviance = |c: f64| if c < 1.0 { (c * c, 2.0 * c) } else { (1.0, 0.0) };
        let all = targets(&[1.96], 3.5, 0.5);
        let mut path = Known(deviance, 0);
        let stops = walk(&all, 0.0, 1.0, 1.0, f64::INFINITY).run(&mut path).unwrap();
        assert!(stops.iter().all(|stop| stop.zeta <= 1.0) && path.1 < 20);
    }

    #[test]
    fn a_rate_that_misleads_is_made_up_for() {
        let all = targets(&[1.96, 2.576], 3.5, 0.5);
        for rate in [100.0, 0.01] {
            let mut path = Known(|c| (c * c, 2.0 * c), 0);
            let stops = walk(&all, 0.0, rate, 1.0, f64::INFINITY).run(&mut path).unwrap();
            assert!(has(&stops, 1.96) && has(&stops, 2.576), "{stops:?}");
            assert!(path.1 < 30, "{} visits", path.1);
        }
    }
}
