//! What was filled into the fields of a form. A field's value is no part of the page's own text; here it becomes a piece of
//! text where the page shows it.
//!
//! The other file beside `pdf.rs` that names `pdf_oxide`, and under the same shield: its objects come as the file has them, so
//! references may lead nowhere or in a circle, and every step is checked and counted.

use std::collections::HashMap;

use pdf_oxide::PdfDocument;
use pdf_oxide::object::Object;

use crate::pdf::{clean, decode_text};
use crate::pdf_layout::Piece;

/// A field may inherit from the field above it; deeper than this is a circle.
const MAX_DEPTH: usize = 16;
/// More fields than any form has on a page.
const MAX_FIELDS: usize = 2_000;
/// A field's flag that says its value is a password.
const PASSWORD: i64 = 1 << 13;
/// An annotation's flags that say it is not shown: invisible, hidden, no view.
const NOT_SHOWN: i64 = 0x23;

type Dictionary = HashMap<String, Object>;

/// The values of a page's text and choice fields, where they are shown. Empty fields, check marks and passwords give nothing.
pub(crate) fn filled_fields(file: &PdfDocument, page_index: usize) -> Vec<Piece> {
    let Ok(page) = file.get_page(page_index) else { return Vec::new() };
    let annotations = page.as_dict().and_then(|page| resolved(file, page.get("Annots")?));
    let Some(annotations) = annotations.as_ref().and_then(Object::as_array) else { return Vec::new() };
    let fields = annotations.iter().take(MAX_FIELDS);
    fields.filter_map(|field| pieces_of(file, resolved(file, field)?.as_dict()?)).flatten().collect()
}

fn resolved(file: &PdfDocument, object: &Object) -> Option<Object> {
    file.resolve_object(object).ok()
}

fn pieces_of(file: &PdfDocument, field: &Dictionary) -> Option<Vec<Piece>> {
    let is_field = resolved(file, field.get("Subtype")?)?.as_name() == Some("Widget");
    let flags = |key: &str| inherited(file, field, key).as_ref().and_then(Object::as_integer).unwrap_or(0);
    let annotation_flags = field.get("F").and_then(|flags| resolved(file, flags)?.as_integer()).unwrap_or(0);
    if !is_field || annotation_flags & NOT_SHOWN != 0 || flags("Ff") & PASSWORD != 0 {
        return None;
    }
    let kind = inherited(file, field, "FT")?;
    if !matches!(kind.as_name()?, "Tx" | "Ch") {
        return None;
    }
    let value = value_text(file, &inherited(file, field, "V")?)?;
    let [left, bottom, right, top] = bounds(file, field.get("Rect")?)?;
    let lines: Vec<String> = value.split(['\n', '\r']).map(clean).filter(|line| !line.trim().is_empty()).collect();
    let count = f32::from(u16::try_from(lines.len().max(1)).unwrap_or(u16::MAX));
    let step = (top - bottom) / count;
    let size = (step * 0.7).clamp(4.0, 12.0);
    let place = |(line, text): (u16, String)| Piece {
        x0: left,
        // As wide as the words, not as the field.
        x1: right.min(left + f32::from(u16::try_from(text.len()).unwrap_or(u16::MAX)) * size * 0.5),
        // Its middle at the middle of its share of the field.
        y: top - step * (f32::from(line) + 0.5) - size * 0.5,
        size,
        is_bold: false,
        is_bullet: false,
        text,
    };
    Some((0..).zip(lines).map(place).collect())
}

/// A field's entry, or that of the nearest field above it which has one.
fn inherited(file: &PdfDocument, field: &Dictionary, key: &str) -> Option<Object> {
    let mut here = field.clone();
    for _ in 0..MAX_DEPTH {
        if let Some(entry) = here.get(key) {
            return resolved(file, entry);
        }
        here = resolved(file, here.get("Parent")?)?.as_dict()?.clone();
    }
    None
}

fn value_text(file: &PdfDocument, value: &Object) -> Option<String> {
    if let Some(bytes) = value.as_string() {
        return Some(decode_text(bytes));
    }
    let chosen: Vec<String> =
        value.as_array()?.iter().filter_map(|one| Some(decode_text(resolved(file, one)?.as_string()?))).collect();
    Some(chosen.join(", "))
}

fn bounds(file: &PdfDocument, rectangle: &Object) -> Option<[f32; 4]> {
    let rectangle = resolved(file, rectangle)?;
    let corners = rectangle.as_array()?.iter().take(4).map(|corner| {
        let corner = resolved(file, corner)?;
        let whole = corner.as_integer().and_then(|number| i16::try_from(number).ok()).map(f32::from);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "pages are a few thousand points wide; what is not is refused"
        )]
        let real = corner.as_real().map(|number| number as f32);
        whole.or(real).filter(|number| number.abs() < 1e6)
    });
    let [a, b, c, d] = <[f32; 4]>::try_from(corners.collect::<Option<Vec<f32>>>()?).ok()?;
    Some([a.min(c), b.min(d), a.max(c), b.max(d)])
}
