//! A sentence as a statement that stands by itself.
//!
//! "They lapse if they have not been taken by 31 March" says nothing without the sentence before it, a table row nothing
//! without its header, a list item nothing without the line that opens its list.

use std::ops::Range;

use crate::{draft::without_labels, evidence::Sentence, retrieve::Hit};

/// Longest statement in bytes; a sentence that is longer stands alone.
pub(crate) const MAX_STATEMENT_BYTES: usize = 300;

/// First words of a sentence that goes on about what the one before it said, in the languages of the stop words. "Das" and
/// "die" are mostly articles, and not here.
const POINTING_BACK: [&str; 25] = [
    "it",
    "its",
    "they",
    "their",
    "them",
    "this",
    "that",
    "these",
    "those",
    "he",
    "his",
    "she",
    "her",
    "such",
    "otherwise",
    "er",
    "sie",
    "es",
    "dies",
    "diese",
    "dieser",
    "dieses",
    "diesem",
    "diesen",
    "sonst",
];

/// The places of the prose sentence and its neighbours that make one statement: those before while it points back, those
/// after while they do.
pub(crate) fn whole(place: usize, sentences: &[Sentence], hits: &[Hit]) -> Range<usize> {
    let hit = sentences[place].hit;
    let text = |place: usize| sentences[place].span.slice(&hits[hit].text).unwrap_or_default();
    let is_prose = |place: usize| sentences[place].hit == hit && kind(text(place)) == Kind::Prose;
    let bytes = |range: &Range<usize>| sentences[range.end - 1].span.end - sentences[range.start].span.start;
    let mut range = place..place + 1;
    if !is_prose(place) {
        return range;
    }
    while points_back(text(range.start)) && range.start > 0 && is_prose(range.start - 1) {
        let longer = range.start - 1..range.end;
        if bytes(&longer) > MAX_STATEMENT_BYTES {
            break;
        }
        range = longer;
    }
    while range.end < sentences.len() && is_prose(range.end) && points_back(text(range.end)) {
        let longer = range.start..range.end + 1;
        let gap = &hits[hit].text[sentences[range.end - 1].span.end..sentences[range.end].span.start];
        if bytes(&longer) > MAX_STATEMENT_BYTES || gap.matches('\n').count() > 1 {
            break;
        }
        range = longer;
    }
    range
}

fn points_back(text: &str) -> bool {
    let first = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
    POINTING_BACK.contains(&first.as_str())
}

/// A sentence and those that it needs to be understood.
pub(crate) fn needed_with(place: usize, sentences: &[Sentence], hits: &[Hit]) -> Vec<usize> {
    let hit = sentences[place].hit;
    let kind = |place: usize| kind(sentences[place].span.slice(&hits[hit].text).unwrap_or_default());
    let first = sentences.partition_point(|sentence| sentence.hit < hit);
    let mut needed = vec![place];
    // A row needs the header of its table, an item the line that opens its list.
    let mut above = place;
    match kind(place) {
        Kind::Row => {
            while above > first && kind(above - 1) == Kind::Row {
                above -= 1;
            }
        }
        Kind::Item => {
            while above > first && kind(above) == Kind::Item {
                above -= 1;
            }
        }
        Kind::Prose => above = above.saturating_sub(1).max(first),
    }
    if above != place {
        needed.insert(0, above);
    }
    needed
}

/// The place of the prose sentence before one, in the same passage.
pub(crate) fn before(place: usize, sentences: &[Sentence], hits: &[Hit]) -> Option<usize> {
    let hit = sentences[place].hit;
    let is_prose = |place: usize| kind(sentences[place].span.slice(&hits[hit].text).unwrap_or_default()) == Kind::Prose;
    let before = place.checked_sub(1).filter(|before| sentences[*before].hit == hit)?;
    (is_prose(place) && is_prose(before)).then_some(before)
}

/// Headings are sentences of the text and no statements.
pub(crate) fn is_heading(sentence: &Sentence, hits: &[Hit]) -> bool {
    let hit = &hits[sentence.hit];
    let text = sentence.span.slice(&hit.text).unwrap_or_default();
    text.starts_with('#') || hit.heading.iter().any(|heading| text.trim() == heading)
}

/// Whether a sentence says something of the matter: no heading, no single word, and more than where it is said.
pub(crate) fn is_statement(sentence: &Sentence, hits: &[Hit]) -> bool {
    !says_nothing(sentence, hits) && sentence.terms.len() > 1
}

/// Whether a sentence is a heading, or only says where something is said.
pub(crate) fn says_nothing(sentence: &Sentence, hits: &[Hit]) -> bool {
    is_heading(sentence, hits) || points_elsewhere(sentence, hits)
}

/// Words by which a sentence sends its reader elsewhere: English, German, French, Spanish, Italian, Dutch.
const SENDS: [&str; 9] = ["see", "refer", "siehe", "vgl", "voir", "cf", "véase", "vedi", "zie"];
/// Most words of a sentence that does nothing else.
const MOST_SENDING_WORDS: usize = 8;

/// Whether a sentence only says where something is said ("See the handbook."). Under a heading that asks the question it speaks of
/// the matter more than the answer itself does.
fn points_elsewhere(sentence: &Sentence, hits: &[Hit]) -> bool {
    let text = sentence.span.slice(&hits[sentence.hit].text).unwrap_or_default();
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let sends = words.next().is_some_and(|first| SENDS.contains(&first.to_lowercase().as_str()));
    sends && words.count() < MOST_SENDING_WORDS
}

/// What a sentence is by its form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Row,
    Item,
    Prose,
}

pub(crate) fn kind(text: &str) -> Kind {
    let opens_item = |text: &str| {
        let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
        text.starts_with(['-', '*', '+', '\u{2022}'])
            || (digits.len() < text.len() && (digits.starts_with(". ") || digits.starts_with(") ")))
    };
    if text.starts_with('|') || text.contains(" | ") {
        Kind::Row
    } else if opens_item(text) {
        Kind::Item
    } else {
        Kind::Prose
    }
}

/// A sentence of a document as a sentence of an answer: without marks of lists, line breaks, cell borders, and what looks like a note.
pub(crate) fn shown(text: &str) -> String {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '*' | '+' | '>' | '\u{2022}'));
    let cells: Vec<String> = text
        .split('|')
        .map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|cell| !cell.is_empty())
        .collect();
    without_labels(&cells.join(", ").replace("**", ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::sentences_of;

    fn statement(text: &str, place: usize) -> String {
        let hits = [Hit::sample(1, "", "Before."), Hit::sample(2, "", text)];
        let sentences = sentences_of(&hits, "question", &sidenote_model::HashEmbedder::new()).unwrap();
        let range = whole(place + 1, &sentences, &hits);
        text[sentences[range.start].span.start..sentences[range.end - 1].span.end].to_owned()
    }

    #[test]
    fn a_sentence_takes_along_what_it_points_back_to_and_what_points_back_to_it() {
        let text =
            "Files are deposited with Keyhold. They are released in case of need. It costs nothing. Lunch is at noon.";
        let all = "Files are deposited with Keyhold. They are released in case of need. It costs nothing.";
        for place in 0..3 {
            assert_eq!(statement(text, place), all);
        }
        assert_eq!(statement(text, 3), "Lunch is at noon.");
    }

    #[test]
    fn a_statement_ends_with_its_passage_its_paragraph_and_at_a_length() {
        assert_eq!(statement("They lapse. Lunch is at noon.", 0), "They lapse.");
        assert_eq!(statement("Days may be carried over.\n\nIt is noon.", 0), "Days may be carried over.");
        let long = format!("Days may be carried over{}. They lapse.", " and over".repeat(40));
        assert_eq!(statement(&long, 1), "They lapse.");
        assert_eq!(statement("- Files.\n- They are blue.", 1), "- They are blue.");
    }

    #[test]
    fn marks_of_lists_and_cells_are_not_shown() {
        assert_eq!(shown("- The **band** is\n  loud."), "The band is loud.");
        assert_eq!(shown("| TR-80 | 25 g |"), "TR-80, 25 g");
        assert_eq!(shown("- Built in 1998.[12]"), "Built in 1998.(12)");
    }
}
