//! The best hits, read again and put in a better order.
//!
//! Fusion compares a question with whole passages; here each passage stands for its best sentence, see
//! [`crate::evidence`], or for what a cross-encoder makes of it, where one is configured. The two views are added as the legs of a
//! search are. A passage also takes a share of the best passage of its document: a document that speaks of the matter often says it
//! once and then goes on about "the equipment". One whose document does not know what the query names falls behind.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use sidenote_index::{ChunkId, DocumentId};

use crate::{
    config::Fusion,
    evidence::{Sentence, share},
    fuse::{Leg, fuse_scores},
    known_names::KnownNames,
    retrieve::Hit,
};

/// Share of the best sentence in the score; the fused score of the whole passage has the rest. The less where every hit is of a
/// document of its own, as abstracts and paragraphs are: both legs have compared the query with all that it says. The more where hits
/// share their documents: what tells the passages of a long document apart is what single sentences of them say. In trials
/// (`bench/RESULTS.md`) no share was good for both.
const SENTENCE_WEIGHT: Range<f32> = 0.33..0.67;
/// Share of hits beyond the first of their document at which the sentences count most.
const MANY_REPEATED: f32 = 0.5;
/// The same of a cross-encoder's score: it has read query and passage, and leaves nothing to add.
const CROSS_ENCODER_WEIGHT: f32 = 1.0;
/// What the best passage of a document lends to the others, as a share of its score.
const DOCUMENT_WEIGHT: f32 = 0.3;
/// What a passage loses whose document knows none of the names of the query, as a share of its score. At .1 less was gained on the
/// sets tried (`bench/RESULTS.md`).
const NAMES_WEIGHT: f32 = 0.2;

/// What reading the first hits again has given: a score for each, none for one that could not be read.
pub(crate) enum Reread {
    /// Of their best sentences.
    Sentences(Vec<Option<f32>>),
    /// Of the passages, by a cross-encoder.
    CrossEncoder(Vec<f32>),
}

/// Puts the hits that were read again in order of both views, before those that were not, and keeps `limit` of them with
/// their sentences.
pub(crate) fn rerank(
    hits: &mut Vec<Hit>,
    sentences: &mut Vec<Sentence>,
    reread: Reread,
    names: &KnownNames,
    limit: usize,
) {
    let (scores, weight) = match reread {
        Reread::Sentences(scores) => {
            let weight = sentence_weight(&hits[..scores.len().min(hits.len())]);
            (scores, weight)
        }
        Reread::CrossEncoder(scores) => (scores.into_iter().map(Some).collect(), CROSS_ENCODER_WEIGHT),
    };
    let mut by_fusion: Vec<(ChunkId, f32)> = Vec::new();
    let mut by_reading: Vec<(ChunkId, f32)> = Vec::new();
    for (hit, score) in hits.iter_mut().zip(scores) {
        hit.rerank_score = score;
        if let Some(score) = score {
            by_fusion.push((hit.chunk, hit.score));
            by_reading.push((hit.chunk, score));
        }
    }
    let legs = [Leg { scores: &by_fusion, weight: 1.0 - weight }, Leg { scores: &by_reading, weight }];
    let reranked: HashMap<ChunkId, f32> = fuse_scores(&legs, Fusion::MinMax).into_iter().collect();
    let mut of_document: HashMap<DocumentId, f32> = HashMap::new();
    for hit in hits.iter() {
        if let Some(score) = reranked.get(&hit.chunk) {
            let best = of_document.entry(hit.document.id).or_insert(0.0);
            *best = best.max(*score);
        }
    }
    let mut lowest = 1.0_f32;
    for hit in hits.iter_mut() {
        if let Some(own) = reranked.get(&hit.chunk) {
            let lent = of_document.get(&hit.document.id).copied().unwrap_or_default();
            let unknown = 1.0 - names.held_by(hit);
            hit.score = (own + DOCUMENT_WEIGHT * lent) / (1.0 + DOCUMENT_WEIGHT) * (1.0 - NAMES_WEIGHT * unknown);
            lowest = lowest.min(hit.score);
        }
    }
    // What was not read again stays behind what was, and its score says so.
    hits.iter_mut().filter(|hit| hit.rerank_score.is_none()).for_each(|hit| hit.score *= lowest);

    let mut numbered: Vec<(usize, Hit)> = hits.drain(..).enumerate().collect();
    // A stable sort: equals keep the order of fusion.
    numbered.sort_by(|(_, a), (_, b)| {
        let read = b.rerank_score.is_some().cmp(&a.rerank_score.is_some());
        read.then(b.score.total_cmp(&a.score))
    });
    numbered.truncate(limit);
    let new_place: HashMap<usize, usize> = numbered.iter().enumerate().map(|(new, (old, _))| (*old, new)).collect();
    sentences.retain(|sentence| new_place.contains_key(&sentence.hit));
    for sentence in sentences.iter_mut() {
        sentence.hit = new_place[&sentence.hit];
    }
    // A stable sort: the sentences of a passage keep their order.
    sentences.sort_by_key(|sentence| sentence.hit);
    hits.extend(numbered.into_iter().enumerate().map(|(place, (_, hit))| Hit { rank: place + 1, ..hit }));
}

fn sentence_weight(read: &[Hit]) -> f32 {
    let documents: HashSet<DocumentId> = read.iter().map(|hit| hit.document.id).collect();
    let repeated = 1.0 - share(documents.len(), read.len());
    SENTENCE_WEIGHT.start + (SENTENCE_WEIGHT.end - SENTENCE_WEIGHT.start) * (repeated / MANY_REPEATED).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        document::Document,
        evidence::{best_sentences, sentences_of},
    };
    use sidenote_model::HashEmbedder;

    fn found(scores: &[f32], texts: &[&str], read: usize, limit: usize) -> (Vec<Hit>, Vec<Sentence>) {
        found_with(scores, texts, read, limit, &[])
    }

    fn found_with(
        scores: &[f32],
        texts: &[&str],
        read: usize,
        limit: usize,
        names: &[(&str, &[i64])],
    ) -> (Vec<Hit>, Vec<Sentence>) {
        let mut hits: Vec<Hit> = texts
            .iter()
            .zip(scores)
            .enumerate()
            .map(|(place, (text, score))| Hit { score: *score, ..Hit::sample(place as i64 + 1, "", text) })
            .collect();
        let mut sentences = sentences_of(&hits[..read], "who approves travel", &HashEmbedder::new()).unwrap();
        let reread = Reread::Sentences(best_sentences(&sentences, read));
        rerank(&mut hits, &mut sentences, reread, &KnownNames::sample(names), limit);
        (hits, sentences)
    }

    const TEXTS: [&str; 4] = ["Noon.", "Ruth approves travel. Yes.", "Lunch is late.", "Who approves travel? Ruth."];

    #[test]
    fn the_passage_with_the_best_sentence_comes_first_and_its_sentences_come_along() {
        let (hits, sentences) = found(&[0.9, 0.88, 0.7, 0.6], &TEXTS, 3, 2);
        assert_eq!(hits.iter().map(|hit| (hit.rank, hit.chunk.0)).collect::<Vec<_>>(), [(1, 2), (2, 1)]);
        let texts: Vec<_> = sentences.iter().map(|s| s.span.slice(&hits[s.hit].text).unwrap()).collect();
        assert_eq!(texts, ["Ruth approves travel.", "Yes.", "Noon."]);
    }

    #[test]
    fn a_passage_whose_document_knows_no_name_of_the_query_falls_behind() {
        let first = |names: &[(&str, &[i64])]| {
            let texts = ["Ruth approves travel.", "Anna approves travel.", "Noon."];
            found_with(&[0.9, 0.88, 0.1], &texts, 3, 2, names).0[0].chunk.0
        };
        assert_eq!(first(&[]), 1);
        assert_eq!(first(&[("Aldmoor", &[2])]), 2);
        assert_eq!(first(&[("Aldmoor", &[1, 2])]), 1);
        assert_eq!(first(&[("Ruth", &[2])]), 1, "it stands in the passage itself");
    }

    #[test]
    fn sentences_count_more_where_hits_share_their_documents() {
        let weight = |documents: &[i64]| {
            let of = |document: &i64| Hit { document: Document::sample(*document), ..Hit::sample(1, "", "") };
            sentence_weight(&documents.iter().map(of).collect::<Vec<_>>())
        };
        assert_eq!(weight(&[1, 2, 3, 4]), 0.33);
        assert!((weight(&[1, 1, 3, 4]) - 0.5).abs() < 0.001);
        assert_eq!((weight(&[1, 1, 2, 2]), weight(&[1, 1, 1, 1]), weight(&[7])), (0.67, 0.67, 0.33));
    }

    #[test]
    fn a_cross_encoder_has_the_last_word() {
        let mut hits: Vec<Hit> = TEXTS
            .iter()
            .enumerate()
            .map(|(place, text)| Hit { score: 0.9 - 0.1 * place as f32, ..Hit::sample(place as i64 + 1, "", text) })
            .collect();
        let reread = Reread::CrossEncoder(vec![-7.0, -3.0, 4.5]);
        rerank(&mut hits, &mut Vec::new(), reread, &KnownNames::sample(&[]), 4);
        assert_eq!(hits.iter().map(|hit| hit.chunk.0).collect::<Vec<_>>(), [3, 2, 1, 4]);
        assert_eq!(
            hits.iter().map(|hit| hit.rerank_score).collect::<Vec<_>>(),
            [Some(4.5), Some(-3.0), Some(-7.0), None]
        );
        assert!(hits.iter().all(|hit| (0.0..=1.0).contains(&hit.score)));
    }

    #[test]
    fn what_was_not_read_stays_behind_and_scores_fall() {
        let (hits, _) = found(&[0.9, 0.8, 0.7, 0.6], &TEXTS, 3, 10);
        assert_eq!(hits.len(), 4);
        assert_eq!((hits[3].chunk.0, hits[3].rerank_score), (4, None));
        assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
        assert!(hits.iter().all(|hit| (0.0..=1.0).contains(&hit.score)));
    }
}
