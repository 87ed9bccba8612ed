//! Why a file did not become a document.

use thiserror::Error;

/// A file that could not become a document. Every variant is the file's fault, costs that file alone, and is shown to
/// the user after the file's path; so a message does not repeat the path.
#[derive(Clone, Debug, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
pub enum ExtractError {
    /// No bytes, or only white space after extraction.
    #[error("the file holds no text")]
    Empty,
    /// Bytes that are no text and no known format.
    #[error("not a text file and not a format sidenote reads ({0})")]
    Unsupported(String),
    /// Needs a password. Remove it with the program that made the file and ingest again.
    #[error("the file is encrypted; save a copy without a password and ingest that")]
    Encrypted,
    /// The format's own structure is broken.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// An archive or mail of which neither its own text nor any member could be read.
    #[error("nothing in it could be read; {0}")]
    NothingRead(String),
    /// A PDF whose pages are pictures, and nobody to read them.
    #[error("{} without a text layer; with `tesseract` installed such pages are read (`ingest.ocr`)", counted(*pages))]
    NoTextLayer {
        /// Number of pages looked at.
        pages: usize,
    },
    /// A PDF whose pages are pictures on which no words were found.
    #[error("{} without a text layer; {}", counted(*pages), reason.as_deref().unwrap_or("OCR found no words"))]
    NothingRecognised {
        /// Number of pages looked at.
        pages: usize,
        /// Why the pictures could not be read, where that was so.
        reason: Option<String>,
    },
    /// The extracted text is over the limit; raise `ingest.max_text_bytes`.
    #[error("the extracted text is over the limit of {limit} bytes (`ingest.max_text_bytes`)")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
}

fn counted(pages: usize) -> String {
    if pages == 1 { "a page".to_owned() } else { format!("{pages} pages") }
}
