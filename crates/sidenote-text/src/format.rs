//! Which format a file is in: its first bytes decide where they are certain, its name where they are not.
//!
//! Seam for `infer`, a table of magic numbers. It is pure and total; but two letters at the start of a text ("BM", "MZ")
//! match formats too, so its word counts only for bytes that are not text, and to name what was refused.

use crate::{ExtractError, Format, SourceFile, code, encoding, epub, mail, mbox, msg, office_format};

/// How far into a file named `.pdf` its header may lie; viewers accept as much.
const PDF_HEADER_WINDOW_BYTES: usize = 1024;

/// Tells the format of a file from its name and bytes.
///
/// # Errors
/// [`ExtractError::Empty`] for no bytes, [`ExtractError::Unsupported`] for bytes that are no text and no format read here.
pub fn detect_format(source: &SourceFile<'_>) -> Result<Format, ExtractError> {
    let bytes = source.bytes;
    if bytes.is_empty() {
        return Err(ExtractError::Empty);
    }
    let extension = extension_of(source.name);
    if starts_as_pdf(bytes, &extension) {
        return Ok(Format::Pdf);
    }
    if let Some(found) = office_format::detect(bytes, &extension) {
        return found;
    }
    if bytes.starts_with(b"%!PS") {
        return Err(ExtractError::Unsupported("application/postscript".to_owned()));
    }
    if epub::is_book(bytes, &extension) {
        return Ok(Format::Epub);
    }
    if let Some(format) = mail_format(bytes, &extension) {
        return Ok(format);
    }
    if !encoding::looks_like_text(bytes) {
        // A file named .pdf without a PDF header was a PDF before it was damaged, and should be reported as such.
        if extension == "pdf" && infer::get(bytes).is_none() {
            return Ok(Format::Pdf);
        }
        let name = infer::get(bytes).map_or("binary data", |kind| kind.mime_type());
        return Err(ExtractError::Unsupported(name.to_owned()));
    }
    Ok(match extension.as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mkdn" | "mdx" | "qmd" | "rmd" => Format::Markdown,
        "html" | "htm" | "xhtml" | "xht" | "shtml" => Format::Html,
        "eml" | "mht" | "mhtml" => Format::Email,
        "mbox" | "mbx" => Format::Mbox,
        "xml" | "rss" | "atom" | "rdf" | "dbk" | "docbook" | "tei" | "fb2" | "opml" => Format::Xml,
        "ipynb" => Format::Notebook,
        "csv" | "tsv" | "tab" | "psv" => Format::Csv,
        "json" | "jsonl" | "ndjson" | "geojson" | "jsonld" | "json5" => Format::Json,
        "tex" | "latex" | "ltx" => Format::Latex,
        "adoc" | "asciidoc" => Format::Asciidoc,
        "rst" | "rest" => Format::Rst,
        "vtt" | "srt" => Format::Subtitles,
        extension if code::is_known(extension) => Format::Code,
        "ics" | "vcf" => return Err(ExtractError::Unsupported(format!("`.{extension}` file"))),
        "pdf" => Format::Pdf,
        "" if starts_as_html(bytes) => Format::Html,
        "" if bytes.starts_with(b"<?xml ") => Format::Xml,
        _ => Format::Text,
    })
}

/// Lower-case extension, empty where there is none.
pub(crate) fn extension_of(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension.to_ascii_lowercase(),
        _ => String::new(),
    }
}

fn starts_as_pdf(bytes: &[u8], extension: &str) -> bool {
    let window = if extension == "pdf" { PDF_HEADER_WINDOW_BYTES } else { 0 };
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Prose about PDF may begin with the header's letters; a version follows in a real one.
    let is_header = |at: &[u8]| at.starts_with(b"%PDF-") && at.get(5).is_some_and(u8::is_ascii_digit);
    (0..=window.min(start.len().saturating_sub(1))).any(|offset| start.get(offset..).is_some_and(is_header))
}

/// Mail in its three forms. Bodies in eight bits make a mail no less one, so this is asked before whether it is text.
fn mail_format(bytes: &[u8], extension: &str) -> Option<Format> {
    match extension {
        "msg" if msg::is_message(bytes) => Some(Format::Msg),
        "eml" | "mht" | "mhtml" if mail::starts_with_field(bytes) => Some(Format::Email),
        "mbox" | "mbx" if mbox::starts_as_mailbox(bytes) => Some(Format::Mbox),
        "" if mbox::starts_as_mailbox(bytes) => Some(Format::Mbox),
        "" if mail::starts_as_mail(bytes) => Some(Format::Email),
        _ if msg::is_message(bytes) => Some(Format::Msg),
        _ => None,
    }
}

fn starts_as_html(bytes: &[u8]) -> bool {
    let head = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    [&b"<!doctype html"[..], b"<html"]
        .iter()
        .any(|start| head.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(name: &str, bytes: &[u8]) -> Result<Format, ExtractError> {
        detect_format(&SourceFile { name, bytes })
    }

    #[test]
    fn the_name_decides_between_texts() {
        assert_eq!(detect("Notes.MD", b"a"), Ok(Format::Markdown));
        assert_eq!(detect("x.htm", b"a"), Ok(Format::Html));
        assert_eq!(detect("x.csv", b"a;b"), Ok(Format::Csv));
        assert_eq!(detect("LICENSE", b"a"), Ok(Format::Text));
        assert_eq!(detect("page", b"\n<!DOCTYPE html><p>a"), Ok(Format::Html));
        assert_eq!(detect("page.txt", b"<html>shown as source"), Ok(Format::Text));
    }

    #[test]
    fn a_pdf_is_a_pdf_under_any_name() {
        assert_eq!(detect("x.txt", b"%PDF-1.7\n%\xe2\xe3"), Ok(Format::Pdf));
        assert_eq!(detect("x.pdf", b"junk before\n%PDF-1.4\n\xff\x00"), Ok(Format::Pdf));
        assert_eq!(detect("notes.txt", b"%PDF-files are hard to read"), Ok(Format::Text));
        assert_eq!(detect("notes.md", b"A file begins with %PDF-1.7"), Ok(Format::Markdown));
    }

    #[test]
    fn letters_that_look_like_magic_are_still_text() {
        assert_eq!(detect("a.txt", b"BM is short for bill of materials"), Ok(Format::Text));
        assert_eq!(detect("a.txt", b"MZ was a maker of motorcycles"), Ok(Format::Text));
    }

    #[test]
    fn binary_files_are_refused_by_what_they_are() {
        let refused = |name: &str, bytes: &[u8]| match detect(name, bytes) {
            Err(ExtractError::Unsupported(what)) => what,
            other => panic!("`{name}` gave {other:?}"),
        };
        assert_eq!(refused("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"), "image/png");
        let elf: Vec<u8> = b"\x7fELF\x02\x01\x01".iter().copied().chain([0; 57]).collect();
        assert_eq!(refused("a.md", &elf), "application/x-executable");
        assert_eq!(refused("a.bin", &[0, 1, 2, 3, 0, 5, 6, 7]), "binary data");
        assert_eq!(refused("a.txt", b"text with a NUL\0 in it"), "binary data");
        assert_eq!(detect("a.txt", b"{\\rtf1 hello}"), Ok(Format::Rtf));
        assert_eq!(detect("a.txt", b""), Err(ExtractError::Empty));
    }
}
