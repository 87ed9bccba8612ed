//! The sentences of the passages found, and how much each has to do with the question.
//!
//! A passage is about 200 words and usually one or two of its sentences matter. They are found by two signals that fail
//! differently: the cosine of the sentence's own embedding, which sees paraphrase, and the share of the question's words
//! that it holds, which sees names, codes and numbers.

use std::collections::HashSet;

use sidenote_model::Embedder;
use sidenote_text::{Span, sentences};

use crate::{
    error::Error,
    retrieve::Hit,
    terms::{Term, term_set},
};

/// Longest text in bytes whose embedding is asked for as one sentence; more is a table or a list without line breaks.
const MAX_SENTENCE_BYTES: usize = 1_000;

/// A sentence of a passage.
#[derive(Clone, Debug)]
pub(crate) struct Sentence {
    /// Place of its passage among the hits.
    pub(crate) hit: usize,
    /// Where in the passage's text.
    pub(crate) span: Span,
    /// Its own words.
    pub(crate) terms: HashSet<Term>,
    /// Cosine with the question, -1 to 1.
    pub(crate) cosine: f32,
    /// Share of the question's terms that it, its headings and its document's title hold, 0 to 1.
    pub(crate) coverage: f32,
    /// How much it has to do with the question; comparable within one question.
    pub(crate) score: f32,
}

/// All sentences of the hits, in order of hit and place.
pub(crate) fn sentences_of(hits: &[Hit], question: &str, embedder: &dyn Embedder) -> Result<Vec<Sentence>, Error> {
    let wanted = term_set(question);
    let mut found = Vec::new();
    let mut texts: Vec<String> = vec![question.to_owned()];
    let best_score = hits.iter().map(|hit| hit.score).fold(f32::EPSILON, f32::max);
    for (place, hit) in hits.iter().enumerate() {
        let above = above(hit);
        let above_terms = term_set(&above);
        for span in sentences(&hit.text) {
            let Some(text) = span.slice(&hit.text) else { continue };
            let terms = term_set(text);
            let covered = wanted.iter().filter(|term| terms.contains(term) || above_terms.contains(term)).count();
            texts.push(embeddable(&hit.heading, text));
            found.push(Sentence {
                hit: place,
                span,
                coverage: share(covered, wanted.len()),
                cosine: 0.0,
                score: 0.15 * hit.score / best_score,
                terms,
            });
        }
    }
    let vectors = embedder.embed(&texts.iter().map(String::as_str).collect::<Vec<_>>())?;
    if let Some((question, sentences)) = vectors.split_first() {
        for (sentence, vector) in found.iter_mut().zip(sentences) {
            sentence.cosine = question.iter().zip(vector).map(|(a, b)| a * b).sum();
            sentence.score += sentence.cosine + 0.3 * sentence.coverage;
        }
    }
    Ok(found)
}

/// What stands above a passage: title, headings, the header row of its table.
pub(crate) fn above(hit: &Hit) -> String {
    let title = hit.document.title.iter().map(String::as_str);
    let headings = hit.heading.iter().map(String::as_str);
    title.chain(headings).chain(hit.table_header.iter().map(String::as_str)).collect::<Vec<_>>().join("\n")
}

/// A sentence alone often lacks its subject; the innermost heading names it.
fn embeddable(heading: &[String], text: &str) -> String {
    let mut end = text.len().min(MAX_SENTENCE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match heading.last() {
        Some(heading) => format!("{heading}: {}", &text[..end]),
        None => text[..end].to_owned(),
    }
}

/// `part` of `whole`, 0 to 1; 1 where there is nothing to hold.
pub(crate) fn share(part: usize, whole: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "counts of words")]
    if whole == 0 { 1.0 } else { part as f32 / whole as f32 }
}
