//! The engine's left-looking Cholesky factorisation of a sparse Schur complement beside faer's simplicial one, on one pattern and
//! ordering: microseconds of one numeric factorisation. `cargo run --release` in this folder; the table is bench/sparse.md.
#![allow(dead_code)]

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::sparse::linalg::cholesky::simplicial;
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use std::time::Instant;

#[path = "../../../src/rust/engine/src/linalg/mod.rs"]
mod linalg;
#[path = "../../../src/rust/engine/src/parallel.rs"]
mod parallel;

use linalg::scratch::Scratch;
use linalg::sparse::SparsePattern;
use linalg::symmetric::{Pattern, RestLayout};

/// Strictly lower columns of a pattern: pairs (row, column) in any order.
fn columns(n: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<u32>> {
    let mut out = vec![Vec::new(); n];
    pairs.filter(|(a, b)| a != b).for_each(|(a, b)| out[a.min(b)].push(a.max(b) as u32));
    out.iter_mut().for_each(|column: &mut Vec<u32>| {
        column.sort_unstable();
        column.dedup();
    });
    out
}

/// A stream of pseudo-random numbers below `n` (Knuth's MMIX generator).
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |n| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    }
}

/// What the leading group leaves of designs that stay sparse.
fn patterns() -> Vec<(&'static str, Vec<Vec<u32>>)> {
    let mut next = random(1);
    let (classes, schools) = (4000, 200);
    let nested = columns(classes + schools, (0..classes).map(|c| (c, classes + c / 20)));
    // pupils who meet a chain of teachers, a few of them in another school
    let teachers = 3000;
    let chain = (0..20_000).flat_map(|_| {
        let first = next(teachers);
        let own: Vec<usize> =
            (0..4).map(|year| if next(40) == 0 { next(teachers) } else { first / 30 * 30 + (first + year * 7) % 30 }).collect();
        (0..4).flat_map(move |a| (0..a).map(|b| (a, b)).collect::<Vec<_>>()).map(move |(a, b)| (own[a], own[b]))
    });
    let chain = columns(teachers, chain.collect::<Vec<_>>().into_iter());
    let side = 60;
    let grid = columns(
        side * side,
        (0..side * side).flat_map(|i| {
            let right = (i % side + 1 < side).then_some((i, i + 1));
            let below = (i + side < side * side).then_some((i, i + side));
            right.into_iter().chain(below)
        }),
    );
    let band = columns(10_000, (0..10_000).flat_map(|i: usize| (i.saturating_sub(6)..i).map(move |j| (i, j))));
    vec![
        ("4,000 classes in 200 schools", nested),
        ("3,000 teachers, pupils who seldom change schools", chain),
        ("grid of 60 x 60", grid),
        ("10,000 seasons, seven in a row", band),
    ]
}

fn best(mut body: impl FnMut()) -> f64 {
    let rounds = (0..15).map(|_| {
        let begin = Instant::now();
        body();
        begin.elapsed().as_secs_f64()
    });
    rounds.fold(f64::INFINITY, f64::min) * 1e6
}

fn main() {
    println!("| pattern | order | elements of L | engine, us | faer simplicial, us | faer / engine | largest difference |");
    println!("|---|---|---|---|---|---|---|");
    for (name, columns) in patterns() {
        let n = columns.len();
        let pattern = SparsePattern::new(&columns, usize::MAX).expect("no limit");
        // a diagonally dominant matrix on the pattern, permuted; its upper triangle by columns, as faer reads it
        let mut upper: Vec<Vec<(usize, f64)>> = vec![Vec::new(); n];
        let mut diagonal = vec![1.0; n];
        for (c, column) in columns.iter().enumerate() {
            for &r in column {
                let (i, j) = (pattern.inverse[c], pattern.inverse[r as usize]);
                let value = -0.5 - ((i * 31 + j * 17) % 97) as f64 / 100.0;
                upper[i.max(j)].push((i.min(j), value));
                diagonal[i] += value.abs();
                diagonal[j] += value.abs();
            }
        }
        let (mut pointers, mut rows, mut values) = (vec![0usize], Vec::new(), Vec::new());
        for (j, column) in upper.iter_mut().enumerate() {
            column.push((j, diagonal[j]));
            column.sort_unstable_by_key(|e| e.0);
            rows.extend(column.iter().map(|e| e.0));
            values.extend(column.iter().map(|e| e.1));
            pointers.push(rows.len());
        }

        let mut own = vec![0.0; pattern.rows.len()];
        let fill = |own: &mut [f64]| {
            own.fill(0.0);
            for (j, column) in upper.iter().enumerate() {
                column.iter().for_each(|&(i, value)| own[pattern.position(i, j)] = value);
            }
        };
        fill(&mut own);
        let start = own.clone();
        let layout = RestLayout { order: n, pattern: Pattern::Sparse(pattern.clone()) };
        let mut scratch = Scratch::new(&layout);
        let engine = best(|| {
            own.copy_from_slice(&start);
            assert!(pattern.factorize(&mut own, &mut scratch));
        });

        let symbolic_matrix = SymbolicSparseColMatRef::new_checked(n, n, &pointers, None, &rows);
        let matrix = SparseColMatRef::new(symbolic_matrix, &values);
        let (mut tree, mut counts) = (vec![0isize; n], vec![0usize; n]);
        let requirement = StackReq::any_of(&[
            simplicial::prefactorize_symbolic_cholesky_scratch::<usize>(n, rows.len()),
            simplicial::factorize_simplicial_symbolic_cholesky_scratch::<usize>(n),
            simplicial::factorize_simplicial_numeric_llt_scratch::<usize, f64>(n),
        ]);
        let mut memory = MemBuffer::new(requirement);
        let tree = simplicial::prefactorize_symbolic_cholesky(&mut tree, &mut counts, symbolic_matrix, MemStack::new(&mut memory));
        let symbolic =
            simplicial::factorize_simplicial_symbolic_cholesky(symbolic_matrix, tree, &counts, MemStack::new(&mut memory)).expect("memory");
        let mut factor = vec![0.0; symbolic.len_val()];
        let faer = best(|| {
            simplicial::factorize_simplicial_numeric_llt(&mut factor, matrix, Default::default(), &symbolic, MemStack::new(&mut memory))
                .expect("positive definite");
        });

        assert_eq!(factor.len(), own.len());
        let mut difference: f64 = 0.0;
        for j in 0..n {
            for t in symbolic.col_ptr()[j]..symbolic.col_ptr()[j + 1] {
                difference = difference.max((factor[t] - own[pattern.position(symbolic.row_idx()[t], j)]).abs());
            }
        }
        println!("| {name} | {n} | {} | {engine:.0} | {faer:.0} | {:.2} | {difference:.0e} |", own.len(), faer / engine);
    }
}
