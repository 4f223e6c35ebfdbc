//! What a batch takes is what the plan counts for it: a factorisation for each thread, and one at the start for all.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Mutex;

use common::{simulate, Model};
use fastlmer_engine::{refit, BatchOptions, Design, Responses};

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The buffer of a thread's matrix products has the size of the processor's cache, whatever is multiplied: address space, of which a small
/// product touches little. No other request here is so large.
const CACHE: usize = 1 << 25;

/// The system's allocator, which counts.
struct Counting;

fn counted(layout: Layout) -> usize {
    if layout.size() < CACHE {
        layout.size()
    } else {
        0
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(NOW.fetch_add(counted(layout), SeqCst) + counted(layout), SeqCst);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(counted(layout), SeqCst);
        System.dealloc(place, layout)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests here count one after the other.
static TURN: Mutex<()> = Mutex::new(());

/// Bytes that refitting takes at its peak, and what is counted for a factorisation and for what is as long as the rows.
fn batch(model: &Model, threads: usize, pins: bool) -> (f64, f64, f64) {
    let _turn = TURN.lock().unwrap();
    let rows = model.rows();
    let design = Design::new(&rows).unwrap();
    let responses: Vec<f64> = (0..2 * threads).flat_map(|t| model.y.iter().map(move |y| y + t as f64)).collect();
    let theta: Vec<f64> = design.structure.entries.iter().map(|e| f64::from(u8::from(e.row == e.col))).collect();
    let options = BatchOptions { start: pins.then_some(&theta[..]), max_evaluations: 3, threads, ..BatchOptions::default() };
    let before = NOW.load(SeqCst);
    MOST.store(before, SeqCst);
    refit(&design, &rows, &Responses::Given(&responses), &options).unwrap();
    let taken = MOST.load(SeqCst) - before;
    (taken as f64, design.factor_bytes() as f64, 8.0 * (3 * design.n + design.structure.q) as f64)
}

fn models() -> Vec<(&'static str, Model)> {
    let mut nested = simulate(43, 30_000, 2, &[6000, 3000], &[(0, 1), (1, 1)]);
    nested.codes[1] = nested.codes[0].iter().map(|c| (c - 1) % 3000 + 1).collect();
    vec![
        ("dense remainder", simulate(41, 9000, 2, &[1500, 900], &[(0, 1), (1, 1)])),
        ("few effects", simulate(42, 3000, 2, &[500, 100], &[(0, 1), (1, 2)])),
        ("sparse remainder", nested),
    ]
}

#[test]
fn threads_hold_what_is_counted_for_them() {
    for (name, model) in models() {
        for (threads, pins) in [(1, false), (1, true), (2, true), (3, true)] {
            let (taken, one, rows) = batch(&model, threads, pins);
            let share = taken / (threads as f64 * (rows + one) + if pins { one } else { 0.0 });
            assert!(share < 1.1, "{name}, {threads} threads, kept {pins}: {share} of what is counted");
            // that other threads begin before the work is done is likely, not certain
            assert!(share > 0.4 || threads > 1, "{name}, {threads} threads, kept {pins}: {share} of what is counted");
        }
    }
}
