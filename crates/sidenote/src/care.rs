//! Looking after a data folder: checking and mending it, making it smaller, carrying it elsewhere.

use std::path::PathBuf;

use sidenote_index::{Check, ChunkId, Index};
use sidenote_text::Span;

use crate::{
    document::{Document, rfc3339},
    error::Error,
    retrieve::with_rows,
};

/// What a check of the data folder found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoctorReport {
    /// One for each thing that was looked at. After a repair, what was found then.
    pub checks: Vec<Check>,
    /// What was mended, by name of its check.
    pub repaired: Vec<&'static str>,
    /// Files with a damaged document, whose documents were removed to mend it. The next ingest of their folder reads them anew.
    /// A damaged document whose file is gone stays: it is the only copy.
    pub removed: Vec<PathBuf>,
}

impl DoctorReport {
    /// Whether all is as it should be.
    pub fn is_sound(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// A document with all that is stored of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedDocument {
    /// The document.
    pub document: Document,
    /// Who wrote it, where it says so.
    pub author: Option<String>,
    /// When it was made or sent by its own metadata: RFC 3339, UTC.
    pub created: Option<String>,
    /// Of the file it came from, hexadecimal.
    pub sha256: String,
    /// What was noted when it was read.
    pub warnings: Vec<String>,
    /// The stored text.
    pub text: String,
    /// Its chunks, in order.
    pub chunks: Vec<ExportedChunk>,
}

/// A chunk of an exported document; its text is the document's under its span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedChunk {
    /// Its number in the index.
    pub chunk: ChunkId,
    /// Where in the document's text, in bytes.
    pub span: Span,
    /// 1-based, where the format has pages.
    pub page: Option<u32>,
    /// Slide, or sheet and rows, where the format has them.
    pub part: Option<String>,
    /// Headings above it, outermost first.
    pub heading: Vec<String>,
    /// Header row of its table, where that is not inside the span.
    pub table_header: Option<Span>,
    /// What was embedded before its text.
    pub prefix: String,
    /// Tokens of prefix and text.
    pub tokens: usize,
}

pub(crate) fn check(index: &Index, repair: bool) -> Result<DoctorReport, Error> {
    let mut writer = index.writer()?;
    let checks = writer.check()?;
    let repairable: Vec<&'static str> =
        checks.iter().filter(|check| check.can_repair).map(|check| check.name).collect();
    if !repair || repairable.is_empty() {
        return Ok(DoctorReport { checks, ..DoctorReport::default() });
    }
    let removed = writer.repair(&|path| path.is_file())?;
    let checks = writer.check()?;
    let is_sound = |name: &&'static str| checks.iter().any(|check| check.name == *name && check.ok);
    let repaired = repairable.into_iter().filter(is_sound).collect();
    Ok(DoctorReport { checks, repaired, removed })
}

/// Hands on every document of a collection, or of all, in order of path. A document that is removed meanwhile is left out.
pub(crate) fn export(
    index: &Index,
    collection: Option<&str>,
    each: &mut dyn FnMut(ExportedDocument) -> std::io::Result<()>,
) -> Result<(), Error> {
    let mut documents = index.documents(collection)?;
    documents.sort_by(|a, b| (&a.path, &a.part, &a.collection).cmp(&(&b.path, &b.part, &b.collection)));
    for stored in documents {
        let whole = Span { start: 0, end: usize::try_from(stored.text_bytes).unwrap_or(usize::MAX) };
        let Some(text) = index.text(stored.id, whole)? else { continue };
        let chunks = index.chunks_of(stored.id)?.into_iter().map(|chunk| ExportedChunk {
            chunk: chunk.id,
            span: chunk.span,
            page: chunk.page,
            part: chunk.place.map(|name| with_rows(&name, &chunk.text, &chunk.rows, Span::new(0, chunk.text.len()))),
            heading: chunk.heading,
            table_header: chunk.table_header,
            prefix: chunk.prefix,
            tokens: chunk.tokens,
        });
        let exported = ExportedDocument {
            author: stored.author.clone(),
            created: stored.created_unix_ms.and_then(rfc3339),
            sha256: stored.fingerprint.sha256_hex(),
            warnings: stored.warnings.clone(),
            text,
            chunks: chunks.collect(),
            document: stored.into(),
        };
        each(exported).map_err(|source| Error::Io { doing: "writing the export".into(), source })?;
    }
    Ok(())
}
