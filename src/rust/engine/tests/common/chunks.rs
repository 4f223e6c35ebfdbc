//! Models whose rows come in chunks.

use super::Model;
use fastlmer_engine::stream::{self, finish};
use fastlmer_engine::{Chunk, CrossProducts, Design, Error, Response, TermShape, Workers};

fn shapes(model: &Model) -> Vec<TermShape> {
    let shape = |(factor, z): &(usize, Vec<f64>)| {
        let constant = z.chunks_exact(model.n).position(|column| column.iter().all(|v| *v == 1.0));
        TermShape { factor: *factor, k: z.len() / model.n, constant }
    };
    model.terms.iter().map(shape).collect()
}

/// The cross-products of some rows, as one chunk whose levels are in order of appearance.
pub fn products_of(model: &Model, rows: &[usize]) -> CrossProducts {
    let column = |values: &[f64]| -> Vec<f64> { rows.iter().map(|&i| values[i]).collect() };
    let v: Vec<f64> = model.x.chunks_exact(model.n).skip(1).flat_map(column).collect();
    let y = column(&model.y);
    let weights = model.weights.as_ref().map(|w| column(w));
    let z: Vec<Vec<f64>> = model.terms.iter().map(|(_, z)| z.chunks_exact(model.n).flat_map(column).collect()).collect();
    let (mut codes, mut levels) = (Vec::new(), Vec::new());
    for all in &model.codes {
        let mut met: Vec<i32> = Vec::new();
        let code = |&i: &usize| {
            met.iter().position(|c| *c == all[i]).unwrap_or_else(|| {
                met.push(all[i]);
                met.len() - 1
            }) as i32
                + 1
        };
        codes.push(rows.iter().map(code).collect::<Vec<i32>>());
        levels.push(met.iter().map(|c| format!("level {c}")).collect());
    }
    let mut out = CrossProducts::new(shapes(model)).unwrap();
    out.add(&Chunk {
        columns: (1..model.p).map(|j| format!("x{j}")).collect(),
        v: &v,
        y: &y,
        weights: weights.as_deref(),
        codes: codes.iter().map(|c| c.as_slice()).collect(),
        levels,
        z: z.iter().map(|z| Some(z.as_slice())).collect(),
    })
    .unwrap();
    out
}

pub fn merged(parts: Vec<CrossProducts>) -> CrossProducts {
    let mut parts = parts.into_iter();
    let mut out = parts.next().unwrap();
    parts.for_each(|part| out.merge(part).unwrap());
    out
}

/// Design and response with the levels in the order of their codes.
pub fn finished(model: &Model, products: CrossProducts) -> (Design, Response) {
    finished_on(model, products, Workers::none()).unwrap()
}

/// The same on threads that somebody may stop.
pub fn finished_on(model: &Model, products: CrossProducts, workers: &Workers) -> Result<(Design, Response), Error> {
    let levels = products.factors.iter().map(|f| {
        let mut order: Vec<usize> = (0..f.levels.len()).collect();
        let codes: Vec<usize> = f.levels.iter().map(|name| name[6..].parse().unwrap()).collect();
        order.sort_by_key(|&i| codes[i]);
        order
    });
    let levels = levels.collect();
    let p = model.p;
    let columns: Vec<f64> = (0..p * p).map(|i| f64::from(i % p == i / p)).collect();
    finish(products, &stream::Model { columns: &columns, p, terms: (0..model.terms.len()).collect(), levels }, workers)
}
