//! An answer without a language model: the statements of the documents that speak most of the question, in their own words.

use crate::{
    answer::{Answer, AskEvent, AskPhase},
    cite::support_of,
    confidence::Signals,
    error::Error,
    evidence::Sentence,
    known_names::KnownNames,
    question::{Question, closest},
    repeats::{Said, copies},
    retrieve::Hit,
    statement::{Kind, is_heading, kind, shown, whole},
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
    let (hits, sentences) = question.find(asked, question.request.filter.clone(), &mut answer)?;
    question.stop_if_cancelled()?;

    let statements = best_statements(&hits, &sentences, asked);
    if let Some((best, _)) = statements.first() {
        let support = support_of(best, &hits);
        let signals = Signals {
            evidence: support.evidence,
            quote_cosine: support.cosine,
            question_held: support.question_held,
            names_held: KnownNames::of(asked, question.index)?.held_by(&hits[best.hit]),
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
            question.settle(&mut answer, text, (hit, stored), on_event)?;
        }
    }
    if answer.sentences.is_empty() {
        answer.reason = Some(closest(&hits, &sentences));
    }
    answer.passages = hits;
    question.finish(answer, on_event)
}

/// The statements to quote, the best first: the sentence that each was chosen for, and where in its passage the statement stands.
fn best_statements<'s>(hits: &[Hit], sentences: &'s [Sentence], question: &str) -> Vec<(&'s Sentence, Span)> {
    let replaced = version::replaced(hits, question);
    let copies = copies(hits, &replaced);
    let mut said = Said::nothing_of(sentences, hits);
    let is_statement = |place: &usize| {
        let sentence = &sentences[*place];
        let is_shown = !copies.contains(&sentence.hit) && !replaced.contains(&sentence.hit);
        is_shown && !is_heading(sentence, hits) && sentence.terms.len() > 1
    };
    let mut order: Vec<usize> = (0..sentences.len()).filter(is_statement).collect();
    order.sort_by(|a, b| sentences[*b].score().total_cmp(&sentences[*a].score()).then(a.cmp(b)));
    let needed = order.first().map_or(0.0, |best| NEAR_THE_BEST * sentences[*best].score());
    let mut statements: Vec<(&Sentence, Span)> = Vec::new();
    for place in order.into_iter().take_while(|place| sentences[*place].score() >= needed) {
        let sentence = &sentences[place];
        let is_quoted = |(quoted, span): &(&Sentence, Span)| quoted.hit == sentence.hit && span.contains(sentence.span);
        if said.holds(place) || statements.iter().any(is_quoted) {
            continue;
        }
        let text = sentence.span.slice(&hits[sentence.hit].text).unwrap_or_default();
        let range = if kind(text) == Kind::Prose { whole(place, sentences, hits) } else { place..place + 1 };
        range.clone().for_each(|place| {
            said.add(place);
        });
        statements.push((sentence, Span::new(sentences[range.start].span.start, sentences[range.end - 1].span.end)));
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
        let statements = best_statements(hits, &sentences, question);
        statements.iter().map(|(sentence, span)| span.slice(&hits[sentence.hit].text).unwrap().to_owned()).collect()
    }

    #[test]
    fn the_statement_that_speaks_of_the_question_is_quoted_whole() {
        let text = "# Travel\n\nRuth approves travel expenses. They are paid within a week. Lunch is at noon.";
        let whole = "Ruth approves travel expenses. They are paid within a week.";
        assert_eq!(quoted(&[Hit::sample(1, "Travel", text)], "Who approves travel expenses?"), [whole]);
    }

    #[test]
    fn nothing_is_quoted_twice_and_no_heading() {
        let text = "Travel expenses\n\nRuth approves travel expenses.";
        let hits = [Hit::sample(1, "Travel expenses", text), Hit::sample(2, "Travel expenses", text)];
        assert_eq!(quoted(&hits, "Who approves travel expenses?"), ["Ruth approves travel expenses."]);
        assert!(quoted(&[], "Who?").is_empty());
        let many =
            "Ruth approves expenses a. Ruth approves expenses b. Ruth approves expenses c. Ruth approves expenses d.";
        assert_eq!(quoted(&[Hit::sample(1, "", many)], "Who approves expenses?").len(), MOST_QUOTES);
    }
}
