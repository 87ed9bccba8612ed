//! The second opinion: which sentence answers the question, and whether it does.
//!
//! A small model often copies the wrong line of the right passage, and it answers when it should not. Asked about one
//! sentence at a time whether it holds the answer, it is right far more often. So what it drafted stands against the
//! sentences that retrieval likes best; the log-odds of "Yes" against "No" go into the choice and into the confidence.

use sidenote_model::{CancelToken, Generator};
use sidenote_text::Span;

use crate::{
    cite::{self, Support},
    context::Context,
    draft::DraftSentence,
    error::Error,
    evidence::{Sentence, above, best_first, share},
    known_names::KnownNames,
    prompt::{self, MAX_DRAFTS},
    retrieve::Hit,
    statement::{self, Kind, MAX_STATEMENT_BYTES, is_heading, is_statement, says_nothing},
    terms::names_a_sibling,
};

/// Sentences that stand against the draft.
const ALTERNATIVES: usize = 3;
/// What a unit of the verdict's log-odds is worth, in units of a sentence's evidence score.
const VERDICT_WEIGHT: f32 = 0.2;
/// What it is worth that all drafts point at it.
const DRAFT_WEIGHT: f32 = 0.4;
/// What it is worth that its document knows all names of the question and that it speaks of no sibling of one: of the CB-200 and
/// not of the CB-400. To a unit of the verdict it stands as in the confidence.
const NAMES_WEIGHT: f32 = 0.6;

/// A sentence of the answer with its support, and what the model thinks of it.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) sentence: DraftSentence,
    pub(crate) support: Support,
    /// Log-odds of "Yes, the passage says the answer".
    pub(crate) verdict: f32,
    /// The draft it is from; `None` for a sentence that stands against the drafts.
    draft: Option<usize>,
    /// Drafts that point at it, as a share of the most there can be, 0 to 1.
    pub(crate) agreement: f32,
    /// Share of the question's names that its document knows, 0 to 1; 0 where it and what stands above it speak of a sibling of
    /// what the question names, and not of that.
    pub(crate) names_held: f32,
    /// Whether it speaks of a sibling, whatever stands above it: the manual of the CB-400 has sentences about the CB-200.
    names_a_sibling: bool,
}

impl Claim {
    /// One that no draft points at, not yet judged.
    fn new(sentence: DraftSentence, support: Support) -> Self {
        Self { sentence, support, verdict: 0.0, draft: None, agreement: 0.0, names_held: 0.0, names_a_sibling: false }
    }

    fn worth(&self) -> f32 {
        let names = if self.names_a_sibling { 0.0 } else { self.names_held };
        self.support.evidence + VERDICT_WEIGHT * self.verdict + DRAFT_WEIGHT * self.agreement + NAMES_WEIGHT * names
    }

    fn overlaps(&self, support: &Support) -> bool {
        let (own, other) = (self.support.span, support.span);
        self.support.hit == support.hit && own.start < other.end && other.start < own.end
    }
}

/// What is known when sentences are chosen: the question, and what was read for it.
pub(crate) struct Judge<'a> {
    pub(crate) question: &'a str,
    pub(crate) hits: &'a [Hit],
    pub(crate) sentences: &'a [Sentence],
    pub(crate) context: &'a Context,
    pub(crate) generator: &'a dyn Generator,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) names: &'a KnownNames,
}

impl Judge<'_> {
    /// Decides what is claimed: the draft, or the sentence beside it, that is worth most. `drafts` are sentences with the support
    /// that carries them, draft by draft.
    pub(crate) fn decide(&self, drafts: Vec<Vec<(DraftSentence, Support)>>) -> Result<Vec<Claim>, Error> {
        let mut claims = self.drafted(drafts);
        claims.extend(self.alternatives(&claims));
        for claim in &mut claims {
            self.weigh(claim)?;
        }
        // The first of equals: a drafted one.
        let best = (0..claims.len())
            .reduce(|best, next| if claims[next].worth() > claims[best].worth() { next } else { best });
        if let Some(best) = best {
            match claims[best].draft {
                Some(draft) => claims.retain(|claim| claim.draft == Some(draft)),
                None => claims = vec![claims.swap_remove(best)],
            }
        }
        for claim in &mut claims {
            self.begin_where_the_answer_does(claim)?;
            complete(claim, self.hits);
        }
        Ok(claims)
    }

    /// What the drafts say, each sentence of the documents once.
    fn drafted(&self, drafts: Vec<Vec<(DraftSentence, Support)>>) -> Vec<Claim> {
        let (hits, sentences) = (self.hits, self.sentences);
        let mut claims: Vec<Claim> = Vec::new();
        let one = share(1, MAX_DRAFTS);
        for (draft, drafted) in drafts.into_iter().enumerate() {
            for (sentence, support) in drafted {
                if places_inside(&support, hits, sentences).iter().all(|place| says_nothing(&sentences[*place], hits)) {
                    continue;
                }
                let support = stand_alone(support, hits, sentences);
                match claims.iter_mut().find(|claim| claim.draft != Some(draft) && claim.overlaps(&support)) {
                    Some(known) => known.agreement = 1.0_f32.min(known.agreement + one),
                    None => claims.push(Claim { draft: Some(draft), agreement: one, ..Claim::new(sentence, support) }),
                }
            }
        }
        claims
    }

    /// The best sentences that were read, other than what was drafted.
    fn alternatives(&self, claims: &[Claim]) -> Vec<Claim> {
        let (hits, sentences) = (self.hits, self.sentences);
        let is_read = |place: &usize| {
            let sentence = &sentences[*place];
            self.context.holds(sentence.hit) && says_something(sentence, hits)
        };
        let mut found: Vec<Claim> = Vec::new();
        for place in best_first((0..sentences.len()).filter(is_read), sentences) {
            let sentence = &sentences[place];
            let support = stand_alone(cite::support_of(sentence, hits), hits, sentences);
            let holds_it =
                |claim: &Claim| claim.support.hit == support.hit && claim.support.span.contains(support.span);
            if found.len() < ALTERNATIVES && !claims.iter().chain(&found).any(holds_it) {
                let sentence = DraftSentence { text: String::new(), labels: Vec::new() };
                found.push(Claim::new(sentence, support));
            }
        }
        found
    }

    fn weigh(&self, claim: &mut Claim) -> Result<(), Error> {
        let hit = &self.hits[claim.support.hit];
        let statement = statement_of(&claim.support, self.hits, self.sentences);
        let source = source_of(hit);
        claim.names_a_sibling = names_a_sibling(self.question, &statement);
        if !names_a_sibling(self.question, &format!("{source} {statement}")) {
            claim.names_held = self.names.held_by(hit);
        }
        claim.verdict = self.verdict(&source, &statement)?;
        tracing::debug!(
            worth = claim.worth(),
            evidence = claim.support.evidence,
            verdict = claim.verdict,
            agreement = claim.agreement,
            names_held = claim.names_held,
            names_a_sibling = claim.names_a_sibling,
            chunk = ?hit.chunk,
            span = ?claim.support.span,
            "claim weighed"
        );
        Ok(())
    }

    /// A sentence is judged with the one before it, which often says what it speaks of. Where it is that one that has the answer,
    /// the quote has it too.
    fn begin_where_the_answer_does(&self, claim: &mut Claim) -> Result<(), Error> {
        let (hits, sentences) = (self.hits, self.sentences);
        let hit = &hits[claim.support.hit];
        let places = places_inside(&claim.support, hits, sentences);
        let Some(before) = places.first().and_then(|first| statement::before(*first, sentences, hits)) else {
            return Ok(());
        };
        let before = &sentences[before];
        let begin = hit.span.start + before.span.start;
        if is_heading(before, hits) || claim.support.span.end - begin > MAX_STATEMENT_BYTES {
            return Ok(());
        }
        let source = source_of(hit);
        let own = claim.support.span.start - hit.span.start..claim.support.span.end - hit.span.start;
        let own = self.verdict(&source, hit.text.get(own).unwrap_or_default())?;
        if self.verdict(&source, before.span.slice(&hit.text).unwrap_or_default())? > own {
            claim.support.span.start = begin;
        }
        Ok(())
    }

    /// Log-odds of "Yes, the statement under this source says the answer".
    fn verdict(&self, source: &str, statement: &str) -> Result<f32, Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let messages = prompt::verdict_messages(source, statement, self.question);
        let [yes, no] = prompt::VERDICTS;
        let scores = self.generator.score(&self.generator.render(&messages)?, &[yes, no])?;
        Ok(scores.first().copied().unwrap_or_default() - scores.get(1).copied().unwrap_or_default())
    }
}

/// What stands above a hit, in a line.
pub(crate) fn source_of(hit: &Hit) -> String {
    above(hit).replace('\n', " > ")
}

/// The support with the neighbours without which it says nothing.
fn stand_alone(mut support: Support, hits: &[Hit], sentences: &[Sentence]) -> Support {
    let begin = hits[support.hit].span.start;
    let places = places_inside(&support, hits, sentences);
    let Some((first, last)) = places.first().zip(places.last()) else { return support };
    let start = statement::whole(*first, sentences, hits).start;
    let end = statement::whole(*last, sentences, hits).end - 1;
    let span = Span::new(begin + sentences[start].span.start, begin + sentences[end].span.end);
    support.span = span;
    support
}

/// Places of the sentences that a support is made of.
fn places_inside(support: &Support, hits: &[Hit], sentences: &[Sentence]) -> Vec<usize> {
    let begin = hits[support.hit].span.start;
    let inside = |sentence: &Sentence| {
        sentence.hit == support.hit
            && begin + sentence.span.start >= support.span.start
            && begin + sentence.span.end <= support.span.end
    };
    (0..sentences.len()).filter(|place| inside(&sentences[*place])).collect()
}

/// Whether a sentence is worth to be set against a draft unasked.
fn says_something(sentence: &Sentence, hits: &[Hit]) -> bool {
    is_statement(sentence, hits) && sentence.span.len() <= MAX_STATEMENT_BYTES
}

/// The words of a support with those of the sentences that it needs to be understood.
fn statement_of(support: &Support, hits: &[Hit], sentences: &[Sentence]) -> String {
    let hit = &hits[support.hit];
    let mut read = Vec::new();
    for place in places_inside(support, hits, sentences) {
        for needed in statement::needed_with(place, sentences, hits) {
            if !read.contains(&needed) {
                read.push(needed);
            }
        }
    }
    let text: Vec<&str> = read.iter().filter_map(|place| sentences[*place].span.slice(&hit.text)).collect();
    text.join(" ")
}

/// A draft becomes the statement it was taken from: "45 pence" says less than the sentence that holds it, and a paraphrase
/// may say what nobody wrote. Only a cell of a table, or a phrase of a very long sentence, stays what it is, where the
/// document has it word for word.
fn complete(claim: &mut Claim, hits: &[Hit]) {
    let hit = &hits[claim.support.hit];
    let span = claim.support.span;
    let Some(text) = hit.text.get(span.start - hit.span.start..span.end - hit.span.start) else { return };
    let statement = statement::shown(text);
    let is_sentence = statement::kind(text) != Kind::Row && text.len() <= MAX_STATEMENT_BYTES;
    let is_phrase = !claim.sentence.text.is_empty() && statement.contains(claim.sentence.text.trim_end_matches('.'));
    if is_sentence || !is_phrase {
        claim.sentence.text = statement;
    }
}
