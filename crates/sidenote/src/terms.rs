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
        .map(|word| bare(&word).to_owned())
        .filter(|word| !STOP_SET.contains(word.as_str()))
        .map(|word| fold(&stemmer, &word))
        .collect()
}

/// A word without what is drawn together with it: `who's` and `I'm` are words without meaning, `Aldmoor's` is a name.
fn bare(word: &str) -> &str {
    const DRAWN_TOGETHER: [&str; 6] = ["s", "m", "d", "re", "ve", "ll"];
    match word.rsplit_once(['\'', '\u{2019}']) {
        Some((bare, ending)) if DRAWN_TOGETHER.contains(&ending) => bare,
        _ => word,
    }
}

/// The distinct terms of `text`.
pub(crate) fn term_set(text: &str) -> HashSet<Term> {
    terms(text).into_iter().collect()
}

/// Whether a text has a term that the question has not.
pub(crate) fn says_more(text: &str, question: &str) -> bool {
    !term_set(text).is_subset(&term_set(question))
}

/// Where a text has these words, the first and the last of them whole. What counts as the same letter is the caller's to say.
pub(crate) fn find_words<'a>(text: &'a str, words: &str, is_same: fn(char, char) -> bool) -> Option<&'a str> {
    let ends_word = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.char_indices().find_map(|(start, _)| {
        let mut rest = text[start..].chars();
        let has_them = words.chars().all(|wanted| rest.next().is_some_and(|c| is_same(c, wanted)));
        let end = text.len() - rest.as_str().len();
        let is_whole = ends_word(text[..start].chars().next_back()) && ends_word(rest.next());
        (has_them && is_whole).then(|| &text[start..end])
    })
}

/// The words of `text` that name one thing and no other, as they are written, each once: numbers, codes, and words with a capital
/// that do not begin the text. In German every noun has a capital, and says nothing by it.
pub(crate) fn names(text: &str) -> Vec<&str> {
    let capitals_tell = sidenote_text::detect_language(text).as_deref() != Some("de");
    let mut found = Vec::new();
    for (place, word) in words(text).enumerate() {
        let has_capital = place > 0 && word.starts_with(char::is_uppercase);
        let is_name = word.chars().any(|c| c.is_ascii_digit()) || (has_capital && capitals_tell);
        if is_name && !terms(word).is_empty() && !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

/// The words of `text` as they are written, without signs around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().map(|word| bare(word.trim_matches(|c: char| !c.is_alphanumeric())))
}

/// Whether `text` speaks of a sibling of a code of the question and not of the code itself: of the CB-400X or the CB-200 where
/// the CB-400 is asked for.
pub(crate) fn names_a_sibling(question: &str, text: &str) -> bool {
    let (asked, said) = (codes(question), codes(text));
    let is_among = |codes: &HashSet<String>, code: &String| codes.iter().any(|other| is_same_code(other, code));
    asked.iter().any(|code| {
        let is_sibling = |other: &String| series(other) == series(code) && !is_among(&asked, other);
        !is_among(&said, code) && said.iter().any(is_sibling)
    })
}

/// The codes of a text in lower case: letters, then digits, such as `cb-400`; what is joined by a stroke or dash also apart.
fn codes(text: &str) -> HashSet<String> {
    let pieces = |word| words(word).chain(word.split(['/', '|', ',', '\u{2013}', '\u{2014}']).flat_map(words));
    let codes = text.split_whitespace().flat_map(pieces).map(str::to_lowercase);
    codes.filter(|code| !series(code).is_empty()).collect()
}

/// `cb-400` is also in `cb-400s` and `cb-400-pumpe`, and not in `cb-400x`.
fn is_same_code(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|rest| rest == "s" || !rest.starts_with(char::is_alphanumeric))
}

/// What stands before the first digit of a code such as `CB-400`; empty for words without digits and for numbers.
fn series(word: &str) -> &str {
    let (letters, _) = word.split_at(word.find(|c: char| c.is_ascii_digit()).unwrap_or(0));
    letters
}

fn fold(stemmer: &Stemmer, word: &str) -> Term {
    if word.chars().any(|c| c.is_ascii_digit()) {
        return Term { text: plain_number(word), is_number: true };
    }
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
    fn words_drawn_together_are_the_words_they_are() {
        assert_eq!(texts("When I'm sick, who\u{2019}s told? Aldmoor's head."), texts("sick told Aldmoor head"));
        assert_eq!(names("When I'm sick, I've to tell Aldmoor\u{2019}s head"), ["Aldmoor"]);
        assert_eq!(texts("They don't"), ["don't"], "negations are kept");
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
        assert_eq!(names("Wie warm darf es im Lager für die Bleichlauge der CB-400 höchstens werden?"), ["CB-400"]);
    }

    #[test]
    fn a_sibling_of_a_code_is_another_thing() {
        let question = "What is the list price of the CB-400?";
        assert!(names_a_sibling(question, "The list price of the CB-400X is \u{a3}1,240."));
        assert!(names_a_sibling(question, "(CB-200): 410"));
        assert!(!names_a_sibling(question, "The cb-400 stays at \u{a3}890, the CB-200 at \u{a3}410."));
        assert!(!names_a_sibling(question, "It costs \u{a3}890, says HB-2."));
        for written in ["CB-400/CB-200", "|CB-400|890|", "CB-400-Pumpe", "the CB-400s", "CB-400\u{2013}CB-420"] {
            assert!(!names_a_sibling(question, written), "{written}");
            assert!(!names_a_sibling(&format!("What of {written}?"), "The CB-400."), "{written}");
        }
        assert!(!names_a_sibling("Is the CB-400 cheaper than the CB-200?", "The CB-200 costs 410."));
        assert!(names_a_sibling("Is the CB-400 cheaper than the CB-200?", "The CB-300 costs 410."));
        assert!(!names_a_sibling("What was paid for 2021?", "In 2022 nothing was paid."));
        assert!(!names_a_sibling("Who are we?", "The CB-200."));
    }

    #[test]
    fn negations_are_kept() {
        assert!(texts("must not be opened").contains(&"not".to_owned()));
    }

    #[test]
    fn letters_that_grow_when_they_are_folded_do_no_harm() {
        let found = |text, words| find_words(text, words, |a, b| a.to_lowercase().eq(b.to_lowercase()));
        assert_eq!(found("In İzmir, at the Große Straße.", "große strasse"), None);
        assert_eq!(found("In İzmir, at the Große Straße.", "GROßE straße"), Some("Große Straße"));
        assert_eq!(found("In İzmir, at dusk.", "i\u{307}zmir"), None);
        assert_eq!(found("日本は東京", "東京"), None, "a part of a word is no word");
    }
}
