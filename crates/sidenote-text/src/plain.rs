//! Plain text: the stored text is the file, and little in it is taken for structure: lines over a rule, free-standing lines in
//! capitals, the subject of a letter or mail.

use crate::markdown::trim;
use crate::{Document, ExtractError, ExtractLimits, Format, Heading, Span, encoding, extract};

/// Longest line taken for a heading.
const MAX_HEADING_CHARS: usize = 100;
/// Most lines at the beginning of a letter or mail that are looked through for its subject.
const MAX_FIELD_LINES: usize = 20;
/// What the subject is called: English, German, French, Spanish, Italian, Dutch.
const SUBJECT_NAMES: [&str; 9] =
    ["subject", "re", "betreff", "betrifft", "objet", "asunto", "oggetto", "onderwerp", "title"];

/// Reads a text file in any encoding.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let decoded = encoding::decode(bytes, None);
    extract::check_length(&decoded.text, limits)?;
    let text = decoded.text.into_owned();
    let mut headings = underlined_headings(&text);
    if headings.is_empty() {
        headings = capital_headings(&text);
    }
    // A first line that is a heading names the document; a later one names a section.
    let opening = headings.first().filter(|heading| text.get(..heading.span.start).is_some_and(is_blank_lead));
    Ok(Document {
        title: opening.map(|heading| heading.title.clone()).or_else(|| subject(&text)),
        warnings: decoded.warning.into_iter().collect(),
        headings,
        ..Document::of_text(Format::Text, text)
    })
}

/// Reads a text of another format that is stored as it is, with the headings that `find` sees in it. The outermost names the
/// document where nothing else does.
pub(crate) fn of_markup(
    format: Format,
    bytes: &[u8],
    limits: &ExtractLimits,
    find: impl FnOnce(&str) -> Vec<Heading>,
) -> Result<Document, ExtractError> {
    let decoded = encoding::decode(bytes, None);
    extract::check_length(&decoded.text, limits)?;
    let text = decoded.text.into_owned();
    let headings = find(&text);
    Ok(Document {
        title: headings.iter().min_by_key(|heading| heading.level).map(|heading| heading.title.clone()),
        warnings: decoded.warning.into_iter().collect(),
        headings,
        ..Document::of_text(format, text)
    })
}

/// What a letter or mail says it is about, when it begins with lines such as `From: Ruth`.
fn subject(text: &str) -> Option<String> {
    let mut fields = 0;
    let mut subject = None;
    for (_, line) in lines_of(text).skip_while(|(_, line)| line.trim().is_empty()).take(MAX_FIELD_LINES) {
        let Some((name, value)) = line.split_once(':') else { break };
        if name.is_empty() || !name.chars().all(|c| c.is_alphabetic() || c == '-') {
            break;
        }
        fields += 1;
        if SUBJECT_NAMES.contains(&name.to_lowercase().as_str()) {
            subject = extract::sane_title(value.trim());
        }
    }
    subject.filter(|_| fields >= 2)
}

/// Lines in capitals between blank lines, as contracts and manuals set them: `5. MAINTENANCE`. The first line of the text
/// may be followed by the rest of the title. Numbered lines stand one level lower for each part of their number.
fn capital_headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut stands_free = true;
    // Where the first line with words begins or ends; looked for once, since blank lines may be most of a file.
    let lead = text.find(|c: char| !is_blank_sign(c)).unwrap_or(text.len());
    let mut lines = lines_of(text).peekable();
    while let Some((start, line)) = lines.next() {
        let is_candidate = stands_free && is_capitals(line);
        stands_free = line.trim().is_empty();
        if !is_candidate {
            continue;
        }
        let mut end = start + line.len();
        let mut title = line.trim().to_owned();
        if start <= lead {
            // The rest of the title: at most two short lines that are no field and no sentence.
            for _ in 0..2 {
                let Some((next_start, next)) = lines.peek() else { break };
                if next.trim().is_empty() || next.contains(':') || next.trim_end().ends_with('.') {
                    break;
                }
                if title.chars().count() + next.trim().chars().count() > MAX_HEADING_CHARS {
                    break;
                }
                title = format!("{title}, {}", next.trim());
                end = next_start + next.len();
                lines.next();
            }
        }
        if lines.peek().is_none_or(|(_, next)| next.trim().is_empty()) {
            let number = line.trim().split(char::is_whitespace).next().unwrap_or_default();
            let parts = number.split('.').filter(|part| part.parse::<u16>().is_ok()).count();
            let level = if headings.is_empty() && parts == 0 { 1 } else { 1 + parts.max(1) };
            headings.push(Heading {
                level: u8::try_from(level).unwrap_or(6).min(6),
                title: title.trim_matches('\u{feff}').to_owned(),
                span: trim(text, Span::new(start, end)),
            });
        }
    }
    headings
}

/// Whether every letter of a short line is a capital, and enough of them stand there to be words.
fn is_capitals(line: &str) -> bool {
    let mut letters = 0;
    for c in line.chars() {
        if c.is_lowercase() || matches!(c, '|' | '\t') {
            return false;
        }
        letters += usize::from(c.is_uppercase());
    }
    letters >= 4 && line.trim().chars().count() <= MAX_HEADING_CHARS && !line.starts_with("   ")
}

fn is_blank_lead(lead: &str) -> bool {
    lead.chars().all(is_blank_sign)
}

fn is_blank_sign(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '=' | '-' | '~' | '#' | '*')
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
pub(crate) fn lines_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
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
    fn free_standing_lines_in_capitals_are_headings() {
        let text = "LEASE OF PREMISES\nWorks building, Ostwick\n\nLandlord: a\n\n1. PREMISES\n\n1.1 The landlord\nlets.\n\n1.2 DEPOSIT\n\nx\n";
        let document = read_text(text);
        let outline: Vec<_> = document.headings.iter().map(|h| (h.level, h.title.as_str())).collect();
        assert_eq!(
            outline,
            [(1, "LEASE OF PREMISES, Works building, Ostwick"), (2, "1. PREMISES"), (3, "1.2 DEPOSIT")]
        );
        assert_eq!(document.title.as_deref(), Some("LEASE OF PREMISES, Works building, Ostwick"));
        assert_eq!(document.headings[1].span.slice(text), Some("1. PREMISES"));
    }

    #[test]
    fn a_letter_is_called_by_its_subject() {
        let title = |text| read_text(text).title;
        assert_eq!(title("From: Ruth\nTo: all\nSubject: Company cards\n\nDear all"), Some("Company cards".to_owned()));
        assert_eq!(title("Subject: alone in its line\n\ntext"), None);
        assert_eq!(title("Dear all,\nSubject: no\nFrom: x\n"), None);
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
            "THIS IS\nNOT ONE because it goes on\nand on.\n",
            "text\nLOUD\n\n",
            "A | B\n\n",
            "NO\n\n",
        ] {
            assert!(read_text(text).headings.is_empty(), "{text:?}");
        }
    }
}
