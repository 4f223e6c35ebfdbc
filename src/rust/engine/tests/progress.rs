//! What a task counts while it is at work.

mod common;

use common::simulate;
use fastlmer_engine::{fit, profile, progress, Design, KenwardRoger, Options, ProfileOptions, Response, Scale, Workers};

// One test: the counters belong to the process.
#[test]
fn tasks_count_their_pieces_to_the_end() {
    let model = simulate(3, 2_000, 2, &[40, 30], &[(0, 1), (1, 1)]);
    let rows = model.rows();
    for threads in [1, 2] {
        let workers = Workers::new(threads);
        let design = Design::on_threads(&rows, &workers).unwrap();
        let options = Options { workers: &workers, ..Options::default() };
        let found = fit(&design, &rows, &model.y, &options).unwrap();
        assert_eq!(progress().total, 0, "how many evaluations there will be isn't known");
        assert!(progress().evaluations >= found.evaluations && found.evaluations > 0);

        let response = Response::new(&design, &rows, &model.y, &workers).unwrap();
        let request = ProfileOptions {
            which: &[0, 2, 3],
            scale: Scale::Deviations,
            cutoff: 3.0,
            delta: 0.4,
            zetas: &[1.96],
            most_points: 100,
            multiple: 10.0,
            most_evaluations: 1000,
            start: Some(&found.theta),
            workers: &workers,
        };
        profile(&design, &response, &request).unwrap();
        let counted = progress();
        assert!(counted.total > 0 && counted.total % 6 == 0, "both sides of three parameters");
        assert_eq!(counted.done, counted.total);

        KenwardRoger::new(&design, &found.theta, &workers).unwrap();
        assert_eq!(progress().total, 0);
    }

    // the rows of a design are read once for X'WX, once a factor, and once more for the pairs of their levels
    let large = simulate(4, 300_000, 2, &[400, 30], &[(0, 1), (1, 1)]);
    Design::on_threads(&large.rows(), &Workers::new(2)).unwrap();
    assert_eq!(progress().total, 0);
    assert!(progress().done == 0);
}
