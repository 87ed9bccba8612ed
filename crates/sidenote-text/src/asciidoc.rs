//! AsciiDoc: the stored text is the file; `=` signs before a title tell its level, `|===` lines stand around a table.
//!
//! Inside of listings and comments nothing is looked for.

use crate::plain::{lines_of, of_markup};
use crate::{Document, ExtractError, ExtractLimits, Format, Heading, Span, Table};

/// Reads an AsciiDoc file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let mut document = of_markup(Format::Asciidoc, bytes, limits, headings_of)?;
    document.tables = tables_of(&document.text);
    document.author = author_of(&document);
    Ok(document)
}

/// Lines that stand around what is kept as it is.
fn is_fence(line: &str) -> bool {
    let line = line.trim_end();
    let is_of = |sign: char| line.len() >= 4 && line.chars().all(|c| c == sign);
    is_of('-') || is_of('.') || is_of('+') || is_of('/') || line == "```"
}

/// The lines outside of listings.
fn prose_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    lines_of(text).filter(move |(_, line)| match fence {
        Some(open) => {
            if line.trim_end() == open {
                fence = None;
            }
            false
        }
        None if is_fence(line) => {
            fence = Some(line.trim_end());
            false
        }
        None => true,
    })
}

fn headings_of(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    for (start, line) in prose_lines(text) {
        let bare = line.trim_start_matches('\u{feff}');
        let signs = bare.chars().take_while(|c| *c == '=').count();
        let Some(title) = bare.get(signs..).filter(|rest| (1..=6).contains(&signs) && rest.starts_with([' ', '\t']))
        else {
            continue;
        };
        let title = title.trim().trim_end_matches('=').trim_end();
        if !title.is_empty() {
            let span = Span::new(start + line.len() - bare.len(), start + line.trim_end().len());
            headings.push(Heading { level: u8::try_from(signs).unwrap_or(6), title: title.to_owned(), span });
        }
    }
    headings
}

/// The line under the title names the author: `Ruth Meier <ruth@example.com>`.
fn author_of(document: &Document) -> Option<String> {
    let title = document.headings.first().filter(|heading| heading.level == 1)?;
    let line = document.text.get(title.span.end..)?.lines().nth(1)?.trim();
    let (name, rest) = line.split_once('<')?;
    (rest.contains('@') && !name.trim().is_empty()).then(|| name.trim().to_owned())
}

fn tables_of(text: &str) -> Vec<Table> {
    let mut tables = Vec::new();
    let mut open: Option<OpenTable> = None;
    let mut options = "";
    for (start, line) in prose_lines(text) {
        let words = line.trim_end();
        if words == "|===" {
            match open.take() {
                Some(table) => tables.extend(
                    table.header.map(|header| Table { span: Span::new(table.start, start + words.len()), header }),
                ),
                None => {
                    open = Some(OpenTable { start, wants_header: options.contains("header"), ..OpenTable::default() })
                }
            }
        } else if let Some(table) = &mut open {
            table.take(start, words);
        }
        // The line before a table may say that its first row is a header.
        options = if words.starts_with('[') { words } else { "" };
    }
    tables
}

#[derive(Default)]
struct OpenTable {
    start: usize,
    wants_header: bool,
    first: Option<Span>,
    lines: usize,
    header: Option<Span>,
}

impl OpenTable {
    /// The first row is a header where the options say so or an empty line follows it.
    fn take(&mut self, start: usize, line: &str) {
        if self.first.is_none() {
            self.first = (!line.is_empty()).then(|| Span::new(start, start + line.len()));
            self.header = self.first.filter(|_| self.wants_header);
            return;
        }
        self.lines += 1;
        if self.lines == 1 && line.is_empty() {
            self.header = self.first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_tables_and_author_are_found() {
        let text = "= Guide\nRuth Meier <ruth@example.com>\n\n== One ==\n\n----\n== no title\n----\n\n|===\n|Part |Price\n\n|Seal |4\n|===\n\n\
                    [%header]\n|===\n|a\n|b\n|===\n\n==== Deep\n\n====\nexample\n====\n";
        let document = read(text.as_bytes(), &ExtractLimits::default()).expect("reads");
        let outline: Vec<_> = document.headings.iter().map(|heading| (heading.level, heading.title.as_str())).collect();
        assert_eq!(outline, [(1, "Guide"), (2, "One"), (4, "Deep")]);
        assert_eq!((document.title.as_deref(), document.author.as_deref()), (Some("Guide"), Some("Ruth Meier")));
        let headers: Vec<_> = document.tables.iter().map(|table| table.header.slice(text)).collect();
        assert_eq!(headers, [Some("|Part |Price"), Some("|a")]);
        assert_eq!(document.tables[0].span.slice(text), Some("|===\n|Part |Price\n\n|Seal |4\n|==="));
        assert_eq!(document.text, text);
    }
}
