//! reStructuredText: the stored text is the file; section titles are lines with a rule under them, and over them where the
//! writer likes. Which sign is which level is told by the order in which the signs appear. Tables are found by their borders
//! (`rst_tables.rs`).

use crate::plain::{lines_of, of_markup};
use crate::rst_tables::tables_of;
use crate::{Document, ExtractError, ExtractLimits, Format, Heading, Span};

/// Reads a reStructuredText file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let mut document = of_markup(Format::Rst, bytes, limits, headings_of)?;
    document.tables = tables_of(&document.text);
    Ok(document)
}

fn headings_of(text: &str) -> Vec<Heading> {
    let lines: Vec<(usize, &str)> = lines_of(text).collect();
    let line_at = |index: usize| lines.get(index).map_or("", |(_, line)| line.trim_end());
    let mut headings = Vec::new();
    // A sign with a rule over the title is another level than the same sign without.
    let mut styles: Vec<(char, bool)> = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let over = rule_of(line_at(index))
            .filter(|(sign, _)| rule_of(line_at(index + 2)).is_some_and(|(under, _)| under == *sign));
        let title_index = if over.is_some() { index + 1 } else { index };
        let stands_free = index == 0
            || line_at(index - 1).is_empty()
            || headings.last().is_some_and(|heading: &Heading| {
                lines.get(index).is_some_and(|(start, _)| heading.span.end + 2 >= *start)
            });
        let title = line_at(title_index);
        let rule = rule_of(line_at(title_index + 1));
        let Some((sign, _)) = rule.filter(|(_, length)| {
            let is_long_enough = *length >= title.trim_start_matches('\u{feff}').trim().chars().count();
            let is_title = !title.trim().is_empty() && rule_of(title).is_none();
            // Only under a rule may a title be indented.
            is_title && is_long_enough && stands_free && (over.is_some() || !title.starts_with([' ', '\t']))
        }) else {
            index += 1;
            continue;
        };
        let style = (sign, over.is_some());
        let level = styles.iter().position(|known| *known == style).unwrap_or_else(|| {
            styles.push(style);
            styles.len() - 1
        });
        let (start, _) = lines.get(index).copied().unwrap_or_default();
        let end = lines.get(title_index + 1).map_or(start, |(start, _)| start + line_at(title_index + 1).len());
        headings.push(Heading {
            level: u8::try_from(level + 1).unwrap_or(6).min(6),
            title: title.trim().trim_matches('\u{feff}').to_owned(),
            span: Span::new(start, end),
        });
        index = title_index + 2;
    }
    headings
}

/// A line of one sign, and its length.
fn rule_of(line: &str) -> Option<(char, usize)> {
    let sign = line.chars().next().filter(char::is_ascii_punctuation)?;
    let length = line.chars().count();
    (length >= 2 && line.chars().all(|c| c == sign) && line != "::").then_some((sign, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_have_levels_by_the_order_of_their_rules() {
        let text = "=====\nGuide\n=====\n\nIntro\n=====\n\ntext\n\nMore\n----\nand text\n\nBack\n====\nDeep\n----\n\n====  ====\na     b\n====  ====\n";
        let document = read(text.as_bytes(), &ExtractLimits::default()).expect("reads");
        let outline: Vec<_> = document.headings.iter().map(|heading| (heading.level, heading.title.as_str())).collect();
        assert_eq!(outline, [(1, "Guide"), (2, "Intro"), (3, "More"), (2, "Back"), (3, "Deep")]);
        assert_eq!(document.headings[0].span.slice(text), Some("=====\nGuide\n====="));
        assert_eq!((document.title.as_deref(), document.text.as_str()), (Some("Guide"), text));
    }

    #[test]
    fn transitions_and_literal_blocks_are_no_titles() {
        let text = "text\n\n----\n\nmore::\n\n  code\n  ====\n\na list of words\nthat goes on\n====\n";
        assert_eq!(headings_of(text), []);
    }
}
