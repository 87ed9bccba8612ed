//! An answer without a language model: the statements of the documents that speak most of the question, in their own words.

use crate::{
    answer::{Answer, AskEvent, AskPhase},
    cite::support_of,
    confidence::Signals,
    context::{REPLACED, SAID_BEFORE},
    error::Error,
    evidence::{Sentence, best_first},
    known_names::KnownNames,
    question::{Question, closest},
    repeats::{Said, copies},
    retrieve::Hit,
    statement::{is_statement, shown, whole},
    terms::names_a_sibling,
    verdict::source_of,
    version,
};
use sidenote_text::Span;

/// Most statements that are quoted.
const MOST_QUOTES: usize = 3;
/// The share of the best statement's score that another one has to have to be quoted too.
const NEAR_THE_BEST: f32 = 0.9;

/// Answers a question with quotes alone.
pub(crate) fn extract(question: &Question<'_>, on_event: &mut dyn FnMut(AskEvent<'_>)) -> Result<Answer, Error> {
    let mut answer = question.blank(String::new());
    on_event(AskEvent::Phase(AskPhase::Retrieving));
    let asked = &question.request.question;
    let (hits, sentences) = question.find(asked, asked, question.request.filter.clone(), &mut answer)?;
    question.stop_if_cancelled()?;

    let replaced = version::replaced(&hits, asked);
    let copies = copies(&hits, &replaced);
    for (places, why) in [(&replaced, REPLACED), (&copies, SAID_BEFORE)] {
        places.iter().for_each(|place| question.leave_out(&mut answer, &hits[*place], why));
    }
    let statements = best_statements(&hits, &sentences, |hit| !replaced.contains(&hit) && !copies.contains(&hit));
    if let Some((best, _)) = statements.first() {
        let (hit, support) = (&hits[best.hit], support_of(best, &hits));
        let said = best.span.slice(&hit.text).unwrap_or_default();
        let is_of_a_sibling = names_a_sibling(asked, &format!("{} {said}", source_of(hit)));
        let signals = Signals {
            evidence: support.evidence,
            quote_cosine: support.cosine,
            question_held: support.question_held,
            names_held: if is_of_a_sibling { 0.0 } else { KnownNames::of(asked, question.index)?.held_by(hit) },
            ..Signals::default()
        };
        answer.confidence = signals.confidence_of_a_quote();
        answer.signals = Some(signals);
    }
    if answer.confidence >= question.config.answer.min_confidence {
        for (sentence, span) in statements {
            let hit = &hits[sentence.hit];
            let text = shown(span.slice(&hit.text).unwrap_or_default());
            let stored = Span::new(hit.span.start + span.start, hit.span.start + span.end);
            question.settle(&mut answer, (text, None), (hit, stored), on_event)?;
        }
    }
    if answer.sentences.is_empty() {
        answer.reason = Some(closest(&hits, &sentences));
    }
    answer.passages = hits;
    question.finish(answer, on_event)
}

/// The statements to quote, the best first: the sentence that each was chosen for, and where in its passage the statement stands.
fn best_statements<'s>(
    hits: &[Hit],
    sentences: &'s [Sentence],
    may_be_quoted: impl Fn(usize) -> bool,
) -> Vec<(&'s Sentence, Span)> {
    let mut said = Said::nothing_of(sentences, hits);
    let is_candidate = |place: &usize| may_be_quoted(sentences[*place].hit) && is_statement(&sentences[*place], hits);
    let order = best_first((0..sentences.len()).filter(is_candidate), sentences);
    let needed = order.first().map_or(0.0, |best| NEAR_THE_BEST * sentences[*best].score());
    let mut statements: Vec<(&Sentence, Span)> = Vec::new();
    for place in order.into_iter().take_while(|place| sentences[*place].score() >= needed) {
        let sentence = &sentences[place];
        let range = whole(place, sentences, hits);
        let span = Span::new(sentences[range.start].span.start, sentences[range.end - 1].span.end);
        let overlaps = |(quoted, other): &(&Sentence, Span)| {
            quoted.hit == sentence.hit && other.start < span.end && span.start < other.end
        };
        if said.holds(place) || statements.iter().any(overlaps) {
            continue;
        }
        range.for_each(|place| {
            said.add(place);
        });
        statements.push((sentence, span));
        if statements.len() == MOST_QUOTES {
            break;
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use sidenote_model::HashEmbedder;

    use super::*;
    use crate::evidence::sentences_of;

    fn quoted(hits: &[Hit], question: &str) -> Vec<String> {
        let sentences = sentences_of(hits, question, &HashEmbedder::new()).unwrap();
        let copies = copies(hits, &std::collections::BTreeSet::new());
        let statements = best_statements(hits, &sentences, |hit| !copies.contains(&hit));
        statements.iter().map(|(sentence, span)| span.slice(&hits[sentence.hit].text).unwrap().to_owned()).collect()
    }

    #[test]
    fn the_statement_that_speaks_of_the_question_is_quoted_whole() {
        let text = "# Travel\n\nRuth approves travel expenses. They are paid within a week. Lunch is at noon.";
        let whole = "Ruth approves travel expenses. They are paid within a week.";
        assert_eq!(quoted(&[Hit::sample(1, "Travel", text)], "Who approves travel expenses?"), [whole]);
    }

    #[test]
    fn a_sentence_that_sends_elsewhere_is_no_answer_whatever_stands_above_it() {
        let asked = "Who approves travel expenses?";
        for pointer in ["See the handbook.", "Siehe Reiserichtlinie.", "(Refer to section 4 of it.)"] {
            let hits = [
                Hit::sample(1, asked, &format!("{asked}\n\n{pointer}")),
                Hit::sample(2, "Approval", "Ruth approves travel expenses."),
            ];
            assert_eq!(quoted(&hits, asked), ["Ruth approves travel expenses."], "{pointer}");
        }
        let long = "See that the head of finance, who approves travel expenses, has signed before you set out.";
        assert_eq!(quoted(&[Hit::sample(1, "", long)], asked), [long]);
    }

    #[test]
    fn nothing_is_quoted_twice_and_no_heading() {
        let text = "Travel expenses\n\nRuth approves travel expenses.";
        let hits = [Hit::sample(1, "Travel expenses", text), Hit::sample(2, "Travel expenses", text)];
        assert_eq!(quoted(&hits, "Who approves travel expenses?"), ["Ruth approves travel expenses."]);
        assert!(quoted(&[], "Who?").is_empty());
        let long = format!(
            "Ruth approves expenses{}. They are hers to approve. It is her task.",
            " and more of them".repeat(14)
        );
        let quotes = quoted(&[Hit::sample(1, "", &long)], "Who approves expenses?");
        assert_eq!(quotes.iter().map(|quote| quote.matches("hers").count()).sum::<usize>(), 1, "{quotes:?}");
        let many =
            "Ruth approves expenses a. Ruth approves expenses b. Ruth approves expenses c. Ruth approves expenses d.";
        assert_eq!(quoted(&[Hit::sample(1, "", many)], "Who approves expenses?").len(), MOST_QUOTES);
    }
}
