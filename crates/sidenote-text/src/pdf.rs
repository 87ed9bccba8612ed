//! PDF: the words become the stored text, page by page in reading order. Pages without a text layer are `pdf_scan`'s.
//!
//! Seam for `pdf_oxide`. On broken files it repairs what it can, returns errors for most of the rest, and may panic, so every
//! call that parses runs shielded; hangs and memory are bounded by the process that extraction runs in. It opens
//! files that are encrypted with an empty password. Its own page text moves rows about where bullets or tables are, so
//! only its positioned runs are used: `pdf_run` undoes some of its guesses and turned pages, `pdf_layout` puts the pieces in
//! order. Pages that are written from top to bottom are left to it. Values in form fields are no runs; `pdf_fields`, the other
//! file that names the library, reads them.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use pdf_oxide::PdfDocument;
use pdf_oxide::error::Error;
use pdf_oxide::layout::TextSpan;

use crate::pdf_layout::{Piece, Row, rows_in_order};
use crate::pdf_run::{Part, Run, Turns};
use crate::pdf_scan::Scan;
use crate::pdf_text::TextWriter;
use crate::shield::{plain_reason, shield};
use crate::{
    Document, ExtractError, ExtractLimits, Format, Recogniser, extract, pdf_cmap, pdf_fields, pdf_glyph, pdf_run,
    pdf_running, pdf_scan,
};

/// Reads a PDF file.
///
/// Pages without a text layer are read by `recogniser`, where there is one.
pub(crate) fn read(
    bytes: &[u8],
    limits: &ExtractLimits,
    recogniser: Option<&dyn Recogniser>,
) -> Result<Document, ExtractError> {
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
        let mut rows = match shield(|| rows_of_page(&file, index)) {
            Some(Ok(rows)) => rows,
            Some(Err(Error::EncryptedPdf)) => return Err(ExtractError::Encrypted),
            Some(Err(_)) | None => {
                pages.broken.push(index + 1);
                pages.rows.push(Vec::new());
                continue;
            }
        };
        if rows.is_empty() {
            rows = pages.of_picture(&file, index, recogniser);
        }
        text_bytes += rows.iter().map(|row| row.text.len()).sum::<usize>();
        if text_bytes > limits.max_text_bytes {
            return Err(ExtractError::TooLong { limit: limits.max_text_bytes });
        }
        pages.rows.push(rows);
    }
    if pages.rows.iter().all(Vec::is_empty) {
        return Err(match (pages.broken.is_empty(), page_count) {
            (_, 0) => ExtractError::Damaged("it has no pages".to_owned()),
            (false, _) if pages.unread.is_empty() => ExtractError::Damaged("none of its pages can be read".to_owned()),
            (_, _) if recogniser.is_none() => ExtractError::NoTextLayer { pages: pages.rows.len() },
            (_, _) => ExtractError::NothingRecognised { pages: pages.rows.len(), reason: pages.why_unread() },
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
    if !pages.recognised.is_empty() {
        warnings.push(format!("page {}: no text layer, read by OCR", ranges(&pages.recognised)));
    }
    if let Some(reason) = pages.why_unread() {
        let numbers: Vec<usize> = pages.unread.iter().map(|(number, _)| *number).collect();
        warnings.push(format!("page {}: no text layer, not read by OCR: {reason}", ranges(&numbers)));
    }
    if !pages.broken.is_empty() {
        warnings.push(format!("page {} could not be read", ranges(&pages.broken)));
    }
    pdf_running::drop_running_rows(&mut pages.rows);
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
        waits_for_ocr: recogniser.is_none() && !pages.blank.is_empty(),
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
    /// Numbers of pages that are pictures and were read.
    recognised: Vec<usize>,
    /// Numbers of pages that are pictures and could not be read, and why.
    unread: Vec<(usize, String)>,
}

impl Pages {
    /// The rows of a page without a text layer, and a note of what became of it.
    fn of_picture(&mut self, file: &PdfDocument, index: usize, recogniser: Option<&dyn Recogniser>) -> Vec<Row> {
        let scan = recogniser.map_or(Scan::Blank, |recogniser| {
            shield(|| pdf_scan::read_page(file, index, recogniser))
                .unwrap_or_else(|| Scan::Unread("it cannot be drawn".to_owned()))
        });
        match scan {
            Scan::Read(rows) if !rows.is_empty() => {
                self.recognised.push(index + 1);
                return rows;
            }
            Scan::Read(_) | Scan::Blank => self.blank.push(index + 1),
            Scan::Unread(reason) => self.unread.push((index + 1, reason)),
        }
        Vec::new()
    }

    /// Why the first of the pictures could not be read; the others mostly share it.
    fn why_unread(&self) -> Option<String> {
        self.unread.first().map(|(_, reason)| reason.clone())
    }
}

fn damaged(error: &Error) -> ExtractError {
    if matches!(error, Error::EncryptedPdf) {
        return ExtractError::Encrypted;
    }
    ExtractError::Damaged(plain_reason(&error.to_string()))
}

fn open(bytes: &[u8]) -> Result<PdfDocument, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::Empty);
    }
    let mut bytes = bytes.to_vec();
    pdf_cmap::rename_one_byte_tables(&mut bytes);
    let file = PdfDocument::from_bytes(bytes).map_err(|error| damaged(&error))?;
    if file.is_encrypted() && !file.is_authenticated() && !file.authenticate(b"").unwrap_or(false) {
        return Err(ExtractError::Encrypted);
    }
    Ok(file)
}

fn rows_of_page(file: &PdfDocument, index: usize) -> Result<Vec<Row>, Error> {
    let spans = file.extract_spans(index)?;
    let weight_of =
        |keep: fn(&TextSpan) -> bool| spans.iter().filter(|span| keep(span)).map(|span| span.text.len()).sum::<usize>();
    if weight_of(|span| span.wmode != 0) * 2 > weight_of(|_| true) {
        return Ok(rows_in_order(pieces_of_text(&file.extract_text(index)?)));
    }
    // How most of the page is written is its upright; what is turned otherwise is a stamp or a margin note, and comes last.
    let mut turns: BTreeMap<Turn, Vec<Piece>> = BTreeMap::new();
    let letters = LettersOfPage { file, index, letters: OnceCell::new() };
    for span in &spans {
        turns.entry(Turn::of(span)).or_default().extend(pieces_of_span(span, &letters));
    }
    turns.entry(Turn::Quarters(0)).or_default().extend(pdf_fields::filled_fields(file, index));
    let weight = |pieces: &[Piece]| pieces.iter().map(|piece| piece.text.len()).sum::<usize>();
    let mut groups: Vec<(Turn, Vec<Piece>)> = turns.into_iter().collect();
    groups.sort_by_key(|(turn, pieces)| (Reverse(weight(pieces)), *turn));
    let mut rows = Vec::new();
    for (place, (turn, pieces)) in groups.into_iter().enumerate() {
        let mut group = match turn {
            Turn::Quarters(_) => rows_in_order(pieces),
            Turn::Askew => pieces.into_iter().flat_map(|piece| rows_in_order(vec![piece])).collect(),
        };
        if place > 0 {
            group.iter_mut().for_each(Row::set_aside);
        }
        rows.append(&mut group);
    }
    Ok(rows)
}

/// How text stands on the page as it is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// In degrees, against the clock: 0, 90, 180 or 270.
    Quarters(i32),
    Askew,
}

impl Turn {
    fn of(span: &TextSpan) -> Self {
        if !span.rotation_degrees.is_finite() {
            return Self::Askew;
        }
        #[expect(clippy::cast_possible_truncation, reason = "an angle, and saturating where it is not")]
        let degrees = span.rotation_degrees.round() as i32;
        // A turned page may turn its text back; then the library has turned the bounds already.
        let shown = (degrees % 360 - span.page_rotation_applied % 360).rem_euclid(360);
        match shown {
            0 | 1 | 359 => Self::Quarters(0),
            89..=91 => Self::Quarters(90),
            179..=181 => Self::Quarters(180),
            269..=271 => Self::Quarters(270),
            _ => Self::Askew,
        }
    }
}

/// Where each letter of a page is drawn, looked up at the first question.
struct LettersOfPage<'a> {
    file: &'a PdfDocument,
    index: usize,
    /// With the left end of their base lines.
    letters: OnceCell<Vec<(char, f32, f32)>>,
}

impl LettersOfPage<'_> {
    fn all(&self) -> &[(char, f32, f32)] {
        self.letters.get_or_init(|| {
            let chars = self.file.extract_chars(self.index).unwrap_or_default();
            chars.iter().map(|c| (c.char, c.origin_x, c.origin_y)).collect()
        })
    }

    fn has_point_near(&self, x: f32, y: f32, size: f32) -> bool {
        let is_near = |(c, at, height): &(char, f32, f32)| {
            *c == '.' && (at - x).abs() < size * 0.5 && (height - y).abs() < size * 0.6
        };
        self.all().iter().any(is_near)
    }

    /// What stands at one height, from left to right.
    fn line_at(&self, y: f32, size: f32) -> String {
        let is_on_line = |(_, _, height): &&(char, f32, f32)| (height - y).abs() < size * 0.6;
        let mut letters: Vec<(char, f32, f32)> = self.all().iter().filter(is_on_line).copied().collect();
        letters.sort_by(|a, b| a.1.total_cmp(&b.1));
        letters.iter().map(|(c, ..)| *c).collect()
    }
}

fn pieces_of_span(span: &TextSpan, letters: &LettersOfPage) -> Vec<Piece> {
    let bounds = [span.bbox.x, span.bbox.y, span.bbox.width, span.bbox.height, span.font_size];
    if bounds.iter().any(|value| !value.is_finite()) {
        return Vec::new();
    }
    let size = span.font_size.clamp(0.5, 500.0);
    let mended = pdf_run::with_foreign_words_as_drawn(&span.text, || letters.line_at(span.bbox.y, size));
    let text = mended.as_deref().unwrap_or(&span.text);
    let run = Run { text, starts: &span.char_x_offsets, widths: &span.char_widths, size };
    let shown = if let Turn::Quarters(shown) = Turn::of(span) { shown } else { 0 };
    let is_turned = shown != 0 || span.page_rotation_applied != 0;
    let bounds = [span.bbox.x, span.bbox.y, span.bbox.width, span.bbox.height];
    let ((left, y), length) = pdf_run::turned_back(bounds, Turns { shown, page: span.page_rotation_applied });
    let piece_of = |part: Part| {
        let text = clean(&part.text);
        let is_bullet = text.trim().is_empty() && is_bullet_sign(&part.text);
        // Places of single letters are given for upright runs only.
        let (x0, x1) = part.ends.filter(|_| !is_turned).unwrap_or((left, left + length));
        let is_bold = span.font_weight.is_bold();
        (is_bullet || !text.trim().is_empty()).then_some(Piece { x0, x1, y, size, is_bold, is_bullet, text })
    };
    let parts = run.parts(|x| letters.has_point_near(x, span.bbox.y, size));
    parts.into_iter().filter_map(piece_of).collect()
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

/// Text without control characters, characters that have a meaning in one font only, and marks of direction; with letters
/// for glyphs.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let last = text.trim_end().len().saturating_sub('\u{ad}'.len_utf8());
    for (at, c) in text.char_indices() {
        match c {
            // What stands at the end of a run is drawn: the hyphen of a broken word.
            '\u{ad}' if at > 0 && at == last => cleaned.push('-'),
            '\t' | '\n' | '\r' | '\u{a0}' => cleaned.push(' '),
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {}
            '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fffd}' => {}
            c if c.is_control() => {}
            c => match pdf_glyph::letters_of(c) {
                Some(letters) => cleaned.push_str(letters),
                None => cleaned.push(c),
            },
        }
    }
    cleaned
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
    extract::sane_title(&clean(&decode_text(title.as_string()?)))
}

/// A text string of the file's own objects, which is in one of three encodings.
pub(crate) fn decode_text(bytes: &[u8]) -> String {
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
