//! The model as a formula over named numeric columns, for crates whose way in is a formula.

use crate::model::Model;

/// A formula and the columns that it names.
pub struct Named {
    /// In lme4's notation; the response is `y`, grouping factors are `f0`, `f1`, ...
    pub formula: String,
    /// Numeric columns other than the response.
    pub columns: Vec<(String, Vec<f64>)>,
}

/// Names the columns of a model: one of ones is the formula's `1`, and a random-effects column that is also one of X keeps that name.
pub fn named(model: &Model) -> Named {
    let n = model.n;
    let is_constant = |column: &[f64]| column.iter().all(|&v| v == 1.0);
    let mut columns: Vec<(String, Vec<f64>)> = Vec::new();
    let mut fixed = Vec::new();
    for j in 0..model.p {
        if is_constant(model.x_column(j)) {
            fixed.insert(0, "1".to_string());
        } else {
            fixed.push(format!("x{j}"));
            columns.push((format!("x{j}"), model.x_column(j).to_vec()));
        }
    }
    let mut parts = vec![with_intercept(fixed)];
    for (t, term) in model.terms.iter().enumerate() {
        let mut names = Vec::new();
        for (c, column) in term.z.chunks_exact(n).enumerate() {
            if is_constant(column) {
                names.insert(0, "1".to_string());
            } else if let Some((name, _)) = columns.iter().find(|(_, known)| known == column) {
                names.push(name.clone());
            } else {
                names.push(format!("z{t}c{c}"));
                columns.push((format!("z{t}c{c}"), column.to_vec()));
            }
        }
        parts.push(format!("({} | f{})", with_intercept(names), term.factor));
    }
    Named { formula: format!("y ~ {}", parts.join(" + ")), columns }
}

fn with_intercept(mut names: Vec<String>) -> String {
    if names.first().is_none_or(|first| first != "1") {
        names.insert(0, "0".to_string());
    }
    names.join(" + ")
}
