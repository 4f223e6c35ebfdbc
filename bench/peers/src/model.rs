//! A model as columns in memory, read from the files that bench/peers/export.R writes.

use std::fs;
use std::io;
use std::path::Path;

/// A grouping factor.
#[derive(Clone)]
pub struct Factor {
    /// Number of levels.
    pub levels: usize,
    /// Level of each row, counted from 1.
    pub codes: Vec<i32>,
}

/// A random-effects term.
#[derive(Clone)]
pub struct Term {
    /// Which grouping factor.
    pub factor: usize,
    /// Number of columns.
    pub k: usize,
    /// The columns, column-major.
    pub z: Vec<f64>,
}

/// A linear mixed model and its data.
#[derive(Clone)]
pub struct Model {
    /// The folder's name.
    pub name: String,
    /// REML instead of maximum likelihood.
    pub reml: bool,
    /// Number of rows.
    pub n: usize,
    /// Number of fixed-effects columns.
    pub p: usize,
    /// The response.
    pub y: Vec<f64>,
    /// Fixed-effects columns, column-major.
    pub x: Vec<f64>,
    /// The grouping factors.
    pub factors: Vec<Factor>,
    /// The terms, in the order of theta.
    pub terms: Vec<Term>,
}

impl Model {
    /// Reads the files of one folder.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let name = folder.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        let mut model = Model { name, reml: false, n: 0, p: 0, y: Vec::new(), x: Vec::new(), factors: Vec::new(), terms: Vec::new() };
        for line in fs::read_to_string(folder.join("model.txt"))?.lines() {
            let mut words = line.split_whitespace();
            let key = words.next().unwrap_or_default();
            let numbers: Vec<usize> = words.filter_map(|word| word.parse().ok()).collect();
            match (key, numbers.as_slice()) {
                ("reml", [flag]) => model.reml = *flag == 1,
                ("rows", [n]) => model.n = *n,
                ("fixed", [p]) => model.p = *p,
                ("factor", [levels]) => model.factors.push(Factor { levels: *levels, codes: Vec::new() }),
                ("term", [factor, k]) => model.terms.push(Term { factor: *factor, k: *k, z: Vec::new() }),
                _ => return Err(io::Error::other(format!("model.txt has a line '{line}'"))),
            }
        }
        model.read_columns(&fs::read(folder.join("columns.f64"))?);
        let codes = fs::read(folder.join("codes.i32"))?;
        for (factor, bytes) in model.factors.iter_mut().zip(codes.chunks_exact(4 * model.n)) {
            factor.codes = bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        }
        Ok(model)
    }

    fn read_columns(&mut self, mut bytes: &[u8]) {
        let n = self.n;
        let mut take = |columns: usize| {
            let (own, others) = bytes.split_at(8 * n * columns);
            bytes = others;
            own.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes"))).collect::<Vec<f64>>()
        };
        self.y = take(1);
        self.x = take(self.p);
        self.terms.iter_mut().for_each(|term| term.z = take(term.k));
    }

    /// A column of X.
    pub fn x_column(&self, j: usize) -> &[f64] {
        &self.x[j * self.n..(j + 1) * self.n]
    }

    /// Number of elements of theta.
    pub fn thetas(&self) -> usize {
        self.terms.iter().map(|term| term.k * (term.k + 1) / 2).sum()
    }
}
