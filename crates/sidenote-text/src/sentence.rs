//! A text becomes sentences, so that a note can quote the words that carry the answer and not the whole passage.
//!
//! Lines come first: a table row, a list item, a heading or a line of code ends where its line ends, a paragraph goes on
//! over its line breaks. Within a paragraph the Unicode rules find the boundaries, and what they are known to get wrong
//! (abbreviations, initials, dates, notes behind the full stop, text without capitals) is repaired.

use unicode_segmentation::UnicodeSegmentation;

use crate::Span;

/// Sentences of `text` in order, without white space at their ends. Every byte that is not white space lies in exactly
/// one of them.
pub fn sentences(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    for (block, is_whole) in blocks_of(text) {
        if is_whole {
            push(text, block.start, block.end, &mut found);
        } else {
            split_block(text, block, &mut found);
        }
    }
    found
}

/// Longest stretch that the Unicode rules see at once: some of them look far ahead.
const MAX_BLOCK_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Blank,
    /// Goes on with the line before it.
    Prose,
    /// Begins something that may go on: a list item.
    Item,
    /// Stands alone: a heading, a table row, a rule, a line of code.
    Alone,
}

/// Stretches of text that no sentence crosses, and whether each is one sentence whatever stands in it.
fn blocks_of(text: &str) -> Vec<(Span, bool)> {
    let mut lines: Vec<Span> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        lines.push(Span::new(start, start + line.len()));
        start += line.len();
    }
    let kinds = kinds_of(text, &lines);
    let mut blocks = Vec::new();
    let mut open: Option<Span> = None;
    for (line, kind) in lines.iter().zip(&kinds) {
        let joins = *kind == Line::Prose && open.is_some_and(|open| line.end - open.start <= MAX_BLOCK_BYTES);
        if joins {
            open = open.map(|open| Span::new(open.start, line.end));
            continue;
        }
        blocks.extend(open.take().map(|block| (block, false)));
        match kind {
            Line::Blank => {}
            Line::Alone => blocks.push((*line, true)),
            Line::Prose | Line::Item => open = Some(*line),
        }
    }
    blocks.extend(open.map(|block| (block, false)));
    blocks
}

fn kinds_of(text: &str, lines: &[Span]) -> Vec<Line> {
    let of = |index: usize| lines.get(index).and_then(|line| line.slice(text)).unwrap_or_default();
    let mut kinds: Vec<Line> = Vec::with_capacity(lines.len());
    let mut fence: Option<&str> = None;
    for index in 0..lines.len() {
        let line = of(index);
        let trimmed = line.trim();
        let marker = ["```", "~~~"].into_iter().find(|marker| trimmed.starts_with(marker));
        let above = index.checked_sub(1).map_or("", of);
        let after_prose = matches!(kinds.last(), Some(Line::Prose));
        let kind = if trimmed.is_empty() {
            Line::Blank
        } else if let Some(open) = fence {
            if marker == Some(open) {
                fence = None;
            }
            Line::Alone
        } else if marker.is_some() {
            fence = marker;
            Line::Alone
        } else if is_heading(trimmed) || is_rule(trimmed) || is_row(trimmed) {
            Line::Alone
        } else if starts_item(trimmed, after_prose)
            || (is_field(trimmed) && (is_field(of(index + 1).trim()) || is_field(above.trim())))
        {
            Line::Item
        } else {
            Line::Prose
        };
        kinds.push(kind);
    }
    kinds
}

fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - rest.len())) && (rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.chars().all(|c| matches!(c, '=' | '-' | '~' | '*' | '_' | '+' | '|' | ':' | ' '))
}

/// Cells between bars, tabs or wide gaps.
fn is_row(line: &str) -> bool {
    line.starts_with('|') || line.contains(" | ") || line.contains('\t') || line.contains("   ")
}

/// `Date: 4 May`, as heads of letters and minutes have it; believed where two such lines meet.
fn is_field(line: &str) -> bool {
    let Some((name, value)) = line.trim_start_matches(['*', '_']).split_once(':') else { return false };
    name.len() <= 32
        && name.split(' ').count() <= 3
        && name.starts_with(char::is_uppercase)
        && (value.is_empty() || value.starts_with([' ', '*', '_']))
}

/// A line that begins with a bullet or a number. Behind prose only `1.` begins a list: other numbers may end a sentence.
pub(crate) fn starts_item(line: &str, after_prose: bool) -> bool {
    let Some((marker, _)) = line.split_once([' ', '\t']) else { return false };
    if matches!(marker, "-" | "*" | "+" | "•" | "▪" | "◦" | "‣" | "●" | "■" | "–" | "·" | "\u{f0b7}") {
        return marker != "–" || !after_prose;
    }
    let inner = marker.trim_start_matches('(').trim_end_matches([')', '.']);
    if inner.len() == marker.len() || marker.ends_with("..") || !marker.ends_with([')', '.']) {
        return false;
    }
    let digits = !inner.is_empty() && inner.len() <= 3 && inner.bytes().all(|byte| byte.is_ascii_digit());
    let letter = inner.len() == 1 && inner.bytes().all(|byte| byte.is_ascii_lowercase());
    if after_prose && marker.ends_with('.') { inner == "1" } else { digits || letter }
}

/// Sentences of one block.
fn split_block(text: &str, block: Span, found: &mut Vec<Span>) {
    let Some(raw) = block.slice(text) else { return };
    let flat = flatten_breaks(raw);
    let has_capitals = flat.contains(char::is_uppercase);
    let mut push_all = |mut start: usize, end: usize| {
        for cut in ends_before_small_letters(&flat, Span::new(start, end), has_capitals) {
            push(text, block.start + start, block.start + cut, found);
            start = cut;
        }
        push(text, block.start + start, block.start + end, found);
    };
    let mut start = 0;
    let mut boundary = 0;
    for piece in flat.split_sentence_bounds() {
        // A note behind the full stop, as in `done.[3] Next`, belongs to the sentence that it proves.
        if boundary > start && piece_continues(&flat, start, boundary, piece) {
            boundary += piece.len();
            if let Some(end) = end_of_note(&flat, boundary - piece.len()) {
                push_all(start, end);
                start = end;
            }
            continue;
        }
        push_all(start, boundary);
        start = boundary;
        boundary += piece.len();
    }
    push_all(start, boundary);
}

/// Ends of sentences inside of `span` behind which a small letter follows, where the Unicode rules see none: a full stop that stands
/// by itself, as in texts of corpora, and any in a text that has no capitals at all, as messages often have none.
fn ends_before_small_letters(flat: &str, span: Span, has_capitals: bool) -> Vec<usize> {
    let Some(sentence) = span.slice(flat) else { return Vec::new() };
    let mut ends = Vec::new();
    for (place, mark) in sentence.match_indices(['.', '!', '?']) {
        let behind = &sentence[place + mark.len()..];
        let next = behind.trim_start();
        if next.len() == behind.len() || !next.starts_with(|c: char| c.is_lowercase()) {
            continue;
        }
        let before = &sentence[..place];
        let spoken = before.trim_end();
        let word = spoken.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        // Not what stands between two names of functions: `f . g`.
        let is_long = word.chars().count() > 1 || word.ends_with(|c: char| c.is_ascii_digit());
        let stands_alone = is_long && spoken.len() < before.len();
        let is_word = word.chars().count() > 2
            && !ALWAYS.contains(&word)
            && !BEFORE_NUMBERS.contains(&word)
            && !BEFORE_SMALL_LETTERS.contains(&word);
        if stands_alone || (!has_capitals && is_word) {
            ends.push(span.start + place + mark.len());
        }
    }
    ends
}

fn push(text: &str, start: usize, end: usize, found: &mut Vec<Span>) {
    let span = crate::markdown::trim(text, Span::new(start, end));
    if span.is_empty() {
        return;
    }
    found.push(span);
}

/// The same bytes with every line break as spaces: to the Unicode rules a line break always ends a sentence.
fn flatten_breaks(raw: &str) -> String {
    let mut flat = String::with_capacity(raw.len());
    for c in raw.chars() {
        if matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}') {
            (0..c.len_utf8()).for_each(|_| flat.push(' '));
        } else {
            flat.push(c);
        }
    }
    flat
}

/// Whether the sentence `flat[start..boundary]` goes on with `piece`, although the Unicode rules see a boundary there.
fn piece_continues(flat: &str, start: usize, boundary: usize, piece: &str) -> bool {
    let before = flat.get(start..boundary).unwrap_or_default();
    let spoken = before.trim_end();
    let next = piece.trim_start();
    let Some(first) = next.chars().next() else { return true };
    let closers = ['"', '\'', ')', ']', '}', '”', '’', '»', '*', '_', '['];
    let bare = spoken.trim_end_matches(closers);
    if spoken.len() == before.len() && bare.ends_with(['.', '!', '?', ':']) {
        return true;
    }
    if bare.ends_with(['!', '?']) {
        return first.is_lowercase();
    }
    let Some(stem) = spoken.strip_suffix('.') else { return false };
    if stem.ends_with('.') {
        return false;
    }
    let word = stem
        .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '“' | '„' | '/'))
        .next()
        .unwrap_or(stem);
    let alone = stem.trim_start().len() == word.len();
    let lower = word.to_lowercase();
    if ALWAYS.contains(&lower.as_str()) {
        return true;
    }
    if first.is_ascii_digit() && BEFORE_NUMBERS.contains(&lower.as_str()) {
        return true;
    }
    let short_number = (1..=3).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    if short_number {
        // `3. Sign the form`, `5. 12. 2024`, `am 3. März`.
        let month = next.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
        return alone || first.is_ascii_digit() || MONTHS.contains(&month.to_lowercase().as_str());
    }
    let mut letters = word.chars();
    let initial = matches!((letters.next(), letters.next()), (Some(letter), None) if letter.is_uppercase());
    if initial && first.is_uppercase() {
        // `J. Smith`, `J. R. Smith`, but not `Plan B. Then`: a name begins the sentence or follows another name.
        let lead = stem.trim_end_matches(word).trim_end();
        let previous = lead.rsplit(char::is_whitespace).next().unwrap_or_default();
        return alone || previous.ends_with('.') || NAME_LEADS.contains(&previous.to_lowercase().as_str());
    }
    alone && word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// End of a note in square brackets whose inside begins at `inside`, where white space follows it.
fn end_of_note(flat: &str, inside: usize) -> Option<usize> {
    if !flat.get(..inside)?.ends_with('[') {
        return None;
    }
    let rest = flat.get(inside..)?;
    let close = rest.find(']').filter(|close| *close <= 12)?;
    let numbers = rest.get(..close)?.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b' ' | b'-'));
    (numbers && rest.get(close + 1..)?.starts_with(' ')).then_some(inside + close + 1)
}

/// Abbreviations that never end a sentence, without their last full stop.
const ALWAYS: &[&str] = &[
    "e.g", "eg", "i.e", "ie", "cf", "vs", "viz", "approx", "dr", "mr", "mrs", "ms", "mx", "prof", "rev", "hon", "gen",
    "col", "capt", "lt", "sgt", "messrs", "mme", "mlle", "st", "z.b", "d.h", "u.a", "bzw", "vgl", "ggf", "inkl",
    "zzgl", "ca", "sog", "evtl", "hr", "fr", "c.f", "a.k.a", "incl", "excl", "resp",
];

/// Abbreviations that are followed by a number, without their last full stop.
const BEFORE_NUMBERS: &[&str] = &[
    "no", "nos", "nr", "fig", "figs", "eq", "eqs", "sec", "sect", "ch", "chap", "p", "pp", "vol", "vols", "art",
    "arts", "cl", "para", "paras", "ref", "refs", "tel", "ext", "max", "min", "est", "abs", "tab", "app", "ver", "v",
    "rev", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "ser", "pt", "bd",
    "aufl", "str", "hs", "ziff", "kap", "n", "col", "fol", "ed", "eur", "usd", "pos", "item", "mon", "tue", "wed",
    "thu", "fri", "sat", "sun",
];

/// Abbreviations of three letters and more behind which a sentence goes on with a small letter, without their last full stop.
const BEFORE_SMALL_LETTERS: &[&str] = &["etc", "usw", "inc", "ltd", "dept", "temp", "misc", "std"];

/// Months that German writes behind an ordinal.
const MONTHS: &[&str] = &[
    "januar",
    "februar",
    "märz",
    "april",
    "mai",
    "juni",
    "juli",
    "august",
    "september",
    "oktober",
    "november",
    "dezember",
];

/// Words behind which a single capital is an initial.
const NAME_LEADS: &[&str] =
    &["by", "and", "with", "to", "from", "of", "mr", "mrs", "ms", "dr", "von", "und", "&", "is", "for", "contact"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|span| span.slice(text).expect("in text")).collect()
    }

    #[test]
    fn plain_prose_splits_at_full_stops_questions_and_exclamations() {
        assert_eq!(split("It rained. Did it? Yes! We left."), ["It rained.", "Did it?", "Yes!", "We left."]);
        assert_eq!(split("“Stop!” he said. They stopped."), ["“Stop!” he said.", "They stopped."]);
        assert_eq!(split("彼は来た。私は行く。"), ["彼は来た。", "私は行く。"]);
    }

    #[test]
    fn abbreviations_do_not_end_a_sentence() {
        for text in [
            "Use a file, e.g. Notes.txt, for this.",
            "Dr. Meyer signed it.",
            "See No. 5 and Fig. 3 on p. 12.",
            "It was signed by J. R. Smith yesterday.",
            "Version v1.2. is old.",
            "The price is 12.50 EUR net.",
            "Am 3. März und am 5. 12. 2024 war frei, z.B. Mittwoch.",
            "Valid from Oct. 1 on.",
        ] {
            assert_eq!(split(text), [text]);
        }
    }

    #[test]
    fn a_real_end_behind_a_short_word_is_an_end() {
        assert_eq!(split("He said no. Then he left."), ["He said no.", "Then he left."]);
        assert_eq!(split("It needs v1.2. The old one fails."), ["It needs v1.2.", "The old one fails."]);
        assert_eq!(split("We follow plan B. Then we rest."), ["We follow plan B.", "Then we rest."]);
    }

    #[test]
    fn text_without_capitals_has_sentences_too() {
        assert_eq!(split("i looked at the pump. it leaks! call me"), ["i looked at the pump.", "it leaks!", "call me"]);
        assert_eq!(
            split("the lift was measured at 3.5 deg . the flow , e.g. at a wing , is known . see fig. 3"),
            ["the lift was measured at 3.5 deg .", "the flow , e.g. at a wing , is known .", "see fig. 3"]
        );
        assert_eq!(split("Tokenised by Somebody . it goes on ."), ["Tokenised by Somebody .", "it goes on ."]);
        for text in [
            "bolts, nuts etc. are in the drawer",
            "The firm calls itself acme inc. and sells pumps.",
            "He said so in the dept. of pumps.",
            "see approx. ten of them",
            "version v. b",
            "f . g",
        ] {
            assert_eq!(split(text), [text]);
        }
    }

    #[test]
    fn a_line_break_inside_a_paragraph_ends_nothing_and_a_blank_line_does() {
        assert_eq!(split("one goes\non here\n\ntwo\r\ngoes on"), ["one goes\non here", "two\r\ngoes on"]);
    }

    #[test]
    fn headings_items_rows_and_code_stand_alone() {
        let text = "# Title\nSome prose\nover lines.\n- first item\n  goes on\n- second. Two.\n1. Sign it.\n2. Send it.\n\
                    | a | b |\n|---|---|\n| 1 | 2 |\nx | y\n```\nlet a = 1;\nlet b = 2;\n```\nend";
        assert_eq!(
            split(text),
            [
                "# Title",
                "Some prose\nover lines.",
                "- first item\n  goes on",
                "- second.",
                "Two.",
                "1. Sign it.",
                "2. Send it.",
                "| a | b |",
                "|---|---|",
                "| 1 | 2 |",
                "x | y",
                "```",
                "let a = 1;",
                "let b = 2;",
                "```",
                "end"
            ]
        );
    }

    #[test]
    fn a_line_that_stands_alone_is_not_split_further() {
        for text in ["## 1. Scope", "### Dr. No. Part 2. End", "| One. Two. | Three. |", "TR-40   2.2 kW. Ok.   6 bar"]
        {
            assert_eq!(split(text), [text]);
        }
    }

    #[test]
    fn the_head_of_a_letter_is_not_one_sentence() {
        assert_eq!(
            split("Date: 4 May\nTo: Ann\nDear Ann,\nit works."),
            ["Date: 4 May", "To: Ann\nDear Ann,\nit works."]
        );
    }

    #[test]
    fn a_note_behind_the_full_stop_stays_with_its_sentence() {
        assert_eq!(split("It holds.[12] The next one."), ["It holds.[12]", "The next one."]);
    }

    #[test]
    fn text_made_to_be_slow_is_split_all_the_same() {
        for pattern in [". ", ".\" ", "1. ", "a.b ", "\" ", "! ) "] {
            let text = pattern.repeat(200_000 / pattern.len());
            let white = text.chars().filter(|c| !c.is_whitespace()).count();
            let covered: usize = split(&text).iter().map(|s| s.chars().filter(|c| !c.is_whitespace()).count()).sum();
            assert_eq!(covered, white, "{pattern:?}");
        }
    }

    proptest! {
        #[test]
        fn every_byte_that_is_not_white_is_in_exactly_one_sentence(
            text in proptest::collection::vec(
                prop_oneof![
                    "\\PC{0,6}", "[a-zA-Z]{1,5}", Just(". ".to_owned()), Just("\n".to_owned()), Just("\n\n".to_owned()),
                    Just("Dr. ".to_owned()), Just(".[1] ".to_owned()), Just("[".to_owned()), Just("- ".to_owned()),
                    Just("```\n".to_owned()), Just("\r\n".to_owned()), Just("\u{2028}".to_owned()), Just("1. ".to_owned()),
                ],
                0..40,
            ).prop_map(|parts| parts.concat())
        ) {
            let spans = sentences(&text);
            let mut end = 0;
            for span in &spans {
                prop_assert!(span.start >= end);
                prop_assert!(text[end..span.start].trim().is_empty());
                let slice = span.slice(&text).expect("on boundaries");
                prop_assert!(!slice.is_empty());
                prop_assert_eq!(slice.trim(), slice);
                end = span.end;
            }
            prop_assert!(text[end..].trim().is_empty());
        }
    }
}
