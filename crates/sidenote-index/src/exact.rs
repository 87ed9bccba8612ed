//! Every vector is compared: the tail of new vectors, small indexes, and the measure for approximate ones.

use std::collections::HashMap;

use roaring::RoaringTreemap;

use crate::vector::{Node, VectorIndex, dot, keep_best};

/// Vectors one after the other in memory.
#[derive(Debug, Default)]
pub(crate) struct ExactIndex {
    dimensions: usize,
    nodes: Vec<Node>,
    /// `dimensions` numbers for each of `nodes`.
    numbers: Vec<f32>,
    /// Place in `nodes`.
    places: HashMap<Node, usize>,
}

impl ExactIndex {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { dimensions, ..Self::default() }
    }

    /// Adds a vector; one of another length is left out, as is a node that is there already.
    pub(crate) fn add(&mut self, node: Node, vector: &[f32]) {
        if vector.len() == self.dimensions && !self.places.contains_key(&node) {
            self.places.insert(node, self.nodes.len());
            self.nodes.push(node);
            self.numbers.extend_from_slice(vector);
        }
    }

    /// The nodes held.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn vector(&self, place: usize) -> &[f32] {
        &self.numbers[place * self.dimensions..(place + 1) * self.dimensions]
    }
}

impl VectorIndex for ExactIndex {
    fn len(&self) -> usize {
        self.nodes.len()
    }

    fn contains(&self, node: Node) -> bool {
        self.places.contains_key(&node)
    }

    fn remove(&mut self, node: Node) {
        let Some(place) = self.places.remove(&node) else { return };
        let last = self.nodes.len() - 1;
        self.nodes.swap_remove(place);
        if place < last {
            self.places.insert(self.nodes[place], place);
            self.numbers.copy_within(last * self.dimensions.., place * self.dimensions);
        }
        self.numbers.truncate(last * self.dimensions);
    }

    fn search(
        &self,
        query: &[f32],
        limit: usize,
        _candidates: usize,
        allowed: Option<&RoaringTreemap>,
    ) -> Vec<(Node, f32)> {
        if query.len() != self.dimensions || limit == 0 {
            return Vec::new();
        }
        let score = |place: usize| (self.nodes[place], dot(query, self.vector(place)));
        let mut found: Vec<(Node, f32)> = match allowed {
            None => (0..self.nodes.len()).map(score).collect(),
            Some(allowed) if usize::try_from(allowed.len()).is_ok_and(|count| count < self.nodes.len() / 4) => {
                allowed.iter().filter_map(|node| self.places.get(&node).copied()).map(score).collect()
            }
            Some(allowed) => {
                (0..self.nodes.len()).filter(|&place| allowed.contains(self.nodes[place])).map(score).collect()
            }
        };
        keep_best(&mut found, limit);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_vector_is_not_found_and_the_others_are() {
        let mut index = ExactIndex::new(2);
        for (node, vector) in [(7, [1.0, 0.0]), (8, [0.0, 1.0]), (9, [-1.0, 0.0])] {
            index.add(node, &vector);
        }
        index.remove(7);
        index.remove(1000);
        let mut found = index.search(&[1.0, 0.0], 10, 10, None);
        found.sort_unstable_by_key(|(node, _)| *node);
        assert_eq!(found, [(8, 0.0), (9, -1.0)]);
        assert!(!index.contains(7) && index.contains(9));
    }

    #[test]
    fn a_filter_of_any_width_gives_the_same_scores() {
        let mut index = ExactIndex::new(2);
        for node in 0..100_u8 {
            let angle = f32::from(node) / 100.0;
            index.add(u64::from(node), &[angle.cos(), angle.sin()]);
        }
        for width in [1_u64, 10, 60, 100] {
            let allowed: RoaringTreemap = (0..width).map(|node| 99 - node).collect();
            let mut found = index.search(&[1.0, 0.0], 1000, 1000, Some(&allowed));
            found.sort_unstable_by_key(|(node, _)| *node);
            let nodes: Vec<u64> = found.iter().map(|(node, _)| *node).collect();
            assert_eq!(nodes, (100 - width..100).collect::<Vec<_>>());
        }
    }
}
