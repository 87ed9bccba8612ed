//! What goes into the index and what comes out.

use std::path::PathBuf;
use std::sync::Arc;

use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};
use sidenote_text::{Chunk, Format, Page, RowMark, Span};

/// Name of a chunk. Never reused, so a chunk that is gone stays gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkId(pub i64);

/// Name of a document. Never reused; stays the same when the file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentId(pub i64);

/// Name of a conversation. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChatId(pub i64);

/// What a list of conversations shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatSummary {
    /// Its name.
    pub id: ChatId,
    /// What it is about; `None` is all documents.
    pub collection: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub begun_unix_ms: i64,
    /// When its last question was answered.
    pub last_unix_ms: i64,
    /// How many questions were answered.
    pub turns: u64,
    /// The first of them.
    pub first_question: String,
}

/// A question and its answer, to be kept.
#[derive(Clone, Debug)]
pub struct NewTurn {
    /// The question as it was asked.
    pub question: String,
    /// The answer in a form of the caller's own.
    pub answer: String,
    /// All documents whose words may be in the answer.
    pub documents: Vec<DocumentId>,
    /// What it quotes: the stored text under a span.
    pub quotes: Vec<(DocumentId, Span, String)>,
}

/// A conversation as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptChat {
    /// What it is about; `None` is all documents.
    pub collection: Option<String>,
    /// What was asked, oldest first.
    pub turns: Vec<KeptTurn>,
}

/// A question of a conversation as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTurn {
    /// Its place, from 1.
    pub number: u32,
    /// When it was answered, in milliseconds since 1970.
    pub asked_unix_ms: i64,
    /// The question as it was asked.
    pub question: String,
    /// The answer in the form it was handed over; `None` once a document that it rests on is gone, or stored anew.
    pub answer: Option<String>,
    /// The documents whose words may be in it.
    pub documents: Vec<DocumentId>,
}

/// What tells that a file has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Bytes of the file.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Inode; 0 where the file system has none.
    pub inode: u64,
    /// Of the file's bytes.
    pub sha256: [u8; 32],
}

impl Fingerprint {
    /// The sha256 as 64 lower-case hex digits.
    pub fn sha256_hex(&self) -> String {
        crate::sqlite::hex(&self.sha256)
    }
}

/// A document to be stored. `(collection, path, part)` names it.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// Collection, made when missing. Not empty.
    pub collection: String,
    /// Where the file is; its bytes are kept exactly. Not empty.
    pub path: PathBuf,
    /// Attachment or archive member; `None` is the file itself.
    pub part: Option<String>,
    /// Title, where there is one.
    pub title: Option<String>,
    /// Who wrote it, where it says so.
    pub author: Option<String>,
    /// When it was made or sent by its own metadata, in milliseconds since 1970.
    pub created_unix_ms: Option<i64>,
    /// What it was read as.
    pub format: Format,
    /// Language code, where it is known.
    pub language: Option<String>,
    /// Of the original file.
    pub fingerprint: Fingerprint,
    /// The stored text; all spans are byte offsets into it.
    pub text: String,
    /// Pages; empty where the format has none.
    pub pages: Vec<Page>,
    /// Modification time in milliseconds since 1970, for display.
    pub modified_unix_ms: Option<i64>,
    /// What a user should know about the extraction.
    pub warnings: Vec<String>,
    /// Whether pages without a text layer, its own or those of what it holds, were left out because no OCR program was there.
    pub waits_for_ocr: bool,
}

/// A chunk to be stored with its document.
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// The chunk; `text` must be the document's text under `span`.
    pub chunk: Chunk,
    /// sha256 of `chunk.embedded_text()`.
    pub hash: [u8; 32],
    /// Its vector; `None` where [`crate::Index::known_vectors`] knows the hash. Brought to length 1 when stored.
    pub vector: Option<Vec<f32>>,
}

/// What becomes of a chunk when another embedding model takes over.
#[derive(Clone, Debug, PartialEq)]
pub enum NextChunk {
    /// It fits the model as it is.
    Same {
        /// The chunk.
        chunk: ChunkId,
        /// sha256 of what is embedded.
        hash: [u8; 32],
        /// Tokens of what is embedded, by the new model's tokenizer.
        tokens: usize,
    },
    /// It is too long, and is replaced.
    Cut {
        /// The chunk.
        chunk: ChunkId,
        /// What takes its place, in order, each with the sha256 of what is embedded. Their `text` is not looked at: it is the
        /// document's under their span.
        parts: Vec<(Chunk, [u8; 32])>,
    },
}

/// What [`crate::IndexWriter::put`] did with the chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutReport {
    /// Chunks whose text is unchanged: they keep their ids.
    pub chunks_reused: usize,
    /// New chunks.
    pub chunks_added: usize,
    /// Chunks that are gone.
    pub chunks_removed: usize,
}

/// A chunk as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredChunk {
    /// Its name.
    pub id: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// Place in the document, from 0.
    pub ordinal: usize,
    /// Where in the document's text.
    pub span: Span,
    /// Page of its first character, from 1; `None` where there are no pages.
    pub page: Option<u32>,
    /// Slide or sheet it stands in; `None` where there are none.
    pub place: Option<String>,
    /// Rows of its sheet, with offsets in `text`; empty where there are none.
    pub rows: Vec<RowMark>,
    /// Headings above it, outermost first.
    pub heading: Vec<String>,
    /// Header row of its table, where that is not inside the span.
    pub table_header: Option<Span>,
    /// What was embedded before the text.
    pub prefix: String,
    /// The document's text under `span`.
    pub text: String,
    /// Tokens of the embedded text.
    pub tokens: usize,
}

impl From<StoredChunk> for Chunk {
    fn from(stored: StoredChunk) -> Self {
        Self {
            span: stored.span,
            page: stored.page,
            place: stored.place,
            rows: stored.rows,
            heading: stored.heading,
            table_header: stored.table_header,
            prefix: stored.prefix,
            text: stored.text,
            tokens: stored.tokens,
        }
    }
}

/// A document as stored, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDocument {
    /// Its name.
    pub id: DocumentId,
    /// Its collection.
    pub collection: String,
    /// Where the file was, exact bytes.
    pub path: PathBuf,
    /// The path as a `file://` address, every byte outside the unreserved ones percent-encoded.
    pub uri: String,
    /// Title, where there is one.
    pub title: Option<String>,
    /// Who wrote it, where it says so.
    pub author: Option<String>,
    /// When it was made or sent by its own metadata, in milliseconds since 1970.
    pub created_unix_ms: Option<i64>,
    /// What it was read as.
    pub format: Format,
    /// Attachment or archive member; `None` is the file itself.
    pub part: Option<String>,
    /// Language code, where it is known.
    pub language: Option<String>,
    /// Number of pages; `None` where the format has none.
    pub page_count: Option<u32>,
    /// Of the original file when it was read.
    pub fingerprint: Fingerprint,
    /// Modification time in milliseconds since 1970.
    pub modified_unix_ms: Option<i64>,
    /// Length of the stored text in bytes.
    pub text_bytes: u64,
    /// Number of its chunks.
    pub chunk_count: u64,
    /// What a user should know about the extraction.
    pub warnings: Vec<String>,
    /// Whether pages without a text layer, its own or those of what it holds, were left out because no OCR program was there.
    pub waits_for_ocr: bool,
}

/// What [`crate::IndexWriter::forget`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Documents, attachments and members included.
    pub documents: u64,
    /// Notes of files that could not be read.
    pub failures: u64,
    /// Folders and files that were ingested by name.
    pub roots: u64,
}

/// A hit of one leg of the search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// BM25 (above 0, no upper bound) or cosine (-1 to 1); higher is better.
    pub score: f32,
}

/// Something that a chunk holds in its text, its headings or its document's title.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Held {
    /// A word in any of its forms: `invoice` is met by "invoices". A compound and a stop word are met as they are written.
    Word(String),
    /// Words side by side as they are written, but for case, accents and what stands between them.
    Phrase(String),
}

impl Held {
    /// The word or words.
    pub fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Phrase(text) => text,
        }
    }
}

/// Which chunks a search looks at. Exact, and applied before ranking. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Filter {
    /// Only this collection.
    pub collection: Option<String>,
    /// Only this file, or what lies below this folder.
    pub path_prefix: Option<PathBuf>,
    /// Only documents in one of these languages, by ISO 639-1, else 639-3; an empty list means in any, or of no known one.
    pub languages: Vec<String>,
    /// Only documents that were read as one of these; an empty list means as anything.
    pub formats: Vec<Format>,
    /// Only documents of this moment or later, in milliseconds since 1970. A document's date is that of its own metadata, else
    /// that of its file; one without a date is let through by neither bound.
    pub dated_from_unix_ms: Option<i64>,
    /// Only documents from before this moment.
    pub dated_before_unix_ms: Option<i64>,
    /// Only these documents; an empty list finds nothing.
    pub documents: Option<Vec<DocumentId>>,
    /// Only chunks that hold each of these. What was stored since the last commit is not among them.
    pub holds: Vec<Held>,
    /// Only chunks that hold none of these.
    pub lacks: Vec<Held>,
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it lets a document through as a whole or not at all.
    pub fn is_of_documents(&self) -> bool {
        self.holds.is_empty() && self.lacks.is_empty()
    }
}

/// What a [`Filter`] lets through; `None` is everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) documents: Option<Arc<RoaringTreemap>>,
    pub(crate) chunks: Option<Arc<RoaringTreemap>>,
    /// Whether the chunks hold something that was asked for, so that each of them is a hit.
    pub(crate) is_asked_for: bool,
}

impl Allowed {
    pub(crate) fn is_everything(&self) -> bool {
        self.documents.is_none() && self.chunks.is_none()
    }

    pub(crate) fn passes(&self, chunk: ChunkId, document: DocumentId) -> bool {
        let holds = |set: &Option<Arc<RoaringTreemap>>, id: i64| {
            set.as_ref().is_none_or(|set| set.contains(id.cast_unsigned()))
        };
        holds(&self.documents, document.0) && holds(&self.chunks, chunk.0)
    }
}

/// A file that could not be ingested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Collection it was meant for.
    pub collection: String,
    /// The file, exact bytes.
    pub path: PathBuf,
    /// Why, in words for the user.
    pub reason: String,
    /// Of the file when it was tried, where it could be looked at; the sha256 is zero where it was not read.
    pub fingerprint: Option<Fingerprint>,
    /// What else decides whether it fails again: version and limits, in words of the caller's own.
    pub tried_with: String,
}

/// Which model makes the vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingModelInfo {
    /// Name in the manifest of models.
    pub name: String,
    /// sha256 of the model file, hexadecimal.
    pub sha256_hex: String,
    /// Numbers in a vector, at least 1.
    pub dimensions: usize,
}

/// How many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStatus {
    /// Documents.
    pub documents: u64,
    /// Chunks.
    pub chunks: u64,
    /// Distinct vectors.
    pub vectors: u64,
    /// Bytes of all files in the data folder.
    pub bytes: u64,
    /// Counts the changes since the data folder was made.
    pub generation: u64,
    /// Collections by name.
    pub collections: Vec<CollectionStatus>,
    /// Name of the embedding model; `None` before the first document.
    pub embedding_model: Option<String>,
    /// Files that could not be ingested.
    pub failures: u64,
    /// Vectors in sealed segments.
    pub sealed_vectors: u64,
}

/// How many there are in one collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionStatus {
    /// Its name.
    pub name: String,
    /// Its documents.
    pub documents: u64,
    /// Its chunks.
    pub chunks: u64,
}
