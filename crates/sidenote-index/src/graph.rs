//! A graph laid flat in one piece of numbers, and the walk to what is nearest in it (Malkov and Yashunin, "Efficient and robust
//! approximate nearest neighbor search using hierarchical navigable small world graphs", TPAMI 2020).
//!
//! In memory a graph of hnsw_rs takes some 2.5 KiB a vector beside its numbers, and a walk goes through two pointers and a lock to
//! each link; its files have to be read link by link before a first search. Laid flat the links take some 60 bytes a vector and
//! are searched where they stand in the file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::vector::{Ranked, dot};

/// Layers of a graph at the most; hnsw_rs fixes it.
pub(crate) const MAX_LAYERS: usize = 16;
/// Candidates followed in the upper layers. The paper follows one; vectors that lie in separate heaps have then often been left
/// in the wrong one, which no link of the lowest layer leads out of. Since links are mended more than four find no more.
const UPPER_BEAM: usize = 4;

/// The links of a graph while it is made: for each point one list for each layer that it is in, the lowest first, with the numbers
/// of the points they lead to.
pub(crate) type Lists = Vec<Vec<Vec<u32>>>;

/// Links as [`Graph::new`] takes them: the number of the point that searches begin at; where the lists of each point begin and
/// where the last one's end, counted from behind these; the lists, each with its length before it. `None` where there are more
/// than can be numbered.
pub(crate) fn laid_flat(lists: &Lists, entry: usize) -> Option<Vec<u32>> {
    let mut flat = vec![u32::try_from(entry).ok()?, 0];
    let mut end = 0;
    for of_point in lists {
        end += of_point.iter().map(|list| 1 + list.len()).sum::<usize>();
        flat.push(u32::try_from(end).ok()?);
    }
    flat.reserve_exact(end);
    for list in lists.iter().flatten() {
        flat.push(u32::try_from(list.len()).ok()?);
        flat.extend(list);
    }
    Some(flat)
}

/// A graph laid flat, and its vectors.
#[derive(Clone, Copy)]
pub(crate) struct Graph<'a> {
    entry: u32,
    starts: &'a [u32],
    lists: &'a [u32],
    vectors: &'a [f32],
    dimensions: usize,
}

/// A point that was come across, by its number.
type Near = Ranked<u32>;

impl<'a> Graph<'a> {
    /// The graph of `count` vectors; `None` where these are no links of so many. Lists are believed when they are followed:
    /// what leads nowhere is passed over.
    pub(crate) fn new(links: &'a [u32], vectors: &'a [f32], count: usize, dimensions: usize) -> Option<Self> {
        let (&entry, rest) = links.split_first()?;
        let (starts, lists) = rest.split_at_checked(count.checked_add(1)?)?;
        let is_whole = vectors.len() == count.checked_mul(dimensions)?
            && usize::try_from(entry).is_ok_and(|entry| entry < count)
            && starts.first() == Some(&0)
            && starts.last().is_some_and(|end| usize::try_from(*end).is_ok_and(|end| end == lists.len()));
        is_whole.then_some(Self { entry, starts, lists, vectors, dimensions })
    }

    /// The cosine of a unit vector with the vector of this number.
    pub(crate) fn score(&self, query: &[f32], number: u32) -> Option<f32> {
        let start = usize::try_from(number).ok()?.checked_mul(self.dimensions)?;
        Some(dot(query, self.vectors.get(start..start.checked_add(self.dimensions)?)?))
    }

    /// The numbers that the links of a point in a layer lead to; none where it is not in that layer.
    fn links(&self, number: u32, layer: usize) -> &'a [u32] {
        let find = || {
            let number = usize::try_from(number).ok()?;
            let (start, end) = (*self.starts.get(number)?, *self.starts.get(number + 1)?);
            let mut lists = self.lists.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
            for _ in 0..layer {
                let (&length, rest) = lists.split_first()?;
                lists = rest.get(usize::try_from(length).ok()?..)?;
            }
            let (&length, rest) = lists.split_first()?;
            rest.get(..usize::try_from(length).ok()?)
        };
        find().unwrap_or_default()
    }

    /// Walks to the `ef` nearest of those that `passes` lets through, their scores with them, in no order. Points that it does not
    /// let through are still walked over.
    pub(crate) fn nearest(&self, query: &[f32], ef: usize, passes: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let mut ahead: Vec<Near> = self.near(query, self.entry).into_iter().collect();
        let layers = (1..MAX_LAYERS).rev().skip_while(|&layer| self.links(self.entry, layer).is_empty());
        for layer in layers {
            ahead = self.walk(query, layer, ahead, UPPER_BEAM, |_| true);
        }
        self.walk(query, 0, ahead, ef, passes).into_iter().map(|near| (near.id, near.score)).collect()
    }

    fn near(&self, query: &[f32], number: u32) -> Option<Near> {
        self.score(query, number).map(|score| Near { score, id: number })
    }

    /// The `ef` best that pass, in no order, of those that links of a layer lead to from the points `ahead`.
    fn walk(
        &self,
        query: &[f32],
        layer: usize,
        ahead: Vec<Near>,
        ef: usize,
        passes: impl Fn(u32) -> bool,
    ) -> Vec<Near> {
        let mut is_seen = vec![0_u64; self.starts.len().div_ceil(64)];
        let mut see = |number: u32| {
            let (word, bit) = (number as usize / 64, 1_u64 << (number % 64));
            is_seen.get_mut(word).is_some_and(|word| {
                let is_new = *word & bit == 0;
                *word |= bit;
                is_new
            })
        };
        let mut found: BinaryHeap<Reverse<Near>> = BinaryHeap::new();
        let mut ahead: BinaryHeap<Near> = ahead.into();
        for near in &ahead {
            see(near.id);
            if passes(near.id) {
                found.push(Reverse(*near));
            }
        }
        while found.len() > ef {
            found.pop();
        }
        let is_beaten = |found: &BinaryHeap<Reverse<Near>>, near: Near| {
            found.len() >= ef && found.peek().is_none_or(|Reverse(worst)| near < *worst)
        };
        let mut reached: Vec<Near> = Vec::new();
        while let Some(at) = ahead.pop().filter(|at| !is_beaten(&found, *at)) {
            // All that are new are compared first: their numbers come from memory side by side.
            reached.clear();
            let new = self.links(at.id, layer).iter().filter(|number| see(**number));
            reached.extend(new.filter_map(|number| self.near(query, *number)));
            for &next in &reached {
                if is_beaten(&found, next) {
                    continue;
                }
                ahead.push(next);
                if passes(next.id) {
                    found.push(Reverse(next));
                    if found.len() > ef {
                        found.pop();
                    }
                }
            }
        }
        found.into_iter().map(|Reverse(near)| near).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_passed_over() {
        let vectors = [1.0, 0.0, 0.8, 0.6, 0.0, 1.0];
        // The entry is 1, in two layers. Point 2's list says that it is longer than it is.
        let links = [1, 0, 3, 8, 10, 2, 1, 9, 2, 0, 2, 1, 2, 7, 0];
        let graph = Graph::new(&links, &vectors, 3, 2).unwrap();
        let mut found = graph.nearest(&[0.0, 1.0], 3, |_| true);
        found.sort_unstable_by_key(|(number, _)| *number);
        assert_eq!(found, [(0, 0.0), (1, 0.6), (2, 1.0)]);
        assert_eq!(graph.nearest(&[0.0, 1.0], 1, |number| number == 0), [(0, 0.0)]);
        for (links, count) in [(&links[..4], 3), (&links[..14], 3), (&links, 2), (&[3, 0, 0, 0, 0], 3), (&[], 0)] {
            assert!(Graph::new(links, &vectors, count, 2).is_none());
        }
    }
}
