//! Finding vectors. [`VectorIndex`] is an open seam: another way to find neighbours implements it and is named in
//! `dense.rs`. What it holds are *nodes*: distinct vectors by their number in the database. Which chunks share a vector,
//! and which of them a filter lets through, is known outside.

use roaring::RoaringTreemap;

use crate::types::Scored;

/// Number of a distinct vector in the database.
pub(crate) type Node = u64;

/// A set of unit vectors that can be searched by cosine.
pub(crate) trait VectorIndex: Send + Sync {
    /// Number of vectors held, those that are marked as removed included.
    fn len(&self) -> usize;

    /// Whether the vector is held and not marked as removed.
    fn contains(&self, node: Node) -> bool;

    /// Takes a vector out of all later searches. Unknown nodes are ignored.
    fn remove(&mut self, node: Node);

    /// The `limit` nodes nearest to the unit vector `query` among those in `allowed` (all where it is `None`), with their
    /// cosine. All that tie with the last one are included; the order is not defined. An approximate index looks at so many
    /// `candidates`: it may miss nodes, and gives no more than there are candidates, but a score it returns is exact.
    fn search(
        &self,
        query: &[f32],
        limit: usize,
        candidates: usize,
        allowed: Option<&RoaringTreemap>,
    ) -> Vec<(Node, f32)>;
}

/// The dot product, in sixteen sums that the compiler keeps in vector registers. Of unit vectors: the cosine.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (left, left_rest) = left.as_chunks::<16>();
    let (right, right_rest) = right.as_chunks::<16>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..16 {
            sums[lane] = left[lane].mul_add(right[lane], sums[lane]);
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

/// Something with a score. Better ones are greater; of equal ones that with the lower id.
#[derive(Clone, Copy)]
pub(crate) struct Ranked<I> {
    pub(crate) score: f32,
    pub(crate) id: I,
}

impl<I: Ord> Ord for Ranked<I> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.id.cmp(&self.id))
    }
}

impl<I: Ord> PartialOrd for Ranked<I> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<I: Ord> PartialEq for Ranked<I> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<I: Ord> Eq for Ranked<I> {}

/// Best first, ties by chunk id.
pub(crate) fn sort_best_first(hits: &mut [Scored]) {
    hits.sort_unstable_by(|left, right| right.score.total_cmp(&left.score).then(left.chunk.cmp(&right.chunk)));
}

/// Keeps the `limit` best and what ties with the last of them.
pub(crate) fn keep_best(found: &mut Vec<(Node, f32)>, limit: usize) {
    if limit == 0 {
        found.clear();
    } else if found.len() > limit {
        let (_, &mut (_, last), _) = found.select_nth_unstable_by(limit - 1, |left, right| right.1.total_cmp(&left.1));
        found.retain(|(_, score)| *score >= last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dot_product_counts_every_number() {
        for length in [0_u8, 1, 15, 16, 17, 40] {
            let vector: Vec<f32> = (0..length).map(f32::from).collect();
            let expected: f32 = vector.iter().map(|number| number * number).sum();
            assert!((dot(&vector, &vector) - expected).abs() <= expected * 1e-6);
        }
    }

    #[test]
    fn ties_at_the_cut_are_kept() {
        let mut found = vec![(1, 0.5), (2, 0.9), (3, 0.5), (4, 0.1)];
        keep_best(&mut found, 2);
        found.sort_unstable_by_key(|(node, _)| *node);
        assert_eq!(found, [(1, 0.5), (2, 0.9), (3, 0.5)]);
    }
}
