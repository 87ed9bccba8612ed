//! Plain text: the stored text is the file, and next to nothing in it is taken for structure.

use crate::markdown::trim;
use crate::{Document, ExtractError, ExtractLimits, Format, Heading, Span, encoding, extract};

/// Longest line taken for a heading.
const MAX_HEADING_CHARS: usize = 100;

/// Reads a text file in any encoding.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let decoded = encoding::decode(bytes, None);
    extract::check_length(&decoded.text, limits)?;
    let text = decoded.text.into_owned();
    let headings = underlined_headings(&text);
    // A first line that is underlined names the document; a later one names a section.
    let opening = headings.first().filter(|heading| text.get(..heading.span.start).is_some_and(is_blank_lead));
    Ok(Document {
        format: Format::Text,
        title: opening.map(|heading| heading.title.clone()),
        language: None,
        pages: Vec::new(),
        tables: Vec::new(),
        warnings: decoded.warning.into_iter().collect(),
        headings,
        text,
    })
}

fn is_blank_lead(lead: &str) -> bool {
    lead.chars().all(|c| c.is_whitespace() || matches!(c, '\u{feff}' | '=' | '-' | '~' | '#' | '*'))
}

/// Lines that stand alone over a rule of their own length. Levels follow the order in which the rules' characters appear.
fn underlined_headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut rules: Vec<char> = Vec::new();
    let mut before: Option<&str> = None;
    let mut lines = lines_of(text).peekable();
    while let Some((start, line)) = lines.next() {
        let stands_free = before.is_none_or(|line| line.trim().is_empty() || rule_of(line).is_some());
        if let Some(&(rule_start, rule_line)) = lines.peek()
            && let Some((rule, rule_chars)) = rule_of(rule_line)
            && stands_free
            && is_title(line, rule_chars)
        {
            lines.next();
            before = Some(rule_line);
            if lines.peek().is_none_or(|(_, next)| next.trim().is_empty()) {
                let level = rules.iter().position(|known| *known == rule).unwrap_or_else(|| {
                    rules.push(rule);
                    rules.len() - 1
                });
                headings.push(Heading {
                    level: u8::try_from(level + 1).unwrap_or(6).min(6),
                    title: line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_owned(),
                    span: trim(text, Span::new(start, rule_start + rule_line.len())),
                });
            }
        } else {
            before = Some(line);
        }
    }
    headings
}

fn is_title(line: &str, rule_chars: usize) -> bool {
    let chars = line.trim().chars().filter(|c| *c != '\u{feff}').count();
    let near = rule_chars >= chars && rule_chars <= chars + 3;
    chars <= MAX_HEADING_CHARS && near && line.chars().any(char::is_alphabetic) && rule_of(line).is_none()
}

/// The character and length of a line that is nothing but one rule.
fn rule_of(line: &str) -> Option<(char, usize)> {
    let line = line.trim();
    let rule = line.chars().next().filter(|c| matches!(c, '=' | '-' | '~' | '#' | '*' | '^'))?;
    (line.len() >= 3 && line.chars().all(|c| c == rule)).then_some((rule, line.len()))
}

/// Lines with the offset of each, line breaks excluded.
fn lines_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = offset;
        offset += line.len();
        (start, line.trim_end_matches(['\n', '\r']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Document {
        read(text.as_bytes(), &ExtractLimits::default()).expect("reads")
    }

    #[test]
    fn underlined_lines_are_headings_in_order_of_their_rules() {
        let text = "Handbook\n========\n\nTravel\n------\n\ntext\n\nMeals\n-----\n\ntext\n";
        let document = read_text(text);
        let outline: Vec<_> = document.headings.iter().map(|h| (h.level, h.title.as_str())).collect();
        assert_eq!(outline, [(1, "Handbook"), (2, "Travel"), (2, "Meals")]);
        assert_eq!(document.headings[1].span.slice(text), Some("Travel\n------"));
        assert_eq!(document.title.as_deref(), Some("Handbook"));
    }

    #[test]
    fn nothing_uncertain_is_a_heading() {
        for text in [
            "# not markdown\n\ntext\n",
            "a line of prose\nends here\n---------\n\n",
            "item\n--------------------------------\n\n",
            "Name\n----\nrow\n",
            "-----\n-----\n\n",
            "12.50\n-----\n\n",
        ] {
            assert!(read_text(text).headings.is_empty(), "{text:?}");
        }
    }
}
