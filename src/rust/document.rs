//! Writes R/extendr-wrappers.R: one R function for each function of the glue's module. Run by tools/document.sh.
use std::{env, error::Error, fs};

const HEADER: &str = "# Written by tools/document.sh from src/rust/src/lib.rs; don't edit by hand.\n# nolint start\n";

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: document <R/extendr-wrappers.R>")?;
    let wrappers = fastlmer::get_fastlmer_metadata().make_r_wrappers(true, "fastlmer")?;
    // Every call goes through engine_value(), which signals the conditions that the glue returns.
    let checked: Vec<String> = wrappers
        .lines()
        .map(|line| match line.split_once(" .Call(") {
            Some((head, call)) => format!("{head} engine_value(.Call({call})"),
            None => line.to_string(),
        })
        .collect();
    fs::write(path, format!("{HEADER}\n{}\n# nolint end\n", checked.join("\n").trim_end()))?;
    Ok(())
}
