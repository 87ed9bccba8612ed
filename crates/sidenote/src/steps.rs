//! A question that describes what it does not name is answered in two steps.
//!
//! "Which extension has the author of the seal report?" stands in no sentence: one document names the author, another has
//! the extension. The language model writes the question with a mark in place of the description, which it does well where
//! taking it apart is too much for it. What the mark stands for follows from the two, so nothing is asked that the user
//! did not ask. The name that answers "Who or what is the author of the seal report?", in the document's own words, takes the place of the
//! mark. (Asking such questions one after the other: Press et al., "Measuring and Narrowing the Compositionality Gap in
//! Language Models", 2023.)

use sidenote_model::{CancelToken, Generator, StopReason};

use crate::{
    error::Error,
    prompt,
    terms::{find_words, says_more, terms},
};

/// Where the name goes.
const PLACE: &str = "#1";
/// Longer questions tell a story. In bytes.
const MAX_QUESTION_BYTES: usize = 300;
/// A description has more words than a name with its article.
const MIN_DESCRIPTION_WORDS: usize = 4;
/// Most tokens of a name, and most words: what is longer is a statement, and the document would ask the second question.
const MAX_NAME_TOKENS: usize = 24;
const MAX_NAME_WORDS: usize = 6;

/// A question in two steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Asks for the name.
    pub(crate) first: String,
    /// The question, with a mark where the name goes.
    second: String,
}

impl Steps {
    /// The second question, with the name in its place.
    pub(crate) fn second(&self, name: &str) -> String {
        self.second.replace(PLACE, name)
    }
}

/// Takes the description out of a question; `None` where there is none. Descriptions are told by "the": only questions in
/// English have them.
pub(crate) fn take_apart(
    question: &str,
    generator: &dyn Generator,
    cancel: &CancelToken,
) -> Result<Option<Steps>, Error> {
    if question.len() > MAX_QUESTION_BYTES || !question.contains(" the ") || question.contains(PLACE) {
        return Ok(None);
    }
    let max_tokens = generator.count_tokens(question) + 8;
    let written = prompt::written(&prompt::steps_messages(question), max_tokens, generator, cancel)?;
    Ok(steps_of(question.trim(), written.text.trim()))
}

/// The steps, where `written` is the question but for a mark in place of a description.
fn steps_of(question: &str, written: &str) -> Option<Steps> {
    let (before, after) = written.trim_end_matches('?').split_once(PLACE)?;
    let description = question.trim_end_matches('?').strip_prefix(before)?.strip_suffix(after)?.trim();
    let words = description.split_whitespace().count();
    let is_description = description.starts_with("the ") && words >= MIN_DESCRIPTION_WORDS;
    // Something has to be asked about what is described.
    let asks = !terms(&format!("{before} {after}")).is_empty();
    (is_description && asks)
        .then(|| Steps { first: format!("Who or what is {description}?"), second: written.to_owned() })
}

/// The name that answers the first step, word for word as the statement or what stands above it has it; `None` where the model
/// finds none that the question does not have already.
pub(crate) fn name_in(
    source: &str,
    text: &str,
    question: &str,
    generator: &dyn Generator,
    cancel: &CancelToken,
) -> Result<Option<String>, Error> {
    let messages = prompt::name_messages(source, text, question);
    let written = prompt::written(&messages, MAX_NAME_TOKENS, generator, cancel)?;
    let name = written.text.trim().trim_end_matches('.').trim_matches('"');
    let is_whole = written.stop_reason == StopReason::EndOfText;
    let stands_there = |text: &str| find_words(text, name, |a, b| a == b).is_some();
    let stands_there = stands_there(text) || stands_there(source);
    Ok((is_whole && says_more(name, question) && is_short(name) && stands_there).then(|| name.to_owned()))
}

fn is_short(name: &str) -> bool {
    name.split_whitespace().count() <= MAX_NAME_WORDS
        && !name.contains(|c: char| c.is_control() || matches!(c, '?' | '#'))
}

#[cfg(test)]
mod tests {
    use sidenote_model::ScriptedGenerator;

    use super::*;

    const QUESTION: &str = "Which extension has the author of the seal report?";

    #[test]
    fn a_description_becomes_a_question_of_its_own() {
        let steps = steps_of(QUESTION, "Which extension has #1?").unwrap();
        assert_eq!(steps.first, "Who or what is the author of the seal report?");
        assert_eq!(steps.second("Imogen Harrow"), "Which extension has Imogen Harrow?");
        assert_eq!(steps_of(QUESTION, "Which extension has #1").unwrap().first, steps.first);
    }

    #[test]
    fn what_is_not_the_question_but_for_its_description_is_no_step() {
        for written in [
            QUESTION,
            "",
            "#1",
            "#1?",
            "Which salary has #1?",
            "Which extension has the author of #1?",
            "Which extension has #1 or #1?",
            "Which #1?",
        ] {
            assert_eq!(steps_of(QUESTION, written), None, "{written:?}");
        }
        let generator = ScriptedGenerator::from_script(|_: &str| "In building #1 of #1".to_owned());
        let question = "Who is the owner of the red tank in building #1?";
        assert_eq!(take_apart(question, &generator, &CancelToken::new()).unwrap(), None);
        assert_eq!(steps_of("What is the list price of the US?", "What is #1?"), None, "nothing is asked about it");
    }

    #[test]
    fn a_name_is_what_the_statement_has_word_for_word_and_the_question_has_not() {
        let statement = "The report on the seals was written by Ruth Penhale. Ask nobody else?";
        let name = |written: &'static str| {
            let generator = ScriptedGenerator::from_script(move |_: &str| written.to_owned());
            let question = "Who or what is the author of the report?";
            name_in("Reports > Seals 2025", statement, question, &generator, &CancelToken::new()).unwrap()
        };
        assert_eq!(name("Ruth Penhale.").as_deref(), Some("Ruth Penhale"));
        assert_eq!(name("Seals 2025").as_deref(), Some("Seals 2025"), "it may stand above");
        for written in ["Imogen Harrow", "Ruth Pen", "The report", "", "Ask nobody else?", statement] {
            assert_eq!(name(written), None, "{written:?}");
        }
    }
}
