//! The tables, in Markdown.

use crate::engines::ENGINES;
use crate::model::Model;
use crate::timing::{median, Timed};

/// A fit whose criterion is this much above the lowest has stopped at something else than the optimum.
const WORSE: f64 = 1e-3;

/// One model, and what each engine did with it, in the order of [`ENGINES`].
pub struct Row {
    name: String,
    rows: usize,
    thetas: usize,
    timed: Vec<Result<Timed, String>>,
}

impl Row {
    /// Keeps of the model what the table says about it; [`Row::with`] has to follow.
    pub fn new(model: &Model) -> Self {
        Row { name: model.name.clone(), rows: model.n, thetas: model.thetas(), timed: Vec::new() }
    }

    /// Adds what came of the engines.
    pub fn with(self, timed: Vec<Result<Timed, String>>) -> Self {
        Row { timed, ..self }
    }

    fn lowest(&self) -> f64 {
        self.timed.iter().flatten().map(|timed| timed.reached.criterion).fold(f64::INFINITY, f64::min)
    }

    fn above(&self, engine: usize) -> Option<f64> {
        self.timed[engine].as_ref().ok().map(|timed| timed.reached.criterion - self.lowest())
    }

    /// Time of the fastest peer that reaches the optimum, in units of ours.
    fn ratio(&self) -> Option<f64> {
        let ours = self.timed[0].as_ref().ok()?.seconds;
        let peers = (1..self.timed.len()).filter(|&e| self.above(e).is_some_and(|above| above <= WORSE));
        peers.filter_map(|e| self.timed[e].as_ref().ok()).map(|timed| timed.seconds / ours).reduce(f64::min)
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.name.clone(), self.rows.to_string(), self.thetas.to_string()];
        for (e, timed) in self.timed.iter().enumerate() {
            match timed {
                Err(_) => cells.extend(["-".to_string(), "-".to_string(), "-".to_string()]),
                Ok(timed) => {
                    let above = self.above(e).unwrap_or(0.0);
                    cells.push(milliseconds(timed.seconds));
                    cells.push(timed.reached.evaluations.map_or("?".into(), |evaluations| evaluations.to_string()));
                    cells.push(format!("{above:.1e}{}", if above > WORSE { " **worse**" } else { "" }));
                }
            }
        }
        cells.push(self.ratio().map_or("-".into(), |ratio| format!("{ratio:.2}")));
        if self.has_memory() {
            let memory = |timed: &Result<Timed, String>| timed.as_ref().ok().and_then(|timed| timed.memory);
            cells.extend(self.timed.iter().map(|t| memory(t).map_or("-".into(), |(before, peak)| format!("{before:.0} / {peak:.0}"))));
        }
        cells
    }

    fn has_memory(&self) -> bool {
        self.timed.iter().flatten().any(|timed| timed.memory.is_some())
    }
}

fn milliseconds(seconds: f64) -> String {
    let digits = if seconds < 1e-3 {
        4
    } else if seconds < 1.0 {
        2
    } else {
        0
    };
    format!("{:.*}", digits, 1e3 * seconds)
}

/// The rows, then what they say together.
pub fn print(rows: &[Row]) {
    let memory = rows.iter().any(Row::has_memory);
    let mut head = vec!["model".to_string(), "rows".to_string(), "thetas".to_string()];
    for engine in &ENGINES {
        head.extend([format!("{}, ms", engine.name), "evaluations".to_string(), "criterion above the lowest".to_string()]);
    }
    head.push("best peer / fastlmer".to_string());
    if memory {
        head.extend(ENGINES.iter().map(|engine| format!("{}: MB before / at peak", engine.name)));
    }
    println!("| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()));
    rows.iter().for_each(|row| println!("| {} |", row.cells().join(" | ")));
    println!();
    summary(rows);
}

fn summary(rows: &[Row]) {
    let ratios: Vec<f64> = rows.iter().filter_map(Row::ratio).collect();
    let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "Over the best peer that can fit the model: median ratio {:.2}, lowest {lowest:.2}; fastlmer is slower on {} of {}.",
        median(ratios.clone()),
        ratios.iter().filter(|&&ratio| ratio < 1.0).count(),
        ratios.len()
    );
    for (e, engine) in ENGINES.iter().enumerate() {
        let failed = rows.iter().filter(|row| row.timed[e].is_err()).count();
        let worse = rows.iter().filter(|row| row.above(e).is_some_and(|above| above > WORSE)).count();
        let own: Vec<f64> = rows.iter().filter_map(|row| row.timed[e].as_ref().ok().map(|timed| timed.seconds)).collect();
        let times = |row: &Row| Some(row.timed[e].as_ref().ok()?.seconds / row.timed[0].as_ref().ok()?.seconds);
        println!(
            "{}: no fit of {failed}, a worse optimum of {worse}; median time {} ms, {:.2} times fastlmer's.",
            engine.name,
            milliseconds(median(own)),
            median(rows.iter().filter_map(times).collect())
        );
    }
    println!();
    for row in rows {
        for (engine, timed) in ENGINES.iter().zip(&row.timed) {
            if let Err(error) = timed {
                println!("{} on {}: {}", engine.name, row.name, error.lines().next().unwrap_or("no fit"));
            }
        }
    }
}
