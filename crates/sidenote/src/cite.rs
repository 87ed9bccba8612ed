//! A sentence of an answer gets its notes: the sentences of the passages that carry it, cut from the stored text.
//!
//! The model points with a passage number. The program looks there first, and elsewhere when the number is wrong; it
//! decides which sentences to quote, and whether they back what the answer says. What is quoted is read again from the
//! database and compared before it is shown, so a quote is the document's own bytes or it is not shown.

use std::collections::HashSet;

use sidenote_index::Index;
use sidenote_text::Span;

use crate::{
    document::Document,
    error::Error,
    evidence::{Sentence, above, share},
    retrieve::Hit,
    terms::{Term, term_set, terms},
};

/// Most neighbouring sentences of one quote.
const MAX_QUOTE_SENTENCES: usize = 2;
/// Share of an answer's own words that its quote must hold.
const SUPPORT_SHARE: f32 = 0.6;

/// A note: where a sentence of an answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// Its number in the answer, 1 upward.
    pub n: u32,
    /// The document.
    pub document: Document,
    /// Page of the quote's first character.
    pub page: Option<u32>,
    /// Slide, or sheet and rows.
    pub part: Option<String>,
    /// Headings above the quote, outermost first.
    pub heading: Vec<String>,
    /// Where in the document's stored text.
    pub span: Span,
    /// The stored text under the span, byte for byte.
    pub quote: String,
    /// Header row of the table the quote is a row of, when it is not inside the quote.
    pub table_header: Option<String>,
}

/// A run of sentences in one passage that may carry a sentence of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Support {
    /// Place of the passage among the hits.
    pub(crate) hit: usize,
    /// Where in the document's stored text.
    pub(crate) span: Span,
    /// Share of the answer's own terms that the run and what stands above it hold, 0 to 1.
    pub(crate) held: f32,
    /// Share of the question's terms that they hold, 0 to 1.
    pub(crate) question_held: f32,
    /// Best cosine of a sentence of the run with the question.
    pub(crate) cosine: f32,
    /// Whether the run carries the sentence: enough of its words, and every number.
    pub(crate) carries: bool,
    /// How good a support it is; comparable within one sentence.
    score: f32,
    /// Best evidence score of a sentence of the run; comparable within one question.
    pub(crate) evidence: f32,
}

/// A sentence that answers by itself: its own support.
pub(crate) fn support_of(sentence: &Sentence, hits: &[Hit]) -> Support {
    let hit = &hits[sentence.hit];
    Support {
        hit: sentence.hit,
        span: Span::new(hit.span.start + sentence.span.start, hit.span.start + sentence.span.end),
        held: 1.0,
        question_held: sentence.coverage,
        cosine: sentence.cosine,
        carries: true,
        score: 0.0,
        evidence: sentence.score(),
    }
}

/// Finds the run of sentences that best supports `answer`. `labelled` are the places of the hits the model pointed at.
pub(crate) fn find_support(
    answer: &str,
    question: &str,
    labelled: &[usize],
    hits: &[Hit],
    sentences: &[Sentence],
) -> Option<Support> {
    let wanted = term_set(question);
    let own = own_terms(answer, &wanted);
    let mut best: Option<Support> = None;
    for first in 0..sentences.len() {
        let place = sentences[first].hit;
        let hit = &hits[place];
        let above = term_set(&above(hit));
        let mut run: HashSet<&Term> = HashSet::new();
        let (mut cosine, mut evidence) = (f32::MIN, f32::MIN);
        let last_of_run = sentences.len().min(first + MAX_QUOTE_SENTENCES);
        for (length, sentence) in sentences[first..last_of_run].iter().enumerate() {
            if sentence.hit != place {
                break;
            }
            run.extend(&sentence.terms);
            cosine = cosine.max(sentence.cosine);
            evidence = evidence.max(sentence.score());
            let holds = |term: &Term| run.contains(term) || above.contains(term);
            let held = share(own.iter().filter(|term| holds(term)).count(), own.len());
            let in_run = share(own.iter().filter(|term| run.contains(term)).count(), own.len());
            let question_held = share(wanted.iter().filter(|term| holds(term)).count(), wanted.len());
            let numbers_hold = own.iter().filter(|term| term.is_number).all(holds);
            let label = if labelled.contains(&place) { 0.2 } else { 0.0 };
            #[expect(clippy::cast_precision_loss, reason = "a count of one or two")]
            let score = held + in_run + 0.4 * question_held + 0.5 * cosine + label - 0.15 * length as f32;
            let span = Span::new(hit.span.start + sentences[first].span.start, hit.span.start + sentence.span.end);
            let carries = held >= SUPPORT_SHARE && in_run > 0.0 && numbers_hold;
            if best.is_none_or(|best| (carries, score) > (best.carries, best.score)) {
                best = Some(Support { hit: place, span, held, question_held, cosine, carries, score, evidence });
            }
        }
    }
    best
}

/// What the answer says that the question did not: the terms its quote has to hold. An answer that only repeats words of
/// the question ("yes, travel expenses are") is held to those.
fn own_terms(answer: &str, question: &HashSet<Term>) -> HashSet<Term> {
    let said: HashSet<Term> =
        terms(answer).into_iter().filter(|term| term.text != "yes" && term.text != "no").collect();
    let own: HashSet<Term> = said.difference(question).cloned().collect();
    if own.is_empty() { if said.is_empty() { question.clone() } else { said } } else { own }
}

/// Cuts a quote from the stored text. `None` when the document is gone, or when its stored text is not what the index
/// gave a moment ago: then there is nothing to show.
pub(crate) fn cut(index: &Index, hit: &Hit, span: Span, n: u32) -> Result<Option<Citation>, Error> {
    let Some(quote) = index.text(hit.document.id, span)? else { return Ok(None) };
    let inside = Span::new(span.start - hit.span.start, span.end - hit.span.start);
    if inside.slice(&hit.text) != Some(quote.as_str()) {
        tracing::warn!(
            document = hit.document.id.0,
            chunk = hit.chunk.0,
            "stored text and chunk differ; no quote is shown"
        );
        return Ok(None);
    }
    Ok(Some(Citation {
        n,
        document: hit.document.clone(),
        page: hit.page,
        part: hit.part_at(span),
        heading: hit.heading.clone(),
        span,
        quote,
        table_header: hit.table_header.clone(),
    }))
}
