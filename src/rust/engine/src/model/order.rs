//! Rows in order of a factor's levels.

/// Row numbers ordered by level, with the range of each level.
pub struct RowOrder {
    ptr: Vec<usize>,
    rows: Vec<u32>,
}

impl RowOrder {
    /// The rows of a level.
    pub fn of_level(&self, level: usize) -> &[u32] {
        &self.rows[self.ptr[level]..self.ptr[level + 1]]
    }
}

/// Puts the rows in order of a factor's codes.
pub fn rows_by_level(codes: &[i32], levels: usize) -> RowOrder {
    let mut ptr = vec![0; levels + 1];
    codes.iter().for_each(|&c| ptr[c as usize] += 1);
    (0..levels).for_each(|l| ptr[l + 1] += ptr[l]);
    let mut next = ptr.clone();
    let mut rows = vec![0; codes.len()];
    for (i, &c) in codes.iter().enumerate() {
        let slot = &mut next[c as usize - 1];
        rows[*slot] = i as u32;
        *slot += 1;
    }
    RowOrder { ptr, rows }
}
