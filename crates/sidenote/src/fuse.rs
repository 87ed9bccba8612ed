//! Two rankings become one. Pure: scores in, scores out.
//!
//! - **Sum of min-max normalised scores** (the default). Each leg's scores are mapped to 0..=1 over its own candidates
//!   and added with weights; a chunk that a leg did not return counts 0 there. Bruch, Gai and Ingber, "An Analysis of
//!   Fusion Functions for Hybrid Retrieval" (ACM TOIS 2023, arXiv 2210.11934) show why a normalised convex combination
//!   beats ranks: it keeps the distances between scores.
//! - **Reciprocal rank fusion**, `weight / (60 + rank)`. Cormack, Clarke and Büttcher, SIGIR 2009. Needs no scores, and
//!   throws them away.
//!
//! Equal scores are ordered by chunk id, so that the same input gives the same result; the order of the legs does not
//! matter; a leg of weight 0 is absent; a single leg keeps its order.

use std::collections::BTreeMap;

use sidenote_index::ChunkId;

use crate::config::Fusion;

/// The constant of reciprocal rank fusion, as in its paper.
const RRF_K: f64 = 60.0;

/// One ranking on its way into fusion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg<'a> {
    /// Best first. A chunk stands at most once; higher is better; scores are finite.
    pub(crate) scores: &'a [(ChunkId, f32)],
    /// 0 upward.
    pub(crate) weight: f32,
}

/// Fuses the legs: best first, each chunk once, scores 0 to 1 for [`Fusion::MinMax`] when the weights add up to 1.
pub(crate) fn fuse_scores(legs: &[Leg<'_>], fusion: Fusion) -> Vec<(ChunkId, f32)> {
    let mut contributions: BTreeMap<ChunkId, Vec<f64>> = BTreeMap::new();
    for leg in legs.iter().filter(|leg| leg.weight > 0.0) {
        let weight = f64::from(leg.weight);
        let (low, high) = leg.scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, score)| {
            (low.min(f64::from(*score)), high.max(f64::from(*score)))
        });
        for (place, (chunk, score)) in leg.scores.iter().enumerate() {
            let share = match fusion {
                // One candidate, or all alike: nothing to tell them apart, and all of them were found.
                Fusion::MinMax if high <= low => 1.0,
                Fusion::MinMax => (f64::from(*score) - low) / (high - low),
                #[expect(clippy::cast_precision_loss, reason = "a rank is far below 2^52")]
                Fusion::Rrf => 1.0 / (RRF_K + (place + 1) as f64),
            };
            contributions.entry(*chunk).or_default().push(weight * share);
        }
    }
    let mut fused: Vec<(ChunkId, f64)> = contributions
        .into_iter()
        .map(|(chunk, mut shares)| {
            // Floating-point addition is not associative: a fixed order makes the order of the legs irrelevant.
            shares.sort_by(f64::total_cmp);
            (chunk, shares.iter().sum())
        })
        .collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    #[expect(clippy::cast_possible_truncation, reason = "a score is shown, and compared again only through its place")]
    fused.into_iter().map(|(chunk, score)| (chunk, score as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leg(ids: &[i64]) -> Vec<(ChunkId, f32)> {
        let mut score = 100.0;
        ids.iter()
            .map(|id| {
                score -= 1.5;
                (ChunkId(*id), score)
            })
            .collect()
    }

    fn order(fused: &[(ChunkId, f32)]) -> Vec<i64> {
        fused.iter().map(|(chunk, _)| chunk.0).collect()
    }

    #[test]
    fn a_chunk_that_both_legs_like_comes_first() {
        let (lexical, dense) = (leg(&[1, 2, 3]), leg(&[4, 2, 5]));
        for fusion in [Fusion::MinMax, Fusion::Rrf] {
            let legs = [Leg { scores: &lexical, weight: 0.5 }, Leg { scores: &dense, weight: 0.5 }];
            let fused = fuse_scores(&legs, fusion);
            assert_eq!(fused.len(), 5);
            if fusion == Fusion::Rrf {
                assert_eq!(order(&fused)[0], 2);
            }
        }
    }

    #[test]
    fn equal_scores_are_ordered_by_chunk_id() {
        let scores = [(ChunkId(9), 1.0), (ChunkId(3), 1.0), (ChunkId(5), 1.0)];
        assert_eq!(order(&fuse_scores(&[Leg { scores: &scores, weight: 1.0 }], Fusion::MinMax)), [3, 5, 9]);
    }

    #[test]
    fn no_leg_gives_nothing() {
        assert!(fuse_scores(&[], Fusion::MinMax).is_empty());
        assert!(fuse_scores(&[Leg { scores: &[], weight: 1.0 }], Fusion::Rrf).is_empty());
    }

    fn any_leg() -> impl Strategy<Value = Vec<(ChunkId, f32)>> {
        proptest::collection::btree_map(0_i64..40, -50.0_f32..50.0, 0..20).prop_map(|scores| {
            let mut leg: Vec<_> = scores.into_iter().map(|(id, score)| (ChunkId(id), score)).collect();
            leg.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            leg
        })
    }

    proptest! {
        #[test]
        fn the_order_of_the_legs_does_not_matter(a in any_leg(), b in any_leg(), c in any_leg(), rrf: bool) {
            let fusion = if rrf { Fusion::Rrf } else { Fusion::MinMax };
            let [a, b, c] = [(&a, 0.2), (&b, 0.3), (&c, 0.5)].map(|(scores, weight)| Leg { scores, weight });
            prop_assert_eq!(fuse_scores(&[a, b, c], fusion), fuse_scores(&[c, a, b], fusion));
        }

        #[test]
        fn weight_zero_is_absence(a in any_leg(), b in any_leg(), rrf: bool) {
            let fusion = if rrf { Fusion::Rrf } else { Fusion::MinMax };
            let alone = [Leg { scores: &a, weight: 1.0 }];
            let beside = [alone[0], Leg { scores: &b, weight: 0.0 }];
            prop_assert_eq!(fuse_scores(&alone, fusion), fuse_scores(&beside, fusion));
        }

        #[test]
        fn a_single_leg_keeps_its_order_and_scores_stay_in_range(a in any_leg(), rrf: bool) {
            let fusion = if rrf { Fusion::Rrf } else { Fusion::MinMax };
            let fused = fuse_scores(&[Leg { scores: &a, weight: 1.0 }], fusion);
            let expected: Vec<i64> = a.iter().map(|(id, _)| id.0).collect();
            prop_assert_eq!(order(&fused), expected);
            prop_assert!(fused.iter().all(|(_, score)| (0.0..=1.0).contains(score)));
        }
    }
}
