//! BM25 of chunks and of the documents they are of, added up term by term.
//!
//! A document that says one half of what was asked in one chunk and the other half in the next is worth more than either
//! chunk shows, and the length of a chunk says nothing about its document's. So each posting counts for its chunk and for its
//! document, in one walk and without room on the disk. tantivy's own scores know chunks only, have `k1` and `b` fixed, and
//! order ties as they were added.
//!
//! Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in Information
//! Retrieval 3(4), 2009. Term by term: Turtle and Flood, "Query Evaluation: Strategies and Optimizations", Information
//! Processing and Management 31(6), 1995.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::fieldnorm::FieldNormReader;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, SearcherGeneration, SegmentReader, TantivyError, Term};

use crate::types::{ChunkId, DocumentId, Scored};
use crate::vector::{Ranked, sort_best_first};

/// The constants of BM25.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25 {
    /// How much more of a word still counts: with 0 it counts once, with 10 nearly as often as it stands there. Default 0.9.
    pub k1: f32,
    /// How much more often a long text has to say a word: 0 not at all, 1 by as much as it is longer. Default 0.75.
    pub b: f32,
}

impl Default for Bm25 {
    fn default() -> Self {
        Self { k1: 0.9, b: 0.75 }
    }
}

impl Bm25 {
    /// What stands against the count of a word in a text of this length.
    fn norm(self, length: f32, mean_length: f32) -> f32 {
        self.k1 * (1.0 - self.b + self.b * length / mean_length)
    }

    fn score(self, rarity: f32, count: u32, norm: f32) -> f32 {
        let count = float(count);
        rarity * count * (self.k1 + 1.0) / (count + norm)
    }
}

/// The inverse document frequency of a word that `with` of `all` texts hold.
fn rarity(with: f32, all: f32) -> f32 {
    (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
}

#[expect(clippy::cast_precision_loss, reason = "counts of words and texts")]
fn float(count: u32) -> f32 {
    count as f32
}

/// One word of a query in one field.
pub(super) struct Clause {
    pub(super) field: Field,
    /// The word as every language reads it; a chunk holds one reading at the most.
    pub(super) readings: Vec<Term>,
    /// How much it counts in a chunk.
    pub(super) weight: f32,
    /// How much it counts in all of the document, which is asked of the body alone.
    pub(super) in_document: f32,
}

/// The documents of an index as a whole.
pub(super) struct Documents {
    body: Field,
    /// Of the last commit that was searched.
    table: Mutex<Option<Arc<DocumentTable>>>,
}

impl Documents {
    pub(super) fn new(body: Field) -> Self {
        Self { body, table: Mutex::new(None) }
    }

    /// Made once for every commit that is searched.
    pub(super) fn table(&self, searcher: &Searcher) -> Result<Arc<DocumentTable>, TantivyError> {
        let mut known = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref().filter(|table| &table.generation == searcher.generation()) {
            Some(table) => Ok(Arc::clone(table)),
            None => {
                let table = Arc::new(DocumentTable::of(searcher, self.body)?);
                *known = Some(Arc::clone(&table));
                Ok(table)
            }
        }
    }
}

/// Which document each chunk belongs to and how long it is, as of one commit.
pub(super) struct DocumentTable {
    generation: SearcherGeneration,
    /// For each segment, for each of its chunks: the place of its document in `lengths`.
    places: Vec<Vec<u32>>,
    /// Words of each document.
    lengths: Vec<f32>,
    /// Documents that have words.
    count: f32,
    mean_length: f32,
}

impl DocumentTable {
    fn of(searcher: &Searcher, body: Field) -> Result<Self, TantivyError> {
        let mut lengths: Vec<f32> = Vec::new();
        let mut place_of: HashMap<u64, u32> = HashMap::new();
        let mut places = Vec::with_capacity(searcher.segment_readers().len());
        for segment in searcher.segment_readers() {
            let documents = segment.fast_fields().u64("document")?;
            let norms = segment.get_fieldnorms_reader(body)?;
            let mut of_segment = Vec::with_capacity(segment.max_doc() as usize);
            for chunk in 0..segment.max_doc() {
                let document = documents.first(chunk).unwrap_or_default();
                let next = u32::try_from(lengths.len()).unwrap_or(u32::MAX);
                let place = *place_of.entry(document).or_insert(next);
                if place == next {
                    lengths.push(0.0);
                }
                if !segment.is_deleted(chunk)
                    && let Some(length) = lengths.get_mut(place as usize)
                {
                    *length += float(norms.fieldnorm(chunk));
                }
                of_segment.push(place);
            }
            places.push(of_segment);
        }
        // Of a document that was removed the chunks are there until the next merge.
        let with_words = lengths.iter().filter(|length| **length > 0.0).count();
        let count = float(u32::try_from(with_words).unwrap_or(u32::MAX));
        let mean_length = (lengths.iter().sum::<f32>() / count.max(1.0)).max(1.0);
        Ok(Self { generation: searcher.generation().clone(), places, lengths, count, mean_length })
    }

    /// What every chunk and every document is worth for these words.
    pub(super) fn score(
        &self,
        searcher: &Searcher,
        clauses: &[Clause],
        bm25: Bm25,
    ) -> Result<Scores<'_>, TantivyError> {
        let mut scores = Scores {
            table: self,
            chunks: self.places.iter().map(|places| vec![0.0; places.len()]).collect(),
            documents: vec![0.0; self.lengths.len()],
        };
        let mut counts = Counts { of: vec![0; self.lengths.len()], above_zero: Vec::new() };
        for clause in clauses {
            scores.add_to_chunks(searcher, clause, bm25, &mut counts)?;
            let rarity = rarity(float(u32::try_from(counts.above_zero.len()).unwrap_or(u32::MAX)), self.count);
            for place in counts.above_zero.drain(..) {
                let place = place as usize;
                let norm = bm25.norm(self.lengths[place], self.mean_length);
                let count = std::mem::take(&mut counts.of[place]);
                scores.documents[place] += clause.in_document * bm25.score(rarity, count, norm);
            }
        }
        Ok(scores)
    }
}

/// How often a word stands in each document.
struct Counts {
    of: Vec<u32>,
    /// Those that have it.
    above_zero: Vec<u32>,
}

impl Counts {
    fn add(&mut self, place: u32, count: u32) {
        let Some(sum) = self.of.get_mut(place as usize) else { return };
        if *sum == 0 {
            self.above_zero.push(place);
        }
        *sum = sum.saturating_add(count);
    }
}

/// What each chunk and each document is worth for a query.
pub(super) struct Scores<'a> {
    table: &'a DocumentTable,
    /// By segment and number in it; 0 where there is none of the words.
    chunks: Vec<Vec<f32>>,
    /// By place in the table.
    documents: Vec<f32>,
}

impl Scores<'_> {
    /// Adds what a clause is worth to every chunk that holds it, and counts it for the documents.
    fn add_to_chunks(
        &mut self,
        searcher: &Searcher,
        clause: &Clause,
        bm25: Bm25,
        counts: &mut Counts,
    ) -> Result<(), TantivyError> {
        let segments = searcher.segment_readers();
        let mut lists = Vec::new();
        let (mut with, mut words) = (0, 0);
        for (segment, (scores, places)) in segments.iter().zip(self.chunks.iter_mut().zip(&self.table.places)) {
            let index = segment.inverted_index(clause.field)?;
            words += index.total_num_tokens();
            let mut found = Vec::new();
            for term in &clause.readings {
                if let Some(info) = index.get_term_info(term)? {
                    // A word is as frequent as all of its readings together. A document that was taken to be of a language
                    // nobody else writes would hold nothing but rare words.
                    with += info.doc_freq;
                    found.push(info);
                }
            }
            lists.push((segment, index, found, scores, places));
        }
        let all = float(segments.iter().map(SegmentReader::max_doc).sum());
        #[expect(clippy::cast_precision_loss, reason = "a count of words")]
        let mean_length = words as f32 / all;
        let rarity = rarity(float(with), all);
        let norms: [f32; 256] = std::array::from_fn(|id| {
            let id = u8::try_from(id).unwrap_or(u8::MAX);
            bm25.norm(float(FieldNormReader::id_to_fieldnorm(id)), mean_length)
        });
        for (segment, index, found, scores, places) in lists {
            let lengths = segment.get_fieldnorms_reader(clause.field)?;
            for info in found {
                let mut postings = index.read_block_postings_from_terminfo(&info, IndexRecordOption::WithFreqs)?;
                while postings.block_len() > 0 {
                    for (&chunk, &count) in postings.docs().iter().zip(postings.freqs()) {
                        let Some(score) = scores.get_mut(chunk as usize) else { continue };
                        let norm = norms[usize::from(lengths.fieldnorm_id(chunk))];
                        *score += clause.weight * bm25.score(rarity, count, norm);
                        if clause.in_document > 0.0
                            && !segment.is_deleted(chunk)
                            && let Some(&place) = places.get(chunk as usize)
                        {
                            counts.add(place, count);
                        }
                    }
                    postings.advance();
                }
            }
        }
        Ok(())
    }

    /// The best chunks that hold any of the words, or with `all` the best of all, among those that pass, best first, ties by
    /// chunk id.
    pub(super) fn best(
        &self,
        searcher: &Searcher,
        limit: usize,
        all: bool,
        passes: impl Fn(ChunkId, DocumentId) -> bool,
    ) -> Result<Vec<Scored>, TantivyError> {
        let mut best: BinaryHeap<Reverse<Ranked<(ChunkId, DocumentId)>>> = BinaryHeap::new();
        for (segment, (scores, places)) in
            searcher.segment_readers().iter().zip(self.chunks.iter().zip(&self.table.places))
        {
            let (chunks, documents) = (segment.fast_fields().u64("chunk")?, segment.fast_fields().u64("document")?);
            for (number, (score, place)) in (0..).zip(scores.iter().zip(places)) {
                if *score <= 0.0 && !all {
                    continue;
                }
                let score = score + self.documents.get(*place as usize).copied().unwrap_or_default();
                let is_beaten = best.len() >= limit && best.peek().is_none_or(|Reverse(worst)| score < worst.score);
                if is_beaten || segment.is_deleted(number) {
                    continue;
                }
                let (Some(chunk), Some(document)) = (chunks.first(number), documents.first(number)) else { continue };
                let (chunk, document) = (ChunkId(chunk.cast_signed()), DocumentId(document.cast_signed()));
                if !passes(chunk, document) {
                    continue;
                }
                best.push(Reverse(Ranked { score, id: (chunk, document) }));
                if best.len() > limit {
                    best.pop();
                }
            }
        }
        let hit = |Reverse(Ranked { score, id: (chunk, document) })| Scored { chunk, document, score };
        let mut hits: Vec<Scored> = best.into_iter().map(hit).collect();
        sort_best_first(&mut hits);
        Ok(hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tantivy::schema::{FAST, INDEXED, Schema, TEXT};
    use tantivy::{Index, TantivyDocument};

    const COMMON: [&str; 5] = ["heron", "tower", "mill", "travel", "summer"];

    /// A document that is removed, and a chunk of another.
    const REMOVED: u64 = 2;
    const REMOVED_CHUNK: u64 = 33;

    /// A chunk's number, its document's, and its words.
    type Known = (u64, u64, Vec<&'static str>);

    /// Chunks spread over several segments, some removed; those that are left.
    fn index() -> (Searcher, Field, Vec<Known>) {
        let mut builder = Schema::builder();
        let (chunk, document) =
            (builder.add_u64_field("chunk", INDEXED | FAST), builder.add_u64_field("document", INDEXED | FAST));
        let body = builder.add_text_field("body", TEXT);
        let index = Index::create_in_ram(builder.build());
        let mut writer = index.writer_with_num_threads(1, 20_000_000).unwrap();
        writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
        let mut left = Vec::new();
        for number in 0..40_u64 {
            let of = number * number % 7;
            let words: Vec<&str> = (0..=number % 6).map(|at| COMMON[((number + at * at) % 5) as usize]).collect();
            let mut added = TantivyDocument::new();
            added.add_u64(chunk, number);
            added.add_u64(document, 100 + of);
            added.add_text(body, words.join(" "));
            writer.add_document(added).unwrap();
            if number != REMOVED_CHUNK && of != REMOVED {
                left.push((number, 100 + of, words));
            }
            if number % 9 == 0 {
                writer.commit().unwrap();
            }
        }
        // Nothing is left of the removed ones, as after a merge: what is marked still counts as a chunk that has the word.
        writer.delete_term(Term::from_field_u64(chunk, REMOVED_CHUNK));
        writer.delete_term(Term::from_field_u64(document, 100 + REMOVED));
        writer.commit().unwrap();
        for meta in index.searchable_segment_metas().unwrap() {
            if meta.has_deletes() {
                writer.merge(&[meta.id()]).wait().unwrap();
            }
        }
        (index.reader().unwrap().searcher(), body, left)
    }

    fn clause(body: Field, word: &str, in_document: f32) -> Clause {
        Clause { field: body, readings: vec![Term::from_field_text(body, word)], weight: 1.0, in_document }
    }

    fn by_hand(bm25: Bm25, word: &str, text: &[&str], texts: &[Vec<&str>]) -> f32 {
        let count =
            |words: &[&str]| float(u32::try_from(words.iter().filter(|other| **other == word).count()).unwrap());
        let float_of = |count: usize| float(u32::try_from(count).unwrap());
        let with = float_of(texts.iter().filter(|words| words.contains(&word)).count());
        let all = float_of(texts.len());
        let mean = float_of(texts.iter().map(Vec::len).sum()) / all;
        let rarity = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
        let count = count(text);
        if count == 0.0 {
            return 0.0;
        }
        rarity * count * (bm25.k1 + 1.0) / (count + bm25.k1 * (1.0 - bm25.b + bm25.b * float_of(text.len()) / mean))
    }

    #[test]
    fn the_scores_are_those_of_chunks_and_of_whole_documents() {
        let (searcher, body, left) = index();
        assert!(searcher.segment_readers().len() > 3);
        let table = DocumentTable::of(&searcher, body).unwrap();
        let chunks: Vec<Vec<&str>> = left.iter().map(|(_, _, words)| words.clone()).collect();
        let document_of = |of: u64| -> Vec<&str> {
            left.iter().filter(|(_, document, _)| *document == of).flat_map(|(_, _, words)| words.clone()).collect()
        };
        let documents: Vec<Vec<&str>> = (100..107).map(document_of).filter(|words| !words.is_empty()).collect();
        let query = ["heron", "mill", "summer", "unknown"];
        for bm25 in [Bm25::default(), Bm25 { k1: 2.0, b: 0.3 }, Bm25 { k1: 0.0, b: 1.0 }] {
            let clauses = query.map(|word| clause(body, word, 0.5));
            let scores = table.score(&searcher, &clauses, bm25).unwrap();
            let found = scores.best(&searcher, 100, false, |_, _| true).unwrap();
            assert!(found.len() > 20 && found.is_sorted_by(|left, right| left.score >= right.score));
            for (number, of, words) in &left {
                let expected: f32 = query
                    .iter()
                    .map(|word| {
                        by_hand(bm25, word, words, &chunks) + 0.5 * by_hand(bm25, word, &document_of(*of), &documents)
                    })
                    .sum();
                let hit = found.iter().find(|hit| hit.chunk.0.cast_unsigned() == *number);
                assert_eq!(hit.is_some(), words.iter().any(|word| query.contains(word)), "chunk {number}");
                let Some(hit) = hit else { continue };
                assert!((hit.score - expected).abs() < 1e-4, "chunk {number}: {} and not {expected}", hit.score);
                assert_eq!(hit.document.0.cast_unsigned(), *of);
            }
        }
    }

    #[test]
    fn the_best_are_the_first_of_all_and_ties_are_in_order() {
        let (searcher, body, _) = index();
        let table = DocumentTable::of(&searcher, body).unwrap();
        let scores = table.score(&searcher, &[clause(body, "heron", 0.0)], Bm25::default()).unwrap();
        let all = scores.best(&searcher, 100, false, |_, _| true).unwrap();
        for limit in [1, 3, all.len() - 1] {
            assert_eq!(scores.best(&searcher, limit, false, |_, _| true).unwrap(), all[..limit]);
        }
        let even = scores.best(&searcher, 3, false, |chunk, _| chunk.0 % 2 == 0).unwrap();
        let expected: Vec<Scored> = all.iter().filter(|hit| hit.chunk.0 % 2 == 0).take(3).copied().collect();
        assert_eq!(even, expected);
        // Those without the word come after all that have it, in order of their ids.
        let with_others = scores.best(&searcher, 100, true, |_, _| true).unwrap();
        assert!(with_others.len() > all.len() && with_others.starts_with(&all));
        assert!(with_others[all.len()..].is_sorted_by_key(|hit| hit.chunk));
    }

    #[test]
    fn no_words_and_no_documents_are_nothing_to_fail_over() {
        let (searcher, body, _) = index();
        let table = DocumentTable::of(&searcher, body).unwrap();
        let none = table.score(&searcher, &[], Bm25::default()).unwrap();
        assert_eq!(none.best(&searcher, 10, false, |_, _| true).unwrap(), []);
        let mut builder = Schema::builder();
        let (_, body) = (builder.add_u64_field("document", FAST), builder.add_text_field("body", TEXT));
        let empty = Index::create_in_ram(builder.build()).reader().unwrap().searcher();
        let table = DocumentTable::of(&empty, body).unwrap();
        let nothing = table.score(&empty, &[clause(body, "heron", 1.0)], Bm25::default()).unwrap();
        assert_eq!(nothing.best(&empty, 10, true, |_, _| true).unwrap(), []);
    }
}
