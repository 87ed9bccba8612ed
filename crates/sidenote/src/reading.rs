//! The reading end of an ingest: files are read, extracted and cut, and go in batches to the embedding end.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use sidenote_index::NewChunk;
use sidenote_model::{CancelToken, Embedder};
use sidenote_text::{ChunkOptions, Document, TokenCounter, chunk_document, embedded_hash};

use crate::{
    config::Config,
    embedding::Embedded,
    known::{Known, KnownFile},
    walk::{self, Found},
    worker::Extractor,
};

/// A batch is handed on with so many chunks, so that every thread of the embedder has work also where files are small.
const BATCH_CHUNKS: usize = 32;
/// A batch is handed on after this time, so that files that are slow to read keep nobody waiting.
const BATCH_TIME: Duration = Duration::from_millis(200);

/// A file that has to be looked into, and what is known of it.
pub(crate) type ToRead<'k> = (Found, Option<&'k KnownFile>);

/// A file that was read and cut, on its way to the embedder.
pub(crate) struct Prepared<'k> {
    pub(crate) found: Found,
    pub(crate) known: Option<&'k KnownFile>,
    pub(crate) result: Result<Content, Unread>,
}

impl Prepared<'_> {
    pub(crate) fn chunks(&self) -> usize {
        match &self.result {
            Ok(Content::Read(read)) => read.documents.iter().map(|(_, chunks)| chunks.len()).sum(),
            Ok(Content::Same(_) | Content::Moved { .. }) | Err(_) => 0,
        }
    }
}

/// What was found in a file.
pub(crate) enum Content {
    /// The bytes that are known.
    Same([u8; 32]),
    /// The bytes of a file that is no longer where it was.
    Moved {
        /// Where it was.
        from: PathBuf,
        sha256: [u8; 32],
    },
    /// Documents.
    Read(Box<Read>),
}

/// What a file gave.
pub(crate) struct Read {
    pub(crate) sha256: [u8; 32],
    pub(crate) documents: Vec<(Document, Vec<NewChunk>)>,
    pub(crate) warnings: Vec<String>,
}

/// Why a file was not read.
pub(crate) struct Unread {
    /// A clause for the report.
    pub(crate) reason: String,
    /// Whether it fails again until it changes; not so a file that could not be opened.
    pub(crate) for_good: bool,
}

/// Reads one file after the other.
pub(crate) struct FileReader<'a> {
    pub(crate) config: &'a Config,
    pub(crate) embedder: &'a dyn Embedder,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) known: &'a Known,
    pub(crate) extractor: Extractor,
    /// The storing end, for what is worth showing while a file takes long.
    pub(crate) storing: mpsc::SyncSender<Embedded<'a>>,
    /// Whether a file that is gone may give its documents to a new one with its content.
    pub(crate) follow_moves: bool,
    /// Files that gave theirs.
    pub(crate) moved: HashSet<&'a Path>,
}

impl<'a> FileReader<'a> {
    /// Reads all, until stopped or until nobody listens any more.
    pub(crate) fn read_all(mut self, to_read: Vec<ToRead<'a>>, batches: &mpsc::SyncSender<Vec<Prepared<'a>>>) {
        let batch = Batch { batches, files: RefCell::default(), begun: Cell::new(Instant::now()) };
        for (found, known) in to_read {
            if self.cancel.is_cancelled() {
                break;
            }
            let result = self.prepare(&found, known, &batch);
            // What was made of a file after a stop is not to be trusted, see `Counter`.
            if self.cancel.is_cancelled() {
                break;
            }
            if !batch.take(Prepared { found, known, result }) {
                return;
            }
        }
        batch.hand_on();
    }

    fn prepare(&mut self, found: &Found, known: Option<&KnownFile>, batch: &Batch<'a, '_>) -> Result<Content, Unread> {
        let for_good = |reason: String| Unread { reason, for_good: true };
        let limit = self.config.ingest.max_file_bytes;
        if found.size > limit {
            return Err(for_good(format!("{} bytes, over the limit of {limit} (`ingest.max_file_bytes`)", found.size)));
        }
        let bytes = read_bounded(&found.path, limit).map_err(|reason| Unread { reason, for_good: false })?;
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        if known.is_some_and(|known| self.known.is_same(known, &sha256)) {
            return Ok(Content::Same(sha256));
        }
        if known.is_none() && self.follow_moves {
            let known = self.known;
            // Of several that are gone each gives its documents to one that is new.
            if let Some(from) = known.moved_to(&found.path, &sha256).find(|from| self.moved.insert(from)) {
                return Ok(Content::Moved { from: from.to_owned(), sha256 });
            }
        }
        let name = found.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // A scan takes minutes: what was read before it does not wait. Where the other end is busy, it shows the next page.
        let (storing, path) = (&self.storing, &found.path);
        let on_page = |pages| {
            let sent = storing.try_send(Embedded::Recognised(path.clone(), pages));
            batch.offer() && !matches!(sent, Err(mpsc::TrySendError::Disconnected(_)))
        };
        let extracted = self.extractor.extract(&name, &bytes, self.cancel, &on_page).map_err(for_good)?;
        drop(bytes);
        let options = chunk_options(self.config, self.embedder);
        let counter = Counter { embedder: self.embedder, cancel: self.cancel };
        let with_chunks = |document: Document| {
            let chunks = cut(&document, &counter, &options);
            (document, chunks)
        };
        let documents = extracted.documents.into_iter().map(with_chunks).collect();
        Ok(Content::Read(Box::new(Read { sha256, documents, warnings: extracted.warnings })))
    }
}

/// Files on their way to the embedding end.
struct Batch<'a, 's> {
    batches: &'s mpsc::SyncSender<Vec<Prepared<'a>>>,
    files: RefCell<Vec<Prepared<'a>>>,
    begun: Cell<Instant>,
}

impl<'a> Batch<'a, '_> {
    /// Takes a file, and hands on what there is when that is enough. False where nobody listens any more.
    fn take(&self, file: Prepared<'a>) -> bool {
        let mut files = self.files.borrow_mut();
        files.push(file);
        let chunks = files.iter().map(Prepared::chunks).sum::<usize>();
        drop(files);
        if chunks >= BATCH_CHUNKS || self.begun.get().elapsed() > BATCH_TIME { self.hand_on() } else { true }
    }

    /// Hands on what there is unless the other end is busy: the worker waits for a page's text, and not for long. False where
    /// nobody listens any more.
    fn offer(&self) -> bool {
        let files = self.files.take();
        if files.is_empty() {
            return true;
        }
        match self.batches.try_send(files) {
            Ok(()) => true,
            Err(mpsc::TrySendError::Full(files)) => {
                self.files.replace(files);
                true
            }
            Err(mpsc::TrySendError::Disconnected(_)) => false,
        }
    }

    /// Hands on what there is. False where nobody listens any more: the other end hangs up when it fails.
    fn hand_on(&self) -> bool {
        self.begun.set(Instant::now());
        let files = self.files.take();
        files.is_empty() || self.batches.send(files).is_ok()
    }
}

/// A document's chunks, still without vectors.
pub(crate) fn cut(document: &Document, counter: &Counter<'_>, options: &ChunkOptions) -> Vec<NewChunk> {
    let chunks = chunk_document(document, counter, options).into_iter();
    chunks.map(|chunk| NewChunk { hash: embedded_hash(&chunk), chunk, vector: None }).collect()
}

/// How documents are cut for an embedder.
pub(crate) fn chunk_options(config: &Config, embedder: &dyn Embedder) -> ChunkOptions {
    let max_tokens = config.chunk.max_tokens.min(embedder.info().max_tokens);
    ChunkOptions {
        max_tokens,
        // The text itself is to have half of it at least.
        max_prefix_tokens: config.chunk.max_prefix_tokens.min(max_tokens / 2),
        special_tokens: embedder.info().special_tokens,
    }
}

/// The embedder's tokenizer, for the chunker. Once stopped it finds no tokens: a document of many megabytes is then done at
/// once, and whoever stopped throws the chunks away.
pub(crate) struct Counter<'a> {
    pub(crate) embedder: &'a dyn Embedder,
    pub(crate) cancel: &'a CancelToken,
}

impl TokenCounter for Counter<'_> {
    fn count_tokens(&self, text: &str) -> usize {
        if self.cancel.is_cancelled() { 0 } else { self.embedder.count_tokens(text) }
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        if self.cancel.is_cancelled() { Vec::new() } else { self.embedder.token_offsets(text) }
    }
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let mut file = fs_err::File::open(path).map_err(|error| walk::reason(error.kind()))?;
    // One byte more than allowed tells a file that grew while it was read.
    file.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| walk::reason(error.kind()))?;
    if bytes.len() as u64 > limit {
        return Err(format!("over the limit of {limit} bytes (`ingest.max_file_bytes`)"));
    }
    Ok(bytes)
}
