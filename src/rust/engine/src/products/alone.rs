//! Cross-products of the random effects alone, where a factor is absorbed: the blocks of Z'WZ that don't belong to the absorbed factor.
//!
//! Nothing is summed again. Where the absorbed factor leads, another group takes its place, and its neighbours are the levels of other
//! groups that its own levels meet.

use crate::linalg::blocks::transposed;
use crate::model::columns::ColumnTransform;
use crate::model::structure::{Structure, ThetaEntry};
use crate::products::cross::{Neighbour, Products, RestPair};

impl Products {
    /// Those of the random effects alone, without fixed effects; `None` where no factor is absorbed.
    pub fn of_random_effects(&self) -> Option<Products> {
        let fixed = self.structure.fixed?;
        let transform = ColumnTransform { intercept: None, centre: Vec::new(), scale: Vec::new() };
        let mut out = Products::zero(self.n, self.structure.of_random_effects(), transform);
        out.log_weights = self.log_weights;
        out.diagonal = self.diagonal[self.structure.random_groups()].to_vec();
        if fixed == 0 {
            self.promote(&mut out);
        } else {
            self.leave_out(fixed, &mut out);
        }
        Some(out)
    }

    /// The leading group is the same: blocks of the last group are left out.
    fn leave_out(&self, last: usize, out: &mut Products) {
        for level in 0..self.structure.groups[0].levels {
            for b in self.neighbour_ptr[level]..self.neighbour_ptr[level + 1] {
                if self.neighbours[b].group as usize != last {
                    out.push_neighbour(self.neighbours[b], self.neighbour_block(b));
                }
            }
            out.neighbour_ptr[level + 1] = out.neighbours.len();
        }
        for pair in self.rest_pairs.iter().filter(|pair| pair.row_group as usize != last) {
            out.push_rest_pair(*pair, self.rest_pair_block(pair));
        }
    }

    /// The second group takes the lead of the first one.
    fn promote(&self, out: &mut Products) {
        let groups = &self.structure.groups;
        let (lead, begin) = (&groups[1], groups[1].effects() as u32);
        let mut neighbours: Vec<&RestPair> = self.rest_pairs.iter().filter(|pair| pair.col_group == 1).collect();
        neighbours.sort_by_key(|pair| (pair.col, pair.row));
        for pair in neighbours {
            out.neighbour_ptr[pair.col as usize / lead.k + 1] += 1;
            let neighbour = Neighbour { start: pair.row - begin, group: pair.row_group - 1 };
            out.push_neighbour(neighbour, &transposed(self.rest_pair_block(pair), groups[pair.row_group as usize].k));
        }
        (0..lead.levels).for_each(|level| out.neighbour_ptr[level + 1] += out.neighbour_ptr[level]);
        for pair in self.rest_pairs.iter().filter(|pair| pair.col_group > 1) {
            let (row_group, col_group) = (pair.row_group - 1, pair.col_group - 1);
            let moved = RestPair { row: pair.row - begin, col: pair.col - begin, row_group, col_group, values: 0 };
            out.push_rest_pair(moved, self.rest_pair_block(pair));
        }
    }
}

impl Structure {
    /// The groups of random effects alone.
    fn of_random_effects(&self) -> Structure {
        let (range, begin) = (self.random_groups(), self.random().start);
        let mut groups = self.groups[range.clone()].to_vec();
        groups.iter_mut().for_each(|group| group.offset -= begin);
        let entries = self.entries.iter().map(|e| ThetaEntry { group: e.group - range.start, ..*e }).collect();
        Structure { groups, entries, q: self.random().len(), fixed: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::absorbed::Absorbed;
    use crate::model::rows::{Rows, Term};
    use crate::parallel::Workers;

    /// They are those of the same rows without fixed effects, whichever group leads.
    #[test]
    fn the_blocks_are_those_of_the_random_effects() {
        let n = 600;
        let wave = |i: usize, a: f64| (i as f64 * a).sin();
        let x: Vec<f64> = (0..n).map(|i| wave(i, 0.7)).collect();
        let z: Vec<f64> = (0..2 * n).map(|i| if i < n { 1.0 } else { wave(i, 0.3) }).collect();
        let weights: Vec<f64> = (0..n).map(|i| 1.5 + wave(i, 0.11)).collect();
        let code = |step: usize, levels: usize| (0..n).map(|i| (i * step / 7 % levels) as i32 + 1).collect::<Vec<_>>();
        for absorbed_levels in [150, 20, 3] {
            let codes = [code(5, 40), code(11, 9), code(3, 6), code(13, absorbed_levels)];
            let terms = vec![
                Term { factor: 0, z: Some(&z), k: 2 },
                Term { factor: 1, z: None, k: 1 },
                Term { factor: 2, z: Some(&z), k: 2 },
                Term { factor: 0, z: Some(&x), k: 1 },
            ];
            let rows = Rows {
                n,
                x: &x,
                p: 1,
                codes: codes.iter().map(|c| &c[..]).collect(),
                levels: vec![40, 9, 6, absorbed_levels],
                terms,
                weights: Some(&weights),
                absorbed: Some(Absorbed { factor: 3, intercept: false, first: 0 }),
            };
            let products = Products::of_rows(&rows, Workers::none()).unwrap();
            assert_eq!(products.structure.fixed, Some(if absorbed_levels == 150 { 0 } else { 3 }));
            let alone = products.of_random_effects().unwrap();
            let expected = Products::of_rows(&Rows { x: &[], p: 0, absorbed: None, ..rows }, Workers::none()).unwrap();
            assert_eq!(alone.diagonal, expected.diagonal);
            assert_eq!((alone.neighbour_ptr, alone.neighbour_values_ptr), (expected.neighbour_ptr, expected.neighbour_values_ptr));
            let places = |products: &[Neighbour]| products.iter().map(|b| (b.start, b.group)).collect::<Vec<_>>();
            assert_eq!(places(&alone.neighbours), places(&expected.neighbours));
            let pairs =
                |products: &[RestPair]| products.iter().map(|p| (p.row, p.col, p.row_group, p.col_group, p.values)).collect::<Vec<_>>();
            assert!(!alone.rest_pairs.is_empty());
            assert_eq!(pairs(&alone.rest_pairs), pairs(&expected.rest_pairs));
            for (a, b) in [(alone.neighbour_values, expected.neighbour_values), (alone.rest_pair_values, expected.rest_pair_values)] {
                assert_eq!(a.len(), b.len());
                a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() < 1e-14 * n as f64, "{a} {b}"));
            }
            assert_eq!((alone.structure.entries, alone.structure.q), (expected.structure.entries, expected.structure.q));
            assert!(
                alone.structure.fixed.is_none() && alone.absorbed.is_none() && alone.p == 0 && alone.log_weights == expected.log_weights
            );
        }
    }
}
