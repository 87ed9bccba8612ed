//! Builds a document of a format that has no text of its own to keep: office files, e-books, mail.
//!
//! Normal form, the same as for HTML: paragraphs and headings with a blank line between them, list items on lines that
//! begin with `- `, rows of a table on lines with ` | ` between the cells, preformatted text as it is, other white space
//! folded. Characters that cannot be seen are left out.

use crate::markdown::fold_white;
use crate::rows::RowMarks;
use crate::{Document, ExtractError, ExtractLimits, Format, Heading, Place, Span, Table};

/// Between the cells of a row.
pub(crate) const CELL_JOINT: &str = " | ";

/// Warnings kept of one document; a book of ten thousand broken chapters needs no ten thousand.
const MAX_WARNINGS: usize = 100;

/// A document under construction. Nothing is written over the limit; [`DocumentBuilder::finish`] reports it.
pub(crate) struct DocumentBuilder {
    document: Document,
    max_bytes: usize,
    is_over: bool,
    /// A list item was the last thing written: the next one follows on the next line.
    in_list: bool,
    open_place: Option<(String, usize)>,
    rows: RowMarks,
}

impl DocumentBuilder {
    pub(crate) fn new(format: Format, limits: &ExtractLimits) -> Self {
        Self {
            document: Document::of_text(format, String::new()),
            max_bytes: limits.max_text_bytes,
            is_over: false,
            in_list: false,
            open_place: None,
            rows: RowMarks::default(),
        }
    }

    /// The document so far, for its title, author and the like. Its text and spans belong to the builder.
    pub(crate) fn document(&mut self) -> &mut Document {
        &mut self.document
    }

    /// Whether the text is over the limit already: what follows need not be read.
    pub(crate) fn is_full(&self) -> bool {
        self.is_over
    }

    /// Most bytes of text.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Gives the document up as too long: what holds text back before it comes here has too much of it.
    pub(crate) fn refuse(&mut self) {
        self.is_over = true;
    }

    /// A heading; `level` is brought to 1 to 6. One without words is nothing.
    pub(crate) fn heading(&mut self, level: u8, text: &str) {
        let title = fold_white(&visible(text));
        if let Some(span) = self.write_block(&title, "\n\n") {
            self.document.headings.push(Heading { level: level.clamp(1, 6), title, span });
        }
        self.in_list = false;
    }

    /// A paragraph, white space folded but for its own line breaks.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.write_paragraph(text);
    }

    /// A paragraph that is a row of a sheet.
    pub(crate) fn row_paragraph(&mut self, number: u32, text: &str) {
        if let Some(span) = self.write_paragraph(text) {
            self.rows.add(&self.document.text, span, number);
        }
    }

    fn write_paragraph(&mut self, text: &str) -> Option<Span> {
        self.in_list = false;
        let lines: Vec<String> = visible(text).lines().map(fold_white).filter(|line| !line.is_empty()).collect();
        self.write_block(&lines.join("\n"), "\n\n")
    }

    /// A list item; 0 is the outermost depth. The items of a list stand on lines that follow each other.
    pub(crate) fn item(&mut self, depth: usize, text: &str) {
        let words = fold_white(&visible(text));
        if words.is_empty() {
            return;
        }
        let line = format!("{}- {words}", "  ".repeat(depth.min(8)));
        self.write_block(&line, if self.in_list { "\n" } else { "\n\n" });
        self.in_list = true;
    }

    /// Text whose lines and spaces matter, such as program code.
    pub(crate) fn preformatted(&mut self, text: &str) {
        let kept: String = text.chars().filter(|c| *c == '\t' || !is_invisible(*c)).collect();
        self.write_block(kept.trim_matches(['\n', '\r']).trim_end(), "\n\n");
        self.in_list = false;
    }

    /// A table, row by row; the first row is its header where `has_header`. Rows without words are left out. The header
    /// is repeated in nothing: every row of the table is found and cited with it.
    pub(crate) fn table(&mut self, rows: impl IntoIterator<Item = Vec<String>>, has_header: bool) {
        self.write_table(rows.into_iter().map(|cells| (None, cells)), has_header);
    }

    /// As [`DocumentBuilder::table`]; the rows are those of a sheet and have a number.
    pub(crate) fn sheet_table(&mut self, rows: impl Iterator<Item = (u32, Vec<String>)>, has_header: bool) {
        self.write_table(rows.map(|(number, cells)| (Some(number), cells)), has_header);
    }

    /// What follows is no row of a sheet.
    pub(crate) fn end_rows(&mut self) {
        self.rows.end(self.document.text.len());
    }

    fn write_table(&mut self, rows: impl Iterator<Item = (Option<u32>, Vec<String>)>, has_header: bool) {
        self.in_list = false;
        let mut first: Option<Span> = None;
        let mut last = Span::new(0, 0);
        for (number, cells) in rows {
            let cells: Vec<String> = cells.iter().map(|cell| fold_white(&visible(cell))).collect();
            if cells.iter().all(String::is_empty) {
                continue;
            }
            let row = cells.join(CELL_JOINT);
            let Some(span) = self.write_block(row.trim_end(), if first.is_some() { "\n" } else { "\n\n" }) else {
                break;
            };
            if let Some(number) = number {
                self.rows.add(&self.document.text, span, number);
            }
            first.get_or_insert(span);
            last = span;
        }
        if let Some(first) = first {
            let header = if has_header { first } else { Span::new(first.start, first.start) };
            self.document.tables.push(Table { span: Span::new(first.start, last.end), header });
        }
    }

    /// What follows stands in this place: `slide 3`, `sheet Prices`.
    pub(crate) fn begin_place(&mut self, name: impl Into<String>) {
        self.end_place();
        self.open_place = Some((name.into(), self.document.text.len()));
        self.in_list = false;
    }

    /// A document of another format, such as a chapter in HTML, with its headings lowered by `levels`. Its title and the
    /// like are not taken over, its warnings are.
    pub(crate) fn append(&mut self, other: Document, levels: u8) {
        self.in_list = false;
        let from = other.text.len() - other.text.trim_start().len();
        let Some(written) = self.write_block(other.text.trim(), "\n\n") else { return };
        let shifted = |span: Span| {
            let place = |offset: usize| (offset.max(from) - from + written.start).min(written.end);
            Span::new(place(span.start), place(span.end))
        };
        let document = &mut self.document;
        document.headings.extend(other.headings.into_iter().map(|heading| Heading {
            level: heading.level.saturating_add(levels).clamp(1, 6),
            title: heading.title,
            span: shifted(heading.span),
        }));
        let tables = other.tables.into_iter();
        document.tables.extend(tables.map(|table| Table { span: shifted(table.span), header: shifted(table.header) }));
        other.warnings.into_iter().for_each(|warning| self.warn(warning));
    }

    /// Something a user should know although the file was read.
    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        let warnings = &mut self.document.warnings;
        if warnings.contains(&warning) {
            return;
        }
        match warnings.len() {
            ..MAX_WARNINGS => warnings.push(warning),
            MAX_WARNINGS => warnings.push("there is more to say about this file than fits here".to_owned()),
            _ => {}
        }
    }

    /// The document. Without a title of its own it is called by its first top heading.
    ///
    /// # Errors
    /// [`ExtractError::TooLong`].
    pub(crate) fn finish(mut self) -> Result<Document, ExtractError> {
        if self.is_over {
            return Err(ExtractError::TooLong { limit: self.max_bytes });
        }
        self.end_place();
        let mut document = Document { rows: self.rows.finish(), ..self.document };
        if document.title.is_none() {
            let first = document.headings.iter().min_by_key(|heading| heading.level);
            document.title = first.map(|heading| heading.title.clone());
        }
        Ok(document)
    }

    fn end_place(&mut self) {
        if let Some((name, start)) = self.open_place.take() {
            let span = self.span_from(start);
            self.document.places.push(Place { name, span });
        }
    }

    /// From `start` to the end of the text, without the gap that was written first.
    fn span_from(&self, start: usize) -> Span {
        crate::markdown::trim(&self.document.text, Span::new(start, self.document.text.len()))
    }

    /// Writes text behind a gap; `None` where there is none, or no room.
    fn write_block(&mut self, block: &str, gap: &str) -> Option<Span> {
        if block.is_empty() || self.is_over {
            return None;
        }
        let text = &mut self.document.text;
        if text.len().saturating_add(gap.len()).saturating_add(block.len()) > self.max_bytes {
            self.is_over = true;
            return None;
        }
        if !text.is_empty() {
            text.push_str(gap);
        }
        let start = text.len();
        text.push_str(block);
        Some(Span::new(start, text.len()))
    }
}

/// Text without what cannot be seen; other control characters than line breaks become spaces.
fn visible(text: &str) -> String {
    let shown = text.chars().filter(|c| c.is_whitespace() || !is_invisible(*c));
    shown.map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

/// Control characters, and characters that only tell where a line may break.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{feff}') || (c.is_control() && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> DocumentBuilder {
        DocumentBuilder::new(Format::Html, &ExtractLimits::default())
    }

    #[test]
    fn blocks_stand_apart_and_lists_and_tables_together() {
        let mut built = builder();
        built.begin_place("slide 1");
        built.heading(1, " Price\n list ");
        built.paragraph("All prices\u{ad} in  euro.\n\n Net. ");
        built.item(0, "one");
        built.item(1, "two");
        built.begin_place("slide 2");
        built.table(
            [["Part", "Price"], ["", ""], ["Seal\tkit", "12.50"]].map(|row| row.map(str::to_owned).to_vec()),
            true,
        );
        built.preformatted("\nfn main() {\n    run();\n}\n");
        let document = built.finish().expect("fits");
        let text = "Price list\n\nAll prices in euro.\nNet.\n\n- one\n  - two\n\nPart | Price\nSeal kit | 12.50\n\nfn main() {\n    run();\n}";
        assert_eq!(document.text, text);
        assert_eq!(document.title.as_deref(), Some("Price list"));
        let slice = |span: Span| span.slice(&document.text).expect("a span");
        assert_eq!(slice(document.headings[0].span), "Price list");
        assert_eq!(slice(document.tables[0].header), "Part | Price");
        assert_eq!(slice(document.tables[0].span), "Part | Price\nSeal kit | 12.50");
        assert!(slice(document.places[0].span).ends_with("- two"));
        assert!(slice(document.places[1].span).starts_with("Part"));
    }

    #[test]
    fn warnings_end_somewhere() {
        let mut built = builder();
        (0..1_000).for_each(|number| built.warn(format!("chapter {number}")));
        let warnings = built.finish().expect("fits").warnings;
        assert_eq!(warnings.len(), MAX_WARNINGS + 1);
        assert!(warnings.last().is_some_and(|last| last.contains("more to say")));
    }

    #[test]
    fn an_appended_document_keeps_its_structure_under_new_offsets() {
        let chapter =
            crate::html::read(b"<h1>Two</h1><table><tr><th>a<th>b<tr><td>1<td>2</table>", &ExtractLimits::default());
        let mut built = builder();
        built.paragraph("before");
        built.append(chapter.expect("reads"), 1);
        let document = built.finish().expect("fits");
        assert_eq!(document.text, "before\n\nTwo\n\na | b\n1 | 2");
        assert_eq!((document.headings[0].level, document.headings[0].span.slice(&document.text)), (2, Some("Two")));
        assert_eq!(document.tables[0].header.slice(&document.text), Some("a | b"));
    }

    #[test]
    fn a_text_over_the_limit_is_refused_whole() {
        let mut built =
            DocumentBuilder::new(Format::Html, &ExtractLimits { max_text_bytes: 10, ..ExtractLimits::default() });
        built.paragraph("five5");
        assert!(!built.is_full());
        built.paragraph("four");
        assert!(built.is_full());
        assert_eq!(built.finish(), Err(ExtractError::TooLong { limit: 10 }));
    }
}
