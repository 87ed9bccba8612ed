//! Jupyter notebooks: cells in order, Markdown with its structure, code as it is, and what it printed.
//!
//! Seam for `serde_json`, which refuses what is nested deeper than 128 levels instead of recursing. Outputs are kept as far as a
//! reader would look at them; pictures are left out.

use serde_json::Value;

use crate::builder::DocumentBuilder;
use crate::{Document, ExtractError, ExtractLimits, Format, encoding, html, markdown};

/// Bytes kept of one output; what a program prints may be long, and its beginning tells what it is.
const MAX_OUTPUT_BYTES: usize = 8_000;

/// Reads a notebook.
pub(crate) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let decoded = encoding::decode(bytes, None);
    let notebook: Value = serde_json::from_str(decoded.text.trim_start_matches('\u{feff}'))
        .map_err(|error| ExtractError::Damaged(crate::shield::plain_reason(&error.to_string())))?;
    let mut builder = DocumentBuilder::new(Format::Notebook, limits);
    // Before version 4 the cells lay in worksheets.
    let sheets = notebook["worksheets"].as_array().into_iter().flatten();
    let cells = sheets.filter_map(|sheet| sheet["cells"].as_array()).chain(notebook["cells"].as_array()).flatten();
    for cell in cells {
        if builder.is_full() {
            break;
        }
        let source = lines_of(&cell["source"]).or_else(|| lines_of(&cell["input"])).unwrap_or_default();
        match cell["cell_type"].as_str() {
            Some("markdown") => builder.append(markdown::read(source.as_bytes(), limits)?, 0),
            Some("heading") => {
                let level = cell["level"].as_u64().and_then(|level| u8::try_from(level).ok());
                builder.heading(level.unwrap_or(1), &source);
            }
            _ => builder.preformatted(&source),
        }
        for output in cell["outputs"].as_array().into_iter().flatten() {
            write_output(&mut builder, output, limits);
        }
    }
    let title = notebook["metadata"]["title"].as_str().and_then(crate::extract::sane_title);
    builder.document().title = title;
    builder.finish()
}

fn write_output(builder: &mut DocumentBuilder, output: &Value, limits: &ExtractLimits) {
    let data = &output["data"];
    // A table is one in HTML, and a picture of one in text.
    if let Some(page) = lines_of(&data["text/html"]).filter(|page| page.contains("<table"))
        && page.len() <= MAX_OUTPUT_BYTES * 16
        && let Ok(page) = html::read(page.as_bytes(), limits)
    {
        builder.append(page, 0);
        return;
    }
    if let Some(text) = lines_of(&data["text/markdown"])
        && let Ok(page) = markdown::read(text.as_bytes(), limits)
    {
        builder.append(page, 0);
        return;
    }
    let error =
        output["ename"].as_str().map(|name| format!("{name}: {}", output["evalue"].as_str().unwrap_or_default()));
    let text = lines_of(&output["text"]).or_else(|| lines_of(&data["text/plain"])).or(error);
    let text = without_colours(&text.unwrap_or_default());
    let end = text.floor_char_boundary(MAX_OUTPUT_BYTES);
    if end < text.len() {
        builder.warn(format!("of long outputs the first {MAX_OUTPUT_BYTES} bytes were read"));
    }
    builder.preformatted(text.get(..end).unwrap_or_default());
}

/// A text that is written as one string or as a list of lines.
fn lines_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => Some(lines.iter().filter_map(Value::as_str).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Text without a terminal's orders: `ESC [`, numbers and signs, a letter.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, order)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let behind = order.trim_start_matches(|c| matches!(c, '0'..='?' | ' '..='/'));
        // Where no letter ends it, it was none, and what follows is text.
        rest = behind.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(order);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_outputs_stand_in_order() {
        let notebook = r##"{"cells":[{"cell_type":"markdown","source":["# Prices\n","\n","in *euro*"]},
            {"cell_type":"code","source":"for p in prices:\n    print(p)","outputs":[{"output_type":"stream","text":["12\n","\u001b[31m13\u001b[0m\n"]},
            {"data":{"text/html":"<table><tr><th>a<th>b<tr><td>1<td>2</table>","text/plain":"a b"}},{"ename":"KeyError","evalue":"'x'"}]}],
            "metadata":{},"nbformat":4}"##;
        let document = read(notebook.as_bytes(), &ExtractLimits::default()).expect("reads");
        assert_eq!(
            document.text,
            "# Prices\n\nin *euro*\n\nfor p in prices:\n    print(p)\n\n12\n13\n\na | b\n1 | 2\n\nKeyError: 'x'"
        );
        assert_eq!((document.title.as_deref(), document.headings.len()), (Some("Prices"), 1));
        assert_eq!(document.tables[0].header.slice(&document.text), Some("a | b"));
    }

    #[test]
    fn orders_of_a_terminal_are_left_out_and_nothing_else() {
        assert_eq!(without_colours("\u{1b}[1;31mred\u{1b}[0m and \u{1b}[12 ä"), "red and 12 ä");
    }

    #[test]
    fn long_outputs_are_cut_and_broken_files_are_damaged() {
        let long = format!(
            r#"{{"cells":[{{"cell_type":"code","source":"x","outputs":[{{"text":"{}"}}]}}]}}"#,
            "ä".repeat(9_000)
        );
        let document = read(long.as_bytes(), &ExtractLimits::default()).expect("reads");
        assert!(document.text.len() < 8_100 && document.warnings[0].contains("8000"));
        for odd in ["{", "\"text\"x", &"[".repeat(100_000)] {
            assert!(matches!(read(odd.as_bytes(), &ExtractLimits::default()), Err(ExtractError::Damaged(_))));
        }
    }
}
