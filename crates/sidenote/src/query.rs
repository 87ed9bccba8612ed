//! What a person types into a search, taken apart.
//!
//! `"some words"` have to stand side by side in a passage, `+word` has to be in it, `-word` and `-"some words"` must not. All
//! else is words of which any may match. What looks like a sign and is none (a quotation mark that is never closed, an inch, a
//! minus before a number) is read as text, and where that may surprise, a hint says so.

use sidenote_index::{Filter, Held, is_connector};

/// Signs that are followed in one query; each costs a search of its own.
const MAX_SIGNS: usize = 32;

/// A query, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// What passages are ranked by.
    pub(crate) words: String,
    pub(crate) holds: Vec<Held>,
    pub(crate) lacks: Vec<Held>,
    /// What was not read as it may have been meant.
    pub(crate) hint: Option<String>,
}

impl Query {
    /// All of a text as words.
    pub(crate) fn plain(text: &str) -> Self {
        Self { words: text.to_owned(), ..Self::default() }
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text;
        let mut at_start = true;
        while let Some(first) = rest.chars().next() {
            let sign = Some(first).filter(|sign| at_start && matches!(sign, '+' | '-'));
            let after_sign = &rest[sign.map_or(0, char::len_utf8)..];
            let is_full = query.holds.len() + query.lacks.len() >= MAX_SIGNS;
            let item = if at_start && !is_full { query.item(after_sign, sign) } else { None };
            match item {
                Some((item, length)) => {
                    query.take(item, sign);
                    rest = &after_sign[length..];
                }
                None => {
                    query.words.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
            at_start = query.words.chars().next_back().is_none_or(|last| last.is_whitespace() || last == '(');
        }
        if !query.lacks.is_empty() && !query.words.chars().any(char::is_alphanumeric) {
            let hint = "only words to leave out were given, so they were searched for";
            return Self { hint: Some(hint.to_owned()), ..Self::plain(text) };
        }
        query
    }

    /// The phrase or the signed word that begins here, and its length in bytes.
    fn item(&mut self, text: &str, sign: Option<char>) -> Option<(Held, usize)> {
        if text.starts_with(is_quote) {
            return self.phrase(text);
        }
        let sign = sign?;
        let first = text.chars().next()?;
        // "-5" is a number.
        if !(first.is_alphabetic() || sign == '+' && first.is_numeric()) {
            return None;
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && !is_connector(c)).unwrap_or(text.len());
        let word = text[..end].trim_end_matches(is_connector);
        Some((Held::Word(word.to_owned()), word.len()))
    }

    fn phrase(&mut self, text: &str) -> Option<(Held, usize)> {
        if self.hint.is_some() {
            // None is closed from here on.
            return None;
        }
        let open = text.chars().next().map_or(0, char::len_utf8);
        let closing = text.char_indices().skip(1).find(|(at, c)| {
            let after = text[at + c.len_utf8()..].chars().next();
            is_quote(*c) && after.is_none_or(|after| !after.is_alphanumeric())
        });
        let Some((end, mark)) = closing else {
            let hint = "a quotation mark is not closed and was read as text";
            self.hint = Some(hint.to_owned());
            return None;
        };
        let inner = &text[open..end];
        inner.chars().any(char::is_alphanumeric).then(|| (Held::Phrase(inner.trim().to_owned()), end + mark.len_utf8()))
    }

    fn take(&mut self, item: Held, sign: Option<char>) {
        if sign == Some('-') {
            self.lacks.push(item);
            return;
        }
        self.words.push_str(item.text());
        self.holds.push(item);
    }

    /// The filter, narrowed by what passages have to hold and must not.
    pub(crate) fn narrow(&self, filter: &Filter) -> Filter {
        let mut filter = filter.clone();
        filter.holds.extend(self.holds.iter().cloned());
        filter.lacks.extend(self.lacks.iter().cloned());
        filter
    }

    /// What to say of a search, which found so many passages.
    pub(crate) fn hint(&self, found: usize) -> Option<String> {
        let nothing_holds = found == 0 && !(self.holds.is_empty() && self.lacks.is_empty());
        self.hint.clone().or_else(|| {
            nothing_holds.then(|| {
                "no passage holds all that is in quotation marks or behind a `+` and nothing behind a `-`; without these signs \
                 any of the words may match"
                    .to_owned()
            })
        })
    }
}

fn is_quote(character: char) -> bool {
    matches!(character, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(text: &str) -> Held {
        Held::Word(text.to_owned())
    }

    fn phrase(text: &str) -> Held {
        Held::Phrase(text.to_owned())
    }

    #[test]
    fn signs_are_taken_out_and_what_they_ask_for_is_kept() {
        for (text, words, holds, lacks) in [
            ("travel expenses", "travel expenses", vec![], vec![]),
            ("who \"approves travel\"?", "who approves travel?", vec![phrase("approves travel")], vec![]),
            ("„Zahlung bei Erhalt“ Frist", "Zahlung bei Erhalt Frist", vec![phrase("Zahlung bei Erhalt")], vec![]),
            ("+pump seal, -valve", "pump seal, ", vec![word("pump")], vec![word("valve")]),
            ("pump -\"old seal\" +AB-1203/7", "pump  AB-1203/7", vec![word("AB-1203/7")], vec![phrase("old seal")]),
            ("(\"a b\")", "(a b)", vec![phrase("a b")], vec![]),
            ("pump -valve,seal", "pump ,seal", vec![], vec![word("valve")]),
        ] {
            let query = Query::parse(text);
            assert_eq!((query.words.as_str(), query.holds, query.lacks), (words, holds, lacks), "{text}");
            assert_eq!(query.hint, None, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_sign_is_text() {
        for text in [
            "at -5 degrees",
            "a 5\" pipe and a 3\" valve",
            "well-known state-of-the-art",
            "C++ and 1 + 1",
            "- a list item",
            "\"\" \" \"",
            "--",
        ] {
            assert_eq!(Query { hint: None, ..Query::parse(text) }, Query::plain(text), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_as_meant_is_said() {
        let open = Query::parse("who said \"not yet");
        assert_eq!(open.words, "who said \"not yet");
        assert!(open.hint.unwrap().contains("not closed"));
        let nothing = Query::parse("-valve -\"old seal\"");
        assert_eq!(nothing.words, "-valve -\"old seal\"");
        assert!(nothing.lacks.is_empty() && nothing.hint.unwrap().contains("leave out"));
        assert!(Query::parse("\"a b\"").hint(0).is_some());
        assert_eq!(Query::parse("\"a b\"").hint(1), None);
        assert_eq!(Query::parse("a b").hint(0), None);
    }

    #[test]
    fn a_query_made_to_take_long_takes_no_longer_than_others() {
        for text in ["(".repeat(200_000), "\"a ".repeat(100_000), "+a ".repeat(100_000), "- ".repeat(100_000)] {
            let query = Query::parse(&text);
            assert!(query.holds.len() + query.lacks.len() <= MAX_SIGNS);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_query(text in "[ab5 \"“”„«»+\\-()é]{0,40}") {
            let query = Query::parse(&text);
            prop_assert!(query.words.len() <= text.len());
            prop_assert!(query.holds.iter().chain(&query.lacks).all(|held| held.text().chars().any(char::is_alphanumeric)));
        }
    }
}
