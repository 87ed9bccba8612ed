//! BM25 over whole documents, read off an index of chunks.
//!
//! A document that says one half of what was asked in one chunk and the other half in the next is worth more than either
//! chunk shows, and the length of a chunk says nothing about its document's. So the postings of each word are added up by
//! document, which costs a walk over them and no room on the disk. Robertson and Zaragoza, "The Probabilistic Relevance
//! Framework: BM25 and Beyond", Foundations and Trends in Information Retrieval 3(4), 2009.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::postings::Postings as _;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Searcher, SearcherGeneration, TERMINATED, TantivyError, Term};

use crate::types::Scored;

/// How soon more of a word counts no more.
const K1: f32 = 1.2;
/// How much a long document has to say a word more often.
const B: f32 = 0.75;

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

    /// Adds to each hit what its document is worth for these words, times `weight`, and puts them in order.
    pub(super) fn rescore(
        &self,
        hits: &mut [Scored],
        searcher: &Searcher,
        words: &[Vec<Term>],
        weight: f32,
    ) -> Result<(), TantivyError> {
        let table = self.table(searcher)?;
        let scores = table.scores(searcher, self.body, words)?;
        for hit in &mut *hits {
            hit.score += weight * scores.of(hit.document.0.cast_unsigned());
        }
        crate::vector::sort_best_first(hits);
        Ok(())
    }

    /// Made once for every commit that is searched.
    fn table(&self, searcher: &Searcher) -> Result<Arc<DocumentTable>, TantivyError> {
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
struct DocumentTable {
    generation: SearcherGeneration,
    /// For each segment, for each of its chunks: the place of its document in `lengths`.
    places: Vec<Vec<u32>>,
    /// Words of each document.
    lengths: Vec<f32>,
    /// Ids of the documents, in the same order.
    place_of: HashMap<u64, u32>,
    /// Documents that have words.
    count: f32,
    mean_length: f32,
}

impl DocumentTable {
    fn of(searcher: &Searcher, body: Field) -> Result<Self, TantivyError> {
        let mut table = Self {
            generation: searcher.generation().clone(),
            places: Vec::with_capacity(searcher.segment_readers().len()),
            lengths: Vec::new(),
            place_of: HashMap::new(),
            count: 0.0,
            mean_length: 0.0,
        };
        for segment in searcher.segment_readers() {
            let documents = segment.fast_fields().u64("document")?;
            let norms = segment.get_fieldnorms_reader(body)?;
            let mut places = Vec::with_capacity(segment.max_doc() as usize);
            for chunk in 0..segment.max_doc() {
                let document = documents.first(chunk).unwrap_or_default();
                let next = u32::try_from(table.lengths.len()).unwrap_or(u32::MAX);
                let place = *table.place_of.entry(document).or_insert(next);
                if place == next {
                    table.lengths.push(0.0);
                }
                #[expect(clippy::cast_precision_loss, reason = "lengths are quantised anyway")]
                if !segment.is_deleted(chunk)
                    && let Some(length) = table.lengths.get_mut(place as usize)
                {
                    *length += norms.fieldnorm(chunk) as f32;
                }
                places.push(place);
            }
            table.places.push(places);
        }
        // Of a document that was removed the chunks are there until the next merge.
        #[expect(clippy::cast_precision_loss, reason = "a count of documents")]
        let count = table.lengths.iter().filter(|length| **length > 0.0).count() as f32;
        table.count = count;
        table.mean_length = (table.lengths.iter().sum::<f32>() / count.max(1.0)).max(1.0);
        Ok(table)
    }

    /// The score of every document for these words, each as it is read in every language; 0 where it holds none of them.
    fn scores(&self, searcher: &Searcher, body: Field, words: &[Vec<Term>]) -> Result<Scores<'_>, TantivyError> {
        let mut scores = vec![0.0_f32; self.lengths.len()];
        let mut counts = vec![0_u32; self.lengths.len()];
        let mut having: Vec<u32> = Vec::new();
        for word in words {
            let segments = searcher.segment_readers().iter().zip(&self.places);
            for ((segment, places), term) in
                segments.flat_map(|of_segment| word.iter().map(move |term| (of_segment, term)))
            {
                let index = segment.inverted_index(body)?;
                let Some(mut postings) = index.read_postings(term, IndexRecordOption::WithFreqs)? else { continue };
                let mut chunk = postings.doc();
                while chunk != TERMINATED {
                    if !segment.is_deleted(chunk)
                        && let Some(place) = places.get(chunk as usize)
                        && let Some(count) = counts.get_mut(*place as usize)
                    {
                        if *count == 0 {
                            having.push(*place);
                        }
                        *count += postings.term_freq();
                    }
                    chunk = postings.advance();
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "counts of documents and words")]
            let with = having.len() as f32;
            let rarity = (1.0 + (self.count - with + 0.5) / (with + 0.5)).ln();
            for place in having.drain(..) {
                let place = place as usize;
                #[expect(clippy::cast_precision_loss, reason = "counts of documents and words")]
                let count = std::mem::take(&mut counts[place]) as f32;
                let norm = K1 * (1.0 - B + B * self.lengths[place] / self.mean_length);
                scores[place] += rarity * count * (K1 + 1.0) / (count + norm);
            }
        }
        Ok(Scores { table: self, scores })
    }
}

/// What each document is worth for one query.
struct Scores<'a> {
    table: &'a DocumentTable,
    scores: Vec<f32>,
}

impl Scores<'_> {
    /// By the document's id.
    fn of(&self, document: u64) -> f32 {
        let place = self.table.place_of.get(&document);
        place.and_then(|place| self.scores.get(*place as usize)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_precision_loss, reason = "small counts")]

    use super::*;
    use tantivy::schema::{FAST, INDEXED, Schema, TEXT};
    use tantivy::{Index, TantivyDocument};

    const COMMON: [&str; 5] = ["heron", "tower", "mill", "travel", "summer"];

    /// A document that is removed.
    const REMOVED: usize = 2;

    /// Documents of some chunks each, spread over several segments, some removed.
    fn index() -> (Searcher, Field, Vec<Vec<String>>) {
        let mut builder = Schema::builder();
        let (chunk, document) =
            (builder.add_u64_field("chunk", INDEXED | FAST), builder.add_u64_field("document", INDEXED | FAST));
        let body = builder.add_text_field("body", TEXT);
        let index = Index::create_in_ram(builder.build());
        let mut writer = index.writer_with_num_threads(1, 20_000_000).unwrap();
        writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
        let mut documents: Vec<Vec<String>> = vec![Vec::new(); 7];
        for number in 0..40_u64 {
            let place = usize::try_from(number * number % 7).unwrap();
            let words: Vec<&str> = (0..=number % 6).map(|at| COMMON[((number + at * at) % 5) as usize]).collect();
            let mut added = TantivyDocument::new();
            added.add_u64(chunk, number);
            added.add_u64(document, 100 + place as u64);
            added.add_text(body, words.join(" "));
            writer.add_document(added).unwrap();
            // One chunk of several, and all of a document, are removed further down.
            if number != 33 && place != REMOVED {
                documents[place].extend(words.iter().map(|word| (*word).to_owned()));
            }
            if number % 9 == 0 {
                writer.commit().unwrap();
            }
        }
        writer.delete_term(Term::from_field_u64(chunk, 33));
        writer.delete_term(Term::from_field_u64(document, 100 + REMOVED as u64));
        writer.commit().unwrap();
        (index.reader().unwrap().searcher(), body, documents)
    }

    #[test]
    fn the_scores_are_those_of_an_index_of_whole_documents() {
        let (searcher, body, documents) = index();
        assert!(searcher.segment_readers().len() > 3);
        let table = DocumentTable::of(&searcher, body).unwrap();
        let query = ["heron", "mill", "summer", "unknown"];
        let words = query.map(|word| vec![Term::from_field_text(body, word)]);
        let scores = table.scores(&searcher, body, &words).unwrap();
        let there: Vec<(usize, &Vec<String>)> =
            documents.iter().enumerate().filter(|(_, words)| !words.is_empty()).collect();
        let mean = there.iter().map(|(_, words)| words.len()).sum::<usize>() as f32 / there.len() as f32;
        for (place, words) in &there {
            let expected: f32 = query
                .iter()
                .map(|word| {
                    let count = |words: &[String]| words.iter().filter(|other| other == word).count() as f32;
                    let with = there.iter().filter(|(_, words)| words.iter().any(|other| other == word)).count() as f32;
                    let rarity = (1.0 + (there.len() as f32 - with + 0.5) / (with + 0.5)).ln();
                    let count = count(words);
                    rarity * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * words.len() as f32 / mean))
                })
                .sum();
            let found = scores.of(100 + *place as u64);
            assert!((found - expected).abs() < 1e-4, "document {place}: {found} and not {expected}");
        }
        assert_eq!(scores.of(99), 0.0);
    }

    #[test]
    fn no_words_and_no_documents_are_nothing_to_fail_over() {
        let (searcher, body, _) = index();
        let table = DocumentTable::of(&searcher, body).unwrap();
        assert_eq!(table.scores(&searcher, body, &[]).unwrap().of(100), 0.0);
        let mut builder = Schema::builder();
        let (_, body) = (builder.add_u64_field("document", FAST), builder.add_text_field("body", TEXT));
        let empty = Index::create_in_ram(builder.build()).reader().unwrap().searcher();
        let table = DocumentTable::of(&empty, body).unwrap();
        assert_eq!(table.scores(&empty, body, &[vec![Term::from_field_text(body, "heron")]]).unwrap().of(1), 0.0);
    }
}
