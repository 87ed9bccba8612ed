//! The sentences of the passages found, and how much each has to do with the question.
//!
//! A passage is usually some sentences of which one or two matter. They are found by late interaction (Khattab and Zaharia,
//! "ColBERT", SIGIR 2020, arXiv 2004.12832): the embedding model reads the passage once, under its title and headings, and
//! every word of the question looks for its best match among the words of one sentence and of what stands above it. A
//! sentence's words know the passage around them, so "it" is not lost; a word that few of the passages have weighs more
//! than one that all of them have. Two plainer signals stand beside it: the cosine of question and sentence, and the share
//! of the question's words that it holds.

use std::collections::HashSet;

use sidenote_model::{Embedder, TokenVectors};
use sidenote_text::{Span, sentences};

use crate::{
    error::Error,
    retrieve::{Hit, head},
    terms::{Term, term_set},
};

/// Most bytes of title, headings and table header that are read with a passage.
const MAX_ABOVE_BYTES: usize = 300;

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
    /// Late interaction with the question: the weighted mean over the question's tokens of the best cosine, -1 to 1.
    pub(crate) interaction: f32,
    /// Share of the question's terms that it, its headings and its document's title hold, 0 to 1.
    pub(crate) coverage: f32,
}

impl Sentence {
    /// How much it has to do with the question; comparable within one question.
    pub(crate) fn score(&self) -> f32 {
        self.interaction + 0.5 * self.cosine + 0.1 * self.coverage
    }
}

/// Places of sentences in order of what they have to do with the question, the best first; of equals the one that stands first.
pub(crate) fn best_first(places: impl Iterator<Item = usize>, sentences: &[Sentence]) -> Vec<usize> {
    let mut places: Vec<usize> = places.collect();
    places.sort_by(|a, b| sentences[*b].score().total_cmp(&sentences[*a].score()).then(a.cmp(b)));
    places
}

/// All sentences of the hits, in order of hit and place.
pub(crate) fn sentences_of(hits: &[Hit], question: &str, embedder: &dyn Embedder) -> Result<Vec<Sentence>, Error> {
    let Some(asked) = embedder.embed_tokens(&[question])?.pop() else { return Ok(Vec::new()) };
    let wanted = term_set(question);
    let above: Vec<String> = hits.iter().map(above).collect();
    let texts: Vec<String> = hits.iter().zip(&above).map(|(hit, above)| under(above, hit)).collect();
    let read = embedder.embed_tokens(&texts.iter().map(String::as_str).collect::<Vec<_>>())?;
    let weights = weights(&asked, &read);
    let asked_mean = mean(asked.vectors());

    let mut found = Vec::new();
    for (place, (hit, tokens)) in hits.iter().zip(&read).enumerate() {
        let above_terms = term_set(&above[place]);
        let text_begins = texts[place].len() - hit.text.len();
        let best_above = best_matches(&asked, inside(tokens, Span::new(0, text_begins)));
        for span in sentences(&hit.text) {
            let Some(text) = span.slice(&hit.text) else { continue };
            let terms = term_set(text);
            let covered = wanted.iter().filter(|term| terms.contains(term) || above_terms.contains(term)).count();
            let of_sentence = Span::new(text_begins + span.start, text_begins + span.end);
            let best = best_matches(&asked, inside(tokens, of_sentence));
            let best = best.iter().zip(&best_above).map(|(here, above)| here.max(*above));
            found.push(Sentence {
                hit: place,
                span,
                terms,
                cosine: dot(&asked_mean, &mean(inside(tokens, of_sentence))),
                interaction: best.zip(&weights).map(|(best, weight)| best * weight).sum(),
                coverage: share(covered, wanted.len()),
            });
        }
    }
    Ok(found)
}

/// What stands above a passage: title (or the file's name, which often says as much), headings, the header row of its table.
pub(crate) fn above(hit: &Hit) -> String {
    let title = hit.document.title.clone().or_else(|| hit.document.name_words());
    let headings = hit.heading.iter().filter(|heading| Some(*heading) != title.as_ref()).cloned();
    title.clone().into_iter().chain(headings).chain(hit.table_header.clone()).collect::<Vec<_>>().join("\n")
}

/// A passage as a model reads it: what stands above it, as much of that as is read with it, as a line of its own.
pub(crate) fn as_read(hit: &Hit) -> String {
    under(&above(hit), hit)
}

fn under(above: &str, hit: &Hit) -> String {
    format!("{}\n{}", head(above, MAX_ABOVE_BYTES), hit.text)
}

/// The interaction of the best sentence of each of the first `count` hits; `None` where one has no sentence.
pub(crate) fn best_sentences(sentences: &[Sentence], count: usize) -> Vec<Option<f32>> {
    let mut best: Vec<Option<f32>> = vec![None; count];
    for sentence in sentences {
        if let Some(best) = best.get_mut(sentence.hit) {
            *best = Some(best.map_or(sentence.interaction, |known| known.max(sentence.interaction)));
        }
    }
    best
}

/// How much each token of the question weighs, 1 in all: the rarer among the passages, the more (the inverse document
/// frequency, with these passages for a collection).
fn weights(asked: &TokenVectors, read: &[TokenVectors]) -> Vec<f32> {
    let passages: Vec<HashSet<u32>> = read.iter().map(|tokens| tokens.ids.iter().copied().collect()).collect();
    #[expect(clippy::cast_precision_loss, reason = "at most some hundred passages")]
    let rarity = |id: &u32| {
        let having = passages.iter().filter(|ids| ids.contains(id)).count();
        (passages.len() as f32 / (1 + having) as f32).ln_1p()
    };
    let weights: Vec<f32> = asked.ids.iter().map(rarity).collect();
    let sum = weights.iter().sum::<f32>().max(f32::EPSILON);
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// The vectors of the tokens that lie inside `span`.
fn inside(tokens: &TokenVectors, span: Span) -> impl Iterator<Item = &[f32]> {
    let offsets = tokens.offsets.iter().zip(tokens.vectors());
    offsets.filter(move |((start, end), _)| *start >= span.start && *end <= span.end).map(|(_, vector)| vector)
}

/// The best cosine of each token of the question with any of `tokens`; -1 where there is none.
fn best_matches<'a>(asked: &TokenVectors, tokens: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut best = vec![-1.0_f32; asked.ids.len()];
    for token in tokens {
        for (best, asked) in best.iter_mut().zip(asked.vectors()) {
            *best = best.max(dot(asked, token));
        }
    }
    best
}

/// The mean of vectors, made one of length 1; of none, a vector that is 0 to every other.
fn mean<'a>(vectors: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    for vector in vectors {
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    }
    let norm = dot(&sum, &sum).sqrt().max(f32::EPSILON);
    sum.into_iter().map(|value| value / norm).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `part` of `whole`, 0 to 1; 1 where there is nothing to hold.
pub(crate) fn share(part: usize, whole: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "counts of words")]
    if whole == 0 { 1.0 } else { part as f32 / whole as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidenote_model::HashEmbedder;

    fn scores(passages: &[Hit], question: &str) -> Vec<Sentence> {
        sentences_of(passages, question, &HashEmbedder::new()).unwrap()
    }

    #[test]
    fn the_sentence_that_speaks_of_the_question_scores_best() {
        let hits = [
            Hit::sample(1, "Lunch", "Lunch is at noon. The canteen is closed on Friday."),
            Hit::sample(2, "Travel", "Ruth approves expenses. Trains are preferred."),
        ];
        let sentences = scores(&hits, "Who approves travel expenses?");
        assert_eq!(sentences.iter().map(|sentence| sentence.hit).collect::<Vec<_>>(), [0, 0, 1, 1]);
        let best = sentences.iter().max_by(|a, b| a.score().total_cmp(&b.score())).unwrap();
        assert_eq!(best.span.slice(&hits[best.hit].text), Some("Ruth approves expenses."));
        assert!(best.coverage > 0.9, "the heading counts: {}", best.coverage);
        assert!(
            sentences.iter().all(|s| (-1.0..=1.001).contains(&s.interaction) && (-1.0..=1.001).contains(&s.cosine))
        );
    }

    #[test]
    fn a_question_or_passage_without_words_is_scored_all_the_same() {
        for question in ["", "?!", "\u{0}"] {
            for sentence in scores(&[Hit::sample(1, "", "a. b."), Hit::sample(2, "", "")], question) {
                assert!(sentence.score().is_finite());
            }
        }
    }
}
