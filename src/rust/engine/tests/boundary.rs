//! A variance that belongs at zero is zero.

mod common;

use common::{simulate, Model, Uniform};
use fastlmer_engine::{fit, Design, Options};

/// Two crossed factors, one or two columns each, of which one has no effect or a small one.
fn crossed(seed: u64) -> Model {
    let mut rng = Uniform(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    (0..10).for_each(|_| _ = rng.next());
    let n = 60 + rng.below(400);
    let levels = [6 + rng.below(40), 3 + rng.below(20)];
    let columns = [1 + rng.below(2), 1 + rng.below(2)];
    let mut model = simulate(seed, n, 2, &levels, &[(0, columns[0]), (1, columns[1])]);
    model.y = (0..n).map(|_| rng.normal()).collect();
    for (factor, z) in &model.terms {
        let sd = [0.0, 0.05, 0.2, 1.0][rng.below(4)];
        for c in 0..z.len() / n {
            let b: Vec<f64> = (0..levels[*factor]).map(|_| sd * rng.normal()).collect();
            (0..n).for_each(|i| model.y[i] += z[c * n + i] * b[model.codes[*factor][i] as usize - 1]);
        }
    }
    model
}

/// Seeds of designs whose optimum is on the boundary at the end of a flat and curved valley.
const VALLEYS: [u64; 11] = [783, 893, 1676, 2008, 2575, 2796, 3108, 3137, 3564, 3653, 11007];

#[test]
fn no_small_variance_is_better_at_zero() {
    let mut small = 0;
    for seed in VALLEYS.into_iter().chain(0..150) {
        let model = crossed(seed);
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let entries = &design.structure.entries;
        for reml in [true, false] {
            let options = Options { reml, ..Options::default() };
            let found = fit(&design, &rows, &model.y, &options).unwrap();
            assert!(found.converged, "seed {seed}");
            for (i, e) in entries.iter().enumerate().filter(|(_, e)| e.row == e.col) {
                if found.theta[i] == 0.0 || found.theta[i] > 0.05 {
                    continue;
                }
                small += 1;
                let in_column = |j: usize| entries[j].group == e.group && entries[j].col == e.col;
                let start = (0..entries.len()).map(|j| if in_column(j) { 0.0 } else { found.theta[j] }).collect();
                let there = fit(&design, &rows, &model.y, &Options { start: Some(start), ..options.clone() }).unwrap();
                let gain = found.criterion - there.criterion;
                assert!(gain < 5e-9, "seed {seed}, reml {reml}: {gain:e} lower at {:?} than at {:?}", there.theta, found.theta);
            }
        }
    }
    assert!(small > 50, "only {small} small variances were looked at");
}

#[test]
fn the_boundary_is_reached_exactly() {
    for (seed, reml, zero) in [(3137, true, 2), (2796, false, 3), (3564, false, 2), (2575, false, 2), (1676, false, 5)] {
        let model = crossed(seed);
        let rows = model.rows();
        let design = Design::new(&rows).unwrap();
        let found = fit(&design, &rows, &model.y, &Options { reml, ..Options::default() }).unwrap();
        assert_eq!(found.theta[zero], 0.0, "seed {seed}: {:?}", found.theta);
    }
}
