//! The folders of `src/` are layers, and each uses those below it only.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up. Files that lie beside the folders are used by all.
const LAYERS: [&str; 9] = ["linalg", "model", "products", "plan", "factor", "curvature", "pls", "optimise", "tasks"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The layers that the code of a file names, comments apart.
fn used(text: &str) -> impl Iterator<Item = &'static str> + '_ {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let names = code.flat_map(|line| line.split("crate::").skip(1));
    names.filter_map(|rest| LAYERS.into_iter().find(|layer| rest.strip_prefix(layer).is_some_and(|rest| rest.starts_with("::"))))
}

#[test]
fn layers_use_those_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut upwards = BTreeSet::new();
    let mut seen = 0;
    for (rank, layer) in LAYERS.into_iter().enumerate() {
        for file in files(&source.join(layer)) {
            let text = fs::read_to_string(&file).unwrap();
            for other in used(&text) {
                seen += 1;
                if LAYERS.iter().position(|&l| l == other).unwrap() > rank {
                    upwards.insert((layer, other));
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} uses were found: are the layers where they were?");
    assert_eq!(upwards, BTreeSet::new());
}

#[test]
fn every_folder_is_a_layer() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = fs::read_dir(source).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let names: BTreeSet<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(names, LAYERS.iter().map(|layer| layer.to_string()).collect());
}
