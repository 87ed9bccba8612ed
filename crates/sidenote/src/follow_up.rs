//! A question that leans on what was said before is put so that it stands alone.
//!
//! Whoever asks "and what does it cost?" after a first answer means something that no search for these words finds. The language model
//! writes the question anew, and the program looks over what it wrote: it may use words of the conversation and no others, so nothing
//! is asked that nobody spoke of. A question that names what it asks about stays as it is: with the words of earlier questions
//! beside its own it would find what was found already. (Rewriting the questions of a conversation: Elgohary et al., "Can You Unpack
//! That? Learning to Rewrite Questions-in-Context", EMNLP 2019.)

use std::collections::HashSet;

use sidenote_model::{CancelToken, Generator};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    answer::Turn,
    draft::LabelFilter,
    error::Error,
    prompt,
    terms::{Term, term_set},
};

/// Turns that a question may lean on, the last ones.
pub(crate) const MAX_TURNS: usize = 2;
/// What is read of an earlier question or answer, in characters. A question leans on what was spoken of, not on all that was said.
const MAX_TURN_CHARS: usize = 160;
/// Longer questions say what they are about. In bytes.
const MAX_QUESTION_BYTES: usize = 300;
/// Fewer words with a meaning of their own say too little to be searched for alone.
const MIN_TERMS: usize = 2;
/// Words that stand for something named before, in the languages of the stop words. The German "sie", "es" and "ihr" most often
/// do not.
const POINTING: [&str; 33] = [
    "it", "its", "they", "them", "their", "he", "him", "his", "she", "her", "this", "that", "these", "those", "there",
    "then", "one", "ones", "same", "such", "other", "others", "else", "former", "latter", "er", "ihn", "ihm", "dieser",
    "diese", "dieses", "davon", "dort",
];
/// Words that begin a question which goes on from another.
const GOING_ON: [&str; 6] = ["and", "or", "but", "und", "oder", "aber"];

/// The question as it would be asked by somebody who heard nothing of the conversation; `None` where it is that already, or where the
/// model's way to put it cannot be trusted.
pub(crate) fn stand_alone(
    question: &str,
    earlier: &[Turn],
    generator: &dyn Generator,
    cancel: &CancelToken,
) -> Result<Option<String>, Error> {
    let recent: Vec<String> = earlier[earlier.len().saturating_sub(MAX_TURNS)..]
        .iter()
        .flat_map(|turn| [&turn.question, &turn.answer])
        .map(|text| shortened(text))
        .filter(|text| !text.is_empty())
        .collect();
    if recent.is_empty() || !leans(question) {
        return Ok(None);
    }
    let max_tokens =
        generator.count_tokens(question) + recent.iter().map(|text| generator.count_tokens(text)).sum::<usize>();
    let written = prompt::written(&prompt::follow_up_messages(&recent, question), max_tokens, generator, cancel)?;
    let standalone = trusted(&written.text, question, &recent).or_else(|| beside_the_last(question, earlier));
    tracing::debug!(rewritten = standalone.is_some(), "a question that leans on earlier ones");
    Ok(standalone)
}

/// Whether a question says by itself too little of what it is about.
fn leans(question: &str) -> bool {
    let goes_on = question.unicode_words().next().is_some_and(|word| is_among(word, &GOING_ON));
    let points = question.unicode_words().any(|word| is_among(word, &POINTING));
    question.len() <= MAX_QUESTION_BYTES && (goes_on || points || own_terms(question).len() < MIN_TERMS)
}

/// What a question names itself.
fn own_terms(question: &str) -> HashSet<Term> {
    let naming = question.unicode_words().filter(|word| !is_among(word, &POINTING));
    term_set(&naming.collect::<Vec<_>>().join(" "))
}

fn is_among(word: &str, list: &[&str]) -> bool {
    list.contains(&word.to_lowercase().as_str())
}

/// What the model wrote, where it asks what the question asks and names nothing that was not named.
fn trusted(written: &str, question: &str, recent: &[String]) -> Option<String> {
    let mut lines = written.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.next().filter(|_| lines.next().is_none())?;
    let (asked, named) = (own_terms(question), term_set(line));
    let said: HashSet<Term> = recent.iter().flat_map(|text| term_set(text)).chain(asked.iter().cloned()).collect();
    let numbers_kept = asked.iter().filter(|term| term.is_number).all(|term| named.contains(term));
    let says_more = !named.is_subset(&asked);
    let keeps_half = 2 * asked.intersection(&named).count() >= asked.len();
    (says_more && keeps_half && numbers_kept && named.is_subset(&said)).then(|| line.to_owned())
}

/// A question that says nothing by itself, behind the one it follows: "Who signs? Why?" is found, "Why?" is not.
fn beside_the_last(question: &str, earlier: &[Turn]) -> Option<String> {
    let last = earlier.last().map(|turn| shortened(&turn.question)).filter(|last| !last.is_empty())?;
    (own_terms(question).len() < MIN_TERMS).then(|| format!("{last} {}", question.trim()))
}

/// The beginning of a text, up to the end of a word, in one line and without the numbers of notes.
fn shortened(text: &str) -> String {
    let mut labels = LabelFilter::default();
    let unlabelled = labels.push(text) + &labels.finish();
    let line = unlabelled.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut left = MAX_TURN_CHARS;
    let words = line.split_word_bounds().take_while(|word| {
        let fits = word.chars().count() <= left;
        left = left.saturating_sub(word.chars().count());
        fits
    });
    words.collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use sidenote_model::ScriptedGenerator;

    use super::*;

    fn rewritten(question: &str, written: &'static str) -> Option<String> {
        let earlier = [
            Turn::new("Who makes tea?", "Nobody."),
            Turn::new("What does the red tank hold?", "The red tank at the mill holds 400 litres. [1]"),
        ];
        let generator = ScriptedGenerator::from_script(move |_: &str| written.to_owned());
        stand_alone(question, &earlier, &generator, &CancelToken::new()).unwrap()
    }

    #[test]
    fn what_a_question_leans_on_is_named_in_it() {
        let whole = "What does the blue tank at the mill hold?";
        assert_eq!(rewritten("And the blue one?", whole).as_deref(), Some(whole));
        assert_eq!(
            rewritten("Why?", "Why does the red tank hold 400 litres?").as_deref(),
            Some("Why does the red tank hold 400 litres?")
        );
    }

    #[test]
    fn nothing_is_asked_that_nobody_spoke_of() {
        for written in [
            "",
            "Does the farm have a blue tank with a lid?",
            "What does the red tank at the mill hold?",
            "Does the mill have a blue tank?\nIs its lid blue?",
            "And has it a blue lid?",
        ] {
            assert_eq!(rewritten("And has it a blue lid?", written), None, "{written:?}");
        }
        let without_the_year = "What is the rent of the red tank?";
        assert_eq!(rewritten("And the rent in 2019?", without_the_year), None, "the year is lost");
    }

    #[test]
    fn what_says_nothing_by_itself_is_put_behind_the_last_question() {
        assert_eq!(rewritten("Why is that?", "Napoleon").as_deref(), Some("What does the red tank hold? Why is that?"));
        assert_eq!(rewritten("Does it leak at night?", "Napoleon"), None);
    }

    #[test]
    fn a_question_that_names_its_matter_and_one_without_a_conversation_stay() {
        assert_eq!(rewritten("Who repairs the chapel doors?", "What does the red tank hold?"), None);
        let generator = ScriptedGenerator::from_script(|_: &str| panic!("the model is not asked"));
        for earlier in [&[][..], &[Turn::new("", " ")]] {
            assert_eq!(stand_alone("And the blue one?", earlier, &generator, &CancelToken::new()).unwrap(), None);
        }
    }

    #[test]
    fn of_a_long_answer_the_beginning_is_read() {
        let long = format!("{} [1] end", "word ".repeat(100));
        let short = shortened(&long);
        assert!(short.ends_with("word") && short.chars().count() <= MAX_TURN_CHARS, "{short}");
        assert_eq!(shortened(&"x".repeat(1000)), "");
        assert_eq!(shortened(&"\u{6c34}".repeat(1000)).chars().count(), MAX_TURN_CHARS);
        assert_eq!(shortened("Four hundred litres. [1][2]\nMore. [3]"), "Four hundred litres. More.");
    }
}
