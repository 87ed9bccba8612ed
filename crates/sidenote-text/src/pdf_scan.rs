//! PDF pages without a text layer: drawn here, read by a [`Recogniser`], and made into rows like those of any other page.

use pdf_oxide::PdfDocument;
use pdf_oxide::rendering::{RenderOptions, render_page};

use crate::pdf_layout::{Joint, Row};
use crate::shield::plain_reason;
use crate::{PageImage, RecognisedLine, Recogniser};

/// What OCR programs are trained on. A page that is too large for `RenderOptions::max_output_pixels` is drawn with less.
const DPI: u32 = 300;
/// A page whose darkest and lightest pixels differ less is blank paper.
const LEAST_CONTRAST: u8 = 32;
/// A line is set larger than the page's other lines where it is so much higher. Less says little: the height of a line
/// depends on which letters are in it.
const LARGER: f32 = 1.45;
/// Heights are measured in pixels and differ from line to line; those that are not larger count as one.
const BODY_SIZE: f32 = 10.0;

/// What became of a page without text.
pub(crate) enum Scan {
    /// Nothing is on it.
    Blank,
    /// These rows are.
    Read(Vec<Row>),
    /// Why it was not read.
    Unread(String),
}

/// Draws a page and has it read.
pub(crate) fn read_page(file: &PdfDocument, index: usize, recogniser: &dyn Recogniser) -> Scan {
    let image = match draw(file, index) {
        Ok(image) => image,
        Err(error) => return Scan::Unread(plain_reason(&error.to_string())),
    };
    let (darkest, lightest) =
        image.grey.iter().fold((u8::MAX, 0), |(low, high), grey| (low.min(*grey), high.max(*grey)));
    if lightest.saturating_sub(darkest) < LEAST_CONTRAST {
        return Scan::Blank;
    }
    match recogniser.recognise(&image) {
        Ok(lines) => Scan::Read(rows_of(lines, image.dpi)),
        Err(reason) => Scan::Unread(reason),
    }
}

fn draw(file: &PdfDocument, index: usize) -> Result<PageImage, pdf_oxide::error::Error> {
    let drawn = render_page(file, index, &RenderOptions::with_dpi(DPI).as_raw())?;
    // The background is white and opaque, so the colours are as they are. Weights of ITU-R BT.601.
    let grey_of = |pixel: &[u8]| match pixel {
        [red, green, blue, ..] => {
            let grey = (u32::from(*red) * 299 + u32::from(*green) * 587 + u32::from(*blue) * 114) / 1000;
            u8::try_from(grey).unwrap_or(u8::MAX)
        }
        _ => u8::MAX,
    };
    let (width, height) = (drawn.width, drawn.height);
    let grey: Vec<u8> = drawn.data.chunks_exact(4).map(grey_of).collect();
    Ok(PageImage { width, height, dpi: dpi_of(file, index, width.max(height)), grey })
}

/// Pixels an inch of a page whose longer side has so many: fewer than asked for where it would be too large.
fn dpi_of(file: &PdfDocument, index: usize, pixels: u32) -> u32 {
    let points = file.get_page_media_box(index).map_or(0.0, |(x0, y0, x1, y1)| (x1 - x0).abs().max((y1 - y0).abs()));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range, and saturating where not")]
    #[expect(clippy::cast_precision_loss, reason = "pixels of a page")]
    let dpi = if points > 0.0 { (pixels as f32 * 72.0 / points).round() as u32 } else { DPI };
    dpi.clamp(30, DPI)
}

/// A recogniser gives the reading order, so none has to be found here.
fn rows_of(lines: Vec<RecognisedLine>, dpi: u32) -> Vec<Row> {
    let lines: Vec<(String, RecognisedLine)> = lines
        .into_iter()
        .map(|line| (crate::pdf::clean(&line.text), line))
        .filter(|(text, _)| !text.trim().is_empty())
        .collect();
    let mut heights: Vec<u32> = lines.iter().map(|(_, line)| line.height).collect();
    heights.sort_unstable();
    let usual = heights.get(heights.len() / 2).copied().unwrap_or(1).max(1);
    let last = lines.len().saturating_sub(1);
    let row_of = |(at, (text, line)): (usize, (String, RecognisedLine))| {
        #[expect(clippy::cast_precision_loss, reason = "heights on a page")]
        let factor = line.height as f32 / usual as f32;
        let size = if factor >= LARGER { BODY_SIZE * factor } else { BODY_SIZE };
        #[expect(clippy::cast_precision_loss, reason = "a place on a page")]
        let y = -(line.top as f32) * 72.0 / dpi as f32;
        let mut row = Row::of_text(text, size, y, Joint::Flow);
        row.is_at_edge = at == 0 || at == last;
        row.joint = match (line.begins_paragraph || factor >= LARGER, row.starts_item) {
            (true, _) => Joint::Paragraph,
            (false, true) => Joint::Line,
            (false, false) => Joint::Flow,
        };
        row
    };
    lines.into_iter().enumerate().map(row_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, height: u32, begins_paragraph: bool) -> RecognisedLine {
        RecognisedLine { text: text.to_owned(), top: 0, height, begins_paragraph }
    }

    #[test]
    fn a_line_that_is_much_higher_is_set_larger_and_stands_alone() {
        let lines = vec![
            line("Travel", 80, true),
            line("Expenses are approved by", 40, false),
            line("the head of finance.", 33, false),
            line("- by air", 40, false),
            line("\u{c}", 40, true),
            line("Receipts come within four weeks.", 44, true),
        ];
        let rows = rows_of(lines, DPI);
        let shown: Vec<(&str, bool, Joint)> =
            rows.iter().map(|row| (row.text.as_str(), row.size > BODY_SIZE, row.joint)).collect();
        assert_eq!(
            shown,
            [
                ("Travel", true, Joint::Paragraph),
                ("Expenses are approved by", false, Joint::Flow),
                ("the head of finance.", false, Joint::Flow),
                ("- by air", false, Joint::Line),
                ("Receipts come within four weeks.", false, Joint::Paragraph),
            ]
        );
    }
}
