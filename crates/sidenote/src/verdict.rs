//! The second opinion: which sentence answers the question, and whether it does.
//!
//! A small model often copies the wrong line of the right passage, and it answers when it should not. Asked about one
//! sentence at a time whether it holds the answer, it is right far more often. So what it drafted stands against the
//! sentences that retrieval likes best; the log-odds of "Yes" against "No" go into the choice and into the confidence.

use sidenote_model::Generator;

use crate::{
    cite::{self, Support},
    context::{self, Context, Kind},
    draft::DraftSentence,
    error::Error,
    evidence::{Sentence, above},
    prompt,
    retrieve::Hit,
};

/// Sentences that stand against the draft.
const ALTERNATIVES: usize = 3;
/// What a unit of the verdict's log-odds is worth, in units of a sentence's evidence score.
const VERDICT_WEIGHT: f32 = 0.05;
/// What having been drafted is worth.
const DRAFT_BONUS: f32 = 0.2;
/// Longest sentence in bytes that is shown as the answer itself.
const MAX_SHOWN_BYTES: usize = 300;

/// A sentence of the answer with its support, and what the model thinks of it.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) sentence: DraftSentence,
    pub(crate) support: Support,
    /// Log-odds of "Yes, the passage says the answer".
    pub(crate) verdict: f32,
    /// Whether the model drafted it.
    drafted: bool,
}

impl Claim {
    fn worth(&self) -> f32 {
        self.support.evidence + VERDICT_WEIGHT * self.verdict + if self.drafted { DRAFT_BONUS } else { 0.0 }
    }
}

/// Decides what is claimed: the drafted sentences when there are several, else the best of the drafted one and the best
/// sentences read. `drafted` are sentences with the support that carries them.
pub(crate) fn decide(
    drafted: Vec<(DraftSentence, Support)>,
    question: &str,
    hits: &[Hit],
    sentences: &[Sentence],
    context: &Context,
    generator: &dyn Generator,
) -> Result<Vec<Claim>, Error> {
    let several = drafted.len() > 1;
    let mut claims: Vec<Claim> = drafted
        .into_iter()
        .map(|(sentence, support)| Claim { sentence, support, verdict: 0.0, drafted: true })
        .collect();
    if !several {
        claims.extend(alternatives(&claims, hits, sentences, context));
    }
    for claim in claims.iter_mut().take(ALTERNATIVES + 1) {
        claim.verdict = verdict(&claim.support, question, hits, sentences, generator)?;
    }
    if !several {
        // The first of equals: the drafted one.
        let best = claims.into_iter().reduce(|best, next| if next.worth() > best.worth() { next } else { best });
        claims = best.into_iter().collect();
    }
    for claim in &mut claims {
        complete(claim, hits);
    }
    Ok(claims)
}

/// The best sentences that were read, other than what was drafted.
fn alternatives(claims: &[Claim], hits: &[Hit], sentences: &[Sentence], context: &Context) -> Vec<Claim> {
    let mut order: Vec<&Sentence> = sentences
        .iter()
        .filter(|sentence| context.holds(sentence.hit) && says_something(sentence, &hits[sentence.hit]))
        .collect();
    order.sort_by(|a, b| b.score().total_cmp(&a.score()));
    order
        .into_iter()
        .map(|sentence| (sentence, cite::support_of(sentence, hits)))
        .filter(|(_, support)| {
            !claims.iter().any(|claim| claim.support.hit == support.hit && claim.support.span.contains(support.span))
        })
        .take(ALTERNATIVES)
        .map(|(sentence, support)| {
            let text = shown(sentence.span.slice(&hits[sentence.hit].text).unwrap_or_default());
            Claim { sentence: DraftSentence { text, labels: Vec::new() }, support, verdict: 0.0, drafted: false }
        })
        .collect()
}

/// Headings and rules are sentences of the text and no statements.
fn says_something(sentence: &Sentence, hit: &Hit) -> bool {
    let text = sentence.span.slice(&hit.text).unwrap_or_default();
    let is_heading = text.starts_with('#') || hit.heading.iter().any(|heading| text.trim() == heading);
    !is_heading && sentence.terms.len() > 1 && text.len() <= MAX_SHOWN_BYTES
}

fn verdict(
    support: &Support,
    question: &str,
    hits: &[Hit],
    sentences: &[Sentence],
    generator: &dyn Generator,
) -> Result<f32, Error> {
    let hit = &hits[support.hit];
    let inside = |sentence: &Sentence| {
        sentence.hit == support.hit
            && hit.span.start + sentence.span.start >= support.span.start
            && hit.span.start + sentence.span.end <= support.span.end
    };
    let mut read = Vec::new();
    for place in (0..sentences.len()).filter(|place| inside(&sentences[*place])) {
        for needed in context::needed_with(place, sentences, hits) {
            if !read.contains(&needed) {
                read.push(needed);
            }
        }
    }
    let text: Vec<&str> = read.iter().filter_map(|place| sentences[*place].span.slice(&hit.text)).collect();
    let messages = prompt::verdict_messages(&above(hit).replace('\n', " > "), &text.join(" "), question);
    let [yes, no] = prompt::VERDICTS;
    let scores = generator.score(&generator.render(&messages)?, &[yes, no])?;
    Ok(scores.first().copied().unwrap_or_default() - scores.get(1).copied().unwrap_or_default())
}

/// A drafted phrase becomes the statement it was taken from: "45 pence" says less than the sentence that holds it.
fn complete(claim: &mut Claim, hits: &[Hit]) {
    let hit = &hits[claim.support.hit];
    let span = claim.support.span;
    let Some(statement) = hit.text.get(span.start - hit.span.start..span.end - hit.span.start) else { return };
    let is_statement = context::kind(statement) != Kind::Row && statement.len() <= MAX_SHOWN_BYTES;
    if claim.drafted && claim.support.held >= 1.0 && is_statement && statement.len() > claim.sentence.text.len() {
        claim.sentence.text = shown(statement);
    }
}

/// A sentence of a document as a sentence of an answer: without marks of lists, line breaks and cell borders.
fn shown(text: &str) -> String {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '*' | '+' | '>' | '\u{2022}'));
    let cells: Vec<String> = text
        .split('|')
        .map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|cell| !cell.is_empty())
        .collect();
    cells.join(", ").replace("**", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_lists_and_cells_are_not_shown() {
        assert_eq!(shown("- The **band** is\n  loud."), "The band is loud.");
        assert_eq!(shown("| TR-80 | 25 g |"), "TR-80, 25 g");
    }
}
