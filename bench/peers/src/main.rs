//! Times linear mixed models' engines beside each other: `peers FOLDER [memory] [MODELS]` reads every model of a folder (see
//! bench/peers/export.R), fits it with each engine in turns and prints a table. With `memory` each engine then fits each model once more
//! in a process of its own that reads its peak memory; models of 5,000,000 rows and more are only fitted there. `MODELS` is a part of names.

mod alone;
mod engines;
mod formula;
mod memory;
mod model;
mod table;
mod timing;

use std::path::{Path, PathBuf};

use engines::{Engine, ENGINES};
use model::Model;
use timing::Timed;

/// Rows from which on no process holds the data of more than one engine.
const LARGE: usize = 5_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // What an engine that panics has to say is said in the table.
    std::panic::set_hook(Box::new(|_| {}));
    let done = match words.as_slice() {
        ["alone", name, folder] => match ENGINES.iter().find(|engine| engine.name == *name) {
            Some(engine) => alone::child(engine, Path::new(folder)),
            None => Err(format!("no engine is called {name}")),
        },
        [folder, "memory", rest @ ..] => compare(Path::new(folder), true, rest.first().copied().unwrap_or("")),
        [folder, rest @ ..] => compare(Path::new(folder), false, rest.first().copied().unwrap_or("")),
        [] => Err("usage: peers FOLDER [memory] [MODELS]".into()),
    };
    if let Err(error) = done {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn compare(folder: &Path, with_memory: bool, matching: &str) -> Result<(), String> {
    let folders = models_in(folder).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for folder in folders.iter().filter(|folder| folder.to_string_lossy().contains(matching)) {
        let model = Model::read(folder).map_err(|error| error.to_string())?;
        let engines: Vec<&Engine> = ENGINES.iter().collect();
        if model.n >= LARGE {
            let row = table::Row::new(&model);
            drop(model);
            rows.push(row.with(engines.iter().map(|engine| alone::alone(engine, folder)).collect()));
            continue;
        }
        let mut timed = timing::time(&engines, &model);
        if with_memory {
            timed.iter_mut().zip(&engines).for_each(|(timed, engine)| add_memory(timed, engine, folder));
        }
        rows.push(table::Row::new(&model).with(timed));
    }
    table::print(&rows);
    Ok(())
}

fn add_memory(timed: &mut Result<Timed, String>, engine: &Engine, folder: &Path) {
    if let Ok(timed) = timed {
        timed.memory = alone::alone(engine, folder).ok().and_then(|alone| alone.memory);
    }
}

/// The folder itself, or those in it that hold a model, in alphabetical order.
fn models_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if folder.join("model.txt").exists() {
        return Ok(vec![folder.to_path_buf()]);
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    found.retain(|path| path.join("model.txt").exists());
    found.sort();
    Ok(found)
}
