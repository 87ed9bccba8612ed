//! What a file becomes.

use serde::{Deserialize, Serialize};

use crate::{RowMark, Span};

/// A file on its way to become a document.
#[derive(Clone, Copy, Debug)]
pub struct SourceFile<'a> {
    /// File name with extension, for the format and as the title of last resort. Never opened.
    pub name: &'a str,
    /// The whole file.
    pub bytes: &'a [u8],
}

/// A format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// CommonMark with tables.
    Markdown,
    /// Plain text.
    Text,
    /// HTML.
    Html,
    /// PDF with a text layer.
    Pdf,
    /// Word since 2007.
    Docx,
    /// PowerPoint since 2007.
    Pptx,
    /// Excel since 2007.
    Xlsx,
    /// Word 97 to 2003.
    Doc,
    /// Excel 97 to 2003.
    Xls,
    /// PowerPoint 97 to 2003.
    Ppt,
    /// OpenDocument text.
    Odt,
    /// OpenDocument spreadsheet.
    Ods,
    /// OpenDocument presentation.
    Odp,
    /// Rich Text Format.
    Rtf,
    /// A mail, as RFC 5322 and MIME write it.
    Email,
    /// A mailbox of such mails.
    Mbox,
    /// A mail as Outlook saves it.
    Msg,
    /// An e-book.
    Epub,
    /// XML of any kind, feeds among it.
    Xml,
    /// A Jupyter notebook.
    Notebook,
    /// Values parted by commas, semicolons, tabs or bars.
    Csv,
    /// JSON, in one piece or in lines.
    Json,
    /// LaTeX.
    Latex,
    /// AsciiDoc.
    Asciidoc,
    /// reStructuredText.
    Rst,
    /// Subtitles, SRT and WebVTT.
    Subtitles,
    /// Program code of a language whose grammar is known.
    Code,
}

impl Format {
    /// All of them, in the order in which they are named to people.
    pub const ALL: [Self; 27] = [
        Self::Markdown,
        Self::Text,
        Self::Html,
        Self::Pdf,
        Self::Docx,
        Self::Pptx,
        Self::Xlsx,
        Self::Doc,
        Self::Xls,
        Self::Ppt,
        Self::Odt,
        Self::Ods,
        Self::Odp,
        Self::Rtf,
        Self::Email,
        Self::Mbox,
        Self::Msg,
        Self::Epub,
        Self::Xml,
        Self::Notebook,
        Self::Csv,
        Self::Json,
        Self::Latex,
        Self::Asciidoc,
        Self::Rst,
        Self::Subtitles,
        Self::Code,
    ];

    /// The name in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Text => "text",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Xlsx => "xlsx",
            Self::Doc => "doc",
            Self::Xls => "xls",
            Self::Ppt => "ppt",
            Self::Odt => "odt",
            Self::Ods => "ods",
            Self::Odp => "odp",
            Self::Rtf => "rtf",
            Self::Email => "email",
            Self::Mbox => "mbox",
            Self::Msg => "msg",
            Self::Epub => "epub",
            Self::Xml => "xml",
            Self::Notebook => "notebook",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Latex => "latex",
            Self::Asciidoc => "asciidoc",
            Self::Rst => "rst",
            Self::Subtitles => "subtitles",
            Self::Code => "code",
        }
    }
}

/// The normal form of a file: text, and where in it things are. All spans are byte offsets into `text`, ascending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it was read as.
    pub format: Format,
    /// Which attachment or archive member it is, `/` between nested ones; `None` for the file itself.
    pub part: Option<String>,
    /// From the format's own metadata, else the first top heading, else `None`.
    pub title: Option<String>,
    /// Who wrote it, from the format's own metadata; several are joined by `, `.
    pub author: Option<String>,
    /// When it was made or sent by its own metadata, in milliseconds since 1970.
    pub created_unix_ms: Option<i64>,
    /// ISO 639-1 where it has one, else ISO 639-3; `None` where the text is too short to tell.
    pub language: Option<String>,
    /// The stored text. For UTF-8 Markdown, text, CSV, other markup and source code the file's bytes exactly (a byte order mark included).
    pub text: String,
    /// Headings in order.
    pub headings: Vec<Heading>,
    /// Pages in order; empty where the format has none.
    pub pages: Vec<Page>,
    /// Slides, sheets and the like in order, which have a name where pages have a number; empty where the format has none.
    pub places: Vec<Place>,
    /// Rows of sheets, ascending; empty where the format has none.
    pub rows: Vec<RowMark>,
    /// Tables in order; empty where there are none.
    pub tables: Vec<Table>,
    /// Things a user should know although the file was read: pages without text, bytes that were not UTF-8.
    pub warnings: Vec<String>,
    /// Whether pages without a text layer, its own or those of what it holds, were left out for want of a [`crate::Recogniser`].
    pub waits_for_ocr: bool,
}

/// What a file gives: itself, its attachments, its members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// At least one. The file itself comes first, where it has a text of its own; an archive has none. Parts are distinct.
    pub documents: Vec<Document>,
    /// What was left out: attachments and members that are not read, and why.
    pub warnings: Vec<String>,
}

impl Extracted {
    /// The file itself, or where it has no text of its own, its first part.
    pub fn into_first(self) -> Option<Document> {
        self.documents.into_iter().next()
    }
}

impl Document {
    /// A document of nothing but text.
    pub(crate) fn of_text(format: Format, text: String) -> Self {
        Self {
            format,
            text,
            part: None,
            title: None,
            author: None,
            created_unix_ms: None,
            language: None,
            headings: Vec::new(),
            pages: Vec::new(),
            places: Vec::new(),
            rows: Vec::new(),
            tables: Vec::new(),
            warnings: Vec::new(),
            waits_for_ocr: false,
        }
    }
}

/// A heading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// 1 is the outermost, 6 the innermost.
    pub level: u8,
    /// The heading's words, markup and line breaks removed.
    pub title: String,
    /// The heading in the text, markup included. It rules from its end to the next heading of its level or above.
    pub span: Span,
}

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// 1-based.
    pub number: u32,
    /// The page's text.
    pub span: Span,
}

/// A slide, a sheet, a message of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// As a reader would name it: `slide 3`, `sheet Prices`.
    pub name: String,
    /// Its text.
    pub span: Span,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The whole table, header included.
    pub span: Span,
    /// The header row.
    pub header: Span,
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use serde::de::IntoDeserializer;

    use super::*;

    /// What an enum could have been, where it was none of it. Serde tells it to the error, so this is one.
    #[derive(Debug)]
    struct Expected(&'static [&'static str]);

    impl fmt::Display for Expected {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "expected {:?}", self.0)
        }
    }

    impl std::error::Error for Expected {}

    impl serde::de::Error for Expected {
        fn custom<T: fmt::Display>(_: T) -> Self {
            Self(&[])
        }

        fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
            Self(expected)
        }
    }

    #[test]
    fn all_formats_are_listed_under_the_names_of_their_json() {
        let Expected(names) = Format::deserialize("no format".into_deserializer()).unwrap_err();
        assert_eq!(Format::ALL.map(Format::name), names);
        for format in Format::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.name());
        }
    }
}
