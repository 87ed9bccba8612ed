//! A question that asks several things becomes several questions.
//!
//! Whoever asks "what is the rent here, and what in Lisbon?" wants two sentences, often from two documents, and one search
//! for all of it finds half. The language model takes such a question apart; the program looks over what it made: parts may
//! use the words of the question and no others, so nothing is asked that the user did not ask.

use std::collections::HashSet;

use sidenote_model::{CancelToken, Generator};

use crate::{
    error::Error,
    prompt,
    terms::{Term, term_set},
};

/// Most parts of one question. Each costs as much time as a question.
const MAX_PARTS: usize = 3;
/// Longer questions tell a story, and taking it apart would lose it. In bytes.
const MAX_QUESTION_BYTES: usize = 400;
/// Words that join two things, in the languages of the stop words.
const JOINING: [&str; 2] = ["and", "und"];

/// A part of a question that asks one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// What it asks, for people.
    pub(crate) asks: String,
    /// What is searched for and put to the model: the same, behind the part it leans on, if it leans on one.
    pub(crate) question: String,
    /// Whether it says nothing of the matter by itself: its question then has the first part in it, and what answered
    /// that one is no answer to it.
    pub(crate) leans: bool,
}

impl Part {
    /// The question as it is.
    pub(crate) fn whole(question: &str) -> Self {
        Self { asks: question.to_owned(), question: question.to_owned(), leans: false }
    }
}

/// Takes a question apart. Nearly always there is one part, the question itself.
pub(crate) fn split(question: &str, generator: &dyn Generator, cancel: &CancelToken) -> Result<Vec<Part>, Error> {
    if !may_ask_more(question) {
        return Ok(vec![Part::whole(question)]);
    }
    // The parts repeat the question's words, some of them twice.
    let max_tokens = 3 * generator.count_tokens(question);
    let written = prompt::written(&prompt::split_messages(question), max_tokens, generator, cancel)?;
    let parts = parts_of(question, &written.text);
    tracing::debug!(parts = parts.len(), "question taken apart");
    Ok(parts)
}

fn may_ask_more(question: &str) -> bool {
    let joins = question.split_whitespace().any(|word| JOINING.contains(&word.to_lowercase().as_str()));
    let asks_twice = question.trim_end_matches(['?', ' ']).contains('?');
    (joins || asks_twice) && question.len() <= MAX_QUESTION_BYTES
}

/// The parts in what the model wrote; the question as it is where they cannot be trusted.
fn parts_of(question: &str, written: &str) -> Vec<Part> {
    let lines: Vec<&str> = written.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let words: Vec<HashSet<Term>> = lines.iter().map(|line| term_set(line)).collect();
    let asked = term_set(question);
    let of_the_question = |words: &HashSet<Term>| !words.is_empty() && *words != asked && words.is_subset(&asked);
    let all_said = words.iter().flatten().collect::<HashSet<_>>().len() == asked.len();
    let is_split = (2..=MAX_PARTS).contains(&lines.len())
        && all_said
        && words.iter().enumerate().all(|(place, part)| of_the_question(part) && !words[..place].contains(part));
    if !is_split {
        return vec![Part::whole(question)];
    }
    (0..lines.len())
        .map(|place| match lines[place] {
            line if words[0].is_disjoint(&words[place]) => {
                Part { asks: line.to_owned(), question: format!("{} {line}", lines[0]), leans: true }
            }
            line => Part::whole(line),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(question: &str, written: &str) -> Vec<String> {
        parts_of(question, written).into_iter().map(|part| part.question).collect()
    }

    #[test]
    fn a_question_for_two_things_is_two_questions() {
        let question = "How much rent do we pay for Mill Lane and for the depot?";
        let written = "How much rent do we pay for Mill Lane?\nHow much rent do we pay for the depot?";
        assert_eq!(asked(question, written), written.lines().collect::<Vec<_>>());
    }

    #[test]
    fn a_part_that_says_nothing_of_the_matter_takes_the_first_along() {
        let question = "What do the rooms at the fair cost, and how much would be allowed today?";
        let written = "What do the rooms at the fair cost?\nHow much would be allowed today?";
        let parts = parts_of(question, written);
        assert_eq!(parts[1].asks, "How much would be allowed today?");
        assert_eq!(parts[1].question, "What do the rooms at the fair cost? How much would be allowed today?");
    }

    #[test]
    fn what_the_user_did_not_ask_is_not_asked() {
        let question = "What does the lamp cost, and who sells it?";
        for written in [
            "",
            "What does the lamp cost?",
            "What does the lamp cost?\nWho sells the car?",
            "What does the lamp cost, and who sells it?\nWho sells it?",
            "What does the lamp cost?\nWhat does the lamp cost?",
            "What does the lamp cost?\nIt costs too much.",
            "lamp?\ncost?\nsells?\nlamp cost?",
        ] {
            assert_eq!(asked(question, written), [question], "{written:?}");
        }
    }

    #[test]
    fn most_questions_are_not_taken_apart() {
        assert!(!may_ask_more("Who approves travel expenses?"));
        assert!(!may_ask_more("Is the brand of the sander known ?"));
        assert!(may_ask_more("Who signs and who pays?"));
        assert!(may_ask_more("Who signs? Who pays?"));
        assert!(!may_ask_more(&"and ".repeat(200)));
    }
}
