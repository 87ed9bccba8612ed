//! How text becomes search terms.
//!
//! Two readings of the same text. *Words*: runs of letters and digits, each part of a compound for itself, a
//! `camelCase` word also in its humps; later stemmed and stripped of stop words. *Exact*: the same words unstemmed, and
//! every compound (`AB-1203/7`, `snake_case`, `a.b@c.de`) also as a whole, so that a code is found by its parts and
//! ranks first when it is typed in full. Scripts that do not put spaces between words are read in overlapping pairs of
//! characters.

use std::ops::Range;

/// Changes whenever the same text would give other terms; a full-text index made with another number is rebuilt.
pub(crate) const ANALYSIS_VERSION: u32 = 3;
/// A term longer than this, in bytes, is no word that anybody types; its parts are kept.
const MAX_TERM_BYTES: usize = 120;

/// Which reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Parts only.
    Words,
    /// Parts and wholes.
    Exact,
}

/// A term as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Where in the text, in bytes.
    pub(crate) range: Range<usize>,
    /// In its own case.
    pub(crate) text: String,
    /// Parts are counted from 0. A compound stands where its first part does, a hump where its word does, so that what stands
    /// side by side in the text has numbers side by side.
    pub(crate) position: usize,
    /// Not a compound, and not a hump.
    pub(crate) is_part: bool,
}

/// What was read so far.
#[derive(Default)]
struct Terms {
    read: Vec<Read>,
    /// Parts among it.
    parts: usize,
}

/// The terms of `text` in order of their beginning.
pub(crate) fn terms(text: &str, reading: Reading) -> Vec<Read> {
    let mut terms = Terms::default();
    let mut compound: Vec<Range<usize>> = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        if is_unspaced(character) {
            let mut run = vec![(start, character)];
            while let Some(next) = characters.next_if(|(_, next)| is_unspaced(*next)) {
                run.push(next);
            }
            end_compound(text, &mut compound, reading, &mut terms);
            push_pairs(text, &run, &mut terms);
        } else if is_letter(character) {
            let mut end = start + character.len_utf8();
            while let Some((at, next)) =
                characters.next_if(|(_, next)| (is_letter(*next) && !is_unspaced(*next)) || is_mark(*next))
            {
                end = at + next.len_utf8();
            }
            let possessive = matches!(&text[start..end], "s" | "S")
                && compound.last().is_some_and(|part| matches!(text.get(part.end..start), Some("'" | "\u{2019}")));
            if !possessive {
                compound.push(start..end);
            }
            let connected = characters.peek().is_some_and(|(_, next)| is_connector(*next));
            if connected {
                characters.next();
                if characters.peek().is_some_and(|(_, next)| is_letter(*next) && !is_unspaced(*next)) {
                    continue;
                }
            }
            end_compound(text, &mut compound, reading, &mut terms);
        }
    }
    end_compound(text, &mut compound, reading, &mut terms);
    terms.read
}

/// Puts out the parts that were read, and the whole where there are several.
fn end_compound(text: &str, compound: &mut Vec<Range<usize>>, reading: Reading, terms: &mut Terms) {
    if reading == Reading::Exact
        && let (Some(first), Some(last)) = (compound.first(), compound.last())
        && compound.len() > 1
    {
        terms.push(text, first.start..last.end, false);
    }
    for part in compound.drain(..) {
        terms.push(text, part.clone(), true);
        for hump in humps(&text[part.clone()]) {
            terms.push(text, part.start + hump.start..part.start + hump.end, false);
        }
        terms.parts += 1;
    }
}

fn push_pairs(text: &str, run: &[(usize, char)], terms: &mut Terms) {
    let range = |first: &(usize, char), last: &(usize, char)| first.0..last.0 + last.1.len_utf8();
    if let [only] = run {
        terms.push(text, range(only, only), true);
        terms.parts += 1;
    }
    for pair in run.windows(2) {
        terms.push(text, range(&pair[0], &pair[1]), true);
        terms.parts += 1;
    }
}

impl Terms {
    fn push(&mut self, text: &str, range: Range<usize>, is_part: bool) {
        if range.len() <= MAX_TERM_BYTES {
            let text: String = text[range.clone()].chars().filter(|character| !is_mark(*character)).collect();
            if !text.is_empty() {
                self.read.push(Read { range, text, position: self.parts, is_part });
            }
        }
    }
}

/// The parts of a `camelCase` word; none where it has only one.
fn humps(word: &str) -> Vec<Range<usize>> {
    let mut humps = Vec::new();
    let mut start = 0;
    let characters: Vec<(usize, char)> = word.char_indices().collect();
    for window in characters.windows(2) {
        let [(_, before), (at, here)] = *window else { continue };
        let after = word[at..].chars().nth(1);
        let rises = before.is_lowercase() && here.is_uppercase();
        let ends_capitals = before.is_uppercase() && here.is_uppercase() && after.is_some_and(char::is_lowercase);
        if rises || ends_capitals {
            humps.push(start..at);
            start = at;
        }
    }
    if start > 0 {
        humps.push(start..word.len());
    }
    humps
}

/// Whether it joins two words to a compound when it stands between them, as in `AB-1203/7`.
pub fn is_connector(character: char) -> bool {
    matches!(
        character,
        '-' | '_' | '.' | '/' | ':' | '@' | '#' | '+' | '&' | '\\' | '\'' | '\u{2019}' | '\u{2010}' | '\u{2011}'
    )
}

/// Letters, digits, and the signs that the scripts of India put on their letters.
fn is_letter(character: char) -> bool {
    !is_mark(character) && character.is_alphanumeric()
        || matches!(character, '\u{900}'..='\u{dff}')
            && !matches!(character, '\u{964}' | '\u{965}' | '\u{970}' | '\u{df4}')
}

/// A combining mark: belongs to the letter before it and is left out of the term, as if folded. So do the vowel signs of Hebrew
/// and Arabic, which most texts leave out.
fn is_mark(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200d}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

/// Scripts written without spaces between words, and Hangul, whose words carry endings.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{0e00}'..='\u{0eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' // Myanmar
        | '\u{1100}'..='\u{11ff}' // Hangul letters
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' // Hiragana, Katakana
        | '\u{3130}'..='\u{318f}'
        | '\u{3400}'..='\u{4dbf}' // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' // Hangul syllables
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        terms(text, Reading::Words).into_iter().map(|term| term.text).collect()
    }

    fn exact(text: &str) -> Vec<String> {
        terms(text, Reading::Exact).into_iter().map(|term| term.text).collect()
    }

    #[test]
    fn a_code_is_kept_whole_and_in_parts() {
        assert_eq!(exact("part AB-1203/7."), ["part", "AB-1203/7", "AB", "1203", "7"]);
        assert_eq!(words("part AB-1203/7."), ["part", "AB", "1203", "7"]);
        assert_eq!(exact("max_text_bytes = 3.5"), ["max_text_bytes", "max", "text", "bytes", "3.5", "3", "5"]);
        assert_eq!(exact("mail a.b@c.de, now"), ["mail", "a.b@c.de", "a", "b", "c", "de", "now"]);
    }

    #[test]
    fn a_connector_at_an_edge_joins_nothing() {
        assert_eq!(exact("-a- b. .c 'd' e--f"), ["a", "b", "c", "d", "e", "f"]);
    }

    #[test]
    fn a_possessive_is_the_word_itself() {
        assert_eq!(words("the company's \u{2018}firm\u{2019}s\u{2019} car"), ["the", "company", "firm", "car"]);
    }

    #[test]
    fn camel_case_is_also_read_in_humps() {
        assert_eq!(words("parseHTTPRequest x"), ["parseHTTPRequest", "parse", "HTTP", "Request", "x"]);
        assert_eq!(words("Plain HTTP iPhone"), ["Plain", "HTTP", "iPhone", "i", "Phone"]);
    }

    #[test]
    fn text_without_spaces_is_read_in_pairs() {
        assert_eq!(words("東京都 a京b"), ["東京", "京都", "a", "京", "b"]);
    }

    #[test]
    fn what_stands_side_by_side_has_positions_side_by_side() {
        let places: Vec<(String, usize)> = terms("the AB-1203/7 oneTwo 東京都", Reading::Exact)
            .into_iter()
            .map(|term| (term.text, term.position))
            .collect();
        let expected = [
            ("the", 0),
            ("AB-1203/7", 1),
            ("AB", 1),
            ("1203", 2),
            ("7", 3),
            ("oneTwo", 4),
            ("one", 4),
            ("Two", 4),
            ("東京", 5),
            ("京都", 6),
        ];
        assert_eq!(places, expected.map(|(text, place)| (text.to_owned(), place)));
    }

    #[test]
    fn signs_that_belong_to_a_letter_do_not_end_its_word() {
        assert_eq!(words("हिन्दी में।"), ["हिन्दी", "में"]);
        assert_eq!(words("كِتَابٌ"), ["كتاب"]);
        assert_eq!(words("שָׁלוֹם"), ["שלום"]);
    }

    #[test]
    fn combining_marks_are_folded_away() {
        assert_eq!(words("cafe\u{301} na\u{308}ive"), ["cafe", "naive"]);
    }

    #[test]
    fn ranges_lie_in_the_text_whatever_it_is() {
        for text in [
            "\u{301}\u{301}",
            "a\u{301}-\u{301}b",
            "\u{1F600}a\u{1F600}",
            "''s 's",
            "a_\u{4e00}_b",
            &"x".repeat(500),
            &"a-".repeat(300),
        ] {
            for reading in [Reading::Words, Reading::Exact] {
                for term in terms(text, reading) {
                    assert!(text.get(term.range).is_some());
                    assert!(!term.text.is_empty() && term.text.len() <= MAX_TERM_BYTES);
                }
            }
        }
    }
}
