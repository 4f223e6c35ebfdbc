//! Which effects of the other groups each level of the leading group meets.

use crate::error::Error;
use crate::linalg::symmetric::RestLayout;
use crate::parallel::Workers;
use crate::products::cross::Products;

/// Pairs after which the user is asked whether to go on.
const ROUND: usize = 1 << 20;

/// The effects of other groups that each level of the leading group meets.
#[derive(Clone, Debug, Default)]
pub struct Adjacency {
    /// Range of each leading level in `columns`; `cross` has K values per column.
    pub ptr: Vec<usize>,
    /// Adjacent effects of each leading level, ascending.
    pub columns: Vec<u32>,
    /// Where each leading level's pairs begin in `positions` (sparse S only).
    pair_ptr: Vec<usize>,
    /// Where the element of S for each pair of columns stands, in the order of `for d { for c in d.. }`.
    positions: Vec<u32>,
    /// Range in `entries` of each effect of the other groups.
    pub entry_ptr: Vec<usize>,
    /// Per effect of the other groups the leading levels that it meets, ascending.
    pub entries: Vec<Entry>,
    /// Where each of `columns` stands in `entries`.
    pub place: Vec<u32>,
}

/// A leading level that an effect meets.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The leading level.
    pub level: u32,
    /// The effect's index in [`Adjacency::columns`], within the level's range.
    pub column: u32,
}

impl Adjacency {
    /// Collects them from the products' neighbours.
    pub fn new(products: &Products, layout: &RestLayout, workers: &Workers) -> Result<Self, Error> {
        let groups = &products.structure.groups;
        let (mut ptr, mut columns, mut pair_ptr, mut positions) = (vec![0], Vec::new(), Vec::new(), Vec::new());
        let mut asked = 0;
        for level in 0..groups[0].levels {
            for b in &products.neighbours[products.neighbour_ptr[level]..products.neighbour_ptr[level + 1]] {
                columns.extend((0..groups[b.group as usize].k as u32).map(|c| b.start + c));
            }
            if !layout.is_dense() {
                pair_ptr.push(positions.len());
                let own = &columns[ptr[level]..];
                for (i, &d) in own.iter().enumerate() {
                    positions.extend(own[i..].iter().map(|&c| layout.position(c as usize, d as usize) as u32));
                }
                if positions.len() > asked + ROUND {
                    asked = positions.len();
                    workers.check()?;
                }
            }
            ptr.push(columns.len());
        }
        let mut out = Adjacency { ptr, columns, pair_ptr, positions, ..Adjacency::default() };
        out.transpose(layout.order);
        Ok(out)
    }

    /// Fills `entry_ptr`, `entries` and `place`.
    fn transpose(&mut self, order: usize) {
        self.entry_ptr = vec![0; order + 1];
        self.columns.iter().for_each(|&e| self.entry_ptr[e as usize + 1] += 1);
        (0..order).for_each(|e| self.entry_ptr[e + 1] += self.entry_ptr[e]);
        let mut next = self.entry_ptr.clone();
        self.entries = vec![Entry { level: 0, column: 0 }; self.columns.len()];
        self.place = vec![0; self.columns.len()];
        for level in 0..self.ptr.len() - 1 {
            for t in self.span(level) {
                let at = &mut next[self.columns[t] as usize];
                self.entries[*at] = Entry { level: level as u32, column: t as u32 };
                self.place[t] = *at as u32;
                *at += 1;
            }
        }
    }

    /// The leading levels that an effect of the other groups meets.
    #[inline]
    pub fn entries_of(&self, effect: usize) -> &[Entry] {
        &self.entries[self.entry_ptr[effect]..self.entry_ptr[effect + 1]]
    }

    /// Range of a leading level's columns.
    #[inline]
    pub fn span(&self, level: usize) -> std::ops::Range<usize> {
        self.ptr[level]..self.ptr[level + 1]
    }

    /// Calls `visit(c, d, position)` for each pair c >= d of a leading level's columns (counted within the level) with the
    /// place of its element in a sparse S.
    #[inline]
    pub fn for_each_pair(&self, level: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let count = self.span(level).len();
        let mut positions = self.positions[self.pair_ptr[level]..].iter();
        for d in 0..count {
            for c in d..count {
                visit(c, d, *positions.next().expect("one position a pair") as usize);
            }
        }
    }
}
