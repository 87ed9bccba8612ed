//! Words broken at the ends of lines. A hyphen there may be a printer's, which goes, or the word's own, which stays; the rest
//! of the document tells which.

use std::collections::HashMap;

use crate::pdf_layout::{Row, ends_broken};

/// Words before which a hyphen stands for a part left out: "in- und Ausland", "pre- and post-war".
const CONJUNCTIONS: [&str; 12] = ["and", "or", "to", "und", "oder", "bzw", "sowie", "bis", "et", "ou", "y", "en"];

/// How what stands before a hyphen at a line's end is joined to the next line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WordJoint {
    /// The hyphen goes.
    OneWord,
    /// The hyphen stays.
    Compound,
    /// The hyphen stays, and a space follows it.
    TwoWords,
}

/// How often each word stands within a line of the document. Parts of words at the ends of lines are none.
pub(crate) struct Words {
    counts: HashMap<String, usize>,
}

impl Words {
    pub(crate) fn of(pages: &[Vec<Row>]) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut was_broken = false;
        for row in pages.iter().flatten() {
            let mut text = row.text.as_str();
            if was_broken {
                text = text.trim_start_matches(|c: char| !c.is_whitespace());
            }
            was_broken = ends_broken(text);
            if was_broken {
                text = text.trim_end_matches(|c: char| !c.is_whitespace());
            }
            for word in text.split(|c: char| !c.is_alphanumeric() && !is_hyphen(c)) {
                let word = word.trim_matches(is_hyphen);
                if !word.is_empty() {
                    *counts.entry(word.replace('\u{2010}', "-").to_lowercase()).or_default() += 1;
                }
            }
        }
        Self { counts }
    }

    fn count(&self, word: &str) -> usize {
        self.counts.get(&word.to_lowercase()).copied().unwrap_or(0)
    }

    /// How `stem` and a hyphen at the end of a line go with `next_line`.
    pub(crate) fn joint_of(&self, stem: &str, next_line: &str) -> WordJoint {
        let rest = next_line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if !rest.starts_with(char::is_lowercase) {
            return WordJoint::Compound;
        }
        let (as_one, as_compound) = (self.count(&format!("{stem}{rest}")), self.count(&format!("{stem}-{rest}")));
        if as_one + as_compound > 0 {
            return if as_one >= as_compound { WordJoint::OneWord } else { WordJoint::Compound };
        }
        if CONJUNCTIONS.contains(&rest) {
            return WordJoint::TwoWords;
        }
        // Of "state-of-the-art" the last part only can be a broken word.
        if let Some((_, last)) = stem.rsplit_once(is_hyphen) {
            return if self.count(last) > 0 { WordJoint::Compound } else { WordJoint::OneWord };
        }
        // Two words of this document make a compound; a part that is no word was cut off one.
        if self.count(stem) > 0 && self.count(rest) > 0 { WordJoint::Compound } else { WordJoint::OneWord }
    }
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdf_layout::{Piece, rows_in_order};

    fn words(lines: &[&str]) -> Words {
        let piece = |(at, text): (u8, &&str)| Piece {
            x0: 50.0,
            x1: 400.0,
            y: 700.0 - 12.0 * f32::from(at),
            size: 10.0,
            is_bold: false,
            is_bullet: false,
            text: (*text).to_owned(),
        };
        Words::of(&[rows_in_order((0..).zip(lines).map(piece).collect())])
    }

    #[test]
    fn the_document_tells_a_broken_word_from_a_compound() {
        let words = words(&[
            "It is a well known rule that all the state-of-the-art infor-",
            "mation must be long-term, and e-mail counts as email and as email too",
        ]);
        let joint = |stem, next| words.joint_of(stem, next);
        // A part that is no word.
        assert_eq!(joint("infor", "mation is"), WordJoint::OneWord);
        assert_eq!(joint("know", "ledge of"), WordJoint::OneWord);
        // Both are words, and nothing says that they are one.
        assert_eq!(joint("well", "known rules"), WordJoint::Compound);
        // The document writes it out elsewhere.
        assert_eq!(joint("long", "term."), WordJoint::Compound);
        assert_eq!(joint("e", "mail"), WordJoint::OneWord);
        assert_eq!(joint("up-to-all", "date"), WordJoint::Compound);
        assert_eq!(joint("non-govern", "mental"), WordJoint::OneWord);
        assert_eq!(joint("Anglo", "American"), WordJoint::Compound);
        assert_eq!(joint("pre", "and post-war"), WordJoint::TwoWords);
    }

    #[test]
    fn parts_at_line_ends_are_no_words() {
        let words = words(&["a line with infor-", "mation in it", "and one with"]);
        assert_eq!(words.count("infor") + words.count("mation"), 0);
        assert_eq!(words.count("with"), 2);
    }
}
