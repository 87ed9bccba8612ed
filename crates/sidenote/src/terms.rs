//! The words of a text that carry meaning, in a form in which two texts can be compared.
//!
//! Used where the program itself judges: which sentence of a passage to quote, whether a sentence of an answer is
//! backed, whether the passages speak of what was asked. Retrieval has analysers of its own in the index.

use std::{collections::HashSet, sync::LazyLock};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

/// Words without meaning of their own, in the languages an answer is most often written in. Negations are not among
/// them: they turn a statement around.
const STOP_WORDS: &str = include_str!("stop_words.txt");

/// The same as a set, made once: a search takes apart every sentence of its best passages.
static STOP_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.split_whitespace().collect());

/// A word of a text, comparable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Term {
    /// Folded: lower case, stemmed; numbers in a plain form (`1,250.00` is `1250`).
    pub(crate) text: String,
    /// Whether it holds a digit: numbers, codes and dates must match exactly.
    pub(crate) is_number: bool,
}

/// The terms of `text` in order, stop words left out.
pub(crate) fn terms(text: &str) -> Vec<Term> {
    let stemmer = Stemmer::create(Algorithm::English);
    text.split_word_bounds()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| word.to_lowercase().replace('\u{2019}', "'"))
        .filter(|word| !STOP_SET.contains(word.as_str()))
        .map(|word| fold(&stemmer, &word))
        .collect()
}

/// The distinct terms of `text`.
pub(crate) fn term_set(text: &str) -> HashSet<Term> {
    terms(text).into_iter().collect()
}

/// The words of `text` that name one thing and no other, as they are written, each once: numbers, codes, and words with a capital
/// that do not begin the text.
pub(crate) fn names(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (place, word) in text.split_whitespace().enumerate() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let word = word.trim_end_matches("'s").trim_end_matches("\u{2019}s");
        let is_name = word.chars().any(|c| c.is_ascii_digit()) || (place > 0 && word.starts_with(char::is_uppercase));
        if is_name && !terms(word).is_empty() && !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

fn fold(stemmer: &Stemmer, word: &str) -> Term {
    if word.chars().any(|c| c.is_ascii_digit()) {
        return Term { text: plain_number(word), is_number: true };
    }
    let word = word.strip_suffix("'s").unwrap_or(word);
    match number_word(word) {
        Some(number) => Term { text: number.to_owned(), is_number: true },
        None => Term { text: stemmer.stem(word).into_owned(), is_number: false },
    }
}

/// `1,250.00` and `1250` are one number; `4.50` and `4.5` are; `AB-1203/7` stays what it is.
fn plain_number(word: &str) -> String {
    if !word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',')) {
        return word.to_owned();
    }
    let grouped = word.split([',']).skip(1).all(|group| group.split('.').next().is_some_and(|g| g.len() == 3));
    let mut number = if grouped { word.replace(',', "") } else { word.replace(',', ".") };
    if number.matches('.').count() == 1 {
        number = number.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    number
}

fn number_word(word: &str) -> Option<&'static str> {
    const WORDS: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    const DIGITS: [&str; 21] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19",
        "20",
    ];
    WORDS.iter().position(|candidate| *candidate == word).map(|place| DIGITS[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        terms(text).into_iter().map(|term| term.text).collect()
    }

    #[test]
    fn inflection_case_and_stop_words_do_not_matter() {
        assert_eq!(texts("The Head of Finance approves"), texts("heads of finance APPROVE"));
    }

    #[test]
    fn numbers_are_compared_in_a_plain_form() {
        assert_eq!(texts("1,250.00"), texts("1250"));
        assert_eq!(texts("4.50 bar"), texts("4.5 bar"));
        assert_eq!(texts("fourteen days"), texts("14 days"));
        assert_ne!(texts("1.25"), texts("125"));
    }

    #[test]
    fn names_are_numbers_codes_and_words_with_a_capital() {
        assert_eq!(
            names("What does the TR-100 cost in Lindenau? And I, \"Aldmoor's\"?"),
            ["TR-100", "Lindenau", "Aldmoor"]
        );
    }

    #[test]
    fn negations_are_kept() {
        assert!(texts("must not be opened").contains(&"not".to_owned()));
    }
}
