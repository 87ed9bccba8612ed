//! What was found first says what else to look for: pseudo-relevance feedback on vectors.
//!
//! The query's vector is moved toward those of the best passages of a first ranking (Rocchio, "Relevance feedback in information
//! retrieval", 1971), and the vectors are searched once more. Li et al., "Pseudo Relevance Feedback with Deep Language Models and
//! Dense Retrievers" (TOIS 2023, arXiv 2108.11044), do so with dense vectors alone; here the first ranking is that of both legs,
//! so that the words have a say in where the vectors look. It takes one more search of the vectors, a millisecond or two, and no
//! work of the model.

use sidenote_index::ChunkId;

/// Passages of the first ranking that count.
pub(crate) const PASSAGES: usize = 5;

/// The query's vector and `weight` of the mean of what was found, each of which counts by its score (not below 0). Not of length 1.
pub(crate) fn moved(query: &[f32], found: &[(ChunkId, f32)], vectors: &[(ChunkId, Vec<f32>)], weight: f32) -> Vec<f32> {
    let scored = found.iter().filter_map(|(chunk, score)| {
        let (_, vector) = vectors.iter().find(|(known, _)| known == chunk)?;
        Some((score.max(0.0), vector))
    });
    let all = scored.clone().map(|(score, _)| score).sum::<f32>().max(f32::EPSILON);
    let mut moved = query.to_vec();
    for (score, vector) in scored {
        for (number, toward) in moved.iter_mut().zip(vector) {
            *number += weight * score / all * toward;
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_passages_count_by_their_scores() {
        let vectors = [(ChunkId(2), vec![0.0, 1.0]), (ChunkId(1), vec![1.0, 0.0])];
        let found = [(ChunkId(1), 0.9), (ChunkId(2), 0.3), (ChunkId(3), 0.9)];
        let near = |left: Vec<f32>, right: [f32; 2]| left.iter().zip(right).all(|(l, r)| (l - r).abs() < 1e-6);
        assert!(near(moved(&[1.0, 0.0], &found, &vectors, 0.4), [1.3, 0.1]));
        // Nothing found, or nothing of any score: the query as it is.
        assert_eq!(moved(&[0.6, 0.8], &[], &vectors, 0.4), [0.6, 0.8]);
        assert_eq!(moved(&[0.6, 0.8], &[(ChunkId(1), 0.0)], &vectors, 0.4), [0.6, 0.8]);
        assert_eq!(moved(&[0.6, 0.8], &found, &[], 0.4), [0.6, 0.8]);
    }
}
