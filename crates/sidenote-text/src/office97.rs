//! Files of Office 97 to 2003 (DOC, XLS, PPT).
//!
//! Seam for `office_oxide`, which is in the tree through `pdf_oxide`. It reads the compound files itself, in a thread of its
//! own with a large stack, bounds nesting and memory, turns its panics into errors, and says when text was lost; what it
//! says is passed on as a warning. What it makes of a file is walked here without recursion.

use std::collections::HashSet;
use std::io::Cursor;

use office_oxide::format::DocumentFormat;
use office_oxide::ir::{Element, HeaderFooter, List, Metadata, Section, TableCell, TableRow, inline_to_text};
use office_oxide::xls::{CellValue, Sheet, XlsDocument};

use crate::builder::DocumentBuilder;
use crate::docx_body::comment;
use crate::drawing::Shape;
use crate::flow::{Block, Flow, flat};
use crate::markdown::fold_white;
use crate::ods::address;
use crate::pptx::{Slide, write_slide};
use crate::sheet::{SheetCell, SheetRow, write_sheet};
use crate::shield::{plain_reason, shield};
use crate::{Document, ExtractError, ExtractLimits, Format, extract, office_meta};

/// Reads a file of one of the three formats.
pub(crate) fn read(bytes: &[u8], format: Format, limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let kind = if format == Format::Xls {
        DocumentFormat::Xls
    } else if format == Format::Ppt {
        DocumentFormat::Ppt
    } else {
        DocumentFormat::Doc
    };
    let read = shield(|| {
        let file =
            office_oxide::Document::from_reader(Cursor::new(bytes.to_vec()), kind).map_err(|error| damaged(&error))?;
        let mut builder = DocumentBuilder::new(format, limits);
        if let Some(book) = file.as_xls() {
            write_book(book, &mut builder);
        } else {
            let document = file.to_ir();
            describe(&document.metadata, &mut builder);
            if format == Format::Ppt {
                write_slides(&document.sections, limits.max_pages, &mut builder);
            } else {
                write_text(&document.sections, &mut builder);
            }
        }
        office_meta::finish(builder)
    });
    read.unwrap_or_else(|| Err(ExtractError::Damaged("its structure makes no sense".to_owned())))
}

fn damaged(error: &office_oxide::error::OfficeError) -> ExtractError {
    let reason = plain_reason(&error.to_string());
    if reason.contains("encrypted") || reason.contains("password") {
        return ExtractError::Encrypted;
    }
    ExtractError::Damaged(reason)
}

/// A title in UTF-8 that was read byte by byte: programs leave out to say which code page it is in.
fn repaired(title: &str) -> String {
    let bytes: Option<Vec<u8>> = title.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| title.to_owned())
}

/// A title that a person gave.
fn title_of(raw: Option<&str>) -> Option<String> {
    extract::sane_title(&repaired(raw?)).filter(|title| !office_meta::is_filler(title))
}

fn describe(metadata: &Metadata, builder: &mut DocumentBuilder) {
    let document = builder.document();
    document.title = title_of(metadata.title.as_deref());
    document.author = metadata.author.as_deref().and_then(office_meta::authors);
    document.created_unix_ms = metadata.created.as_deref().and_then(office_meta::unix_ms);
    if metadata.text_truncated {
        builder.warn("some of its text could not be read");
    }
}

fn write_book(book: &XlsDocument, builder: &mut DocumentBuilder) {
    if let Some(known) = book.summary_properties() {
        let document = builder.document();
        document.title = title_of(known.title.as_deref());
        document.author = known.author.as_deref().and_then(office_meta::authors);
        document.created_unix_ms = known.created.as_deref().and_then(office_meta::unix_ms);
    }
    if book.truncated() || !book.notices().is_empty() {
        builder.warn("some of its sheets could not be read to their end");
    }
    for sheet in &book.sheets {
        let rows = (1..).zip(&sheet.rows).map(|(number, cells)| row_of(sheet, number, cells));
        write_sheet(&sheet.name, rows, builder);
        let mut flow = Flow::new(builder);
        for text in &sheet.chart_text {
            flow.block(Block::Paragraph(text.clone()));
        }
        for remark in &sheet.comments {
            let cell = address(u32::from(remark.col), u32::from(remark.row) + 1);
            if !remark.text.trim().is_empty() {
                let author = remark.author.as_deref().unwrap_or_default();
                flow.block(comment(author, &format!("{cell}: {}", remark.text.trim())));
            }
        }
        if builder.is_full() {
            return;
        }
    }
}

fn row_of(sheet: &Sheet, number: u32, cells: &[CellValue]) -> SheetRow {
    let row = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let shown = (0u32..).zip(cells.iter().enumerate()).filter_map(|(column, (at, value))| {
        let text = sheet.display_text(row, at)?;
        let text = match value {
            CellValue::Number(_) if is_iso_time(&text) => {
                text.strip_suffix("T00:00:00").unwrap_or(&text).replace('T', " ")
            }
            CellValue::Empty
            | CellValue::Number(_)
            | CellValue::String(_)
            | CellValue::Bool(_)
            | CellValue::Error(_) => text.trim().to_owned(),
        };
        (!text.is_empty()).then_some(SheetCell { column, text, is_label: matches!(value, CellValue::String(_)) })
    });
    SheetRow { number, cells: shown.collect() }
}

/// `2024-05-31T00:00:00`
fn is_iso_time(text: &str) -> bool {
    text.len() >= 19 && text.as_bytes().get(10) == Some(&b'T') && text.starts_with(|c: char| c.is_ascii_digit())
}

/// A text, its headers in front and its footers behind, each once.
fn write_text(sections: &[Section], builder: &mut DocumentBuilder) {
    let mut flow = Flow::new(builder);
    let mut seen = HashSet::new();
    let mut frames = |flow: &mut Flow<'_>, pick: fn(&Section) -> [&Option<HeaderFooter>; 3]| {
        for frame in sections.iter().flat_map(pick).flatten() {
            for block in blocks_of(&frame.content, flow) {
                let words = fold_white(&flat(block.clone()));
                if words.chars().any(char::is_alphabetic) && seen.insert(words.clone()) {
                    flow.block(if matches!(block, Block::Heading(..)) { Block::Paragraph(words) } else { block });
                }
            }
        }
    };
    frames(&mut flow, |section| [&section.header, &section.first_page_header, &section.even_page_header]);
    for section in sections {
        walk(&section.elements, &mut flow);
    }
    frames(&mut flow, |section| [&section.footer, &section.first_page_footer, &section.even_page_footer]);
}

fn write_slides(sections: &[Section], max: usize, builder: &mut DocumentBuilder) {
    if sections.len() > max {
        builder.warn(format!("only the first {max} of {} slides were read (`ingest.max_pages`)", sections.len()));
    }
    let mut footers = HashSet::new();
    for (number, section) in (1..=max).zip(sections) {
        let mut flow = Flow::new(builder);
        let mut blocks = blocks_of(&section.elements, &mut flow);
        let behind = section.speaker_notes.as_deref().map(|notes| blocks_of(notes, &mut flow)).unwrap_or_default();
        let mut shapes = Vec::new();
        if let Some(title) = section.title.clone().filter(|title| !title.trim().is_empty()) {
            // It stands among the slide's text a second time.
            let words = fold_white(&title);
            let is_title = |block: &Block| fold_white(&flat(block.clone())) == words;
            if let Some(at) = blocks.iter().position(is_title) {
                blocks.remove(at);
            }
            shapes.push(Shape { role: Some("title".to_owned()), blocks: vec![Block::Paragraph(title)] });
        }
        for block in &mut blocks {
            if let Block::Heading(_, text) = block {
                *block = Block::Paragraph(std::mem::take(text));
            }
        }
        shapes.push(Shape { role: None, blocks });
        builder.begin_place(format!("slide {number}"));
        write_slide(Slide { shapes, behind }, number, builder, &mut footers);
        if builder.is_full() {
            return;
        }
    }
}

fn blocks_of(elements: &[Element], flow: &mut Flow<'_>) -> Vec<Block> {
    flow.begin_box();
    walk(elements, flow);
    flow.end_box()
}

/// What is still to be done, the next at the end.
enum Work<'a> {
    Element(&'a Element),
    Item { element: &'a Element, depth: usize, number: Option<u64> },
    List(&'a List, usize),
    Row(&'a TableRow),
    Cell(&'a TableCell),
    EndCell,
    EndTable,
}

fn walk(elements: &[Element], flow: &mut Flow<'_>) {
    let mut stack: Vec<Work<'_>> = elements.iter().rev().map(Work::Element).collect();
    while let Some(work) = stack.pop() {
        if flow.is_full() {
            return;
        }
        match work {
            Work::Item { element: Element::Paragraph(paragraph), depth, number } => {
                let text = inline_to_text(&paragraph.content);
                flow.block(Block::Item(depth, number.map_or(text.clone(), |number| format!("{number}. {text}"))));
            }
            Work::Element(element) | Work::Item { element, .. } => open(element, &mut stack, flow),
            Work::List(list, depth) => {
                let first = u64::from(list.start_number.unwrap_or(1));
                let numbers = (first..).map(|number| list.ordered.then_some(number));
                let mut items = Vec::new();
                for (item, number) in list.items.iter().zip(numbers) {
                    for (at, element) in item.content.iter().enumerate() {
                        items.push(Work::Item { element, depth, number: number.filter(|_| at == 0) });
                    }
                    items.extend(item.nested.as_ref().map(|nested| Work::List(nested, depth + 1)));
                }
                stack.extend(items.into_iter().rev());
            }
            Work::Row(row) => {
                flow.begin_row();
                if row.is_header || row.repeat_as_header {
                    flow.mark_header();
                }
                stack.extend(row.cells.iter().rev().map(Work::Cell));
            }
            Work::Cell(cell) => {
                flow.begin_cell();
                flow.set_columns(usize::try_from(cell.col_span).unwrap_or(1));
                stack.push(Work::EndCell);
                stack.extend(cell.content.iter().rev().map(Work::Element));
            }
            Work::EndCell => flow.end_cell(),
            Work::EndTable => flow.end_table(),
        }
    }
}

fn open<'a>(element: &'a Element, stack: &mut Vec<Work<'a>>, flow: &mut Flow<'_>) {
    match element {
        Element::Heading(heading) => {
            flow.block(Block::Heading(heading.clamped_level(), inline_to_text(&heading.content)))
        }
        Element::Paragraph(paragraph) => flow.block(Block::Paragraph(inline_to_text(&paragraph.content))),
        Element::CodeBlock(code) => flow.block(Block::Paragraph(code.content.clone())),
        Element::Table(table) => {
            flow.begin_table();
            stack.push(Work::EndTable);
            stack.extend(table.rows.iter().rev().map(Work::Row));
        }
        Element::List(list) => stack.push(Work::List(list, usize::from(list.level))),
        Element::TextBox(text) => stack.extend(text.content.iter().rev().map(Work::Element)),
        Element::Footnote(note) | Element::Endnote(note) => {
            stack.extend(note.content.iter().rev().map(Work::Element));
        }
        Element::Image(_) | Element::ThematicBreak | Element::PageBreak | Element::ColumnBreak | Element::Shape(_) => {}
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use office_oxide::ir::{InlineContent, Paragraph, Table, TextSpan};

    use super::*;

    fn paragraph(text: &str) -> Element {
        let span = TextSpan { text: text.to_owned(), ..TextSpan::default() };
        Element::Paragraph(Paragraph { content: vec![InlineContent::Text(span)], ..Paragraph::default() })
    }

    #[test]
    fn elements_take_their_normal_form() {
        let cell = |text: &str| TableCell { content: vec![paragraph(text)], col_span: 1, ..TableCell::default() };
        let row = |one: &str, two: &str, is_header: bool| TableRow {
            cells: vec![cell(one), cell(two)],
            is_header,
            height_twips: None,
            height_rule: None,
            allow_break: true,
            repeat_as_header: false,
        };
        let item =
            |text: &str, nested: Option<List>| office_oxide::ir::ListItem { content: vec![paragraph(text)], nested };
        let inner = List { items: vec![item("deep", None)], ..List::default() };
        let list = List { ordered: true, items: vec![item("one", Some(inner)), item("two", None)], ..List::default() };
        let table = Table { rows: vec![row("Part", "2024", true), row("Pump", "4", false)], ..Table::default() };
        let elements = vec![paragraph("Text"), Element::List(list), Element::Table(table)];
        let mut builder = DocumentBuilder::new(Format::Doc, &ExtractLimits::default());
        write_text(&[Section { elements, ..Section::default() }], &mut builder);
        let document = builder.finish().expect("fits");
        assert_eq!(document.text, "Text\n\n- 1. one\n  - deep\n- 2. two\n\nPart | 2024\nPump | 4");
        assert_eq!(document.tables[0].header.slice(&document.text), Some("Part | 2024"));
    }

    #[test]
    fn broken_files_are_damage() {
        for format in [Format::Doc, Format::Xls, Format::Ppt] {
            let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
            bytes.resize(2_048, 7);
            assert!(matches!(read(&bytes, format, &ExtractLimits::default()), Err(ExtractError::Damaged(_))));
        }
    }

    #[test]
    fn titles_read_byte_by_byte_are_repaired() {
        assert_eq!(repaired("Ð\u{98}Ð½"), "Ин");
        assert_eq!(repaired("Größe"), "Größe");
        assert_eq!(repaired("plain"), "plain");
    }
}
