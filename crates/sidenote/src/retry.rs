//! What is tried before a question is given up, or answered without being sure.
//!
//! The documents may say it in two places, one for the name and one for what is asked about it, or in another language than that
//! of the question, where neither its words nor an embedding model of one language find them. Each way takes as long as a
//! question, so none is taken before the plain way has led to no answer or to an unsure one. The surer answer is shown, and
//! nothing of it is streamed until it is settled.

use sidenote_index::Filter;
use sidenote_text::{detect_language, english_name};

use crate::{
    answer::{Answer, AskEvent},
    ask::{Asking, Outcome, Reading, surest},
    cite::Citation,
    error::Error,
    known_names::KnownNames,
    parts::Part,
    steps::{self, Steps},
    translate,
    verdict::source_of,
};

/// Most languages that a question is put in.
const MAX_LANGUAGES: usize = 2;

type Listener<'a> = dyn FnMut(AskEvent<'_>) + 'a;

impl Asking<'_> {
    /// Answers a part of the question in another way than `reading` did; `None` where none is surer.
    pub(crate) fn try_again(
        &self,
        part: &Part,
        reading: &Reading,
        answer: &mut Answer,
        on_event: &mut Listener<'_>,
    ) -> Result<Option<Outcome>, Error> {
        let settings = &self.question.config.answer;
        let steps = match settings.steps {
            true => steps::take_apart(&part.question, self.generator, self.question.cancel)?,
            false => None,
        };
        self.question.stop_if_cancelled()?;
        if let Some(steps) = steps {
            let outcome =
                attempt(reading, answer, on_event, |answer, on_event| self.take_steps(&steps, answer, on_event))?;
            if outcome.is_some() {
                return Ok(outcome);
            }
        }
        let languages = if settings.other_languages { self.other_languages(&part.question)? } else { Vec::new() };
        for language in languages {
            let outcome = attempt(reading, answer, on_event, |answer, on_event| {
                self.answer_in_language(part, &language, answer, on_event)
            })?;
            if outcome.is_some() {
                return Ok(outcome);
            }
        }
        Ok(None)
    }

    /// Answers a part that describes what it does not name: first for the name, then with the name in place of the description.
    /// Both answers are shown, or none: `None`.
    fn take_steps(
        &self,
        steps: &Steps,
        answer: &mut Answer,
        on_event: &mut Listener<'_>,
    ) -> Result<Option<Outcome>, Error> {
        let first = self.read(&Part::whole(&steps.first), answer, on_event)?;
        let Some(claim) = surest(&first.claims).filter(|_| self.is_sure(&first)) else { return Ok(None) };
        let (hit, span) = (&first.hits[claim.support.hit], claim.support.span);
        let source = source_of(hit);
        let name = steps::name_in(&source, &claim.sentence.text, &steps.first, self.generator, self.question.cancel)?;
        self.question.stop_if_cancelled()?;
        let Some(name) = name else { return Ok(None) };
        let asked = steps.second(&name);
        let mut second = self.read(&Part::whole(&asked), answer, on_event)?;
        let Some((claim, signals)) = surest(&second.claims).zip(second.signals.as_mut()) else { return Ok(None) };
        let place = &second.hits[claim.support.hit];
        // The name that was found is known to be known; what else the question names must be known by itself.
        signals.names_held =
            signals.names_held.min(KnownNames::of(&steps.second(""), self.question.index)?.held_by(place));
        second.confidence = signals.confidence();
        let says_the_same = place.document.id == hit.document.id
            && claim.support.span.start < span.end
            && span.start < claim.support.span.end;
        if says_the_same || !self.is_sure(&second) {
            return Ok(None);
        }
        let weaker = if second.confidence < first.confidence { &second } else { &first };
        let outcome = Outcome { confidence: weaker.confidence, signals: weaker.signals, missing: None };
        let settled = self.settle(&steps.first, answer, &first.hits, first.claims, on_event)?
            && self.settle(&asked, answer, &second.hits, second.claims, on_event)?;
        Ok(settled.then_some(outcome))
    }

    /// Answers a part from the documents of another language. They are searched by its words in that language; the model reads
    /// them with the question as it was asked.
    fn answer_in_language(
        &self,
        part: &Part,
        language: &str,
        answer: &mut Answer,
        on_event: &mut Listener<'_>,
    ) -> Result<Option<Outcome>, Error> {
        let Some(name) = english_name(language) else { return Ok(None) };
        let translated = translate::question(&part.question, name, self.generator, self.question.cancel)?;
        self.question.stop_if_cancelled()?;
        // Names and what the model could not put in the other language are found by the words as they were asked.
        let query = format!("{translated} {}", part.question);
        let filter = Filter { languages: vec![language.to_owned()], ..self.question.request.filter.clone() };
        let reading = self.read_found(part, &query, filter, answer, on_event)?;
        if !self.is_sure(&reading) || !self.settle(&part.question, answer, &reading.hits, reading.claims, on_event)? {
            return Ok(None);
        }
        Ok(Some(Outcome { confidence: reading.confidence, signals: reading.signals, missing: None }))
    }

    /// Languages of the documents that the question is not in, that of most documents first. Where the question does not say
    /// which it is in, it is that of most documents.
    fn other_languages(&self, question: &str) -> Result<Vec<String>, Error> {
        let mut languages = self.question.index.languages()?;
        let own = detect_language(question).or_else(|| languages.first().cloned());
        let asked_for = &self.question.request.filter.languages;
        languages.retain(|language| {
            Some(language) != own.as_ref() && (asked_for.is_empty() || asked_for.contains(language))
        });
        languages.truncate(MAX_LANGUAGES);
        Ok(languages)
    }
}

/// Tries a way; only where it leads to a surer answer than `reading` are its sentences part of the answer, and told.
fn attempt(
    reading: &Reading,
    answer: &mut Answer,
    on_event: &mut Listener<'_>,
    way: impl FnOnce(&mut Answer, &mut Listener<'_>) -> Result<Option<Outcome>, Error>,
) -> Result<Option<Outcome>, Error> {
    let mut trial = answer.clone();
    let outcome = way(&mut trial, &mut |event| {
        if let AskEvent::Phase(_) = event {
            on_event(event);
        }
    })?;
    let outcome = outcome.filter(|outcome| outcome.confidence > reading.confidence);
    if outcome.is_none() {
        // What was read is no part of the answer, but it took its time.
        (answer.timings, answer.tokens) = (trial.timings, trial.tokens);
        return Ok(None);
    }
    for sentence in &reading.drafted {
        on_event(AskEvent::Retract(sentence));
    }
    for sentence in &trial.sentences[answer.sentences.len()..] {
        let is_its = |citation: &&Citation| sentence.citations.contains(&citation.n);
        let notes: Vec<Citation> = trial.citations.iter().filter(is_its).cloned().collect();
        on_event(AskEvent::Sentence { sentence, citations: &notes });
    }
    *answer = trial;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use crate::ask::tests::{HANDBOOK, ask_above, ask_of};

    #[test]
    fn a_question_that_describes_a_name_is_answered_in_two_steps() {
        let question = "Which extension has the author of the works report?";
        const SCRIPT: &[(&str, &str)] = &[
            ("user: Which extension has the author of the works report?", "Which extension has #1?"),
            ("Answer with the shortest exact words", "Ruth Penhale"),
            (
                "Question: Who or what is the author of the works report?",
                "The works report was written by Ruth Penhale.",
            ),
            ("Question: Which extension has Ruth Penhale?", "Ruth Penhale has the extension 344."),
        ];
        let (answer, events) = ask_above(0.25, question, SCRIPT);
        let [first, second] = &answer.sentences[..] else { panic!("{answer:?}") };
        assert_eq!(first.text, "The works report was written by Ruth Penhale.");
        assert_eq!(second.text, "Ruth Penhale has the extension 344.");
        assert_eq!((first.citations.as_slice(), second.citations.as_slice()), (&[1][..], &[2][..]));
        assert!(answer.answered && answer.reason.is_none());
        // The script drafts nothing for the question itself; the drafts of the steps are nobody's business.
        let expected = [first, second].map(|sentence| format!("sentence {}", sentence.text));
        assert_eq!(events, [&expected[..], &["final".to_owned()]].concat());

        let at_once = |config: &mut crate::Config| config.answer.steps = false;
        assert!(!ask_of(&[("handbook.md", HANDBOOK)], at_once, question, SCRIPT).0.answered);

        // What the question names besides has to be known too.
        let elsewhere = "Which extension in Lisbon has the author of the works report?";
        const ELSEWHERE: &[(&str, &str)] = &[
            (
                "user: Which extension in Lisbon has the author of the works report?",
                "Which extension in Lisbon has #1?",
            ),
            SCRIPT[1],
            SCRIPT[2],
            ("Question: Which extension in Lisbon has Ruth Penhale?", "Ruth Penhale has the extension 344."),
        ];
        assert!(!ask_above(0.25, elsewhere, ELSEWHERE).0.answered);

        // Without the second step there is no answer, not half of one.
        let (answer, events) = ask_above(0.25, question, &SCRIPT[..3]);
        assert!(!answer.answered && answer.citations.is_empty(), "{answer:?}");
        assert!(!events.iter().any(|event| event.starts_with("sentence")), "{events:?}");
    }

    #[test]
    fn documents_in_another_language_are_asked_in_it() {
        const PUMPS: &str = "# Paint\n\nAll pumps of the works are blue, those of the depot are green.\n";
        const PUMPEN: &str = "# Wartung\n\nDie Siebe werden an jedem ersten Montag des Monats von Jochen Albers gereinigt und geprüft.\n";
        const SCRIPT: &[(&str, &str)] = &[
            ("Write this question in German", "Wer reinigt die Siebe der Pumpen im Keller?"),
            ("Siebe werden", "Die Siebe werden von Jochen Albers gereinigt."),
        ];
        let files = [("pumps.md", PUMPS), ("wartung.md", PUMPEN)];
        let ask = |files: &[(&str, &str)], other_languages: bool| {
            let configure = |config: &mut crate::Config| {
                config.answer.min_confidence = 0.0;
                config.answer.passages = 1;
                config.answer.other_languages = other_languages;
            };
            ask_of(files, configure, "Who cleans the filters of the pumps in the basement?", SCRIPT)
        };
        let (answer, events) = ask(&files, true);
        let statement = "Die Siebe werden an jedem ersten Montag des Monats von Jochen Albers gereinigt und geprüft.";
        assert_eq!(answer.answer, format!("{statement} [1]"), "{events:?}");
        assert_eq!(events, [format!("sentence {statement}"), "final".to_owned()]);
        assert_eq!(answer.passages.len(), 2, "what was read at first was looked at, too");

        for (files, other_languages) in [(&files[..1], true), (&files, false)] {
            let (answer, _) = ask(files, other_languages);
            assert_eq!(answer.citations[0].quote, "All pumps of the works are blue, those of the depot are green.");
        }
    }
}
