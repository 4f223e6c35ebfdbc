//! Sets of levels between which no row makes a connection.

use crate::products::cross::Products;

impl Products {
    /// Per group of random effects its levels in sets, of which each has at most one level of a connected component: no two of them meet
    /// in a row, nor do they share a level that they meet, nor the levels that these meet. There are as many sets as the largest
    /// component has levels of the group.
    pub fn unconnected_levels(&self) -> Vec<Vec<Vec<u32>>> {
        let groups = &self.structure.groups;
        let levels: usize = groups.iter().map(|g| g.levels).sum();
        let mut first = 0;
        let starts: Vec<usize> = groups.iter().map(|g| (first, first += g.levels).0).collect();
        let level_of = |effect: usize| {
            let g = groups.iter().rposition(|g| g.offset <= effect).unwrap_or(0);
            starts[g] + (effect - groups[g].offset) / groups[g].k
        };
        let mut parent: Vec<u32> = (0..levels as u32).collect();
        self.for_each_cross_block(|row, col, _, _| {
            let (a, b) = (root(&mut parent, level_of(row)), root(&mut parent, level_of(col)));
            parent[a.max(b)] = a.min(b) as u32;
        });
        let mut out = Vec::with_capacity(groups.len());
        for (group, start) in groups.iter().zip(starts) {
            let (mut sets, mut seen): (Vec<Vec<u32>>, Vec<u32>) = (Vec::new(), vec![0; levels]);
            for level in 0..group.levels {
                let count = &mut seen[root(&mut parent, start + level)];
                if sets.len() == *count as usize {
                    sets.push(Vec::new());
                }
                sets[*count as usize].push(level as u32);
                *count += 1;
            }
            out.push(sets);
        }
        out
    }
}

/// The representative of a level's component; halves the way to it.
fn root(parent: &mut [u32], mut at: usize) -> usize {
    while parent[at] as usize != at {
        parent[at] = parent[parent[at] as usize];
        at = parent[at] as usize;
    }
    at
}
