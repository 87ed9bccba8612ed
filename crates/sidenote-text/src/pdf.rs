//! PDF with a text layer: the words become the stored text, page by page in reading order.
//!
//! Seam for `pdf_oxide`. On broken files it repairs what it can, returns errors for most of the rest, and may panic, so every
//! call that parses runs under `catch_unwind`; hangs and memory are bounded by the process that extraction runs in. It opens
//! files that are encrypted with an empty password. Its own page text moves rows about where bullets or tables are, so
//! only its positioned runs are used, and `pdf_layout` puts them in order; pages that are turned or written from top to
//! bottom are left to it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_oxide::PdfDocument;
use pdf_oxide::error::Error;
use pdf_oxide::layout::TextSpan;

use crate::pdf_layout::{Piece, Row, rows_in_order};
use crate::pdf_text::TextWriter;
use crate::{Document, ExtractError, ExtractLimits, Format, extract};

/// Reads a PDF file.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let file = shield(|| open(bytes))
        .unwrap_or_else(|| Err(ExtractError::Damaged("its structure makes no sense".to_owned())))?;
    let page_count = match shield(|| file.page_count()) {
        Some(Ok(count)) => count,
        Some(Err(error)) => return Err(damaged(&error)),
        None => return Err(ExtractError::Damaged("its page tree makes no sense".to_owned())),
    };
    let mut pages = Pages::default();
    let mut text_bytes = 0;
    for index in 0..page_count.min(limits.max_pages) {
        let rows = match shield(|| rows_of_page(&file, index)) {
            Some(Ok(rows)) => rows,
            Some(Err(Error::EncryptedPdf)) => return Err(ExtractError::Encrypted),
            Some(Err(_)) | None => {
                pages.broken.push(index + 1);
                Vec::new()
            }
        };
        text_bytes += rows.iter().map(|row| row.text.len()).sum::<usize>();
        if text_bytes > limits.max_text_bytes {
            return Err(ExtractError::TooLong { limit: limits.max_text_bytes });
        }
        if rows.is_empty() && pages.broken.last() != Some(&(index + 1)) {
            pages.blank.push(index + 1);
        }
        pages.rows.push(rows);
    }
    if pages.rows.iter().all(Vec::is_empty) {
        return Err(match (pages.broken.is_empty(), page_count) {
            (_, 0) => ExtractError::Damaged("it has no pages".to_owned()),
            (true, _) => ExtractError::NoTextLayer { pages: pages.rows.len() },
            (false, _) => ExtractError::Damaged("none of its pages can be read".to_owned()),
        });
    }
    let mut warnings = Vec::new();
    if page_count > limits.max_pages {
        warnings
            .push(format!("only the first {} of {page_count} pages were read (`ingest.max_pages`)", limits.max_pages));
    }
    if !pages.blank.is_empty() {
        warnings.push(format!("no text on page {}", ranges(&pages.blank)));
    }
    if !pages.broken.is_empty() {
        warnings.push(format!("page {} could not be read", ranges(&pages.broken)));
    }
    let written = TextWriter::write(&pages.rows);
    let title = shield(|| title_of(&file)).flatten();
    let first_heading =
        || written.headings.iter().min_by_key(|heading| heading.level).map(|heading| heading.title.clone());
    Ok(Document {
        title: title.or_else(first_heading),
        headings: written.headings,
        pages: written.pages,
        tables: written.tables,
        warnings,
        ..Document::of_text(Format::Pdf, written.text)
    })
}

#[derive(Default)]
struct Pages {
    rows: Vec<Vec<Row>>,
    /// Numbers of pages without text.
    blank: Vec<usize>,
    /// Numbers of pages that could not be read.
    broken: Vec<usize>,
}

/// Runs what may panic. The panic's message still goes to the process's panic hook.
fn shield<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

fn damaged(error: &Error) -> ExtractError {
    if matches!(error, Error::EncryptedPdf) {
        return ExtractError::Encrypted;
    }
    let reason: String = error.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
    ExtractError::Damaged(reason)
}

fn open(bytes: &[u8]) -> Result<PdfDocument, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::Empty);
    }
    let file = PdfDocument::from_bytes(bytes.to_vec()).map_err(|error| damaged(&error))?;
    if file.is_encrypted() && !file.is_authenticated() && !file.authenticate(b"").unwrap_or(false) {
        return Err(ExtractError::Encrypted);
    }
    Ok(file)
}

fn rows_of_page(file: &PdfDocument, index: usize) -> Result<Vec<Row>, Error> {
    let spans = file.extract_spans(index)?;
    let letters =
        |keep: fn(&TextSpan) -> bool| spans.iter().filter(|span| keep(span)).map(|span| span.text.len()).sum::<usize>();
    let odd = letters(|span| span.wmode != 0 || span.rotation_degrees.abs() > 1.0);
    if odd * 2 > letters(|_| true) {
        return Ok(rows_in_order(pieces_of_text(&file.extract_text(index)?)));
    }
    // What is turned on an upright page is a stamp or a margin note; it comes last.
    let (upright, turned): (Vec<&TextSpan>, Vec<&TextSpan>) =
        spans.iter().partition(|span| span.rotation_degrees.abs() <= 1.0);
    let mut rows = rows_in_order(upright.into_iter().filter_map(piece_of).collect());
    for piece in turned.into_iter().filter_map(piece_of) {
        rows.append(&mut rows_in_order(vec![piece]));
    }
    Ok(rows)
}

fn piece_of(span: &TextSpan) -> Option<Piece> {
    let text = clean(&span.text);
    let is_bullet = text.trim().is_empty() && is_bullet_sign(&span.text);
    let bounds = [span.bbox.x, span.bbox.y, span.bbox.width, span.font_size];
    if (text.trim().is_empty() && !is_bullet) || bounds.iter().any(|value| !value.is_finite()) {
        return None;
    }
    Some(Piece {
        x0: span.bbox.x,
        x1: span.bbox.x + span.bbox.width,
        y: span.bbox.y,
        size: span.font_size.clamp(0.5, 500.0),
        is_bold: span.font_weight.is_bold(),
        is_bullet,
        text,
    })
}

/// Rows that somebody else put in order, one below the other.
fn pieces_of_text(text: &str) -> Vec<Piece> {
    let mut y = 0.0;
    text.lines()
        .filter_map(|line| {
            y -= 12.0;
            let text = clean(line);
            let piece = Piece { x0: 0.0, x1: 400.0, y, size: 10.0, is_bold: false, is_bullet: false, text };
            (!piece.text.trim().is_empty()).then_some(piece)
        })
        .collect()
}

/// Text without control characters, characters that have a meaning in one font only, and marks of direction.
fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\t' | '\n' | '\r' | '\u{a0}' => Some(' '),
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => None,
            '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fffd}' => None,
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect()
}

/// A single character of a symbol font, as word processors use for bullets.
fn is_bullet_sign(text: &str) -> bool {
    let mut chars = text.trim_matches(' ').chars();
    matches!((chars.next(), chars.next()), (Some('\u{7f}' | '\u{f000}'..='\u{f8ff}' | '\u{95}'), None))
}

/// The title in the file's own description, where a person wrote it.
fn title_of(file: &PdfDocument) -> Option<String> {
    let info = file.resolve_object(file.trailer().as_dict()?.get("Info")?).ok()?;
    let title = file.resolve_object(info.as_dict()?.get("Title")?).ok()?;
    extract::sane_title(&clean(&decode_title(title.as_string()?)))
}

fn decode_title(bytes: &[u8]) -> String {
    match bytes {
        [0xfe, 0xff, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0.into_owned(),
        [0xff, 0xfe, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0.into_owned(),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// `1, 3-5` for `[1, 3, 4, 5]`.
fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let shown =
        |(first, last): &(usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    let mut text = parts.iter().take(20).map(shown).collect::<Vec<_>>().join(", ");
    if parts.len() > 20 {
        text.push_str(" and others");
    }
    text
}
