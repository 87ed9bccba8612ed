//! A document as hits, citations and lists show it.

use std::{
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use sidenote_index::{DocumentId, Index, StoredDocument};
use sidenote_text::Span;

use crate::{
    error::Error,
    walk::{inode, mtime_ns},
};

/// A document as hits, citations and lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its number in the index.
    pub id: DocumentId,
    /// Absolute path of the file it came from, exact.
    pub path: PathBuf,
    /// The same as a percent-encoded `file:` URI.
    pub uri: String,
    /// From the file's own metadata or its first heading.
    pub title: Option<String>,
    /// The collection it belongs to.
    pub collection: String,
    /// An attachment or archive member, where it is one.
    pub part: Option<String>,
    /// Number of pages, where its format has them.
    pub page_count: Option<u32>,
    /// ISO 639-1, else 639-3.
    pub language: Option<String>,
    /// When the file was last changed, as the index read it: RFC 3339, UTC.
    pub modified: Option<String>,
    /// Whether the file has changed, or gone, since the index read it.
    pub stale: bool,
}

impl Document {
    /// The words of the file's name, its ending left out: it often says as much as a title.
    pub(crate) fn name_words(&self) -> Option<String> {
        Some(self.path.file_stem()?.to_string_lossy().replace(['-', '_', '.'], " "))
    }
}

#[cfg(test)]
impl Document {
    pub(crate) fn sample(number: i64) -> Self {
        Self {
            id: DocumentId(number),
            path: PathBuf::from(format!("/files/{number}.md")),
            uri: format!("file:///files/{number}.md"),
            title: None,
            collection: "default".to_owned(),
            part: None,
            page_count: None,
            language: None,
            modified: None,
            stale: false,
        }
    }
}

impl From<StoredDocument> for Document {
    fn from(stored: StoredDocument) -> Self {
        let stale = fs_err::metadata(&stored.path).map_or(true, |metadata| {
            let known = &stored.fingerprint;
            (metadata.len(), inode(&metadata)) != (known.size, known.inode)
                || Some(mtime_ns(&metadata) / 1_000_000) != stored.modified_unix_ms
        });
        Self {
            stale,
            modified: stored.modified_unix_ms.and_then(rfc3339),
            id: stored.id,
            path: stored.path,
            uri: stored.uri,
            title: stored.title,
            collection: stored.collection,
            part: stored.part,
            page_count: stored.page_count,
            language: stored.language,
        }
    }
}

/// A stretch of a document's stored text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRead {
    /// The document.
    pub document: Document,
    /// Where it stands.
    pub span: Span,
    /// The stored text under the span.
    pub text: String,
    /// Bytes of all of the document's text.
    pub total_bytes: usize,
}

/// Reads a stretch of a document's text. The span is cut down to the text, and widened to whole characters.
pub(crate) fn read_text(index: &Index, id: DocumentId, span: Span) -> Result<Option<TextRead>, Error> {
    let Some(stored) = index.document(id)? else { return Ok(None) };
    let total_bytes = usize::try_from(stored.text_bytes).unwrap_or(usize::MAX);
    let is_boundary = |at: usize| {
        // A character has at most four bytes; where one begins, some so many of them are text.
        for length in 1..=4 {
            if index.text(id, Span::new(at, total_bytes.min(at + length)))?.is_some() {
                return Ok::<_, Error>(true);
            }
        }
        Ok(false)
    };
    let (mut start, mut end) = (span.start.min(total_bytes), span.end.min(total_bytes));
    end = end.max(start);
    while start > 0 && !is_boundary(start)? {
        start -= 1;
    }
    while end < total_bytes && !is_boundary(end)? {
        end += 1;
    }
    let span = Span::new(start, end);
    let Some(text) = index.text(id, span)? else { return Ok(None) };
    Ok(Some(TextRead { document: stored.into(), span, text, total_bytes }))
}

/// A time in milliseconds since 1970 as RFC 3339 has it, in UTC and whole seconds; `None` before 1970 and after the year 9999.
pub fn rfc3339(unix_ms: i64) -> Option<String> {
    let seconds = u64::try_from(unix_ms).ok()? / 1_000;
    (seconds < 253_402_300_800)
        .then(|| humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_rfc_3339_and_absurd_ones_are_none() {
        assert_eq!(rfc3339(1_700_000_000_123).as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(rfc3339(-1), None);
        assert_eq!(rfc3339(i64::MAX), None);
    }
}
