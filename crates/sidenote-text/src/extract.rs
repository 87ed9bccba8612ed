//! A file becomes a document.

use crate::format::extension_of;
use crate::markdown::fold_white;
use crate::members::{self, Budget, Opened};
use crate::{
    Document, ExtractError, Extracted, Format, Recogniser, SourceFile, asciidoc, code, csv, docx, epub, html, language,
    latex, mail, markdown, mbox, msg, notebook, odf, ods, office97, pdf, plain, pptx, rst, rtf, xlsx, xml,
};

/// How much of a file is read before it is refused or cut.
#[derive(Clone, Copy, Debug)]
pub struct ExtractLimits {
    /// Most bytes of extracted text; a longer text is an error, because half a document would answer wrongly. Default
    /// 64 MiB.
    pub max_text_bytes: usize,
    /// Most pages read; later pages are left out with a warning. Default 20,000.
    pub max_pages: usize,
}

impl Default for ExtractLimits {
    fn default() -> Self {
        Self { max_text_bytes: 64 << 20, max_pages: 20_000 }
    }
}

/// Reads a file, and what is attached to it or packed in it, into documents.
///
/// # Errors
/// Every variant of [`ExtractError`]; each is the file's fault and leaves nothing behind. What is wrong with an attachment or
/// a member alone is a warning.
pub fn extract(source: &SourceFile<'_>, limits: &ExtractLimits) -> Result<Extracted, ExtractError> {
    members::read_all(source, limits, None)
}

/// As [`extract`], and has pages without a text layer read by `recogniser`, also those of attachments and members.
///
/// # Errors
/// As [`extract`]. A page that cannot be recognised is a warning, unless it is the same with all.
pub fn extract_recognising(
    source: &SourceFile<'_>,
    limits: &ExtractLimits,
    recogniser: &dyn Recogniser,
) -> Result<Extracted, ExtractError> {
    members::read_all(source, limits, Some(recogniser))
}

/// Opens one file of a known format. What it holds is not opened yet.
pub(crate) fn open(
    source: &SourceFile<'_>,
    format: Format,
    limits: &ExtractLimits,
    budget: &Budget,
    recogniser: Option<&dyn Recogniser>,
) -> Result<Opened, ExtractError> {
    let document = match format {
        Format::Markdown => markdown::read(source.bytes, limits)?,
        Format::Text => plain::read(source.bytes, limits)?,
        Format::Html => html::read(source.bytes, limits)?,
        Format::Pdf => pdf::read(source.bytes, limits, recogniser)?,
        Format::Docx => docx::read(source.bytes, limits, budget)?,
        Format::Pptx => pptx::read(source.bytes, limits, budget)?,
        Format::Xlsx => xlsx::read(source.bytes, limits, budget)?,
        Format::Odt | Format::Odp => odf::read(source.bytes, format, limits, budget)?,
        Format::Ods => ods::read(source.bytes, limits, budget)?,
        Format::Doc | Format::Xls | Format::Ppt => office97::read(source.bytes, format, limits)?,
        Format::Rtf => rtf::read(source.bytes, limits)?,
        Format::Email => return mail::read(source.bytes, limits),
        Format::Mbox => return mbox::read(source.bytes, limits),
        Format::Msg => return msg::read(source.bytes, limits, budget),
        Format::Epub => epub::read(source.bytes, limits, budget)?,
        Format::Xml => xml::read(source.bytes, limits)?,
        Format::Notebook => notebook::read(source.bytes, limits)?,
        Format::Csv => csv::read(source.bytes, limits)?,
        Format::Latex => latex::read(source.bytes, limits)?,
        Format::Asciidoc => asciidoc::read(source.bytes, limits)?,
        Format::Rst => rst::read(source.bytes, limits)?,
        Format::Code => code::read(source.bytes, &extension_of(source.name), limits)?,
        Format::Json | Format::Subtitles => plain::of_markup(format, source.bytes, limits, |_| Vec::new())?,
    };
    Ok(document.into())
}

/// A document that holds words, not too many, with its language.
pub(crate) fn checked(mut document: Document, limits: &ExtractLimits) -> Result<Document, ExtractError> {
    check_length(&document.text, limits)?;
    if is_blank(&document.text) {
        return Err(ExtractError::Empty);
    }
    if document.language.is_none() {
        document.language = language::detect(&document.text);
    }
    Ok(document)
}

/// Fails where `text` is over the limit.
pub(crate) fn check_length(text: &str, limits: &ExtractLimits) -> Result<(), ExtractError> {
    if text.len() > limits.max_text_bytes {
        return Err(ExtractError::TooLong { limit: limits.max_text_bytes });
    }
    Ok(())
}

/// A title from a file's own description, or `None` where no person wrote it: names of files, and what programs fill in.
pub(crate) fn sane_title(raw: &str) -> Option<String> {
    const EXTENSIONS: &[&str] = &[
        "doc", "docx", "dvi", "htm", "html", "indd", "odt", "pdf", "pptx", "ps", "qxd", "rtf", "tex", "txt", "xls",
        "xlsx",
    ];
    let title = fold_white(raw);
    let lower = title.to_lowercase();
    let names_a_file = lower.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension));
    let is_filler = lower.starts_with("untitled") || lower.starts_with("microsoft word -") || lower == "title";
    let letters = title.chars().filter(|c| c.is_alphabetic()).count();
    (letters >= 2 && title.len() <= MAX_TITLE_BYTES && !names_a_file && !is_filler && lower != "(anonymous)")
        .then_some(title)
}

/// Longer than this a title is none.
const MAX_TITLE_BYTES: usize = 300;

/// A byte order mark is no text, though it is no white space either.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<Document, ExtractError> {
        let extracted = extract(&SourceFile { name, bytes }, &ExtractLimits::default())?;
        Ok(extracted.into_first().expect("a document"))
    }

    #[test]
    fn a_file_without_words_is_empty() {
        for (name, bytes) in [
            ("a.md", &b""[..]),
            ("a.txt", b" \n\t\n"),
            ("a.txt", b"\xef\xbb\xbf \n"),
            ("a.html", b"<html><body><script>x()</script></body></html>"),
            ("a.pdf", b""),
        ] {
            assert_eq!(read(name, bytes), Err(ExtractError::Empty), "{name}");
        }
    }

    #[test]
    fn utf8_text_is_stored_byte_for_byte() {
        let bytes = "\u{feff}# Größe\r\n\r\nzwei  Wörter\t\r\n\r\n\r\n".as_bytes();
        for name in ["a.md", "a.txt", "a.csv", "a"] {
            let document = read(name, bytes).expect("reads");
            assert_eq!(document.text.as_bytes(), bytes, "{name}");
            assert!(document.warnings.is_empty());
        }
    }

    #[test]
    fn a_text_over_the_limit_is_refused_whole() {
        let limits = ExtractLimits { max_text_bytes: 10, ..ExtractLimits::default() };
        for name in ["a.md", "a.txt", "a.html"] {
            let source = SourceFile { name, bytes: b"eleven byte" };
            assert_eq!(extract(&source, &limits), Err(ExtractError::TooLong { limit: 10 }), "{name}");
        }
    }

    #[test]
    fn titles_that_no_person_wrote_are_not_believed() {
        assert_eq!(sane_title(" Travel\n rules "), Some("Travel rules".to_owned()));
        assert_eq!(sane_title("Version 2.0 of the rules"), Some("Version 2.0 of the rules".to_owned()));
        for raw in ["", "-", "rules_final.DOCX", "Microsoft Word - rules", "untitled", "Untitled document", "123"] {
            assert_eq!(sane_title(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn the_language_is_told_where_the_text_is_long_enough() {
        let german = "Die Reisekosten werden von der Abteilungsleitung genehmigt, bevor die Reise angetreten wird. \
                      Belege sind innerhalb von vier Wochen einzureichen.";
        assert_eq!(read("a.txt", german.as_bytes()).expect("reads").language.as_deref(), Some("de"));
        assert_eq!(read("a.txt", b"ok").expect("reads").language, None);
    }
}
