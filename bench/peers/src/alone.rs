//! One engine on one model in a process of its own, for its peak memory.

use std::path::Path;
use std::process::Command;

use crate::engines::{Engine, Reached};
use crate::memory;
use crate::model::Model;
use crate::timing::{guarded, run, Timed};

/// Fits once and prints what [`alone`] reads.
pub fn child(engine: &Engine, folder: &Path) -> Result<(), String> {
    let model = Model::read(folder).map_err(|error| error.to_string())?;
    let ready = guarded(|| (engine.prepare)(model))?;
    memory::reset_peak();
    let before = memory::resident_mb().unwrap_or(f64::NAN);
    let (seconds, reached) = run(ready.as_ref());
    let reached = reached?;
    let evaluations = reached.evaluations.map_or("-".into(), |evaluations| evaluations.to_string());
    println!("{seconds} {:?} {evaluations} {before} {}", reached.criterion, memory::peak_mb().unwrap_or(f64::NAN));
    Ok(())
}

/// Runs this program once more for one engine and one folder.
pub fn alone(engine: &Engine, folder: &Path) -> Result<Timed, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program).arg("alone").arg(engine.name).arg(folder).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |word: &str| word.parse::<f64>().map_err(|error| error.to_string());
    match words.as_slice() {
        [seconds, criterion, evaluations, before, peak] => Ok(Timed {
            seconds: number(seconds)?,
            reached: Reached { criterion: number(criterion)?, evaluations: evaluations.parse().ok() },
            memory: Some((number(before)?, number(peak)?)),
        }),
        _ => Err(String::from_utf8_lossy(&output.stderr).trim().to_string()),
    }
}
